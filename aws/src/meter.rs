//! [`Meter`]: every call's way through its quota.
//!
//! A call waits for a token of its API's limiter, in the order of arrival; a throttle goes back to the limiter and the
//! call goes again, ahead of those who wait. What is safe to repeat is repeated here and nowhere else:
//!
//! | failure | reads | changes |
//! |---|---|---|
//! | throttled | until it works, at most 5 minutes without any success | the same |
//! | never left (connect phase) | 3 attempts | 3 attempts |
//! | no usable answer | 3 attempts | never: it may have taken effect |
//! | wrong clock | once more, with the service's time | the same |
//! | anything else | no | no |

use std::collections::HashMap;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use herder_core::limit::{LearnedRates, LimitKey, Limiter, LimiterOptions, Loaded, Saved, Take};
use jiff::Timestamp;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tokio::time::Instant;

use crate::error::{CallError, CallErrorKind};

/// Attempts at a call that fails in a way that is safe to repeat.
const ATTEMPTS: u32 = 3;
/// A quota that lets nothing through for this long is given up.
const STARVED: Duration = Duration::from_secs(300);
/// Throttle notices of one quota are this far apart.
const NOTICE_EVERY: Duration = Duration::from_secs(1);

type Observer = Arc<dyn Fn(ThrottleNotice) + Send + Sync>;

/// What a meter is made with.
#[derive(Clone, Default)]
pub struct MeterOptions {
    /// The file of learned rates; without it nothing is read or kept (a simulator's rates are nobody else's).
    pub learned: Option<PathBuf>,
    /// The wall clock, to fade learned rates. Without it they count as fresh.
    pub now: Option<Timestamp>,
    /// Seed of the jitter.
    pub seed: u64,
    /// Told of throttles, at most once a second for each quota. Must not block.
    pub on_throttle: Option<Observer>,
}

impl fmt::Debug for MeterOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MeterOptions").field("learned", &self.learned).finish_non_exhaustive()
    }
}

/// AWS throttled; the limiter has adapted.
#[derive(Clone, Debug, PartialEq)]
pub struct ThrottleNotice {
    /// Whose quota.
    pub key: LimitKey,
    /// Calls a second from now on.
    pub rate: f64,
    /// Throttled attempts of this quota so far.
    pub throttled: u64,
}

/// What happened at one API so far.
#[derive(Clone, Debug, PartialEq)]
pub struct ApiCount {
    /// Whose quota.
    pub key: LimitKey,
    /// Calls that succeeded.
    pub accepted: u64,
    /// Attempts that were throttled.
    pub throttled: u64,
    /// Attempts that failed otherwise.
    pub failed: u64,
    /// Calls a second let through now.
    pub rate: f64,
}

/// The sums of all APIs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Calls that succeeded.
    pub accepted: u64,
    /// Attempts that were throttled.
    pub throttled: u64,
    /// Attempts that failed otherwise.
    pub failed: u64,
}

/// The limiters and counts of all scopes of one process.
#[derive(Debug)]
pub struct Meter {
    options: MeterOptions,
    origin: Mutex<Option<Instant>>,
    learned: LearnedRates,
    loaded: Loaded,
    lanes: Mutex<HashMap<LimitKey, Arc<Lane>>>,
}

impl Meter {
    /// Makes a meter; reads the learned rates.
    #[must_use]
    pub fn new(options: MeterOptions) -> Meter {
        let (learned, loaded) = match &options.learned {
            Some(path) => LearnedRates::load(path),
            None => (LearnedRates::default(), Loaded::Absent),
        };
        Meter { options, origin: Mutex::new(None), learned, loaded, lanes: Mutex::new(HashMap::new()) }
    }

    /// How the learned rates were read, for a warning.
    #[must_use]
    pub fn loaded(&self) -> &Loaded {
        &self.loaded
    }

    /// Keeps what was learned for the next run. Blocks for the time of a small file; nothing where no file was given.
    ///
    /// # Errors
    /// The file or its lock can't be written.
    pub fn save(&self, now: Timestamp) -> io::Result<Option<Saved>> {
        let Some(path) = &self.options.learned else { return Ok(None) };
        let mut found = LearnedRates::default();
        for (key, lane) in locked(&self.lanes).iter() {
            if let Some(rate) = locked(&lane.limiter).learned() {
                found.learn(key.clone(), rate, now);
            }
        }
        found.save(path, now).map(Some)
    }

    /// What happened, by quota, sorted.
    #[must_use]
    pub fn counts(&self) -> Vec<ApiCount> {
        let mut counts: Vec<_> = locked(&self.lanes).values().map(|lane| lane.count()).collect();
        counts.sort_by(|a, b| a.key.cmp(&b.key));
        counts
    }

    /// What happened, all together.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.counts().iter().fold(Totals::default(), |sum, c| Totals {
            accepted: sum.accepted + c.accepted,
            throttled: sum.throttled + c.throttled,
            failed: sum.failed + c.failed,
        })
    }

    /// Calls a second that a quota lets through now; `None` where it was never used.
    #[must_use]
    pub fn rate(&self, key: &LimitKey) -> Option<f64> {
        let lane = locked(&self.lanes).get(key).cloned()?;
        Some(locked(&lane.limiter).rate())
    }

    /// Makes a call: waits for its quota, attempts, repeats what is safe to repeat.
    pub(crate) async fn run<T, A, F>(
        &self,
        key: &LimitKey,
        mutates: bool,
        mut attempt: A,
    ) -> Result<T, CallError>
    where
        A: FnMut() -> F,
        F: Future<Output = Result<T, CallError>>,
    {
        let lane = self.lane(key);
        let (mut ahead, mut tries, mut skewed) = (false, 0, false);
        let begun = Instant::now();
        loop {
            let ticket = lane.ticket(ahead).await;
            let error = match attempt().await {
                Ok(answer) => {
                    ticket.accepted();
                    lane.accepted.fetch_add(1, Ordering::Relaxed);
                    return Ok(answer);
                }
                Err(error) => error,
            };
            match error.kind {
                CallErrorKind::Throttled => {
                    ticket.throttled(error.retry_after);
                    self.notice(&lane);
                    if lane.starved_since(begun) {
                        return Err(error);
                    }
                    ahead = true;
                    continue;
                }
                CallErrorKind::Unreachable | CallErrorKind::Lost => drop(ticket),
                _ => ticket.accepted(),
            }
            lane.failed.fetch_add(1, Ordering::Relaxed);
            let wait = match error.kind {
                CallErrorKind::ClockSkew if !skewed => {
                    skewed = true;
                    Duration::ZERO
                }
                CallErrorKind::Unreachable if tries + 1 < ATTEMPTS => lane.back_off(&mut tries),
                CallErrorKind::Lost if !mutates && tries + 1 < ATTEMPTS => lane.back_off(&mut tries),
                _ => return Err(error),
            };
            tokio::time::sleep(wait.max(error.retry_after.unwrap_or_default().min(STARVED))).await;
        }
    }

    /// Waits for a place in a quota, for a call that is made later with [`Meter::attempt`].
    pub(crate) async fn reserve(&self, key: &LimitKey) -> Ticket {
        self.lane(key).ticket(false).await
    }

    /// Makes one attempt in a place that was waited for. Nothing is repeated, not even a throttle.
    pub(crate) async fn attempt<T>(
        &self,
        ticket: Ticket,
        attempt: impl Future<Output = Result<T, CallError>>,
    ) -> Result<T, CallError> {
        let lane = Arc::clone(&ticket.lane);
        let answer = attempt.await;
        match &answer {
            Ok(_) => {
                ticket.accepted();
                lane.accepted.fetch_add(1, Ordering::Relaxed);
                return answer;
            }
            Err(error) => match error.kind {
                CallErrorKind::Throttled => {
                    ticket.throttled(error.retry_after);
                    self.notice(&lane);
                    return answer;
                }
                CallErrorKind::Unreachable | CallErrorKind::Lost => drop(ticket),
                _ => ticket.accepted(),
            },
        }
        lane.failed.fetch_add(1, Ordering::Relaxed);
        answer
    }

    fn lane(&self, key: &LimitKey) -> Arc<Lane> {
        let mut lanes = locked(&self.lanes);
        if let Some(lane) = lanes.get(key) {
            return Arc::clone(lane);
        }
        let mut hasher = DefaultHasher::new();
        (self.options.seed, key).hash(&mut hasher);
        let seed = hasher.finish();
        let now = self.options.now.unwrap_or(Timestamp::UNIX_EPOCH);
        let learned = self.learned.rate(key, now).or_else(|| published(key));
        let origin = *locked(&self.origin).get_or_insert_with(Instant::now);
        let cap = Some(S3_RATE).filter(|_| is_s3(key));
        let lane = Arc::new(Lane::new(key.clone(), LimiterOptions { learned, cap, seed }, origin));
        lanes.insert(key.clone(), Arc::clone(&lane));
        lane
    }

    fn notice(&self, lane: &Lane) {
        let throttled = lane.throttled.fetch_add(1, Ordering::Relaxed) + 1;
        let Some(observer) = &self.options.on_throttle else { return };
        let now = Instant::now();
        let mut last = locked(&lane.noticed);
        if last.is_some_and(|at| now.duration_since(at) < NOTICE_EVERY) {
            return;
        }
        *last = Some(now);
        drop(last);
        let rate = locked(&lane.limiter).rate();
        observer(ThrottleNotice { key: lane.key.clone(), rate, throttled });
    }
}

/// Of the 5,500 reads a second that S3 takes below one prefix, so many.
const S3_RATE: f64 = 500.0;

fn is_s3(key: &LimitKey) -> bool {
    matches!(key.api.as_str(), "GetObject" | "ListObjectsV2" | "HeadBucket")
}

/// Rates that AWS publishes (facts §4.5): of EC2, 20/s for calls that change nothing and page or filter; of S3, thousands;
/// of CloudWatch Logs, 5/s. Systems Manager publishes none.
fn published(key: &LimitKey) -> Option<f64> {
    match key.api.as_ref() {
        "DescribeInstances" => Some(20.0),
        _ if is_s3(key) => Some(S3_RATE),
        "FilterLogEvents" => Some(5.0),
        _ => None,
    }
}

/// One quota's limiter and its queue.
#[derive(Debug)]
struct Lane {
    key: LimitKey,
    origin: Instant,
    limiter: Mutex<Limiter>,
    /// Newcomers queue here, in order; only the first of them goes on to `gate`.
    queue: tokio::sync::Mutex<()>,
    /// Whoever holds it is next. Repeated attempts come here directly, ahead of the queue.
    gate: tokio::sync::Mutex<()>,
    accepted: AtomicU64,
    throttled: AtomicU64,
    failed: AtomicU64,
    last_success: Mutex<Option<Instant>>,
    noticed: Mutex<Option<Instant>>,
    jitter: Mutex<SmallRng>,
}

impl Lane {
    fn new(key: LimitKey, options: LimiterOptions, origin: Instant) -> Lane {
        Lane {
            key,
            origin,
            limiter: Mutex::new(Limiter::new(options)),
            queue: tokio::sync::Mutex::new(()),
            gate: tokio::sync::Mutex::new(()),
            accepted: AtomicU64::new(0),
            throttled: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            last_success: Mutex::new(None),
            noticed: Mutex::new(None),
            jitter: Mutex::new(SmallRng::seed_from_u64(options.seed.rotate_left(32))),
        }
    }

    fn now(&self) -> Duration {
        Instant::now().duration_since(self.origin)
    }

    /// Waits for a token. Only the first in line sleeps; the others wait for a lock.
    async fn ticket(self: &Arc<Lane>, ahead: bool) -> Ticket {
        let queued = if ahead { None } else { Some(self.queue.lock().await) };
        let gate = self.gate.lock().await;
        loop {
            let take = locked(&self.limiter).try_take(self.now());
            match take {
                Take::Go => break,
                // Tokio's timer counts milliseconds: a shorter sleep would only spin.
                Take::Wait(wait) => tokio::time::sleep(wait.max(Duration::from_millis(1))).await,
            }
        }
        drop(gate);
        drop(queued);
        Ticket { lane: Arc::clone(self), told: false }
    }

    fn starved_since(&self, begun: Instant) -> bool {
        let last = locked(&self.last_success).map_or(begun, |at| at.max(begun));
        Instant::now().duration_since(last) >= STARVED
    }

    /// 0.25–0.5 s, then 0.5–1 s.
    fn back_off(&self, tries: &mut u32) -> Duration {
        let most = 0.5 * f64::from(1_u32 << (*tries).min(4));
        *tries += 1;
        Duration::from_secs_f64(most * locked(&self.jitter).random_range(0.5..1.0))
    }

    fn count(&self) -> ApiCount {
        ApiCount {
            key: self.key.clone(),
            accepted: self.accepted.load(Ordering::Relaxed),
            throttled: self.throttled.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            rate: locked(&self.limiter).rate(),
        }
    }
}

/// A token in use. Dropped without an outcome (the call was cancelled or lost) it says nothing about the quota.
#[derive(Debug)]
pub(crate) struct Ticket {
    lane: Arc<Lane>,
    told: bool,
}

impl Ticket {
    fn accepted(mut self) {
        self.told = true;
        locked(&self.lane.limiter).accepted(self.lane.now());
        *locked(&self.lane.last_success) = Some(Instant::now());
    }

    fn throttled(mut self, retry_after: Option<Duration>) {
        self.told = true;
        locked(&self.lane.limiter).throttled(self.lane.now(), retry_after);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.told {
            locked(&self.lane.limiter).abandoned(self.lane.now());
        }
    }
}

/// A lock of plain data: what a panicking holder left is still usable.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
