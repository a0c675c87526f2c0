use bytes::{Bytes, BytesMut};

use super::*;

fn frame(payload: &'static [u8]) -> Frame {
    Frame {
        header: Header {
            message_type: MessageType::OutputStreamData,
            schema_version: 1,
            created_ms: 1_503_434_274_948,
            sequence: 7,
            flags: Flags::NONE,
            id: MessageId::from_u128(0xdd01_e56b_ff48_483e_a508_b5f0_73f3_1b16),
            payload_type: PayloadType::Output,
        },
        payload: Bytes::from_static(payload),
    }
}

fn edited(payload: &'static [u8], edit: impl FnOnce(&mut BytesMut)) -> Bytes {
    let mut wire = BytesMut::from(frame(payload).encode().as_ref());
    edit(&mut wire);
    wire.freeze()
}

fn decode(wire: Bytes) -> Result<Frame, FrameError> {
    Frame::decode(wire, DigestCheck::Required)
}

#[test]
fn what_was_written_is_read() {
    for payload in [&b""[..], b"\n", b"hello"] {
        let wire = frame(payload).encode();
        assert_eq!(wire.len(), HEADER_BYTES + payload.len());
        let read = decode(wire.clone()).unwrap();
        assert_eq!(read, frame(payload));
        assert!(
            payload.is_empty() || wire.as_ptr_range().contains(&read.payload.as_ptr()),
            "nothing is copied"
        );
    }
}

#[test]
fn a_wrong_digest_is_an_error_unless_nobody_looks() {
    let wire = edited(b"hello", |wire| wire[120] ^= 1);
    assert_eq!(decode(wire.clone()), Err(FrameError::Digest));
    assert!(Frame::decode(wire, DigestCheck::Skipped).is_ok());
    let empty = edited(b"", |wire| wire[80] ^= 1);
    assert!(decode(empty).is_ok(), "an empty payload's digest is not looked at");
}

#[test]
fn wrong_lengths_are_errors() {
    let cut = |n: usize| edited(b"hello", |wire| wire.truncate(n));
    assert_eq!(decode(cut(123)), Err(FrameError::PayloadLength { declared: 5, actual: 3 }));
    assert_eq!(decode(cut(119)), Err(FrameError::TooShort { length: 119 }));
    assert_eq!(decode(cut(0)), Err(FrameError::TooShort { length: 0 }));
    let long = edited(b"hello", |wire| wire.extend_from_slice(b"!"));
    assert_eq!(decode(long), Err(FrameError::PayloadLength { declared: 5, actual: 6 }));
    for length in [0_u32, 115, 122, u32::MAX] {
        let wire = edited(b"hello", |wire| wire[..4].copy_from_slice(&length.to_be_bytes()));
        assert!(decode(wire).is_err(), "{length}");
    }
    let impossible = edited(b"hello", |wire| wire[..4].copy_from_slice(&200_u32.to_be_bytes()));
    assert_eq!(decode(impossible), Err(FrameError::HeaderLength(200)));
}

#[test]
fn a_longer_header_is_read_over() {
    // The payload length stands at the header's end, or where it always stood.
    for at in [116, 120] {
        let wire = edited(b"hello", |wire| {
            let payload = wire.split_off(116);
            wire.extend_from_slice(&[0; 8]);
            wire[at..at + 4].copy_from_slice(&5_u32.to_be_bytes());
            wire.extend_from_slice(&payload[4..]);
            wire[..4].copy_from_slice(&120_u32.to_be_bytes());
        });
        assert_eq!(decode(wire).unwrap().payload, "hello");
    }
}

#[test]
fn type_and_date_are_needed() {
    assert_eq!(decode(edited(b"x", |wire| wire[4..36].fill(b' '))), Err(FrameError::NoType));
    assert_eq!(decode(edited(b"x", |wire| wire[4..36].fill(0))), Err(FrameError::NoType));
    assert_eq!(decode(edited(b"x", |wire| wire[40..48].fill(0))), Err(FrameError::NoDate));
}

#[test]
fn types_are_trimmed_of_nul_and_space() {
    let wire = edited(b"x", |wire| {
        wire[4..36].copy_from_slice(b"\0 acknowledge\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0")
    });
    assert_eq!(decode(wire).unwrap().header.message_type, MessageType::Acknowledge);
}

#[test]
fn an_unknown_type_survives() {
    let wire = edited(b"x", |wire| wire[4..36].copy_from_slice(b"something_new_of_32_bytes_length"));
    let read = decode(wire.clone()).unwrap();
    assert_eq!(read.header.message_type.name(), "something_new_of_32_bytes_length");
    assert!(!read.header.message_type.is_publication());
    assert_eq!(read.encode(), wire);
    assert_eq!(MessageType::from_name("x".repeat(33).as_str()), None);
    assert_eq!(PayloadType::from(99), PayloadType::Other(99));
    for number in 0..20 {
        assert_eq!(u32::from(PayloadType::from(number)), number);
    }
}

#[test]
fn publication_messages_are_checked_for_nothing() {
    let name = format!("{:<32}", "pause_publication");
    let type_only = [&[0; 4], name.as_bytes()].concat();
    let wrong = edited(b"x", |wire| {
        wire[4..36].copy_from_slice(name.as_bytes());
        wire[40..48].fill(0);
        wire[80] ^= 1;
    });
    let no_length = edited(b"x", |wire| {
        wire[..36].fill(0);
        wire[4..36].copy_from_slice(name.as_bytes());
    });
    for wire in [type_only.into(), wrong, no_length] {
        assert_eq!(decode(wire).unwrap().header.message_type, MessageType::PausePublication);
    }
}
