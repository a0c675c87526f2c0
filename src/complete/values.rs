//! What each value of the command line may be: from the cache, the journal, the configuration files, and lists.

use std::cell::OnceCell;
use std::collections::BTreeSet;

use clap::{Arg, Command};
use herder_core::journal::RunsDirectory;
use herder_core::verdict::Verdict;

use super::cache::{Cache, Known, Section};
use super::context::{AwsFiles, Context};
use super::lines::{Found, offered};
use super::paths;
use super::regions::{DOCUMENTS, REGIONS, SESSION_DOCUMENTS};
use super::selector;
use crate::settings::{Environment, Settings};

/// Runs are offered up to so many, newest first.
const MOST_RUNS: usize = 50;
/// Of so many it is said what they did.
const TOLD_RUNS: usize = 10;

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Chooses nodes.
    Selector,
    /// A node, behind `USER@` perhaps.
    SshTarget,
    /// `NODE:PATH` or a path here.
    Copied,
    /// A run.
    Run,
    /// Verdicts of a run.
    Verdict,
    /// A profile.
    Profile,
    /// Regions.
    Regions,
    /// Accounts.
    Accounts,
    /// A document for Run Command.
    Document,
    /// A document that starts a session.
    SessionDocument,
    /// A variable of the environment.
    Variable,
    /// What a gate asks.
    Gate,
    /// A command's words, of which one was typed before each other.
    Command,
    /// Who a session belongs to.
    Owner,
    /// A file.
    File,
    /// A directory.
    Directory,
    /// Anything: numbers, times, texts, names that only AWS knows.
    Free,
}

impl Kind {
    /// What the value of an argument is; `path` are the words that lead to its command. A test sees to it that each is known.
    pub(super) fn of(path: &[&str], arg: &Arg) -> Option<Kind> {
        let name = arg.get_value_names().and_then(|names| names.first()).map(|name| name.as_str());
        Some(match (arg.get_id().as_str(), name.unwrap_or_default()) {
            ("cwd", _) => Kind::Free,
            ("profile", _) => Kind::Profile,
            ("document", _) if path.first() == Some(&"session") => Kind::SessionDocument,
            ("document", _) => Kind::Document,
            ("region", _) => Kind::Regions,
            ("account", _) => Kind::Accounts,
            ("run", _) => Kind::Run,
            ("gate", _) => Kind::Gate,
            (_, "SELECTOR" | "TARGET" | "PATTERN") => Kind::Selector,
            (_, "[USER@]TARGET") => Kind::SshTarget,
            (_, "SRC" | "DST") => Kind::Copied,
            (_, "VERDICT" | "VERDICT,…") => Kind::Verdict,
            (_, "NODE") => Kind::Selector,
            (_, "NAME[=VALUE]") => Kind::Variable,
            (_, "FILE" | "CA_FILE") => Kind::File,
            (_, "DIR") => Kind::Directory,
            (_, "ARN|me") => Kind::Owner,
            ("words", "COMMAND" | "TOPIC|COMMAND") => Kind::Command,
            ("stop_on_alarm" | "calendar" | "log_group" | "s3" | "assume_role" | "ids", _) => Kind::Free,
            (
                _,
                "N"
                | "N|N%"
                | "N|N%,…"
                | "N/s"
                | "DURATION"
                | "BYTES"
                | "TEXT"
                | "SPEC"
                | "USER"
                | "SHELL"
                | "VERSION"
                | "NAME=VALUE"
                | "CHAR"
                | "PORT"
                | "COMMAND"
                | "ARGS"
                | "WORD"
                | "NAME,…"
                | "TIME"
                | "CODE,…"
                | "ACCOUNT|REGION"
                | "[-]NAME"
                | "FACT,…"
                | "[BIND:]LPORT:[HOST:]RPORT|unix:PATH:[HOST:]RPORT",
            ) => Kind::Free,
            _ => return None,
        })
    }
}

/// Where values come from, each read when it is first needed.
pub(super) struct Values<'a> {
    settings: &'a Settings,
    environment: &'a Environment,
    files: OnceCell<AwsFiles>,
    known: OnceCell<Vec<Known>>,
    /// More bytes than this of one kind are offered by their stems.
    most_bytes: usize,
}

impl<'a> Values<'a> {
    pub(super) fn new(settings: &'a Settings, environment: &'a Environment, most_bytes: usize) -> Values<'a> {
        Values { settings, environment, files: OnceCell::new(), known: OnceCell::new(), most_bytes }
    }

    /// What may complete a value.
    pub(super) fn complete(&self, kind: Kind, text: &str) -> Vec<Found> {
        match kind {
            Kind::Selector => selector::complete(self, text),
            Kind::SshTarget => {
                let at = text.find('@').map_or(0, |at| at + 1);
                let (user, node) = text.split_at_checked(at).unwrap_or(("", text));
                behind(user, selector::complete(self, node))
            }
            Kind::Copied => {
                let mut found = paths::complete(self.home(), text, paths::Kind::File);
                let nodes = selector_names(self, text);
                found.extend(nodes.into_iter().map(|f| match f.is_partial {
                    true => f,
                    false => Found { value: f.value + ":", about: f.about, is_partial: true },
                }));
                found
            }
            Kind::Run => self.runs(text),
            Kind::Verdict => {
                let words = Verdict::ALL.map(Verdict::as_str).into_iter().chain(["bad"]);
                beginning(words.map(|word| (word, "")), text)
            }
            Kind::Profile => {
                let profiles = self.files().profiles();
                beginning(profiles.iter().map(|profile| (profile.as_str(), "")), text)
            }
            Kind::Regions => self.listed(text, |last| {
                let mut found = beginning(REGIONS, last);
                found.extend(beginning([("all", "every region that is enabled")], last));
                found
            }),
            Kind::Accounts => self.listed(text, |last| {
                let accounts = self.accounts();
                let mut found = beginning(accounts.iter().map(|account| (account.as_str(), "")), last);
                found.extend(beginning([("org", "every account of the organization")], last));
                found
                    .extend(beginning([("ou:", "the accounts below a unit")], last).into_iter().map(partial));
                found
            }),
            Kind::Document => {
                let mut found = beginning(DOCUMENTS, text);
                found.extend(self.known(Section::Document, text));
                found
            }
            Kind::SessionDocument => beginning(SESSION_DOCUMENTS, text),
            Kind::Variable if text.contains('=') => Vec::new(),
            Kind::Variable => beginning(self.environment.all().keys().map(|name| (name.as_str(), "")), text),
            Kind::Gate if text.contains('/') => paths::complete(self.home(), text, paths::Kind::File),
            Kind::Gate => {
                let kinds = [("alarm:", "must not be in ALARM"), ("tg:", "every target must be healthy")];
                beginning(kinds, text).into_iter().map(partial).collect()
            }
            Kind::Owner => beginning([("me", "your own")], text),
            Kind::File => paths::complete(self.home(), text, paths::Kind::File),
            Kind::Directory => paths::complete(self.home(), text, paths::Kind::Directory),
            Kind::Command | Kind::Free => Vec::new(),
        }
    }

    /// The last of a comma list.
    fn listed(&self, text: &str, complete: impl Fn(&str) -> Vec<Found>) -> Vec<Found> {
        let at = text.rfind(',').map_or(0, |at| at + 1);
        let (before, last) = text.split_at_checked(at).unwrap_or(("", text));
        behind(before, complete(last))
    }

    /// Values of the cache that begin so, of every place that the command line is about.
    pub(super) fn known(&self, section: Section, prefix: &str) -> Vec<Found> {
        let offered = |known: &Known| offered(known.section(section), prefix, self.most_bytes);
        match self.cached() {
            // Sorted as it is, and each once.
            [only] => offered(only),
            several => several.iter().flat_map(offered).collect::<BTreeSet<Found>>().into_iter().collect(),
        }
    }

    /// Every value of the cache, of every place that the command line is about.
    pub(super) fn all(&self, section: Section) -> impl Iterator<Item = &str> {
        let lines = self.cached().iter().flat_map(move |known| known.section(section).lines());
        lines.map(|line| line.split_once('\t').map_or(line, |(value, _)| value))
    }

    fn cached(&self) -> &[Known] {
        self.known.get_or_init(|| {
            let Some(cache) = self.cache() else { return Vec::new() };
            let context = Context::with(self.settings, self.environment, self.files());
            let places = cache.places(context.key()).into_iter().filter(|place| context.includes(place));
            places.filter_map(|place| cache.read(&place)).collect()
        })
    }

    fn cache(&self) -> Option<Cache> {
        self.settings.cache_dir.as_deref().map(Cache::below)
    }

    /// Accounts that were worked in, on the same AWS.
    fn accounts(&self) -> BTreeSet<String> {
        let context = Context::with(self.settings, self.environment, self.files());
        let places = self.cache().map(|cache| cache.all_places()).unwrap_or_default();
        places.into_iter().filter(|place| context.is_same_aws(place)).map(|place| place.account).collect()
    }

    fn files(&self) -> &AwsFiles {
        self.files.get_or_init(|| AwsFiles::read(self.environment))
    }

    /// The home directory.
    pub(super) fn home(&self) -> Option<&str> {
        self.environment.get("HOME")
    }

    /// Names for selectors, from herder's configuration.
    pub(super) fn aliases(&self) -> impl Iterator<Item = (&str, &str)> {
        self.settings.aliases.iter().map(|(name, selector)| (name.as_str(), selector.as_str()))
    }

    /// Runs of the journal, newest first.
    pub(super) fn runs(&self, text: &str) -> Vec<Found> {
        let runs = RunsDirectory::below(&self.settings.state_dir.value);
        let all = runs.list().unwrap_or_default();
        let mut found = Vec::new();
        if !all.is_empty() {
            found.extend(beginning([("last", "the latest")], text));
        }
        let meant = all.iter().filter(|run| run.as_str().starts_with(text)).take(MOST_RUNS);
        found.extend(meant.enumerate().map(|(n, run)| {
            let title = || Some(runs.open(run).ok()?.record().ok()?.title);
            let about = if n < TOLD_RUNS { title() } else { None };
            let about =
                about.unwrap_or_default().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
            Found { value: run.to_string(), about, is_partial: false }
        }));
        found
    }
}

/// Names and ids of nodes only.
fn selector_names(values: &Values<'_>, text: &str) -> Vec<Found> {
    let mut found = values.known(Section::Name, text);
    if text.starts_with("i-") || text.starts_with("mi-") {
        found.extend(values.known(Section::Id, text));
    }
    found
}

/// Words of a command: subcommands, and topics of `help`.
pub(super) fn commands(root: &Command, words: &[String], topics: &[(&str, &str)], text: &str) -> Vec<Found> {
    let found = words.iter().try_fold(root, |command, word| command.find_subcommand(word));
    let mut all: Vec<Found> = found.map(|command| subcommands(command, text)).unwrap_or_default();
    if words.is_empty() {
        all.extend(beginning(topics.iter().copied(), text));
    }
    all
}

/// The subcommands of a command that begin so.
pub(super) fn subcommands(command: &Command, text: &str) -> Vec<Found> {
    let shown = command.get_subcommands().filter(|c| !c.is_hide_set() && c.get_name().starts_with(text));
    shown
        .map(|c| Found { value: c.get_name().to_owned(), about: about(c.get_about()), is_partial: false })
        .collect()
}

/// The first line of a help text.
pub(super) fn about(text: Option<&clap::builder::StyledStr>) -> String {
    text.map(ToString::to_string).unwrap_or_default().lines().next().unwrap_or_default().to_owned()
}

fn beginning<'a>(all: impl IntoIterator<Item = (&'a str, &'a str)>, text: &str) -> Vec<Found> {
    let all = all.into_iter().filter(|(value, _)| value.starts_with(text));
    all.map(|(value, about)| Found { value: value.to_owned(), about: about.to_owned(), is_partial: false })
        .collect()
}

fn behind(before: &str, mut found: Vec<Found>) -> Vec<Found> {
    found.iter_mut().for_each(|found| found.value.insert_str(0, before));
    found
}

fn partial(found: Found) -> Found {
    Found { is_partial: true, ..found }
}
