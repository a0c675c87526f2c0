//! One command on one node, without a terminal: its streams and its exit code are the process's own.

use std::io;
use std::os::fd::AsFd;

use bytes::Bytes;
use herder_core::fanout::Interrupt;
use herder_session::client::{SessionEnd, SessionEvent};
use herder_session::terminal::Output;
use herder_session::version::Version;
use tokio::sync::watch;
use tokio::time::{Duration, timeout};

use super::vigil::{Finding, Presence, Vigil};
use super::{Launcher, Live, Notices, failed};
use crate::failure::{Failure, Kind};

/// What the agent takes for SIGINT.
const CTRL_C: &[u8] = &[3];
/// How long the last acknowledgements may take: the agent waits for them.
const FAREWELL: Duration = Duration::from_secs(2);

/// Where a command's output goes.
#[derive(Debug)]
pub(crate) struct ExecStreams {
    out: Sink,
    err: Sink,
}

impl ExecStreams {
    /// These, usually the process's own.
    ///
    /// # Errors
    /// They can't be opened.
    pub(crate) fn new(stdout: impl AsFd, stderr: impl AsFd) -> io::Result<ExecStreams> {
        Ok(ExecStreams { out: Sink::new(stdout)?, err: Sink::new(stderr)? })
    }
}

/// A stream, until it can't be written: then what comes for it is thrown away.
#[derive(Debug)]
struct Sink {
    output: Output,
    error: Option<io::Error>,
}

impl Sink {
    fn new(file: impl AsFd) -> io::Result<Sink> {
        Ok(Sink { output: Output::new(file)?, error: None })
    }

    /// Whether its reader has gone.
    fn is_unread(&self) -> bool {
        self.error.as_ref().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    }

    async fn write(&mut self, bytes: &[u8]) {
        if self.error.is_none() {
            self.error = self.output.write_all(bytes).await.err();
        }
    }

    /// A reader that is gone has read enough; a disk that is full is a failure.
    fn finish(self) -> io::Result<()> {
        match self.error {
            Some(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
            _ => Ok(()),
        }
    }
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ran {
    /// With this exit code.
    Code(i32),
    /// The session ended as it should, and told no code: where streams come together, agents don't.
    WithoutCode {
        /// Whether the agent tells codes where streams are apart. Then one that is missing means that the session ended before the
        /// command did.
        tells_codes: bool,
    },
    /// The second Ctrl-C, or SIGTERM.
    Interrupted,
    /// Nobody reads its standard output any more, and so the session was ended.
    Unread,
}

/// Carries the command's output until it ends. The first interrupt goes to the command as SIGINT, the second ends the session, and so
/// does a reader of standard output that goes away: that of standard error may. `notify` is told what a person should know.
///
/// # Errors
/// The session ended before the command did, or output can't be written.
pub(crate) async fn run(
    launcher: &Launcher,
    live: Live,
    mut streams: ExecStreams,
    interrupts: watch::Receiver<Interrupt>,
    notify: impl FnMut(&str),
) -> Result<Ran, Failure> {
    let (id, target) = (live.id.clone(), live.target.clone());
    let vigil = Vigil::new(|| launcher.presence(&target));
    let notices = Notices::default();
    let mut carrier = Carrier {
        live,
        interrupts,
        notify,
        notices,
        vigil,
        has_interrupted: false,
        tells_codes: false,
        has_begun: false,
    };
    let step = carrier.carry(&mut streams).await;
    let Carrier { live: Live { handle, mut events, .. }, .. } = carrier;
    handle.close();
    // Until the last acknowledgement is out.
    let _ = timeout(FAREWELL, async { while events.next().await.is_some() {} }).await;
    if matches!(step, Err(_) | Ok(Ran::Interrupted | Ran::Unread)) {
        launcher.terminate(&id).await;
        return step;
    }
    let ran = step?;
    let unwritten = |name: &str, error: io::Error| {
        let message = format!("could not write all of {name}; the command has ended");
        Failure::new(Kind::Local, message).caused_by(&error)
    };
    streams.out.finish().map_err(|error| unwritten("standard output", error))?;
    streams.err.finish().map_err(|error| unwritten("standard error", error))?;
    Ok(ran)
}

struct Carrier<N, A> {
    live: Live,
    interrupts: watch::Receiver<Interrupt>,
    notify: N,
    notices: Notices,
    vigil: Vigil<A>,
    /// The command got an interrupt.
    has_interrupted: bool,
    /// The agent is new enough to tell exit codes.
    tells_codes: bool,
    /// The agent has begun.
    has_begun: bool,
}

impl<N, A, F> Carrier<N, A>
where
    N: FnMut(&str),
    A: FnMut() -> F,
    F: Future<Output = Presence>,
{
    async fn carry(&mut self, streams: &mut ExecStreams) -> Result<Ran, Failure> {
        loop {
            let event = tokio::select! {
                biased;
                Ok(()) = self.interrupts.changed() => {
                    if self.interrupted().await {
                        return Ok(Ran::Interrupted);
                    }
                    continue;
                }
                () = streams.out.output.closed() => return Ok(Ran::Unread),
                event = self.live.events.next() => event,
                finding = self.vigil.next() => {
                    self.found(finding)?;
                    continue;
                }
            };
            if event.as_ref().is_some_and(is_of_the_node) && self.vigil.heard() {
                self.found(Finding::Back)?;
            }
            let is_over = match event {
                Some(SessionEvent::Output(bytes)) => self.write(&mut streams.out, bytes).await,
                Some(SessionEvent::StdErr(bytes)) => self.write(&mut streams.err, bytes).await,
                Some(SessionEvent::ExitCode(code)) => return Ok(self.ended(code)),
                Some(SessionEvent::Closed(end)) => {
                    return match super::ended(&end) {
                        Ok(()) => Ok(Ran::WithoutCode { tells_codes: self.tells_codes }),
                        Err(_) => Err(broken_off(&end, self.has_begun)),
                    };
                }
                Some(other) => {
                    if let SessionEvent::Started(started) = &other {
                        self.has_begun = true;
                        self.tells_codes =
                            started.agent_version.as_ref().is_some_and(Version::tells_exit_codes);
                    }
                    if let Some(notice) = self.notices.of(&other) {
                        (self.notify)(&notice);
                    }
                    false
                }
                None => return Err(Failure::new(Kind::Bug, "the session ended without a word")),
            };
            if is_over {
                return Ok(Ran::Interrupted);
            }
            if streams.out.is_unread() {
                return Ok(Ran::Unread);
            }
        }
    }

    /// Writes, and goes on listening for interrupts where the reader is slow. True if the second one came.
    async fn write(&mut self, sink: &mut Sink, bytes: Bytes) -> bool {
        let mut writing = std::pin::pin!(sink.write(&bytes));
        loop {
            tokio::select! {
                () = &mut writing => {
                    // A reader that was slow is nobody's silence.
                    self.vigil.heard();
                    return false;
                }
                Ok(()) = self.interrupts.changed() => {
                    if self.interrupted().await {
                        return true;
                    }
                }
            }
        }
    }

    /// Says what was found of a node that is silent.
    fn found(&mut self, finding: Finding) -> Result<(), Failure> {
        match finding {
            Finding::Away => (self.notify)(
                "nothing is heard of the command, and the node's agent is not connected to Session Manager",
            ),
            Finding::Back => (self.notify)("the node's agent is connected again"),
            Finding::Lost(away) => {
                let message = format!(
                    "the node's agent has not been connected for {} min, and nothing is heard of the command",
                    away.as_secs() / 60
                );
                let hint = format!(
                    "The command may still run. Look at the node with `herder nodes check -t {}`.",
                    self.live.target
                );
                return Err(Failure::new(Kind::Unknown, message).hint(hint));
            }
        }
        Ok(())
    }

    /// Agents tell -1 of a command that a signal ended.
    fn ended(&self, code: i32) -> Ran {
        if self.has_interrupted && code < 0 { Ran::Interrupted } else { Ran::Code(code) }
    }

    /// Passes an interrupt on. True if it was not the first.
    async fn interrupted(&mut self) -> bool {
        if *self.interrupts.borrow_and_update() > Interrupt::Drain {
            return true;
        }
        self.has_interrupted = true;
        (self.notify)("the command gets an interrupt; once more ends the session");
        // A session that is over says so with its last event.
        let _ = self.live.handle.send_input(Bytes::from_static(CTRL_C)).await;
        false
    }
}

/// A session that ended before the exit code came. Where the agent itself says why, it has run nothing.
fn broken_off(end: &SessionEnd, has_begun: bool) -> Failure {
    let failure = failed(end);
    let is_refusal = matches!(end, SessionEnd::Ended { output, is_cut: false } if output.contains("-ERROR-"));
    match has_begun && !is_refusal {
        true => failure.hint(
            "The command may have run, to its end or not, or may still run: what was shown is what arrived of its output.",
        ),
        false => failure,
    }
}

/// Whether an event comes from the node, and not from the connection to the service.
fn is_of_the_node(event: &SessionEvent) -> bool {
    matches!(
        event,
        SessionEvent::Started(_)
            | SessionEvent::Output(_)
            | SessionEvent::StdErr(_)
            | SessionEvent::Flag(_)
            | SessionEvent::Resumed
            | SessionEvent::Answered
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_may_have_run_is_told_of() {
        let ended = |output: &str, is_cut| SessionEnd::Ended { output: output.to_owned(), is_cut };
        for (end, has_begun, is_told) in [
            (ended("", true), true, true),
            (ended("Your session timed out due to inactivity.", false), true, true),
            (SessionEnd::Gone, true, true),
            (SessionEnd::Gone, false, false),
            (ended("\n----------ERROR-------\nUnable to start command: No such user\n", false), true, false),
        ] {
            let hints = broken_off(&end, has_begun).hints;
            assert_eq!(hints.iter().any(|hint| hint.contains("may have run")), is_told, "{end:?}: {hints:?}");
        }
    }
}
