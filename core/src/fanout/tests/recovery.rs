//! A run that is killed anywhere goes on where it was and does nothing twice.

use std::collections::HashSet;
use std::path::PathBuf;

use super::script::Fault;
use super::*;
use crate::fanout::{Batch, Eagerness};
use crate::journal::Record;
use crate::tests::one_in;

const COUNT: usize = 14;
const WAVES: [usize; 3] = [1, 6, COUNT];

fn script() -> Script {
    let mut script = Script::of(COUNT).failing([2, 9]);
    script.bad = [4].into();
    script.lanes = 2;
    script.faults = [(3, Fault::Throttled), (5, Fault::LostAfter)].into();
    script.details = super::script::Details::Every(5);
    script
}

fn setup(resend: bool) -> Setup {
    let setup = Setup::new(script()).concurrency(6).batch(3).waves(&WAVES);
    let policy = Policy { eagerness: Eagerness::AsCompleted, resend_ambiguous: resend, ..setup.policy };
    Setup { policy, ..setup }
}

/// Writes the events of a process as the dispatcher does.
pub(super) fn log(run: &RunDirectory, seq: &mut u64, events: Vec<(Duration, Event)>) {
    let mut log = EventLog::open(run).unwrap();
    for (_, event) in events {
        let run = RunId::new(jiff::Timestamp::UNIX_EPOCH, 1);
        let at = jiff::Timestamp::UNIX_EPOCH;
        log.append(Envelope { v: SCHEMA_VERSION, seq: *seq, at, run, event }).unwrap();
        *seq += 1;
    }
}

/// What a process had begun to write when it died is written: what is looked at next stays as it is.
pub(super) async fn nothing_comes_later(journal: &Journal) {
    while !journal.is_alone() {
        tokio::task::yield_now().await;
    }
}

/// Drives the run until it ends or the process dies at a step; what it told is in the log, but for the last events.
async fn until_death(fake: &Arc<Fake>, run: &RunDirectory, dies_at: Option<u64>, resend: bool) -> bool {
    fake.die_at(dies_at);
    let replay = Replay::read(run).unwrap();
    let recovered = Recovered::from_replay(&replay, Duration::from_secs(600));
    let journal = Journal::open(run, replay.next_intent).unwrap();
    let Setup { policy, waves, .. } = setup(resend);
    let (sender, mut receiver) = mpsc::channel(10_000);
    let (_interrupt, interrupts) = watch::channel(Interrupt::None);
    let plan = Plan { targets: targets(COUNT), waves, judged: BTreeMap::new(), policy, recovered };
    let ports = Ports { journal: journal.clone(), events: sender, interrupts };
    // Paused time runs on while the disk is waited for: an hour is over in no time on a busy machine.
    let months = Duration::from_secs(1_000 * 3600);
    let ended = tokio::select! {
        report = tokio::time::timeout(months, fan_out(Arc::new(Played::Fake(Arc::clone(fake))), plan, ports)) => {
            assert_eq!(report.expect("the run hangs").tally.total(), COUNT as u64);
            true
        }
        () = fake.died.notified() => false,
    };
    nothing_comes_later(&journal).await;
    let mut events = Vec::new();
    while let Ok(event) = receiver.try_recv() {
        events.push((Duration::ZERO, event));
    }
    let mut seq = replay.next_seq;
    log(run, &mut seq, events);
    ended
}

struct Killed {
    fake: Arc<Fake>,
    run: RunDirectory,
    _directory: TempDir,
}

async fn killed_at(step: u64, resend: bool) -> Option<Killed> {
    let directory = tempdir();
    let run = new_run(directory.path(), COUNT, &WAVES);
    let fake = Arc::new(Fake::new(script()));
    let ended = until_death(&fake, &run, Some(step), resend).await;
    (!ended).then_some(Killed { fake, run, _directory: directory })
}

/// Goes on to the end and compares with a run that was never killed.
async fn goes_on(killed: &Killed, resend: bool, case: &str) {
    let fake = &killed.fake;
    assert!(until_death(fake, &killed.run, None, resend).await);
    let replay = Replay::read(&killed.run).unwrap();
    let mut lost = 0;
    for (target, node) in fake.script.nodes.iter().enumerate() {
        let ran = fake.state().ran[target];
        assert!(ran <= 1, "{case}: {target} ran {ran} times");
        let expected = match (fake.script.bad.contains(&target), ran) {
            (true, _) => Verdict::Undelivered,
            (false, 1) => node.verdict,
            // The process died between the intent and the call: nobody can tell that from a call that was lost.
            (false, _) => Verdict::Unknown,
        };
        let verdict = replay.verdicts[target];
        if verdict == Some(Verdict::Unknown) && ran == 0 {
            lost += 1;
            continue;
        }
        assert_eq!(verdict, Some(expected), "{case}: {target}, ran {ran} times");
    }
    assert!(lost <= if resend { 0 } else { 6 }, "{case}: {lost} unknown");
    // An intent may stay without an answer only where its targets have their verdicts all the same.
    let open: BTreeSet<usize> = replay.open().collect();
    for send in replay.sends.values().filter(|s| s.state == SendState::InDoubt) {
        assert!(send.targets.iter().all(|t| !open.contains(&(*t as usize))), "{case}: {send:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn killed_at_every_call_before_and_after_its_effect() {
    for resend in [true, false] {
        let mut step = 0;
        loop {
            step += one_in(3) as u64;
            let Some(killed) = killed_at(step, resend).await else { break };
            goes_on(&killed, resend, &format!("step {step}")).await;
        }
        assert!(step > 30, "{step} steps");
    }
}

#[tokio::test(start_paused = true)]
async fn killed_twice() {
    for first in (1..60).step_by(3 * one_in(3)) {
        for second in (first + 1..first + 40).step_by(5 * one_in(3)) {
            let Some(killed) = killed_at(first, true).await else { return };
            let ended = until_death(&killed.fake, &killed.run, Some(second), true).await;
            let case = format!("steps {first} and {second}, ended: {ended}");
            goes_on(&killed, true, &case).await;
        }
    }
}

fn journal_of(run: &RunDirectory) -> PathBuf {
    run.path().join("journal.jsonl")
}

/// Cuts bytes off the last record, if a kill can do that: an intent is on disk before its call. What each number of them
/// leaves is what is there without that record: whoever goes on cuts it off, and if all of it `is_read`, reads that.
fn cut_last_record(killed: &Killed, cut: usize, mut is_read: impl FnMut(&Record) -> bool) -> Option<usize> {
    let journal = journal_of(&killed.run);
    let whole = std::fs::read(&journal).unwrap();
    let last = whole.split_inclusive(|b| *b == b'\n').next_back()?;
    let record: Record = serde_json::from_slice(last).unwrap();
    if matches!(&record, Record::Send { intent, .. } if killed.fake.has_effect(*intent)) {
        return None;
    }
    let before = &whole[..whole.len() - last.len()];
    let reads = is_read(&record).then(|| {
        std::fs::write(&journal, before).unwrap();
        format!("{:?}", Replay::read(&killed.run).unwrap())
    });
    for bytes in 1..=last.len() {
        std::fs::write(&journal, &whole[..whole.len() - bytes]).unwrap();
        if let Some(without) = &reads {
            assert_eq!(
                &format!("{:?}", Replay::read(&killed.run).unwrap()),
                without,
                "{bytes} of {record:?}"
            );
        }
        Journal::open(&killed.run, 1).unwrap();
        assert_eq!(std::fs::read(&journal).unwrap(), before, "{bytes} of {record:?}");
    }
    std::fs::write(&journal, &whole[..whole.len() - cut.min(last.len())]).unwrap();
    Some(last.len())
}

#[tokio::test(start_paused = true)]
async fn killed_while_writing_the_last_record() {
    let (mut cuts, mut kinds) = (0, HashSet::new());
    for step in (1_usize..).step_by(one_in(5)) {
        // One world can be gone on with once: each cut has its own.
        for cut in [1, 2 + step * 29 % 100] {
            let Some(killed) = killed_at(step as u64, true).await else {
                assert!(
                    cuts * one_in(5) > 2000 && kinds.len() * one_in(5) >= 3,
                    "{cuts} cuts of {} kinds",
                    kinds.len()
                );
                return;
            };
            let is_new = |record: &Record| kinds.insert(std::mem::discriminant(record));
            let Some(bytes) = cut_last_record(&killed, cut, is_new) else { break };
            goes_on(&killed, true, &format!("step {step}, {cut} bytes of the last record cut")).await;
            cuts += bytes;
        }
    }
}

/// Events are not synced: the last of them may be missing, and one may be torn.
#[tokio::test(start_paused = true)]
async fn the_last_events_are_missing() {
    for missing in [1, 3, 100] {
        for step in (1..1000).step_by(4 * one_in(4)) {
            let Some(killed) = killed_at(step, true).await else { break };
            let path = killed.run.path().join("events.jsonl");
            let whole = std::fs::read(&path).unwrap();
            let lines: Vec<&[u8]> = whole.split_inclusive(|b| *b == b'\n').collect();
            let kept = lines.len().saturating_sub(missing);
            let mut text = lines[..kept].concat();
            text.extend(lines.get(kept).map_or(&[][..], |torn| &torn[..torn.len() / 2]));
            std::fs::write(&path, text).unwrap();
            goes_on(&killed, true, &format!("step {step}, without the last {missing} events")).await;
        }
    }
}

/// A later wave was sent already, since the open target of the first had been given up as unknown.
#[tokio::test(start_paused = true)]
async fn what_was_sent_is_never_called_not_run() {
    for after in [None, Some(Duration::ZERO), Some(Duration::from_secs(2))] {
        let fake = Arc::new(Fake::new(Script::of(10)));
        let batch = Batch { intent: 1, lane: 0, attempt: 1, targets: (5..10).collect(), server_at: None };
        let accepted = fake.take_effect(&batch);
        let verdicts = [0, 1, 3, 4].map(|t| (t, Verdict::Ok)).into();
        let recovered = Recovered { verdicts, sent: vec![(batch, accepted)], ..Recovered::default() };
        let directory = tempdir();
        let journal = Journal::open(&new_run(directory.path(), 10, &[5, 10]), 2).unwrap();
        let mut setup = Setup::new(Script::of(10)).waves(&[5, 10]);
        setup.interrupts.extend(after.map(|after| (after, Interrupt::Drain)));
        let (report, events, _) = setup.drive(&fake, journal, recovered).await;
        let not_run = u64::from(fake.state().ran[2] == 0);
        assert!(not_run == 0 || after.is_some());
        assert_eq!(report.tally.count(Verdict::NotRun), not_run, "{events:?}");
        assert_eq!(report.tally.count(Verdict::Ok), 10 - not_run);
        assert_eq!(fake.state().ran[5..], [1; 5]);
    }
}

/// Many commands still run when the run goes on: that is no evidence against the listings.
#[tokio::test(start_paused = true)]
async fn a_resumed_run_still_relies_on_listings() {
    let fake = Arc::new(Fake::new(long_tailed(2000, 4)));
    let mut recovered = Recovered::default();
    for n in 0..40 {
        let targets = (n * 50..n * 50 + 50).collect();
        let batch = Batch { intent: n as u64 + 1, lane: 0, attempt: 1, targets, server_at: None };
        let accepted = fake.take_effect(&batch);
        recovered.sent.push((batch, accepted));
    }
    let directory = tempdir();
    let journal = Journal::open(&new_run(directory.path(), 2000, &[2000]), 41).unwrap();
    let (report, ..) = Setup::new(fake.script.clone()).drive(&fake, journal, recovered).await;
    assert_eq!(report.tally.count(Verdict::Ok), 2000);
    let calls = fake.calls();
    assert!(calls.collects <= 85 && calls.sweep_pages <= 30, "{calls:?}");
}

#[test]
fn a_replay_becomes_what_the_executor_wants() {
    use crate::journal::BatchState;
    let send = |targets: &[u32], attempt, state| BatchState {
        targets: targets.to_vec(),
        lane: 3,
        attempt,
        server_at: None,
        state,
    };
    let sent = |id: &str| SendState::Sent { command_id: id.into() };
    let verdicts = vec![
        Some(Verdict::Ok),
        None,
        Some(Verdict::NotRun),
        Some(Verdict::Unknown),
        Some(Verdict::Failed),
        None,
        None,
        Some(Verdict::Cancelled),
    ];
    let sends = BTreeMap::from([
        (1, send(&[0, 1], 1, sent("a"))),
        (2, send(&[3], 1, SendState::Lost)),
        (3, send(&[4, 7], 1, sent("done"))),
        (4, send(&[5], 1, SendState::Lost)),
        (5, send(&[5], 2, SendState::InDoubt)),
        (6, send(&[6, 99], 1, SendState::NotSent)),
    ]);
    let replay = Replay { verdicts, sends, ..Replay::default() };
    let recovered = Recovered::from_replay(&replay, Duration::from_secs(9));
    assert_eq!(recovered.verdicts.keys().copied().collect::<Vec<_>>(), [0, 4, 7]);
    let sent: Vec<_> = recovered.sent.iter().map(|(b, a)| (b.intent, a.command_id.as_str())).collect();
    assert_eq!(sent, [(1, "a")]);
    // Target 5 belongs to its second send.
    let in_doubt: Vec<_> = recovered.in_doubt.iter().map(|b| (b.intent, b.attempt, b.lane)).collect();
    assert_eq!(in_doubt, [(2, 1, 3), (5, 2, 3)]);
    assert_eq!(recovered.sent[0].1.expires_in, Duration::from_secs(9));
}

/// A batch of one target that is open and others that were judged bad: the counters tell of those again.
#[tokio::test(start_paused = true)]
async fn bad_targets_that_stand_are_not_counted_twice() {
    for in_doubt in [false, true] {
        let fake = Arc::new(Fake::new(Script::of(20).failing(0..4)));
        let batch = Batch { intent: 1, lane: 0, attempt: 1, targets: (0..10).collect(), server_at: None };
        let accepted = fake.take_effect(&batch);
        let verdicts = (0..4).map(|t| (t, Verdict::Failed)).chain([(4, Verdict::Ok)]).collect();
        let mut recovered = Recovered { verdicts, ..Recovered::default() };
        if in_doubt {
            recovered.in_doubt.push(batch);
        } else {
            recovered.sent.push((batch, accepted));
        }
        let directory = tempdir();
        let journal = Journal::open(&new_run(directory.path(), 20, &[20]), 2).unwrap();
        // The open ones take long, so that counters are read before results are.
        let setup = Setup::new(fake.script.clone()).max_errors(5).concurrency(8);
        let (report, ..) = setup.drive(&fake, journal, recovered).await;
        assert_eq!(report.stopped, None, "in doubt: {in_doubt}");
        assert_eq!(report.tally.count(Verdict::Ok), 16);
    }
}

/// Killed with a window of 50, gone on with one of 10, and at a rate that never allows as many.
#[tokio::test(start_paused = true)]
async fn a_lost_batch_larger_than_the_window_is_sent_again() {
    for rate in [None, Some(2.0)] {
        let fake = Arc::new(Fake::new(Script::of(60)));
        fake.state().concurrency = Some(10);
        let batch = Batch { intent: 1, lane: 0, attempt: 1, targets: (0..50).collect(), server_at: None };
        let recovered = Recovered { in_doubt: vec![batch], ..Recovered::default() };
        let directory = tempdir();
        let journal = Journal::open(&new_run(directory.path(), 60, &[60]), 2).unwrap();
        let mut setup = Setup::new(fake.script.clone()).concurrency(10).resending();
        setup.policy.rate = rate;
        let (report, events, _) = setup.drive(&fake, journal, recovered).await;
        assert_eq!(report.tally.count(Verdict::Ok), 60);
        assert_eq!(fake.state().ran, [1; 60]);
        assert!(fake.state().breaches.is_empty(), "{:?}", fake.state().breaches);
        let again = events.iter().filter(|(_, e)| matches!(e, Event::TargetSent { attempt: 2, .. }));
        assert_eq!(again.count(), 50);
    }
}

/// An unknown of the first wave is looked for again while the second is under way: nothing stands between them any more.
#[tokio::test(start_paused = true)]
async fn what_stood_between_waves_that_were_begun_does_not_come_again() {
    let fake = Arc::new(Fake::new(Script::of(15)));
    let batch = |intent, targets| Batch { intent, lane: 0, attempt: 1, targets, server_at: None };
    let (first, second) = (batch(1, vec![2]), batch(2, vec![5, 6]));
    let accepted = fake.take_effect(&second);
    let verdicts = [0, 1, 3, 4].map(|t| (t, Verdict::Ok)).into();
    let recovered =
        Recovered { verdicts, sent: vec![(second, accepted)], in_doubt: vec![first], ..Recovered::default() };
    let directory = tempdir();
    let journal = Journal::open(&new_run(directory.path(), 15, &[5, 10, 15]), 3).unwrap();
    let setup = Setup::new(fake.script.clone()).waves(&[5, 10, 15]).between(Duration::from_secs(900), &["a"]);
    let (report, events, took) = setup.drive(&fake, journal, recovered).await;
    assert_eq!((report.tally.count(Verdict::Ok), report.tally.count(Verdict::Unknown)), (14, 1));
    let gates: Vec<u32> = events
        .iter()
        .filter_map(|(_, e)| if let Event::GatePassed { wave, .. } = e { Some(*wave) } else { None })
        .collect();
    assert_eq!(gates, [2]);
    assert!(took < Duration::from_secs(1000), "{took:?}");
    // The third wave waited for what was in doubt of the first.
    let at = |wanted: &dyn Fn(&Event) -> bool| events.iter().position(|(_, e)| wanted(e)).unwrap();
    let unknown = at(&|e| matches!(e, Event::TargetFinished(f) if f.verdict == Verdict::Unknown));
    assert!(unknown < at(&|e| matches!(e, Event::WaveStarted { wave: 3, .. })));
}
