//! Starting: sends as the window, the quota and the budget allow, and looks as the schedule wants them.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::time::Instant;

use super::batch::OpenBatch;
use super::executor::{Done, Executor};
use super::job::{Batch, Job, Limits};
use super::queue::Group;
use super::realm::Realm;
use super::schedule::Situation;
use crate::via::Via;

/// Looks under way at once, in a realm and altogether; the limiter paces them, this bounds memory.
const LOOKS: usize = 10;
const ALL_LOOKS: usize = 80;
/// Detail reads of a realm under way at once, and how many may wait before none of its batches is read.
const DETAILS: usize = 24;
const DETAILS_WAITING: usize = 200;

impl<J: Job> Executor<J> {
    fn may_send(&self) -> bool {
        self.stopped.is_none()
    }

    /// Whether a lane can't take a further send now. One group waits in each: places in the quota are handed out one after the
    /// other anyway.
    fn is_lane_busy(&self, lane: u32) -> bool {
        self.readying.contains_key(&lane)
            || self.is_held(lane)
            || self.sending.values().filter(|g| g.lane == lane).count() >= self.job.sends_at_once()
    }

    fn is_held(&self, lane: u32) -> bool {
        let (realm, now) = (self.realm_of(lane), Instant::now());
        self.realms.get(&realm).is_some_and(|realm| realm.is_held(now)) || self.waits_for_sight(realm, now)
    }

    /// A group that was taken out and not sent goes in front again.
    pub(super) fn put_back(&mut self, group: Group) {
        if let Some(pace) = &mut self.pace {
            pace.give_back(group.targets.len());
        }
        self.queue.push_group(group);
    }

    pub(super) fn start_sends(&mut self) {
        while self.may_send() && self.queue.len() > 0 {
            let (now, floor) = (Instant::now(), self.floor());
            let allowance = self.pace.as_ref().map_or(usize::MAX, |p| p.allowance(now));
            let free = self.free().min(allowance);
            let busy = self.queue.lanes().filter(|lane| self.is_lane_busy(*lane)).collect();
            let batch = self.policy.batch;
            let group = match self.policy.via {
                Via::Client => self.queue.next(free, batch, floor, &busy),
                Via::Service => {
                    let whole = self.next_whole(&busy);
                    whole.or_else(|| self.queue.next_again(free.min(batch), floor, &busy))
                }
            };
            let Some(group) = group else { return };
            let lane = group.lane;
            if let Some(pace) = &mut self.pace {
                pace.take(group.targets.len(), now);
            }
            self.readying.insert(lane, group);
            let job = Arc::clone(&self.job);
            self.start(async move {
                job.ready(lane).await;
                Done::Ready(lane)
            });
        }
    }

    /// A place in the quota is there: intent to disk, then the call. Things may have changed while it waited.
    pub(super) fn send_now(&mut self, lane: u32) {
        let Some(group) = self.readying.remove(&lane) else { return };
        if !self.may_send() || self.is_held(lane) {
            self.put_back(group);
            return;
        }
        self.ticket += 1;
        self.sending.insert(self.ticket, group.clone());
        let ticket = self.ticket;
        let limits = if self.policy.via.is_whole(group.attempt) {
            self.share(lane)
        } else {
            self.limits(group.targets.len())
        };
        let job = Arc::clone(&self.job);
        let journal = self.ports.journal.clone();
        self.start(async move {
            let server_at = job.server_now(group.lane);
            let lines = group.targets.iter().filter_map(|t| u32::try_from(*t).ok()).collect();
            let permit = journal.intend_send(lines, group.lane, group.attempt, server_at).await;
            let mut batch = Batch {
                intent: 0,
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

    pub(super) fn start_looks(&mut self) {
        let now = Instant::now();
        self.start_locating(now);
        // Nothing of it changes by starting.
        let situations = self.situations();
        for (realm, situation) in &situations {
            if !self.realm(*realm).is_paused(now) {
                self.start_details(*realm, now);
                self.start_sweep(*realm, *situation);
            }
        }
        self.start_collecting(&situations);
    }

    fn start_sweep(&mut self, realm: u32, situation: Situation) {
        let Some(scope) = self.realm(realm).schedule.sweep_due(situation) else { return };
        self.realm(realm).schedule.note_sweep_started();
        let open = self.open.values().filter(|b| self.realm_of(b.batch.lane) == realm);
        let (asked, ids) = open.map(|b| (b.batch.intent, b.command_id.clone())).unzip();
        let job = Arc::clone(&self.job);
        self.start(
            async move { Done::Swept { realm, scope, asked, result: job.sweep(realm, scope, ids).await } },
        );
    }

    pub(super) fn has_room_to_look(&self, realm: &Realm) -> bool {
        realm.details.len() < DETAILS_WAITING
            && realm.looking < LOOKS
            && self.realms.values().map(|r| r.looking).sum::<usize>() < ALL_LOOKS
    }

    fn start_collecting(&mut self, situations: &BTreeMap<u32, Situation>) {
        let mut wanted: Vec<(Instant, u64, u32)> = Vec::new();
        for batch in self.open.values() {
            let n = self.realm_of(batch.batch.lane);
            let Some((realm, situation)) = self.realms.get(&n).zip(situations.get(&n)) else { continue };
            if !realm.is_paused(situation.now) && realm.schedule.wants_look(batch, *situation) {
                wanted.push((batch.unread_since.unwrap_or(batch.moved_at), batch.batch.intent, n));
            }
        }
        // What has been waiting longest comes first.
        wanted.sort_unstable();
        for (_, intent, n) in wanted {
            if !self.realms.get(&n).is_some_and(|realm| self.has_room_to_look(realm)) {
                continue;
            }
            let Some(situation) = situations.get(&n).copied() else { continue };
            let (Some(open), Some(realm)) = (self.open.get_mut(&intent), self.realms.get_mut(&n)) else {
                continue;
            };
            // Asked once more: a probe started just now puts off the others.
            if !realm.schedule.wants_look(open, situation) {
                continue;
            }
            realm.schedule.note_look_started(open, situation);
            realm.looking += 1;
            open.is_busy = true;
            let (batch, command_id) = (open.batch.clone(), open.command_id.clone());
            let job = Arc::clone(&self.job);
            self.start(async move {
                Done::Collected { intent, lane: batch.lane, result: job.collect(&batch, &command_id).await }
            });
        }
    }

    fn start_details(&mut self, n: u32, now: Instant) {
        let realm = self.realm(n);
        if realm.details_held_until.is_some_and(|at| at > now) {
            return;
        }
        realm.details_held_until = None;
        while self.realm(n).detailing < DETAILS {
            let Some(wanted) = self.realm(n).details.pop_front() else { return };
            let Some(open) = self.open.get(&wanted.intent) else { continue };
            let command_id = open.command_id.clone();
            self.realm(n).detailing += 1;
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
            .filter(|d| !self.realms.get(&self.realm_of(d.batch.lane)).is_some_and(|r| r.is_paused(now)))
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

    /// What could not be cancelled is asked for again.
    pub(super) fn cancel_again(&mut self, now: Instant) {
        if self.cancels_again_at.is_some_and(|at| at <= now) {
            self.start_cancelling(now);
        }
    }

    /// Asks the service to cancel every command that was not asked for yet.
    pub(super) fn start_cancelling(&mut self, now: Instant) {
        self.cancel_those(now, |_| true);
    }

    /// The same of some of them.
    pub(super) fn cancel_those(&mut self, now: Instant, is_meant: impl Fn(&OpenBatch) -> bool) {
        self.cancels_again_at = self.cancels_again_at.filter(|at| *at > now);
        let commands: Vec<(u64, u32, String)> = self
            .open
            .values_mut()
            .filter(|b| !b.is_cancelled && is_meant(b))
            .map(|b| {
                b.is_cancelled = true;
                (b.batch.intent, b.batch.lane, b.command_id.clone())
            })
            .collect();
        for (intent, lane, command_id) in commands {
            let realm = self.realm_of(lane);
            let job = Arc::clone(&self.job);
            let journal = self.ports.journal.clone();
            self.start(async move {
                let result = match journal.intend_cancel(command_id.clone()).await {
                    Ok(permit) => Ok(job.cancel(lane, &command_id, permit).await),
                    Err(error) => Err(error),
                };
                Done::Cancelled { realm, intent, result }
            });
        }
    }
}
