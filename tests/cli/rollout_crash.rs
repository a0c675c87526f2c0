//! A rollout with waves and gates, killed at each of its sends: resumed it keeps to its waves, and nothing runs twice.

use std::collections::{BTreeMap, BTreeSet};

use herder_sim::When;
use serde_json::Value;

use crate::crash::lost;
use crate::harness::{Output, Sim, together};

const NODES: usize = 10;
/// Sends of it at the least: two at once, in waves of 2, 2 and 6.
const SENDS: u32 = 5;
const RESUME: [&str; 4] = ["runs", "resume", "last", "--json"];

fn fleet() -> Sim {
    Sim::start(&format!("nodes={NODES},windows=0,hybrid=0,rate=off,duration=20s"))
}

/// The rollout. Its gate writes down for which wave it was asked.
fn arguments(sim: &Sim) -> Vec<String> {
    let gate = format!("echo $HERDER_WAVE >> '{}'", sim.path("asked").display());
    let rollout = ["--waves", "2,4,100%", "--gate", &gate, "-c", "2", "--max-errors", "100%", "--json"];
    let all = [&["exec", "-t", "all", "--yes"], &rollout[..], &["--", "uptime"]].concat();
    all.into_iter().map(str::to_owned).collect()
}

/// How often the gate was asked after each wave.
fn asked(sim: &Sim) -> BTreeMap<String, usize> {
    let mut asked = BTreeMap::new();
    for wave in std::fs::read_to_string(sim.path("asked")).unwrap_or_default().lines() {
        *asked.entry(wave.to_owned()).or_insert(0) += 1;
    }
    asked
}

/// Kills it at its nth send.
fn killed_at(nth: u32, when: When) -> Sim {
    let sim = fleet();
    let hold = sim.hold("SendCommand", nth, when);
    let mut running = sim.herder(arguments(&sim)).spawn();
    assert!(running.comes_to(hold), "there was no send {nth}");
    running.kill();
    sim.drop_held(hold);
    sim
}

/// The verdicts are true, the waves came one after the other, and what stands between them was passed.
fn check(sim: &Sim, resumed: &Output) -> usize {
    let shown = sim.run(&["runs", "show", "last", "--json"]).exits(0);
    let verdicts = shown.verdicts();
    assert_eq!(verdicts.len(), NODES);
    sim.assert_true(&verdicts);
    sim.assert_at_most_once();
    assert_eq!(asked(sim).keys().collect::<Vec<_>>(), ["1", "2"], "{resumed:?}");
    let waves: BTreeMap<String, u64> =
        shown.targets().into_iter().map(|(id, t)| (id, t["wave"].as_u64().unwrap())).collect();
    let executions = sim.control.truth().executions;
    for early in &executions {
        for late in executions.iter().filter(|e| waves[&e.instance_id] > waves[&early.instance_id]) {
            // What was in doubt may be sent again late; it then is the later one.
            if late.command_sequence > early.command_sequence {
                assert!(early.finished_at_us.unwrap() <= late.requested_at_us, "{early:?} {late:?}");
            }
        }
    }
    verdicts.values().filter(|v| *v == "unknown").count()
}

#[test]
fn it_is_whole_when_nobody_kills_it() {
    let sim = fleet();
    let output = sim.herder(arguments(&sim)).run().exits(0);
    assert_eq!(check(&sim, &output), 0);
    assert!(sim.calls("SendCommand").len() >= SENDS as usize);
    assert!(asked(&sim).values().all(|n| *n == 1));
}

#[test]
fn killed_before_a_send_of_a_wave() {
    together(1..=SENDS, |nth| {
        let sim = killed_at(nth, When::Before);
        let in_doubt = lost(&sim);
        assert!((1..=2).contains(&in_doubt), "{in_doubt} at {nth}");
        let output = sim.run(&RESUME).exits(5);
        assert_eq!(check(&sim, &output), in_doubt, "at {nth}");
        let output = sim.run(&["runs", "resume", "last", "--json", "--resend-ambiguous"]).exits(0);
        assert_eq!(check(&sim, &output), 0, "at {nth}");
        assert_eq!(sim.control.truth().executions.len(), NODES);
    });
}

#[test]
fn killed_after_a_send_of_a_wave() {
    together(1..=SENDS, |nth| {
        let sim = killed_at(nth, When::After);
        let output = sim.run(&RESUME).exits(0);
        assert_eq!(check(&sim, &output), 0, "at {nth}");
        assert_eq!(sim.control.truth().executions.len(), NODES, "at {nth}");
        let _ = sim.run(&RESUME).exits(0).says("nothing left to do");
    });
}

#[test]
fn killed_at_a_gate_it_asks_again() {
    let sim = fleet();
    let (asked_file, go, dir) = (sim.path("asked"), sim.path("go"), sim.path(""));
    let [asked_file, go, dir] = [&asked_file, &go, &dir].map(|p| p.to_str().unwrap());
    // It answers when there is a file, and gives up with the directory.
    let gate = format!(
        "echo $HERDER_WAVE >> '{asked_file}'; until test -e '{go}' || ! test -d '{dir}'; do sleep 0.05; done"
    );
    let exec = ["exec", "-t", "all", "--yes", "--waves", "2,100%", "--gate", &gate, "--json", "--", "uptime"];
    let running = sim.herder(exec).spawn();
    sim.wait_until("the gate is asked", || !asked(&sim).is_empty());
    let executed = |sim: &Sim| -> BTreeSet<String> {
        sim.control.truth().executions.into_iter().map(|e| e.instance_id).collect()
    };
    assert_eq!(executed(&sim).len(), 2);
    running.kill();
    let resumed = sim.herder(RESUME).spawn();
    sim.wait_until("the gate is asked again", || asked(&sim).get("1") == Some(&2));
    assert_eq!(executed(&sim).len(), 2);
    let _ = sim.file("go", "");
    let _ = resumed.wait().exits(0);
    assert_eq!((executed(&sim).len(), asked(&sim)), (NODES, BTreeMap::from([("1".to_owned(), 2)])));
    sim.assert_at_most_once();
    let events = sim.run_lines("events.jsonl");
    let passed: Vec<&Value> = events.iter().filter(|e| e["type"] == "gate_passed").collect();
    assert_eq!(passed.len(), 1, "{passed:?}");
}
