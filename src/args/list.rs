//! How lists are written.

use clap::Args;
use jiff::tz::TimeZone;

use super::output::OutputFormat;
use crate::ctx::Ctx;
use crate::render::{Format, ListOptions};

/// How lists are written. Without any of these: a table on a terminal, tab-separated values without a header in a pipe.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Output options")]
pub(crate) struct ListArgs {
    /// Format of the list on stdout
    #[arg(short, long, value_name = "FORMAT", value_enum)]
    pub output: Option<OutputFormat>,

    /// The same as `-o json`
    #[arg(long, conflicts_with_all = ["output", "jsonl"])]
    pub json: bool,

    /// The same as `-o jsonl`
    #[arg(long, conflicts_with = "output")]
    pub jsonl: bool,

    /// Columns to show, in order
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    pub columns: Vec<String>,

    /// Sort by a column; `-NAME` for the other way round
    #[arg(long, value_name = "[-]NAME", allow_hyphen_values = true)]
    pub sort: Option<String>,
}

impl ListArgs {
    pub(crate) fn options(&self, ctx: &Ctx) -> ListOptions {
        ListOptions {
            format: match (self.json, self.jsonl, self.output) {
                (true, ..) => Format::Json,
                (_, true, _) => Format::Jsonl,
                (.., None) => Format::Auto,
                (.., Some(format)) => format.into(),
            },
            columns: self.columns.clone(),
            sort: self.sort.clone(),
            zone: if ctx.settings.utc { TimeZone::UTC } else { TimeZone::system() },
        }
    }
}
