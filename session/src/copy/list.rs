//! The script that lists a directory, and its entries.
//!
//! Entries come in base64, because names may hold anything. Where `find` can print them it does; where it can't, a loop
//! does the same.

use super::download::prelude;
use super::marker::Lines;
use super::path::command_line;
use super::{CopyError, Marker, Reason, RemotePath, Unbase64};

/// What every entry is printed as: type, size, mode, time and name. `u` is a directory that this user can't look into, `!`
/// says that something could not be looked at.
const LIST: &str = concat!(
    "cd \"$p\" 2>/dev/null || { e=\"No such file\"; if [ -d \"$p\" ]; then e=\"Permission denied\"; ",
    "elif [ -e \"$p\" ]; then e=\"Not a directory\"; fi; say no \"$e\"; exit 1; }; say list; ",
    "{ if find . -maxdepth 0 \"(\" -readable -o -executable -o -printf x \")\" >/dev/null 2>&1; then ",
    "find . -type d \"(\" ! -readable -o ! -executable \")\" -printf \"u %s %m %T@ %p\\0\" ",
    "-o -printf \"%y %s %m %T@ %p\\0\"; ",
    "else i=\"for f do if [ -L \\\"\\$f\\\" ]; then y=l; elif [ -d \\\"\\$f\\\" ]; then ",
    "y=d; [ -r \\\"\\$f\\\" ] && [ -x \\\"\\$f\\\" ] || y=u; ",
    "elif [ -f \\\"\\$f\\\" ]; then y=f; else y=o; fi; ",
    "s=\\$(stat -c \\\"%s %a %Y\\\" \\\"\\$f\\\" 2>/dev/null) || s=\\\"0 - -\\\"; ",
    "printf \\\"%s %s %s\\\\0\\\" \\$y \\\"\\$s\\\" \\\"\\$f\\\"; done\"; ",
    "find . -exec sh -c \"$i\" sh {} +; fi 2>/dev/null || printf \"! 0 - - .\\0\"; } | base64; ",
    "say over"
);

/// The command line that lists a directory.
pub fn command(marker: &Marker, directory: &RemotePath) -> String {
    let begin = prelude(marker, "base64 find");
    command_line(&format!("{begin}dec \"{}\"; {LIST}", directory.encoded()))
}

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A directory.
    Directory,
    /// A directory that the session's user can't look into: what is in it is not listed.
    Closed,
    /// Nothing of its own: something in the directory could not be looked at, and is not listed.
    Unknown,
    /// A regular file.
    File,
    /// A symbolic link, to whatever.
    Link,
    /// A device, a pipe, a socket.
    Other,
}

/// Something in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What it is.
    pub kind: EntryKind,
    /// How many bytes it has.
    pub size: u64,
    /// Its permissions, if the node can tell them.
    pub mode: Option<u32>,
    /// When it was last changed, in seconds since 1970, if the node can tell.
    pub modified_unix: Option<i64>,
    /// Its path below the directory: without `.`, `..` and a slash at either end. Empty for the directory itself.
    pub name: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Before,
    Within,
    Over,
}

/// Reads what the script of a listing prints.
#[derive(Debug)]
pub struct Listing {
    marker: Marker,
    directory: RemotePath,
    lines: Lines,
    decoder: Unbase64,
    begun: Vec<u8>,
    place: Place,
}

impl Listing {
    /// The longest entry: a path of Linux and its figures.
    const LIMIT: usize = 64 << 10;

    /// A listing of a directory.
    pub fn new(marker: Marker, directory: RemotePath) -> Listing {
        Listing {
            marker,
            directory,
            lines: Lines::default(),
            decoder: Unbase64::default(),
            begun: Vec::new(),
            place: Place::Before,
        }
    }

    /// Whether the listing is complete.
    pub fn is_over(&self) -> bool {
        self.place == Place::Over
    }

    /// Reads the next bytes of the script's standard output.
    ///
    /// # Errors
    /// The directory can't be read, a tool is missing on the node, it names what lies outside of the directory, or it
    /// prints what the script does not.
    pub fn stdout(&mut self, bytes: &[u8]) -> Result<Vec<Entry>, CopyError> {
        let mut entries = Vec::new();
        for line in self.lines.feed(bytes) {
            let Some(answer) = self.marker.answer(&line) else {
                if self.place == Place::Within {
                    self.begun
                        .extend_from_slice(&self.decoder.feed(&line).map_err(|_| CopyError::garbled(&line))?);
                    self.entries(&mut entries)?;
                }
                continue;
            };
            let text = String::from_utf8_lossy(answer);
            let (word, rest) = text.split_once(' ').unwrap_or((&text, ""));
            match (word, self.place) {
                ("tool", _) => return Err(CopyError::Tool(rest.to_owned())),
                ("no", _) => return Err(CopyError::node("list", &self.directory, Reason::of(rest))),
                ("list", Place::Before) => self.place = Place::Within,
                ("over", Place::Within) if self.begun.is_empty() && self.decoder.finish().is_ok() => {
                    self.place = Place::Over;
                }
                _ => return Err(CopyError::garbled(answer)),
            }
        }
        Ok(entries)
    }

    fn entries(&mut self, entries: &mut Vec<Entry>) -> Result<(), CopyError> {
        while let Some(end) = self.begun.iter().position(|byte| *byte == 0) {
            let rest = self.begun.split_off(end + 1);
            let mut record = std::mem::replace(&mut self.begun, rest);
            record.pop();
            let entry = entry(&record).ok_or_else(|| CopyError::garbled(&record))?;
            let parts = || entry.name.split(|byte| *byte == b'/');
            if !entry.name.is_empty() && parts().any(|part| matches!(part, b"" | b"." | b"..")) {
                let path = self.directory.join(&entry.name);
                return Err(CopyError::Escapes(path.unwrap_or_else(|| self.directory.clone())));
            }
            entries.push(entry);
        }
        match self.begun.len() > Listing::LIMIT {
            true => Err(CopyError::garbled(&self.begun)),
            false => Ok(()),
        }
    }
}

fn entry(record: &[u8]) -> Option<Entry> {
    let mut words = record.splitn(5, |byte| *byte == b' ');
    let mut word = || words.next();
    let kind = match word()? {
        b"d" => EntryKind::Directory,
        b"u" => EntryKind::Closed,
        b"!" => EntryKind::Unknown,
        b"f" => EntryKind::File,
        b"l" => EntryKind::Link,
        _ => EntryKind::Other,
    };
    let text = |word: Option<&[u8]>| String::from_utf8_lossy(word.unwrap_or_default()).into_owned();
    let (size, mode, time, name) = (text(word()), text(word()), text(word()), word()?);
    let seconds = time.split('.').next().unwrap_or_default();
    let name = match name {
        b"." => b"",
        name => name.strip_prefix(b"./")?,
    };
    Some(Entry {
        kind,
        size: size.parse().ok()?,
        mode: u32::from_str_radix(&mode, 8).ok(),
        modified_unix: seconds.parse().ok(),
        name: name.to_vec(),
    })
}
