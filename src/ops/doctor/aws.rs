//! What of AWS a command needs: credentials, a region, an endpoint that answers, a clock that agrees, permissions.

use std::collections::BTreeSet;
use std::time::Duration;

use herder_aws::{CallError, CallErrorKind, CredentialsSummary, Identity, Scope, ScopeError};
use herder_core::time::for_people;
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::probe::{Tried, try_action};
use super::table::{Need, groups};
use super::{Doctored, Finding};
use crate::ctx::Ctx;
use crate::failure::Failure;
use crate::ops::place::in_each;
use crate::scopes::OpenScope;
use crate::settings::Source;

/// Signatures may be five minutes off (S3's fifteen); herder signs by AWS's clock once it has heard it.
const SKEW_REFUSED: SignedDuration = SignedDuration::from_secs(300);
/// Half of what an ordinary machine drifts in a year.
const SKEW_NOTED: SignedDuration = SignedDuration::from_secs(30);
/// Credentials that end within this are worth a word before a long run.
const SOON: SignedDuration = SignedDuration::from_mins(15);

/// Looks at everything that AWS is needed for.
pub(super) async fn examine(ctx: &Ctx, commands: &[Doctored]) -> Result<Vec<Finding>, Failure> {
    let scope = match ctx.open_first().await? {
        Ok(scope) => scope,
        Err(error) => return Ok(vec![unopened(error)]),
    };
    let mut findings = vec![region(ctx, &scope)];
    let asked = Instant::now();
    let identity = Box::pin(scope.identity()).await;
    let took = asked.elapsed();
    let is_reached = identity.as_ref().err().is_none_or(|error| !is_silence(error));
    findings.push(credentials(ctx, &scope, &identity).await);
    findings.push(endpoint(&scope, &identity, took));
    findings.extend(clock(scope.server_clock().now(), ctx.clock.now(), identity.as_ref().err()));
    // Where nobody answers, or nobody is let in, the rest would say the same again.
    if is_reached && identity.as_ref().err().is_none_or(|error| !is_hopeless(error)) {
        findings.extend(scopes(ctx, commands).await);
    }
    Ok(findings)
}

/// Whether nobody answered.
fn is_silence(error: &CallError) -> bool {
    matches!(error.kind, CallErrorKind::Unreachable | CallErrorKind::Lost)
}

fn is_hopeless(error: &CallError) -> bool {
    error.kind.is_credentials() || error.kind == CallErrorKind::ClockSkew
}

fn unopened(error: ScopeError) -> Finding {
    let check = match &error {
        ScopeError::NoRegion { .. } | ScopeError::InvalidRegion { .. } => "region",
        ScopeError::Endpoint { .. } => "endpoint",
        ScopeError::CaBundle { .. } | ScopeError::Proxy { .. } => "network",
        _ => "credentials",
    };
    Finding::of_failure(check, &error.into())
}

fn region(ctx: &Ctx, scope: &Scope) -> Finding {
    let variable = ["AWS_REGION", "AWS_DEFAULT_REGION"];
    let variable = variable.into_iter().find(|name| ctx.environment.get(name).is_some());
    let from = match (&ctx.settings.region, variable) {
        (_, _) if ctx.sim.is_some() => "the simulator".to_owned(),
        (Some(setting), _) => match &setting.source {
            Source::Flag => "--region".to_owned(),
            Source::Environment(name) => (*name).to_owned(),
            Source::File(line) => format!("line {line} of the configuration file"),
            Source::Default => "built in".to_owned(),
        },
        (None, Some(name)) => name.to_owned(),
        (None, None) => "the profile".to_owned(),
    };
    Finding::ok("region", format!("{} (from {from})", scope.region()))
}

async fn credentials(ctx: &Ctx, scope: &Scope, identity: &Result<Identity, CallError>) -> Finding {
    let summary = match scope.credentials_summary().await {
        Ok(summary) => summary,
        Err(error) => return unopened(error),
    };
    let source = summary.source.clone().unwrap_or_else(|| "an unknown source".to_owned());
    let (lasts, is_ending) = lasts(&summary, ctx);
    match identity {
        Ok(who) => {
            let message = format!("{} from {source}; {lasts}", who.arn);
            match is_ending {
                true => Finding::warn("credentials", message, "Renew them before a long run."),
                false => Finding::ok("credentials", message),
            }
        }
        Err(error) if error.kind.is_credentials() => {
            Finding::of_failure("credentials", &error.clone().into())
        }
        // STS may be out of reach where the other services are not.
        Err(_) => Finding::warn(
            "credentials",
            format!("found in {source}; {lasts}; nobody could be asked whose they are"),
            "See the endpoint's line.",
        ),
    }
}

/// How long they last, and whether that is worth a word.
fn lasts(summary: &CredentialsSummary, ctx: &Ctx) -> (String, bool) {
    let told = ctx.environment.get("AWS_CREDENTIAL_EXPIRATION").and_then(|text| text.parse().ok());
    let is_of_environment = summary.source.as_deref().is_some_and(|source| source.contains("Environment"));
    let expires: Option<Timestamp> = summary.expires.or(told.filter(|_| is_of_environment));
    match expires {
        Some(at) => {
            let left = at.duration_since(ctx.clock.now());
            let text = format!("they expire in {}", people(left));
            (text, left < SOON)
        }
        None if summary.is_temporary => ("a session's, that doesn't say when it ends".to_owned(), false),
        None => ("they don't expire".to_owned(), false),
    }
}

fn endpoint(scope: &Scope, identity: &Result<Identity, CallError>, took: Duration) -> Finding {
    let place = match scope.endpoint() {
        Some(url) => url.to_owned(),
        None => format!("AWS in {}", scope.region()),
    };
    match identity {
        Err(error) if is_silence(error) => Finding::of_failure("endpoint", &error.clone().into()),
        _ => Finding::ok("endpoint", format!("{place} answers in {}", for_people(took))),
    }
}

fn clock(server: Option<Timestamp>, here: Timestamp, error: Option<&CallError>) -> Option<Finding> {
    const HINT: &str = "Set this machine's clock (`timedatectl set-ntp true`).";
    let is_refused = error.is_some_and(|error| error.kind == CallErrorKind::ClockSkew);
    let Some(server) = server else {
        return is_refused.then(|| Finding::fail("clock", "AWS refuses signatures of this time", HINT));
    };
    let ahead = server.duration_since(here);
    let direction = if ahead.is_negative() { "ahead of" } else { "behind" };
    let apart = || format!("this machine is {} {direction} AWS", people(ahead.abs()));
    Some(if is_refused {
        Finding::fail("clock", format!("{}, which refuses its signatures", apart()), HINT)
    } else if ahead.abs() >= SKEW_REFUSED {
        let others = "herder signs by AWS's clock, other programs are refused";
        Finding::warn("clock", format!("{}; {others}", apart()), HINT)
    } else if ahead.abs() >= SKEW_NOTED {
        Finding::warn("clock", apart(), HINT)
    } else {
        // The service tells whole seconds.
        Finding::ok("clock", "agrees with AWS's to a few seconds")
    })
}

/// To the second.
fn people(duration: SignedDuration) -> String {
    for_people(Duration::from_secs(duration.as_secs().unsigned_abs()))
}

/// The accounts and regions that were asked for, each with its permissions.
async fn scopes(ctx: &Ctx, commands: &[Doctored]) -> Vec<Finding> {
    let scopes = match Box::pin(ctx.open_scopes(None)).await {
        Ok(scopes) => scopes,
        Err(failure) => return vec![Finding::of_failure("scopes", &failure)],
    };
    let mut findings: Vec<Finding> = Vec::new();
    if scopes.count() > 1 || !scopes.unreached.is_empty() {
        findings.push(Finding::ok("scopes", scopes.place()));
    }
    for unreached in &scopes.unreached {
        let hint = "Check the role's name and its trust policy, or leave it out of --account and --region.";
        findings.push(Finding::fail("scopes", unreached.why.clone(), hint).about(&unreached.name));
    }
    let many = scopes.count() > 1;
    for found in in_each(scopes.iter(), |open| permissions(open, commands)).await {
        findings.extend(found.into_iter().map(|(name, finding)| match many {
            true => finding.about(name),
            false => finding,
        }));
    }
    findings
}

/// Tries what these commands need in one account and region.
async fn permissions(open: &OpenScope, commands: &[Doctored]) -> Vec<(String, Finding)> {
    let actions: Vec<&str> =
        groups(commands).iter().flat_map(|group| group.actions()).map(|(action, _)| *action).collect();
    let tried = in_each(actions.iter(), |action| try_action(&open.scope, action)).await;
    let came_of = |action: &str| {
        let found = actions.iter().zip(&tried).find(|(known, _)| **known == action);
        found.map_or(&Tried::Skipped, |(_, tried)| tried)
    };
    let findings = commands.iter().map(|command| (open.name(), of_command(*command, &came_of)));
    findings.collect()
}

fn of_command<'a>(command: Doctored, came_of: &dyn Fn(&str) -> &'a Tried) -> Finding {
    let name = command.as_str();
    let (mut denied, mut lacking, mut unknown) = (Vec::new(), Vec::new(), BTreeSet::new());
    let (mut allowed, mut not_tried) = (0, Vec::new());
    for (action, need) in command.groups().iter().flat_map(|group| group.actions()) {
        match (came_of(action), need) {
            (Tried::Allowed, _) => allowed += 1,
            (Tried::Denied, Need::Always) => denied.push((*action).to_owned()),
            (Tried::Denied, Need::Better(without)) => lacking.push(format!("{action} ({without})")),
            (Tried::Denied, Need::Only(what)) => lacking.push(format!("{action} (needed for {what})")),
            (Tried::Unknown(why), _) => {
                unknown.insert(why.clone());
            }
            (Tried::Skipped, Need::Always | Need::Better(_)) => not_tried.push(*action),
            (Tried::Skipped, Need::Only(_)) => {}
        }
    }
    let managed = ["ssm:DescribeInstanceProperties", "ssm:DescribeInstanceInformation"];
    if managed.iter().all(|action| came_of(action) == &Tried::Denied) {
        denied.extend(managed.map(str::to_owned));
        lacking.retain(|text| !managed.iter().any(|action| text.starts_with(action)));
    }
    let hint = format!("`herder doctor --policy {name}` prints a policy that allows what it needs.");
    if !denied.is_empty() {
        return Finding::fail("permissions", format!("{name}: {} not allowed", listed(&denied)), hint);
    }
    if let Some(why) = unknown.first() {
        let hint = "Check the network, VPC endpoints and proxies for that service.";
        return Finding::fail("permissions", format!("{name}: can't be tried: {why}"), hint);
    }
    if !lacking.is_empty() {
        return Finding::warn("permissions", format!("{name}: without {}", lacking.join(", ")), hint);
    }
    let rest = match not_tried.as_slice() {
        [] => String::new(),
        actions => format!("; not tried, since it would change something: {}", actions.join(", ")),
    };
    Finding::ok("permissions", format!("{name}: {allowed} actions tried and allowed{rest}"))
}

fn listed(actions: &[String]) -> String {
    let verb = if actions.len() == 1 { "is" } else { "are" };
    format!("{} {verb}", actions.join(", "))
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;

    #[test]
    fn clocks_agree_drift_or_are_wrong() {
        let here: Timestamp = "2026-11-21T09:30:00Z".parse().unwrap();
        let after = |seconds: i64| here.checked_add(SignedDuration::from_secs(seconds)).unwrap();
        for (server, status, says) in [
            (0, Status::Ok, "agrees"),
            (-29, Status::Ok, "agrees"),
            (45, Status::Warn, "this machine is 45s behind AWS"),
            (-45, Status::Warn, "this machine is 45s ahead of AWS"),
            (-7200, Status::Warn, "this machine is 2h 00m ahead of AWS; herder signs"),
            (300, Status::Warn, "this machine is 5m 00s behind AWS; herder signs"),
        ] {
            let finding = clock(Some(after(server)), here, None).unwrap();
            assert_eq!(finding.status, status, "{server}");
            assert!(finding.message.contains(says), "{server}: {}", finding.message);
        }
        assert_eq!(clock(None, here, None), None);
    }

    #[test]
    fn a_denied_action_fails_or_warns_by_what_it_is_for() {
        let judge = |command, denied: &[&str]| {
            let tried =
                |action: &str| if denied.contains(&action) { &Tried::Denied } else { &Tried::Allowed };
            of_command(command, &tried)
        };
        assert_eq!(judge(Doctored::Exec, &[]).status, Status::Ok);
        let finding = judge(Doctored::Exec, &["ssm:SendCommand"]);
        assert_eq!(
            (finding.status, finding.message.as_str()),
            (Status::Fail, "exec: ssm:SendCommand is not allowed")
        );
        let finding = judge(Doctored::Exec, &["s3:GetObject"]);
        assert_eq!(finding.status, Status::Warn);
        assert!(finding.message.contains("(needed for --s3)"), "{finding:?}");
        let finding = judge(Doctored::Nodes, &["ssm:DescribeInstanceProperties"]);
        assert_eq!(finding.status, Status::Warn);
        let both = ["ssm:DescribeInstanceProperties", "ssm:DescribeInstanceInformation"];
        let finding = judge(Doctored::Nodes, &both);
        assert_eq!(finding.status, Status::Fail);
        assert!(finding.message.ends_with("are not allowed"), "{finding:?}");
        let lost = Tried::Unknown("no route".to_owned());
        assert_eq!(of_command(Doctored::Nodes, &|_| &lost).status, Status::Fail);
    }
}
