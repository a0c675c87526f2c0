//! `StartSession`, `ResumeSession`, `TerminateSession`, `DescribeSessions`, `GetConnectionStatus`.

use super::documents::{self, NAME};
use super::session_documents::{PREFERENCES, filled, inputs, require, values};
use super::{Ssm, offset, token};
use crate::clock::At;
use crate::fleet::node::Node;
use crate::gateway::line::{Event, SessionAct};
use crate::sessions::{End, Order, Session};
use crate::wire::ApiError;
use crate::wire::validate::{Checked, Pattern, camel};
use serde_json::{Map, Value, json};

const REASON: Pattern = Pattern {
    text: "^.{1,256}$",
    fits: |text| (1..=256).contains(&text.chars().count()) && !text.contains(['\n', '\r']),
};
const FILTERS: [&str; 7] =
    ["InvokedAfter", "InvokedBefore", "Target", "Owner", "Status", "SessionId", "AccessType"];
/// Sessions are shown for so long after their end.
const HISTORY_SECONDS: f64 = 30.0 * 86_400.0;

/// True where sessions can be started on a node.
fn is_connected(node: &Node, now: At) -> bool {
    node.managed && node.ping(now) == "Online" && (node.is_real || !node.health.unreachable)
}

/// `StartSession`
pub(super) fn start(ssm: &mut Ssm<'_>, body: &Map<String, Value>) -> Result<Value, ApiError> {
    let mut checked = Checked::new(body);
    let target = checked.required("Target", (1, 400));
    let document = checked.patterned("DocumentName", &NAME);
    let reason = checked.patterned("Reason", &REASON);
    let given = parameters(&mut checked, body);
    checked.finish()?;
    let document = documents::find(ssm.documents, document.as_deref().unwrap_or(PREFERENCES), None)?;
    let form = require(document)?;
    document.check(&given)?;
    let node = ssm.region.fleet.get(&target);
    if !node.is_some_and(|node| is_connected(node, ssm.now)) {
        return Err(ApiError::new("TargetNotConnected", format!("{target} is not connected.")));
    }
    let order = Order {
        account: ssm.region.account.clone(),
        region: ssm.region.name.clone(),
        target,
        owner: ssm.principal.arn.clone(),
        reason,
        document: document.name.clone(),
        kind: form.kind,
        properties: filled(&form.properties, &values(document, &given)),
        inputs: form.inputs.clone().unwrap_or_else(|| inputs(&ssm.spec.session)),
        parameters: given,
    };
    let session = ssm.sessions.start(order, ssm.now);
    Ok(opened(session, ssm.endpoint))
}

fn opened(session: &Session, endpoint: &str) -> Value {
    json!({"SessionId": session.id, "TokenValue": session.token.value, "StreamUrl": session.stream_url(endpoint)})
}

/// The parameters of a call: lists of strings, by name.
fn parameters(checked: &mut Checked<'_>, body: &Map<String, Value>) -> Map<String, Value> {
    let Some(given) = body.get("Parameters").filter(|given| !given.is_null()) else { return Map::new() };
    let Some(given) = given.as_object() else {
        checked.misfit();
        return Map::new();
    };
    for (name, values) in given {
        if name.is_empty() || name.chars().count() > 255 {
            let constraint = "Map keys must satisfy constraint: [Member must have length less than or equal to 255, Member must have length greater than or equal to 1]";
            checked.complain("parameters", name, constraint);
        }
        let Some(values) = values.as_array() else {
            checked.misfit();
            continue;
        };
        for value in values {
            match value.as_str().map(|text| text.chars().count()) {
                None => checked.misfit(),
                Some(0) => {
                    checked.complain(
                        &format!("parameters.{name}.member"),
                        "",
                        "Member must have length greater than or equal to 1",
                    );
                }
                Some(length) if length > 65_535 => {
                    let text = value.as_str().unwrap_or_default();
                    checked.complain(
                        &format!("parameters.{name}.member"),
                        text,
                        "Member must have length less than or equal to 65535",
                    );
                }
                Some(_) => {}
            }
        }
    }
    given.clone()
}

/// A session of the caller's account and region.
fn own<'a>(ssm: &'a Ssm<'_>, id: &str) -> Option<&'a Session> {
    let is_here = |session: &&Session| {
        session.order.account == ssm.region.account && session.order.region == ssm.region.name
    };
    ssm.sessions.get(id).filter(is_here)
}

/// `ResumeSession`: no token where the session has timed out.
pub(super) fn resume(ssm: &mut Ssm<'_>, body: &Map<String, Value>) -> Result<Value, ApiError> {
    let mut checked = Checked::new(body);
    let id = checked.required("SessionId", (1, 96));
    checked.finish()?;
    let gone =
        || ApiError::new("DoesNotExistException", format!("Session {id} does not exist or has ended."));
    let ended = own(ssm, &id).ok_or_else(gone)?.ended;
    match ended {
        None => {}
        Some((_, End::TimedOut)) => return Ok(json!({"SessionId": id})),
        Some((_, End::Finished | End::Terminated)) => return Err(gone()),
    }
    let session = ssm.sessions.renew(&id, ssm.now).ok_or_else(gone)?;
    session.meter.notes().resumes += 1;
    Ok(opened(session, ssm.endpoint))
}

/// `TerminateSession`: ends what goes on, and says the same where nothing does.
pub(super) fn terminate(ssm: &mut Ssm<'_>, body: &Map<String, Value>) -> Result<Value, ApiError> {
    let mut checked = Checked::new(body);
    let id = checked.required("SessionId", (1, 96));
    checked.finish()?;
    if own(ssm, &id).is_some()
        && let Some(session) = ssm.sessions.get_mut(&id)
    {
        session.end(End::Terminated, ssm.now);
        if let Some(line) = &session.line {
            line.say(Event::Act(SessionAct::Terminate { output: String::new() }));
        }
    }
    Ok(json!({"SessionId": id}))
}

/// `DescribeSessions`: newest first.
pub(super) fn describe(ssm: &Ssm<'_>, body: &Map<String, Value>) -> Result<Value, ApiError> {
    let mut checked = Checked::new(body);
    let state = checked.required("State", (0, 4096));
    if !state.is_empty() {
        checked.one_of("state", &state, &["Active", "History"]);
    }
    let most = checked.integer("MaxResults", (1, 200)).unwrap_or(50) as usize;
    let page_token = checked.string("NextToken", (0, 4096));
    let filters = filters(&mut checked);
    checked.finish()?;
    let tests = filters.iter().map(condition).collect::<Result<Vec<_>, _>>()?;
    let from = offset(page_token.as_deref())?;
    let mut matching = ssm.sessions.all().iter().rev().filter(|session| {
        let is_shown = match session.ended {
            None => state == "Active",
            Some((at, _)) => state == "History" && ssm.now.seconds_since(at) < HISTORY_SECONDS,
        };
        is_shown && own(ssm, &session.id).is_some() && tests.iter().all(|test| test.fits(session))
    });
    let page: Vec<Value> =
        matching.by_ref().skip(from).take(most).map(|session| shown(ssm, session)).collect();
    let mut answer = json!({"Sessions": page});
    if matching.next().is_some() {
        answer["NextToken"] = json!(token(from + most));
    }
    Ok(answer)
}

fn filters(checked: &mut Checked<'_>) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (number, filter) in checked.list("Filters", (1, 6)).into_iter().flatten().enumerate() {
        let text = |name: &str| filter.get(name).and_then(Value::as_str).map(str::to_owned);
        let (Some(key), Some(value)) = (text("key"), text("value")) else {
            checked.missing(if filter.get("key").is_some() {
                "Filters.1.member.value"
            } else {
                "Filters.1.member.key"
            });
            continue;
        };
        let place = format!("{}.{}.member", camel("Filters"), number + 1);
        checked.one_of(&format!("{place}.key"), &key, &FILTERS);
        if value.is_empty() || value.chars().count() > 400 {
            let constraint =
                if value.is_empty() { "greater than or equal to 1" } else { "less than or equal to 400" };
            checked.complain(
                &format!("{place}.value"),
                &value,
                &format!("Member must have length {constraint}"),
            );
        }
        found.push((key, value));
    }
    found
}

enum Condition<'a> {
    After(At),
    Before(At),
    Target(&'a str),
    Owner(&'a str),
    Status(&'a str),
    Id(&'a str),
    Access(&'a str),
}

fn condition((key, value): &(String, String)) -> Result<Condition<'_>, ApiError> {
    let time = || {
        At::parse(value).ok_or_else(|| {
            ApiError::new("ValidationException", format!("Invalid value for the filter {key}: {value}"))
        })
    };
    Ok(match key.as_str() {
        "InvokedAfter" => Condition::After(time()?),
        "InvokedBefore" => Condition::Before(time()?),
        "Target" => Condition::Target(value),
        "Owner" => Condition::Owner(value),
        "Status" => Condition::Status(value),
        "SessionId" => Condition::Id(value),
        "AccessType" => Condition::Access(value),
        _ => return Err(ApiError::bare("InvalidFilterKey")),
    })
}

impl Condition<'_> {
    fn fits(&self, session: &Session) -> bool {
        match self {
            Condition::After(at) => session.started_at >= *at,
            Condition::Before(at) => session.started_at <= *at,
            Condition::Target(target) => session.order.target == *target,
            Condition::Owner(owner) => session.order.owner == *owner,
            Condition::Status(status) => session.status.name() == *status,
            Condition::Id(id) => session.id == *id,
            Condition::Access(access) => *access == "Standard",
        }
    }
}

fn shown(ssm: &Ssm<'_>, session: &Session) -> Value {
    let mut shown = json!({
        "SessionId": session.id, "Target": session.order.target, "Status": session.status.name(),
        "StartDate": ssm.shown(session.started_at), "DocumentName": session.order.document, "Owner": session.order.owner,
        "OutputUrl": {}, "AccessType": "Standard",
    });
    if let Some(reason) = &session.order.reason {
        shown["Reason"] = json!(reason);
    }
    if let Some((at, _)) = session.ended {
        shown["EndDate"] = json!(ssm.shown(at));
    }
    if !session.details.is_empty() {
        shown["Details"] = json!(session.details.chars().take(1024).collect::<String>());
    }
    if let Some(longest) =
        session.order.inputs.get("maxSessionDuration").and_then(Value::as_str).filter(|text| !text.is_empty())
    {
        shown["MaxSessionDuration"] = json!(longest);
    }
    shown
}

/// `GetConnectionStatus`
pub(super) fn connection(ssm: &Ssm<'_>, body: &Map<String, Value>) -> Result<Value, ApiError> {
    let mut checked = Checked::new(body);
    let target = checked.required("Target", (1, 400));
    checked.finish()?;
    let is_there = ssm.region.fleet.get(&target).is_some_and(|node| is_connected(node, ssm.now));
    // An agent that has died is there again with the next session.
    let sessions = ssm.sessions.all().iter().rev();
    let last = sessions
        .map(|session| session.id.as_str())
        .find_map(|id| own(ssm, id).filter(|s| s.order.target == target));
    let connected = is_there && !last.is_some_and(|session| session.is_agent_dead);
    Ok(json!({"Target": target, "Status": if connected { "connected" } else { "notconnected" }}))
}
