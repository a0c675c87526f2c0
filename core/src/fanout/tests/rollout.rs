//! Concurrency, budget and waves.

use proptest::prelude::*;

use super::script::{Counts, Details, Gate};
use super::*;
use crate::fanout::{Forecast, StopReason, WaveLoad};
use crate::tests::{cases, one_in};

#[tokio::test(start_paused = true)]
async fn concurrency_is_never_exceeded_and_used() {
    for (concurrency, batch) in
        [(30, 4), (1, 50), (7, 50), (120, 50), (50, 50)].into_iter().step_by(one_in(3))
    {
        let ran = Setup::new(Script::of(300)).concurrency(concurrency).batch(batch).run().await;
        ran.is_true();
        // At least half the window works all the time; the fake's targets take 5.5 s on average.
        let most = 300.0 * 5.5 / (concurrency as f64 / 2.0) + 60.0;
        assert!(ran.took.as_secs_f64() < most.max(40.0), "{concurrency}: {:?}", ran.took);
    }
}

#[tokio::test(start_paused = true)]
async fn a_spent_budget_stops_the_run_within_what_was_in_flight() {
    for counts in [Counts::Fresh, Counts::Never] {
        for (concurrency, max_errors, every) in
            [(50, 0, 10), (100, 5, 7), (10, 3, 2), (200, 20, 3)].into_iter().step_by(one_in(3))
        {
            let mut script = Script::of(2000).failing((0..2000).step_by(every));
            script.counts = counts;
            let ran = Setup::new(script).concurrency(concurrency).max_errors(max_errors).run().await;
            ran.is_true();
            assert_eq!(ran.report.stopped, Some(StopReason::Budget));
            let bad = ran.report.tally.bad();
            let in_flight = ran.fake.state().in_flight_then as u64;
            assert!(bad > max_errors && bad <= max_errors + 1 + in_flight, "{bad} {in_flight}");
            assert!(in_flight <= concurrency as u64);
            for target in ran.of(Verdict::NotRun) {
                assert_eq!(ran.reason(target), Some(Reason::BUDGET));
            }
            assert!(ran.report.tally.count(Verdict::NotRun) > 0);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_canary_that_fails_touches_one() {
    let ran = Setup::new(Script::of(1000).failing([0])).max_errors(0).waves(&[1, 100, 1000]).run().await;
    ran.is_true();
    assert_eq!(ran.fake.state().ran.iter().sum::<u32>(), 1);
    assert_eq!(ran.report.tally.count(Verdict::NotRun), 999);
    let waves: Vec<u32> = ran
        .events
        .iter()
        .filter_map(|(_, e)| match e {
            Event::WaveStarted { wave, .. } | Event::WaveFinished { wave, .. } => Some(*wave),
            _ => None,
        })
        .collect();
    assert_eq!(waves, [1, 1]);
}

#[tokio::test(start_paused = true)]
async fn no_target_of_a_wave_is_sent_before_the_wave_before_is_judged() {
    let ran = Setup::new(Script::of(400)).waves(&[1, 40, 40, 400]).run().await;
    ran.is_true();
    let started: Vec<u64> = ran
        .events
        .iter()
        .filter_map(|(_, e)| match e {
            Event::WaveStarted { targets, .. } => Some(*targets),
            _ => None,
        })
        .collect();
    assert_eq!(started, [1, 39, 0, 360]);
}

#[tokio::test(start_paused = true)]
async fn offline_targets_count_when_their_wave_begins() {
    let setup = Setup::new(Script::of(100)).waves(&[10, 100]).offline(&[3, 50, 51]);
    let ran = setup.max_errors(2).run().await;
    ran.is_counted_once();
    assert_eq!(ran.of(Verdict::Undelivered), [3, 50, 51]);
    assert_eq!(ran.report.tally.count(Verdict::Ok), 9);
    assert_eq!(ran.report.tally.count(Verdict::NotRun), 88);
    assert_eq!(ran.report.stopped, Some(StopReason::Budget));
}

#[tokio::test(start_paused = true)]
async fn plans_that_make_no_sense_still_end() {
    for waves in [&[][..], &[3], &[30, 5], &[0, 0, 500]] {
        let ran = Setup::new(Script::of(20)).waves(waves).concurrency(0).batch(0).run().await;
        assert_eq!(ran.report.tally.count(Verdict::Ok), 20);
    }
    let ran = Setup::new(Script::of(0)).run().await;
    assert_eq!(ran.report.tally.total(), 0);
}

/// CLI.md: one at a time, in order; after the target that makes the bad more than the budget nothing is sent.
fn serial_stop(fails: &[bool], max_errors: u64) -> usize {
    let mut bad = 0;
    for (n, fails) in fails.iter().enumerate() {
        bad += u64::from(*fails);
        if bad > max_errors {
            return n + 1;
        }
    }
    fails.len()
}

proptest! {
    #![proptest_config(cases(96))]

    #[test]
    fn a_serial_run_stops_exactly_where_the_definition_says(
        fails in proptest::collection::vec(proptest::bool::weighted(0.3), 1..25),
        max_errors in 0_u64..6,
        cuts in proptest::collection::vec(0_usize..25, 0..3),
    ) {
        let count = fails.len();
        let mut waves: Vec<usize> = cuts.into_iter().map(|c| c.min(count)).chain([count]).collect();
        waves.sort_unstable();
        let failing = (0..count).filter(|n| fails[*n]);
        let setup = Setup::new(Script::of(count).failing(failing)).concurrency(1).max_errors(max_errors);
        let ran = paused(setup.waves(&waves).run());
        ran.is_true();
        let stop = serial_stop(&fails, max_errors);
        let sent: Vec<u32> = (0..count).map(|n| u32::from(n < stop)).collect();
        prop_assert_eq!(&ran.fake.state().ran, &sent);
    }

    #[test]
    fn a_batched_run_never_overshoots_by_more_than_was_in_flight(
        fails in proptest::collection::vec(proptest::bool::weighted(0.1), 1..300),
        max_errors in 0_u64..10,
        concurrency in 1_usize..80,
        batch in 1_usize..50,
        first in 1_usize..50,
    ) {
        let count = fails.len();
        let failing: Vec<usize> = (0..count).filter(|n| fails[*n]).collect();
        let waves = [first.min(count), count];
        let setup = Setup::new(Script::of(count).failing(failing.iter().copied()));
        let setup = setup.concurrency(concurrency).batch(batch).max_errors(max_errors).waves(&waves);
        let ran = paused(setup.run());
        ran.is_true();
        let bad = ran.report.tally.bad();
        prop_assert_eq!(ran.report.stopped.is_some(), failing.len() as u64 > max_errors);
        prop_assert!(bad <= max_errors + 1 + ran.fake.state().in_flight_then as u64);
        // The first wave's own failures are enough to keep the second from starting.
        if failing.iter().filter(|n| **n < waves[0]).count() as u64 > max_errors {
            prop_assert!(ran.fake.state().ran[waves[0]..].iter().all(|n| *n == 0));
        }
    }
}

/// How a node ends badly, told of by a counter or not (facts §4.2).
fn bad_end() -> impl Strategy<Value = Verdict> {
    prop_oneof![Just(Verdict::Failed), Just(Verdict::Denied), Just(Verdict::Undelivered)]
}

proptest! {
    #![proptest_config(cases(96))]

    #[test]
    fn bad_ends_that_no_counter_tells_of_stay_within_the_announced_overshoot(
        nodes in proptest::collection::vec((0_u64..60_000, proptest::option::weighted(0.4, bad_end())), 1..400),
        untold in any::<bool>(),
        eager in any::<bool>(),
        max_errors in 0_u64..20,
        concurrency in 1_usize..120,
        every in 1_usize..6,
        lanes in 1_u32..4,
        cuts in proptest::collection::vec(0_usize..400, 0..3),
        offline in proptest::collection::btree_set(0_usize..400, 0..4),
    ) {
        let count = nodes.len();
        let mut script = Script::of(count);
        script.lanes = lanes;
        script.untold = untold;
        script.details = if every == 1 { Details::None } else { Details::Every(every) };
        for (node, (takes, end)) in script.nodes.iter_mut().zip(nodes) {
            (node.takes, node.verdict) = (Duration::from_millis(takes), end.unwrap_or(Verdict::Ok));
        }
        let offline: Vec<usize> = offline.into_iter().filter(|target| *target < count).collect();
        let is_bad = |(n, node): (usize, &script::Node)| offline.contains(&n) || node.verdict != Verdict::Ok;
        let bad = script.nodes.iter().enumerate().filter(|node| is_bad(*node)).count() as u64;
        let mut waves: Vec<usize> = cuts.into_iter().map(|cut| cut.min(count)).chain([count]).collect();
        waves.sort_unstable();
        let loads = loads(&waves, &offline, lanes);
        let mut setup = Setup::new(script).concurrency(concurrency).max_errors(max_errors);
        setup.policy.eagerness = if eager { Eagerness::AsCompleted } else { Eagerness::AtEnd };
        let forecast = forecast(&setup.policy);
        let ran = paused(setup.waves(&waves).offline(&offline).run());
        ran.is_sound();
        prop_assert_eq!(ran.report.stopped.is_some(), bad > max_errors);
        let stopping = ran.events.iter().find_map(|(_, event)| match event {
            Event::RunStopping { in_flight, .. } => Some(*in_flight),
            _ => None,
        });
        // Those that were bad beforehand may be more than the budget by themselves: then nothing is out.
        if stopping.is_some_and(|in_flight| in_flight > 0) {
            let most = max_errors + 1 + forecast.overshoot(&loads);
            prop_assert!(ran.report.tally.bad() <= most, "{most}: {:?}", ran.report.tally);
        }
    }
}

/// What is sent to and what is not, by wave.
fn loads(waves: &[usize], offline: &[usize], lanes: u32) -> Vec<WaveLoad> {
    let mut begin = 0;
    let load = |end: &usize| {
        let mut load = WaveLoad::default();
        for target in std::mem::replace(&mut begin, *end)..*end {
            match offline.contains(&target) {
                true => load.bad_before += 1,
                false => *load.lanes.entry(target as u32 % lanes).or_insert(0) += 1,
            }
        }
        load
    };
    waves.iter().map(load).collect()
}

fn forecast(policy: &Policy) -> Forecast {
    Forecast {
        concurrency: policy.concurrency as u64,
        max_errors: policy.max_errors,
        batch: policy.batch as u64,
        rate: policy.rate,
    }
}

proptest! {
    #![proptest_config(cases(48))]

    #[test]
    fn a_paced_run_makes_the_sends_that_are_announced(
        count in 1_usize..160,
        rate in 1_u32..25,
        cut in 0_usize..160,
    ) {
        let mut script = Script::of(count);
        // A second and more to each node: between waves the rate has recovered.
        script.nodes.iter_mut().for_each(|node| node.takes = Duration::from_secs(2));
        let waves = [cut.min(count), count];
        let setup = Setup::new(script).rate(f64::from(rate)).waves(&waves).concurrency(200);
        let announced = forecast(&setup.policy).sends(&loads(&waves, &[], 1));
        let ran = paused(setup.run());
        ran.is_true();
        let commands: BTreeSet<&str> = ran.events.iter().filter_map(|(_, event)| match event {
            Event::TargetSent { command_id, .. } => Some(command_id.as_str()),
            _ => None,
        }).collect();
        prop_assert_eq!(commands.len() as u64, announced.count());
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_in_place_of_what_may_have_ended_badly() {
    let mut script = Script::of(400);
    script.nodes.iter_mut().for_each(|node| node.verdict = Verdict::Denied);
    let ran = Setup::new(script).concurrency(100).max_errors(0).run().await;
    ran.is_true();
    assert!(ran.report.tally.bad() <= 100, "{:?}", ran.report.tally);

    // One long runner in each batch, so that none is read for being through.
    let mut script = Script::of(1000);
    for (n, node) in script.nodes.iter_mut().enumerate() {
        (node.verdict, node.takes) = (Verdict::Denied, Duration::from_secs(2));
        if n % 50 == 0 {
            (node.verdict, node.takes) = (Verdict::Ok, Duration::from_secs(400));
        }
    }
    let ran = Setup::new(script).concurrency(100).max_errors(10).run().await;
    ran.is_true();
    assert!(ran.report.tally.bad() <= 110, "{:?}", ran.report.tally);
    let stopping = ran.events.iter().find(|(_, event)| matches!(event, Event::RunStopping { .. })).unwrap().0;
    assert!(stopping < Duration::from_secs(10), "{stopping:?}");
}

#[tokio::test(start_paused = true)]
async fn what_has_to_be_read_first_costs_no_more_calls_than_a_reader_does() {
    for concurrency in [50, 1000, 200].into_iter().step_by(one_in(3)) {
        let of =
            |max_errors| Setup::new(long_tailed(2000, 3)).concurrency(concurrency).max_errors(max_errors);
        let (strict, eager, late) = (of(0).run().await, of(2000).eager().run().await, of(2000).run().await);
        strict.is_true();
        let looks = |ran: &Ran| ran.fake.calls().collects;
        let case = format!("{concurrency}: {}, {} and {} looks", looks(&strict), looks(&eager), looks(&late));
        assert!(looks(&strict) <= looks(&eager) * 6 / 5, "{case}");
        assert!(strict.took <= late.took.mul_f64(1.5), "{case}: {:?} and {:?}", strict.took, late.took);
    }
}

/// When each wave began and ended, and what its gates said, in order.
fn story(ran: &Ran) -> Vec<(u64, String)> {
    let tell = |event: &Event| match event {
        Event::WaveStarted { wave, .. } => Some(format!("start {wave}")),
        Event::WaveFinished { wave, .. } => Some(format!("end {wave}")),
        Event::GatePassed { gate, wave, .. } => Some(format!("{gate} yes {wave}")),
        Event::GateFailed { wave, reason, .. } => Some(format!("no {wave}: {reason}")),
        _ => None,
    };
    ran.events.iter().filter_map(|(at, event)| Some((at.as_secs(), tell(event)?))).collect()
}

#[tokio::test(start_paused = true)]
async fn waves_soak_and_then_ask_every_gate_in_turn() {
    let setup = Setup::new(Script::of(60)).waves(&[1, 20, 60]).between(Duration::from_secs(300), &["a", "b"]);
    let ran = setup.run().await;
    ran.is_true();
    let story = story(&ran);
    let words: Vec<&str> = story.iter().map(|(_, word)| word.as_str()).collect();
    assert_eq!(
        words,
        [
            "start 1", "end 1", "a yes 1", "b yes 1", "start 2", "end 2", "a yes 2", "b yes 2", "start 3",
            "end 3"
        ]
    );
    for (end, start) in [(1, 4), (5, 8)] {
        let soaked = story[start].0 - story[end].0;
        assert!((300..303).contains(&soaked), "{soaked} {story:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_gate_that_says_no_leaves_the_rest_alone() {
    let mut script = Script::of(60);
    script.gate = Gate::NoAfter(2);
    let ran = Setup::new(script).waves(&[1, 20, 60]).between(Duration::ZERO, &["check"]).run().await;
    ran.is_true();
    assert_eq!(ran.report.stopped, Some(StopReason::Gate));
    assert_eq!(ran.of(Verdict::NotRun), (20..60).collect::<Vec<_>>());
    assert_eq!(ran.reason(20), Some(Reason::GATE));
    let last: Vec<String> = story(&ran).into_iter().map(|(_, word)| word).rev().take(2).collect();
    assert_eq!(last, ["no 2: check ended with 1", "end 2"]);
}

#[tokio::test(start_paused = true)]
async fn a_gate_that_hangs_stops_the_run_after_sixty_seconds() {
    let mut script = Script::of(10);
    script.gate = Gate::Never;
    let ran = Setup::new(script).waves(&[1, 10]).between(Duration::ZERO, &["check"]).run().await;
    ran.is_true();
    let story = story(&ran);
    let (asked, answered) = (story[1].0, story[2].0);
    assert_eq!(story[2].1, "no 1: no answer in 60 s");
    assert!((60..62).contains(&(answered - asked)), "{story:?}");
    assert_eq!(ran.report.tally.count(Verdict::NotRun), 9);
}

#[tokio::test(start_paused = true)]
async fn an_interrupt_ends_a_soak() {
    let setup = Setup::new(Script::of(10)).waves(&[1, 10]).between(Duration::from_secs(3600), &["check"]);
    let ran = setup.interrupt(Duration::from_secs(60), Interrupt::Drain).run().await;
    ran.is_true();
    assert!(ran.took < Duration::from_secs(62), "{:?}", ran.took);
    assert_eq!(ran.report.tally.count(Verdict::NotRun), 9);
    assert!(!story(&ran).iter().any(|(_, word)| word.contains("check")));
}

#[tokio::test(start_paused = true)]
async fn a_rate_is_kept() {
    for (rate, count) in [(20.0, 400), (0.5, 10), (75.0, 600)] {
        let ran = Setup::new(Script::of(count)).rate(rate).run().await;
        ran.is_true();
        let sent: Vec<Duration> = ran
            .events
            .iter()
            .filter(|(_, e)| matches!(e, Event::TargetSent { .. }))
            .map(|(at, _)| *at)
            .collect();
        assert_eq!(sent.len(), count);
        // In any window no more than the rate and one second's worth that had been saved up.
        for (n, at) in sent.iter().enumerate() {
            let within =
                sent[n..].iter().take_while(|later| **later <= *at + Duration::from_secs(10)).count();
            assert!(
                within as f64 <= rate * 10.0 + rate.max(1.0) + rate.max(1.0),
                "{rate}: {within} at {at:?}"
            );
        }
        let least = count as f64 / rate - 2.0 / rate.min(1.0);
        let last = sent.last().unwrap().as_secs_f64();
        assert!(last >= least - 1.0 && last <= count as f64 / rate * 1.3 + 5.0, "{rate}: {last}");
    }
}
