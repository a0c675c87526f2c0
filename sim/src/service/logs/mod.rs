//! CloudWatch Logs, as far as the output of commands needs it: the streams that agents write, and their events.
//!
//! An agent writes a stream `COMMAND/NODE/PLUGIN/stdout` (and `stderr`), in events of many lines each. Like the
//! objects in S3, events are made when somebody reads them.

mod stream;

use super::Here;
use crate::service::ssm::decoded;
use crate::wire::ApiError;
use crate::wire::validate::Checked;
use base64::Engine as _;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use stream::{Event, Stream, all, is_group, matches};

/// Most events of an answer.
const EVENTS: i64 = 10_000;
/// Most bytes of an answer's events.
const BYTES: usize = 1 << 20;

/// Answers an operation; `None` for one that is not simulated.
pub(crate) fn answer(
    here: &Here<'_>,
    api: &str,
    body: &Map<String, Value>,
) -> Option<Result<Value, ApiError>> {
    Some(match api {
        "DescribeLogGroups" => groups(here, body),
        "DescribeLogStreams" => streams(here, body),
        "FilterLogEvents" => filter(here, body),
        "GetLogEvents" => get(here, body),
        _ => return None,
    })
}

fn invalid(error: ApiError) -> ApiError {
    if error.code == "ValidationException" { error.named("InvalidParameterException") } else { error }
}

fn bad_token() -> ApiError {
    ApiError::new("InvalidParameterException", "The specified nextToken is invalid.")
}

/// Where a page goes on: so far into the list, and so many bytes into the stream there.
type Cursor = (usize, u64);

fn token((index, byte): Cursor) -> String {
    base64::engine::general_purpose::STANDARD.encode(format!("l:{index}:{byte}"))
}

fn cursor(token: Option<&str>) -> Result<Cursor, ApiError> {
    let Some(token) = token else { return Ok((0, 0)) };
    let read = |text: String| {
        let (index, byte) = text.strip_prefix("l:")?.split_once(':')?;
        Some((index.parse().ok()?, byte.parse().ok()?))
    };
    decoded(token).and_then(read).ok_or_else(bad_token)
}

/// The group that a call names, by name or ARN.
fn named(checked: &mut Checked<'_>) -> Option<String> {
    let name = checked.string("logGroupName", (1, 512));
    let identifier = checked.string("logGroupIdentifier", (1, 2048));
    let name = name.or_else(|| {
        let identifier = identifier?;
        let name = identifier.split(":log-group:").last().unwrap_or_default();
        Some(name.trim_end_matches(":*").to_owned())
    });
    if name.is_none() {
        checked.missing("logGroupName");
    }
    name
}

/// The streams of a group with wanted names, in the order in which they were written.
fn of_group<'a>(
    here: &'a Here<'_>,
    group: &str,
    wanted: impl Fn(&str) -> bool,
) -> Result<Vec<Stream<'a>>, ApiError> {
    if !is_group(here, group) {
        let message = "The specified log group does not exist.";
        return Err(ApiError::new("ResourceNotFoundException", message));
    }
    let mut streams = all(here, |have, name| have == group && wanted(name));
    streams.sort_by(|one, other| (one.at, &one.name).cmp(&(other.at, &other.name)));
    Ok(streams)
}

fn groups(here: &Here<'_>, body: &Map<String, Value>) -> Result<Value, ApiError> {
    let mut checked = Checked::new(body);
    let prefix = checked.string("logGroupNamePrefix", (1, 512)).unwrap_or_default();
    let most = checked.integer("limit", (1, 50)).unwrap_or(50) as usize;
    let from = checked.string("nextToken", (1, 4096));
    checked.finish().map_err(invalid)?;
    let (from, _) = cursor(from.as_deref())?;
    let mut found: BTreeMap<String, i64> = BTreeMap::new();
    for stream in all(here, |group, _| group.starts_with(&prefix)) {
        let at = here.shown(stream.at).0 / 1000;
        found.entry(stream.group).and_modify(|first| *first = at.min(*first)).or_insert(at);
    }
    let shown = |(name, created): (&String, &i64)| {
        let arn = here.arn("logs", &format!("log-group:{name}"));
        json!({"logGroupName": name, "creationTime": created, "metricFilterCount": 0, "arn": format!("{arn}:*"),
               "logGroupArn": arn, "storedBytes": 0, "logGroupClass": "STANDARD"})
    };
    let page: Vec<Value> = found.iter().skip(from).take(most).map(shown).collect();
    let mut answer = json!({"logGroups": page});
    if from + most < found.len() {
        answer["nextToken"] = json!(token((from + most, 0)));
    }
    Ok(answer)
}

fn streams(here: &Here<'_>, body: &Map<String, Value>) -> Result<Value, ApiError> {
    let mut checked = Checked::new(body);
    let group = named(&mut checked).unwrap_or_default();
    let prefix = checked.string("logStreamNamePrefix", (1, 512)).unwrap_or_default();
    let most = checked.integer("limit", (1, 50)).unwrap_or(50) as usize;
    let by_time = checked.string("orderBy", (1, 20)).as_deref() == Some("LastEventTime");
    let descending = checked.boolean("descending");
    let from = checked.string("nextToken", (1, 4096));
    checked.finish().map_err(invalid)?;
    let (from, _) = cursor(from.as_deref())?;
    let mut found = of_group(here, &group, |name| name.starts_with(&prefix))?;
    if !by_time {
        found.sort_by(|one, other| one.name.cmp(&other.name));
    }
    if descending {
        found.reverse();
    }
    let shown = |stream: &Stream<'_>| {
        let at = here.shown(stream.at).0 / 1000;
        let arn = here.arn("logs", &format!("log-group:{group}:log-stream:{}", stream.name));
        json!({"logStreamName": stream.name, "creationTime": at, "firstEventTimestamp": at, "lastEventTimestamp": at,
               "lastIngestionTime": at, "arn": arn, "storedBytes": 0})
    };
    let page: Vec<Value> = found.iter().skip(from).take(most).map(shown).collect();
    let mut answer = json!({"logStreams": page});
    if from + most < found.len() {
        answer["nextToken"] = json!(token((from + most, 0)));
    }
    Ok(answer)
}

/// Events of some streams from a cursor on, as far as an answer goes; with the cursor of the rest.
fn collect(
    here: &Here<'_>,
    streams: &[Stream<'_>],
    (start, limit): (Cursor, usize),
    wanted: impl Fn(&Event) -> bool,
) -> (Vec<(usize, Event)>, Option<Cursor>) {
    let (mut events, mut bytes) = (Vec::new(), 0);
    let (mut index, mut byte) = start;
    while let Some(stream) = streams.get(index) {
        let content = stream.content(here);
        while let Some((event, next)) = content.as_ref().and_then(|content| stream.event(here, content, byte))
        {
            let is_wanted = wanted(&event);
            if is_wanted
                && (events.len() == limit || (bytes + event.message.len() > BYTES && !events.is_empty()))
            {
                return (events, Some((index, byte)));
            }
            if is_wanted {
                bytes += event.message.len();
                events.push((index, event));
            }
            byte = next;
        }
        (index, byte) = (index + 1, 0);
    }
    (events, None)
}

/// Bounds on the times of events, in milliseconds.
fn times(checked: &mut Checked<'_>) -> (i64, i64) {
    let from = checked.integer("startTime", (0, i64::MAX)).unwrap_or(0);
    (from, checked.integer("endTime", (0, i64::MAX)).unwrap_or(i64::MAX))
}

fn filter(here: &Here<'_>, body: &Map<String, Value>) -> Result<Value, ApiError> {
    let mut checked = Checked::new(body);
    let group = named(&mut checked).unwrap_or_default();
    let names = checked.strings("logStreamNames", (1, 100));
    let prefix = checked.string("logStreamNamePrefix", (1, 512));
    let (from, to) = times(&mut checked);
    let pattern = checked.string("filterPattern", (0, 1024)).unwrap_or_default();
    let limit = checked.integer("limit", (1, EVENTS)).unwrap_or(EVENTS) as usize;
    let page_token = checked.string("nextToken", (1, 4096));
    checked.finish().map_err(invalid)?;
    if names.is_some() && prefix.is_some() {
        let message = "logStreamNamePrefix and logStreamNames are mutually exclusive parameters.";
        return Err(ApiError::new("InvalidParameterException", message));
    }
    let start = cursor(page_token.as_deref())?;
    let found = of_group(here, &group, |name| {
        names.as_ref().is_none_or(|names| names.iter().any(|wanted| wanted == name))
            && prefix.as_ref().is_none_or(|prefix| name.starts_with(prefix.as_str()))
    })?;
    let wanted = |event: &Event| (from..to).contains(&event.at_ms) && matches(&pattern, &event.message);
    let (events, next) = collect(here, &found, (start, limit), wanted);
    let shown = |(index, event): &(usize, Event)| {
        json!({"logStreamName": found.get(*index).map(|stream| &stream.name), "timestamp": event.at_ms,
               "message": event.message, "ingestionTime": event.at_ms + 800, "eventId": event.id})
    };
    let mut answer = json!({
        "events": events.iter().map(shown).collect::<Value>(), "searchedLogStreams": [],
    });
    if let Some(next) = next {
        answer["nextToken"] = json!(token(next));
    }
    Ok(answer)
}

/// Forwards only: a call that wants the end of a long stream first gets its beginning.
fn get(here: &Here<'_>, body: &Map<String, Value>) -> Result<Value, ApiError> {
    let mut checked = Checked::new(body);
    let group = named(&mut checked).unwrap_or_default();
    let name = checked.required("logStreamName", (1, 512));
    let (from, to) = times(&mut checked);
    let limit = checked.integer("limit", (1, EVENTS)).unwrap_or(EVENTS) as usize;
    checked.boolean("startFromHead");
    let page_token = checked.string("nextToken", (1, 4096));
    checked.finish().map_err(invalid)?;
    let missing = || ApiError::new("ResourceNotFoundException", "The specified log stream does not exist.");
    let found = of_group(here, &group, |have| have == name)?;
    let stream = found.first().ok_or_else(missing)?;
    let (is_back, start) = match page_token.as_deref() {
        None => (false, (0, 0)),
        Some(token) => match (token.strip_prefix("f/"), token.strip_prefix("b/")) {
            (Some(token), _) => (false, cursor(Some(token))?),
            (_, Some(token)) => (true, cursor(Some(token))?),
            (None, None) => return Err(bad_token()),
        },
    };
    let wanted = |event: &Event| (from..to).contains(&event.at_ms);
    let (events, next) =
        if is_back { (Vec::new(), Some(start)) } else { collect(here, &found, (start, limit), wanted) };
    // The end of a stream is a token that comes back unchanged.
    let end = (0, stream.content(here).map_or(0, |content| content.length()));
    let shown = |(_, event): &(usize, Event)| json!({"timestamp": event.at_ms, "message": event.message, "ingestionTime": event.at_ms + 800});
    Ok(json!({
        "events": events.iter().map(shown).collect::<Value>(),
        "nextForwardToken": format!("f/{}", token(next.unwrap_or(end))),
        "nextBackwardToken": format!("b/{}", token(start)),
    }))
}
