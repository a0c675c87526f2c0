//! What goes wrong from outside while a run goes on: nothing is lost, nothing runs twice, and it is said.

use std::collections::BTreeMap;

use herder_sim::{ApiFault, FaultSpec, When};

use crate::harness::{Sim, together};

fn ok(count: u64) -> BTreeMap<String, u64> {
    BTreeMap::from([("ok".to_owned(), count)])
}

#[test]
fn credentials_that_expire_in_the_middle_pause_the_run() {
    together([When::Before, When::After], |when| {
        let sim = Sim::start("nodes=30,windows=0,rate=off");
        let hold = sim.hold("SendCommand", 2, when);
        let arguments = ["exec", "-t", "all", "--yes", "-c", "10", "--jsonl", "--", "true"];
        let mut running = sim.herder(arguments).spawn();
        sim.wait_held(hold);
        sim.control.expire_credentials();
        sim.continue_held(hold);
        running.wait_for_stdout("\"run_paused\"");
        running.wait_for_stderr("expired");
        running.wait_for_stderr("hint: ");
        sim.control.renew_credentials();
        let output = running.wait().exits(0);
        assert_eq!(output.tally(), ok(30));
        assert!(output.events().iter().any(|e| e["type"] == "run_continued"));
        sim.assert_at_most_once();
        sim.assert_true(&output.verdicts());
    });
}

#[test]
fn a_full_disk_stops_before_the_next_change() {
    let sim = Sim::start("nodes=30,windows=0,hybrid=0,rate=off");
    let arguments = ["exec", "-t", "all", "--yes", "-c", "5", "--json", "--", "hostname"];
    // Blocks of 512 bytes: room for the targets, not for all events.
    let full = sim.herder(arguments).by_shell("trap '' XFSZ; ulimit -f 16; exec \"$@\"").run();
    let output = full.exits(6).says("nothing more is sent").says("runs resume");
    let tally = output.tally();
    assert!(tally["not_run"] > 0 && tally["ok"] > 0 && tally["not_run"] + tally["ok"] == 30, "{tally:?}");
    let sent = sim.control.truth().executions.len() as u64;
    assert_eq!(sent, tally["ok"], "sent to more than it knows of");
    let output = sim.run(&["runs", "resume", "last", "--json"]).exits(0);
    drop(output);
    let all = sim.run(&["runs", "show", "last", "--json"]).exits(0).verdicts();
    assert!(all.len() == 30 && all.values().all(|v| v == "ok"), "{all:?}");
    sim.assert_at_most_once();
    assert_eq!(sim.control.truth().runs_by_node("herder ").len(), 30);
}

#[test]
fn a_disk_that_is_full_from_the_start_sends_nothing() {
    let sim = Sim::start("nodes=60,windows=0,rate=off");
    let arguments = ["exec", "-t", "all", "--yes", "--json", "--", "hostname"];
    let full = sim.herder(arguments).by_shell("trap '' XFSZ; ulimit -f 2; exec \"$@\"").run();
    let output = full.exits(2).says("targets.jsonl").says("hint: ");
    assert_eq!(output.json()["error"]["changed"], false);
    sim.assert_nothing_sent();
}

#[test]
fn a_closed_stdout_stops_no_change() {
    let sim = Sim::start("nodes=60,windows=0,rate=off");
    let arguments = ["exec", "-t", "all", "--yes", "-c", "10", "--", "hostname"];
    let _ = sim.herder(arguments).closed_stdout().run().exits(0);
    assert_eq!(sim.control.truth().runs_by_node("herder ").len(), 60);
    let output = sim.herder(arguments).by_shell("\"$@\" | head -n 1").run();
    assert_eq!(output.text().lines().count(), 1);
    let truth = sim.control.truth();
    assert!(truth.settled && truth.executions.len() == 120);
    for run in ["--json", "--jsonl"] {
        let shown = sim.run(&["runs", "show", "last", run]).exits(0);
        assert_eq!(shown.tally(), ok(60));
        let _ = sim.herder(["runs", "show", "last", run]).closed_stdout().run().exits(0);
        let _ = sim.herder(["nodes", "list", run]).closed_stdout().run().exits(0);
    }
}

#[test]
fn a_reader_that_never_reads_stops_no_change() {
    together(["--jsonl", "-ocsv", "plain"], |format| {
        let sim = Sim::start("nodes=60,windows=0,rate=off,bytes=20000");
        let mut arguments = vec!["exec", "-t", "all", "--yes", "-c", "10"];
        arguments.extend(Some(format).filter(|f| *f != "plain"));
        arguments.extend(["--", "report"]);
        let mut running = sim.herder(arguments).never_read().spawn();
        sim.wait_until("all have run", || {
            let truth = sim.control.truth();
            truth.executions.len() == 60 && truth.settled
        });
        sim.wait_until("journalled", || {
            sim.run_lines("events.jsonl").last().is_some_and(|event| event["type"] == "run_finished")
        });
        assert!(running.is_running());
        running.start_reading();
        let output = running.wait().exits(0);
        assert!(output.stdout.len() > 60 * 20_000, "{format}: {}", output.stdout.len());
    });
}

#[test]
fn clocks_that_differ_by_hours() {
    let hours = 3_600_000;
    together([-5 * hours, 0, 5 * hours], |skew| {
        let sim = Sim::start("nodes=10,windows=0");
        sim.control.set_clock_skew(skew);
        let hold = sim.hold("SendCommand", 1, When::After);
        let running = sim.herder(["exec", "-t", "all", "--yes", "--json", "--", "hostname"]).spawn();
        sim.wait_held(hold);
        sim.drop_held(hold);
        let output = running.wait().exits(0).says("the answer to a send was lost");
        assert_eq!(output.tally(), ok(10));
        assert_eq!(sim.calls("SendCommand").len(), 1);
        sim.assert_at_most_once();
    });
}

#[test]
fn a_clock_that_jumps_in_the_middle() {
    let sim = Sim::start("nodes=30,windows=0,rate=off");
    let hold = sim.hold("SendCommand", 2, When::After);
    let running = sim.herder(["exec", "-t", "all", "--yes", "-c", "10", "--json", "--", "hostname"]).spawn();
    sim.wait_held(hold);
    sim.control.set_clock_skew(7_200_000);
    sim.drop_held(hold);
    let output = running.wait().exits(0);
    assert_eq!(output.tally(), ok(30));
    sim.assert_at_most_once();
}

#[test]
fn two_herders_on_one_account() {
    let sim = Sim::start("nodes=100,windows=10");
    let arguments = ["exec", "-t", "all", "--yes", "-c", "40", "--json", "--", "hostname"];
    let herders = [sim.herder(arguments).spawn(), sim.herder(arguments).spawn()];
    let outputs = herders.map(|herder| herder.wait().exits(0));
    let truth = sim.control.truth();
    for output in &outputs {
        assert_eq!(output.tally(), ok(100));
        let run = output.json()["run"]["id"].as_str().unwrap().to_owned();
        let own: Vec<_> = truth.executions.iter().filter(|e| e.comment.contains(&run)).collect();
        assert_eq!(own.len(), 100);
        for (id, target) in output.targets() {
            let command = target["command_id"].as_str().unwrap();
            assert!(
                own.iter().any(|e| e.instance_id == id && e.command_id == command),
                "{id} of another run"
            );
        }
    }
}

#[test]
fn lost_answers_are_found_again() {
    together([When::Before, When::After], |when| {
        let sim = Sim::start("nodes=40,windows=0,rate=off");
        let hold = sim.hold("SendCommand", 2, when);
        let arguments =
            ["exec", "-t", "all", "--yes", "-c", "10", "--max-errors", "10", "--json", "--", "hostname"];
        let running = sim.herder(arguments).spawn();
        sim.wait_held(hold);
        sim.drop_held(hold);
        let output = running.wait();
        sim.assert_at_most_once();
        sim.assert_true(&output.verdicts());
        if when == When::After {
            assert_eq!(output.exits(0).tally(), ok(40));
        } else {
            let unknown = output.exits(5).tally()["unknown"];
            assert!((1..=10).contains(&unknown), "{unknown}");
            let resumed = sim.run(&["runs", "resume", "last", "--json", "--resend-ambiguous"]).exits(0);
            drop(resumed);
            assert_eq!(sim.control.truth().runs_by_node("herder ").len(), 40);
            sim.assert_at_most_once();
        }
    });
}

#[test]
fn an_overloaded_service() {
    together(["", "--resend-ambiguous"], |flag| {
        let sim =
            Sim::start("nodes=400,windows=40,offline=5,broken=8,throttle=0.05,errors=0.02,seed=5,rate=off");
        let mut arguments = vec!["exec", "-t", "all", "--yes", "-c", "100", "--max-errors", "100%", "--json"];
        arguments.extend(Some(flag).filter(|f| !f.is_empty()));
        arguments.extend(["--", "hostname"]);
        let output = sim.run(&arguments);
        sim.assert_true(&output.verdicts());
        sim.assert_at_most_once();
        let lost: u64 = sim
            .calls("SendCommand")
            .iter()
            .filter(|r| {
                matches!(&r.outcome, herder_sim::Outcome::Error(e) if e.contains("Internal"))
                    && !r.took_effect
            })
            .map(|r| u64::from(r.targets))
            .sum();
        let unknown = output.tally().get("unknown").copied().unwrap_or(0);
        assert_eq!(unknown, if flag.is_empty() { lost } else { 0 }, "{output:?}");
        let sent = sim.control.truth().runs_by_node("herder ").len() as u64;
        assert_eq!(sent, 395 - unknown);
    });
}

#[test]
fn every_second_look_fails() {
    let half = ApiFault { errors_before: 0.2, dropped_after: 0.2, throttle: 0.1, ..ApiFault::default() };
    let reads = ["ListCommands", "ListCommandInvocations", "GetCommandInvocation", "DescribeInstances"];
    let sim = Sim::start("nodes=120,windows=0,rate=off");
    let apis = reads.map(|api| (api.to_owned(), half.clone())).into();
    sim.control.faults(FaultSpec { apis, ..FaultSpec::default() });
    let output = sim.run(&["exec", "-t", "all", "--yes", "-c", "60", "--json", "--", "hostname"]).exits(0);
    assert_eq!(output.tally(), ok(120));
    sim.assert_true(&output.verdicts());
    sim.assert_at_most_once();
}

#[test]
fn an_endpoint_that_nobody_answers_at() {
    let sim = Sim::start("3");
    let herder = sim
        .herder(["exec", "-t", "web-1", "--json", "--", "true"])
        .env("AWS_ENDPOINT_URL", "http://127.0.0.1:9");
    let output = herder.run().exits(1).says("failed: http").says("can't be reached").says("hint: ");
    assert_eq!(output.json()["error"]["changed"], false);
}

#[test]
fn output_that_is_no_text() {
    let sim = Sim::start("nodes=2,windows=0,hybrid=0");
    let id = sim.id("web-1");
    let line = "printf 'a\\377b\\033[31mred\\tc\\rd\\r\\nlast\\\\'";
    let plain = sim.run(&["exec", "-t", "web-1", "--", line]).exits(0);
    // One line of output is one line of ours, with exactly one tab of ours in it.
    let lines: Vec<String> = String::from_utf8(plain.stdout).unwrap().lines().map(str::to_owned).collect();
    assert_eq!(lines, [format!("{id}\ta\u{fffd}b\u{1b}[31mred\\tc\\rd"), format!("{id}\tlast\\")]);
    for format in ["--json", "--jsonl"] {
        let output = sim.run(&["exec", "-t", "web-1", format, "--", line]).exits(0);
        assert_eq!(output.targets()[&id]["stdout"], "a\u{fffd}b\u{1b}[31mred\tc\rd\r\nlast\\");
    }
}
