//! rpc-v2-cbor as CloudWatch speaks it, and its awsJson1.0: both compatible with the awsQuery that was there before.
//!
//! The operation is in the path (`/service/NAME/operation/NAME`). Errors have a name of their own in these
//! protocols, and the name that awsQuery has for them in a header.

use super::cbor::{self, Value};
use super::form::Form;
use super::{ApiError, Reply};
use serde_json::{Map, json};

const CONTENT_TYPE: &str = "application/cbor";
const JSON_TYPE: &str = "application/x-amz-json-1.0";
const NAMESPACE: &str = "com.amazonaws.cloudwatch#";

/// Service and operation of a path.
pub(crate) fn operation(path: &str) -> Option<(&str, &str)> {
    let rest = path.strip_prefix("/service/")?;
    let (service, operation) = rest.split_once("/operation/")?;
    (!service.contains('/') && !operation.contains('/') && !operation.is_empty())
        .then_some((service, operation))
}

/// Reads a body of CBOR; an empty one has no members.
pub(crate) fn parse(body: &[u8]) -> Result<Map<String, serde_json::Value>, ApiError> {
    if body.is_empty() {
        return Ok(Map::new());
    }
    match cbor::decode(body).map(|value| value.json()) {
        Ok(serde_json::Value::Object(members)) => Ok(members),
        Ok(_) => Err(ApiError::bare("SerializationException")),
        Err(cause) => Err(ApiError::new("SerializationException", cause.to_string())),
    }
}

/// The members of a form: `AlarmNames.member.1=a` is a list, and numbers are those that are named.
pub(crate) fn members(form: &Form, lists: &[&str], numbers: &[&str]) -> Map<String, serde_json::Value> {
    let mut members = Map::new();
    for (key, value) in form.plain() {
        let number = value.parse::<i64>().ok().filter(|_| numbers.contains(&key));
        members.insert(key.to_owned(), number.map_or_else(|| json!(value), |number| json!(number)));
    }
    for list in lists {
        let items = form.list(&format!("{list}.member"));
        if !items.is_empty() {
            members.insert((*list).to_owned(), json!(items));
        }
    }
    members
}

/// Writes an answer; one without members has no body.
pub(crate) fn ok(body: Option<&Value>) -> Reply {
    let reply = match body {
        Some(body) => Reply::new(200, CONTENT_TYPE, cbor::encode(body)),
        None => Reply::new(200, "", Vec::new()),
    };
    reply.header("smithy-protocol", "rpc-v2-cbor")
}

/// Writes an answer as awsJson1.0.
pub(crate) fn json_ok(body: &serde_json::Value) -> Reply {
    Reply::new(200, JSON_TYPE, body.to_string().into_bytes())
}

/// The name that an awsQuery error has in the newer protocols.
fn shape(code: &str) -> String {
    let name = match code {
        "Throttling" => "ThrottlingException",
        "AccessDenied" => "AccessDeniedException",
        "MissingAuthenticationToken" => "MissingAuthenticationTokenException",
        "InvalidClientTokenId" => "UnrecognizedClientException",
        "ExpiredToken" => "ExpiredTokenException",
        "ValidationError" => "ValidationException",
        "InvalidAction" => "UnknownOperationException",
        "ServiceUnavailable" => "ServiceUnavailableException",
        "InternalServiceError" => "InternalServiceFault",
        "InvalidFormat" => "InvalidFormatFault",
        other => other,
    };
    let is_modeled = matches!(
        name,
        "ResourceNotFound" | "InvalidNextToken" | "InvalidFormatFault" | "InternalServiceFault"
    );
    if is_modeled { format!("{NAMESPACE}{name}") } else { name.to_owned() }
}

fn query_error(error: &ApiError) -> String {
    format!("{};{}", error.code, if error.status < 500 { "Sender" } else { "Receiver" })
}

/// Writes an error.
pub(crate) fn error(error: &ApiError) -> Reply {
    let text = |text: &str| Value::Text(text.to_owned());
    let mut members = vec![(text("__type"), Value::Text(shape(&error.code)))];
    if let Some(message) = &error.message {
        members.push((text("message"), text(message)));
    }
    Reply::new(error.status, CONTENT_TYPE, cbor::encode(&Value::Map(members)))
        .header("smithy-protocol", "rpc-v2-cbor")
        .header("x-amzn-query-error", query_error(error))
}

/// Writes an error as awsJson1.0.
pub(crate) fn json_error(error: &ApiError) -> Reply {
    let body = json!({"__type": shape(&error.code), "message": error.message.as_deref().unwrap_or_default()});
    Reply::new(error.status, JSON_TYPE, body.to_string().into_bytes())
        .header("x-amzn-query-error", query_error(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_operations() {
        assert_eq!(
            operation("/service/GraniteServiceVersion20100801/operation/DescribeAlarms"),
            Some(("GraniteServiceVersion20100801", "DescribeAlarms"))
        );
        for path in ["/", "/service/x", "/service/a/b/operation/c", "/service/a/operation/", "/operation/x"] {
            assert_eq!(operation(path), None, "{path}");
        }
    }

    #[test]
    fn errors_have_both_names() {
        let reply = error(&ApiError::new("ResourceNotFound", "Unknown alarm").status(404));
        assert!(reply.headers.contains(&("x-amzn-query-error", "ResourceNotFound;Sender".to_owned())));
        let body = cbor::decode(&reply.body).unwrap().json();
        assert_eq!(
            body,
            json!({"__type": "com.amazonaws.cloudwatch#ResourceNotFound", "message": "Unknown alarm"})
        );
    }
}
