//! [`Via`]: who carries a command to the nodes, herder or the service; and which of the two is faster.
//!
//! Does not belong here: which selectors a service can be handed (the workflow knows its service).

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Who goes over the targets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Via {
    /// herder, batch by batch.
    #[default]
    Client,
    /// The service: it is handed the selector, once for each kind of send.
    Service,
}

impl Via {
    /// Whether a send of this attempt (from 1) is handed to the service whole. What has to be sent again is known by its ids, and
    /// goes in batches.
    #[must_use]
    pub fn is_whole(self, attempt: u32) -> bool {
        self == Via::Service && attempt <= 1
    }

    /// The word of the contract.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Via::Client => "client",
            Via::Service => "service",
        }
    }
}

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Nodes on a page of results, and in a batch that names its nodes.
const PAGE: u64 = 50;
/// A page of results can't be asked for before the one before it has come.
const PAGE_LATENCY: f64 = 0.12;
/// The service sends to 1, 2, 4, … nodes, each time when the last have taken it: about so many seconds (facts §6.2).
const DOUBLING: f64 = 1.5;

/// One account and region, as far as the time in it goes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Load {
    /// Nodes that something is sent to.
    pub targets: u64,
    /// Of them at once.
    pub concurrency: u64,
    /// Sends that herder needs: batches of fifty of one platform.
    pub batches: u64,
    /// Sends that the service needs: one for each platform.
    pub commands: u64,
    /// Sends a second.
    pub sends_per_second: f64,
    /// Pages of results a second.
    pub reads_per_second: f64,
}

/// How long it takes until every result is read, the command's own time left out: it is the same both ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Estimate {
    /// herder goes over the targets: results are read while others are still sent.
    pub client: Duration,
    /// The service does: it takes its time to get going, and results are read one page after the other.
    pub service: Duration,
}

impl Estimate {
    /// Accounts and regions go side by side: the slowest decides.
    #[must_use]
    pub fn of(loads: &[Load]) -> Estimate {
        let slowest = |time: fn(&Load) -> f64| {
            let seconds = loads.iter().map(time).fold(0.0, f64::max);
            Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
        };
        Estimate { client: slowest(by_client), service: slowest(by_service) }
    }

    /// The faster one. herder's own way is the more exact one, so that the other has to be faster by more than a tenth.
    #[must_use]
    pub fn faster(self) -> Via {
        if self.service.as_secs_f64() * 1.1 < self.client.as_secs_f64() { Via::Service } else { Via::Client }
    }
}

/// What is divided by is never nothing.
fn rate(per_second: f64) -> f64 {
    if per_second.is_finite() && per_second > 0.0 { per_second } else { f64::MIN_POSITIVE }
}

fn by_client(load: &Load) -> f64 {
    let sends = load.batches as f64 / rate(load.sends_per_second);
    let reads = load.batches as f64 / rate(load.reads_per_second);
    sends.max(reads)
}

fn by_service(load: &Load) -> f64 {
    if load.targets == 0 {
        return 0.0;
    }
    let width = load.targets.min(load.concurrency).max(1);
    let doublings = f64::from(u64::BITS - width.leading_zeros() - 1);
    let sends = load.commands as f64 / rate(load.sends_per_second);
    let pages = load.targets.div_ceil(PAGE) as f64;
    sends + doublings * DOUBLING + pages * PAGE_LATENCY.max(1.0 / rate(load.reads_per_second))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(targets: u64, sends_per_second: f64, reads_per_second: f64) -> Load {
        Load {
            targets,
            concurrency: targets,
            batches: targets.div_ceil(PAGE),
            commands: 1,
            sends_per_second,
            reads_per_second,
        }
    }

    #[test]
    fn the_faster_way_in_a_table_of_quotas() {
        for (targets, sends, reads, faster) in [
            // With the same quota for both, pages that are read one after the other lose.
            (10_000, 2.0, 2.0, Via::Client),
            (10_000, 5.0, 5.0, Via::Client),
            (10_000, 10.0, 10.0, Via::Client),
            (10_000, 40.0, 40.0, Via::Client),
            // Sends are scarce and reads are not.
            (10_000, 0.5, 10.0, Via::Service),
            (10_000, 1.0, 10.0, Via::Service),
            (10_000, 3.0, 10.0, Via::Service),
            (10_000, 5.0, 10.0, Via::Client),
            (1_000, 0.5, 10.0, Via::Service),
            (1_000, 1.0, 10.0, Via::Service),
            (1_000, 3.0, 10.0, Via::Client),
            // One send either way.
            (50, 0.5, 10.0, Via::Client),
            (1, 0.5, 0.5, Via::Client),
        ] {
            let estimate = Estimate::of(&[load(targets, sends, reads)]);
            assert_eq!(estimate.faster(), faster, "{targets} nodes, {sends}/s and {reads}/s: {estimate:?}");
        }
    }

    #[test]
    fn the_slowest_place_decides() {
        let fast = load(1_000, 40.0, 40.0);
        let slow = load(10_000, 1.0, 10.0);
        assert_eq!(Estimate::of(&[fast, slow]), Estimate::of(&[slow]));
        assert_eq!(Estimate::of(&[slow]).client, Duration::from_secs(200));
        // 1 send, 13 doublings, 200 pages.
        assert_eq!(Estimate::of(&[slow]).service, Duration::from_secs_f64(1.0 + 19.5 + 24.0));
        let none = Estimate::of(&[]);
        assert_eq!((none.client, none.faster()), (Duration::ZERO, Via::Client));
    }

    #[test]
    fn a_rate_of_nothing_takes_for_ever_and_is_no_reason_to_panic() {
        let never = Estimate::of(&[load(10, 0.0, f64::NAN)]);
        assert_eq!((never.client, never.service), (Duration::MAX, Duration::MAX));
        assert_eq!(never.faster(), Via::Client);
    }

    #[test]
    fn only_the_first_attempt_is_whole() {
        assert!(Via::Service.is_whole(1) && !Via::Service.is_whole(2) && !Via::Client.is_whole(1));
        assert_eq!(serde_json::to_string(&Via::Service).unwrap(), "\"service\"");
    }
}
