//! Bytes of a stream that wait: to be read, or to be sent.

use std::collections::VecDeque;

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// Small pieces are collected in segments of this size.
const SEGMENT: usize = 16 << 10;

/// A queue of bytes. Large pieces are kept as they are; small ones are copied together, so that neither their number
/// nor the buffers that they were cut from cost more memory than twice their length and a segment.
#[derive(Debug, Default)]
pub(super) struct ByteQueue {
    pieces: VecDeque<Bytes>,
    /// Grows up to a segment, and never beyond: what it has room for counts, not what is in it.
    tail: Vec<u8>,
    length: usize,
}

impl ByteQueue {
    pub(super) fn len(&self) -> usize {
        self.length
    }

    pub(super) fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Appends a piece; `buffer` is the size of what it is a view into, and kept alive by it.
    pub(super) fn push(&mut self, piece: Bytes, buffer: usize) {
        if piece.is_empty() {
            return;
        }
        let is_worth_its_buffer = piece.len() >= buffer / 2;
        if is_worth_its_buffer && (piece.len() >= SEGMENT / 4 || self.is_empty()) {
            self.length += piece.len();
            self.seal();
            self.pieces.push_back(piece);
        } else {
            self.push_slice(&piece);
        }
    }

    /// Appends a copy.
    pub(super) fn push_slice(&mut self, mut bytes: &[u8]) {
        self.length += bytes.len();
        while !bytes.is_empty() {
            if self.tail.len() >= SEGMENT {
                self.seal();
            }
            let (now, later) = bytes.split_at(bytes.len().min(SEGMENT - self.tail.len()));
            let (needed, room) = (self.tail.len() + now.len(), self.tail.capacity());
            if needed > room {
                self.tail.reserve_exact(needed.max(2 * room).min(SEGMENT) - self.tail.len());
            }
            self.tail.extend_from_slice(now);
            bytes = later;
        }
    }

    fn seal(&mut self) {
        if !self.tail.is_empty() {
            self.pieces.push_back(std::mem::take(&mut self.tail).into());
        }
    }

    /// Takes at most `limit` bytes from the front, without copying; none if there are none.
    pub(super) fn pop(&mut self, limit: usize) -> Option<Bytes> {
        if self.pieces.is_empty() {
            self.seal();
        }
        let mut piece = self.pieces.pop_front()?;
        if piece.len() > limit {
            let rest = piece.split_off(limit);
            self.pieces.push_front(rest);
        }
        self.length -= piece.len();
        Some(piece)
    }

    /// Moves `count` bytes from the front to `out`, or all there are.
    pub(super) fn pop_into(&mut self, out: &mut BytesMut, count: usize) {
        let mut left = count;
        while left > 0 {
            let Some(piece) = self.pop(left) else { return };
            left -= piece.len();
            out.put_slice(piece.chunk());
        }
    }

    pub(super) fn clear(&mut self) {
        *self = ByteQueue::default();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_large_piece_is_not_copied() {
        let piece = Bytes::from(vec![1; 32 << 10]);
        let mut queue = ByteQueue::default();
        queue.push(piece.clone(), piece.len() + 8);
        assert_eq!(queue.pop(usize::MAX).unwrap().as_ptr(), piece.as_ptr());
    }

    #[test]
    fn a_small_view_does_not_keep_a_large_buffer() {
        let buffer = Bytes::from(vec![1; 64 << 10]);
        let mut queue = ByteQueue::default();
        queue.push(buffer.slice(..10), buffer.len());
        let range = buffer.as_ptr_range();
        assert!(!range.contains(&queue.pop(10).unwrap().as_ptr()));
    }

    #[test]
    fn many_small_pieces_cost_little_more_than_their_bytes() {
        let mut queue = ByteQueue::default();
        for _ in 0..100_000 {
            queue.push(Bytes::from_static(b"x"), 1);
        }
        assert!(queue.pieces.len() <= 100_000 / SEGMENT + 2, "{} pieces", queue.pieces.len());
    }

    #[test]
    fn segments_have_no_room_that_is_not_used() {
        let mut queue = ByteQueue::default();
        for _ in 0..1000 {
            queue.push_slice(&[7; 1016]);
            assert!(queue.tail.capacity() <= SEGMENT, "{}", queue.tail.capacity());
        }
        assert!(queue.pieces.iter().all(|piece| piece.len() == SEGMENT));
    }

    proptest! {
        #[test]
        fn bytes_come_out_as_they_went_in(
            pushes in proptest::collection::vec((0_usize..40_000, any::<bool>(), 0_usize..50_000), 0..30),
        ) {
            let mut queue = ByteQueue::default();
            let (mut pushed, mut popped) = (Vec::new(), BytesMut::new());
            for (length, is_view, pop) in pushes {
                let piece: Vec<u8> = (0..length).map(|n| ((n + pushed.len()) % 251) as u8).collect();
                pushed.extend_from_slice(&piece);
                if is_view { queue.push(piece.into(), length * 3); } else { queue.push(piece.into(), length); }
                queue.pop_into(&mut popped, pop);
                prop_assert_eq!(queue.len(), pushed.len() - popped.len());
            }
            while let Some(piece) = queue.pop(1000) { popped.extend_from_slice(&piece); }
            prop_assert!(popped[..] == pushed[..]);
            prop_assert!(queue.is_empty());
        }
    }
}
