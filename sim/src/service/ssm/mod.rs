//! Systems Manager: managed nodes, documents, Run Command.

pub(crate) mod answers;
pub(crate) mod calendar;
mod cancel;
pub(crate) mod command;
pub(crate) mod documents;
pub(crate) mod engine;
mod invocation;
mod list;
mod nodes;
mod output;
pub(crate) mod registration;
mod send;
pub(crate) mod session_documents;
mod sessions;

pub(crate) use list::noted;

#[cfg(test)]
mod fanout_tests;
#[cfg(test)]
mod session_tests;
#[cfg(test)]
mod tests;

use crate::clock::At;
use crate::credentials::Principal;
use crate::sessions::Sessions;
use crate::spec::Spec;
use crate::wire::ApiError;
use crate::wire::validate::Pattern;
use crate::world::Region;
use base64::Engine as _;
use documents::Document;
use serde_json::{Map, Value};

/// What a call is answered from.
#[derive(Debug)]
pub(crate) struct Ssm<'a> {
    pub(crate) spec: &'a Spec,
    pub(crate) documents: &'a [Document],
    pub(crate) region: &'a mut Region,
    pub(crate) sessions: &'a mut Sessions,
    pub(crate) principal: &'a Principal,
    /// Where the call came in: `http://127.0.0.1:4566`.
    pub(crate) endpoint: &'a str,
    pub(crate) now: At,
    /// How far the clock that callers see is off, in microseconds.
    pub(crate) skew: i64,
}

impl Ssm<'_> {
    /// A time as callers see it, in seconds since 1970.
    pub(crate) fn shown(&self, at: At) -> f64 {
        At(at.0.saturating_add(self.skew)).epoch_seconds()
    }
}

/// `InstanceId` in the model.
pub(crate) const INSTANCE_ID: Pattern =
    Pattern { text: "(^i-(\\w{8}|\\w{17})$)|(^mi-\\w{17}$)", fits: is_instance_id };

pub(crate) fn is_instance_id(text: &str) -> bool {
    let word = |text: &str| text.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
    match (text.strip_prefix("i-"), text.strip_prefix("mi-")) {
        (Some(rest), _) => matches!(rest.len(), 8 | 17) && word(rest),
        (_, Some(rest)) => rest.len() == 17 && word(rest),
        (None, None) => false,
    }
}

/// The operations that are simulated: no other gets to [`answer`].
pub(crate) const OPERATIONS: &[&str] = &[
    "SendCommand",
    "ListCommands",
    "ListCommandInvocations",
    "GetCommandInvocation",
    "CancelCommand",
    "DescribeInstanceInformation",
    "DescribeInstanceProperties",
    "GetCalendarState",
    "StartSession",
    "ResumeSession",
    "TerminateSession",
    "DescribeSessions",
    "GetConnectionStatus",
    "UpdateInstanceInformation",
    "ListInstanceAssociations",
    "DescribeDocument",
    "GetDocument",
    "ListDocuments",
    "AddTagsToResource",
    "RemoveTagsFromResource",
    "ListTagsForResource",
    "RegisterManagedInstance",
    "RequestManagedInstanceRoleToken",
    "UpdateManagedInstancePublicKey",
];

/// Answers an operation; `None` for one that is not simulated.
pub(crate) fn answer(
    ssm: &mut Ssm<'_>,
    api: &str,
    body: &Map<String, Value>,
) -> Option<Result<Value, ApiError>> {
    Some(match api {
        "SendCommand" => send::send(ssm, body),
        "ListCommands" => list::commands(ssm, body),
        "ListCommandInvocations" => list::invocations(ssm, body),
        "GetCommandInvocation" => invocation::get(ssm, body),
        "CancelCommand" => cancel::cancel(ssm, body),
        "DescribeInstanceInformation" => nodes::information(ssm, body),
        "DescribeInstanceProperties" => nodes::properties(ssm, body),
        "GetCalendarState" => calendar::state(ssm, body),
        "StartSession" => sessions::start(ssm, body),
        "ResumeSession" => sessions::resume(ssm, body),
        "TerminateSession" => sessions::terminate(ssm, body),
        "DescribeSessions" => sessions::describe(ssm, body),
        "GetConnectionStatus" => sessions::connection(ssm, body),
        "UpdateInstanceInformation" => nodes::update(ssm, body),
        "ListInstanceAssociations" => nodes::associations(body),
        "DescribeDocument" => documents::describe(ssm, body),
        "GetDocument" => documents::get(ssm, body),
        "ListDocuments" => documents::list(ssm, body),
        "AddTagsToResource" => nodes::add_tags(ssm, body),
        "RemoveTagsFromResource" => nodes::remove_tags(ssm, body),
        "ListTagsForResource" => nodes::list_tags(ssm, body),
        _ => return None,
    })
}

/// Makes a page token of a position.
pub(crate) fn token(offset: usize) -> String {
    base64::engine::general_purpose::STANDARD.encode(format!("at:{offset}"))
}

/// Reads a page token. A position that no list has is none that was ever given.
pub(crate) fn offset(token: Option<&str>) -> Result<usize, ApiError> {
    let Some(token) = token.filter(|token| !token.is_empty()) else { return Ok(0) };
    decoded(token)
        .and_then(|text| text.strip_prefix("at:").and_then(|number| number.parse::<u32>().ok()))
        .map(|number| number as usize)
        .ok_or_else(|| ApiError::new("InvalidNextToken", "The specified token isn't valid."))
}

pub(crate) fn decoded(token: &str) -> Option<String> {
    let bytes = base64::engine::general_purpose::STANDARD.decode(token).ok()?;
    String::from_utf8(bytes).ok()
}
