//! The script of a download, and the machine that reads what it prints.
//!
//! For each file the script prints an answer with its size, mode and time, the bytes in base64, and an answer with the
//! SHA-256 of the whole. It reads as many bytes as the file had when it began, so that a log that grows can be copied.

use bytes::Bytes;

use super::marker::Lines;
use super::path::command_line;
use super::{CopyError, FileTime, Marker, Reason, RemotePath, Unbase64};

/// How a file is told of, read and hashed. Where a part is here already, the rest is sent if that part is the same.
/// Files that say they have no bytes and do, as below `/proc`, are read once and hashed as they were read.
const GET: &str = concat!(
    "get() { dec \"$1\"; o=$2; h=$3; ",
    "if [ -d \"$p\" ]; then say dir; return; fi; ",
    "if [ -e \"$p\" ] && [ ! -f \"$p\" ]; then say special; return; fi; ",
    "if [ ! -r \"$p\" ]; then e=$( { : <\"$p\"; } 2>&1 ) || { say no \"$e\"; return; }; fi; ",
    "s=$(stat -L -c \"%s %a %Y %y\" \"$p\" 2>/dev/null) || s=\"$(wc -c <\"$p\") - -\"; ",
    "set -- $s; s=$1; ",
    "if [ \"$o\" -gt 0 ]; then ",
    "if [ \"$s\" -ge \"$o\" ]; then x=$(head -c \"$o\" \"$p\" | sha256sum); else x=; fi; ",
    "[ \"${x%% *}\" = \"$h\" ] || o=0; fi; ",
    "say file \"$s\" \"$2\" \"$3\" \"$o\" \"${5#*.}\"; ",
    "if [ \"$s\" -eq 0 ]; then d=$(head -c 16777216 \"$p\" | base64); ",
    "printf \"%s\\n\" \"$d\"; x=$(printf \"%s\\n\" \"$d\" | base64 -d | sha256sum); ",
    "else if [ \"$o\" -eq 0 ]; then head -c \"$s\" \"$p\"; ",
    "else tail -c +$((o + 1)) \"$p\" | head -c $((s - o)); fi | base64; ",
    "x=$(head -c \"$s\" \"$p\" | sha256sum); fi; ",
    "say end \"${x%% *}\"; }; "
);

/// What every script begins with: texts of tools in English, answers, paths, and the directory that relative ones begin
/// at.
pub(super) fn prelude(marker: &Marker, tools: &str) -> String {
    let begin = concat!(
        "say() { printf \"%s %s\\n\" \"$m\" \"$*\"; }; ",
        "dec() { p=$1; case $p in *\\\\*) p=$(printf \"%b.\" \"$1\"); p=${p%.};; esac; }; ",
        "need() { for c do command -v \"$c\" >/dev/null 2>&1 || { say tool \"$c\"; exit 1; }; done; }; ",
        "cd \"${HOME:-/}\" 2>/dev/null || cd /; "
    );
    format!("LC_ALL=C; export LC_ALL; set -f; m={marker}; {begin}need {tools}; ")
}

/// A file to be fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Which one.
    pub path: RemotePath,
    /// How many of its bytes are here already, and their SHA-256 in hexadecimal.
    pub have: Option<(u64, String)>,
}

impl Wanted {
    /// How many bytes of a script it takes, about.
    pub(super) fn length(&self) -> usize {
        self.path.encoded().len() + self.have.as_ref().map_or(0, |(_, hash)| hash.len() + 20)
    }
}

/// How many bytes the paths in one script may take, as the script writes them. A document's parameter may have 65,535.
pub const PATHS_IN_SCRIPT: usize = 16 << 10;

/// The command line that sends these files, one after the other.
pub fn command(marker: &Marker, wanted: &[Wanted]) -> String {
    let mut script = prelude(marker, "base64 head sha256sum tail");
    script.push_str(GET);
    for Wanted { path, have } in wanted {
        let (offset, hash) = have.as_ref().map_or((0, "-"), |(offset, hash)| (*offset, hash.as_str()));
        script.push_str(&format!("get \"{}\" {offset} {hash}; ", path.encoded()));
    }
    script.push_str("say over");
    command_line(&script)
}

/// What is known of a file before its bytes come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteFile {
    /// How many bytes it has in all; 0 also for those that don't say.
    pub size: u64,
    /// Its permissions, if the node can tell them.
    pub mode: Option<u32>,
    /// When it was last changed, if the node can tell.
    pub modified: Option<FileTime>,
    /// At which byte what follows begins.
    pub offset: u64,
}

/// What comes of a download, file by file, in the order in which they were asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Downloaded {
    /// A file begins.
    File(RemoteFile),
    /// The next bytes of it.
    Bytes(Bytes),
    /// It has ended; the SHA-256 of the whole file, in hexadecimal.
    End(String),
    /// It can't be had.
    Failed(Reason),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Between files; the count of those still to come.
    Between(usize),
    /// Among the bytes of a file, with so many files after it.
    Within(usize),
    Over,
}

/// Reads what the script of a download prints.
#[derive(Debug)]
pub struct Download {
    marker: Marker,
    lines: Lines,
    /// A line among the bytes that may be an answer.
    begun: Option<Vec<u8>>,
    at_line_start: bool,
    decoder: Unbase64,
    place: Place,
}

impl Download {
    /// A download of so many files.
    pub fn new(marker: Marker, files: usize) -> Download {
        Download {
            marker,
            lines: Lines::default(),
            begun: None,
            at_line_start: true,
            decoder: Unbase64::default(),
            place: Place::Between(files),
        }
    }

    /// Whether everything that was asked for has been answered.
    pub fn is_over(&self) -> bool {
        self.place == Place::Over
    }

    /// Reads the next bytes of the script's standard output.
    ///
    /// # Errors
    /// A tool is missing on the node, or it prints what the script does not.
    pub fn stdout(&mut self, bytes: &[u8]) -> Result<Vec<Downloaded>, CopyError> {
        let mut events = Vec::new();
        let mut rest = bytes;
        while !rest.is_empty() {
            rest = match self.place {
                Place::Within(_) => self.data(rest, &mut events)?,
                _ => {
                    let end = rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |at| at + 1);
                    let (line, after) = rest.split_at(end);
                    for line in self.lines.feed(line) {
                        self.answer(&line, &mut events)?;
                    }
                    after
                }
            };
        }
        Ok(events)
    }

    /// Takes bytes of a file up to the next answer, or an answer, or as much of either as there is; gives what follows.
    fn data<'a>(&mut self, bytes: &'a [u8], events: &mut Vec<Downloaded>) -> Result<&'a [u8], CopyError> {
        if self.begun.is_none() && self.at_line_start && bytes.starts_with(b"@") {
            self.begun = Some(Vec::new());
        }
        if let Some(begun) = &mut self.begun {
            let end = bytes.iter().position(|byte| *byte == b'\n').map(|at| at + 1);
            let (line, after) = bytes.split_at(end.unwrap_or(bytes.len()));
            begun.extend_from_slice(line);
            if begun.len() > 4096 {
                return Err(CopyError::garbled(begun));
            }
            if end.is_some() {
                let line = self.begun.take().unwrap_or_default();
                self.answer(line.trim_ascii_end(), events)?;
            }
            return Ok(after);
        }
        let answer = bytes.windows(2).position(|pair| pair == b"\n@").map(|at| at + 1);
        let (data, after) = bytes.split_at(answer.unwrap_or(bytes.len()));
        self.at_line_start = data.ends_with(b"\n");
        let decoded = self.decoder.feed(data).map_err(|_| CopyError::garbled(data))?;
        if !decoded.is_empty() {
            events.push(Downloaded::Bytes(decoded));
        }
        Ok(after)
    }

    fn answer(&mut self, line: &[u8], events: &mut Vec<Downloaded>) -> Result<(), CopyError> {
        let Some(answer) = self.marker.answer(line) else {
            return match self.place {
                // What a profile prints.
                Place::Between(_) | Place::Over => Ok(()),
                Place::Within(_) => Err(CopyError::garbled(line)),
            };
        };
        let text = String::from_utf8_lossy(answer);
        let (word, rest) = text.split_once(' ').unwrap_or((&text, ""));
        let next = |left: usize| Place::Between(left.saturating_sub(1));
        match (word, self.place) {
            ("tool", _) => return Err(CopyError::Tool(rest.to_owned())),
            ("over", Place::Between(0)) => self.place = Place::Over,
            ("file", Place::Between(left @ 1..)) => {
                let file = remote_file(rest).ok_or_else(|| CopyError::garbled(answer))?;
                events.push(Downloaded::File(file));
                (self.place, self.at_line_start) = (Place::Within(left - 1), true);
            }
            ("end", Place::Within(left)) => {
                self.decoder.finish().map_err(|_| CopyError::garbled(answer))?;
                events.push(Downloaded::End(rest.to_owned()));
                self.place = Place::Between(left);
            }
            ("dir", Place::Between(left @ 1..)) => {
                events.push(Downloaded::Failed(Reason::IsDirectory));
                self.place = next(left);
            }
            ("special", Place::Between(left @ 1..)) => {
                events.push(Downloaded::Failed(Reason::Special));
                self.place = next(left);
            }
            ("no", Place::Between(left @ 1..)) => {
                events.push(Downloaded::Failed(Reason::of(rest)));
                self.place = next(left);
            }
            _ => return Err(CopyError::garbled(answer)),
        }
        Ok(())
    }
}

fn remote_file(text: &str) -> Option<RemoteFile> {
    let mut words = text.split(' ');
    let mut word = || words.next();
    let size = word()?.parse().ok()?;
    let mode = word().and_then(|mode| u32::from_str_radix(mode, 8).ok());
    let seconds = word().and_then(|seconds| seconds.parse().ok());
    let offset = word()?.parse().ok()?;
    let nanos = word().and_then(FileTime::nanos_of).unwrap_or_default();
    let modified = seconds.map(|seconds| FileTime { seconds, nanos });
    Some(RemoteFile { size, mode, modified, offset })
}
