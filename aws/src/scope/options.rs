//! What a scope is opened with.

use std::fmt;
use std::sync::Arc;

use super::error::ScopeError;
use super::profile::Profiles;
use crate::environment::Environment;

/// What a scope is opened with.
#[derive(Clone)]
pub struct ScopeOptions {
    /// The profile (`--profile`). Without it `AWS_PROFILE`, then `default`. Naming one here makes the credentials in
    /// the environment not count, as with the aws CLI.
    pub profile: Option<String>,
    /// The region (`--region`). Without it `AWS_REGION`, `AWS_DEFAULT_REGION`, then the profile's.
    pub region: Option<String>,
    /// A role to assume with the profile's credentials (`--assume-role`).
    pub assume_role: Option<AssumeRole>,
    /// A simulator. With it no profile, environment variable or configuration file is consulted.
    pub endpoint: Option<FixedEndpoint>,
    /// An endpoint for every service, as `--endpoint-url` of the aws CLI gives it; before what environment and profile say.
    pub endpoint_url: Option<String>,
    /// Asks for MFA codes. `None` where nobody can be asked: a profile that wants one is an error then.
    pub mfa: Option<MfaPrompt>,
    /// For `AWS_CA_BUNDLE`, the proxy variables and the region. (The SDK reads its own variables by itself.)
    pub environment: Environment,
    /// Stands in the user agent, and so in CloudTrail: letters, digits and `.-_`.
    pub app_name: String,
}

impl ScopeOptions {
    /// Options with nothing chosen.
    #[must_use]
    pub fn new(environment: Environment) -> ScopeOptions {
        ScopeOptions {
            profile: None,
            region: None,
            assume_role: None,
            endpoint: None,
            endpoint_url: None,
            mfa: None,
            environment,
            app_name: concat!("herder-", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

impl fmt::Debug for ScopeOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScopeOptions")
            .field("profile", &self.profile)
            .field("region", &self.region)
            .field("assume_role", &self.assume_role)
            .field("endpoint", &self.endpoint)
            .field("endpoint_url", &self.endpoint_url)
            .finish_non_exhaustive()
    }
}

/// A role to assume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssumeRole {
    /// Its name (with its path, if it has one), or its ARN.
    pub role: String,
    /// The account of a role given by name; without it the account of the credentials that assume it.
    pub account: Option<String>,
    /// The external id that the role's trust policy asks for.
    pub external_id: Option<String>,
}

/// A service that is not AWS: the simulator.
#[derive(Clone, PartialEq, Eq)]
pub struct FixedEndpoint {
    /// `http://127.0.0.1:4566` or `https://…`.
    pub url: String,
    /// Region.
    pub region: String,
    /// Access key id.
    pub access_key: String,
    /// Secret access key.
    pub secret_key: String,
    /// Account id.
    pub account: String,
    /// The CA of an `https` endpoint, PEM. It is the only one that is trusted.
    pub ca_pem: Option<Vec<u8>>,
}

impl fmt::Debug for FixedEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FixedEndpoint")
            .field("url", &self.url)
            .field("region", &self.region)
            .field("account", &self.account)
            .finish_non_exhaustive()
    }
}

/// What an MFA code is wanted for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MfaQuestion {
    /// The device: its ARN or serial number.
    pub serial: String,
    /// The profile that names it.
    pub profile: String,
}

/// Asks a person for an MFA code; blocking is fine, it is called on a thread of its own. An `Err` says why there is none.
pub type MfaPrompt = Arc<dyn Fn(&MfaQuestion) -> Result<String, String> + Send + Sync>;

/// The region: option, environment, profile. Instance metadata isn't asked.
pub(super) fn resolve_region(options: &ScopeOptions, profiles: &Profiles) -> Result<String, ScopeError> {
    let region = options
        .region
        .clone()
        .or_else(|| options.environment.first(&["AWS_REGION", "AWS_DEFAULT_REGION"]).map(|(_, value)| value))
        .or_else(|| profiles.get("region").map(str::to_owned))
        .ok_or_else(|| ScopeError::NoRegion { profile: profiles.name().to_owned() })?;
    valid_region(region)
}

/// A region's name, if it can be one: it becomes part of a host name.
pub(super) fn valid_region(region: String) -> Result<String, ScopeError> {
    let fits = !region.is_empty()
        && region.len() <= 63
        && region.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
        && !region.starts_with('-')
        && !region.ends_with('-');
    if fits { Ok(region) } else { Err(ScopeError::InvalidRegion { region }) }
}
