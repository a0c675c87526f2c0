//! `SendCommand`: checks as AWS checks, then a course of events for every node.

use super::answers::{Order, draft};
use super::command::Command;
use super::documents::{Document, NAME, VERSION, find};
use super::engine::{Draft, Limits, Reach, simulate};
use super::{INSTANCE_ID, Ssm, list};
use crate::clock::At;
use crate::draw::Draw;
use crate::fleet::node::{Node, State};
use crate::service::resource_groups;
use crate::wire::ApiError;
use crate::wire::validate::{Checked, Pattern};
use serde_json::{Map, Value, json};
use std::collections::HashSet;

const CONCURRENCY: Pattern =
    Pattern { text: "^([1-9][0-9]*|[1-9][0-9]%|[1-9]%|100%)$", fits: is_concurrency };
const ERRORS: Pattern = Pattern { text: "^([1-9][0-9]*|[0]|[1-9][0-9]%|[0-9]%|100%)$", fits: is_errors };

/// AWS's default when no `TimeoutSeconds` is given.
const DELIVERY_SECONDS: i64 = 3600;
/// The agent's default, also for values that it does not accept.
const EXECUTION_SECONDS: i64 = 3600;

/// Members of a request that are given back as they came.
const ECHOED: [&str; 11] = [
    "DocumentVersion",
    "Targets",
    "OutputS3Region",
    "OutputS3BucketName",
    "OutputS3KeyPrefix",
    "MaxConcurrency",
    "MaxErrors",
    "NotificationConfig",
    "CloudWatchOutputConfig",
    "AlarmConfiguration",
    "Comment",
];

fn is_concurrency(text: &str) -> bool {
    text != "0" && text != "0%" && is_errors(text)
}

fn is_errors(text: &str) -> bool {
    let (digits, percent) = text.strip_suffix('%').map_or((text, false), |digits| (digits, true));
    let numeric = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let plain = numeric && (digits == "0" || !digits.starts_with('0')) && text.len() <= 7;
    plain && (!percent || digits.parse::<u32>().is_ok_and(|value| value <= 100))
}

struct Request {
    document: String,
    version: Option<String>,
    instance_ids: Vec<String>,
    targets: Vec<(String, Vec<String>)>,
    parameters: Map<String, Value>,
    timeout: i64,
    comment: String,
    concurrency: Option<String>,
    errors: Option<String>,
}

fn read(ssm: &Ssm<'_>, body: &Map<String, Value>) -> Result<Request, ApiError> {
    let mut checked = Checked::new(body);
    let document = checked.patterned("DocumentName", &NAME);
    if document.is_none() {
        checked.missing("DocumentName");
    }
    let version = checked.patterned("DocumentVersion", &VERSION);
    let instance_ids = checked.strings("InstanceIds", (0, 50)).unwrap_or_default();
    for id in &instance_ids {
        checked.fits("instanceIds", id, &INSTANCE_ID);
    }
    let targets = targets(&mut checked, ssm.spec.switches.tag_values as usize);
    let timeout = checked.integer("TimeoutSeconds", (30, 2_592_000)).unwrap_or(DELIVERY_SECONDS);
    let comment = checked.string("Comment", (0, 100)).unwrap_or_default();
    let concurrency = checked.patterned("MaxConcurrency", &CONCURRENCY);
    let errors = checked.patterned("MaxErrors", &ERRORS);
    checked.string("OutputS3BucketName", (3, 63));
    checked.string("OutputS3Region", (3, 20));
    if let Some(kind) = checked.string("DocumentHashType", (0, 64)) {
        checked.one_of("documentHashType", &kind, &["Sha256", "Sha1"]);
    }
    checked.string("OutputS3KeyPrefix", (0, 500));
    checked.string("DocumentHash", (0, 256));
    let parameters = match body.get("Parameters") {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(parameters)) => parameters.clone(),
        Some(_) => {
            checked.misfit();
            Map::new()
        }
    };
    checked.finish()?;
    let document = document.unwrap_or_default();
    Ok(Request {
        document,
        version,
        instance_ids,
        targets,
        parameters,
        timeout,
        comment,
        concurrency,
        errors,
    })
}

fn targets(checked: &mut Checked<'_>, most_values: usize) -> Vec<(String, Vec<String>)> {
    let mut found = Vec::new();
    for (number, target) in checked.list("Targets", (0, 5)).into_iter().flatten().enumerate() {
        let key = target.get("Key").and_then(Value::as_str).unwrap_or_default().to_owned();
        let values: Vec<String> = target
            .get("Values")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect();
        if key.is_empty() || key.chars().count() > 163 {
            checked.complain(
                &format!("targets.{}.member.key", number + 1),
                &key,
                "Member must have length less than or equal to 163",
            );
        }
        if values.len() > most_values {
            let path = format!("targets.{}.member.values", number + 1);
            let constraint = format!("Member must have length less than or equal to {most_values}");
            checked.complain(&path, &format!("[{}]", values.join(", ")), &constraint);
        }
        found.push((key, values));
    }
    found
}

pub(super) fn send(ssm: &mut Ssm<'_>, body: &Map<String, Value>) -> Result<Value, ApiError> {
    let request = read(ssm, body)?;
    match (request.instance_ids.is_empty(), request.targets.is_empty()) {
        (true, true) => {
            return Err(ApiError::new(
                "ValidationException",
                "Either InstanceIds or Targets has to be specified.",
            ));
        }
        (false, false) => {
            return Err(ApiError::new(
                "ValidationException",
                "InstanceIds and Targets cannot both be specified.",
            ));
        }
        (true, false) | (false, true) => {}
    }
    let document = find(ssm.documents, &request.document, request.version.as_deref())?.clone();
    if document.session.is_some() {
        let message =
            "Document type: 'Session' is not supported. Only type: 'Command' is supported in this context.";
        return Err(ApiError::new("InvalidDocument", message));
    }
    check_parameters(ssm, &document, &request.parameters)?;
    let unique: HashSet<&String> = request.instance_ids.iter().collect();
    if unique.len() != request.instance_ids.len() {
        return Err(ApiError::bare("DuplicateInstanceId"));
    }
    let nodes = if request.targets.is_empty() {
        named(ssm, &request, &document)?
    } else {
        targeted(ssm, &request.targets)?
    };
    let command = build(ssm, &request, &document, &nodes, body);
    let summary = command.summary(command.requested_at);
    let mut shown = list::shown_command(ssm, &command, &summary);
    if command.refused.is_none() {
        (shown["Status"], shown["StatusDetails"]) = (json!("Pending"), json!("Pending"));
    }
    ssm.region.add(command);
    Ok(json!({"Command": shown}))
}

fn check_parameters(ssm: &Ssm<'_>, document: &Document, given: &Map<String, Value>) -> Result<(), ApiError> {
    document.check(given)?;
    let text = Value::Object(given.clone()).to_string();
    if text.len() as u64 > ssm.spec.switches.parameters_limit {
        return Err(ApiError::new(
            "MaxDocumentSizeExceeded",
            "The size limit of the document with its parameters is exceeded.",
        ));
    }
    if ssm.spec.switches.reject_braces && text.contains("{{") {
        return Err(ApiError::new("InvalidParameters", "Parameters contain an unresolved reference: {{ }}."));
    }
    if let Some(reference) = text.split_once("{{ssm:").or_else(|| text.split_once("{{ ssm:")) {
        let name = reference.1.split("}}").next().unwrap_or_default().trim();
        return Err(ApiError::new(
            "InvalidParameters",
            format!("Parameter {name} was not found in Parameter Store."),
        ));
    }
    Ok(())
}

/// The nodes that a call names: one that cannot be used fails the call.
fn named(ssm: &Ssm<'_>, request: &Request, document: &Document) -> Result<Vec<u32>, ApiError> {
    let usable = |id: &String| {
        let node = ssm.region.fleet.get(id)?;
        (node.managed && node.state(ssm.now) == State::Running).then_some(node)
    };
    let bad: Vec<&str> =
        request.instance_ids.iter().filter(|id| usable(id).is_none()).map(String::as_str).collect();
    if !bad.is_empty() {
        return Err(invalid_ids(ssm, &bad));
    }
    let nodes: Vec<&Node> = request.instance_ids.iter().filter_map(usable).collect();
    let fits = |node: &Node| document.platforms.iter().any(|platform| platform == node.platform.kind());
    if let Some(node) = nodes.iter().find(|node| !fits(node)) {
        return Err(ApiError::new(
            "UnsupportedPlatformType",
            format!(
                "The document {} is not supported on the platform {} of {}.",
                document.name,
                node.platform.kind(),
                node.id
            ),
        ));
    }
    Ok(nodes.into_iter().map(|node| node.index).collect())
}

fn invalid_ids(ssm: &Ssm<'_>, bad: &[&str]) -> ApiError {
    if ssm.spec.switches.opaque_errors {
        return ApiError::bare("InvalidInstanceId");
    }
    let message =
        format!("Instances [[{}]] not in a valid state for account {}", bad.join(", "), ssm.region.account);
    ApiError::new("InvalidInstanceId", message)
}

/// The nodes that targets find: all targets have to fit, with one of their values each.
fn targeted(ssm: &Ssm<'_>, targets: &[(String, Vec<String>)]) -> Result<Vec<u32>, ApiError> {
    if ssm.spec.switches.targets_instance_ids_strict {
        let ids = targets.iter().filter(|(key, _)| key == "InstanceIds").flat_map(|(_, values)| values);
        let bad: Vec<&str> = ids
            .map(String::as_str)
            .filter(|id| ssm.region.fleet.get(id).is_none_or(|node| !node.managed))
            .collect();
        if !bad.is_empty() {
            return Err(invalid_ids(ssm, &bad));
        }
    }
    if ssm.spec.switches.targets_all_refused
        && targets.iter().any(|(key, values)| key == "InstanceIds" && values.iter().any(|value| value == "*"))
    {
        return Err(ApiError::new("ValidationException", "Targets of the key InstanceIds have to be ids."));
    }
    let groups = resource_groups::all(ssm.spec);
    let fits = |node: &Node, key: &str, values: &[String]| {
        if let Some(tag) = key.strip_prefix("tag:") {
            return node.tags.get(tag).is_some_and(|have| values.contains(have));
        }
        match key {
            "InstanceIds" | "instanceids" => values.iter().any(|value| *value == node.id || value == "*"),
            "tag-key" => values.iter().any(|value| node.tags.contains_key(value)),
            "resource-groups:Name" => {
                groups.iter().any(|group| values.contains(&group.name) && group.has(node))
            }
            "resource-groups:ResourceTypeFilters" => {
                values.iter().any(|value| value == resource_groups::kind(node))
            }
            _ => false,
        }
    };
    if targets.iter().any(|(key, values)| key == "resource-groups:Name" && values.len() > 1) {
        let message = "Only one resource group can be specified per command.";
        return Err(ApiError::new("ValidationException", message));
    }
    let known = |key: &str| {
        key.starts_with("tag:")
            || matches!(
                key,
                "InstanceIds"
                    | "instanceids"
                    | "tag-key"
                    | "resource-groups:Name"
                    | "resource-groups:ResourceTypeFilters"
            )
    };
    if let Some((key, _)) = targets.iter().find(|(key, _)| !known(key)) {
        return Err(ApiError::new("ValidationException", format!("Target key {key} is not supported.")));
    }
    let nodes = ssm.region.fleet.nodes.iter().filter(|node| node.is_listed(ssm.now));
    Ok(nodes
        .filter(|node| targets.iter().all(|(key, values)| fits(node, key, values)))
        .map(|node| node.index)
        .collect())
}

fn build(
    ssm: &mut Ssm<'_>,
    request: &Request,
    document: &Document,
    nodes: &[u32],
    body: &Map<String, Value>,
) -> Command {
    let text = |key: &str, join: &str| {
        let items = request.parameters.get(key).and_then(Value::as_array).into_iter().flatten();
        items.filter_map(Value::as_str).collect::<Vec<_>>().join(join)
    };
    let script = if document.is_script() {
        text("commands", "\n")
    } else {
        Value::Object(request.parameters.clone()).to_string()
    };
    let limits = limits(ssm, request, nodes.len() as u32, text("executionTimeout", "").parse().ok());
    let now = ssm.now;
    let sequence = ssm.region.next_sequence();
    let id = Draw::new(ssm.spec.seed)
        .text(&ssm.region.account)
        .text(&ssm.region.name)
        .with(sequence)
        .with(now.0 as u64)
        .uuid();
    let directory = text("workingDirectory", "");
    let refused = refusal(ssm, nodes.len());
    let drafts =
        if refused.is_some() { Vec::new() } else { drafts(ssm, document, nodes, (&id, &script, &directory)) };
    let echoed = body.iter().filter(|(key, value)| ECHOED.contains(&key.as_str()) && !value.is_null());
    Command {
        sequence,
        document: document.name.clone(),
        plugin: document.plugin.clone(),
        comment: request.comment.clone(),
        script,
        is_script: document.is_script(),
        directory,
        parameters: request.parameters.clone(),
        instance_ids: request.instance_ids.clone(),
        echoed: echoed.map(|(key, value)| (key.clone(), value.clone())).collect(),
        requested_at: now,
        expires_at: now.plus_seconds(limits.delivery + limits.execution),
        timeout_seconds: request.timeout,
        invocations: simulate(now, &drafts, limits, &[]),
        limits,
        interventions: Vec::new(),
        refused,
        is_foreign: false,
        id,
    }
}

fn limits(ssm: &Ssm<'_>, request: &Request, count: u32, asked: Option<i64>) -> Limits {
    let execution = asked.filter(|asked| (5..=172_800).contains(asked)).unwrap_or(EXECUTION_SECONDS);
    let speed = ssm.spec.speed;
    Limits {
        delivery: request.timeout as f64 / speed,
        execution: execution as f64 / speed,
        concurrency: portion(request.concurrency.as_deref().unwrap_or("50"), count).max(1),
        errors: portion(request.errors.as_deref().unwrap_or("0"), count),
        ramp: !request.targets.is_empty(),
        speed,
    }
}

/// Why the service takes the command and sends it to nobody.
fn refusal(ssm: &Ssm<'_>, count: usize) -> Option<&'static str> {
    let limit = ssm.spec.switches.pending_limit as usize;
    if count == 0 {
        return Some("NoInstancesInTag");
    }
    let open = |now: At| {
        ssm.region
            .commands_until(now)
            .flat_map(|command| &command.invocations)
            .filter(|one| !one.is_finished(now))
            .count()
    };
    (limit > 0 && open(ssm.now) + count > limit).then_some("LimitExceeded")
}

fn drafts(
    ssm: &mut Ssm<'_>,
    document: &Document,
    nodes: &[u32],
    (id, script, directory): (&str, &str, &str),
) -> Vec<Draft> {
    let hash = Draw::new(0).text(&document.name).text(script).bits();
    let occurrences: Vec<u32> = nodes.iter().map(|node| ssm.region.occurrence(*node, hash)).collect();
    let order = Order {
        spec: ssm.spec,
        region: &ssm.region.name,
        command_id: id,
        document: &document.name,
        plugin: &document.plugin,
        script,
        is_script: document.is_script(),
        directory,
    };
    let drafted = nodes.iter().zip(occurrences).filter_map(|(index, occurrence)| {
        let node = ssm.region.fleet.at(*index)?;
        let mut draft = draft(order, node, occurrence, ssm.now);
        if !document.platforms.iter().any(|platform| platform == node.platform.kind()) {
            draft.reach = Reach::InvalidPlatform;
        }
        Some(draft)
    });
    drafted.collect()
}

/// `10` or `10%` of a count; percentages are rounded down.
fn portion(text: &str, count: u32) -> u32 {
    match text.strip_suffix('%').map(str::parse::<u64>) {
        Some(percent) => (u64::from(count) * percent.unwrap_or_default() / 100) as u32,
        None => text.parse().unwrap_or(u32::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_the_models() {
        for (text, concurrency, errors) in [
            ("1", true, true),
            ("0", false, true),
            ("10%", true, true),
            ("0%", false, true),
            ("100%", true, true),
            ("101%", false, false),
            ("01", false, false),
            ("", false, false),
            ("x", false, false),
            ("1.5", false, false),
        ] {
            assert_eq!((is_concurrency(text), is_errors(text)), (concurrency, errors), "{text}");
        }
        assert_eq!((portion("10%", 55), portion("7", 55)), (5, 7));
    }
}
