//! Readers and writers of different speed.

use std::time::Duration;

use bytes::Bytes;
use herder_session::channel::ChannelOptions;
use herder_session::client::{Resumption, Session, SessionEnd, SessionEvent, SessionOptions};
use herder_session::payload::SessionType;

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
    let sent = pattern(8 << 20);
    let handle = session.handle.clone();
    let input: Bytes = sent.clone().into();
    let sending = tokio::spawn(async move { handle.send_input(input).await });
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(!sending.is_finished(), "8 MiB do not fit into what may wait");
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
