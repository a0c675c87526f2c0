//! Scenario files: TOML that says how a fleet looks, what its nodes answer, and what goes wrong.
//!
#![doc = include_str!("scenario.md")]

mod cloud;
mod files;

pub use cloud::{
    AccountRule, AlarmRule, BucketRule, CalendarRule, OutageRule, ResourceGroupRule, StateChange,
    TargetGroupRule, TargetHealthRule,
};
pub use files::FileRule;
pub(crate) use files::files_of;

use crate::sessions::Kind;
use crate::spec::{Durations, Share};
use crate::switches::Switches;
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;
use std::time::Duration;

/// A scenario file.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// What it rehearses.
    #[serde(default)]
    pub description: String,
    /// Keys of a spec.
    #[serde(default)]
    pub spec: BTreeMap<String, Setting>,
    /// Facts that are made false.
    #[serde(default)]
    pub switches: Option<Switches>,
    /// Changes to nodes, applied in order.
    #[serde(default, rename = "node")]
    pub nodes: Vec<NodeRule>,
    /// Answers to commands; the first that matches is given.
    #[serde(default, rename = "answer")]
    pub answers: Vec<AnswerRule>,
    /// Files on nodes.
    #[serde(default, rename = "file")]
    pub files: Vec<FileRule>,
    /// Documents beside the shipped ones.
    #[serde(default, rename = "document")]
    pub documents: Vec<DocumentRule>,
    /// Target groups beside the shipped ones, or instead of them.
    #[serde(default, rename = "target_group")]
    pub target_groups: Vec<TargetGroupRule>,
    /// Changes of the health of targets; the first that holds counts.
    #[serde(default, rename = "target_health")]
    pub target_health: Vec<TargetHealthRule>,
    /// Alarms beside the shipped ones, or instead of them.
    #[serde(default, rename = "alarm")]
    pub alarms: Vec<AlarmRule>,
    /// Calendars beside the shipped one, or instead of it.
    #[serde(default, rename = "calendar")]
    pub calendars: Vec<CalendarRule>,
    /// Resource groups beside the shipped ones, or instead of them.
    #[serde(default, rename = "resource_group")]
    pub resource_groups: Vec<ResourceGroupRule>,
    /// Buckets beside the spec's.
    #[serde(default, rename = "bucket")]
    pub buckets: Vec<BucketRule>,
    /// Accounts beside the spec's, and more about those.
    #[serde(default, rename = "account")]
    pub accounts: Vec<AccountRule>,
    /// Regions that go down.
    #[serde(default, rename = "outage")]
    pub outages: Vec<OutageRule>,
}

/// A value in `[spec]`: as in a spec on the command line, and numbers and lists as TOML has them.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum Setting {
    /// `true`
    Flag(bool),
    /// `200`
    Whole(i64),
    /// `0.05`
    Number(f64),
    /// `"5%"`
    Text(String),
    /// `["us-east-1", "eu-west-1"]`
    List(Vec<String>),
}

impl Setting {
    /// The value as a spec on the command line would have it.
    pub(crate) fn text(&self) -> String {
        match self {
            Setting::Flag(flag) => flag.to_string(),
            Setting::Whole(number) => number.to_string(),
            Setting::Number(number) => number.to_string(),
            Setting::Text(text) => text.clone(),
            Setting::List(items) => items.join("+"),
        }
    }
}

/// A change to some nodes.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NodeRule {
    /// Which nodes: an id, a glob on names, or `tag:KEY=GLOB`. All when absent.
    pub nodes: Option<String>,
    /// How many of those.
    #[serde(deserialize_with = "parsed")]
    pub share: Option<Share>,
    /// Ping is lost.
    pub offline: Option<bool>,
    /// Looks online and never takes a command.
    pub unreachable: Option<bool>,
    /// Takes ten times as long.
    pub slow: Option<bool>,
    /// Every command fails.
    pub broken: Option<bool>,
    /// The agent dies in the middle of a command.
    pub dying: Option<bool>,
    /// Invocations end as `Undeliverable`.
    pub undeliverable: Option<bool>,
    /// Invocations end as `AccessDenied`.
    pub denied: Option<bool>,
    /// Its role may write neither to S3 nor to CloudWatch Logs.
    pub no_uploads: Option<bool>,
    /// Kernel that `uname -r` prints.
    pub kernel: Option<String>,
    /// Version of the agent.
    pub agent: Option<String>,
    /// Tags to add.
    pub tags: BTreeMap<String, String>,
    /// Lifecycle state in its Auto Scaling group, like `Standby`.
    pub lifecycle: Option<String>,
}

/// An answer to some commands on some nodes.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AnswerRule {
    /// Which commands: a glob on the whole text, or a substring where it has neither `*` nor `?`. All when absent.
    pub command: Option<String>,
    /// Which documents, as a glob.
    pub document: Option<String>,
    /// Which nodes, as in [`NodeRule::nodes`].
    pub nodes: Option<String>,
    /// On how many of them.
    #[serde(deserialize_with = "parsed")]
    pub share: Option<Share>,
    /// Standard output, with `{id}`, `{name}`, `{az}` and `{n}` filled in.
    pub stdout: String,
    /// Standard error, likewise.
    pub stderr: String,
    /// Exit code.
    pub exit: i32,
    /// How long it takes.
    #[serde(deserialize_with = "parsed")]
    pub duration: Option<Durations>,
    /// So many distinct bytes of standard output instead of `stdout`.
    pub bytes: Option<u64>,
    /// Those are of all values, not lines of text.
    pub binary: bool,
    /// The agent dies while it runs.
    pub dies: bool,
}

/// A document.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DocumentRule {
    /// Its name.
    pub name: String,
    /// `Linux`, `Windows`, `MacOS`.
    pub platforms: Vec<String>,
    /// What it does.
    #[serde(default)]
    pub description: String,
    /// The plugin that it runs.
    #[serde(default = "shell_plugin")]
    pub plugin: String,
    /// Its parameters.
    #[serde(default)]
    pub parameters: BTreeMap<String, ParameterRule>,
    /// It starts sessions, and so.
    #[serde(default)]
    pub session: Option<SessionRule>,
}

/// What makes a document one of type Session.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionRule {
    /// `Standard_Stream`, `InteractiveCommands`, `NonInteractiveCommands` or `Port`.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// What the agent gets, with `{{ name }}` for parameters.
    #[serde(default)]
    pub properties: Option<serde_json::Value>,
    /// Preferences instead of the account's.
    #[serde(default)]
    pub inputs: Option<serde_json::Value>,
}

/// A document's parameter.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParameterRule {
    /// `String` or `StringList`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What it is for.
    #[serde(default)]
    pub description: String,
    /// Its default; a parameter without one is required.
    #[serde(default)]
    pub default: Option<String>,
    /// The only values that it takes.
    #[serde(default)]
    pub allowed: Vec<String>,
    /// It has to be given.
    #[serde(default)]
    pub required: bool,
}

fn shell_plugin() -> String {
    "aws:runShellScript".to_owned()
}

fn parsed<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: std::str::FromStr<Err = &'static str>,
{
    let setting = Setting::deserialize(deserializer)?;
    let text = setting.text();
    text.parse().map(Some).map_err(|allowed| {
        serde::de::Error::custom(format!("'{text}' is no value here: {allowed} is allowed"))
    })
}

fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let text = Setting::deserialize(deserializer)?.text();
    crate::spec::duration(&text).map(Some).map_err(|allowed| {
        serde::de::Error::custom(format!("'{text}' is no value here: {allowed} is allowed"))
    })
}

/// As many as a spec may have.
fn nodes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    at_most(u64::deserialize(deserializer)?, 100_000).map(|count| u32::try_from(count).ok())
}

/// What a number stands for is made in memory.
fn at_most<E: serde::de::Error>(number: u64, most: u64) -> Result<u64, E> {
    let refused = || E::custom(format!("'{number}' is no value here: a number up to {most} is allowed"));
    if number <= most { Ok(number) } else { Err(refused()) }
}

/// True where a rule about a command and a document is about these.
pub(crate) fn is_about(
    (command, document): (Option<&str>, Option<&str>),
    (ran_document, ran_command): (&str, &str),
) -> bool {
    let command_fits = command.is_none_or(|pattern| {
        if pattern.contains(['*', '?']) { glob(pattern, ran_command) } else { ran_command.contains(pattern) }
    });
    command_fits && document.is_none_or(|pattern| glob(pattern, ran_document))
}

/// True where a text fits a glob with `*` and `?`.
pub(crate) fn glob(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(letter) if *letter == '?' || Some(letter) == text.get(t) => {
                p += 1;
                t += 1;
            }
            Some(_) | None => match star {
                Some((at, from)) => {
                    p = at + 1;
                    t = from + 1;
                    star = Some((at, from + 1));
                }
                None => return false,
            },
        }
    }
    pattern.get(p..).is_none_or(|rest| rest.iter().all(|letter| *letter == '*'))
}

impl AnswerRule {
    /// True where the rule is about this command.
    pub(crate) fn is_about(&self, document: &str, command: &str) -> bool {
        is_about((self.command.as_deref(), self.document.as_deref()), (document, command))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs() {
        for (pattern, text, fits) in [
            ("*", "", true),
            ("web-*", "web-1", true),
            ("web-?", "web-12", false),
            ("*a*b*", "xxaxxbxx", true),
            ("*a*b", "ab ab c", false),
            ("", "x", false),
            ("a*a*a", "aaa", true),
        ] {
            assert_eq!(glob(pattern, text), fits, "{pattern} {text}");
        }
    }

    #[test]
    fn unknown_keys_are_refused() {
        for text in [
            "nodes = 3",
            "[[answer]]\nexti = 3",
            "[switches]\nnothing = true",
            "[[node]]\nshare = \"x\"",
            "[[file]]\npath = \"etc/motd\"",
            "[[file]]\npath = \"/etc/../motd\"",
            "[[file]]\nmode = \"8\"",
            "[[file]]\nbytes = 9223372036854775807",
            "[[account]]\nnodes = 100001",
        ] {
            assert!(toml::from_str::<Scenario>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn rules_are_about_commands() {
        let rule: AnswerRule =
            toml::from_str("command = \"nginx\"\nshare = \"10%\"\nduration = \"2s\"").unwrap();
        assert!(rule.is_about("AWS-RunShellScript", "systemctl reload nginx"));
        assert!(!rule.is_about("AWS-RunShellScript", "uptime"));
    }
}
