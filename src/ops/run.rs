//! Driving one run: journal, dispatcher and executor together. Every workflow that fans out goes through here.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use herder_core::event::{Event, RunGuards, RunStarted};
use herder_core::fanout::{Budget, Interrupt, Job, Plan, Ports, Recovered, Report, StopReason, fan_out};
use herder_core::journal::{
    EventLog, FORMAT_VERSION, Journal, JournalError, Keep, RunDirectory, RunLock, RunRecord,
};
use herder_core::run_id::RunId;
use herder_core::verdict::Verdict;
use herder_core::via::Via;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use crate::ctx::{Ctx, OnThrottle};
use crate::dispatch::{Counted, Dispatcher, Ending};
use crate::exit::{Exit, RunEnd};
use crate::failure::{Changed, Failure, Kind};
use crate::ops::guards::{Checked, Guard};
use crate::ops::targets::Resolved;
use crate::render::{NotWritten, Renderer};
use crate::scopes::{Scopes, Unreached};

/// Events that may wait for the dispatcher. It only writes to disk, so that this seldom fills.
const EVENTS_WAITING: usize = 4096;

/// How long results may still be written once the run was to be cancelled.
const PATIENCE_WITH_READERS: Duration = Duration::from_secs(10);

/// Where throttle notices of the meter become events of the run, while there is one.
#[derive(Clone, Debug, Default)]
pub(crate) struct ThrottleEvents(Arc<Mutex<Option<mpsc::Sender<Event>>>>);

impl ThrottleEvents {
    /// What the meter calls. A notice that finds no room is left out: the next one says more.
    pub(crate) fn observer(&self) -> OnThrottle {
        let slot = self.clone();
        Arc::new(move |notice| {
            let event = Event::Throttled {
                api: notice.key.api.to_string(),
                account: notice.key.account.to_string(),
                region: notice.key.region.to_string(),
                rate: notice.rate,
            };
            if let Some(events) = slot.0.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
                let _ = events.try_send(event);
            }
        })
    }

    /// Adds an event to the run, in its turn; nothing where no run is on.
    pub(crate) async fn emit(&self, event: Event) {
        let events = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(events) = events {
            // The dispatcher outlives the run; if it is gone there is nobody left to tell.
            let _ = events.send(event).await;
        }
    }

    /// The same at once, if there is room. False where there is none, or no run.
    pub(crate) fn try_emit(&self, event: Event) -> bool {
        let events = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        events.as_ref().is_some_and(|events| events.try_send(event).is_ok())
    }

    fn connect(&self, events: Option<mpsc::Sender<Event>>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = events;
    }
}

/// A run that is ready to go.
pub(crate) struct Start<J> {
    /// What to do on each target.
    pub(crate) job: Arc<J>,
    /// On which, how.
    pub(crate) plan: Plan,
    /// The run.
    pub(crate) run: RunId,
    /// Its directory, locked by the caller.
    pub(crate) directory: RunDirectory,
    /// The number of the next intent.
    pub(crate) next_intent: u64,
    /// The number of the next event.
    pub(crate) next_seq: u64,
    /// What is said first.
    pub(crate) opening: Vec<Event>,
    /// What goes on beside the targets' work, for as long as there is any.
    pub(crate) beside: Option<Beside>,
    /// Whether accounts or regions that were asked for are left out: then not everything that was asked for can happen.
    pub(crate) is_partial: bool,
}

/// A run that only needs to be driven.
pub(crate) struct Prepared<J> {
    /// For the executor and the dispatcher.
    pub(crate) start: Start<J>,
    /// Held while the run is driven.
    pub(crate) lock: RunLock,
}

/// What tells a new run from others.
pub(crate) struct Title<'a, R> {
    /// The workflow.
    pub(crate) command: &'a str,
    /// What it does, for people.
    pub(crate) title: String,
    /// Where each wave ends.
    pub(crate) waves: &'a [usize],
    /// What it needs to go on.
    pub(crate) recipe: &'a R,
}

/// A new run, as its record says it.
///
/// # Errors
/// The recipe can't be written down.
pub(crate) fn new_record<R: Serialize>(
    ctx: &Ctx,
    scopes: &Scopes,
    title: Title<'_, R>,
) -> Result<RunRecord, Failure> {
    let created = ctx.clock.now();
    Ok(RunRecord {
        format: FORMAT_VERSION,
        run: RunId::new(created, (ctx.seed & 0x00ff_ffff) as u32),
        created,
        herder: env!("CARGO_PKG_VERSION").to_owned(),
        command: title.command.to_owned(),
        title: title.title,
        identity: scopes.first().identity.clone(),
        scopes: match scopes.count() {
            1 => Vec::new(),
            _ => scopes.iter().map(|open| open.identity.clone()).collect(),
        },
        role: scopes.role.clone(),
        unreached: scopes.unreached.iter().map(|u| u.name.clone()).collect(),
        waves: title.waves.iter().map(|end| u32::try_from(*end).unwrap_or(u32::MAX)).collect(),
        recipe: serde_json::to_value(title.recipe)
            .map_err(|error| Failure::new(Kind::Bug, "the recipe is not JSON").caused_by(&error))?,
    })
}

/// What a run was made of, as its workflow wrote it down in [`new_record`].
///
/// # Errors
/// The record is damaged.
pub(crate) fn recipe_of<R: DeserializeOwned>(record: &RunRecord) -> Result<R, Failure> {
    serde_json::from_value(record.recipe.clone()).map_err(|error| {
        Failure::new(Kind::Local, format!("run {} is damaged: its recipe can't be read", record.run))
            .caused_by(&error)
    })
}

/// What a run that is picked up with `open` targets says first, and what guards it. It is called off where `checked` is missing:
/// then nothing does.
pub(crate) fn opening_again(open: usize, checked: Option<Checked>) -> (Vec<Event>, Guard) {
    let mut opening = vec![Event::RunResumed { open: open as u64, to_cancel: checked.is_none() }];
    let Some(checked) = checked else { return (opening, Guard::none()) };
    opening.extend(checked.warnings().into_iter().map(warning));
    (opening, checked.into_guard_of_resumed())
}

/// What is said where a run that goes on has used up its budget: it reads what was sent, and sends nothing.
pub(crate) fn used_up(run: &RunId, recovered: &Recovered, max_errors: u64) -> Option<Event> {
    let bad = recovered.verdicts.values().filter(|verdict| verdict.is_bad()).count() as u64;
    let message = format!(
        "nothing more is sent: {} bad already, and --max-errors allows {max_errors}",
        if bad == 1 { "1 target is".to_owned() } else { format!("{bad} targets are") }
    );
    let enough = bad.saturating_add(max_errors);
    let hint =
        format!("`herder runs resume {run} --max-errors {enough}` goes on: the limit is for the whole run.");
    Budget::new(max_errors).is_exceeded_by(bad).then(|| Event::Warning { message, hints: vec![hint] })
}

/// What a new run says first.
pub(crate) fn opening(
    record: &RunRecord,
    scopes: &Scopes,
    resolved: &Resolved,
    (reason, via, guards): (Option<String>, Via, RunGuards),
) -> Vec<Event> {
    let started = Event::RunStarted(RunStarted {
        command: record.command.clone(),
        title: record.title.clone(),
        sim: record.identity.sim,
        targets: resolved.targets.len() as u64,
        waves: u32::try_from(record.waves.len()).unwrap_or(u32::MAX),
        accounts: scopes.accounts(),
        regions: scopes.regions(),
        herder: record.herder.clone(),
        reason,
        via,
        guards,
        left_out: scopes.unreached.iter().map(Unreached::told).collect(),
    });
    let unreached = scopes.unreached.iter().map(ToString::to_string);
    let warnings = scopes.warnings.iter().cloned().chain(unreached).chain(resolved.warnings.iter().cloned());
    std::iter::once(started).chain(warnings.map(warning)).collect()
}

/// A warning without hints.
pub(crate) fn warning(message: String) -> Event {
    Event::Warning { message, hints: Vec::new() }
}

/// Work beside the executor's that nothing waits for.
pub(crate) type Beside = Pin<Box<dyn Future<Output = ()> + Send>>;

/// How a run ended.
pub(crate) struct End {
    /// herder's exit.
    pub(crate) exit: Exit,
    /// The error that ended it early, to be shown beside the results.
    pub(crate) failure: Option<Failure>,
    /// How far it was interrupted.
    pub(crate) interrupt: Interrupt,
    /// Whether the end of any target is not known.
    pub(crate) has_unknown: bool,
    /// Exit code of the last target that ended.
    pub(crate) exit_code: Option<i64>,
    /// Where the error budget stopped it: a `--max-errors` that lets it go on, and bears as many more bad targets as before.
    pub(crate) needs_errors: Option<u64>,
}

/// Runs it to its end.
///
/// # Errors
/// The journal can't be opened: nothing was sent.
pub(crate) async fn drive<J>(
    ctx: &Ctx,
    scopes: &Scopes,
    throttles: &ThrottleEvents,
    start: Start<J>,
    mut renderer: Box<dyn Renderer>,
) -> Result<End, Failure>
where
    J: Job,
    Failure: From<J::Error>,
{
    let begun = Instant::now();
    let (run, max_errors) = (start.run.clone(), start.plan.policy.max_errors);
    let journal = Journal::open(&start.directory, start.next_intent)?;
    let (events, feed) = mpsc::channel(EVENTS_WAITING);
    let (ending, end) = oneshot::channel();
    let mut dispatcher = Dispatcher {
        run: start.run,
        next_seq: start.next_seq,
        clock: ctx.clock,
        log: EventLog::open(&start.directory)?,
        journal: journal.clone(),
        directory: start.directory,
        incomplete: None,
    };
    dispatcher.open(start.opening, renderer.as_mut());
    let dispatched = tokio::task::spawn_blocking(move || dispatcher.run(feed, end, renderer));
    throttles.connect(Some(events.clone()));
    let ports = Ports { journal, events, interrupts: ctx.interrupts.clone() };
    let mut report = with(start.beside, fan_out(start.job, start.plan, ports)).await;
    throttles.connect(None);
    let failure = failure_of(&mut report, &run);
    let exit = match exit_of(&report, failure.as_ref()) {
        Exit::Success if start.is_partial => Exit::Failed,
        exit => exit,
    };
    let totals = scopes.meter().totals();
    // The dispatcher waits for this; if its thread died there is nobody to tell.
    let _ = ending.send(Ending {
        tally: report.tally.clone(),
        exit: exit.code().into(),
        exit_if_incomplete: if_incomplete(&report, failure.as_ref()).code().into(),
        calls: totals.accepted,
        throttles: totals.throttled,
        took: begun.elapsed(),
        error: failure.as_ref().map(|failure| Box::new(failure.of_run())),
    });
    let counted = tokio::select! {
        counted = dispatched => counted.map_err(|error| {
            Failure::new(Kind::Bug, "the dispatcher ended early").caused_by(&error)
        })?,
        () = reader_is_given_up(ctx.interrupts.clone()) => Counted::default(),
    };
    scopes.keep_learned(ctx.clock.now());
    forget_old_runs(ctx).await;
    let exit = if counted.incomplete.is_some() { if_incomplete(&report, failure.as_ref()) } else { exit };
    let incomplete = counted.incomplete.map(|error| incomplete(&error, &run));
    let unshown = counted.shown.err().map(|error| unshown(&error, &run));
    Ok(End {
        // The run did what was asked, the results did not arrive: that is something that failed.
        exit: if unshown.is_some() && exit == Exit::Success { Exit::Failed } else { exit },
        failure: failure.or(incomplete).or(unshown),
        interrupt: *ctx.interrupts.borrow(),
        has_unknown: report.tally.count(Verdict::Unknown) > 0,
        exit_code: counted.exit_code,
        needs_errors: (report.stopped == Some(StopReason::Budget))
            .then(|| report.tally.bad().saturating_add(max_errors)),
    })
}

/// Why results did not arrive, and where they still are.
fn unshown(error: &std::io::Error, run: &RunId) -> Failure {
    let mut failure = match error.get_ref().and_then(|inner| inner.downcast_ref::<NotWritten>()) {
        Some(not_written) => Failure::new(Kind::Local, not_written.to_string()),
        None => Failure::new(Kind::Local, "the results could not be written").caused_by(error),
    };
    failure.changed = Changed::Possibly;
    failure.hint(format!("The run has them: `herder runs show {run} --out-dir DIR` writes them to files."))
}

/// Does the work, and the other beside it until the work is done.
async fn with<T>(beside: Option<Beside>, work: impl Future<Output = T>) -> T {
    let mut work = std::pin::pin!(work);
    if let Some(beside) = beside {
        tokio::select! {
            done = &mut work => return done,
            () = beside => {}
        }
    }
    work.await
}

/// Ends when a reader that does not read is not waited for any longer: at the next interrupt, or some time after one that was to
/// end the run. The run itself is over and on disk then.
async fn reader_is_given_up(mut interrupts: watch::Receiver<Interrupt>) {
    let is_to_end = *interrupts.borrow_and_update() >= Interrupt::Cancel;
    let patience = if is_to_end { PATIENCE_WITH_READERS } else { Duration::MAX };
    // Without a sender nobody can interrupt.
    if let Ok(Err(_)) = tokio::time::timeout(patience, interrupts.changed()).await {
        std::future::pending().await
    }
}

/// What is kept of runs is kept to after each of them, without a word: `herder runs prune` tells what goes.
async fn forget_old_runs(ctx: &Ctx) {
    let (runs, now) = (ctx.runs(), ctx.clock.now());
    let _ = tokio::task::spawn_blocking(move || runs.prune(Keep::default(), now)).await;
}

/// The exit of a run of which something is missing on disk: it needs a person.
fn if_incomplete<E>(report: &Report<E>, failure: Option<&Failure>) -> Exit {
    match exit_of(report, failure) {
        Exit::Success | Exit::Failed | Exit::Unknown => Exit::Stopped,
        exit => exit,
    }
}

fn incomplete(error: &JournalError, run: &RunId) -> Failure {
    let mut failure = Failure::new(Kind::Local, "the journal of this run is incomplete")
        .caused_by(error)
        .hint(format!("Free space in the state directory, then go on with `herder runs resume {run}`."));
    failure.changed = Changed::Possibly;
    failure
}

/// A run that was refused before anything was sent exits as its error says, unless it was interrupted before; any other by its
/// verdicts.
fn exit_of<E>(report: &Report<E>, failure: Option<&Failure>) -> Exit {
    match failure {
        Some(failure) if !report.anything_sent && report.interrupt == Interrupt::None => failure.exit(),
        _ => Exit::of_run(&RunEnd {
            tally: &report.tally,
            stopped: report.stopped,
            interrupt: report.interrupt,
        }),
    }
}

fn failure_of<E>(report: &mut Report<E>, run: &RunId) -> Option<Failure>
where
    Failure: From<E>,
{
    let mut failure = match (report.fatal.take(), report.journal.take()) {
        (Some(error), _) => Failure::from(error),
        (None, Some(error)) if report.anything_sent => incomplete(&error, run),
        (None, Some(error)) => <Failure as From<JournalError>>::from(error),
        (None, None) => return None,
    };
    if report.anything_sent {
        failure.changed = Changed::Possibly;
    }
    Some(failure)
}

#[cfg(test)]
mod tests {
    use herder_core::fanout::StopReason;
    use herder_core::verdict::Tally;

    use super::*;

    fn report(verdict: Verdict, interrupt: Interrupt, anything_sent: bool) -> Report<String> {
        let mut tally = Tally::default();
        tally.add(verdict);
        let stopped = (interrupt > Interrupt::None).then_some(StopReason::Interrupted);
        Report { tally, stopped, interrupt, fatal: None, journal: None, anything_sent }
    }

    #[test]
    fn an_interrupt_comes_before_a_refusal_that_it_met() {
        let denied = Failure::new(Kind::Denied, "no");
        let of = |interrupt| exit_of(&report(Verdict::NotRun, interrupt, false), Some(&denied));
        assert_eq!((of(Interrupt::None), of(Interrupt::Drain)), (Exit::Denied, Exit::Interrupted));
    }

    #[test]
    fn a_run_with_a_hole_in_its_journal_needs_a_person() {
        let of = |verdict, interrupt| if_incomplete(&report(verdict, interrupt, true), None);
        for verdict in [Verdict::Ok, Verdict::Failed, Verdict::Unknown] {
            assert_eq!(of(verdict, Interrupt::None), Exit::Stopped);
        }
        assert_eq!(of(Verdict::Ok, Interrupt::Drain), Exit::Interrupted);
    }
}
