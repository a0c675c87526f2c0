//! `herder nodes`: the fleet.

mod check;
mod list;
mod show;
mod summary;

use std::io::Write as _;

use clap::{Args, Subcommand};
use herder_core::target::{Query, Reach};

use super::exec::{Piped, read_stdin};
use crate::args::TargetArgs;
use crate::ctx::Ctx;
use crate::exit::Exit;
use crate::failure::{Failure, Kind};
use crate::io::Io;
use crate::ops::groups::require_all;
use crate::ops::nodes::{Node, fetch};
use crate::ops::targets::TargetSpec;

/// Look at the fleet: EC2 and Systems Manager, merged
#[derive(Args, Clone, Debug)]
pub(crate) struct NodesArgs {
    #[command(subcommand)]
    verb: NodesVerb,
}

#[derive(Clone, Debug, Subcommand)]
enum NodesVerb {
    List(list::NodesListArgs),
    Show(show::NodesShowArgs),
    Summary(summary::NodesSummaryArgs),
    Check(check::NodesCheckArgs),
}

/// Which nodes are looked at; without any of these all of them.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Target options")]
struct SelectionArgs {
    /// Only these nodes: an id, a name, tag:KEY=VALUE, @FILE, - (can be repeated)
    #[arg(short, long = "target", value_name = "SELECTOR", allow_hyphen_values = true)]
    target: Vec<String>,

    /// Nodes to leave out (can be repeated)
    #[arg(long, value_name = "SELECTOR", allow_hyphen_values = true)]
    exclude: Vec<String>,
}

impl SelectionArgs {
    /// Hands over the nodes, group by group. `draws`: progress may be shown, since nothing else is written meanwhile.
    ///
    /// # Errors
    /// A selector can't be right, AWS can't be asked, or nothing matches (exit 3).
    async fn for_each(
        &self,
        ctx: &Ctx,
        io: &Io,
        draws: bool,
        mut take: impl FnMut(Node),
    ) -> Result<(), Failure> {
        let everything = self.target.is_empty();
        let target = if everything { vec!["all".to_owned()] } else { self.target.clone() };
        let args = TargetArgs { target, exclude: self.exclude.clone(), ..TargetArgs::default() };
        let spec = TargetSpec::new(&args, None, ctx)?;
        let stdin = if spec.reads_stdin() { Some(read_stdin(ctx, io, Piped::Targets).await?) } else { None };
        let opening = ctx.until_interrupted(async {
            let open = ctx.open_scope(None).await?;
            let groups = spec.groups(&open).await?;
            Ok((open, groups))
        });
        let (open, groups) = opening.await?;
        require_all(&[&groups])?;
        let query: Query = spec.query(ctx, &open, stdin.as_deref(), &groups)?;
        let tags = query.tag_values();
        let reach = if everything { Reach::Everything } else { query.reach() };
        let mut count = 0_u64;
        let fetching = fetch(&open, &reach, &tags, |page: Vec<Node>| {
            for node in page.into_iter().filter(|node| query.matches(&node.facts())) {
                count += 1;
                take(node);
            }
        });
        let looking = ctx.until_interrupted(fetching);
        let fleet = match draws {
            true => super::while_looking(ctx, io, looking).await?,
            false => looking.await?,
        };
        open.keep_learned(ctx.clock.now());
        if let Some(denied) = fleet.denied {
            return Err(denied);
        }
        for warning in fleet.warnings.iter().chain(&groups.warnings) {
            let _ = writeln!(io.stderr(), "warning: {warning}");
        }
        if count == 0 && !everything {
            return Err(Failure::new(
                Kind::NotFound,
                format!("no node matches `{}`", self.target.join(", ")),
            )
            .hint("Look at what is there with `herder nodes list`, and check --region and --profile."));
        }
        Ok(())
    }

    /// The nodes, all at once.
    async fn all(&self, ctx: &Ctx, io: &Io) -> Result<Vec<Node>, Failure> {
        let mut nodes = Vec::new();
        self.for_each(ctx, io, true, |node| nodes.push(node)).await?;
        Ok(nodes)
    }
}

pub(crate) async fn run(ctx: &Ctx, io: &Io, args: NodesArgs) -> Result<Exit, Failure> {
    match args.verb {
        NodesVerb::List(args) => list::run(ctx, io, &args).await,
        NodesVerb::Show(args) => show::run(ctx, io, &args).await,
        NodesVerb::Summary(args) => summary::run(ctx, io, &args).await,
        NodesVerb::Check(args) => check::run(ctx, io, &args).await,
    }
}
