//! Signals that concern a terminal.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::raw::{restore, resume, suspend};
use super::size;
use crate::payload::TerminalSize;

/// A signal that asks the process to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopSignal {
    /// SIGINT: sent by another process, because a key is a byte in raw mode.
    Interrupt,
    /// SIGQUIT: likewise.
    Quit,
    /// SIGTERM.
    Terminate,
    /// SIGHUP: the terminal is gone.
    Hangup,
}

/// What a signal means for a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TerminalSignal {
    /// The terminal has another size.
    Resized(TerminalSize),
    /// The process is to end. The terminal has been restored already.
    Stop(StopSignal),
}

/// The signals of a terminal. From its making on, and for the rest of the process, they do nothing else.
#[derive(Debug)]
pub struct Signals {
    terminal: Option<OwnedFd>,
    last: Option<TerminalSize>,
    resized: Signal,
    stopped: Signal,
    continued: Signal,
    interrupt: Signal,
    quit: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    /// Listens; sizes are those of `terminal`, and there are none without one.
    ///
    /// # Errors
    /// The system gave no handler. Has to be called within a tokio runtime.
    pub fn listen(terminal: Option<impl AsFd>) -> io::Result<Signals> {
        let terminal = terminal.map(|terminal| terminal.as_fd().try_clone_to_owned()).transpose()?;
        Ok(Signals {
            last: terminal.as_ref().and_then(size),
            terminal,
            resized: signal(SignalKind::window_change())?,
            stopped: signal(SignalKind::from_raw(rustix::process::Signal::TSTP.as_raw()))?,
            continued: signal(SignalKind::from_raw(rustix::process::Signal::CONT.as_raw()))?,
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// The size that was seen last, if the terminal has one.
    pub fn size(&self) -> Option<TerminalSize> {
        self.last
    }

    /// Waits for the next signal that the session has to know of. Nothing is lost if the future is dropped. A request
    /// to suspend (SIGTSTP from another process) is carried out within.
    pub async fn next(&mut self) -> TerminalSignal {
        loop {
            let stop = tokio::select! {
                // What ends the process comes first: it may have been stopped, and goes on only to end.
                biased;
                Some(()) = self.interrupt.recv() => StopSignal::Interrupt,
                Some(()) = self.quit.recv() => StopSignal::Quit,
                Some(()) = self.terminate.recv() => StopSignal::Terminate,
                Some(()) = self.hangup.recv() => StopSignal::Hangup,
                Some(()) = self.resized.recv() => match self.changed() {
                    Some(size) => return TerminalSignal::Resized(size),
                    None => continue,
                },
                Some(()) = self.stopped.recv() => {
                    // Where nobody could continue it, the session simply goes on, as after a SIGTSTP that the system ignores.
                    let _ = suspend();
                    continue;
                }
                // Stopped by a signal that can't be caught: the shell has used the terminal since.
                Some(()) = self.continued.recv() => {
                    resume();
                    match self.changed() {
                        Some(size) => return TerminalSignal::Resized(size),
                        None => continue,
                    }
                }
            };
            restore();
            return TerminalSignal::Stop(stop);
        }
    }

    /// The size, if it is known and another than before.
    fn changed(&mut self) -> Option<TerminalSize> {
        let now = self.terminal.as_ref().and_then(size)?;
        (self.last.replace(now) != Some(now)).then_some(now)
    }
}
