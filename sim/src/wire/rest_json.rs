//! restJson1, as Resource Groups speaks it: the operation is in the path, the members are JSON.

use super::{ApiError, Reply};
use serde_json::{Value, json};

const CONTENT_TYPE: &str = "application/json";

/// The operation that a path means.
pub(crate) fn operation(path: &str) -> Option<&'static str> {
    Some(match path {
        "/groups-list" => "ListGroups",
        "/list-group-resources" => "ListGroupResources",
        "/get-group" => "GetGroup",
        "/get-group-query" => "GetGroupQuery",
        "/resources/search" => "SearchResources",
        _ => return None,
    })
}

/// Writes an answer.
pub(crate) fn ok(body: &Value) -> Reply {
    Reply::new(200, CONTENT_TYPE, body.to_string().into_bytes())
}

/// Writes an error: its name is a header.
pub(crate) fn error(error: &ApiError) -> Reply {
    let message = error.message.as_deref().unwrap_or_default();
    let body = json!({ "Message": message }).to_string().into_bytes();
    Reply::new(error.status, CONTENT_TYPE, body).header("x-amzn-errortype", error.code.as_ref())
}
