//! `cargo xtask bench session`: what sessions carry, take and hold, on loopback against the simulator's stand-in for an agent.
//!
//! Three processes: a simulation, a client that holds nothing else, and this one, which is the program that uses the
//! client's port.

mod copies;
mod memory;
mod ports;
mod processes;
mod trips;

use std::fs;
use std::path::PathBuf;

use serde_json::json;

use self::processes::Side;
use super::report::Report;
use crate::Outcome;
use crate::process::{cargo, check, target};

/// What `bench session` takes.
#[derive(clap::Args)]
pub(crate) struct SessionArgs {
    /// A fraction of the bytes and of the waiting: a look, not a measurement
    #[arg(long)]
    quick: bool,

    /// How often each rate is measured; the best counts
    #[arg(long, default_value_t = 3)]
    runs: u32,

    /// Only these parts (can be repeated)
    #[arg(long, value_name = "PART")]
    only: Vec<Part>,
}

/// What is measured together.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// Port forwarding: rates and processor time
    Ports,
    /// Shares of connections side by side
    Fairness,
    /// Round trips and keystrokes
    Trips,
    /// An agent that sleeps, and copies
    Copies,
    /// Memory behind a slow reader
    Memory,
    /// Processor time of an idle session
    Idle,
}

/// What measures a part.
type Measure = fn(&Bench, &mut Report) -> Outcome;

/// The bytes in a frame that everybody takes.
const DEFAULT_CHUNK: usize = 1024;
/// The bytes in a frame that agents take.
const LARGE_CHUNK: usize = 32 << 10;

/// What is measured, and with what.
struct Bench {
    program: PathBuf,
    scratch: PathBuf,
    quick: bool,
    runs: u32,
}

impl SessionArgs {
    /// Everything.
    pub(crate) fn new(quick: bool) -> SessionArgs {
        SessionArgs { quick, runs: 3, only: Vec::new() }
    }
}

/// Measures what is asked for.
pub(crate) fn measure(args: &SessionArgs) -> Outcome<Report> {
    println!("building a release of the simulator and the client");
    let build =
        ["build", "--quiet", "--locked", "--release", "-p", "herder-sim", "--example", "session_speed"];
    check(cargo(&build), "cargo build")?;
    let directory = target().join("bench");
    let scratch = directory.join("scratch");
    fs::create_dir_all(&scratch).map_err(|error| format!("could not make {}: {error}", scratch.display()))?;
    let program = target().join("release").join("examples").join("session_speed");
    let bench = Bench { program, scratch, quick: args.quick, runs: args.runs.max(1) };
    let mut report = Report::of(&json!({"best of": bench.runs}));
    let parts: [(Part, Measure); 6] = [
        (Part::Ports, ports::rates),
        (Part::Fairness, ports::fairness),
        (Part::Trips, trips::run),
        (Part::Copies, copies::run),
        (Part::Memory, memory::behind_a_slow_reader),
        (Part::Idle, memory::idle),
    ];
    for (part, measure) in parts {
        if args.only.is_empty() || args.only.contains(&part) {
            measure(&bench, &mut report)?;
        }
    }
    // Copies are nothing to keep.
    let _ = fs::remove_dir_all(&bench.scratch);
    Ok(report)
}

impl Bench {
    /// A simulation with what a spec says beside a few Linux nodes.
    fn simulation(&self, rest: &str, tls: bool) -> Outcome<Side> {
        let spec = format!("nodes=5,windows=0,{rest}");
        let words: &[&str] = if tls { &["serve", &spec, "tls"] } else { &["serve", &spec] };
        self.process(words)
    }

    fn process(&self, words: &[&str]) -> Outcome<Side> {
        Side::start(&self.program, words)
    }

    /// A listener to a port of the node, with frames of so many bytes at most; and its address.
    fn listener(&self, simulation: &Side, port: u16, chunk: usize) -> Outcome<(Side, String)> {
        let (server, port, chunk) = (simulation.said().to_string(), port.to_string(), chunk.to_string());
        let side = self.process(&["forward", &server, &port, &chunk])?;
        let address = side.said()["listening"].as_str().unwrap_or_default().to_owned();
        Ok((side, address))
    }
}

/// A frame size as people read it.
fn shown(chunk: usize) -> &'static str {
    if chunk == LARGE_CHUNK { "32 KiB" } else { "1 KiB" }
}

/// The one of these, sorted, that a share of them in percent does not exceed.
fn percentile(sorted: &[f64], percent: usize) -> f64 {
    let last = sorted.len().saturating_sub(1);
    sorted.get(last * percent / 100).copied().unwrap_or(f64::NAN)
}
