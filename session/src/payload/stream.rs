//! The payloads of an established stream that are not bytes of the program.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// The size of the client's terminal, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TerminalSize {
    /// Width.
    pub cols: u32,
    /// Height.
    pub rows: u32,
}

/// A number that one end shows the other: four bytes, big-endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SessionFlag {
    /// Client to agent, ports without multiplexing: the local connection is closed.
    DisconnectToPort,
    /// Client to agent: end the session. Needs an agent newer than 2.3.722.0.
    TerminateSession,
    /// Agent to client: the destination could not be reached. The stream is closed, but which one is not said.
    ConnectToPortError,
    /// Anything else.
    Other(u32),
}

impl SessionFlag {
    /// Reads a payload; `None` if it is not four bytes.
    #[must_use]
    pub fn from_payload(payload: &[u8]) -> Option<SessionFlag> {
        Some(match u32::from_be_bytes(payload.try_into().ok()?) {
            1 => SessionFlag::DisconnectToPort,
            2 => SessionFlag::TerminateSession,
            3 => SessionFlag::ConnectToPortError,
            other => SessionFlag::Other(other),
        })
    }

    /// Writes a payload.
    #[must_use]
    pub fn to_payload(self) -> Bytes {
        let number = match self {
            SessionFlag::DisconnectToPort => 1_u32,
            SessionFlag::TerminateSession => 2,
            SessionFlag::ConnectToPortError => 3,
            SessionFlag::Other(other) => other,
        };
        Bytes::copy_from_slice(&number.to_be_bytes())
    }
}

/// How a program ended: the text `EXIT_CODE: 7`. Only sent where the streams are separate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExitCode(pub i32);

impl ExitCode {
    const PREFIX: &'static str = "EXIT_CODE:";

    /// Reads a payload; `None` if it is another text. A bare number is taken too.
    #[must_use]
    pub fn from_payload(payload: &[u8]) -> Option<ExitCode> {
        let text = std::str::from_utf8(payload).ok()?.trim();
        text.strip_prefix(ExitCode::PREFIX).unwrap_or(text).trim().parse().ok().map(ExitCode)
    }

    /// Writes a payload.
    #[must_use]
    pub fn to_payload(self) -> Bytes {
        format!("{} {}", ExitCode::PREFIX, self.0).into()
    }
}
