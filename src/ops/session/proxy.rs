//! A port of the node on two streams, byte for byte: what ssh's `ProxyCommand` wants.

use std::io;
use std::os::fd::AsFd;

use bytes::Bytes;
use herder_session::client::{SessionEvent, SessionEvents, SessionHandle};
use herder_session::terminal::{Input, Output, Signals, TerminalSignal};
use tokio::time::{Duration, Instant, sleep_until};

use super::{Launcher, Live, Notices, ended};
use crate::exit::Exit;
use crate::failure::{Failure, Kind};

/// How long the answer is waited for after the end of what is sent, from the last byte on. The node can't be told of the end.
const GRACE: Duration = Duration::from_secs(10);

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
    /// A signal, or a reader that is gone: nobody wants more.
    Left,
    /// It failed.
    Failed(Failure),
}

/// Carries bytes until one side is done. `notify` is told what a person should know.
///
/// # Errors
/// The session failed, or the streams did.
pub(crate) async fn proxy(
    launcher: &Launcher,
    live: Live,
    pipe: Pipe,
    notify: impl FnMut(&str),
) -> Result<Exit, Failure> {
    let Live { id, handle, events, .. } = live;
    let Pipe { mut input, output, mut signals } = pipe;
    let carrying =
        Down { events, output, notify, notices: Notices::default() }.carry(send(&handle, &mut input));
    let over = tokio::select! {
        over = carrying => over,
        () = stop(&mut signals) => Over::Left,
    };
    handle.close();
    match over {
        Over::Done => return Ok(Exit::Success),
        Over::Left | Over::Failed(_) => launcher.terminate(&id).await,
    }
    match over {
        Over::Failed(failure) => Err(failure),
        Over::Done | Over::Left => Ok(Exit::Success),
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

/// Waits for a signal that ends the process: ssh sends one when it is done.
async fn stop(signals: &mut Signals) {
    while !matches!(signals.next().await, TerminalSignal::Stop(_)) {}
}

struct Down<N> {
    events: SessionEvents,
    output: Output,
    notify: N,
    notices: Notices,
}

impl<N: FnMut(&str)> Down<N> {
    /// Carries what the port says, beside `up`, which carries what it is told.
    async fn carry(mut self, up: impl Future<Output = Result<(), Failure>>) -> Over {
        let mut up = std::pin::pin!(up);
        // After the end of what is sent: until when an answer is waited for.
        let mut until: Option<Instant> = None;
        loop {
            let event = tokio::select! {
                sent = &mut up, if until.is_none() => match sent {
                    Ok(()) => {
                        until = Some(Instant::now() + GRACE);
                        continue;
                    }
                    Err(failure) => return Over::Failed(failure),
                },
                event = self.events.next() => event,
                () = self.output.closed() => return Over::Left,
                () = sleep_until(until.unwrap_or_else(Instant::now)), if until.is_some() => return Over::Left,
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
                    sent = &mut up, if until.is_none() => match sent {
                        Ok(()) => until = Some(Instant::now() + GRACE),
                        Err(failure) => return Over::Failed(failure),
                    },
                }
            };
            if let Some(over) = written {
                return over;
            }
            until = until.map(|_| Instant::now() + GRACE);
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
