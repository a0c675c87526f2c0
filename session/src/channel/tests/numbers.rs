//! Numbers that came with two messages.

use super::*;

/// The same message under another number: what nothing in the protocol protects.
fn renumbered(wire: &Bytes, sequence: i64) -> Bytes {
    let frame = decode(wire);
    Frame { header: Header { sequence, ..frame.header }, ..frame }.encode()
}

/// A client that got these of an agent's messages, and took what it could in between.
fn that_got(wires: &[Bytes]) -> Channel {
    let mut client = client();
    for wire in wires {
        client.receive(MS, wire.clone()).unwrap();
        taken(&mut client);
    }
    client
}

#[test]
fn a_number_belongs_to_one_message() {
    let mut agent = agent();
    for text in ["one", "two", "three"] {
        output(&mut agent, text);
        // One message each.
        agent.send(PayloadType::Flag, Bytes::new());
    }
    let wires = written(&mut agent, MS);
    let reused = |wires: &[Bytes]| that_got(wires).reused().map(|reused| reused.0);
    let all = [&wires[..], &wires[..]].concat();
    assert_eq!(reused(&all), None, "what is sent again is the same");
    // Before, while, and after the message that the number belongs to is taken.
    assert_eq!(reused(&[renumbered(&wires[2], 4), wires[4].clone()]), Some(4));
    assert_eq!(reused(&[renumbered(&wires[2], 0), wires[0].clone()]), Some(0));
    assert_eq!(reused(&[wires[0].clone(), renumbered(&wires[2], 0)]), Some(0));
    // The number's own message is late, and the other one comes again under its own.
    assert_eq!(reused(&[wires[0].clone(), renumbered(&wires[2], 4), wires[2].clone()]), Some(2));
    // A changed identity, date or flag damages nothing.
    let frame = decode(&wires[0]);
    let header = Header { id: MessageId::nil(), created_ms: 5, flags: Flags(9), ..frame.header };
    assert_eq!(reused(&[Frame { header, ..frame }.encode(), wires[0].clone()]), None);
    assert_eq!(
        that_got(&[renumbered(&wires[2], 0), wires[0].clone()]).reused().unwrap().to_string(),
        "two different messages came under the number 0: bytes may be in the wrong place, or missing"
    );
}

#[test]
fn agents_compare_nothing() {
    let (mut client, mut agent) = (client(), agent());
    output(&mut client, "a");
    client.send(PayloadType::Flag, Bytes::new());
    let wires = written(&mut client, MS);
    agent.receive(MS, renumbered(&wires[1], 0)).unwrap();
    taken(&mut agent);
    agent.receive(MS, wires[0].clone()).unwrap();
    assert_eq!(agent.reused(), None);
}
