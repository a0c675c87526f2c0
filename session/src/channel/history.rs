//! What was under a number before: a number belongs to one message, for good.
//!
//! Nothing in the protocol protects a message's header: the digest is the payload's. A number that was changed on its way puts bytes
//! where others belong. The message that the number belongs to comes too, sooner or later, and that is when it shows.

use std::collections::VecDeque;

use crate::frame::PayloadType;

/// Messages that are remembered after they were taken: more than are ever on their way at once.
const REMEMBERED: usize = 4096;

/// A number came with two different messages. What was taken under it may be another message's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("two different messages came under the number {0}: bytes may be in the wrong place, or missing")]
pub struct NumberReused(pub i64);

/// Tells messages apart: what is sent again is the same in all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fingerprint {
    payload_type: PayloadType,
    length: usize,
    digest: [u8; 8],
}

impl Fingerprint {
    /// Of a payload with its digest, which was compared.
    pub(super) fn new(payload_type: PayloadType, length: usize, digest: &[u8; 32]) -> Fingerprint {
        // Nobody compares the digest of nothing.
        let digest = if length == 0 { [0; 8] } else { digest.first_chunk().copied().unwrap_or_default() };
        Fingerprint { payload_type, length, digest }
    }
}

/// The messages that were taken last.
#[derive(Debug, Default)]
pub(super) struct History(VecDeque<Fingerprint>);

impl History {
    /// Another one was taken.
    pub(super) fn push(&mut self, taken: Fingerprint) {
        if self.0.len() == REMEMBERED {
            self.0.pop_front();
        }
        self.0.push_back(taken);
    }

    /// False if the message that was taken so many (1: the last one) before the next was another one.
    pub(super) fn is_same(&self, before: i64, print: Fingerprint) -> bool {
        let at = usize::try_from(before).ok().and_then(|before| self.0.len().checked_sub(before));
        at.and_then(|at| self.0.get(at)).is_none_or(|taken| *taken == print)
    }
}
