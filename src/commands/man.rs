//! `herder man`: the manual pages, as roff; and the same text as one Markdown page, for the repository's reference.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use clap::{Args, Command};
use clap_mangen::Man;

use crate::exit::Exit;
use crate::failure::{Failure, Kind};
use crate::io::Io;

/// Columns of the reference's help texts, whatever terminal it is made on.
const REFERENCE_WIDTH: usize = 100;

/// Print the manual page (pipe it to `man -l -`)
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  herder man | man -l -
  herder man exec | man -l -
  herder man --all ~/.local/share/man/man1")]
pub(crate) struct ManArgs {
    /// The words of a command; none for herder itself
    #[arg(value_name = "COMMAND")]
    words: Vec<String>,

    /// Write the pages of all commands into this directory
    #[arg(long, value_name = "DIR", conflicts_with = "words")]
    all: Option<PathBuf>,

    /// Print the help of all commands as Markdown
    #[arg(long, hide = true, conflicts_with_all = ["words", "all"])]
    reference: bool,
}

pub(crate) fn run(io: &Io, args: &ManArgs) -> Result<Exit, Failure> {
    let mut command = crate::command().term_width(REFERENCE_WIDTH);
    command.build();
    if args.reference {
        return crate::commands::write_out(io, reference(&command).as_bytes());
    }
    if let Some(directory) = &args.all {
        return write_all(&command, directory).map(|()| Exit::Success);
    }
    let mut found = command;
    for word in &args.words {
        let next = found.find_subcommand(word).cloned();
        found = next.ok_or_else(|| Failure::new(Kind::NotFound, format!("there is no command `{word}`")))?;
    }
    crate::commands::write_out(io, &page(&found)?)
}

fn write_all(command: &Command, directory: &Path) -> Result<(), Failure> {
    let path = directory.join(format!("{}.1", page_name(command)));
    let failed = |error: io::Error| {
        Failure::new(Kind::Local, format!("could not write `{}`", path.display())).caused_by(&error)
    };
    std::fs::create_dir_all(directory).map_err(failed)?;
    std::fs::write(&path, page(command)?).map_err(failed)?;
    command
        .get_subcommands()
        .filter(|c| !c.is_hide_set())
        .try_for_each(|command| write_all(command, directory))
}

/// `herder-runs-list`.
fn page_name(command: &Command) -> String {
    command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned()
}

fn page(command: &Command) -> Result<Vec<u8>, Failure> {
    let mut page = Vec::new();
    write_page(&mut page, command)
        .map_err(|error| Failure::new(Kind::Bug, "the manual page can't be written").caused_by(&error))?;
    Ok(page)
}

fn write_page(page: &mut Vec<u8>, command: &Command) -> io::Result<()> {
    let name = page_name(command);
    let source = format!("herder {}", env!("CARGO_PKG_VERSION"));
    let man = Man::new(command.clone()).title(name).source(source).manual("herder manual");
    man.render_title(page)?;
    man.render_name_section(page)?;
    man.render_synopsis_section(page)?;
    man.render_description_section(page)?;
    man.render_options_section(page)?;
    if command.get_subcommands().next().is_some() {
        man.render_subcommands_section(page)?;
    }
    if let Some(text) = command.get_after_help() {
        // Lines as they stand: filled into a paragraph, examples could not be read.
        let text = text.to_string();
        let (title, text) = match text.strip_prefix("Examples:\n") {
            Some(examples) => ("EXAMPLES", examples),
            None => ("NOTES", text.as_str()),
        };
        writeln!(page, ".SH {title}\n.nf")?;
        for line in text.lines() {
            writeln!(page, "{}", roff(line))?;
        }
        writeln!(page, ".fi")?;
    }
    Ok(())
}

/// A line of text that roff takes literally.
fn roff(line: &str) -> String {
    let escaped =
        line.replace('\\', "\\(rs").replace('-', "\\-").replace('\'', "\\(aq").replace('`', "\\(ga");
    match escaped.starts_with('.') {
        true => format!("\\&{escaped}"),
        false => escaped,
    }
}

fn reference(command: &Command) -> String {
    let mut text =
        "# Commands\n\nWhat `--help` says of every command. Made by `cargo xtask gen`; not edited by hand.\n"
            .to_owned();
    add_reference(&mut text, command, "");
    text
}

fn add_reference(text: &mut String, command: &Command, parent: &str) {
    let name = format!("{parent}{}", command.get_name());
    let help = command.clone().render_long_help().to_string();
    text.push_str(&format!("\n## {name}\n\n```text\n"));
    for line in help.lines() {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text.push_str("```\n");
    for command in command.get_subcommands().filter(|c| !c.is_hide_set()) {
        add_reference(text, command, &format!("{name} "));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_stay_text() {
        assert_eq!(roff(".x"), "\\&.x");
        assert_eq!(roff("'a' \\ --b `c`"), "\\(aqa\\(aq \\(rs \\-\\-b \\(gac\\(ga");
    }
}
