//! `session cp` to or from many nodes: one copy for each, through the executor, with a journal. See docs/decisions/0012.
//!
//! - [`prepare`], [`resume`]: a run that only needs to be driven
//! - [`preview`]: what it would do
//! - [`CopyRecipe`]: what the journal keeps of it
//!
//! Does not belong here: how a file gets across (`herder-session`), a copy with one node (`commands/session/cp`).

mod job;
mod one;
mod plan;
mod recipe;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use herder_core::fanout::{Between, Eagerness, Outcome, Plan, Policy, Recovered};
use herder_core::journal::{HashKey, Replay, RunDirectory, RunRecord};
use herder_core::target::{Platform, Target};
use herder_core::verdict::{Reason, Verdict};
use herder_core::via::Via;

use self::job::Around;
pub(crate) use self::job::CopyJob;
pub(crate) use self::plan::{CopiesPreview, preview};
pub(crate) use self::recipe::{Amount, CopyRecipe, Direction, SourceState, require_repeatable};
use super::guards::{Checked, gates};
use super::preview::{sizes_between, wave_notes};
use super::run::{
    Prepared, Start, ThrottleEvents, Title, new_record, opening, opening_again, recipe_of, used_up, warning,
};
use super::targets::Resolved;
use crate::ctx::Ctx;
use crate::failure::Failure;
use crate::render::counted;
use crate::scopes::Scopes;

/// The word for this workflow in journals and events.
pub(crate) const COMMAND: &str = "session cp";

/// What is meant by a copy with many nodes.
#[derive(Debug)]
pub(crate) struct CopiesOptions {
    /// What is copied and how, complete but for the hash.
    pub(crate) recipe: CopyRecipe,
    /// The files of an upload as they are now.
    pub(crate) source: SourceState,
    /// Who is meant.
    pub(crate) resolved: Resolved,
    /// Where each wave ends.
    pub(crate) waves: Vec<usize>,
    /// The umask of this process.
    pub(crate) umask: u32,
}

impl CopiesOptions {
    /// The options; nodes that no copy is made with are judged.
    pub(crate) fn new(
        recipe: CopyRecipe,
        source: SourceState,
        (mut resolved, waves): (Resolved, Vec<usize>),
        umask: u32,
    ) -> CopiesOptions {
        for (index, target) in resolved.targets.iter().enumerate() {
            if target.platform == Some(Platform::Windows) {
                let outcome = || Outcome::bare(Verdict::Denied, Some(Reason::INVALID_PLATFORM));
                resolved.judged.entry(index).or_insert_with(outcome);
            }
        }
        CopiesOptions { recipe, source, resolved, waves, umask }
    }
}

/// Makes the run: writes its directory. Nothing is copied yet. `checked` is what guards it, and allows it.
///
/// # Errors
/// The state directory is not writable, or connections can't be secured.
pub(crate) fn prepare(
    ctx: &Ctx,
    scopes: &Scopes,
    events: &ThrottleEvents,
    options: CopiesOptions,
    checked: Checked,
) -> Result<Prepared<CopyJob>, Failure> {
    let CopiesOptions { mut recipe, source, resolved, waves, umask } = options;
    recipe.source = hash_of(ctx, &recipe, &source)?;
    let title = Title { command: COMMAND, title: recipe.title(), waves: &waves, recipe: &recipe };
    let record = new_record(ctx, scopes, title)?;
    let run = record.run.clone();
    let directory = ctx.runs().create(&record, &resolved.targets)?;
    let lock = directory.lock()?;
    let told = (recipe.reason.clone(), Via::Client, recipe.rollout.guards.clone());
    let mut opening = opening(&record, scopes, &resolved, told);
    opening.extend(wave_notes(&recipe.rollout, &sizes_between(&waves)).map(warning));
    opening.extend(checked.warnings().into_iter().map(warning));
    let policy = policy(&recipe);
    let around = Around { run: run.clone(), umask, events: events.clone(), guard: checked.into_guard() };
    let job = CopyJob::new(ctx, scopes, recipe, (resolved.targets.clone(), waves.clone()), around)?;
    let plan = Plan {
        waves,
        targets: resolved.targets,
        judged: resolved.judged,
        policy,
        recovered: Recovered::default(),
    };
    let start = Start {
        job: Arc::new(job),
        plan,
        run,
        directory,
        next_intent: 1,
        next_seq: 0,
        opening,
        beside: None,
        is_partial: !scopes.unreached.is_empty(),
    };
    Ok(Prepared { start, lock })
}

/// What may be different when a run goes on.
#[derive(Debug)]
pub(crate) struct ResumeCopies {
    /// Whether copies are to be made; otherwise the run is only called off.
    pub(crate) goes_on: bool,
    /// A new `--concurrency`, absolute.
    pub(crate) concurrency: Option<u64>,
    /// A new `--max-errors`, absolute.
    pub(crate) max_errors: Option<u64>,
    /// How what guards the run stands; nothing does where it is called off.
    pub(crate) checked: Option<Checked>,
    /// The umask of this process.
    pub(crate) umask: u32,
}

/// Picks a run up where it was. `None`: it is finished, and nothing is left open.
///
/// A copy that was under way when the process ended is simply made again: nothing of it goes on by itself, what has arrived is gone
/// on with, and a file that is complete is replaced by itself.
///
/// # Errors
/// Another process drives it, the journal can't be read, or the source is not the same any more (exit 2).
pub(crate) fn resume(
    ctx: &Ctx,
    scopes: &Scopes,
    events: &ThrottleEvents,
    (directory, record): (RunDirectory, &RunRecord),
    options: ResumeCopies,
) -> Result<Option<Prepared<CopyJob>>, Failure> {
    let lock = directory.lock()?;
    let replay = Replay::read(&directory)?;
    let targets = directory.targets()?;
    let mut recipe: CopyRecipe = recipe_of(record)?;
    let mut recovered = Recovered::from_replay(&replay, Duration::ZERO);
    recovered.sent.clear();
    recovered.in_doubt.clear();
    let open = targets.len() - recovered.verdicts.len();
    if open == 0 && replay.is_finished {
        return Ok(None);
    }
    if options.goes_on && open > 0 && recipe.direction == Direction::Upload {
        require_same(ctx, record, &recipe)?;
    }
    recipe.rollout.concurrency = options.concurrency.unwrap_or(recipe.rollout.concurrency);
    recipe.rollout.max_errors = options.max_errors.unwrap_or(recipe.rollout.max_errors);
    let (mut opening, guard) = opening_again(open, options.checked);
    if options.goes_on && open > 0 {
        opening.extend(used_up(&record.run, &recovered, recipe.rollout.max_errors));
    }
    let policy = policy(&recipe);
    let waves: Vec<usize> = record.waves.iter().map(|end| *end as usize).collect();
    let around = Around { run: record.run.clone(), umask: options.umask, events: events.clone(), guard };
    let job = CopyJob::new(ctx, scopes, recipe, (targets.clone(), waves.clone()), around)?;
    let plan = Plan { waves, targets, judged: BTreeMap::new(), policy, recovered };
    let start = Start {
        job: Arc::new(job),
        plan,
        run: record.run.clone(),
        directory,
        next_intent: replay.next_intent,
        next_seq: replay.next_seq,
        opening,
        beside: None,
        is_partial: !record.unreached.is_empty(),
    };
    Ok(Some(Prepared { start, lock }))
}

/// The files of a recipe as they are now; nothing of a download.
///
/// # Errors
/// They can't be looked at.
pub(crate) fn look_at_source(recipe: &CopyRecipe) -> Result<SourceState, Failure> {
    match recipe.direction {
        Direction::Upload => SourceState::look(&recipe.local),
        Direction::Download => Ok(SourceState::default()),
    }
}

fn hash_of(ctx: &Ctx, recipe: &CopyRecipe, source: &SourceState) -> Result<String, Failure> {
    match recipe.direction {
        Direction::Upload => Ok(source.hash(&HashKey::open(&ctx.settings.state_dir.value, ctx.random())?)),
        Direction::Download => Ok(String::new()),
    }
}

fn require_same(ctx: &Ctx, record: &RunRecord, recipe: &CopyRecipe) -> Result<(), Failure> {
    let now = look_at_source(recipe)?;
    if hash_of(ctx, recipe, &now)? == recipe.source {
        return Ok(());
    }
    let what = format!("`{}` is not what run {} copies any more", recipe.local.display(), record.run);
    Err(Failure::usage(what).hint(
        "Nodes would end up with different files. Put the same files there, with their times, or copy anew with `herder session cp`.",
    ))
}

fn policy(recipe: &CopyRecipe) -> Policy {
    Policy {
        concurrency: usize::try_from(recipe.rollout.concurrency).unwrap_or(usize::MAX),
        max_errors: recipe.rollout.max_errors,
        batch: 1,
        eagerness: Eagerness::AsCompleted,
        resend_ambiguous: false,
        between: Between { soak: recipe.rollout.soak(), gates: gates(&recipe.rollout.guards) },
        rate: recipe.rollout.rate,
        via: Via::Client,
    }
}

/// Where a node's files go: `DIR/ID`, or `DIR/ACCOUNT/REGION/ID` where there are several scopes, as with `--out-dir`.
fn directory_of(local: &Path, target: &Target, has_scopes: bool) -> PathBuf {
    // Ids are letters, digits and `-`; nothing else may choose a path.
    let safe = |text: &str| -> String {
        text.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).collect()
    };
    let mut path = local.to_owned();
    if has_scopes {
        path.push(safe(&target.account));
        path.push(safe(&target.region));
    }
    path.join(safe(&target.id))
}

/// `3 files, 1.5 MB`.
pub(crate) fn shown(amount: Amount) -> String {
    format!("{}, {}", counted(amount.files, "file"), size(amount.bytes))
}

/// `1.5 MB`.
pub(crate) fn size(bytes: u64) -> String {
    let mut size = bytes as f64;
    let mut unit = "B";
    for larger in ["KB", "MB", "GB", "TB"] {
        if size < 1000.0 {
            break;
        }
        (size, unit) = (size / 1000.0, larger);
    }
    if unit == "B" { format!("{bytes} B") } else { format!("{size:.1} {unit}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_for_people() {
        assert_eq!([0, 999, 1000, 1_500_000].map(size), ["0 B", "999 B", "1.0 KB", "1.5 MB"]);
        assert_eq!(shown(Amount { files: 1, bytes: 12 }), "1 file, 12 B");
        assert_eq!(shown(Amount { files: 2, bytes: 2000 }), "2 files, 2.0 KB");
    }

    #[test]
    fn no_id_leaves_the_directory() {
        let target = Target {
            id: "../i-0".into(),
            name: None,
            account: "1".into(),
            region: "eu-west-1".into(),
            az: None,
            platform: None,
        };
        assert_eq!(directory_of(Path::new("/d"), &target, false), Path::new("/d/___i-0"));
        assert_eq!(directory_of(Path::new("/d"), &target, true), Path::new("/d/1/eu-west-1/___i-0"));
    }
}
