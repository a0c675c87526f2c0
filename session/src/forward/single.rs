//! Connections one after the other, for agents that don't multiplex: the link carries the bytes of one connection at a
//! time, and a flag says that it is closed.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::half_close::Break;
use super::serve::Work;
use super::{Carried, Connection, ForwardEvent};
use crate::link::{Incoming, LinkEnded, LinkSink, LinkSource};
use crate::mux::StreamError;
use crate::payload::SessionFlag;

/// How many bytes of a destination that speaks before anybody has connected are kept.
const GREETING: usize = 64 << 10;

const READ: usize = 32 << 10;

/// Carries connections one after the other, until the session ends.
pub(super) async fn single<N: Fn(ForwardEvent)>(
    work: &Work<'_, N>,
    mut first: Option<(u64, Connection)>,
    mut source: impl LinkSource,
    mut sink: impl LinkSink,
) -> LinkEnded {
    let mut greeting = BytesMut::new();
    loop {
        let (number, mut connection) = match first.take() {
            Some(first) => first,
            None => match next(work, &mut source, &mut greeting).await {
                Ok(next) => next,
                Err(ended) => return ended,
            },
        };
        let mut carried = Carried::default();
        let greeting = greeting.split().freeze();
        let grace = work.options.single_grace;
        let ends = One { connection: &mut connection, source: &mut source, sink: &mut sink };
        match ends.carry(greeting, &mut carried, grace).await {
            Ok(broken) => {
                match broken {
                    Some(Break::Local(_)) => connection.abort(),
                    _ => drop(connection),
                }
                work.finished(number, carried, broken);
            }
            Err(ended) => {
                connection.abort();
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

struct One<'a, R, W> {
    connection: &'a mut Connection,
    source: &'a mut R,
    sink: &'a mut W,
}

impl<R: LinkSource, W: LinkSink> One<'_, R, W> {
    /// Carries one connection until its client is gone. Nothing tells when the destination is done.
    async fn carry(
        self,
        greeting: Bytes,
        carried: &mut Carried,
        grace: Duration,
    ) -> Result<Option<Break>, LinkEnded> {
        let One { connection, source, sink } = self;
        let (mut read, mut write) = tokio::io::split(connection);
        let Carried { sent, received } = carried;
        let local = |error: std::io::Error| Ok(Some(Break::Local(error.to_string())));
        if let Err(error) = write.write_all(&greeting).await {
            return local(error);
        }
        *received += greeting.len() as u64;
        let up = async {
            let mut buffer = BytesMut::new();
            loop {
                buffer.reserve(READ);
                match read.read_buf(&mut buffer).await {
                    Ok(0) => return Ok(None),
                    Ok(count) => *sent += count as u64,
                    Err(error) => return local(error),
                }
                sink.send(buffer.split().freeze()).await?;
            }
        };
        let mut up = std::pin::pin!(up);
        // After the end of what the client sends: until when its answer is waited for.
        let mut until: Option<Instant> = None;
        loop {
            let incoming = tokio::select! {
                result = &mut up, if until.is_none() => match result? {
                    None => {
                        until = Some(Instant::now() + grace);
                        continue;
                    }
                    broken => return Ok(broken),
                },
                incoming = within(until, source) => match incoming {
                    Some(incoming) => incoming?,
                    None => return Ok(None),
                },
            };
            let Incoming::Bytes(bytes) = incoming else { continue };
            let mut writing = std::pin::pin!(write.write_all(&bytes));
            // A client may send while it is slow to take what it gets.
            let written = loop {
                tokio::select! {
                    written = &mut writing => break written,
                    result = &mut up, if until.is_none() => match result? {
                        None => until = Some(Instant::now() + grace),
                        broken => return Ok(broken),
                    },
                }
            };
            if let Err(error) = written {
                return local(error);
            }
            *received += bytes.len() as u64;
            until = until.map(|_| Instant::now() + grace);
        }
    }
}

/// What comes next; none after `until`.
async fn within(until: Option<Instant>, source: &mut impl LinkSource) -> Option<Result<Incoming, LinkEnded>> {
    match until {
        None => Some(source.next().await),
        Some(until) => timeout_at(until, source.next()).await.ok(),
    }
}
