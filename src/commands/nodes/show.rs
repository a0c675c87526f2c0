//! `herder nodes show`.

use std::fmt::Write as _;

use clap::Args;

use super::SelectionArgs;
use crate::args::FormatArgs;
use crate::commands::{say_simulated, write_out};
use crate::ctx::Ctx;
use crate::exit::Exit;
use crate::failure::{Failure, Kind};
use crate::io::Io;
use crate::ops::nodes::Node;
use crate::render::{Format, shown};

/// Show everything that is known of nodes
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  herder nodes show web-1
  herder nodes show i-0123456789abcdef0 --json | jq '.[0].tags'")]
pub(super) struct NodesShowArgs {
    /// The nodes, as with -t
    #[arg(value_name = "SELECTOR", required = true)]
    nodes: Vec<String>,

    #[command(flatten)]
    format: FormatArgs,
}

pub(super) async fn run(ctx: &Ctx, io: &Io, args: &NodesShowArgs) -> Result<Exit, Failure> {
    let selection = SelectionArgs { target: args.nodes.clone(), exclude: Vec::new() };
    let (nodes, looked) = selection.all(ctx, io).await?;
    let bug = |error: serde_json::Error| Failure::new(Kind::Bug, "a node is not JSON").caused_by(&error);
    let text = match args.format.format() {
        Format::Json => serde_json::to_string(&nodes).map_err(bug)? + "\n",
        Format::Jsonl => {
            let lines: Result<Vec<String>, _> = nodes.iter().map(serde_json::to_string).collect();
            lines.map_err(bug)?.join("\n") + "\n"
        }
        Format::Quiet => nodes.iter().map(|node| format!("{}\n", node.id)).collect(),
        Format::Auto | Format::Csv | Format::Table => {
            let cards: Vec<String> = nodes.iter().map(card).collect();
            shown(io, &cards.join("\n"))
        }
    };
    let exit = write_out(io, text.as_bytes())?;
    say_simulated(io, args.format.format());
    Ok(if exit == Exit::Success { looked } else { exit })
}

/// One fact a line; what is not known is left out.
fn card(node: &Node) -> String {
    let mut card = String::new();
    let fields = serde_json::to_value(node).unwrap_or_default();
    for (name, value) in fields.as_object().into_iter().flatten() {
        let text = match value {
            serde_json::Value::Null | serde_json::Value::Object(_) => continue,
            serde_json::Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let _ = writeln!(card, "{:<18} {text}", name.replace('_', " "));
    }
    for (key, value) in node.tags.iter().flatten() {
        let _ = writeln!(card, "{:<18} {value}", format!("tag {key}"));
    }
    card
}
