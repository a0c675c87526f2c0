//! Base64 that comes in pieces.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

/// What came is no base64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("what the node sent is not base64")]
pub struct NotBase64;

/// Decodes base64 that is cut anywhere, with line ends anywhere. Keeps at most three characters.
#[derive(Debug, Default)]
pub struct Unbase64 {
    begun: Vec<u8>,
    has_ended: bool,
}

impl Unbase64 {
    /// Decodes the next piece, as far as it goes.
    ///
    /// # Errors
    /// There is something else than base64 in it, or something after its end.
    pub fn feed(&mut self, piece: &[u8]) -> Result<Bytes, NotBase64> {
        let mut all = std::mem::take(&mut self.begun);
        all.extend(piece.iter().filter(|byte| !byte.is_ascii_whitespace()));
        if self.has_ended && !all.is_empty() {
            return Err(NotBase64);
        }
        self.begun = all.split_off(all.len() / 4 * 4);
        self.has_ended = all.ends_with(b"=");
        STANDARD.decode(all).map(Bytes::from).map_err(|_| NotBase64)
    }

    /// Whether nothing is missing at the end.
    ///
    /// # Errors
    /// It broke off in the middle of a group.
    pub fn finish(&mut self) -> Result<(), NotBase64> {
        self.has_ended = false;
        match std::mem::take(&mut self.begun).is_empty() {
            true => Ok(()),
            false => Err(NotBase64),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_cut_gives_the_same_bytes(
            bytes in proptest::collection::vec(any::<u8>(), 0..300),
            cuts in proptest::collection::vec(1_usize..90, 1..10),
            width in 1_usize..100,
        ) {
            let text = STANDARD.encode(&bytes);
            let lines: Vec<u8> = text.as_bytes().chunks(width).flat_map(|line| [line, b"\r\n"].concat()).collect();
            let (mut decoder, mut decoded, mut rest) = (Unbase64::default(), Vec::new(), &lines[..]);
            for cut in cuts.iter().cycle() {
                if rest.is_empty() { break; }
                let (piece, after) = rest.split_at((*cut).min(rest.len()));
                decoded.extend_from_slice(&decoder.feed(piece).unwrap());
                prop_assert!(decoder.begun.len() < 4);
                rest = after;
            }
            prop_assert_eq!(decoder.finish(), Ok(()));
            prop_assert_eq!(decoded, bytes);
        }
    }

    #[test]
    fn what_is_no_base64_is_an_error() {
        for text in ["sh: 1: not found", "YWJj!", "YQ==YQ==", "Y===", "YR=="] {
            let mut decoder = Unbase64::default();
            let result = decoder.feed(text.as_bytes()).map(drop).and_then(|()| decoder.finish());
            assert_eq!(result, Err(NotBase64), "{text}");
        }
        let mut decoder = Unbase64::default();
        decoder.feed(b"YWJ").unwrap();
        assert_eq!(decoder.finish(), Err(NotBase64), "it breaks off");
        let mut decoder = Unbase64::default();
        decoder.feed(b"YQ==").unwrap();
        assert_eq!(decoder.feed(b"YQ=="), Err(NotBase64), "something follows the end");
    }
}
