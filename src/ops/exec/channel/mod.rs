//! Where outputs go besides the service's own answers, and how they come back from there.
//!
//! S3 (`bucket`) has them whole, byte for byte, once a node is done. CloudWatch Logs (`follow`) has them as they are written.
//! Both may be on: one shows outputs live, the other gives them exactly. The executor knows nothing of it: what a batch's
//! results lack is one more reason to read a target's result by itself.

mod bucket;
mod follow;
mod place;
mod settle;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use herder_aws::logs::{EventsQuery, Logs};
use herder_aws::s3::Bucket;
use herder_aws::{CallError, Scope};
use herder_core::fanout::{Finding, Outcome};
use herder_core::target::Target;
use jiff::Timestamp;

use self::bucket::BucketOutputs;
use self::follow::Follower;
pub(crate) use self::place::{Places, S3Place};
use super::error::ExecError;
use crate::failure::{Failure, Kind};
use crate::ops::place::in_each;
use crate::ops::run::{Beside, ThrottleEvents};
use crate::scopes::Scopes;

/// Channels that were tried and can be read.
#[derive(Clone, Debug, Default)]
pub(crate) struct OpenChannels {
    events: ThrottleEvents,
    s3: Option<(Bucket, S3Place)>,
    /// In each account and region of the run, in its order; none where it was not asked for.
    logs: Vec<(Logs, String)>,
}

impl OpenChannels {
    /// Tries whether what nodes will write can be read back, before anything is sent: one call for the list of the bucket, one
    /// for its objects, one for the log group.
    ///
    /// # Errors
    /// There is no such bucket (exit 3), reading is not allowed (exit 4), or a call failed.
    pub(crate) async fn open(
        scopes: &Scopes,
        places: &Places,
        events: &ThrottleEvents,
    ) -> Result<OpenChannels, Failure> {
        let s3 = match &places.s3 {
            // A bucket's name holds everywhere: it is read as whoever is first.
            Some(place) => Some((open_bucket(&scopes.first().scope, place).await?, place.clone())),
            None => None,
        };
        let logs = match &places.log_group {
            Some(group) => {
                let opened = in_each(scopes, |open| open_logs(&open.scope, group)).await;
                opened.into_iter().collect::<Result<_, _>>()?
            }
            None => Vec::new(),
        };
        Ok(OpenChannels { events: events.clone(), s3, logs })
    }

    /// The same for a run that goes on: a bucket that can't be read costs outputs and nothing else, and what was to be read from a log
    /// group is tried. Gives warnings with it.
    pub(crate) async fn reopen(
        scopes: &Scopes,
        places: &Places,
        events: &ThrottleEvents,
    ) -> (OpenChannels, Vec<String>) {
        let mut warnings = Vec::new();
        let mut s3 = None;
        if let Some(place) = &places.s3 {
            match open_bucket(&scopes.first().scope, place).await {
                Ok(bucket) => s3 = Some((bucket, place.clone())),
                Err(failure) => warnings.push(format!(
                    "outputs in the bucket {} can't be read, and what the service keeps of them is shown: {}",
                    place.bucket, failure.message
                )),
            }
        }
        let logs = places.log_group.iter().flat_map(|group| {
            scopes.iter().map(|open| (open.scope.logs(), group.clone())).collect::<Vec<_>>()
        });
        (OpenChannels { events: events.clone(), s3, logs: logs.collect() }, warnings)
    }

    /// The channels of one run, for each of its accounts and regions. `scratch` is a directory for what is on its way.
    pub(super) fn of_run(self, scratch: &Path, realms: usize) -> Vec<Channels> {
        let events = || self.events.clone();
        let s3 =
            self.s3.map(|(bucket, place)| Arc::new(BucketOutputs::new(bucket, place, scratch, events())));
        let mut logs = self.logs.into_iter();
        let mut next =
            || logs.next().map(|(logs, group)| Arc::new(Follower::new(logs, group, scratch, events())));
        (0..realms).map(|_| Channels { s3: s3.clone(), logs: next() }).collect()
    }
}

/// What has to go on beside a run with these channels.
pub(super) fn beside(channels: &[Channels]) -> Option<Beside> {
    let logs: Vec<Arc<Follower>> = channels.iter().filter_map(|channels| channels.logs.clone()).collect();
    if logs.is_empty() {
        return None;
    }
    Some(Box::pin(async move {
        in_each(&logs, |logs| logs.run()).await;
    }))
}

async fn open_logs(scope: &Scope, group: &str) -> Result<(Logs, String), Failure> {
    let logs = scope.logs();
    // That there is no such group is no error: agents make it.
    let query = EventsQuery {
        group: group.to_owned(),
        stream_prefix: "herder-reads-here/".to_owned(),
        since: None,
        most: Some(1),
    };
    logs.events(&query, None).await?;
    Ok((logs, group.to_owned()))
}

async fn open_bucket(scope: &Scope, place: &S3Place) -> Result<Bucket, Failure> {
    let bucket = scope.s3().bucket(&place.bucket).await.map_err(|error| {
        let failure = Failure::from(error);
        match failure.kind {
            Kind::NotFound => Failure { hints: Vec::new(), ..failure }
                .hint("Check the bucket's name; names hold for all accounts and regions."),
            _ => failure,
        }
    })?;
    // Who may list a bucket is told of a missing object that it is missing; who may not read is told so.
    bucket.download(&format!("{}herder-reads-here", place.base("0"))).await?;
    Ok(bucket)
}

/// One node's part of a command.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part<'a> {
    pub(super) command_id: &'a str,
    /// Index into the run's targets.
    pub(super) target: usize,
    pub(super) node: &'a Target,
}

/// The channels of a run besides the service's own answers; there may be none.
#[derive(Clone, Debug, Default)]
pub(super) struct Channels {
    s3: Option<Arc<BucketOutputs>>,
    logs: Option<Arc<Follower>>,
}

impl Channels {
    /// For `SendCommand`: where in S3.
    pub(super) fn s3_output(&self) -> Option<herder_aws::ssm::S3Output> {
        let place = self.s3.as_ref()?.place();
        Some(herder_aws::ssm::S3Output { bucket: place.bucket.clone(), prefix: place.prefix.clone() })
    }

    /// For `SendCommand`: which log group.
    pub(super) fn log_group(&self) -> Option<String> {
        self.logs.as_ref().map(|logs| logs.group().to_owned())
    }

    /// The service took a command for these nodes. `now` is its clock.
    pub(super) fn sent(&self, command_id: &str, nodes: impl Iterator<Item = Target>, now: Option<Timestamp>) {
        if let Some(logs) = &self.logs {
            logs.begin(command_id, nodes, now);
        }
    }

    /// Looks through what a batch's results say of outputs: what is complete is given as such, what is not is to be read by
    /// itself.
    pub(super) async fn look_through(&self, findings: &mut [(usize, Finding)], parts: &[Part<'_>]) {
        if let Some(logs) = &self.logs {
            for part in parts_of(findings, parts) {
                logs.end(part);
            }
        }
        if let Some(s3) = &self.s3 {
            s3.look_through(findings, parts).await;
        }
    }

    /// Reads one target's result with all its output. `ask` is the service's own answer about it.
    pub(super) async fn read<F>(
        &self,
        part: Part<'_>,
        ask: impl Fn() -> F,
    ) -> Result<Option<Outcome>, ReadError>
    where
        F: Future<Output = Result<Option<Outcome>, CallError>>,
    {
        match (&self.s3, &self.logs) {
            (Some(s3), _) => s3.read(part, ask).await,
            (None, logs) => {
                let Some(outcome) = ask().await? else { return Ok(None) };
                match logs {
                    Some(logs) if outcome.truncated => logs.read(part, outcome).await.map(Some),
                    _ => Ok(Some(outcome)),
                }
            }
        }
    }
}

/// The parts of which there are results.
fn parts_of<'a>(findings: &[(usize, Finding)], parts: &[Part<'a>]) -> Vec<Part<'a>> {
    let has_result = |target| {
        findings
            .iter()
            .any(|(t, f)| *t == target && matches!(f, Finding::Finished(_) | Finding::NeedsDetail(_)))
    };
    parts.iter().filter(|part| has_result(part.target)).copied().collect()
}

/// Why an output could not be read; it may work later.
#[derive(Debug)]
pub(super) enum ReadError {
    /// A call failed.
    Call(Box<CallError>),
    /// There is no room for it on this machine.
    Disk(std::io::Error),
    /// It was there, and is not any more; says which.
    Gone(String),
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadError::Call(error) => f.write_str(&error.described()),
            ReadError::Disk(error) => write!(f, "it can't be written here: {error}"),
            ReadError::Gone(what) => f.write_str(what),
        }
    }
}

impl From<CallError> for ReadError {
    fn from(error: CallError) -> ReadError {
        ReadError::Call(Box::new(error))
    }
}

impl From<std::io::Error> for ReadError {
    fn from(error: std::io::Error) -> ReadError {
        ReadError::Disk(error)
    }
}

impl From<ReadError> for ExecError {
    fn from(error: ReadError) -> ExecError {
        match error {
            ReadError::Call(error) => (*error).into(),
            ReadError::Disk(_) | ReadError::Gone(_) => ExecError::Output(error.to_string()),
        }
    }
}
