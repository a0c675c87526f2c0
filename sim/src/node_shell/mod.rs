//! What a node does with a command, without anything of it on the host: a shell with a terminal, files in memory and the
//! ordinary programs, and a table of plausible outputs for the rest.
//!
//! A command (`SendCommand`) has a machine of its own, on which no time passes: the same node, text and occurrence always give
//! the same answer, so that outputs can be made again when somebody reads them instead of being kept. Sessions have the
//! node's files in common, and time passes.

mod arithmetic;
mod builtins;
pub(crate) mod data;
pub(crate) mod disk;
mod eval;
mod expand;
pub(crate) mod jobs;
pub(crate) mod machine;
mod parse;
mod pattern;
pub(crate) mod powershell;
pub(crate) mod process;
pub(crate) mod programs;
pub(crate) mod stream;
mod table;
pub(crate) mod terminal;
mod test;
mod words;

use crate::clock::At;
use crate::draw::Draw;
use crate::fleet::node::Node;
use crate::scenario::FileRule;
use machine::{Identity, Machine, Running};
use process::{Process, Streams};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use stream::Stream;

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
    /// Files that the node has beside those of every node.
    pub(crate) files: Vec<FileRule>,
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

/// Times that everything on a machine gets its turn, where nobody waits. What is not over then goes on for ever.
const TURNS: u32 = 4_000;

/// Answers a POSIX shell script.
pub(crate) fn shell(script: &str, around: &Surroundings<'_>) -> Answer {
    let identity = Identity {
        node: around.node.clone(),
        region: around.region.to_owned(),
        command_id: around.command_id.to_owned(),
        draw: around.draw,
        at: around.at,
        files: around.files.clone(),
    };
    let environment = environment(&identity, around.directory);
    let machine = Arc::new(Machine::for_command(identity));
    let (out, stdout) = Stream::gather(OUTPUT_LIMIT);
    let (err, stderr) = Stream::gather(OUTPUT_LIMIT);
    let process = Process {
        machine: machine.clone(),
        name: "sh".to_owned(),
        arguments: vec!["-c".to_owned(), script.to_owned()],
        directory: environment.get("PWD").cloned().unwrap_or_default(),
        environment,
        streams: Streams { input: Stream::Null, out, err, more: BTreeMap::new() },
        terminal: None,
        user: "root".to_owned(),
        depth: 0,
    };
    let (code, endless) = match programs::start(process) {
        Ok(running) => finished(running),
        Err(_) => (127, false),
    };
    Answer {
        stdout: stdout.take(),
        stderr: stderr.take(),
        code,
        asked_seconds: machine.asked_seconds() + if endless { 1e6 } else { 0.0 },
        is_slow: machine.is_slow(),
    }
}

/// Runs something to its end without waiting for anything; true where it has none.
fn finished(mut running: Running) -> (i32, bool) {
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..TURNS {
        if let Poll::Ready(code) = running.as_mut().poll(&mut context) {
            return (code, false);
        }
    }
    (137, true)
}

/// Answers a PowerShell script.
pub(crate) fn powershell(script: &str, around: &Surroundings<'_>) -> Answer {
    powershell::run(script, around)
}

/// What the agent sets for commands.
pub(crate) fn environment(identity: &Identity, directory: &str) -> BTreeMap<String, String> {
    let pairs = [
        ("AWS_SSM_INSTANCE_ID", identity.node.id.as_str()),
        ("AWS_SSM_REGION_NAME", &identity.region),
        ("AWS_SSM_PLATFORM_NAME", identity.node.platform.name()),
        ("AWS_SSM_PLATFORM_VERSION", identity.node.platform.version()),
        ("SSM_COMMAND_ID", &identity.command_id),
        ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
        ("HOME", "/root"),
        ("PWD", if directory.is_empty() { "/usr/bin" } else { directory }),
    ];
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

#[cfg(test)]
mod tests;
