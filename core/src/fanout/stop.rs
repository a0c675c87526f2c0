//! Stopping, pausing, and saying so.

use std::time::Duration;

use tokio::time::Instant;

use super::executor::{Executor, StopReason};
use super::interrupt::Interrupt;
use super::job::{Job, Outcome, Trouble};
use super::judge::Sending;
use super::realm::Pause;
use crate::event::Event;
use crate::journal::JournalError;
use crate::verdict::{Reason, Verdict};
use crate::via::Via;

/// How long a remote cancel is waited for (CLI.md).
const CANCEL_PATIENCE: Duration = Duration::from_secs(10);
/// Between two warnings of a kind: an outage fails many calls.
const BETWEEN_WARNINGS: Duration = Duration::from_secs(30);

impl StopReason {
    /// The reason of those that were not sent for it.
    pub(super) fn reason(self) -> Reason {
        match self {
            StopReason::Budget => Reason::BUDGET,
            // CLI.md knows one word for both.
            StopReason::Gate | StopReason::Alarm => Reason::GATE,
            StopReason::Interrupted => Reason::INTERRUPTED,
            StopReason::Journal => Reason::JOURNAL,
            StopReason::Fatal => Reason::word("refused"),
        }
    }
}

impl<J: Job> Executor<J> {
    pub(super) async fn note_interrupt(&mut self) {
        let level = *self.ports.interrupts.borrow_and_update();
        if level <= self.interrupt {
            return;
        }
        self.interrupt = level;
        self.stop(StopReason::Interrupted).await;
        match level {
            Interrupt::None => {}
            Interrupt::Drain => self.warn_of_handed().await,
            Interrupt::Cancel => {
                // What the service goes over has ended when the listing says so.
                if self.policy.via == Via::Client {
                    self.realms.values_mut().for_each(|realm| realm.schedule.give_up_sweeping());
                }
                self.leave_at = Some(Instant::now() + CANCEL_PATIENCE);
                self.start_cancelling(Instant::now());
                self.emit(Event::RunCancelling { in_flight: self.unjudged as u64 }).await;
            }
            Interrupt::Leave => self.leave_at = Some(Instant::now()),
        }
    }

    /// Starts nothing new from here on. The first reason stands.
    pub(super) async fn stop(&mut self, why: StopReason) {
        if self.stopped.is_some() {
            return;
        }
        self.stopped = Some(why);
        self.crossing = None;
        if let Some(watch) = self.watch.take() {
            watch.abort();
        }
        let waiting = self.take_waiting();
        let later = self.later_targets();
        let not_sent = waiting.len() + later.len();
        let event = Event::RunStopping {
            reason: why.reason(),
            in_flight: self.unjudged.saturating_sub(not_sent) as u64,
            not_sent: not_sent as u64,
            cancels: self.interrupt >= Interrupt::Cancel,
        };
        self.emit(event).await;
        for target in waiting.into_iter().chain(later) {
            self.judge(target, Outcome::bare(Verdict::NotRun, Some(why.reason())), Sending::default()).await;
        }
    }

    /// Takes out what is not sent yet; a place in the quota that comes later finds nothing.
    fn take_waiting(&mut self) -> Vec<usize> {
        let mut waiting = self.queue.drain();
        waiting.extend(std::mem::take(&mut self.readying).into_values().flat_map(|g| g.targets));
        waiting.extend(self.take_rest());
        waiting.sort_unstable();
        waiting
    }

    pub(super) async fn stop_fatally(&mut self, error: J::Error) {
        if self.fatal.is_none() {
            self.fatal = Some(error);
        }
        self.stop(StopReason::Fatal).await;
        self.judge_rest_of_queue().await;
    }

    pub(super) async fn stop_for_journal(&mut self, error: JournalError) {
        let message = format!("nothing more is sent: {error}");
        let hints =
            vec!["Free space in the state directory, then go on with `herder runs resume`.".to_owned()];
        if self.journal_error.is_none() {
            self.emit(Event::Warning { message, hints }).await;
            self.journal_error = Some(error);
        }
        self.stop(StopReason::Journal).await;
        self.judge_rest_of_queue().await;
    }

    /// Groups that came back after the stop.
    pub(super) async fn judge_rest_of_queue(&mut self) {
        let Some(why) = self.stopped else { return };
        for target in self.take_waiting() {
            self.judge(target, Outcome::bare(Verdict::NotRun, Some(why.reason())), Sending::default()).await;
        }
    }

    pub(super) async fn warn_trouble(&mut self, realm: u32, what: &'static str, trouble: Trouble<J::Error>) {
        match trouble {
            Trouble::Paused { reason, hint } => self.pause(realm, reason, hint).await,
            Trouble::Transient(error) | Trouble::Denied(error) => {
                self.warn(realm, what, format!("{what}: {error}")).await;
            }
        }
    }

    pub(super) async fn note_trouble(&mut self, realm: u32, trouble: Trouble<J::Error>) {
        if matches!(trouble, Trouble::Transient(_)) {
            self.note_darkness(realm);
        }
        self.warn_trouble(realm, "a look at the service failed and is repeated", trouble).await;
    }

    /// Warns, unless the same kind of warning was given of this realm a moment ago.
    pub(super) async fn warn(&mut self, realm: u32, kind: &'static str, message: String) {
        let now = Instant::now();
        let pause = match self.warned.get(&(realm, kind)) {
            Some((at, pause)) if now < *at + *pause => return,
            // What goes on is said less and less often; what comes again after a while is news.
            Some((at, pause)) if now < *at + 4 * *pause => 2 * *pause,
            _ => BETWEEN_WARNINGS,
        };
        self.warned.insert((realm, kind), (now, pause));
        let message = self.said_of(realm, message);
        self.emit(Event::Warning { message, hints: Vec::new() }).await;
    }

    pub(super) async fn pause(&mut self, realm: u32, reason: String, hint: String) {
        let now = Instant::now();
        let pause = &mut self.realm(realm).pause;
        let length =
            pause.as_ref().map_or(Duration::from_secs(2), |p| (p.length * 2).min(Duration::from_secs(30)));
        match pause {
            // Several calls fail at once: that is one pause.
            Some(pause) if pause.until > now => return,
            _ => *pause = Some(Pause { until: now + length, length }),
        }
        // Accounts mostly lose their credentials together: that is said once.
        if self.paused_for.as_ref() != Some(&reason) {
            self.paused_for = Some(reason.clone());
            let reason = self.said_of(realm, reason);
            self.emit(Event::RunPaused { reason, hint }).await;
        }
    }

    /// A call was answered. One that was under way when the pause began proves nothing.
    pub(super) async fn continue_if_paused(&mut self, realm: u32) {
        let now = Instant::now();
        if self.realm(realm).pause.as_ref().is_none_or(|p| p.until > now) {
            return;
        }
        self.realm(realm).pause = None;
        // What expired meanwhile is still looked at.
        let job = std::sync::Arc::clone(&self.job);
        for open in self.open.values_mut().filter(|b| job.realm(b.batch.lane) == realm) {
            open.gives_up_at = open.gives_up_at.max(now);
        }
        if self.realms.values().all(|realm| realm.pause.is_none()) {
            self.paused_for = None;
            self.emit(Event::RunContinued).await;
        }
    }
}
