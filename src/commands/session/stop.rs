//! `herder session stop`.

use clap::Args;
use herder_aws::ssm::{SessionState, SessionsQuery};
use herder_aws::{CallError, CallErrorKind};

use super::say;
use crate::ctx::Ctx;
use crate::exit::Exit;
use crate::failure::{Changed, Failure, Kind};
use crate::io::Io;
use crate::scopes::{OpenScope, Scopes};

/// End sessions, your own or, where you may, somebody else's
///
/// A session that has ended already is no error. What can't be ended keeps none of the others.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  herder session stop ada-0123456789abcdef0
  herder session list --owner me -o quiet | xargs herder session stop")]
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
    let mut sum = Sum::default();
    for (n, id) in args.ids.iter().enumerate() {
        match ctx.until_interrupted(stop_anywhere(&scopes, id)).await {
            Ok(Stopped::Ended) => {
                sum.ended += 1;
                say(io, &format!("{id} is ended{}", super::simulated(io)), false);
            }
            Ok(Stopped::HadEnded) => say(io, &format!("{id} had ended already"), false),
            Ok(Stopped::Unknown) => sum.unknown.push(id),
            Err(failure) if failure.kind == Kind::Interrupted => {
                let left = args.ids.get(n..).unwrap_or_default().join("`, `");
                return Err(Failure::new(Kind::Interrupted, format!("interrupted; `{left}` may go on")));
            }
            Err(failure) => sum.failed.push((id, failure)),
        }
    }
    // Who was named once and alone gets the failure as it is.
    if args.ids.len() > 1 {
        for (id, failure) in &sum.failed {
            let why = std::iter::once(&failure.message).chain(&failure.causes);
            let why = why.map(String::as_str).collect::<Vec<_>>().join(": ");
            say(io, &format!("{id} was not ended: {why}"), false);
        }
    }
    sum.result()
}

/// What became of all of them.
#[derive(Default)]
struct Sum<'a> {
    ended: usize,
    unknown: Vec<&'a str>,
    failed: Vec<(&'a str, Failure)>,
}

impl Sum<'_> {
    /// What is not known outweighs what failed; that nothing was done can only be said where nothing was.
    fn result(self) -> Result<Exit, Failure> {
        let Sum { ended, unknown, failed } = self;
        let mut failures: Vec<Failure> = failed.into_iter().map(|(_, failure)| failure).collect();
        let count = failures.len() + unknown.len();
        if !unknown.is_empty() {
            let message = format!("there is no session `{}`", unknown.join("`, `"));
            let hint = "List those that go on with `herder session list`, and check --region and --profile.";
            failures.push(Failure::new(Kind::NotFound, message).hint(hint));
        }
        let is_unknown = failures.iter().any(|failure| failure.kind == Kind::Unknown);
        let kind = match failures.first() {
            None => return Ok(Exit::Success),
            Some(_) if is_unknown => Kind::Unknown,
            Some(_) if ended > 0 => Kind::Service,
            Some(first) => first.kind,
        };
        let is_changed = ended > 0 || failures.iter().any(|failure| failure.changed == Changed::Possibly);
        let mut all = match <[Failure; 1]>::try_from(failures) {
            Ok([only]) => Failure { kind, ..only },
            Err(failures) => {
                let mut all = Failure::new(kind, format!("{count} sessions were not ended"));
                for failure in failures {
                    if failure.kind == Kind::NotFound {
                        all.causes.push(failure.message);
                    }
                    all.hints.extend(failure.hints);
                }
                all.hints.dedup();
                all
            }
        };
        if is_changed {
            all.changed = Changed::Possibly;
        }
        Err(all)
    }
}

/// Ids say nothing of where a session is: it is looked for everywhere, and only what is found nowhere can have failed.
async fn stop_anywhere(scopes: &Scopes, id: &str) -> Result<Stopped, Failure> {
    let mut failed = None;
    let mut unseen = Vec::new();
    for open in scopes {
        match look(open, id).await {
            Ok(Some(SessionState::Active)) => {
                open.scope.ssm().terminate_session(id).await?;
                return Ok(Stopped::Ended);
            }
            Ok(Some(SessionState::History)) => return Ok(Stopped::HadEnded),
            Ok(None) => {}
            Err(error) if matches!(error.kind, CallErrorKind::AccessDenied { .. }) => unseen.push(open),
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    // Whoever may end sessions need not be able to list them.
    for open in &unseen {
        if let Err(error) = open.scope.ssm().terminate_session(id).await {
            failed = failed.or(Some(error));
        }
    }
    match failed {
        Some(error) => Err(error.into()),
        None if unseen.is_empty() => Ok(Stopped::Unknown),
        None => Ok(Stopped::Ended),
    }
}

/// Where a session is to be found, if it is here. The service ends what doesn't exist without a word, so it is asked first.
async fn look(open: &OpenScope, id: &str) -> Result<Option<SessionState>, CallError> {
    let query = SessionsQuery { id: Some(id.to_owned()), ..SessionsQuery::default() };
    for state in [SessionState::Active, SessionState::History] {
        let page = open.scope.ssm().describe_sessions(state, &query, None).await?;
        if page.items.iter().any(|session| session.id == id) {
            return Ok(Some(state));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(ended: usize, unknown: &[&'static str], failed: &[Kind]) -> Sum<'static> {
        let failed = failed.iter().map(|kind| ("ada-1", Failure::new(*kind, "no").hint("Try.")));
        Sum { ended, unknown: unknown.to_vec(), failed: failed.collect() }
    }

    fn code(sum: Sum<'_>) -> u8 {
        match sum.result() {
            Ok(exit) => exit.code(),
            Err(failure) => failure.exit().code(),
        }
    }

    /// CLI.md: 5 before 1 before 0; 3 and 4 only where nothing was sent.
    #[test]
    fn the_code_says_what_was_done() {
        use Kind::{Denied, Service, Unknown};
        for (ended, unknown, failed, expected) in [
            (0, &[][..], &[][..], 0),
            (2, &[], &[], 0),
            (0, &["a", "b"], &[], 3),
            (1, &["a"], &[], 1),
            (0, &[], &[Denied], 4),
            (0, &["a"], &[Denied, Denied], 4),
            (1, &[], &[Denied], 1),
            (0, &[], &[Service], 1),
            (1, &["a"], &[Denied, Unknown], 5),
            (0, &["a"], &[Unknown], 5),
        ] {
            assert_eq!(code(sum(ended, unknown, failed)), expected, "{ended} {unknown:?} {failed:?}");
        }
    }

    #[test]
    fn several_failures_are_one() {
        let failure = sum(1, &["a", "b"], &[Kind::Denied, Kind::Denied]).result().unwrap_err();
        assert_eq!(failure.message, "4 sessions were not ended");
        assert_eq!((failure.causes.len(), failure.hints.len()), (1, 2), "{failure:?}");
        assert_eq!(failure.changed, Changed::Possibly);
    }
}
