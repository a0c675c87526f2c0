//! A terminal on the node: what is typed goes there, what is shown comes back.

use std::cell::RefCell;
use std::io;
use std::os::fd::AsFd;
use std::path::PathBuf;

use bytes::Bytes;
use herder_session::client::{SessionEnd, SessionEvent, SessionEvents, SessionHandle};
use herder_session::handshake::Started;
use herder_session::payload::SessionType;
use herder_session::record::{RecordInput, Recorder, RecordingHeader};
use herder_session::terminal::{
    ESCAPE_HELP, EscapePiece, Escapes, Input, NOT_SUSPENDED, Output, RawMode, SIZE_OF_NO_TERMINAL,
    SIZE_OF_SILENT_TERMINAL, Signals, TerminalSignal, suspend,
};
use tokio::sync::mpsc;
use tokio::time::{Duration, Instant, sleep_until};

use super::{Live, Notices};
use crate::failure::{Changed, Failure, Kind};
use crate::io::Descriptors;

/// What ends the input of a terminal: Ctrl-D.
const CTRL_D: &[u8] = &[4];
/// A connection that is back so soon is not worth a word on somebody's screen.
const WORTH_SAYING: Duration = Duration::from_secs(1);

/// How a shell is shown.
#[derive(Clone, Debug)]
pub(crate) struct ShellOptions {
    /// Begins escapes at a line's start; none for no escapes.
    pub(crate) escape: Option<u8>,
    /// Where the session is recorded.
    pub(crate) record: Option<PathBuf>,
    /// Whether what is typed is recorded too.
    pub(crate) record_input: bool,
    /// What it is, for recordings.
    pub(crate) title: String,
    /// `TERM`.
    pub(crate) term: Option<String>,
    /// The time, in seconds since 1970.
    pub(crate) began_unix: u64,
}

/// How it ended.
#[derive(Debug)]
pub(crate) enum ShellEnd {
    /// The session is over.
    Over(SessionEnd),
    /// `~.` was typed.
    Escaped,
    /// A signal, or the terminal is gone.
    Stopped,
    /// The session is not for terminals: this one is.
    NotAShell(Box<Started>, Live),
}

/// A terminal, or what stands in for one, before it is connected.
pub(crate) struct Shell {
    options: ShellOptions,
    files: Descriptors,
    input: Input,
    output: Output,
    signals: Signals,
    is_terminal: bool,
}

impl Shell {
    /// A shell on these streams.
    ///
    /// # Errors
    /// They can't be opened.
    pub(crate) fn new(files: Descriptors, options: ShellOptions) -> io::Result<Shell> {
        let is_terminal = io::IsTerminal::is_terminal(&files.stdin);
        Ok(Shell {
            input: Input::new(&files.stdin)?,
            output: Output::new(&files.stdout)?,
            signals: Signals::listen(is_terminal.then(|| files.stdin.as_fd()))?,
            options,
            files,
            is_terminal,
        })
    }

    /// Whether somebody types at it.
    pub(crate) fn is_terminal(&self) -> bool {
        self.is_terminal
    }

    /// Carries the session until it is over. The terminal is as it was when this returns. `notify` is told what a person should know,
    /// with whether the terminal is raw.
    ///
    /// # Errors
    /// The terminal or the recording can't be used.
    pub(crate) async fn attend(
        self,
        live: Live,
        mut notify: impl FnMut(&str, bool),
    ) -> Result<ShellEnd, Failure> {
        let Shell { options, files, mut input, output, mut signals, is_terminal } = self;
        let Live { id, target, handle, mut events } = live;
        let size = match (signals.size(), is_terminal) {
            (Some(size), _) => size,
            (None, true) => SIZE_OF_SILENT_TERMINAL,
            (None, false) => SIZE_OF_NO_TERMINAL,
        };
        handle.resize(size);
        let first = tokio::select! {
            begun = begin(&mut events, &mut notify) => match begun {
                Ok(started) => {
                    let greeting = started.customer_message.trim();
                    if is_terminal && !greeting.is_empty() {
                        notify(greeting, false);
                    }
                    started
                }
                Err(end) => return Ok(ShellEnd::Over(end)),
            },
            () = stopped(&mut signals) => return Ok(ShellEnd::Stopped),
        };
        let is_shell =
            matches!(first.session_type, SessionType::StandardStream | SessionType::InteractiveCommands);
        if !is_shell {
            return Ok(ShellEnd::NotAShell(first, Live { id, target, handle, events }));
        }
        let recorder = match &options.record {
            Some(path) => {
                let header = RecordingHeader {
                    size,
                    began_unix: options.began_unix,
                    title: Some(options.title.clone()),
                    term: options.term.clone(),
                };
                let typed = if options.record_input { RecordInput::Yes } else { RecordInput::No };
                Some(Recorder::create(path, &header, typed).map_err(|error| {
                    Failure::usage(format!("could not record to `{}`", path.display())).caused_by(&error)
                })?)
            }
            None => None,
        };
        let raw = match is_terminal {
            true => Some(RawMode::enter(&files.stdin).map_err(|error| {
                Failure::new(Kind::Local, "the terminal can't be used").caused_by(&error)
            })?),
            false => None,
        };
        let recording = Recording { recorder: RefCell::new(recorder), began: Instant::now() };
        let escapes = Escapes::new(options.escape.filter(|_| is_terminal));
        let (to_screen, screen) = mpsc::unbounded_channel();
        let keys = Keys { handle: &handle, recording: &recording, to_screen, is_terminal };
        let view = View { events, output, screen, recording: &recording, notify, is_raw: raw.is_some() };
        let end = tokio::select! {
            end = view.show(&handle, &mut signals) => end?,
            end = keys.read(&mut input, escapes) => end,
        };
        drop(raw);
        handle.close();
        recording.finish().await?;
        Ok(end)
    }
}

/// Waits for the session's beginning.
async fn begin(
    events: &mut SessionEvents,
    notify: &mut impl FnMut(&str, bool),
) -> Result<Box<Started>, SessionEnd> {
    let mut notices = Notices::default();
    loop {
        match events.next().await {
            Some(SessionEvent::Started(started)) => return Ok(started),
            Some(SessionEvent::Closed(end)) => return Err(end),
            Some(other) => {
                if let Some(text) = notices.of(&other) {
                    notify(&text, false);
                }
            }
            None => return Err(SessionEnd::Left),
        }
    }
}

async fn stopped(signals: &mut Signals) {
    while !matches!(signals.next().await, TerminalSignal::Stop(_)) {}
}

/// Something here failed when the node had a shell already.
fn after_the_shell(message: impl Into<String>) -> Failure {
    Failure { changed: Changed::Possibly, ..Failure::new(Kind::Local, message) }
}

/// The recording, if there is one.
struct Recording {
    recorder: RefCell<Option<Recorder>>,
    began: Instant,
}

impl Recording {
    fn with(&self, record: impl FnOnce(&mut Recorder, Duration)) {
        if let Some(recorder) = &mut *self.recorder.borrow_mut() {
            record(recorder, self.began.elapsed());
        }
    }

    async fn finish(self) -> Result<(), Failure> {
        let Some(recorder) = self.recorder.into_inner() else { return Ok(()) };
        match recorder.finish().await {
            Ok(recorded) if recorded.left_out == 0 => Ok(()),
            Ok(recorded) => {
                let message = format!("{} bytes are missing in the recording", recorded.left_out);
                Err(after_the_shell(message).hint("Record to a faster disk."))
            }
            Err(error) => Err(after_the_shell("the recording ends early").caused_by(&error)),
        }
    }
}

/// What is typed.
struct Keys<'a> {
    handle: &'a SessionHandle,
    recording: &'a Recording,
    to_screen: mpsc::UnboundedSender<&'static str>,
    is_terminal: bool,
}

impl Keys<'_> {
    async fn read(self, input: &mut Input, mut escapes: Escapes) -> ShellEnd {
        loop {
            let bytes = match input.read().await {
                Ok(Some(bytes)) => bytes,
                // The terminal is gone.
                Ok(None) | Err(_) if self.is_terminal => return ShellEnd::Stopped,
                Ok(None) | Err(_) => break,
            };
            for piece in escapes.feed(&bytes) {
                match piece {
                    EscapePiece::Send(bytes) => self.send(bytes).await,
                    EscapePiece::Disconnect => return ShellEnd::Escaped,
                    EscapePiece::Help => {
                        let _ = self.to_screen.send(ESCAPE_HELP);
                    }
                    // Where the system won't, the session goes on.
                    EscapePiece::Suspend => {
                        if suspend().is_err() {
                            let _ = self.to_screen.send(NOT_SUSPENDED);
                        }
                    }
                }
            }
        }
        if let Some(EscapePiece::Send(bytes)) = escapes.finish() {
            self.send(bytes).await;
        }
        // A pipe that has ended ends the shell; a terminal's end of input is the only word for it.
        self.send(Bytes::from_static(CTRL_D)).await;
        std::future::pending().await
    }

    async fn send(&self, bytes: Bytes) {
        self.recording.with(|recorder, after| recorder.input(after, &bytes));
        if self.handle.send_input(bytes).await.is_err() {
            // Why, the last event tells.
            std::future::pending::<()>().await;
        }
    }
}

/// What is shown.
struct View<'a, N> {
    events: SessionEvents,
    output: Output,
    screen: mpsc::UnboundedReceiver<&'static str>,
    recording: &'a Recording,
    notify: N,
    is_raw: bool,
}

impl<N: FnMut(&str, bool)> View<'_, N> {
    async fn show(mut self, handle: &SessionHandle, signals: &mut Signals) -> Result<ShellEnd, Failure> {
        let mut notices = Notices::default();
        // A lost connection, from when on, and what there is to say if it stays away.
        let mut lost: Option<(Instant, String)> = None;
        let mut has_said = false;
        loop {
            let due = lost.as_ref().filter(|_| !has_said).map(|(since, _)| *since + WORTH_SAYING);
            let event = tokio::select! {
                event = self.events.next() => event,
                Some(text) = self.screen.recv() => {
                    self.write(text.as_bytes(), handle, signals).await?;
                    continue;
                }
                signal = signals.next() => match self.signalled(signal, handle) {
                    Some(end) => return Ok(end),
                    None => continue,
                },
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    if let Some((_, text)) = &lost {
                        (self.notify)(text, self.is_raw);
                    }
                    has_said = true;
                    continue;
                }
            };
            match event {
                Some(SessionEvent::Output(bytes) | SessionEvent::StdErr(bytes)) => {
                    self.recording.with(|recorder, after| recorder.output(after, &bytes));
                    if let Some(end) = self.write(&bytes, handle, signals).await? {
                        return Ok(end);
                    }
                }
                Some(SessionEvent::Closed(end)) => return Ok(ShellEnd::Over(end)),
                Some(event @ SessionEvent::Reconnecting { .. }) => {
                    let text = notices.of(&event);
                    match (&lost, text) {
                        (None, Some(text)) => lost = Some((Instant::now(), text)),
                        (Some(_), Some(text)) if has_said => (self.notify)(&text, self.is_raw),
                        _ => {}
                    }
                }
                Some(event @ SessionEvent::Reconnected) => {
                    lost = None;
                    let text = notices.of(&event);
                    if let (true, Some(text)) = (std::mem::take(&mut has_said), text) {
                        (self.notify)(&text, self.is_raw);
                    }
                }
                // A second beginning is not one for people, and nor is a pause that passes.
                Some(SessionEvent::Started(_) | SessionEvent::Paused | SessionEvent::Resumed) => {}
                Some(other) => {
                    if let Some(text) = notices.of(&other) {
                        (self.notify)(&text, self.is_raw);
                    }
                }
                None => return Ok(ShellEnd::Over(SessionEnd::Left)),
            }
        }
    }

    fn signalled(&mut self, signal: TerminalSignal, handle: &SessionHandle) -> Option<ShellEnd> {
        match signal {
            TerminalSignal::Resized(size) => {
                handle.resize(size);
                self.recording.with(|recorder, after| recorder.resized(after, size));
                None
            }
            TerminalSignal::Stop(_) => Some(ShellEnd::Stopped),
        }
    }

    /// Shows bytes, and hears signals where the terminal is slow.
    async fn write(
        &mut self,
        bytes: &[u8],
        handle: &SessionHandle,
        signals: &mut Signals,
    ) -> Result<Option<ShellEnd>, Failure> {
        let (recording, is_raw) = (self.recording, self.is_raw);
        let mut writing = std::pin::pin!(self.output.write_all(bytes));
        loop {
            tokio::select! {
                written = &mut writing => return match written {
                    Ok(()) => Ok(None),
                    Err(error) if is_gone(&error, is_raw) => Ok(Some(ShellEnd::Stopped)),
                    Err(error) => {
                        let message = "could not write all of standard output; the session is ended";
                        Err(after_the_shell(message).caused_by(&error))
                    }
                },
                signal = signals.next() => match signal {
                    TerminalSignal::Resized(size) => {
                        handle.resize(size);
                        recording.with(|recorder, after| recorder.resized(after, size));
                    }
                    TerminalSignal::Stop(_) => return Ok(Some(ShellEnd::Stopped)),
                },
            }
        }
    }
}

/// Whether nobody looks any more: a reader that has gone, or a terminal.
fn is_gone(error: &io::Error, is_terminal: bool) -> bool {
    /// `EIO`, on every Unix.
    const HUNG_UP: i32 = 5;
    error.kind() == io::ErrorKind::BrokenPipe || (is_terminal && error.raw_os_error() == Some(HUNG_UP))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_no_reader_that_went() {
        let of = io::Error::from_raw_os_error;
        for (error, is_terminal, expected) in
            [(32, false, true), (5, true, true), (5, false, false), (28, false, false)]
        {
            assert_eq!(is_gone(&of(error), is_terminal), expected, "{error}");
        }
        assert_eq!(after_the_shell("x").exit(), crate::exit::Exit::Failed);
    }
}
