//! `DescribeInstances`.

use super::{Ec2, check_ids, filter};
use crate::clock::At;
use crate::draw::Draw;
use crate::fleet::names::Platform;
use crate::fleet::node::{Node, State};
use crate::service::ssm::{offset, token};
use crate::wire::form::Form;
use crate::wire::xml::Xml;
use crate::wire::{ApiError, Reply, ec2_query};

/// Largest page, and the page of a call that names none.
const PAGE: i64 = 1000;

pub(super) fn instances(ec2: &mut Ec2<'_>, api: &str, form: &Form) -> Result<Reply, ApiError> {
    let ids = form.list("InstanceId");
    let most = form.number("MaxResults")?;
    if most.is_some() && !ids.is_empty() {
        let message = "The parameter instancesSet cannot be used with the parameter maxResults";
        return Err(ApiError::new("InvalidParameterCombination", message));
    }
    if let Some(most) = most.filter(|most| !(5..=PAGE).contains(most)) {
        let message = format!(
            "Value ( {most} ) for parameter maxResults is invalid. Expecting a value between 5 and {PAGE}."
        );
        return Err(ApiError::new("InvalidParameterValue", message));
    }
    let filters = form.filters();
    filter::check(&filters, filter::is_known)?;
    check_ids(ec2, &ids)?;
    let from = page_start(form)?;
    let now = ec2.now;
    let mut matching = ec2.region.fleet.nodes.iter().skip(from).filter(|node| {
        !node.is_hybrid()
            && !is_gone(node, now)
            && (ids.is_empty() || ids.contains(&node.id))
            && filter::fits(node, &filters, now)
    });
    let page: Vec<&Node> = matching.by_ref().take(most.unwrap_or(PAGE) as usize).collect();
    let next = matching.next().map(|node| token(node.index as usize));
    Ok(ec2_query::ok(api, ec2.request_id, |xml| {
        xml.element("reservationSet", |xml| {
            for node in page {
                xml.element("item", |xml| reservation(xml, ec2, node));
            }
        });
        xml.optional("nextToken", next.as_deref());
    }))
}

pub(super) fn page_start(form: &Form) -> Result<usize, ApiError> {
    offset(form.get("NextToken"))
        .map_err(|_| ApiError::new("InvalidParameterValue", "The token in the request is invalid."))
}

/// Terminated instances are shown for about an hour.
fn is_gone(node: &Node, now: At) -> bool {
    node.state(now) == State::Terminated && now.seconds_since(node.since(now)) > 3600.0
}

fn reservation(xml: &mut Xml, ec2: &Ec2<'_>, node: &Node) {
    xml.text("reservationId", &format!("r-0{}", Draw::new(1).text(&node.id).hex(16)));
    xml.text("ownerId", &ec2.region.account);
    xml.element("groupSet", |_| {});
    xml.element("instancesSet", |xml| xml.element("item", |xml| instance(xml, ec2, node)));
}

fn instance(xml: &mut Xml, ec2: &Ec2<'_>, node: &Node) {
    let state = node.state(ec2.now);
    let private_name = format!("ip-{}.ec2.internal", node.private_ip.replace('.', "-"));
    xml.text("instanceId", &node.id);
    xml.text("imageId", node.platform.image());
    xml.element("instanceState", |xml| {
        xml.text("code", &state.code().to_string());
        xml.text("name", state.name());
    });
    xml.text("privateDnsName", &private_name);
    xml.text("dnsName", "");
    xml.text("reason", if state == State::Running { "" } else { "User initiated" });
    xml.text("amiLaunchIndex", "0");
    xml.text("instanceType", node.instance_type);
    xml.text("launchTime", &At(node.launched().0.saturating_add(ec2.skew)).rfc3339_millis());
    xml.element("placement", |xml| {
        xml.text("availabilityZone", &node.zone);
        xml.text("groupName", "");
        xml.text("tenancy", "default");
    });
    if node.platform == Platform::Windows {
        xml.text("platform", "windows");
    }
    xml.element("monitoring", |xml| xml.text("state", "disabled"));
    if !matches!(state, State::Terminated) {
        xml.text("subnetId", &node.subnet);
        xml.text("vpcId", &node.vpc);
        xml.text("privateIpAddress", &node.private_ip);
    }
    xml.text("architecture", "x86_64");
    xml.text("rootDeviceType", "ebs");
    xml.text("virtualizationType", "hvm");
    xml.element("tagSet", |xml| {
        for (key, value) in &node.tags {
            xml.element("item", |xml| {
                xml.text("key", key);
                xml.text("value", value);
            });
        }
    });
    xml.text("hypervisor", "xen");
    xml.text("ebsOptimized", "true");
    xml.text("platformDetails", node.platform.details());
}
