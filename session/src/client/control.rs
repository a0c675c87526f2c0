//! What a session needs of AWS, and herder's other packages provide.

use std::error::Error;
use std::fmt;
use std::future::Future;

use crate::handshake::GeneratedKey;

/// A session that was started: what `StartSession` or `ExecuteCommand` gave.
#[derive(Clone)]
pub struct Opened {
    /// The session's id.
    pub session_id: String,
    /// What was asked for: a node's id, or the `ecs:` string. Part of the encryption context.
    pub target: String,
    /// Where the channel is.
    pub stream_url: String,
    /// What opens it.
    pub token: String,
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The token opens the session for whoever has it.
        f.debug_struct("Opened").field("session_id", &self.session_id).field("target", &self.target).finish()
    }
}

/// What `ResumeSession` says.
#[derive(Clone, PartialEq, Eq)]
pub enum Resumption {
    /// It can go on.
    Open {
        /// Where the channel is now; `None` or empty if nothing was said: as before.
        stream_url: Option<String>,
        /// What opens it now.
        token: String,
    },
    /// There was no token: the session's time is over.
    TimedOut,
    /// There is no such session any more.
    Gone,
}

impl fmt::Debug for Resumption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Resumption::Open { .. } => "Open",
            Resumption::TimedOut => "TimedOut",
            Resumption::Gone => "Gone",
        })
    }
}

/// A call failed.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct ControlError {
    /// What was asked, of whom.
    pub what: String,
    /// Whether the same call may succeed later: the network, a throttle, credentials that are being renewed.
    pub is_transient: bool,
    /// What AWS said.
    #[source]
    pub source: Option<Box<dyn Error + Send + Sync>>,
}

/// What to sign: the HTTP/1.1 `GET` that is upgraded to a WebSocket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpgradeRequest {
    /// `https://` with host, path and query: the signature's URL.
    pub url: String,
    /// The `Host` header as it will be sent.
    pub host: String,
}

/// A header: name and value.
pub type HeaderPair = (String, String);

/// What a session needs of AWS. Every call uses credentials as they are then: sessions outlive the ones they began with.
pub trait Control: Send + Sync + 'static {
    /// `ssm:ResumeSession`.
    fn resume(&self, session_id: &str) -> impl Future<Output = Result<Resumption, ControlError>> + Send;

    /// Signs an upgrade (SigV4 in headers, service `ssmmessages`, no body) and gives the headers to add: `Authorization`,
    /// `X-Amz-Date` and, where there is a session token, `X-Amz-Security-Token`. Only `host` and these are to be signed.
    /// Called for every connection; none where nobody looks at signatures.
    fn sign(
        &self,
        request: &UpgradeRequest,
    ) -> impl Future<Output = Result<Vec<HeaderPair>, ControlError>> + Send;

    /// `kms:GenerateDataKey` of 64 bytes with this encryption context. The agent waits 15 seconds for it.
    fn generate_data_key(
        &self,
        key_id: &str,
        context: &[(String, String)],
    ) -> impl Future<Output = Result<GeneratedKey, ControlError>> + Send;
}

/// An error and what is behind it, in one line. Some say what is behind them by themselves.
pub(super) fn chain(error: &(dyn Error + 'static)) -> String {
    let causes = std::iter::successors(error.source(), |error| (*error).source());
    causes.fold(error.to_string(), |text, cause| {
        let cause = cause.to_string();
        if text.ends_with(&cause) { text } else { format!("{text}: {cause}") }
    })
}
