//! Hashes of files of this machine, and what is in its directories.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use ring::digest::{Context, SHA256};

use super::upload::hex;
use super::{CopyError, Reason};

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

/// Something in a directory of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LocalEntry {
    pub(super) path: PathBuf,
    /// Below the directory; empty for itself.
    pub(super) name: PathBuf,
    pub(super) is_directory: bool,
    pub(super) size: u64,
}

/// What can't be copied, and why.
pub(super) type LeftOut = (PathBuf, String);

/// What a directory has in it, directories before what is in them; links to files count as files. Second: what can't be
/// copied, links to directories among it, and why.
pub(super) fn walk(directory: &Path) -> Result<(Vec<LocalEntry>, Vec<LeftOut>), CopyError> {
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
                Ok(metadata) if metadata.is_dir() => {
                    skipped.push((path, Reason::LinkToDirectory.to_string()));
                }
                Ok(_) => skipped.push((path, Reason::Special.to_string())),
                Err(error) => skipped.push((path, error.to_string())),
            }
        }
        to_do.extend(below.into_iter().rev());
    }
    Ok((entries, skipped))
}
