//! `cargo xtask bench rollout`: several accounts and regions, one error budget, and scripts on the aws CLI beside it.

use std::collections::BTreeMap;

use serde_json::Value;

use super::report::Report;
use super::{Aws, Bench, Measured, Reader, seconds_of};
use crate::Outcome;
use crate::http::ask;
use crate::serve::Simulator;

const REGIONS: [&str; 3] = ["us-east-1", "eu-west-1", "ap-southeast-2"];
const ACCOUNTS: u64 = 4;
/// Scopes that are measured alone at a time: more would wait for the processor.
const AT_ONCE: usize = 3;
const BUDGET: u64 = 20;
const RANDOM_RUNS: u64 = 100;
const COMMAND: [&str; 2] = ["--", "whoami"];

/// Four accounts and three regions, together and each alone.
pub(crate) fn scopes(bench: &Bench, nodes: u64, report: &mut Report) -> Outcome {
    println!("==> {ACCOUNTS} accounts, {} regions, {nodes} nodes in each", REGIONS.len());
    let regions = REGIONS.join("+");
    let spec =
        format!("nodes={nodes},seed={},duration=fleet,accounts={ACCOUNTS},regions={regions}", bench.seed);
    let spec = spec.as_str();
    let simulator = Simulator::start(&bench.herder, spec)?;
    let about = ask(simulator.endpoint(), "/_sim/", None)?;
    let accounts: Vec<String> = about["accounts"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|a| a.as_str().map(str::to_owned))
        .collect();
    let together = run(bench, "scopes", &simulator, &accounts.join(","), &REGIONS.join(","))?;
    let targets = together.document()?["targets"].as_array().map_or(0, Vec::len);
    report.at_most("scopes: exit code", together.exit as f64, 0.0, "");
    let expected = nodes * ACCOUNTS * REGIONS.len() as u64;
    report.at_most("scopes: targets without a verdict", expected.abs_diff(targets as u64) as f64, 0.0, "");
    let pairs: Vec<(&String, &str)> = accounts.iter().flat_map(|a| REGIONS.map(|r| (a, r))).collect();
    let mut slowest: f64 = 0.0;
    for group in pairs.chunks(AT_ONCE) {
        let alone = std::thread::scope(|scope| {
            let begun: Vec<_> = group
                .iter()
                .map(|(account, region)| {
                    scope.spawn(move || {
                        let simulator = Simulator::start(&bench.herder, spec)?;
                        run(bench, &format!("alone-{account}-{region}"), &simulator, account, region)
                    })
                })
                .collect();
            begun
                .into_iter()
                .map(|run| run.join().map_err(|_| "a run panicked".to_owned())?)
                .collect::<Outcome<Vec<_>>>()
        })?;
        slowest = alone.iter().map(|run| run.seconds).fold(slowest, f64::max);
    }
    report.tells("scopes: the slowest alone", slowest, "s");
    report.at_most("scopes: all together", together.seconds, 1.15 * slowest, "s");
    report.tells("scopes: herder's processor time", together.cpu_seconds, "s");
    report.tells("scopes: herder's peak memory", together.peak_mib, "MiB");
    Ok(())
}

fn run(bench: &Bench, name: &str, simulator: &Simulator, accounts: &str, regions: &str) -> Outcome<Measured> {
    let scope = ["--account", accounts, "--assume-role", "HerderExec", "--region", regions];
    let arguments = [&["exec", "-t", "all", "--yes", "-c", "100%", "--json"], &scope[..], &COMMAND].concat();
    bench.herder(name, simulator, Reader::File, &arguments)
}

/// Runs at random over three regions: the budget holds, within what the plan had announced.
pub(crate) fn budget(bench: &Bench, report: &mut Report) -> Outcome {
    println!("==> {RANDOM_RUNS} random runs with --max-errors {BUDGET}");
    let mut random = bench.seed;
    let mut draw = |below: u64| {
        // Numerical Recipes' generator: the same runs for the same seed.
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % below
    };
    let (mut beyond, mut stopped, mut worst) = (0.0, 0.0, 0.0_f64);
    for number in 0..RANDOM_RUNS {
        let (nodes, concurrency) = (30 + draw(120), 1 + draw(150));
        let broken = draw(nodes);
        let spec = format!(
            "nodes={nodes},seed={},broken={broken},regions={},speed=300,rate=200,burst=200",
            bench.seed + number,
            REGIONS.join("+")
        );
        let simulator = Simulator::start(&bench.herder, &spec)?;
        let concurrency = concurrency.to_string();
        let (regions, budget) = (REGIONS.join(","), BUDGET.to_string());
        let mut arguments =
            vec!["exec", "-t", "all", "--yes", "--json", "--region", &regions, "-c", &concurrency];
        arguments.extend(["--max-errors", &budget]);
        let rehearsed = bench.herder(
            "budget",
            &simulator,
            Reader::File,
            &[&arguments[..], &["--dry-run"], &COMMAND].concat(),
        )?;
        let announced = announced(&rehearsed)?;
        let ran = bench.herder("budget", &simulator, Reader::File, &[&arguments[..], &COMMAND].concat())?;
        let tally = ran.document()?["tally"].clone();
        let bad: u64 = ["failed", "timed_out", "undelivered", "denied", "unknown"]
            .iter()
            .filter_map(|v| tally[*v].as_u64())
            .sum();
        let was_stopped = ran.exit == 6;
        // The one that exceeds the budget, and what was out beside it.
        let keeps =
            bad <= BUDGET + 1 + announced && (bad <= BUDGET || was_stopped || tally["not_run"].is_null());
        if !keeps {
            println!(
                "    run {number}: {spec} -c {concurrency}: exit {}, announced {announced}, {tally}",
                ran.exit
            );
        }
        beyond += f64::from(u8::from(!keeps));
        stopped += f64::from(u8::from(was_stopped));
        worst = worst.max(bad.saturating_sub(BUDGET + 1) as f64 / announced.max(1) as f64);
    }
    report.tells("budget: runs that it stopped", stopped, "");
    report.tells("budget: the worst overshoot, of what was announced", 100.0 * worst, "%");
    report.at_most("budget: runs beyond the announced overshoot", beyond, 0.0, "");
    Ok(())
}

/// How many more may be bad, as the plan says it.
fn announced(rehearsed: &Measured) -> Outcome<u64> {
    let said = rehearsed.said();
    let words: Vec<&str> = said.split_whitespace().collect();
    let at = words.windows(3).position(|w| w == ["more", "were", "sent"]);
    let number = at.and_then(|at| words.get(at.checked_sub(1)?)?.parse().ok());
    number.ok_or_else(|| format!("no overshoot is announced: {said}"))
}

/// Scripts that people write, on the aws CLI, beside herder on the same fleet.
pub(crate) fn scripts(bench: &Bench, nodes: u64, report: &mut Report) -> Outcome {
    println!("==> {nodes} nodes: herder and scripts on the aws CLI");
    let spec = format!("nodes={nodes},seed={},windows=0,hybrid=0,duration=fleet", bench.seed);
    let start = || Simulator::start(&bench.herder, &spec);
    let simulator = start()?;
    let arguments = ["exec", "-t", "tag:env=prod,staging,dev", "-c", "100%", "--json", "--", "whoami"];
    let herder = bench.herder("script-herder", &simulator, Reader::File, &arguments)?;
    let ours = calls(&simulator)?;
    report.at_most("script: herder's exit code", herder.exit as f64, 0.0, "");
    report.tells("script: herder's calls", ours, "");
    report.tells("script: herder's time", herder.seconds, "s");
    let python = crate::aws_cli::install()?;
    let mut rows = BTreeMap::new();
    let scripts = [
        ("exact ids", Aws::Started, include_str!("exact_ids.sh")),
        ("exact ids, each call starts the aws CLI", Aws::Ordinary, include_str!("exact_ids.sh")),
        ("one command by tag", Aws::Ordinary, include_str!("by_tag.sh")),
    ];
    for (name, aws, script) in scripts {
        let simulator = start()?;
        let seconds = seconds_of(script, aws, &python, &simulator)?;
        let calls = calls(&simulator)?;
        report.tells(&format!("script: {name}, calls"), calls, "");
        report.tells(&format!("script: {name}, time"), seconds, "s");
        rows.insert(name, (calls, seconds));
    }
    // Twenty reads every 5 s are more than two cores can start the aws CLI for, and what is late asks less often: where starting it
    // costs nothing, the script does what it says, and that is the measure.
    let (calls, seconds) = rows["exact ids"];
    report.at_most(
        "script: herder's calls, of a third of those of exact ids",
        100.0 * ours / (calls / 3.0),
        100.0,
        "%",
    );
    report.at_most(
        "script: herder's time, of that of exact ids",
        100.0 * herder.seconds / seconds,
        100.0,
        "%",
    );
    Ok(())
}

/// Calls that the simulator took.
fn calls(simulator: &Simulator) -> Outcome<f64> {
    let stats: Value = ask(simulator.endpoint(), "/_sim/stats", None)?;
    let stats = stats.as_object().ok_or("the simulator's stats are no object")?;
    Ok(stats.values().filter_map(|of| of["accepted"].as_f64()).sum())
}
