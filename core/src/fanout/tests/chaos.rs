//! Everything at once, at random: what holds always.

use proptest::prelude::*;

use super::script::{Counts, Details, Fault, Listing};
use super::*;
use crate::fanout::StopReason;
use crate::tests::cases;

fn listing() -> impl Strategy<Value = Listing> {
    prop_oneof![
        Just(Listing::Good),
        Just(Listing::FilterEmpty),
        Just(Listing::FilterIgnored),
        Just(Listing::Empty),
        (2_u64..5).prop_map(Listing::Hides),
        (0_u64..12).prop_map(|s| Listing::Late(Duration::from_secs(s))),
        Just(Listing::Incomplete),
        Just(Listing::Denied),
        Just(Listing::Failing),
    ]
}

fn counts() -> impl Strategy<Value = Counts> {
    prop_oneof![
        Just(Counts::Fresh),
        (1_u64..15).prop_map(|s| Counts::Lag(Duration::from_secs(s))),
        Just(Counts::Never),
    ]
}

fn details() -> impl Strategy<Value = Details> {
    prop_oneof![
        4 => Just(Details::None),
        1 => (1_usize..9).prop_map(Details::Every),
        1 => Just(Details::Failing),
        1 => Just(Details::Unlisted),
        1 => Just(Details::UnlistedFlaky),
    ]
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        3 => Just(Fault::Throttled),
        2 => Just(Fault::LostBefore),
        2 => Just(Fault::LostAfter),
        2 => Just(Fault::NotSent),
        1 => Just(Fault::Refused),
    ]
}

fn verdict() -> impl Strategy<Value = Verdict> {
    prop_oneof![
        20 => Just(Verdict::Ok),
        2 => Just(Verdict::Failed),
        1 => Just(Verdict::TimedOut),
        1 => Just(Verdict::Undelivered),
        1 => Just(Verdict::Denied),
    ]
}

prop_compose! {
    fn fleet()(
        nodes in proptest::collection::vec((0_u64..40_000, verdict()), 1..150),
        bad in proptest::collection::btree_set(0_usize..150, 0..4),
        names_bad in any::<bool>(),
        lanes in 1_u32..4,
        realms in 1_u32..4,
    ) -> Script {
        let mut script = Script::of(nodes.len());
        for (node, (takes, verdict)) in script.nodes.iter_mut().zip(nodes) {
            (node.takes, node.verdict) = (Duration::from_millis(takes), verdict);
        }
        script.bad = bad.into_iter().filter(|t| *t < script.nodes.len()).collect();
        (script.names_bad, script.lanes, script.realms) = (names_bad, lanes, realms.min(lanes));
        script
    }
}

prop_compose! {
    fn script()(
        script in fleet(),
        (listing, counts, details) in (listing(), counts(), details()),
        faults in proptest::collection::btree_map(1_u64..30, fault(), 0..6),
        lag in 0_u64..6,
        flaky in prop_oneof![Just(0_u64), 2_u64..9],
        quota in prop_oneof![Just(1.0), Just(10.0), Just(100.0)],
        credentials in proptest::option::of((0_u64..60, 0_u64..900)),
    ) -> Script {
        let no_credentials = credentials.map(|(from, long)| (from, from + long));
        let no_credentials = no_credentials.map(|(a, b)| (Duration::from_secs(a), Duration::from_secs(b)));
        let result_lag = Duration::from_secs(lag);
        // Two rhythms of failing could fall together and let no detail ever be read.
        let flaky = if details == Details::UnlistedFlaky { 0 } else { flaky };
        Script { listing, counts, details, faults, result_lag, flaky, quota, no_credentials, ..script }
    }
}

prop_compose! {
    fn policy(count: usize)(
        concurrency in 1_usize..160,
        batch in 1_usize..=50,
        max_errors in prop_oneof![Just(1000_u64), 0_u64..8],
        eager in any::<bool>(),
        resend_ambiguous in any::<bool>(),
        cuts in proptest::collection::vec(0..=count, 0..3),
        soak in prop_oneof![Just(0_u64), 1_u64..40],
        gates in 0_usize..3,
        rate in proptest::option::weighted(0.2, 2.0_f64..80.0),
    ) -> (Policy, Vec<usize>) {
        let eagerness = if eager { Eagerness::AsCompleted } else { Eagerness::AtEnd };
        let mut waves: Vec<usize> = cuts.into_iter().chain([count]).collect();
        waves.sort_unstable();
        let between = Between { soak: Duration::from_secs(soak), gates: vec!["gate".to_owned(); gates] };
        (Policy { concurrency, max_errors, batch, eagerness, resend_ambiguous, between, rate, via: Via::Client }, waves)
    }
}

fn any_setup() -> impl Strategy<Value = Setup> {
    let interrupts = proptest::option::weighted(0.3, (0_u64..90, any::<bool>()));
    (script(), interrupts).prop_flat_map(|(script, interrupt)| {
        policy(script.nodes.len()).prop_map(move |(policy, waves)| {
            let level = |cancels| if cancels { Interrupt::Cancel } else { Interrupt::Drain };
            let interrupts = interrupt.map(|(s, cancels)| (Duration::from_secs(s), level(cancels)));
            let script = script.clone();
            Setup { policy, waves, interrupts: interrupts.into_iter().collect(), ..Setup::new(script) }
        })
    })
}

/// What may have become of a target, whatever happened.
fn is_possible(ran: &Ran, target: usize) -> bool {
    let script = &ran.fake.script;
    let times = ran.fake.state().ran[target];
    let gave_up = ran.report.interrupt == Interrupt::Cancel;
    match ran.verdict(target) {
        // A realm that refuses is left out where there are others.
        Verdict::NotRun => times == 0 && (ran.report.stopped.is_some() || script.realms > 1),
        Verdict::Unknown if times == 0 => gave_up || script.faults.values().any(|f| *f == Fault::LostBefore),
        Verdict::Unknown => gave_up,
        Verdict::Cancelled => gave_up && ran.fake.was_cancelled(target),
        Verdict::Undelivered if times == 0 => script.bad.contains(&target),
        Verdict::Denied if times == 0 => script.faults.values().any(|f| *f == Fault::Refused),
        verdict => times >= 1 && verdict == script.nodes[target].verdict,
    }
}

fn check(ran: &Ran) {
    let gave_up = ran.report.interrupt == Interrupt::Cancel;
    if gave_up {
        ran.is_counted_once();
    } else {
        ran.is_sound();
    }
    for target in 0..ran.fake.script.nodes.len() {
        assert!(is_possible(ran, target), "{target}: {} {:?}", ran.verdict(target), ran.reason(target));
    }
    // The fake's `locate` is never wrong, so nothing runs twice even where resending was asked for.
    assert!(ran.fake.state().ran.iter().all(|n| *n <= 1));
    if ran.report.stopped == Some(StopReason::Budget) {
        assert!(ran.report.tally.bad() > ran.policy.max_errors);
    }
    if ran.report.stopped.is_none() {
        assert!(ran.report.tally.bad() <= ran.policy.max_errors);
    }
    let script = &ran.fake.script;
    let calls = ran.fake.calls();
    let paused = script.no_credentials.map_or(0.0, |(_, to)| to.as_secs_f64() + 40.0);
    let sends = calls.sends as f64;
    let serial = sends * 75.0 + (script.nodes.len() as f64 + calls.details as f64) / script.quota * 3.0;
    assert!(ran.took.as_secs_f64() < paused + serial + 120.0, "{:?} {calls:?}", ran.took);
    let looks = (calls.collects + calls.sweep_pages) as f64;
    assert!(looks <= 100.0 + sends * 40.0 + paused, "{calls:?} {:?}", ran.took);
}

impl std::fmt::Debug for Setup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Setup { script, policy, waves, interrupts, .. } = self;
        write!(f, "{script:?}\n{policy:?} {waves:?} {interrupts:?}")
    }
}

proptest! {
    #![proptest_config(cases(48))]

    #[test]
    fn whatever_happens(setup in any_setup()) {
        check(&paused(setup.run()));
    }
}
