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
    /// Batches that the filtered listing had dropped although they were not done.
    false_absences: u32,
    /// Batches whose counters stood still while results existed.
    stale_counters: u32,
}

/// What the schedule needs to know of the run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Situation {
    pub(super) now: Instant,
    /// Batches that are not wholly judged.
    pub(super) open: usize,
    /// Whether sends wait for targets to end.
    pub(super) is_starved: bool,
}

impl Schedule {
    pub(super) fn new(eagerness: Eagerness) -> Schedule {
        Schedule {
            eagerness,
            trust: Trust::Filtered,
            next_sweep: None,
            is_sweeping: false,
            false_absences: 0,
            stale_counters: 0,
        }
    }

    /// A batch was sent: the first sweep follows a second later.
    pub(super) fn note_sent(&mut self, now: Instant) {
        self.next_sweep.get_or_insert(now + Duration::from_secs(1));
    }

    /// The sweep to make now, if any.
    pub(super) fn sweep_due(&self, situation: Situation) -> Option<SweepScope> {
        let due = self.next_sweep.is_some_and(|at| at <= situation.now);
        // One batch is read directly: the listing would only tell to read it.
        if self.is_sweeping || !due || situation.open < 2 {
            return None;
        }
        match self.trust {
            Trust::Filtered => Some(SweepScope::InProgress),
            Trust::Unfiltered => Some(SweepScope::All),
            Trust::None => None,
        }
    }

    pub(super) fn note_sweep_started(&mut self) {
        self.is_sweeping = true;
    }

    pub(super) fn note_sweep_ended(&mut self, situation: Situation) {
        self.is_sweeping = false;
        let pause = if situation.open <= TAIL {
            Duration::from_secs(1)
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

    /// Nothing is swept before this.
    pub(super) fn hold_sweeps_until(&mut self, at: Instant) {
        self.is_sweeping = false;
        self.next_sweep = Some(at);
    }

    fn is_direct(&self, situation: Situation) -> bool {
        self.trust == Trust::None || situation.open == 1
    }

    /// Whether a batch should be read now.
    pub(super) fn wants_look(&self, batch: &OpenBatch, situation: Situation) -> bool {
        let now = situation.now;
        if batch.is_busy || !batch.details.is_empty() || now < batch.next_look {
            return false;
        }
        if batch.seems_done() || self.is_direct(situation) || now >= batch.gives_up_at {
            return true;
        }
        let eager = self.eagerness == Eagerness::AsCompleted
            && batch.unread_since.is_some_and(|since| now >= since + self.patience(situation));
        eager || now >= self.probe_at(batch)
    }

    /// How long results may lie unread when somebody is waiting. A sweep comes every 4 s at the most, so that they are out
    /// within 10 s where the quota allows.
    fn patience(&self, situation: Situation) -> Duration {
        if situation.open <= TAIL { Duration::ZERO } else { Duration::from_secs(3) }
    }

    /// When a batch whose counters stand still is read to see whether they can be believed. Counters that have never moved
    /// are suspected sooner, and once a run has seen counters move they are left in peace longer.
    fn probe_at(&self, batch: &OpenBatch) -> Instant {
        let patience = if batch.counters.completed == 0 && !batch.was_looked_at {
            Duration::from_secs(if self.stale_counters > 0 { 10 } else { 20 })
        } else {
            Duration::from_secs(45)
        };
        batch.moved_at + patience
    }

    /// Learns from a look at a batch: `before` is the number of judged targets before it.
    pub(super) fn note_look(&mut self, batch: &mut OpenBatch, before: usize, situation: Situation) {
        let now = situation.now;
        let judged = batch.batch.targets.len() - batch.open.len();
        let seemed_done = batch.seems_done();
        batch.was_looked_at = true;
        batch.unread_since = None;
        // Details under way are results too: only what is missing beyond them disappoints.
        if batch.open.len() == batch.details.len() {
            return;
        }
        if seemed_done && batch.is_gone {
            batch.is_gone = false;
            self.false_absences += 1;
            if self.false_absences >= 3 && self.trust == Trust::Filtered {
                self.trust = Trust::Unfiltered;
            } else if self.false_absences >= 9 {
                self.trust = Trust::None;
            }
        }
        if judged > before && judged as u64 > batch.counters.completed && batch.was_listed {
            self.stale_counters += 1;
            if self.stale_counters >= 3 && now > batch.moved_at + Duration::from_secs(8) {
                self.trust = Trust::None;
            }
        }
        batch.moved_at = if judged > before { now } else { batch.moved_at };
        batch.next_look = now + self.pause_after_look(batch, seemed_done, situation);
    }

    fn pause_after_look(&self, batch: &mut OpenBatch, seemed_done: bool, situation: Situation) -> Duration {
        if self.is_direct(situation) {
            let age = situation.now.saturating_duration_since(batch.sent_at);
            let crowd =
                Duration::from_millis(150).saturating_mul(u32::try_from(situation.open).unwrap_or(u32::MAX));
            return age.mul_f64(0.15).clamp(Duration::from_millis(400), Duration::from_secs(3)).max(crowd);
        }
        if seemed_done {
            batch.disappointments += 1;
            let factor = 2_u32.saturating_pow(batch.disappointments.min(4) - 1);
            return (Duration::from_secs(1) * factor).min(Duration::from_secs(8));
        }
        self.patience(situation) + Duration::from_secs(1)
    }

    /// When something may be due next, as far as the schedule knows.
    pub(super) fn next_wake<'a>(
        &self,
        batches: impl Iterator<Item = &'a OpenBatch>,
        situation: Situation,
    ) -> Option<Instant> {
        let sweep = match self.trust {
            Trust::None => None,
            _ if self.is_sweeping || situation.open < 2 => None,
            _ => self.next_sweep,
        };
        let looks = batches.filter(|b| !b.is_busy && b.details.is_empty()).map(|batch| {
            let wanted = if batch.seems_done() || self.is_direct(situation) {
                batch.next_look
            } else {
                let unread = match self.eagerness {
                    Eagerness::AsCompleted => {
                        batch.unread_since.map(|since| since + self.patience(situation))
                    }
                    Eagerness::AtEnd => None,
                };
                let probe = self.probe_at(batch).min(batch.gives_up_at);
                unread.map_or(probe, |unread| unread.min(probe))
            };
            wanted.max(batch.next_look)
        });
        looks.chain(sweep).min()
    }
}
