//! EC2: instances, their tags and their lifecycle.

mod describe;
mod filter;
mod lifecycle;
mod regions;
mod tags;

pub(crate) use regions::is_closed;

use crate::clock::At;
use crate::spec::Spec;
use crate::wire::form::Form;
use crate::wire::{ApiError, Reply};
use crate::world::Region;

/// What a call is answered from.
#[derive(Debug)]
pub(crate) struct Ec2<'a> {
    pub(crate) spec: &'a Spec,
    pub(crate) region: &'a mut Region,
    pub(crate) now: At,
    pub(crate) skew: i64,
    pub(crate) request_id: &'a str,
}

/// The operations that are simulated: no other gets to [`answer`].
pub(crate) const OPERATIONS: &[&str] = &[
    "DescribeInstances",
    "DescribeRegions",
    "DescribeTags",
    "CreateTags",
    "DeleteTags",
    "StartInstances",
    "StopInstances",
    "RebootInstances",
    "TerminateInstances",
];

/// Answers an action; `None` for one that is not simulated.
pub(crate) fn answer(ec2: &mut Ec2<'_>, api: &str, form: &Form) -> Option<Result<Reply, ApiError>> {
    let handler: fn(&mut Ec2<'_>, &str, &Form) -> Result<Reply, ApiError> = match api {
        "DescribeInstances" => describe::instances,
        "DescribeRegions" => regions::describe,
        "DescribeTags" => tags::describe,
        "CreateTags" => tags::create,
        "DeleteTags" => tags::delete,
        "StartInstances" | "StopInstances" | "RebootInstances" | "TerminateInstances" => lifecycle::change,
        _ => return None,
    };
    if form.is_true("DryRun") {
        let message = "Request would have succeeded, but DryRun flag is set.";
        return Some(Err(ApiError::new("DryRunOperation", message).status(412)));
    }
    Some(handler(ec2, api, form))
}

/// Checks ids, and complains about all that are wrong at once.
fn check_ids(ec2: &Ec2<'_>, ids: &[String]) -> Result<(), ApiError> {
    let well_formed = |id: &String| {
        let digits = id.strip_prefix("i-").unwrap_or_default();
        matches!(digits.len(), 8 | 17) && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    if let Some(id) = ids.iter().find(|id| !well_formed(id)) {
        return Err(ApiError::new("InvalidInstanceID.Malformed", format!("Invalid id: \"{id}\"")));
    }
    let missing: Vec<&str> =
        ids.iter().filter(|id| ec2.region.fleet.get(id).is_none()).map(String::as_str).collect();
    match missing.as_slice() {
        [] => Ok(()),
        [id] => {
            Err(ApiError::new("InvalidInstanceID.NotFound", format!("The instance ID '{id}' does not exist")))
        }
        ids => Err(ApiError::new(
            "InvalidInstanceID.NotFound",
            format!("The instance IDs '{}' do not exist", ids.join(", ")),
        )),
    }
}
