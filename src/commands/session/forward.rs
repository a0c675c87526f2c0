//! `herder session forward`: ports of a node on this machine.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Write as _};
use std::ops::Range;
use std::time::Duration;

use clap::Args;
use herder_aws::ssm::StartSession;
use herder_core::fanout::Interrupt;
use herder_session::forward::{ForwardOptions, ForwardSpec, Listen, ListenError, Listener};
use serde::Serialize;
use tokio::sync::mpsc;

use super::node::{Chosen, ReasonArgs, choose};
use super::{answer_within, say, simulated};
use crate::commands::written;
use crate::ctx::Ctx;
use crate::exit::Exit;
use crate::failure::{Failure, Kind};
use crate::io::Io;
use crate::ops::session::{ForwardNotice, Launcher, Tunnel, Ways, forward};

/// Forward ports on this machine to a node, or to hosts that it reaches
///
/// Each forward is written on standard output when it works, as LOCAL<TAB>REMOTE, or as an object a line with --json: line N is the
/// Nth -L. A listener lasts until Ctrl-C: connections go on where they were when the session's connection is lost, and when a session ends the
/// next connection begins another.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  herder session forward web-1 -L 8080:80
  herder session forward bastion-1 -L 5432:db.internal:5432 -L 6379:cache.internal:6379
  herder session forward web-1 -L 0.0.0.0:8080:80
  herder session forward db-1 -L unix:/tmp/db.sock:5432
  port=$(herder session forward web-1 -L 0:80 --json | head -1 | jq .port)

The node can't be told that a client has closed only the half it sends on. Its connection stays open for the answer; when nothing comes for
the time of --answer-within, it is reset and that is said.

Exit codes: 0 after Ctrl-C, which is how a forward ends; 130 after SIGTERM, or where nothing was forwarded yet.")]
pub(super) struct SessionForwardArgs {
    /// The node: an id, a name, or any selector that gives one node
    #[arg(value_name = "TARGET")]
    target: String,

    /// What to forward; port 0 picks a free one (can be repeated)
    #[arg(
        short = 'L',
        long = "local",
        value_name = "[BIND:]LPORT:[HOST:]RPORT|unix:PATH:[HOST:]RPORT",
        required = true
    )]
    forwards: Vec<ForwardSpec>,

    /// How long nothing may come for a client that has closed the half it sends on, until it is given up; 10m unless given, 90s where
    /// the agent is too old to tell that a port has closed
    #[arg(long, value_name = "DURATION", value_parser = answer_within)]
    answer_within: Option<Duration>,

    #[command(flatten)]
    reason: ReasonArgs,

    /// Write an object a line on standard output
    #[arg(long, visible_alias = "jsonl")]
    json: bool,
}

/// A forward that works.
#[derive(Debug, Serialize)]
struct Forwarding<'a> {
    /// What to connect to.
    local: String,
    /// Null for a Unix socket.
    port: Option<u16>,
    /// Null for a port.
    path: Option<String>,
    /// Where its connections go: `HOST:PORT`, HOST being the node's name for its own ports.
    remote: String,
    target: &'a str,
    name: Option<&'a str>,
}

impl<'a> Forwarding<'a> {
    fn of(tunnel: &Tunnel, node: &'a Chosen) -> Forwarding<'a> {
        let path = tunnel.listener.path().map(|path| path.display().to_string());
        let address = tunnel.listener.addresses().first().map(ToString::to_string);
        let local = match (&path, address) {
            (Some(path), _) => format!("unix:{path}"),
            (None, address) => address.unwrap_or_default(),
        };
        let host = tunnel.spec.host.as_deref().unwrap_or_else(|| node.label());
        let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        Forwarding {
            local,
            port: tunnel.listener.port(),
            path,
            remote: format!("{host}:{}", tunnel.spec.port),
            target: &node.id,
            name: node.name.as_deref(),
        }
    }

    fn write(&self, io: &Io, is_json: bool) -> std::io::Result<()> {
        let mut stdout = io.stdout();
        if is_json {
            serde_json::to_writer(&mut stdout, self)?;
            stdout.write_all(b"\n")?;
        } else {
            writeln!(stdout, "{}\t{}", self.local, self.remote)?;
        }
        stdout.flush()
    }
}

fn options(answer_within: Option<Duration>) -> ForwardOptions {
    let usual = ForwardOptions::default();
    match answer_within {
        Some(grace) => ForwardOptions { grace, single_grace: grace, ..usual },
        None => usual,
    }
}

pub(super) async fn run(ctx: &Ctx, io: &Io, args: &SessionForwardArgs) -> Result<Exit, Failure> {
    let node = choose(ctx, io, &args.target).await?;
    let mut tunnels = Vec::with_capacity(args.forwards.len());
    for spec in &args.forwards {
        let listener = Listener::open(&spec.listen).await.map_err(|error| {
            let failure = Failure::usage(error.to_string());
            let failure = match std::error::Error::source(&error) {
                Some(source) => failure.caused_by(source),
                None => failure,
            };
            failure.hint(hint(&spec.listen, &error))
        })?;
        tunnels.push(Tunnel { spec: spec.clone(), listener });
    }
    let launcher = Launcher::new(ctx, node.open.scope.clone())?;
    let target = StartSession {
        target: node.id.clone(),
        reason: args.reason.reason.clone(),
        ..StartSession::default()
    };
    let (notices, mut said) = mpsc::unbounded_channel();
    let mut interrupts = ctx.interrupts.clone();
    let mut told =
        Told { io, node: &node, tunnels: &tunnels, is_json: args.json, ready: 0, order: InOrder::default() };
    let stop = async {
        tokio::select! {
            // As it is now: another Ctrl-C while sessions are ended makes it no other signal.
            Ok(()) = interrupts.changed() => Ok(*interrupts.borrow()),
            failure = told.all(&mut said) => Err(failure),
        }
    };
    let options = options(args.answer_within);
    let ways = Ways { launcher: &launcher, open: &node.open, target: &target, options: &options };
    let result = forward(ways, &tunnels, notices, stop).await;
    let ready = told.ready;
    // What was said just before a failure may explain it.
    while let Ok(ForwardNotice::Said(text)) = said.try_recv() {
        say(io, &text, false);
    }
    match (result.flatten(), ready) {
        (Ok(_), 0) => Err(Failure::new(Kind::Interrupted, "interrupted; nothing was forwarded")),
        // Ctrl-C is how a forward ends.
        (Ok(Interrupt::Drain), _) => Ok(Exit::Success),
        (Ok(_), _) => Ok(Exit::Interrupted),
        (Err(failure), _) => Err(node.named(failure)),
    }
}

/// What is told of forwards.
struct Told<'a> {
    io: &'a Io,
    node: &'a Chosen,
    tunnels: &'a [Tunnel],
    is_json: bool,
    /// How many work.
    ready: usize,
    order: InOrder,
}

impl Told<'_> {
    /// Tells everything, as long as it can be written.
    async fn all(&mut self, said: &mut mpsc::UnboundedReceiver<ForwardNotice>) -> Failure {
        while let Some(notice) = said.recv().await {
            match notice {
                ForwardNotice::Said(text) => say(self.io, &text, false),
                ForwardNotice::Ready(number) => {
                    if let Err(failure) = self.works(number) {
                        return failure;
                    }
                }
            }
        }
        std::future::pending().await
    }

    fn works(&mut self, number: usize) -> Result<(), Failure> {
        self.ready += 1;
        for tunnel in self.tunnels.get(self.order.ready(number)).unwrap_or_default() {
            written(Forwarding::of(tunnel, self.node).write(self.io, self.is_json))?;
        }
        if self.ready == self.tunnels.len() && self.io.stderr_style().is_tty {
            let text = format!("Forwarding to {}; Ctrl-C ends it{}", self.node.title(), simulated(self.io));
            say(self.io, &text, false);
        }
        Ok(())
    }
}

/// What is ready, in the order that was asked for.
#[derive(Debug, Default)]
struct InOrder {
    next: usize,
    early: BTreeSet<usize>,
}

impl InOrder {
    /// This one is ready; gives those that have their turn now.
    fn ready(&mut self, number: usize) -> Range<usize> {
        self.early.insert(number);
        let first = self.next;
        while self.early.remove(&self.next) {
            self.next += 1;
        }
        first..self.next
    }
}

/// What to do about a listener that can't be opened.
fn hint(listen: &Listen, error: &ListenError) -> &'static str {
    const BIND: &str = "Bind to an address of this machine, or leave it out for localhost.";
    match (listen, error) {
        (_, ListenError::NoAddress(_)) => BIND,
        (_, ListenError::InUse(_) | ListenError::NotASocket(_)) => "Choose another path.",
        (Listen::Unix(_), ListenError::Refused { .. }) => {
            "Choose a path in a directory that exists and that you may write to; it may have some 100 bytes."
        }
        (Listen::Tcp { .. }, ListenError::Refused { source, .. }) => match source.kind() {
            ErrorKind::AddrInUse => "Choose another port, or 0 for any that is free.",
            ErrorKind::PermissionDenied => "Choose a port from 1024 on, or 0 for any that is free.",
            _ => BIND,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_in_the_order_of_the_forwards() {
        let mut order = InOrder::default();
        let turns: Vec<Range<usize>> = [1, 3, 0, 2].into_iter().map(|number| order.ready(number)).collect();
        assert_eq!(turns, [0..0, 0..0, 0..2, 2..4]);
    }
}
