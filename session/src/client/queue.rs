//! The way from the driver to the consumer: bounded in bytes, without a limit for what is rare and small.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use super::SessionEvent;

/// What an event costs beside its bytes; so a flood of empty ones is bounded too.
const EVENT_BYTES: usize = 64;

#[derive(Debug, Default)]
struct State {
    events: VecDeque<SessionEvent>,
    bytes: usize,
    /// Nothing comes any more.
    is_closed: bool,
    /// Nobody looks any more.
    is_abandoned: bool,
    consumer: Option<Waker>,
    producer: Option<Waker>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    limit: usize,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that holds the lock can panic halfway.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn cost(event: &SessionEvent) -> usize {
    EVENT_BYTES
        + match event {
            SessionEvent::Output(bytes) | SessionEvent::StdErr(bytes) => bytes.len(),
            _ => 0,
        }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// Makes a queue of about `limit` bytes.
pub(super) fn queue(limit: usize) -> (Producer, SessionEvents) {
    let shared = Arc::new(Shared { state: Mutex::default(), limit });
    (Producer(shared.clone()), SessionEvents(shared))
}

/// The driver's end.
#[derive(Debug)]
pub(super) struct Producer(Arc<Shared>);

impl Producer {
    /// Adds events; a full queue takes them all the same.
    pub(super) fn extend(&self, events: impl IntoIterator<Item = SessionEvent>) {
        let consumer = {
            let mut state = self.0.lock();
            for event in events {
                state.bytes += cost(&event);
                state.events.push_back(event);
            }
            state.consumer.take()
        };
        wake(consumer);
    }

    /// Bytes that fit.
    pub(super) fn room(&self) -> usize {
        self.0.limit.saturating_sub(self.0.lock().bytes)
    }

    /// Waits until half of the queue is free, or the consumer is gone: the second is true.
    pub(super) fn poll_room(&self, cx: &mut Context<'_>) -> Poll<bool> {
        let mut state = self.0.lock();
        if state.is_abandoned || state.bytes * 2 <= self.0.limit {
            return Poll::Ready(state.is_abandoned);
        }
        state.producer = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Waits until the consumer is gone.
    pub(super) fn poll_abandoned(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.0.lock();
        if state.is_abandoned {
            return Poll::Ready(());
        }
        state.producer = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        let consumer = {
            let mut state = self.0.lock();
            state.is_closed = true;
            state.consumer.take()
        };
        wake(consumer);
    }
}

/// What happens in a session, in order. As long as nobody looks, the socket is read only until a bounded buffer is full.
/// Dropping it closes the connection.
#[derive(Debug)]
pub struct SessionEvents(Arc<Shared>);

impl SessionEvents {
    /// Waits for the next event. `None` after [`SessionEvent::Closed`]. Nothing is lost if the future is dropped.
    pub async fn next(&mut self) -> Option<SessionEvent> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// The next event if it is here; [`Poll::Ready`] with `None` after the last.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<SessionEvent>> {
        let (event, producer) = {
            let mut state = self.0.lock();
            match state.events.pop_front() {
                Some(event) => {
                    state.bytes = state.bytes.saturating_sub(cost(&event));
                    let is_wanted = state.bytes * 2 <= self.0.limit;
                    (Poll::Ready(Some(event)), if is_wanted { state.producer.take() } else { None })
                }
                None if state.is_closed => (Poll::Ready(None), None),
                None => {
                    state.consumer = Some(cx.waker().clone());
                    (Poll::Pending, None)
                }
            }
        };
        wake(producer);
        event
    }

    /// Bytes that wait, about.
    #[must_use]
    pub fn waiting_bytes(&self) -> usize {
        self.0.lock().bytes
    }
}

impl Drop for SessionEvents {
    fn drop(&mut self) {
        let producer = {
            let mut state = self.0.lock();
            state.is_abandoned = true;
            state.events.clear();
            state.producer.take()
        };
        wake(producer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(length: usize) -> SessionEvent {
        SessionEvent::Output(vec![7; length].into())
    }

    #[tokio::test]
    async fn events_pass_in_order_and_end() {
        let (producer, mut events) = queue(1000);
        producer.extend([output(1), SessionEvent::ExitCode(3)]);
        drop(producer);
        assert_eq!(events.next().await, Some(output(1)));
        assert_eq!(events.next().await, Some(SessionEvent::ExitCode(3)));
        assert_eq!(events.next().await, None);
        assert_eq!(events.next().await, None);
    }

    #[tokio::test]
    async fn a_full_queue_has_room_again_when_half_is_read() {
        let (producer, mut events) = queue(1000);
        producer.extend([output(400), output(400), output(400)]);
        assert_eq!(producer.room(), 0);
        let waits = async || poll_fn(|cx| Poll::Ready(producer.poll_room(cx).is_pending())).await;
        assert!(waits().await);
        events.next().await;
        assert!(waits().await);
        let room = poll_fn(|cx| producer.poll_room(cx));
        let (is_abandoned, _) = tokio::join!(room, events.next());
        assert!(!is_abandoned);
        assert_eq!(events.waiting_bytes(), 464);
    }

    #[tokio::test]
    async fn a_consumer_that_leaves_is_noticed() {
        let (producer, events) = queue(10);
        producer.extend([output(400)]);
        let gone = async { tokio::join!(poll_fn(|cx| producer.poll_room(cx)), async { drop(events) }) };
        assert!(gone.await.0);
        poll_fn(|cx| producer.poll_abandoned(cx)).await;
    }
}
