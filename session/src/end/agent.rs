//! The agent's end, for a stand-in of the agent.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

use crate::channel::{Channel, ChannelOptions, ChannelStats, Inbound, Message};
use crate::crypto::{DataKey, NotAuthentic, Opener};
use crate::frame::{FrameError, PayloadType};
use crate::handshake::{AgentHandshake, AgentPlan, AgentStarted, AgentStep, DataKeyRequest, HandshakeError};
use crate::payload::{ExitCode, JsonPayload, SessionFlag, TerminalSize};
use crate::version::ClientVersion;

/// How an agent's end is set up.
#[derive(Debug, Clone)]
pub struct AgentOptions {
    /// The channel. Its role has to be the agent's.
    pub channel: ChannelOptions,
    /// What the session is for.
    pub plan: AgentPlan,
    /// Random, for nonces and the challenge.
    pub random: [u8; 32],
    /// How long to wait for the client's answer, and then for its answer to the challenge.
    pub answer_within: Duration,
}

impl AgentOptions {
    /// The official agent's choice.
    #[must_use]
    pub fn new(channel: ChannelOptions, plan: AgentPlan, random: [u8; 32]) -> AgentOptions {
        AgentOptions { channel, plan, random, answer_within: Duration::from_secs(15) }
    }
}

/// What happens in a session, seen from the agent.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum AgentEvent {
    /// Have this decrypted, then call [`AgentEnd::data_key`].
    DecryptionNeeded {
        /// Key and challenge for the encryption context.
        request: DataKeyRequest,
        /// What the client sent.
        ciphertext: Vec<u8>,
    },
    /// The session begins.
    Started {
        /// The client's version; `None` without a handshake, or if it can't be read.
        client_version: Option<ClientVersion>,
        /// Whether the program's bytes are encrypted.
        is_encrypted: bool,
    },
    /// Bytes for the terminal, the program or the port.
    Input(Bytes),
    /// The terminal's size.
    Size(TerminalSize),
    /// The client shows a flag.
    Flag(SessionFlag),
    /// The service says that the client is away.
    PeerAway,
    /// The service says that the client is there.
    PeerPresent,
    /// The service says that the session is over.
    Closed(String),
}

/// Why a session can't go on: the text is for `channel_closed`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AgentError {
    /// The client has not answered the handshake.
    #[error(
        "Handshake timed out. Please ensure that you have the latest version of the session manager plugin."
    )]
    HandshakeTimeout,
    /// The client has not answered the challenge.
    #[error("Timed out waiting for encryption challenge.")]
    ChallengeTimeout,
    /// The client refused, or does not have the key.
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
    /// What came can't be decrypted.
    #[error(transparent)]
    NotAuthentic(#[from] NotAuthentic),
}

/// An agent's end of a session.
#[derive(Debug)]
pub struct AgentEnd {
    channel: Channel,
    handshake: Option<AgentHandshake>,
    opener: Option<Opener>,
    events: VecDeque<AgentEvent>,
    /// What may not be sent before the session begins.
    early: Vec<(PayloadType, Bytes)>,
    is_ready: bool,
    answer_within: Duration,
    waits_since: Duration,
}

impl AgentEnd {
    /// An end that is connected since `now`. It is ready for input.
    #[must_use]
    pub fn new(now: Duration, options: AgentOptions) -> AgentEnd {
        let mut end = AgentEnd {
            channel: Channel::new(options.channel),
            handshake: None,
            opener: None,
            events: VecDeque::new(),
            early: Vec::new(),
            is_ready: true,
            answer_within: options.answer_within,
            waits_since: now,
        };
        if options.plan.has_handshake() {
            let (handshake, request) = AgentHandshake::new(options.plan, options.random);
            end.channel.send(request.payload_type, request.payload);
            end.handshake = Some(handshake);
        } else {
            end.events.push_back(AgentEvent::Started { client_version: None, is_encrypted: false });
        }
        end
    }

    /// Whether input can be taken: a terminal or a port may not be there yet. What can't be taken is not acknowledged, and
    /// the client sends it again.
    pub fn set_ready(&mut self, is_ready: bool) {
        self.is_ready = is_ready;
    }

    /// Takes a binary WebSocket message.
    ///
    /// # Errors
    /// If it can't be read. It is counted and changes nothing else.
    pub fn receive(&mut self, now: Duration, wire: Bytes) -> Result<(), FrameError> {
        match self.channel.receive(now, wire)? {
            Inbound::Closed(closed) => self.events.push_back(AgentEvent::Closed(closed.output)),
            Inbound::PeerAway => self.events.push_back(AgentEvent::PeerAway),
            Inbound::PeerPresent => self.events.push_back(AgentEvent::PeerPresent),
            _ => {}
        }
        Ok(())
    }

    /// The next event; `None` until more is received, or this end is ready.
    ///
    /// # Errors
    /// If the session can't go on.
    pub fn next_event(&mut self, now: Duration) -> Result<Option<AgentEvent>, AgentError> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(Some(event));
            }
            let is_input = |message: &Message| message.payload_type == PayloadType::Output;
            if self.handshake.is_none() && !self.is_ready && self.channel.peek().is_some_and(is_input) {
                return Ok(None);
            }
            let Some(message) = self.channel.take() else { return Ok(None) };
            let event =
                if self.handshake.is_some() { self.step(now, &message)? } else { self.data(&message)? };
            if event.is_some() {
                return Ok(event);
            }
        }
    }

    fn step(&mut self, now: Duration, message: &Message) -> Result<Option<AgentEvent>, AgentError> {
        let Some(handshake) = &mut self.handshake else { return Ok(None) };
        Ok(match handshake.message(message)? {
            AgentStep::Discard => None,
            AgentStep::NeedDecryption { request, ciphertext } => {
                self.waits_since = now;
                Some(AgentEvent::DecryptionNeeded { request, ciphertext })
            }
            AgentStep::Started(reply, started) => {
                self.channel.send(reply.payload_type, reply.payload);
                self.handshake = None;
                Some(self.begin(*started))
            }
        })
    }

    fn begin(&mut self, started: AgentStarted) -> AgentEvent {
        let AgentStarted { client_version, keys } = started;
        let is_encrypted = keys.is_some();
        if let Some(keys) = keys {
            self.channel.seal_with(keys.sealer);
            self.opener = Some(keys.opener);
        }
        for (payload_type, payload) in std::mem::take(&mut self.early) {
            self.channel.send(payload_type, payload);
        }
        AgentEvent::Started { client_version, is_encrypted }
    }

    fn data(&self, message: &Message) -> Result<Option<AgentEvent>, AgentError> {
        Ok(match message.payload_type {
            PayloadType::Output => Some(AgentEvent::Input(match &self.opener {
                Some(opener) => opener.open(&message.payload)?,
                None => message.payload.clone(),
            })),
            PayloadType::Size => TerminalSize::from_json(&message.payload).ok().map(AgentEvent::Size),
            PayloadType::Flag => SessionFlag::from_payload(&message.payload).map(AgentEvent::Flag),
            _ => None,
        })
    }

    /// Takes the decrypted data key, or why there is none.
    ///
    /// # Errors
    /// If none was asked for, or there is none.
    pub fn data_key(&mut self, now: Duration, key: Result<DataKey, String>) -> Result<(), AgentError> {
        let Some(handshake) = &mut self.handshake else {
            return Err(HandshakeError::Unexpected(PayloadType::EncryptionChallengeRequest).into());
        };
        let reply = handshake.data_key(key)?;
        self.waits_since = now;
        self.channel.send(reply.payload_type, reply.payload);
        Ok(())
    }

    fn send(&mut self, payload_type: PayloadType, payload: Bytes) {
        match self.handshake {
            Some(_) => self.early.push((payload_type, payload)),
            None => self.channel.send(payload_type, payload),
        }
    }

    /// Queues bytes of the terminal, the program's standard output or the port. Sent when the session has begun.
    pub fn output(&mut self, bytes: Bytes) {
        self.send(PayloadType::Output, bytes);
    }

    /// Queues bytes of the program's standard error.
    pub fn std_err(&mut self, bytes: Bytes) {
        self.send(PayloadType::StdErr, bytes);
    }

    /// Queues the program's exit code.
    pub fn exit_code(&mut self, code: i32) {
        self.send(PayloadType::ExitCode, ExitCode(code).to_payload());
    }

    /// Queues a flag.
    pub fn flag(&mut self, flag: SessionFlag) {
        self.send(PayloadType::Flag, flag.to_payload());
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

    /// When [`AgentEnd::expire`] wants to be called.
    #[must_use]
    pub fn deadline(&self) -> Option<Duration> {
        let answer = self.handshake.as_ref().map(|_| self.waits_since + self.answer_within);
        answer.into_iter().chain(self.channel.deadline()).min()
    }

    /// Lets time pass.
    ///
    /// # Errors
    /// If the client has not done its part of the handshake in time.
    pub fn expire(&mut self, now: Duration) -> Result<(), AgentError> {
        // An agent's channel has no end of patience.
        let _patient = self.channel.expire(now);
        match &self.handshake {
            Some(handshake) if now >= self.waits_since + self.answer_within => {
                Err(match handshake.is_challenging() {
                    true => AgentError::ChallengeTimeout,
                    false => AgentError::HandshakeTimeout,
                })
            }
            _ => Ok(()),
        }
    }

    /// The connection is gone.
    pub fn disconnected(&mut self) {
        self.channel.disconnected();
    }

    /// There is a new connection.
    pub fn connected(&mut self, now: Duration) {
        self.channel.connected(now);
    }

    /// Counts so far.
    #[must_use]
    pub fn stats(&self) -> ChannelStats {
        self.channel.stats()
    }
}
