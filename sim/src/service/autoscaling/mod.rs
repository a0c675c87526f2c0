//! EC2 Auto Scaling: the groups that the fleet's tags name, and their members.

mod group;

use super::Here;
use crate::fleet::node::Node;
use crate::service::ssm::{offset, token};
use crate::wire::form::{Filter, Form};
use crate::wire::xml::Xml;
use crate::wire::{ApiError, Reply, Service, aws_query};
use group::{Group, health, lifecycle, template};

/// The page of a call that names none.
const PAGE: i64 = 50;
/// Largest page of groups, and most names of a call.
const GROUPS: i64 = 100;

/// The operations that are simulated: no other gets to [`answer`].
pub(crate) const OPERATIONS: &[&str] = &["DescribeAutoScalingGroups", "DescribeAutoScalingInstances"];

/// Answers an action; `None` for one that is not simulated.
pub(crate) fn answer(here: &Here<'_>, api: &str, form: &Form) -> Option<Result<Reply, ApiError>> {
    Some(match api {
        "DescribeAutoScalingGroups" => groups(here, form),
        "DescribeAutoScalingInstances" => instances(here, form),
        _ => return None,
    })
}

fn invalid(value: &str, member: &str, constraint: &str) -> ApiError {
    ApiError::new(
        "ValidationError",
        format!(
            "1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: {constraint}"
        ),
    )
}

/// Where the page starts, and how long it is.
fn page(form: &Form, most: i64) -> Result<(usize, usize), ApiError> {
    let asked = form.number("MaxRecords").map_err(|error| error.named("ValidationError"))?;
    let size = asked.unwrap_or(PAGE);
    if size > most || size < 1 {
        let bound = if size < 1 { "greater than or equal to 1" } else { "less than or equal to " };
        let bound = if size < 1 { bound.to_owned() } else { format!("{bound}{most}") };
        return Err(invalid(&size.to_string(), "maxRecords", &format!("Member must have value {bound}")));
    }
    let from = offset(form.get("NextToken"))
        .map_err(|_| ApiError::new("InvalidNextToken", "The token provided is invalid."))?;
    Ok((from, size as usize))
}

fn check_count(items: &[String], member: &str, most: i64) -> Result<(), ApiError> {
    if items.len() as i64 > most {
        let constraint = format!("Member must have length less than or equal to {most}");
        return Err(invalid(&format!("[{}]", items.join(", ")), member, &constraint));
    }
    Ok(())
}

fn groups(here: &Here<'_>, form: &Form) -> Result<Reply, ApiError> {
    let (from, size) = page(form, GROUPS)?;
    let names = form.list("AutoScalingGroupNames.member");
    check_count(&names, "autoScalingGroupNames", GROUPS)?;
    let filters = form.member_filters();
    if let Some(filter) = filters.iter().find(|filter| !is_known(&filter.name)) {
        return Err(ApiError::new(
            "ValidationError",
            format!(
                "Filter type {} is not correct. Allowed Filter types are: tag-key tag-value tag:<key>",
                filter.name
            ),
        ));
    }
    let with_instances = form.get("IncludeInstances").is_none() || form.is_true("IncludeInstances");
    let wanted: Vec<Group<'_>> = group::all(here)
        .into_iter()
        .filter(|group| names.is_empty() || names.contains(&group.name))
        .filter(|group| filters.iter().all(|filter| fits(group, filter)))
        .collect();
    let next = (from + size < wanted.len()).then(|| token(from + size));
    Ok(aws_query::ok(Service::AutoScaling, ("DescribeAutoScalingGroups", here.request_id), |xml| {
        xml.members("AutoScalingGroups", wanted.iter().skip(from).take(size), |xml, group| {
            shown_group(here, xml, group, with_instances);
        });
        xml.optional("NextToken", next.as_deref());
    }))
}

fn is_known(filter: &str) -> bool {
    matches!(filter, "tag-key" | "tag-value" | "key" | "value") || filter.starts_with("tag:")
}

fn fits(group: &Group<'_>, filter: &Filter) -> bool {
    let has = |text: &str| filter.values.iter().any(|value| value == text);
    match filter.name.as_str() {
        "tag-key" | "key" => group.tags().any(|(key, _)| has(key)),
        "tag-value" | "value" => group.tags().any(|(_, value)| has(value)),
        name => group.tags().any(|(key, value)| name.strip_prefix("tag:") == Some(key) && has(value)),
    }
}

fn shown_group(here: &Here<'_>, xml: &mut Xml, group: &Group<'_>, with_instances: bool) {
    let (min, max, desired) = group.sizes();
    xml.text("AutoScalingGroupName", &group.name);
    xml.text("AutoScalingGroupARN", &group.arn(here));
    template(xml, &group.name);
    xml.text("MinSize", &min.to_string());
    xml.text("MaxSize", &max.to_string());
    xml.text("DesiredCapacity", &desired.to_string());
    xml.text("DefaultCooldown", "300");
    xml.members("AvailabilityZones", group.zones(), |xml, zone| xml.content(zone));
    xml.members("LoadBalancerNames", None::<&str>, |xml, name| xml.content(name));
    xml.members("TargetGroupARNs", group.target_groups(here), |xml, arn| xml.content(&arn));
    xml.text("HealthCheckType", "EC2");
    xml.text("HealthCheckGracePeriod", "300");
    let members: &[&Node] = if with_instances { &group.members } else { &[] };
    xml.members("Instances", members, |xml, node| member(here, xml, node, &group.name));
    xml.text("CreatedTime", &here.shown(group.created()).rfc3339_millis());
    xml.members("SuspendedProcesses", None::<&str>, |xml, name| xml.content(name));
    xml.text("VPCZoneIdentifier", &group.subnets().join(","));
    xml.members("EnabledMetrics", None::<&str>, |xml, name| xml.content(name));
    xml.members("Tags", group.tags(), |xml, (key, value)| {
        xml.text("ResourceId", &group.name);
        xml.text("ResourceType", "auto-scaling-group");
        xml.text("Key", key);
        xml.text("Value", value);
        xml.text("PropagateAtLaunch", "true");
    });
    xml.members("TerminationPolicies", ["Default"], |xml, policy| xml.content(policy));
    xml.text("NewInstancesProtectedFromScaleIn", "false");
    xml.text("CapacityRebalance", "false");
    xml.members("TrafficSources", group.target_groups(here), |xml, arn| {
        xml.text("Identifier", &arn);
        xml.text("Type", "elbv2");
    });
}

fn member(here: &Here<'_>, xml: &mut Xml, node: &Node, group: &str) {
    xml.text("InstanceId", &node.id);
    xml.text("InstanceType", node.instance_type);
    xml.text("AvailabilityZone", &node.zone);
    xml.text("LifecycleState", lifecycle(here, node));
    xml.text("HealthStatus", health(here, node));
    template(xml, group);
    xml.text("ProtectedFromScaleIn", "false");
}

fn instances(here: &Here<'_>, form: &Form) -> Result<Reply, ApiError> {
    let (from, size) = page(form, PAGE)?;
    let ids = form.list("InstanceIds.member");
    check_count(&ids, "instanceIds", PAGE)?;
    let wanted: Vec<(&Node, &str)> = here
        .region
        .fleet
        .nodes
        .iter()
        .filter_map(|node| Some((node, group::of(here, node)?)))
        .filter(|(node, _)| ids.is_empty() || ids.contains(&node.id))
        .collect();
    let next = (from + size < wanted.len()).then(|| token(from + size));
    Ok(aws_query::ok(Service::AutoScaling, ("DescribeAutoScalingInstances", here.request_id), |xml| {
        xml.members("AutoScalingInstances", wanted.iter().skip(from).take(size), |xml, (node, group)| {
            xml.text("InstanceId", &node.id);
            xml.text("InstanceType", node.instance_type);
            xml.text("AutoScalingGroupName", group);
            xml.text("AvailabilityZone", &node.zone);
            xml.text("LifecycleState", lifecycle(here, node));
            xml.text("HealthStatus", &health(here, node).to_uppercase());
            template(xml, group);
            xml.text("ProtectedFromScaleIn", "false");
        });
        xml.optional("NextToken", next.as_deref());
    }))
}
