//! A client of sessions: the calls, and the client's end of a channel on a socket.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use herder_session::channel::ChannelOptions;
use herder_session::crypto::DataKey;
use herder_session::end::{ClientEnd, ClientError, ClientEvent, ClientOptions};
use herder_session::handshake::{GeneratedKey, HandshakeError, Started};
use herder_session::link::{Incoming, LinkEnded, LinkSink, LinkSource};
use herder_session::payload::{SessionFlag, TerminalSize};
use herder_sim::{ServeOptions, Server, SessionRecord, serve};
use ring::hmac::{HMAC_SHA256, Key, sign};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

/// A connection, with TLS or without.
pub(crate) trait Io: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

pub(crate) type Ws = WebSocketStream<Box<dyn Io>>;

/// Longest that anything in a test takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) async fn start(spec: &str) -> Server {
    serve(spec.parse().unwrap(), ServeOptions::default()).await.unwrap()
}

/// Where a simulation listens.
pub(crate) fn address(server: &Server) -> String {
    server.endpoint().split("://").nth(1).unwrap().to_owned()
}

/// Connects to a simulation.
pub(crate) async fn connect(server: &Server) -> Box<dyn Io> {
    let stream = TcpStream::connect(address(server)).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let Some(pem) = server.ca_pem() else { return Box::new(stream) };
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(default_provider().into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    Box::new(TlsConnector::from(std::sync::Arc::new(config)).connect(name, stream).await.unwrap())
}

/// Sends a request and reads the answer to its end: status and body.
pub(crate) async fn ask(server: &Server, text: &str) -> (u16, String) {
    let mut stream = connect(server).await;
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _no_proper_end_of_tls = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

/// The first Linux node.
pub(crate) fn node(server: &Server) -> String {
    let nodes = server.control().nodes();
    nodes.into_iter().find(|node| node.platform == "Linux").unwrap().id
}

pub(crate) fn windows_node(server: &Server) -> String {
    let nodes = server.control().nodes();
    nodes.into_iter().find(|node| node.platform == "Windows").unwrap().id
}

/// An awsJson call: status and answer.
pub(crate) async fn call(server: &Server, target: &str, body: &Value) -> (u16, Value) {
    let service = if target.starts_with("Trent") { "kms" } else { "ssm" };
    let body = body.to_string();
    let head = format!(
        "POST / HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nX-Amz-Target: {target}\r\nAuthorization: AWS4-HMAC-SHA256 Credential={}/20260501/us-east-1/{service}/aws4_request, SignedHeaders=host, Signature=00\r\nContent-Length: {}\r\n\r\n{body}",
        address(server),
        server.access_key(),
        body.len()
    );
    let (status, body) = ask(server, &head).await;
    (status, serde_json::from_str(&body).unwrap())
}

pub(crate) async fn ssm(server: &Server, api: &str, body: Value) -> Value {
    let (status, answer) = call(server, &format!("AmazonSSM.{api}"), &body).await;
    assert_eq!(status, 200, "{api}: {answer}");
    answer
}

/// A session that was opened.
#[derive(Debug, Clone)]
pub(crate) struct Opened {
    pub(crate) id: String,
    pub(crate) url: String,
    pub(crate) token: String,
}

impl Opened {
    pub(crate) fn read(answer: &Value) -> Opened {
        let text = |name: &str| answer[name].as_str().unwrap().to_owned();
        Opened { id: text("SessionId"), url: text("StreamUrl"), token: text("TokenValue") }
    }
}

pub(crate) async fn open(server: &Server, target: &str, (document, parameters): (&str, Value)) -> Opened {
    let mut body = json!({"Target": target});
    if !document.is_empty() {
        body["DocumentName"] = json!(document);
        body["Parameters"] = parameters;
    }
    Opened::read(&ssm(server, "StartSession", body).await)
}

/// Dials a data channel, without its first message.
pub(crate) async fn dial(server: &Server, url: &str) -> Result<Ws, tokio_tungstenite::tungstenite::Error> {
    let scheme = if server.ca_pem().is_some() { "wss://" } else { "ws://" };
    assert!(url.starts_with(&format!("{scheme}{}", address(server))), "{url}");
    let request = url.into_client_request().unwrap();
    tokio_tungstenite::client_async(request, connect(server).await).await.map(|(socket, _)| socket)
}

/// The first message on a data channel.
pub(crate) fn first_word(token: &str) -> Message {
    let text = json!({"MessageSchemaVersion": "1.0", "RequestId": "11111111-2222-4333-8444-555555555555", "TokenValue": token,
        "ClientId": "66666666-2222-4333-8444-555555555555", "ClientVersion": "1.2.764.0"});
    Message::Text(text.to_string().into())
}

/// A client in a session.
pub(crate) struct Client<'a> {
    pub(crate) server: &'a Server,
    pub(crate) opened: Opened,
    target: String,
    pub(crate) end: ClientEnd,
    pub(crate) socket: Option<Ws>,
    origin: Instant,
    pub(crate) out: Vec<u8>,
    pub(crate) err: Vec<u8>,
    pub(crate) code: Option<i32>,
    pub(crate) started: Option<Started>,
    pub(crate) flags: Vec<SessionFlag>,
    /// Why the session ended.
    pub(crate) closed: Option<String>,
    pub(crate) failed: Option<ClientError>,
    /// Codes that the gateway closed connections with; 1006 where it said nothing.
    pub(crate) codes: Vec<u16>,
    /// Dials again when a connection ends.
    pub(crate) resumes: bool,
    pub(crate) away: u32,
    pub(crate) kms: bool,
    pub(crate) challenge: bool,
}

impl<'a> Client<'a> {
    pub(crate) async fn start(server: &'a Server, target: &str, document: (&str, Value)) -> Client<'a> {
        Client::start_with(server, target, document, |_| {}).await
    }

    /// Starts a session with a client of its own kind.
    pub(crate) async fn start_with(
        server: &'a Server,
        target: &str,
        document: (&str, Value),
        change: impl FnOnce(&mut ClientOptions),
    ) -> Client<'a> {
        let opened = open(server, target, document).await;
        let mut options = ClientOptions::new(ChannelOptions::client(7, 1_790_000_000_000), [9; 12]);
        change(&mut options);
        let origin = Instant::now();
        let mut client = Client {
            server,
            opened,
            target: target.to_owned(),
            end: ClientEnd::new(Duration::ZERO, options),
            socket: None,
            origin,
            out: Vec::new(),
            err: Vec::new(),
            code: None,
            started: None,
            flags: Vec::new(),
            closed: None,
            failed: None,
            codes: Vec::new(),
            resumes: true,
            away: 0,
            kms: true,
            challenge: true,
        };
        client.connect().await;
        client
    }

    fn now(&self) -> Duration {
        self.origin.elapsed()
    }

    pub(crate) async fn connect(&mut self) {
        let mut socket = dial(self.server, &self.opened.url).await.unwrap();
        socket.send(first_word(&self.opened.token)).await.unwrap();
        self.socket = Some(socket);
        self.end.connected(self.now());
    }

    /// Asks for the session again and dials; false where it is over, or cannot be reached yet.
    pub(crate) async fn resume(&mut self) -> bool {
        let (status, answer) =
            call(self.server, "AmazonSSM.ResumeSession", &json!({"SessionId": self.opened.id})).await;
        if status != 200 || answer["TokenValue"].is_null() {
            self.failed.get_or_insert(ClientError::NotStarted(Duration::ZERO));
            return false;
        }
        self.opened = Opened::read(&answer);
        match dial(self.server, &self.opened.url).await {
            Ok(mut socket) => {
                socket.send(first_word(&self.opened.token)).await.unwrap();
                self.socket = Some(socket);
                self.end.connected(self.now());
                true
            }
            Err(_) => {
                tokio::time::sleep(Duration::from_millis(50)).await;
                false
            }
        }
    }

    /// One step: sends what there is, and waits for what comes or is due.
    pub(crate) async fn step(&mut self) {
        let now = self.now();
        if let Err(error) = self.end.expire(now) {
            self.failed = Some(error);
            return;
        }
        let Some(socket) = &mut self.socket else {
            if self.resumes {
                self.resume().await;
            } else {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            return;
        };
        while let Some(frame) = self.end.transmit(now) {
            // A connection that broke is noticed by reading.
            let _broken = socket.feed(Message::Binary(frame)).await;
        }
        let _broken = socket.flush().await;
        let wait = self.end.deadline().map_or(Duration::from_millis(100), |at| at.saturating_sub(now));
        let received = timeout(wait.min(Duration::from_millis(100)), socket.next()).await;
        match received {
            Err(_) => {}
            Ok(Some(Ok(Message::Binary(frame)))) => {
                let now = self.now();
                // What cannot be read is sent again.
                let _damaged = self.end.receive(now, frame);
                self.take_events().await;
            }
            Ok(Some(Ok(Message::Close(frame)))) => {
                self.codes.push(frame.map_or(1005, |frame| frame.code.into()))
            }
            Ok(Some(Ok(_))) => {}
            Ok(Some(Err(_)) | None) => {
                self.socket = None;
                self.end.disconnected();
            }
        }
        let now = self.now();
        let _later = self.end.expire(now);
        self.take_events().await;
    }

    async fn take_events(&mut self) {
        loop {
            let now = self.now();
            let event = match self.end.next_event(now) {
                Ok(Some(event)) => event,
                Ok(None) => return,
                Err(error) => {
                    self.failed = Some(error);
                    return;
                }
            };
            match event {
                ClientEvent::DataKeyNeeded(mut request) => {
                    if !self.challenge {
                        request.challenge = None;
                    }
                    let context: serde_json::Map<String, Value> = request
                        .encryption_context(&self.opened.id, &self.target)
                        .into_iter()
                        .map(|(name, value)| (name, json!(value)))
                        .collect();
                    let body =
                        json!({"KeyId": request.key_id, "NumberOfBytes": 64, "EncryptionContext": context});
                    let (status, answer) = call(self.server, "TrentService.GenerateDataKey", &body).await;
                    let blob =
                        |name: &str| STANDARD.decode(answer[name].as_str().unwrap_or_default()).unwrap();
                    let key = if status == 200 && self.kms {
                        Ok(GeneratedKey {
                            plaintext: DataKey::new(&blob("Plaintext")).unwrap(),
                            ciphertext: blob("CiphertextBlob"),
                        })
                    } else {
                        Err(HandshakeError::NoKey { key_id: request.key_id, why: answer.to_string() })
                    };
                    let now = self.now();
                    self.end.data_key(now, key).unwrap();
                }
                ClientEvent::Started(started) => self.started = Some(*started),
                ClientEvent::Output(bytes) => self.out.extend_from_slice(&bytes),
                ClientEvent::StdErr(bytes) => self.err.extend_from_slice(&bytes),
                ClientEvent::ExitCode(code) => self.code = Some(code),
                ClientEvent::Flag(flag) => self.flags.push(flag),
                ClientEvent::PeerAway => self.away += 1,
                ClientEvent::PeerPresent => {}
                ClientEvent::Closed { output, .. } => self.closed = Some(output),
                _ => {}
            }
        }
    }

    /// Goes on until something holds.
    pub(crate) async fn until(&mut self, what: &str, holds: impl Fn(&Client<'_>) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !holds(self) {
            assert!(Instant::now() < end, "{what}: {:?} {:?} {:?}", self.text(), self.closed, self.failed);
            assert!(
                self.closed.is_none() && self.failed.is_none() || holds(self),
                "{what}: over with {:?} {:?} {:?}",
                self.closed,
                self.failed,
                self.text()
            );
            self.step().await;
        }
    }

    /// Goes on until the session is over; what it said then.
    pub(crate) async fn over(&mut self) -> String {
        self.until("the session ends", |client| client.closed.is_some()).await;
        self.closed.clone().unwrap()
    }

    /// Goes on for a while.
    pub(crate) async fn stay(&mut self, time: Duration) {
        let end = Instant::now() + time;
        while Instant::now() < end && self.closed.is_none() {
            self.step().await;
        }
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.out).into_owned()
    }

    pub(crate) fn types(&mut self, text: &str) {
        self.end.input(Bytes::copy_from_slice(text.as_bytes()));
    }

    pub(crate) fn sends(&mut self, bytes: impl Into<Bytes>) {
        self.end.input(bytes.into());
    }

    pub(crate) fn resize(&mut self, cols: u32, rows: u32) {
        self.end.resize(TerminalSize { cols, rows });
    }

    /// Types a line and waits until a text shows up after it.
    pub(crate) async fn types_and_sees(&mut self, line: &str, wanted: &str) {
        let before = self.out.len();
        self.types(line);
        let wanted = wanted.to_owned();
        self.until(&format!("{wanted:?} after {line:?}"), |client| {
            String::from_utf8_lossy(&client.out[before..]).contains(&wanted)
        })
        .await;
    }

    pub(crate) fn record(&self) -> SessionRecord {
        record(self.server, &self.opened.id)
    }
}

pub(crate) fn record(server: &Server, id: &str) -> SessionRecord {
    server.control().sessions().into_iter().find(|session| session.id == id).unwrap()
}

/// Waits until something holds, with a bound.
pub(crate) async fn until(what: &str, holds: impl Fn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < end, "{what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The bytes of a port session, for a multiplexer.
pub(crate) struct Source(mpsc::Receiver<Incoming>);
pub(crate) struct Sink(mpsc::Sender<Incoming>);

impl LinkSource for Source {
    async fn next(&mut self) -> Result<Incoming, LinkEnded> {
        self.0.recv().await.ok_or_else(|| LinkEnded::new("over"))
    }
}

impl LinkSink for Sink {
    async fn send(&mut self, bytes: Bytes) -> Result<(), LinkEnded> {
        self.0.send(Incoming::Bytes(bytes)).await.map_err(|_| LinkEnded::new("over"))
    }

    async fn flag(&mut self, flag: SessionFlag) -> Result<(), LinkEnded> {
        self.0.send(Incoming::Flag(flag)).await.map_err(|_| LinkEnded::new("over"))
    }
}

/// What carries a link's bytes to a client and back.
pub(crate) struct Carrier {
    to_link: mpsc::Sender<Incoming>,
    from_link: mpsc::Receiver<Incoming>,
    taken: usize,
    shown: usize,
}

/// Two halves for a multiplexer, and what carries their bytes.
pub(crate) fn link() -> (Source, Sink, Carrier) {
    let (to_link, source) = mpsc::channel(64);
    let (sink, from_link) = mpsc::channel(64);
    (Source(source), Sink(sink), Carrier { to_link, from_link, taken: 0, shown: 0 })
}

impl Carrier {
    /// Carries bytes until the session ends.
    pub(crate) async fn carry(mut self, client: &mut Client<'_>) {
        while client.closed.is_none() && client.failed.is_none() {
            while client.end.pending_bytes() < 256 << 10 {
                match self.from_link.try_recv() {
                    Ok(Incoming::Bytes(bytes)) => client.sends(bytes),
                    Ok(Incoming::Flag(flag)) => client.end.flag(flag),
                    Err(mpsc::error::TryRecvError::Empty) => break,
                    Err(mpsc::error::TryRecvError::Disconnected) => return,
                }
            }
            client.quick_step().await;
            if !client.out.is_empty() {
                let bytes = Bytes::from(std::mem::take(&mut client.out));
                self.taken += bytes.len();
                if self.to_link.send(Incoming::Bytes(bytes)).await.is_err() {
                    return;
                }
            }
            for flag in client.flags.iter().skip(self.shown) {
                let _over = self.to_link.send(Incoming::Flag(*flag)).await;
            }
            self.shown = client.flags.len();
        }
    }
}

impl Client<'_> {
    /// A step that waits for a moment at most.
    pub(crate) async fn quick_step(&mut self) {
        let _in_time_or_not = timeout(Duration::from_millis(1), async {
            loop {
                self.step().await;
                if !self.out.is_empty() || !self.flags.is_empty() || self.closed.is_some() {
                    return;
                }
            }
        })
        .await;
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The time as signatures have it.
pub(crate) fn now() -> String {
    let seconds = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    jiff::Timestamp::from_second(seconds as i64).unwrap().strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// The `Authorization` of a request: method, path, query, body.
pub(crate) fn signed(
    server: &Server,
    (method, path, query, body): (&str, &str, &str, &str),
    (service, secret): (&str, &str),
    time: &str,
) -> String {
    let digest = |bytes: &[u8]| hex(ring::digest::digest(&ring::digest::SHA256, bytes).as_ref());
    let mut parts: Vec<&str> = query.split('&').filter(|part| !part.is_empty()).collect();
    parts.sort_unstable();
    let headers = format!("host:{}\nx-amz-date:{time}\n", address(server));
    let canonical = format!(
        "{method}\n{path}\n{}\n{headers}\nhost;x-amz-date\n{}",
        parts.join("&"),
        digest(body.as_bytes())
    );
    let day = &time[..8];
    let scope = format!("{day}/us-east-1/{service}/aws4_request");
    let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", digest(canonical.as_bytes()));
    let mut key = format!("AWS4{secret}").into_bytes();
    for part in [day, "us-east-1", service, "aws4_request", &text] {
        key = sign(&Key::new(HMAC_SHA256, &key), part.as_bytes()).as_ref().to_vec();
    }
    let credential = format!("{}/{scope}", server.access_key());
    format!(
        "AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host;x-amz-date, Signature={}",
        hex(&key)
    )
}
