use serde_json::json;

use super::*;
use crate::channel::Message;
use crate::frame::MessageId;
use crate::payload::{ActionStatus, EncryptionChallenge, HandshakeResponse, JsonPayload};

fn message(payload_type: PayloadType, payload: impl Into<Bytes>) -> Message {
    Message { sequence: 0, id: MessageId::nil(), payload_type, payload: payload.into() }
}

fn request(actions: Value) -> Message {
    let request = json!({"AgentVersion": "3.3.0.0", "RequestedClientActions": actions});
    message(PayloadType::HandshakeRequest, request.to_string())
}

fn client() -> ClientHandshake {
    ClientHandshake::new("1.2.764.0".into(), [0; 12])
}

fn response(step: ClientStep) -> HandshakeResponse {
    let ClientStep::Reply(reply) = step else { panic!("{step:?}") };
    HandshakeResponse::from_json(&reply.payload).unwrap()
}

#[test]
fn every_action_is_answered_in_order() {
    let mut client = client();
    let step = client.message(&request(json!([
        {"ActionType": "Teleport", "ActionParameters": {}},
        {"ActionType": "SessionType", "ActionParameters": {"SessionType": "Port", "Properties": {}}},
        {"ActionType": "SessionType", "ActionParameters": "what"},
    ])));
    let response = response(step.unwrap());
    let statuses: Vec<ActionStatus> =
        response.processed_client_actions.iter().map(|a| a.action_status).collect();
    assert_eq!(statuses, [ActionStatus::Unsupported, ActionStatus::Success, ActionStatus::Unsupported]);
    assert_eq!(response.processed_client_actions[0].error, "Unsupported action Teleport");
    assert!(client.is_under_way());
}

#[test]
fn a_second_key_is_not_supported() {
    let mut client = client();
    let kms = json!({"ActionType": "KMSEncryption", "ActionParameters": {"KMSKeyId": "a", "Challenge": "c"}});
    let step = client.message(&request(json!([kms, kms]))).unwrap();
    assert!(matches!(step, ClientStep::NeedDataKey(DataKeyRequest { challenge: Some(_), .. })));
    let key = GeneratedKey { plaintext: DataKey::new(&[0; 64]).unwrap(), ciphertext: b"k".to_vec() };
    let response = response(ClientStep::Reply(client.data_key(Ok(key.clone())).unwrap()));
    let [first, second] = &response.processed_client_actions[..] else { panic!() };
    assert_eq!(first.action_status, ActionStatus::Success);
    assert_eq!(first.action_result["ChallengeAcknowledgement"], true);
    assert_eq!(first.action_result["KMSCipherTextKey"], "aw==");
    assert_eq!(second.action_status, ActionStatus::Unsupported);
    assert!(client.data_key(Ok(key)).is_err(), "nobody asked for another");
}

#[test]
fn nonsense_is_an_error() {
    let unreadable = |payload_type, payload: &'static str| client().message(&message(payload_type, payload));
    assert!(matches!(unreadable(PayloadType::HandshakeRequest, "{"), Err(HandshakeError::Unreadable(_))));
    assert!(matches!(unreadable(PayloadType::HandshakeComplete, "{}"), Err(HandshakeError::Unexpected(_))));
    assert!(matches!(
        unreadable(PayloadType::EncryptionChallengeRequest, "{}"),
        Err(HandshakeError::Unexpected(_))
    ));
}

#[test]
fn bytes_in_the_middle_of_a_handshake_are_an_error() {
    let mut client = client();
    client.message(&request(json!([]))).unwrap();
    let error = client.message(&message(PayloadType::Output, "plain")).unwrap_err();
    assert_eq!(error, HandshakeError::Unexpected(PayloadType::Output));
    assert!(matches!(client.message(&message(PayloadType::Flag, "")), Ok(ClientStep::NotMine)));
    assert!(client.message(&request(json!([]))).is_err(), "a handshake begins once");
}

#[test]
fn any_first_message_begins_a_session_without_a_handshake() {
    for payload_type in [PayloadType::Output, PayloadType::StdErr, PayloadType::Other(99)] {
        let step = client().message(&message(payload_type, "x")).unwrap();
        let ClientStep::Started(started, None) = step else { panic!("{step:?}") };
        assert_eq!(*started, Started::without_handshake());
    }
}

#[test]
fn only_what_the_official_agent_shakes_hands_for() {
    let encryption = Encryption { key_id: "k".into(), challenge: None, is_acknowledgement_required: false };
    let has = |session_type: SessionType, is_encrypted: bool| {
        let encryption = Some(encryption.clone()).filter(|_| is_encrypted);
        let (agent_version, properties, customer_message) = (String::new(), Value::Null, String::new());
        AgentPlan { agent_version, session_type, properties, encryption, customer_message }.has_handshake()
    };
    assert!(has(SessionType::Port, false) && has(SessionType::NonInteractiveCommands, false));
    assert!(!has(SessionType::StandardStream, false) && !has(SessionType::InteractiveCommands, false));
    assert!(has(SessionType::StandardStream, true) && has(SessionType::InteractiveCommands, true));
}

#[test]
fn an_agent_believes_nobody_without_the_key() {
    let encryption =
        Encryption { key_id: "k".into(), challenge: Some("c".into()), is_acknowledgement_required: true };
    let plan = AgentPlan {
        agent_version: "3.3".into(),
        session_type: SessionType::StandardStream,
        properties: Value::Null,
        encryption: Some(encryption),
        customer_message: String::new(),
    };
    let answer = |result: Value| {
        let response = json!({"ClientVersion": "1", "ProcessedClientActions": [
            {"ActionType": "KMSEncryption", "ActionStatus": 1, "ActionResult": result}]});
        message(PayloadType::HandshakeResponse, response.to_string())
    };
    let mut agent = AgentHandshake::new(plan.clone(), [3; 32]).0;
    let silent = agent.message(&answer(json!({"KMSCipherTextKey": "aw=="}))).unwrap_err();
    assert_eq!(silent.to_string(), "the client did not acknowledge the KMS challenge");
    for result in [json!(null), json!({"KMSCipherTextKey": "%", "ChallengeAcknowledgement": true})] {
        let error = AgentHandshake::new(plan.clone(), [3; 32]).0.message(&answer(result)).unwrap_err();
        assert_eq!(error, HandshakeError::Unreadable("the client's encryption key"));
    }
    let acknowledged = answer(json!({"KMSCipherTextKey": "aw==", "ChallengeAcknowledgement": true}));
    let step = agent.message(&acknowledged).unwrap();
    assert!(matches!(step, AgentStep::NeedDecryption { ciphertext, .. } if ciphertext == b"k"));
    agent.data_key(Ok(DataKey::new(&[0; 64]).unwrap())).unwrap();
    assert!(agent.is_challenging());
    let wrong = EncryptionChallenge { challenge: "AAAA".into() }.to_json();
    let error = agent.message(&message(PayloadType::EncryptionChallengeResponse, wrong)).unwrap_err();
    assert_eq!(error, HandshakeError::Challenge);
}
