//! `herder nodes`: the fleet.

use std::io::Write as _;

use clap::{Args, Subcommand};
use herder_core::target::{Query, Reach, Selector};

use crate::args::ListArgs;
use crate::ctx::Ctx;
use crate::exit::Exit;
use crate::failure::{Failure, Kind};
use crate::io::Io;
use crate::ops::nodes::fetch;
use crate::render::{Column, ListWriter};

/// Look at the fleet: EC2 and Systems Manager, merged
#[derive(Args, Clone, Debug)]
pub(crate) struct NodesArgs {
    #[command(subcommand)]
    verb: NodesVerb,
}

#[derive(Clone, Debug, Subcommand)]
enum NodesVerb {
    List(NodesListArgs),
}

/// List nodes
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  herder nodes list
  herder nodes list -t 'tag:env=prod and ping:lost'
  herder nodes list --columns id,name,agent_version,tag:role --sort -agent_version
  herder nodes list --json | jq -r '.[] | select(.managed | not) | .id'")]
struct NodesListArgs {
    /// Only these nodes (can be repeated; the union is taken)
    #[arg(short, long = "target", value_name = "SELECTOR")]
    target: Vec<String>,

    #[command(flatten)]
    list: ListArgs,
}

const COLUMNS: [Column; 17] = [
    Column::usual("id"),
    Column::usual("name"),
    Column::usual("state"),
    Column::usual("ping"),
    Column::usual("platform"),
    Column::usual("agent_version"),
    Column::usual("az"),
    Column::usual("private_ip"),
    Column::extra("account"),
    Column::extra("region"),
    Column::extra("managed"),
    Column::extra("last_ping").of_times(),
    Column::extra("platform_version"),
    Column::extra("instance_type"),
    Column::extra("asg"),
    Column::extra("image"),
    Column::extra("tags"),
];

pub(crate) async fn run(ctx: &Ctx, io: &Io, args: NodesArgs) -> Result<Exit, Failure> {
    let NodesVerb::List(args) = args.verb;
    let mut chosen = Vec::new();
    for text in &args.target {
        let text = ctx.settings.aliases.get(text).unwrap_or(text);
        chosen.push(text.parse::<Selector>()?);
    }
    let query = match chosen.is_empty() {
        true => None,
        false => Some(Query::new(chosen, Vec::new()).map_err(|e| Failure::usage(e.to_string()))?),
    };
    let reach = query.as_ref().map_or(Reach::Everything, Query::reach);
    let mut writer = ListWriter::new(io, &COLUMNS, &args.list.options(ctx))
        .map_err(|error| Failure::usage(error.to_string()))?;
    let open = ctx.until_interrupted(ctx.open_scope(None)).await?;
    let mut count = 0_u64;
    let mut broken = None;
    let fetching = fetch(&open, &reach, |page| {
        for node in page.iter().filter(|node| query.as_ref().is_none_or(|q| q.matches(&node.facts()))) {
            count += 1;
            if broken.is_none() {
                broken = writer.push(node).err();
            }
        }
    });
    let fleet = ctx.until_interrupted(fetching).await?;
    open.keep_learned(ctx.clock.now());
    if let Some(denied) = fleet.denied {
        return Err(denied);
    }
    for warning in &fleet.warnings {
        let _ = writeln!(io.stderr(), "warning: {warning}");
    }
    let written = match broken {
        Some(error) => Err(error),
        None => writer.finish(),
    };
    match written {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::new(Kind::Local, "could not write to standard output").caused_by(&error))
        }
        _ if count == 0 && query.is_some() => {
            crate::report(
                io,
                &Failure::new(Kind::NotFound, format!("no node matches `{}`", args.target.join(", "))),
                None,
            );
            Ok(Exit::NoMatch)
        }
        _ => Ok(Exit::Success),
    }
}
