//! `-o jsonl`: every event as a line, out at once.

use std::io::{self, Write};

use herder_core::event::{Envelope, Event};
use herder_core::journal::{Bodies, StoredOutput};

use super::Renderer;
use super::records::unread;
use super::text::write_json;
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
        write_json(&mut self.out, envelope)?;
        self.out.write_all(b"\n")?;
        self.out.flush()?;
        // The line is whole; that an output in it is not has to be told.
        match &envelope.event {
            Event::TargetFinished(finished) => unread(finished).map_or(Ok(()), Err),
            _ => Ok(()),
        }
    }

    fn finish(&mut self, _: &Bodies) -> io::Result<()> {
        self.out.flush()
    }
}
