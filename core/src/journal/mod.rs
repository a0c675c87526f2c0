//! The journal: what a run intends, what came of it, on disk before anything changes.
//!
//! A run's directory (mode 0700):
//!
//! | file | what |
//! |---|---|
//! | `run.json` | [`RunRecord`]: identity, recipe, written once |
//! | `targets.jsonl` | the resolved targets, one a line; records name them by their line number from 0 |
//! | `journal.jsonl` | [`Record`]s: intents and remote ids, private; an intent is on disk before its call |
//! | `events.jsonl` | the public event stream, bodies of output left out |
//! | `output/bodies` | what nodes wrote, see [`Bodies`] |
//! | `lock` | held while a process drives the run |
//!
//! A process can be killed at any byte: readers ignore a torn last line, and a writer that goes on cuts it off first.

mod bodies;
mod directory;
mod keyed_hash;
mod lines;
mod permit;
mod prune;
mod record;
mod replay;
mod tail;
#[cfg(test)]
mod tests;
mod writer;

pub use bodies::{Bodies, BodyRef, StoredOutput};
pub use directory::{RunDirectory, RunLock, RunsDirectory};
pub use keyed_hash::HashKey;
pub use permit::Permit;
pub use prune::{Keep, Prunable, Pruned};
pub use record::{FORMAT_VERSION, Identity, Record, RunRecord, StoredEvent};
pub use replay::{BatchState, Replay, SendState};
pub use tail::EventTail;
pub use writer::{EventLog, Journal};

use std::io;
use std::path::PathBuf;

/// What can go wrong with a journal.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file system refused.
    #[error("could not {action} `{path}`")]
    Io {
        /// `write`, `read`, `create`, `lock`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What it said.
        #[source]
        source: io::Error,
    },
    /// A line that isn't the last one doesn't parse.
    #[error("`{path}` is damaged at line {line}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Counts from 1.
        line: usize,
        /// What the parser said.
        #[source]
        source: serde_json::Error,
    },
    /// Written by a newer herder.
    #[error("run {run} was written by a newer herder (journal format {found}, this one knows {known})", known = FORMAT_VERSION)]
    Newer {
        /// The run.
        run: String,
        /// Its format.
        found: u32,
    },
    /// There is no such run.
    #[error("there is no run `{0}`")]
    NoSuchRun(String),
    /// Another process drives it.
    #[error("run {run} is being driven by another process{}", pid.map(|p| format!(" (pid {p})")).unwrap_or_default())]
    Locked {
        /// The run.
        run: String,
        /// The process, if it said so.
        pid: Option<u32>,
    },
    /// An earlier write failed; nothing is changed after that.
    #[error("the journal could not be written earlier: {0}")]
    Broken(String),
}

impl JournalError {
    fn io(action: &'static str, path: &std::path::Path) -> impl FnOnce(io::Error) -> JournalError {
        let path = path.to_owned();
        move |source| JournalError::Io { action, path, source }
    }
}
