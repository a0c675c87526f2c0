//! `herder doctor`: everything that a command needs, looked at one by one, each with what to do about it. Changes nothing, except
//! that it makes the state directory if there is none, as the first run would.

mod aws;
mod local;
mod probe;
mod table;

use serde::Serialize;

use crate::ctx::Ctx;
use crate::failure::Failure;
use crate::io::Io;

pub(crate) use self::table::{Doctored, partition, policy};

/// What came of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    /// Nothing is wrong.
    Ok,
    /// It works, and somebody should look at it.
    Warn,
    /// Commands will fail.
    Fail,
}

impl Status {
    /// The word.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Status::Ok => "ok",
            Status::Warn => "warn",
            Status::Fail => "fail",
        }
    }
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    pub(crate) status: Status,
    /// What was looked at: `credentials`, `clock`, `permissions`.
    pub(crate) check: &'static str,
    /// `account/region` where it is about one of them.
    pub(crate) scope: Option<String>,
    pub(crate) message: String,
    /// What to do; null where nothing is to be done.
    pub(crate) hint: Option<String>,
}

impl Finding {
    fn ok(check: &'static str, message: impl Into<String>) -> Finding {
        Finding { status: Status::Ok, check, scope: None, message: message.into(), hint: None }
    }

    fn warn(check: &'static str, message: impl Into<String>, hint: impl Into<String>) -> Finding {
        Finding { status: Status::Warn, hint: Some(hint.into()), ..Finding::ok(check, message) }
    }

    fn fail(check: &'static str, message: impl Into<String>, hint: impl Into<String>) -> Finding {
        Finding { status: Status::Fail, hint: Some(hint.into()), ..Finding::ok(check, message) }
    }

    /// A failure, on one line.
    fn of_failure(check: &'static str, failure: &Failure) -> Finding {
        let message = std::iter::once(&failure.message).chain(failure.causes.first());
        let message = message.cloned().collect::<Vec<_>>().join(": ");
        let hint = if failure.hints.is_empty() { None } else { Some(failure.hints.join(" ")) };
        Finding { status: Status::Fail, hint, ..Finding::ok(check, message) }
    }

    fn about(self, scope: impl Into<String>) -> Finding {
        Finding { scope: Some(scope.into()), ..self }
    }
}

/// Looks at everything; `commands` are those whose permissions are looked at.
///
/// # Errors
/// What was asked for makes no sense (exit 2), or it was interrupted. What is wrong is a finding.
pub(crate) async fn examine(ctx: &Ctx, io: &Io, commands: &[Doctored]) -> Result<Vec<Finding>, Failure> {
    let mut findings = local::examine(ctx, io);
    findings.extend(ctx.until_interrupted(aws::examine(ctx, commands)).await?);
    Ok(findings)
}
