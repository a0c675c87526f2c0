//! `herder man`: the manual pages, as roff; and the same text as one Markdown page, for the repository's reference.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use clap::{Args, Command};
use clap_mangen::Man;
use herder_core::target::suggest;

use crate::exit::Exit;
use crate::failure::{Failure, Kind};
use crate::io::Io;

/// The day of the manual pages: that of the last change of what they say in common, so that a build is the same every day.
const DATE: &str = "2026-11-22";
/// Bytes of a line of a page's source: editors and terminals show it whole, and mandoc asks for it.
const SOURCE_WIDTH: usize = 80;
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
        found = next.ok_or_else(|| {
            let failure = Failure::new(Kind::NotFound, format!("there is no command `{word}`"));
            match suggest(word, found.get_subcommands().map(Command::get_name)) {
                Some(meant) => failure.hint(format!("Did you mean `{meant}`?")),
                None => failure,
            }
        })?;
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
    Ok(tidied(&String::from_utf8_lossy(&page)).into_bytes())
}

/// The same page as mandoc wants it: one preamble, lines of a bearable length, and paragraphs told by requests.
fn tidied(page: &str) -> String {
    let (mut tidy, mut is_literal) = (String::new(), false);
    for (n, line) in page.lines().enumerate() {
        let line = line.trim_end();
        let is_request = line.starts_with(['.', '\'']);
        is_literal = (is_literal || line == ".nf") && line != ".fi";
        let is_preamble = line.starts_with(".ie \\n(.g") || line.starts_with(".el .ds Aq");
        if is_preamble && n > 1 {
            continue;
        }
        if is_literal || is_request {
            tidy.push_str(line);
            tidy.push('\n');
        } else if line.is_empty() {
            // A break before or behind a paragraph is none.
            if let Some(before) = tidy.strip_suffix(".br\n") {
                tidy.truncate(before.len());
            }
            tidy.push_str(".sp\n");
        } else {
            filled(&mut tidy, line);
        }
    }
    while tidy.contains(".sp\n.br\n") {
        tidy = tidy.replace(".sp\n.br\n", ".sp\n");
    }
    tidy
}

/// Breaks a line of running text between words; no line may begin as a request does.
fn filled(text: &mut String, line: &str) {
    // Readers see other characters as `\[u2026]`.
    let columns = |word: &str| word.chars().map(|c| if c.is_ascii() { 1 } else { 8 }).sum::<usize>();
    let mut width = 0;
    for word in line.split(' ') {
        let may_break = width > 0 && !word.is_empty() && !word.starts_with(['.', '\'']);
        if may_break && width + 1 + columns(word) > SOURCE_WIDTH {
            text.push('\n');
            width = 0;
        } else if width > 0 {
            text.push(' ');
            width += 1;
        }
        text.push_str(word);
        width += columns(word);
    }
    text.push('\n');
}

fn write_page(page: &mut Vec<u8>, command: &Command) -> io::Result<()> {
    let name = page_name(command);
    let source = format!("herder {}", env!("CARGO_PKG_VERSION"));
    let man = Man::new(command.clone()).title(name.to_uppercase()).date(DATE);
    let man = man.source(source).manual("herder manual");
    man.render_title(page)?;
    man.render_name_section(page)?;
    // clap_mangen's own has every flag, and of what stands behind `--` only the name.
    writeln!(page, ".SH SYNOPSIS\n.nf")?;
    let usage = command.clone().render_usage().to_string();
    for line in usage.trim_start_matches("Usage:").lines() {
        writeln!(page, "{}", roff(line.trim()))?;
    }
    writeln!(page, ".fi")?;
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
    fn pages_are_tidied() {
        let long = "word ".repeat(20) + ".end";
        let page = format!(
            ".ie \\n(.g .ds Aq x\n.el .ds Aq y\n.SH A\n.ie \\n(.g .ds Aq x\n.el .ds Aq y\n{long}\n.br\n\n.br\nb \n.nf\n{long}\n.fi\n"
        );
        let tidy = tidied(&page);
        assert_eq!(tidy.matches(".ds Aq").count(), 2);
        assert!(tidy.contains("\n.sp\nb\n.nf\n") && tidy.contains(&format!(".nf\n{long}\n.fi")), "{tidy}");
        assert!(tidy.lines().filter(|l| l.starts_with("word")).all(|l| l.len() <= 85 || l == long), "{tidy}");
        assert!(!tidy.lines().any(|line| line.starts_with(".end")), "{tidy}");
    }

    #[test]
    fn lines_stay_text() {
        assert_eq!(roff(".x"), "\\&.x");
        assert_eq!(roff("'a' \\ --b `c`"), "\\(aqa\\(aq \\(rs \\-\\-b \\(gac\\(ga");
    }
}
