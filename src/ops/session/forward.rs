//! Listeners on this machine whose connections go to ports that the node reaches.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::{LocalBoxFuture, select_all};
use herder_aws::ssm::{StartError, StartSession};
use herder_core::time::written;
use herder_session::client::{EventLink, SessionEnd, SessionEvent, SessionEvents, SessionHandle};
use herder_session::forward::{
    ConnectionEnd, ForwardEvent, ForwardOptions, ForwardSpec, Listener, PortKind, PortLink, serve,
};
use herder_session::handshake::Started;
use herder_session::mux::{MuxOptions, Role};
use herder_session::payload::SessionType;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::{Duration, Instant, sleep};

use super::{Launcher, Notices, failed, is_of_the_service};
use crate::failure::{Failure, Kind};
use crate::scopes::OpenScope;

/// How long a listener that has worked goes on trying to get another session.
const PATIENCE: Duration = Duration::from_secs(300);
/// The waits between tries, in seconds; the last one repeats.
const WAITS: [u64; 4] = [1, 2, 5, 10];

/// One listener, and where its connections go.
#[derive(Debug)]
pub(crate) struct Tunnel {
    /// What was asked for.
    pub(crate) spec: ForwardSpec,
    /// The open sockets.
    pub(crate) listener: Listener,
}

/// What happens to a tunnel.
#[derive(Clone, Debug)]
pub(crate) enum ForwardNotice {
    /// This tunnel, by its place in the list, works for the first time.
    Ready(usize),
    /// Something that a person should know.
    Said(String),
}

/// The sessions that the service may think open, each tunnel's last one: to be ended when this is.
#[derive(Clone, Debug, Default)]
struct OpenSessions(Arc<Mutex<BTreeMap<usize, String>>>);

impl OpenSessions {
    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<usize, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A tunnel's session is over. Where that is the service's own word, there is nothing to end any more.
    fn over(&self, number: usize, end: &SessionEnd) {
        if is_of_the_service(end) {
            self.lock().remove(&number);
        }
    }
}

type Link = PortLink<EventLink<Box<dyn FnMut(SessionEvent) + Send>>, SessionHandle>;

/// How sessions for tunnels are had, and what goes for their connections.
#[derive(Clone, Copy)]
pub(crate) struct Ways<'a> {
    /// What starts them.
    pub(crate) launcher: &'a Launcher,
    /// The account and region of the node.
    pub(crate) open: &'a OpenScope,
    /// What every session has in common.
    pub(crate) target: &'a StartSession,
    /// How connections are carried.
    pub(crate) options: &'a ForwardOptions,
}

/// Carries connections until `stop` is ready, and gives what that gave, or a tunnel can't go on: then gives the reason. Connections
/// that are open then break off, and the sessions are ended.
///
/// # Errors
/// A session can't be had.
pub(crate) async fn forward<T>(
    ways: Ways<'_>,
    tunnels: &[Tunnel],
    notices: UnboundedSender<ForwardNotice>,
    stop: impl Future<Output = T>,
) -> Result<T, Failure> {
    let sessions = OpenSessions::default();
    let works: Vec<LocalBoxFuture<'_, Failure>> = tunnels
        .iter()
        .enumerate()
        .map(|(number, tunnel)| {
            let dialer = Dialer {
                ways,
                number,
                spec: &tunnel.spec,
                sessions: sessions.clone(),
                notices: notices.clone(),
            };
            let work: LocalBoxFuture<'_, Failure> = Box::pin(dialer.serve(&tunnel.listener));
            work
        })
        .collect();
    let result = tokio::select! {
        (failure, ..) = select_all(works) => Err(failure),
        stopped = stop => Ok(stopped),
    };
    let left: Vec<String> = sessions.lock().values().cloned().collect();
    for id in left {
        ways.launcher.terminate(&id).await;
    }
    result
}

/// Gets sessions for one tunnel.
struct Dialer<'a> {
    ways: Ways<'a>,
    number: usize,
    spec: &'a ForwardSpec,
    sessions: OpenSessions,
    notices: UnboundedSender<ForwardNotice>,
}

impl Dialer<'_> {
    fn say(&self, text: impl Into<String>) {
        // Whoever has stopped listening is about to end this.
        let _ = self.notices.send(ForwardNotice::Said(text.into()));
    }

    async fn serve(self, listener: &Listener) -> Failure {
        let has_worked = std::sync::atomic::AtomicBool::new(false);
        let dial = || async {
            let is_first = !has_worked.load(std::sync::atomic::Ordering::Relaxed);
            let link = self.dial(is_first).await?;
            if !has_worked.swap(true, std::sync::atomic::Ordering::Relaxed) {
                let _ = self.notices.send(ForwardNotice::Ready(self.number));
            }
            Ok(link)
        };
        serve(listener, self.ways.options, dial, |event| self.tell(event)).await
    }

    fn tell(&self, event: ForwardEvent) {
        let to = &self.spec;
        match event {
            ForwardEvent::SessionEnded { reason } => {
                // An agent's own words may end with a period.
                let reason = reason.trim_end_matches('.');
                self.say(format!("{to}: {reason}; the next connection starts another session"));
            }
            ForwardEvent::Finished { connection, end, .. } => match end {
                ConnectionEnd::Orderly | ConnectionEnd::ClientGone(_) => {}
                ConnectionEnd::ConnectFailed => {
                    self.say(format!(
                        "{to}: connection {connection}: the node could not connect to the port"
                    ));
                }
                ConnectionEnd::Stalled => {
                    self.say(format!(
                        "{to}: connection {connection} was closed: nothing was read from it while others waited"
                    ));
                }
                ConnectionEnd::Unanswered { silent_for } => {
                    self.say(format!("{to}: {}", unanswered(connection, silent_for)));
                }
                ConnectionEnd::SessionEnded(reason) => {
                    self.say(format!("{to}: connection {connection} broke off: {reason}"));
                }
                _ => {}
            },
            ForwardEvent::AcceptFailed { error } => self.say(format!("{to}: could not accept: {error}")),
            _ => {}
        }
    }

    /// Gets a session; the first one at once or not at all, later ones with patience.
    async fn dial(&self, is_first: bool) -> Result<Link, Failure> {
        let began = Instant::now();
        let mut waits = WAITS.into_iter();
        let mut last = WAITS[WAITS.len() - 1];
        loop {
            let failure = match self.attempt().await {
                Ok(link) => return Ok(link),
                Err(failure) => failure,
            };
            let is_passing = matches!(failure.kind, Kind::Service | Kind::Unknown);
            if is_first || !is_passing || began.elapsed() >= PATIENCE {
                return Err(failure);
            }
            self.say(format!("{}: {}; trying again", self.spec, failure.message));
            last = waits.next().unwrap_or(last);
            sleep(Duration::from_secs(last)).await;
        }
    }

    /// Starts a session. Whatever comes of it, no other one of this tunnel stays open.
    async fn attempt(&self) -> Result<Link, Failure> {
        self.end_last().await;
        let start = request(self.ways.target, self.spec);
        let live = match self.ways.launcher.start(&start).await {
            Ok(live) => live,
            Err(error) => {
                let is_old = matches!(&*error, StartError::InvalidDocument(_)) && self.spec.host.is_some();
                let failure = self.ways.launcher.explain(self.ways.open, &start, *error).await;
                return Err(if is_old { failure.hint(OLD_AGENT) } else { failure });
            }
        };
        self.sessions.lock().insert(self.number, live.id);
        let link = self.link(live.handle, live.events).await;
        if link.is_err() {
            self.end_last().await;
        }
        link
    }

    /// Ends this tunnel's last session, if the service has not: it broke off on this side only, and would stay open.
    async fn end_last(&self) {
        let last = self.sessions.lock().get(&self.number).cloned();
        if let Some(id) = last {
            self.ways.launcher.terminate(&id).await;
            self.sessions.lock().remove(&self.number);
        }
    }

    /// Waits until a session has begun.
    async fn link(&self, handle: SessionHandle, mut events: SessionEvents) -> Result<Link, Failure> {
        let mut notices = Notices::default();
        let started = loop {
            match events.next().await {
                Some(SessionEvent::Started(started)) => break started,
                Some(SessionEvent::Closed(end)) => {
                    self.sessions.over(self.number, &end);
                    return Err(failed(&end));
                }
                Some(other) => {
                    if let Some(notice) = notices.of(&other) {
                        self.say(format!("{}: {notice}", self.spec));
                    }
                }
                None => return Err(Failure::new(Kind::Bug, "the session ended without a word")),
            }
        };
        let kind = port_kind(&started, self.spec.host.is_some())?;
        let (say, sessions, number) = (self.notices.clone(), self.sessions.clone(), self.number);
        let to = self.spec.to_string();
        let tell: Box<dyn FnMut(SessionEvent) + Send> = Box::new(move |event| {
            if let SessionEvent::Closed(end) = &event {
                sessions.over(number, end);
            }
            if let Some(notice) = notices.of(&event) {
                let _ = say.send(ForwardNotice::Said(format!("{to}: {notice}")));
            }
        });
        Ok(PortLink { source: events.into_link(tell), sink: handle, kind })
    }
}

/// What a person is told of a connection that was given up.
pub(crate) fn unanswered(connection: u64, silent_for: Duration) -> String {
    format!(
        "connection {connection} was reset: its client had closed its half, and nothing came for {} from the port, which had not closed",
        written(silent_for)
    )
}

const OLD_AGENT: &str =
    "Update the node's agent with the document AWS-UpdateSSMAgent; other hosts need 3.1.1374 or newer.";

/// How an agent takes connections.
///
/// # Errors
/// It is no port session, or the agent is too old for another host.
pub(crate) fn port_kind(started: &Started, has_host: bool) -> Result<PortKind, Failure> {
    if started.session_type != SessionType::Port {
        let name = started.session_type.name();
        return Err(Failure::usage(format!(
            "the document starts a session of type {name}, not one for ports"
        )));
    }
    let Some(version) = &started.agent_version else { return Ok(PortKind::Single) };
    if has_host && !version.forwards_to_remote_hosts() {
        let message = format!("the node's agent {version} can't forward to other hosts");
        return Err(Failure::new(Kind::Refused, message).hint(OLD_AGENT));
    }
    if !version.multiplexes() {
        return Ok(PortKind::Single);
    }
    let keepalive = version.wants_keepalive().then_some(MuxOptions::KEEPALIVE);
    Ok(PortKind::Mux(MuxOptions { keepalive, ..MuxOptions::new(Role::Client) }))
}

/// The session that a tunnel needs.
fn request(target: &StartSession, spec: &ForwardSpec) -> StartSession {
    let mut parameters = BTreeMap::from([("portNumber".to_owned(), vec![spec.port.to_string()])]);
    let document = match &spec.host {
        Some(host) => {
            parameters.insert("host".to_owned(), vec![host.clone()]);
            "AWS-StartPortForwardingSessionToRemoteHost"
        }
        None => "AWS-StartPortForwardingSession",
    };
    // It is only told to the client again, and the agent wants a number.
    parameters.insert("localPortNumber".to_owned(), vec!["0".to_owned()]);
    StartSession { document: Some(document.to_owned()), parameters, ..target.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_tunnel_asks_for_its_document() {
        let target = StartSession { target: "i-1".into(), ..StartSession::default() };
        let here = request(&target, &"8080:80".parse().unwrap());
        assert_eq!(here.document.as_deref(), Some("AWS-StartPortForwardingSession"));
        assert_eq!(here.parameters["portNumber"], ["80"]);
        let there = request(&target, &"5432:db.internal:5433".parse().unwrap());
        assert_eq!(there.document.as_deref(), Some("AWS-StartPortForwardingSessionToRemoteHost"));
        assert_eq!(
            (&there.parameters["host"][0], &there.parameters["portNumber"][0]),
            (&"db.internal".to_owned(), &"5433".to_owned())
        );
    }

    #[test]
    fn the_agents_version_decides() {
        let mut started = Started::without_handshake();
        assert!(port_kind(&started, false).is_err());
        started.session_type = SessionType::Port;
        let mut kind = |version: &str, has_host| {
            started.agent_version = Some(version.parse().unwrap());
            port_kind(&started, has_host)
        };
        assert_eq!(kind("3.0.196.0", false).unwrap(), PortKind::Single);
        assert!(
            matches!(kind("3.0.1000.0", false), Ok(PortKind::Mux(options)) if options.keepalive.is_some())
        );
        assert!(matches!(kind("3.3.0.0", true), Ok(PortKind::Mux(options)) if options.keepalive.is_none()));
        let refused = kind("3.1.1000.0", true).unwrap_err();
        assert!(refused.message.contains("3.1.1000.0"), "{refused:?}");
    }
}
