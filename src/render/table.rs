//! Tables: columns in line, wide characters and all. `-o table` of a run, and the terminal's form of lists.

use std::io::{self, Write};
use std::time::Duration;

use comfy_table::{ContentArrangement, Table};
use herder_core::event::Envelope;
use herder_core::journal::{Bodies, StoredOutput};
use herder_core::time::for_people;

use super::records::{Records, RunColumn};
use super::text::{for_people as at_for_people, visible_cell};
use super::{RenderOptions, Renderer};
use crate::io::{Io, Out, Style, Width};

/// Of an output so many bytes are shown in a cell.
const MAX_CELL: u64 = 64 * 1024;

/// Where a table goes: on a terminal it is fitted to the width.
#[derive(Clone)]
pub(super) struct Sheet {
    pub(super) out: Out,
    style: Style,
    width: Width,
}

impl Sheet {
    pub(super) fn new(io: &Io) -> Sheet {
        Sheet { out: io.stdout(), style: io.stdout_style(), width: io.width() }
    }

    pub(super) fn is_tty(&self) -> bool {
        self.style.is_tty
    }

    /// Writes header and rows; nothing where there are no rows.
    pub(super) fn write(&mut self, header: Vec<String>, rows: Vec<Vec<String>>) -> io::Result<()> {
        if rows.is_empty() {
            return self.out.flush();
        }
        let mut table = Table::new();
        table.load_preset(comfy_table::presets::NOTHING);
        table.set_header(header);
        table.add_rows(rows);
        if self.style.is_tty {
            table.set_content_arrangement(ContentArrangement::Dynamic);
            table.set_width(u16::try_from(self.width.columns()).unwrap_or(u16::MAX));
        } else {
            table.set_content_arrangement(ContentArrangement::Disabled);
        }
        table.column_iter_mut().for_each(|column| {
            column.set_padding((0, 2));
        });
        for line in table.lines() {
            writeln!(self.out, "{}", line.trim_end())?;
        }
        self.out.flush()
    }
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
        self.sheet.write(header.collect(), rows)
    }
}
