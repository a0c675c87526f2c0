//! A listener at work: sessions come and go below it.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::half_close::{Break, Patience, carry};
use super::single::single;
use super::{Carried, Connection, Listener};
use crate::link::{LinkEnded, LinkSink, LinkSource};
use crate::mux::{self, MuxHandle, MuxOptions, OpenError, Role, StreamError};

/// How long the connections of a session that has ended are waited for: most end at once. One whose client takes nothing
/// has to be left to itself.
const WIND_UP: Duration = Duration::from_millis(500);

/// Connections that are being carried, by number.
type Connections = JoinSet<(u64, (Carried, Option<Break>))>;

/// How long nothing is accepted after the system could not give a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long the answer to what was sent to its end is waited for unless somebody says otherwise, from the last byte on: longer than
/// anything that is at work stays silent, and shorter than the 20 min after which the service ends an idle session.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(600);

/// How an agent takes connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PortKind {
    /// Many at a time: agents that [multiplex](crate::version::Version::multiplexes).
    Mux(MuxOptions),
    /// One after the other. The agent connects to the destination when the session begins, and again with the first
    /// byte after a disconnect: a destination that speaks first does so on the first connection only. When it closes,
    /// nobody is told.
    Single,
}

/// A port session that has begun.
#[derive(Debug)]
pub struct PortLink<R, W> {
    /// Where bytes come from.
    pub source: R,
    /// Where bytes go.
    pub sink: W,
    /// How the agent takes connections.
    pub kind: PortKind,
}

/// How connections are carried.
///
/// A client that has closed its half waits for an answer whose end an agent that multiplexes tells, and others don't. It is waited for
/// as long as this says, from the last byte on, and broken off then. One that has closed its connection altogether is noticed: at once on
/// a Unix socket and on the same Linux, else after about a minute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForwardOptions {
    /// How long the answer of a client that has closed its half is waited for.
    pub grace: Duration,
    /// The same while there are as many connections as there may be.
    pub crowded_grace: Duration,
    /// The same where connections are taken one after the other: there the end of an answer is never told.
    pub single_grace: Duration,
    /// The same there while the next one waits.
    pub single_crowded_grace: Duration,
    /// How long what comes is thrown away after a disconnect, where connections are taken one after the other: bytes
    /// of the last one may be on their way.
    pub settle: Duration,
}

impl Default for ForwardOptions {
    fn default() -> ForwardOptions {
        ForwardOptions {
            grace: ANSWER_WITHIN,
            crowded_grace: Duration::from_secs(30),
            // Long enough to notice first who is gone.
            single_grace: Duration::from_secs(90),
            single_crowded_grace: Duration::from_secs(2),
            settle: Duration::from_millis(250),
        }
    }
}

/// How a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectionEnd {
    /// Both sides were done.
    Orderly,
    /// The client had closed its half, and nothing came for so long, while the destination had not closed.
    Unanswered {
        /// How long it was waited for since the last byte.
        silent_for: Duration,
    },
    /// The node could not connect to the destination.
    ConnectFailed,
    /// The local client went away.
    ClientGone(String),
    /// The local client took nothing while others waited for it.
    Stalled,
    /// The session ended under it.
    SessionEnded(String),
}

/// What happens while a listener is at work.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ForwardEvent {
    /// A session carries connections.
    Ready,
    /// The session has ended. The listener goes on; its next connection begins another session.
    SessionEnded {
        /// Why, in words for people.
        reason: String,
    },
    /// A client has connected.
    Accepted {
        /// The connection's number, from 1 on.
        connection: u64,
        /// The client's address, or `unix`.
        peer: String,
    },
    /// A connection is over.
    Finished {
        /// The connection's number.
        connection: u64,
        /// What it has carried.
        carried: Carried,
        /// How it ended.
        end: ConnectionEnd,
    },
    /// The system could not give a connection. The listener goes on.
    AcceptFailed {
        /// What the system said.
        error: String,
    },
}

/// What the parts of a listener at work have in common.
pub(super) struct Work<'a, N> {
    pub(super) listener: &'a Listener,
    pub(super) options: &'a ForwardOptions,
    pub(super) notify: N,
    accepted: AtomicU64,
}

impl<N: Fn(ForwardEvent)> Work<'_, N> {
    /// Waits for a connection. Nothing is lost if the future is dropped.
    pub(super) async fn accept(&self) -> (u64, Connection) {
        loop {
            match self.listener.accept().await {
                Ok((connection, peer)) => {
                    let number = self.accepted.fetch_add(1, Ordering::Relaxed) + 1;
                    (self.notify)(ForwardEvent::Accepted { connection: number, peer });
                    return (number, connection);
                }
                Err(error) if is_passing(&error) => {}
                Err(error) => {
                    (self.notify)(ForwardEvent::AcceptFailed { error: error.to_string() });
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// Waits for a connection, and tells of those of the last session that end meanwhile.
    async fn accept_after(&self, connections: &mut Connections) -> (u64, Connection) {
        loop {
            tokio::select! {
                accepted = self.accept() => return accepted,
                Some(Ok((number, (carried, broken)))) = connections.join_next() => {
                    self.finished(number, carried, broken);
                }
            }
        }
    }

    pub(super) fn finished(&self, connection: u64, carried: Carried, broken: Option<Break>) {
        let end = match broken {
            None => ConnectionEnd::Orderly,
            Some(Break::Silent(silent_for)) => ConnectionEnd::Unanswered { silent_for },
            Some(Break::Local(error)) => ConnectionEnd::ClientGone(error),
            Some(Break::Stream(StreamError::ConnectFailed)) => ConnectionEnd::ConnectFailed,
            Some(Break::Stream(StreamError::Stalled { .. })) => ConnectionEnd::Stalled,
            Some(Break::Stream(StreamError::SessionEnded { reason })) => ConnectionEnd::SessionEnded(reason),
            Some(Break::Stream(StreamError::Closed)) => ConnectionEnd::Orderly,
        };
        (self.notify)(ForwardEvent::Finished { connection, carried, end });
    }
}

fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset)
}

/// Accepts connections and carries them, until a session that is needed can't be had: then gives the reason. `dial`
/// begins a session; it is called at once, and again with the first connection after a session's end, so that an idle
/// listener costs nothing. Whether and how long it tries is its own affair: connections wait meanwhile.
///
/// Dropped, it breaks its connections off, as it does at its end.
pub async fn serve<D, F, R, W, E>(
    listener: &Listener,
    options: &ForwardOptions,
    mut dial: D,
    notify: impl Fn(ForwardEvent),
) -> E
where
    D: FnMut() -> F,
    F: Future<Output = Result<PortLink<R, W>, E>>,
    R: LinkSource,
    W: LinkSink,
{
    let work = Work { listener, options, notify, accepted: AtomicU64::new(0) };
    let mut waiting = None;
    let mut connections = Connections::new();
    loop {
        let PortLink { source, sink, kind } = match dial().await {
            Ok(link) => link,
            // A connection that waits is broken off, as those that are carried are.
            Err(error) => return error,
        };
        (work.notify)(ForwardEvent::Ready);
        let ended = match kind {
            PortKind::Mux(options) => {
                let (handle, driver) = mux::connect(Role::Client, options.clone(), source, sink);
                // A task of its own: carrying bytes does not wait for accepting.
                let mut driving = JoinSet::new();
                driving.spawn(driver.run());
                let max_streams = options.max_streams.max(1);
                let patience = Patience::new(work.options.grace, work.options.crowded_grace);
                let patience = Arc::new(patience);
                let many = Many { handle, max_streams, patience, connections: &mut connections };
                many.carry(&work, waiting.take(), driving).await
            }
            PortKind::Single => single(&work, &mut waiting, source, sink).await,
        };
        (work.notify)(ForwardEvent::SessionEnded { reason: ended.reason });
        if waiting.is_none() {
            waiting = Some(work.accept_after(&mut connections).await);
        }
    }
}

/// Many connections at a time over one session.
struct Many<'a> {
    handle: MuxHandle,
    /// At least one.
    max_streams: usize,
    patience: Arc<Patience>,
    /// Some may be left of the session before.
    connections: &'a mut Connections,
}

impl Many<'_> {
    /// Carries connections until the session ends.
    async fn carry<N: Fn(ForwardEvent)>(
        self,
        work: &Work<'_, N>,
        first: Option<(u64, Connection)>,
        mut driving: JoinSet<LinkEnded>,
    ) -> LinkEnded {
        let Many { handle, max_streams, patience, connections } = self;
        let mut next = first;
        let ended = loop {
            if let Some((number, connection)) = next.take() {
                let (handle, patience) = (handle.clone(), Arc::clone(&patience));
                connections.spawn(async move { (number, one(connection, &handle, &patience).await) });
            }
            let is_full = connections.len() >= max_streams;
            patience.is_crowded.store(is_full, Ordering::Relaxed);
            tokio::select! {
                ended = driving.join_next() => break driven(ended),
                accepted = work.accept(), if !is_full => next = Some(accepted),
                Some(Ok((number, (carried, broken)))) = connections.join_next() => {
                    work.finished(number, carried, broken);
                }
            }
        };
        let winding_up = async {
            while let Some(finished) = connections.join_next().await {
                if let Ok((number, (carried, broken))) = finished {
                    work.finished(number, carried, broken);
                }
            }
        };
        // Those that take longer are told of when they end.
        let _ = timeout(WIND_UP, winding_up).await;
        ended
    }
}

fn driven(ended: Option<Result<LinkEnded, tokio::task::JoinError>>) -> LinkEnded {
    match ended {
        Some(Ok(ended)) => ended,
        _ => LinkEnded::new("it was given up"),
    }
}

async fn one(connection: Connection, handle: &MuxHandle, patience: &Patience) -> (Carried, Option<Break>) {
    loop {
        match handle.open() {
            Ok(stream) => return carry(connection, stream, patience).await,
            // A stream that is closed keeps its place until that is said; others may be about to.
            Err(OpenError::TooMany(_)) => handle.stream_gone().await,
            Err(error @ OpenError::NoIds) => {
                handle.close();
                let reason = error.to_string();
                return (Carried::default(), Some(Break::Stream(StreamError::SessionEnded { reason })));
            }
        }
    }
}
