//! Defaults of commands' flags from the configuration file: which flags may have one, and how they get to the parser.
//!
//! A flag on the command line wins. What chooses nodes, answers questions, loosens how often something may run, or is a secret
//! has no default: it has to be said each time.

use std::path::{Path, PathBuf};

use clap::builder::Resettable;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command, Id};
use herder_core::target::suggest;

use super::file::FileDefault;
use crate::failure::Failure;

/// A flag that may have a default.
struct Defaultable {
    flag: &'static str,
    /// The flag without which it means nothing: the default is left out then.
    needs: Option<&'static str>,
}

const fn free(flag: &'static str) -> Defaultable {
    Defaultable { flag, needs: None }
}

const fn with(flag: &'static str, needs: &'static str) -> Defaultable {
    Defaultable { flag, needs: Some(needs) }
}

const DEFAULTABLE: [Defaultable; 24] = [
    free("by"),
    free("calendar"),
    free("columns"),
    free("concurrency"),
    free("cwd"),
    free("delivery-timeout"),
    free("diff"),
    free("escape-char"),
    with("gate", "waves"),
    free("log-group"),
    free("max-errors"),
    free("output"),
    free("preserve"),
    free("rate"),
    free("s3"),
    free("shell"),
    with("soak", "waves"),
    free("sort"),
    with("spread", "waves"),
    free("stop-on-alarm"),
    free("timeout"),
    free("user"),
    free("via"),
    free("waves"),
];

/// A default that is in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DefaultInUse {
    /// The flag without its dashes.
    pub flag: String,
    /// Its values, joined by commas.
    pub value: String,
    /// The configuration file.
    pub path: PathBuf,
    /// Counts from 1.
    pub line: usize,
}

/// Tells whether a file's defaults make sense for this command line.
///
/// # Errors
/// A command or flag doesn't exist or may have no default, or its value can't be one.
pub(crate) fn check(defaults: &[FileDefault], root: &Command, path: &Path) -> Result<(), Failure> {
    defaults.iter().try_for_each(|default| {
        check_one(default, root).map_err(|(what, hint)| {
            let failure = Failure::usage(format!("{}:{}: {what}", path.display(), default.line));
            if hint.is_empty() { failure } else { failure.hint(hint) }
        })
    })
}

fn check_one(default: &FileDefault, root: &Command) -> Result<(), (String, String)> {
    let flag = &default.flag;
    let mut command = root;
    for word in &default.command {
        let Some(next) = command.find_subcommand(word) else {
            let names = command.get_subcommands().map(Command::get_name);
            let hint = match suggest(word, names) {
                Some(near) => format!("Did you mean `{near}`?"),
                None => "See `herder --help` for the commands.".to_owned(),
            };
            return Err((format!("there is no command `{}`", default.command.join(" ")), hint));
        };
        command = next;
    }
    let words = default.command.join(" ");
    // Those that every command takes are the root's.
    let Some(arg) = arg_of(command, flag).or_else(|| arg_of(root, flag)) else {
        let flags = command.get_arguments().filter_map(Arg::get_long).filter(|flag| may_default(flag));
        let hint = match suggest(flag, flags) {
            Some(near) => format!("Did you mean `{near}`?"),
            None => format!("See `herder {words} --help` for its flags."),
        };
        return Err((format!("`herder {words}` has no flag `{flag}`"), hint));
    };
    if !may_default(flag) {
        return Err((
            format!("`{flag}` can't have a default"),
            format!("Say it each time: `herder {words} --{flag} …`."),
        ));
    }
    check_values(arg, default)
}

/// Parses the values by the flag's own rules, apart from what it goes together with.
fn check_values(arg: &Arg, default: &FileDefault) -> Result<(), (String, String)> {
    let flag = &default.flag;
    if is_switch(arg) {
        let is_truth = matches!(default.values.as_slice(), [value] if value == "true" || value == "false");
        let wrong = || (format!("`{flag}` has to be true or false"), String::new());
        return if is_truth { Ok(()) } else { Err(wrong()) };
    }
    let alone =
        arg.clone().requires(Resettable::<Id>::Reset).conflicts_with(Resettable::<Id>::Reset).required(false);
    let words = default.values.iter().map(|value| format!("--{flag}={value}"));
    let parsed = Command::new("herder").no_binary_name(true).arg(alone).try_get_matches_from(words);
    parsed.map(|_| ()).map_err(|error| {
        let text = error.to_string();
        let line = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
        (line.to_owned(), format!("Write it as it would be typed after --{flag}."))
    })
}

fn may_default(flag: &str) -> bool {
    DEFAULTABLE.iter().any(|known| known.flag == flag)
}

fn is_switch(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::SetTrue)
}

fn arg_of<'a>(command: &'a Command, flag: &str) -> Option<&'a Arg> {
    command.get_arguments().find(|arg| arg.get_long() == Some(flag))
}

/// The command that was chosen: its words, and what was given to it.
pub(crate) fn chosen(matches: &ArgMatches) -> (Vec<String>, &ArgMatches) {
    let (mut words, mut at) = (Vec::new(), matches);
    while let Some((name, below)) = at.subcommand() {
        words.push(name.to_owned());
        at = below;
    }
    (words, at)
}

/// The command line with the file's defaults for the command that was chosen, and which of them count. `None` where none does.
pub(crate) fn apply(
    root: Command,
    matches: &ArgMatches,
    defaults: &[FileDefault],
    path: &Path,
) -> Option<(Command, Vec<DefaultInUse>)> {
    let (words, given) = chosen(matches);
    let command = words.iter().try_fold(&root, |command, word| command.find_subcommand(word))?;
    let is_given = |id: &str| given.value_source(id) == Some(ValueSource::CommandLine);
    let of_command = || defaults.iter().filter(|default| default.command == words);
    let has = |flag: &str| {
        arg_of(command, flag).is_some_and(|arg| is_given(arg.get_id().as_str()))
            || of_command().any(|default| default.flag == flag)
    };
    let mut used = Vec::new();
    for default in of_command() {
        let Some(arg) = arg_of(command, &default.flag) else { continue };
        let needs = DEFAULTABLE.iter().find(|known| known.flag == default.flag).and_then(|known| known.needs);
        let stands_back = is_given(arg.get_id().as_str())
            || needs.is_some_and(|needs| !has(needs))
            || command.get_arg_conflicts_with(arg).iter().any(|other| is_given(other.get_id().as_str()))
            || (is_switch(arg) && default.values == ["false"])
            // `--json` and `--jsonl` are formats too.
            || (default.flag == "output" && ["json", "jsonl"].iter().any(|id| is_flag_on(given, id)));
        if !stands_back {
            used.push((arg.get_id().to_string(), default));
        }
    }
    if used.is_empty() {
        return None;
    }
    let in_use = used
        .iter()
        .map(|(_, default)| DefaultInUse {
            flag: default.flag.clone(),
            value: default.values.join(","),
            path: path.to_owned(),
            line: default.line,
        })
        .collect();
    Some((with_values(root, &words, &used), in_use))
}

fn is_flag_on(given: &ArgMatches, id: &str) -> bool {
    given.try_get_one::<bool>(id).ok().flatten().copied().unwrap_or(false)
}

fn with_values(command: Command, words: &[String], used: &[(String, &FileDefault)]) -> Command {
    match words {
        [] => used.iter().fold(command, |command, (id, default)| {
            let values = default.values.clone();
            command.mut_arg(id, |arg| arg.default_values(values))
        }),
        [word, below @ ..] => command.mut_subcommand(word, |command| with_values(command, below, used)),
    }
}

/// Every flag that may have a default, with the built-in one: command, flag, values.
pub(crate) fn every(root: &Command) -> Vec<(String, String, Option<String>)> {
    let mut all = Vec::new();
    gather(root, &[], &mut all);
    all
}

fn gather(command: &Command, words: &[&str], all: &mut Vec<(String, String, Option<String>)>) {
    for below in command.get_subcommands().filter(|command| !command.is_hide_set()) {
        let words = [words, &[below.get_name()]].concat();
        for arg in below.get_arguments() {
            let Some(flag) = arg.get_long().filter(|flag| may_default(flag)) else { continue };
            let values: Vec<String> =
                arg.get_default_values().iter().map(|value| value.to_string_lossy().into_owned()).collect();
            let value = (!values.is_empty()).then(|| values.join(","));
            all.push((words.join("."), flag.to_owned(), value));
        }
        gather(below, &words, all);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn default(command: &str, flag: &str, values: &[&str]) -> FileDefault {
        FileDefault {
            command: command.split(' ').map(str::to_owned).collect(),
            flag: flag.to_owned(),
            values: values.iter().map(|v| (*v).to_owned()).collect(),
            line: 7,
        }
    }

    fn root() -> Command {
        let mut root = crate::command();
        root.build();
        root
    }

    fn used(line: &str, defaults: &[FileDefault]) -> Vec<(String, String)> {
        let matches = root().try_get_matches_from(line.split(' ')).unwrap();
        let applied = apply(crate::command(), &matches, defaults, Path::new("c.toml"));
        let Some((command, used)) = applied else { return Vec::new() };
        let matches = command.try_get_matches_from(line.split(' ')).unwrap();
        let (_, given) = chosen(&matches);
        for default in &used {
            let id = default.flag.replace('-', "_");
            let raw: Vec<_> = given.get_raw(&id).unwrap().map(|v| v.to_str().unwrap().to_owned()).collect();
            assert_eq!(raw.join(","), default.value, "{line}");
        }
        used.into_iter().map(|default| (default.flag, default.value)).collect()
    }

    #[test]
    fn every_flag_that_may_have_a_default_exists_and_none_that_is_dangerous() {
        let all = every(&root());
        for Defaultable { flag, needs } in &DEFAULTABLE {
            assert!(all.iter().any(|(_, known, _)| known == flag), "{flag}");
            assert!(needs.is_none_or(|needs| all.iter().any(|(_, known, _)| known == needs)), "{flag}");
        }
        let dangerous =
            ["yes", "target", "exclude", "env", "parameter", "resend-ambiguous", "dry-run", "exit"];
        assert!(dangerous.iter().all(|flag| !may_default(flag)));
        assert!(all.contains(&("exec".to_owned(), "concurrency".to_owned(), Some("50".to_owned()))));
    }

    #[test]
    fn what_makes_no_sense_says_where_and_why() {
        for (default, message, hint) in [
            (default("exce", "concurrency", &["1"]), "there is no command `exce`", "Did you mean `exec`?"),
            (
                default("exec", "max_errors", &["1"]),
                "`herder exec` has no flag `max_errors`",
                "`max-errors`?",
            ),
            (default("exec", "yes", &["true"]), "`yes` can't have a default", "--yes"),
            (default("exec", "target", &["all"]), "`target` can't have a default", "--target"),
            (default("exec", "concurrency", &["many"]), "invalid value 'many' for '--concurrency", "typed"),
            (default("exec", "soak", &["long"]), "invalid value 'long' for '--soak", "typed"),
            (default("exec", "diff", &["7"]), "`diff` has to be true or false", ""),
            (default("runs", "concurrency", &["1"]), "`herder runs` has no flag `concurrency`", "--help"),
        ] {
            let failure = check(std::slice::from_ref(&default), &root(), Path::new("c.toml")).unwrap_err();
            assert!(failure.message.starts_with(&format!("c.toml:7: {message}")), "{failure:?}");
            assert!(failure.hints.concat().contains(hint), "{failure:?}");
        }
        let good = [
            default("exec", "waves", &["1", "10%"]),
            default("exec", "gate", &["alarm:web-5xx", "tg:web"]),
            default("exec", "diff", &["true"]),
            default("runs retry", "soak", &["5m"]),
            default("nodes list", "columns", &["id", "name"]),
        ];
        assert_eq!(check(&good, &root(), Path::new("c.toml")).map_err(|f| f.message), Ok(()));
    }

    #[test]
    fn a_flag_on_the_line_wins_and_so_does_what_it_conflicts_with() {
        let pair = |flag: &str, value: &str| (flag.to_owned(), value.to_owned());
        let narrow = [default("exec", "concurrency", &["10%"])];
        assert_eq!(used("herder exec -t a -- true", &narrow), [pair("concurrency", "10%")]);
        assert_eq!(used("herder exec -t a -c 3 -- true", &narrow), []);
        assert_eq!(used("herder runs retry @last", &narrow), []);
        let waves = [default("exec", "waves", &["1", "10%"]), default("exec", "soak", &["5m"])];
        assert_eq!(used("herder exec -t a -- true", &waves), [pair("waves", "1,10%"), pair("soak", "5m")]);
        assert_eq!(used("herder exec -t a -- true", &waves[1..]), [], "without waves it means nothing");
        assert_eq!(used("herder exec -t a --waves 1,2 -- true", &waves), [pair("soak", "5m")]);
        let timeout = [default("exec", "timeout", &["5m"])];
        assert_eq!(used("herder exec -t a --document D", &timeout), []);
        assert_eq!(used("herder exec -t a -- true", &timeout), [pair("timeout", "5m")]);
        let output = [default("exec", "output", &["json"])];
        assert_eq!(used("herder exec -t a --jsonl -- true", &output), []);
        assert_eq!(used("herder exec -t a -o csv -- true", &output), []);
        let switch = [default("exec", "diff", &["true"])];
        assert_eq!(used("herder exec -t a -- true", &switch), [pair("diff", "true")]);
        let off = [default("exec", "diff", &["false"])];
        assert_eq!(used("herder exec -t a -- true", &off), []);
    }
}
