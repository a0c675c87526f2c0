//! Which addresses a session may connect to.
//!
//! The address comes out of an API's answer and gets a token, so it is looked at: only Session Manager's own hosts, unless
//! the caller says otherwise.

use std::net::IpAddr;

use tokio_tungstenite::tungstenite::http::Uri;

use super::control::UpgradeRequest;

/// Which addresses are good.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum StreamPolicy {
    /// Session Manager's endpoints in any AWS partition, over TLS.
    #[default]
    AwsOnly,
    /// This endpoint in place of the one that the API names: a VPC endpoint, a proxy of one's own, an emulator.
    Replace(String),
    /// Whatever the API names. For emulators: whoever answers gets the token.
    Any,
}

impl StreamPolicy {
    /// The policy that follows from where Systems Manager's API is reached: AWS's own API names AWS's addresses; an emulator, which
    /// somebody chose, names its own.
    #[must_use]
    pub fn for_api(endpoint: Option<&str>) -> StreamPolicy {
        let host = |url: &str| parse(url).ok().map(|endpoint| endpoint.host);
        let is_of_aws = |host: &str| {
            SUFFIXES.iter().any(|suffix| host.strip_suffix(suffix).is_some_and(|host| host.ends_with('.')))
        };
        match endpoint.map(host) {
            Some(Some(host)) if !is_of_aws(&host) => StreamPolicy::Any,
            _ => StreamPolicy::AwsOnly,
        }
    }
}

/// An address that is not connected to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// It can't be read.
    #[error("the stream address of {0:?} can't be read")]
    Unreadable(String),
    /// It is not AWS's.
    #[error("{0:?} is not an endpoint of Session Manager")]
    NotAws(String),
    /// It is without TLS.
    #[error("{0:?} is not on this machine, and TLS is not used")]
    NotSecure(String),
}

/// Where to connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Endpoint {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) is_tls: bool,
    /// Path and query.
    pub(super) path: String,
}

/// Ends of the hosts of AWS's partitions.
const SUFFIXES: [&str; 9] = [
    "amazonaws.com",
    "amazonaws.com.cn",
    "api.aws",
    "api.amazonwebservices.com.cn",
    "amazonaws.eu",
    "c2s.ic.gov",
    "sc2s.sgov.gov",
    "cloud.adc-e.uk",
    "csp.hci.ic.gov",
];

impl Endpoint {
    /// Reads the API's address under a policy.
    pub(super) fn new(stream_url: &str, policy: &StreamPolicy) -> Result<Endpoint, EndpointError> {
        let stream = parse(stream_url)?;
        let endpoint = match policy {
            StreamPolicy::Replace(replacement) => Endpoint { path: stream.path, ..parse(replacement)? },
            _ => stream,
        };
        if *policy == StreamPolicy::AwsOnly
            && !(endpoint.is_tls && endpoint.port == 443 && is_aws(&endpoint.host))
        {
            return Err(EndpointError::NotAws(endpoint.host));
        }
        if !endpoint.is_tls && !is_loopback(&endpoint.host) {
            return Err(EndpointError::NotSecure(endpoint.host));
        }
        Ok(endpoint)
    }

    /// The `Host` header: the port only where it is not the usual one.
    pub(super) fn authority(&self) -> String {
        let usual = if self.is_tls { 443 } else { 80 };
        if self.port == usual { self.host.clone() } else { format!("{}:{}", self.host, self.port) }
    }

    /// The address of the WebSocket.
    pub(super) fn url(&self) -> String {
        format!("{}://{}{}", if self.is_tls { "wss" } else { "ws" }, self.authority(), self.path)
    }

    /// What to sign; `None` if the address is signed already.
    pub(super) fn upgrade(&self) -> Option<UpgradeRequest> {
        const SIGNED: [&str; 7] =
            ["Algorithm", "Credential", "Date", "Expires", "SignedHeaders", "Signature", "Security-Token"];
        let query = self.path.split_once('?').map(|(_, query)| query).unwrap_or_default();
        let is_signed = query.split('&').filter_map(|pair| pair.split('=').next()?.strip_prefix("X-Amz-"));
        if is_signed.into_iter().any(|name| SIGNED.contains(&name)) {
            return None;
        }
        let scheme = if self.is_tls { "https" } else { "http" };
        let host = self.authority();
        Some(UpgradeRequest { url: format!("{scheme}://{host}{}", self.path), host })
    }
}

fn parse(url: &str) -> Result<Endpoint, EndpointError> {
    // What stands in an error has no query: a token may be in it.
    let shown = || url.split('?').next().unwrap_or_default().to_owned();
    let unreadable = || EndpointError::Unreadable(shown());
    let uri: Uri = url.trim().parse().map_err(|_| unreadable())?;
    let authority = uri.authority().ok_or_else(unreadable)?;
    let is_tls = match uri.scheme_str() {
        Some("wss" | "https") => true,
        Some("ws" | "http") => false,
        _ => return Err(unreadable()),
    };
    if authority.as_str().contains('@') || authority.host().is_empty() {
        return Err(unreadable());
    }
    Ok(Endpoint {
        host: authority.host().to_ascii_lowercase(),
        port: authority.port_u16().unwrap_or(if is_tls { 443 } else { 80 }),
        is_tls,
        path: uri.path_and_query().map_or("/", |path| path.as_str()).to_owned(),
    })
}

/// `ssmmessages.REGION.SUFFIX`, the same with `-fips`, or `vpce-….ssmmessages.REGION.vpce.SUFFIX`.
///
/// The form is exact: names of buckets and the like are other people's, and stand before the same suffix.
fn is_aws(host: &str) -> bool {
    let labels = SUFFIXES.iter().filter_map(|suffix| host.strip_suffix(suffix)?.strip_suffix('.'));
    labels.map(|labels| labels.split('.').collect::<Vec<_>>()).any(|labels| match &labels[..] {
        [service, region] => is_service(service) && is_region(region),
        [vpce, service, region, "vpce"] => {
            vpce.starts_with("vpce-") && is_service(service) && is_region(region)
        }
        _ => false,
    })
}

fn is_service(label: &str) -> bool {
    matches!(label, "ssmmessages" | "ssmmessages-fips")
}

/// Two parts or more, and a number at the end: `us-gov-west-1`.
fn is_region(label: &str) -> bool {
    let parts: Vec<&str> = label.split('-').collect();
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let is_word = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase());
    match &parts[..] {
        [words @ .., number] => {
            words.len() >= 2 && words.iter().all(|word| is_word(word)) && is_number(number)
        }
        [] => false,
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str = "/v1/data-channel/s-1?role=publish_subscribe&cell-number=AAE%3D";

    fn allowed(url: &str, policy: &StreamPolicy) -> Result<String, EndpointError> {
        Endpoint::new(url, policy).map(|endpoint| endpoint.url())
    }

    #[test]
    fn only_an_emulator_names_other_addresses() {
        for (endpoint, policy) in [
            (None, StreamPolicy::AwsOnly),
            (Some("https://ssm.eu-west-1.amazonaws.com"), StreamPolicy::AwsOnly),
            (Some("https://vpce-0a1b-2c3d.ssm.eu-west-1.vpce.amazonaws.com/"), StreamPolicy::AwsOnly),
            (Some("http://127.0.0.1:4566"), StreamPolicy::Any),
            (Some("https://emulator.internal"), StreamPolicy::Any),
            (Some("https://evilamazonaws.com"), StreamPolicy::Any),
            (Some("nonsense"), StreamPolicy::AwsOnly),
        ] {
            assert_eq!(StreamPolicy::for_api(endpoint), policy, "{endpoint:?}");
        }
    }

    #[test]
    fn aws_hosts_are_good() {
        for host in [
            "ssmmessages.us-east-1.amazonaws.com",
            "ssmmessages-fips.us-gov-west-1.amazonaws.com",
            "ssmmessages.cn-north-1.amazonaws.com.cn",
            "ssmmessages.eu-central-2.api.aws",
            "ssmmessages.us-iso-east-1.c2s.ic.gov",
            "SSMMESSAGES.us-east-1.amazonaws.com",
            "vpce-0123-abc.ssmmessages.us-east-1.vpce.amazonaws.com",
        ] {
            let url = format!("wss://{host}{PATH}");
            assert_eq!(
                allowed(&url, &StreamPolicy::AwsOnly),
                Ok(format!("wss://{}{PATH}", host.to_lowercase()))
            );
        }
    }

    #[test]
    fn others_are_not() {
        for url in [
            "wss://evil.example/",
            "wss://ssmmessages.us-east-1.amazonaws.com.evil.example/",
            "wss://ssmmessages.us-east-1.evilamazonaws.com/",
            "wss://ssmmessages.bucket.s3.amazonaws.com/",
            "wss://ssmmessages.s3.amazonaws.com/",
            "wss://x.ssmmessages.us-east-1.amazonaws.com/",
            "wss://ssm.us-east-1.amazonaws.com/",
            "wss://amazonaws.com/",
            "wss://ssmmessages.us-east-1.amazonaws.com:8443/",
            "ws://ssmmessages.us-east-1.amazonaws.com/",
            "ws://127.0.0.1:80/",
        ] {
            assert!(matches!(allowed(url, &StreamPolicy::AwsOnly), Err(EndpointError::NotAws(_))), "{url}");
        }
        for url in
            ["", "wss://", "ftp://x/", "wss://user@ssmmessages.us-east-1.amazonaws.com/", "/path", "wss:// /"]
        {
            let error = allowed(url, &StreamPolicy::AwsOnly);
            assert!(matches!(error, Err(EndpointError::Unreadable(_))), "{url}: {error:?}");
        }
        assert_eq!(
            allowed("gopher://h/p?token=secret", &StreamPolicy::Any),
            Err(EndpointError::Unreadable("gopher://h/p".into()))
        );
    }

    #[test]
    fn an_endpoint_replaces_the_host_only() {
        let url = format!("wss://ssmmessages.us-east-1.amazonaws.com{PATH}");
        let replaced = |endpoint: &str| allowed(&url, &StreamPolicy::Replace(endpoint.into()));
        assert_eq!(replaced("https://vpce-1.example.com"), Ok(format!("wss://vpce-1.example.com{PATH}")));
        assert_eq!(replaced("http://127.0.0.1:4566/x"), Ok(format!("ws://127.0.0.1:4566{PATH}")));
        assert_eq!(replaced("http://10.0.0.1"), Err(EndpointError::NotSecure("10.0.0.1".into())));
        assert!(replaced("nonsense").is_err());
    }

    #[test]
    fn without_tls_only_to_this_machine() {
        for (url, is_good) in [
            ("ws://127.0.0.1:80/", true),
            ("ws://[::1]:8080/", true),
            ("ws://localhost/", true),
            ("ws://localhost.evil.example/", false),
            ("ws://192.168.0.1/", false),
            ("wss://emulator.example:8443/", true),
        ] {
            assert_eq!(allowed(url, &StreamPolicy::Any).is_ok(), is_good, "{url}");
        }
    }

    #[test]
    fn what_is_signed_is_not_signed_again() {
        let endpoint =
            |path: &str| Endpoint::new(&format!("wss://h.example:8443{path}"), &StreamPolicy::Any).unwrap();
        let upgrade = endpoint(PATH).upgrade().unwrap();
        assert_eq!(
            (upgrade.url, upgrade.host.as_str()),
            (format!("https://h.example:8443{PATH}"), "h.example:8443")
        );
        assert_eq!(endpoint("/x?X-Amz-Signature=1").upgrade(), None);
        assert!(endpoint("/x?a=X-Amz-Signature").upgrade().is_some());
    }
}
