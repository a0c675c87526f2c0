//! How sessions begin and end.

use std::time::Duration;

use herder_session::client::{EventLink, Session, SessionEnd, SessionError, SessionEvent};
use herder_session::end::{AgentEvent, ClientError};
use herder_session::handshake::{AgentPlan, Encryption};
use herder_session::link::{Incoming, LinkSink, LinkSource};
use herder_session::payload::{SessionFlag, SessionType, TerminalSize};

use crate::broker::{Aws, Broker, Order, end, next, options, plan, read, until};

#[tokio::test]
async fn a_port_session_begins_carries_bytes_and_ends() {
    let broker = Broker::start(plan(SessionType::Port), true, &[]).await;
    let aws = Aws::default();
    let mut session = Session::open(broker.opened(), aws.clone(), options());
    let SessionEvent::Started(started) = next(&mut session).await else { panic!() };
    assert_eq!((&started.session_type, started.customer_message.as_str()), (&SessionType::Port, "Welcome."));
    session.handle.send_input("hello\n".into()).await.unwrap();
    session.handle.flag(SessionFlag::DisconnectToPort).await.unwrap();
    session.handle.drained().await.unwrap();
    assert_eq!(read(&mut session, 6).await.0, b"hello\n");
    let stats = session.handle.stats().await.unwrap();
    assert_eq!((stats.channel.received_bytes > 6, stats.reconnects), (true, 0));
    {
        let seen = broker.seen.lock().unwrap();
        assert!(seen.events.contains(&AgentEvent::Flag(SessionFlag::DisconnectToPort)));
        let (path, signature) = &seen.requests[0];
        assert_eq!(path, "/v1/data-channel/s-1?role=publish_subscribe&n=1");
        assert_eq!(signature.as_deref(), Some("signature 1"));
        let opening = &seen.openings[0];
        assert_eq!((opening.token_value.as_str(), &opening.client_instance_id), ("token-0", &None));
        assert_eq!(opening.client_version.as_deref(), Some(herder_session::CLIENT_VERSION));
    }
    broker.order(Order::Close("the end"));
    let over = end(&mut session).await;
    assert_eq!(over, SessionEnd::Ended { output: "the end".into(), is_cut: false });
    assert_eq!(over.to_string(), "the end");
    assert!(session.handle.send_input("x".into()).await.is_err());
    assert_eq!(aws.inner.lock().unwrap().resumes, 0);
}

#[tokio::test]
async fn a_command_gives_its_streams_and_its_exit_code() {
    let broker = Broker::start(plan(SessionType::NonInteractiveCommands), false, &[]).await;
    let mut session = Session::open(broker.opened(), Aws::default(), options());
    while !matches!(next(&mut session).await, SessionEvent::Started(_)) {}
    broker.order(Order::Output("out".into()));
    broker.order(Order::StdErr("err".into()));
    broker.order(Order::ExitCode(7));
    broker.order(Order::Close(""));
    let mut events = Vec::new();
    while let Some(event) = session.events.next().await {
        events.push(event);
    }
    assert_eq!(
        events,
        [
            SessionEvent::Output("out".into()),
            SessionEvent::StdErr("err".into()),
            SessionEvent::ExitCode(7),
            SessionEvent::Closed(SessionEnd::Ended { output: String::new(), is_cut: false }),
        ]
    );
}

#[tokio::test]
async fn a_shell_is_told_its_size() {
    let broker = Broker::start(plan(SessionType::StandardStream), true, &[]).await;
    let mut session = Session::open(broker.opened(), Aws::default(), options());
    session.handle.resize(TerminalSize { cols: 80, rows: 24 });
    session.handle.send_input("typed ahead".into()).await.unwrap();
    broker.order(Order::Output("$ ".into()));
    assert_eq!(read(&mut session, 13).await.0, b"$ typed ahead");
    session.handle.resize(TerminalSize { cols: 100, rows: 30 });
    let sizes = || {
        let seen = broker.seen.lock().unwrap();
        let sizes = seen
            .events
            .iter()
            .filter_map(|e| if let AgentEvent::Size(size) = e { Some(size.cols) } else { None });
        sizes.collect::<Vec<_>>()
    };
    until("the second size", || sizes() == [80, 100]).await;
}

fn encrypted() -> AgentPlan {
    let encryption = Encryption {
        key_id: "arn:key".into(),
        challenge: Some("Y2g=".into()),
        is_acknowledgement_required: true,
    };
    AgentPlan { encryption: Some(encryption), ..plan(SessionType::StandardStream) }
}

#[tokio::test]
async fn what_was_altered_on_the_way_is_the_end_and_nothing_comes_after_it() {
    let broker = Broker::start(encrypted(), false, &[]).await;
    let mut session = Session::open(broker.opened(), Aws::default(), options());
    while !matches!(next(&mut session).await, SessionEvent::Started(_)) {}
    broker.order(Order::Alter);
    broker.order(Order::StdErr("altered".into()));
    broker.order(Order::Output("after the hole".into()));
    // An orderly end that came at the same time makes it no better.
    broker.order(Order::Close(""));
    let event = next(&mut session).await;
    let SessionEvent::Closed(SessionEnd::Failed(error)) = &event else { panic!("{event:?}") };
    assert!(matches!(&**error, SessionError::Client(ClientError::NotAuthentic(_))), "{error}");
    assert_eq!(session.events.next().await, None);
}

#[tokio::test]
async fn a_session_is_encrypted_with_a_key_of_kms() {
    let broker = Broker::start(encrypted(), true, &[]).await;
    let aws = Aws::default();
    let mut session = Session::open(broker.opened(), aws.clone(), options());
    session.handle.send_input("secret".into()).await.unwrap();
    assert_eq!(read(&mut session, 6).await.0, b"secret");
    let expected =
        [("aws:ssm:SessionId", "s-1"), ("aws:ssm:TargetId", "i-1"), ("aws:ssm:RandomChallenge", "Y2g=")];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(aws.inner.lock().unwrap().contexts, [expected]);
}

#[tokio::test]
async fn an_agent_that_never_comes_is_an_error() {
    // A shell that says nothing: nobody knows whether it is one.
    let broker = Broker::start(plan(SessionType::StandardStream), false, &[]).await;
    let mut options = options();
    options.start_within = Duration::from_millis(300);
    let mut session = Session::open(broker.opened(), Aws::default(), options);
    let over = end(&mut session).await;
    assert!(over.to_string().starts_with("the agent has not opened its end of the session within"), "{over}");
}

#[tokio::test]
async fn a_silent_command_begins_all_the_same() {
    let broker = Broker::start(plan(SessionType::InteractiveCommands), true, &[]).await;
    let mut options = options();
    options.quiet_start_after = Some(Duration::from_millis(100));
    let mut session = Session::open(broker.opened(), Aws::default(), options);
    session.handle.send_input("cat".into()).await.unwrap();
    assert_eq!(read(&mut session, 3).await.0, b"cat");
}

#[tokio::test]
async fn closing_leaves_the_session_to_itself() {
    let broker = Broker::start(plan(SessionType::Port), true, &[]).await;
    let mut session = Session::open(broker.opened(), Aws::default(), options());
    session.handle.send_input("x".into()).await.unwrap();
    read(&mut session, 1).await;
    session.handle.close();
    assert_eq!(end(&mut session).await, SessionEnd::Left);
    // So does leaving without a word.
    let broker = Broker::start(plan(SessionType::Port), true, &[]).await;
    let session = Session::open(broker.opened(), Aws::default(), options());
    let Session { handle, events } = session;
    handle.send_input("x".into()).await.unwrap();
    handle.drained().await.unwrap();
    drop(events);
    tokio::time::timeout(Duration::from_secs(10), async { while handle.stats().await.is_ok() {} })
        .await
        .unwrap();
}

#[tokio::test]
async fn a_session_is_a_link() {
    let broker = Broker::start(plan(SessionType::Port), true, &[]).await;
    let Session { mut handle, events } = Session::open(broker.opened(), Aws::default(), options());
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let mut link: EventLink<_> = events.into_link(move |event| tell.send(event).unwrap());
    LinkSink::send(&mut handle, "hi".into()).await.unwrap();
    assert_eq!(link.next().await, Ok(Incoming::Bytes("hi".into())));
    LinkSink::flag(&mut handle, SessionFlag::TerminateSession).await.unwrap();
    broker.order(Order::Close("bye"));
    assert_eq!(link.next().await.unwrap_err().reason, "bye");
    assert!(link.next().await.is_err());
    assert!(matches!(told.recv().await, Some(SessionEvent::Started(_))));
    assert!(matches!(told.recv().await, Some(SessionEvent::Closed(_))));
}
