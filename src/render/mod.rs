//! Everything that is seen of a run or a list: consumers of the event stream, and writers of lists and errors.
//!
//! Renderers decide nothing about a run. What they are handed comes from `core`; where they write is [`Io`].

mod board;
mod chain;
mod csv;
mod echo;
mod error;
mod findings;
mod grouped;
mod json;
mod jsonl;
mod lines;
mod list;
mod live;
mod out_dir;
mod paint;
mod quiet;
mod records;
mod summary;
mod table;
mod talk;
mod text;

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod tests;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use herder_core::event::Envelope;
use herder_core::journal::{Bodies, StoredOutput};
use jiff::Timestamp;
use jiff::tz::TimeZone;

pub(crate) use self::error::ErrorReport;
pub(crate) use self::findings::{FindingLine, write_findings};
pub(crate) use self::list::{Column, ListOptions, ListWriter};
pub(crate) use self::out_dir::{NotWritten, make_out_dir};
pub(crate) use self::records::RunColumn;
pub(crate) use self::text::{counted, for_people};

pub(crate) use self::board::{Board, Tint};
use self::chain::Chain;
use crate::io::Io;

/// Text of several lines that is not all herder's own: on a terminal what could act on it is made visible.
#[must_use]
pub(crate) fn shown(io: &Io, text: &str) -> String {
    if !io.stdout_style().is_tty {
        return text.to_owned();
    }
    text::visible_lines(text).into_owned()
}

/// Text on one line, with what could act on a terminal made visible.
#[must_use]
pub(crate) fn visible(text: &str) -> String {
    text::visible(text).into_owned()
}

/// A consumer of a run's events.
pub(crate) trait Renderer: Send {
    /// Shows an event. `stored` is given with `target_finished` only: where the bodies of the event lie in the bodies
    /// that [`Renderer::finish`] is given. An error stops the rendering, never the run.
    ///
    /// # Errors
    /// It can't be written.
    fn event(&mut self, envelope: &Envelope, stored: Option<&StoredOutput>) -> io::Result<()>;

    /// Redraws what moves. Called about five times a second on a terminal; does nothing elsewhere.
    fn tick(&mut self) {}

    /// Shows what is shown at the end. Called once, after the last event, however the run ended.
    ///
    /// # Errors
    /// It can't be written, or a body can't be read back.
    fn finish(&mut self, bodies: &Bodies) -> io::Result<()>;
}

/// What results look like on stdout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Format {
    /// On a terminal identical outputs folded at the end, in a pipe `node<TAB>line` as they come.
    #[default]
    Auto,
    /// One event a line.
    Jsonl,
    /// One document at the end.
    Json,
    /// Comma-separated values with a header.
    Csv,
    /// A table at the end.
    Table,
    /// Ids of bad targets, one a line.
    Quiet,
}

/// Tells the time.
pub(crate) type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// How a run is shown.
#[derive(Clone)]
pub(crate) struct RenderOptions {
    /// What results look like.
    pub(crate) format: Format,
    /// Whether folded outputs are shown as differences from the majority.
    pub(crate) diff: bool,
    /// The zone of times for people: the system's, or UTC with `--utc`.
    pub(crate) zone: TimeZone,
    /// Columns of `csv` and `table`; none for the usual ones.
    pub(crate) columns: Vec<RunColumn>,
    /// Where each target's output goes as files.
    pub(crate) out_dir: Option<PathBuf>,
    /// For elapsed times on a terminal.
    pub(crate) clock: Clock,
}

/// The renderer for these streams and options.
#[must_use]
pub(crate) fn renderer(io: &Io, options: &RenderOptions) -> Box<dyn Renderer> {
    let board = Board::new(io);
    let is_tty = io.stdout_style().is_tty;
    let is_quiet = options.format == Format::Quiet;
    let streams = matches!(options.format, Format::Jsonl | Format::Csv | Format::Quiet)
        || (options.format == Format::Auto && !is_tty);
    let is_live = board.is_tty() && !(is_tty && streams);
    let mut chain = Chain::default();
    if is_live {
        chain.push(live::Live::new(board.clone(), options.clock.clone()));
    }
    if let Some(directory) = &options.out_dir {
        chain.push(out_dir::OutDir::new(directory.clone(), board.clone()));
    }
    chain.push(talk::Talk::new(board.clone(), is_quiet));
    match options.format {
        Format::Auto if is_tty => {
            chain.push(echo::Echo::new(board.clone()));
            chain.push(grouped::Grouped::new(io, options.diff));
        }
        Format::Auto => chain.push(lines::Lines::new(io.stdout(), board.clone(), is_live)),
        Format::Jsonl => chain.push(jsonl::Jsonl::new(io.stdout())),
        Format::Json => chain.push(json::Json::new(io.stdout())),
        Format::Csv => chain.push(csv::Csv::new(io, &options.columns)),
        Format::Table => chain.push(table::RunTable::new(io, options)),
        Format::Quiet => chain.push(quiet::Quiet::new(io.stdout())),
    }
    if !is_quiet && (board.is_tty() || options.format == Format::Auto) {
        chain.push(summary::Summary::new(board));
    }
    Box::new(chain)
}
