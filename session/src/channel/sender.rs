//! The own stream: numbered, sent, sent again until acknowledged.
//!
//! A message counts as lost when one that was sent a good while after it is acknowledged (as RACK does for TCP), or when the
//! oldest has had no answer for the timeout. Either way the oldest goes first.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::{Bytes, BytesMut};

use super::round_trip::RoundTrip;
use super::window::{Window, WindowLimit};
use super::{ChannelStats, PeerSilent};
use crate::frame::{Flags, HEADER_BYTES, Header, MessageId, MessageType, PayloadType};
use crate::ids::Ids;
use crate::payload::Acknowledge;

/// Frames are cut from blocks of this size: one allocation for some fifty frames of the default size.
const BLOCK_BYTES: usize = 64 << 10;

/// How long a peer that the service calls away is left between repetitions.
const AWAY_TIMEOUT: Duration = Duration::from_secs(5);

/// A sent message.
#[derive(Debug)]
struct Sent {
    sequence: i64,
    id: MessageId,
    wire: Bytes,
    /// The last time.
    sent_at: Duration,
    times: u32,
    is_acknowledged: bool,
    is_queued: bool,
}

#[derive(Debug)]
pub(super) struct Sender {
    next: i64,
    /// By number. Those acknowledged out of order stay until they are first.
    sent: VecDeque<Sent>,
    /// Unacknowledged: messages and bytes.
    used: (usize, usize),
    /// Numbers to send again.
    again: VecDeque<i64>,
    /// What was sent again, and when.
    repeated: VecDeque<(i64, Duration)>,
    /// Numbers before this one were looked at: they arrived, or were sent again.
    examined: i64,
    window: Window,
    trip: RoundTrip,
    /// Timeouts in a row.
    timeouts: u32,
    /// The latest sending of anything acknowledged.
    latest: Duration,
    /// When something was acknowledged, the connection was made, something was sent on an empty window, or reading went on.
    progress_at: Duration,
    give_up_after: Option<Duration>,
    is_connected: bool,
    /// Whether acknowledgements are read, and since when.
    is_reading: bool,
    reads_since: Duration,
    block: BytesMut,
    ids: Ids,
    stats: ChannelStats,
}

impl Sender {
    pub(super) fn new(limit: WindowLimit, give_up_after: Option<Duration>, seed: u64) -> Sender {
        Sender {
            next: 0,
            sent: VecDeque::new(),
            used: (0, 0),
            again: VecDeque::new(),
            repeated: VecDeque::new(),
            examined: 0,
            window: Window::new(limit),
            trip: RoundTrip::default(),
            timeouts: 0,
            latest: Duration::ZERO,
            progress_at: Duration::ZERO,
            give_up_after,
            is_connected: true,
            is_reading: true,
            reads_since: Duration::ZERO,
            block: BytesMut::new(),
            ids: Ids::new(seed),
            stats: ChannelStats::default(),
        }
    }

    fn encode(&mut self, header: &Header, payload: &[u8]) -> Bytes {
        if self.block.capacity() < HEADER_BYTES + payload.len() {
            self.block = BytesMut::with_capacity(BLOCK_BYTES.max(HEADER_BYTES + payload.len()));
        }
        header.encode(&[payload], &mut self.block);
        self.block.split().freeze()
    }

    pub(super) fn encode_acknowledge(
        &mut self,
        acknowledge: Acknowledge,
        flags: Flags,
        created_ms: u64,
    ) -> Bytes {
        let mut payload = BytesMut::with_capacity(200);
        acknowledge.write_json(&mut payload);
        let header = Header {
            message_type: MessageType::Acknowledge,
            schema_version: 1,
            created_ms,
            sequence: 0,
            flags,
            id: self.ids.uuid(),
            payload_type: PayloadType::None,
        };
        self.encode(&header, &payload)
    }

    /// Whether a new message may go. While something has to be sent again, nothing new does.
    pub(super) fn has_room(&self) -> bool {
        self.is_connected && self.window.has_room(self.used.0, self.used.1)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.used.0 == 0
    }

    /// Numbers a message and gives its bytes; `header` lacks number, id and flags.
    pub(super) fn send(&mut self, now: Duration, header: Header, first: Flags, payload: &[u8]) -> Bytes {
        let sequence = self.next;
        self.next += 1;
        let flags = if sequence == 0 { first } else { Flags::NONE };
        let id = self.ids.uuid();
        let wire = self.encode(&Header { sequence, flags, id, ..header }, payload);
        self.stats.sent_messages += 1;
        self.stats.sent_bytes += payload.len() as u64;
        if self.window.records(self.used.0, self.used.1) {
            if self.used.0 == 0 {
                self.progress_at = now;
            }
            self.used = (self.used.0 + 1, self.used.1 + wire.len());
            let (is_acknowledged, is_queued) = (false, false);
            let sent =
                Sent { sequence, id, wire: wire.clone(), sent_at: now, times: 1, is_acknowledged, is_queued };
            self.sent.push_back(sent);
        }
        wire
    }

    /// The next message to send again.
    pub(super) fn resend(&mut self, now: Duration) -> Option<Bytes> {
        while self.is_connected {
            let sequence = self.again.pop_front()?;
            let Some(sent) = find(&mut self.sent, sequence).filter(|sent| !sent.is_acknowledged) else {
                continue;
            };
            sent.is_queued = false;
            sent.sent_at = now;
            sent.times = sent.times.saturating_add(1);
            self.stats.resent_messages += 1;
            self.repeated.push_back((sequence, now));
            return Some(sent.wire.clone());
        }
        None
    }

    /// Takes an acknowledgement. False if it is of nothing that was sent.
    pub(super) fn acknowledged(&mut self, now: Duration, sequence: i64, id: MessageId) -> bool {
        let shortest = self.trip.shortest();
        let Some(sent) = find(&mut self.sent, sequence) else {
            // Acknowledged before.
            return (0..self.next).contains(&sequence);
        };
        if sent.id != id {
            return false;
        }
        if std::mem::replace(&mut sent.is_acknowledged, true) {
            return true;
        }
        let (bytes, sent_at, took) = (sent.wire.len(), sent.sent_at, now.saturating_sub(sent.sent_at));
        sent.wire = Bytes::new();
        let is_first_sending = sent.times == 1;
        // What waited to be read tells nothing of the path.
        if is_first_sending && sent_at >= self.reads_since {
            self.trip.sample(now, took);
        }
        self.window.acknowledged(now, bytes, self.used, &self.trip);
        self.used = (self.used.0.saturating_sub(1), self.used.1.saturating_sub(bytes));
        self.timeouts = 0;
        self.progress_at = now;
        // An answer that is quicker than any is to an earlier sending.
        if is_first_sending || took >= shortest {
            self.latest = self.latest.max(sent_at);
        }
        while self.sent.front().is_some_and(|sent| sent.is_acknowledged) {
            self.sent.pop_front();
        }
        self.find_lost(now);
        true
    }

    /// Queues what was sent clearly before something that is acknowledged. Each sending is looked at once: those of new
    /// messages are in the order of their numbers, repeated ones in the order of `repeated`.
    fn find_lost(&mut self, now: Duration) {
        let before = self.latest.saturating_sub((self.trip.shortest() / 4).max(Duration::from_millis(1)));
        let mut is_lossy = false;
        let from = self.sent.partition_point(|sent| sent.sequence < self.examined);
        for sent in self.sent.range_mut(from..) {
            let is_new = sent.times == 1 && !sent.is_queued;
            if is_new && sent.sent_at >= before {
                break;
            }
            self.examined = sent.sequence + 1;
            if is_new && !sent.is_acknowledged {
                sent.is_queued = true;
                self.again.push_back(sent.sequence);
                is_lossy = true;
            }
        }
        while let Some((sequence, sent_at)) = self.repeated.front().copied().filter(|(_, at)| *at < before) {
            self.repeated.pop_front();
            let waits =
                |sent: &&mut Sent| !sent.is_acknowledged && !sent.is_queued && sent.sent_at == sent_at;
            if let Some(sent) = find(&mut self.sent, sequence).filter(waits) {
                sent.is_queued = true;
                self.again.push_back(sequence);
                is_lossy = true;
            }
        }
        if is_lossy {
            self.window.lost(now, &self.trip);
        }
    }

    fn oldest(&self) -> Option<&Sent> {
        self.sent.front()
    }

    fn timeout(&self, is_away: bool) -> Duration {
        if is_away { AWAY_TIMEOUT } else { self.trip.backed_off(self.timeouts) }
    }

    fn gives_up_at(&self) -> Option<Duration> {
        Some(self.progress_at + self.give_up_after.filter(|_| self.is_reading)?)
    }

    /// Whether what the peer sends is read from now on. While it is not, acknowledgements may have come: nobody is silent.
    pub(super) fn set_reading(&mut self, now: Duration, is_reading: bool) {
        if is_reading && !self.is_reading {
            self.progress_at = now;
            self.reads_since = now;
        }
        self.is_reading = is_reading;
    }

    pub(super) fn deadline(&self, is_away: bool) -> Option<Duration> {
        let oldest = self.oldest().filter(|_| self.is_connected)?;
        let resend_at = oldest.sent_at + self.timeout(is_away);
        // What is queued already waits for the socket, not for the time.
        let resend_at = if oldest.is_queued { None } else { Some(resend_at) };
        resend_at.into_iter().chain(self.gives_up_at()).min()
    }

    pub(super) fn expire(&mut self, now: Duration, is_away: bool) -> Result<(), PeerSilent> {
        let timeout = self.timeout(is_away);
        let gives_up_at = self.gives_up_at();
        let progress_at = self.progress_at;
        let Some(oldest) = self.sent.front_mut().filter(|_| self.is_connected) else { return Ok(()) };
        if gives_up_at.is_some_and(|at| now >= at) {
            return Err(PeerSilent(now.saturating_sub(progress_at)));
        }
        if !oldest.is_queued && now >= oldest.sent_at + timeout {
            oldest.is_queued = true;
            self.again.push_front(oldest.sequence);
            if self.timeouts == 0 && self.is_reading {
                self.window.lost(now, &self.trip);
            }
            self.timeouts = self.timeouts.saturating_add(1);
        }
        Ok(())
    }

    pub(super) fn disconnected(&mut self) {
        self.is_connected = false;
    }

    pub(super) fn connected(&mut self, now: Duration) {
        self.is_connected = true;
        self.progress_at = now;
        self.peer_returned();
    }

    /// Everything unacknowledged is sent again.
    pub(super) fn peer_returned(&mut self) {
        self.timeouts = 0;
        self.again.clear();
        self.repeated.clear();
        self.examined = self.next;
        for sent in &mut self.sent {
            sent.is_queued = !sent.is_acknowledged;
            if sent.is_queued {
                self.again.push_back(sent.sequence);
            }
        }
    }

    pub(super) fn unanswered_for(&self, now: Duration) -> Option<Duration> {
        self.oldest().filter(|_| self.is_reading).map(|_| now.saturating_sub(self.progress_at))
    }

    pub(super) fn add_stats(&self, stats: &mut ChannelStats) {
        stats.sent_messages = self.stats.sent_messages;
        stats.sent_bytes = self.stats.sent_bytes;
        stats.resent_messages = self.stats.resent_messages;
        stats.round_trip = self.trip.smoothed();
        stats.window_bytes = self.window.bytes();
        stats.unacknowledged_bytes = self.used.1;
    }
}

/// A message by its number.
fn find(sent: &mut VecDeque<Sent>, sequence: i64) -> Option<&mut Sent> {
    let at = sent.partition_point(|sent| sent.sequence < sequence);
    sent.get_mut(at).filter(|sent| sent.sequence == sequence)
}
