//! EC2's filters: every filter has to match, by any of its values, in which `*` and `?` are wildcards.

use crate::clock::At;
use crate::fleet::names::Platform;
use crate::fleet::node::Node;
use crate::scenario::glob;
use crate::wire::ApiError;
use crate::wire::form::Filter;

/// Most values of all filters of a request together.
const VALUES: usize = 200;

/// Refuses filters that do not exist or have too many values.
pub(super) fn check(filters: &[Filter], known: fn(&str) -> bool) -> Result<(), ApiError> {
    if let Some(filter) = filters.iter().find(|filter| !known(&filter.name)) {
        return Err(ApiError::new(
            "InvalidParameterValue",
            format!("The filter '{}' is invalid", filter.name),
        ));
    }
    if filters.iter().map(|filter| filter.values.len()).sum::<usize>() > VALUES {
        let message = format!("The maximum number of filter values specified on a single call is {VALUES}");
        return Err(ApiError::new("FilterLimitExceeded", message));
    }
    Ok(())
}

/// True for the filters of `DescribeInstances` that are simulated.
pub(super) fn is_known(name: &str) -> bool {
    const NAMES: [&str; 16] = [
        "instance-id",
        "tag-key",
        "instance-state-name",
        "instance-state-code",
        "availability-zone",
        "vpc-id",
        "subnet-id",
        "image-id",
        "platform",
        "platform-details",
        "instance-type",
        "private-ip-address",
        "network-interface.addresses.private-ip-address",
        "architecture",
        "key-name",
        "private-dns-name",
    ];
    name.starts_with("tag:") || NAMES.contains(&name)
}

/// True where an instance fits every filter.
pub(super) fn fits(node: &Node, filters: &[Filter], now: At) -> bool {
    filters.iter().all(|filter| {
        let any = |have: &str| filter.values.iter().any(|pattern| glob(pattern, have));
        if let Some(tag) = filter.name.strip_prefix("tag:") {
            return node.tags.get(tag).is_some_and(|value| any(value));
        }
        match filter.name.as_str() {
            "instance-id" => any(&node.id),
            "tag-key" => node.tags.keys().any(|key| any(key)),
            "instance-state-name" => any(node.state(now).name()),
            "instance-state-code" => any(&node.state(now).code().to_string()),
            "availability-zone" => any(&node.zone),
            "vpc-id" => any(&node.vpc),
            "subnet-id" => any(&node.subnet),
            "image-id" => any(node.platform.image()),
            "platform" => node.platform == Platform::Windows && any("windows"),
            "platform-details" => any(node.platform.details()),
            "instance-type" => any(node.instance_type),
            "private-ip-address" | "network-interface.addresses.private-ip-address" => any(&node.private_ip),
            "private-dns-name" => any(&node.computer_name()),
            "architecture" => any("x86_64"),
            _ => false,
        }
    })
}
