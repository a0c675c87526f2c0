//! `herder session stop`.

use clap::Args;
use herder_aws::CallErrorKind;
use herder_aws::ssm::{SessionState, SessionsQuery};

use super::say;
use crate::ctx::Ctx;
use crate::exit::Exit;
use crate::failure::{Failure, Kind};
use crate::io::Io;
use crate::scopes::{OpenScope, Scopes};

/// End sessions, your own or, where you may, somebody else's
///
/// A session that has ended already is no error.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  herder session stop ada-0123456789abcdef0
  herder session list --owner me -o quiet | xargs -r herder session stop")]
pub(super) struct SessionStopArgs {
    /// Ids, as `herder session list` shows them
    #[arg(value_name = "ID", required = true)]
    ids: Vec<String>,
}

/// What became of it.
enum Stopped {
    Ended,
    HadEnded,
    Unknown,
}

pub(super) async fn run(ctx: &Ctx, io: &Io, args: &SessionStopArgs) -> Result<Exit, Failure> {
    let scopes = ctx.until_interrupted(ctx.open_scopes(None)).await?;
    let mut unknown: Vec<&str> = Vec::new();
    for id in &args.ids {
        match ctx.until_interrupted(stop_anywhere(&scopes, id)).await? {
            Stopped::Ended => say(io, &format!("{id} ended{}", super::simulated(io)), false),
            Stopped::HadEnded => say(io, &format!("{id} had ended already"), false),
            Stopped::Unknown => unknown.push(id),
        }
    }
    match unknown.as_slice() {
        [] => Ok(Exit::Success),
        ids => {
            Err(Failure::new(Kind::NotFound, format!("{} `{}`", there_is_no(ids.len()), ids.join("`, `")))
                .hint("List those that go on with `herder session list`, and check --region and --profile."))
        }
    }
}

fn there_is_no(count: usize) -> &'static str {
    if count == 1 { "there is no session" } else { "there are no sessions" }
}

/// Ids say nothing of where a session is.
async fn stop_anywhere(scopes: &Scopes, id: &str) -> Result<Stopped, Failure> {
    for open in scopes {
        match stop(open, id).await? {
            Stopped::Unknown => {}
            stopped => return Ok(stopped),
        }
    }
    Ok(Stopped::Unknown)
}

async fn stop(open: &OpenScope, id: &str) -> Result<Stopped, Failure> {
    let ssm = open.scope.ssm();
    let query = SessionsQuery { id: Some(id.to_owned()), ..SessionsQuery::default() };
    // The service ends what doesn't exist without a word, so it is asked first.
    for (state, found) in [(SessionState::Active, Stopped::Ended), (SessionState::History, Stopped::HadEnded)]
    {
        let is_there = match ssm.describe_sessions(state, &query, None).await {
            Ok(page) => page.items.iter().any(|session| session.id == id),
            // Whoever may end sessions need not be able to list them.
            Err(error) if matches!(error.kind, CallErrorKind::AccessDenied { .. }) => {
                ssm.terminate_session(id).await?;
                return Ok(Stopped::Ended);
            }
            Err(error) => return Err(error.into()),
        };
        if is_there {
            if matches!(found, Stopped::Ended) {
                ssm.terminate_session(id).await?;
            }
            return Ok(found);
        }
    }
    Ok(Stopped::Unknown)
}
