//! What nobody could verify of AWS is a switch of the simulation: with each of them on, verdicts are still the truth, and
//! calls stay few.

use std::collections::BTreeMap;

use herder_sim::When;

use crate::harness::{Sim, together};

const SWITCHES: [&str; 20] = [
    "",
    "stale_counters=never",
    "stale_counters=5",
    "hidden_commands=2",
    "hidden_commands=60",
    "ignore_invoked_after,foreign_commands=300",
    "foreign_commands=300",
    "ignore_document_filter,foreign_commands=60",
    "status_filter_broken=nothing",
    "status_filter_broken=everything,foreign_commands=120",
    "status_filter_broken=nothing,hidden_commands=60",
    "status_filter_broken=everything,stale_counters=never",
    "opaque_errors",
    "properties_denied",
    "properties_page=7",
    "coarse_times",
    "marker_variant",
    "details_never",
    "exit_note=false",
    "coarse_times,stale_counters=never,hidden_commands=60,ignore_invoked_after,status_filter_broken=nothing",
];

#[test]
fn verdicts_are_the_truth_whatever_aws_does() {
    together(SWITCHES, |switches| {
        together(["--json", "--jsonl"], |format| {
            let sim = Sim::start(&format!(
                "nodes=150,windows=12,offline=3,broken=5,unreachable=2,rate=off,speed=100,{switches}"
            ));
            let arguments = [
                "exec",
                "-t",
                "all",
                "--yes",
                "-c",
                "60",
                "--max-errors",
                "100%",
                format,
                "--",
                "hostname; uptime >&2",
            ];
            let output = sim.run(&arguments).exits(1);
            sim.assert_true(&output.verdicts());
            sim.assert_at_most_once();
            assert_eq!(output.verdicts().len(), 150, "{switches}");
            let tally = output.tally();
            assert_eq!((tally["failed"], tally["undelivered"]), (5, 5), "{switches}: {tally:?}");
            assert!(!tally.contains_key("unknown"), "{switches}: {tally:?}");
            let calls = sim.control.requests().len();
            let most = match switches {
                "marker_variant" | "details_never" => 400,
                _ => 200,
            };
            assert!(calls <= most, "{switches} {format}: {calls} calls, {:#?}", sim.control.stats());
            for target in output.targets().values().filter(|t| t["verdict"] == "ok") {
                let (stdout, stderr) =
                    (target["stdout"].as_str().unwrap(), target["stderr"].as_str().unwrap());
                let is_windows = target["platform"] == "windows";
                if target["streams"] == "merged" && switches == "marker_variant" {
                    // Nobody can tell them apart, and so it says.
                    assert!(stdout.contains("load average") || is_windows, "{target}");
                    continue;
                }
                assert!(is_windows || stdout.lines().count() == 1, "{switches}: {target}");
                assert!(is_windows || stderr.contains("load average"), "{switches}: {target}");
            }
        });
    });
}

#[test]
fn lost_sends_are_found_whatever_aws_does() {
    let switches = [
        "hidden_commands=3",
        "ignore_invoked_after,foreign_commands=400",
        "ignore_document_filter,foreign_commands=60",
        "coarse_times",
        "stale_counters=never",
        "status_filter_broken=nothing",
        "status_filter_broken=everything",
    ];
    together(switches, |switches| {
        let sim = Sim::start(&format!("nodes=30,windows=0,rate=off,{switches}"));
        let hold = sim.hold("SendCommand", 2, When::After);
        let running =
            sim.herder(["exec", "-t", "all", "--yes", "-c", "10", "--json", "--", "hostname"]).spawn();
        sim.wait_held(hold);
        sim.drop_held(hold);
        let output = running.wait().exits(0);
        assert_eq!(output.tally(), BTreeMap::from([("ok".to_owned(), 30)]), "{switches}");
        sim.assert_at_most_once();
        sim.assert_true(&output.verdicts());
    });
}

#[test]
fn a_lost_send_that_stays_hidden_is_unknown_and_never_repeated() {
    let sim = Sim::start("nodes=10,windows=0,hidden_commands=600,speed=1");
    let hold = sim.hold("SendCommand", 1, When::After);
    let running = sim.herder(["exec", "-t", "all", "--yes", "--json", "--", "hostname"]).spawn();
    sim.wait_held(hold);
    sim.drop_held(hold);
    let output = running.wait().exits(5);
    assert_eq!(output.tally(), BTreeMap::from([("unknown".to_owned(), 10)]));
    assert_eq!(sim.calls("SendCommand").len(), 1);
}

#[test]
fn braces_go_through_or_are_refused_with_a_word() {
    let line = "docker ps --format '{{.Names}}'; echo '{{ x }}'";
    let sim = Sim::start("nodes=3,windows=0");
    let output = sim.run(&["exec", "-t", "web-1", "--json", "--", line]).exits(0);
    assert!(output.targets()[&sim.id("web-1")]["stdout"].as_str().unwrap().ends_with("{{ x }}\n"));
    let sim = Sim::start("nodes=3,windows=0,reject_braces");
    let output =
        sim.run(&["exec", "-t", "web-1", "--json", "--", line]).exits(2).says("SendCommand").says("{{");
    assert!(output.verdicts().values().all(|v| v == "not_run"));
    assert!(sim.control.truth().executions.is_empty());
}

#[test]
fn parameters_that_are_too_long_for_the_service() {
    let sim = Sim::start("nodes=3,windows=0");
    let script = sim.file("long.sh", format!("true # {}\n", "x".repeat(60_000)));
    let _ = sim.run(&["exec", "-t", "web-1", "--script", &script]).exits(0);
    let sim = Sim::start("nodes=3,windows=0,parameters_limit=2000");
    let script = sim.file("long.sh", format!("true # {}\n", "x".repeat(3_000)));
    let output = sim.run(&["exec", "-t", "all", "--yes", "--json", "--script", &script]).exits(2);
    assert!(output.verdicts().values().all(|v| v == "not_run"));
    let _ = output.says("SendCommand").says("hint: ");
    assert!(sim.control.truth().executions.is_empty());
}

#[test]
fn an_account_with_a_limit_of_pending_invocations() {
    let sim = Sim::start("nodes=30,windows=0,rate=off,pending_limit=20");
    let arguments =
        ["exec", "-t", "all", "--yes", "-c", "30", "--max-errors", "100%", "--json", "--", "hostname"];
    let output = sim.run(&arguments);
    sim.assert_true(&output.verdicts());
    sim.assert_at_most_once();
    assert!(output.verdicts().values().all(|v| v == "not_run"), "{output:?}");
    assert!(output.targets().values().all(|t| t["reason"] == "limit_exceeded"), "{output:?}");
    // Fewer at once fit.
    let output = sim.run(&["exec", "-t", "all", "--yes", "-c", "10", "--json", "--", "hostname"]).exits(0);
    assert_eq!(output.tally(), BTreeMap::from([("ok".to_owned(), 30)]));
}
