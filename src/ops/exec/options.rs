//! [`ExecOptions`]: what is meant, from what was typed; and [`Recipe`], what of it the journal keeps.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use herder_core::event::RunGuards;
use herder_core::journal::HashKey;
use herder_core::target::{Platform, ServiceTarget};
use herder_core::via::Via;
use serde::{Deserialize, Serialize};

use super::channel::Places;
use super::payload::{Wish, Work};
use crate::failure::Failure;
use crate::settings::Environment;

/// The longest execution timeout that the agent takes.
const LONGEST: Duration = Duration::from_secs(172_800);

/// What a run of `exec` is made of, without a single secret: the values of variables and parameters and the standard input are not in it.
/// Kept in `run.json`; what is missing is taken from the same sources again at a resume, and the hash tells whether it is the same.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Recipe {
    /// What to run.
    pub(crate) source: WorkSource,
    /// Whether standard input goes along.
    #[serde(default)]
    pub(crate) stdin: bool,
    /// `--user`.
    #[serde(default)]
    pub(crate) user: Option<String>,
    /// `--cwd`.
    #[serde(default)]
    pub(crate) cwd: Option<String>,
    /// `--shell`.
    #[serde(default)]
    pub(crate) shell: Option<String>,
    /// Names of variables taken from herder's environment or given on the command line, in order.
    #[serde(default)]
    pub(crate) env: Vec<EnvName>,
    /// `--env-file`, absolute.
    #[serde(default)]
    pub(crate) env_files: Vec<PathBuf>,
    /// `--timeout`, seconds.
    pub(crate) timeout_s: u64,
    /// `--delivery-timeout`, seconds.
    pub(crate) delivery_timeout_s: u64,
    /// Where outputs go besides the service's own answers.
    #[serde(flatten)]
    pub(crate) places: Places,
    /// How it goes over the targets.
    #[serde(flatten)]
    pub(crate) rollout: Rollout,
    /// Keyed hash of everything that is sent.
    #[serde(default)]
    pub(crate) sends: String,
}

/// How a run goes over its targets; counts are absolute.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Rollout {
    /// Targets at once.
    pub(crate) concurrency: u64,
    /// Bad targets that don't stop it.
    pub(crate) max_errors: u64,
    /// `--soak` in whole seconds, as earlier versions kept it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) soak_s: u64,
    /// `--soak`, milliseconds.
    #[serde(default)]
    pub(crate) soak_ms: u64,
    /// `--gate`, `--stop-on-alarm`, `--calendar`.
    #[serde(flatten)]
    pub(crate) guards: RunGuards,
    /// `--rate`, targets a second.
    #[serde(default)]
    pub(crate) rate: Option<f64>,
    /// Who goes over them.
    #[serde(default)]
    pub(crate) via: Via,
    /// What the service is handed, if it is the service.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) handed: Vec<ServiceTarget>,
}

impl Rollout {
    /// `--soak`.
    pub(crate) fn soak(&self) -> Duration {
        Duration::from_secs(self.soak_s).max(Duration::from_millis(self.soak_ms))
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference over")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// A variable's name and where its value comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "from", content = "name")]
pub(crate) enum EnvName {
    /// herder's environment.
    Environment(String),
    /// The command line; it must be given again at a resume.
    CommandLine(String),
}

/// Where the work's text comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub(crate) enum WorkSource {
    /// A line for the shell.
    Line {
        /// It.
        line: String,
    },
    /// An exact argv.
    Argv {
        /// It.
        words: Vec<String>,
    },
    /// A file.
    Script {
        /// Absolute.
        path: PathBuf,
        /// Its arguments.
        arguments: Vec<String>,
    },
    /// A document.
    Document {
        /// Name or ARN.
        name: String,
        /// Version.
        version: Option<String>,
        /// The names of its parameters; the values must be given again at a resume.
        parameters: Vec<String>,
    },
}

/// Values that are given on the command line and never kept.
#[derive(Clone, Default)]
pub(crate) struct GivenValues {
    /// `--env NAME=VALUE`.
    pub(crate) env: BTreeMap<String, String>,
    /// `-p NAME=VALUE`.
    pub(crate) parameters: BTreeMap<String, Vec<String>>,
    /// Standard input, read whole.
    pub(crate) stdin: Option<Vec<u8>>,
}

impl fmt::Debug for GivenValues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Names only: values may be secrets.
        f.debug_struct("GivenValues")
            .field("env", &self.env.keys())
            .field("parameters", &self.parameters.keys())
            .finish_non_exhaustive()
    }
}

/// Where values are taken from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sources<'a> {
    /// herder's environment.
    pub(crate) environment: &'a Environment,
    /// The command line and standard input.
    pub(crate) given: &'a GivenValues,
}

impl Recipe {
    /// Fetches what is sent from where it is.
    ///
    /// # Errors
    /// A file can't be read, or a value is not there.
    pub(crate) fn wish(&self, sources: Sources<'_>) -> Result<Wish, Failure> {
        let given = sources.given;
        let work = match &self.source {
            WorkSource::Line { line } => Work::Line(line.clone()),
            WorkSource::Argv { words } => Work::Argv(words.clone()),
            WorkSource::Script { path, arguments } => {
                Work::Script { text: read_text(path, "--script")?, arguments: arguments.clone() }
            }
            WorkSource::Document { name, version, parameters } => {
                if let Some(wanted) = parameters.iter().find(|name| !given.parameters.contains_key(*name)) {
                    return Err(Failure::usage(format!(
                        "the value of the parameter `{wanted}` is needed again"
                    ))
                    .hint(format!("Give it with -p {wanted}=VALUE; the journal keeps no values.")));
                }
                let parameters = given.parameters.clone();
                Work::Document { name: name.clone(), version: version.clone(), parameters }
            }
        };
        if self.stdin && given.stdin.is_none() {
            return Err(Failure::usage("the standard input that is sent along is needed again")
                .hint("Give it with --stdin; the journal does not keep it."));
        }
        Ok(Wish {
            work,
            stdin: given.stdin.clone().filter(|_| self.stdin),
            user: self.user.clone(),
            cwd: self.cwd.clone(),
            shell: self.shell.clone(),
            env: self.variables(sources)?,
            timeout_s: self.timeout_s,
        })
    }

    fn variables(&self, sources: Sources<'_>) -> Result<Vec<(String, String)>, Failure> {
        let mut variables = Vec::new();
        for path in &self.env_files {
            variables.extend(parse_env_file(&read_text(path, "--env-file")?, path)?);
        }
        for name in &self.env {
            let (name, value) = match name {
                EnvName::Environment(name) => {
                    // At a resume it may also be given on the command line.
                    let given = sources.given.env.get(name).cloned();
                    (name, given.or_else(|| sources.environment.get(name).map(str::to_owned)))
                }
                EnvName::CommandLine(name) => (name, sources.given.env.get(name).cloned()),
            };
            let value = value.ok_or_else(|| {
                Failure::usage(format!("the variable `{name}` is not set in herder's environment"))
                    .hint(format!("Export it, or give it with --env {name}=VALUE."))
            })?;
            variables.push((name.clone(), value));
        }
        Ok(variables)
    }

    /// How long a send may go unanswered by its nodes before the service gives up on it.
    pub(crate) fn lifetime(&self) -> Duration {
        Duration::from_secs(self.timeout_s + self.delivery_timeout_s)
    }

    /// The same for a send whose end the service didn't tell: a document keeps its own time, and no more than two days.
    pub(crate) fn patience(&self) -> Duration {
        match &self.source {
            WorkSource::Document { .. } => LONGEST.max(self.lifetime()),
            WorkSource::Line { .. } | WorkSource::Argv { .. } | WorkSource::Script { .. } => self.lifetime(),
        }
    }

    /// What it is called in lists: the command line, shortened; never a value of a variable or parameter.
    pub(crate) fn title(&self) -> String {
        let text = match &self.source {
            WorkSource::Line { line } => line.clone(),
            WorkSource::Argv { words } => super::shell::join_sh(words),
            WorkSource::Script { path, arguments } => {
                let mut words = vec![path.file_name().unwrap_or_default().to_string_lossy().into_owned()];
                words.extend(arguments.iter().cloned());
                super::shell::join_sh(&words)
            }
            WorkSource::Document { name, .. } => name.clone(),
        };
        let first = text.lines().next().unwrap_or_default();
        let mut title: String = first.chars().take(120).collect();
        if title.len() < text.trim_end().len() {
            title.push('…');
        }
        title
    }
}

/// The keyed hash of what every platform would be sent.
pub(crate) fn hash_of(wish: &Wish, key: &HashKey) -> String {
    let mut parts: Vec<Vec<u8>> = Vec::new();
    for platform in [Platform::Linux, Platform::Windows, Platform::Macos] {
        // What can't be sent to a platform is the same every time as well.
        let Ok(payload) = wish.payload(platform) else { continue };
        parts.push(payload.document.into_bytes());
        parts.push(payload.version.unwrap_or_default().into_bytes());
        for (name, values) in payload.parameters {
            parts.push(name.into_bytes());
            parts.extend(values.into_iter().map(String::into_bytes));
        }
    }
    key.hash(parts.iter().map(Vec::as_slice))
}

fn read_text(path: &Path, flag: &str) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(1 << 20).read_to_end(&mut bytes));
    read.map_err(|error| {
        Failure::usage(format!("could not read {flag} `{}`", path.display())).caused_by(&error)
    })?;
    String::from_utf8(bytes).map_err(|_| {
        Failure::usage(format!("{flag} `{}` is not UTF-8 text", path.display()))
            .hint("Run Command carries text only; fetch binaries from S3 on the node.")
    })
}

fn parse_env_file(text: &str, path: &Path) -> Result<Vec<(String, String)>, Failure> {
    let mut variables = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim_start().trim_end_matches('\r');
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let line = line.strip_prefix("export ").unwrap_or(line);
        // The line itself is not shown: it may hold a secret.
        let wrong = || Failure::usage(format!("`{}` line {number} is not NAME=VALUE", path.display()));
        let (name, value) = line.split_once('=').ok_or_else(wrong)?;
        check_name(name).map_err(|_| wrong())?;
        let quoted = ['"', '\''].iter().find_map(|q| value.strip_prefix(*q)?.strip_suffix(*q));
        variables.push((name.to_owned(), quoted.unwrap_or(value).to_owned()));
    }
    Ok(variables)
}

/// Splits `--env` values. Names must be shell names: they become part of a script.
pub(crate) fn split_env(arguments: &[String]) -> Result<(Vec<EnvName>, BTreeMap<String, String>), Failure> {
    let mut names = Vec::new();
    let mut values = BTreeMap::new();
    for argument in arguments {
        let (name, value) = match argument.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (argument.as_str(), None),
        };
        check_name(name)?;
        match value {
            Some(value) => {
                values.insert(name.to_owned(), value.to_owned());
                names.push(EnvName::CommandLine(name.to_owned()));
            }
            None => names.push(EnvName::Environment(name.to_owned())),
        }
    }
    Ok((names, values))
}

fn check_name(name: &str) -> Result<(), Failure> {
    let fits = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if fits { Ok(()) } else { Err(Failure::usage(format!("`{name}` is not the name of a variable"))) }
}

/// Splits `-p NAME=VALUE`; the same name again adds a value.
pub(crate) fn split_parameters(arguments: &[String]) -> Result<BTreeMap<String, Vec<String>>, Failure> {
    let mut parameters: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for argument in arguments {
        let (name, value) = argument
            .split_once('=')
            .filter(|(name, _)| !name.is_empty())
            .ok_or_else(|| Failure::usage("a parameter is given as NAME=VALUE, as in -p Operation=Scan"))?;
        parameters.entry(name.to_owned()).or_default().push(value.to_owned());
    }
    Ok(parameters)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_in_no_debug_text() {
        let given = GivenValues {
            env: BTreeMap::from([("TOKEN".to_owned(), "s3cr3t".to_owned())]),
            parameters: BTreeMap::from([("password".to_owned(), vec!["s3cr3t".to_owned()])]),
            stdin: Some(b"s3cr3t".to_vec()),
        };
        let environment = Environment::new([("AWS_SECRET_ACCESS_KEY".into(), "s3cr3t".into())]);
        let shown =
            format!("{given:?} {environment:?} {:?}", Sources { environment: &environment, given: &given });
        assert!(
            shown.contains("TOKEN") && !shown.contains("s3cr3t") && !shown.contains("115, 51"),
            "{shown}"
        );
    }

    #[test]
    fn environment_files() {
        let text = "# comment\n\nA=1\nexport B=\"two words\"\r\nC='x=y'\nD=\n";
        let variables = parse_env_file(text, Path::new("f")).unwrap();
        let expected = [("A", "1"), ("B", "two words"), ("C", "x=y"), ("D", "")];
        assert_eq!(variables, expected.map(|(n, v)| (n.to_owned(), v.to_owned())));
        let failure = parse_env_file("A=1\nmy-secret-without-name\n", Path::new("f")).unwrap_err();
        assert_eq!(failure.message, "`f` line 2 is not NAME=VALUE");
    }

    #[test]
    fn values_are_kept_apart_from_names() {
        let (names, values) = split_env(&["TOKEN".into(), "A=b=c".into()]).unwrap();
        assert_eq!(names, [EnvName::Environment("TOKEN".into()), EnvName::CommandLine("A".into())]);
        assert_eq!(values["A"], "b=c");
        assert!(split_env(&["1A".into()]).is_err());
        assert!(split_env(&["A;rm -rf /".into()]).is_err());
        let parameters = split_parameters(&["k=a".into(), "k=b=c".into()]).unwrap();
        assert_eq!(parameters["k"], ["a", "b=c"]);
        assert!(split_parameters(&["=x".into()]).is_err());
    }
}
