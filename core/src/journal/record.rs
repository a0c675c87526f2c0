//! The types on disk. They are read by every later version: fields are added with a default, never renamed.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::StoredOutput;
use crate::event::{Envelope, countable};
use crate::run_id::RunId;
use crate::target::Target;
use crate::verdict::Reason;

/// The journal format that this herder writes; it reads this one and every older one.
pub const FORMAT_VERSION: u32 = 1;

/// Whose run it is. `resume`, `retry`, `cancel` and `@RUN` elsewhere are refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// AWS account id.
    pub account: String,
    /// AWS region.
    pub region: String,
    /// The caller's ARN, with the session name of an assumed role left out.
    pub principal: String,
    /// Endpoint in use if it is not AWS's own.
    pub endpoint: Option<String>,
    /// Whether AWS is a simulator.
    pub sim: bool,
}

/// `run.json`: what a run is, written once before its first call.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunRecord {
    /// [`FORMAT_VERSION`] of the writer.
    pub format: u32,
    /// The run.
    pub run: RunId,
    /// When it was made, herder's clock, UTC.
    pub created: Timestamp,
    /// The version of herder that made it.
    pub herder: String,
    /// The workflow: `exec`, `session cp`.
    pub command: String,
    /// What it does, for people. Never a secret.
    pub title: String,
    /// Whose it is; of a run in several accounts or regions, its first.
    pub identity: Identity,
    /// All of them, in the order of the run's lanes; empty where there is one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<Identity>,
    /// The role that was assumed, as given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Accounts and regions that were asked for and could not be worked in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unreached: Vec<String>,
    /// Cumulative wave ends, in targets; the last is the number of targets.
    pub waves: Vec<u32>,
    /// What the workflow needs to go on; its own business. Never a secret.
    pub recipe: serde_json::Value,
}

impl RunRecord {
    /// Every account and region of the run, in the order of its lanes; at least one.
    #[must_use]
    pub fn identities(&self) -> &[Identity] {
        if self.scopes.is_empty() { std::slice::from_ref(&self.identity) } else { &self.scopes }
    }
}

/// One line of `journal.jsonl`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Record {
    /// About to send to these targets. On disk before the call.
    Send {
        /// Counts from 1 within the run; also the marker in the command's comment.
        #[serde(deserialize_with = "countable")]
        intent: u64,
        /// Targets by their line in `targets.jsonl`, from 0.
        targets: Vec<u32>,
        /// Which kind of send: the job's own numbering (platform, scope).
        lane: u32,
        /// Counts from 1.
        attempt: u32,
        /// AWS's clock (its Date header) when the intent was made, if it was known: the start of a search for it.
        server_at: Option<Timestamp>,
    },
    /// The service chose a node for this send that was not among the run's targets: from here on it is.
    Adopted {
        /// The send.
        #[serde(deserialize_with = "countable")]
        intent: u64,
        /// Its line, counted on from the end of `targets.jsonl`.
        line: u32,
        /// The node.
        target: Target,
    },
    /// The service took it.
    Sent {
        /// The intent it answers.
        #[serde(deserialize_with = "countable")]
        intent: u64,
        /// AWS's command id.
        command_id: String,
    },
    /// The service refused it or it never left: nothing was changed.
    NotSent {
        /// The intent it answers.
        #[serde(deserialize_with = "countable")]
        intent: u64,
        /// Why.
        reason: Reason,
    },
    /// The answer was lost and no trace of the send was found.
    Lost {
        /// The intent it answers.
        #[serde(deserialize_with = "countable")]
        intent: u64,
    },
    /// About to cancel a command remotely.
    Cancel {
        /// Counts with the sends.
        #[serde(deserialize_with = "countable")]
        intent: u64,
        /// AWS's command id.
        command_id: String,
    },
    /// Written by a newer herder of the same format.
    #[serde(other)]
    Unknown,
}

/// One line of `events.jsonl`: the public event, with references in place of the bodies.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StoredEvent {
    /// The event; `stdout` and `stderr` of a finished target are empty here.
    #[serde(flatten)]
    pub envelope: Envelope,
    /// Where the bodies are, for finished targets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stored: Option<StoredOutput>,
}
