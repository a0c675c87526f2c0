//! A command's words: they arrive byte for byte, and what the service keeps is what was typed.

use serde_json::{Value, json};

use crate::harness::{Output, Sim};

/// What one node printed.
fn printed(output: &Output) -> String {
    let target = output.targets().into_values().next().unwrap();
    target["stdout"].as_str().unwrap().to_owned()
}

/// What Run Command's history says was run, newest first.
fn kept(sim: &Sim) -> Vec<Value> {
    sim.ask("ListCommands", &json!({}))["Commands"].as_array().unwrap().clone()
}

fn kept_text(sim: &Sim) -> String {
    kept(sim)[0]["Parameters"]["commands"].as_array().unwrap()[0].as_str().unwrap().to_owned()
}

fn on_one<'a>(rest: &[&'a str]) -> Vec<&'a str> {
    [&["exec", "-t", "web-1", "--json"][..], rest].concat()
}

#[test]
fn an_argv_arrives_byte_for_byte() {
    let sim = Sim::start("3,windows=0");
    let words = [
        "plain",
        "two words",
        "it's",
        "\"",
        "$HOME",
        "`id`",
        "a\nb",
        "*",
        "~",
        "#x",
        "A=B",
        "!",
        "\\",
        "é\u{1F600}",
        "-n",
        "a;b",
        "{a,b}",
        "\t",
        "",
        "%s",
        "--help",
        "{{x}}",
    ];
    let arguments = [&["exec", "-t", "web-1", "--json", "--", "printf", "<%s>"][..], &words].concat();
    let output = sim.run(&arguments).exits(0);
    let expected: String = words.iter().map(|word| format!("<{word}>")).collect();
    assert_eq!(printed(&output), expected);
}

#[test]
fn one_argument_is_a_line() {
    let sim = Sim::start("3,windows=0");
    let line = "for i in 1 2; do echo \"$i\"; done | wc -l && echo 'x  y'; exit 3";
    let output = sim.run(&on_one(&["--", line])).exits(1);
    assert_eq!(printed(&output), "2\nx  y\n");
    assert_eq!(kept_text(&sim), line);
    let _ = sim.run(&on_one(&["--", "systemctl", "is-active", "nginx"]));
    assert_eq!(kept_text(&sim), "systemctl is-active nginx");
}

#[test]
fn what_the_service_keeps_is_what_was_typed() {
    let sim = Sim::start("3,windows=0");
    let output =
        sim.run(&on_one(&["--timeout", "90s", "--delivery-timeout", "2m", "--cwd", "/srv", "--", "pwd"]));
    assert_eq!(printed(&output.exits(0)), "/srv\n");
    let command = kept(&sim).remove(0);
    assert_eq!(command["DocumentName"], "AWS-RunShellScript");
    assert_eq!(
        command["Parameters"],
        json!({"commands": ["pwd"], "executionTimeout": ["90"], "workingDirectory": ["/srv"]})
    );
    assert_eq!(command["TimeoutSeconds"], 120);
    let comment = command["Comment"].as_str().unwrap();
    let run = sim.the_run().file_name().unwrap().to_str().unwrap().to_owned();
    assert_eq!(comment, format!("herder {run} #1"));
}

#[test]
fn a_script_with_its_arguments() {
    let sim = Sim::start("3,windows=0");
    let script = sim.file("fix.sh", "#!/bin/bash\necho script\nexit 4\n");
    let output = sim.run(&on_one(&["--script", &script])).exits(1);
    assert_eq!(printed(&output), "script\n");
    assert_eq!(kept_text(&sim), "#!/bin/bash\necho script\nexit 4\n");
    let _ = sim.run(&on_one(&["--script", &script, "--", "--force", "a b"])).exits(1);
    assert_eq!(kept_text(&sim), "#!/bin/bash\nset -- --force 'a b'\necho script\nexit 4\n");
}

#[test]
fn standard_input_goes_along() {
    let sim = Sim::start("3,windows=0");
    for input in ["one\ntwo\n", "no end", "", "$HOME `id` \\\n'\n"] {
        let output = sim.herder(on_one(&["--stdin", "--", "cat"])).stdin(input).run().exits(0);
        assert_eq!(printed(&output), input);
    }
    let output = sim.herder(on_one(&["--stdin", "--", "wc", "-l"])).stdin("1\n2\n3\n").run().exits(0);
    assert_eq!(printed(&output).trim(), "3");
}

#[test]
fn targets_and_input_cannot_both_be_standard_input() {
    let sim = Sim::start("3");
    let output = sim.herder(["exec", "-t", "-", "--stdin", "--", "cat"]).stdin("web-1\n").run();
    let _ = output.exits(2).silent().says("--stdin").says("hint: ");
    assert!(sim.control.requests().is_empty());
}

/// Every byte below the test's directory, and what the process shows of itself.
fn is_found_below(directory: &std::path::Path, needle: &str) -> Option<std::path::PathBuf> {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if let Some(found) = is_found_below(&path, needle) {
                return Some(found);
            }
        } else if String::from_utf8_lossy(&std::fs::read(&path).unwrap()).contains(needle) {
            return Some(path);
        }
    }
    None
}

#[test]
fn values_of_variables_are_kept_nowhere() {
    const SECRET: &str = "s3cr3t-v4lue";
    let sim = Sim::start("3,windows=0,speed=1");
    let hold = sim.hold("SendCommand", 1, herder_sim::When::Before);
    let arguments =
        ["exec", "-t", "web-1", "--env", "TOKEN", "--jsonl", "--", "test \"$TOKEN\" = s3cr3t-\"v4lue\""];
    let running = sim.herder(arguments).env("TOKEN", SECRET).spawn();
    sim.wait_held(hold);
    let argv = std::fs::read(format!("/proc/{}/cmdline", running.pid())).unwrap();
    assert!(!String::from_utf8_lossy(&argv).contains(SECRET));
    sim.continue_held(hold);
    let _ = running.wait().exits(0).never_says(SECRET);
    assert!(kept_text(&sim).starts_with(&format!("export TOKEN={SECRET}\n")));
    assert_eq!(is_found_below(&sim.path("state"), SECRET), None);

    let file = sim.file("secrets.env", format!("# comment\nexport A='{SECRET}'\nB=x y\n"));
    let output =
        sim.run(&["exec", "-t", "web-1", "--env-file", &file, "--json", "--", "echo \"$B\""]).exits(0);
    assert_eq!(printed(&output), "x y\n");
    let _ = output.never_says(SECRET);
    assert_eq!(is_found_below(&sim.path("state"), SECRET), None);

    let arguments = ["exec", "-t", "web-1", "--env", &format!("A={SECRET}"), "--json", "--", "true"];
    let _ = sim.run(&arguments).exits(0).says("process list").never_says(SECRET);
    assert_eq!(is_found_below(&sim.path("state"), SECRET), None);
}

#[test]
fn parameters_of_a_document_are_kept_nowhere() {
    const SECRET: &str = "p4rameter-v4lue";
    let sim = Sim::start("3,windows=0");
    let parameter = format!("commands=echo {SECRET} | wc -c");
    let arguments = ["exec", "-t", "web-1", "--document", "AWS-RunShellScript", "-p", &parameter, "--json"];
    let output = sim.run(&arguments).exits(0);
    assert_eq!(printed(&output).trim(), "16");
    let _ = output.never_says(SECRET);
    assert_eq!(is_found_below(&sim.path("state"), SECRET), None);
}

#[test]
fn another_user() {
    let sim = Sim::start("3,windows=0");
    let output = sim.run(&on_one(&["--user", "deploy", "--", "whoami"])).exits(0);
    assert_eq!(printed(&output), "deploy\n");
    let sim = Sim::scenario(
        "[spec]\nnodes = 3\nwindows = 0\nspeed = 1000\n[[file]]\npath = \"/srv/my app/\"\nowner = \"deploy\"",
    );
    let output =
        sim.run(&on_one(&["--user", "deploy", "--cwd", "/srv/my app", "--", "pwd; whoami"])).exits(0);
    assert_eq!(printed(&output), "/srv/my app\ndeploy\n");
    let sim = Sim::start("4,windows=2");
    let arguments = ["exec", "-t", "all", "--yes", "--user", "deploy", "--", "whoami"];
    let _ = sim.run(&arguments).exits(2).silent().says("Windows").says("hint: ");
    sim.assert_nothing_sent();
}

#[test]
fn windows_gets_powershell() {
    let sim = Sim::start("6,windows=3");
    let arguments = ["exec", "-t", "all", "--yes", "--json", "--", "echo", "it's", "a b"];
    let output = sim.run(&arguments).exits(0);
    for target in output.targets().values() {
        let expected = if target["platform"] == "windows" { "it's a b\r\n" } else { "it's a b\n" };
        assert_eq!(target["stdout"], expected);
    }
    let documents: Vec<Value> = kept(&sim).into_iter().map(|mut c| c["DocumentName"].take()).collect();
    assert!(
        documents.contains(&json!("AWS-RunPowerShellScript"))
            && documents.contains(&json!("AWS-RunShellScript"))
    );
}

#[test]
fn a_resume_needs_the_same_values() {
    let sim = Sim::start("nodes=3,windows=0");
    let hold = sim.hold("SendCommand", 1, herder_sim::When::Before);
    let arguments = ["exec", "-t", "all", "--yes", "--env", "TOKEN", "--json", "--", "test -n \"$TOKEN\""];
    let running = sim.herder(arguments).env("TOKEN", "first").spawn();
    sim.wait_held(hold);
    running.kill();
    sim.drop_held(hold);
    let resume = ["runs", "resume", "last", "--resend-ambiguous", "--json"];
    let _ = sim.run(&resume).exits(2).says("TOKEN").says("hint: ");
    let output = sim.herder(resume).env("TOKEN", "second").run().exits(2).never_says("second");
    assert_eq!(output.json()["error"]["changed"], false);
    assert!(sim.control.truth().executions.is_empty());
    let output = sim.herder(resume).env("TOKEN", "first").run().exits(0);
    assert!(output.verdicts().values().all(|v| v == "ok"));
    sim.assert_at_most_once();
}

#[test]
fn words_in_the_wrong_place_are_told_theirs() {
    let sim = Sim::start("3,windows=0");
    let bare = sim.run(&["exec", "-t", "web-1", "uptime"]).exits(2);
    let _ = bare.says("hint: What is to run on the nodes stands behind `--`: -- uptime");
    let apart = sim.run(&["exec", "--sim", "20", "-t", "all", "--", "uptime"]).exits(2);
    let _ = apart.says("hint: Write --sim=20");
    let document = sim.run(&["exec", "-t", "web-1", "uptime", "--json"]).exits(2).json();
    assert!(document["error"]["hints"][0].as_str().unwrap().contains("-- uptime"), "{document}");
    sim.assert_nothing_sent();
}
