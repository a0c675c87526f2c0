//! Messages that the official client and agent were seen to understand: they encode and decode to the byte.

use bytes::{Bytes, BytesMut};
use herder_session::frame::{DigestCheck, Flags, Frame, Header, MessageId, MessageType, PayloadType};
use herder_session::payload::{Acknowledge, JsonPayload, SessionFlag, TerminalSize};
use serde_json::Value;

fn vectors() -> Vec<Value> {
    serde_json::from_str(include_str!("session_vectors.json")).unwrap()
}

fn bytes(vector: &Value) -> Bytes {
    let hex = vector["hex"].as_str().unwrap();
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn the_vectors_are_written_and_read_to_the_byte() {
    for vector in vectors() {
        let frame = Frame {
            header: Header {
                message_type: MessageType::from_name(vector["type"].as_str().unwrap()).unwrap(),
                schema_version: 1,
                created_ms: vector["created_ms"].as_u64().unwrap(),
                sequence: vector["seq"].as_i64().unwrap(),
                flags: Flags(vector["flags"].as_u64().unwrap()),
                id: MessageId::parse_str(vector["message_id"].as_str().unwrap()).unwrap(),
                payload_type: PayloadType::from(
                    u32::try_from(vector["payload_type"].as_u64().unwrap()).unwrap(),
                ),
            },
            payload: vector["payload_utf8"].as_str().unwrap().to_owned().into(),
        };
        assert_eq!(frame.encode(), bytes(&vector), "{}", vector["name"]);
        assert_eq!(
            Frame::decode(bytes(&vector), DigestCheck::Required).unwrap(),
            frame,
            "{}",
            vector["name"]
        );
    }
}

#[test]
fn their_payloads_are_written_and_read_to_the_byte() {
    let payload = |name: &str| {
        let vectors = vectors();
        let vector = vectors.iter().find(|vector| vector["name"] == name).unwrap();
        Frame::decode(bytes(vector), DigestCheck::Required).unwrap().payload
    };
    let size = payload("input Size");
    assert_eq!(TerminalSize { cols: 80, rows: 24 }.to_json(), size);
    assert_eq!(TerminalSize::from_json(&size).unwrap(), TerminalSize { cols: 80, rows: 24 });
    let flag = payload("input Flag TerminateSession");
    assert_eq!(SessionFlag::from_payload(&flag), Some(SessionFlag::TerminateSession));
    assert_eq!(SessionFlag::TerminateSession.to_payload(), flag);
    let acknowledge = payload("ack of seq 7");
    let mut written = BytesMut::new();
    Acknowledge::from_json(&acknowledge).unwrap().write_json(&mut written);
    assert_eq!(written, acknowledge);
}
