//! Everything that exists: a region's fleet and commands, for each account and region that was asked for.

use crate::agent::Disks;
use crate::clock::At;
use crate::draw::Draw;
use crate::fleet::Fleet;
use crate::scenario::is_about;
use crate::service::cloudwatch::Setting;
use crate::service::s3::Store;
use crate::service::ssm::answers::Order;
use crate::service::ssm::command::Command;
use crate::service::ssm::documents::{self, Document};
use crate::service::ssm::engine::{Draft, Intervention, Limits, Reach, simulate};
use crate::spec::Spec;
use serde_json::{Map, json};
use std::collections::{BTreeMap, HashMap};

/// Seconds until `GetCommandInvocation` and `ListCommandInvocations` know a new command's invocations.
const CONSISTENCY_SECONDS: f64 = 0.5;

/// All accounts and regions.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) documents: Vec<Document>,
    pub(crate) regions: BTreeMap<(String, String), Region>,
    /// What is in S3, beside the output of commands.
    pub(crate) store: Store,
    born: At,
}

/// One account in one region.
#[derive(Debug)]
pub(crate) struct Region {
    pub(crate) account: String,
    pub(crate) name: String,
    pub(crate) fleet: Fleet,
    /// When the simulation began.
    pub(crate) born: At,
    /// What callers set alarms to: when, which, and the state with its reason.
    pub(crate) alarms_set: Vec<(At, String, Setting)>,
    /// What calendars were set to: when, which, and whether it is open.
    pub(crate) calendars_set: Vec<(At, String, bool)>,
    /// Files of nodes that had a session.
    pub(crate) disks: Disks,
    commands: Vec<Command>,
    by_id: HashMap<String, usize>,
    /// How often a node had a text.
    occurrences: HashMap<(u32, u64), u32>,
}

impl World {
    pub(crate) fn new(spec: &Spec, born: At) -> World {
        World {
            documents: documents::all(spec),
            regions: BTreeMap::new(),
            store: Store::new(spec, born),
            born,
        }
    }

    /// An account's region, generated when it is first asked for; with the documents.
    pub(crate) fn region(&mut self, spec: &Spec, account: &str, name: &str) -> (&[Document], &mut Region) {
        let born = self.born;
        let region = self.regions.entry((account.to_owned(), name.to_owned())).or_insert_with(|| {
            let mut region = Region {
                account: account.to_owned(),
                name: name.to_owned(),
                fleet: Fleet::generate(spec, account, name, born),
                born,
                alarms_set: Vec::new(),
                disks: Disks::new(),
                calendars_set: Vec::new(),
                commands: Vec::new(),
                by_id: HashMap::new(),
                occurrences: HashMap::new(),
            };
            for number in 0..spec.switches.foreign_commands {
                let command = foreign(&region, spec, number, born);
                region.add(command);
            }
            region
        });
        (&self.documents, region)
    }
}

impl Region {
    pub(crate) fn next_sequence(&self) -> u64 {
        self.commands.len() as u64
    }

    pub(crate) fn add(&mut self, command: Command) {
        self.by_id.insert(command.id.clone(), self.commands.len());
        self.commands.push(command);
    }

    pub(crate) fn command(&self, id: &str, now: At) -> Option<&Command> {
        self.by_id
            .get(id)
            .and_then(|index| self.commands.get(*index))
            .filter(|command| command.requested_at <= now)
    }

    pub(crate) fn command_mut(&mut self, id: &str, now: At) -> Option<&mut Command> {
        let index = self.by_id.get(id)?;
        self.commands.get_mut(*index).filter(|command| command.requested_at <= now)
    }

    /// When nodes first started a command that fits, by node: for each command, in no order.
    pub(crate) fn starts<'a>(
        &'a self,
        pattern: (Option<&'a str>, Option<&'a str>),
        now: At,
    ) -> impl Iterator<Item = (u32, At)> + 'a {
        self.commands_until(now)
            .filter(move |command| {
                !command.is_foreign && is_about(pattern, (&command.document, &command.script))
            })
            .flat_map(|command| &command.invocations)
            .filter(move |one| one.started_at <= now)
            .map(|one| (one.draft.node, one.started_at))
    }

    /// Every command that was sent by now, oldest first but for other people's.
    pub(crate) fn commands_until(&self, now: At) -> impl Iterator<Item = &Command> {
        self.commands.iter().filter(move |command| command.requested_at <= now)
    }

    /// Counts that a node has this text once more, and says how often it had it before.
    pub(crate) fn occurrence(&mut self, node: u32, text: u64) -> u32 {
        let count = self.occurrences.entry((node, text)).or_insert(0);
        *count += 1;
        *count - 1
    }

    pub(crate) fn invocations_visible_at(&self, command: &Command, speed: f64) -> At {
        command.requested_at.plus_seconds(CONSISTENCY_SECONDS / speed)
    }

    /// A command as its nodes see it.
    pub(crate) fn order<'a>(&'a self, spec: &'a Spec, command: &'a Command) -> Order<'a> {
        Order {
            spec,
            region: &self.name,
            command_id: &command.id,
            document: &command.document,
            plugin: &command.plugin,
            script: &command.script,
            is_script: command.is_script,
            directory: &command.directory,
        }
    }

    /// A node went away: whatever runs on it is never heard of again.
    pub(crate) fn lose(&mut self, node: u32, now: At) {
        for command in &mut self.commands {
            let affected =
                command.invocations.iter().any(|one| one.draft.node == node && !one.is_finished(now));
            if affected && command.requested_at <= now {
                command.intervene(now, Intervention::Lost(node));
            }
        }
    }
}

/// A command of somebody else: half of them before the simulation began, half while it goes on.
fn foreign(region: &Region, spec: &Spec, number: u32, born: At) -> Command {
    let mut draw = Draw::new(spec.seed).text("foreign").text(&region.name).with(u64::from(number));
    let half = f64::from(spec.switches.foreign_commands) / 2.0;
    let requested_at = born.plus_seconds((f64::from(number) - half) * 5.0 + draw.unit());
    let nodes: Vec<u32> =
        region.fleet.nodes.iter().filter(|node| node.managed).map(|node| node.index).collect();
    let drafts: Vec<Draft> = (0..nodes.len().min(3))
        .filter_map(|_| nodes.get(draw.below(nodes.len() as u64) as usize))
        .map(|node| Draft {
            node: *node,
            occurrence: 0,
            reach: Reach::Online(1.0),
            duration: 4.0,
            code: 0,
            dies: false,
            reboot: None,
        })
        .collect();
    let limits = Limits {
        delivery: 600.0,
        execution: 3600.0,
        concurrency: 50,
        errors: 0,
        ramp: false,
        speed: spec.speed,
    };
    let parameters = json!({"commands": ["/opt/ci/deploy.sh"]}).as_object().cloned().unwrap_or_else(Map::new);
    Command {
        sequence: u64::from(number),
        id: draw.uuid(),
        document: if number.is_multiple_of(3) { "AWS-RunPatchBaseline" } else { "AWS-RunShellScript" }
            .to_owned(),
        plugin: "aws:runShellScript".to_owned(),
        comment: format!("ci deploy {}", 4000 + number),
        script: "true".to_owned(),
        is_script: true,
        directory: String::new(),
        parameters,
        instance_ids: Vec::new(),
        echoed: Map::new(),
        requested_at,
        expires_at: requested_at.plus_seconds(4200.0),
        timeout_seconds: 600,
        invocations: simulate(requested_at, &drafts, limits, &[]),
        limits,
        interventions: Vec::new(),
        refused: None,
        is_foreign: true,
    }
}
