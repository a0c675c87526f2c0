//! `herder runs attach`: watching a run that another process drives.

use std::io::Write as _;
use std::time::Duration;

use clap::Args;
use herder_core::event::Event;
use herder_core::fanout::Interrupt;
use herder_core::journal::{Bodies, EventTail, RunDirectory};
use herder_core::target::RunRef;

use super::run_ref;
use super::show::not_shown;
use crate::args::OutputArgs;
use crate::ctx::Ctx;
use crate::dispatch::replay_event;
use crate::exit::Exit;
use crate::failure::{Failure, Kind};
use crate::io::Io;
use crate::ops::targets::find_run;
use crate::render::{Renderer, renderer};

/// How often the journal is looked at.
const PAUSE: Duration = Duration::from_millis(200);

/// Watch a run that another process drives; Ctrl-C stops watching, not the run
///
/// It exits as the run does. A run that was left behind exits 5: `runs resume` goes on with it.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  herder runs attach last
  herder runs attach 20261121-093000-1f2e3d --jsonl")]
pub(super) struct RunsAttachArgs {
    /// Its id, or `last`
    #[arg(value_parser = run_ref)]
    run: RunRef,

    #[command(flatten)]
    output: OutputArgs,
}

pub(super) async fn run(ctx: &Ctx, io: &Io, args: &RunsAttachArgs) -> Result<Exit, Failure> {
    let directory = find_run(ctx, &args.run)?;
    let record = directory.record()?;
    args.output.make_out_dir()?;
    let bodies = Bodies::open_read_only(&directory.bodies())
        .map_err(|error| Failure::new(Kind::Local, "could not read the run").caused_by(&error))?;
    let mut renderer = renderer(io, &args.output.render_options(ctx));
    let mut watch = Watch { tail: EventTail::new(&directory), bodies: &bodies, exit: None };
    let mut interrupts = ctx.interrupts.clone();
    loop {
        // In this order: what is written between the two looks is seen in the next round.
        let is_driven = directory.is_driven();
        let goes_on = watch.catch_up(renderer.as_mut())?;
        if !goes_on || !is_driven || io.is_unread() {
            break;
        }
        renderer.tick();
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            Ok(()) = interrupts.changed() => break,
        }
    }
    match renderer.finish(&bodies) {
        // A reader that has gone has seen enough.
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => return Err(not_shown(&error)),
        _ => {}
    }
    Ok(match watch.exit {
        Some(exit) if !directory.is_driven() => Exit::Remote(exit),
        _ if *ctx.interrupts.borrow() > Interrupt::None => Exit::Interrupted,
        _ if directory.is_driven() => Exit::Unknown,
        _ => left_behind(io, &directory, &record.run.to_string()),
    })
}

fn left_behind(io: &Io, directory: &RunDirectory, run: &str) -> Exit {
    debug_assert!(!directory.is_driven());
    let mut stderr = io.stderr();
    let _ = writeln!(stderr, "run {run} was left behind: nobody drives it");
    let _ = writeln!(stderr, "hint: Go on with `herder runs resume {run}`.");
    Exit::Unknown
}

struct Watch<'a> {
    tail: EventTail,
    bodies: &'a Bodies,
    /// What the run said at its end, if the last thing it said is its end.
    exit: Option<u8>,
}

impl Watch<'_> {
    /// Shows what is new; false when nobody reads any more.
    fn catch_up(&mut self, renderer: &mut dyn Renderer) -> Result<bool, Failure> {
        for stored in self.tail.read_new()? {
            self.exit = match &stored.envelope.event {
                Event::RunFinished(finished) => u8::try_from(finished.exit).ok(),
                _ => None,
            };
            match replay_event(stored, renderer, self.bodies) {
                Ok(()) => {}
                Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => return Ok(false),
                Err(error) => return Err(not_shown(&error)),
            }
        }
        Ok(true)
    }
}
