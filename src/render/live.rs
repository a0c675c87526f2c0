//! On a terminal, while a run goes on: a bar, counts, rate, time left, and the latest failures. Redrawn five times a
//! second at most, however many events come.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use herder_core::event::{Body, Envelope, Event, TargetFinished};
use herder_core::fanout::GATE_PATIENCE;
use herder_core::journal::{Bodies, StoredOutput};
use herder_core::time::for_people;
use herder_core::verdict::{Tally, Verdict};
use jiff::{SignedDuration, Timestamp};

use super::board::{Board, Tint};
use super::records::Labels;
use super::text::{lines, visible_cell};
use super::{Clock, Renderer};

const FAILURES_SHOWN: usize = 3;

/// The last line of an output is looked for in so many bytes.
const TAIL: u64 = 4096;

/// Between two drawings.
const PAUSE: SignedDuration = SignedDuration::from_millis(200);

/// The live view.
pub(super) struct Live {
    board: Board,
    clock: Clock,
    drawn: Option<Timestamp>,
    state: State,
}

#[derive(Default)]
struct State {
    total: u64,
    /// Finished ones that were sent, so that those running can be told.
    sent: u64,
    ended: u64,
    tally: Tally,
    since: Option<Timestamp>,
    is_sim: bool,
    wave: Option<(u32, u32)>,
    waves: u32,
    throttled: u64,
    paused: Option<String>,
    between: Option<Between>,
    labels: Labels,
    failures: VecDeque<String>,
}

/// What holds up the next wave.
enum Between {
    Soak { next: u32, until: Timestamp },
    Gate { gate: String, since: Timestamp },
}

impl Between {
    fn told(&self, now: Timestamp) -> String {
        match self {
            Between::Soak { next, until } => {
                let left = Duration::try_from(until.duration_since(now)).unwrap_or_default();
                format!("soaking: wave {next} begins in {}", seconds(left))
            }
            Between::Gate { gate, since } => {
                let asked = Duration::try_from(now.duration_since(*since)).unwrap_or_default();
                let patience = GATE_PATIENCE.as_secs();
                format!("asking gate `{}`: {} of {patience}s at most", visible_cell(gate), seconds(asked))
            }
        }
    }
}

impl Live {
    pub(super) fn new(board: Board, clock: Clock) -> Live {
        Live { board, clock, drawn: None, state: State::default() }
    }

    fn draw(&mut self) {
        let now = (self.clock)();
        self.drawn = Some(now);
        self.board.draw(&self.state.lines(now, self.board.columns()));
    }

    fn is_due(&self) -> bool {
        self.drawn.is_none_or(|drawn| (self.clock)().duration_since(drawn).abs() >= PAUSE)
    }
}

impl Renderer for Live {
    fn event(&mut self, envelope: &Envelope, _: Option<&StoredOutput>) -> io::Result<()> {
        // A run that is replayed or resumed began long ago; what counts here is how long someone has watched.
        if self.state.since.is_none() {
            self.state.since = Some((self.clock)());
        }
        self.state.event(&envelope.event, envelope.at);
        if self.is_due() {
            self.draw();
        }
        Ok(())
    }

    fn tick(&mut self) {
        if self.state.since.is_some() {
            self.draw();
        }
    }

    fn finish(&mut self, _: &Bodies) -> io::Result<()> {
        self.board.clear();
        Ok(())
    }
}

impl State {
    fn event(&mut self, event: &Event, at: Timestamp) {
        self.labels.event(event);
        self.note_between(event, at);
        match event {
            Event::RunStarted(started) => {
                (self.total, self.waves, self.is_sim) = (started.targets, started.waves, started.sim);
            }
            Event::WaveStarted { wave, .. } => self.wave = Some((*wave, self.waves)),
            Event::TargetSent { attempt, .. } => self.sent += u64::from(*attempt == 1),
            Event::TargetFinished(finished) => self.finished(finished),
            Event::Throttled { .. } => self.throttled += 1,
            Event::RunPaused { reason, .. } => self.paused = Some(reason.clone()),
            Event::RunContinued => self.paused = None,
            _ => {}
        }
    }

    fn note_between(&mut self, event: &Event, at: Timestamp) {
        match event {
            Event::SoakStarted { wave, soak_ms } => {
                let soak = SignedDuration::from_millis(i64::try_from(*soak_ms).unwrap_or(i64::MAX));
                let until = at.checked_add(soak).unwrap_or(Timestamp::MAX);
                self.between = Some(Between::Soak { next: wave + 1, until });
            }
            Event::GateAsked { gate, .. } => {
                self.between = Some(Between::Gate { gate: gate.clone(), since: at });
            }
            Event::GatePassed { .. }
            | Event::GateFailed { .. }
            | Event::WaveStarted { .. }
            | Event::RunResumed { .. }
            | Event::RunStopping { .. } => self.between = None,
            _ => {}
        }
    }

    fn finished(&mut self, finished: &TargetFinished) {
        self.tally.add(finished.verdict);
        self.ended += u64::from(finished.attempt > 0);
        if !finished.verdict.is_bad() {
            return;
        }
        // The last line of what a node said is where the reason stands.
        let last = |body: &Body| {
            let tail = body.tail(TAIL).unwrap_or_default();
            let line = lines(&tail).filter(|line| !line.is_empty()).last()?;
            Some(format!(": {}", String::from_utf8_lossy(line)))
        };
        let said = last(&finished.stderr).or_else(|| last(&finished.stdout)).unwrap_or_default();
        let reason = finished.reason.as_ref().map(|r| format!(" ({r})")).unwrap_or_default();
        let node = self.labels.long(&finished.target);
        let line = format!("{} {node}{reason}{said}", finished.verdict);
        self.failures.push_back(visible_cell(&line).into_owned());
        if self.failures.len() > FAILURES_SHOWN {
            self.failures.pop_front();
        }
    }

    fn lines(&self, now: Timestamp, columns: usize) -> Vec<(String, Tint)> {
        let mut drawn = vec![(self.bar(now, columns), Tint::Bold), (self.counts(), Tint::Plain)];
        if let Some(reason) = &self.paused {
            drawn.push((format!("paused: {}", visible_cell(reason)), Tint::Bad));
        }
        drawn.extend(self.between.iter().map(|between| (between.told(now), Tint::Plain)));
        drawn.extend(self.failures.iter().map(|line| (format!("  {line}"), Tint::Bad)));
        drawn
    }

    fn bar(&self, now: Timestamp, columns: usize) -> String {
        // What was never sent is no progress, or an interrupted run would look almost done.
        let done = self.tally.total() - self.tally.count(Verdict::NotRun);
        let elapsed = self.since.map_or(Duration::ZERO, |since| {
            Duration::try_from(now.duration_since(since)).unwrap_or(Duration::ZERO)
        });
        let percent = (done * 100).checked_div(self.total).unwrap_or(0).min(100);
        let mut right = format!(" {done}/{} {percent}%  {}", self.total, seconds(elapsed));
        let rate = done as f64 / elapsed.as_secs_f64().max(0.2);
        if done > 0 && done < self.total && elapsed >= Duration::from_secs(2) {
            let left =
                Duration::try_from_secs_f64((self.total - done) as f64 / rate).unwrap_or(Duration::MAX);
            right.push_str(&format!("  {rate:.1}/s  {} left", seconds(left)));
        }
        let room = columns.saturating_sub(right.chars().count() + 4).min(40);
        let filled = usize::try_from(percent).unwrap_or(0) * room / 100;
        format!("[{}{}]{right}", "#".repeat(filled), "-".repeat(room - filled))
    }

    fn counts(&self) -> String {
        let mut words = if self.is_sim { vec!["SIMULATED".to_owned()] } else { Vec::new() };
        words.extend(self.tally.iter().map(|(verdict, n)| format!("{n} {verdict}")));
        words.push(format!("{} running", self.sent.saturating_sub(self.ended)));
        if let Some((wave, waves)) = self.wave.filter(|(_, waves)| *waves > 1) {
            words.push(format!("wave {wave} of {waves}"));
        }
        if self.throttled > 0 {
            words.push(format!("{} throttled", self.throttled));
        }
        words.join("  ")
    }
}

/// Without tenths, which would flicker.
fn seconds(duration: Duration) -> String {
    match duration.as_secs() {
        few @ 0..10 => format!("{few}s"),
        many => for_people(Duration::from_secs(many)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_holds_up_the_next_wave_is_said() {
        let mut state = State { total: 10, ..State::default() };
        let begun = Timestamp::UNIX_EPOCH;
        let after = |seconds| begun + SignedDuration::from_secs(seconds);
        let says = |state: &State, seconds| {
            state.lines(after(seconds), 80).into_iter().map(|(line, _)| line).skip(2).collect::<Vec<_>>()
        };
        state.event(&Event::SoakStarted { wave: 1, soak_ms: 300_000 }, begun);
        assert_eq!(says(&state, 100), ["soaking: wave 2 begins in 3m 20s"]);
        assert_eq!(says(&state, 301), ["soaking: wave 2 begins in 0s"]);
        state.event(&Event::GateAsked { gate: "./check".into(), wave: 1 }, after(300));
        assert_eq!(says(&state, 304), ["asking gate `./check`: 4s of 60s at most"]);
        state.event(&Event::GatePassed { gate: "./check".into(), wave: 1, note: None }, after(305));
        assert!(says(&state, 305).is_empty());
    }

    #[test]
    fn what_was_never_sent_is_no_progress() {
        let mut state = State { total: 10, ..State::default() };
        for _ in 0..2 {
            state.tally.add(Verdict::Ok);
        }
        for _ in 0..8 {
            state.tally.add(Verdict::NotRun);
        }
        let now = Timestamp::UNIX_EPOCH;
        assert_eq!(state.bar(now, 40), "[####-------------------] 2/10 20%  0s");
        assert!(state.counts().starts_with("2 ok  8 not_run"), "{}", state.counts());
    }
}
