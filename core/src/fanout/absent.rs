//! Targets that a command has no result of, although the service was to choose its nodes and it has ended.
//!
//! That an id is on no page proves little: pages shift while they are read. What is missing from as many nodes as the service
//! counts, and from those that it knows by their ids, was never sent to.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

use super::batch::OpenBatch;
use super::executor::Executor;
use super::job::{Finding, Job, Outcome};
use crate::event::Event;
use crate::verdict::{Reason, Verdict};

/// So long, and in so many looks, no result was added to those of a command that has ended: no more will be. The service's
/// documents don't say whether nodes that it never came to get a result at all.
const STEADY: Duration = Duration::from_secs(60);
const STEADY_LOOKS: u32 = 3;

/// How much of a command's results is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Extent {
    /// More will come.
    #[default]
    Partial,
    /// Those of as many nodes as the service counts.
    Whole,
    /// Fewer, and no more come.
    Stalled,
}

/// What looks at a command's results have shown of their extent.
#[derive(Debug, Default)]
pub(super) struct Completeness {
    extent: Extent,
    /// The number of results, since when it has been that, and in how many looks.
    steady: Option<(u64, Instant, u32)>,
    /// Targets that the service has no result of, asked for by their ids since the latest look.
    absent: BTreeSet<usize>,
}

impl Completeness {
    /// A look is through: `listed` results, `running` of them without an end.
    pub(super) fn note(&mut self, open: &OpenBatch, (listed, running): (u64, u64), now: Instant) -> Extent {
        let has_ended = open.counters.is_done;
        let (_, since, looks) = match self.steady.take() {
            Some((before, since, looks)) if before == listed && has_ended => (before, since, looks + 1),
            _ => (listed, now, 1),
        };
        self.steady = Some((listed, since, looks));
        self.absent.clear();
        let is_silent = has_ended || (open.open.is_empty() && listed > 0);
        self.extent = if running > 0 || !is_silent {
            Extent::Partial
        } else if listed >= open.counters.targets {
            Extent::Whole
        } else if has_ended && looks >= STEADY_LOOKS && now >= since + STEADY {
            Extent::Stalled
        } else {
            Extent::Partial
        };
        self.extent
    }
}

impl<J: Job> Executor<J> {
    /// All results that there will be are read, or those that can be: what has none is asked for by its id.
    pub(super) async fn weigh_results(&mut self, open: &mut OpenBatch, read: (u64, u64)) {
        let Some(mut handed) = open.handed.take() else { return };
        let extent = handed.completeness.note(open, read, Instant::now());
        open.handed = Some(handed);
        if extent != Extent::Partial {
            let missing: Vec<usize> = open.open.difference(&open.details).copied().collect();
            for target in missing {
                self.take_finding(open, target, Finding::Unlisted).await;
            }
            self.conclude(open).await;
        }
    }

    /// The service says that the command has no such target, or, `by_listing`, only its listing may be read and does not say so.
    /// False when that proves nothing.
    pub(super) fn note_absent(&self, open: &mut OpenBatch, target: usize, by_listing: bool) -> bool {
        let Some(handed) = &mut open.handed else { return false };
        let is_proven = handed.completeness.extent == Extent::Whole && !handed.is_read_by_id;
        if by_listing && !is_proven {
            return false;
        }
        handed.completeness.absent.insert(target);
        true
    }

    /// Nothing more comes of a command when all that has no result is known to have none.
    pub(super) async fn conclude(&mut self, open: &mut OpenBatch) {
        let Some(handed) = &mut open.handed else { return };
        let Completeness { extent, absent, .. } = &handed.completeness;
        let is_settled = *extent != Extent::Partial && open.open.is_subset(absent);
        if handed.is_final || !is_settled || !open.details.is_empty() {
            return;
        }
        handed.is_final = true;
        let brakes = open.counters.errors > u64::from(handed.limits.max_errors);
        let cancels = self.stopped.filter(|_| open.is_cancelled);
        let not_run = |reason| Outcome::bare(Verdict::NotRun, Some(reason));
        let (outcome, what) = match (*extent, cancels) {
            (Extent::Stalled, _) if brakes => {
                (not_run(Reason::BUDGET), "not come to by the service, and not run")
            }
            (Extent::Stalled, Some(why)) => {
                (not_run(why.reason()), "not come to by the service, and not run")
            }
            // It counts them, and shows neither who they are nor what became of them.
            (Extent::Stalled, None) => (
                Outcome::bare(Verdict::Unknown, Some(Reason::RESULT_LOST)),
                "left without a result, although the command has ended",
            ),
            _ => (not_run(Reason::NOT_SELECTED), "not chosen by the service, and not run"),
        };
        let missing: Vec<usize> = open.open.iter().copied().collect();
        if missing.is_empty() {
            return;
        }
        let message = self.named(what, &missing);
        self.emit(Event::Warning { message, hints: Vec::new() }).await;
        for target in missing {
            self.judge_in(open, target, outcome.clone()).await;
        }
    }
}
