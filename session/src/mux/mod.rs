//! Streams over one port session: smux, version 1, as agents speak it.
//!
//! [`Mux`] is the protocol without I/O: bytes in, events out; commands in, bytes out. [`connect`] puts it on a
//! [link](crate::link) and gives [`MuxStream`]s that read and write like sockets. The client opens streams and the
//! agent's side accepts them; both roles are here. A stream that an agent opens is refused with a FIN.
//!
//! # What version 1 can't do, and what happens then
//!
//! **Half-close.** A FIN closes both directions: an agent that receives one closes the connection to the destination
//! and throws away what that was about to answer. The client therefore keeps its FIN back ([`Half::Held`]) when the local
//! side has only stopped sending, until the agent's FIN has come or the stream is dropped. A destination that waits for
//! the end of its input never sees one before the stream is dropped: there is no message for it.
//!
//! **Windows.** Streams have none, so nobody can be told to send less for one stream. What arrives is kept until it is
//! read, up to a budget for all streams together ([`MuxOptions::receive_budget`]); beyond it, nothing more is taken from the
//! link, and the other side is held back as a whole. A slow reader thus slows every stream of its session to its own
//! pace once it is the budget behind, and loses nothing. A reader that takes *nothing* would hold the others up for
//! ever: when it has taken nothing for [`MuxOptions::stall_limit`] while the budget was full, has at least its share of it, and other
//! streams are open, its stream is closed and its reader told ([`StreamError::Stalled`]). Alone it is never closed.
//! In the other direction the agent has the same budget, and nothing tells whose destination stopped reading:
//! uploads of the whole session wait for it. What must not wait needs a session of its own.
//!
//! **Reset.** An orderly end and a broken connection are the same FIN.
//!
//! # Fairness
//!
//! Streams that have something to send take turns, a frame each, so those that always have something get the same
//! share, and one with little to say waits for at most one frame of each of the others.

mod driver;
mod frame;
mod machine;
mod queue;
mod stream;
#[cfg(test)]
mod tests;

pub use driver::{MuxDriver, MuxHandle, connect};
pub use frame::{Decoder, Frame, HEADER_SIZE, MAX_PAYLOAD, ProtocolError};
pub use machine::{Event, Mux, OpenError, Taken};
pub use stream::MuxStream;

use std::fmt;
use std::time::Duration;

/// Which side of the session this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Opens streams. Its ids are odd, and begin at 3.
    Client,
    /// Accepts streams: the agent.
    Agent,
}

/// What happens when a side stops sending on a stream that it still reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Half {
    /// Nothing is said until the other side has finished or the stream is dropped: what a client wants.
    Held,
    /// FIN is sent at once, and closes both directions: what agents do.
    Sent,
}

/// The number of a stream within its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId(pub u32);

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Why a stream can't be used any more.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StreamError {
    /// The agent could not connect to the destination.
    #[error("the node could not connect to the destination port")]
    ConnectFailed,
    /// Nobody read the stream while others waited for it.
    #[error(
        "nothing was read from the connection for {} s while it held up the session's others",
        limit.as_secs()
    )]
    Stalled {
        /// How long nothing was read.
        limit: Duration,
    },
    /// The other side has closed the stream, or this one has.
    #[error("the stream is closed")]
    Closed,
    /// The session is over, and the stream with it; what was sent may not have arrived.
    #[error("the session ended: {reason}")]
    SessionEnded {
        /// Why, in words for people.
        reason: String,
    },
}

impl From<StreamError> for std::io::Error {
    fn from(error: StreamError) -> std::io::Error {
        use std::io::ErrorKind;
        let kind = match error {
            StreamError::ConnectFailed => ErrorKind::ConnectionRefused,
            StreamError::Stalled { .. } => ErrorKind::TimedOut,
            StreamError::Closed => ErrorKind::BrokenPipe,
            StreamError::SessionEnded { .. } => ErrorKind::ConnectionReset,
        };
        std::io::Error::new(kind, error)
    }
}

/// How a session's streams behave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MuxOptions {
    /// The most bytes in a frame that is sent. The official sides use 32,768; the format allows 65,535.
    pub max_frame: usize,
    /// How many bytes of frames go to the link at once.
    pub block: usize,
    /// How many bytes that nobody has read are kept, for all streams together. The official sides keep 4 MiB.
    pub receive_budget: usize,
    /// How many bytes of a stream wait to be sent.
    pub send_buffer: usize,
    /// How many streams there may be at a time.
    pub max_streams: usize,
    /// What stopping to send means.
    pub half: Half,
    /// After how long without a read a stream that holds others up is closed; never, if absent.
    pub stall_limit: Option<Duration>,
    /// How often something is sent so that the other side hears something: only for agents that
    /// [want it](crate::version::Version::wants_keepalive). Those give up after 30 s of silence.
    pub keepalive: Option<Duration>,
}

impl MuxOptions {
    /// What the official sides send to those who want to hear something.
    pub const KEEPALIVE: Duration = Duration::from_secs(10);

    /// The options of a side, without keep-alive.
    pub fn new(role: Role) -> MuxOptions {
        MuxOptions {
            max_frame: 32_768,
            block: 32_768,
            receive_budget: 4 << 20,
            send_buffer: 128 << 10,
            max_streams: 256,
            half: match role {
                Role::Client => Half::Held,
                Role::Agent => Half::Sent,
            },
            stall_limit: Some(Duration::from_secs(30)),
            keepalive: None,
        }
    }
}
