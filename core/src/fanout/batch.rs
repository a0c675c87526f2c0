//! [`OpenBatch`]: a batch that the service took and that is not wholly judged; [`Doubt`]: one that it may have taken.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

use super::job::{Accepted, Batch, Counters};

/// How long after a command's expiry herder still looks before it calls what is left unknown.
pub(super) const GRACE_AFTER_EXPIRY: Duration = Duration::from_secs(60);

/// A command on its way.
#[derive(Debug)]
pub(super) struct OpenBatch {
    pub(super) batch: Batch,
    pub(super) command_id: String,
    pub(super) sent_at: Instant,
    pub(super) gives_up_at: Instant,
    /// Not judged yet.
    pub(super) open: BTreeSet<usize>,
    /// Not judged yet, and the service says it is being cancelled.
    pub(super) cancelling: BTreeSet<usize>,
    /// Judged bad so far.
    pub(super) bad: u64,
    /// The latest counters.
    pub(super) counters: Counters,
    /// When the counters last moved, or the send.
    pub(super) moved_at: Instant,
    /// Whether any sweep has shown it.
    pub(super) was_listed: bool,
    /// The latest sweep should have shown it and did not.
    pub(super) is_gone: bool,
    /// Since when the counters tell of results that were not read.
    pub(super) unread_since: Option<Instant>,
    /// Not before this.
    pub(super) next_look: Instant,
    /// Looks in a row that found it unfinished although it seemed done.
    pub(super) disappointments: u32,
    /// Whether it has been looked at.
    pub(super) was_looked_at: bool,
    /// A look is under way.
    pub(super) is_busy: bool,
    /// Details asked for and not answered.
    pub(super) details: BTreeSet<usize>,
}

impl OpenBatch {
    pub(super) fn new(batch: Batch, accepted: Accepted, now: Instant) -> OpenBatch {
        OpenBatch {
            open: batch.targets.iter().copied().collect(),
            cancelling: BTreeSet::new(),
            batch,
            command_id: accepted.command_id,
            sent_at: now,
            gives_up_at: now + accepted.expires_in + GRACE_AFTER_EXPIRY,
            bad: 0,
            counters: Counters::default(),
            moved_at: now,
            was_listed: false,
            is_gone: false,
            unread_since: None,
            next_look: now + Duration::from_millis(400),
            disappointments: 0,
            was_looked_at: false,
            is_busy: false,
            details: BTreeSet::new(),
        }
    }

    fn judged(&self) -> u64 {
        (self.batch.targets.len() - self.open.len()) as u64
    }

    /// Targets that, as far as is known, still run.
    pub(super) fn in_flight(&self) -> usize {
        let ended = self.judged().max(self.counters.completed);
        self.batch.targets.len().saturating_sub(usize::try_from(ended).unwrap_or(usize::MAX))
    }

    /// Bad targets that the counters tell of and that are not judged yet.
    pub(super) fn bad_ahead(&self) -> u64 {
        (self.counters.errors + self.counters.delivery_timed_out).saturating_sub(self.bad)
    }

    /// Whether the listings say that there is nothing left to wait for.
    pub(super) fn seems_done(&self) -> bool {
        self.is_gone || self.counters.is_done || self.counters.completed >= self.batch.targets.len() as u64
    }

    /// Takes what a sweep says of it.
    pub(super) fn note_counters(&mut self, counters: Counters, now: Instant) {
        self.was_listed = true;
        self.is_gone = false;
        if counters.completed > self.counters.completed {
            self.moved_at = now;
        }
        // A stale answer may come after a fresher one: counters never go back.
        self.counters = Counters {
            completed: counters.completed.max(self.counters.completed),
            errors: counters.errors.max(self.counters.errors),
            delivery_timed_out: counters.delivery_timed_out.max(self.counters.delivery_timed_out),
            is_done: counters.is_done || self.counters.is_done,
        };
        if self.counters.completed > self.judged() {
            self.unread_since.get_or_insert(now);
        }
    }
}

/// A send whose answer was lost: it is looked for by its marker.
#[derive(Debug)]
pub(super) struct Doubt {
    pub(super) batch: Batch,
    pub(super) misses: u32,
    pub(super) next_look: Instant,
    pub(super) is_busy: bool,
}

impl Doubt {
    /// Pauses before the looks: a listing may not show a fresh command at once (facts §6.5).
    const PAUSES: [Duration; 3] = [Duration::from_secs(2), Duration::from_secs(4), Duration::from_secs(8)];

    pub(super) fn new(batch: Batch, now: Instant) -> Doubt {
        Doubt { batch, misses: 0, next_look: now + Doubt::PAUSES[0], is_busy: false }
    }

    /// Notes a clean look that did not find it. False when it was the last one.
    pub(super) fn miss(&mut self, now: Instant) -> bool {
        self.misses += 1;
        match Doubt::PAUSES.get(self.misses as usize) {
            Some(pause) => {
                self.next_look = now + *pause;
                true
            }
            None => false,
        }
    }
}
