//! The binary message of the data channel (`AgentMessage`): one WebSocket message holds exactly one.
//!
//! All integers are big-endian. The header is 120 bytes:
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 4 | header length: 116, that is without the payload length |
//! | 4 | 32 | message type, padded with spaces |
//! | 36 | 4 | schema version: 1 |
//! | 40 | 8 | creation date, Unix milliseconds, never 0 |
//! | 48 | 8 | sequence number |
//! | 56 | 8 | flags |
//! | 64 | 16 | message id: a UUID with its two halves swapped |
//! | 80 | 32 | SHA-256 of the payload as it is on the wire |
//! | 112 | 4 | payload type |
//! | 116 | 4 | payload length |
//!
//! Nothing here panics, whatever the bytes are; `session/tests/fuzz.rs` tries.

mod header;
mod kind;

use bytes::{Bytes, BytesMut};

pub use header::{HEADER_BYTES, Header, MessageId};
pub use kind::{Flags, MessageType, PayloadType, TypeName};

/// Why bytes are not a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// Fewer bytes than a header has.
    #[error("the message has {length} bytes, fewer than its header")]
    TooShort {
        /// Bytes of the message.
        length: usize,
    },
    /// The header says that it is shorter than it can be, or longer than the message.
    #[error("the header length {0} is impossible")]
    HeaderLength(u32),
    /// The message type is blank.
    #[error("the message type is missing")]
    NoType,
    /// The creation date is 0.
    #[error("the creation date is missing")]
    NoDate,
    /// The payload is shorter or longer than the header says.
    #[error("the payload has {actual} bytes, and {declared} were declared")]
    PayloadLength {
        /// What the header says.
        declared: u32,
        /// What follows the header.
        actual: usize,
    },
    /// The payload is not the one that the digest was made of.
    #[error("the payload does not match its digest")]
    Digest,
}

/// Whether a payload is compared with its digest.
///
/// The official client does, the official agent does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DigestCheck {
    /// A payload that does not match is an error.
    #[default]
    Required,
    /// The digest is not looked at.
    Skipped,
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// All fields but the digest and the lengths, which follow from the payload.
    pub header: Header,
    /// The payload as it is on the wire; of a message that was read, a slice of the bytes given.
    pub payload: Bytes,
}

impl Frame {
    /// Reads a message. Copies nothing: the payload shares `wire`'s memory.
    ///
    /// # Errors
    /// What [`FrameError`] lists. `start_publication` and `pause_publication` are held to none of it but a readable type,
    /// as in the official client.
    pub fn decode(wire: Bytes, check: DigestCheck) -> Result<Frame, FrameError> {
        let (header, at) = Header::decode(&wire)?;
        let payload = wire.slice(at.min(wire.len())..);
        if header.message_type.is_publication() {
            return Ok(Frame { header, payload });
        }
        if header.created_ms == 0 {
            return Err(FrameError::NoDate);
        }
        let declared = header::payload_length(&wire, at);
        if declared as usize != payload.len() {
            return Err(FrameError::PayloadLength { declared, actual: payload.len() });
        }
        if check == DigestCheck::Required
            && !payload.is_empty()
            && header::digest(&wire) != sha256(&[&payload])
        {
            return Err(FrameError::Digest);
        }
        Ok(Frame { header, payload })
    }

    /// The message's bytes, in memory of their own.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(HEADER_BYTES + self.payload.len());
        self.header.encode(&[&self.payload], &mut out);
        out.freeze()
    }
}

/// The digest that a message says its payload has; zeros where it is too short to say.
pub(crate) fn declared_digest(wire: &[u8]) -> [u8; 32] {
    header::digest(wire)
}

/// SHA-256 of some pieces in a row.
pub(crate) fn sha256(pieces: &[&[u8]]) -> [u8; 32] {
    let mut context = ring::digest::Context::new(&ring::digest::SHA256);
    for piece in pieces {
        context.update(piece);
    }
    let mut digest = [0; 32];
    for (to, from) in digest.iter_mut().zip(context.finish().as_ref()) {
        *to = *from;
    }
    digest
}

#[cfg(test)]
mod tests;
