//! `herder nodes`: the fleet.

mod check;
mod list;
mod show;
mod summary;

use std::cell::{Cell, RefCell};
use std::io::Write as _;

use clap::{Args, Subcommand};
use futures_util::future::LocalBoxFuture;
use herder_core::target::{Query, Reach};

use super::exec::{Piped, read_stdin};
use crate::args::TargetArgs;
use crate::ctx::Ctx;
use crate::exit::Exit;
use crate::failure::{Failure, Kind};
use crate::io::Io;
use crate::ops::nodes::{Node, fetch};
use crate::ops::place::in_each;
use crate::ops::targets::{TargetSpec, questions};
use crate::scopes::Scopes;

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
    /// Opens what is to be looked at.
    ///
    /// # Errors
    /// A selector can't be right, or there are no credentials.
    async fn open(&self, ctx: &Ctx, io: &Io) -> Result<Selected, Failure> {
        let everything = self.target.is_empty();
        let target = if everything { vec!["all".to_owned()] } else { self.target.clone() };
        let args = TargetArgs { target, exclude: self.exclude.clone(), ..TargetArgs::default() };
        let spec = TargetSpec::new(&args, None, ctx)?;
        let stdin = if spec.reads_stdin() { Some(read_stdin(ctx, io, Piped::Targets).await?) } else { None };
        let opening = ctx.until_interrupted(async {
            let mut scopes = Box::pin(ctx.open_scopes(None)).await?;
            let questions = Box::pin(questions(ctx, &mut scopes, &spec, stdin.as_deref())).await?;
            Ok((scopes, questions))
        });
        let (scopes, (queries, warnings)) = opening.await?;
        let asked = (!everything).then(|| self.target.join(", "));
        Ok(Selected { scopes, queries, asked, conditions: spec.conditions(), warnings })
    }

    /// The nodes, all at once.
    async fn all(&self, ctx: &Ctx, io: &Io) -> Result<(Vec<Node>, Exit), Failure> {
        let mut nodes = Vec::new();
        let exit = self.open(ctx, io).await?.for_each(ctx, io, true, |node| nodes.push(node)).await?;
        Ok((nodes, exit))
    }
}

/// Nodes that are to be looked at.
struct Selected {
    scopes: Scopes,
    /// In the order of the scopes.
    queries: Vec<Query>,
    /// The selectors, where there are any.
    asked: Option<String>,
    /// The conditions in them.
    conditions: Vec<String>,
    /// What a person should know.
    warnings: Vec<String>,
}

impl Selected {
    /// Whether nodes have to be called by account and region too.
    fn spans_scopes(&self) -> bool {
        self.scopes.count() > 1
    }

    /// Hands over the nodes, group by group. `draws`: progress may be shown, since nothing else is written meanwhile. The exit tells
    /// whether accounts or regions are missing.
    ///
    /// # Errors
    /// AWS can't be asked, or nothing matches (exit 3).
    async fn for_each(
        self,
        ctx: &Ctx,
        io: &Io,
        draws: bool,
        take: impl FnMut(Node),
    ) -> Result<Exit, Failure> {
        let Selected { mut scopes, queries, asked, conditions, mut warnings } = self;
        let is_everything = asked.is_none();
        let is_only = scopes.count() == 1 && scopes.unreached.is_empty();
        // Pages come from all places at once, and are taken one after the other.
        let (count, take) = (Cell::new(0_u64), RefCell::new(take));
        let take_all = |query: &Query, page: Vec<Node>| {
            for node in page.into_iter().filter(|node| query.matches(&node.facts())) {
                count.set(count.get() + 1);
                (take.borrow_mut())(node);
            }
        };
        let fetching = in_each(scopes.iter().zip(&queries), |(open, query)| {
            let take_all = &take_all;
            // Without its type: the SDK's futures are nested more deeply than the compiler follows.
            let looking: LocalBoxFuture<'_, _> = Box::pin(async move {
                let reach = if is_everything { Reach::Everything } else { query.reach() };
                Box::pin(fetch(open, &reach, &query.tag_values(), |page| take_all(query, page))).await
            });
            looking
        });
        let looking = ctx.until_interrupted(async { Ok(fetching.await) });
        let fleets = match draws {
            true => super::while_looking(ctx, io, looking).await?,
            false => looking.await?,
        };
        let count = count.get();
        scopes.keep_learned(ctx.clock.now());
        let mut failed = Vec::new();
        for (open, fleet) in scopes.iter().zip(fleets) {
            match fleet.map(|fleet| (fleet.denied, fleet.warnings)) {
                Ok((None, said)) => warnings.extend(said),
                Ok((Some(failure), _)) | Err(failure) if is_only => return Err(failure),
                Ok((Some(failure), _)) | Err(failure) => failed.push((open.name(), failure)),
            }
        }
        scopes.without(failed)?;
        for warning in &warnings {
            let _ = writeln!(io.stderr(), "warning: {warning}");
        }
        scopes.warn(io);
        if count == 0
            && let Some(asked) = asked
        {
            let mut failure = Failure::new(Kind::NotFound, format!("no node matches `{asked}`"));
            if let Some(meant) = crate::complete::meant(ctx, conditions) {
                failure.hints.push(format!("Did you mean `{meant}`?"));
            }
            return Err(failure
                .hint("Look at what is there with `herder nodes list`, and check --region and --profile."));
        }
        Ok(scopes.exit())
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
