//! On a terminal: outputs as they are written, above the live view. What they come to is folded at the end.

use std::io;

use herder_core::event::{Envelope, Event, Stream};
use herder_core::journal::{Bodies, StoredOutput};

use super::Renderer;
use super::board::Board;
use super::records::Labels;
use super::text::lines;

/// Outputs as they come.
pub(super) struct Echo {
    board: Board,
    labels: Labels,
}

impl Echo {
    pub(super) fn new(board: Board) -> Echo {
        Echo { board, labels: Labels::default() }
    }
}

impl Renderer for Echo {
    fn event(&mut self, envelope: &Envelope, _: Option<&StoredOutput>) -> io::Result<()> {
        self.labels.event(&envelope.event);
        let Event::Output(piece) = &envelope.event else { return Ok(()) };
        let name = piece.target.name.clone().filter(|_| !self.labels.has_scopes());
        let name = self.board.shown(&name.unwrap_or_else(|| self.labels.id(&piece.target)));
        let mark = if piece.stream == Stream::Stdout { "|" } else { "!" };
        let head = self.board.paint().bold(&format!("{name} {mark}"));
        for line in lines(piece.text.as_bytes()) {
            self.board.say(&format!("{head} {}", self.board.shown(&String::from_utf8_lossy(line))));
        }
        Ok(())
    }

    fn finish(&mut self, _: &Bodies) -> io::Result<()> {
        Ok(())
    }
}
