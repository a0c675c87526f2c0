//! The handshake's documents.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a session is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
#[non_exhaustive]
pub enum SessionType {
    /// `Standard_Stream`: a shell.
    StandardStream,
    /// `InteractiveCommands`: a command on a terminal.
    InteractiveCommands,
    /// `NonInteractiveCommands`: a command without a terminal.
    NonInteractiveCommands,
    /// `Port`: bytes to and from a port.
    Port,
    /// Anything else.
    Other(String),
}

impl From<String> for SessionType {
    fn from(name: String) -> SessionType {
        match name.as_str() {
            "Standard_Stream" => SessionType::StandardStream,
            "InteractiveCommands" => SessionType::InteractiveCommands,
            "NonInteractiveCommands" => SessionType::NonInteractiveCommands,
            "Port" => SessionType::Port,
            _ => SessionType::Other(name),
        }
    }
}

impl From<SessionType> for String {
    fn from(session_type: SessionType) -> String {
        session_type.name().to_owned()
    }
}

impl SessionType {
    /// The name on the wire.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            SessionType::StandardStream => "Standard_Stream",
            SessionType::InteractiveCommands => "InteractiveCommands",
            SessionType::NonInteractiveCommands => "NonInteractiveCommands",
            SessionType::Port => "Port",
            SessionType::Other(name) => name,
        }
    }
}

/// `HandshakeRequest`, from the agent: who it is and what it wants done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct HandshakeRequest {
    /// The agent's version, dotted numbers.
    pub agent_version: String,
    /// In order.
    #[serde(default, deserialize_with = "null_is_default")]
    pub requested_client_actions: Vec<RequestedAction>,
}

/// One thing that an agent wants done, as it is on the wire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct RequestedAction {
    /// `SessionType` and `KMSEncryption` are known.
    pub action_type: String,
    /// Depends on the type.
    #[serde(default)]
    pub action_parameters: Value,
}

/// A requested action, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientAction {
    /// Take the session for what it is.
    SessionType(SessionTypeRequest),
    /// Encrypt it.
    KmsEncryption(KmsRequest),
    /// To be answered with [`ActionStatus::Unsupported`].
    Unknown,
}

impl RequestedAction {
    /// What is wanted. Parameters that can't be read make an action unknown.
    #[must_use]
    pub fn action(&self) -> ClientAction {
        let parameters = self.action_parameters.clone();
        match self.action_type.as_str() {
            "SessionType" => serde_json::from_value(parameters).map(ClientAction::SessionType),
            "KMSEncryption" => serde_json::from_value(parameters).map(ClientAction::KmsEncryption),
            _ => Ok(ClientAction::Unknown),
        }
        .unwrap_or(ClientAction::Unknown)
    }

    /// The wire's form of a session type.
    #[must_use]
    pub fn session_type(request: &SessionTypeRequest) -> RequestedAction {
        RequestedAction {
            action_type: "SessionType".into(),
            action_parameters: serde_json::to_value(request).unwrap_or_default(),
        }
    }

    /// The wire's form of a request to encrypt.
    #[must_use]
    pub fn kms_encryption(request: &KmsRequest) -> RequestedAction {
        RequestedAction {
            action_type: "KMSEncryption".into(),
            action_parameters: serde_json::to_value(request).unwrap_or_default(),
        }
    }
}

/// Parameters of the action `SessionType`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SessionTypeRequest {
    /// What the session is for.
    pub session_type: SessionType,
    /// The document's properties; null for shells.
    #[serde(default)]
    pub properties: Value,
}

/// Parameters of the action `KMSEncryption`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KmsRequest {
    /// The key's ARN.
    #[serde(rename = "KMSKeyId")]
    pub key_id: String,
    /// Base64 of 16 bytes, from newer agents: it may be bound into the encryption context.
    #[serde(rename = "Challenge", default, skip_serializing_if = "Option::is_none")]
    pub challenge: Option<String>,
}

/// `HandshakeResponse`, from the client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct HandshakeResponse {
    /// The client's version, dotted numbers; agents decide by it.
    pub client_version: String,
    /// One for each requested action.
    #[serde(default, deserialize_with = "null_is_default")]
    pub processed_client_actions: Vec<ProcessedAction>,
    /// null if there were none.
    #[serde(default)]
    pub errors: Option<Vec<String>>,
}

/// What became of a requested action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ProcessedAction {
    /// The request's.
    pub action_type: String,
    /// Anything but success makes the agent end the session.
    pub action_status: ActionStatus,
    /// null, or a [`KmsResult`].
    #[serde(default)]
    pub action_result: Value,
    /// Empty if there was none.
    #[serde(default)]
    pub error: String,
}

/// How an action ended: 1, 2 and 3 on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "u32", into = "u32")]
#[non_exhaustive]
pub enum ActionStatus {
    /// Done.
    Success,
    /// Tried in vain.
    Failed,
    /// Not known here.
    Unsupported,
    /// Anything else.
    Other(u32),
}

impl From<u32> for ActionStatus {
    fn from(number: u32) -> ActionStatus {
        match number {
            1 => ActionStatus::Success,
            2 => ActionStatus::Failed,
            3 => ActionStatus::Unsupported,
            other => ActionStatus::Other(other),
        }
    }
}

impl From<ActionStatus> for u32 {
    fn from(status: ActionStatus) -> u32 {
        match status {
            ActionStatus::Success => 1,
            ActionStatus::Failed => 2,
            ActionStatus::Unsupported => 3,
            ActionStatus::Other(other) => other,
        }
    }
}

/// Result of the action `KMSEncryption`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KmsResult {
    /// Base64 of the encrypted data key.
    #[serde(rename = "KMSCipherTextKey")]
    pub cipher_text_key: String,
    /// Unused: null.
    #[serde(rename = "KMSCipherTextHash", default)]
    pub cipher_text_hash: Value,
    /// Whether the agent's challenge is part of the encryption context.
    #[serde(rename = "ChallengeAcknowledgement", default, skip_serializing_if = "Option::is_none")]
    pub challenge_acknowledgement: Option<bool>,
}

/// `HandshakeComplete`, from the agent: the session begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct HandshakeComplete {
    /// Nanoseconds.
    #[serde(default)]
    pub handshake_time_to_complete: i64,
    /// For a person, such as "This session is encrypted using AWS KMS."; may be empty.
    #[serde(default, deserialize_with = "null_is_default")]
    pub customer_message: String,
}

/// `EncryptionChallengeRequest` and `-Response`: base64 of what only a holder of the keys can turn into the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct EncryptionChallenge {
    /// Base64.
    pub challenge: String,
}

/// Go writes an empty list, or an empty text, as null.
fn null_is_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}
