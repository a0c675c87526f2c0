//! Elastic Load Balancing v2: one load balancer, target groups, and the health of their targets.

pub(crate) mod group;
mod health;

use super::Here;
use crate::service::ssm::{offset, token};
use crate::wire::form::Form;
use crate::wire::xml::Xml;
use crate::wire::{ApiError, Reply, Service, aws_query};
use group::Group;
use health::{Health, Outlook, unregistered};

/// Largest page, and the page of a call that names none.
const PAGE: i64 = 400;
const BALANCER: &str = "alb-main";

/// The operations that are simulated: no other gets to [`answer`].
pub(crate) const OPERATIONS: &[&str] =
    &["DescribeTargetGroups", "DescribeTargetHealth", "DescribeLoadBalancers"];

/// Answers an action; `None` for one that is not simulated.
pub(crate) fn answer(here: &Here<'_>, api: &str, form: &Form) -> Option<Result<Reply, ApiError>> {
    Some(match api {
        "DescribeTargetGroups" => target_groups(here, form),
        "DescribeTargetHealth" => target_health(here, form),
        "DescribeLoadBalancers" => load_balancers(here, form),
        _ => return None,
    })
}

fn invalid(message: String) -> ApiError {
    ApiError::new("ValidationError", message)
}

/// Where the page starts, and how long it is.
fn page(form: &Form) -> Result<(usize, usize), ApiError> {
    let size = form.number("PageSize").map_err(|error| error.named("ValidationError"))?.unwrap_or(PAGE);
    if !(1..=PAGE).contains(&size) {
        let bound = if size < 1 { "greater than or equal to 1" } else { "less than or equal to 400" };
        return Err(invalid(format!(
            "1 validation error detected: Value '{size}' at 'pageSize' failed to satisfy constraint: Member must have value {bound}"
        )));
    }
    let from = offset(form.get("Marker")).map_err(|_| invalid("Invalid marker".to_owned()))?;
    Ok((from, size as usize))
}

fn balancer_arn(here: &Here<'_>) -> String {
    let id = group::id(here, BALANCER);
    here.arn("elasticloadbalancing", &format!("loadbalancer/app/{BALANCER}/{id}"))
}

fn no_group() -> ApiError {
    ApiError::new("TargetGroupNotFound", "One or more target groups not found")
}

fn check_arn(arn: &str, kind: &str, noun: &str) -> Result<(), ApiError> {
    let is_one = arn.starts_with("arn:") && arn.contains(&format!(":{kind}/"));
    if is_one { Ok(()) } else { Err(invalid(format!("'{arn}' is not a valid {noun} ARN"))) }
}

fn target_groups(here: &Here<'_>, form: &Form) -> Result<Reply, ApiError> {
    let (from, size) = page(form)?;
    let (arns, names) = (form.list("TargetGroupArns.member"), form.list("Names.member"));
    let balancer = form.get("LoadBalancerArn");
    for arn in &arns {
        check_arn(arn, "targetgroup", "target group")?;
    }
    if let Some(arn) = balancer {
        check_arn(arn, "loadbalancer", "load balancer")?;
        if arn != balancer_arn(here) {
            return Err(no_balancer(arn));
        }
    }
    if [!arns.is_empty(), !names.is_empty(), balancer.is_some()].iter().filter(|given| **given).count() > 1 {
        return Err(invalid(
            "Target group ARNs, names and load balancer ARN cannot be specified at the same time".to_owned(),
        ));
    }
    let all: Vec<(String, Group)> =
        group::all(here).into_iter().map(|group| (group.arn(here), group)).collect();
    let is_missing = arns.iter().any(|arn| !all.iter().any(|(have, _)| have == arn))
        || names.iter().any(|name| !all.iter().any(|(_, group)| group.name == *name));
    if is_missing {
        return Err(no_group());
    }
    let wanted: Vec<&(String, Group)> = all
        .iter()
        .filter(|(arn, group)| {
            (arns.is_empty() || arns.contains(arn))
                && (names.is_empty() || names.contains(&group.name))
                && (balancer.is_none() || group.is_used)
        })
        .collect();
    let next = (from + size < wanted.len()).then(|| token(from + size));
    Ok(aws_query::ok(Service::LoadBalancing, ("DescribeTargetGroups", here.request_id), |xml| {
        xml.members("TargetGroups", wanted.into_iter().skip(from).take(size), |xml, (arn, group)| {
            shown_group(here, xml, arn, group);
        });
        xml.optional("NextMarker", next.as_deref());
    }))
}

fn shown_group(here: &Here<'_>, xml: &mut Xml, arn: &str, group: &Group) {
    xml.text("TargetGroupArn", arn);
    xml.text("TargetGroupName", &group.name);
    xml.text("Protocol", "HTTP");
    xml.text("Port", &group.port.to_string());
    xml.text("VpcId", here.region.fleet.nodes.first().map_or("", |node| &node.vpc));
    for (name, value) in [
        ("HealthCheckProtocol", "HTTP"),
        ("HealthCheckPort", "traffic-port"),
        ("HealthCheckEnabled", "true"),
        ("HealthCheckIntervalSeconds", "30"),
        ("HealthCheckTimeoutSeconds", "5"),
        ("HealthyThresholdCount", "5"),
        ("UnhealthyThresholdCount", "2"),
        ("HealthCheckPath", "/health"),
    ] {
        xml.text(name, value);
    }
    xml.element("Matcher", |xml| xml.text("HttpCode", "200"));
    let balancers = group.is_used.then(|| balancer_arn(here));
    xml.members("LoadBalancerArns", balancers, |xml, arn| xml.content(&arn));
    xml.text("TargetType", &group.kind);
    xml.text("ProtocolVersion", "HTTP1");
    xml.text("IpAddressType", "ipv4");
}

fn target_health(here: &Here<'_>, form: &Form) -> Result<Reply, ApiError> {
    let arn = form.get("TargetGroupArn").unwrap_or_default();
    if arn.is_empty() {
        return Err(invalid(
            "1 validation error detected: Value null at 'targetGroupArn' failed to satisfy constraint: Member must not be null".to_owned(),
        ));
    }
    check_arn(arn, "targetgroup", "target group")?;
    let groups = group::all(here);
    let group = groups.iter().find(|group| group.arn(here) == arn).ok_or_else(no_group)?;
    let targets = group.targets(here);
    let outlook = Outlook::new(here, group, &targets);
    let asked = form.each("Targets.member", "Id");
    if let Some(id) = asked.iter().find(|id| group.kind == "instance" && !id.starts_with("i-")) {
        return Err(invalid(format!("Instance ID '{id}' is not valid")));
    }
    let registered = targets.iter().map(|node| (group.target(node), outlook.of(here, group, node)));
    let mut shown: Vec<(String, Health)> = registered.chain(group.others(here)).collect();
    if !asked.is_empty() {
        let health =
            |id: &String| shown.iter().find(|(have, _)| have == id).map(|(_, health)| health.clone());
        shown = asked.iter().map(|id| (id.clone(), health(id).unwrap_or_else(unregistered))).collect();
    }
    let port = group.port.to_string();
    Ok(aws_query::ok(Service::LoadBalancing, ("DescribeTargetHealth", here.request_id), |xml| {
        xml.members("TargetHealthDescriptions", &shown, |xml, (id, health)| {
            xml.element("Target", |xml| {
                xml.text("Id", id);
                xml.text("Port", &port);
            });
            if health.reason.as_deref() != Some("Target.NotRegistered") {
                xml.text("HealthCheckPort", &port);
            }
            xml.element("TargetHealth", |xml| {
                xml.text("State", &health.state);
                xml.optional("Reason", health.reason.as_deref());
                xml.optional("Description", health.description.as_deref());
            });
        });
    }))
}

fn no_balancer(arn: &str) -> ApiError {
    ApiError::new("LoadBalancerNotFound", format!("Load balancers '[{arn}]' not found"))
}

fn load_balancers(here: &Here<'_>, form: &Form) -> Result<Reply, ApiError> {
    let (from, _) = page(form)?;
    let (arns, names) = (form.list("LoadBalancerArns.member"), form.list("Names.member"));
    let arn = balancer_arn(here);
    if let Some(missing) = arns.iter().find(|asked| **asked != arn) {
        check_arn(missing, "loadbalancer", "load balancer")?;
        return Err(no_balancer(missing));
    }
    if let Some(missing) = names.iter().find(|name| *name != BALANCER) {
        return Err(no_balancer(missing));
    }
    let there = from == 0 && !here.region.fleet.nodes.is_empty();
    Ok(aws_query::ok(Service::LoadBalancing, ("DescribeLoadBalancers", here.request_id), |xml| {
        xml.members("LoadBalancers", there.then_some(&arn), |xml, arn| shown_balancer(here, xml, arn));
    }))
}

fn shown_balancer(here: &Here<'_>, xml: &mut Xml, arn: &str) {
    let region = &here.region.name;
    xml.text("LoadBalancerArn", arn);
    xml.text("DNSName", &format!("{BALANCER}-1234567890.{region}.elb.amazonaws.com"));
    xml.text("CanonicalHostedZoneId", "Z35SXDOTRQ7X7K");
    xml.text("CreatedTime", &here.shown(here.region.born.plus_seconds(-8_640_000.0)).rfc3339_millis());
    xml.text("LoadBalancerName", BALANCER);
    xml.text("Scheme", "internet-facing");
    xml.text("VpcId", here.region.fleet.nodes.first().map_or("", |node| &node.vpc));
    xml.element("State", |xml| xml.text("Code", "active"));
    xml.text("Type", "application");
    xml.members("AvailabilityZones", ["a", "b", "c"], |xml, letter| {
        xml.text("ZoneName", &format!("{region}{letter}"));
        xml.text("SubnetId", &format!("subnet-0{letter}1b2c3d4e5f60718"));
    });
    xml.members("SecurityGroups", ["sg-0a1b2c3d4e5f60718"], |xml, group| xml.content(group));
    xml.text("IpAddressType", "ipv4");
}
