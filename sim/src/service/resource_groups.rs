//! Resource Groups: groups by tag query, one for each environment and a scenario's.

use super::Here;
use crate::fleet::node::{Node, State};
use crate::service::ssm::{offset, token};
use crate::spec::Spec;
use crate::wire::ApiError;
use crate::wire::form::Form;
use crate::wire::validate::Checked;
use crate::world::Region;
use serde_json::{Map, Value, json};

/// Largest page, and the page of a call that names none.
const PAGE: i64 = 50;
const INSTANCE: &str = "AWS::EC2::Instance";
const MANAGED: &str = "AWS::SSM::ManagedInstance";

/// A group.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    pub(crate) name: String,
    description: String,
    tags: Vec<(String, Vec<String>)>,
    types: Vec<String>,
}

/// Every group, by name.
pub(crate) fn all(spec: &Spec) -> Vec<Group> {
    let rules = spec.scenario.as_ref().map_or(&[][..], |scenario| &scenario.resource_groups);
    let mut groups: Vec<Group> = ["prod", "staging", "dev"]
        .into_iter()
        .filter(|environment| !rules.iter().any(|rule| rule.name == format!("env-{environment}")))
        .map(|environment| Group {
            name: format!("env-{environment}"),
            description: format!("Everything in {environment}"),
            tags: vec![("env".to_owned(), vec![environment.to_owned()])],
            types: Vec::new(),
        })
        .collect();
    groups.extend(rules.iter().map(|rule| Group {
        name: rule.name.clone(),
        description: rule.description.clone(),
        tags: rule.tags.clone().into_iter().collect(),
        types: rule.types.clone(),
    }));
    groups.sort_by(|one, other| one.name.cmp(&other.name));
    groups
}

/// A node's resource type.
pub(crate) fn kind(node: &Node) -> &'static str {
    if node.is_hybrid() { MANAGED } else { INSTANCE }
}

impl Group {
    /// True where a node is in the group.
    pub(crate) fn has(&self, node: &Node) -> bool {
        let tags_fit = self.tags.iter().all(|(key, values)| {
            node.tags.get(key).is_some_and(|have| values.is_empty() || values.contains(have))
        });
        tags_fit && (self.types.is_empty() || self.types.iter().any(|wanted| wanted == kind(node)))
    }

    fn arn(&self, region: &Region) -> String {
        format!("arn:aws:resource-groups:{}:{}:group/{}", region.name, region.account, self.name)
    }

    fn query(&self) -> Value {
        let filters: Vec<Value> =
            self.tags.iter().map(|(key, values)| json!({"Key": key, "Values": values})).collect();
        let types =
            if self.types.is_empty() { vec!["AWS::AllSupported".to_owned()] } else { self.types.clone() };
        let query = json!({"ResourceTypeFilters": types, "TagFilters": filters}).to_string();
        json!({"Type": "TAG_FILTERS_1_0", "Query": query})
    }
}

/// The operations that are simulated: no other gets to [`answer`].
pub(crate) const OPERATIONS: &[&str] = &["ListGroups", "ListGroupResources", "GetGroup", "GetGroupQuery"];

/// Answers an operation; `None` for one that is not simulated.
pub(crate) fn answer(
    here: &Here<'_>,
    (api, query): (&str, &Form),
    body: &Map<String, Value>,
) -> Option<Result<Value, ApiError>> {
    Some(match api {
        "ListGroups" => list(here, query, body),
        "ListGroupResources" => resources(here, body),
        "GetGroup" => get(here, body),
        "GetGroupQuery" => get_query(here, body),
        _ => return None,
    })
}

fn bad_request(error: ApiError) -> ApiError {
    if error.code == "ValidationException" { error.named("BadRequestException") } else { error }
}

fn position(page_token: Option<&str>) -> Result<usize, ApiError> {
    offset(page_token).map_err(|_| ApiError::new("BadRequestException", "NextToken is invalid"))
}

fn list(here: &Here<'_>, query: &Form, body: &Map<String, Value>) -> Result<Value, ApiError> {
    let most = query.number("maxResults").map_err(|error| error.named("BadRequestException"))?;
    let most = most.unwrap_or(PAGE);
    if !(1..=PAGE).contains(&most) {
        return Err(ApiError::new(
            "BadRequestException",
            format!(
                "1 validation error detected: Value '{most}' at 'maxResults' failed to satisfy constraint: Member must have value less than or equal to {PAGE}"
            ),
        ));
    }
    let mut checked = Checked::new(body);
    checked.list("Filters", (0, 5));
    checked.finish().map_err(bad_request)?;
    let (from, most) = (position(query.get("nextToken"))?, most as usize);
    let groups = all(here.spec);
    let page: Vec<&Group> = groups.iter().skip(from).take(most).collect();
    let mut answer = json!({
        "GroupIdentifiers": page.iter().map(|group| json!({
            "GroupName": group.name, "GroupArn": group.arn(here.region), "Description": group.description,
        })).collect::<Value>(),
        "Groups": page.iter().map(|group| shown(here, group)).collect::<Value>(),
    });
    if from + most < groups.len() {
        answer["NextToken"] = json!(token(from + most));
    }
    Ok(answer)
}

fn shown(here: &Here<'_>, group: &Group) -> Value {
    json!({"GroupArn": group.arn(here.region), "Name": group.name, "Description": group.description})
}

/// The group that a call names, by name or ARN.
fn named(here: &Here<'_>, body: &Map<String, Value>) -> Result<Group, ApiError> {
    let mut checked = Checked::new(body);
    let name = checked.string("Group", (1, 1600)).or(checked.string("GroupName", (1, 300)));
    checked.finish().map_err(bad_request)?;
    let Some(name) = name else {
        return Err(ApiError::new("BadRequestException", "Group or GroupName must be specified."));
    };
    all(here.spec)
        .into_iter()
        .find(|group| group.name == name || group.arn(here.region) == name)
        .ok_or_else(|| ApiError::new("NotFoundException", format!("Cannot find group: {name}")).status(404))
}

fn get(here: &Here<'_>, body: &Map<String, Value>) -> Result<Value, ApiError> {
    let group = named(here, body)?;
    Ok(json!({"Group": shown(here, &group)}))
}

fn get_query(here: &Here<'_>, body: &Map<String, Value>) -> Result<Value, ApiError> {
    let group = named(here, body)?;
    Ok(json!({"GroupQuery": {"GroupName": group.name, "ResourceQuery": group.query()}}))
}

fn resources(here: &Here<'_>, body: &Map<String, Value>) -> Result<Value, ApiError> {
    let group = named(here, body)?;
    let mut checked = Checked::new(body);
    let most = checked.integer("MaxResults", (1, PAGE)).unwrap_or(PAGE) as usize;
    let page_token = checked.string("NextToken", (0, 8192));
    let filters = checked.list("Filters", (0, 5)).cloned().unwrap_or_default();
    checked.finish().map_err(bad_request)?;
    let types: Vec<&str> = filters
        .iter()
        .filter(|filter| filter["Name"] == "resource-type")
        .flat_map(|filter| filter["Values"].as_array().into_iter().flatten())
        .filter_map(Value::as_str)
        .collect();
    let from = position(page_token.as_deref())?;
    let mut matching = here.region.fleet.nodes.iter().skip(from).filter(|node| {
        group.has(node)
            && node.state(here.now) != State::Terminated
            && (types.is_empty() || types.contains(&kind(node)))
    });
    let page: Vec<Value> = matching.by_ref().take(most).map(|node| identifier(here, node)).collect();
    let mut answer = json!({
        "Resources": page.iter().map(|identifier| json!({"Identifier": identifier})).collect::<Value>(),
        "ResourceIdentifiers": page, "QueryErrors": [],
    });
    if let Some(next) = matching.next() {
        answer["NextToken"] = json!(token(next.index as usize));
    }
    Ok(answer)
}

fn identifier(here: &Here<'_>, node: &Node) -> Value {
    let arn = if node.is_hybrid() {
        here.arn("ssm", &format!("managed-instance/{}", node.id))
    } else {
        here.arn("ec2", &format!("instance/{}", node.id))
    };
    json!({"ResourceArn": arn, "ResourceType": kind(node)})
}
