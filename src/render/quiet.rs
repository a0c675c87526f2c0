//! `-o quiet`: the ids of bad targets, one a line, as they end.

use std::io::{self, Write};

use herder_core::event::{Envelope, Event};
use herder_core::journal::{Bodies, StoredOutput};

use super::Renderer;
use super::records::Labels;
use crate::io::Out;

/// Bad targets only.
pub(super) struct Quiet {
    out: Out,
    labels: Labels,
}

impl Quiet {
    pub(super) fn new(out: Out) -> Quiet {
        Quiet { out, labels: Labels::default() }
    }
}

impl Renderer for Quiet {
    fn event(&mut self, envelope: &Envelope, _: Option<&StoredOutput>) -> io::Result<()> {
        self.labels.event(&envelope.event);
        match &envelope.event {
            Event::TargetFinished(finished) if finished.verdict.is_bad() => {
                writeln!(self.out, "{}", self.labels.id(&finished.target))?;
                self.out.flush()
            }
            _ => Ok(()),
        }
    }

    fn finish(&mut self, _: &Bodies) -> io::Result<()> {
        self.out.flush()
    }
}
