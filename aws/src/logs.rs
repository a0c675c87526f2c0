//! CloudWatch Logs: the streams that nodes write, read as they grow or from their beginning.

use aws_sdk_cloudwatchlogs::operation::get_log_events::GetLogEventsOutput;
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

/// A part of a stream, from its beginning on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamPart {
    /// Texts of the events, in order. A part may be empty in the middle of a stream.
    pub messages: Vec<String>,
    /// The token of what follows; `None` at what is the end for now.
    pub next: Option<String>,
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

    /// A part of a stream by `GetLogEvents`, from its beginning or from a token on: 10,000 events or 1 MB. `None` where
    /// group or stream don't exist (yet).
    ///
    /// # Errors
    /// The call failed.
    pub async fn stream(
        &self,
        group: &str,
        stream: &str,
        token: Option<&str>,
    ) -> Result<Option<StreamPart>, CallError> {
        let request = self
            .client
            .get_log_events()
            .log_group_name(group)
            .log_stream_name(stream)
            .start_from_head(true)
            .set_next_token(token.map(str::to_owned));
        let call = Call::read("logs", "GetLogEvents", format!("of {stream} in {group}"));
        match self.scope.call(call, || request.clone().send()).await {
            Ok(answer) => Ok(Some(part(&answer, token))),
            Err(error) if error.kind == CallErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Tokens never end: the end is the token that was sent.
fn part(answer: &GetLogEventsOutput, sent: Option<&str>) -> StreamPart {
    let next = answer.next_forward_token().filter(|token| !token.is_empty() && Some(*token) != sent);
    StreamPart {
        messages: answer.events().iter().map(|e| e.message().unwrap_or_default().to_owned()).collect(),
        next: next.map(str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_cloudwatchlogs::types::OutputLogEvent;

    use super::*;

    #[test]
    fn a_stream_ends_where_its_token_comes_back() {
        let answer = |token: &str| {
            let event = OutputLogEvent::builder().message("up").build();
            GetLogEventsOutput::builder().events(event).next_forward_token(token).build()
        };
        assert_eq!(part(&answer("f/1"), None).next.as_deref(), Some("f/1"));
        assert_eq!(part(&answer("f/2"), Some("f/1")).next.as_deref(), Some("f/2"));
        assert_eq!(part(&answer("f/2"), Some("f/2")).next, None);
        assert_eq!(part(&answer(""), None).messages, ["up"]);
    }
}
