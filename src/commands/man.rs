//! `herder man`: the manual page, as roff.

use clap::{Args, CommandFactory as _};

use crate::exit::Exit;
use crate::failure::{Failure, Kind};
use crate::io::Io;

/// Print the manual page (pipe it to `man -l -`)
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  herder man | man -l -
  herder man exec | man -l -")]
pub(crate) struct ManArgs {
    /// The words of a command; none for herder itself
    #[arg(value_name = "COMMAND")]
    words: Vec<String>,
}

pub(crate) fn run(io: &Io, args: &ManArgs) -> Result<Exit, Failure> {
    let mut command = crate::cli::Cli::command();
    command.build();
    let mut found = command;
    for word in &args.words {
        let next = found.find_subcommand(word).cloned();
        found = next.ok_or_else(|| Failure::new(Kind::NotFound, format!("there is no command `{word}`")))?;
    }
    let mut page = Vec::new();
    clap_mangen::Man::new(found)
        .render(&mut page)
        .map_err(|error| Failure::new(Kind::Bug, "the manual page can't be written").caused_by(&error))?;
    crate::commands::write_out(io, &page)
}
