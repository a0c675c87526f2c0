//! `cargo xtask bench core`: what it costs to be told by `core`'s tests, once its dependencies are there.

use std::fs;
use std::process::Command;

use super::Report;
use crate::Outcome;
use crate::process::{cargo, output, target};

/// Seconds of CPU that compiling the members and running their tests may take.
const MOST_SECONDS: f64 = 20.0;
/// The selection, for every call of cargo here: another would compile other things.
const SELECTED: [&str; 3] = ["--quiet", "--locked", "--package=herder-core"];
/// In which `/proc` counts, a second, whatever the kernel's own beat.
const TICKS: f64 = 100.0;

/// Compiles the dependencies into a directory of its own, and then measures what is left: to compile and to run.
pub(crate) fn run(report: &mut Report) -> Outcome {
    println!("==> core's tests from clean (their dependencies first)");
    step(&["build", "--tests"])?;
    step(&["clean"])?;
    let compiling = step(&["test", "--no-run"])?;
    // Cargo finds everything there.
    let running = step(&["test"])?;
    report.tells("compiling core and its tests, CPU", compiling, "s");
    report.tells("running core's tests, CPU", running, "s");
    report.at_most(
        "core's tests from clean, CPU beyond its dependencies",
        compiling + running,
        MOST_SECONDS,
        "s",
    );
    Ok(())
}

/// Seconds of CPU of cargo and of all that it runs.
fn step(words: &[&str]) -> Outcome<f64> {
    let name = format!("cargo {}", words.join(" "));
    let mut command: Command = cargo(words);
    // What is compiled once gains nothing from notes for the next time (incremental compilation).
    command.args(SELECTED).env("CARGO_INCREMENTAL", "0").env_remove("HERDER_TESTS");
    command.env("CARGO_TARGET_DIR", target().join("bench").join("core-build"));
    let before = cpu_of_children()?;
    output(command, &name)?;
    Ok(cpu_of_children()? - before)
}

/// Seconds of CPU, user and system, of the processes that this one has waited for, with theirs.
fn cpu_of_children() -> Outcome<f64> {
    let unknown = || "the system does not say what CPU processes took (/proc/self/stat)".to_owned();
    let stat = fs::read_to_string("/proc/self/stat").map_err(|_| unknown())?;
    seconds_of(&stat).ok_or_else(unknown)
}

/// The 16th and 17th field; the second, a name in parentheses, may have spaces.
fn seconds_of(stat: &str) -> Option<f64> {
    let mut fields = stat.rsplit_once(") ")?.1.split(' ').skip(13);
    let mut ticks = || fields.next()?.parse::<f64>().ok();
    Some((ticks()? + ticks()?) / TICKS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_are_told_from_the_process_itself() {
        let stat = "7 (cargo x) S 1 7 7 0 -1 4194304 9 9 9 9 11 12 340 160 20 0 1 0 5 6 7";
        assert_eq!(seconds_of(stat), Some(5.0));
        assert_eq!(seconds_of("nonsense"), None);
    }
}
