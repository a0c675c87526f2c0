//! The event stream: the one seam between work and everything that shows, stores or counts it.
//!
//! Events are past tense and say what happened, never how to display it. Their JSON form is the public
//! contract (`docs/json.md`): fields are only added within a major version, unknown ones are ignored.
//!
//! Adding an event: a variant here, a line in every renderer's match (they are exhaustive on purpose), a line
//! in the renderers' fixture, and in `docs/json.md`.

use jiff::Timestamp;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

pub use crate::body::Body;
use crate::run_id::RunId;
use crate::target::Target;
use crate::verdict::{Reason, Tally, Verdict};
use crate::via::Via;

/// The version of the event schema that this herder writes.
pub const SCHEMA_VERSION: u32 = 1;

/// An event with its place in the run: `{"v":1,"seq":…,"at":…,"run":…,"type":…, …}`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Envelope {
    /// Schema version, [`SCHEMA_VERSION`].
    pub v: u32,
    /// Counts from 0 within a run, without holes; a resumed run goes on counting.
    #[serde(deserialize_with = "countable")]
    pub seq: u64,
    /// When it was stamped, by herder's clock, UTC.
    pub at: Timestamp,
    /// The run.
    pub run: RunId,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// Reads a number that is counted on from. One so large that counting would come to an end is damage.
pub(crate) fn countable<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let number = u64::deserialize(deserializer)?;
    let is_possible = number <= u64::MAX / 2;
    is_possible.then_some(number).ok_or_else(|| D::Error::custom(format!("nothing counts to {number}")))
}

/// What happened in a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// Always the first.
    RunStarted(RunStarted),
    /// A resumed run goes on; `open` targets have no verdict yet.
    RunResumed {
        /// Targets without a verdict.
        open: u64,
        /// Whether it is picked up only to be called off (`runs cancel`).
        #[serde(default, skip_serializing_if = "is_false")]
        to_cancel: bool,
    },
    /// A wave begins.
    WaveStarted {
        /// Counts from 1.
        wave: u32,
        /// Targets in it.
        targets: u64,
    },
    /// A target's command was accepted by the service.
    TargetSent {
        /// The target's id.
        target: String,
        /// Its wave, from 1.
        wave: u32,
        /// Counts from 1; more than 1 after a retry.
        attempt: u32,
        /// AWS's command id.
        command_id: String,
    },
    /// A piece of output while the command still runs.
    Output(OutputPiece),
    /// A target has its verdict.
    TargetFinished(Box<TargetFinished>),
    /// A wave is over, and is watched for a while before the next one.
    SoakStarted {
        /// The wave that is over.
        wave: u32,
        /// How long, milliseconds.
        soak_ms: u64,
    },
    /// A gate is asked.
    GateAsked {
        /// The gate as given.
        gate: String,
        /// The wave after which it is asked.
        wave: u32,
    },
    /// A gate let the run go on.
    GatePassed {
        /// The gate as given.
        gate: String,
        /// The wave after which it was asked.
        wave: u32,
        /// What a person should know all the same, one fragment.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    },
    /// A gate stopped the run, or an alarm that was watched all the while.
    GateFailed {
        /// The gate as given.
        gate: String,
        /// The wave after which it was asked, or in the middle of which it stopped the run.
        wave: u32,
        /// What it answered.
        reason: String,
        /// Whether the wave was not over yet.
        #[serde(default, skip_serializing_if = "is_false")]
        mid_wave: bool,
    },
    /// AWS slowed a call down; the limiter adapts. Never an error.
    Throttled {
        /// AWS's operation name.
        api: String,
        /// The account whose quota it was.
        account: String,
        /// The region whose quota it was.
        region: String,
        /// Calls a second that the limiter allows from now on.
        rate: f64,
    },
    /// Something that a person should know and that stops nothing.
    Warning {
        /// One lower-case fragment.
        message: String,
        /// What to do, in full sentences.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        hints: Vec<String>,
    },
    /// The run waits for something outside (credentials); nothing is lost.
    RunPaused {
        /// Why, one fragment.
        reason: String,
        /// What to do about it.
        hint: String,
    },
    /// The pause is over.
    RunContinued,
    /// The run starts nothing new from here on.
    RunStopping {
        /// `budget`, `gate`, `interrupted`, `journal`, or the error that stops it.
        reason: Reason,
        /// Targets sent and not yet judged.
        in_flight: u64,
        /// Targets never sent.
        not_sent: u64,
        /// Whether what runs is cancelled as well: `run_cancelling` follows.
        #[serde(default, skip_serializing_if = "is_false")]
        cancels: bool,
    },
    /// What runs is being cancelled remotely, without a guarantee.
    RunCancelling {
        /// Targets sent and not yet judged.
        in_flight: u64,
    },
    /// A wave is over.
    WaveFinished {
        /// Its number.
        wave: u32,
        /// Verdicts of the run so far.
        tally: Tally,
    },
    /// Always the last, the failed and the interrupted run included.
    RunFinished(RunFinished),
    /// Written by a newer herder of the same schema version; readers skip it.
    #[serde(other)]
    Unknown,
}

/// The first event's fields.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunStarted {
    /// The workflow: `exec`, `session cp`.
    pub command: String,
    /// What it does, for people: the command line sent, or the document. Never a secret.
    pub title: String,
    /// Whether AWS is herder's simulator.
    pub sim: bool,
    /// Targets resolved.
    pub targets: u64,
    /// Waves planned.
    pub waves: u32,
    /// AWS account ids.
    pub accounts: Vec<String>,
    /// AWS regions.
    pub regions: Vec<String>,
    /// herder's version.
    pub herder: String,
    /// Why it is run (`--reason`). Journals of the first versions call it `note`.
    #[serde(default, alias = "note", skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Who goes over the targets; runs of versions that knew one way only have nothing here.
    #[serde(default)]
    pub via: Via,
    /// `gates`, `stop_on_alarms`, `calendar`.
    #[serde(flatten)]
    pub guards: RunGuards,
    /// Accounts and regions that were asked for and could not be worked in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<LeftOut>,
}

/// An account or region that a run is not in, although it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// An account, a region, or `account/region`.
    pub scope: String,
    /// Why, one fragment.
    pub reason: String,
}

/// Why a run started nothing new before its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stopped {
    /// As in `run_stopping`: `budget`, `gate`, `interrupted`, `journal`, or the error that stopped it.
    pub reason: Reason,
    /// The gate, alarm or calendar, as given, where one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<String>,
    /// What it answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// What stands guard over a run; what is empty is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunGuards {
    /// What is asked between waves, in order: commands, `alarm:NAME`, `tg:ARN`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gates: Vec<String>,
    /// The directory in which those that are commands run, also when the run is resumed elsewhere. The process' own if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate_directory: Option<String>,
    /// Alarms that stop it at any time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stop_on_alarms: Vec<String>,
    /// The calendar that has to be open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calendar: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference over")]
fn is_false(flag: &bool) -> bool {
    !*flag
}

/// The last event's fields.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunFinished {
    /// Verdict → count.
    pub tally: Tally,
    /// The exit code of herder.
    pub exit: i32,
    /// Calls that AWS accepted, all APIs.
    pub calls: u64,
    /// Calls that AWS throttled.
    pub throttles: u64,
    /// Median run time of targets that ran, milliseconds.
    pub p50_ms: Option<u64>,
    /// 95th percentile of the same.
    pub p95_ms: Option<u64>,
    /// Wall clock of the run (of this process' part, if resumed), milliseconds.
    pub took_ms: u64,
    /// Why it was stopped early, where it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped: Option<Stopped>,
    /// The error that ended it, where one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Box<RunError>>,
}

/// An error that ended a run, as `{"error":…}` tells it of a command that never became one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunError {
    /// What sort, as one word.
    pub kind: String,
    /// One lower-case fragment that names the call and the object.
    pub message: String,
    /// Outermost first.
    pub causes: Vec<String>,
    /// What to do, in full sentences.
    pub hints: Vec<String>,
    /// AWS's.
    pub request_id: Option<String>,
    /// Whether anything was, or may have been, changed.
    pub changed: bool,
}

/// Some lines of what a node wrote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputPiece {
    /// `target` (the id), `name`, `account`, `region`, `az`, `platform`.
    #[serde(flatten)]
    pub target: Target,
    /// Where it came from.
    pub stream: Stream,
    /// Whole lines, with their ends.
    pub text: String,
}

/// Where a target's output was read from, and so how exact it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// The service's own answers: text, of which it keeps 2,500 to 24,000 characters.
    #[default]
    Inline,
    /// Objects in S3: whole, byte for byte.
    S3,
    /// CloudWatch Logs: whole lines of text. Bytes that are no UTF-8 and a missing last line end are lost.
    Logs,
}

/// Which of a process' streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// What is known of the separation of a target's streams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Streams {
    /// The service kept them apart.
    #[default]
    Exact,
    /// The service merged them and herder split at the agent's marker.
    SplitByMarker,
    /// They came merged; all of it is in `stdout`.
    Merged,
}

/// Everything known of a target at its end.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TargetFinished {
    /// `target` (the id), `name`, `account`, `region`, `az`, `platform`.
    #[serde(flatten)]
    pub target: Target,
    /// Its end.
    pub verdict: Verdict,
    /// Why, as one word; null where there is nothing to add.
    pub reason: Option<Reason>,
    /// The process' exit code; null where it never ended by itself or is not known.
    pub exit_code: Option<i64>,
    /// Standard output.
    pub stdout: Body,
    /// Standard error.
    pub stderr: Body,
    /// What is known of their separation.
    pub streams: Streams,
    /// Whether the service or the agent cut the output.
    pub truncated: bool,
    /// Where the output was read from.
    #[serde(default)]
    pub channel: Channel,
    /// When the node began, as the service says.
    pub started: Option<Timestamp>,
    /// When the node ended, as the service says.
    pub finished: Option<Timestamp>,
    /// `finished - started`, milliseconds.
    pub duration_ms: Option<u64>,
    /// AWS's command id; null where nothing was sent.
    pub command_id: Option<String>,
    /// Its wave, from 1.
    pub wave: u32,
    /// Sends it took, from 1; 0 where none was made.
    pub attempt: u32,
}
