//! Bad input and missing things: each gets a clear error or the right verdict, and nothing is sent that should not be.

use std::collections::BTreeMap;

use serde_json::json;

use crate::harness::{Sim, together};

const EXEC: [&str; 5] = ["exec", "-t", "web-1", "--", "uptime"];

#[test]
fn no_credentials() {
    let sim = Sim::start("3");
    let herder = sim.herder(EXEC).without("AWS_ACCESS_KEY_ID").without("AWS_SECRET_ACCESS_KEY");
    let output = herder.run().exits(4).silent().says("error: ").says("credentials").says("hint: ");
    assert!(sim.control.requests().is_empty(), "{output:?}");
}

#[test]
fn unknown_credentials() {
    let sim = Sim::start("3");
    let _ = sim.herder(EXEC).env("AWS_ACCESS_KEY_ID", "AKIANOBODY").run().exits(4).silent().says("hint: ");
    // It is what is asked, and no way to learn more.
    let who = sim.herder(["whoami"]).env("AWS_ACCESS_KEY_ID", "AKIANOBODY").run().exits(4).says("hint: ");
    drop(who.never_says("herder whoami"));
    sim.assert_nothing_sent();
}

#[test]
fn expired_credentials() {
    let sim = Sim::start("3");
    sim.control.expire_credentials();
    let _ = sim.run(&EXEC).exits(4).silent().says("expired").says("hint: ");
    sim.assert_nothing_sent();
}

#[test]
fn no_region() {
    let sim = Sim::start("3");
    let _ = sim.herder(EXEC).without("AWS_REGION").run().exits(2).silent().says("region").says("hint: ");
    assert!(sim.control.requests().is_empty());
    let _ = sim.run(&["exec", "--region", "no region", "-t", "web-1", "--", "uptime"]).exits(2).silent();
    assert!(sim.control.requests().is_empty());
}

#[test]
fn unknown_profile() {
    let sim = Sim::start("3");
    let output = sim.run(&["exec", "--profile", "nobody", "-t", "web-1", "--", "uptime"]);
    let _ = output.exits(2).silent().says("nobody").says("hint: ");
    assert!(sim.control.requests().is_empty());
}

#[test]
fn profiles_are_read_as_the_aws_cli_reads_them() {
    let sim = Sim::start("3");
    let credentials = format!(
        "[ops]\naws_access_key_id = {}\naws_secret_access_key = simulated/secret/key/that/opens/nothing0\n",
        "AKIASIMULATEDKEY0001"
    );
    let config = format!("[profile ops]\nregion = us-east-1\nendpoint_url = {}\n", sim.endpoint());
    let herder = sim.herder(["exec", "--profile", "ops", "-t", "web-1", "--", "true"]);
    let herder = herder.without("AWS_ACCESS_KEY_ID").without("AWS_SECRET_ACCESS_KEY").without("AWS_REGION");
    let herder = herder.without("AWS_ENDPOINT_URL");
    let herder = herder.env("AWS_CONFIG_FILE", sim.file("aws-config", config));
    let _ =
        herder.env("AWS_SHARED_CREDENTIALS_FILE", sim.file("aws-credentials", credentials)).run().exits(0);
    assert_eq!(sim.calls("SendCommand").len(), 1);
}

#[test]
fn a_selector_that_does_not_parse_shows_where() {
    let sim = Sim::start("3");
    for (selector, word) in [
        ("tag:env=prod and", "column 17"),
        ("(web-1", "column"),
        ("tag:=x", "column"),
        ("platform:amiga", "amiga"),
        ("web-1 or web-2", "column"),
        ("@last:nonsense", "nonsense"),
    ] {
        let output = sim.run(&["exec", "-t", selector, "--", "uptime"]).exits(2).silent().says("error: ");
        assert!(output.stderr.contains(word), "{selector}: {output:?}");
        assert!(output.stderr.contains("hint: "), "{selector}: {output:?}");
    }
    assert!(sim.control.requests().is_empty());
}

#[test]
fn a_selector_that_matches_nothing() {
    let sim = Sim::start("3");
    for selector in ["nobody", "tag:env=moon", "web-1 and db-1", "az:eu-west-1a", "i-00000000000000000"] {
        let _ = sim
            .run(&["exec", "-t", selector, "--", "uptime"])
            .exits(3)
            .silent()
            .says(selector)
            .says("hint: ");
    }
    let _ = sim.run(&["exec", "-t", "web-1", "--exclude", "web-*", "--", "uptime"]).exits(3).silent();
    sim.assert_nothing_sent();
    assert!(sim.runs().is_empty());
}

#[test]
fn bad_ids_among_many_do_not_fail_the_others() {
    // Where nodes can't be listed, only SendCommand tells which ids are bad: by name, or not even so.
    together(["", ",opaque_errors"], |switch| {
        let sim = Sim::start(&format!("200,windows=0,hybrid=0,rate=off{switch}"));
        let bad: Vec<String> = (0..51).map(|n| format!("i-0bad{n:013x}")).collect();
        let mut ids = sim.ids(None);
        for (n, id) in bad.iter().enumerate() {
            ids.insert((n * 4) % ids.len(), id.clone());
        }
        let list = sim.file("nodes.txt", ids.join("\n"));
        sim.deny(&["DescribeInstances", "DescribeInstanceProperties", "DescribeInstanceInformation"]);
        let target = format!("@{list}");
        let arguments =
            ["exec", "-t", &target, "-c", "251", "--max-errors", "51", "--json", "--", "hostname"];
        let output = sim.run(&arguments).exits(1);
        let targets = output.targets();
        assert_eq!(output.tally(), BTreeMap::from([("ok".to_owned(), 200), ("undelivered".to_owned(), 51)]));
        for id in &bad {
            assert_eq!(targets[id]["reason"], json!("invalid_instance"), "{id}");
        }
        sim.assert_at_most_once();
        sim.assert_true(&output.verdicts());
        // Naming them costs one more call a chunk, halving a few for each bad id.
        let most = if switch.is_empty() { 20 } else { 51 * 2 * 6 + 20 };
        let sends = sim.calls("SendCommand").len();
        assert!(sends <= most, "{sends} sends");
    });
}

#[test]
fn bad_ids_that_are_known_to_be_bad_are_never_sent() {
    let sim = Sim::start("20,windows=0,rate=off");
    let mut ids = sim.ids(None);
    ids.extend((0..51).map(|n| format!("i-0bad{n:013x}")));
    let arguments = ["exec", "-t", "-", "--max-errors", "51", "--json", "--", "hostname"];
    let output = sim.herder(arguments).stdin(ids.join("\n")).run().exits(1);
    assert_eq!(output.tally(), BTreeMap::from([("ok".to_owned(), 20), ("undelivered".to_owned(), 51)]));
    assert_eq!(output.targets()["i-0bad0000000000000"]["reason"], json!("not_found"));
    assert_eq!(sim.calls("SendCommand").len(), 1);
}

#[test]
fn stopped_instances_are_meant_only_by_name() {
    let sim = Sim::start("5,stopped=2,unmanaged=2,windows=0");
    let output = sim.run(&["exec", "-t", "all", "--yes", "--json", "--", "true"]).exits(0);
    assert_eq!(output.tally(), BTreeMap::from([("ok".to_owned(), 5)]));
    let _ = output.says("2 matching instances are left out: not running");
    let stopped = sim.control.nodes().into_iter().find(|n| n.state == "stopped").unwrap();
    let output = sim.run(&["exec", "-t", &stopped.id, "--json", "--", "true"]).exits(1);
    assert_eq!(output.verdicts()[&stopped.id], "undelivered");
    assert_eq!(sim.calls("SendCommand").len(), 1);
}

#[test]
fn an_exclusion_holds_for_nodes_that_are_named() {
    let sim = Sim::start("6,windows=0,hybrid=0");
    let nodes = sim.control.nodes();
    let is_web = |n: &&herder_sim::NodeRecord| n.tags["role"] == "web";
    let (web, other) = (nodes.iter().find(is_web).unwrap(), nodes.iter().find(|n| !is_web(n)).unwrap());
    let run = |first: &str, second: &str| {
        let arguments =
            ["exec", "-t", first, "-t", second, "--exclude", "tag:role=web", "--json", "--", "true"];
        sim.run(&arguments)
    };
    let output = run(&web.id, &other.id).exits(0);
    assert!(output.verdicts().into_keys().eq([other.id.clone()]));
    let _ = run(&web.id, &web.id).exits(3);
    // Where tags can't be read, nobody knows whom the exclusion means.
    sim.deny(&["DescribeInstances", "DescribeInstanceProperties", "DescribeInstanceInformation"]);
    let _ = run(&web.id, &other.id).exits(4);
    sim.deny(&["DescribeInstances"]);
    let output = run(&web.id, &other.id);
    assert!(output.code == Some(3) || !output.verdicts().contains_key(&web.id), "{output:?}");
    let truth = sim.control.truth();
    assert!(truth.executions.iter().all(|e| e.instance_id != web.id));
}

#[test]
fn what_is_not_known_of_a_node_keeps_commands_from_it() {
    let sim = Sim::start("60,windows=0,hybrid=6");
    let nodes = sim.control.nodes();
    let prod: Vec<&str> = nodes.iter().filter(|n| n.tags["env"] == "prod").map(|n| n.id.as_str()).collect();
    assert!(prod.iter().any(|id| id.starts_with("mi-")));
    for selector in ["not tag:env=prod", "all and not tag:env=pro*", "tag:role=web and not tag:env=prod"] {
        let output = sim.run(&["exec", "-t", selector, "--yes", "--json", "--", "true"]).exits(0);
        assert!(output.verdicts().keys().all(|id| !prod.contains(&id.as_str())), "{selector}");
        assert!(!output.verdicts().is_empty());
    }
    sim.deny(&["DescribeInstances"]);
    let output =
        sim.run(&["exec", "-t", "all", "--exclude", "tag:env=prod", "--yes", "--json", "--", "true"]);
    assert!(output.verdicts().keys().all(|id| !prod.contains(&id.as_str())));
    let truth = sim.control.truth();
    assert!(truth.executions.iter().all(|e| !prod.contains(&e.instance_id.as_str())));
}

#[test]
fn a_document_that_does_not_exist() {
    let sim = Sim::start("3,windows=0");
    let output =
        sim.run(&["exec", "-t", "all", "--yes", "--document", "No-Such-Document", "--json"]).exits(3);
    let output = output.says("No-Such-Document").says("hint: ");
    assert!(sim.control.truth().executions.is_empty());
    assert!(output.verdicts().values().all(|v| v == "not_run"), "{output:?}");
}

#[test]
fn parameters_that_a_document_does_not_take() {
    let sim = Sim::start("3,windows=0");
    let arguments = ["exec", "-t", "web-1", "--document", "AWS-RunShellScript", "-p", "nonsense=1"];
    let _ = sim.run(&arguments).exits(2).says("AWS-RunShellScript");
    assert!(sim.control.truth().executions.is_empty());
}

#[test]
fn a_command_of_200_kb() {
    let sim = Sim::start("3,windows=0");
    let script = sim.file("big.sh", "x".repeat(200 * 1024));
    let words: Vec<String> = (0..4).map(|_| "y".repeat(50 * 1024)).collect();
    let mut argv = vec!["exec", "-t", "web-1", "--", "printf"];
    argv.extend(words.iter().map(String::as_str));
    for arguments in [vec!["exec", "-t", "web-1", "--script", &script], argv] {
        let _ = sim
            .run(&arguments)
            .exits(2)
            .silent()
            .says(" KB and Run Command takes about 64 KB")
            .says("hint: ");
    }
    let herder = sim.herder(["exec", "-t", "web-1", "--stdin", "--", "cat"]).stdin("z".repeat(200 * 1024));
    let _ = herder.run().exits(2).silent().says("hint: ");
    sim.assert_nothing_sent();
    assert!(sim.runs().is_empty());
}

#[test]
fn values_that_are_not_there() {
    let sim = Sim::start("3,windows=0");
    let case = |arguments: &[&str], word: &str| {
        let all: Vec<&str> = [&["exec", "-t", "web-1"][..], arguments].concat();
        let _ = sim.run(&all).exits(2).silent().says(word);
    };
    case(&["--env", "NOT_SET", "--", "true"], "NOT_SET");
    case(&["--script", "/nonexistent.sh"], "/nonexistent.sh");
    case(&["--env-file", "/nonexistent.env", "--", "true"], "/nonexistent.env");
    case(&["--env", "not-a-name=x", "--", "true"], "not-a-name");
    sim.assert_nothing_sent();
}

#[test]
fn a_configuration_that_is_not_one() {
    let sim = Sim::start("3");
    std::fs::create_dir_all(sim.path("config/herder")).unwrap();
    std::fs::write(sim.path("config/herder/config.toml"), "regoin = 'x'\n").unwrap();
    let _ = sim.run(&EXEC).exits(2).silent().says("config.toml").says("regoin");
    assert!(sim.control.requests().is_empty());
}

#[test]
fn access_denied_on_one_api_only() {
    let denied = [
        "SendCommand",
        "ListCommands",
        "ListCommandInvocations",
        "GetCommandInvocation",
        "DescribeInstanceProperties",
        "DescribeInstances",
    ];
    together(denied, |api| {
        // Several batches, some failures, and output that one listing does not hold.
        let sim = Sim::start("120,windows=0,hybrid=0,broken=3,bytes=4000,rate=off");
        sim.deny(&[api]);
        let arguments =
            ["exec", "-t", "all", "--yes", "-c", "120", "--max-errors", "100%", "--json", "--", "report"];
        let output = sim.run(&arguments);
        if api == "SendCommand" {
            let output = output.exits(4).says("ssm:SendCommand").says("hint: ");
            assert!(output.verdicts().values().all(|v| v == "not_run"), "{output:?}");
            return;
        }
        let output = output.exits(1);
        let tally = BTreeMap::from([("ok".to_owned(), 117), ("failed".to_owned(), 3)]);
        assert_eq!(output.tally(), tally, "{api}");
        sim.assert_true(&output.verdicts());
        sim.assert_at_most_once();
        let cut = output.targets().values().filter(|t| t["truncated"] == true).count();
        assert_eq!(cut, if api == "GetCommandInvocation" { 117 } else { 0 }, "{api}");
        let calls = sim.control.requests().len();
        assert!(calls < 300, "{api}: {calls} calls, {:#?}", sim.control.stats());
    });
}

#[test]
fn nothing_can_be_read_of_what_was_sent() {
    let sim = Sim::start("3,windows=0");
    sim.deny(&["ListCommandInvocations", "GetCommandInvocation", "ListCommands"]);
    let output = sim.run(&["exec", "-t", "all", "--yes", "--json", "--", "true"]).exits(5);
    assert!(output.verdicts().values().all(|v| v == "unknown"), "{output:?}");
    let _ = output.says("ssm:");
    sim.assert_at_most_once();
}

#[test]
fn a_state_directory_that_is_not_writable() {
    let sim = Sim::start("3");
    let file = sim.file("a-file", "");
    let directory = format!("{file}/state");
    let output = sim.run(&["exec", "--state-dir", &directory, "-t", "web-1", "--", "uptime"]);
    let _ = output.exits(2).silent().says(&directory).says("hint: ");
    assert!(sim.control.requests().is_empty(), "called AWS before it knew");
}

#[test]
fn an_out_dir_that_is_not_writable() {
    let sim = Sim::start("4,windows=0,hybrid=0");
    let file = sim.file("a-file", "");
    for directory in [file.as_str(), &format!("{file}/below"), "/proc/herder"] {
        let output = sim.run(&["exec", "-t", "web-1", "--out-dir", directory, "--", "uptime"]);
        let _ = output.exits(2).silent().says(directory).says("hint: ");
    }
    sim.assert_nothing_sent();
    assert!(sim.runs().is_empty());
    // One that is lost on the way: the run goes on, and its outputs are not lost.
    let out = sim.path("out").display().to_string();
    // A directory that is made again in between, for the next output, has to go too.
    let gate = format!("until rm -r '{out}'; touch '{out}'; test -f '{out}'; do :; done");
    let rollout = ["--waves", "1,100%", "--gate", &gate, "--out-dir", &out];
    let output = sim.run(&[&["exec", "-t", "all", "--yes"], &rollout[..], &["--", "uptime"]].concat());
    // How many were written before is a matter of time: nobody waits for who shows results.
    let output = output.exits(1).says("could not write the outputs of ").says(&format!("to `{out}`"));
    drop(output.says("herder runs show").says("--out-dir DIR"));
    let again = sim.path("again").display().to_string();
    drop(sim.run(&["runs", "show", "last", "--out-dir", &again]).exits(0));
    assert_eq!(std::fs::read_dir(&again).unwrap().count(), 12);
    let _ = sim.run(&["runs", "show", "last", "--out-dir", &file]).exits(2).says(&file);
}

#[test]
fn a_disk_that_is_full_is_no_usage_error() {
    let sim = Sim::start("2,windows=0,hybrid=0");
    let full = |arguments: &[&str]| sim.herder(arguments).by_shell("exec \"$@\" > /dev/full").run();
    drop(full(&["nodes", "list"]).exits(1).says("could not write to standard output"));
    drop(sim.run(&["exec", "-t", "web-1", "--", "uptime"]).exits(0));
    drop(full(&["runs", "show", "last"]).exits(1).says("could not show the run"));
}

#[test]
fn a_journal_of_a_newer_herder() {
    let sim = Sim::start("3,windows=0");
    let _ = sim.run(&["exec", "-t", "web-1", "--", "true"]).exits(0);
    let path = sim.the_run().join("run.json");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("\"format\": 1", "\"format\": 2, \"novelty\": {}")).unwrap();
    for verb in ["show", "resume"] {
        let output = sim.run(&["runs", verb, "last", "--json"]).exits(2).says("newer herder");
        assert_eq!(output.json()["error"]["kind"], "usage");
    }
    let _ = sim.run(&["exec", "-t", "@last", "--", "true"]).exits(2).silent().says("newer herder");
    // A list shows the others.
    let _ = sim.run(&["exec", "-t", "web-1", "--", "true"]).exits(0);
    let listed = sim.run(&["runs", "list", "--json"]).exits(0).says("newer herder");
    assert_eq!(listed.json().as_array().unwrap().len(), 1);
}

#[test]
fn a_damaged_journal_says_where() {
    let sim = Sim::start("3,windows=0");
    let _ = sim.run(&["exec", "-t", "web-1", "--", "true"]).exits(0);
    let path = sim.the_run().join("events.jsonl");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replacen("{\"v\"", "oops", 1)).unwrap();
    let _ = sim.run(&["runs", "show", "last"]).exits(2).says("events.jsonl").says("line 1");
}

#[test]
fn endpoints_that_can_not_be_ones() {
    let sim = Sim::start("3");
    for (url, says) in [("", "it is empty"), ("foo", "such as https://foo"), ("ftp://x", "`ftp` is not")] {
        let output = sim.herder(EXEC).env("AWS_ENDPOINT_URL", url).run();
        let _ = output.exits(2).silent().says("AWS_ENDPOINT_URL").says(says).says("hint: ");
    }
    let output = sim.herder(EXEC).env("AWS_ENDPOINT_URL_SSM", "").run();
    let _ = output.exits(2).silent().says("AWS_ENDPOINT_URL_SSM is not");
    assert!(sim.control.requests().is_empty());
}
