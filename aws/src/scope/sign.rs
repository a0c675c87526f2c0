//! Signing the upgrade to a WebSocket: the one request that the SDK doesn't make.

use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_smithy_async::time::SharedTimeSource;
use aws_smithy_runtime_api::client::identity::Identity as SigningIdentity;

use std::time::SystemTime;

use super::Scope;
use crate::call::Call;
use crate::error::{CallError, CallErrorKind};

/// The name that Session Manager's message gateway is signed for.
const SERVICE: &str = "ssmmessages";

impl Scope {
    /// Signs a `GET` without a body for Session Manager's message gateway and gives the headers to add. Signed are `host` and these
    /// headers, nothing else; the credentials are those of now.
    ///
    /// # Errors
    /// There are no credentials.
    pub async fn sign_upgrade(&self, url: &str, host: &str) -> Result<Vec<(String, String)>, CallError> {
        let call = Call::read(SERVICE, "OpenDataChannel", "");
        let made = self.0.store.get().await.map_err(|error| CallError::from_scope(&call, &error))?;
        let identity = SigningIdentity::from(made.credentials);
        let wrong = |message: String| CallError::new(&call, CallErrorKind::InvalidRequest, message);
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(self.region())
            .name(SERVICE)
            // By the service's clock, where it has told: this machine's may be wrong.
            .time(self.0.clock.now().map_or_else(|| SharedTimeSource::default().now(), SystemTime::from))
            .settings(SigningSettings::default())
            .build()
            .map_err(|error| wrong(error.to_string()))?;
        let request =
            SignableRequest::new("GET", url, std::iter::once(("host", host)), SignableBody::empty())
                .map_err(|error| wrong(error.to_string()))?;
        let signed = sign(request, &params.into()).map_err(|error| wrong(error.to_string()))?;
        let (instructions, _) = signed.into_parts();
        Ok(instructions.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }
}
