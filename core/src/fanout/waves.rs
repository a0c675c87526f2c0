//! Waves: each begins when every target of the one before has its verdict.

use super::executor::{Executor, wave_bounds};
use super::job::Job;
use crate::event::Event;

impl<J: Job> Executor<J> {
    /// Begins the run, or goes on where an earlier process left it.
    pub(super) async fn begin_first_wave(&mut self) {
        let is_resumed = self.tally.total() > 0;
        while is_resumed && self.wave + 1 < self.waves.len() && self.is_wave_judged() {
            self.wave += 1;
        }
        self.begin_wave().await;
    }

    fn is_wave_judged(&self) -> bool {
        self.unjudged_in.get(self.wave).is_none_or(|n| *n == 0)
    }

    fn wave_number(&self) -> u32 {
        u32::try_from(self.wave + 1).unwrap_or(u32::MAX)
    }

    /// Queues the targets of the current wave that nothing is known of.
    async fn begin_wave(&mut self) {
        let bounds = wave_bounds(&self.waves, self.wave);
        self.emit(Event::WaveStarted { wave: self.wave_number(), targets: bounds.len() as u64 }).await;
        for target in bounds {
            if !self.is_untouched(target) {
                continue;
            }
            match self.judged_before.remove(&target) {
                Some(outcome) => self.judge(target, outcome, None).await,
                None => self.queue.push(self.job.lane(target), target),
            }
        }
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

    /// Goes to the next wave when every target of this one has its verdict.
    pub(super) async fn advance_waves(&mut self) {
        self.judge_rest_of_queue().await;
        while self.stopped.is_none()
            && self.wave + 1 < self.waves.len()
            && self.is_wave_judged()
            && !self.budget.is_exceeded_by(self.known_bad())
        {
            self.finish_wave().await;
            self.wave += 1;
            self.begin_wave().await;
        }
    }

    pub(super) async fn finish_wave(&mut self) {
        self.emit(Event::WaveFinished { wave: self.wave_number(), tally: self.tally.clone() }).await;
    }
}
