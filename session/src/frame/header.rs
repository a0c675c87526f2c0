//! The 120 bytes before a payload.

use bytes::{BufMut, BytesMut};

use super::{Flags, FrameError, MessageType, PayloadType, sha256};

/// Bytes before the payload of a message as herder writes it.
pub const HEADER_BYTES: usize = 120;

/// What the header length field says of itself: everything before the payload length.
const HEADER_LENGTH: u32 = 116;

/// The identity of a message; a retransmission keeps it.
pub type MessageId = uuid::Uuid;

/// The fields of a message that its payload does not give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// What the message is.
    pub message_type: MessageType,
    /// Always 1 so far.
    pub schema_version: u32,
    /// When the message was made: Unix milliseconds. 0 is invalid.
    pub created_ms: u64,
    /// Where a stream message stands in its stream, from 0; 0 for others.
    pub sequence: i64,
    /// See [`Flags`].
    pub flags: Flags,
    /// The message's identity.
    pub id: MessageId,
    /// What the payload is; 0 unless the message belongs to a stream.
    pub payload_type: PayloadType,
}

impl Header {
    /// Reads a header without looking at the payload, for whoever passes messages on.
    ///
    /// Also gives where the payload begins.
    ///
    /// # Errors
    /// [`FrameError::TooShort`], [`FrameError::HeaderLength`] and [`FrameError::NoType`].
    pub fn decode(wire: &[u8]) -> Result<(Header, usize), FrameError> {
        let short = FrameError::TooShort { length: wire.len() };
        let message_type = MessageType::decode(&array::<32>(wire, 4).ok_or(short.clone())?)?;
        if message_type.is_publication() && wire.len() < HEADER_BYTES {
            return Ok((Header::bare(message_type), wire.len()));
        }
        if wire.len() < HEADER_BYTES {
            return Err(short);
        }
        let length = u32_at(wire, 0);
        let at = (length as usize).saturating_add(4);
        if length < HEADER_LENGTH || at > wire.len() {
            return match message_type.is_publication() {
                true => Ok((Header::bare(message_type), wire.len())),
                false => Err(FrameError::HeaderLength(length)),
            };
        }
        let header = Header {
            message_type,
            schema_version: u32_at(wire, 36),
            created_ms: u64_at(wire, 40),
            sequence: u64_at(wire, 48).cast_signed(),
            flags: Flags(u64_at(wire, 56)),
            id: MessageId::from_u64_pair(u64_at(wire, 72), u64_at(wire, 64)),
            payload_type: PayloadType::from(u32_at(wire, 112)),
        };
        Ok((header, at))
    }

    /// Appends header and payload; the payload is the pieces in a row.
    pub fn encode(&self, payload: &[&[u8]], out: &mut BytesMut) {
        let length: usize = payload.iter().map(|piece| piece.len()).sum();
        out.reserve(HEADER_BYTES + length);
        out.put_u32(HEADER_LENGTH);
        self.message_type.encode(out);
        out.put_u32(self.schema_version);
        out.put_u64(self.created_ms);
        out.put_i64(self.sequence);
        out.put_u64(self.flags.0);
        let (high, low) = self.id.as_u64_pair();
        out.put_u64(low);
        out.put_u64(high);
        out.put_slice(&sha256(payload));
        out.put_u32(self.payload_type.into());
        // A WebSocket message of 4 GiB is refused long before.
        out.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
        for piece in payload {
            out.put_slice(piece);
        }
    }

    /// A publication message that is nothing but its type.
    fn bare(message_type: MessageType) -> Header {
        Header {
            message_type,
            schema_version: 1,
            created_ms: 0,
            sequence: 0,
            flags: Flags::NONE,
            id: MessageId::nil(),
            payload_type: PayloadType::None,
        }
    }
}

/// The declared length of the payload that begins at `at`.
///
/// A header that is longer than 116 has its payload length at its end; the official client reads it at 116 anyway.
pub(super) fn payload_length(wire: &[u8], at: usize) -> u32 {
    let last = u32_at(wire, at.saturating_sub(4));
    let fixed = u32_at(wire, HEADER_LENGTH as usize);
    if fixed as usize == wire.len().saturating_sub(at) { fixed } else { last }
}

/// The digest field.
pub(super) fn digest(wire: &[u8]) -> [u8; 32] {
    array(wire, 80).unwrap_or_default()
}

fn array<const N: usize>(wire: &[u8], at: usize) -> Option<[u8; N]> {
    wire.get(at..)?.first_chunk().copied()
}

fn u32_at(wire: &[u8], at: usize) -> u32 {
    array(wire, at).map_or(0, u32::from_be_bytes)
}

fn u64_at(wire: &[u8], at: usize) -> u64 {
    array(wire, at).map_or(0, u64::from_be_bytes)
}
