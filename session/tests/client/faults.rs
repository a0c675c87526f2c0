//! Connections that break, are refused, or die silently.

use std::sync::Arc;
use std::time::Duration;

use herder_session::client::{
    LivenessOptions, Proxy, Resumption, Session, SessionEnd, SessionEvent, SessionOptions, StreamPolicy,
};
use herder_session::handshake::Encryption;
use herder_session::payload::SessionType;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

use crate::broker::{Aws, Broker, Order, Visit, end, next, options, pattern, plan, read, trusting, until};

fn attempts(events: &[SessionEvent]) -> Vec<u32> {
    let attempt = |event: &SessionEvent| match event {
        SessionEvent::Reconnecting { attempt, .. } => Some(*attempt),
        _ => None,
    };
    events.iter().filter_map(attempt).collect()
}

#[tokio::test]
async fn a_bye_is_survived_in_the_middle_of_both_streams() {
    let visits = [Visit::Bye(20), Visit::Bye(40), Visit::Drop(60), Visit::Bye(3), Visit::Drop(0)];
    let broker = Broker::start(plan(SessionType::Port), true, &visits).await;
    let aws = Aws::default();
    let mut session = Session::open(broker.opened(), aws.clone(), options());
    let sent = pattern(300_000);
    let handle = session.handle.clone();
    let input = sent.clone();
    let sending = tokio::spawn(async move { handle.send_input(input.into()).await });
    let (echoed, others) = read(&mut session, sent.len()).await;
    sending.await.unwrap().unwrap();
    assert!(echoed == sent, "every byte, once, in order");
    assert!(broker.seen.lock().unwrap().input == sent);
    assert_eq!(attempts(&others).len(), 5, "{others:?}");
    assert_eq!(others.iter().filter(|event| **event == SessionEvent::Reconnected).count(), 5);
    let is_bye =
        |e: &SessionEvent| matches!(e, SessionEvent::Reconnecting { why, .. } if why == "closed: 1000 Bye");
    assert!(others.iter().any(is_bye), "{others:?}");
    assert_eq!(session.handle.stats().await.unwrap().reconnects, 5);
    // Each connection has a new token, a new signature, and the same client.
    let seen = broker.seen.lock().unwrap();
    let tokens: Vec<&str> = seen.openings.iter().map(|opening| opening.token_value.as_str()).collect();
    assert_eq!(tokens, ["token-0", "token-1", "token-2", "token-3", "token-4", "token-5"]);
    assert_eq!(seen.requests.last().unwrap().1.as_deref(), Some("signature 6"));
    let clients: std::collections::HashSet<&str> =
        seen.openings.iter().map(|o| o.client_id.as_str()).collect();
    let requests: std::collections::HashSet<&str> =
        seen.openings.iter().map(|o| o.request_id.as_str()).collect();
    assert_eq!((clients.len(), requests.len()), (1, 6));
}

#[tokio::test]
async fn the_service_may_move_the_channel() {
    let broker = Broker::start(plan(SessionType::Port), true, &[Visit::Bye(3)]).await;
    let aws = Aws::default();
    let stream_url = Some(format!("ws://{}/elsewhere?role=publish_subscribe&n=1", broker.address));
    aws.inner.lock().unwrap().resumption = Some(Resumption::Open { stream_url, token: "t".into() });
    let mut session = Session::open(broker.opened(), aws, options());
    session.handle.send_input("x".into()).await.unwrap();
    read(&mut session, 1).await;
    broker.order(Order::Bye);
    until("the second connection", || broker.seen.lock().unwrap().requests.len() == 2).await;
    assert_eq!(broker.seen.lock().unwrap().requests[1].0, "/elsewhere?role=publish_subscribe&n=1");
}

#[tokio::test]
async fn a_refusal_is_tried_once_more_with_everything_new() {
    let visits = [Visit::Refuse(403, "stale")];
    let broker = Broker::start(plan(SessionType::Port), true, &visits).await;
    let mut session = Session::open(broker.opened(), Aws::default(), options());
    session.handle.send_input("x".into()).await.unwrap();
    let (_, others) = read(&mut session, 1).await;
    let SessionEvent::Reconnecting { attempt: 2, why } = &others[0] else { panic!("{others:?}") };
    assert!(why.ends_with("127.0.0.1 refused the connection with HTTP 403: stale"), "{why}");
    let seen = broker.seen.lock().unwrap();
    assert_eq!(seen.openings[0].token_value, "token-1");
    assert_eq!(seen.requests[1].1.as_deref(), Some("signature 2"));
}

#[tokio::test]
async fn a_second_refusal_is_an_answer() {
    let visits = [Visit::Refuse(403, "no\n permission"), Visit::Refuse(403, "no\n permission")];
    let broker = Broker::start(plan(SessionType::Port), true, &visits).await;
    let mut session = Session::open(broker.opened(), Aws::default(), options());
    let over = end(&mut session).await.to_string();
    assert_eq!(over, "could not connect: 127.0.0.1 refused the connection with HTTP 403: no permission");
    assert_eq!(broker.seen.lock().unwrap().requests.len(), 2);
}

#[tokio::test]
async fn errors_of_the_service_are_tried_five_times() {
    let visits: Vec<Visit> = vec![Visit::Refuse(503, ""); 9];
    let broker = Broker::start(plan(SessionType::Port), true, &visits).await;
    let mut session = Session::open(broker.opened(), Aws::default(), options());
    let over = end(&mut session).await.to_string();
    assert_eq!(over, "could not connect: 127.0.0.1 refused the connection with HTTP 503");
    assert_eq!(broker.seen.lock().unwrap().requests.len(), 5);
}

#[tokio::test]
async fn a_session_that_cannot_be_resumed_is_over() {
    for (resumption, expected) in
        [(Resumption::TimedOut, SessionEnd::TimedOut), (Resumption::Gone, SessionEnd::Gone)]
    {
        let broker = Broker::start(plan(SessionType::Port), true, &[]).await;
        let aws = Aws::default();
        aws.inner.lock().unwrap().resumption = Some(resumption);
        let mut session = Session::open(broker.opened(), aws, options());
        session.handle.send_input("x".into()).await.unwrap();
        read(&mut session, 1).await;
        broker.order(Order::Drop);
        assert_eq!(end(&mut session).await, expected);
    }
}

#[tokio::test]
async fn a_network_that_is_away_is_waited_for() {
    let broker = Broker::start(plan(SessionType::Port), true, &[]).await;
    let aws = Aws::default();
    let mut session = Session::open(broker.opened(), aws.clone(), options());
    session.handle.send_input("x".into()).await.unwrap();
    read(&mut session, 1).await;
    aws.inner.lock().unwrap().failures = 3;
    broker.order(Order::Drop);
    session.handle.send_input("y".into()).await.unwrap();
    let (echoed, others) = read(&mut session, 1).await;
    assert_eq!((echoed, attempts(&others)), (b"y".to_vec(), vec![1 + 1, 3, 4, 5]), "{others:?}");
}

#[tokio::test]
async fn waiting_has_an_end() {
    let broker = Broker::start(plan(SessionType::Port), true, &[]).await;
    let aws = Aws::default();
    let options = SessionOptions { reconnect_for: Duration::from_millis(500), ..options() };
    let mut session = Session::open(broker.opened(), aws.clone(), options);
    session.handle.send_input("x".into()).await.unwrap();
    read(&mut session, 1).await;
    aws.inner.lock().unwrap().failures = 1000;
    broker.order(Order::Drop);
    let over = end(&mut session).await.to_string();
    assert!(over.contains("the last one was lost: could not resume the session: ResumeSession"), "{over}");
}

#[tokio::test]
async fn a_dead_connection_is_noticed() {
    let broker = Broker::start(plan(SessionType::Port), true, &[Visit::BlackHole]).await;
    let ping_every = Duration::from_millis(100);
    let liveness = LivenessOptions { ping_every, dead_after: Duration::from_millis(400) };
    let mut session =
        Session::open(broker.opened(), Aws::default(), SessionOptions { liveness, ..options() });
    session.handle.send_input("x".into()).await.unwrap();
    let (echoed, others) = read(&mut session, 1).await;
    assert_eq!(echoed, b"x");
    let SessionEvent::Reconnecting { why, .. } = &others[0] else { panic!("{others:?}") };
    assert!(why.starts_with("nothing was heard for"), "{why}");
}

#[tokio::test]
async fn an_agent_that_acknowledges_nothing_is_given_up() {
    let broker = Broker::start(plan(SessionType::Port), true, &[]).await;
    let mut options = options();
    options.unanswered_after = Duration::from_millis(200);
    options.silent_for = Duration::from_millis(800);
    let mut session = Session::open(broker.opened(), Aws::default(), options);
    session.handle.send_input("x".into()).await.unwrap();
    read(&mut session, 1).await;
    broker.order(Order::Ready(false));
    session.handle.send_input("y".into()).await.unwrap();
    assert_eq!(next(&mut session).await, SessionEvent::Unanswered);
    let over = end(&mut session).await.to_string();
    assert!(over.starts_with("the other end has acknowledged nothing for"), "{over}");
}

#[tokio::test]
async fn an_address_that_is_not_of_aws_is_not_visited() {
    let broker = Broker::start(plan(SessionType::Port), true, &[]).await;
    let mut options = options();
    options.dial.policy = StreamPolicy::AwsOnly;
    let mut session = Session::open(broker.opened(), Aws::default(), options);
    let over = end(&mut session).await.to_string();
    assert_eq!(over, "could not connect: \"127.0.0.1\" is not an endpoint of Session Manager");
    assert_eq!(broker.seen.lock().unwrap().requests.len(), 0);
}

#[tokio::test]
async fn without_a_key_the_reason_is_told() {
    let encryption =
        Encryption { key_id: "arn:key".into(), challenge: None, is_acknowledgement_required: false };
    let mut plan = plan(SessionType::StandardStream);
    plan.encryption = Some(encryption);
    let broker = Broker::start(plan, true, &[]).await;
    let aws = Aws::default();
    aws.inner.lock().unwrap().denies_key = true;
    let mut session = Session::open(broker.opened(), aws, options());
    let over = end(&mut session).await.to_string();
    assert!(over.contains("kms:GenerateDataKey on arn:key: AccessDeniedException"), "{over}");
}

/// A proxy that connects everybody to one address, and tells what it was asked.
async fn proxy_to(
    address: std::net::SocketAddr,
    tls: Option<TlsAcceptor>,
) -> (u16, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = tokio::spawn(async move {
        let (mut near, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(near.read_u8().await.unwrap());
        }
        near.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        let mut far = TcpStream::connect(address).await.unwrap();
        tokio::spawn(async move {
            let _over = match tls {
                Some(tls) => {
                    let mut near = tls.accept(near).await.unwrap();
                    copy_bidirectional(&mut near, &mut far).await
                }
                None => copy_bidirectional(&mut near, &mut far).await,
            };
        });
        String::from_utf8(request).unwrap()
    });
    (port, serving)
}

#[tokio::test]
async fn a_proxy_and_a_private_certificate_are_on_the_way() {
    let broker = Broker::start(plan(SessionType::Port), true, &[]).await;
    let certified = rcgen::generate_simple_self_signed(vec!["vpce.example".to_owned()]).unwrap();
    let certificate = certified.cert.der().clone();
    let key = tokio_rustls::rustls::pki_types::PrivateKeyDer::try_from(certified.signing_key.serialize_der())
        .unwrap();
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let server = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let server = server.with_no_client_auth().with_single_cert(vec![certificate.clone()], key).unwrap();
    let (port, asked) = proxy_to(broker.address, Some(TlsAcceptor::from(Arc::new(server)))).await;
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let mut options = options();
    options.dial.tls = Arc::new(trusting(roots));
    options.dial.policy = StreamPolicy::Replace("https://vpce.example".into());
    let proxy: Proxy = format!("http://me:secret@127.0.0.1:{port}").parse().unwrap();
    options.dial.proxy_for = Arc::new(move |host| {
        assert_eq!(host, "vpce.example");
        Some(proxy.clone())
    });
    let mut session = Session::open(broker.opened(), Aws::default(), options);
    session.handle.send_input("through".into()).await.unwrap();
    assert_eq!(read(&mut session, 7).await.0, b"through");
    let asked = asked.await.unwrap();
    assert!(asked.starts_with("CONNECT vpce.example:443 HTTP/1.1\r\n"), "{asked}");
    assert!(asked.contains("Proxy-Authorization: Basic bWU6c2VjcmV0\r\n"), "{asked}");
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_is_not_accepted() {
    let broker = Broker::start(plan(SessionType::Port), true, &[]).await;
    let mut options = options();
    options.dial.policy = StreamPolicy::Replace(format!("https://127.0.0.1:{}", broker.address.port()));
    let mut session = Session::open(broker.opened(), Aws::default(), options);
    let over = end(&mut session).await.to_string();
    assert!(over.contains("could not talk to 127.0.0.1 over TLS"), "{over}");
    assert!(broker.seen.lock().unwrap().openings.is_empty());
}
