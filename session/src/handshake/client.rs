//! The client's side.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::{DataKeyRequest, GeneratedKey, HandshakeError, Reply, Started};
use crate::channel::{Message, Role};
use crate::crypto::{NONCE_BYTES, SessionKeys};
use crate::frame::PayloadType;
use crate::payload::{
    ActionStatus, ClientAction, EncryptionChallenge, HandshakeComplete, HandshakeRequest, HandshakeResponse,
    JsonPayload, KmsRequest, KmsResult, ProcessedAction, SessionType,
};

/// What follows from a message.
#[derive(Debug)]
pub enum ClientStep {
    /// It has nothing to do with the handshake.
    NotMine,
    /// Send this.
    Reply(Reply),
    /// Get a data key, then call [`ClientHandshake::data_key`].
    NeedDataKey(DataKeyRequest),
    /// The session begins. With keys, they are to be used from here on.
    Started(Box<Started>, Option<Box<SessionKeys>>),
}

#[derive(Debug)]
enum State {
    /// Nothing was heard.
    Silent,
    /// A data key is being made; all actions but that one are processed.
    NeedsKey(KmsRequest),
    /// Answered; the agent is next.
    Answered,
    /// Over.
    Done,
}

/// The client's side of a handshake.
#[derive(Debug)]
pub struct ClientHandshake {
    client_version: String,
    nonce: [u8; NONCE_BYTES],
    state: State,
    started: Started,
    processed: Vec<ProcessedAction>,
    keys: Option<Box<SessionKeys>>,
}

impl ClientHandshake {
    /// A handshake of which nothing was heard. `nonce` is random.
    #[must_use]
    pub fn new(client_version: String, nonce: [u8; NONCE_BYTES]) -> ClientHandshake {
        ClientHandshake {
            client_version,
            nonce,
            state: State::Silent,
            started: Started::without_handshake(),
            processed: Vec::new(),
            keys: None,
        }
    }

    /// Whether a request was answered, or is about to be, and the session has not begun.
    #[must_use]
    pub fn is_under_way(&self) -> bool {
        matches!(self.state, State::NeedsKey(_) | State::Answered)
    }

    /// Takes a message of the agent's stream, in order.
    ///
    /// # Errors
    /// If it can't be read, or the agent does not have the key.
    pub fn message(&mut self, message: &Message) -> Result<ClientStep, HandshakeError> {
        match message.payload_type {
            PayloadType::HandshakeRequest if matches!(self.state, State::Silent) => self.requested(message),
            PayloadType::HandshakeRequest => Err(HandshakeError::Unexpected(message.payload_type)),
            PayloadType::EncryptionChallengeRequest => self.challenged(message),
            PayloadType::HandshakeComplete => self.completed(message),
            _ if matches!(self.state, State::Silent) => {
                self.state = State::Done;
                Ok(ClientStep::Started(Box::new(self.started.clone()), None))
            }
            // What may have to be encrypted can't come before it is clear whether it is.
            PayloadType::Output | PayloadType::StdErr | PayloadType::ExitCode if self.is_under_way() => {
                Err(HandshakeError::Unexpected(message.payload_type))
            }
            _ => Ok(ClientStep::NotMine),
        }
    }

    fn requested(&mut self, message: &Message) -> Result<ClientStep, HandshakeError> {
        let request = HandshakeRequest::from_json(&message.payload)
            .map_err(|_| HandshakeError::Unreadable("the agent's handshake request"))?;
        self.started =
            Started { agent_version: request.agent_version.parse().ok(), ..Started::without_handshake() };
        self.processed.clear();
        let mut key = None;
        for requested in &request.requested_client_actions {
            let (action_status, error) = match requested.action() {
                ClientAction::SessionType(asked) => {
                    self.take_session_type(asked.session_type, asked.properties)
                }
                // Its status is filled in when there is a key; a second one has no place in the protocol.
                ClientAction::KmsEncryption(asked) if key.is_none() => {
                    key = Some(asked);
                    (ActionStatus::Failed, String::new())
                }
                _ => (ActionStatus::Unsupported, format!("Unsupported action {}", requested.action_type)),
            };
            self.processed.push(ProcessedAction {
                action_type: requested.action_type.clone(),
                action_status,
                action_result: serde_json::Value::Null,
                error,
            });
        }
        match key {
            Some(asked) => {
                let request =
                    DataKeyRequest { key_id: asked.key_id.clone(), challenge: asked.challenge.clone() };
                self.state = State::NeedsKey(asked);
                Ok(ClientStep::NeedDataKey(request))
            }
            None => Ok(ClientStep::Reply(self.answer())),
        }
    }

    fn take_session_type(
        &mut self,
        session_type: SessionType,
        properties: serde_json::Value,
    ) -> (ActionStatus, String) {
        if let SessionType::Other(name) = &session_type {
            return (ActionStatus::Failed, format!("Unknown session type {name}"));
        }
        self.started.session_type = session_type;
        self.started.properties = properties;
        (ActionStatus::Success, String::new())
    }

    /// Takes the data key that was asked for, or why there is none. The agent is told either way.
    ///
    /// # Errors
    /// If none was asked for.
    pub fn data_key(&mut self, key: Result<GeneratedKey, String>) -> Result<Reply, HandshakeError> {
        let State::NeedsKey(asked) = &self.state else {
            return Err(HandshakeError::Unexpected(PayloadType::HandshakeResponse));
        };
        let challenge_acknowledgement = asked.challenge.as_ref().map(|_| true);
        let is_pending = |action: &&mut ProcessedAction| {
            action.action_type == "KMSEncryption" && action.action_status == ActionStatus::Failed
        };
        if let Some(action) = self.processed.iter_mut().find(is_pending) {
            match key {
                Ok(key) => {
                    let result = KmsResult {
                        cipher_text_key: BASE64.encode(&key.ciphertext),
                        cipher_text_hash: serde_json::Value::Null,
                        challenge_acknowledgement,
                    };
                    action.action_status = ActionStatus::Success;
                    action.action_result = serde_json::to_value(result).unwrap_or_default();
                    self.keys = Some(Box::new(SessionKeys::new(&key.plaintext, Role::Client, self.nonce)));
                }
                Err(why) => action.error = why,
            }
        }
        Ok(self.answer())
    }

    fn answer(&mut self) -> Reply {
        self.state = State::Answered;
        let response = HandshakeResponse {
            client_version: self.client_version.clone(),
            processed_client_actions: std::mem::take(&mut self.processed),
            errors: None,
        };
        Reply { payload_type: PayloadType::HandshakeResponse, payload: response.to_json() }
    }

    fn challenged(&mut self, message: &Message) -> Result<ClientStep, HandshakeError> {
        let (State::Answered, Some(keys)) = (&self.state, &mut self.keys) else {
            return Err(HandshakeError::Unexpected(message.payload_type));
        };
        let challenge = EncryptionChallenge::from_json(&message.payload).ok();
        let challenge = challenge.and_then(|challenge| BASE64.decode(challenge.challenge).ok());
        let challenge = challenge.ok_or(HandshakeError::Unreadable("the agent's encryption challenge"))?;
        let plain = keys.opener.open(&challenge).map_err(|_| HandshakeError::Challenge)?;
        let answer = EncryptionChallenge { challenge: BASE64.encode(keys.sealer.seal(&plain)) };
        let payload_type = PayloadType::EncryptionChallengeResponse;
        Ok(ClientStep::Reply(Reply { payload_type, payload: answer.to_json() }))
    }

    fn completed(&mut self, message: &Message) -> Result<ClientStep, HandshakeError> {
        if !matches!(self.state, State::Answered) {
            return Err(HandshakeError::Unexpected(message.payload_type));
        }
        // It begins even if the agent's words can't be read.
        let words = HandshakeComplete::from_json(&message.payload).map(|complete| complete.customer_message);
        self.started.customer_message = words.unwrap_or_default();
        let keys = self.keys.take();
        self.started.is_encrypted = keys.is_some();
        self.state = State::Done;
        Ok(ClientStep::Started(Box::new(self.started.clone()), keys))
    }
}
