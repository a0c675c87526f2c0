//! Managed nodes: `DescribeInstanceInformation`, `DescribeInstanceProperties`, connection status, tags.

use super::{Ssm, offset, token};
use crate::fleet::names::AGENTS;
use crate::fleet::node::Node;
use crate::wire::ApiError;
use crate::wire::validate::Checked;
use serde_json::{Map, Value, json};

struct Condition {
    key: String,
    values: Vec<String>,
    operator: String,
}

const INFORMATION_KEYS: [&str; 8] = [
    "InstanceIds",
    "AgentVersion",
    "PingStatus",
    "PlatformTypes",
    "ActivationIds",
    "IamRole",
    "ResourceType",
    "AssociationStatus",
];
const PROPERTY_KEYS: [&str; 9] = [
    "InstanceIds",
    "AgentVersion",
    "PingStatus",
    "PlatformTypes",
    "DocumentName",
    "ActivationIds",
    "IamRole",
    "ResourceType",
    "AssociationStatus",
];

/// `DescribeInstanceInformation`: pages of 5 to 50, 10 by default.
pub(super) fn information(ssm: &Ssm<'_>, body: &Map<String, Value>) -> Result<Value, ApiError> {
    let mut checked = Checked::new(body);
    let most = checked.integer("MaxResults", (5, 50)).unwrap_or(10) as usize;
    let page_token = checked.string("NextToken", (0, 4096));
    let mut conditions =
        conditions(&mut checked, "InstanceInformationFilterList", ("key", "valueSet"), &INFORMATION_KEYS);
    conditions.extend(self::conditions(&mut checked, "Filters", ("Key", "Values"), &[]));
    checked.finish()?;
    for condition in &conditions {
        let known = INFORMATION_KEYS.contains(&condition.key.as_str())
            || matches!(condition.key.as_str(), "PlatformType" | "SourceIds" | "SourceTypes" | "tag-key")
            || condition.key.starts_with("tag:");
        if !known {
            return Err(ApiError::bare("InvalidFilterKey"));
        }
    }
    let tags = conditions.iter().filter(|condition| condition.key.starts_with("tag")).count();
    if tags > 0 && tags < conditions.len() {
        return Err(ApiError::new(
            "ValidationException",
            "Tag filters cannot be combined with other filters.",
        ));
    }
    page(ssm, &conditions, (most, page_token), "InstanceInformationList", shown_information)
}

/// `DescribeInstanceProperties`: pages of 5 to 1000.
pub(super) fn properties(ssm: &Ssm<'_>, body: &Map<String, Value>) -> Result<Value, ApiError> {
    let mut checked = Checked::new(body);
    let most = checked.integer("MaxResults", (5, 1000)).unwrap_or(50) as usize;
    let page_token = checked.string("NextToken", (0, 4096));
    let mut conditions =
        conditions(&mut checked, "InstancePropertyFilterList", ("key", "valueSet"), &PROPERTY_KEYS);
    conditions.extend(self::conditions(&mut checked, "FiltersWithOperator", ("Key", "Values"), &[]));
    checked.finish()?;
    if conditions.iter().any(|condition| {
        !PROPERTY_KEYS.contains(&condition.key.as_str()) && !condition.key.starts_with("tag")
    }) {
        return Err(ApiError::bare("InvalidFilterKey"));
    }
    let most = most.min(ssm.spec.switches.properties_page as usize);
    page(ssm, &conditions, (most, page_token), "InstanceProperties", shown_properties)
}

fn conditions(
    checked: &mut Checked<'_>,
    list: &str,
    (key, values): (&str, &str),
    keys: &[&str],
) -> Vec<Condition> {
    let mut found = Vec::new();
    let most = if list.starts_with("InstanceProperty") || list == "FiltersWithOperator" { 40 } else { 100 };
    for filter in checked.list(list, (0, 40)).into_iter().flatten() {
        let name = filter.get(key).and_then(Value::as_str).map(str::to_owned);
        let texts: Option<Vec<String>> = filter
            .get(values)
            .and_then(Value::as_array)
            .and_then(|items| items.iter().map(|item| item.as_str().map(str::to_owned)).collect());
        let (Some(name), Some(texts)) = (name, texts) else {
            checked.misfit();
            continue;
        };
        if !keys.is_empty() {
            checked.one_of(&format!("{}.1.member.key", crate::wire::validate::camel(list)), &name, keys);
        }
        if texts.is_empty() || texts.len() > most {
            let constraint = format!("Member must have length less than or equal to {most}");
            checked.complain(
                &format!("{}.1.member.valueSet", crate::wire::validate::camel(list)),
                &texts.join(", "),
                &constraint,
            );
        }
        let operator = filter.get("Operator").and_then(Value::as_str).unwrap_or("Equal").to_owned();
        found.push(Condition { key: name, values: texts, operator });
    }
    found
}

fn page(
    ssm: &Ssm<'_>,
    conditions: &[Condition],
    (most, page_token): (usize, Option<String>),
    member: &str,
    shown: fn(&Ssm<'_>, &Node) -> Value,
) -> Result<Value, ApiError> {
    let from = offset(page_token.as_deref())?;
    let mut matching = ssm.region.fleet.nodes.iter().skip(from).filter(|node| {
        node.is_listed(ssm.now) && conditions.iter().all(|condition| fits(ssm, node, condition))
    });
    let items: Vec<&Node> = matching.by_ref().take(most).collect();
    let more = matching.next();
    let mut answer = Map::new();
    answer.insert(member.to_owned(), items.iter().map(|node| shown(ssm, node)).collect());
    if let Some(next) = more {
        answer.insert("NextToken".to_owned(), json!(token(next.index as usize)));
    }
    Ok(Value::Object(answer))
}

fn fits(ssm: &Ssm<'_>, node: &Node, condition: &Condition) -> bool {
    if let Some(tag) = condition.key.strip_prefix("tag:") {
        return node.tags.get(tag).is_some_and(|value| condition.values.contains(value));
    }
    let have = match condition.key.as_str() {
        "InstanceIds" | "SourceIds" => node.id.as_str(),
        "AgentVersion" => node.agent.as_str(),
        "PingStatus" => node.ping(ssm.now),
        "PlatformTypes" | "PlatformType" => node.platform.kind(),
        "ResourceType" => resource_type(node),
        "SourceTypes" => source_type(node),
        "IamRole" => {
            if node.is_hybrid() {
                "hybrid-nodes"
            } else {
                ""
            }
        }
        "AssociationStatus" => "Success",
        "tag-key" => return condition.values.iter().any(|value| node.tags.contains_key(value)),
        _ => return false,
    };
    let versions = condition.key == "AgentVersion";
    let order = |value: &String| if versions { parts(have).cmp(&parts(value)) } else { have.cmp(value) };
    match condition.operator.as_str() {
        "NotEqual" => !condition.values.iter().any(|value| value == have),
        "BeginWith" => condition.values.iter().any(|value| have.starts_with(value.as_str())),
        "LessThan" => condition.values.iter().any(|value| order(value).is_lt()),
        "GreaterThan" => condition.values.iter().any(|value| order(value).is_gt()),
        _ => condition.values.iter().any(|value| value == have),
    }
}

fn parts(version: &str) -> Vec<u32> {
    version.split('.').map(|part| part.parse().unwrap_or_default()).collect()
}

fn resource_type(node: &Node) -> &'static str {
    if node.is_hybrid() { "ManagedInstance" } else { "EC2Instance" }
}

fn source_type(node: &Node) -> &'static str {
    if node.is_hybrid() { "AWS::SSM::ManagedInstance" } else { "AWS::EC2::Instance" }
}

fn shown_information(ssm: &Ssm<'_>, node: &Node) -> Value {
    let mut shown = json!({
        "InstanceId": node.id, "PingStatus": node.ping(ssm.now), "LastPingDateTime": ssm.shown(node.last_ping(ssm.now)),
        "AgentVersion": node.agent, "IsLatestVersion": node.agent == AGENTS[0], "PlatformType": node.platform.kind(),
        "PlatformName": node.platform.name(), "PlatformVersion": node.platform.version(), "ResourceType": resource_type(node),
        "IPAddress": node.private_ip, "ComputerName": node.computer_name(), "SourceId": node.id, "SourceType": source_type(node),
        "AssociationStatus": "Success", "LastAssociationExecutionDate": ssm.shown(node.last_ping(ssm.now)),
        "AssociationOverview": {"DetailedStatus": "Success", "InstanceAssociationStatusAggregatedCount": {"Success": 1}},
    });
    if node.is_hybrid() {
        shown["Name"] = json!(node.name);
        hybrid(ssm, node, &mut shown);
    }
    shown
}

fn hybrid(ssm: &Ssm<'_>, node: &Node, shown: &mut Value) {
    shown["ActivationId"] = json!("6e3a1f2c-90b4-4a6f-8e1d-0c5b7a9d2e41");
    shown["IamRole"] = json!("hybrid-nodes");
    shown["RegistrationDate"] = json!(ssm.shown(node.launched()));
}

fn shown_properties(ssm: &Ssm<'_>, node: &Node) -> Value {
    let mut shown = json!({
        "Name": node.name, "InstanceId": node.id, "IPAddress": node.private_ip, "PingStatus": node.ping(ssm.now),
        "LastPingDateTime": ssm.shown(node.last_ping(ssm.now)), "AgentVersion": node.agent, "PlatformType": node.platform.kind(),
        "PlatformName": node.platform.name(), "PlatformVersion": node.platform.version(), "ResourceType": resource_type(node),
        "ComputerName": node.computer_name(), "AssociationStatus": "Success", "SourceId": node.id, "SourceType": source_type(node),
    });
    if node.is_hybrid() {
        hybrid(ssm, node, &mut shown);
    } else {
        shown["InstanceType"] = json!(node.instance_type);
        shown["InstanceRole"] = json!("fleet-node");
        shown["InstanceState"] = json!(node.state(ssm.now).name());
        shown["Architecture"] = json!("x86_64");
        shown["LaunchTime"] = json!(ssm.shown(node.launched()));
        shown["KeyName"] = json!("");
    }
    shown
}

fn tagged<'a>(ssm: &'a mut Ssm<'_>, body: &Map<String, Value>) -> Result<&'a mut Node, ApiError> {
    let mut checked = Checked::new(body);
    let kind = checked.required("ResourceType", (1, 64));
    let id = checked.required("ResourceId", (1, 256));
    checked.finish()?;
    if kind != "ManagedInstance" {
        return Err(ApiError::bare("InvalidResourceType"));
    }
    ssm.region
        .fleet
        .get_mut(&id)
        .filter(|node| node.is_hybrid())
        .ok_or_else(|| ApiError::bare("InvalidResourceId"))
}

/// Complains where a list that has to be there is not.
fn requires(body: &Map<String, Value>, list: &str) -> Result<(), ApiError> {
    let mut checked = Checked::new(body);
    if checked.list(list, (0, 1000)).is_none() {
        checked.missing(list);
    }
    checked.finish()
}

/// `AddTagsToResource`, for hybrid nodes.
pub(super) fn add_tags(ssm: &mut Ssm<'_>, body: &Map<String, Value>) -> Result<Value, ApiError> {
    requires(body, "Tags")?;
    let tags: Vec<(String, String)> = body
        .get("Tags")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|tag| {
            Some((tag.get("Key")?.as_str()?.to_owned(), tag.get("Value")?.as_str()?.to_owned()))
        })
        .collect();
    tagged(ssm, body)?.tags.extend(tags);
    Ok(json!({}))
}

/// `RemoveTagsFromResource`, for hybrid nodes.
pub(super) fn remove_tags(ssm: &mut Ssm<'_>, body: &Map<String, Value>) -> Result<Value, ApiError> {
    requires(body, "TagKeys")?;
    let node = tagged(ssm, body)?;
    for key in body.get("TagKeys").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
        node.tags.remove(key);
    }
    Ok(json!({}))
}

/// `ListTagsForResource`, for hybrid nodes.
pub(super) fn list_tags(ssm: &mut Ssm<'_>, body: &Map<String, Value>) -> Result<Value, ApiError> {
    let node = tagged(ssm, body)?;
    let tags: Vec<Value> = node.tags.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect();
    Ok(json!({"TagList": tags}))
}

/// `UpdateInstanceInformation`, which agents call every five minutes.
pub(super) fn update(ssm: &mut Ssm<'_>, body: &Map<String, Value>) -> Result<Value, ApiError> {
    let mut checked = Checked::new(body);
    let id = checked.required("InstanceId", (1, 256));
    let version = checked.string("AgentVersion", (0, 64));
    checked.finish()?;
    let node = ssm.region.fleet.get_mut(&id).filter(|node| node.managed);
    let node = node.ok_or_else(|| ApiError::bare("InvalidInstanceId"))?;
    if let Some(version) = version.filter(|_| node.is_real) {
        node.agent = version;
    }
    Ok(json!({}))
}

/// `ListInstanceAssociations`: there are none.
pub(super) fn associations(body: &Map<String, Value>) -> Result<Value, ApiError> {
    let mut checked = Checked::new(body);
    checked.required("InstanceId", (1, 256));
    checked.finish()?;
    Ok(json!({"Associations": []}))
}
