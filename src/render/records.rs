//! What is kept of targets until the end ([`Records`]; never their outputs), and the columns that `csv` and `table`
//! make of them.

use std::collections::HashMap;
use std::io;
use std::str::FromStr;

use herder_core::event::{Body, Envelope, Event, RunFinished, RunStarted, TargetFinished};
use herder_core::journal::{Bodies, BodyRef, StoredOutput};
use herder_core::run_id::RunId;
use herder_core::target::{Target, natural, suggest};
use jiff::Timestamp;

/// The beginnings of a target's two streams.
pub(super) struct Heads {
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
    /// Bytes of both that follow.
    pub(super) left_out: u64,
}

/// Why a target's outputs are not whole where they were just written, if they are not.
pub(super) fn unread(finished: &TargetFinished) -> Option<io::Error> {
    finished.stdout.trouble().or_else(|| finished.stderr.trouble())
}

/// A target's end, its bodies left on disk.
pub(super) struct Record {
    pub(super) finished: TargetFinished,
    stored: Option<StoredOutput>,
}

impl Record {
    /// A body that could not be stored stays with the record.
    fn new(finished: &TargetFinished, stored: Option<&StoredOutput>) -> Record {
        let mut finished = finished.clone();
        if stored.is_some() {
            finished.stdout = Body::default();
            finished.stderr = Body::default();
        }
        Record { finished, stored: stored.copied() }
    }

    /// Where the bodies lie: the key of folding. Those that were not stored are equal to no others.
    pub(super) fn stored(&self, place: usize) -> StoredOutput {
        let alone = BodyRef { offset: u64::MAX - place as u64, len: 0 };
        let is_empty = self.finished.stdout.is_empty() && self.finished.stderr.is_empty();
        let unstored =
            StoredOutput { stdout: if is_empty { BodyRef::default() } else { alone }, ..Default::default() };
        self.stored.unwrap_or(unstored)
    }

    /// As much of both streams as a terminal is shown.
    pub(super) fn heads(&self, bodies: &Bodies, most: u64) -> io::Result<Heads> {
        let (stdout, stderr) = self.bodies(bodies)?;
        let left_out = |body: &Body| body.len().saturating_sub(most);
        let left_out = left_out(&stdout) + left_out(&stderr);
        Ok(Heads { stdout: stdout.head(most)?, stderr: stderr.head(most)?, left_out })
    }

    /// Both streams.
    pub(super) fn bodies(&self, bodies: &Bodies) -> io::Result<(Body, Body)> {
        match self.stored {
            Some(stored) => Ok((bodies.read(stored.stdout)?, bodies.read(stored.stderr)?)),
            None => Ok((self.finished.stdout.clone(), self.finished.stderr.clone())),
        }
    }
}

/// Every target of the run, once, and the run's own facts.
#[derive(Default)]
pub(super) struct Records {
    list: Vec<Record>,
    places: HashMap<String, usize>,
    pub(super) run: Option<RunId>,
    pub(super) started: Option<(Timestamp, RunStarted)>,
    pub(super) finished: Option<(Timestamp, RunFinished)>,
    pub(super) labels: Labels,
}

impl Records {
    pub(super) fn event(&mut self, envelope: &Envelope, stored: Option<&StoredOutput>) {
        self.run.get_or_insert_with(|| envelope.run.clone());
        self.labels.event(&envelope.event);
        match &envelope.event {
            Event::RunStarted(started) => self.started = Some((envelope.at, started.clone())),
            Event::RunFinished(finished) => self.finished = Some((envelope.at, finished.clone())),
            Event::TargetFinished(finished) => {
                let record = Record::new(finished, stored);
                let target = &finished.target;
                let key = format!("{}/{}/{}", target.account, target.region, target.id);
                let place = *self.places.entry(key).or_insert(self.list.len());
                match self.list.get_mut(place) {
                    Some(earlier) => *earlier = record,
                    None => self.list.push(record),
                }
            }
            _ => {}
        }
    }

    /// In the order in which they first finished.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Record> {
        self.list.iter()
    }

    /// In natural order of their names, then by id.
    pub(super) fn sorted(&self) -> Vec<&Record> {
        let mut sorted: Vec<&Record> = self.list.iter().collect();
        sorted.sort_by(|a, b| {
            let (a, b) = (&a.finished.target, &b.finished.target);
            let names = match (&a.name, &b.name) {
                (Some(a), Some(b)) => natural(a, b),
                (a, b) => a.is_none().cmp(&b.is_none()),
            };
            names.then_with(|| (&a.account, &a.region, &a.id).cmp(&(&b.account, &b.region, &b.id)))
        });
        sorted
    }
}

/// How targets are called: by id, with account and region before it where the run has more than one.
#[derive(Clone, Copy, Default)]
pub(super) struct Labels {
    has_scopes: bool,
}

impl Labels {
    pub(super) fn event(&mut self, event: &Event) {
        if let Event::RunStarted(started) = event {
            self.has_scopes = started.accounts.len() > 1 || started.regions.len() > 1;
        }
    }

    pub(super) fn has_scopes(self) -> bool {
        self.has_scopes
    }

    pub(super) fn id(self, target: &Target) -> String {
        match self.has_scopes {
            true => format!("{}/{}/{}", target.account, target.region, target.id),
            false => target.id.clone(),
        }
    }

    /// With its name, for people: `web-7 (i-0abc…)`.
    pub(super) fn long(self, target: &Target) -> String {
        match &target.name {
            Some(name) if *name != target.id => format!("{name} ({})", self.id(target)),
            _ => self.id(target),
        }
    }
}

/// A column of `-o csv` and `-o table` of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RunColumn(&'static str);

const COLUMNS: [&str; 20] = [
    "target",
    "name",
    "account",
    "region",
    "az",
    "platform",
    "verdict",
    "reason",
    "exit_code",
    "duration_ms",
    "started",
    "finished",
    "command_id",
    "wave",
    "attempt",
    "streams",
    "truncated",
    "channel",
    "stdout",
    "stderr",
];

/// There is no such column.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is not a column{meant}; there are {allowed}")]
pub(crate) struct UnknownColumn {
    name: String,
    meant: String,
    allowed: String,
}

impl UnknownColumn {
    pub(super) fn new(name: &str, allowed: &[&str]) -> UnknownColumn {
        let meant = suggest(name, allowed.iter().copied()).map(|m| format!(" (did you mean `{m}`?)"));
        UnknownColumn { name: name.to_owned(), meant: meant.unwrap_or_default(), allowed: allowed.join(", ") }
    }
}

impl FromStr for RunColumn {
    type Err = UnknownColumn;

    fn from_str(text: &str) -> Result<RunColumn, UnknownColumn> {
        let found = COLUMNS.into_iter().find(|name| *name == text);
        found.map(RunColumn).ok_or_else(|| UnknownColumn::new(text, &COLUMNS))
    }
}

/// A value that is one word in JSON.
fn word(value: &impl serde::Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
}

impl RunColumn {
    /// All of them.
    pub(super) fn all() -> Vec<RunColumn> {
        COLUMNS.map(RunColumn).to_vec()
    }

    /// Those of a table.
    pub(super) fn few() -> Vec<RunColumn> {
        ["name", "target", "verdict", "reason", "exit_code", "duration_ms"].map(RunColumn).to_vec()
    }

    /// As in JSON and in headers.
    #[must_use]
    pub(crate) fn name(self) -> &'static str {
        self.0
    }

    /// The output that it shows, if it shows one.
    pub(super) fn body(self, of: &TargetFinished) -> Option<&Body> {
        match self.0 {
            "stdout" => Some(&of.stdout),
            "stderr" => Some(&of.stderr),
            _ => None,
        }
    }

    /// The value as text; empty for null and for outputs ([`RunColumn::body`]). Times in UTC.
    pub(super) fn value(self, of: &TargetFinished) -> String {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let time = |value: Option<Timestamp>| value.map(|v| v.to_string()).unwrap_or_default();
        match self.0 {
            "target" => of.target.id.clone(),
            "name" => text(&of.target.name),
            "account" => of.target.account.clone(),
            "region" => of.target.region.clone(),
            "az" => text(&of.target.az),
            "platform" => of.target.platform.map(|p| p.as_str().to_owned()).unwrap_or_default(),
            "verdict" => of.verdict.to_string(),
            "reason" => of.reason.as_ref().map(ToString::to_string).unwrap_or_default(),
            "exit_code" => of.exit_code.map(|c| c.to_string()).unwrap_or_default(),
            "duration_ms" => of.duration_ms.map(|d| d.to_string()).unwrap_or_default(),
            "started" => time(of.started),
            "finished" => time(of.finished),
            "command_id" => text(&of.command_id),
            "wave" => of.wave.to_string(),
            "attempt" => of.attempt.to_string(),
            "streams" => word(&of.streams),
            "channel" => word(&of.channel),
            "truncated" => of.truncated.to_string(),
            _ => String::new(),
        }
    }
}
