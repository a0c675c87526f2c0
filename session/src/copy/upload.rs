//! The script of an upload, what it is told, and what it answers.
//!
//! The script reads commands from a terminal in raw mode, and bytes after those that announce some. It answers every
//! command with one line. A command is its length in six characters, and its words; `dd` takes both byte by byte,
//! because the `read` of some shells takes more than a line from a terminal. `head` takes the bytes: where it takes no
//! more than it is told to (the script tries it out), commands may follow without waiting for the answer; where it
//! doesn't, nothing may be sent after bytes before they are answered.
//!
//! A file goes to `.NAME.herder-part` beside its destination, readable for its owner only, and is renamed over it when
//! its hash is right. A file that is there keeps its permissions, and its owner where the session's user may say so; a
//! link is followed.

use bytes::Bytes;

use super::download::prelude;
use super::marker::Lines;
use super::path::command_line;
use super::{CopyError, Encoding, FileTime, Marker, Reason, RemotePath};

const BEGIN: &str = concat!(
    "stty raw -echo 2>/dev/null || { say tool stty; exit 1; }; x=wait; ",
    "[ \"$(printf ab | { head -c 1 >/dev/null; cat; })\" = b ] && x=exact; ",
    "size() { z=$(stat -c %s \"$1\" 2>/dev/null) || z=$(wc -c <\"$1\"); z=$((z)); }; ",
    "k=$(umask); umask 077; bad=1; q=; say ready $x; ",
    "while n=$(dd bs=1 count=6 2>/dev/null); [ -n \"$n\" ]; do set -- $(dd bs=1 count=$n 2>/dev/null); ",
    "op=$1; a=$2; b=$3; c=$4; d=$5; case $op in "
);

/// `open PATH ID`: which file is to be written; what is there, and how many bytes of an earlier copy. That is a file which
/// this user has made and which has no other name: in anybody else's, its owner could read along or write.
const OPEN: &str = concat!(
    "open) dec \"$a\"; bad=1; t=new; z=0; ",
    "if [ -L \"$p\" ] && [ -e \"$p\" ]; then p=$(readlink -f \"$p\"; printf .); p=${p%??}; fi; ",
    "n=${p##*/}; [ ${#n} -gt 200 ] && n=$b; q=${p%/*}/.$n.herder-part; ",
    "if [ -d \"$p\" ]; then t=dir; elif [ -f \"$p\" ]; then t=file; elif [ -e \"$p\" ]; then t=special; fi; ",
    "case $t in new|file) bad=0; if [ ! -L \"$q\" ] && [ -f \"$q\" ] && [ -O \"$q\" ] && ",
    "[ \"$(stat -c %h \"$q\" 2>/dev/null || echo 1)\" = 1 ]; then size \"$q\"; ",
    "elif [ -e \"$q\" ] || [ -L \"$q\" ]; then rm -f \"$q\" 2>/dev/null; fi;; esac; ",
    "say open $t $z;; "
);

/// `hash N`: the hash of the first bytes of the earlier copy.
const HASH: &str = "hash) x=$(head -c \"$a\" \"$q\" | sha256sum); say hash \"${x%% *}\";; ";

/// `put OFFSET N ENCODING`: takes N bytes of input, and writes what they stand for from the offset on; at 0, to a file that
/// it makes itself. Where the file can't be made, the bytes are thrown away, because commands follow them; where writing
/// fails, nobody knows how many are left, and the session ends. Where there is no room, what was written gives its own back.
const PUT: &str = concat!(
    "put) e=; if [ $bad = 0 ]; then if [ \"$a\" = 0 ]; then ",
    "if [ -e \"$q\" ] || [ -L \"$q\" ]; then rm -f \"$q\" 2>/dev/null || ",
    "{ e=\"$q is in the way, and can not be removed\"; bad=1; }; fi; set -C; ",
    "[ $bad = 1 ] || true 2>/dev/null >\"$q\" || { e=$( { : >\"$q\"; } 2>&1 ); bad=1; }; set +C; ",
    "else size \"$q\"; if [ \"$a\" -ne \"$z\" ]; then ",
    "e=$(dd if=/dev/null of=\"$q\" bs=1 seek=\"$a\" 2>&1) || bad=1; fi; fi; fi; ",
    "if [ $bad = 1 ]; then head -c \"$b\" >/dev/null; say no \"$e\"; else ",
    "if [ \"$c\" = base64 ]; then e=$( { head -c \"$b\" | base64 -d >>\"$q\"; } 2>&1 ); ",
    "else e=$( { head -c \"$b\" >>\"$q\"; } 2>&1 ); fi || { ",
    "case $e in *\" space left \"*|*\"quota exceeded\"*) rm -f \"$q\";; esac; say stop \"$e\"; exit 1; }; ",
    "size \"$q\"; say got $z; fi;; "
);

/// `end HASH MODE exact|masked|kept TIME EXACT`: checks the file, and renames it over its destination. Not every `touch` knows fractions
/// of seconds.
const END: &str = concat!(
    "end) if [ $bad = 1 ]; then say no; else x=$(sha256sum <\"$q\"); x=${x%% *}; ",
    "if [ \"$x\" != \"$a\" ]; then rm -f \"$q\"; say differs \"$x\"; else ",
    "w=0777; if [ -f \"$p\" ]; then o=$(stat -c %u:%g \"$p\" 2>/dev/null) && chown \"$o\" \"$q\" 2>/dev/null; ",
    "[ $c = exact ] || b=$(stat -c %a \"$p\" 2>/dev/null) || b=600; ",
    "elif [ $c = masked ]; then w=\"0777 & ~0$k\"; fi; ",
    "chmod $(printf %o $((0$b & $w))) \"$q\"; ",
    "[ \"$d\" = - ] || touch -d \"$6\" \"$q\" 2>/dev/null || TZ=UTC0 touch -t \"$d\" \"$q\"; ",
    "if [ -d \"$p\" ]; then say no Is a directory; ",
    "elif e=$(mv -f \"$q\" \"$p\" 2>&1); then say done; else say no \"$e\"; fi; fi; fi; bad=1;; "
);

/// `mkdir PATH MODE`: makes a directory, and those above it; a mode of `-` is the user's own.
const MKDIR: &str = concat!(
    "mkdir) dec \"$a\"; bad=1; if [ -d \"$p\" ]; then say made; ",
    "elif e=$( { umask \"$k\"; mkdir -p \"$p\"; } 2>&1 ); then ",
    "[ \"$b\" = - ] || chmod \"$b\" \"$p\"; say made; else say no \"$e\"; fi;; "
);

/// `discard`: removes what was copied of the file.
const DISCARD: &str = "discard) [ $bad = 1 ] || rm -f \"$q\"; bad=1; say discarded;; ";

const FINISH: &str = "quit) exit 0;; *) say stop \"$op\"; exit 1;; esac; done";

/// The command line that takes files.
pub fn command(marker: &Marker) -> String {
    let tools = "chmod dd head mv rm sha256sum wc";
    command_line(&[&prelude(marker, tools), BEGIN, OPEN, HASH, PUT, END, DISCARD, MKDIR, FINISH].concat())
}

/// The permissions that a new file gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permissions {
    /// These, as far as the node's umask allows; those of a file that is there stay.
    Masked(u32),
    /// Exactly these.
    Exact(u32),
}

/// What the script is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Which file is to be written. Answered with [`Answer::Opened`].
    Open(RemotePath),
    /// The hash of so many bytes of an earlier copy is wanted. Answered with [`Answer::Hash`].
    Hash(u64),
    /// So many bytes of input follow, and are written from the offset on. Answered with [`Answer::Got`].
    Put {
        /// Where in the file.
        offset: u64,
        /// How many bytes of input there are.
        length: u64,
        /// What they stand for.
        encoding: Encoding,
    },
    /// The file is complete. Answered with [`Answer::Done`] or [`Answer::Differs`].
    End {
        /// Its SHA-256, in hexadecimal.
        hash: String,
        /// Its permissions.
        permissions: Permissions,
        /// When it was last changed; now, if absent.
        modified: Option<FileTime>,
    },
    /// What was copied of the file is to be removed. Answered with [`Answer::Discarded`].
    Discard,
    /// A directory is to be there. Answered with [`Answer::Made`].
    MakeDirectory {
        /// Which one.
        path: RemotePath,
        /// Its permissions, if they are to be exact.
        mode: Option<u32>,
    },
    /// Nothing more comes. Not answered.
    Quit,
}

impl Request {
    /// The command for the script.
    pub fn command(&self) -> Bytes {
        let words = match self {
            Request::Open(path) => {
                // For names that leave no room for more: another one, the same for the same path.
                let hash = ring::digest::digest(&ring::digest::SHA256, path.as_bytes());
                format!("open {} {}", path.encoded(), hex(hash.as_ref().iter().take(16)))
            }
            Request::Hash(count) => format!("hash {count}"),
            Request::Put { offset, length, encoding } => format!("put {offset} {length} {encoding}"),
            Request::End { hash, permissions, modified } => {
                let (mode, how) = match permissions {
                    Permissions::Masked(mode) => (mode, "masked"),
                    Permissions::Exact(mode) => (mode, "exact"),
                };
                let none = || "-".to_owned();
                let time = modified.and_then(FileTime::for_touch_t).unwrap_or_else(none);
                let exact = modified.and_then(FileTime::for_touch_d).unwrap_or_else(none);
                format!("end {hash} {:o} {how} {time} {exact}", mode & 0o777)
            }
            Request::MakeDirectory { path, mode } => {
                let mode = mode.map_or("-".to_owned(), |mode| format!("{:o}", mode & 0o777));
                format!("mkdir {} {mode}", path.encoded())
            }
            Request::Discard => "discard".to_owned(),
            Request::Quit => "quit".to_owned(),
        };
        Bytes::from(format!("{:<5}\n{words}", words.len()))
    }
}

/// Bytes as text.
pub(super) fn hex<'a>(bytes: impl IntoIterator<Item = &'a u8>) -> String {
    bytes.into_iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What is at a destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destination {
    /// Nothing.
    New,
    /// A file.
    File,
    /// A directory: open a name in it instead.
    Directory,
    /// Something that can't be written as a file.
    Special,
}

/// What the script answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It takes requests. `is_exact` says that they may follow bytes without waiting.
    Ready {
        /// Whether `head` takes no more than it is told to.
        is_exact: bool,
    },
    /// What is there, and how many bytes of an earlier copy.
    Opened {
        /// What is there.
        destination: Destination,
        /// How many bytes of an earlier copy there are.
        part: u64,
    },
    /// A SHA-256, in hexadecimal.
    Hash(String),
    /// How many bytes the copy has now.
    Got(u64),
    /// The file is in its place.
    Done,
    /// It is not what was sent, and has been removed: its SHA-256.
    Differs(String),
    /// Nothing is left of the copy.
    Discarded,
    /// The directory is there.
    Made,
    /// What was asked for can't be done. The script goes on.
    Failed(Reason),
    /// Bytes could not be written. The script has ended.
    Stopped(Reason),
}

/// Reads what the script of an upload prints.
#[derive(Debug)]
pub struct Answers {
    marker: Marker,
    lines: Lines,
    noise: Vec<u8>,
}

impl Answers {
    /// Nothing has been read yet.
    pub fn new(marker: Marker) -> Answers {
        Answers { marker, lines: Lines::default(), noise: Vec::new() }
    }

    /// Reads the next bytes that the terminal shows.
    ///
    /// # Errors
    /// A tool is missing on the node, or it prints what the script does not.
    pub fn read(&mut self, bytes: &[u8]) -> Result<Vec<Answer>, CopyError> {
        let mut answers = Vec::new();
        for line in self.lines.feed(bytes) {
            match self.marker.answer(&line) {
                Some(answer) => answers.push(self.answer(answer)?),
                None if line.iter().any(|byte| !byte.is_ascii_whitespace()) => self.noise = line,
                None => {}
            }
        }
        Ok(answers)
    }

    /// What was printed last that is no answer: if the script could not run at all, it says why.
    pub fn noise(&self) -> Option<String> {
        let shown: String = String::from_utf8_lossy(&self.noise).trim().chars().take(200).collect();
        (!shown.is_empty()).then(|| shown.escape_debug().to_string())
    }

    fn answer(&self, answer: &[u8]) -> Result<Answer, CopyError> {
        let text = String::from_utf8_lossy(answer);
        let (word, rest) = text.split_once(' ').unwrap_or((&text, ""));
        let parsed = match word {
            "tool" => return Err(CopyError::Tool(rest.to_owned())),
            "ready" => Some(Answer::Ready { is_exact: rest == "exact" }),
            "open" => opened(rest),
            "hash" => Some(Answer::Hash(rest.to_owned())),
            "got" => rest.parse().ok().map(Answer::Got),
            "done" => Some(Answer::Done),
            "differs" => Some(Answer::Differs(rest.to_owned())),
            "discarded" => Some(Answer::Discarded),
            "made" => Some(Answer::Made),
            "no" => Some(Answer::Failed(Reason::of(rest))),
            "stop" => Some(Answer::Stopped(Reason::of(rest))),
            _ => None,
        };
        parsed.ok_or_else(|| CopyError::garbled(answer))
    }
}

fn opened(text: &str) -> Option<Answer> {
    let (destination, part) = text.split_once(' ')?;
    let destination = match destination {
        "new" => Destination::New,
        "file" => Destination::File,
        "dir" => Destination::Directory,
        "special" => Destination::Special,
        _ => return None,
    };
    Some(Answer::Opened { destination, part: part.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_plain_words_and_their_length() {
        let path = RemotePath::new("/a b\n'c").unwrap();
        let end = Request::End {
            hash: "ab".into(),
            permissions: Permissions::Masked(0o104_755),
            modified: Some(FileTime { seconds: 0, nanos: 5 }),
        };
        for (request, command) in [
            (Request::Hash(7), "6    \nhash 7"),
            (Request::Put { offset: 1, length: 2, encoding: Encoding::Raw }, "11   \nput 1 2 raw"),
            (end, "46   \nend ab 755 masked 197001010000.00 @0.000000005"),
            (
                Request::MakeDirectory { path: path.clone(), mode: None },
                "27   \nmkdir /a\\0040b\\0012\\0047c -",
            ),
            (Request::Quit, "4    \nquit"),
        ] {
            assert_eq!(request.command(), command);
        }
        let open = Request::Open(path).command();
        assert!(open.starts_with(b"57   \nopen /a\\0040b\\0012\\0047c ") && open.len() == 63, "{open:?}");
    }

    #[test]
    fn answers_are_found_among_what_else_is_shown() {
        let marker = Marker::new([7; 16]);
        let mut answers = Answers::new(marker.clone());
        let shown =
            format!("Last login: today\r\n{marker} ready exact\r\n{marker} open file 12\n{marker} no ");
        let read = answers.read(shown.as_bytes()).unwrap();
        let opened = Answer::Opened { destination: Destination::File, part: 12 };
        assert_eq!(read, [Answer::Ready { is_exact: true }, opened]);
        assert_eq!(answers.noise().as_deref(), Some("Last login: today"));
        let read = answers.read(b"sh: 1: cannot create /x: Permission denied\n").unwrap();
        assert_eq!(read, [Answer::Failed(Reason::Denied)]);
        let error = answers.read(format!("{marker} tool stty\n").as_bytes()).unwrap_err();
        assert!(matches!(error, CopyError::Tool(tool) if tool == "stty"));
        let error = answers.read(format!("{marker} surprise\n").as_bytes()).unwrap_err();
        assert!(matches!(error, CopyError::Garbled(_)));
    }

    #[test]
    fn the_script_is_one_word_for_every_agent() {
        let command = command(&Marker::new([0; 16]));
        assert_eq!(command.matches('\'').count(), 2);
        assert!(!command.contains('\n') && !command.contains("{{") && !command.contains("}}"));
        assert!(command.len() < 4096, "{} bytes", command.len());
    }
}
