//! [`Schedule`]: when to look at what. Pure: it decides, the executor does.
//!
//! The cheap way is a sweep: one listing page tells the progress of fifty commands. What sweeps rest on is not
//! documented (how fresh the counters are, whether filters hold), so none of it decides a verdict, and where it proves wrong the
//! schedule falls back: from the filtered listing to the unfiltered one, from that to reading each batch directly.

use std::time::Duration;

use tokio::time::Instant;

use super::batch::OpenBatch;
use super::job::SweepScope;
use super::policy::Eagerness;

/// Batches below which a run is in its tail: looks get faster.
const TAIL: usize = 5;
/// So much evidence against a listing, or sweeps that failed in a row, and it isn't relied on any more.
const EVIDENCE: u32 = 3;
/// Between two probes of batches that the counters call unchanged.
const BETWEEN_PROBES: Duration = Duration::from_secs(2);

/// How far listings are trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trust {
    /// The listing of commands in progress shows what is in progress.
    Filtered,
    /// Only the unfiltered listing does.
    Unfiltered,
    /// None does: every batch is read by itself.
    None,
}

#[derive(Debug)]
pub(super) struct Schedule {
    eagerness: Eagerness,
    trust: Trust,
    next_sweep: Option<Instant>,
    is_sweeping: bool,
    /// Sweeps in a row that got no answer.
    failed_sweeps: u32,
    /// Batches that the listing had dropped although they were not done, as long as it shows none at all. If it shows some, the
    /// others are looked at one by one.
    false_absences: u32,
    last_sweep_saw_any: bool,
    /// Batches whose counters stood still while results existed.
    stale_counters: u32,
    next_probe: Instant,
    /// When anything last moved.
    moved_at: Instant,
}

/// What the schedule needs to know of the run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Situation {
    pub(super) now: Instant,
    /// Batches that are not wholly judged.
    pub(super) open: usize,
    /// Whether sends wait for targets to end.
    pub(super) is_starved: bool,
    /// Whether any of the batches is one that the service chooses the nodes of: its results are many pages.
    pub(super) has_handed: bool,
}

impl Situation {
    /// Nothing is open.
    pub(super) fn at(now: Instant) -> Situation {
        Situation { now, open: 0, is_starved: false, has_handed: false }
    }
}

/// What a sweep showed of the commands that were asked for.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    /// Any of them.
    pub(super) any: bool,
    /// Any whose counters had moved.
    pub(super) moved: bool,
}

impl Schedule {
    pub(super) fn new(eagerness: Eagerness, now: Instant) -> Schedule {
        Schedule {
            eagerness,
            trust: Trust::Filtered,
            next_sweep: None,
            is_sweeping: false,
            failed_sweeps: 0,
            false_absences: 0,
            last_sweep_saw_any: false,
            stale_counters: 0,
            next_probe: now,
            moved_at: now,
        }
    }

    /// A batch was sent: the first sweep follows a second later.
    pub(super) fn note_sent(&mut self, now: Instant) {
        self.moved_at = now;
        self.next_sweep.get_or_insert(now + Duration::from_secs(1));
    }

    /// When the next sweep is due, if one is.
    pub(super) fn sweep_at(&self, situation: Situation) -> Option<Instant> {
        // One batch is read directly: the listing would only tell to read it.
        let is_useful = self.trust != Trust::None && (situation.open >= 2 || situation.has_handed);
        self.next_sweep.filter(|_| is_useful && !self.is_sweeping)
    }

    /// The sweep to make now, if any.
    pub(super) fn sweep_due(&self, situation: Situation) -> Option<SweepScope> {
        self.sweep_at(situation).filter(|at| *at <= situation.now)?;
        self.scope()
    }

    fn scope(&self) -> Option<SweepScope> {
        match self.trust {
            Trust::Filtered => Some(SweepScope::InProgress),
            Trust::Unfiltered => Some(SweepScope::All),
            Trust::None => None,
        }
    }

    pub(super) fn note_sweep_started(&mut self) {
        self.is_sweeping = true;
    }

    pub(super) fn note_sweep_ended(&mut self, situation: Situation, seen: Seen) {
        self.is_sweeping = false;
        self.failed_sweeps = 0;
        self.last_sweep_saw_any = seen.any;
        if seen.moved {
            self.moved_at = situation.now;
        }
        let pause = if situation.open <= TAIL {
            Duration::from_secs(1).max(quiet(self.moved_at, situation))
        } else if situation.is_starved {
            Duration::from_secs(2)
        } else {
            Duration::from_secs(4)
        };
        self.next_sweep = Some(situation.now + pause);
    }

    /// Sweeps are refused or useless: read each batch by itself.
    pub(super) fn give_up_sweeping(&mut self) {
        self.is_sweeping = false;
        self.trust = Trust::None;
    }

    /// A sweep got no answer.
    pub(super) fn note_sweep_failed(&mut self, now: Instant) {
        self.is_sweeping = false;
        let pause = Duration::from_secs(3) * 2_u32.saturating_pow(self.failed_sweeps.min(4));
        self.failed_sweeps = self.failed_sweeps.saturating_add(1);
        self.next_sweep = Some(now + pause);
    }

    /// Whether a batch is read by itself, since listings can't tell of it.
    fn is_direct(&self, batch: &OpenBatch, situation: Situation) -> bool {
        self.trust == Trust::None
            || (situation.open == 1 && batch.handed.is_none())
            || (batch.is_stale && batch.handed.is_some())
            || self.failed_sweeps >= EVIDENCE
            || batch.unlisted >= EVIDENCE
    }

    /// When a batch is to be read next; `None` while it is being read.
    pub(super) fn due_at(&self, batch: &OpenBatch, situation: Situation) -> Option<Instant> {
        if batch.is_busy || !batch.details.is_empty() {
            return None;
        }
        let wanted = if batch.is_wanted || batch.seems_done() || situation.now >= batch.gives_up_at {
            batch.next_look
        } else if self.is_direct(batch, situation) {
            batch.looked_at.map_or(batch.next_look, |at| at + direct_pause(batch, at, situation))
        } else {
            let soonest = self.probe_at(batch).max(self.next_probe).min(batch.gives_up_at);
            match (self.eagerness, batch.unread_since) {
                (Eagerness::AsCompleted, Some(since)) => soonest.min(since + patience(situation)),
                _ => soonest,
            }
        };
        Some(wanted.max(batch.next_look))
    }

    /// Whether a batch should be read now.
    pub(super) fn wants_look(&self, batch: &OpenBatch, situation: Situation) -> bool {
        self.due_at(batch, situation).is_some_and(|at| at <= situation.now)
    }

    /// A batch is being read. Probes are few: a handful shows whether counters can be believed.
    pub(super) fn note_look_started(&mut self, batch: &OpenBatch, situation: Situation) {
        if !batch.seems_done() && batch.unread_since.is_none() && self.probe_at(batch) <= situation.now {
            self.next_probe = situation.now + BETWEEN_PROBES;
        }
    }

    /// When a batch whose counters stand still is read to see whether they can be believed. Counters that have never moved
    /// are suspected sooner; with every look the next comes later.
    fn probe_at(&self, batch: &OpenBatch) -> Instant {
        let Some(looked_at) = batch.looked_at else {
            let patience = match (batch.counters.completed, self.stale_counters) {
                (0, 0) => 20,
                (0, _) => 10,
                _ => 45,
            };
            return batch.moved_at + Duration::from_secs(patience);
        };
        let patience = Duration::from_secs(45).max(looked_at.saturating_duration_since(batch.sent_at));
        looked_at.max(batch.moved_at) + patience
    }

    /// Learns from a look at a batch: `before` is the number of judged targets before it.
    pub(super) fn note_look(&mut self, batch: &mut OpenBatch, before: u64, situation: Situation) {
        let now = situation.now;
        let judged = batch.judged();
        let seemed_done = batch.seems_done();
        let gone_from = batch.gone_from.take();
        batch.is_wanted = false;
        batch.looked_at = Some(now);
        if batch.handed.is_none() {
            batch.found = judged;
        }
        batch.unread_since = None;
        self.weigh_counters(batch, before, now);
        if judged > before {
            batch.moved_at = now;
            self.moved_at = now;
        }
        // Details under way are results too: only what is missing beyond them disappoints.
        let is_unfinished = batch.open.len() > batch.details.len();
        // Results may appear a little after the listing says that they are there: only the second time is it evidence.
        if is_unfinished && gone_from.is_some() && gone_from == self.scope() && batch.disappointments > 0 {
            self.distrust_absence();
        }
        batch.next_look = now + self.pause_after_look(batch, seemed_done, situation);
    }

    fn distrust_absence(&mut self) {
        if self.last_sweep_saw_any {
            return;
        }
        self.false_absences += 1;
        if self.false_absences >= EVIDENCE {
            self.false_absences = 0;
            self.trust = match self.trust {
                Trust::Filtered => Trust::Unfiltered,
                Trust::Unfiltered | Trust::None => Trust::None,
            };
        }
    }

    /// Many results where counters had stood still for long.
    fn weigh_counters(&mut self, batch: &mut OpenBatch, before: u64, now: Instant) {
        let (size, judged) = (batch.batch.targets.len() as u64, batch.judged());
        let untold = judged.saturating_sub(batch.counters.completed);
        let is_late = now > batch.moved_at + Duration::from_secs(8);
        if judged > before && batch.was_listed && is_late && untold * 2 >= size {
            self.note_stale(batch);
        }
    }

    /// Takes that a sweep showed a batch: counters that still tell less than what was read 5 s ago are stale.
    pub(super) fn weigh_sweep(&mut self, batch: &mut OpenBatch, now: Instant) {
        let is_late = batch.looked_at.is_some_and(|at| now > at + Duration::from_secs(5));
        if is_late && batch.counters.completed < batch.found {
            self.note_stale(batch);
        }
    }

    fn note_stale(&mut self, batch: &mut OpenBatch) {
        if !std::mem::replace(&mut batch.is_stale, true) {
            self.stale_counters += 1;
            if self.stale_counters >= EVIDENCE {
                self.trust = Trust::None;
            }
        }
    }

    /// Not before this is it read again, whatever else happens.
    fn pause_after_look(&self, batch: &mut OpenBatch, seemed_done: bool, situation: Situation) -> Duration {
        if seemed_done {
            let factor = 2_u32.saturating_pow(batch.disappointments.min(3));
            batch.disappointments = batch.disappointments.saturating_add(1);
            return Duration::from_secs(1) * factor;
        }
        if self.is_direct(batch, situation) {
            return Duration::from_millis(400).max(batch.between_passes());
        }
        (patience(situation) + Duration::from_secs(1)).max(batch.between_passes())
    }
}

/// How long results may lie unread when somebody is waiting. A sweep comes every 4 s at the most, so that they are out
/// within 10 s where the quota allows.
fn patience(situation: Situation) -> Duration {
    if situation.open <= TAIL { Duration::ZERO } else { Duration::from_secs(3) }
}

/// A twentieth of the time in which nothing moved, within limits: long commands are asked about less often, and no run gets
/// much longer for it.
fn quiet(since: Instant, situation: Situation) -> Duration {
    let most = if situation.open <= TAIL { 5 } else { 15 };
    situation.now.saturating_duration_since(since).mul_f64(0.05).min(Duration::from_secs(most))
}

/// Between two reads of a batch that no listing tells of.
fn direct_pause(batch: &OpenBatch, looked_at: Instant, situation: Situation) -> Duration {
    let age = looked_at.saturating_duration_since(batch.sent_at);
    let crowd = Duration::from_millis(150).saturating_mul(u32::try_from(situation.open).unwrap_or(u32::MAX));
    age.mul_f64(0.15)
        .clamp(Duration::from_millis(400), Duration::from_secs(2))
        .max(quiet(batch.moved_at, Situation { now: looked_at, ..situation }))
        .max(crowd)
}
