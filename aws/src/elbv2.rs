//! Elastic Load Balancing v2: target groups, and the health of what is registered in them.

use std::fmt;

use aws_sdk_elasticloadbalancingv2::types;

use crate::call::Call;
use crate::ec2::Page;
use crate::error::{CallError, CallErrorKind};
use crate::scope::Scope;

/// IAM's prefix of the service.
const SERVICE: &str = "elasticloadbalancing";
/// The most target groups on a page.
const PAGE: i32 = 400;

/// Elastic Load Balancing v2 in one scope.
#[derive(Clone, Debug)]
pub struct Elbv2 {
    scope: Scope,
    client: aws_sdk_elasticloadbalancingv2::Client,
}

/// What is registered in a target group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetKind {
    /// Instances, by id.
    Instance,
    /// Addresses.
    Ip,
    /// A function.
    Lambda,
    /// Something else: `alb`, or what AWS adds.
    Other(String),
}

/// AWS's word.
impl fmt::Display for TargetKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            TargetKind::Instance => "instance",
            TargetKind::Ip => "ip",
            TargetKind::Lambda => "lambda",
            TargetKind::Other(word) => word,
        })
    }
}

/// A target group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetGroup {
    /// Its ARN.
    pub arn: String,
    /// Its name, unique in account and region.
    pub name: String,
    /// What is registered in it.
    pub kind: TargetKind,
    /// VPC id; a group of functions has none.
    pub vpc: Option<String>,
}

/// A registered target and its health.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetHealth {
    /// Instance id, address, or the ARN of a function or load balancer.
    pub id: String,
    /// The port; the same target may be registered with several.
    pub port: Option<i32>,
    /// How it is.
    pub state: HealthState,
    /// AWS's code for why, where there is one: `Target.FailedHealthChecks`.
    pub reason: Option<String>,
}

/// How a target is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HealthState {
    /// It is being registered, or its first checks are under way.
    Initial,
    /// Its checks pass.
    Healthy,
    /// Its checks fail.
    Unhealthy,
    /// It is being deregistered, healthy or not.
    Draining,
    /// It gets no traffic: no load balancer uses the group, or the instance is stopped.
    Unused,
    /// It is not checked.
    Unavailable,
    /// A state that this version doesn't know.
    Other(String),
}

/// AWS's word.
impl fmt::Display for HealthState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            HealthState::Initial => "initial",
            HealthState::Healthy => "healthy",
            HealthState::Unhealthy => "unhealthy",
            HealthState::Draining => "draining",
            HealthState::Unused => "unused",
            HealthState::Unavailable => "unavailable",
            HealthState::Other(word) => word,
        })
    }
}

impl Elbv2 {
    pub(crate) fn new(scope: Scope, client: aws_sdk_elasticloadbalancingv2::Client) -> Elbv2 {
        Elbv2 { scope, client }
    }

    /// `DescribeTargetGroups` of one, by its name or ARN. `None` where there is none.
    ///
    /// # Errors
    /// The call failed.
    pub async fn target_group(&self, name_or_arn: &str) -> Result<Option<TargetGroup>, CallError> {
        let request = self.client.describe_target_groups();
        let request = if name_or_arn.starts_with("arn:") {
            request.target_group_arns(name_or_arn)
        } else {
            request.names(name_or_arn)
        };
        let call = Call::read(SERVICE, "DescribeTargetGroups", format!("of {name_or_arn}"));
        match self.scope.call(call, || request.clone().send()).await {
            Ok(answer) => Ok(answer.target_groups().iter().find_map(target_group)),
            Err(error) if error.kind == CallErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// One page of `DescribeTargetGroups`: up to 400 of all that there are.
    ///
    /// # Errors
    /// The call failed.
    pub async fn target_groups(&self, token: Option<&str>) -> Result<Page<TargetGroup>, CallError> {
        let request =
            self.client.describe_target_groups().page_size(PAGE).set_marker(token.map(str::to_owned));
        let call = Call::read(SERVICE, "DescribeTargetGroups", "");
        let answer = self.scope.call(call, || request.clone().send()).await?;
        let items = answer.target_groups().iter().filter_map(target_group).collect();
        let next = answer.next_marker().filter(|token| !token.is_empty()).map(str::to_owned);
        Ok(Page { items, next })
    }

    /// `DescribeTargetHealth`: everything that is registered in the group. It has no pages.
    ///
    /// # Errors
    /// The call failed.
    pub async fn target_health(&self, arn: &str) -> Result<Vec<TargetHealth>, CallError> {
        let request = self.client.describe_target_health().target_group_arn(arn);
        let call = Call::read(SERVICE, "DescribeTargetHealth", format!("of {arn}"));
        let answer = self.scope.call(call, || request.clone().send()).await?;
        Ok(answer.target_health_descriptions().iter().filter_map(target_health).collect())
    }
}

fn target_group(group: &types::TargetGroup) -> Option<TargetGroup> {
    Some(TargetGroup {
        arn: group.target_group_arn()?.to_owned(),
        name: group.target_group_name().unwrap_or_default().to_owned(),
        // The service's default, and what groups without the member are.
        kind: match group.target_type().map_or("instance", |kind| kind.as_str()) {
            "instance" => TargetKind::Instance,
            "ip" => TargetKind::Ip,
            "lambda" => TargetKind::Lambda,
            other => TargetKind::Other(other.to_owned()),
        },
        vpc: group.vpc_id().filter(|vpc| !vpc.is_empty()).map(str::to_owned),
    })
}

fn target_health(description: &types::TargetHealthDescription) -> Option<TargetHealth> {
    let target = description.target()?;
    let health = description.target_health();
    Some(TargetHealth {
        id: target.id()?.to_owned(),
        port: target.port(),
        state: match health.and_then(|h| h.state()).map_or("", |state| state.as_str()) {
            "initial" => HealthState::Initial,
            "healthy" => HealthState::Healthy,
            "unhealthy" => HealthState::Unhealthy,
            "draining" | "unhealthy.draining" => HealthState::Draining,
            "unused" => HealthState::Unused,
            "unavailable" => HealthState::Unavailable,
            other => HealthState::Other(other.to_owned()),
        },
        reason: health.and_then(|h| h.reason()).map(|reason| reason.as_str().to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn health_is_told_apart() {
        let of = |word: &str| {
            let health = types::TargetHealth::builder()
                .state(types::TargetHealthStateEnum::from(word))
                .reason(types::TargetHealthReasonEnum::from("Target.New"))
                .build();
            let target = types::TargetDescription::builder().id("10.0.0.7").port(8080).build();
            let description =
                types::TargetHealthDescription::builder().target(target).target_health(health).build();
            target_health(&description).unwrap()
        };
        for word in ["initial", "healthy", "unhealthy", "draining", "unused", "unavailable", "asleep"] {
            assert_eq!(of(word).state.to_string(), word);
        }
        assert_eq!(of("unhealthy.draining").state, HealthState::Draining);
        assert_eq!(of("asleep").state, HealthState::Other("asleep".to_owned()));
        assert_eq!((of("initial").port, of("initial").reason.as_deref()), (Some(8080), Some("Target.New")));
        assert_eq!(target_health(&types::TargetHealthDescription::builder().build()), None);
    }

    #[test]
    fn kinds_of_groups_are_told_apart() {
        let of = |kind: Option<&str>| {
            let group = types::TargetGroup::builder()
                .target_group_arn("arn:aws:elasticloadbalancing:r:1:targetgroup/a/1")
                .set_target_type(kind.map(types::TargetTypeEnum::from))
                .vpc_id("")
                .build();
            target_group(&group).unwrap()
        };
        for word in ["instance", "ip", "lambda", "alb"] {
            assert_eq!(of(Some(word)).kind.to_string(), word);
        }
        assert_eq!((of(None).kind, of(None).vpc), (TargetKind::Instance, None));
    }
}
