//! A node as a copy sees it: a place to start sessions on.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use herder_aws::CallErrorKind;
use herder_aws::ssm::{SessionSlot, StartError, StartSession};
use herder_session::client::{EventLink, SessionEvent, SessionHandle};
use herder_session::copy::{CopyError, EventExec, Node, Reason};
use tokio::sync::mpsc::UnboundedSender;

use super::{Launcher, Notices};
use crate::failure::{Changed, Failure, Kind};
use crate::scopes::OpenScope;

type Tell = Box<dyn FnMut(SessionEvent) + Send>;

/// Starts a copy's sessions on one node.
pub(crate) struct CopyNode<'a> {
    launcher: &'a Launcher,
    open: &'a OpenScope,
    target: StartSession,
    notices: UnboundedSender<String>,
    /// Told of the id of every session that was started.
    begun: Option<&'a (dyn Fn(&str) + Sync)>,
    sessions: Mutex<Sessions>,
}

#[derive(Default)]
struct Sessions {
    /// Those that were started, by their ids.
    ids: Vec<String>,
    /// A place in the quota, for the first of them.
    slot: Option<SessionSlot>,
    /// Why the last one could not be.
    failure: Option<(Refusal, Failure)>,
}

/// What sort of reason there is that a session was not started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The node's agent is not connected.
    NotConnected,
    /// The service's own documents are not there, or want something else.
    Document,
    /// The quota was used up, for so long that it was given up.
    Throttled,
    /// The service can't be reached, or its answer was lost. A session that nobody opens ends by itself.
    Unreachable,
    /// New credentials are needed.
    Credentials,
    /// The caller may not.
    Denied,
    /// Anything else.
    Other,
}

impl From<&StartError> for Refusal {
    fn from(error: &StartError) -> Refusal {
        let error = match error {
            StartError::NotConnected(_) => return Refusal::NotConnected,
            StartError::InvalidDocument(_) | StartError::InvalidParameters(_) => return Refusal::Document,
            StartError::Call(error) => error,
        };
        match &error.kind {
            kind if kind.is_credentials() => Refusal::Credentials,
            CallErrorKind::Throttled => Refusal::Throttled,
            CallErrorKind::Unreachable | CallErrorKind::Lost | CallErrorKind::ClockSkew => {
                Refusal::Unreachable
            }
            CallErrorKind::AccessDenied { .. } => Refusal::Denied,
            _ => Refusal::Other,
        }
    }
}

/// Why no session could be had; the failure itself is kept by the node.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct NotStarted(String);

impl<'a> CopyNode<'a> {
    /// A node, and where what a person should know goes.
    pub(crate) fn new(
        launcher: &'a Launcher,
        open: &'a OpenScope,
        target: StartSession,
        notices: UnboundedSender<String>,
    ) -> CopyNode<'a> {
        CopyNode { launcher, open, target, notices, begun: None, sessions: Mutex::default() }
    }

    /// The same with a place in the quota for its first session.
    pub(crate) fn in_slot(self, slot: Option<SessionSlot>) -> CopyNode<'a> {
        self.sessions().slot = slot;
        self
    }

    /// The same, and tells somebody the id of every session that begins.
    pub(crate) fn telling(self, begun: &'a (dyn Fn(&str) + Sync)) -> CopyNode<'a> {
        CopyNode { begun: Some(begun), ..self }
    }

    fn sessions(&self) -> MutexGuard<'_, Sessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why the last session could not be started.
    fn failure(&self) -> Option<(Refusal, Failure)> {
        self.sessions().failure.take()
    }

    /// Ends the sessions: a copy that broke off leaves a script that waits, and one that is done leaves before its script.
    pub(crate) async fn finish(&self) {
        let ids = std::mem::take(&mut self.sessions().ids);
        for id in ids {
            self.launcher.terminate(&id).await;
        }
    }

    async fn start(&self, document: &str, parameters: &[(&str, String)]) -> Result<super::Live, NotStarted> {
        let values = parameters.iter().map(|(name, value)| ((*name).to_owned(), vec![value.clone()]));
        let start = StartSession {
            document: Some(document.to_owned()),
            parameters: BTreeMap::from_iter(values),
            ..self.target.clone()
        };
        let slot = self.sessions().slot.take();
        match self.launcher.start_in(&start, slot).await {
            Ok(live) => {
                self.sessions().ids.push(live.id.clone());
                if let Some(begun) = self.begun {
                    begun(&live.id);
                }
                Ok(live)
            }
            Err(error) => {
                let refusal = Refusal::from(&*error);
                let failure = self.launcher.explain(self.open, &start, *error).await;
                let said = NotStarted(failure.message.clone());
                self.sessions().failure = Some((refusal, failure));
                Err(said)
            }
        }
    }

    fn tell(&self) -> Tell {
        let (mut notices, say) = (Notices::default(), self.notices.clone());
        Box::new(move |event| {
            if let Some(text) = notices.of(&event) {
                // Whoever has stopped listening is about to end this.
                let _ = say.send(text);
            }
        })
    }
}

impl Node for CopyNode<'_> {
    type Source = EventLink<Tell>;
    type Sink = SessionHandle;
    type Exec = EventExec<Tell>;
    type Error = NotStarted;

    async fn terminal(&self, command: String) -> Result<(Self::Source, Self::Sink), NotStarted> {
        let live = self.start("AWS-StartInteractiveCommand", &[("command", command)]).await?;
        Ok((live.events.into_link(self.tell()), live.handle))
    }

    async fn exec(&self, command: String) -> Result<Self::Exec, NotStarted> {
        let parameters = [("command", command), ("separateOutputStream", "true".to_owned())];
        let live = self.start("AWS-StartNonInteractiveCommand", &parameters).await?;
        Ok(live.events.into_exec(self.tell()))
    }
}

/// What a person reads of a copy that failed; and where no session could be started, what sort of reason there is.
pub(crate) fn copy_failure(error: &CopyError, node: &CopyNode<'_>) -> (Option<Refusal>, Failure) {
    let kind = match error {
        CopyError::Start(_) => {
            if let Some((refusal, failure)) = node.failure() {
                return (Some(refusal), failure);
            }
            Kind::Service
        }
        CopyError::Node { reason: Reason::NotFound, .. } => Kind::NotFound,
        CopyError::Local { .. } => Kind::Local,
        _ => Kind::Service,
    };
    let mut failure = Failure::new(kind, error.to_string());
    if let CopyError::Local { action, path, .. } = error {
        let is_stream = path.as_os_str() == "-";
        if is_stream {
            let name = if *action == "read" { "input" } else { "output" };
            failure.message = format!("could not {action} standard {name}");
        }
        match is_stream && *action == "write" {
            true => failure.kind = Kind::Output,
            // A part of it may be there.
            false => failure.changed = Changed::Possibly,
        }
    }
    let failure = match std::error::Error::source(error) {
        Some(source) => failure.caused_by(source),
        None => failure,
    };
    let failure = match error {
        CopyError::Session(_) => {
            failure.hint("Start the same copy again: the file that it was at goes on where it was, unless it is a stream.")
        }
        CopyError::Node { reason: Reason::Denied, .. } => {
            failure.hint("The session's user has to be allowed to: copy to /tmp and move the file with sudo, or set another user in Session Manager's preferences.")
        }
        CopyError::Changed(_) => failure.hint("Copy it when nothing writes to it, or copy a snapshot of it."),
        _ => failure,
    };
    (None, failure)
}
