//! What the executor makes of what came back from the service.

use std::time::Duration;

use tokio::time::Instant;

use super::batch::{Doubt, OpenBatch};
use super::executor::{Done, Executor};
use super::interrupt::Interrupt;
use super::job::{
    Accepted, Batch, Collected, Detail, Finding, Job, Outcome, SendOutcome, Sweep, SweepScope, Trouble,
};
use super::judge::Sending;
use super::queue::Group;
use super::realm::{Hold, Wanted};
use super::schedule::Seen;
use crate::event::Event;
use crate::journal::JournalError;
use crate::verdict::{Reason, Verdict};

/// Sends in a row that never left before the run is called off, if nothing was ever accepted.
const HOPELESS_AT_START: u32 = 3;
/// The same in the middle of a run: with pauses up to 30 s this is about five minutes.
const HOPELESS: u32 = 14;

impl<J: Job> Executor<J> {
    pub(super) async fn absorb(&mut self, done: Done<J::Error>) {
        match done {
            Done::Ready(lane) => self.send_now(lane),
            Done::Sent { ticket, batch, outcome } => {
                self.sending.remove(&ticket);
                self.absorb_sent(batch, outcome).await;
            }
            Done::Located { intent, result } => self.absorb_located(intent, result).await,
            Done::Swept { realm, scope, asked, result } => {
                self.absorb_swept(realm, (scope, &asked), result).await;
            }
            Done::Collected { intent, lane, result } => {
                let realm = self.realm_of(lane);
                self.realm(realm).looking -= 1;
                self.absorb_collected(realm, intent, result).await;
            }
            Done::Detailed { wanted, result } => self.absorb_detailed(wanted, result).await,
            Done::Gated { gate, wave, answer } => self.absorb_gated(gate, wave, answer).await,
            Done::Told(news) => self.absorb_told(news).await,
            Done::Cancelled { realm, intent, result } => {
                self.absorb_cancelled(realm, intent, result).await;
            }
        }
    }

    /// A cancel that did not get through is tried again, as long as anybody waits for it.
    async fn absorb_cancelled(
        &mut self,
        realm: u32,
        intent: u64,
        result: Result<Result<(), Trouble<J::Error>>, JournalError>,
    ) {
        let now = Instant::now();
        let trouble = match result {
            Ok(Ok(())) => {
                if let Some(open) = self.open.get_mut(&intent) {
                    open.is_wanted = true;
                    open.next_look = now + Duration::from_millis(500);
                }
                return;
            }
            Ok(Err(trouble)) => trouble,
            // Without a journal nothing is changed, not even to stop.
            Err(error) => {
                self.warn(realm, "journal cancel", format!("commands that run are not cancelled: {error}"))
                    .await;
                return self.stop_for_journal(error).await;
            }
        };
        if !matches!(trouble, Trouble::Denied(_)) {
            if let Some(open) = self.open.get_mut(&intent) {
                open.is_cancelled = false;
            }
            self.cancels_again_at = Some(now + Duration::from_secs(1));
        }
        self.warn_trouble(realm, "could not cancel a command", trouble).await;
    }

    async fn absorb_sent(
        &mut self,
        batch: Batch,
        outcome: Result<SendOutcome<J::Error>, (Group, JournalError)>,
    ) {
        let realm = self.realm_of(batch.lane);
        let group = Group { lane: batch.lane, attempt: batch.attempt, targets: batch.targets.clone() };
        if !matches!(outcome, Err(_) | Ok(SendOutcome::NotSent(_) | SendOutcome::Lost(_))) {
            self.note_answer(realm).await;
        }
        match outcome {
            Err((group, error)) => {
                self.put_back(group);
                self.stop_for_journal(error).await;
            }
            Ok(SendOutcome::Accepted(accepted)) => {
                self.realm(realm).hold = None;
                self.accept(batch, accepted).await;
            }
            Ok(SendOutcome::Lost(error)) => {
                self.note_sent(batch.lane);
                let message = format!("the answer to a send was lost, looking for it: {error}");
                let message = self.said_of(realm, message);
                self.emit(Event::Warning { message, hints: Vec::new() }).await;
                self.own(&batch);
                self.doubts.insert(batch.intent, Doubt::new(batch, Instant::now()));
            }
            Ok(SendOutcome::Throttled) => {
                self.not_sent(batch.intent, Reason::word("throttled")).await;
                self.put_back(group);
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
                self.absorb_refused(group, Outcome::bare(verdict, Some(reason)), error).await;
            }
            Ok(SendOutcome::Finished { command_id, outcomes }) => {
                self.realm(realm).hold = None;
                self.finish(batch, command_id, outcomes).await;
            }
            Ok(SendOutcome::Fatal(error)) => {
                self.not_sent(batch.intent, Reason::word("refused")).await;
                self.put_back(group);
                self.give_up_realm(realm, Reason::word("refused"), error).await;
            }
        }
    }

    /// A send that was the work itself is over. A target that it says nothing of is one that nobody knows the end of.
    async fn finish(&mut self, batch: Batch, command_id: Option<String>, outcomes: Vec<(usize, Outcome)>) {
        match &command_id {
            Some(id) => {
                self.note_sent(batch.lane);
                if let Err(error) = self.ports.journal.sent(batch.intent, id.clone()).await {
                    self.stop_for_journal(error).await;
                }
            }
            None => self.not_sent(batch.intent, Reason::word("not_begun")).await,
        }
        self.own(&batch);
        for (target, outcome) in outcomes {
            self.judge(target, outcome, Sending::of(command_id.clone(), batch.attempt)).await;
        }
        self.judge_unanswered(&batch.targets, batch.attempt, &Reason::RESULT_LOST).await;
    }

    /// A send was refused for reasons that are not its targets'.
    async fn absorb_refused(&mut self, group: Group, outcome: Outcome, error: J::Error) {
        let (realm, size) = (self.realm_of(group.lane), group.targets.len());
        let (has_sent, has_others) = (self.realm(realm).has_sent, self.has_others(realm));
        if !has_sent && !has_others {
            self.put_back(group);
            return self.stop_fatally(error).await;
        }
        let message = self.said_of(realm, format!("a batch of {size} targets was refused: {error}"));
        for target in group.targets {
            self.judge(target, outcome.clone(), Sending::default()).await;
        }
        if has_sent {
            self.emit(Event::Warning { message, hints: Vec::new() }).await;
        } else {
            // It would refuse the rest too.
            let reason = outcome.reason.unwrap_or_else(|| Reason::word("refused"));
            self.give_up_realm(realm, reason, error).await;
        }
    }

    async fn accept(&mut self, batch: Batch, accepted: Accepted) {
        let realm = self.realm_of(batch.lane);
        self.note_answer(realm).await;
        self.note_sent(batch.lane);
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
        self.realm(realm).schedule.note_sent(now);
        self.own(&batch);
        let open = self.opened(batch, accepted, now);
        self.keep_if_open(open);
        if self.interrupt >= Interrupt::Cancel {
            self.start_cancelling(now);
        }
    }

    /// The targets of a batch belong to it, unless a later send has taken them over.
    fn own(&mut self, batch: &Batch) {
        self.note_handed(batch.lane, batch.attempt);
        for target in &batch.targets {
            if let Some(owner) = self.owner.get_mut(*target) {
                *owner = (*owner).max(Some(batch.intent));
            }
        }
    }

    async fn not_sent(&mut self, intent: u64, reason: Reason) {
        if let Err(error) = self.ports.journal.not_sent(intent, reason).await {
            self.stop_for_journal(error).await;
        }
    }

    /// Bad ids go, the rest goes on; where the service doesn't name any of the batch, halving finds them.
    async fn evict(&mut self, mut group: Group, bad: &[usize], outcome: &Outcome) {
        let (named, rest): (Vec<usize>, Vec<usize>) = group.targets.iter().partition(|t| bad.contains(t));
        // A part of what was handed over whole can only be named by its ids.
        if self.policy.via.is_whole(group.attempt) {
            group.attempt = group.attempt.saturating_add(1);
            let why = outcome.reason.as_ref().map_or("no reason", Reason::as_str);
            let message =
                format!("the service refused the selector ({why}): its targets are sent to in batches");
            let message = self.said_of(self.realm_of(group.lane), message);
            self.emit(Event::Warning { message, hints: Vec::new() }).await;
            if named.is_empty() {
                return self.put_back(group);
            }
        }
        if named.is_empty() && group.targets.len() > 1 {
            let second = group.targets.split_off(group.targets.len() / 2);
            let (lane, attempt) = (group.lane, group.attempt);
            self.put_back(Group { lane, attempt, targets: second });
            self.put_back(group);
            return;
        }
        let (out, rest) = if named.is_empty() { (rest, named) } else { (named, rest) };
        for target in out {
            self.judge(target, outcome.clone(), Sending::default()).await;
        }
        if !rest.is_empty() {
            self.put_back(Group { targets: rest, ..group });
        }
    }

    /// A send did not leave: its realm waits a while, the others go on.
    async fn hold_sends(&mut self, group: Group, trouble: Trouble<J::Error>) {
        let (n, size) = (self.realm_of(group.lane), group.targets.len());
        self.put_back(group);
        let error = match trouble {
            Trouble::Paused { reason, hint } => return self.pause(n, reason, hint).await,
            Trouble::Transient(error) | Trouble::Denied(error) => error,
        };
        let now = Instant::now();
        let anything_sent = self.anything_sent;
        let hold = self.realm(n).hold.get_or_insert(Hold { until: now, failures: 0 });
        // Several sends fail at once: that is one failure.
        if hold.until > now {
            return;
        }
        hold.failures += 1;
        let pause = Duration::from_secs(1) * 2_u32.saturating_pow(hold.failures.min(6) - 1);
        hold.until = now + pause.min(Duration::from_secs(30));
        let is_hopeless = hold.failures >= if anything_sent { HOPELESS } else { HOPELESS_AT_START };
        if is_hopeless {
            self.give_up_realm(n, Reason::UNREACHABLE, error).await;
        } else {
            self.warn(n, "hold", format!("{size} targets wait, a send did not leave: {error}")).await;
        }
    }

    async fn absorb_located(&mut self, intent: u64, result: Result<Option<Accepted>, Trouble<J::Error>>) {
        let now = Instant::now();
        let Some(mut doubt) = self.doubts.remove(&intent) else { return };
        doubt.is_busy = false;
        let realm = self.realm_of(doubt.batch.lane);
        match result {
            Ok(Some(accepted)) => self.accept(doubt.batch, accepted).await,
            Ok(None) => {
                self.note_answer(realm).await;
                if doubt.miss(now) {
                    self.doubts.insert(intent, doubt);
                } else {
                    self.give_up_on(doubt.batch, self.policy.resend_ambiguous).await;
                }
            }
            Err(Trouble::Denied(error)) => {
                self.warn(realm, "locate", format!("cannot look for a lost send: {error}")).await;
                // Nobody has looked: sending it again would be a guess.
                self.give_up_on(doubt.batch, false).await;
            }
            Err(trouble) => {
                doubt.next_look = now + Duration::from_secs(4);
                if matches!(trouble, Trouble::Paused { .. }) {
                    doubt.note_paused(now);
                }
                self.doubts.insert(intent, doubt);
                self.note_trouble(realm, trouble).await;
            }
        }
    }

    /// No trace of a send. It may still have taken effect, so it is not repeated unless that was asked for.
    pub(super) async fn give_up_on(&mut self, batch: Batch, resend: bool) {
        if let Err(error) = self.ports.journal.lost(batch.intent).await {
            self.stop_for_journal(error).await;
        }
        let Batch { intent, lane, attempt, mut targets, .. } = batch;
        targets.retain(|t| self.is_open_in(*t, intent));
        if resend && self.stopped.is_none() && !targets.is_empty() {
            for target in &targets {
                if let Some(owner) = self.owner.get_mut(*target) {
                    *owner = None;
                }
            }
            self.queue.push_group(Group { lane, attempt: attempt.saturating_add(1), targets });
            return;
        }
        self.judge_unanswered(&targets, attempt, &Reason::SEND_LOST).await;
    }

    async fn absorb_swept(
        &mut self,
        realm: u32,
        (scope, asked): (SweepScope, &[u64]),
        result: Result<Sweep, Trouble<J::Error>>,
    ) {
        let situation = self.situation(realm);
        let now = situation.now;
        match result {
            Ok(sweep) => {
                self.note_answer(realm).await;
                let mut seen = Seen::default();
                for intent in asked {
                    let Some(mut open) = self.open.remove(intent) else { continue };
                    match sweep.seen.get(&open.command_id) {
                        Some(counters) => {
                            seen.any = true;
                            seen.moved |= open.note_counters(*counters, now);
                            self.realm(realm).schedule.weigh_sweep(&mut open, now);
                        }
                        None => open.note_absence(scope, sweep.is_complete, now),
                    }
                    self.open.insert(*intent, open);
                }
                self.realm(realm).schedule.note_sweep_ended(situation, seen);
            }
            Err(Trouble::Denied(error)) => {
                self.realm(realm).schedule.give_up_sweeping();
                let message = format!("progress is read batch by batch, which takes more calls: {error}");
                self.warn(realm, "sweep", message).await;
            }
            Err(trouble) => {
                self.realm(realm).schedule.note_sweep_failed(now);
                self.note_trouble(realm, trouble).await;
            }
        }
    }

    async fn absorb_collected(
        &mut self,
        realm: u32,
        intent: u64,
        result: Result<Collected, Trouble<J::Error>>,
    ) {
        let Some(mut open) = self.open.remove(&intent) else { return };
        open.is_busy = false;
        let before = open.judged();
        match result {
            Ok(collected) => {
                self.note_answer(realm).await;
                for (target, finding) in collected.findings {
                    if open.open.contains(&target) && !open.details.contains(&target) {
                        self.take_finding(&mut open, target, finding).await;
                    }
                }
                let is_through = match collected.pass {
                    Some(pass) => self.absorb_pass(&mut open, pass).await,
                    None => {
                        self.absorb_unlisted(&mut open).await;
                        true
                    }
                };
                if is_through {
                    let mut situation = self.situation(realm);
                    situation.open += 1;
                    situation.has_handed |= open.handed.is_some();
                    self.realm(realm).schedule.note_look(&mut open, before, situation);
                }
            }
            Err(Trouble::Denied(error)) => {
                self.warn(realm, "collect", format!("results cannot be read: {error}")).await;
                self.abandon(&mut open, &Reason::ACCESS_DENIED).await;
            }
            Err(trouble) => {
                open.next_look = Instant::now() + Duration::from_secs(3);
                self.note_trouble(realm, trouble).await;
            }
        }
        self.keep_if_open(open);
    }

    pub(super) async fn take_finding(&mut self, open: &mut OpenBatch, target: usize, finding: Finding) {
        let (intent, n) = (open.batch.intent, self.realm_of(open.batch.lane));
        let mut want = |known| {
            open.details.insert(target);
            let wanted = Wanted { realm: n, intent, target, known, failures: 0 };
            self.realm(n).details.push_back(wanted);
        };
        match finding {
            Finding::Finished(outcome) => self.judge_in(open, target, *outcome).await,
            Finding::Cancelling => {
                open.cancelling.insert(target);
            }
            Finding::NeedsDetail(known) => {
                if !known.verdict.is_bad() {
                    open.harmless.insert(target);
                }
                want(Some(known));
            }
            Finding::Unlisted => want(None),
        }
    }

    async fn absorb_detailed(&mut self, mut wanted: Wanted, result: Result<Detail, Trouble<J::Error>>) {
        self.realm(wanted.realm).detailing -= 1;
        let Some(mut open) = self.open.remove(&wanted.intent) else { return };
        open.details.remove(&wanted.target);
        if result.is_ok() {
            self.note_answer(wanted.realm).await;
        }
        match (result, wanted.known.take()) {
            (Ok(Detail::Ended(outcome)), _) => self.judge_in(&mut open, wanted.target, *outcome).await,
            // The listing said that it ended; the details lag behind.
            (Ok(_), Some(known)) | (Err(Trouble::Denied(_)), Some(known)) => {
                self.judge_in(&mut open, wanted.target, *known).await;
            }
            (Ok(Detail::Running), None) => {}
            (Ok(Detail::Absent), None) => {
                self.note_absent(&mut open, wanted.target, false);
            }
            (Err(Trouble::Denied(_)), None) if self.note_absent(&mut open, wanted.target, true) => {}
            (Err(Trouble::Denied(error)), None) => {
                self.warn(wanted.realm, "detail", format!("a result cannot be read: {error}")).await;
                let outcome = Outcome::bare(Verdict::Unknown, Some(Reason::ACCESS_DENIED));
                self.judge_in(&mut open, wanted.target, outcome).await;
            }
            (Err(trouble), known) => {
                wanted.known = known;
                self.retry_detail(&mut open, wanted, trouble).await;
            }
        }
        self.conclude(&mut open).await;
        self.keep_if_open(open);
    }

    async fn retry_detail(&mut self, open: &mut OpenBatch, mut wanted: Wanted, trouble: Trouble<J::Error>) {
        let realm = wanted.realm;
        if matches!(trouble, Trouble::Transient(_)) {
            wanted.failures += 1;
            self.realm(realm).details_held_until = Some(Instant::now() + Duration::from_secs(1));
        }
        match wanted.known.take() {
            Some(known) if wanted.failures >= 3 => self.judge_in(open, wanted.target, *known).await,
            // The next look at the batch asks for it again; this one told nothing of the target.
            None if wanted.failures >= 3 => open.looked_at = None,
            known => {
                wanted.known = known;
                open.details.insert(wanted.target);
                self.realm(realm).details.push_back(wanted);
            }
        }
        self.note_trouble(realm, trouble).await;
    }
}
