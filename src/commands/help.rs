//! `herder help TOPIC`: what several commands share.

use std::io::Write as _;

use clap::{Args, ValueEnum};

use herder_core::target::suggest;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::io::Io;

/// Show help on a command or a topic (exit-codes, output, selectors, rollout, sim)
#[derive(Args, Clone, Debug)]
#[command(
    disable_help_flag = false,
    after_help = "\
Examples:
  herder help exec
  herder help runs resume
  herder help selectors"
)]
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

/// The topics, for completions.
pub(crate) const TOPICS: [(&str, &str); 5] = [
    ("exit-codes", "what each exit code means"),
    ("output", "formats of results and lists"),
    ("selectors", "which nodes a command acts on"),
    ("rollout", "how a change goes over many nodes"),
    ("sim", "every key of the simulator"),
];

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
    let mut command = crate::command();
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

#[cfg(test)]
mod tests {
    use herder_core::target::{Attribute, Comparison, Platform};
    use herder_core::verdict::Verdict;

    use super::*;

    #[test]
    fn the_topics_are_those_of_completions() {
        let names =
            Topic::value_variants().iter().map(|t| t.to_possible_value().unwrap().get_name().to_owned());
        assert!(names.eq(TOPICS.iter().map(|(name, _)| (*name).to_owned())));
    }

    /// The first words of a topic's lines.
    fn heads(topic: Topic) -> Vec<&'static str> {
        topic.text().lines().filter_map(|line| line.split_whitespace().next()).collect()
    }

    #[test]
    fn topics_name_what_there_is() {
        let codes = [0, 1, 2, 3, 4, 5, 6, 7, 8, 70, 130].map(|code: u8| code.to_string());
        let exits = heads(Topic::ExitCodes);
        assert!(codes.iter().all(|code| exits.contains(&code.as_str())));
        let known = [
            Exit::Success,
            Exit::Failed,
            Exit::Usage,
            Exit::NoMatch,
            Exit::Denied,
            Exit::Unknown,
            Exit::Stopped,
            Exit::RolledBack,
            Exit::Refused,
            Exit::Bug,
            Exit::Interrupted,
        ];
        assert!(known.map(|exit| exit.code().to_string()) == codes);
        for verdict in Verdict::ALL {
            assert!(Topic::Rollout.text().contains(&format!("  {} ", verdict.as_str())), "{verdict:?}");
        }
        let selectors = Topic::Selectors.text();
        let words = Attribute::ALL.map(|a| format!("{}:", a.word())).into_iter();
        let words = words.chain(Platform::ALL.map(|p| p.as_str().to_owned()));
        for word in words.chain(Comparison::ALL.map(|c| c.word().to_owned())) {
            assert!(selectors.contains(&word), "{word}");
        }
    }

    /// Every flag that a topic names is one that `exec` or a list takes.
    #[test]
    fn topics_name_no_flag_that_is_not_there() {
        let mut root = crate::command();
        root.build();
        let mut flags = Vec::new();
        fn collect(command: &clap::Command, flags: &mut Vec<String>) {
            flags.extend(command.get_arguments().filter_map(|arg| Some(format!("--{}", arg.get_long()?))));
            command.get_subcommands().for_each(|command| collect(command, flags));
        }
        collect(&root, &mut flags);
        for topic in Topic::value_variants() {
            let (text, _) = topic.text().split_once("Examples:").unwrap();
            for word in text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-')) {
                let is_flag = word.starts_with("--") && word.len() > 2;
                assert!(!is_flag || flags.iter().any(|flag| flag == word), "{word}");
            }
        }
    }

    #[cfg(feature = "sim")]
    #[test]
    fn every_key_of_a_simulator_is_told() {
        let told: Vec<&str> =
            Topic::Sim.text().split(|c: char| !c.is_ascii_alphanumeric() && c != '_').collect();
        let missing: Vec<_> =
            herder_sim::Spec::keys().into_iter().filter(|key| !told.contains(key)).collect();
        assert_eq!(missing, Vec::<&str>::new());
    }
}
