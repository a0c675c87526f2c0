//! `herder runs cancel`: calling off what a run has under way.

use std::io::Write as _;
use std::time::Duration;

use clap::Args;
use herder_core::fanout::{Eagerness, Interrupt};
use herder_core::journal::RunDirectory;
use herder_core::target::RunRef;
use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::watch;

use super::resume::refuse_new_simulator;
use super::run_ref;
use crate::args::OutputArgs;
use crate::commands::exec::conclude;
use crate::ctx::Ctx;
use crate::exit::Exit;
use crate::failure::{Failure, Kind};
use crate::io::Io;
use crate::ops::exec::{GivenValues, Prepared, Purpose, ResumeOptions, resume};
use crate::ops::run::{ThrottleEvents, drive};
use crate::ops::runs::check_identity;
use crate::ops::targets::find_run;
use crate::render::renderer;

/// How long a living driver may take: its own 10 s for the remote cancel, and some to write it down.
const PATIENCE: Duration = Duration::from_secs(20);

/// Cancel a run: nothing new is sent, what runs is cancelled remotely
///
/// A process that drives the run is told to cancel it (SIGTERM) and waited for. A run that was left behind is cancelled from here: its
/// sends are looked for, cancelled, and watched for up to 10 s. What ran already is not undone.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  herder runs cancel last
  herder runs cancel 20261121-093000-1f2e3d")]
pub(super) struct RunsCancelArgs {
    /// Its id, or `last`
    #[arg(value_parser = run_ref)]
    run: RunRef,

    #[command(flatten)]
    output: OutputArgs,
}

pub(super) async fn run(ctx: &Ctx, io: &Io, args: &RunsCancelArgs) -> Result<Exit, Failure> {
    let directory = find_run(ctx, &args.run)?;
    let record = directory.record()?;
    if let Some(driver) = directory.driver() {
        return tell_driver(io, &directory, driver).await;
    }
    refuse_new_simulator(ctx, &record)?;
    let throttles = ThrottleEvents::default();
    let open = ctx.until_interrupted(ctx.open_scope(Some(throttles.observer()))).await?;
    check_identity(&record, &open.identity)?;
    let options = ResumeOptions {
        purpose: Purpose::CallOff,
        given: GivenValues::default(),
        concurrency: None,
        max_errors: None,
        eagerness: Eagerness::AtEnd,
        resend_ambiguous: false,
    };
    let Some(Prepared { start, _lock: lock }) = resume(ctx, &open, directory, &record, options)? else {
        let _ = writeln!(io.stderr(), "run {} is finished: there is nothing to cancel", record.run);
        return Ok(Exit::Success);
    };
    // As if it had been interrupted twice before it began.
    let (level, interrupts) = watch::channel(Interrupt::None);
    level.send_replace(Interrupt::Cancel);
    let cancelling = ctx.with_interrupts(interrupts);
    let renderer = renderer(io, &args.output.render_options(ctx));
    let end = drive(&cancelling, &open, &throttles, start, renderer).await?;
    drop(lock);
    conclude(io, &record.run, &end);
    // That it was interrupted is what was asked for; what matters is whether anything is left in doubt.
    Ok(if end.has_unknown { Exit::Unknown } else { Exit::Success })
}

async fn tell_driver(io: &Io, directory: &RunDirectory, driver: u32) -> Result<Exit, Failure> {
    let failed = |what: String| Failure::new(Kind::Refused, what);
    let pid = i32::try_from(driver).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| failed(format!("the run's lock names no process (`{driver}`)")))?;
    kill_process(pid, Signal::TERM).map_err(|error| {
        failed(format!("could not tell process {driver} to cancel")).caused_by(&std::io::Error::from(error))
    })?;
    let _ = writeln!(io.stderr(), "told process {driver} to cancel; waiting for it");
    let given_up = tokio::time::Instant::now() + PATIENCE;
    while directory.is_driven() {
        if tokio::time::Instant::now() > given_up {
            let _ = writeln!(io.stderr(), "process {driver} still drives it");
            return Ok(Exit::Unknown);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(Exit::Success)
}
