//! Commands without a terminal.

use crate::client::{Client, node, start};
use herder_sim::{ServeOptions, Spec, serve};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

fn apart(command: &str) -> (&'static str, Value) {
    ("AWS-StartNonInteractiveCommand", json!({"command": [command], "separateOutputStream": ["true"]}))
}

fn together(command: &str) -> (&'static str, Value) {
    ("AWS-StartNonInteractiveCommand", json!({"command": [command]}))
}

#[tokio::test]
async fn streams_and_codes_are_the_commands_own() {
    let server = start("5,windows=0").await;
    let target = node(&server);
    for (command, out, err, code) in [
        ("sh -c 'echo out; echo err >&2; exit 7'", "out\n", "err\n", 7),
        ("true", "", "", 0),
        ("cat /etc/shadow", "", "cat: /etc/shadow: Permission denied\n", 1),
        ("sh -c 'kill -9 $$; exit 137'", "", "", 137),
        ("echo $HOME '*' \"a  b\"", "$HOME * a  b\n", "", 0),
        ("sh -c 'cat; echo ended'", "ended\n", "", 0),
        ("printf '%s' \"\u{4e16}\u{754c}\"", "\u{4e16}\u{754c}", "", 0),
        (
            "nosuchprogram x",
            "",
            "Error occurred starting the command: exec: \"nosuchprogram\": executable file not found in $PATH\n",
            1,
        ),
    ] {
        let mut client = Client::start(&server, &target, apart(command)).await;
        assert_eq!(client.over().await, "", "{command}");
        let err_seen = String::from_utf8_lossy(&client.err).into_owned();
        assert_eq!(
            (client.text().as_str(), err_seen.as_str(), client.code),
            (out, err, Some(code)),
            "{command}"
        );
        assert_eq!(client.record().ran, [command]);
    }
    let started = Client::start(&server, &target, apart("true")).await.record();
    assert_eq!(started.document, "AWS-StartNonInteractiveCommand");
}

#[tokio::test]
async fn output_comes_while_a_command_runs_or_when_it_has_ended() {
    let server = start("5,windows=0").await;
    let target = node(&server);
    let script = "sh -c 'echo first; sleep 1; echo second >&2; exit 5'";
    let mut live = Client::start(&server, &target, apart(script)).await;
    live.until("the first line", |client| client.text() == "first\n").await;
    assert!(live.err.is_empty() && live.code.is_none());
    live.over().await;
    assert_eq!((live.err.as_slice(), live.code), (b"second\n".as_slice(), Some(5)));
    let mut late = Client::start(&server, &target, together(script)).await;
    late.until("the handshake", |client| client.started.is_some()).await;
    late.stay(Duration::from_millis(300)).await;
    assert_eq!(late.text(), "");
    late.over().await;
    assert_eq!((late.text().as_str(), late.code), ("first\nsecond\n", None));
}

#[tokio::test]
async fn keys_end_a_command() {
    let server = start("5,windows=0").await;
    let mut client = Client::start(&server, &node(&server), apart("sleep 100")).await;
    client.until("the handshake", |client| client.started.is_some()).await;
    client.types("typed in vain\n");
    client.stay(Duration::from_millis(200)).await;
    assert!(client.closed.is_none());
    client.types("\x03");
    client.over().await;
    assert_eq!(client.code, Some(-1));
}

#[tokio::test]
async fn much_output_takes_little_memory_and_arrives() {
    let server = start("5,windows=0,session_chunk=32KB").await;
    let target = node(&server);
    let mut client =
        Client::start(&server, &target, apart("sh -c 'seq 1 1000000 | sha256sum; seq 1 1000000'")).await;
    client.over().await;
    let text = client.text();
    let (digest, numbers) = text.split_once("  -\n").unwrap();
    let expected: String = (1..=1_000_000).map(|number| format!("{number}\n")).collect();
    assert!(numbers == expected);
    let real = ring::digest::digest(&ring::digest::SHA256, expected.as_bytes());
    assert_eq!(digest, real.as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    assert_eq!(client.code, Some(0));
}

#[tokio::test]
async fn prefixes_go_before_lines() {
    let server = start("5,windows=0").await;
    let parameters = json!({"command": ["sh -c 'echo a; sleep 0.2; echo b; echo c >&2'"], "separateOutputStream": ["true"],
        "stdOutSeparatorPrefix": ["OUT:"], "stdErrSeparatorPrefix": ["ERR:"]});
    let mut client =
        Client::start(&server, &node(&server), ("AWS-StartNonInteractiveCommand", parameters)).await;
    client.over().await;
    assert_eq!((client.text().as_str(), client.err.as_slice()), ("OUT:a\nOUT:b\n", b"ERR:c\n".as_slice()));
}

#[tokio::test]
async fn what_is_no_text_is_treated_as_the_agent_treats_it() {
    let server = start("5,windows=0").await;
    let mut client = Client::start(&server, &node(&server), apart("printf 'abc\\303'")).await;
    client.over().await;
    assert_eq!((client.out.as_slice(), client.code), (b"abc".as_slice(), Some(0)));
}

#[tokio::test]
async fn bad_documents_and_full_disks_are_told() {
    let server = start("nodes=5,windows=0,broken=1").await;
    let mut empty = Client::start(&server, &node(&server), apart(" ")).await;
    assert!(empty.over().await.contains("Commands cannot be empty for session type NonInteractiveCommands"));
    let broken = server.control().nodes().into_iter().filter(|one| one.platform == "Linux").map(|one| one.id);
    let mut full = 0;
    for target in broken {
        let mut client = Client::start(&server, &target, apart("sh -c 'echo x > /tmp/x'")).await;
        client.over().await;
        full += usize::from(String::from_utf8_lossy(&client.err).contains("No space left on device"));
    }
    assert_eq!(full, 1);
}

#[tokio::test]
async fn scenarios_say_what_commands_answer_and_which_files_there_are() {
    let text = r#"
        spec = { nodes = 5, windows = 0 }
        [[answer]]
        command = "*deploy*"
        document = "AWS-Start*"
        stdout = "{id}\n"
        stderr = "gone\n"
        exit = 3
        [[answer]]
        command = "plenty"
        bytes = 1000000
        [[answer]]
        command = "deadly"
        dies = true
        [[file]]
        path = "/srv/my app/app.conf"
        text = "listen 8080\n"
        owner = "deploy"
        mode = "640"
        [[file]]
        nodes = "i-00000000000000000"
        path = "/srv/nowhere"
    "#;
    let spec = Spec::scenario(text, Path::new("test")).unwrap();
    let server = serve(spec, ServeOptions::default()).await.unwrap();
    let target = node(&server);
    let mut client = Client::start(&server, &target, apart("deploy --now")).await;
    client.over().await;
    assert_eq!(
        (client.text(), client.err.clone(), client.code),
        (format!("{target}\n"), b"gone\n".to_vec(), Some(3))
    );
    let interactive = |command: &str| ("AWS-StartInteractiveCommand", json!({"command": [command]}));
    let mut client = Client::start(&server, &target, interactive("deploy --now")).await;
    client.over().await;
    assert_eq!(client.text(), format!("gone\r\n{target}\r\n"));
    let mut client = Client::start(&server, &target, apart("plenty")).await;
    client.over().await;
    assert_eq!((client.out.len(), client.code), (1_000_000, Some(0)));
    let files = "sh -c \"cd '/srv/my app' && stat -c '%U %a %s' app.conf && ls /srv\"";
    let mut client = Client::start(&server, &target, apart(files)).await;
    client.over().await;
    assert_eq!((client.text().as_str(), client.code), ("deploy 640 12\nmy app\n", Some(0)));
    let mut client = Client::start(&server, &target, apart("deadly")).await;
    client.until("the handshake", |client| client.started.is_some()).await;
    client.stay(Duration::from_millis(500)).await;
    assert!(client.closed.is_none() && client.code.is_none());
}
