//! Starting sessions, and saying why there is none.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use futures_util::future::BoxFuture;
use herder_aws::ssm::{Connection, InFlight, SessionSlot, StartError, StartSession, StartedSession};
use herder_aws::{CallErrorKind, Scope, Trust};
use herder_core::target::Reach;
use herder_session::client::{
    DialError, DialOptions, Opened, Session, SessionEnd, SessionError, SessionEvents, SessionHandle,
    SessionOptions, StreamPolicy, tls_config,
};

use super::control::ScopeControl;
use super::vigil::Presence;
use crate::ctx::Ctx;
use crate::failure::{Changed, Failure, Kind};
use crate::ops::nodes::fetch;
use crate::scopes::OpenScope;

/// How long all of a connection may take: TCP, a proxy, TLS, the upgrade.
const CONNECT_WITHIN: Duration = Duration::from_secs(20);
/// How long ending a session may hold up the end of the process.
const TERMINATE_WITHIN: Duration = Duration::from_secs(5);

/// A session that was started.
#[derive(Debug)]
pub(crate) struct Live {
    /// Its id.
    pub(crate) id: String,
    /// The node's id, or the `ecs:` string of a container.
    pub(crate) target: String,
    /// For what goes in.
    pub(crate) handle: SessionHandle,
    /// For what comes out.
    pub(crate) events: SessionEvents,
}

/// Starts sessions in one account and region.
pub(crate) struct Launcher {
    ctx: Ctx,
    scope: Scope,
    dial: DialOptions,
    /// Seconds after which a command that says nothing has begun.
    quiet_start_after: Option<Duration>,
    random: [u8; 32],
    /// Sessions so far.
    started: AtomicU64,
}

impl Launcher {
    /// A launcher in this scope.
    ///
    /// # Errors
    /// TLS can't be set up, or the kernel gives no random numbers.
    pub(crate) fn new(ctx: &Ctx, scope: Scope) -> Result<Launcher, Failure> {
        let wire = scope.wire();
        let Trust { system, pem } = wire.trust();
        let tls = tls_config(*system, pem).map_err(|error| {
            Failure::usage("the connection to the node can't be secured")
                .caused_by(&error)
                .hint("Install the system's CA certificates, or name a bundle with AWS_CA_BUNDLE.")
        })?;
        let policy = match wire.messages_endpoint() {
            Some(endpoint) => StreamPolicy::Replace(endpoint.to_owned()),
            None => StreamPolicy::for_api(scope.endpoint()),
        };
        let proxied = scope.clone();
        let proxy_for = Arc::new(move |host: &str| proxied.wire().proxy_for(host)?.parse().ok());
        let dial = DialOptions { policy, tls, proxy_for, within: CONNECT_WITHIN };
        let (ctx, random) = (ctx.clone(), ctx.fresh_random()?);
        Ok(Launcher { ctx, scope, dial, quiet_start_after: None, random, started: AtomicU64::new(0) })
    }

    /// The same for a document whose command may wait for input before it says anything.
    #[must_use]
    pub(crate) fn with_quiet_start(self) -> Launcher {
        Launcher { quiet_start_after: Some(Duration::from_secs(3)), ..self }
    }

    /// Starts a session. Its connection is made in the background.
    ///
    /// # Errors
    /// Systems Manager doesn't start one.
    pub(crate) async fn start(&self, start: &StartSession) -> Result<Live, Box<StartError>> {
        self.start_in(start, None).await
    }

    /// The same in a place in the quota that was waited for.
    ///
    /// # Errors
    /// Systems Manager doesn't start one.
    pub(crate) async fn start_in(
        &self,
        start: &StartSession,
        slot: Option<SessionSlot>,
    ) -> Result<Live, Box<StartError>> {
        let started = Starting::new(self, start.clone(), slot).answer().await.map_err(Box::new)?;
        let opened = Opened {
            session_id: started.session_id,
            target: start.target.clone(),
            stream_url: started.stream_url,
            token: started.token,
        };
        Ok(self.attend(opened))
    }

    /// Takes up a session that somebody else started.
    pub(crate) fn attend(&self, opened: Opened) -> Live {
        let clock = self.ctx.clock;
        let wall_clock = Arc::new(move || clock.now().into());
        let options = SessionOptions {
            quiet_start_after: self.quiet_start_after,
            ..SessionOptions::new(self.dial.clone(), wall_clock, self.seed())
        };
        let (id, target) = (opened.session_id.clone(), opened.target.clone());
        let Session { handle, events } = Session::open(opened, ScopeControl(self.scope.clone()), options);
        Live { id, target, handle, events }
    }

    /// Random bytes of a session's own.
    fn seed(&self) -> [u8; 32] {
        let number = self.started.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        let mut seed = self.random;
        for (n, byte) in seed.iter_mut().enumerate() {
            *byte ^= number.get(n % number.len()).copied().unwrap_or_default();
        }
        seed
    }

    /// Starts a session unless a Ctrl-C comes first, or fails with the reason why there can't be one.
    ///
    /// # Errors
    /// Systems Manager doesn't start one, for a node that is not connected with what is known of it; or it was interrupted.
    pub(crate) async fn start_on(&self, open: &OpenScope, start: &StartSession) -> Result<Live, Failure> {
        let starting = async {
            match self.start(start).await {
                Ok(live) => Ok(live),
                Err(error) => Err(self.explain(open, start, *error).await),
            }
        };
        let started = self.ctx.until_interrupted(starting).await;
        started.map_err(|failure| match failure.kind {
            Kind::Interrupted => Failure::new(Kind::Interrupted, "interrupted before the session began"),
            _ => failure,
        })
    }

    /// Says why a session was not started.
    pub(crate) async fn explain(&self, open: &OpenScope, start: &StartSession, error: StartError) -> Failure {
        let target = &start.target;
        match error {
            StartError::NotConnected(error) => {
                let failure = Failure { kind: Kind::Service, ..Failure::from(error) };
                self.explain_not_connected(open, target, failure).await
            }
            StartError::InvalidDocument(error) => {
                let is_other_type = error.message.contains("Document type");
                let document = start.document.clone().unwrap_or_default();
                let mut failure = Failure { kind: Kind::NotFound, ..Failure::from(error) };
                failure.hints.clear();
                // Where it is looked for is right: what is wrong is the document.
                if is_other_type {
                    failure.kind = Kind::Usage;
                    failure.message = format!("the document `{document}` is none that starts a session");
                }
                failure.hint("Name a document of type Session in this account and region that fits the node: `aws ssm list-documents --filters Key=DocumentType,Values=Session` lists them.")
            }
            StartError::InvalidParameters(error) => {
                let failure = Failure { kind: Kind::Usage, ..Failure::from(error) };
                failure.hint("Give the document's parameters with -p NAME=VALUE.")
            }
            StartError::Call(error) => {
                let is_changed = error.mutated();
                let mut failure = Failure::from(error);
                if is_changed {
                    // A session without a client does nothing, and ends by itself.
                    failure.changed = Changed::Nothing;
                    failure.kind = Kind::Service;
                }
                failure
            }
        }
    }

    /// Looks at a node that is not connected, as `herder nodes check` does.
    async fn explain_not_connected(&self, open: &OpenScope, target: &str, failure: Failure) -> Failure {
        let mut failure = failure;
        failure.hints.clear();
        let reach = Reach::Some {
            ids: std::iter::once(target.to_owned()).collect(),
            filters: Vec::new(),
            hybrid: false,
        };
        let mut found = Vec::new();
        let looked = Box::pin(fetch(open, &reach, &Default::default(), |nodes| found.extend(nodes))).await;
        let node = found.iter().find(|node| node.id == target);
        match (node.and_then(|node| node.problem(self.ctx.clock.now())), node, looked) {
            (Some((problem, hint)), ..) => {
                failure.causes.push(problem);
                failure.hint(hint)
            }
            (None, Some(_), _) => failure
                .hint("The agent reports to Systems Manager and has no connection to Session Manager: check that the node reaches the ssmmessages endpoint, that its role allows ssmmessages:*, and that the agent is 2.3.672 or newer."),
            (None, None, Ok(_)) => failure.hint("Look for the node with `herder nodes list`, and check --region and --profile."),
            (None, None, Err(_)) => failure.hint("Check that the node runs, and that its agent reaches the ssmmessages endpoint."),
        }
    }

    /// Whether the node's agent is connected to Session Manager, as far as it is told.
    pub(super) async fn presence(&self, target: &str) -> Presence {
        // Containers have no connection of their own to ask about.
        if target.starts_with("ecs:") {
            return Presence::Untold;
        }
        // Boxed: the SDK's futures are nested deeply.
        match Box::pin(async { self.scope.ssm().connection_status(target).await }).await {
            Ok(Connection::Connected) => Presence::Connected,
            Ok(Connection::NotConnected) => Presence::Away,
            Err(error) if matches!(error.kind, CallErrorKind::AccessDenied { .. }) => Presence::Untold,
            Err(_) => Presence::Unknown,
        }
    }

    /// Ends a session. What can't be ended ends by itself when its idle time is over.
    pub(crate) async fn terminate(&self, id: &str) {
        terminate(&self.scope, id).await;
    }
}

async fn terminate(scope: &Scope, id: &str) {
    let ending = Box::pin(async { scope.ssm().terminate_session(id).await });
    let _ = tokio::time::timeout(TERMINATE_WITHIN, ending).await;
}

/// A session that is asked for. Who stops waiting for the answer never learns of its id, so that what is in flight then is owed: it is
/// waited for before the process ends, and ended.
struct Starting {
    ctx: Ctx,
    scope: Scope,
    in_flight: InFlight,
    call: BoxFuture<'static, Result<StartedSession, StartError>>,
    is_answered: bool,
}

impl Starting {
    fn new(launcher: &Launcher, start: StartSession, slot: Option<SessionSlot>) -> Starting {
        let (ctx, scope, in_flight) = (launcher.ctx.clone(), launcher.scope.clone(), InFlight::default());
        let (caller, flight) = (scope.clone(), in_flight.clone());
        // Boxed: the SDK's futures are nested deeply.
        let call = Box::pin(async move { caller.ssm().start_session(&start, slot, &flight).await });
        Starting { ctx, scope, in_flight, call, is_answered: false }
    }

    async fn answer(mut self) -> Result<StartedSession, StartError> {
        let answer = (&mut self.call).await;
        self.is_answered = true;
        answer
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        if self.is_answered || !self.in_flight.is_so() {
            return;
        }
        let mut call = std::mem::replace(&mut self.call, Box::pin(std::future::pending()));
        let (scope, in_flight) = (self.scope.clone(), self.in_flight.clone());
        self.ctx.owe(Box::pin(async move {
            // One that the service refused is not asked for again.
            let answer = poll_fn(|context| match call.as_mut().poll(context) {
                Poll::Ready(answer) => Poll::Ready(answer.ok()),
                Poll::Pending if in_flight.is_so() => Poll::Pending,
                Poll::Pending => Poll::Ready(None),
            });
            if let Some(started) = answer.await {
                terminate(&scope, &started.session_id).await;
            }
        }));
    }
}

/// Why a session ended, where it ended well: nothing; else the failure.
pub(crate) fn ended(end: &SessionEnd) -> Result<(), Failure> {
    match end {
        SessionEnd::Ended { output, is_cut: false } if output.trim().is_empty() => Ok(()),
        SessionEnd::Left => Ok(()),
        end => Err(failed(end)),
    }
}

/// Whether an end is the service's own word: then there is nothing left to end.
pub(crate) fn is_of_the_service(end: &SessionEnd) -> bool {
    matches!(end, SessionEnd::Ended { .. } | SessionEnd::TimedOut | SessionEnd::Gone)
}

/// A session that ended before what it was for.
pub(crate) fn failed(end: &SessionEnd) -> Failure {
    match end {
        SessionEnd::Ended { output, is_cut } => {
            let mut failure = Failure::new(Kind::Service, "the session ended early");
            let said = said(output);
            if !said.is_empty() {
                failure.causes.push(said);
            }
            if *is_cut {
                failure.causes.push("its last bytes did not arrive".to_owned());
            }
            with_hints(failure)
        }
        SessionEnd::TimedOut => Failure::new(Kind::Service, "the session has timed out").hint(
            "Start another one; the idle time and the longest duration are set in Session Manager's preferences.",
        ),
        SessionEnd::Gone => Failure::new(Kind::Service, "the session was ended from elsewhere")
            .hint("See who did in CloudTrail (TerminateSession); `herder session history` lists its end."),
        SessionEnd::Failed(error) => {
            let kind = match &**error {
                SessionError::Dial(DialError::Refused { status: 401 | 403, .. }) => Kind::Denied,
                SessionError::Dial(DialError::Endpoint(_)) => Kind::Usage,
                _ => Kind::Service,
            };
            let failure = Failure::new(kind, "the session failed").caused_by(&**error);
            let failure = match &**error {
                SessionError::Dial(DialError::Refused { status: 401 | 403, .. }) => {
                    failure.hint("Allow ssmmessages:OpenDataChannel to the caller, and check the machine's clock.")
                }
                SessionError::Dial(DialError::Endpoint(_)) => failure.hint(
                    "To use a VPC endpoint or an emulator, name it with AWS_ENDPOINT_URL_SSMMESSAGES.",
                ),
                SessionError::Dial(error @ DialError::Proxy { .. }) if error.is_refusal() => failure.hint(
                    "Give the proxy its user and password, the right ones: HTTPS_PROXY=http://USER:PASSWORD@HOST:PORT.",
                ),
                SessionError::Dial(DialError::Proxy { .. }) => failure.hint(
                    "Let the proxy allow CONNECT to Session Manager's ssmmessages host, or leave it out for that host with NO_PROXY.",
                ),
                SessionError::Dial(_) => failure.hint(
                    "Check that this machine reaches the ssmmessages endpoint (HTTPS_PROXY and AWS_CA_BUNDLE are used).",
                ),
                _ => failure,
            };
            with_hints(failure)
        }
        other => Failure::new(Kind::Service, other.to_string()),
    }
}

fn with_hints(mut failure: Failure) -> Failure {
    // The agent may repeat what it was told of the key that could not be had here: either way nothing has begun.
    if failure.causes.iter().any(|cause| cause.contains("`kms:GenerateDataKey` is not allowed")) {
        failure.kind = Kind::Denied;
    }
    let is_about_time = failure.causes.iter().any(|cause| cause.contains("timed out due to inactivity"));
    let failure = match is_about_time {
        true => failure.hint("The idle time is set in Session Manager's preferences: 1 to 60 minutes."),
        false => failure,
    };
    // The service's words for it are not documented.
    let is_about_length = failure.causes.iter().any(|cause| cause.to_lowercase().contains("max"));
    let failure = match is_about_length && !is_about_time {
        true => failure.hint(
            "The longest duration is set in Session Manager's preferences: none, or 1 to 1440 minutes.",
        ),
        false => failure,
    };
    let is_about_keys = failure.causes.iter().any(|cause| {
        let cause = cause.to_lowercase();
        cause.contains("kms") || cause.contains("generatedatakey")
    });
    match is_about_keys {
        true => failure.hint(
            "Sessions of this account are encrypted: allow kms:GenerateDataKey with its key to the caller, and kms:Decrypt to the node's role.",
        ),
        false => failure,
    }
}

/// What an agent says of an end, on one line and without its decoration.
fn said(output: &str) -> String {
    let lines = output.lines().map(str::trim);
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with("----------"));
    lines.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agents_words_are_told_without_their_frame() {
        let output = "\n----------ERROR-------\nUnable to start command: No such user\r\nrunas\n".to_owned();
        let failure = ended(&SessionEnd::Ended { output, is_cut: false }).unwrap_err();
        assert_eq!(failure.causes, ["Unable to start command: No such user; runas"]);
        assert!(ended(&SessionEnd::Ended { output: "\n".into(), is_cut: false }).is_ok());
        let cut = failed(&SessionEnd::Ended { output: String::new(), is_cut: true });
        assert_eq!(cut.causes, ["its last bytes did not arrive"]);
        let hints = |said: &str| failed(&SessionEnd::Ended { output: said.into(), is_cut: false }).hints;
        assert!(hints("Your session timed out: it has reached its maximum duration.")[0].contains("1440"));
        assert!(hints("Your session timed out due to inactivity.")[0].contains("1 to 60"));
        for (said, kind) in [
            ("Error: kms:Decrypt is denied", Kind::Service),
            (
                "Client: kms:GenerateDataKey with k was denied: `kms:GenerateDataKey` is not allowed",
                Kind::Denied,
            ),
        ] {
            let failure = failed(&SessionEnd::Ended { output: said.to_owned(), is_cut: false });
            assert!(failure.hints[0].contains("kms:GenerateDataKey") && failure.kind == kind, "{failure:?}");
        }
    }
}
