//! What scenarios say about the things around a fleet: load balancing, alarms, groups, buckets, accounts, regions.

use super::{nodes, parsed, time};
use crate::outage::Down;
use crate::spec::Share;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// A target group.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TargetGroupRule {
    /// Its name; `tg-web` and `tg-api` are there unless they are named here.
    pub name: String,
    /// Its members, as in [`NodeRule::nodes`](crate::NodeRule::nodes).
    pub nodes: Option<String>,
    /// What is registered in it: `instance` (when absent), `ip` or `lambda`.
    pub kind: Option<String>,
    /// Addresses that are registered and that no node has; of a group of kind `ip`.
    pub addresses: Vec<String>,
    /// The port of its targets; 80 when absent.
    pub port: Option<u16>,
    /// How many of its members are unhealthy from the start.
    #[serde(deserialize_with = "parsed")]
    pub unhealthy: Option<Share>,
    /// No load balancer uses it: every target is `unused`.
    pub detached: bool,
}

/// A change of the health of targets.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TargetHealthRule {
    /// In which target groups, as a glob on names. All when absent.
    pub group: Option<String>,
    /// Of which targets, as in [`NodeRule::nodes`](crate::NodeRule::nodes).
    pub nodes: Option<String>,
    /// Of how many of those.
    #[serde(deserialize_with = "parsed")]
    pub share: Option<Share>,
    /// `unhealthy` (when absent), `healthy`, `initial`, `draining`, `unused`, `unavailable`.
    pub state: Option<String>,
    /// A reason other than the usual one of the state.
    pub reason: Option<String>,
    /// Of targets on which such a command started, as in [`AnswerRule::command`](crate::AnswerRule::command).
    pub command: Option<String>,
    /// Which documents, as a glob.
    pub document: Option<String>,
    /// So long after that command's start, or after the simulation's.
    #[serde(deserialize_with = "time")]
    pub after: Option<Duration>,
    /// For so long; for ever when absent.
    #[serde(rename = "for", deserialize_with = "time")]
    pub lasts: Option<Duration>,
}

/// An alarm of CloudWatch, in every account and region that fits.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AlarmRule {
    /// Its name.
    pub name: String,
    /// It is a composite alarm.
    pub composite: bool,
    /// What it is about.
    pub description: String,
    /// `OK` (when absent), `ALARM` or `INSUFFICIENT_DATA`.
    pub state: Option<String>,
    /// Why it is in that state.
    pub reason: Option<String>,
    /// The rule of a composite alarm, which is shown and not evaluated.
    pub rule: Option<String>,
    /// Only in this region.
    pub region: Option<String>,
    /// Only in this account.
    pub account: Option<String>,
    /// What happens to it.
    pub changes: Vec<StateChange>,
}

/// A change of the state of an alarm or a calendar.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StateChange {
    /// The new state; `ALARM` of an alarm and `CLOSED` of a calendar when absent.
    pub state: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// So long after the simulation's start, or after the moment when enough nodes had started the command.
    #[serde(deserialize_with = "time")]
    pub after: Option<Duration>,
    /// The command, as in [`AnswerRule::command`](crate::AnswerRule::command); any where only `share` or `nodes` is given.
    pub command: Option<String>,
    /// The nodes that count, as in [`NodeRule::nodes`](crate::NodeRule::nodes).
    pub nodes: Option<String>,
    /// How many of them have to have started it; one when absent.
    #[serde(deserialize_with = "parsed")]
    pub share: Option<Share>,
}

/// A calendar of Change Calendar, in every account and region that fits.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CalendarRule {
    /// Its name.
    pub name: String,
    /// `OPEN` (when absent) or `CLOSED`.
    pub state: Option<String>,
    /// Only in this region.
    pub region: Option<String>,
    /// Only in this account.
    pub account: Option<String>,
    /// What happens to it.
    pub changes: Vec<StateChange>,
}

/// A resource group.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ResourceGroupRule {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Its tag query: all keys, one of the values of each; a key with no values only has to be there.
    pub tags: BTreeMap<String, Vec<String>>,
    /// `AWS::EC2::Instance`, `AWS::SSM::ManagedInstance`; both when empty.
    pub types: Vec<String>,
}

/// A bucket.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BucketRule {
    /// Its name.
    pub name: String,
    /// Its region; the first one when absent.
    pub region: Option<String>,
    /// Operations (`GetObject`) that are refused on it.
    pub deny: Vec<String>,
    /// Nodes may not write to it, so that the output of commands never arrives.
    pub refuses_nodes: bool,
}

/// An account.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AccountRule {
    /// Twelve digits.
    pub id: String,
    /// Its name in the organization.
    pub name: Option<String>,
    /// Its organizational unit, like `ou-sim1-workloads`.
    pub unit: Option<String>,
    /// `ACTIVE` (when absent), `SUSPENDED`, `PENDING_CLOSURE`.
    pub status: Option<String>,
    /// Its roles, instead of the spec's.
    pub roles: Option<Vec<String>>,
    /// None of its roles can be assumed.
    pub denied: bool,
    /// Operations (`SendCommand`) that are refused in it.
    pub deny: Vec<String>,
    /// Managed, running nodes in each of its regions, instead of the spec's; up to 100,000.
    #[serde(deserialize_with = "nodes")]
    pub nodes: Option<u32>,
}

/// A region that goes down.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OutageRule {
    /// The region.
    pub region: String,
    /// So long after the simulation's start.
    #[serde(deserialize_with = "time")]
    pub after: Option<Duration>,
    /// For so long; for ever when absent.
    #[serde(rename = "for", deserialize_with = "time")]
    pub lasts: Option<Duration>,
    /// `dropped` or `unavailable`.
    pub answer: Option<Down>,
}
