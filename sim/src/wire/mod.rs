//! The wire: what a request asks for, and how answers and errors are written in each of AWS's protocols.
//!
//! Nothing here knows a fleet or a command, and nothing here may panic on what a client sends.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

pub(crate) mod auth;
pub(crate) mod aws_json;
pub(crate) mod aws_query;
pub(crate) mod cbor;
pub(crate) mod ec2_query;
pub(crate) mod error;
pub(crate) mod form;
pub(crate) mod rest_json;
pub(crate) mod rest_xml;
pub(crate) mod route;
pub(crate) mod rpc_cbor;
pub(crate) mod tree;
pub(crate) mod validate;
pub(crate) mod xml;

use crate::content::Content;
pub(crate) use error::ApiError;

/// The services that answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    Ssm,
    Ec2,
    Sts,
    AutoScaling,
    LoadBalancing,
    CloudWatch,
    ResourceGroups,
    S3,
    Logs,
    Organizations,
    Kms,
    /// `ec2messages`, where agents ask for commands.
    Messages,
    /// The message gateway of Session Manager.
    Gateway,
}

impl Service {
    pub(crate) const ALL: [Service; 13] = [
        Service::Ssm,
        Service::Ec2,
        Service::Sts,
        Service::AutoScaling,
        Service::LoadBalancing,
        Service::CloudWatch,
        Service::ResourceGroups,
        Service::S3,
        Service::Logs,
        Service::Organizations,
        Service::Kms,
        Service::Messages,
        Service::Gateway,
    ];

    /// The name in IAM's actions.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Service::Ssm => "ssm",
            Service::Ec2 => "ec2",
            Service::Sts => "sts",
            Service::AutoScaling => "autoscaling",
            Service::LoadBalancing => "elasticloadbalancing",
            Service::CloudWatch => "cloudwatch",
            Service::ResourceGroups => "resource-groups",
            Service::S3 => "s3",
            Service::Logs => "logs",
            Service::Organizations => "organizations",
            Service::Kms => "kms",
            Service::Messages => "ec2messages",
            Service::Gateway => "ssmmessages",
        }
    }
}

/// The protocols that are spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// awsJson 1.0 or 1.1.
    Json,
    Query,
    Ec2,
    RestJson,
    RestXml,
    Cbor,
}

/// A finished answer.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// Empty where the answer has no body and says nothing of one.
    pub(crate) content_type: &'static str,
    pub(crate) body: Vec<u8>,
    /// Headers of this answer alone.
    pub(crate) headers: Vec<(&'static str, String)>,
    /// What is sent instead of `body`, made while it is sent: the content, and from where to where.
    pub(crate) stream: Option<(Content, u64, u64)>,
    /// The connection is closed after so many bytes of the body.
    pub(crate) cut: Option<u64>,
}

impl Reply {
    pub(crate) fn new(status: u16, content_type: &'static str, body: Vec<u8>) -> Reply {
        Reply { status, content_type, body, headers: Vec::new(), stream: None, cut: None }
    }

    /// Adds a header.
    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Reply {
        self.headers.push((name, value.into()));
        self
    }

    /// Bytes that are sent.
    pub(crate) fn length(&self) -> u64 {
        self.stream.as_ref().map_or(self.body.len() as u64, |(_, from, to)| to.saturating_sub(*from))
    }
}

/// Writes an error in a protocol.
pub(crate) fn error_reply(
    (service, protocol): (Service, Protocol),
    error: &ApiError,
    request_id: &str,
) -> Reply {
    match protocol {
        Protocol::Json if service == Service::CloudWatch => rpc_cbor::json_error(error),
        Protocol::Json => aws_json::error(service, error),
        Protocol::Query => aws_query::error(service, error, request_id),
        Protocol::Ec2 => ec2_query::error(error, request_id),
        Protocol::RestJson => rest_json::error(error),
        Protocol::RestXml => rest_xml::error(error, request_id),
        Protocol::Cbor => rpc_cbor::error(error),
    }
}
