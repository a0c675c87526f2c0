use std::time::Duration;

use bytes::Bytes;
use serde_json::json;

use super::*;
use crate::channel::ChannelOptions;
use crate::crypto::{DATA_KEY_BYTES, DataKey};
use crate::frame::{Frame, MessageType, PayloadType};
use crate::handshake::{AgentPlan, Encryption, GeneratedKey, HandshakeError, Started};
use crate::payload::{HandshakeResponse, JsonPayload, SessionFlag, SessionType, TerminalSize};

const S: Duration = Duration::from_secs(1);
const KEY: [u8; DATA_KEY_BYTES] = [9; DATA_KEY_BYTES];

fn plan(session_type: SessionType) -> AgentPlan {
    AgentPlan {
        agent_version: "3.3.0.0".into(),
        session_type,
        properties: json!({"portNumber": "22"}),
        encryption: None,
        customer_message: String::new(),
    }
}

fn encrypted(challenge: Option<&str>, is_acknowledgement_required: bool) -> AgentPlan {
    let encryption = Encryption {
        key_id: "arn:key".into(),
        challenge: challenge.map(Into::into),
        is_acknowledgement_required,
    };
    let customer_message = "This session is encrypted using AWS KMS.".into();
    AgentPlan { encryption: Some(encryption), customer_message, ..plan(SessionType::StandardStream) }
}

fn client() -> ClientEnd {
    ClientEnd::new(Duration::ZERO, ClientOptions::new(ChannelOptions::client(1, 1), [1; 12]))
}

fn agent(plan: AgentPlan) -> AgentEnd {
    AgentEnd::new(Duration::ZERO, AgentOptions::new(ChannelOptions::agent(2, 1), plan, [2; 32]))
}

/// Passes messages until there are none; KMS is at hand. Gives the events of both.
fn talk(client: &mut ClientEnd, agent: &mut AgentEnd) -> (Vec<ClientEvent>, Vec<AgentEvent>) {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    loop {
        let mut is_quiet = true;
        while let Some(wire) = agent.transmit(S) {
            client.receive(S, wire).unwrap();
            is_quiet = false;
        }
        while let Some(event) = client.next_event(S).unwrap() {
            if let ClientEvent::DataKeyNeeded(request) = &event {
                assert_eq!(request.key_id, "arn:key");
                let plaintext = DataKey::new(&KEY).unwrap();
                client.data_key(S, Ok(GeneratedKey { plaintext, ciphertext: b"sealed".to_vec() })).unwrap();
            }
            ours.push(event);
            is_quiet = false;
        }
        while let Some(wire) = client.transmit(S) {
            agent.receive(S, wire).unwrap();
            is_quiet = false;
        }
        while let Some(event) = agent.next_event(S).unwrap() {
            if let AgentEvent::DecryptionNeeded { ciphertext, .. } = &event {
                assert_eq!(ciphertext, b"sealed");
                agent.data_key(S, Ok(DataKey::new(&KEY).unwrap())).unwrap();
            }
            theirs.push(event);
            is_quiet = false;
        }
        if is_quiet {
            return (ours, theirs);
        }
    }
}

fn started(events: &[ClientEvent]) -> &Started {
    events
        .iter()
        .find_map(|e| if let ClientEvent::Started(started) = e { Some(&**started) } else { None })
        .unwrap()
}

fn control(message_type: MessageType, payload: &'static [u8]) -> Bytes {
    let mut agent = agent(plan(SessionType::Port));
    let frame = Frame::decode(agent.transmit(S).unwrap(), Default::default()).unwrap();
    let header = crate::frame::Header { message_type, payload_type: PayloadType::None, ..frame.header };
    Frame { header, payload: payload.into() }.encode()
}

#[test]
fn a_port_begins_with_a_handshake() {
    let (mut client, mut agent) = (client(), agent(plan(SessionType::Port)));
    // Nothing is sent before the session begins.
    client.input("early".into());
    client.resize(TerminalSize { cols: 80, rows: 24 });
    assert!(client.transmit(S).is_none() && !client.is_started() && client.pending_bytes() > 0);
    let (ours, theirs) = talk(&mut client, &mut agent);
    let started = started(&ours);
    assert_eq!(started.session_type, SessionType::Port);
    assert_eq!(started.properties, json!({"portNumber": "22"}));
    assert!(started.agent_version.as_ref().unwrap().multiplexes());
    assert!(!started.is_encrypted);
    let [
        AgentEvent::Started { client_version: Some(version), is_encrypted: false },
        AgentEvent::Input(input),
    ] = &theirs[..]
    else {
        panic!("{theirs:?}")
    };
    assert!(version.multiplexes() && !version.wants_keepalive());
    assert_eq!(input, "early");
    agent.flag(SessionFlag::ConnectToPortError);
    agent.output("\n".into());
    let (ours, _) = talk(&mut client, &mut agent);
    assert_eq!(ours, [ClientEvent::Flag(SessionFlag::ConnectToPortError), ClientEvent::Output("\n".into())]);
    assert!(client.is_drained() && agent.is_drained());
}

#[test]
fn a_shell_without_a_key_begins_with_its_first_output() {
    let (mut client, mut agent) = (client(), agent(plan(SessionType::StandardStream)));
    client.resize(TerminalSize { cols: 80, rows: 24 });
    client.resize(TerminalSize { cols: 0, rows: 24 });
    client.resize(TerminalSize { cols: 90, rows: 25 });
    client.input("ls\r".into());
    assert_eq!(talk(&mut client, &mut agent).0, []);
    agent.output("$ ".into());
    let (ours, theirs) = talk(&mut client, &mut agent);
    assert_eq!(
        ours,
        [ClientEvent::Started(Box::new(Started::without_handshake())), ClientEvent::Output("$ ".into())]
    );
    assert_eq!(
        theirs,
        [AgentEvent::Size(TerminalSize { cols: 90, rows: 25 }), AgentEvent::Input("ls\r".into())],
        "of early sizes only the last is sent"
    );
}

#[test]
fn a_command_has_its_streams_and_its_exit_code() {
    let (mut client, mut agent) = (client(), agent(plan(SessionType::NonInteractiveCommands)));
    agent.output("out".into());
    agent.std_err("err".into());
    agent.exit_code(7);
    let (ours, _) = talk(&mut client, &mut agent);
    assert_eq!(
        ours[1..],
        [ClientEvent::Output("out".into()), ClientEvent::StdErr("err".into()), ClientEvent::ExitCode(7)]
    );
}

#[test]
fn a_session_is_encrypted_with_and_without_a_challenge() {
    for (challenge, is_required) in
        [(None, false), (Some("Y2hhbGxlbmdl"), false), (Some("Y2hhbGxlbmdl"), true)]
    {
        let (mut client, mut agent) = (client(), agent(encrypted(challenge, is_required)));
        client.input("secret".into());
        let (ours, theirs) = talk(&mut client, &mut agent);
        let Some(ClientEvent::DataKeyNeeded(request)) = ours.first() else { panic!("{ours:?}") };
        let context = request.encryption_context("s-1", "i-1");
        let bound = context
            .iter()
            .find(|(name, _)| name == "aws:ssm:RandomChallenge")
            .map(|(_, value)| value.as_str());
        assert_eq!((context.len(), bound), (if challenge.is_some() { 3 } else { 2 }, challenge));
        let Some(AgentEvent::DecryptionNeeded { request: theirs_request, .. }) = theirs.first() else {
            panic!()
        };
        assert_eq!(theirs_request, request, "the agent decrypts with the same context");
        assert!(started(&ours).is_encrypted);
        assert_eq!(started(&ours).customer_message, "This session is encrypted using AWS KMS.");
        assert_eq!(theirs.last(), Some(&AgentEvent::Input("secret".into())));
        agent.output("answer".into());
        agent.exit_code(3);
        let wire = agent.transmit(S).unwrap();
        assert!(!wire.windows(6).any(|window| window == b"answer"));
        client.receive(S, wire).unwrap();
        let (ours, _) = talk(&mut client, &mut agent);
        assert_eq!(ours, [ClientEvent::Output("answer".into()), ClientEvent::ExitCode(3)]);
    }
}

#[test]
fn ports_are_never_encrypted() {
    let plan = AgentPlan { session_type: SessionType::Port, ..encrypted(None, false) };
    let (ours, _) = talk(&mut client(), &mut agent(plan));
    assert!(!started(&ours).is_encrypted);
}

#[test]
fn without_a_data_key_the_agent_is_told_why() {
    let (mut client, mut agent) = (client(), agent(encrypted(None, false)));
    client.receive(S, agent.transmit(S).unwrap()).unwrap();
    assert!(matches!(client.next_event(S), Ok(Some(ClientEvent::DataKeyNeeded(_)))));
    let denied = HandshakeError::NoKey { key_id: "arn:key".into(), why: "AccessDenied".into() };
    client.data_key(S, Err(denied.clone())).unwrap();
    while let Some(wire) = client.transmit(S) {
        agent.receive(S, wire).unwrap();
    }
    let AgentError::Handshake(HandshakeError::Refused(why)) = agent.next_event(S).unwrap_err() else {
        panic!()
    };
    assert!(why.contains("KMSEncryption") && why.contains("AccessDenied"), "{why}");
    assert_eq!(client.no_key(), Some(&denied));
}

#[test]
fn another_key_is_found_out() {
    let (mut client, mut agent) = (client(), agent(encrypted(None, false)));
    client.receive(S, agent.transmit(S).unwrap()).unwrap();
    client.next_event(S).unwrap();
    let plaintext = DataKey::new(&[1; DATA_KEY_BYTES]).unwrap();
    client.data_key(S, Ok(GeneratedKey { plaintext, ciphertext: vec![] })).unwrap();
    while let Some(wire) = client.transmit(S) {
        agent.receive(S, wire).unwrap();
    }
    agent.next_event(S).unwrap();
    agent.data_key(S, Ok(DataKey::new(&KEY).unwrap())).unwrap();
    while let Some(wire) = agent.transmit(S) {
        client.receive(S, wire).unwrap();
    }
    assert_eq!(client.next_event(S), Err(ClientError::Handshake(HandshakeError::Challenge)));
}

#[test]
fn what_is_unknown_is_answered_so() {
    let mut client = client();
    let mut agent = agent(plan(SessionType::Other("Teleport".into())));
    client.receive(S, agent.transmit(S).unwrap()).unwrap();
    client.next_event(S).unwrap();
    let response = std::iter::from_fn(|| client.transmit(S))
        .map(|wire| Frame::decode(wire, Default::default()).unwrap())
        .find(|frame| frame.header.payload_type == PayloadType::HandshakeResponse)
        .unwrap();
    let response = HandshakeResponse::from_json(&response.payload).unwrap();
    let action = &response.processed_client_actions[0];
    assert_eq!(
        (u32::from(action.action_status), action.error.as_str()),
        (2, "Unknown session type Teleport")
    );
}

#[test]
fn an_agent_throws_away_what_comes_during_a_handshake() {
    let mut agent = agent(plan(SessionType::Port));
    let mut other = self::agent(plan(SessionType::StandardStream));
    let mut eager = client();
    other.output("x".into());
    talk(&mut eager, &mut other);
    eager.input("too early".into());
    // The other agent has not seen it, this one has.
    agent.receive(S, eager.transmit(S).unwrap()).unwrap();
    assert_eq!(agent.next_event(S), Ok(None));
    agent.transmit(S).unwrap();
    eager.receive(S, agent.transmit(S).unwrap_or_default()).unwrap_or_default();
    assert_eq!(agent.stats().received_messages, 1);
}

#[test]
fn an_agent_that_is_not_ready_leaves_input_unacknowledged() {
    let (mut client, mut agent) = (client(), agent(plan(SessionType::Port)));
    talk(&mut client, &mut agent);
    agent.set_ready(false);
    client.input("x".into());
    assert_eq!(talk(&mut client, &mut agent).1, []);
    assert!(!client.is_drained());
    agent.set_ready(true);
    assert_eq!(talk(&mut client, &mut agent).1, [AgentEvent::Input("x".into())]);
    assert!(client.is_drained());
}

#[test]
fn silence_ends_in_an_error() {
    let mut client = client();
    assert_eq!(client.deadline(), Some(S * 60));
    client.connected(S * 10);
    client.expire(S * 69).unwrap();
    assert_eq!(client.expire(S * 70), Err(ClientError::NotStarted(S * 60)));
    let (mut client, mut agent) = (self::client(), agent(plan(SessionType::Port)));
    client.receive(S, agent.transmit(S).unwrap()).unwrap();
    client.next_event(S).unwrap();
    assert_eq!(client.expire(S * 61), Err(ClientError::HandshakeStuck(S * 60)));
    assert_eq!(agent.expire(S * 15), Err(AgentError::HandshakeTimeout));
}

#[test]
fn a_command_may_begin_in_silence() {
    let options = ClientOptions {
        quiet_start_after: Some(S * 3),
        ..ClientOptions::new(ChannelOptions::client(1, 1), [1; 12])
    };
    let mut client = ClientEnd::new(Duration::ZERO, options);
    client.input("hello".into());
    assert_eq!(client.deadline(), Some(S * 60), "the agent has to be there first");
    client.receive(S, control(MessageType::StartPublication, b"")).unwrap();
    assert_eq!(client.next_event(S), Ok(None));
    assert_eq!(client.deadline(), Some(S * 4));
    client.expire(S * 4).unwrap();
    assert!(matches!(client.next_event(S * 4), Ok(Some(ClientEvent::Started(_)))));
    assert!(client.is_started() && client.transmit(S * 4).is_some());
    // The first output is then nothing special.
    let mut agent = agent(plan(SessionType::InteractiveCommands));
    agent.output("hello".into());
    client.receive(S * 5, agent.transmit(S).unwrap()).unwrap();
    assert_eq!(client.next_event(S * 5), Ok(Some(ClientEvent::Output("hello".into()))));
}

#[test]
fn absence_is_told_and_its_end_too() {
    let (mut client, mut agent) = (client(), agent(plan(SessionType::Port)));
    talk(&mut client, &mut agent);
    for back in [control(MessageType::StartPublication, b""), {
        agent.output("back".into());
        agent.transmit(S).unwrap()
    }] {
        client.receive(S, control(MessageType::PausePublication, b"")).unwrap();
        assert_eq!(client.next_event(S), Ok(Some(ClientEvent::PeerAway)));
        client.receive(S, back).unwrap();
        assert_eq!(client.next_event(S), Ok(Some(ClientEvent::PeerPresent)));
    }
}

/// What follows a hole in an encrypted stream is not what was meant, and an orderly end after it is none.
#[test]
fn nothing_is_passed_on_after_a_message_that_is_not_authentic() {
    let (mut client, mut agent) = (client(), agent(encrypted(None, false)));
    talk(&mut client, &mut agent);
    let wires = ["good", "altered", "after the hole"].map(|text| {
        agent.output(text.into());
        agent.transmit(S).unwrap()
    });
    for (n, wire) in wires.into_iter().enumerate() {
        let Frame { header, payload } = Frame::decode(wire, Default::default()).unwrap();
        let mut payload = payload.to_vec();
        if n == 1 {
            *payload.last_mut().unwrap() ^= 1;
        }
        client.receive(S, Frame { header, payload: payload.into() }.encode()).unwrap();
    }
    client.receive(S, control(MessageType::ChannelClosed, b"{}")).unwrap();
    assert_eq!(client.next_event(S), Ok(Some(ClientEvent::Output("good".into()))));
    for _ in 0..3 {
        let error = client.next_event(S);
        assert!(matches!(error, Err(ClientError::NotAuthentic(_))), "{error:?}");
    }
}

#[test]
fn nothing_is_passed_on_after_a_handshake_that_failed() {
    let (mut client, mut agent) = (client(), agent(plan(SessionType::Port)));
    client.receive(S, agent.transmit(S).unwrap()).unwrap();
    assert_eq!(client.next_event(S), Ok(None));
    let nobody_asked = HandshakeError::NoKey { key_id: "arn:key".into(), why: "denied".into() };
    let error = client.data_key(S, Err(nobody_asked)).unwrap_err();
    client.receive(S, control(MessageType::ChannelClosed, b"{}")).unwrap();
    assert_eq!(client.next_event(S), Err(error));
}

#[test]
fn a_close_comes_after_all_that_came_before_it() {
    let (mut client, mut agent) = (client(), agent(plan(SessionType::StandardStream)));
    agent.output("a".into());
    agent.flag(SessionFlag::Other(9));
    agent.output("c".into());
    let wires: Vec<Bytes> = std::iter::from_fn(|| agent.transmit(S)).collect();
    client.receive(S, control(MessageType::ChannelClosed, br#"{"Output":"done"}"#)).unwrap();
    client.receive(S, wires[0].clone()).unwrap();
    client.receive(S, wires[2].clone()).unwrap();
    let events: Vec<ClientEvent> = std::iter::from_fn(|| client.next_event(S).unwrap()).collect();
    assert_eq!(
        events[1..],
        [ClientEvent::Output("a".into()), ClientEvent::Closed { output: "done".into(), is_cut: true }]
    );
}

/// The next message of an agent, changed.
fn changed(agent: &mut AgentEnd, change: impl FnOnce(&mut Frame)) -> Bytes {
    let mut frame = Frame::decode(agent.transmit(S).unwrap(), Default::default()).unwrap();
    change(&mut frame);
    frame.encode()
}

#[test]
fn what_can_not_be_read_ends_the_session() {
    let kinds: [(u32, &'static [u8]); 2] = [(10, b"four!"), (12, b"EXIT_CODE: soon")];
    for (kind, payload) in kinds {
        let (mut client, mut agent) = (client(), agent(plan(SessionType::NonInteractiveCommands)));
        talk(&mut client, &mut agent);
        agent.output("text".into());
        let wire = changed(&mut agent, |frame| {
            frame.header.payload_type = PayloadType::from(kind);
            frame.payload = payload.into();
        });
        client.receive(S, wire).unwrap();
        let error = ClientError::Meaningless { payload_type: kind, length: payload.len() };
        assert_eq!(client.next_event(S), Err(error));
    }
}

#[test]
fn types_of_later_agents_are_passed_over() {
    for kind in [0, 2, 77] {
        let (mut client, mut agent) = (client(), agent(plan(SessionType::NonInteractiveCommands)));
        talk(&mut client, &mut agent);
        agent.output("unknown".into());
        let wire = changed(&mut agent, |frame| frame.header.payload_type = PayloadType::from(kind));
        client.receive(S, wire).unwrap();
        agent.output("known".into());
        client.receive(S, agent.transmit(S).unwrap()).unwrap();
        assert_eq!(client.next_event(S), Ok(Some(ClientEvent::Output("known".into()))));
    }
}

#[test]
fn a_number_that_comes_twice_ends_the_session() {
    let (mut client, mut agent) = (client(), agent(plan(SessionType::NonInteractiveCommands)));
    talk(&mut client, &mut agent);
    agent.output("first".into());
    let first = agent.transmit(S).unwrap();
    agent.output("second".into());
    let sequence = Frame::decode(first.clone(), Default::default()).unwrap().header.sequence;
    let second = changed(&mut agent, |frame| frame.header.sequence = sequence);
    client.receive(S, second).unwrap();
    assert_eq!(client.next_event(S), Ok(Some(ClientEvent::Output("second".into()))));
    client.receive(S, first).unwrap();
    assert!(matches!(client.next_event(S), Err(ClientError::NumberReused(reused)) if reused.0 == sequence));
}
