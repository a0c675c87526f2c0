//! Flag groups that commands flatten. A command never invents its own flag for a thing named here.

mod format;
mod global;
mod list;
mod output;
mod rollout;
mod targets;

pub(crate) use format::FormatArgs;
pub(crate) use global::GlobalArgs;
pub(crate) use list::ListArgs;
pub(crate) use output::OutputArgs;
pub(crate) use rollout::{RolloutArgs, Spread, ViaChoice};
pub(crate) use targets::TargetArgs;
