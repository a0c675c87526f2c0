//! [`CredentialsSummary`]: what may be said of credentials.

use jiff::Timestamp;

use super::{Scope, ScopeError};

/// What may be said of credentials: nothing secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialsSummary {
    /// Where they came from, as far as is known: `Environment`, `SSO`, `role …`.
    pub source: Option<String>,
    /// When they expire, where they say so.
    pub expires: Option<Timestamp>,
    /// Whether they are a session's, which ends some time.
    pub is_temporary: bool,
}

impl Scope {
    /// What may be said of the credentials in use.
    ///
    /// # Errors
    /// There are none.
    pub async fn credentials_summary(&self) -> Result<CredentialsSummary, ScopeError> {
        let made = self.0.store.get().await?;
        let expires = made.credentials.expiry().and_then(|at| Timestamp::try_from(at).ok());
        Ok(CredentialsSummary {
            source: self.credentials_source().await,
            expires,
            is_temporary: made.credentials.session_token().is_some(),
        })
    }
}
