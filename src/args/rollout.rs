//! How a change goes over many targets.

use clap::Args;
use herder_core::target::Share;

/// How a change goes over many targets.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Rollout options")]
pub(crate) struct RolloutArgs {
    /// Targets at once, as a count or a percentage
    #[arg(short, long, value_name = "N|N%", default_value = "50")]
    pub concurrency: Share,

    /// Stop when more targets than this are bad (failed, timed out, undelivered, denied or unknown)
    #[arg(long, value_name = "N|N%", default_value = "0")]
    pub max_errors: Share,

    /// Why it is done; kept with the run
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
}
