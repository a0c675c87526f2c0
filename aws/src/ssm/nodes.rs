//! Managed nodes. Two APIs list them: `DescribeInstanceProperties` a thousand at a time, but few roles allow it;
//! `DescribeInstanceInformation` fifty at a time.

use aws_sdk_ssm::types::{
    InstanceInformation, InstanceInformationStringFilter, InstanceProperty, InstancePropertyFilter,
    InstancePropertyFilterKey,
};
use jiff::Timestamp;

use super::{Page, Ssm, next};
use crate::call::Call;
use crate::error::CallError;
use crate::times;

/// Which nodes. Everything that is given must fit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodesQuery {
    /// `Online`, `ConnectionLost` or `Inactive`.
    pub ping: Option<String>,
    /// `Linux`, `Windows` or `MacOS`.
    pub platform: Option<String>,
    /// Only these; at most 40 (properties) or 50 (information). Empty: all.
    pub ids: Vec<String>,
    /// Key and alternatives. Only [`Ssm::describe_information`] knows tags, and not together with anything else.
    pub tags: Vec<(String, Vec<String>)>,
    /// Nodes on a page; without it the most that the API documents (1000 and 50). Whether AWS gives properties in pages
    /// that large is unverified.
    pub page: Option<u16>,
}

/// A node as Systems Manager knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ManagedNode {
    /// `i-…` or `mi-…`.
    pub id: String,
    /// The name: of an instance its tag, of a hybrid node its activation's.
    pub name: Option<String>,
    /// `Online`, `ConnectionLost`, `Inactive`, or what AWS adds.
    pub ping: Option<String>,
    /// When the agent last reported.
    pub last_ping: Option<Timestamp>,
    /// The agent's version: `3.3.987.0`.
    pub agent_version: Option<String>,
    /// `Linux`, `Windows`, `MacOS`.
    pub platform: Option<String>,
    /// `Amazon Linux`.
    pub platform_name: Option<String>,
    /// `2023`.
    pub platform_version: Option<String>,
    /// The address that the agent reported.
    pub ip: Option<String>,
    /// The host name that the agent reported.
    pub computer_name: Option<String>,
    /// `EC2Instance`, `ManagedInstance`.
    pub resource_type: Option<String>,
    /// The role that the agent uses.
    pub iam_role: Option<String>,
    /// The hybrid activation.
    pub activation: Option<String>,
    /// When it was registered.
    pub registered: Option<Timestamp>,
    /// EC2's state of it; only properties have it.
    pub state: Option<String>,
    /// Availability zone; only properties have it.
    pub az: Option<String>,
    /// `t3.micro`; only properties have it.
    pub instance_type: Option<String>,
}

impl Ssm {
    /// One page of `DescribeInstanceProperties`: up to 1000 nodes, terminated ones among them. Where it is denied,
    /// [`Ssm::describe_information`] may be allowed. The query's tags don't apply.
    ///
    /// # Errors
    /// The call failed.
    pub async fn describe_properties(
        &self,
        query: &NodesQuery,
        token: Option<&str>,
    ) -> Result<Page<ManagedNode>, CallError> {
        let filters = [
            (InstancePropertyFilterKey::PingStatus, query.ping.clone().into_iter().collect()),
            (InstancePropertyFilterKey::PlatformTypes, query.platform.clone().into_iter().collect()),
            (InstancePropertyFilterKey::InstanceIds, query.ids.clone()),
        ];
        // Key and values are both given, so that the builder can't refuse.
        let filters: Vec<_> = filters
            .into_iter()
            .filter(|(_, values)| !values.is_empty())
            .filter_map(|(key, values)| {
                InstancePropertyFilter::builder().key(key).set_value_set(Some(values)).build().ok()
            })
            .collect();
        let request = self
            .client
            .describe_instance_properties()
            .set_instance_property_filter_list(Some(filters).filter(|f| !f.is_empty()))
            .set_next_token(token.map(str::to_owned))
            .max_results(i32::from(query.page.unwrap_or(1000).clamp(5, 1000)));
        let call = Call::read("ssm", "DescribeInstanceProperties", "");
        let answer = self.scope.call(call, || request.clone().send()).await?;
        let items = answer.instance_properties().iter().filter_map(from_property).collect();
        Ok(Page { items, next: next(answer.next_token()) })
    }

    /// One page of `DescribeInstanceInformation`: up to 50 nodes.
    ///
    /// # Errors
    /// The call failed; AWS refuses tags together with other filters.
    pub async fn describe_information(
        &self,
        query: &NodesQuery,
        token: Option<&str>,
    ) -> Result<Page<ManagedNode>, CallError> {
        let mut filters: Vec<(String, Vec<String>)> = vec![
            ("PingStatus".to_owned(), query.ping.clone().into_iter().collect()),
            ("PlatformTypes".to_owned(), query.platform.clone().into_iter().collect()),
            ("InstanceIds".to_owned(), query.ids.clone()),
        ];
        filters.extend(query.tags.iter().map(|(key, values)| (format!("tag:{key}"), values.clone())));
        let filters: Vec<_> = filters
            .into_iter()
            .filter(|(_, values)| !values.is_empty())
            .filter_map(|(key, values)| {
                InstanceInformationStringFilter::builder().key(key).set_values(Some(values)).build().ok()
            })
            .collect();
        let request = self
            .client
            .describe_instance_information()
            .set_filters(Some(filters).filter(|f| !f.is_empty()))
            .set_next_token(token.map(str::to_owned))
            .max_results(i32::from(query.page.unwrap_or(50).clamp(5, 50)));
        let call = Call::read("ssm", "DescribeInstanceInformation", "");
        let answer = self.scope.call(call, || request.clone().send()).await?;
        let items = answer.instance_information_list().iter().filter_map(from_information).collect();
        Ok(Page { items, next: next(answer.next_token()) })
    }
}

fn text(value: Option<&str>) -> Option<String> {
    value.filter(|v| !v.is_empty()).map(str::to_owned)
}

fn from_property(p: &InstanceProperty) -> Option<ManagedNode> {
    Some(ManagedNode {
        id: text(p.instance_id())?,
        name: text(p.name()),
        ping: text(p.ping_status().map(|s| s.as_str())),
        last_ping: times::optional(p.last_ping_date_time()),
        agent_version: text(p.agent_version()),
        platform: text(p.platform_type().map(|t| t.as_str())),
        platform_name: text(p.platform_name()),
        platform_version: text(p.platform_version()),
        ip: text(p.ip_address()),
        computer_name: text(p.computer_name()),
        resource_type: text(p.resource_type()),
        iam_role: text(p.iam_role()).or_else(|| text(p.instance_role())),
        activation: text(p.activation_id()),
        registered: times::optional(p.registration_date()),
        state: text(p.instance_state()),
        az: text(p.availability_zone()),
        instance_type: text(p.instance_type()),
    })
}

fn from_information(i: &InstanceInformation) -> Option<ManagedNode> {
    Some(ManagedNode {
        id: text(i.instance_id())?,
        name: text(i.name()),
        ping: text(i.ping_status().map(|s| s.as_str())),
        last_ping: times::optional(i.last_ping_date_time()),
        agent_version: text(i.agent_version()),
        platform: text(i.platform_type().map(|t| t.as_str())),
        platform_name: text(i.platform_name()),
        platform_version: text(i.platform_version()),
        ip: text(i.ip_address()),
        computer_name: text(i.computer_name()),
        resource_type: text(i.resource_type().map(|t| t.as_str())),
        iam_role: text(i.iam_role()),
        activation: text(i.activation_id()),
        registered: times::optional(i.registration_date()),
        state: None,
        az: None,
        instance_type: None,
    })
}
