//! Systems Manager: nodes, and Run Command.

mod calendar;
mod commands;
mod documents;
mod ids;
mod invocations;
mod nodes;
mod output;
mod send;
mod sessions;
mod verdict;

use crate::scope::Scope;

pub use calendar::CalendarState;
pub use commands::{CommandStatus, CommandSummary, CommandsQuery};
pub use documents::Document;
pub(crate) use ids::ids_in;
pub use invocations::{Invocation, InvocationDetail, Plugin};
pub use nodes::{ManagedNode, NodesQuery};
pub use output::{SplitOutput, split_output, was_cut};
pub use send::{MAX_IDS, MAX_TARGETS, Recipients, S3Output, SendCommand, SendError, SendSlot, Sent};
pub use sessions::{
    Connection, InFlight, Resumed, SessionSlot, SessionState, SessionSummary, SessionsQuery, StartError,
    StartSession, StartedSession,
};
pub use verdict::{InvocationFacts, Judged, is_cancelling, judge};

pub use crate::ec2::Page;

/// Systems Manager in one scope.
#[derive(Clone, Debug)]
pub struct Ssm {
    scope: Scope,
    client: aws_sdk_ssm::Client,
}

impl Ssm {
    pub(crate) fn new(scope: Scope, client: aws_sdk_ssm::Client) -> Ssm {
        Ssm { scope, client }
    }
}

/// A token that is there and says something.
fn next(token: Option<&str>) -> Option<String> {
    token.filter(|token| !token.is_empty()).map(str::to_owned)
}
