//! A command's course of events, computed at once and looked at later.
//!
//! Nothing here waits: from what each node will do and from what was done to the command from outside
//! (cancelled, a node lost), one pass over the events gives the times of every invocation. Looking at the
//! command is a comparison of those times with the clock. The pass is deterministic and never looks ahead,
//! so repeating it with one more intervention leaves everything before that intervention as it was.

use crate::clock::At;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};

/// Whether and when a node takes a command.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Reach {
    /// Starts it so many seconds after it was sent.
    Online(f64),
    /// Never takes it.
    Unreachable,
    Undeliverable,
    AccessDenied,
    InvalidPlatform,
}

/// What a node will do with a command; all times are real seconds, already divided by the speed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Draft {
    pub(crate) node: u32,
    /// How often this node had this text before.
    pub(crate) occurrence: u32,
    pub(crate) reach: Reach,
    pub(crate) duration: f64,
    pub(crate) code: i32,
    /// The agent dies while it runs.
    pub(crate) dies: bool,
    /// It asked for a reboot, which takes so long, and is run again.
    pub(crate) reboot: Option<f64>,
}

/// A command's limits; times are real seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Limits {
    pub(crate) delivery: f64,
    pub(crate) execution: f64,
    pub(crate) concurrency: u32,
    pub(crate) errors: u32,
    /// Sends to 1, 2, 4, … nodes, each time after the last ones have taken it.
    pub(crate) ramp: bool,
    /// Divides the engine's own small delays.
    pub(crate) speed: f64,
}

/// Something that was done to a command from outside.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Intervention {
    /// Cancelled, for some nodes or for all.
    Cancel(Option<HashSet<u32>>),
    /// A node went away.
    Lost(u32),
}

/// How an invocation ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Ended {
    Success,
    Failed,
    ExecutionTimedOut,
    DeliveryTimedOut,
    Undeliverable,
    AccessDenied,
    InvalidPlatform,
    Cancelled,
    Terminated,
}

impl Ended {
    /// `Status` and `StatusDetails`.
    pub(crate) fn status(self) -> (&'static str, &'static str) {
        match self {
            Ended::Success => ("Success", "Success"),
            Ended::Failed => ("Failed", "Failed"),
            Ended::ExecutionTimedOut => ("TimedOut", "ExecutionTimedOut"),
            Ended::DeliveryTimedOut => ("TimedOut", "DeliveryTimedOut"),
            Ended::Undeliverable => ("Failed", "Undeliverable"),
            Ended::AccessDenied => ("Failed", "AccessDenied"),
            Ended::InvalidPlatform => ("Failed", "InvalidPlatform"),
            Ended::Cancelled => ("Cancelled", "Cancelled"),
            Ended::Terminated => ("Cancelled", "Terminated"),
        }
    }

    /// Counts towards `MaxErrors`.
    pub(crate) fn is_error(self) -> bool {
        matches!(self, Ended::Failed | Ended::ExecutionTimedOut)
    }
}

/// One node's part of a command. A time that never comes is [`At::NEVER`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Invocation {
    pub(crate) draft: Draft,
    pub(crate) sent_at: At,
    pub(crate) delayed_at: At,
    pub(crate) started_at: At,
    pub(crate) cancelling_at: At,
    pub(crate) finished_at: At,
    pub(crate) ended: Ended,
    /// The plugin's exit code, where it has one.
    pub(crate) code: Option<i32>,
    /// How often the node runs it: twice where it reboots in between.
    pub(crate) runs: u32,
}

impl Invocation {
    /// `Status` and `StatusDetails` at a time.
    pub(crate) fn status(&self, now: At) -> (&'static str, &'static str) {
        if self.finished_at <= now {
            self.ended.status()
        } else if self.cancelling_at <= now {
            ("Cancelling", "Cancelling")
        } else if self.started_at <= now {
            ("InProgress", "InProgress")
        } else if self.delayed_at <= now {
            ("Delayed", "Delayed")
        } else {
            ("Pending", "Pending")
        }
    }

    pub(crate) fn is_finished(&self, now: At) -> bool {
        self.finished_at <= now
    }

    /// True where the node ran it to some end of its own, so that there is a code and output.
    pub(crate) fn has_result(&self, now: At) -> bool {
        self.is_finished(now) && self.code.is_some()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Intervention(usize),
    Acknowledged(usize),
    Finished(usize, u32),
    Expired,
}

/// Seconds until the service says that a node does not take a command.
const DELAY_SECONDS: f64 = 5.0;
/// Seconds from a cancel to the end of what ran.
const KILL_SECONDS: f64 = 0.5;

/// Computes the course of a command that was requested at `start`.
pub(crate) fn simulate(
    start: At,
    drafts: &[Draft],
    limits: Limits,
    interventions: &[(At, Intervention)],
) -> Vec<Invocation> {
    let mut course = Course::new(start, drafts, limits);
    course.events.push(Reverse((course.deadline, Event::Expired)));
    for (index, (at, _)) in interventions.iter().enumerate() {
        course.events.push(Reverse((*at, Event::Intervention(index))));
    }
    course.dispatch(start);
    while let Some(Reverse((now, event))) = course.events.pop() {
        if course.open == 0 {
            break;
        }
        match event {
            Event::Intervention(index) => {
                if let Some((_, intervention)) = interventions.get(index) {
                    course.intervene(now, intervention);
                }
            }
            Event::Acknowledged(index) => course.acknowledge(index),
            Event::Finished(index, version) => course.finish(now, index, version),
            Event::Expired => course.close_unsent(now, Ended::DeliveryTimedOut),
        }
        course.dispatch(now);
    }
    course.invocations
}

struct Course {
    limits: Limits,
    deadline: At,
    invocations: Vec<Invocation>,
    versions: Vec<u32>,
    done: Vec<bool>,
    events: BinaryHeap<Reverse<(At, Event)>>,
    /// The next invocation that has not been sent.
    next: usize,
    open: usize,
    in_flight: u32,
    errors: u32,
    stopped: bool,
    batch: u32,
    batch_left: u32,
    unacknowledged: u32,
    acknowledged: Vec<bool>,
}

impl Course {
    fn new(start: At, drafts: &[Draft], limits: Limits) -> Course {
        let invocation = |draft: &Draft| Invocation {
            draft: *draft,
            sent_at: At::NEVER,
            delayed_at: At::NEVER,
            started_at: At::NEVER,
            cancelling_at: At::NEVER,
            finished_at: At::NEVER,
            ended: Ended::DeliveryTimedOut,
            code: None,
            runs: 0,
        };
        Course {
            limits,
            deadline: start.plus_seconds(limits.delivery + limits.execution),
            invocations: drafts.iter().map(invocation).collect(),
            versions: vec![0; drafts.len()],
            done: vec![false; drafts.len()],
            events: BinaryHeap::new(),
            next: 0,
            open: drafts.len(),
            in_flight: 0,
            errors: 0,
            stopped: false,
            batch: 1,
            batch_left: if limits.ramp { 1 } else { u32::MAX },
            unacknowledged: 0,
            acknowledged: vec![false; drafts.len()],
        }
    }

    fn dispatch(&mut self, now: At) {
        while !self.stopped && self.next < self.invocations.len() {
            if self.done[self.next] {
                self.next += 1;
                continue;
            }
            if self.limits.ramp && self.batch_left == 0 && self.unacknowledged == 0 {
                self.batch = self.batch.saturating_mul(2);
                self.batch_left = self.batch;
            }
            if self.in_flight >= self.limits.concurrency || self.batch_left == 0 {
                return;
            }
            let index = self.next;
            self.next += 1;
            self.send(now, index);
        }
    }

    fn send(&mut self, now: At, index: usize) {
        self.in_flight += 1;
        self.unacknowledged += 1;
        self.batch_left = if self.limits.ramp { self.batch_left.saturating_sub(1) } else { u32::MAX };
        let (limits, deadline) = (self.limits, self.deadline);
        let invocation = &mut self.invocations[index];
        invocation.sent_at = now;
        plan(invocation, limits, deadline);
        let taken = invocation.started_at.min(invocation.delayed_at).min(invocation.finished_at);
        self.events.push(Reverse((taken, Event::Acknowledged(index))));
        self.events.push(Reverse((self.invocations[index].finished_at, Event::Finished(index, 0))));
    }

    fn acknowledge(&mut self, index: usize) {
        if !std::mem::replace(&mut self.acknowledged[index], true) {
            self.unacknowledged = self.unacknowledged.saturating_sub(1);
        }
    }

    fn finish(&mut self, now: At, index: usize, version: u32) {
        if self.versions[index] != version || self.done[index] {
            return;
        }
        self.done[index] = true;
        self.open -= 1;
        self.in_flight = self.in_flight.saturating_sub(1);
        self.acknowledge(index);
        if self.invocations[index].ended.is_error() {
            self.errors += 1;
            if self.errors > self.limits.errors && !self.stopped {
                self.stopped = true;
                self.close_unsent(now, Ended::Terminated);
            }
        }
    }

    /// Ends everything that was never sent.
    fn close_unsent(&mut self, now: At, ended: Ended) {
        for index in self.next..self.invocations.len() {
            self.close(now, index, ended);
        }
    }

    fn close(&mut self, now: At, index: usize, ended: Ended) {
        if !std::mem::replace(&mut self.done[index], true) {
            self.open -= 1;
            self.invocations[index].finished_at = now;
            self.invocations[index].ended = ended;
        }
    }

    fn intervene(&mut self, now: At, intervention: &Intervention) {
        for index in 0..self.invocations.len() {
            let node = self.invocations[index].draft.node;
            match intervention {
                Intervention::Cancel(nodes) => {
                    if nodes.as_ref().is_none_or(|nodes| nodes.contains(&node)) {
                        self.cancel(now, index);
                    }
                }
                Intervention::Lost(lost) if *lost == node => self.lose(now, index),
                Intervention::Lost(_) => {}
            }
        }
        if matches!(intervention, Intervention::Cancel(None)) {
            self.stopped = true;
        }
    }

    fn cancel(&mut self, now: At, index: usize) {
        if self.done[index] {
            return;
        }
        if self.invocations[index].sent_at == At::NEVER {
            return self.close(now, index, Ended::Cancelled);
        }
        let invocation = &mut self.invocations[index];
        invocation.cancelling_at = invocation.cancelling_at.min(now);
        let running = invocation.started_at <= now;
        if running && invocation.draft.dies {
            return;
        }
        let end = if running { now.plus_seconds(KILL_SECONDS / self.limits.speed) } else { now };
        if end < invocation.finished_at {
            invocation.finished_at = end;
            invocation.ended = Ended::Cancelled;
            invocation.code = None;
            if !running {
                invocation.started_at = At::NEVER;
                invocation.runs = 0;
            }
            self.reschedule(index);
        }
    }

    fn lose(&mut self, now: At, index: usize) {
        self.invocations[index].draft.reach = Reach::Unreachable;
        if self.done[index] || self.invocations[index].sent_at == At::NEVER {
            return;
        }
        let (limits, deadline) = (self.limits, self.deadline);
        let invocation = &mut self.invocations[index];
        if invocation.started_at <= now {
            invocation.draft.dies = true;
            invocation.finished_at = deadline;
            invocation.ended = Ended::DeliveryTimedOut;
            invocation.code = None;
        } else {
            invocation.started_at = At::NEVER;
            plan(invocation, limits, deadline);
            invocation.delayed_at = invocation.delayed_at.max(now);
        }
        self.reschedule(index);
    }

    fn reschedule(&mut self, index: usize) {
        self.versions[index] += 1;
        let event = Event::Finished(index, self.versions[index]);
        self.events.push(Reverse((self.invocations[index].finished_at, event)));
    }
}

/// What becomes of an invocation that was just sent, if nothing is done to it.
fn plan(invocation: &mut Invocation, limits: Limits, deadline: At) {
    let (sent, draft) = (invocation.sent_at, invocation.draft);
    let undelivered = sent.plus_seconds(limits.delivery).min(deadline);
    let refused = |ended| (sent.plus_seconds(1.0 / limits.speed).min(undelivered), ended, None, 0);
    let (finished, ended, code, runs) = match draft.reach {
        Reach::Undeliverable => refused(Ended::Undeliverable),
        Reach::AccessDenied => refused(Ended::AccessDenied),
        Reach::InvalidPlatform => refused(Ended::InvalidPlatform),
        Reach::Unreachable => {
            invocation.delayed_at = sent.plus_seconds(DELAY_SECONDS / limits.speed).min(undelivered);
            (undelivered, Ended::DeliveryTimedOut, None, 0)
        }
        Reach::Online(delay) if delay > limits.delivery => (undelivered, Ended::DeliveryTimedOut, None, 0),
        Reach::Online(delay) => {
            let started = sent.plus_seconds(delay);
            invocation.started_at = started;
            if draft.dies {
                (deadline, Ended::DeliveryTimedOut, None, 1)
            } else if draft.duration > limits.execution {
                (started.plus_seconds(limits.execution), Ended::ExecutionTimedOut, Some(137), 1)
            } else if let Some(reboot) = draft.reboot {
                (started.plus_seconds(draft.duration * 2.0 + reboot), Ended::Success, Some(0), 2)
            } else {
                let ended = match draft.code {
                    0 | 168 => Ended::Success,
                    137 => Ended::ExecutionTimedOut,
                    _ => Ended::Failed,
                };
                (started.plus_seconds(draft.duration), ended, Some(draft.code), 1)
            }
        }
    };
    let late = finished > deadline;
    invocation.finished_at = finished.min(deadline);
    invocation.ended = if late { Ended::DeliveryTimedOut } else { ended };
    invocation.code = if late { None } else { code };
    invocation.runs = runs;
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const START: At = At(1_000_000_000);

    fn draft(node: u32, duration: f64, code: i32) -> Draft {
        Draft { node, occurrence: 0, reach: Reach::Online(1.0), duration, code, dies: false, reboot: None }
    }

    fn limits() -> Limits {
        Limits { delivery: 60.0, execution: 3600.0, concurrency: 50, errors: 0, ramp: false, speed: 1.0 }
    }

    fn after(seconds: f64) -> At {
        START.plus_seconds(seconds)
    }

    #[test]
    fn a_node_goes_through_its_states() {
        let course = simulate(START, &[draft(0, 5.0, 0)], limits(), &[]);
        let at = |seconds| course[0].status(after(seconds)).0;
        assert_eq!(
            (at(0.0), at(0.9), at(1.0), at(5.9), at(6.0)),
            ("Pending", "Pending", "InProgress", "InProgress", "Success")
        );
    }

    #[test]
    fn ends() {
        let mut drafts: Vec<Draft> = (0..9).map(|node| draft(node, 2.0, 0)).collect();
        drafts[1].code = 3;
        drafts[2].reach = Reach::Unreachable;
        drafts[3].reach = Reach::Undeliverable;
        drafts[4].reach = Reach::AccessDenied;
        drafts[5].dies = true;
        drafts[6].duration = 4000.0;
        drafts[7].reboot = Some(30.0);
        drafts[8].code = 137;
        let course = simulate(START, &drafts, limits(), &[]);
        let details: Vec<&str> = course.iter().map(|invocation| invocation.ended.status().1).collect();
        assert_eq!(
            details,
            [
                "Success",
                "Failed",
                "DeliveryTimedOut",
                "Undeliverable",
                "AccessDenied",
                "DeliveryTimedOut",
                "ExecutionTimedOut",
                "Success",
                "ExecutionTimedOut"
            ]
        );
        assert_eq!(course[2].status(after(10.0)).0, "Delayed");
        assert_eq!(course[2].finished_at, after(60.0));
        assert_eq!(course[5].status(after(3000.0)).0, "InProgress");
        assert_eq!(course[5].finished_at, after(3660.0));
        assert_eq!((course[6].finished_at, course[6].code), (after(3601.0), Some(137)));
        assert_eq!((course[7].runs, course[7].code, course[7].finished_at), (2, Some(0), after(35.0)));
    }

    #[test]
    fn errors_stop_the_sending() {
        let drafts: Vec<Draft> = (0..10).map(|node| draft(node, 1.0, i32::from(node == 1))).collect();
        let course = simulate(START, &drafts, Limits { concurrency: 1, ..limits() }, &[]);
        let ended: Vec<Ended> = course.iter().map(|invocation| invocation.ended).collect();
        assert_eq!(ended[..3], [Ended::Success, Ended::Failed, Ended::Terminated]);
        assert!(ended[2..].iter().all(|ended| *ended == Ended::Terminated));
        assert_eq!(course[9].finished_at, after(4.0));
        let tolerant = simulate(START, &drafts, Limits { concurrency: 1, errors: 1, ..limits() }, &[]);
        assert_eq!(tolerant[9].ended, Ended::Success);
    }

    #[test]
    fn the_ramp_doubles() {
        let drafts: Vec<Draft> = (0..15).map(|node| draft(node, 100.0, 0)).collect();
        let course = simulate(START, &drafts, Limits { ramp: true, ..limits() }, &[]);
        let sent: Vec<i64> =
            course.iter().map(|invocation| (invocation.sent_at.0 - START.0) / 1_000_000).collect();
        assert_eq!(sent, [0, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3]);
    }

    #[test]
    fn cancelling_changes_only_what_comes_after() {
        let drafts: Vec<Draft> = (0..4).map(|node| draft(node, f64::from(node) * 4.0 + 1.0, 0)).collect();
        let limits = Limits { concurrency: 3, ..limits() };
        let before = simulate(START, &drafts, limits, &[]);
        let cut = after(4.0);
        let course = simulate(START, &drafts, limits, &[(cut, Intervention::Cancel(None))]);
        assert_eq!(course[0], before[0]);
        assert_eq!(course[1].status(cut).0, "Cancelling");
        assert_eq!((course[1].ended, course[1].finished_at), (Ended::Cancelled, after(4.5)));
        assert_eq!(course[3].ended, Ended::Cancelled);
        let some = simulate(START, &drafts, limits, &[(cut, Intervention::Cancel(Some(HashSet::from([2]))))]);
        assert_eq!(
            (some[1].ended, some[2].ended, some[3].ended),
            (Ended::Success, Ended::Cancelled, Ended::Success)
        );
    }

    #[test]
    fn a_lost_node_is_a_delivery_timeout() {
        let course = simulate(
            START,
            &[draft(0, 5.0, 0), draft(1, 5.0, 0)],
            limits(),
            &[(after(2.0), Intervention::Lost(0))],
        );
        assert_eq!((course[0].ended, course[0].finished_at), (Ended::DeliveryTimedOut, after(3660.0)));
        assert_eq!(course[1].ended, Ended::Success);
    }

    proptest! {
        #[test]
        fn everything_ends_and_limits_hold(
            codes in proptest::collection::vec((0_i32..3, 0.1_f64..20.0, 0_u8..6), 1..60),
            concurrency in 1_u32..20, errors in 0_u32..5, ramp: bool, cut in 0.0_f64..40.0, cancel: bool,
        ) {
            let drafts: Vec<Draft> = codes.iter().enumerate().map(|(node, (code, duration, reach))| {
                let mut draft = draft(node as u32, *duration, *code);
                match reach { 0 => draft.reach = Reach::Unreachable, 1 => draft.dies = true, _ => {} }
                draft
            }).collect();
            let limits = Limits { concurrency, errors, ramp, ..limits() };
            let interventions = if cancel { vec![(after(cut), Intervention::Cancel(None))] } else { vec![] };
            let course = simulate(START, &drafts, limits, &interventions);
            for invocation in &course {
                prop_assert!(invocation.finished_at != At::NEVER);
                let in_flight = course.iter().filter(|other| other.sent_at <= invocation.sent_at && invocation.sent_at < other.finished_at).count();
                prop_assert!(invocation.sent_at == At::NEVER || in_flight <= concurrency as usize);
            }
        }
    }
}
