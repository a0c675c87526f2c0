//! A command, and what the service says about it as a whole.

use super::engine::{Ended, Intervention, Invocation, Limits, simulate};
use crate::clock::At;
use crate::switches::StaleCounters;
use serde_json::{Map, Value};

/// A command that was sent.
#[derive(Debug, Clone)]
pub(crate) struct Command {
    /// Order of sending within the region.
    pub(crate) sequence: u64,
    pub(crate) id: String,
    pub(crate) document: String,
    pub(crate) plugin: String,
    pub(crate) comment: String,
    pub(crate) script: String,
    /// `script` is a script, not a text of parameters.
    pub(crate) is_script: bool,
    pub(crate) directory: String,
    pub(crate) parameters: Map<String, Value>,
    pub(crate) instance_ids: Vec<String>,
    /// Members of the request that are given back as they came.
    pub(crate) echoed: Map<String, Value>,
    pub(crate) requested_at: At,
    /// When `ExpiresAfter` is.
    pub(crate) expires_at: At,
    pub(crate) timeout_seconds: i64,
    pub(crate) limits: Limits,
    pub(crate) interventions: Vec<(At, Intervention)>,
    pub(crate) invocations: Vec<Invocation>,
    /// `NoInstancesInTag` or `LimitExceeded`.
    pub(crate) refused: Option<&'static str>,
    /// Somebody else's.
    pub(crate) is_foreign: bool,
}

/// What `ListCommands` says about a command at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Summary {
    pub(crate) status: &'static str,
    pub(crate) details: &'static str,
    pub(crate) targets: u32,
    /// Every terminal state.
    pub(crate) completed: u32,
    /// `Failed` and `ExecutionTimedOut`.
    pub(crate) errors: u32,
    pub(crate) delivery_timed_out: u32,
}

/// Seconds that a command stays pending before it is sent to the first node.
const PENDING_SECONDS: f64 = 0.3;

impl Command {
    /// Does something to the command from outside and computes its course again.
    pub(crate) fn intervene(&mut self, now: At, intervention: Intervention) {
        self.interventions.push((now, intervention));
        let drafts: Vec<_> = self.invocations.iter().map(|invocation| invocation.draft).collect();
        self.invocations = simulate(self.requested_at, &drafts, self.limits, &self.interventions);
    }

    pub(crate) fn is_finished(&self, now: At) -> bool {
        self.invocations.iter().all(|invocation| invocation.is_finished(now))
    }

    /// The time whose state `ListCommands` shows.
    pub(crate) fn seen_at(&self, now: At, stale: Option<StaleCounters>) -> At {
        match stale {
            None => now,
            Some(StaleCounters::Never) => self.requested_at,
            Some(StaleCounters::Seconds(seconds)) => {
                now.plus_seconds(-seconds / self.limits.speed).max(self.requested_at)
            }
        }
    }

    /// Counters and states at a time, with the rules that make a parent succeed over nodes that never ran it:
    /// neither `Undeliverable` nor `InvalidPlatform` nor `AccessDenied` keeps a command from `Success`.
    pub(crate) fn summary(&self, now: At) -> Summary {
        let count = |test: &dyn Fn(&Invocation) -> bool| {
            self.invocations.iter().filter(|one| test(one)).count() as u32
        };
        let ended = |kind: Ended| count(&|one| one.is_finished(now) && one.ended == kind);
        let targets = self.invocations.len() as u32;
        let completed = count(&|one| one.is_finished(now));
        let errors = count(&|one| one.is_finished(now) && one.ended.is_error());
        let delivery_timed_out = ended(Ended::DeliveryTimedOut);
        let cancelled =
            self.interventions.iter().any(|(at, what)| *at <= now && *what == Intervention::Cancel(None));
        let (status, details) = if let Some(refused) = self.refused {
            (if refused == "LimitExceeded" { "Cancelled" } else { "Failed" }, refused)
        } else if completed < targets {
            let begun = self.requested_at.plus_seconds(PENDING_SECONDS / self.limits.speed);
            match (cancelled, now < begun) {
                (true, _) => ("Cancelling", "Cancelling"),
                (false, true) => ("Pending", "Pending"),
                (false, false) => ("InProgress", "InProgress"),
            }
        } else if cancelled {
            ("Cancelled", "Cancelled")
        } else if errors > self.limits.errors {
            if errors == ended(Ended::ExecutionTimedOut) {
                ("TimedOut", "ExecutionTimedOut")
            } else {
                ("Failed", "Failed")
            }
        } else if delivery_timed_out > self.limits.errors {
            ("TimedOut", "DeliveryTimedOut")
        } else if errors + delivery_timed_out + ended(Ended::Cancelled) > 0 {
            ("Failed", "Incomplete")
        } else {
            ("Success", "Success")
        };
        Summary { status, details, targets, completed, errors, delivery_timed_out }
    }
}

#[cfg(test)]
mod tests {
    use super::super::engine::{Draft, Reach};
    use super::*;

    fn command(reaches: &[(Reach, i32)], errors: u32) -> Command {
        let limits =
            Limits { delivery: 30.0, execution: 60.0, concurrency: 50, errors, ramp: false, speed: 1.0 };
        let drafts: Vec<Draft> = reaches
            .iter()
            .enumerate()
            .map(|(node, (reach, code))| Draft {
                node: node as u32,
                occurrence: 0,
                reach: *reach,
                duration: 1.0,
                code: *code,
                dies: false,
                reboot: None,
            })
            .collect();
        Command {
            sequence: 0,
            id: String::new(),
            document: "AWS-RunShellScript".into(),
            plugin: String::new(),
            comment: String::new(),
            script: String::new(),
            is_script: true,
            directory: String::new(),
            parameters: Map::new(),
            instance_ids: vec![],
            echoed: Map::new(),
            requested_at: At(0),
            expires_at: At(0),
            timeout_seconds: 30,
            limits,
            interventions: vec![],
            invocations: simulate(At(0), &drafts, limits, &[]),
            refused: None,
            is_foreign: false,
        }
    }

    fn end(command: &Command) -> Summary {
        command.summary(At(0).plus_seconds(1000.0))
    }

    #[test]
    fn four_undeliverable_and_one_success_are_a_success() {
        let mut reaches = vec![(Reach::Undeliverable, 0); 4];
        reaches.push((Reach::Online(1.0), 0));
        let summary = end(&command(&reaches, 0));
        assert_eq!(
            (summary.status, summary.completed, summary.errors, summary.delivery_timed_out),
            ("Success", 5, 0, 0)
        );
    }

    #[test]
    fn parents_end_as_documented() {
        let online = Reach::Online(1.0);
        assert_eq!(end(&command(&[(online, 1), (online, 0)], 0)).details, "Failed");
        assert_eq!(end(&command(&[(online, 1), (online, 0)], 1)).details, "Incomplete");
        assert_eq!(end(&command(&[(Reach::Unreachable, 0), (online, 0)], 0)).details, "DeliveryTimedOut");
        assert_eq!(end(&command(&[(Reach::Unreachable, 0), (online, 0)], 1)).details, "Incomplete");
        assert_eq!(end(&command(&[(online, 168)], 0)).details, "Success");
    }

    #[test]
    fn states_over_time_and_cancel() {
        let mut command = command(&[(Reach::Online(1.0), 0), (Reach::Unreachable, 0)], 0);
        let at = |seconds| At(0).plus_seconds(seconds);
        assert_eq!(command.summary(at(0.1)).status, "Pending");
        assert_eq!(command.summary(at(1.5)).status, "InProgress");
        assert_eq!(command.summary(at(2.5)).completed, 1);
        command.intervene(at(3.0), Intervention::Cancel(None));
        assert_eq!(command.summary(at(2.5)).completed, 1);
        assert_eq!(command.summary(at(3.0)).status, "Cancelled");
        assert_eq!(command.seen_at(at(9.0), Some(StaleCounters::Seconds(4.0))), at(5.0));
        assert_eq!(command.seen_at(at(9.0), Some(StaleCounters::Never)), at(0.0));
    }
}
