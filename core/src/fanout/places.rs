//! The window: how many more targets may be sent to, and what has to be read before more of them may.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::time::Instant;

use super::batch::OpenBatch;
use super::executor::Executor;
use super::job::Job;
use super::pace::Pace;
use super::policy::smallest_send;
use super::queue::Group;
use super::realm::Realm;
use crate::via::Via;

impl<J: Job> Executor<J> {
    /// Targets that may still be sent to now.
    ///
    /// Each that is on its way takes a place. So does each that has ended and may be bad without anybody having read it, as far
    /// as the budget could not bear it: with those places given away, more could end badly than budget and window together.
    pub(super) fn free(&self) -> usize {
        let running: usize = self.open.values().map(OpenBatch::in_flight).sum();
        let sending: usize = self.sending.values().map(|g| self.places(g)).sum();
        let readying: usize = self.readying.values().map(|g| self.places(g)).sum();
        let doubtful: usize = self
            .doubts
            .values()
            .map(|d| self.places_of(d.batch.lane, d.batch.attempt, &d.batch.targets))
            .sum();
        let held = (running + sending + readying + doubtful).saturating_sub(self.released());
        let taken = held + self.unproven();
        self.policy.concurrency.saturating_sub(taken)
    }

    fn places(&self, group: &Group) -> usize {
        self.places_of(group.lane, group.attempt, &group.targets)
    }

    /// The places that a send takes: what the service goes over by itself runs on no more at once than the lane's portion.
    pub(super) fn places_of(&self, lane: u32, attempt: u32, targets: &[usize]) -> usize {
        let whole = self.policy.via.is_whole(attempt).then(|| self.share(lane).max_concurrency as usize);
        whole.unwrap_or(targets.len())
    }

    /// The smallest batch worth a call while more targets are waiting.
    pub(super) fn floor(&self) -> usize {
        let most = self.pace.as_ref().map_or(usize::MAX, Pace::most);
        smallest_send(self.policy.batch, self.policy.concurrency, most)
    }

    /// Ended targets that may be bad without anybody having read it.
    pub(super) fn suspects(&self) -> u64 {
        self.open.values().map(OpenBatch::suspects).sum()
    }

    /// Ended targets that the run can't bear if all of them turn out to be bad.
    fn unproven(&self) -> usize {
        let suspects = self.suspects();
        let left = self.budget.left(self.known_bad());
        usize::try_from(suspects.saturating_sub(left)).unwrap_or(usize::MAX)
    }

    /// Sees to it that as many results are read as keep the next send waiting, from the batches that hold most of them.
    pub(super) fn want_suspects(&mut self) {
        let unproven = self.unproven();
        if unproven == 0 || self.stopped.is_some() || self.queue.len() == 0 {
            return;
        }
        let enough = match self.policy.via {
            Via::Client => self.floor().min(self.queue.len()),
            // A lane waits for the whole of its portion.
            Via::Service => self.policy.concurrency,
        };
        let missing = enough.saturating_sub(self.free());
        if self.policy.via == Via::Client && unproven < missing {
            // Reading all of it would not be enough for a send.
            return;
        }
        let mut wanted = unproven.min(missing) as u64;
        let now = Instant::now();
        let has_several = self.realms.len() > 1;
        let is_silent = |realm: &Realm| realm.is_paused(now) || (has_several && realm.is_blind(now));
        let silent = self.realms.iter().filter(|(_, realm)| is_silent(realm));
        let silent: BTreeSet<u32> = silent.map(|(realm, _)| *realm).collect();
        let job = Arc::clone(&self.job);
        let is_readable = |open: &OpenBatch| !silent.contains(&job.realm(open.batch.lane));
        let mut suspected: Vec<&mut OpenBatch> =
            self.open.values_mut().filter(|open| open.suspects() > 0 && is_readable(open)).collect();
        // Those that are being read already first.
        suspected.sort_by_key(|open| (!open.is_being_read(), std::cmp::Reverse(open.suspects())));
        for open in suspected {
            if wanted == 0 {
                return;
            }
            open.is_wanted = true;
            wanted = wanted.saturating_sub(open.suspects());
        }
    }
}
