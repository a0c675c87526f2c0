//! Checks for people: a line each, and under those that are not ok what to do.

use std::io::{self, Write as _};

use super::paint::Paint;
use super::text::{ascii, visible};
use crate::io::Io;

/// One check.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FindingLine<'a> {
    /// `ok`, `warn`, `fail`.
    pub(crate) status: &'a str,
    /// What was looked at.
    pub(crate) check: &'a str,
    /// What was found.
    pub(crate) message: &'a str,
    /// What to do.
    pub(crate) hint: Option<&'a str>,
}

/// Writes them to standard output.
///
/// # Errors
/// It can't be written.
pub(crate) fn write_findings(io: &Io, lines: &[FindingLine<'_>]) -> io::Result<()> {
    let style = io.stdout_style();
    let paint = Paint { is_on: style.colour };
    let width = lines.iter().map(|line| line.check.len()).max().unwrap_or(0);
    let mut stdout = io.stdout();
    for line in lines {
        let status = match line.status {
            "ok" => paint.green("ok  "),
            "warn" => paint.yellow("warn"),
            other => paint.red(other),
        };
        let mut text = format!("{status}  {:width$}  {}\n", line.check, visible(line.message));
        if let Some(hint) = line.hint {
            text.push_str(&format!("      hint: {}\n", visible(hint)));
        }
        let text = if style.unicode { text } else { ascii(&text) };
        stdout.write_all(text.as_bytes())?;
    }
    stdout.flush()
}
