//! Nonsense by the million: nothing panics, hangs or grows.
//!
//! Runs for `HERDER_FUZZ_SECONDS` (default 2) per target, and until each of the frames' has read `HERDER_FUZZ_FRAMES` (default
//! none in particular). A failure prints the seed of its round; `HERDER_FUZZ_SEED` begins with that one.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "how long to run is said in seconds, and what came of it to whoever asks"
)]

use std::time::Duration;

use bytes::Bytes;
use herder_session::channel::{Channel, ChannelOptions};
use herder_session::copy::download::Download;
use herder_session::copy::list::Listing;
use herder_session::copy::upload::Answers;
use herder_session::copy::{Marker, RemotePath};
use herder_session::end::{AgentEnd, AgentOptions, ClientEnd, ClientEvent, ClientOptions};
use herder_session::frame::{DigestCheck, Flags, Frame, Header, MessageId, MessageType, PayloadType};
use herder_session::handshake::{AgentPlan, Encryption, HandshakeError};
use herder_session::mux::{Event as MuxEvent, Frame as MuxFrame, Mux, MuxOptions, Role, StreamId, Taken};
use herder_session::payload::{Acknowledge, JsonPayload, SessionType};
use herder_session::payload::{ChannelClosed, HandshakeRequest, HandshakeResponse, OpenDataChannel};
use rand::Rng;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;

#[path = "../../tests/fuzz/rounds.rs"]
mod rounds;

use rounds::{made, number, rounds, rounds_of};

const MS: Duration = Duration::from_millis(1);

fn random_bytes(rng: &mut SmallRng, most: usize) -> Bytes {
    let length = rng.random_range(0..=most);
    (0..length).map(|_| rng.random::<u8>()).collect()
}

/// Text that is JSON more often than not, and the right document now and then.
fn random_document(rng: &mut SmallRng) -> Bytes {
    const PIECES: [&str; 24] = [
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "null",
        "1",
        "-9223372036854775808",
        "1e999",
        "\"\"",
        "\"AgentVersion\"",
        "\"RequestedClientActions\"",
        "\"ActionType\"",
        "\"KMSEncryption\"",
        "\"SessionType\"",
        "\"ActionParameters\"",
        "\"Challenge\"",
        "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"",
        "\"AcknowledgedMessageSequenceNumber\"",
        "\"\\ud800\"",
        "\u{0}",
        "true",
        "\"KMSKeyId\"",
    ];
    const WHOLE: [&str; 6] = [
        r#"{"AgentVersion":"3.3.0.0","RequestedClientActions":[{"ActionType":"SessionType","ActionParameters":{"SessionType":"Port","Properties":null}}]}"#,
        r#"{"AgentVersion":"9","RequestedClientActions":[{"ActionType":"KMSEncryption","ActionParameters":{"KMSKeyId":"k","Challenge":"AAAA"}}]}"#,
        r#"{"ClientVersion":"1","ProcessedClientActions":[{"ActionType":"KMSEncryption","ActionStatus":1,"ActionResult":{"KMSCipherTextKey":"AAAA"}}]}"#,
        r#"{"HandshakeTimeToComplete":1,"CustomerMessage":""}"#,
        r#"{"Challenge":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}"#,
        r#"{"cols":4294967295,"rows":0}"#,
    ];
    match rng.random_range(0..3) {
        0 => random_bytes(rng, 100),
        1 => {
            let length = rng.random_range(0..30);
            (0..length).map(|_| *PIECES.choose(rng).unwrap()).collect::<String>().into()
        }
        _ => Bytes::from_static(WHOLE.choose(rng).unwrap().as_bytes()),
    }
}

/// A message that is valid but for what the dice say.
fn random_frame(rng: &mut SmallRng) -> Bytes {
    made();
    const TYPES: [MessageType; 8] = [
        MessageType::OutputStreamData,
        MessageType::OutputStreamData,
        MessageType::InputStreamData,
        MessageType::Acknowledge,
        MessageType::ChannelClosed,
        MessageType::StartPublication,
        MessageType::PausePublication,
        MessageType::AgentJob,
    ];
    let message_type = *TYPES.choose(rng).unwrap();
    let sequence = match rng.random_range(0..4) {
        0 => rng.random(),
        1 => rng.random_range(0..100_000),
        _ => rng.random_range(0..20),
    };
    let payload = if message_type == MessageType::Acknowledge && rng.random_bool(0.9) {
        let mut payload = bytes::BytesMut::new();
        let acknowledged =
            *[MessageType::InputStreamData, MessageType::OutputStreamData].choose(rng).unwrap();
        let message_id = MessageId::from_u128(rng.random());
        Acknowledge { message_type: acknowledged, message_id, sequence, is_sequential: true }
            .write_json(&mut payload);
        payload.freeze()
    } else {
        random_document(rng)
    };
    let header = Header {
        message_type,
        schema_version: 1,
        created_ms: rng.random(),
        sequence,
        flags: Flags(rng.random_range(0..5)),
        id: MessageId::from_u128(rng.random()),
        payload_type: PayloadType::from(rng.random_range(0..15)),
    };
    let mut wire = Frame { header, payload }.encode().to_vec();
    if rng.random_bool(0.3) {
        for _ in 0..rng.random_range(1..4) {
            let at = rng.random_range(0..wire.len());
            wire[at] = rng.random();
        }
    }
    if rng.random_bool(0.1) {
        wire.truncate(rng.random_range(0..=wire.len()));
    }
    wire.into()
}

/// No message but by chance.
fn random_noise(rng: &mut SmallRng) -> Bytes {
    made();
    random_bytes(rng, 300)
}

#[test]
fn frames() {
    rounds_of("frames", number("HERDER_FUZZ_FRAMES").unwrap_or(0), |rng| {
        for _ in 0..5000 {
            let wire = if rng.random_bool(0.5) { random_noise(rng) } else { random_frame(rng) };
            let Ok(frame) = Frame::decode(wire.clone(), DigestCheck::Required) else { continue };
            // What was read can be written and read again.
            if !frame.header.message_type.is_publication() {
                assert_eq!(Frame::decode(frame.encode(), DigestCheck::Required).as_ref(), Ok(&frame));
            }
            let _also = Frame::decode(wire, DigestCheck::Skipped).unwrap();
        }
    });
}

#[test]
fn payloads() {
    rounds("payloads", |rng| {
        for _ in 0..5000 {
            made();
            let document = random_document(rng);
            let _readable = (
                Acknowledge::from_json(&document).is_ok(),
                ChannelClosed::from_json(&document).is_ok(),
                HandshakeResponse::from_json(&document).is_ok(),
                OpenDataChannel::from_json(&document).is_ok(),
            );
            if let Ok(request) = HandshakeRequest::from_json(&document) {
                for action in &request.requested_client_actions {
                    let _known = action.action();
                }
            }
        }
    });
}

#[test]
fn channels() {
    rounds_of("channels", number("HERDER_FUZZ_FRAMES").unwrap_or(0), |rng| {
        let options = if rng.random() { ChannelOptions::client(1, 1) } else { ChannelOptions::agent(1, 1) };
        let mut channel =
            Channel::new(ChannelOptions { reorder_messages: 1000, reorder_bytes: 100_000, ..options });
        let mut now = Duration::ZERO;
        for _ in 0..2000 {
            now += MS * rng.random_range(0..50);
            let _unreadable = channel.receive(now, random_frame(rng));
            if rng.random_bool(0.1) {
                channel.send(PayloadType::from(rng.random_range(0..14)), random_bytes(rng, 5000));
            }
            if rng.random_bool(0.5) {
                while channel.take().is_some() {}
            }
            if rng.random_bool(0.02) {
                channel.disconnected();
                channel.connected(now);
            }
            if channel.expire(now).is_err() {
                break;
            }
            while let Some(wire) = channel.transmit(now) {
                assert!(Frame::decode(wire, DigestCheck::Required).is_ok());
            }
            assert!(channel.deadline().is_none_or(|at| at + Duration::from_secs(10) >= now));
        }
    });
}

#[test]
fn clients() {
    rounds_of("clients", number("HERDER_FUZZ_FRAMES").unwrap_or(0), |rng| {
        let options = ClientOptions {
            quiet_start_after: rng.random::<bool>().then_some(MS * 100),
            ..ClientOptions::new(ChannelOptions::client(1, 1), [0; 12])
        };
        let mut client = ClientEnd::new(Duration::ZERO, options);
        let mut now = Duration::ZERO;
        // In order, so that the handshake gets somewhere; with other messages in between.
        for sequence in 0..200 {
            now += MS * rng.random_range(0..50);
            let mut wire = random_frame(rng);
            if let Ok(mut frame) = Frame::decode(wire.clone(), DigestCheck::Skipped) {
                frame.header.sequence = sequence;
                frame.header.created_ms = 1;
                wire = frame.encode();
            }
            let _unreadable = client.receive(now, wire);
            client.input(random_bytes(rng, 10));
            loop {
                match client.next_event(now) {
                    Ok(Some(ClientEvent::DataKeyNeeded(request))) => {
                        let error = HandshakeError::NoKey { key_id: request.key_id, why: "no".into() };
                        client.data_key(now, Err(error)).unwrap();
                    }
                    Ok(Some(_)) => {}
                    Ok(None) => break,
                    Err(_) => return,
                }
            }
            while client.transmit(now).is_some() {}
            if client.expire(now).is_err() {
                return;
            }
        }
    });
}

#[test]
fn agents() {
    rounds_of("agents", number("HERDER_FUZZ_FRAMES").unwrap_or(0), |rng| {
        let encryption =
            Encryption { key_id: "k".into(), challenge: None, is_acknowledgement_required: rng.random() };
        let plan = AgentPlan {
            agent_version: "3.3.0.0".into(),
            session_type: if rng.random() { SessionType::Port } else { SessionType::StandardStream },
            properties: serde_json::Value::Null,
            encryption: Some(encryption),
            customer_message: String::new(),
        };
        let options = AgentOptions::new(ChannelOptions::agent(1, 1), plan, [0; 32]);
        let mut agent = AgentEnd::new(Duration::ZERO, options);
        for step in 0..200_u32 {
            let now = MS * step;
            let _unreadable = agent.receive(now, random_frame(rng));
            agent.set_ready(rng.random());
            while let Ok(Some(_)) = agent.next_event(now) {}
            while agent.transmit(now).is_some() {}
        }
    });
}

/// Bytes for a multiplexer: mostly frames, of streams that there are.
fn random_mux_frames(rng: &mut SmallRng) -> Bytes {
    let mut wire = bytes::BytesMut::new();
    for _ in 0..rng.random_range(0..8) {
        made();
        let id = StreamId(match rng.random_range(0..8) {
            0 => rng.random(),
            _ => rng.random_range(1..20),
        });
        match rng.random_range(0..16) {
            0..3 => MuxFrame::Syn(id).encode(&mut wire),
            3..5 => MuxFrame::Fin(id).encode(&mut wire),
            5 => MuxFrame::Nop.encode(&mut wire),
            6 if rng.random_range(0..50) == 0 => wire.extend_from_slice(&random_bytes(rng, 40)),
            _ => MuxFrame::Push(id, random_bytes(rng, 3000)).encode(&mut wire),
        }
    }
    wire.freeze()
}

#[test]
fn multiplexers() {
    rounds("multiplexers", |rng| {
        let role = if rng.random() { Role::Client } else { Role::Agent };
        let options =
            MuxOptions { receive_budget: 20_000, send_buffer: 5000, max_streams: 8, ..MuxOptions::new(role) };
        let (mut mux, mut opened) = (Mux::new(role, options), Vec::new());
        for step in 0..200 {
            let id = StreamId(rng.random_range(0..22));
            match rng.random_range(0..8) {
                0 => drop(mux.open()),
                1 => drop(mux.write(id, &random_bytes(rng, 2000))),
                2 => mux.shut(id),
                3 => mux.close(id),
                4 => while matches!(mux.take(id, 1000), Taken::Bytes(_)) {},
                5 => mux.connection_failed(),
                6 => {
                    mux.mark_full(step * 7000 * MS);
                    mux.relieve(step * 7000 * MS);
                }
                _ => while mux.transmit().is_some() {},
            }
            while let Some(event) = mux.next_event() {
                if let MuxEvent::Opened(id) = event {
                    opened.push(id);
                }
            }
            if mux.can_receive() && mux.receive(random_mux_frames(rng)).is_err() {
                break;
            }
            assert!(mux.streams() <= 8 && mux.buffered() <= 20_000 + 8 * 3000, "{mux:?}");
        }
        opened.extend(std::iter::from_fn(|| mux.next_event()).filter_map(|event| match event {
            MuxEvent::Opened(id) => Some(id),
            _ => None,
        }));
        opened.extend((0..300).map(StreamId));
        opened.iter().for_each(|id| mux.close(*id));
        assert_eq!(mux.buffered(), 0, "{mux:?}");
    });
}

/// What a node prints while files are copied, from the truth to nonsense.
#[test]
fn copies() {
    const WORDS: [&str; 16] = [
        "file",
        "end",
        "over",
        "no",
        "dir",
        "special",
        "tool",
        "list",
        "ready",
        "open",
        "got",
        "hash",
        "done",
        "644",
        "-",
        "18446744073709551615",
    ];
    rounds("copies", |rng| {
        let marker = Marker::new([7; 16]);
        let mut download = Download::new(marker.clone(), rng.random_range(0..4));
        let mut listing = Listing::new(marker.clone(), RemotePath::new("x").unwrap());
        let mut answers = Answers::new(marker.clone());
        for _ in 0..50 {
            made();
            let mut printed = Vec::new();
            for _ in 0..rng.random_range(0..6) {
                match rng.random_range(0..4) {
                    0 => printed.extend_from_slice(&random_bytes(rng, 200)),
                    1 => printed.extend_from_slice(b"ZCA0MDk2IDc1NSAwIC4A\n"),
                    _ => {
                        let word = |rng: &mut SmallRng| WORDS.choose(rng).copied().unwrap_or_default();
                        let words: Vec<&str> = (0..rng.random_range(1..6)).map(|_| word(rng)).collect();
                        printed.extend_from_slice(format!("{marker} {}\n", words.join(" ")).as_bytes());
                    }
                }
            }
            let _ = download.stdout(&printed);
            let _ = listing.stdout(&printed);
            let _ = answers.read(&printed);
        }
    });
}
