//! Sends that are throttled, lost or refused, bad targets, credentials that expire.

use super::script::{Fault, Listing};
use super::*;
use crate::tests::one_in;

fn with_faults(count: usize, faults: &[(u64, Fault)]) -> Setup {
    let mut script = Script::of(count);
    script.faults = faults.iter().copied().collect();
    Setup::new(script)
}

#[tokio::test(start_paused = true)]
async fn throttled_and_unsent_batches_go_again() {
    let ran =
        with_faults(200, &[(1, Fault::Throttled), (2, Fault::NotSent), (4, Fault::Throttled)]).run().await;
    ran.is_true();
    assert_eq!(ran.report.tally.count(Verdict::Ok), 200);
    assert_eq!(ran.fake.calls().sends, 7);
}

#[tokio::test(start_paused = true)]
async fn lost_sends_that_took_effect_are_adopted_and_others_unknown() {
    let ran = with_faults(200, &[(2, Fault::LostAfter), (3, Fault::LostBefore)]).run().await;
    ran.is_sound();
    assert_eq!(ran.report.tally.count(Verdict::Ok), 150);
    let unknown = ran.of(Verdict::Unknown);
    assert_eq!(unknown.len(), 50);
    for target in unknown {
        assert_eq!(ran.reason(target), Some(Reason::SEND_LOST));
        assert_eq!(ran.fake.state().ran[target], 0);
    }
    for (_, finished) in ran.finished().filter(|(_, f)| f.verdict == Verdict::Unknown) {
        assert_eq!((finished.attempt, &finished.command_id), (1, &None));
    }
    assert!(ran.took < Duration::from_secs(25), "{:?}", ran.took);
}

#[tokio::test(start_paused = true)]
async fn lost_sends_are_repeated_only_when_that_was_asked_for() {
    let faults = [(2, Fault::LostAfter), (3, Fault::LostBefore), (5, Fault::LostBefore)];
    let ran = with_faults(200, &faults).resending().run().await;
    ran.is_true();
    assert_eq!(ran.report.tally.count(Verdict::Ok), 200);
    assert!(ran.fake.state().ran.iter().all(|n| *n == 1));
    assert_eq!(ran.finished().filter(|(_, f)| f.attempt == 3).count(), 50);
}

#[tokio::test(start_paused = true)]
async fn a_lost_send_that_nobody_may_look_for_is_not_repeated() {
    let mut setup = with_faults(100, &[(1, Fault::LostAfter)]).resending();
    setup.script.locate_denied = true;
    let ran = setup.run().await;
    ran.is_sound();
    assert_eq!(ran.report.tally.count(Verdict::Unknown), 50);
    assert!(ran.fake.state().ran.iter().all(|n| *n == 1));
}

#[tokio::test(start_paused = true)]
async fn bad_targets_are_evicted_and_the_others_run() {
    for names_bad in [false, true] {
        let mut script = Script::of(150);
        script.bad = [0, 49, 77, 149].into();
        script.names_bad = names_bad;
        let ran = Setup::new(script).run().await;
        ran.is_true();
        assert_eq!(ran.of(Verdict::Undelivered), [0, 49, 77, 149]);
        assert_eq!(ran.report.tally.count(Verdict::Ok), 146);
        let sends = ran.fake.calls().sends;
        assert!(sends <= if names_bad { 7 } else { 60 }, "{sends}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_batch_of_nothing_but_bad_targets_ends() {
    for names_bad in [false, true] {
        let mut script = Script::of(60);
        script.bad = (0..60).collect();
        script.names_bad = names_bad;
        let ran = Setup::new(script).run().await;
        ran.is_true();
        assert!(!ran.report.anything_sent);
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_send_refused_ends_the_run_and_a_later_one_costs_its_batch() {
    let ran = with_faults(500, &[(1, Fault::Refused)]).run().await;
    ran.is_sound();
    assert_eq!(ran.report.stopped, Some(crate::fanout::StopReason::Fatal));
    assert!(ran.report.fatal.is_some());
    assert_eq!(ran.report.tally.count(Verdict::Denied), 0);

    let ran = with_faults(500, &[(4, Fault::Refused)]).run().await;
    ran.is_sound();
    assert_eq!(ran.report.stopped, None);
    assert_eq!(ran.report.tally.count(Verdict::Denied), 50);
    assert_eq!(ran.report.tally.count(Verdict::Ok), 450);
}

#[tokio::test(start_paused = true)]
async fn a_fatal_refusal_stops_but_what_was_sent_is_judged() {
    let ran = with_faults(500, &[(5, Fault::Fatal)]).run().await;
    ran.is_true();
    assert_eq!(ran.report.stopped, Some(crate::fanout::StopReason::Fatal));
    assert!(ran.report.tally.count(Verdict::Ok) >= 200);
    assert!(ran.report.tally.count(Verdict::NotRun) >= 200);
}

#[tokio::test(start_paused = true)]
async fn sends_that_fail_together_count_as_one_failure() {
    // Eight sends time out in one outage; the network is back a second later.
    let faults: Vec<_> = (1..=8).map(|n| (n, Fault::NotSent)).collect();
    let ran = with_faults(500, &faults).run().await;
    ran.is_true();
    assert_eq!(ran.report.tally.count(Verdict::Ok), 500);
    assert!(ran.warnings() <= 2, "{}", ran.warnings());
}

#[tokio::test(start_paused = true)]
async fn a_service_that_is_never_reached_ends_the_run() {
    let faults: Vec<_> = (1..=1000).map(|n| (n, Fault::NotSent)).collect();
    let ran = with_faults(500, &faults).run().await;
    ran.is_true();
    assert_eq!(ran.report.tally.count(Verdict::NotRun), 500);
    assert!(ran.took < Duration::from_secs(30), "{:?}", ran.took);

    let ran = with_faults(500, &faults[3..]).run().await;
    ran.is_true();
    assert!(ran.report.fatal.is_some());
    assert!(ran.took > Duration::from_secs(120) && ran.took < Duration::from_secs(600), "{:?}", ran.took);
}

#[tokio::test(start_paused = true)]
async fn credentials_that_expire_pause_the_run_and_harm_no_verdict() {
    for (from, to) in [(0, 40), (2, 30), (4, 4000), (9, 12)].into_iter().step_by(one_in(2)) {
        for listing in [Listing::Good, Listing::Empty] {
            let mut script = Script::of(600).failing([7, 300]);
            script.no_credentials = Some((Duration::from_secs(from), Duration::from_secs(to)));
            script.listing = listing;
            script.quota = 2.0;
            // Commands expire long before the credentials are back.
            script.expires_in = Duration::from_secs(60);
            let ran = Setup::new(script).run().await;
            ran.is_true();
            let is = |e: &Event, paused: bool| match e {
                Event::RunPaused { .. } => paused,
                Event::RunContinued => !paused,
                _ => false,
            };
            assert_eq!(ran.events.iter().filter(|(_, e)| is(e, true)).count(), 1);
            assert_eq!(ran.events.iter().filter(|(_, e)| is(e, false)).count(), 1);
            assert!(ran.took < Duration::from_secs(to + 45), "{from} {to} {:?}", ran.took);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn results_that_may_not_be_read_are_unknown() {
    let mut script = Script::of(300);
    script.collect_denied = true;
    let ran = Setup::new(script).run().await;
    ran.is_sound();
    assert_eq!(ran.report.tally.count(Verdict::Unknown), 300);
    assert_eq!(ran.reason(0), Some(Reason::ACCESS_DENIED));
    assert_eq!(ran.warnings(), 1);
}

#[tokio::test(start_paused = true)]
async fn looks_that_fail_are_repeated() {
    for flaky in [2, 3, 10].into_iter().step_by(one_in(2)) {
        for eager in [false, true] {
            let mut script = long_tailed(1000, 9);
            script.flaky = flaky;
            let setup = Setup::new(script);
            let ran = if eager { setup.eager() } else { setup }.run().await;
            ran.is_true();
            assert!(ran.took < ran.fake.last_end() + Duration::from_secs(20), "{flaky} {:?}", ran.took);
            assert!(ran.warnings() <= 4, "{}", ran.warnings());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_looks_past_the_expiry_loses_nothing() {
    let mut script = Script::of(300);
    script.flaky = 1;
    script.expires_in = Duration::from_secs(30);
    let ran = Setup::new(script).run().await;
    // Nothing was ever read: after a quarter of an hour of that they are given up.
    assert_eq!(ran.report.tally.count(Verdict::Unknown), 300);
    assert!(ran.took > Duration::from_secs(900) && ran.took < Duration::from_secs(1100), "{:?}", ran.took);
    assert!(ran.warnings() < 50, "{}", ran.warnings());
}

#[tokio::test(start_paused = true)]
async fn a_lane_without_quota_keeps_no_other_waiting() {
    let mut script = Script::of(400);
    script.lanes = 2;
    script.slow_lane = Some((1, Duration::from_secs(60)));
    let ran = Setup::new(script).run().await;
    ran.is_true();
    for (at, finished) in ran.finished() {
        let is_even = !finished.target.id.ends_with(['1', '3', '5', '7', '9', 'b', 'd', 'f']);
        assert!(!is_even || at < Duration::from_secs(20), "{at:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_stops_the_sends_before_the_next_change() {
    for after in [0, 900, 1000, 5000] {
        let setup = Setup { disk_full: Some(Duration::from_millis(after)), ..Setup::new(Script::of(1000)) };
        let ran = setup.run().await;
        ran.is_true();
        assert_eq!(ran.report.stopped, (after < 2000).then_some(crate::fanout::StopReason::Journal));
        assert_eq!(ran.report.journal.is_some(), after < 2000);
        for target in ran.of(Verdict::NotRun) {
            assert_eq!(ran.reason(target), Some(Reason::JOURNAL));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_send_that_cannot_be_looked_for_is_given_up() {
    let day = Duration::from_secs(86_400);
    let pause = Some((Duration::from_secs(30), Duration::from_secs(7200)));
    for (fails, pause, unknown) in [
        (day, None, 50),
        (Duration::from_secs(800), None, 0),
        // A pause is no reason to give up, and after it the time starts anew.
        (Duration::from_secs(7800), pause, 0),
        (day, pause, 50),
    ] {
        let mut setup = with_faults(100, &[(1, Fault::LostAfter)]).resending();
        setup.script.locate_fails = fails;
        setup.script.no_credentials = pause;
        let ran = setup.run().await;
        ran.is_sound();
        assert_eq!(ran.report.tally.count(Verdict::Unknown), unknown, "{fails:?} {pause:?}");
        assert!(ran.fake.state().ran.iter().all(|n| *n == 1));
        let least = if pause.is_some() { 7200 } else { 0 };
        assert!(ran.took < Duration::from_secs(least + 960), "{:?}", ran.took);
    }
}
