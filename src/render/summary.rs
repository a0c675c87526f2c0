//! For people, on stderr, at the end: what came of the run, how long it took, what it cost, how to look again.

use std::io;
use std::time::Duration;

use herder_core::event::{Channel, Envelope, Event, LeftOut, RunFinished, TargetFinished};
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
    left_out: Vec<LeftOut>,
    /// Outputs that the service cut.
    cut: u64,
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
            left_out: Vec::new(),
            cut: 0,
        }
    }

    fn target(&mut self, finished: &TargetFinished) {
        self.tally.add(finished.verdict);
        self.cut += u64::from(finished.truncated && finished.channel == Channel::Inline);
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

    /// Why it is not the whole of what was asked for.
    fn stopped(&self, finished: &RunFinished) -> Option<String> {
        let stopped = finished.stopped.as_ref()?;
        let why = match (&stopped.gate, &stopped.detail) {
            (Some(gate), Some(detail)) => format!("`{gate}`: {detail}"),
            _ => match stopped.reason.as_str() {
                "budget" => "more targets are bad than --max-errors allows".to_owned(),
                "interrupted" => "it was interrupted".to_owned(),
                "journal" => "the journal can't be written".to_owned(),
                other => other.to_owned(),
            },
        };
        Some(format!("  stopped early: {why}"))
    }

    fn cut(&self) -> Option<String> {
        let outputs = if self.cut == 1 { "output was".to_owned() } else { "outputs were".to_owned() };
        (self.cut > 0).then(|| {
            format!("  {} {outputs} cut by the service; --s3 BUCKET/PREFIX brings them whole", self.cut)
        })
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
            Event::RunStarted(started) => {
                self.is_sim = started.sim;
                self.left_out.clone_from(&started.left_out);
            }
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
            let lines = [self.stopped(finished), self.times(finished), self.stragglers(finished), self.cut()];
            let left_out =
                self.left_out.iter().map(|out| format!("  {} was left out: {}", out.scope, out.reason));
            let left_out: Vec<String> = left_out.collect();
            let lines = lines.into_iter().chain(left_out.into_iter().map(Some)).chain([Some(calls)]);
            lines.flatten().for_each(|line| self.board.say(&self.board.shown(&line)));
        }
        self.board.say(&format!("hint: See it again with `herder runs show {run}`."));
        let bad = self.finished.as_ref().map_or(self.tally.bad(), |finished| finished.tally.bad());
        if bad > 0 {
            self.board.say(&format!("hint: Choose those that went wrong with `-t @{run}:bad`."));
        }
        Ok(())
    }
}
