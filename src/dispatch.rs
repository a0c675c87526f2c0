//! The dispatcher: stamps events, journals and counts them, and hands them to the renderer.
//!
//! Two threads, so that nothing a reader does can hold up the run: one stamps and journals at once, the other renders
//! at the reader's pace. What waits between them has no bodies in it; the renderer reads those back from disk.

use std::io;
use std::sync::mpsc as std_mpsc;
use std::time::Duration;

use herder_core::event::{Envelope, Event, RunFinished, SCHEMA_VERSION};
use herder_core::journal::{Bodies, EventLog, Journal, RunDirectory, StoredEvent};
use herder_core::run_id::RunId;
use herder_core::verdict::{Tally, Verdict};
use tokio::sync::{mpsc, oneshot};

use crate::ctx::Clock;
use crate::render::Renderer;

/// Redraws of a live view a second.
const TICKS: u32 = 5;

/// What the dispatcher needs.
pub(crate) struct Dispatcher {
    /// The run.
    pub(crate) run: RunId,
    /// The number of the first event.
    pub(crate) next_seq: u64,
    /// Stamps.
    pub(crate) clock: Clock,
    /// The event log; `None` where nothing is kept.
    pub(crate) log: EventLog,
    /// Told when the log breaks, so that nothing more is sent.
    pub(crate) journal: Journal,
    /// Where the bodies are.
    pub(crate) directory: RunDirectory,
}

/// What the dispatcher counted.
#[derive(Debug)]
pub(crate) struct Counted {
    /// Verdict → count of the targets that ended under this dispatcher.
    pub(crate) tally: Tally,
    /// Their run times, milliseconds, ascending.
    durations: Vec<u64>,
    /// Exit code of the only target, if there was one.
    pub(crate) exit_code: Option<i64>,
    /// Whether everything was shown. A reader that left early is no error.
    pub(crate) shown: io::Result<()>,
}

impl Default for Counted {
    fn default() -> Counted {
        Counted { tally: Tally::default(), durations: Vec::new(), exit_code: None, shown: Ok(()) }
    }
}

impl Counted {
    fn take(&mut self, event: &Event) {
        if let Event::TargetFinished(finished) = event {
            self.tally.add(finished.verdict);
            self.exit_code = finished.exit_code;
            if finished.verdict != Verdict::Undelivered {
                self.durations.extend(finished.duration_ms);
            }
        }
    }

    /// The run time that `share` of the targets did not exceed (nearest rank).
    fn quantile(&mut self, share: f64) -> Option<u64> {
        self.durations.sort_unstable();
        let rank = (share * self.durations.len() as f64).ceil() as usize;
        self.durations.get(rank.saturating_sub(1)).copied()
    }
}

/// The end of a run, filled in by whoever drove it, once every other event is through.
pub(crate) struct Ending {
    /// Verdict → count over the whole run.
    pub(crate) tally: Tally,
    /// herder's exit code.
    pub(crate) exit: i32,
    /// Calls accepted and throttled.
    pub(crate) calls: u64,
    /// See `calls`.
    pub(crate) throttles: u64,
    /// Wall clock.
    pub(crate) took: Duration,
}

impl Dispatcher {
    /// Stores and shows the first events at once, on this thread: the run's id has been seen before anything is changed.
    pub(crate) fn open(&mut self, opening: Vec<Event>, renderer: &mut dyn Renderer) {
        for event in opening {
            let stored = self.store(event);
            // A reader that is gone is noticed again, and dealt with, at the next event.
            let _ = renderer.event(&stored.envelope, stored.stored.as_ref());
        }
    }

    /// Takes events until nobody sends any more, then the end; blocks its thread.
    pub(crate) fn run(
        mut self,
        mut events: mpsc::Receiver<Event>,
        ending: oneshot::Receiver<Ending>,
        renderer: Box<dyn Renderer>,
    ) -> Counted {
        let (to_renderer, rendered) = std_mpsc::channel();
        let directory = self.directory.clone();
        let thread = std::thread::Builder::new().name("render".into());
        let renderer = thread.spawn(move || render(&rendered, renderer, &directory));
        let mut counted = Counted::default();
        while let Some(event) = events.blocking_recv() {
            counted.take(&event);
            // Without a renderer (its thread could not start, or its reader is gone) the run goes on.
            let _ = to_renderer.send(self.store(event));
        }
        if let Ok(ending) = ending.blocking_recv() {
            let finished = Event::RunFinished(finish(ending, &mut counted));
            let _ = to_renderer.send(self.store(finished));
        }
        drop(to_renderer);
        counted.shown = match renderer {
            Ok(renderer) => renderer.join().unwrap_or_else(|_| Err(io::Error::other("the renderer failed"))),
            Err(error) => Err(error),
        };
        counted
    }

    fn store(&mut self, event: Event) -> StoredEvent {
        let envelope = Envelope {
            v: SCHEMA_VERSION,
            seq: self.next_seq,
            at: self.clock.now(),
            run: self.run.clone(),
            event,
        };
        self.next_seq += 1;
        match self.log.append(envelope) {
            Ok(stored) => stored,
            Err((stored, error)) => {
                self.journal.mark_broken(&error.to_string());
                *stored
            }
        }
    }
}

fn finish(ending: Ending, counted: &mut Counted) -> RunFinished {
    RunFinished {
        tally: ending.tally,
        exit: ending.exit,
        calls: ending.calls,
        throttles: ending.throttles,
        p50_ms: counted.quantile(0.5),
        p95_ms: counted.quantile(0.95),
        took_ms: u64::try_from(ending.took.as_millis()).unwrap_or(u64::MAX),
    }
}

/// Renders until the events end. An error means that nobody reads any more, or that nothing more can be written: the rest is
/// dropped, never the run.
fn render(
    events: &std_mpsc::Receiver<StoredEvent>,
    mut renderer: Box<dyn Renderer>,
    directory: &RunDirectory,
) -> io::Result<()> {
    let bodies = Bodies::open_read_only(&directory.bodies())?;
    let pause = Duration::from_secs(1) / TICKS;
    let shown = loop {
        let shown = match events.recv_timeout(pause) {
            Ok(stored) => replay_event(stored, renderer.as_mut(), &bodies),
            Err(std_mpsc::RecvTimeoutError::Timeout) => {
                renderer.tick();
                Ok(())
            }
            Err(std_mpsc::RecvTimeoutError::Disconnected) => break renderer.finish(&bodies),
        };
        if shown.is_err() {
            break shown;
        }
    };
    match shown {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        shown => shown,
    }
}

/// Hands a stored event to a renderer, with its bodies back in place.
pub(crate) fn replay_event(
    mut stored: StoredEvent,
    renderer: &mut dyn Renderer,
    bodies: &Bodies,
) -> io::Result<()> {
    if let (Event::TargetFinished(finished), Some(output)) = (&mut stored.envelope.event, &stored.stored) {
        finished.stdout = bodies.read(output.stdout).unwrap_or_default();
        finished.stderr = bodies.read(output.stderr).unwrap_or_default();
    }
    renderer.event(&stored.envelope, stored.stored.as_ref())
}
