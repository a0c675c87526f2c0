//! [`ServerClock`]: the service's own time, from the `Date` of its answers.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::BeforeDeserializationInterceptorContextRef;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use jiff::Timestamp;
use tokio::time::Instant;

use crate::times;

/// How the simulator names itself in the `Server` header.
const SIMULATOR: &str = "herder-sim";

/// Estimates the service's time: the last answer's `Date` plus the monotonic time since. The local wall clock isn't
/// asked, so that it may be wrong or jump. At most about a second and the latency of one answer behind.
#[derive(Clone, Debug, Default)]
pub struct ServerClock(Arc<Mutex<Option<Reading>>>, Arc<AtomicBool>);

#[derive(Clone, Copy, Debug)]
struct Reading {
    date: Timestamp,
    seen: Instant,
}

impl Reading {
    fn at(self, now: Instant) -> Option<Timestamp> {
        self.date.checked_add(now.duration_since(self.seen)).ok()
    }
}

impl ServerClock {
    /// The estimate; `None` before the first answer.
    #[must_use]
    pub fn now(&self) -> Option<Timestamp> {
        let reading = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        reading?.at(Instant::now())
    }

    /// Whether an answer came from herder's simulator.
    pub(crate) fn saw_simulator(&self) -> bool {
        self.1.load(Ordering::Relaxed)
    }

    /// Notes an answer's `Date`. A date says only the second, so an estimate that is ahead by less than that is better
    /// than the new reading and stays.
    pub(crate) fn note(&self, date: Timestamp) {
        let now = Instant::now();
        let mut reading = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let ahead = reading.and_then(|r| r.at(now)).map(|estimate| estimate.duration_since(date));
        let keeps = ahead.is_some_and(|a| !a.is_negative() && a.unsigned_abs() < Duration::from_secs(1));
        if !keeps {
            *reading = Some(Reading { date, seen: now });
        }
    }
}

impl Intercept for ServerClock {
    fn name(&self) -> &'static str {
        "ServerClock"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(date) = context.response().headers().get("date").and_then(times::http_date) {
            self.note(date);
        }
        if context.response().headers().get("server").is_some_and(|server| server.starts_with(SIMULATOR)) {
            self.1.store(true, Ordering::Relaxed);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn goes_on_by_the_monotonic_clock_and_follows_the_service() {
        let clock = ServerClock::default();
        assert_eq!(clock.now(), None);
        clock.note(at("2026-11-21T09:30:00Z"));
        tokio::time::advance(Duration::from_millis(900)).await;
        // Still the same second at the service: the estimate stays ahead.
        clock.note(at("2026-11-21T09:30:00Z"));
        assert_eq!(clock.now(), Some(at("2026-11-21T09:30:00.9Z")));
        // The service is further on (the machine slept), then behind (another host): both are believed.
        clock.note(at("2026-11-21T10:00:00Z"));
        assert_eq!(clock.now(), Some(at("2026-11-21T10:00:00Z")));
        clock.note(at("2026-11-21T09:59:00Z"));
        assert_eq!(clock.now(), Some(at("2026-11-21T09:59:00Z")));
    }
}
