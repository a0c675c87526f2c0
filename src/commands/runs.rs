//! `herder runs`: runs from their journals.

use std::io::Write as _;

use clap::{Args, Subcommand};
use herder_core::event::Event;
use herder_core::fanout::Interrupt;
use herder_core::journal::Bodies;
use herder_core::target::{RunRef, Share};

use super::exec::{conclude, eagerness, read_stdin};
use super::write_list;
use crate::args::{ListArgs, OutputArgs};
use crate::ctx::Ctx;
use crate::dispatch::replay_event;
use crate::exit::Exit;
use crate::failure::{Failure, Kind};
use crate::io::Io;
use crate::ops::exec::{GivenValues, Prepared, ResumeOptions, resume, split_env, split_parameters};
use crate::ops::run::{Start, ThrottleEvents, drive};
use crate::ops::runs::{check_identity, list};
use crate::ops::targets::find_run;
use crate::render::{Column, Format, Renderer, renderer};

/// Look at runs, and go on with one that was killed
#[derive(Args, Clone, Debug)]
pub(crate) struct RunsArgs {
    #[command(subcommand)]
    verb: RunsVerb,
}

#[derive(Clone, Debug, Subcommand)]
enum RunsVerb {
    List(RunsListArgs),
    Show(RunsShowArgs),
    Resume(Box<RunsResumeArgs>),
}

/// List runs, newest first
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  herder runs list
  herder runs list --json | jq -r '.[] | select(.state==\"left_behind\") | .run'")]
struct RunsListArgs {
    #[command(flatten)]
    list: ListArgs,
}

/// Show a run as it was shown when it ran
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  herder runs show last
  herder runs show 20261121-093000-1f2e3d --jsonl | jq -r 'select(.type==\"target_finished\") | .target'")]
struct RunsShowArgs {
    /// Its id, or `last`
    #[arg(value_parser = run_ref)]
    run: RunRef,

    #[command(flatten)]
    output: OutputArgs,
}

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
struct RunsResumeArgs {
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

    /// A variable's value again (can be repeated)
    #[arg(long, value_name = "NAME=VALUE")]
    env: Vec<String>,

    /// A parameter of the document again (can be repeated)
    #[arg(short, long = "parameter", value_name = "NAME=VALUE")]
    parameters: Vec<String>,

    /// Give the command's standard input again
    #[arg(long)]
    stdin: bool,

    #[command(flatten)]
    output: OutputArgs,
}

fn run_ref(text: &str) -> Result<RunRef, String> {
    match text.trim_start_matches('@') {
        "last" => Ok(RunRef::Last),
        id => id.parse().map(RunRef::Id).map_err(|error: herder_core::run_id::NotARunId| error.to_string()),
    }
}

const COLUMNS: [Column; 13] = [
    Column::usual("run"),
    Column::usual("state"),
    Column::usual("created").of_times(),
    Column::usual("command"),
    Column::usual("title"),
    Column::usual("targets"),
    Column::usual("tally"),
    Column::usual("exit"),
    Column::extra("open"),
    Column::extra("took_ms"),
    Column::extra("account"),
    Column::extra("region"),
    Column::extra("sim"),
];

pub(crate) async fn run(ctx: &Ctx, io: &Io, args: RunsArgs) -> Result<Exit, Failure> {
    match args.verb {
        RunsVerb::List(args) => list_runs(ctx, io, &args),
        RunsVerb::Show(args) => show(ctx, io, &args),
        RunsVerb::Resume(args) => resume_run(ctx, io, *args).await,
    }
}

fn list_runs(ctx: &Ctx, io: &Io, args: &RunsListArgs) -> Result<Exit, Failure> {
    let (runs, warnings) = list(ctx)?;
    for warning in warnings {
        let _ = writeln!(io.stderr(), "warning: {warning}");
    }
    write_list(io, &COLUMNS, &args.list.options(ctx), &runs)
}

/// Shows the run through the same renderer; exits as it did, so that scripts can ask later.
fn show(ctx: &Ctx, io: &Io, args: &RunsShowArgs) -> Result<Exit, Failure> {
    let directory = find_run(ctx, &args.run)?;
    directory.record()?;
    let failed =
        |error: std::io::Error| Failure::new(Kind::Local, "could not show the run").caused_by(&error);
    let bodies = Bodies::open_read_only(&directory.bodies()).map_err(failed)?;
    let mut renderer = renderer(io, &args.output.render_options(ctx));
    let mut broken: Option<std::io::Error> = None;
    directory.for_each_event(|stored| {
        if broken.is_none() {
            broken = replay_event(stored, renderer.as_mut(), &bodies).err();
        }
    })?;
    let shown = match broken {
        Some(error) => Err(error),
        None => renderer.finish(&bodies),
    };
    match shown {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(failed(error)),
        _ => Ok(Exit::Success),
    }
}

/// Shows what an earlier process of the run already did: its start, and to those who show everything at the end also the results
/// that stand. A stream goes on where it broke off.
fn show_earlier<J>(
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

async fn resume_run(ctx: &Ctx, io: &Io, args: RunsResumeArgs) -> Result<Exit, Failure> {
    let directory = find_run(ctx, &args.run)?;
    let record = directory.record()?;
    if ctx.sim.is_some() {
        return Err(Failure::new(
            Kind::Refused,
            format!("run {} can't go on in a new simulator", record.run),
        )
        .hint(
            "A simulator in the process lives for one command; use `herder sim serve` to rehearse a resume.",
        ));
    }
    let throttles = ThrottleEvents::default();
    let open = ctx.until_interrupted(ctx.open_scope(Some(throttles.observer()))).await?;
    check_identity(&record, &open.identity)?;
    let (_, env) = split_env(&args.env)?;
    let stdin = if args.stdin { Some(read_stdin(ctx, io).await?) } else { None };
    let targets = u64::from(record.waves.last().copied().unwrap_or(0));
    let options = ResumeOptions {
        given: GivenValues { env, parameters: split_parameters(&args.parameters)?, stdin },
        concurrency: args.concurrency.map(|share| share.at_least_one_of(targets)),
        max_errors: args.max_errors.map(|share| share.of(targets)),
        eagerness: eagerness(&args.output),
        resend_ambiguous: args.resend_ambiguous,
    };
    let Some(prepared) = resume(ctx, &open, directory, &record, options)? else {
        let _ = writeln!(io.stderr(), "run {} is finished: there is nothing left to do", record.run);
        return Ok(Exit::Success);
    };
    let Prepared { start, _lock: lock } = prepared;
    let mut renderer = renderer(io, &args.output.render_options(ctx));
    show_earlier(&start, &args.output, io, renderer.as_mut())?;
    let end = drive(ctx, &open, &throttles, start, renderer).await?;
    drop(lock);
    conclude(io, &record.run, &end);
    debug_assert!(end.interrupt == Interrupt::None || end.exit == Exit::Interrupted);
    Ok(end.exit)
}
