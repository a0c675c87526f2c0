//! A WebSocket, seen from the gateway.

use bytes::Bytes;
use futures_util::{Sink, Stream};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::Error;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Message, handshake};

/// Largest frame that is read where the spec says nothing.
const FRAME_LIMIT: usize = 16 << 20;
/// Bytes that are read and written at once.
const BUFFER: usize = 64 << 10;

/// What came in.
#[derive(Debug)]
pub(crate) enum Received {
    Frame(Bytes),
    Text(String),
    /// The peer closes, and says why.
    Closed(u16),
    /// The connection broke.
    Gone,
    /// A frame over the limit.
    TooLarge,
}

/// A WebSocket.
#[derive(Debug)]
pub(crate) struct Socket {
    stream: WebSocketStream<TokioIo<Upgraded>>,
    has_unsent: bool,
}

/// The answer to a client's `Sec-WebSocket-Key`.
pub(crate) fn accept_key(key: &str) -> String {
    handshake::derive_accept_key(key.as_bytes())
}

impl Socket {
    pub(crate) async fn new(io: Upgraded, frame_limit: Option<u32>) -> Socket {
        let limit = frame_limit.map_or(FRAME_LIMIT, |limit| limit as usize);
        let config = WebSocketConfig::default()
            .read_buffer_size(BUFFER)
            .write_buffer_size(BUFFER)
            .max_message_size(Some(limit))
            .max_frame_size(Some(limit));
        let stream = WebSocketStream::from_raw_socket(TokioIo::new(io), Role::Server, Some(config)).await;
        Socket { stream, has_unsent: false }
    }

    /// What comes next. Pings are answered by themselves.
    pub(crate) fn poll_receive(&mut self, context: &mut Context<'_>) -> Poll<Received> {
        loop {
            let received = match ready!(Pin::new(&mut self.stream).poll_next(context)) {
                Some(Ok(Message::Binary(bytes))) => Received::Frame(bytes),
                Some(Ok(Message::Text(text))) => Received::Text(text.as_str().to_owned()),
                Some(Ok(Message::Close(frame))) => {
                    Received::Closed(frame.map_or(1005, |frame| frame.code.into()))
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {
                    // The answer to a ping goes out with the next flush.
                    self.has_unsent = true;
                    continue;
                }
                Some(Err(Error::Capacity(_))) => Received::TooLarge,
                Some(Err(_)) | None => Received::Gone,
            };
            return Poll::Ready(received);
        }
    }

    /// Ready where a message would be taken.
    pub(crate) fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Pin::new(&mut self.stream).poll_ready(context)
    }

    /// Sends a message, with the next flush at the latest. A broken connection is told by what is received.
    pub(crate) fn send(&mut self, bytes: Bytes) {
        let _told_by_receiving = Pin::new(&mut self.stream).start_send(Message::Binary(bytes));
        self.has_unsent = true;
    }

    /// Sends what was not sent yet.
    pub(crate) fn flush(&mut self, context: &mut Context<'_>) {
        if self.has_unsent && Pin::new(&mut self.stream).poll_flush(context).is_ready() {
            self.has_unsent = false;
        }
    }

    /// Says goodbye.
    pub(crate) fn close(&mut self, code: u16, reason: &str) {
        let frame = CloseFrame { code: CloseCode::from(code), reason: reason.to_owned().into() };
        let _told_by_receiving = Pin::new(&mut self.stream).start_send(Message::Close(Some(frame)));
        self.has_unsent = true;
    }
}
