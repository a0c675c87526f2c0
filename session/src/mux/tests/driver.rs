use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::link::{Incoming, LinkSink, LinkSource};
use crate::mux::{MuxHandle, MuxOptions, MuxStream, OpenError, Role, StreamError, connect};
use crate::payload::SessionFlag;
use crate::testing::{MemorySink, MemorySource, memory_link};

/// A client and an agent's side, their drivers running.
fn session(room: usize, change: impl Fn(&mut MuxOptions)) -> (MuxHandle, MuxHandle) {
    let (near, far) = memory_link(room);
    let side = |role, (source, sink)| {
        let mut options = MuxOptions::new(role);
        change(&mut options);
        let (handle, driver) = connect(role, options, source, sink);
        tokio::spawn(driver.run());
        handle
    };
    (side(Role::Client, near), side(Role::Agent, far))
}

/// A client whose other side is played by the test.
fn lone_client(change: impl Fn(&mut MuxOptions)) -> (MuxHandle, MemorySource, MemorySink) {
    let ((source, sink), (far_source, far_sink)) = memory_link(64);
    let mut options = MuxOptions::new(Role::Client);
    change(&mut options);
    let (handle, driver) = connect(Role::Client, options, source, sink);
    tokio::spawn(driver.run());
    (handle, far_source, far_sink)
}

async fn echo(agent: MuxHandle) {
    while let Ok(stream) = agent.accept().await {
        tokio::spawn(async move {
            while let Ok(Some(bytes)) = stream.recv().await {
                if stream.send(bytes).await.is_err() {
                    return;
                }
            }
        });
    }
}

async fn pair(client: &MuxHandle, agent: &MuxHandle) -> (MuxStream, MuxStream) {
    let near = client.open().unwrap();
    (near, agent.accept().await.unwrap())
}

#[tokio::test]
async fn bytes_go_and_come_back() {
    let (client, agent) = session(4, |_| {});
    tokio::spawn(echo(agent));
    let stream = client.open().unwrap();
    let (mut read, mut write) = tokio::io::split(stream);
    let sent: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    let expected = sent.clone();
    let writing = tokio::spawn(async move {
        write.write_all(&sent).await.unwrap();
        write.shutdown().await.unwrap();
        write
    });
    let mut received = vec![0; expected.len()];
    read.read_exact(&mut received).await.unwrap();
    assert!(received == expected);
    drop((read, writing.await.unwrap()));
    while client.streams() > 0 {
        tokio::task::yield_now().await;
    }
}

/// The trap: a request, the end of the input, and an answer that comes after it.
#[tokio::test]
async fn an_answer_after_the_end_of_the_request_arrives() {
    let (client, agent) = session(4, |_| {});
    let (mut near, far) = pair(&client, &agent).await;
    near.write_all(b"request").await.unwrap();
    near.shutdown().await.unwrap();
    assert_eq!(far.recv().await.unwrap().unwrap(), "request");
    assert!(
        timeout(Duration::from_millis(50), far.recv()).await.is_err(),
        "an agent would close the destination now"
    );
    far.send(Bytes::from_static(b"answer")).await.unwrap();
    drop(far);
    let mut answer = String::new();
    near.read_to_string(&mut answer).await.unwrap();
    assert_eq!(answer, "answer");
}

#[tokio::test]
async fn a_dropped_stream_ends_the_other_side() {
    let (client, agent) = session(4, |_| {});
    let (near, mut far) = pair(&client, &agent).await;
    near.send(Bytes::from_static(b"bye")).await.unwrap();
    drop(near);
    let mut all = Vec::new();
    far.read_to_end(&mut all).await.unwrap();
    assert_eq!(all, b"bye");
    assert_eq!(far.write_all(b"x").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
    drop(far);
    while client.streams() + agent.streams() > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_refused_destination_is_told() {
    let (client, agent) = session(4, |_| {});
    let (mut near, far) = pair(&client, &agent).await;
    agent.refuse(far);
    assert_eq!(near.recv().await, Err(StreamError::ConnectFailed));
    assert_eq!(near.read(&mut [0; 8]).await.unwrap_err().kind(), ErrorKind::ConnectionRefused);
}

/// A connection must not look finished when it broke off.
#[tokio::test]
async fn the_end_of_the_session_is_an_error_for_its_streams() {
    let (client, mut source, mut sink) = lone_client(|_| {});
    let stream = client.open().unwrap();
    source.next().await.unwrap();
    sink.send(Bytes::from_static(&[1, 2, 2, 0, 3, 0, 0, 0, b'o', b'k'])).await.unwrap();
    assert_eq!(stream.recv().await.unwrap().unwrap(), "ok");
    let waiting = tokio::spawn(async move { (stream.recv().await, stream.send("x".into()).await) });
    tokio::task::yield_now().await;
    drop((source, sink));
    let (received, sent) = waiting.await.unwrap();
    let ended = StreamError::SessionEnded { reason: "the other end is gone".into() };
    assert_eq!((received, sent), (Err(ended.clone()), Err(ended)));
    assert!(client.accept().await.is_err());
}

#[tokio::test]
async fn bytes_that_are_no_frames_end_the_session() {
    let ((source, sink), (_keeps_open, mut far)) = memory_link(4);
    let (handle, driver) = connect(Role::Client, MuxOptions::new(Role::Client), source, sink);
    let stream = handle.open().unwrap();
    far.send(Bytes::from_static(b"Unable to connect")).await.unwrap();
    let ended = driver.run().await;
    assert!(ended.reason.contains("version 85"), "{ended}");
    assert!(matches!(stream.recv().await, Err(StreamError::SessionEnded { .. })));
}

#[tokio::test]
async fn a_dropped_driver_ends_its_streams() {
    let ((source, sink), _far) = memory_link(4);
    let (handle, driver) = connect(Role::Client, MuxOptions::new(Role::Client), source, sink);
    let running = tokio::spawn(driver.run());
    let stream = handle.open().unwrap();
    running.abort();
    assert!(matches!(stream.recv().await, Err(StreamError::SessionEnded { .. })));
}

#[tokio::test]
async fn closing_sends_what_is_queued() {
    let ((source, sink), (mut far, _keeps_open)) = memory_link(64);
    let (handle, driver) = connect(Role::Client, MuxOptions::new(Role::Client), source, sink);
    let stream = handle.open().unwrap();
    stream.send(vec![9; 100_000].into()).await.unwrap();
    drop(stream);
    handle.close();
    assert_eq!(driver.run().await.reason, "it was closed here");
    let mut count = 0;
    while let Ok(Incoming::Bytes(bytes)) = far.next().await {
        count += bytes.len();
    }
    assert_eq!(count, 8 + 100_000 + 4 * 8 + 8, "SYN, four frames, FIN");
}

/// A reader that doesn't read holds the sender back, and gets every byte.
#[tokio::test]
async fn a_slow_reader_slows_its_sender_and_loses_nothing() {
    let (client, agent) = session(2, |options| options.receive_budget = 256 << 10);
    let (near, far) = pair(&client, &agent).await;
    let total = 5 << 20;
    let sending = tokio::spawn(async move {
        let mut sent = 0_usize;
        while sent < total {
            let piece: Vec<u8> = (sent..sent + 50_000).map(|n| (n % 241) as u8).collect();
            far.send(piece.into()).await.unwrap();
            sent += 50_000;
        }
        drop(far);
        sent
    });
    // Long enough for everything to have come, if anything let it.
    for _ in 0..2000 {
        tokio::task::yield_now().await;
    }
    assert!(client.buffered() <= (256 << 10) + 32_768, "{}", client.buffered());
    assert!(!sending.is_finished());
    let mut received = 0_usize;
    while let Some(bytes) = near.recv().await.unwrap() {
        assert!(bytes.iter().zip(received..).all(|(byte, n)| *byte == (n % 241) as u8));
        assert!(client.buffered() <= (256 << 10) + 32_768);
        received += bytes.len();
    }
    assert_eq!(received, sending.await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_stands_still_does_not_hold_the_others_up_for_ever() {
    let (client, agent) = session(2, |options| options.receive_budget = 100_000);
    let (stalled, stalled_far) = pair(&client, &agent).await;
    let (lively, lively_far) = pair(&client, &agent).await;
    tokio::spawn(async move { while stalled_far.send(vec![1; 10_000].into()).await.is_ok() {} });
    tokio::spawn(async move {
        for _ in 0..100 {
            lively_far.send(vec![2; 1000].into()).await.unwrap();
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    let began = Instant::now();
    let mut received = 0;
    while let Some(bytes) = lively.recv().await.unwrap() {
        received += bytes.len();
    }
    assert_eq!(received, 100_000);
    let took = began.elapsed();
    assert!(took > Duration::from_secs(29) && took < Duration::from_secs(33), "{took:?}");
    assert_eq!(stalled.recv().await, Err(StreamError::Stalled { limit: Duration::from_secs(30) }));
}

#[tokio::test(start_paused = true)]
async fn a_reader_alone_may_stand_still_for_a_day() {
    let (client, agent) = session(2, |options| options.receive_budget = 100_000);
    let (near, far) = pair(&client, &agent).await;
    let sending = tokio::spawn(async move { far.send(vec![1; 1_000_000].into()).await });
    tokio::time::sleep(Duration::from_secs(86_400)).await;
    let mut received = 0;
    while let Some(bytes) = near.recv().await.unwrap() {
        received += bytes.len();
    }
    assert_eq!(received, 1_000_000);
    sending.await.unwrap().unwrap();
}

/// Every one of them is within 20 % of the mean.
#[tokio::test]
async fn eight_connections_get_the_same_share() {
    let (client, agent) = session(2, |_| {});
    let counts = Arc::new([const { AtomicUsize::new(0) }; 8]);
    let mut pairs = Vec::new();
    for _ in 0..8 {
        pairs.push(pair(&client, &agent).await);
    }
    let mut tasks = JoinSet::new();
    for (n, (near, far)) in pairs.into_iter().enumerate() {
        // Some write much at once, some little: the share is the same.
        let piece = Bytes::from(vec![0; 3_000 + n * 9_000]);
        tasks.spawn(async move { while near.send(piece.clone()).await.is_ok() {} });
        let counts = Arc::clone(&counts);
        tasks.spawn(async move {
            while let Ok(Some(bytes)) = far.recv().await {
                counts[n].fetch_add(bytes.len(), Ordering::Relaxed);
            }
        });
    }
    let snapshot = || counts.each_ref().map(|count| count.load(Ordering::Relaxed));
    while snapshot().iter().sum::<usize>() < 32 << 20 {
        tokio::task::yield_now().await;
    }
    let counts = snapshot();
    let mean = counts.iter().sum::<usize>() / counts.len();
    assert!(counts.iter().all(|count| count.abs_diff(mean) * 5 <= mean), "{counts:?}");
}

#[tokio::test(start_paused = true)]
async fn an_old_agent_hears_something_every_ten_seconds() {
    let (_client, mut source, _sink) = lone_client(|options| options.keepalive = Some(MuxOptions::KEEPALIVE));
    for n in 1..4 {
        let began = Instant::now();
        assert_eq!(
            source.next().await,
            Ok(Incoming::Bytes(Bytes::from_static(&[1, 3, 0, 0, 0, 0, 0, 0]))),
            "{n}"
        );
        assert_eq!(began.elapsed(), Duration::from_secs(10));
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_agent_hears_nothing_that_would_keep_an_idle_session_alive() {
    let (_client, mut source, _sink) = lone_client(|_| {});
    assert!(timeout(Duration::from_secs(3600), source.next()).await.is_err());
}

/// Paused time moves when everything waits for it: here nothing does.
#[tokio::test(start_paused = true)]
async fn no_byte_waits_for_a_timer() {
    let (client, agent) = session(4, |_| {});
    tokio::spawn(echo(agent));
    let stream = client.open().unwrap();
    let began = Instant::now();
    for n in 0..1000_u32 {
        let sent = Bytes::copy_from_slice(&[n as u8; 64]);
        stream.send(sent.clone()).await.unwrap();
        assert_eq!(stream.recv().await.unwrap(), Some(sent));
    }
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[tokio::test]
async fn flags_go_to_the_other_side() {
    let (client, mut source, _sink) = lone_client(|_| {});
    client.flag(SessionFlag::TerminateSession);
    assert_eq!(source.next().await, Ok(Incoming::Flag(SessionFlag::TerminateSession)));
}

#[tokio::test]
async fn streams_are_limited_and_their_places_are_given_back() {
    let (client, agent) = session(4, |options| options.max_streams = 3);
    let streams: Vec<MuxStream> = (0..3).map(|_| client.open().unwrap()).collect();
    assert_eq!(client.open().unwrap_err(), OpenError::TooMany(3));
    drop(streams);
    while client.streams() > 0 {
        tokio::task::yield_now().await;
    }
    assert!(client.open().is_ok());
    drop(agent);
}
