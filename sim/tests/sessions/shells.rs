//! Shells and interactive commands.

use crate::client::{Client, call, node, start, windows_node};
use herder_session::end::ClientOptions;
use serde_json::json;
use std::time::Duration;

fn shell() -> (&'static str, serde_json::Value) {
    ("", json!({}))
}

#[tokio::test]
async fn a_shell_shows_what_is_typed_and_what_it_prints() {
    let server = start("5,windows=0").await;
    let mut client = Client::start(&server, &node(&server), shell()).await;
    client.until("a prompt", |client| client.text().ends_with("$ ")).await;
    client.types_and_sees("echo hello; id -un; pwd\r", "hello\r\nssm-user\r\n/usr/bin\r\n").await;
    client.types_and_sees("X=keeps; false\r", "$ ").await;
    client.types_and_sees("echo $X $?\r", "keeps 1\r\n").await;
    client.types_and_sees("echo one > /tmp/f; cat /tmp/f | wc -c\r", "\r\n4\r\n").await;
    client.types("exit 3\r");
    assert_eq!(client.over().await, "");
    let record = client.record();
    assert_eq!(
        (record.status.as_str(), record.exit_code, record.kind.as_str()),
        ("Terminated", Some(3), "Standard_Stream")
    );
    assert_eq!(record.ran.first().unwrap(), "echo hello; id -un; pwd");
    assert!(record.input_bytes > 60 && record.output_bytes as usize == client.out.len());
    assert_eq!(client.started.as_ref().unwrap().agent_version, None);
}

#[tokio::test]
async fn keys_and_sizes_get_through() {
    let server = start("5,windows=0").await;
    let mut client = Client::start(&server, &node(&server), shell()).await;
    client.resize(120, 33);
    client.types_and_sees("stty size; echo $COLUMNS $LINES\r", "33 120\r\n120 33\r\n").await;
    client.resize(81, 25);
    client.types_and_sees("stty size\r", "25 81\r\n").await;
    client.types("sleep 100\r");
    client.stay(Duration::from_millis(200)).await;
    client.types_and_sees("\x03", "^C\r\n").await;
    client.types_and_sees("echo code $?\r", "code 130\r\n").await;
    client.types("sleep 100\r");
    client.stay(Duration::from_millis(200)).await;
    client.types_and_sees("\x1c", "Quit (core dumped)\r\n").await;
    client.types_and_sees("echo code $?\r", "code 131\r\n").await;
    client.types("sleep 100\r");
    client.stay(Duration::from_millis(200)).await;
    client.types_and_sees("\x1a", "Stopped").await;
    client.types_and_sees("jobs\r", "[1] + Stopped").await;
    client.types("fg\r");
    client.stay(Duration::from_millis(200)).await;
    client.types_and_sees("\x03", "$ ").await;
    client.types_and_sees("cat\rtyped\r\x04", "typed\r\ntyped\r\n").await;
    client.types_and_sees("while :; do :; done\r", "done\r\n").await;
    client.stay(Duration::from_millis(100)).await;
    client.types_and_sees("\x03", "$ ").await;
    client.types_and_sees("for i in 1 2\rdo echo n$i\rdone\r", "n1\r\nn2\r\n").await;
    client.types_and_sees("sh -c 'sleep 0.2; echo later' & echo now\r", "now\r\n").await;
    client.until("the background job", |client| client.text().contains("later\r\n")).await;
    client.types_and_sees("sudo -i\r", "# ").await;
    client.types_and_sees("id -u; exit\r", "0\r\n").await;
    client.types("\x04");
    client.over().await;
}

#[tokio::test]
async fn a_raw_terminal_takes_every_byte() {
    let server = start("5,windows=0").await;
    let mut client = Client::start(&server, &node(&server), shell()).await;
    let bytes: Vec<u8> = (0..300_000_u32).map(|number| (number * 7 + number / 256) as u8).collect();
    let line = format!("stty raw -echo; head -c {} > /tmp/in; stty sane; sha256sum < /tmp/in\r", bytes.len());
    client.types(&line);
    client.until("the echo of the line", |client| client.text().contains("sha256sum < /tmp/in\r\n")).await;
    client.stay(Duration::from_millis(100)).await;
    client.sends(bytes.clone());
    let digest = ring_hex(&bytes);
    client.until("the digest", |client| client.text().contains(&digest)).await;
    client.types_and_sees("stty -a | grep -c ' icanon'\r", "\r\n1\r\n").await;
    client
        .types_and_sees(
            "base64 -w 0 /tmp/in | wc -c; rm /tmp/in; ls /tmp/in\r",
            "400000\r\nls: cannot access",
        )
        .await;
}

fn ring_hex(bytes: &[u8]) -> String {
    ring::digest::digest(&ring::digest::SHA256, bytes)
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[tokio::test]
async fn interactive_commands_have_a_terminal_and_end() {
    let server = start("5,windows=0").await;
    let target = node(&server);
    let command = |text: &str| ("AWS-StartInteractiveCommand", json!({"command": [text]}));
    let mut client = Client::start(&server, &target, command("tty && printf 'a\\nb\\n'; exit 4")).await;
    assert_eq!(client.over().await, "");
    assert_eq!((client.text().as_str(), client.code), ("/dev/pts/0\r\na\r\nb\r\n", None));
    assert_eq!(client.record().exit_code, Some(4));
    // It says nothing before it is told something: only silence tells that it has begun.
    let quiet = |options: &mut ClientOptions| options.quiet_start_after = Some(Duration::from_millis(300));
    let mut reads = Client::start_with(&server, &target, command("read x; echo got $x"), quiet).await;
    reads.types("word\r");
    reads.until("its end", |client| client.closed.is_some()).await;
    assert_eq!(reads.text(), "word\r\ngot word\r\n");
}

#[tokio::test]
async fn files_of_a_node_stay_for_the_next_session() {
    let server = start("5,windows=0").await;
    let target = node(&server);
    let mut first = Client::start(&server, &target, shell()).await;
    first.types_and_sees("echo kept > ~/note; cat ~/note\r", "\r\nkept\r\n").await;
    let mut second = Client::start(&server, &target, shell()).await;
    second
        .types_and_sees(
            "cat /home/ssm-user/note; cat /etc/shadow; echo x > /etc/x\r",
            "kept\r\ncat: /etc/shadow: Permission denied",
        )
        .await;
    second
        .until("a refusal", |client| client.text().contains("cannot create /etc/x: Permission denied"))
        .await;
    let other = server
        .control()
        .nodes()
        .into_iter()
        .find(|one| one.platform == "Linux" && one.id != target)
        .unwrap()
        .id;
    let mut third = Client::start(&server, &other, shell()).await;
    third.types_and_sees("cat /home/ssm-user/note\r", "No such file or directory").await;
}

#[tokio::test]
async fn preferences_encrypt_and_type_first() {
    let server =
        start("5,windows=0,session_kms=alias/sessions,session_profile=export HI=there,session_user=ops")
            .await;
    let target = node(&server);
    let mut client = Client::start(&server, &target, shell()).await;
    client.types("echo $HI-$(id -un)\r");
    client.until("the answer", |client| client.text().contains("there-ops\r\n")).await;
    let started = client.started.clone().unwrap();
    assert!(started.is_encrypted && started.customer_message == "This session is encrypted using AWS KMS.");
    assert!(client.record().encrypted);
    client.types("exit\r");
    client.over().await;
    let mut port = Client::start(&server, &target, ("AWS-StartSSHSession", json!({}))).await;
    port.until("the banner", |client| client.text().starts_with("SSH-2.0-")).await;
    assert!(!port.started.clone().unwrap().is_encrypted);
    let mut denied = Client::start(&server, &target, shell()).await;
    denied.kms = false;
    denied.until("its end", |client| client.closed.is_some()).await;
    assert!(
        denied.closed.clone().unwrap().contains("KMSEncryption failed on client with status 2"),
        "{:?}",
        denied.closed
    );
}

#[tokio::test]
async fn keys_that_cannot_be_used_end_a_session() {
    let server = start("5,windows=0,session_kms=alias/sessions,session_agent_kms_denied").await;
    let mut client = Client::start(&server, &node(&server), shell()).await;
    client.until("its end", |client| client.closed.is_some()).await;
    assert!(
        client.closed.clone().unwrap().contains("is not authorized to perform: kms:Decrypt"),
        "{:?}",
        client.closed
    );
    let server = start("nodes=20,windows=0,session_kms=alias/sessions,session_challenge").await;
    let node = server.control().nodes().into_iter().find(|node| {
        let shown = server.control().sessions();
        shown.is_empty() && node.managed
    });
    let target = node.unwrap().id;
    let mut without = Client::start(&server, &target, shell()).await;
    without.challenge = false;
    without.until("its end or its start", |client| client.closed.is_some() || client.started.is_some()).await;
    let (status, answer) =
        call(&server, "TrentService.GenerateDataKey", &json!({"KeyId": "alias/none", "NumberOfBytes": 64}))
            .await;
    assert_eq!((status, answer["__type"].as_str()), (400, Some("NotFoundException")));
    assert!(answer["message"].as_str().unwrap().contains("alias/none"));
}

#[tokio::test]
async fn a_paced_shell_waits_and_is_slow() {
    let server = start("5,windows=0,session_paced").await;
    let begun = tokio::time::Instant::now();
    let mut client = Client::start(&server, &node(&server), shell()).await;
    client.until("a prompt", |client| client.text().ends_with("$ ")).await;
    assert!(begun.elapsed() >= Duration::from_millis(900), "{:?}", begun.elapsed());
    client.types("head -c 300000 /dev/zero | tr '\\0' x; echo; echo end\r");
    let begun = tokio::time::Instant::now();
    client.until("the end", |client| client.text().contains("\r\nend\r\n")).await;
    let took = begun.elapsed();
    assert!(took >= Duration::from_millis(290), "{took:?}");
}

#[tokio::test]
async fn windows_has_a_shell_too() {
    let server = start("nodes=5,windows=100%").await;
    let target = windows_node(&server);
    let mut client = Client::start(&server, &target, shell()).await;
    client.until("a prompt", |client| client.text().ends_with("PS C:\\Windows\\system32> ")).await;
    client.types_and_sees("$x = 'kept'\r", "> ").await;
    client.types_and_sees("Write-Output $x\r", "\r\nkept\r\n").await;
    client.types("exit\r");
    assert_eq!(client.over().await, "");
    let command = json!({"command": ["powershell -Command \"Write-Output hi; exit 6\""], "separateOutputStream": ["true"]});
    let mut exec = Client::start(&server, &target, ("AWS-StartNonInteractiveCommand", command)).await;
    exec.over().await;
    assert_eq!((exec.text().as_str(), exec.code), ("hi\r\n", Some(6)));
}
