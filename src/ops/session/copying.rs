//! A node as a copy sees it: a place to start sessions on.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use herder_aws::ssm::StartSession;
use herder_session::client::{EventLink, SessionEvent, SessionHandle};
use herder_session::copy::{EventExec, Node};
use tokio::sync::mpsc::UnboundedSender;

use super::{Launcher, Notices};
use crate::failure::Failure;
use crate::scopes::OpenScope;

type Tell = Box<dyn FnMut(SessionEvent) + Send>;

/// Starts a copy's sessions on one node.
pub(crate) struct CopyNode<'a> {
    launcher: &'a Launcher,
    open: &'a OpenScope,
    target: StartSession,
    notices: UnboundedSender<String>,
    sessions: Mutex<Sessions>,
}

#[derive(Default)]
struct Sessions {
    /// Those that were started, by their ids.
    ids: Vec<String>,
    /// Why the last one could not be.
    failure: Option<Failure>,
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
        CopyNode { launcher, open, target, notices, sessions: Mutex::default() }
    }

    fn sessions(&self) -> MutexGuard<'_, Sessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why the last session could not be started.
    pub(crate) fn failure(&self) -> Option<Failure> {
        self.sessions().failure.take()
    }

    /// Ends the sessions: a copy that broke off leaves a script that waits.
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
        match self.launcher.start_on(self.open, &start).await {
            Ok(live) => {
                self.sessions().ids.push(live.id.clone());
                Ok(live)
            }
            Err(failure) => {
                let said = NotStarted(failure.message.clone());
                self.sessions().failure = Some(failure);
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
