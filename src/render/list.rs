//! Lists (`nodes list`, `runs list`): a table on a terminal, TSV without header in a pipe, and the formats asked for.
//!
//! A row is whatever serialises to the JSON object of the contract; columns pick from it.

use std::cmp::Ordering;
use std::io::{self, Write};

use herder_core::target::natural;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;
use serde_json::{Map, Value};

use super::Format;
use super::records::UnknownColumn;
use super::table::{Sheet, fits};
use super::text::{for_people, json, tsv, visible_cell, visible_lines};
use crate::io::Io;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Text, a number, anything.
    Plain,
    /// RFC 3339, shown local to people.
    Time,
}

/// A column that a list has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    /// The field of the row's JSON object, and what `--columns` and `--sort` call it.
    pub(crate) name: &'static str,
    /// What it holds.
    pub(crate) kind: Kind,
    /// Whether it is shown without being asked for.
    pub(crate) is_usual: bool,
}

impl Column {
    /// A column that is usually shown.
    #[must_use]
    pub(crate) const fn usual(name: &'static str) -> Column {
        Column { name, kind: Kind::Plain, is_usual: true }
    }

    /// A column that is shown when asked for.
    #[must_use]
    pub(crate) const fn extra(name: &'static str) -> Column {
        Column { name, kind: Kind::Plain, is_usual: false }
    }

    /// The same, holding times.
    #[must_use]
    pub(crate) const fn of_times(self) -> Column {
        Column { kind: Kind::Time, ..self }
    }
}

/// How a list is shown.
#[derive(Clone, Debug)]
pub(crate) struct ListOptions {
    /// The format.
    pub(crate) format: Format,
    /// `--columns`, in order; `tag:KEY` takes one of the row's `tags`. Empty for the usual ones.
    pub(crate) columns: Vec<String>,
    /// `--sort COLUMN`, or `-COLUMN` for the other way round.
    pub(crate) sort: Option<String>,
    /// The zone of times for people.
    pub(crate) zone: TimeZone,
    /// Whether ids are printed as account/region/id, except in JSON and CSV, which have columns for these.
    pub(crate) is_qualified: bool,
}

/// What was asked for can't be shown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(transparent)]
pub(crate) struct ListError(#[from] UnknownColumn);

/// How rows are written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Table,
    Tsv,
    Json,
    Jsonl,
    Csv,
    Ids,
}

/// A column as picked.
#[derive(Clone)]
struct Picked {
    name: String,
    kind: Kind,
}

/// A row, ready to be written.
enum Shown {
    Cells(Vec<String>),
    Text(Vec<u8>),
}

/// Writes a list row by row. TSV, JSON lines, CSV and ids go out as they come, unless they are sorted; the rest at the end, so
/// that nothing half is on stdout when the list fails.
pub(crate) struct ListWriter {
    sheet: Sheet,
    form: Form,
    /// Whether `--columns` was given: then JSON has only these.
    is_picked: bool,
    columns: Vec<Picked>,
    id: &'static str,
    sort: Option<(Picked, bool)>,
    zone: TimeZone,
    is_qualified: bool,
    kept: Vec<(Value, Shown)>,
    has_header: bool,
}

impl ListWriter {
    /// A list with these columns, the first of which is the id that `-o quiet` prints.
    ///
    /// # Errors
    /// `--columns` or `--sort` names one that isn't there.
    pub(crate) fn new(io: &Io, columns: &[Column], options: &ListOptions) -> Result<ListWriter, ListError> {
        let sheet = Sheet::new(io);
        let form = match options.format {
            Format::Auto if sheet.is_tty() => Form::Table,
            Format::Auto => Form::Tsv,
            Format::Table => Form::Table,
            Format::Json => Form::Json,
            Format::Jsonl => Form::Jsonl,
            Format::Csv => Form::Csv,
            Format::Quiet => Form::Ids,
        };
        let picked = match options.columns.is_empty() {
            true => columns
                .iter()
                .filter(|c| c.is_usual)
                .map(|c| pick(c.name, columns))
                .collect::<Result<_, _>>()?,
            false => options.columns.iter().map(|name| pick(name, columns)).collect::<Result<_, _>>()?,
        };
        let sort =
            match options.sort.as_deref().map(|sort| (sort.trim_start_matches('-'), sort.starts_with('-'))) {
                Some((name, is_down)) => Some((pick(name, columns)?, is_down)),
                None => None,
            };
        Ok(ListWriter {
            sheet,
            form,
            is_picked: !options.columns.is_empty(),
            columns: picked,
            id: columns.first().map_or("id", |c| c.name),
            sort,
            zone: options.zone.clone(),
            is_qualified: options.is_qualified,
            kept: Vec::new(),
            has_header: false,
        })
    }

    /// From here on ids are printed as account/region/id.
    pub(crate) fn qualify(&mut self) {
        self.is_qualified = true;
    }

    /// Adds a row.
    ///
    /// # Errors
    /// It can't be written, or does not serialise to an object.
    pub(crate) fn push(&mut self, row: &impl Serialize) -> io::Result<()> {
        let Value::Object(mut fields) = serde_json::to_value(row)? else {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a row of a list is not an object"));
        };
        if self.is_qualified && matches!(self.form, Form::Table | Form::Tsv | Form::Ids) {
            let parts = ["account", "region", self.id].map(|name| plain(&value(&fields, name)));
            fields.insert(self.id.to_owned(), Value::String(parts.join("/")));
        }
        let shown = match self.form {
            Form::Table => Shown::Cells(self.columns.iter().map(|c| self.cell(&fields, c)).collect()),
            Form::Json | Form::Jsonl => Shown::Text(self.json(row, &fields)?),
            Form::Tsv => {
                let cells = self.columns.iter().map(|c| tsv(plain(&value(&fields, &c.name)).as_bytes()));
                Shown::Text([cells.collect::<Vec<_>>().join(&b'\t'), b"\n".to_vec()].concat())
            }
            Form::Csv => {
                let cells = self.columns.iter().map(|c| super::csv::field(&self.raw(&fields, &c.name)));
                Shown::Text(format!("{}\r\n", cells.collect::<Vec<_>>().join(",")).into_bytes())
            }
            Form::Ids => Shown::Text(format!("{}\n", self.raw(&fields, self.id)).into_bytes()),
        };
        match (&self.sort, shown) {
            (None, Shown::Text(text)) if self.form != Form::Json => {
                self.header()?;
                self.sheet.out.write_all(&text)
            }
            (sort, shown) => {
                let key = sort.as_ref().map_or(Value::Null, |(column, _)| value(&fields, &column.name));
                self.kept.push((key, shown));
                Ok(())
            }
        }
    }

    /// Writes what is left.
    ///
    /// # Errors
    /// It can't be written.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        let mut kept = std::mem::take(&mut self.kept);
        if let Some((_, is_down)) = self.sort {
            kept.sort_by(|(a, _), (b, _)| compare(a, b, is_down));
        }
        self.header()?;
        let (mut rows, mut is_first) = (Vec::new(), true);
        for (_, shown) in kept {
            match shown {
                Shown::Cells(cells) => rows.push(cells),
                Shown::Text(text) => {
                    if self.form == Form::Json {
                        self.sheet.out.write_all(if is_first { b"[\n" } else { b",\n" })?;
                    }
                    is_first = false;
                    self.sheet.out.write_all(&text)?;
                }
            }
        }
        match self.form {
            Form::Table => {
                let header = self.columns.iter().map(|c| c.name.replace('_', " ").to_uppercase()).collect();
                let is_time: Vec<bool> = self.columns.iter().map(|c| c.kind == Kind::Time).collect();
                let fits = fits(&rows, &is_time);
                return self.sheet.write(header, rows, &fits, self.is_picked);
            }
            Form::Json => self.sheet.out.write_all(if is_first { b"[]\n" } else { b"\n]\n" })?,
            Form::Tsv | Form::Jsonl | Form::Csv | Form::Ids => {}
        }
        self.sheet.out.flush()
    }

    fn header(&mut self) -> io::Result<()> {
        if self.form != Form::Csv || std::mem::replace(&mut self.has_header, true) {
            return Ok(());
        }
        super::csv::write_record(&mut self.sheet.out, self.columns.iter().map(|c| c.name.as_str()))
    }

    fn cell(&self, fields: &Map<String, Value>, column: &Picked) -> String {
        let value = value(fields, &column.name);
        let time =
            value.as_str().filter(|_| column.kind == Kind::Time).and_then(|t| t.parse::<Timestamp>().ok());
        let text = time.map_or_else(|| plain(&value), |at| for_people(at, &self.zone));
        if text.is_empty() { "-".to_owned() } else { visible_cell(&text).into_owned() }
    }

    /// A value as it is; on a terminal without what acts on it.
    fn raw(&self, fields: &Map<String, Value>, name: &str) -> String {
        let text = plain(&value(fields, name));
        if self.sheet.is_tty() { visible_lines(&text).into_owned() } else { text }
    }

    fn json(&self, row: &impl Serialize, fields: &Map<String, Value>) -> io::Result<Vec<u8>> {
        let mut text = if self.is_picked {
            let mut text = b"{".to_vec();
            for (i, column) in self.columns.iter().enumerate() {
                text.extend_from_slice(if i == 0 { b"" } else { b"," });
                text.extend(json(&column.name)?);
                text.push(b':');
                text.extend(json(&value(fields, &column.name))?);
            }
            text.push(b'}');
            text
        } else {
            json(row)?
        };
        if self.form == Form::Jsonl {
            text.push(b'\n');
        }
        Ok(text)
    }
}

fn pick(name: &str, columns: &[Column]) -> Result<Picked, UnknownColumn> {
    let known = columns.iter().find(|c| c.name == name);
    let has_tags = columns.iter().any(|c| c.name == "tags");
    match known {
        Some(column) => Ok(Picked { name: name.to_owned(), kind: column.kind }),
        None if has_tags && name.len() > 4 && name.starts_with("tag:") => {
            Ok(Picked { name: name.to_owned(), kind: Kind::Plain })
        }
        None => Err(UnknownColumn::new(name, &columns.iter().map(|c| c.name).collect::<Vec<_>>())),
    }
}

fn value(fields: &Map<String, Value>, name: &str) -> Value {
    let found = match name.strip_prefix("tag:") {
        Some(key) => fields.get("tags").and_then(|tags| tags.get(key)),
        None => fields.get(name),
    };
    found.cloned().unwrap_or_default()
}

/// A value as one field: null is empty, objects are `key=value` with commas between.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(","),
        Value::Object(fields) => {
            fields.iter().map(|(k, v)| format!("{k}={}", plain(v))).collect::<Vec<_>>().join(",")
        }
        other => other.to_string(),
    }
}

/// Numbers by size, text in natural order; unknown ones last either way.
fn compare(a: &Value, b: &Value, is_down: bool) -> Ordering {
    let order = match (a, b) {
        (Value::Null, _) | (_, Value::Null) => return a.is_null().cmp(&b.is_null()),
        (Value::Number(a), Value::Number(b)) => {
            a.as_f64().partial_cmp(&b.as_f64()).unwrap_or(Ordering::Equal)
        }
        (a, b) => natural(&plain(a), &plain(b)),
    };
    if is_down { order.reverse() } else { order }
}

#[cfg(test)]
#[path = "list_tests.rs"]
mod tests;
