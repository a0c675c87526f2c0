//! Which permissions each command needs: the table, and the policy that grants them. `tests/cli/doctor.rs` compares it with every
//! call that `aws/` can make, and with what commands were seen to call.

use clap::ValueEnum;
use serde_json::{Value, json};

/// A command whose permissions can be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Doctored {
    /// `nodes list`, `show`, `summary`, `check`
    Nodes,
    /// `exec`
    Exec,
    /// `runs resume`, `retry`, `cancel`
    Runs,
    /// `session` and everything below it
    Session,
}

impl Doctored {
    /// Every one.
    pub(crate) const ALL: [Doctored; 4] =
        [Doctored::Nodes, Doctored::Exec, Doctored::Runs, Doctored::Session];

    /// The word.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Doctored::Nodes => "nodes",
            Doctored::Exec => "exec",
            Doctored::Runs => "runs",
            Doctored::Session => "session",
        }
    }

    /// What it needs.
    pub(crate) fn groups(self) -> &'static [Group] {
        match self {
            Doctored::Nodes => &[Group::Find, Group::Select, Group::Scopes],
            Doctored::Exec => &[
                Group::Find,
                Group::Send,
                Group::Watch,
                Group::Select,
                Group::Scopes,
                Group::Guards,
                Group::S3,
                Group::Logs,
            ],
            // It goes on with runs of both.
            Doctored::Runs => &[
                Group::Find,
                Group::Send,
                Group::Watch,
                Group::Select,
                Group::Scopes,
                Group::Guards,
                Group::S3,
                Group::Logs,
                Group::Open,
                Group::Keys,
            ],
            Doctored::Session => &[
                Group::Find,
                Group::Open,
                Group::Keys,
                Group::Sessions,
                Group::Select,
                Group::Scopes,
                Group::Guards,
            ],
        }
    }
}

/// Actions that are needed together, on the same resources.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Group {
    /// Finding nodes.
    Find,
    /// Sending commands.
    Send,
    /// Reading what came of them.
    Watch,
    /// Selectors beyond tags.
    Select,
    /// Other regions and accounts.
    Scopes,
    /// Gates, alarms, calendars.
    Guards,
    /// Outputs by way of S3.
    S3,
    /// Outputs by way of CloudWatch Logs.
    Logs,
    /// Opening sessions.
    Open,
    /// Sessions that are encrypted with a key of the account's.
    Keys,
    /// Listing sessions.
    Sessions,
}

/// What it means where an action is not allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// The command can't do its work.
    Always,
    /// It does it, less well; the words say how.
    Better(&'static str),
    /// Only flags and verbs that the words name need it.
    Only(&'static str),
}

const INSTANCES: [&str; 2] = ["ec2:*:*:instance/*", "ssm:*:*:managed-instance/*"];
/// What `exec` sends unless `--document` names another.
const SHELLS: [&str; 2] = ["ssm:*::document/AWS-RunShellScript", "ssm:*::document/AWS-RunPowerShellScript"];
/// What sessions are started with.
const SESSION_DOCUMENTS: [&str; 2] =
    ["ssm:*:*:document/SSM-SessionManagerRunShell", "ssm:*::document/AWS-Start*"];
const OWN_SESSIONS: &str = "ssm:*:*:session/${aws:userid}-*";

impl Group {
    /// Its name as a statement's id.
    fn sid(self) -> &'static str {
        match self {
            Group::Find => "FindNodes",
            Group::Send => "SendCommands",
            Group::Watch => "ReadResults",
            Group::Select => "SelectByGroup",
            Group::Scopes => "OtherAccountsAndRegions",
            Group::Guards => "GatesAlarmsCalendars",
            Group::S3 => "OutputsInS3",
            Group::Logs => "OutputsInLogs",
            Group::Open => "OpenSessions",
            Group::Keys => "EncryptedSessions",
            Group::Sessions => "ListSessions",
        }
    }

    /// Its actions, and what it means to lack each.
    pub(crate) fn actions(self) -> &'static [(&'static str, Need)] {
        use Need::{Always, Better, Only};
        match self {
            Group::Find => &[
                ("ec2:DescribeInstances", Better("only managed nodes are found, without EC2's facts")),
                (
                    "ssm:DescribeInstanceProperties",
                    Better("ssm:DescribeInstanceInformation is asked instead, slower"),
                ),
                ("ssm:DescribeInstanceInformation", Better("tags of hybrid nodes are not known")),
            ],
            Group::Send => &[("ssm:SendCommand", Always)],
            Group::Watch => &[
                (
                    "ssm:ListCommands",
                    Better("each batch is watched by itself, and lost sends can't be found"),
                ),
                ("ssm:ListCommandInvocations", Better("results are read node by node")),
                ("ssm:GetCommandInvocation", Better("outputs over 2,500 characters stay cut")),
                ("ssm:CancelCommand", Only("a second Ctrl-C, and runs cancel")),
            ],
            Group::Select => &[
                ("elasticloadbalancing:DescribeTargetGroups", Only("selectors and gates with tg:")),
                ("elasticloadbalancing:DescribeTargetHealth", Only("selectors and gates with tg:")),
                ("resource-groups:ListGroups", Only("selectors with rg:")),
                ("resource-groups:ListGroupResources", Only("selectors with rg:")),
            ],
            Group::Scopes => &[
                ("ec2:DescribeRegions", Only("--region all")),
                ("organizations:ListAccounts", Only("--account org")),
                ("organizations:ListAccountsForParent", Only("--account ou:…")),
                ("organizations:ListOrganizationalUnitsForParent", Only("--account ou:…")),
                ("sts:AssumeRole", Only("--assume-role")),
            ],
            Group::Guards => &[
                ("cloudwatch:DescribeAlarms", Only("--stop-on-alarm and gates with alarm:")),
                ("ssm:GetCalendarState", Only("--calendar")),
            ],
            Group::S3 => &[("s3:GetObject", Only("--s3")), ("s3:ListBucket", Only("--s3"))],
            Group::Logs => &[("logs:FilterLogEvents", Only("--log-group"))],
            Group::Open => &[
                ("ssm:StartSession", Always),
                ("ssm:ResumeSession", Better("sessions end when their connection breaks")),
                ("ssm:TerminateSession", Better("sessions end by their idle time")),
                (
                    "ssmmessages:OpenDataChannel",
                    Better("connections are refused where signatures are asked for"),
                ),
            ],
            Group::Keys => &[("kms:GenerateDataKey", Only("accounts whose sessions are encrypted with KMS"))],
            Group::Sessions => &[
                ("ssm:DescribeSessions", Only("session list and history")),
                (
                    "ssm:GetConnectionStatus",
                    Better("a silent session exec does not notice that the agent is gone"),
                ),
            ],
        }
    }

    /// What its actions are allowed on: ARNs without their beginning; none is everything.
    fn resources(self) -> Vec<&'static str> {
        match self {
            Group::Send => [INSTANCES, SHELLS].concat(),
            Group::Open => [&INSTANCES[..], &SESSION_DOCUMENTS, &[OWN_SESSIONS]].concat(),
            Group::S3 => vec!["s3:::*"],
            Group::Keys => vec!["kms:*:*:key/*"],
            _ => Vec::new(),
        }
    }
}

/// Groups of several commands, each once, in order.
pub(crate) fn groups(commands: &[Doctored]) -> Vec<Group> {
    let mut groups: Vec<Group> = commands.iter().flat_map(|command| command.groups()).copied().collect();
    groups.sort();
    groups.dedup();
    groups
}

/// An IAM policy that allows what these commands need in one of AWS's clouds (`aws`, `aws-cn`), everything that flags can ask for
/// included. One statement each, so that those that nobody needs can be taken out.
pub(crate) fn policy(commands: &[Doctored], partition: &str) -> Value {
    let statement = |group: Group| {
        let actions: Vec<&str> = group.actions().iter().map(|(action, _)| *action).collect();
        let resources: Vec<String> =
            group.resources().into_iter().map(|resource| format!("arn:{partition}:{resource}")).collect();
        let resources = if resources.is_empty() { json!("*") } else { json!(resources) };
        json!({"Sid": group.sid(), "Effect": "Allow", "Action": actions, "Resource": resources})
    };
    let statements: Vec<Value> = groups(commands).into_iter().map(statement).collect();
    json!({"Version": "2012-10-17", "Statement": statements})
}

/// The cloud that a region is of.
pub(crate) fn partition(region: &str) -> &'static str {
    match region {
        region if region.starts_with("cn-") => "aws-cn",
        region if region.starts_with("us-gov-") => "aws-us-gov",
        region if region.starts_with("eusc-") => "aws-eusc",
        _ => "aws",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_has_each_statement_once() {
        let policy = policy(&Doctored::ALL, "aws");
        let statements = policy["Statement"].as_array().unwrap();
        let mut ids: Vec<&str> = statements.iter().map(|s| s["Sid"].as_str().unwrap()).collect();
        assert_eq!(ids.len(), 11);
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 11);
        let mut actions: Vec<&str> = statements
            .iter()
            .flat_map(|s| s["Action"].as_array().unwrap())
            .map(|a| a.as_str().unwrap())
            .collect();
        let count = actions.len();
        actions.sort_unstable();
        actions.dedup();
        assert_eq!(actions.len(), count, "no action stands in two groups");
        let china = super::policy(&[Doctored::Exec], partition("cn-north-1")).to_string();
        assert!(china.contains("arn:aws-cn:ec2:*:*:instance/*") && !china.contains("arn:aws:"), "{china}");
    }

    #[test]
    fn looking_at_nodes_changes_nothing() {
        let text = policy(&[Doctored::Nodes], "aws").to_string();
        for word in ["Send", "Start", "Cancel", "Terminate"] {
            assert!(!text.contains(&format!(":{word}")), "{text}");
        }
    }
}
