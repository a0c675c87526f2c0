//! The body of an answer: there as a whole, or made piece by piece while it is sent.

use crate::content::Content;
use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll};

/// Bytes of a piece.
const PIECE: u64 = 128 << 10;

/// The body of an answer.
#[derive(Debug)]
pub(crate) enum Payload {
    Whole(Bytes),
    /// The part of a content from `at` to `end`; before `cut` the connection is closed.
    Made {
        content: Content,
        at: u64,
        end: u64,
        cut: u64,
        /// What comes before the cut was given time to be sent.
        is_sent: bool,
    },
}

/// The rest of an answer is withheld.
#[derive(Debug, thiserror::Error)]
#[error("answer cut on purpose")]
pub(crate) struct Cut;

impl Payload {
    pub(crate) fn whole(body: Vec<u8>) -> Payload {
        Payload::Whole(Bytes::from(body))
    }

    fn left(&self) -> u64 {
        match self {
            Payload::Whole(bytes) => bytes.len() as u64,
            Payload::Made { at, end, .. } => end.saturating_sub(*at),
        }
    }

    fn piece(&mut self) -> Option<Result<Bytes, Cut>> {
        match self {
            _ if self.left() == 0 => None,
            Payload::Whole(bytes) => Some(Ok(std::mem::take(bytes))),
            Payload::Made { at, cut, .. } if *at >= *cut => Some(Err(Cut)),
            Payload::Made { content, at, end, cut, .. } => {
                let piece = content.part(*at, ((*end).min(*cut) - *at).min(PIECE) as usize);
                // A content that is shorter than it says ends here.
                *at = if piece.is_empty() { *end } else { *at + piece.len() as u64 };
                (!piece.is_empty()).then(|| Ok(Bytes::from(piece)))
            }
        }
    }
}

impl Body for Payload {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        if let Payload::Made { at, end, cut, is_sent: is_sent @ false, .. } = &mut *self
            && *at >= *cut
            && *at < *end
        {
            *is_sent = true;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(self.piece().map(|piece| piece.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.left() == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left())
    }
}
