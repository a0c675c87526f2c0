//! Listing commands: the progress of many nodes in one call.

use aws_sdk_ssm::types::{Command, CommandFilter, CommandFilterKey};
use jiff::Timestamp;

use super::{Page, Ssm, next};
use crate::call::Call;
use crate::error::CallError;
use crate::times;

const PAGE: i32 = 50;

/// Which commands. Everything that is given must fit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommandsQuery {
    /// Only those with this status.
    pub status: Option<CommandStatus>,
    /// Only those sent after this, to the second.
    pub invoked_after: Option<Timestamp>,
    /// Only those sent before this, to the second.
    pub invoked_before: Option<Timestamp>,
    /// Only those of this document.
    pub document: Option<String>,
    /// Only this one.
    pub command_id: Option<String>,
}

/// The values of the status filter that herder asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommandStatus {
    /// Not yet handed to any node.
    Pending,
    /// Some nodes haven't finished.
    InProgress,
    /// Ended well, as the service counts.
    Success,
    /// Ended badly, as the service counts.
    Failed,
    /// Cancelled.
    Cancelled,
    /// Timed out.
    TimedOut,
}

impl CommandStatus {
    fn as_str(self) -> &'static str {
        match self {
            CommandStatus::Pending => "Pending",
            CommandStatus::InProgress => "InProgress",
            CommandStatus::Success => "Success",
            CommandStatus::Failed => "Failed",
            CommandStatus::Cancelled => "Cancelled",
            CommandStatus::TimedOut => "TimedOut",
        }
    }
}

/// A command as lists show it. Its counters are for progress; verdicts come from invocations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandSummary {
    /// AWS's command id.
    pub command_id: String,
    /// The comment that it was sent with.
    pub comment: String,
    /// The document.
    pub document: Option<String>,
    /// `Pending`, `InProgress`, `Success`, `Cancelled`, `Failed`, `TimedOut`, `Cancelling`, or what AWS adds.
    pub status: String,
    /// The finer status; may be empty.
    pub status_details: String,
    /// Nodes it was sent to.
    pub target_count: u32,
    /// Nodes with a final state, however they ended.
    pub completed: u32,
    /// Nodes that failed or ran out of execution time.
    pub errors: u32,
    /// Nodes that it didn't reach in time.
    pub delivery_timed_out: u32,
    /// The nodes it was sent to, where the service repeats them.
    pub instance_ids: Vec<String>,
    /// When the service took it.
    pub requested_at: Option<Timestamp>,
    /// When the service gives up on nodes that haven't answered.
    pub expires_after: Option<Timestamp>,
}

impl Ssm {
    /// One page of `ListCommands`: up to 50, newest first.
    ///
    /// # Errors
    /// The call failed.
    pub async fn list_commands(
        &self,
        query: &CommandsQuery,
        token: Option<&str>,
    ) -> Result<Page<CommandSummary>, CallError> {
        let filters = [
            (CommandFilterKey::Status, query.status.map(|s| s.as_str().to_owned())),
            (CommandFilterKey::InvokedAfter, query.invoked_after.map(times::filter_text)),
            (CommandFilterKey::InvokedBefore, query.invoked_before.map(times::filter_text)),
            (CommandFilterKey::DocumentName, query.document.clone()),
        ];
        // Key and value are both given, so that the builder can't refuse.
        let filters = filters
            .into_iter()
            .filter_map(|(key, value)| CommandFilter::builder().key(key).value(value?).build().ok())
            .collect::<Vec<_>>();
        let request = self
            .client
            .list_commands()
            .set_command_id(query.command_id.clone())
            .set_filters(Some(filters).filter(|f| !f.is_empty()))
            .set_next_token(token.map(str::to_owned))
            .max_results(PAGE);
        let call = Call::read("ssm", "ListCommands", "");
        let answer = self.scope.call(call, || request.clone().send()).await?;
        let items = answer.commands().iter().filter_map(summary).collect();
        Ok(Page { items, next: next(answer.next_token()) })
    }
}

fn summary(c: &Command) -> Option<CommandSummary> {
    let number = |n: i32| u32::try_from(n).unwrap_or(0);
    Some(CommandSummary {
        command_id: c.command_id()?.to_owned(),
        comment: c.comment().unwrap_or_default().to_owned(),
        document: c.document_name().map(str::to_owned),
        status: c.status().map(|s| s.as_str().to_owned()).unwrap_or_default(),
        status_details: c.status_details().unwrap_or_default().to_owned(),
        target_count: number(c.target_count()),
        completed: number(c.completed_count()),
        errors: number(c.error_count()),
        delivery_timed_out: number(c.delivery_timed_out_count()),
        instance_ids: c.instance_ids().to_vec(),
        requested_at: times::optional(c.requested_date_time()),
        expires_after: times::optional(c.expires_after()),
    })
}
