//! Round trips: 64 bytes through a port, and letters typed at a shell.

use std::io::{Read, Write};
use std::time::Instant;

use super::ports::connect;
use super::{Bench, DEFAULT_CHUNK, percentile};
use crate::Outcome;
use crate::bench::report::Report;

/// Where the node gives everything back.
const ECHO: u16 = 10_007;
/// What is sent there and back.
const BYTES: usize = 64;

/// An echo through a forwarded port against one through as many processes and sockets without a session; keystrokes.
pub(super) fn run(bench: &Bench, report: &mut Report) -> Outcome {
    let trips = if bench.quick { 500 } else { 5000 };
    let (mut bare, mut ours) = (f64::INFINITY, Vec::new());
    for _ in 0..bench.runs {
        let broker = bench.process(&["broker"])?;
        let url = broker.said()["url"].as_str().unwrap_or_default().to_owned();
        let relay = bench.process(&["relay", &url])?;
        let address = relay.said()["listening"].as_str().unwrap_or_default();
        bare = bare.min(percentile(&echoes(address, trips)?, 50));
        let simulation = bench.simulation("", false)?;
        let (_client, address) = bench.listener(&simulation, ECHO, DEFAULT_CHUNK)?;
        let measured = echoes(&address, trips)?;
        if ours.is_empty() || percentile(&measured, 50) < percentile(&ours, 50) {
            ours = measured;
        }
    }
    report.tells("echo of 64 bytes through a bare broker: p50", bare, "us");
    report.tells("echo of 64 bytes through a forwarded port: p50", percentile(&ours, 50), "us");
    report.tells("echo of 64 bytes through a forwarded port: p90", percentile(&ours, 90), "us");
    report.tells("echo of 64 bytes through a forwarded port: p99", percentile(&ours, 99), "us");
    report.at_most(
        "echo of 64 bytes: p50 above the bare broker's",
        percentile(&ours, 50) - bare,
        500.0,
        "us",
    );
    keystrokes(bench, report)
}

/// Microseconds of round trips, sorted.
fn echoes(address: &str, trips: usize) -> Outcome<Vec<f64>> {
    let mut stream = connect(address)?;
    stream.set_nodelay(true).map_err(|error| error.to_string())?;
    let (sent, mut came) = ([7; BYTES], [0; BYTES]);
    let mut times = Vec::new();
    // The first tenth only warms up.
    for number in 0..trips + trips / 10 {
        let begun = Instant::now();
        stream.write_all(&sent).map_err(|error| error.to_string())?;
        stream.read_exact(&mut came).map_err(|error| error.to_string())?;
        if number >= trips / 10 {
            times.push(begun.elapsed().as_secs_f64() * 1e6);
        }
    }
    times.sort_by(f64::total_cmp);
    Ok(times)
}

/// The shortest timer that there is takes a millisecond: where most letters are back before, none was waited for.
fn keystrokes(bench: &Bench, report: &mut Report) -> Outcome {
    let letters = if bench.quick { 100 } else { 500 };
    let simulation = bench.simulation("", false)?;
    let client = bench.process(&["keystrokes", &simulation.said().to_string(), &letters.to_string()])?;
    let mut times: Vec<f64> =
        client.said().as_array().into_iter().flatten().filter_map(serde_json::Value::as_f64).collect();
    times.sort_by(f64::total_cmp);
    report.at_most("a letter typed at an idle shell: p50 of its echo", percentile(&times, 50), 1000.0, "us");
    report.tells("a letter typed at an idle shell: p90", percentile(&times, 90), "us");
    report.tells("a letter typed at an idle shell: p99", percentile(&times, 99), "us");
    Ok(())
}
