//! What messages say, for both directions: JSON documents, and the few that are not JSON.
//!
//! Field names and their order are the official client's and agent's. Reading is lenient (unknown fields, missing optional
//! ones), writing is exact.

mod acknowledge;
mod handshake;
mod stream;

use serde::{Deserialize, Deserializer, Serialize};

pub use acknowledge::Acknowledge;
pub use handshake::{
    ActionStatus, ClientAction, EncryptionChallenge, HandshakeComplete, HandshakeRequest, HandshakeResponse,
    KmsRequest, KmsResult, ProcessedAction, RequestedAction, SessionType, SessionTypeRequest,
};
pub use stream::{ExitCode, SessionFlag, TerminalSize};

/// Why a payload can't be read.
#[derive(Debug, thiserror::Error)]
#[error("the payload of {what} can't be read")]
pub struct PayloadError {
    /// The message or payload type.
    pub what: &'static str,
    #[source]
    source: serde_json::Error,
}

/// A JSON payload.
pub trait JsonPayload: Serialize + for<'de> Deserialize<'de> {
    /// What it is called in errors.
    const NAME: &'static str;

    /// Reads a payload.
    ///
    /// # Errors
    /// If it is not JSON, or not this document.
    fn from_json(payload: &[u8]) -> Result<Self, PayloadError> {
        serde_json::from_slice(payload).map_err(|source| PayloadError { what: Self::NAME, source })
    }

    /// Writes a payload.
    fn to_json(&self) -> bytes::Bytes {
        // Documents of strings and numbers can always be written.
        serde_json::to_vec(self).unwrap_or_default().into()
    }
}

macro_rules! json_payloads {
    ($($name:ty = $text:literal,)*) => { $(impl JsonPayload for $name { const NAME: &'static str = $text; })* };
}

json_payloads! {
    ChannelClosed = "channel_closed",
    AgentSessionState = "agent_session_state",
    OpenDataChannel = "the message that opens a data channel",
    TerminalSize = "a terminal size",
    HandshakeRequest = "a handshake request",
    HandshakeResponse = "a handshake response",
    HandshakeComplete = "a handshake's completion",
    EncryptionChallenge = "an encryption challenge",
}

/// `channel_closed`, from the service to both ends: the session is over.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ChannelClosed {
    /// `channel_closed`.
    pub message_type: String,
    /// A UUID.
    pub message_id: String,
    /// Whom the message is for.
    pub destination_id: String,
    /// The session.
    pub session_id: String,
    /// 1.
    pub schema_version: u32,
    /// A date as text.
    pub created_date: String,
    /// Why, for a person; empty if the session ended as it should.
    pub output: String,
}

/// `agent_session_state`, from the agent to the service, which keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct AgentSessionState {
    /// 1.
    pub schema_version: u32,
    /// `Connected` or `Terminating`.
    pub session_state: String,
    /// The session.
    pub session_id: String,
}

/// The first message on a WebSocket, as TEXT; all others are binary. It is not answered.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct OpenDataChannel {
    /// `1.0`; other clients than the official one write a number.
    #[serde(deserialize_with = "text_or_number")]
    pub message_schema_version: String,
    /// A new UUID every time.
    pub request_id: String,
    /// What `StartSession`, `ResumeSession` or the agent's request for a channel gave.
    pub token_value: String,
    /// The agent's instance; a client has none, and that tells them apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_instance_id: Option<String>,
    /// A UUID that stays the same for the whole session.
    pub client_id: String,
    /// The client's version; an agent gives none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_version: Option<String>,
}

fn text_or_number<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Version {
        Text(String),
        Number(serde_json::Number),
    }
    Ok(match Version::deserialize(from)? {
        Version::Text(text) => text,
        Version::Number(number) => number.to_string(),
    })
}

impl std::fmt::Debug for OpenDataChannel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The token opens the session for whoever has it.
        f.debug_struct("OpenDataChannel")
            .field("request_id", &self.request_id)
            .field("client_instance_id", &self.client_instance_id)
            .field("client_id", &self.client_id)
            .field("client_version", &self.client_version)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
