//! `herder runs retry`: the same again, on those targets of a run that ended a certain way.

use clap::Args;
use herder_core::journal::{Replay, RunRecord};
use herder_core::target::{RunRef, Which};
use herder_core::verdict::Verdict;

use super::resume::not_resumable;
use super::{GivenArgs, run_ref, which};
use crate::args::{OutputArgs, RolloutArgs, ViaChoice};
use crate::commands::exec::{Launch, eagerness};
use crate::commands::session::Copying;
use crate::ctx::Ctx;
use crate::exit::Exit;
use crate::failure::{Failure, Kind};
use crate::io::Io;
use crate::ops::copies::{self, CopyRecipe};
use crate::ops::exec::{self, ExecOptions, OpenChannels, Recipe};
use crate::ops::run::{ThrottleEvents, recipe_of};
use crate::ops::targets::{Resolved, TargetSpec, find_run, resolve};
use crate::scopes::Scopes;

/// Run the same again, as a new run, on those targets that ended a certain way
///
/// Targets that ran already run again. To go on with what was never sent, use `runs resume`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  herder runs retry last
  herder runs retry last --where undelivered -c 10%
  herder runs retry 20261121-093000-1f2e3d --where failed --dry-run")]
pub(super) struct RunsRetryArgs {
    /// Its id, or `last`
    #[arg(value_parser = run_ref)]
    run: RunRef,

    /// Which targets: bad, or a verdict such as failed, undelivered or unknown (can be repeated)
    #[arg(long = "where", value_name = "VERDICT", default_value = "bad", value_parser = which)]
    wanted: Vec<Which>,

    #[command(flatten)]
    rollout: RolloutArgs,

    #[command(flatten)]
    given: GivenArgs,

    #[command(flatten)]
    output: OutputArgs,
}

pub(super) async fn run(ctx: &Ctx, io: &Io, args: RunsRetryArgs) -> Result<Exit, Failure> {
    let directory = find_run(ctx, &args.run)?;
    let record = directory.record()?;
    let replay = Replay::read(&directory)?;
    let is_wanted = |verdict: &Option<Verdict>| {
        verdict.is_some_and(|verdict| args.wanted.iter().any(|which| which.includes(verdict)))
    };
    let ids = directory.targets()?.into_iter().zip(&replay.verdicts).filter(|(_, v)| is_wanted(v));
    let ids: Vec<String> = ids.map(|(target, _)| target.id).collect();
    if ids.is_empty() {
        return Err(Failure::new(Kind::NotFound, format!("no target of run {} ended like that", record.run)));
    }
    if args.rollout.via == ViaChoice::Service {
        return Err(Failure::usage(
            "--via service does not go with a retry: its targets are known by their ids",
        )
        .hint("Leave it away, or run `herder exec` on a selector again."));
    }
    if !args.rollout.dry_run {
        ctx.runs().check_writable()?;
    }
    let throttles = ThrottleEvents::default();
    let again = Again { ctx, io, args: &args, record: &record, throttles: &throttles };
    match record.command.as_str() {
        copies::COMMAND => again.copy(&ids).await,
        exec::COMMAND => again.exec(&ids).await,
        _ => Err(not_resumable(&record)),
    }
}

/// What is done again.
struct Again<'a> {
    ctx: &'a Ctx,
    io: &'a Io,
    args: &'a RunsRetryArgs,
    record: &'a RunRecord,
    throttles: &'a ThrottleEvents,
}

impl Again<'_> {
    /// Why, unless it is said: it is a retry.
    fn note(&self) -> Option<String> {
        let reason = self.args.rollout.reason.clone();
        reason.or_else(|| Some(format!("retry of {}", self.record.run)))
    }

    /// The run's accounts and regions, and its nodes as they are now.
    async fn resolved(&self, ids: &[String]) -> Result<(Scopes, Resolved), Failure> {
        let opening = self.ctx.open_scopes_of(self.record, Some(self.throttles.observer()));
        let mut scopes = Box::pin(opening).await?;
        let spec = TargetSpec::of_ids(ids, self.args.rollout.spread);
        let resolved = Box::pin(resolve(self.ctx, &mut scopes, spec, None)).await?;
        Ok((scopes, resolved))
    }

    async fn exec(&self, ids: &[String]) -> Result<Exit, Failure> {
        let Again { ctx, io, args, record, throttles } = *self;
        let recipe: Recipe = recipe_of(record)?;
        let (scopes, channels, mut resolved) = ctx
            .until_interrupted(async {
                let (scopes, resolved) = self.resolved(ids).await?;
                let channels = Box::pin(OpenChannels::open(&scopes, &recipe.places, throttles)).await?;
                Ok((scopes, channels, resolved))
            })
            .await?;
        let count = resolved.targets.len() as u64;
        let (recipe, waves) = args.rollout.apply(recipe, count)?;
        resolved.warnings.extend(args.rollout.wave_warnings(count));
        let options = ExecOptions {
            recipe,
            given: args.given.values(ctx, io).await?,
            resolved,
            waves,
            eagerness: eagerness(&args.output),
            resend_ambiguous: false,
            channels,
            note: self.note(),
        };
        let launch = Launch { ctx, io, scopes: &scopes, throttles, output: &args.output };
        if args.rollout.dry_run {
            return launch.show_plan(&options).await;
        }
        Ok(launch.run(options).await?.exit)
    }

    async fn copy(&self, ids: &[String]) -> Result<Exit, Failure> {
        let Again { ctx, io, args, record, throttles } = *self;
        let recipe = CopyRecipe { reason: self.note(), ..recipe_of(record)? };
        let (scopes, resolved) = ctx.until_interrupted(self.resolved(ids)).await?;
        let launch = Launch { ctx, io, scopes: &scopes, throttles, output: &args.output };
        let copying = Copying { launch: &launch, rollout: &args.rollout };
        copying.run(recipe, resolved).await
    }
}
