//! Carrying bytes between a local connection and a stream, to the end of both.
//!
//! A client that has sent its request and closes only that half waits for the answer. The node can't be told of the
//! half (see [`mux`](crate::mux)), so the stream is kept open until the answer has ended. A destination that waits for the end of what
//! it is sent never ends its answer: when nothing has come for long, the connection is broken off, and that is told. A client that has
//! closed both halves looks the same at first; when its system says which it is, nobody is waited for.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep, timeout};

use super::Connection;
use super::connection::{ReadHalf, WriteHalf};
use crate::mux::{MuxStream, StreamError};

/// How many bytes are read from a local connection at once.
const READ: usize = 64 << 10;

/// How long the rest of what a client sends is thrown away after the other side is done, so that closing the
/// connection can't destroy what the client has not read yet.
const LINGER: Duration = Duration::from_secs(2);

/// How often a client that has closed its half is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// How many bytes a connection has carried.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Carried {
    /// From the local client to the node.
    pub sent: u64,
    /// From the node to the local client.
    pub received: u64,
}

/// Why a connection ended before both sides were done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Break {
    /// The local client is gone.
    Local(String),
    /// The stream broke off.
    Stream(StreamError),
    /// The client had closed its half, and nothing came for so long.
    Silent(Duration),
}

impl Break {
    pub(super) fn local(error: &std::io::Error) -> Break {
        Break::Local(error.to_string())
    }

    /// A client that had closed its half, and then the other.
    fn gone() -> Break {
        Break::Local("the client has closed the connection".to_owned())
    }
}

/// For how long a client that has closed its half is waited for.
#[derive(Debug)]
pub(super) struct Patience {
    /// Since the last byte that came.
    grace: Duration,
    /// The same while others wait for a place.
    crowded_grace: Duration,
    /// Whether others wait.
    pub(super) is_crowded: AtomicBool,
}

impl Patience {
    pub(super) fn new(grace: Duration, crowded_grace: Duration) -> Patience {
        Patience { grace, crowded_grace, is_crowded: AtomicBool::new(false) }
    }

    /// As it is now.
    fn limit(&self) -> Duration {
        if self.is_crowded.load(Ordering::Relaxed) { self.crowded_grace.min(self.grace) } else { self.grace }
    }
}

/// Where the direction from the node is, for the one that decides whether it goes on.
pub(super) struct Progress {
    last: Instant,
    is_writing: bool,
    received: u64,
}

/// Shared by the directions. Locked for moments only, never across a wait.
pub(super) type SharedProgress = Mutex<Progress>;

impl Progress {
    pub(super) fn begin() -> SharedProgress {
        Mutex::new(Progress { last: Instant::now(), is_writing: false, received: 0 })
    }

    pub(super) fn received(progress: &SharedProgress) -> u64 {
        lock(progress).received
    }
}

/// Gives bytes to the client.
pub(super) async fn give(
    write: &mut WriteHalf<'_>,
    bytes: &[u8],
    progress: &SharedProgress,
) -> Result<(), Break> {
    lock(progress).is_writing = true;
    let written = write.write_all(bytes).await;
    let mut progress = lock(progress);
    (progress.is_writing, progress.last) = (false, Instant::now());
    written.map_err(|error| Break::local(&error))?;
    progress.received += bytes.len() as u64;
    Ok(())
}

/// Carries bytes until both sides are done, or one is gone. Dropped before that, it breaks the connection off.
pub(super) async fn carry(
    mut connection: Connection,
    stream: MuxStream,
    patience: &Patience,
) -> (Carried, Option<Break>) {
    let progress = Progress::begin();
    let mut sent = 0;
    let mut is_answered_first = false;
    let result = {
        let (mut read, mut write) = connection.split();
        let mut down = std::pin::pin!(downwards(&mut write, &stream, &progress));
        let first = {
            let up = std::pin::pin!(upwards(&mut read, &stream, &mut sent));
            tokio::select! {
                result = up => result.map(|()| true),
                result = &mut down => result.map(|()| false),
            }
        };
        match first {
            Ok(true) => {
                stream.shut();
                read.watch();
                tokio::select! {
                    result = &mut down => result,
                    broken = given_up(&progress, &read, patience) => Err(broken),
                }
            }
            Ok(false) => {
                is_answered_first = true;
                Ok(())
            }
            Err(error) => Err(error),
        }
    };
    let received = Progress::received(&progress);
    if result.is_ok() {
        connection.complete();
    }
    // Its FIN goes out before the local side is done with.
    drop(stream);
    if is_answered_first {
        linger(connection).await;
    }
    (Carried { sent, received }, result.err())
}

fn lock(progress: &SharedProgress) -> MutexGuard<'_, Progress> {
    progress.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn upwards(read: &mut ReadHalf<'_>, stream: &MuxStream, sent: &mut u64) -> Result<(), Break> {
    let mut buffer = BytesMut::new();
    loop {
        buffer.reserve(READ);
        match read.read_buf(&mut buffer).await {
            Ok(0) => return Ok(()),
            Ok(count) => *sent += count as u64,
            Err(error) => return Err(Break::local(&error)),
        }
        match stream.send(buffer.split().freeze()).await {
            Ok(()) => {}
            // The other direction knows how the stream ended, and has the rest of what came.
            Err(_) => std::future::pending().await,
        }
    }
}

async fn downwards(
    write: &mut WriteHalf<'_>,
    stream: &MuxStream,
    progress: &SharedProgress,
) -> Result<(), Break> {
    loop {
        let bytes = match stream.recv().await {
            Ok(Some(bytes)) => bytes,
            Ok(None) => {
                return write.shutdown().await.map_err(|error| Break::local(&error));
            }
            Err(error) => return Err(Break::Stream(error)),
        };
        give(write, &bytes, progress).await?;
    }
}

/// Waits until the client is gone, or nothing has come for long. A client that is slow to take what has come is not silent.
pub(super) async fn given_up(progress: &SharedProgress, read: &ReadHalf<'_>, patience: &Patience) -> Break {
    let began = Instant::now();
    loop {
        if read.is_gone() {
            return Break::gone();
        }
        let (last, is_writing) = {
            let progress = lock(progress);
            (progress.last.max(began), progress.is_writing)
        };
        let limit = patience.limit();
        let left = limit.saturating_sub(last.elapsed());
        if left.is_zero() && !is_writing {
            return Break::Silent(limit);
        }
        // What changes meanwhile, beside what comes: the client goes, others begin to wait.
        sleep(if is_writing { LOOK } else { left.min(LOOK) }).await;
    }
}

/// The client may still be sending: closing now would reset the connection, and with it what the client has not read.
async fn linger(mut connection: Connection) {
    let drain = async {
        let mut buffer = vec![0; READ];
        let (mut read, _) = connection.split();
        while matches!(read.read(&mut buffer).await, Ok(1..)) {}
    };
    // Whether the client was done by then makes no difference any more.
    let _ = timeout(LINGER, drain).await;
}
