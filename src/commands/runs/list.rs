//! `herder runs list`.

use std::io::Write as _;
use std::num::NonZeroUsize;

use clap::Args;
use herder_core::target::{Pattern, Which};
use herder_core::time::parse_instant;
use jiff::Timestamp;

use super::which;
use crate::args::ListArgs;
use crate::commands::write_list;
use crate::ctx::Ctx;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::io::Io;
use crate::ops::runs::{RunFilter, RunState, list};
use crate::render::Column;

/// List runs, newest first
///
/// All conditions must hold; of several values of one, any.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  herder runs list
  herder runs list --since -2h --where bad
  herder runs list --node web-1 --limit 5
  herder runs list --state left_behind -o quiet
  herder runs list --json | jq -r '.[] | select(.state==\"left_behind\") | .run'")]
pub(super) struct RunsListArgs {
    /// Those that are in this state
    #[arg(long, value_name = "STATE,…", value_delimiter = ',', value_enum, help_heading = "Filter options")]
    state: Vec<RunState>,

    /// Those of this workflow, such as exec
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', help_heading = "Filter options")]
    command: Vec<String>,

    /// Those made since then: -2h, 09:30, 2026-11-21T09:30:00Z
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, help_heading = "Filter options")]
    since: Option<String>,

    /// Those made before then
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, help_heading = "Filter options")]
    until: Option<String>,

    /// Those whose title or reason contains this
    #[arg(long = "match", value_name = "TEXT", help_heading = "Filter options")]
    text: Option<String>,

    /// Those with a target that ended so: bad, or a verdict such as failed or unknown
    #[arg(
        long = "where",
        value_name = "VERDICT,…",
        value_delimiter = ',',
        value_parser = which,
        help_heading = "Filter options"
    )]
    wanted: Vec<Which>,

    /// Those that ended with this exit code
    #[arg(long, value_name = "CODE,…", value_delimiter = ',', help_heading = "Filter options")]
    exit: Vec<i32>,

    /// Those that had this node among their targets, by id or name (globs)
    #[arg(long, value_name = "NODE", help_heading = "Filter options")]
    node: Option<String>,

    /// Those that worked in this account or region
    #[arg(long, value_name = "ACCOUNT|REGION", help_heading = "Filter options")]
    scope: Option<String>,

    /// So many at most
    #[arg(long, value_name = "N", help_heading = "Filter options")]
    limit: Option<NonZeroUsize>,

    #[command(flatten)]
    list: ListArgs,
}

impl RunsListArgs {
    fn filter(&self, ctx: &Ctx) -> Result<RunFilter, Failure> {
        let now = ctx.clock.now().to_zoned(ctx.zone());
        let instant = |flag: &str, text: &Option<String>| -> Result<Option<Timestamp>, Failure> {
            let read = |text: &String| {
                parse_instant(text, &now).map_err(|error| Failure::usage(format!("{flag}: {error}")))
            };
            text.as_ref().map(read).transpose()
        };
        Ok(RunFilter {
            states: self.state.clone(),
            commands: self.command.clone(),
            since: instant("--since", &self.since)?,
            until: instant("--until", &self.until)?,
            text: self.text.clone(),
            verdicts: self.wanted.clone(),
            exits: self.exit.clone(),
            node: self.node.as_deref().map(Pattern::glob),
            scope: self.scope.clone(),
            limit: self.limit.map(NonZeroUsize::get),
        })
    }
}

const COLUMNS: [Column; 14] = [
    Column::usual("run"),
    Column::usual("state"),
    Column::usual("created").of_times(),
    Column::usual("command"),
    Column::usual("title"),
    Column::usual("targets"),
    Column::usual("tally"),
    Column::usual("exit"),
    Column::extra("reason"),
    Column::extra("open"),
    Column::extra("took_ms"),
    Column::extra("account"),
    Column::extra("region"),
    Column::extra("sim"),
];

pub(super) fn run(ctx: &Ctx, io: &Io, args: &RunsListArgs) -> Result<Exit, Failure> {
    let (runs, warnings) = list(ctx, &args.filter(ctx)?)?;
    for warning in warnings {
        let _ = writeln!(io.stderr(), "warning: {warning}");
    }
    if runs.iter().any(|run| run.sim) {
        io.note_simulated();
    }
    write_list(io, &COLUMNS, &args.list.options(ctx), &runs)
}
