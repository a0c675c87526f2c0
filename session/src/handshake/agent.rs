//! The agent's side.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use serde_json::Value;

use super::{AgentStarted, DataKeyRequest, HandshakeError, Reply};
use crate::channel::{Message, Role};
use crate::crypto::{DataKey, NONCE_BYTES, SessionKeys};
use crate::frame::PayloadType;
use crate::payload::{
    ActionStatus, EncryptionChallenge, HandshakeComplete, HandshakeRequest, HandshakeResponse, JsonPayload,
    KmsRequest, KmsResult, RequestedAction, SessionType, SessionTypeRequest,
};
use crate::version::ClientVersion;

/// What an agent has in mind for a session.
#[derive(Debug, Clone, PartialEq)]
pub struct AgentPlan {
    /// The agent's version.
    pub agent_version: String,
    /// What the session is for.
    pub session_type: SessionType,
    /// The document's properties; null for shells.
    pub properties: Value,
    /// A key of KMS; ports are never encrypted, whatever is said here.
    pub encryption: Option<Encryption>,
    /// What to say to the person when the session begins.
    pub customer_message: String,
}

/// How an agent encrypts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encryption {
    /// The key's ARN.
    pub key_id: String,
    /// Sent with the request, by newer agents.
    pub challenge: Option<String>,
    /// Whether a client that does not acknowledge the challenge is refused.
    pub is_acknowledgement_required: bool,
}

impl AgentPlan {
    /// The encryption, where there is any.
    fn encryption(&self) -> Option<&Encryption> {
        self.encryption.as_ref().filter(|_| self.session_type != SessionType::Port)
    }

    /// Whether the official agent would begin with a handshake.
    #[must_use]
    pub fn has_handshake(&self) -> bool {
        let is_shell =
            matches!(self.session_type, SessionType::StandardStream | SessionType::InteractiveCommands);
        !is_shell || self.encryption().is_some()
    }
}

/// What follows from a message.
#[derive(Debug)]
pub enum AgentStep {
    /// To be acknowledged and thrown away: it came too early.
    Discard,
    /// Have this decrypted, then call [`AgentHandshake::data_key`].
    NeedDecryption {
        /// Key and challenge for the encryption context.
        request: DataKeyRequest,
        /// What the client sent.
        ciphertext: Vec<u8>,
    },
    /// Send this. The session begins.
    Started(Reply, Box<AgentStarted>),
}

#[derive(Debug)]
enum State {
    Requested,
    NeedsKey,
    Challenged(Box<SessionKeys>),
    Done,
}

/// The agent's side of a handshake.
#[derive(Debug)]
pub struct AgentHandshake {
    plan: AgentPlan,
    /// 12 bytes for nonces, the rest is the challenge's text.
    random: [u8; 32],
    state: State,
    client_version: Option<ClientVersion>,
}

impl AgentHandshake {
    /// Begins; the reply is what to send first. `random` is.
    #[must_use]
    pub fn new(plan: AgentPlan, random: [u8; 32]) -> (AgentHandshake, Reply) {
        let session_type = SessionTypeRequest {
            session_type: plan.session_type.clone(),
            properties: plan.properties.clone(),
        };
        let mut requested_client_actions = vec![RequestedAction::session_type(&session_type)];
        if let Some(Encryption { key_id, challenge, .. }) = plan.encryption().cloned() {
            requested_client_actions.push(RequestedAction::kms_encryption(&KmsRequest { key_id, challenge }));
        }
        let request =
            HandshakeRequest { agent_version: plan.agent_version.clone(), requested_client_actions };
        let reply = Reply { payload_type: PayloadType::HandshakeRequest, payload: request.to_json() };
        (AgentHandshake { plan, random, state: State::Requested, client_version: None }, reply)
    }

    /// Whether the client is to answer a challenge, rather than the request.
    #[must_use]
    pub fn is_challenging(&self) -> bool {
        matches!(self.state, State::Challenged(_))
    }

    /// Takes a message of the client's stream, in order.
    ///
    /// # Errors
    /// If the client refuses something or does not have the key. The session is over then.
    pub fn message(&mut self, message: &Message) -> Result<AgentStep, HandshakeError> {
        match (message.payload_type, &self.state) {
            (PayloadType::HandshakeResponse, State::Requested) => self.answered(message),
            (PayloadType::EncryptionChallengeResponse, State::Challenged(_)) => self.proven(message),
            _ => Ok(AgentStep::Discard),
        }
    }

    fn answered(&mut self, message: &Message) -> Result<AgentStep, HandshakeError> {
        let response = HandshakeResponse::from_json(&message.payload)
            .map_err(|_| HandshakeError::Unreadable("the client's handshake response"))?;
        self.client_version = ClientVersion::read(&response.client_version);
        let failed =
            response.processed_client_actions.iter().find(|a| a.action_status != ActionStatus::Success);
        if let Some(action) = failed {
            return Err(HandshakeError::Refused(format!(
                "{} failed on client with status {} error: {}",
                action.action_type,
                u32::from(action.action_status),
                action.error
            )));
        }
        let Some(encryption) = self.plan.encryption() else { return Ok(self.complete(None)) };
        let kms =
            response.processed_client_actions.iter().find(|action| action.action_type == "KMSEncryption");
        let kms =
            kms.and_then(|action| serde_json::from_value::<KmsResult>(action.action_result.clone()).ok());
        let kms = kms.ok_or(HandshakeError::Unreadable("the client's encryption key"))?;
        let has_acknowledged = kms.challenge_acknowledgement == Some(true);
        if encryption.is_acknowledgement_required && !has_acknowledged {
            return Err(HandshakeError::Refused("the client did not acknowledge the KMS challenge".into()));
        }
        let ciphertext = BASE64.decode(&kms.cipher_text_key);
        let ciphertext = ciphertext.map_err(|_| HandshakeError::Unreadable("the client's encryption key"))?;
        let challenge = encryption.challenge.clone().filter(|_| has_acknowledged);
        let request = DataKeyRequest { key_id: encryption.key_id.clone(), challenge };
        self.state = State::NeedsKey;
        Ok(AgentStep::NeedDecryption { request, ciphertext })
    }

    /// Takes the decrypted data key, or why there is none; the reply challenges the client.
    ///
    /// # Errors
    /// If none was asked for, or there is none. The session is over then.
    pub fn data_key(&mut self, key: Result<DataKey, String>) -> Result<Reply, HandshakeError> {
        let State::NeedsKey = self.state else {
            return Err(HandshakeError::Unexpected(PayloadType::EncryptionChallengeRequest));
        };
        let key_id = self.plan.encryption().map(|encryption| encryption.key_id.clone()).unwrap_or_default();
        let key = key.map_err(|why| HandshakeError::NoKey { key_id, why })?;
        let nonce = self.random.first_chunk::<NONCE_BYTES>().copied().unwrap_or_default();
        let mut keys = SessionKeys::new(&key, Role::Agent, nonce);
        let challenge = EncryptionChallenge { challenge: BASE64.encode(keys.sealer.seal(&self.challenge())) };
        self.state = State::Challenged(Box::new(keys));
        Ok(Reply { payload_type: PayloadType::EncryptionChallengeRequest, payload: challenge.to_json() })
    }

    /// What the client has to decrypt and encrypt.
    fn challenge(&self) -> Bytes {
        Bytes::copy_from_slice(self.random.get(NONCE_BYTES..).unwrap_or_default())
    }

    fn proven(&mut self, message: &Message) -> Result<AgentStep, HandshakeError> {
        let challenge = self.challenge();
        let State::Challenged(keys) = std::mem::replace(&mut self.state, State::Done) else {
            return Err(HandshakeError::Unexpected(message.payload_type));
        };
        let answer = EncryptionChallenge::from_json(&message.payload).ok();
        let answer = answer.and_then(|answer| BASE64.decode(answer.challenge).ok());
        let answer = answer.ok_or(HandshakeError::Unreadable("the client's answer to the challenge"))?;
        if keys.opener.open(&answer).ok().is_none_or(|plain| plain != challenge) {
            return Err(HandshakeError::Challenge);
        }
        Ok(self.complete(Some(*keys)))
    }

    fn complete(&mut self, keys: Option<SessionKeys>) -> AgentStep {
        self.state = State::Done;
        let complete = HandshakeComplete {
            handshake_time_to_complete: 1_000_000,
            customer_message: self.plan.customer_message.clone(),
        };
        let reply = Reply { payload_type: PayloadType::HandshakeComplete, payload: complete.to_json() };
        AgentStep::Started(
            reply,
            Box::new(AgentStarted { client_version: self.client_version.clone(), keys }),
        )
    }
}
