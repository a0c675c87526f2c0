//! What a Tab offers. The scripts of `herder completions` call `herder __complete SHELL …`; the answer comes from files on this machine
//! alone: nobody is asked, nothing is waited for, and errors are silence.

mod bash;
mod cache;
mod context;
mod gather;
mod lines;
mod nearest;
mod paths;
mod regions;
mod selector;
mod values;
mod walk;

use std::ffi::OsString;
use std::io::Write as _;

use clap::{Arg, Command};

pub(crate) use self::gather::Gathered;
use self::lines::{Found, MOST_BYTES};
pub(crate) use self::nearest::{among as nearest_of, meant};
use self::values::{Kind, Values, about, subcommands};
use self::walk::{Walk, Wanted, takes_value};
use crate::args::GlobalArgs;
use crate::io::Io;
use crate::settings::{ConfigFile, Environment, Settings};

/// The first argument of a question.
pub(crate) const VERB: &str = "__complete";
/// So often a single candidate that is not complete is completed further.
const STEPS: usize = 8;

/// Answers a question: `SHELL` and, of bash, its word breaks and the line up to the cursor; of others the words, the last of them
/// being typed. What makes no sense has no answer.
pub(crate) fn answer(io: &Io, environment: &Environment, root: &Command, words: &[OsString]) {
    let words: Vec<String> = words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let text = match words.split_first() {
        Some((shell, rest)) if shell == "bash" => for_bash(environment, root, rest),
        Some((shell, rest)) if shell == "zsh" => for_zsh(&typed(environment, root, rest, MOST_BYTES)),
        Some((shell, rest)) if shell == "fish" => {
            let mut words = rest.to_vec();
            if let Some(current) = words.last_mut() {
                // The word as it is typed, quotes and all; a blank begins it.
                *current = bash::Line::parse(&format!(" {current}"), "").current;
            }
            for_fish(&typed(environment, root, &words, usize::MAX))
        }
        _ => return,
    };
    // A shell that has gone doesn't want it any more.
    let _ = io.stdout().write_all(text.as_bytes());
    let _ = io.stdout().flush();
}

/// fish tells a stem from a whole word by its last character alone, so that it is given everything; it copes.
fn typed(environment: &Environment, root: &Command, words: &[String], most_bytes: usize) -> Vec<Found> {
    match words.split_last() {
        // The first is the command's name.
        Some((current, before)) => {
            let words = (before.get(1..).unwrap_or_default(), current.as_str());
            complete(environment, root, words, most_bytes)
        }
        None => Vec::new(),
    }
}

/// The first line says whether typing goes on behind a single candidate; then the candidates, as readline has to insert them.
fn for_bash(environment: &Environment, root: &Command, rest: &[String]) -> String {
    let [breaks, line] = rest else { return String::new() };
    let line = bash::Line::parse(line, breaks);
    let words = (line.words.get(1..).unwrap_or_default(), line.current.as_str());
    let found = complete(environment, root, words, MOST_BYTES);
    let goes_on = matches!(found.as_slice(), [only] if only.is_partial);
    let mut text = if goes_on { "nospace\n" } else { "space\n" }.to_owned();
    for insertion in found.iter().filter_map(|found| line.insertion(&found.value)) {
        text.push_str(&insertion);
        text.push('\n');
    }
    text
}

/// `+` where typing goes on, else `=`; the value; a tab; what it is.
fn for_zsh(found: &[Found]) -> String {
    let sign = |found: &Found| if found.is_partial { '+' } else { '=' };
    found.iter().map(|f| format!("{}{}\t{}\n", sign(f), f.value, f.about)).collect()
}

/// fish tells by the last character whether typing goes on.
fn for_fish(found: &[Found]) -> String {
    let mut text = String::new();
    for Found { value, about, .. } in found {
        [value.as_str(), "\t", about, "\n"].iter().for_each(|part| text.push_str(part));
    }
    text
}

/// What may stand in place of the word at the cursor; words are those behind the command's name.
fn complete(
    environment: &Environment,
    root: &Command,
    (words, current): (&[String], &str),
    most_bytes: usize,
) -> Vec<Found> {
    let walk = Walk::new(root, words);
    let file = ConfigFile::read(environment).unwrap_or_else(|_| ConfigFile::absent(environment));
    let Ok(settings) = Settings::new(&global(&walk), environment, file) else { return Vec::new() };
    let values = Values::new(&settings, environment, most_bytes);
    let mut text = current.to_owned();
    let mut found = at_cursor(root, words, &values, &text);
    // A single one that goes on is gone on with: in quotes, bash would close them behind it.
    for _ in 0..STEPS {
        match found.as_slice() {
            [only] if only.is_partial && only.value != text => text.clone_from(&only.value),
            _ => break,
        }
        let further = at_cursor(root, words, &values, &text);
        if further.is_empty() {
            break;
        }
        found = further;
    }
    found
}

fn at_cursor(root: &Command, words: &[String], values: &Values<'_>, current: &str) -> Vec<Found> {
    let walk = Walk::new(root, words);
    let path = path(root, words);
    let of = |arg: &Arg, text: &str| of_argument(root, words, &path, (arg, text), values);
    match walk.wanted(current) {
        Wanted::Nothing => Vec::new(),
        Wanted::Flag => flags(&walk, current),
        Wanted::Value(arg, before) => {
            let mut found = of(arg, current.get(before.len()..).unwrap_or_default());
            if !before.is_empty() {
                found.iter_mut().for_each(|found| found.value.insert_str(0, before));
            }
            found
        }
        Wanted::Any => {
            let mut found = Vec::new();
            if walk.takes_subcommand() {
                found.extend(subcommands(walk.command, current));
            }
            found.extend(walk.next_positional().map(|arg| of(arg, current)).unwrap_or_default());
            if found.is_empty() && current.is_empty() {
                found = flags(&walk, current);
            }
            found
        }
    }
}

/// The words that lead to the command.
fn path<'a>(root: &Command, words: &'a [String]) -> Vec<&'a str> {
    let mut command = root;
    let mut path = Vec::new();
    for word in words {
        if let Some(next) = command.find_subcommand(word) {
            path.push(word.as_str());
            command = next;
        }
    }
    path
}

fn of_argument(
    root: &Command,
    words: &[String],
    path: &[&str],
    (arg, text): (&Arg, &str),
    values: &Values<'_>,
) -> Vec<Found> {
    let possible = arg.get_possible_values();
    if !possible.is_empty() {
        let shown = possible.iter().filter(|v| !v.is_hide_set() && v.get_name().starts_with(text));
        let found = shown.map(|v| Found {
            value: v.get_name().to_owned(),
            about: about(v.get_help()),
            is_partial: false,
        });
        return found.collect();
    }
    match Kind::of(path, arg) {
        Some(Kind::Command) => {
            let own = words.iter().skip(1).filter(|word| !word.starts_with('-')).cloned().collect::<Vec<_>>();
            let topics = if path.first() == Some(&"help") { &crate::commands::help::TOPICS[..] } else { &[] };
            values::commands(root, &own, topics, text)
        }
        Some(kind) => values.complete(kind, text),
        None => Vec::new(),
    }
}

fn flags(walk: &Walk<'_>, current: &str) -> Vec<Found> {
    let long = |arg: &Arg| {
        let name = arg.get_long()?;
        let (end, is_partial) = match takes_value(arg) && arg.is_require_equals_set() {
            true => ("=", true),
            false => ("", false),
        };
        Some(Found { value: format!("--{name}{end}"), about: about(arg.get_help()), is_partial })
    };
    let mut found: Vec<Found> = walk.open_options().filter_map(long).collect();
    found.push(Found { value: "--help".to_owned(), about: "Print help".to_owned(), is_partial: false });
    found.retain(|found| found.value.starts_with(current));
    found
}

/// The settings that stand on the line.
fn global(walk: &Walk<'_>) -> GlobalArgs {
    let mut args = GlobalArgs::default();
    for (arg, value) in &walk.given {
        let value = Some(value.clone());
        match arg.get_id().as_str() {
            "profile" => args.profile = value,
            "region" => args.region = value,
            "account" => args.account = value,
            "assume_role" => args.assume_role = value,
            "sim" => args.sim = value,
            "state_dir" => args.state_dir = value.map(Into::into),
            _ => {}
        }
    }
    args
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
