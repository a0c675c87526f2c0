//! Ctrl-C once, twice, three times.

use super::script::Fault;
use super::*;
use crate::fanout::StopReason;

const fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

#[tokio::test(start_paused = true)]
async fn the_first_lets_what_runs_finish() {
    let ran =
        Setup::new(Script::of(500)).concurrency(100).interrupt(seconds(6), Interrupt::Drain).run().await;
    ran.is_true();
    assert_eq!((ran.report.stopped, ran.report.interrupt), (Some(StopReason::Interrupted), Interrupt::Drain));
    let not_run = ran.of(Verdict::NotRun);
    assert!(!not_run.is_empty() && not_run.len() < 500);
    assert!(not_run.iter().all(|t| ran.reason(*t) == Some(Reason::INTERRUPTED)));
    assert!(ran.took < seconds(25), "{:?}", ran.took);
}

#[tokio::test(start_paused = true)]
async fn one_before_the_start_sends_nothing() {
    let ran = Setup::new(Script::of(500)).interrupt(Duration::ZERO, Interrupt::Drain).run().await;
    ran.is_counted_once();
    assert!(ran.took < seconds(20));
}

#[tokio::test(start_paused = true)]
async fn the_second_cancels_and_the_rest_is_what_it_was() {
    let mut script = Script::of(500);
    script.stuck = (0..50).collect();
    let setup = Setup::new(script).interrupt(seconds(4), Interrupt::Drain);
    let ran = setup.interrupt(seconds(5), Interrupt::Cancel).run().await;
    ran.is_true();
    assert!(ran.report.tally.count(Verdict::Cancelled) > 50);
    assert_eq!(ran.report.tally.count(Verdict::Unknown), 0);
    assert!(ran.took <= seconds(15), "{:?}", ran.took);
    // Each command once.
    let sends = ran.fake.calls().sends;
    assert!(ran.fake.calls().cancels <= sends, "{:?}", ran.fake.calls());
}

#[tokio::test(start_paused = true)]
async fn a_cancel_that_does_nothing_is_waited_for_ten_seconds() {
    let mut script = Script::of(300);
    script.cancels = false;
    script.stuck = (0..300).collect();
    script.faults = [(2, Fault::LostAfter), (3, Fault::LostAfter)].into();
    let ran = Setup::new(script).interrupt(seconds(3), Interrupt::Cancel).run().await;
    ran.is_counted_once();
    assert_eq!(ran.report.tally.count(Verdict::Unknown), 300);
    assert!(ran.took >= seconds(13) && ran.took < seconds(14), "{:?}", ran.took);
}

#[tokio::test(start_paused = true)]
async fn the_third_leaves_at_once() {
    let mut script = Script::of(300);
    script.quota = 1.0;
    script.faults = [(1, Fault::LostAfter)].into();
    for after in [0, 50, 1000, 1070, 3000, 5030, 5100] {
        let setup = Setup::new(script.clone()).concurrency(150);
        let ran = setup.interrupt(Duration::from_millis(after), Interrupt::Leave).run().await;
        ran.is_counted_once();
        assert!(ran.took <= Duration::from_millis(after + 30), "{:?}", ran.took);
        // What never left this machine is not unknown.
        for target in ran.of(Verdict::NotRun) {
            assert_eq!(ran.fake.state().ran[target], 0);
        }
        for (_, finished) in ran.finished() {
            assert_eq!(finished.attempt, u32::from(finished.verdict != Verdict::NotRun), "{finished:?}");
        }
        assert!(ran.report.tally.count(Verdict::NotRun) >= 150);
    }
}

#[tokio::test(start_paused = true)]
async fn an_interrupt_does_not_wait_for_the_quota() {
    let mut script = Script::of(300);
    script.slow_lane = Some((0, seconds(3600)));
    let ran = Setup::new(script).interrupt(seconds(5), Interrupt::Drain).run().await;
    ran.is_true();
    assert_eq!(ran.report.tally.count(Verdict::NotRun), 300);
    assert!(ran.took < seconds(6), "{:?}", ran.took);
}

#[tokio::test(start_paused = true)]
async fn an_interrupt_ends_a_pause() {
    let mut script = Script::of(300);
    script.no_credentials = Some((seconds(2), seconds(1_000_000)));
    let setup = Setup::new(script).interrupt(seconds(60), Interrupt::Drain);
    let ran = setup.interrupt(seconds(90), Interrupt::Cancel).run().await;
    ran.is_counted_once();
    assert!(ran.took < seconds(101), "{:?}", ran.took);
}

#[tokio::test(start_paused = true)]
async fn a_cancel_that_fails_is_tried_again() {
    let mut script = Script::of(100);
    script.stuck = (0..100).collect();
    script.cancel_failures = 3;
    let ran = Setup::new(script).interrupt(seconds(5), Interrupt::Cancel).run().await;
    ran.is_true();
    assert_eq!(ran.report.tally.count(Verdict::Cancelled), 100);
    assert_eq!(ran.fake.calls().cancels, 5);
    assert_eq!(ran.warnings(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_cancel_that_the_journal_forbids_is_told() {
    let mut script = Script::of(100);
    script.stuck = (0..100).collect();
    let mut setup = Setup::new(script).interrupt(seconds(5), Interrupt::Cancel);
    setup.disk_full = Some(seconds(4));
    let ran = setup.run().await;
    ran.is_counted_once();
    assert_eq!(ran.fake.calls().cancels, 0);
    assert!(ran.report.journal.is_some());
    let is_told =
        |e: &Event| matches!(e, Event::Warning { message, .. } if message.contains("not cancelled"));
    assert_eq!(ran.events.iter().filter(|(_, e)| is_told(e)).count(), 1);
}
