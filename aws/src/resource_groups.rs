//! Resource Groups: which nodes are in a group.

use aws_sdk_resourcegroups::types::{ResourceFilter, ResourceFilterName, ResourceIdentifier};

use crate::call::Call;
use crate::ec2::Page;
use crate::error::{CallError, CallErrorKind};
use crate::scope::Scope;

/// IAM's prefix of the service.
const SERVICE: &str = "resource-groups";
/// The most on a page of either listing.
const PAGE: i32 = 50;
/// The resources that are nodes.
const NODES: [&str; 2] = ["AWS::EC2::Instance", "AWS::SSM::ManagedInstance"];

/// Resource Groups in one scope.
#[derive(Clone, Debug)]
pub struct ResourceGroups {
    scope: Scope,
    client: aws_sdk_resourcegroups::Client,
}

/// A page of a group's nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Members {
    /// Ids, `i-…` and `mi-…`.
    pub page: Page<String>,
    /// Why members may be missing, in AWS's words: a group of a stack that is gone. Empty where none are.
    pub errors: Vec<String>,
}

impl ResourceGroups {
    pub(crate) fn new(scope: Scope, client: aws_sdk_resourcegroups::Client) -> ResourceGroups {
        ResourceGroups { scope, client }
    }

    /// One page of `ListGroupResources`: up to 50 nodes of a group, by the group's name or ARN, whether it is a query over tags or a
    /// stack. `None` where there is no such group.
    ///
    /// # Errors
    /// The call failed. It needs `tag:GetResources` and, for a stack, CloudFormation's permissions as well.
    pub async fn nodes(&self, group: &str, token: Option<&str>) -> Result<Option<Members>, CallError> {
        let call = Call::read(SERVICE, "ListGroupResources", format!("of {group}"));
        let filter = ResourceFilter::builder()
            .name(ResourceFilterName::ResourceType)
            .set_values(Some(NODES.map(str::to_owned).to_vec()))
            .build();
        let request = self
            .client
            .list_group_resources()
            .group(group)
            // Name and values are both given, so that the builder can't refuse.
            .set_filters(filter.ok().map(|filter| vec![filter]))
            .max_results(PAGE)
            .set_next_token(token.map(str::to_owned));
        let answer = match self.scope.call(call, || request.clone().send()).await {
            Ok(answer) => answer,
            Err(error) if error.kind == CallErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let items = answer.resources().iter().filter_map(|item| node_id(item.identifier()?)).collect();
        let errors = answer.query_errors().iter().map(|error| {
            let code = error.error_code().map_or("unknown", |code| code.as_str());
            error.message().map_or_else(|| code.to_owned(), |message| format!("{code}: {message}"))
        });
        let next = answer.next_token().filter(|token| !token.is_empty()).map(str::to_owned);
        Ok(Some(Members { page: Page { items, next }, errors: errors.collect() }))
    }

    /// One page of `ListGroups`: up to 50 names.
    ///
    /// # Errors
    /// The call failed.
    pub async fn groups(&self, token: Option<&str>) -> Result<Page<String>, CallError> {
        let request = self.client.list_groups().max_results(PAGE).set_next_token(token.map(str::to_owned));
        let call = Call::read(SERVICE, "ListGroups", "");
        let answer = self.scope.call(call, || request.clone().send()).await?;
        let items = answer.group_identifiers().iter().filter_map(|g| g.group_name().map(str::to_owned));
        let next = answer.next_token().filter(|token| !token.is_empty()).map(str::to_owned);
        Ok(Page { items: items.collect(), next })
    }
}

/// `arn:aws:ec2:eu-west-1:111122223333:instance/i-…` → `i-…`. The service filters by type; what it adds is none.
fn node_id(identifier: &ResourceIdentifier) -> Option<String> {
    if !NODES.contains(&identifier.resource_type()?) {
        return None;
    }
    let (_, id) = identifier.resource_arn()?.rsplit_once('/')?;
    Some(id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_told_from_other_resources() {
        let of = |kind: &str, arn: &str| {
            node_id(&ResourceIdentifier::builder().resource_type(kind).resource_arn(arn).build())
        };
        let instance =
            of("AWS::EC2::Instance", "arn:aws:ec2:eu-west-1:111122223333:instance/i-0123456789abcdef0");
        assert_eq!(instance.as_deref(), Some("i-0123456789abcdef0"));
        let arn = "arn:aws:ssm:eu-west-1:111122223333:managed-instance/mi-0123456789abcdef0";
        assert_eq!(of("AWS::SSM::ManagedInstance", arn).as_deref(), Some("mi-0123456789abcdef0"));
        assert_eq!(of("AWS::S3::Bucket", "arn:aws:s3:::bucket/i-0123456789abcdef0"), None);
        assert_eq!(of("AWS::EC2::Instance", "i-0123456789abcdef0"), None);
    }
}
