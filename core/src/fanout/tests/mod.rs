//! The executor against a scripted service: what it promises, whatever the service does.

mod at_once;
mod bench;
mod chaos;
mod fake;
mod faults;
mod handed;
mod interrupts;
mod listings;
mod played;
mod realms;
mod recovery;
mod rollout;
mod script;
mod service;
mod watching;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use self::fake::Fake;
use self::played::Played;
use self::script::Script;
use super::{Between, Eagerness, Interrupt, Outcome, Plan, Policy, Ports, Recovered, Report, fan_out};
use crate::event::{Envelope, Event, SCHEMA_VERSION, TargetFinished};
use crate::journal::{
    EventLog, FORMAT_VERSION, Identity, Journal, Replay, RunDirectory, RunRecord, RunsDirectory, SendState,
};
use crate::run_id::RunId;
use crate::target::Target;
use crate::verdict::{Reason, Verdict};
use crate::via::Via;

/// A run to be made.
struct Setup {
    script: Script,
    policy: Policy,
    waves: Vec<usize>,
    judged: BTreeMap<usize, Outcome>,
    interrupts: Vec<(Duration, Interrupt)>,
    /// The disk is full from then on.
    disk_full: Option<Duration>,
}

/// A run that was made.
struct Ran {
    fake: Arc<Fake>,
    report: Report<String>,
    /// With the time since the start.
    events: Vec<(Duration, Event)>,
    /// Which of them tells of the end of each target.
    ends: Vec<Option<usize>>,
    took: Duration,
    policy: Policy,
    journal: Replay,
    _directory: TempDir,
}

impl Setup {
    fn new(script: Script) -> Setup {
        let policy = Policy {
            concurrency: script.nodes.len().max(1),
            max_errors: script.nodes.len() as u64,
            batch: 50,
            eagerness: Eagerness::AtEnd,
            resend_ambiguous: false,
            between: Between::default(),
            rate: None,
            via: Via::Client,
        };
        let waves = vec![script.nodes.len()];
        Setup { script, policy, waves, judged: BTreeMap::new(), interrupts: Vec::new(), disk_full: None }
    }

    fn concurrency(mut self, concurrency: usize) -> Setup {
        self.policy.concurrency = concurrency;
        self
    }

    fn batch(mut self, batch: usize) -> Setup {
        self.policy.batch = batch;
        self
    }

    fn max_errors(mut self, max_errors: u64) -> Setup {
        self.policy.max_errors = max_errors;
        self
    }

    fn waves(mut self, waves: &[usize]) -> Setup {
        self.waves = waves.to_vec();
        self
    }

    fn between(mut self, soak: Duration, gates: &[&str]) -> Setup {
        self.policy.between = Between { soak, gates: gates.iter().map(|g| (*g).to_owned()).collect() };
        self
    }

    fn rate(mut self, rate: f64) -> Setup {
        self.policy.rate = Some(rate);
        self
    }

    fn eager(mut self) -> Setup {
        self.policy.eagerness = Eagerness::AsCompleted;
        self
    }

    fn resending(mut self) -> Setup {
        self.policy.resend_ambiguous = true;
        self
    }

    fn interrupt(mut self, after: Duration, level: Interrupt) -> Setup {
        self.interrupts.push((after, level));
        self
    }

    fn offline(mut self, targets: &[usize]) -> Setup {
        let outcome = Outcome::bare(Verdict::Undelivered, Some(Reason::OFFLINE));
        self.judged.extend(targets.iter().map(|t| (*t, outcome.clone())));
        self
    }

    async fn run(self) -> Ran {
        let directory = tempdir();
        let run = new_run(directory.path(), self.script.nodes.len(), &[self.script.nodes.len()]);
        let journal = Journal::open(&run, 1).unwrap();
        let fake = Arc::new(Fake::new(self.script.clone()));
        {
            let mut state = fake.state();
            state.concurrency = Some(self.policy.concurrency.max(1));
            state.max_errors = Some(self.policy.max_errors);
            state.journal = (self.script.nodes.len() <= 1000).then(|| run.path().join("journal.jsonl"));
        }
        let policy = self.policy.clone();
        let (report, events, took) = self.drive(&fake, journal, Recovered::default()).await;
        let journal = Replay::read(&run).unwrap();
        let ends = ends_of(&events, fake.script.nodes.len());
        Ran { fake, report, events, ends, took, policy, journal, _directory: directory }
    }

    async fn drive(
        self,
        fake: &Arc<Fake>,
        journal: Journal,
        recovered: Recovered,
    ) -> (Report<String>, Vec<(Duration, Event)>, Duration) {
        let (sender, mut receiver) = mpsc::channel(64);
        let (interrupt, interrupts) = watch::channel(Interrupt::None);
        let plan = Plan {
            targets: targets(self.script.nodes.len()),
            waves: self.waves,
            judged: self.judged,
            policy: self.policy,
            recovered,
        };
        let start = Instant::now();
        let ports = Ports { journal: journal.clone(), events: sender, interrupts };
        let fill = async move {
            if let Some(after) = self.disk_full {
                tokio::time::sleep_until(start + after).await;
                journal.mark_broken("no space left on device");
            }
        };
        let listen = async {
            let mut events = Vec::new();
            while let Some(event) = receiver.recv().await {
                events.push((start.elapsed(), event));
            }
            events
        };
        let press = async move {
            for (after, level) in self.interrupts {
                tokio::time::sleep_until(start + after).await;
                interrupt.send(level).unwrap_or_default();
            }
        };
        let run = async {
            let report = fan_out(Arc::new(Played::Fake(Arc::clone(fake))), plan, ports).await;
            (report, start.elapsed())
        };
        let all = async { tokio::join!(run, listen, press, fill) };
        let day = Duration::from_secs(24 * 3600);
        let ((report, took), events, (), ()) = tokio::time::timeout(day, all).await.expect("the run hangs");
        (report, events, took)
    }
}

/// The number of a target, by its id.
fn number_of(id: &str) -> usize {
    usize::from_str_radix(&id[2..], 16).unwrap()
}

/// Which event tells first of the end of each target.
fn ends_of(events: &[(Duration, Event)], count: usize) -> Vec<Option<usize>> {
    let mut ends = vec![None; count];
    for (at, (_, event)) in events.iter().enumerate() {
        if let Event::TargetFinished(finished) = event {
            ends[number_of(&finished.target.id)].get_or_insert(at);
        }
    }
    ends
}

/// Runs it on a paused clock.
fn paused<T>(run: impl Future<Output = T>) -> T {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(run)
}

fn tempdir() -> TempDir {
    // In memory where there is such a place: thousands of syncs otherwise take their time.
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory).unwrap() } else { tempfile::tempdir().unwrap() }
}

fn targets(count: usize) -> Vec<Target> {
    let target = |n| Target {
        id: format!("i-{n:017x}"),
        name: None,
        account: "111122223333".into(),
        region: "eu-west-1".into(),
        az: None,
        platform: None,
    };
    (0..count).map(target).collect()
}

fn new_run(state: &Path, count: usize, waves: &[usize]) -> RunDirectory {
    let identity = Identity {
        account: "111122223333".into(),
        region: "eu-west-1".into(),
        principal: "arn:aws:iam::111122223333:role/ops".into(),
        endpoint: None,
        sim: true,
    };
    let record = RunRecord {
        format: FORMAT_VERSION,
        run: RunId::new(jiff::Timestamp::UNIX_EPOCH, 1),
        created: jiff::Timestamp::UNIX_EPOCH,
        herder: "0.0.0".into(),
        command: "exec".into(),
        title: "uptime".into(),
        identity,
        scopes: Vec::new(),
        role: None,
        unreached: Vec::new(),
        waves: waves.iter().map(|w| u32::try_from(*w).unwrap()).collect(),
        recipe: serde_json::Value::Null,
    };
    RunsDirectory::below(state).create(&record, &targets(count)).unwrap()
}

impl Ran {
    fn finished(&self) -> impl Iterator<Item = (Duration, &TargetFinished)> {
        self.events.iter().filter_map(|(at, event)| match event {
            Event::TargetFinished(finished) => Some((*at, &**finished)),
            _ => None,
        })
    }

    fn end_of(&self, target: usize) -> &TargetFinished {
        match &self.events[self.ends[target].unwrap()].1 {
            Event::TargetFinished(finished) => finished,
            other => panic!("{target} ends with {other:?}"),
        }
    }

    fn verdict(&self, target: usize) -> Verdict {
        self.end_of(target).verdict
    }

    fn reason(&self, target: usize) -> Option<Reason> {
        self.end_of(target).reason.clone()
    }

    fn of(&self, verdict: Verdict) -> Vec<usize> {
        (0..self.fake.script.nodes.len()).filter(|t| self.verdict(*t) == verdict).collect()
    }

    fn warnings(&self) -> usize {
        self.events.iter().filter(|(_, e)| matches!(e, Event::Warning { .. })).count()
    }

    /// What holds of every run that was not left.
    fn is_sound(&self) -> &Ran {
        self.is_counted_once();
        let open: Vec<_> = self.journal.sends.iter().filter(|(_, s)| s.state == SendState::InDoubt).collect();
        assert!(open.is_empty(), "intents without an answer: {open:?}");
        for (target, ran) in self.fake.state().ran.iter().enumerate() {
            assert!(*ran <= 1 || self.policy.resend_ambiguous, "{target} ran {ran} times");
        }
        self
    }

    /// What holds of every run.
    fn is_counted_once(&self) {
        let count = self.fake.script.nodes.len();
        let ids: BTreeSet<&str> = self.finished().map(|(_, f)| f.target.id.as_str()).collect();
        assert_eq!(ids.len(), count, "targets with a verdict");
        assert_eq!(self.finished().count(), count, "verdicts");
        assert_eq!(self.report.tally.total(), count as u64);
        for (verdict, n) in self.report.tally.iter() {
            assert_eq!(self.finished().filter(|(_, f)| f.verdict == verdict).count() as u64, n);
        }
        let breaches = &self.fake.state().breaches;
        assert!(breaches.is_empty(), "{breaches:?}");
        self.has_ordered_waves();
    }

    fn has_ordered_waves(&self) {
        let mut wave = 0;
        let mut judged: BTreeMap<u32, u64> = BTreeMap::new();
        let mut size = BTreeMap::new();
        for (_, event) in &self.events {
            match event {
                Event::WaveStarted { wave: started, targets } => {
                    assert_eq!(*started, wave + 1, "waves start in order");
                    wave = *started;
                    size.insert(wave, *targets);
                }
                Event::WaveFinished { wave: finished, .. } => assert_eq!(*finished, wave),
                Event::TargetFinished(finished) => *judged.entry(finished.wave).or_insert(0) += 1,
                Event::TargetSent { wave: of, .. } => {
                    assert_eq!(*of, wave, "sent in its wave");
                    for earlier in 1..*of {
                        assert_eq!(judged.get(&earlier).unwrap_or(&0), &size[&earlier]);
                    }
                }
                _ => {}
            }
        }
    }

    /// Sound, and every target's verdict is what really became of it.
    fn is_true(&self) -> &Ran {
        self.is_sound();
        for (target, node) in self.fake.script.nodes.iter().enumerate() {
            let ran = self.fake.state().ran[target];
            let expected = if self.fake.script.bad.contains(&target) {
                Verdict::Undelivered
            } else if ran > 0 {
                if self.fake.was_cancelled(target) { Verdict::Cancelled } else { node.verdict }
            } else {
                Verdict::NotRun
            };
            assert_eq!(self.verdict(target), expected, "target {target}, ran {ran} times");
        }
        self
    }
}

/// Durations with a long tail: median 5 s, the slowest of ten thousand about a minute.
fn long_tailed(count: usize, seed: u64) -> Script {
    use rand::{Rng, SeedableRng};
    let mut random = rand::rngs::SmallRng::seed_from_u64(seed);
    let mut script = Script::of(count);
    for node in &mut script.nodes {
        let normal: f64 = (0..12).map(|_| random.random::<f64>()).sum::<f64>() - 6.0;
        node.takes = Duration::from_secs_f64(1.0 + 5.0 * (0.65 * normal).exp());
    }
    script
}
