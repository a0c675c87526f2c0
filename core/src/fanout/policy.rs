//! [`Policy`] and [`Budget`]: how much at once, and when to stop.

use std::time::Duration;

use crate::via::Via;

/// How a run is carried out. Counts are absolute: percentages were resolved against the run's targets before.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// Targets sent and not yet judged, at most; at least 1.
    pub concurrency: usize,
    /// The run stops when more targets than this are bad.
    pub max_errors: u64,
    /// Targets of one send, at most: 50 for `SendCommand`.
    pub batch: usize,
    /// Whether somebody reads results while the run goes on.
    pub eagerness: Eagerness,
    /// Whether a send whose answer was lost and that left no trace is sent again.
    pub resend_ambiguous: bool,
    /// What stands between two waves.
    pub between: Between,
    /// Targets sent to a second, at most; `None` is as fast as the quotas allow.
    pub rate: Option<f64>,
    /// Who goes over the targets. Through the service there is one wave, whatever the plan says, and no pace.
    pub via: Via,
}

impl Policy {
    /// The same, with room for one target at the least.
    pub(super) fn usable(self) -> Policy {
        Policy { concurrency: self.concurrency.max(1), batch: self.batch.max(1), ..self }
    }
}

/// The smallest batch worth a call while more targets are waiting: half the window, at most a full batch or what the pace ever lets
/// go at once. A full batch each time would wait for stragglers; single targets would cost fifty times the calls.
pub(super) fn smallest_send(batch: usize, concurrency: usize, most: usize) -> usize {
    batch.min(concurrency.div_ceil(2)).min(most).max(1)
}

/// What stands between two waves: first the soak, then the gates, one after the other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Between {
    /// How long a wave is left alone after its last verdict.
    pub soak: Duration,
    /// What has to say yes, as given; [`super::Job::gate`] asks.
    pub gates: Vec<String>,
}

/// When results are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Eagerness {
    /// One read a batch, when it is done: the fewest calls.
    AtEnd,
    /// Also before, where a reader would otherwise wait for results that exist.
    AsCompleted,
}

/// The error budget of a run: one count over all batches, waves and scopes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    max_errors: u64,
}

impl Budget {
    /// A budget that `max_errors` bad targets do not exceed.
    #[must_use]
    pub fn new(max_errors: u64) -> Budget {
        Budget { max_errors }
    }

    /// Whether this many bad targets stop the run: more than the budget, not as many as it.
    #[must_use]
    pub fn is_exceeded_by(self, bad: u64) -> bool {
        bad > self.max_errors
    }

    /// Bad targets that may still come.
    #[must_use]
    pub fn left(self, bad: u64) -> u64 {
        self.max_errors.saturating_sub(bad)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_budget_must_be_exceeded_not_reached() {
        let none = Budget::new(0);
        assert!(!none.is_exceeded_by(0));
        assert!(none.is_exceeded_by(1));
        let five = Budget::new(5);
        assert!(!five.is_exceeded_by(5));
        assert!(five.is_exceeded_by(6));
        assert_eq!((five.left(2), five.left(9)), (3, 0));
    }
}
