//! A shell, or a command, on a terminal.

use super::app::{Over, Step};
use super::reply::play;
use super::utf8::Letters;
use crate::node_shell::jobs::{Note, interact};
use crate::node_shell::machine::{Machine, Running};
use crate::node_shell::powershell;
use crate::node_shell::process::{Process, Streams};
use crate::node_shell::programs;
use crate::node_shell::stream::Stream;
use crate::node_shell::terminal::Terminal;
use crate::service::ssm::answers::Prepared;
use crate::sessions::record::Meter;
use bytes::Bytes;
use herder_session::payload::TerminalSize;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::{Context, Poll};

/// What runs on a terminal.
#[derive(Debug, Clone)]
pub(super) enum Program {
    /// A shell, and what the account's preferences type into it first.
    Shell { profile: String },
    /// A command line for `sh -c`.
    Command(String),
}

/// A terminal and what runs on it.
pub(super) struct TerminalApp {
    terminal: Arc<Terminal>,
    machine: Arc<Machine>,
    running: Option<Running>,
    typed: Option<Bytes>,
    letters: Letters,
    meter: Arc<Meter>,
}

/// Who runs a program, where, and with what around it.
#[derive(Debug, Clone)]
pub(super) struct Seat {
    pub(super) machine: Arc<Machine>,
    pub(super) user: String,
    pub(super) environment: BTreeMap<String, String>,
    pub(super) is_windows: bool,
    /// What the scenario says of its command.
    pub(super) prepared: Option<Prepared>,
}

impl Seat {
    /// A process with these streams.
    pub(super) fn process(
        &self,
        (name, arguments): (&str, &[String]),
        streams: Streams,
        terminal: Option<Arc<Terminal>>,
    ) -> Process {
        Process {
            machine: self.machine.clone(),
            name: name.to_owned(),
            arguments: arguments.to_vec(),
            environment: self.environment.clone(),
            streams,
            terminal,
            directory: "/usr/bin".to_owned(),
            user: self.user.clone(),
            depth: 0,
        }
    }
}

impl TerminalApp {
    pub(super) fn new(seat: &Seat, program: Program, meter: &Arc<Meter>) -> TerminalApp {
        let terminal = Terminal::new();
        let screen = Stream::Terminal(terminal.clone());
        let streams =
            Streams { input: screen.clone(), out: screen.clone(), err: screen, more: BTreeMap::new() };
        let noted = meter.clone();
        let note: Note = Arc::new(move |line| noted.ran(line));
        let mut typed = None;
        let running: Running = match (program, seat.prepared.clone()) {
            (Program::Command(command), Some(prepared)) => {
                meter.ran(&command);
                foreground(play(seat.machine.clone(), (streams.out, streams.err), prepared), terminal.clone())
            }
            (program, _) if seat.is_windows => {
                let command = if let Program::Command(command) = program { Some(command) } else { None };
                let process = seat.process(("powershell", &[]), streams, Some(terminal.clone()));
                Box::pin(powershell::interact(process, terminal.clone(), command, note))
            }
            (Program::Shell { profile }, _) => {
                typed =
                    Some(profile).filter(|text| !text.trim().is_empty()).map(|text| Bytes::from(text + "\n"));
                let process = seat.process(("sh", &[]), streams, Some(terminal.clone()));
                Box::pin(interact(process, terminal.clone(), Some(note)))
            }
            (Program::Command(command), None) => {
                meter.ran(&command);
                let arguments = ["-c".to_owned(), command];
                let process = seat.process(("sh", &arguments), streams, Some(terminal.clone()));
                match programs::start(process) {
                    Ok(running) => foreground(running, terminal.clone()),
                    Err(_) => Box::pin(async { 127 }),
                }
            }
        };
        TerminalApp {
            terminal,
            machine: seat.machine.clone(),
            running: Some(running),
            typed,
            letters: Letters::default(),
            meter: meter.clone(),
        }
    }

    pub(super) fn poll(&mut self, context: &mut Context<'_>) {
        if self.typed.is_some() {
            let _room_or_not = self.terminal.poll_type(&mut self.typed, context);
        }
        if let Some(running) = &mut self.running
            && let Poll::Ready(code) = running.as_mut().poll(context)
        {
            self.running = None;
            self.meter.notes().exit_code = Some(code);
        }
        self.machine.poll_background(context);
    }

    pub(super) fn can_take(&mut self, context: &mut Context<'_>) -> bool {
        if self.typed.is_some() {
            let _room_or_not = self.terminal.poll_type(&mut self.typed, context);
        }
        self.typed.is_none()
    }

    pub(super) fn take(&mut self, bytes: Bytes) {
        self.typed = Some(bytes);
    }

    pub(super) fn resize(&mut self, size: TerminalSize) {
        self.terminal.resize(size.cols, size.rows);
    }

    pub(super) fn poll_step(&mut self, most: usize, context: &mut Context<'_>) -> Poll<Step> {
        loop {
            if self.running.is_none() && self.terminal.is_drained() {
                return Poll::Ready(Step::Over(Over::Finished));
            }
            let Poll::Ready(bytes) = self.terminal.poll_output(most, context) else { return Poll::Pending };
            let shown = self.letters.pass(bytes);
            if !shown.is_empty() {
                return Poll::Ready(Step::Output(shown));
            }
        }
    }
}

impl Drop for TerminalApp {
    fn drop(&mut self) {
        self.terminal.hang_up();
    }
}

/// A command in the foreground of a terminal: keys that are signals end it.
fn foreground(mut running: Running, terminal: Arc<Terminal>) -> Running {
    use crate::node_shell::terminal::Signal;
    let depth = terminal.enter();
    Box::pin(std::future::poll_fn(move |context| {
        if let Poll::Ready(code) = running.as_mut().poll(context) {
            return Poll::Ready(code);
        }
        loop {
            match terminal.poll_signal(depth, context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Signal::Interrupt) => return Poll::Ready(130),
                Poll::Ready(Signal::Quit) => return Poll::Ready(131),
                Poll::Ready(Signal::Hangup) => return Poll::Ready(129),
                // Nobody is there to go on with it.
                Poll::Ready(Signal::Stop) => {}
            }
        }
    }))
}
