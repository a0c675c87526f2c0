//! Waves: each begins when every target of the one before has its verdict.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::executor::{Done, Executor, StopReason, wave_bounds};
use super::job::{Job, Outcome};
use super::judge::Sending;
use crate::event::Event;
use crate::verdict::Verdict;

/// A gate that has not answered by then stops the run (CLI.md).
pub const GATE_PATIENCE: Duration = Duration::from_secs(60);

impl<J: Job> Executor<J> {
    /// Begins the run, or goes on where an earlier process left it: at the last wave of which anything is known,
    /// whatever is open of the ones before it: what stood between them was passed once. Between a wave that is judged and one that is
    /// untouched soak and gates come again, since nobody knows how far they were.
    pub(super) async fn begin_first_wave(&mut self) {
        let last = (0..self.waves.len()).rev().find(|wave| self.is_touched(*wave));
        self.wave = last.unwrap_or(0);
        if last.is_some() && self.is_wave_judged() {
            self.is_wave_told = true;
        } else {
            self.begin_wave().await;
        }
    }

    fn is_touched(&self, wave: usize) -> bool {
        wave_bounds(&self.waves, wave).any(|target| !self.is_untouched(target))
    }

    /// Whether every target up to this wave's end has its verdict.
    pub(super) fn is_wave_judged(&self) -> bool {
        self.unjudged_in.iter().take(self.wave + 1).all(|n| *n == 0)
    }

    pub(super) fn wave_number(&self) -> u32 {
        u32::try_from(self.wave + 1).unwrap_or(u32::MAX)
    }

    /// Queues the targets of the current wave that nothing is known of, and those that an earlier process left behind in the
    /// waves before it.
    async fn begin_wave(&mut self) {
        let bounds = wave_bounds(&self.waves, self.wave);
        self.is_wave_told = false;
        self.emit(Event::WaveStarted { wave: self.wave_number(), targets: bounds.len() as u64 }).await;
        for target in 0..bounds.end {
            if !self.is_untouched(target) {
                continue;
            }
            match self.judged_before.remove(&target) {
                Some(outcome) => self.judge(target, outcome, Sending::default()).await,
                None => self.queue_or_leave_out(target).await,
            }
        }
    }

    async fn queue_or_leave_out(&mut self, target: usize) {
        let lane = self.job.lane(target);
        let realm = self.realm_of(lane);
        match self.realm(realm).given_up.clone() {
            Some(reason) => {
                let outcome = Outcome::bare(Verdict::NotRun, Some(reason));
                self.judge(target, outcome, Sending::default()).await;
            }
            None => self.queue(lane, target),
        }
    }

    /// Whether the wave has targets and none of them was sent to, since their accounts and regions were given up. Such a
    /// canary proves nothing.
    fn is_wave_void(&self) -> bool {
        let mut verdicts =
            wave_bounds(&self.waves, self.wave).map(|t| self.verdicts.get(t).copied().flatten());
        !wave_bounds(&self.waves, self.wave).is_empty() && verdicts.all(|v| v == Some(Verdict::NotRun))
    }

    /// Whether it has no verdict and no send may have reached it.
    fn is_untouched(&self, target: usize) -> bool {
        self.verdicts.get(target).is_some_and(Option::is_none)
            && self.owner.get(target).is_some_and(Option::is_none)
    }

    /// Targets of the waves to come that nothing was sent to.
    pub(super) fn later_targets(&self) -> Vec<usize> {
        let from = wave_bounds(&self.waves, self.wave).end;
        (from..self.targets.len()).filter(|t| self.is_untouched(*t)).collect()
    }

    /// Goes to the next wave when every target of this one has its verdict and nothing stands between.
    pub(super) async fn advance_waves(&mut self) {
        self.judge_rest_of_queue().await;
        while self.stopped.is_none()
            && self.wave + 1 < self.waves.len()
            && self.is_wave_judged()
            && !self.budget.is_exceeded_by(self.known_bad())
        {
            self.finish_wave().await;
            if self.is_wave_void() {
                let message =
                    format!("nothing of wave {} ran: the next one does not begin", self.wave_number());
                self.emit(Event::Warning { message, hints: Vec::new() }).await;
                return self.stop(StopReason::Fatal).await;
            }
            if !self.is_way_clear().await {
                return;
            }
            self.crossing = None;
            self.wave += 1;
            self.begin_wave().await;
        }
    }

    /// Soaks, then asks the gates; true when all of it is done.
    async fn is_way_clear(&mut self) -> bool {
        let (now, wave) = (Instant::now(), self.wave_number());
        if self.crossing.is_none() {
            let soak = self.policy.between.soak;
            self.crossing = Some(Crossing { soaks_until: now + soak, next_gate: 0, is_asking: false });
            if !soak.is_zero() {
                let soak_ms = u64::try_from(soak.as_millis()).unwrap_or(u64::MAX);
                self.emit(Event::SoakStarted { wave, soak_ms }).await;
            }
        }
        let Some(crossing) = &mut self.crossing else { return false };
        if now < crossing.soaks_until || crossing.is_asking {
            return false;
        }
        let Some(gate) = self.policy.between.gates.get(crossing.next_gate).cloned() else { return true };
        crossing.is_asking = true;
        self.emit(Event::GateAsked { gate: gate.clone(), wave }).await;
        let job = Arc::clone(&self.job);
        self.start(async move {
            let answer = tokio::time::timeout(GATE_PATIENCE, job.gate(&gate, wave)).await;
            let answer =
                answer.unwrap_or_else(|_| Err(format!("no answer in {} s", GATE_PATIENCE.as_secs())));
            Done::Gated { gate, wave, answer }
        });
        false
    }

    pub(super) async fn absorb_gated(
        &mut self,
        gate: String,
        wave: u32,
        answer: Result<Option<String>, String>,
    ) {
        match answer {
            Ok(note) => {
                if let Some(crossing) = &mut self.crossing {
                    crossing.next_gate += 1;
                    crossing.is_asking = false;
                }
                self.emit(Event::GatePassed { gate, wave, note }).await;
            }
            // Asked before something else stopped the run: no news any more.
            Err(_) if self.stopped.is_some() => {}
            Err(reason) => {
                self.emit(Event::GateFailed { gate, wave, reason, mid_wave: false }).await;
                self.stop(StopReason::Gate).await;
            }
        }
    }

    pub(super) async fn finish_wave(&mut self) {
        if std::mem::replace(&mut self.is_wave_told, true) {
            return;
        }
        self.emit(Event::WaveFinished { wave: self.wave_number(), tally: self.tally.clone() }).await;
    }
}

/// On the way from one wave to the next.
#[derive(Debug)]
pub(super) struct Crossing {
    pub(super) soaks_until: Instant,
    next_gate: usize,
    is_asking: bool,
}
