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
use crate::render::{Column, counted};

/// Forget old runs: those that are older than 30 days, and the oldest ones beyond 5 GB
///
/// A run that is being driven is always kept. What was forgotten can't be shown or resumed any more.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  herder runs prune --dry-run
  herder runs prune --keep 7d --keep-bytes 500MB")]
pub(super) struct RunsPruneArgs {
    /// Keep runs that are younger
    #[arg(long, value_name = "DURATION", default_value = "30d", value_parser = age)]
    keep: Duration,

    /// Of these keep the newest that fit into so many bytes: a number, or with KB, MB, GB or TB
    #[arg(long, value_name = "BYTES", default_value = "5GB", value_parser = bytes)]
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

/// `500000000`, `500MB`, `1.5 GB`: powers of a thousand, as everywhere here.
fn bytes(text: &str) -> Result<u64, String> {
    let wrong = || "give a number of bytes, such as 500MB or 5GB".to_owned();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = text.get(digits.len()..).unwrap_or_default().to_ascii_uppercase();
    let unit = match unit.as_str() {
        "" | "B" => 1.0,
        "K" | "KB" => 1e3,
        "M" | "MB" => 1e6,
        "G" | "GB" => 1e9,
        "T" | "TB" => 1e12,
        _ => return Err(wrong()),
    };
    let number: f64 = digits.trim().parse().map_err(|_| wrong())?;
    // No file system holds more than 2^63 bytes.
    let bytes = number * unit;
    if (0.0..9.2e18).contains(&bytes) { Ok(bytes as u64) } else { Err(wrong()) }
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
    let runs = counted(rows.len(), "run");
    let _ = writeln!(io.stderr(), "{word} {runs}, {} MB", bytes.div_ceil(1_000_000));
    write_list(io, &COLUMNS, &args.list.options(ctx), &rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_with_units() {
        assert_eq!(
            ["0", "500000000", "500MB", "1.5 gb", "2K"].map(|text| bytes(text).unwrap()),
            [0, 500_000_000, 500_000_000, 1_500_000_000, 2_000]
        );
        for wrong in ["", "MB", "-1", "1XB", "1e30", "nan", "1 GB 2"] {
            assert!(bytes(wrong).is_err(), "{wrong}");
        }
        assert_eq!(bytes("5GB").unwrap(), Keep::default().bytes);
    }
}
