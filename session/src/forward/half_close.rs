//! Carrying bytes between a local connection and a stream, to the end of both.
//!
//! A client that has sent its request and closes only that half waits for the answer. The node can't be told of the
//! half (see [`mux`](crate::mux)), so the stream is kept open until the answer has ended, or nothing has come for
//! a while: then the client is taken for gone.

use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::time::{Instant, sleep_until, timeout};

use super::Connection;
use crate::mux::{MuxStream, StreamError};

/// How many bytes are read from a local connection at once.
const READ: usize = 64 << 10;

/// How long the rest of what a client sends is thrown away after the other side is done, so that closing the
/// connection can't destroy what the client has not read yet.
const LINGER: Duration = Duration::from_secs(2);

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
    /// The client had closed its half, and nothing came any more.
    Silent,
}

/// Where the direction from the node is, for the one that decides whether it goes on.
struct Progress {
    last: Instant,
    is_writing: bool,
    received: u64,
}

/// Carries bytes until both sides are done, or one is gone. `grace` is how long a stream without news is kept for a
/// client that has closed its half.
pub(super) async fn carry(
    connection: Connection,
    stream: MuxStream,
    grace: Duration,
) -> (Carried, Option<Break>) {
    let (mut read, mut write) = tokio::io::split(connection);
    let progress = std::sync::Mutex::new(Progress { last: Instant::now(), is_writing: false, received: 0 });
    let mut sent = 0;
    let mut is_done = false;
    let result = {
        let mut up = std::pin::pin!(upwards(&mut read, &stream, &mut sent));
        let mut down = std::pin::pin!(downwards(&mut write, &stream, &progress));
        let first = tokio::select! {
            result = &mut up => result.map(|()| true),
            result = &mut down => result.map(|()| false),
        };
        match first {
            Ok(true) => {
                stream.shut();
                tokio::select! {
                    result = &mut down => result,
                    () = silence(&progress, grace) => Err(Break::Silent),
                }
            }
            Ok(false) => {
                is_done = true;
                Ok(())
            }
            Err(error) => Err(error),
        }
    };
    let received = lock(&progress).received;
    let connection = read.unsplit(write);
    // Its FIN goes out before the local side is done with.
    drop(stream);
    let result = result.err();
    match &result {
        None if is_done => linger(connection).await,
        None | Some(Break::Silent) => drop(connection),
        Some(_) => connection.abort(),
    }
    (Carried { sent, received }, result)
}

fn lock(progress: &std::sync::Mutex<Progress>) -> std::sync::MutexGuard<'_, Progress> {
    progress.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

async fn upwards(read: &mut ReadHalf<Connection>, stream: &MuxStream, sent: &mut u64) -> Result<(), Break> {
    let mut buffer = BytesMut::new();
    loop {
        buffer.reserve(READ);
        match read.read_buf(&mut buffer).await {
            Ok(0) => return Ok(()),
            Ok(count) => *sent += count as u64,
            Err(error) => return Err(Break::Local(error.to_string())),
        }
        match stream.send(buffer.split().freeze()).await {
            Ok(()) => {}
            // The other direction knows how the stream ended, and has the rest of what came.
            Err(_) => std::future::pending().await,
        }
    }
}

async fn downwards(
    write: &mut WriteHalf<Connection>,
    stream: &MuxStream,
    progress: &std::sync::Mutex<Progress>,
) -> Result<(), Break> {
    loop {
        let bytes = match stream.recv().await {
            Ok(Some(bytes)) => bytes,
            Ok(None) => {
                return write.shutdown().await.map_err(|error| Break::Local(error.to_string()));
            }
            Err(error) => return Err(Break::Stream(error)),
        };
        lock(progress).is_writing = true;
        let written = write.write_all(&bytes).await;
        let mut progress = lock(progress);
        (progress.is_writing, progress.last) = (false, Instant::now());
        progress.received += bytes.len() as u64;
        drop(progress);
        written.map_err(|error| Break::Local(error.to_string()))?;
    }
}

/// Waits until nothing has come for `grace`. A client that is slow to take what has come is not silent.
async fn silence(progress: &std::sync::Mutex<Progress>, grace: Duration) {
    let began = Instant::now();
    loop {
        let (last, is_writing) = {
            let progress = lock(progress);
            (progress.last.max(began), progress.is_writing)
        };
        let until = if is_writing { Instant::now() + grace } else { last + grace };
        if until <= Instant::now() {
            return;
        }
        sleep_until(until).await;
    }
}

/// The client may still be sending: closing now would reset the connection, and with it what the client has not read.
async fn linger(mut connection: Connection) {
    let drain = async {
        let mut buffer = vec![0; READ];
        while matches!(connection.read(&mut buffer).await, Ok(1..)) {}
    };
    // Whether the client was done by then makes no difference any more.
    let _ = timeout(LINGER, drain).await;
}
