//! Durations: `500ms`, `90s`, `5m`, `1h30m`, `2d`.

use std::fmt::Write as _;
use std::time::Duration;

/// The units, biggest first.
const UNITS: [(&str, u64); 6] =
    [("w", 604_800_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// What a duration may be, ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The shortest.
    pub min: Duration,
    /// The longest.
    pub max: Duration,
}

impl Bounds {
    /// Anything that is not absurd: up to ten years.
    pub const ANY: Bounds = Bounds { min: Duration::ZERO, max: Duration::from_secs(315_360_000) };
}

/// The text isn't a duration, or not one that is allowed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// A bare number.
    #[error("`{0}` has no unit; did you mean `{0}s`?")]
    NoUnit(String),
    /// A unit that there isn't.
    #[error("`{unit}` in `{text}` is not a unit (w, d, h, m, s, ms)")]
    Unit {
        /// The whole text.
        text: String,
        /// The part.
        unit: String,
    },
    /// Units twice or in the wrong order.
    #[error("the units of `{0}` are not in order (like 1h30m)")]
    Order(String),
    /// Anything else.
    #[error("`{0}` is not a duration (like 500ms, 90s, 5m, 1h30m or 2d)")]
    Shape(String),
    /// Too short.
    #[error("`{text}` is too short; at least {least} is needed")]
    TooShort {
        /// The whole text.
        text: String,
        /// What is allowed.
        least: String,
    },
    /// Too long.
    #[error("`{text}` is too long; at most {most} is allowed")]
    TooLong {
        /// The whole text.
        text: String,
        /// What is allowed.
        most: String,
    },
}

/// Reads numbers with units, biggest unit first; the last number may have a fraction (`1.5h`).
///
/// # Errors
/// It isn't one, or lies outside of the bounds.
pub fn parse_duration(text: &str, bounds: Bounds) -> Result<Duration, DurationError> {
    let shape = || DurationError::Shape(text.to_owned());
    let mut rest = text.trim();
    if !rest.is_empty() && rest.chars().all(|c| c.is_ascii_digit() || c == '.') {
        return Err(DurationError::NoUnit(rest.to_owned()));
    }
    let (mut millis, mut next_unit) = (0_u64, 0);
    while !rest.is_empty() {
        let (number, after) = take_while(rest, |c| c.is_ascii_digit() || c == '.');
        let (unit, after) = take_while(after, |c| !c.is_ascii_digit() && c != '.');
        if number.is_empty() {
            return Err(shape());
        }
        let place = UNITS.iter().position(|(name, _)| *name == unit);
        let Some((place, size)) = place.and_then(|p| UNITS.get(p).map(|(_, size)| (p, *size))) else {
            return Err(match unit {
                "" => shape(),
                unit => DurationError::Unit { text: text.to_owned(), unit: unit.to_owned() },
            });
        };
        if place < next_unit {
            return Err(DurationError::Order(text.to_owned()));
        }
        next_unit = place + 1;
        let part = amount(number, size, after.is_empty()).ok_or_else(shape)?;
        millis = millis.saturating_add(part);
        rest = after;
    }
    if next_unit == 0 {
        return Err(shape());
    }
    within(text, Duration::from_millis(millis), bounds)
}

fn take_while(text: &str, keep: impl Fn(char) -> bool) -> (&str, &str) {
    let end = text.find(|c| !keep(c)).unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}

/// Milliseconds; saturates where the number is beyond any bound.
fn amount(number: &str, size: u64, is_last: bool) -> Option<u64> {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    if !digits(whole) || !digits(fraction) || (number.contains('.') && !is_last) || fraction.len() > 6 {
        return None;
    }
    let whole = whole.parse().unwrap_or(u64::MAX).saturating_mul(size);
    let scale = 10_u64.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    Some(whole.saturating_add(fraction.parse::<u64>().ok()?.saturating_mul(size) / scale))
}

fn within(text: &str, duration: Duration, bounds: Bounds) -> Result<Duration, DurationError> {
    let text = || text.trim().to_owned();
    if duration < bounds.min {
        Err(DurationError::TooShort { text: text(), least: written(bounds.min) })
    } else if duration > bounds.max {
        Err(DurationError::TooLong { text: text(), most: written(bounds.max) })
    } else {
        Ok(duration)
    }
}

/// As [`parse_duration`] reads it back, to the millisecond: `1h30m`, `0s`.
#[must_use]
pub fn written(duration: Duration) -> String {
    let mut left = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let mut out = String::new();
    // Weeks are read but not written: "14d" says more than "2w".
    for (name, size) in UNITS.into_iter().skip(1) {
        if left >= size {
            // Writing to a string can't fail.
            let _ = write!(out, "{}{name}", left / size);
            left %= size;
        }
    }
    if out.is_empty() { "0s".to_owned() } else { out }
}

/// For reading at a glance, two units at most: `850ms`, `4.2s`, `42s`, `1m 05s`, `2h 03m`, `3d 04h`.
#[must_use]
pub fn for_people(duration: Duration) -> String {
    let millis = duration.as_millis();
    let tenths = (millis + 50) / 100;
    let seconds = (millis + 500) / 1000;
    match () {
        () if millis < 1_000 => format!("{millis}ms"),
        () if tenths < 100 => format!("{}.{}s", tenths / 10, tenths % 10),
        () if seconds < 60 => format!("{seconds}s"),
        () if seconds < 3_600 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        () if seconds < 86_400 => format!("{}h {:02}m", seconds / 3_600, seconds / 60 % 60),
        () => format!("{}d {:02}h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn millis(text: &str) -> u128 {
        parse_duration(text, Bounds::ANY).unwrap_or_else(|e| panic!("{e}")).as_millis()
    }

    fn error(text: &str) -> String {
        let bounds = Bounds { min: Duration::from_secs(30), max: Duration::from_secs(172_800) };
        parse_duration(text, bounds).unwrap_err().to_string()
    }

    #[test]
    fn reads() {
        assert_eq!(
            [millis("90s"), millis("5m"), millis("1h30m"), millis("2d"), millis("500ms")],
            [90_000, 300_000, 5_400_000, 172_800_000, 500]
        );
        assert_eq!(
            [millis("1.5h"), millis("1w"), millis("0s"), millis(" 1m0.25s ")],
            [5_400_000, 604_800_000, 0, 60_250]
        );
    }

    #[test]
    fn refuses() {
        assert_eq!(error("90"), "`90` has no unit; did you mean `90s`?");
        assert_eq!(error("5min"), "`min` in `5min` is not a unit (w, d, h, m, s, ms)");
        assert_eq!(error("30m1h"), "the units of `30m1h` are not in order (like 1h30m)");
        assert_eq!(error("1m1m"), "the units of `1m1m` are not in order (like 1h30m)");
        assert_eq!(error("5s"), "`5s` is too short; at least 30s is needed");
        assert_eq!(error("3d"), "`3d` is too long; at most 2d is allowed");
        assert_eq!(
            error("99999999999999999999999w"),
            "`99999999999999999999999w` is too long; at most 2d is allowed"
        );
        for shape in ["", "-5m", "s", "1.5h30m", "5 m", "1..5s", ".5s"] {
            assert!(parse_duration(shape, Bounds::ANY).is_err(), "{shape}");
        }
    }

    #[test]
    fn people_read() {
        let show = |ms| for_people(Duration::from_millis(ms));
        let all =
            [0, 850, 999, 4_249, 9_949, 9_951, 42_000, 59_600, 65_000, 3_599_600, 7_380_000, 273_600_000];
        assert_eq!(
            all.map(show),
            [
                "0ms", "850ms", "999ms", "4.2s", "9.9s", "10s", "42s", "1m 00s", "1m 05s", "1h 00m",
                "2h 03m", "3d 04h"
            ]
        );
    }

    proptest! {
        #[test]
        fn round_trip(ms in 0_u64..315_360_000_000) {
            prop_assert_eq!(millis(&written(Duration::from_millis(ms))), u128::from(ms));
        }

        #[test]
        fn never_panics(text in "[0-9.wdhms -]{0,12}|\\PC{0,6}") {
            let _ = parse_duration(&text, Bounds::ANY);
        }
    }
}
