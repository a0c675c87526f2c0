//! [`RunId`]: the name of one run, sortable by its start.

use std::fmt;

use serde::{Deserialize, Serialize};

/// `YYYYMMDD-HHMMSS-xxxxxx`: UTC start, then six hexadecimal digits, three of the second's fraction (so that ids sort by
/// their start within a second too) and three random ones; 22 characters. It stands in the command's comment (at most 100 characters, `SendCommand`), in paths and in `@RUN` selectors, and so
/// consists of digits, `a`–`f` and `-` only.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RunId(String);

/// The text isn't a run id.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a run id (like 20261121-093000-1f2e3d)")]
pub struct NotARunId(String);

impl RunId {
    /// Makes the id of a run that starts at `now`; `random` tells apart the runs of one moment.
    #[must_use]
    pub fn new(now: jiff::Timestamp, random: u32) -> RunId {
        let utc = now.to_zoned(jiff::tz::TimeZone::UTC);
        let fraction = i64::from(utc.subsec_nanosecond()) * 4096 / 1_000_000_000;
        RunId(format!("{}-{fraction:03x}{:03x}", utc.strftime("%Y%m%d-%H%M%S"), random & 0xfff))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for RunId {
    type Error = NotARunId;

    fn try_from(text: String) -> Result<RunId, NotARunId> {
        let shape = "00000000-000000-xxxxxx";
        let fits = text.len() == shape.len()
            && text.chars().zip(shape.chars()).all(|(c, s)| match s {
                '0' => c.is_ascii_digit(),
                'x' => matches!(c, '0'..='9' | 'a'..='f'),
                _ => c == s,
            });
        if fits { Ok(RunId(text)) } else { Err(NotARunId(text)) }
    }
}

impl std::str::FromStr for RunId {
    type Err = NotARunId;

    fn from_str(text: &str) -> Result<RunId, NotARunId> {
        RunId::try_from(text.to_owned())
    }
}

impl From<RunId> for String {
    fn from(id: RunId) -> String {
        id.0
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_and_parsed() {
        let id = RunId::new("2026-11-21T09:30:00Z".parse().unwrap(), 0xff1f_2e3d);
        assert_eq!(id.as_str(), "20261121-093000-000e3d");
        assert_eq!(id.as_str().parse::<RunId>().unwrap(), id);
        for wrong in
            ["", "last", "20261121-093000-1f2e3", "20261121-093000-1F2E3D", "../../etc/passwd--------"]
        {
            assert!(wrong.parse::<RunId>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn ids_of_one_second_sort_by_their_start() {
        let id = |at: &str, random| RunId::new(at.parse().unwrap(), random);
        let ids = [
            id("2026-11-21T09:30:00Z", 0xfff),
            id("2026-11-21T09:30:00.25Z", 0x001),
            id("2026-11-21T09:30:00.999999999Z", 0xfff),
            id("2026-11-21T09:30:01Z", 0),
        ];
        assert!(ids.is_sorted(), "{ids:?}");
        assert_eq!(ids[1].as_str(), "20261121-093000-400001");
    }
}
