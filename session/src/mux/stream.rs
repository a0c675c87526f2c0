//! A stream of a session, to be read and written like a socket.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::driver::{Shared, State};
use super::machine::Taken;
use super::{StreamError, StreamId};

/// A stream of a session. Dropped, it is closed: what was written is sent, then FIN.
#[derive(Debug)]
pub struct MuxStream {
    id: StreamId,
    shared: Arc<Shared>,
}

impl MuxStream {
    pub(super) fn new(id: StreamId, shared: Arc<Shared>) -> MuxStream {
        shared.with(|state| state.waiting.insert(id, Default::default()));
        MuxStream { id, shared }
    }

    /// The number of the stream within its session.
    pub fn id(&self) -> StreamId {
        self.id
    }

    /// Waits for the next bytes, and gives them as they came, without a copy; none at the end. Nothing is lost if the
    /// future is dropped.
    ///
    /// # Errors
    /// The stream broke off: what has been read may not be all.
    pub async fn recv(&self) -> Result<Option<Bytes>, StreamError> {
        poll_fn(|context| self.poll_take(context, usize::MAX)).await
    }

    /// Queues all of the bytes, without copying large ones; waits while there is no room. If the future is dropped,
    /// some may have been queued.
    ///
    /// # Errors
    /// The stream is closed, or the session over.
    pub async fn send(&self, mut bytes: Bytes) -> Result<(), StreamError> {
        poll_fn(|context| {
            self.shared.with(|state| {
                while !bytes.is_empty() {
                    if state.mux.write_bytes(self.id, &mut bytes)? == 0 {
                        return self.wait_to_write(state, context);
                    }
                }
                Poll::Ready(Ok(()))
            })
        })
        .await
    }

    /// Says that nothing more will be written; what comes can still be read. What the other side is told depends on
    /// [`MuxOptions::half`](super::MuxOptions::half).
    pub fn shut(&self) {
        self.shared.with(|state| state.mux.shut(self.id));
    }

    fn poll_take(&self, context: &mut Context<'_>, limit: usize) -> Poll<Result<Option<Bytes>, StreamError>> {
        self.shared.with(|state| match state.mux.take(self.id, limit) {
            Taken::Bytes(bytes) => Poll::Ready(Ok(Some(bytes))),
            Taken::End => Poll::Ready(Ok(None)),
            Taken::Failed(error) => Poll::Ready(Err(error)),
            Taken::Nothing => {
                state.waiting.entry(self.id).or_default().reader = Some(context.waker().clone());
                Poll::Pending
            }
        })
    }

    fn wait_to_write<T>(&self, state: &mut State, context: &mut Context<'_>) -> Poll<T> {
        state.waiting.entry(self.id).or_default().writer = Some(context.waker().clone());
        Poll::Pending
    }
}

impl Drop for MuxStream {
    fn drop(&mut self) {
        self.shared.with(|state| {
            state.waiting.remove(&self.id);
            state.mux.close(self.id);
        });
    }
}

impl AsyncRead for MuxStream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let taken = ready!(self.poll_take(context, buffer.remaining()))?;
        if let Some(bytes) = taken {
            buffer.put_slice(&bytes);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for MuxStream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.shared.with(|state| match state.mux.write(self.id, bytes) {
            Ok(0) if !bytes.is_empty() => self.wait_to_write(state, context),
            Ok(count) => Poll::Ready(Ok(count)),
            Err(error) => Poll::Ready(Err(error.into())),
        })
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.shut();
        Poll::Ready(Ok(()))
    }
}
