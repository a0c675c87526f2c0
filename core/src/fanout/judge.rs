//! Judging: every target gets its verdict once.

use tokio::time::Instant;

use super::batch::OpenBatch;
use super::executor::Executor;
use super::job::{Job, Outcome};
use crate::event::{Event, TargetFinished};
use crate::verdict::{Reason, Verdict};

impl<J: Job> Executor<J> {
    pub(super) async fn judge_in(&mut self, open: &mut OpenBatch, target: usize, outcome: Outcome) {
        open.open.remove(&target);
        open.cancelling.remove(&target);
        if outcome.verdict.is_bad() {
            open.bad += 1;
        }
        let sent = (open.command_id.clone(), open.batch.attempt);
        self.judge(target, outcome, Some(sent)).await;
    }

    /// Keeps the books. False when the target has a verdict already, or there is none of that number.
    pub(super) fn note_verdict(&mut self, target: usize, verdict: Verdict) -> bool {
        let Some(slot @ None) = self.verdicts.get_mut(target) else { return false };
        *slot = Some(verdict);
        self.tally.add(verdict);
        self.unjudged -= 1;
        let wave = self.wave_of.get(target).map_or(0, |number| *number as usize);
        if let Some(unjudged) = wave.checked_sub(1).and_then(|w| self.unjudged_in.get_mut(w)) {
            *unjudged -= 1;
        }
        true
    }

    /// A target has its verdict.
    pub(super) async fn judge(&mut self, target: usize, outcome: Outcome, sent: Option<(String, u32)>) {
        if !self.note_verdict(target, outcome.verdict) {
            return;
        }
        let Some(facts) = self.targets.get(target).cloned() else { return };
        let (command_id, attempt) = sent.map_or((None, 0), |(id, attempt)| (Some(id), attempt));
        let duration_ms = outcome.started.zip(outcome.finished).map(|(started, finished)| {
            u64::try_from(finished.duration_since(started).as_millis()).unwrap_or(0)
        });
        let finished = TargetFinished {
            target: facts,
            verdict: outcome.verdict,
            reason: outcome.reason,
            exit_code: outcome.exit_code,
            stdout: outcome.stdout,
            stderr: outcome.stderr,
            streams: outcome.streams,
            truncated: outcome.truncated,
            started: outcome.started,
            finished: outcome.finished,
            duration_ms,
            command_id,
            wave: self.wave_of.get(target).copied().unwrap_or(1),
            attempt,
        };
        self.emit(Event::TargetFinished(Box::new(finished))).await;
    }

    pub(super) async fn abandon(&mut self, open: &mut OpenBatch, reason: &Reason) {
        for target in std::mem::take(&mut open.open) {
            let outcome = if open.cancelling.contains(&target) {
                Outcome::bare(Verdict::Cancelled, None)
            } else {
                Outcome::bare(Verdict::Unknown, Some(reason.clone()))
            };
            self.judge_in(open, target, outcome).await;
        }
    }

    /// What is past its time is given up.
    pub(super) async fn expire(&mut self, now: Instant) {
        if self.leave_at.is_some_and(|at| at <= now) {
            return self.leave().await;
        }
        if self.pause.is_some() {
            return;
        }
        let late: Vec<u64> = self.open.values().filter(|b| b.is_lost(now)).map(|b| b.batch.intent).collect();
        for intent in late {
            if let Some(mut open) = self.open.remove(&intent) {
                self.abandon(&mut open, &Reason::RESULT_LOST).await;
            }
        }
    }

    /// Waits for nothing any more.
    async fn leave(&mut self) {
        self.has_left = true;
        for (_, mut open) in std::mem::take(&mut self.open) {
            self.abandon(&mut open, &Reason::INTERRUPTED).await;
        }
        for (_, doubt) in std::mem::take(&mut self.doubts) {
            for target in doubt.batch.targets {
                self.judge(target, Outcome::bare(Verdict::Unknown, Some(Reason::SEND_LOST)), None).await;
            }
        }
        // What never got so far as a send, and then the sends under way: they may take effect.
        self.judge_rest_of_queue().await;
        for target in 0..self.verdicts.len() {
            self.judge(target, Outcome::bare(Verdict::Unknown, Some(Reason::INTERRUPTED)), None).await;
        }
    }
}
