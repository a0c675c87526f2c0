//! Auto Scaling groups, as the tags of the fleet's nodes have them.

use crate::clock::At;
use crate::draw::Draw;
use crate::fleet::node::{Node, State};
use crate::service::{Here, elb};
use crate::wire::xml::Xml;
use std::collections::{BTreeMap, BTreeSet};

/// The tag that says to which group an instance belongs.
const TAG: &str = "aws:autoscaling:groupName";

/// A group with its members.
#[derive(Debug)]
pub(super) struct Group<'a> {
    pub(super) name: String,
    pub(super) members: Vec<&'a Node>,
}

/// The group that a node is a member of; what is terminated is a member of none.
pub(super) fn of<'a>(here: &Here<'_>, node: &'a Node) -> Option<&'a str> {
    let there = !node.is_hybrid() && node.state(here.now) != State::Terminated;
    node.tags.get(TAG).filter(|_| there).map(String::as_str)
}

/// Every group, by name; a group whose members are all gone is still there.
pub(super) fn all<'a>(here: &'a Here<'_>) -> Vec<Group<'a>> {
    let mut groups: BTreeMap<&str, Vec<&Node>> = BTreeMap::new();
    for node in here.region.fleet.nodes.iter().filter(|node| !node.is_hybrid()) {
        if let Some(name) = node.tags.get(TAG) {
            let members = groups.entry(name).or_default();
            members.extend(of(here, node).map(|_| node));
        }
    }
    groups.into_iter().map(|(name, members)| Group { name: name.to_owned(), members }).collect()
}

impl Group<'_> {
    pub(super) fn arn(&self, here: &Here<'_>) -> String {
        let id = Draw::new(12).text(&here.region.account).text(&self.name).uuid();
        here.arn("autoscaling", &format!("autoScalingGroup:{id}:autoScalingGroupName/{}", self.name))
    }

    /// Minimum, maximum and desired number of members.
    pub(super) fn sizes(&self) -> (usize, usize, usize) {
        let desired = self.members.len();
        (desired / 2, desired * 2, desired)
    }

    pub(super) fn zones(&self) -> BTreeSet<&str> {
        self.members.iter().map(|node| node.zone.as_str()).collect()
    }

    pub(super) fn subnets(&self) -> Vec<&str> {
        let subnets: BTreeSet<&str> = self.members.iter().map(|node| node.subnet.as_str()).collect();
        subnets.into_iter().collect()
    }

    /// The tags that all members have from it.
    pub(super) fn tags(&self) -> impl Iterator<Item = (&str, &str)> {
        let first = self.members.first();
        let common = first.into_iter().flat_map(|node| &node.tags).filter(|(key, value)| {
            let everywhere = self.members.iter().all(|node| node.tags.get(*key) == Some(value));
            *key != TAG && *key != "Name" && everywhere
        });
        common.map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// The target groups that its members are registered with.
    pub(super) fn target_groups(&self, here: &Here<'_>) -> Vec<String> {
        let groups = elb::group::all(here).into_iter();
        groups
            .filter(|group| self.members.iter().any(|node| group.has(node)))
            .map(|group| group.arn(here))
            .collect()
    }

    pub(super) fn created(&self) -> At {
        self.members.iter().map(|node| node.launched()).min().unwrap_or_default().plus_seconds(-3600.0)
    }
}

/// As `LifecycleState`.
pub(super) fn lifecycle<'a>(here: &Here<'_>, node: &'a Node) -> &'a str {
    match node.state(here.now) {
        State::Pending => "Pending",
        State::ShuttingDown | State::Terminated => "Terminating",
        State::Running | State::Stopping | State::Stopped => node.lifecycle.as_deref().unwrap_or("InService"),
    }
}

/// As `HealthStatus`.
pub(super) fn health(here: &Here<'_>, node: &Node) -> &'static str {
    match node.state(here.now) {
        State::Pending | State::Running => "Healthy",
        _ => "Unhealthy",
    }
}

/// The launch template of a group.
pub(super) fn template(xml: &mut Xml, group: &str) {
    xml.element("LaunchTemplate", |xml| {
        xml.text("LaunchTemplateId", &format!("lt-0{}", Draw::new(13).text(group).hex(16)));
        xml.text("LaunchTemplateName", group);
        xml.text("Version", "3");
    });
}
