//! [`Limiter`]: finds the rate at which one API takes calls, and stays just below it.
//!
//! AWS publishes few rates and enforces them with token buckets: a burst, then a refill. The limiter knows neither.
//!
//! * **Slow start**: 3 calls/s, doubling every second while nobody throttles, to at most [`MAX_RATE`].
//! * **First throttle**: the bucket is empty, so of every window that ends now at most `burst + refill × window` was
//!   accepted. With the burst taken as one second of refill, at most ten calls (an assumption; the next throttle
//!   corrects it), the windows give the refill.
//! * **Later throttles**: between two moments at which the bucket was empty exactly the refill was accepted. That
//!   measured rate becomes the ceiling, and calls go on just below it.
//! * **Near the ceiling** the rate rests, then probes slowly at first and faster the longer nothing objects.
//! * **A learned rate** is rested at for 5 s, then left behind twice as fast every 4 s, unless a throttle confirms it.
//! * **A throttle below the ceiling** means that the quota shrank or someone else took a share: 0.7 × the rate, and the
//!   ceiling comes down too, so that two herders on one quota end with about half each.
//!
//! The rate grows only while somebody waits for it: an idle limiter learns nothing.

use std::collections::VecDeque;
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

/// Calls a second to start with where nothing is known.
pub const DEFAULT_RATE: f64 = 3.0;
/// Calls a second that slow start doesn't exceed.
pub const MAX_RATE: f64 = 50.0;
/// Calls a second that no throttle goes below.
pub const MIN_RATE: f64 = 0.5;

/// Calls that may go at once.
const MAX_BURST: f64 = 10.0;
/// What a throttle below the ceiling leaves of the rate.
const BACK_OFF: f64 = 0.7;
/// Calls a second won back each second below the ceiling.
const ADDITIVE: f64 = 0.5;
/// The share of the ceiling at which the rate rests.
const REST_AT: f64 = 0.97;
/// The history that the first estimate looks at.
const WINDOW: Duration = Duration::from_secs(30);
/// A measurement between two throttles counts for this long.
const MEASURE: Duration = Duration::from_secs(60);

/// What a limiter is made with.
#[derive(Clone, Copy, Debug, Default)]
pub struct LimiterOptions {
    /// Calls a second that an earlier run found, already decayed.
    pub learned: Option<f64>,
    /// Calls a second that are never exceeded; without it [`MAX_RATE`]. More, where the service is known to take more.
    pub cap: Option<f64>,
    /// Seed of the jitter.
    pub seed: u64,
}

/// The answer to "may I call now?".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Take {
    /// Yes; a token was taken. Its outcome must be told: accepted, throttled or abandoned.
    Go,
    /// Not yet: ask again after this long.
    Wait(Duration),
}

/// The limiter of one API in one account and region. Times are since an origin of the caller's choice and never run
/// backwards (an earlier one counts as the latest).
#[derive(Debug)]
pub struct Limiter {
    rng: SmallRng,
    cap: f64,
    rate: f64,
    /// The refill as last measured; `None` until a throttle (or an earlier run) told.
    ceiling: Option<f64>,
    tokens: f64,
    now: Duration,
    hold_until: Duration,
    /// When somebody last had to wait for a token.
    waited: Option<Duration>,
    /// Time spent at the ceiling with somebody waiting, since the last throttle.
    pressed: f64,
    outstanding: u64,
    /// Outcomes still to come of attempts made before the last cut; their throttles say nothing new.
    stale: u64,
    accepted: u64,
    recent: VecDeque<Duration>,
    cut: Option<Cut>,
}

/// The last time the rate was cut.
#[derive(Clone, Copy, Debug)]
struct Cut {
    at: Duration,
    accepted: u64,
}

impl Limiter {
    /// A limiter that starts at 0.8 × the learned rate, or at [`DEFAULT_RATE`].
    #[must_use]
    pub fn new(options: LimiterOptions) -> Limiter {
        let sane = |r: &f64| r.is_finite() && *r > 0.0;
        let cap = options.cap.filter(sane).unwrap_or(MAX_RATE);
        let learned = options.learned.filter(sane).map(|r| r.clamp(MIN_RATE, MAX_RATE.max(cap)));
        let rate = learned.map_or(DEFAULT_RATE, |r| r * 0.8).min(cap);
        let mut limiter = Limiter {
            rng: SmallRng::seed_from_u64(options.seed),
            cap,
            rate,
            ceiling: learned,
            tokens: 0.0,
            now: Duration::ZERO,
            hold_until: Duration::ZERO,
            waited: None,
            pressed: 0.0,
            outstanding: 0,
            stale: 0,
            accepted: 0,
            recent: VecDeque::new(),
            cut: None,
        };
        limiter.tokens = limiter.burst();
        limiter
    }

    /// Asks for a token.
    pub fn try_take(&mut self, now: Duration) -> Take {
        self.advance(now);
        if self.now < self.hold_until {
            self.waited = Some(self.now);
            return Take::Wait(self.hold_until - self.now);
        }
        // A hair less than one, so that rounding never makes a caller wait for nothing.
        if self.tokens >= 1.0 - 1e-6 {
            self.tokens -= 1.0;
            self.outstanding += 1;
            return Take::Go;
        }
        self.waited = Some(self.now);
        Take::Wait(Duration::from_secs_f64((1.0 - self.tokens) / self.rate) + Duration::from_micros(1))
    }

    /// An attempt was accepted by the service (whatever it answered, it was not a throttle).
    pub fn accepted(&mut self, now: Duration) {
        self.advance(now);
        self.settle();
        self.accepted += 1;
        self.recent.push_back(self.now);
        while self.recent.front().is_some_and(|t| *t + WINDOW < self.now) {
            self.recent.pop_front();
        }
    }

    /// An attempt has no outcome that says anything about the quota: it never left, or its answer was lost.
    pub fn abandoned(&mut self, now: Duration) {
        self.advance(now);
        self.settle();
    }

    /// An attempt was throttled. `retry_after` is what the service asked for, if it did.
    pub fn throttled(&mut self, now: Duration, retry_after: Option<Duration>) {
        self.advance(now);
        let old = self.settle();
        if let Some(after) = retry_after {
            self.hold(self.now + after.min(Duration::from_secs(60)));
        }
        if old {
            return;
        }
        let (rate, ceiling) = self.cut_to();
        self.rate = rate.clamp(MIN_RATE, self.cap.max(MIN_RATE)).min(self.cap);
        self.ceiling = Some(ceiling.max(MIN_RATE));
        self.pressed = 0.0;
        self.stale = self.outstanding;
        self.cut = Some(Cut { at: self.now, accepted: self.accepted });
        self.tokens = 0.0;
        let jitter =
            Duration::from_secs_f64(self.rng.random_range(0.0..1.0_f64.min(2.0 / self.rate).max(0.2)));
        self.hold(self.now + jitter);
    }

    /// Calls a second that are let through now.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.rate
    }

    /// What this run found out, to start the next one with: the measured ceiling, or the rate that was surely sustained
    /// without a throttle. `None` where too little happened.
    #[must_use]
    pub fn learned(&self) -> Option<f64> {
        let sustained = self.estimate().min(self.rate);
        match (self.ceiling, self.cut) {
            (Some(ceiling), Some(_)) => Some(ceiling),
            (Some(ceiling), None) => Some(ceiling.max(sustained)),
            (None, _) => (sustained > DEFAULT_RATE).then_some(sustained),
        }
    }

    /// The rate and the ceiling after a throttle that says something new.
    fn cut_to(&mut self) -> (f64, f64) {
        let measured = self.measured();
        match (self.ceiling, measured) {
            (None, _) => {
                // A handful of calls says little: then no deeper than an ordinary step back.
                let least = if self.accepted < 10 { self.rate * BACK_OFF } else { 0.0 };
                let found = self.estimate().max(least).min(self.rate);
                (found * REST_AT, found)
            }
            // Expected: the rate was probing above the ceiling. Both figures are lower bounds.
            (Some(ceiling), measured) if self.rate > ceiling => {
                let found = measured.unwrap_or(ceiling).max(self.estimate());
                let found = found.max(ceiling * BACK_OFF).min(self.rate);
                (found * REST_AT, found)
            }
            (Some(_), Some(measured)) => {
                let found = measured.max(self.rate * BACK_OFF).min(self.rate);
                (found * 0.88, found * 0.92)
            }
            (Some(ceiling), None) => (self.rate * BACK_OFF, ceiling.min(self.rate) * (1.0 + BACK_OFF) / 2.0),
        }
    }

    /// Accepted calls a second since the last cut, if that was recent and long enough ago to mean something.
    fn measured(&self) -> Option<f64> {
        let cut = self.cut?;
        let span = self.now.saturating_sub(cut.at);
        let count = self.accepted - cut.accepted;
        (span >= Duration::from_secs(1) && span <= MEASURE && count >= 2)
            .then(|| count as f64 / span.as_secs_f64())
    }

    /// The refill, from the windows that end now: `accepted = burst + refill × window`, the burst being one second
    /// of refill or [`MAX_BURST`], whichever is less.
    fn estimate(&self) -> f64 {
        let mut best = MIN_RATE;
        for (older, at) in self.recent.iter().rev().enumerate() {
            let count = (older + 1) as f64;
            let span = self.now.saturating_sub(*at).as_secs_f64();
            let refill = if count <= MAX_BURST * (span + 1.0) {
                count / (span + 1.0)
            } else if span >= 1.0 {
                (count - MAX_BURST) / span
            } else {
                continue;
            };
            best = best.max(refill);
        }
        best
    }

    fn burst(&self) -> f64 {
        self.rate.clamp(1.0, MAX_BURST)
    }

    fn hold(&mut self, until: Duration) {
        self.hold_until = self.hold_until.max(until);
    }

    /// Takes one attempt off the books; says whether it was made before the last cut.
    fn settle(&mut self) -> bool {
        self.outstanding = self.outstanding.saturating_sub(1);
        let old = self.stale > 0;
        self.stale = self.stale.saturating_sub(1);
        old
    }

    /// Lets time pass: tokens come in, and the rate grows if somebody waits for it.
    fn advance(&mut self, now: Duration) {
        let Some(passed) = now.checked_sub(self.now).map(|d| d.as_secs_f64()) else { return };
        self.tokens = (self.tokens + self.rate * passed).min(self.burst());
        let patience = Duration::from_secs_f64((2.0 / self.rate).max(1.0));
        let pressed = self.waited.is_some_and(|at| self.now < at + patience) && self.now >= self.hold_until;
        self.now = now;
        if pressed {
            self.grow(passed.min(patience.as_secs_f64()));
        }
    }

    fn grow(&mut self, passed: f64) {
        let grown = match self.ceiling {
            None => (self.rate * passed.exp2()).min(self.cap),
            Some(ceiling) if self.rate < ceiling * REST_AT => {
                (self.rate + ADDITIVE * passed).min(ceiling * REST_AT)
            }
            Some(ceiling) => {
                self.pressed += passed;
                if self.cut.is_none() {
                    // Only an earlier run says so, and that may have shared the quota or seen another one.
                    let doubled = if self.pressed > 5.0 { (passed / 4.0).exp2() } else { 1.0 };
                    self.rate = (self.rate * doubled).min(self.cap);
                    return;
                }
                // Rest for as long as 25 calls take, 5 s to 15 s; then probe, also in absolute terms, so that a
                // ceiling that was far too low is left behind.
                let probe = (self.pressed - (25.0 / ceiling).clamp(5.0, 15.0)).max(0.0);
                let target =
                    ceiling * (REST_AT + 0.02 * probe + 0.002 * probe.powi(3)) + 0.004 * probe.powi(2);
                self.rate.max(target.min(self.cap.max(ceiling)))
            }
        };
        self.rate = grown.min(self.cap);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn go(limiter: &mut Limiter, now: Duration) -> bool {
        limiter.try_take(now) == Take::Go
    }

    #[test]
    fn starts_with_a_small_burst_and_then_waits() {
        let mut limiter = Limiter::new(LimiterOptions::default());
        let taken = (0..10).filter(|_| go(&mut limiter, at(0))).count();
        assert_eq!(taken, 3);
        let Take::Wait(wait) = limiter.try_take(at(0)) else { panic!("a fourth at once") };
        assert!(wait <= Duration::from_millis(334), "{wait:?}");
        assert!(go(&mut limiter, wait));
    }

    #[test]
    fn an_idle_limiter_does_not_grow() {
        let mut limiter = Limiter::new(LimiterOptions::default());
        for second in 0..60 {
            assert!(go(&mut limiter, at(second * 1000)));
            limiter.accepted(at(second * 1000 + 120));
        }
        assert!((limiter.rate() - DEFAULT_RATE).abs() < f64::EPSILON);
        assert_eq!(limiter.learned(), None);
    }

    #[test]
    fn the_service_is_waited_for_as_long_as_it_asks_but_not_for_ever() {
        for (asked, waits) in [(5, 5), (86_400, 60)] {
            let mut limiter = Limiter::new(LimiterOptions::default());
            assert!(go(&mut limiter, at(0)));
            limiter.throttled(at(100), Some(Duration::from_secs(asked)));
            let Take::Wait(wait) = limiter.try_take(at(100)) else { panic!("no wait") };
            assert_eq!(wait.as_secs_f64().round() as u64, waits);
        }
    }

    #[test]
    fn throttles_of_one_burst_cut_once() {
        let mut limiter = Limiter::new(LimiterOptions { learned: Some(20.0), ..Default::default() });
        let sent = (0..20).filter(|_| go(&mut limiter, at(0))).count();
        limiter.throttled(at(100), None);
        let rate = limiter.rate();
        for _ in 1..sent {
            limiter.throttled(at(101), None);
        }
        assert!((limiter.rate() - rate).abs() < f64::EPSILON, "{} after {rate}", limiter.rate());
    }

    #[test]
    fn the_cap_holds() {
        let mut limiter = Limiter::new(LimiterOptions { cap: Some(0.2), learned: Some(30.0), seed: 0 });
        let mut now = Duration::ZERO;
        let mut taken = 0;
        while now < Duration::from_secs(100) {
            match limiter.try_take(now) {
                Take::Go => {
                    taken += 1;
                    limiter.accepted(now);
                }
                Take::Wait(wait) => now += wait,
            }
        }
        assert!((19..=22).contains(&taken), "{taken}");
        assert!(limiter.rate() <= 0.2);
    }

    proptest! {
        /// Whatever happens, in whatever order, with whatever clock: the rate stays within its bounds, and a caller that
        /// waits as told gets its token soon.
        #[test]
        fn stays_sane(
            learned in proptest::option::of(prop_oneof![Just(f64::NAN), -1.0..1e9]),
            seed in any::<u64>(),
            steps in proptest::collection::vec((0_u8..5, 0_u64..5_000), 0..200),
        ) {
            let mut limiter = Limiter::new(LimiterOptions { learned, cap: None, seed });
            let mut now = Duration::ZERO;
            for (what, ms) in steps {
                now += at(ms);
                match what {
                    0 => limiter.accepted(now),
                    1 => limiter.throttled(now, None),
                    2 => limiter.abandoned(now),
                    // Backwards.
                    3 => limiter.accepted(now.saturating_sub(at(ms * 2))),
                    _ => drop(limiter.try_take(now)),
                }
                prop_assert!((MIN_RATE * 0.8..=MAX_RATE).contains(&limiter.rate()), "{}", limiter.rate());
                prop_assert!(limiter.learned().is_none_or(f64::is_finite));
            }
            let begun = now;
            while let Take::Wait(wait) = limiter.try_take(now) {
                prop_assert!(wait > Duration::ZERO);
                now += wait;
            }
            prop_assert!(now - begun <= Duration::from_secs(8), "{:?}", now - begun);
        }
    }
}
