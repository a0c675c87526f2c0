//! The fleet: EC2's instances and Systems Manager's nodes, merged.

mod fleet;

use std::collections::{BTreeMap, BTreeSet};

use herder_aws::ec2::Instance;
use herder_aws::ssm::ManagedNode;
use herder_core::target::{ASG_TAG, NodeFacts, Ping, Platform, Target};
use herder_core::time::for_people;
use jiff::Timestamp;
use serde::Serialize;

pub(crate) use fleet::{Fleet, fetch};

/// One node, as `nodes list --json` shows it. What is not known is null.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Node {
    pub(crate) id: String,
    pub(crate) name: Option<String>,
    pub(crate) account: String,
    pub(crate) region: String,
    pub(crate) az: Option<String>,
    /// EC2's state; null for hybrid nodes.
    pub(crate) state: Option<String>,
    /// Whether Systems Manager knows it; null where it could not be asked.
    pub(crate) managed: Option<bool>,
    pub(crate) ping: Option<&'static str>,
    pub(crate) last_ping: Option<Timestamp>,
    pub(crate) agent_version: Option<String>,
    pub(crate) platform: Option<Platform>,
    pub(crate) platform_version: Option<String>,
    pub(crate) instance_type: Option<String>,
    pub(crate) private_ip: Option<String>,
    pub(crate) asg: Option<String>,
    pub(crate) image: Option<String>,
    pub(crate) vpc: Option<String>,
    pub(crate) subnet: Option<String>,
    pub(crate) tags: Option<BTreeMap<String, String>>,
    /// EC2 does not describe it.
    #[serde(skip)]
    pub(crate) is_partial: bool,
    /// Tags that it is known not to have.
    #[serde(skip)]
    pub(crate) lacks: BTreeSet<(String, String)>,
}

impl Node {
    /// Merges what EC2 and what Systems Manager say; either may be missing.
    fn merge(account: &str, region: &str, instance: Option<Instance>, managed: Option<ManagedNode>) -> Node {
        let mut node = Node {
            account: account.to_owned(),
            region: region.to_owned(),
            is_partial: instance.is_none(),
            ..Node::default()
        };
        if let Some(instance) = instance {
            node.asg = instance.tags.get(ASG_TAG).cloned().or(instance.asg);
            node.id = instance.id;
            node.name = instance.name;
            node.az = instance.az;
            node.state = instance.state;
            node.platform = platform(instance.platform);
            node.instance_type = instance.instance_type;
            node.private_ip = instance.private_ip;
            node.image = instance.image;
            node.vpc = instance.vpc;
            node.subnet = instance.subnet;
            node.tags = Some(instance.tags);
        }
        node.managed = Some(managed.is_some());
        if let Some(managed) = managed {
            node.ping = managed.ping.as_deref().map(ping_word);
            node.id = managed.id;
            node.name = node.name.or(managed.name).or(managed.computer_name);
            node.last_ping = managed.last_ping;
            node.agent_version = managed.agent_version;
            node.platform = managed.platform.as_deref().and_then(platform).or(node.platform);
            node.platform_version = managed.platform_version;
            node.private_ip = node.private_ip.or(managed.ip);
            node.az = node.az.or(managed.az);
            node.instance_type = node.instance_type.or(managed.instance_type);
        }
        node
    }

    /// What selectors decide by.
    pub(crate) fn facts(&self) -> NodeFacts {
        NodeFacts {
            id: self.id.clone(),
            name: self.name.clone(),
            tags: self.tags.clone().unwrap_or_default(),
            az: self.az.clone(),
            vpc: self.vpc.clone(),
            subnet: self.subnet.clone(),
            image: self.image.clone(),
            asg: self.asg.clone(),
            platform: self.platform,
            ping: self.ping.map(|word| if word == "online" { Ping::Online } else { Ping::Lost }),
            agent_version: self.agent_version.clone(),
            state: self.state.clone(),
            is_partial: self.is_partial,
            lacks: self.lacks.clone(),
        }
    }

    /// The node as a run's target.
    pub(crate) fn target(&self) -> Target {
        Target {
            id: self.id.clone(),
            name: self.name.clone(),
            account: self.account.clone(),
            region: self.region.clone(),
            az: self.az.clone(),
            platform: self.platform,
        }
    }

    /// Why commands and sessions can't reach it, as far as EC2 and Systems Manager can say, and what to do about it.
    pub(crate) fn problem(&self, now: Timestamp) -> Option<(String, &'static str)> {
        match (self.state.as_deref(), self.managed, self.ping) {
            (Some(state), ..) if state != "running" => {
                Some((format!("the instance is {state}"), "Start it, or leave it out."))
            }
            (_, Some(false), _) => Some((
                "it runs and is not managed by Systems Manager".to_owned(),
                "Check that the agent is installed and runs, that the instance profile allows AmazonSSMManagedInstanceCore, and that it reaches the ssm and ssmmessages endpoints.",
            )),
            (.., Some("lost")) => Some((
                match self.last_ping {
                    Some(at) => format!(
                        "its agent has not reported for {}",
                        for_people(now.duration_since(at).unsigned_abs())
                    ),
                    None => "its agent does not report".to_owned(),
                },
                "Check the agent's service and log on the node, its network, its role and its clock.",
            )),
            _ => None,
        }
    }

    /// Whether it is up, as far as EC2 can say.
    pub(crate) fn is_running(&self) -> bool {
        self.state.as_deref().is_none_or(|state| state == "running")
    }
}

/// SSM's PingStatus: Online, ConnectionLost, Inactive.
fn ping_word(status: &str) -> &'static str {
    if status.eq_ignore_ascii_case("online") { "online" } else { "lost" }
}

/// SSM writes `MacOS`, EC2's descriptions are lower case.
fn platform(name: &str) -> Option<Platform> {
    match name.to_ascii_lowercase().as_str() {
        "linux" => Some(Platform::Linux),
        "windows" => Some(Platform::Windows),
        "macos" => Some(Platform::Macos),
        _ => None,
    }
}
