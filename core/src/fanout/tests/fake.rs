//! [`Fake`]: a scripted service with a fleet behind it, on tokio's paused clock. It knows the truth and notes every
//! breach of the executor's promises that it can see from its side.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::script::{Counts, Details, Fault, Gate, Listing, Script};
use crate::fanout::{
    Accepted, Batch, Collected, Counters, Detail, Finding, Job, Limits, News, Outcome, SendOutcome, Sweep,
    SweepScope, Trouble,
};
use crate::journal::Permit;
use crate::verdict::{Reason, Verdict};

#[derive(Debug)]
struct Command {
    id: String,
    intent: u64,
    targets: Vec<usize>,
    at: Instant,
    cancelled_at: Option<Instant>,
    /// What the executor was told: ended, and bad of them.
    told_results: BTreeSet<usize>,
    /// Ended, with a detail to be read yet.
    told_ended: BTreeSet<usize>,
    told_completed: u64,
    told_bad: u64,
    /// Bad ones among the results.
    read_bad: u64,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Calls {
    pub(super) sends: u64,
    pub(super) sweeps: u64,
    pub(super) sweep_pages: u64,
    pub(super) collects: u64,
    pub(super) details: u64,
    pub(super) locates: u64,
    pub(super) cancels: u64,
    /// News that were told.
    pub(super) watches: usize,
}

#[derive(Debug, Default)]
pub(super) struct State {
    commands: Vec<Command>,
    /// The commands of each target, by their places.
    commands_of: Vec<Vec<usize>>,
    /// How often each target ran.
    pub(super) ran: Vec<u32>,
    pub(super) calls: Calls,
    pub(super) last_end: Option<Instant>,
    /// When the executor was told that more are bad than it may bear.
    pub(super) over_budget_at: Option<Instant>,
    /// Targets sent and not told to have ended when the budget ran out.
    pub(super) in_flight_then: usize,
    told: usize,
    pub(super) breaches: Vec<String>,
    refused_bad: u64,
    places: BTreeMap<(&'static str, u32), Instant>,
    looks: u64,
    steps: u64,
    /// Until these are set, nothing of it is checked.
    pub(super) concurrency: Option<usize>,
    pub(super) max_errors: Option<u64>,
    pub(super) journal: Option<PathBuf>,
    /// How much of it was read, and the intents of the sends that stood there.
    journal_read: u64,
    intents: BTreeSet<u64>,
    /// The process dies at this step; every call has one before its effect and one after.
    dies_at: Option<u64>,
}

#[derive(Debug)]
pub(super) struct Fake {
    pub(super) script: Script,
    start: Instant,
    state: Mutex<State>,
    pub(super) died: Notify,
}

/// How long a connection is tried.
const CONNECT: Duration = Duration::from_secs(3);

type Looked<T> = Result<T, Trouble<String>>;

impl State {
    /// Reads what was appended to the journal since the last time, as far as lines are whole.
    fn read_on(&mut self) {
        let Some(path) = &self.journal else { return };
        let mut file = std::fs::File::open(path).unwrap();
        file.seek(SeekFrom::Start(self.journal_read)).unwrap();
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        for line in text.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
            self.journal_read += line.len() as u64;
            let send = line.strip_prefix("{\"type\":\"send\",\"intent\":");
            self.intents.extend(send.and_then(|rest| rest.split(',').next()?.parse::<u64>().ok()));
        }
    }
}

impl Fake {
    pub(super) fn new(script: Script) -> Fake {
        let count = script.nodes.len();
        let state = State { ran: vec![0; count], commands_of: vec![Vec::new(); count], ..State::default() };
        Fake { script, start: Instant::now(), state: Mutex::new(state), died: Notify::new() }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Whether a target's command ended with a cancel.
    pub(super) fn was_cancelled(&self, target: usize) -> bool {
        let state = self.state();
        let mut of = state.commands_of[target].iter().map(|at| &state.commands[*at]);
        of.any(|c| self.end(c, target).is_some_and(|(_, v)| v == Verdict::Cancelled))
    }

    pub(super) fn has_effect(&self, intent: u64) -> bool {
        self.state().commands.iter().any(|c| c.intent == intent)
    }

    /// When each target ended, since the fake's start.
    pub(super) fn ended_at(&self, target: usize) -> Option<Duration> {
        let state = self.state();
        let command = &state.commands[*state.commands_of[target].first()?];
        Some(self.end(command, target)?.0 - self.start)
    }

    pub(super) fn calls(&self) -> Calls {
        self.state().calls.clone()
    }

    /// When the last of the targets ended, since the fake's start.
    pub(super) fn last_end(&self) -> Duration {
        self.state().last_end.map_or(Duration::ZERO, |at| at - self.start)
    }

    /// The process that begins now dies at this step, or at its first if others were under way when the one before it died.
    pub(super) fn die_at(&self, step: Option<u64>) {
        let mut state = self.state();
        state.dies_at = step.map(|step| step.max(state.steps + 1));
    }

    async fn step(&self) {
        let (step, dies_at) = {
            let mut state = self.state();
            state.steps += 1;
            (state.steps, state.dies_at.unwrap_or(u64::MAX))
        };
        if step == dies_at {
            self.died.notify_one();
        }
        if step >= dies_at {
            std::future::pending::<()>().await;
        }
    }

    async fn pace(&self, api: &'static str, lane: u32, calls: u32) {
        let at = {
            let mut state = self.state();
            let place = state.places.entry((api, lane)).or_insert_with(Instant::now);
            let at = (*place).max(Instant::now())
                + Duration::from_secs_f64(f64::from(calls - 1) / self.script.quota);
            *place = at + Duration::from_secs_f64(1.0 / self.script.quota);
            at
        };
        tokio::time::sleep_until(at).await;
    }

    fn has_credentials(&self) -> bool {
        let now = self.start.elapsed();
        self.script.no_credentials.is_none_or(|(from, to)| now < from || now >= to)
    }

    fn paused<T>() -> Trouble<T> {
        Trouble::Paused { reason: "credentials expired".into(), hint: "Log in again.".into() }
    }

    fn is_dark(&self, realm: u32) -> bool {
        let now = self.start.elapsed();
        self.script.dark.is_some_and(|(dark, from, to)| dark == realm && now >= from && now < to)
    }

    async fn look(&self, realm: u32) -> Looked<()> {
        self.step().await;
        tokio::time::sleep(self.script.latency).await;
        if self.is_dark(realm) {
            tokio::time::sleep(CONNECT).await;
            return Err(Trouble::Transient("connection refused".into()));
        }
        if !self.has_credentials() {
            return Err(Fake::paused());
        }
        let mut state = self.state();
        state.looks += 1;
        if self.script.flaky > 0 && state.looks.is_multiple_of(self.script.flaky) {
            return Err(Trouble::Transient("connection reset".into()));
        }
        Ok(())
    }

    fn end(&self, command: &Command, target: usize) -> Option<(Instant, Verdict)> {
        let node = &self.script.nodes[target];
        let end = command.at + node.takes;
        let is_stuck = self.script.stuck.contains(&target);
        match command.cancelled_at {
            Some(at) if at < end || is_stuck => Some((at + Duration::from_secs(1), Verdict::Cancelled)),
            _ if is_stuck => None,
            _ => Some((end, node.verdict)),
        }
    }

    fn counters(&self, command: &Command) -> Counters {
        let now = Instant::now();
        let lag = match self.script.counts {
            Counts::Fresh => Duration::ZERO,
            Counts::Lag(lag) => lag,
            Counts::Never => return Counters::default(),
        };
        let mut counters = Counters::default();
        for target in &command.targets {
            let Some((_, verdict)) = self.end(command, *target).filter(|(at, _)| *at + lag <= now) else {
                continue;
            };
            counters.completed += 1;
            match verdict {
                Verdict::Failed | Verdict::TimedOut => counters.errors += 1,
                Verdict::Undelivered if !self.script.untold => counters.delivery_timed_out += 1,
                _ => {}
            }
        }
        counters.is_done = counters.completed == command.targets.len() as u64;
        counters
    }

    fn is_listed(&self, command: &Command, scope: SweepScope) -> bool {
        let now = Instant::now();
        let in_progress =
            command.targets.iter().any(|t| self.end(command, *t).is_none_or(|(at, _)| at > now));
        match (self.script.listing, scope) {
            (Listing::FilterEmpty, SweepScope::InProgress) | (Listing::Empty, _) => false,
            (Listing::FilterIgnored, _) => true,
            (Listing::Hides(n), _) if command.intent.is_multiple_of(n) => false,
            (Listing::Late(lag), _) if now < command.at + lag => false,
            (_, SweepScope::InProgress) => in_progress,
            (_, SweepScope::All) => true,
        }
    }

    /// The executor is told a target's result, which nothing changes any more.
    fn tell_result(&self, command: &mut Command, target: usize) {
        let is_bad = self.end(command, target).is_some_and(|(_, verdict)| verdict.is_bad());
        let is_new = command.told_results.insert(target);
        command.read_bad += u64::from(is_new && is_bad);
    }

    /// Books what the executor knows from now on.
    fn note_told(&self, state: &mut State) {
        let mut known_bad = state.refused_bad;
        let (mut sent, mut told) = (0, 0);
        for command in &state.commands {
            known_bad += command.read_bad.max(command.told_bad);
            sent += command.targets.len();
            told += command.told_results.len();
        }
        if state.over_budget_at.is_none() && state.max_errors.is_some_and(|max| known_bad > max) {
            state.over_budget_at = Some(Instant::now());
            // Before this answer: it may tell of more than one.
            state.in_flight_then = sent - state.told;
        }
        state.told = told;
    }

    fn check_send(&self, batch: &Batch, limits: Limits, permit: &Permit) {
        let mut state = self.state();
        // What runs where nothing is answered for a while makes room for others.
        let is_silent = self.script.dark.is_some()
            || self.script.flaky > 0
            || self.script.listing == Listing::Failing
            || matches!(self.script.details, Details::Failing | Details::UnlistedFlaky);
        let counts = |c: &Command| {
            let lane = c.targets.first().map(|t| self.lane(*t));
            !is_silent || lane.is_some_and(|lane| self.realm(lane) == self.realm(batch.lane))
        };
        let running: u64 = state
            .commands
            .iter()
            .filter(|c| counts(c))
            .map(|c| c.targets.len() as u64 - c.told_completed.max(c.told_ended.len() as u64))
            .sum();
        let mut breaches = Vec::new();
        if state.concurrency.is_some_and(|most| running + batch.targets.len() as u64 > most as u64) {
            breaches.push(format!("{} more while {running} run", batch.targets.len()));
        }
        if state.over_budget_at.is_some_and(|at| Instant::now() > at + self.script.latency) {
            breaches.push("sent after the budget was known to be spent".into());
        }
        if batch.targets.iter().any(|t| self.lane(*t) != batch.lane) {
            breaches.push("a batch mixes lanes".into());
        }
        let most = state.concurrency.unwrap_or(usize::MAX).min(batch.targets.len());
        if limits.max_concurrency as usize > most || limits.max_concurrency == 0 {
            breaches.push(format!("a batch of {} with {limits:?}", batch.targets.len()));
        }
        if state.max_errors.is_some_and(|most| u64::from(limits.max_errors) > most) {
            breaches.push(format!("{limits:?} is more than the budget"));
        }
        if permit.intent() != batch.intent {
            breaches.push("a permit of another intent".into());
        }
        if state.journal.is_some() {
            state.read_on();
            if !state.intents.contains(&batch.intent) {
                breaches.push(format!("intent {} is not on disk", batch.intent));
            }
        }
        state.breaches.extend(breaches);
    }

    pub(super) fn take_effect(&self, batch: &Batch) -> Accepted {
        let mut state = self.state();
        let now = Instant::now();
        for target in &batch.targets {
            state.ran[*target] += 1;
        }
        let id = format!("command-{}", batch.intent);
        let place = state.commands.len();
        for target in &batch.targets {
            state.commands_of[*target].push(place);
        }
        let command = Command {
            id: id.clone(),
            intent: batch.intent,
            targets: batch.targets.clone(),
            at: now,
            cancelled_at: None,
            told_results: BTreeSet::new(),
            told_ended: BTreeSet::new(),
            told_completed: 0,
            told_bad: 0,
            read_bad: 0,
        };
        let last = command.targets.iter().filter_map(|t| self.end(&command, *t)).map(|(at, _)| at).max();
        state.last_end = state.last_end.max(last);
        state.commands.push(command);
        Accepted { command_id: id, expires_in: self.script.expires_in }
    }

    fn refuse_bad(&self, batch: &Batch) -> Option<SendOutcome<String>> {
        let bad: Vec<usize> = batch.targets.iter().copied().filter(|t| self.script.bad.contains(t)).collect();
        if bad.is_empty() {
            return None;
        }
        // Some services name only the first.
        let named = if self.script.names_bad { bad[..1].to_vec() } else { Vec::new() };
        if batch.targets.len() == 1 || !named.is_empty() {
            self.state().refused_bad += 1;
        }
        let reason = Reason::INVALID_INSTANCE;
        Some(SendOutcome::BadTargets { bad: named, verdict: Verdict::Undelivered, reason })
    }

    fn outcome(&self, target: usize, verdict: Verdict) -> Outcome {
        let mut outcome = Outcome::bare(verdict, None);
        outcome.stdout = format!("{target}\n").into();
        outcome
    }

    fn result(&self, command: &Command, target: usize) -> Option<Verdict> {
        let now = Instant::now();
        let end = self.end(command, target);
        end.filter(|(at, _)| *at + self.script.result_lag <= now).map(|(_, verdict)| verdict)
    }
}

impl Job for Fake {
    type Error = String;

    fn lane(&self, target: usize) -> u32 {
        target as u32 % self.script.lanes
    }

    fn realm(&self, lane: u32) -> u32 {
        lane % self.script.realms
    }

    fn realm_name(&self, realm: u32) -> String {
        format!("realm-{realm}")
    }

    fn server_now(&self, _lane: u32) -> Option<Timestamp> {
        None
    }

    async fn ready(&self, lane: u32) {
        if let Some((slow, pause)) = self.script.slow_lane
            && slow == lane
        {
            tokio::time::sleep(pause).await;
        }
        self.pace("send", lane, 1).await;
    }

    async fn send(&self, batch: &Batch, limits: Limits, permit: Permit) -> SendOutcome<String> {
        self.check_send(batch, limits, &permit);
        let number = {
            let mut state = self.state();
            state.calls.sends += 1;
            state.calls.sends
        };
        self.step().await;
        let fault = self.script.faults.get(&number).copied();
        let realm = self.realm(batch.lane);
        if self.script.denies == Some(realm) {
            let (verdict, reason) = (Verdict::Denied, Reason::ACCESS_DENIED);
            self.state().refused_bad += batch.targets.len() as u64;
            return SendOutcome::Refused { verdict, reason, error: "not authorized".into() };
        }
        if fault == Some(Fault::NotSent) || self.is_dark(realm) {
            tokio::time::sleep(CONNECT).await;
            return SendOutcome::NotSent(Trouble::Transient("connection refused".into()));
        }
        if !self.has_credentials() {
            return SendOutcome::NotSent(Fake::paused());
        }
        tokio::time::sleep(self.script.latency / 2).await;
        let error = "no answer".to_owned();
        let outcome = match fault {
            Some(Fault::Throttled) => SendOutcome::Throttled,
            Some(Fault::LostBefore) => SendOutcome::Lost(error),
            Some(Fault::Refused) => {
                SendOutcome::Refused { verdict: Verdict::Denied, reason: Reason::ACCESS_DENIED, error }
            }
            Some(Fault::Fatal) => SendOutcome::Fatal(error),
            Some(Fault::LostAfter) if !batch.targets.iter().any(|t| self.script.bad.contains(t)) => {
                self.take_effect(batch);
                SendOutcome::Lost(error)
            }
            _ => self.refuse_bad(batch).unwrap_or_else(|| SendOutcome::Accepted(self.take_effect(batch))),
        };
        self.step().await;
        tokio::time::sleep(self.script.latency / 2).await;
        self.note_told(&mut self.state());
        outcome
    }

    async fn locate(&self, batch: &Batch) -> Looked<Option<Accepted>> {
        self.state().calls.locates += 1;
        self.pace("locate", batch.lane, 1).await;
        self.look(self.realm(batch.lane)).await?;
        if self.start.elapsed() < self.script.locate_fails {
            return Err(Trouble::Transient("internal error".into()));
        }
        if self.script.locate_denied {
            return Err(Trouble::Denied("not authorized".into()));
        }
        let state = self.state();
        let found = state.commands.iter().find(|c| c.intent == batch.intent);
        let expires_in = self.script.expires_in;
        Ok(found.map(|c| Accepted { command_id: c.id.clone(), expires_in }))
    }

    async fn sweep(&self, realm: u32, scope: SweepScope, ids: Vec<String>) -> Looked<Sweep> {
        let pages = (ids.len() as u32).div_ceil(50).max(1);
        {
            let mut state = self.state();
            state.calls.sweeps += 1;
            state.calls.sweep_pages += u64::from(pages);
        }
        self.pace("sweep", realm, pages).await;
        self.look(realm).await?;
        match self.script.listing {
            Listing::Denied => return Err(Trouble::Denied("not authorized".into())),
            Listing::Failing => return Err(Trouble::Transient("internal error".into())),
            _ => {}
        }
        let mut state = self.state();
        let mut sweep = Sweep { is_complete: self.script.listing != Listing::Incomplete, ..Sweep::default() };
        let from = if sweep.is_complete { 0 } else { state.commands.len().saturating_sub(3) };
        let ids: BTreeSet<String> = ids.into_iter().collect();
        for command in state.commands.iter_mut().skip(from) {
            if !ids.contains(&command.id) || !self.is_listed(command, scope) {
                continue;
            }
            let counters = self.counters(command);
            command.told_completed = command.told_completed.max(counters.completed);
            command.told_bad = command.told_bad.max(counters.errors + counters.delivery_timed_out);
            sweep.seen.insert(command.id.clone(), counters);
        }
        self.note_told(&mut state);
        Ok(sweep)
    }

    async fn collect(&self, batch: &Batch, command_id: &str) -> Looked<Collected> {
        self.state().calls.collects += 1;
        self.pace("collect", batch.lane, 1).await;
        self.look(self.realm(batch.lane)).await?;
        if self.script.collect_denied {
            return Err(Trouble::Denied("not authorized".into()));
        }
        let mut state = self.state();
        let mut collected = Collected::default();
        let Some(command) = state.commands.iter_mut().find(|c| c.id == command_id) else {
            return Ok(collected);
        };
        for target in &batch.targets {
            let Some(verdict) = self.result(command, *target) else {
                if self.end(command, *target).is_some_and(|(_, verdict)| verdict == Verdict::Cancelled) {
                    collected.findings.push((*target, Finding::Cancelling));
                } else if matches!(self.script.details, Details::Unlisted | Details::UnlistedFlaky) {
                    collected.findings.push((*target, Finding::Unlisted));
                }
                continue;
            };
            let outcome = Box::new(self.outcome(*target, verdict));
            if self.script.details != Details::Unlisted && self.script.details != Details::UnlistedFlaky {
                command.told_ended.insert(*target);
            }
            let finding = match self.script.details {
                Details::Every(n) if *target % n == 0 => Finding::NeedsDetail(outcome),
                Details::Failing if *target % 3 == 0 => Finding::NeedsDetail(outcome),
                Details::Unlisted | Details::UnlistedFlaky => Finding::Unlisted,
                _ => {
                    self.tell_result(command, *target);
                    Finding::Finished(outcome)
                }
            };
            collected.findings.push((*target, finding));
        }
        self.note_told(&mut state);
        Ok(collected)
    }

    async fn detail(&self, target: usize, command_id: &str) -> Looked<Detail> {
        let number = {
            let mut state = self.state();
            state.calls.details += 1;
            state.calls.details
        };
        self.pace("detail", self.lane(target), 1).await;
        self.look(self.realm(self.lane(target))).await?;
        let is_flaky = self.script.details == Details::UnlistedFlaky && number % 3 != 0;
        if is_flaky || self.script.details == Details::Failing {
            return Err(Trouble::Transient("internal error".into()));
        }
        let mut state = self.state();
        let Some(command) = state.commands.iter_mut().find(|c| c.id == command_id) else {
            return Ok(Detail::Absent);
        };
        let Some(verdict) = self.result(command, target) else { return Ok(Detail::Running) };
        self.tell_result(command, target);
        command.told_ended.insert(target);
        self.note_told(&mut state);
        Ok(Detail::Ended(Box::new(self.outcome(target, verdict))))
    }

    async fn cancel(&self, lane: u32, command_id: &str, _permit: Permit) -> Looked<()> {
        let number = {
            let mut state = self.state();
            state.calls.cancels += 1;
            state.calls.cancels
        };
        self.look(self.realm(lane)).await?;
        if number <= self.script.cancel_failures {
            return Err(Trouble::Transient("internal error".into()));
        }
        if self.script.cancels
            && let Some(command) = self.state().commands.iter_mut().find(|c| c.id == command_id)
        {
            command.cancelled_at.get_or_insert(Instant::now());
        }
        Ok(())
    }

    async fn gate(&self, gate: &str, wave: u32) -> Result<Option<String>, String> {
        self.step().await;
        match self.script.gate {
            Gate::Yes => Ok(None),
            Gate::Noted => Ok(Some(format!("{gate} is not sure"))),
            Gate::NoAfter(last) if wave < last => Ok(None),
            Gate::NoAfter(_) => Err(format!("{gate} ended with 1")),
            Gate::Never => std::future::pending().await,
        }
    }

    async fn watch(&self) -> News {
        let told = self.state().calls.watches;
        let Some((at, news)) = self.script.news.get(told) else { return std::future::pending().await };
        if *at > self.start.elapsed() {
            tokio::time::sleep_until(self.start + *at).await;
        }
        self.state().calls.watches += 1;
        news.clone()
    }
}
