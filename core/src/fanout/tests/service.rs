//! [`Service`]: a service that goes over a fleet by itself, with its own idea of who is in it, on tokio's paused clock.

use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::script::{Fault, Node};
use crate::fanout::{
    Accepted, Batch, Collected, Counters, Detail, Finding, Job, Limits, Outcome, Pass, SendOutcome, Sweep,
    SweepScope, Trouble,
};
use crate::journal::Permit;
use crate::target::Target;
use crate::verdict::{Reason, Verdict};
use crate::via::Via;

/// Results on a page, and pages that one look reads.
const PAGE: usize = 10;
const PAGES: usize = 2;
pub(super) const LATENCY: Duration = Duration::from_millis(100);

/// What the service does.
#[derive(Clone, Debug)]
pub(super) struct Order {
    /// By number; a target of the run has its own, those that follow are strangers.
    pub(super) nodes: Vec<Node>,
    /// So many of them are the run's.
    pub(super) known: usize,
    /// Those of the run that the service does not choose.
    pub(super) unselected: BTreeSet<usize>,
    pub(super) lanes: u32,
    /// By the number of the send, from 1.
    pub(super) faults: BTreeMap<u64, Fault>,
    /// Counters and status tell nothing, ever.
    pub(super) is_mute: bool,
    /// Results are not to be listed.
    pub(super) hides_results: bool,
    /// Nodes that it did not come to are counted among its targets, and have no result.
    pub(super) hides_left: bool,
    /// In so many passes the last page stands in place of the first as well, and whoever belongs there is not shown.
    pub(super) shifts: u64,
    /// Nobody may read any results.
    pub(super) denies_results: bool,
    /// So many more targets are counted than there are.
    pub(super) phantoms: u64,
    /// Those that read the pages count what stands there, and not who.
    pub(super) counts_rows: bool,
}

impl Order {
    pub(super) fn of(count: usize) -> Order {
        Order {
            nodes: super::script::Script::of(count).nodes,
            known: count,
            unselected: BTreeSet::new(),
            lanes: 1,
            faults: BTreeMap::new(),
            is_mute: false,
            hides_results: false,
            hides_left: false,
            shifts: 0,
            denies_results: false,
            phantoms: 0,
            counts_rows: false,
        }
    }

    pub(super) fn failing(mut self, nodes: impl IntoIterator<Item = usize>) -> Order {
        nodes.into_iter().for_each(|node| self.nodes[node].verdict = Verdict::Failed);
        self
    }

    fn lane(&self, node: usize) -> u32 {
        node as u32 % self.lanes
    }
}

/// When a node was started on and ended; or when it was left out.
#[derive(Clone, Copy, Debug)]
enum Part {
    Ran { from: Instant, to: Instant },
    Left { at: Instant },
}

#[derive(Debug)]
struct Command {
    id: String,
    intent: u64,
    at: Instant,
    parts: Vec<(usize, Part)>,
    cancelled_at: Option<Instant>,
    page: usize,
    /// The nodes on the pages of this pass, and whether they run.
    listed: Vec<(usize, bool)>,
    passes: u64,
}

#[derive(Debug, Default)]
pub(super) struct State {
    commands: Vec<Command>,
    /// Lane, attempt, targets, limits.
    pub(super) sends: Vec<(u32, u32, usize, Limits)>,
    /// When they were made.
    pub(super) sent_at: Vec<Instant>,
    pub(super) details: u64,
    pub(super) pages: u64,
    pub(super) sweeps: u64,
    pub(super) cancels: u64,
    /// The number of the node that each adopted target is.
    adopted: BTreeMap<usize, usize>,
    steps: u64,
    pub(super) dies_at: Option<u64>,
}

#[derive(Debug)]
pub(super) struct Service {
    pub(super) order: Order,
    pub(super) died: Notify,
    state: Mutex<State>,
}

type Looked<T> = Result<T, Trouble<String>>;

pub(super) fn id(node: usize) -> String {
    format!("i-{node:017x}")
}

impl Service {
    pub(super) fn new(order: Order) -> Service {
        Service { order, died: Notify::new(), state: Mutex::default() }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// A process that goes on knows nothing of what the one before it was told.
    pub(super) fn forget(&self) {
        let mut state = self.state();
        state.commands.iter_mut().for_each(|c| (c.page, c.listed) = (0, Vec::new()));
        (state.dies_at, state.steps) = (None, 0);
    }

    /// How often a node was started on by now.
    pub(super) fn ran(&self, node: usize) -> usize {
        let state = self.state();
        let of_node = state.commands.iter().flat_map(|c| c.parts.iter().map(move |p| (c, p)));
        let started = of_node.filter(|(c, (n, part))| {
            *n == node && matches!(part, Part::Ran { from, .. } if c.cancelled_at.is_none_or(|at| *from < at))
        });
        started.count()
    }

    /// The most nodes that any two commands together had running at once.
    pub(super) fn widest(&self) -> usize {
        let state = self.state();
        let mut edges: Vec<(Instant, i64)> = Vec::new();
        for (command, (_, part)) in state.commands.iter().flat_map(|c| c.parts.iter().map(move |p| (c, p))) {
            let Part::Ran { from, to } = *part else { continue };
            let end = command.cancelled_at.unwrap_or(to).min(to);
            if from < end {
                edges.extend([(from, 1), (end, -1)]);
            }
        }
        edges.sort_unstable();
        let (mut now, mut most) = (0, 0);
        for (_, edge) in edges {
            now += edge;
            most = most.max(now);
        }
        most as usize
    }

    async fn step(&self) {
        let is_dead = {
            let mut state = self.state();
            state.steps += 1;
            if state.dies_at == Some(state.steps) {
                self.died.notify_one();
            }
            state.dies_at.is_some_and(|at| state.steps >= at)
        };
        if is_dead {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(LATENCY / 2).await;
    }

    fn node(&self, state: &State, target: usize) -> usize {
        state.adopted.get(&target).copied().unwrap_or(target)
    }

    /// One node after the other, no more than the limits allow at once, until more of them have failed than they allow.
    fn course(&self, nodes: Vec<usize>, limits: Limits, start: Instant) -> Vec<(usize, Part)> {
        let mut running: BinaryHeap<std::cmp::Reverse<(Instant, usize)>> = BinaryHeap::new();
        let (mut now, mut errors, mut parts) = (start, 0, Vec::new());
        for node in nodes {
            while running.len() >= limits.max_concurrency as usize
                || running.peek().is_some_and(|first| first.0.0 <= now)
            {
                let Some(std::cmp::Reverse((at, ended))) = running.pop() else { break };
                now = now.max(at);
                errors += u32::from(self.order.nodes[ended].verdict == Verdict::Failed);
                if errors > limits.max_errors {
                    break;
                }
            }
            if errors > limits.max_errors {
                parts.push((node, Part::Left { at: now }));
                continue;
            }
            let to = now + self.order.nodes[node].takes;
            running.push(std::cmp::Reverse((to, node)));
            parts.push((node, Part::Ran { from: now, to }));
        }
        parts
    }

    fn take_effect(&self, batch: &Batch, limits: Limits) -> Accepted {
        let mut state = self.state();
        let nodes = if Via::Service.is_whole(batch.attempt) {
            let chosen = (0..self.order.nodes.len())
                .filter(|n| self.order.lane(*n) == batch.lane && !self.order.unselected.contains(n));
            chosen.collect()
        } else {
            batch.targets.iter().map(|t| self.node(&state, *t)).collect()
        };
        let (id, at) = (format!("command-{}", batch.intent), Instant::now());
        state.commands.push(Command {
            id: id.clone(),
            intent: batch.intent,
            at,
            parts: self.course(nodes, limits, at),
            cancelled_at: None,
            page: 0,
            listed: Vec::new(),
            passes: 0,
        });
        Accepted { command_id: id, expires_in: Duration::from_secs(20_000) }
    }

    fn verdict(&self, command: &Command, node: usize, part: Part) -> Option<Verdict> {
        let now = Instant::now();
        let end = match part {
            Part::Ran { to, .. } => (to, self.order.nodes[node].verdict),
            Part::Left { at } => (at, Verdict::NotRun),
        };
        let (at, verdict) = match command.cancelled_at {
            Some(cancelled) if cancelled < end.0 => (cancelled + LATENCY, Verdict::Cancelled),
            _ => end,
        };
        (at <= now).then_some(verdict)
    }

    fn counters(&self, command: &Command) -> Counters {
        let mut counters = Counters::default();
        if self.order.is_mute {
            return counters;
        }
        for (node, part) in &command.parts {
            let Some(verdict) = self.verdict(command, *node, *part) else { continue };
            counters.completed += 1;
            counters.errors += u64::from(verdict == Verdict::Failed);
        }
        let count = command.parts.len() as u64;
        counters.is_done = counters.completed == count;
        let count = count + self.order.phantoms;
        counters.targets = if command.at.elapsed() < Duration::from_millis(500) { 0 } else { count };
        counters
    }

    /// The nodes that it has results of, in the order of the pages of this pass.
    fn shown<'a>(&'a self, command: &'a Command) -> impl Iterator<Item = (usize, Part)> + 'a {
        let now = Instant::now();
        let until = command.cancelled_at.unwrap_or(now).min(now);
        let is_begun = move |part: &Part| matches!(part, Part::Ran { from, .. } if *from <= until);
        let hides_left = self.order.hides_left;
        command.parts.iter().filter(move |(_, part)| !hides_left || is_begun(part)).copied()
    }

    /// The same as they stand on the pages.
    fn pages(&self, command: &Command) -> Vec<(usize, Part)> {
        let mut parts: Vec<(usize, Part)> = self.shown(command).collect();
        let last = parts.len().saturating_sub(1) / PAGE * PAGE;
        if command.passes < self.order.shifts && last > 0 {
            parts.copy_within(last.., 0);
        }
        parts
    }

    fn finding(&self, command: &Command, node: usize, part: Part) -> Option<Finding> {
        let verdict = self.verdict(command, node, part)?;
        let reason = (verdict == Verdict::NotRun).then_some(Reason::BUDGET);
        let mut outcome = Outcome::bare(verdict, reason);
        outcome.stdout = format!("{node}\n").into();
        Some(Finding::Finished(Box::new(outcome)))
    }
}

impl Job for Service {
    type Error = String;

    fn lane(&self, target: usize) -> u32 {
        self.order.lane(self.node(&self.state(), target))
    }

    fn realm(&self, lane: u32) -> u32 {
        lane
    }

    fn realm_name(&self, realm: u32) -> String {
        format!("realm-{realm}")
    }

    fn server_now(&self, _lane: u32) -> Option<Timestamp> {
        None
    }

    async fn ready(&self, _lane: u32) {}

    async fn send(&self, batch: &Batch, limits: Limits, _permit: Permit) -> SendOutcome<String> {
        let number = {
            let mut state = self.state();
            state.sends.push((batch.lane, batch.attempt, batch.targets.len(), limits));
            state.sent_at.push(Instant::now());
            state.sends.len() as u64
        };
        self.step().await;
        let outcome = match self.order.faults.get(&number) {
            Some(Fault::Throttled) => SendOutcome::Throttled,
            Some(Fault::LostBefore) => SendOutcome::Lost("connection reset".into()),
            Some(Fault::LostAfter) => {
                self.take_effect(batch, limits);
                SendOutcome::Lost("connection reset".into())
            }
            Some(Fault::Refused) => SendOutcome::BadTargets {
                bad: Vec::new(),
                verdict: Verdict::Undelivered,
                reason: Reason::INVALID_INSTANCE,
            },
            _ => SendOutcome::Accepted(self.take_effect(batch, limits)),
        };
        self.step().await;
        outcome
    }

    async fn locate(&self, batch: &Batch) -> Looked<Option<Accepted>> {
        self.step().await;
        let state = self.state();
        let found = state.commands.iter().find(|c| c.intent == batch.intent);
        Ok(found.map(|c| Accepted { command_id: c.id.clone(), expires_in: Duration::from_secs(20_000) }))
    }

    async fn sweep(&self, _realm: u32, _scope: SweepScope, ids: Vec<String>) -> Looked<Sweep> {
        self.state().sweeps += 1;
        self.step().await;
        let state = self.state();
        let asked = state.commands.iter().filter(|c| ids.contains(&c.id));
        let seen = asked.map(|c| (c.id.clone(), self.counters(c))).collect();
        Ok(Sweep { seen, is_complete: true })
    }

    async fn collect(&self, batch: &Batch, command_id: &str) -> Looked<Collected> {
        self.step().await;
        let mut state = self.state();
        let is_whole = Via::Service.is_whole(batch.attempt);
        let index: BTreeMap<usize, usize> =
            batch.targets.iter().map(|t| (self.node(&state, *t), *t)).collect();
        let Some(at) = state.commands.iter().position(|c| c.id == command_id) else {
            return Ok(Collected::default());
        };
        if self.order.denies_results {
            return Err(Trouble::Denied("not authorized".into()));
        }
        if self.order.hides_results {
            let findings = batch.targets.iter().map(|t| (*t, Finding::Unlisted)).collect();
            return Ok(Collected { findings, pass: None });
        }
        let mut pass = Pass::default();
        let mut findings = Vec::new();
        let command = &state.commands[at];
        let (mut page, mut listed) = (command.page, command.listed.clone());
        let most = if is_whole { PAGES * PAGE } else { usize::MAX };
        let all = self.pages(command);
        let parts: Vec<(usize, Part)> = all.iter().skip(page * PAGE).take(most).copied().collect();
        for (node, part) in &parts {
            let finding = self.finding(command, *node, *part);
            if self.order.counts_rows || !listed.iter().any(|(known, _)| known == node) {
                listed.push((*node, finding.is_none()));
            }
            match (index.get(node), finding) {
                (Some(target), Some(finding)) => findings.push((*target, finding)),
                (None, Some(finding)) => {
                    pass.strangers.push((super::targets(*node + 1).remove(*node), finding));
                }
                (_, None) => {}
            }
        }
        let read = parts.len().div_ceil(PAGE).max(1);
        page += read;
        pass.is_complete = page * PAGE >= all.len();
        pass.listed = listed.len() as u64;
        pass.running = listed.iter().filter(|(_, runs)| *runs).count() as u64;
        if pass.is_complete {
            (page, listed) = (0, Vec::new());
        }
        state.pages += read as u64;
        let command = &mut state.commands[at];
        command.passes += u64::from(pass.is_complete);
        (command.page, command.listed) = (page, listed);
        Ok(Collected { findings, pass: is_whole.then_some(pass) })
    }

    async fn detail(&self, target: usize, command_id: &str) -> Looked<Detail> {
        self.step().await;
        let mut state = self.state();
        state.details += 1;
        let node = self.node(&state, target);
        let command = state.commands.iter().find(|c| c.id == command_id);
        let part = command.and_then(|c| Some((c, self.shown(c).find(|(shown, _)| *shown == node)?.1)));
        let Some((command, part)) = part else { return Ok(Detail::Absent) };
        Ok(match self.finding(command, node, part) {
            Some(Finding::Finished(outcome)) => Detail::Ended(outcome),
            _ => Detail::Running,
        })
    }

    async fn cancel(&self, _lane: u32, command_id: &str, _permit: Permit) -> Looked<()> {
        self.step().await;
        let mut state = self.state();
        state.cancels += 1;
        if let Some(command) = state.commands.iter_mut().find(|c| c.id == command_id) {
            command.cancelled_at.get_or_insert(Instant::now());
        }
        Ok(())
    }

    fn adopt(&self, target: usize, facts: &Target, _lane: u32) {
        let node = usize::from_str_radix(&facts.id[2..], 16).unwrap();
        self.state().adopted.insert(target, node);
    }

    async fn gate(&self, _gate: &str, _wave: u32) -> Result<Option<String>, String> {
        Ok(None)
    }
}
