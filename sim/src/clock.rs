//! Time: microseconds since 1970, the one place that reads the wall clock, and the forms in which AWS prints it.

use std::ops::{Add, Sub};
use std::time::Duration;

/// A moment, in microseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct At(pub(crate) i64);

impl At {
    /// Later than everything that can happen.
    pub(crate) const NEVER: At = At(i64::MAX);

    /// Reads the host's clock.
    #[expect(clippy::disallowed_methods, reason = "the simulator's only look at the clock")]
    pub(crate) fn now() -> At {
        At(jiff::Timestamp::now().as_microsecond())
    }

    pub(crate) fn plus_seconds(self, seconds: f64) -> At {
        At(self.0.saturating_add((seconds * 1e6) as i64))
    }

    /// Seconds from `earlier` to this moment; negative when it is later.
    pub(crate) fn seconds_since(self, earlier: At) -> f64 {
        self.0.saturating_sub(earlier.0) as f64 / 1e6
    }

    /// Seconds since 1970 with milliseconds, as awsJson prints times.
    pub(crate) fn epoch_seconds(self) -> f64 {
        (self.0.div_euclid(1000)) as f64 / 1000.0
    }

    /// `2026-05-01T12:00:00.123Z`
    pub(crate) fn rfc3339_millis(self) -> String {
        self.format("%Y-%m-%dT%H:%M:%S%.3fZ")
    }

    /// `2026-05-01T12:00:00Z`
    pub(crate) fn rfc3339_seconds(self) -> String {
        self.format("%Y-%m-%dT%H:%M:%SZ")
    }

    /// `Fri, 01 May 2026 12:00:00 GMT`
    pub(crate) fn http_date(self) -> String {
        self.format("%a, %d %b %Y %H:%M:%S GMT")
    }

    /// Formats the moment in UTC with a strftime pattern; one that is not valid is given back.
    pub(crate) fn format(self, pattern: &str) -> String {
        let stamp = jiff::Timestamp::from_microsecond(self.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        let zoned = stamp.to_zoned(jiff::tz::TimeZone::UTC);
        jiff::fmt::strtime::format(pattern, &zoned).unwrap_or_else(|_| pattern.to_owned())
    }

    /// Reads an RFC 3339 time.
    pub(crate) fn parse(text: &str) -> Option<At> {
        text.parse::<jiff::Timestamp>().ok().map(|stamp| At(stamp.as_microsecond()))
    }

    /// Drops everything below a second.
    pub(crate) fn floor_second(self) -> At {
        At(self.0.div_euclid(1_000_000) * 1_000_000)
    }
}

impl Add<Duration> for At {
    type Output = At;
    fn add(self, by: Duration) -> At {
        At(self.0.saturating_add(i64::try_from(by.as_micros()).unwrap_or(i64::MAX)))
    }
}

impl Sub<Duration> for At {
    type Output = At;
    fn sub(self, by: Duration) -> At {
        At(self.0.saturating_sub(i64::try_from(by.as_micros()).unwrap_or(i64::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_printed_as_aws_prints_them() {
        let at = At(1_777_636_800_123_456);
        assert_eq!(at.rfc3339_millis(), "2026-05-01T12:00:00.123Z");
        assert_eq!(at.rfc3339_seconds(), "2026-05-01T12:00:00Z");
        assert_eq!(at.http_date(), "Fri, 01 May 2026 12:00:00 GMT");
        assert_eq!(at.epoch_seconds(), 1_777_636_800.123);
        assert_eq!(At::parse("2026-05-01T12:00:00.123Z"), Some(At(1_777_636_800_123_000)));
        assert_eq!(at.floor_second(), At(1_777_636_800_000_000));
    }
}
