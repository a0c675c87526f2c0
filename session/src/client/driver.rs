//! The task of a session: one connection after another.

use std::future::{Future, pending, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, Sleep};

use super::connection::{Connection, Lost};
use super::control::{Control, Opened, chain};
use super::liveness::{Due, Liveness};
use super::queue::Producer;
use super::reconnect::Connector;
use super::{SessionEnd, SessionError, SessionEvent, SessionOptions, SessionStats};
use crate::channel::ChannelOptions;
use crate::end::{ClientEnd, ClientError, ClientEvent, ClientOptions};
use crate::handshake::{DataKeyRequest, GeneratedKey, HandshakeError};
use crate::payload::{SessionFlag, TerminalSize};

/// Bytes that are taken from producers before they are sent: a few chunks, so that the window never waits for a task.
const PENDING_BYTES: usize = 256 << 10;

/// Events that are passed on under one lock.
const BATCH_EVENTS: usize = 256;

/// How long saying good-bye may take.
const FAREWELL: Duration = Duration::from_secs(1);

/// What a handle wants.
#[derive(Debug)]
pub(super) enum Command {
    Input(bytes::Bytes),
    Flag(SessionFlag),
    Drained(oneshot::Sender<()>),
    Stats(oneshot::Sender<SessionStats>),
}

type Inputs = (mpsc::Receiver<Command>, watch::Receiver<Option<TerminalSize>>, watch::Receiver<bool>);
type KeyFuture = Pin<Box<dyn Future<Output = Result<GeneratedKey, HandshakeError>> + Send>>;

/// What ended a wait.
enum Wake {
    Socket(Result<(), Lost>),
    Command(Option<Command>),
    Size,
    Room(bool),
    Key(Result<GeneratedKey, HandshakeError>),
    Timer,
    Close,
}

/// What ended a connection.
enum Over {
    Lost(Lost),
    Session(SessionEnd),
}

pub(super) fn failed(error: SessionError) -> SessionEnd {
    SessionEnd::Failed(Arc::new(error))
}

/// A session's state between connections.
pub(super) struct Driver<C> {
    control: Arc<C>,
    options: SessionOptions,
    session: (String, String),
    connector: Connector<C>,
    end: ClientEnd,
    commands: mpsc::Receiver<Command>,
    sizes: watch::Receiver<Option<TerminalSize>>,
    closing: watch::Receiver<bool>,
    producer: Producer,
    has_handles: bool,
    key: Option<KeyFuture>,
    drains: Vec<oneshot::Sender<()>>,
    is_unanswered: bool,
    /// Whether the consumer had room, so that the socket is read.
    is_reading: bool,
    epoch: Instant,
}

impl<C: Control> Driver<C> {
    pub(super) fn new(
        opened: Opened,
        control: C,
        options: SessionOptions,
        (commands, sizes, closing): Inputs,
        producer: Producer,
    ) -> Driver<C> {
        let control = Arc::new(control);
        let (seed, rest) =
            options.seed.split_first_chunk().map_or((0, &[][..]), |(s, r)| (u64::from_be_bytes(*s), r));
        let (other, rest) =
            rest.split_first_chunk().map_or((0, &[][..]), |(s, r)| (u64::from_be_bytes(*s), r));
        let nonce = rest.first_chunk().copied().unwrap_or_default();
        let channel = ChannelOptions {
            chunk_bytes: options.chunk_bytes,
            ack_flags: options.ack_flags,
            give_up_after: Some(options.silent_for),
            ..ChannelOptions::client(seed, options.unix_ms())
        };
        let client = ClientOptions {
            start_within: options.start_within,
            quiet_start_after: options.quiet_start_after,
            ..ClientOptions::new(channel, nonce)
        };
        Driver {
            session: (opened.session_id.clone(), opened.target.clone()),
            connector: Connector::new(control.clone(), opened, &options, other),
            control,
            end: ClientEnd::new(Duration::ZERO, client),
            commands,
            sizes,
            closing,
            producer,
            has_handles: true,
            key: None,
            drains: Vec::new(),
            is_unanswered: false,
            is_reading: true,
            epoch: Instant::now(),
            options,
        }
    }

    fn now(&self) -> Duration {
        self.epoch.elapsed()
    }

    /// Drives the session to its end, which is the last event.
    pub(super) async fn run(mut self) {
        let end = self.connections().await;
        self.producer.extend([SessionEvent::Closed(end)]);
    }

    async fn connections(&mut self) -> SessionEnd {
        let end = self.connect_and_drive().await;
        if end == SessionEnd::Left {
            return end;
        }
        // What was received and found no room is not thrown away; the service's word, if it is there, is the better end. An end
        // because of what was received stays the end: nothing is passed on after it.
        match self.pass_events(self.now(), usize::MAX) {
            Err(Over::Session(better)) => better,
            _ => end,
        }
    }

    async fn connect_and_drive(&mut self) -> SessionEnd {
        let mut lost = None;
        loop {
            let connecting = self.connector.connect(lost.take(), &self.producer);
            let closing = closed(&mut self.closing);
            let abandoned = poll_fn(|cx| self.producer.poll_abandoned(cx));
            let socket = tokio::select! {
                socket = connecting => match socket {
                    Ok(socket) => socket,
                    Err(end) => return end,
                },
                () = closing => return SessionEnd::Left,
                () = abandoned => return SessionEnd::Left,
            };
            let now = self.now();
            self.end.connected(now);
            let liveness = Liveness::new(self.options.liveness, now, self.options.unix_ms());
            let mut connection = Connection::new(socket, liveness);
            match self.drive(&mut connection).await {
                Over::Session(end) => {
                    // The last acknowledgements let the agent end promptly; nobody is waited for.
                    let now = self.now();
                    let _late = tokio::time::timeout(FAREWELL, connection.close(now, &mut self.end)).await;
                    return end;
                }
                Over::Lost(why) => {
                    self.end.disconnected();
                    self.connector.lost();
                    lost = Some(why.0);
                }
            }
        }
    }

    async fn drive(&mut self, connection: &mut Connection) -> Over {
        let sleep = tokio::time::sleep_until(self.epoch);
        tokio::pin!(sleep);
        loop {
            if let Err(over) = self.turn(connection, sleep.as_mut()).await {
                return over;
            }
        }
    }

    /// Passes on what came, then waits until something happens, and sees to it.
    async fn turn(&mut self, connection: &mut Connection, sleep: Pin<&mut Sleep>) -> Result<(), Over> {
        let now = self.now();
        let has_room = self.pass_events(now, self.producer.room())?;
        self.set_reading(now, connection, has_room);
        if self.end.is_drained() {
            self.drains.drain(..).for_each(|drain| drain.send(()).unwrap_or_default());
        }
        let wake = self.wait(connection, now, sleep, has_room).await;
        let now = self.now();
        match wake {
            Wake::Socket(Ok(())) => {}
            Wake::Socket(Err(lost)) => return Err(self.lost(now, lost)),
            Wake::Command(None) => self.has_handles = false,
            Wake::Command(Some(command)) => {
                self.obey(command);
                // What else waits goes out with it.
                while self.end.pending_bytes() < PENDING_BYTES {
                    let Ok(command) = self.commands.try_recv() else { break };
                    self.obey(command);
                }
            }
            Wake::Size => {
                let size = *self.sizes.borrow_and_update();
                size.into_iter().for_each(|size| self.end.resize(size));
            }
            Wake::Room(is_abandoned) => {
                if is_abandoned {
                    return Err(Over::Session(SessionEnd::Left));
                }
            }
            Wake::Key(key) => {
                self.key = None;
                self.end.data_key(now, key).map_err(|error| self.over(error))?;
            }
            Wake::Timer => self.tick(now, connection)?,
            Wake::Close => return Err(Over::Session(SessionEnd::Left)),
        }
        Ok(())
    }

    /// Notes whether the socket is read until the next turn. That nothing was heard while it was not is the consumer's doing.
    fn set_reading(&mut self, now: Duration, connection: &mut Connection, is_reading: bool) {
        if is_reading && !self.is_reading {
            connection.liveness.heard(now);
        }
        self.is_reading = is_reading;
        self.end.set_reading(now, is_reading);
    }

    async fn wait(
        &mut self,
        connection: &mut Connection,
        now: Duration,
        mut sleep: Pin<&mut Sleep>,
        has_room: bool,
    ) -> Wake {
        let deadline = self.end.deadline();
        let at = deadline.into_iter().chain([connection.liveness.next(has_room)]).min().unwrap_or(now);
        let at = self.epoch + at;
        // A timer that comes too early does no harm; setting it with every message would.
        if sleep.is_elapsed() || at < sleep.deadline() {
            sleep.as_mut().reset(at);
        }
        let takes_commands = self.has_handles && self.end.pending_bytes() < PENDING_BYTES;
        let (end, producer, epoch) = (&mut self.end, &self.producer, self.epoch);
        // The socket is last: it may always be ready, and the others never are for long.
        tokio::select! {
            biased;
            () = closed(&mut self.closing) => Wake::Close,
            command = self.commands.recv(), if takes_commands => Wake::Command(command),
            () = changed(&mut self.sizes) => Wake::Size,
            key = ready(&mut self.key) => Wake::Key(key),
            () = sleep => Wake::Timer,
            is_abandoned = poll_fn(|cx| producer.poll_room(cx)), if !has_room => Wake::Room(is_abandoned),
            () = poll_fn(|cx| producer.poll_abandoned(cx)), if has_room => Wake::Room(true),
            result = poll_fn(|cx| connection.poll(cx, epoch.elapsed(), end, has_room)) => Wake::Socket(result),
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Input(bytes) => self.end.input(bytes),
            Command::Flag(flag) => self.end.flag(flag),
            Command::Drained(done) => self.drains.push(done),
            Command::Stats(answer) => {
                let stats =
                    SessionStats { channel: self.end.stats(), reconnects: self.connector.reconnects() };
                answer.send(stats).unwrap_or_default();
            }
        }
    }

    /// Passes events to the consumer while there is room; false if there was none left.
    fn pass_events(&mut self, now: Duration, mut room: usize) -> Result<bool, Over> {
        let mut events = Vec::new();
        let mut over = None;
        while room > 0 && over.is_none() {
            let event = match self.end.next_event(now) {
                Ok(Some(event)) => event,
                Ok(None) => break,
                Err(error) => {
                    over = Some(self.over(error));
                    break;
                }
            };
            let event = match event {
                ClientEvent::DataKeyNeeded(request) => {
                    self.key = Some(self.data_key(request));
                    continue;
                }
                ClientEvent::Closed { output, is_cut } => {
                    over = Some(Over::Session(self.ended(output, is_cut)));
                    break;
                }
                ClientEvent::Started(started) => SessionEvent::Started(started),
                ClientEvent::Output(bytes) => SessionEvent::Output(bytes),
                ClientEvent::StdErr(bytes) => SessionEvent::StdErr(bytes),
                ClientEvent::ExitCode(code) => SessionEvent::ExitCode(code),
                ClientEvent::Flag(flag) => SessionEvent::Flag(flag),
                ClientEvent::PeerAway => SessionEvent::Paused,
                ClientEvent::PeerPresent => SessionEvent::Resumed,
            };
            room = room.saturating_sub(match &event {
                SessionEvent::Output(bytes) | SessionEvent::StdErr(bytes) => bytes.len().max(1),
                _ => 1,
            });
            events.push(event);
            if events.len() >= BATCH_EVENTS {
                self.producer.extend(events.drain(..));
            }
        }
        if !events.is_empty() {
            self.producer.extend(events);
        }
        over.map_or(Ok(room > 0), Err)
    }

    /// The end as the service tells it; without a data key, that is the better reason.
    fn ended(&self, output: String, is_cut: bool) -> SessionEnd {
        match self.end.no_key() {
            Some(error) => failed(ClientError::Handshake(error.clone()).into()),
            None => SessionEnd::Ended { output, is_cut },
        }
    }

    /// The end as this side sees it.
    fn over(&self, error: ClientError) -> Over {
        let no_key = self.end.no_key().map(|error| ClientError::Handshake(error.clone()));
        Over::Session(failed(no_key.unwrap_or(error).into()))
    }

    /// A connection is lost; what came before may say that the session is over.
    fn lost(&mut self, now: Duration, lost: Lost) -> Over {
        let room = if self.end.is_closed() { usize::MAX } else { self.producer.room() };
        match self.pass_events(now, room) {
            Err(over) => over,
            Ok(_) => Over::Lost(lost),
        }
    }

    fn data_key(&self, request: DataKeyRequest) -> KeyFuture {
        let control = self.control.clone();
        let (session_id, target) = &self.session;
        let context = request.encryption_context(session_id, target);
        Box::pin(async move {
            let key = control.generate_data_key(&request.key_id, &context).await;
            key.map_err(|error| HandshakeError::NoKey { key_id: request.key_id, why: chain(&error) })
        })
    }

    fn tick(&mut self, now: Duration, connection: &mut Connection) -> Result<(), Over> {
        self.end.expire(now).map_err(|error| self.over(error))?;
        let unix_ms = self.options.unix_ms();
        self.end.set_unix_ms(now, unix_ms);
        match connection.liveness.due(now, unix_ms, self.is_reading) {
            Due::Nothing => {}
            Due::Ping => connection.ping(),
            Due::Dead(silent) => {
                return Err(Over::Lost(Lost(format!("nothing was heard for {} s", silent.as_secs()))));
            }
        }
        // What is not read may be the answer.
        if !self.is_reading {
            return Ok(());
        }
        let unanswered = self.end.unanswered_for(now).unwrap_or_default();
        let is_unanswered = unanswered >= self.options.unanswered_after;
        if is_unanswered != self.is_unanswered {
            self.is_unanswered = is_unanswered;
            self.producer.extend([if is_unanswered {
                SessionEvent::Unanswered
            } else {
                SessionEvent::Answered
            }]);
        }
        Ok(())
    }
}

/// Waits until a handle wants to close.
async fn closed(closing: &mut watch::Receiver<bool>) {
    // Without a handle nobody can want it.
    if closing.wait_for(|is_closed| *is_closed).await.is_err() {
        pending::<()>().await;
    }
}

/// Waits for another size.
async fn changed(sizes: &mut watch::Receiver<Option<TerminalSize>>) {
    if sizes.changed().await.is_err() {
        pending::<()>().await;
    }
}

/// Waits for what may not be under way.
async fn ready(key: &mut Option<KeyFuture>) -> Result<GeneratedKey, HandshakeError> {
    match key {
        Some(key) => key.await,
        None => pending().await,
    }
}
