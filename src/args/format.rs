//! The format of what is on stdout.

use clap::{Args, ValueEnum};

use crate::render::Format;

/// The format of what is on stdout.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Output options")]
pub(crate) struct FormatArgs {
    /// Format of the results on stdout
    #[arg(short, long, value_name = "FORMAT", value_enum)]
    output: Option<OutputFormat>,

    /// The same as `-o json`
    #[arg(long, conflicts_with_all = ["output", "jsonl"])]
    json: bool,

    /// The same as `-o jsonl`
    #[arg(long, conflicts_with = "output")]
    jsonl: bool,
}

/// A format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum OutputFormat {
    /// One document at the end
    Json,
    /// One event or row a line, as it happens
    Jsonl,
    /// Comma-separated, with a header
    Csv,
    /// A table
    Table,
    /// Only what needs attention
    Quiet,
}

impl FormatArgs {
    /// What was asked for.
    pub(crate) fn format(&self) -> Format {
        // `output` may be a default of the configuration file: the two flags win over it.
        match (self.json, self.jsonl, self.output) {
            (true, ..) => Format::Json,
            (_, true, _) => Format::Jsonl,
            (.., Some(OutputFormat::Json)) => Format::Json,
            (.., Some(OutputFormat::Jsonl)) => Format::Jsonl,
            (.., Some(OutputFormat::Csv)) => Format::Csv,
            (.., Some(OutputFormat::Table)) => Format::Table,
            (.., Some(OutputFormat::Quiet)) => Format::Quiet,
            (.., None) => Format::Auto,
        }
    }
}
