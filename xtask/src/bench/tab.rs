//! `cargo xtask bench tab`: how long a Tab waits, with what a listing saw of the nodes in the cache.

use std::fs;
use std::process::Command;
use std::time::Instant;

use super::{Bench, Report};
use crate::Outcome;
use crate::process::{isolate, output};
use crate::serve::Simulator;

/// A Tab that takes longer is felt.
const MOST_MS: f64 = 50.0;
/// Times that each is asked; the median counts.
const TIMES: usize = 41;

/// Words before the Tab, by what they are to show.
const QUESTIONS: [(&str, &[&str]); 5] = [
    ("every node", &["exec", "-t", ""]),
    ("a name", &["exec", "-t", "web-12"]),
    ("an id", &["session", "i-0"]),
    ("values of a tag", &["exec", "-t", "tag:role="]),
    ("an option", &["exec", "--max"]),
];

/// Lists the fleet once, and asks what a Tab asks.
pub(crate) fn run(bench: &Bench, build: &str, report: &mut Report) -> Outcome {
    let simulator = Simulator::start(&bench.herder, &format!("nodes={},seed={}", bench.nodes, bench.seed))?;
    let home = bench.directory.join("scratch").join("tab");
    let _ = fs::remove_dir_all(&home);
    fs::create_dir_all(&home).map_err(|error| format!("{} can't be made: {error}", home.display()))?;
    let herder = |words: &[&str]| {
        let mut command = Command::new(&bench.herder);
        isolate(&mut command).args(words).env("HOME", &home).envs(simulator.variables.iter().cloned());
        command
    };
    output(herder(&["nodes", "list", "-o", "quiet"]), "herder nodes list")?;
    // fish lists all of them, with what each is; bash and zsh are given what they need to go on.
    let questions = ["zsh", "fish"].into_iter().flat_map(|shell| QUESTIONS.map(|question| (shell, question)));
    for (shell, (what, words)) in questions {
        let words = [&["__complete", shell, "herder"], words].concat();
        let mut took = Vec::new();
        for _ in 0..TIMES {
            let begun = Instant::now();
            let answer = output(herder(&words), "herder __complete")?;
            took.push(begun.elapsed().as_secs_f64() * 1000.0);
            if answer.is_empty() {
                return Err(format!("{words:?}: nothing is offered"));
            }
        }
        took.sort_by(f64::total_cmp);
        report.at_most(&format!("a Tab in {shell}, {build} build: {what}"), took[TIMES / 2], MOST_MS, "ms");
    }
    Ok(())
}
