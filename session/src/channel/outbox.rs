//! What waits to be sent for the first time.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use crate::crypto::Sealer;
use crate::frame::PayloadType;

/// Payloads in order, cut and joined when they are taken.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    pieces: VecDeque<(PayloadType, Bytes)>,
    bytes: usize,
    sealer: Option<Sealer>,
}

/// Whether a payload is a part of a stream of bytes, so that its borders mean nothing.
fn is_stream(payload_type: PayloadType) -> bool {
    matches!(payload_type, PayloadType::Output | PayloadType::StdErr)
}

/// Whether a payload is encrypted, if anything is.
fn is_sealed(payload_type: PayloadType) -> bool {
    matches!(payload_type, PayloadType::Output | PayloadType::StdErr | PayloadType::ExitCode)
}

impl Outbox {
    /// Queues a payload. No bytes of a stream are no message.
    pub(super) fn push(&mut self, payload_type: PayloadType, payload: Bytes) {
        if payload.is_empty() && is_stream(payload_type) {
            return;
        }
        self.bytes += payload.len();
        self.pieces.push_back((payload_type, payload));
    }

    pub(super) fn seal_with(&mut self, sealer: Sealer) {
        self.sealer = Some(sealer);
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// The next message's payload, of at most `limit` bytes if it belongs to a stream (before encryption).
    pub(super) fn take(&mut self, limit: usize) -> Option<(PayloadType, Bytes)> {
        let (payload_type, first) = self.take_piece(limit)?;
        let mut payload = first;
        if is_stream(payload_type) && payload.len() < limit && self.next_is(payload_type) {
            let mut joined = BytesMut::with_capacity(limit.min(payload.len() + self.bytes));
            joined.extend_from_slice(&payload);
            while joined.len() < limit && self.next_is(payload_type) {
                let Some((_, piece)) = self.take_piece(limit - joined.len()) else { break };
                joined.extend_from_slice(&piece);
            }
            payload = joined.freeze();
        }
        if let Some(sealer) = self.sealer.as_mut().filter(|_| is_sealed(payload_type)) {
            payload = sealer.seal(&payload);
        }
        Some((payload_type, payload))
    }

    fn next_is(&self, payload_type: PayloadType) -> bool {
        self.pieces.front().is_some_and(|(next, _)| *next == payload_type)
    }

    fn take_piece(&mut self, limit: usize) -> Option<(PayloadType, Bytes)> {
        let (payload_type, piece) = self.pieces.front_mut()?;
        let payload_type = *payload_type;
        let taken = if is_stream(payload_type) && piece.len() > limit {
            piece.split_to(limit)
        } else {
            self.pieces.pop_front()?.1
        };
        self.bytes -= taken.len();
        Some((payload_type, taken))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(pieces: &[(PayloadType, &'static [u8])], limit: usize) -> Vec<(PayloadType, Bytes)> {
        let mut outbox = Outbox::default();
        for (payload_type, piece) in pieces {
            outbox.push(*payload_type, Bytes::from_static(piece));
        }
        let taken = std::iter::from_fn(|| outbox.take(limit)).collect();
        assert_eq!((outbox.bytes(), outbox.is_empty()), (0, true));
        taken
    }

    #[test]
    fn bytes_are_cut_and_joined() {
        use PayloadType::{Output, Size, StdErr};
        assert_eq!(
            taken(&[(Output, b"abcdefg"), (Output, b"h"), (Output, b""), (Output, b"ij")], 4),
            [(Output, "abcd".into()), (Output, "efgh".into()), (Output, "ij".into())]
        );
        // Other payloads are neither cut nor joined, and nothing passes them.
        let mixed = [(Output, &b"a"[..]), (Size, b"{sizes}"), (Size, b"{}"), (Output, b"b"), (StdErr, b"c")];
        assert_eq!(taken(&mixed, 4), mixed.map(|(t, p)| (t, Bytes::from_static(p))));
    }

    #[test]
    fn a_lone_line_feed_stays_one() {
        assert_eq!(taken(&[(PayloadType::Output, b"\n")], 1024), [(PayloadType::Output, "\n".into())]);
    }
}
