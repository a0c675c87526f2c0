//! The executor's loop: start what may start, wait for something to happen, take it in.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;

use super::batch::{Doubt, OpenBatch};
use super::handed::{Handed, Handing};
use super::interrupt::Interrupt;
use super::job::{
    Accepted, Batch, Collected, Detail, Job, News, Outcome, SendOutcome, Sweep, SweepScope, Trouble,
};
use super::pace::Pace;
use super::policy::{Budget, Policy};
use super::queue::{Group, Queue};
use super::realm::{Realm, Wanted};
use super::waves::Crossing;
use crate::event::Event;
use crate::journal::{Journal, JournalError};
use crate::target::Target;
use crate::verdict::{Tally, Verdict};
use crate::via::Via;

/// What to run on what.
#[derive(Debug)]
pub struct Plan {
    /// The targets, in order. Indices everywhere are into this.
    pub targets: Vec<Target>,
    /// Cumulative ends of the waves; the last is the number of targets.
    pub waves: Vec<usize>,
    /// Targets that are judged without a send (offline, unmanaged).
    pub judged: BTreeMap<usize, Outcome>,
    /// How.
    pub policy: Policy,
    /// What an earlier process of the same run did.
    pub recovered: Recovered,
}

/// What an earlier process of the same run did.
#[derive(Debug, Default)]
pub struct Recovered {
    /// Verdicts that stand, by index.
    pub verdicts: BTreeMap<usize, Verdict>,
    /// Sends that the service took and that are not wholly judged.
    pub sent: Vec<(Batch, Accepted)>,
    /// Sends that it may have taken.
    pub in_doubt: Vec<Batch>,
    /// Lanes of sends that it took or may have taken, the judged ones included: none of them is handed over whole again.
    pub handed: BTreeSet<u32>,
}

/// What the executor is connected to.
#[derive(Debug)]
pub struct Ports {
    /// Where intents go.
    pub journal: Journal,
    /// Where events go.
    pub events: mpsc::Sender<Event>,
    /// How urgently it should stop.
    pub interrupts: watch::Receiver<Interrupt>,
}

/// Why a run started nothing new before it was through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// More targets were bad than `--max-errors`.
    Budget,
    /// A gate between two waves said no, or nothing.
    Gate,
    /// What was watched all the while (an alarm) said stop, or nothing any more.
    Alarm,
    /// Ctrl-C or SIGTERM.
    Interrupted,
    /// The journal could not be written.
    Journal,
    /// A send was refused for a reason that holds for all.
    Fatal,
}

/// How a run ended.
#[derive(Debug)]
pub struct Report<E> {
    /// Verdict → count; every target is counted once.
    pub tally: Tally,
    /// Why it stopped early, if it did.
    pub stopped: Option<StopReason>,
    /// How far it was interrupted.
    pub interrupt: Interrupt,
    /// The error that ended it, if one did.
    pub fatal: Option<E>,
    /// The journal's error, if it broke.
    pub journal: Option<JournalError>,
    /// Whether any send was or may have been accepted.
    pub anything_sent: bool,
}

/// Runs a job on its targets until each has a verdict.
pub async fn fan_out<J: Job>(job: Arc<J>, plan: Plan, ports: Ports) -> Report<J::Error> {
    Executor::new(job, plan, ports).run().await
}

/// What a task came back with.
pub(super) enum Done<E> {
    Ready(u32),
    Sent { ticket: u64, batch: Batch, outcome: Result<SendOutcome<E>, (Group, JournalError)> },
    Located { intent: u64, result: Result<Option<Accepted>, Trouble<E>> },
    Swept { realm: u32, scope: SweepScope, asked: Vec<u64>, result: Result<Sweep, Trouble<E>> },
    Collected { intent: u64, lane: u32, result: Result<Collected, Trouble<E>> },
    Detailed { wanted: Wanted, result: Result<Detail, Trouble<E>> },
    Cancelled { realm: u32, intent: u64, result: Result<Result<(), Trouble<E>>, JournalError> },
    Gated { gate: String, wave: u32, answer: Result<Option<String>, String> },
    Told(News),
}

pub(super) struct Executor<J: Job> {
    pub(super) job: Arc<J>,
    pub(super) targets: Vec<Target>,
    pub(super) waves: Vec<usize>,
    pub(super) judged_before: BTreeMap<usize, Outcome>,
    pub(super) policy: Policy,
    pub(super) budget: Budget,
    pub(super) ports: Ports,
    pub(super) is_interruptible: bool,

    pub(super) verdicts: Vec<Option<Verdict>>,
    pub(super) tally: Tally,
    /// Targets without a verdict: of the run, and of each wave.
    pub(super) unjudged: usize,
    pub(super) unjudged_in: Vec<usize>,
    /// The send that a target belongs to, once the service took it or may have taken it.
    pub(super) owner: Vec<Option<u64>>,
    /// The wave that is being sent, from 0.
    pub(super) wave: usize,
    pub(super) wave_of: Vec<u32>,
    /// Whether the end of this wave was told.
    pub(super) is_wave_told: bool,
    pub(super) crossing: Option<Crossing>,
    /// The watch that is under way.
    pub(super) watch: Option<AbortHandle>,
    pub(super) pace: Option<Pace>,
    pub(super) queue: Queue,
    pub(super) handing: Handing,
    /// Groups that wait for a place in the quota of their lane.
    pub(super) readying: BTreeMap<u32, Group>,
    /// Sends under way.
    pub(super) sending: BTreeMap<u64, Group>,
    pub(super) ticket: u64,
    pub(super) open: BTreeMap<u64, OpenBatch>,
    pub(super) doubts: BTreeMap<u64, Doubt>,
    /// By number, those of all targets.
    pub(super) realms: BTreeMap<u32, Realm>,
    /// Why the run was last said to be paused, while it is.
    pub(super) paused_for: Option<String>,
    /// When a kind of warning was last given.
    pub(super) warned: BTreeMap<(u32, &'static str), (Instant, Duration)>,
    pub(super) interrupt: Interrupt,
    pub(super) leave_at: Option<Instant>,
    /// When cancels that failed are tried again.
    pub(super) cancels_again_at: Option<Instant>,
    pub(super) has_left: bool,
    pub(super) stopped: Option<StopReason>,
    pub(super) fatal: Option<J::Error>,
    pub(super) journal_error: Option<JournalError>,
    pub(super) anything_sent: bool,
    tasks: JoinSet<Done<J::Error>>,
}

impl<J: Job> Executor<J> {
    fn new(job: Arc<J>, plan: Plan, ports: Ports) -> Executor<J> {
        let count = plan.targets.len();
        let now = Instant::now();
        let waves = match plan.policy.via {
            Via::Client => whole_waves(plan.waves, count),
            Via::Service => vec![count],
        };
        let wave_of = numbers_of_waves(&waves);
        let policy = plan.policy.usable();
        let pace = policy.rate.filter(|_| policy.via == Via::Client).map(|rate| Pace::new(rate, now));
        let lanes = (0..count).map(|target| job.lane(target));
        let handing = Handing::new(&policy, lanes, plan.recovered.handed.clone());
        let mut executor = Executor {
            job,
            targets: plan.targets,
            judged_before: plan.judged,
            budget: Budget::new(policy.max_errors),
            realms: BTreeMap::new(),
            paused_for: None,
            policy,
            ports,
            is_interruptible: true,
            verdicts: vec![None; count],
            tally: Tally::default(),
            unjudged: count,
            unjudged_in: (0..waves.len()).map(|w| wave_bounds(&waves, w).len()).collect(),
            owner: vec![None; count],
            wave: 0,
            waves,
            wave_of,
            is_wave_told: false,
            crossing: None,
            watch: None,
            pace,
            queue: Queue::default(),
            handing,
            readying: BTreeMap::new(),
            sending: BTreeMap::new(),
            ticket: 0,
            open: BTreeMap::new(),
            doubts: BTreeMap::new(),
            warned: BTreeMap::new(),
            interrupt: Interrupt::None,
            leave_at: None,
            cancels_again_at: None,
            has_left: false,
            stopped: None,
            fatal: None,
            journal_error: None,
            anything_sent: false,
            tasks: JoinSet::new(),
        };
        for target in 0..count {
            executor.realm(executor.realm_of(executor.job.lane(target)));
        }
        executor.recover(plan.recovered, now);
        executor
    }

    fn recover(&mut self, recovered: Recovered, now: Instant) {
        let ran = |v: Verdict| !matches!(v, Verdict::Undelivered | Verdict::Denied | Verdict::NotRun);
        for (target, verdict) in recovered.verdicts {
            self.note_verdict(target, verdict);
            if ran(verdict) {
                self.note_sent(self.job.lane(target));
            }
        }
        for batch in recovered.sent.iter().map(|(batch, _)| batch).chain(&recovered.in_doubt) {
            self.note_sent(batch.lane);
        }
        // A target may stand in several sends: the latest is the one that counts.
        let sent = recovered.sent.iter().map(|(batch, _)| batch);
        for batch in sent.chain(&recovered.in_doubt) {
            for target in &batch.targets {
                if let Some(owner) = self.owner.get_mut(*target) {
                    *owner = (*owner).max(Some(batch.intent));
                }
            }
        }
        for (batch, accepted) in recovered.sent {
            self.realm(self.realm_of(batch.lane)).schedule.note_sent(now);
            let mut open = self.opened(batch, accepted, now);
            open.next_look = now;
            open.is_wanted = true;
            self.keep_if_open(open);
        }
        for batch in recovered.in_doubt {
            if batch.targets.iter().any(|t| self.is_open_in(*t, batch.intent)) {
                let mut doubt = Doubt::new(batch, now);
                doubt.next_look = now;
                self.doubts.insert(doubt.batch.intent, doubt);
            }
        }
    }

    /// The service took a send of this lane, or may have.
    pub(super) fn note_sent(&mut self, lane: u32) {
        self.anything_sent = true;
        self.realm(self.realm_of(lane)).has_sent = true;
    }

    /// Whether a target waits for the answer of this very send.
    pub(super) fn is_open_in(&self, target: usize, intent: u64) -> bool {
        self.owner.get(target).is_some_and(|owner| *owner == Some(intent))
            && self.verdicts.get(target).is_some_and(Option::is_none)
    }

    /// A command as the service has it: its counters cover all of its targets, those included that were judged before.
    pub(super) fn opened(&self, batch: Batch, accepted: Accepted, now: Instant) -> OpenBatch {
        let whole = self.policy.via.is_whole(batch.attempt).then(|| self.share(batch.lane));
        let mut open = OpenBatch::new(batch, accepted, now);
        open.handed = whole.map(Handed::new);
        let verdicts = open.batch.targets.iter().filter_map(|t| self.verdicts.get(*t).copied().flatten());
        open.bad = verdicts.filter(|v| v.is_bad()).count() as u64;
        open
    }

    /// Keeps a batch as long as targets of it wait for their verdicts, or more may come.
    pub(super) fn keep_if_open(&mut self, mut open: OpenBatch) {
        let intent = open.batch.intent;
        open.open.retain(|t| self.is_open_in(*t, intent));
        if !open.open.is_empty() || open.is_awaited() {
            self.open.insert(intent, open);
        }
    }

    async fn run(mut self) -> Report<J::Error> {
        self.begin_first_wave().await;
        self.note_interrupt().await;
        self.keep_watching().await;
        loop {
            // In this order: targets that are offline count as soon as their wave begins.
            self.judge_given_up().await;
            self.advance_waves().await;
            self.check_budget().await;
            self.call_off(Instant::now());
            self.queue_rest();
            self.start_sends();
            self.want_suspects();
            self.start_looks();
            self.cancel_again(Instant::now());
            if self.is_over() {
                break;
            }
            let wake = self.next_wake();
            tokio::select! {
                Some(done) = self.tasks.join_next() => match done {
                    Ok(done) => self.absorb(done).await,
                    // A panic inside a job is a bug, and not to be swallowed.
                    Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
                    Err(_) => {}
                },
                changed = self.ports.interrupts.changed(), if self.is_interruptible => match changed {
                    Ok(()) => self.note_interrupt().await,
                    Err(_) => self.is_interruptible = false,
                },
                () = tokio::time::sleep_until(wake) => {}
            }
            let now = Instant::now();
            self.expire(now).await;
            self.expire_sight(now).await;
            self.tell_of_blind(now).await;
        }
        self.tasks.abort_all();
        self.finish_wave().await;
        Report {
            tally: self.tally,
            stopped: self.stopped,
            interrupt: self.interrupt,
            fatal: self.fatal,
            journal: self.journal_error,
            anything_sent: self.anything_sent,
        }
    }

    fn is_over(&self) -> bool {
        self.unjudged == 0
            && (self.has_left || (self.sending.is_empty() && !self.open.values().any(OpenBatch::is_awaited)))
    }

    #[expect(clippy::disallowed_methods, reason = "the one spawner of per-target work")]
    pub(super) fn start(
        &mut self,
        task: impl Future<Output = Done<J::Error>> + Send + 'static,
    ) -> AbortHandle {
        // Boxed, so that the runtime's part is compiled once and not for every kind of call.
        let task: Pin<Box<dyn Future<Output = Done<J::Error>> + Send>> = Box::pin(task);
        self.tasks.spawn(task)
    }

    /// When something may be due that no task's end announces.
    fn next_wake(&self) -> Instant {
        let now = Instant::now();
        let situations = self.situations();
        let realms = self.realms.iter().filter_map(|(n, realm)| realm.next_wake(*situations.get(n)?)).min();
        let looks = self.open.values().filter_map(|batch| {
            let n = self.realm_of(batch.batch.lane);
            let realm = self.realms.get(&n).filter(|realm| !realm.is_paused(now))?;
            let due = realm.schedule.due_at(batch, *situations.get(&n)?);
            due.filter(|_| self.has_room_to_look(realm))
        });
        let doubts = self.doubts.values().filter(|d| !d.is_busy).filter_map(|doubt| {
            let realm = self.realms.get(&self.realm_of(doubt.batch.lane))?;
            Some(realm.pause.as_ref().map_or(doubt.next_look, |p| p.until.max(doubt.next_look)))
        });
        let (looks, doubts) = (looks.min(), doubts.min());
        let crossing = self.crossing.as_ref().map(|c| c.soaks_until).filter(|at| *at > now);
        let waiting = self.queue.len().min(self.floor());
        let paced = self.pace.as_ref().filter(|_| waiting > 0).map(|p| p.ready_at(waiting, now));
        let paced = paced.filter(|at| *at > now);
        let expiry = self.open.values().filter_map(|b| b.next_expiry(now)).min();
        let soonest = [realms, looks, doubts, crossing, paced, expiry, self.leave_at, self.cancels_again_at]
            .into_iter()
            .flatten()
            .min();
        // Never spin: what is overdue waits for room among the tasks.
        soonest.map_or(now + Duration::from_secs(1), |at| at.max(now + Duration::from_millis(20)))
    }

    pub(super) async fn emit(&self, event: Event) {
        // The dispatcher outlives the executor; if it is gone there is nobody left to tell.
        let _ = self.ports.events.send(event).await;
    }

    /// Bad targets, those included that only counters tell of.
    pub(super) fn known_bad(&self) -> u64 {
        self.tally.bad() + self.open.values().map(OpenBatch::bad_ahead).sum::<u64>()
    }

    async fn check_budget(&mut self) {
        if self.stopped.is_none() && self.budget.is_exceeded_by(self.known_bad()) {
            self.stop(StopReason::Budget).await;
        }
    }
}

/// Ascending wave ends, of which the last is the number of targets: nothing is left out, whatever the plan says.
fn whole_waves(mut waves: Vec<usize>, count: usize) -> Vec<usize> {
    let mut highest = 0;
    for end in &mut waves {
        highest = (*end).clamp(highest, count);
        *end = highest;
    }
    if highest < count || waves.is_empty() {
        waves.push(count);
    }
    waves
}

/// The wave of each target, from 1.
fn numbers_of_waves(waves: &[usize]) -> Vec<u32> {
    let mut numbers = Vec::new();
    for (number, end) in (1_u32..).zip(waves) {
        numbers.resize((*end).max(numbers.len()), number);
    }
    numbers
}

/// The targets of a wave, counted from 0.
pub(super) fn wave_bounds(waves: &[usize], wave: usize) -> std::ops::Range<usize> {
    let start = wave.checked_sub(1).and_then(|w| waves.get(w)).copied().unwrap_or(0);
    start..waves.get(wave).copied().unwrap_or(start).max(start)
}
