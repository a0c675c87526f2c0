//! [`Forecast`]: what a run comes to, worked out beforehand: its sends, when the last of them leaves, the worst overshoot.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::pace::Pace;
use super::policy::smallest_send;
use super::queue::Queue;

/// How a run is carried out, as far as a forecast goes: the same numbers as in [`super::Policy`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Forecast {
    /// Targets sent and not yet judged, at most.
    pub concurrency: u64,
    /// The run stops when more targets than this are bad.
    pub max_errors: u64,
    /// Targets of one send, at most.
    pub batch: u64,
    /// Targets sent to a second, at most.
    pub rate: Option<f64>,
}

/// One wave, as far as a forecast goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WaveLoad {
    /// Targets that something is sent to, by lane.
    pub lanes: BTreeMap<u32, u64>,
    /// Targets that are bad without a send: they count as the wave begins.
    pub bad_before: u64,
}

/// The sends of a run at the least: as if every place in the window were free again at once.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sends {
    /// Calls, by lane.
    pub by_lane: BTreeMap<u32, u64>,
    /// How long the rate alone holds up the last of them, a year at the most; zero without a rate.
    pub paced: Duration,
}

impl Sends {
    /// All of them.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.by_lane.values().sum()
    }
}

impl Forecast {
    /// How many targets more than the one that exceeds the budget may end badly, at the worst: sent by then, and nothing known of
    /// them. Exact for a run that herder carries out by itself: none where one goes after the other, and none where the budget
    /// can't run out.
    ///
    /// A wave begins when all before it are judged. So when the budget runs out in a wave, what is out is of that wave, beside those
    /// of it that the budget had to be exceeded by.
    #[must_use]
    pub fn overshoot(&self, waves: &[WaveLoad]) -> u64 {
        let (mut worst, mut sent_before, mut bad_before) = (0, 0_u64, 0_u64);
        for wave in waves {
            bad_before = bad_before.saturating_add(wave.bad_before);
            // The run stops as the wave begins, if it comes so far.
            if bad_before > self.max_errors {
                break;
            }
            let sent: u64 = wave.lanes.values().sum();
            // Bad ones that it takes, the last of which is of this wave.
            let needed = (self.max_errors - bad_before).saturating_add(1);
            let judged = needed.saturating_sub(sent_before).max(1);
            worst = worst.max(sent.saturating_sub(judged).min(self.concurrency.saturating_sub(1)));
            sent_before = sent_before.saturating_add(sent);
        }
        worst
    }

    /// The sends that the window and the rate make of it. Between two waves the rate is taken to have recovered.
    #[must_use]
    pub fn sends(&self, waves: &[WaveLoad]) -> Sends {
        let number = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
        let (window, batch) = (number(self.concurrency).max(1), number(self.batch).max(1));
        let rate = self.rate.filter(|rate| rate.is_finite() && *rate > 0.0);
        let most = rate.map_or(usize::MAX, Pace::most_of);
        let floor = smallest_send(batch, window, most);
        let (mut sends, mut seconds) = (Sends::default(), 0.0);
        for wave in waves {
            let mut queue = Queue::default();
            for (lane, targets) in &wave.lanes {
                (0..number(*targets)).for_each(|target| queue.push(*lane, target));
            }
            let mut saved = rate.map_or(f64::INFINITY, Pace::capacity_of);
            while queue.len() > 0 {
                // A float that is too large becomes the largest integer. A hair more, as in the pace itself.
                let free = window.min((saved + 1e-6) as usize);
                if let Some(group) = queue.next(free, batch, floor, &BTreeSet::new()) {
                    saved -= group.targets.len() as f64;
                    *sends.by_lane.entry(group.lane).or_insert(0) += 1;
                    continue;
                }
                let Some(rate) = rate else { break };
                let wanted = queue.len().min(floor) as f64;
                seconds += (wanted - saved).max(0.0) / rate;
                saved = saved.max(wanted);
            }
        }
        const YEAR: f64 = 365.0 * 86_400.0;
        sends.paced = Duration::try_from_secs_f64(f64::min(seconds, YEAR)).unwrap_or(Duration::ZERO);
        sends
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wave(sent: u64, bad_before: u64) -> WaveLoad {
        WaveLoad { lanes: BTreeMap::from([(0, sent)]), bad_before }
    }

    fn forecast(concurrency: u64, max_errors: u64) -> Forecast {
        Forecast { concurrency, max_errors, batch: 50, rate: None }
    }

    #[test]
    fn the_overshoot_in_a_table() {
        for (concurrency, max_errors, waves, overshoot) in [
            // One after the other.
            (1, 0, vec![wave(100, 0)], 0),
            (1, 5, vec![wave(1, 0), wave(99, 0)], 0),
            (50, 0, vec![wave(100, 0)], 49),
            (50, 99, vec![wave(128, 0)], 28),
            (50, 0, vec![wave(10, 0)], 9),
            // It can't run out.
            (50, 128, vec![wave(128, 0)], 0),
            (50, 127, vec![wave(128, 0)], 0),
            // It has run out before anything is sent: at once, or as the second wave begins.
            (50, 0, vec![wave(1, 1)], 0),
            (50, 0, vec![wave(1, 0), wave(100, 1)], 0),
            (50, 0, vec![wave(7, 0), wave(100, 1)], 6),
            // What is bad beforehand uses it up.
            (50, 3, vec![wave(4, 2)], 2),
            (50, 3, vec![wave(4, 0)], 0),
            // The last wave's width counts, not what the ones before it may have used of the budget.
            (50, 4, vec![wave(1, 0), wave(19, 0), wave(180, 0)], 49),
            (50, 4, vec![wave(2, 0), wave(4, 0)], 1),
            (0, 0, vec![wave(4, 0)], 0),
            (50, 0, vec![], 0),
        ] {
            assert_eq!(
                forecast(concurrency, max_errors).overshoot(&waves),
                overshoot,
                "{concurrency} {max_errors} {waves:?}"
            );
        }
    }

    #[test]
    fn sends_by_lane_and_rate() {
        let sends = |rate, waves: &[WaveLoad]| Forecast { rate, ..forecast(50, 0) }.sends(waves);
        let plain = sends(None, &[wave(128, 0)]);
        assert_eq!((plain.count(), plain.paced), (3, Duration::ZERO));
        let lanes = WaveLoad { lanes: BTreeMap::from([(0, 60), (3, 1)]), bad_before: 0 };
        assert_eq!(sends(None, std::slice::from_ref(&lanes)).by_lane, BTreeMap::from([(0, 2), (3, 1)]));
        for (rate, targets, count, seconds) in [
            (5.0, 128, 26, 24.6),
            (20.0, 90, 5, 3.5),
            (0.0001, 128, 128, 1_270_000.0),
            (1000.0, 128, 3, 0.0),
            // A second's worth at once, then no fewer than half the window.
            (40.0, 100, 4, 1.5),
        ] {
            let sends = sends(Some(rate), &[wave(targets, 0)]);
            assert_eq!(sends.count(), count, "{rate}");
            assert!(
                (sends.paced.as_secs_f64() - seconds).abs() < 1e-3 * seconds.max(1.0),
                "{rate}: {sends:?}"
            );
        }
        // The bucket is full again when the second wave begins.
        assert_eq!(sends(Some(5.0), &[wave(1, 0), wave(10, 0)]).count(), 3);
        // Nothing that is asked for makes it count for ever.
        for rate in [f64::MIN_POSITIVE, 1e300, f64::NAN, -1.0] {
            let _ = sends(Some(rate), &[wave(300, 0)]);
        }
        assert_eq!(Forecast { concurrency: 0, batch: 0, ..forecast(0, 0) }.sends(&[wave(3, 0)]).count(), 3);
    }
}
