//! What to simulate: `1000`, `@scenario.toml`, or `nodes=200,offline=5%,throttle=0.05`.
//!
#![doc = include_str!("spec.md")]

use crate::accounts;
use crate::outage::{self, Down, Outage};
use crate::scenario::Scenario;
use crate::sessions::options::{self, SessionOptions};
use crate::switches::{self, Refused, Switches};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

/// A share of the nodes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Share {
    /// So many of them.
    Count(u32),
    /// This part of them, from 0 to 1.
    Part(f64),
}

impl Share {
    /// How many of `total` it is, rounded to the nearest.
    pub fn of(self, total: u32) -> u32 {
        match self {
            Share::Count(count) => count.min(total),
            Share::Part(part) => ((part * f64::from(total)).round() as u32).min(total),
        }
    }
}

impl FromStr for Share {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Share, &'static str> {
        const ALLOWED: &str = "a number of nodes or a percentage from 0% to 100%";
        if let Some(percent) = text.strip_suffix('%') {
            let percent: f64 = percent.trim().parse().map_err(|_| ALLOWED)?;
            return if (0.0..=100.0).contains(&percent) {
                Ok(Share::Part(percent / 100.0))
            } else {
                Err(ALLOWED)
            };
        }
        text.parse().map(Share::Count).map_err(|_| ALLOWED)
    }
}

/// How long commands run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Durations {
    /// Lognormal with a median of 0.3 s.
    Quick,
    /// Lognormal with a median of 5 s, at most 60 s.
    Fleet,
    /// Always as long as this.
    Fixed(Duration),
}

impl FromStr for Durations {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Durations, &'static str> {
        match text {
            "quick" => Ok(Durations::Quick),
            "fleet" => Ok(Durations::Fleet),
            other => duration(other).map(Durations::Fixed).map_err(|_| "quick, fleet or a time like 2s"),
        }
    }
}

/// What to simulate. See the module's table for the keys.
#[derive(Debug, Clone, PartialEq)]
pub struct Spec {
    /// Managed, running nodes in each region.
    pub nodes: u32,
    /// Seed of everything that is drawn.
    pub seed: u64,
    /// Calls a second that each Systems Manager API takes; zero lifts every quota.
    pub rate: Option<f64>,
    /// Calls that each Systems Manager API takes at once.
    pub burst: Option<f64>,
    /// `send_rate`: of `SendCommand` alone, per second; what is sent at once is the same number, at least one.
    pub send_rate: Option<f64>,
    /// Share (0 to 1) of calls throttled whatever the quota.
    pub throttle: f64,
    /// Share (0 to 1) of calls that end in a 5xx; half before, half after the effect.
    pub errors: f64,
    /// Share (0 to 1) of calls whose connection closes after the effect.
    pub dropped: f64,
    /// Added to each call.
    pub latency: Duration,
    /// Nodes whose ping is lost.
    pub offline: Share,
    /// Nodes that look online and never take a command.
    pub unreachable: Share,
    /// Nodes that take ten times as long.
    pub slow: Share,
    /// Nodes on which every command fails.
    pub broken: Share,
    /// Nodes whose agent dies in the middle of a command.
    pub dying: Share,
    /// Nodes whose invocations end as `Undeliverable`.
    pub undeliverable: Share,
    /// Nodes whose invocations end as `AccessDenied`.
    pub denied: Share,
    /// Windows nodes.
    pub windows: Share,
    /// Nodes that are not EC2 instances; `None` is 2 % from 50 nodes on.
    pub hybrid: Option<Share>,
    /// Stopped EC2 instances in addition to `nodes`.
    pub stopped: u32,
    /// EC2 instances without an agent in addition to `nodes`.
    pub unmanaged: u32,
    /// The regions that have a fleet.
    pub regions: Vec<String>,
    /// The accounts, the simulation's own first; `None` is every account, through every role.
    pub accounts: Option<Vec<String>>,
    /// Roles that each account has.
    pub roles: Vec<String>,
    /// Roles (`ROLE`, `ACCOUNT` or `ACCOUNT/ROLE`) that cannot be assumed.
    pub denied_roles: Vec<String>,
    /// APIs (`SendCommand`) that nobody may call.
    pub denied_apis: Vec<String>,
    /// Every key is refused as expired.
    pub expired: bool,
    /// How far the clock that callers see is off, in milliseconds.
    pub skew_ms: i64,
    /// Regions that go down.
    pub down: Vec<Outage>,
    /// How they meet requests while they are.
    pub down_as: Down,
    /// Targets of each target group that are unhealthy from the start.
    pub unhealthy: Share,
    /// Buckets of S3.
    pub buckets: Vec<String>,
    /// Divides every simulated duration.
    pub speed: f64,
    /// How long commands run; `None` decides by the command.
    pub duration: Option<Durations>,
    /// Every command prints this many distinct bytes.
    pub bytes: Option<u64>,
    /// Every request is appended here as a line of JSON.
    pub log: Option<PathBuf>,
    /// Rules for nodes, answers and documents.
    pub scenario: Option<Scenario>,
    /// Facts that are made false.
    pub switches: Switches,
    /// Session Manager's sessions.
    pub session: SessionOptions,
}

impl Default for Spec {
    fn default() -> Self {
        let none = Share::Count(0);
        Spec {
            nodes: 20,
            seed: 1,
            rate: None,
            burst: None,
            send_rate: None,
            throttle: 0.0,
            errors: 0.0,
            dropped: 0.0,
            latency: Duration::ZERO,
            offline: none,
            unreachable: none,
            slow: none,
            broken: none,
            dying: none,
            undeliverable: none,
            denied: none,
            windows: Share::Part(0.05),
            hybrid: None,
            stopped: 0,
            unmanaged: 0,
            regions: vec!["us-east-1".to_owned()],
            accounts: None,
            roles: vec!["HerderExec".to_owned()],
            denied_roles: Vec::new(),
            denied_apis: Vec::new(),
            expired: false,
            skew_ms: 0,
            down: Vec::new(),
            down_as: Down::default(),
            unhealthy: none,
            buckets: vec!["herder-output".to_owned()],
            speed: 1.0,
            duration: None,
            bytes: None,
            log: None,
            scenario: None,
            switches: Switches::default(),
            session: SessionOptions::default(),
        }
    }
}

const KEYS: [&str; 35] = [
    "nodes",
    "seed",
    "rate",
    "burst",
    "send_rate",
    "throttle",
    "errors",
    "dropped",
    "latency",
    "offline",
    "unreachable",
    "slow",
    "broken",
    "dying",
    "undeliverable",
    "denied",
    "windows",
    "hybrid",
    "stopped",
    "unmanaged",
    "regions",
    "accounts",
    "roles",
    "denied_roles",
    "denied_apis",
    "expired",
    "skew",
    "down",
    "down_as",
    "unhealthy",
    "buckets",
    "speed",
    "duration",
    "bytes",
    "log",
];

/// Why a spec was refused.
#[derive(Debug, thiserror::Error)]
pub enum SpecError {
    /// A key that does not exist.
    #[error("unknown key '{key}' in the simulator's spec{meant} (keys: {keys}; switches: {switches})")]
    UnknownKey {
        /// The key.
        key: String,
        /// `; did you mean '…'?`, or nothing.
        meant: String,
        /// Those that exist.
        keys: String,
        /// The switches that exist.
        switches: String,
    },
    /// A value that its key does not take.
    #[error("'{value}' is no value for '{key}' in the simulator's spec: {allowed} is allowed")]
    Value {
        /// The key.
        key: String,
        /// The value.
        value: String,
        /// What is allowed instead.
        allowed: &'static str,
    },
    /// Something that is neither a number nor `key=value`.
    #[error("'{0}' in the simulator's spec is neither a number of nodes, nor @FILE, nor KEY=VALUE")]
    Shape(String),
    /// A scenario file that could not be read.
    #[error("cannot read the scenario {path}")]
    File {
        /// Where it was looked for.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// A scenario file that is not a scenario.
    #[error("the scenario {path} is not valid")]
    Scenario {
        /// Where it is.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: Box<toml::de::Error>,
    },
}

impl FromStr for Spec {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Spec, SpecError> {
        Spec::read(text, Path::new("."))
    }
}

impl Spec {
    /// Every key that a spec may have.
    pub fn keys() -> Vec<&'static str> {
        [&KEYS[..], &options::KEYS[..], &switches::KEYS[..]].concat()
    }

    /// Reads a spec; scenario files are looked for relative to `base`.
    pub fn read(text: &str, base: &Path) -> Result<Spec, SpecError> {
        let mut spec = Spec::default();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            if let Some(file) = part.strip_prefix('@') {
                spec.load(&base.join(file))?;
            } else if let Some((key, value)) = part.split_once('=') {
                spec.set(key.trim(), value.trim())?;
            } else if part.bytes().all(|byte| byte.is_ascii_digit()) {
                spec.set("nodes", part)?;
            } else if switches::KEYS.contains(&part) || part.starts_with("session_") || part == "expired" {
                spec.set(part, "true")?;
            } else {
                return Err(SpecError::Shape(part.to_owned()));
            }
        }
        if let Some(log) = &spec.log {
            spec.log = Some(base.join(log));
        }
        Ok(spec)
    }

    /// Reads the text of a scenario file into a spec; `path` is for messages.
    pub fn scenario(text: &str, path: &Path) -> Result<Spec, SpecError> {
        let mut spec = Spec::default();
        spec.adopt(text, path)?;
        Ok(spec)
    }

    fn load(&mut self, path: &Path) -> Result<(), SpecError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| SpecError::File { path: path.to_owned(), source })?;
        self.adopt(&text, path)
    }

    fn adopt(&mut self, text: &str, path: &Path) -> Result<(), SpecError> {
        let scenario: Scenario = toml::from_str(text)
            .map_err(|source| SpecError::Scenario { path: path.to_owned(), source: Box::new(source) })?;
        for (key, value) in &scenario.spec {
            self.set(key, &value.text())?;
        }
        if let Some(switches) = &scenario.switches {
            switches.check().map_err(|Refused { key, value, allowed }| SpecError::Value {
                key: key.to_owned(),
                value,
                allowed,
            })?;
            self.switches = switches.clone();
        }
        self.scenario = Some(scenario);
        Ok(())
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), SpecError> {
        let outcome = match key {
            "throttle" => share(value).map(|value| self.throttle = value),
            "errors" => share(value).map(|value| self.errors = value),
            "dropped" => share(value).map(|value| self.dropped = value),
            "latency" => duration(value).map(|value| self.latency = value),
            "rate" if value == "off" => {
                self.rate = Some(0.0);
                Ok(())
            }
            "rate" => positive(value, true).map(|value| self.rate = Some(value)),
            "burst" => positive(value, false).map(|value| self.burst = Some(value)),
            "send_rate" => positive(value, false).map(|value| self.send_rate = Some(value)),
            "speed" => positive(value, false).map(|value| self.speed = value),
            "seed" => value.parse().map(|value| self.seed = value).map_err(|_| "a whole number"),
            "bytes" => value.parse().map(|value| self.bytes = Some(value)).map_err(|_| "a whole number"),
            "duration" => value.parse().map(|value| self.duration = Some(value)),
            "log" => {
                self.log = Some(PathBuf::from(value));
                Ok(())
            }
            "regions" => regions(value).map(|value| self.regions = value),
            "accounts" => accounts::parse(value).map(|value| self.accounts = Some(value)),
            "roles" => accounts::names(value).map(|value| self.roles = value),
            "denied_roles" => accounts::names(value).map(|value| self.denied_roles = value),
            "denied_apis" => accounts::names(value).map(|value| self.denied_apis = value),
            "expired" => switches::flag(value).map(|value| self.expired = value),
            "skew" => skew(value).map(|value| self.skew_ms = value),
            "down" => outage::parse(value).map(|value| self.down = value),
            "down_as" => value.parse().map(|value| self.down_as = value),
            "buckets" => accounts::names(value).map(|value| self.buckets = value),
            _ => self.set_nodes(key, value)?,
        };
        outcome.map_err(|allowed| SpecError::Value { key: key.to_owned(), value: value.to_owned(), allowed })
    }

    fn set_nodes(&mut self, key: &str, value: &str) -> Result<Result<(), &'static str>, SpecError> {
        let count = |least: u32| {
            let parsed = value.parse().ok().filter(|count| (least..=100_000).contains(count));
            parsed.ok_or(if least == 0 { "a number up to 100000" } else { "a number from 1 to 100000" })
        };
        Ok(match key {
            "nodes" => count(1).map(|value| self.nodes = value),
            "stopped" => count(0).map(|value| self.stopped = value),
            "unmanaged" => count(0).map(|value| self.unmanaged = value),
            "offline" => value.parse().map(|value| self.offline = value),
            "unreachable" => value.parse().map(|value| self.unreachable = value),
            "slow" => value.parse().map(|value| self.slow = value),
            "broken" => value.parse().map(|value| self.broken = value),
            "dying" => value.parse().map(|value| self.dying = value),
            "undeliverable" => value.parse().map(|value| self.undeliverable = value),
            "denied" => value.parse().map(|value| self.denied = value),
            "unhealthy" => value.parse().map(|value| self.unhealthy = value),
            "windows" => value.parse().map(|value| self.windows = value),
            "hybrid" => value.parse().map(|value| self.hybrid = Some(value)),
            _ if switches::KEYS.contains(&key) => self.switches.set(key, value),
            _ if options::KEYS.contains(&key) => self.session.set(key, value),
            _ => {
                let keys = [&KEYS[..], &options::KEYS[..]].concat();
                let near =
                    keys.iter().chain(&switches::KEYS).map(|known| (strsim::osa_distance(key, known), known));
                let near = near.filter(|(distance, _)| *distance <= 2).min_by_key(|(distance, _)| *distance);
                return Err(SpecError::UnknownKey {
                    key: key.to_owned(),
                    meant: near.map(|(_, known)| format!("; did you mean '{known}'?")).unwrap_or_default(),
                    keys: keys.join(", "),
                    switches: switches::KEYS.join(", "),
                });
            }
        })
    }
}

/// Reads `2h` and `-90s`.
fn skew(text: &str) -> Result<i64, &'static str> {
    let (sign, length) = match text.strip_prefix('-') {
        Some(length) => (-1, length),
        None => (1, text),
    };
    let length = duration(length).map_err(|_| "a time like 90s, -5m or 2h")?;
    i64::try_from(length.as_millis()).map(|length| sign * length).map_err(|_| "less than an age")
}

/// Reads `20ms`, `1.5s`, `2m`, `1h`.
pub(crate) fn duration(text: &str) -> Result<Duration, &'static str> {
    const ALLOWED: &str = "a time like 20ms, 1.5s or 2m";
    let digits = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let scale = match unit.trim() {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        "" if number == "0" => 1.0,
        _ => return Err(ALLOWED),
    };
    let number: f64 = number.parse().map_err(|_| ALLOWED)?;
    Duration::try_from_secs_f64(number * scale).map_err(|_| ALLOWED)
}

/// Reads `0.05` or `5%`.
pub(crate) fn share(text: &str) -> Result<f64, &'static str> {
    const ALLOWED: &str = "a share from 0 to 1 or a percentage";
    let value = match text.strip_suffix('%') {
        Some(percent) => percent.parse::<f64>().map(|value| value / 100.0),
        None => text.parse::<f64>(),
    };
    value.ok().filter(|value| (0.0..=1.0).contains(value)).ok_or(ALLOWED)
}

fn positive(text: &str, zero: bool) -> Result<f64, &'static str> {
    let value: Option<f64> = text.parse().ok().filter(|value: &f64| value.is_finite());
    value.filter(|value| *value > 0.0 || (zero && *value == 0.0)).ok_or("a number above zero")
}

fn regions(text: &str) -> Result<Vec<String>, &'static str> {
    let names: Vec<String> =
        text.split(['+', '/', ' ']).filter(|name| !name.is_empty()).map(str::to_owned).collect();
    let is_region = |name: &String| {
        name.split('-').count() >= 3 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    if names.is_empty() || !names.iter().all(is_region) {
        return Err("names like us-east-1 joined by +");
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_a_number_of_nodes() {
        assert_eq!("1000".parse::<Spec>().unwrap().nodes, 1000);
        assert_eq!("".parse::<Spec>().unwrap(), Spec::default());
    }

    #[test]
    fn keys_are_read() {
        let text = "nodes=200,offline=5%,throttle=0.05,errors=2%,latency=20ms,rate=off,regions=us-east-1+eu-west-1,speed=4,opaque_errors,stale_counters=never,duration=fleet";
        let spec: Spec = text.parse().unwrap();
        assert_eq!((spec.nodes, spec.offline.of(200), spec.throttle, spec.errors), (200, 10, 0.05, 0.02));
        assert_eq!((spec.rate, spec.speed, spec.latency), (Some(0.0), 4.0, Duration::from_millis(20)));
        assert_eq!(spec.regions, ["us-east-1", "eu-west-1"]);
        assert!(spec.switches.opaque_errors);
        assert_eq!(spec.duration, Some(Durations::Fleet));
    }

    #[test]
    fn errors_say_which_key_and_what_is_allowed() {
        let message = |text: &str| text.parse::<Spec>().unwrap_err().to_string();
        assert!(message("nodse=3").starts_with(
            "unknown key 'nodse' in the simulator's spec; did you mean 'nodes'? (keys: nodes, seed,"
        ));
        assert_eq!(
            message("offline=half"),
            "'half' is no value for 'offline' in the simulator's spec: a number of nodes or a percentage from 0% to 100% is allowed"
        );
        assert!(message("nodes=0").contains("1 to 100000"));
        assert!(message("latency=20").contains("20ms"));
        assert!(message("hello").contains("neither a number of nodes"));
        assert!(message("@nowhere.toml").contains("cannot read the scenario"));
    }

    #[test]
    fn the_documented_scenario_parses() {
        let text = include_str!("scenario/scenario.md");
        let toml = text.split("```toml").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
        let scenario = Spec::scenario(toml, Path::new("scenario.md")).unwrap().scenario.unwrap();
        assert_eq!((scenario.alarms.len(), scenario.outages.len(), scenario.accounts.len()), (2, 1, 1));
    }

    #[test]
    fn shipped_scenarios_parse() {
        let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
        for file in ["mixed.toml", "game-day.toml", "rollout.toml"] {
            let spec = Spec::read(&format!("@{file},seed=9"), &base).unwrap();
            assert!(spec.scenario.is_some());
            assert_eq!(spec.seed, 9);
        }
    }

    #[test]
    fn switches_of_scenarios_are_looked_at_too() {
        for (text, key) in [
            ("properties_page = 0", "properties_page"),
            ("foreign_commands = 4294967295", "foreign_commands"),
            ("late_events = nan", "late_events"),
            ("stale_counters = { seconds = -1.0 }", "stale_counters"),
        ] {
            let read = Spec::scenario(&format!("[switches]\n{text}"), Path::new("x.toml"));
            assert!(matches!(read, Err(SpecError::Value { key: of, .. }) if of == key), "{text}");
        }
        assert!(Spec::scenario("[switches]\nproperties_page = 1", Path::new("x.toml")).is_ok());
    }
}
