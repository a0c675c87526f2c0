//! Readers and writers of different speed.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use herder_session::channel::{Channel, ChannelOptions};
use herder_session::client::{Opened, Resumption, Session, SessionEnd, SessionEvent, SessionOptions};
use herder_session::frame::PayloadType;
use herder_session::payload::SessionType;
use tokio::net::TcpSocket;
use tokio_tungstenite::tungstenite::Message;

use crate::broker::{Aws, Broker, Order, Visit, end, next, options, pattern, plan, read, until};

/// An agent that sends 32 KiB at once and never waits for an acknowledgement.
fn large() -> ChannelOptions {
    ChannelOptions { chunk_bytes: 32 << 10, ..ChannelOptions::agent(7, 1) }
}

#[tokio::test]
async fn a_reader_that_does_not_read_holds_up_the_other_end_and_loses_nothing() {
    let broker = Broker::with_channel(plan(SessionType::Port), false, &[], large()).await;
    let mut session = Session::open(broker.opened(), Aws::default(), options());
    while !matches!(next(&mut session).await, SessionEvent::Started(_)) {}
    let sent: Bytes = pattern(64 << 20).into();
    broker.order(Order::Output(sent.clone()));
    let sent_bytes = || broker.seen.lock().unwrap().sent_bytes;
    // It stops by itself: what is sent and not read is in the buffer, and in the system's.
    let mut before = usize::MAX;
    until("standstill", || {
        std::mem::replace(&mut before, sent_bytes()) == sent_bytes() && sent_bytes() > 5 << 20
    })
    .await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(session.events.waiting_bytes() < 6 << 20, "{} wait", session.events.waiting_bytes());
    assert!(sent_bytes() < 32 << 20, "{} were sent", sent_bytes());
    // What goes in does not wait for what comes out.
    session.handle.send_input("stop".into()).await.unwrap();
    until("the input", || broker.seen.lock().unwrap().input == b"stop").await;
    let (received, _) = read(&mut session, sent.len()).await;
    assert!(received == sent);
}

#[tokio::test]
async fn a_reader_that_pauses_for_long_loses_neither_the_session_nor_a_byte() {
    let broker = Broker::with_channel(plan(SessionType::Port), false, &[], large()).await;
    let silent_for = Duration::from_secs(2);
    let options = SessionOptions { silent_for, unanswered_after: Duration::from_millis(700), ..options() };
    let mut session = Session::open(broker.opened(), Aws::default(), options);
    while !matches!(next(&mut session).await, SessionEvent::Started(_)) {}
    let sent: Bytes = pattern(32 << 20).into();
    broker.order(Order::Output(sent.clone()));
    until("a full buffer", || session.events.waiting_bytes() >= 1 << 20).await;
    // Its acknowledgement is behind all that nobody reads.
    session.handle.send_input("typed meanwhile".into()).await.unwrap();
    until("the input", || broker.seen.lock().unwrap().input == b"typed meanwhile").await;
    tokio::time::sleep(silent_for + Duration::from_millis(500)).await;
    let (received, others) = read(&mut session, sent.len()).await;
    assert!(received == sent);
    assert_eq!(others, [], "nobody is told of an agent that doesn't answer");
    session.handle.drained().await.unwrap();
}

#[tokio::test]
async fn a_peer_that_takes_no_acknowledgement_is_not_read_for_ever() {
    // Little fits into the system's buffers, so that it is soon seen who stops.
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(16 << 10).unwrap();
    socket.set_send_buffer_size(64 << 10).unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let stream_url = format!("ws://{}/?role=publish_subscribe&n=1", listener.local_addr().unwrap());
    let opened = Opened { session_id: "s-1".into(), target: "i-1".into(), stream_url, token: "t".into() };
    let mut session = Session::open(opened, Aws::default(), options());
    let (stream, _) = listener.accept().await.unwrap();
    let mut peer = tokio_tungstenite::accept_async(stream).await.unwrap();
    peer.next().await.unwrap().unwrap();
    let shown = tokio::spawn(async move {
        let (received, _) = read(&mut session, 150_000).await;
        (received.len(), session)
    });
    let mut agent = Channel::new(ChannelOptions { chunk_bytes: 1, ..ChannelOptions::agent(7, 1) });
    agent.send(PayloadType::Output, pattern(150_000).into());
    let mut sent = 0;
    let stops = loop {
        let Some(wire) = agent.transmit(Duration::ZERO) else { break false };
        let sending = tokio::time::timeout(Duration::from_secs(1), peer.send(Message::Binary(wire))).await;
        match sending {
            Ok(sending) => sending.unwrap(),
            // Half written: the rest goes out with the next.
            Err(_) => break true,
        }
        sent += 1;
    };
    assert!(stops, "{sent} messages were read, and no acknowledgement of them was taken");
    // When it takes them, everything goes on.
    let (mut sink, mut stream) = peer.split();
    let reading = tokio::spawn(async move { while let Some(Ok(_)) = stream.next().await {} });
    while let Some(wire) = agent.transmit(Duration::ZERO) {
        sink.send(Message::Binary(wire)).await.unwrap();
    }
    let (received, session) = shown.await.unwrap();
    assert_eq!(received, 150_000);
    drop(session);
    reading.await.unwrap();
}

#[tokio::test]
async fn a_close_while_nobody_reads_is_resumed() {
    let visits = [Visit::Bye(300)];
    let broker = Broker::with_channel(plan(SessionType::Port), false, &visits, large()).await;
    let mut session = Session::open(broker.opened(), Aws::default(), options());
    while !matches!(next(&mut session).await, SessionEvent::Started(_)) {}
    let sent: Bytes = pattern(24 << 20).into();
    broker.order(Order::Output(sent.clone()));
    tokio::time::sleep(Duration::from_millis(500)).await;
    let (received, others) = read(&mut session, sent.len()).await;
    assert!(received == sent);
    assert!(others.contains(&SessionEvent::Reconnected), "{others:?}");
}

#[tokio::test]
async fn what_was_received_before_the_end_is_read_after_it() {
    let broker = Broker::with_channel(plan(SessionType::Port), false, &[], large()).await;
    let aws = Aws::default();
    aws.inner.lock().unwrap().resumption = Some(Resumption::Gone);
    let small = SessionOptions { buffer_bytes: 100 << 10, ..options() };
    let mut session = Session::open(broker.opened(), aws, small);
    while !matches!(next(&mut session).await, SessionEvent::Started(_)) {}
    let sent: Bytes = pattern(300 << 10).into();
    broker.order(Order::Output(sent.clone()));
    broker.order(Order::Close("done"));
    broker.order(Order::Bye);
    tokio::time::sleep(Duration::from_millis(300)).await;
    let (received, _) = read(&mut session, sent.len()).await;
    assert!(received == sent);
    assert_eq!(end(&mut session).await, SessionEnd::Ended { output: "done".into(), is_cut: false });
}

#[tokio::test]
async fn input_passes_a_flood_of_output() {
    let broker = Broker::start(plan(SessionType::StandardStream), false, &[]).await;
    let mut session = Session::open(broker.opened(), Aws::default(), options());
    let handle = session.handle.clone();
    broker.order(Order::Output(pattern(16 << 20).into()));
    let reading = tokio::spawn(async move { read(&mut session, 16 << 20).await.0.len() });
    tokio::time::sleep(Duration::from_millis(50)).await;
    handle.send_input(Bytes::from_static(&[3])).await.unwrap();
    until("Ctrl-C", || broker.seen.lock().unwrap().input == [3]).await;
    assert_eq!(reading.await.unwrap(), 16 << 20);
}

#[tokio::test]
async fn a_writer_waits_for_an_agent_that_is_not_ready() {
    let broker = Broker::start(plan(SessionType::Port), false, &[]).await;
    let mut session = Session::open(broker.opened(), Aws::default(), options());
    while !matches!(next(&mut session).await, SessionEvent::Started(_)) {}
    broker.order(Order::Ready(false));
    // What the agent keeps behind the message that it can't take, and what is on the way to it, are 4 MiB each.
    let sent = pattern(16 << 20);
    let handle = session.handle.clone();
    let input: Bytes = sent.clone().into();
    let sending = tokio::spawn(async move { handle.send_input(input).await });
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(!sending.is_finished(), "16 MiB do not fit into what may wait");
    broker.order(Order::Ready(true));
    sending.await.unwrap().unwrap();
    session.handle.drained().await.unwrap();
    assert!(broker.seen.lock().unwrap().input == sent);
}

#[tokio::test]
async fn keystrokes_wait_for_no_timer() {
    let broker = Broker::start(plan(SessionType::StandardStream), true, &[]).await;
    let mut session = Session::open(broker.opened(), Aws::default(), options());
    broker.order(Order::Output("$".into()));
    read(&mut session, 1).await;
    let begun = tokio::time::Instant::now();
    for _ in 0..200 {
        session.handle.send_input("\n".into()).await.unwrap();
        assert_eq!(read(&mut session, 1).await.0, b"\n");
    }
    // The shortest timer of the protocol is 100 ms; with one of 10 ms this would take two seconds.
    assert!(begun.elapsed() < Duration::from_millis(1500), "{:?}", begun.elapsed());
}
