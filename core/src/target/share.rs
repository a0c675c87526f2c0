//! [`Share`]: `N` or `N%` of a run's targets, as `--concurrency`, `--max-errors`, `--waves` and `--sample` take it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A count, or a percentage of all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Share {
    /// So many.
    Count(u64),
    /// So many hundredths of a percent, 0 to 10,000.
    Percent(u16),
}

/// The text isn't a share.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShareError {
    /// Neither number nor percentage.
    #[error("`{0}` is neither a count nor a percentage (like 50, 10% or 0.5%)")]
    Shape(String),
    /// Over 100%.
    #[error("`{0}` is more than 100%")]
    TooMuch(String),
    /// Finer than a hundredth of a percent.
    #[error("`{0}` is finer than a hundredth of a percent")]
    TooFine(String),
}

impl Share {
    /// The whole.
    pub const ALL: Share = Share::Percent(10_000);

    /// How many of `total` that is; percentages are rounded down. A count may be more than there are.
    #[must_use]
    pub fn of(self, total: u64) -> u64 {
        match self {
            Share::Count(count) => count,
            Share::Percent(hundredths) => {
                let part = u128::from(total) * u128::from(hundredths) / 10_000;
                u64::try_from(part).unwrap_or(total)
            }
        }
    }

    /// The same, but at least 1: a limit of none would never end.
    #[must_use]
    pub fn at_least_one_of(self, total: u64) -> u64 {
        self.of(total).max(1)
    }

    /// Whether it is `0` or `0%`.
    #[must_use]
    pub fn is_zero(self) -> bool {
        matches!(self, Share::Count(0) | Share::Percent(0))
    }
}

impl FromStr for Share {
    type Err = ShareError;

    fn from_str(text: &str) -> Result<Share, ShareError> {
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        let shape = || ShareError::Shape(text.to_owned());
        let Some(number) = text.strip_suffix('%') else {
            let count = digits(text).then(|| text.parse().ok()).flatten();
            return count.map(Share::Count).ok_or_else(shape);
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
        if !digits(whole) || !digits(fraction) {
            return Err(shape());
        }
        let fraction = fraction.trim_end_matches('0');
        if fraction.len() > 2 {
            return Err(ShareError::TooFine(text.to_owned()));
        }
        let too_much = || ShareError::TooMuch(text.to_owned());
        let hundredths: u16 = format!("{fraction:0<2}").parse().map_err(|_| shape())?;
        let whole: u16 = whole.parse().map_err(|_| too_much())?;
        let all = whole.checked_mul(100).and_then(|w| w.checked_add(hundredths)).filter(|all| *all <= 10_000);
        all.map(Share::Percent).ok_or_else(too_much)
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Share::Count(count) => count.to_string(),
            Share::Percent(p) if p % 100 == 0 => format!("{}%", p / 100),
            Share::Percent(p) => {
                let text = format!("{}.{:02}", p / 100, p % 100);
                format!("{}%", text.trim_end_matches('0'))
            }
        };
        f.pad(&text)
    }
}

impl TryFrom<String> for Share {
    type Error = ShareError;

    fn try_from(text: String) -> Result<Share, ShareError> {
        text.parse()
    }
}

impl From<Share> for String {
    fn from(share: Share) -> String {
        share.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_and_counts() {
        let of = |text: &str, total| text.parse::<Share>().unwrap().of(total);
        assert_eq!(
            (of("50", 10), of("10%", 99), of("0.5%", 1000), of("100%", 7), of("0", 7)),
            (50, 9, 5, 7, 0)
        );
        assert_eq!("1%".parse::<Share>().unwrap().at_least_one_of(50), 1);
        assert_eq!(Share::ALL.of(u64::MAX), u64::MAX);
        for wrong in
            ["", "%", "-1", "1.5", "ten", "5 %", "1e3%", "101%", "100.01%", "0.001%", "70000%", ".5%", "5.%"]
        {
            assert!(wrong.parse::<Share>().is_err(), "{wrong}");
        }
        let error = "150%".parse::<Share>().unwrap_err();
        assert_eq!(error.to_string(), "`150%` is more than 100%");
    }

    proptest! {
        #[test]
        fn round_trip(count in any::<u64>(), hundredths in 0_u16..=10_000) {
            for share in [Share::Count(count), Share::Percent(hundredths)] {
                prop_assert_eq!(share.to_string().parse::<Share>().unwrap(), share);
            }
        }

        #[test]
        fn never_panics(text in "\\PC{0,8}") {
            let _ = text.parse::<Share>();
        }
    }
}
