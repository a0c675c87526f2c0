//! The reliable channel: two streams of messages, one each way, over connections that come and go.
//!
//! One end numbers its messages from 0 and sends a message again until it is acknowledged; the other takes them in order
//! and acknowledges each. Numbers and what is unacknowledged outlive a connection: after a reconnect both ends go on where
//! they were. Both ends of a session are this same [`Channel`], in one [`Role`] each.
//!
//! No I/O, no clock: every function that needs the time takes `now`, a monotonic time since an instant that the caller
//! chose once. The caller does three things, in any order, as often as it likes:
//!
//! * gives each binary WebSocket message to [`Channel::receive`], then takes what can be taken with [`Channel::take`];
//! * writes what [`Channel::transmit`] gives, as long as it gives something and the socket takes it;
//! * calls [`Channel::expire`] at [`Channel::deadline`].
//!
//! **Backpressure.** A message that is not taken is not acknowledged: an end that isn't ready leaves it, within the bounds
//! of the reorder buffer, and the peer sends it again as long as there is need. The other way [`Channel::pending_bytes`]
//! says how much waits for room in the window. A caller that stops reading the socket for a while says so with
//! [`Channel::set_reading`], and it should stop while [`Channel::can_receive`] is false.

mod history;
mod outbox;
mod receiver;
mod round_trip;
mod sender;
mod window;

use std::time::Duration;

use bytes::Bytes;

use crate::crypto::Sealer;
use crate::frame::{
    DigestCheck, Flags, Frame, FrameError, Header, MessageId, MessageType, PayloadType, declared_digest,
};
use crate::payload::{Acknowledge, ChannelClosed, JsonPayload};
use outbox::Outbox;
use receiver::Receiver;
use sender::Sender;

pub use history::NumberReused;
pub use window::WindowLimit;

/// Which end of a channel this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Sends input, receives output.
    Client,
    /// Sends output, receives input.
    Agent,
}

impl Role {
    fn sends(self) -> MessageType {
        match self {
            Role::Client => MessageType::InputStreamData,
            Role::Agent => MessageType::OutputStreamData,
        }
    }

    fn receives(self) -> MessageType {
        match self {
            Role::Client => MessageType::OutputStreamData,
            Role::Agent => MessageType::InputStreamData,
        }
    }
}

/// The flags that acknowledgements are sent with.
///
/// Both official ends use [`Flags::SYN_FIN`]; Windows agents are said to reject acknowledgements that are flagged otherwise,
/// or that have a SYN flag at all. Nobody says so officially, hence the switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AckFlags {
    /// These.
    Fixed(Flags),
    /// Begin with [`Flags::SYN_FIN`]; change to none and back where the peer keeps repeating what was acknowledged.
    #[default]
    Adaptive,
}

/// How a channel is set up.
#[derive(Debug, Clone)]
pub struct ChannelOptions {
    /// Which end this is.
    pub role: Role,
    /// Bytes of payload in a message at most. Both official ends use 1,024; agents take 32 KiB and more; what the service
    /// relays is not documented.
    pub chunk_bytes: usize,
    /// How much may be unacknowledged.
    pub window: WindowLimit,
    /// How far ahead of the next message others are held: messages. 10,000 in the official client.
    pub reorder_messages: usize,
    /// How far ahead of the next message others are held: bytes of payload.
    pub reorder_bytes: usize,
    /// Flags of acknowledgements that are sent.
    pub ack_flags: AckFlags,
    /// Take only acknowledgements with these flags; any, if `None`. For a stand-in of an agent that is particular.
    pub accepted_ack_flags: Option<Flags>,
    /// How long the oldest message may go unacknowledged while connected. `None`: for ever, as agents do.
    pub give_up_after: Option<Duration>,
    /// Whether digests are compared. The official agent doesn't.
    pub digest_check: DigestCheck,
    /// Unix milliseconds at the caller's time zero, for creation dates.
    pub unix_ms_at_zero: u64,
    /// Random: message ids are made from it.
    pub seed: u64,
}

impl ChannelOptions {
    /// What a client wants: chunks of 1,024 bytes, an adaptive window, five minutes' patience (the official client's).
    #[must_use]
    pub fn client(seed: u64, unix_ms_at_zero: u64) -> ChannelOptions {
        ChannelOptions {
            role: Role::Client,
            chunk_bytes: 1024,
            window: WindowLimit::default(),
            reorder_messages: 10_000,
            reorder_bytes: 4 << 20,
            ack_flags: AckFlags::default(),
            accepted_ack_flags: None,
            give_up_after: Some(Duration::from_secs(300)),
            digest_check: DigestCheck::Required,
            unix_ms_at_zero,
            seed,
        }
    }

    /// What the official agent is: no window, no patience to lose, digests unread.
    #[must_use]
    pub fn agent(seed: u64, unix_ms_at_zero: u64) -> ChannelOptions {
        ChannelOptions {
            role: Role::Agent,
            window: WindowLimit::None { recorded_messages: 100_000, recorded_bytes: 128 << 20 },
            reorder_messages: 100_000,
            reorder_bytes: 128 << 20,
            ack_flags: AckFlags::Fixed(Flags::SYN_FIN),
            give_up_after: None,
            digest_check: DigestCheck::Skipped,
            ..ChannelOptions::client(seed, unix_ms_at_zero)
        }
    }
}

/// A message of the peer's stream, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its place in the stream.
    pub sequence: i64,
    /// Its identity.
    pub id: MessageId,
    /// What the payload is.
    pub payload_type: PayloadType,
    /// As it was on the wire: still encrypted, if it is.
    pub payload: Bytes,
}

/// What a WebSocket message turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Inbound {
    /// Part of the peer's stream: new, early or repeated. Look at [`Channel::take`].
    Stream,
    /// An acknowledgement: there may be room in the window.
    Acknowledged,
    /// The session is over.
    Closed(ChannelClosed),
    /// The service says that the peer is there.
    PeerPresent,
    /// The service says that the peer is away.
    PeerAway,
    /// Something that this end has no use for.
    Other(Frame),
}

/// The peer has not acknowledged anything for longer than [`ChannelOptions::give_up_after`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the other end has acknowledged nothing for {} s", .0.as_secs())]
pub struct PeerSilent(pub Duration);

/// Counts since the channel was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ChannelStats {
    /// Messages of the own stream, each counted once.
    pub sent_messages: u64,
    /// Their payloads' bytes.
    pub sent_bytes: u64,
    /// Messages sent again.
    pub resent_messages: u64,
    /// Messages taken in order.
    pub received_messages: u64,
    /// Their payloads' bytes.
    pub received_bytes: u64,
    /// Messages that had been received before.
    pub repeated_messages: u64,
    /// Messages beyond the reorder buffer, left for the peer to send again.
    pub refused_messages: u64,
    /// Messages that could not be read, and acknowledgements of nothing that was sent.
    pub invalid_messages: u64,
    /// Smoothed time from sending a message to its acknowledgement; zero before the first.
    pub round_trip: Duration,
    /// Bytes that may be unacknowledged now.
    pub window_bytes: usize,
    /// Bytes that are unacknowledged now.
    pub unacknowledged_bytes: usize,
}

/// One end of a channel. See the [module's documentation](self).
#[derive(Debug)]
pub struct Channel {
    role: Role,
    chunk_bytes: usize,
    accepted_ack_flags: Option<Flags>,
    digest_check: DigestCheck,
    unix_ms_at_zero: u64,
    outbox: Outbox,
    sender: Sender,
    receiver: Receiver,
    is_paused: bool,
    invalid_messages: u64,
}

impl Channel {
    /// Makes a channel that is connected.
    #[must_use]
    pub fn new(options: ChannelOptions) -> Channel {
        Channel {
            role: options.role,
            chunk_bytes: options.chunk_bytes.max(1),
            accepted_ack_flags: options.accepted_ack_flags,
            digest_check: options.digest_check,
            unix_ms_at_zero: options.unix_ms_at_zero,
            outbox: Outbox::default(),
            sender: Sender::new(options.window, options.give_up_after, options.seed),
            receiver: Receiver::new(&options),
            is_paused: false,
            invalid_messages: 0,
        }
    }

    /// Takes a binary WebSocket message.
    ///
    /// # Errors
    /// If it can't be read. It is counted and changes nothing else: a stream message will be sent again.
    pub fn receive(&mut self, now: Duration, wire: Bytes) -> Result<Inbound, FrameError> {
        let digest = declared_digest(&wire);
        let frame = Frame::decode(wire, self.digest_check).inspect_err(|_| self.invalid_messages += 1)?;
        Ok(match frame.header.message_type {
            message_type if message_type == self.role.receives() => {
                self.heard();
                self.receiver.store(now, frame, &digest);
                Inbound::Stream
            }
            MessageType::Acknowledge => {
                self.acknowledged(now, &frame);
                Inbound::Acknowledged
            }
            // A close that can't be read is still a close.
            MessageType::ChannelClosed => {
                Inbound::Closed(ChannelClosed::from_json(&frame.payload).unwrap_or_default())
            }
            MessageType::StartPublication => {
                if std::mem::take(&mut self.is_paused) {
                    self.sender.peer_returned();
                }
                Inbound::PeerPresent
            }
            MessageType::PausePublication => {
                self.is_paused = true;
                Inbound::PeerAway
            }
            _ => Inbound::Other(frame),
        })
    }

    /// Whether more should be received. Not while more acknowledgements wait to be written than a peer that reads them
    /// ever leaves: what a peer sends that takes nothing would fill the memory with them.
    #[must_use]
    pub fn can_receive(&self) -> bool {
        self.receiver.has_room()
    }

    /// Tells whether the caller reads the socket from now on; it does at first. While it doesn't, because nobody takes what
    /// came, acknowledgements stay unread: no patience is lost, and none is counted as late. What is unacknowledged is sent
    /// again all the same.
    pub fn set_reading(&mut self, now: Duration, is_reading: bool) {
        self.sender.set_reading(now, is_reading);
    }

    fn acknowledged(&mut self, now: Duration, frame: &Frame) {
        let sends = self.role.sends();
        let is_accepted = self.accepted_ack_flags.is_none_or(|flags| flags == frame.header.flags);
        let acknowledge = Acknowledge::from_json(&frame.payload).ok();
        match acknowledge.filter(|acknowledge| is_accepted && acknowledge.message_type == sends) {
            Some(acknowledge) => {
                self.heard();
                if !self.sender.acknowledged(now, acknowledge.sequence, acknowledge.message_id) {
                    self.invalid_messages += 1;
                }
            }
            None => self.invalid_messages += 1,
        }
    }

    /// Anything from the peer itself ends a pause.
    fn heard(&mut self) {
        self.is_paused = false;
    }

    /// The next message of the peer's stream, if it is here. It is not acknowledged by being looked at.
    #[must_use]
    pub fn peek(&self) -> Option<&Message> {
        self.receiver.peek()
    }

    /// Takes the next message of the peer's stream, and acknowledges it.
    pub fn take(&mut self) -> Option<Message> {
        self.receiver.take()
    }

    /// The number that came with two different messages, if there was one: what was taken may be damaged. Known only where
    /// digests are compared.
    #[must_use]
    pub fn reused(&self) -> Option<NumberReused> {
        self.receiver.reused()
    }

    /// Whether messages are held that wait for one before them.
    #[must_use]
    pub fn has_gap(&self) -> bool {
        self.receiver.has_gap()
    }

    /// Queues a payload for the peer. Bytes of a program are cut into chunks, and small pieces that wait are joined; other
    /// payloads are one message each. Never refused: whoever produces looks at [`Channel::pending_bytes`].
    pub fn send(&mut self, payload_type: PayloadType, payload: Bytes) {
        self.outbox.push(payload_type, payload);
    }

    /// Encrypts what is sent from now on, apart from what never is.
    pub fn seal_with(&mut self, sealer: Sealer) {
        self.outbox.seal_with(sealer);
    }

    /// Bytes queued that have never been sent.
    #[must_use]
    pub fn pending_bytes(&self) -> usize {
        self.outbox.bytes()
    }

    /// Whether everything queued was sent and acknowledged.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.outbox.is_empty() && self.sender.is_empty()
    }

    /// The next message to write, if there is one: acknowledgements first, then what has to be sent again, oldest first,
    /// then what is new and fits the window.
    pub fn transmit(&mut self, now: Duration) -> Option<Bytes> {
        let created_ms =
            self.unix_ms_at_zero.saturating_add(u64::try_from(now.as_millis()).unwrap_or(u64::MAX)).max(1);
        if let Some((acknowledge, flags)) = self.receiver.next_acknowledge() {
            return Some(self.sender.encode_acknowledge(acknowledge, flags, created_ms));
        }
        if self.is_paused && self.role == Role::Agent {
            return None;
        }
        if let Some(wire) = self.sender.resend(now) {
            return Some(wire);
        }
        if !self.sender.has_room() {
            return None;
        }
        let (payload_type, payload) = self.outbox.take(self.chunk_bytes)?;
        let header = Header {
            message_type: self.role.sends(),
            schema_version: 1,
            created_ms,
            sequence: 0,
            flags: Flags::NONE,
            id: MessageId::nil(),
            payload_type,
        };
        let first = if self.role == Role::Agent { Flags::SYN } else { Flags::NONE };
        Some(self.sender.send(now, header, first, &payload))
    }

    /// When [`Channel::expire`] wants to be called; `None` while it has nothing to wait for. Changes with everything else.
    #[must_use]
    pub fn deadline(&self) -> Option<Duration> {
        if self.is_paused && self.role == Role::Agent { None } else { self.sender.deadline(self.is_paused) }
    }

    /// Lets time pass: what was not acknowledged in time will be sent again.
    ///
    /// # Errors
    /// [`PeerSilent`]: there is no point in going on.
    pub fn expire(&mut self, now: Duration) -> Result<(), PeerSilent> {
        if self.is_paused && self.role == Role::Agent {
            return Ok(());
        }
        self.sender.expire(now, self.is_paused)
    }

    /// The connection is gone: nothing is sent, and no time runs, until [`Channel::connected`].
    pub fn disconnected(&mut self) {
        self.sender.disconnected();
        self.is_paused = false;
    }

    /// There is a new connection: all that is unacknowledged is sent again, oldest first.
    pub fn connected(&mut self, now: Duration) {
        self.sender.connected(now);
        self.is_paused = false;
    }

    /// For how long the oldest unacknowledged message has had no answer, counted from the last progress. `None` while answers
    /// are not read.
    #[must_use]
    pub fn unanswered_for(&self, now: Duration) -> Option<Duration> {
        self.sender.unanswered_for(now)
    }

    /// Sets the wall clock again, as after a sleep: Unix milliseconds at `now`.
    pub fn set_unix_ms(&mut self, now: Duration, unix_ms: u64) {
        self.unix_ms_at_zero = unix_ms.saturating_sub(u64::try_from(now.as_millis()).unwrap_or(u64::MAX));
    }

    /// Counts so far.
    #[must_use]
    pub fn stats(&self) -> ChannelStats {
        let mut stats = ChannelStats { invalid_messages: self.invalid_messages, ..ChannelStats::default() };
        self.sender.add_stats(&mut stats);
        self.receiver.add_stats(&mut stats);
        stats
    }
}

#[cfg(test)]
mod tests;
