//! What a node printed: bytes that are there, or bytes that are made when somebody reads them.
//!
//! A gigabyte of output is a seed and a length; any part of it is made without the parts before it.

use crate::draw::Draw;

/// A text of a known length.
#[derive(Debug, Clone)]
pub(crate) enum Content {
    Bytes(Vec<u8>),
    /// So many bytes of [`Draw::printable_part`].
    Drawn(Draw, u64),
    /// So many bytes of [`Draw::noise_part`].
    Noise(Draw, u64),
}

impl Content {
    pub(crate) fn length(&self) -> u64 {
        match self {
            Content::Bytes(bytes) => bytes.len() as u64,
            Content::Drawn(_, length) | Content::Noise(_, length) => *length,
        }
    }

    /// Up to `count` bytes from a position on.
    pub(crate) fn part(&self, from: u64, count: usize) -> Vec<u8> {
        match self {
            Content::Bytes(bytes) => {
                let from = usize::try_from(from).unwrap_or(usize::MAX).min(bytes.len());
                bytes.iter().skip(from).take(count).copied().collect()
            }
            Content::Drawn(draw, length) => draw.printable_part(from, left(*length, from).min(count)),
            Content::Noise(draw, length) => draw.noise_part(from, left(*length, from).min(count)),
        }
    }

    /// The first bytes.
    pub(crate) fn head(self, count: usize) -> Vec<u8> {
        match self {
            Content::Bytes(mut bytes) => {
                bytes.truncate(count);
                bytes
            }
            drawn => drawn.part(0, count),
        }
    }
}

fn left(length: u64, from: u64) -> usize {
    usize::try_from(length.saturating_sub(from)).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn parts_are_parts_of_the_whole(length in 0_u64..1000, from in 0_u64..1100, count in 0_usize..300, kind in 0..3) {
            let draw = Draw::new(5);
            let text = draw.printable_part(0, length as usize);
            let (whole, content) = match kind {
                0 => (text, Content::Drawn(draw, length)),
                1 => (draw.noise_part(0, length as usize), Content::Noise(draw, length)),
                _ => (text.clone(), Content::Bytes(text)),
            };
            prop_assert_eq!(content.length(), length);
            let expected: Vec<u8> = whole.iter().skip(from as usize).take(count).copied().collect();
            prop_assert_eq!(content.part(from, count), expected);
        }
    }
}
