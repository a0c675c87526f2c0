//! What a command acts on.

use std::num::NonZeroUsize;

use clap::Args;
use herder_core::target::Share;

/// What a command acts on.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Target options")]
pub(crate) struct TargetArgs {
    /// Nodes to act on: an id, a name, tag:KEY=VALUE, all, @FILE, - (can be repeated)
    ///
    /// Within one selector ` and ` (`&`) intersects and `not ` (`!`) negates; several selectors add up. See `herder help selectors`.
    #[arg(short, long = "target", value_name = "SELECTOR", allow_hyphen_values = true)]
    pub target: Vec<String>,

    /// Nodes to leave out (can be repeated)
    #[arg(long, value_name = "SELECTOR", allow_hyphen_values = true)]
    pub exclude: Vec<String>,

    /// Act on a random part of them only
    #[arg(long, value_name = "N|N%")]
    pub sample: Option<Share>,

    /// Seed of --sample, for the same choice again
    #[arg(long, value_name = "N", requires = "sample")]
    pub seed: Option<u64>,

    /// Act on this many of them at most
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub limit: Option<NonZeroUsize>,
}

fn at_least_one(text: &str) -> Result<NonZeroUsize, String> {
    text.parse().map_err(|_| "give a number of nodes, 1 or more".to_owned())
}

impl TargetArgs {
    /// The first flag that only herder can keep to, and what to do about it.
    pub(crate) fn only_by_client(&self) -> Option<(&'static str, &'static str)> {
        let hint = "The service goes over everything that the selector chooses: tag the nodes that are meant, or use --via client.";
        if !self.exclude.is_empty() {
            Some(("--exclude", hint))
        } else if self.sample.is_some() {
            Some(("--sample", hint))
        } else if self.limit.is_some() {
            Some(("--limit", hint))
        } else {
            None
        }
    }
}
