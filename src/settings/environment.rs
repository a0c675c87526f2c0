//! [`Environment`]: the process' variables as a parameter.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The environment, handed in once by `main`.
#[derive(Clone, Default)]
pub(crate) struct Environment(BTreeMap<String, String>);

impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // There are keys and tokens in it.
        write!(f, "Environment of {} variables", self.0.len())
    }
}

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
    pub(super) fn xdg(&self, name: &str, below_home: &str) -> Option<PathBuf> {
        let base = self.get(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let base = base.or_else(|| self.get("HOME").map(|home| Path::new(home).join(below_home)));
        base.map(|base| base.join("herder"))
    }
}
