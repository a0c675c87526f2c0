//! What can be done with a run: watched, done again, called off, forgotten.

use std::collections::{BTreeMap, BTreeSet};

use herder_sim::When;
use serde_json::json;

use crate::harness::Sim;

#[test]
fn a_living_run_is_watched_to_its_end() {
    let sim = Sim::start("6,windows=0,hybrid=0,broken=2");
    let hold = sim.hold("ListCommandInvocations", 1, When::Before);
    let exec = ["exec", "-t", "all", "--yes", "--max-errors", "2", "--jsonl", "--", "uptime"];
    let running = sim.herder(exec).spawn();
    sim.wait_held(hold);
    let mut lines = sim.herder(["runs", "attach", "last", "--jsonl"]).spawn();
    lines.wait_for_stdout("\"target_sent\"");
    assert!(!lines.stdout_so_far().contains("run_finished"));
    let document = sim.herder(["runs", "attach", "@last", "--json"]).spawn();
    sim.continue_held(hold);
    let live = running.wait().exits(1);
    assert_eq!(lines.wait().exits(1).events(), live.events());
    let document = document.wait().exits(1);
    assert_eq!((document.verdicts(), document.tally()), (live.verdicts(), live.tally()));
    // What is over already is told at once.
    assert_eq!(sim.run(&["runs", "attach", "last", "--jsonl"]).exits(1).events(), live.events());
    assert_eq!(sim.calls("SendCommand").len(), 1);
}

#[test]
fn watching_is_not_driving() {
    let sim = Sim::start("4,windows=0,hybrid=0");
    let hold = sim.hold("ListCommandInvocations", 1, When::Before);
    let running = sim.herder(["exec", "-t", "all", "--yes", "--json", "--", "uptime"]).spawn();
    sim.wait_held(hold);
    let mut watching = sim.herder(["runs", "attach", "last", "--jsonl"]).spawn();
    watching.wait_for_stdout("\"target_sent\"");
    watching.wait_until_it_listens();
    watching.signal("INT");
    let _ = watching.wait().exits(130);
    sim.continue_held(hold);
    assert_eq!(running.wait().exits(0).tally(), BTreeMap::from([("ok".to_owned(), 4)]));
    assert!(sim.calls("CancelCommand").is_empty());
    let _ = sim.run(&["runs", "attach", "20200101-000000-abcdef"]).exits(3).silent();
}

#[test]
fn watching_ends_with_its_reader() {
    let sim = Sim::start("4,windows=0,hybrid=0");
    let hold = sim.hold("ListCommandInvocations", 1, When::Before);
    let mut running = sim.herder(["exec", "-t", "all", "--yes", "--json", "--", "uptime"]).spawn();
    sim.wait_held(hold);
    let watching = sim.herder(["runs", "attach", "last", "--jsonl"]);
    let read = watching.by_shell("\"$@\" | head -n 2").run().exits(0);
    assert_eq!(read.events().len(), 2);
    assert!(running.is_running(), "nothing ends the run");
    let second = sim.run(&["runs", "resume", "last"]).exits(8);
    drop(second.says("herder runs attach").says("herder runs cancel"));
    sim.continue_held(hold);
    drop(running.wait().exits(0));
}

#[test]
fn a_run_that_was_left_behind_can_not_be_watched() {
    let sim = Sim::start("4,windows=0,hybrid=0");
    let hold = sim.hold("ListCommandInvocations", 1, When::Before);
    let running = sim.herder(["exec", "-t", "all", "--yes", "--json", "--", "uptime"]).spawn();
    sim.wait_held(hold);
    running.kill();
    sim.drop_held(hold);
    let calls = sim.control.requests().len();
    let output =
        sim.run(&["runs", "attach", "last", "--jsonl"]).exits(5).says("left behind").says("runs resume");
    assert!(
        output.text().contains("\"run_started\"") && !output.text().contains("run_finished"),
        "{output:?}"
    );
    // It looks at files only.
    assert_eq!(sim.control.requests().len(), calls);
    let resumed = sim.run(&["runs", "resume", "last", "--json"]).exits(0);
    assert_eq!(resumed.tally(), BTreeMap::from([("ok".to_owned(), 4)]));
    sim.assert_at_most_once();
    let _ = sim.run(&["runs", "attach", "last", "--jsonl"]).exits(0);
}

#[test]
fn those_that_failed_are_done_again() {
    let sim = Sim::start("12,windows=0,hybrid=0,broken=3,offline=1");
    let exec = ["exec", "-t", "all", "--yes", "--max-errors", "4", "--json", "--", "uptime -p"];
    let first = sim.run(&exec).exits(1);
    let ended = |verdict: &str| -> BTreeSet<String> {
        first.verdicts().into_iter().filter(|(_, v)| v == verdict).map(|(id, _)| id).collect()
    };
    assert_eq!((ended("failed").len(), ended("undelivered").len()), (3, 1));
    let run = first.json()["run"]["id"].as_str().unwrap().to_owned();
    let before = sim.control.truth().executions.len();
    let retry =
        |more: &[&str]| sim.run(&[&["runs", "retry", &run, "--json", "--max-errors", "9"], more].concat());
    // A plan of it leaves nothing behind.
    let plan = retry(&["--where", "failed", "--dry-run"]).exits(0).json();
    let ids: BTreeSet<String> = plan["targets"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["target"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!((ids, sim.runs().len(), sim.control.truth().executions.len()), (ended("failed"), 1, before));
    let again = retry(&["--where", "failed"]).exits(1);
    assert_eq!(again.verdicts().into_keys().collect::<BTreeSet<_>>(), ended("failed"));
    assert_ne!(again.json()["run"]["id"], run.as_str());
    let executions = sim.control.truth().executions;
    let anew: BTreeSet<String> = executions[before..].iter().map(|e| e.instance_id.clone()).collect();
    assert_eq!((anew, executions.len()), (ended("failed"), before + 3));
    let listed = sim.run(&["runs", "list", "--json"]).exits(0).json();
    assert_eq!((&listed[0]["title"], &listed[0]["targets"]), (&json!("uptime -p"), &json!(3)));
    assert_eq!(
        (listed[0]["title"].clone(), listed.as_array().unwrap().len()),
        (listed[1]["title"].clone(), 2)
    );
    // Several ways to end add up; bad is all of the bad ones, and what is meant unless it is said.
    let bad: BTreeSet<String> = ended("failed").union(&ended("undelivered")).cloned().collect();
    for wanted in [&["--where", "failed", "--where", "undelivered"][..], &["--where", "bad"], &[]] {
        let again = retry(wanted).exits(1);
        assert_eq!(again.verdicts().into_keys().collect::<BTreeSet<_>>(), bad, "{wanted:?}");
    }
}

#[test]
fn nothing_to_do_again_is_exit_3() {
    let sim = Sim::start("3,windows=0,hybrid=0");
    let _ = sim.run(&["runs", "retry", "last"]).exits(3).silent();
    let _ = sim.run(&["exec", "-t", "all", "--yes", "--", "true"]).exits(0);
    let calls = sim.mutating().len();
    for arguments in
        [&["runs", "retry", "last"][..], &["runs", "retry", "last", "--where", "unknown", "--dry-run"]]
    {
        let _ = sim.run(arguments).exits(3).silent();
    }
    let _ = sim.run(&["runs", "retry", "last", "--where", "sad"]).exits(2).silent();
    assert_eq!((sim.mutating().len(), sim.runs().len()), (calls, 1));
    // Another simulation is another place.
    let there = Sim::start("3,windows=0,hybrid=0");
    for verb in ["retry", "cancel"] {
        let mut arguments = vec!["runs", verb, "last", "--json"];
        if verb == "retry" {
            arguments.extend(["--where", "ok"]);
        }
        let output = sim.herder(arguments).env("AWS_ENDPOINT_URL", there.endpoint()).run().exits(8);
        assert!(output.stderr.contains("endpoint"), "{output:?}");
    }
    there.assert_nothing_sent();
    assert_eq!(sim.mutating().len(), calls);
}

#[test]
fn a_living_run_is_cancelled() {
    let sim = Sim::start("8,windows=0,hybrid=0,speed=1,duration=600s");
    let exec = ["exec", "-t", "all", "--yes", "-c", "4", "--json", "--", "uptime"];
    let running = sim.herder(exec).spawn();
    sim.wait_until("all that may be under way is", || {
        sim.control.truth().executions.iter().filter(|e| e.started_at_us.is_some()).count() == 4
    });
    let cancel = sim.run(&["runs", "cancel", "last", "--json"]).exits(0);
    let live = running.wait().exits(130);
    let expected = BTreeMap::from([("cancelled".to_owned(), 4), ("not_run".to_owned(), 4)]);
    assert_eq!((live.tally(), cancel.tally()), (expected.clone(), expected));
    assert!(sim.calls("CancelCommand").iter().any(|r| r.took_effect));
    sim.assert_true(&live.verdicts());
    // There is nothing left to call off.
    let calls = sim.mutating().len();
    let _ = sim.run(&["runs", "cancel", "last"]).exits(0);
    assert_eq!(sim.mutating().len(), calls);
}

#[test]
fn a_run_that_was_left_behind_is_cancelled_from_here() {
    let sim = Sim::start("8,windows=0,hybrid=0,speed=1,duration=600s");
    let exec = ["exec", "-t", "all", "--yes", "-c", "4", "--json", "--", "uptime"];
    let running = sim.herder(exec).spawn();
    sim.wait_until("all that may be under way is", || {
        sim.control.truth().executions.iter().filter(|e| e.started_at_us.is_some()).count() == 4
    });
    running.kill();
    let cancel = sim.run(&["runs", "cancel", "last", "--json"]).exits(0);
    let cancel = cancel.says("cancelling what is left of the run: 8 nodes without a verdict");
    let cancel = cancel.never_says("going on").never_says("Ctrl-C");
    let shown = sim.run(&["runs", "show", "last", "--json"]);
    let expected = BTreeMap::from([("cancelled".to_owned(), 4), ("not_run".to_owned(), 4)]);
    assert_eq!((shown.tally(), cancel.tally()), (expected.clone(), expected), "{cancel:?}");
    assert!(shown.targets().values().all(|t| t["verdict"] != "not_run" || t["reason"] == "interrupted"));
    assert!(sim.calls("CancelCommand").iter().any(|r| r.took_effect));
    sim.assert_true(&shown.verdicts());
    sim.assert_at_most_once();
    let listed = sim.run(&["runs", "list", "--json"]).exits(0).json();
    assert_eq!(listed[0]["state"], "finished");
}

#[test]
fn old_runs_are_forgotten_and_driven_ones_kept() {
    let sim = Sim::start("3,windows=0,hybrid=0");
    for _ in 0..2 {
        let _ = sim.run(&["exec", "-t", "all", "--yes", "--", "true"]).exits(0);
    }
    let over: BTreeSet<String> =
        sim.runs().iter().map(|r| r.file_name().unwrap().to_str().unwrap().to_owned()).collect();
    let hold = sim.hold("ListCommandInvocations", 1, When::Before);
    let running = sim.herder(["exec", "-t", "all", "--yes", "--json", "--", "true"]).spawn();
    sim.wait_held(hold);
    let prune = |more: &[&str]| -> BTreeSet<String> {
        let rows = sim.run(&[&["runs", "prune", "--json"], more].concat()).exits(0).json();
        rows.as_array().unwrap().iter().map(|r| r["run"].as_str().unwrap().to_owned()).collect()
    };
    // What is young and small stays.
    for keep in [&[][..], &["--keep", "1d"], &["--keep-bytes", "100MB"]] {
        assert!(prune(keep).is_empty(), "{keep:?}");
    }
    for keep in [&["--dry-run", "--keep", "0s"][..], &["--dry-run", "--keep-bytes", "0"]] {
        assert_eq!(prune(keep), over, "{keep:?}");
    }
    assert_eq!(sim.runs().len(), 3);
    assert_eq!(prune(&["--keep", "0s"]), over);
    assert_eq!(sim.runs().len(), 1);
    sim.continue_held(hold);
    assert_eq!(running.wait().exits(0).verdicts().len(), 3);
    let _ = sim.run(&["runs", "show", over.first().unwrap()]).exits(3);
    assert_eq!(sim.run(&["runs", "show", "last", "--json"]).exits(0).verdicts().len(), 3);
    assert_eq!(prune(&["--keep-bytes", "0"]).len(), 1);
    let _ = sim.run(&["runs", "list"]).exits(0).silent();
}
