//! The gateway: who gets in, how connections end, and what becomes of sessions.

use crate::client::{
    Client, PATIENCE, ask, call, connect, dial, first_word, node, now, open, record, signed, ssm, start,
    until,
};
use futures_util::{SinkExt as _, StreamExt as _};
use herder_sim::{Outcome, Server, SessionAct};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};

const SHELL: (&str, Value) = ("", Value::Null);

/// Dials with a signature; the status where it is refused.
async fn dial_signed(
    server: &Server,
    url: &str,
    (service, secret): (&str, &str),
    time: &str,
) -> Result<(), u16> {
    let mut request = url.into_client_request().unwrap();
    let (path, query) = (request.uri().path().to_owned(), request.uri().query().unwrap().to_owned());
    let header = signed(server, ("GET", &path, &query, ""), (service, secret), time);
    request.headers_mut().insert("authorization", header.parse().unwrap());
    request.headers_mut().insert("x-amz-date", time.parse().unwrap());
    match tokio_tungstenite::client_async(request, connect(server).await).await {
        Ok(_) => Ok(()),
        Err(Error::Http(response)) => Err(response.status().as_u16()),
        Err(other) => panic!("{other}"),
    }
}

async fn status(server: &Server, url: &str) -> u16 {
    match dial(server, url).await {
        Ok(_) => 101,
        Err(Error::Http(response)) => response.status().as_u16(),
        Err(_) => 0,
    }
}

#[tokio::test]
async fn signatures_are_checked_where_there_are_any() {
    let server = start("5,windows=0").await;
    let opened = open(&server, &node(&server), SHELL).await;
    let secret = server.secret_key().to_owned();
    assert_eq!(dial_signed(&server, &opened.url, ("ssmmessages", &secret), &now()).await, Ok(()));
    assert_eq!(dial_signed(&server, &opened.url, ("ssm", &secret), &now()).await, Err(403));
    assert_eq!(dial_signed(&server, &opened.url, ("ssmmessages", "another"), &now()).await, Err(403));
    assert_eq!(
        dial_signed(&server, &opened.url, ("ssmmessages", &secret), "20200101T000000Z").await,
        Err(403)
    );
    assert_eq!(status(&server, &opened.url).await, 101);
    server.control().expire_credentials();
    assert_eq!(dial_signed(&server, &opened.url, ("ssmmessages", &secret), &now()).await, Err(403));
    server.control().renew_credentials();
    let requests = server.control().requests();
    let visits: Vec<&Outcome> =
        requests.iter().filter(|one| one.api == "OpenDataChannel").map(|one| &one.outcome).collect();
    assert_eq!(visits.len(), 6);
    assert_eq!(
        (visits[0], visits[1]),
        (&Outcome::Accepted, &Outcome::Error("InvalidSignatureException".into()))
    );
    assert!(requests.iter().any(|one| one.service == "ssmmessages" && one.account == "123456789012"));
    let strict = start("5,windows=0,session_signed").await;
    let opened = open(&strict, &node(&strict), SHELL).await;
    assert_eq!(status(&strict, &opened.url).await, 403);
    assert_eq!(dial_signed(&strict, &opened.url, ("ssmmessages", &secret), &now()).await, Ok(()));
    let mut faults = strict.control().fault_settings();
    faults.deny.push("OpenDataChannel".into());
    strict.control().faults(faults);
    assert_eq!(dial_signed(&strict, &opened.url, ("ssmmessages", &secret), &now()).await, Err(403));
}

#[tokio::test]
async fn tokens_open_a_channel_once() {
    let server = start("5,windows=0").await;
    let opened = open(&server, &node(&server), SHELL).await;
    let first_then = async |word: Message| {
        let mut socket = dial(&server, &opened.url).await.unwrap();
        socket.send(word).await.unwrap();
        loop {
            match timeout(PATIENCE, socket.next()).await.unwrap() {
                Some(Ok(Message::Close(frame))) => return Some(u16::from(frame.unwrap().code)),
                Some(Ok(Message::Binary(_))) => return None,
                Some(Ok(_)) => {}
                other => panic!("{other:?}"),
            }
        }
    };
    assert_eq!(first_then(first_word("another token")).await, Some(1008));
    assert_eq!(first_then(Message::Text("hello".into())).await, Some(1008));
    assert_eq!(first_then(Message::Binary(vec![0; 200].into())).await, Some(1008));
    assert_eq!(first_then(first_word(&opened.token)).await, None);
    assert_eq!(first_then(first_word(&opened.token)).await, Some(1008));
    let again = ssm(&server, "ResumeSession", json!({"SessionId": opened.id})).await;
    assert_eq!(first_then(first_word(again["TokenValue"].as_str().unwrap())).await, None);
    assert_eq!(status(&server, &opened.url.replace("data-channel/", "data-channel/x")).await, 404);
    assert_eq!(record(&server, &opened.id).connects, 2);
    let short = start("5,windows=0,session_token=50ms").await;
    let opened = open(&short, &node(&short), SHELL).await;
    tokio::time::sleep(Duration::from_millis(120)).await;
    let mut socket = dial(&short, &opened.url).await.unwrap();
    socket.send(first_word(&opened.token)).await.unwrap();
    let closed = timeout(PATIENCE, socket.next()).await.unwrap().unwrap().unwrap();
    assert!(matches!(closed, Message::Close(Some(frame)) if u16::from(frame.code) == 1008));
}

#[tokio::test]
async fn shells_survive_the_hourly_goodbye_and_other_ends() {
    let server = start("5,windows=0").await;
    let mut client = Client::start(&server, &node(&server), SHELL).await;
    client.types_and_sees("X=kept\r", "$ ").await;
    let id = client.opened.id.clone();
    for (number, act) in [
        SessionAct::Bye,
        SessionAct::Drop,
        SessionAct::Close { code: 1011, reason: "oops".into() },
        SessionAct::Cut { ms: 300 },
    ]
    .into_iter()
    .enumerate()
    {
        assert!(server.control().act(&id, act));
        client.types_and_sees(&format!("echo $X {number}\r"), &format!("kept {number}\r\n")).await;
    }
    assert_eq!(client.codes, [1000, 1011]);
    let record = client.record();
    assert_eq!(record.closes, ["1000 Bye", "dropped", "1011 oops", "cut"]);
    assert!(record.resumes >= 4 && record.connects >= 5, "{record:?}");
    assert!(client.text().matches("kept 2").count() >= 1);
    server.control().act(&id, SessionAct::Freeze { ms: 400 });
    let begun = tokio::time::Instant::now();
    client.types_and_sees("echo frozen\r", "\r\nfrozen\r\n").await;
    assert!(begun.elapsed() >= Duration::from_millis(350));
    server.control().act(&id, SessionAct::Pause);
    client.until("being told that the agent is away", |client| client.away == 1).await;
    server.control().act(&id, SessionAct::Start);
    client.types_and_sees("echo back\r", "\r\nback\r\n").await;
}

#[tokio::test]
async fn the_goodbye_comes_by_itself() {
    let server = start("5,windows=0,session_bye=300ms").await;
    let mut client = Client::start(&server, &node(&server), SHELL).await;
    let id = client.opened.id.clone();
    client.until("a second goodbye", |client| client.codes.len() >= 2).await;
    client.types_and_sees("echo still here\r", "\r\nstill here\r\n").await;
    assert!(record(&server, &id).closes.iter().all(|how| how == "1000 Bye"));
}

#[tokio::test]
async fn sessions_end_in_several_ways() {
    let server = start("5,windows=0").await;
    let target = node(&server);
    let mut told = Client::start(&server, &target, SHELL).await;
    told.until("a prompt", |client| client.text().ends_with("$ ")).await;
    server
        .control()
        .act(&told.opened.id, SessionAct::Terminate { output: "Ended by an administrator.".into() });
    assert_eq!(told.over().await, "Ended by an administrator.");
    let mut ended = Client::start(&server, &target, SHELL).await;
    ended.until("a prompt", |client| client.text().ends_with("$ ")).await;
    ssm(&server, "TerminateSession", json!({"SessionId": ended.opened.id})).await;
    assert_eq!(ended.over().await, "");
    let (status_code, answer) =
        call(&server, "AmazonSSM.ResumeSession", &json!({"SessionId": ended.opened.id})).await;
    assert_eq!((status_code, answer["__type"].as_str()), (400, Some("DoesNotExistException")));
    assert_eq!(status(&server, &ended.opened.url).await, 400);
    let mut idle = Client::start(&server, &target, SHELL).await;
    idle.until("a prompt", |client| client.text().ends_with("$ ")).await;
    server.control().act(&idle.opened.id, SessionAct::TimeOut);
    assert!(idle.over().await.contains("timed out"));
    let (_, answer) = call(&server, "AmazonSSM.ResumeSession", &json!({"SessionId": idle.opened.id})).await;
    assert_eq!(answer, json!({"SessionId": idle.opened.id}));
    assert!(!server.control().act(&idle.opened.id, SessionAct::Bye));
    let history = ssm(&server, "DescribeSessions", json!({"State": "History"})).await;
    assert_eq!(history["Sessions"].as_array().unwrap().len(), 3);
    let quick = start("5,windows=0,session_idle=300ms").await;
    let mut idle = Client::start(&quick, &node(&quick), SHELL).await;
    assert!(idle.over().await.contains("timed out"));
    let long = start("5,windows=0,session_longest=500ms,session_idle=1h").await;
    let mut busy = Client::start(&long, &node(&long), SHELL).await;
    busy.types("while :; do echo x; sleep 0.05; done\r");
    assert!(busy.over().await.contains("maximum duration"));
}

#[tokio::test]
async fn states_are_those_of_the_service() {
    let server = start("5,windows=0").await;
    let opened = open(&server, &node(&server), SHELL).await;
    let shown = async || {
        let filter = json!([{"key": "SessionId", "value": opened.id}]);
        let answer = ssm(&server, "DescribeSessions", json!({"State": "Active", "Filters": filter})).await;
        answer["Sessions"][0]["Status"].as_str().unwrap_or_default().to_owned()
    };
    assert_eq!(shown().await, "Connecting");
    let mut socket = dial(&server, &opened.url).await.unwrap();
    socket.send(first_word(&opened.token)).await.unwrap();
    until("the connection", || record(&server, &opened.id).status == "Connected").await;
    drop(socket);
    until("the departure", || record(&server, &opened.id).status == "Disconnected").await;
    assert_eq!(shown().await, "Disconnected");
}

#[tokio::test]
async fn large_frames_can_be_refused() {
    let server = start("5,windows=0,session_frame_limit=2000").await;
    let mut client =
        Client::start_with(&server, &node(&server), SHELL, |options| options.channel.chunk_bytes = 4000)
            .await;
    client.until("a prompt", |client| client.text().ends_with("$ ")).await;
    client.types(&format!("echo {}\r", "x".repeat(3000)));
    client.until("being closed for it", |client| client.codes.contains(&1009)).await;
}

#[tokio::test]
async fn control_over_http_does_the_same() {
    let server = start("5,windows=0").await;
    let mut client = Client::start(&server, &node(&server), SHELL).await;
    client.until("a prompt", |client| client.text().ends_with("$ ")).await;
    let post = async |name: &str, body: Value| -> Value {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let method = if body.is_empty() { "GET" } else { "POST" };
        let text = format!(
            "{method} /_sim/{name} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        serde_json::from_str(&ask(&server, &text).await.1).unwrap()
    };
    let sessions = post("sessions", Value::Null).await;
    assert_eq!(
        (sessions[0]["id"].as_str(), sessions[0]["status"].as_str()),
        (Some(client.opened.id.as_str()), Some("Connected"))
    );
    post("frame-faults", json!({"down": {"duplicate": 1.0}})).await;
    assert_eq!(post("frame-faults", Value::Null).await["down"]["duplicate"], json!(1.0));
    client.types_and_sees("echo twice\r", "\r\ntwice\r\n").await;
    assert!(client.record().faults["down duplicate"] > 0);
    assert_eq!(
        post("session", json!({"id": client.opened.id, "act": {"terminate": {"output": "bye"}}})).await,
        json!(true)
    );
    assert_eq!(client.over().await, "bye");
    assert_eq!(post("session", json!({"id": "x", "act": "bye"})).await, json!(false));
    assert!(post("session", json!({"id": "x", "act": "dance"})).await["error"].is_string());
}
