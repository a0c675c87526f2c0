//! One connection: TCP, a proxy's tunnel, TLS, the signed upgrade, and the message that opens the channel.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue, StatusCode};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error as WebSocketError, Message};

use super::control::{Control, ControlError};
use super::endpoint::{Endpoint, EndpointError, StreamPolicy};
use super::proxy::Proxy;

/// A WebSocket message of more than this is not one of ours: official chunks have 1 KiB, herder's at most 32.
const MAX_MESSAGE: usize = 4 << 20;

/// What carries a WebSocket.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

pub(super) type Socket = WebSocketStream<Box<dyn Stream>>;

/// Says which proxy leads to a host, if one does.
pub type ProxyFor = Arc<dyn Fn(&str) -> Option<Proxy> + Send + Sync>;

/// How connections are made.
#[derive(Clone)]
pub struct DialOptions {
    /// Which addresses are good.
    pub policy: StreamPolicy,
    /// Roots of trust and the like. ALPN is left out.
    pub tls: Arc<ClientConfig>,
    /// Which proxy leads to a host; asked for every connection.
    pub proxy_for: ProxyFor,
    /// How long all of a connection may take.
    pub within: Duration,
}

impl std::fmt::Debug for DialOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut debug = f.debug_struct("DialOptions");
        debug.field("policy", &self.policy).field("within", &self.within).finish_non_exhaustive()
    }
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DialError {
    /// The address is not connected to.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// Something on the way is not there, or hangs up.
    #[error("could not talk to {what}")]
    Network {
        /// Whom.
        what: String,
        /// What the system says.
        source: io::Error,
    },
    /// The proxy makes no tunnel.
    #[error("the proxy {proxy} does not connect: {answer}")]
    Proxy {
        /// The proxy, without its password.
        proxy: String,
        /// Its status line.
        answer: String,
    },
    /// There are no credentials to sign with.
    #[error("the connection could not be signed")]
    Sign(#[source] ControlError),
    /// The service does not want the connection.
    #[error("{host} refused the connection with HTTP {status}{}", if .body.is_empty() { "" } else { ": " }.to_owned() + .body)]
    Refused {
        /// Whom.
        host: String,
        /// The status.
        status: u16,
        /// The beginning of what it says.
        body: String,
    },
    /// It did not speak WebSocket.
    #[error("{host} does not speak WebSocket")]
    Protocol {
        /// Whom.
        host: String,
        /// What is wrong.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It took too long.
    #[error("no connection to {what} within {} s", .within.as_secs())]
    TimedOut {
        /// To whom.
        what: String,
        /// How long it might have taken.
        within: Duration,
    },
}

impl DialError {
    /// Whether token, signature or permission are at fault, or a proxy wants a login. A throttle is none of it.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        match self {
            DialError::Refused { status: 400..=499, .. } => !self.is_throttle(),
            DialError::Proxy { answer, .. } => answer.split_whitespace().nth(1) == Some("407"),
            _ => false,
        }
    }

    fn is_throttle(&self) -> bool {
        matches!(self, DialError::Refused { status: 408 | 425 | 429, .. })
    }

    /// Whether another try with the same would end the same.
    pub(super) fn is_final(&self) -> bool {
        match self {
            DialError::Endpoint(_) => true,
            DialError::Sign(error) => !error.is_transient,
            _ => false,
        }
    }
}

/// Connects, and opens the channel with `opening` (TEXT).
pub(super) async fn dial<C: Control>(
    options: &DialOptions,
    control: &C,
    stream_url: &str,
    opening: String,
) -> Result<Socket, DialError> {
    let endpoint = Endpoint::new(stream_url, &options.policy)?;
    let within = options.within;
    match tokio::time::timeout(within, connect(options, control, &endpoint, opening)).await {
        Ok(result) => result,
        Err(_) => Err(DialError::TimedOut { what: endpoint.host, within }),
    }
}

async fn connect<C: Control>(
    options: &DialOptions,
    control: &C,
    endpoint: &Endpoint,
    opening: String,
) -> Result<Socket, DialError> {
    // Signed first: a signature is good for minutes, and asking for credentials may take a while.
    let request = signed(control, endpoint).await?;
    let stream = transport(options, endpoint).await?;
    let config = WebSocketConfig::default()
        .max_message_size(Some(MAX_MESSAGE))
        .max_frame_size(Some(MAX_MESSAGE))
        .max_write_buffer_size(1 << 20);
    let upgraded = tokio_tungstenite::client_async_with_config(request, stream, Some(config)).await;
    let (mut socket, _) = upgraded.map_err(|error| upgrade_error(endpoint, error))?;
    use futures_util::SinkExt;
    socket.send(Message::text(opening)).await.map_err(|error| upgrade_error(endpoint, error))?;
    Ok(socket)
}

async fn signed<C: Control>(control: &C, endpoint: &Endpoint) -> Result<Request, DialError> {
    let unreadable = || DialError::Endpoint(EndpointError::Unreadable(endpoint.host.clone()));
    let mut request = endpoint.url().into_client_request().map_err(|_| unreadable())?;
    if let Some(upgrade) = endpoint.upgrade() {
        for (name, value) in control.sign(&upgrade).await.map_err(DialError::Sign)? {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| unreadable())?;
            let mut value = HeaderValue::from_str(&value).map_err(|_| unreadable())?;
            value.set_sensitive(true);
            request.headers_mut().insert(name, value);
        }
    }
    Ok(request)
}

async fn transport(options: &DialOptions, endpoint: &Endpoint) -> Result<Box<dyn Stream>, DialError> {
    let mut stream: Box<dyn Stream> = match (options.proxy_for)(&endpoint.host) {
        None => Box::new(tcp(&endpoint.host, endpoint.port).await?),
        Some(proxy) => {
            let tcp = tcp(&proxy.host, proxy.port).await?;
            let mut stream: Box<dyn Stream> =
                if proxy.is_tls { tls(options, &proxy.host, tcp).await? } else { Box::new(tcp) };
            proxy.tunnel(&mut stream, &format!("{}:{}", endpoint.host, endpoint.port)).await?;
            stream
        }
    };
    if endpoint.is_tls {
        stream = tls(options, &endpoint.host, stream).await?;
    }
    Ok(stream)
}

async fn tcp(host: &str, port: u16) -> Result<TcpStream, DialError> {
    let lost = |source| DialError::Network { what: format!("{host}:{port}"), source };
    let name = host.trim_start_matches('[').trim_end_matches(']');
    let stream = TcpStream::connect((name, port)).await.map_err(lost)?;
    // A keystroke is a small packet, and waits for nothing.
    stream.set_nodelay(true).map_err(lost)?;
    Ok(stream)
}

async fn tls<S>(options: &DialOptions, host: &str, stream: S) -> Result<Box<dyn Stream>, DialError>
where
    S: Stream + 'static,
{
    let mut config = ClientConfig::clone(&options.tls);
    // WebSockets are upgraded from HTTP/1.1; a configuration made for HTTP/2 would offer that.
    config.alpn_protocols.clear();
    let name = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let name = ServerName::try_from(name).map_err(|_| EndpointError::Unreadable(host.to_owned()))?;
    let connected = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
    let stream =
        connected.map_err(|source| DialError::Network { what: format!("{host} over TLS"), source })?;
    Ok(Box::new(stream))
}

fn upgrade_error(endpoint: &Endpoint, error: WebSocketError) -> DialError {
    let host = endpoint.host.clone();
    match error {
        WebSocketError::Http(response) if response.status() != StatusCode::SWITCHING_PROTOCOLS => {
            let status = response.status().as_u16();
            let body = response.into_body().unwrap_or_default();
            let body = String::from_utf8_lossy(&body).split_whitespace().collect::<Vec<_>>().join(" ");
            DialError::Refused { host, status, body: body.chars().take(300).collect() }
        }
        WebSocketError::Io(source) => DialError::Network { what: host, source },
        other => DialError::Protocol { host, source: Box::new(other) },
    }
}
