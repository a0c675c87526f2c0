//! `DescribeRegions`: those of the simulation, and a few that the account never opened.

use super::Ec2;
use crate::scenario::glob;
use crate::spec::Spec;
use crate::wire::form::{Filter, Form};
use crate::wire::{ApiError, Reply, ec2_query};

/// Regions that every account has to open first.
const BY_CHOICE: [&str; 16] = [
    "af-south-1",
    "ap-east-1",
    "ap-east-2",
    "ap-south-2",
    "ap-southeast-3",
    "ap-southeast-4",
    "ap-southeast-5",
    "ap-southeast-7",
    "ca-west-1",
    "eu-central-2",
    "eu-south-1",
    "eu-south-2",
    "il-central-1",
    "me-central-1",
    "me-south-1",
    "mx-central-1",
];
/// Those of them that are shown as not opened.
const CLOSED: [&str; 2] = ["af-south-1", "me-south-1"];

/// True for a region that nobody opened: no key is known there.
pub(crate) fn is_closed(spec: &Spec, region: &str) -> bool {
    CLOSED.contains(&region) && !spec.regions.iter().any(|open| open == region)
}

pub(super) fn describe(ec2: &mut Ec2<'_>, api: &str, form: &Form) -> Result<Reply, ApiError> {
    let names = form.list("RegionName");
    let mut all: Vec<(&str, &str)> = ec2
        .spec
        .regions
        .iter()
        .map(|name| {
            let chosen = BY_CHOICE.contains(&name.as_str());
            (name.as_str(), if chosen { "opted-in" } else { "opt-in-not-required" })
        })
        .collect();
    if form.is_true("AllRegions") {
        all.extend(
            CLOSED.iter().filter(|name| is_closed(ec2.spec, name)).map(|name| (*name, "not-opted-in")),
        );
    }
    if let Some(name) = names.iter().find(|name| !all.iter().any(|(known, _)| *known == name.as_str())) {
        return Err(ApiError::new("InvalidParameterValue", format!("Invalid region: {name}")));
    }
    let filters = form.filters();
    super::filter::check(&filters, |name| matches!(name, "region-name" | "opt-in-status" | "endpoint"))?;
    Ok(ec2_query::ok(api, ec2.request_id, |xml| {
        xml.element("regionInfo", |xml| {
            let named = |name: &str| names.is_empty() || names.iter().any(|wanted| wanted == name);
            for (name, status) in all.iter().filter(|region| named(region.0) && fits(region, &filters)) {
                xml.element("item", |xml| {
                    xml.text("regionName", name);
                    xml.text("regionEndpoint", &format!("ec2.{name}.amazonaws.com"));
                    xml.text("optInStatus", status);
                });
            }
        });
    }))
}

fn fits((name, status): &(&str, &str), filters: &[Filter]) -> bool {
    filters.iter().all(|filter| {
        let have = match filter.name.as_str() {
            "region-name" => (*name).to_owned(),
            "opt-in-status" => (*status).to_owned(),
            _ => format!("ec2.{name}.amazonaws.com"),
        };
        filter.values.iter().any(|pattern| glob(pattern, &have))
    })
}
