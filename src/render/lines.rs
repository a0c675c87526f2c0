//! In a pipe: `node<TAB>line` for every line of output, as each target finishes.

use std::io::{self, Write};

use herder_core::event::{Envelope, Event, TargetFinished};
use herder_core::journal::{Bodies, StoredOutput};

use super::Renderer;
use super::board::Board;
use super::records::Labels;
use super::text::{lines, tsv};
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

    fn talk(&self, finished: &TargetFinished) {
        let node = self.labels.id(&finished.target);
        for line in lines(finished.stderr.as_bytes()) {
            let line = match self.board.is_tty() {
                true => self.board.shown(&String::from_utf8_lossy(line)),
                false => String::from_utf8_lossy(&tsv(line)).into_owned(),
            };
            self.board.say(&format!("{node}\t{line}"));
        }
        if finished.verdict.is_bad() && !self.has_live {
            let reason = finished.reason.as_ref().map(|r| format!(" ({r})")).unwrap_or_default();
            let node = self.board.shown(&self.labels.long(&finished.target));
            self.board.say(&format!("{node}: {}{reason}", finished.verdict));
        }
    }
}

impl Renderer for Lines {
    fn event(&mut self, envelope: &Envelope, _: Option<&StoredOutput>) -> io::Result<()> {
        self.labels.event(&envelope.event);
        let Event::TargetFinished(finished) = &envelope.event else { return Ok(()) };
        self.talk(finished);
        let node = self.labels.id(&finished.target);
        for line in lines(finished.stdout.as_bytes()) {
            self.out.write_all(node.as_bytes())?;
            self.out.write_all(b"\t")?;
            self.out.write_all(&tsv(line))?;
            self.out.write_all(b"\n")?;
        }
        self.out.flush()
    }

    fn finish(&mut self, _: &Bodies) -> io::Result<()> {
        self.out.flush()
    }
}
