//! `herder config show`: every setting, its value, and where it comes from.

use clap::{Args, CommandFactory as _};
use serde::Serialize;

use crate::args::ListArgs;
use crate::commands::write_list;
use crate::ctx::Ctx;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::io::Io;
use crate::render::Column;
use crate::settings::{Setting, Settings, Source, every};

/// Show every setting, its value, and where it comes from
///
/// A flag wins over the environment (HERDER_REGION and so on, for the flags that every command takes), that over the configuration
/// file, and the file over what is built in.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  herder config show
  herder config show --all
  herder config show --json | jq -r '.[] | select(.source == \"file\") | .setting'")]
pub(super) struct ConfigShowArgs {
    /// List every flag that may have a default in the file, with the built-in one
    #[arg(long)]
    all: bool,

    #[command(flatten)]
    list: ListArgs,
}

const COLUMNS: [Column; 6] = [
    Column::usual("setting"),
    Column::usual("value"),
    Column::usual("from"),
    Column::extra("source"),
    Column::extra("file"),
    Column::extra("line"),
];

/// A setting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Row {
    setting: String,
    /// Null where nothing is set.
    value: Option<String>,
    /// The source in words: `--region`, `HERDER_REGION`, `/home/ada/.config/herder/config.toml:3`.
    from: String,
    /// `flag`, `environment`, `file`, `default`, `unset`.
    source: &'static str,
    file: Option<String>,
    line: Option<usize>,
}

pub(super) fn run(ctx: &Ctx, io: &Io, args: &ConfigShowArgs) -> Result<Exit, Failure> {
    let mut rows = settings(&ctx.settings, &|name| ctx.environment.get(name).map(str::to_owned));
    rows.extend(of_file(&ctx.settings));
    if args.all {
        rows.extend(built_in(&ctx.settings));
    }
    write_list(io, &COLUMNS, &args.list.options(ctx), &rows)
}

/// Variables that are asked where neither herder's own nor the file says anything: the aws CLI's.
const PROFILE: [&str; 2] = ["AWS_PROFILE", "AWS_DEFAULT_PROFILE"];
const REGION: [&str; 2] = ["AWS_REGION", "AWS_DEFAULT_REGION"];

fn settings(settings: &Settings, variable: &dyn Fn(&str) -> Option<String>) -> Vec<Row> {
    let of = Of { file: settings.file.path.as_ref().map(|path| path.display().to_string()) };
    let aws = |name: &str, names: &[&'static str], unset: &str| {
        let found = names.iter().find_map(|name| Some((*name, variable(name)?)));
        match found {
            Some((from, value)) => of.row(name, Some(value), &Source::Environment(from)),
            None => of.unset(name, unset),
        }
    };
    let or = |name: &'static str, setting: &Option<Setting<String>>, unset: &str| match setting {
        Some(setting) => of.row(name, Some(setting.value.clone()), &setting.source),
        None => of.unset(name, unset),
    };
    let switch =
        |name, setting: &Setting<bool>| of.row(name, Some(setting.value.to_string()), &setting.source);
    let mut rows = vec![
        match &settings.profile {
            Some(_) => or("profile", &settings.profile, ""),
            None => aws("profile", &PROFILE, "the aws CLI's default"),
        },
        match &settings.region {
            Some(_) => or("region", &settings.region, ""),
            None => aws("region", &REGION, "the profile's"),
        },
        or("account", &settings.account, "the caller's own"),
        or("assume-role", &settings.assume_role, "none"),
        or("sim", &settings.sim, "off"),
        of.row("state-dir", Some(settings.state_dir.value.display().to_string()), &settings.state_dir.source),
        switch("utc", &settings.utc),
        switch("yes", &settings.yes),
        switch("no-defaults", &settings.no_defaults),
    ];
    let cache = settings.cache_dir.as_ref().map(|path| path.display().to_string());
    rows.push(of.row("cache directory", cache, &Source::Default));
    let state = if settings.file.exists { "read" } else { "there is none; `herder config init` writes one" };
    rows.push(Row {
        from: state.to_owned(),
        ..of.row("configuration file", of.file.clone(), &Source::Default)
    });
    rows
}

/// Aliases and defaults, as the file has them.
fn of_file(settings: &Settings) -> Vec<Row> {
    let of = Of { file: settings.file.path.as_ref().map(|path| path.display().to_string()) };
    let aliases = settings.file.aliases.iter().map(|(name, alias)| {
        of.row(&format!("aliases.{name}"), Some(alias.value.clone()), &Source::File(alias.line))
    });
    let defaults = settings.file.defaults.iter().map(|default| {
        let name = format!("defaults.{}.{}", default.command.join("."), default.flag);
        let mut row = of.row(&name, Some(default.values.join(",")), &Source::File(default.line));
        if settings.no_defaults.value {
            row.from.push_str(" (off: --no-defaults)");
        }
        row
    });
    aliases.chain(defaults).collect()
}

/// The flags that the file says nothing of.
fn built_in(settings: &Settings) -> Vec<Row> {
    let of = Of { file: None };
    let is_in_file = |command: &str, flag: &str| {
        let mut defaults = settings.file.defaults.iter();
        defaults.any(|default| default.command.join(".") == command && default.flag == flag)
    };
    every(&crate::cli::Cli::command())
        .into_iter()
        .filter(|(command, flag, _)| !is_in_file(command, flag))
        .map(|(command, flag, value)| {
            let name = format!("defaults.{command}.{flag}");
            match value {
                Some(value) => of.row(&name, Some(value), &Source::Default),
                None => of.unset(&name, "none"),
            }
        })
        .collect()
}

/// Makes rows of one file.
struct Of {
    file: Option<String>,
}

impl Of {
    fn row(&self, setting: &str, value: Option<String>, source: &Source) -> Row {
        let (word, from, line) = match source {
            Source::Flag => ("flag", format!("--{setting}"), None),
            Source::Environment(name) => ("environment", (*name).to_owned(), None),
            Source::File(line) => {
                let file = self.file.as_deref().unwrap_or_default();
                ("file", format!("{file}:{line}"), Some(*line))
            }
            Source::Default => ("default", "built in".to_owned(), None),
        };
        let file = line.and(self.file.clone());
        Row { setting: setting.to_owned(), value, from, source: word, file, line }
    }

    /// One that nothing says anything of; `otherwise` is what holds then.
    fn unset(&self, setting: &str, otherwise: &str) -> Row {
        let from = format!("not set: {otherwise}");
        Row { setting: setting.to_owned(), value: None, from, source: "unset", file: None, line: None }
    }
}
