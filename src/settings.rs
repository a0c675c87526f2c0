//! [`Settings`]: what holds for the whole process. Flag, then environment, then configuration file, then default; each value
//! remembers where it came from.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::args::GlobalArgs;
use crate::failure::Failure;

/// The environment, handed in once by `main`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Environment(BTreeMap<String, String>);

impl Environment {
    /// Takes the variables; those that are not Unicode are left out (AWS's and herder's all are).
    pub(crate) fn new(
        variables: impl IntoIterator<Item = (std::ffi::OsString, std::ffi::OsString)>,
    ) -> Environment {
        let unicode = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Environment(variables.into_iter().filter_map(unicode).collect())
    }

    /// The value of a variable; an empty one counts as not set.
    #[must_use]
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Every variable.
    #[must_use]
    pub(crate) fn all(&self) -> &BTreeMap<String, String> {
        &self.0
    }

    /// A base directory of the XDG specification: `$NAME/herder`, else below the home directory.
    fn xdg(&self, name: &str, below_home: &str) -> Option<PathBuf> {
        let base = self.get(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let base = base.or_else(|| self.get("HOME").map(|home| Path::new(home).join(below_home)));
        base.map(|base| base.join("herder"))
    }
}

/// Where a setting came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// A flag.
    Flag,
    /// An environment variable.
    Environment(&'static str),
    /// The configuration file.
    File,
    /// Built in.
    Default,
}

/// A value and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Setting<T> {
    /// The value.
    pub value: T,
    /// Its origin.
    pub source: Source,
}

/// What holds for the whole process.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// `--profile`; AWS_PROFILE is left to the AWS part, which knows what it means.
    pub profile: Option<Setting<String>>,
    /// `--region`.
    pub region: Option<Setting<String>>,
    /// `--account`.
    pub account: Option<Setting<String>>,
    /// `--assume-role`: an ARN, or a name in the caller's account.
    pub assume_role: Option<Setting<String>>,
    /// `--sim`: the simulator's specification.
    pub sim: Option<Setting<String>>,
    /// Where runs are kept.
    pub state_dir: Setting<PathBuf>,
    /// Learned rates; `None` where there is no home directory.
    pub cache_dir: Option<PathBuf>,
    /// `--utc`.
    pub utc: bool,
    /// `--yes`.
    pub yes: bool,
    /// Names for selectors, from the configuration file: `web = "tag:role=web"` makes `-t web` mean it. A name that is no alias is a
    /// node's.
    pub aliases: BTreeMap<String, String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    profile: Option<String>,
    region: Option<String>,
    account: Option<String>,
    #[serde(rename = "assume-role")]
    assume_role: Option<String>,
    #[serde(rename = "state-dir")]
    state_dir: Option<PathBuf>,
    utc: bool,
    aliases: BTreeMap<String, String>,
}

impl Settings {
    /// Puts the settings together.
    ///
    /// # Errors
    /// The configuration file doesn't parse, or there is no place for state.
    pub(crate) fn new(args: &GlobalArgs, environment: &Environment) -> Result<Settings, Failure> {
        let file = read_file(environment)?;
        let text = |flag: &Option<String>, variable: &'static str, file: Option<String>| {
            let flag = flag.clone().map(|value| Setting { value, source: Source::Flag });
            let variable = || {
                let value = environment.get(variable)?.to_owned();
                Some(Setting { value, source: Source::Environment(variable) })
            };
            flag.or_else(variable).or_else(|| file.map(|value| Setting { value, source: Source::File }))
        };
        let state_dir = args
            .state_dir
            .clone()
            .map(|value| Setting { value, source: Source::Flag })
            .or_else(|| {
                let value = environment.get("HERDER_STATE_DIR")?.into();
                Some(Setting { value, source: Source::Environment("HERDER_STATE_DIR") })
            })
            .or_else(|| file.state_dir.map(|value| Setting { value, source: Source::File }))
            .or_else(|| {
                let value = environment.xdg("XDG_STATE_HOME", ".local/state")?;
                Some(Setting { value, source: Source::Default })
            })
            .ok_or_else(|| {
                Failure::usage("there is no state directory: neither XDG_STATE_HOME nor HOME is set")
                    .hint("Say where runs are to be kept with --state-dir.")
            })?;
        Ok(Settings {
            profile: text(&args.profile, "HERDER_PROFILE", file.profile),
            region: text(&args.region, "HERDER_REGION", file.region),
            account: text(&args.account, "HERDER_ACCOUNT", file.account),
            assume_role: text(&args.assume_role, "HERDER_ASSUME_ROLE", file.assume_role),
            sim: text(&args.sim, "HERDER_SIM", None),
            state_dir,
            cache_dir: environment.xdg("XDG_CACHE_HOME", ".cache"),
            utc: args.utc || is_on(environment.get("HERDER_UTC")) || file.utc,
            yes: args.yes || is_on(environment.get("HERDER_YES")),
            aliases: file.aliases,
        })
    }
}

fn is_on(value: Option<&str>) -> bool {
    matches!(value, Some("1" | "true" | "yes" | "on"))
}

fn read_file(environment: &Environment) -> Result<File, Failure> {
    let Some(directory) = environment.xdg("XDG_CONFIG_HOME", ".config") else { return Ok(File::default()) };
    let path = directory.join("config.toml");
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(File::default()),
        Err(error) => {
            return Err(Failure::usage(format!("could not read `{}`", path.display())).caused_by(&error));
        }
    };
    toml::from_str(&text).map_err(|error| {
        Failure::usage(format!("`{}` is not a valid configuration", path.display())).caused_by(&error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> Environment {
        Environment::new(pairs.iter().map(|(n, v)| ((*n).into(), (*v).into())))
    }

    #[test]
    fn a_flag_beats_the_environment_beats_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().to_str().unwrap();
        std::fs::create_dir_all(dir.path().join(".config/herder")).unwrap();
        std::fs::write(
            dir.path().join(".config/herder/config.toml"),
            "region = 'eu-west-1'\nprofile = 'file'\n",
        )
        .unwrap();
        let environment = environment(&[("HOME", home), ("HERDER_PROFILE", "env")]);
        let settings = Settings::new(&GlobalArgs::default(), &environment).unwrap();
        assert_eq!(settings.region.as_ref().unwrap().source, Source::File);
        assert_eq!(settings.profile.as_ref().unwrap().value, "env");
        assert_eq!(settings.state_dir.value, dir.path().join(".local/state/herder"));
        let args = GlobalArgs { profile: Some("flag".into()), ..GlobalArgs::default() };
        let settings = Settings::new(&args, &environment).unwrap();
        assert_eq!(settings.profile.unwrap(), Setting { value: "flag".to_owned(), source: Source::Flag });
    }

    #[test]
    fn an_unknown_key_and_a_missing_home_are_usage_errors() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("herder")).unwrap();
        std::fs::write(dir.path().join("herder/config.toml"), "regoin = 'x'\n").unwrap();
        let environment = environment(&[("XDG_CONFIG_HOME", dir.path().to_str().unwrap())]);
        let failure = Settings::new(&GlobalArgs::default(), &environment).unwrap_err();
        assert!(failure.causes[0].contains("regoin"), "{failure:?}");
        assert!(Settings::new(&GlobalArgs::default(), &Environment::default()).is_err());
    }
}
