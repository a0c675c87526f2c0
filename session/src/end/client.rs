//! The client's end.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

use crate::channel::{Channel, ChannelOptions, ChannelStats, Inbound, Message, NumberReused, PeerSilent};
use crate::crypto::{NONCE_BYTES, NotAuthentic, Opener};
use crate::frame::{FrameError, PayloadType};
use crate::handshake::{ClientHandshake, ClientStep, DataKeyRequest, GeneratedKey, HandshakeError, Started};
use crate::payload::{ExitCode, JsonPayload, SessionFlag, SessionType, TerminalSize};

/// How a client's end is set up.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// The channel. Its role has to be the client's.
    pub channel: ChannelOptions,
    /// What to say the client's version is.
    pub client_version: String,
    /// Random, for nonces.
    pub nonce: [u8; NONCE_BYTES],
    /// How long to wait for the agent's first message, and then for its part of the handshake.
    pub start_within: Duration,
    /// How long after the agent's arrival its silence means that the session has begun. A command that waits for input
    /// before it says anything has no handshake and no first message. `None` where there is always one.
    pub quiet_start_after: Option<Duration>,
}

impl ClientOptions {
    /// Herder's choice. A worker for a session takes the agent some seconds, on a busy node many.
    #[must_use]
    pub fn new(channel: ChannelOptions, nonce: [u8; NONCE_BYTES]) -> ClientOptions {
        ClientOptions {
            channel,
            client_version: crate::CLIENT_VERSION.to_owned(),
            nonce,
            start_within: Duration::from_secs(60),
            quiet_start_after: None,
        }
    }
}

/// What happens in a session, seen from the client.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum ClientEvent {
    /// Get a data key, then call [`ClientEnd::data_key`]. The agent waits 15 seconds.
    DataKeyNeeded(DataKeyRequest),
    /// The session begins. Comes again if the agent begins a handshake after a quiet start.
    Started(Box<Started>),
    /// Bytes of the terminal, the program's standard output, or the port.
    Output(Bytes),
    /// Bytes of the program's standard error.
    StdErr(Bytes),
    /// The program has ended.
    ExitCode(i32),
    /// The agent shows a flag.
    Flag(SessionFlag),
    /// The service says that the agent is away.
    PeerAway,
    /// The agent is there again.
    PeerPresent,
    /// The session is over. The last event.
    Closed {
        /// Why, for a person; empty if it ended as it should.
        output: String,
        /// Whether messages are known to be missing before the end.
        is_cut: bool,
    },
}

/// Why a session can't go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The agent acknowledges nothing any more.
    #[error(transparent)]
    Silent(#[from] PeerSilent),
    /// The agent has not said anything.
    #[error("the agent has not opened its end of the session within {} s", .0.as_secs())]
    NotStarted(Duration),
    /// The agent has not gone on with the handshake.
    #[error("the agent has not finished the handshake within {} s", .0.as_secs())]
    HandshakeStuck(Duration),
    /// The handshake failed.
    #[error("the handshake with the agent failed")]
    Handshake(#[from] HandshakeError),
    /// What came can't be decrypted.
    #[error(transparent)]
    NotAuthentic(#[from] NotAuthentic),
    /// What came may be in the wrong place.
    #[error(transparent)]
    NumberReused(#[from] NumberReused),
    /// An exit code or a flag can't be read, so that it is not what the agent sent.
    #[error(
        "the agent sent {length} bytes of type {payload_type} that can't be read: it is not what it meant to send"
    )]
    Meaningless {
        /// The number on the wire.
        payload_type: u32,
        /// Bytes of its payload.
        length: usize,
    },
}

/// A client's end of a session.
#[derive(Debug)]
pub struct ClientEnd {
    channel: Channel,
    handshake: ClientHandshake,
    opener: Option<Opener>,
    events: VecDeque<ClientEvent>,
    closed: Option<String>,
    /// What may not be sent before the session begins.
    early: Vec<(PayloadType, Bytes)>,
    session_type: Option<SessionType>,
    is_quietly_started: bool,
    start_within: Duration,
    quiet_start_after: Option<Duration>,
    /// Since when the agent is waited for, as long as the connection stands.
    waits_since: Duration,
    present_since: Option<Duration>,
    /// The service has said so, and nothing was heard of the agent since.
    is_away: bool,
    /// Why the handshake failed, until the agent says so too.
    no_key: Option<HandshakeError>,
    /// Why nothing more is taken: what follows a message that can't be read is not what was meant.
    failed: Option<ClientError>,
}

impl ClientEnd {
    /// An end that is connected since `now`.
    #[must_use]
    pub fn new(now: Duration, options: ClientOptions) -> ClientEnd {
        ClientEnd {
            channel: Channel::new(options.channel),
            handshake: ClientHandshake::new(options.client_version, options.nonce),
            opener: None,
            events: VecDeque::new(),
            closed: None,
            early: Vec::new(),
            session_type: None,
            is_quietly_started: false,
            start_within: options.start_within,
            quiet_start_after: options.quiet_start_after,
            waits_since: now,
            present_since: None,
            is_away: false,
            no_key: None,
            failed: None,
        }
    }

    /// Takes a binary WebSocket message.
    ///
    /// # Errors
    /// If it can't be read. It is counted and changes nothing else.
    pub fn receive(&mut self, now: Duration, wire: Bytes) -> Result<(), FrameError> {
        match self.channel.receive(now, wire)? {
            Inbound::Closed(closed) => self.closed = Some(closed.output),
            Inbound::PeerAway => {
                self.events.push_back(ClientEvent::PeerAway);
                self.is_away = true;
            }
            Inbound::PeerPresent => {
                self.present_since.get_or_insert(now);
                self.peer_is_here();
            }
            Inbound::Stream | Inbound::Acknowledged => self.peer_is_here(),
            Inbound::Other(_) => {}
        }
        Ok(())
    }

    fn peer_is_here(&mut self) {
        if std::mem::take(&mut self.is_away) {
            self.events.push_back(ClientEvent::PeerPresent);
        }
    }

    /// The next event, in order; `None` until more is received.
    ///
    /// # Errors
    /// If the session can't go on. It is the same error then for ever: nothing is passed on that came after it.
    pub fn next_event(&mut self, now: Duration) -> Result<Option<ClientEvent>, ClientError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        self.take_event(now).inspect_err(|error| self.failed = Some(error.clone()))
    }

    fn take_event(&mut self, now: Duration) -> Result<Option<ClientEvent>, ClientError> {
        if let Some(reused) = self.channel.reused() {
            return Err(reused.into());
        }
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(Some(event));
            }
            let Some(message) = self.channel.take() else { break };
            if let Some(event) = self.message(now, message)? {
                return Ok(Some(event));
            }
        }
        let Some(output) = self.closed.take() else { return Ok(None) };
        Ok(Some(ClientEvent::Closed { output, is_cut: self.channel.has_gap() }))
    }

    fn message(&mut self, now: Duration, message: Message) -> Result<Option<ClientEvent>, ClientError> {
        let was_under_way = self.handshake.is_under_way();
        match self.handshake.message(&message)? {
            ClientStep::NotMine => {}
            ClientStep::Reply(reply) => {
                self.waits_since = now;
                self.channel.send(reply.payload_type, reply.payload);
                return Ok(None);
            }
            ClientStep::NeedDataKey(request) => return Ok(Some(ClientEvent::DataKeyNeeded(request))),
            ClientStep::Started(started, keys) => {
                if let Some(keys) = keys {
                    self.channel.seal_with(keys.sealer);
                    self.opener = Some(keys.opener);
                }
                let is_known = self.is_quietly_started && !was_under_way;
                let event = self.begin(*started);
                if was_under_way {
                    return Ok(Some(event));
                }
                // The message that began the session is part of it.
                if !is_known {
                    self.events.push_back(event);
                }
                if let Some(event) = self.data(&message)? {
                    self.events.push_back(event);
                }
                return Ok(self.events.pop_front());
            }
        }
        self.data(&message)
    }

    fn begin(&mut self, started: Started) -> ClientEvent {
        self.session_type = Some(started.session_type.clone());
        for (payload_type, payload) in std::mem::take(&mut self.early) {
            self.send(payload_type, payload);
        }
        ClientEvent::Started(Box::new(started))
    }

    fn data(&self, message: &Message) -> Result<Option<ClientEvent>, ClientError> {
        let plain = || match &self.opener {
            Some(opener) => opener.open(&message.payload),
            None => Ok(message.payload.clone()),
        };
        let event = match message.payload_type {
            PayloadType::Output => Some(ClientEvent::Output(plain()?)),
            PayloadType::StdErr => Some(ClientEvent::StdErr(plain()?)),
            PayloadType::ExitCode => {
                ExitCode::from_payload(&plain()?).map(|code| ClientEvent::ExitCode(code.0))
            }
            PayloadType::Flag => SessionFlag::from_payload(&message.payload).map(ClientEvent::Flag),
            // Of a later agent, or of no use here; acknowledged like all others.
            _ => return Ok(None),
        };
        event.map(Some).ok_or_else(|| ClientError::Meaningless {
            payload_type: message.payload_type.into(),
            length: message.payload.len(),
        })
    }

    /// Takes the data key that was asked for, or why there is none. The agent then ends the session.
    ///
    /// # Errors
    /// If none was asked for.
    pub fn data_key(
        &mut self,
        now: Duration,
        key: Result<GeneratedKey, HandshakeError>,
    ) -> Result<(), ClientError> {
        let key = key.map_err(|error| {
            let why = error.to_string();
            self.no_key = Some(error);
            why
        });
        let reply = self.handshake.data_key(key).inspect_err(|error| {
            self.failed = Some(error.clone().into());
        })?;
        self.waits_since = now;
        self.channel.send(reply.payload_type, reply.payload);
        Ok(())
    }

    /// Why there was no data key, if that is why the session ends.
    #[must_use]
    pub fn no_key(&self) -> Option<&HandshakeError> {
        self.no_key.as_ref()
    }

    /// Whether the service has closed the session. The event comes after all that was received.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.closed.is_some()
    }

    /// Whether the session has begun and input is sent. What is given before waits.
    #[must_use]
    pub fn is_started(&self) -> bool {
        self.session_type.is_some() && !self.handshake.is_under_way()
    }

    /// Queues bytes for the program, the terminal or the port. They are sent as they are.
    pub fn input(&mut self, bytes: Bytes) {
        self.send(PayloadType::Output, bytes);
    }

    /// Queues the terminal's size. Not sent where there is no terminal; a size without an area is not sent either.
    pub fn resize(&mut self, size: TerminalSize) {
        if size.cols > 0 && size.rows > 0 {
            self.send(PayloadType::Size, size.to_json());
        }
    }

    /// Queues a flag.
    pub fn flag(&mut self, flag: SessionFlag) {
        self.send(PayloadType::Flag, flag.to_payload());
    }

    fn send(&mut self, payload_type: PayloadType, payload: Bytes) {
        let has_no_terminal =
            matches!(self.session_type, Some(SessionType::Port | SessionType::NonInteractiveCommands));
        if payload_type == PayloadType::Size && has_no_terminal {
            return;
        }
        if self.is_started() {
            self.channel.send(payload_type, payload);
            return;
        }
        if payload_type == PayloadType::Size {
            self.early.retain(|(early, _)| *early != PayloadType::Size);
        }
        self.early.push((payload_type, payload));
    }

    /// Bytes that wait to be sent for the first time.
    #[must_use]
    pub fn pending_bytes(&self) -> usize {
        self.channel.pending_bytes() + self.early.iter().map(|(_, payload)| payload.len()).sum::<usize>()
    }

    /// Whether everything queued was sent and acknowledged.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.early.is_empty() && self.channel.is_drained()
    }

    /// The next message to write.
    pub fn transmit(&mut self, now: Duration) -> Option<Bytes> {
        self.channel.transmit(now)
    }

    /// Whether more should be received: see [`Channel::can_receive`].
    #[must_use]
    pub fn can_receive(&self) -> bool {
        self.channel.can_receive()
    }

    /// Tells whether the socket is read from now on: see [`Channel::set_reading`].
    pub fn set_reading(&mut self, now: Duration, is_reading: bool) {
        self.channel.set_reading(now, is_reading);
    }

    /// When [`ClientEnd::expire`] wants to be called.
    #[must_use]
    pub fn deadline(&self) -> Option<Duration> {
        [self.channel.deadline(), self.start_deadline(), self.quiet_start()].into_iter().flatten().min()
    }

    /// Until when the agent has to have said something. A data key is not the agent's business.
    fn start_deadline(&self) -> Option<Duration> {
        let waits = !self.is_started() && self.closed.is_none();
        waits.then(|| self.waits_since + self.start_within)
    }

    /// When silence becomes a beginning.
    fn quiet_start(&self) -> Option<Duration> {
        let waits = self.session_type.is_none() && !self.handshake.is_under_way();
        Some(self.present_since.filter(|_| waits)? + self.quiet_start_after?)
    }

    /// Lets time pass.
    ///
    /// # Errors
    /// If it is no use to wait on.
    pub fn expire(&mut self, now: Duration) -> Result<(), ClientError> {
        self.channel.expire(now)?;
        if self.quiet_start().is_some_and(|at| now >= at) {
            self.is_quietly_started = true;
            let event = self.begin(Started::without_handshake());
            self.events.push_back(event);
        }
        if self.start_deadline().is_some_and(|at| now >= at) {
            let waited = now.saturating_sub(self.waits_since);
            return Err(match self.handshake.is_under_way() {
                true => ClientError::HandshakeStuck(waited),
                false => ClientError::NotStarted(waited),
            });
        }
        Ok(())
    }

    /// The connection is gone.
    pub fn disconnected(&mut self) {
        self.channel.disconnected();
        self.present_since = None;
    }

    /// There is a new connection.
    pub fn connected(&mut self, now: Duration) {
        self.channel.connected(now);
        self.waits_since = now;
    }

    /// For how long the agent has owed an acknowledgement.
    #[must_use]
    pub fn unanswered_for(&self, now: Duration) -> Option<Duration> {
        self.channel.unanswered_for(now)
    }

    /// Sets the wall clock again: Unix milliseconds at `now`.
    pub fn set_unix_ms(&mut self, now: Duration, unix_ms: u64) {
        self.channel.set_unix_ms(now, unix_ms);
    }

    /// Counts so far.
    #[must_use]
    pub fn stats(&self) -> ChannelStats {
        self.channel.stats()
    }
}
