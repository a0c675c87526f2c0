//! `cargo xtask bench start`: how long somebody waits for the first word, beside the aws CLI, and how large the executable is.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use super::Report;
use crate::Outcome;
use crate::process::{isolate, output};

/// What the executable may weigh, stripped, in MB.
const MOST_MB: f64 = 40.0;
/// The aws CLI takes so many times as long, at least.
const TIMES_FASTER: f64 = 40.0;
/// Times that each is started; the median counts.
const TIMES: usize = 41;
/// The aws CLI is slower, and varies less.
const TIMES_AWS: usize = 11;

/// Starts each in turn, once to warm up and then as often as it counts.
pub(crate) fn run(herder: &Path, report: &mut Report) -> Outcome {
    let bytes = fs::metadata(herder).map_err(|error| format!("{}: {error}", herder.display()))?.len();
    report.at_most("size of the executable", bytes as f64 / 1e6, MOST_MB, "MB");
    let python = crate::aws_cli::install()?;
    let aws = median(TIMES_AWS, || {
        let mut aws = Command::new(&python);
        isolate(&mut aws).args(["-m", "awscli", "--version"]);
        aws
    })?;
    report.tells("aws --version", aws, "ms");
    for words in [&["--version"][..], &["exec", "--help"]] {
        let took = median(TIMES, || {
            let mut command = Command::new(herder);
            isolate(&mut command).args(words);
            command
        })?;
        let line = words.join(" ");
        report.tells(&format!("herder {line}"), took, "ms");
        report.at_least(
            &format!("aws --version takes so many times as long as herder {line}"),
            aws / took,
            TIMES_FASTER,
            "times",
        );
    }
    Ok(())
}

/// Milliseconds.
fn median(times: usize, command: impl Fn() -> Command) -> Outcome<f64> {
    output(command(), "the first start")?;
    let mut took = Vec::with_capacity(times);
    for _ in 0..times {
        let begun = Instant::now();
        output(command(), "a start")?;
        took.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    took.sort_by(f64::total_cmp);
    Ok(took[times / 2])
}
