//! The endpoint URLs of environment and profile, checked before the SDK reads them: it panics at an empty one, and fails at
//! a wrong one with every request, in words of its own.

use super::error::ScopeError;
use super::profile::Profiles;
use crate::address::origin;
use crate::environment::Environment;

/// What the SDK asks for, for every service that herder calls; its service ids.
const VARIABLES: [&str; 15] = [
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_CLOUDWATCH",
    "AWS_ENDPOINT_URL_CLOUDWATCH_LOGS",
    "AWS_ENDPOINT_URL_EC2",
    "AWS_ENDPOINT_URL_ELASTIC_LOAD_BALANCING_V2",
    "AWS_ENDPOINT_URL_KMS",
    "AWS_ENDPOINT_URL_ORGANIZATIONS",
    "AWS_ENDPOINT_URL_RESOURCE_GROUPS",
    "AWS_ENDPOINT_URL_S3",
    "AWS_ENDPOINT_URL_SIGNIN",
    "AWS_ENDPOINT_URL_SSM",
    "AWS_ENDPOINT_URL_SSMMESSAGES",
    "AWS_ENDPOINT_URL_SSO",
    "AWS_ENDPOINT_URL_SSO_OIDC",
    "AWS_ENDPOINT_URL_STS",
];

/// Refuses endpoint URLs that can't be ones.
pub(super) fn check(environment: &Environment, profiles: &Profiles) -> Result<(), ScopeError> {
    for variable in VARIABLES {
        if environment.is_empty(variable) {
            return Err(ScopeError::Endpoint {
                name: variable.to_owned(),
                message: "it is empty".to_owned(),
            });
        }
        if let Some(url) = environment.get(variable) {
            let is_of_messages = variable.ends_with("SSMMESSAGES");
            let schemes: &[&str] =
                if is_of_messages { &["https", "http", "wss", "ws"] } else { &["https", "http"] };
            check_url(variable, &url, schemes)?;
        }
    }
    profiles.get("endpoint_url").map_or(Ok(()), |url| {
        let name = format!("endpoint_url of profile `{}`", profiles.name());
        check_url(&name, url, &["https", "http"])
    })
}

fn check_url(name: &str, url: &str, schemes: &[&str]) -> Result<(), ScopeError> {
    let wrong = |message: String| Err(ScopeError::Endpoint { name: name.to_owned(), message });
    let Some((scheme, _)) = url.split_once("://") else {
        return wrong(format!("it needs a scheme, such as https://{url}"));
    };
    if !schemes.contains(&scheme.to_ascii_lowercase().as_str()) {
        return wrong(format!("`{scheme}` is not {}", schemes.join(" or ")));
    }
    let Some(origin) = origin(url) else { return wrong("it names no host".to_owned()) };
    let host = origin.split_once("://").map_or("", |(_, host)| host);
    let (host, port) = match host.rsplit_once(':') {
        // The colons of an IPv6 address are inside its brackets.
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (host, None),
    };
    if host.is_empty() || host.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return wrong("it names no host".to_owned());
    }
    match port {
        Some(port) if port.parse::<u16>().is_err() => wrong(format!("`{port}` is not a port")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    async fn checked(name: &str, url: &str) -> Option<String> {
        let environment = HashMap::from([(name.to_owned(), url.to_owned())]).into();
        let profiles = Profiles::parsed("[default]\n", "default").await.unwrap();
        check(&environment, &profiles).err().map(|error| error.to_string())
    }

    #[tokio::test]
    async fn urls_that_can_be_reached_pass() {
        for url in [
            "http://127.0.0.1:4566",
            "https://vpce-1.ssm.eu-west-1.vpce.amazonaws.com/",
            "HTTP://localhost",
            "http://[::1]:4566",
            "http://[::1]",
        ] {
            assert_eq!(checked("AWS_ENDPOINT_URL", url).await, None, "{url}");
        }
        assert_eq!(checked("AWS_ENDPOINT_URL_SSMMESSAGES", "wss://127.0.0.1:1").await, None);
    }

    #[tokio::test]
    async fn others_are_told_by_name() {
        for (url, says) in [
            ("", "it is empty"),
            ("foo", "such as https://foo"),
            ("http://", "names no host"),
            ("http:///ssm", "names no host"),
            ("http://:80", "names no host"),
            ("ftp://x", "`ftp` is not https or http"),
            ("http://x:port", "`port` is not a port"),
            ("http://a b", "names no host"),
        ] {
            let said = checked("AWS_ENDPOINT_URL_SSM", url).await.unwrap_or_default();
            assert!(said.contains(says) && said.contains("AWS_ENDPOINT_URL_SSM"), "{url}: {said}");
        }
    }

    #[tokio::test]
    async fn a_profiles_is_checked_too() {
        let profiles = Profiles::parsed("[profile p]\nendpoint_url = local\n", "p").await.unwrap();
        let error = check(&Environment::empty(), &profiles).unwrap_err().to_string();
        assert!(error.contains("profile `p`"), "{error}");
    }
}
