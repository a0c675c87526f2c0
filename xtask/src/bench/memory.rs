//! Peak memory with much output, in every way of showing it.

use std::fs;

use super::report::Report;
use super::{Bench, Reader};
use crate::Outcome;
use crate::serve::Simulator;

/// Bytes that each node prints, different on each.
const BYTES: u64 = 24_000;
const MAX_MIB: f64 = 96.0;
/// Bytes of one long output.
const LONG: u64 = 100_000_000;

pub(crate) fn run(bench: &Bench, report: &mut Report) -> Outcome {
    println!("==> {} nodes, {BYTES} distinct bytes from each, no quotas", bench.nodes);
    let out_dir = bench.directory.join("scratch").join("files");
    let files = out_dir.to_string_lossy();
    let modes: [(&str, Reader, &[&str]); 4] = [
        ("terminal, folded", Reader::Terminal, &[]),
        ("--jsonl", Reader::Pipe, &["--jsonl"]),
        ("--json", Reader::Pipe, &["--json"]),
        ("--out-dir", Reader::Pipe, &["--out-dir", &files]),
    ];
    for (name, reader, more) in modes {
        let simulator = bench.simulator(&format!("rate=off,duration=quick,bytes={BYTES}"))?;
        let arguments =
            [&["exec", "-t", "all", "--yes", "-c", "100%"], more, &["--", "cat /var/log/messages"]].concat();
        let measured = bench.herder("memory", &simulator, reader, &arguments)?;
        report.at_most(&format!("peak memory, {name}"), measured.peak_mib, MAX_MIB, "MiB");
        report.tells(&format!("whole run, {name}"), measured.seconds, "s");
        report.tells(&format!("processor time, {name}"), measured.cpu_seconds, "s");
        report.at_most(&format!("exit code, {name}"), measured.exit as f64, 0.0, "");
        // A terminal is shown the head of each output; everything else is shown all of it.
        if reader == Reader::Pipe {
            let missing = (bench.nodes * BYTES).saturating_sub(measured.stdout_bytes);
            report.at_most(&format!("bytes missing from what was read, {name}"), missing as f64, 0.0, "");
        }
        let _ = fs::remove_dir_all(&measured.home);
        let _ = fs::remove_dir_all(&out_dir);
    }
    long(bench, report)
}

/// One node that prints much, by way of S3.
fn long(bench: &Bench, report: &mut Report) -> Outcome {
    println!("==> one node, {LONG} bytes, by way of S3");
    let out_dir = bench.directory.join("scratch").join("files");
    let files = out_dir.to_string_lossy();
    let modes: [(&str, &[&str]); 4] = [
        ("pipe", &[]),
        ("--jsonl", &["--jsonl"]),
        ("--json", &["--json"]),
        ("--out-dir", &["--out-dir", &files]),
    ];
    for (name, more) in modes {
        let spec = format!("nodes=5,windows=0,rate=off,duration=quick,bytes={LONG}");
        let simulator = Simulator::start(&bench.herder, &spec)?;
        let arguments =
            [&["exec", "-t", "web-1", "--s3", "herder-output"], more, &["--", "cat /var/log/messages"]]
                .concat();
        let measured = bench.herder("long", &simulator, Reader::Pipe, &arguments)?;
        report.at_most(
            &format!("peak memory, 100 MB from one node, {name}"),
            measured.peak_mib,
            MAX_MIB,
            "MiB",
        );
        report.tells(&format!("whole run, 100 MB from one node, {name}"), measured.seconds, "s");
        report.at_most(&format!("exit code, 100 MB from one node, {name}"), measured.exit as f64, 0.0, "");
        let missing = LONG.saturating_sub(measured.stdout_bytes);
        report.at_most(&format!("bytes missing, 100 MB from one node, {name}"), missing as f64, 0.0, "");
        let _ = fs::remove_dir_all(&measured.home);
        let _ = fs::remove_dir_all(&out_dir);
    }
    Ok(())
}
