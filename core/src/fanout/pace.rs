//! [`Pace`]: no more than so many targets a second (`--rate`).

use std::time::Duration;

use tokio::time::Instant;

/// A bucket that fills with the rate and holds one second of it, at least one target.
#[derive(Debug)]
pub(super) struct Pace {
    rate: f64,
    tokens: f64,
    at: Instant,
}

impl Pace {
    pub(super) fn new(rate: f64, now: Instant) -> Pace {
        let rate = if rate.is_finite() && rate > 0.0 { rate } else { f64::MIN_POSITIVE };
        let mut pace = Pace { rate, tokens: 0.0, at: now };
        pace.tokens = pace.capacity();
        pace
    }

    fn capacity(&self) -> f64 {
        Pace::capacity_of(self.rate)
    }

    /// What a bucket of this rate holds.
    pub(super) fn capacity_of(rate: f64) -> f64 {
        rate.max(1.0)
    }

    /// The most that can ever be sent to at once at this rate.
    pub(super) fn most_of(rate: f64) -> usize {
        Pace::capacity_of(rate) as usize
    }

    fn tokens_at(&self, now: Instant) -> f64 {
        let gained = now.saturating_duration_since(self.at).as_secs_f64() * self.rate;
        (self.tokens + gained).min(self.capacity())
    }

    /// Targets that may be sent to now.
    pub(super) fn allowance(&self, now: Instant) -> usize {
        // A hair more, so that rounding never makes a send wait for nothing.
        (self.tokens_at(now) + 1e-6) as usize
    }

    /// The most that can ever be sent to at once.
    pub(super) fn most(&self) -> usize {
        Pace::most_of(self.rate)
    }

    /// When so many may be sent to; at most [`Pace::most`] are waited for.
    pub(super) fn ready_at(&self, targets: usize, now: Instant) -> Instant {
        let missing = targets.min(self.most()) as f64 - self.tokens_at(now);
        if missing <= 0.0 { now } else { now + Duration::from_secs_f64((missing / self.rate).min(86_400.0)) }
    }

    /// Takes what is sent to.
    pub(super) fn take(&mut self, targets: usize, now: Instant) {
        self.tokens = self.tokens_at(now) - targets as f64;
        self.at = now;
    }

    /// Gives back what was not sent after all.
    pub(super) fn give_back(&mut self, targets: usize) {
        self.tokens += targets as f64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_second_of_the_rate_at_once_and_then_the_rate() {
        let start = Instant::now();
        let mut pace = Pace::new(20.0, start);
        assert_eq!(pace.allowance(start), 20);
        pace.take(20, start);
        assert_eq!(pace.allowance(start), 0);
        assert_eq!(pace.ready_at(10, start), start + Duration::from_millis(500));
        assert_eq!(pace.allowance(start + Duration::from_millis(500)), 10);
        assert_eq!(pace.allowance(start + Duration::from_secs(60)), 20);
        pace.take(20, start + Duration::from_secs(60));
        pace.give_back(5);
        assert_eq!(pace.allowance(start + Duration::from_secs(60)), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn slow_rates_send_one_at_a_time() {
        let start = Instant::now();
        let mut pace = Pace::new(0.5, start);
        assert_eq!((pace.allowance(start), pace.most()), (1, 1));
        pace.take(1, start);
        assert_eq!(pace.ready_at(50, start), start + Duration::from_secs(2));
    }
}
