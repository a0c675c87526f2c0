//! Streams of bytes: pipes with room for little, files, terminals, memory.

use super::disk::{Body, Disk, Entry, Errno, Shared, locked};
use super::terminal::Terminal;
use bytes::{Bytes, BytesMut};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// Bytes that a pipe holds before its writers wait.
const ROOM: usize = 256 << 10;
/// Bytes of an endless source that are given at once.
pub(crate) const PIECE: usize = 64 << 10;

static ZEROS: [u8; PIECE] = [0; PIECE];

/// Where a process reads from or writes to.
#[derive(Debug, Clone)]
pub(crate) enum Stream {
    Null,
    Zero,
    Full,
    Random(Arc<Mutex<Disk>>),
    File(Arc<Open>),
    Reader(Arc<Reader>),
    Writer(Arc<Writer>),
    Terminal(Arc<Terminal>),
    /// Gathers what is written, up to a limit.
    Gather(Arc<Gather>),
    /// Gives what is there.
    Memory(Arc<Mutex<Bytes>>),
}

/// An open file.
#[derive(Debug)]
pub(crate) struct Open {
    data: Shared,
    at: AtomicU64,
    appends: bool,
    disk: Arc<Mutex<Disk>>,
}

/// What was written to memory.
#[derive(Debug)]
pub(crate) struct Gather {
    bytes: Mutex<Vec<u8>>,
    limit: usize,
}

/// Locks, whoever panicked before.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Stream {
    /// What gives these bytes and then ends.
    pub(crate) fn memory(bytes: impl Into<Bytes>) -> Stream {
        Stream::Memory(Arc::new(Mutex::new(bytes.into())))
    }

    /// What keeps everything up to a limit.
    pub(crate) fn gather(limit: usize) -> (Stream, Arc<Gather>) {
        let gather = Arc::new(Gather { bytes: Mutex::default(), limit });
        (Stream::Gather(gather.clone()), gather)
    }

    /// What an entry of the disk gives and takes.
    pub(crate) fn of(
        entry: &Entry,
        appends: bool,
        (disk, terminal): (&Arc<Mutex<Disk>>, Option<&Arc<Terminal>>),
    ) -> Result<Stream, Errno> {
        Ok(match &entry.body {
            Body::File(data) => {
                let open = Open { data: data.clone(), at: AtomicU64::new(0), appends, disk: disk.clone() };
                Stream::File(Arc::new(open))
            }
            Body::Device("null") => Stream::Null,
            Body::Device("zero") => Stream::Zero,
            Body::Device("full") => Stream::Full,
            Body::Device("urandom") => Stream::Random(disk.clone()),
            Body::Device(_) => {
                terminal.map(|terminal| Stream::Terminal(terminal.clone())).ok_or(Errno::NotFound)?
            }
            Body::Directory | Body::Link(_) => return Err(Errno::IsDirectory),
        })
    }

    /// At most `most` bytes, as soon as there are any; none at the end.
    pub(crate) async fn read(&self, most: usize) -> Result<Bytes, Errno> {
        match self {
            Stream::Null => Ok(Bytes::new()),
            Stream::Zero | Stream::Full => Ok(Bytes::from_static(&ZEROS[..most.min(PIECE)])),
            Stream::Random(disk) => Ok(lock(disk).random(most.min(PIECE))),
            Stream::File(open) => {
                let at = open.at.load(Ordering::Relaxed);
                let bytes = locked(&open.data).read(at, most);
                open.at.store(at + bytes.len() as u64, Ordering::Relaxed);
                Ok(bytes)
            }
            Stream::Reader(reader) => Ok(poll_fn(|context| reader.0.poll_read(most, context)).await),
            Stream::Terminal(terminal) => Ok(terminal.read(most).await),
            Stream::Memory(memory) => {
                let mut memory = lock(memory);
                let count = most.min(memory.len());
                Ok(memory.split_to(count))
            }
            Stream::Writer(_) | Stream::Gather(_) => Err(Errno::BadDescriptor),
        }
    }

    /// Writes all of it, as soon as there is room.
    pub(crate) async fn write(&self, bytes: Bytes) -> Result<(), Errno> {
        if bytes.is_empty() {
            return Ok(());
        }
        match self {
            Stream::Null | Stream::Zero | Stream::Random(_) => Ok(()),
            Stream::Full => Err(Errno::NoSpace),
            Stream::File(open) => open.write(bytes),
            Stream::Writer(writer) => {
                let mut bytes = Some(bytes);
                poll_fn(|context| writer.0.poll_write(&mut bytes, context)).await
            }
            Stream::Terminal(terminal) => terminal.print(bytes).await,
            Stream::Gather(gather) => {
                let mut kept = lock(&gather.bytes);
                let room = gather.limit.saturating_sub(kept.len()).min(bytes.len());
                kept.extend_from_slice(&bytes[..room]);
                Ok(())
            }
            Stream::Reader(_) | Stream::Memory(_) => Err(Errno::BadDescriptor),
        }
    }

    /// Goes to a place in a file; other streams have none.
    pub(crate) fn seek(&self, at: u64) -> bool {
        let Stream::File(open) = self else { return false };
        open.at.store(at, Ordering::Relaxed);
        true
    }

    /// Cuts a file where it is being written.
    pub(crate) fn cut(&self, length: u64) {
        if let Stream::File(open) = self {
            locked(&open.data).resize(length);
        }
    }

    /// Length of a file.
    pub(crate) fn length(&self) -> Option<u64> {
        if let Stream::File(open) = self { Some(locked(&open.data).len()) } else { None }
    }

    /// The terminal that it is.
    pub(crate) fn terminal(&self) -> Option<&Arc<Terminal>> {
        if let Stream::Terminal(terminal) = self { Some(terminal) } else { None }
    }

    /// Everything to the end, up to a limit.
    pub(crate) async fn whole(&self, limit: usize) -> Result<Vec<u8>, Errno> {
        let mut whole = Vec::new();
        while whole.len() < limit {
            let bytes = self.read((limit - whole.len()).min(PIECE)).await?;
            if bytes.is_empty() {
                break;
            }
            whole.extend_from_slice(&bytes);
        }
        Ok(whole)
    }
}

impl Open {
    fn write(&self, bytes: Bytes) -> Result<(), Errno> {
        if !lock(&self.disk).has_room(bytes.len() as u64) {
            return Err(Errno::NoSpace);
        }
        let mut data = locked(&self.data);
        let at = if self.appends { data.len() } else { self.at.load(Ordering::Relaxed) };
        self.at.store(at + bytes.len() as u64, Ordering::Relaxed);
        data.write(at, bytes);
        Ok(())
    }
}

impl Gather {
    /// What was gathered so far.
    pub(crate) fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *lock(&self.bytes))
    }
}

/// The middle of a pipe.
#[derive(Debug, Default)]
struct Middle {
    chunks: VecDeque<Bytes>,
    held: usize,
    no_readers: bool,
    no_writers: bool,
    waiting: Vec<Waker>,
}

impl Middle {
    fn wake(&mut self) {
        self.waiting.drain(..).for_each(Waker::wake);
    }

    fn wait<T>(&mut self, context: &Context<'_>) -> Poll<T> {
        if !self.waiting.iter().any(|waker| waker.will_wake(context.waker())) {
            self.waiting.push(context.waker().clone());
        }
        Poll::Pending
    }
}

/// A pipe, seen from either end.
#[derive(Debug, Default)]
pub(crate) struct Pipe(Mutex<Middle>);

/// The end of a pipe that is read; when the last is dropped, writers fail.
#[derive(Debug)]
pub(crate) struct Reader(pub(crate) Arc<Pipe>);

/// The end of a pipe that is written; when the last is dropped, readers come to the end.
#[derive(Debug)]
pub(crate) struct Writer(pub(crate) Arc<Pipe>);

impl Drop for Reader {
    fn drop(&mut self) {
        let mut middle = lock(&self.0.0);
        middle.no_readers = true;
        middle.chunks.clear();
        middle.wake();
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let mut middle = lock(&self.0.0);
        middle.no_writers = true;
        middle.wake();
    }
}

/// Makes a pipe.
pub(crate) fn pipe() -> (Arc<Reader>, Arc<Writer>) {
    let pipe = Arc::new(Pipe::default());
    (Arc::new(Reader(pipe.clone())), Arc::new(Writer(pipe)))
}

impl Pipe {
    /// At most `most` bytes; none at the end.
    pub(crate) fn poll_read(&self, most: usize, context: &Context<'_>) -> Poll<Bytes> {
        let mut middle = lock(&self.0);
        let Some(first) = middle.chunks.front_mut() else {
            return if middle.no_writers { Poll::Ready(Bytes::new()) } else { middle.wait(context) };
        };
        let bytes = if first.len() <= most { std::mem::take(first) } else { first.split_to(most) };
        if first.is_empty() {
            middle.chunks.pop_front();
        }
        middle.held -= bytes.len();
        middle.wake();
        Poll::Ready(bytes)
    }

    /// As much as `most` bytes of what is there, in one piece.
    pub(crate) fn poll_gathered(&self, most: usize, context: &Context<'_>) -> Poll<Bytes> {
        let mut gathered = match self.poll_read(most, context) {
            Poll::Ready(bytes) if bytes.is_empty() || bytes.len() >= most / 2 => return Poll::Ready(bytes),
            Poll::Ready(bytes) => BytesMut::from(bytes),
            Poll::Pending => return Poll::Pending,
        };
        while gathered.len() < most && !lock(&self.0).chunks.is_empty() {
            match self.poll_read(most - gathered.len(), context) {
                Poll::Ready(bytes) => gathered.extend_from_slice(&bytes),
                Poll::Pending => break,
            }
        }
        Poll::Ready(gathered.freeze())
    }

    /// Puts a piece in where there is room for it.
    pub(crate) fn poll_write(
        &self,
        bytes: &mut Option<Bytes>,
        context: &Context<'_>,
    ) -> Poll<Result<(), Errno>> {
        let mut middle = lock(&self.0);
        if middle.no_readers {
            return Poll::Ready(Err(Errno::BrokenPipe));
        }
        if middle.held >= ROOM {
            return middle.wait(context);
        }
        if let Some(bytes) = bytes.take() {
            middle.held += bytes.len();
            middle.chunks.push_back(bytes);
            middle.wake();
        }
        Poll::Ready(Ok(()))
    }

    /// Puts a piece in, room or not.
    pub(crate) fn force(&self, bytes: Bytes) {
        let mut middle = lock(&self.0);
        if !middle.no_readers && !bytes.is_empty() {
            middle.held += bytes.len();
            middle.chunks.push_back(bytes);
            middle.wake();
        }
    }

    /// Waits until a writer need not wait.
    pub(crate) fn poll_room(&self, context: &Context<'_>) -> Poll<()> {
        let mut middle = lock(&self.0);
        if middle.held < ROOM || middle.no_readers { Poll::Ready(()) } else { middle.wait(context) }
    }

    /// Takes everything out.
    pub(crate) fn clear(&self) {
        let mut middle = lock(&self.0);
        middle.chunks.clear();
        middle.held = 0;
        middle.wake();
    }

    /// Bytes that wait in it.
    pub(crate) fn held(&self) -> usize {
        lock(&self.0).held
    }
}
