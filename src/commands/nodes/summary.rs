//! `herder nodes summary`.

use std::collections::BTreeMap;

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::SelectionArgs;
use crate::args::ListArgs;
use crate::commands::write_list;
use crate::ctx::Ctx;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::io::Io;
use crate::ops::nodes::Node;
use crate::render::Column;

/// Count nodes by what they are
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  herder nodes summary
  herder nodes summary -t tag:env=prod --by agent-version,az
  herder nodes summary --by tag:role --json")]
pub(super) struct NodesSummaryArgs {
    #[command(flatten)]
    selection: SelectionArgs,

    /// By what: state, ping, platform, agent-version, az, instance-type, image, asg, vpc, subnet, or tag:KEY
    #[arg(long, value_name = "FACT,…", value_delimiter = ',', default_value = "state,ping,platform,agent-version,az,asg", value_parser = by)]
    by: Vec<By>,

    #[command(flatten)]
    list: ListArgs,
}

#[derive(Clone, Debug)]
enum By {
    Fact(Fact),
    Tag(String),
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Fact {
    State,
    Ping,
    Platform,
    AgentVersion,
    Az,
    InstanceType,
    Image,
    Asg,
    Vpc,
    Subnet,
}

fn by(word: &str) -> Result<By, String> {
    match word.strip_prefix("tag:") {
        Some("") => Err("names no tag".to_owned()),
        Some(key) => Ok(By::Tag(key.to_owned())),
        None => Fact::from_str(word, true).map(By::Fact).map_err(|_| {
            let names: Vec<String> = Fact::value_variants()
                .iter()
                .filter_map(|f| Some(f.to_possible_value()?.get_name().to_owned()))
                .collect();
            format!("is none of {} and not tag:KEY", names.join(", "))
        }),
    }
}

impl By {
    fn name(&self) -> String {
        match self {
            By::Tag(key) => format!("tag:{key}"),
            By::Fact(fact) => fact.to_possible_value().map(|v| v.get_name().to_owned()).unwrap_or_default(),
        }
    }

    fn value(&self, node: &Node) -> Option<String> {
        match self {
            By::Tag(key) => node.tags.as_ref()?.get(key).cloned(),
            By::Fact(Fact::State) => node.state.clone(),
            By::Fact(Fact::Ping) => node.ping.map(str::to_owned),
            By::Fact(Fact::Platform) => node.platform.map(|p| p.as_str().to_owned()),
            By::Fact(Fact::AgentVersion) => node.agent_version.clone(),
            By::Fact(Fact::Az) => node.az.clone(),
            By::Fact(Fact::InstanceType) => node.instance_type.clone(),
            By::Fact(Fact::Image) => node.image.clone(),
            By::Fact(Fact::Asg) => node.asg.clone(),
            By::Fact(Fact::Vpc) => node.vpc.clone(),
            By::Fact(Fact::Subnet) => node.subnet.clone(),
        }
    }
}

/// How many nodes have a value; null where it is not known or not there.
#[derive(Serialize)]
struct Row {
    by: String,
    value: Option<String>,
    nodes: u64,
}

const COLUMNS: [Column; 3] = [Column::usual("by"), Column::usual("value"), Column::usual("nodes")];

pub(super) async fn run(ctx: &Ctx, io: &Io, args: &NodesSummaryArgs) -> Result<Exit, Failure> {
    let mut counts: Vec<BTreeMap<Option<String>, u64>> = vec![BTreeMap::new(); args.by.len()];
    let take = |node: Node| {
        for (by, counts) in args.by.iter().zip(&mut counts) {
            *counts.entry(by.value(&node)).or_insert(0) += 1;
        }
    };
    let looked = args.selection.open(ctx, io).await?.for_each(ctx, io, true, take).await?;
    let mut rows = Vec::new();
    for (by, counts) in args.by.iter().zip(counts) {
        let mut counts: Vec<(Option<String>, u64)> = counts.into_iter().collect();
        counts.sort_by_key(|(_, nodes)| std::cmp::Reverse(*nodes));
        rows.extend(counts.into_iter().map(|(value, nodes)| Row { by: by.name(), value, nodes }));
    }
    let exit = write_list(io, &COLUMNS, &args.list.options(ctx), &rows)?;
    Ok(if exit == Exit::Success { looked } else { exit })
}
