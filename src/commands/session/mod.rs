//! `herder session`: Session Manager, without a plugin.

mod cp;
mod cp_many;
mod exec;
mod forward;
mod list;
mod node;
pub(crate) mod plugin;
mod proxy;
mod shell;
mod ssh;
mod ssh_config;
mod stop;

use std::io::Write as _;
use std::time::Duration;

use clap::{Args, Subcommand};
use herder_core::time::{Bounds, parse_duration};

pub(crate) use self::cp_many::Copying;
use crate::ctx::Ctx;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::io::Io;

/// Open a shell on a node, run a command, forward ports: through Session Manager, without a plugin
///
/// TARGET is any selector that gives one node; of several you choose at the terminal. A node that is called like one of the commands below
/// is `name:NAME`. A lost connection, the hourly one of the service included, is made again and nothing is lost.
#[derive(Args, Clone, Debug)]
#[command(subcommand_negates_reqs = true)]
#[command(after_help = "\
Examples:
  herder session web-1
  herder session 'tag:role=db and az:us-east-1a' --record db.cast
  herder session exec web-1 -- 'systemctl is-active nginx'
  herder session forward web-1 -L 8080:80 -L 5432:db.internal:5432
  herder session cp app.tar.gz web-1:/tmp/
  herder session ssh ubuntu@web-1 -A
  herder session list --owner me

At the beginning of a line `~.` ends the session and `~?` lists the other escapes.
Exit codes of a shell: 0 when it ended as it should, 1 when the session broke off, 130 after a signal.")]
pub(crate) struct SessionArgs {
    #[command(subcommand)]
    verb: Option<SessionVerb>,

    #[command(flatten)]
    shell: shell::ShellArgs,
}

#[derive(Clone, Debug, Subcommand)]
enum SessionVerb {
    Exec(exec::SessionExecArgs),
    Forward(forward::SessionForwardArgs),
    Ssh(ssh::SessionSshArgs),
    Proxy(proxy::SessionProxyArgs),
    SshConfig(ssh_config::SessionSshConfigArgs),
    Cp(Box<cp::SessionCpArgs>),
    List(list::SessionListArgs),
    History(list::SessionHistoryArgs),
    Stop(stop::SessionStopArgs),
    Plugin(plugin::SessionPluginArgs),
}

impl SessionArgs {
    /// Whether the exit code is somebody else's, and failures of herder's own are 255.
    pub(crate) fn is_remote(&self) -> bool {
        matches!(self.verb, Some(SessionVerb::Exec(_) | SessionVerb::Ssh(_)))
    }

    /// Whether it speaks to AWS through the settings, so that `--sim` has something to stand in for.
    pub(crate) fn uses_aws(&self) -> bool {
        !matches!(self.verb, Some(SessionVerb::SshConfig(_) | SessionVerb::Plugin(_)))
    }
}

pub(crate) async fn run(ctx: &Ctx, io: &Io, args: SessionArgs) -> Result<Exit, Failure> {
    let Some(verb) = args.verb else { return shell::run(ctx, io, &args.shell).await };
    args.shell.check_absent()?;
    match verb {
        SessionVerb::Exec(args) => exec::run(ctx, io, &args).await,
        SessionVerb::Forward(args) => forward::run(ctx, io, &args).await,
        SessionVerb::Ssh(args) => ssh::run(ctx, io, &args).await,
        SessionVerb::Proxy(args) => proxy::run(ctx, io, &args).await,
        SessionVerb::SshConfig(args) => ssh_config::run(ctx, io, &args),
        SessionVerb::Cp(args) => cp::run(ctx, io, &args).await,
        SessionVerb::List(args) => list::run(ctx, io, &args).await,
        SessionVerb::History(args) => list::run_history(ctx, io, &args).await,
        SessionVerb::Stop(args) => stop::run(ctx, io, &args).await,
        SessionVerb::Plugin(args) => plugin::run(ctx, io, &args).await,
    }
}

/// `--answer-within`: for ever would be longer than a session lasts.
fn answer_within(text: &str) -> Result<Duration, String> {
    let bounds = Bounds { min: Duration::from_secs(1), max: Duration::from_secs(24 * 3600) };
    parse_duration(text, bounds).map_err(|error| error.to_string())
}

/// Says something to people, on a line of its own; on a raw terminal too.
fn say(io: &Io, text: &str, is_raw: bool) {
    let text = crate::render::shown(io, text);
    let mut stderr = io.stderr();
    let _ = if is_raw { write!(stderr, "\r\nherder: {text}\r\n") } else { writeln!(stderr, "{text}") };
    let _ = stderr.flush();
}

/// What stands after what is said to people under a simulator.
fn simulated(io: &Io) -> &'static str {
    if io.is_simulated() { " (SIMULATED)" } else { "" }
}
