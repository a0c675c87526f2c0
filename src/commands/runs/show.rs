//! `herder runs show`.

use clap::Args;
use herder_core::event::{Event, RunFinished};
use herder_core::journal::{Bodies, RunDirectory};
use herder_core::target::RunRef;

use super::run_ref;
use crate::args::OutputArgs;
use crate::ctx::Ctx;
use crate::dispatch::replay_event;
use crate::exit::Exit;
use crate::failure::{Failure, Kind};
use crate::io::Io;
use crate::ops::targets::find_run;
use crate::render::renderer;

/// Show a run as it was shown when it ran
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  herder runs show last
  herder runs show 20261121-093000-1f2e3d --jsonl | jq -r 'select(.type==\"target_finished\") | .target'")]
pub(super) struct RunsShowArgs {
    /// Its id, or `last`
    #[arg(value_parser = run_ref)]
    run: RunRef,

    #[command(flatten)]
    output: OutputArgs,
}

pub(super) fn run(ctx: &Ctx, io: &Io, args: &RunsShowArgs) -> Result<Exit, Failure> {
    let directory = find_run(ctx, &args.run)?;
    directory.record()?;
    args.output.make_out_dir()?;
    // What was asked for is to see it: that happened, whatever came of the run.
    show(ctx, io, &directory, &args.output).map(|_| Exit::Success)
}

/// It is there, and can't be written.
pub(super) fn not_shown(error: &std::io::Error) -> Failure {
    Failure::new(Kind::Output, "could not show the run").caused_by(error)
}

/// Shows a run through the same renderer that showed it when it ran. Gives its end, if it has come to one.
///
/// # Errors
/// It can't be read, or not be shown.
pub(super) fn show(
    ctx: &Ctx,
    io: &Io,
    directory: &RunDirectory,
    output: &OutputArgs,
) -> Result<Option<RunFinished>, Failure> {
    let failed =
        |error: std::io::Error| Failure::new(Kind::Local, "could not show the run").caused_by(&error);
    let bodies = Bodies::open_read_only(&directory.bodies()).map_err(failed)?;
    let mut renderer = renderer(io, &output.render_options(ctx));
    let mut broken: Option<std::io::Error> = None;
    let mut end = None;
    directory.for_each_event(|stored| {
        match &stored.envelope.event {
            Event::RunFinished(finished) => end = Some(finished.clone()),
            Event::RunResumed { .. } => end = None,
            _ => {}
        }
        if broken.is_none() {
            broken = replay_event(stored, renderer.as_mut(), &bodies).err();
        }
    })?;
    let shown = match broken {
        Some(error) => Err(error),
        None => renderer.finish(&bodies),
    };
    match shown {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(not_shown(&error)),
        _ => Ok(end),
    }
}
