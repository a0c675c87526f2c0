//! CloudWatch Logs, as far as the output of commands needs it: the streams that agents write, and their events.
//!
//! An agent writes a stream `COMMAND/NODE/PLUGIN/stdout` (and `stderr`), in events of many lines each. Like the
//! objects in S3, events are made when somebody reads them.

mod stream;

use super::Here;
use crate::clock::At;
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

/// The operations that are simulated: no other gets to [`answer`].
pub(crate) const OPERATIONS: &[&str] =
    &["DescribeLogGroups", "DescribeLogStreams", "FilterLogEvents", "GetLogEvents"];

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

/// Where a page goes on: behind this event, by its time, its stream's name and its place there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Cursor {
    at: At,
    stream: String,
    byte: u64,
}

impl Cursor {
    fn token(&self) -> String {
        let text = format!("e:{}:{}:{}", self.at.0, self.byte, self.stream);
        base64::engine::general_purpose::STANDARD.encode(text)
    }

    fn read(token: &str) -> Result<Cursor, ApiError> {
        let read = |text: String| {
            let mut parts = text.strip_prefix("e:")?.splitn(3, ':');
            let (at, byte) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
            Some(Cursor { at: At(at), byte, stream: parts.next()?.to_owned() })
        };
        decoded(token).and_then(read).ok_or_else(bad_token)
    }
}

/// The token of a place in a list.
fn place_token(place: usize) -> String {
    base64::engine::general_purpose::STANDARD.encode(format!("l:{place}"))
}

fn place(token: Option<&str>) -> Result<usize, ApiError> {
    let Some(token) = token else { return Ok(0) };
    let number = decoded(token).and_then(|text| text.strip_prefix("l:")?.parse::<u32>().ok());
    number.map(|number| number as usize).ok_or_else(bad_token)
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

/// The streams of a group with wanted names, by name.
fn of_group(here: &Here<'_>, group: &str, wanted: impl Fn(&str) -> bool) -> Result<Vec<Stream>, ApiError> {
    if !is_group(here, group) {
        let message = "The specified log group does not exist.";
        return Err(ApiError::new("ResourceNotFoundException", message));
    }
    Ok(all(here, |have, name| have == group && wanted(name)))
}

fn groups(here: &Here<'_>, body: &Map<String, Value>) -> Result<Value, ApiError> {
    let mut checked = Checked::new(body);
    let prefix = checked.string("logGroupNamePrefix", (1, 512)).unwrap_or_default();
    checked.string("logGroupNamePattern", (0, 512));
    checked.strings("accountIdentifiers", (0, 20));
    checked.strings("logGroupIdentifiers", (1, 50));
    if let Some(class) = checked.string("logGroupClass", (0, 64)) {
        checked.one_of("logGroupClass", &class, &["STANDARD", "INFREQUENT_ACCESS", "DELIVERY"]);
    }
    let most = checked.integer("limit", (1, 50)).unwrap_or(50) as usize;
    let from = checked.string("nextToken", (1, 4096));
    checked.finish().map_err(invalid)?;
    let from = place(from.as_deref())?;
    let mut found: BTreeMap<String, i64> = BTreeMap::new();
    for stream in all(here, |group, _| group.starts_with(&prefix)) {
        let at = here.shown(stream.begun()).0 / 1000;
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
        answer["nextToken"] = json!(place_token(from + most));
    }
    Ok(answer)
}

fn streams(here: &Here<'_>, body: &Map<String, Value>) -> Result<Value, ApiError> {
    let mut checked = Checked::new(body);
    let group = named(&mut checked).unwrap_or_default();
    let prefix = checked.string("logStreamNamePrefix", (1, 512)).unwrap_or_default();
    let most = checked.integer("limit", (1, 50)).unwrap_or(50) as usize;
    let order = checked.string("orderBy", (0, 64)).unwrap_or_else(|| "LogStreamName".to_owned());
    checked.one_of("orderBy", &order, &["LogStreamName", "LastEventTime"]);
    let by_time = order == "LastEventTime";
    let descending = checked.boolean("descending");
    let from = checked.string("nextToken", (1, 4096));
    checked.finish().map_err(invalid)?;
    let from = place(from.as_deref())?;
    let mut found = of_group(here, &group, |name| name.starts_with(&prefix))?;
    if by_time {
        found.sort_by(|one, other| (one.begun(), &one.name).cmp(&(other.begun(), &other.name)));
    }
    if descending {
        found.reverse();
    }
    let shown = |stream: &Stream| {
        let at = here.shown(stream.begun()).0 / 1000;
        let arn = here.arn("logs", &format!("log-group:{group}:log-stream:{}", stream.name));
        json!({"logStreamName": stream.name, "creationTime": at, "firstEventTimestamp": at, "lastEventTimestamp": at,
               "lastIngestionTime": at, "arn": arn, "storedBytes": 0})
    };
    let page: Vec<Value> = found.iter().skip(from).take(most).map(shown).collect();
    let mut answer = json!({"logStreams": page});
    if from + most < found.len() {
        answer["nextToken"] = json!(place_token(from + most));
    }
    Ok(answer)
}

/// Events of some streams behind a cursor, in the order of their times, as far as an answer goes; and whether there are more.
fn collect(
    here: &Here<'_>,
    streams: &[Stream],
    (after, limit): (Option<&Cursor>, usize),
    wanted: impl Fn(&Event) -> bool,
) -> (Vec<(Cursor, Event)>, bool) {
    let until = here.seen_until();
    let is_behind = |stream: &Stream, event: &Event| {
        after.is_none_or(|after| {
            *after < Cursor { at: event.at, stream: stream.name.clone(), byte: event.byte }
        })
    };
    let mut waiting: Vec<_> = streams
        .iter()
        .map(|stream| {
            let start = after.filter(|after| after.stream == stream.name).map_or(0, |after| after.byte);
            let events = stream.events(start).take_while(|event| event.at <= until);
            (stream, events.filter(move |event| is_behind(stream, event)).peekable())
        })
        .collect();
    let (mut found, mut bytes) = (Vec::new(), 0);
    loop {
        let next = waiting
            .iter_mut()
            .filter_map(|(stream, events)| Some(((events.peek()?.at, &stream.name), events)))
            .min_by(|(one, _), (other, _)| one.cmp(other));
        let Some(((_, name), events)) = next else { return (found, false) };
        let (name, Some(event)) = (name.clone(), events.next()) else { return (found, false) };
        if !wanted(&event) {
            continue;
        }
        if found.len() == limit || (bytes + event.message.len() > BYTES && !found.is_empty()) {
            return (found, true);
        }
        bytes += event.message.len();
        found.push((Cursor { at: event.at, stream: name, byte: event.byte }, event));
    }
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
    let after = page_token.as_deref().map(Cursor::read).transpose()?;
    let found = of_group(here, &group, |name| {
        names.as_ref().is_none_or(|names| names.iter().any(|wanted| wanted == name))
            && prefix.as_ref().is_none_or(|prefix| name.starts_with(prefix.as_str()))
    })?;
    let wanted =
        |event: &Event| (from..=to).contains(&shown_ms(here, event)) && matches(&pattern, &event.message);
    let (events, has_more) = collect(here, &found, (after.as_ref(), limit), wanted);
    let shown = |(cursor, event): &(Cursor, Event)| {
        let at = shown_ms(here, event);
        json!({"logStreamName": cursor.stream, "timestamp": at, "message": event.message, "ingestionTime": at + 800,
               "eventId": event.id})
    };
    let mut answer = json!({
        "events": events.iter().map(shown).collect::<Value>(), "searchedLogStreams": [],
    });
    if let Some((last, _)) = events.last().filter(|_| has_more) {
        answer["nextToken"] = json!(last.token());
    }
    Ok(answer)
}

/// The time of an event as callers see it.
fn shown_ms(here: &Here<'_>, event: &Event) -> i64 {
    here.shown(event.at).0 / 1000
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
    let begin = Cursor { at: At(0), stream: String::new(), byte: 0 };
    let (is_back, start) = match page_token.as_deref() {
        None => (false, begin),
        Some(token) => match (token.strip_prefix("f/"), token.strip_prefix("b/")) {
            (Some(token), _) => (false, Cursor::read(token)?),
            (_, Some(token)) => (true, Cursor::read(token)?),
            (None, None) => return Err(bad_token()),
        },
    };
    let wanted = |event: &Event| (from..to).contains(&shown_ms(here, event));
    let (events, _) = if is_back {
        (Vec::new(), false)
    } else {
        collect(here, std::slice::from_ref(stream), (Some(&start), limit), wanted)
    };
    // The end of a stream is a token that comes back unchanged.
    let end = events.last().map_or(&start, |(cursor, _)| cursor);
    let shown = |(_, event): &(Cursor, Event)| {
        let at = shown_ms(here, event);
        json!({"timestamp": at, "message": event.message, "ingestionTime": at + 800})
    };
    Ok(json!({
        "events": events.iter().map(shown).collect::<Value>(),
        "nextForwardToken": format!("f/{}", end.token()),
        "nextBackwardToken": format!("b/{}", start.token()),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_that_no_list_has_are_refused() {
        assert_eq!(place(Some(&place_token(7))).unwrap(), 7);
        for number in [usize::MAX, u32::MAX as usize + 1] {
            assert_eq!(place(Some(&place_token(number))).unwrap_err().code, "InvalidParameterException");
        }
    }
}
