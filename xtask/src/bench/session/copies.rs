//! An agent that reads 1,024 bytes and sleeps a millisecond, as the official one does; and files to and from its node.

use std::fs;
use std::io::{BufWriter, Write};
use std::time::Instant;

use super::ports::{Numbers, connect};
use super::{Bench, DEFAULT_CHUNK};
use crate::Outcome;
use crate::bench::report::Report;

/// Where the node sends so many bytes.
const SOURCE: u16 = 7000;

/// Rates of uploads that a client of a few lines has reached with the official agent, raw in frames of 8 KiB, in base64 in frames
/// of 1 and 16 KiB, and of a download in base64: `encoding`, bytes in a frame, MB/s.
const UPLOADS: [(&str, usize, f64); 3] =
    [("raw", 8 << 10, 33.0), ("base64", 16 << 10, 13.3), ("base64", 1 << 10, 4.7)];
const DOWNLOAD: f64 = 9.6;

/// Downloads as fast as the agent lets them, copies as fast as a small client.
pub(super) fn run(bench: &Bench, report: &mut Report) -> Outcome {
    let total = if bench.quick { 1 << 20 } else { 4 << 20 };
    let mut rates = (0.0_f64, 0.0_f64);
    for _ in 0..bench.runs {
        let pace = bench.process(&["pace"])?;
        rates.0 = rates.0.max(pace.said().as_f64().unwrap_or(f64::NAN) / 1e6);
        let simulation = bench.simulation(&format!("session_paced=on,ports={SOURCE}:send={total}"), false)?;
        let (_client, address) = bench.listener(&simulation, SOURCE, DEFAULT_CHUNK)?;
        let begun = Instant::now();
        let (mut stream, mut numbers) = (connect(&address)?, Numbers::default());
        while numbers.read(&mut stream)? {}
        rates.1 = rates.1.max(numbers.read as f64 / 1e6 / begun.elapsed().as_secs_f64());
    }
    report.tells("an agent that sleeps: its reads and sleeps alone", rates.0, "MB/s");
    report.at_least("an agent that sleeps: port, to the client", rates.1, 0.95 * rates.0, "MB/s");
    copies(bench, report)
}

fn copies(bench: &Bench, report: &mut Report) -> Outcome {
    let megabytes = if bench.quick { 32 } else { 256 };
    let file = bench.scratch.join("file");
    write_noise(&file, megabytes).map_err(|error| format!("{}: {error}", file.display()))?;
    let mut down = 0.0_f64;
    let mut cases: Vec<(&str, usize, f64)> = UPLOADS.to_vec();
    cases.insert(0, ("raw", DEFAULT_CHUNK, 33.0));
    for (encoding, chunk, figure) in cases {
        let mut up = 0.0_f64;
        for _ in 0..bench.runs {
            let simulation = bench.simulation("session_paced=on,disk=4GB", false)?;
            let server = simulation.said().to_string();
            let (chunk, file) = (chunk.to_string(), file.to_string_lossy());
            let words = ["copy", &server, &chunk, encoding, &file, &bench.scratch.to_string_lossy()];
            let client = bench.process(&words)?;
            let rate = |name: &str| {
                let seconds = client.said()[name].as_f64().unwrap_or(f64::NAN);
                f64::from(megabytes) * 1048576.0 / 1e6 / seconds
            };
            (up, down) = (up.max(rate("up")), down.max(rate("down")));
        }
        report.at_least(
            &format!("cp to a node whose agent sleeps, {encoding}, {} KiB frames", chunk >> 10),
            up,
            0.9 * figure,
            "MB/s",
        );
    }
    report.at_least("cp from a node whose agent sleeps", down, 0.9 * DOWNLOAD, "MB/s");
    Ok(())
}

/// A file that nothing compresses.
fn write_noise(path: &std::path::Path, megabytes: u32) -> std::io::Result<()> {
    let mut file = BufWriter::new(fs::File::create(path)?);
    let mut state = 1_u64;
    for _ in 0..u64::from(megabytes) << 17 {
        // Numerical Recipes' generator.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        file.write_all(&state.to_le_bytes())?;
    }
    file.flush()
}
