//! The dispatcher: stamps events, journals and counts them, and hands them to the renderer.
//!
//! Two threads, so that nothing a reader does can hold up the run: one stamps and journals at once, the other renders
//! at the reader's pace. What waits between them has no bodies in it; the renderer reads those back from disk.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc as std_mpsc};
use std::time::Duration;

use herder_core::event::{Envelope, Event, RunError, RunFinished, SCHEMA_VERSION, Stopped};
use herder_core::journal::{Bodies, EventLog, Journal, JournalError, RunDirectory, StoredEvent};
use herder_core::run_id::RunId;
use herder_core::verdict::{Reason, Tally, Verdict};
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
    /// Why events are missing on disk; `None` at the start.
    pub(crate) incomplete: Option<JournalError>,
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
    /// Why events or outputs are missing on disk, if any are.
    pub(crate) incomplete: Option<JournalError>,
    /// Why nothing new was started, and the gate that was asked last.
    stopped: Option<Stopped>,
    gate: Option<(String, String)>,
}

impl Default for Counted {
    fn default() -> Counted {
        Counted {
            tally: Tally::default(),
            durations: Vec::new(),
            exit_code: None,
            shown: Ok(()),
            incomplete: None,
            stopped: None,
            gate: None,
        }
    }
}

impl Counted {
    fn take(&mut self, event: &Event) {
        match event {
            Event::TargetFinished(finished) => {
                self.tally.add(finished.verdict);
                self.exit_code = finished.exit_code;
                if finished.verdict != Verdict::Undelivered {
                    self.durations.extend(finished.duration_ms);
                }
            }
            Event::GateFailed { gate, reason, .. } => self.gate = Some((gate.clone(), reason.clone())),
            Event::RunStopping { reason, .. } => {
                let (gate, detail) = match (*reason == Reason::GATE, self.gate.take()) {
                    (true, Some((gate, detail))) => (Some(gate), Some(detail)),
                    _ => (None, None),
                };
                self.stopped.get_or_insert(Stopped { reason: reason.clone(), gate, detail });
            }
            _ => {}
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
    /// The same, if events are missing on disk.
    pub(crate) exit_if_incomplete: i32,
    /// Calls accepted and throttled.
    pub(crate) calls: u64,
    /// See `calls`.
    pub(crate) throttles: u64,
    /// Wall clock.
    pub(crate) took: Duration,
    /// The error that ended it, where one did.
    pub(crate) error: Option<Box<RunError>>,
}

/// Live pieces of output that the renderer has not come to. Results have their bodies on disk; these have theirs in memory.
#[derive(Default)]
struct Waiting {
    bytes: Arc<AtomicUsize>,
    has_warned: bool,
}

impl Waiting {
    /// So many bytes may wait for a reader that pauses.
    const MOST: usize = 8 << 20;

    /// Whether one more piece may wait. What does not is not shown live: the result has it.
    fn takes(&mut self, bytes: usize) -> bool {
        let fits = self.bytes.load(Ordering::Relaxed).saturating_add(bytes) <= Waiting::MOST;
        if fits {
            self.bytes.fetch_add(bytes, Ordering::Relaxed);
        }
        fits
    }

    /// The one warning about it.
    fn warning(&mut self) -> Option<Event> {
        let message = "outputs come faster than they are read: pieces of them are not shown live, results have all of them";
        (!std::mem::replace(&mut self.has_warned, true))
            .then(|| Event::Warning { message: message.to_owned(), hints: Vec::new() })
    }
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
        let mut waiting = Waiting::default();
        let bytes = Arc::clone(&waiting.bytes);
        let renderer = thread.spawn(move || render(&rendered, renderer, &directory, &bytes));
        let mut counted = Counted::default();
        while let Some(event) = events.blocking_recv() {
            counted.take(&event);
            if let Event::Output(piece) = &event
                && !waiting.takes(piece.text.len())
            {
                if let Some(warning) = waiting.warning() {
                    let _ = to_renderer.send(self.store(warning));
                }
                continue;
            }
            // Without a renderer (its thread could not start, or its reader is gone) the run goes on.
            let _ = to_renderer.send(self.store(event));
        }
        if let Ok(ending) = ending.blocking_recv() {
            let _ = to_renderer.send(self.store_end(&ending, &mut counted));
        }
        drop(to_renderer);
        counted.incomplete = self.incomplete.take();
        counted.shown = match renderer {
            Ok(renderer) => renderer.join().unwrap_or_else(|_| Err(io::Error::other("the renderer failed"))),
            Err(error) => Err(error),
        };
        counted
    }

    /// The last event tells the exit that the process has: not success, if anything before it is missing on disk, or it itself.
    fn store_end(&mut self, ending: &Ending, counted: &mut Counted) -> StoredEvent {
        let was_complete = self.incomplete.is_none();
        let exit = if was_complete { ending.exit } else { ending.exit_if_incomplete };
        let mut stored = self.store(Event::RunFinished(finish(ending, exit, counted)));
        if let (true, Some(_), Event::RunFinished(finished)) =
            (was_complete, &self.incomplete, &mut stored.envelope.event)
        {
            finished.exit = ending.exit_if_incomplete;
        }
        stored
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
                self.incomplete.get_or_insert(error);
                *stored
            }
        }
    }
}

fn finish(ending: &Ending, exit: i32, counted: &mut Counted) -> RunFinished {
    RunFinished {
        tally: ending.tally.clone(),
        exit,
        calls: ending.calls,
        throttles: ending.throttles,
        p50_ms: counted.quantile(0.5),
        p95_ms: counted.quantile(0.95),
        took_ms: u64::try_from(ending.took.as_millis()).unwrap_or(u64::MAX),
        // A budget that ran out when nothing was left to hold back stopped nothing.
        stopped: counted
            .stopped
            .clone()
            .filter(|stopped| stopped.reason != Reason::BUDGET || ending.tally.count(Verdict::NotRun) > 0),
        error: ending.error.clone(),
    }
}

/// Renders until the events end. An error means that nobody reads any more, or that nothing more can be written: the rest is
/// dropped, never the run.
fn render(
    events: &std_mpsc::Receiver<StoredEvent>,
    mut renderer: Box<dyn Renderer>,
    directory: &RunDirectory,
    waiting: &AtomicUsize,
) -> io::Result<()> {
    let bodies = Bodies::open_read_only(&directory.bodies())?;
    let pause = Duration::from_secs(1) / TICKS;
    let shown = loop {
        let shown = match events.recv_timeout(pause) {
            Ok(stored) => {
                let live = match &stored.envelope.event {
                    Event::Output(piece) => piece.text.len(),
                    _ => 0,
                };
                let shown = replay_event(stored, renderer.as_mut(), &bodies);
                waiting.fetch_sub(live, Ordering::Relaxed);
                shown
            }
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

/// Hands a stored event to a renderer, with its bodies back in place; long ones stay on disk until they are read. Bodies that
/// could not be stored never left it.
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

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use herder_core::event::{Body, Channel, Streams, TargetFinished};
    use herder_core::journal::{FORMAT_VERSION, Identity, RunRecord, RunsDirectory, StoredOutput};
    use herder_core::target::Target;
    use jiff::Timestamp;

    use super::*;

    /// Keeps what it is shown: output, and the exit of the end.
    #[derive(Clone, Default)]
    struct Seen(Arc<Mutex<Vec<String>>>);

    impl Renderer for Seen {
        fn event(&mut self, envelope: &Envelope, _: Option<&StoredOutput>) -> io::Result<()> {
            let text = match &envelope.event {
                Event::TargetFinished(finished) => {
                    String::from_utf8(finished.stdout.head(100).unwrap()).unwrap()
                }
                Event::RunFinished(finished) => format!("exit {}", finished.exit),
                _ => return Ok(()),
            };
            self.0.lock().unwrap().push(text);
            Ok(())
        }

        fn finish(&mut self, _: &Bodies) -> io::Result<()> {
            Ok(())
        }
    }

    fn new_run(state: &std::path::Path) -> (RunId, RunDirectory) {
        let run = RunId::new(Timestamp::UNIX_EPOCH, 1);
        let [account, region, principal] = ["111122223333", "eu-west-1", "arn"].map(String::from);
        let record = RunRecord {
            format: FORMAT_VERSION,
            run: run.clone(),
            created: Timestamp::UNIX_EPOCH,
            herder: "0.1.0".into(),
            command: "exec".into(),
            title: "uptime".into(),
            identity: Identity { account, region, principal, endpoint: None, sim: true },
            scopes: Vec::new(),
            role: None,
            unreached: Vec::new(),
            waves: vec![0],
            recipe: serde_json::Value::Null,
        };
        (run, RunsDirectory::below(state).create(&record, &[]).unwrap())
    }

    fn finished() -> Event {
        let [id, account, region] = ["i-1", "111122223333", "eu-west-1"].map(String::from);
        Event::TargetFinished(Box::new(TargetFinished {
            target: Target { id, name: None, account, region, az: None, platform: None },
            verdict: Verdict::Ok,
            reason: None,
            exit_code: Some(0),
            stdout: Body::from("up 3 days"),
            stderr: Body::default(),
            streams: Streams::Exact,
            truncated: false,
            channel: Channel::Inline,
            started: None,
            finished: None,
            duration_ms: None,
            command_id: None,
            wave: 1,
            attempt: 1,
        }))
    }

    /// What is seen of a run whose file is on a full disk, and whether that is told.
    fn shown(full: Option<&str>) -> (Vec<String>, bool) {
        let state = tempfile::tempdir().unwrap();
        let (run, directory) = new_run(state.path());
        if let Some(file) = full {
            std::os::unix::fs::symlink("/dev/full", directory.path().join(file)).unwrap();
        }
        let dispatcher = Dispatcher {
            run,
            next_seq: 0,
            clock: Clock::system(),
            log: EventLog::open(&directory).unwrap(),
            journal: Journal::open(&directory, 1).unwrap(),
            directory,
            incomplete: None,
        };
        let (events, feed) = mpsc::channel(8);
        let (end, ending) = oneshot::channel();
        events.try_send(finished()).unwrap();
        drop(events);
        let tally = Tally::default();
        let took = Duration::ZERO;
        assert!(
            end.send(Ending {
                tally,
                exit: 0,
                exit_if_incomplete: 6,
                calls: 0,
                throttles: 0,
                took,
                error: None
            })
            .is_ok()
        );
        let seen = Seen::default();
        let counted = dispatcher.run(feed, ending, Box::new(seen.clone()));
        counted.shown.unwrap();
        let seen = seen.0.lock().unwrap().clone();
        (seen, counted.incomplete.is_some())
    }

    #[test]
    fn a_full_disk_loses_no_output_and_is_told() {
        assert_eq!(shown(None), (vec!["up 3 days".into(), "exit 0".into()], false));
        for file in ["output/bodies", "events.jsonl"] {
            assert_eq!(shown(Some(file)), (vec!["up 3 days".into(), "exit 6".into()], true), "{file}");
        }
    }
}
