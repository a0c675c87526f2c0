//! [`ConfigFile`]: `config.toml`, with the line of everything in it. A key that means nothing is an error: a misspelt limit that
//! is silently ignored would be found out when it should have held.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use herder_core::target::suggest;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Environment;
use crate::failure::Failure;

/// A value and the line that it stands on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Located<T> {
    /// The value.
    pub value: T,
    /// Counts from 1.
    pub line: usize,
}

/// A flag's default: `concurrency = "10%"` below `[defaults.exec]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FileDefault {
    /// The command's words: `exec`, or `runs` `retry`.
    pub command: Vec<String>,
    /// The flag without its dashes.
    pub flag: String,
    /// Its values as they would be typed.
    pub values: Vec<String>,
    /// Counts from 1.
    pub line: usize,
}

/// What the configuration file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ConfigFile {
    /// Where it is looked for; `None` without a home directory.
    pub path: Option<PathBuf>,
    /// Whether there is one.
    pub exists: bool,
    pub(super) profile: Option<Located<String>>,
    pub(super) region: Option<Located<String>>,
    pub(super) account: Option<Located<String>>,
    pub(super) assume_role: Option<Located<String>>,
    pub(super) state_dir: Option<Located<PathBuf>>,
    pub(super) utc: Option<Located<bool>>,
    /// Names for selectors.
    pub aliases: BTreeMap<String, Located<String>>,
    /// Defaults of commands' flags, in the order of their keys.
    pub defaults: Vec<FileDefault>,
    /// What is wrong with it, for who is to tell it; it says nothing then.
    pub failure: Option<Failure>,
}

/// The keys that stand by themselves.
const KEYS: [&str; 8] =
    ["profile", "region", "account", "assume-role", "state-dir", "utc", "aliases", "defaults"];
/// Flags that are never set by a file, and why.
const NOT_IN_A_FILE: [(&str, &str); 2] = [
    ("yes", "It answers questions that have to be answered each time: give --yes, or set HERDER_YES."),
    (
        "sim",
        "Whether a command is a rehearsal has to be seen where it is typed: give --sim, or set HERDER_SIM.",
    ),
];

/// The path of the configuration file; `None` without a home directory.
pub(crate) fn path(environment: &Environment) -> Option<PathBuf> {
    environment.xdg("XDG_CONFIG_HOME", ".config").map(|directory| directory.join("config.toml"))
}

impl ConfigFile {
    /// One that says nothing.
    pub(crate) fn absent(environment: &Environment) -> ConfigFile {
        ConfigFile { path: path(environment), ..ConfigFile::default() }
    }

    /// One that is wrong.
    pub(crate) fn broken(environment: &Environment, failure: Failure) -> ConfigFile {
        ConfigFile { exists: true, failure: Some(failure), ..ConfigFile::absent(environment) }
    }

    /// Reads it. What `[defaults]` says of commands is only read here; [`super::defaults`] knows whether it makes sense.
    ///
    /// # Errors
    /// It can't be read, is not TOML, or says what means nothing, with the line.
    pub(crate) fn read(environment: &Environment) -> Result<ConfigFile, Failure> {
        let file = ConfigFile::absent(environment);
        let Some(path) = file.path.clone() else { return Ok(file) };
        match std::fs::read_to_string(&path) {
            Ok(text) => file.parse(&path, &text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(file),
            Err(error) => {
                Err(Failure::usage(format!("could not read `{}`", path.display())).caused_by(&error))
            }
        }
    }

    fn parse(mut self, path: &Path, text: &str) -> Result<ConfigFile, Failure> {
        self.exists = true;
        let lines = Lines { path, text };
        let root = DeTable::parse(text).map_err(|error| {
            let at = error.span().map_or(1, |span| lines.number(span.start));
            lines.wrong(at, error.message())
        })?;
        for (key, value) in root.get_ref() {
            let line = lines.number(key.span().start);
            let name: &str = key.get_ref();
            let text =
                || -> Result<_, Failure> { Ok(Some(Located { value: lines.text(name, value)?, line })) };
            match name {
                "profile" => self.profile = text()?,
                "region" => self.region = text()?,
                "account" => self.account = text()?,
                "assume-role" => self.assume_role = text()?,
                "state-dir" => {
                    self.state_dir = Some(Located { value: lines.text(name, value)?.into(), line });
                }
                "utc" => self.utc = Some(Located { value: lines.truth(name, value)?, line }),
                "aliases" => self.aliases = lines.aliases(lines.table(name, value)?)?,
                "defaults" => lines.defaults(&[], lines.table(name, value)?, &mut self.defaults)?,
                unknown => return Err(lines.unknown_key(line, unknown)),
            }
        }
        Ok(self)
    }
}

/// A word that a selector takes for a name: no blank, colon or comma, and none of its own words.
fn can_be_alias(name: &str) -> bool {
    let is_keyword = ["all", "and", "not", "or", "-"].iter().any(|word| name.eq_ignore_ascii_case(word));
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
    !name.is_empty() && !is_keyword && name.chars().all(is_plain)
}

/// A file's text, for messages that say where.
struct Lines<'a> {
    path: &'a Path,
    text: &'a str,
}

impl Lines<'_> {
    /// The line, from 1, of a byte.
    fn number(&self, byte: usize) -> usize {
        self.text.bytes().take(byte).filter(|byte| *byte == b'\n').count() + 1
    }

    fn wrong(&self, line: usize, what: &str) -> Failure {
        Failure::usage(format!("{}:{line}: {what}", self.path.display()))
    }

    fn unknown_key(&self, line: usize, key: &str) -> Failure {
        if let Some((_, why)) = NOT_IN_A_FILE.iter().find(|(name, _)| *name == key) {
            return self.wrong(line, &format!("`{key}` can't be set in a file")).hint(*why);
        }
        let failure = self.wrong(line, &format!("unknown key `{key}`"));
        match suggest(key, KEYS) {
            Some(near) => failure.hint(format!("Did you mean `{near}`?")),
            None => failure.hint(format!("The keys are {}.", KEYS.join(", "))),
        }
    }

    fn text(&self, key: &str, value: &Spanned<DeValue<'_>>) -> Result<String, Failure> {
        let text = value.get_ref().as_str().map(str::to_owned);
        text.filter(|text| !text.trim().is_empty()).ok_or_else(|| self.other(key, value, "a text in quotes"))
    }

    fn truth(&self, key: &str, value: &Spanned<DeValue<'_>>) -> Result<bool, Failure> {
        value.get_ref().as_bool().ok_or_else(|| self.other(key, value, "true or false"))
    }

    fn table<'v, 'i>(&self, key: &str, value: &'v Spanned<DeValue<'i>>) -> Result<&'v DeTable<'i>, Failure> {
        value.get_ref().as_table().ok_or_else(|| self.other(key, value, "a table"))
    }

    fn other(&self, key: &str, value: &Spanned<DeValue<'_>>, wanted: &str) -> Failure {
        self.wrong(self.number(value.span().start), &format!("`{key}` has to be {wanted}"))
    }

    fn aliases(&self, table: &DeTable<'_>) -> Result<BTreeMap<String, Located<String>>, Failure> {
        let mut aliases = BTreeMap::new();
        for (key, value) in table {
            let line = self.number(key.span().start);
            let name = key.get_ref().clone().into_owned();
            if !can_be_alias(&name) {
                return Err(self.wrong(line, &format!("`{name}` can't be the name of an alias")).hint(
                    "Use letters, digits, `-`, `_`, `.` and `/`, and none of the words all, and, not, or.",
                ));
            }
            aliases.insert(name.clone(), Located { value: self.text(&name, value)?, line });
        }
        Ok(aliases)
    }

    /// Tables are commands, everything else is a flag's default.
    fn defaults(
        &self,
        command: &[String],
        table: &DeTable<'_>,
        found: &mut Vec<FileDefault>,
    ) -> Result<(), Failure> {
        for (key, value) in table {
            let line = self.number(key.span().start);
            let name = key.get_ref().clone().into_owned();
            if let Some(table) = value.get_ref().as_table() {
                self.defaults(&[command, &[name]].concat(), table, found)?;
                continue;
            }
            if command.is_empty() {
                return Err(self
                    .wrong(line, &format!("`{name}` is a default of no command"))
                    .hint("Put it below the command that it is for, such as [defaults.exec]."));
            }
            let values = match value.get_ref() {
                DeValue::Array(items) => {
                    items.iter().map(|item| self.word(&name, item)).collect::<Result<_, _>>()?
                }
                _ => vec![self.word(&name, value)?],
            };
            found.push(FileDefault { command: command.to_vec(), flag: name, values, line });
        }
        Ok(())
    }

    /// A value as it would be typed.
    fn word(&self, key: &str, value: &Spanned<DeValue<'_>>) -> Result<String, Failure> {
        match value.get_ref() {
            DeValue::String(text) => Ok(text.clone().into_owned()),
            DeValue::Integer(number) => Ok(number.to_string()),
            DeValue::Float(number) => Ok(number.to_string()),
            DeValue::Boolean(truth) => Ok(truth.to_string()),
            _ => Err(self.other(key, value, "a text, a number, true or false, or a list of them")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<ConfigFile, Failure> {
        ConfigFile::default().parse(Path::new("c.toml"), text)
    }

    #[test]
    fn everything_has_its_line() {
        let text = "# mine\nregion = 'eu-west-1'\nutc = true\n\n[aliases]\nweb = 'tag:role=web'\n\n[defaults.exec]\nconcurrency = '10%'\nwaves = [1, '10%']\n[defaults.runs.retry]\nmax-errors = 3\n";
        let file = parse(text).unwrap();
        assert_eq!(file.region, Some(Located { value: "eu-west-1".to_owned(), line: 2 }));
        assert_eq!(file.utc, Some(Located { value: true, line: 3 }));
        assert_eq!(file.aliases["web"].line, 6);
        let of = |command: &[&str], flag: &str, values: &[&str], line| FileDefault {
            command: command.iter().map(|w| (*w).to_owned()).collect(),
            flag: flag.to_owned(),
            values: values.iter().map(|w| (*w).to_owned()).collect(),
            line,
        };
        let expected = [
            of(&["exec"], "concurrency", &["10%"], 9),
            of(&["exec"], "waves", &["1", "10%"], 10),
            of(&["runs", "retry"], "max-errors", &["3"], 12),
        ];
        assert_eq!(file.defaults, expected);
    }

    #[test]
    fn mistakes_say_where_they_are_and_what_was_meant() {
        for (text, message, hint) in [
            ("\nregoin = 'x'", "c.toml:2: unknown key `regoin`", "Did you mean `region`?"),
            ("alias.web = 'x'", "c.toml:1: unknown key `alias`", "Did you mean `aliases`?"),
            ("aliases.'tag:a' = 'x'", "c.toml:1: `tag:a` can't be the name of an alias", "Use letters"),
            ("zzz = 1", "c.toml:1: unknown key `zzz`", "The keys are profile,"),
            ("yes = true", "c.toml:1: `yes` can't be set in a file", "give --yes"),
            ("utc = 'yes'", "c.toml:1: `utc` has to be true or false", ""),
            ("\n\nregion = ''", "c.toml:3: `region` has to be a text in quotes", ""),
            ("defaults = 3", "c.toml:1: `defaults` has to be a table", ""),
            (
                "[defaults]\noutput = 'json'",
                "c.toml:2: `output` is a default of no command",
                "[defaults.exec]",
            ),
            ("region = 'a'\nregion = 'b'", "c.toml:2: ", ""),
            ("region = ", "c.toml:1: ", ""),
        ] {
            let failure = parse(text).unwrap_err();
            assert!(failure.message.starts_with(message), "{text}: {failure:?}");
            assert!(failure.hints.concat().contains(hint), "{text}: {failure:?}");
        }
    }
}
