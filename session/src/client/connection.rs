//! One connection, polled: writes what there is, reads what comes, and never waits for one while the other could go on.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Sink, Stream};
use tokio_tungstenite::tungstenite::{Error as WebSocketError, Message};

use super::control::chain;
use super::dial::Socket;
use super::liveness::Liveness;
use crate::end::ClientEnd;

/// Bytes that are read before the events are passed on and acknowledged.
const BATCH_BYTES: usize = 256 << 10;

/// Messages from this length on are copied out of the socket's buffer. A few of them fill it, and what waits for a slow
/// reader would keep as much again of it alive; of small ones many share it, and leave it together.
const OWN_BYTES: usize = 8 << 10;

/// Why a connection is no more, for people.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Lost(pub(super) String);

/// A socket and what is half done with it.
pub(super) struct Connection {
    socket: Socket,
    pub(super) liveness: Liveness,
    /// Written to the socket's buffer and not yet from there.
    is_unflushed: bool,
    /// Since the last poll.
    has_written: bool,
    ping: Option<Message>,
}

impl Connection {
    pub(super) fn new(socket: Socket, liveness: Liveness) -> Connection {
        Connection { socket, liveness, is_unflushed: true, has_written: false, ping: None }
    }

    /// Writes all that the end has and the socket takes; reads a batch if `is_reading`, and if not too many acknowledgements
    /// wait to be written. Ready when something was read or written: deadlines are others then.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        now: Duration,
        end: &mut ClientEnd,
        is_reading: bool,
    ) -> Poll<Result<(), Lost>> {
        if let Poll::Ready(Err(error)) = self.poll_write(cx, now, end) {
            // What was received before is worth reading: the reason may be in it.
            return Poll::Ready(Err(self.last_words(cx, now, end, error)));
        }
        let has_written = std::mem::take(&mut self.has_written);
        // A peer that takes no acknowledgements and goes on sending is left to its own full buffers, and then for dead.
        let reads = is_reading && end.can_receive();
        let read = if reads { self.poll_read(cx, now, end) } else { Poll::Pending };
        if has_written && read.is_pending() { Poll::Ready(Ok(())) } else { read }
    }

    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        now: Duration,
        end: &mut ClientEnd,
    ) -> Poll<Result<(), WebSocketError>> {
        loop {
            if Pin::new(&mut self.socket).poll_ready(cx)?.is_pending() {
                return Poll::Pending;
            }
            let next = self.ping.take().or_else(|| end.transmit(now).map(Message::Binary));
            let Some(message) = next else { break };
            Pin::new(&mut self.socket).start_send(message)?;
            self.is_unflushed = true;
            self.has_written = true;
        }
        if self.is_unflushed && Pin::new(&mut self.socket).poll_flush(cx)?.is_ready() {
            self.is_unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        now: Duration,
        end: &mut ClientEnd,
    ) -> Poll<Result<(), Lost>> {
        let mut read = 0;
        while read < BATCH_BYTES {
            match Pin::new(&mut self.socket).poll_next(cx) {
                Poll::Ready(Some(Ok(message))) => {
                    self.liveness.heard(now);
                    // A message without a byte counts too.
                    read += 1;
                    match message {
                        Message::Binary(wire) => {
                            read += wire.len();
                            let wire =
                                if wire.len() < OWN_BYTES { wire } else { Bytes::copy_from_slice(&wire) };
                            // What can't be read is counted by the channel, and sent again if it was part of a stream.
                            let _counted = end.receive(now, wire);
                        }
                        // The answer is written by the WebSocket; what else is to be written goes on.
                        Message::Ping(_) => self.is_unflushed = true,
                        Message::Close(frame) => {
                            let why = frame.map_or("closed".to_owned(), |frame| {
                                format!("closed: {} {}", u16::from(frame.code), frame.reason)
                                    .trim_end()
                                    .to_owned()
                            });
                            return Poll::Ready(Err(Lost(why)));
                        }
                        _ => {}
                    }
                }
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(Lost(chain(&error)))),
                Poll::Ready(None) => return Poll::Ready(Err(Lost("closed".into()))),
                Poll::Pending if read == 0 => return Poll::Pending,
                Poll::Pending => break,
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Reads what is left after a write failed. Bounded by what the system holds.
    fn last_words(
        &mut self,
        cx: &mut Context<'_>,
        now: Duration,
        end: &mut ClientEnd,
        error: WebSocketError,
    ) -> Lost {
        for _ in 0..16 {
            match self.poll_read(cx, now, end) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(lost)) => return lost,
                Poll::Pending => break,
            }
        }
        Lost(chain(&error))
    }

    /// Sends a ping with the next write.
    pub(super) fn ping(&mut self) {
        self.ping = Some(Message::Ping(Bytes::from_static(b"herder")));
    }

    /// Says good-bye: writes what there is, and a close.
    pub(super) async fn close(mut self, now: Duration, end: &mut ClientEnd) {
        if poll_fn(|cx| self.poll_write(cx, now, end)).await.is_err() {
            return;
        }
        let _gone_anyway = self.socket.close(None).await;
    }
}
