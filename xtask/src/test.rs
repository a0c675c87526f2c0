//! `cargo xtask test`: everything that must pass, step by step, until the first that fails.

use std::io::{BufRead, BufReader};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use crate::conformance::{self, ConformanceArgs};
use crate::process::{cargo, check};
use crate::{Outcome, aws_cli, deny, generate, manual, rules};

/// How many checks a step made.
#[derive(Clone, Copy, Default)]
pub(crate) struct Count {
    passed: u64,
    failed: u64,
}

impl From<u64> for Count {
    fn from(passed: u64) -> Count {
        Count { passed, failed: 0 }
    }
}

/// What a step came to: its checks, and why it failed if it did.
type Step = (Count, Outcome);

/// A step's name, and how it is made.
type Named = (&'static str, fn() -> Step);

/// Runs the steps. The last line is always `N passed, N failed`.
pub(crate) fn run(quick: bool) -> ExitCode {
    let begun = Instant::now();
    let steps: [Named; 9] = [
        ("format: cargo fmt --check", || {
            one(check(cargo(&["fmt", "--all", "--check"]), "cargo fmt (run `cargo fmt`)"))
        }),
        ("lints: cargo clippy, warnings denied", || one(lints())),
        ("tests: cargo test --workspace", tests),
        ("generated files: cargo xtask gen --check", || one(generate::run(true))),
        ("manual pages: mandoc -T lint", || many(manual::run())),
        ("rules: what clippy must reject", || many(rules::run())),
        ("dependencies: cargo deny check", || many(deny::run())),
        ("aws CLI: against herder sim serve", || many(aws_cli::run())),
        ("conformance: the judges of the simulator and of herder", || {
            many(conformance::run(ConformanceArgs { check: true, mutate: false }))
        }),
    ];
    let steps = &steps[..if quick { steps.len() - 2 } else { steps.len() }];
    let mut total = Count::default();
    for (number, (name, step)) in (1..).zip(steps) {
        println!("==> [{number}/{}] {name}", steps.len());
        let step_begun = Instant::now();
        let (count, outcome) = step();
        total.passed += count.passed;
        total.failed += count.failed;
        match outcome {
            Ok(()) => println!("    {} passed in {:.0} s", count.passed, step_begun.elapsed().as_secs_f64()),
            Err(error) => {
                println!("\nFAILED: {name}\n{error}");
                println!(
                    "stopped at step {number} of {} after {:.0} s",
                    steps.len(),
                    begun.elapsed().as_secs_f64()
                );
                println!("{} passed, {} failed", total.passed, total.failed);
                return ExitCode::FAILURE;
            }
        }
    }
    println!("everything passed in {:.0} s", begun.elapsed().as_secs_f64());
    println!("{} passed, {} failed", total.passed, total.failed);
    ExitCode::SUCCESS
}

fn one(outcome: Outcome) -> Step {
    match outcome {
        Ok(()) => (Count::from(1), Ok(())),
        Err(error) => (Count { passed: 0, failed: 1 }, Err(error)),
    }
}

fn many(outcome: Outcome<u64>) -> Step {
    match outcome {
        Ok(passed) => (Count::from(passed), Ok(())),
        Err(error) => (Count { passed: 0, failed: 1 }, Err(error)),
    }
}

fn lints() -> Outcome {
    let clippy =
        cargo(&["clippy", "--quiet", "--locked", "--workspace", "--all-targets", "--", "-D", "warnings"]);
    check(clippy, "cargo clippy")?;
    // Left out of "all targets", as it is of `cargo test`.
    let fuzz =
        cargo(&["clippy", "--quiet", "--locked", "--workspace", "--test=fuzz", "--", "-D", "warnings"]);
    check(fuzz, "cargo clippy --test fuzz")?;
    // Without the simulator it is another program: nothing of it may be needed to build herder.
    let without = cargo(&[
        "clippy",
        "--quiet",
        "--locked",
        "--package",
        "herder",
        "--no-default-features",
        "--bins",
        "--",
        "-D",
        "warnings",
    ]);
    check(without, "cargo clippy --no-default-features")
}

/// Runs every test of the workspace with all its cases, documentation included, and what `cargo test` leaves out by itself.
fn tests() -> Step {
    let mut count = Count::default();
    let mut outcome = Ok(());
    for words in [&["--workspace", "--no-fail-fast"][..], &["--workspace", "--no-fail-fast", "--test=fuzz"]] {
        let mut command = cargo(&["test", "--locked"]);
        command.args(words).env("HERDER_TESTS", "all");
        match counted(&mut command) {
            Ok((more, is_success)) => {
                count.passed += more.passed;
                // A test that does not build is one that fails.
                count.failed += if is_success { 0 } else { more.failed.max(1) };
                if !is_success {
                    outcome = Err("cargo test failed; the failing tests are named above".to_owned());
                }
            }
            Err(error) => {
                count.failed += 1;
                outcome = Err(error);
            }
        }
    }
    (count, outcome)
}

/// Counts tests by cargo's own summary lines.
fn counted(command: &mut Command) -> Outcome<(Count, bool)> {
    let text = |error: std::io::Error| format!("cargo test can't be run: {error}");
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().map_err(text)?;
    let mut count = Count::default();
    for line in child.stdout.take().map(BufReader::new).into_iter().flat_map(BufReader::lines) {
        let line = line.map_err(text)?;
        println!("{line}");
        if let Some((passed, failed)) = summary(&line) {
            count.passed += passed;
            count.failed += failed;
        }
    }
    let status = child.wait().map_err(text)?;
    Ok((count, status.success()))
}

/// The numbers of `test result: ok. 12 passed; 0 failed; …`.
fn summary(line: &str) -> Option<(u64, u64)> {
    let rest = line.strip_prefix("test result: ")?.split_once(". ")?.1;
    let mut parts = rest.split("; ").map(|part| part.split_once(' '));
    let mut next = |word: &str| {
        let (number, unit) = parts.next()??;
        (unit == word).then(|| number.parse().ok()).flatten()
    };
    Some((next("passed")?, next("failed")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargos_summaries_are_counted() {
        let line = "test result: FAILED. 12 passed; 3 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.1s";
        assert_eq!(summary(line), Some((12, 3)));
        assert_eq!(summary("running 3 tests"), None);
    }
}
