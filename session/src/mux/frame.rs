//! Frames: eight bytes of header (version, command, length and stream id, both little-endian), then the payload.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::StreamId;

/// The bytes before a payload.
pub const HEADER_SIZE: usize = 8;

/// The most bytes that a frame can carry: its length has sixteen bits.
pub const MAX_PAYLOAD: usize = u16::MAX as usize;

const VERSION: u8 = 1;
const SYN: u8 = 0;
const FIN: u8 = 1;
const PUSH: u8 = 2;
const NOP: u8 = 3;

/// What a frame says. A payload is given as it comes, so that one frame may appear as several `Push`es.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// A stream begins.
    Syn(StreamId),
    /// A stream ends, in both directions.
    Fin(StreamId),
    /// Bytes of a stream, never none.
    Push(StreamId, Bytes),
    /// Nothing, to be heard.
    Nop,
}

/// Bytes that are no frames. The session can't go on: where the next frame begins is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// A frame of another version of the protocol, or no frame.
    #[error("a multiplexer frame begins with version {0} where 1 was expected")]
    Version(u8),
    /// A frame with a command that version 1 doesn't have.
    #[error("a multiplexer frame has the unknown command {0}")]
    Command(u8),
    /// A frame that carries bytes where its command allows none.
    #[error("a multiplexer frame of command {command} carries {length} bytes where none are allowed")]
    Payload {
        /// The command's number.
        command: u8,
        /// The length that the header states.
        length: u16,
    },
}

impl Frame {
    /// Appends the frame. A payload beyond [`MAX_PAYLOAD`] becomes several frames.
    pub fn encode(&self, out: &mut BytesMut) {
        match self {
            Frame::Syn(id) => header(out, SYN, 0, *id),
            Frame::Fin(id) => header(out, FIN, 0, *id),
            Frame::Nop => header(out, NOP, 0, StreamId(0)),
            Frame::Push(id, payload) => {
                for part in payload.chunks(MAX_PAYLOAD) {
                    push_header(out, *id, part.len());
                    out.put_slice(part);
                }
            }
        }
    }
}

fn header(out: &mut BytesMut, command: u8, length: u16, id: StreamId) {
    out.put_u8(VERSION);
    out.put_u8(command);
    out.put_u16_le(length);
    out.put_u32_le(id.0);
}

/// Appends the header of a frame whose payload the caller appends; `length` is at most [`MAX_PAYLOAD`].
pub(super) fn push_header(out: &mut BytesMut, id: StreamId, length: usize) {
    header(out, PUSH, u16::try_from(length).unwrap_or(u16::MAX), id);
}

/// Finds frames in a stream of bytes that is cut anywhere. Keeps at most a header.
#[derive(Debug, Default)]
pub struct Decoder {
    header: BytesMut,
    /// The stream whose payload is being read, and how much of it is to come.
    payload: Option<(StreamId, usize)>,
}

impl Decoder {
    /// Takes the next frame from the front of `bytes`; none when they hold no whole header any more. Payloads are
    /// views into `bytes`.
    ///
    /// # Errors
    /// The bytes are no frames; there is no going on after it.
    pub fn next(&mut self, bytes: &mut Bytes) -> Result<Option<Frame>, ProtocolError> {
        loop {
            if let Some((id, left)) = self.payload {
                if bytes.is_empty() {
                    return Ok(None);
                }
                let part = bytes.split_to(left.min(bytes.len()));
                self.payload = (left > part.len()).then(|| (id, left - part.len()));
                return Ok(Some(Frame::Push(id, part)));
            }
            let missing = HEADER_SIZE.saturating_sub(self.header.len()).min(bytes.len());
            self.header.extend_from_slice(&bytes.split_to(missing));
            if self.header.len() < HEADER_SIZE {
                return Ok(None);
            }
            let mut header = &self.header.split()[..];
            let (version, command) = (header.get_u8(), header.get_u8());
            let (length, id) = (header.get_u16_le(), StreamId(header.get_u32_le()));
            if version != VERSION {
                return Err(ProtocolError::Version(version));
            }
            match (command, length) {
                (PUSH, 0) => {}
                (PUSH, _) => self.payload = Some((id, usize::from(length))),
                (SYN, 0) => return Ok(Some(Frame::Syn(id))),
                (FIN, 0) => return Ok(Some(Frame::Fin(id))),
                (NOP, 0) => return Ok(Some(Frame::Nop)),
                (SYN | FIN | NOP, _) => return Err(ProtocolError::Payload { command, length }),
                _ => return Err(ProtocolError::Command(command)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decode(pieces: &[&[u8]]) -> Result<Vec<Frame>, ProtocolError> {
        let mut decoder = Decoder::default();
        let mut frames: Vec<Frame> = Vec::new();
        for piece in pieces {
            let mut bytes = Bytes::copy_from_slice(piece);
            while let Some(frame) = decoder.next(&mut bytes)? {
                match (frames.last_mut(), frame) {
                    // How a payload is cut says nothing.
                    (Some(Frame::Push(last, all)), Frame::Push(id, part)) if *last == id => {
                        *all = [&all[..], &part[..]].concat().into();
                    }
                    (_, frame) => frames.push(frame),
                }
            }
            assert!(bytes.is_empty(), "everything is taken");
        }
        Ok(frames)
    }

    /// Written out from the format, not by our encoder.
    #[test]
    fn frames_have_the_bytes_that_the_protocol_says() {
        let mut out = BytesMut::new();
        for frame in [
            Frame::Syn(StreamId(3)),
            Frame::Push(StreamId(3), Bytes::from_static(b"hi")),
            Frame::Fin(StreamId(0x0102_0304)),
            Frame::Nop,
        ] {
            frame.encode(&mut out);
        }
        let expected = [
            &[1, 0, 0, 0, 3, 0, 0, 0][..],
            &[1, 2, 2, 0, 3, 0, 0, 0, b'h', b'i'],
            &[1, 1, 0, 0, 4, 3, 2, 1],
            &[1, 3, 0, 0, 0, 0, 0, 0],
        ];
        assert_eq!(out, expected.concat());
    }

    #[test]
    fn the_longest_payload_is_one_frame_and_a_longer_one_is_two() {
        for (length, frames) in [(MAX_PAYLOAD, 1), (MAX_PAYLOAD + 1, 2)] {
            let mut out = BytesMut::new();
            Frame::Push(StreamId(3), Bytes::from(vec![7; length])).encode(&mut out);
            assert_eq!(out.len(), length + frames * HEADER_SIZE);
            assert_eq!(decode(&[&out]).unwrap(), [Frame::Push(StreamId(3), vec![7; length].into())]);
        }
    }

    #[test]
    fn what_is_no_frame_is_an_error() {
        let cases: [(&[u8], ProtocolError); 5] = [
            (&[2, 0, 0, 0, 3, 0, 0, 0], ProtocolError::Version(2)),
            (b"SSH-2.0-", ProtocolError::Version(b'S')),
            (&[1, 4, 8, 0, 3, 0, 0, 0], ProtocolError::Command(4)),
            (&[1, 0, 1, 0, 3, 0, 0, 0, 9], ProtocolError::Payload { command: 0, length: 1 }),
            (&[1, 3, 0, 1, 3, 0, 0, 0, 9], ProtocolError::Payload { command: 3, length: 256 }),
        ];
        for (bytes, error) in cases {
            assert_eq!(decode(&[bytes]), Err(error));
        }
    }

    #[test]
    fn a_push_of_nothing_says_nothing() {
        assert_eq!(decode(&[&[1, 2, 0, 0, 3, 0, 0, 0, 1, 3, 0, 0, 0, 0, 0, 0]]).unwrap(), [Frame::Nop]);
    }

    fn frame() -> impl Strategy<Value = Frame> {
        let id = any::<u32>().prop_map(StreamId);
        prop_oneof![
            id.clone().prop_map(Frame::Syn),
            id.clone().prop_map(Frame::Fin),
            Just(Frame::Nop),
            (id, proptest::collection::vec(any::<u8>(), 1..600))
                .prop_map(|(id, bytes)| Frame::Push(id, bytes.into())),
        ]
    }

    proptest! {
        #[test]
        fn frames_survive_any_cut(
            frames in proptest::collection::vec(frame(), 0..12),
            cuts in proptest::collection::vec(1_usize..40, 1..20),
        ) {
            let mut wire = BytesMut::new();
            frames.iter().for_each(|frame| frame.encode(&mut wire));
            let mut pieces: Vec<&[u8]> = Vec::new();
            let mut rest = &wire[..];
            for cut in cuts.iter().cycle() {
                if rest.is_empty() { break; }
                let (piece, after) = rest.split_at((*cut).min(rest.len()));
                pieces.push(piece);
                rest = after;
            }
            prop_assert_eq!(decode(&pieces), decode(&[&wire]));
            let mut whole = Decoder::default();
            let mut bytes = wire.freeze();
            let mut found = Vec::new();
            while let Some(frame) = whole.next(&mut bytes).unwrap() { found.push(frame); }
            prop_assert_eq!(found, frames);
        }

        #[test]
        fn any_bytes_give_frames_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..4096)) {
            let mut decoder = Decoder::default();
            let mut rest = Bytes::from(bytes);
            while let Ok(Some(_)) = decoder.next(&mut rest) {}
            prop_assert!(decoder.header.len() < HEADER_SIZE);
        }

        /// Random bytes mostly fail at the first header: these get further.
        #[test]
        fn nearly_right_bytes_give_frames_or_an_error(
            headers in proptest::collection::vec((0_u8..5, any::<u16>(), any::<u32>()), 0..64),
        ) {
            let mut wire = BytesMut::new();
            for (command, length, id) in headers {
                header(&mut wire, command, if command == PUSH { length % 32 } else { length % 2 }, StreamId(id));
                wire.put_bytes(0xa5, usize::from(length % 32));
            }
            let mut decoder = Decoder::default();
            let mut rest = wire.freeze();
            while let Ok(Some(_)) = decoder.next(&mut rest) {}
        }
    }
}
