//! What a command acts on: [`Target`], the selector grammar, and the resolved, ordered, unique [`Targets`].

use serde::{Deserialize, Serialize};

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
