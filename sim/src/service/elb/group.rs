//! Target groups: the shipped ones by role, and a scenario's.

use super::health::{Health, worded};
use crate::draw::Draw;
use crate::fleet::node::{Node, State};
use crate::scenario::TargetGroupRule;
use crate::service::Here;
use crate::spec::Share;

/// A target group.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    pub(crate) name: String,
    pub(crate) port: u16,
    pub(crate) is_used: bool,
    pub(super) unhealthy: Share,
    /// What is registered: `instance`, `ip`, `lambda`.
    pub(super) kind: String,
    /// Addresses that are registered and that no node has.
    pub(super) addresses: Vec<String>,
    members: Members,
}

#[derive(Debug, Clone)]
enum Members {
    Role(&'static str),
    Pattern(Option<String>),
}

/// Every target group, by name.
pub(crate) fn all(here: &Here<'_>) -> Vec<Group> {
    let shipped = [("tg-web", "web", 80), ("tg-api", "api", 8080)].map(|(name, role, port)| Group {
        name: name.to_owned(),
        port,
        is_used: true,
        unhealthy: here.spec.unhealthy,
        kind: "instance".to_owned(),
        addresses: Vec::new(),
        members: Members::Role(role),
    });
    let rules = here.spec.scenario.as_ref().map_or(&[][..], |scenario| &scenario.target_groups);
    let mut groups: Vec<Group> =
        shipped.into_iter().filter(|group| !rules.iter().any(|rule| rule.name == group.name)).collect();
    groups.extend(rules.iter().map(|rule| own(here, rule)));
    groups.sort_by(|one, other| one.name.cmp(&other.name));
    groups
}

fn own(here: &Here<'_>, rule: &TargetGroupRule) -> Group {
    let role = ["web", "api"].into_iter().find(|role| rule.name == format!("tg-{role}"));
    Group {
        name: rule.name.clone(),
        port: rule.port.unwrap_or(80),
        is_used: !rule.detached,
        unhealthy: rule.unhealthy.unwrap_or(here.spec.unhealthy),
        kind: rule.kind.clone().unwrap_or_else(|| "instance".to_owned()),
        addresses: rule.addresses.clone(),
        members: match (role, &rule.nodes) {
            (Some(role), None) => Members::Role(role),
            (_, nodes) => Members::Pattern(nodes.clone()),
        },
    }
}

impl Group {
    pub(crate) fn arn(&self, here: &Here<'_>) -> String {
        let id = id(here, &self.name);
        here.arn("elasticloadbalancing", &format!("targetgroup/{}/{id}", self.name))
    }

    /// True where a node is registered, whatever its health.
    pub(crate) fn has(&self, node: &Node) -> bool {
        let fits_kind = match self.kind.as_str() {
            "ip" => true,
            "instance" => !node.is_hybrid(),
            _ => false,
        };
        fits_kind
            && match &self.members {
                Members::Role(role) => node.role == *role,
                Members::Pattern(pattern) => pattern.as_deref().is_none_or(|pattern| node.is_meant(pattern)),
            }
    }

    /// What a node is registered as.
    pub(super) fn target(&self, node: &Node) -> String {
        if self.kind == "ip" { node.private_ip.clone() } else { node.id.clone() }
    }

    /// Registered targets that are no nodes, with their health.
    pub(super) fn others(&self, here: &Here<'_>) -> Vec<(String, Health)> {
        match self.kind.as_str() {
            "ip" => self.addresses.iter().map(|address| (address.clone(), worded("healthy", None))).collect(),
            "lambda" => {
                let arn = here.arn("lambda", &format!("function:{}", self.name));
                vec![(arn, worded("unavailable", None))]
            }
            _ => Vec::new(),
        }
    }

    /// The registered targets: instances that are gone are not.
    pub(crate) fn targets<'a>(&self, here: &'a Here<'_>) -> Vec<&'a Node> {
        let nodes = here.region.fleet.nodes.iter();
        nodes.filter(|node| self.has(node) && node.state(here.now) != State::Terminated).collect()
    }
}

/// The last part of the ARN of a load balancer or target group.
pub(super) fn id(here: &Here<'_>, name: &str) -> String {
    Draw::new(11).text(&here.region.account).text(&here.region.name).text(name).hex(16)
}
