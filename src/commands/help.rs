//! `herder help TOPIC`: what several commands share.

use std::io::Write as _;

use clap::{Args, CommandFactory as _, ValueEnum};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::io::Io;

/// Show help on a command or a topic (exit-codes, output, selectors, rollout, sim)
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
    Sim,
}

impl Topic {
    fn text(self) -> &'static str {
        match self {
            Topic::ExitCodes => include_str!("../../docs/help/exit-codes.txt"),
            Topic::Output => include_str!("../../docs/help/output.txt"),
            Topic::Selectors => include_str!("../../docs/help/selectors.txt"),
            Topic::Rollout => include_str!("../../docs/help/rollout.txt"),
            Topic::Sim => include_str!("../../docs/help/sim.txt"),
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
            Failure::usage(format!("there is no command or topic `{word}`")).hint(format!(
                "Commands: {}. Topics: {}.",
                names.join(", "),
                topics.join(", ")
            ))
        })?;
    }
    Ok(found.render_long_help().to_string())
}

#[cfg(all(test, feature = "sim"))]
mod tests {
    use super::*;

    #[test]
    fn every_key_of_a_simulator_is_told() {
        let told: Vec<&str> =
            Topic::Sim.text().split(|c: char| !c.is_ascii_alphanumeric() && c != '_').collect();
        let missing: Vec<_> =
            herder_sim::Spec::keys().into_iter().filter(|key| !told.contains(key)).collect();
        assert_eq!(missing, Vec::<&str>::new());
    }
}
