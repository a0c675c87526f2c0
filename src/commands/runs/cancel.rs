//! `herder runs cancel`: calling off what a run has under way.

use std::io::Write as _;
use std::time::Duration;

use clap::Args;
use herder_core::event::RunFinished;
use herder_core::fanout::{Eagerness, Interrupt, Job};
use herder_core::journal::{RunDirectory, RunRecord};
use herder_core::target::RunRef;
use herder_core::verdict::Verdict;
use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::watch;

use super::resume::{not_resumable, refuse_new_simulator, show_earlier};
use super::run_ref;
use super::show::show;
use crate::args::OutputArgs;
use crate::ctx::Ctx;
use crate::exit::Exit;
use crate::failure::{Failure, Kind};
use crate::io::Io;
use crate::ops::copies::{self, ResumeCopies};
use crate::ops::exec::{self, GivenValues, OpenChannels, Purpose, ResumeOptions, resume};
use crate::ops::run::{Prepared, ThrottleEvents, drive};
use crate::ops::targets::find_run;
use crate::render::renderer;
use crate::scopes::Scopes;

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
    args.output.make_out_dir()?;
    let is_driven = directory.is_driven();
    if !is_driven {
        refuse_new_simulator(ctx, &record)?;
        ctx.runs().check_writable()?;
    }
    let throttles = ThrottleEvents::default();
    let opening = ctx.open_scopes_of(&record, Some(throttles.observer()));
    let scopes = match ctx.until_interrupted(opening).await {
        Ok(scopes) => scopes,
        // The process that drives it has what it needs; whoever it belongs to is the only thing to be sure of.
        Err(failure) if is_driven && failure.kind != Kind::Refused => {
            let _ = writeln!(io.stderr(), "warning: {}", failure.message);
            return tell_driver(ctx, io, &directory, args).await;
        }
        Err(failure) => return Err(failure),
    };
    if is_driven {
        return tell_driver(ctx, io, &directory, args).await;
    }
    let calling_off = CallingOff { ctx, io, scopes: &scopes, throttles: &throttles, output: &args.output };
    match record.command.as_str() {
        copies::COMMAND => {
            let options = ResumeCopies {
                goes_on: false,
                concurrency: None,
                max_errors: None,
                checked: None,
                umask: crate::io::umask(),
            };
            let run = (directory.clone(), &record);
            let prepared = copies::resume(ctx, &scopes, &throttles, run, options)?;
            calling_off.end(prepared, &directory, &record).await
        }
        exec::COMMAND => {
            let options = ResumeOptions {
                purpose: Purpose::CallOff,
                given: GivenValues::default(),
                concurrency: None,
                max_errors: None,
                eagerness: Eagerness::AtEnd,
                resend_ambiguous: false,
                channels: OpenChannels::default(),
                checked: None,
            };
            let prepared = resume(ctx, &scopes, directory.clone(), &record, options)?;
            calling_off.end(prepared, &directory, &record).await
        }
        _ => Err(not_resumable(&record)),
    }
}

/// What a run that was left behind is called off with.
struct CallingOff<'a> {
    ctx: &'a Ctx,
    io: &'a Io,
    scopes: &'a Scopes,
    throttles: &'a ThrottleEvents,
    output: &'a OutputArgs,
}

impl CallingOff<'_> {
    async fn end<J: Job>(
        &self,
        prepared: Option<Prepared<J>>,
        directory: &RunDirectory,
        record: &RunRecord,
    ) -> Result<Exit, Failure>
    where
        Failure: From<J::Error>,
    {
        let CallingOff { ctx, io, scopes, throttles, output } = *self;
        let Some(Prepared { start, lock }) = prepared else {
            let _ = writeln!(io.stderr(), "run {} is finished: there is nothing to cancel", record.run);
            return Ok(exit_of(show(ctx, io, directory, output)?.as_ref()));
        };
        // As if it had been interrupted twice before it began; a run that only lacks its end is not.
        let has_open = start.plan.recovered.verdicts.len() < start.plan.targets.len();
        let (level, interrupts) = watch::channel(Interrupt::None);
        level.send_replace(if has_open { Interrupt::Cancel } else { Interrupt::None });
        let cancelling = ctx.with_interrupts(interrupts);
        let mut renderer = renderer(io, &output.render_options(ctx));
        show_earlier(&start, output, io, renderer.as_mut())?;
        let end = drive(&cancelling, scopes, throttles, start, renderer).await?;
        drop(lock);
        if let Some(failure) = &end.failure {
            crate::report(io, failure, None);
        }
        // That it was interrupted is what was asked for; what matters is whether anything is left in doubt, or went wrong on the way.
        Ok(match &end.failure {
            _ if end.has_unknown => Exit::Unknown,
            Some(failure) => failure.exit(),
            None => Exit::Success,
        })
    }
}

/// What is called off is called off if nothing is left in doubt.
fn exit_of(end: Option<&RunFinished>) -> Exit {
    match end {
        Some(end) if end.tally.count(Verdict::Unknown) == 0 => Exit::Success,
        _ => Exit::Unknown,
    }
}

async fn tell_driver(
    ctx: &Ctx,
    io: &Io,
    directory: &RunDirectory,
    args: &RunsCancelArgs,
) -> Result<Exit, Failure> {
    let failed = |what: String| Failure::new(Kind::Refused, what);
    // It may have ended meanwhile; then its number may be another process's already.
    if let Some(driver) = directory.driver() {
        let pid = i32::try_from(driver).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| failed(format!("the run's lock names no process (`{driver}`)")))?;
        if !is_herder(driver) {
            return Err(failed(format!("process {driver}, which the run's lock names, is no herder"))
                .hint("It may run on another machine or in another container: interrupt it there."));
        }
        if directory.driver() == Some(driver) {
            kill_process(pid, Signal::TERM).map_err(|error| {
                failed(format!("could not tell process {driver} to cancel"))
                    .caused_by(&std::io::Error::from(error))
            })?;
            let _ = writeln!(io.stderr(), "told process {driver} to cancel; waiting for it");
        }
    }
    let mut interrupts = ctx.interrupts.clone();
    let given_up = tokio::time::Instant::now() + PATIENCE;
    while directory.is_driven() && tokio::time::Instant::now() < given_up {
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(100)) => {}
            Ok(()) = interrupts.changed() => return Ok(Exit::Interrupted),
        }
    }
    let is_driven = directory.is_driven();
    if is_driven {
        let _ = writeln!(io.stderr(), "it is still being driven; watch it with `herder runs attach`");
    }
    let end = show(ctx, io, directory, &args.output)?;
    Ok(if is_driven { Exit::Unknown } else { exit_of(end.as_ref()) })
}

/// Whether a process runs the same program as this one. Where the system doesn't tell, the lock is believed.
fn is_herder(pid: u32) -> bool {
    let program = |pid: &str| -> Option<String> {
        let path = std::fs::read_link(format!("/proc/{pid}/exe")).ok()?;
        // A program that was replaced since it was started is marked so.
        Some(path.file_name()?.to_string_lossy().trim_end_matches(" (deleted)").to_owned())
    };
    let Some(own) = program("self") else { return true };
    match program(&pid.to_string()) {
        Some(other) => other == own || other == "herder",
        // Another user's process can't be looked at, and can't be told anything either.
        None => false,
    }
}
