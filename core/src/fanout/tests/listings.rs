//! Whatever the listings do, verdicts are right, and time and calls are bounded.

use super::script::{Counts, Details, Listing};
use super::*;
use crate::tests::one_in;

const LISTINGS: [Listing; 9] = [
    Listing::Good,
    Listing::FilterEmpty,
    Listing::FilterIgnored,
    Listing::Empty,
    Listing::Hides(3),
    Listing::Late(Duration::from_secs(6)),
    Listing::Incomplete,
    Listing::Denied,
    Listing::Failing,
];
const COUNTS: [Counts; 3] = [Counts::Fresh, Counts::Lag(Duration::from_secs(7)), Counts::Never];

#[tokio::test(start_paused = true)]
async fn ten_thousand_targets_take_few_calls_and_no_time_after_the_last() {
    let ran = Setup::new(long_tailed(10_000, 1)).run().await;
    ran.is_true();
    let calls = ran.fake.calls();
    assert_eq!((calls.sends, calls.details, calls.locates), (200, 0, 0));
    assert!(calls.collects <= 205, "{calls:?}");
    assert!(calls.sweep_pages <= 100, "{calls:?}");
    has_short_tail(&ran, Duration::from_millis(2500));
}

/// The run ends so soon after its last target, plus a sweep's and a look's latency.
fn has_short_tail(ran: &Ran, most: Duration) {
    let last = ran.fake.last_end();
    let tail = ran.took.saturating_sub(last);
    assert!(tail <= most + ran.fake.script.latency * 2, "ended {tail:?} after the last target ({last:?})");
}

#[tokio::test(start_paused = true)]
async fn a_run_of_one_batch_ends_with_it() {
    for count in [1, 7, 50, 60, 120, 300] {
        for seed in 0..5 {
            let ran = Setup::new(long_tailed(count, seed)).run().await;
            ran.is_true();
            has_short_tail(&ran, Duration::from_millis(2500));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn verdicts_are_right_and_calls_bounded_whatever_is_listed() {
    let cases = LISTINGS.into_iter().flat_map(|listing| {
        COUNTS.into_iter().flat_map(move |counts| [false, true].map(|eager| (listing, counts, eager)))
    });
    // Five has no factor in common with the numbers of choices: of each, all come.
    for (listing, counts, eager) in cases.step_by(one_in(5)) {
        let mut script = long_tailed(1000, 3).failing((0..1000).step_by(17));
        (script.listing, script.counts) = (listing, counts);
        script.result_lag = Duration::from_secs(2);
        let setup = Setup::new(script);
        let ran = if eager { setup.eager() } else { setup }.run().await;
        ran.is_true();
        let case = format!("{listing:?} {counts:?} eager: {eager}");
        let tail = ran.took.saturating_sub(ran.fake.last_end());
        let calls = ran.fake.calls();
        let looks = calls.collects + calls.sweep_pages;
        assert!(tail <= Duration::from_secs(12), "{case}: {tail:?}");
        assert!(looks <= 400, "{case}: {calls:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn long_commands_are_asked_about_less_often() {
    for listing in LISTINGS.into_iter().step_by(one_in(4)) {
        let mut script = Script::of(500);
        script.listing = listing;
        script.expires_in = Duration::from_secs(7200);
        for (n, node) in script.nodes.iter_mut().enumerate() {
            node.takes = Duration::from_secs(1800 + n as u64 / 10);
        }
        let ran = Setup::new(script).run().await;
        ran.is_true();
        let calls = ran.fake.calls();
        assert!(calls.sweep_pages + calls.collects <= 4000, "{listing:?}: {calls:?}");
        assert!(ran.took <= ran.fake.last_end() + Duration::from_secs(20), "{listing:?} {:?}", ran.took);
    }
}

#[tokio::test(start_paused = true)]
async fn results_that_exist_are_out_within_ten_seconds() {
    for counts in [Counts::Fresh, Counts::Lag(Duration::from_secs(1))] {
        let mut script = long_tailed(2000, 5);
        script.counts = counts;
        let ran = Setup::new(script).eager().run().await;
        ran.is_true();
        for (at, finished) in ran.finished() {
            let target = number_of(&finished.target.id);
            let ended = ran.fake.ended_at(target).unwrap();
            assert!(at <= ended + Duration::from_secs(10), "{target} ended at {ended:?}, out at {at:?}");
        }
        assert!(ran.fake.calls().collects <= 40 * 8);
    }
}

#[tokio::test(start_paused = true)]
async fn details_are_read_where_they_are_needed_and_never_for_ever() {
    for details in [Details::Every(7), Details::Failing, Details::Unlisted, Details::UnlistedFlaky] {
        let mut script = Script::of(200).failing([3, 77]);
        script.details = details;
        let ran = Setup::new(script).run().await;
        ran.is_true();
        let calls = ran.fake.calls();
        match details {
            Details::Every(n) => assert_eq!(calls.details as usize, 200_usize.div_ceil(n)),
            Details::Failing => assert_eq!(calls.details, 67 * 3),
            _ => assert!(calls.details <= 200 * 12, "{calls:?}"),
        }
        assert!(ran.took < Duration::from_secs(300), "{:?}", ran.took);
    }
}

#[tokio::test(start_paused = true)]
async fn results_that_never_come_are_unknown_after_the_expiry() {
    let mut script = Script::of(120);
    script.stuck = [5, 60, 61].into();
    script.expires_in = Duration::from_secs(100);
    let ran = Setup::new(script).run().await;
    ran.is_sound();
    assert_eq!(ran.of(Verdict::Unknown), [5, 60, 61]);
    assert_eq!(ran.reason(5), Some(Reason::RESULT_LOST));
    assert!(ran.took > Duration::from_secs(160) && ran.took < Duration::from_secs(200), "{:?}", ran.took);
    assert!(ran.fake.calls().collects < 150, "{:?}", ran.fake.calls());
}
