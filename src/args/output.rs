//! How the results of a run are written.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use super::FormatArgs;
use crate::ctx::Ctx;
use crate::failure::Failure;
use crate::render::{Format, RenderOptions, make_out_dir};

/// How the results of a run are written. Without any of these: a live view and a folded summary on a terminal, `node<TAB>line` in a
/// pipe.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Output options")]
pub(crate) struct OutputArgs {
    #[command(flatten)]
    format: FormatArgs,

    /// Show how outputs differ from what most nodes said
    #[arg(long)]
    diff: bool,

    /// Write each node's stdout, stderr and result to files here, byte for byte
    #[arg(long, value_name = "DIR")]
    out_dir: Option<PathBuf>,
}

impl OutputArgs {
    /// The format that was asked for.
    pub(crate) fn format(&self) -> Format {
        self.format.format()
    }

    /// Makes the directory of `--out-dir`, if one is asked for: before anything is sent.
    ///
    /// # Errors
    /// No file can be written there (exit 2).
    pub(crate) fn make_out_dir(&self) -> Result<(), Failure> {
        let Some(directory) = &self.out_dir else { return Ok(()) };
        make_out_dir(directory).map_err(|error| {
            Failure::usage(format!("--out-dir {} can't be written to", directory.display()))
                .caused_by(&error)
                .hint("Give a directory that files can be made in; it is made where there is none.")
        })
    }

    /// How a run is shown.
    pub(crate) fn render_options(&self, ctx: &Ctx) -> RenderOptions {
        let clock = ctx.clock;
        RenderOptions {
            format: self.format(),
            diff: self.diff,
            zone: ctx.zone(),
            columns: Vec::new(),
            out_dir: self.out_dir.clone(),
            clock: Arc::new(move || clock.now()),
        }
    }
}
