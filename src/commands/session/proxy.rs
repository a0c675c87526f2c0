//! `herder session proxy`: a port of a node on standard input and output.

use std::collections::BTreeMap;

use clap::Args;
use herder_aws::ssm::StartSession;

use super::node::{ReasonArgs, choose};
use super::say;
use crate::ctx::Ctx;
use crate::exit::Exit;
use crate::failure::{Failure, Kind};
use crate::io::Io;
use crate::ops::session::{Launcher, Pipe, proxy};

/// Connect a port of a node with standard input and output, for ssh's ProxyCommand
///
/// Every byte goes through as it is, and nothing else is written to standard output.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  ssh -o ProxyCommand='herder session proxy %h %p' ubuntu@i-0123456789abcdef0
  herder session ssh-config >> ~/.ssh/config
  printf 'PING\\r\\n' | herder session proxy cache-1 6379")]
pub(super) struct SessionProxyArgs {
    /// The node: an id, a name, or any selector that gives one node
    #[arg(value_name = "TARGET")]
    target: String,

    /// The port on it
    #[arg(value_name = "PORT", default_value_t = 22, value_parser = clap::value_parser!(u16).range(1..))]
    port: u16,

    #[command(flatten)]
    reason: ReasonArgs,
}

pub(super) async fn run(ctx: &Ctx, io: &Io, args: &SessionProxyArgs) -> Result<Exit, Failure> {
    let pipe = io.descriptors().and_then(|files| Pipe::new(&files.stdin, &files.stdout));
    let pipe = pipe
        .map_err(|error| Failure::new(Kind::Local, "the standard streams can't be used").caused_by(&error))?;
    let node = choose(ctx, io, &args.target).await?;
    let start = StartSession {
        target: node.id.clone(),
        document: Some("AWS-StartSSHSession".to_owned()),
        reason: args.reason.reason.clone(),
        parameters: BTreeMap::from([("portNumber".to_owned(), vec![args.port.to_string()])]),
    };
    let launcher = Launcher::new(ctx, node.open.scope.clone())?;
    let live = ctx.until_interrupted(launcher.start_on(&node.open, &start)).await?;
    proxy(&launcher, live, pipe, |text| say(io, text, false)).await
}
