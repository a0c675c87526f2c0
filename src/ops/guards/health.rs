//! Target groups: whether everything that is registered is healthy.

use std::collections::BTreeMap;

use herder_aws::CallError;
use herder_aws::elbv2::{HealthState, TargetHealth};

use super::Answer;
use crate::ops::place::{Named, Place, in_each};

/// So many targets are named.
const NAMED: usize = 5;

/// What is registered in the group in each place where it is; nowhere it is nothing.
///
/// # Errors
/// A call failed.
pub(super) async fn look(places: &[Place], text: &str) -> Result<Vec<Vec<TargetHealth>>, CallError> {
    let named = Named::target_group(text);
    let ask = async |place: &Place| -> Result<Option<Vec<TargetHealth>>, CallError> {
        let elbv2 = place.scope.elbv2();
        match elbv2.target_group(named.name).await? {
            Some(group) => elbv2.target_health(&group.arn).await.map(Some),
            None => Ok(None),
        }
    };
    let found = in_each(named.homes(places), ask).await;
    Ok(found.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
}

/// Asks a target group as a gate: everything that is registered, whether the run has reached it or not, must be healthy; what is being
/// deregistered is not counted. What may get healthy is waited for.
pub(super) async fn ask(places: &[Place], text: &str) -> Answer {
    match look(places, text).await {
        Err(error) => Answer::of(&error),
        Ok(groups) if groups.is_empty() => Answer::No("there is no such target group".to_owned()),
        Ok(groups) => judge(&groups.concat()),
    }
}

/// What the health of registered targets comes to.
pub(super) fn judge(targets: &[TargetHealth]) -> Answer {
    let counted: Vec<&TargetHealth> = targets.iter().filter(|t| t.state != HealthState::Draining).collect();
    if counted.is_empty() {
        return Answer::No("no target is registered".to_owned());
    }
    let bad: Vec<&TargetHealth> =
        counted.iter().filter(|t| t.state != HealthState::Healthy).copied().collect();
    if bad.is_empty() {
        return Answer::Yes(None);
    }
    let said = format!("{} of {} targets are not healthy: {}", bad.len(), counted.len(), described(&bad));
    let may_heal = |t: &&TargetHealth| matches!(t.state, HealthState::Initial | HealthState::Unhealthy);
    if bad.iter().all(may_heal) { Answer::NotYet(said) } else { Answer::No(said) }
}

/// `2 unhealthy (Target.FailedHealthChecks): i-1, i-2; 1 initial: i-3`
fn described(bad: &[&TargetHealth]) -> String {
    let mut kinds: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for target in bad {
        let kind = match &target.reason {
            Some(reason) => format!("{} ({reason})", target.state),
            None => target.state.to_string(),
        };
        kinds.entry(kind).or_default().push(&target.id);
    }
    let kinds = kinds.into_iter().map(|(kind, ids)| {
        let more = if ids.len() > NAMED { ", …" } else { "" };
        let named: Vec<&str> = ids.iter().take(NAMED).copied().collect();
        format!("{} {kind}: {}{more}", ids.len(), named.join(", "))
    });
    kinds.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(id: &str, state: HealthState, reason: Option<&str>) -> TargetHealth {
        TargetHealth { id: id.to_owned(), port: Some(80), state, reason: reason.map(str::to_owned) }
    }

    #[test]
    fn all_that_is_registered_has_to_be_healthy() {
        let healthy = || target("i-1", HealthState::Healthy, None);
        let draining = || target("i-9", HealthState::Draining, Some("Target.DeregistrationInProgress"));
        let initial = || target("i-2", HealthState::Initial, Some("Elb.InitialHealthChecking"));
        let unhealthy = || target("i-3", HealthState::Unhealthy, Some("Target.FailedHealthChecks"));
        let unused = || target("i-4", HealthState::Unused, Some("Target.NotInUse"));
        assert_eq!(judge(&[healthy(), draining()]), Answer::Yes(None));
        assert_eq!(judge(&[draining()]), Answer::No("no target is registered".to_owned()));
        assert_eq!(
            judge(&[healthy(), initial(), unhealthy()]),
            Answer::NotYet(
                "2 of 3 targets are not healthy: 1 initial (Elb.InitialHealthChecking): i-2; \
                 1 unhealthy (Target.FailedHealthChecks): i-3"
                    .to_owned()
            )
        );
        let Answer::No(said) = judge(&[healthy(), initial(), unused()]) else { panic!("unused stays so") };
        assert!(said.starts_with("2 of 3 targets are not healthy: "), "{said}");
        let many: Vec<TargetHealth> = (0..7).map(|_| unhealthy()).collect();
        let Answer::NotYet(said) = judge(&many) else { panic!("it may heal") };
        assert!(
            said.ends_with("7 unhealthy (Target.FailedHealthChecks): i-3, i-3, i-3, i-3, i-3, …"),
            "{said}"
        );
        let odd = target("i-5", HealthState::Other("asleep".into()), None);
        assert_eq!(judge(&[odd]), Answer::No("1 of 1 targets are not healthy: 1 asleep: i-5".to_owned()));
    }
}
