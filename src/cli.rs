//! The root of the command line: one line a command.

use clap::{Parser, Subcommand};

use crate::args::GlobalArgs;
use crate::{commands, version};

/// Run commands on fleets of EC2 instances and hybrid nodes through AWS Systems Manager
///
/// herder drives Systems Manager, EC2 and friends from the shell, for one node or for tens of thousands. Every target ends in
/// exactly one verdict, every run is journalled and can be resumed, and `--sim` rehearses any command on a simulated AWS.
#[derive(Debug, Parser)]
#[command(
    name = "herder",
    disable_help_subcommand = true,
    version,
    long_version = version::long(),
    propagate_version = true,
    max_term_width = 110,
    subcommand_required = true
)]
#[command(after_help = "\
Examples:
  herder --sim=1000 exec -t all --yes -c 20% -- whoami
  herder exec -t tag:env=prod -- systemctl is-active nginx
  herder session web-1
  herder nodes list -t 'tag:role=web and ping:lost'
  herder runs list

Exit codes: 0 done, 1 something failed, 2 usage, 3 nothing matched, 4 denied, 5 unknown,
6 stopped early, 8 refused, 70 bug, 130 interrupted. See `herder help exit-codes`.")]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: GlobalArgs,

    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Exec(Box<commands::exec::ExecArgs>),
    Session(Box<commands::session::SessionArgs>),
    Nodes(commands::nodes::NodesArgs),
    Runs(commands::runs::RunsArgs),
    #[cfg(feature = "sim")]
    Sim(commands::sim::SimArgs),
    Whoami(commands::whoami::WhoamiArgs),
    Doctor(commands::doctor::DoctorArgs),
    Config(commands::config::ConfigArgs),
    Completions(commands::completions::CompletionsArgs),
    Man(commands::man::ManArgs),
    Help(commands::help::HelpArgs),
}

impl Command {
    /// Whether the command speaks to AWS, so that `--sim` has something to stand in for.
    pub(crate) fn uses_aws(&self) -> bool {
        match self {
            Command::Exec(_) | Command::Nodes(_) | Command::Runs(_) | Command::Whoami(_) => true,
            Command::Doctor(args) => args.uses_aws(),
            Command::Config(_) => false,
            Command::Session(args) => args.uses_aws(),
            #[cfg(feature = "sim")]
            Command::Sim(_) => false,
            Command::Completions(_) | Command::Man(_) | Command::Help(_) => false,
        }
    }

    /// Whether a configuration file that is wrong stops it. Help and what a shell evaluates as it starts have to work.
    pub(crate) fn reads_configuration(&self) -> bool {
        match self {
            Command::Completions(_) | Command::Man(_) | Command::Help(_) => false,
            Command::Config(args) => !args.writes(),
            _ => true,
        }
    }
}
