//! `cargo xtask conformance`: programs of others judge the simulator and herder.
//!
//! The judges are in Python (`conformance/*.py`); they write a line of JSON for every check. Each has a simulator of its own,
//! so that they run side by side. What they found becomes the table in `docs/conformance.md`.

mod table;

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use clap::Args;
use serde_json::Value;

use crate::process::{build, isolate, root};
use crate::serve::Simulator;
use crate::{Outcome, judges};
use table::Table;

/// What `cargo xtask conformance` does beside judging.
#[derive(Args, Clone, Copy)]
pub(crate) struct ConformanceArgs {
    /// Only break the simulator's answers, field by field, and show that the judges notice
    #[arg(long)]
    pub(crate) mutate: bool,
    /// Write nothing; fail where docs/conformance.md differs
    #[arg(long)]
    pub(crate) check: bool,
}

/// A check that a judge made.
#[derive(Debug, Clone)]
struct Finding {
    /// `ssm.SendCommand`, or what herder did.
    operation: String,
    judge: String,
    check: String,
    /// What is wrong; nothing where it passed.
    found: Vec<String>,
}

/// A judge: its name, and what the simulator that is started for it has in it.
struct Judge {
    name: &'static str,
    spec: Spec,
}

enum Spec {
    /// `judged.toml`.
    Judged,
    /// Nothing: only what others are asked about is there.
    Empty,
}

const JUDGES: [Judge; 5] = [
    Judge { name: "boto3", spec: Spec::Judged },
    Judge { name: "cli", spec: Spec::Judged },
    Judge { name: "mutation", spec: Spec::Judged },
    Judge { name: "pyssm", spec: Spec::Judged },
    Judge { name: "moto", spec: Spec::Empty },
];

/// Judges; gives how many checks there were. Without an environment for the judges there are none.
pub(crate) fn run(args: ConformanceArgs) -> Outcome<u64> {
    let Some(python) = judges::python()? else { return Ok(0) };
    let herder = build("dev")?;
    let mut judges: Vec<&Judge> = JUDGES.iter().collect();
    if args.mutate {
        judges.retain(|judge| judge.name == "mutation");
    }
    let is_whole = judges::has(&python, "pyssm_client");
    if !is_whole {
        println!(
            "!!! SKIPPED: pyssm-client needs Python 3.12; no other client than ours opens a session !!!"
        );
        judges.retain(|judge| judge.name != "pyssm");
    }
    let (python, herder) = (&python, &herder);
    let findings: Outcome<Vec<Vec<Finding>>> = thread::scope(|scope| {
        let started: Vec<_> =
            judges.iter().map(|judge| scope.spawn(move || judged(judge, python, herder))).collect();
        let ended = started.into_iter();
        ended.map(|judge| judge.join().map_err(|_| "a judge panicked".to_owned())?).collect()
    });
    let findings = findings?.concat();
    let wrong: Vec<&Finding> = findings.iter().filter(|finding| !finding.found.is_empty()).collect();
    summarize(&findings);
    if !wrong.is_empty() {
        let lines = wrong.iter().flat_map(|finding| {
            let about = format!("{} ({}, {})", finding.operation, finding.judge, finding.check);
            finding.found.iter().map(move |line| format!("  {about}: {line}"))
        });
        let lines: Vec<String> = lines.collect();
        return Err(format!("{} of {} checks failed:\n{}", wrong.len(), findings.len(), lines.join("\n")));
    }
    if !args.mutate && is_whole {
        write(&Table::of(&findings).markdown(), args.check)?;
    }
    Ok(findings.len() as u64)
}

fn summarize(findings: &[Finding]) {
    let mutations = findings.iter().filter(|one| one.judge == "mutation" && one.check != "sound");
    let (caught, all) =
        mutations.fold((0, 0), |(caught, all), one| (caught + u32::from(one.found.is_empty()), all + 1));
    println!("    {caught}/{all} broken fields caught");
    let operations = Table::of(findings).operations();
    let passed = findings.iter().filter(|finding| finding.found.is_empty()).count();
    println!("    {operations} operations × {} checks: {passed} passed", findings.len());
}

/// Runs one judge to its end.
fn judged(judge: &Judge, python: &Path, herder: &Path) -> Outcome<Vec<Finding>> {
    let directory = root().join("xtask/src/conformance");
    let mut command = Command::new(python);
    isolate(&mut command);
    // The tree stays clean of compiled modules.
    command.arg("-B").arg(directory.join("main.py")).arg(judge.name).arg("--herder").arg(herder);
    command.arg("--sources").arg(root().join("sim/src/service"));
    let spec = match judge.spec {
        Spec::Judged => format!("@{}", directory.join("judged.toml").display()),
        // A region that is not named has no nodes.
        Spec::Empty => "nodes=1,regions=eu-west-1".to_owned(),
    };
    let simulator = Simulator::start(herder, &spec)?;
    let key = simulator.variables.iter().find(|(name, _)| name == "AWS_ACCESS_KEY_ID");
    let key = key.map_or("", |(_, key)| key.as_str());
    command.args(["--endpoint", simulator.endpoint(), "--key", key]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let failed = |error: std::io::Error| format!("the judge {} can't be run: {error}", judge.name);
    let mut child = command.spawn().map_err(failed)?;
    // Beside the findings, so that neither waits for a full pipe.
    let complaints = child.stderr.take().map(|mut stderr| {
        thread::spawn(move || {
            let mut text = String::new();
            let _cut = stderr.read_to_string(&mut text);
            text
        })
    });
    let mut findings = Vec::new();
    for line in child.stdout.take().map(BufReader::new).into_iter().flat_map(BufReader::lines) {
        findings.push(finding(&line.map_err(failed)?)?);
    }
    let complaints = complaints.and_then(|thread| thread.join().ok()).unwrap_or_default();
    match child.wait().map_err(failed)? {
        status if status.success() && !findings.is_empty() => Ok(findings),
        status => Err(format!("the judge {} ended with {status}:\n{}", judge.name, tail(&complaints))),
    }
}

fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.trim().lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}

fn finding(line: &str) -> Outcome<Finding> {
    let value: Value =
        serde_json::from_str(line).map_err(|error| format!("a judge said {line:?}: {error}"))?;
    let text = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
    let found = value["found"].as_array().into_iter().flatten();
    Ok(Finding {
        operation: text("operation"),
        judge: text("judge"),
        check: text("check"),
        found: found.map(|line| line.as_str().unwrap_or_default().to_owned()).collect(),
    })
}

/// Writes the table, or compares it with what is there.
fn write(text: &str, is_check: bool) -> Outcome {
    let path: PathBuf = root().join("docs/conformance.md");
    if is_check {
        let there = fs::read_to_string(&path).unwrap_or_default();
        let differs = there.lines().zip(text.lines()).find(|(is, should)| is != should);
        return match differs {
            _ if there == text => Ok(()),
            Some((is, should)) => Err(format!(
                "docs/conformance.md is out of date (run `cargo xtask conformance`):\n  is     {is}\n  should {should}"
            )),
            None => Err("docs/conformance.md is out of date (run `cargo xtask conformance`)".to_owned()),
        };
    }
    fs::write(&path, text).map_err(|error| format!("could not write {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_are_read() {
        let line =
            r#"{"operation": "ssm.ListCommands", "judge": "boto3", "check": "shape", "found": ["a", "b"]}"#;
        let read = finding(line).unwrap();
        assert_eq!((read.operation.as_str(), read.found.len()), ("ssm.ListCommands", 2));
        assert!(finding("Traceback").is_err());
    }

    #[test]
    fn only_the_end_of_complaints_is_shown() {
        let text: String = (0..100).map(|n| format!("{n}\n")).collect();
        assert!(tail(&text).starts_with("80\n") && tail("").is_empty());
    }
}
