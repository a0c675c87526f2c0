//! What happens to frames on their way, and to agents.

use crate::client::{Client, node, ssm, start};
use herder_session::end::ClientError;
use herder_sim::{FrameFaults, LaneFaults, SessionAct};
use serde_json::{Value, json};
use std::time::Duration;

fn apart(command: &str) -> (&'static str, Value) {
    ("AWS-StartNonInteractiveCommand", json!({"command": [command], "separateOutputStream": ["true"]}))
}

/// A command's output comes through whole, whatever happens to one frame in so many.
async fn survives(spec: &str) {
    let server = start(&format!("5,windows=0,{spec}")).await;
    let mut client = Client::start(&server, &node(&server), apart("sh -c 'seq 1 20000; exit 3'")).await;
    client.over().await;
    let expected: String = (1..=20_000).map(|number| format!("{number}\n")).collect();
    assert!(client.text() == expected, "{spec}: {} bytes of {}", client.out.len(), expected.len());
    assert_eq!(client.code, Some(3), "{spec}");
    let record = client.record();
    let fault = spec.split('=').next().unwrap().trim_start_matches("frame_");
    assert!(record.faults.keys().any(|name| name.ends_with(fault)), "{spec}: {:?}", record.faults);
}

#[tokio::test]
async fn streams_are_exact_whatever_happens_to_frames() {
    for spec in ["frame_drop=5%", "frame_duplicate=20%", "frame_reorder=20%", "frame_delay=10%@20ms"] {
        survives(spec).await;
    }
}

#[tokio::test]
async fn damaged_frames_are_sent_again() {
    survives("frame_truncate=down:5%").await;
}

/// No digest covers a message's header. What can't be mended is not passed for whole.
#[tokio::test]
async fn damage_is_never_silent() {
    let expected: String = (1..=20_000).map(|number| format!("{number}\n")).collect();
    let (mut whole, mut failed) = (0, 0);
    for seed in 1..=16 {
        // Small messages, so that many of the bytes are headers.
        let spec = format!("5,windows=0,session_chunk=64,frame_corrupt=down:5%,frame_seed={seed}");
        let server = start(&spec).await;
        let mut client = Client::start(&server, &node(&server), apart("sh -c 'seq 1 20000; exit 3'")).await;
        while client.closed.is_none() && client.failed.is_none() {
            client.step().await;
        }
        let is_prefix = expected.starts_with(&client.text());
        match (&client.failed, client.code) {
            (Some(error), _) => {
                assert!(matches!(error, ClientError::NumberReused(_)), "{seed}: {error}");
                failed += 1;
            }
            // An agent waits for two seconds for what is not acknowledged: then the exit code is missing too.
            (None, None) => assert!(is_prefix, "{seed}: damaged"),
            (None, code) => {
                let missing = expected.len() - client.out.len();
                assert!(is_prefix && missing == 0 && code == Some(3), "{seed}: {missing} {code:?}");
                whole += 1;
            }
        }
    }
    assert!(whole > 0 && failed > 0, "{whole} {failed}");
}

#[tokio::test]
async fn input_arrives_whatever_happens_to_frames() {
    let server = start("5,windows=0,frame_drop=5%,frame_reorder=10%,frame_seed=4").await;
    let mut client = Client::start(&server, &node(&server), ("", json!({}))).await;
    let bytes: Vec<u8> = (0..60_000_u32).map(|number| (number * 7) as u8).collect();
    let line = format!("stty raw -echo; head -c {} > /tmp/in; stty sane; sha256sum < /tmp/in\r", bytes.len());
    client.types_and_sees(&line, "sha256sum < /tmp/in\r\n").await;
    client.stay(Duration::from_millis(300)).await;
    client.sends(bytes.clone());
    let digest: String = ring::digest::digest(&ring::digest::SHA256, &bytes)
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    client.until("the digest", |client| client.text().contains(&digest)).await;
    let faults = client.record().faults;
    assert!(
        faults.keys().any(|name| name.starts_with("up "))
            && faults.keys().any(|name| name.starts_with("down ")),
        "{faults:?}"
    );
}

#[tokio::test]
async fn faults_begin_and_end_when_they_are_told() {
    let server = start("5,windows=0").await;
    let mut client = Client::start(&server, &node(&server), ("", json!({}))).await;
    client.types_and_sees("echo well\r", "\r\nwell\r\n").await;
    let all = LaneFaults { drop: 1.0, ..LaneFaults::default() };
    server.control().frame_faults(FrameFaults { up: all.clone(), down: all, seed: 0 });
    let before = client.out.len();
    client.types("echo lost\r");
    client.stay(Duration::from_millis(400)).await;
    assert_eq!(client.out.len(), before);
    server.control().frame_faults(FrameFaults::default());
    client.until("what was lost", |client| client.text().contains("\r\nlost\r\n")).await;
}

#[tokio::test]
async fn a_dead_agent_says_nothing_more() {
    let server = start("5,windows=0").await;
    let mut client = Client::start_with(&server, &node(&server), ("", json!({})), |options| {
        options.channel.give_up_after = Some(Duration::from_millis(800));
    })
    .await;
    client.until("a prompt", |client| client.text().ends_with("$ ")).await;
    let connection = async || {
        ssm(&server, "GetConnectionStatus", json!({"Target": node(&server)})).await["Status"].clone()
    };
    assert_eq!(connection().await, "connected");
    server.control().act(&client.opened.id, SessionAct::KillAgent);
    client.stay(Duration::from_millis(50)).await;
    assert_eq!(connection().await, "notconnected");
    client.types("echo anybody\r");
    while client.failed.is_none() {
        client.step().await;
    }
    assert!(matches!(client.failed, Some(ClientError::Silent(_))), "{:?}", client.failed);
    let _next = Client::start(&server, &node(&server), ("", json!({}))).await;
    assert_eq!(connection().await, "connected", "it is back");
    let early = start("5,windows=0,session_agent_dies=300ms").await;
    let mut client = Client::start(&early, &node(&early), ("", json!({}))).await;
    client.until("a prompt", |client| client.text().ends_with("$ ")).await;
    client.stay(Duration::from_millis(600)).await;
    let before = client.out.len();
    client.types("echo anybody\r");
    client.stay(Duration::from_millis(400)).await;
    assert_eq!(client.out.len(), before);
}

#[tokio::test]
async fn an_agent_that_acknowledges_nothing_is_noticed() {
    let server = start("5,windows=0,session_never_acks").await;
    let mut client = Client::start_with(&server, &node(&server), ("", json!({})), |options| {
        options.channel.give_up_after = Some(Duration::from_millis(900));
    })
    .await;
    client.types("echo heard\r");
    client.until("the answer", |client| client.text().contains("\r\nheard\r\n")).await;
    while client.failed.is_none() {
        client.step().await;
    }
    assert!(client.end.stats().resent_messages > 1);
}

#[tokio::test]
async fn agents_can_be_particular_about_acknowledgements() {
    for acks in ["unflagged", "flagged", "windows-unflagged"] {
        let server = start(&format!("5,windows=0,session_acks={acks}")).await;
        let mut client = Client::start(&server, &node(&server), apart("sh -c 'seq 1 3000; exit 1'")).await;
        client.over().await;
        assert_eq!((client.out.len(), client.code), (13_893, Some(1)), "{acks}");
    }
}

#[tokio::test]
async fn output_waits_for_a_client_that_is_away_or_stops() {
    let script = "sh -c 'seq 1 200; sleep 0.6; seq 201 400; exit 2'";
    for (spec, lines) in [("session_paused=waits", 400), ("session_paused=stops", 200)] {
        let server = start(&format!("5,windows=0,{spec}")).await;
        let mut client = Client::start(&server, &node(&server), apart(script)).await;
        client.until("the first part", |client| client.text().ends_with("200\n")).await;
        let id = client.opened.id.clone();
        server.control().act(&id, SessionAct::Cut { ms: 400 });
        client.over().await;
        assert_eq!((client.text().lines().count(), client.code), (lines, Some(2)), "{spec}");
    }
}
