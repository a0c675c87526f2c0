//! What a node says to a command, without running anything: a small shell over a table of plausible outputs.
//!
//! The same node, text and occurrence always give the same answer, so that outputs can be made again
//! when somebody reads them instead of being kept.

mod builtins;
mod eval;
mod filters;
mod parse;
mod powershell;
mod table;
mod words;

use crate::clock::At;
use crate::draw::Draw;
use crate::fleet::node::Node;
use std::collections::BTreeMap;

/// What a command is run with.
#[derive(Debug, Clone)]
pub(crate) struct Surroundings<'a> {
    pub(crate) node: &'a Node,
    pub(crate) region: &'a str,
    pub(crate) command_id: &'a str,
    /// When it starts; what `date` says.
    pub(crate) at: At,
    pub(crate) draw: Draw,
    pub(crate) directory: &'a str,
}

/// How a command ended and what it printed.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Answer {
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
    pub(crate) code: i32,
    /// Time that the command asked for by itself (`sleep`).
    pub(crate) asked_seconds: f64,
    /// It did something that takes a while on a real node.
    pub(crate) is_slow: bool,
}

/// Most bytes that one stream of an answer can have.
pub(crate) const OUTPUT_LIMIT: usize = 4 << 20;

/// Answers a POSIX shell script.
pub(crate) fn shell(script: &str, around: &Surroundings<'_>) -> Answer {
    let mut shell = eval::Shell::new(around, environment(around));
    shell.run_script(script, b"", 0);
    shell.finish()
}

/// Answers a PowerShell script.
pub(crate) fn powershell(script: &str, around: &Surroundings<'_>) -> Answer {
    powershell::run(script, around)
}

fn environment(around: &Surroundings<'_>) -> BTreeMap<String, String> {
    let pairs = [
        ("AWS_SSM_INSTANCE_ID", around.node.id.as_str()),
        ("AWS_SSM_REGION_NAME", around.region),
        ("AWS_SSM_PLATFORM_NAME", around.node.platform.name()),
        ("AWS_SSM_PLATFORM_VERSION", around.node.platform.version()),
        ("SSM_COMMAND_ID", around.command_id),
        ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
        ("HOME", "/root"),
        ("PWD", if around.directory.is_empty() { "/usr/bin" } else { around.directory }),
    ];
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

#[cfg(test)]
mod tests;
