//! What a command acts on: [`Target`], the selector grammar, and the resolved, ordered, unique [`Targets`].

mod list_file;
mod natural;
mod parse;
mod pattern;
mod query;
mod selector;
mod service;
mod share;
mod spread;
mod suggest;
mod targets;

use serde::{Deserialize, Serialize};

pub use self::list_file::{ListError, ListedNode, parse_list};
pub use self::natural::natural;
pub use self::parse::SelectorError;
pub use self::pattern::Pattern;
pub use self::query::{ASG_TAG, Filter, NodeFacts, Query, Reach, Unresolved};
pub use self::selector::{
    Attribute, Comparison, Members, NodeSet, Ping, RunRef, ScopedId, Selector, Source, Term, Version, Which,
    is_id,
};
pub use self::service::{Inexpressible, ServiceTarget};
pub use self::share::{Share, ShareError};
pub use self::spread::{WavesError, spread, wave_ends};
pub use self::suggest::suggest;
pub use self::targets::{Empty, Targets};

/// One node, as known when the run's targets were resolved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// `i-…` or `mi-…`.
    #[serde(rename = "target")]
    pub id: String,
    /// Name tag, or the computer name of a hybrid node.
    pub name: Option<String>,
    /// AWS account id.
    pub account: String,
    /// AWS region.
    pub region: String,
    /// Availability zone; null for hybrid nodes.
    pub az: Option<String>,
    /// Platform family; null where SSM doesn't know the node.
    pub platform: Option<Platform>,
}

/// Platform family, which decides the default shell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Platform {
    /// Any Linux.
    Linux,
    /// Windows Server.
    Windows,
    /// macOS.
    Macos,
}

impl Platform {
    /// Every platform.
    pub const ALL: [Platform; 3] = [Platform::Linux, Platform::Windows, Platform::Macos];

    /// The word of the JSON contract and of `platform:`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Platform::Linux => "linux",
            Platform::Windows => "windows",
            Platform::Macos => "macos",
        }
    }
}
