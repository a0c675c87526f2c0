//! `herder completions SHELL`.

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::io::Io;

/// Print the completion script of a shell
///
/// In bash, zsh and fish a Tab completes nodes, tags, groups, zones, runs, regions, profiles and documents too: from what earlier
/// commands saw of the account that is in use, never by asking AWS. `herder nodes list` makes it see everything anew.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  herder completions bash > ~/.local/share/bash-completion/completions/herder
  herder completions zsh > \"${fpath[1]}/_herder\"
  herder completions fish > ~/.config/fish/completions/herder.fish")]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Of the shells that ask herder, the script is a few lines; of the others it is all that can be said without asking.
pub(crate) fn run(io: &Io, args: &CompletionsArgs) -> Result<Exit, Failure> {
    let asking = match args.shell {
        Shell::Bash => Some(include_str!("herder.bash")),
        Shell::Zsh => Some(include_str!("herder.zsh")),
        Shell::Fish => Some(include_str!("herder.fish")),
        _ => None,
    };
    if let Some(script) = asking {
        return crate::commands::write_out(io, script.as_bytes());
    }
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut crate::cli::Cli::command(), "herder", &mut script);
    crate::commands::write_out(io, &script)
}
