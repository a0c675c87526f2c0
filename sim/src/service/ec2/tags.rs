//! Tags of instances.

use super::describe::page_start;
use super::{Ec2, check_ids, filter};
use crate::scenario::glob;
use crate::service::ssm::token;
use crate::wire::form::Form;
use crate::wire::{ApiError, Reply, ec2_query};

/// Most tags of an instance.
const MOST: usize = 50;

pub(super) fn describe(ec2: &mut Ec2<'_>, api: &str, form: &Form) -> Result<Reply, ApiError> {
    let filters = form.filters();
    filter::check(&filters, |name| {
        matches!(name, "key" | "value" | "resource-id" | "resource-type" | "tag-key" | "tag-value")
            || name.starts_with("tag:")
    })?;
    let most = form.number("MaxResults")?.unwrap_or(1000).clamp(5, 1000) as usize;
    let from = page_start(form)?;
    let all = ec2.region.fleet.nodes.iter().filter(|node| !node.is_hybrid()).flat_map(|node| {
        node.tags.iter().map(move |(key, value)| (node.id.as_str(), key.as_str(), value.as_str()))
    });
    let matching: Vec<(&str, &str, &str)> = all
        .filter(|(id, key, value)| {
            filters.iter().all(|filter| {
                let any = |have: &str| filter.values.iter().any(|pattern| glob(pattern, have));
                match filter.name.as_str() {
                    "key" | "tag-key" => any(key),
                    "value" | "tag-value" => any(value),
                    "resource-id" => any(id),
                    "resource-type" => any("instance"),
                    other => other.strip_prefix("tag:") == Some(key) && any(value),
                }
            })
        })
        .collect();
    let next = (from + most < matching.len()).then(|| token(from + most));
    Ok(ec2_query::ok(api, ec2.request_id, |xml| {
        xml.element("tagSet", |xml| {
            for (id, key, value) in matching.iter().skip(from).take(most) {
                xml.element("item", |xml| {
                    xml.text("resourceId", id);
                    xml.text("resourceType", "instance");
                    xml.text("key", key);
                    xml.text("value", value);
                });
            }
        });
        xml.optional("nextToken", next.as_deref());
    }))
}

/// The ids that a call names, of which there is at least one.
fn resources(ec2: &Ec2<'_>, form: &Form) -> Result<Vec<String>, ApiError> {
    let ids = form.list("ResourceId");
    if ids.is_empty() {
        return Err(missing("resourceIdSet"));
    }
    check_ids(ec2, &ids)?;
    Ok(ids)
}

fn missing(parameter: &str) -> ApiError {
    ApiError::new("MissingParameter", format!("The request must contain the parameter {parameter}"))
}

pub(super) fn create(ec2: &mut Ec2<'_>, api: &str, form: &Form) -> Result<Reply, ApiError> {
    let ids = resources(ec2, form)?;
    let tags = form.pairs("Tag");
    if tags.is_empty() {
        return Err(missing("Tag"));
    }
    if tags.iter().any(|(key, _)| key.starts_with("aws:")) {
        let message = "Tag keys starting with 'aws:' are reserved for internal use";
        return Err(ApiError::new("InvalidParameterValue", message));
    }
    for id in &ids {
        if let Some(node) = ec2.region.fleet.get_mut(id) {
            let new = tags.iter().filter(|(key, _)| !node.tags.contains_key(key)).count();
            if node.tags.len() + new > MOST {
                let message = format!("Tag limit exceeded: {id} cannot have more than {MOST} tags");
                return Err(ApiError::new("TagLimitExceeded", message));
            }
            node.tags
                .extend(tags.iter().map(|(key, value)| (key.clone(), value.clone().unwrap_or_default())));
        }
    }
    Ok(ec2_query::ok(api, ec2.request_id, |xml| xml.text("return", "true")))
}

pub(super) fn delete(ec2: &mut Ec2<'_>, api: &str, form: &Form) -> Result<Reply, ApiError> {
    let ids = resources(ec2, form)?;
    let tags = form.pairs("Tag");
    for id in &ids {
        if let Some(node) = ec2.region.fleet.get_mut(id) {
            node.tags.retain(|key, value| {
                let meant = tags
                    .iter()
                    .any(|(tag, wanted)| tag == key && wanted.as_ref().is_none_or(|wanted| wanted == value));
                key.starts_with("aws:") || !(meant || tags.is_empty())
            });
        }
    }
    Ok(ec2_query::ok(api, ec2.request_id, |xml| xml.text("return", "true")))
}
