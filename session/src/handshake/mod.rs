//! The handshake: the agent says what the session is for and whether it is encrypted, the client agrees.
//!
//! The agent sends `HandshakeRequest` with actions; the client `HandshakeResponse` with a status for each, after it got a
//! data key if a key of KMS is asked for; with a key, a challenge and its answer follow; the agent ends it with
//! `HandshakeComplete`.
//!
//! Agents leave it out for shells and interactive commands that are not encrypted; a session whose first message is anything
//! else has begun with that message. While a handshake is under way the agent acknowledges what the client sends and throws
//! it away, so a client sends nothing before.
//!
//! Both sides are state machines over messages: no I/O, no clock, no channel.

mod agent;
mod client;

use bytes::Bytes;
use serde_json::Value;

use crate::crypto::{DataKey, SessionKeys};
use crate::frame::PayloadType;
use crate::payload::SessionType;
use crate::version::{ClientVersion, Version};

pub use agent::{AgentHandshake, AgentPlan, AgentStep, Encryption};
pub use client::{ClientHandshake, ClientStep};

/// What the client must know of a session that has begun.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Started {
    /// What the session is for.
    pub session_type: SessionType,
    /// The document's properties; null for shells.
    pub properties: Value,
    /// The agent's version; `None` without a handshake.
    pub agent_version: Option<Version>,
    /// What the agent has to say to the person; empty if nothing.
    pub customer_message: String,
    /// Whether the program's bytes are encrypted with a key of KMS.
    pub is_encrypted: bool,
}

impl Started {
    /// A session that began without a handshake: a shell, as far as anybody can tell.
    #[must_use]
    pub fn without_handshake() -> Started {
        Started {
            session_type: SessionType::StandardStream,
            properties: Value::Null,
            agent_version: None,
            customer_message: String::new(),
            is_encrypted: false,
        }
    }
}

/// A data key is needed: `kms:GenerateDataKey` of 64 bytes at the client, `kms:Decrypt` at the agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataKeyRequest {
    /// The key's ARN.
    pub key_id: String,
    /// The agent's random challenge, to be part of the encryption context.
    pub challenge: Option<String>,
}

impl DataKeyRequest {
    /// The encryption context. For ECS Exec the target is the `ecs:` string.
    #[must_use]
    pub fn encryption_context(&self, session_id: &str, target: &str) -> Vec<(String, String)> {
        let mut context =
            vec![("aws:ssm:SessionId".into(), session_id.into()), ("aws:ssm:TargetId".into(), target.into())];
        if let Some(challenge) = &self.challenge {
            context.push(("aws:ssm:RandomChallenge".into(), challenge.clone()));
        }
        context
    }
}

/// A data key that KMS made.
#[derive(Debug, Clone)]
pub struct GeneratedKey {
    /// For this end.
    pub plaintext: DataKey,
    /// For the other, which has it decrypted.
    pub ciphertext: Vec<u8>,
}

/// Why a handshake failed. What the agent says about it comes later, with `channel_closed`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// A message of it can't be read.
    #[error("{0} can't be read")]
    Unreadable(&'static str),
    /// The other end proved not to have the key.
    #[error("the encryption challenge was not met")]
    Challenge,
    /// No data key.
    #[error("no data key of {key_id}: {why}")]
    NoKey {
        /// The key's ARN.
        key_id: String,
        /// What KMS, or the way there, says.
        why: String,
    },
    /// A message came that has no place at this point.
    #[error("{0:?} was not expected now")]
    Unexpected(PayloadType),
    /// The client did not do what was asked.
    #[error("{0}")]
    Refused(String),
}

/// A message to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// What it is.
    pub payload_type: PayloadType,
    /// What it says.
    pub payload: Bytes,
}

/// The end of a handshake at the agent.
#[derive(Debug)]
pub struct AgentStarted {
    /// The client's version; `None` without a handshake, or if it can't be read.
    pub client_version: Option<ClientVersion>,
    /// For the program's bytes, if they are encrypted.
    pub keys: Option<SessionKeys>,
}

#[cfg(test)]
mod tests;
