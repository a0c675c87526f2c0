//! [`LearnedRates`]: what limiters found out, kept between runs in one small file that all herders of a user share.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use fs4::fs_std::FileExt;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{DEFAULT_RATE, LimitKey};

const VERSION: u32 = 1;
/// A rate fades towards the default over this many seconds (7 days).
const FADES_OVER: f64 = 7.0 * 86_400.0;

/// Rates by quota, each with the time it was learned.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LearnedRates(BTreeMap<LimitKey, Learned>);

#[derive(Clone, Copy, Debug, PartialEq)]
struct Learned {
    rate: f64,
    at: Timestamp,
}

/// How a file was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Loaded {
    /// It was read.
    Read,
    /// There was none.
    Absent,
    /// It is damaged, of a newer herder, or can't be read; herder starts fresh. Says why, one fragment.
    Fresh(String),
}

/// How a file was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Saved {
    /// The new rates were merged into it.
    Merged,
    /// It is of a newer herder and was left alone.
    LeftAlone,
}

#[derive(Serialize, Deserialize)]
struct Document {
    v: u32,
    rates: Vec<Line>,
}

#[derive(Serialize, Deserialize)]
struct Line {
    #[serde(flatten)]
    key: LimitKey,
    /// Calls a second.
    rate: f64,
    at: Timestamp,
}

impl LearnedRates {
    /// Reads the file. Never fails: what can't be read is as if it were absent, and the answer says so.
    #[must_use]
    pub fn load(path: &Path) -> (LearnedRates, Loaded) {
        match read(path) {
            Ok(Some(rates)) => (rates, Loaded::Read),
            Ok(None) => (LearnedRates::default(), Loaded::Absent),
            Err(unreadable) => (LearnedRates::default(), Loaded::Fresh(unreadable.to_string())),
        }
    }

    /// The rate to expect of a quota, faded by its age: after 7 days nothing is left of it.
    #[must_use]
    pub fn rate(&self, key: &LimitKey, now: Timestamp) -> Option<f64> {
        let learned = self.0.get(key)?;
        let age = now.duration_since(learned.at).as_secs_f64().max(0.0);
        let left = 1.0 - age / FADES_OVER;
        (left > 0.0).then_some(DEFAULT_RATE + (learned.rate - DEFAULT_RATE) * left)
    }

    /// Notes a rate.
    pub fn learn(&mut self, key: LimitKey, rate: f64, at: Timestamp) {
        if rate.is_finite() && rate > 0.0 {
            self.0.insert(key, Learned { rate, at });
        }
    }

    /// Merges these rates into the file: read, newer entries win, faded ones go, written beside and renamed, all
    /// under a lock (`<path>.lock`) that another herder holds for milliseconds.
    ///
    /// # Errors
    /// The directory, the lock or the file can't be written.
    pub fn save(&self, path: &Path, now: Timestamp) -> io::Result<Saved> {
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        let lock = lock(path)?;
        let mut merged = match read(path) {
            Ok(rates) => rates.unwrap_or_default(),
            Err(Unreadable::Newer(_)) => return Ok(Saved::LeftAlone),
            Err(Unreadable::Damaged(_)) => LearnedRates::default(),
        };
        for (key, learned) in &self.0 {
            if merged.0.get(key).is_none_or(|known| known.at <= learned.at) {
                merged.0.insert(key.clone(), *learned);
            }
        }
        merged.0.retain(|_, l| now.duration_since(l.at).as_secs_f64() < FADES_OVER);
        write(path, &merged)?;
        drop(lock);
        Ok(Saved::Merged)
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn lock(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(beside(path, ".lock"))?;
    FileExt::lock_exclusive(&file)?;
    Ok(file)
}

/// Why a file can't be used.
#[derive(Debug, thiserror::Error)]
enum Unreadable {
    #[error("the learned rates can't be read: {0}")]
    Damaged(String),
    #[error("the learned rates are of a newer herder (version {0})")]
    Newer(u64),
}

fn read(path: &Path) -> Result<Option<LearnedRates>, Unreadable> {
    let damaged = |e: &dyn std::fmt::Display| Unreadable::Damaged(e.to_string());
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(damaged(&e)),
    };
    // The version first: a newer file may have another shape.
    let value: serde_json::Value = serde_json::from_slice(&bytes).map_err(|e| damaged(&e))?;
    let version = value.get("v").and_then(serde_json::Value::as_u64).ok_or_else(|| damaged(&"no version"))?;
    if version > u64::from(VERSION) {
        return Err(Unreadable::Newer(version));
    }
    let document: Document = serde_json::from_value(value).map_err(|e| damaged(&e))?;
    let mut rates = LearnedRates::default();
    for line in document.rates {
        rates.learn(line.key, line.rate, line.at);
    }
    Ok(Some(rates))
}

fn write(path: &Path, rates: &LearnedRates) -> io::Result<()> {
    let rates = rates.0.iter().map(|(key, l)| Line { key: key.clone(), rate: l.rate, at: l.at }).collect();
    let text = serde_json::to_vec(&Document { v: VERSION, rates }).map_err(io::Error::other)?;
    let new = beside(path, ".new");
    let mut file = File::create(&new)?;
    file.write_all(&text)?;
    file.sync_data()?;
    std::fs::rename(&new, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(api: &str) -> LimitKey {
        LimitKey::new("111122223333", "eu-central-1", api)
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn two_herders_share_one_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cache").join("rates.json");
        let now = at("2026-11-21T09:30:00Z");
        assert_eq!(LearnedRates::load(&path), (LearnedRates::default(), Loaded::Absent));

        let mut one = LearnedRates::default();
        one.learn(key("SendCommand"), 10.0, now);
        let mut two = LearnedRates::default();
        two.learn(key("SendCommand"), 4.0, at("2026-11-21T09:00:00Z"));
        two.learn(key("ListCommands"), 20.0, now);
        assert_eq!(one.save(&path, now).unwrap(), Saved::Merged);
        assert_eq!(two.save(&path, now).unwrap(), Saved::Merged);

        let (both, loaded) = LearnedRates::load(&path);
        assert_eq!(loaded, Loaded::Read);
        assert_eq!(both.rate(&key("SendCommand"), now), Some(10.0), "the newer one wins");
        assert_eq!(both.rate(&key("ListCommands"), now), Some(20.0));
        assert_eq!(both.rate(&key("CancelCommand"), now), None);
    }

    #[test]
    fn rates_fade_over_seven_days() {
        let mut rates = LearnedRates::default();
        rates.learn(key("SendCommand"), 10.0, at("2026-11-01T00:00:00Z"));
        let rate = |text| rates.rate(&key("SendCommand"), at(text));
        assert_eq!(rate("2026-10-01T00:00:00Z"), Some(10.0), "a clock that went back changes nothing");
        assert_eq!(rate("2026-11-04T12:00:00Z"), Some(6.5));
        assert_eq!(rate("2026-11-08T00:00:00Z"), None);
    }

    #[test]
    fn a_damaged_file_is_replaced_and_a_newer_one_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rates.json");
        let now = at("2026-11-21T09:30:00Z");
        let mut rates = LearnedRates::default();
        rates.learn(key("SendCommand"), 10.0, now);

        for damaged in ["", "{", "[]", r#"{"v":1,"rates":[{"rate":"x"}]}"#, "\u{0}\u{0}"] {
            std::fs::write(&path, damaged).unwrap();
            assert!(matches!(LearnedRates::load(&path).1, Loaded::Fresh(_)), "{damaged}");
            assert_eq!(rates.save(&path, now).unwrap(), Saved::Merged);
            assert_eq!(LearnedRates::load(&path), (rates.clone(), Loaded::Read));
        }

        let newer = r#"{"v":2,"rates":{}}"#;
        std::fs::write(&path, newer).unwrap();
        assert!(matches!(LearnedRates::load(&path).1, Loaded::Fresh(why) if why.contains("newer")));
        assert_eq!(rates.save(&path, now).unwrap(), Saved::LeftAlone);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), newer);
    }

    #[test]
    fn nonsense_rates_are_not_learned() {
        let mut rates = LearnedRates::default();
        for wrong in [f64::NAN, f64::INFINITY, 0.0, -1.0] {
            rates.learn(key("SendCommand"), wrong, at("2026-11-21T09:30:00Z"));
        }
        assert_eq!(rates, LearnedRates::default());
    }
}
