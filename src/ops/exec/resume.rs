//! `runs resume` of an `exec`: the rest of a run, from its journal.

use std::collections::BTreeMap;
use std::sync::Arc;

use herder_core::fanout::{Eagerness, Plan, Recovered};
use herder_core::journal::{HashKey, Replay, RunDirectory, RunRecord};
use herder_core::target::{Platform, Target};

use super::channel::{OpenChannels, beside};
use super::job::{Around, ExecJob, Traces, realm_of};
use super::options::{GivenValues, Recipe, Sources, hash_of};
use super::payload::Payload;
use super::{payloads, policy, work};
use crate::ctx::Ctx;
use crate::failure::Failure;
use crate::ops::guards::Checked;
use crate::ops::run::{Prepared, Start, opening_again, recipe_of, used_up};
use crate::scopes::Scopes;

/// What a run is picked up for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To do the rest: what is sent has to be the same as at the start.
    GoOn,
    /// To call it off: nothing is sent, so that no script, variable or parameter is needed.
    CallOff,
}

/// What may be different from the first time.
#[derive(Debug)]
pub(crate) struct ResumeOptions {
    /// What for.
    pub(crate) purpose: Purpose,
    /// Values that the journal doesn't keep.
    pub(crate) given: GivenValues,
    /// A new `--concurrency`, absolute.
    pub(crate) concurrency: Option<u64>,
    /// A new `--max-errors`, absolute.
    pub(crate) max_errors: Option<u64>,
    /// Whether somebody reads results while it runs.
    pub(crate) eagerness: Eagerness,
    /// `--resend-ambiguous`.
    pub(crate) resend_ambiguous: bool,
    /// Where outputs go besides the service's own answers; none, where they are of no interest.
    pub(crate) channels: OpenChannels,
    /// How what guards the run stands; nothing does where it is called off.
    pub(crate) checked: Option<Checked>,
}

/// Picks a run up where it was. `None`: it is finished, and nothing is left open. A run that was killed between its last verdict and its
/// end has nothing open either, and is given to be ended.
///
/// # Errors
/// Another process drives it, the journal can't be read, or what would be sent is not the same (exit 2).
pub(crate) fn resume(
    ctx: &Ctx,
    scopes: &Scopes,
    directory: RunDirectory,
    record: &RunRecord,
    options: ResumeOptions,
) -> Result<Option<Prepared<ExecJob>>, Failure> {
    let lock = directory.lock()?;
    let replay = Replay::read(&directory)?;
    let targets = directory.targets()?;
    let mut recipe: Recipe = recipe_of(record)?;
    let recovered = Recovered::from_replay(&replay, recipe.patience());
    let open_targets = targets.len() - recovered.verdicts.len();
    if open_targets == 0 && replay.is_finished {
        return Ok(None);
    }
    recipe.rollout.concurrency = options.concurrency.unwrap_or(recipe.rollout.concurrency);
    recipe.rollout.max_errors = options.max_errors.unwrap_or(recipe.rollout.max_errors);
    let payloads = match options.purpose {
        Purpose::GoOn if open_targets > 0 => same_payloads(ctx, record, &recipe, &options.given, &targets)?,
        Purpose::GoOn | Purpose::CallOff => BTreeMap::new(),
    };
    let channels = options.channels.of_run(&directory.output(), scopes.count());
    let beside = beside(&channels);
    let (mut opening, guard) = opening_again(open_targets, options.checked);
    if options.purpose == Purpose::GoOn && open_targets > 0 {
        opening.extend(used_up(&record.run, &recovered, recipe.rollout.max_errors));
    }
    let work = work(&record.run, &recipe, targets.clone(), payloads);
    let job = ExecJob::new(scopes, work, Around { traces: traces(&replay), channels, guard });
    let plan = Plan {
        waves: record.waves.iter().map(|end| *end as usize).collect(),
        targets,
        judged: BTreeMap::new(),
        policy: policy(&recipe, options.eagerness, options.resend_ambiguous),
        recovered,
    };
    let start = Start {
        job: Arc::new(job),
        plan,
        run: record.run.clone(),
        directory,
        next_intent: replay.next_intent,
        next_seq: replay.next_seq,
        opening,
        is_partial: !record.unreached.is_empty(),
        beside,
    };
    Ok(Some(Prepared { start, lock }))
}

/// What earlier processes of the run left in each account and region.
fn traces(replay: &Replay) -> BTreeMap<u32, Traces> {
    let mut traces: BTreeMap<u32, Traces> = BTreeMap::new();
    for send in replay.sends.values() {
        let trace = traces.entry(realm_of(send.lane)).or_default();
        trace.has_sent = true;
        trace.since = [trace.since, send.server_at].into_iter().flatten().min();
    }
    traces
}

/// What is sent, built again from the same sources; it must be what the run sent.
fn same_payloads(
    ctx: &Ctx,
    record: &RunRecord,
    recipe: &Recipe,
    given: &GivenValues,
    targets: &[Target],
) -> Result<BTreeMap<Platform, Payload>, Failure> {
    let wish = recipe.wish(Sources { environment: &ctx.environment, given })?;
    let sends = hash_of(&wish, &HashKey::open(&ctx.settings.state_dir.value, ctx.random())?);
    if sends != recipe.sends {
        return Err(Failure::usage(format!("what would be sent is not what run {} sent", record.run)).hint(
            "Give the same script, variables and parameters as at the start; only a hash of them is kept.",
        ));
    }
    payloads(&wish, targets)
}
