//! Forgetting old runs: by age, and by what they take on disk.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::{JournalError, Replay, RunDirectory, RunsDirectory};
use crate::run_id::RunId;

/// What is kept. The defaults are CLI.md's: 30 days or 5 GB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// Runs younger than this.
    pub age: Duration,
    /// Of these the newest that fit into so many bytes.
    pub bytes: u64,
}

impl Default for Keep {
    fn default() -> Keep {
        Keep { age: Duration::from_secs(30 * 86_400), bytes: 5_000_000_000 }
    }
}

/// A run that is to be forgotten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prunable {
    /// The run.
    pub run: RunId,
    /// When it was made; `None` where its record can't be read.
    pub created: Option<Timestamp>,
    /// What it takes on disk.
    pub bytes: u64,
}

/// What was forgotten.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Runs.
    pub runs: usize,
    /// What they took on disk.
    pub bytes: u64,
}

/// Runs that [`RunsDirectory::prune`] forgets at once: nobody waits for it.
const AT_ONCE: usize = 50;
/// A run that was left behind is kept so many times as long.
const UNFINISHED: u32 = 3;

impl RunsDirectory {
    /// Forgets the oldest of the runs that are not to be kept, a few at a time. Those that can't be removed stay.
    ///
    /// # Errors
    /// The directory of runs can't be read.
    pub fn prune(&self, keep: Keep, now: Timestamp) -> Result<Pruned, JournalError> {
        let mut pruned = Pruned::default();
        for prunable in self.prunable(keep, now)?.iter().rev().take(AT_ONCE) {
            if self.forget(&prunable.run).is_ok() {
                pruned.runs += 1;
                pruned.bytes = pruned.bytes.saturating_add(prunable.bytes);
            }
        }
        Ok(pruned)
    }

    /// The runs that are not to be kept, oldest last. A run that is driven at this moment is always kept, and one that was left
    /// behind is kept longer, however much it takes: what it did may have to be found out yet.
    ///
    /// # Errors
    /// The directory of runs can't be read.
    pub fn prunable(&self, keep: Keep, now: Timestamp) -> Result<Vec<Prunable>, JournalError> {
        let mut room = keep.bytes;
        let mut prunable = Vec::new();
        for run in self.list()? {
            // Somebody else may have forgotten it meanwhile.
            let Ok(directory) = self.open(&run) else { continue };
            let bytes = size_of(directory.path());
            let created = directory.record().ok().map(|record| record.created);
            let is_older = |than| created.is_some_and(|at| is_older(at, now, than));
            let is_kept = directory.is_driven()
                || (!is_older(keep.age) && bytes <= room)
                || (!is_older(keep.age.saturating_mul(UNFINISHED)) && is_unfinished(&directory));
            if is_kept {
                room = room.saturating_sub(bytes);
            } else {
                prunable.push(Prunable { run, created, bytes });
            }
        }
        Ok(prunable)
    }

    /// Forgets a run: its record first, so that what a kill leaves behind is no run any more.
    ///
    /// # Errors
    /// Another process drives it, or its files can't be removed.
    pub fn forget(&self, run: &RunId) -> Result<(), JournalError> {
        let directory: RunDirectory = self.open(run)?;
        let _lock = directory.lock()?;
        let path = directory.path();
        fs::remove_file(path.join("run.json")).map_err(JournalError::io("remove", path))?;
        fs::remove_dir_all(path).map_err(JournalError::io("remove", path))
    }
}

/// A clock that was set back since makes nothing old.
fn is_older(created: Timestamp, now: Timestamp, than: Duration) -> bool {
    SignedDuration::try_from(than).is_ok_and(|than| now.duration_since(created) > than)
}

/// Whether a process left it behind. What can't be read can't be gone on with either.
fn is_unfinished(directory: &RunDirectory) -> bool {
    Replay::read(directory).is_ok_and(|replay| !replay.is_finished)
}

/// Bytes of the files below; what can't be read counts nothing.
fn size_of(path: &Path) -> u64 {
    let entries: io::Result<fs::ReadDir> = fs::read_dir(path);
    let entries = entries.into_iter().flatten().filter_map(Result::ok);
    entries
        .map(|entry| match entry.metadata() {
            Ok(meta) if meta.is_dir() => size_of(&entry.path()),
            Ok(meta) => meta.len(),
            Err(_) => 0,
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Envelope, Event, RunFinished, SCHEMA_VERSION};
    use crate::journal::{EventLog, FORMAT_VERSION, Identity, RunRecord};
    use crate::verdict::Tally;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn make(runs: &RunsDirectory, created: &str, filler: usize) -> RunId {
        make_run(runs, created, filler, true)
    }

    fn make_run(runs: &RunsDirectory, created: &str, filler: usize, is_finished: bool) -> RunId {
        let created = at(created);
        let run = RunId::new(created, 7);
        let identity = Identity {
            account: String::new(),
            region: String::new(),
            principal: String::new(),
            endpoint: None,
            sim: true,
        };
        let record = RunRecord {
            format: FORMAT_VERSION,
            run: run.clone(),
            created,
            herder: String::new(),
            command: "exec".into(),
            title: String::new(),
            identity,
            scopes: Vec::new(),
            role: None,
            unreached: Vec::new(),
            waves: vec![0],
            recipe: serde_json::Value::Null,
        };
        let directory = runs.create(&record, &[]).unwrap();
        let event = if is_finished {
            Event::RunFinished(RunFinished {
                stopped: None,
                tally: Tally::default(),
                exit: 0,
                calls: 0,
                throttles: 0,
                p50_ms: None,
                p95_ms: None,
                took_ms: 0,
                error: None,
            })
        } else {
            Event::RunContinued
        };
        let envelope = Envelope { v: SCHEMA_VERSION, seq: 0, at: created, run: run.clone(), event };
        EventLog::open(&directory).unwrap().append(envelope).unwrap();
        fs::write(directory.bodies(), vec![b'x'; filler]).unwrap();
        run
    }

    #[test]
    fn old_runs_and_those_that_do_not_fit_go_and_driven_ones_stay() {
        let dir = tempfile::tempdir().unwrap();
        let runs = RunsDirectory::below(dir.path());
        let old = make(&runs, "2026-09-01T00:00:00Z", 0);
        let driven = make(&runs, "2026-09-02T00:00:00Z", 0);
        let large = make(&runs, "2026-11-01T00:00:00Z", 1_000_000);
        let fresh = make(&runs, "2026-11-20T00:00:00Z", 1000);
        let lock = runs.open(&driven).unwrap().lock().unwrap();
        let now = at("2026-11-21T00:00:00Z");
        let names = |keep| runs.prunable(keep, now).unwrap().into_iter().map(|p| p.run).collect::<Vec<_>>();
        assert_eq!(names(Keep::default()), std::slice::from_ref(&old));
        assert_eq!(names(Keep { bytes: 500_000, ..Keep::default() }), [large.clone(), old.clone()]);
        assert!(matches!(runs.forget(&driven), Err(JournalError::Locked { .. })));
        drop(lock);
        runs.forget(&old).unwrap();
        runs.forget(&large).unwrap();
        assert_eq!(runs.list().unwrap(), [fresh, driven]);
    }

    #[test]
    fn runs_of_the_future_are_young_and_those_left_behind_are_kept_longer() {
        let dir = tempfile::tempdir().unwrap();
        let runs = RunsDirectory::below(dir.path());
        let ancient = make_run(&runs, "2026-08-20T00:00:00Z", 0, false);
        let left = make_run(&runs, "2026-09-01T00:00:00Z", 1_000_000, false);
        let old = make(&runs, "2026-09-02T00:00:00Z", 10);
        let future = make(&runs, "2027-06-01T00:00:00Z", 0);
        let now = at("2026-11-21T00:00:00Z");
        let keep = Keep { bytes: 500_000, ..Keep::default() };
        let names: Vec<RunId> = runs.prunable(keep, now).unwrap().into_iter().map(|p| p.run).collect();
        assert_eq!(names, [old, ancient]);
        let pruned = runs.prune(keep, now).unwrap();
        assert!(pruned.runs == 2 && pruned.bytes > 10, "{pruned:?}");
        assert_eq!(runs.list().unwrap(), [future, left]);
    }

    #[test]
    fn no_more_than_fifty_are_forgotten_at_once_and_the_oldest_first() {
        let dir = tempfile::tempdir().unwrap();
        let runs = RunsDirectory::below(dir.path());
        for n in 0..52 {
            make(&runs, &format!("2026-01-01T00:00:{n:02}Z"), 0);
        }
        let now = at("2026-11-21T00:00:00Z");
        assert_eq!(runs.prune(Keep::default(), now).unwrap().runs, 50);
        let left: Vec<String> = runs.list().unwrap().iter().map(ToString::to_string).collect();
        assert!(left.len() == 2 && left[1].starts_with("20260101-000050"), "{left:?}");
        assert_eq!(runs.prune(Keep::default(), now).unwrap().runs, 2);
    }
}
