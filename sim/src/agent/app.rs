//! What a session is about, at the node: a terminal, a command, or ports.

use super::command::CommandApp;
use super::port::PortApp;
use super::terminal::TerminalApp;
use bytes::Bytes;
use herder_session::payload::{SessionFlag, TerminalSize};
use std::task::{Context, Poll};

/// What an app does next.
#[derive(Debug)]
pub(super) enum Step {
    Output(Bytes),
    StdErr(Bytes),
    Flag(SessionFlag),
    Over(Over),
}

/// How an app ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Over {
    /// As it should.
    Finished,
    /// With an exit code that the client is told.
    WithCode(i32),
    /// With a text that the service tells the client.
    Failed(String),
}

/// What a session is about.
pub(super) enum App {
    Terminal(Box<TerminalApp>),
    Command(Box<CommandApp>),
    Port(Box<PortApp>),
}

impl App {
    /// Lets everything go on that can.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) {
        match self {
            App::Terminal(app) => app.poll(context),
            App::Command(app) => app.poll(context),
            App::Port(app) => app.poll(context),
        }
    }

    /// True where input would be taken.
    pub(super) fn can_take(&mut self, context: &mut Context<'_>) -> bool {
        match self {
            App::Terminal(app) => app.can_take(context),
            App::Command(_) => true,
            App::Port(app) => app.can_take(context),
        }
    }

    /// Takes input.
    pub(super) fn take(&mut self, bytes: Bytes) {
        match self {
            App::Terminal(app) => app.take(bytes),
            App::Command(app) => app.take(&bytes),
            App::Port(app) => app.take(bytes),
        }
    }

    pub(super) fn resize(&mut self, size: TerminalSize) {
        if let App::Terminal(app) = self {
            app.resize(size);
        }
    }

    pub(super) fn flag(&mut self, flag: SessionFlag) {
        if let App::Port(app) = self {
            app.flag(flag);
        }
    }

    /// What comes next: of bytes, at most `most`.
    pub(super) fn poll_step(&mut self, most: usize, context: &mut Context<'_>) -> Poll<Step> {
        match self {
            App::Terminal(app) => app.poll_step(most, context),
            App::Command(app) => app.poll_step(most, context),
            App::Port(app) => app.poll_step(most, context),
        }
    }

    /// True where the agent reads this in small pieces and sleeps in between.
    pub(super) fn is_read_slowly(&self) -> bool {
        match self {
            App::Terminal(_) | App::Port(_) => true,
            App::Command(app) => !app.is_separate(),
        }
    }
}
