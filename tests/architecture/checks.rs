//! The checks: each gives a line for every violation in a file.

use crate::source::Source;

pub(crate) type Check = fn(&Source) -> Vec<String>;

/// Rule 13.
const MAX_LINES: usize = 600;

/// Where lints of `clippy.toml` may be waived, and how often.
const WAIVERS: [(&str, usize); 6] = [
    ("src/io.rs", 3),
    ("src/main.rs", 2),
    ("src/ctx.rs", 1),
    ("core/src/fanout/executor.rs", 1),
    ("sim/src/clock.rs", 1),
    ("sim/src/server.rs", 3),
];

/// Where tasks and threads may start, and with what.
const SPAWNERS: [(&str, &str); 11] = [
    // Per-target work.
    ("core/src/fanout/executor.rs", "JoinSet"),
    // Waits for the disk.
    ("core/src/journal/writer.rs", "spawn_blocking"),
    // The dispatcher's two threads.
    ("src/ops/run.rs", "spawn_blocking"),
    ("src/dispatch.rs", "thread.spawn"),
    // Wait for a person, for a pipe, or for the disk.
    ("aws/src/scope/role.rs", "spawn_blocking"),
    ("src/commands/exec.rs", "spawn_blocking"),
    ("src/commands/mod.rs", "spawn_blocking"),
    ("src/ops/copies/job.rs", "spawn_blocking"),
    // Asks accounts and regions side by side.
    ("src/ops/place.rs", "join_all"),
    // Sees through what a command left.
    ("src/ctx.rs", "join_all"),
    // Serves connections.
    ("sim/src/server.rs", "tokio::spawn"),
];

const SPAWNING: [&str; 11] = [
    "tokio::spawn",
    "task::spawn(",
    "spawn_local",
    "spawn_blocking",
    "JoinSet",
    "thread::spawn",
    "thread.spawn",
    "buffer_unordered",
    "for_each_concurrent",
    "FuturesUnordered",
    "join_all",
];

const SDK: [&str; 5] = ["aws_sdk_", "aws_smithy_", "aws_config", "aws_types", "aws_credential_types"];

fn at(source: &Source, line: usize, what: &str) -> String {
    format!("{}:{line}: {what}", source.path)
}

/// Lines of code that hold a violation.
fn lines(source: &Source, is_wrong: impl Fn(&str) -> bool, what: &str) -> Vec<String> {
    source.numbered().filter(|(_, line)| is_wrong(line)).map(|(n, _)| at(source, n, what)).collect()
}

pub(crate) fn is_small(source: &Source) -> Vec<String> {
    let is_long = source.lines > MAX_LINES;
    is_long.then(|| at(source, source.lines, "longer than 600 lines without its tests")).into_iter().collect()
}

pub(crate) fn is_described(source: &Source) -> Vec<String> {
    let mut lines = source.text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with("#!["));
    let is_described =
        lines.next().is_some_and(|line| line.starts_with("//! ") && !line.contains("to be written"));
    (!is_described)
        .then(|| at(source, 1, "does not begin by saying what it is for (`//!`)"))
        .into_iter()
        .collect()
}

/// The lints that an attribute in the code waives.
fn waived(source: &Source) -> impl Iterator<Item = (usize, &str)> {
    source.numbered().filter(|(_, line)| {
        let line = line.trim_start();
        ["#[expect(", "#![expect(", "#[allow(", "#![allow(", "#[cfg_attr(", "#![cfg_attr("]
            .iter()
            .any(|a| line.starts_with(a))
            && (line.contains("expect(") || line.contains("allow("))
    })
}

pub(crate) fn waives_only_where_allowed(source: &Source) -> Vec<String> {
    let guarded = [
        "clippy::print_",
        "clippy::exit",
        "clippy::disallowed_methods",
        "clippy::dbg_macro",
        "too_many_arguments",
        "unsafe_code",
    ];
    let allowed = WAIVERS.iter().find(|(path, _)| *path == source.path).map_or(0, |(_, count)| *count);
    let found: Vec<String> = waived(source)
        .filter(|(_, line)| guarded.iter().any(|lint| line.contains(lint)))
        .map(|(n, _)| at(source, n, "waives a lint that holds the architecture up"))
        .collect();
    if found.len() == allowed { Vec::new() } else { found }
}

pub(crate) fn exits_in_main_only(source: &Source) -> Vec<String> {
    // A panic can't be returned from.
    if source.path == "src/main.rs" {
        return Vec::new();
    }
    let is_exit = |line: &str| line.contains("process::exit") || line.contains("process::abort");
    lines(source, is_exit, "ends the process by itself")
}

pub(crate) fn spawns_only_where_allowed(source: &Source) -> Vec<String> {
    if source.path.starts_with("session/") || source.path.starts_with("xtask/") {
        return Vec::new();
    }
    let allowed: Vec<&str> =
        SPAWNERS.iter().filter(|(path, _)| *path == source.path).map(|(_, word)| *word).collect();
    let is_spawn = |line: &str| SPAWNING.iter().any(|word| line.contains(word) && !allowed.contains(word));
    lines(source, is_spawn, "starts work of its own: only the executor does")
}

pub(crate) fn retries_only_where_allowed(source: &Source) -> Vec<String> {
    // Assuming a role is part of getting credentials; nothing meters it.
    if source.path == "aws/src/scope/role.rs" {
        return Vec::new();
    }
    let is_retry = |line: &str| {
        ["RetryConfig::standard", "RetryConfig::adaptive", "with_max_attempts"]
            .iter()
            .any(|word| line.contains(word))
    };
    lines(source, is_retry, "lets the SDK repeat what the meter repeats")
}

pub(crate) fn asks_no_dry_run(source: &Source) -> Vec<String> {
    // A command chooses once between showing the plan and carrying it out; nothing below it asks.
    if source.path.starts_with("src/commands/") {
        return Vec::new();
    }
    let asks = |line: &str| {
        let Some(at) = line.find("dry_run") else { return false };
        line[..at].split(|c: char| !c.is_alphanumeric()).any(|word| word == "if" || word == "match")
    };
    lines(source, asks, "asks whether it is a rehearsal: plan, then apply the plan")
}

pub(crate) fn may_not_panic(source: &Source) -> Vec<String> {
    let is_guarded =
        ["core/src/", "session/src/", "sim/src/wire/"].iter().any(|p| source.path.starts_with(p));
    if !is_guarded {
        return Vec::new();
    }
    let panics = |line: &str| {
        let words = ["panic!(", "unreachable!(", "todo!(", "unimplemented!("];
        words.iter().any(|word| line.match_indices(word).any(|(at, _)| !line[..at].ends_with('_')))
    };
    let lints = ["clippy::unwrap_used", "clippy::expect_used", "clippy::indexing_slicing"];
    let waived = waived(source)
        .filter(|(_, line)| lints.iter().any(|lint| line.contains(lint)) && !line.contains("deny("));
    let waived: Vec<String> = waived.map(|(n, _)| at(source, n, "waives a lint against panics")).collect();
    lines(source, panics, "panics").into_iter().chain(waived).collect()
}

/// Types of the SDK that a file calls by a short name.
fn imported(code: &str) -> Vec<String> {
    let mut names = Vec::new();
    for (start, _) in code.match_indices("use ") {
        let path = code[start + 4..].split(';').next().unwrap_or_default();
        if SDK.iter().any(|sdk| path.trim_start().starts_with(sdk)) {
            let leaves = path.split(['{', ',', '}']).map(str::trim).filter(|leaf| !leaf.ends_with("::"));
            let last = |leaf: &str| leaf.rsplit([':', ' ']).next().unwrap_or_default().to_owned();
            names.extend(leaves.map(last).filter(|name| name.starts_with(char::is_uppercase)));
        }
    }
    names
}

/// The items of a file that other packages may see: from `pub ` to the end of what they show.
fn shown(code: &str) -> Vec<(usize, &str)> {
    let mut items = Vec::new();
    for (start, _) in code.match_indices("pub ") {
        let is_word = code[..start].ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let item = &code[start..];
        let kind = item.split_whitespace().nth(1).unwrap_or_default();
        let end = match kind {
            // A struct's fields are shown where they are `pub` themselves; an enum's and a trait's all are.
            "enum" | "trait" => body_end(item),
            "use" => item.find(';'),
            _ => Some(item.find(['{', ';']).unwrap_or(item.len()).min(field_end(item, kind))),
        };
        if let Some(end) = end.filter(|_| !is_word) {
            items.push((code[..start].lines().count().max(1), &item[..end]));
        }
    }
    items
}

/// A field ends at its comma, or with the struct.
fn field_end(item: &str, kind: &str) -> usize {
    let mut depth = 0_i32;
    let is_field = kind.ends_with(':');
    for (n, c) in item.char_indices().filter(|_| is_field) {
        match c {
            '(' | '<' | '[' => depth += 1,
            ')' | '>' | ']' => depth -= 1,
            ',' | '}' if depth <= 0 => return n,
            _ => {}
        }
    }
    item.len()
}

fn body_end(item: &str) -> Option<usize> {
    let mut depth = 0_u32;
    for (n, c) in item.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 1 => return Some(n),
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

pub(crate) fn shows_no_sdk_type(source: &Source) -> Vec<String> {
    if !source.path.starts_with("aws/src/") {
        return Vec::new();
    }
    let names = imported(&source.code);
    let is_sdk = |item: &str| {
        let words = |c: char| !c.is_alphanumeric() && c != '_';
        item.split(words)
            .any(|word| SDK.iter().any(|sdk| word.starts_with(sdk)) || names.iter().any(|name| name == word))
    };
    let found = shown(&source.code).into_iter().filter(|(_, item)| is_sdk(item));
    found.map(|(n, _)| at(source, n, "shows a type of the SDK")).collect()
}

/// Calls without a permit that are no reads: what they begin ends with the process (docs/decisions/0009).
const OF_SESSIONS: [&str; 4] = ["start_session", "resume_session", "terminate_session", "generate_data_key"];

/// Every call of an SDK client that is not a read stands in a function that takes a permit.
pub(crate) fn changes_with_permit(source: &Source) -> Vec<String> {
    if !source.path.starts_with("aws/src/") {
        return Vec::new();
    }
    let code = &source.code;
    let mut found = Vec::new();
    for (start, _) in code.match_indices(".client") {
        let after = code[start + ".client".len()..].trim_start();
        let Some(call) = after.strip_prefix('.').and_then(|call| call.split('(').next()) else { continue };
        if ["describe_", "list_", "get_", "head_", "filter_", "assume_role", "config", "clone"]
            .iter()
            .any(|read| call.starts_with(read))
            || OF_SESSIONS.contains(&call)
        {
            continue;
        }
        let function = code[..start].rfind("fn ").map_or("", |at| &code[at..start]);
        let signature = function.split('{').next().unwrap_or_default();
        if !signature.contains("Permit") {
            found.push(at(source, code[..start].lines().count(), "changes something without a permit"));
        }
    }
    found
}

/// Paths of somebody's machine, and hosts that only a package manager should know.
pub(crate) fn names_no_place(path: &str, text: &str) -> Vec<String> {
    let places = [
        concat!("/ro", "ot/"),
        concat!("/Us", "ers/"),
        concat!("/wo", "rk/"),
        concat!("/home/run", "ner"),
        concat!("crates", ".io"),
        concat!("py", "pi.org"),
        concat!("npm", "js."),
        concat!("docs", ".rs/"),
    ];
    let found = (1..).zip(text.lines()).filter(|(_, line)| places.iter().any(|place| line.contains(place)));
    found
        .map(|(n, line)| format!("{path}:{n}: names a machine's path or a registry: {}", line.trim()))
        .collect()
}
