//! Flag groups that commands flatten. A command never invents its own flag for a thing named here.

mod global;
mod list;
mod output;
mod rollout;
mod targets;

pub use global::GlobalArgs;
pub use list::ListArgs;
pub use output::{OutputArgs, OutputFormat};
pub use rollout::RolloutArgs;
pub use targets::TargetArgs;
