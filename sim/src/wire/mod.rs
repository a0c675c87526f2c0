//! The wire: what a request asks for, and how answers and errors are written in each of AWS's protocols.
//!
//! Nothing here knows a fleet or a command, and nothing here may panic on what a client sends.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

pub(crate) mod auth;
pub(crate) mod aws_json;
pub(crate) mod aws_query;
pub(crate) mod ec2_query;
pub(crate) mod form;
pub(crate) mod validate;
pub(crate) mod xml;

use std::borrow::Cow;

/// The services that answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    Ssm,
    Ec2,
    Sts,
}

impl Service {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Service::Ssm => "ssm",
            Service::Ec2 => "ec2",
            Service::Sts => "sts",
        }
    }
}

/// An error as AWS names it; the protocol decides how it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApiError {
    pub(crate) code: Cow<'static, str>,
    /// `None` for shapes without a message.
    pub(crate) message: Option<String>,
    pub(crate) status: u16,
}

impl ApiError {
    pub(crate) fn new(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> ApiError {
        ApiError { code: code.into(), message: Some(message.into()), status: 400 }
    }

    /// An error whose shape has no members.
    pub(crate) fn bare(code: &'static str) -> ApiError {
        ApiError { code: Cow::Borrowed(code), message: None, status: 400 }
    }

    pub(crate) fn status(mut self, status: u16) -> ApiError {
        self.status = status;
        self
    }

    /// The throttling error of a service.
    pub(crate) fn throttled(service: Service) -> ApiError {
        match service {
            Service::Ssm => ApiError::new("ThrottlingException", "Rate exceeded"),
            Service::Ec2 => ApiError::new("RequestLimitExceeded", "Request limit exceeded.").status(503),
            Service::Sts => ApiError::new("Throttling", "Rate exceeded"),
        }
    }

    /// The 5xx of a service.
    pub(crate) fn internal(service: Service) -> ApiError {
        let code = match service {
            Service::Ssm => "InternalServerError",
            Service::Ec2 => "InternalError",
            Service::Sts => "InternalFailure",
        };
        ApiError::new(code, "An internal error has occurred").status(500)
    }

    /// An operation that is refused to this principal.
    pub(crate) fn denied(service: Service, api: &str, principal: &str, resource: &str) -> ApiError {
        let name = service.name();
        match service {
            Service::Ssm => ApiError::new(
                "AccessDeniedException",
                format!("User: {principal} is not authorized to perform: {name}:{api} on resource: {resource} because no identity-based policy allows the {name}:{api} action"),
            ),
            Service::Ec2 => ApiError::new(
                "UnauthorizedOperation",
                format!("You are not authorized to perform this operation. User: {principal} is not authorized to perform: {name}:{api} because no identity-based policy allows the {name}:{api} action"),
            )
            .status(403),
            Service::Sts => ApiError::new(
                "AccessDenied",
                format!("User: {principal} is not authorized to perform: {name}:{api} on resource: {resource}"),
            )
            .status(403),
        }
    }
}

/// A finished answer.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) content_type: &'static str,
    pub(crate) body: Vec<u8>,
}

/// Writes an error in a service's protocol.
pub(crate) fn error_reply(service: Service, error: &ApiError, request_id: &str) -> Reply {
    match service {
        Service::Ssm => aws_json::error(error),
        Service::Ec2 => ec2_query::error(error, request_id),
        Service::Sts => aws_query::error(error, request_id),
    }
}
