//! In a pipe: `node<TAB>line` for every line of output, as each target finishes.

use std::io::{self, Write};

use herder_core::event::{Body, Envelope, Event, TargetFinished};
use herder_core::journal::{Bodies, StoredOutput};

use super::Renderer;
use super::board::Board;
use super::records::Labels;
use super::text::{LineSplit, tsv};
use crate::io::Out;

/// Outputs as lines: stdout to stdout, stderr to stderr, both behind the node.
pub(super) struct Lines {
    out: Out,
    board: Board,
    /// Whether failures are seen on a live view.
    has_live: bool,
    labels: Labels,
}

impl Lines {
    pub(super) fn new(out: Out, board: Board, has_live: bool) -> Lines {
        Lines { out, board, has_live, labels: Labels::default() }
    }

    fn talk(&self, finished: &TargetFinished) -> io::Result<()> {
        let node = self.labels.id(&finished.target);
        let mut line = Vec::new();
        for_each_part(&finished.stderr, |part, is_end| {
            line.extend_from_slice(part);
            // A line without an end is shown in several.
            if is_end || line.len() >= MAX_LINE {
                let said = std::mem::take(&mut line);
                let text = match self.board.is_tty() {
                    true => self.board.shown(&String::from_utf8_lossy(&said)),
                    false => String::from_utf8_lossy(&tsv(&said)).into_owned(),
                };
                self.board.say(&format!("{node}\t{text}"));
            }
            Ok(())
        })?;
        if finished.verdict.is_bad() && !self.has_live {
            let reason = finished.reason.as_ref().map(|r| format!(" ({r})")).unwrap_or_default();
            let node = self.board.shown(&self.labels.long(&finished.target));
            self.board.say(&format!("{node}: {}{reason}", finished.verdict));
        }
        Ok(())
    }
}

/// Bytes of a line on stderr.
const MAX_LINE: usize = 64 * 1024;

/// Hands over the lines of an output in parts, without their ends; the last part of a line is marked as such.
fn for_each_part(body: &Body, mut take: impl FnMut(&[u8], bool) -> io::Result<()>) -> io::Result<()> {
    let mut split = LineSplit::default();
    body.for_each_piece(|piece| split.push(piece, &mut take))?;
    split.finish(take)
}

impl Renderer for Lines {
    fn event(&mut self, envelope: &Envelope, _: Option<&StoredOutput>) -> io::Result<()> {
        self.labels.event(&envelope.event);
        let Event::TargetFinished(finished) = &envelope.event else { return Ok(()) };
        self.talk(finished)?;
        let head = self.labels.id(&finished.target) + "\t";
        let (out, mut is_start) = (&mut self.out, true);
        for_each_part(&finished.stdout, |part, is_end| {
            if std::mem::replace(&mut is_start, is_end) {
                out.write_all(head.as_bytes())?;
            }
            out.write_all(&tsv(part))?;
            if is_end { out.write_all(b"\n") } else { Ok(()) }
        })?;
        self.out.flush()
    }

    fn finish(&mut self, _: &Bodies) -> io::Result<()> {
        self.out.flush()
    }
}
