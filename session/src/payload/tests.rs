use bytes::BytesMut;
use serde_json::json;

use super::*;
use crate::frame::{MessageId, MessageType};

#[test]
fn acknowledgements_of_any_number_are_read_back() {
    for sequence in [0, 7, 10, 12_345, i64::MAX, i64::MIN, -1] {
        let acknowledge = Acknowledge {
            message_type: MessageType::InputStreamData,
            message_id: MessageId::from_u128(1),
            sequence,
            is_sequential: sequence > 0,
        };
        let mut payload = BytesMut::new();
        acknowledge.write_json(&mut payload);
        assert_eq!(Acknowledge::from_json(&payload).unwrap(), acknowledge);
    }
}

#[test]
fn acknowledgements_may_have_another_order_and_more_fields() {
    let payload = br#"{"New":[{}],"AcknowledgedMessageSequenceNumber":3,
        "AcknowledgedMessageId":"DD01E56B-ff48-483e-a508-b5f073f31b16","AcknowledgedMessageType":"output_stream_data"}"#;
    let read = Acknowledge::from_json(payload).unwrap();
    assert_eq!((read.sequence, read.message_type), (3, MessageType::OutputStreamData));
    for broken in [&b""[..], b"{}", b"[]", br#"{"AcknowledgedMessageSequenceNumber":3,"AcknowledgedMessageId":"x","AcknowledgedMessageType":"y"}"#] {
        assert!(Acknowledge::from_json(broken).is_err());
    }
}

#[test]
fn a_handshake_is_read_with_what_it_does_not_know() {
    let request = json!({"AgentVersion": "3.3.0.0", "RequestedClientActions": [
        {"ActionType": "SessionType", "ActionParameters": {"SessionType": "Port", "Properties": {"portNumber": "22"}}},
        {"ActionType": "KMSEncryption", "ActionParameters": {"KMSKeyId": "arn", "Challenge": "AAAA"}},
        {"ActionType": "Teleport", "ActionParameters": [1]},
        {"ActionType": "SessionType", "ActionParameters": 7},
    ]});
    let request = HandshakeRequest::from_json(request.to_string().as_bytes()).unwrap();
    let actions: Vec<ClientAction> =
        request.requested_client_actions.iter().map(RequestedAction::action).collect();
    let port =
        SessionTypeRequest { session_type: SessionType::Port, properties: json!({"portNumber": "22"}) };
    let kms = KmsRequest { key_id: "arn".into(), challenge: Some("AAAA".into()) };
    assert_eq!(
        actions,
        [
            ClientAction::SessionType(port.clone()),
            ClientAction::KmsEncryption(kms.clone()),
            ClientAction::Unknown,
            ClientAction::Unknown,
        ]
    );
    assert_eq!(RequestedAction::session_type(&port), request.requested_client_actions[0]);
    assert_eq!(RequestedAction::kms_encryption(&kms), request.requested_client_actions[1]);
    let none = HandshakeRequest::from_json(br#"{"AgentVersion":"3","RequestedClientActions":null}"#).unwrap();
    assert!(none.requested_client_actions.is_empty());
}

#[test]
fn a_response_is_written_as_the_official_client_does() {
    let result = KmsResult {
        cipher_text_key: "a2V5".into(),
        cipher_text_hash: serde_json::Value::Null,
        challenge_acknowledgement: None,
    };
    let processed = |action_type: &str, action_result| ProcessedAction {
        action_type: action_type.into(),
        action_status: ActionStatus::Success,
        action_result,
        error: String::new(),
    };
    let response = HandshakeResponse {
        client_version: "1.2.764.0".into(),
        processed_client_actions: vec![
            processed("SessionType", serde_json::Value::Null),
            processed("KMSEncryption", serde_json::to_value(result).unwrap()),
        ],
        errors: None,
    };
    let text = String::from_utf8(response.to_json().to_vec()).unwrap();
    assert!(
        text.contains(r#"{"ActionType":"SessionType","ActionStatus":1,"ActionResult":null,"Error":""}"#),
        "{text}"
    );
    assert!(
        text.contains(r#""KMSCipherTextHash":null"#) && text.contains(r#""KMSCipherTextKey":"a2V5""#),
        "{text}"
    );
    assert!(text.ends_with(r#""Errors":null}"#), "{text}");
    assert_eq!(HandshakeResponse::from_json(text.as_bytes()).unwrap(), response);
}

#[test]
fn exit_codes_and_flags_are_read() {
    assert_eq!(ExitCode::from_payload(b"EXIT_CODE: 7"), Some(ExitCode(7)));
    assert_eq!(ExitCode::from_payload(b"EXIT_CODE: -1\n"), Some(ExitCode(-1)));
    assert_eq!(ExitCode::from_payload(b"137"), Some(ExitCode(137)));
    assert_eq!(ExitCode::from_payload(b"EXIT_CODE: "), None);
    assert_eq!(ExitCode(7).to_payload(), "EXIT_CODE: 7");
    for number in 0..5_u32 {
        let flag = SessionFlag::from_payload(&number.to_be_bytes()).unwrap();
        assert_eq!(flag.to_payload().as_ref(), number.to_be_bytes());
    }
    assert_eq!(SessionFlag::from_payload(b"12345"), None);
}

#[test]
fn the_first_message_tells_clients_from_agents() {
    let client = OpenDataChannel {
        message_schema_version: "1.0".into(),
        request_id: "r".into(),
        token_value: "secret".into(),
        client_instance_id: None,
        client_id: "c".into(),
        client_version: Some("1.2.764.0".into()),
    };
    assert_eq!(
        client.to_json(),
        r#"{"MessageSchemaVersion":"1.0","RequestId":"r","TokenValue":"secret","ClientId":"c","ClientVersion":"1.2.764.0"}"#
    );
    assert!(!format!("{client:?}").contains("secret"));
    let agent = br#"{"MessageSchemaVersion":"1.0","RequestId":"r","TokenValue":"t","ClientInstanceId":"i-1","ClientId":"c"}"#;
    assert_eq!(OpenDataChannel::from_json(agent).unwrap().client_instance_id.as_deref(), Some("i-1"));
    let of_others = br#"{"MessageSchemaVersion":1,"RequestId":"r","TokenValue":"t","ClientId":""}"#;
    assert_eq!(OpenDataChannel::from_json(of_others).unwrap().message_schema_version, "1");
    assert!(OpenDataChannel::from_json(br#"{"MessageSchemaVersion":[],"RequestId":"r"}"#).is_err());
}

#[test]
fn a_close_needs_no_field() {
    assert_eq!(ChannelClosed::from_json(b"{}").unwrap(), ChannelClosed::default());
    let closed = ChannelClosed::from_json(br#"{"Output":"gone","SchemaVersion":1,"X":2}"#).unwrap();
    assert_eq!((closed.output.as_str(), closed.schema_version), ("gone", 1));
}
