//! Whether a connection still is one: pings, silence, and a machine that slept.

use std::time::Duration;

/// The wall clock is compared with the monotonic one this often: on most systems only the first goes on in a sleep.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// A difference that is more than a correction of the wall clock.
const SLEPT: Duration = Duration::from_secs(20);

/// How long an answer may take after a sleep.
const ANSWER_AFTER_SLEEP: Duration = Duration::from_secs(10);

/// When to ping, and when to give a connection up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LivenessOptions {
    /// Between pings. Load balancers and proxies drop what is silent for a minute.
    pub ping_every: Duration,
    /// Nothing received for so long: the connection is dead.
    pub dead_after: Duration,
}

impl Default for LivenessOptions {
    fn default() -> LivenessOptions {
        LivenessOptions { ping_every: Duration::from_secs(25), dead_after: Duration::from_secs(80) }
    }
}

/// What there is to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Due {
    Nothing,
    Ping,
    /// Nothing was received for so long.
    Dead(Duration),
}

#[derive(Debug)]
pub(super) struct Liveness {
    options: LivenessOptions,
    heard_at: Duration,
    ping_at: Duration,
    look_at: Duration,
    /// An answer has to come before.
    answer_by: Option<Duration>,
    /// Both clocks at the last look: monotonic, wall in Unix milliseconds.
    looked: (Duration, u64),
}

impl Liveness {
    /// A connection that was made now.
    pub(super) fn new(options: LivenessOptions, now: Duration, unix_ms: u64) -> Liveness {
        Liveness {
            options,
            heard_at: now,
            ping_at: now + options.ping_every,
            look_at: now + LOOK_EVERY,
            answer_by: None,
            looked: (now, unix_ms),
        }
    }

    /// Something was received, or nobody wanted to receive anything until now.
    pub(super) fn heard(&mut self, now: Duration) {
        self.heard_at = now;
        self.answer_by = None;
    }

    /// What is due. While nothing is read, silence means nothing.
    pub(super) fn due(&mut self, now: Duration, unix_ms: u64, is_reading: bool) -> Due {
        self.look_at = now + LOOK_EVERY;
        let (looked_at, looked_ms) = std::mem::replace(&mut self.looked, (now, unix_ms));
        let passed = Duration::from_millis(unix_ms.saturating_sub(looked_ms));
        if passed > now.saturating_sub(looked_at) + SLEPT {
            self.answer_by = Some(now + ANSWER_AFTER_SLEEP);
            self.ping_at = now;
        }
        let is_late =
            now >= self.heard_at + self.options.dead_after || self.answer_by.is_some_and(|by| now >= by);
        if is_reading && is_late {
            return Due::Dead(now.saturating_sub(self.heard_at));
        }
        if now < self.ping_at {
            return Due::Nothing;
        }
        self.ping_at = now + self.options.ping_every;
        Due::Ping
    }

    /// When to ask again.
    pub(super) fn next(&self, is_reading: bool) -> Duration {
        let silence = is_reading.then_some(self.heard_at + self.options.dead_after);
        let answer = self.answer_by.filter(|_| is_reading);
        [silence, answer].into_iter().flatten().fold(self.ping_at.min(self.look_at), Duration::min)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    fn liveness() -> Liveness {
        Liveness::new(LivenessOptions::default(), S * 100, 1_000_000)
    }

    /// The wall clock, if nobody slept.
    fn wall(now: Duration) -> u64 {
        900_000 + now.as_millis() as u64
    }

    #[test]
    fn pings_are_regular_and_silence_is_death() {
        let mut liveness = liveness();
        let mut pings = Vec::new();
        let (now, silent) = loop {
            let now = liveness.next(true);
            match liveness.due(now, wall(now), true) {
                Due::Ping => pings.push(now.as_secs()),
                Due::Nothing => {}
                Due::Dead(silent) => break (now, silent),
            }
        };
        assert_eq!((pings, now, silent), (vec![125, 150, 175], S * 180, S * 80));
    }

    #[test]
    fn an_answer_keeps_it_alive() {
        let mut liveness = liveness();
        for n in 100..1000 {
            let now = S * n;
            liveness.heard(now);
            assert!(!matches!(liveness.due(now, wall(now), true), Due::Dead(_)));
        }
        assert_eq!(liveness.next(true), S * 1000, "the next ping");
    }

    #[test]
    fn what_is_not_read_is_not_dead() {
        let mut liveness = liveness();
        assert_eq!(liveness.due(S * 500, wall(S * 500), false), Due::Ping);
        assert_eq!(liveness.next(false), S * 510);
        liveness.heard(S * 501);
        assert_eq!(liveness.due(S * 501, wall(S * 501), true), Due::Nothing);
    }

    #[test]
    fn after_a_sleep_an_answer_has_to_come_soon() {
        let two_hours = 7_200_000;
        let mut liveness = liveness();
        assert_eq!(liveness.due(S * 110, wall(S * 110) + two_hours, true), Due::Ping);
        assert_eq!(liveness.next(true), S * 120);
        assert!(matches!(liveness.due(S * 120, wall(S * 120) + two_hours, true), Due::Dead(_)));
        liveness.heard(S * 115);
        assert_eq!(
            liveness.due(S * 121, wall(S * 121) + two_hours, true),
            Due::Nothing,
            "it answered in time"
        );
    }

    #[test]
    fn a_corrected_clock_is_no_sleep() {
        let mut liveness = liveness();
        assert_eq!(liveness.due(S * 110, wall(S * 110) + 15_000, true), Due::Nothing);
        assert_eq!(liveness.due(S * 115, 5, true), Due::Nothing, "backwards");
        assert_eq!(liveness.due(S * 116, wall(S * 116), true), Due::Ping, "and forwards again");
    }
}
