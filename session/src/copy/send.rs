//! Uploads.

use std::collections::VecDeque;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::copier::named_below;
use super::local::{Hash, LocalEntry, walk};
use super::outgoing::Outgoing;
use super::talk::{Talk, unexpected};
use super::unfinished::{self, Mark};
use super::upload::{Answer, Destination, Permissions, Request};
use super::{Copied, Copier, CopyError, Encoding, FileTime, Node, Progress, Reason, RemotePath};

/// How many bytes of a stream are announced at once: its length is not known before its end.
const STREAM_BLOCK: usize = 1 << 20;

/// Files up to this size are sent without asking what is there of them, several at a time.
const SMALL: u64 = 256 << 10;

/// How many bytes and files are sent that are not answered.
const AHEAD: (u64, usize) = (1 << 20, 32);

type Conversation<N> = Talk<<N as Node>::Source, <N as Node>::Sink>;

fn encoded_length(length: u64, encoding: Encoding) -> u64 {
    match encoding {
        Encoding::Raw => length,
        Encoding::Base64 => length.div_ceil(3) * 4,
    }
}

fn not_written(path: &RemotePath, reason: Reason) -> CopyError {
    CopyError::node("write", path, reason)
}

impl<N: Node> Copier<'_, N> {
    /// Copies a file of this machine to the node: to this path, or into the directory that it names. What is no regular
    /// file, such as a pipe, and what says that it is empty and is not, is read to its end, as a stream.
    ///
    /// # Errors
    /// The file can't be read or written, no session can be had or it ends. What has arrived stays for the next time,
    /// except of a stream.
    pub async fn upload(&self, source: &Path, destination: &RemotePath) -> Result<Copied, CopyError> {
        let destination = (destination, source.file_name().map(OsStrExt::as_bytes));
        let metadata = std::fs::metadata(source).map_err(CopyError::local("read", source))?;
        if !metadata.is_file() && !metadata.is_dir() {
            // Before the session: somebody may have to begin to write first.
            let opened = tokio::fs::File::open(source).await.map_err(CopyError::local("read", source))?;
            let stream = Stream { bytes: opened, name: source, left: Left::NEW };
            return self.upload_bytes(stream, destination).await;
        }
        let mut outgoing = Outgoing::open(source)?;
        if outgoing.hides_its_size()? {
            let left = self.left_of(&outgoing);
            let stream = Stream { bytes: outgoing.into_stream(), name: source, left };
            return self.upload_bytes(stream, destination).await;
        }
        let mut talk = Conversation::<N>::begin(self.node, &self.marker).await?;
        let copied = self.upload_large(&mut talk, outgoing, destination).await?;
        talk.send(Request::Quit.command()).await?;
        Ok(copied)
    }

    /// Copies what a stream gives to a file of the node. There is nothing to go on with if it fails.
    ///
    /// # Errors
    /// As with [`Copier::upload`]; also, the stream can't be read.
    pub async fn upload_stream(
        &self,
        source: impl AsyncRead + Unpin,
        destination: &RemotePath,
    ) -> Result<Copied, CopyError> {
        let stream = Stream { bytes: source, name: Path::new("-"), left: Left::NEW };
        self.upload_bytes(stream, (destination, None)).await
    }

    async fn upload_bytes(
        &self,
        stream: Stream<'_, impl AsyncRead + Unpin>,
        destination: (&RemotePath, Option<&[u8]>),
    ) -> Result<Copied, CopyError> {
        let mut talk = Conversation::<N>::begin(self.node, &self.marker).await?;
        let copied = self.send_bytes(&mut talk, stream, destination).await?;
        talk.send(Request::Quit.command()).await?;
        Ok(copied)
    }

    /// Sends bytes to their end, block by block.
    async fn send_bytes(
        &self,
        talk: &mut Conversation<N>,
        stream: Stream<'_, impl AsyncRead + Unpin>,
        destination: (&RemotePath, Option<&[u8]>),
    ) -> Result<Copied, CopyError> {
        let Stream { mut bytes, name, left } = stream;
        let (path, _) = self.open(talk, destination).await?;
        (self.progress)(Progress::File { name: name.display().to_string(), size: None, offset: 0 });
        let (mut hash, mut offset) = (Hash::new(), 0);
        loop {
            let mut block = BytesMut::with_capacity(STREAM_BLOCK);
            while block.len() < STREAM_BLOCK {
                if bytes.read_buf(&mut block).await.map_err(CopyError::local("read", name))? == 0 {
                    break;
                }
            }
            hash.add(&block);
            let length = block.len() as u64;
            if length == 0 && offset > 0 {
                break;
            }
            self.announce(talk, (offset, length)).await?;
            talk.send(self.encoded(&block)).await?;
            offset += length;
            (self.progress)(Progress::Bytes(length));
            got(talk.answer().await?, &path, offset)?;
            if length == 0 {
                break;
            }
        }
        self.end(talk, &left.when(&hash), &path).await?;
        Ok(Copied { files: 1, bytes: offset, ..Copied::default() })
    }

    /// Copies a directory of this machine to the node, with all that is in it: into the directory that the path names,
    /// or as that path if there is nothing, or what the same copy has left there when it broke off.
    ///
    /// # Errors
    /// As with [`Copier::upload`]. Files that are complete stay.
    pub async fn upload_tree(&self, source: &Path, destination: &RemotePath) -> Result<Copied, CopyError> {
        let root = source.to_owned();
        let walked = tokio::task::spawn_blocking(move || walk(&root)).await;
        let (entries, skipped) = walked.map_err(|error| CopyError::Garbled(error.to_string()))??;
        let mut talk = Conversation::<N>::begin(self.node, &self.marker).await?;
        let mut copied = Copied::default();
        for (path, reason) in skipped {
            copied.add(self.skip(path.display().to_string(), reason));
        }
        let (root, mark) = self.root_of(&mut talk, source, destination).await?;
        let mut ahead = Ahead::default();
        for entry in &entries {
            let Some(path) = below(&root, entry) else { continue };
            if entry.is_directory {
                self.settle(&mut talk, &mut ahead, &mut copied, Ahead::NONE).await?;
                self.make_directory(&mut talk, &path, entry).await?;
                if let Some(mark) = mark.as_ref().filter(|_| entry.name.as_os_str().is_empty()) {
                    mark.send(&mut talk, &path).await?;
                }
                continue;
            }
            let opened = Outgoing::open(&entry.path)
                .and_then(|mut outgoing| outgoing.hides_its_size().map(|hides| (outgoing, hides)));
            let (outgoing, hides_its_size) = match opened {
                Ok(opened) => opened,
                Err(error) => {
                    copied.add(self.skip(entry.path.display().to_string(), shown(&error)));
                    continue;
                }
            };
            if hides_its_size {
                self.settle(&mut talk, &mut ahead, &mut copied, Ahead::NONE).await?;
                let left = self.left_of(&outgoing);
                let stream = Stream { bytes: outgoing.into_stream(), name: &entry.path, left };
                copied.add(self.send_bytes(&mut talk, stream, (&path, None)).await?);
            } else if outgoing.size > SMALL {
                self.settle(&mut talk, &mut ahead, &mut copied, Ahead::NONE).await?;
                copied.add(self.upload_large(&mut talk, outgoing, (&path, None)).await?);
            } else {
                self.send_small(&mut talk, outgoing, path, &mut ahead).await?;
                let goes_on = talk.is_exact() && !talk.has_stopped();
                let limit = if goes_on { AHEAD } else { Ahead::NONE };
                self.settle(&mut talk, &mut ahead, &mut copied, limit).await?;
            }
        }
        self.settle(&mut talk, &mut ahead, &mut copied, Ahead::NONE).await?;
        if mark.is_some() {
            unfinished::forget(&mut talk, &root).await?;
        }
        talk.send(Request::Quit.command()).await?;
        Ok(copied)
    }

    /// Where the tree of a source begins, and what marks that directory if this copy makes it.
    async fn root_of(
        &self,
        talk: &mut Conversation<N>,
        source: &Path,
        destination: &RemotePath,
    ) -> Result<(RemotePath, Option<Mark>), CopyError> {
        let absolute = std::path::absolute(source).map_err(CopyError::local("read", source))?;
        let below = named_below(destination, absolute.file_name().map(OsStrExt::as_bytes));
        let mark = Mark::of(absolute.as_os_str().as_bytes());
        match (talk.ask(&Request::Open(destination.clone())).await?, below) {
            (Answer::Opened { destination: Destination::Directory, .. }, Some(below)) => {
                match mark.is_there(talk, destination).await? {
                    true => Ok((destination.clone(), Some(mark))),
                    false => Ok((below, None)),
                }
            }
            (Answer::Opened { destination: Destination::New, .. }, Some(_)) => {
                Ok((destination.clone(), Some(mark)))
            }
            (Answer::Opened { destination: Destination::Directory | Destination::New, .. }, None) => {
                Ok((destination.clone(), None))
            }
            (Answer::Opened { .. }, _) => Err(not_written(destination, Reason::NotADirectory)),
            (answer, _) => Err(unexpected(&answer)),
        }
    }

    async fn make_directory(
        &self,
        talk: &mut Conversation<N>,
        path: &RemotePath,
        entry: &LocalEntry,
    ) -> Result<(), CopyError> {
        let metadata = std::fs::metadata(&entry.path).map_err(CopyError::local("read", &entry.path))?;
        self.note_lost_bits(entry.path.display(), metadata.mode());
        // What is in it has to be written yet.
        let mode = self.options.preserve.then(|| metadata.mode() & 0o777 | 0o700);
        match talk.ask(&Request::MakeDirectory { path: path.clone(), mode }).await? {
            Answer::Made => Ok(()),
            Answer::Failed(reason) => Err(CopyError::node("create", path, reason)),
            answer => Err(unexpected(&answer)),
        }
    }

    /// Opens a destination; in a directory, the name that the source has.
    async fn open(
        &self,
        talk: &mut Conversation<N>,
        (destination, name): (&RemotePath, Option<&[u8]>),
    ) -> Result<(RemotePath, u64), CopyError> {
        let mut path = destination.clone();
        if path.is_directory_by_name()
            && let Some(below) = named_below(&path, name)
        {
            path = below;
        }
        for is_first in [true, false] {
            match talk.ask(&Request::Open(path.clone())).await? {
                Answer::Opened { destination: Destination::New | Destination::File, part } => {
                    return Ok((path, part));
                }
                Answer::Opened { destination: Destination::Directory, .. } if is_first => {
                    let below = named_below(&path, name);
                    path = below.ok_or_else(|| not_written(destination, Reason::IsDirectory))?;
                }
                Answer::Opened { destination: Destination::Directory, .. } => break,
                Answer::Opened { .. } => return Err(not_written(&path, Reason::Special)),
                answer => return Err(unexpected(&answer)),
            }
        }
        Err(not_written(&path, Reason::IsDirectory))
    }

    /// Sends a file, going on with what an earlier copy has left of it.
    async fn upload_large(
        &self,
        talk: &mut Conversation<N>,
        mut source: Outgoing<'_>,
        destination: (&RemotePath, Option<&[u8]>),
    ) -> Result<Copied, CopyError> {
        let (path, part) = self.open(talk, destination).await?;
        let mut hash = Hash::new();
        let mut offset = 0;
        if self.options.resume && part > 0 && part <= source.size {
            let Answer::Hash(there) = talk.ask(&Request::Hash(part)).await? else {
                return Err(not_written(&path, Reason::Other(String::new())));
            };
            if let Some(same) = source.begins_with(part, there).await? {
                (hash, offset) = (same, part);
            }
        }
        let name = source.path.display().to_string();
        (self.progress)(Progress::File { name, size: Some(source.size), offset });
        let mut left = source.size - offset;
        self.announce(talk, (offset, left)).await?;
        let mut kept = BytesMut::new();
        while left > 0 {
            let block = source.read(left)?;
            hash.add(&block);
            left -= block.len() as u64;
            (self.progress)(Progress::Bytes(block.len() as u64));
            talk.send(self.encoded_part(block, &mut kept, left == 0)).await?;
            if talk.has_answer() {
                // Before the end, it can only be that it can't be written.
                break;
            }
        }
        got(talk.answer().await?, &path, source.size)?;
        self.end(talk, &self.left_of(&source).when(&hash), &path).await?;
        Ok(Copied { files: 1, bytes: source.size - offset, resumed: offset, skipped: 0 })
    }

    fn left_of(&self, source: &Outgoing<'_>) -> Left {
        self.note_lost_bits(source.path.display(), source.mode);
        Left {
            permissions: match self.options.preserve {
                true => Permissions::Exact(source.mode),
                false => Permissions::Masked(source.mode),
            },
            modified: self.options.preserve.then_some(source.modified),
        }
    }

    async fn announce(
        &self,
        talk: &mut Conversation<N>,
        (offset, length): (u64, u64),
    ) -> Result<(), CopyError> {
        let encoding = self.options.encoding;
        let length = encoded_length(length, encoding);
        talk.send(Request::Put { offset, length, encoding }.command()).await
    }

    fn encoded(&self, bytes: &[u8]) -> Bytes {
        match self.options.encoding {
            Encoding::Raw => Bytes::copy_from_slice(bytes),
            Encoding::Base64 => STANDARD.encode(bytes).into(),
        }
    }

    /// Encodes a part of a file; what fills no group of three bytes is kept for the next part.
    fn encoded_part(&self, block: Bytes, kept: &mut BytesMut, is_last: bool) -> Bytes {
        if self.options.encoding == Encoding::Raw {
            return block;
        }
        kept.extend_from_slice(&block);
        let whole = if is_last { kept.len() } else { kept.len() / 3 * 3 };
        STANDARD.encode(kept.split_to(whole)).into()
    }

    async fn end(
        &self,
        talk: &mut Conversation<N>,
        end: &Request,
        path: &RemotePath,
    ) -> Result<(), CopyError> {
        let Request::End { hash, .. } = end else { return Ok(()) };
        ended(talk.ask(end).await?, path, hash)?;
        (self.progress)(Progress::Done);
        Ok(())
    }

    /// Sends a small file whole, without waiting for an answer where none is needed.
    async fn send_small(
        &self,
        talk: &mut Conversation<N>,
        mut source: Outgoing<'_>,
        path: RemotePath,
        ahead: &mut Ahead,
    ) -> Result<(), CopyError> {
        let mut content = BytesMut::new();
        while (content.len() as u64) < source.size {
            let left = source.size - content.len() as u64;
            content.extend_from_slice(&source.read(left)?);
        }
        let mut hash = Hash::new();
        hash.add(&content);
        let encoding = self.options.encoding;
        let length = encoded_length(source.size, encoding);
        let open = Request::Open(path.clone()).command();
        let put = Request::Put { offset: 0, length, encoding }.command();
        talk.send([&open[..], &put, &self.encoded(&content)].concat().into()).await?;
        let mut file = Small {
            path,
            hash: hash.shown(),
            size: source.size,
            source: source.path.display().to_string(),
            put: None,
        };
        if !talk.is_exact() {
            file.put = Some(put_small(talk, &file).await?);
        }
        talk.send(self.left_of(&source).when(&hash).command()).await?;
        ahead.bytes += file.size;
        ahead.files.push_back(file);
        Ok(())
    }

    /// Takes answers until no more is unanswered than there may be.
    async fn settle(
        &self,
        talk: &mut Conversation<N>,
        ahead: &mut Ahead,
        copied: &mut Copied,
        (bytes, files): (u64, usize),
    ) -> Result<(), CopyError> {
        while ahead.bytes > bytes || ahead.files.len() > files {
            let Some(mut file) = ahead.files.pop_front() else { return Ok(()) };
            ahead.bytes -= file.size;
            let put = match file.put.take() {
                Some(put) => put,
                None => put_small(talk, &file).await?,
            };
            let answer = talk.answer().await?;
            put?;
            (self.progress)(Progress::File { name: file.source, size: Some(file.size), offset: 0 });
            (self.progress)(Progress::Bytes(file.size));
            ended(answer, &file.path, &file.hash)?;
            (self.progress)(Progress::Done);
            copied.add(Copied { files: 1, bytes: file.size, ..Copied::default() });
        }
        Ok(())
    }
}

/// Bytes whose number is not known before their end, and what people call them.
struct Stream<'a, R> {
    bytes: R,
    name: &'a Path,
    left: Left,
}

/// How a file is left on the node when it is complete.
struct Left {
    permissions: Permissions,
    modified: Option<FileTime>,
}

impl Left {
    /// As any new file.
    const NEW: Left = Left { permissions: Permissions::Masked(0o666), modified: None };

    fn when(&self, hash: &Hash) -> Request {
        let Left { permissions, modified } = *self;
        Request::End { hash: hash.shown(), permissions, modified }
    }
}

/// A small file that is on its way.
struct Small {
    path: RemotePath,
    source: String,
    hash: String,
    size: u64,
    /// How its bytes were taken, if that is known already.
    put: Option<Result<(), CopyError>>,
}

/// What is on its way.
#[derive(Default)]
struct Ahead {
    files: VecDeque<Small>,
    bytes: u64,
}

impl Ahead {
    const NONE: (u64, usize) = (0, 0);
}

/// Takes the answers to a small file's opening and its bytes. The outer error ends the copy.
async fn put_small<R, W>(talk: &mut Talk<R, W>, file: &Small) -> Result<Result<(), CopyError>, CopyError>
where
    R: crate::link::LinkSource,
    W: crate::link::LinkSink,
{
    let opened = match talk.answer().await? {
        Answer::Opened { destination: Destination::New | Destination::File, .. } => Ok(()),
        Answer::Opened { destination: Destination::Directory, .. } => {
            Err(not_written(&file.path, Reason::IsDirectory))
        }
        Answer::Opened { .. } => Err(not_written(&file.path, Reason::Special)),
        answer => return Err(unexpected(&answer)),
    };
    let put = talk.answer().await?;
    if let Answer::Stopped(reason) = put {
        // There is no answer to what was sent after these bytes.
        return Err(not_written(&file.path, reason));
    }
    Ok(opened.and_then(|()| got(put, &file.path, file.size)))
}

fn got(answer: Answer, path: &RemotePath, expected: u64) -> Result<(), CopyError> {
    match answer {
        Answer::Got(size) if size == expected => Ok(()),
        Answer::Got(size) => {
            let said = format!("{size} of {expected} bytes arrived");
            Err(not_written(path, Reason::Other(said)))
        }
        Answer::Failed(reason) | Answer::Stopped(reason) => Err(not_written(path, reason)),
        answer => Err(unexpected(&answer)),
    }
}

fn ended(answer: Answer, path: &RemotePath, hash: &str) -> Result<(), CopyError> {
    match answer {
        Answer::Done => Ok(()),
        Answer::Differs(found) => {
            Err(CopyError::Differs { path: path.to_string(), expected: hash.to_owned(), found })
        }
        Answer::Failed(reason) => Err(not_written(path, reason)),
        answer => Err(unexpected(&answer)),
    }
}

fn below(root: &RemotePath, entry: &LocalEntry) -> Option<RemotePath> {
    match entry.name.as_os_str().as_bytes() {
        b"" => Some(root.clone()),
        name => root.join(name),
    }
}

/// An error and its cause, for what is only told in passing.
pub(super) fn shown(error: &CopyError) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
