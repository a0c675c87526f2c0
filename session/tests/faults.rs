//! Two ends of a channel over a bad line, in virtual time: streams arrive to the byte, or an error says that they don't.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use bytes::Bytes;
use herder_session::channel::{Channel, ChannelOptions, PeerSilent};
use herder_session::frame::{DigestCheck, PayloadType};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

const MS: Duration = Duration::from_millis(1);

/// What a line does to messages: shares of them, from 0 to 1.
#[derive(Debug, Clone, Copy, Default)]
struct Faults {
    drop: f64,
    duplicate: f64,
    /// Held back by up to ten times the delay.
    delay: f64,
    /// One bit changed, or cut. Not the sequence number and not the payload type: the digest does not cover them, and only
    /// the transport keeps them whole.
    damage: f64,
    /// Connections that break, in a second.
    breaks_per_second: f64,
    /// A share of looks at which the reader takes nothing.
    unready: f64,
}

/// One direction.
#[derive(Default)]
struct Line {
    travelling: BinaryHeap<Reverse<(Duration, u64, Bytes)>>,
    sent: u64,
}

impl Line {
    fn push(&mut self, now: Duration, wire: Bytes, faults: &Faults, rng: &mut SmallRng) {
        let copies = if rng.random_bool(faults.duplicate) { 2 } else { 1 };
        for _ in 0..copies {
            if rng.random_bool(faults.drop) {
                continue;
            }
            let late =
                if rng.random_bool(faults.delay) { MS * rng.random_range(1..100) } else { Duration::ZERO };
            let mut wire = wire.clone();
            if rng.random_bool(faults.damage) {
                let mut damaged = wire.to_vec();
                let at = rng.random_range(0..damaged.len());
                let is_covered = !(48..56).contains(&at) && !(112..116).contains(&at);
                match is_covered && rng.random_bool(0.5) {
                    true => damaged[at] ^= 1 << rng.random_range(0..8),
                    false => damaged.truncate(at),
                }
                wire = damaged.into();
            }
            self.sent += 1;
            self.travelling.push(Reverse((now + MS * 10 + late, self.sent, wire)));
        }
    }

    fn arrived(&mut self, now: Duration) -> Option<Bytes> {
        self.travelling.peek().filter(|next| next.0.0 <= now)?;
        self.travelling.pop().map(|next| next.0.2)
    }
}

/// One end, what it sends and what it got.
struct End {
    channel: Channel,
    says: Vec<u8>,
    said: usize,
    heard: Vec<u8>,
    line: Line,
    most_held: usize,
}

impl End {
    fn new(options: ChannelOptions, length: usize, rng: &mut SmallRng) -> End {
        let says = (0..length).map(|_| rng.random()).collect();
        let channel = Channel::new(ChannelOptions { digest_check: DigestCheck::Required, ..options });
        End { channel, says, said: 0, heard: Vec::new(), line: Line::default(), most_held: 0 }
    }

    /// Says some of what is left, if not too much waits already; writes what there is to write.
    fn write(&mut self, now: Duration, faults: &Faults, rng: &mut SmallRng) {
        while self.said < self.says.len() && self.channel.pending_bytes() < 64 << 10 {
            let length = rng.random_range(1..=5000).min(self.says.len() - self.said);
            let piece = Bytes::copy_from_slice(&self.says[self.said..self.said + length]);
            self.channel.send(PayloadType::Output, piece);
            self.said += length;
        }
        while let Some(wire) = self.channel.transmit(now) {
            self.line.push(now, wire, faults, rng);
        }
    }

    fn read(&mut self, now: Duration, wire: Bytes, faults: &Faults, rng: &mut SmallRng) {
        // What can't be read is an error, and nothing else.
        let _unreadable = self.channel.receive(now, wire);
        self.most_held = self.most_held.max(self.channel.stats().unacknowledged_bytes);
        if !rng.random_bool(faults.unready) {
            self.take();
        }
    }

    fn take(&mut self) {
        while let Some(message) = self.channel.take() {
            self.heard.extend_from_slice(&message.payload);
        }
    }

    fn is_done(&self) -> bool {
        self.said == self.says.len() && self.channel.is_drained()
    }
}

/// Runs until both ends have said everything and know that it was heard; gives how long that took.
fn run(faults: Faults, length: usize, seed: u64) -> Result<Duration, PeerSilent> {
    let rng = &mut SmallRng::seed_from_u64(seed);
    let mut client = End::new(ChannelOptions::client(seed, 1), length, rng);
    let mut agent = End::new(ChannelOptions::agent(seed + 1, 1), length, rng);
    let mut now = Duration::ZERO;
    let mut looked_at = now;
    while !(client.is_done() && agent.is_done()) {
        let passed = (now - looked_at).as_secs_f64();
        looked_at = now;
        if rng.random_bool((faults.breaks_per_second * passed).min(1.0)) {
            // Everything on the way is lost, acknowledgements too.
            for end in [&mut client, &mut agent] {
                end.line.travelling.clear();
                end.channel.disconnected();
                end.channel.connected(now);
            }
        }
        for end in [&mut client, &mut agent] {
            end.channel.expire(now)?;
            end.write(now, &faults, rng);
        }
        while let Some(wire) = client.line.arrived(now) {
            agent.read(now, wire, &faults, rng);
        }
        while let Some(wire) = agent.line.arrived(now) {
            client.read(now, wire, &faults, rng);
        }
        for end in [&mut client, &mut agent] {
            end.write(now, &faults, rng);
        }
        let next = |end: &End| {
            let arrival = end.line.travelling.peek().map(|next| next.0.0);
            arrival.into_iter().chain(end.channel.deadline()).min()
        };
        let Some(at) = next(&client).into_iter().chain(next(&agent)).min() else {
            // Somebody wasn't ready when the last message came, and nothing else will happen.
            client.take();
            agent.take();
            assert!(!faults.unready.eq(&0.0) || client.is_done() && agent.is_done(), "stuck at {now:?}");
            continue;
        };
        now = now.max(at);
        assert!(now < Duration::from_secs(3600), "an hour is enough for anything: {faults:?} seed {seed}");
    }
    assert!(client.heard == agent.says && agent.heard == client.says, "damaged: {faults:?} seed {seed}");
    assert!(client.most_held <= 4 << 20, "the window was kept");
    Ok(now)
}

/// Several seeds of a line.
fn survives(faults: Faults, length: usize) -> Duration {
    (0..6).map(|seed| run(faults, length, seed).expect("the line is not that bad")).max().unwrap()
}

const SHARES: [f64; 3] = [0.01, 0.05, 0.20];

#[test]
fn a_good_line_is_used_well() {
    let took = survives(Faults::default(), 1 << 20);
    assert!(took < MS * 300, "1 MiB at 20 ms: {took:?}");
}

#[test]
fn messages_are_dropped() {
    for drop in SHARES {
        let took = survives(Faults { drop, ..Faults::default() }, 300_000);
        assert!(took < Duration::from_secs(20), "{drop}: {took:?}");
    }
}

#[test]
fn messages_are_duplicated() {
    for duplicate in SHARES {
        let took = survives(Faults { duplicate, ..Faults::default() }, 300_000);
        assert!(took < Duration::from_secs(1), "{duplicate}: {took:?}");
    }
}

#[test]
fn messages_are_delayed_and_overtaken() {
    for delay in SHARES {
        let took = survives(Faults { delay, ..Faults::default() }, 300_000);
        assert!(took < Duration::from_secs(5), "{delay}: {took:?}");
    }
}

#[test]
fn messages_are_damaged() {
    for damage in SHARES {
        survives(Faults { damage, ..Faults::default() }, 200_000);
    }
}

#[test]
fn everything_goes_wrong_at_once() {
    for share in SHARES {
        let faults = Faults {
            drop: share,
            duplicate: share,
            delay: share,
            damage: share,
            breaks_per_second: 2.0,
            unready: share,
        };
        survives(faults, 150_000);
    }
}

#[test]
fn connections_break_all_the_time() {
    let took = survives(Faults { breaks_per_second: 10.0, ..Faults::default() }, 300_000);
    assert!(took < Duration::from_secs(10), "{took:?}");
}

#[test]
fn readers_are_often_not_ready() {
    survives(Faults { unready: 0.9, ..Faults::default() }, 100_000);
}

#[test]
fn a_line_that_passes_nothing_is_an_error() {
    let error = run(Faults { drop: 1.0, ..Faults::default() }, 1000, 1).unwrap_err();
    assert_eq!(error, PeerSilent(Duration::from_secs(300)));
}
