//! Key Management Service: data keys for encrypted sessions.

use aws_sdk_kms::primitives::Blob;

use crate::call::Call;
use crate::error::{CallError, CallErrorKind};
use crate::scope::{CHANGE_TIMEOUT, Scope, timeouts};

/// KMS in one scope.
#[derive(Clone, Debug)]
pub struct Kms {
    scope: Scope,
    client: aws_sdk_kms::Client,
}

/// A data key that KMS made.
pub struct DataKey {
    /// The key itself.
    pub plaintext: Vec<u8>,
    /// The key as KMS encrypted it, for whoever may decrypt it.
    pub ciphertext: Vec<u8>,
}

impl std::fmt::Debug for DataKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DataKey")
    }
}

impl Kms {
    pub(crate) fn new(scope: Scope, client: aws_sdk_kms::Client) -> Kms {
        Kms { scope, client }
    }

    /// `GenerateDataKey` of so many bytes, 1 to 1,024, with an encryption context. It changes nothing: the key is kept nowhere.
    ///
    /// # Errors
    /// The call failed: no such key, it is disabled, or the permission is missing.
    pub async fn generate_data_key(
        &self,
        key_id: &str,
        bytes: i32,
        context: &[(String, String)],
    ) -> Result<DataKey, CallError> {
        let request = self
            .client
            .generate_data_key()
            .key_id(key_id)
            .number_of_bytes(bytes)
            .set_encryption_context(Some(context.iter().cloned().collect()));
        let call = Call::read("kms", "GenerateDataKey", format!("with {key_id}"));
        let patient = aws_sdk_kms::config::Builder::new().timeout_config(timeouts(CHANGE_TIMEOUT));
        let attempt = || request.clone().customize().config_override(patient.clone()).send();
        let answer = self.scope.call(call.clone(), attempt).await?;
        let blob = |blob: Option<&Blob>| blob.map(|blob| blob.as_ref().to_vec());
        match (blob(answer.plaintext()), blob(answer.ciphertext_blob())) {
            (Some(plaintext), Some(ciphertext)) => Ok(DataKey { plaintext, ciphertext }),
            _ => Err(CallError::new(&call, CallErrorKind::Lost, "the answer has no key")),
        }
    }
}
