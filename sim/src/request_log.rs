//! The log of every request: in memory for tests, and as lines of JSON in a file.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It is being answered.
    Open,
    /// It is held before or after its effect.
    Held,
    /// It was answered without an error.
    Accepted,
    /// It was throttled, by the quota or by a fault.
    Throttled,
    /// It was answered with this error.
    Error(String),
    /// The connection was closed, and it had no effect.
    DroppedBefore,
    /// The connection was closed after its effect.
    DroppedAfter,
}

/// One request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RequestRecord {
    /// Order of arrival, from 1.
    pub seq: u64,
    /// When it arrived, RFC 3339.
    pub at: String,
    /// When it arrived, in microseconds since 1970.
    pub at_us: i64,
    /// Account of the caller; empty where it is not known.
    pub account: String,
    /// Region of the signature.
    pub region: String,
    /// `ssm`, `ec2`, `sts`, `autoscaling`, `elasticloadbalancing`, `cloudwatch`, `resource-groups`, `s3`, `logs`,
    /// `organizations`, `kms`, `ssmmessages`.
    pub service: String,
    /// The operation.
    pub api: String,
    /// True for operations that change something.
    pub mutating: bool,
    /// What became of it.
    pub outcome: Outcome,
    /// True where it changed or read what it was meant to, whatever the answer said.
    pub took_effect: bool,
    /// The id in the answer.
    pub request_id: String,
    /// `Comment` of `SendCommand`.
    pub comment: Option<String>,
    /// The command that it made.
    pub command_id: Option<String>,
    /// Number of instance ids in the request.
    pub targets: u32,
    /// Bytes of the request's body.
    pub bytes: u64,
    /// Bytes of the answer's body.
    pub reply_bytes: u64,
}

/// Counts of one API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ApiStats {
    /// Answered without an error.
    pub accepted: u64,
    /// Throttled.
    pub throttled: u64,
    /// Answered with another error.
    pub errors: u64,
    /// Connection closed without an answer.
    pub dropped: u64,
}

/// All requests since the start or the last reset.
#[derive(Debug, Default)]
pub(crate) struct RequestLog {
    records: Vec<RequestRecord>,
    /// How many had arrived before the last reset.
    before: u64,
    file: Option<File>,
}

impl RequestLog {
    pub(crate) fn open(path: Option<&Path>) -> io::Result<RequestLog> {
        let file = path.map(|path| File::options().create(true).append(true).open(path)).transpose()?;
        Ok(RequestLog { records: Vec::new(), before: 0, file })
    }

    /// Notes an arrival, and gives its number.
    pub(crate) fn begin(&mut self, mut record: RequestRecord) -> u64 {
        record.seq = self.before + self.records.len() as u64 + 1;
        let seq = record.seq;
        self.records.push(record);
        seq
    }

    /// Changes a record that is still in the log.
    pub(crate) fn update(&mut self, seq: u64, change: impl FnOnce(&mut RequestRecord)) {
        let index = seq.checked_sub(self.before + 1).and_then(|index| usize::try_from(index).ok());
        if let Some(record) = index.and_then(|index| self.records.get_mut(index)) {
            change(record);
        }
    }

    /// Notes the end of a request; a full disk costs lines of the file, not answers.
    pub(crate) fn finish(&mut self, seq: u64, change: impl FnOnce(&mut RequestRecord)) {
        let mut line = None;
        self.update(seq, |record| {
            change(record);
            line = serde_json::to_vec(record).ok();
        });
        if let (Some(file), Some(mut line)) = (self.file.as_mut(), line) {
            line.push(b'\n');
            let _lost_when_disk_is_full = file.write_all(&line);
        }
    }

    pub(crate) fn records(&self) -> &[RequestRecord] {
        &self.records
    }

    pub(crate) fn reset(&mut self) {
        self.before += self.records.len() as u64;
        self.records.clear();
    }

    pub(crate) fn stats(&self) -> BTreeMap<String, ApiStats> {
        let mut stats: BTreeMap<String, ApiStats> = BTreeMap::new();
        for record in &self.records {
            let entry = stats.entry(record.api.clone()).or_default();
            match record.outcome {
                Outcome::Accepted => entry.accepted += 1,
                Outcome::Throttled => entry.throttled += 1,
                Outcome::Error(_) => entry.errors += 1,
                Outcome::DroppedBefore | Outcome::DroppedAfter => entry.dropped += 1,
                Outcome::Open | Outcome::Held => {}
            }
        }
        stats
    }
}
