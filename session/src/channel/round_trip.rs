//! How long an acknowledgement takes, and so how long to wait for one.

use std::time::Duration;

/// What both official ends assume before the first sample.
const FIRST_TIMEOUT: Duration = Duration::from_millis(200);

/// The official ends look every 100 ms whether something has to be sent again; so a shorter wait wins nothing against them,
/// and costs repetitions on a busy machine.
const MIN_TIMEOUT: Duration = Duration::from_millis(100);

/// The official ends' bound: an end that refuses a message until it is ready learns of it by its repetition.
const MAX_TIMEOUT: Duration = Duration::from_secs(1);

/// The shortest time is forgotten after one to two of these: routes change.
const SHORTEST_FOR: Duration = Duration::from_secs(30);

/// Jacobson's estimator, and the shortest time of late.
#[derive(Debug, Default)]
pub(super) struct RoundTrip {
    smoothed: Option<Duration>,
    variation: Duration,
    shortest: Option<Duration>,
    shortest_before: Option<Duration>,
    since: Duration,
}

impl RoundTrip {
    /// Takes a sample, of a message that was sent once only (Karn).
    pub(super) fn sample(&mut self, now: Duration, sample: Duration) {
        match self.smoothed {
            None => {
                self.smoothed = Some(sample);
                self.variation = sample / 2;
            }
            Some(smoothed) => {
                self.variation = (self.variation * 3 + smoothed.abs_diff(sample)) / 4;
                self.smoothed = Some((smoothed * 7 + sample) / 8);
            }
        }
        if now.saturating_sub(self.since) > SHORTEST_FOR {
            self.since = now;
            self.shortest_before = self.shortest.take();
        }
        self.shortest = Some(self.shortest.map_or(sample, |shortest| shortest.min(sample)));
    }

    /// Zero before the first sample.
    pub(super) fn smoothed(&self) -> Duration {
        self.smoothed.unwrap_or_default()
    }

    /// The shortest of late; zero before the first sample.
    pub(super) fn shortest(&self) -> Duration {
        let now = self.shortest.unwrap_or_default();
        self.shortest_before.map_or(now, |before| before.min(now))
    }

    /// How long to wait for an acknowledgement before a message is sent again.
    pub(super) fn timeout(&self) -> Duration {
        let Some(smoothed) = self.smoothed else { return FIRST_TIMEOUT };
        let margin = (self.variation * 4).max(Duration::from_millis(10));
        (smoothed + margin).clamp(MIN_TIMEOUT, MAX_TIMEOUT)
    }

    /// The timeout after so many in vain.
    pub(super) fn backed_off(&self, times: u32) -> Duration {
        self.timeout().saturating_mul(1 << times.min(6)).min(MAX_TIMEOUT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn waits_follow_the_samples() {
        let mut trip = RoundTrip::default();
        assert_eq!(trip.timeout(), FIRST_TIMEOUT);
        trip.sample(MS, MS * 100);
        assert_eq!(trip.timeout(), MS * 300, "100 + 4 * 50");
        for n in 0..100 {
            trip.sample(MS * n, MS * 100);
        }
        assert_eq!((trip.smoothed(), trip.timeout()), (MS * 100, MS * 110));
        trip.sample(MS, MS * 5000);
        assert_eq!(trip.timeout(), MAX_TIMEOUT);
        assert_eq!(trip.backed_off(40), MAX_TIMEOUT);
    }

    #[test]
    fn the_shortest_is_forgotten() {
        let mut trip = RoundTrip::default();
        trip.sample(MS, MS);
        trip.sample(SHORTEST_FOR * 2, MS * 50);
        assert_eq!(trip.shortest(), MS);
        trip.sample(SHORTEST_FOR * 4, MS * 60);
        assert_eq!(trip.shortest(), MS * 50);
    }
}
