//! [`Wire`]: what connections that the SDK doesn't make need to be made as its are.

use std::fmt;

use hyper_util::client::proxy::matcher::Matcher;

/// How connections are made that the SDK doesn't make: Session Manager's WebSockets.
#[derive(Debug)]
pub struct Wire {
    pub(super) trust: Trust,
    pub(super) proxy: Option<ProxyRule>,
    pub(super) messages_endpoint: Option<String>,
}

/// Whose certificates are trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trust {
    /// The system's.
    pub system: bool,
    /// And these, PEM; may be empty.
    pub pem: Vec<u8>,
}

impl Wire {
    /// Whose certificates are trusted.
    #[must_use]
    pub fn trust(&self) -> &Trust {
        &self.trust
    }

    /// The proxy that TLS connections to a host go through, as a URL with user and password where there are any; none if they go
    /// straight.
    #[must_use]
    pub fn proxy_for(&self, host: &str) -> Option<&str> {
        self.proxy.as_ref()?.url_for(host)
    }

    /// Where Session Manager's messages go in place of what it names: `AWS_ENDPOINT_URL_SSMMESSAGES`, for VPC endpoints and
    /// emulators.
    #[must_use]
    pub fn messages_endpoint(&self) -> Option<&str> {
        self.messages_endpoint.as_deref()
    }
}

/// A proxy, and which hosts don't go through it.
pub(super) struct ProxyRule {
    url: String,
    matcher: Matcher,
}

impl ProxyRule {
    pub(super) fn new(url: String, no_proxy: Option<&str>) -> ProxyRule {
        let builder = Matcher::builder().https(url.clone());
        let builder = match no_proxy {
            Some(rules) => builder.no(rules.to_owned()),
            None => builder,
        };
        ProxyRule { url, matcher: builder.build() }
    }

    fn url_for(&self, host: &str) -> Option<&str> {
        let destination = format!("https://{host}").parse().ok()?;
        self.matcher.intercept(&destination).map(|_| self.url.as_str())
    }
}

impl fmt::Debug for ProxyRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Its URL may hold a password.
        f.write_str("ProxyRule")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_hosts_have_no_proxy() {
        let rule =
            ProxyRule::new("http://me:secret@proxy:3128".into(), Some("localhost,127.0.0.1,.internal"));
        let gateway = "ssmmessages.eu-west-1.amazonaws.com";
        assert_eq!(rule.url_for(gateway), Some("http://me:secret@proxy:3128"));
        for host in ["127.0.0.1", "gateway.internal", "localhost"] {
            assert_eq!(rule.url_for(host), None, "{host}");
        }
        assert!(ProxyRule::new("http://proxy:3128".into(), None).url_for("127.0.0.1").is_some());
        assert!(!format!("{rule:?}").contains("secret"));
    }
}
