//! Several accounts and regions in one run: one budget, quotas side by side, and a failure that costs its own targets.

use super::script::Details;
use super::*;
use crate::fanout::StopReason;

/// Targets are dealt out to the realms one by one.
fn realms(count: usize, realms: u32) -> Script {
    let mut script = Script::of(count);
    (script.lanes, script.realms) = (realms, realms);
    script
}

fn forever(realm: u32, from: u64) -> Option<(u32, Duration, Duration)> {
    Some((realm, Duration::from_secs(from), Duration::MAX))
}

fn of_realm(ran: &Ran, realm: usize) -> impl Iterator<Item = usize> {
    let script = &ran.fake.script;
    (0..script.nodes.len()).skip(realm).step_by(script.realms as usize)
}

#[tokio::test(start_paused = true)]
async fn quotas_are_used_side_by_side() {
    let mut one = Script::of(1000);
    one.quota = 1.0;
    let alone = Setup::new(one).run().await;
    let mut four = realms(4000, 4);
    four.quota = 1.0;
    let together = Setup::new(four).run().await;
    together.is_true();
    assert_eq!(together.report.tally.count(Verdict::Ok), 4000);
    let ratio = together.took.as_secs_f64() / alone.took.as_secs_f64();
    assert!(ratio < 1.1, "{ratio}");
}

#[tokio::test(start_paused = true)]
async fn one_budget_over_all_realms() {
    let ran =
        Setup::new(realms(400, 4).failing((0..400).step_by(9))).concurrency(40).max_errors(5).run().await;
    ran.is_true();
    assert_eq!(ran.report.stopped, Some(StopReason::Budget));
    let in_flight = ran.fake.state().in_flight_then as u64;
    assert!((6..=5 + in_flight).contains(&ran.report.tally.bad()), "{:?} {in_flight}", ran.report.tally);
    assert!(ran.report.tally.count(Verdict::NotRun) > 200);
}

#[tokio::test(start_paused = true)]
async fn a_realm_that_is_down_from_the_start_costs_its_own_targets() {
    let mut script = realms(400, 4);
    script.dark = forever(2, 0);
    let ran = Setup::new(script).max_errors(0).run().await;
    ran.is_true();
    assert_eq!(ran.report.stopped, None);
    assert_eq!(ran.of(Verdict::NotRun), of_realm(&ran, 2).collect::<Vec<_>>());
    assert!(of_realm(&ran, 2).all(|t| ran.reason(t) == Some(Reason::UNREACHABLE)));
    assert_eq!(ran.report.tally.count(Verdict::Ok), 300);
}

#[tokio::test(start_paused = true)]
async fn a_realm_that_denies_costs_its_own_targets() {
    let mut script = realms(800, 4);
    script.denies = Some(1);
    let ran = Setup::new(script).max_errors(50).run().await;
    ran.is_sound();
    assert_eq!(ran.report.stopped, None);
    // The batch that was refused says so; the others were not even asked for.
    assert_eq!((ran.of(Verdict::Denied).len(), ran.of(Verdict::NotRun).len()), (50, 150));
    assert!(of_realm(&ran, 1).all(|t| ran.reason(t) == Some(Reason::ACCESS_DENIED)));
    assert_eq!(ran.report.tally.count(Verdict::Ok), 600);
    assert!(ran.report.fatal.is_none() && ran.report.anything_sent);
}

#[tokio::test(start_paused = true)]
async fn where_every_realm_is_down_the_run_ends_with_the_error() {
    let mut script = realms(100, 2);
    script.denies = Some(0);
    script.dark = forever(1, 0);
    let ran = Setup::new(script).max_errors(100).run().await;
    ran.is_sound();
    assert_eq!(ran.report.stopped, Some(StopReason::Fatal));
    assert!(ran.report.fatal.is_some() && !ran.report.anything_sent);
}

#[tokio::test(start_paused = true)]
async fn a_realm_that_goes_down_in_the_middle_and_comes_back_loses_nothing() {
    let mut script = realms(400, 4);
    script.dark = Some((3, Duration::from_secs(3), Duration::from_secs(120)));
    let ran = Setup::new(script).concurrency(100).max_errors(0).run().await;
    ran.is_true();
    assert_eq!(ran.report.tally.count(Verdict::Ok), 400);
}

#[tokio::test(start_paused = true)]
async fn a_realm_that_goes_down_in_the_middle_lets_the_others_finish() {
    let mut script = realms(1200, 4);
    script.quota = 1.0;
    script.dark = forever(3, 3);
    let ran = Setup::new(script).max_errors(1000).run().await;
    ran.is_sound();
    let of_three: BTreeSet<usize> = of_realm(&ran, 3).collect();
    for target in 0..1200 {
        let expected: &[Verdict] = match (of_three.contains(&target), ran.fake.state().ran[target]) {
            (false, _) => &[Verdict::Ok],
            // Read before it went dark, or out of sight.
            (true, 1) => &[Verdict::Ok, Verdict::Unknown],
            (true, _) => &[Verdict::NotRun],
        };
        assert!(expected.contains(&ran.verdict(target)), "{target} {}", ran.verdict(target));
    }
    assert!(ran.report.tally.count(Verdict::Unknown) > 0 && ran.report.tally.count(Verdict::NotRun) > 0);
    // Commands could run for ten minutes: nobody waits for them in the dark.
    assert!(ran.took < Duration::from_secs(420), "{:?}", ran.took);
    // Which one is waited for and how long is said once; that it was waited for long enough, too.
    let told = |part: &str| {
        let is_told = |e: &Event| matches!(e, Event::Warning { message, .. } if message.starts_with("realm-3: ") && message.contains(part));
        ran.events
            .iter()
            .filter(|(_, event)| is_told(event))
            .map(|(at, _)| at.as_secs())
            .collect::<Vec<u64>>()
    };
    let waited = told("waited for, for 4m 40s more, and nothing is sent there until it answers");
    assert!(matches!(waited[..], [at] if (20..40).contains(&at)), "{waited:?}");
    assert_eq!(told("no answer for five minutes").len(), 1);
    let others = ran.finished().filter(|(_, f)| f.verdict == Verdict::Ok).map(|(at, _)| at).max();
    assert!(others < Some(Duration::from_secs(60)), "{others:?}");
}

#[tokio::test(start_paused = true)]
async fn a_canary_in_a_realm_that_is_down_proves_nothing() {
    let mut script = realms(40, 2);
    script.dark = forever(0, 0);
    let ran = Setup::new(script).waves(&[1, 20, 40]).max_errors(40).run().await;
    ran.is_sound();
    assert_eq!(ran.report.stopped, Some(StopReason::Fatal));
    assert_eq!(ran.report.tally.count(Verdict::NotRun), 40);
    assert!(ran.fake.state().ran.iter().all(|n| *n == 0));
}

#[tokio::test(start_paused = true)]
async fn later_waves_leave_out_what_was_given_up() {
    let mut script = realms(40, 2);
    script.denies = Some(0);
    let ran = Setup::new(script).waves(&[4, 20, 40]).max_errors(2).run().await;
    ran.is_sound();
    assert_eq!(ran.report.stopped, None);
    assert_eq!(ran.of(Verdict::Denied).len(), 2);
    assert_eq!(ran.of(Verdict::NotRun).len(), 18);
    assert_eq!(ran.report.tally.count(Verdict::Ok), 20);
}

#[tokio::test(start_paused = true)]
async fn messages_name_the_realm_where_there_are_several() {
    let mut script = realms(100, 2);
    script.dark = Some((1, Duration::ZERO, Duration::from_secs(4)));
    let ran = Setup::new(script).run().await;
    ran.is_true();
    let named =
        |event: &Event| matches!(event, Event::Warning { message, .. } if message.starts_with("realm-1: "));
    assert!(ran.events.iter().any(|(_, event)| named(event)));
}

#[tokio::test(start_paused = true)]
async fn what_answered_nothing_for_a_while_is_sent_to_all_the_same_if_nothing_else_can_be_asked() {
    for realms_of_run in [1, 2] {
        let mut script = realms(40, realms_of_run);
        // Every output is cut, and none can be read in full: for a while nothing is heard but failures.
        script.details = Details::Failing;
        script.quota = 1.0;
        let ran = Setup::new(script).waves(&[20, 40]).between(Duration::from_secs(60), &[]).run().await;
        ran.is_true();
        assert_eq!(ran.report.tally.count(Verdict::Ok), 40, "{realms_of_run}");
        assert!(ran.took < Duration::from_secs(600), "{realms_of_run}: {:?}", ran.took);
    }
}
