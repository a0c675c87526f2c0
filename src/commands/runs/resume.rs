//! `herder runs resume`.

use std::io::Write as _;

use clap::Args;
use herder_core::event::Event;
use herder_core::fanout::{Interrupt, Job};
use herder_core::journal::{Bodies, RunDirectory, RunRecord};
use herder_core::target::{RunRef, Share};

use super::show::show;
use super::{GivenArgs, run_ref};
use crate::args::OutputArgs;
use crate::commands::exec::{Launch, eagerness};
use crate::ctx::Ctx;
use crate::dispatch::replay_event;
use crate::exit::Exit;
use crate::failure::{Failure, Kind};
use crate::io::Io;
use crate::ops::copies::{self, CopyRecipe, ResumeCopies};
use crate::ops::exec::{self, OpenChannels, Purpose, Recipe, ResumeOptions, resume};
use crate::ops::run::{Prepared, Start, ThrottleEvents, recipe_of};
use crate::ops::targets::find_run;
use crate::render::{Format, Renderer};

/// Go on with a run that was killed, interrupted or stopped, where it was
///
/// Sends that took effect are found and adopted, what was never sent is sent, nothing is sent twice. A send whose answer was lost
/// and that can't be found ends `unknown`; --resend-ambiguous sends it again. Values that the journal doesn't keep (--env NAME=VALUE,
/// -p, --stdin) are given again.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  herder runs resume last
  herder runs resume last --max-errors 5
  herder runs resume 20261121-093000-1f2e3d --resend-ambiguous")]
pub(super) struct RunsResumeArgs {
    /// Its id, or `last`
    #[arg(value_parser = run_ref)]
    run: RunRef,

    /// Targets at once from now on
    #[arg(short, long, value_name = "N|N%")]
    concurrency: Option<Share>,

    /// A new limit of bad targets, over the whole run
    #[arg(long, value_name = "N|N%")]
    max_errors: Option<Share>,

    /// Send again where the answer to a send was lost and no trace of it is found; a node may run it twice
    #[arg(long)]
    resend_ambiguous: bool,

    #[command(flatten)]
    given: GivenArgs,

    #[command(flatten)]
    output: OutputArgs,
}

/// Shows what an earlier process of the run already did: its start, and to those who show everything at the end also the results
/// that stand. A stream goes on where it broke off.
pub(super) fn show_earlier<J>(
    start: &Start<J>,
    output: &OutputArgs,
    io: &Io,
    renderer: &mut dyn Renderer,
) -> Result<(), Failure> {
    let failed =
        |error: std::io::Error| Failure::new(Kind::Local, "could not read the run").caused_by(&error);
    let is_stream = match output.format() {
        Format::Auto => !io.stdout_style().is_tty,
        Format::Jsonl | Format::Csv | Format::Quiet => true,
        Format::Json | Format::Table => false,
    };
    let stands: std::collections::HashSet<&str> = start
        .plan
        .recovered
        .verdicts
        .keys()
        .filter_map(|index| start.plan.targets.get(*index))
        .map(|target| target.id.as_str())
        .collect();
    let bodies = Bodies::open_read_only(&start.directory.bodies()).map_err(failed)?;
    let mut has_started = false;
    start.directory.for_each_event(|stored| {
        let is_wanted = match &stored.envelope.event {
            Event::RunStarted(_) => !std::mem::replace(&mut has_started, true),
            Event::TargetFinished(finished) => {
                !is_stream && finished.verdict.is_final() && stands.contains(finished.target.id.as_str())
            }
            _ => false,
        };
        if is_wanted {
            // A reader that is gone is noticed again at the next event.
            let _ = replay_event(stored, renderer, &bodies);
        }
    })?;
    Ok(())
}

pub(super) async fn run(ctx: &Ctx, io: &Io, args: RunsResumeArgs) -> Result<Exit, Failure> {
    let directory = find_run(ctx, &args.run)?;
    let record = directory.record()?;
    refuse_new_simulator(ctx, &record)?;
    ctx.runs().check_writable()?;
    args.output.make_out_dir()?;
    let throttles = ThrottleEvents::default();
    let opening = ctx.open_scopes_of(&record, Some(throttles.observer()));
    let scopes = ctx.until_interrupted(opening).await?;
    let launch = Launch { ctx, io, scopes: &scopes, throttles: &throttles, output: &args.output };
    match record.command.as_str() {
        copies::COMMAND => resume_copies(&launch, &args, directory, &record).await,
        exec::COMMAND => resume_exec(&launch, &args, directory, &record).await,
        _ => Err(not_resumable(&record)),
    }
}

/// A run of a workflow that this herder does not have.
pub(super) fn not_resumable(record: &RunRecord) -> Failure {
    let what = format!("run {} is one of `{}`, which this herder does not know", record.run, record.command);
    Failure::usage(what).hint(format!("Go on with it with herder {} or newer.", record.herder))
}

async fn resume_exec(
    launch: &Launch<'_>,
    args: &RunsResumeArgs,
    directory: RunDirectory,
    record: &RunRecord,
) -> Result<Exit, Failure> {
    let Launch { ctx, io, scopes, throttles, .. } = *launch;
    let recipe: Recipe = recipe_of(record)?;
    let channels = Box::pin(OpenChannels::reopen(scopes, &recipe.places, throttles));
    let (channels, warnings) = ctx.until_interrupted(async { Ok(channels.await) }).await?;
    for warning in warnings {
        let _ = writeln!(io.stderr(), "warning: {warning}");
    }
    let checked = launch.check_again(&recipe.rollout).await?;
    let targets = u64::from(record.waves.last().copied().unwrap_or(0));
    let options = ResumeOptions {
        purpose: Purpose::GoOn,
        given: args.given.values(ctx, io).await?,
        concurrency: args.concurrency.map(|share| share.at_least_one_of(targets)),
        max_errors: args.max_errors.map(|share| share.of(targets)),
        eagerness: eagerness(&args.output),
        resend_ambiguous: args.resend_ambiguous,
        channels,
        checked: Some(checked),
    };
    let prepared = resume(ctx, scopes, directory.clone(), record, options)?;
    go_on(launch, prepared, &directory, record).await
}

async fn resume_copies(
    launch: &Launch<'_>,
    args: &RunsResumeArgs,
    directory: RunDirectory,
    record: &RunRecord,
) -> Result<Exit, Failure> {
    let checked = launch.check_again(&recipe_of::<CopyRecipe>(record)?.rollout).await?;
    let targets = u64::from(record.waves.last().copied().unwrap_or(0));
    let options = ResumeCopies {
        goes_on: true,
        concurrency: args.concurrency.map(|share| share.at_least_one_of(targets)),
        max_errors: args.max_errors.map(|share| share.of(targets)),
        checked: Some(checked),
        umask: crate::io::umask(),
    };
    let (ctx, scopes) = (launch.ctx, launch.scopes);
    let prepared = copies::resume(ctx, scopes, launch.throttles, (directory.clone(), record), options)?;
    go_on(launch, prepared, &directory, record).await
}

/// Drives the rest, if there is any.
async fn go_on<J: Job>(
    launch: &Launch<'_>,
    prepared: Option<Prepared<J>>,
    directory: &RunDirectory,
    record: &RunRecord,
) -> Result<Exit, Failure>
where
    Failure: From<J::Error>,
{
    let Launch { ctx, io, output, .. } = *launch;
    let Some(prepared) = prepared else {
        let _ = writeln!(io.stderr(), "run {} is finished: there is nothing left to do", record.run);
        let end = show(ctx, io, directory, output)?;
        return Ok(end.and_then(|end| u8::try_from(end.exit).ok()).map_or(Exit::Success, Exit::Remote));
    };
    let end = launch.drive(prepared, |start, renderer| show_earlier(start, output, io, renderer)).await?;
    debug_assert!(end.interrupt == Interrupt::None || end.exit == Exit::Interrupted);
    Ok(end.exit)
}

/// A simulator in the process knows nothing of the commands of another one.
pub(super) fn refuse_new_simulator(ctx: &Ctx, record: &RunRecord) -> Result<(), Failure> {
    if ctx.sim.is_none() {
        return Ok(());
    }
    Err(Failure::new(Kind::Refused, format!("run {} can't go on in a new simulator", record.run))
        .hint("A simulator in the process lives for one command; use `herder sim serve` to rehearse this."))
}
