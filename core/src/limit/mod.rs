//! Limiters: how fast each API of each account and region may be called, learned from the service's own throttling.
//!
//! Pure: time comes in as a `Duration` since an origin that the caller chose, randomness as a seed. Nothing here
//! sleeps; only [`LearnedRates`] touches a file, at a path that it is given. What waits for tokens and makes calls
//! is `aws/`'s meter.

mod aimd;
mod key;
mod learned;
#[cfg(test)]
mod simulation;

pub use aimd::{DEFAULT_RATE, Limiter, LimiterOptions, MAX_RATE, MIN_RATE, Take};
pub use key::LimitKey;
pub use learned::{LearnedRates, Loaded, Saved};
