//! [`Failure`]: the end of a command that did not get to its result. Kind, message, causes, hints, and whether
//! anything was changed; the exit code follows from the kind, once.

use std::error::Error;

use herder_aws::{CallError, CallErrorKind, ScopeError};
use herder_core::event::RunError;
use herder_core::journal::JournalError;
use herder_core::target::SelectorError;

use crate::exit::Exit;
use crate::ops::exec::ExecError;

/// What sort of failure it is. The words are part of the JSON contract (`error.kind`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The command line or the configuration can't be right.
    Usage,
    /// Nothing matched, or the named thing does not exist.
    NotFound,
    /// Credentials are missing or expired, or permission is missing.
    Denied,
    /// AWS answered with an error, or could not be reached.
    Service,
    /// The outcome is not known.
    Unknown,
    /// Refused before changing anything.
    Refused,
    /// It was interrupted before anything was sent.
    Interrupted,
    /// The local disk or terminal failed.
    Local,
    /// What was asked for is there, and could not be written to standard output or a terminal.
    Output,
    /// herder is wrong.
    Bug,
}

impl Kind {
    /// The word.
    #[must_use]
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Kind::Usage => "usage",
            Kind::NotFound => "not_found",
            Kind::Denied => "denied",
            Kind::Service => "service",
            Kind::Unknown => "unknown",
            Kind::Refused => "refused",
            Kind::Interrupted => "interrupted",
            Kind::Local | Kind::Output => "local",
            Kind::Bug => "bug",
        }
    }
}

/// Whether anything was changed before it failed. Every failure has to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Changed {
    /// Nothing was.
    Nothing,
    /// It may have been, or was.
    Possibly,
}

/// A failure, ready to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// What sort.
    pub kind: Kind,
    /// One lower-case fragment that names the call and the object.
    pub message: String,
    /// What caused it, outermost first.
    pub causes: Vec<String>,
    /// What to do, in full sentences.
    pub hints: Vec<String>,
    /// AWS's request id.
    pub request_id: Option<String>,
    /// Whether anything was changed.
    pub changed: Changed,
}

impl Failure {
    /// A failure of some kind that changed nothing.
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Failure {
        Failure {
            kind,
            message: message.into(),
            causes: Vec::new(),
            hints: Vec::new(),
            request_id: None,
            changed: Changed::Nothing,
        }
    }

    /// The same, as a run's last event tells it.
    pub(crate) fn of_run(&self) -> RunError {
        RunError {
            kind: self.kind.as_str().to_owned(),
            message: self.message.clone(),
            causes: self.causes.clone(),
            hints: self.hints.clone(),
            request_id: self.request_id.clone(),
            changed: self.changed == Changed::Possibly,
        }
    }

    /// A mistake on the command line or in the configuration.
    pub(crate) fn usage(message: impl Into<String>) -> Failure {
        Failure::new(Kind::Usage, message)
    }

    /// Adds what to do about it.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Failure {
        self.hints.push(hint.into());
        self
    }

    /// Adds an error and its chain as causes.
    #[must_use]
    pub(crate) fn caused_by(mut self, error: &(dyn Error + 'static)) -> Failure {
        let mut next = Some(error);
        while let Some(error) = next {
            let text = error.to_string();
            if self.causes.last() != Some(&text) {
                self.causes.push(text);
            }
            next = error.source();
        }
        self
    }

    /// The exit code.
    #[must_use]
    pub(crate) fn exit(&self) -> Exit {
        match self.kind {
            Kind::Usage => Exit::Usage,
            Kind::NotFound => Exit::NoMatch,
            Kind::Denied => Exit::Denied,
            Kind::Service | Kind::Output => Exit::Failed,
            Kind::Unknown => Exit::Unknown,
            Kind::Refused => Exit::Refused,
            Kind::Interrupted => Exit::Interrupted,
            // An unwritable state directory is a matter of configuration (CLI.md, Files); a disk that is full later is none.
            Kind::Local if self.changed == Changed::Possibly => Exit::Failed,
            Kind::Local => Exit::Usage,
            Kind::Bug => Exit::Bug,
        }
    }
}

impl From<JournalError> for Failure {
    fn from(error: JournalError) -> Failure {
        let failure = |kind| {
            let failure = Failure::new(kind, error.to_string());
            match Error::source(&error) {
                Some(source) => failure.caused_by(source),
                None => failure,
            }
        };
        match &error {
            JournalError::Io { .. } | JournalError::Broken(_) => failure(Kind::Local).hint(
                "Free space there or make it writable, or choose another state directory with --state-dir.",
            ),
            JournalError::Damaged { .. } => failure(Kind::Local)
                .hint("The run's other files are intact; look at them with `herder runs show`."),
            JournalError::Newer { .. } => {
                failure(Kind::Usage).hint("Use the herder that started the run, or a newer one.")
            }
            JournalError::NoSuchRun(_) => {
                failure(Kind::NotFound).hint("List the runs with `herder runs list`.")
            }
            JournalError::Locked { run, .. } => failure(Kind::Refused).hint(format!(
                "Watch it with `herder runs attach {run}`, or call it off with `herder runs cancel {run}`."
            )),
        }
    }
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Failure {
        let kind = match &error.kind {
            CallErrorKind::AccessDenied { .. }
            | CallErrorKind::CredentialsExpired
            | CallErrorKind::CredentialsMissing
            | CallErrorKind::CredentialsInvalid => Kind::Denied,
            CallErrorKind::NotFound => Kind::NotFound,
            CallErrorKind::InvalidRequest => Kind::Usage,
            CallErrorKind::Lost if error.mutated() => Kind::Unknown,
            CallErrorKind::Throttled
            | CallErrorKind::ClockSkew
            | CallErrorKind::Unreachable
            | CallErrorKind::Lost
            | CallErrorKind::Refused => Kind::Service,
        };
        let mut failure = Failure::new(kind, error.to_string());
        if let Some(source) = Error::source(&error) {
            failure = failure.caused_by(source);
        }
        failure.hints = error.hints();
        failure.request_id = error.request_id.clone();
        failure.changed = if error.mutated() { Changed::Possibly } else { Changed::Nothing };
        failure
    }
}

impl From<ExecError> for Failure {
    fn from(error: ExecError) -> Failure {
        match error {
            ExecError::Call(call) => Failure::from(*call),
            ExecError::Endless { .. } => Failure::new(Kind::Unknown, error.to_string()),
            ExecError::Output(_) => Failure::new(Kind::Local, error.to_string()),
        }
    }
}

impl From<ScopeError> for Failure {
    fn from(error: ScopeError) -> Failure {
        let inner = match &error {
            ScopeError::Call(call) => return Failure::from((**call).clone()),
            ScopeError::Role { source, .. } => Some(source),
            _ => None,
        };
        let request_id = inner.and_then(|call| call.request_id.clone());
        let kind = match &error {
            ScopeError::NoRegion { .. }
            | ScopeError::InvalidRegion { .. }
            | ScopeError::UnknownProfile { .. }
            | ScopeError::BadConfig { .. }
            | ScopeError::CaBundle { .. }
            | ScopeError::Endpoint { .. }
            | ScopeError::Proxy { .. } => Kind::Usage,
            ScopeError::NoCredentials { .. }
            | ScopeError::SsoExpired { .. }
            | ScopeError::LoginExpired { .. }
            | ScopeError::Expired { .. }
            | ScopeError::CredentialsFailed { .. }
            | ScopeError::MfaImpossible { .. }
            | ScopeError::MfaDeclined { .. }
            | ScopeError::Role { .. }
            | ScopeError::OtherPrincipal { .. } => Kind::Denied,
            ScopeError::Call(call) => Failure::from((**call).clone()).kind,
        };
        let mut failure = Failure::new(kind, error.to_string());
        if let Some(source) = Error::source(&error) {
            failure = failure.caused_by(source);
        }
        failure.hints = error.hints();
        failure.request_id = request_id;
        failure
    }
}

impl From<SelectorError> for Failure {
    fn from(error: SelectorError) -> Failure {
        let hint = error.hint.clone();
        Failure::usage(error.to_string()).hint(hint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_not_said_twice() {
        let inner = std::io::Error::other("disk full");
        let error = JournalError::Io { action: "write", path: "/x/journal.jsonl".into(), source: inner };
        let failure = Failure::from(error);
        assert_eq!(failure.message, "could not write `/x/journal.jsonl`");
        assert_eq!(failure.causes, ["disk full"]);
        assert_eq!(failure.exit(), Exit::Usage);
    }
}
