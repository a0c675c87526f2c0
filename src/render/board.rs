//! [`Board`]: stderr as renderers share it. Lines that stay are written above a region that is redrawn.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use super::paint::Paint;
use super::text::{ascii, fit, visible};
use crate::io::{Io, Out, Style, Width};

/// stderr. Clones are the same board.
#[derive(Clone)]
pub(crate) struct Board {
    out: Out,
    style: Style,
    width: Width,
    drawn: Arc<Mutex<usize>>,
}

impl Board {
    pub(crate) fn new(io: &Io) -> Board {
        Board { out: io.stderr(), style: io.stderr_style(), width: io.width(), drawn: Arc::default() }
    }

    pub(crate) fn is_tty(&self) -> bool {
        self.style.is_tty
    }

    pub(crate) fn paint(&self) -> Paint {
        Paint { is_on: self.style.colour }
    }

    pub(crate) fn columns(&self) -> usize {
        self.width.columns()
    }

    /// Text from outside as this stream may show it.
    pub(crate) fn shown(&self, text: &str) -> String {
        visible(text).into_owned()
    }

    /// Writes a line that stays.
    pub(crate) fn say(&self, line: &str) {
        let line = if self.style.unicode { line.to_owned() } else { ascii(line) };
        let mut drawn = self.drawn.lock().unwrap_or_else(PoisonError::into_inner);
        let text = format!("{}{line}\n", erase(&mut drawn));
        self.write(&text);
    }

    /// Replaces the region; each line is cut to the width. Off a terminal nothing is drawn.
    pub(crate) fn draw(&self, lines: &[(String, Tint)]) {
        if !self.is_tty() {
            return;
        }
        // `...` is wider than the `…` that lines are cut with.
        let columns = self.columns().saturating_sub(if self.style.unicode { 1 } else { 3 });
        let mut drawn = self.drawn.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = erase(&mut drawn);
        for (line, tint) in lines {
            let line = fit(line, columns);
            let line = if self.style.unicode { line.into_owned() } else { ascii(&line) };
            text.push_str(&match tint {
                Tint::Plain => line,
                Tint::Bad => self.paint().red(&line),
                Tint::Bold => self.paint().bold(&line),
            });
            text.push('\n');
        }
        *drawn = lines.len();
        self.write(&text);
    }

    /// Takes the region away.
    pub(crate) fn clear(&self) {
        let mut drawn = self.drawn.lock().unwrap_or_else(PoisonError::into_inner);
        let text = erase(&mut drawn);
        self.write(&text);
    }

    fn write(&self, text: &str) {
        let mut out = self.out.clone();
        // stderr ignores its errors: a dead terminal stops no change.
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }
}

/// How a drawn line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tint {
    Plain,
    Bad,
    Bold,
}

fn erase(drawn: &mut usize) -> String {
    match std::mem::take(drawn) {
        0 => String::new(),
        lines => format!("\x1b[{lines}A\r\x1b[J"),
    }
}
