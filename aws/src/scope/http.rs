//! The HTTP client: one for a scope, with rustls, the proxies of the environment and the CA bundle.

use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};
use aws_smithy_http_client::Connector;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{self, TlsContext, TrustStore};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
    http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::time::Duration;

use super::CONNECT_TIMEOUT;
use super::error::ScopeError;
use super::options::FixedEndpoint;
use super::profile::Profiles;
use super::wire::{ProxyRule, Trust, Wire};
use crate::environment::Environment;

/// AWS closes idle connections; one that is closed while a request goes out leaves the request's fate unknown, and
/// opening another costs little.
const IDLE: Duration = Duration::from_secs(15);

/// Variables that name the proxy of TLS connections; the first that is set counts.
const HTTPS_PROXIES: [&str; 4] = ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];
/// Variables that name hosts without a proxy.
const NO_PROXIES: [&str; 2] = ["no_proxy", "NO_PROXY"];

/// Plain and TLS requests have proxies of their own.
#[derive(Debug)]
struct ByScheme {
    http: Connector,
    https: Connector,
}

impl HttpConnector for ByScheme {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        if request.uri().starts_with("http://") { self.http.call(request) } else { self.https.call(request) }
    }
}

/// The client of a simulator: no proxy, and no certificate is trusted but its own.
pub(super) fn fixed(endpoint: &FixedEndpoint) -> Result<SharedHttpClient, ScopeError> {
    let mut trust = TrustStore::empty();
    if let Some(pem) = &endpoint.ca_pem {
        check_pem("of the simulator", pem)?;
        trust.add_pem_certificate(pem.clone());
    }
    let context = context(trust)?;
    let direct = || connector(&context, ProxyConfig::disabled());
    Ok(client(ByScheme { http: direct(), https: direct() }))
}

/// The client for AWS: `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY` (lower case wins, as with the aws CLI),
/// the system's certificates, and those of `AWS_CA_BUNDLE` or the profile's `ca_bundle`.
pub(super) fn real(environment: &Environment, profiles: &Profiles) -> Result<SharedHttpClient, ScopeError> {
    let mut trust = TrustStore::default();
    if let Some(pem) = bundle(environment, profiles)? {
        trust.add_pem_certificate(pem);
    }
    let context = context(trust)?;
    let http =
        proxy(environment, &["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"], ProxyConfig::http)?;
    let https = proxy(environment, &HTTPS_PROXIES, ProxyConfig::https)?;
    Ok(client(ByScheme { http: connector(&context, http), https: connector(&context, https) }))
}

/// The certificates of `AWS_CA_BUNDLE`, or of the profile's `ca_bundle`.
fn bundle(environment: &Environment, profiles: &Profiles) -> Result<Option<Vec<u8>>, ScopeError> {
    let bundle = environment.get("AWS_CA_BUNDLE").or_else(|| profiles.get("ca_bundle").map(str::to_owned));
    let Some(path) = bundle else { return Ok(None) };
    let home = environment.get("HOME");
    let pem = std::fs::read(expand_home(&path, home.as_deref()))
        .map_err(|e| ScopeError::CaBundle { path: path.clone(), message: e.to_string() })?;
    check_pem(&path, &pem)?;
    Ok(Some(pem))
}

/// The wire to a simulator.
pub(super) fn wire_fixed(endpoint: &FixedEndpoint) -> Wire {
    let pem = endpoint.ca_pem.clone().unwrap_or_default();
    Wire { trust: Trust { system: false, pem }, proxy: None, messages_endpoint: None }
}

/// The wire to AWS, as [`real`] makes it.
pub(super) fn wire_real(environment: &Environment, profiles: &Profiles) -> Result<Wire, ScopeError> {
    let pem = bundle(environment, profiles)?.unwrap_or_default();
    let proxy = proxy_rule(environment);
    let messages_endpoint = environment.get("AWS_ENDPOINT_URL_SSMMESSAGES");
    Ok(Wire { trust: Trust { system: true, pem }, proxy, messages_endpoint })
}

/// The proxy of connections that the SDK doesn't make.
fn proxy_rule(environment: &Environment) -> Option<ProxyRule> {
    let rules = environment.first(&NO_PROXIES).map(|(_, rules)| rules);
    let is_for_nobody = rules.as_deref().is_some_and(is_every_host);
    environment.first(&HTTPS_PROXIES).filter(|_| !is_for_nobody).map(|(_, url)| {
        ProxyRule::new(if url.contains("://") { url } else { format!("http://{url}") }, rules.as_deref())
    })
}

fn client(connector: ByScheme) -> SharedHttpClient {
    let shared = SharedHttpConnector::new(connector);
    http_client_fn(move |_settings, _components| shared.clone())
}

fn connector(context: &TlsContext, proxy: ProxyConfig) -> Connector {
    Connector::builder()
        .tls_provider(tls::Provider::Rustls(CryptoMode::Ring))
        .tls_context(context.clone())
        .proxy_config(proxy)
        .connector_settings(HttpConnectorSettings::builder().connect_timeout(CONNECT_TIMEOUT).build())
        .sleep_impl(SharedAsyncSleep::new(TokioSleep::new()))
        .pool_idle_timeout(IDLE)
        .build()
}

fn context(trust: TrustStore) -> Result<TlsContext, ScopeError> {
    let context = TlsContext::builder().with_trust_store(trust).build();
    context.map_err(|e| ScopeError::BadConfig { message: format!("TLS can't be set up: {e}") })
}

fn proxy<E: std::fmt::Display>(
    environment: &Environment,
    variables: &[&'static str],
    make: impl Fn(String) -> Result<ProxyConfig, E>,
) -> Result<ProxyConfig, ScopeError> {
    let Some((variable, url)) = environment.first(variables) else { return Ok(ProxyConfig::disabled()) };
    // The aws CLI takes `proxy:8080` too.
    let url = if url.contains("://") { url } else { format!("http://{url}") };
    let proxy = make(url).map_err(|_| ScopeError::Proxy {
        variable: variable.to_owned(),
        message: "it needs a scheme (http or https) and a host".to_owned(),
    })?;
    Ok(match environment.first(&NO_PROXIES) {
        Some((_, rules)) if is_every_host(&rules) => ProxyConfig::disabled(),
        Some((_, rules)) => proxy.no_proxy(rules),
        None => proxy,
    })
}

/// Whether a proxy is for nobody: `NO_PROXY=*`. The aws CLI means addresses by it too.
fn is_every_host(rules: &str) -> bool {
    rules.trim() == "*"
}

/// Reads the bundle as the client will, which would panic where this says what is wrong.
fn check_pem(path: &str, pem: &[u8]) -> Result<(), ScopeError> {
    let wrong = |message: String| ScopeError::CaBundle { path: path.to_owned(), message };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|e| wrong(e.to_string()))?;
        roots.add(certificate).map_err(|e| wrong(e.to_string()))?;
    }
    if roots.is_empty() { Err(wrong("there is no certificate in it".to_owned())) } else { Ok(()) }
}

fn expand_home(path: &str, home: Option<&str>) -> String {
    match (path.strip_prefix("~/"), home) {
        (Some(rest), Some(home)) => format!("{home}/{rest}"),
        _ => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> Environment {
        let map: HashMap<_, _> = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Environment::from(map)
    }

    #[test]
    fn a_proxy_needs_a_host_and_its_url_is_not_repeated() {
        let env = environment(&[("HTTPS_PROXY", "socks5://me:secret@proxy")]);
        let error = proxy(&env, &["https_proxy", "HTTPS_PROXY"], ProxyConfig::https).unwrap_err();
        assert!(error.to_string().starts_with("HTTPS_PROXY is not"), "{error}");
        assert!(!error.to_string().contains("secret"), "{error}");
        for (good, disabled) in [("proxy:8080", false), ("http://me:pw@proxy:3128", false), ("", true)] {
            let env = environment(&[("HTTPS_PROXY", good), ("NO_PROXY", "169.254.169.254,.internal")]);
            let made = proxy(&env, &["https_proxy", "HTTPS_PROXY"], ProxyConfig::https).unwrap();
            assert_eq!(made.is_disabled(), disabled, "{good}");
        }
    }

    #[test]
    fn a_proxy_for_nobody_is_none() {
        for (rules, disabled) in [("*", true), (" * ", true), ("*.internal", false), ("a,b", false)] {
            let env = environment(&[("HTTPS_PROXY", "http://proxy:3128"), ("NO_PROXY", rules)]);
            let made = proxy(&env, &HTTPS_PROXIES, ProxyConfig::https).unwrap();
            assert_eq!(made.is_disabled(), disabled, "{rules}");
            assert_eq!(proxy_rule(&env).is_none(), disabled, "{rules}");
        }
    }

    #[test]
    fn a_wrong_ca_bundle_is_an_error_and_no_panic() {
        let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for (pem, says) in [("", "no certificate"), ("hello", "no certificate"), (garbage, "")] {
            let error = check_pem("/etc/ca.pem", pem.as_bytes()).unwrap_err().to_string();
            assert!(error.starts_with("the CA bundle /etc/ca.pem can't be used"), "{error}");
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn home_is_expanded() {
        assert_eq!(expand_home("~/ca.pem", Some("/home/ada")), "/home/ada/ca.pem");
        assert_eq!(expand_home("/ca.pem", Some("/home/ada")), "/ca.pem");
    }
}
