//! The client's end with a socket.
//!
//! [`Session::open`] takes a session that was started and starts a task for it. The task connects, answers the handshake,
//! acknowledges, sends again, pings, and connects again after every kind of close but the service's word that the session is
//! over. A connection that breaks is a [`SessionEvent::Reconnecting`], not an error: both streams go on where they were.
//!
//! ```no_run
//! # use herder_session::client::{Control, Opened, Session, SessionEvent, SessionOptions};
//! # async fn shell<C: Control>(opened: Opened, control: C, options: SessionOptions) {
//! let Session { handle, mut events } = Session::open(opened, control, options);
//! while let Some(event) = events.next().await {
//!     match event {
//!         SessionEvent::Started(_) => handle.send_input("ls\r".into()).await.unwrap_or_default(),
//!         SessionEvent::Output(bytes) => { /* for the terminal */ }
//!         SessionEvent::Closed(end) => { /* the last one */ }
//!         _ => {}
//!     }
//! }
//! # }
//! ```
//!
//! **Backpressure.** Events wait in a buffer of [`SessionOptions::buffer_bytes`]. When it is full the socket is not read until
//! half of it is free; what was read is acknowledged, pings go on, and a close in between is noticed when reading goes on.
//! The other way, [`SessionHandle::send_input`] waits while the window is full.
//!
//! What ends here is the connection. The session ends by itself, or by `TerminateSession`, which is the caller's.

mod connection;
mod control;
mod dial;
mod driver;
mod endpoint;
mod link;
mod liveness;
mod proxy;
mod queue;
mod reconnect;
mod trust;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot, watch};

use crate::channel::{AckFlags, ChannelStats};
use crate::end::ClientError;
use crate::handshake::Started;
use crate::payload::{SessionFlag, TerminalSize};

pub use control::{Control, ControlError, HeaderPair, Opened, Resumption, UpgradeRequest};
pub use dial::{DialError, DialOptions, ProxyFor};
pub use endpoint::{EndpointError, StreamPolicy};
pub use link::EventLink;
pub use liveness::LivenessOptions;
pub use proxy::{NotAProxy, Proxy};
pub use queue::SessionEvents;
pub use trust::{TrustError, tls_config};

use driver::{Command, Driver};

/// Pieces of input that wait for the driver.
const COMMANDS: usize = 16;

/// A piece of input is at most this long, so that what waits is bounded.
const PIECE_BYTES: usize = 64 << 10;

/// How a session is driven.
#[derive(Clone)]
pub struct SessionOptions {
    /// How connections are made.
    pub dial: DialOptions,
    /// Bytes of payload in a message at most: 1,024 is what the official ends use, 32 KiB what agents take.
    pub chunk_bytes: usize,
    /// Flags of acknowledgements.
    pub ack_flags: AckFlags,
    /// See [`ClientOptions::quiet_start_after`](crate::end::ClientOptions).
    pub quiet_start_after: Option<Duration>,
    /// How long to wait for the agent's part of the beginning.
    pub start_within: Duration,
    /// How long the agent may acknowledge nothing on a good connection.
    pub silent_for: Duration,
    /// When the consumer is told that the agent acknowledges nothing.
    pub unanswered_after: Duration,
    /// Pings.
    pub liveness: LivenessOptions,
    /// Events that wait for the consumer.
    pub buffer_bytes: usize,
    /// How long to go on connecting again. Session Manager itself forgets an idle session after an hour at most.
    pub reconnect_for: Duration,
    /// The wall clock.
    pub wall_clock: Arc<dyn Fn() -> SystemTime + Send + Sync>,
    /// Random.
    pub seed: [u8; 32],
}

impl SessionOptions {
    /// Herder's choice. `seed` is random.
    #[must_use]
    pub fn new(
        dial: DialOptions,
        wall_clock: Arc<dyn Fn() -> SystemTime + Send + Sync>,
        seed: [u8; 32],
    ) -> SessionOptions {
        SessionOptions {
            dial,
            chunk_bytes: 1024,
            ack_flags: AckFlags::default(),
            quiet_start_after: None,
            start_within: Duration::from_secs(60),
            silent_for: Duration::from_secs(300),
            unanswered_after: Duration::from_secs(10),
            liveness: LivenessOptions::default(),
            // A slow reader is told of by backpressure, not hidden by a buffer; a quick one empties this in time at 100 MB/s.
            buffer_bytes: 1 << 20,
            reconnect_for: Duration::from_secs(65 * 60),
            wall_clock,
            seed,
        }
    }

    fn unix_ms(&self) -> u64 {
        let since = (self.wall_clock)().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }
}

impl fmt::Debug for SessionOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("SessionOptions");
        debug.field("dial", &self.dial).field("chunk_bytes", &self.chunk_bytes).finish_non_exhaustive()
    }
}

/// What happens in a session.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum SessionEvent {
    /// The session begins: input is sent from here on. It comes a second time if the agent begins a handshake after a
    /// quiet start.
    Started(Box<Started>),
    /// Bytes of the terminal, the program's standard output, or the port.
    Output(Bytes),
    /// Bytes of the program's standard error.
    StdErr(Bytes),
    /// The program has ended.
    ExitCode(i32),
    /// The agent shows a flag.
    Flag(SessionFlag),
    /// The service says that the agent is away. What is sent is kept.
    Paused,
    /// The agent is there again.
    Resumed,
    /// The agent has acknowledged nothing for a while.
    Unanswered,
    /// It acknowledges again.
    Answered,
    /// There is no connection; a try to make one begins.
    Reconnecting {
        /// From 1.
        attempt: u32,
        /// Why the connection, or the last try, was lost.
        why: String,
    },
    /// There is a connection again.
    Reconnected,
    /// The session is over for this process. The last event.
    Closed(SessionEnd),
}

/// How a session ended.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum SessionEnd {
    /// The service says so.
    Ended {
        /// Why, for a person; empty if it ended as it should.
        output: String,
        /// Whether bytes are known to be missing before the end.
        is_cut: bool,
    },
    /// It could not be resumed: its time is over.
    TimedOut,
    /// It could not be resumed: it is no more.
    Gone,
    /// This end closed its connection. The session goes on until its time is over.
    Left,
    /// It can't go on from here.
    Failed(Arc<SessionError>),
}

/// What the text of a connection that could not be made begins with.
pub const NOT_CONNECTED: &str = "could not connect";

/// Why a session can't go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// The protocol failed.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// There was no connection.
    #[error("{}", NOT_CONNECTED)]
    Dial(#[from] DialError),
    /// The session could not be resumed.
    #[error("could not resume the session")]
    Resume(#[source] ControlError),
    /// Tries to connect again went on for too long.
    #[error("no connection for {} s; the last one was lost: {why}", .after.as_secs())]
    GaveUp {
        /// For how long.
        after: Duration,
        /// Why the last try failed.
        why: String,
    },
}

impl PartialEq for SessionError {
    /// By what they say.
    fn eq(&self, other: &SessionError) -> bool {
        control::chain(self) == control::chain(other)
    }
}

/// The session's task has ended; the reason is, or was, the last event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the session is over")]
pub struct SessionOver;

/// Counts of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SessionStats {
    /// The channel's.
    pub channel: ChannelStats,
    /// Connections after the first.
    pub reconnects: u32,
}

/// A session that is being driven.
#[derive(Debug)]
pub struct Session {
    /// For what goes in.
    pub handle: SessionHandle,
    /// For what comes out.
    pub events: SessionEvents,
}

impl Session {
    /// Starts a task that drives a session until it is over, [`SessionHandle::close`] is called, or `events` is dropped.
    pub fn open<C: Control>(opened: Opened, control: C, options: SessionOptions) -> Session {
        let (producer, events) = queue::queue(options.buffer_bytes);
        let (commands, receiver) = mpsc::channel(COMMANDS);
        let (size, sizes) = watch::channel(None);
        let (close, closing) = watch::channel(false);
        let driver = Driver::new(opened, control, options, (receiver, sizes, closing), producer);
        tokio::spawn(driver.run());
        Session { handle: SessionHandle { commands, size: Arc::new(size), close: Arc::new(close) }, events }
    }
}

/// What goes into a session. Clones are the same session; the session goes on without any.
#[derive(Debug, Clone)]
pub struct SessionHandle {
    commands: mpsc::Sender<Command>,
    size: Arc<watch::Sender<Option<TerminalSize>>>,
    close: Arc<watch::Sender<bool>>,
}

impl SessionHandle {
    /// Sends bytes to the program, the terminal or the port, as they are and in order; waits while too many wait. What is
    /// given before the session has begun is sent then.
    ///
    /// # Errors
    /// If the session is over.
    pub async fn send_input(&self, mut bytes: Bytes) -> Result<(), SessionOver> {
        while !bytes.is_empty() {
            let piece = bytes.split_to(bytes.len().min(PIECE_BYTES));
            self.command(Command::Input(piece)).await?;
        }
        Ok(())
    }

    /// Tells the terminal's size, now and whenever it changes; only the last one counts. A size of 0 is not told.
    pub fn resize(&self, size: TerminalSize) {
        self.size.send_replace(Some(size));
    }

    /// Shows the agent a flag, after what was sent before it.
    ///
    /// # Errors
    /// If the session is over.
    pub async fn flag(&self, flag: SessionFlag) -> Result<(), SessionOver> {
        self.command(Command::Flag(flag)).await
    }

    /// Waits until the agent has acknowledged all that was sent before.
    ///
    /// # Errors
    /// If the session is over before.
    pub async fn drained(&self) -> Result<(), SessionOver> {
        let (done, wait) = oneshot::channel();
        self.command(Command::Drained(done)).await?;
        wait.await.map_err(|_| SessionOver)
    }

    /// Counts so far.
    ///
    /// # Errors
    /// If the session is over.
    pub async fn stats(&self) -> Result<SessionStats, SessionOver> {
        let (answer, wait) = oneshot::channel();
        self.command(Command::Stats(answer)).await?;
        wait.await.map_err(|_| SessionOver)
    }

    /// Closes the connection without waiting for anything. The session itself is not ended.
    pub fn close(&self) {
        self.close.send_replace(true);
    }

    async fn command(&self, command: Command) -> Result<(), SessionOver> {
        self.commands.send(command).await.map_err(|_| SessionOver)
    }
}
