//! What can go wrong with a copy, said so that a person knows what to do.

use std::fmt;
use std::io;
use std::path::PathBuf;

use super::RemotePath;
use crate::link::LinkEnded;

/// Why a node could not do something with a file.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// The file, or the directory that it is to be in, does not exist.
    NotFound,
    /// The user that the session runs as may not.
    Denied,
    /// The file system is full.
    NoSpace,
    /// The user's share of the file system is full.
    Quota,
    /// The file system can't be written.
    ReadOnly,
    /// It is a directory.
    IsDirectory,
    /// It is a link to a directory, in a tree: those are not followed.
    LinkToDirectory,
    /// A part of the path is no directory.
    NotADirectory,
    /// It is no regular file: a device, a pipe, a socket.
    Special,
    /// A name is longer than the file system allows.
    NameTooLong,
    /// The file is larger than the file system or a limit allows.
    TooLarge,
    /// Something else; what the node's tool said.
    Other(String),
}

/// What tools say of each reason in the C locale, in lower case: shells differ in that.
const SAID: [(&str, Reason); 12] = [
    ("no space left on device", Reason::NoSpace),
    ("disk quota exceeded", Reason::Quota),
    ("permission denied", Reason::Denied),
    ("operation not permitted", Reason::Denied),
    ("read-only file system", Reason::ReadOnly),
    ("is a directory", Reason::IsDirectory),
    ("not a directory", Reason::NotADirectory),
    ("file name too long", Reason::NameTooLong),
    ("file too large", Reason::TooLarge),
    ("no such file", Reason::NotFound),
    // What the shells of Debian and busybox say where a directory is missing.
    ("directory nonexistent", Reason::NotFound),
    ("nonexistent directory", Reason::NotFound),
];

impl Reason {
    /// The reason in what a tool of the node said.
    pub(super) fn of(said: &str) -> Reason {
        let lower = said.to_lowercase();
        // A path may hold any of these texts: the reason comes last.
        let last = SAID.iter().filter_map(|(text, reason)| Some((lower.rfind(text)?, reason)));
        match last.max_by_key(|(at, _)| *at) {
            Some((_, reason)) => reason.clone(),
            None => Reason::Other(said.trim().to_owned()),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Reason::NotFound => "no such file or directory",
            Reason::Denied => "permission denied for the user that the session runs as",
            Reason::NoSpace => "no space left on its file system",
            Reason::Quota => "the disk quota of the session's user is used up",
            Reason::ReadOnly => "its file system is read-only",
            Reason::IsDirectory => "it is a directory (copy it with -r)",
            Reason::LinkToDirectory => "it is a link to a directory",
            Reason::NotADirectory => "a part of the path is not a directory",
            Reason::Special => "it is neither a file nor a directory",
            Reason::NameTooLong => "the name is too long",
            Reason::TooLarge => "the file is too large for the file system or a limit",
            Reason::Other(said) if said.is_empty() => "it didn't say why",
            Reason::Other(said) => said,
        })
    }
}

/// A copy that failed. What has arrived stays beside the destination, and the next copy goes on with it, unless it says
/// otherwise, or there was no room for more.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CopyError {
    /// The node could not do something with a file.
    #[error("the node could not {action} {path}: {reason}")]
    Node {
        /// What was to be done: `read`, `write`, `list`, `create`.
        action: &'static str,
        /// With what.
        path: RemotePath,
        /// Why not.
        reason: Reason,
    },
    /// This machine could not do something with a file.
    #[error("could not {action} {}", path.display())]
    Local {
        /// What was to be done.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A tool is missing on the node.
    #[error("the node has no {0}, and a copy needs it")]
    Tool(String),
    /// What arrived is not what was sent. It has been removed.
    #[error(
        "{path} is damaged: its SHA-256 is {found} where it has to be {expected}; what was copied is removed"
    )]
    Differs {
        /// Of which file, for people.
        path: String,
        /// The hash of what was sent.
        expected: String,
        /// The hash of what arrived.
        found: String,
    },
    /// The source was written while it was read.
    #[error("{0} changed while it was copied")]
    Changed(String),
    /// A node named a file that would lie outside of the destination.
    #[error("the node named {0}, which would lie outside of the destination")]
    Escapes(RemotePath),
    /// The session could not be begun.
    #[error("could not begin a session")]
    Start(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The session ended before the copy did.
    #[error("the copy broke off")]
    Session(#[from] LinkEnded),
    /// The node did not do what its script says.
    #[error("the node answered what no script of herder's answers: {0}")]
    Garbled(String),
}

impl CopyError {
    pub(super) fn local(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> CopyError {
        let path = path.into();
        move |source| CopyError::Local { action, path, source }
    }

    pub(super) fn node(action: &'static str, path: &RemotePath, reason: Reason) -> CopyError {
        CopyError::Node { action, path: path.clone(), reason }
    }

    /// Something that no script says; what there is of it is shown.
    pub(super) fn garbled(said: &[u8]) -> CopyError {
        let shown: String = String::from_utf8_lossy(said).chars().take(200).collect();
        CopyError::Garbled(shown.escape_debug().to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tools_say_is_understood() {
        for (said, reason) in [
            ("sh: 1: cannot create ./x/.f.herder-part: Directory nonexistent", Reason::NotFound),
            ("sh: 1: cannot create /srv/f: Permission denied", Reason::Denied),
            ("sh: line 1: /x/f: No such file or directory", Reason::NotFound),
            ("sh: can't create /proc/f: nonexistent directory", Reason::NotFound),
            ("sh: can't open /x: no such file", Reason::NotFound),
            ("head: write error: No space left on device", Reason::NoSpace),
            ("head: error writing 'standard output': Disk quota exceeded", Reason::Quota),
            ("mv: cannot move 'No such file' to '/x': Read-only file system", Reason::ReadOnly),
            ("base64: write error: File too large", Reason::TooLarge),
            ("sh: 1: cannot open Permission denied: No such file", Reason::NotFound),
            ("something new", Reason::Other("something new".into())),
        ] {
            assert_eq!(Reason::of(said), reason, "{said}");
        }
    }

    #[test]
    fn an_error_names_the_file_and_the_way_out() {
        let path = RemotePath::new("/var/log\n").unwrap();
        let error = CopyError::node("read", &path, Reason::IsDirectory);
        assert_eq!(
            error.to_string(),
            "the node could not read /var/log\\n: it is a directory (copy it with -r)"
        );
        let error = CopyError::garbled(b"\x1b[2J");
        assert!(error.to_string().ends_with("answers: \\u{1b}[2J"), "{error}");
    }
}
