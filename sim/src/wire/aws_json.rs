//! awsJson1.1, as Systems Manager, CloudWatch Logs and Organizations speak it.

use super::{ApiError, Reply, Service};
use serde_json::{Map, Value, json};

const CONTENT_TYPE: &str = "application/x-amz-json-1.1";

/// Reads a body; an empty one is an empty object.
pub(crate) fn parse(body: &[u8]) -> Result<Map<String, Value>, ApiError> {
    if body.is_empty() {
        return Ok(Map::new());
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Err(ApiError::bare("SerializationException")),
        Err(_) => Err(ApiError::new("SerializationException", "Unexpected token in request body")),
    }
}

/// Writes an answer.
pub(crate) fn ok(body: &Value) -> Reply {
    Reply::new(200, CONTENT_TYPE, body.to_string().into_bytes())
}

/// Writes an error. The member is `message` for the framework's own and for those of KMS and Logs, `Message` for others that
/// are modeled.
pub(crate) fn error(service: Service, error: &ApiError) -> Reply {
    const FRAMEWORK: [&str; 10] = [
        "InternalFailure",
        "ServiceUnavailableException",
        "ThrottlingException",
        "ValidationException",
        "AccessDeniedException",
        "UnrecognizedClientException",
        "ExpiredTokenException",
        "MissingAuthenticationTokenException",
        "SerializationException",
        "UnknownOperationException",
    ];
    let mut body = Map::new();
    body.insert("__type".to_owned(), json!(error.code));
    if let Some(message) = &error.message {
        // Organizations has a refusal in its model.
        let is_own = service == Service::Organizations && error.code == "AccessDeniedException";
        let is_lower = matches!(service, Service::Kms | Service::Logs)
            || (FRAMEWORK.contains(&error.code.as_ref()) && !is_own);
        let key = if is_lower { "message" } else { "Message" };
        body.insert(key.to_owned(), json!(message));
    }
    Reply::new(error.status, CONTENT_TYPE, Value::Object(body).to_string().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_where_the_models_have_them() {
        for (service, code, key) in [
            (Service::Ssm, "InvalidInstanceId", "Message"),
            (Service::Ssm, "ServiceUnavailableException", "message"),
            (Service::Logs, "ResourceNotFoundException", "message"),
            (Service::Kms, "NotFoundException", "message"),
            (Service::Organizations, "AccessDeniedException", "Message"),
            (Service::Organizations, "UnrecognizedClientException", "message"),
        ] {
            let reply = error(service, &ApiError::new(code, "why"));
            let body: Value = serde_json::from_slice(&reply.body).unwrap();
            assert_eq!(body, json!({"__type": code, key: "why"}));
        }
    }

    #[test]
    fn bodies_are_objects() {
        assert!(parse(b"").unwrap().is_empty());
        assert_eq!(parse(b"[1]").unwrap_err().code, "SerializationException");
        assert_eq!(parse(b"{").unwrap_err().code, "SerializationException");
        assert_eq!(parse(b"{\"A\":1}").unwrap().len(), 1);
    }
}
