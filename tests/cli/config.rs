//! `herder config`, and the configuration file: what holds, where it comes from, and mistakes in it.

use serde_json::{Value, json};

use crate::harness::Sim;

fn write(sim: &Sim, text: &str) {
    std::fs::create_dir_all(sim.path("config/herder")).unwrap();
    std::fs::write(sim.path("config/herder/config.toml"), text).unwrap();
}

fn row(rows: &Value, setting: &str) -> Value {
    let rows = rows.as_array().unwrap();
    rows.iter().find(|row| row["setting"] == setting).unwrap_or_else(|| panic!("{setting}: {rows:?}")).clone()
}

#[test]
fn show_says_where_each_value_comes_from() {
    let sim = Sim::start("nodes=1");
    write(
        &sim,
        "# mine\nregion = 'eu-west-1'\nprofile = 'file'\nutc = true\n[aliases]\nweb = 'tag:role=web'\n[defaults.exec]\nconcurrency = '10%'\n",
    );
    let arguments = ["config", "show", "--account", "111122223333", "--json"];
    let output = sim.herder(arguments).env("HERDER_PROFILE", "variable").run().exits(0);
    let rows = output.json();
    let file = sim.path("config/herder/config.toml").to_str().unwrap().to_owned();
    let expect = |setting: &str, value: Value, source: &str, from: &str| {
        let row = row(&rows, setting);
        assert_eq!(
            (&row["value"], &row["source"], &row["from"]),
            (&value, &json!(source), &json!(from)),
            "{row}"
        );
    };
    expect("profile", json!("variable"), "environment", "HERDER_PROFILE");
    expect("region", json!("eu-west-1"), "file", &format!("{file}:2"));
    expect("account", json!("111122223333"), "flag", "--account");
    expect("assume-role", Value::Null, "unset", "not set: none");
    expect("utc", json!("true"), "file", &format!("{file}:4"));
    expect("yes", json!("false"), "default", "built in");
    expect("aliases.web", json!("tag:role=web"), "file", &format!("{file}:6"));
    expect("defaults.exec.concurrency", json!("10%"), "file", &format!("{file}:8"));
    assert_eq!(row(&rows, "state-dir")["value"], json!(sim.path("state/herder").to_str().unwrap()));
    assert_eq!(row(&rows, "region")["line"], 2);

    // Without herder's own settings the aws CLI's variables hold.
    write(&sim, "");
    let rows = sim.run(&["config", "show", "--all", "--json"]).exits(0).json();
    assert_eq!(row(&rows, "region")["from"], "AWS_REGION");
    assert_eq!(row(&rows, "defaults.exec.concurrency")["value"], "50");
    assert_eq!(row(&rows, "defaults.exec.waves")["source"], "unset");
    assert!(rows.as_array().unwrap().iter().all(|row| row["setting"] != "defaults.exec.yes"));
    sim.assert_nothing_sent();
    assert!(sim.control.requests().is_empty());
}

#[test]
fn init_writes_a_file_once_and_it_is_valid() {
    let sim = Sim::start("nodes=1");
    let path = sim.path("config/herder/config.toml");
    let output = sim.run(&["config", "init"]).exits(0);
    assert_eq!(output.text().trim_end(), path.to_str().unwrap());
    let written = std::fs::read_to_string(&path).unwrap();
    let _ = sim.run(&["config", "show"]).exits(0);
    let _ = sim.run(&["config", "init"]).exits(8).silent().says("exists").says("--force");
    // What is wrong can be replaced, and is kept.
    write(&sim, "regoin = 'x'\n");
    let _ = sim.run(&["config", "show"]).exits(2);
    let _ = sim.run(&["config", "init"]).exits(8);
    let _ = sim.run(&["config", "init", "--force"]).exits(0);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), written);
    assert_eq!(std::fs::read_to_string(path.with_extension("toml.old")).unwrap(), "regoin = 'x'\n");
}

#[test]
fn mistakes_name_their_line_and_what_was_meant() {
    let sim = Sim::start("nodes=1");
    for (text, message, hint) in [
        ("\nregoin = 'x'\n", "config.toml:2: unknown key `regoin`", "hint: Did you mean `region`?"),
        ("yes = true\n", "config.toml:1: `yes` can't be set in a file", "hint: It answers questions"),
        (
            "[defaults.exec]\nyes = true\n",
            "config.toml:2: `yes` can't have a default",
            "hint: Say it each time",
        ),
        ("[defaults.exec]\ntarget = 'all'\n", "config.toml:2: `target` can't have a default", "hint: "),
        (
            "[defaults.exec]\n\nmax-errrs = 1\n",
            "config.toml:3: `herder exec` has no flag `max-errrs`",
            "`max-errors`",
        ),
        ("[defaults.exe]\nvia = 'auto'\n", "config.toml:2: there is no command `exe`", "`exec`"),
        ("[defaults.exec]\nvia = 'bus'\n", "config.toml:2: invalid value 'bus' for '--via <WHO>'", "hint: "),
        ("region = \n", "config.toml:1: ", ""),
    ] {
        write(&sim, text);
        let _ = sim.run(&["exec", "-t", "web-1", "--", "true"]).exits(2).silent().says(message).says(hint);
        // Help works whatever is in the file, and so does what a shell evaluates as it starts.
        let _ = sim.run(&["exec", "--help"]).exits(0);
        let _ = sim.run(&["completions", "bash"]).exits(0);
    }
    write(&sim, "regoin = 'x'\n");
    let output = sim.run(&["nodes", "list", "--json"]).exits(2);
    assert_eq!(output.json()["error"]["kind"], "usage");
    assert!(sim.control.requests().is_empty());
}

#[test]
fn defaults_hold_where_no_flag_is_given() {
    let sim = Sim::start("nodes=20,windows=0");
    write(&sim, "[defaults.exec]\nwaves = [1, '100%']\nsoak = '1s'\noutput = 'json'\nconcurrency = 5\n");
    let plan = |arguments: &[&str]| {
        let base = ["exec", "-t", "all", "--yes", "--dry-run"];
        sim.herder(base.into_iter().chain(arguments.iter().copied()).chain(["--", "true"])).run().exits(0)
    };
    let output = plan(&[]);
    let file = sim.path("config/herder/config.toml").to_str().unwrap().to_owned();
    assert_eq!(output.json()["targets"].as_array().unwrap().len(), 20, "json is the default here");
    let output = output
        .says("waves: 1, then 19 targets, 1.0s between them")
        .says("5 at once")
        .says(&format!("--concurrency 5 is a default of {file}:5"))
        .says(&format!("--waves 1,100% is a default of {file}:2"));
    drop(output);
    // Flags win, one by one.
    let output = plan(&["-c", "7", "-o", "csv"])
        .says("7 at once")
        .says("waves: 1, then 19")
        .never_says("--concurrency 5");
    assert!(output.text().starts_with("target,"), "{output:?}");
    let lines = plan(&["--jsonl"]);
    assert_eq!(lines.events().len(), 20);
    // All of it can be switched off, by a flag or a variable.
    let _ = plan(&["--no-defaults"]).says("50 at once").never_says("is a default of").never_says("waves:");
    let base = ["exec", "-t", "all", "--yes", "--dry-run", "--", "true"];
    let _ = sim.herder(base).env("HERDER_NO_DEFAULTS", "1").run().exits(0).says("50 at once");
    // An error is shown in the format that is the default.
    let failed = sim.run(&["exec", "-t", "nobody", "--", "true"]).exits(3);
    assert_eq!(failed.json()["error"]["kind"], "not_found");
    // Another command is not touched.
    let list = sim.run(&["nodes", "list"]).exits(0);
    assert_eq!(list.text().lines().count(), 20);
    sim.assert_nothing_sent();
}

#[test]
fn an_alias_stands_wherever_a_condition_does() {
    let sim = Sim::start("nodes=12,windows=0,hybrid=0");
    write(&sim, "[aliases]\nweb = 'tag:role=web'\nlive = 'web and ping:online'\nloop = 'loop'\n");
    let ids = |arguments: &[&str]| -> Vec<String> {
        let text = sim.run(&[&["nodes", "list", "-o", "quiet"], arguments].concat()).exits(0).text();
        text.lines().map(str::to_owned).collect()
    };
    let web = ids(&["-t", "tag:role=web"]);
    assert!(!web.is_empty() && web.len() < 12);
    assert_eq!(ids(&["-t", "web"]), web);
    assert_eq!(ids(&["-t", "live"]), web);
    assert_eq!(ids(&["-t", "not web"]), ids(&["-t", "not tag:role=web"]));
    assert_eq!(ids(&["-t", "all", "--exclude", "web and ping:online"]), ids(&["-t", "not web"]));
    let refused = |target: &str| sim.run(&["nodes", "list", "-t", target]).exits(2);
    drop(refused("loop and web").says("the alias `loop` means itself"));
    drop(refused("web,db-1").says("the alias `web` stands in a list of names").says("Repeat -t for a union"));
    write(&sim, "[aliases]\n'tag:x' = 'web-1'\n");
    drop(refused("web-1").says("`tag:x` can't be the name of an alias"));
}
