//! When files were last changed.

use std::time::{Duration, SystemTime};

/// A time, as a file has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileTime {
    /// Seconds since 1970, rounded down.
    pub seconds: i64,
    /// Nanoseconds after those; 0 where they are not known.
    pub nanos: u32,
}

impl FileTime {
    /// As `touch -t` takes it in UTC, which every `touch` does; none where its four digits for a year don't reach.
    pub(super) fn for_touch_t(self) -> Option<String> {
        let (days, second) = (self.seconds.div_euclid(86_400), self.seconds.rem_euclid(86_400));
        // Years from March on, in eras of 400 years that all have 146,097 days.
        let day = days + 719_468;
        let (era, day) = (day.div_euclid(146_097), day.rem_euclid(146_097));
        let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        let month = (5 * day + 2) / 153;
        let day = day - (153 * month + 2) / 5 + 1;
        let (year, month) = match month {
            ..=9 => (era * 400 + year, month + 3),
            _ => (era * 400 + year + 1, month - 9),
        };
        let is_writable = (1902..=9999).contains(&year);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        is_writable.then(|| format!("{year:04}{month:02}{day:02}{hour:02}{minute:02}.{second:02}"))
    }

    /// As `touch -d` takes it where that knows fractions; none before 1970, where tools don't agree.
    pub(super) fn for_touch_d(self) -> Option<String> {
        (self.seconds >= 0).then(|| format!("@{}.{:09}", self.seconds, self.nanos))
    }

    /// The digits after a second's decimal point.
    pub(super) fn nanos_of(digits: &str) -> Option<u32> {
        let is_fraction = (1..=9).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
        is_fraction.then(|| format!("{digits:0<9}").parse().ok())?
    }

    /// As the system has it; none where that can't be.
    pub(super) fn for_system(self) -> Option<SystemTime> {
        let whole = Duration::from_secs(self.seconds.unsigned_abs());
        let whole = match self.seconds {
            0.. => SystemTime::UNIX_EPOCH.checked_add(whole),
            _ => SystemTime::UNIX_EPOCH.checked_sub(whole),
        };
        whole?.checked_add(Duration::from_nanos(self.nanos.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_touch_takes_them() {
        for (seconds, text) in [
            (0, Some("197001010000.00")),
            (951_782_399, Some("200002282359.59")),
            (951_782_400, Some("200002290000.00")),
            (1_709_251_199, Some("202402292359.59")),
            (1_735_689_600, Some("202501010000.00")),
            (-1, Some("196912312359.59")),
            (253_402_300_799, Some("999912312359.59")),
            (253_402_300_800, None),
            (i64::MIN / 2, None),
        ] {
            let time = FileTime { seconds, nanos: 7 };
            assert_eq!(time.for_touch_t().as_deref(), text, "{seconds}");
            let exact = (seconds >= 0).then(|| format!("@{seconds}.000000007"));
            assert_eq!(time.for_touch_d(), exact, "{seconds}");
        }
    }

    #[test]
    fn fractions_are_read() {
        for (digits, nanos) in [
            ("5", Some(500_000_000)),
            ("000000001", Some(1)),
            ("", None),
            ("12:00:00", None),
            ("0000000001", None),
        ] {
            assert_eq!(FileTime::nanos_of(digits), nanos, "{digits:?}");
        }
        let before = FileTime { seconds: -1, nanos: 250_000_000 }.for_system().unwrap();
        assert_eq!(before + Duration::from_millis(750), SystemTime::UNIX_EPOCH);
    }
}
