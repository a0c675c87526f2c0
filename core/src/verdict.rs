//! What became of a target, and of all of them: [`Verdict`], [`Tally`].
//!
//! Does not belong here: how AWS's statuses map onto verdicts (`aws/`), exit codes (`src/exit.rs`).

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// The one end of every target. The names are part of the JSON contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It ran, and the service says it succeeded.
    Ok,
    /// It ran and failed; the exit code says how.
    Failed,
    /// It ran longer than its execution timeout.
    TimedOut,
    /// It never reached the node.
    Undelivered,
    /// The service or the node refused it.
    Denied,
    /// It was cancelled remotely.
    Cancelled,
    /// It was never sent.
    NotRun,
    /// It was asked for, and the answer was lost.
    Unknown,
}

impl Verdict {
    /// Every verdict, in the order in which summaries show them.
    pub const ALL: [Verdict; 8] = [
        Verdict::Ok,
        Verdict::Failed,
        Verdict::TimedOut,
        Verdict::Undelivered,
        Verdict::Denied,
        Verdict::Cancelled,
        Verdict::NotRun,
        Verdict::Unknown,
    ];

    /// Whether it counts against `--max-errors`: failed, timed_out, undelivered, denied and unknown do.
    #[must_use]
    pub fn is_bad(self) -> bool {
        match self {
            Verdict::Failed
            | Verdict::TimedOut
            | Verdict::Undelivered
            | Verdict::Denied
            | Verdict::Unknown => true,
            Verdict::Ok | Verdict::Cancelled | Verdict::NotRun => false,
        }
    }

    /// Whether a resume leaves it: a target that was never run, or whose end is not known, is open again.
    #[must_use]
    pub fn is_final(self) -> bool {
        !matches!(self, Verdict::NotRun | Verdict::Unknown)
    }

    /// The word of the JSON contract, also used in tables and in `@RUN:WORD`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Ok => "ok",
            Verdict::Failed => "failed",
            Verdict::TimedOut => "timed_out",
            Verdict::Undelivered => "undelivered",
            Verdict::Denied => "denied",
            Verdict::Cancelled => "cancelled",
            Verdict::NotRun => "not_run",
            Verdict::Unknown => "unknown",
        }
    }

    /// The verdict that a word of the contract names.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Verdict> {
        Verdict::ALL.into_iter().find(|v| v.as_str() == word)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Why a verdict is what it is, as one machine word: `exit_7`, `killed`, `offline`, `budget`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Reason(Cow<'static, str>);

impl Reason {
    /// The node's ping was lost when targets were resolved; nothing was sent.
    pub const OFFLINE: Reason = Reason(Cow::Borrowed("offline"));
    /// The service could not reach the node's agent.
    pub const UNDELIVERABLE: Reason = Reason(Cow::Borrowed("undeliverable"));
    /// The delivery timeout passed before the node took the command.
    pub const EXPIRED: Reason = Reason(Cow::Borrowed("expired"));
    /// The process died of SIGKILL before its timeout (often the kernel's OOM killer).
    pub const KILLED: Reason = Reason(Cow::Borrowed("killed"));
    /// AWS refused the call or the node.
    pub const ACCESS_DENIED: Reason = Reason(Cow::Borrowed("access_denied"));
    /// The document doesn't run on the node's platform.
    pub const INVALID_PLATFORM: Reason = Reason(Cow::Borrowed("invalid_platform"));
    /// SSM refused the id: unmanaged, terminated or not in this scope.
    pub const INVALID_INSTANCE: Reason = Reason(Cow::Borrowed("invalid_instance"));
    /// The error budget ran out before it was sent.
    pub const BUDGET: Reason = Reason(Cow::Borrowed("budget"));
    /// The service was handed the selector and did not choose the node.
    pub const NOT_SELECTED: Reason = Reason(Cow::Borrowed("not_selected"));
    /// A gate said no before it was sent.
    pub const GATE: Reason = Reason(Cow::Borrowed("gate"));
    /// The run was interrupted before it was sent.
    pub const INTERRUPTED: Reason = Reason(Cow::Borrowed("interrupted"));
    /// The account or region could not be reached.
    pub const UNREACHABLE: Reason = Reason(Cow::Borrowed("unreachable"));
    /// The journal could not be written, so nothing more was sent.
    pub const JOURNAL: Reason = Reason(Cow::Borrowed("journal"));
    /// A send got no answer and no command with its marker was found.
    pub const SEND_LOST: Reason = Reason(Cow::Borrowed("send_lost"));
    /// The command was sent, and its result could not be read in time.
    pub const RESULT_LOST: Reason = Reason(Cow::Borrowed("result_lost"));
    /// Exit code 168: the agent reports success and skips what follows.
    pub const SKIPS_REST: Reason = Reason(Cow::Borrowed("exit_168_skips_rest"));

    /// `exit_<code>`.
    #[must_use]
    pub fn exit(code: i64) -> Reason {
        Reason(Cow::Owned(format!("exit_{code}")))
    }

    /// A word that AWS or the caller gave; anything but letters, digits and `_` becomes `_`.
    #[must_use]
    pub fn word(text: &str) -> Reason {
        let mut word = String::with_capacity(text.len());
        let mut previous_is_lower = false;
        for c in text.chars() {
            if c.is_ascii_alphanumeric() {
                if c.is_ascii_uppercase() && previous_is_lower {
                    word.push('_');
                }
                previous_is_lower = c.is_ascii_lowercase();
                word.push(c.to_ascii_lowercase());
            } else {
                previous_is_lower = false;
                word.push('_');
            }
        }
        Reason(Cow::Owned(word))
    }

    /// The word.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// How many targets ended with each verdict. Serialises as `{"ok": 3, "failed": 1}`, zeros left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tally(BTreeMap<Verdict, u64>);

impl Tally {
    /// Counts one more target.
    pub fn add(&mut self, verdict: Verdict) {
        *self.0.entry(verdict).or_insert(0) += 1;
    }

    /// Targets with this verdict.
    #[must_use]
    pub fn count(&self, verdict: Verdict) -> u64 {
        self.0.get(&verdict).copied().unwrap_or(0)
    }

    /// Targets with any verdict. A tally that was read may say anything: sums end at the largest number.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.values().fold(0, |sum, n| sum.saturating_add(*n))
    }

    /// Targets whose verdict counts against the error budget.
    #[must_use]
    pub fn bad(&self) -> u64 {
        self.0.iter().filter(|(v, _)| v.is_bad()).fold(0, |sum, (_, n)| sum.saturating_add(*n))
    }

    /// The verdicts that occurred and how often, in summary order.
    pub fn iter(&self) -> impl Iterator<Item = (Verdict, u64)> + '_ {
        self.0.iter().map(|(v, n)| (*v, *n))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_round_trip() {
        for verdict in Verdict::ALL {
            assert_eq!(Verdict::from_word(verdict.as_str()), Some(verdict));
            let json = serde_json::to_string(&verdict).unwrap();
            assert_eq!(json, format!("\"{}\"", verdict.as_str()));
        }
        assert_eq!(Verdict::from_word("fine"), None);
    }

    #[test]
    fn bad_is_what_the_contract_says() {
        let bad: Vec<_> = Verdict::ALL.into_iter().filter(|v| v.is_bad()).map(Verdict::as_str).collect();
        assert_eq!(bad, ["failed", "timed_out", "undelivered", "denied", "unknown"]);
    }

    #[test]
    fn tally_counts_and_leaves_zeros_out() {
        let mut tally = Tally::default();
        tally.add(Verdict::Ok);
        tally.add(Verdict::Ok);
        tally.add(Verdict::Unknown);
        assert_eq!((tally.total(), tally.bad(), tally.count(Verdict::Failed)), (3, 1, 0));
        assert_eq!(serde_json::to_string(&tally).unwrap(), r#"{"ok":2,"unknown":1}"#);
    }

    #[test]
    fn a_tally_that_counts_too_much_has_a_sum() {
        let tally: Tally = serde_json::from_str(r#"{"failed":18446744073709551615,"unknown":2}"#).unwrap();
        assert_eq!((tally.total(), tally.bad()), (u64::MAX, u64::MAX));
    }

    #[test]
    fn reasons_are_one_word() {
        assert_eq!(Reason::word("NoInstancesInTag").as_str(), "no_instances_in_tag");
        assert_eq!(Reason::word("Rate Exceeded").as_str(), "rate_exceeded");
        assert_eq!(Reason::exit(7).as_str(), "exit_7");
    }
}
