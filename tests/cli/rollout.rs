//! Waves, gates, soaking, spreading, rates and plans: what a careful rollout promises, against the simulation's truth.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::harness::{Output, Sim, together};

/// Targets in the order of a plan, each with its wave.
fn planned(sim: &Sim, rollout: &[&str]) -> Vec<(String, u64)> {
    let arguments = [&["exec", "-t", "all", "--dry-run", "--json"], rollout, &["--", "uptime"]].concat();
    let plan = sim.run(&arguments).exits(0).json();
    let row = |row: &Value| (row["target"].as_str().unwrap().to_owned(), row["wave"].as_u64().unwrap());
    plan["targets"].as_array().unwrap().iter().map(row).collect()
}

/// Runs it on all.
fn rolled_out(sim: &Sim, rollout: &[&str]) -> Output {
    sim.run(&[&["exec", "-t", "all", "--yes"], rollout, &["--", "uptime"]].concat())
}

/// Ids to which anything was sent, in the order in which it was asked for.
fn sent(sim: &Sim) -> Vec<String> {
    let mut executions = sim.control.truth().executions;
    executions.sort_by_key(|e| e.command_sequence);
    executions.into_iter().map(|e| e.instance_id).collect()
}

/// Each wave was asked for after all of the one before it had ended.
fn assert_one_after_the_other(sim: &Sim, wave_of: &BTreeMap<String, u64>) {
    let mut waves: BTreeMap<u64, (i64, i64)> = BTreeMap::new();
    for execution in sim.control.truth().executions {
        let (begun, ended) = (execution.requested_at_us, execution.finished_at_us.unwrap());
        let wave = waves.entry(wave_of[&execution.instance_id]).or_insert((begun, ended));
        *wave = (wave.0.min(begun), wave.1.max(ended));
    }
    let waves: Vec<_> = waves.into_iter().collect();
    for pair in waves.windows(2) {
        let [(_, (_, ended)), (_, (begun, _))] = pair else { unreachable!() };
        assert!(ended <= begun, "{waves:?}");
    }
}

fn of_type<'a>(events: &'a [Value], kind: &str) -> Vec<&'a Value> {
    events.iter().filter(|e| e["type"] == kind).collect()
}

fn position(events: &[Value], what: &str, fits: impl Fn(&Value) -> bool) -> usize {
    events.iter().position(fits).unwrap_or_else(|| panic!("no {what} in {events:#?}"))
}

fn at(event: &Value) -> Timestamp {
    event["at"].as_str().unwrap().parse().unwrap()
}

#[test]
fn waves_go_one_after_the_other() {
    let sim = Sim::start("30,windows=0,hybrid=0,duration=20s");
    let rollout = ["--waves", "1,10%,50%", "--jsonl"];
    let plan: BTreeMap<String, u64> = planned(&sim, &rollout[..2]).into_iter().collect();
    let output = rolled_out(&sim, &rollout).exits(0);
    let events = output.events();
    let sizes: Vec<(u64, u64)> = of_type(&events, "wave_started")
        .into_iter()
        .map(|e| (e["wave"].as_u64().unwrap(), e["targets"].as_u64().unwrap()))
        .collect();
    // What is left is a wave as well.
    assert_eq!(sizes, [(1, 1), (2, 2), (3, 12), (4, 15)]);
    for (id, target) in output.targets() {
        assert_eq!(target["wave"], plan[&id], "{id}");
    }
    assert_one_after_the_other(&sim, &plan);
    for wave in 1..=4 {
        let started = position(&events, "wave_started", |e| e["type"] == "wave_started" && e["wave"] == wave);
        let finished =
            position(&events, "wave_finished", |e| e["type"] == "wave_finished" && e["wave"] == wave);
        let of_wave = |e: &Value| {
            e["wave"] == wave && ["target_sent", "target_finished"].contains(&e["type"].as_str().unwrap())
        };
        let all: Vec<usize> = (0..events.len()).filter(|n| of_wave(&events[*n])).collect();
        assert!(all.iter().all(|n| (started..finished).contains(n)), "wave {wave}: {events:#?}");
    }
    sim.assert_true(&output.verdicts());
    sim.assert_at_most_once();
}

#[test]
fn a_canary_that_fails_touches_one_node() {
    let sim = Sim::start("20,windows=0,hybrid=0,broken=20");
    let output = rolled_out(&sim, &["--waves", "1,10%,100%", "--json"]).exits(6);
    assert_eq!(sent(&sim).len(), 1);
    assert_eq!(output.tally(), BTreeMap::from([("failed".to_owned(), 1), ("not_run".to_owned(), 19)]));
    for (id, target) in output.targets() {
        let expected = if sent(&sim).contains(&id) {
            (json!("failed"), json!("exit_1"))
        } else {
            (json!("not_run"), json!("budget"))
        };
        assert_eq!((target["verdict"].clone(), target["reason"].clone()), expected, "{id}");
    }
    sim.assert_true(&output.verdicts());
}

/// One row of the table: who is bad (places in the plan, from 1), and how it goes over them.
struct Case {
    bad: &'static [usize],
    offline: &'static [usize],
    waves: &'static str,
    max_errors: &'static str,
    /// So many are sent to.
    sent: usize,
    exit: i32,
}

const TABLE: [Case; 14] = [
    // Without a budget the first bad one is the last.
    Case { bad: &[1], offline: &[], waves: "12", max_errors: "0", sent: 1, exit: 6 },
    Case { bad: &[5], offline: &[], waves: "12", max_errors: "0", sent: 5, exit: 6 },
    Case { bad: &[5], offline: &[], waves: "1,50%,100%", max_errors: "0", sent: 5, exit: 6 },
    // At a wave's end, and right after it.
    Case { bad: &[6], offline: &[], waves: "1,50%,100%", max_errors: "0", sent: 6, exit: 6 },
    Case { bad: &[7], offline: &[], waves: "1,50%,100%", max_errors: "0", sent: 7, exit: 6 },
    // A budget is used up without a stop, and then exceeded: over the whole run, not by wave.
    Case { bad: &[1], offline: &[], waves: "1,50%,100%", max_errors: "1", sent: 12, exit: 1 },
    Case { bad: &[1, 2], offline: &[], waves: "1,50%,100%", max_errors: "1", sent: 2, exit: 6 },
    Case { bad: &[1, 8], offline: &[], waves: "1,50%,100%", max_errors: "1", sent: 8, exit: 6 },
    Case { bad: &[1, 2, 3, 4], offline: &[], waves: "3,6,9", max_errors: "2", sent: 3, exit: 6 },
    Case { bad: &[2, 4, 6, 8, 10], offline: &[], waves: "2,4,8", max_errors: "4", sent: 10, exit: 6 },
    // Percentages are rounded down: 24 % of 12 is 2, and 8 % is none.
    Case { bad: &[1, 2, 6, 9], offline: &[], waves: "1,10%,100%", max_errors: "24%", sent: 6, exit: 6 },
    Case { bad: &[3], offline: &[], waves: "1,10%,100%", max_errors: "8%", sent: 3, exit: 6 },
    // What is offline is bad as its wave begins: the first is nothing to send to, the second stops the wave.
    Case { bad: &[3], offline: &[1], waves: "1,50%,100%", max_errors: "1", sent: 2, exit: 6 },
    Case { bad: &[], offline: &[8], waves: "1,50%,100%", max_errors: "0", sent: 6, exit: 6 },
];

#[test]
fn the_budget_stops_exactly_where_it_says() {
    let order: Vec<String> = {
        let sim = Sim::start("12,windows=0,hybrid=0");
        planned(&sim, &[]).into_iter().map(|(id, _)| id).collect()
    };
    let order = &order;
    together(TABLE.iter().enumerate(), |(row, case)| {
        let mut scenario =
            "[spec]\nnodes = 12\nwindows = 0\nhybrid = 0\nspeed = 1000\nduration = \"1s\"\n".to_owned();
        for (places, what) in [(case.bad, "broken"), (case.offline, "offline")] {
            for place in places {
                scenario += &format!("[[node]]\nnodes = \"{}\"\n{what} = true\n", order[place - 1]);
            }
        }
        let sim = Sim::scenario(&scenario);
        let rollout = ["--waves", case.waves, "--max-errors", case.max_errors, "-c", "1", "--json"];
        let output = rolled_out(&sim, &rollout).exits(case.exit);
        let reached = order.iter().enumerate().filter(|(n, _)| !case.offline.contains(&(n + 1)));
        let expected: Vec<String> = reached.map(|(_, id)| id.clone()).take(case.sent).collect();
        assert_eq!(sent(&sim), expected, "row {row}: {output:?}");
        for (place, id) in (1..).zip(order) {
            let target = &output.targets()[id];
            let told = (target["verdict"].as_str().unwrap(), target["reason"].as_str());
            let expected_of_it = match (case.offline.contains(&place), expected.contains(id)) {
                (_, true) if case.bad.contains(&place) => ("failed", Some("exit_1")),
                (_, true) => ("ok", None),
                // One whose wave never began is not judged by its ping.
                (true, _) if told.0 == "undelivered" => ("undelivered", Some("offline")),
                _ => ("not_run", Some("budget")),
            };
            assert_eq!(told, expected_of_it, "row {row}, place {place}");
        }
        sim.assert_true(&output.verdicts());
        sim.assert_at_most_once();
    });
}

#[test]
fn the_overshoot_is_what_the_plan_announces() {
    together([1_u64, 4, 7], |concurrency| {
        let sim = Sim::start("40,windows=0,hybrid=0,broken=40,duration=2s");
        let c = concurrency.to_string();
        let plan =
            sim.run(&["exec", "-t", "all", "-c", &c, "--max-errors", "3", "--dry-run", "--", "uptime"]);
        let plan = plan.exits(0).says(&format!("at worst {} more", concurrency - 1));
        assert!(plan.stderr.contains("more than 3 are bad"), "{plan:?}");
        let output = rolled_out(&sim, &["-c", &c, "--max-errors", "3", "--json"]).exits(6);
        let bad = output.tally()["failed"];
        assert!((4..=3 + concurrency).contains(&bad), "{bad} at {concurrency}");
        assert_eq!(sent(&sim).len() as u64, bad);
    });
    let sim = Sim::start("40,windows=0,hybrid=0");
    for (rollout, more) in
        [(["--max-errors", "100%"], 0), (["--max-errors", "40"], 0), (["--max-errors", "35"], 4)]
    {
        let plan = rolled_out(&sim, &[&rollout[..], &["--dry-run"]].concat()).exits(0);
        drop(plan.says(&format!("at worst {more} more")));
    }
    let gone = ["exec", "-t", "web-1", "-t", "i-0123456789abcdef0", "--dry-run", "--", "uptime"];
    drop(sim.run(&gone).exits(0).says("at worst 0 more").says("the run would stop at once"));
}

#[test]
fn a_plan_has_the_sends_that_the_rate_makes() {
    let sim = Sim::start("90,windows=0,hybrid=0");
    let rollout = ["--rate", "20/s", "-c", "100%", "--json"];
    let plan = rolled_out(&sim, &[&rollout[..], &["--dry-run"]].concat()).exits(0);
    assert_eq!((&plan.json()["plan"]["sends"], &plan.json()["plan"]["rate"]), (&json!(5), &json!(20.0)));
    drop(plan.says("5 calls to send").says("with --rate 20/s"));
    drop(rolled_out(&sim, &rollout).exits(0));
    assert_eq!(sim.calls("SendCommand").len(), 5);
    let plan = rolled_out(&sim, &["--rate", "0.0001/s", "--dry-run"]).exits(0);
    drop(plan.says("90 calls to send").says("with --rate 0.36/h"));
}

#[test]
fn a_spent_budget_says_what_goes_on() {
    let sim = Sim::start("40,windows=0,hybrid=0,broken=40");
    let stopped = rolled_out(&sim, &["-c", "10", "--max-errors", "1"]).exits(6);
    let bad = sent(&sim).len();
    let run = sim.runs()[0].file_name().unwrap().to_str().unwrap().to_owned();
    let resume = format!("herder runs resume {run} --max-errors {}", bad + 1);
    drop(stopped.says(&format!("Go on with: {resume}")));
    // Without it nothing is sent, and that is said too.
    let says = format!("nothing more is sent: {bad} targets are bad already, and --max-errors allows 1");
    drop(sim.run(&["runs", "resume", "last"]).exits(6).says(&says).says(&format!("Go on with: {resume}")));
    assert_eq!(sent(&sim).len(), bad);
    let words: Vec<&str> = resume.split(' ').skip(1).collect();
    drop(sim.run(&words).exits(6).never_says("nothing more is sent"));
    assert!(sent(&sim).len() > bad);
    sim.assert_at_most_once();
}

#[test]
fn a_gate_knows_its_run_and_its_wave() {
    let sim = Sim::start("10,windows=0,hybrid=0");
    let asked = sim.path("asked");
    let gate = format!("echo \"$HERDER_RUN $HERDER_WAVE\" >> '{}'", asked.display());
    let output = rolled_out(&sim, &["--waves", "1,30%,100%", "--gate", &gate, "--jsonl"]).exits(0);
    let run = output.events()[0]["run"].as_str().unwrap().to_owned();
    // Between waves: not before the first, and not after the last.
    assert_eq!(std::fs::read_to_string(&asked).unwrap(), format!("{run} 1\n{run} 2\n"));
    let events = output.events();
    let passed: Vec<(&Value, &Value)> =
        of_type(&events, "gate_passed").into_iter().map(|e| (&e["wave"], &e["gate"])).collect();
    assert_eq!(passed, [(&json!(1), &json!(gate)), (&json!(2), &json!(gate))]);
    for wave in [1, 2] {
        let order = [("wave_finished", wave), ("gate_passed", wave), ("wave_started", wave + 1)]
            .map(|(kind, wave)| position(&events, kind, |e| e["type"] == kind && e["wave"] == wave));
        assert!(order.is_sorted(), "{order:?}");
    }
}

#[test]
fn a_gate_that_says_no_stops_the_run() {
    let sim = Sim::start("10,windows=0,hybrid=0");
    let gate = "test $HERDER_WAVE -lt 2 || { echo 'too many errors' >&2; exit 3; }";
    let rollout =
        ["--waves", "1,30%,100%", "--gate", "true", "--gate", gate, "--jsonl", "--max-errors", "100%"];
    let output = rolled_out(&sim, &rollout).exits(6);
    let plan = planned(&sim, &rollout[..2]);
    let first: BTreeSet<String> = plan.into_iter().take(3).map(|(id, _)| id).collect();
    assert_eq!(sent(&sim).into_iter().collect::<BTreeSet<_>>(), first);
    for (id, target) in output.targets() {
        let told = (target["verdict"].as_str().unwrap(), target["reason"].as_str());
        let expected = if first.contains(&id) { ("ok", None) } else { ("not_run", Some("gate")) };
        assert_eq!(told, expected, "{id}");
    }
    let events = output.events();
    let passed: Vec<&Value> = of_type(&events, "gate_passed").into_iter().map(|e| &e["wave"]).collect();
    assert_eq!(passed, [1, 1, 2]);
    let failed = of_type(&events, "gate_failed");
    assert_eq!(failed.len(), 1, "{failed:?}");
    assert_eq!((&failed[0]["wave"], &failed[0]["gate"]), (&json!(2), &json!(gate)));
    let reason = failed[0]["reason"].as_str().unwrap();
    assert!(reason.contains("too many errors") && reason.contains('3'), "{reason}");
    assert_eq!(of_type(&events, "run_finished")[0]["exit"], 6);
    // It is asked again when a person has looked, and lets it go on only if it changed its mind.
    let again = sim.run(&["runs", "resume", "last", "--json"]);
    assert_eq!((again.code, sent(&sim).len()), (Some(6), 3), "{again:?}");
    sim.assert_at_most_once();
}

#[test]
fn a_soak_is_waited_for_before_the_gate() {
    let sim = Sim::start("6,windows=0,hybrid=0");
    let rollout = ["--waves", "2,4,100%", "--soak", "1s", "--gate", "true", "--jsonl"];
    let events = rolled_out(&sim, &rollout).exits(0).events();
    let when = |kind: &str, wave: u64| {
        at(&events[position(&events, kind, |e| e["type"] == kind && e["wave"] == wave)])
    };
    for wave in [1, 2] {
        let (finished, passed) = (when("wave_finished", wave), when("gate_passed", wave));
        assert!(passed.duration_since(finished).unsigned_abs() >= Duration::from_millis(990), "{events:#?}");
        assert!(when("wave_started", wave + 1) >= passed);
    }
    // Who watches is told what is waited for.
    let soaks: Vec<(&Value, &Value)> =
        of_type(&events, "soak_started").into_iter().map(|e| (&e["wave"], &e["soak_ms"])).collect();
    assert_eq!(soaks, [(&json!(1), &json!(1000)), (&json!(2), &json!(1000))]);
    assert!(
        when("gate_asked", 1) >= when("soak_started", 1) && when("gate_asked", 1) <= when("gate_passed", 1)
    );
    // Nothing is to come after the last one: it is not waited for.
    let ended = at(events.last().unwrap()).duration_since(when("wave_finished", 3)).unsigned_abs();
    assert!(ended < Duration::from_millis(990), "{ended:?}");
}

#[test]
fn every_wave_has_its_part_of_each_zone() {
    let sim = Sim::start("60,windows=0,hybrid=0");
    let rollout = ["--waves", "6,50%,100%", "--spread", "az", "--json"];
    let targets = rolled_out(&sim, &rollout).exits(0).targets();
    let mut zones: BTreeMap<&str, f64> = BTreeMap::new();
    let mut parts: BTreeMap<(u64, &str), f64> = BTreeMap::new();
    let mut waves: BTreeMap<u64, f64> = BTreeMap::new();
    for target in targets.values() {
        let (zone, wave) = (target["az"].as_str().unwrap(), target["wave"].as_u64().unwrap());
        *zones.entry(zone).or_default() += 1.0;
        *parts.entry((wave, zone)).or_default() += 1.0;
        *waves.entry(wave).or_default() += 1.0;
    }
    assert_eq!(waves, BTreeMap::from([(1, 6.0), (2, 24.0), (3, 30.0)]));
    assert!(zones.len() >= 3, "{zones:?}");
    for (wave, size) in &waves {
        for (zone, of_zone) in &zones {
            let (part, share) =
                (parts.get(&(*wave, *zone)).copied().unwrap_or_default(), size * of_zone / 60.0);
            assert!((part - share).abs() <= 1.5, "wave {wave} has {part} of {zone}, its share is {share}");
        }
    }
    let plan: BTreeMap<String, u64> =
        targets.iter().map(|(id, t)| (id.clone(), t["wave"].as_u64().unwrap())).collect();
    assert_one_after_the_other(&sim, &plan);
}

#[test]
fn a_rate_is_never_exceeded() {
    let sim = Sim::start("20,windows=0,hybrid=0,rate=off");
    let _ = rolled_out(&sim, &["--rate", "6/s", "--json"]).exits(0);
    let sends: Vec<(i64, f64)> =
        sim.calls("SendCommand").iter().map(|r| (r.at_us, f64::from(r.targets))).collect();
    assert_eq!(sends.iter().map(|(_, n)| n).sum::<f64>(), 20.0);
    for (first, (from, _)) in sends.iter().enumerate() {
        let mut targets = 0.0;
        for (until, count) in &sends[first..] {
            targets += count;
            // A second of it at once, and then the rate; calls may be held up on their way for a little.
            let most = 6.0 * (1.0 + (until - from) as f64 / 1e6 + 0.3);
            assert!(targets <= most, "{targets} in {} us: {sends:?}", until - from);
        }
    }
}

#[test]
fn a_plan_is_all_that_is_made_of_a_dry_run() {
    let sim = Sim::start("10,windows=0,hybrid=0,offline=1");
    let run = |format: &[&str]| {
        let rollout = [&["--waves", "1,30%,100%", "--gate", "touch asked", "--dry-run"], format].concat();
        sim.run(&[&["exec", "-t", "all"], &rollout[..], &["--", "uptime"]].concat()).exits(0)
    };
    let waves: Vec<u64> = [vec![1], vec![2; 2], vec![3; 7]].concat();
    let of = |rows: &[Value]| rows.iter().map(|r| r["wave"].as_u64().unwrap()).collect::<Vec<_>>();
    let json = run(&["--json"]);
    let rows = json.json()["targets"].as_array().unwrap().clone();
    let plan = json.json()["plan"].clone();
    let expected = json!({
        "title": "uptime", "sim": true, "accounts": ["123456789012"], "regions": ["us-east-1"], "left_out": [],
        "targets": 10, "waves": [1, 2, 7], "soak_ms": 0, "gates": ["touch asked"], "via": "client",
        "concurrency": 50, "max_errors": 0, "rate": null, "bad_before": 1, "sends": 3,
    });
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(plan[field], *value, "{field} of {plan}");
    }
    let offline = rows.iter().find(|row| row["judged"] == "undelivered (offline)").unwrap();
    assert_eq!(plan["stops_in_wave"], offline["wave"]);
    // The wave of two can have one out as the other fails; the one that stops as it begins none.
    assert_eq!(plan["overshoot"], u64::from(offline["wave"] == 3));
    assert!(plan["takes_ms"].as_u64().is_some(), "{plan}");
    assert_eq!(of(&rows), waves);
    let ids: Vec<&str> = rows.iter().map(|r| r["target"].as_str().unwrap()).collect();
    assert_eq!(
        ids.iter().map(|id| (*id).to_owned()).collect::<BTreeSet<_>>(),
        sim.ids(None).into_iter().collect()
    );
    assert_eq!(rows.iter().filter(|r| r["judged"] == "undelivered (offline)").count(), 1);
    assert_eq!(run(&["--jsonl"]).events(), rows);
    for (format, separator, header) in [(&[][..], '\t', 0), (&["-o", "csv"][..], ',', 1)] {
        let text = run(format).text();
        let cells: Vec<(&str, u64)> = text
            .lines()
            .skip(header)
            .map(|line| line.split(separator).collect::<Vec<_>>())
            .map(|cells| (cells[0], cells[2].parse().unwrap()))
            .collect();
        assert_eq!(cells, ids.iter().copied().zip(waves.iter().copied()).collect::<Vec<_>>(), "{format:?}");
    }
    let table = run(&["-o", "table"]).text();
    let lines: Vec<&str> = table.lines().filter(|line| line.contains("i-0")).collect();
    assert!(lines.len() == 10 && table.to_lowercase().contains("wave"), "{table}");
    for ((line, id), wave) in lines.iter().zip(&ids).zip(&waves) {
        assert!(line.contains(id) && line.split_whitespace().any(|cell| cell == wave.to_string()), "{table}");
    }
    assert_eq!(run(&["-o", "quiet"]).text().lines().collect::<Vec<_>>(), ids);
    let said =
        json.says("nothing is sent").says("1, then 2, then 7").says("one gate after each but the last");
    assert!(said.stderr.contains("1 target is bad before anything is sent"), "{said:?}");
    sim.assert_nothing_sent();
    assert!(sim.runs().is_empty() && !sim.path("asked").exists());
}

#[test]
fn waves_that_make_no_sense_are_refused() {
    let sim = Sim::start("10,windows=0");
    for rollout in [
        &["--waves", "5,1"][..],
        &["--waves", "50%,10%"],
        &["--waves", "x"],
        &["--soak", "1s"],
        &["--gate", "true"],
        &["--waves", "1", "--soak", "soon"],
        &["--rate", "0/s"],
        &["--spread", "vpc"],
    ] {
        let _ = rolled_out(&sim, rollout).exits(2).silent();
    }
    sim.assert_nothing_sent();
    assert!(sim.runs().is_empty());
}

#[test]
fn a_gate_runs_where_the_run_was_started() {
    let sim = Sim::start("3,windows=0,hybrid=0");
    for (place, code) in [("here", 3), ("there", 0)] {
        std::fs::create_dir(sim.path(place)).unwrap();
        let _ = sim.file(&format!("{place}/check.sh"), format!("exit {code}"));
    }
    let rollout = ["--waves", "1,100%", "--gate", "sh ./check.sh"];
    let arguments = [&["exec", "-t", "all", "--yes"], &rollout[..], &["--", "uptime"]].concat();
    let _ = sim.herder(arguments).by_shell("cd here && exec \"$@\"").run().exits(6).says("it ended with 3");
    // Resumed elsewhere it is the same gate, not one that happens to be called the same.
    let resume = || sim.herder(["runs", "resume", "last"]).by_shell("cd there && exec \"$@\"").run();
    let _ = resume().exits(6).says("it ended with 3");
    std::fs::remove_dir_all(sim.path("here")).unwrap();
    let _ = resume().exits(6).says("here` is gone");
    assert_eq!(sent(&sim).len(), 1);
}

#[test]
fn an_interrupt_between_waves_has_nothing_to_cancel() {
    let sim = Sim::start("4,windows=0,hybrid=0");
    let rollout = ["exec", "-t", "all", "--yes", "--waves", "1,100%", "--soak", "1h", "--", "uptime"];
    let mut running = sim.herder(rollout).spawn();
    running.wait_for_stderr("begins in 1h");
    running.wait_until_it_listens();
    running.signal("INT");
    let output = running.wait().exits(130).says("0 in flight, 3 not sent");
    drop(output.never_says("Ctrl-C again"));
}

#[test]
fn guards_that_never_come_are_told() {
    let sim = Sim::start("1,windows=0,hybrid=0");
    let rollout = ["--waves", "1,10%,100%", "--gate", "exit 1", "--soak", "1h"];
    let says = "all targets are in one wave: the gate is never asked, and nothing soaks";
    drop(rolled_out(&sim, &[&rollout[..], &["--dry-run"]].concat()).exits(0).says(says));
    drop(rolled_out(&sim, &rollout).exits(0).says(says));
    let sim = Sim::start("10,windows=0,hybrid=0");
    let plan = |budget: &str| rolled_out(&sim, &["--waves", "1,100%", "--dry-run", "--max-errors", budget]);
    drop(
        plan("1")
            .exits(0)
            .says("wave 1 alone can't stop the run: it has 1 target, and --max-errors allows 1 bad one"),
    );
    drop(plan("0").exits(0).never_says("can't stop the run"));
    // Whoever did not rehearse it hears it too.
    let run = rolled_out(&sim, &["--waves", "1,100%", "--max-errors", "1"]).exits(0);
    drop(run.says("warning: wave 1 alone can't stop the run"));
}

#[test]
fn an_exclusion_that_spares_nobody_is_told() {
    let sim = Sim::start("10,windows=0,hybrid=0");
    let _ = sim.run(&["nodes", "list"]).exits(0);
    let plan = |target: &str, excluded: &str| {
        sim.run(&["exec", "-t", target, "--exclude", excluded, "--dry-run", "--", "reboot"])
    };
    let says = "--exclude `web-l` leaves out none of the nodes that were chosen; did you mean `web-1`?";
    drop(plan("web-1,web-2", "web-l").exits(0).says(says));
    drop(plan("web-1,web-2", "db-1").exits(0).says("--exclude `db-1` leaves out none"));
    drop(plan("web-1,web-2", "web-1").exits(0).never_says("leaves out none"));
    let id = sim.id("web-1");
    drop(plan(&format!("{id},web-2"), &id).exits(0).never_says("leaves out none"));
    drop(plan("web-1", "web-*").exits(3).says("--exclude leaves out every node that matches `web-1`"));
    let sample = ["exec", "-t", "web-1,web-2", "--sample", "0%", "--", "reboot"];
    drop(sim.run(&sample).exits(3).says("--sample leaves none of the 2 nodes that match"));
    sim.assert_nothing_sent();
}

#[test]
fn a_budget_that_ran_out_with_the_last_target_stopped_nothing() {
    let sim = Sim::start("3,windows=0,hybrid=0");
    let failed = sim.run(&["exec", "-t", "web-1", "--json", "--", "false"]).exits(1);
    assert_eq!(failed.json()["run"]["stopped"], Value::Null, "{failed:?}");
    drop(sim.run(&["runs", "show", "last"]).exits(0).never_says("stopped early"));
}

#[test]
fn waves_that_are_not_what_they_look_like_are_told() {
    let sim = Sim::start("20,windows=0,hybrid=0,offline=0,broken=0");
    let of =
        |waves: &str| sim.run(&["exec", "-t", "all", "--yes", "--dry-run", "--waves", waves, "--", "uptime"]);
    let _ = of("1,10%").exits(0).says("--waves reaches 2 of 20 targets: a last wave has the other 18");
    let _ = of("10%,1,100%").exits(0).says("--waves 1 is no wave: 10% of 20 targets is 2");
    let _ = of("5,10%,100%").exits(0).never_says("warning");
    let _ = of("1,10%,100%").exits(0).never_says("warning");
}
