//! Ctrl-C once, twice, three times; SIGTERM; a terminal that goes away.

use std::collections::BTreeMap;

use herder_sim::When;

use crate::harness::{Running, Sim, together};

/// A run with some nodes under way and some still to come.
fn under_way<'a>(sim: &'a Sim, command: &str) -> Running<'a> {
    let arguments = ["exec", "-t", "all", "--yes", "-c", "4", "--jsonl", "--", command];
    let mut running = sim.herder(arguments).spawn();
    running.wait_for_stdout("\"target_sent\"");
    sim.wait_until("started", || sim.control.truth().runs_by_node("herder ").len() >= 4);
    running
}

#[test]
fn once_lets_what_runs_finish() {
    let sim = Sim::start("nodes=10,windows=0,speed=1");
    let mut running = under_way(&sim, "sleep 2");
    running.signal("INT");
    running.wait_for_stdout("\"run_stopping\"");
    let output = running.wait().exits(130);
    assert_eq!(output.tally(), BTreeMap::from([("ok".to_owned(), 4), ("not_run".to_owned(), 6)]));
    assert!(sim.calls("CancelCommand").is_empty());
    sim.assert_true(&output.verdicts());
    let reasons: Vec<_> = output.targets().into_values().filter(|t| t["verdict"] == "not_run").collect();
    assert!(reasons.iter().all(|t| t["reason"] == "interrupted"));
    // The rest is done later.
    let output = output.says("herder runs resume");
    drop(output);
    let _ = sim.run(&["runs", "resume", "last", "--json"]).exits(0);
    assert_eq!(sim.control.truth().runs_by_node("herder ").len(), 10);
    sim.assert_at_most_once();
}

#[test]
fn twice_or_sigterm_cancels() {
    together([&["INT", "INT"][..], &["TERM"][..]], |signals| {
        let sim = Sim::start("nodes=10,windows=0,speed=1");
        let mut running = under_way(&sim, "sleep 600");
        running.signal(signals[0]);
        if signals.len() > 1 {
            running.wait_for_stdout("\"run_stopping\"");
            running.signal(signals[1]);
        }
        let output = running.wait().exits(130);
        assert_eq!(output.tally(), BTreeMap::from([("cancelled".to_owned(), 4), ("not_run".to_owned(), 6)]));
        assert_eq!(sim.calls("CancelCommand").len(), 1);
        sim.assert_true(&output.verdicts());
    });
}

#[test]
fn three_times_leaves_and_says_how_to_go_on() {
    let sim = Sim::start("nodes=10,windows=0,speed=1");
    let hold = sim.hold("CancelCommand", 1, When::Before);
    let mut running = under_way(&sim, "sleep 3");
    running.signal("INT");
    running.wait_for_stdout("\"run_stopping\"");
    running.signal("INT");
    sim.wait_held(hold);
    running.signal("INT");
    let output = running.wait().exits(130);
    sim.drop_held(hold);
    let run = sim.the_run().file_name().unwrap().to_str().unwrap().to_owned();
    let tally = output.tally();
    assert_eq!((tally["unknown"], tally["not_run"]), (4, 6), "{tally:?}");
    let _ = output.says(&format!("herder runs resume {run}"));
    let _ = sim.run(&["runs", "resume", &run, "--json"]).exits(0);
    let all = sim.run(&["runs", "show", &run, "--json"]).exits(0).verdicts();
    assert!(all.len() == 10 && all.values().all(|v| v == "ok"), "{all:?}");
    sim.assert_at_most_once();
}

#[test]
fn a_cancel_that_is_denied() {
    let sim = Sim::start("nodes=4,windows=0,speed=1");
    sim.deny(&["CancelCommand"]);
    let running = under_way(&sim, "sleep 600");
    running.signal("TERM");
    let output = running.wait().exits(130).says("ssm:CancelCommand");
    assert_eq!(output.tally(), BTreeMap::from([("unknown".to_owned(), 4)]));
}

#[test]
fn a_terminal_that_goes_away_stops_nothing() {
    let sim = Sim::start("nodes=10,windows=0,speed=1");
    let running = under_way(&sim, "sleep 1");
    running.signal("HUP");
    let output = running.wait().exits(0);
    assert_eq!(output.tally(), BTreeMap::from([("ok".to_owned(), 10)]));
}

#[test]
fn before_anything_was_sent() {
    for signal in ["INT", "TERM"] {
        let sim = Sim::start("nodes=4,windows=0");
        let hold = sim.hold("DescribeInstances", 1, When::Before);
        let running = sim.herder(["exec", "-t", "web-1", "--json", "--", "true"]).spawn();
        sim.wait_held(hold);
        running.signal(signal);
        let output = running.wait().exits(130);
        sim.drop_held(hold);
        assert_eq!(output.json()["error"]["kind"], "interrupted");
        sim.assert_nothing_sent();
    }
}

#[test]
fn while_it_waits_for_credentials() {
    let sim = Sim::start("nodes=10,windows=0,speed=1");
    let mut running = under_way(&sim, "sleep 1");
    sim.control.expire_credentials();
    running.wait_for_stdout("\"run_paused\"");
    running.signal("TERM");
    let output = running.wait().exits(130).says("herder runs resume");
    assert_eq!(output.verdicts().len(), 10);
    sim.control.renew_credentials();
    let _ = sim.run(&["runs", "resume", "last", "--json"]).exits(0);
    sim.assert_at_most_once();
    assert_eq!(sim.control.truth().runs_by_node("herder ").len(), 10);
}

#[test]
fn while_nobody_reads() {
    let sim = Sim::start("nodes=30,windows=0,bytes=20000,rate=off");
    let arguments = ["exec", "-t", "all", "--yes", "--jsonl", "--", "report"];
    let running = sim.herder(arguments).never_read().spawn();
    sim.wait_until("through", || {
        sim.runs().len() == 1
            && sim.path("state/herder/runs").exists()
            && std::fs::read_to_string(sim.the_run().join("events.jsonl"))
                .is_ok_and(|text| text.contains("\"run_finished\""))
    });
    running.signal("INT");
    // Nothing is left to interrupt but the writing.
    let output = running.wait();
    assert!(matches!(output.code, Some(0 | 130)), "{output:?}");
}

#[test]
fn while_it_waits_for_its_input() {
    for arguments in [
        &["exec", "-t", "-", "--json", "--", "true"][..],
        &["exec", "-t", "web-1", "--stdin", "--json", "--", "cat"],
    ] {
        let sim = Sim::start("nodes=4,windows=0");
        let running = sim.herder(arguments).endless_stdin().spawn();
        running.wait_until_it_listens();
        running.signal("INT");
        let output = running.wait().exits(130);
        assert_eq!(output.json()["error"]["kind"], "interrupted");
        sim.assert_nothing_sent();
    }
}
