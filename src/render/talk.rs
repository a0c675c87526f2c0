//! What is told about a run on stderr while it goes on: its id, waves, gates, warnings, pauses, stops.

use std::io;
use std::time::Duration;

use herder_core::event::{Envelope, Event, RunStarted};
use herder_core::journal::{Bodies, StoredOutput};
use herder_core::time::for_people;
use herder_core::verdict::Reason;

use super::Renderer;
use super::board::Board;
use super::text::counted;

/// The story of a run in a few lines.
pub(super) struct Talk {
    board: Board,
    is_quiet: bool,
    waves: u32,
    /// Whether it is only called off: nobody is listened to meanwhile.
    is_called_off: bool,
}

impl Talk {
    pub(super) fn new(board: Board, is_quiet: bool) -> Talk {
        Talk { board, is_quiet, waves: 0, is_called_off: false }
    }

    fn started(&self, envelope: &Envelope, started: &RunStarted) {
        let count = |n: usize, one: &str| if n > 1 { format!(", {n} {one}s") } else { String::new() };
        let sim = if started.sim { " (SIMULATED)" } else { "" };
        let waves = if started.waves > 1 { format!(", {} waves", started.waves) } else { String::new() };
        let scopes =
            format!("{}{}", count(started.accounts.len(), "account"), count(started.regions.len(), "region"));
        let nodes = counted(started.targets, "node");
        let title = self.board.shown(&started.title);
        self.board.say(&format!("run {}: {nodes}{waves}{scopes}: {title}{sim}", envelope.run));
        if let (Some(reason), false) = (&started.reason, self.is_quiet) {
            self.board.say(&format!("  reason: {}", self.board.shown(reason)));
        }
    }

    fn hints<'a>(&self, hints: impl IntoIterator<Item = &'a String>) {
        hints.into_iter().for_each(|hint| self.board.say(&format!("hint: {}", self.board.shown(hint))));
    }

    fn progress(&self, event: &Event) {
        let say = |line: String| self.board.say(&line);
        match event {
            Event::RunResumed { open: 0, to_cancel: true } => {
                say("every node has its verdict: nothing is left to cancel".to_owned());
            }
            Event::RunResumed { open, to_cancel: true } => {
                say(format!(
                    "cancelling what is left of the run: {} without a verdict",
                    counted(*open, "node")
                ));
            }
            Event::RunResumed { open, to_cancel: false } => {
                say(format!("going on with {} that had no verdict", counted(*open, "node")));
            }
            Event::WaveStarted { wave, targets } if self.waves > 1 => {
                say(format!("wave {wave} of {}: {}", self.waves, counted(*targets, "node")));
            }
            Event::WaveFinished { wave, tally } if self.waves > 1 => {
                let words: Vec<String> = tally.iter().map(|(verdict, n)| format!("{n} {verdict}")).collect();
                say(format!("wave {wave} of {} is over: {} so far", self.waves, words.join(", ")));
            }
            Event::SoakStarted { wave, soak_ms } => {
                let soak = for_people(Duration::from_millis(*soak_ms));
                say(format!("wave {} begins in {soak}, unless something stops it", wave + 1));
            }
            Event::GatePassed { gate, wave, note: None } => {
                say(format!("gate `{}` passed after wave {wave}", self.board.shown(gate)));
            }
            _ => {}
        }
    }
}

impl Renderer for Talk {
    fn event(&mut self, envelope: &Envelope, _: Option<&StoredOutput>) -> io::Result<()> {
        if let Event::RunResumed { to_cancel, .. } = &envelope.event {
            self.is_called_off = *to_cancel;
        }
        let (board, paint) = (&self.board, self.board.paint());
        match &envelope.event {
            Event::RunStarted(started) => {
                self.started(envelope, started);
                self.waves = started.waves;
            }
            Event::Warning { message, hints } => {
                board.say(&format!("{} {}", paint.yellow("warning:"), board.shown(message)));
                self.hints(hints);
            }
            Event::RunPaused { reason, hint } => {
                board.say(&format!("{} {}", paint.yellow("paused:"), board.shown(reason)));
                self.hints([hint]);
            }
            Event::RunContinued => board.say("going on"),
            Event::GatePassed { gate, wave, note: Some(note) } => {
                let (gate, note) = (board.shown(gate), board.shown(note));
                let warning = paint.yellow("warning:");
                board.say(&format!("gate `{gate}` passed after wave {wave}; {warning} {note}"));
            }
            Event::GateFailed { gate, wave, reason, mid_wave } => {
                let (gate, reason) = (board.shown(gate), board.shown(reason));
                let (failed, when) = (paint.red("failed"), if *mid_wave { "in" } else { "after" });
                board.say(&format!("gate `{gate}` {failed} {when} wave {wave}: {reason}"));
            }
            // A budget that runs out with the last target holds nothing back.
            Event::RunStopping { reason, not_sent: 0, .. } if *reason == Reason::BUDGET => {}
            Event::RunStopping { reason, in_flight, not_sent, cancels } => {
                let stopping = paint.red("stopping");
                let can_be_cancelled = *reason == Reason::INTERRUPTED && *in_flight > 0 && !cancels;
                let again = if can_be_cancelled { "; Ctrl-C again cancels what runs" } else { "" };
                board.say(&format!(
                    "{stopping} ({reason}): {in_flight} in flight, {not_sent} not sent{again}"
                ));
            }
            Event::RunCancelling { in_flight } => {
                let cancelling = paint.red("cancelling");
                let leave = if self.is_called_off { "" } else { "; Ctrl-C again leaves at once" };
                board.say(&format!("{cancelling} {in_flight} in flight, for up to 10 s{leave}"));
            }
            event if !self.is_quiet => self.progress(event),
            _ => {}
        }
        Ok(())
    }

    fn finish(&mut self, _: &Bodies) -> io::Result<()> {
        Ok(())
    }
}
