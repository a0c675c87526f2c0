//! A failure as people and as programs read it.

use std::io::{self, Write};

use serde::Serialize;

use super::Format;
use super::paint::Paint;
use super::text::{ascii, visible};
use crate::io::Io;

/// What is told of a failure. Its JSON is part of the contract.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct ErrorReport<'a> {
    /// What sort, as one word.
    pub(crate) kind: &'a str,
    /// One lower-case fragment that names the call and the object.
    pub(crate) message: &'a str,
    /// Outermost first.
    pub(crate) causes: &'a [String],
    /// Full sentences.
    pub(crate) hints: &'a [String],
    /// AWS's.
    pub(crate) request_id: Option<&'a str>,
    /// Whether anything was, or may have been, changed.
    pub(crate) changed: bool,
    /// Whether it happened under a simulator: people are told.
    #[serde(skip)]
    pub(crate) is_simulated: bool,
}

impl ErrorReport<'_> {
    /// The document of `--json`, one line.
    #[must_use]
    pub(crate) fn json(&self) -> String {
        serde_json::json!({ "error": self }).to_string()
    }

    /// Tells people on stderr; in a JSON format tells programs on stdout too, unless their reader has gone.
    ///
    /// # Errors
    /// stdout can't be written.
    pub(crate) fn write(&self, io: &Io, format: Format) -> io::Result<()> {
        let style = io.stderr_style();
        let text = self.text(Paint { is_on: style.colour });
        let text = if style.unicode { text } else { ascii(&text) };
        let mut stderr = io.stderr();
        stderr.write_all(text.as_bytes())?;
        stderr.flush()?;
        if matches!(format, Format::Json | Format::Jsonl) {
            let mut stdout = io.stdout();
            writeln!(stdout, "{}", self.json())?;
            stdout.flush()?;
        }
        Ok(())
    }

    fn text(&self, paint: Paint) -> String {
        let shown = |text: &str| visible(text).replace("^J", "\n  ");
        let simulated = if self.is_simulated { " (SIMULATED)" } else { "" };
        let mut text = format!("{} {}{simulated}\n", paint.red("error:"), shown(self.message));
        for cause in self.causes {
            text.push_str(&format!("  caused by: {}\n", shown(cause)));
        }
        if let Some(id) = self.request_id {
            text.push_str(&format!("  request id: {}\n", shown(id)));
        }
        if self.changed {
            text.push_str("  something was changed, or may have been\n");
        }
        for hint in self.hints {
            text.push_str(&format!("{} {}\n", paint.bold("hint:"), shown(hint)));
        }
        text
    }
}
