//! A port session as a stream of bytes: what multiplexer and listeners want.

use bytes::Bytes;

use super::{SessionEnd, SessionEvent, SessionEvents, SessionHandle, SessionOver};
use crate::link::{Incoming, LinkEnded, LinkSink, LinkSource};
use crate::payload::SessionFlag;

/// The half of a session that bytes come from. All else that happens goes to a function: connections lost and made, the
/// beginning, the end.
pub struct EventLink<F> {
    events: SessionEvents,
    tell: F,
}

impl SessionEvents {
    /// Makes a link of the events; `tell` is given those that are neither bytes nor flags.
    pub fn into_link<F: FnMut(SessionEvent) + Send + 'static>(self, tell: F) -> EventLink<F> {
        EventLink { events: self, tell }
    }
}

impl<F: FnMut(SessionEvent) + Send + 'static> LinkSource for EventLink<F> {
    async fn next(&mut self) -> Result<Incoming, LinkEnded> {
        loop {
            match self.events.next().await {
                Some(SessionEvent::Output(bytes)) => return Ok(Incoming::Bytes(bytes)),
                Some(SessionEvent::Flag(flag)) => return Ok(Incoming::Flag(flag)),
                Some(SessionEvent::Closed(end)) => {
                    let ended = LinkEnded::new(end.to_string());
                    (self.tell)(SessionEvent::Closed(end));
                    return Err(ended);
                }
                Some(other) => (self.tell)(other),
                None => return Err(SessionOver.into()),
            }
        }
    }
}

impl From<SessionOver> for LinkEnded {
    fn from(over: SessionOver) -> LinkEnded {
        LinkEnded::new(over.to_string())
    }
}

impl LinkSink for SessionHandle {
    async fn send(&mut self, bytes: Bytes) -> Result<(), LinkEnded> {
        Ok(self.send_input(bytes).await?)
    }

    async fn flag(&mut self, flag: SessionFlag) -> Result<(), LinkEnded> {
        SessionHandle::flag(self, flag).await?;
        Ok(self.drained().await?)
    }
}

impl std::fmt::Display for SessionEnd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            SessionEnd::Ended { output, is_cut } => {
                let why = output.trim();
                f.write_str(if why.is_empty() { "the session has ended" } else { why })?;
                f.write_str(if *is_cut { "; its last bytes are missing" } else { "" })
            }
            SessionEnd::TimedOut => f.write_str("the session has timed out"),
            SessionEnd::Gone => f.write_str("there is no such session any more"),
            SessionEnd::Left => f.write_str("the connection was closed from here"),
            SessionEnd::Failed(error) => f.write_str(&super::control::chain(&**error)),
        }
    }
}
