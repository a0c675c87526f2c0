//! Several accounts and regions in one run: one budget, quotas side by side, failures that stay where they are, and going on
//! with it all from the journal.

use std::collections::{BTreeMap, BTreeSet};

use herder_sim::{Down, When};
use serde_json::Value;

use crate::harness::{Output, Sim, together};

const OWN: &str = "123456789012";
const OTHER: &str = "210987654321";
const REGIONS: [&str; 2] = ["us-east-1", "eu-west-1"];
/// Both accounts, both regions.
const EVERYWHERE: [&str; 6] = [
    "--region",
    "us-east-1,eu-west-1",
    "--account",
    "123456789012,210987654321",
    "--assume-role",
    "HerderExec",
];

/// Four fleets of so many nodes.
fn fleets(nodes: usize, more: &str) -> Sim {
    Sim::start(&format!(
        "nodes={nodes},windows=0,hybrid=0,rate=off,regions=us-east-1+eu-west-1,accounts={OWN}+{OTHER}{more}"
    ))
}

fn exec<'a>(scopes: &[&'a str], flags: &[&'a str]) -> Vec<&'a str> {
    [&["exec", "-t", "all", "--yes", "--json"], scopes, flags, &["--", "uptime"]].concat()
}

/// Verdict → count of each account/region.
fn by_scope(output: &Output) -> BTreeMap<String, BTreeMap<String, usize>> {
    let mut by_scope: BTreeMap<String, BTreeMap<String, usize>> = BTreeMap::new();
    for target in output.targets().values() {
        let text = |field: &str| target[field].as_str().unwrap().to_owned();
        let scope = format!("{}/{}", text("account"), text("region"));
        *by_scope.entry(scope).or_default().entry(text("verdict")).or_insert(0) += 1;
    }
    by_scope
}

fn scope(account: &str, region: &str) -> String {
    format!("{account}/{region}")
}

#[test]
fn one_run_over_accounts_and_regions() {
    let sim = fleets(15, "");
    let output = sim.run(&exec(&EVERYWHERE, &["-c", "100%"])).exits(0);
    let scopes: Vec<String> =
        [OWN, OTHER].iter().flat_map(|account| REGIONS.map(|region| scope(account, region))).collect();
    let by_scope = by_scope(&output);
    assert_eq!(by_scope.keys().cloned().collect::<BTreeSet<_>>(), scopes.into_iter().collect());
    assert!(by_scope.values().all(|tally| *tally == BTreeMap::from([("ok".to_owned(), 15)])), "{by_scope:?}");
    assert_eq!(sim.calls("SendCommand").len(), 4, "one send in each");
    sim.assert_true(&output.verdicts());
    let started = output.json()["run"].clone();
    assert_eq!(started["accounts"], serde_json::json!([OWN, OTHER]));
    assert_eq!(started["regions"], serde_json::json!(REGIONS));
    // Credentials of an account are made once, for all of its regions.
    assert_eq!(sim.calls("AssumeRole").len(), 2);
}

#[test]
fn targets_are_called_by_account_and_region_where_there_are_several() {
    let sim = fleets(2, "");
    let text = sim
        .run(&[&["exec", "-t", "all", "--yes"], &EVERYWHERE[..], &["--", "whoami"]].concat())
        .exits(0)
        .text();
    assert_eq!(text.lines().count(), 8, "{text}");
    for line in text.lines() {
        let parts: Vec<&str> = line.split('\t').next().unwrap().split('/').collect();
        assert!(
            matches!(parts[..], [OWN | OTHER, "us-east-1" | "eu-west-1", id] if id.starts_with("i-")),
            "{line}"
        );
    }
    let one =
        sim.run(&["exec", "-t", "all", "--yes", "--region", "eu-west-1", "--", "whoami"]).exits(0).text();
    assert!(one.lines().all(|line| line.starts_with("i-")), "{one}");
    // Lists say it in the same way, and what they print chooses nodes.
    let list = sim.run(&[&["nodes", "list"], &EVERYWHERE[..]].concat()).exits(0).text();
    assert_eq!(list.lines().count(), 8);
    let input: String = list.lines().take(3).map(|line| format!("{line}\n")).collect();
    let chosen = [&["exec", "-t", "-", "--json"], &EVERYWHERE[..], &["--", "whoami"]].concat();
    let chosen = sim.herder(chosen).stdin(input.clone()).run().exits(0).targets();
    assert_eq!(chosen.len(), 3);
    for id in chosen.keys() {
        assert!(input.contains(id.as_str()), "{id} in {input}");
    }
    // As a selector it is a node of that account and region, and of no other.
    let called: Vec<&str> = text.lines().map(|line| line.split('\t').next().unwrap()).collect();
    let two = format!("{},{}", called[0], called[7]);
    let plan = |selector: &str, scopes: &[&str]| {
        sim.run(&[&["exec", "-t", selector, "--json", "--dry-run"], scopes, &["--", "whoami"]].concat())
    };
    let planned = plan(&two, &EVERYWHERE).exits(0).targets();
    let planned = planned.iter().map(|(id, target)| {
        format!("{}/{}/{id}", target["account"].as_str().unwrap(), target["region"].as_str().unwrap())
    });
    assert_eq!(planned.collect::<BTreeSet<_>>(), [called[0], called[7]].map(str::to_owned).into());
    let elsewhere =
        called.iter().find(|called| called.starts_with(OWN) && called.contains("us-east-1")).unwrap();
    let says = format!("`{elsewhere}` is in none of the accounts and regions of this command");
    drop(plan(elsewhere, &["--region", "eu-west-1"]).exits(3).says(&says).says("--region us-east-1"));
    // One that does not exist there is told as any id that was given.
    let gone = format!("{OTHER}/eu-west-1/i-0123456789abcdef0");
    let gone = plan(&format!("{gone},{}", called[0]), &EVERYWHERE).exits(0).targets();
    let gone = &gone["i-0123456789abcdef0"];
    assert_eq!((&gone["account"], &gone["judged"]), (&OTHER.into(), &"undelivered (not_found)".into()));
    let json = sim.run(&[&["nodes", "list", "--json"], &EVERYWHERE[..]].concat()).exits(0).json();
    assert!(json.as_array().unwrap().iter().all(|n| n["id"].as_str().unwrap().starts_with("i-")));
}

#[test]
fn one_budget_over_all() {
    let sim = fleets(40, ",broken=8");
    let output = sim.run(&exec(&EVERYWHERE, &["-c", "10", "--max-errors", "3"])).exits(6);
    let tally = output.tally();
    assert!((4..=13).contains(&tally["failed"]), "{tally:?}");
    assert!(tally["not_run"] > 100, "{tally:?}");
    sim.assert_true(&output.verdicts());
}

#[test]
fn a_region_that_is_down_from_the_start_is_left_out_and_told() {
    let sim = fleets(5, "");
    sim.control.set_region("eu-west-1", Some(Down::Dropped));
    let output = sim.run(&exec(&EVERYWHERE, &[])).exits(1).says("123456789012/eu-west-1 is left out");
    assert_eq!(output.tally(), BTreeMap::from([("ok".to_owned(), 10)]));
    // Whichever is named first.
    let turned = ["--region", "eu-west-1,us-east-1"];
    let output = sim.run(&exec(&turned, &[])).exits(1).says("eu-west-1 is left out");
    assert_eq!(output.tally(), BTreeMap::from([("ok".to_owned(), 5)]));
    let listed = sim.run(&["nodes", "list", "--region", "eu-west-1,us-east-1", "--json"]).exits(1);
    assert_eq!(listed.json().as_array().unwrap().len(), 5);
    // Nobody is left: that is the error itself.
    let _ = sim.run(&exec(&["--region", "eu-west-1"], &[])).exits(1);
    sim.control.set_region("us-east-1", Some(Down::Unavailable));
    let _ = sim.run(&exec(&turned, &[])).exits(1);
}

#[test]
fn a_region_that_goes_down_in_the_middle_and_comes_back_loses_nothing() {
    let sim = fleets(20, ",duration=2000s");
    let mut running = sim
        .herder(
            [&exec(&EVERYWHERE, &["-c", "100%"])[..5], &EVERYWHERE, &["-c", "100%", "--", "uptime"]].concat(),
        )
        .spawn();
    sim.wait_until("all is sent", || sim.control.truth().executions.len() == 80);
    sim.control.set_region("eu-west-1", Some(Down::Dropped));
    std::thread::sleep(std::time::Duration::from_secs(4));
    assert!(running.is_running());
    sim.control.set_region("eu-west-1", None);
    let output = running.wait().exits(0);
    assert_eq!(output.tally(), BTreeMap::from([("ok".to_owned(), 80)]));
    sim.assert_true(&output.verdicts());
    sim.assert_at_most_once();
}

#[test]
fn a_region_that_stays_down_lets_the_others_finish() {
    let sim = fleets(20, ",duration=2000s");
    let mut running = sim
        .herder(
            [&["exec", "-t", "all", "--yes", "--jsonl"], &EVERYWHERE[..], &["-c", "100%", "--", "uptime"]]
                .concat(),
        )
        .spawn();
    sim.wait_until("all is sent", || sim.control.truth().executions.len() == 80);
    sim.control.set_region("eu-west-1", Some(Down::Dropped));
    let finished = |text: &str| text.lines().filter(|line| line.contains("\"target_finished\"")).count();
    sim.wait_until("the others are told", || finished(&running.stdout_so_far()) >= 40);
    assert!(running.is_running());
    running.signal("TERM");
    let output = running.wait().exits(130);
    let by_scope = by_scope(&output);
    for (name, tally) in &by_scope {
        let expected = if name.ends_with("eu-west-1") { "unknown" } else { "ok" };
        assert_eq!(*tally, BTreeMap::from([(expected.to_owned(), 20)]), "{name}");
    }
    // It is up again: what was out of sight is looked at, in the same places, without saying which they were.
    sim.control.set_region("eu-west-1", None);
    let resumed = sim.run(&["runs", "resume", "last", "--json"]).exits(0);
    assert_eq!(resumed.tally(), BTreeMap::from([("ok".to_owned(), 80)]));
    sim.assert_at_most_once();
}

#[test]
fn an_account_that_denies_costs_its_own_targets() {
    let sim = fleets(5, &format!(",denied_roles={OTHER}"));
    let output =
        sim.run(&exec(&EVERYWHERE, &[])).exits(1).says("210987654321 is left out").says("AssumeRole");
    assert_eq!(output.tally(), BTreeMap::from([("ok".to_owned(), 10)]));
    let only = ["--account", OTHER, "--assume-role", "HerderExec"];
    let _ = sim.run(&exec(&only, &[])).exits(4).says("HerderExec");
}

#[test]
fn nodes_that_are_named_in_a_region_that_is_down_stop_nothing() {
    let sim = fleets(5, "");
    let _ = sim.run(&exec(&EVERYWHERE, &["-c", "100%"])).exits(0);
    sim.control.set_region("eu-west-1", Some(Down::Dropped));
    let again = sim
        .run(&["runs", "retry", "last", "--where", "ok", "--json"])
        .exits(1)
        .says("eu-west-1 is left out")
        .says("10 named nodes (")
        .says("are left out: not seen, and not every account and region could be asked");
    assert_eq!(again.tally(), BTreeMap::from([("ok".to_owned(), 10)]));
}

#[test]
fn a_run_whose_account_can_not_be_entered_any_more_says_so() {
    let sim = fleets(5, ",duration=2000s");
    let mut running = sim
        .herder(
            [&exec(&EVERYWHERE, &["-c", "100%"])[..5], &EVERYWHERE, &["-c", "100%", "--", "uptime"]].concat(),
        )
        .spawn();
    sim.wait_until("all is sent", || sim.control.truth().executions.len() == 20);
    assert!(running.is_running());
    sim.deny(&["AssumeRole"]);
    // The driver of a run is told all the same.
    let _ = sim.run(&["runs", "cancel", "last", "-o", "quiet"]).says("told process").says("to cancel");
    drop(running.wait());
    let _ = sim
        .run(&["runs", "resume", "last"])
        .exits(4)
        .says("has targets in 210987654321/us-east-1, which can't be worked in")
        .says("AssumeRole")
        .never_says("belongs to another");
}

#[test]
fn accounts_of_the_organization_and_of_its_units() {
    let sim = fleets(3, "");
    let role = ["--assume-role", "HerderExec", "--account"];
    let org = sim.run(&exec(&[&role[..], &["org"]].concat(), &[])).exits(0);
    assert_eq!(org.tally(), BTreeMap::from([("ok".to_owned(), 6)]));
    let unit = sim.run(&exec(&[&role[..], &["ou:r-sim1"]].concat(), &[])).exits(0);
    assert_eq!(unit.tally(), BTreeMap::from([("ok".to_owned(), 6)]));
    let _ = sim.run(&exec(&[&role[..], &["ou:ou-sim1-nosuch01"]].concat(), &[])).exits(3);
}

#[test]
fn what_makes_no_sense_is_a_usage_error() {
    let sim = fleets(1, "");
    for (flags, says) in [
        (&["--account", OTHER][..], "--assume-role"),
        (&["--account", "org"], "--assume-role"),
        (&["--account", "prod", "--assume-role", "R"], "not an account"),
        (&["--region", "us-east-1,"], "list of regions"),
        (&["--region", "all,us-east-1"], "list of regions"),
        (&["--region", "US_EAST"], "not a region"),
        (
            &[
                "--account",
                "123456789012,210987654321",
                "--assume-role",
                "arn:aws:iam::123456789012:role/HerderExec",
            ],
            "role's name",
        ),
    ] {
        let _ = sim.run(&exec(flags, &[])).exits(2).says(says);
    }
    sim.assert_nothing_sent();
}

#[test]
fn all_regions_are_those_that_are_enabled() {
    let sim = fleets(2, "");
    let listed = sim.run(&["nodes", "list", "--region", "all", "--json"]).exits(0).json();
    let regions: BTreeSet<&str> =
        listed.as_array().unwrap().iter().map(|n| n["region"].as_str().unwrap()).collect();
    assert_eq!(regions, BTreeSet::from(REGIONS));
}

#[test]
fn whoami_says_as_whom_and_where() {
    let sim = fleets(1, "");
    let who = sim.run(&[&["whoami", "--json"], &EVERYWHERE[..]].concat()).exits(0).json();
    let rows: Vec<(&str, &str)> = who
        .as_array()
        .unwrap()
        .iter()
        .map(|w| (w["account"].as_str().unwrap(), w["region"].as_str().unwrap()))
        .collect();
    assert_eq!(rows, [(OWN, REGIONS[0]), (OWN, REGIONS[1]), (OTHER, REGIONS[0]), (OTHER, REGIONS[1])]);
    assert!(who[2]["arn"].as_str().unwrap().contains(":assumed-role/HerderExec/"), "{who}");
    let table = sim.run(&["whoami", "-o", "table"]).exits(0);
    assert_eq!(table.stderr.matches("(SIMULATED)").count(), 1, "{table:?}");
    let own = sim.run(&["whoami"]).exits(0).text();
    assert!(own.starts_with(&format!("{OWN}\tus-east-1\tarn:aws:iam::{OWN}:")), "{own}");
    sim.assert_nothing_sent();
}

#[test]
fn whoami_asks_in_every_region() {
    let sim = fleets(1, "");
    sim.control.set_region("us-east-1", Some(Down::Unavailable));
    let regions = |who: Output| -> Vec<String> {
        let who = who.says("123456789012/us-east-1 is left out");
        who.json().as_array().unwrap().iter().map(|w| w["region"].as_str().unwrap().to_owned()).collect()
    };
    let who = sim.run(&["whoami", "--json", "--region", "eu-west-1,us-east-1"]).exits(1);
    assert_eq!(regions(who), ["eu-west-1"]);
    // Which regions there are can be asked elsewhere than in the usual one.
    let who = sim.run(&["whoami", "--json", "--region", "all"]).exits(1);
    assert_eq!(regions(who), ["eu-west-1"]);
    // What is said of one that hangs up says something.
    sim.control.set_region("us-east-1", Some(Down::Dropped));
    let who = sim.run(&["whoami", "--json", "--region", "eu-west-1,us-east-1"]).exits(1);
    assert_eq!(regions(who.never_says("other")), ["eu-west-1"]);
}

#[test]
fn a_plan_tells_where_it_would_run() {
    let sim = fleets(5, "");
    let plan = sim
        .run(&exec(&EVERYWHERE, &["--dry-run"]))
        .exits(0)
        .says("2 accounts in 2 regions")
        .says("4 calls to send");
    let plan = plan.json();
    assert_eq!(plan["targets"].as_array().unwrap().len(), 20);
    assert_eq!((&plan["plan"]["sends"], &plan["plan"]["targets"]), (&4.into(), &20.into()));
    sim.assert_nothing_sent();
}

/// Sends of it: three waves of 2, 6 and 12 over four fleets of five.
fn killed_at(nth: u32, when: When) -> Sim {
    let sim = fleets(5, "");
    let hold = sim.hold("SendCommand", nth, when);
    let flags = ["--waves", "2,8,100%", "--max-errors", "100%", "-c", "100%"];
    let mut running = sim.herder(exec(&EVERYWHERE, &flags)).spawn();
    assert!(running.comes_to(hold), "there was no send {nth}");
    running.kill();
    sim.drop_held(hold);
    sim
}

fn assert_whole(sim: &Sim, resumed: &Output, nth: u32) {
    let shown = sim.run(&["runs", "show", "last", "--json"]).exits(0);
    assert_eq!(shown.verdicts().len(), 20, "at {nth}");
    sim.assert_true(&shown.verdicts());
    sim.assert_at_most_once();
    assert_eq!(sim.runs().len(), 1, "{resumed:?}");
}

#[test]
fn killed_after_any_send_nothing_runs_twice() {
    together(1..=6, |nth| {
        let sim = killed_at(nth, When::After);
        // What took effect is adopted. Another realm's send may have been on its way too: that one is in doubt.
        let resumed = sim.run(&["runs", "resume", "last", "--json"]);
        assert_whole(&sim, &resumed, nth);
        let ran = sim.control.truth().executions.len();
        assert!(resumed.tally().get("ok") == Some(&(ran as u64)) && ran >= 2, "at {nth}: {resumed:?}");
        let resumed = sim.run(&["runs", "resume", "last", "--json", "--resend-ambiguous"]).exits(0);
        assert_whole(&sim, &resumed, nth);
        assert_eq!(sim.control.truth().executions.len(), 20, "at {nth}");
    });
}

#[test]
fn killed_before_any_send_it_is_sent_or_called_unknown() {
    together(1..=6, |nth| {
        let sim = killed_at(nth, When::Before);
        let resumed = sim.run(&["runs", "resume", "last", "--json"]).exits(5);
        assert_whole(&sim, &resumed, nth);
        let resumed = sim.run(&["runs", "resume", "last", "--json", "--resend-ambiguous"]).exits(0);
        assert_whole(&sim, &resumed, nth);
        assert_eq!(sim.control.truth().executions.len(), 20, "at {nth}");
    });
}

#[test]
fn a_run_belongs_to_all_of_its_accounts_and_regions() {
    let sim = fleets(3, ",broken=1");
    let _ = sim.run(&exec(&EVERYWHERE, &["--max-errors", "100%"])).exits(1);
    let elsewhere = ["--region", "us-east-1"];
    for arguments in [
        &["runs", "resume", "last"][..],
        &["runs", "retry", "last"],
        &["exec", "-t", "@last:failed", "--", "uptime"],
    ] {
        let _ = sim
            .run(
                &[arguments.get(..arguments.len().min(3)).unwrap(), &elsewhere, arguments.get(3..).unwrap()]
                    .concat(),
            )
            .exits(8)
            .says("belongs to another");
    }
    let again = sim.run(&["runs", "retry", "last", "--json", "--max-errors", "100%"]).exits(1);
    assert_eq!(by_scope(&again).len(), 4, "one broken node in each");
    let failed = [
        &["exec", "-t", "@last:failed", "--json", "--max-errors", "100%"],
        &EVERYWHERE[..],
        &["--", "uptime"],
    ]
    .concat();
    assert_eq!(sim.run(&failed).exits(1).targets().len(), 4);
    let listed: Value = sim.run(&["runs", "list", "--json"]).exits(0).json();
    assert_eq!(listed[0]["account"], format!("{OWN},{OTHER}"));
    assert_eq!(listed[0]["region"], "us-east-1,eu-west-1");
}
