//! `herder completions SHELL`.

use clap::Args;
use clap_complete::Shell;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::io::Io;

/// Print the completion script of a shell
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

pub(crate) fn run(io: &Io, args: &CompletionsArgs) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut crate::command(), "herder", &mut script);
    crate::commands::write_out(io, &script)
}
