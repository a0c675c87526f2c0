//! `herder nodes list`.

use clap::Args;

use super::SelectionArgs;
use crate::args::ListArgs;
use crate::commands::{say_simulated, written};
use crate::ctx::Ctx;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::io::Io;
use crate::render::{Column, Format, ListWriter};

/// List nodes
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  herder nodes list
  herder nodes list -t 'tag:env=prod and ping:lost'
  herder nodes list --columns id,name,agent_version,tag:role --sort -agent_version
  herder nodes list --json | jq -r '.[] | select(.managed | not) | .id'")]
pub(super) struct NodesListArgs {
    #[command(flatten)]
    selection: SelectionArgs,

    #[command(flatten)]
    list: ListArgs,
}

const COLUMNS: [Column; 19] = [
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
    Column::extra("vpc"),
    Column::extra("subnet"),
    Column::extra("tags"),
];

/// Rows go out as they come, where the format can do that.
pub(super) async fn run(ctx: &Ctx, io: &Io, args: &NodesListArgs) -> Result<Exit, Failure> {
    let mut writer = ListWriter::new(io, &COLUMNS, &args.list.options(ctx))
        .map_err(|error| Failure::usage(error.to_string()))?;
    let selected = args.selection.open(ctx, io).await?;
    if selected.spans_scopes() {
        writer.qualify();
    }
    let mut broken = None;
    let take = |node| {
        if broken.is_none() {
            broken = writer.push(&node).err();
        }
    };
    // Rows that go to the terminal as they come are progress enough.
    let format = args.list.options(ctx).format;
    let is_kept = matches!(format, Format::Auto | Format::Table | Format::Json);
    let looked = selected.for_each(ctx, io, is_kept || !io.stdout_style().is_tty, take).await?;
    let exit = written(match broken {
        Some(error) => Err(error),
        None => writer.finish(),
    })?;
    say_simulated(io, format);
    Ok(if exit == Exit::Success { looked } else { exit })
}
