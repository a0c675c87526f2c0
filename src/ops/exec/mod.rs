//! `exec`: one command on many nodes. See docs/ARCHITECTURE.md for its way.

mod channel;
mod error;
mod job;
mod options;
mod pages;
mod passes;
mod payload;
mod plan;
mod realm;
mod resume;
mod shell;
mod via;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, RwLock};

use herder_core::event::{Event, RunGuards, RunStarted};
use herder_core::fanout::{Between, Eagerness, Plan, Policy, Recovered};
use herder_core::journal::{FORMAT_VERSION, HashKey, RunLock, RunRecord};
use herder_core::run_id::RunId;
use herder_core::target::{Platform, Target};
use herder_core::via::Via;

use self::channel::beside;
pub(crate) use self::channel::{OpenChannels, Places};
pub(crate) use self::error::ExecError;
use self::job::{Around, ExecJob, Work};
pub(crate) use self::options::{
    EnvName, GivenValues, Recipe, Rollout, Sources, WorkSource, hash_of, split_env, split_parameters,
};
use self::payload::{Payload, Wish};
pub(crate) use self::plan::preview;
pub(crate) use self::resume::{Purpose, ResumeOptions, recipe_of, resume};
pub(crate) use self::shell::{POWERSHELL_TAIL, join_powershell, join_sh, quote_sh};
pub(crate) use self::via::{choose, hand_over};
use super::guards::{Checked, gates};
use super::run::Start;
use super::targets::Resolved;
use crate::ctx::Ctx;
use crate::failure::Failure;
use crate::scopes::{Scopes, Unreached};

/// The word for this workflow in journals and events.
pub(crate) const COMMAND: &str = "exec";

/// What is meant by an `exec`.
#[derive(Debug)]
pub(crate) struct ExecOptions {
    /// What to run and how, complete but for the hash.
    pub(crate) recipe: Recipe,
    /// Values that are not kept.
    pub(crate) given: GivenValues,
    /// Who is meant.
    pub(crate) resolved: Resolved,
    /// Where each wave ends.
    pub(crate) waves: Vec<usize>,
    /// Whether somebody reads results while it runs.
    pub(crate) eagerness: Eagerness,
    /// `--resend-ambiguous`.
    pub(crate) resend_ambiguous: bool,
    /// `--reason`.
    pub(crate) note: Option<String>,
    /// Where outputs go besides the service's own answers.
    pub(crate) channels: OpenChannels,
}

/// A run that only needs to be driven.
pub(crate) struct Prepared {
    /// For the executor and the dispatcher.
    pub(crate) start: Start<ExecJob>,
    /// Held while the run is driven.
    pub(crate) _lock: RunLock,
}

/// Makes the run: builds what is sent, writes the run's directory. Nothing is sent yet. `checked` is what guards it, and allows it.
///
/// # Errors
/// It can't be sent as asked, or the state directory is not writable.
pub(crate) fn prepare(
    ctx: &Ctx,
    scopes: &Scopes,
    options: ExecOptions,
    checked: Checked,
) -> Result<Prepared, Failure> {
    let ExecOptions { mut recipe, given, resolved, waves, channels, .. } = options;
    let wish = recipe.wish(Sources { environment: &ctx.environment, given: &given })?;
    let payloads = payloads(&wish, &resolved.targets)?;
    recipe.sends = hash_of(&wish, &HashKey::open(&ctx.settings.state_dir.value, ctx.random())?);
    let created = ctx.clock.now();
    let run = RunId::new(created, (ctx.seed & 0x00ff_ffff) as u32);
    let record = RunRecord {
        format: FORMAT_VERSION,
        run: run.clone(),
        created,
        herder: env!("CARGO_PKG_VERSION").to_owned(),
        command: COMMAND.to_owned(),
        title: recipe.title(),
        identity: scopes.first().identity.clone(),
        scopes: match scopes.count() {
            1 => Vec::new(),
            _ => scopes.iter().map(|open| open.identity.clone()).collect(),
        },
        role: scopes.role.clone(),
        unreached: scopes.unreached.iter().map(|u| u.name.clone()).collect(),
        waves: waves.iter().map(|end| u32::try_from(*end).unwrap_or(u32::MAX)).collect(),
        recipe: serde_json::to_value(&recipe).map_err(|error| {
            Failure::new(crate::failure::Kind::Bug, "the recipe is not JSON").caused_by(&error)
        })?,
    };
    let directory = ctx.runs().create(&record, &resolved.targets)?;
    let lock = directory.lock()?;
    let mut opening = opening(&record, scopes, &resolved, (options.note, recipe.rollout.via));
    if let Some(Event::RunStarted(started)) = opening.first_mut() {
        started.guards = recipe.rollout.guards.clone();
    }
    opening.extend(checked.warnings().into_iter().map(warning));
    let policy = policy(&recipe, options.eagerness, options.resend_ambiguous);
    let channels = channels.of_run(&directory.output(), scopes.count());
    let beside = beside(&channels);
    let around = Around { traces: BTreeMap::new(), channels, guard: checked.into_guard() };
    let work = work(&record.run, &recipe, resolved.targets.clone(), payloads);
    let job = ExecJob::new(scopes, work, around);
    let plan = Plan {
        waves,
        targets: resolved.targets,
        judged: resolved.judged,
        policy,
        recovered: Recovered::default(),
    };
    let job = Arc::new(job);
    let is_partial = !scopes.unreached.is_empty();
    let start = Start { job, plan, run, directory, next_intent: 1, next_seq: 0, opening, is_partial, beside };
    Ok(Prepared { start, _lock: lock })
}

fn work(run: &RunId, recipe: &Recipe, targets: Vec<Target>, payloads: BTreeMap<Platform, Payload>) -> Work {
    let is_document = matches!(recipe.source, WorkSource::Document { .. });
    Work {
        run: run.clone(),
        targets,
        payloads,
        delivery_timeout: std::time::Duration::from_secs(recipe.delivery_timeout_s),
        execution_timeout: (!is_document).then(|| std::time::Duration::from_secs(recipe.timeout_s)),
        lifetime: recipe.lifetime(),
        via: recipe.rollout.via,
        handed: recipe.rollout.handed.clone(),
        adopted: RwLock::default(),
    }
}

fn policy(recipe: &Recipe, eagerness: Eagerness, resend_ambiguous: bool) -> Policy {
    Policy {
        concurrency: usize::try_from(recipe.rollout.concurrency).unwrap_or(usize::MAX),
        max_errors: recipe.rollout.max_errors,
        batch: herder_aws::ssm::MAX_IDS,
        eagerness,
        resend_ambiguous,
        between: Between { soak: recipe.rollout.soak(), gates: gates(&recipe.rollout.guards) },
        rate: recipe.rollout.rate,
        via: recipe.rollout.via,
    }
}

fn opening(
    record: &RunRecord,
    scopes: &Scopes,
    resolved: &Resolved,
    (note, via): (Option<String>, Via),
) -> Vec<Event> {
    let started = Event::RunStarted(RunStarted {
        command: record.command.clone(),
        title: record.title.clone(),
        sim: record.identity.sim,
        targets: resolved.targets.len() as u64,
        waves: u32::try_from(record.waves.len()).unwrap_or(u32::MAX),
        accounts: scopes.accounts(),
        regions: scopes.regions(),
        herder: record.herder.clone(),
        note,
        via,
        guards: RunGuards::default(),
        left_out: scopes.unreached.iter().map(Unreached::told).collect(),
    });
    let unreached = scopes.unreached.iter().map(ToString::to_string);
    let warnings = scopes.warnings.iter().cloned().chain(unreached).chain(resolved.warnings.iter().cloned());
    std::iter::once(started).chain(warnings.map(warning)).collect()
}

fn warning(message: String) -> Event {
    Event::Warning { message, hints: Vec::new() }
}

/// What each platform among the targets is sent.
fn payloads(wish: &Wish, targets: &[Target]) -> Result<BTreeMap<Platform, Payload>, Failure> {
    let mut payloads = BTreeMap::new();
    for target in targets {
        let platform = target.platform.unwrap_or(Platform::Linux);
        if let Entry::Vacant(entry) = payloads.entry(platform) {
            entry.insert(wish.payload(platform)?);
        }
    }
    Ok(payloads)
}
