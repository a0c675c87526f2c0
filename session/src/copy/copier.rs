//! Copies, carried out.

use std::fmt;
use std::path::PathBuf;

use super::{Marker, RemotePath};

/// What the bytes of an upload are on their way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Themselves. Two to three times as fast.
    Raw,
    /// Base64, for what might lie between and change bytes.
    Base64,
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Encoding::Raw => "raw",
            Encoding::Base64 => "base64",
        })
    }
}

/// How files are copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyOptions {
    /// Whether permissions and times of files are kept, of directories the permissions; what is more than read, write and execute never
    /// is. Otherwise a new file has the source's permissions as far as the
    /// umask allows, a file that is there keeps its own, and the time is that of the copy.
    pub preserve: bool,
    /// The umask of this process, for downloads.
    pub umask: u32,
    /// Whether what an earlier copy has left is gone on with.
    pub resume: bool,
    /// What the bytes of an upload are on their way.
    pub encoding: Encoding,
}

impl Default for CopyOptions {
    fn default() -> CopyOptions {
        CopyOptions { preserve: false, umask: 0o022, resume: true, encoding: Encoding::Raw }
    }
}

/// How far a copy is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress {
    /// A file begins, or goes on after `offset` bytes that an earlier copy has left.
    File {
        /// Its name, for people.
        name: String,
        /// How many bytes it has; none if that is not known before its end.
        size: Option<u64>,
        /// How many of them are there already.
        offset: u64,
    },
    /// More bytes of it are on their way, or here.
    Bytes(u64),
    /// It is complete and checked.
    Done,
    /// Something is copied, and not all of what was asked for is kept.
    Noted {
        /// What.
        name: String,
        /// What is not.
        what: String,
    },
    /// Something in a directory is left out.
    Skipped {
        /// What.
        name: String,
        /// Why.
        reason: String,
    },
}

/// What a copy has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Copied {
    /// How many files are complete.
    pub files: u64,
    /// How many bytes were copied now.
    pub bytes: u64,
    /// How many bytes an earlier copy had left.
    pub resumed: u64,
    /// How much in directories was left out: what is neither file nor directory, or can't be read.
    pub skipped: u64,
}

impl Copied {
    pub(super) fn add(&mut self, other: Copied) {
        self.files += other.files;
        self.bytes += other.bytes;
        self.resumed += other.resumed;
        self.skipped += other.skipped;
    }
}

/// Carries out copies to and from one node.
pub struct Copier<'a, N> {
    pub(super) node: &'a N,
    pub(super) marker: Marker,
    pub(super) options: CopyOptions,
    pub(super) progress: &'a (dyn Fn(Progress) + Sync),
}

impl<'a, N> Copier<'a, N> {
    /// Copies to and from this node. `random` makes the scripts' answers unguessable; `progress` is told how far a copy
    /// is, and must not wait.
    pub fn new(
        node: &'a N,
        random: [u8; 16],
        options: CopyOptions,
        progress: &'a (dyn Fn(Progress) + Sync),
    ) -> Copier<'a, N> {
        Copier { node, marker: Marker::new(random), options, progress }
    }

    /// Says which permissions are not kept: whoever the file belongs to then may be somebody else.
    pub(super) fn note_lost_bits(&self, name: impl fmt::Display, mode: u32) {
        if self.options.preserve && mode & 0o7000 != 0 {
            let what = "its setuid, setgid and sticky bits are not kept".to_owned();
            (self.progress)(Progress::Noted { name: name.to_string(), what });
        }
    }

    pub(super) fn skip(&self, name: String, reason: String) -> Copied {
        (self.progress)(Progress::Skipped { name, reason });
        Copied { skipped: 1, ..Copied::default() }
    }
}

/// Where the tree of a copied directory begins: below a directory that is there, or in place of one that isn't.
pub(super) fn named_below(directory: &RemotePath, name: Option<&[u8]>) -> Option<RemotePath> {
    name.and_then(|name| directory.join(name))
}

/// The same on this machine.
pub(super) fn local_below(directory: PathBuf, name: Option<&[u8]>) -> PathBuf {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    match name {
        Some(name) if directory.is_dir() => directory.join(OsStr::from_bytes(name)),
        _ => directory,
    }
}
