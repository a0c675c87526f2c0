//! `-o csv`: RFC 4180, a header, and a record for each target as it finishes.

use std::io::{self, Write};

use herder_core::event::{Body, Envelope, Event, TargetFinished};
use herder_core::journal::{Bodies, StoredOutput};

use super::Renderer;
use super::records::RunColumn;
use super::text::visible_lines;
use crate::io::{Io, Out};

/// Targets as records.
pub(super) struct Csv {
    out: Out,
    is_tty: bool,
    columns: Vec<RunColumn>,
    has_header: bool,
}

impl Csv {
    pub(super) fn new(io: &Io, columns: &[RunColumn]) -> Csv {
        let columns = if columns.is_empty() { RunColumn::all() } else { columns.to_vec() };
        Csv { out: io.stdout(), is_tty: io.stdout_style().is_tty, columns, has_header: false }
    }

    fn header(&mut self) -> io::Result<()> {
        if std::mem::replace(&mut self.has_header, true) {
            return Ok(());
        }
        write_record(&mut self.out, self.columns.iter().map(|c| c.name()))
    }

    fn record(&mut self, finished: &TargetFinished) -> io::Result<()> {
        for (number, column) in self.columns.iter().enumerate() {
            if number > 0 {
                self.out.write_all(b",")?;
            }
            match column.body(finished) {
                Some(body) => write_body(&mut self.out, body, self.is_tty)?,
                None => {
                    let value = column.value(finished);
                    let shown = if self.is_tty { visible_lines(&value).into_owned() } else { value };
                    self.out.write_all(field(&shown).as_bytes())?;
                }
            }
        }
        self.out.write_all(b"\r\n")
    }
}

impl Renderer for Csv {
    fn event(&mut self, envelope: &Envelope, _: Option<&StoredOutput>) -> io::Result<()> {
        if let Event::TargetFinished(finished) = &envelope.event {
            self.header()?;
            self.record(finished)?;
            self.out.flush()?;
        }
        Ok(())
    }

    fn finish(&mut self, _: &Bodies) -> io::Result<()> {
        self.header()?;
        self.out.flush()
    }
}

/// One record with its line end (CR LF); fields that need it in quotes.
pub(super) fn write_record<'a>(out: &mut Out, fields: impl Iterator<Item = &'a str>) -> io::Result<()> {
    let fields: Vec<String> = fields.map(field).collect();
    out.write_all(fields.join(",").as_bytes())?;
    out.write_all(b"\r\n")
}

pub(super) fn field(text: &str) -> String {
    if text.contains(['"', ',', '\r', '\n']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

/// A long output is always in quotes: whether it needs them is known only at its end.
fn write_body(out: &mut Out, body: &Body, is_tty: bool) -> io::Result<()> {
    let shown = |text: &str| if is_tty { visible_lines(text).into_owned() } else { text.to_owned() };
    if let Some(bytes) = body.in_memory() {
        return out.write_all(field(&shown(&String::from_utf8_lossy(bytes))).as_bytes());
    }
    out.write_all(b"\"")?;
    body.for_each_text(|text| out.write_all(shown(text).replace('"', "\"\"").as_bytes()))?;
    out.write_all(b"\"")
}
