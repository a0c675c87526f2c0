//! The server: listens on loopback only, HTTP/1.1 with or without TLS, one task for each connection and request.

use crate::control::Control;
use crate::control_http;
use crate::core::{Core, Outgoing, Task};
use crate::credentials;
use crate::gateway::{self, Door, Verdict};
use crate::payload::Payload;
use crate::spec::Spec;
use crate::tls::{self, Identity};
use crate::wire::route::Incoming;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming as Body;
use hyper::header::{
    CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, DATE, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT, SERVER,
    UPGRADE,
};
use hyper::http::request::Parts;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// Largest body that is read: far above any of AWS's own limits.
const BODY_LIMIT: usize = 16 << 20;

/// How to serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ServeOptions {
    /// Port on 127.0.0.1; 0 picks a free one.
    pub port: u16,
    /// Serve HTTPS with a certificate made for this server.
    pub tls: bool,
}

/// Why a simulation did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The port could not be listened on.
    #[error("cannot listen on 127.0.0.1:{port}")]
    Listen {
        /// The port that was asked for.
        port: u16,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The request log could not be opened.
    #[error("cannot open the simulator's request log")]
    Log(#[source] std::io::Error),
    /// No certificate could be made.
    #[error("cannot make a certificate for the simulator")]
    Certificate(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// A running simulation; dropping it stops it.
#[derive(Debug)]
pub struct Server {
    endpoint: String,
    ca_pem: Option<String>,
    control: Control,
    stop: watch::Sender<bool>,
    accepting: Option<JoinHandle<()>>,
}

/// Starts a simulation on 127.0.0.1.
#[expect(clippy::disallowed_methods, reason = "the server's accept loop is a task")]
pub async fn serve(spec: Spec, options: ServeOptions) -> Result<Server, StartError> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, options.port));
    let listen = |source| StartError::Listen { port: options.port, source };
    let listener = TcpListener::bind(address).await.map_err(listen)?;
    let port = listener.local_addr().map_err(listen)?.port();
    let identity = if options.tls { Some(tls::identity().map_err(StartError::Certificate)?) } else { None };
    let (core, tasks) = Core::new(spec).map_err(StartError::Log)?;
    let (stop, stopped) = watch::channel(false);
    let (acceptor, ca_pem) = match identity {
        Some(Identity { acceptor, ca_pem }) => (Some(acceptor), Some(ca_pem)),
        None => (None, None),
    };
    let scheme = if acceptor.is_some() { "https" } else { "http" };
    let endpoint = format!("{scheme}://127.0.0.1:{port}");
    let shared = Shared { core: core.clone(), endpoint: endpoint.clone() };
    let accepting = tokio::spawn(accept((listener, tasks), acceptor, shared, stopped));
    Ok(Server { endpoint, ca_pem, control: Control { core }, stop, accepting: Some(accepting) })
}

/// What every connection needs.
#[derive(Clone)]
struct Shared {
    core: Arc<Core>,
    endpoint: String,
}

impl Server {
    /// `http://127.0.0.1:PORT`, or `https://…` with TLS.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The certificate authority that clients have to trust, where TLS is on.
    pub fn ca_pem(&self) -> Option<&str> {
        self.ca_pem.as_deref()
    }

    /// The first region that has a fleet.
    pub fn region(&self) -> &str {
        self.control.core.spec.regions.first().map_or("us-east-1", String::as_str)
    }

    /// The access key that the simulation accepts. It is not a real one.
    pub fn access_key(&self) -> &str {
        credentials::ACCESS_KEY
    }

    /// The secret that belongs to it; signatures are not checked.
    pub fn secret_key(&self) -> &str {
        credentials::SECRET_KEY
    }

    /// The account that the key belongs to.
    pub fn account(&self) -> &str {
        credentials::ACCOUNT
    }

    /// The handle for tests and rehearsals.
    pub fn control(&self) -> Control {
        self.control.clone()
    }

    /// Stops listening, closes every connection and drops what is held.
    pub async fn shutdown(mut self) {
        self.halt();
        if let Some(accepting) = self.accepting.take() {
            let _ended_by_the_stop_signal = accepting.await;
        }
    }

    fn halt(&self) {
        self.stop.send_replace(true);
        self.control.core.state().holds.release_all();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.halt();
    }
}

/// Waits until the server is to stop.
async fn ended(stopped: &mut watch::Receiver<bool>) {
    let _server_gone_counts_as_stopped = stopped.wait_for(|stopped| *stopped).await;
}

#[expect(clippy::disallowed_methods, reason = "every connection is a task, and every session")]
async fn accept(
    (listener, mut tasks): (TcpListener, UnboundedReceiver<Task>),
    acceptor: Option<TlsAcceptor>,
    shared: Shared,
    mut stopped: watch::Receiver<bool>,
) {
    loop {
        let stream = tokio::select! {
            () = ended(&mut stopped) => return,
            Some(task) = tasks.recv() => {
                tokio::spawn(until_stopped(task, stopped.clone()));
                continue;
            }
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(_) => {
                    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                    continue;
                }
            },
        };
        tokio::spawn(connection(stream, acceptor.clone(), shared.clone(), stopped.clone()));
    }
}

async fn until_stopped(task: Task, mut stopped: watch::Receiver<bool>) {
    tokio::select! {
        () = task => {}
        () = ended(&mut stopped) => {}
    }
}

async fn connection(
    stream: TcpStream,
    acceptor: Option<TlsAcceptor>,
    shared: Shared,
    stopped: watch::Receiver<bool>,
) {
    let _only_speed = stream.set_nodelay(true);
    match acceptor {
        None => requests(stream, shared, stopped).await,
        Some(acceptor) => {
            if let Ok(stream) = acceptor.accept(stream).await {
                requests(stream, shared, stopped).await;
            }
        }
    }
}

async fn requests(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    shared: Shared,
    mut stopped: watch::Receiver<bool>,
) {
    let service = service_fn(|request| respond(request, shared.clone()));
    let connection = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    tokio::select! {
        // A client that goes away and an answer that is withheld both end here; neither is anybody's error.
        _ended = connection => {}
        () = ended(&mut stopped) => {}
    }
}

/// The connection is to be closed without an answer.
#[derive(Debug, thiserror::Error)]
#[error("connection dropped on purpose")]
struct Dropped;

/// Answers in a task of its own, so that a request takes effect even when its client is gone.
#[expect(clippy::disallowed_methods, reason = "a request outlives its connection")]
async fn respond(
    mut request: Request<Body>,
    Shared { core, endpoint }: Shared,
) -> Result<Response<Payload>, Dropped> {
    let upgrade = is_upgrade(&request).then(|| hyper::upgrade::on(&mut request));
    let (parts, body) = request.into_parts();
    let body = Limited::new(body, BODY_LIMIT).collect().await.map_err(|_| Dropped)?.to_bytes();
    if let Some(name) = parts.uri.path().strip_prefix("/_sim/") {
        let (status, body) =
            control_http::answer(&Control { core }, parts.method == Method::POST, name, &body).await;
        let response = Response::builder().status(status).header(CONTENT_TYPE, "application/json");
        return response.body(Payload::whole(body)).map_err(|_| Dropped);
    }
    let is_head = parts.method == Method::HEAD;
    let incoming = incoming(&parts, &body, endpoint);
    if let Some(door) = Door::of(parts.uri.path()) {
        return visit(&core, door, &incoming, upgrade);
    }
    let answering = tokio::spawn(async move { core.process(incoming).await });
    let Outgoing { reply, request_id, date } = answering.await.map_err(|_| Dropped)?;
    let reply = reply.ok_or(Dropped)?;
    let mut response = Response::builder()
        .status(reply.status)
        .header(DATE, date)
        .header(SERVER, concat!("herder-sim/", env!("CARGO_PKG_VERSION")))
        .header("x-amzn-RequestId", request_id);
    if !reply.content_type.is_empty() {
        response = response.header(CONTENT_TYPE, reply.content_type);
    }
    if is_head {
        response = response.header(CONTENT_LENGTH, reply.length());
    }
    for (name, value) in reply.headers {
        response = response.header(name, value);
    }
    let payload = match reply.stream {
        _ if is_head => Payload::whole(Vec::new()),
        Some((content, from, to)) => {
            let cut = reply.cut.map_or(to, |cut| from.saturating_add(cut).min(to));
            Payload::Made { content, at: from, end: to, cut, is_sent: false }
        }
        None => Payload::whole(reply.body),
    };
    response.body(payload).map_err(|_| Dropped)
}

/// True where a request wants to become a WebSocket.
fn is_upgrade(request: &Request<Body>) -> bool {
    let has = |name: HeaderName, wanted: &str| {
        let value = request.headers().get(name).and_then(|value| value.to_str().ok());
        value.is_some_and(|value| value.to_lowercase().contains(wanted))
    };
    request.method() == Method::GET && has(CONNECTION, "upgrade") && has(UPGRADE, "websocket")
}

/// Answers a request to the gateway.
fn visit(
    core: &Arc<Core>,
    door: Door,
    incoming: &Incoming,
    upgrade: Option<OnUpgrade>,
) -> Result<Response<Payload>, Dropped> {
    let reply = match gateway::decide(core, &door, incoming, upgrade.is_some()) {
        Verdict::Dropped => return Err(Dropped),
        Verdict::Reply(reply) => reply,
        Verdict::Open => {
            let key = incoming.header("sec-websocket-key").ok_or(Dropped)?;
            let upgrade = upgrade.ok_or(Dropped)?;
            let welcoming = core.clone();
            core.run(Box::pin(async move {
                if let Ok(io) = upgrade.await {
                    gateway::welcome(welcoming, door, io).await;
                }
            }));
            let response = Response::builder()
                .status(101)
                .header(CONNECTION, "Upgrade")
                .header(UPGRADE, "websocket")
                .header(SEC_WEBSOCKET_ACCEPT, gateway::accept_key(key));
            return response.body(Payload::whole(Vec::new())).map_err(|_| Dropped);
        }
    };
    let response = Response::builder().status(reply.status).header(CONTENT_TYPE, reply.content_type);
    response.body(Payload::whole(reply.body)).map_err(|_| Dropped)
}

fn incoming(parts: &Parts, body: &[u8], endpoint: String) -> Incoming {
    let text = |(name, value): (&HeaderName, &HeaderValue)| {
        Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
    };
    Incoming {
        method: parts.method.as_str().to_owned(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: parts.headers.iter().filter_map(text).collect(),
        body: body.to_vec(),
        endpoint,
    }
}
