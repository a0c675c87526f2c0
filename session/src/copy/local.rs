//! Files of this machine: what is read for an upload, and what a download is written to.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use ring::digest::{Context, SHA256, digest};

use super::CopyError;
use super::upload::hex;

/// How many bytes are read at once.
pub(super) const BLOCK: usize = 128 << 10;

/// A SHA-256 that is made while bytes go by.
#[derive(Clone)]
pub(super) struct Hash(Context);

impl Hash {
    pub(super) fn new() -> Hash {
        Hash(Context::new(&SHA256))
    }

    pub(super) fn add(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// In hexadecimal, of what has gone by so far.
    pub(super) fn shown(&self) -> String {
        hex(self.0.clone().finish().as_ref())
    }

    /// Reads so many bytes of a file and adds them; false if the file has fewer.
    pub(super) fn add_from(&mut self, file: &mut File, count: u64) -> io::Result<bool> {
        let mut left = count;
        let mut block = vec![0; BLOCK];
        while left > 0 {
            let wanted = usize::try_from(left).unwrap_or(BLOCK).min(BLOCK);
            let read = file.read(block.get_mut(..wanted).unwrap_or_default())?;
            if read == 0 {
                return Ok(false);
            }
            self.add(block.get(..read).unwrap_or_default());
            left -= read as u64;
        }
        Ok(true)
    }
}

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
    /// When it was last changed, in seconds since 1970.
    pub(super) modified_unix: Option<i64>,
}

/// A file on its way to a destination of this machine. Until it is complete it lies beside it, for its owner only.
pub(super) struct Incoming {
    destination: PathBuf,
    part: PathBuf,
    file: File,
    hash: Hash,
    length: u64,
}

impl Incoming {
    /// What an earlier copy to this destination has left: how many bytes, and their hash.
    pub(super) fn left(destination: &Path) -> Result<Option<(u64, String)>, CopyError> {
        let destination = resolved(destination);
        let part = part_of(&destination);
        let read = || -> io::Result<Option<(u64, String)>> {
            let Some(mut file) = open_part(OpenOptions::new().read(true), &part)? else { return Ok(None) };
            let length = file.metadata()?.len();
            let mut hash = Hash::new();
            hash.add_from(&mut file, length)?;
            Ok((length > 0).then(|| (length, hash.shown())))
        };
        read().map_err(CopyError::local("read", part.clone()))
    }

    /// Begins, or goes on after so many bytes of an earlier copy.
    pub(super) fn begin(destination: &Path, offset: u64) -> Result<Incoming, CopyError> {
        let destination = resolved(destination);
        let part = part_of(&destination);
        let open = || -> io::Result<(File, Hash)> {
            let mut options = OpenOptions::new();
            options.read(true).write(true);
            let mut file = match open_part(&mut options, &part)? {
                Some(file) => file,
                // Made by nobody else: what is readable for others, or a link, never gets a byte.
                None => options.create_new(true).mode(0o600).open(&part)?,
            };
            file.set_len(offset)?;
            let mut hash = Hash::new();
            hash.add_from(&mut file, offset)?;
            file.seek(SeekFrom::Start(offset))?;
            Ok((file, hash))
        };
        let (file, hash) = open().map_err(CopyError::local("write", part.clone()))?;
        Ok(Incoming { destination, part, file, hash, length: offset })
    }

    pub(super) fn add(&mut self, bytes: &[u8]) -> Result<(), CopyError> {
        self.hash.add(bytes);
        self.length += bytes.len() as u64;
        self.file.write_all(bytes).map_err(CopyError::local("write", self.part.clone()))
    }

    /// How many bytes there are.
    pub(super) fn length(&self) -> u64 {
        self.length
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
            if let Some(time) = finish.modified_unix.and_then(time_of) {
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

/// An earlier part, if it is a file of its own.
fn open_part(options: &mut OpenOptions, part: &Path) -> io::Result<Option<File>> {
    match fs::symlink_metadata(part) {
        Ok(metadata) if metadata.is_file() => options.open(part).map(Some),
        Ok(_) => fs::remove_file(part).map(|()| None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// A link is followed, so that the file that it points to is written, and not the link replaced.
fn resolved(path: &Path) -> PathBuf {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_symlink() => fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()),
        _ => path.to_owned(),
    }
}

fn time_of(unix: i64) -> Option<SystemTime> {
    let distance = Duration::from_secs(unix.unsigned_abs());
    match unix {
        0.. => SystemTime::UNIX_EPOCH.checked_add(distance),
        _ => SystemTime::UNIX_EPOCH.checked_sub(distance),
    }
}

/// Something in a directory of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LocalEntry {
    pub(super) path: PathBuf,
    /// Below the directory; empty for itself.
    pub(super) name: PathBuf,
    pub(super) is_directory: bool,
    pub(super) size: u64,
}

/// What a directory has in it, directories before what is in them; links to files count as files. Second: what can't be
/// copied, links to directories among it.
pub(super) fn walk(directory: &Path) -> Result<(Vec<LocalEntry>, Vec<PathBuf>), CopyError> {
    let (mut entries, mut skipped) = (Vec::new(), Vec::new());
    let mut to_do = vec![PathBuf::new()];
    while let Some(name) = to_do.pop() {
        let path = directory.join(&name);
        entries.push(LocalEntry { path: path.clone(), name: name.clone(), is_directory: true, size: 0 });
        let list = || fs::read_dir(&path)?.collect::<io::Result<Vec<_>>>();
        let mut found = list().map_err(CopyError::local("read", path.clone()))?;
        found.sort_by_key(|entry| entry.file_name());
        let mut below = Vec::new();
        for entry in found {
            let (path, name) = (entry.path(), name.join(entry.file_name()));
            let kind = entry.file_type().map_err(CopyError::local("read", path.clone()))?;
            match fs::metadata(&path) {
                Ok(metadata) if metadata.is_file() => {
                    entries.push(LocalEntry { path, name, is_directory: false, size: metadata.len() });
                }
                _ if kind.is_dir() => below.push(name),
                _ => skipped.push(path),
            }
        }
        to_do.extend(below.into_iter().rev());
    }
    Ok((entries, skipped))
}
