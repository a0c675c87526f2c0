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

use herder_core::fanout::{Between, Eagerness, Plan, Policy, Recovered};
use herder_core::journal::HashKey;
use herder_core::run_id::RunId;
use herder_core::target::{Platform, Target};

use self::channel::beside;
pub(crate) use self::channel::{OpenChannels, Places};
pub(crate) use self::error::ExecError;
pub(crate) use self::job::ExecJob;
use self::job::{Around, Work};
pub(crate) use self::options::{
    EnvName, GivenValues, Recipe, Rollout, Sources, WorkSource, hash_of, split_env, split_parameters,
};
use self::payload::{Payload, Wish};
pub(crate) use self::plan::preview;
pub(crate) use self::resume::{Purpose, ResumeOptions, resume};
pub(crate) use self::shell::{POWERSHELL_TAIL, join_powershell, join_sh, quote_sh};
pub(crate) use self::via::{choose, hand_over};
use super::guards::{Checked, gates};
use super::preview::{sizes_between, wave_notes};
use super::run::{Prepared, Start, Title, new_record, opening, warning};
use super::targets::Resolved;
use crate::ctx::Ctx;
use crate::failure::Failure;
use crate::scopes::Scopes;

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

/// Makes the run: builds what is sent, writes the run's directory. Nothing is sent yet. `checked` is what guards it, and allows it.
///
/// # Errors
/// It can't be sent as asked, or the state directory is not writable.
pub(crate) fn prepare(
    ctx: &Ctx,
    scopes: &Scopes,
    options: ExecOptions,
    checked: Checked,
) -> Result<Prepared<ExecJob>, Failure> {
    let ExecOptions { mut recipe, given, resolved, waves, channels, .. } = options;
    let wish = recipe.wish(Sources { environment: &ctx.environment, given: &given })?;
    let payloads = payloads(&wish, &resolved.targets)?;
    recipe.sends = hash_of(&wish, &HashKey::open(&ctx.settings.state_dir.value, ctx.random())?);
    let title = Title { command: COMMAND, title: recipe.title(), waves: &waves, recipe: &recipe };
    let record = new_record(ctx, scopes, title)?;
    let run = record.run.clone();
    let directory = ctx.runs().create(&record, &resolved.targets)?;
    let lock = directory.lock()?;
    let told = (options.note, recipe.rollout.via, recipe.rollout.guards.clone());
    let mut opening = opening(&record, scopes, &resolved, told);
    opening.extend(wave_notes(&recipe.rollout, &sizes_between(&waves)).map(warning));
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
    Ok(Prepared { start, lock })
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

/// How the executor carries out a run of `exec`.
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
