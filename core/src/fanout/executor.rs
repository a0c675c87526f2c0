//! The executor's loop: start what may start, wait for something to happen, take it in.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::batch::{Doubt, OpenBatch};
use super::interrupt::Interrupt;
use super::job::{Accepted, Batch, Collected, Job, Limits, Outcome, SendOutcome, Sweep, SweepScope, Trouble};
use super::policy::{Budget, Policy};
use super::queue::{Group, Queue};
use super::schedule::{Schedule, Situation};
use crate::event::Event;
use crate::journal::{Journal, JournalError};
use crate::target::Target;
use crate::verdict::{Reason, Tally, Verdict};

/// Looks under way at once; the limiter paces them, this bounds memory.
const LOOKS: usize = 10;
/// Detail reads under way at once, and how many may wait before no further batch is read.
const DETAILS: usize = 24;
const DETAILS_WAITING: usize = 200;
/// Sends under way at once: at 40/s and 120 ms latency five are in flight.
const SENDS: usize = 8;
/// How long a remote cancel is waited for (CLI.md).
const CANCEL_PATIENCE: Duration = Duration::from_secs(10);

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
    Ready(Group),
    Sent { ticket: u64, batch: Batch, outcome: Result<SendOutcome<E>, (Group, JournalError)> },
    Located { intent: u64, result: Result<Option<Accepted>, Trouble<E>> },
    Swept { scope: SweepScope, asked: Vec<u64>, result: Result<Sweep, Trouble<E>> },
    Collected { intent: u64, result: Result<Collected, Trouble<E>> },
    Detailed { wanted: Wanted, result: Result<Option<Outcome>, Trouble<E>> },
    Cancelled { intent: u64, result: Result<(), Trouble<E>> },
}

/// A detail read that waits.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) intent: u64,
    pub(super) target: usize,
    /// What the listing said, if it did.
    pub(super) known: Option<Box<Outcome>>,
    pub(super) failures: u32,
}

/// A pause for credentials.
#[derive(Debug)]
pub(super) struct Pause {
    pub(super) until: Instant,
    pub(super) length: Duration,
}

pub(super) struct Executor<J: Job> {
    pub(super) job: Arc<J>,
    pub(super) targets: Vec<Target>,
    pub(super) waves: Vec<usize>,
    pub(super) judged_before: BTreeMap<usize, Outcome>,
    pub(super) policy: Policy,
    pub(super) budget: Budget,
    pub(super) ports: Ports,

    pub(super) verdicts: Vec<Option<Verdict>>,
    pub(super) bad: u64,
    /// The wave that is being sent, from 0; `waves.len()` after the last.
    pub(super) wave: usize,
    pub(super) wave_of: Vec<u32>,
    pub(super) queue: Queue,
    pub(super) sending: BTreeMap<u64, usize>,
    pub(super) readying: BTreeMap<u32, usize>,
    pub(super) ticket: u64,
    pub(super) send_failures: u32,
    pub(super) sends_held_until: Option<Instant>,
    pub(super) open: BTreeMap<u64, OpenBatch>,
    pub(super) doubts: BTreeMap<u64, Doubt>,
    pub(super) details: VecDeque<Wanted>,
    pub(super) looking: usize,
    pub(super) detailing: usize,
    pub(super) schedule: Schedule,
    pub(super) pause: Option<Pause>,
    pub(super) interrupt: Interrupt,
    pub(super) leave_at: Option<Instant>,
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
        let mut verdicts = vec![None; count];
        for (index, verdict) in &plan.recovered.verdicts {
            if let Some(slot) = verdicts.get_mut(*index) {
                *slot = Some(*verdict);
            }
        }
        let mut wave_of = Vec::with_capacity(count);
        for (number, end) in (1_u32..).zip(&plan.waves) {
            wave_of.resize((*end).min(count), number);
        }
        wave_of.resize(count, u32::try_from(plan.waves.len()).unwrap_or(u32::MAX));
        let bad = verdicts.iter().flatten().filter(|v: &&Verdict| v.is_bad()).count() as u64;
        let mut executor = Executor {
            job,
            targets: plan.targets,
            waves: plan.waves,
            judged_before: plan.judged,
            budget: Budget::new(plan.policy.max_errors),
            schedule: Schedule::new(plan.policy.eagerness),
            policy: plan.policy,
            ports,
            verdicts,
            bad,
            wave: 0,
            wave_of,
            queue: Queue::default(),
            sending: BTreeMap::new(),
            readying: BTreeMap::new(),
            ticket: 0,
            send_failures: 0,
            sends_held_until: None,
            open: BTreeMap::new(),
            doubts: BTreeMap::new(),
            details: VecDeque::new(),
            looking: 0,
            detailing: 0,
            pause: None,
            interrupt: Interrupt::None,
            leave_at: None,
            stopped: None,
            fatal: None,
            journal_error: None,
            anything_sent: false,
            tasks: JoinSet::new(),
        };
        executor.recover(plan.recovered.sent, plan.recovered.in_doubt, now);
        executor
    }

    fn recover(&mut self, sent: Vec<(Batch, Accepted)>, in_doubt: Vec<Batch>, now: Instant) {
        self.anything_sent = !sent.is_empty() || !in_doubt.is_empty();
        for (batch, accepted) in sent {
            self.schedule.note_sent(now);
            let mut open = OpenBatch::new(batch, accepted, now);
            open.open.retain(|t| self.verdicts.get(*t).is_some_and(Option::is_none));
            open.next_look = now;
            open.is_gone = true;
            if !open.open.is_empty() {
                self.open.insert(open.batch.intent, open);
            }
        }
        for batch in in_doubt {
            let mut doubt = Doubt::new(batch, now);
            doubt.next_look = now;
            self.doubts.insert(doubt.batch.intent, doubt);
        }
    }

    async fn run(mut self) -> Report<J::Error> {
        self.begin_wave().await;
        loop {
            self.check_budget().await;
            self.advance_waves().await;
            self.start_sends();
            self.start_looks();
            if self.is_over() {
                break;
            }
            let wake = self.next_wake();
            tokio::select! {
                Some(done) = self.tasks.join_next() => match done {
                    Ok(done) => self.absorb(done).await,
                    // A panic inside a job is a bug; what it worked on stays open and ends unknown at its expiry.
                    Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
                    Err(_) => {}
                },
                changed = self.ports.interrupts.changed() => match changed {
                    Ok(()) => self.note_interrupt().await,
                    // Nobody can interrupt any more: wait for the rest.
                    Err(_) => tokio::time::sleep_until(wake).await,
                },
                () = tokio::time::sleep_until(wake) => {}
            }
            self.expire(Instant::now()).await;
        }
        self.tasks.abort_all();
        self.finish_wave().await;
        self.report()
    }

    fn report(self) -> Report<J::Error> {
        let mut tally = Tally::default();
        for verdict in self.verdicts.iter().flatten() {
            tally.add(*verdict);
        }
        Report {
            tally,
            stopped: self.stopped,
            interrupt: self.interrupt,
            fatal: self.fatal,
            journal: self.journal_error,
            anything_sent: self.anything_sent,
        }
    }

    fn is_over(&self) -> bool {
        if self.leave_at.is_some_and(|at| at <= Instant::now()) {
            return true;
        }
        self.verdicts.iter().all(Option::is_some) && self.sending.is_empty()
    }

    pub(super) fn situation(&self) -> Situation {
        Situation {
            now: Instant::now(),
            open: self.open.len(),
            is_starved: self.queue.len() > 0 && self.free() < self.floor(),
        }
    }

    /// Targets that may still be sent to now.
    fn free(&self) -> usize {
        let running: usize = self.open.values().map(OpenBatch::in_flight).sum();
        let sending: usize = self.sending.values().sum();
        let doubtful: usize = self.doubts.values().map(|d| d.batch.targets.len()).sum();
        let readying: usize = self.readying.values().sum();
        self.policy.concurrency.saturating_sub(running + sending + doubtful + readying)
    }

    /// The smallest batch worth a call while more targets are waiting: half the window, at most a full batch. A full batch
    /// each time would wait for stragglers; single targets would cost fifty times the calls.
    fn floor(&self) -> usize {
        self.policy.batch.min(self.policy.concurrency.div_ceil(2)).max(1)
    }

    fn may_send(&self) -> bool {
        let now = Instant::now();
        self.stopped.is_none()
            && self.pause.as_ref().is_none_or(|p| p.until <= now)
            && self.sends_held_until.is_none_or(|at| at <= now)
    }

    fn start_sends(&mut self) {
        while self.may_send() && self.sending.len() + self.readying.len() < SENDS {
            let Some(group) = self.queue.next(self.free(), self.policy.batch, self.floor()) else { return };
            // One waiter a lane: places in the quota are handed out one after the other anyway.
            if self.readying.contains_key(&group.lane) {
                self.queue.push_group(group);
                return;
            }
            self.readying.insert(group.lane, group.targets.len());
            let job = Arc::clone(&self.job);
            self.start(async move {
                job.ready(group.lane).await;
                Done::Ready(group)
            });
        }
    }

    /// A place in the quota is there: intent to disk, then the call. Things may have changed while it waited.
    pub(super) fn send_now(&mut self, group: Group) {
        self.readying.remove(&group.lane);
        if !self.may_send() {
            self.queue.push_group(group);
            return;
        }
        self.ticket += 1;
        self.sending.insert(self.ticket, group.targets.len());
        let ticket = self.ticket;
        let limits = self.limits(group.targets.len());
        let job = Arc::clone(&self.job);
        let journal = self.ports.journal.clone();
        self.start(async move {
            let server_at = job.server_now();
            let lines = group.targets.iter().filter_map(|t| u32::try_from(*t).ok()).collect();
            let permit = journal.intend_send(lines, group.lane, group.attempt, server_at).await;
            let mut batch = Batch {
                intent: ticket,
                lane: group.lane,
                attempt: group.attempt,
                targets: group.targets.clone(),
                server_at,
            };
            let outcome = match permit {
                Ok(permit) => {
                    batch.intent = permit.intent();
                    Ok(job.send(&batch, limits, permit).await)
                }
                Err(error) => Err((group, error)),
            };
            Done::Sent { ticket, batch, outcome }
        });
    }

    /// The service brakes inside a batch while herder brakes between batches.
    fn limits(&self, targets: usize) -> Limits {
        let clamp = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let left = self.budget.left(self.known_bad());
        Limits {
            max_concurrency: clamp(self.policy.concurrency.min(targets).max(1)),
            max_errors: u32::try_from(left).unwrap_or(u32::MAX).min(clamp(targets)),
        }
    }

    fn start_looks(&mut self) {
        let now = Instant::now();
        if self.pause.as_ref().is_some_and(|p| p.until > now) {
            return;
        }
        self.start_locating(now);
        self.start_details();
        let situation = self.situation();
        if let Some(scope) = self.schedule.sweep_due(situation) {
            self.schedule.note_sweep_started();
            let (asked, ids) = self.open.values().map(|b| (b.batch.intent, b.command_id.clone())).unzip();
            let job = Arc::clone(&self.job);
            self.start(async move { Done::Swept { scope, asked, result: job.sweep(scope, ids).await } });
        }
        self.start_collecting(situation);
    }

    fn start_collecting(&mut self, situation: Situation) {
        let room = LOOKS.saturating_sub(self.looking);
        if room == 0 || self.details.len() >= DETAILS_WAITING {
            return;
        }
        let mut wanted: Vec<(Instant, u64)> = self
            .open
            .values()
            .filter(|b| self.schedule.wants_look(b, situation))
            .map(|b| (b.unread_since.unwrap_or(b.moved_at), b.batch.intent))
            .collect();
        // What has been waiting longest comes first.
        wanted.sort_unstable();
        for (_, intent) in wanted.into_iter().take(room) {
            let Some(open) = self.open.get_mut(&intent) else { continue };
            open.is_busy = true;
            let (batch, command_id) = (open.batch.clone(), open.command_id.clone());
            self.looking += 1;
            let job = Arc::clone(&self.job);
            self.start(
                async move { Done::Collected { intent, result: job.collect(&batch, &command_id).await } },
            );
        }
    }

    fn start_details(&mut self) {
        while self.detailing < DETAILS {
            let Some(wanted) = self.details.pop_front() else { return };
            let Some(open) = self.open.get(&wanted.intent) else { continue };
            self.detailing += 1;
            let command_id = open.command_id.clone();
            let job = Arc::clone(&self.job);
            self.start(async move {
                let result = job.detail(wanted.target, &command_id).await;
                Done::Detailed { wanted, result }
            });
        }
    }

    fn start_locating(&mut self, now: Instant) {
        let due: Vec<u64> = self
            .doubts
            .values()
            .filter(|d| !d.is_busy && d.next_look <= now)
            .map(|d| d.batch.intent)
            .collect();
        for intent in due {
            let Some(doubt) = self.doubts.get_mut(&intent) else { continue };
            doubt.is_busy = true;
            let batch = doubt.batch.clone();
            let job = Arc::clone(&self.job);
            self.start(async move { Done::Located { intent, result: job.locate(&batch).await } });
        }
    }

    pub(super) fn start_cancelling(&mut self) {
        let commands: Vec<(u64, u32, String)> =
            self.open.values().map(|b| (b.batch.intent, b.batch.lane, b.command_id.clone())).collect();
        for (intent, lane, command_id) in commands {
            let job = Arc::clone(&self.job);
            let journal = self.ports.journal.clone();
            self.start(async move {
                let result = match journal.intend_cancel(command_id.clone()).await {
                    Ok(permit) => job.cancel(lane, &command_id, permit).await,
                    // Without a journal nothing is changed, not even to stop.
                    Err(_) => Ok(()),
                };
                Done::Cancelled { intent, result }
            });
        }
        self.leave_at = Some(Instant::now() + CANCEL_PATIENCE);
    }

    #[expect(clippy::disallowed_methods, reason = "the one spawner of per-target work")]
    fn start(&mut self, task: impl Future<Output = Done<J::Error>> + Send + 'static) {
        self.tasks.spawn(task);
    }

    fn next_wake(&self) -> Instant {
        let now = Instant::now();
        let situation = self.situation();
        let held = self.pause.as_ref().map(|p| p.until).filter(|at| *at > now);
        let looks = match held {
            Some(until) => Some(until),
            None => self.schedule.next_wake(self.open.values(), situation),
        };
        let doubts = self.doubts.values().filter(|d| !d.is_busy && held.is_none()).map(|d| d.next_look).min();
        let sends = self.sends_held_until.filter(|at| *at > now);
        let expiry = self.open.values().map(|b| b.gives_up_at).filter(|at| *at > now).min();
        let soonest = [looks, doubts, sends, expiry, self.leave_at].into_iter().flatten().min();
        // Never spin: what is overdue waits for room among the tasks.
        soonest.map_or(now + Duration::from_secs(1), |at| at.max(now + Duration::from_millis(20)))
    }

    pub(super) async fn emit(&self, event: Event) {
        // The dispatcher outlives the executor; if it is gone there is nobody left to tell.
        let _ = self.ports.events.send(event).await;
    }

    pub(super) fn known_bad(&self) -> u64 {
        self.bad + self.open.values().map(OpenBatch::bad_ahead).sum::<u64>()
    }

    async fn check_budget(&mut self) {
        if self.stopped.is_none() && self.budget.is_exceeded_by(self.known_bad()) {
            self.stop(StopReason::Budget, Reason::BUDGET).await;
        }
    }
}
