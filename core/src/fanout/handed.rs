//! Sends that are handed to the service whole: it chooses the nodes by the selector, and goes over them by itself.
//!
//! What is different from a batch: the service's choice may not be herder's; nothing but a cancel keeps it from going on; its own
//! brake is a portion of the run's budget, so that all of them together never bear more than the run does.

use std::collections::{BTreeMap, BTreeSet};

use tokio::time::Instant;

use super::absent::Completeness;
use super::batch::OpenBatch;
use super::executor::{Executor, StopReason};
use super::job::{Finding, Job, Limits, Outcome, Pass};
use super::policy::Policy;
use super::portion::portions;
use super::queue::Group;
use crate::event::Event;
use crate::target::Target;
use crate::verdict::{Reason, Verdict};
use crate::via::Via;

/// Ids that a warning names.
const NAMED: usize = 5;

/// A command whose nodes the service chooses.
#[derive(Debug)]
pub(super) struct Handed {
    /// What it was told to keep to.
    pub(super) limits: Limits,
    /// Every result is read: nothing more comes of it.
    pub(super) is_final: bool,
    /// Its results cannot be listed, only be read one by one.
    pub(super) is_read_by_id: bool,
    pub(super) completeness: Completeness,
}

impl Handed {
    pub(super) fn new(limits: Limits) -> Handed {
        Handed { limits, is_final: false, is_read_by_id: false, completeness: Completeness::default() }
    }
}

/// What a run through the service keeps.
#[derive(Debug, Default)]
pub(super) struct Handing {
    /// Each lane's portion of window and budget.
    shares: BTreeMap<u32, Limits>,
    /// Lanes that the service was handed already: once more would run everything twice.
    given: BTreeSet<u32>,
    /// Targets that the service did not come to although the budget has not run out, by lane.
    rest: Vec<(u32, usize)>,
}

impl Handing {
    pub(super) fn new(policy: &Policy, lanes: impl Iterator<Item = u32>, given: BTreeSet<u32>) -> Handing {
        let mut sizes: BTreeMap<u32, u64> = BTreeMap::new();
        for lane in lanes {
            *sizes.entry(lane).or_insert(0) += 1;
        }
        let weights: Vec<u64> = sizes.values().copied().collect();
        let window = portions(policy.concurrency as u64, &weights);
        let budget = portions(policy.max_errors.min(weights.iter().sum()), &weights);
        let number = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
        let shares = sizes.iter().zip(window).zip(budget).map(|(((lane, size), window), errors)| {
            let limits =
                Limits { max_concurrency: number(window.min(*size).max(1)), max_errors: number(errors) };
            (*lane, limits)
        });
        Handing { shares: shares.collect(), given, rest: Vec::new() }
    }

    fn share(&self, lane: u32) -> Limits {
        self.shares.get(&lane).copied().unwrap_or(Limits { max_concurrency: 1, max_errors: 0 })
    }
}

impl<J: Job> Executor<J> {
    /// What a command for a whole lane has to keep to.
    pub(super) fn share(&self, lane: u32) -> Limits {
        self.handing.share(lane)
    }

    /// A send of this lane was taken, or may have been.
    pub(super) fn note_handed(&mut self, lane: u32, attempt: u32) {
        if self.policy.via.is_whole(attempt) {
            self.handing.given.insert(lane);
        }
    }

    /// A target that the service may have been told of before is not told of by a selector again.
    pub(super) fn queue(&mut self, lane: u32, target: usize) {
        if self.policy.via == Via::Service && self.handing.given.contains(&lane) {
            self.handing.rest.push((lane, target));
        } else {
            self.queue.push(lane, target);
        }
    }

    /// The next lane to be handed over: all of it, as soon as its portion of the window is free. Portions add up to the window, so
    /// that lanes wait for each other only where there are more of them than the window has places.
    pub(super) fn next_whole(&mut self, busy: &BTreeSet<u32>) -> Option<Group> {
        let free = self.free();
        let lanes: BTreeSet<u32> = self.queue.lanes().collect();
        let too_wide = lanes.into_iter().filter(|lane| self.share(*lane).max_concurrency as usize > free);
        let busy = busy.iter().copied().chain(too_wide).collect();
        self.queue.take_whole(&busy)
    }

    /// Whether anything is, or may be, or is about to be in the service's hands.
    fn is_in_hands(&self) -> bool {
        let via = self.policy.via;
        self.open.values().any(OpenBatch::is_awaited)
            || self.sending.values().any(|g| via.is_whole(g.attempt))
            || self.readying.values().any(|g| via.is_whole(g.attempt))
            || self.doubts.values().any(|d| via.is_whole(d.batch.attempt))
            || self.queue.has_whole()
    }

    /// A node that the service ended its command before: its portion of the budget ran out. If the run's budget has not, herder
    /// goes on there by itself. True when it was taken.
    pub(super) fn take_as_rest(&mut self, open: &mut OpenBatch, target: usize, outcome: &Outcome) -> bool {
        let is_left = outcome.verdict == Verdict::NotRun && outcome.reason == Some(Reason::BUDGET);
        if open.handed.is_none() || !is_left || self.stopped.is_some() {
            return false;
        }
        open.remove(target);
        if let Some(owner) = self.owner.get_mut(target) {
            *owner = None;
        }
        self.handing.rest.push((open.batch.lane, target));
        true
    }

    /// What the service left goes in batches by ids, when nothing is in its hands any more: not before is it known how much of the
    /// budget is left.
    pub(super) fn queue_rest(&mut self) {
        if self.handing.rest.is_empty() || self.stopped.is_some() || self.is_in_hands() {
            return;
        }
        let mut lanes: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
        for (lane, target) in std::mem::take(&mut self.handing.rest) {
            lanes.entry(lane).or_default().push(target);
        }
        for (lane, mut targets) in lanes {
            targets.sort_unstable();
            self.queue.push_group(Group { lane, attempt: 2, targets });
        }
    }

    /// Takes out what the service left.
    pub(super) fn take_rest(&mut self) -> impl Iterator<Item = usize> + use<J> {
        std::mem::take(&mut self.handing.rest).into_iter().map(|(_, target)| target)
    }

    /// Nothing but a cancel keeps the service from starting it on more nodes. A command that brakes by itself is left alone: what
    /// runs there may end.
    pub(super) fn call_off(&mut self, now: Instant) {
        if !matches!(self.stopped, Some(StopReason::Budget | StopReason::Gate | StopReason::Alarm)) {
            return;
        }
        self.cancel_those(now, OpenBatch::goes_on);
    }

    /// After the first Ctrl-C nothing is cancelled yet.
    pub(super) async fn warn_of_handed(&mut self) {
        let targets: usize =
            self.open.values().filter(|open| open.goes_on()).map(|open| open.open.len()).sum();
        if targets > 0 {
            let message = format!("the service goes on by itself: it has {targets} targets in its hands");
            let hints = vec!["Press Ctrl-C again to cancel what it has.".to_owned()];
            self.emit(Event::Warning { message, hints }).await;
        }
    }

    /// A part of the results was read. True when the pass over them is complete.
    pub(super) async fn absorb_pass(&mut self, open: &mut OpenBatch, pass: Pass) -> bool {
        self.adopt(open, pass.strangers).await;
        if !pass.is_complete {
            open.is_wanted = true;
            open.next_look = Instant::now();
            return false;
        }
        open.found = open.found.max(pass.listed.saturating_sub(pass.running));
        self.weigh_results(open, (pass.listed, pass.running)).await;
        true
    }

    /// The results of a command whose nodes the service chose cannot be listed: its targets are read one by one.
    pub(super) async fn absorb_unlisted(&mut self, open: &mut OpenBatch) {
        if let Some(handed) = &mut open.handed {
            handed.is_read_by_id = true;
        }
        self.weigh_results(open, (open.judged(), 0)).await;
    }

    pub(super) fn named(&self, what: &str, targets: &[usize]) -> String {
        let ids = targets.iter().take(NAMED).filter_map(|t| self.targets.get(*t)).map(|t| t.id.as_str());
        let more = if targets.len() > NAMED { ", …" } else { "" };
        let nodes = if targets.len() == 1 { "node was" } else { "nodes were" };
        format!("{} {nodes} {what}: {}{more}", targets.len(), ids.collect::<Vec<_>>().join(", "))
    }

    /// Nodes that the service chose and herder had not: they run it like the others, so that they are counted like the others.
    async fn adopt(&mut self, open: &mut OpenBatch, strangers: Vec<(Target, Finding)>) {
        // Pages shift: one may stand on two of them.
        let of_batch = open.batch.targets.iter().filter_map(|t| self.targets.get(*t));
        let mut known: BTreeSet<String> = of_batch.map(|t| t.id.clone()).collect();
        let mut adopted = Vec::new();
        for (facts, finding) in strangers {
            if !known.insert(facts.id.clone()) {
                continue;
            }
            let target = self.targets.len();
            let line = u32::try_from(target).unwrap_or(u32::MAX);
            if let Err(error) = self.ports.journal.adopted(open.batch.intent, line, facts.clone()).await {
                self.stop_for_journal(error).await;
            }
            self.job.adopt(target, &facts, open.batch.lane);
            self.emit(Event::TargetSent {
                target: facts.id.clone(),
                wave: self.wave_number(),
                attempt: open.batch.attempt,
                command_id: open.command_id.clone(),
            })
            .await;
            self.targets.push(facts);
            self.verdicts.push(None);
            self.owner.push(Some(open.batch.intent));
            self.wave_of.push(self.wave_number());
            self.unjudged += 1;
            if let (Some(unjudged), Some(end)) =
                (self.unjudged_in.get_mut(self.wave), self.waves.get_mut(self.wave))
            {
                *unjudged += 1;
                *end += 1;
            }
            open.batch.targets.push(target);
            open.open.insert(target);
            adopted.push((target, finding));
        }
        if !adopted.is_empty() {
            let targets: Vec<usize> = adopted.iter().map(|(target, _)| *target).collect();
            let message = self.named("chosen by the service and not by herder: counted as targets", &targets);
            self.emit(Event::Warning { message, hints: Vec::new() }).await;
        }
        for (target, finding) in adopted {
            self.take_finding(open, target, finding).await;
        }
    }
}
