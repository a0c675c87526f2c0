//! The truth: what ran where and when, what each verdict ought to be, and how fast it could have gone at best.

use crate::clock::At;
use crate::quota::{Quota, Quotas};
use crate::service::ssm::command::Command;
use crate::service::ssm::engine::{Ended, Invocation};
use crate::world::{Region, World};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What became of a target, in herder's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It ran and succeeded.
    Ok,
    /// It ran and failed.
    Failed,
    /// It ran for too long.
    TimedOut,
    /// It never got there, or nothing was heard of it.
    Undelivered,
    /// It was refused.
    Denied,
    /// It was cancelled.
    Cancelled,
    /// It was never sent.
    NotRun,
}

/// One command on one node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Execution {
    /// The command.
    pub command_id: String,
    /// The node.
    pub instance_id: String,
    /// The node's name.
    pub name: String,
    /// Its region.
    pub region: String,
    /// Its account.
    pub account: String,
    /// The command's comment.
    pub comment: String,
    /// Order of the command in its region, from 0.
    pub command_sequence: u64,
    /// When the command was accepted, in microseconds since 1970 (as all times here).
    pub requested_at_us: i64,
    /// When the node took it.
    pub delivered_at_us: Option<i64>,
    /// When it started there.
    pub started_at_us: Option<i64>,
    /// When it ended.
    pub finished_at_us: Option<i64>,
    /// The exit code.
    pub exit_code: Option<i32>,
    /// As `StatusDetails` is now.
    pub status_details: String,
    /// What the verdict has to be; `None` while it goes on.
    pub verdict: Option<Verdict>,
    /// Why, where the verdict alone does not say it.
    pub reason: Option<String>,
    /// How often the node ran it: twice where a reboot was in between, never where it did not get there.
    pub runs: u32,
}

/// Everything that was sent.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Truth {
    /// One for each command and node, in the order of sending; other people's commands are left out.
    pub executions: Vec<Execution>,
    /// True when nothing goes on any more.
    pub settled: bool,
}

impl Truth {
    /// How many commands whose comment starts with `comment` a node has started.
    pub fn runs_of(&self, instance_id: &str, comment: &str) -> u32 {
        let started = |execution: &&Execution| {
            execution.instance_id == instance_id
                && execution.comment.starts_with(comment)
                && execution.runs > 0
        };
        self.executions.iter().filter(started).count() as u32
    }

    /// The same for every node that started any.
    pub fn runs_by_node(&self, comment: &str) -> BTreeMap<String, u32> {
        let mut counts = BTreeMap::new();
        for execution in self.executions.iter().filter(|one| one.comment.starts_with(comment) && one.runs > 0)
        {
            *counts.entry(execution.instance_id.clone()).or_insert(0) += 1;
        }
        counts
    }
}

/// What to compute the lower bound of.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FloorQuery {
    /// Only commands whose comment starts so.
    pub comment: String,
    /// Calls a second, instead of the quota of `SendCommand`.
    pub rate: Option<f64>,
    /// Calls at once, instead of the quota of `SendCommand`.
    pub burst: Option<f64>,
}

/// The lower bound of the wall clock of a run: sends as fast as the quota allows, in the order in which they were sent.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Floor {
    /// Milliseconds from the first send to the end of the last node.
    pub floor_ms: f64,
    /// Commands that it took.
    pub commands: u32,
    /// Nodes that it covers.
    pub nodes: u32,
    /// Milliseconds until the last command could be sent.
    pub last_send_ms: f64,
    /// The node that ends last.
    pub last_node: Option<String>,
    /// Milliseconds from the first send to the last node's end as they were.
    pub actual_ms: f64,
}

fn verdict(ended: Ended, code: Option<i32>, elapsed_short: bool) -> (Verdict, Option<&'static str>) {
    match ended {
        Ended::Success if code == Some(168) => (Verdict::Ok, Some("exit_168_skips_rest")),
        Ended::Success => (Verdict::Ok, None),
        Ended::Failed => (Verdict::Failed, None),
        Ended::ExecutionTimedOut if elapsed_short => (Verdict::Failed, Some("killed")),
        Ended::ExecutionTimedOut => (Verdict::TimedOut, None),
        Ended::DeliveryTimedOut => (Verdict::Undelivered, Some("expired")),
        Ended::Undeliverable => (Verdict::Undelivered, Some("undeliverable")),
        Ended::AccessDenied => (Verdict::Denied, Some("access_denied")),
        Ended::InvalidPlatform => (Verdict::Denied, Some("invalid_platform")),
        Ended::Cancelled => (Verdict::Cancelled, None),
        Ended::Terminated => (Verdict::NotRun, Some("budget")),
    }
}

pub(crate) fn truth(world: &World, now: At) -> Truth {
    let mut truth = Truth { executions: Vec::new(), settled: true };
    for region in world.regions.values() {
        for command in region.commands_until(now).filter(|command| !command.is_foreign) {
            truth.settled &= command.is_finished(now);
            truth
                .executions
                .extend(command.invocations.iter().filter_map(|one| execution(region, command, one, now)));
        }
    }
    truth.executions.sort_by_key(|execution| (execution.requested_at_us, execution.command_sequence));
    truth
}

fn execution(region: &Region, command: &Command, one: &Invocation, now: At) -> Option<Execution> {
    let node = region.fleet.at(one.draft.node)?;
    let past = |at: At| (at <= now).then_some(at.0);
    let finished = one.is_finished(now);
    let killed = one.finished_at.seconds_since(one.started_at) < command.limits.execution - 1e-6;
    let (verdict, reason) = verdict(one.ended, one.code, killed);
    Some(Execution {
        command_id: command.id.clone(),
        instance_id: node.id.clone(),
        name: node.name.clone(),
        region: region.name.clone(),
        account: region.account.clone(),
        comment: command.comment.clone(),
        command_sequence: command.sequence,
        requested_at_us: command.requested_at.0,
        delivered_at_us: past(one.started_at),
        started_at_us: past(one.started_at),
        finished_at_us: past(one.finished_at),
        exit_code: one.code.filter(|_| finished),
        status_details: one.status(now).1.to_owned(),
        verdict: finished.then_some(verdict),
        reason: reason.filter(|_| finished).map(str::to_owned),
        runs: if one.started_at <= now { one.runs } else { 0 },
    })
}

pub(crate) fn floor(world: &World, quotas: &Quotas, query: &FloorQuery, now: At) -> Floor {
    let mut floor = Floor::default();
    let known = quotas.quota("ssm", "SendCommand");
    let rate = query.rate.or(known.map(|quota| quota.rate)).filter(|rate| *rate > 0.0);
    let burst = query.burst.or(known.map(|quota| quota.burst)).unwrap_or(1.0);
    let quota = rate.map(|rate| Quota { rate, burst });
    let (mut first, mut end) = (At::NEVER, At(i64::MIN));
    for region in world.regions.values() {
        let commands = region
            .commands_until(now)
            .filter(|one| !one.is_foreign && one.comment.starts_with(&query.comment));
        for (position, command) in commands.enumerate() {
            let send =
                quota.map_or(0.0, |quota| ((position as f64 + 1.0 - quota.burst) / quota.rate).max(0.0));
            first = first.min(command.requested_at);
            floor.commands += 1;
            floor.last_send_ms = floor.last_send_ms.max(send * 1e3);
            for one in &command.invocations {
                floor.nodes += 1;
                end = end.max(one.finished_at);
                let done = send + one.finished_at.seconds_since(command.requested_at);
                if done * 1e3 > floor.floor_ms {
                    floor.floor_ms = done * 1e3;
                    floor.last_node = region.fleet.at(one.draft.node).map(|node| node.id.clone());
                }
            }
        }
    }
    floor.actual_ms = if floor.nodes == 0 { 0.0 } else { end.seconds_since(first) * 1e3 };
    floor
}
