//! `herder session TARGET`: a shell.

use std::path::PathBuf;

use clap::Args;
use herder_aws::ssm::StartSession;
use herder_core::target::Platform;

use super::node::{Chosen, ReasonArgs, choose};
use super::{say, simulated};
use crate::ctx::Ctx;
use crate::exit::Exit;
use crate::failure::{Failure, Kind};
use crate::io::Io;
use crate::ops::exec::split_parameters;
use crate::ops::session::{Launcher, Shell, ShellEnd, ShellOptions, ended, is_of_the_service};

/// A shell on a node.
#[derive(Args, Clone, Debug)]
pub(super) struct ShellArgs {
    /// The node: an id, a name, or any selector that gives one node
    #[arg(value_name = "TARGET", required = true)]
    target: Option<String>,

    /// Start this document in place of the account's shell
    #[arg(long, value_name = "NAME")]
    document: Option<String>,

    /// A parameter of the document (can be repeated; the same name again adds a value)
    #[arg(short, long = "parameter", value_name = "NAME=VALUE", requires = "document")]
    parameters: Vec<String>,

    #[command(flatten)]
    reason: ReasonArgs,

    /// Record what is shown, as asciinema does
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,

    /// Record what is typed as well, passwords included
    #[arg(long, requires = "record")]
    record_input: bool,

    /// The character that begins escapes, or `none`
    #[arg(long, value_name = "CHAR", default_value = "~", value_parser = escape)]
    escape_char: Escape,
}

/// What begins an escape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Escape(Option<u8>);

fn escape(text: &str) -> Result<Escape, String> {
    match text.as_bytes() {
        b"none" => Ok(Escape(None)),
        [byte] if byte.is_ascii_graphic() => Ok(Escape(Some(*byte))),
        _ => Err("give one visible ASCII character, or none".to_owned()),
    }
}

impl ShellArgs {
    /// Nothing of a shell goes with another command.
    pub(super) fn check_absent(&self) -> Result<(), Failure> {
        let is_absent = self.target.is_none()
            && self.document.is_none()
            && self.reason.reason.is_none()
            && self.record.is_none();
        match is_absent {
            true => Ok(()),
            false => Err(Failure::usage("what a shell takes stands before another command of `herder session`")
                .hint("Write the command first: herder session exec TARGET -- COMMAND. A node with a command's name is name:NAME.")),
        }
    }
}

pub(super) async fn run(ctx: &Ctx, io: &Io, args: &ShellArgs) -> Result<Exit, Failure> {
    let parameters = split_parameters(&args.parameters)?;
    if let Some(path) = args.record.as_ref().filter(|path| path.exists()) {
        return Err(Failure::usage(format!("there is a file `{}` already", path.display()))
            .hint("Record to another one: recordings are never overwritten."));
    }
    let node = choose(ctx, io, args.target.as_deref().unwrap_or_default()).await?;
    let start = StartSession {
        target: node.id.clone(),
        document: args.document.clone(),
        reason: args.reason.reason.clone(),
        parameters,
    };
    let launcher = Launcher::new(ctx, node.open.scope.clone())?;
    // A command that waits for its first line has nothing to say before.
    let launcher = if start.document.is_some() { launcher.with_quiet_start() } else { launcher };
    let shell = open(ctx, io, args, &node)?;
    let is_terminal = shell.is_terminal();
    let live = launcher.start_on(&node.open, &start).await;
    let live = live.map_err(|failure| node.named(failure))?;
    let id = live.id.clone();
    if is_terminal {
        say(
            io,
            &format!(
                "Session {id} with {}; ~? at a line's beginning lists escapes{}",
                node.title(),
                simulated(io)
            ),
            false,
        );
    }
    match shell.attend(live, |text, is_raw| say(io, text, is_raw)).await {
        Ok(end) => conclude(io, &launcher, &id, end, is_terminal).await,
        Err(failure) => {
            launcher.terminate(&id).await;
            Err(failure)
        }
    }
}

fn open(ctx: &Ctx, io: &Io, args: &ShellArgs, node: &Chosen) -> Result<Shell, Failure> {
    let options = ShellOptions {
        escape: args.escape_char.0,
        record: args.record.clone(),
        record_input: args.record_input,
        title: node.title(),
        term: ctx.environment.get("TERM").map(str::to_owned),
        began_unix: u64::try_from(ctx.clock.now().as_second()).unwrap_or_default(),
    };
    let opened = io.descriptors().and_then(|files| Shell::new(files, options));
    opened.map_err(|error| Failure::new(Kind::Local, "the terminal can't be used").caused_by(&error))
}

/// Ends what has to be ended, and says how the shell did.
pub(super) async fn conclude(
    io: &Io,
    launcher: &Launcher,
    id: &str,
    end: ShellEnd,
    is_terminal: bool,
) -> Result<Exit, Failure> {
    let exit = match end {
        ShellEnd::Over(end) => {
            if !is_of_the_service(&end) {
                launcher.terminate(id).await;
            }
            ended(&end)?;
            Exit::Success
        }
        ShellEnd::Escaped => {
            launcher.terminate(id).await;
            Exit::Success
        }
        ShellEnd::Stopped => {
            launcher.terminate(id).await;
            Exit::Interrupted
        }
        ShellEnd::NotAShell(started, _) => {
            launcher.terminate(id).await;
            let name = started.session_type.name();
            return Err(Failure::usage(format!(
                "the document starts a session of type {name}, which is no shell"
            ))
            .hint("Use `herder session forward` for ports, and `herder session exec` for a command."));
        }
    };
    if is_terminal {
        say(io, &format!("\nSession {id} has ended{}", simulated(io)), false);
    }
    Ok(exit)
}

/// What a node without a known platform is taken for.
pub(super) fn platform_or_linux(platform: Option<Platform>) -> Platform {
    platform.unwrap_or(Platform::Linux)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_escape_is_one_character_or_none() {
        assert_eq!(escape("~"), Ok(Escape(Some(b'~'))));
        assert_eq!(escape("none"), Ok(Escape(None)));
        for text in ["", "~~", "é", " ", "\n"] {
            assert!(escape(text).is_err(), "{text:?}");
        }
    }
}
