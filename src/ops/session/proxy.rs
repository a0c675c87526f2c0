//! A port of the node on two streams, byte for byte: what ssh's `ProxyCommand` wants.

use std::io;
use std::os::fd::AsFd;

use bytes::Bytes;
use herder_core::time::written;
use herder_session::client::{SessionEvent, SessionEvents, SessionHandle};
use herder_session::terminal::{Input, Output, Signals, StopSignal, TerminalSignal};
use tokio::time::{Duration, Instant, sleep_until};

use super::{Launcher, Live, Notices, ended};
use crate::exit::Exit;
use crate::failure::{Changed, Failure, Kind};

/// How long nothing has to come, after the end of what is sent, until a person is told what is waited for.
const TOLD_AFTER: Duration = Duration::from_secs(10);

/// What is connected with the port.
#[derive(Debug)]
pub(crate) struct Pipe {
    input: Input,
    output: Output,
    signals: Signals,
}

impl Pipe {
    /// These, usually the process's own.
    ///
    /// # Errors
    /// They can't be opened.
    pub(crate) fn new(stdin: impl AsFd, stdout: impl AsFd) -> io::Result<Pipe> {
        Ok(Pipe {
            input: Input::new(stdin)?,
            output: Output::new(stdout)?,
            signals: Signals::listen(None::<std::os::fd::OwnedFd>)?,
        })
    }
}

/// Why it is over.
enum Over {
    /// One side is done.
    Done,
    /// The reader is gone: nobody wants more.
    Left,
    /// A signal.
    Stopped(StopSignal),
    /// It failed.
    Failed(Failure),
}

/// Carries bytes until one side is done. After the end of what is sent an answer is waited for as long as something comes within
/// `answer_within`: the node can't be told of that end. `notify` is told what a person should know.
///
/// # Errors
/// The session failed, or the streams did; or nothing came for that long, and the port had not closed.
pub(crate) async fn proxy(
    launcher: &Launcher,
    live: Live,
    pipe: Pipe,
    answer_within: Duration,
    notify: impl FnMut(&str),
) -> Result<Exit, Failure> {
    let Live { id, handle, events } = live;
    let Pipe { mut input, output, mut signals } = pipe;
    let wait = Wait::new(answer_within);
    let carrying =
        Down { events, output, wait, notify, notices: Notices::default() }.carry(send(&handle, &mut input));
    let over = tokio::select! {
        over = carrying => over,
        signal = stop(&mut signals) => Over::Stopped(signal),
    };
    handle.close();
    if !matches!(over, Over::Done) {
        launcher.terminate(&id).await;
    }
    match over {
        Over::Failed(failure) => Err(failure),
        // ssh sends this one when it is done.
        Over::Done | Over::Left | Over::Stopped(StopSignal::Hangup) => Ok(Exit::Success),
        Over::Stopped(_) => Ok(Exit::Interrupted),
    }
}

/// Sends what comes, to its end, and waits until it has arrived.
async fn send(handle: &SessionHandle, input: &mut Input) -> Result<(), Failure> {
    let unread =
        |error: io::Error| Failure::new(Kind::Local, "could not read standard input").caused_by(&error);
    // Where the session is over, its last event tells why.
    while let Some(bytes) = input.read().await.map_err(unread)? {
        if handle.send_input(bytes).await.is_err() {
            return std::future::pending().await;
        }
    }
    match handle.drained().await {
        Ok(()) => Ok(()),
        Err(_) => std::future::pending().await,
    }
}

/// Waits for a signal that ends the process.
async fn stop(signals: &mut Signals) -> StopSignal {
    loop {
        if let TerminalSignal::Stop(signal) = signals.next().await {
            return signal;
        }
    }
}

/// Waiting for an answer after the end of what is sent.
struct Wait {
    within: Duration,
    /// Since the last byte, once it has begun.
    since: Option<Instant>,
    has_told: bool,
}

impl Wait {
    fn new(within: Duration) -> Wait {
        Wait { within, since: None, has_told: false }
    }

    /// Waits until a person is to be told, which is once at most, or it has been long enough: then gives the failure.
    async fn over(&mut self) -> Result<String, Failure> {
        let Some(since) = self.since else { return std::future::pending().await };
        if !self.has_told && self.within > TOLD_AFTER {
            sleep_until(since + TOLD_AFTER).await;
            self.has_told = true;
            return Ok(format!(
                "everything is sent, which the node can't be told; waiting for the port to close, or for {} without an answer",
                written(self.within)
            ));
        }
        sleep_until(since + self.within).await;
        let message = format!(
            "nothing came for {} after the end of what was sent, and the port had not closed",
            written(self.within)
        );
        let failure = Failure::new(Kind::Unknown, message);
        Err(Failure { changed: Changed::Possibly, ..failure })
    }

    /// The end of what is sent has arrived.
    fn begin(&mut self) {
        self.since = Some(Instant::now());
    }

    /// Something came.
    fn again(&mut self) {
        self.since = self.since.map(|_| Instant::now());
    }
}

struct Down<N> {
    events: SessionEvents,
    output: Output,
    wait: Wait,
    notify: N,
    notices: Notices,
}

impl<N: FnMut(&str)> Down<N> {
    /// Carries what the port says, beside `up`, which carries what it is told.
    async fn carry(mut self, up: impl Future<Output = Result<(), Failure>>) -> Over {
        let mut up = std::pin::pin!(up);
        loop {
            let is_sending = self.wait.since.is_none();
            let event = tokio::select! {
                sent = &mut up, if is_sending => match sent {
                    Ok(()) => {
                        self.wait.begin();
                        continue;
                    }
                    Err(failure) => return Over::Failed(failure),
                },
                event = self.events.next() => event,
                () = self.output.closed() => return Over::Left,
                told = self.wait.over() => match told {
                    Ok(notice) => {
                        (self.notify)(&notice);
                        continue;
                    }
                    Err(failure) => return Over::Failed(failure),
                },
            };
            let bytes = match event {
                Some(SessionEvent::Output(bytes)) => bytes,
                Some(SessionEvent::Closed(end)) => {
                    return match ended(&end) {
                        Ok(()) => Over::Done,
                        Err(failure) => Over::Failed(failure),
                    };
                }
                Some(other) => {
                    if let Some(notice) = self.notices.of(&other) {
                        (self.notify)(&notice);
                    }
                    continue;
                }
                None => return Over::Failed(Failure::new(Kind::Bug, "the session ended without a word")),
            };
            let writing = write(&mut self.output, &bytes);
            let mut writing = std::pin::pin!(writing);
            // What is sent goes on while the reader is slow.
            let written = loop {
                tokio::select! {
                    written = &mut writing => break written,
                    sent = &mut up, if self.wait.since.is_none() => match sent {
                        Ok(()) => self.wait.begin(),
                        Err(failure) => return Over::Failed(failure),
                    },
                }
            };
            if let Some(over) = written {
                return over;
            }
            self.wait.again();
        }
    }
}

async fn write(output: &mut Output, bytes: &Bytes) -> Option<Over> {
    match output.write_all(bytes).await {
        Ok(()) => None,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Some(Over::Left),
        Err(error) => Some(Over::Failed(
            Failure::new(Kind::Local, "could not write to standard output").caused_by(&error),
        )),
    }
}
