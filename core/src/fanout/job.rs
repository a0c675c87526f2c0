//! [`Job`]: the one port between the executor and the outside.
//!
//! Its unit is a batch, because some AWS calls take fifty ids at once. What the executor asks, in the order of a
//! batch's life: `ready` (a place in the quota), `send`, `locate` (only if the answer was lost), `sweep` and
//! `collect` (progress and results), `detail` (one target's full output), `cancel`.

use std::collections::HashMap;
use std::future::Future;
use std::time::Duration;

use jiff::Timestamp;

use crate::event::{Body, Channel, Streams};
use crate::journal::Permit;
use crate::target::Target;
use crate::verdict::{Reason, Verdict};

/// Targets that are sent to together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The intent's number: unique within the run, and the marker in the command's comment.
    pub intent: u64,
    /// Which kind of send, see [`Job::lane`].
    pub lane: u32,
    /// Counts from 1.
    pub attempt: u32,
    /// Indices into the run's targets.
    pub targets: Vec<usize>,
    /// AWS's clock when it was intended, where known.
    pub server_at: Option<Timestamp>,
}

/// What the service itself shall keep to within one batch, so that it brakes even when herder is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Targets at once, at least 1.
    pub max_concurrency: u32,
    /// Failures after which it sends to no more targets of the batch.
    pub max_errors: u32,
}

/// A send that the service took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// AWS's command id.
    pub command_id: String,
    /// How long from now until the service gives up on it (delivery plus execution timeout).
    pub expires_in: Duration,
}

/// How a send ended.
#[derive(Debug)]
pub enum SendOutcome<E> {
    /// The service took it.
    Accepted(Accepted),
    /// The quota was exceeded: refused, nothing changed, again later.
    Throttled,
    /// It never left this machine or could not be authorised for now: nothing changed, again later.
    NotSent(Trouble<E>),
    /// Refused because of some targets; nothing changed. With `bad` empty, the service didn't say which.
    BadTargets {
        /// Indices into the run's targets.
        bad: Vec<usize>,
        /// What they are judged.
        verdict: Verdict,
        /// Why.
        reason: Reason,
    },
    /// Refused for reasons of the batch; nothing changed. If nothing has ever been accepted in the run, the run ends
    /// with the error; else the batch is judged and the run goes on.
    Refused {
        /// What its targets are judged.
        verdict: Verdict,
        /// Why.
        reason: Reason,
        /// The error.
        error: E,
    },
    /// Refused, and every other batch will be too (no such document): the run stops.
    Fatal(E),
    /// It left, and no answer came: it may have taken effect.
    Lost(E),
    /// The send was the work: this process did it, and it is over. There is nothing to look at.
    Finished {
        /// What the service calls it; none where it has not begun.
        command_id: Option<String>,
        /// By index into the run's targets: every target of the batch.
        outcomes: Vec<(usize, Outcome)>,
    },
}

/// Why a look at the service failed. Nothing of it makes a target fail.
#[derive(Debug)]
pub enum Trouble<E> {
    /// Credentials are gone; the run waits for new ones.
    Paused {
        /// Why, one fragment.
        reason: String,
        /// What to do.
        hint: String,
    },
    /// It may work later.
    Transient(E),
    /// It will not work at all in this run (access denied).
    Denied(E),
}

/// What a listing says of one command. Counters may be stale: they steer looks, never verdicts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Targets in a final state.
    pub completed: u64,
    /// Failed and timed out in execution.
    pub errors: u64,
    /// Timed out in delivery.
    pub delivery_timed_out: u64,
    /// Whether the service calls the command ended.
    pub is_done: bool,
    /// Nodes that the service sends it to; 0 where it doesn't say (yet).
    pub targets: u64,
}

/// Which commands a sweep asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SweepScope {
    /// Those in progress: pages get fewer as the run ends.
    InProgress,
    /// All since the run's start.
    All,
}

/// What a sweep saw.
#[derive(Clone, Debug, Default)]
pub struct Sweep {
    /// By command id.
    pub seen: HashMap<String, Counters>,
    /// Whether the listing was read to its end, so that absence means something.
    pub is_complete: bool,
}

/// The end of one target's command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Its end.
    pub verdict: Verdict,
    /// Why.
    pub reason: Option<Reason>,
    /// The process' exit code.
    pub exit_code: Option<i64>,
    /// Standard output.
    pub stdout: Body,
    /// Standard error.
    pub stderr: Body,
    /// What is known of their separation.
    pub streams: Streams,
    /// Whether some of it was cut.
    pub truncated: bool,
    /// Where it was read from.
    pub channel: Channel,
    /// When the node began.
    pub started: Option<Timestamp>,
    /// When the node ended.
    pub finished: Option<Timestamp>,
}

impl Outcome {
    /// A verdict without output.
    #[must_use]
    pub fn bare(verdict: Verdict, reason: Option<Reason>) -> Outcome {
        Outcome {
            verdict,
            reason,
            exit_code: None,
            stdout: Body::default(),
            stderr: Body::default(),
            streams: Streams::Exact,
            truncated: false,
            channel: Channel::Inline,
            started: None,
            finished: None,
        }
    }
}

/// What a look at a batch says of one target.
#[derive(Clone, Debug)]
pub enum Finding {
    /// Judged, with all its output.
    Finished(Box<Outcome>),
    /// Judged, but its output was cut or not separated: one more call gives it. The best known is inside.
    NeedsDetail(Box<Outcome>),
    /// Still runs, and the service says that it is being cancelled.
    Cancelling,
    /// Only [`Job::detail`] can tell.
    Unlisted,
}

/// What a read of one target's result found.
#[derive(Clone, Debug)]
pub enum Detail {
    /// It ended.
    Ended(Box<Outcome>),
    /// It still runs, or nothing is known of it yet.
    Running,
    /// The service says that the command has no such target. Of one that it has only just taken that proves nothing.
    Absent,
}

/// The targets of a batch that a look found something about; the others still run, or aren't listed yet.
#[derive(Clone, Debug, Default)]
pub struct Collected {
    /// By index into the run's targets.
    pub findings: Vec<(usize, Finding)>,
    /// Of a command that the service chose the nodes of. `None` where its results cannot be listed: nodes of it that are none of
    /// the run's are not seen then.
    pub pass: Option<Pass>,
}

/// How far one pass over the results of a command has come that the service chose the nodes of. A look reads some pages; the
/// next one goes on where it ended.
#[derive(Clone, Debug, Default)]
pub struct Pass {
    /// Nodes that are none of the run's targets and have ended, and what was found about them.
    pub strangers: Vec<(Target, Finding)>,
    /// Whether the last page was read: the next look begins anew.
    pub is_complete: bool,
    /// Nodes on the pages of this pass so far, those of other kinds of sends included. Each counts once: pages may shift while
    /// they are read, so that one stands on two of them and another on none.
    pub listed: u64,
    /// Of them without an end.
    pub running: u64,
}

/// What a watch has to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// A person should know, in one fragment; it stops nothing.
    Warning(String),
    /// Nothing new may be sent from now on.
    Stop {
        /// What says so, written as a gate is: `alarm:web-5xx`.
        gate: String,
        /// Why, in one fragment.
        reason: String,
    },
}

/// Sends of a lane under way at once: at 40/s and 120 ms latency five are in flight.
const SENDS: usize = 8;

/// Work on many targets, batch by batch. Implementations meter their calls and never retry a send.
pub trait Job: Send + Sync + 'static {
    /// What a refused call says, for messages.
    type Error: std::fmt::Display + Send + 'static;

    /// Which kind of send a target needs; batches never mix lanes (platform and so document, account, region).
    fn lane(&self, target: usize) -> u32;

    /// The realm of a lane: an account and region, with quotas, a clock, listings and troubles of its own.
    fn realm(&self, lane: u32) -> u32;

    /// What people call a realm.
    fn realm_name(&self, realm: u32) -> String;

    /// The clock of a lane's realm, estimated from AWS's last Date header.
    fn server_now(&self, lane: u32) -> Option<Timestamp>;

    /// Waits for a place in the send quota of a lane. The intent is journalled after this, so that a kill while
    /// waiting leaves no doubt behind.
    fn ready(&self, lane: u32) -> impl Future<Output = ()> + Send;

    /// Sends of a lane that may be under way at once. Where a send is the work itself ([`SendOutcome::Finished`]), the window alone
    /// limits them.
    fn sends_at_once(&self) -> usize {
        SENDS
    }

    /// Whether what was sent goes on when this process ends.
    fn goes_on_by_itself(&self) -> bool {
        true
    }

    /// Makes the one call that sends the batch. What [`Via::is_whole`] is handed to the service by its selector, the others by
    /// their ids.
    ///
    /// [`Via::is_whole`]: crate::via::Via::is_whole
    fn send(
        &self,
        batch: &Batch,
        limits: Limits,
        permit: Permit,
    ) -> impl Future<Output = SendOutcome<Self::Error>> + Send;

    /// Looks for a send whose answer was lost, by its marker.
    fn locate(
        &self,
        batch: &Batch,
    ) -> impl Future<Output = Result<Option<Accepted>, Trouble<Self::Error>>> + Send;

    /// Looks at many commands of one realm at once.
    fn sweep(
        &self,
        realm: u32,
        scope: SweepScope,
        command_ids: Vec<String>,
    ) -> impl Future<Output = Result<Sweep, Trouble<Self::Error>>> + Send;

    /// Reads the results of a batch; of one that was handed to the service whole, a part of them at a time.
    fn collect(
        &self,
        batch: &Batch,
        command_id: &str,
    ) -> impl Future<Output = Result<Collected, Trouble<Self::Error>>> + Send;

    /// Reads one target's result in full.
    fn detail(
        &self,
        target: usize,
        command_id: &str,
    ) -> impl Future<Output = Result<Detail, Trouble<Self::Error>>> + Send;

    /// Asks the service to cancel a batch; there is no guarantee that it does.
    fn cancel(
        &self,
        lane: u32,
        command_id: &str,
        permit: Permit,
    ) -> impl Future<Output = Result<(), Trouble<Self::Error>>> + Send;

    /// A node that the service chose by itself is a target of the run from here on.
    fn adopt(&self, _target: usize, _facts: &Target, _lane: u32) {}

    /// Asks a gate between two waves; `Ok` may hold what a person should know all the same, `Err` says in one fragment why not.
    /// Asked for at most 60 s.
    fn gate(&self, gate: &str, wave: u32) -> impl Future<Output = Result<Option<String>, String>> + Send;

    /// Waits for news of what may stop the run at any time. Asked from the run's begin on, and again after every warning; given up
    /// when the run ends or starts nothing new any more. Without anything to watch it never comes back.
    fn watch(&self) -> impl Future<Output = News> + Send {
        std::future::pending()
    }
}
