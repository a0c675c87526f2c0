use std::io::ErrorKind;
use std::sync::mpsc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::{BOUND, any_port, client, event, read};
use crate::forward::{ConnectionEnd, ForwardEvent, ForwardOptions, PortKind, PortLink, serve};
use crate::link::{Incoming, LinkEnded, LinkSink, LinkSource};
use crate::payload::SessionFlag;
use crate::testing::{MemorySink, MemorySource, memory_link};

/// A listener at work, and the agent's side, which the test plays.
async fn forward(
    change: fn(&mut ForwardOptions),
) -> (u16, mpsc::Receiver<ForwardEvent>, MemorySource, MemorySink) {
    let listener = any_port().await;
    let port = listener.port().unwrap();
    let (tell, events) = mpsc::channel();
    let ((source, sink), (far_source, far_sink)) = memory_link(16);
    tokio::spawn(async move {
        let mut options = ForwardOptions { settle: Duration::from_millis(100), ..ForwardOptions::default() };
        change(&mut options);
        let mut link = Some(PortLink { source, sink, kind: PortKind::Single });
        let dial = || std::future::ready(link.take().ok_or_else(|| LinkEnded::new("there is one session")));
        serve(&listener, &options, dial, |event| drop(tell.send(event))).await
    });
    (port, events, far_source, far_sink)
}

async fn bytes(source: &mut MemorySource, count: usize) -> Vec<u8> {
    let mut all = Vec::new();
    while all.len() < count {
        match timeout(BOUND, source.next()).await.unwrap().unwrap() {
            Incoming::Bytes(bytes) => all.extend_from_slice(&bytes),
            flag => panic!("{flag:?}"),
        }
    }
    all
}

async fn disconnect(source: &mut MemorySource) {
    let flag = timeout(BOUND, source.next()).await.unwrap().unwrap();
    assert_eq!(flag, Incoming::Flag(SessionFlag::DisconnectToPort));
}

#[tokio::test]
async fn connections_follow_each_other_and_don_t_mix() {
    let (port, events, mut source, mut sink) =
        forward(|options| options.single_grace = Duration::from_millis(300)).await;
    for n in 0..3 {
        let mut first = client(port).await;
        let request = format!("request {n}");
        first.write_all(request.as_bytes()).await.unwrap();
        assert_eq!(bytes(&mut source, request.len()).await, request.as_bytes());
        sink.send("answer".into()).await.unwrap();
        assert_eq!(read(&mut first, 6).await, b"answer");
        // The next one waits until this one is closed.
        let second = client(port).await;
        first.shutdown().await.unwrap();
        drop(first);
        sink.send("late".into()).await.unwrap();
        disconnect(&mut source).await;
        sink.send("later, but on its way before the agent had closed".into()).await.unwrap();
        drop(second);
        disconnect(&mut source).await;
        event(
            &events,
            |event| matches!(event, ForwardEvent::Finished { connection, .. } if *connection == 2 * n + 2),
        )
        .await;
    }
    let mut last = client(port).await;
    last.write_all(b"x").await.unwrap();
    assert_eq!(bytes(&mut source, 1).await, b"x");
    sink.send("mine".into()).await.unwrap();
    assert_eq!(read(&mut last, 4).await, b"mine");
}

/// Nothing tells when the answer is complete, so its client is not told that it is.
#[tokio::test]
async fn an_answer_after_the_end_of_the_request_arrives() {
    let (port, events, mut source, mut sink) =
        forward(|options| options.single_grace = Duration::from_millis(300)).await;
    let mut client = client(port).await;
    client.write_all(b"request").await.unwrap();
    client.shutdown().await.unwrap();
    assert_eq!(bytes(&mut source, 7).await, b"request");
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(150)).await;
        sink.send("part ".into()).await.unwrap();
    }
    assert_eq!(read(&mut client, 15).await, b"part part part ");
    let error = timeout(BOUND, client.read(&mut [0; 8])).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    disconnect(&mut source).await;
    let end = event(&events, |event| matches!(event, ForwardEvent::Finished { .. })).await;
    let silent_for = Duration::from_millis(300);
    assert!(
        matches!(end, ForwardEvent::Finished { end: ConnectionEnd::Unanswered { silent_for: n }, .. } if n == silent_for),
        "{end:?}"
    );
}

#[tokio::test]
async fn a_half_closed_connection_waits_for_less_long_when_another_one_waits() {
    let (port, _events, mut source, _sink) =
        forward(|options| options.single_crowded_grace = Duration::from_millis(50)).await;
    let mut first = client(port).await;
    first.write_all(b"x").await.unwrap();
    first.shutdown().await.unwrap();
    assert_eq!(bytes(&mut source, 1).await, b"x");
    let mut none = [0; 1];
    let waits = timeout(Duration::from_millis(1500), first.read(&mut none)).await;
    assert!(waits.is_err(), "nobody else is there: {waits:?}");
    let mut second = client(port).await;
    second.write_all(b"y").await.unwrap();
    let error = timeout(BOUND, first.read(&mut none)).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    disconnect(&mut source).await;
    assert_eq!(bytes(&mut source, 1).await, b"y");
}

#[tokio::test]
async fn who_waits_when_the_session_ends_is_for_the_next_one() {
    let (port, events, mut source, sink) = forward(|options| options.single_crowded_grace = BOUND).await;
    let mut first = client(port).await;
    first.write_all(b"x").await.unwrap();
    first.shutdown().await.unwrap();
    assert_eq!(bytes(&mut source, 1).await, b"x");
    let mut second = client(port).await;
    event(&events, |event| matches!(event, ForwardEvent::Accepted { connection: 2, .. })).await;
    drop((source, sink));
    for client in [&mut first, &mut second] {
        let error = timeout(BOUND, client.read(&mut [0; 1])).await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }
    // Here there is none, and that is the end of the listener.
    let ends = async {
        while !matches!(events.try_recv(), Err(mpsc::TryRecvError::Disconnected)) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(BOUND, ends).await.expect("another session was asked for");
}

/// The agent connects when the session begins: who speaks first has spoken by the time that somebody listens.
#[tokio::test]
async fn a_destination_that_speaks_first_is_heard() {
    let (port, events, _source, mut sink) = forward(|_| {}).await;
    event(&events, |event| *event == ForwardEvent::Ready).await;
    sink.send("SSH-2.0-".into()).await.unwrap();
    sink.send("OpenSSH\r\n".into()).await.unwrap();
    let mut client = client(port).await;
    assert_eq!(read(&mut client, 17).await, b"SSH-2.0-OpenSSH\r\n");
}

#[tokio::test]
async fn the_end_of_the_session_resets_the_connection() {
    let (port, events, mut source, sink) = forward(|_| {}).await;
    let mut client = client(port).await;
    client.write_all(b"x").await.unwrap();
    bytes(&mut source, 1).await;
    drop((source, sink));
    let error = timeout(BOUND, client.read(&mut [0; 8])).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    event(&events, |event| {
        matches!(event, ForwardEvent::Finished { end: ConnectionEnd::SessionEnded(_), .. })
    })
    .await;
    event(&events, |event| matches!(event, ForwardEvent::SessionEnded { .. })).await;
}

#[tokio::test]
async fn both_directions_go_on_while_one_is_slow() {
    let (port, _events, mut source, mut sink) = forward(|_| {}).await;
    let (mut read, mut write) = client(port).await.into_split();
    let total = 3_000_000;
    let agent = tokio::spawn(async move {
        let mut received = 0;
        for _ in 0..total / 10_000 {
            sink.send(vec![7; 10_000].into()).await.unwrap();
            if let Ok(Ok(Incoming::Bytes(bytes))) = timeout(Duration::from_millis(1), source.next()).await {
                received += bytes.len();
            }
        }
        while received < total {
            received += bytes(&mut source, 1).await.len();
        }
        (source, sink)
    });
    write.write_all(&vec![8; total]).await.unwrap();
    let mut all = vec![0; total];
    timeout(BOUND, read.read_exact(&mut all)).await.unwrap().unwrap();
    timeout(BOUND, agent).await.unwrap().unwrap();
}
