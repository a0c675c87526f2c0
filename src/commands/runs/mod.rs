//! `herder runs`: runs from their journals.

mod attach;
mod cancel;
mod prune;
mod resume;
mod retry;
mod show;

use std::io::Write as _;

use clap::{Args, Subcommand};
use herder_core::target::{RunRef, suggest};

use super::exec::{Piped, read_stdin, warn_of_values};
use super::{interruptible, write_list};
use crate::args::ListArgs;
use crate::ctx::Ctx;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::io::Io;
use crate::ops::exec::{EnvName, GivenValues, split_env, split_parameters};
use crate::ops::runs::list;
use crate::render::Column;

/// Look at runs, and go on with one that was killed
#[derive(Args, Clone, Debug)]
pub(crate) struct RunsArgs {
    #[command(subcommand)]
    verb: RunsVerb,
}

#[derive(Clone, Debug, Subcommand)]
enum RunsVerb {
    List(RunsListArgs),
    Show(show::RunsShowArgs),
    Attach(attach::RunsAttachArgs),
    Resume(Box<resume::RunsResumeArgs>),
    Retry(Box<retry::RunsRetryArgs>),
    Cancel(cancel::RunsCancelArgs),
    Prune(prune::RunsPruneArgs),
}

/// List runs, newest first
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  herder runs list
  herder runs list --json | jq -r '.[] | select(.state==\"left_behind\") | .run'")]
struct RunsListArgs {
    #[command(flatten)]
    list: ListArgs,
}

/// Values that the journal doesn't keep, given again.
#[derive(Args, Clone, Debug, Default)]
struct GivenArgs {
    /// A variable's value again, from herder's environment or as NAME=VALUE (can be repeated)
    #[arg(long, value_name = "NAME[=VALUE]")]
    env: Vec<String>,

    /// A parameter of the document again (can be repeated)
    #[arg(short, long = "parameter", value_name = "NAME=VALUE")]
    parameters: Vec<String>,

    /// Give the command's standard input again
    #[arg(long)]
    stdin: bool,
}

impl GivenArgs {
    async fn values(&self, ctx: &Ctx, io: &Io) -> Result<GivenValues, Failure> {
        warn_of_values(io, &self.env);
        let (names, mut env) = split_env(&self.env)?;
        for name in names {
            let EnvName::Environment(name) = name else { continue };
            let value = ctx.environment.get(&name).ok_or_else(|| {
                Failure::usage(format!("the variable `{name}` is not set in herder's environment"))
                    .hint(format!("Export it, or give it with --env {name}=VALUE."))
            })?;
            env.insert(name, value.to_owned());
        }
        let stdin = if self.stdin { Some(read_stdin(ctx, io, Piped::Input).await?) } else { None };
        Ok(GivenValues { env, parameters: split_parameters(&self.parameters)?, stdin })
    }
}

fn run_ref(text: &str) -> Result<RunRef, String> {
    match text.trim_start_matches('@') {
        "last" => Ok(RunRef::Last),
        id => id.parse().map(RunRef::Id).map_err(|error: herder_core::run_id::NotARunId| {
            let meant = suggest(id, ["last"]).map(|meant| format!("; did you mean `{meant}`?"));
            format!("{error}{}", meant.unwrap_or_default())
        }),
    }
}

const COLUMNS: [Column; 13] = [
    Column::usual("run"),
    Column::usual("state"),
    Column::usual("created").of_times(),
    Column::usual("command"),
    Column::usual("title"),
    Column::usual("targets"),
    Column::usual("tally"),
    Column::usual("exit"),
    Column::extra("open"),
    Column::extra("took_ms"),
    Column::extra("account"),
    Column::extra("region"),
    Column::extra("sim"),
];

pub(crate) async fn run(ctx: &Ctx, io: &Io, args: RunsArgs) -> Result<Exit, Failure> {
    match args.verb {
        RunsVerb::List(args) => {
            let (own, io) = (ctx.clone(), io.clone());
            interruptible(ctx, move || list_runs(&own, &io, &args)).await
        }
        RunsVerb::Show(args) => {
            let (own, io) = (ctx.clone(), io.clone());
            interruptible(ctx, move || show::run(&own, &io, &args)).await
        }
        RunsVerb::Attach(args) => attach::run(ctx, io, &args).await,
        RunsVerb::Resume(args) => resume::run(ctx, io, *args).await,
        RunsVerb::Retry(args) => retry::run(ctx, io, *args).await,
        RunsVerb::Cancel(args) => cancel::run(ctx, io, &args).await,
        RunsVerb::Prune(args) => {
            let (own, io) = (ctx.clone(), io.clone());
            interruptible(ctx, move || prune::run(&own, &io, &args)).await
        }
    }
}

fn list_runs(ctx: &Ctx, io: &Io, args: &RunsListArgs) -> Result<Exit, Failure> {
    let (runs, warnings) = list(ctx)?;
    for warning in warnings {
        let _ = writeln!(io.stderr(), "warning: {warning}");
    }
    if runs.iter().any(|run| run.sim) {
        io.note_simulated();
    }
    write_list(io, &COLUMNS, &args.list.options(ctx), &runs)
}
