//! The fan-out executor: sends a [`Job`] to many targets in batches, watches it, judges every target once.
//!
//! It is the only spawner of per-target work in herder. Everything that AWS knows how to do stands behind the one
//! port [`Job`]; everything a person sees comes from the events it emits; everything it intends is in the journal
//! before it happens.
//!
//! - `job`: the port and its outcomes
//! - `policy`: concurrency, error budget, waves; `forecast`: what they come to, before anything is sent
//! - `handed`: sends whose nodes the service chooses; `absent`: those it has no result of; `portion`: each one's part of window and
//!   budget
//! - `queue`: which targets go into the next batch; `places`: how many may
//! - `schedule`: when to look at what (pure)
//! - `realm`: one account and region, and what happens when it fails
//! - `executor`: the loop; `launch`: what it starts; `settle`, `judge`: what it makes of the answers; `waves`, `watch`, `stop`
//! - [`Recovered::from_replay`]: going on with a run that was killed

mod absent;
mod batch;
mod executor;
mod forecast;
mod handed;
mod interrupt;
mod job;
mod judge;
mod launch;
mod pace;
mod places;
mod policy;
mod portion;
mod queue;
mod realm;
mod recover;
mod schedule;
mod settle;
mod stop;
#[cfg(test)]
mod tests;
mod watch;
mod waves;

pub use executor::{Plan, Ports, Recovered, Report, StopReason, fan_out};
pub use forecast::{Forecast, Sends, WaveLoad};
pub use interrupt::Interrupt;
pub use job::{
    Accepted, Batch, Collected, Counters, Detail, Finding, Job, Limits, News, Outcome, Pass, SendOutcome,
    Sweep, SweepScope, Trouble,
};
pub use policy::{Between, Budget, Eagerness, Policy};
pub use waves::GATE_PATIENCE;
