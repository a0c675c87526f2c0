//! `herder nodes show`.

use std::fmt::Write as _;

use clap::Args;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::SelectionArgs;
use crate::args::FormatArgs;
use crate::commands::{say_simulated, write_out};
use crate::ctx::Ctx;
use crate::exit::Exit;
use crate::failure::{Failure, Kind};
use crate::io::Io;
use crate::ops::nodes::Node;
use crate::render::{Format, for_people, shown};

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
            let zone = io.stdout_style().is_tty.then(|| ctx.zone());
            let cards: Vec<String> = nodes.iter().map(|node| card(node, zone.as_ref())).collect();
            shown(io, &cards.join("\n"))
        }
    };
    let exit = write_out(io, text.as_bytes())?;
    say_simulated(io, args.format.format());
    Ok(if exit == Exit::Success { looked } else { exit })
}

/// One fact a line; what is not known is left out. Times in a zone are for people.
fn card(node: &Node, zone: Option<&TimeZone>) -> String {
    let mut facts = Vec::new();
    let fields = serde_json::to_value(node).unwrap_or_default();
    for (name, value) in fields.as_object().into_iter().flatten() {
        let text = match value {
            serde_json::Value::Null | serde_json::Value::Object(_) => continue,
            serde_json::Value::String(text) => match (zone, text.parse::<Timestamp>()) {
                (Some(zone), Ok(at)) => for_people(at, zone),
                _ => text.clone(),
            },
            other => other.to_string(),
        };
        facts.push((name.replace('_', " "), text));
    }
    facts.extend(node.tags.iter().flatten().map(|(key, value)| (format!("tag {key}"), value.clone())));
    let width = facts.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
    facts.iter().fold(String::new(), |mut card, (name, text)| {
        let _ = writeln!(card, "{name:<width$} {text}");
        card
    })
}
