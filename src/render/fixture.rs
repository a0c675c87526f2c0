//! One run in which every event occurs, for the renderers' tests.

use herder_core::event::{
    Body, Channel, Envelope, Event, OutputPiece, RunFinished, RunGuards, RunStarted, SCHEMA_VERSION, Stopped,
    Stream, Streams, TargetFinished,
};
use herder_core::journal::{Bodies, StoredOutput};
use herder_core::target::{Platform, Target};
use herder_core::verdict::{Reason, Tally, Verdict};
use herder_core::via::Via;
use jiff::Timestamp;

/// The run's events with their stored bodies.
pub(super) struct Fixture {
    pub(super) events: Vec<(Envelope, Option<StoredOutput>)>,
    pub(super) bodies: Bodies,
    _directory: tempfile::TempDir,
}

pub(super) fn start() -> Timestamp {
    "2026-11-21T09:30:00Z".parse().unwrap()
}

impl Fixture {
    pub(super) fn new(events: Vec<Event>) -> Fixture {
        let directory = tempfile::tempdir().unwrap();
        let mut bodies = Bodies::open(&directory.path().join("bodies")).unwrap();
        let mut stamped = Vec::new();
        for (seq, event) in (0..).zip(events) {
            let stored = match &event {
                Event::TargetFinished(finished) => Some(StoredOutput {
                    stdout: bodies.put(&finished.stdout).unwrap(),
                    stderr: bodies.put(&finished.stderr).unwrap(),
                }),
                _ => None,
            };
            let at = start() + jiff::SignedDuration::from_millis(i64::try_from(seq).unwrap() * 250);
            let run = "20261121-093000-1f2e3d".parse().unwrap();
            stamped.push((Envelope { v: SCHEMA_VERSION, seq, at, run, event }, stored));
        }
        Fixture { events: stamped, bodies, _directory: directory }
    }
}

pub(super) fn started(targets: u64, regions: &[&str]) -> Event {
    Event::RunStarted(RunStarted {
        command: "exec".into(),
        title: "cat /etc/motd".into(),
        sim: true,
        targets,
        waves: 2,
        accounts: vec!["111122223333".into()],
        regions: regions.iter().map(|r| (*r).to_owned()).collect(),
        herder: "0.1.0".into(),
        reason: None,
        via: Via::Client,
        guards: RunGuards::default(),
        left_out: Vec::new(),
    })
}

pub(super) fn target(
    n: u32,
    verdict: Verdict,
    stdout: impl Into<Body>,
    stderr: impl Into<Body>,
) -> TargetFinished {
    let exit_code = match verdict {
        Verdict::Ok => Some(0),
        Verdict::Failed => Some(7),
        _ => None,
    };
    TargetFinished {
        target: Target {
            id: format!("i-{n:017x}"),
            name: Some(format!("web-{n}")),
            account: "111122223333".into(),
            region: "eu-west-1".into(),
            az: Some("eu-west-1a".into()),
            platform: Some(Platform::Linux),
        },
        verdict,
        reason: match verdict {
            Verdict::Failed => Some(Reason::exit(7)),
            Verdict::Undelivered => Some(Reason::OFFLINE),
            Verdict::NotRun => Some(Reason::BUDGET),
            _ => None,
        },
        exit_code,
        stdout: stdout.into(),
        stderr: stderr.into(),
        streams: Streams::Exact,
        truncated: false,
        channel: Channel::Inline,
        started: Some(start()),
        finished: Some(start()),
        duration_ms: exit_code.map(|_| if n == 4 { 42_000 } else { 800 + u64::from(n) }),
        command_id: exit_code.map(|_| "11111111-2222-3333-4444-555555555555".into()),
        wave: 1,
        attempt: u32::from(exit_code.is_some()),
    }
}

fn finished(n: u32, verdict: Verdict, stdout: impl Into<Body>, stderr: impl Into<Body>) -> Event {
    Event::TargetFinished(Box::new(target(n, verdict, stdout, stderr)))
}

/// Every variant, six nodes: three alike, one that differs, one that failed, one offline, one never sent.
pub(super) fn every_event() -> Fixture {
    let motd = "Welcome\nto the\nfleet\n";
    let evil = "\u{1b}]0;owned\u{7}\u{1b}[2Jgone\r\n\u{202e}txt\tend\n";
    let mut tally = Tally::default();
    [
        Verdict::Ok,
        Verdict::Ok,
        Verdict::Ok,
        Verdict::Ok,
        Verdict::Failed,
        Verdict::Undelivered,
        Verdict::NotRun,
    ]
    .into_iter()
    .for_each(|v| tally.add(v));
    let sent = |n: u32| Event::TargetSent {
        target: format!("i-{n:017x}"),
        wave: 1,
        attempt: 1,
        command_id: "c".into(),
    };
    let mut events = vec![
        started(7, &["eu-west-1"]),
        Event::RunResumed { open: 7, to_cancel: false },
        Event::WaveStarted { wave: 1, targets: 5 },
    ];
    events.extend((1..=5).map(sent));
    events.extend([
        Event::Output(OutputPiece {
            target: target(1, Verdict::Ok, "", "").target,
            stream: Stream::Stdout,
            text: "Welcome\n".into(),
        }),
        finished(1, Verdict::Ok, motd, ""),
        finished(2, Verdict::Ok, motd, ""),
        Event::Throttled {
            api: "SendCommand".into(),
            account: "111122223333".into(),
            region: "eu-west-1".into(),
            rate: 2.5,
        },
        finished(10, Verdict::Ok, motd, ""),
        finished(4, Verdict::Ok, "Welcome\nto another\nfleet\n", "note: \u{9b}31m漢字\n"),
        finished(5, Verdict::Failed, evil, vec![b'n', b'o', b' ', 0xff, b'\n']),
        finished(6, Verdict::Undelivered, "", ""),
        Event::Warning {
            message: "the rate was not remembered".into(),
            hints: vec!["Make the cache directory writable.".into()],
        },
        Event::RunPaused { reason: "credentials expired".into(), hint: "Run `aws sso login`.".into() },
        Event::RunContinued,
        Event::WaveFinished { wave: 1, tally: tally.clone() },
        Event::GatePassed { gate: "./check".into(), wave: 1, note: None },
        Event::GatePassed { gate: "alarm:a\u{7}".into(), wave: 1, note: Some("no data".into()) },
        Event::GateFailed {
            gate: "./check\u{7}".into(),
            wave: 1,
            reason: "it ended with 1".into(),
            mid_wave: false,
        },
        Event::GateFailed { gate: "alarm:b".into(), wave: 1, reason: "ALARM".into(), mid_wave: true },
        Event::RunStopping { reason: Reason::GATE, in_flight: 0, not_sent: 1, cancels: false },
        Event::RunCancelling { in_flight: 1 },
        finished(7, Verdict::NotRun, "", ""),
        Event::RunFinished(RunFinished {
            tally,
            exit: 6,
            calls: 12,
            throttles: 1,
            p50_ms: Some(804),
            p95_ms: Some(42_000),
            took_ms: 65_000,
            stopped: Some(Stopped {
                reason: Reason::GATE,
                gate: Some("alarm:b\u{7}".into()),
                detail: Some("ALARM".into()),
            }),
            error: None,
        }),
        Event::Unknown,
    ]);
    Fixture::new(events)
}
