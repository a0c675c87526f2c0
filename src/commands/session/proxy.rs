//! `herder session proxy`: a port of a node on standard input and output.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::Args;
use herder_aws::ssm::StartSession;

use super::node::{ReasonArgs, choose};
use super::{answer_within, say};
use crate::ctx::Ctx;
use crate::exit::Exit;
use crate::failure::{Failure, Kind};
use crate::io::Io;
use crate::ops::session::{Launcher, Pipe, proxy};

/// Connect a port of a node with standard input and output, for ssh's ProxyCommand
///
/// Every byte goes through as it is, and nothing else is written to standard output. It ends when the port closes. The node can't be told
/// that standard input has ended: after that an answer is waited for.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  ssh -o ProxyCommand='herder session proxy %h %p' ubuntu@i-0123456789abcdef0
  herder session ssh-config >> ~/.ssh/config
  printf 'PING\\r\\nQUIT\\r\\n' | herder session proxy cache-1 6379

Exit codes: 0 when the port has closed, 5 when nothing came for the time of --answer-within and it had not, 130 after a signal.")]
pub(super) struct SessionProxyArgs {
    /// The node: an id, a name, or any selector that gives one node
    #[arg(value_name = "TARGET")]
    target: String,

    /// The port on it
    #[arg(value_name = "PORT", default_value_t = 22, value_parser = clap::value_parser!(u16).range(1..))]
    port: u16,

    /// How long nothing may come after the end of what is sent, until it is given up
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = answer_within)]
    answer_within: Duration,

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
    let live = launcher.start_on(&node.open, &start).await;
    let live = live.map_err(|failure| node.named(failure))?;
    let proxied = proxy(&launcher, live, pipe, args.answer_within, |text| say(io, text, false)).await;
    proxied.map_err(|failure| match failure.kind {
        Kind::Unknown => failure
            .hint("Let what is sent make the port close, as HTTP's `Connection: close` does; or wait longer with --answer-within."),
        _ => failure,
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use herder_session::forward::ANSWER_WITHIN;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: SessionProxyArgs,
    }

    #[test]
    fn the_default_is_that_of_forwards() {
        let line = Line::try_parse_from(["proxy", "web-1"]).unwrap();
        assert_eq!(line.args.answer_within, ANSWER_WITHIN);
        assert!(Line::try_parse_from(["proxy", "web-1", "--answer-within", "0s"]).is_err());
    }
}
