//! Looking at runs and going on with them, from the journal.

mod filter;

use herder_core::event::{Event, RunFinished};
use herder_core::journal::{Identity, Replay, RunDirectory, RunRecord};
use herder_core::run_id::RunId;
use herder_core::verdict::Tally;
use jiff::Timestamp;
use serde::Serialize;

pub(crate) use self::filter::RunFilter;
use crate::ctx::Ctx;
use crate::failure::{Failure, Kind};
use crate::scopes::Scopes;

/// One run, as `runs list --json` shows it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct RunSummary {
    pub(crate) run: RunId,
    pub(crate) command: String,
    pub(crate) title: String,
    /// `--reason`.
    pub(crate) reason: Option<String>,
    pub(crate) state: RunState,
    pub(crate) created: Timestamp,
    /// Account ids, joined by commas.
    pub(crate) account: String,
    /// Regions, joined by commas.
    pub(crate) region: String,
    pub(crate) sim: bool,
    pub(crate) targets: u64,
    /// The last verdict of each target.
    pub(crate) tally: Tally,
    /// Targets without a verdict.
    pub(crate) open: u64,
    /// herder's exit code; null while it runs, or if it was killed.
    pub(crate) exit: Option<i32>,
    pub(crate) took_ms: Option<u64>,
}

/// What a run is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub(crate) enum RunState {
    /// A process drives it.
    Running,
    /// It was driven to its end.
    Finished,
    /// The process that drove it is gone; `runs resume` goes on.
    LeftBehind,
}

/// The runs that the filter admits, newest first. Runs that can't be read are given as warnings.
///
/// # Errors
/// The directory of runs can't be read.
pub(crate) fn list(ctx: &Ctx, filter: &RunFilter) -> Result<(Vec<RunSummary>, Vec<String>), Failure> {
    let runs = ctx.runs();
    let mut summaries = Vec::new();
    let mut warnings = Vec::new();
    for run in runs.list()? {
        if filter.limit.is_some_and(|limit| summaries.len() >= limit) {
            break;
        }
        let summary =
            runs.open(&run).map_err(Failure::from).and_then(|directory| admitted(&directory, filter));
        match summary {
            Ok(summary) => summaries.extend(summary),
            Err(failure) => warnings.push(format!("run {run}: {}", failure.message)),
        }
    }
    Ok((summaries, warnings))
}

/// The run, if the filter admits it.
fn admitted(directory: &RunDirectory, filter: &RunFilter) -> Result<Option<RunSummary>, Failure> {
    let record = directory.record()?;
    if !filter.admits_record(&record) || !filter.admits_targets(directory)? {
        return Ok(None);
    }
    let summary = summarise(directory, record)?;
    Ok(filter.admits_summary(&summary).then_some(summary))
}

fn summarise(directory: &RunDirectory, record: RunRecord) -> Result<RunSummary, Failure> {
    let replay = Replay::read(directory)?;
    let mut last: Option<RunFinished> = None;
    let mut reason = None;
    directory.for_each_event(|stored| match stored.envelope.event {
        Event::RunStarted(started) => reason = started.reason,
        Event::RunFinished(finished) => last = Some(finished),
        _ => {}
    })?;
    let mut tally = Tally::default();
    replay.verdicts.iter().flatten().for_each(|verdict| tally.add(*verdict));
    let state = if directory.is_driven() {
        RunState::Running
    } else if replay.is_finished {
        RunState::Finished
    } else {
        RunState::LeftBehind
    };
    let end = last.filter(|_| replay.is_finished);
    Ok(RunSummary {
        account: joined(record.identities().iter().map(|i| i.account.as_str())),
        region: joined(record.identities().iter().map(|i| i.region.as_str())),
        run: record.run,
        command: record.command,
        title: record.title,
        reason,
        state,
        created: record.created,
        sim: record.identity.sim,
        targets: replay.verdicts.len() as u64,
        open: replay.verdicts.len() as u64 - tally.total(),
        tally,
        exit: end.as_ref().map(|end| end.exit),
        took_ms: end.map(|end| end.took_ms),
    })
}

/// A run belongs to its accounts, regions, endpoint and principals; elsewhere its ids mean something else or nothing.
///
/// # Errors
/// They differ (exit 8).
pub(crate) fn check_identity(record: &RunRecord, here: &Scopes) -> Result<(), Failure> {
    for was in record.identities() {
        let same = here.get(&was.account, &was.region);
        let Some((what, was, is)) = difference(was, &same.unwrap_or_else(|| here.first()).identity) else {
            continue;
        };
        return Err(Failure::new(
            Kind::Refused,
            format!("run {} belongs to another {what}: `{was}`, not `{is}`", record.run),
        )
        .hint("Use the profile, region and endpoint that it was started with."));
    }
    Ok(())
}

/// In what two identities differ.
fn difference(was: &Identity, is: &Identity) -> Option<(&'static str, String, String)> {
    let shown = |endpoint: &Option<String>| endpoint.clone().unwrap_or_else(|| "AWS".to_owned());
    let differences = [
        ("simulator", was.sim.to_string(), is.sim.to_string()),
        ("endpoint", shown(&was.endpoint), shown(&is.endpoint)),
        ("account", was.account.clone(), is.account.clone()),
        ("region", was.region.clone(), is.region.clone()),
        ("principal", was.principal.clone(), is.principal.clone()),
    ];
    differences.into_iter().find(|(_, was, is)| was != is)
}

/// Each once, joined by commas.
fn joined<'a>(items: impl Iterator<Item = &'a str>) -> String {
    let mut all: Vec<&str> = Vec::new();
    for item in items {
        if !all.contains(&item) {
            all.push(item);
        }
    }
    all.join(",")
}
