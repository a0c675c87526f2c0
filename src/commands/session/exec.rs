//! `herder session exec`: one command on one node.

use std::collections::BTreeMap;

use clap::Args;
use herder_aws::ssm::StartSession;

use super::node::{ReasonArgs, choose};
use super::say;
use super::shell::platform_or_linux;
use crate::ctx::Ctx;
use crate::exit::Exit;
use crate::failure::{Failure, Kind};
use crate::io::Io;
use crate::ops::session::{ExecStreams, Launcher, Ran, exec, line_for};

/// What a shell sees of a program that SIGPIPE has ended.
const UNREAD: u8 = 128 + 13;

/// Run a command on one node; its output and its exit code are the process's own
///
/// COMMAND as one argument is a line for the node's shell, as with ssh; several are an exact argv. Both streams come as they are written,
/// with nothing else on them. The exit code is the command's; herder's own failures are 255. The command has no standard input. Ctrl-C
/// interrupts it, the second one ends the session, and so does a reader of standard output that goes away (`| head -1`): that is 141, as
/// with any program in a pipe.
///
/// This is for text: the node's agent changes what is not UTF-8, without a word. Fetch files with `herder session cp NODE:FILE -`, and
/// let other binary output through `| base64` on the node and `| base64 -d` here.
///
/// After a minute without output, and then every few, herder asks whether the node's
/// agent is connected, and ends when it has not been for 5 minutes. What is run stands in Session Manager's history and in CloudTrail.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  herder session exec web-1 -- uptime
  herder session exec web-1 -- 'journalctl -fu nginx | grep 500'
  herder session exec web-1 -- test -f /etc/nginx/nginx.conf && echo there
  herder session exec db-1 -- pg_dump shop > shop.sql
  herder session exec web-1 -- 'head -c 32 /dev/urandom | base64' | base64 -d > key")]
pub(super) struct SessionExecArgs {
    /// The node: an id, a name, or any selector that gives one node
    #[arg(value_name = "TARGET")]
    target: String,

    #[command(flatten)]
    reason: ReasonArgs,

    /// The command
    #[arg(last = true, value_name = "COMMAND", required = true)]
    command: Vec<String>,
}

pub(super) async fn run(ctx: &Ctx, io: &Io, args: &SessionExecArgs) -> Result<Exit, Failure> {
    if args.command.iter().all(|word| word.trim().is_empty()) {
        return Err(Failure::usage("the command is empty"));
    }
    let node = choose(ctx, io, &args.target).await?;
    let line = line_for(platform_or_linux(node.platform), &args.command);
    let parameters = BTreeMap::from([
        ("command".to_owned(), vec![line]),
        ("separateOutputStream".to_owned(), vec!["true".to_owned()]),
    ]);
    let start = StartSession {
        target: node.id.clone(),
        document: Some("AWS-StartNonInteractiveCommand".to_owned()),
        reason: args.reason.reason.clone(),
        parameters,
    };
    let streams = io.descriptors().and_then(|files| ExecStreams::new(&files.stdout, &files.stderr));
    let streams = streams
        .map_err(|error| Failure::new(Kind::Local, "the standard streams can't be used").caused_by(&error))?;
    let launcher = Launcher::new(ctx, node.open.scope.clone())?;
    let live = launcher.start_on(&node.open, &start).await;
    let live = live.map_err(|failure| node.named(failure))?;
    let ran = exec(&launcher, live, streams, ctx.interrupts.clone(), |text| say(io, text, false)).await?;
    match ran {
        // Windows has codes that no shell has.
        Ran::Code(code) => Ok(Exit::Remote(u8::try_from(code).unwrap_or(255))),
        Ran::Interrupted => Ok(Exit::Interrupted),
        Ran::Unread => Ok(Exit::Remote(UNREAD)),
        Ran::WithoutCode { tells_codes: true } => {
            Err(Failure::new(Kind::Unknown, "the session was ended before the command told its exit code").hint(
                "The command may still run. Somebody ended the session, or the node's agent stopped: CloudTrail has who called TerminateSession.",
            ))
        }
        Ran::WithoutCode { tells_codes: false } => {
            Err(Failure::new(Kind::Unknown, "the session ended, and the command's exit code is not known").hint(
                "The node's agent is too old to tell it: update it with the document AWS-UpdateSSMAgent.",
            ))
        }
    }
}
