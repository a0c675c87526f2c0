//! The byte stream that a port session gives, whatever carries it.
//!
//! Whoever holds the data channel implements [`LinkSource`] and [`LinkSink`]; the multiplexer and the listeners know
//! nothing else of it. A reconnect of the channel happens below: the stream goes on where it was.

use std::future::Future;

use bytes::Bytes;

use crate::payload::SessionFlag;

/// What came from the other side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Incoming {
    /// The next bytes of the stream, cut anywhere.
    Bytes(Bytes),
    /// A signal, in its place among the bytes.
    Flag(SessionFlag),
}

/// The session is over: nothing comes or goes any more.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the session ended: {reason}")]
pub struct LinkEnded {
    /// Why, in words for people.
    pub reason: String,
    /// Whether its last bytes are known to be missing.
    pub is_cut: bool,
}

impl LinkEnded {
    /// An end with a reason.
    pub fn new(reason: impl Into<String>) -> LinkEnded {
        LinkEnded { reason: reason.into(), is_cut: false }
    }

    /// The same of a session whose last bytes did not arrive.
    pub fn cut(reason: impl Into<String>) -> LinkEnded {
        LinkEnded { reason: reason.into(), is_cut: true }
    }
}

/// The half that bytes come from.
pub trait LinkSource: Send + 'static {
    /// Waits for what comes next. Nothing is lost if the future is dropped before it is ready. As long as it isn't
    /// called, the other side is to be held back: that is how a slow reader slows its sender.
    fn next(&mut self) -> impl Future<Output = Result<Incoming, LinkEnded>> + Send;
}

/// The half that bytes go to.
pub trait LinkSink: Send + 'static {
    /// Sends bytes, in order; waits while the channel has no room. May cut them anywhere.
    fn send(&mut self, bytes: Bytes) -> impl Future<Output = Result<(), LinkEnded>> + Send;

    /// Sends a signal, after the bytes that were sent before it; returns when the other side has acknowledged it, or,
    /// where nothing acknowledges, when it is sent.
    fn flag(&mut self, flag: SessionFlag) -> impl Future<Output = Result<(), LinkEnded>> + Send;
}
