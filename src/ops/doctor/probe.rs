//! Trying permissions: each call that only reads, about something that doesn't exist. AWS asks for the permission first, so that
//! "no such thing" is a yes.

use futures_util::future::BoxFuture;
use herder_aws::ec2::InstancesQuery;
use herder_aws::ssm::{CommandsQuery, NodesQuery, SessionState, SessionsQuery};
use herder_aws::{CallError, CallErrorKind, Scope};

/// An instance that nobody has.
const NO_INSTANCE: &str = "i-00000000000000000";
/// A command that nobody has sent.
const NO_COMMAND: &str = "00000000-0000-0000-0000-000000000000";
/// A name that nobody gives.
const NO_NAME: &str = "herder-doctor-looks-for-nothing";

/// What came of trying a permission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Tried {
    Allowed,
    Denied,
    /// Nobody knows: the call failed for another reason.
    Unknown(String),
    /// Trying it would change something, or needs a name that only the command line gives.
    Skipped,
}

/// Tries a permission.
pub(super) async fn try_action(scope: &Scope, action: &str) -> Tried {
    let Some(asking) = ask(scope, action) else { return Tried::Skipped };
    match asking.await {
        Ok(()) => Tried::Allowed,
        Err(error) => judge(&error),
    }
}

fn judge(error: &CallError) -> Tried {
    match &error.kind {
        CallErrorKind::AccessDenied { .. } => Tried::Denied,
        CallErrorKind::NotFound | CallErrorKind::InvalidRequest | CallErrorKind::Refused => Tried::Allowed,
        CallErrorKind::Throttled
        | CallErrorKind::CredentialsExpired
        | CallErrorKind::CredentialsMissing
        | CallErrorKind::CredentialsInvalid
        | CallErrorKind::ClockSkew
        | CallErrorKind::Unreachable
        | CallErrorKind::Lost => Tried::Unknown(error.described()),
    }
}

type Asking<'a> = BoxFuture<'a, Result<(), CallError>>;

fn ask<'a>(scope: &'a Scope, action: &str) -> Option<Asking<'a>> {
    // Boxed: the SDK's futures are nested more deeply than the compiler follows.
    Some(match action {
        "ec2:DescribeInstances" => Box::pin(async move {
            let query =
                InstancesQuery::Filters(vec![("instance-id".to_owned(), vec![NO_INSTANCE.to_owned()])]);
            let asked = scope.ec2().describe_instances(&query, None).await;
            asked.map(|_| ()).map_err(|error| error.call().clone())
        }),
        "ec2:DescribeRegions" => Box::pin(async move { scope.ec2().regions().await.map(|_| ()) }),
        "ssm:DescribeInstanceProperties" => {
            Box::pin(async move { scope.ssm().describe_properties(&few(), None).await.map(|_| ()) })
        }
        "ssm:DescribeInstanceInformation" => {
            Box::pin(async move { scope.ssm().describe_information(&few(), None).await.map(|_| ()) })
        }
        "ssm:ListCommands" => Box::pin(async move {
            let query = CommandsQuery { command_id: Some(NO_COMMAND.to_owned()), ..CommandsQuery::default() };
            scope.ssm().list_commands(&query, None).await.map(|_| ())
        }),
        "ssm:ListCommandInvocations" => {
            Box::pin(async move { scope.ssm().list_invocations(NO_COMMAND, None).await.map(|_| ()) })
        }
        "ssm:GetCommandInvocation" => {
            Box::pin(async move { scope.ssm().get_invocation(NO_COMMAND, NO_INSTANCE).await.map(|_| ()) })
        }
        "ssm:GetCalendarState" => {
            Box::pin(async move { scope.ssm().calendar_state(NO_NAME).await.map(|_| ()) })
        }
        "ssm:DescribeSessions" => Box::pin(async move {
            let query = SessionsQuery::default();
            scope.ssm().describe_sessions(SessionState::Active, &query, None).await.map(|_| ())
        }),
        "ssm:GetConnectionStatus" => {
            Box::pin(async move { scope.ssm().connection_status(NO_INSTANCE).await.map(|_| ()) })
        }
        "cloudwatch:DescribeAlarms" => {
            Box::pin(
                async move { scope.cloudwatch().describe_alarms(&[NO_NAME.to_owned()]).await.map(|_| ()) },
            )
        }
        "elasticloadbalancing:DescribeTargetGroups" => {
            Box::pin(async move { scope.elbv2().target_group("herder-doctor-no-such").await.map(|_| ()) })
        }
        "resource-groups:ListGroups" => {
            Box::pin(async move { scope.resource_groups().groups(None).await.map(|_| ()) })
        }
        "resource-groups:ListGroupResources" => {
            Box::pin(async move { scope.resource_groups().nodes(NO_NAME, None).await.map(|_| ()) })
        }
        _ => return None,
    })
}

/// The smallest page.
fn few() -> NodesQuery {
    NodesQuery { page: Some(5), ..NodesQuery::default() }
}
