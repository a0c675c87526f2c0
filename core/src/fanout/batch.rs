//! [`OpenBatch`]: a batch that the service took and that is not wholly judged; [`Doubt`]: one that it may have taken.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

use super::handed::Handed;
use super::job::{Accepted, Batch, Counters, SweepScope};

/// How long after a command's expiry herder still looks before it calls what is left unknown.
pub(super) const GRACE_AFTER_EXPIRY: Duration = Duration::from_secs(60);

/// How much longer, when the service can't be asked.
const GRACE_WITHOUT_ANSWER: Duration = Duration::from_secs(15 * 60);
/// The time that looks after the expiry get to show what there is.
const LAST_LOOKS: Duration = Duration::from_secs(20);

/// A command on its way.
#[derive(Debug)]
pub(super) struct OpenBatch {
    /// As it was sent: the service counts all of its targets.
    pub(super) batch: Batch,
    pub(super) command_id: String,
    pub(super) sent_at: Instant,
    pub(super) gives_up_at: Instant,
    /// Not judged yet.
    pub(super) open: BTreeSet<usize>,
    /// Not judged yet, and the service says it is being cancelled.
    pub(super) cancelling: BTreeSet<usize>,
    /// Not judged yet, but listed with an end that is not bad: only the output is missing.
    pub(super) harmless: BTreeSet<usize>,
    /// Judged bad so far.
    pub(super) bad: u64,
    /// The latest counters.
    pub(super) counters: Counters,
    /// When the counters last moved, or the send.
    pub(super) moved_at: Instant,
    /// Whether any sweep has shown it.
    pub(super) was_listed: bool,
    /// Sweeps in a row that did not show it.
    pub(super) unlisted: u32,
    /// The latest sweep was of this scope, should have shown it and did not.
    pub(super) gone_from: Option<SweepScope>,
    /// To be read whatever listings say.
    pub(super) is_wanted: bool,
    /// Since when the counters tell of results that were not read.
    pub(super) unread_since: Option<Instant>,
    /// Not before this.
    pub(super) next_look: Instant,
    /// Looks in a row that found it unfinished although it seemed done.
    pub(super) disappointments: u32,
    /// When it was last read, and how many results there were then.
    pub(super) looked_at: Option<Instant>,
    pub(super) found: u64,
    /// Its counters were caught telling less than results that had been read before.
    pub(super) is_stale: bool,
    /// A look is under way.
    pub(super) is_busy: bool,
    /// A cancel was asked for.
    pub(super) is_cancelled: bool,
    /// Details asked for and not answered.
    pub(super) details: BTreeSet<usize>,
    /// The service chooses its nodes.
    pub(super) handed: Option<Handed>,
}

impl OpenBatch {
    pub(super) fn new(batch: Batch, accepted: Accepted, now: Instant) -> OpenBatch {
        OpenBatch {
            open: batch.targets.iter().copied().collect(),
            cancelling: BTreeSet::new(),
            harmless: BTreeSet::new(),
            batch,
            command_id: accepted.command_id,
            sent_at: now,
            gives_up_at: now + accepted.expires_in + GRACE_AFTER_EXPIRY,
            bad: 0,
            counters: Counters::default(),
            moved_at: now,
            was_listed: false,
            unlisted: 0,
            gone_from: None,
            is_wanted: false,
            unread_since: None,
            next_look: now + Duration::from_millis(400),
            disappointments: 0,
            looked_at: None,
            found: 0,
            is_stale: false,
            is_busy: false,
            is_cancelled: false,
            details: BTreeSet::new(),
            handed: None,
        }
    }

    /// One of its targets waits for its verdict no more.
    pub(super) fn remove(&mut self, target: usize) {
        self.open.remove(&target);
        self.cancelling.remove(&target);
        self.harmless.remove(&target);
    }

    pub(super) fn judged(&self) -> u64 {
        (self.batch.targets.len() - self.open.len()) as u64
    }

    /// Whether something may still come of a command whose nodes the service chooses.
    pub(super) fn is_awaited(&self) -> bool {
        self.handed.as_ref().is_some_and(|handed| {
            // Without a listing nothing is seen beyond the targets that it was sent for.
            !handed.is_final && (!handed.is_read_by_id || !self.open.is_empty())
        })
    }

    /// Whether the service will start such a command on further nodes, as far as is known.
    pub(super) fn goes_on(&self) -> bool {
        self.is_awaited()
            && !self.counters.is_done
            && self.handed.as_ref().is_some_and(|h| self.counters.errors <= u64::from(h.limits.max_errors))
    }

    /// Results that are known; counters are compared with it.
    fn known(&self) -> u64 {
        // The service counts nodes too that are none of the run's, and those of other platforms.
        if self.handed.is_some() { self.found.max(self.judged()) } else { self.judged() }
    }

    /// A pause between two passes over the results of a command whose nodes the service chooses: all of its pages at some three a
    /// second, and at least 3 s. Whoever reads along waits no more than 10 s with up to a thousand nodes.
    pub(super) fn between_passes(&self) -> Duration {
        if self.handed.is_none() {
            return Duration::ZERO;
        }
        let nodes = self.counters.targets.max(self.batch.targets.len() as u64);
        let pages = u32::try_from(nodes.div_ceil(50)).unwrap_or(u32::MAX);
        Duration::from_secs(3).max(Duration::from_millis(300).saturating_mul(pages))
    }

    /// Targets that, as far as is known, still run.
    pub(super) fn in_flight(&self) -> usize {
        if let Some(handed) = &self.handed {
            let has_ended = handed.is_final || self.counters.is_done;
            return if has_ended { 0 } else { handed.limits.max_concurrency as usize };
        }
        let ended = self.judged().max(self.counters.completed);
        self.batch.targets.len().saturating_sub(usize::try_from(ended).unwrap_or(usize::MAX))
    }

    /// Bad targets that the counters tell of and that are not judged yet.
    pub(super) fn bad_ahead(&self) -> u64 {
        let told = self.counters.errors.saturating_add(self.counters.delivery_timed_out);
        told.saturating_sub(self.bad).min(self.open.len() as u64)
    }

    /// Targets that the counters call ended and that nothing else is known of. They may be bad all the same: what was
    /// undeliverable, denied or of the wrong platform is none of the counted errors (facts §4.2).
    pub(super) fn suspects(&self) -> u64 {
        // What was found of a command whose nodes the service chooses includes them.
        let harmless = if self.handed.is_some() { 0 } else { self.harmless.len() as u64 };
        let known = self.known().saturating_add(harmless);
        self.counters.completed.saturating_sub(known).saturating_sub(self.bad_ahead())
    }

    /// Whether its results are on their way.
    pub(super) fn is_being_read(&self) -> bool {
        self.is_busy || self.is_wanted || !self.details.is_empty()
    }

    /// Whether the listings say that there is nothing left to wait for.
    pub(super) fn seems_done(&self) -> bool {
        if self.handed.is_some() {
            return self.counters.is_done;
        }
        self.gone_from.is_some()
            || self.counters.is_done
            || self.counters.completed >= self.batch.targets.len() as u64
    }

    /// Whether what is still open has to be called unknown: it is past its time, and was read since, or could not be for long.
    pub(super) fn is_lost(&self, now: Instant) -> bool {
        let was_read = self.looked_at.is_some_and(|at| at >= self.gives_up_at);
        !self.is_busy
            && self.details.is_empty()
            && ((was_read && now >= self.gives_up_at + LAST_LOOKS)
                || now >= self.gives_up_at + GRACE_WITHOUT_ANSWER)
    }

    /// The next moment at which that may change.
    pub(super) fn next_expiry(&self, now: Instant) -> Option<Instant> {
        [Duration::ZERO, LAST_LOOKS, GRACE_WITHOUT_ANSWER]
            .into_iter()
            .map(|grace| self.gives_up_at + grace)
            .find(|at| *at > now)
    }

    /// Takes what a sweep says of it. True when it moved.
    pub(super) fn note_counters(&mut self, counters: Counters, now: Instant) -> bool {
        self.was_listed = true;
        self.unlisted = 0;
        self.gone_from = None;
        let moved = counters.completed > self.counters.completed;
        if moved {
            self.moved_at = now;
        }
        // A stale answer may come after a fresher one: counters never go back.
        self.counters = Counters {
            completed: counters.completed.max(self.counters.completed),
            errors: counters.errors.max(self.counters.errors),
            delivery_timed_out: counters.delivery_timed_out.max(self.counters.delivery_timed_out),
            is_done: counters.is_done || self.counters.is_done,
            targets: counters.targets.max(self.counters.targets),
        };
        if self.counters.completed > self.known() {
            self.unread_since.get_or_insert(now);
        }
        moved
    }

    /// Takes that a sweep did not show it. What was listed as in progress and no longer is, is done; what was never listed
    /// may be too new.
    pub(super) fn note_absence(&mut self, scope: SweepScope, is_complete: bool, now: Instant) {
        self.unlisted = self.unlisted.saturating_add(1);
        let patience = match scope {
            SweepScope::InProgress if self.was_listed => Duration::ZERO,
            SweepScope::InProgress => Duration::from_secs(3),
            SweepScope::All => Duration::from_secs(10),
        };
        let is_gone = is_complete && now >= self.sent_at + patience;
        self.gone_from = is_gone.then_some(scope);
    }
}

/// A send whose answer was lost: it is looked for by its marker.
#[derive(Debug)]
pub(super) struct Doubt {
    pub(super) batch: Batch,
    pub(super) misses: u32,
    /// If no look has worked by then, it is not looked for any more.
    pub(super) gives_up_at: Instant,
    pub(super) next_look: Instant,
    pub(super) is_busy: bool,
}

impl Doubt {
    /// Pauses before the looks: a listing may not show a fresh command at once (facts §6.5).
    const PAUSES: [Duration; 3] = [Duration::from_secs(2), Duration::from_secs(4), Duration::from_secs(8)];

    pub(super) fn new(batch: Batch, now: Instant) -> Doubt {
        Doubt {
            batch,
            misses: 0,
            gives_up_at: now + GRACE_WITHOUT_ANSWER,
            next_look: now + Doubt::PAUSES[0],
            is_busy: false,
        }
    }

    /// The service could not be asked for so long that nothing is to be hoped for.
    pub(super) fn is_hopeless(&self, now: Instant) -> bool {
        !self.is_busy && now >= self.gives_up_at
    }

    /// A look found the credentials gone: the time of a pause does not count.
    pub(super) fn note_paused(&mut self, now: Instant) {
        self.gives_up_at = now + GRACE_WITHOUT_ANSWER;
    }

    /// Notes a clean look that did not find it. False when it was the last one.
    pub(super) fn miss(&mut self, now: Instant) -> bool {
        self.misses += 1;
        self.gives_up_at = now + GRACE_WITHOUT_ANSWER;
        match Doubt::PAUSES.get(self.misses as usize) {
            Some(pause) => {
                self.next_look = now + *pause;
                true
            }
            None => false,
        }
    }
}
