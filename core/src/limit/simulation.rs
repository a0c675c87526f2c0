//! Limiters against a simulated service: token-bucket quotas, latency, several herders.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

use super::{Limiter, LimiterOptions, Take};
use crate::tests::one_in;

const LATENCY: Duration = Duration::from_millis(120);

struct Quota {
    rate: f64,
    burst: f64,
    tokens: f64,
    at: Duration,
}

impl Quota {
    fn new(rate: f64, burst: f64) -> Quota {
        Quota { rate, burst, tokens: burst, at: Duration::ZERO }
    }

    fn take(&mut self, now: Duration) -> bool {
        let passed = now.saturating_sub(self.at).as_secs_f64();
        self.tokens = (self.tokens + passed * self.rate).min(self.burst);
        self.at = now;
        let taken = self.tokens >= 1.0;
        if taken {
            self.tokens -= 1.0;
        }
        taken
    }
}

#[derive(Debug, Default)]
struct Outcome {
    accepted: Vec<Duration>,
    throttled: usize,
    last_throttle: Duration,
}

impl Outcome {
    fn throttled_share(&self) -> f64 {
        self.throttled as f64 / (self.throttled + self.accepted.len()) as f64
    }

    fn accepted_within(&self, from: u64, to: u64) -> usize {
        let span = Duration::from_secs(from)..Duration::from_secs(to);
        self.accepted.iter().filter(|t| span.contains(t)).count()
    }
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Ask,
    Arrive,
    Answer(bool),
}

struct Herder {
    limiter: Limiter,
    starts: Duration,
    wants: usize,
    outcome: Outcome,
}

impl Herder {
    fn new(options: LimiterOptions, starts: Duration, wants: usize) -> Herder {
        Herder { limiter: Limiter::new(options), starts, wants, outcome: Outcome::default() }
    }
}

/// Runs herders against one quota until all have what they want, or `until`.
fn run(quota: &mut Quota, herders: &mut [Herder], until: Duration) {
    let mut queue = BinaryHeap::new();
    let mut waiting: Vec<usize> = herders.iter().map(|h| h.wants).collect();
    for (who, herder) in herders.iter().enumerate() {
        queue.push(Reverse((herder.starts, who, Step::Ask)));
    }
    let mut asking: VecDeque<bool> = herders.iter().map(|_| true).collect();
    while let Some(Reverse((now, who, step))) = queue.pop() {
        if now > until {
            break;
        }
        let herder = &mut herders[who];
        let local = now - herder.starts;
        match step {
            Step::Ask => match (waiting[who], herder.limiter.try_take(local)) {
                (_, Take::Wait(more)) => queue.push(Reverse((now + more, who, Step::Ask))),
                (left, Take::Go) => {
                    waiting[who] = left - 1;
                    queue.push(Reverse((now + LATENCY / 2, who, Step::Arrive)));
                    asking[who] = left > 1;
                    if left > 1 {
                        queue.push(Reverse((now, who, Step::Ask)));
                    }
                }
            },
            Step::Arrive => {
                let taken = quota.take(now);
                queue.push(Reverse((now + LATENCY / 2, who, Step::Answer(taken))));
            }
            Step::Answer(true) => {
                herder.limiter.accepted(local);
                herder.outcome.accepted.push(now);
            }
            Step::Answer(false) => {
                herder.limiter.throttled(local, None);
                herder.outcome.throttled += 1;
                herder.outcome.last_throttle = now;
                waiting[who] += 1;
                if !asking[who] {
                    asking[who] = true;
                    queue.push(Reverse((now, who, Step::Ask)));
                }
            }
        }
    }
}

fn solo(rate: f64, burst: f64, options: LimiterOptions, wants: usize) -> Outcome {
    let mut herders = [Herder::new(options, Duration::ZERO, wants)];
    run(&mut Quota::new(rate, burst), &mut herders, Duration::from_secs(3600));
    let [herder] = herders;
    assert_eq!(herder.outcome.accepted.len(), wants);
    herder.outcome
}

/// How much longer than ideal 200 calls took, in seconds, and the share that was throttled; the worst of 20 seeds.
fn worst(rate: f64, burst: f64, learned: Option<f64>) -> (f64, f64) {
    let wants = 200;
    let ideal = (wants as f64 - burst) / rate;
    (0..20).fold((0.0, 0.0), |(late, share), seed| {
        let outcome = solo(rate, burst, LimiterOptions { learned, seed, cap: None }, wants);
        let took = outcome.accepted.last().unwrap().as_secs_f64();
        (f64::max(late, took - ideal), f64::max(share, outcome.throttled_share()))
    })
}

#[test]
fn two_hundred_calls_at_the_usual_quota_from_cold() {
    let (late, share) = worst(10.0, 10.0, None);
    assert!(late <= 1.5, "{late:.2} s over the ideal 19 s");
    assert!(share <= 0.03, "{share:.3} throttled");
}

#[test]
fn other_quotas_from_cold() {
    // Rate, burst, seconds over the ideal.
    for (rate, burst, bound) in [
        (2.0, 2.0, 10.0),
        (2.0, 10.0, 5.0),
        (5.0, 5.0, 1.5),
        (5.0, 10.0, 1.5),
        (20.0, 20.0, 2.5),
        (20.0, 10.0, 2.5),
        (40.0, 40.0, 3.5),
        (40.0, 10.0, 3.5),
    ] {
        let (late, share) = worst(rate, burst, None);
        assert!(late <= bound, "{late:.2} s late at {rate}/s, burst {burst}");
        assert!(share <= 0.06, "{share:.3} throttled at {rate}/s, burst {burst}");
    }
}

#[test]
fn a_learned_rate_saves_the_search() {
    for (rate, bound) in [(2.0, 7.0), (5.0, 1.0), (10.0, 1.0), (20.0, 2.0), (40.0, 2.0)] {
        let (late, share) = worst(rate, rate, Some(rate));
        assert!(late <= bound, "{late:.2} s late at {rate}/s");
        assert!(share <= 0.03, "{share:.3} throttled at {rate}/s");
    }
}

#[test]
fn a_wrong_learned_rate_does_little_harm() {
    for learned in [1.0, 4.0, 40.0] {
        let (late, share) = worst(10.0, 10.0, Some(learned));
        assert!(late <= 16.0, "learned {learned}: {late:.2} s late");
        assert!(share <= 0.08, "learned {learned}: {share:.3} throttled");
    }
}

#[test]
fn a_long_run_uses_the_quota() {
    for rate in [2.0, 5.0, 10.0, 20.0, 40.0] {
        let wants = (rate * 300.0) as usize;
        let outcome = solo(rate, rate, LimiterOptions::default(), wants);
        let used = outcome.accepted_within(30, 270) as f64 / 240.0 / rate;
        assert!(used >= 0.9, "{used:.3} of {rate}/s used");
        assert!(outcome.throttled_share() <= 0.05, "{:.3} throttled at {rate}/s", outcome.throttled_share());
    }
}

#[test]
fn two_herders_share_a_quota() {
    // Rate, when the second starts, share of throttled attempts at most.
    for (rate, second, throttled) in
        [(10.0, 0, 0.05), (10.0, 30, 0.05), (40.0, 0, 0.03), (40.0, 30, 0.03), (2.0, 30, 0.2)]
            .into_iter()
            .step_by(one_in(4))
    {
        let (mut fairness, mut used) = (0.0, 0.0);
        let seeds = 20;
        for seed in 0..seeds {
            let options = |seed| LimiterOptions { seed, ..LimiterOptions::default() };
            let mut herders = [
                Herder::new(options(seed), Duration::ZERO, 100_000),
                Herder::new(options(seed + 1000), Duration::from_secs(second), 100_000),
            ];
            run(&mut Quota::new(rate, rate), &mut herders, Duration::from_secs(210));
            let [one, two] =
                herders.map(|h| (h.outcome.accepted_within(60, 210), h.outcome.throttled_share()));
            let sum = one.0 + two.0;
            fairness += one.0.min(two.0) as f64 / sum as f64 / seeds as f64;
            used += sum as f64 / 150.0 / rate / seeds as f64;
            assert!(one.1.max(two.1) <= throttled, "{:.3}, {:.3} throttled at {rate}/s", one.1, two.1);
        }
        assert!(fairness >= 0.3, "the slower got {fairness:.2} of {rate}/s");
        assert!(used >= 0.9, "{used:.3} of {rate}/s used");
    }
}

#[test]
fn a_herder_that_is_left_alone_takes_over_what_is_free() {
    let mut herders = [
        Herder::new(LimiterOptions { seed: 1, ..LimiterOptions::default() }, Duration::ZERO, 100_000),
        Herder::new(LimiterOptions { seed: 2, ..LimiterOptions::default() }, Duration::ZERO, 400),
    ];
    run(&mut Quota::new(10.0, 10.0), &mut herders, Duration::from_secs(240));
    let [one, two] = herders;
    let ended = two.outcome.accepted.last().unwrap().as_secs();
    assert!(ended < 150, "the other ended after {ended} s");
    let alone = one.outcome.accepted_within(ended + 40, ended + 80) as f64 / 40.0;
    assert!(alone >= 9.0, "{alone:.1} calls a second of 10");
}
