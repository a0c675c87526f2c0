//! The journal: what a run intends, what came of it, on disk before anything changes.

mod bodies;
mod permit;

pub use bodies::{Bodies, BodyRef, StoredOutput};
pub use permit::Permit;
