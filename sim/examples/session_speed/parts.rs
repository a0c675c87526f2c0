//! What takes time where nothing else does: the stand-in's sleeps, and the protocol without sockets.

use bytes::Bytes;
use herder_session::channel::{Channel, ChannelOptions};
use herder_session::frame::PayloadType;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// What is carried without sockets.
const TOTAL: usize = 128 << 20;

/// Reads of 1,024 bytes with a sleep of a millisecond after each, as the stand-in sleeps: bytes a second.
pub(crate) async fn pace() -> Value {
    const READS: u32 = 2000;
    let begun = Instant::now();
    for _ in 0..READS {
        tokio::time::sleep_until(tokio::time::Instant::now() + Duration::from_millis(1)).await;
    }
    json!(f64::from(READS) * 1024.0 / begun.elapsed().as_secs_f64())
}

/// Processor time of this thread, in seconds, so that others on the machine don't count.
fn spent() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split_whitespace().next().and_then(|nanoseconds| nanoseconds.parse::<f64>().ok()).unwrap_or(f64::NAN)
        / 1e9
}

/// Processor seconds for a megabyte (10⁶ bytes): its hash alone, and both ends of a channel in each direction.
pub(crate) fn run(chunk: usize) -> Value {
    let options = |options| ChannelOptions { chunk_bytes: chunk, ..options };
    let client = || Channel::new(options(ChannelOptions::client(1, 1)));
    let agent = || Channel::new(options(ChannelOptions::agent(2, 1)));
    let megabytes = TOTAL as f64 / 1e6;
    json!({
        "hash": hash(chunk) / megabytes,
        "up": channel(client(), agent()) / megabytes,
        "down": channel(agent(), client()) / megabytes,
    })
}

fn hash(chunk: usize) -> f64 {
    let block = vec![7; chunk];
    let begun = spent();
    for _ in 0..TOTAL / chunk {
        std::hint::black_box(ring::digest::digest(&ring::digest::SHA256, std::hint::black_box(&block)));
    }
    spent() - begun
}

/// Two ends that hand each other messages in bursts, as they are written to and read from a socket's buffer.
fn channel(mut from: Channel, mut to: Channel) -> f64 {
    let block = Bytes::from(vec![7; 64 << 10]);
    let (mut queued, mut received, mut now) = (0, 0, Duration::ZERO);
    let begun = spent();
    while received < TOTAL {
        now += Duration::from_micros(50);
        while queued < TOTAL && from.pending_bytes() < 256 << 10 {
            from.send(PayloadType::Output, block.clone());
            queued += block.len();
        }
        for wire in std::iter::from_fn(|| from.transmit(now)).take(128) {
            // Both speak the same protocol: what can't be read would never be received, and this never end.
            let _readable = to.receive(now, wire);
        }
        received += std::iter::from_fn(|| to.take()).map(|message| message.payload.len()).sum::<usize>();
        for wire in std::iter::from_fn(|| to.transmit(now)) {
            let _readable = from.receive(now, wire);
        }
    }
    spent() - begun
}
