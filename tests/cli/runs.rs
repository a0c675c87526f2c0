//! Runs from their journals: listed, shown, resumed, and as targets.

use std::collections::BTreeMap;

use serde_json::json;

use crate::harness::Sim;

#[test]
fn runs_are_listed_newest_first() {
    let sim = Sim::start("4,windows=0");
    let _ = sim.run(&["runs", "list"]).exits(0).silent();
    let _ = sim.run(&["exec", "-t", "web-1", "--", "true"]).exits(0);
    let _ = sim.run(&["exec", "-t", "all", "--yes", "--max-errors", "4", "--", "false"]).exits(1);
    let listed = sim.run(&["runs", "list", "--json"]).exits(0).json();
    let listed = listed.as_array().unwrap();
    assert_eq!(
        (&listed[0]["title"], &listed[1]["title"], listed.len()),
        (&json!("false"), &json!("true"), 2)
    );
    let failed = &listed[0];
    assert_eq!(
        (&failed["state"], &failed["exit"], &failed["targets"]),
        (&json!("finished"), &json!(1), &json!(4))
    );
    assert_eq!(
        (&failed["tally"], &failed["sim"], &failed["open"]),
        (&json!({"failed": 4}), &json!(true), &json!(0))
    );
    let tsv = sim.run(&["runs", "list"]).exits(0).text();
    assert_eq!(tsv.lines().count(), 2);
    assert!(tsv.lines().all(|line| line.split('\t').count() == 8), "{tsv}");
}

#[test]
fn a_run_is_shown_as_it_was() {
    let sim = Sim::start("6,windows=0,broken=1");
    let live = |format: &str| {
        let arguments = ["exec", "-t", "all", "--yes", "--max-errors", "1", format, "--", "hostname"];
        sim.run(&arguments).exits(1)
    };
    let jsonl = live("--jsonl");
    let shown = sim.run(&["runs", "show", "last", "--jsonl"]).exits(0);
    assert_eq!(jsonl.events(), shown.events());
    let json = live("--json");
    assert_eq!(json.json(), sim.run(&["runs", "show", "@last", "--json"]).exits(0).json());
    let csv = live("-ocsv");
    let again = sim.run(&["runs", "show", "last", "-o", "csv"]).exits(0).text();
    assert_eq!(csv.text(), again);
}

#[test]
fn the_failed_of_the_last_run_are_targets() {
    let sim = Sim::start("12,windows=0,broken=3");
    let first =
        sim.run(&["exec", "-t", "all", "--yes", "--max-errors", "3", "--json", "--", "true"]).exits(1);
    let failed: Vec<String> =
        first.verdicts().into_iter().filter(|(_, v)| v == "failed").map(|(id, _)| id).collect();
    assert_eq!(failed.len(), 3);
    let run = first.json()["run"]["id"].as_str().unwrap().to_owned();
    for selector in ["@last:failed".to_owned(), format!("@{run}:failed"), format!("@{run}:bad")] {
        let listed =
            sim.run(&["exec", "-t", &selector, "--max-errors", "3", "--json", "--", "true"]).exits(1);
        assert_eq!(listed.verdicts().into_keys().collect::<Vec<_>>(), failed, "{selector}");
    }
    let _ = sim.run(&["exec", "-t", &format!("@{run}:unknown"), "--", "true"]).exits(3).silent();
    let rest = sim.run(&["exec", "-t", &format!("@{run}:ok"), "--json", "--", "true"]).exits(0);
    assert_eq!(rest.verdicts().len(), 9);
}

#[test]
fn a_finished_run_has_nothing_left() {
    let sim = Sim::start("3,windows=0");
    let _ = sim.run(&["exec", "-t", "all", "--yes", "--", "true"]).exits(0);
    let calls = sim.mutating().len();
    let _ = sim.run(&["runs", "resume", "last"]).exits(0).says("nothing left to do");
    assert_eq!(sim.mutating().len(), calls);
}

#[test]
fn a_stopped_run_goes_on_with_a_larger_budget() {
    let sim = Sim::start("10,windows=0,broken=4");
    let output = sim.run(&["exec", "-t", "all", "--yes", "-c", "1", "--json", "--", "true"]).exits(6);
    assert_eq!(output.tally()["failed"], 1);
    let _ = sim.run(&["runs", "resume", "last", "--max-errors", "10", "--json"]).exits(1);
    let all = sim.run(&["runs", "show", "last", "--json"]).exits(0);
    assert_eq!(all.tally(), BTreeMap::from([("ok".to_owned(), 6), ("failed".to_owned(), 4)]));
    sim.assert_at_most_once();
    sim.assert_true(&all.verdicts());
}

#[test]
fn a_run_belongs_to_its_endpoint() {
    let here = Sim::start("10,windows=0,broken=4");
    let _ = here.run(&["exec", "-t", "all", "--yes", "-c", "1", "--", "true"]).exits(6);
    // The same account in another simulation.
    let there = Sim::start("10,windows=0");
    let elsewhere =
        |arguments: &[&str]| here.herder(arguments).env("AWS_ENDPOINT_URL", there.endpoint()).run();
    for arguments in
        [&["runs", "resume", "last", "--json"][..], &["exec", "-t", "@last:failed", "--json", "--", "true"]]
    {
        let output = elsewhere(arguments).exits(8).says("endpoint").says("hint: ");
        assert_eq!(output.json()["error"]["kind"], "refused");
    }
    let _ = here.run(&["runs", "resume", "last", "--sim=10"]).exits(8).silent().says("simulator");
    let _ = here.run(&["exec", "--sim=10", "-t", "@last", "--", "true"]).exits(8).silent();
    there.assert_nothing_sent();
    // Another region of the same account.
    let other = ["runs", "resume", "last", "--region", "eu-west-1"];
    let _ = here.run(&other).exits(8).silent().says("region");
    // Looking is allowed from anywhere.
    let _ = elsewhere(&["runs", "show", "last", "--json"]).exits(0);
}

#[test]
fn targets_come_from_a_pipe() {
    let sim = Sim::start("10,windows=0,broken=2");
    let ids = [sim.id("web-1"), sim.id("api-1")];
    let exec = |input: String| {
        let herder = sim.herder(["exec", "-t", "-", "--max-errors", "10", "--json", "--", "true"]);
        herder.stdin(input).run()
    };
    let expected: std::collections::BTreeSet<String> = ids.clone().into();
    let chosen = |output: crate::harness::Output| {
        output.verdicts().into_keys().collect::<std::collections::BTreeSet<_>>()
    };
    assert_eq!(chosen(exec(format!("{}\n{}\n", ids[0], ids[1]))), expected);
    assert_eq!(chosen(exec("web-1\r\n\n api-1".to_owned())), expected);
    let events =
        sim.run(&["exec", "-t", "web-1", "-t", "api-1", "--max-errors", "2", "--jsonl", "--", "true"]);
    let finished: String = events
        .text()
        .lines()
        .filter(|line| line.contains("\"target_finished\""))
        .map(|l| format!("{l}\n"))
        .collect();
    assert_eq!(chosen(exec(finished)), expected);
    let _ = exec(String::new()).exits(3);
    let listed = sim.run(&["nodes", "list", "--jsonl", "-t", "web-1"]).exits(0).text();
    let _ = exec(listed);
}

#[test]
fn all_is_always_confirmed() {
    let sim = Sim::start("3");
    let _ = sim.run(&["exec", "-t", "all", "--", "true"]).exits(8).silent().says("--yes");
    // Not even standard input can say yes.
    let _ = sim.herder(["exec", "-t", "all", "--", "true"]).stdin("y\ny\n").run().exits(8).silent();
    sim.assert_nothing_sent();
    let _ = sim.herder(["exec", "-t", "all", "--", "true"]).env("HERDER_YES", "1").run().exits(0);
}

#[test]
fn a_simulation_of_its_own_serves_several_commands() {
    let sim = Sim::start("1");
    let mut serving = sim.herder(["sim", "serve", "nodes=5,speed=1000"]).spawn();
    serving.wait_for_stdout("HERDER_SIM_PID=");
    let exports = serving.stdout_so_far();
    let herder = |arguments: &[&str]| {
        let pairs = exports.lines().filter_map(|line| line.strip_prefix("export ")?.split_once('='));
        pairs.fold(sim.herder(arguments), |herder, (name, value)| herder.env(name, value))
    };
    assert_eq!(herder(&["nodes", "list", "--json"]).run().exits(0).json().as_array().unwrap().len(), 5);
    let output = herder(&["exec", "-t", "all", "--yes", "--json", "--", "true"]).run().exits(0);
    assert_eq!((output.verdicts().len(), output.json()["run"]["sim"].as_bool()), (5, Some(true)));
    let _ = herder(&["exec", "-t", "@last", "--", "true"]).run().exits(0).says("SIMULATED");
    assert!(sim.control.requests().is_empty());
    serving.signal("TERM");
    let _ = serving.wait().exits(0);
}

#[test]
fn rehearsals_reach_no_account() {
    let sim = Sim::start("3");
    let output =
        sim.run(&["exec", "--sim=5,speed=1000", "-t", "all", "--yes", "--json", "--", "true"]).exits(0);
    assert_eq!(output.verdicts().len(), 5);
    assert_eq!(output.json()["run"]["sim"], true);
    assert!(sim.control.requests().is_empty());
    let _ = sim.run(&["exec", "--sim=5,speed=1000", "-t", "web-1", "--", "true"]).exits(0).says("SIMULATED");
    let herder =
        sim.herder(["exec", "-t", "web-1", "--json", "--", "true"]).env("HERDER_SIM", "4,speed=1000");
    let herder = herder.without("AWS_ACCESS_KEY_ID").without("AWS_REGION");
    assert_eq!(herder.run().exits(0).verdicts().len(), 1);
    assert!(sim.control.requests().is_empty());
    let _ = sim
        .run(&["exec", "--sim=nodse=3", "-t", "web-1", "--", "true"])
        .exits(2)
        .says("nodse")
        .says("hint: ");
}

#[test]
fn runs_are_filtered() {
    let sim = Sim::start("6,windows=0,broken=1,regions=us-east-1+eu-west-1");
    let _ = sim.run(&["exec", "-t", "web-1", "--reason", "INC-7 disk full", "--", "hostname"]);
    let _ = sim.run(&["exec", "-t", "all", "--yes", "--max-errors", "6", "--", "false"]).exits(1);
    let _ = sim.run(&["exec", "--region", "eu-west-1", "-t", "all", "--yes", "--", "uptime"]);
    // Why it was done is said wherever the run is.
    let inc = sim.run(&["runs", "list", "--match", "inc-7", "--json"]).exits(0).json()[0].clone();
    let show = |format: &[&str]| sim.run(&[&["runs", "show", inc["run"].as_str().unwrap()], format].concat());
    assert_eq!(show(&["--json"]).json()["run"]["reason"], inc["reason"]);
    assert_eq!(show(&["--jsonl"]).events()[0]["reason"], "INC-7 disk full");
    drop(show(&[]).exits(0).says("reason: INC-7 disk full"));
    let titles = |filter: &[&str]| -> Vec<String> {
        let listed = sim.run(&[&["runs", "list", "--json"], filter].concat()).exits(0).json();
        listed.as_array().unwrap().iter().map(|run| run["title"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(titles(&[]), ["uptime", "false", "hostname"]);
    assert_eq!(titles(&["--match", "inc-7"]), ["hostname"]);
    assert_eq!(titles(&["--match", "UPT"]), ["uptime"]);
    assert_eq!(titles(&["--limit", "2"]), ["uptime", "false"]);
    drop(sim.run(&["runs", "list", "--limit", "0"]).exits(2));
    assert_eq!(titles(&["--scope", "us-east-1", "--exit", "1", "--where", "bad"]).first().unwrap(), "false");
    assert_eq!(titles(&["--scope", "eu-west-1"]), ["uptime"]);
    assert_eq!(titles(&["--scope", "eu-north-1"]), Vec::<String>::new());
    assert_eq!(titles(&["--node", "web-*", "--scope", "us-east-1"]), ["false", "hostname"]);
    let id = &sim.ids(None)[5];
    assert_eq!(titles(&["--node", id, "--where", "failed"]), ["false"]);
    assert_eq!(titles(&["--state", "finished", "--command", "exec", "--since", "-1h"]).len(), 3);
    assert_eq!(titles(&["--state", "running,left_behind"]), Vec::<String>::new());
    assert_eq!(titles(&["--until", "-1h"]), Vec::<String>::new());
    let why = sim.run(&["runs", "list", "--columns", "reason", "--match", "disk"]).exits(0).text();
    assert_eq!(why, "INC-7 disk full\n");
    let bad = |filter: &[&str], says: &str| {
        let _ = sim.run(&[&["runs", "list"], filter].concat()).exits(2).says(says);
    };
    bad(&["--since", "2h"], "did you mean `-2h`?");
    bad(&["--where", "broken"], "is none of bad, all, ok");
    bad(&["--state", "lost"], "left_behind");
}
