//! Errors as AWS names them, and how each service words the ones that every service has.

use super::Service;
use std::borrow::Cow;

/// An error as AWS names it; the protocol decides how it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApiError {
    pub(crate) code: Cow<'static, str>,
    /// `None` for shapes without a message.
    pub(crate) message: Option<String>,
    pub(crate) status: u16,
    /// Headers of this answer alone.
    pub(crate) headers: Vec<(&'static str, String)>,
}

impl ApiError {
    pub(crate) fn new(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> ApiError {
        ApiError { code: code.into(), message: Some(message.into()), status: 400, headers: Vec::new() }
    }

    /// An error whose shape has no members.
    pub(crate) fn bare(code: &'static str) -> ApiError {
        ApiError { code: Cow::Borrowed(code), message: None, status: 400, headers: Vec::new() }
    }

    pub(crate) fn status(mut self, status: u16) -> ApiError {
        self.status = status;
        self
    }

    /// Adds a header.
    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> ApiError {
        self.headers.push((name, value.into()));
        self
    }

    /// The same complaint under the name that a service has for it.
    pub(crate) fn named(mut self, code: &'static str) -> ApiError {
        self.code = Cow::Borrowed(code);
        self
    }

    /// The throttling error of a service.
    pub(crate) fn throttled(service: Service) -> ApiError {
        match service {
            Service::Ssm | Service::Logs | Service::Kms | Service::Messages | Service::Gateway => {
                ApiError::new("ThrottlingException", "Rate exceeded")
            }
            Service::Ec2 => ApiError::new("RequestLimitExceeded", "Request limit exceeded.").status(503),
            Service::Sts | Service::AutoScaling | Service::LoadBalancing | Service::CloudWatch => {
                ApiError::new("Throttling", "Rate exceeded")
            }
            Service::ResourceGroups => {
                ApiError::new("TooManyRequestsException", "Too Many Requests").status(429)
            }
            Service::S3 => ApiError::new("SlowDown", "Please reduce your request rate.").status(503),
            Service::Organizations => ApiError::new(
                "TooManyRequestsException",
                "AWS Organizations can't complete your request because another request is already in progress. Try again later.",
            ),
        }
    }

    /// The 5xx of a service.
    pub(crate) fn internal(service: Service) -> ApiError {
        let code = match service {
            Service::Ssm | Service::Messages | Service::Gateway => "InternalServerError",
            Service::Kms => "KMSInternalException",
            Service::Ec2 | Service::S3 => "InternalError",
            Service::Sts | Service::AutoScaling | Service::LoadBalancing | Service::Logs => "InternalFailure",
            Service::CloudWatch => "InternalServiceError",
            Service::ResourceGroups => "InternalServerErrorException",
            Service::Organizations => "ServiceException",
        };
        ApiError::new(code, "An internal error has occurred").status(500)
    }

    /// What a region answers that is down.
    pub(crate) fn unavailable(service: Service) -> ApiError {
        let code = match service {
            Service::Ec2 => "Unavailable",
            Service::Logs
            | Service::Ssm
            | Service::Kms
            | Service::Messages
            | Service::Gateway
            | Service::Organizations
            | Service::ResourceGroups => "ServiceUnavailableException",
            Service::Sts
            | Service::AutoScaling
            | Service::LoadBalancing
            | Service::CloudWatch
            | Service::S3 => "ServiceUnavailable",
        };
        ApiError::new(code, "Service is unable to handle request.").status(503)
    }

    /// An operation that is refused to this principal.
    pub(crate) fn denied(service: Service, api: &str, principal: &str, resource: &str) -> ApiError {
        let name = service.name();
        let who = format!("User: {principal} is not authorized to perform: {name}:{api}");
        let why = format!("because no identity-based policy allows the {name}:{api} action");
        match service {
            Service::Ssm | Service::Logs | Service::Kms | Service::Messages => {
                ApiError::new("AccessDeniedException", format!("{who} on resource: {resource} {why}"))
            }
            Service::Ec2 => ApiError::new(
                "UnauthorizedOperation",
                format!("You are not authorized to perform this operation. {who} {why}"),
            )
            .status(403),
            Service::Sts => {
                ApiError::new("AccessDenied", format!("{who} on resource: {resource}")).status(403)
            }
            Service::AutoScaling | Service::LoadBalancing | Service::CloudWatch | Service::S3 => {
                ApiError::new("AccessDenied", format!("{who} on resource: {resource} {why}")).status(403)
            }
            Service::ResourceGroups | Service::Gateway => {
                ApiError::new("AccessDeniedException", format!("{who} on resource: {resource} {why}"))
                    .status(403)
            }
            Service::Organizations => {
                ApiError::new("AccessDeniedException", "You don't have permissions to access this resource.")
            }
        }
    }
}
