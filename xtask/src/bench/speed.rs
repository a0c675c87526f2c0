//! Calls, throttles, wall clock, verdicts.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::report::Report;
use super::{Bench, Measured, Reader};
use crate::Outcome;
use crate::http::ask;
use crate::serve::Simulator;

/// Calls by which targets are resolved; all others come after.
const RESOLVING: [&str; 4] =
    ["DescribeInstances", "DescribeInstanceProperties", "DescribeInstanceInformation", "GetCallerIdentity"];
/// One more page, at ten calls a second.
const PAGE_S: f64 = 0.1;
const COMMAND: [&str; 2] = ["--", "whoami"];

/// No faults: the fewest calls, as fast as the quota lets them through.
pub(crate) fn plain(bench: &Bench, report: &mut Report) -> Outcome {
    println!("==> {} nodes, none failing, default quotas", bench.nodes);
    let run = Run::of(bench, "plain", "duration=fleet", &[])?;
    let (calls, throttled) = run.calls()?;
    report.at_most("accepted calls after resolving", calls, 500.0, "");
    let attempts = calls + throttled;
    report.at_most("throttled attempts", 100.0 * throttled / attempts.max(1.0), 5.0, "%");
    for (api, accepted, throttled) in run.apis()? {
        report.tells(&format!("{api}: accepted"), accepted, "");
        if throttled > 0.0 {
            report.tells(&format!("{api}: throttled"), throttled, "");
        }
    }
    let floor = run.floor()?;
    let floor_s = floor["floor_ms"].as_f64().unwrap_or(f64::NAN) / 1e3;
    report.tells("floor: from the first send to the last node's end, at the quota", floor_s, "s");
    report.tells("last node's end as it was", floor["actual_ms"].as_f64().unwrap_or(f64::NAN) / 1e3, "s");
    let first = run.first_send()?;
    let wall = run.measured.ended - first;
    report.at_most(
        "wall clock from the first send to herder's end",
        wall,
        1.10 * floor_s + 0.5 + PAGE_S,
        "s",
    );
    report.tells("before the first send: start, resolving, journal", run.measured.seconds - wall, "s");
    report.tells("herder's processor time", run.measured.cpu_seconds, "s");
    report.tells(
        "herder's processor time per node",
        1e3 * run.measured.cpu_seconds / bench.nodes as f64,
        "ms",
    );
    report.tells("herder's peak memory", run.measured.peak_mib, "MiB");
    let compared = run.compare()?;
    report.at_most("targets without exactly one verdict", compared.not_once, 0.0, "");
    report.at_most("verdicts that differ from the truth", compared.wrong, 0.0, "");
    report.at_most("verdicts other than ok", bench.nodes as f64 - compared.ok, 0.0, "");
    report.at_most("exit code", run.measured.exit as f64, 0.0, "");
    Ok(())
}

/// A twentieth of the calls throttled, a fiftieth answered with a 5xx.
pub(crate) fn faults(bench: &Bench, report: &mut Report) -> Outcome {
    let spec = "duration=fleet,throttle=5%,errors=2%";
    println!("==> the same with 5% throttling and 2% 5xx");
    let run = Run::of(bench, "faults", spec, &["--max-errors", "100%"])?;
    let compared = run.compare()?;
    report.at_most("faults: targets without exactly one verdict", compared.not_once, 0.0, "");
    report.at_most("faults: verdicts that differ from the truth", compared.wrong, 0.0, "");
    report.at_most("faults: nodes that ran it more than once", compared.twice, 0.0, "");
    report.tells("faults: nodes `unknown` (their send had no effect)", compared.unknown, "");
    report.tells("faults: whole run", run.measured.seconds, "s");
    println!("==> the same with --resend-ambiguous");
    let run = Run::of(bench, "resend", spec, &["--max-errors", "100%", "--resend-ambiguous"])?;
    let compared = run.compare()?;
    report.at_most("resent: targets without exactly one verdict", compared.not_once, 0.0, "");
    report.at_most("resent: verdicts that differ from the truth", compared.wrong, 0.0, "");
    report.at_most("resent: nodes that ran it more than once", compared.twice, 0.0, "");
    report.at_most("resent: verdicts other than ok", bench.nodes as f64 - compared.ok, 0.0, "");
    report.tells("resent: whole run", run.measured.seconds, "s");
    Ok(())
}

/// A run and the simulator that knows what happened.
struct Run {
    simulator: Simulator,
    measured: Measured,
    nodes: u64,
}

/// Verdicts beside the truth.
#[derive(Default)]
struct Compared {
    ok: f64,
    unknown: f64,
    wrong: f64,
    not_once: f64,
    twice: f64,
}

impl Run {
    fn of(bench: &Bench, name: &str, spec: &str, more: &[&str]) -> Outcome<Run> {
        let simulator = bench.simulator(spec)?;
        let arguments = [&["exec", "-t", "all", "--yes", "-c", "100%", "--json"], more, &COMMAND].concat();
        let measured = bench.herder(name, &simulator, Reader::File, &arguments)?;
        Ok(Run { simulator, measured, nodes: bench.nodes })
    }

    fn ask(&self, path: &str) -> Outcome<Value> {
        ask(self.simulator.endpoint(), path, None)
    }

    /// Accepted and throttled after resolving.
    fn calls(&self) -> Outcome<(f64, f64)> {
        let later = self.apis()?.into_iter().filter(|(api, ..)| !RESOLVING.contains(&api.as_str()));
        Ok(later.fold((0.0, 0.0), |(calls, throttles), (_, accepted, throttled)| {
            (calls + accepted, throttles + throttled)
        }))
    }

    fn apis(&self) -> Outcome<Vec<(String, f64, f64)>> {
        let stats = self.ask("/_sim/stats")?;
        let stats = stats.as_object().ok_or("the simulator's stats are no object")?;
        let count = |of: &Value, name: &str| of[name].as_f64().unwrap_or(0.0);
        Ok(stats
            .iter()
            .map(|(api, of)| (api.clone(), count(of, "accepted"), count(of, "throttled")))
            .collect())
    }

    fn floor(&self) -> Outcome<Value> {
        ask(self.simulator.endpoint(), "/_sim/floor", Some(&json!({ "comment": "herder" })))
    }

    fn executions(&self) -> Outcome<Vec<Value>> {
        let truth = self.ask("/_sim/truth")?;
        if truth["settled"] != true {
            return Err("herder ended while commands went on".to_owned());
        }
        Ok(truth["executions"].as_array().cloned().unwrap_or_default())
    }

    /// Seconds since 1970.
    fn first_send(&self) -> Outcome<f64> {
        let executions = self.executions()?;
        let first = executions.iter().filter_map(|e| e["requested_at_us"].as_i64()).min();
        Ok(first.ok_or("nothing was sent")? as f64 / 1e6)
    }

    fn compare(&self) -> Outcome<Compared> {
        let document = self.measured.document()?;
        let mut told: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for target in document["targets"].as_array().into_iter().flatten() {
            let id = target["target"].as_str().unwrap_or_default();
            told.entry(id).or_default().push(target["verdict"].as_str().unwrap_or_default());
        }
        let executions = self.executions()?;
        let mut truth: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
        for execution in &executions {
            truth.entry(execution["instance_id"].as_str().unwrap_or_default()).or_default().push(execution);
        }
        let mut compared =
            Compared { not_once: self.nodes.abs_diff(told.len() as u64) as f64, ..Compared::default() };
        for (id, verdicts) in &told {
            let ran = truth.get(id).map_or(&[][..], Vec::as_slice);
            let [verdict] = verdicts.as_slice() else {
                compared.not_once += 1.0;
                continue;
            };
            // Where no send took effect nobody can know it.
            let ought = ran.last().map_or("unknown", |e| e["verdict"].as_str().unwrap_or("none"));
            compared.wrong += f64::from(u8::from(*verdict != ought));
            compared.ok += f64::from(u8::from(*verdict == "ok"));
            compared.unknown += f64::from(u8::from(*verdict == "unknown"));
            let runs: u64 = ran.iter().filter_map(|e| e["runs"].as_u64()).sum();
            compared.twice += f64::from(u8::from(runs > 1));
        }
        Ok(compared)
    }
}
