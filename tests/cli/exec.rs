//! The main job: a command on nodes, in every format, with verdicts that are the simulation's truth.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::harness::Sim;

/// One node for each way in which a command can end.
const MIXED: &str = r#"
[spec]
nodes = 20
speed = 1000
windows = 0
hybrid = 0

[[node]]
nodes = "web-2"
offline = true

[[node]]
nodes = "api-1"
unreachable = true

[[node]]
nodes = "db-1"
undeliverable = true

[[node]]
nodes = "worker-1"
denied = true

[[node]]
nodes = "worker-2"
dying = true

[[node]]
nodes = "worker-3"
broken = true

[[answer]]
nodes = "web-3"
stdout = "{name} out\n"
stderr = "{name} err\n"
exit = 7

[[answer]]
nodes = "web-4"
exit = 137

[[answer]]
nodes = "web-5"
exit = 168

[[answer]]
nodes = "web-7"
exit = 255
"#;

#[test]
fn one_node_says_what_it_says() {
    let sim = Sim::start("3,windows=0");
    let id = sim.id("web-1");
    let output = sim.run(&["exec", "-t", "web-1", "--", "echo one; echo two"]).exits(0);
    assert_eq!(output.text(), format!("{id}\tone\n{id}\ttwo\n"));
    insta::assert_snapshot!(output.whole().replace(&id, "ID"), @r"
    exit 0
    --- stdout
    ID	one
    ID	two
    --- stderr
    run RUN: 1 node: echo one; echo two (SIMULATED)
    run RUN took TIME: 1 ok (SIMULATED)
      run times: p50 TIME, p95 TIME
      6 calls, 0 throttled
    hint: See it again with `herder runs show RUN`.
    ");
    let calls: Vec<String> = sim.control.requests().into_iter().map(|r| r.api).collect();
    let count = |api: &str| calls.iter().filter(|call| *call == api).count();
    assert_eq!(
        (count("SendCommand"), count("CancelCommand"), count("GetCommandInvocation")),
        (1, 0, 0),
        "{calls:?}"
    );
    assert!(calls.len() <= 8, "{calls:?}");
}

#[test]
fn every_way_to_end_is_told_as_it_was() {
    let sim = Sim::scenario(MIXED);
    let arguments =
        ["exec", "-t", "all", "--yes", "--timeout", "10s", "--max-errors", "100%", "--json", "--", "uptime"];
    let output = sim.run(&arguments).exits(1);
    let targets = output.targets();
    let told = |name: &str| {
        let target = &targets[&sim.id(name)];
        (target["verdict"].clone(), target["reason"].clone(), target["exit_code"].clone())
    };
    let expected = [
        ("web-1", json!("ok"), Value::Null, json!(0)),
        ("web-2", json!("undelivered"), json!("offline"), Value::Null),
        ("web-3", json!("failed"), json!("exit_7"), json!(7)),
        ("web-4", json!("failed"), json!("killed"), json!(137)),
        ("web-5", json!("ok"), json!("exit_168_skips_rest"), json!(168)),
        ("web-7", json!("failed"), json!("exit_255"), json!(255)),
        ("api-1", json!("undelivered"), json!("expired"), Value::Null),
        ("db-1", json!("undelivered"), json!("undeliverable"), Value::Null),
        ("worker-1", json!("denied"), json!("access_denied"), Value::Null),
        ("worker-2", json!("undelivered"), json!("expired"), Value::Null),
        ("worker-3", json!("failed"), json!("exit_1"), json!(1)),
    ];
    for (name, verdict, reason, code) in expected {
        assert_eq!(told(name), (verdict, reason, code), "{name}");
    }
    let tally: BTreeMap<String, u64> = [("ok", 11), ("failed", 4), ("undelivered", 4), ("denied", 1)]
        .map(|(verdict, count)| (verdict.to_owned(), count))
        .into();
    assert_eq!(output.tally(), tally);
    sim.assert_true(&output.verdicts());
    sim.assert_at_most_once();
    let offline = sim.id("web-2");
    assert!(
        sim.control.truth().executions.iter().all(|e| e.instance_id != offline),
        "sent to an offline node"
    );
    let failed = &targets[&sim.id("web-3")];
    assert_eq!(failed["stdout"], "web-3 out\n");
    assert!(failed["stderr"].as_str().unwrap().starts_with("web-3 err\n"), "{failed}");
    assert_eq!(failed["streams"], "split_by_marker");
}

#[test]
fn too_long_is_timed_out() {
    let sim = Sim::start("4,windows=1,speed=1");
    let output =
        sim.run(&["exec", "-t", "all", "--yes", "--timeout", "5s", "--json", "--", "sleep 60"]).exits(1);
    assert_eq!(output.tally(), BTreeMap::from([("timed_out".to_owned(), 4)]));
    sim.assert_true(&output.verdicts());
}

#[test]
fn the_shipped_scenarios_end_in_the_truth() {
    for file in ["mixed.toml", "game-day.toml"] {
        let text =
            std::fs::read_to_string(format!("{}/sim/scenarios/{file}", env!("CARGO_MANIFEST_DIR"))).unwrap();
        let sim = Sim::scenario(&text.replace("[spec]", "[spec]\nspeed = 1000"));
        let arguments = [
            "exec",
            "-t",
            "all",
            "--yes",
            "--timeout",
            "60s",
            "--max-errors",
            "100%",
            "-c",
            "300",
            "--json",
            "--",
            "nginx -t",
        ];
        let output = sim.run(&arguments);
        assert!(matches!(output.code, Some(1 | 5)), "{output:?}");
        sim.assert_true(&output.verdicts());
        sim.assert_at_most_once();
        let managed = sim.control.nodes().iter().filter(|n| n.managed && n.state == "running").count();
        assert_eq!(output.verdicts().len(), managed, "{file}");
    }
}

#[test]
fn jsonl_is_every_event_in_order() {
    let sim = Sim::start("60,offline=3");
    let output =
        sim.run(&["exec", "-t", "all", "--yes", "--max-errors", "100%", "--jsonl", "--", "uptime"]).exits(1);
    let events = output.events();
    let first = events.first().unwrap();
    let last = events.last().unwrap();
    assert_eq!(
        (&first["type"], &first["sim"], &first["targets"]),
        (&json!("run_started"), &json!(true), &json!(60))
    );
    assert_eq!((&last["type"], &last["exit"]), (&json!("run_finished"), &json!(1)));
    for (n, event) in events.iter().enumerate() {
        assert_eq!((&event["v"], &event["seq"], &event["run"]), (&json!(1), &json!(n), &first["run"]));
        assert!(event["at"].as_str().unwrap().ends_with('Z'));
    }
    let of = |kind: &str| events.iter().filter(|e| e["type"] == kind).count();
    assert_eq!(
        (of("run_started"), of("run_finished"), of("target_sent"), of("target_finished")),
        (1, 1, 57, 60)
    );
    assert_eq!(output.verdicts().len(), 60);
    sim.assert_true(&output.verdicts());
    for target in output.targets().values() {
        for field in [
            "target",
            "name",
            "account",
            "region",
            "az",
            "platform",
            "verdict",
            "reason",
            "exit_code",
            "stdout",
            "stderr",
            "streams",
            "truncated",
            "started",
            "finished",
            "duration_ms",
            "command_id",
            "wave",
            "attempt",
        ] {
            assert!(target.get(field).is_some(), "{field} is missing: {target}");
        }
        assert!(target.get("stored").is_none(), "{target}");
    }
    let calls = last["calls"].as_u64().unwrap();
    let accepted: u64 = sim.control.stats().values().map(|api| api.accepted).sum();
    assert_eq!(calls, accepted);
}

#[test]
fn the_journal_is_the_stream_without_the_bodies() {
    let sim = Sim::start("5,windows=0");
    let output = sim.run(&["exec", "-t", "all", "--yes", "--jsonl", "--", "uptime"]).exits(0);
    let mut shown = output.events();
    let mut kept = sim.run_lines("events.jsonl");
    for event in shown.iter_mut().chain(&mut kept) {
        let event = event.as_object_mut().unwrap();
        event.remove("stored");
        if event.contains_key("stdout") {
            event.insert("stdout".into(), Value::Null);
            event.insert("stderr".into(), Value::Null);
        }
    }
    assert_eq!(shown, kept);
    let mode = |name: &str| {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::metadata(sim.the_run().join(name)).unwrap().permissions().mode() & 0o777
    };
    assert_eq!(
        (mode("."), mode("output"), mode("events.jsonl"), mode("journal.jsonl")),
        (0o700, 0o700, 0o600, 0o600)
    );
}

#[test]
fn json_is_one_document() {
    let sim = Sim::start("5,windows=0");
    let output =
        sim.run(&["exec", "-t", "all", "--yes", "--reason", "a test", "--json", "--", "hostname"]).exits(0);
    let document = output.json();
    let run = &document["run"];
    assert_eq!(
        (&run["title"], &run["reason"], &run["sim"]),
        (&json!("hostname"), &json!("a test"), &json!(true))
    );
    assert_eq!((&run["targets"], &run["exit"]), (&json!(5), &json!(0)));
    assert_eq!(document["tally"], json!({"ok": 5}));
    for (id, target) in output.targets() {
        assert_eq!(target["target"], json!(id));
        assert!(!target["stdout"].as_str().unwrap().is_empty());
    }
}

#[test]
fn csv_table_and_quiet() {
    let sim = Sim::start("4,windows=0");
    let id = sim.id("web-1");
    let csv = sim.run(&["exec", "-t", "web-1", "-o", "csv", "--", "printf 'a,\"b\"\\nc'"]).exits(0).text();
    let (header, rest) = csv.split_once("\r\n").unwrap();
    let column = |name: &str| header.split(',').position(|c| c == name).unwrap();
    assert!(rest.contains("\"a,\"\"b\"\"\nc\""), "{csv}");
    assert_eq!(rest.split(',').nth(column("target")), Some(id.as_str()));
    assert_eq!(rest.split(',').nth(column("verdict")), Some("ok"));
    let table = sim.run(&["exec", "-t", "web-1", "-o", "table", "--", "uptime"]).exits(0).text();
    assert!(table.contains("web-1") && table.contains("ok"), "{table}");
    let _ = sim.run(&["exec", "-t", "web-*", "-o", "quiet", "--", "uptime"]).exits(0).silent();
    let quiet = sim.run(&["exec", "-t", "web-1", "-o", "quiet", "--", "false"]).exits(1);
    assert_eq!(quiet.text(), format!("{id}\n"));
}

#[test]
fn out_dir_has_every_stream_in_a_file() {
    let sim = Sim::start("3,windows=0");
    let directory = sim.path("results");
    let line = "printf 'no end'; printf 'a\\tb\\r\\n\\033[31m' >&2; exit 3";
    let arguments = [
        "exec",
        "-t",
        "all",
        "--yes",
        "--max-errors",
        "3",
        "--out-dir",
        directory.to_str().unwrap(),
        "--",
        line,
    ];
    sim.run(&arguments).exits(1).text();
    for id in sim.ids(None) {
        let read = |extension: &str| std::fs::read(directory.join(format!("{id}.{extension}"))).unwrap();
        assert_eq!(read("stdout"), b"no end");
        assert!(
            read("stderr").starts_with(b"a\tb\r\n\x1b[31m"),
            "{:?}",
            String::from_utf8_lossy(&read("stderr"))
        );
        let result: Value = serde_json::from_slice(&read("json")).unwrap();
        assert_eq!((&result["verdict"], &result["exit_code"]), (&json!("failed"), &json!(3)));
    }
}

#[test]
fn long_output_comes_whole_up_to_what_the_service_keeps() {
    let sim = Sim::start("3,windows=0,bytes=20000");
    let output = sim.run(&["exec", "-t", "all", "--yes", "--json", "--", "report"]).exits(0);
    for target in output.targets().values() {
        assert_eq!(target["stdout"].as_str().unwrap().len(), 20_000);
        assert_eq!((&target["truncated"], &target["streams"]), (&json!(false), &json!("exact")));
    }
    assert_eq!(sim.calls("GetCommandInvocation").len(), 3);
    let sim = Sim::start("1,windows=0,bytes=50000");
    let output = sim.run(&["exec", "-t", "all", "--yes", "--json", "--", "report"]).exits(0);
    let target = output.targets().into_values().next().unwrap();
    assert_eq!(target["truncated"], json!(true));
    assert!((23_900..=24_000).contains(&target["stdout"].as_str().unwrap().len()));
}

#[test]
fn many_nodes_take_few_calls() {
    let sim = Sim::start("1000,rate=off,windows=0");
    let output = sim.run(&["exec", "-t", "all", "--yes", "-c", "1000", "--json", "--", "true"]).exits(0);
    assert_eq!(output.tally(), BTreeMap::from([("ok".to_owned(), 1000)]));
    assert_eq!(sim.calls("SendCommand").len(), 20);
    assert!(sim.control.requests().len() < 90, "{:#?}", sim.control.stats());
    sim.assert_at_most_once();
}

#[test]
fn concurrency_is_never_exceeded() {
    let sim = Sim::start("60,windows=0,speed=20,duration=4s");
    sim.run(&["exec", "-t", "all", "--yes", "-c", "7", "--json", "--", "true"]).exits(0).tally();
    let truth = sim.control.truth();
    let mut moments: Vec<(i64, i32)> = Vec::new();
    for execution in &truth.executions {
        moments.push((execution.started_at_us.unwrap(), 1));
        moments.push((execution.finished_at_us.unwrap(), -1));
    }
    moments.sort_unstable();
    let (mut now, mut most) = (0, 0);
    for (_, change) in moments {
        now += change;
        most = most.max(now);
    }
    assert!(most <= 7, "{most} at once");
    assert_eq!(truth.executions.len(), 60);
}

#[test]
fn jsonl_is_at_most_ten_seconds_behind() {
    let scenario = "[spec]\nnodes = 100\nwindows = 0\n[[node]]\nnodes = \"*-1\"\nslow = true\n[[answer]]\nduration = \"2s\"\n";
    let sim = Sim::scenario(scenario);
    let output = sim.run(&["exec", "-t", "all", "--yes", "-c", "100", "--jsonl", "--", "report"]).exits(0);
    let seconds = |time: &Value| {
        let time: jiff::Timestamp = time.as_str().unwrap().parse().unwrap();
        time.as_millisecond() as f64 / 1e3
    };
    let mut slowest = 0.0_f64;
    for target in output.targets().values() {
        let behind = seconds(&target["at"]) - seconds(&target["finished"]);
        assert!(behind < 10.0, "{behind} s: {target}");
        slowest = slowest.max(target["duration_ms"].as_f64().unwrap());
    }
    assert!(slowest > 15_000.0, "nobody was waited for");
    assert!(sim.control.requests().len() < 60, "{:#?}", sim.control.stats());
}

#[test]
fn a_mixed_fleet_is_one_run() {
    let sim = Sim::start("20,windows=8");
    let output = sim.run(&["exec", "-t", "all", "--yes", "--json", "--", "hostname"]).exits(0);
    assert_eq!(output.tally(), BTreeMap::from([("ok".to_owned(), 20)]));
    assert_eq!(sim.calls("SendCommand").len(), 2);
    sim.assert_true(&output.verdicts());
    let platforms: Vec<String> =
        output.targets().values().map(|t| t["platform"].as_str().unwrap().to_owned()).collect();
    assert_eq!(platforms.iter().filter(|p| *p == "windows").count(), 8);
}

#[test]
fn a_document_that_a_platform_cannot_run_is_denied_there() {
    let sim = Sim::start("10,windows=3");
    let arguments = [
        "exec",
        "-t",
        "all",
        "--yes",
        "--max-errors",
        "100%",
        "--json",
        "--document",
        "AWS-RunShellScript",
        "-p",
        "commands=uptime",
    ];
    let output = sim.run(&arguments).exits(1);
    let targets = output.targets();
    for id in sim.ids(Some("Windows")) {
        assert_eq!(
            (&targets[&id]["verdict"], &targets[&id]["reason"]),
            (&json!("denied"), &json!("invalid_platform"))
        );
    }
    for id in sim.ids(Some("Linux")) {
        assert_eq!(targets[&id]["verdict"], "ok");
    }
}
