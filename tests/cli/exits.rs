//! Every exit code that applies, in plain, `--json` and `--jsonl`; stdout parses in each case.

use herder_sim::When;
use serde_json::Value;

use crate::harness::{Output, Sim, json_lines, together};

const FORMATS: [&str; 3] = ["plain", "--json", "--jsonl"];

/// Runs a case in each format, each in a simulation of its own.
fn in_each_format(spec: &str, code: i32, case: impl Fn(&Sim, &[&str]) -> Output + Sync) {
    together(FORMATS, |format| {
        let sim = Sim::start(spec);
        let flags: &[&str] = if format == "plain" { &[] } else { &[format] };
        let output = case(&sim, flags).exits(code);
        match format {
            "--json" => {
                let document = output.json();
                let is_run = document["targets"].is_array() && document["tally"].is_object();
                let is_error =
                    document["error"]["kind"].is_string() && document["error"]["changed"].is_boolean();
                assert!(is_run != is_error, "{document}");
                if is_run {
                    assert_eq!(document["run"]["exit"], code, "{document}");
                }
            }
            "--jsonl" => {
                let lines = json_lines(&output.stdout);
                let last = lines.last().unwrap();
                let is_run = last["type"] == "run_finished" && last["exit"] == code;
                assert!(is_run || (lines.len() == 1 && last["error"]["kind"].is_string()), "{lines:#?}");
            }
            _ => {
                let nodes: Vec<String> = sim.ids(None);
                for line in output.text().lines() {
                    assert!(
                        nodes.iter().any(|id| line.starts_with(&format!("{id}\t"))),
                        "prose on stdout: {line}"
                    );
                }
            }
        }
    });
}

fn exec<'a>(flags: &[&'a str], rest: &[&'a str]) -> Vec<&'a str> {
    [&["exec"][..], flags, rest].concat()
}

#[test]
fn exit_0_everything_happened() {
    in_each_format("3,windows=0", 0, |sim, flags| sim.run(&exec(flags, &["-t", "web-1", "--", "uptime"])));
}

#[test]
fn exit_1_something_failed() {
    in_each_format("3,windows=0", 1, |sim, flags| sim.run(&exec(flags, &["-t", "web-1", "--", "exit 9"])));
}

#[test]
fn exit_2_usage() {
    let nothing = |sim: &Sim, output: Output| {
        assert!(sim.control.requests().is_empty(), "called AWS");
        assert!(!output.stderr.is_empty());
        output
    };
    in_each_format("3", 2, |sim, flags| {
        nothing(sim, sim.run(&exec(flags, &["-t", "web-1", "--no-such-flag", "--", "uptime"])))
    });
    in_each_format("3", 2, |sim, flags| nothing(sim, sim.run(&exec(flags, &["--", "uptime"]))));
    in_each_format("3", 2, |sim, flags| nothing(sim, sim.run(&exec(flags, &["-t", "web-1", "--", "  "]))));
    in_each_format("3", 2, |sim, flags| {
        nothing(sim, sim.run(&exec(flags, &["-t", "web-1", "--timeout", "1s", "--", "uptime"])))
    });
}

#[test]
fn exit_3_nothing_matched() {
    let case = |sim: &Sim, arguments: &[&str]| {
        let output = sim.run(arguments);
        sim.assert_nothing_sent();
        output
    };
    in_each_format("3", 3, |sim, flags| case(sim, &exec(flags, &["-t", "nobody-*", "--", "uptime"])));
    in_each_format("3", 3, |sim, flags| {
        case(sim, &exec(flags, &["-t", "i-0123456789abcdef0", "--", "uptime"]))
    });
    in_each_format("3", 3, |sim, flags| {
        case(sim, &[&["runs", "show", "20200101-000000-abcdef"][..], flags].concat())
    });
    in_each_format("3", 3, |sim, flags| case(sim, &[&["runs", "resume", "last"][..], flags].concat()));
    in_each_format("3", 3, |sim, flags| case(sim, &exec(flags, &["-t", "@last", "--", "uptime"])));
}

#[test]
fn exit_4_denied() {
    in_each_format("3", 4, |sim, flags| {
        sim.deny(&["SendCommand"]);
        sim.run(&exec(flags, &["-t", "web-1", "--", "uptime"])).says("ssm:SendCommand")
    });
    in_each_format("3", 4, |sim, flags| {
        let herder = sim.herder(exec(flags, &["-t", "web-1", "--", "uptime"]));
        herder.without("AWS_ACCESS_KEY_ID").without("AWS_SECRET_ACCESS_KEY").run()
    });
}

#[test]
fn exit_5_unknown() {
    in_each_format("3,windows=0", 5, |sim, flags| {
        let hold = sim.hold("SendCommand", 1, When::Before);
        let running = sim.herder(exec(flags, &["-t", "web-1", "--", "uptime"])).spawn();
        sim.wait_held(hold);
        sim.drop_held(hold);
        running.wait()
    });
}

#[test]
fn exit_6_stopped_by_the_budget() {
    in_each_format("8,windows=0", 6, |sim, flags| {
        let arguments = exec(flags, &["-t", "all", "--yes", "-c", "1", "--max-errors", "1", "--", "false"]);
        let output = sim.run(&arguments);
        let ran = sim.control.truth().runs_by_node("herder ").len();
        assert_eq!(ran, 2, "{output:?}");
        output
    });
}

#[test]
fn exit_8_refused() {
    in_each_format("3", 8, |sim, flags| {
        let output = sim.run(&exec(flags, &["-t", "all", "--", "uptime"])).says("--yes");
        sim.assert_nothing_sent();
        assert!(sim.runs().is_empty(), "a run was made");
        output
    });
}

#[test]
fn exit_130_interrupted() {
    in_each_format("3,windows=0,speed=1", 130, |sim, flags| {
        let arguments = exec(flags, &["-t", "all", "--yes", "--", "sleep 600"]);
        let running = sim.herder(arguments).spawn();
        sim.wait_until("sent", || sim.mutating().iter().any(|r| r.took_effect));
        running.signal("TERM");
        running.wait()
    });
}

#[test]
fn exit_remote_is_the_commands_own() {
    for code in [0, 1, 42, 255] {
        let sim = Sim::start("2,windows=0");
        let line = format!("exit {code}");
        sim.run(&["exec", "-t", "web-1", "--exit", "remote", "--json", "--", &line]).exits(code).json();
    }
    let sim = Sim::start("4,windows=0");
    // More than one target: there is no such thing as its code, so nothing is sent.
    let refused =
        sim.run(&["exec", "-t", "all", "--yes", "--max-errors", "4", "--exit", "remote", "--", "exit 42"]);
    assert!(refused.exits(2).says("--exit remote is for one target").text().is_empty());
    assert!(sim.calls("SendCommand").is_empty());
}

#[test]
fn a_list_is_an_array_and_a_failed_list_an_error() {
    let sim = Sim::start("3");
    assert_eq!(sim.run(&["nodes", "list", "--json"]).exits(0).json().as_array().unwrap().len(), 3);
    let none = sim.run(&["nodes", "list", "--json", "-t", "nobody"]).exits(3);
    none.json();
    assert_eq!(sim.run(&["runs", "list", "--json"]).exits(0).json(), Value::Array(Vec::new()));
    let failed = sim.run(&["nodes", "list", "--json", "--columns", "nonsense"]).exits(2);
    assert_eq!(failed.json()["error"]["kind"], "usage");
    sim.deny(&["DescribeInstances", "DescribeInstanceProperties", "DescribeInstanceInformation"]);
    let denied = sim.run(&["nodes", "list", "--json"]).exits(4);
    assert_eq!(denied.json()["error"]["kind"], "denied");
}

#[test]
fn a_run_that_an_error_ended_tells_it_in_its_results() {
    let sim = Sim::start("3");
    sim.deny(&["SendCommand"]);
    let command = ["-t", "web-1", "--", "uptime"];
    let document = sim.run(&exec(&["--json"], &command)).exits(4).json();
    let error = &document["run"]["error"];
    assert_eq!((&error["kind"], &error["changed"]), (&"denied".into(), &false.into()), "{document}");
    assert!(error["hints"].to_string().contains("ssm:SendCommand"), "{error}");
    let events = sim.run(&exec(&["--jsonl"], &command)).exits(4).events();
    assert_eq!(events.last().unwrap()["error"]["message"], error["message"]);
    sim.deny(&[]);
    let fine = sim.run(&exec(&["--json"], &command)).exits(0).json();
    assert!(fine["run"]["error"].is_null());
}
