//! Acknowledgements. Every message of a stream gets one, so they are written and read without detours.

use bytes::{BufMut, BytesMut};
use serde::Deserialize;

use super::PayloadError;
use crate::frame::{MessageId, MessageType};

/// `acknowledge`: one message of a stream was taken, or is held until those before it come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Acknowledge {
    /// Type of the message that was taken.
    pub message_type: MessageType,
    /// Its id.
    pub message_id: MessageId,
    /// Its sequence number.
    pub sequence: i64,
    /// Always true, from both official ends.
    pub is_sequential: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Wire<'a> {
    #[serde(borrow)]
    acknowledged_message_type: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    acknowledged_message_id: std::borrow::Cow<'a, str>,
    acknowledged_message_sequence_number: i64,
    #[serde(default = "yes")]
    is_sequential_message: bool,
}

fn yes() -> bool {
    true
}

impl Acknowledge {
    /// Reads a payload.
    ///
    /// # Errors
    /// If it is not JSON, or its type or id is none.
    pub fn from_json(payload: &[u8]) -> Result<Acknowledge, PayloadError> {
        let error = |source| PayloadError { what: "acknowledge", source };
        let invalid = |what: &str| error(serde::de::Error::custom(what));
        let wire: Wire<'_> = serde_json::from_slice(payload).map_err(error)?;
        Ok(Acknowledge {
            message_type: MessageType::from_name(&wire.acknowledged_message_type)
                .ok_or_else(|| invalid("no message type"))?,
            message_id: MessageId::try_parse(&wire.acknowledged_message_id)
                .map_err(|_| invalid("no message id"))?,
            sequence: wire.acknowledged_message_sequence_number,
            is_sequential: wire.is_sequential_message,
        })
    }

    /// Appends the payload.
    pub fn write_json(&self, out: &mut BytesMut) {
        let mut id = [0; 36];
        let id = self.message_id.hyphenated().encode_lower(&mut id).as_bytes();
        let mut number = [0; 20];
        for piece in [
            br#"{"AcknowledgedMessageType":""#.as_slice(),
            self.message_type.name().as_bytes(),
            br#"","AcknowledgedMessageId":""#,
            id,
            br#"","AcknowledgedMessageSequenceNumber":"#,
            decimal(self.sequence, &mut number),
            br#","IsSequentialMessage":"#,
            if self.is_sequential { b"true}" } else { b"false}" },
        ] {
            out.put_slice(piece);
        }
    }
}

/// A number's digits, at the end of a buffer that holds the longest.
fn decimal(number: i64, buffer: &mut [u8; 20]) -> &[u8] {
    let mut rest = number.unsigned_abs();
    let mut at = buffer.len();
    for slot in buffer.iter_mut().rev() {
        *slot = b'0' + (rest % 10) as u8;
        rest /= 10;
        at -= 1;
        if rest == 0 {
            break;
        }
    }
    if number < 0 {
        at = at.saturating_sub(1);
        if let Some(slot) = buffer.get_mut(at) {
            *slot = b'-';
        }
    }
    buffer.get(at..).unwrap_or_default()
}
