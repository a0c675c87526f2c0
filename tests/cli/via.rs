//! `--via service`: the selector is handed over whole, and the tally is the truth all the same.

use std::collections::{BTreeMap, BTreeSet};

use herder_sim::When;
use serde_json::{Value, json};

use crate::harness::{Output, Sim};

fn exec<'a>(selector: &'a str, flags: &[&'a str]) -> Vec<&'a str> {
    [&["exec", "-t", selector, "--yes", "--json", "--via", "service"], flags, &["--", "hostname"]].concat()
}

/// Bodies of the sends that were made.
fn sends(sim: &Sim) -> Vec<Value> {
    let of_run = |record: &Value| record["type"] == "send";
    sim.run_lines("journal.jsonl").into_iter().filter(of_run).collect()
}

fn reasons(output: &Output, verdict: &str) -> BTreeSet<String> {
    let targets = output.targets();
    let of = targets.values().filter(|t| t["verdict"] == verdict);
    of.map(|t| t["reason"].as_str().unwrap_or("-").to_owned()).collect()
}

#[test]
fn a_tag_and_all_are_one_send_each() {
    let sim = Sim::start("nodes=130,windows=0,hybrid=0,rate=off");
    let all = sim.run(&exec("all", &["-c", "100%"])).exits(0);
    assert_eq!(all.tally(), BTreeMap::from([("ok".to_owned(), 130)]));
    assert_eq!(sim.calls("SendCommand").len(), 1);
    assert_eq!(all.json()["run"]["via"], "service");
    sim.assert_true(&all.verdicts());
    let by_tag = sim.run(&exec("tag:env=prod and tag:role=web", &["-c", "100%"])).exits(0);
    assert_eq!(sim.calls("SendCommand").len(), 2);
    assert!(by_tag.targets().len() > 5 && by_tag.targets().len() < 130);
    let asg = by_tag.targets().values().next().unwrap().clone();
    assert_eq!(asg["verdict"], "ok");
}

#[test]
fn several_platforms_are_not_told_apart_by_a_selector() {
    let sim = Sim::start("nodes=40,windows=10,hybrid=2,rate=off");
    // PowerShell's document runs on Linux too: a second command by the same selector would reach everybody twice.
    drop(sim.run(&exec("all", &["-c", "100%"])).exits(2).whole());
    sim.assert_nothing_sent();
    let auto = ["exec", "-t", "all", "--yes", "--json", "--via", "auto", "-c", "100%", "--", "hostname"];
    let output = sim
        .run(&auto)
        .exits(0)
        .says("herder goes over the targets itself: the targets are of several platforms");
    assert_eq!(output.tally(), BTreeMap::from([("ok".to_owned(), 40)]));
    sim.assert_at_most_once();
    // One document for all of them is one command.
    let sent = sim.calls("SendCommand").len();
    let document =
        ["exec", "-t", "all", "--yes", "--json", "--via", "service", "--document", "AWS-UpdateSSMAgent"];
    let output = sim.run(&document).exits(0);
    assert_eq!((output.tally()["ok"], sim.calls("SendCommand").len()), (40, sent + 1));
}

#[test]
fn the_service_stops_and_what_it_did_not_come_to_is_not_run() {
    let sim = Sim::start("nodes=200,windows=0,hybrid=0,broken=30,rate=off,duration=2s,speed=4");
    let output = sim.run(&exec("all", &["-c", "10", "--max-errors", "3"])).exits(6);
    let tally = output.tally();
    assert!((4..=13).contains(&tally["failed"]), "{tally:?}");
    assert_eq!(tally.values().sum::<u64>(), 200);
    assert_eq!(reasons(&output, "not_run"), ["budget".to_owned()].into());
    assert!(sim.calls("CancelCommand").is_empty(), "it brakes by itself");
    sim.assert_true(&output.verdicts());
    sim.assert_at_most_once();
}

#[test]
fn one_budget_over_regions() {
    let sim = Sim::start(
        "nodes=60,windows=0,hybrid=0,broken=20,rate=off,duration=2s,speed=4,regions=us-east-1+eu-west-1",
    );
    let flags = ["--region", "us-east-1,eu-west-1", "-c", "8", "--max-errors", "5"];
    let output = sim.run(&exec("all", &flags)).exits(6);
    let tally = output.tally();
    assert!((6..=5 + 8).contains(&tally["failed"]), "{tally:?}");
    assert_eq!(tally.values().sum::<u64>(), 120);
    sim.assert_at_most_once();
}

#[test]
fn offline_nodes_are_the_services_to_judge_unless_they_stop_the_run_before_it_begins() {
    let sim = Sim::start("nodes=20,windows=0,hybrid=0,offline=2,rate=off,speed=60");
    let stopped = sim.run(&exec("all", &[])).exits(6);
    assert_eq!(stopped.tally(), BTreeMap::from([("undelivered".to_owned(), 2), ("not_run".to_owned(), 18)]));
    sim.assert_nothing_sent();
    let flags = ["--max-errors", "2", "--timeout", "60s", "-c", "100%"];
    let output = sim.run(&exec("all", &flags)).exits(1);
    assert_eq!(output.tally(), BTreeMap::from([("ok".to_owned(), 18), ("undelivered".to_owned(), 2)]));
    assert_eq!(reasons(&output, "undelivered"), ["expired".to_owned()].into());
}

#[test]
fn a_node_that_appears_in_between_is_counted_and_one_that_goes_is_not_run() {
    let sim = Sim::start("nodes=30,windows=0,hybrid=4,rate=off");
    let hybrid: Vec<String> = sim.ids(None).into_iter().filter(|id| id.starts_with("mi-")).collect();
    let tag = |id: &str, value: &str| {
        let tags = json!([{"Key": "team", "Value": value}]);
        sim.ask(
            "AddTagsToResource",
            &json!({"ResourceType": "ManagedInstance", "ResourceId": id, "Tags": tags}),
        );
    };
    tag(&hybrid[0], "blue");
    tag(&hybrid[1], "blue");
    let hold = sim.hold("SendCommand", 1, When::Before);
    let running = sim.herder(exec("tag:team=blue", &["-c", "100%"])).spawn();
    sim.wait_held(hold);
    tag(&hybrid[1], "red");
    tag(&hybrid[2], "blue");
    sim.continue_held(hold);
    let output = running.wait();
    let targets = output.targets();
    let told = |id: &str| (targets[id]["verdict"].clone(), targets[id]["reason"].clone());
    assert_eq!(told(&hybrid[0]), (json!("ok"), Value::Null));
    assert_eq!(told(&hybrid[1]), (json!("not_run"), json!("not_selected")));
    assert_eq!(told(&hybrid[2]), (json!("ok"), Value::Null));
    assert_eq!(targets.len(), 3);
    drop(
        output
            .says("1 node was chosen by the service and not by herder")
            .says("1 node was not chosen by the service, and not run"),
    );
    // It is a target of the run from then on.
    let shown = sim.run(&["runs", "show", "last", "--json"]);
    assert_eq!(shown.verdicts().len(), 3);
}

#[test]
fn without_a_listing_of_results_it_ends_when_each_is_read() {
    let sim = Sim::start("nodes=40,windows=0,hybrid=0,broken=2,rate=off,regions=us-east-1+eu-west-1");
    sim.deny(&["ListCommandInvocations"]);
    let begun = std::time::Instant::now();
    let flags = ["--region", "us-east-1,eu-west-1", "-c", "100%", "--max-errors", "50"];
    let output = sim.run(&exec("all", &flags)).exits(1);
    assert_eq!(output.tally(), BTreeMap::from([("ok".to_owned(), 76), ("failed".to_owned(), 4)]));
    assert!(begun.elapsed().as_secs() < 100, "{:?}", begun.elapsed());
    sim.assert_true(&output.verdicts());
    sim.assert_at_most_once();
}

#[test]
fn a_selector_that_is_refused_goes_in_batches_whatever_the_refusal_is_called() {
    for regions in ["us-east-1", "us-east-1,eu-west-1"] {
        let sim = Sim::start(&format!(
            "nodes=60,windows=0,hybrid=0,rate=off,targets_all_refused=true,regions={}",
            regions.replace(',', "+")
        ));
        let output = sim.run(&exec("all", &["--region", regions, "-c", "100%"])).exits(0);
        let count = 60 * regions.split(',').count() as u64;
        assert_eq!(output.tally(), BTreeMap::from([("ok".to_owned(), count)]));
        drop(output.says("the service refused the selector (validation_exception)"));
        sim.assert_at_most_once();
    }
}

#[test]
fn a_service_that_shows_nodes_only_as_it_comes_to_them_is_read_to_the_end() {
    let sim = Sim::start("nodes=120,windows=0,hybrid=0,rate=off,unsent_hidden=true,duration=1s,speed=4");
    let output = sim.run(&exec("all", &["-c", "20"])).exits(0);
    assert_eq!(output.tally(), BTreeMap::from([("ok".to_owned(), 120)]));
    sim.assert_true(&output.verdicts());
}

#[test]
fn killed_before_and_after_the_send_it_is_not_made_twice() {
    for when in [When::Before, When::After] {
        let sim = Sim::start("nodes=70,windows=0,hybrid=0,rate=off");
        let hold = sim.hold("SendCommand", 1, when);
        let mut running = sim.herder(exec("all", &["-c", "100%", "--max-errors", "100%"])).spawn();
        assert!(running.comes_to(hold));
        running.kill();
        sim.drop_held(hold);
        let resumed = sim.run(&["runs", "resume", "last", "--json"]);
        sim.assert_at_most_once();
        assert_eq!(sends(&sim).len(), 1);
        let expected = if sim.control.truth().executions.is_empty() { "unknown" } else { "ok" };
        assert_eq!(resumed.tally(), BTreeMap::from([(expected.to_owned(), 70)]), "{when:?}");
    }
}

#[test]
fn what_the_service_can_not_be_handed_is_a_usage_error() {
    let sim = Sim::start("nodes=5");
    for (arguments, error) in [
        (&["-t", "web-1"][..], "the service can't be handed `web-1`"),
        (&["-t", "not tag:env=prod"], "the service can't be handed `not tag:env=prod`"),
        (&["-t", "tag:env=pr*"], "the service can't be handed `tag:env=pr*`"),
        (&["-t", "tag:env=prod", "-t", "tag:role=web"], "the service can't be handed a union of selectors"),
        (&["-t", "all", "--waves", "1,100%"], "--via service does not go with --waves"),
        (&["-t", "all", "--rate", "5/s"], "--via service does not go with --rate"),
        (&["-t", "all", "--exclude", "web-1"], "--via service does not go with --exclude"),
        (&["-t", "all", "--limit", "2"], "--via service does not go with --limit"),
        (&["-t", "all", "--sample", "2"], "--via service does not go with --sample"),
    ] {
        let run = [&["exec", "--via", "service"], arguments, &["--", "uptime"]].concat();
        drop(sim.run(&run).exits(2).says(error).says("hint:"));
        // `auto` leaves it to herder, and says why.
        if arguments.len() == 4 && arguments[2] == "--limit" {
            let run = [&["exec", "--via", "auto", "--yes"], arguments, &["--", "uptime"]].concat();
            let why = "herder goes over the targets itself: the service does not go with --limit";
            drop(sim.run(&run).exits(0).says(why));
        }
    }
}

#[test]
fn a_plan_says_who_goes_over_the_targets() {
    let sim = Sim::start("nodes=120,windows=0,hybrid=0");
    let plan =
        |via: &str| sim.run(&["exec", "-t", "all", "--dry-run", "--via", via, "--", "uptime"]).exits(0);
    drop(
        plan("service")
            .says("through the service: 1 call to send, about 3 to read results")
            .says("gives up on those it has not come to within"),
    );
    drop(plan("auto").says("herder goes over the targets itself: about").says("3 calls to send"));
    sim.assert_nothing_sent();
}

#[test]
fn accounts_and_regions_are_handed_one_send_each_and_one_budget() {
    let sim = Sim::start(
        "nodes=40,windows=0,hybrid=0,broken=10,rate=off,duration=2s,speed=4,regions=us-east-1+eu-west-1,\
         accounts=123456789012+210987654321",
    );
    let scopes = ["--region", "us-east-1,eu-west-1", "--account", "123456789012,210987654321"];
    let role = ["--assume-role", "HerderExec"];
    let whole = [&scopes[..], &role, &["-c", "100%", "--max-errors", "40"]].concat();
    let output = sim.run(&exec("all", &whole)).exits(1);
    assert_eq!(output.tally(), BTreeMap::from([("ok".to_owned(), 120), ("failed".to_owned(), 40)]));
    assert_eq!(sim.calls("SendCommand").len(), 4);
    sim.assert_at_most_once();
    let narrow = [&scopes[..], &role, &["-c", "8", "--max-errors", "5"]].concat();
    let tally = sim.run(&exec("all", &narrow)).exits(6).tally();
    assert!((6..=5 + 8).contains(&tally["failed"]), "{tally:?}");
    assert_eq!(tally.values().sum::<u64>(), 160);
}

#[test]
fn resource_and_auto_scaling_groups_are_handed_over() {
    let sim = Sim::start("nodes=60,windows=0,hybrid=0,rate=off");
    for (sent, selector) in (1..).zip(["rg:env-prod", "asg:web-prod"]) {
        let listed = sim.run(&["nodes", "list", "-t", selector, "--json"]).exits(0).json();
        let ids: BTreeSet<String> =
            listed.as_array().unwrap().iter().map(|node| node["id"].as_str().unwrap().to_owned()).collect();
        let output = sim.run(&exec(selector, &["-c", "100%"])).exits(0);
        assert_eq!(output.targets().keys().cloned().collect::<BTreeSet<_>>(), ids, "{selector}");
        assert_eq!(output.tally(), BTreeMap::from([("ok".to_owned(), ids.len() as u64)]), "{selector}");
        assert_eq!(sim.calls("SendCommand").len(), sent, "{selector}");
    }
}
