//! `herder runs prune`: forgetting old runs.

use std::io::Write as _;
use std::time::Duration;

use clap::Args;
use herder_core::journal::{Keep, Prunable};
use herder_core::time::{Bounds, parse_duration};
use serde::Serialize;

use crate::args::ListArgs;
use crate::commands::write_list;
use crate::ctx::Ctx;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::io::Io;
use crate::render::Column;

/// Forget old runs: those that are older than 30 days, and the oldest ones beyond 5 GB
///
/// A run that is being driven is always kept. What was forgotten can't be shown or resumed any more.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  herder runs prune --dry-run
  herder runs prune --keep 7d --keep-bytes 500000000")]
pub(super) struct RunsPruneArgs {
    /// Keep runs that are younger
    #[arg(long, value_name = "DURATION", default_value = "30d", value_parser = age)]
    keep: Duration,

    /// Of these keep the newest that fit into so many bytes
    #[arg(long, value_name = "BYTES", default_value_t = Keep::default().bytes)]
    keep_bytes: u64,

    /// Only list what would be forgotten
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    list: ListArgs,
}

fn age(text: &str) -> Result<Duration, String> {
    parse_duration(text, Bounds::ANY).map_err(|error| error.to_string())
}

#[derive(Serialize)]
struct Row<'a> {
    run: &'a str,
    created: Option<jiff::Timestamp>,
    bytes: u64,
}

const COLUMNS: [Column; 3] =
    [Column::usual("run"), Column::usual("created").of_times(), Column::usual("bytes")];

pub(super) fn run(ctx: &Ctx, io: &Io, args: &RunsPruneArgs) -> Result<Exit, Failure> {
    let runs = ctx.runs();
    let keep = Keep { age: args.keep, bytes: args.keep_bytes };
    let mut prunable = runs.prunable(keep, ctx.clock.now())?;
    if !args.dry_run {
        let mut kept = Vec::new();
        prunable.retain(|prunable| match runs.forget(&prunable.run) {
            Ok(()) => true,
            Err(error) => {
                kept.push(error.to_string());
                false
            }
        });
        for error in kept {
            let _ = writeln!(io.stderr(), "warning: {error}");
        }
    }
    let rows: Vec<Row<'_>> = prunable
        .iter()
        .map(|Prunable { run, created, bytes }| Row { run: run.as_str(), created: *created, bytes: *bytes })
        .collect();
    let bytes: u64 = rows.iter().map(|row| row.bytes).sum();
    let word = if args.dry_run { "would forget" } else { "forgot" };
    let _ = writeln!(io.stderr(), "{word} {} runs, {} MB", rows.len(), bytes.div_ceil(1_000_000));
    write_list(io, &COLUMNS, &args.list.options(ctx), &rows)
}
