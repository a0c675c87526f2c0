//! CloudWatch Logs: the streams that nodes write, read as they grow.

use jiff::Timestamp;

use crate::call::Call;
use crate::ec2::Page;
use crate::error::{CallError, CallErrorKind};
use crate::scope::Scope;

/// CloudWatch Logs in one scope.
#[derive(Clone, Debug)]
pub struct Logs {
    scope: Scope,
    client: aws_sdk_cloudwatchlogs::Client,
}

/// Which events of a log group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventsQuery {
    /// The group's name.
    pub group: String,
    /// How the names of its streams begin.
    pub stream_prefix: String,
    /// Only events of this time and later, to the millisecond.
    pub since: Option<Timestamp>,
    /// At most so many in a page; without it 10,000, or 1 MB.
    pub most: Option<u16>,
}

/// An event: of a command's output, one or many lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEvent {
    /// The stream's name.
    pub stream: String,
    /// What the service calls it: the same event has the same id in every answer.
    pub id: String,
    /// The time that its writer gave it.
    pub at: Timestamp,
    /// Its text.
    pub message: String,
}

impl Logs {
    pub(crate) fn new(scope: Scope, client: aws_sdk_cloudwatchlogs::Client) -> Logs {
        Logs { scope, client }
    }

    /// One page of `FilterLogEvents`, in the order of their times. Pages may be empty and have a next one. `None` where
    /// the group doesn't exist (yet): agents make it.
    ///
    /// # Errors
    /// The call failed.
    pub async fn events(
        &self,
        query: &EventsQuery,
        token: Option<&str>,
    ) -> Result<Option<Page<LogEvent>>, CallError> {
        let request = self
            .client
            .filter_log_events()
            .log_group_name(&query.group)
            .log_stream_name_prefix(&query.stream_prefix)
            .set_start_time(query.since.map(Timestamp::as_millisecond))
            .set_limit(query.most.map(i32::from))
            .set_next_token(token.map(str::to_owned));
        let call = Call::read("logs", "FilterLogEvents", format!("of {}", query.group));
        let answer = match self.scope.call(call, || request.clone().send()).await {
            Ok(answer) => answer,
            Err(error) if error.kind == CallErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let event = |event: &aws_sdk_cloudwatchlogs::types::FilteredLogEvent| {
            Some(LogEvent {
                stream: event.log_stream_name()?.to_owned(),
                id: event.event_id()?.to_owned(),
                at: Timestamp::from_millisecond(event.timestamp()?).ok()?,
                message: event.message().unwrap_or_default().to_owned(),
            })
        };
        Ok(Some(Page {
            items: answer.events().iter().filter_map(event).collect(),
            next: answer.next_token().filter(|token| !token.is_empty()).map(str::to_owned),
        }))
    }
}
