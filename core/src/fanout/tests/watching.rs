//! What stops a run at any time: news of the watch.

use super::script::Gate;
use super::*;
use crate::fanout::{Accepted, Batch, News, StopReason};

fn alarm(reason: &str) -> News {
    News::Stop { gate: "alarm:web-5xx".into(), reason: reason.into() }
}

fn script(count: usize, news: &[(u64, News)]) -> Script {
    let mut script = Script::of(count);
    script.news = news.iter().map(|(at, news)| (Duration::from_secs(*at), news.clone())).collect();
    script
}

/// The failed gates: the wave, whether it was going on, and when.
fn stops(ran: &Ran) -> Vec<(u32, bool, Duration)> {
    let failed = ran.events.iter().filter_map(|(at, event)| match event {
        Event::GateFailed { gate, wave, mid_wave, .. } => {
            assert_eq!(gate, "alarm:web-5xx");
            Some((*wave, *mid_wave, *at))
        }
        _ => None,
    });
    failed.collect()
}

#[tokio::test(start_paused = true)]
async fn an_alarm_in_the_middle_of_a_wave_stops_what_is_not_sent_and_nothing_else() {
    let fires = Duration::from_secs(7);
    let ran = Setup::new(script(600, &[(7, alarm("ALARM"))])).concurrency(60).run().await;
    ran.is_true();
    assert_eq!(ran.report.stopped, Some(StopReason::Alarm));
    let [(wave, mid_wave, at)] = stops(&ran)[..] else { panic!("{:?}", ran.events) };
    assert_eq!((wave, mid_wave, at), (1, true, fires));
    let not_run = ran.of(Verdict::NotRun);
    assert!(!not_run.is_empty() && not_run.len() < 600);
    for target in not_run {
        assert_eq!(ran.reason(target), Some(Reason::GATE));
    }
    // What was under way ends as it would have; calls that had left may be accepted a moment later.
    assert!(ran.report.tally.count(Verdict::Ok) >= 60);
    let sent = ran.events.iter().filter(|(_, e)| matches!(e, Event::TargetSent { .. })).map(|(at, _)| *at);
    assert!(sent.max().unwrap() <= fires + Duration::from_millis(500));
    let position = |fits: fn(&Event) -> bool| ran.events.iter().position(|(_, e)| fits(e)).unwrap();
    let failed = position(|e| matches!(e, Event::GateFailed { .. }));
    let stopping = position(|e| matches!(e, Event::RunStopping { .. }));
    assert_eq!(stopping, failed + 1);
    let Event::RunStopping { reason, .. } = &ran.events[stopping].1 else { unreachable!() };
    assert_eq!(*reason, Reason::GATE);
}

#[tokio::test(start_paused = true)]
async fn what_is_known_at_the_start_stops_before_anything_is_sent() {
    for waves in [&[100][..], &[1, 10, 100]] {
        let ran = Setup::new(script(100, &[(0, News::Warning("no data".into())), (0, alarm("ALARM"))]));
        let ran = ran.waves(waves).offline(&[0, 50]).run().await;
        ran.is_counted_once();
        assert_eq!(ran.fake.calls().sends, 0);
        assert_eq!(ran.report.stopped, Some(StopReason::Alarm));
        assert!(!ran.report.anything_sent);
        assert!(ran.report.tally.count(Verdict::NotRun) >= 98);
        assert_eq!((ran.warnings(), stops(&ran).len()), (1, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn warnings_stop_nothing_and_are_told_as_they_come() {
    let warn = |n: u64| (n, News::Warning(format!("warning {n}")));
    let ran = Setup::new(script(300, &[warn(1), warn(2), warn(5)])).concurrency(30).run().await;
    ran.is_true();
    assert_eq!((ran.report.stopped, ran.report.tally.count(Verdict::Ok)), (None, 300));
    let told: Vec<(Duration, String)> = ran
        .events
        .iter()
        .filter_map(|(at, event)| match event {
            Event::Warning { message, .. } => Some((*at, message.clone())),
            _ => None,
        })
        .collect();
    let expected = [1, 2, 5].map(|n| (Duration::from_secs(n), format!("warning {n}")));
    assert_eq!(told, expected);
}

#[tokio::test(start_paused = true)]
async fn an_alarm_while_a_wave_soaks_or_a_gate_is_asked_keeps_the_next_one_from_beginning() {
    let soak = Duration::from_secs(600);
    let ran = Setup::new(script(10, &[(100, alarm("ALARM"))])).waves(&[3, 10]).between(soak, &[]).run().await;
    ran.is_true();
    assert_eq!(stops(&ran), [(1, false, Duration::from_secs(100))]);
    assert_eq!(ran.fake.state().ran.iter().sum::<u32>(), 3);
    assert!(ran.took < Duration::from_secs(110), "the soak is not sat out: {:?}", ran.took);

    let mut script = script(10, &[(30, alarm("ALARM"))]);
    script.gate = Gate::Never;
    let ran = Setup::new(script).waves(&[3, 10]).between(Duration::ZERO, &["alarm:web-5xx"]).run().await;
    ran.is_true();
    assert_eq!((ran.report.stopped, stops(&ran).len()), (Some(StopReason::Alarm), 1));
    assert!(ran.took < Duration::from_secs(40), "the gate is not waited for: {:?}", ran.took);
}

#[tokio::test(start_paused = true)]
async fn an_alarm_when_all_is_sent_is_told_and_holds_nothing_back() {
    let ran = Setup::new(script(20, &[(3, alarm("ALARM"))])).run().await;
    ran.is_true();
    assert_eq!((ran.report.stopped, ran.report.tally.count(Verdict::Ok)), (Some(StopReason::Alarm), 20));
    assert_eq!(stops(&ran).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_first_reason_to_stop_stands() {
    let mut script = script(200, &[(6, alarm("ALARM"))]).failing(0..200);
    script.nodes.iter_mut().for_each(|node| node.takes = Duration::from_secs(2));
    let ran = Setup::new(script).concurrency(10).max_errors(0).run().await;
    ran.is_true();
    assert_eq!((ran.report.stopped, stops(&ran).len()), (Some(StopReason::Budget), 0));

    let script = self::script(200, &[(2, alarm("ALARM"))]);
    let ran = Setup::new(script).concurrency(10).interrupt(Duration::from_secs(3), Interrupt::Drain).run();
    let ran = ran.await;
    ran.is_true();
    assert_eq!((ran.report.stopped, ran.report.interrupt), (Some(StopReason::Alarm), Interrupt::Drain));
}

#[tokio::test(start_paused = true)]
async fn a_resumed_run_that_may_send_nothing_still_reads_what_was_sent() {
    let setup = Setup::new(script(40, &[(0, alarm("ALARM"))]));
    let directory = tempdir();
    let run = new_run(directory.path(), 40, &[40]);
    let journal = Journal::open(&run, 2).unwrap();
    let fake = Arc::new(Fake::new(setup.script.clone()));
    let batch = Batch { intent: 1, lane: 0, attempt: 1, targets: (0..10).collect(), server_at: None };
    let accepted: Accepted = fake.take_effect(&batch);
    let recovered = Recovered { sent: vec![(batch, accepted)], ..Recovered::default() };
    let (report, events, _) = setup.drive(&fake, journal, recovered).await;
    assert_eq!((report.tally.count(Verdict::Ok), report.tally.count(Verdict::NotRun)), (10, 30));
    assert_eq!((report.stopped, fake.calls().sends), (Some(StopReason::Alarm), 0));
    assert!(events.iter().any(|(_, e)| matches!(e, Event::GateFailed { mid_wave: true, .. })));
}

#[tokio::test(start_paused = true)]
async fn what_a_gate_says_beside_yes_is_told() {
    let mut script = Script::of(5);
    script.gate = Gate::Noted;
    let ran = Setup::new(script).waves(&[1, 5]).between(Duration::ZERO, &["g"]).run().await;
    ran.is_true();
    let notes: Vec<&Event> =
        ran.events.iter().map(|(_, e)| e).filter(|e| matches!(e, Event::GatePassed { .. })).collect();
    let [Event::GatePassed { note, wave: 1, .. }] = notes[..] else { panic!("{notes:?}") };
    assert_eq!(note.as_deref(), Some("g is not sure"));
}
