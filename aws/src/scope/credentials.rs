//! [`CredentialStore`]: one scope's credentials, cached until shortly before they expire, and made anew from the
//! configuration files when they are rejected.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::ecs::EcsCredentialsProvider;
use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::imds::credentials::ImdsCredentialsProvider;
use aws_config::meta::credentials::CredentialsProviderChain;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::web_identity_token::WebIdentityTokenCredentialsProvider;
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use aws_smithy_async::time::SharedTimeSource;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::Identity;
use super::error::ScopeError;
use super::options::{AssumeRole, FixedEndpoint, MfaQuestion, ScopeOptions};
use super::profile::{ChainBase, Login, Profiles, RoleLink, full_text};
use super::role::{Role, RoleProvider};
use crate::call::Call;
use crate::error::{causes, convert};

/// Credentials are renewed this long before they expire.
const RENEW_BEFORE: Duration = Duration::from_secs(300);
/// Longer than any program or login that works takes; a person typing a code has this long too.
const PATIENCE: Duration = Duration::from_secs(300);

/// Whether credentials last for long enough to begin something with.
pub(super) fn is_fresh(credentials: &Credentials) -> bool {
    lasts(credentials, RENEW_BEFORE)
}

fn lasts(credentials: &Credentials, at_least: Duration) -> bool {
    let now = SharedTimeSource::default().now();
    credentials.expiry().is_none_or(|expiry| now + at_least < expiry)
}

/// How credentials are made.
pub(super) enum Recipe {
    /// Given keys.
    Fixed { keys: Credentials, assume_role: Option<AssumeRole> },
    /// Environment, profile, container, instance: as the aws CLI finds them.
    Real(Box<ScopeOptions>),
    /// A role, assumed with another scope's credentials.
    Through { base: Arc<CredentialStore>, role: AssumeRole },
}

impl Recipe {
    pub(super) fn fixed(endpoint: &FixedEndpoint, assume_role: Option<AssumeRole>) -> Recipe {
        let keys = Credentials::builder()
            .access_key_id(&endpoint.access_key)
            .secret_access_key(&endpoint.secret_key)
            .account_id(endpoint.account.as_str())
            .provider_name("simulator")
            .build();
        Recipe::Fixed { keys, assume_role }
    }

    pub(super) fn real(options: ScopeOptions) -> Recipe {
        Recipe::Real(Box::new(options))
    }
}

/// One scope's credentials.
pub(super) struct CredentialStore {
    recipe: Recipe,
    /// Region, endpoints and HTTP client; without credentials.
    config: SdkConfig,
    state: Mutex<State>,
    /// Who they have to belong to, once that is known.
    principal: OnceLock<Identity>,
}

/// Credentials, and which ones: the same keys that were read again are others.
#[derive(Clone)]
pub(super) struct Numbered {
    pub(super) number: u64,
    pub(super) credentials: Credentials,
}

#[derive(Default)]
struct State {
    provider: Option<SharedCredentialsProvider>,
    cached: Option<Numbered>,
    /// How many were made so far.
    made: u64,
    /// The last attempt that failed, for those who waited for it.
    failed: Option<(Instant, ScopeError)>,
    profile: String,
    login: Option<Login>,
    role: Option<String>,
}

impl CredentialStore {
    pub(super) fn new(recipe: Recipe, config: SdkConfig) -> CredentialStore {
        CredentialStore { recipe, config, state: Mutex::new(State::default()), principal: OnceLock::new() }
    }

    /// The credentials. Concurrent callers wait for one renewal, and share what comes of it.
    pub(super) async fn get(&self) -> Result<Numbered, ScopeError> {
        let asked = Instant::now();
        let mut state = self.state.lock().await;
        if let Some(cached) = state.cached.as_ref().filter(|c| is_fresh(&c.credentials)) {
            return Ok(cached.clone());
        }
        let made = match &state.failed {
            Some((at, error)) if *at >= asked => Err(error.clone()),
            _ => self.checked(&mut state).await,
        };
        match made {
            Ok(credentials) => {
                state.made += 1;
                let made = Numbered { number: state.made, credentials };
                state.cached = Some(made.clone());
                state.failed = None;
                Ok(made)
            }
            Err(error) => {
                // Files may be better by the next time.
                state.provider = None;
                state.failed = Some((Instant::now(), error.clone()));
                // What still lasts is good enough for now.
                state.cached.clone().filter(|c| lasts(&c.credentials, Duration::ZERO)).ok_or(error)
            }
        }
    }

    /// Forgets credentials that AWS rejected, so that the next are made from the files anew. Others stay: those who find
    /// out late do no harm.
    pub(super) async fn reject(&self, number: u64) {
        let mut state = self.state.lock().await;
        if state.cached.as_ref().is_some_and(|cached| cached.number == number) {
            *state = State { made: state.made, ..State::default() };
        }
    }

    /// From now on new credentials have to belong to the same principal.
    pub(super) fn bind(&self, identity: &Identity) {
        let _ = self.principal.set(identity.clone());
    }

    /// How to renew credentials that AWS calls expired.
    pub(super) async fn renewal_hints(&self) -> Vec<String> {
        self.state.lock().await.expired(String::new()).hints()
    }

    /// Where the credentials came from, as far as is known.
    pub(super) async fn source(&self) -> Option<String> {
        let state = self.state.lock().await;
        if let Some(role) = &state.role {
            return Some(format!("role {role}"));
        }
        // The SDK keeps a provider's name to itself but for its `Debug`.
        let text = format!("{:?}", state.cached.as_ref()?.credentials);
        let (_, rest) = text.split_once("provider_name: \"")?;
        Some(rest.split_once('"')?.0.to_owned())
    }

    /// The account that the credentials name, if they do.
    pub(super) async fn account(&self) -> Option<String> {
        let state = self.state.lock().await;
        Some(state.cached.as_ref()?.credentials.account_id()?.as_str().to_owned())
    }

    /// New credentials, if they belong to whom the old ones did.
    async fn checked(&self, state: &mut State) -> Result<Credentials, ScopeError> {
        let credentials = self.renewed(state).await?;
        if let Some(old) = self.principal.get() {
            let new = self.caller(&SharedCredentialsProvider::new(credentials.clone())).await?;
            if !new.is_same_principal(old) {
                return Err(ScopeError::OtherPrincipal { old: old.arn.clone(), new: new.arn });
            }
        }
        Ok(credentials)
    }

    async fn renewed(&self, state: &mut State) -> Result<Credentials, ScopeError> {
        let provider = match &state.provider {
            Some(provider) => provider.clone(),
            None => {
                let made = self.make(state).await?;
                state.provider = Some(made.clone());
                made
            }
        };
        let asked = tokio::time::timeout(PATIENCE, provider.provide_credentials()).await;
        let credentials = match asked {
            Ok(Ok(credentials)) => credentials,
            Ok(Err(error)) => return Err(state.explain(&error)),
            Err(_) => {
                let message = format!("no answer within {} s", PATIENCE.as_secs());
                return Err(ScopeError::CredentialsFailed { profile: state.profile.clone(), message });
            }
        };
        if lasts(&credentials, Duration::ZERO) { Ok(credentials) } else { Err(state.expired(String::new())) }
    }

    async fn make(&self, state: &mut State) -> Result<SharedCredentialsProvider, ScopeError> {
        let (base, assume_role, prompt) = match &self.recipe {
            Recipe::Fixed { keys, assume_role } => {
                state.profile = "simulator".to_owned();
                (SharedCredentialsProvider::new(keys.clone()), assume_role.as_ref(), None)
            }
            Recipe::Real(options) => {
                let profiles = Profiles::load(options.profile.as_deref()).await?;
                state.profile = profiles.name().to_owned();
                state.login = Some(profiles.login());
                (self.base(options, &profiles)?, options.assume_role.as_ref(), options.mfa.clone())
            }
            Recipe::Through { base, role } => {
                // So that what is said of expired credentials is said of the profile's.
                let from = Box::pin(base.get()).await.map(|_| ());
                let told = base.state.lock().await;
                (state.profile, state.login) = (told.profile.clone(), told.login.clone());
                from?;
                (SharedCredentialsProvider::new(StoreProvider(Arc::clone(base))), Some(role), None)
            }
        };
        let Some(wanted) = assume_role else { return Ok(base) };
        let arn = self.role_arn(wanted, &base, state).await?;
        state.role = Some(arn.clone());
        let external_id = wanted.external_id.clone();
        let role = Role { arn, external_id, session_name: None, duration: None, mfa: None, prompt };
        Ok(SharedCredentialsProvider::new(RoleProvider::new(role, base, &self.config)))
    }

    /// The profile's credentials, or the environment's. The SDK finds them all, except behind an MFA code.
    fn base(
        &self,
        options: &ScopeOptions,
        profiles: &Profiles,
    ) -> Result<SharedCredentialsProvider, ScopeError> {
        let keys_in_environment =
            options.profile.is_none() && options.environment.get("AWS_ACCESS_KEY_ID").is_some();
        if !keys_in_environment {
            // A chain that is wrong is left to the SDK unless it is one of ours: it may not be needed at all.
            let chain =
                profiles.chain().ok().filter(|(links, _)| links.iter().any(|l| l.mfa_serial.is_some()));
            if let Some((links, start)) = chain {
                return self.with_mfa(options, profiles, links, &start);
            }
        }
        Ok(SharedCredentialsProvider::new(self.default_chain(options.profile.as_deref())))
    }

    /// The SDK's chain, but that naming a profile makes the environment's keys not count (as with the aws CLI), and that
    /// instance metadata is asked once: off EC2 nobody answers.
    fn default_chain(&self, profile: Option<&str>) -> CredentialsProviderChain {
        let config = self.provider_config();
        let mut from_profile = ProfileFileCredentialsProvider::builder().configure(&config);
        if let Some(name) = profile {
            from_profile = from_profile.profile_name(name);
        }
        let from_profile = from_profile.build();
        let imds = aws_config::imds::Client::builder().configure(&config).max_attempts(1).build();
        let chain = match profile {
            Some(_) => CredentialsProviderChain::first_try("Profile", from_profile),
            None => {
                let environment = EnvironmentVariableCredentialsProvider::new();
                CredentialsProviderChain::first_try("Environment", environment)
                    .or_else("Profile", from_profile)
            }
        };
        chain
            .or_else(
                "WebIdentityToken",
                WebIdentityTokenCredentialsProvider::builder().configure(&config).build(),
            )
            .or_else("EcsContainer", EcsCredentialsProvider::builder().configure(&config).build())
            .or_else(
                "Ec2InstanceMetadata",
                ImdsCredentialsProvider::builder().configure(&config).imds_client(imds).build(),
            )
    }

    fn provider_config(&self) -> ProviderConfig {
        let mut config = ProviderConfig::without_region().with_region(self.config.region().cloned());
        if let Some(http) = self.config.http_client() {
            config = config.with_http_client(http);
        }
        if let Some(sleep) = self.config.sleep_impl() {
            config = config.with_sleep_impl(sleep);
        }
        config.with_behavior_version(Some(aws_config::BehaviorVersion::v2026_01_12()))
    }

    /// A chain of roles with an MFA code somewhere in it.
    fn with_mfa(
        &self,
        options: &ScopeOptions,
        profiles: &Profiles,
        links: Vec<RoleLink>,
        start: &ChainBase,
    ) -> Result<SharedCredentialsProvider, ScopeError> {
        let config = self.provider_config();
        let mut provider = match start {
            ChainBase::Profile(name) => SharedCredentialsProvider::new(
                ProfileFileCredentialsProvider::builder().configure(&config).profile_name(name).build(),
            ),
            ChainBase::StaticKeys(name) => {
                let Some((id, secret, token)) = profiles.static_keys(name) else {
                    return Err(ScopeError::NoCredentials { profile: name.clone() });
                };
                SharedCredentialsProvider::new(Credentials::new(id, secret, token, None, "ProfileFile"))
            }
            ChainBase::Source(source) => match source.as_str() {
                "Environment" => {
                    SharedCredentialsProvider::new(EnvironmentVariableCredentialsProvider::new())
                }
                "EcsContainer" => SharedCredentialsProvider::new(
                    EcsCredentialsProvider::builder().configure(&config).build(),
                ),
                "Ec2InstanceMetadata" => SharedCredentialsProvider::new(
                    ImdsCredentialsProvider::builder().configure(&config).build(),
                ),
                other => {
                    return Err(ScopeError::BadConfig {
                        message: format!("`{other}` is no credential_source"),
                    });
                }
            },
        };
        for link in links.into_iter().rev() {
            let role = Role {
                mfa: link.mfa_serial.map(|serial| MfaQuestion { serial, profile: link.profile }),
                arn: link.role_arn,
                external_id: link.external_id,
                session_name: link.session_name,
                duration: link.duration,
                prompt: options.mfa.clone(),
            };
            provider = SharedCredentialsProvider::new(RoleProvider::new(role, provider, &self.config));
        }
        Ok(provider)
    }

    /// The ARN of a role that may be given by its name.
    async fn role_arn(
        &self,
        wanted: &AssumeRole,
        base: &SharedCredentialsProvider,
        state: &State,
    ) -> Result<String, ScopeError> {
        if wanted.role.starts_with("arn:") {
            return Ok(wanted.role.clone());
        }
        let region = self.config.region().map(|r| r.as_ref().to_owned()).unwrap_or_default();
        let account = match &wanted.account {
            Some(account) => account.clone(),
            None => {
                let credentials = base.provide_credentials().await.map_err(|e| state.explain(&e))?;
                match credentials.account_id() {
                    Some(account) => account.as_str().to_owned(),
                    None => self.caller(base).await?.account,
                }
            }
        };
        Ok(format!("arn:{}:iam::{account}:role/{}", partition(&region), wanted.role.trim_start_matches('/')))
    }

    /// Whom credentials belong to that are not in use yet.
    async fn caller(&self, base: &SharedCredentialsProvider) -> Result<Identity, ScopeError> {
        let config =
            aws_sdk_sts::config::Builder::from(&self.config).credentials_provider(base.clone()).build();
        let call = Call::read("sts", "GetCallerIdentity", "");
        let answer = aws_sdk_sts::Client::from_conf(config).get_caller_identity().send().await;
        let answer = answer.map_err(|e| ScopeError::Call(Box::new(convert(&call, &e))))?;
        let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
        Ok(Identity {
            account: text(answer.account()),
            arn: text(answer.arn()),
            user_id: text(answer.user_id()),
            source: None,
        })
    }
}

impl State {
    /// What the SDK's error means for a person.
    fn explain(&self, error: &CredentialsError) -> ScopeError {
        if let Some(ours) = causes(error).find_map(|e| e.downcast_ref::<ScopeError>()) {
            return ours.clone();
        }
        let (profile, message) = (self.profile.clone(), full_text(error));
        // The SDK's own kinds don't tell an ended session from a broken one. Without a network it isn't the session.
        let network = ["dispatch failure", "timeout"].iter().any(|sign| message.contains(sign));
        match (&self.login, error) {
            (Some(Login::Sso(_) | Login::Console(_)), _) if !network => self.expired(message),
            (_, CredentialsError::CredentialsNotLoaded(_)) => ScopeError::NoCredentials { profile },
            (_, CredentialsError::InvalidConfiguration(_)) => ScopeError::BadConfig { message },
            _ if message.to_ascii_lowercase().contains("expired") => self.expired(message),
            _ => ScopeError::CredentialsFailed { profile, message },
        }
    }

    fn expired(&self, message: String) -> ScopeError {
        match &self.login {
            Some(Login::Sso(profile)) => ScopeError::SsoExpired { profile: profile.clone(), message },
            Some(Login::Console(profile)) => ScopeError::LoginExpired { profile: profile.clone(), message },
            Some(Login::None) | None => ScopeError::Expired { profile: self.profile.clone() },
        }
    }
}

/// The part of ARNs that names one of AWS's separate clouds.
fn partition(region: &str) -> &'static str {
    match region {
        r if r.starts_with("cn-") => "aws-cn",
        r if r.starts_with("us-gov-") => "aws-us-gov",
        r if r.starts_with("us-isob-") => "aws-iso-b",
        r if r.starts_with("us-iso-") => "aws-iso",
        r if r.starts_with("eusc-") => "aws-eusc",
        _ => "aws",
    }
}

/// The store as the SDK wants it.
pub(super) struct StoreProvider(pub(super) Arc<CredentialStore>);

impl ProvideCredentials for StoreProvider {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let get = async {
            let got = self.0.get().await;
            got.map(|made| made.credentials).map_err(CredentialsError::provider_error)
        };
        future::ProvideCredentials::new(get)
    }
}

impl std::fmt::Debug for StoreProvider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StoreProvider")
    }
}
