//! [`Script`]: what a [`Fake`](super::fake::Fake) does, and to whom.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::fanout::News;
use crate::verdict::Verdict;

/// One target's truth.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) takes: Duration,
    pub(super) verdict: Verdict,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Counts {
    Fresh,
    Lag(Duration),
    Never,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Listing {
    /// As documented.
    Good,
    /// The filter for commands in progress finds nothing.
    FilterEmpty,
    /// The filter is ignored.
    FilterIgnored,
    /// No listing finds anything.
    Empty,
    /// Every n-th command is in no listing.
    Hides(u64),
    /// Commands are listed only some time after they were sent.
    Late(Duration),
    /// Never read to its end: the oldest few are missing.
    Incomplete,
    Denied,
    Failing,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Fault {
    Throttled,
    LostBefore,
    LostAfter,
    NotSent,
    Refused,
    Fatal,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Details {
    None,
    /// Every n-th target's output is cut.
    Every(usize),
    /// The listing of results doesn't know the targets.
    Unlisted,
    /// As `Every(3)`, and the reads of details fail.
    Failing,
    /// As `Unlisted`, and two of three reads of details fail.
    UnlistedFlaky,
}

/// What gates answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Gate {
    Yes,
    /// Yes, with a word of warning.
    Noted,
    /// After the wave of this number; yes before.
    NoAfter(u32),
    Never,
}

#[derive(Clone, Debug)]
pub(super) struct Script {
    pub(super) nodes: Vec<Node>,
    pub(super) latency: Duration,
    /// Calls a second, of each API.
    pub(super) quota: f64,
    pub(super) counts: Counts,
    pub(super) listing: Listing,
    /// Targets that end undelivered were undeliverable: no counter tells of them.
    pub(super) untold: bool,
    /// How long after its end a result can be read.
    pub(super) result_lag: Duration,
    pub(super) details: Details,
    /// By the number of the send, from 1.
    pub(super) faults: BTreeMap<u64, Fault>,
    /// Targets that the service refuses, and whether it says which.
    pub(super) bad: BTreeSet<usize>,
    pub(super) names_bad: bool,
    /// From and to, since the start.
    pub(super) no_credentials: Option<(Duration, Duration)>,
    pub(super) collect_denied: bool,
    pub(super) locate_denied: bool,
    /// Every n-th look fails; 0 for none.
    pub(super) flaky: u64,
    pub(super) lanes: u32,
    /// Lanes are dealt out to so many realms.
    pub(super) realms: u32,
    /// A realm that can't be reached, from and to, since the start.
    pub(super) dark: Option<(u32, Duration, Duration)>,
    /// A realm that takes no sends.
    pub(super) denies: Option<u32>,
    /// A lane whose quota gives no place for so long.
    pub(super) slow_lane: Option<(u32, Duration)>,
    pub(super) cancels: bool,
    /// So many cancels get no answer.
    pub(super) cancel_failures: u64,
    /// Looks for lost sends get no answer until then.
    pub(super) locate_fails: Duration,
    pub(super) expires_in: Duration,
    /// Nodes that never end.
    pub(super) stuck: BTreeSet<usize>,
    pub(super) gate: Gate,
    /// What the watch tells, and when since the start.
    pub(super) news: Vec<(Duration, News)>,
}

impl Script {
    /// So many nodes that answer `ok` after some seconds.
    pub(super) fn of(count: usize) -> Script {
        let takes = |n: usize| Duration::from_millis(1000 + (n as u64 * 7919) % 9000);
        Script {
            nodes: (0..count).map(|n| Node { takes: takes(n), verdict: Verdict::Ok }).collect(),
            latency: Duration::from_millis(120),
            quota: 10.0,
            counts: Counts::Fresh,
            listing: Listing::Good,
            untold: false,
            result_lag: Duration::ZERO,
            details: Details::None,
            faults: BTreeMap::new(),
            bad: BTreeSet::new(),
            names_bad: false,
            no_credentials: None,
            collect_denied: false,
            locate_denied: false,
            flaky: 0,
            lanes: 1,
            realms: 1,
            dark: None,
            denies: None,
            slow_lane: None,
            cancels: true,
            cancel_failures: 0,
            locate_fails: Duration::ZERO,
            expires_in: Duration::from_secs(600),
            stuck: BTreeSet::new(),
            gate: Gate::Yes,
            news: Vec::new(),
        }
    }

    pub(super) fn failing(mut self, targets: impl IntoIterator<Item = usize>) -> Script {
        for target in targets {
            self.nodes[target].verdict = Verdict::Failed;
        }
        self
    }
}
