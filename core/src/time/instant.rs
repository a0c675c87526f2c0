//! Instants: `now`, `-2h`, `2h ago`, `09:30`, `2026-11-21 09:30`, RFC 3339.

use jiff::civil::{Date, DateTime, Time};
use jiff::{SignedDuration, Timestamp, Zoned};

use super::{Bounds, DurationError, parse_duration};

/// The text isn't an instant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InstantError {
    /// Nothing that is known.
    #[error("`{0}` is not a time (like now, -2h, 09:30, 2026-11-21T09:30:00Z)")]
    Shape(String),
    /// A duration without a sign.
    #[error("`{0}` is a duration; did you mean `-{0}`?")]
    Unsigned(String),
    /// A duration that can't be read.
    #[error(transparent)]
    Duration(#[from] DurationError),
    /// Before or after any calendar.
    #[error("`{0}` is out of range")]
    Range(String),
}

/// Reads an instant. Times without an offset are local, in the zone of `now`; `HH:MM` is the latest one that is past.
///
/// # Errors
/// It isn't one.
pub fn parse_instant(text: &str, now: &Zoned) -> Result<Timestamp, InstantError> {
    let text = text.trim();
    let range = || InstantError::Range(text.to_owned());
    if text.eq_ignore_ascii_case("now") {
        return Ok(now.timestamp());
    }
    if let Some(back) = text.strip_prefix('-').or_else(|| text.strip_suffix(" ago")) {
        let back = parse_duration(back, Bounds::ANY)?;
        let back = SignedDuration::try_from(back).map_err(|_| range())?;
        return now.timestamp().checked_sub(back).map_err(|_| range());
    }
    if let Ok(timestamp) = text.parse::<Timestamp>() {
        return Ok(timestamp);
    }
    let local =
        |at: DateTime| at.to_zoned(now.time_zone().clone()).map(|z| z.timestamp()).map_err(|_| range());
    if is_clock(text) {
        let time: Time = text.parse().map_err(|_| InstantError::Shape(text.to_owned()))?;
        let today = local(now.date().to_datetime(time))?;
        if today <= now.timestamp() {
            return Ok(today);
        }
        return local(now.date().yesterday().map_err(|_| range())?.to_datetime(time));
    }
    // A bare number would be read as a year.
    if text.chars().filter(|c| *c == '-').count() == 2 && text.starts_with(|c: char| c.is_ascii_digit()) {
        if let Ok(at) = text.parse::<DateTime>() {
            return local(at);
        }
        if let Ok(date) = text.parse::<Date>() {
            return local(date.to_datetime(Time::midnight()));
        }
    }
    match parse_duration(text, Bounds::ANY) {
        Ok(_) => Err(InstantError::Unsigned(text.to_owned())),
        Err(_) => Err(InstantError::Shape(text.to_owned())),
    }
}

/// `9:30`, `09:30` or `09:30:00`; the first without its zero is refused later.
fn is_clock(text: &str) -> bool {
    text.len() >= 5
        && text.len() <= 8
        && text.contains(':')
        && text.chars().all(|c| c.is_ascii_digit() || c == ':')
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::tz::{Offset, TimeZone};
    use proptest::prelude::*;

    fn now() -> Zoned {
        "2026-11-21T09:30:00Z".parse::<Timestamp>().unwrap().to_zoned(TimeZone::fixed(Offset::constant(1)))
    }

    #[test]
    fn reads() {
        for (text, utc) in [
            ("now", "2026-11-21T09:30:00Z"),
            ("-2h", "2026-11-21T07:30:00Z"),
            ("1h30m ago", "2026-11-21T08:00:00Z"),
            ("2026-11-20T00:00:00+02:00", "2026-11-19T22:00:00Z"),
            ("2026-11-20T12:00:00Z", "2026-11-20T12:00:00Z"),
            ("10:30", "2026-11-21T09:30:00Z"),
            ("10:31", "2026-11-20T09:31:00Z"),
            ("00:00:30", "2026-11-20T23:00:30Z"),
            ("2026-11-20 12:00", "2026-11-20T11:00:00Z"),
            ("2026-11-20T12:00:01.5", "2026-11-20T11:00:01.5Z"),
            ("2026-11-20", "2026-11-19T23:00:00Z"),
        ] {
            assert_eq!(parse_instant(text, &now()).unwrap().to_string(), utc, "{text}");
        }
    }

    #[test]
    fn refuses() {
        let error = |text: &str| parse_instant(text, &now()).unwrap_err().to_string();
        assert_eq!(error("2h"), "`2h` is a duration; did you mean `-2h`?");
        assert_eq!(error("-2"), "`2` has no unit; did you mean `2s`?");
        assert_eq!(error("soon"), "`soon` is not a time (like now, -2h, 09:30, 2026-11-21T09:30:00Z)");
        for wrong in ["", "25:00", "2026", "1732181400", "2026-13-01", "20261121", "12:00:61"] {
            assert!(parse_instant(wrong, &now()).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in "[0-9:TZ+ -]{0,20}|\\PC{0,8}( ago)?") {
            let _ = parse_instant(&text, &now());
        }
    }
}
