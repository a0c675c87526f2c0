//! `herder config`: what holds where nothing is said, where it comes from, and a file to begin with.

mod init;
mod show;

use clap::{Args, Subcommand};

use crate::ctx::Ctx;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::io::Io;

/// Show settings and where each comes from, or write a configuration file
#[derive(Args, Clone, Debug)]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    verb: ConfigVerb,
}

#[derive(Clone, Debug, Subcommand)]
enum ConfigVerb {
    Show(show::ConfigShowArgs),
    Init(init::ConfigInitArgs),
}

impl ConfigArgs {
    /// Whether it writes the file: then it doesn't matter what is in it.
    pub(crate) fn writes(&self) -> bool {
        matches!(self.verb, ConfigVerb::Init(_))
    }
}

pub(crate) fn run(ctx: &Ctx, io: &Io, args: &ConfigArgs) -> Result<Exit, Failure> {
    match &args.verb {
        ConfigVerb::Show(args) => show::run(ctx, io, args),
        ConfigVerb::Init(args) => init::run(ctx, io, args),
    }
}
