//! EC2: instances.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fmt;

use aws_sdk_ec2::types;
use jiff::Timestamp;

use crate::call::{Call, count};
use crate::error::CallError;
use crate::scope::Scope;
use crate::ssm::ids_in;
use crate::times;

/// The most ids in one `DescribeInstances`.
pub const MAX_IDS: usize = 1000;
/// The most instances in one page.
const PAGE: i32 = 1000;
/// The tag by which Auto Scaling marks its instances.
const ASG_TAG: &str = "aws:autoscaling:groupName";

/// EC2 in one scope.
#[derive(Clone, Debug)]
pub struct Ec2 {
    scope: Scope,
    client: aws_sdk_ec2::Client,
}

/// Which instances.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InstancesQuery {
    /// Those that match all filters (each: a name and its alternatives, at most 200 values in all). None: every one.
    Filters(Vec<(String, Vec<String>)>),
    /// These, at most [`MAX_IDS`].
    Ids(Vec<String>),
}

/// A page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// The token of the next one.
    pub next: Option<String>,
}

/// An EC2 instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// `i-…`.
    pub id: String,
    /// The tag `Name`.
    pub name: Option<String>,
    /// All tags, sorted.
    pub tags: BTreeMap<String, String>,
    /// `pending`, `running`, `stopped`, `terminated`, …
    pub state: Option<String>,
    /// Availability zone.
    pub az: Option<String>,
    /// VPC id.
    pub vpc: Option<String>,
    /// Subnet id.
    pub subnet: Option<String>,
    /// AMI id.
    pub image: Option<String>,
    /// `t3.micro`.
    pub instance_type: Option<String>,
    /// Private IPv4 address.
    pub private_ip: Option<String>,
    /// Every private address of every network interface, IPv4 and IPv6, the first among them.
    pub addresses: BTreeSet<String>,
    /// `linux`, `windows` or `macos`, as far as EC2 lets it be known.
    pub platform: &'static str,
    /// Its Auto Scaling group.
    pub asg: Option<String>,
    /// When it was last started.
    pub launched: Option<Timestamp>,
}

/// Why instances couldn't be described.
#[derive(Clone, Debug)]
pub enum DescribeError {
    /// Some ids don't exist here.
    NoSuchInstances {
        /// Those that the message names, of those that were asked for; may be empty.
        ids: Vec<String>,
        /// The error itself.
        error: CallError,
    },
    /// Anything else.
    Call(CallError),
}

impl DescribeError {
    /// The error of the call.
    #[must_use]
    pub fn call(&self) -> &CallError {
        match self {
            DescribeError::NoSuchInstances { error, .. } | DescribeError::Call(error) => error,
        }
    }
}

/// As the call's error says it: the variants add nothing for people.
impl fmt::Display for DescribeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.call().fmt(f)
    }
}

impl Error for DescribeError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.call().source()
    }
}

impl Ec2 {
    pub(crate) fn new(scope: Scope, client: aws_sdk_ec2::Client) -> Ec2 {
        Ec2 { scope, client }
    }

    /// `DescribeRegions`: the regions that are enabled for the account, sorted.
    ///
    /// # Errors
    /// The call failed.
    pub async fn regions(&self) -> Result<Vec<String>, CallError> {
        let call = Call::read("ec2", "DescribeRegions", "");
        let request = self.client.describe_regions();
        let answer = self.scope.call(call, || request.clone().send()).await?;
        let names = answer.regions().iter().filter_map(|r| r.region_name());
        let mut regions: Vec<String> = names.map(str::to_owned).collect();
        regions.sort();
        Ok(regions)
    }

    /// One page of `DescribeInstances`: up to 1000 instances.
    ///
    /// # Errors
    /// An id doesn't exist, or the call failed.
    pub async fn describe_instances(
        &self,
        query: &InstancesQuery,
        token: Option<&str>,
    ) -> Result<Page<Instance>, DescribeError> {
        let request = self.client.describe_instances().set_next_token(token.map(str::to_owned));
        let (request, object, ids) = match query {
            InstancesQuery::Filters(filters) => {
                let filters = filters.iter().map(|(name, values)| {
                    types::Filter::builder().name(name).set_values(Some(values.clone())).build()
                });
                // With ids EC2 refuses a page size.
                let request = request.set_filters(Some(filters.collect())).max_results(PAGE);
                (request, String::new(), [].as_slice())
            }
            InstancesQuery::Ids(ids) => {
                debug_assert!(ids.len() <= MAX_IDS, "at most {MAX_IDS} ids");
                let object = format!("of {}", count(ids.len(), "instance"));
                (request.set_instance_ids(Some(ids.clone())), object, ids.as_slice())
            }
        };
        let call = Call::read("ec2", "DescribeInstances", object);
        let answer = self.scope.call(call, || request.clone().send()).await.map_err(|error| {
            match error.code.as_deref() {
                Some("InvalidInstanceID.NotFound" | "InvalidInstanceID.Malformed") => {
                    DescribeError::NoSuchInstances { ids: ids_in(&error.message, ids), error }
                }
                _ => DescribeError::Call(error),
            }
        })?;
        let items = answer.reservations().iter().flat_map(types::Reservation::instances).filter_map(instance);
        let next = answer.next_token().filter(|token| !token.is_empty()).map(str::to_owned);
        Ok(Page { items: items.collect(), next })
    }
}

/// `None` for an instance without an id, which can't be.
fn instance(i: &types::Instance) -> Option<Instance> {
    let text = |value: Option<&str>| value.map(str::to_owned);
    let tags: BTreeMap<String, String> = i
        .tags()
        .iter()
        .filter_map(|tag| Some((tag.key()?.to_owned(), tag.value().unwrap_or_default().to_owned())))
        .collect();
    Some(Instance {
        id: i.instance_id()?.to_owned(),
        name: tags.get("Name").cloned(),
        state: i.state().and_then(|s| s.name()).map(|s| s.as_str().to_owned()),
        az: text(i.placement().and_then(|p| p.availability_zone())),
        vpc: text(i.vpc_id()),
        subnet: text(i.subnet_id()),
        image: text(i.image_id()),
        instance_type: text(i.instance_type().map(|t| t.as_str())),
        private_ip: text(i.private_ip_address()),
        addresses: addresses(i),
        platform: platform(i),
        asg: tags.get(ASG_TAG).cloned(),
        launched: times::optional(i.launch_time()),
        tags,
    })
}

fn addresses(i: &types::Instance) -> BTreeSet<String> {
    let mut addresses: BTreeSet<String> = i.private_ip_address().map(str::to_owned).into_iter().collect();
    for interface in i.network_interfaces() {
        let four = interface.private_ip_addresses().iter().filter_map(|a| a.private_ip_address());
        let six = interface.ipv6_addresses().iter().filter_map(|a| a.ipv6_address());
        addresses.extend(four.chain(six).map(str::to_owned));
    }
    addresses
}

fn platform(i: &types::Instance) -> &'static str {
    let windows = i.platform().is_some_and(|p| p.as_str().eq_ignore_ascii_case("windows"))
        || i.platform_details().is_some_and(|d| d.starts_with("Windows"));
    let mac = i.instance_type().is_some_and(|t| t.as_str().starts_with("mac"));
    if windows {
        "windows"
    } else if mac {
        "macos"
    } else {
        "linux"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_with_nothing_but_an_id() {
        let bare = types::Instance::builder().instance_id("i-0123456789abcdef0").build();
        let made = instance(&bare).unwrap();
        assert_eq!((made.id.as_str(), made.name, made.platform), ("i-0123456789abcdef0", None, "linux"));
        assert_eq!(instance(&types::Instance::builder().build()), None);
    }

    #[test]
    fn an_instance_with_everything() {
        let tag = |k: &str, v: &str| types::Tag::builder().key(k).value(v).build();
        let full = types::Instance::builder()
            .instance_id("i-0123456789abcdef0")
            .tags(tag("Name", "web-1"))
            .tags(tag(ASG_TAG, "web"))
            .platform(types::PlatformValues::from("windows"))
            .state(
                types::InstanceState::builder().name(types::InstanceStateName::from("hibernating")).build(),
            )
            .launch_time(aws_smithy_types::DateTime::from_secs(0))
            .private_ip_address("10.0.0.7")
            .network_interfaces(
                types::InstanceNetworkInterface::builder()
                    .private_ip_addresses(
                        types::InstancePrivateIpAddress::builder().private_ip_address("10.0.0.8").build(),
                    )
                    .ipv6_addresses(types::InstanceIpv6Address::builder().ipv6_address("2001:db8::7").build())
                    .build(),
            )
            .build();
        let made = instance(&full).unwrap();
        assert_eq!((made.name.as_deref(), made.asg.as_deref()), (Some("web-1"), Some("web")));
        assert_eq!(
            (made.platform, made.state.as_deref()),
            ("windows", Some("hibernating")),
            "unknown states pass"
        );
        assert_eq!(made.launched, Some(Timestamp::UNIX_EPOCH));
        let addresses: Vec<&str> = made.addresses.iter().map(String::as_str).collect();
        assert_eq!(addresses, ["10.0.0.7", "10.0.0.8", "2001:db8::7"]);
    }
}
