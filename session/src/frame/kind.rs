//! Message types, payload types and flags: closed lists on the wire, open ones here.

use std::fmt;

use bytes::{BufMut, BytesMut};

use super::FrameError;

/// A message type that this version does not know.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TypeName {
    bytes: [u8; 32],
    length: u8,
}

impl TypeName {
    fn bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or_default()
    }
}

impl fmt::Debug for TypeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.bytes().escape_ascii())
    }
}

/// Declares the types that are known, with their names.
macro_rules! message_types {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// What a message is.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum MessageType {
            $($(#[$doc])* $name,)*
            /// Anything else.
            Other(TypeName),
        }

        impl MessageType {
            /// The name on the wire; empty if it is unknown and no text.
            #[must_use]
            pub fn name(&self) -> &str {
                match self {
                    $(MessageType::$name => $text,)*
                    MessageType::Other(name) => std::str::from_utf8(name.bytes()).unwrap_or_default(),
                }
            }

            fn known(name: &[u8]) -> Option<MessageType> {
                $(if name == $text.as_bytes() { return Some(MessageType::$name); })*
                None
            }
        }
    };
}

message_types! {
    /// Client to agent, a stream with its own sequence numbers.
    InputStreamData = "input_stream_data",
    /// Agent to client, a stream with its own sequence numbers.
    OutputStreamData = "output_stream_data",
    /// Either way: [`Acknowledge`](crate::payload::Acknowledge). Never acknowledged itself.
    Acknowledge = "acknowledge",
    /// From the service: [`ChannelClosed`](crate::payload::ChannelClosed).
    ChannelClosed = "channel_closed",
    /// From the service: the other end is there.
    StartPublication = "start_publication",
    /// From the service: the other end is away.
    PausePublication = "pause_publication",
    /// Agent to service: [`AgentSessionState`](crate::payload::AgentSessionState).
    AgentSessionState = "agent_session_state",
    /// Control channel, service to agent: a session begins.
    InteractiveShell = "interactive_shell",
    /// Control channel, agent to service: a session is over.
    AgentTaskComplete = "agent_task_complete",
    /// Control channel, service to agent: that was heard.
    AgentTaskAcknowledge = "agent_task_acknowledge",
    /// Control channel, service to agent: a command to run.
    AgentJob = "agent_job",
    /// Control channel, agent to service.
    AgentJobAck = "agent_job_ack",
    /// Control channel, agent to service.
    AgentJobReply = "agent_job_reply",
    /// Control channel, service to agent.
    AgentJobReplyAck = "agent_job_reply_ack",
}

impl MessageType {
    /// The type of a name, as acknowledgements quote it. `None` if it is blank or longer than 32 bytes.
    #[must_use]
    pub fn from_name(name: &str) -> Option<MessageType> {
        let mut field = [b' '; 32];
        field.get_mut(..name.len())?.copy_from_slice(name.as_bytes());
        MessageType::decode(&field).ok()
    }

    /// Whether this is one of the two messages that carry nothing but their type.
    #[must_use]
    pub fn is_publication(&self) -> bool {
        matches!(self, MessageType::StartPublication | MessageType::PausePublication)
    }

    /// Reads the field: NULs are trimmed, then white space.
    pub(super) fn decode(field: &[u8; 32]) -> Result<MessageType, FrameError> {
        let name = trim_nul(field).trim_ascii();
        if name.is_empty() {
            return Err(FrameError::NoType);
        }
        Ok(MessageType::known(name).unwrap_or_else(|| {
            let mut bytes = [0; 32];
            for (to, from) in bytes.iter_mut().zip(name) {
                *to = *from;
            }
            MessageType::Other(TypeName { bytes, length: u8::try_from(name.len()).unwrap_or(32) })
        }))
    }

    /// Writes the field, padded with spaces.
    pub(super) fn encode(&self, out: &mut BytesMut) {
        let name = match self {
            MessageType::Other(name) => name.bytes(),
            known => known.name().as_bytes(),
        };
        out.put_slice(name);
        out.put_bytes(b' ', 32_usize.saturating_sub(name.len()));
    }
}

impl fmt::Display for MessageType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

fn trim_nul(mut bytes: &[u8]) -> &[u8] {
    while let Some((0, rest)) = bytes.split_first() {
        bytes = rest;
    }
    while let Some((0, rest)) = bytes.split_last() {
        bytes = rest;
    }
    bytes
}

/// What the payload of a stream message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PayloadType {
    /// Not a stream message.
    None,
    /// Bytes of the program, the terminal or the port, either way.
    Output,
    /// An error of the agent.
    Error,
    /// Client to agent: [`TerminalSize`](crate::payload::TerminalSize).
    Size,
    /// Reserved.
    Parameter,
    /// Agent to client: [`HandshakeRequest`](crate::payload::HandshakeRequest).
    HandshakeRequest,
    /// Client to agent: [`HandshakeResponse`](crate::payload::HandshakeResponse).
    HandshakeResponse,
    /// Agent to client: [`HandshakeComplete`](crate::payload::HandshakeComplete).
    HandshakeComplete,
    /// Agent to client: [`EncryptionChallenge`](crate::payload::EncryptionChallenge).
    EncryptionChallengeRequest,
    /// Client to agent: [`EncryptionChallenge`](crate::payload::EncryptionChallenge).
    EncryptionChallengeResponse,
    /// Either way: [`SessionFlag`](crate::payload::SessionFlag).
    Flag,
    /// Agent to client: the program's standard error.
    StdErr,
    /// Agent to client: [`ExitCode`](crate::payload::ExitCode).
    ExitCode,
    /// Anything else.
    Other(u32),
}

impl From<u32> for PayloadType {
    fn from(number: u32) -> PayloadType {
        match number {
            0 => PayloadType::None,
            1 => PayloadType::Output,
            2 => PayloadType::Error,
            3 => PayloadType::Size,
            4 => PayloadType::Parameter,
            5 => PayloadType::HandshakeRequest,
            6 => PayloadType::HandshakeResponse,
            7 => PayloadType::HandshakeComplete,
            8 => PayloadType::EncryptionChallengeRequest,
            9 => PayloadType::EncryptionChallengeResponse,
            10 => PayloadType::Flag,
            11 => PayloadType::StdErr,
            12 => PayloadType::ExitCode,
            other => PayloadType::Other(other),
        }
    }
}

impl From<PayloadType> for u32 {
    fn from(payload_type: PayloadType) -> u32 {
        match payload_type {
            PayloadType::None => 0,
            PayloadType::Output => 1,
            PayloadType::Error => 2,
            PayloadType::Size => 3,
            PayloadType::Parameter => 4,
            PayloadType::HandshakeRequest => 5,
            PayloadType::HandshakeResponse => 6,
            PayloadType::HandshakeComplete => 7,
            PayloadType::EncryptionChallengeRequest => 8,
            PayloadType::EncryptionChallengeResponse => 9,
            PayloadType::Flag => 10,
            PayloadType::StdErr => 11,
            PayloadType::ExitCode => 12,
            PayloadType::Other(other) => other,
        }
    }
}

/// The flags of a message. Bits that are not named are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Flags(pub u64);

impl Flags {
    /// Ordinary data.
    pub const NONE: Flags = Flags(0);
    /// The first message of an agent's stream.
    pub const SYN: Flags = Flags(1);
    /// The last message of a stream; nobody sends it alone.
    pub const FIN: Flags = Flags(2);
    /// What both official ends put on acknowledgements.
    pub const SYN_FIN: Flags = Flags(3);
}
