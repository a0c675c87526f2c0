//! `herder session list` and `history`.

use std::collections::{BTreeMap, BTreeSet};

use clap::Args;
use herder_aws::ssm::{SessionState, SessionSummary, SessionsQuery};
use jiff::Timestamp;
use serde::Serialize;

use super::node::find;
use super::{say, simulated};
use crate::args::ListArgs;
use crate::commands::{say_simulated, written};
use crate::ctx::Ctx;
use crate::exit::Exit;
use crate::failure::{Failure, Kind};
use crate::io::Io;
use crate::render::{Column, Format, ListWriter};
use crate::scopes::OpenScope;

/// List sessions that go on, everybody's
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  herder session list
  herder session list --owner me
  herder session list -t web-1 --json | jq -r '.[].id'")]
pub(super) struct SessionListArgs {
    #[command(flatten)]
    which: WhichArgs,

    #[command(flatten)]
    list: ListArgs,
}

/// List sessions that have ended, of the last 30 days
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  herder session history -t web-1
  herder session history --owner me --columns id,target,started,ended,reason")]
pub(super) struct SessionHistoryArgs {
    #[command(flatten)]
    which: WhichArgs,

    #[command(flatten)]
    list: ListArgs,
}

/// Which sessions.
#[derive(Args, Clone, Debug)]
struct WhichArgs {
    /// Only those with these nodes: an id, a name, or any selector
    #[arg(short, long, value_name = "SELECTOR")]
    target: Option<String>,

    /// Only those of this principal: an ARN, or `me`
    #[arg(long, value_name = "ARN|me")]
    owner: Option<String>,
}

/// A session, as `--json` shows it. What is not known is null.
#[derive(Debug, Serialize)]
struct Row {
    id: String,
    target: Option<String>,
    status: Option<String>,
    owner: Option<String>,
    document: Option<String>,
    reason: Option<String>,
    started: Option<Timestamp>,
    ended: Option<Timestamp>,
    details: Option<String>,
    account: String,
    region: String,
}

const ACTIVE: [Column; 11] = [
    Column::usual("id"),
    Column::usual("target"),
    Column::usual("status"),
    Column::usual("started").of_times(),
    Column::usual("owner"),
    Column::usual("reason"),
    Column::extra("document"),
    Column::extra("ended").of_times(),
    Column::extra("details"),
    Column::extra("account"),
    Column::extra("region"),
];

const ENDED: [Column; 11] = [
    Column::usual("id"),
    Column::usual("target"),
    Column::usual("started").of_times(),
    Column::usual("ended").of_times(),
    Column::usual("owner"),
    Column::usual("reason"),
    Column::usual("details"),
    Column::extra("status"),
    Column::extra("document"),
    Column::extra("account"),
    Column::extra("region"),
];

pub(super) async fn run(ctx: &Ctx, io: &Io, args: &SessionListArgs) -> Result<Exit, Failure> {
    let found = list(ctx, io, (SessionState::Active, &ACTIVE), &args.which, &args.list).await?;
    Ok(found.say_if_none(io, "No sessions go on."))
}

pub(super) async fn run_history(ctx: &Ctx, io: &Io, args: &SessionHistoryArgs) -> Result<Exit, Failure> {
    let found = list(ctx, io, (SessionState::History, &ENDED), &args.which, &args.list).await?;
    Ok(found.say_if_none(io, "No sessions have ended in the last 30 days."))
}

/// What was listed.
struct Listed {
    count: usize,
    /// Whether it was shown to a person.
    is_for_people: bool,
    exit: Exit,
}

impl Listed {
    fn say_if_none(self, io: &Io, text: &str) -> Exit {
        if self.count == 0 && self.is_for_people && self.exit == Exit::Success {
            say(io, &format!("{text}{}", simulated(io)), false);
        }
        self.exit
    }
}

/// Where to look, and for sessions with which nodes; all of them where there are none.
type Place = (OpenScope, BTreeSet<String>);

/// The places of the nodes that are asked about, or all.
async fn places(ctx: &Ctx, io: &Io, target: Option<&str>) -> Result<(Vec<Place>, Exit), Failure> {
    let all = async |ids: &[&str]| {
        let scopes = ctx.until_interrupted(ctx.open_scopes(None)).await?;
        scopes.warn(io);
        let ids: BTreeSet<String> = ids.iter().map(|id| (*id).to_owned()).collect();
        Ok((scopes.iter().map(|open| (open.clone(), ids.clone())).collect(), scopes.exit()))
    };
    let Some(selector) = target else { return all(&[]).await };
    // No selector finds a container.
    if selector.starts_with("ecs:") {
        return all(&[selector]).await;
    }
    let (scopes, targets) = find(ctx, io, selector).await?;
    let mut ids: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
    for target in targets {
        ids.entry((target.account, target.region)).or_default().insert(target.id);
    }
    let places = ids.into_iter().map(|((account, region), ids)| {
        (scopes.get(&account, &region).unwrap_or_else(|| scopes.first()).clone(), ids)
    });
    Ok((places.collect(), scopes.exit()))
}

async fn list(
    ctx: &Ctx,
    io: &Io,
    (state, columns): (SessionState, &[Column]),
    which: &WhichArgs,
    list: &ListArgs,
) -> Result<Listed, Failure> {
    let options = list.options(ctx);
    let mut writer =
        ListWriter::new(io, columns, &options).map_err(|error| Failure::usage(error.to_string()))?;
    let (mut broken, mut count) = (None, 0);
    let mut take = |row: Row| {
        count += 1;
        if broken.is_none() {
            broken = writer.push(&row).err();
        }
    };
    let (places, mut exit) = places(ctx, io, which.target.as_deref()).await?;
    for (open, nodes) in &places {
        let owner = match which.owner.as_deref() {
            Some("me") => Some(Box::pin(open.scope.identity()).await?.arn),
            owner => owner.map(str::to_owned),
        };
        // The service's filter takes one.
        let target = nodes.first().filter(|_| nodes.len() == 1).cloned();
        let query = SessionsQuery { owner, target, ..SessionsQuery::default() };
        let mut take = |row: Row| {
            if nodes.is_empty() || row.target.as_ref().is_some_and(|target| nodes.contains(target)) {
                take(row);
            }
        };
        match ctx.until_interrupted(pages(open, state, &query, &mut take)).await {
            // One that doesn't answer costs its own sessions.
            Err(failure) if places.len() > 1 && failure.kind != Kind::Interrupted => {
                say(io, &format!("warning: {} is left out: {}", open.name(), failure.message), false);
                exit = Exit::Failed;
            }
            done => done?,
        }
    }
    let shown = written(match broken {
        Some(error) => Err(error),
        None => writer.finish(),
    })?;
    let is_for_people =
        options.format == Format::Table || (options.format == Format::Auto && io.stdout_style().is_tty);
    let exit = if shown == Exit::Success { exit } else { shown };
    if count > 0 || exit != Exit::Success {
        say_simulated(io, options.format);
    }
    Ok(Listed { count, is_for_people, exit })
}

async fn pages(
    open: &OpenScope,
    state: SessionState,
    query: &SessionsQuery,
    take: &mut impl FnMut(Row),
) -> Result<(), Failure> {
    let ssm = open.scope.ssm();
    let mut token: Option<String> = None;
    loop {
        let page = ssm.describe_sessions(state, query, token.as_deref()).await?;
        for session in page.items {
            take(row(session, open));
        }
        token = page.next;
        if token.is_none() {
            return Ok(());
        }
    }
}

fn row(session: SessionSummary, open: &OpenScope) -> Row {
    Row {
        id: session.id,
        target: session.target,
        status: session.status.map(|status| status.to_lowercase()),
        owner: session.owner,
        document: session.document,
        reason: session.reason,
        started: session.started,
        ended: session.ended,
        details: session.details,
        account: open.identity.account.clone(),
        region: open.identity.region.clone(),
    }
}
