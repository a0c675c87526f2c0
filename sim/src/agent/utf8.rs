//! What the official agent does to the output of programs: it cuts at letters of UTF-8, holds back what may be the beginning
//! of one, loses that at the end, and takes two bytes from every U+FFFD. Kept, so that nobody relies on its not being so.

use bytes::{Bytes, BytesMut};

/// The replacement character, as UTF-8.
const REPLACEMENT: [u8; 3] = [0xEF, 0xBF, 0xBD];
/// Most bytes of a letter.
const LETTER: usize = 4;

/// What is held back between two pieces.
#[derive(Debug, Default)]
pub(super) struct Letters {
    held: BytesMut,
}

impl Letters {
    /// What goes out for a piece that comes in.
    pub(super) fn pass(&mut self, piece: Bytes) -> Bytes {
        if self.held.is_empty()
            && std::str::from_utf8(&piece).is_ok()
            && !piece.windows(3).any(|window| window == REPLACEMENT)
        {
            return piece;
        }
        let mut all = std::mem::take(&mut self.held);
        all.extend_from_slice(&piece);
        let mut out = BytesMut::with_capacity(all.len());
        let mut at = 0;
        while at < all.len() {
            match letter(&all[at..]) {
                Some(length) if all[at..at + length] != REPLACEMENT => {
                    out.extend_from_slice(&all[at..at + length]);
                    at += length;
                }
                // No letter, or one that looks to the agent as if it were none.
                found => {
                    if all.len() - at < LETTER {
                        break;
                    }
                    out.extend_from_slice(&all[at..=at]);
                    at += found.unwrap_or(1);
                }
            }
        }
        self.held = all.split_off(at);
        out.freeze()
    }
}

/// Length of the letter that bytes begin with.
fn letter(bytes: &[u8]) -> Option<usize> {
    let first = *bytes.first()?;
    let length = match first {
        0..0x80 => 1,
        0xC0..0xE0 => 2,
        0xE0..0xF0 => 3,
        0xF0..0xF8 => 4,
        _ => return None,
    };
    let letter = bytes.get(..length)?;
    std::str::from_utf8(letter).is_ok().then_some(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn through(pieces: &[&[u8]]) -> Vec<u8> {
        let mut letters = Letters::default();
        pieces.iter().flat_map(|piece| letters.pass(Bytes::copy_from_slice(piece))).collect()
    }

    #[test]
    fn text_passes_wherever_it_is_cut() {
        let text = "grüße, 世界 🦀 and the end".as_bytes();
        for cut in 0..text.len() {
            assert_eq!(through(&[&text[..cut], &text[cut..]]), text, "{cut}");
        }
    }

    #[test]
    fn what_is_no_text_suffers_as_it_does_with_the_agent() {
        assert_eq!(through(&[&[0xFF, 0xFE, 1, 2, 3, 4, 5]]), [0xFF, 0xFE, 1, 2, 3, 4, 5]);
        // Up to three bytes at the end are lost.
        assert_eq!(through(&[b"abc\xE4\xB8"]), b"abc");
        assert_eq!(through(&[b"abc\xFF"]), b"abc");
        // A replacement character loses two of its bytes.
        assert_eq!(through(&["a\u{FFFD}bcd".as_bytes()]), b"a\xEFbcd");
    }
}
