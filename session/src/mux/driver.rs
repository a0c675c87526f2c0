//! The multiplexer on a link: who carries the bytes, and who opens and accepts streams.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, sleep_until};

use super::machine::{Event, Mux, OpenError};
use super::{MuxOptions, MuxStream, Role, StreamId};
use crate::link::{Incoming, LinkEnded, LinkSink, LinkSource};
use crate::payload::SessionFlag;

/// How often a stalled session is looked at again when looking has not helped.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Who waits for a stream.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    pub(super) reader: Option<Waker>,
    pub(super) writer: Option<Waker>,
}

/// What the driver, the handles and the streams share. Locked for moments only, never across a wait.
#[derive(Debug)]
pub(super) struct State {
    pub(super) mux: Mux,
    pub(super) waiting: HashMap<StreamId, Waiting>,
    accepted: VecDeque<StreamId>,
    flags: VecDeque<SessionFlag>,
    /// Nothing more is to be sent than what is queued.
    is_closing: bool,
    ended: Option<LinkEnded>,
}

impl State {
    /// Works through what has changed, and gives who is to be woken.
    fn changes(&mut self) -> (Vec<Waker>, bool) {
        let (mut woken, mut is_opened) = (Vec::new(), false);
        while let Some(event) = self.mux.next_event() {
            match event {
                Event::Opened(id) => {
                    self.accepted.push_back(id);
                    is_opened = true;
                }
                Event::Readable(id) => {
                    woken.extend(self.waiting.get_mut(&id).and_then(|waiting| waiting.reader.take()));
                }
                Event::Writable(id) => {
                    woken.extend(self.waiting.get_mut(&id).and_then(|waiting| waiting.writer.take()));
                }
            }
        }
        (woken, is_opened)
    }
}

#[derive(Debug)]
pub(super) struct Shared {
    state: Mutex<State>,
    /// There may be something to send.
    to_send: Notify,
    /// There may be room for more.
    to_receive: Notify,
    /// A stream was opened by the other side, or the session has ended.
    to_accept: Notify,
    /// There is a place for another stream, or the session has ended.
    stream_gone: Notify,
}

impl Shared {
    /// Does something with the state, and wakes whom that concerns.
    pub(super) fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.lock();
        let (could_receive, had_to_send) = (state.mux.can_receive(), state.mux.has_to_send());
        let streams = state.mux.streams();
        let result = act(&mut state);
        let (woken, is_opened) = state.changes();
        let has_ended = state.ended.is_some();
        let is_gone = state.mux.streams() < streams;
        let has_room = !could_receive && state.mux.can_receive();
        let has_to_send = !had_to_send && state.mux.has_to_send();
        drop(state);
        woken.into_iter().for_each(Waker::wake);
        if has_room || has_ended {
            self.to_receive.notify_one();
        }
        if has_to_send || has_ended {
            self.to_send.notify_one();
        }
        if is_opened || has_ended {
            self.to_accept.notify_one();
        }
        if is_gone || has_ended {
            self.stream_gone.notify_one();
        }
        result
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self, ended: &LinkEnded) {
        self.with(|state| {
            state.ended.get_or_insert_with(|| ended.clone());
            state.mux.end(&ended.reason);
        });
    }
}

/// Opens and accepts streams. Clones share the session.
#[derive(Debug, Clone)]
pub struct MuxHandle {
    shared: Arc<Shared>,
}

impl MuxHandle {
    /// Opens a stream. Nothing waits for the other side's answer: there is none before the first byte or the end.
    ///
    /// # Errors
    /// The session has as many streams as it may have, or no numbers left.
    pub fn open(&self) -> Result<MuxStream, OpenError> {
        let id = self.shared.with(|state| state.mux.open())?;
        Ok(MuxStream::new(id, Arc::clone(&self.shared)))
    }

    /// For the agent's side: waits for the next stream that the client opens. One task at a time may wait.
    ///
    /// # Errors
    /// The session is over. At a client's side nothing else is waited for.
    pub async fn accept(&self) -> Result<MuxStream, LinkEnded> {
        loop {
            let next = self.shared.with(|state| match (state.accepted.pop_front(), &state.ended) {
                (Some(id), _) => Some(Ok(id)),
                (None, Some(ended)) => Some(Err(ended.clone())),
                (None, None) => None,
            });
            match next {
                Some(Ok(id)) => return Ok(MuxStream::new(id, Arc::clone(&self.shared))),
                Some(Err(ended)) => {
                    self.shared.to_accept.notify_one();
                    return Err(ended);
                }
                None => self.shared.to_accept.notified().await,
            }
        }
    }

    /// Sends a signal before everything that is not on its way yet.
    pub fn flag(&self, flag: SessionFlag) {
        self.shared.with(|state| state.flags.push_back(flag));
        self.shared.to_send.notify_one();
    }

    /// For the agent's side: tells the client that the destination of this stream could not be connected to, and
    /// closes it.
    pub fn refuse(&self, stream: MuxStream) {
        self.flag(SessionFlag::ConnectToPortError);
        drop(stream);
    }

    /// Waits until a stream has been forgotten that had a place, or the session is over. One task at a time is woken
    /// for each.
    pub async fn stream_gone(&self) {
        self.shared.stream_gone.notified().await;
    }

    /// How many streams there are.
    pub fn streams(&self) -> usize {
        self.shared.lock().mux.streams()
    }

    /// How many bytes have come that nobody has read yet.
    pub fn buffered(&self) -> usize {
        self.shared.lock().mux.buffered()
    }

    /// Ends the session after what is queued; the driver then returns.
    pub fn close(&self) {
        self.shared.with(|state| state.is_closing = true);
        self.shared.to_send.notify_one();
    }
}

/// Carries the bytes between a link and a session's streams. Does nothing until [`MuxDriver::run`] is polled.
#[derive(Debug)]
pub struct MuxDriver<R, W> {
    source: R,
    sink: W,
    shared: EndsStreams,
    options: MuxOptions,
}

/// Puts a multiplexer on a link.
pub fn connect<R: LinkSource, W: LinkSink>(
    role: Role,
    options: MuxOptions,
    source: R,
    sink: W,
) -> (MuxHandle, MuxDriver<R, W>) {
    let mux = Mux::new(role, options);
    let options = mux.options().clone();
    let state = State {
        mux,
        waiting: HashMap::new(),
        accepted: VecDeque::new(),
        flags: VecDeque::new(),
        is_closing: false,
        ended: None,
    };
    let shared = Arc::new(Shared {
        state: Mutex::new(state),
        to_send: Notify::new(),
        to_receive: Notify::new(),
        to_accept: Notify::new(),
        stream_gone: Notify::new(),
    });
    let handle = MuxHandle { shared: Arc::clone(&shared) };
    (handle, MuxDriver { source, sink, shared: EndsStreams(shared), options })
}

/// Tells the streams when the driver is gone, however that came.
#[derive(Debug)]
struct EndsStreams(Arc<Shared>);

impl Drop for EndsStreams {
    fn drop(&mut self) {
        self.0.end(&LinkEnded::new("it was closed here"));
    }
}

impl<R: LinkSource, W: LinkSink> MuxDriver<R, W> {
    /// Carries bytes until the session ends, and says why it did. Sending and receiving don't wait for each other.
    /// When the future is dropped, the streams end.
    pub async fn run(self) -> LinkEnded {
        let MuxDriver { source, sink, shared, options } = self;
        let ended = tokio::select! {
            ended = receive(source, &shared.0) => ended,
            ended = send(sink, &shared.0, options.keepalive) => ended,
        };
        shared.0.end(&ended);
        ended
    }
}

async fn receive(mut source: impl LinkSource, shared: &Shared) -> LinkEnded {
    let origin = Instant::now();
    loop {
        wait_for_room(shared, origin).await;
        match source.next().await {
            Ok(Incoming::Bytes(bytes)) => {
                if let Err(error) = shared.with(|state| state.mux.receive(bytes)) {
                    return LinkEnded::new(error.to_string());
                }
            }
            Ok(Incoming::Flag(SessionFlag::ConnectToPortError)) => {
                shared.with(|state| state.mux.connection_failed());
            }
            // The client's signals, for an agent's side.
            Ok(Incoming::Flag(SessionFlag::TerminateSession)) => {
                return LinkEnded::new("the client ended it");
            }
            Ok(Incoming::Flag(SessionFlag::DisconnectToPort | SessionFlag::Other(_))) => {}
            Err(ended) => return ended,
        }
    }
}

/// Waits until readers have made room. Only here, when everything stands still already, is there a timer.
async fn wait_for_room(shared: &Shared, origin: Instant) {
    loop {
        let now = Instant::now();
        let deadline = shared.with(|state| {
            if state.mux.can_receive() {
                return None;
            }
            Some(state.mux.mark_full(now - origin))
        });
        let room = shared.to_receive.notified();
        match deadline {
            None => return,
            Some(None) => room.await,
            Some(Some(deadline)) => {
                let deadline = origin + deadline;
                let look = if deadline > now { deadline } else { now + LOOK_AGAIN };
                tokio::select! {
                    () = room => {}
                    () = sleep_until(look) => {
                        shared.with(|state| state.mux.relieve(Instant::now() - origin));
                    }
                }
            }
        }
    }
}

/// What is to be done for the other side.
enum Due {
    Flag(SessionFlag),
    Block(bytes::Bytes),
    Nothing,
    Closed,
}

async fn send(mut sink: impl LinkSink, shared: &Shared, keepalive: Option<Duration>) -> LinkEnded {
    let mut ticks = keepalive.map(|period| {
        let mut ticks = interval_at(Instant::now() + period, period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks
    });
    loop {
        let due = shared.with(|state| {
            if let Some(flag) = state.flags.pop_front() {
                return Due::Flag(flag);
            }
            match state.mux.transmit() {
                Some(block) => Due::Block(block),
                None if state.is_closing => Due::Closed,
                None => Due::Nothing,
            }
        });
        let sent = match due {
            Due::Flag(flag) => sink.flag(flag).await,
            Due::Block(block) => sink.send(block).await,
            Due::Closed => return LinkEnded::new("it was closed here"),
            Due::Nothing => {
                tokio::select! {
                    () = shared.to_send.notified() => {}
                    () = tick(&mut ticks) => shared.with(|state| state.mux.keep_alive()),
                }
                Ok(())
            }
        };
        if let Err(ended) = sent {
            return ended;
        }
    }
}

async fn tick(ticks: &mut Option<Interval>) {
    match ticks {
        Some(ticks) => {
            ticks.tick().await;
        }
        None => std::future::pending().await,
    }
}
