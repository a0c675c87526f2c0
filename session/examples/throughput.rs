//! How many bytes a second the protocol carries: two ends that hand each other messages, without sockets.
//!
//! Processor time counts, so that others on the machine don't. `cargo run --release -p herder-session --example throughput`

#![expect(clippy::print_stdout, reason = "a benchmark prints figures")]

use std::time::Duration;

use bytes::Bytes;
use herder_session::channel::{Channel, ChannelOptions, WindowLimit};
use herder_session::frame::PayloadType;
use rustix::time::{ClockId, clock_gettime};

/// What is carried in a run.
const TOTAL: usize = 256 << 20;

/// What a message takes on its way, so that the window has something to grow for.
const STEP: Duration = Duration::from_micros(50);

fn main() {
    println!("frame bytes  direction  MB/s   ns/message");
    for chunk_bytes in [1024, 32 << 10] {
        let options = |options| ChannelOptions { chunk_bytes, ..options };
        let client = || Channel::new(options(ChannelOptions::client(1, 1)));
        let agent = |window| Channel::new(ChannelOptions { window, ..options(ChannelOptions::agent(2, 1)) });
        report(chunk_bytes, "up", run(client(), agent(WindowLimit::default())));
        report(chunk_bytes, "down", run(agent(WindowLimit::default()), client()));
    }
}

fn report(chunk_bytes: usize, direction: &str, took: Duration) {
    let rate = TOTAL as f64 / took.as_secs_f64() / 1e6;
    let each = took.as_nanos() as f64 / (TOTAL / chunk_bytes) as f64;
    println!("{chunk_bytes:>11}  {direction:<9}  {rate:>4.0}   {each:>6.0}");
}

/// Carries the bytes from one end to the other, acknowledgements back; everything that a real pair does but for I/O.
fn run(mut from: Channel, mut to: Channel) -> Duration {
    let block = Bytes::from(vec![7; 64 << 10]);
    let (mut queued, mut received, mut now) = (0, 0, Duration::ZERO);
    let begun = processor_time();
    while received < TOTAL {
        now += STEP;
        while queued < TOTAL && from.pending_bytes() < 256 << 10 {
            from.send(PayloadType::Output, block.clone());
            queued += block.len();
        }
        // Bursts, as they are written to and read from a socket's buffer.
        for _ in 0..128 {
            let Some(wire) = from.transmit(now) else { break };
            to.receive(now, wire).expect("what was written can be read");
        }
        while let Some(message) = to.take() {
            received += message.payload.len();
        }
        while let Some(wire) = to.transmit(now) {
            from.receive(now, wire).expect("what was written can be read");
        }
    }
    processor_time() - begun
}

/// What this process has used so far.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}
