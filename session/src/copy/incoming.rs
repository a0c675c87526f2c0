//! What a download is written to: a part beside its destination, until it is complete.

use std::fs::{self, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Seek, SeekFrom, Write};
use std::ops::{Deref, DerefMut};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use ring::digest::{SHA256, digest};
use rustix::fs::OFlags;

use super::local::Hash;
use super::upload::hex;
use super::{CopyError, FileTime};

/// How often a part is taken that another copy has just put into its place.
const ATTEMPTS: u32 = 8;

/// The name that a file has while it is incomplete.
fn part_of(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().as_bytes();
    let shown = match name.len() {
        ..=200 => name.to_vec(),
        _ => hex(digest(&SHA256, name).as_ref().iter().take(16)).into_bytes(),
    };
    let part = [b".", &shown[..], b".herder-part"].concat();
    path.with_file_name(std::ffi::OsString::from_vec(part))
}

/// How a file that is complete is left.
#[derive(Debug, Clone, Copy)]
pub(super) struct Finish {
    /// Its permissions, if there is no file yet or they are to be exact.
    pub(super) mode: u32,
    /// Whether they replace those of a file that is there.
    pub(super) is_exact: bool,
    /// When it was last changed; now, if absent.
    pub(super) modified: Option<FileTime>,
}

/// A file on its way to a destination of this machine. Until it is complete it lies beside it, for its owner only, and
/// no other copy writes to it.
pub(super) struct Incoming {
    destination: PathBuf,
    part: PathBuf,
    file: Locked,
    hash: Hash,
    length: u64,
}

impl Incoming {
    /// What an earlier copy to this destination has left: how many bytes, and their hash.
    ///
    /// # Errors
    /// It can't be read, or another copy writes to it.
    pub(super) fn left(destination: &Path) -> Result<Option<(u64, String)>, CopyError> {
        let destination = resolved(destination);
        let part = part_of(&destination);
        let read = || -> io::Result<Option<(u64, String)>> {
            let Some(file) = open_part(&part)? else { return Ok(None) };
            let mut file = Locked::new(file)?;
            let length = file.metadata()?.len();
            let mut hash = Hash::new();
            hash.add_from(&mut file, length)?;
            Ok((length > 0).then(|| (length, hash.shown())))
        };
        read().map_err(CopyError::local("read", part.clone()))
    }

    /// Begins, or goes on after so many bytes of an earlier copy.
    ///
    /// # Errors
    /// It can't be written, or another copy writes to it.
    pub(super) fn begin(destination: &Path, offset: u64) -> Result<Incoming, CopyError> {
        let destination = resolved(destination);
        let part = part_of(&destination);
        let open = || -> io::Result<(Locked, Hash)> {
            let mut file = take_part(&part)?;
            let mut hash = Hash::new();
            if !hash.add_from(&mut file, offset)? {
                return Err(io::Error::other("another copy has begun it anew"));
            }
            file.set_len(offset)?;
            file.seek(SeekFrom::Start(offset))?;
            Ok((file, hash))
        };
        let (file, hash) = open().map_err(CopyError::local("write", part.clone()))?;
        Ok(Incoming { destination, part, file, hash, length: offset })
    }

    pub(super) fn add(&mut self, bytes: &[u8]) -> Result<(), CopyError> {
        self.hash.add(bytes);
        self.length += bytes.len() as u64;
        let written = self.file.write_all(bytes);
        // Nobody goes on where there is no room: it is given back.
        if written.as_ref().is_err_and(is_full) {
            let _ = fs::remove_file(&self.part);
        }
        written.map_err(CopyError::local("write", self.part.clone()))
    }

    /// Where it is to be.
    pub(super) fn destination(&self) -> &Path {
        &self.destination
    }

    /// How many bytes there are, and their hash: what goes on from here; none of nothing.
    pub(super) fn have(&self) -> Option<(u64, String)> {
        (self.length > 0).then(|| (self.length, self.hash.shown()))
    }

    /// How many bytes there are.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Removes it.
    pub(super) fn discard(self) -> Result<(), CopyError> {
        fs::remove_file(&self.part).map_err(CopyError::local("remove", self.part.clone()))
    }

    /// Checks the hash and puts the file into its place. What does not have the hash is removed.
    pub(super) fn finish(self, expected: &str, finish: Finish) -> Result<(), CopyError> {
        let found = self.hash.shown();
        if found != expected {
            fs::remove_file(&self.part).map_err(CopyError::local("remove", self.part.clone()))?;
            let path = self.destination.display().to_string();
            return Err(CopyError::Differs { path, expected: expected.to_owned(), found });
        }
        let place = || -> io::Result<()> {
            let kept = fs::metadata(&self.destination).ok().filter(|_| !finish.is_exact);
            let mode = kept.map_or(finish.mode, |metadata| metadata.mode());
            self.file.set_permissions(fs::Permissions::from_mode(mode & 0o777))?;
            if let Some(time) = finish.modified.and_then(FileTime::for_system) {
                self.file.set_modified(time)?;
            }
            self.file.sync_all()?;
            fs::rename(&self.part, &self.destination)?;
            let directory = self.destination.parent().filter(|path| !path.as_os_str().is_empty());
            File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
        };
        place().map_err(CopyError::local("write", self.destination.clone()))
    }
}

/// The part, for this copy only: an earlier one, or a new one.
fn take_part(part: &Path) -> io::Result<Locked> {
    for _ in 0..ATTEMPTS {
        let made = || OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(part);
        let file = match open_part(part)?.map_or_else(made, Ok) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => continue,
            file => Locked::new(file?)?,
        };
        // Until it was locked, another copy may have completed it, and put it into its place.
        let (held, named) = (file.metadata()?, fs::symlink_metadata(part));
        if named.is_ok_and(|named| (named.dev(), named.ino()) == (held.dev(), held.ino())) {
            return Ok(file);
        }
    }
    Err(is_busy())
}

/// What an earlier copy has left. Anything else of that name is removed: in what somebody else has made, or has a name
/// for, its owner could read along, or change what has been checked.
fn open_part(part: &Path) -> io::Result<Option<File>> {
    match fs::symlink_metadata(part) {
        Ok(metadata) if is_ours(&metadata) => {}
        Ok(_) => return fs::remove_file(part).map(|()| None),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    }
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let file = match OpenOptions::new().read(true).write(true).custom_flags(flags).open(part) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    match is_ours(&file.metadata()?) {
        true => Ok(Some(file)),
        false => Err(io::Error::other("somebody else replaces it")),
    }
}

/// A regular file of this user, under no other name, that nobody else may read or write.
fn is_ours(metadata: &Metadata) -> bool {
    let owner = rustix::process::geteuid().as_raw();
    metadata.is_file() && metadata.uid() == owner && metadata.nlink() == 1 && metadata.mode() & 0o677 == 0o600
}

/// A part that only one copy has: two that wrote to it would make a mixture of it, and each would have checked its own
/// bytes.
struct Locked(File);

impl Locked {
    fn new(part: File) -> io::Result<Locked> {
        match part.try_lock() {
            Err(TryLockError::WouldBlock) => Err(is_busy()),
            // Not every file system has locks.
            Ok(()) | Err(TryLockError::Error(_)) => Ok(Locked(part)),
        }
    }
}

impl Drop for Locked {
    /// Closing it would not do while a process that was just started has it open too.
    fn drop(&mut self) {
        // Where there are no locks there is none to give up.
        let _ = self.0.unlock();
    }
}

impl Deref for Locked {
    type Target = File;

    fn deref(&self) -> &File {
        &self.0
    }
}

impl DerefMut for Locked {
    fn deref_mut(&mut self) -> &mut File {
        &mut self.0
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}

fn is_busy() -> io::Error {
    io::Error::new(ErrorKind::WouldBlock, "another copy to the same path is under way")
}

/// Whether there is a device, a pipe or a socket, which a file must not replace.
pub(super) fn is_special(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir())
}

/// A link is followed, so that the file that it points to is written, and not the link replaced.
fn resolved(path: &Path) -> PathBuf {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_symlink() => fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()),
        _ => path.to_owned(),
    }
}
