//! `cargo xtask bench exec`.

use crate::Outcome;

/// What `bench exec` takes.
#[derive(clap::Args)]
pub(crate) struct ExecArgs {
    /// A tenth of the nodes: a look, not a measurement
    #[arg(long)]
    quick: bool,
}

pub(crate) fn run(args: &ExecArgs) -> Outcome {
    let _ = args.quick;
    Err("not yet".to_owned())
}
