//! `--via`: whether a run is handed to the service, and what can't be.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use herder_core::limit::{DEFAULT_RATE, MIN_RATE};
use herder_core::target::{Platform, ServiceTarget};
use herder_core::time::for_people;
use herder_core::verdict::Reason;
use herder_core::via::{Estimate, Load, Via};

use super::{ExecOptions, Recipe, WorkSource};
use crate::args::{RolloutArgs, TargetArgs, ViaChoice};
use crate::failure::Failure;
use crate::ops::targets::{Resolved, TargetSpec};
use crate::scopes::Scopes;

/// Who goes over the targets, as far as it is known before they are.
#[derive(Clone, Debug)]
pub(crate) enum Choice {
    /// herder.
    Client,
    /// The service, by these conditions.
    Service(Vec<ServiceTarget>),
    /// Whoever is faster.
    Faster(Vec<ServiceTarget>),
    /// herder, since the service can't for this reason.
    OnlyClient(String),
}

/// What was asked for, and whether it can be.
///
/// # Errors
/// `service` was asked for, and something else that only herder can do.
pub(crate) fn hand_over(
    rollout: &RolloutArgs,
    targets: &TargetArgs,
    spec: &TargetSpec,
) -> Result<Choice, Failure> {
    let only_client = rollout.only_by_client().or_else(|| targets.only_by_client());
    let handed = match only_client {
        Some((flag, hint)) => {
            Err(Failure::usage(format!("--via service does not go with {flag}")).hint(hint))
        }
        None => spec.service_targets(),
    };
    match (rollout.via, handed) {
        (ViaChoice::Client, _) => Ok(Choice::Client),
        (ViaChoice::Service, handed) => handed.map(Choice::Service),
        (ViaChoice::Auto, Ok(handed)) => Ok(Choice::Faster(handed)),
        (ViaChoice::Auto, Err(failure)) => Ok(Choice::OnlyClient(failure.message)),
    }
}

/// Decides, and takes the decision into the recipe. What is told is why, where there was something to choose.
///
/// # Errors
/// `service` was asked for, and the targets can't be told apart by it.
pub(crate) fn choose(
    choice: Choice,
    options: &mut ExecOptions,
    scopes: &Scopes,
) -> Result<Option<String>, Failure> {
    let choice = match (choice, is_one_for_all(&options.recipe, &options.resolved)) {
        (Choice::Service(_), false) => return Err(several_platforms()),
        (Choice::Faster(_), false) => Choice::OnlyClient(several_platforms().message),
        (Choice::Faster(_), true) if options.resolved.not_running > 0 => {
            Choice::OnlyClient("--via service would choose instances that don't run as well".to_owned())
        }
        (choice, _) => choice,
    };
    let (via, handed, why) = match choice {
        Choice::Client => (Via::Client, Vec::new(), None),
        Choice::Service(handed) => (Via::Service, handed, None),
        Choice::OnlyClient(why) => {
            let why =
                why.strip_prefix("--via service ").map_or(why.clone(), |rest| format!("the service {rest}"));
            (Via::Client, Vec::new(), Some(format!("herder goes over the targets itself: {why}")))
        }
        Choice::Faster(handed) => {
            let estimate = Estimate::of(&loads(&options.recipe, &options.resolved, scopes));
            match estimate.faster() {
                Via::Client => {
                    (Via::Client, Vec::new(), Some(told("herder goes over the targets itself", estimate)))
                }
                Via::Service => {
                    (Via::Service, handed, Some(told("the service goes over the targets", estimate)))
                }
            }
        }
    };
    let rollout = &mut options.recipe.rollout;
    (rollout.via, rollout.handed) = (via, handed);
    if via == Via::Service {
        leave_to_service(&mut options.resolved, rollout.max_errors);
        tell_of_stopped(&mut options.resolved);
    }
    Ok(why)
}

/// Whether everything that a selector chooses may get the same. The service is not told of platforms, and goes by the document: a
/// shell's would run on every Linux and macOS node, PowerShell's on Linux as well, whatever else these were sent.
fn is_one_for_all(recipe: &Recipe, resolved: &Resolved) -> bool {
    let mut platforms = resolved.targets.iter().map(|t| t.platform.unwrap_or(Platform::Linux));
    let first = platforms.next();
    matches!(recipe.source, WorkSource::Document { .. }) || platforms.all(|platform| Some(platform) == first)
}

fn several_platforms() -> Failure {
    Failure::usage("the targets are of several platforms, which the service can't tell apart")
        .hint("Choose those of one platform by a tag, or leave it to herder with --via client.")
}

fn told(who: &str, Estimate { client, service }: Estimate) -> String {
    const YEAR: Duration = Duration::from_secs(365 * 86_400);
    let time = |time: Duration| for_people(time.clamp(Duration::from_secs(1), YEAR));
    format!(
        "{who}: about {} for herder and {} for the service, without the command's own time",
        time(client),
        time(service)
    )
}

/// A node whose agent was lost when targets were resolved is told of by the selector all the same, and may come back in time: what
/// becomes of it says the service. If such nodes alone are more than may be bad, the run stops before anything is sent, and they are
/// judged as ever.
fn leave_to_service(resolved: &mut Resolved, max_errors: u64) {
    let bad = resolved.judged.values().filter(|outcome| outcome.verdict.is_bad()).count() as u64;
    if bad <= max_errors {
        resolved.judged.retain(|_, outcome| outcome.reason != Some(Reason::OFFLINE));
    }
}

/// herder leaves out what does not run; a selector that the service goes by does not.
fn tell_of_stopped(resolved: &mut Resolved) {
    if resolved.not_running == 0 {
        return;
    }
    let is = if resolved.not_running == 1 { "instance that doesn't" } else { "instances that don't" };
    resolved.warnings.push(format!(
        "the service may choose the {} {is} run as well: one that starts within the delivery timeout runs the command, the others end \
         undelivered",
        resolved.not_running
    ));
}

/// What each account and region has to carry, at the rates that earlier runs learned there.
fn loads(recipe: &Recipe, resolved: &Resolved, scopes: &Scopes) -> Vec<Load> {
    let mut platforms: BTreeMap<(&str, &str), BTreeMap<Platform, u64>> = BTreeMap::new();
    for (index, target) in resolved.targets.iter().enumerate() {
        if !resolved.judged.contains_key(&index) {
            let here = platforms.entry((&target.account, &target.region)).or_default();
            *here.entry(target.platform.unwrap_or(Platform::Linux)).or_insert(0) += 1;
        }
    }
    let batch = recipe.rollout.concurrency.clamp(1, herder_aws::ssm::MAX_IDS as u64);
    let load = |((account, region), platforms): ((&str, &str), BTreeMap<Platform, u64>)| {
        let open = scopes.get(account, region);
        let rate = |learned: Option<f64>| learned.unwrap_or(DEFAULT_RATE).max(MIN_RATE);
        Load {
            targets: platforms.values().sum(),
            concurrency: recipe.rollout.concurrency,
            batches: platforms.values().map(|n| n.div_ceil(batch)).sum(),
            commands: 1,
            sends_per_second: rate(open.and_then(|open| open.send_rate)),
            reads_per_second: rate(open.and_then(|open| open.read_rate)),
        }
    };
    platforms.into_iter().map(load).collect()
}

/// Commands that the service is sent: one for each account and region with targets.
pub(super) fn commands(resolved: &Resolved) -> u64 {
    let sent = resolved.targets.iter().enumerate().filter(|(index, _)| !resolved.judged.contains_key(index));
    let places: BTreeSet<(&str, &str)> = sent.map(|(_, t)| (t.account.as_str(), t.region.as_str())).collect();
    places.len() as u64
}
