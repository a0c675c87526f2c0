use super::*;

mod numbers;

const MS: Duration = Duration::from_millis(1);
const S: Duration = Duration::from_secs(1);

fn client() -> Channel {
    Channel::new(ChannelOptions::client(1, 1_700_000_000_000))
}

fn agent() -> Channel {
    Channel::new(ChannelOptions::agent(2, 1_700_000_000_000))
}

fn output(channel: &mut Channel, text: &str) {
    channel.send(PayloadType::Output, text.to_owned().into());
}

/// All that a channel wants to write.
fn written(channel: &mut Channel, now: Duration) -> Vec<Bytes> {
    std::iter::from_fn(|| channel.transmit(now)).collect()
}

/// Everything one has to write goes to the other; gives how much that was.
fn pass(from: &mut Channel, to: &mut Channel, now: Duration) -> usize {
    let wires = written(from, now);
    for wire in &wires {
        to.receive(now, wire.clone()).unwrap();
    }
    wires.len()
}

fn taken(channel: &mut Channel) -> String {
    let messages = std::iter::from_fn(|| channel.take());
    messages.map(|message| String::from_utf8(message.payload.to_vec()).unwrap()).collect()
}

fn decode(wire: &Bytes) -> Frame {
    Frame::decode(wire.clone(), DigestCheck::Required).unwrap()
}

fn publication(message_type: MessageType) -> Bytes {
    let id = MessageId::nil();
    let (schema_version, created_ms, sequence, flags) = (1, 0, 0, Flags::NONE);
    let payload_type = PayloadType::None;
    let header = Header { message_type, schema_version, created_ms, sequence, flags, id, payload_type };
    Frame { header, payload: Bytes::new() }.encode()
}

#[test]
fn messages_arrive_and_are_acknowledged() {
    let (mut client, mut agent) = (client(), agent());
    output(&mut client, "ls\r");
    assert_eq!(pass(&mut client, &mut agent, MS), 1);
    assert_eq!(taken(&mut agent), "ls\r");
    assert!(!client.is_drained());
    assert_eq!(pass(&mut agent, &mut client, MS * 5), 1);
    assert!(client.is_drained());
    assert_eq!((client.deadline(), client.stats().round_trip), (None, MS * 4));
    output(&mut agent, "a b\n");
    pass(&mut agent, &mut client, MS * 6);
    assert_eq!(taken(&mut client), "a b\n");
}

#[test]
fn headers_are_what_the_official_ends_write() {
    let (mut client, mut agent) = (client(), agent());
    for channel in [&mut client, &mut agent] {
        output(channel, "x");
        channel.send(PayloadType::Flag, Bytes::from_static(&[0, 0, 0, 2]));
    }
    let ours: Vec<Frame> = written(&mut client, S).iter().map(decode).collect();
    let theirs: Vec<Frame> = written(&mut agent, S).iter().map(decode).collect();
    let seen = |frames: &[Frame]| {
        frames
            .iter()
            .map(|f| (f.header.message_type, f.header.sequence, f.header.flags.0))
            .collect::<Vec<_>>()
    };
    assert_eq!(seen(&ours), [(MessageType::InputStreamData, 0, 0), (MessageType::InputStreamData, 1, 0)]);
    assert_eq!(seen(&theirs), [(MessageType::OutputStreamData, 0, 1), (MessageType::OutputStreamData, 1, 0)]);
    assert_eq!(ours[0].header.created_ms, 1_700_000_001_000);
    assert_ne!(ours[0].header.id, ours[1].header.id);
    assert_eq!(ours[0].header.id.get_version_num(), 4);
    client.receive(S, theirs[0].encode()).unwrap();
    client.take().unwrap();
    let acknowledge = decode(&client.transmit(S).unwrap());
    let header = acknowledge.header;
    assert_eq!(
        (header.message_type, header.sequence, header.flags),
        (MessageType::Acknowledge, 0, Flags::SYN_FIN)
    );
    assert_eq!(Acknowledge::from_json(&acknowledge.payload).unwrap().message_id, theirs[0].header.id);
}

#[test]
fn order_is_restored_and_early_messages_are_acknowledged_at_once() {
    let (mut client, mut agent) = (client(), agent());
    for text in ["a", "b", "c"] {
        output(&mut agent, text);
        // One message each.
        agent.send(PayloadType::Flag, Bytes::new());
    }
    let wires = written(&mut agent, MS);
    for at in [4, 2, 1, 3, 5] {
        client.receive(MS, wires[at].clone()).unwrap();
    }
    assert_eq!((client.peek(), client.has_gap()), (None, true));
    assert_eq!(pass(&mut client, &mut agent, MS), 5);
    client.receive(MS, wires[0].clone()).unwrap();
    assert_eq!(taken(&mut client), "abc");
    assert!(!client.has_gap());
    assert_eq!(pass(&mut client, &mut agent, MS), 1);
    assert!(agent.is_drained());
}

#[test]
fn what_is_not_taken_is_not_acknowledged() {
    let (mut client, mut agent) = (client(), agent());
    output(&mut client, "x");
    pass(&mut client, &mut agent, MS);
    assert_eq!(agent.peek().unwrap().payload, "x");
    assert_eq!(written(&mut agent, MS).len(), 0);
    // Sent again it is still not acknowledged, and is held once only.
    client.expire(S).unwrap();
    assert_eq!(pass(&mut client, &mut agent, S), 1);
    assert_eq!(written(&mut agent, S).len(), 0);
    assert_eq!(taken(&mut agent), "x");
    assert_eq!(pass(&mut agent, &mut client, S), 1);
    assert!(client.is_drained());
}

#[test]
fn repeated_messages_are_acknowledged_again() {
    let (mut client, mut agent) = (client(), agent());
    output(&mut agent, "x");
    let wire = agent.transmit(MS).unwrap();
    for _ in 0..3 {
        client.receive(MS, wire.clone()).unwrap();
        client.take();
        assert_eq!(written(&mut client, MS).len(), 1);
    }
    assert_eq!(client.stats().repeated_messages, 2);
}

#[test]
fn the_reorder_buffer_has_bounds() {
    let mut client = Channel::new(ChannelOptions {
        reorder_messages: 4,
        reorder_bytes: 10,
        ..ChannelOptions::client(1, 1)
    });
    let mut agent = agent();
    for n in 0..8 {
        agent.send(PayloadType::Flag, Bytes::from(vec![b'0' + n; 4]));
    }
    let wires = written(&mut agent, MS);
    for wire in &wires[1..] {
        client.receive(MS, wire.clone()).unwrap();
    }
    assert_eq!(client.stats().refused_messages, 5, "two fit ten bytes");
    client.receive(MS, wires[0].clone()).unwrap();
    assert_eq!(taken(&mut client), "000011112222", "the next one always fits");
    let far =
        Frame { header: Header { sequence: i64::MAX, ..decode(&wires[0]).header }, ..decode(&wires[0]) };
    client.receive(MS, far.encode()).unwrap();
    let negative = Frame { header: Header { sequence: -1, ..decode(&wires[0]).header }, ..decode(&wires[0]) };
    client.receive(MS, negative.encode()).unwrap();
    assert_eq!(client.stats().refused_messages, 6);
    assert_eq!(pass(&mut client, &mut agent, MS), 3);
}

#[test]
fn the_oldest_is_sent_again_after_the_timeout() {
    let mut client = client();
    for _ in 0..3 {
        client.send(PayloadType::Flag, Bytes::new());
    }
    let wires = written(&mut client, S);
    assert_eq!(client.deadline(), Some(S + MS * 200));
    client.expire(S + MS * 199).unwrap();
    assert_eq!(written(&mut client, S).len(), 0);
    client.expire(S + MS * 200).unwrap();
    assert_eq!(written(&mut client, S + MS * 200), [wires[0].clone()]);
    assert_eq!(client.deadline(), Some(S + MS * 600), "and later again");
    let now = S * 60;
    client.expire(now).unwrap();
    written(&mut client, now);
    client.expire(now + S).unwrap();
    assert_eq!(written(&mut client, now + S).len(), 1, "never later than a second");
    assert_eq!(client.stats().resent_messages, 3);
}

#[test]
fn a_gap_is_filled_without_waiting_for_a_timer() {
    let (mut client, mut agent) = (client(), agent());
    for n in 0..4_u32 {
        client.send(PayloadType::Flag, Bytes::new());
        let now = MS * 10 * n;
        let wire = client.transmit(now).unwrap();
        // The second is lost.
        if n != 1 {
            agent.receive(now, wire).unwrap();
        }
    }
    while agent.take().is_some() {}
    pass(&mut agent, &mut client, MS * 40);
    let again: Vec<i64> =
        written(&mut client, MS * 40).iter().map(|wire| decode(wire).header.sequence).collect();
    assert_eq!(again, [1]);
    assert_eq!(written(&mut client, MS * 41).len(), 0, "once");
}

#[test]
fn what_is_lost_again_is_sent_again() {
    let (mut client, mut agent) = (client(), agent());
    let mut now = MS;
    for _ in 0..8 {
        client.send(PayloadType::Flag, Bytes::new());
        let wire = client.transmit(now).unwrap();
        // Of the first and of all its repetitions nothing arrives; the others do.
        if decode(&wire).header.sequence > 0 {
            agent.receive(now, wire).unwrap();
        }
        now += MS * 10;
        pass(&mut agent, &mut client, now);
        now += MS * 10;
        while let Some(again) = client.transmit(now) {
            assert_eq!(decode(&again).header.sequence, 0);
        }
        now += MS * 10;
    }
    assert_eq!(client.stats().resent_messages, 7, "once after each message that arrives");
}

#[test]
fn a_loss_among_very_many_costs_little() {
    let (mut client, mut agent) = (client(), agent());
    for _ in 0..50_000 {
        agent.send(PayloadType::Flag, Bytes::new());
    }
    // All but the first of a stream without a window, acknowledged one by one.
    let mut now = MS;
    for (n, wire) in written(&mut agent, now).into_iter().enumerate() {
        if n % 1000 == 500 || n == 0 {
            continue;
        }
        now += MS / 100;
        client.receive(now, wire).unwrap();
        if let Some(acknowledge) = client.transmit(now) {
            agent.receive(now, acknowledge).unwrap();
        }
        while client.take().is_some() {}
        now += MS / 100;
        if let Some(again) = agent.transmit(now) {
            client.receive(now, again).unwrap();
        }
    }
    now += MS * 200;
    agent.expire(now).unwrap();
    for _ in 0..100 {
        pass(&mut agent, &mut client, now);
        while client.take().is_some() {}
        pass(&mut client, &mut agent, now + MS);
        now += MS * 200;
        agent.expire(now).unwrap();
    }
    assert!(agent.is_drained());
}

#[test]
fn a_wrong_acknowledgement_acknowledges_nothing() {
    let mut client = client();
    output(&mut client, "x");
    let sent = decode(&client.transmit(MS).unwrap());
    let right = Acknowledge {
        message_type: MessageType::InputStreamData,
        message_id: sent.header.id,
        sequence: 0,
        is_sequential: true,
    };
    let mut give = |acknowledge: Acknowledge| {
        let mut payload = bytes::BytesMut::new();
        acknowledge.write_json(&mut payload);
        let header = Header { message_type: MessageType::Acknowledge, ..sent.header };
        client.receive(MS, Frame { header, payload: payload.freeze() }.encode()).unwrap();
        (client.is_drained(), client.stats().invalid_messages)
    };
    assert_eq!(give(Acknowledge { message_id: MessageId::from_u128(7), ..right }), (false, 1));
    assert_eq!(give(Acknowledge { sequence: 1, ..right }), (false, 2));
    assert_eq!(give(Acknowledge { sequence: -1, ..right }), (false, 3));
    assert_eq!(give(Acknowledge { message_type: MessageType::OutputStreamData, ..right }), (false, 4));
    assert_eq!(give(right), (true, 4));
    assert_eq!(give(right), (true, 4), "twice is nothing special");
}

#[test]
fn unreadable_messages_change_nothing() {
    let (mut client, mut agent) = (client(), agent());
    output(&mut agent, "x");
    let wire = agent.transmit(MS).unwrap();
    let mut broken = wire.to_vec();
    broken[120] ^= 1;
    assert_eq!(client.receive(MS, broken.into()), Err(FrameError::Digest));
    assert_eq!(written(&mut client, MS).len(), 0);
    client.receive(MS, wire).unwrap();
    assert_eq!((taken(&mut client).as_str(), client.stats().invalid_messages), ("x", 1));
}

#[test]
fn the_window_holds_back_and_opens() {
    let (mut client, mut agent) = (client(), agent());
    client.send(PayloadType::Output, vec![7; 1 << 20].into());
    let first = written(&mut client, MS).len();
    assert_eq!(first, 58, "64 KiB with headers");
    assert!(client.pending_bytes() > 900_000);
    let mut rounds = 0;
    for wire in written(&mut client, MS) {
        agent.receive(MS, wire).unwrap();
    }
    // The first flight is lost on purpose: everything arrives all the same.
    client.connected(MS * 2);
    let mut received = 0;
    while !client.is_drained() {
        rounds += 1;
        let now = MS * 3 * rounds;
        pass(&mut client, &mut agent, now);
        received += std::iter::from_fn(|| agent.take()).map(|m| m.payload.len()).sum::<usize>();
        pass(&mut agent, &mut client, now + MS);
    }
    assert_eq!(received, 1 << 20);
    assert!(rounds < 8, "the window doubles: {rounds}");
}

#[test]
fn an_agent_has_no_window_but_records_only_so_much() {
    let window = WindowLimit::None { recorded_messages: 2, recorded_bytes: 1 << 20 };
    let mut agent = Channel::new(ChannelOptions { window, ..ChannelOptions::agent(1, 1) });
    for _ in 0..2000 {
        agent.send(PayloadType::Flag, Bytes::new());
    }
    assert_eq!(written(&mut agent, MS).len(), 2000);
    agent.connected(MS);
    assert_eq!(written(&mut agent, MS).len(), 2);
}

#[test]
fn nothing_is_lost_over_a_reconnect() {
    let (mut client, mut agent) = (client(), agent());
    for text in ["a", "b", "c"] {
        output(&mut client, text);
        client.send(PayloadType::Flag, Bytes::new());
    }
    // What was written is gone, and so is an acknowledgement.
    let lost = written(&mut client, MS);
    agent.receive(MS, lost[0].clone()).unwrap();
    assert_eq!(taken(&mut agent), "a");
    written(&mut agent, MS);
    client.disconnected();
    agent.disconnected();
    output(&mut client, "d");
    assert_eq!((written(&mut client, MS).len(), client.deadline()), (0, None));
    assert!(client.expire(S * 10_000).is_ok(), "no time runs while there is no connection");
    client.connected(S * 10_000);
    agent.connected(S * 10_000);
    assert_eq!(pass(&mut client, &mut agent, S * 10_000), 7);
    assert_eq!(taken(&mut agent), "bcd");
    pass(&mut agent, &mut client, S * 10_000);
    assert!(client.is_drained());
}

#[test]
fn a_silent_peer_is_given_up() {
    let mut client = client();
    output(&mut client, "x");
    let mut now = S;
    let error = loop {
        written(&mut client, now);
        now = client.deadline().unwrap();
        match client.expire(now) {
            Ok(()) => assert_eq!(client.unanswered_for(now), Some(now - S)),
            Err(error) => break error,
        }
    };
    assert_eq!((now, error), (S * 301, PeerSilent(S * 300)));
    assert_eq!(error.to_string(), "the other end has acknowledged nothing for 300 s");
}

#[test]
fn nobody_is_silent_while_nothing_is_read() {
    let (mut client, mut agent) = (client(), agent());
    output(&mut client, "before");
    pass(&mut client, &mut agent, S);
    taken(&mut agent);
    pass(&mut agent, &mut client, S + MS * 10);
    client.set_reading(S * 2, false);
    output(&mut client, "during");
    pass(&mut client, &mut agent, S * 2);
    taken(&mut agent);
    let unread = written(&mut agent, S * 2);
    // It is sent again, as ever; but for how long does not matter.
    let window = client.stats().window_bytes;
    let mut now = S * 2;
    while now < S * 5000 {
        now = client.deadline().unwrap();
        client.expire(now).unwrap();
        assert_eq!((written(&mut client, now).len(), client.unanswered_for(now)), (1, None));
    }
    assert_eq!(client.stats().window_bytes, window, "nothing was lost, as far as is known");
    client.set_reading(now, true);
    assert_eq!(client.unanswered_for(now + S), Some(S));
    client.expire(now + S * 299).unwrap();
    assert_eq!(client.expire(now + S * 300), Err(PeerSilent(S * 300)), "from now on it counts");
    unread.iter().for_each(|wire| drop(client.receive(now, wire.clone())));
    assert!(client.is_drained());
}

#[test]
fn an_acknowledgement_that_waited_to_be_read_measures_no_path() {
    let (mut client, mut agent) = (client(), agent());
    for (sent_at, text) in [(S, "a"), (S * 2, "b")] {
        output(&mut client, text);
        pass(&mut client, &mut agent, sent_at);
        taken(&mut agent);
        if text == "b" {
            client.set_reading(S * 2, false);
            client.set_reading(S * 90, true);
        }
        pass(&mut agent, &mut client, if text == "a" { S + MS * 10 } else { S * 90 });
    }
    assert!(client.is_drained());
    assert_eq!(client.stats().round_trip, MS * 10);
}

#[test]
fn acknowledgements_that_nobody_takes_are_not_collected_for_ever() {
    let mut client = client();
    let mut agent = agent();
    let mut count = 0;
    while client.can_receive() {
        assert!(count < 1 << 20, "{count} acknowledgements wait");
        agent.send(PayloadType::Flag, Bytes::new());
        count += 1;
        // What is sent again meanwhile is acknowledged once.
        for wire in written(&mut agent, MS).into_iter().flat_map(|wire| [wire.clone(), wire]) {
            client.receive(MS, wire).unwrap();
            client.take();
        }
    }
    assert_eq!((count, client.stats().repeated_messages), (receiver::MAX_ACKNOWLEDGES, count as u64));
    client.transmit(MS).unwrap();
    assert!(client.can_receive());
    assert_eq!(pass(&mut client, &mut agent, MS), count - 1);
    output(&mut agent, "x");
    let wire = agent.transmit(MS).unwrap();
    client.receive(MS, wire.clone()).unwrap();
    client.take();
    assert_eq!(written(&mut client, MS).len(), 1);
    client.receive(MS, wire).unwrap();
    assert_eq!(written(&mut client, MS).len(), 1, "the first may have been lost");
}

/// A write side that is blocked is no sign that the peer dislikes the flags of what it can't have got.
#[test]
fn what_waits_to_be_written_was_not_rejected() {
    let (mut client, mut agent) = (client(), agent());
    output(&mut agent, "x");
    let wire = agent.transmit(MS).unwrap();
    for n in 1..20 {
        client.receive(MS * 200 * n, wire.clone()).unwrap();
        client.take();
    }
    let acknowledges: Vec<Frame> = written(&mut client, S * 5).iter().map(decode).collect();
    assert_eq!(acknowledges.iter().map(|ack| ack.header.flags).collect::<Vec<_>>(), [Flags::SYN_FIN]);
}

#[test]
fn an_agent_pauses_and_goes_on() {
    let (mut client, mut agent) = (client(), agent());
    output(&mut agent, "a");
    written(&mut agent, MS);
    assert_eq!(agent.receive(MS, publication(MessageType::PausePublication)), Ok(Inbound::PeerAway));
    output(&mut agent, "b");
    assert_eq!((written(&mut agent, S).len(), agent.deadline()), (0, None));
    agent.expire(S * 100).unwrap();
    assert_eq!(agent.receive(S * 100, publication(MessageType::StartPublication)), Ok(Inbound::PeerPresent));
    assert_eq!(pass(&mut agent, &mut client, S * 100), 2, "what was sent into the pause is sent again");
    assert_eq!(taken(&mut client), "ab");
    // Input ends a pause too.
    agent.receive(S * 101, publication(MessageType::PausePublication)).unwrap();
    pass(&mut client, &mut agent, S * 101);
    assert!(agent.is_drained());
    output(&mut agent, "c");
    assert_eq!(written(&mut agent, S * 102).len(), 1);
}

#[test]
fn a_client_goes_on_while_the_agent_is_away_and_repeats_less() {
    let mut client = client();
    assert_eq!(client.receive(MS, publication(MessageType::PausePublication)), Ok(Inbound::PeerAway));
    output(&mut client, "x");
    assert_eq!(written(&mut client, S).len(), 1);
    assert_eq!(client.deadline(), Some(S * 6));
    client.receive(S * 2, publication(MessageType::StartPublication)).unwrap();
    assert_eq!(written(&mut client, S * 2).len(), 1, "at once when the agent is back");
}

#[test]
fn a_close_is_told_even_if_it_cannot_be_read() {
    let mut client = client();
    let header = decode(&publication(MessageType::StartPublication)).header;
    let header = Header { message_type: MessageType::ChannelClosed, created_ms: 1, ..header };
    let close = |payload: &'static [u8]| Frame { header, payload: payload.into() }.encode();
    let Ok(Inbound::Closed(closed)) = client.receive(MS, close(br#"{"Output":"bye"}"#)) else { panic!() };
    assert_eq!(closed.output, "bye");
    assert_eq!(client.receive(MS, close(b"{")), Ok(Inbound::Closed(ChannelClosed::default())));
    let header = Header { message_type: MessageType::AgentJob, ..header };
    let other = Frame { header, payload: Bytes::new() };
    assert_eq!(client.receive(MS, other.encode()), Ok(Inbound::Other(other)));
}

#[test]
fn the_flags_of_acknowledgements_change_where_they_are_not_heeded() {
    for wanted in [Flags::SYN_FIN, Flags::NONE] {
        let mut client = client();
        let accepted_ack_flags = Some(wanted);
        let mut agent = Channel::new(ChannelOptions { accepted_ack_flags, ..ChannelOptions::agent(2, 1) });
        output(&mut agent, "x");
        let mut now = MS;
        while !agent.is_drained() {
            pass(&mut agent, &mut client, now);
            taken(&mut client);
            pass(&mut client, &mut agent, now);
            let Some(deadline) = agent.deadline() else { break };
            now = deadline;
            agent.expire(now).unwrap();
            assert!(now < S * 10, "{wanted:?}");
        }
        output(&mut agent, "y");
        pass(&mut agent, &mut client, now);
        taken(&mut client);
        pass(&mut client, &mut agent, now);
        assert!(agent.is_drained(), "the next is heeded at once");
    }
}

#[test]
fn messages_that_were_read_together_do_not_change_the_flags() {
    let (mut client, mut agent) = (client(), agent());
    output(&mut agent, "x");
    let wire = agent.transmit(MS).unwrap();
    for _ in 0..100 {
        client.receive(S, wire.clone()).unwrap();
        client.take();
    }
    assert!(written(&mut client, S).iter().all(|wire| decode(wire).header.flags == Flags::SYN_FIN));
}

#[test]
fn what_is_sealed_is_what_should_be() {
    use crate::crypto::{DataKey, SessionKeys};
    let key = DataKey::new(&[7; 64]).unwrap();
    let mut agent = agent();
    agent.seal_with(SessionKeys::new(&key, Role::Agent, [0; 12]).sealer);
    let types = [PayloadType::Output, PayloadType::StdErr, PayloadType::ExitCode, PayloadType::Flag];
    for payload_type in types {
        agent.send(payload_type, "text".into());
    }
    let opener = SessionKeys::new(&key, Role::Client, [0; 12]).opener;
    let frames: Vec<Frame> = written(&mut agent, MS).iter().map(decode).collect();
    let opened: Vec<bool> = frames.iter().map(|frame| opener.open(&frame.payload).is_ok()).collect();
    assert_eq!(opened, [true, true, true, false]);
    assert_eq!(frames[3].payload, "text");
}
