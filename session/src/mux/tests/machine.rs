use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;

use crate::mux::{
    Decoder, Event, Frame, Half, Mux, MuxOptions, OpenError, ProtocolError, Role, StreamError, StreamId,
    Taken,
};

const SECOND: Duration = Duration::from_secs(1);

fn client() -> Mux {
    Mux::new(Role::Client, MuxOptions::new(Role::Client))
}

fn client_with(change: impl FnOnce(&mut MuxOptions)) -> Mux {
    let mut options = MuxOptions::new(Role::Client);
    change(&mut options);
    Mux::new(Role::Client, options)
}

/// What a side says, as frames.
fn said(mux: &mut Mux) -> Vec<Frame> {
    let (mut frames, mut decoder) = (Vec::new(), Decoder::default());
    while let Some(mut block) = mux.transmit() {
        while let Some(frame) = decoder.next(&mut block).unwrap() {
            frames.push(frame);
        }
    }
    frames
}

fn tell(mux: &mut Mux, frames: &[Frame]) {
    let mut wire = bytes::BytesMut::new();
    frames.iter().for_each(|frame| frame.encode(&mut wire));
    mux.receive(wire.freeze()).unwrap();
}

fn push(id: StreamId, bytes: &'static [u8]) -> Frame {
    Frame::Push(id, Bytes::from_static(bytes))
}

fn take_all(mux: &mut Mux, id: StreamId) -> Vec<u8> {
    let mut all = Vec::new();
    while let Taken::Bytes(bytes) = mux.take(id, 1000) {
        all.extend_from_slice(&bytes);
    }
    all
}

#[test]
fn a_client_counts_its_streams_from_3_by_2() {
    let mut mux = client();
    let ids: Vec<u32> = (0..3).map(|_| mux.open().unwrap().0).collect();
    assert_eq!(ids, [3, 5, 7]);
    assert_eq!(said(&mut mux), [3, 5, 7].map(|id| Frame::Syn(StreamId(id))));
}

#[test]
fn a_number_that_the_other_side_took_is_left_out() {
    let mut mux = Mux::new(Role::Agent, MuxOptions::new(Role::Agent));
    tell(&mut mux, &[Frame::Syn(StreamId(2)), push(StreamId(2), b"theirs")]);
    assert_eq!(mux.open(), Ok(StreamId(4)));
    assert_eq!(take_all(&mut mux, StreamId(2)), b"theirs");
    assert_eq!(mux.buffered(), 0);
}

/// They would take up places and budget that nobody ever gives back.
#[test]
fn a_client_refuses_streams_that_an_agent_opens() {
    let mut mux = client_with(|options| options.max_streams = 2);
    let ids = [StreamId(2), StreamId(4), StreamId(6)];
    for id in ids {
        tell(&mut mux, &[Frame::Syn(id), push(id, b"unwanted")]);
    }
    assert_eq!((mux.streams(), mux.buffered(), mux.next_event()), (0, 0, None));
    assert_eq!(said(&mut mux), ids.map(Frame::Fin));
    let id = mux.open().unwrap();
    tell(&mut mux, &[Frame::Fin(StreamId(2)), push(id, b"wanted")]);
    assert_eq!(take_all(&mut mux, id), b"wanted");
}

#[test]
fn there_are_as_many_streams_as_there_may_be() {
    let mut mux = client_with(|options| options.max_streams = 2);
    let first = mux.open().unwrap();
    mux.open().unwrap();
    assert_eq!(mux.open(), Err(OpenError::TooMany(2)));
    mux.close(first);
    assert_eq!(mux.open(), Err(OpenError::TooMany(2)), "its FIN has not been sent");
    said(&mut mux);
    assert!(mux.open().is_ok());
}

#[test]
fn a_half_closed_stream_of_a_client_sends_no_fin_before_the_answer() {
    let mut mux = client();
    let id = mux.open().unwrap();
    mux.write(id, b"request").unwrap();
    mux.shut(id);
    assert_eq!(said(&mut mux), [Frame::Syn(id), push(id, b"request")]);
    assert_eq!(mux.write(id, b"more"), Err(StreamError::Closed));
    tell(&mut mux, &[push(id, b"answer")]);
    assert_eq!(said(&mut mux), []);
    tell(&mut mux, &[Frame::Fin(id)]);
    assert_eq!(said(&mut mux), [Frame::Fin(id)]);
    assert_eq!(take_all(&mut mux, id), b"answer");
    assert_eq!(mux.take(id, 1), Taken::End);
    mux.close(id);
    assert_eq!((said(&mut mux), mux.streams()), (vec![], 0));
}

#[test]
fn a_half_closed_stream_that_is_given_up_sends_its_fin() {
    let mut mux = client();
    let id = mux.open().unwrap();
    mux.shut(id);
    assert_eq!(said(&mut mux), [Frame::Syn(id)]);
    mux.close(id);
    assert_eq!((said(&mut mux), mux.streams()), (vec![Frame::Fin(id)], 0));
}

#[test]
fn an_agents_side_sends_its_fin_at_once_and_after_what_is_queued() {
    let mut mux = Mux::new(Role::Agent, MuxOptions::new(Role::Agent));
    let id = StreamId(3);
    tell(&mut mux, &[Frame::Syn(id)]);
    assert_eq!(mux.next_event(), Some(Event::Opened(id)));
    mux.write(id, b"answer").unwrap();
    mux.shut(id);
    assert_eq!(said(&mut mux), [push(id, b"answer"), Frame::Fin(id)]);
    tell(&mut mux, &[push(id, b"still read")]);
    assert_eq!(take_all(&mut mux, id), b"still read");
}

#[test]
fn a_closed_stream_sends_what_was_written_and_forgets_what_comes() {
    let mut mux = client();
    let id = mux.open().unwrap();
    mux.write(id, b"last words").unwrap();
    mux.close(id);
    tell(&mut mux, &[push(id, b"late")]);
    assert_eq!(mux.buffered(), 0);
    assert_eq!(said(&mut mux), [Frame::Syn(id), push(id, b"last words"), Frame::Fin(id)]);
    tell(&mut mux, &[push(id, b"later"), Frame::Fin(id)]);
    assert_eq!((mux.buffered(), mux.streams(), said(&mut mux)), (0, 0, vec![]));
}

#[test]
fn after_a_fin_nothing_is_written_and_everything_is_read() {
    let mut mux = client();
    let id = mux.open().unwrap();
    mux.write(id, b"never taken").unwrap();
    tell(&mut mux, &[push(id, b"all of it"), Frame::Fin(id), push(id, b"against the rules")]);
    assert_eq!(mux.write(id, b"x"), Err(StreamError::Closed));
    assert_eq!(take_all(&mut mux, id), b"all of it");
    assert_eq!(mux.take(id, 1), Taken::End);
    assert_eq!(said(&mut mux), [Frame::Syn(id), Frame::Fin(id)]);
}

#[test]
fn a_failed_connection_is_told_to_the_stream_that_ends_without_a_byte() {
    let mut mux = client();
    let (lively, refused, later) = (mux.open().unwrap(), mux.open().unwrap(), mux.open().unwrap());
    tell(&mut mux, &[push(lively, b"hello")]);
    mux.connection_failed();
    tell(&mut mux, &[Frame::Fin(lively), Frame::Fin(refused), Frame::Fin(later)]);
    assert_eq!(take_all(&mut mux, lively), b"hello");
    assert_eq!(mux.take(lively, 1), Taken::End);
    assert_eq!(mux.take(refused, 1), Taken::Failed(StreamError::ConnectFailed));
    assert_eq!(mux.write(refused, b"x"), Err(StreamError::ConnectFailed));
    assert_eq!(mux.take(later, 1), Taken::End);
}

#[test]
fn a_failure_without_its_fin_is_not_remembered_for_ever() {
    let mut mux = client();
    mux.connection_failed();
    let id = mux.open().unwrap();
    mux.connection_failed();
    mux.close(id);
    said(&mut mux);
    let next = mux.open().unwrap();
    tell(&mut mux, &[Frame::Fin(next)]);
    assert_eq!(mux.take(next, 1), Taken::End);
}

#[test]
fn nothing_more_is_received_once_the_budget_is_used_up() {
    let mut mux = client_with(|options| options.receive_budget = 10);
    let (a, b) = (mux.open().unwrap(), mux.open().unwrap());
    tell(&mut mux, &[push(a, b"123456789")]);
    assert!(mux.can_receive());
    tell(&mut mux, &[push(b, b"1234")]);
    assert!(!mux.can_receive(), "13 bytes wait");
    assert_eq!(mux.take(b, 3), Taken::Bytes(Bytes::from_static(b"123")));
    assert!(!mux.can_receive(), "10 bytes wait");
    mux.close(b);
    assert!(mux.can_receive(), "what the closed stream held is free");
    assert_eq!(mux.buffered(), 9);
}

#[test]
fn a_reader_that_stands_still_is_given_up_only_where_it_holds_others_up() {
    let mut mux = client_with(|options| options.receive_budget = 10);
    let stalled = mux.open().unwrap();
    tell(&mut mux, &[push(stalled, b"0123456789")]);
    assert_eq!(mux.mark_full(SECOND), Some(31 * SECOND));
    assert_eq!(mux.relieve(1000 * SECOND), None, "it is alone");
    let other = mux.open().unwrap();
    assert_eq!(mux.relieve(30 * SECOND), None, "it has a second left");
    assert_eq!(mux.relieve(31 * SECOND), Some(stalled));
    assert!(mux.can_receive());
    let limit = 30 * SECOND;
    assert_eq!(mux.take(stalled, 1), Taken::Failed(StreamError::Stalled { limit }));
    assert!(said(&mut mux).contains(&Frame::Fin(stalled)));
    tell(&mut mux, &[push(stalled, b"late"), push(other, b"goes on")]);
    assert_eq!(take_all(&mut mux, other), b"goes on");
}

#[test]
fn a_slow_reader_is_never_given_up() {
    let mut mux = client_with(|options| options.receive_budget = 10);
    let (slow, other) = (mux.open().unwrap(), mux.open().unwrap());
    tell(&mut mux, &[push(slow, b"0123456789"), push(other, b"x")]);
    for second in 1..1000 {
        mux.mark_full(second * SECOND);
        assert_eq!(mux.relieve(second * SECOND), None);
        if second % 29 == 0 {
            assert!(matches!(mux.take(slow, 1), Taken::Bytes(_)));
            tell(&mut mux, &[push(slow, b"y")]);
        }
    }
}

/// Closing a stream that holds next to nothing would help nobody.
#[test]
fn a_reader_with_a_small_share_is_not_given_up() {
    let mut mux = client_with(|options| options.receive_budget = 10);
    let (large, small) = (mux.open().unwrap(), mux.open().unwrap());
    tell(&mut mux, &[push(small, b"x"), push(large, b"0123456789")]);
    mux.mark_full(SECOND);
    assert!(matches!(mux.take(large, 1), Taken::Bytes(_)));
    assert_eq!(mux.relieve(100 * SECOND), None);
}

#[test]
fn a_full_send_buffer_tells_when_there_is_room() {
    let mut mux = client_with(|options| options.send_buffer = 1000);
    let id = mux.open().unwrap();
    assert_eq!(mux.write(id, &[7; 1500]), Ok(1000));
    assert_eq!(mux.write(id, &[7; 1500]), Ok(0));
    assert_eq!(mux.next_event(), None);
    said(&mut mux);
    assert_eq!(mux.next_event(), Some(Event::Writable(id)));
    let mut bytes = Bytes::from(vec![8; 1500]);
    assert_eq!((mux.write_bytes(id, &mut bytes), bytes.len()), (Ok(1000), 500));
}

#[test]
fn streams_take_turns() {
    let mut mux = client_with(|options| (options.max_frame, options.block) = (100, 108));
    let ids: Vec<StreamId> = (0..4).map(|_| mux.open().unwrap()).collect();
    said(&mut mux);
    mux.write(ids[0], &[0; 1000]).unwrap();
    mux.write(ids[1], &[1; 1000]).unwrap();
    let mut order = Vec::new();
    let mut decoder = Decoder::default();
    while let Some(mut block) = mux.transmit() {
        // A latecomer waits for a frame of each of the others, not for all that they have.
        if order.len() == 2 {
            mux.write(ids[2], b"x").unwrap();
        }
        while let Some(frame) = decoder.next(&mut block).unwrap() {
            let Frame::Push(id, _) = frame else { panic!("{frame:?}") };
            order.push(ids.iter().position(|other| *other == id).unwrap());
        }
    }
    assert_eq!(order[..8], [0, 1, 0, 1, 0, 2, 1, 0]);
    assert_eq!(order.len(), 21);
}

#[test]
fn blocks_have_no_more_bytes_than_they_may() {
    for block in [16, 17, 100, 520, 4096] {
        let mut mux = client_with(|options| (options.max_frame, options.block) = (2048, block));
        let mut bytes = 0;
        for n in 0..30_usize {
            let id = mux.open().unwrap();
            bytes += mux.write(id, &vec![1; n * 37]).unwrap();
            mux.close(id);
        }
        let mut decoder = Decoder::default();
        while let Some(mut part) = mux.transmit() {
            assert!(part.len() <= block, "{} of {block}", part.len());
            while let Some(frame) = decoder.next(&mut part).unwrap() {
                if let Frame::Push(_, payload) = frame {
                    bytes -= payload.len();
                }
            }
        }
        assert_eq!((bytes, mux.streams()), (0, 0), "{block}");
    }
}

#[test]
fn streams_beyond_the_limit_are_refused_and_hold_up_nothing() {
    let mut mux = Mux::new(Role::Agent, MuxOptions { max_streams: 1, ..MuxOptions::new(Role::Agent) });
    tell(&mut mux, &[Frame::Syn(StreamId(3)), Frame::Syn(StreamId(5)), push(StreamId(5), b"x")]);
    assert_eq!(said(&mut mux), [Frame::Fin(StreamId(5))]);
    assert_eq!((mux.streams(), mux.buffered()), (1, 0));
    for n in 0..2000 {
        if mux.can_receive() {
            tell(&mut mux, &[Frame::Syn(StreamId(101 + n))]);
        }
    }
    assert!(!mux.can_receive(), "refusals that nobody takes are not collected for ever");
    assert!(said(&mut mux).len() <= 1024);
    assert!(mux.can_receive());
}

#[test]
fn what_is_no_frame_ends_the_session_for_every_stream() {
    let mut mux = client();
    let id = mux.open().unwrap();
    tell(&mut mux, &[push(id, b"before")]);
    assert_eq!(mux.receive(Bytes::from_static(b"HTTP/1.1")), Err(ProtocolError::Version(b'H')));
    assert_eq!(take_all(&mut mux, id), b"before");
    let Taken::Failed(StreamError::SessionEnded { reason }) = mux.take(id, 1) else { panic!() };
    assert!(reason.contains("version 72"), "{reason}");
    mux.close(id);
    assert_eq!(mux.streams(), 0);
}

#[test]
fn at_most_one_keep_alive_waits() {
    let mut mux = client();
    mux.keep_alive();
    mux.keep_alive();
    assert_eq!(said(&mut mux), [Frame::Nop]);
}

/// What two sides do, in any order.
#[derive(Debug, Clone)]
enum Step {
    Open,
    /// Side (client, or agent), which stream, how much.
    Write(bool, usize, usize),
    Shut(bool, usize),
    Close(bool, usize),
    Take(bool, usize, usize),
    /// Direction, and into how many pieces a block is cut.
    Carry(bool, usize),
}

fn step() -> impl Strategy<Value = Step> {
    let (side, which) = (any::<bool>(), 0_usize..6);
    prop_oneof![
        2 => Just(Step::Open),
        8 => (side, which.clone(), 1_usize..3000).prop_map(|(s, w, n)| Step::Write(s, w, n)),
        1 => (side, which.clone()).prop_map(|(s, w)| Step::Shut(s, w)),
        1 => (side, which.clone()).prop_map(|(s, w)| Step::Close(s, w)),
        8 => (side, which, 1_usize..2000).prop_map(|(s, w, n)| Step::Take(s, w, n)),
        10 => (side, 1_usize..5).prop_map(|(s, n)| Step::Carry(s, n)),
    ]
}

#[derive(Default)]
struct Account {
    written: Vec<u8>,
    read: Vec<u8>,
    is_dropped: bool,
    has_ended: bool,
}

/// Two sides and, for each direction of each stream, what went in and what came out.
struct Pair {
    sides: [Mux; 2],
    ids: Vec<StreamId>,
    accounts: BTreeMap<(usize, StreamId), Account>,
    seed: u8,
}

impl Pair {
    fn new(half: Half) -> Pair {
        let options = |role| MuxOptions {
            max_frame: 700,
            block: 1000,
            receive_budget: 4000,
            send_buffer: 2500,
            max_streams: 6,
            half,
            ..MuxOptions::new(role)
        };
        let sides = [Role::Client, Role::Agent].map(|role| Mux::new(role, options(role)));
        Pair { sides, ids: Vec::new(), accounts: BTreeMap::new(), seed: 0 }
    }

    fn act(&mut self, step: &Step) {
        let id = |which: usize| self.ids.get(which % self.ids.len().max(1)).copied();
        match *step {
            Step::Open => {
                if let Ok(id) = self.sides[0].open() {
                    self.ids.push(id);
                }
            }
            Step::Write(side, which, count) => {
                let (side, Some(id)) = (usize::from(side), id(which)) else { return };
                let bytes: Vec<u8> = (0..count).map(|n| (n as u8).wrapping_add(self.seed)).collect();
                self.seed = self.seed.wrapping_add(31);
                if let Ok(taken) = self.sides[side].write(id, &bytes) {
                    assert!(taken <= 2500);
                    self.accounts.entry((side, id)).or_default().written.extend(&bytes[..taken]);
                }
            }
            Step::Shut(side, which) => {
                if let Some(id) = id(which) {
                    self.sides[usize::from(side)].shut(id);
                }
            }
            Step::Close(side, which) => {
                if let Some(id) = id(which) {
                    self.sides[usize::from(side)].close(id);
                    self.accounts.entry((1 - usize::from(side), id)).or_default().is_dropped = true;
                }
            }
            Step::Take(side, which, count) => {
                if let Some(id) = id(which) {
                    self.take(usize::from(side), id, count);
                }
            }
            Step::Carry(from, pieces) => self.carry(usize::from(from), pieces),
        }
    }

    fn take(&mut self, side: usize, id: StreamId, count: usize) {
        let account = self.accounts.entry((1 - side, id)).or_default();
        match self.sides[side].take(id, count) {
            Taken::Bytes(bytes) => {
                assert!(!bytes.is_empty() && bytes.len() <= count && !account.has_ended);
                account.read.extend_from_slice(&bytes);
                assert!(account.written.starts_with(&account.read), "bytes of {id} come as they went");
            }
            Taken::End => account.has_ended = true,
            Taken::Nothing | Taken::Failed(_) => {}
        }
    }

    fn take_all(&mut self, side: usize, id: StreamId) {
        let before = |pair: &Pair| pair.sides[side].buffered();
        while {
            let buffered = before(self);
            self.take(side, id, usize::MAX);
            before(self) < buffered
        } {}
    }

    fn carry(&mut self, from: usize, pieces: usize) {
        if !self.sides[1 - from].can_receive() {
            return;
        }
        if let Some(block) = self.sides[from].transmit() {
            for piece in block.chunks(block.len().div_ceil(pieces)) {
                self.sides[1 - from].receive(Bytes::copy_from_slice(piece)).unwrap();
            }
        }
        for side in &self.sides {
            assert!(side.buffered() < 4000 + 1000, "{} bytes are buffered", side.buffered());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn two_sides_agree(steps in proptest::collection::vec(step(), 1..400), is_held in any::<bool>()) {
        let mut pair = Pair::new(if is_held { Half::Held } else { Half::Sent });
        steps.iter().for_each(|step| pair.act(step));
        // At rest, everything has arrived that was not cut off by an end.
        while pair.sides.iter().any(|side| side.has_to_send() || side.buffered() > 0) {
            for id in pair.ids.clone() {
                (0..2).for_each(|side| pair.take_all(side, id));
            }
            pair.carry(0, 1);
            pair.carry(1, 1);
        }
        for ((_, id), account) in &pair.accounts {
            let is_open = [0, 1].iter().all(|side| {
                pair.sides[*side].room(*id).is_ok() && !account.is_dropped
            });
            if is_open {
                prop_assert!(account.read == account.written, "stream {} lost bytes", id);
            }
        }
        for id in pair.ids.clone() {
            (0..2).for_each(|side| pair.sides[side].close(id));
        }
        while pair.sides.iter().any(Mux::has_to_send) {
            pair.carry(0, 1);
            pair.carry(1, 1);
        }
        prop_assert_eq!(pair.sides[0].streams() + pair.sides[1].streams(), 0);
        prop_assert_eq!(pair.sides[0].buffered() + pair.sides[1].buffered(), 0);
    }

    #[test]
    fn any_bytes_are_taken_or_refused(chunks in proptest::collection::vec(
        proptest::collection::vec(prop_oneof![4 => 0_u8..4, 1 => any::<u8>()], 0..200), 0..50,
    )) {
        let mut mux = client_with(|options| options.receive_budget = 2000);
        let ids: Vec<StreamId> = (0..4).map(|_| mux.open().unwrap()).collect();
        for chunk in chunks {
            if !mux.can_receive() || mux.receive(chunk.into()).is_err() { break; }
            prop_assert!(mux.buffered() <= 2200);
        }
        for id in ids { mux.take(id, 10); mux.close(id); }
        while mux.transmit().is_some() {}
        prop_assert_eq!(mux.buffered(), 0);
    }
}
