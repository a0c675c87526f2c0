//! How results are written.

use std::path::PathBuf;

use std::sync::Arc;

use clap::{Args, ValueEnum};
use jiff::tz::TimeZone;

use crate::ctx::Ctx;
use crate::render::{Format, RenderOptions};

/// How results are written. Without any of these: a live view and a folded summary on a terminal, `node<TAB>line` in a pipe.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Output options")]
pub(crate) struct OutputArgs {
    /// Format of the results on stdout
    #[arg(short, long, value_name = "FORMAT", value_enum)]
    pub output: Option<OutputFormat>,

    /// The same as `-o json`
    #[arg(long, conflicts_with_all = ["output", "jsonl"])]
    pub json: bool,

    /// The same as `-o jsonl`
    #[arg(long, conflicts_with = "output")]
    pub jsonl: bool,

    /// Show how outputs differ from what most nodes said
    #[arg(long)]
    pub diff: bool,

    /// Write each node's stdout, stderr and result to files here, byte for byte
    #[arg(long, value_name = "DIR")]
    pub out_dir: Option<PathBuf>,
}

/// A format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputFormat {
    /// One document at the end
    Json,
    /// One event a line, as it happens
    Jsonl,
    /// Comma-separated, with a header
    Csv,
    /// A table
    Table,
    /// Only what needs attention
    Quiet,
}

impl From<OutputFormat> for Format {
    fn from(format: OutputFormat) -> Format {
        match format {
            OutputFormat::Json => Format::Json,
            OutputFormat::Jsonl => Format::Jsonl,
            OutputFormat::Csv => Format::Csv,
            OutputFormat::Table => Format::Table,
            OutputFormat::Quiet => Format::Quiet,
        }
    }
}

impl OutputArgs {
    /// The format asked for, if one was.
    #[must_use]
    pub(crate) fn format(&self) -> Option<OutputFormat> {
        if self.json {
            Some(OutputFormat::Json)
        } else if self.jsonl {
            Some(OutputFormat::Jsonl)
        } else {
            self.output
        }
    }

    /// How a run is shown.
    #[must_use]
    pub(crate) fn render_options(&self, ctx: &Ctx) -> RenderOptions {
        let clock = ctx.clock;
        RenderOptions {
            format: match self.format() {
                None => Format::Auto,
                Some(format) => format.into(),
            },
            diff: self.diff,
            zone: if ctx.settings.utc { TimeZone::UTC } else { TimeZone::system() },
            columns: Vec::new(),
            out_dir: self.out_dir.clone(),
            clock: Arc::new(move || clock.now()),
        }
    }
}
