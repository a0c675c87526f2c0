//! Files that nodes have beside those that every node has.

use super::{Setting, at_most, parsed};
use crate::draw::Draw;
use crate::fleet::is_in_share;
use crate::fleet::node::Node;
use crate::node_shell::data::Data;
use crate::node_shell::disk::Disk;
use crate::spec::{Share, Spec};
use serde::{Deserialize, Deserializer};

/// A file on some nodes, with the directories that it is in.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FileRule {
    /// Which nodes, as in [`NodeRule::nodes`](super::NodeRule::nodes).
    pub nodes: Option<String>,
    /// On how many of them.
    #[serde(deserialize_with = "parsed")]
    pub share: Option<Share>,
    /// Where: an absolute path, of a directory where it ends with `/`.
    #[serde(deserialize_with = "absolute")]
    pub path: String,
    /// What is in it.
    pub text: String,
    /// So many distinct bytes instead of `text`; up to 1 GiB, which are held in memory.
    #[serde(deserialize_with = "bytes")]
    pub bytes: Option<u64>,
    /// Whose it is; `root` when absent.
    pub owner: Option<String>,
    /// Who may do what, like `"640"`; 644, and 755 for directories, when absent.
    #[serde(deserialize_with = "octal")]
    pub mode: Option<u32>,
}

impl FileRule {
    /// Puts the file on a disk.
    pub(crate) fn install(&self, disk: &mut Disk) {
        let owner = self.owner.as_deref().unwrap_or("root");
        let path = self.path.trim_end_matches('/');
        if path.len() < self.path.len() {
            return disk.install(path, None, (owner, self.mode.unwrap_or(0o755)));
        }
        let drawn = |bytes| Draw::new(0).text(path).printable_part(0, bytes as usize);
        let data = self.bytes.map_or_else(|| self.text.clone().into_bytes(), drawn);
        disk.install(path, Some(Data::of(data)), (owner, self.mode.unwrap_or(0o644)));
    }
}

/// The rules about a node.
pub(crate) fn files_of(spec: &Spec, node: &Node) -> Vec<FileRule> {
    let rules = spec.scenario.iter().flat_map(|scenario| &scenario.files).enumerate();
    let fits = |(number, rule): &(usize, &FileRule)| {
        let draw = Draw::new(spec.seed).text("file").with(*number as u64);
        rule.nodes.as_deref().is_none_or(|pattern| node.is_meant(pattern))
            && is_in_share(rule.share, draw, node)
    };
    rules.filter(fits).map(|(_, rule)| rule.clone()).collect()
}

fn absolute<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let path = String::deserialize(deserializer)?;
    let is_plain = path.starts_with('/')
        && path.trim_end_matches('/').split('/').skip(1).all(|part| !matches!(part, "" | "." | ".."));
    if is_plain {
        Ok(path)
    } else {
        Err(serde::de::Error::custom(format!("'{path}' is no value here: an absolute path is allowed")))
    }
}

fn bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    at_most(u64::deserialize(deserializer)?, 1 << 30).map(Some)
}

fn octal<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    let text = Setting::deserialize(deserializer)?.text();
    match u32::from_str_radix(&text, 8) {
        Ok(mode @ 0..=0o7777) => Ok(Some(mode)),
        _ => {
            let message = format!("'{text}' is no value here: an octal number up to 7777 is allowed");
            Err(serde::de::Error::custom(message))
        }
    }
}
