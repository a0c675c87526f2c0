//! Limiters against a simulated service: token-bucket quotas, latency, several herders.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

use super::{Limiter, LimiterOptions, Take};

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

#[test]
#[ignore = "prints figures for tuning"]
fn figures() {
    for learned in [None, Some(1.0)] {
        for wants in [200, 1000] {
            for (rate, burst) in [
                (2.0, 2.0),
                (5.0, 5.0),
                (10.0, 10.0),
                (20.0, 20.0),
                (40.0, 40.0),
                (2.0, 10.0),
                (5.0, 10.0),
                (20.0, 10.0),
                (40.0, 10.0),
                (10.0, 50.0),
                (20.0, 100.0),
                (10.0, 1.0),
                (10.0, 3.0),
            ] {
                let (mut late, mut worst_late, mut share, mut worst_share) = (0.0, 0.0_f64, 0.0, 0.0_f64);
                let ideal = (wants as f64 - burst) / rate;
                for seed in 0..50 {
                    let options = LimiterOptions {
                        learned: learned.map(|x: f64| x * rate),
                        seed,
                        ..Default::default()
                    };
                    let outcome = solo(rate, burst, options, wants);
                    let l = outcome.accepted.last().unwrap().as_secs_f64() - ideal;
                    late += l / 50.0;
                    worst_late = worst_late.max(l);
                    share += outcome.throttled_share() / 50.0;
                    worst_share = worst_share.max(outcome.throttled_share());
                }
                println!(
                    "learned {learned:?} wants {wants} rate {rate} burst {burst}: ideal {ideal:.1} late {late:.2} (worst {worst_late:.2}) = {:.1}% throttled {:.1}% (worst {:.1}%)",
                    late / ideal * 100.0,
                    share * 100.0,
                    worst_share * 100.0
                );
            }
        }
    }
}

#[test]
#[ignore = "prints figures for tuning"]
fn shared_figures() {
    for (rate, burst) in [(2.0, 2.0), (10.0, 10.0), (40.0, 40.0)] {
        for second in [0, 30] {
            let (mut least, mut sum, mut used, mut share) = (1.0_f64, 0.0, 0.0, 0.0_f64);
            for seed in 0..40 {
                let mut herders = [
                    Herder::new(LimiterOptions { seed, ..Default::default() }, Duration::ZERO, 100_000),
                    Herder::new(
                        LimiterOptions { seed: seed + 1000, ..Default::default() },
                        Duration::from_secs(second),
                        100_000,
                    ),
                ];
                run(&mut Quota::new(rate, burst), &mut herders, Duration::from_secs(210));
                for (a, b) in [(30, 90), (90, 150), (150, 210)] {
                    let c: Vec<_> = herders.iter().map(|h| h.outcome.accepted_within(a, b) as f64).collect();
                    let smaller = c[0].min(c[1]) / (c[0] + c[1]);
                    least = least.min(smaller);
                    sum += smaller / 120.0;
                    used += (c[0] + c[1]) / 60.0 / rate / 120.0;
                }
                for h in &herders {
                    share = share.max(h.outcome.throttled_share());
                }
            }
            println!(
                "shared rate {rate} second at {second}: smaller share mean {sum:.2} least {least:.2} used {used:.3} worst throttled {:.1}%",
                share * 100.0
            );
        }
    }
}
