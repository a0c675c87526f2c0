//! Forgetting old runs: by age, and by what they take on disk.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;

use super::{JournalError, RunDirectory, RunsDirectory};
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

impl RunsDirectory {
    /// The runs that are not to be kept, oldest last. A run that is driven at this moment is always kept.
    ///
    /// # Errors
    /// The directory of runs can't be read.
    pub fn prunable(&self, keep: Keep, now: Timestamp) -> Result<Vec<Prunable>, JournalError> {
        let mut room = keep.bytes;
        let mut prunable = Vec::new();
        for run in self.list()? {
            let directory = self.open(&run)?;
            let bytes = size_of(directory.path());
            let created = directory.record().ok().map(|record| record.created);
            let is_old = created.is_some_and(|at| now.duration_since(at).unsigned_abs() > keep.age);
            if directory.is_driven() || (!is_old && bytes <= room) {
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
    use crate::journal::{FORMAT_VERSION, Identity, RunRecord};

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn make(runs: &RunsDirectory, created: &str, filler: usize) -> RunId {
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
            waves: vec![0],
            recipe: serde_json::Value::Null,
        };
        let directory = runs.create(&record, &[]).unwrap();
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
        assert_eq!(names(Keep::default()), [old.clone()]);
        assert_eq!(names(Keep { bytes: 500_000, ..Keep::default() }), [large.clone(), old.clone()]);
        assert!(matches!(runs.forget(&driven), Err(JournalError::Locked { .. })));
        drop(lock);
        runs.forget(&old).unwrap();
        runs.forget(&large).unwrap();
        assert_eq!(runs.list().unwrap(), [fresh, driven]);
    }
}
