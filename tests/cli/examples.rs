//! Every example of every help text, every topic and the README is run as it stands, by a shell, on the simulated shop.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Mutex;

use tempfile::TempDir;

use crate::harness::{Sim, together};

/// Ids that examples use, in place of which the fleet's and the journal's own stand.
const RUN: &str = "20261121-093000-1f2e3d";
const NODE: &str = "i-0123456789abcdef0";

/// How an example that doesn't simply exit 0 or 1 runs.
enum Runs {
    /// With this code, and why.
    Exits(i32, &'static str),
    /// Until it is interrupted; it says this first, on either stream.
    UntilInterrupted(&'static str),
    /// Not here, and why.
    Not(&'static str),
}

/// By what the example contains; the first that fits counts.
const EXPECTED: &[(&str, Runs)] = &[
    ("ssh -o ProxyCommand", Runs::Not("needs an ssh server on the node")),
    ("port=$(herder session forward", Runs::Not("goes on until it is interrupted, in a substitution")),
    ("-L 0.0.0.0:8080:80", Runs::UntilInterrupted("0.0.0.0")),
    ("unix:/tmp/db.sock", Runs::Not("leaves a socket outside of the test's directory")),
    ("herder session forward", Runs::UntilInterrupted("127.0.0.1")),
    ("herder session stop ada-", Runs::Exits(3, "there is no such session")),
    ("az:us-east-1a' --record", Runs::Exits(8, "several nodes match, and there is no terminal to ask at")),
    ("herder session proxy cache-1", Runs::Exits(1, "nothing listens there on the simulated node")),
    ("@last:unknown", Runs::Exits(3, "no target ended so")),
    ("herder sim serve 200 --background", Runs::Exits(0, "serves until it is stopped, in the background")),
    ("herder sim serve", Runs::UntilInterrupted("export AWS_ENDPOINT_URL")),
    ("game-day.toml", Runs::Not("a rehearsal in real time, of minutes")),
    ("aws --endpoint-url", Runs::Not("is the aws CLI's")),
];

/// What depends on the machine, or only lasts.
const INSTEAD: &[(&str, &str)] = &[
    ("--soak 5m", "--soak 1s"),
    ("--port 4566", "--port 0"),
    ("8080:80", "0:80"),
    ("5432:db", "0:db"),
    ("6379:cache", "0:cache"),
];

/// An example and where it stands.
#[derive(Debug)]
struct Example {
    place: String,
    line: String,
}

fn of_text(place: &str, text: &str) -> Vec<Example> {
    let examples = text.split_once("Examples:\n").map(|(_, examples)| examples).unwrap_or_default();
    let lines = examples.lines().take_while(|line| line.starts_with("  "));
    let mut lines = joined(lines);
    if lines.iter().any(|line| line == "esac") {
        lines = vec![lines.join("\n")];
    }
    lines.into_iter().map(|line| Example { place: place.to_owned(), line }).collect()
}

/// Lines as a shell takes them: one that ends with `|` or `\` goes on.
fn joined<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for line in lines.map(str::trim) {
        match all.last_mut() {
            Some(last) if last.ends_with(['|', '\\']) => {
                let open = last.trim_end_matches('\\').len();
                last.truncate(open);
                last.push(' ');
                last.push_str(line);
            }
            _ if line.is_empty() || line.starts_with('#') => {}
            _ => all.push(line.to_owned()),
        }
    }
    all
}

fn of_command(command: &clap::Command, path: &str, found: &mut Vec<Example>, bare: &mut Vec<String>) {
    let name = format!("{path}{}", command.get_name());
    let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let own = of_text(&format!("{name} --help"), &help);
    if own.is_empty() && !command.has_subcommands() {
        bare.push(name.clone());
    }
    found.extend(own);
    for command in command.get_subcommands().filter(|c| !c.is_hide_set()) {
        of_command(command, &format!("{name} "), found, bare);
    }
}

fn of_readme(text: &str) -> Vec<Example> {
    let mut found = Vec::new();
    for block in text.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next()) {
        let lines = joined(block.lines());
        let lines = if block.contains("eval ") { vec![lines.join("\n")] } else { lines };
        // Building it is no example of using it.
        let of_herder =
            lines.into_iter().filter(|line| line.contains("herder") && !line.starts_with("cargo "));
        found.extend(of_herder.map(|line| Example { place: "README.md".to_owned(), line }));
    }
    found
}

fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn examples() -> Vec<Example> {
    let (mut found, mut bare) = (Vec::new(), Vec::new());
    of_command(&herder::command(), "", &mut found, &mut bare);
    assert_eq!(bare, Vec::<String>::new(), "commands whose help has no examples");
    for entry in std::fs::read_dir(repository().join("docs/help")).unwrap() {
        let path = entry.unwrap().path();
        let place = path.file_name().unwrap().to_str().unwrap().to_owned();
        found.extend(of_text(&place, &std::fs::read_to_string(&path).unwrap()));
    }
    found.extend(of_readme(&std::fs::read_to_string(repository().join("README.md")).unwrap()));
    found
}

/// A directory in which an example finds what it needs.
struct Scratch<'a> {
    sim: &'a Sim,
    directory: TempDir,
    run: String,
    node: String,
}

impl<'a> Scratch<'a> {
    fn new(sim: &'a Sim) -> Scratch<'a> {
        let directory = TempDir::new().unwrap();
        let mut scratch = Scratch { sim, directory, run: String::new(), node: String::new() };
        let base = scratch.path("");
        for name in [
            "bin",
            "home/.ssh",
            "home/.local/share/man",
            "home/.local/bin",
            "home/.local/share/bash-completion/completions",
            "home/.config/fish/completions",
            "fpath",
        ] {
            std::fs::create_dir_all(base.join(name)).unwrap();
        }
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_herder"), base.join("bin/herder")).unwrap();
        std::os::unix::fs::symlink(repository().join("sim"), base.join("sim")).unwrap();
        // Programs that examples hand over to, and that are none of herder's.
        for (name, text) in [
            ("man", "cat > /dev/null"),
            ("ssh", "echo ssh \"$@\""),
            ("aws", "echo '{}'"),
            ("pg_dump", "echo 'select 1;'"),
        ] {
            scratch.program(&format!("bin/{name}"), text);
        }
        for name in ["check.sh", "healthy.sh", "fix.sh", "update.sh", "deploy.sh"] {
            scratch.program(name, "exit 0");
        }
        std::fs::create_dir_all(base.join("home/.aws")).unwrap();
        let profile = "[profile prod]\nregion = us-east-1\naws_access_key_id = AKIASIMULATEDKEY0001\naws_secret_access_key = simulated/secret/key/that/opens/nothing0\n";
        std::fs::write(base.join("home/.aws/config"), profile).unwrap();
        std::fs::write(base.join("nodes.txt"), "web-1\nweb-2\n").unwrap();
        std::fs::write(base.join("app.conf"), "listen 8080\n").unwrap();
        std::fs::write(base.join("app.tar.gz"), "not much of an archive").unwrap();
        let listed = scratch.output("herder nodes list -t web-1 -o quiet", 60);
        scratch.node = String::from_utf8_lossy(&listed.stdout).trim().to_owned();
        // One of them is offline, the others fail: there is something to look at and to retry.
        let failing = scratch.output("herder exec -t tag:role=db --max-errors 100% -- 'exit 3'", 60);
        assert_eq!(failing.status.code(), Some(1), "{}", said(&failing));
        let last = scratch.output("herder runs list -o quiet", 60);
        scratch.run = String::from_utf8_lossy(&last.stdout).trim().to_owned();
        assert!(
            scratch.node.starts_with("i-") && scratch.run.len() == RUN.len(),
            "{} {}",
            scratch.node,
            said(&last)
        );
        scratch
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn program(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Another one with the same journal.
    fn copy(&self) -> Scratch<'a> {
        let directory = TempDir::new().unwrap();
        let status = Command::new("cp").arg("-a").arg(self.path(".")).arg(directory.path()).status().unwrap();
        assert!(status.success());
        Scratch { sim: self.sim, directory, run: self.run.clone(), node: self.node.clone() }
    }

    fn command(&self, line: &str, program: &[&str]) -> Command {
        let base = self.directory.path();
        let mut command = Command::new("timeout");
        command.args(program).args(["bash", "-o", "pipefail", "-c", line]).env_clear().current_dir(base);
        command.env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", base.join("bin").display()));
        command.envs(self.sim.variables()).env("HOME", base.join("home"));
        command.env("fpath", base.join("fpath")).env("EDITOR", "true");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn output(&self, line: &str, seconds: u32) -> Output {
        self.command(line, &[&seconds.to_string()]).output().unwrap()
    }
}

fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).chars().take(2000).collect::<String>();
    format!("{}\n{}{}", output.status, text(&output.stdout), text(&output.stderr))
}

/// What is to be known of how it ran; the error is what went wrong.
fn run(scratch: &Scratch<'_>, example: &Example) -> Result<Option<String>, String> {
    let mut line = example.line.replace(RUN, &scratch.run).replace(NODE, &scratch.node);
    for (text, instead) in INSTEAD {
        line = line.replace(text, instead);
    }
    let expected =
        EXPECTED.iter().find(|(part, _)| example.line.contains(part)).map(|(_, expected)| expected);
    let (output, is_right, note) = match expected {
        Some(Runs::Not(why)) => return Ok(Some(format!("not run: {}: {why}", example.line))),
        Some(Runs::UntilInterrupted(text)) => {
            let until = ["-s", "INT", "-k", "20", "8"];
            let output = scratch.command(&format!("exec {line}"), &until).output().unwrap();
            let is_right = said(&output).contains(text) && !matches!(output.status.code(), Some(2 | 70));
            (output, is_right, None)
        }
        Some(Runs::Exits(code, why)) => {
            let output = scratch.output(&line, 100);
            let is_right = output.status.code() == Some(*code);
            (output, is_right, Some(format!("exits {code}: {}: {why}", example.line)))
        }
        None => {
            let output = scratch.output(&line, 100);
            // 1 and 6: it ran, and some nodes are ill or have no nginx.
            let is_right =
                matches!(output.status.code(), Some(0 | 1 | 6)) && !said(&output).contains("error:");
            (output, is_right, None)
        }
    };
    if is_right { Ok(note) } else { Err(format!("{}: {line}\n{}", example.place, said(&output))) }
}

#[test]
fn every_example_runs() {
    let examples = examples();
    assert!(examples.len() > 100, "{}", examples.len());
    let scenario = std::fs::read_to_string(repository().join("sim/scenarios/shop.toml")).unwrap();
    // The wire has its own time; only nodes are quicker.
    let sim = Sim::scenario(&scenario.replace("speed = 20", "speed = 1000"));
    let template = Scratch::new(&sim);
    let (failures, notes) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    let count = examples.len().div_ceil(3);
    together(examples.chunks(count), |some| {
        for example in some {
            match run(&template.copy(), example) {
                Ok(note) => notes.lock().unwrap().extend(note),
                Err(failure) => failures.lock().unwrap().push(failure),
            }
        }
    });
    println!("{}", notes.into_inner().unwrap().join("\n"));
    let failures = failures.into_inner().unwrap();
    assert!(
        failures.is_empty(),
        "{} of {} examples:\n\n{}",
        failures.len(),
        examples.len(),
        failures.join("\n\n")
    );
}

/// An exception that no example needs any more goes.
#[test]
fn every_exception_is_for_an_example() {
    let examples = examples();
    for (part, _) in EXPECTED {
        assert!(examples.iter().any(|example| example.line.contains(part)), "{part}");
    }
}

/// The files that the test itself stands on.
#[test]
fn examples_are_found() {
    let found = of_text("x", "Text.\n\nExamples:\n  herder a |\n    jq b\n  herder c\n\nMore:\n  no\n");
    let lines: Vec<&str> = found.iter().map(|example| example.line.as_str()).collect();
    assert_eq!(lines, ["herder a | jq b", "herder c"]);
    let readme =
        of_readme("```sh\nherder a\nls\n```\n```json\nherder no\n```\n```sh\neval x\nherder b\n```\n");
    let lines: Vec<&str> = readme.iter().map(|example| example.line.as_str()).collect();
    assert_eq!(lines, ["herder a", "eval x\nherder b"]);
    assert!(Path::new(env!("CARGO_BIN_EXE_herder")).is_absolute());
}
