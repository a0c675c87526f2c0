//! A file of this machine that is sent.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use bytes::Bytes;
use rustix::fs::OFlags;

use super::local::{BLOCK, Hash};
use super::{CopyError, FileTime, Reason};

/// A regular file to be sent.
pub(super) struct Outgoing<'a> {
    pub(super) path: &'a Path,
    file: File,
    /// How many bytes it says it has.
    pub(super) size: u64,
    pub(super) mode: u32,
    pub(super) modified: FileTime,
}

impl Outgoing<'_> {
    pub(super) fn open(path: &Path) -> Result<Outgoing<'_>, CopyError> {
        // If it has become a pipe, nobody waits for its other end.
        let flags = OFlags::NONBLOCK.bits().cast_signed();
        let opened = OpenOptions::new().read(true).custom_flags(flags).open(path);
        let file = opened.map_err(CopyError::local("read", path))?;
        let metadata = file.metadata().map_err(CopyError::local("read", path))?;
        let reason = match metadata.is_dir() {
            true => Reason::IsDirectory,
            false => Reason::Special,
        };
        if !metadata.is_file() {
            return Err(CopyError::local("copy", path)(io::Error::other(reason.to_string())));
        }
        let nanos = u32::try_from(metadata.mtime_nsec()).unwrap_or_default();
        let modified = FileTime { seconds: metadata.mtime(), nanos };
        Ok(Outgoing { path, file, size: metadata.len(), mode: metadata.mode(), modified })
    }

    /// Whether it says that it is empty and is not, as the kernel's files do. Stays at its beginning.
    pub(super) fn hides_its_size(&mut self) -> Result<bool, CopyError> {
        if self.size > 0 {
            return Ok(false);
        }
        let first = self.file.read(&mut [0]);
        let first = first.and_then(|count| self.file.rewind().map(|()| count));
        first.map(|count| count > 0).map_err(CopyError::local("read", self.path))
    }

    /// To be read to its end, however much that is.
    pub(super) fn into_stream(self) -> tokio::fs::File {
        tokio::fs::File::from_std(self.file)
    }

    /// Goes to this place, if what lies before it has this hash; otherwise stays at the beginning.
    pub(super) async fn begins_with(
        &mut self,
        count: u64,
        expected: String,
    ) -> Result<Option<Hash>, CopyError> {
        let read = self.file.try_clone().map(|mut file| {
            tokio::task::spawn_blocking(move || -> io::Result<Option<Hash>> {
                let mut hash = Hash::new();
                let is_whole = hash.add_from(&mut file, count)?;
                let is_same = is_whole && hash.shown() == expected;
                file.seek(SeekFrom::Start(if is_same { count } else { 0 }))?;
                Ok(is_same.then_some(hash))
            })
        });
        let read = match read {
            Ok(reading) => reading.await.map_err(io::Error::other).flatten(),
            Err(error) => Err(error),
        };
        read.map_err(CopyError::local("read", self.path))
    }

    /// The next bytes, as many as there are up to a block and `left`.
    pub(super) fn read(&mut self, left: u64) -> Result<Bytes, CopyError> {
        let wanted = usize::try_from(left).unwrap_or(BLOCK).min(BLOCK);
        let mut block = vec![0; wanted];
        let count = self.file.read(&mut block).map_err(CopyError::local("read", self.path))?;
        block.truncate(count);
        match count {
            0 => Err(CopyError::Changed(self.path.display().to_string())),
            _ => Ok(block.into()),
        }
    }
}
