//! What was measured, beside what is promised.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::Bench;
use crate::Outcome;
use crate::process::root;

/// Rows of the table.
pub(crate) struct Report {
    setting: Value,
    rows: Vec<Row>,
}

#[derive(Clone)]
struct Row {
    what: String,
    value: f64,
    unit: &'static str,
    limit: Option<Limit>,
}

/// What is promised of a figure.
#[derive(Clone, Copy)]
enum Limit {
    AtMost(f64),
    AtLeast(f64),
}

impl Report {
    pub(crate) fn new(bench: &Bench) -> Report {
        Report::of(&json!({"nodes": bench.nodes, "seed": bench.seed}))
    }

    /// A report of what was measured with these settings, on this machine and commit.
    pub(crate) fn of(settings: &Value) -> Report {
        let git = |arguments: &[&str]| {
            let output = Command::new("git").args(arguments).current_dir(root()).output().ok()?;
            Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
        };
        let mut setting = settings.clone();
        setting["cores"] = json!(std::thread::available_parallelism().map_or(0, usize::from));
        setting["commit"] = json!(git(&["rev-parse", "--short", "HEAD"]));
        Report { setting, rows: Vec::new() }
    }

    /// A figure that promises nothing.
    pub(crate) fn tells(&mut self, what: &str, value: f64, unit: &'static str) {
        self.add(Row { what: what.to_owned(), value, unit, limit: None });
    }

    /// A figure that may not be more than `limit`.
    pub(crate) fn at_most(&mut self, what: &str, value: f64, limit: f64, unit: &'static str) {
        self.add(Row { what: what.to_owned(), value, unit, limit: Some(Limit::AtMost(limit)) });
    }

    /// A figure that may not be less than `limit`.
    pub(crate) fn at_least(&mut self, what: &str, value: f64, limit: f64, unit: &'static str) {
        self.add(Row { what: what.to_owned(), value, unit, limit: Some(Limit::AtLeast(limit)) });
    }

    fn add(&mut self, row: Row) {
        println!("    {}: {}{}", row.what, row.shown(row.value), if row.holds() { "" } else { "  MISSED" });
        self.rows.push(row);
    }

    /// Adds the figures of another report of which something is promised, with its name before them.
    pub(crate) fn take_promises(&mut self, name: &str, other: &Report) {
        let promised = other.rows.iter().filter(|row| row.limit.is_some());
        self.rows.extend(promised.map(|row| Row { what: format!("{name}: {}", row.what), ..row.clone() }));
    }

    /// Writes and shows it; an error where a promise is not kept.
    pub(crate) fn end(&self, directory: &Path, name: &str) -> Outcome {
        self.write(directory, name)?;
        println!("\n{}", self.markdown());
        match self.missed() {
            0 => Ok(()),
            missed => Err(format!("{missed} targets are missed")),
        }
    }

    fn missed(&self) -> usize {
        self.rows.iter().filter(|row| !row.holds()).count()
    }

    fn markdown(&self) -> String {
        let settings = self.setting.as_object().into_iter().flatten();
        let settings: Vec<String> = settings
            .map(|(name, value)| format!("{name}: {}", value.to_string().trim_matches('"')))
            .collect();
        let mut text = format!("{}.\n\n| what | measured | promised |\n|---|---|---|\n", settings.join(", "));
        for row in &self.rows {
            let limit = match row.limit {
                Some(Limit::AtMost(limit)) => format!("at most {}", row.shown(limit)),
                Some(Limit::AtLeast(limit)) => format!("at least {}", row.shown(limit)),
                None => String::new(),
            };
            let missed = if row.holds() { "" } else { " **(missed)**" };
            text.push_str(&format!("| {} | {}{missed} | {limit} |\n", row.what, row.shown(row.value)));
        }
        text
    }

    /// Writes the table as Markdown and JSON.
    pub(crate) fn write(&self, directory: &Path, name: &str) -> Outcome {
        let rows: Vec<Value> = self.rows.iter().map(Row::json).collect();
        let document = json!({"setting": self.setting, "rows": rows, "missed": self.missed()});
        for (end, text) in [("md", self.markdown()), ("json", format!("{document:#}\n"))] {
            let path = directory.join(format!("{name}.{end}"));
            fs::write(&path, text).map_err(|error| format!("could not write {}: {error}", path.display()))?;
        }
        Ok(())
    }
}

impl Row {
    /// A figure that is not a number keeps no promise.
    fn holds(&self) -> bool {
        match self.limit {
            Some(Limit::AtMost(limit)) => self.value <= limit,
            Some(Limit::AtLeast(limit)) => self.value >= limit,
            None => true,
        }
    }

    fn json(&self) -> Value {
        let (most, least) = match self.limit {
            Some(Limit::AtMost(limit)) => (Some(limit), None),
            Some(Limit::AtLeast(limit)) => (None, Some(limit)),
            None => (None, None),
        };
        json!({"what": self.what, "value": self.value, "unit": self.unit, "limit": most, "at_least": least,
            "holds": self.holds()})
    }

    /// With a digit after the point, or three where there would be nothing before it.
    fn shown(&self, value: f64) -> String {
        let digits = if value != 0.0 && value.abs() < 1.0 { 3 } else { 1 };
        match self.unit {
            "" => format!("{value}"),
            unit => format!("{value:.digits$} {unit}"),
        }
    }
}
