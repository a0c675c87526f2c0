//! Contents of a file: pieces that are shared, never copied to be read, and holes that take no memory.

use bytes::{Bytes, BytesMut};

/// Pieces smaller than this are gathered while a file grows.
const GATHERED: usize = 64 << 10;
/// Largest piece that is made of a hole.
const HOLE: usize = 64 << 10;

static ZEROS: [u8; HOLE] = [0; HOLE];

/// A piece of a file.
#[derive(Debug, Clone)]
enum Piece {
    Bytes(Bytes),
    Hole(u64),
}

impl Piece {
    fn length(&self) -> u64 {
        match self {
            Piece::Bytes(bytes) => bytes.len() as u64,
            Piece::Hole(length) => *length,
        }
    }

    /// Bytes that it takes in memory.
    fn held(&self) -> u64 {
        if let Piece::Bytes(bytes) = self { bytes.len() as u64 } else { 0 }
    }

    /// The part from `from` on, of at most `most` bytes.
    fn part(&self, from: u64, most: u64) -> Piece {
        let length = most.min(self.length().saturating_sub(from));
        match self {
            Piece::Bytes(bytes) => {
                let from = from.min(bytes.len() as u64) as usize;
                Piece::Bytes(bytes.slice(from..from + length as usize))
            }
            Piece::Hole(_) => Piece::Hole(length),
        }
    }
}

/// The contents of a file.
#[derive(Debug, Clone, Default)]
pub(crate) struct Data {
    /// Each with where it begins.
    pieces: Vec<(u64, Piece)>,
    /// What comes after the pieces, until there is enough of it.
    tail: BytesMut,
    length: u64,
    /// Bytes of the pieces that are no holes.
    held: u64,
}

impl Data {
    pub(crate) fn of(bytes: impl Into<Bytes>) -> Data {
        let mut data = Data::default();
        data.append(bytes.into());
        data
    }

    pub(crate) fn len(&self) -> u64 {
        self.length
    }

    /// Bytes that it takes in memory, about.
    pub(crate) fn held(&self) -> u64 {
        self.held + self.tail.len() as u64
    }

    /// Puts a piece behind the others; there is no tail, and the length has yet to grow.
    fn push(&mut self, piece: Piece) {
        if piece.length() > 0 {
            self.held += piece.held();
            self.pieces.push((self.length, piece));
        }
    }

    /// Makes a piece of the tail.
    fn settle(&mut self) {
        if !self.tail.is_empty() {
            let tail = self.tail.split().freeze();
            let at = self.length - tail.len() as u64;
            self.held += tail.len() as u64;
            self.pieces.push((at, Piece::Bytes(tail)));
        }
    }

    fn append(&mut self, bytes: Bytes) {
        if bytes.len() < GATHERED / 4 {
            self.tail.extend_from_slice(&bytes);
            self.length += bytes.len() as u64;
            if self.tail.len() >= GATHERED {
                self.settle();
            }
            return;
        }
        self.settle();
        let length = bytes.len() as u64;
        self.push(Piece::Bytes(bytes));
        self.length += length;
    }

    /// Writes at a place; what is skipped is a hole.
    pub(crate) fn write(&mut self, at: u64, bytes: Bytes) {
        if bytes.is_empty() {
            return;
        }
        if at > self.length {
            self.resize(at);
        }
        if at == self.length {
            return self.append(bytes);
        }
        let end = at + bytes.len() as u64;
        self.settle();
        let rest: Vec<Piece> = if end < self.length { self.pieces_from(end) } else { Vec::new() };
        self.resize(at);
        self.settle();
        self.push(Piece::Bytes(bytes));
        self.length = end;
        for piece in rest {
            let length = piece.length();
            self.push(piece);
            self.length += length;
        }
    }

    fn pieces_from(&self, from: u64) -> Vec<Piece> {
        let first = self.pieces.partition_point(|(at, piece)| at + piece.length() <= from);
        self.pieces
            .get(first..)
            .unwrap_or_default()
            .iter()
            .map(|(at, piece)| piece.part(from.saturating_sub(*at), u64::MAX))
            .collect()
    }

    /// Cuts it, or makes it longer with a hole.
    pub(crate) fn resize(&mut self, length: u64) {
        self.settle();
        if length > self.length {
            self.push(Piece::Hole(length - self.length));
        } else {
            let keep = self.pieces.partition_point(|(at, _)| *at < length);
            self.pieces.truncate(keep);
            if let Some((at, piece)) = self.pieces.last_mut() {
                *piece = piece.part(0, length - *at);
            }
            self.held = self.pieces.iter().map(|(_, piece)| piece.held()).sum();
        }
        self.length = length;
    }

    /// At most `most` bytes from a place on; none at the end.
    pub(crate) fn read(&mut self, at: u64, most: usize) -> Bytes {
        if at + self.tail.len() as u64 >= self.length {
            self.settle();
        }
        let index = self.pieces.partition_point(|(start, piece)| start + piece.length() <= at);
        let Some((start, piece)) = self.pieces.get(index) else { return Bytes::new() };
        match piece.part(at - start, most as u64) {
            Piece::Bytes(bytes) => bytes,
            Piece::Hole(length) => Bytes::from_static(&ZEROS[..(length as usize).min(HOLE)]),
        }
    }

    /// All of it, up to a limit.
    pub(crate) fn head(&mut self, limit: usize) -> Vec<u8> {
        let mut whole = Vec::new();
        while whole.len() < limit {
            let part = self.read(whole.len() as u64, limit - whole.len());
            if part.is_empty() {
                break;
            }
            whole.extend_from_slice(&part);
        }
        whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn holes_take_no_memory() {
        let mut data = Data::default();
        data.write(1 << 40, Bytes::from_static(b"end"));
        assert_eq!((data.len(), data.held()), ((1 << 40) + 3, 3));
        assert_eq!(data.read((1 << 40) - 2, 100), Bytes::from_static(&[0, 0]));
        assert_eq!(data.read(1 << 40, 2), "en");
        assert!(data.read(data.len(), 10).is_empty());
        data.resize(10);
        assert_eq!(data.head(100), [0; 10]);
    }

    proptest! {
        #[test]
        fn it_is_what_was_written(writes in proptest::collection::vec((0_u64..60_000, 0_usize..40_000, any::<u8>(), any::<bool>()), 1..20)) {
            let (mut data, mut plain) = (Data::default(), Vec::new());
            for (at, length, byte, cuts) in writes {
                if cuts {
                    data.resize(at);
                    plain.resize(at as usize, 0);
                    continue;
                }
                data.write(at, Bytes::from(vec![byte; length]));
                if length > 0 {
                    plain.resize(plain.len().max(at as usize + length), 0);
                    plain[at as usize..at as usize + length].fill(byte);
                }
                prop_assert_eq!(data.len(), plain.len() as u64);
            }
            prop_assert!(data.head(usize::MAX) == plain);
        }
    }
}
