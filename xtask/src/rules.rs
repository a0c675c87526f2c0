//! `cargo xtask rules`: shows that clippy, set up as this repository sets it up, rejects a violation of each rule that
//! it enforces. A scratch workspace gets our `clippy.toml`s and our lint table, and one violation a file; stand-ins
//! with nothing but the forbidden functions take the place of dependencies, so that it builds in a second.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::Outcome;
use crate::process::{cargo, root, target};

/// A violation: the file's name, the lint, and the code.
struct Violation {
    file: String,
    lint: String,
    /// Stands in the message, where the lint has more than one subject.
    subject: String,
    code: String,
}

/// What our lint table, and the attribute of core, session and sim's wire, forbid.
const LINTS: [(&str, &str); 12] = [
    ("clippy::print_stdout", "pub(crate) fn f() { println!(\"x\"); }"),
    ("clippy::print_stderr", "pub(crate) fn f() { eprintln!(\"x\"); }"),
    ("clippy::dbg_macro", "pub(crate) fn f() { dbg!(1); }"),
    ("clippy::exit", "pub(crate) fn f() { std::process::exit(1); }"),
    ("clippy::too_many_arguments", "pub(crate) fn f(_: u8, _: u8, _: u8, _: u8, _: u8, _: u8) {}"),
    ("clippy::allow_attributes", "#[allow(unused_variables)]\npub(crate) fn f() { let x = 1; }"),
    ("clippy::unwrap_used", "pub(crate) fn f(x: Option<u8>) -> u8 { x.unwrap() }"),
    ("clippy::expect_used", "pub(crate) fn f(x: Option<u8>) -> u8 { x.expect(\"x\") }"),
    ("clippy::indexing_slicing", "pub(crate) fn f(x: &[u8], n: usize) -> u8 { x[n] }"),
    ("unsafe_code", "pub(crate) fn f(x: *const u8) -> u8 { unsafe { *x } }"),
    ("unreachable_pub", "/// Documented.\npub fn f() {}"),
    ("missing_docs", ""),
];

/// How each forbidden function is called. A new entry in a `clippy.toml` needs one here.
const CALLS: [(&str, &str); 28] = [
    ("std::io::stdout", "std::io::stdout()"),
    ("std::io::stderr", "std::io::stderr()"),
    ("std::io::stdin", "std::io::stdin()"),
    ("tokio::io::stdout", "tokio::io::stdout()"),
    ("tokio::io::stderr", "tokio::io::stderr()"),
    ("tokio::io::stdin", "tokio::io::stdin()"),
    ("tokio::spawn", "tokio::spawn()"),
    ("tokio::task::spawn", "tokio::task::spawn()"),
    ("tokio::task::spawn_local", "tokio::task::spawn_local()"),
    ("tokio::task::JoinSet::spawn", "tokio::task::JoinSet.spawn()"),
    ("std::thread::spawn", "std::thread::spawn(|| ())"),
    ("std::env::var", "std::env::var(\"X\")"),
    ("std::env::var_os", "std::env::var_os(\"X\")"),
    ("std::env::vars", "std::env::vars()"),
    ("std::env::vars_os", "std::env::vars_os()"),
    ("std::env::set_var", "unsafe { std::env::set_var(\"X\", \"Y\") }"),
    ("std::env::home_dir", "std::env::home_dir()"),
    ("std::time::SystemTime::now", "std::time::SystemTime::now()"),
    ("std::time::Instant::now", "std::time::Instant::now()"),
    ("jiff::Timestamp::now", "jiff::Timestamp::now()"),
    ("jiff::Zoned::now", "jiff::Zoned::now()"),
    ("rand::rng", "rand::rng()"),
    ("rand::random", "rand::random()"),
    ("std::process::exit", "{ std::process::exit(1) }"),
    ("std::process::Command::new", "std::process::Command::new(\"x\")"),
    ("tokio::process::Command::new", "tokio::process::Command::new()"),
    ("std::fs::write", "std::fs::write(\"x\", \"y\")"),
    ("std::thread::sleep", "std::thread::sleep(std::time::Duration::ZERO)"),
];

const STAND_INS: [(&str, &str); 3] = [
    (
        "tokio",
        "pub fn spawn() {}\npub mod io { pub fn stdout() {}\npub fn stderr() {}\npub fn stdin() {} }\n\
         pub mod task { pub fn spawn() {}\npub fn spawn_local() {}\npub struct JoinSet;\nimpl JoinSet { pub fn spawn(&self) {} } }\n\
         pub mod process { pub struct Command;\nimpl Command { pub fn new() {} } }\n",
    ),
    (
        "jiff",
        "pub struct Timestamp;\nimpl Timestamp { pub fn now() {} }\npub struct Zoned;\nimpl Zoned { pub fn now() {} }\n",
    ),
    ("rand", "pub fn rng() {}\npub fn random() {}\n"),
];

/// Checks every violation; gives how many there are.
pub(crate) fn run() -> Outcome<u64> {
    let scratch = target().join("xtask").join("rules");
    let read = |path: &str| {
        fs::read_to_string(root().join(path)).map_err(|error| format!("could not read {path}: {error}"))
    };
    let manifest = read("Cargo.toml")?;
    let panics = panic_attribute(&read("core/src/lib.rs")?)?;
    let client = violations(&read("clippy.toml")?, true)?;
    let session = violations(&read("session/clippy.toml")?, false)?;
    let server = violations(&read("sim/clippy.toml")?, false)?;
    let lists = [
        ("client", "clippy.toml", &client),
        ("session", "session/clippy.toml", &session),
        ("server", "sim/clippy.toml", &server),
    ];
    let write = |path: &str, content: &str| {
        let path = scratch.join(path);
        let write = || {
            path.parent().map_or(Ok(()), fs::create_dir_all)?;
            // What is the same keeps its time, and is not built again.
            if fs::read_to_string(&path).ok().as_deref() == Some(content) {
                Ok(())
            } else {
                fs::write(&path, content)
            }
        };
        write().map_err(|error| format!("could not write {}: {error}", path.display()))
    };
    write("Cargo.toml", &workspace(&manifest))?;
    for (name, code) in STAND_INS {
        write(&format!("{name}/Cargo.toml"), &package(name, ""))?;
        write(&format!("{name}/src/lib.rs"), code)?;
    }
    for (name, list, violations) in lists {
        let dependencies: String =
            STAND_INS.iter().map(|(name, _)| format!("{name} = {{ path = \"../{name}\" }}\n")).collect();
        let body = format!("\n[dependencies]\n{dependencies}\n[lints]\nworkspace = true\n");
        write(&format!("{name}/Cargo.toml"), &package(name, &body))?;
        write(&format!("{name}/clippy.toml"), &read(list)?)?;
        let modules: String = violations.iter().map(|v| format!("mod {};\n", v.file)).collect();
        let lib = format!(
            "{panics}\n//! A violation in every module but the clean one.\n\nmod clean;\n{modules}\npub fn undocumented() {{}}\n"
        );
        write(&format!("{name}/src/lib.rs"), &lib)?;
        write(&format!("{name}/src/clean.rs"), "//! Breaks no rule.\n\npub(crate) struct Clean;\n")?;
        for violation in violations {
            write(&format!("{name}/src/{}.rs", violation.file), &violation.code)?;
        }
    }
    let found = clippy(&scratch)?;
    let mut missing = Vec::new();
    for (name, _, violations) in lists {
        for violation in violations {
            if !is_reported(&found, name, violation) {
                missing.push(format!("{name}/{}: {} {}", violation.file, violation.lint, violation.subject));
            }
        }
    }
    if let Some(report) =
        found.iter().find(|report| report.file.ends_with("clean.rs") && report.lint != "dead_code")
    {
        return Err(format!("clippy rejects what breaks no rule: {} in {}", report.lint, report.file));
    }
    match missing.is_empty() {
        true => Ok(lists.iter().map(|(_, _, violations)| violations.len() as u64).sum()),
        false => Err(format!("clippy does not reject:\n  {}", missing.join("\n  "))),
    }
}

/// The attribute by which core, session and sim's wire forbid panics, taken from where it stands.
fn panic_attribute(lib: &str) -> Outcome<String> {
    let start = lib.find("#![cfg_attr(").filter(|at| lib[*at..].contains("clippy::unwrap_used"));
    let start = start.ok_or("core/src/lib.rs does not deny clippy::unwrap_used")?;
    let end = lib[start..].find(")]").ok_or("core/src/lib.rs: an attribute does not end")?;
    Ok(lib[start..start + end + 2].to_owned())
}

fn violations(list: &str, has_lints: bool) -> Outcome<Vec<Violation>> {
    let mut violations = Vec::new();
    for path in disallowed(list) {
        let call = CALLS.iter().find(|(name, _)| *name == path);
        let (_, call) =
            call.ok_or(format!("rules.rs does not know how `{path}` is called; add it to CALLS"))?;
        violations.push(Violation {
            file: format!("call_{}", path.replace("::", "_").to_lowercase()),
            lint: "clippy::disallowed_methods".to_owned(),
            code: format!("//! Breaks a rule.\n\npub(crate) fn f() {{\n    let _ = {call};\n}}\n"),
            subject: path,
        });
    }
    for (lint, code) in LINTS.iter().filter(|_| has_lints) {
        violations.push(Violation {
            file: format!("lint_{}", lint.replace("clippy::", "")),
            lint: (*lint).to_owned(),
            subject: String::new(),
            code: format!("//! Breaks a rule.\n\n{code}\n"),
        });
    }
    Ok(violations)
}

/// The paths of a `clippy.toml`'s `disallowed-methods`.
fn disallowed(list: &str) -> Vec<String> {
    let paths = list.lines().filter_map(|line| line.trim().strip_prefix("{ path = \"")?.split_once('"'));
    paths.map(|(path, _)| path.to_owned()).collect()
}

/// Our lint tables in a workspace of their own.
fn workspace(manifest: &str) -> String {
    let mut text =
        "[workspace]\nmembers = [\"client\", \"session\", \"server\"]\nresolver = \"3\"\n".to_owned();
    let mut is_lints = false;
    for line in manifest.lines() {
        if line.starts_with('[') {
            is_lints = line.starts_with("[workspace.lints.");
        }
        if is_lints {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

fn package(name: &str, rest: &str) -> String {
    format!("[package]\nname = \"{name}\"\nversion = \"1.0.0\"\nedition = \"2024\"\n{rest}")
}

/// What clippy said, and of which file.
struct Report {
    file: String,
    lint: String,
    message: String,
}

fn clippy(scratch: &Path) -> Outcome<Vec<Report>> {
    let arguments =
        ["clippy", "--quiet", "--offline", "--workspace", "--keep-going", "--message-format=json"];
    let mut command = cargo(&arguments);
    let target: PathBuf = scratch.join("target");
    command.current_dir(scratch).env("CARGO_TARGET_DIR", target);
    let output = command.output().map_err(|error| format!("cargo clippy can't be started: {error}"))?;
    let mut reports = Vec::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let Ok(value) = serde_json::from_str::<Value>(line) else { continue };
        let message = &value["message"];
        let Some(lint) = message["code"]["code"].as_str() else { continue };
        let spans = message["spans"].as_array().into_iter().flatten();
        let files: BTreeSet<&str> = spans.filter_map(|span| span["file_name"].as_str()).collect();
        let text = message["message"].as_str().unwrap_or_default();
        reports.extend(files.into_iter().map(|file| Report {
            file: file.to_owned(),
            lint: lint.to_owned(),
            message: text.to_owned(),
        }));
    }
    if reports.is_empty() {
        return Err(format!("cargo clippy said nothing: {}", String::from_utf8_lossy(&output.stderr).trim()));
    }
    // Code that does not compile would make every lint look alive or dead by accident.
    match reports.iter().find(|report| report.lint.starts_with("E0")) {
        Some(report) => {
            Err(format!("the scratch code does not compile: {} in {}", report.message, report.file))
        }
        None => Ok(reports),
    }
}

fn is_reported(found: &[Report], package: &str, violation: &Violation) -> bool {
    let file = match violation.lint.as_str() {
        "missing_docs" => format!("{package}/src/lib.rs"),
        _ => format!("{package}/src/{}.rs", violation.file),
    };
    found.iter().any(|report| {
        report.file == file && report.lint == violation.lint && report.message.contains(&violation.subject)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_are_read() {
        let list = "disallowed-methods = [\n    { path = \"std::env::var\", reason = \"x\" },\n]\n";
        assert_eq!(disallowed(list), ["std::env::var"]);
        let manifest = "[workspace]\nmembers = []\n\n[workspace.lints.rust]\nunsafe_code = \"deny\"\n\n[package]\nname = \"x\"\n";
        assert!(workspace(manifest).ends_with("[workspace.lints.rust]\nunsafe_code = \"deny\"\n\n"));
        let attribute = "#![cfg_attr(not(test), deny(clippy::unwrap_used))]";
        assert_eq!(panic_attribute(&format!("//! x\n{attribute}\nmod a;")).unwrap(), attribute);
    }
}
