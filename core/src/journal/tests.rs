//! A run's directory as a whole: locks, permissions, versions, damage, a disk that refuses.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tempfile::TempDir;

use super::*;
use crate::event::{Body, Channel, Envelope, Event, SCHEMA_VERSION, Streams, TargetFinished};
use crate::run_id::RunId;
use crate::target::Target;
use crate::verdict::{Reason, Verdict};

fn target(n: u32) -> Target {
    Target {
        id: format!("i-{n:017x}"),
        name: Some(format!("web-{n}")),
        account: "111122223333".into(),
        region: "eu-west-1".into(),
        az: None,
        platform: None,
    }
}

fn record(n: u32, targets: u32) -> RunRecord {
    RunRecord {
        format: FORMAT_VERSION,
        run: run_id(n),
        created: jiff::Timestamp::UNIX_EPOCH,
        herder: "0.1.0".into(),
        command: "exec".into(),
        title: "uptime".into(),
        identity: Identity {
            account: "111122223333".into(),
            region: "eu-west-1".into(),
            principal: "arn:aws:iam::111122223333:role/ops".into(),
            endpoint: None,
            sim: false,
        },
        scopes: Vec::new(),
        role: None,
        unreached: Vec::new(),
        waves: vec![1, targets],
        recipe: serde_json::json!({"command": "uptime"}),
    }
}

/// The later the larger `n`.
fn run_id(n: u32) -> RunId {
    let at = jiff::Timestamp::from_second(1_700_000_000 + i64::from(n) * 100_000).unwrap();
    RunId::new(at, 0x00ff_ffff - n)
}

fn new_run(targets: u32) -> (TempDir, RunDirectory) {
    let state = tempfile::tempdir().unwrap();
    let targets: Vec<Target> = (0..targets).map(target).collect();
    let count = u32::try_from(targets.len()).unwrap();
    let run = RunsDirectory::below(state.path()).create(&record(1, count), &targets).unwrap();
    (state, run)
}

fn finished(n: u32, verdict: Verdict) -> Event {
    Event::TargetFinished(Box::new(TargetFinished {
        target: target(n),
        verdict,
        reason: None,
        exit_code: Some(0),
        stdout: Body::from("up 3 days\n"),
        stderr: Body::default(),
        streams: Streams::Exact,
        truncated: false,
        channel: Channel::Inline,
        started: None,
        finished: None,
        duration_ms: None,
        command_id: None,
        wave: 1,
        attempt: 1,
    }))
}

fn envelope(seq: u64, event: Event) -> Envelope {
    Envelope { v: SCHEMA_VERSION, seq, at: jiff::Timestamp::UNIX_EPOCH, run: run_id(1), event }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[tokio::test]
async fn only_the_owner_can_look_into_a_run() {
    let (state, run) = new_run(2);
    let journal = Journal::open(&run, 1).unwrap();
    drop(journal.intend_send(vec![0], 0, 1, None).await.unwrap());
    let _lock = run.lock().unwrap();
    EventLog::open(&run).unwrap().append(envelope(0, finished(0, Verdict::Ok))).unwrap();
    for directory in [state.path().join("runs"), run.path().to_owned(), run.path().join("output")] {
        assert_eq!(mode(&directory), 0o700, "{}", directory.display());
    }
    for file in ["run.json", "targets.jsonl", "journal.jsonl", "events.jsonl", "output/bodies", "lock"] {
        assert_eq!(mode(&run.path().join(file)), 0o600, "{file}");
    }
}

#[test]
fn a_driven_run_cannot_be_driven_a_second_time() {
    let (_state, run) = new_run(1);
    assert!(!run.is_driven());
    let lock = run.lock().unwrap();
    assert!(run.is_driven());
    match run.lock() {
        Err(JournalError::Locked { pid, .. }) => assert_eq!(pid, Some(std::process::id())),
        other => panic!("{other:?}"),
    }
    drop(lock);
    assert!(!run.is_driven());
    let _lock = run.lock().unwrap();
}

/// Not a test: the other process of the next one.
#[test]
#[ignore = "started by a_process_that_dies_lets_go_of_its_run"]
fn hold_a_lock_until_killed() {
    let run = RunsDirectory::below(Path::new(".")).open(&run_id(1)).unwrap();
    let _lock = run.lock().unwrap();
    println!("locked");
    std::thread::sleep(std::time::Duration::from_secs(60));
}

#[test]
fn a_process_that_dies_lets_go_of_its_run() {
    let (state, run) = new_run(1);
    let mut child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", "journal::tests::hold_a_lock_until_killed"])
        .current_dir(state.path())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let stdout = BufReader::new(child.stdout.take().unwrap());
    assert!(stdout.lines().any(|line| line.unwrap().ends_with("locked")));
    assert!(run.is_driven());
    match run.lock() {
        Err(JournalError::Locked { pid, .. }) => assert_eq!(pid, Some(child.id())),
        other => panic!("{other:?}"),
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!run.is_driven());
    let _lock = run.lock().unwrap();
}

#[test]
fn a_newer_format_is_refused_and_says_so() {
    let (state, run) = new_run(1);
    let path = run.path().join("run.json");
    let text = fs::read_to_string(&path).unwrap().replace("\"format\": 1", "\"format\": 9, \"new\": {}");
    fs::write(&path, text.replace("\"title\"", "\"renamed\"")).unwrap();
    let error = run.record().unwrap_err();
    assert!(matches!(&error, JournalError::Newer { found: 9, .. }), "{error}");
    assert!(error.to_string().contains("journal format 9, this one knows 1"), "{error}");
    assert!(matches!(Replay::read(&run), Err(JournalError::Newer { .. })));
    // It is still there to be listed.
    assert_eq!(RunsDirectory::below(state.path()).list().unwrap(), [run_id(1)]);
}

#[test]
fn unknown_fields_and_records_of_the_same_format_are_passed_over() {
    let (_state, run) = new_run(2);
    let lines = [
        r#"{"type":"send","intent":1,"targets":[0],"lane":0,"attempt":1,"server_at":null,"new":true}"#,
        r#"{"type":"invented_later","intent":7}"#,
        r#"{"type":"sent","intent":1,"command_id":"c","region":"x"}"#,
        "",
    ];
    fs::write(run.journal(), lines.join("\n")).unwrap();
    let replay = Replay::read(&run).unwrap();
    assert_eq!(replay.sends[&1].state, SendState::Sent { command_id: "c".into() });
    assert_eq!(replay.next_intent, 2);
}

#[test]
fn damage_in_the_middle_is_reported_with_file_and_line() {
    for file in ["journal.jsonl", "events.jsonl", "targets.jsonl"] {
        let (_state, run) = new_run(3);
        EventLog::open(&run).unwrap().append(envelope(0, finished(0, Verdict::Ok))).unwrap();
        let path = run.path().join(file);
        let whole = fs::read_to_string(&path).unwrap_or_default();
        fs::write(&path, format!("{{\"type\":\n{whole}{{\"type\":\"x\"}}\n")).unwrap();
        match Replay::read(&run) {
            Err(JournalError::Damaged { path: of, line: 1, .. }) => assert_eq!(of, path),
            other => panic!("{file}: {other:?}"),
        }
    }
    let (_state, run) = new_run(1);
    fs::write(run.path().join("run.json"), "{").unwrap();
    assert!(matches!(run.record(), Err(JournalError::Damaged { .. })));
}

#[test]
fn bodies_whose_event_could_not_be_written_are_on_disk() {
    let (_state, run) = new_run(1);
    std::os::unix::fs::symlink("/dev/full", run.events()).unwrap();
    let mut log = EventLog::open(&run).unwrap();
    let (event, _) = log.append(envelope(0, finished(0, Verdict::Ok))).unwrap_err();
    let bodies = Bodies::open_read_only(&run.bodies()).unwrap();
    assert_eq!(bodies.read(event.stored.unwrap().stdout).unwrap(), Body::from("up 3 days\n"));
}

#[test]
fn a_run_has_its_journal_before_it_is_one() {
    let (state, run) = new_run(1);
    assert_eq!(fs::read(run.journal()).unwrap(), b"");
    // A directory in the place of `run.json` keeps the last step from happening.
    let path = state.path().join("runs").join(run_id(2).as_str());
    fs::create_dir_all(path.join("run.json")).unwrap();
    RunsDirectory::below(state.path()).create(&record(2, 1), &[target(0)]).unwrap_err();
    assert!(path.join("journal.jsonl").is_file());
}

#[test]
fn targets_that_were_lost_are_missed() {
    let (_state, run) = new_run(3);
    let path = run.path().join("targets.jsonl");
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() - 5]).unwrap();
    let error = run.targets().unwrap_err();
    let JournalError::Io { source, .. } = error else { panic!("{error}") };
    assert_eq!(source.to_string(), "it has 2 targets, the run has 3");
}

#[test]
fn runs_are_listed_newest_first_and_only_runs() {
    let state = tempfile::tempdir().unwrap();
    let runs = RunsDirectory::below(state.path());
    assert_eq!(runs.list().unwrap(), []);
    for n in [2, 5, 1, 4] {
        runs.create(&record(n, 1), &[target(0)]).unwrap();
    }
    fs::create_dir(state.path().join("runs").join("notes")).unwrap();
    // A run that was killed before it was one.
    fs::create_dir(state.path().join("runs").join(run_id(3).as_str())).unwrap();
    fs::write(state.path().join("runs").join("stray"), "").unwrap();
    assert_eq!(runs.list().unwrap(), [run_id(5), run_id(4), run_id(2), run_id(1)]);
    assert!(matches!(runs.open(&run_id(3)), Err(JournalError::NoSuchRun(_))));
    assert!(matches!(runs.open(&run_id(9)), Err(JournalError::NoSuchRun(_))));
    let opened = runs.open(&run_id(4)).unwrap();
    assert_eq!(opened.record().unwrap().run, run_id(4));
    assert_eq!(opened.targets().unwrap(), [target(0)]);
}

#[test]
fn a_state_directory_that_cannot_be_made_is_an_error() {
    let state = tempfile::tempdir().unwrap();
    let file = state.path().join("file");
    fs::write(&file, "").unwrap();
    let error = RunsDirectory::below(&file).create(&record(1, 1), &[target(0)]).unwrap_err();
    assert!(matches!(error, JournalError::Io { action: "create", .. }), "{error}");
}

#[tokio::test]
async fn intents_are_on_disk_and_replayed() {
    let (_state, run) = new_run(4);
    let journal = Journal::open(&run, 1).unwrap();
    for (targets, attempt) in [(vec![0, 1], 1), (vec![2], 1), (vec![2], 2), (vec![3], 1)] {
        drop(journal.intend_send(targets, 2, attempt, None).await.unwrap());
    }
    let permit = journal.intend_cancel("c-1".into()).await.unwrap();
    assert_eq!(permit.intent(), 5);
    journal.sent(1, "c-1".into()).await.unwrap();
    journal.not_sent(2, Reason::word("throttled")).await.unwrap();
    journal.lost(3).await.unwrap();
    let mut log = EventLog::open(&run).unwrap();
    log.append(envelope(0, Event::RunResumed { open: 4, to_cancel: false })).unwrap();
    log.append(envelope(1, finished(0, Verdict::Unknown))).unwrap();
    log.append(envelope(2, finished(0, Verdict::Ok))).unwrap();
    log.append(envelope(3, finished(3, Verdict::NotRun))).unwrap();

    let replay = Replay::read(&run).unwrap();
    let states: Vec<&SendState> = replay.sends.values().map(|s| &s.state).collect();
    let sent = SendState::Sent { command_id: "c-1".into() };
    assert_eq!(states, [&sent, &SendState::NotSent, &SendState::Lost, &SendState::InDoubt]);
    assert_eq!(replay.sends[&3].attempt, 2);
    assert_eq!(replay.verdicts, [Some(Verdict::Ok), None, None, Some(Verdict::NotRun)]);
    assert_eq!((replay.next_intent, replay.next_seq, replay.is_finished), (6, 4, false));
    assert_eq!(replay.open().collect::<Vec<_>>(), [1, 2, 3]);
}

#[tokio::test]
async fn a_full_disk_breaks_the_journal_for_good() {
    let (_state, run) = new_run(2);
    fs::remove_file(run.journal()).unwrap();
    std::os::unix::fs::symlink("/dev/full", run.journal()).unwrap();
    let journal = Journal::open(&run, 1).unwrap();
    let error = journal.intend_send(vec![0], 0, 1, None).await.unwrap_err();
    assert!(matches!(&error, JournalError::Io { action: "write", .. }), "{error}");
    // Even when there is room again: what came between is not on record.
    for _ in 0..2 {
        let error = journal.intend_send(vec![0], 0, 1, None).await.unwrap_err();
        assert!(matches!(&error, JournalError::Broken(_)), "{error}");
        assert!(matches!(journal.clone().intend_cancel("c".into()).await, Err(JournalError::Broken(_))));
    }
}

#[tokio::test]
async fn a_journal_marked_broken_intends_nothing_and_still_notes_what_happened() {
    let (_state, run) = new_run(2);
    let journal = Journal::open(&run, 1).unwrap();
    drop(journal.intend_send(vec![0], 0, 1, None).await.unwrap());
    journal.mark_broken("the event log could not be written");
    let error = journal.intend_send(vec![1], 0, 1, None).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the journal could not be written earlier: the event log could not be written"
    );
    journal.sent(1, "c".into()).await.unwrap();
    let replay = Replay::read(&run).unwrap();
    assert_eq!(replay.sends.len(), 1);
    assert_eq!(replay.sends[&1].state, SendState::Sent { command_id: "c".into() });
}

#[test]
fn events_refer_to_bodies_that_are_stored_once() {
    let (_state, run) = new_run(2);
    let mut log = EventLog::open(&run).unwrap();
    let first = log.append(envelope(0, finished(0, Verdict::Ok))).unwrap();
    let second = log.append(envelope(1, finished(1, Verdict::Ok))).unwrap();
    assert_eq!(first.stored, second.stored);
    let bodies = Bodies::open_read_only(&run.bodies()).unwrap();
    assert_eq!(bodies.read(first.stored.unwrap().stdout).unwrap(), Body::from("up 3 days\n"));
    let mut seen = Vec::new();
    run.for_each_event(|stored| seen.push((stored.envelope.seq, stored.stored))).unwrap();
    assert_eq!(seen, [(0, first.stored), (1, second.stored)]);
}

#[test]
fn an_event_that_could_not_be_written_does_not_spoil_the_next() {
    let (_state, run) = new_run(1);
    fs::remove_file(run.bodies()).unwrap_or_default();
    std::os::unix::fs::symlink("/dev/full", run.bodies()).unwrap();
    let mut log = EventLog::open(&run).unwrap();
    let (event, error) = log.append(envelope(0, finished(0, Verdict::Ok))).unwrap_err();
    assert!(matches!(error, JournalError::Io { .. }));
    let Event::TargetFinished(finished) = &event.envelope.event else { panic!("{event:?}") };
    // What nobody stored is still there to be shown.
    assert_eq!((&finished.stdout, event.stored), (&Body::from("up 3 days\n"), None));
    log.append(envelope(1, Event::RunContinued)).unwrap();
    let mut seen = Vec::new();
    run.for_each_event(|stored| seen.push(stored.envelope.seq)).unwrap();
    assert_eq!(seen, [1]);
}

#[tokio::test]
async fn a_last_line_that_readers_leave_out_is_gone_before_others_follow() {
    let (_state, run) = new_run(2);
    let mut log = EventLog::open(&run).unwrap();
    log.append(envelope(0, finished(0, Verdict::Ok))).unwrap();
    drop(Journal::open(&run, 1).unwrap().intend_send(vec![0], 0, 1, None).await.unwrap());
    for file in ["journal.jsonl", "events.jsonl"] {
        // JSON, and no record.
        let path = run.path().join(file);
        fs::write(&path, [&fs::read(&path).unwrap()[..], b"{\"type\":\"sent\"}\n"].concat()).unwrap();
    }
    let replay = Replay::read(&run).unwrap();
    assert_eq!((replay.next_intent, replay.next_seq), (2, 1));
    drop(Journal::open(&run, 2).unwrap().intend_send(vec![1], 0, 1, None).await.unwrap());
    EventLog::open(&run).unwrap().append(envelope(1, finished(1, Verdict::Ok))).unwrap();
    let replay = Replay::read(&run).unwrap();
    assert_eq!((replay.next_intent, replay.next_seq), (3, 2));
    assert_eq!(replay.verdicts, [Some(Verdict::Ok), Some(Verdict::Ok)]);
}

#[test]
fn lines_that_there_are_not_belong_to_no_send() {
    let (_state, run) = new_run(2);
    let send =
        r#"{"type":"send","intent":1,"targets":[1,2,4294967295],"lane":0,"attempt":1,"server_at":null}"#;
    fs::write(run.journal(), format!("{send}\n")).unwrap();
    assert_eq!(Replay::read(&run).unwrap().sends[&1].targets, [1]);
}

#[test]
fn numbers_that_nothing_counts_to_are_damage() {
    let (_state, run) = new_run(1);
    let intents = [r#"{"type":"lost","intent":18446744073709551615}"#, r#"{"type":"lost","intent":1}"#, ""];
    fs::write(run.journal(), intents.join("\n")).unwrap();
    assert!(matches!(Replay::read(&run), Err(JournalError::Damaged { line: 1, .. })));
    fs::write(run.journal(), "").unwrap();
    let event = serde_json::to_string(&envelope(u64::MAX, Event::RunContinued)).unwrap();
    fs::write(run.events(), format!("{event}\n{event}\n")).unwrap();
    assert!(matches!(Replay::read(&run), Err(JournalError::Damaged { line: 1, .. })));
}

#[test]
fn a_record_of_another_run_or_with_waves_that_go_back_is_damage() {
    for (record, why) in [
        (RunRecord { run: run_id(2), ..record(1, 2) }, format!("it is the record of run {}", run_id(2))),
        (RunRecord { waves: vec![2, 1, 2], ..record(1, 2) }, "its waves go back".to_owned()),
    ] {
        let (_state, run) = new_run(2);
        fs::write(run.path().join("run.json"), serde_json::to_vec(&record).unwrap()).unwrap();
        let Err(JournalError::Damaged { source, .. }) = run.record() else { panic!("{why}") };
        assert_eq!(source.to_string(), why);
    }
}
