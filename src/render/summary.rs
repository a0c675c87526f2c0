//! For people, on stderr, at the end: what came of the run, how long it took, what it cost, how to look again.

use std::io;
use std::time::Duration;

use herder_core::event::{Envelope, Event, RunFinished, TargetFinished};
use herder_core::journal::{Bodies, StoredOutput};
use herder_core::run_id::RunId;
use herder_core::time::for_people;
use herder_core::verdict::Tally;

use super::Renderer;
use super::board::Board;
use super::records::Labels;

const SLOWEST_SHOWN: usize = 5;

/// The end of a run in a few lines.
pub(super) struct Summary {
    board: Board,
    run: Option<RunId>,
    is_sim: bool,
    labels: Labels,
    tally: Tally,
    finished: Option<RunFinished>,
    durations: Vec<u32>,
    /// Slowest first.
    slowest: Vec<(u64, String)>,
}

impl Summary {
    pub(super) fn new(board: Board) -> Summary {
        Summary {
            board,
            run: None,
            is_sim: false,
            labels: Labels::default(),
            tally: Tally::default(),
            finished: None,
            durations: Vec::new(),
            slowest: Vec::new(),
        }
    }

    fn target(&mut self, finished: &TargetFinished) {
        self.tally.add(finished.verdict);
        let Some(duration) = finished.duration_ms else { return };
        self.durations.push(u32::try_from(duration).unwrap_or(u32::MAX));
        let place = self.slowest.partition_point(|(slower, _)| *slower >= duration);
        if place < SLOWEST_SHOWN {
            let name = finished.target.name.clone().filter(|_| !self.labels.has_scopes());
            let name = name.unwrap_or_else(|| self.labels.id(&finished.target));
            self.slowest.insert(place, (duration, name));
            self.slowest.truncate(SLOWEST_SHOWN);
        }
    }

    fn headline(&self, run: &RunId) -> String {
        let tally = self.finished.as_ref().map_or(&self.tally, |finished| &finished.tally);
        let paint = self.board.paint();
        let words: Vec<String> =
            tally.iter().map(|(verdict, n)| paint.verdict(verdict, &format!("{n} {verdict}"))).collect();
        let words = if words.is_empty() { "no verdicts".to_owned() } else { words.join(", ") };
        let took = match &self.finished {
            Some(finished) => format!("took {}", for_people(Duration::from_millis(finished.took_ms))),
            None => "has not finished".to_owned(),
        };
        let sim = if self.is_sim { " (SIMULATED)" } else { "" };
        format!("run {run} {took}: {words}{sim}")
    }

    fn times(&self, finished: &RunFinished) -> Option<String> {
        let (p50, p95) = (finished.p50_ms?, finished.p95_ms?);
        let time = |ms: u64| for_people(Duration::from_millis(ms));
        let slowest: Vec<String> =
            self.slowest.iter().map(|(ms, name)| format!("{name} {}", time(*ms))).collect();
        let slowest =
            if self.slowest.len() > 1 { format!("; slowest: {}", slowest.join(", ")) } else { String::new() };
        Some(format!("  run times: p50 {}, p95 {}{slowest}", time(p50), time(p95)))
    }

    /// Those that took three times as long as the middle one, and five seconds more.
    fn stragglers(&self, finished: &RunFinished) -> Option<String> {
        let p50 = finished.p50_ms?;
        let limit = (p50 * 3).max(p50 + 5_000);
        let count = self.durations.iter().filter(|ms| u64::from(**ms) > limit).count();
        let nodes = if count == 1 { "1 straggler" } else { "stragglers" };
        let nodes = if count == 1 { nodes.to_owned() } else { format!("{count} {nodes}") };
        (count > 0).then(|| format!("  {nodes} took more than {}", for_people(Duration::from_millis(limit))))
    }
}

impl Renderer for Summary {
    fn event(&mut self, envelope: &Envelope, _: Option<&StoredOutput>) -> io::Result<()> {
        self.labels.event(&envelope.event);
        self.run.get_or_insert_with(|| envelope.run.clone());
        match &envelope.event {
            Event::RunStarted(started) => self.is_sim = started.sim,
            Event::TargetFinished(finished) => self.target(finished),
            Event::RunFinished(finished) => self.finished = Some(finished.clone()),
            _ => {}
        }
        Ok(())
    }

    fn finish(&mut self, _: &Bodies) -> io::Result<()> {
        let Some(run) = &self.run else { return Ok(()) };
        self.board.say(&self.headline(run));
        if let Some(finished) = &self.finished {
            let calls = format!("  {} calls, {} throttled", finished.calls, finished.throttles);
            let lines = [self.times(finished), self.stragglers(finished), Some(calls)];
            lines.into_iter().flatten().for_each(|line| self.board.say(&self.board.shown(&line)));
        }
        self.board.say(&format!("hint: See it again with `herder runs show {run}`."));
        let bad = self.finished.as_ref().map_or(self.tally.bad(), |finished| finished.tally.bad());
        if bad > 0 {
            self.board.say(&format!("hint: Choose those that went wrong with `-t @{run}:bad`."));
        }
        Ok(())
    }
}
