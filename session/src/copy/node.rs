//! What a copy needs of a node: sessions.

use std::future::Future;

use bytes::Bytes;

use crate::link::{LinkEnded, LinkSink, LinkSource};

/// What a command without a terminal gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExecOutput {
    /// Bytes of its standard output.
    Stdout(Bytes),
    /// Bytes of its standard error.
    Stderr(Bytes),
    /// Its exit code, after everything else.
    Exit(i32),
}

/// A command that runs without a terminal.
pub trait ExecSource: Send {
    /// Waits for what comes next; none when the session has ended as it should. Nothing is lost if the future is
    /// dropped. As long as it isn't called, the command is held back.
    fn next(&mut self) -> impl Future<Output = Result<Option<ExecOutput>, LinkEnded>> + Send;
}

/// Sessions on a node. When their halves are dropped they are to end: a copy that failed leaves a script that waits.
///
/// A session of [`client`](crate::client) is all that is needed: [`SessionEvents::into_link`] and its handle for a
/// terminal, [`SessionEvents::into_exec`] for a command.
///
/// [`SessionEvents::into_link`]: crate::client::SessionEvents::into_link
/// [`SessionEvents::into_exec`]: crate::client::SessionEvents::into_exec
pub trait Node: Send + Sync {
    /// What a terminal prints.
    type Source: LinkSource;
    /// What is typed into it: every byte of it, unchanged.
    type Sink: LinkSink;
    /// A command without a terminal.
    type Exec: ExecSource;
    /// Why no session can be had.
    type Error: Into<Box<dyn std::error::Error + Send + Sync>>;

    /// Runs a command line on a terminal (`AWS-StartInteractiveCommand`).
    fn terminal(
        &self,
        command: String,
    ) -> impl Future<Output = Result<(Self::Source, Self::Sink), Self::Error>> + Send;

    /// Runs a command line without a terminal and with separate streams (`AWS-StartNonInteractiveCommand`).
    fn exec(&self, command: String) -> impl Future<Output = Result<Self::Exec, Self::Error>> + Send;
}
