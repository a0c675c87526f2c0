//! The peer's stream: put in order, acknowledged.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use super::history::{Fingerprint, History, NumberReused};
use super::{AckFlags, ChannelOptions, ChannelStats, Message};
use crate::frame::{DigestCheck, Flags, Frame, Header, MessageId};
use crate::payload::Acknowledge;

/// A peer that repeats an acknowledged message at least this long after the acknowledgement did not take it.
/// Half of what the official agent waits at least; messages that were read together don't count as repeated.
const REPEAT_AFTER: Duration = Duration::from_millis(50);

/// After so many repetitions the flags of acknowledgements are changed.
const REPEATS: u32 = 4;

/// Acknowledgements that may wait to be written. A peer that has more than this to take and takes none is not read either.
/// More than the official client holds of early messages (10,000); with what finds them again some 2 MiB.
pub(super) const MAX_ACKNOWLEDGES: usize = 16 << 10;

#[derive(Debug)]
struct Stored {
    message: Message,
    header: Header,
    print: Fingerprint,
    is_acknowledged: bool,
}

/// Messages from the next one on.
#[derive(Debug)]
pub(super) struct Receiver {
    /// The number of the first slot.
    next: i64,
    /// The first slot is the next message's; later ones may be empty.
    slots: VecDeque<Option<Stored>>,
    stored_bytes: usize,
    max_messages: usize,
    max_bytes: usize,
    acknowledges: VecDeque<Acknowledge>,
    /// What waits there, so that a message that is repeated meanwhile is not acknowledged twice.
    waiting: HashSet<(i64, MessageId)>,
    flags: AckFlags,
    current_flags: Flags,
    repeated: Repeated,
    history: History,
    /// Whether digests are known to be right, so that messages can be compared.
    compares: bool,
    reused: Option<NumberReused>,
    stats: ChannelStats,
}

/// The last message that was repeated although it had been acknowledged.
#[derive(Debug, Default)]
struct Repeated {
    sequence: i64,
    times: u32,
    acknowledged_at: Duration,
}

impl Receiver {
    pub(super) fn new(options: &ChannelOptions) -> Receiver {
        Receiver {
            next: 0,
            slots: VecDeque::new(),
            stored_bytes: 0,
            max_messages: options.reorder_messages.max(1),
            max_bytes: options.reorder_bytes,
            acknowledges: VecDeque::new(),
            waiting: HashSet::new(),
            flags: options.ack_flags,
            current_flags: match options.ack_flags {
                AckFlags::Fixed(flags) => flags,
                AckFlags::Adaptive => Flags::SYN_FIN,
            },
            repeated: Repeated::default(),
            history: History::default(),
            compares: options.digest_check == DigestCheck::Required,
            reused: None,
            stats: ChannelStats::default(),
        }
    }

    /// Takes a message of the stream, with its digest: holds it, knows it already, or has no room for it.
    pub(super) fn store(&mut self, now: Duration, frame: Frame, digest: &[u8; 32]) {
        let Frame { header, payload } = frame;
        let print = Fingerprint::new(header.payload_type, payload.len(), digest);
        if !self.is_one_message(&header, print) {
            self.reused.get_or_insert(NumberReused(header.sequence));
            return;
        }
        let Ok(ahead) = usize::try_from(header.sequence.saturating_sub(self.next)) else {
            // Taken long ago: the acknowledgement was lost. Without another the peer would repeat it for ever.
            if header.sequence >= 0 {
                self.repeat(now, &header);
            }
            return;
        };
        if self.slots.get(ahead).is_some_and(Option::is_some) {
            self.repeat(now, &header);
            return;
        }
        // The next message always fits: it is what everything else waits for.
        let is_full = ahead >= self.max_messages || self.stored_bytes + payload.len() > self.max_bytes;
        if ahead > 0 && is_full {
            self.stats.refused_messages += 1;
            return;
        }
        if ahead >= self.slots.len() {
            self.slots.resize_with(ahead + 1, || None);
        }
        // What comes early is acknowledged now, what is next when it is taken.
        let is_acknowledged = ahead > 0;
        if is_acknowledged {
            self.acknowledge(&header);
        }
        self.stored_bytes += payload.len();
        let message =
            Message { sequence: header.sequence, id: header.id, payload_type: header.payload_type, payload };
        if let Some(slot) = self.slots.get_mut(ahead) {
            *slot = Some(Stored { message, header, print, is_acknowledged });
        }
    }

    /// Whether nothing else came under this number, and this under no other.
    fn is_one_message(&self, header: &Header, print: Fingerprint) -> bool {
        let before = self.next.saturating_sub(header.sequence);
        if !self.compares || before > 0 {
            return !self.compares || self.history.is_same(before, print);
        }
        match usize::try_from(-before).ok().and_then(|ahead| self.slots.get(ahead)) {
            Some(Some(stored)) => stored.print == print,
            // It fills a gap, and may be held already where it does not belong.
            Some(None) => !self.slots.iter().flatten().any(|stored| stored.header.id == header.id),
            None => true,
        }
    }

    /// The first number that came with two different messages.
    pub(super) fn reused(&self) -> Option<NumberReused> {
        self.reused
    }

    /// A message came again.
    fn repeat(&mut self, now: Duration, header: &Header) {
        self.stats.repeated_messages += 1;
        let is_waiting =
            |stored: &Stored| !stored.is_acknowledged && stored.header.sequence == header.sequence;
        if self.slots.front().and_then(Option::as_ref).is_some_and(is_waiting) {
            return;
        }
        // A peer that has not got the first acknowledgement yet doesn't reject it.
        if !self.acknowledge(header) || self.flags != AckFlags::Adaptive {
            return;
        }
        let repeated = &mut self.repeated;
        if repeated.sequence != header.sequence || repeated.times == 0 {
            *repeated = Repeated { sequence: header.sequence, times: 1, acknowledged_at: now };
        } else if now.saturating_sub(repeated.acknowledged_at) >= REPEAT_AFTER {
            repeated.times += 1;
            repeated.acknowledged_at = now;
        }
        if repeated.times >= REPEATS {
            repeated.times = 0;
            self.current_flags = if self.current_flags == Flags::NONE { Flags::SYN_FIN } else { Flags::NONE };
        }
    }

    /// False if the same acknowledgement waits to be written already.
    fn acknowledge(&mut self, header: &Header) -> bool {
        if !self.waiting.insert((header.sequence, header.id)) {
            return false;
        }
        self.acknowledges.push_back(Acknowledge {
            message_type: header.message_type,
            message_id: header.id,
            sequence: header.sequence,
            is_sequential: true,
        });
        true
    }

    pub(super) fn next_acknowledge(&mut self) -> Option<(Acknowledge, Flags)> {
        let next = self.acknowledges.pop_front()?;
        self.waiting.remove(&(next.sequence, next.message_id));
        Some((next, self.current_flags))
    }

    /// Whether there is room for the acknowledgements of what comes.
    pub(super) fn has_room(&self) -> bool {
        self.acknowledges.len() < MAX_ACKNOWLEDGES
    }

    pub(super) fn peek(&self) -> Option<&Message> {
        self.slots.front()?.as_ref().map(|stored| &stored.message)
    }

    pub(super) fn take(&mut self) -> Option<Message> {
        self.slots.front()?.as_ref()?;
        let stored = self.slots.pop_front()??;
        self.next = self.next.saturating_add(1);
        self.stored_bytes -= stored.message.payload.len();
        if !stored.is_acknowledged {
            self.acknowledge(&stored.header);
        }
        if self.compares {
            self.history.push(stored.print);
        }
        self.stats.received_messages += 1;
        self.stats.received_bytes += stored.message.payload.len() as u64;
        Some(stored.message)
    }

    pub(super) fn has_gap(&self) -> bool {
        self.slots.iter().any(Option::is_none)
    }

    pub(super) fn add_stats(&self, stats: &mut ChannelStats) {
        stats.received_messages = self.stats.received_messages;
        stats.received_bytes = self.stats.received_bytes;
        stats.repeated_messages = self.stats.repeated_messages;
        stats.refused_messages = self.stats.refused_messages;
    }
}
