//! How lists are written.

use clap::Args;

use super::FormatArgs;
use crate::ctx::Ctx;
use crate::render::ListOptions;

/// How lists are written. Without any of these: a table on a terminal, tab-separated values without a header in a pipe.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Output options")]
pub(crate) struct ListArgs {
    #[command(flatten)]
    format: FormatArgs,

    /// Columns to show, in order
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    columns: Vec<String>,

    /// Sort by a column; `-NAME` for the other way round
    #[arg(long, value_name = "[-]NAME", allow_hyphen_values = true)]
    sort: Option<String>,
}

impl ListArgs {
    /// How the list is shown.
    pub(crate) fn options(&self, ctx: &Ctx) -> ListOptions {
        ListOptions {
            format: self.format.format(),
            columns: self.columns.clone(),
            sort: self.sort.clone(),
            zone: ctx.zone(),
            is_qualified: false,
        }
    }
}
