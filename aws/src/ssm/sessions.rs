//! Session Manager's calls: starting, resuming, ending and listing sessions.
//!
//! None of them takes a permit: a session ends with the process that holds it, and what the service keeps of it can be listed
//! (`docs/decisions/0009`).

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aws_sdk_ssm::types::{self, SessionFilter, SessionFilterKey};
use jiff::Timestamp;

use super::{Page, Ssm, next};
use crate::call::Call;
use crate::error::{CallError, CallErrorKind};
use crate::scope::{CHANGE_TIMEOUT, timeouts};
use crate::times;

/// The most sessions on a page.
const PAGE: i32 = 200;
/// The longest reason, in characters.
const MAX_REASON: usize = 256;

/// Whether a session may begin without anybody hearing of it: a request for it is under way, or is answered with its id. Waiting for the
/// quota or to try again begins nothing.
#[derive(Clone, Debug, Default)]
pub struct InFlight(Arc<AtomicBool>);

impl InFlight {
    /// Whether it is so now.
    #[must_use]
    pub fn is_so(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    async fn during<T, E>(&self, request: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        self.0.store(true, Ordering::SeqCst);
        let answer = request.await;
        self.0.store(answer.is_ok(), Ordering::SeqCst);
        answer
    }
}

/// A session to start.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct StartSession {
    /// A node's id, or the `ecs:` string of a container.
    pub target: String,
    /// The document; without one a shell, by the account's preferences.
    pub document: Option<String>,
    /// Why, for the audit; cut to 256 characters.
    pub reason: Option<String>,
    /// The document's parameters.
    pub parameters: BTreeMap<String, Vec<String>>,
}

impl fmt::Debug for StartSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Values of parameters may be secrets.
        f.debug_struct("StartSession")
            .field("target", &self.target)
            .field("document", &self.document)
            .field("parameters", &self.parameters.keys())
            .finish_non_exhaustive()
    }
}

/// A session that was started.
#[derive(Clone, PartialEq, Eq)]
pub struct StartedSession {
    /// Its id.
    pub session_id: String,
    /// Where its channel is.
    pub stream_url: String,
    /// What opens it.
    pub token: String,
}

impl fmt::Debug for StartedSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The token opens the session for whoever has it.
        f.debug_struct("StartedSession").field("session_id", &self.session_id).finish_non_exhaustive()
    }
}

/// What `ResumeSession` says.
#[derive(Clone, PartialEq, Eq)]
pub enum Resumed {
    /// It goes on; the address is absent where it is the old one.
    Open {
        /// Where its channel is now.
        stream_url: Option<String>,
        /// What opens it now.
        token: String,
    },
    /// Its time is over: there was no token.
    TimedOut,
    /// There is no such session, or it has ended.
    Gone,
}

impl fmt::Debug for Resumed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Resumed::Open { .. } => "Open",
            Resumed::TimedOut => "TimedOut",
            Resumed::Gone => "Gone",
        })
    }
}

/// Why no session was started.
#[derive(Clone, Debug)]
pub enum StartError {
    /// The node's agent is not connected to Session Manager.
    NotConnected(CallError),
    /// The document doesn't exist, is no session document, or doesn't run there.
    InvalidDocument(CallError),
    /// The document doesn't take these parameters.
    InvalidParameters(CallError),
    /// Anything else.
    Call(CallError),
}

impl StartError {
    /// The error of the call.
    #[must_use]
    pub fn call(&self) -> &CallError {
        match self {
            StartError::NotConnected(error)
            | StartError::InvalidDocument(error)
            | StartError::InvalidParameters(error)
            | StartError::Call(error) => error,
        }
    }

    fn of(error: CallError) -> StartError {
        match error.code.as_deref() {
            Some("TargetNotConnected") => StartError::NotConnected(error),
            Some("InvalidDocument" | "InvalidDocumentVersion") => StartError::InvalidDocument(error),
            Some("InvalidParameters") => StartError::InvalidParameters(error),
            _ => StartError::Call(error),
        }
    }
}

/// As the call's error says it.
impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.call().fmt(f)
    }
}

impl Error for StartError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.call().source()
    }
}

/// A place in the quota of `StartSession`. Dropped unused, it is as if it had never been taken.
#[derive(Debug)]
pub struct SessionSlot(crate::meter::Ticket);

/// Which sessions are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionState {
    /// Those that go on.
    Active,
    /// Those that have ended, up to 30 days ago.
    History,
}

/// Which sessions. Everything that is given must fit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionsQuery {
    /// Only this one.
    pub id: Option<String>,
    /// Only those on this node.
    pub target: Option<String>,
    /// Only those of this principal, an ARN.
    pub owner: Option<String>,
    /// Only those started after this.
    pub started_after: Option<Timestamp>,
}

/// A session as lists show it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionSummary {
    /// Its id.
    pub id: String,
    /// The node.
    pub target: Option<String>,
    /// `Connected`, `Connecting`, `Disconnected`, `Terminated`, `Terminating`, `Failed`, or what AWS adds.
    pub status: Option<String>,
    /// Who started it, an ARN.
    pub owner: Option<String>,
    /// Its document.
    pub document: Option<String>,
    /// Why, as was given.
    pub reason: Option<String>,
    /// When it started.
    pub started: Option<Timestamp>,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// What the service says of its end.
    pub details: Option<String>,
}

/// Whether sessions can be started on a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connection {
    /// Its agent is connected to Session Manager.
    Connected,
    /// It is not.
    NotConnected,
}

impl Ssm {
    /// Waits for a place in the quota of `StartSession`.
    pub async fn session_slot(&self) -> SessionSlot {
        SessionSlot(self.scope.reserve(&Call::change("ssm", "StartSession", "")).await)
    }

    /// `StartSession`, in a place that was waited for, or in the next one. Who may stop waiting sees from `in_flight` what that would
    /// leave behind.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start_session(
        &self,
        start: &StartSession,
        slot: Option<SessionSlot>,
        in_flight: &InFlight,
    ) -> Result<StartedSession, StartError> {
        let document = start.document.as_deref().map_or(String::new(), |name| format!(" with {name}"));
        let call = Call::change("ssm", "StartSession", format!("on {}{document}", start.target));
        let reason = start.reason.as_ref().map(|reason| reason.chars().take(MAX_REASON).collect::<String>());
        let parameters = Some(start.parameters.clone().into_iter().collect());
        let request = self
            .client
            .start_session()
            .target(&start.target)
            .set_document_name(start.document.clone())
            .set_reason(reason.filter(|reason| !reason.is_empty()))
            .set_parameters(parameters.filter(|_| !start.parameters.is_empty()));
        let attempt = || in_flight.during(request.clone().customize().config_override(patient()).send());
        let first = match slot {
            Some(slot) => Some(self.scope.call_once(slot.0, &call, attempt()).await),
            None => None,
        };
        let answer = match first {
            // One that changed nothing goes to the back of the queue, like any other.
            Some(Err(CallError {
                kind: CallErrorKind::Throttled | CallErrorKind::Unreachable | CallErrorKind::ClockSkew,
                ..
            }))
            | None => self.scope.call(call.clone(), attempt).await,
            Some(answer) => answer,
        };
        let answer = answer.map_err(StartError::of)?;
        match (answer.session_id(), answer.stream_url(), answer.token_value()) {
            (Some(id), Some(url), Some(token)) => Ok(StartedSession {
                session_id: id.to_owned(),
                stream_url: url.to_owned(),
                token: token.to_owned(),
            }),
            _ => {
                let said = "the answer names no session";
                Err(StartError::Call(CallError::new(&call, CallErrorKind::Lost, said)))
            }
        }
    }

    /// `ResumeSession`: a new token for a session whose connection was lost.
    ///
    /// # Errors
    /// The call failed for another reason than that the session is over.
    pub async fn resume_session(&self, session_id: &str) -> Result<Resumed, CallError> {
        let call = Call::read("ssm", "ResumeSession", format!("of {session_id}"));
        let request = self.client.resume_session().session_id(session_id);
        let answer = match self.scope.call(call, || request.clone().send()).await {
            Ok(answer) => answer,
            Err(error) if error.kind == CallErrorKind::NotFound => return Ok(Resumed::Gone),
            Err(error) => return Err(error),
        };
        Ok(match next(answer.token_value()) {
            Some(token) => Resumed::Open { stream_url: next(answer.stream_url()), token },
            None => Resumed::TimedOut,
        })
    }

    /// `TerminateSession`. Ending what has ended is no error for the service.
    ///
    /// # Errors
    /// The call failed.
    pub async fn terminate_session(&self, session_id: &str) -> Result<(), CallError> {
        let call = Call::change("ssm", "TerminateSession", format!("of {session_id}"));
        let request = self.client.terminate_session().session_id(session_id);
        let attempt = || request.clone().customize().config_override(patient()).send();
        self.scope.call(call, attempt).await.map(|_| ())
    }

    /// One page of `DescribeSessions`: up to 200, newest first.
    ///
    /// # Errors
    /// The call failed.
    pub async fn describe_sessions(
        &self,
        state: SessionState,
        query: &SessionsQuery,
        token: Option<&str>,
    ) -> Result<Page<SessionSummary>, CallError> {
        let state = match state {
            SessionState::Active => types::SessionState::Active,
            SessionState::History => types::SessionState::History,
        };
        let filters = [
            (SessionFilterKey::SessionId, query.id.clone()),
            (SessionFilterKey::TargetId, query.target.clone()),
            (SessionFilterKey::Owner, query.owner.clone()),
            (SessionFilterKey::InvokedAfter, query.started_after.map(times::filter_text)),
        ];
        // Key and value are both given, so that the builder can't refuse.
        let filters = filters
            .into_iter()
            .filter_map(|(key, value)| SessionFilter::builder().key(key).value(value?).build().ok())
            .collect::<Vec<_>>();
        let request = self
            .client
            .describe_sessions()
            .state(state)
            .set_filters(Some(filters).filter(|filters| !filters.is_empty()))
            .set_next_token(token.map(str::to_owned))
            .max_results(PAGE);
        let call = Call::read("ssm", "DescribeSessions", "");
        let answer = self.scope.call(call, || request.clone().send()).await?;
        let items = answer.sessions().iter().filter_map(summary).collect();
        Ok(Page { items, next: next(answer.next_token()) })
    }

    /// `GetConnectionStatus` of a node.
    ///
    /// # Errors
    /// The call failed.
    pub async fn connection_status(&self, target: &str) -> Result<Connection, CallError> {
        let request = self.client.get_connection_status().target(target);
        let call = Call::read("ssm", "GetConnectionStatus", format!("of {target}"));
        let answer = self.scope.call(call, || request.clone().send()).await?;
        Ok(match answer.status() {
            Some(types::ConnectionStatus::Connected) => Connection::Connected,
            _ => Connection::NotConnected,
        })
    }
}

fn summary(s: &types::Session) -> Option<SessionSummary> {
    let text = |text: Option<&str>| next(text);
    Some(SessionSummary {
        id: s.session_id()?.to_owned(),
        target: text(s.target()),
        status: s.status().map(|status| status.as_str().to_owned()),
        owner: text(s.owner()),
        document: text(s.document_name()),
        reason: text(s.reason()),
        started: times::optional(s.start_date()),
        ended: times::optional(s.end_date()),
        details: text(s.details()),
    })
}

/// More time for an attempt than a read gets.
fn patient() -> aws_sdk_ssm::config::Builder {
    aws_sdk_ssm::config::Builder::new().timeout_config(timeouts(CHANGE_TIMEOUT))
}
