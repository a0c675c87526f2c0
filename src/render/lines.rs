//! In a pipe: `node<TAB>line` for every line of output, as each target finishes, or as it is written where outputs are shown live.

use std::collections::HashMap;
use std::io::{self, Write};

use herder_core::event::{Body, Envelope, Event, OutputPiece, Stream, TargetFinished};
use herder_core::journal::{Bodies, StoredOutput};

use super::Renderer;
use super::board::Board;
use super::records::Labels;
use super::text::{LineSplit, lines, tsv};
use crate::io::Out;

/// Bytes of a line on stderr; one without an end is shown in several.
const MAX_LINE: usize = 64 * 1024;

/// Outputs as lines: stdout to stdout, stderr to stderr, both behind the node.
pub(super) struct Lines {
    out: Out,
    board: Board,
    /// Whether failures are seen on a live view.
    has_live: bool,
    labels: Labels,
    /// What was shown before the result, by node, of stdout and of stderr.
    shown: HashMap<String, [Shown; 2]>,
}

impl Lines {
    pub(super) fn new(out: Out, board: Board, has_live: bool) -> Lines {
        Lines { out, board, has_live, labels: Labels::default(), shown: HashMap::new() }
    }

    /// A line of a node's stderr.
    fn say(&self, node: &str, line: &[u8]) {
        let text = match self.board.is_tty() {
            true => self.board.shown(&String::from_utf8_lossy(line)),
            false => String::from_utf8_lossy(&tsv(line)).into_owned(),
        };
        self.board.say(&format!("{node}\t{text}"));
    }

    fn piece(&mut self, piece: &OutputPiece) -> io::Result<()> {
        let node = self.labels.id(&piece.target);
        for line in lines(piece.text.as_bytes()) {
            match piece.stream {
                Stream::Stdout => {
                    self.out.write_all(&[node.as_bytes(), b"\t", &tsv(line), b"\n"].concat())?;
                }
                Stream::Stderr => self.say(&node, line),
            }
            let [stdout, stderr] = self.shown.entry(node.clone()).or_default();
            let shown = if piece.stream == Stream::Stdout { stdout } else { stderr };
            shown.part(line, true);
        }
        self.out.flush()
    }

    /// Lines of an output to leave out, since they were shown. What does not begin with what was shown is shown whole.
    fn skip(&self, node: &str, shown: &Shown, body: &Body) -> io::Result<u64> {
        if shown.lines == 0 {
            return Ok(0);
        }
        let mut begin = Shown::default();
        let most = shown.lines;
        // What is shown live is text, whatever the bytes were.
        let mut split = LineSplit::default();
        let mut take = |part: &[u8], is_end: bool| {
            if begin.lines < most {
                begin.part(part, is_end);
            }
            Ok(())
        };
        body.for_each_text(|text| split.push(text.as_bytes(), &mut take))?;
        split.finish(&mut take)?;
        if begin == *shown {
            return Ok(most);
        }
        self.board
            .say(&format!("{node}: what was shown so far is not how its output begins; this is all of it"));
        Ok(0)
    }

    fn talk(&self, finished: &TargetFinished, shown: &Shown) -> io::Result<()> {
        let node = self.labels.id(&finished.target);
        let (mut left, mut line) = (self.skip(&node, shown, &finished.stderr)?, Vec::new());
        for_each_part(&finished.stderr, |part, is_end| {
            if left > 0 {
                left -= u64::from(is_end);
                return Ok(());
            }
            line.extend_from_slice(part);
            if is_end || line.len() >= MAX_LINE {
                self.say(&node, &std::mem::take(&mut line));
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

    fn finished(&mut self, finished: &TargetFinished) -> io::Result<()> {
        let node = self.labels.id(&finished.target);
        let [stdout, stderr] = self.shown.remove(&node).unwrap_or_default();
        self.talk(finished, &stderr)?;
        let mut left = self.skip(&node, &stdout, &finished.stdout)?;
        let (out, head, mut is_start) = (&mut self.out, node + "\t", true);
        for_each_part(&finished.stdout, |part, is_end| {
            if left > 0 {
                left -= u64::from(is_end);
                return Ok(());
            }
            if std::mem::replace(&mut is_start, is_end) {
                out.write_all(head.as_bytes())?;
            }
            out.write_all(&tsv(part))?;
            if is_end { out.write_all(b"\n") } else { Ok(()) }
        })?;
        self.out.flush()
    }
}

/// Hands over the lines of an output in parts, without their ends; the last part of a line is marked as such.
fn for_each_part(body: &Body, mut take: impl FnMut(&[u8], bool) -> io::Result<()>) -> io::Result<()> {
    let mut split = LineSplit::default();
    body.for_each_piece(|piece| split.push(piece, &mut take))?;
    split.finish(take)
}

/// Lines, as far as it takes to see them again.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Shown {
    lines: u64,
    /// FNV-1a.
    hash: u64,
}

impl Default for Shown {
    fn default() -> Shown {
        Shown { lines: 0, hash: 0xcbf2_9ce4_8422_2325 }
    }
}

impl Shown {
    fn part(&mut self, part: &[u8], is_end: bool) {
        let byte = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        self.hash = part.iter().fold(self.hash, |hash, b| byte(hash, *b));
        if is_end {
            self.hash = byte(self.hash, b'\n');
            self.lines += 1;
        }
    }
}

impl Renderer for Lines {
    fn event(&mut self, envelope: &Envelope, _: Option<&StoredOutput>) -> io::Result<()> {
        self.labels.event(&envelope.event);
        match &envelope.event {
            Event::Output(piece) => self.piece(piece),
            Event::TargetFinished(finished) => self.finished(finished),
            _ => Ok(()),
        }
    }

    fn finish(&mut self, _: &Bodies) -> io::Result<()> {
        self.out.flush()
    }
}
