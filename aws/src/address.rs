//! [`Address`]: where a service's last request went, so that a failure can name it.

use std::sync::{Arc, Mutex, PoisonError};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::BeforeTransmitInterceptorContextRef;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;

/// Where one service's last request went: `https://ssm.eu-west-1.amazonaws.com`. Clones are the same one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Address(Arc<Mutex<Option<String>>>);

impl Address {
    /// Scheme, host and port; `None` before the first request.
    pub(crate) fn get(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Scheme, host and port of a URL; nothing of what may be secret in it.
pub(crate) fn origin(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit('@').next()?;
    (!host.is_empty()).then(|| format!("{scheme}://{host}"))
}

/// A URL without the user and password that it may hold.
pub(crate) fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    match authority.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}://{host}{path}"),
        None => url.to_owned(),
    }
}

impl Intercept for Address {
    fn name(&self) -> &'static str {
        "Address"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = origin(context.request().uri());
        Ok(())
    }
}

/// Those of every service of a scope, by IAM's prefix.
#[derive(Clone, Debug, Default)]
pub(crate) struct Addresses {
    /// Of Systems Manager.
    pub(crate) ssm: Address,
    /// Of EC2.
    pub(crate) ec2: Address,
    /// Of STS.
    pub(crate) sts: Address,
    /// Of CloudWatch.
    pub(crate) cloudwatch: Address,
    /// Of Elastic Load Balancing.
    pub(crate) elasticloadbalancing: Address,
    /// Of Resource Groups.
    pub(crate) resource_groups: Address,
    /// Of S3: the last bucket's.
    pub(crate) s3: Address,
    /// Of CloudWatch Logs.
    pub(crate) logs: Address,
    /// Of KMS.
    pub(crate) kms: Address,
    /// Of Organizations.
    pub(crate) organizations: Address,
}

impl Addresses {
    /// Where the last request of a service went.
    pub(crate) fn of(&self, service: &str) -> Option<String> {
        let address = match service {
            "ssm" => &self.ssm,
            "ec2" => &self.ec2,
            "sts" => &self.sts,
            "cloudwatch" => &self.cloudwatch,
            "elasticloadbalancing" => &self.elasticloadbalancing,
            "resource-groups" => &self.resource_groups,
            "s3" => &self.s3,
            "logs" => &self.logs,
            "kms" => &self.kms,
            "organizations" => &self.organizations,
            _ => return None,
        };
        address.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_has_neither_path_nor_password() {
        for (url, expected) in [
            ("https://ssm.eu-west-1.amazonaws.com/", Some("https://ssm.eu-west-1.amazonaws.com")),
            ("http://me:secret@127.0.0.1:4566/x?token=secret", Some("http://127.0.0.1:4566")),
            ("https://host?x=y@z", Some("https://host")),
            ("nonsense", None),
        ] {
            assert_eq!(origin(url).as_deref(), expected, "{url}");
        }
        assert_eq!(without_password("http://me:secret@proxy:4566/a@b"), "http://proxy:4566/a@b");
        for url in ["http://127.0.0.1:4566/a@b", "nonsense"] {
            assert_eq!(without_password(url), url);
        }
    }
}
