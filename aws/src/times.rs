//! The SDK's times as `jiff`'s.

use std::str::FromStr;

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use jiff::{Timestamp, Unit};

/// A time of the SDK, in whole milliseconds: JSON has seconds as a number with a fraction, and what is behind the third digit is what
/// binary fractions make of it. `None` where it is out of `jiff`'s range.
pub(crate) fn timestamp(time: &DateTime) -> Option<Timestamp> {
    Timestamp::new(time.secs(), i32::try_from(time.subsec_nanos()).ok()?).ok()?.round(Unit::Millisecond).ok()
}

/// An optional time of the SDK.
pub(crate) fn optional(time: Option<&DateTime>) -> Option<Timestamp> {
    time.and_then(timestamp)
}

/// A time that the service sends as text; empty (and anything that is no time) is `None`.
pub(crate) fn text(time: Option<&str>) -> Option<Timestamp> {
    Timestamp::from_str(time?.trim()).ok()
}

/// An HTTP date: `Sat, 21 Nov 2026 09:30:00 GMT`.
pub(crate) fn http_date(text: &str) -> Option<Timestamp> {
    timestamp(&DateTime::from_str(text, Format::HttpDate).ok()?)
}

/// Whole seconds in UTC, as filters want them: `2026-11-21T09:30:00Z`.
pub(crate) fn filter_text(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_convert() {
        let at: Timestamp = "2026-11-21T09:30:00.25Z".parse().unwrap();
        assert_eq!(timestamp(&DateTime::from_secs_f64(at.as_millisecond() as f64 / 1000.0)), Some(at));
        let noisy = timestamp(&DateTime::from_secs_f64(1_795_344_172.66)).unwrap();
        assert_eq!(noisy.to_string(), "2026-11-22T10:42:52.66Z");
        assert_eq!(timestamp(&DateTime::from_secs(i64::MAX)), None);
        assert_eq!(text(Some("2026-11-21T09:30:00.25Z")), Some(at));
        assert_eq!((text(Some("")), text(Some("soon")), text(None)), (None, None, None));
        assert_eq!(http_date("Sat, 21 Nov 2026 09:30:00 GMT").unwrap().to_string(), "2026-11-21T09:30:00Z");
        assert_eq!(filter_text(at), "2026-11-21T09:30:00Z");
    }
}
