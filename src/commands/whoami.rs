//! `herder whoami`: as whom, and where, commands would work.

use clap::Args;
use serde::Serialize;

use super::write_list;
use crate::args::ListArgs;
use crate::ctx::Ctx;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::io::Io;
use crate::ops::place::in_each;
use crate::render::Column;
use crate::scopes::{OpenScope, Scopes};

/// Show as whom, and in which accounts and regions, commands would work
///
/// Takes the flags that every command takes; changes nothing.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  herder whoami
  herder whoami --profile prod --region eu-west-1,us-east-1
  herder whoami --account org --assume-role Ops --json")]
pub(crate) struct WhoamiArgs {
    #[command(flatten)]
    list: ListArgs,
}

const COLUMNS: [Column; 7] = [
    Column::usual("account"),
    Column::usual("region"),
    Column::usual("arn"),
    Column::usual("source"),
    Column::extra("user_id"),
    Column::extra("endpoint"),
    Column::extra("sim"),
];

/// One account and region.
#[derive(Clone, Debug, Serialize)]
struct Whereabouts {
    account: String,
    region: String,
    arn: String,
    /// Where the credentials came from; null where that is not known.
    source: Option<String>,
    user_id: String,
    /// Null where it is AWS's own.
    endpoint: Option<String>,
    sim: bool,
}

pub(crate) async fn run(ctx: &Ctx, io: &Io, args: &WhoamiArgs) -> Result<Exit, Failure> {
    let mut scopes = ctx.until_interrupted(ctx.open_scopes(None)).await?;
    if scopes.count() > 1 {
        let failed = ctx.until_interrupted(async { Ok(unanswered(&scopes).await) }).await?;
        scopes.without(failed)?;
    }
    let mut rows = Vec::with_capacity(scopes.count());
    for open in &scopes {
        let who = Box::pin(open.scope.identity()).await?;
        rows.push(Whereabouts {
            account: who.account,
            region: open.identity.region.clone(),
            arn: who.arn,
            source: who.source,
            user_id: who.user_id,
            endpoint: open.identity.endpoint.clone(),
            sim: open.identity.sim,
        });
    }
    scopes.warn(io);
    let options = args.list.options(ctx);
    let exit = write_list(io, &COLUMNS, &options, &rows)?;
    Ok(if exit == Exit::Success { scopes.exit() } else { exit })
}

/// Those that don't answer. Who somebody is was asked once for an account: here each of its regions has to say it.
async fn unanswered(scopes: &Scopes) -> Vec<(String, Failure)> {
    let asked = in_each(scopes, async |open: &OpenScope| {
        let answer = Box::pin(open.scope.sts().get_caller_identity()).await;
        answer.err().map(|error| (open.name(), error.into()))
    });
    asked.await.into_iter().flatten().collect()
}
