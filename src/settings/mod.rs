//! [`Settings`]: what holds for the whole process. Flag, then environment, then configuration file, then default; each value
//! remembers where it came from.

mod defaults;
mod environment;
mod file;

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::args::GlobalArgs;
use crate::failure::Failure;

pub(crate) use self::defaults::{DefaultInUse, apply, check, chosen, every};
pub(crate) use self::environment::Environment;
pub(crate) use self::file::{ConfigFile, Located};

/// Where a setting came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// A flag.
    Flag,
    /// An environment variable.
    Environment(&'static str),
    /// The configuration file, at this line.
    File(usize),
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
    pub utc: Setting<bool>,
    /// `--yes`.
    pub yes: Setting<bool>,
    /// `--no-defaults`.
    pub no_defaults: Setting<bool>,
    /// Names for selectors, from the configuration file: `web = "tag:role=web"` makes `-t web` and `-t 'not web'` mean it. A name
    /// that is no alias is a node's.
    pub aliases: BTreeMap<String, String>,
    /// What the configuration file says.
    pub file: ConfigFile,
    /// Its defaults that count for this command.
    pub defaults_in_use: Vec<DefaultInUse>,
}

impl Settings {
    /// Puts the settings together.
    ///
    /// # Errors
    /// The configuration file doesn't parse, or there is no place for state.
    pub(crate) fn new(
        args: &GlobalArgs,
        environment: &Environment,
        file: ConfigFile,
    ) -> Result<Settings, Failure> {
        let text = |flag: &Option<String>, variable: &'static str, file: &Option<Located<String>>| {
            let flag = flag.clone().map(|value| Setting { value, source: Source::Flag });
            let variable = || {
                let value = environment.get(variable)?.to_owned();
                Some(Setting { value, source: Source::Environment(variable) })
            };
            flag.or_else(variable).or_else(|| file.clone().map(Setting::from))
        };
        let switch = |flag: bool, variable: &'static str, file: Option<&Located<bool>>| {
            if flag {
                return Setting { value: true, source: Source::Flag };
            }
            match environment.get(variable) {
                Some(value) => Setting { value: is_on(value), source: Source::Environment(variable) },
                None => {
                    file.cloned().map_or(Setting { value: false, source: Source::Default }, Setting::from)
                }
            }
        };
        let state_dir = args
            .state_dir
            .clone()
            .map(|value| Setting { value, source: Source::Flag })
            .or_else(|| {
                let value = environment.get("HERDER_STATE_DIR")?.into();
                Some(Setting { value, source: Source::Environment("HERDER_STATE_DIR") })
            })
            .or_else(|| file.state_dir.clone().map(Setting::from))
            .or_else(|| {
                let value = environment.xdg("XDG_STATE_HOME", ".local/state")?;
                Some(Setting { value, source: Source::Default })
            })
            .ok_or_else(|| {
                Failure::usage("there is no state directory: neither XDG_STATE_HOME nor HOME is set")
                    .hint("Say where runs are to be kept with --state-dir.")
            })?;
        Ok(Settings {
            profile: text(&args.profile, "HERDER_PROFILE", &file.profile),
            region: text(&args.region, "HERDER_REGION", &file.region),
            account: text(&args.account, "HERDER_ACCOUNT", &file.account),
            assume_role: text(&args.assume_role, "HERDER_ASSUME_ROLE", &file.assume_role),
            sim: text(&args.sim, "HERDER_SIM", &None),
            state_dir,
            cache_dir: environment.xdg("XDG_CACHE_HOME", ".cache"),
            utc: switch(args.utc, "HERDER_UTC", file.utc.as_ref()),
            yes: switch(args.yes, "HERDER_YES", None),
            no_defaults: switch(args.no_defaults, "HERDER_NO_DEFAULTS", None),
            aliases: file.aliases.iter().map(|(name, alias)| (name.clone(), alias.value.clone())).collect(),
            file,
            defaults_in_use: Vec::new(),
        })
    }
}

impl Settings {
    /// The file's defaults that count for this command, for plans.
    pub(crate) fn default_lines(&self) -> Vec<String> {
        let line = |default: &DefaultInUse| {
            let DefaultInUse { flag, value, path, line } = default;
            format!("  --{flag} {value} is a default of {}:{line}", path.display())
        };
        self.defaults_in_use.iter().map(line).collect()
    }
}

impl<T> From<Located<T>> for Setting<T> {
    fn from(located: Located<T>) -> Setting<T> {
        Setting { value: located.value, source: Source::File(located.line) }
    }
}

/// Whether a variable that is set to this switches something on.
fn is_on(value: &str) -> bool {
    matches!(value, "1" | "true" | "yes" | "on")
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
        let new = |args: &GlobalArgs| {
            Settings::new(args, &environment, ConfigFile::read(&environment).unwrap()).unwrap()
        };
        let settings = new(&GlobalArgs::default());
        assert_eq!(settings.region.as_ref().unwrap().source, Source::File(1));
        assert_eq!(settings.profile.as_ref().unwrap().value, "env");
        assert_eq!(settings.state_dir.value, dir.path().join(".local/state/herder"));
        let args = GlobalArgs { profile: Some("flag".into()), ..GlobalArgs::default() };
        let settings = new(&args);
        assert_eq!(settings.profile.unwrap(), Setting { value: "flag".to_owned(), source: Source::Flag });
    }

    #[test]
    fn an_unknown_key_and_a_missing_home_are_usage_errors() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("herder")).unwrap();
        std::fs::write(dir.path().join("herder/config.toml"), "regoin = 'x'\n").unwrap();
        let environment = environment(&[("XDG_CONFIG_HOME", dir.path().to_str().unwrap())]);
        let failure = ConfigFile::read(&environment).unwrap_err();
        assert!(failure.message.contains("regoin"), "{failure:?}");
        let nothing = Environment::default();
        let file = ConfigFile::read(&nothing).unwrap();
        assert!(Settings::new(&GlobalArgs::default(), &nothing, file).is_err());
    }
}
