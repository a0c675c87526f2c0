//! A real agent, played by the test: it registers over TLS, hears of a session, and serves it.

use crate::client::{
    Client, PATIENCE, Ws, address, ask, call, connect, first_word, node, now, open, record, signed, ssm,
    until,
};
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use herder_session::channel::ChannelOptions;
use herder_session::end::{AgentEnd, AgentEvent, AgentOptions};
use herder_session::frame::{DigestCheck, Flags, Frame, Header, MessageId, MessageType, PayloadType};
use herder_session::handshake::AgentPlan;
use herder_session::payload::SessionType;
use herder_sim::{ServeOptions, Server, serve};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

const AGENT: &str = "i-0123456789abcdef0";

async fn secure(spec: &str) -> Server {
    serve(spec.parse().unwrap(), ServeOptions { port: 0, tls: true }).await.unwrap()
}

/// Asks for a channel: status and body.
async fn create(server: &Server, path: &str) -> (u16, String) {
    let body = json!({"MessageSchemaVersion": "1.0", "RequestId": "11111111-2222-4333-8444-555555555555"})
        .to_string();
    let time = now();
    let header = signed(server, ("POST", path, "", &body), ("ssmmessages", server.secret_key()), &time);
    let text = format!(
        "POST {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nAuthorization: {header}\r\nX-Amz-Date: {time}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        address(server),
        body.len()
    );
    ask(server, &text).await
}

fn element(text: &str, name: &str) -> String {
    let rest = text.split(&format!("<{name}>")).nth(1).unwrap();
    rest.split(&format!("</{name}>")).next().unwrap().to_owned()
}

/// Dials a channel as an agent does: signed, and with its first message.
async fn dial(server: &Server, path: &str, query: &str, word: Value) -> Ws {
    let url = format!("wss://{}{path}?{query}", address(server));
    let mut request = url.into_client_request().unwrap();
    let time = now();
    let header = signed(server, ("GET", path, query, ""), ("ssmmessages", server.secret_key()), &time);
    request.headers_mut().insert("authorization", header.parse().unwrap());
    request.headers_mut().insert("x-amz-date", time.parse().unwrap());
    let (mut socket, _) = tokio_tungstenite::client_async(request, connect(server).await).await.unwrap();
    socket.send(Message::Text(word.to_string().into())).await.unwrap();
    socket
}

/// Registers: the control channel.
async fn register(server: &Server) -> Ws {
    let path = format!("/v1/control-channel/{AGENT}");
    let (status, body) = create(server, &path).await;
    assert_eq!((status, element(&body, "MessageSchemaVersion").as_str()), (201, "1.0"));
    let word = json!({"Cookie": null, "MessageSchemaVersion": "1.0", "RequestId": "11111111-2222-4333-8444-555555555555",
        "TokenValue": element(&body, "TokenValue"), "AgentVersion": "3.3.0.0", "PlatformType": "linux"});
    let socket = dial(server, &path, "role=subscribe&stream=input", word).await;
    until("the agent's registration", || {
        server.control().nodes().iter().any(|node| node.id == AGENT && node.ping == "Online")
    })
    .await;
    socket
}

async fn frame(socket: &mut Ws) -> Frame {
    loop {
        match timeout(PATIENCE, socket.next()).await.unwrap().unwrap().unwrap() {
            Message::Binary(bytes) => return Frame::decode(bytes, DigestCheck::Required).unwrap(),
            Message::Close(frame) => panic!("closed: {frame:?}"),
            _ => {}
        }
    }
}

fn message(message_type: MessageType, payload: Value) -> Message {
    message_with(message_type, PayloadType::None, payload)
}

fn message_with(message_type: MessageType, payload_type: PayloadType, payload: Value) -> Message {
    let header = Header {
        message_type,
        schema_version: 1,
        created_ms: 1_790_000_000_000,
        sequence: 0,
        flags: Flags::NONE,
        id: MessageId::from_u64_pair(7, 9),
        payload_type,
    };
    Message::Binary(Frame { header, payload: payload.to_string().into() }.encode())
}

/// An agent's data channel.
async fn attach(server: &Server, session: &str) -> Ws {
    let path = format!("/v1/data-channel/{session}");
    let (status, body) = create(server, &path).await;
    assert_eq!(status, 201);
    let word = json!({"MessageSchemaVersion": "1.0", "RequestId": "11111111-2222-4333-8444-555555555555",
        "TokenValue": element(&body, "TokenValue"), "ClientInstanceId": AGENT, "ClientId": "66666666-2222-4333-8444-555555555555"});
    let mut socket = dial(server, &path, "role=publish_subscribe", word).await;
    let state = json!({"SchemaVersion": 1, "SessionState": "Connected", "SessionId": session});
    socket.send(message(MessageType::AgentSessionState, state)).await.unwrap();
    socket
}

/// An agent's end on its data channel: answers `hello` with `world`, and is done when it hears `bye`.
async fn serve_session(server: &Server, session: &str, mut control: Ws) -> Ws {
    let mut socket = attach(server, session).await;
    let plan = AgentPlan {
        agent_version: "3.3.0.0".into(),
        session_type: SessionType::StandardStream,
        properties: Value::Null,
        encryption: None,
        customer_message: String::new(),
    };
    let origin = Instant::now();
    let mut end = AgentEnd::new(
        Duration::ZERO,
        AgentOptions::new(ChannelOptions::agent(3, 1_790_000_000_000), plan, [5; 32]),
    );
    end.output(Bytes::from("welcome\n"));
    let mut heard = Vec::new();
    while !heard.ends_with(b"bye") || !end.is_drained() {
        let now = origin.elapsed();
        while let Some(frame) = end.transmit(now) {
            socket.send(Message::Binary(frame)).await.unwrap();
        }
        if let Ok(Some(Ok(Message::Binary(bytes)))) = timeout(Duration::from_millis(20), socket.next()).await
        {
            end.receive(origin.elapsed(), bytes).unwrap();
        }
        end.expire(origin.elapsed()).unwrap();
        while let Some(event) = end.next_event(origin.elapsed()).unwrap() {
            if let AgentEvent::Input(bytes) = event {
                heard.extend_from_slice(&bytes);
                if heard.ends_with(b"hello") {
                    end.output(Bytes::from("world\n"));
                }
            }
        }
    }
    let state = json!({"SchemaVersion": 1, "SessionState": "Terminating", "SessionId": session});
    socket.send(message(MessageType::AgentSessionState, state)).await.unwrap();
    let complete = json!({"SchemaVersion": 1, "TaskId": session, "Topic": "t", "FinalTaskStatus": "Success", "IsRoutingFailure": false,
        "AwsAccountId": "", "InstanceId": AGENT, "Output": "the agent's last words", "S3Bucket": "", "S3UrlSuffix": "",
        "CwlGroup": "", "CwlStream": "", "RetryNumber": 0});
    control.send(message(MessageType::AgentTaskComplete, complete)).await.unwrap();
    let acknowledged = frame(&mut control).await;
    assert_eq!(acknowledged.header.message_type, MessageType::AgentTaskAcknowledge);
    let content: Value = serde_json::from_slice(&acknowledged.payload).unwrap();
    assert_eq!(
        (content["TaskId"].as_str(), content["MessageId"].as_str()),
        (Some(session), Some(MessageId::from_u64_pair(7, 9).to_string().as_str()))
    );
    let closed = loop {
        let next = frame(&mut socket).await;
        if next.header.message_type == MessageType::ChannelClosed {
            break next;
        }
    };
    assert!(String::from_utf8_lossy(&closed.payload).contains("the agent's last words"));
    control
}

#[tokio::test]
async fn an_agent_of_its_own_serves_sessions() {
    let server = secure(&format!("5,windows=0,agents={AGENT}")).await;
    let target = json!({"Target": AGENT});
    let (_, refused) = call(&server, "AmazonSSM.StartSession", &target).await;
    assert_eq!(refused["__type"], "TargetNotConnected");
    let mut control = register(&server).await;
    assert_eq!(ssm(&server, "GetConnectionStatus", target.clone()).await["Status"], "connected");
    let filter = json!([{"Key": "InstanceIds", "Values": [AGENT]}]);
    let shown = ssm(&server, "DescribeInstanceInformation", json!({"Filters": filter})).await;
    assert_eq!(shown["InstanceInformationList"][0]["AgentVersion"], "3.3.0.0");
    let mut client = Client::start(&server, AGENT, ("", Value::Null)).await;
    let begins = frame(&mut control).await;
    assert_eq!(begins.header.message_type, MessageType::InteractiveShell);
    let payload: Value = serde_json::from_slice(&begins.payload).unwrap();
    let content: Value = serde_json::from_str(payload["Content"].as_str().unwrap()).unwrap();
    assert_eq!(
        (payload["TaskId"].as_str(), payload["SchemaVersion"].as_i64()),
        (Some(client.opened.id.as_str()), Some(1))
    );
    assert_eq!(content["DocumentContent"]["sessionType"], "Standard_Stream");
    assert_eq!(content["SessionId"], client.opened.id.as_str());
    let id = client.opened.id.clone();
    let talk = async {
        client.until("the welcome", |client| client.text() == "welcome\n").await;
        client.types("hello");
        client.until("the answer", |client| client.text() == "welcome\nworld\n").await;
        server.control().act(&client.opened.id, herder_sim::SessionAct::Bye);
        client.types("bye");
        client.over().await
    };
    let (said, control) = tokio::join!(talk, serve_session(&server, &id, control));
    assert_eq!(said, "the agent's last words");
    let record = client.record();
    assert_eq!((record.agent_states[0].as_str(), record.closes[0].as_str()), ("Connected", "1000 Bye"));
    assert_eq!(record.status, "Terminated");
    drop(control);
    until("the agent's departure", || {
        server.control().nodes().iter().any(|node| node.id == AGENT && node.ping == "ConnectionLost")
    })
    .await;
}

/// A command that says nothing begins by its agent's arrival, and what waited for an agent is sent again when it is back.
#[tokio::test]
async fn a_client_that_is_first_hears_of_its_agent_and_of_its_return() {
    let server = secure(&format!("5,windows=0,agents={AGENT}")).await;
    let control = register(&server).await;
    let opened = open(&server, AGENT, ("", Value::Null)).await;
    let mut client = crate::client::dial(&server, &opened.url).await.unwrap();
    client.send(first_word(&opened.token)).await.unwrap();
    until("the client's arrival", || record(&server, &opened.id).connects == 1).await;
    for _ in 0..2 {
        let mut agent = attach(&server, &opened.id).await;
        assert_eq!(frame(&mut client).await.header.message_type, MessageType::StartPublication);
        assert_eq!(frame(&mut agent).await.header.message_type, MessageType::StartPublication);
        drop(agent);
        assert_eq!(frame(&mut client).await.header.message_type, MessageType::PausePublication);
    }
    // As herder's own end sees it: it has begun though nobody has said a word.
    let mut quiet = Client::start_with(&server, AGENT, ("", Value::Null), |options| {
        options.quiet_start_after = Some(Duration::from_millis(50));
    })
    .await;
    let id = quiet.opened.id.clone();
    let (agent, ()) = tokio::join!(attach(&server, &id), async {
        quiet.until("the beginning", |client| client.started.is_some()).await;
    });
    drop((agent, control));
}

/// The official agent closes its data channel, and says that the session is over a moment later: that is an end, and no absence.
#[tokio::test]
async fn an_agent_that_is_done_is_not_away() {
    let server = secure(&format!("5,windows=0,agents={AGENT}")).await;
    let mut control = register(&server).await;
    let opened = open(&server, AGENT, ("", Value::Null)).await;
    let mut client = crate::client::dial(&server, &opened.url).await.unwrap();
    client.send(first_word(&opened.token)).await.unwrap();
    until("the client's arrival", || record(&server, &opened.id).connects == 1).await;
    let agent = attach(&server, &opened.id).await;
    assert_eq!(frame(&mut client).await.header.message_type, MessageType::StartPublication);
    drop(agent);
    tokio::time::sleep(Duration::from_millis(100)).await;
    let complete = json!({"SchemaVersion": 1, "TaskId": opened.id, "Topic": "t", "FinalTaskStatus": "Failed", "Output": "no key"});
    control.send(message(MessageType::AgentTaskComplete, complete)).await.unwrap();
    let last = frame(&mut client).await;
    assert_eq!(last.header.message_type, MessageType::ChannelClosed);
    assert!(String::from_utf8_lossy(&last.payload).contains("no key"));
}

#[tokio::test]
async fn the_record_of_a_session_has_what_its_agent_and_client_said() {
    let server = secure(&format!("5,windows=0,agents={AGENT}")).await;
    let control = register(&server).await;
    let opened = open(&server, AGENT, ("AWS-StartSSHSession", json!({}))).await;
    let mut client = crate::client::dial(&server, &opened.url).await.unwrap();
    client.send(first_word(&opened.token)).await.unwrap();
    until("the client's arrival", || record(&server, &opened.id).connects == 1).await;
    let mut agent = attach(&server, &opened.id).await;
    let said = |payload_type, payload: Value| {
        let message_type = if payload_type == PayloadType::HandshakeRequest {
            MessageType::OutputStreamData
        } else {
            MessageType::InputStreamData
        };
        message_with(message_type, payload_type, payload)
    };
    let request = json!({"AgentVersion": "3.2.1.0", "RequestedClientActions": []});
    agent.send(said(PayloadType::HandshakeRequest, request)).await.unwrap();
    let response = json!({"ClientVersion": "1.2.3.0", "Errors": null, "ProcessedClientActions": [
        {"ActionType": "KMSEncryption", "ActionStatus": 1, "ActionResult": null, "Error": ""}]});
    client.send(said(PayloadType::HandshakeResponse, response)).await.unwrap();
    until("the record", || {
        let record = record(&server, &opened.id);
        record.agent_version == "3.2.1.0" && record.client_version == "1.2.3.0" && record.encrypted
    })
    .await;
    drop((agent, control));
}

#[tokio::test]
async fn strangers_do_not_become_agents() {
    let server = secure(&format!("5,windows=0,agents={AGENT}")).await;
    let (status, body) = create(&server, "/v1/control-channel/i-00000000000000000").await;
    assert_eq!(status, 403);
    assert!(body.contains("<AccessDeniedException>"), "{body}");
    let unsigned = format!(
        "POST /v1/control-channel/{AGENT} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    );
    assert_eq!(ask(&server, &unsigned).await.0, 403);
    let (status, body) = create(&server, "/v1/data-channel/me-0123456789").await;
    assert_eq!((status, body.contains("does not exist")), (404, true));
    let path = format!("/v1/control-channel/{AGENT}");
    let word = json!({"TokenValue": "wrong", "AgentVersion": "3.3.0.0"});
    let mut socket = dial(&server, &path, "role=subscribe&stream=input", word).await;
    let closed = timeout(PATIENCE, socket.next()).await.unwrap().unwrap().unwrap();
    assert!(matches!(closed, Message::Close(Some(frame)) if u16::from(frame.code) == 1008));
    assert!(server.control().nodes().iter().all(|node| node.id != AGENT || node.ping == "ConnectionLost"));
}

#[tokio::test]
async fn sessions_work_over_tls() {
    let server = secure("5,windows=0").await;
    let mut client = Client::start(&server, &node(&server), ("", Value::Null)).await;
    client.types_and_sees("echo over TLS\r", "\r\nover TLS\r\n").await;
    server.control().act(&client.opened.id, herder_sim::SessionAct::Bye);
    client.types_and_sees("echo again\r", "\r\nagain\r\n").await;
}
