//! A command's session as a copy reads it.

use super::{ExecOutput, ExecSource};
use crate::client::{SessionEnd, SessionEvent, SessionEvents, SessionOver};
use crate::link::LinkEnded;

/// What a command without a terminal prints. All else that happens goes to a function: connections lost and made, the
/// beginning, the end.
pub struct EventExec<F> {
    events: SessionEvents,
    tell: F,
}

impl SessionEvents {
    /// Reads the events as a command's; `tell` is given those that are neither output nor an exit code.
    pub fn into_exec<F: FnMut(SessionEvent) + Send>(self, tell: F) -> EventExec<F> {
        EventExec { events: self, tell }
    }
}

impl<F: FnMut(SessionEvent) + Send> ExecSource for EventExec<F> {
    async fn next(&mut self) -> Result<Option<ExecOutput>, LinkEnded> {
        loop {
            match self.events.next().await {
                Some(SessionEvent::Output(bytes)) => return Ok(Some(ExecOutput::Stdout(bytes))),
                Some(SessionEvent::StdErr(bytes)) => return Ok(Some(ExecOutput::Stderr(bytes))),
                Some(SessionEvent::ExitCode(code)) => return Ok(Some(ExecOutput::Exit(code))),
                Some(SessionEvent::Closed(end)) => {
                    let is_orderly = matches!(
                        &end,
                        SessionEnd::Ended { output, is_cut: false } if output.trim().is_empty()
                    );
                    let is_cut = matches!(&end, SessionEnd::Ended { is_cut: true, .. });
                    let ended = if is_cut { LinkEnded::cut } else { LinkEnded::new }(end.to_string());
                    (self.tell)(SessionEvent::Closed(end));
                    return if is_orderly { Ok(None) } else { Err(ended) };
                }
                Some(other) => (self.tell)(other),
                None => return Err(SessionOver.into()),
            }
        }
    }
}
