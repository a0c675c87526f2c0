//! [`Body`]: what a node wrote to one of its streams. A short one is held in memory, a long one is a part of a file, so
//! that memory does not grow with what nodes print.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tokio::io::AsyncWriteExt as _;

/// Bodies up to this many bytes are held in memory.
pub const IN_MEMORY: u64 = 64 * 1024;
/// Bytes of a piece.
const PIECE: usize = 64 * 1024;

/// Bytes a node wrote. Cheap to clone. In JSON: a string, invalid UTF-8 as U+FFFD.
#[derive(Clone, Debug)]
pub struct Body(Held);

#[derive(Clone, Debug)]
enum Held {
    Memory(Arc<[u8]>),
    File(FilePart),
}

#[derive(Clone, Debug)]
struct FilePart {
    file: Arc<File>,
    offset: u64,
    len: u64,
    /// Why it could not be read to its end where nobody could be told at once.
    trouble: Arc<OnceLock<(io::ErrorKind, String)>>,
}

impl Body {
    /// A part of a file, which has to stay as it is.
    pub(crate) fn in_file(file: Arc<File>, offset: u64, len: u64) -> Body {
        Body(Held::File(FilePart { file, offset, len, trouble: Arc::default() }))
    }

    /// Whether nothing was written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        match &self.0 {
            Held::Memory(bytes) => bytes.len() as u64,
            Held::File(part) => part.len,
        }
    }

    /// The bytes, exactly, if they are in memory.
    #[must_use]
    pub fn in_memory(&self) -> Option<&[u8]> {
        match &self.0 {
            Held::Memory(bytes) => Some(bytes),
            Held::File(_) => None,
        }
    }

    /// Hands over all bytes, exactly, a piece at a time.
    ///
    /// # Errors
    /// The file can't be read, or whoever takes the pieces has had enough.
    pub fn for_each_piece(&self, mut take: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        match &self.0 {
            Held::Memory(bytes) if bytes.is_empty() => Ok(()),
            Held::Memory(bytes) => take(bytes),
            Held::File(part) => {
                let mut buffer = vec![0; PIECE.min(usize::try_from(part.len).unwrap_or(PIECE))];
                let mut at = 0;
                while at < part.len {
                    let count = (part.len - at).min(PIECE as u64);
                    let piece = buffer.get_mut(..usize::try_from(count).unwrap_or(PIECE));
                    let piece = piece.ok_or(io::ErrorKind::InvalidInput)?;
                    part.file.read_exact_at(piece, part.offset + at)?;
                    take(piece)?;
                    at += count;
                }
                Ok(())
            }
        }
    }

    /// Hands over the text, invalid UTF-8 as U+FFFD, a piece at a time.
    ///
    /// # Errors
    /// As [`Body::for_each_piece`].
    pub fn for_each_text(&self, mut take: impl FnMut(&str) -> io::Result<()>) -> io::Result<()> {
        let mut text = LossyText::default();
        self.for_each_piece(|piece| text.push(piece, &mut take))?;
        text.finish(take)
    }

    /// At most this many bytes of its beginning.
    ///
    /// # Errors
    /// The file can't be read.
    pub fn head(&self, most: u64) -> io::Result<Vec<u8>> {
        self.part(0, most)
    }

    /// At most this many bytes of its end.
    ///
    /// # Errors
    /// The file can't be read.
    pub fn tail(&self, most: u64) -> io::Result<Vec<u8>> {
        self.part(self.len().saturating_sub(most), most)
    }

    fn part(&self, from: u64, most: u64) -> io::Result<Vec<u8>> {
        let count = usize::try_from(self.len().saturating_sub(from).min(most)).map_err(io::Error::other)?;
        match &self.0 {
            Held::Memory(bytes) => {
                let from = usize::try_from(from).map_err(io::Error::other)?;
                Ok(bytes.iter().skip(from).take(count).copied().collect())
            }
            Held::File(part) => {
                let mut bytes = vec![0; count];
                part.file.read_exact_at(&mut bytes, part.offset + from)?;
                Ok(bytes)
            }
        }
    }

    /// Why it is not whole where it was written as JSON: its file could not be read.
    #[must_use]
    pub fn trouble(&self) -> Option<io::Error> {
        let Held::File(part) = &self.0 else { return None };
        part.trouble.get().map(|(kind, text)| io::Error::new(*kind, text.clone()))
    }
}

impl Default for Body {
    fn default() -> Body {
        Body(Held::Memory(Arc::default()))
    }
}

/// By content. A file that can't be read equals nothing.
impl PartialEq for Body {
    fn eq(&self, other: &Body) -> bool {
        if self.len() != other.len() {
            return false;
        }
        let mut at = 0;
        let same = self.for_each_piece(|piece| {
            let equal = other.part(at, piece.len() as u64)? == piece;
            at += piece.len() as u64;
            if equal { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) }
        });
        same.is_ok()
    }
}

impl Eq for Body {}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Body {
        Body(Held::Memory(bytes.into()))
    }
}

impl From<String> for Body {
    fn from(text: String) -> Body {
        Body::from(text.into_bytes())
    }
}

impl From<&str> for Body {
    fn from(text: &str) -> Body {
        Body::from(text.as_bytes().to_vec())
    }
}

/// A long body is written piece by piece. If its file can't be read, the string ends there, so that the document around it
/// stays whole, and [`Body::trouble`] says why.
impl Serialize for Body {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Held::Memory(bytes) => serializer.serialize_str(&String::from_utf8_lossy(bytes)),
            Held::File(part) => serializer.collect_str(&Shown { body: self, part }),
        }
    }
}

struct Shown<'a> {
    body: &'a Body,
    part: &'a FilePart,
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut written = Ok(());
        let read = self.body.for_each_text(|text| {
            written = f.write_str(text);
            written.map_err(io::Error::other)
        });
        if let (Ok(()), Err(error)) = (written, read) {
            let _ = self.part.trouble.set((error.kind(), error.to_string()));
        }
        written
    }
}

impl<'de> Deserialize<'de> for Body {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Body, D::Error> {
        String::deserialize(deserializer).map(Body::from)
    }
}

/// Makes text of bytes that come in pieces, as [`String::from_utf8_lossy`] makes it of the whole.
#[derive(Debug, Default)]
struct LossyText {
    /// Of a character whose rest may come with the next piece.
    pending: Vec<u8>,
}

impl LossyText {
    fn push(&mut self, piece: &[u8], mut take: impl FnMut(&str) -> io::Result<()>) -> io::Result<()> {
        let joined;
        let bytes = if self.pending.is_empty() {
            piece
        } else {
            joined = [std::mem::take(&mut self.pending).as_slice(), piece].concat();
            joined.as_slice()
        };
        if let Ok(text) = std::str::from_utf8(bytes) {
            return take(text);
        }
        let (mut left, mut text) = (bytes.len(), String::with_capacity(bytes.len()));
        for chunk in bytes.utf8_chunks() {
            left -= chunk.valid().len() + chunk.invalid().len();
            text.push_str(chunk.valid());
            match chunk.invalid() {
                [] => {}
                rest if left == 0 => self.pending = rest.to_vec(),
                _ => text.push('\u{fffd}'),
            }
        }
        take(&text)
    }

    fn finish(self, mut take: impl FnMut(&str) -> io::Result<()>) -> io::Result<()> {
        if self.pending.is_empty() { Ok(()) } else { take("\u{fffd}") }
    }
}

/// Collects a body that comes in pieces: in memory while it is short, then in a file without a name, which is gone when
/// nobody refers to it any more, however the process ends.
#[derive(Debug)]
pub struct BodyWriter {
    directory: PathBuf,
    memory: Vec<u8>,
    file: Option<tokio::fs::File>,
    len: u64,
}

impl BodyWriter {
    /// Nothing is made in the directory before it is needed.
    #[must_use]
    pub fn new(directory: &Path) -> BodyWriter {
        BodyWriter { directory: directory.to_owned(), memory: Vec::new(), file: None, len: 0 }
    }

    /// Bytes so far.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether nothing has come.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds a piece.
    ///
    /// # Errors
    /// The disk is full or the directory is not writable.
    pub async fn write(&mut self, piece: &[u8]) -> io::Result<()> {
        self.len += piece.len() as u64;
        if self.file.is_none() {
            if self.len <= IN_MEMORY {
                self.memory.extend_from_slice(piece);
                return Ok(());
            }
            let mut file = tokio::fs::File::from_std(nameless(&self.directory)?);
            file.write_all(&std::mem::take(&mut self.memory)).await?;
            self.file = Some(file);
        }
        match &mut self.file {
            Some(file) => file.write_all(piece).await,
            None => Ok(()),
        }
    }

    /// The whole.
    ///
    /// # Errors
    /// The disk is full.
    pub async fn finish(self) -> io::Result<Body> {
        match self.file {
            None => Ok(Body::from(self.memory)),
            Some(mut file) => {
                file.flush().await?;
                Ok(Body::in_file(Arc::new(file.into_std().await), 0, self.len))
            }
        }
    }
}

/// A file that has lost its name already.
fn nameless(directory: &Path) -> io::Result<File> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let path = directory.join(format!(".body.{}.{number}", std::process::id()));
    let file =
        OpenOptions::new().create(true).truncate(true).read(true).write(true).mode(0o600).open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(body: &Body) -> String {
        let mut text = String::new();
        body.for_each_text(|piece| {
            text.push_str(piece);
            Ok(())
        })
        .unwrap();
        text
    }

    /// The same bytes, in a file.
    fn filed(bytes: &[u8]) -> Body {
        let directory = tempfile::tempdir().unwrap();
        let file = nameless(directory.path()).unwrap();
        file.write_all_at(bytes, 7).unwrap();
        Body::in_file(Arc::new(file), 7, bytes.len() as u64)
    }

    proptest! {
        #![proptest_config(crate::tests::cases(256))]

        #[test]
        fn text_in_pieces_is_the_text_of_the_whole(
            bytes in proptest::collection::vec(prop_oneof![any::<u8>(), Just(0xe2), Just(0x82), Just(0xac), Just(b'a')], 0..40),
            cuts in proptest::collection::vec(0_usize..40, 0..4),
        ) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let (mut lossy, mut made) = (LossyText::default(), String::new());
            let mut take = |text: &str| { made.push_str(text); Ok(()) };
            for pair in cuts.windows(2) {
                lossy.push(&bytes[pair[0]..pair[1]], &mut take).unwrap();
            }
            lossy.finish(&mut take).unwrap();
            prop_assert_eq!(made, String::from_utf8_lossy(&bytes));
        }

        #[test]
        fn a_body_in_a_file_is_like_one_in_memory(bytes in proptest::collection::vec(any::<u8>(), 0..300), most in 0_u64..400) {
            let (memory, file) = (Body::from(bytes.clone()), filed(&bytes));
            prop_assert_eq!(&memory, &file);
            prop_assert_eq!(memory.head(most).unwrap(), file.head(most).unwrap());
            prop_assert_eq!(memory.tail(most).unwrap(), file.tail(most).unwrap());
            prop_assert_eq!(text(&memory), text(&file));
            prop_assert_eq!(serde_json::to_string(&memory).unwrap(), serde_json::to_string(&file).unwrap());
            prop_assert!(file.trouble().is_none());
        }
    }

    #[tokio::test]
    async fn a_long_body_leaves_memory_and_no_name() {
        let directory = tempfile::tempdir().unwrap();
        let (mut writer, mut whole) = (BodyWriter::new(directory.path()), Vec::new());
        for n in 0..30_u8 {
            let piece = vec![n; 10_000];
            writer.write(&piece).await.unwrap();
            whole.extend(piece);
        }
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
        let body = writer.finish().await.unwrap();
        assert_eq!((body.len(), body.in_memory()), (300_000, None));
        assert_eq!(body, Body::from(whole.clone()));
        whole[299_999] = 0;
        assert_ne!(body, Body::from(whole));

        let mut short = BodyWriter::new(Path::new("/nowhere"));
        short.write(b"short").await.unwrap();
        assert_eq!(short.finish().await.unwrap().in_memory(), Some(&b"short"[..]));
        let mut lost = BodyWriter::new(Path::new("/nowhere"));
        lost.write(&vec![0; 70_000]).await.unwrap_err();
    }

    #[test]
    fn json_stays_whole_when_a_file_was_cut() {
        let Body(Held::File(mut part)) = filed(&vec![b'x'; 100_000]) else { panic!("in memory") };
        part.len = 200_000;
        let cut = Body(Held::File(part));
        let written = serde_json::to_string(&(&cut, 1)).unwrap();
        assert!(written.starts_with("[\"xxx") && written.ends_with("x\",1]"));
        assert_eq!(cut.trouble().unwrap().kind(), io::ErrorKind::UnexpectedEof);
        assert!(cut.head(150_000).is_err());
    }
}
