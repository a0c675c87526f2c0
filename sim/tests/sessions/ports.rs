//! Port sessions: multiplexed, one connection at a time, and raw.

use crate::client::{Client, link, node, record, start, until};
use bytes::Bytes;
use herder_session::mux::{MuxHandle, MuxOptions, Role, StreamError, connect};
use herder_session::payload::SessionFlag;
use herder_sim::{ServeOptions, Server, SessionRecord, Spec, serve};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

fn forward(port: u16) -> (&'static str, Value) {
    ("AWS-StartPortForwardingSession", json!({"portNumber": [port.to_string()]}))
}

fn remote(host: &str, port: u16) -> (&'static str, Value) {
    ("AWS-StartPortForwardingSessionToRemoteHost", json!({"portNumber": [port.to_string()], "host": [host]}))
}

/// Opens a session and does something with its streams.
async fn with_streams<T>(
    server: &Server,
    document: (&str, Value),
    act: impl AsyncFnOnce(MuxHandle) -> T,
) -> (T, SessionRecord) {
    let mut client = Client::start(server, &node(server), document).await;
    client.until("the handshake", |client| client.started.is_some()).await;
    let id = client.opened.id.clone();
    let (source, sink, carrier) = link();
    let (handle, driver) = connect(Role::Client, MuxOptions::new(Role::Client), source, sink);
    let acted = tokio::select! {
        acted = act(handle) => acted,
        () = carrier.carry(&mut client) => panic!("the session ended: {:?} {:?}", client.closed, client.failed),
        ended = driver.run() => panic!("the link ended: {ended}"),
    };
    drop(client);
    tokio::time::sleep(Duration::from_millis(100)).await;
    (acted, record(server, &id))
}

/// True where a connection to a port is over.
fn is_closed(server: &Server, port: u16) -> bool {
    let sessions = server.control().sessions();
    sessions.iter().flat_map(|session| &session.connections).any(|one| one.port == port && one.closed)
}

async fn all(stream: &herder_session::mux::MuxStream, count: usize) -> Vec<u8> {
    let mut got = Vec::new();
    while got.len() < count {
        match stream.recv().await.unwrap() {
            Some(bytes) => got.extend_from_slice(&bytes),
            None => break,
        }
    }
    got
}

#[tokio::test]
async fn connections_go_side_by_side() {
    let server = start("5,windows=0").await;
    let (echoed, record) = with_streams(&server, forward(7), async |handle| {
        let (one, two) = (handle.open().unwrap(), handle.open().unwrap());
        let big = Bytes::from(vec![0x0A; 200_000]);
        one.send(big.clone()).await.unwrap();
        two.send(Bytes::from("\n")).await.unwrap();
        let second = all(&two, 1).await;
        (all(&one, big.len()).await, second)
    })
    .await;
    assert_eq!(
        (echoed.0.len(), echoed.0.iter().all(|byte| *byte == 0x0A), echoed.1),
        (200_000, true, b"\n".to_vec())
    );
    let ports: Vec<(u16, bool, u64)> =
        record.connections.iter().map(|one| (one.port, one.accepted, one.bytes_in)).collect();
    assert_eq!(ports.len(), 2);
    assert!(ports.iter().all(|(port, accepted, _)| *port == 7 && *accepted));
}

#[tokio::test]
async fn everything_arrives_in_both_directions() {
    let server = start("5,windows=0,ports=9001:send=20MB,session_chunk=32KB").await;
    let (numbers, _) = with_streams(&server, forward(9001), async |handle| {
        let stream = handle.open().unwrap();
        all(&stream, usize::MAX).await
    })
    .await;
    assert_eq!(numbers.len(), 20 << 20);
    assert!(numbers.chunks_exact(8).zip(0_u64..).all(|(bytes, number)| bytes == number.to_le_bytes()));
    let upload: Vec<u8> = (0..5_000_000_u32).map(|number| (number * 31 % 251) as u8).collect();
    let digest: String = ring::digest::digest(&ring::digest::SHA256, &upload)
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let body = Bytes::from(upload);
    let ((), record) = with_streams(&server, forward(10_010), async |handle| {
        let stream = handle.open().unwrap();
        for piece in body.chunks(100_000) {
            stream.send(Bytes::copy_from_slice(piece)).await.unwrap();
        }
        drop(stream);
        until("the connection's end", || is_closed(&server, 10_010)).await;
    })
    .await;
    let connection = &record.connections[0];
    assert_eq!((connection.bytes_in, connection.sha256_in.as_deref()), (5_000_000, Some(digest.as_str())));
}

#[tokio::test]
async fn refused_ports_and_other_hosts_are_told_apart() {
    let server = start("5,windows=0,ports=db.internal:5432:echo").await;
    let (error, record) = with_streams(&server, forward(4444), async |handle| {
        let stream = handle.open().unwrap();
        loop {
            match stream.recv().await {
                Ok(Some(_)) => {}
                Ok(None) => return None,
                Err(error) => return Some(error),
            }
        }
    })
    .await;
    assert_eq!(error, Some(StreamError::ConnectFailed));
    assert!(!record.connections[0].accepted);
    let (echoed, record) = with_streams(&server, remote("db.internal", 5432), async |handle| {
        let stream = handle.open().unwrap();
        stream.send(Bytes::from("select 1")).await.unwrap();
        all(&stream, 8).await
    })
    .await;
    assert_eq!(
        (echoed.as_slice(), record.connections[0].host.as_str()),
        (b"select 1".as_slice(), "db.internal")
    );
    let (page, _) = with_streams(&server, remote("web-1", 80), async |handle| {
        let stream = handle.open().unwrap();
        stream.send(Bytes::from("GET / HTTP/1.1\r\nHost: x\r\n\r\n")).await.unwrap();
        String::from_utf8(all(&stream, usize::MAX).await).unwrap()
    })
    .await;
    assert!(page.starts_with("HTTP/1.1 200 OK") && page.ends_with("web-1 is well\n"));
    let mut forbidden = Client::start(&server, &node(&server), remote("169.254.169.254", 80)).await;
    assert_eq!(forbidden.over().await, "Forwarding to IP address 169.254.169.254 is forbidden.");
}

#[tokio::test]
async fn a_slow_reader_holds_back_and_loses_nothing() {
    let server = start("5,windows=0,ports=9002:slow=2MB").await;
    let begun = tokio::time::Instant::now();
    let ((), record) = with_streams(&server, forward(9002), async |handle| {
        let stream = handle.open().unwrap();
        stream.send(Bytes::from(vec![1; 6_000_000])).await.unwrap();
        drop(stream);
        until("the connection's end", || is_closed(&server, 9002)).await;
    })
    .await;
    assert_eq!(record.connections[0].bytes_in, 6_000_000);
    assert!(begun.elapsed() >= Duration::from_millis(2500), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn ssh_sessions_are_the_connection_itself() {
    let server = start("5,windows=0").await;
    let target = node(&server);
    let mut client = Client::start(&server, &target, ("AWS-StartSSHSession", json!({}))).await;
    client.until("the banner", |client| client.text() == "SSH-2.0-OpenSSH_8.7\r\n").await;
    for word in ["\n", "ab\n", "\n"] {
        client.sends(word);
        client.stay(Duration::from_millis(20)).await;
    }
    client.until("the echo", |client| client.text().ends_with("\r\n\nab\n\n")).await;
    let mut refused =
        Client::start(&server, &target, ("AWS-StartSSHSession", json!({"portNumber": ["2222"]}))).await;
    assert_eq!(
        refused.over().await,
        "Unable to connect to specified port: dial tcp 127.0.0.1:2222: connect: connection refused"
    );
    let mut over =
        Client::start(&server, &target, ("AWS-StartSSHSession", json!({"portNumber": ["13"]}))).await;
    assert_eq!(over.over().await, "");
    assert!(over.text().ends_with("-UTC\r\n"), "{}", over.text());
    client.end.flag(SessionFlag::TerminateSession);
    assert_eq!(client.over().await, "");
}

#[tokio::test]
async fn old_agents_have_one_connection_at_a_time() {
    let text =
        "[spec]\nnodes = 5\nwindows = 0\nports = \"9003:close+9004:echo\"\n[[node]]\nagent = \"3.0.100.0\"\n";
    let server =
        serve(Spec::scenario(text, Path::new("test")).unwrap(), ServeOptions::default()).await.unwrap();
    let target = node(&server);
    let mut client = Client::start(&server, &target, forward(9004)).await;
    client.until("the handshake", |client| client.started.is_some()).await;
    assert_eq!(client.started.clone().unwrap().agent_version.unwrap().to_string(), "3.0.100.0");
    client.sends("one");
    client.until("the echo", |client| client.text() == "one").await;
    client.end.flag(SessionFlag::DisconnectToPort);
    client.stay(Duration::from_millis(100)).await;
    client.sends("two");
    client.until("the echo of the next", |client| client.text() == "onetwo").await;
    assert_eq!(client.record().connections.len(), 2);
    let mut refused = Client::start(&server, &target, forward(4444)).await;
    assert!(refused.over().await.starts_with("Unable to connect to specified port: "));
    // They know nothing of hosts either.
    let mut host = Client::start(&server, &target, remote("db.internal", 9004)).await;
    host.until("the handshake", |client| client.started.is_some()).await;
    host.sends("x");
    host.until("an echo of the node's own", |client| client.text() == "x").await;
}

#[tokio::test]
async fn paced_agents_are_as_slow_as_the_official_one() {
    let server = start("5,windows=0,session_paced").await;
    let begun = tokio::time::Instant::now();
    let (lines, _) = with_streams(&server, forward(19), async |handle| {
        let stream = handle.open().unwrap();
        all(&stream, 300_000).await
    })
    .await;
    assert!(lines.len() >= 300_000 && begun.elapsed() >= Duration::from_millis(290), "{:?}", begun.elapsed());
}
