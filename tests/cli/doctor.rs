//! `herder doctor`: each thing that can be wrong is found, named, and has a hint; and the table of permissions is the truth.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use crate::harness::{Output, Sim};

/// Status of a check, and what was said of it; the worst where there are several.
#[track_caller]
fn of<'a>(findings: &'a Value, check: &str) -> &'a Value {
    let findings = findings.as_array().unwrap();
    let of_check = || findings.iter().filter(|finding| finding["check"] == check);
    ["fail", "warn", "ok"]
        .into_iter()
        .find_map(|status| of_check().find(|finding| finding["status"] == status))
        .unwrap_or_else(|| panic!("{check}: {findings:#?}"))
}

#[track_caller]
fn expect(output: &Output, check: &str, status: &str, says: &str) {
    let findings = output.json();
    let finding = of(&findings, check);
    assert_eq!(finding["status"], status, "{output:?}");
    assert!(finding["message"].as_str().unwrap().contains(says), "{says:?}: {finding}");
    assert_eq!(finding["hint"].is_null(), status == "ok", "what is not ok has a hint: {finding}");
}

#[test]
fn all_is_well() {
    let sim = Sim::start("nodes=3");
    let output = sim.run(&["doctor", "--json"]).exits(0);
    for (check, says) in [
        ("version", "herder 0."),
        ("configuration", "there is no "),
        ("state directory", "is writable"),
        ("cache directory", "is writable"),
        ("terminal", "standard output is none"),
        ("session-manager-plugin", ""),
        ("region", "us-east-1 (from AWS_REGION)"),
        ("credentials", "arn:aws:iam::123456789012:user/rehearsal from Environment"),
        ("endpoint", "http://127.0.0.1:"),
        ("clock", "agrees with AWS's"),
        ("permissions", ""),
    ] {
        expect(&output, check, "ok", says);
    }
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    assert!(text.contains("not tried, since it would change something: ssm:SendCommand"), "{text}");
    sim.assert_nothing_sent();
    // For programs in a pipe it is a list.
    let lines = sim.run(&["doctor", "nodes"]).exits(0).text();
    assert!(lines.lines().any(|line| line.starts_with("ok\tclock\t")), "{lines}");
}

#[test]
fn credentials_that_have_expired_are_none_or_are_unknown() {
    let sim = Sim::start("nodes=3,expired");
    let output = sim.run(&["doctor", "--json"]).exits(1);
    expect(&output, "credentials", "fail", "expired");
    let sim = Sim::start("nodes=3");
    let none = sim.herder(["doctor", "--json"]).without("AWS_ACCESS_KEY_ID").without("AWS_SECRET_ACCESS_KEY");
    let output = none.run().exits(1);
    expect(&output, "credentials", "fail", "no credentials were found");
    let stranger = sim.herder(["doctor", "--json"]).env("AWS_ACCESS_KEY_ID", "AKIAUNKNOWN000000001");
    let output = stranger.run().exits(1);
    expect(&output, "credentials", "fail", "AWS doesn't accept the credentials");
    // An end that is near is worth a word.
    let soon = (jiff::Timestamp::now() + jiff::SignedDuration::from_secs(60)).to_string();
    let ending = sim.herder(["doctor", "--json"]).env("AWS_CREDENTIAL_EXPIRATION", soon);
    let output = ending.run().exits(0);
    expect(&output, "credentials", "warn", "they expire in");
    assert_eq!(output.json().as_array().unwrap().iter().filter(|f| f["status"] == "fail").count(), 0);
}

#[test]
fn a_region_that_is_not_set_or_not_one() {
    let sim = Sim::start("nodes=3");
    let output = sim.herder(["doctor", "--json"]).without("AWS_REGION").run().exits(1);
    expect(&output, "region", "fail", "no region is set");
    let output = sim.run(&["doctor", "--json", "--region", "Europe!"]).exits(1);
    expect(&output, "region", "fail", "`Europe!` is not a region's name");
}

#[test]
fn an_endpoint_that_nobody_answers_at_is_named() {
    let sim = Sim::start("nodes=3");
    let herder = sim.herder(["doctor", "--json"]).env("AWS_ENDPOINT_URL", "http://127.0.0.1:9");
    let output = herder.run().exits(1);
    expect(&output, "endpoint", "fail", "http://127.0.0.1:9 can't be reached");
    expect(&output, "credentials", "warn", "nobody could be asked whose they are");
    let output = sim.herder(["doctor", "--json"]).env("AWS_ENDPOINT_URL", "local:9").run().exits(1);
    expect(&output, "endpoint", "fail", "AWS_ENDPOINT_URL is not the URL of an endpoint");
}

#[test]
fn a_clock_that_is_wrong() {
    let sim = Sim::start("nodes=3,skew=2h");
    let output = sim.run(&["doctor", "--json"]).exits(0);
    expect(&output, "clock", "warn", "behind AWS; herder signs by AWS's clock");
    let sim = Sim::start("nodes=3,skew=-90s");
    let output = sim.run(&["doctor", "--json"]).exits(0);
    expect(&output, "clock", "warn", "ahead of AWS");
    // As AWS does it: what is signed with such a clock is refused, and herder goes by the service's once it has heard it.
    let sim = Sim::start("nodes=3,skew=2h,strict_clock");
    let output = sim.run(&["doctor", "--json"]).exits(0);
    expect(&output, "clock", "warn", "other programs are refused");
    assert_eq!(sim.run(&["nodes", "list"]).exits(0).text().lines().count(), 3);
    let output = sim.run(&["exec", "-t", "all", "--yes", "--json", "--", "uptime"]).exits(0);
    assert_eq!(output.verdicts().len(), 3);
    sim.assert_at_most_once();
    let requests = sim.control.requests();
    assert!(
        requests.iter().any(|r| format!("{:?}", r.outcome).contains("AuthFailure")),
        "EC2 refuses what is first"
    );
}

#[test]
fn permissions_that_are_missing_are_named_with_what_they_are_for() {
    let sim = Sim::start("nodes=3,denied_apis=DescribeInstances+DescribeAlarms");
    let output = sim.run(&["doctor", "--json"]).exits(0);
    expect(&output, "permissions", "warn", "ec2:DescribeInstances (only managed nodes are found");
    let both = "nodes=3,denied_apis=DescribeInstanceProperties+DescribeInstanceInformation";
    let sim = Sim::start(both);
    let output = sim.run(&["doctor", "exec", "--json"]).exits(1);
    expect(&output, "permissions", "fail", "ssm:DescribeInstanceInformation are not allowed");
    let hint = of(&output.json(), "permissions")["hint"].to_string();
    assert!(hint.contains("herder doctor --policy exec"), "{hint}");
    let permissions = |output: &Output| {
        let all = output.json();
        all.as_array().unwrap().iter().filter(|f| f["check"] == "permissions").count()
    };
    assert_eq!(permissions(&output), 1, "only of what was asked for");
    let two = sim.run(&["doctor", "nodes", "--region", "us-east-1,eu-west-1", "--json"]).exits(1);
    assert_eq!(permissions(&two), 2, "one for each region");
}

#[test]
fn a_state_directory_that_is_no_good_and_runs_that_were_left_behind() {
    let sim = Sim::start("nodes=3,windows=0");
    let file = sim.file("file", "");
    let herder = sim.herder(["doctor", "--json", "--state-dir", &format!("{file}/state")]);
    expect(&herder.run().exits(1), "state directory", "fail", "could not create");
    let hold = sim.hold("SendCommand", 1, herder_sim::When::Before);
    let running = sim.herder(["exec", "-t", "all", "--yes", "--", "true"]).spawn();
    sim.wait_held(hold);
    running.kill();
    let output = sim.run(&["doctor", "--json"]).exits(0);
    let run = sim.the_run();
    let run = run.file_name().unwrap().to_str().unwrap();
    expect(&output, "runs", "warn", run);
    sim.continue_held(hold);
    let _ = sim.run(&["runs", "resume", run]);
    let output = sim.run(&["doctor", "--json"]).exits(0);
    assert!(output.json().as_array().unwrap().iter().all(|finding| finding["check"] != "runs"));
}

#[test]
fn a_rehearsal_is_said_to_be_one() {
    let sim = Sim::start("nodes=1");
    let output = sim.run(&["doctor", "--sim=5", "--json"]).exits(0);
    expect(&output, "region", "ok", "from the simulator");
    assert!(sim.control.requests().is_empty());
}

fn actions(policy: &Value) -> BTreeSet<String> {
    let statements = policy["Statement"].as_array().unwrap().iter();
    statements.flat_map(|s| s["Action"].as_array().unwrap()).map(|a| a.as_str().unwrap().to_owned()).collect()
}

/// What IAM calls a call of `aws/`, or of the simulator's log.
fn action(service: &str, api: &str) -> String {
    match (service, api) {
        ("s3", "HeadBucket" | "ListObjectsV2") => "s3:ListBucket".to_owned(),
        _ => format!("{service}:{api}"),
    }
}

/// `Call::read("ssm", "ListCommands", …)` → `ssm:ListCommands`; a constant in place of the service is looked up.
fn calls_in(text: &str) -> BTreeSet<String> {
    let constant = text.split_once("const SERVICE: &str = \"").and_then(|(_, rest)| rest.split_once('"'));
    let mut calls = BTreeSet::new();
    for marker in ["Call::read(", "Call::change("] {
        for after in text.split(marker).skip(1) {
            let mut words = after.split(',').map(|word| word.trim().trim_matches('"'));
            let (service, api) = (words.next().unwrap(), words.next().unwrap());
            let service = if service == "SERVICE" { constant.unwrap().0 } else { service };
            calls.insert(action(service, api));
        }
    }
    calls
}

fn sources(directory: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if !path.ends_with("tests.rs") && !path.ends_with("call.rs") {
            found.push(std::fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn the_table_of_permissions_has_every_call_that_can_be_made() {
    let sim = Sim::start("nodes=1");
    let table = actions(&sim.run(&["doctor", "--policy"]).exits(0).json());
    let mut texts = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("aws/src"), &mut texts);
    let mut calls: BTreeSet<String> = texts.iter().flat_map(|text| calls_in(text)).collect();
    // It needs no permission; these two are not called by any command.
    for not_needed in ["sts:GetCallerIdentity", "ssm:DescribeDocument"] {
        assert!(calls.remove(not_needed), "{not_needed}");
    }
    assert_eq!(table, calls);
    assert!(sim.control.requests().is_empty());
}

#[test]
fn commands_call_nothing_that_their_policy_does_not_allow() {
    let used = |sim: &Sim| -> BTreeSet<String> {
        let requests = sim.control.requests().into_iter();
        requests.map(|r| action(&r.service, &r.api)).filter(|a| a != "sts:GetCallerIdentity").collect()
    };
    let cases: [(&str, &[&str]); 6] = [
        ("nodes", &["nodes", "list"]),
        ("nodes", &["nodes", "check", "-t", "tg:tg-web", "--region", "all"]),
        ("exec", &["exec", "-t", "rg:env-prod", "--s3", "herder-output", "--", "uptime"]),
        (
            "exec",
            &[
                "exec",
                "-t",
                "asg:web-prod",
                "--waves",
                "1,100%",
                "--gate",
                "tg:tg-web",
                "--stop-on-alarm",
                "web-5xx",
                "--calendar",
                "release",
                "--",
                "uptime",
            ],
        ),
        ("session", &["session", "exec", "web-1", "--", "uptime"]),
        ("session", &["session", "list"]),
    ];
    for (command, arguments) in cases {
        let sim = Sim::start("nodes=20,windows=0");
        let _ = sim.herder(arguments).run();
        let made = used(&sim);
        assert!(made.len() > 1 || arguments.contains(&"session"), "{arguments:?}: {made:?}");
        let allowed = actions(&sim.run(&["doctor", "--policy", command]).exits(0).json());
        let missing: Vec<_> = made.difference(&allowed).collect();
        assert!(missing.is_empty(), "{arguments:?} called {missing:?}");
    }
}
