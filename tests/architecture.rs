//! The rules that no lint knows: the repository keeps them, and a snippet that breaks one is caught.
//!
//! `CONTRIBUTING.md` has the table of rules. What clippy enforces is shown by `cargo xtask rules`; here only that it is
//! asked to.

#[path = "architecture/checks.rs"]
mod checks;
#[path = "architecture/manifest.rs"]
mod manifest;
#[path = "architecture/source.rs"]
mod source;

use std::collections::BTreeMap;

use checks::Check;
use manifest::Manifest;
use source::{Source, sources, text, texts};

/// Runs a check over the repository.
fn holds(check: Check) {
    let found: Vec<String> = sources().iter().flat_map(check).collect();
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

/// Runs a check over a snippet that breaks its rule, and over one that doesn't.
fn tells(check: Check, path: &str, broken: &str, sound: &str) {
    let of = |code: &str| check(&Source::new(path, code));
    assert_eq!(of(broken).len(), 1, "{broken:?} is not caught: {:?}", of(broken));
    assert_eq!(of(sound), Vec::<String>::new(), "{sound:?} breaks no rule");
}

#[test]
fn rule_13_files_are_small() {
    holds(checks::is_small);
    let lines = |n: usize| "//! Long.\n".to_owned() + &"const A: u8 = 0;\n".repeat(n);
    tells(checks::is_small, "src/x.rs", &lines(600), &lines(599));
    let tests = lines(10) + "#[cfg(test)]\nmod tests {\n" + &"    const A: u8 = 0;\n".repeat(700) + "}\n";
    assert!(checks::is_small(&Source::new("src/x.rs", &tests)).is_empty(), "tests are counted apart");
}

#[test]
fn every_module_says_what_it_is_for() {
    holds(checks::is_described);
    tells(checks::is_described, "src/x.rs", "use std::fmt;\n", "#![cfg(unix)]\n//! Says.\n");
}

#[test]
fn rule_1_no_lint_against_printing_is_waived() {
    holds(checks::waives_only_where_allowed);
    let waived = |lint: &str| format!("//! X.\n#[expect({lint}, reason = \"why\")]\nfn f() {{}}\n");
    tells(checks::waives_only_where_allowed, "src/ops/x.rs", &waived("clippy::print_stdout"), "//! X.\n");
    let check = checks::waives_only_where_allowed;
    tells(check, "src/ops/x.rs", &waived("clippy::disallowed_methods"), &waived("clippy::type_complexity"));
    let inner = "//! X.\n#![allow(clippy::disallowed_methods)]\n";
    tells(
        checks::waives_only_where_allowed,
        "core/src/x.rs",
        inner,
        "//! X.\n#[cfg(test)]\n#[expect(clippy::exit)]\nfn f() {}\n",
    );
}

#[test]
fn rule_9_nothing_exits_but_main() {
    holds(checks::exits_in_main_only);
    let broken = "//! X.\nfn f() { std::process::exit(1) }\n";
    tells(
        checks::exits_in_main_only,
        "src/exit.rs",
        broken,
        "//! process::exit\n// process::exit(1)\nfn f() {}\n",
    );
    tells(
        checks::exits_in_main_only,
        "src/x.rs",
        "//! X.\nfn f() { process::abort() }\n",
        "//! X.\nconst A: &str = \"process::exit(1)\";\n",
    );
}

#[test]
fn rule_3_tasks_start_only_where_allowed() {
    holds(checks::spawns_only_where_allowed);
    let check = checks::spawns_only_where_allowed;
    let sound = "//! X.\nfn f() {}\n";
    for word in
        ["tokio::spawn(f)", "JoinSet::new()", "tokio::task::spawn_blocking(f)", "x.buffer_unordered(9)"]
    {
        tells(check, "src/ops/x.rs", &format!("//! X.\nfn f() {{ {word}; }}\n"), sound);
    }
    tells(check, "aws/src/x.rs", "//! X.\nfn f() { std::thread::spawn(f); }\n", sound);
    assert!(check(&Source::new("session/src/x.rs", "//! X.\nfn f() { tokio::spawn(g()); }\n")).is_empty());
}

#[test]
fn rule_3_the_sdk_does_not_retry_what_is_metered() {
    let scope = text("aws/src/scope/mod.rs");
    assert!(
        scope.contains(".retry_config(RetryConfig::disabled())"),
        "clients are made without the SDK's retries"
    );
    holds(checks::retries_only_where_allowed);
    let broken = "//! X.\nfn f() { b.retry_config(RetryConfig::standard()) }\n";
    tells(
        checks::retries_only_where_allowed,
        "aws/src/ssm/mod.rs",
        broken,
        "//! X.\nfn f() { RetryConfig::disabled() }\n",
    );
}

#[test]
fn rule_6_no_step_asks_whether_it_is_a_rehearsal() {
    holds(checks::asks_no_dry_run);
    let sound = "//! X.\nfn f(dry_run: bool) { plan(dry_run) }\n";
    tells(checks::asks_no_dry_run, "src/ops/x.rs", "//! X.\nfn f() { if self.dry_run { return; } }\n", sound);
    tells(checks::asks_no_dry_run, "src/ops/x.rs", "//! X.\nfn f() { if !dry_run { g() } }\n", sound);
}

#[test]
fn rule_2_aws_shows_no_type_of_the_sdk() {
    holds(checks::shows_no_sdk_type);
    let check = checks::shows_no_sdk_type;
    let sound = "//! X.\nuse aws_sdk_ssm::Client;\npub struct S { client: Client }\npub(crate) fn f(c: &Client) {}\nfn g(c: Client) {}\n";
    tells(check, "aws/src/x.rs", "//! X.\npub fn f(c: aws_sdk_ssm::Client) {}\n", sound);
    tells(
        check,
        "aws/src/x.rs",
        "//! X.\nuse aws_sdk_ssm::types::{A, Command as C};\npub fn f() -> Option<C> { None }\n",
        sound,
    );
    tells(
        check,
        "aws/src/x.rs",
        "//! X.\nuse aws_smithy_types::DateTime;\npub struct S {\n    pub at: DateTime,\n}\n",
        sound,
    );
    tells(check, "aws/src/x.rs", "//! X.\npub use aws_config::Region;\n", sound);
    tells(check, "aws/src/x.rs", "//! X.\nuse aws_types::SdkConfig;\npub enum E { A(SdkConfig) }\n", sound);
}

#[test]
fn rule_5_what_changes_something_takes_a_permit() {
    holds(checks::changes_with_permit);
    let sound = "//! X.\npub async fn send(&self, permit: Permit) { self.client.send_command(); }\npub fn list(&self) { self.client\n.list_commands(); }\n";
    let check = checks::changes_with_permit;
    tells(
        check,
        "aws/src/ssm/x.rs",
        "//! X.\npub async fn stop(&self) { self.client\n    .terminate_instances().send(); }\n",
        sound,
    );
    let other = "//! X.\npub fn f(&self) { self.client.start_session_on_all(); }\n";
    tells(check, "aws/src/ssm/x.rs", other, "//! X.\npub fn f(&self) { self.client.start_session(); }\n");
    let door = text("aws/src/lib.rs");
    assert!(
        door.contains("```compile_fail\n//! let permit = herder_core::journal::Permit {"),
        "a permit can't be made outside the journal, and a doctest shows it"
    );
}

#[test]
fn rule_11_no_panic_on_what_comes_from_outside() {
    let lints = "deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)";
    for path in ["core/src/lib.rs", "session/src/lib.rs", "sim/src/wire/mod.rs"] {
        assert!(text(path).contains(lints), "{path} denies what panics");
    }
    holds(checks::may_not_panic);
    let sound = "//! X.\nfn f() -> Option<u8> { None }\n";
    tells(
        checks::may_not_panic,
        "core/src/x.rs",
        "//! X.\n#[expect(clippy::unwrap_used)]\nfn f() {}\n",
        sound,
    );
    tells(checks::may_not_panic, "core/src/x.rs", "//! X.\nfn f() { unreachable!() }\n", sound);
    tells(checks::may_not_panic, "sim/src/wire/x.rs", "//! X.\nfn f() { panic!(\"x\") }\n", sound);
}

#[test]
fn files_name_no_machine_and_no_registry() {
    let found: Vec<String> =
        texts().iter().flat_map(|(path, text)| checks::names_no_place(path, text)).collect();
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
    for place in [concat!("/ro", "ot/x"), concat!("/Us", "ers/x"), concat!("crates", ".io")] {
        assert_eq!(checks::names_no_place("README.md", place).len(), 1, "{place}");
    }
    assert!(checks::names_no_place("README.md", "root:x:0:0:root:/root:/bin/bash").is_empty());
}

#[test]
fn every_end_to_end_test_is_declared() {
    let undeclared = |main: &str, files: &[String]| -> Vec<String> {
        let declared = |file: &&String| main.contains(&format!("mod {};", file.trim_end_matches(".rs")));
        files
            .iter()
            .filter(|file| *file != "main.rs" && file.ends_with(".rs") && !declared(file))
            .cloned()
            .collect()
    };
    let files: Vec<String> = source::names("tests/cli");
    assert_eq!(undeclared(&text("tests/cli/main.rs"), &files), Vec::<String>::new());
    assert_eq!(undeclared("mod a;\n", &["main.rs".into(), "a.rs".into(), "b.rs".into()]), ["b.rs"]);
}

#[test]
fn rule_2_packages_depend_in_one_direction() {
    let manifest = |package: &str| Manifest::parse(&text(&format!("{package}/Cargo.toml")));
    for (package, allowed) in [
        ("core", &[][..]),
        ("session", &[]),
        ("aws", &["herder-core", "aws-"]),
        ("sim", &["herder-session"]),
        ("xtask", &["clap"]),
        (".", &["herder-aws", "herder-core", "herder-session", "herder-sim", "clap"]),
    ] {
        assert_eq!(
            manifest(package).wrong_dependencies(allowed),
            Vec::<String>::new(),
            "{package}/Cargo.toml"
        );
    }
    let broken = Manifest::parse(
        "[dependencies]\naws-sdk-ssm.workspace = true\n[dependencies.clap]\nversion = \"4\"\n[dev-dependencies]\nherder-aws = { path = \"../aws\" }\n",
    );
    assert_eq!(broken.wrong_dependencies(&[]), ["aws-sdk-ssm", "clap", "herder-aws"]);
    assert_eq!(broken.wrong_dependencies(&["aws-", "clap", "herder-aws"]), Vec::<String>::new());
}

#[test]
fn the_lints_are_asked_for() {
    let root = Manifest::parse(&text("Cargo.toml"));
    let wanted = [
        ("workspace.lints.clippy", "print_stdout", "deny"),
        ("workspace.lints.clippy", "print_stderr", "deny"),
        ("workspace.lints.clippy", "exit", "deny"),
        ("workspace.lints.clippy", "dbg_macro", "deny"),
        ("workspace.lints.clippy", "disallowed_methods", "deny"),
        ("workspace.lints.clippy", "too_many_arguments", "deny"),
        ("workspace.lints.clippy", "allow_attributes", "deny"),
        ("workspace.lints.rust", "unsafe_code", "deny"),
    ];
    let lacks =
        |manifest: &Manifest| wanted.iter().filter(|(s, k, v)| manifest.value(s, k) != Some(*v)).count();
    assert_eq!(lacks(&root), 0);
    assert_eq!(lacks(&Manifest::parse("[workspace.lints.clippy]\nexit = \"warn\"\n")), wanted.len());
    for package in [".", "core", "aws", "session", "sim"] {
        let manifest = Manifest::parse(&text(&format!("{package}/Cargo.toml")));
        assert_eq!(manifest.value("lints", "workspace"), Some("true"), "{package}/Cargo.toml");
    }
    for list in ["clippy.toml", "session/clippy.toml", "sim/clippy.toml", "xtask/clippy.toml"] {
        assert!(text(list).contains("too-many-arguments-threshold = 5"), "{list}: rule 13");
    }
    let listed = text("clippy.toml");
    for function in [
        "std::io::stdout",
        "tokio::spawn",
        "std::env::var",
        "std::time::SystemTime::now",
        "std::process::exit",
    ] {
        assert!(listed.contains(&format!("\"{function}\"")), "clippy.toml: {function}");
    }
}

/// What the checks stand on: code apart from comments, texts and tests.
#[test]
fn code_is_told_from_text() {
    let source = Source::new(
        "x.rs",
        "//! a{\nfn f<'a>(x: &'a str) -> char { /* { /* } */ */ g(\"}\\\"{\", r#\"\"}\"#, '{', b'\\'') }\n",
    );
    let counts: BTreeMap<char, usize> = source.code.chars().fold(BTreeMap::new(), |mut counts, c| {
        *counts.entry(c).or_default() += 1;
        counts
    });
    assert_eq!((counts.get(&'{'), counts.get(&'}')), (Some(&1), Some(&1)), "{}", source.code);
    let tests = "//! X.\nenum E {\n    #[cfg(test)]\n    A(u8),\n    B,\n}\n#[cfg(test)]\nmod tests {\n    fn f() { exit() }\n}\n#[cfg(test)]\nmod far;\nfn g() {}\n";
    let source = Source::new("x.rs", tests);
    assert!(
        !source.code.contains("exit") && !source.code.contains("A(u8)") && !source.code.contains("far"),
        "{}",
        source.code
    );
    assert!(source.code.contains('B') && source.code.contains("fn g()"), "{}", source.code);
    assert_eq!(source.lines, 5, "{}", source.code);
}
