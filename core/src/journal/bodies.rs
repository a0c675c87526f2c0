//! [`Bodies`]: what nodes wrote, kept once on disk beside the events, so that memory doesn't grow with the
//! fleet's output.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::body::{Body, IN_MEMORY};

/// Where a body lies in the run's `output/bodies`. Equal contents have equal references: folding compares these.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BodyRef {
    /// Bytes from the start of the file; 0 for an empty body.
    pub offset: u64,
    /// Bytes.
    pub len: u64,
}

/// The two streams of one target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StoredOutput {
    /// Standard output.
    pub stdout: BodyRef,
    /// Standard error.
    pub stderr: BodyRef,
}

/// An append-only file of distinct bodies. Each is stored once, however many nodes wrote it.
#[derive(Debug)]
pub struct Bodies {
    file: Arc<File>,
    end: u64,
    known: HashMap<[u8; 16], BodyRef>,
}

impl Bodies {
    /// Opens (or makes, mode 0600) the file. A body that an earlier process left half-written at the end is harmless:
    /// no event refers to it.
    ///
    /// # Errors
    /// The file can't be opened.
    pub fn open(path: &Path) -> io::Result<Bodies> {
        let file = OpenOptions::new().create(true).read(true).append(true).mode(0o600).open(path)?;
        let end = file.metadata()?.len();
        Ok(Bodies { file: Arc::new(file), end, known: HashMap::new() })
    }

    /// Opens the file of a finished run to read from it.
    ///
    /// # Errors
    /// The file can't be opened.
    pub fn open_read_only(path: &Path) -> io::Result<Bodies> {
        let file = File::open(path)?;
        let end = file.metadata()?.len();
        Ok(Bodies { file: Arc::new(file), end, known: HashMap::new() })
    }

    /// Stores a body and says where it is.
    ///
    /// # Errors
    /// The disk is full or the file can't be written.
    pub fn put(&mut self, body: &Body) -> io::Result<BodyRef> {
        if body.is_empty() {
            return Ok(BodyRef::default());
        }
        match body.in_memory() {
            Some(bytes) => self.put_short(bytes),
            None => self.put_long(body),
        }
    }

    fn put_short(&mut self, bytes: &[u8]) -> io::Result<BodyRef> {
        let key = key_of(Sha256::digest(bytes));
        if let Some(known) = self.known.get(&key) {
            return Ok(*known);
        }
        if let Err(error) = (&*self.file).write_all(bytes) {
            self.note_short_write();
            return Err(error);
        }
        Ok(self.note(key, bytes.len() as u64))
    }

    /// Written while it is read, so that it is read once; taken back if it turns out to be there already.
    fn put_long(&mut self, body: &Body) -> io::Result<BodyRef> {
        let mut digest = Sha256::new();
        let copied = body.for_each_piece(|piece| {
            digest.update(piece);
            (&*self.file).write_all(piece)
        });
        if let Err(error) = copied {
            // Nothing refers to what was written of it; on a full disk others need the room.
            let _ = self.file.set_len(self.end);
            self.note_short_write();
            return Err(error);
        }
        let key = key_of(digest.finalize());
        if let Some(known) = self.known.get(&key).copied() {
            self.file.set_len(self.end)?;
            return Ok(known);
        }
        Ok(self.note(key, body.len()))
    }

    fn note(&mut self, key: [u8; 16], len: u64) -> BodyRef {
        let reference = BodyRef { offset: self.end, len };
        self.end += len;
        self.known.insert(key, reference);
        reference
    }

    /// A short write leaves bytes that nothing refers to; what comes after must know where it starts.
    fn note_short_write(&mut self) {
        self.end = self.file.metadata().map_or(self.end, |m| m.len());
    }

    /// Reads a body back. A long one stays where it is, and is read when somebody wants it.
    ///
    /// # Errors
    /// The file was cut or can't be read.
    pub fn read(&self, reference: BodyRef) -> io::Result<Body> {
        if reference.len == 0 {
            return Ok(Body::default());
        }
        let end = reference.offset.checked_add(reference.len);
        // The file may have grown since: a renderer reads while the journal writes.
        if end.is_none_or(|end| end > self.end)
            && end.is_none_or(|end| self.on_disk().is_none_or(|now| end > now))
        {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the output file is shorter than its events say",
            ));
        }
        if reference.len > IN_MEMORY {
            return Ok(Body::in_file(Arc::clone(&self.file), reference.offset, reference.len));
        }
        let len = usize::try_from(reference.len).map_err(io::Error::other)?;
        let mut bytes = vec![0; len];
        self.file.read_exact_at(&mut bytes, reference.offset)?;
        Ok(Body::from(bytes))
    }
}

fn key_of(digest: impl IntoIterator<Item = u8>) -> [u8; 16] {
    let mut key = [0_u8; 16];
    key.iter_mut().zip(digest).for_each(|(k, d)| *k = d);
    key
}

impl Bodies {
    fn on_disk(&self) -> Option<u64> {
        self.file.metadata().ok().map(|m| m.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::BodyWriter;

    #[test]
    fn equal_bodies_are_stored_once_and_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bodies");
        let mut bodies = Bodies::open(&path).unwrap();
        let a = bodies.put(&Body::from("up 3 days\n")).unwrap();
        let b = bodies.put(&Body::from(vec![0xff, 0x00, 0x1b])).unwrap();
        assert_eq!(bodies.put(&Body::from("up 3 days\n")).unwrap(), a);
        assert_eq!(bodies.put(&Body::default()).unwrap(), BodyRef::default());
        assert_eq!(bodies.read(a).unwrap(), Body::from("up 3 days\n"));
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 13);

        let again = Bodies::open(&path).unwrap();
        assert_eq!(again.read(b).unwrap(), Body::from(vec![0xff, 0x00, 0x1b]));
        assert!(again.read(BodyRef { offset: 10, len: 4 }).is_err());
        assert!(again.read(BodyRef { offset: u64::MAX, len: 4 }).is_err());
    }

    #[tokio::test]
    async fn long_bodies_are_stored_once_and_stay_on_disk() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bodies");
        let mut bodies = Bodies::open(&path).unwrap();
        let made = async |fill: u8| {
            let mut writer = BodyWriter::new(dir.path());
            writer.write(&vec![fill; 200_000]).await.unwrap();
            writer.finish().await.unwrap()
        };
        bodies.put(&Body::from("first\n")).unwrap();
        let long = bodies.put(&made(b'x').await).unwrap();
        assert_eq!(bodies.put(&made(b'x').await).unwrap(), long);
        // The same, from memory.
        assert_eq!(bodies.put(&Body::from(vec![b'x'; 200_000])).unwrap(), long);
        let other = bodies.put(&made(b'y').await).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 400_006);
        let read = bodies.read(long).unwrap();
        assert_eq!((read.in_memory(), &read), (None, &made(b'x').await));
        assert_eq!(bodies.read(other).unwrap().tail(1).unwrap(), b"y");
    }
}
