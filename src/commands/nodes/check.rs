//! `herder nodes check`: can a command reach these nodes, and if not, why.

use clap::Args;
use jiff::Timestamp;
use serde::Serialize;

use super::SelectionArgs;
use crate::args::ListArgs;
use crate::commands::write_list;
use crate::ctx::Ctx;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::io::Io;
use crate::ops::nodes::Node;
use crate::render::{Column, ListOptions};

/// Check whether commands can reach nodes; exits 1 if any can't be reached
///
/// It says what EC2 and Systems Manager know. Why an agent doesn't report is on the node: its role, its network, its clock, its log.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  herder nodes check
  herder nodes check -t tag:env=prod --json | jq -r '.[] | select(.ok | not) | [.id, .problem] | @tsv'")]
pub(super) struct NodesCheckArgs {
    #[command(flatten)]
    selection: SelectionArgs,

    /// List those that are fine as well
    #[arg(long)]
    all: bool,

    #[command(flatten)]
    list: ListArgs,
}

/// What was found of a node.
#[derive(Debug, Serialize)]
struct Finding {
    id: String,
    name: Option<String>,
    account: String,
    region: String,
    ok: bool,
    /// One fragment; null where there is none.
    problem: Option<String>,
    /// What to do.
    hint: Option<&'static str>,
}

const COLUMNS: [Column; 7] = [
    Column::usual("id"),
    Column::usual("name"),
    Column::usual("problem"),
    Column::usual("hint"),
    Column::extra("ok"),
    Column::extra("account"),
    Column::extra("region"),
];

pub(super) async fn run(ctx: &Ctx, io: &Io, args: &NodesCheckArgs) -> Result<Exit, Failure> {
    let now = ctx.clock.now();
    let mut findings: Vec<Finding> = Vec::new();
    let selected = args.selection.open(ctx, io).await?;
    let is_qualified = selected.spans_scopes();
    let looked = selected.for_each(ctx, io, true, |node| findings.push(examine(&node, now))).await?;
    let bad = findings.iter().filter(|finding| !finding.ok).count();
    if !args.all {
        findings.retain(|finding| !finding.ok);
    }
    let options = ListOptions { is_qualified, ..args.list.options(ctx) };
    let exit = write_list(io, &COLUMNS, &options, &findings)?;
    Ok(if bad > 0 {
        Exit::Failed
    } else if exit == Exit::Success {
        looked
    } else {
        exit
    })
}

fn examine(node: &Node, now: Timestamp) -> Finding {
    let problem = node.problem(now);
    let (problem, hint) = problem.map_or((None, None), |(problem, hint)| (Some(problem), Some(hint)));
    let (account, region) = (node.account.clone(), node.region.clone());
    Finding {
        id: node.id.clone(),
        name: node.name.clone(),
        account,
        region,
        ok: problem.is_none(),
        problem,
        hint,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_state_has_its_word() {
        let now: Timestamp = "2026-11-21T09:30:00Z".parse().unwrap();
        let node = |state: &str, managed, ping| Node {
            state: Some(state.to_owned()),
            managed: Some(managed),
            ping,
            last_ping: Some("2026-11-21T07:30:00Z".parse().unwrap()),
            ..Node::default()
        };
        assert!(examine(&node("running", true, Some("online")), now).ok);
        let problem = |node: Node| examine(&node, now).problem.unwrap();
        assert_eq!(problem(node("stopped", false, None)), "the instance is stopped");
        assert_eq!(problem(node("running", false, None)), "it runs and is not managed by Systems Manager");
        assert!(
            problem(node("running", true, Some("lost"))).starts_with("its agent has not reported for 2h")
        );
        // Where Systems Manager could not be asked nothing is claimed.
        assert!(examine(&Node { managed: None, ..Node::default() }, now).ok);
    }
}
