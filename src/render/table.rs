//! Tables: columns in line, wide characters and all. `-o table` of a run, and the terminal's form of lists.

use std::io::{self, Write};
use std::time::Duration;

use comfy_table::{ColumnConstraint, ContentArrangement, Table};
use herder_core::event::Envelope;
use herder_core::journal::{Bodies, StoredOutput};
use herder_core::time::for_people;

use super::records::{Records, RunColumn};
use super::text::{for_people as at_for_people, visible_cell, width};
use super::{RenderOptions, Renderer};
use crate::io::{Io, Out, Style, Width};

/// Of an output so many bytes are shown in a cell.
const MAX_CELL: u64 = 64 * 1024;

/// Columns that a column of prose has at least.
const MIN_PROSE: usize = 20;
/// A column whose longest cell is longer than this, and has blanks, is prose.
const LONG_WORDS: usize = 24;
/// Blanks between columns.
const GAP: usize = 2;

/// What may become of a column where there is little room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    /// It is whole or left out: ids, names and times are copied and compared.
    Whole,
    /// Its words go on in the next line.
    Folds,
}

/// Where a table goes: on a terminal it is fitted to the width.
#[derive(Clone)]
pub(super) struct Sheet {
    pub(super) out: Out,
    talk: Out,
    style: Style,
    width: Width,
}

impl Sheet {
    pub(super) fn new(io: &Io) -> Sheet {
        Sheet { out: io.stdout(), talk: io.stderr(), style: io.stdout_style(), width: io.width() }
    }

    pub(super) fn is_tty(&self) -> bool {
        self.style.is_tty
    }

    /// Writes header and rows; nothing where there are no rows. On a terminal too narrow for all columns the last are left out as long as nobody asked for them (`is_picked`); prose is folded.
    pub(super) fn write(
        &mut self,
        mut header: Vec<String>,
        mut rows: Vec<Vec<String>>,
        fits: &[Fit],
        is_picked: bool,
    ) -> io::Result<()> {
        if rows.is_empty() {
            return self.out.flush();
        }
        let room = self.width.columns();
        let (mut left_out, mut folded) = (Vec::new(), false);
        if self.style.is_tty && !is_picked {
            let widths = needs(&header, &rows, fits);
            // A name with nothing beside it says little: the second column is folded where that leaves it some width.
            let least = if needed(&widths, 1) + GAP + MIN_PROSE <= room { 2 } else { 1 };
            let kept = (least..=widths.len()).rev().find(|n| needed(&widths, *n) <= room).unwrap_or(least);
            folded = needed(&widths, kept) > room;
            left_out = header.split_off(kept.min(header.len()));
            rows.iter_mut().for_each(|row| row.truncate(kept));
        }
        let mut table = Table::new();
        table.load_preset(comfy_table::presets::NOTHING);
        table.set_header(header);
        table.add_rows(rows);
        if self.style.is_tty {
            table.set_content_arrangement(ContentArrangement::Dynamic);
            table.set_width(u16::try_from(room).unwrap_or(u16::MAX));
        } else {
            table.set_content_arrangement(ContentArrangement::Disabled);
        }
        table.column_iter_mut().zip(fits).enumerate().for_each(|(n, (column, fit))| {
            column.set_padding((0, 2));
            if *fit == Fit::Whole && !(folded && n == 1) {
                column.set_constraint(ColumnConstraint::ContentWidth);
            }
        });
        for line in table.lines() {
            writeln!(self.out, "{}", line.trim_end())?;
        }
        self.out.flush()?;
        if !left_out.is_empty() {
            let names = left_out.join(", ").to_lowercase().replace(' ', "_").replace(",_", ", ");
            writeln!(self.talk, "({names}: no room at {room} columns; see --columns)")?;
            self.talk.flush()?;
        }
        Ok(())
    }
}

/// How each column may be fitted, by what it holds.
pub(super) fn fits(rows: &[Vec<String>], is_time: &[bool]) -> Vec<Fit> {
    let folds = |column: usize| {
        let mut cells = rows.iter().filter_map(|row| row.get(column));
        cells.any(|cell| cell.contains('\n') || (cell.contains(' ') && width(cell) > LONG_WORDS))
    };
    let fit =
        |(column, is_time): (usize, &bool)| if !is_time && folds(column) { Fit::Folds } else { Fit::Whole };
    is_time.iter().enumerate().map(fit).collect()
}

/// The columns that each takes at least.
fn needs(header: &[String], rows: &[Vec<String>], fits: &[Fit]) -> Vec<usize> {
    let longest = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).chain(header.get(column));
        cells.map(|cell| width(cell)).max().unwrap_or_default()
    };
    let need = |(column, fit): (usize, &Fit)| match fit {
        Fit::Whole => longest(column),
        Fit::Folds => longest(column).min(MIN_PROSE),
    };
    fits.iter().enumerate().map(need).collect()
}

/// What the first columns take together; behind the last there is no gap.
fn needed(widths: &[usize], first: usize) -> usize {
    widths.iter().take(first).map(|width| width + GAP).sum::<usize>().saturating_sub(GAP)
}

/// `-o table` of a run.
pub(super) struct RunTable {
    sheet: Sheet,
    columns: Vec<RunColumn>,
    zone: jiff::tz::TimeZone,
    records: Records,
}

impl RunTable {
    pub(super) fn new(io: &Io, options: &RenderOptions) -> RunTable {
        let columns = if options.columns.is_empty() { RunColumn::few() } else { options.columns.clone() };
        RunTable { sheet: Sheet::new(io), columns, zone: options.zone.clone(), records: Records::default() }
    }
}

impl Renderer for RunTable {
    fn event(&mut self, envelope: &Envelope, stored: Option<&StoredOutput>) -> io::Result<()> {
        self.records.event(envelope, stored);
        Ok(())
    }

    fn finish(&mut self, bodies: &Bodies) -> io::Result<()> {
        let mut rows = Vec::new();
        for record in self.records.sorted() {
            let mut finished = record.finished.clone();
            if self.columns.iter().any(|c| c.body(&finished).is_some()) {
                (finished.stdout, finished.stderr) = record.bodies(bodies)?;
            }
            let cell = |column: &RunColumn| -> io::Result<String> {
                if let Some(body) = column.body(&finished) {
                    let head = body.head(MAX_CELL)?;
                    return Ok(visible_cell(&String::from_utf8_lossy(&head)).into_owned());
                }
                let value = match (column.name(), finished.duration_ms) {
                    ("duration_ms", Some(ms)) => for_people(Duration::from_millis(ms)),
                    ("started", _) => {
                        finished.started.map(|at| at_for_people(at, &self.zone)).unwrap_or_default()
                    }
                    ("finished", _) => {
                        finished.finished.map(|at| at_for_people(at, &self.zone)).unwrap_or_default()
                    }
                    _ => column.value(&finished),
                };
                Ok(visible_cell(&value).into_owned())
            };
            let or_dash = |cell: String| if cell.is_empty() { "-".to_owned() } else { cell };
            rows.push(self.columns.iter().map(|c| cell(c).map(or_dash)).collect::<io::Result<_>>()?);
        }
        let header =
            self.columns.iter().map(|c| c.name().trim_end_matches("_ms").replace('_', " ").to_uppercase());
        let is_time: Vec<bool> =
            self.columns.iter().map(|c| matches!(c.name(), "started" | "finished")).collect();
        let fits = fits(&rows, &is_time);
        self.sheet.write(header.collect(), rows, &fits, false)
    }
}
