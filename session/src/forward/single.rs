//! Connections one after the other, for agents that don't multiplex: the link carries the bytes of one connection at a
//! time, and a flag says that it is closed.

use std::convert::Infallible;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::AsyncReadExt;
use tokio::time::{Instant, sleep_until};

use super::connection::{ReadHalf, WriteHalf};
use super::half_close::{Break, Patience, Progress, SharedProgress, give, given_up};
use super::serve::Work;
use super::{Carried, Connection, ForwardEvent, ForwardOptions};
use crate::link::{Incoming, LinkEnded, LinkSink, LinkSource};
use crate::mux::StreamError;
use crate::payload::SessionFlag;

/// How many bytes of a destination that speaks before anybody has connected are kept.
const GREETING: usize = 64 << 10;

const READ: usize = 32 << 10;

/// Carries connections one after the other, until the session ends. `waiting` is the first one, if there is one already; afterwards
/// one that is left for the next session.
pub(super) async fn single<N: Fn(ForwardEvent)>(
    work: &Work<'_, N>,
    waiting: &mut Option<(u64, Connection)>,
    mut source: impl LinkSource,
    mut sink: impl LinkSink,
) -> LinkEnded {
    let mut greeting = BytesMut::new();
    loop {
        let (number, mut connection) = match waiting.take() {
            Some(next) => next,
            None => match next(work, &mut source, &mut greeting).await {
                Ok(next) => next,
                Err(ended) => return ended,
            },
        };
        let mut carried = Carried::default();
        let greeting = greeting.split().freeze();
        let ends = One { connection: &mut connection, source: &mut source, sink: &mut sink };
        let result = ends.carry(Waiting { work, next: waiting }, greeting, &mut carried).await;
        // Whatever it was, the destination had not closed as far as anybody knows: the connection breaks off.
        drop(connection);
        match result {
            Ok(broken) => work.finished(number, carried, Some(broken)),
            Err(ended) => {
                let reason = ended.reason.clone();
                let broken = Break::Stream(StreamError::SessionEnded { reason });
                work.finished(number, carried, Some(broken));
                return ended;
            }
        }
        if let Err(ended) = disconnect(&mut source, &mut sink, work.options.settle).await {
            return ended;
        }
    }
}

/// Waits for a connection, and keeps what the destination says before there is one.
async fn next<N: Fn(ForwardEvent)>(
    work: &Work<'_, N>,
    source: &mut impl LinkSource,
    greeting: &mut BytesMut,
) -> Result<(u64, Connection), LinkEnded> {
    loop {
        tokio::select! {
            accepted = work.accept() => return Ok(accepted),
            incoming = source.next(), if greeting.len() < GREETING => {
                if let Incoming::Bytes(bytes) = incoming? {
                    greeting.extend_from_slice(&bytes);
                }
            }
        }
    }
}

/// Tells the agent that the connection is closed, and throws away what was on its way.
async fn disconnect(
    source: &mut impl LinkSource,
    sink: &mut impl LinkSink,
    settle: Duration,
) -> Result<(), LinkEnded> {
    let mut until = None;
    let mut flag = std::pin::pin!(sink.flag(SessionFlag::DisconnectToPort));
    loop {
        tokio::select! {
            sent = &mut flag, if until.is_none() => {
                sent?;
                until = Some(Instant::now() + settle);
            }
            incoming = source.next() => {
                incoming?;
            }
            () = sleep_until(until.unwrap_or_else(Instant::now)), if until.is_some() => return Ok(()),
        }
    }
}

/// Who comes next.
struct Waiting<'a, 'b, N> {
    work: &'a Work<'b, N>,
    next: &'a mut Option<(u64, Connection)>,
}

impl<N: Fn(ForwardEvent)> Waiting<'_, '_, N> {
    /// Lets the next one come, and says that it waits.
    async fn come(self, patience: &Patience) -> Infallible {
        if self.next.is_none() {
            *self.next = Some(self.work.accept().await);
        }
        patience.is_crowded.store(true, Ordering::Relaxed);
        std::future::pending().await
    }
}

struct One<'a, R, W> {
    connection: &'a mut Connection,
    source: &'a mut R,
    sink: &'a mut W,
}

impl<R: LinkSource, W: LinkSink> One<'_, R, W> {
    /// Carries one connection until its client is gone, or is taken for gone: nothing tells when the destination is done.
    async fn carry<N: Fn(ForwardEvent)>(
        self,
        waiting: Waiting<'_, '_, N>,
        greeting: Bytes,
        carried: &mut Carried,
    ) -> Result<Break, LinkEnded> {
        let One { connection, source, sink } = self;
        let ForwardOptions { single_grace, single_crowded_grace, .. } = *waiting.work.options;
        let patience = Patience::new(single_grace, single_crowded_grace);
        let progress = Progress::begin();
        let (mut read, mut write) = connection.split();
        let result = {
            let mut down = std::pin::pin!(downwards(&mut write, source, greeting, &progress));
            let first = {
                let up = std::pin::pin!(upwards(&mut read, sink, &mut carried.sent));
                tokio::select! {
                    result = up => result,
                    result = &mut down => result.map(Some),
                }
            };
            match first {
                Ok(None) => {
                    read.watch();
                    tokio::select! {
                        result = &mut down => result,
                        broken = given_up(&progress, &read, &patience) => Ok(broken),
                        never = waiting.come(&patience) => match never {},
                    }
                }
                Ok(Some(broken)) => Ok(broken),
                Err(ended) => Err(ended),
            }
        };
        carried.received = Progress::received(&progress);
        result
    }
}

/// Sends what comes from the client, to its end; then there is nothing broken.
async fn upwards(
    read: &mut ReadHalf<'_>,
    sink: &mut impl LinkSink,
    sent: &mut u64,
) -> Result<Option<Break>, LinkEnded> {
    let mut buffer = BytesMut::new();
    loop {
        buffer.reserve(READ);
        match read.read_buf(&mut buffer).await {
            Ok(0) => return Ok(None),
            Ok(count) => *sent += count as u64,
            Err(error) => return Ok(Some(Break::local(&error))),
        }
        sink.send(buffer.split().freeze()).await?;
    }
}

/// Gives the client what comes, until it takes nothing any more.
async fn downwards(
    write: &mut WriteHalf<'_>,
    source: &mut impl LinkSource,
    greeting: Bytes,
    progress: &SharedProgress,
) -> Result<Break, LinkEnded> {
    let mut bytes = greeting;
    loop {
        if let Err(broken) = give(write, &bytes, progress).await {
            return Ok(broken);
        }
        bytes = loop {
            if let Incoming::Bytes(bytes) = source.next().await? {
                break bytes;
            }
        };
    }
}
