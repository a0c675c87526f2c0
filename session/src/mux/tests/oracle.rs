//! Against another implementation of the protocol, in both roles.

use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use crate::mux::{MuxHandle, MuxOptions, Role, connect};
use crate::testing::socket_link;

fn ours(role: Role, socket: DuplexStream, keepalive: Option<Duration>) -> MuxHandle {
    let (source, sink) = socket_link(socket);
    let (handle, driver) = connect(role, MuxOptions { keepalive, ..MuxOptions::new(role) }, source, sink);
    tokio::spawn(driver.run());
    handle
}

fn theirs() -> smux::Config {
    smux::ConfigBuilder::new().version(1).enable_keep_alive(false).build().unwrap()
}

fn text(seed: usize, length: usize) -> Vec<u8> {
    (0..length).map(|n| ((n * 7 + seed * 13) % 253) as u8).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_client_with_their_server() {
    let (near, far) = duplex(64 << 10);
    let client = ours(Role::Client, near, None);
    let server = smux::Session::server(far, theirs()).await.unwrap();
    tokio::spawn(async move {
        while let Ok(mut stream) = server.accept_stream().await {
            tokio::spawn(async move {
                let mut buffer = vec![0; 10_000];
                while let Ok(count @ 1..) = stream.read(&mut buffer).await {
                    stream.write_all(&buffer[..count]).await.unwrap();
                    stream.flush().await.unwrap();
                }
            });
        }
    });
    let echoes = (0..8).map(|n| {
        let mut stream = client.open().unwrap();
        assert_eq!(stream.id().0, 3 + 2 * n as u32);
        tokio::spawn(async move {
            let sent = text(n, 1_000_000 + n);
            let (mut read, mut write) = tokio::io::split(&mut stream);
            let mut received = vec![0; sent.len()];
            let (wrote, all) = tokio::join!(write.write_all(&sent), read.read_exact(&mut received));
            wrote.and(all.map(drop)).unwrap();
            assert!(received == sent, "stream {n}");
        })
    });
    for echo in echoes.collect::<Vec<_>>() {
        echo.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn their_client_with_our_agents_side() {
    let (near, far) = duplex(64 << 10);
    let client = smux::Session::client(near, theirs()).await.unwrap();
    let agent = ours(Role::Agent, far, Some(Duration::from_millis(1)));
    tokio::spawn(async move {
        while let Ok(stream) = agent.accept().await {
            tokio::spawn(async move {
                let Some(first) = stream.recv().await.unwrap() else { return };
                let length: usize = String::from_utf8_lossy(&first).parse().unwrap();
                stream.send(Bytes::from(text(length, length))).await.unwrap();
                // Dropped: what was sent arrives, then the end.
            });
        }
    });
    let mut answers = Vec::new();
    for length in [1, 1000, 65_535, 65_536, 2_000_000] {
        let mut stream = client.open_stream().await.unwrap();
        answers.push(tokio::spawn(async move {
            stream.write_all(length.to_string().as_bytes()).await.unwrap();
            stream.flush().await.unwrap();
            let mut received = Vec::new();
            stream.read_to_end(&mut received).await.unwrap();
            assert!(received == text(length, length), "{length}: {} bytes", received.len());
        }));
    }
    for answer in answers {
        answer.await.unwrap();
    }
}

/// Their side closes, and ours reads to the end; ours closes, and theirs does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ends_are_understood_both_ways() {
    let (near, far) = duplex(64 << 10);
    let client = ours(Role::Client, near, None);
    let server = smux::Session::server(far, theirs()).await.unwrap();
    let first = client.open().unwrap();
    first.send("hello".into()).await.unwrap();
    let mut accepted = server.accept_stream().await.unwrap();
    let mut hello = [0; 5];
    accepted.read_exact(&mut hello).await.unwrap();
    accepted.write_all(b"bye").await.unwrap();
    accepted.shutdown().await.unwrap();
    assert_eq!(first.recv().await.unwrap().unwrap(), "bye");
    assert_eq!(first.recv().await.unwrap(), None);

    let second = client.open().unwrap();
    second.send("last words".into()).await.unwrap();
    drop(second);
    let mut accepted = server.accept_stream().await.unwrap();
    let mut all = String::new();
    accepted.read_to_string(&mut all).await.unwrap();
    assert_eq!(all, "last words");
}
