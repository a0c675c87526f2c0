//! One node: what EC2 and Systems Manager know of it, and what is wrong with it.

use super::names::Platform;
use crate::clock::At;
use crate::scenario::glob;
use std::collections::BTreeMap;

/// What is wrong with a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Health {
    pub(crate) offline: bool,
    pub(crate) unreachable: bool,
    pub(crate) slow: bool,
    pub(crate) broken: bool,
    pub(crate) dying: bool,
    pub(crate) undeliverable: bool,
    pub(crate) denied: bool,
    /// Its role may write neither to S3 nor to CloudWatch Logs.
    pub(crate) no_uploads: bool,
}

/// EC2's instance states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Pending,
    Running,
    ShuttingDown,
    Terminated,
    Stopping,
    Stopped,
}

impl State {
    pub(crate) fn name(self) -> &'static str {
        match self {
            State::Pending => "pending",
            State::Running => "running",
            State::ShuttingDown => "shutting-down",
            State::Terminated => "terminated",
            State::Stopping => "stopping",
            State::Stopped => "stopped",
        }
    }

    pub(crate) fn code(self) -> u16 {
        match self {
            State::Pending => 0,
            State::Running => 16,
            State::ShuttingDown => 32,
            State::Terminated => 48,
            State::Stopping => 64,
            State::Stopped => 80,
        }
    }
}

/// A node of the fleet.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    /// Position in the fleet, from 0.
    pub(crate) index: u32,
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) role: &'static str,
    pub(crate) zone: String,
    pub(crate) platform: Platform,
    pub(crate) instance_type: &'static str,
    pub(crate) private_ip: String,
    pub(crate) vpc: String,
    pub(crate) subnet: String,
    pub(crate) kernel: String,
    pub(crate) agent: String,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) health: Health,
    /// Lifecycle state in its Auto Scaling group, where it is not the usual one.
    pub(crate) lifecycle: Option<String>,
    /// Has an agent that registered.
    pub(crate) managed: bool,
    /// Its agent is a real one, which is online while it is registered with the gateway.
    pub(crate) is_real: bool,
    /// Changes of state, oldest first.
    pub(crate) states: Vec<(At, State)>,
}

impl Node {
    pub(crate) fn is_hybrid(&self) -> bool {
        self.id.starts_with("mi-")
    }

    pub(crate) fn state(&self, now: At) -> State {
        let current = self.states.iter().rev().find(|(since, _)| *since <= now);
        current.or(self.states.first()).map_or(State::Running, |(_, state)| *state)
    }

    pub(crate) fn launched(&self) -> At {
        self.states.first().map_or(At(0), |(since, _)| *since)
    }

    /// When the node last became what it is.
    pub(crate) fn since(&self, now: At) -> At {
        self.states.iter().rev().find(|(since, _)| *since <= now).map_or(self.launched(), |(since, _)| *since)
    }

    /// As `PingStatus`.
    pub(crate) fn ping(&self, now: At) -> &'static str {
        if self.health.offline || self.state(now) != State::Running { "ConnectionLost" } else { "Online" }
    }

    /// True where the list of managed nodes has it.
    pub(crate) fn is_listed(&self, now: At) -> bool {
        self.managed && self.state(now) != State::Terminated
    }

    /// The last ping: within five minutes of now for a healthy node, hours ago for a lost one.
    pub(crate) fn last_ping(&self, now: At) -> At {
        let offset = f64::from(self.index * 37 % 280);
        if self.health.offline {
            self.launched().plus_seconds(86_400.0 + offset)
        } else if self.state(now) == State::Running {
            now.plus_seconds(-offset).floor_second()
        } else {
            self.since(now)
        }
    }

    pub(crate) fn computer_name(&self) -> String {
        if self.platform == Platform::Windows {
            format!(
                "EC2AMAZ-{}",
                self.id.get(self.id.len().saturating_sub(7)..).unwrap_or_default().to_uppercase()
            )
        } else {
            format!("ip-{}.ec2.internal", self.private_ip.replace('.', "-"))
        }
    }

    /// True where an id, a glob on names, or `tag:KEY=GLOB` means this node.
    pub(crate) fn is_meant(&self, pattern: &str) -> bool {
        if let Some((key, value)) = pattern.strip_prefix("tag:").and_then(|tag| tag.split_once('=')) {
            return self.tags.get(key).is_some_and(|have| glob(value, have));
        }
        self.id == pattern || glob(pattern, &self.name)
    }
}
