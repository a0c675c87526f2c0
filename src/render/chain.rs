//! [`Chain`]: several renderers as one. One that fails is left out from then on; the others go on.

use std::io;

use herder_core::event::Envelope;
use herder_core::journal::{Bodies, StoredOutput};

use super::Renderer;

/// Renderers in the order in which they see events.
#[derive(Default)]
pub(super) struct Chain {
    links: Vec<Box<dyn Renderer>>,
    failure: Option<io::Error>,
}

impl Chain {
    pub(super) fn push(&mut self, renderer: impl Renderer + 'static) {
        self.links.push(Box::new(renderer));
    }

    /// A reader that went away (`| head`) is no failure.
    fn keep(&mut self, result: io::Result<()>) -> bool {
        match result {
            Ok(()) => true,
            Err(error) => {
                if error.kind() != io::ErrorKind::BrokenPipe {
                    self.failure.get_or_insert(error);
                }
                false
            }
        }
    }

    fn each(&mut self, mut show: impl FnMut(&mut dyn Renderer) -> io::Result<()>) {
        let mut links = std::mem::take(&mut self.links);
        links.retain_mut(|link| {
            let result = show(&mut **link);
            self.keep(result)
        });
        self.links = links;
    }
}

impl Renderer for Chain {
    fn event(&mut self, envelope: &Envelope, stored: Option<&StoredOutput>) -> io::Result<()> {
        self.each(|link| link.event(envelope, stored));
        Ok(())
    }

    fn tick(&mut self) {
        self.links.iter_mut().for_each(|link| link.tick());
    }

    /// The first error that any of them had is given back here.
    fn finish(&mut self, bodies: &Bodies) -> io::Result<()> {
        self.each(|link| link.finish(bodies));
        self.failure.take().map_or(Ok(()), Err)
    }
}
