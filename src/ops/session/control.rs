//! What a session needs of AWS while it goes on.

use herder_aws::ssm::Resumed;
use herder_aws::{CallError, CallErrorKind, Scope};
use herder_session::client::{Control, ControlError, HeaderPair, Resumption, UpgradeRequest};
use herder_session::crypto::{DATA_KEY_BYTES, DataKey};
use herder_session::handshake::GeneratedKey;

/// The calls of a session, in the scope that it was started in.
pub(super) struct ScopeControl(pub(super) Scope);

impl Control for ScopeControl {
    async fn resume(&self, session_id: &str) -> Result<Resumption, ControlError> {
        // Boxed: the SDK's futures are nested deeply.
        let resumed = Box::pin(async { self.0.ssm().resume_session(session_id).await }).await;
        Ok(match resumed.map_err(error)? {
            Resumed::Open { stream_url, token } => Resumption::Open { stream_url, token },
            Resumed::TimedOut => Resumption::TimedOut,
            Resumed::Gone => Resumption::Gone,
        })
    }

    async fn sign(&self, request: &UpgradeRequest) -> Result<Vec<HeaderPair>, ControlError> {
        self.0.sign_upgrade(&request.url, &request.host).await.map_err(error)
    }

    async fn generate_data_key(
        &self,
        key_id: &str,
        context: &[(String, String)],
    ) -> Result<GeneratedKey, ControlError> {
        let bytes = i32::try_from(DATA_KEY_BYTES).unwrap_or(i32::MAX);
        let made = Box::pin(async { self.0.kms().generate_data_key(key_id, bytes, context).await }).await;
        let made = made.map_err(error)?;
        let plaintext = DataKey::new(&made.plaintext).ok_or_else(|| ControlError {
            what: format!("kms:GenerateDataKey made a key of {} bytes", made.plaintext.len()),
            is_transient: false,
            source: None,
        })?;
        Ok(GeneratedKey { plaintext, ciphertext: made.ciphertext })
    }
}

fn error(error: CallError) -> ControlError {
    // Credentials that have expired may be renewed by whoever owns them, while the session waits.
    let is_transient = matches!(
        error.kind,
        CallErrorKind::Throttled
            | CallErrorKind::Unreachable
            | CallErrorKind::Lost
            | CallErrorKind::ClockSkew
            | CallErrorKind::CredentialsExpired
    );
    let what = error.to_string();
    let source = std::error::Error::source(&error).map(|source| source.to_string().into());
    ControlError { what, is_transient, source }
}
