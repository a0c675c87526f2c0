//! A run's directory after everything that can befall files: every reader gives an error or a sound state.

use std::fs;
use std::path::Path;
use std::time::Duration;

use herder_core::event::{
    Body, Channel, Envelope, Event, LeftOut, OutputPiece, RunFinished, RunGuards, RunStarted, SCHEMA_VERSION,
    Stream, Streams, TargetFinished,
};
use herder_core::fanout::Recovered;
use herder_core::journal::{
    EventLog, EventTail, FORMAT_VERSION, HashKey, Identity, Journal, Keep, Replay, RunDirectory, RunRecord,
    RunsDirectory, SendState, StoredEvent,
};
use herder_core::limit::LearnedRates;
use herder_core::run_id::RunId;
use herder_core::target::{Platform, Target};
use herder_core::verdict::{Reason, Tally, Verdict};
use herder_core::via::Via;
use jiff::Timestamp;
use rand::Rng;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use tempfile::TempDir;

use crate::mutate::mutate;
use crate::rounds::{made, rounds};

const TARGETS: u32 = 6;
const FILES: [&str; 6] =
    ["run.json", "targets.jsonl", "journal.jsonl", "events.jsonl", "output/bodies", "lock"];

fn at() -> Timestamp {
    Timestamp::from_second(1_795_253_400).unwrap()
}

fn run_id() -> RunId {
    RunId::new(at(), 7)
}

fn target(n: u32) -> Target {
    Target {
        id: format!("i-{n:017x}"),
        name: (n != 3).then(|| format!("web-{n}")),
        account: "111122223333".into(),
        region: "eu-west-1".into(),
        az: Some("eu-west-1a".into()),
        platform: Some(Platform::Linux),
    }
}

fn record() -> RunRecord {
    let identity = |region: &str| Identity {
        account: "111122223333".into(),
        region: region.into(),
        principal: "arn:aws:iam::111122223333:role/ops".into(),
        endpoint: None,
        sim: true,
    };
    RunRecord {
        format: FORMAT_VERSION,
        run: run_id(),
        created: at(),
        herder: "0.1.0".into(),
        command: "exec".into(),
        title: "uptime".into(),
        identity: identity("eu-west-1"),
        scopes: vec![identity("eu-west-1"), identity("eu-west-2")],
        role: Some("ops".into()),
        unreached: vec!["444455556666".into()],
        waves: vec![1, 3, TARGETS],
        recipe: serde_json::json!({"command": "uptime", "timeout": 600, "targets": ["tag:env=prod"]}),
    }
}

fn finished(n: u32, verdict: Verdict) -> Event {
    let body = match n {
        // Longer than what is held in memory.
        2 => Body::from(vec![b'x'; 70_000]),
        _ => Body::from(format!("up {n} days\n")),
    };
    Event::TargetFinished(Box::new(TargetFinished {
        target: target(n),
        verdict,
        reason: Some(Reason::exit(7)),
        exit_code: Some(7),
        stdout: body,
        stderr: Body::from(vec![0xff, 0xc3]),
        streams: Streams::SplitByMarker,
        truncated: false,
        channel: Channel::S3,
        started: Some(at()),
        finished: None,
        duration_ms: Some(1234),
        command_id: Some("c-1".into()),
        wave: 1,
        attempt: 1,
    }))
}

/// Events of all kinds, as a run would have them that was resumed once.
fn events() -> Vec<Event> {
    let tally = || {
        let mut tally = Tally::default();
        [Verdict::Ok, Verdict::Failed, Verdict::Ok].into_iter().for_each(|verdict| tally.add(verdict));
        tally
    };
    vec![
        Event::RunStarted(RunStarted {
            command: "exec".into(),
            title: "uptime".into(),
            sim: true,
            targets: 6,
            waves: 3,
            accounts: vec!["111122223333".into()],
            regions: vec!["eu-west-1".into()],
            herder: "0.1.0".into(),
            reason: Some("why".into()),
            via: Via::Client,
            guards: RunGuards { gates: vec!["alarm:web".into()], ..RunGuards::default() },
            left_out: vec![LeftOut { scope: "444455556666".into(), reason: "no role".into() }],
        }),
        Event::WaveStarted { wave: 1, targets: 1 },
        Event::TargetSent { target: target(0).id, wave: 1, attempt: 1, command_id: "c-1".into() },
        Event::Output(OutputPiece { target: target(0), stream: Stream::Stderr, text: "up\n".into() }),
        finished(0, Verdict::Ok),
        Event::WaveFinished { wave: 1, tally: tally() },
        Event::SoakStarted { wave: 1, soak_ms: 60_000 },
        Event::GateAsked { gate: "alarm:web".into(), wave: 1 },
        Event::GatePassed { gate: "alarm:web".into(), wave: 1, note: None },
        Event::Throttled {
            api: "SendCommand".into(),
            account: "1".into(),
            region: "eu-west-1".into(),
            rate: 1.5,
        },
        Event::RunPaused { reason: "credentials".into(), hint: "Log in.".into() },
        Event::RunContinued,
        finished(1, Verdict::Unknown),
        Event::Warning { message: "slow".into(), hints: vec!["Wait.".into()] },
        Event::RunStopping { reason: Reason::INTERRUPTED, in_flight: 1, not_sent: 3, cancels: false },
        Event::RunCancelling { in_flight: 1 },
        Event::RunResumed { open: 5, to_cancel: true },
        finished(1, Verdict::Failed),
        finished(2, Verdict::TimedOut),
        Event::GateFailed { gate: "tg:web".into(), wave: 2, reason: "red".into(), mid_wave: true },
        finished(3, Verdict::NotRun),
        Event::RunFinished(RunFinished {
            tally: tally(),
            exit: 1,
            calls: 12,
            throttles: 1,
            p50_ms: Some(1200),
            p95_ms: None,
            took_ms: 90_000,
            stopped: None,
            error: None,
        }),
    ]
}

fn envelope(seq: u64, event: Event) -> Envelope {
    Envelope { v: SCHEMA_VERSION, seq, at: at(), run: run_id(), event }
}

/// The files of a run as they are when nothing befell them.
async fn whole() -> Vec<(&'static str, Vec<u8>)> {
    let state = tempfile::tempdir().unwrap();
    let targets: Vec<Target> = (0..TARGETS).map(target).collect();
    let run = RunsDirectory::below(state.path()).create(&record(), &targets).unwrap();
    let journal = Journal::open(&run, 1).unwrap();
    for (targets, attempt) in [(vec![0, 1], 1), (vec![2], 1), (vec![3, 4], 1), (vec![2], 2)] {
        drop(journal.intend_send(targets, 0, attempt, Some(at())).await.unwrap());
    }
    drop(journal.intend_cancel("c-1".into()).await.unwrap());
    journal.sent(1, "c-1".into()).await.unwrap();
    journal.not_sent(2, Reason::word("ThrottlingException")).await.unwrap();
    journal.lost(3).await.unwrap();
    journal.adopted(1, TARGETS, target(TARGETS)).await.unwrap();
    let mut log = EventLog::open(&run).unwrap();
    for (seq, event) in (0..).zip(events()) {
        log.append(envelope(seq, event)).unwrap();
    }
    drop(run.lock().unwrap());
    FILES.iter().map(|file| (*file, fs::read(run.path().join(file)).unwrap())).collect()
}

fn write(state: &Path, files: &[(&'static str, Vec<u8>)]) {
    let path = state.join("runs").join(run_id().as_str());
    fs::create_dir_all(path.join("output")).unwrap();
    for (file, bytes) in files {
        fs::write(path.join(file), bytes).unwrap();
    }
}

/// A place where waiting for the disk costs nothing, if there is one.
fn state() -> TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| tempfile::tempdir().unwrap())
}

/// Reads all there is, in every way; the state is sound where there is one.
fn read(runs: &RunsDirectory, run: &RunDirectory) -> Option<Replay> {
    let _driver = (run.driver(), run.is_driven(), run.record().map(|record| record.identities().len()));
    let mut seqs = Vec::new();
    let bodies = herder_core::journal::Bodies::open_read_only(&run.bodies()).unwrap();
    let all = run.for_each_event(|stored| {
        seqs.push(stored.envelope.seq);
        show(&stored, &bodies);
    });
    let keep = Keep { age: Duration::from_secs(60), bytes: 1000 };
    let prunable = runs.prunable(keep, at() + Duration::from_secs(120)).unwrap();
    assert!(prunable.len() <= 1);
    let replay = Replay::read(run).ok()?;
    // Whatever reads all of it reads each of its files.
    all.unwrap();
    let targets = run.targets().unwrap();
    assert_eq!(replay.verdicts.len(), targets.len());
    assert!(replay.verdicts.iter().flatten().count() <= targets.len());
    assert!(replay.open().all(|n| n < targets.len()));
    assert!(seqs.iter().all(|seq| *seq < replay.next_seq), "{seqs:?} {}", replay.next_seq);
    assert!(replay.sends.keys().all(|intent| *intent < replay.next_intent));
    let waves = run.record().unwrap().waves;
    assert!(
        waves.is_sorted() && waves.last().is_none_or(|last| *last as usize <= targets.len()),
        "{waves:?}"
    );
    let recovered = Recovered::from_replay(&replay, Duration::from_secs(60));
    assert!(recovered.verdicts.keys().all(|n| *n < targets.len()));
    let batches = recovered.sent.iter().map(|(batch, _)| batch).chain(&recovered.in_doubt);
    assert!(batches.flat_map(|batch| &batch.targets).all(|n| *n < targets.len()), "{replay:?}");
    Some(replay)
}

/// As renderers do.
fn show(stored: &StoredEvent, bodies: &herder_core::journal::Bodies) {
    let json = serde_json::to_string(&stored.envelope).unwrap();
    assert!(!json.contains('\n'));
    if let Event::WaveFinished { tally, .. } | Event::RunFinished(RunFinished { tally, .. }) =
        &stored.envelope.event
    {
        assert!(tally.bad() <= tally.total());
    }
    let Some(output) = stored.stored else { return };
    for body in [output.stdout, output.stderr].map(|reference| bodies.read(reference)).into_iter().flatten() {
        let (head, tail) = (body.head(100).unwrap(), body.tail(100).unwrap());
        assert_eq!(head.len(), tail.len());
        let mut length = 0;
        body.for_each_piece(|piece| {
            length += piece.len() as u64;
            Ok(())
        })
        .unwrap();
        assert_eq!(length, body.len());
        if body.in_memory().is_some() {
            serde_json::to_string(&body).unwrap();
        }
    }
}

/// A run that is followed while its events are written reads as one that is over.
fn follow(rng: &mut SmallRng, run: &RunDirectory, events: &[u8]) {
    let path = run.path().join("events.jsonl");
    let mut tail = EventTail::new(run);
    let mut seqs = Vec::new();
    let mut written = 0;
    while written < events.len() {
        written = events.len().min(written + rng.random_range(1..3000));
        fs::write(&path, &events[..written]).unwrap();
        match tail.read_new() {
            Ok(new) => seqs.extend(new.iter().map(|stored| stored.envelope.seq)),
            Err(_) => return,
        }
    }
    let mut all = Vec::new();
    if run.for_each_event(|stored| all.push(stored.envelope.seq)).is_ok() {
        assert_eq!(seqs, all);
    }
}

/// Goes on with a run as a process does that takes it over: what it writes is found again.
async fn go_on(run: &RunDirectory, replay: &Replay) {
    let journal = Journal::open(run, replay.next_intent).unwrap();
    let permit = journal.intend_send(vec![0], 0, 1, None).await.unwrap();
    journal.sent(permit.intent(), "c-9".into()).await.unwrap();
    let mut log = EventLog::open(run).unwrap();
    log.append(envelope(replay.next_seq, finished(0, Verdict::Failed))).unwrap();
    log.append(envelope(replay.next_seq + 1, Event::RunContinued)).unwrap();
    let again = Replay::read(run).unwrap();
    assert_eq!((again.next_intent, again.next_seq), (replay.next_intent + 1, replay.next_seq + 2));
    assert_eq!(again.sends[&permit.intent()].state, SendState::Sent { command_id: "c-9".into() });
    assert!(again.verdicts.len() == replay.verdicts.len() && again.sends.len() == replay.sends.len() + 1);
}

#[test]
fn journals() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let whole = runtime.block_on(whole());
    rounds("journals", |rng| {
        for _ in 0..20 {
            made();
            let (state, mut files) = (state(), whole.clone());
            for _ in 0..rng.random_range(1..3) {
                let (_, bytes) = &mut files[rng.random_range(0..FILES.len())];
                mutate(rng, bytes, 3);
            }
            write(state.path(), &files);
            let runs = RunsDirectory::below(state.path());
            assert_eq!(runs.list().unwrap(), [run_id()]);
            let run = runs.open(&run_id()).unwrap();
            let replay = read(&runs, &run);
            if rng.random_bool(0.3) {
                follow(rng, &run, &files[3].1);
            }
            // The last number that is read has none after it.
            let has_next = |replay: &Replay| replay.next_intent.max(replay.next_seq) <= u64::MAX / 2 - 2;
            if let Some(replay) = replay.filter(has_next)
                && rng.random_bool(0.5)
            {
                runtime.block_on(go_on(&run, &replay));
            }
            if rng.random_bool(0.3) {
                let pruned = runs.prune(Keep { age: Duration::ZERO, bytes: 0 }, Timestamp::MAX).unwrap();
                assert!(pruned.runs == 0 || runs.list().unwrap().is_empty());
            }
        }
    });
}

/// A process can be killed at any byte that it writes: what stood before is there.
#[test]
fn killed_at_any_byte() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let whole = runtime.block_on(whole());
    rounds("kills", |rng| {
        made();
        let (state, mut files) = (state(), whole.clone());
        let lines = |bytes: &[u8]| bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
        for file in [2, 3] {
            let length = files[file].1.len();
            files[file].1.truncate(rng.random_range(0..=length));
            if rng.random_bool(0.3) {
                // A file system that had made room for what was not written.
                files[file].1.extend(vec![0; rng.random_range(0..5000)]);
            }
        }
        write(state.path(), &files);
        let runs = RunsDirectory::below(state.path());
        let run = runs.open(&run_id()).unwrap();
        let replay = read(&runs, &run).unwrap();
        assert_eq!(replay.next_seq, lines(&files[3].1));
        runtime.block_on(go_on(&run, &replay));
        let pruned = runs.prune(Keep { age: Duration::ZERO, bytes: 0 }, Timestamp::MAX).unwrap();
        assert_eq!(pruned.runs, 1);
    });
}

/// The other files of a state directory.
#[test]
fn keys_and_rates() {
    const RATES: &str = r#"{"v":1,"rates":[{"account":"111122223333","region":"eu-west-1","service":"ssm","api":"SendCommand","rate":4.5,"at":"2026-11-21T09:30:00Z"}]}"#;
    rounds("keys and rates", |rng| {
        let state = state();
        for _ in 0..20 {
            made();
            let mut rates = RATES.as_bytes().to_vec();
            mutate(rng, &mut rates, 3);
            fs::write(state.path().join("rates.json"), &rates).unwrap();
            let (learned, _) = LearnedRates::load(&state.path().join("rates.json"));
            learned.save(&state.path().join("rates.json"), at()).unwrap();
            let length = *[0, 1, 31, 32, 33].choose(rng).unwrap();
            fs::write(state.path().join("key"), vec![rng.random(); length]).unwrap();
            let key = HashKey::open(state.path(), rng.random());
            assert_eq!(key.is_ok(), length >= 32);
        }
    });
}
