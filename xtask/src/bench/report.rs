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

struct Row {
    what: String,
    value: f64,
    unit: &'static str,
    limit: Option<f64>,
}

impl Report {
    pub(crate) fn new(bench: &Bench) -> Report {
        let git = |arguments: &[&str]| {
            let output = Command::new("git").args(arguments).current_dir(root()).output().ok()?;
            Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
        };
        let setting = json!({
            "nodes": bench.nodes,
            "seed": bench.seed,
            "cores": std::thread::available_parallelism().map_or(0, usize::from),
            "commit": git(&["rev-parse", "--short", "HEAD"]),
        });
        Report { setting, rows: Vec::new() }
    }

    /// A figure that promises nothing.
    pub(crate) fn tells(&mut self, what: &str, value: f64, unit: &'static str) {
        self.add(Row { what: what.to_owned(), value, unit, limit: None });
    }

    /// A figure that may not be more than `limit`.
    pub(crate) fn at_most(&mut self, what: &str, value: f64, limit: f64, unit: &'static str) {
        self.add(Row { what: what.to_owned(), value, unit, limit: Some(limit) });
    }

    fn add(&mut self, row: Row) {
        println!("    {}: {}{}", row.what, row.shown(row.value), if row.holds() { "" } else { "  MISSED" });
        self.rows.push(row);
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
        let of = |name: &str| self.setting[name].to_string().trim_matches('"').to_owned();
        let mut text = format!(
            "{} nodes, seed {}, {} cores, commit {}.\n\n| what | measured | at most |\n|---|---|---|\n",
            of("nodes"),
            of("seed"),
            of("cores"),
            of("commit")
        );
        for row in &self.rows {
            let limit = row.limit.map(|limit| row.shown(limit)).unwrap_or_default();
            let missed = if row.holds() { "" } else { " **(missed)**" };
            text.push_str(&format!("| {} | {}{missed} | {limit} |\n", row.what, row.shown(row.value)));
        }
        text
    }

    fn write(&self, directory: &Path, name: &str) -> Outcome {
        let rows: Vec<Value> = self
            .rows
            .iter()
            .map(|r| json!({"what": r.what, "value": r.value, "unit": r.unit, "limit": r.limit, "holds": r.holds()}))
            .collect();
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
        self.limit.is_none_or(|limit| self.value <= limit)
    }

    fn shown(&self, value: f64) -> String {
        match self.unit {
            "" => format!("{value}"),
            "%" => format!("{value:.1} %"),
            unit => format!("{value:.1} {unit}"),
        }
    }
}
