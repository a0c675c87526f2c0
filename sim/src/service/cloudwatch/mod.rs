//! CloudWatch: alarms and their states, over rpc-v2-cbor, awsJson1.0 and awsQuery.

mod alarm;

use super::Here;
use crate::core::Call;
use crate::service::ssm::{offset, token};
use crate::wire::tree::Tree;
use crate::wire::validate::Checked;
use crate::wire::{ApiError, Protocol, Reply, Service, aws_json, aws_query, rpc_cbor};
use alarm::Alarm;
use serde_json::{Map, Value};

/// A state of an alarm, and why it is in it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Setting {
    pub(crate) state: String,
    pub(crate) reason: Option<String>,
    pub(crate) data: Option<String>,
}

/// The states that there are.
const STATES: [&str; 3] = ["OK", "ALARM", "INSUFFICIENT_DATA"];
const KINDS: [&str; 3] = ["CompositeAlarm", "MetricAlarm", "LogAlarm"];

/// Carries an operation out; one without a result gives no members.
type Operation = fn(&mut Here<'_>, &Map<String, Value>) -> Result<Option<Tree>, ApiError>;

/// The operations that are simulated: no other gets to [`answer`].
pub(crate) const OPERATIONS: &[&str] = &["DescribeAlarms", "SetAlarmState"];

/// Answers a call; `None` for an operation that is not simulated.
pub(crate) fn answer(here: &mut Here<'_>, call: &Call) -> Option<Result<Reply, ApiError>> {
    let operation: Operation = match call.api.as_str() {
        "DescribeAlarms" => describe,
        "SetAlarmState" => set_state,
        _ => return None,
    };
    let answer = body(call).and_then(|body| operation(here, &body));
    Some(answer.map(|answer| written(call, answer)))
}

fn body(call: &Call) -> Result<Map<String, Value>, ApiError> {
    match call.protocol {
        Protocol::Cbor => rpc_cbor::parse(&call.incoming.body),
        Protocol::Json => aws_json::parse(&call.incoming.body),
        _ => Ok(rpc_cbor::members(&call.form, &["AlarmNames", "AlarmTypes"], &["MaxRecords"])),
    }
}

fn written(call: &Call, answer: Option<Tree>) -> Reply {
    let name = (call.api.as_str(), call.request_id.as_str());
    match (call.protocol, answer) {
        (Protocol::Cbor, answer) => rpc_cbor::ok(answer.map(|answer| answer.cbor()).as_ref()),
        (Protocol::Json, Some(answer)) => rpc_cbor::json_ok(&answer.json()),
        (Protocol::Json, None) => rpc_cbor::json_ok(&Value::Object(Map::new())),
        (_, Some(answer)) => aws_query::ok(Service::CloudWatch, name, |xml| answer.inside(xml)),
        (_, None) => aws_query::done(Service::CloudWatch, name),
    }
}

fn describe(here: &mut Here<'_>, body: &Map<String, Value>) -> Result<Option<Tree>, ApiError> {
    let mut checked = Checked::new(body);
    let names = checked.strings("AlarmNames", (0, 100)).unwrap_or_default();
    let prefix = checked.string("AlarmNamePrefix", (1, 255));
    let kinds = checked.strings("AlarmTypes", (0, 3)).unwrap_or_default();
    for (number, kind) in kinds.iter().enumerate() {
        checked.one_of(&format!("alarmTypes.{}.member", number + 1), kind, &KINDS);
    }
    let state = checked.string("StateValue", (1, 30));
    if let Some(state) = &state {
        checked.one_of("stateValue", state, &STATES);
    }
    let actions = checked.string("ActionPrefix", (1, 1024));
    let children = checked.string("ChildrenOfAlarmName", (1, 255));
    let parents = checked.string("ParentsOfAlarmName", (1, 255));
    let most = checked.integer("MaxRecords", (1, 100)).unwrap_or(50) as usize;
    let page_token = checked.string("NextToken", (0, 4096));
    checked.finish().map_err(validation)?;
    if prefix.is_some() && !names.is_empty() {
        let message = "AlarmNames and AlarmNamePrefix are mutually exclusive";
        return Err(ApiError::new("ValidationError", message));
    }
    let from = offset(page_token.as_deref())
        .map_err(|_| ApiError::new("InvalidNextToken", "The next token is not valid."))?;
    let here = &*here;
    let all = alarm::all(here);
    let parent = children.as_ref().map(|name| all.iter().find(|alarm| alarm.name == *name));
    let mentioned = parent.map(|parent| parent.map_or("", Alarm::expression).to_owned());
    let wanted: Vec<&Alarm<'_>> = all
        .iter()
        .filter(|alarm| {
            let kind = if alarm.is_composite() { "CompositeAlarm" } else { "MetricAlarm" };
            // Without a wish, composite alarms are left out.
            let kind_fits = kinds.iter().any(|wanted| wanted == kind)
                || kinds.is_empty() && (kind == "MetricAlarm" || children.is_some() || parents.is_some());
            kind_fits
                && (names.is_empty() || names.contains(&alarm.name))
                && prefix.as_ref().is_none_or(|prefix| alarm.name.starts_with(prefix.as_str()))
                && state.as_ref().is_none_or(|state| alarm.setting.state == *state)
                && actions.is_none()
                && mentioned.as_ref().is_none_or(|rule| mentions(rule, &alarm.name))
                && parents.as_ref().is_none_or(|name| mentions(alarm.expression(), name))
        })
        .collect();
    let page = wanted.iter().skip(from).take(most);
    let (composite, metric): (Vec<_>, Vec<_>) = page.partition(|alarm| alarm.is_composite());
    let list = |alarms: Vec<&&Alarm<'_>>| Tree::List(alarms.iter().map(|alarm| alarm.shown(here)).collect());
    let mut members = vec![("CompositeAlarms", list(composite)), ("MetricAlarms", list(metric))];
    if from + most < wanted.len() {
        members.push(("NextToken", Tree::Text(token(from + most))));
    }
    Ok(Some(Tree::Members(members)))
}

/// True where a composite alarm's rule names an alarm.
fn mentions(rule: &str, name: &str) -> bool {
    rule.contains(&format!("\"{name}\"")) || rule.contains(&format!("({name})"))
}

fn validation(error: ApiError) -> ApiError {
    if error.code == "ValidationException" { error.named("ValidationError") } else { error }
}

fn set_state(here: &mut Here<'_>, body: &Map<String, Value>) -> Result<Option<Tree>, ApiError> {
    let mut checked = Checked::new(body);
    let name = checked.required("AlarmName", (1, 255));
    let state = checked.required("StateValue", (1, 30));
    checked.one_of("stateValue", &state, &STATES);
    let reason = checked.required("StateReason", (0, 1023));
    let data = checked.string("StateReasonData", (0, 4000));
    checked.finish().map_err(validation)?;
    if data.as_ref().is_some_and(|data| serde_json::from_str::<Value>(data).is_err()) {
        return Err(ApiError::new("InvalidFormat", "StateReasonData was not valid JSON"));
    }
    if !alarm::all(here).iter().any(|alarm| alarm.name == name) {
        let message = format!("Unknown alarm(s): {name}");
        return Err(ApiError::new("ResourceNotFound", message).status(404));
    }
    let now = here.now;
    here.region.alarms_set.push((now, name, Setting { state, reason: Some(reason), data }));
    Ok(None)
}

/// Sets an alarm as `SetAlarmState` does; false where there is none of that name.
pub(crate) fn set(here: &mut Here<'_>, name: &str, state: &str) -> bool {
    let mut body = Map::new();
    for (key, value) in [("AlarmName", name), ("StateValue", state), ("StateReason", "Set by hand")] {
        body.insert(key.to_owned(), Value::String(value.to_owned()));
    }
    set_state(here, &body).is_ok()
}
