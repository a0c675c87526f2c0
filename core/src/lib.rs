//! The pure heart of herder: selectors, the fan-out executor, limiters, the journal, verdicts, folding.
//!
//! Nothing here knows an AWS SDK, a terminal, the environment or the wall clock: time comes in as
//! parameters or from tokio's clock (which tests pause), randomness as a seed, files as paths.

#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing))]

pub mod body;
pub mod event;
pub mod fanout;
pub mod fold;
pub mod journal;
pub mod limit;
pub mod run_id;
pub mod target;
#[cfg(test)]
mod tests;
pub mod time;
pub mod verdict;
pub mod via;
