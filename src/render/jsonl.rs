//! `-o jsonl`: every event as a line, out at once.

use std::io::{self, Write};

use herder_core::event::Envelope;
use herder_core::journal::{Bodies, StoredOutput};

use super::Renderer;
use super::text::json;
use crate::io::Out;

/// Events as lines.
pub(super) struct Jsonl {
    out: Out,
}

impl Jsonl {
    pub(super) fn new(out: Out) -> Jsonl {
        Jsonl { out }
    }
}

impl Renderer for Jsonl {
    fn event(&mut self, envelope: &Envelope, _: Option<&StoredOutput>) -> io::Result<()> {
        let mut line = json(envelope)?;
        line.push(b'\n');
        self.out.write_all(&line)?;
        self.out.flush()
    }

    fn finish(&mut self, _: &Bodies) -> io::Result<()> {
        self.out.flush()
    }
}
