//! Fleets: generated from the seed, one for each account and region.

pub(crate) mod names;
pub(crate) mod node;

use crate::clock::At;
use crate::draw::Draw;
use crate::scenario::NodeRule;
use crate::spec::{Share, Spec};
use names::{AGENTS, Platform, ROLES, instance_type, team};
use node::{Health, Node, State};
use std::collections::{BTreeMap, HashMap};

/// All nodes of an account in a region.
#[derive(Debug, Default)]
pub(crate) struct Fleet {
    pub(crate) nodes: Vec<Node>,
    by_id: HashMap<String, usize>,
}

impl Fleet {
    /// Generates the fleet; a region that the spec does not name has none.
    pub(crate) fn generate(spec: &Spec, account: &str, region: &str, now: At) -> Fleet {
        if !spec.regions.iter().any(|name| name == region) {
            return Fleet::default();
        }
        let draw = Draw::new(spec.seed).text(account).text(region);
        let managed_count = crate::accounts::nodes(spec, account);
        let total = managed_count + spec.stopped + spec.unmanaged;
        let mut counters: HashMap<&str, u32> = HashMap::new();
        let mut nodes: Vec<Node> = (0..total)
            .map(|index| {
                let role = ROLES[index as usize % ROLES.len()];
                let number = counters.entry(role).or_insert(0);
                *number += 1;
                born(index, (role, *number), region, (draw, now))
            })
            .collect();
        for (offset, node) in nodes.iter_mut().skip(managed_count as usize).enumerate() {
            if (offset as u32) < spec.stopped {
                node.states.push((now.plus_seconds(-7200.0), State::Stopped));
            } else {
                node.managed = false;
            }
        }
        let managed = &mut nodes[..managed_count as usize];
        platforms(managed, spec, draw);
        ailments(managed, spec, draw);
        for (number, rule) in spec.scenario.iter().flat_map(|scenario| &scenario.nodes).enumerate() {
            apply(rule, managed, draw.with(number as u64));
        }
        if account == crate::credentials::ACCOUNT && spec.regions.first().is_some_and(|name| name == region) {
            let real = spec.session.agents.iter().enumerate();
            nodes.extend(
                real.map(|(number, id)| expected(total + number as u32, (number, id), region, (draw, now))),
            );
        }
        let by_id = nodes.iter().enumerate().map(|(index, node)| (node.id.clone(), index)).collect();
        Fleet { nodes, by_id }
    }

    pub(crate) fn get(&self, id: &str) -> Option<&Node> {
        self.by_id.get(id).and_then(|index| self.nodes.get(*index))
    }

    pub(crate) fn get_mut(&mut self, id: &str) -> Option<&mut Node> {
        self.by_id.get(id).and_then(|index| self.nodes.get_mut(*index))
    }

    pub(crate) fn at(&self, index: u32) -> Option<&Node> {
        self.nodes.get(index as usize)
    }
}

fn born(index: u32, (role, number): (&'static str, u32), region: &str, (draw, now): (Draw, At)) -> Node {
    let mut draw = draw.with(u64::from(index));
    let letter = ['a', 'b', 'c'][index as usize % 3];
    let environment = match draw.below(100) {
        _ if index == 0 => "prod",
        0..60 => "prod",
        60..85 => "staging",
        _ => "dev",
    };
    let platform = if draw.below(100) < 65 || index == 0 { Platform::AmazonLinux } else { Platform::Ubuntu };
    let agent = match draw.below(100) {
        0..85 => AGENTS[0],
        85..93 => AGENTS[1],
        93..98 => AGENTS[2],
        _ => AGENTS[3],
    };
    let name = format!("{role}-{number}");
    let mut tags = BTreeMap::from([
        ("Name".to_owned(), name.clone()),
        ("env".to_owned(), environment.to_owned()),
        ("role".to_owned(), role.to_owned()),
        ("team".to_owned(), team(role).to_owned()),
    ]);
    if matches!(role, "web" | "api" | "worker") {
        tags.insert("aws:autoscaling:groupName".to_owned(), format!("{role}-{environment}"));
    }
    let old = draw.below(100) < 3 && index != 0;
    let host = u64::from(index) + 10;
    Node {
        index,
        id: format!("i-0{}", draw.hex(16)),
        name,
        role,
        zone: format!("{region}{letter}"),
        platform,
        instance_type: instance_type(role),
        private_ip: format!("10.{}.{}.{}", 20 + host / 64_000, host / 250 % 256, 4 + host % 250),
        vpc: "vpc-0a1b2c3d4e5f60718".to_owned(),
        subnet: format!("subnet-0{letter}1b2c3d4e5f60718"),
        kernel: if old { platform.old_kernel() } else { platform.kernel() }.to_owned(),
        agent: agent.to_owned(),
        tags,
        health: Health::default(),
        lifecycle: None,
        managed: true,
        is_real: false,
        states: vec![(
            now.plus_seconds(-86_400.0 * (2.0 + draw.below(60) as f64)).floor_second(),
            State::Running,
        )],
    }
}

/// A node that a real agent is to register for.
fn expected(index: u32, (number, id): (usize, &str), region: &str, at: (Draw, At)) -> Node {
    let mut node = born(index, ("agent", number as u32 + 1), region, at);
    node.id = id.to_owned();
    node.is_real = true;
    if node.is_hybrid() {
        node.zone = String::new();
    }
    // Offline until its agent registers; commands that are not sessions never reach it.
    node.health = Health { offline: true, unreachable: true, ..Health::default() };
    node
}

/// Positions of all nodes but the first, in an order that the draw decides.
fn shuffled(count: usize, draw: Draw) -> Vec<usize> {
    let mut order: Vec<usize> = (1..count).collect();
    order.sort_by_key(|index| draw.with(*index as u64).bits());
    order
}

fn platforms(nodes: &mut [Node], spec: &Spec, draw: Draw) {
    let total = nodes.len() as u32;
    let windows = spec.windows.of(total) as usize;
    let order = shuffled(nodes.len(), draw.text("windows"));
    for index in order.iter().take(windows) {
        let node = &mut nodes[*index];
        let old = node.kernel == node.platform.old_kernel();
        node.platform = Platform::Windows;
        node.kernel = if old { node.platform.old_kernel() } else { node.platform.kernel() }.to_owned();
    }
    let hybrid = spec.hybrid.unwrap_or(if total >= 50 { Share::Part(0.02) } else { Share::Count(0) });
    for index in order.iter().skip(windows).take(hybrid.of(total) as usize) {
        let node = &mut nodes[*index];
        node.id = node.id.replacen("i-", "mi-", 1);
        node.tags.remove("aws:autoscaling:groupName");
        node.zone = String::new();
    }
}

/// Gives a node an ailment.
type Mark = fn(&mut Health);

/// Each node has at most one ailment, and the first has none.
fn ailments(nodes: &mut [Node], spec: &Spec, draw: Draw) {
    let total = nodes.len() as u32;
    let mut order = shuffled(nodes.len(), draw.text("ailments")).into_iter();
    let marks: [(Share, Mark); 7] = [
        (spec.offline, |health| health.offline = true),
        (spec.unreachable, |health| health.unreachable = true),
        (spec.slow, |health| health.slow = true),
        (spec.broken, |health| health.broken = true),
        (spec.dying, |health| health.dying = true),
        (spec.undeliverable, |health| health.undeliverable = true),
        (spec.denied, |health| health.denied = true),
    ];
    for (share, mark) in marks {
        for index in order.by_ref().take(share.of(total) as usize) {
            mark(&mut nodes[index].health);
        }
    }
}

/// True where `share` of the nodes that a rule means include this one.
pub(crate) fn is_in_share(share: Option<Share>, draw: Draw, node: &Node) -> bool {
    match share {
        None => true,
        Some(Share::Part(part)) => draw.text(&node.id).unit() < part,
        Some(Share::Count(count)) => node.index < count,
    }
}

fn apply(rule: &NodeRule, nodes: &mut [Node], draw: Draw) {
    let mut meant: Vec<&mut Node> = nodes
        .iter_mut()
        .filter(|node| rule.nodes.as_deref().is_none_or(|pattern| node.is_meant(pattern)))
        .collect();
    meant.sort_by_key(|node| draw.text(&node.id).bits());
    let count = rule.share.map_or(meant.len() as u32, |share| share.of(meant.len() as u32));
    for node in meant.into_iter().take(count as usize) {
        let health = &mut node.health;
        for (mark, value) in [
            (&mut health.offline, rule.offline),
            (&mut health.unreachable, rule.unreachable),
            (&mut health.slow, rule.slow),
            (&mut health.broken, rule.broken),
            (&mut health.dying, rule.dying),
            (&mut health.undeliverable, rule.undeliverable),
            (&mut health.denied, rule.denied),
            (&mut health.no_uploads, rule.no_uploads),
        ] {
            *mark = value.unwrap_or(*mark);
        }
        if let Some(kernel) = &rule.kernel {
            node.kernel.clone_from(kernel);
        }
        if let Some(agent) = &rule.agent {
            node.agent.clone_from(agent);
        }
        node.tags.extend(rule.tags.clone());
        node.lifecycle = rule.lifecycle.clone().or(node.lifecycle.take());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fleet(text: &str) -> Fleet {
        Fleet::generate(&text.parse().unwrap(), "123456789012", "us-east-1", At(1_700_000_000_000_000))
    }

    #[test]
    fn small_fleets_have_the_roles_that_examples_name() {
        let names: Vec<String> = fleet("5").nodes.into_iter().map(|node| node.name).collect();
        assert_eq!(names, ["web-1", "web-2", "api-1", "db-1", "worker-1"]);
    }

    #[test]
    fn shares_are_exact_and_the_first_node_is_well() {
        let fleet = fleet("nodes=200,offline=5%,slow=3,broken=100%,windows=100%,seed=4");
        let count = |test: fn(&Node) -> bool| fleet.nodes.iter().filter(|node| test(node)).count();
        assert_eq!(count(|node| node.health.offline), 10);
        assert_eq!(count(|node| node.health.slow), 3);
        assert_eq!(count(|node| node.health.broken), 186);
        let first = &fleet.nodes[0];
        assert_eq!(
            (first.name.as_str(), first.platform.kind(), first.health),
            ("web-1", "Linux", Health::default())
        );
    }

    #[test]
    fn ids_are_unique_and_addresses_too() {
        let fleet = fleet("10000");
        assert_eq!(fleet.by_id.len(), 10_000);
        let addresses: std::collections::HashSet<&String> =
            fleet.nodes.iter().map(|node| &node.private_ip).collect();
        assert_eq!(addresses.len(), 10_000);
        assert!(fleet.nodes.iter().any(Node::is_hybrid));
    }

    #[test]
    fn extra_instances_are_beside_the_fleet() {
        let fleet = fleet("nodes=10,stopped=2,unmanaged=3");
        assert_eq!(fleet.nodes.len(), 15);
        assert_eq!(fleet.nodes.iter().filter(|node| !node.managed).count(), 3);
        let now = At(1_700_000_000_000_000);
        assert_eq!(fleet.nodes.iter().filter(|node| node.state(now) == State::Stopped).count(), 2);
    }
}
