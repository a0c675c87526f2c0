//! Security Token Service: who this is.

use crate::call::Call;
use crate::error::{CallError, CallErrorKind};
use crate::scope::{Identity, Scope};

/// STS in one scope. Roles are assumed by the scope itself: see `AssumeRole` in its options.
#[derive(Clone, Debug)]
pub struct Sts {
    scope: Scope,
    client: aws_sdk_sts::Client,
}

impl Sts {
    pub(crate) fn new(scope: Scope, client: aws_sdk_sts::Client) -> Sts {
        Sts { scope, client }
    }

    /// `GetCallerIdentity`, asked anew. It needs no permission.
    ///
    /// # Errors
    /// The call failed.
    pub async fn get_caller_identity(&self) -> Result<Identity, CallError> {
        let call = Call::read("sts", "GetCallerIdentity", "");
        let request = self.client.get_caller_identity();
        // Whose quota it is comes only with the answer.
        let answer = self.scope.call_as("", call.clone(), || request.clone().send()).await?;
        let account = answer.account().unwrap_or_default().to_owned();
        if account.is_empty() {
            return Err(CallError::new(&call, CallErrorKind::Lost, "the answer names no account"));
        }
        Ok(Identity {
            account,
            arn: answer.arn().unwrap_or_default().to_owned(),
            user_id: answer.user_id().unwrap_or_default().to_owned(),
            source: self.scope.credentials_source().await,
        })
    }
}
