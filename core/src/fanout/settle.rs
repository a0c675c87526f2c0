//! What the executor makes of what came back: judging, stopping, waves.

use std::time::Duration;

use tokio::time::Instant;

use super::batch::{Doubt, OpenBatch};
use super::executor::{Done, Executor, Pause, StopReason, Wanted};
use super::interrupt::Interrupt;
use super::job::{
    Accepted, Batch, Collected, Finding, Job, Outcome, SendOutcome, Sweep, SweepScope, Trouble,
};
use super::queue::Group;
use crate::event::{Event, TargetFinished};
use crate::verdict::{Reason, Tally, Verdict};

/// Sends in a row that never left before the run is called off, if nothing was ever accepted.
const HOPELESS_AT_START: u32 = 3;
/// The same in the middle of a run: with pauses up to 30 s this is about five minutes.
const HOPELESS: u32 = 14;

impl<J: Job> Executor<J> {
    pub(super) async fn absorb(&mut self, done: Done<J::Error>) {
        match done {
            Done::Ready(group) => self.send_now(group),
            Done::Sent { ticket, batch, outcome } => {
                self.sending.remove(&ticket);
                self.absorb_sent(batch, outcome).await;
            }
            Done::Located { intent, result } => self.absorb_located(intent, result).await,
            Done::Swept { scope, asked, result } => self.absorb_swept(scope, &asked, result).await,
            Done::Collected { intent, result } => self.absorb_collected(intent, result).await,
            Done::Detailed { wanted, result } => self.absorb_detailed(wanted, result).await,
            Done::Cancelled { intent, result } => match result {
                Ok(()) => {
                    if let Some(open) = self.open.get_mut(&intent) {
                        open.is_gone = true;
                        open.next_look = Instant::now() + Duration::from_millis(500);
                    }
                }
                Err(trouble) => self.warn_trouble("could not cancel a command", trouble).await,
            },
        }
    }

    async fn absorb_sent(
        &mut self,
        batch: Batch,
        outcome: Result<SendOutcome<J::Error>, (Group, crate::journal::JournalError)>,
    ) {
        let size = batch.targets.len();
        let group = Group { lane: batch.lane, attempt: batch.attempt, targets: batch.targets.clone() };
        match outcome {
            Err((group, error)) => {
                self.queue.push_group(group);
                self.stop_for_journal(error).await;
            }
            Ok(SendOutcome::Accepted(accepted)) => {
                self.send_failures = 0;
                self.accept(batch, accepted).await;
            }
            Ok(SendOutcome::Lost(error)) => {
                self.anything_sent = true;
                let message = format!("the answer to a send was lost, looking for it: {error}");
                self.emit(Event::Warning { message, hints: Vec::new() }).await;
                self.doubts.insert(batch.intent, Doubt::new(batch, Instant::now()));
            }
            Ok(SendOutcome::Throttled) => {
                self.not_sent(batch.intent, Reason::word("throttled")).await;
                self.queue.push_group(group);
            }
            Ok(SendOutcome::NotSent(trouble)) => {
                self.not_sent(batch.intent, Reason::word("never_left")).await;
                self.hold_sends(group, trouble).await;
            }
            Ok(SendOutcome::BadTargets { bad, verdict, reason }) => {
                self.not_sent(batch.intent, reason.clone()).await;
                self.evict(group, &bad, &Outcome::bare(verdict, Some(reason))).await;
            }
            Ok(SendOutcome::Refused { verdict, reason, error }) => {
                self.not_sent(batch.intent, reason.clone()).await;
                if self.anything_sent {
                    let message = format!("a batch of {size} targets was refused: {error}");
                    self.emit(Event::Warning { message, hints: Vec::new() }).await;
                    for target in batch.targets {
                        self.judge(target, Outcome::bare(verdict, Some(reason.clone())), None).await;
                    }
                } else {
                    self.queue.push_group(group);
                    self.stop_fatally(error).await;
                }
            }
            Ok(SendOutcome::Fatal(error)) => {
                self.not_sent(batch.intent, Reason::word("refused")).await;
                self.queue.push_group(group);
                self.stop_fatally(error).await;
            }
        }
    }

    async fn accept(&mut self, batch: Batch, accepted: Accepted) {
        self.continue_if_paused().await;
        self.anything_sent = true;
        if let Err(error) = self.ports.journal.sent(batch.intent, accepted.command_id.clone()).await {
            self.stop_for_journal(error).await;
        }
        for target in &batch.targets {
            let event = Event::TargetSent {
                target: self.targets.get(*target).map(|t| t.id.clone()).unwrap_or_default(),
                wave: self.wave_of.get(*target).copied().unwrap_or(1),
                attempt: batch.attempt,
                command_id: accepted.command_id.clone(),
            };
            self.emit(event).await;
        }
        let now = Instant::now();
        self.schedule.note_sent(now);
        self.open.insert(batch.intent, OpenBatch::new(batch, accepted, now));
        if self.interrupt >= Interrupt::Cancel {
            self.start_cancelling();
        }
    }

    async fn not_sent(&mut self, intent: u64, reason: Reason) {
        if let Err(error) = self.ports.journal.not_sent(intent, reason).await {
            self.stop_for_journal(error).await;
        }
    }

    /// Bad ids go, the rest goes on; where the service doesn't name them, halving finds them.
    async fn evict(&mut self, mut group: Group, bad: &[usize], outcome: &Outcome) {
        if bad.is_empty() && group.targets.len() > 1 {
            let second = group.targets.split_off(group.targets.len() / 2);
            let (lane, attempt) = (group.lane, group.attempt);
            self.queue.push_group(Group { lane, attempt, targets: second });
            self.queue.push_group(group);
            return;
        }
        let (out, rest): (Vec<usize>, Vec<usize>) =
            group.targets.iter().partition(|t| bad.is_empty() || bad.contains(t));
        for target in out {
            self.judge(target, outcome.clone(), None).await;
        }
        if !rest.is_empty() {
            self.queue.push_group(Group { targets: rest, ..group });
        }
    }

    async fn hold_sends(&mut self, group: Group, trouble: Trouble<J::Error>) {
        let targets = group.targets.clone();
        self.queue.push_group(group);
        let error = match trouble {
            Trouble::Paused { reason, hint } => return self.pause(reason, hint).await,
            Trouble::Transient(error) | Trouble::Denied(error) => error,
        };
        self.send_failures += 1;
        let exponent = self.send_failures.min(6) - 1;
        let pause = Duration::from_secs(1) * 2_u32.saturating_pow(exponent);
        self.sends_held_until = Some(Instant::now() + pause.min(Duration::from_secs(30)));
        if !self.anything_sent && self.send_failures >= HOPELESS_AT_START {
            self.stop_fatally(error).await;
        } else if self.send_failures >= HOPELESS {
            self.stop_fatally(error).await;
        } else {
            let message = format!("{} targets wait, a send did not leave: {error}", targets.len());
            self.emit(Event::Warning { message, hints: Vec::new() }).await;
        }
    }

    async fn absorb_located(&mut self, intent: u64, result: Result<Option<Accepted>, Trouble<J::Error>>) {
        let now = Instant::now();
        let Some(mut doubt) = self.doubts.remove(&intent) else { return };
        doubt.is_busy = false;
        match result {
            Ok(Some(accepted)) => self.accept(doubt.batch, accepted).await,
            Ok(None) => {
                self.continue_if_paused().await;
                if doubt.miss(now) {
                    self.doubts.insert(intent, doubt);
                } else {
                    self.give_up_on(doubt.batch).await;
                }
            }
            Err(Trouble::Denied(error)) => {
                let message = format!("cannot look for a lost send: {error}");
                self.emit(Event::Warning { message, hints: Vec::new() }).await;
                self.give_up_on(doubt.batch).await;
            }
            Err(trouble) => {
                doubt.next_look = now + Duration::from_secs(4);
                self.doubts.insert(intent, doubt);
                self.note_trouble(trouble).await;
            }
        }
    }

    /// No trace of a send. It may still have taken effect, so it is not repeated unless that was asked for.
    async fn give_up_on(&mut self, batch: Batch) {
        if let Err(error) = self.ports.journal.lost(batch.intent).await {
            self.stop_for_journal(error).await;
        }
        if self.policy.resend_ambiguous && self.stopped.is_none() {
            let Batch { lane, attempt, targets, .. } = batch;
            self.queue.push_group(Group { lane, attempt: attempt + 1, targets });
            return;
        }
        for target in batch.targets {
            self.judge(target, Outcome::bare(Verdict::Unknown, Some(Reason::SEND_LOST)), None).await;
        }
    }

    async fn absorb_swept(
        &mut self,
        scope: SweepScope,
        asked: &[u64],
        result: Result<Sweep, Trouble<J::Error>>,
    ) {
        let situation = self.situation();
        match result {
            Ok(sweep) => {
                self.continue_if_paused().await;
                let now = situation.now;
                for intent in asked {
                    let Some(open) = self.open.get_mut(intent) else { continue };
                    match sweep.seen.get(&open.command_id) {
                        Some(counters) => open.note_counters(*counters, now),
                        // What was listed as in progress and no longer is, is done; what was never listed may be too new.
                        None if sweep.is_complete && scope == SweepScope::InProgress => {
                            let settled = open.was_listed || now > open.sent_at + Duration::from_secs(3);
                            open.is_gone = settled;
                        }
                        None => {
                            open.is_gone = sweep.is_complete && now > open.sent_at + Duration::from_secs(10);
                        }
                    }
                }
                self.schedule.note_sweep_ended(situation);
            }
            Err(Trouble::Denied(error)) => {
                self.schedule.give_up_sweeping();
                let message = format!("progress is read batch by batch, which takes more calls: {error}");
                self.emit(Event::Warning { message, hints: Vec::new() }).await;
            }
            Err(trouble) => {
                self.schedule.hold_sweeps_until(situation.now + Duration::from_secs(3));
                self.note_trouble(trouble).await;
            }
        }
    }

    async fn absorb_collected(&mut self, intent: u64, result: Result<Collected, Trouble<J::Error>>) {
        self.looking -= 1;
        let Some(mut open) = self.open.remove(&intent) else { return };
        open.is_busy = false;
        let before = open.batch.targets.len() - open.open.len();
        match result {
            Ok(collected) => {
                self.continue_if_paused().await;
                for (target, finding) in collected.findings {
                    if open.open.contains(&target) && !open.details.contains(&target) {
                        self.take_finding(&mut open, target, finding).await;
                    }
                }
                let mut situation = self.situation();
                situation.open += 1;
                self.schedule.note_look(&mut open, before, situation);
            }
            Err(Trouble::Denied(error)) => {
                let message = format!("results cannot be read: {error}");
                self.emit(Event::Warning { message, hints: Vec::new() }).await;
                self.abandon(&mut open, &Reason::ACCESS_DENIED).await;
            }
            Err(trouble) => {
                open.next_look = Instant::now() + Duration::from_secs(3);
                self.note_trouble(trouble).await;
            }
        }
        self.keep_if_open(open);
    }

    fn keep_if_open(&mut self, open: OpenBatch) {
        if !open.open.is_empty() {
            self.open.insert(open.batch.intent, open);
        }
    }

    async fn take_finding(&mut self, open: &mut OpenBatch, target: usize, finding: Finding) {
        let intent = open.batch.intent;
        match finding {
            Finding::Finished(outcome) => self.judge_in(open, target, *outcome).await,
            Finding::Cancelling => {
                open.cancelling.insert(target);
            }
            Finding::NeedsDetail(known) => {
                open.details.insert(target);
                self.details.push_back(Wanted { intent, target, known: Some(known), failures: 0 });
            }
            Finding::Unlisted => {
                open.details.insert(target);
                self.details.push_back(Wanted { intent, target, known: None, failures: 0 });
            }
        }
    }

    async fn absorb_detailed(
        &mut self,
        mut wanted: Wanted,
        result: Result<Option<Outcome>, Trouble<J::Error>>,
    ) {
        self.detailing -= 1;
        let Some(mut open) = self.open.remove(&wanted.intent) else { return };
        open.details.remove(&wanted.target);
        match (result, wanted.known.take()) {
            (Ok(Some(outcome)), _) => self.judge_in(&mut open, wanted.target, outcome).await,
            // The listing said that it ended; the details lag behind.
            (Ok(None), Some(known)) | (Err(Trouble::Denied(_)), Some(known)) => {
                self.judge_in(&mut open, wanted.target, *known).await;
            }
            (Ok(None), None) => {}
            (Err(Trouble::Denied(error)), None) => {
                let message = format!("a result cannot be read: {error}");
                self.emit(Event::Warning { message, hints: Vec::new() }).await;
                let outcome = Outcome::bare(Verdict::Unknown, Some(Reason::ACCESS_DENIED));
                self.judge_in(&mut open, wanted.target, outcome).await;
            }
            (Err(trouble), known) => {
                wanted.failures += 1;
                match (known, trouble) {
                    (Some(known), Trouble::Transient(_)) if wanted.failures >= 3 => {
                        self.judge_in(&mut open, wanted.target, *known).await;
                    }
                    (known, trouble) => {
                        wanted.known = known;
                        open.details.insert(wanted.target);
                        self.details.push_back(wanted);
                        self.note_trouble(trouble).await;
                    }
                }
            }
        }
        self.keep_if_open(open);
    }

    async fn judge_in(&mut self, open: &mut OpenBatch, target: usize, outcome: Outcome) {
        open.open.remove(&target);
        open.cancelling.remove(&target);
        if outcome.verdict.is_bad() {
            open.bad += 1;
        }
        let sent = (open.command_id.clone(), open.batch.attempt);
        self.judge(target, outcome, Some(sent)).await;
    }

    /// A target has its verdict.
    async fn judge(&mut self, target: usize, outcome: Outcome, sent: Option<(String, u32)>) {
        let Some(slot) = self.verdicts.get_mut(target) else { return };
        if slot.is_some() {
            return;
        }
        *slot = Some(outcome.verdict);
        if outcome.verdict.is_bad() {
            self.bad += 1;
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

    async fn abandon(&mut self, open: &mut OpenBatch, reason: &Reason) {
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
            for (_, mut open) in std::mem::take(&mut self.open) {
                self.abandon(&mut open, &Reason::INTERRUPTED).await;
            }
            for (_, doubt) in std::mem::take(&mut self.doubts) {
                for target in doubt.batch.targets {
                    self.judge(target, Outcome::bare(Verdict::Unknown, Some(Reason::SEND_LOST)), None).await;
                }
            }
            // Sends under way: they may take effect.
            for target in 0..self.verdicts.len() {
                self.judge(target, Outcome::bare(Verdict::Unknown, Some(Reason::INTERRUPTED)), None).await;
            }
            return;
        }
        // The last look is made at the expiry; a batch that is still open a while after that has lost its results.
        let late: Vec<u64> = self
            .open
            .values()
            .filter(|b| now > b.gives_up_at + Duration::from_secs(20) && !b.is_busy && b.details.is_empty())
            .map(|b| b.batch.intent)
            .collect();
        for intent in late {
            if let Some(mut open) = self.open.remove(&intent) {
                self.abandon(&mut open, &Reason::RESULT_LOST).await;
            }
        }
    }

    pub(super) async fn note_interrupt(&mut self) {
        let level = *self.ports.interrupts.borrow_and_update();
        if level <= self.interrupt {
            return;
        }
        self.interrupt = level;
        self.stop(StopReason::Interrupted, Reason::INTERRUPTED).await;
        match level {
            Interrupt::None | Interrupt::Drain => {}
            Interrupt::Cancel => {
                self.schedule.give_up_sweeping();
                self.start_cancelling();
            }
            Interrupt::Leave => self.leave_at = Some(Instant::now()),
        }
    }

    /// Starts nothing new from here on. The first reason stands.
    pub(super) async fn stop(&mut self, why: StopReason, reason: Reason) {
        if self.stopped.is_some() {
            return;
        }
        self.stopped = Some(why);
        let mut waiting = self.queue.drain();
        waiting.extend(self.later_targets());
        let in_flight = self.verdicts.iter().filter(|v| v.is_none()).count() - waiting.len();
        let event = Event::RunStopping {
            reason: reason.clone(),
            in_flight: in_flight as u64,
            not_sent: waiting.len() as u64,
        };
        self.emit(event).await;
        for target in waiting {
            self.judge(target, Outcome::bare(Verdict::NotRun, Some(reason.clone())), None).await;
        }
        self.wave = self.wave.max(self.waves.len().saturating_sub(1));
    }

    async fn stop_fatally(&mut self, error: J::Error) {
        let reason = Reason::word("refused");
        if self.fatal.is_none() {
            self.fatal = Some(error);
        }
        self.stop(StopReason::Fatal, reason).await;
        self.judge_rest_of_queue().await;
    }

    async fn stop_for_journal(&mut self, error: crate::journal::JournalError) {
        let message = format!("nothing more is sent: {error}");
        let hints =
            vec!["Free space in the state directory, then go on with `herder runs resume`.".to_owned()];
        if self.journal_error.is_none() {
            self.emit(Event::Warning { message, hints }).await;
            self.journal_error = Some(error);
        }
        self.stop(StopReason::Journal, Reason::JOURNAL).await;
        self.judge_rest_of_queue().await;
    }

    /// Groups that came back after the stop.
    pub(super) async fn judge_rest_of_queue(&mut self) {
        let reason = match self.stopped {
            None => return,
            Some(StopReason::Budget) => Reason::BUDGET,
            Some(StopReason::Interrupted) => Reason::INTERRUPTED,
            Some(StopReason::Journal) => Reason::JOURNAL,
            Some(StopReason::Fatal) => Reason::word("refused"),
        };
        for target in self.queue.drain() {
            self.judge(target, Outcome::bare(Verdict::NotRun, Some(reason.clone())), None).await;
        }
    }

    async fn warn_trouble(&mut self, what: &str, trouble: Trouble<J::Error>) {
        match trouble {
            Trouble::Paused { reason, hint } => self.pause(reason, hint).await,
            Trouble::Transient(error) | Trouble::Denied(error) => {
                let event = Event::Warning { message: format!("{what}: {error}"), hints: Vec::new() };
                self.emit(event).await;
            }
        }
    }

    async fn note_trouble(&mut self, trouble: Trouble<J::Error>) {
        self.warn_trouble("a look at the service failed and is repeated", trouble).await;
    }

    async fn pause(&mut self, reason: String, hint: String) {
        let length = self
            .pause
            .as_ref()
            .map_or(Duration::from_secs(2), |p| (p.length * 2).min(Duration::from_secs(30)));
        let now = Instant::now();
        match &mut self.pause {
            // Several calls fail at once: that is one pause.
            Some(pause) if pause.until > now => return,
            Some(pause) => *pause = Pause { until: now + length, length },
            None => {
                self.pause = Some(Pause { until: now + length, length });
                self.emit(Event::RunPaused { reason, hint }).await;
            }
        }
    }

    async fn continue_if_paused(&mut self) {
        if self.pause.take().is_some() {
            self.emit(Event::RunContinued).await;
        }
    }

    fn wave_bounds(&self, wave: usize) -> std::ops::Range<usize> {
        let end = self.waves.get(wave).copied().unwrap_or(self.targets.len()).min(self.targets.len());
        let start = wave.checked_sub(1).and_then(|w| self.waves.get(w)).copied().unwrap_or(0).min(end);
        start..end
    }

    fn later_targets(&self) -> Vec<usize> {
        let from = self.wave_bounds(self.wave).end;
        (from..self.targets.len()).filter(|t| self.verdicts.get(*t).is_some_and(Option::is_none)).collect()
    }

    /// Queues the targets of the current wave that nothing is known of.
    pub(super) async fn begin_wave(&mut self) {
        let bounds = self.wave_bounds(self.wave);
        let number = u32::try_from(self.wave + 1).unwrap_or(u32::MAX);
        self.emit(Event::WaveStarted { wave: number, targets: bounds.len() as u64 }).await;
        let busy: std::collections::BTreeSet<usize> = self
            .open
            .values()
            .flat_map(|b| b.open.iter().copied())
            .chain(self.doubts.values().flat_map(|d| d.batch.targets.iter().copied()))
            .collect();
        let mut judged = Vec::new();
        for target in bounds {
            if self.verdicts.get(target).is_some_and(Option::is_some) || busy.contains(&target) {
                continue;
            }
            match self.judged_before.remove(&target) {
                Some(outcome) => judged.push((target, outcome)),
                None => self.queue.push(self.job.lane(target), target),
            }
        }
        for (target, outcome) in judged {
            self.judge(target, outcome, None).await;
        }
    }

    /// Goes to the next wave when every target of this one has its verdict.
    pub(super) async fn advance_waves(&mut self) {
        self.judge_rest_of_queue().await;
        while self.stopped.is_none() && self.wave + 1 < self.waves.len() {
            let is_over =
                self.wave_bounds(self.wave).all(|t| self.verdicts.get(t).is_some_and(Option::is_some));
            if !is_over || self.budget.is_exceeded_by(self.known_bad()) {
                return;
            }
            self.finish_wave().await;
            self.wave += 1;
            self.begin_wave().await;
        }
    }

    pub(super) async fn finish_wave(&mut self) {
        let mut tally = Tally::default();
        for verdict in self.verdicts.iter().flatten() {
            tally.add(*verdict);
        }
        let number = u32::try_from(self.wave + 1).unwrap_or(u32::MAX);
        self.emit(Event::WaveFinished { wave: number, tally }).await;
    }
}
