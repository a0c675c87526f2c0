//! [`RoleProvider`]: credentials of a role, assumed with other credentials; the place where MFA codes are asked for.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{self, ProvideCredentials, SharedCredentialsProvider, future};
use aws_smithy_types::retry::RetryConfig;
use tokio::sync::Mutex;

use super::credentials::is_fresh;
use super::error::ScopeError;
use super::options::{MfaPrompt, MfaQuestion};
use super::{ATTEMPT_TIMEOUT, timeouts};
use crate::address::Address;
use crate::call::Call;
use crate::error::convert;

/// A role and how to assume it.
#[derive(Clone)]
pub(super) struct Role {
    pub(super) arn: String,
    pub(super) external_id: Option<String>,
    pub(super) session_name: Option<String>,
    pub(super) duration: Option<Duration>,
    pub(super) mfa: Option<MfaQuestion>,
    pub(super) prompt: Option<MfaPrompt>,
}

/// Assumes a role; remembers the credentials while they last, so that a chain asks for one code only.
pub(super) struct RoleProvider {
    role: Role,
    client: aws_sdk_sts::Client,
    address: Address,
    cached: Mutex<Option<Credentials>>,
}

impl RoleProvider {
    pub(super) fn new(role: Role, source: SharedCredentialsProvider, config: &SdkConfig) -> RoleProvider {
        // Assuming a role changes nothing and isn't metered: the SDK may repeat it.
        let address = Address::default();
        let config = aws_sdk_sts::config::Builder::from(config)
            .credentials_provider(source)
            .interceptor(address.clone())
            .retry_config(RetryConfig::standard())
            .timeout_config(timeouts(ATTEMPT_TIMEOUT))
            .build();
        let client = aws_sdk_sts::Client::from_conf(config);
        RoleProvider { role, client, address, cached: Mutex::new(None) }
    }

    async fn get(&self) -> provider::Result {
        let mut cached = self.cached.lock().await;
        if let Some(credentials) = cached.as_ref().filter(|c| is_fresh(c)) {
            return Ok(credentials.clone());
        }
        let credentials = self.assume().await?;
        *cached = Some(credentials.clone());
        Ok(credentials)
    }

    async fn assume(&self) -> provider::Result {
        let role = &self.role;
        let code = match &role.mfa {
            Some(question) => Some(ask(question, role.prompt.clone()).await.map_err(wrap)?),
            None => None,
        };
        let seconds = role.duration.and_then(|d| i32::try_from(d.as_secs()).ok());
        let answer = self
            .client
            .assume_role()
            .role_arn(&role.arn)
            .role_session_name(role.session_name.as_deref().unwrap_or("herder"))
            .set_external_id(role.external_id.clone())
            .set_serial_number(role.mfa.as_ref().map(|q| q.serial.clone()))
            .set_token_code(code)
            .set_duration_seconds(seconds)
            .send()
            .await
            .map_err(|error| {
                let call = Call::read("sts", "AssumeRole", format!("of {}", role.arn));
                let mut source = convert(&call, &error);
                if let Some(address) = self.address.get() {
                    source = source.at(address);
                }
                let source = Box::new(source);
                wrap(ScopeError::Role { role: role.arn.clone(), source })
            })?;
        let Some(made) = answer.credentials() else {
            return Err(CredentialsError::unhandled("AssumeRole answered without credentials"));
        };
        let expiry = std::time::SystemTime::try_from(*made.expiration()).ok();
        let (id, secret) = (made.access_key_id(), made.secret_access_key());
        let mut credentials =
            Credentials::new(id, secret, Some(made.session_token().to_owned()), expiry, "AssumeRole");
        if let Some(account) = role.arn.split(':').nth(4) {
            credentials.set_property(aws_credential_types::attributes::AccountId::from(account));
        }
        Ok(credentials)
    }
}

impl ProvideCredentials for RoleProvider {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.get())
    }
}

impl std::fmt::Debug for RoleProvider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RoleProvider").field("role", &self.role.arn).finish_non_exhaustive()
    }
}

/// Carries an error of ours through the SDK; [`super::credentials`] finds it again.
fn wrap(error: ScopeError) -> CredentialsError {
    CredentialsError::provider_error(error)
}

async fn ask(question: &MfaQuestion, prompt: Option<MfaPrompt>) -> Result<String, ScopeError> {
    let Some(prompt) = prompt else {
        let MfaQuestion { serial, profile } = question.clone();
        return Err(ScopeError::MfaImpossible { profile, serial });
    };
    let asked = question.clone();
    let answer = tokio::task::spawn_blocking(move || prompt(&asked)).await;
    let declined = |message: String| ScopeError::MfaDeclined { serial: question.serial.clone(), message };
    match answer {
        Ok(Ok(code)) if !code.trim().is_empty() => Ok(code.trim().to_owned()),
        Ok(Ok(_)) => Err(declined("nothing was typed".to_owned())),
        Ok(Err(why)) => Err(declined(why)),
        Err(_) => Err(declined("the prompt failed".to_owned())),
    }
}
