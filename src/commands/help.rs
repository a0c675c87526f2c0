//! `herder help TOPIC`: what several commands share.

use std::io::Write as _;

use clap::{Args, CommandFactory as _, ValueEnum};

use herder_core::target::suggest;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::io::Io;

/// Show help on a command or a topic (exit-codes, output, selectors, rollout)
#[derive(Args, Clone, Debug)]
#[command(disable_help_flag = false)]
pub(crate) struct HelpArgs {
    /// A topic, or the words of a command
    #[arg(value_name = "TOPIC|COMMAND")]
    words: Vec<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Topic {
    ExitCodes,
    Output,
    Selectors,
    Rollout,
}

/// The topics, for completions.
pub(crate) const TOPICS: [(&str, &str); 4] = [
    ("exit-codes", "what each exit code means"),
    ("output", "formats of results and lists"),
    ("selectors", "which nodes a command acts on"),
    ("rollout", "how a change goes over many nodes"),
];

impl Topic {
    fn text(self) -> &'static str {
        match self {
            Topic::ExitCodes => include_str!("../../docs/help/exit-codes.txt"),
            Topic::Output => include_str!("../../docs/help/output.txt"),
            Topic::Selectors => include_str!("../../docs/help/selectors.txt"),
            Topic::Rollout => include_str!("../../docs/help/rollout.txt"),
        }
    }
}

pub(crate) fn run(io: &Io, args: &HelpArgs) -> Result<Exit, Failure> {
    let text = match args.words.as_slice() {
        [topic] if Topic::from_str(topic, true).is_ok() => {
            Topic::from_str(topic, true).map(Topic::text).unwrap_or_default().to_owned()
        }
        words => command_help(words)?,
    };
    // A reader that has gone has read enough.
    let _ = io.stdout().write_all(text.as_bytes());
    Ok(Exit::Success)
}

fn command_help(words: &[String]) -> Result<String, Failure> {
    let mut command = crate::cli::Cli::command();
    command.build();
    let mut found = &mut command;
    for word in words {
        let names: Vec<String> = found.get_subcommands().map(|c| c.get_name().to_owned()).collect();
        found = found.find_subcommand_mut(word).ok_or_else(|| {
            let topics: Vec<String> = Topic::value_variants()
                .iter()
                .filter_map(|t| Some(t.to_possible_value()?.get_name().to_owned()))
                .collect();
            let failure = Failure::usage(format!("there is no command or topic `{word}`"));
            let meant = suggest(word, names.iter().chain(&topics).map(String::as_str));
            let failure = match meant {
                Some(meant) => failure.hint(format!("Did you mean `{meant}`?")),
                None => failure,
            };
            failure.hint(format!("Commands: {}. Topics: {}.", names.join(", "), topics.join(", ")))
        })?;
    }
    Ok(found.render_long_help().to_string())
}
