//! [`Scope`]: one account and region, with its credentials, its HTTP client and its place in the meter.

mod credentials;
mod endpoint;
mod error;
mod http;
mod options;
mod profile;
mod role;
mod sign;
mod summary;
mod wire;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};
use aws_smithy_async::time::SharedTimeSource;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_runtime_api::client::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_smithy_types::retry::RetryConfig;
use aws_types::app_name::AppName;
use aws_types::region::Region;
use aws_types::service_config::ServiceConfigKey;
use herder_core::limit::LimitKey;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::OnceCell;

use self::credentials::{CredentialStore, Recipe, StoreProvider};
pub use self::error::ScopeError;
pub use self::options::{AssumeRole, FixedEndpoint, MfaPrompt, MfaQuestion, ScopeOptions};
use self::options::{resolve_region, valid_region};
use self::profile::Profiles;
pub use self::summary::CredentialsSummary;
pub use self::wire::{Trust, Wire};
use crate::address::{Addresses, without_password};
use crate::call::Call;
use crate::cloudwatch::CloudWatch;
use crate::ec2::Ec2;
use crate::elbv2::Elbv2;
use crate::error::{CallError, CallErrorKind};
use crate::kms::Kms;
use crate::logs::Logs;
use crate::meter::{Meter, Ticket};
use crate::organizations::Organizations;
use crate::resource_groups::ResourceGroups;
use crate::s3::S3;
use crate::server_clock::ServerClock;
use crate::ssm::Ssm;
use crate::sts::Sts;

/// TCP and TLS must stand after this long.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(3100);
/// One attempt at an ordinary call.
pub(crate) const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);
/// One attempt at a call that changes something: better to wait than not to know.
pub(crate) const CHANGE_TIMEOUT: Duration = Duration::from_secs(20);
/// One attempt at a call with pages of megabytes.
const PAGE_TIMEOUT: Duration = Duration::from_secs(30);
/// From here on the SDK takes a refused signature for one of a wrong clock.
const SKEW: SignedDuration = SignedDuration::from_mins(4);
/// The account of limits where nobody could say which one it is.
const UNKNOWN_ACCOUNT: &str = "unknown";

/// Who AWS says that these credentials are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// AWS account id, twelve digits.
    pub account: String,
    /// The principal's ARN; of a role, with the session's name.
    pub arn: String,
    /// AWS's id of the principal.
    pub user_id: String,
    /// Where the credentials came from, as far as is known: `Environment`, `SSO`, `role …`.
    pub source: Option<String>,
}

impl Identity {
    /// The ARN, of a role without its session's name: the same role starts a run and goes on with it, whatever the
    /// sessions are called.
    #[must_use]
    pub fn principal(&self) -> &str {
        let Some((head, tail)) = self.arn.split_once(":assumed-role/") else { return &self.arn };
        let role = tail.split('/').next().unwrap_or(tail);
        let length = head.len() + ":assumed-role/".len() + role.len();
        self.arn.get(..length).unwrap_or(&self.arn)
    }

    /// Whether both are the same principal: of a role, whatever its session is called.
    #[must_use]
    pub fn is_same_principal(&self, other: &Identity) -> bool {
        self.account == other.account && self.principal() == other.principal()
    }
}

/// One account and region. Cheap to clone.
#[derive(Clone)]
pub struct Scope(Arc<Inner>);

struct Inner {
    region: String,
    endpoint: Option<String>,
    meter: Arc<Meter>,
    clock: ServerClock,
    addresses: Addresses,
    store: Arc<CredentialStore>,
    fixed_account: Option<String>,
    /// The account that limits are kept for.
    account: OnceCell<String>,
    identity: OnceCell<Identity>,
    /// For connections that the SDK doesn't make.
    wire: Arc<Wire>,
    kms: aws_sdk_kms::Client,
    /// Region, endpoints, HTTP client and credentials, to make other scopes of.
    config: SdkConfig,
    organizations: aws_sdk_organizations::Client,
    ssm: aws_sdk_ssm::Client,
    ec2: aws_sdk_ec2::Client,
    sts: aws_sdk_sts::Client,
    cloudwatch: aws_sdk_cloudwatch::Client,
    elbv2: aws_sdk_elasticloadbalancingv2::Client,
    resource_groups: aws_sdk_resourcegroups::Client,
    s3: aws_sdk_s3::Client,
    logs: aws_sdk_cloudwatchlogs::Client,
}

impl Scope {
    /// Opens a scope: settles profile, region, proxy and CA bundle, and gets credentials. Asks for an MFA code where the
    /// profile wants one. Calls no service, except what credentials need (SSO, STS AssumeRole, instance metadata).
    ///
    /// # Errors
    /// Whatever is missing or wrong, each as its own variant with hints.
    pub async fn open(options: ScopeOptions, meter: Arc<Meter>) -> Result<Scope, ScopeError> {
        let scope = match options.endpoint.clone() {
            Some(endpoint) => Scope::fixed(&options, &endpoint, meter)?,
            None => Scope::real(options, meter).await?,
        };
        scope.0.store.get().await?;
        Ok(scope)
    }

    /// A scope of a simulator: no profile, environment or file is consulted.
    fn fixed(
        options: &ScopeOptions,
        endpoint: &FixedEndpoint,
        meter: Arc<Meter>,
    ) -> Result<Scope, ScopeError> {
        let http = http::fixed(endpoint)?;
        let mut config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new(endpoint.region.clone()))
            .endpoint_url(&endpoint.url)
            .http_client(http)
            .sleep_impl(SharedAsyncSleep::new(TokioSleep::new()))
            .time_source(SharedTimeSource::default())
            .stalled_stream_protection(StalledStreamProtectionConfig::enabled().build())
            .timeout_config(timeouts(ATTEMPT_TIMEOUT))
            .retry_config(RetryConfig::disabled());
        config.set_app_name(app_name(options));
        let recipe = Recipe::fixed(endpoint, options.assume_role.clone());
        let account = match &options.assume_role {
            None => Some(endpoint.account.clone()),
            Some(role) => role.account.clone(),
        };
        Ok(Scope::build(config.build(), recipe, meter, account, Arc::new(http::wire_fixed(endpoint))))
    }

    async fn real(options: ScopeOptions, meter: Arc<Meter>) -> Result<Scope, ScopeError> {
        let profiles = Profiles::load(options.profile.as_deref()).await?;
        let region = resolve_region(&options, &profiles)?;
        endpoint::check(&options.environment, &profiles)?;
        let http = http::real(&options.environment, &profiles)?;
        let wire = Arc::new(http::wire_real(&options.environment, &profiles)?);
        let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
            .region(Region::new(region))
            .http_client(http)
            .no_credentials()
            .timeout_config(timeouts(ATTEMPT_TIMEOUT))
            .retry_config(RetryConfig::disabled());
        if let Some(profile) = &options.profile {
            loader = loader.profile_name(profile);
        }
        if let Some(name) = app_name(&options) {
            loader = loader.app_name(name);
        }
        if let Some(url) = &options.endpoint_url {
            loader = loader.endpoint_url(url);
        }
        let config = loader.load().await;
        let recipe = Recipe::real(options);
        Ok(Scope::build(config, recipe, meter, None, wire))
    }

    fn build(
        config: SdkConfig,
        recipe: Recipe,
        meter: Arc<Meter>,
        fixed_account: Option<String>,
        wire: Arc<Wire>,
    ) -> Scope {
        let store = Arc::new(CredentialStore::new(recipe, config.clone()));
        Scope::with_store(config, store, meter, fixed_account, wire)
    }

    /// The clients of a scope whose credentials are these.
    fn with_store(
        config: SdkConfig,
        store: Arc<CredentialStore>,
        meter: Arc<Meter>,
        fixed_account: Option<String>,
        wire: Arc<Wire>,
    ) -> Scope {
        let (clock, addresses) = (ServerClock::default(), Addresses::default());
        let region = config.region().map(|r| r.as_ref().to_owned()).unwrap_or_default();
        // It is shown and kept: what opens it is not.
        let endpoint = endpoint_of(&config, "ssm").map(|url| without_password(&url));
        let config = config
            .into_builder()
            // The store caches; the SDK's own cache would hide from it what AWS rejected.
            .identity_cache(aws_config::identity::IdentityCache::no_cache())
            .credentials_provider(SharedCredentialsProvider::new(StoreProvider(Arc::clone(&store))))
            .build();
        let ssm = aws_sdk_ssm::config::Builder::from(&config)
            .interceptor(clock.clone())
            .interceptor(addresses.ssm.clone())
            .build();
        let ec2 = aws_sdk_ec2::config::Builder::from(&config)
            .interceptor(clock.clone())
            .interceptor(addresses.ec2.clone())
            .timeout_config(timeouts(PAGE_TIMEOUT))
            .build();
        let sts = aws_sdk_sts::config::Builder::from(&config)
            .interceptor(clock.clone())
            .interceptor(addresses.sts.clone())
            .build();
        let cloudwatch = aws_sdk_cloudwatch::config::Builder::from(&config)
            .interceptor(clock.clone())
            .interceptor(addresses.cloudwatch.clone())
            .build();
        let elbv2 = aws_sdk_elasticloadbalancingv2::config::Builder::from(&config)
            .interceptor(clock.clone())
            .interceptor(addresses.elasticloadbalancing.clone())
            .build();
        let resource_groups = aws_sdk_resourcegroups::config::Builder::from(&config)
            .interceptor(clock.clone())
            .interceptor(addresses.resource_groups.clone())
            .build();
        let kms = aws_sdk_kms::config::Builder::from(&config).interceptor(addresses.kms.clone()).build();
        let organizations = aws_sdk_organizations::config::Builder::from(&config)
            .interceptor(addresses.organizations.clone())
            .build();
        // Emulators and proxies have no host name for each bucket.
        let is_custom = endpoint_of(&config, "s3").is_some();
        let s3 = aws_sdk_s3::config::Builder::from(&config)
            .interceptor(clock.clone())
            .interceptor(addresses.s3.clone())
            .timeout_config(timeouts(PAGE_TIMEOUT))
            .force_path_style(is_custom)
            .build();
        let logs = aws_sdk_cloudwatchlogs::config::Builder::from(&config)
            .interceptor(clock.clone())
            .interceptor(addresses.logs.clone())
            .timeout_config(timeouts(PAGE_TIMEOUT))
            .build();
        Scope(Arc::new(Inner {
            region,
            endpoint,
            meter,
            clock,
            addresses,
            store,
            fixed_account,
            account: OnceCell::new(),
            identity: OnceCell::new(),
            wire,
            kms: aws_sdk_kms::Client::from_conf(kms),
            organizations: aws_sdk_organizations::Client::from_conf(organizations),
            config,
            ssm: aws_sdk_ssm::Client::from_conf(ssm),
            ec2: aws_sdk_ec2::Client::from_conf(ec2),
            sts: aws_sdk_sts::Client::from_conf(sts),
            cloudwatch: aws_sdk_cloudwatch::Client::from_conf(cloudwatch),
            elbv2: aws_sdk_elasticloadbalancingv2::Client::from_conf(elbv2),
            resource_groups: aws_sdk_resourcegroups::Client::from_conf(resource_groups),
            s3: aws_sdk_s3::Client::from_conf(s3),
            logs: aws_sdk_cloudwatchlogs::Client::from_conf(logs),
        }))
    }

    /// The same account in another region, with the same credentials. Whom they belong to is not asked again. Calls nothing.
    ///
    /// # Errors
    /// The region can't be one.
    pub fn in_region(&self, region: &str) -> Result<Scope, ScopeError> {
        let region = Region::new(valid_region(region.to_owned())?);
        let config = self.0.config.clone().into_builder().region(region).build();
        let (store, meter) = (Arc::clone(&self.0.store), Arc::clone(&self.0.meter));
        let wire = Arc::clone(&self.0.wire);
        let mut scope = Scope::with_store(config, store, meter, self.0.fixed_account.clone(), wire);
        if let Some(inner) = Arc::get_mut(&mut scope.0) {
            inner.identity = OnceCell::new_with(self.0.identity.get().cloned());
            inner.account = OnceCell::new_with(self.0.account.get().cloned());
        }
        Ok(scope)
    }

    /// Another account in the same region, through a role that this scope's credentials may assume. They are asked for (and an MFA
    /// code with them) once for all accounts.
    ///
    /// # Errors
    /// The role can't be assumed.
    pub async fn in_account(&self, role: AssumeRole) -> Result<Scope, ScopeError> {
        let account = role.account.clone();
        let recipe = Recipe::Through { base: Arc::clone(&self.0.store), role };
        let (meter, wire) = (Arc::clone(&self.0.meter), Arc::clone(&self.0.wire));
        let scope = Scope::build(self.0.config.clone(), recipe, meter, account, wire);
        scope.0.store.get().await?;
        Ok(scope)
    }

    /// AWS region.
    #[must_use]
    pub fn region(&self) -> &str {
        &self.0.region
    }

    /// The endpoint of Systems Manager, where it isn't AWS's own: a simulator's, `AWS_ENDPOINT_URL_SSM`,
    /// `AWS_ENDPOINT_URL`, or the profile's.
    #[must_use]
    pub fn endpoint(&self) -> Option<&str> {
        self.0.endpoint.as_deref()
    }

    /// The service's own time.
    #[must_use]
    pub fn server_clock(&self) -> &ServerClock {
        &self.0.clock
    }

    /// The meter that this scope's calls go through.
    #[must_use]
    pub fn meter(&self) -> &Arc<Meter> {
        &self.0.meter
    }

    /// Whether an answer so far said that it comes from herder's simulator.
    #[must_use]
    pub fn is_simulated(&self) -> bool {
        self.0.clock.saw_simulator()
    }

    /// Systems Manager.
    #[must_use]
    pub fn ssm(&self) -> Ssm {
        Ssm::new(self.clone(), self.0.ssm.clone())
    }

    /// EC2.
    #[must_use]
    pub fn ec2(&self) -> Ec2 {
        Ec2::new(self.clone(), self.0.ec2.clone())
    }

    /// How connections are made that the SDK doesn't make.
    #[must_use]
    pub fn wire(&self) -> &Wire {
        &self.0.wire
    }

    /// Key Management Service.
    #[must_use]
    pub fn kms(&self) -> Kms {
        Kms::new(self.clone(), self.0.kms.clone())
    }

    /// Organizations. It has one endpoint for all regions.
    #[must_use]
    pub fn organizations(&self) -> Organizations {
        Organizations::new(self.clone(), self.0.organizations.clone())
    }

    /// Security Token Service.
    #[must_use]
    pub fn sts(&self) -> Sts {
        Sts::new(self.clone(), self.0.sts.clone())
    }

    /// CloudWatch.
    #[must_use]
    pub fn cloudwatch(&self) -> CloudWatch {
        CloudWatch::new(self.clone(), self.0.cloudwatch.clone())
    }

    /// Elastic Load Balancing v2.
    #[must_use]
    pub fn elbv2(&self) -> Elbv2 {
        Elbv2::new(self.clone(), self.0.elbv2.clone())
    }

    /// Resource Groups.
    #[must_use]
    pub fn resource_groups(&self) -> ResourceGroups {
        ResourceGroups::new(self.clone(), self.0.resource_groups.clone())
    }

    /// S3.
    #[must_use]
    pub fn s3(&self) -> S3 {
        S3::new(self.clone(), self.0.s3.clone())
    }

    /// CloudWatch Logs.
    #[must_use]
    pub fn logs(&self) -> Logs {
        Logs::new(self.clone(), self.0.logs.clone())
    }

    /// Who AWS says that this is. Asked once.
    ///
    /// # Errors
    /// The call failed.
    pub async fn identity(&self) -> Result<Identity, CallError> {
        // Boxed: the SDK's futures are nested more deeply than the compiler follows.
        let ask = || Box::pin(async { self.sts().get_caller_identity().await });
        let asked = self.0.identity.get_or_try_init(ask);
        let identity = asked.await?;
        self.0.store.bind(identity);
        Ok(identity.clone())
    }

    /// Where the credentials came from, as far as is known.
    pub(crate) async fn credentials_source(&self) -> Option<String> {
        self.0.store.source().await
    }

    /// Makes a call: credentials, quota, attempts, and once more with new credentials if AWS says that these expired.
    pub(crate) async fn call<T, E, A, F>(&self, call: Call, attempt: A) -> Result<T, CallError>
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
        A: Fn() -> F,
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    {
        self.credentials(&call).await?;
        let account = self.account().await?;
        self.call_as(&account, call, attempt).await
    }

    /// The same, with the account of the limit given.
    pub(crate) async fn call_as<T, E, A, F>(
        &self,
        account: &str,
        call: Call,
        attempt: A,
    ) -> Result<T, CallError>
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
        A: Fn() -> F,
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    {
        let key = LimitKey::new(account, &self.0.region, call.api);
        let mut renewed = false;
        loop {
            // Outside of the attempt: prompts and logins take longer than a call may.
            let used = self.credentials(&call).await?;
            let once = || async {
                Box::pin(attempt()).await.map_err(|e| self.timed(crate::error::convert(&call, &e)))
            };
            match self.0.meter.run(&key, call.mutates, once).await {
                Err(error) if error.kind.is_credentials() => {
                    let error = self.rejected(used, error).await;
                    if renewed || error.kind != CallErrorKind::CredentialsExpired {
                        return Err(error);
                    }
                    renewed = true;
                }
                result => return result.map_err(|error| self.placed(error)),
            }
        }
    }

    /// Waits for a place in the quota of a call that is made later.
    pub(crate) async fn reserve(&self, call: &Call) -> Ticket {
        // Without credentials the call itself says what is wrong.
        let account = self.account().await.unwrap_or_else(|_| UNKNOWN_ACCOUNT.to_owned());
        let key = LimitKey::new(&account, &self.0.region, call.api);
        self.0.meter.reserve(&key).await
    }

    /// Makes one attempt at a call in a place that was waited for; repeats nothing.
    pub(crate) async fn call_once<T, E, F>(
        &self,
        ticket: Ticket,
        call: &Call,
        attempt: F,
    ) -> Result<T, CallError>
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    {
        let used = self.credentials(call).await?;
        let once = async { Box::pin(attempt).await.map_err(|e| self.timed(crate::error::convert(call, &e))) };
        match self.0.meter.attempt(ticket, once).await {
            Err(error) if error.kind.is_credentials() => Err(self.rejected(used, error).await),
            result => result.map_err(|error| self.placed(error)),
        }
    }

    /// A signature that is refused while the clocks are apart is refused for that: some services (EC2) don't say so. The SDK signs by the
    /// service's clock from then on, so that the next attempt may do.
    fn timed(&self, error: CallError) -> CallError {
        let Some(server) = self.0.clock.now() else { return error };
        let here = Timestamp::try_from(SharedTimeSource::default().now()).unwrap_or(server);
        if server.duration_since(here).abs() < SKEW { error } else { error.of_skewed_clock() }
    }

    /// An error that says where nobody answered.
    fn placed(&self, error: CallError) -> CallError {
        match self.0.addresses.of(error.service) {
            Some(address) => error.at(address),
            None => error,
        }
    }

    /// Sees to it that there are credentials; gives their number.
    async fn credentials(&self, call: &Call) -> Result<u64, CallError> {
        match self.0.store.get().await {
            Ok(made) => Ok(made.number),
            Err(error) => Err(CallError::from_scope(call, &error)),
        }
    }

    /// AWS doesn't take credentials (any more): the next call makes new ones, and there only if they are the same principal's.
    async fn rejected(&self, used: u64, error: CallError) -> CallError {
        let hints = match error.kind {
            CallErrorKind::CredentialsExpired => self.0.store.renewal_hints().await,
            _ => Vec::new(),
        };
        self.0.store.reject(used).await;
        error.with_hints(hints)
    }

    /// The account that limits are kept for. Where STS can't be asked (a network with endpoints for few services) what
    /// the credentials say of themselves does, and in the end one name for all.
    async fn account(&self) -> Result<String, CallError> {
        let account = self.0.account.get_or_try_init(|| async {
            if let Some(account) = &self.0.fixed_account {
                return Ok(account.clone());
            }
            match self.identity().await {
                Ok(identity) => Ok(identity.account),
                Err(error) if error.kind.is_credentials() => Err(error),
                Err(_) => Ok(self.0.store.account().await.unwrap_or_else(|| UNKNOWN_ACCOUNT.to_owned())),
            }
        });
        account.await.cloned()
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope").field("region", &self.0.region).finish_non_exhaustive()
    }
}

/// The timeouts of a client whose attempts may take this long.
pub(crate) fn timeouts(attempt: Duration) -> TimeoutConfig {
    TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).operation_attempt_timeout(attempt).build()
}

/// As the SDK resolves it: the service's own setting before the common one.
fn endpoint_of(config: &SdkConfig, service_id: &str) -> Option<String> {
    let key = ServiceConfigKey::builder()
        .service_id(service_id)
        .env("AWS_ENDPOINT_URL")
        .profile("endpoint_url")
        .build();
    let own = config.service_config().zip(key.ok()).and_then(|(service, key)| service.load_config(key));
    own.or_else(|| config.endpoint_url().map(str::to_owned))
}

fn app_name(options: &ScopeOptions) -> Option<AppName> {
    AppName::new(options.app_name.clone()).ok()
}

#[cfg(test)]
mod tests;
