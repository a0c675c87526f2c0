//! Port forwarding: rates, processor time, shares.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::processes::{Side, Spent};
use super::{Bench, DEFAULT_CHUNK, LARGE_CHUNK, percentile, shown};
use crate::Outcome;
use crate::bench::report::Report;

/// Where the node sends so many bytes.
const SOURCE: u16 = 7000;
/// Where it throws everything away.
const DISCARD: u16 = 10_009;
/// Where it sends without end.
const CHARGEN: u16 = 10_019;
/// Connections side by side.
const SIDE_BY_SIDE: usize = 8;
/// What is read and written at once.
const BLOCK: usize = 256 << 10;

/// A direction.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    Down,
    Up,
}

/// What a run came to.
struct Run {
    rate: f64,
    client: Spent,
    simulator: Spent,
}

/// How fast bytes go through, each way, with each frame size, with and without TLS.
pub(super) fn rates(bench: &Bench, report: &mut Report) -> Outcome {
    for (chunk, at_least) in [(LARGE_CHUNK, 60.0), (DEFAULT_CHUNK, 20.0)] {
        let megabytes = if bench.quick { 32 } else { 256 } / if chunk == LARGE_CHUNK { 1 } else { 2 };
        for tls in [false, true] {
            for way in [Way::Down, Way::Up] {
                let best = best(bench, (chunk, tls, way), megabytes << 20)?;
                let direction = if way == Way::Down { "to the client" } else { "to the node" };
                let with = if tls { ", TLS" } else { "" };
                let name = format!("port, {} frames{with}, {direction}", shown(chunk));
                report.at_least(&name, best.rate, at_least, "MB/s");
                for (side, spent) in [("client", best.client), ("simulator", best.simulator)] {
                    let unit = "ms/MB";
                    report.tells(&format!("{name}: processor time, {side}"), spent.user + spent.system, unit);
                    report.tells(&format!("{name}: of it in the kernel, {side}"), spent.system, unit);
                }
            }
        }
        let parts = bench.process(&["parts", &chunk.to_string()])?;
        let part = |name: &str| parts.said()[name].as_f64().unwrap_or(f64::NAN) * 1e3;
        let name = format!("without sockets, {} frames", shown(chunk));
        report.tells(&format!("{name}: SHA-256, once"), part("hash"), "ms/MB");
        report.tells(&format!("{name}: both ends of a channel, to the client"), part("down"), "ms/MB");
        report.tells(&format!("{name}: both ends of a channel, to the node"), part("up"), "ms/MB");
    }
    Ok(())
}

fn best(bench: &Bench, (chunk, tls, way): (usize, bool, Way), total: usize) -> Outcome<Run> {
    let mut best: Option<Run> = None;
    for _ in 0..bench.runs {
        let mut simulation =
            bench.simulation(&format!("session_chunk={chunk},ports={SOURCE}:send={total}"), tls)?;
        let port = if way == Way::Down { SOURCE } else { DISCARD };
        let (client, address) = bench.listener(&simulation, port, chunk)?;
        let before = (client.spent()?, simulation.spent()?);
        let begun = Instant::now();
        match way {
            Way::Down => receive(&address, total)?,
            Way::Up => send(&address, total, &mut simulation)?,
        }
        let megabytes = total as f64 / 1e6;
        let rate = megabytes / begun.elapsed().as_secs_f64();
        let run = Run {
            rate,
            client: client.spent()?.per_megabyte(before.0, megabytes),
            simulator: simulation.spent()?.per_megabyte(before.1, megabytes),
        };
        if best.as_ref().is_none_or(|best| best.rate < run.rate) {
            best = Some(run);
        }
    }
    best.ok_or_else(|| "nothing was measured".to_owned())
}

pub(super) fn connect(address: &str) -> Outcome<TcpStream> {
    TcpStream::connect(address).map_err(|error| format!("{address}: {error}"))
}

/// Reads everything, and looks whether it is what was sent: 64-bit numbers from 0 on.
fn receive(address: &str, total: usize) -> Outcome {
    let mut stream = connect(address)?;
    let mut reader = Numbers::default();
    while reader.read(&mut stream)? {}
    if reader.read == total { Ok(()) } else { Err(format!("{} of {total} bytes came", reader.read)) }
}

/// Reads 64-bit numbers from 0 on.
#[derive(Default)]
pub(super) struct Numbers {
    /// Bytes so far.
    pub(super) read: usize,
    buffer: Vec<u8>,
}

impl Numbers {
    /// Reads what is there; false at the end. Looks at the last number of each read: whatever is missing or doubled shows in it.
    pub(super) fn read(&mut self, stream: &mut TcpStream) -> Outcome<bool> {
        self.buffer.resize(BLOCK, 0);
        let count = stream.read(&mut self.buffer).map_err(|error| error.to_string())?;
        if count == 0 {
            return Ok(false);
        }
        let end = self.read + count;
        let at = (end / 8 * 8).checked_sub(8).and_then(|at| at.checked_sub(self.read));
        if let Some(bytes) = at.and_then(|at| self.buffer[..count].get(at..at + 8)) {
            let number = bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte));
            if number != end as u64 / 8 - 1 {
                return Err(format!("wrong bytes before byte {end}"));
            }
        }
        self.read = end;
        Ok(true)
    }
}

/// Writes everything, and waits until the node has it.
fn send(address: &str, total: usize, simulation: &mut Side) -> Outcome {
    let mut stream = connect(address)?;
    let block = vec![7; BLOCK];
    for _ in 0..total / BLOCK {
        stream.write_all(&block).map_err(|error| error.to_string())?;
    }
    let until = Instant::now() + Duration::from_secs(60);
    while Instant::now() < until {
        let sessions = simulation.ask("sessions")?;
        if sessions[0]["connections"][0]["bytes_in"] == total {
            return Ok(());
        }
        sleep(Duration::from_millis(2));
    }
    Err("the node did not get everything".to_owned())
}

/// Connections side by side have the same shares.
pub(super) fn fairness(bench: &Bench, report: &mut Report) -> Outcome {
    let seconds = if bench.quick { 1 } else { 5 };
    for (way, port) in [(Way::Down, CHARGEN), (Way::Up, DISCARD)] {
        for chunk in [LARGE_CHUNK, DEFAULT_CHUNK] {
            let simulation = bench.simulation(&format!("session_chunk={chunk}"), false)?;
            let (_client, address) = bench.listener(&simulation, port, chunk)?;
            let mut shares = side_by_side(&address, way, Duration::from_secs(seconds))?;
            shares.sort_by(f64::total_cmp);
            let direction = if way == Way::Down { "to the client" } else { "to the node" };
            let name = format!("{SIDE_BY_SIDE} connections, {} frames, {direction}", shown(chunk));
            let (least, most) = (percentile(&shares, 0), percentile(&shares, 100));
            report.at_most(
                &format!("{name}: slowest behind fastest"),
                100.0 * (1.0 - least / most),
                20.0,
                "%",
            );
            let rate = shares.iter().sum::<f64>() / 1e6 / seconds as f64;
            report.tells(&format!("{name}: together"), rate, "MB/s");
        }
    }
    Ok(())
}

/// The bytes that each connection carries in a while.
fn side_by_side(address: &str, way: Way, time: Duration) -> Outcome<Vec<f64>> {
    let (begin, end) = (Barrier::new(SIDE_BY_SIDE + 1), AtomicBool::new(false));
    let counts = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..SIDE_BY_SIDE)
            .map(|_| {
                scope.spawn(|| {
                    let connected = connect(address);
                    begin.wait();
                    let mut stream = connected?;
                    let mut block = vec![7; BLOCK];
                    let mut carried = 0;
                    while !end.load(Ordering::Relaxed) {
                        let moved = match way {
                            Way::Down => stream.read(&mut block),
                            Way::Up => stream.write(&block[..32 << 10]),
                        };
                        let moved = moved.map_err(|error| error.to_string())?;
                        if moved == 0 {
                            return Err("a connection ended".to_owned());
                        }
                        carried += if counts.load(Ordering::Relaxed) { moved } else { 0 };
                    }
                    // Others still wait for their turn on the same session.
                    let _ = stream.shutdown(Shutdown::Both);
                    Ok(carried as f64)
                })
            })
            .collect();
        begin.wait();
        // Until buffers are full and the window has grown.
        sleep(Duration::from_secs(1));
        counts.store(true, Ordering::Relaxed);
        sleep(time);
        counts.store(false, Ordering::Relaxed);
        end.store(true, Ordering::Relaxed);
        threads.into_iter().map(|thread| thread.join().map_err(|_| "a thread panicked".to_owned())?).collect()
    })
}
