//! The health of targets: by the instance's state, by the scenario, and otherwise good.

use super::group::Group;
use crate::clock::At;
use crate::draw::Draw;
use crate::fleet::node::{Node, State};
use crate::scenario::{TargetHealthRule, glob};
use crate::service::Here;
use crate::spec::Share;
use std::collections::{HashMap, HashSet};

/// Seconds until a target that just started is healthy.
const INITIAL_SECONDS: f64 = 10.0;

/// A target's health.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Health {
    pub(super) state: String,
    pub(super) reason: Option<String>,
    pub(super) description: Option<String>,
}

/// The usual reason of a state, and the description of a reason.
pub(super) fn worded(state: &str, reason: Option<&str>) -> Health {
    let usual = match state {
        "unhealthy" => Some("Target.FailedHealthChecks"),
        "initial" => Some("Elb.InitialHealthChecking"),
        "draining" | "unhealthy.draining" => Some("Target.DeregistrationInProgress"),
        "unused" => Some("Target.NotInUse"),
        "unavailable" => Some("Target.HealthCheckDisabled"),
        _ => None,
    };
    let reason = reason.or(usual);
    let description = reason.map(|reason| match reason {
        "Target.FailedHealthChecks" => "Health checks failed",
        "Target.ResponseCodeMismatch" => "Health checks failed with these codes: [503]",
        "Target.Timeout" => "Request timed out",
        "Target.DeregistrationInProgress" => "Target deregistration is in progress",
        "Target.NotInUse" => "Target group is not configured to receive traffic from the load balancer",
        "Target.NotRegistered" => "Target is not registered to the target group",
        "Target.InvalidState" => "Target is in the stopped state",
        "Target.HealthCheckDisabled" => "Health checks are not enabled for this target",
        "Elb.RegistrationInProgress" => "Target registration is in progress",
        "Elb.InitialHealthChecking" => "Initial health checks in progress",
        _ => "Health checks failed due to an internal error on the load balancer",
    });
    Health {
        state: state.to_owned(),
        reason: reason.map(str::to_owned),
        description: description.map(str::to_owned),
    }
}

/// The health of an id that is not registered.
pub(super) fn unregistered() -> Health {
    worded("unused", Some("Target.NotRegistered"))
}

/// What the scenario says about a group's targets, looked up once for all of them.
pub(super) struct Outlook<'a> {
    rules: Vec<Active<'a>>,
    unhealthy: HashSet<u32>,
}

struct Active<'a> {
    rule: &'a TargetHealthRule,
    /// For which targets it holds now.
    nodes: HashSet<u32>,
}

impl<'a> Outlook<'a> {
    pub(super) fn new(here: &'a Here<'_>, group: &Group, targets: &[&Node]) -> Outlook<'a> {
        let rules = here.spec.scenario.iter().flat_map(|scenario| &scenario.target_health).enumerate();
        let rules = rules
            .filter(|(_, rule)| rule.group.as_deref().is_none_or(|pattern| glob(pattern, &group.name)))
            .map(|(number, rule)| Active { rule, nodes: held(here, (number, rule), targets) })
            .collect();
        let draw = Draw::new(here.spec.seed).text("unhealthy").text(&group.name);
        Outlook { rules, unhealthy: some(targets, Some(group.unhealthy), draw) }
    }

    pub(super) fn of(&self, here: &Here<'_>, group: &Group, node: &Node) -> Health {
        let state = node.state(here.now);
        if !group.is_used {
            return worded("unused", None);
        }
        match state {
            State::ShuttingDown | State::Terminated => return worded("draining", None),
            State::Stopping | State::Stopped => return worded("unused", Some("Target.InvalidState")),
            State::Pending | State::Running => {}
        }
        if let Some(active) = self.rules.iter().find(|active| active.nodes.contains(&node.index)) {
            let state = active.rule.state.as_deref().unwrap_or("unhealthy");
            return worded(state, active.rule.reason.as_deref());
        }
        let up = here.now.seconds_since(node.since(here.now)) * here.spec.speed;
        if state == State::Pending || up < INITIAL_SECONDS {
            return worded("initial", None);
        }
        worded(if self.unhealthy.contains(&node.index) { "unhealthy" } else { "healthy" }, None)
    }
}

/// So many of some targets, the same ones every time.
fn some(targets: &[&Node], share: Option<Share>, draw: Draw) -> HashSet<u32> {
    let mut order: Vec<&&Node> = targets.iter().collect();
    order.sort_by_key(|node| draw.text(&node.id).bits());
    let count = share.map_or(order.len() as u32, |share| share.of(order.len() as u32));
    order.into_iter().take(count as usize).map(|node| node.index).collect()
}

/// The targets for which a rule holds now.
fn held(here: &Here<'_>, (number, rule): (usize, &TargetHealthRule), targets: &[&Node]) -> HashSet<u32> {
    let meant: Vec<&Node> = targets
        .iter()
        .copied()
        .filter(|node| rule.nodes.as_deref().is_none_or(|pattern| node.is_meant(pattern)))
        .collect();
    let draw = Draw::new(here.spec.seed).text("target_health").with(number as u64);
    let chosen = some(&meant, rule.share, draw);
    let holds = |since: &At| {
        let passed = here.now.seconds_since(*since) * here.spec.speed;
        let after = rule.after.unwrap_or_default().as_secs_f64();
        passed >= after && rule.lasts.is_none_or(|lasts| passed < after + lasts.as_secs_f64())
    };
    if rule.command.is_none() && rule.document.is_none() {
        return if holds(&here.region.born) { chosen } else { HashSet::new() };
    }
    let mut latest: HashMap<u32, Vec<At>> = HashMap::new();
    let pattern = (rule.command.as_deref(), rule.document.as_deref());
    for (node, at) in here.region.starts(pattern, here.now).filter(|(node, _)| chosen.contains(node)) {
        latest.entry(node).or_default().push(at);
    }
    latest.into_iter().filter(|(_, starts)| starts.iter().any(holds)).map(|(node, _)| node).collect()
}
