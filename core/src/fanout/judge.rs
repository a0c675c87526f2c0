//! Judging: every target gets its verdict once.

use tokio::time::Instant;

use super::batch::OpenBatch;
use super::executor::Executor;
use super::job::{Job, Outcome};
use crate::event::{Event, TargetFinished};
use crate::verdict::{Reason, Verdict};

/// The send that a verdict belongs to. The default is none at all.
#[derive(Debug, Default)]
pub(super) struct Sending {
    /// `None` where no answer told it.
    command_id: Option<String>,
    attempt: u32,
}

impl Sending {
    /// A send that the service knows by this id, if it does.
    pub(super) fn of(command_id: Option<String>, attempt: u32) -> Sending {
        Sending { command_id, attempt }
    }

    /// A send without an answer: nobody knows its command.
    pub(super) fn lost(attempt: u32) -> Sending {
        Sending { command_id: None, attempt }
    }
}

impl<J: Job> Executor<J> {
    pub(super) async fn judge_in(&mut self, open: &mut OpenBatch, target: usize, outcome: Outcome) {
        if self.take_as_rest(open, target, &outcome) {
            return;
        }
        open.remove(target);
        if outcome.verdict.is_bad() {
            open.bad += 1;
        }
        let send = Sending { command_id: Some(open.command_id.clone()), attempt: open.batch.attempt };
        self.judge(target, outcome, send).await;
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
    pub(super) async fn judge(&mut self, target: usize, outcome: Outcome, send: Sending) {
        if !self.note_verdict(target, outcome.verdict) {
            return;
        }
        let Some(facts) = self.targets.get(target).cloned() else { return };
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
            channel: outcome.channel,
            started: outcome.started,
            finished: outcome.finished,
            duration_ms,
            command_id: send.command_id,
            wave: self.wave_of.get(target).copied().unwrap_or(1),
            attempt: send.attempt,
        };
        self.emit(Event::TargetFinished(Box::new(finished))).await;
    }

    /// Nothing more is expected of a command.
    pub(super) async fn abandon(&mut self, open: &mut OpenBatch, reason: &Reason) {
        for target in std::mem::take(&mut open.open) {
            let outcome = if open.cancelling.contains(&target) {
                Outcome::bare(Verdict::Cancelled, None)
            } else {
                Outcome::bare(Verdict::Unknown, Some(reason.clone()))
            };
            self.judge_in(open, target, outcome).await;
        }
        if let Some(handed) = &mut open.handed {
            handed.is_final = true;
        }
    }

    /// What is past its time is given up.
    pub(super) async fn expire(&mut self, now: Instant) {
        if self.leave_at.is_some_and(|at| at <= now) {
            return self.leave().await;
        }
        // Looks go on in a pause, now and then, and say of themselves whether it lasts.
        let hopeless = self.doubts.values().filter(|d| d.is_hopeless(now)).map(|d| d.batch.intent);
        for intent in hopeless.collect::<Vec<u64>>() {
            if let Some(doubt) = self.doubts.remove(&intent) {
                // Nobody could look: sending it again would be a guess.
                self.give_up_on(doubt.batch, false).await;
            }
        }
        let is_paused = |lane| self.realms.get(&self.realm_of(lane)).is_some_and(|r| r.pause.is_some());
        let late = self.open.values().filter(|b| b.is_lost(now) && !is_paused(b.batch.lane));
        let late: Vec<u64> = late.map(|b| b.batch.intent).collect();
        for intent in late {
            if let Some(mut open) = self.open.remove(&intent) {
                self.abandon(&mut open, &Reason::RESULT_LOST).await;
            }
        }
    }

    /// Targets of a send that was not answered, or not yet.
    pub(super) async fn judge_unanswered(&mut self, targets: &[usize], attempt: u32, why: &Reason) {
        for target in targets {
            let outcome = Outcome::bare(Verdict::Unknown, Some(why.clone()));
            self.judge(*target, outcome, Sending::lost(attempt)).await;
        }
    }

    /// Waits for nothing any more.
    async fn leave(&mut self) {
        self.has_left = true;
        for (_, mut open) in std::mem::take(&mut self.open) {
            self.abandon(&mut open, &Reason::INTERRUPTED).await;
        }
        for (_, doubt) in std::mem::take(&mut self.doubts) {
            self.judge_unanswered(&doubt.batch.targets, doubt.batch.attempt, &Reason::SEND_LOST).await;
        }
        // What never got so far as a send, and then the sends under way: they may take effect.
        self.judge_rest_of_queue().await;
        for (_, group) in std::mem::take(&mut self.sending) {
            self.judge_unanswered(&group.targets, group.attempt, &Reason::INTERRUPTED).await;
        }
        let rest: Vec<usize> = (0..self.verdicts.len()).collect();
        self.judge_unanswered(&rest, 0, &Reason::INTERRUPTED).await;
    }
}
