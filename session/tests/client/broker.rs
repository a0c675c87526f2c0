//! A service and an agent in one: takes connections, refuses or breaks them as told, and plays the agent over all of them.

use std::collections::VecDeque;
use std::future::{pending, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::task::{Poll, ready};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use herder_session::channel::ChannelOptions;
use herder_session::client::{
    Control, ControlError, DialOptions, HeaderPair, LivenessOptions, Opened, Resumption, Session, SessionEnd,
    SessionEvent, SessionOptions, StreamPolicy, UpgradeRequest,
};
use herder_session::crypto::DataKey;
use herder_session::end::{AgentEnd, AgentEvent, AgentOptions};
use herder_session::frame::{DigestCheck, Flags, Frame, Header, MessageId, MessageType, PayloadType};
use herder_session::handshake::{AgentPlan, GeneratedKey};
use herder_session::payload::{ChannelClosed, JsonPayload, OpenDataChannel, SessionType};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

pub(crate) const KEY: [u8; 64] = [5; 64];

/// What to do with a connection.
#[derive(Debug, Clone)]
pub(crate) enum Visit {
    /// Answer the upgrade with this status and text.
    Refuse(u16, &'static str),
    /// Serve until told otherwise.
    Serve,
    /// Serve so many messages of the agent, then close with `1000 Bye`.
    Bye(usize),
    /// Serve so many messages of the agent, then drop the connection.
    Drop(usize),
    /// Take the connection and never say anything, not even pong.
    BlackHole,
}

/// What a test wants of a broker that runs.
#[derive(Debug)]
pub(crate) enum Order {
    Output(Bytes),
    StdErr(Bytes),
    ExitCode(i32),
    Ready(bool),
    Bye,
    Drop,
    Close(&'static str),
    /// Alters the next message, which comes too late for a digest to tell.
    Alter,
}

/// What a broker saw.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Request lines' paths, with the signature header.
    pub(crate) requests: Vec<(String, Option<String>)>,
    pub(crate) openings: Vec<OpenDataChannel>,
    pub(crate) input: Vec<u8>,
    pub(crate) events: Vec<AgentEvent>,
    pub(crate) sent_bytes: usize,
}

pub(crate) struct Broker {
    pub(crate) address: SocketAddr,
    pub(crate) seen: Arc<Mutex<Seen>>,
    orders: mpsc::UnboundedSender<Order>,
}

struct Agent {
    end: AgentEnd,
    epoch: Instant,
    echoes: bool,
    alters: bool,
    seen: Arc<Mutex<Seen>>,
}

impl Agent {
    fn now(&self) -> Duration {
        self.epoch.elapsed()
    }

    /// Looks at what came; gives what the service would close the session with.
    fn look(&mut self) -> Option<String> {
        loop {
            let event = match self.end.next_event(self.now()) {
                Ok(Some(event)) => event,
                Ok(None) => return None,
                Err(error) => return Some(error.to_string()),
            };
            match &event {
                AgentEvent::Input(bytes) => {
                    self.seen.lock().unwrap().input.extend_from_slice(bytes);
                    if self.echoes {
                        self.end.output(bytes.clone());
                    }
                }
                AgentEvent::DecryptionNeeded { .. } => {
                    self.end.data_key(self.now(), Ok(DataKey::new(&KEY).unwrap())).unwrap();
                }
                _ => {}
            }
            if !matches!(event, AgentEvent::Input(_)) {
                self.seen.lock().unwrap().events.push(event);
            }
        }
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Output(bytes) => self.end.output(bytes),
            Order::StdErr(bytes) => self.end.std_err(bytes),
            Order::ExitCode(code) => self.end.exit_code(code),
            Order::Ready(is_ready) => {
                self.end.set_ready(is_ready);
                self.look();
            }
            Order::Alter => self.alters = true,
            Order::Bye | Order::Drop | Order::Close(_) => {}
        }
    }
}

/// The next message of the agent's, altered if that is wanted.
fn transmit(end: &mut AgentEnd, now: Duration, alters: &mut bool) -> Option<Bytes> {
    let wire = end.transmit(now)?;
    let Frame { header, payload } = Frame::decode(wire.clone(), DigestCheck::Skipped).unwrap();
    if header.message_type != MessageType::OutputStreamData || !std::mem::take(alters) {
        return Some(wire);
    }
    let mut payload = payload.to_vec();
    *payload.last_mut().unwrap() ^= 1;
    Some(Frame { header, payload: payload.into() }.encode())
}

/// A plan of an agent that encrypts nothing.
pub(crate) fn plan(session_type: SessionType) -> AgentPlan {
    AgentPlan {
        agent_version: "3.3.0.0".into(),
        session_type,
        properties: serde_json::Value::Null,
        encryption: None,
        customer_message: "Welcome.".into(),
    }
}

impl Broker {
    /// Begins to listen. Visits are used up in order; the rest is served.
    pub(crate) async fn start(plan: AgentPlan, echoes: bool, visits: &[Visit]) -> Broker {
        Broker::with_channel(plan, echoes, visits, ChannelOptions::agent(7, 1)).await
    }

    pub(crate) async fn with_channel(
        plan: AgentPlan,
        echoes: bool,
        visits: &[Visit],
        channel: ChannelOptions,
    ) -> Broker {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let (orders, mut receiver) = mpsc::unbounded_channel();
        let mut visits: VecDeque<Visit> = visits.iter().cloned().collect();
        let epoch = Instant::now();
        let end = AgentEnd::new(Duration::ZERO, AgentOptions::new(channel, plan, [3; 32]));
        let mut agent = Agent { end, epoch, echoes, alters: false, seen: seen.clone() };
        tokio::spawn(async move {
            agent.look();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                let visit = visits.pop_front().unwrap_or(Visit::Serve);
                // A connection that fails is what most of the tests are about.
                let _broken = serve(stream, visit, &mut agent, &mut receiver).await;
                agent.end.disconnected();
            }
        });
        Broker { address, seen, orders }
    }

    pub(crate) fn order(&self, order: Order) {
        self.orders.send(order).unwrap();
    }

    pub(crate) fn opened(&self) -> Opened {
        Opened {
            session_id: "s-1".into(),
            target: "i-1".into(),
            stream_url: format!("ws://{}/v1/data-channel/s-1?role=publish_subscribe&n=1", self.address),
            token: "token-0".into(),
        }
    }
}

async fn serve(
    stream: TcpStream,
    visit: Visit,
    agent: &mut Agent,
    orders: &mut mpsc::UnboundedReceiver<Order>,
) -> io::Result<()> {
    let seen = agent.seen.clone();
    let callback = |request: &Request, response: Response| -> Result<Response, ErrorResponse> {
        let signature =
            request.headers().get("authorization").map(|value| value.to_str().unwrap().to_owned());
        seen.lock().unwrap().requests.push((request.uri().to_string(), signature));
        match &visit {
            Visit::Refuse(status, body) => {
                let mut refusal = ErrorResponse::new(Some((*body).to_owned()));
                *refusal.status_mut() = (*status).try_into().unwrap();
                refusal.headers_mut().insert("content-length", body.len().into());
                Err(refusal)
            }
            _ => Ok(response),
        }
    };
    let mut socket = tokio_tungstenite::accept_hdr_async(stream, callback).await.map_err(io::Error::other)?;
    if matches!(visit, Visit::BlackHole) {
        // Held open, never read.
        tokio::time::sleep(Duration::from_secs(2)).await;
        return Ok(());
    }
    let Some(Ok(Message::Text(opening))) = socket.next().await else { return Ok(()) };
    let opening = OpenDataChannel::from_json(opening.as_bytes()).unwrap();
    agent.seen.lock().unwrap().openings.push(opening);
    socket.send(control(MessageType::StartPublication, Bytes::new())).await.map_err(io::Error::other)?;
    let now = agent.now();
    agent.end.connected(now);
    let mut left = match visit {
        Visit::Bye(messages) | Visit::Drop(messages) => messages,
        _ => usize::MAX,
    };
    let (mut sink, mut stream) = socket.split();
    loop {
        agent.end.expire(agent.now()).unwrap();
        let timer = agent.end.deadline().map(|deadline| agent.epoch + deadline);
        let timer = async {
            match timer {
                Some(deadline) => tokio::time::sleep_until(deadline).await,
                None => pending().await,
            }
        };
        // As a service does, it reads while it can't write.
        let (end, seen, epoch, alters) = (&mut agent.end, &agent.seen, agent.epoch, &mut agent.alters);
        let writing = poll_fn(|cx| -> Poll<io::Result<()>> {
            while left > 0 {
                ready!(sink.poll_ready_unpin(cx)).map_err(io::Error::other)?;
                let Some(wire) = transmit(end, epoch.elapsed(), alters) else { break };
                left -= 1;
                seen.lock().unwrap().sent_bytes += wire.len();
                sink.start_send_unpin(Message::Binary(wire)).map_err(io::Error::other)?;
            }
            ready!(sink.poll_flush_unpin(cx)).map_err(io::Error::other)?;
            if left == 0 { Poll::Ready(Ok(())) } else { Poll::Pending }
        });
        tokio::select! {
            biased;
            // Before what the client sends after it.
            Some(order) = orders.recv() => match order {
                Order::Bye => return bye(sink.reunite(stream).unwrap()).await,
                Order::Drop => return Ok(()),
                Order::Close(output) => {
                    let now = agent.now();
                    while let Some(wire) = transmit(&mut agent.end, now, &mut agent.alters) {
                        sink.send(Message::Binary(wire)).await.map_err(io::Error::other)?;
                    }
                    let closed = ChannelClosed { output: output.into(), ..ChannelClosed::default() };
                    sink.send(control(MessageType::ChannelClosed, closed.to_json())).await.map_err(io::Error::other)?;
                }
                order => agent.obey(order),
            },
            message = stream.next() => match message {
                Some(Ok(Message::Binary(wire))) => {
                    agent.end.receive(agent.now(), wire).unwrap();
                    if let Some(output) = agent.look() {
                        let closed = ChannelClosed { output, ..ChannelClosed::default() };
                        let closed = control(MessageType::ChannelClosed, closed.to_json());
                        sink.send(closed).await.map_err(io::Error::other)?;
                    }
                }
                Some(Ok(Message::Close(_))) | Some(Err(_)) | None => return Ok(()),
                Some(Ok(_)) => {}
            },
            written = writing => {
                written?;
                return if matches!(visit, Visit::Bye(_)) { bye(sink.reunite(stream).unwrap()).await } else { Ok(()) };
            }
            () = timer => {}
        }
    }
}

async fn bye(mut socket: WebSocketStream<TcpStream>) -> io::Result<()> {
    let frame = CloseFrame { code: CloseCode::Normal, reason: "Bye".into() };
    socket.close(Some(frame)).await.map_err(io::Error::other)?;
    while let Some(Ok(_)) = socket.next().await {}
    Ok(())
}

fn control(message_type: MessageType, payload: Bytes) -> Message {
    let header = Header {
        message_type,
        schema_version: 1,
        created_ms: 1,
        sequence: 0,
        flags: Flags::NONE,
        id: MessageId::from_u128(1),
        payload_type: PayloadType::None,
    };
    Message::Binary(Frame { header, payload }.encode())
}

/// AWS, as far as a session needs it.
#[derive(Clone, Default)]
pub(crate) struct Aws {
    pub(crate) inner: Arc<Mutex<AwsState>>,
}

#[derive(Default)]
pub(crate) struct AwsState {
    /// What resuming gives instead of another token.
    pub(crate) resumption: Option<Resumption>,
    /// Calls of ResumeSession that fail for now.
    pub(crate) failures: u32,
    pub(crate) resumes: u32,
    pub(crate) signatures: u32,
    pub(crate) denies_key: bool,
    pub(crate) contexts: Vec<Vec<(String, String)>>,
}

impl Control for Aws {
    async fn resume(&self, session_id: &str) -> Result<Resumption, ControlError> {
        assert_eq!(session_id, "s-1");
        let mut state = self.inner.lock().unwrap();
        if state.failures > 0 {
            state.failures -= 1;
            return Err(ControlError { what: "ResumeSession".into(), is_transient: true, source: None });
        }
        state.resumes += 1;
        let token = format!("token-{}", state.resumes);
        Ok(state.resumption.clone().unwrap_or(Resumption::Open { stream_url: None, token }))
    }

    async fn sign(&self, request: &UpgradeRequest) -> Result<Vec<HeaderPair>, ControlError> {
        assert!(request.url.ends_with("?role=publish_subscribe&n=1"), "{request:?}");
        let mut state = self.inner.lock().unwrap();
        state.signatures += 1;
        Ok(vec![("Authorization".into(), format!("signature {}", state.signatures))])
    }

    async fn generate_data_key(
        &self,
        key_id: &str,
        context: &[(String, String)],
    ) -> Result<GeneratedKey, ControlError> {
        let mut state = self.inner.lock().unwrap();
        state.contexts.push(context.to_vec());
        if state.denies_key {
            let source = Some("AccessDeniedException".into());
            return Err(ControlError {
                what: format!("kms:GenerateDataKey on {key_id}"),
                is_transient: false,
                source,
            });
        }
        Ok(GeneratedKey { plaintext: DataKey::new(&KEY).unwrap(), ciphertext: b"sealed".to_vec() })
    }
}

pub(crate) fn options() -> SessionOptions {
    let dial = DialOptions {
        policy: StreamPolicy::Any,
        tls: Arc::new(trusting(RootCertStore::empty())),
        proxy_for: Arc::new(|_| None),
        within: Duration::from_secs(5),
    };
    let liveness =
        LivenessOptions { ping_every: Duration::from_secs(5), dead_after: Duration::from_secs(20) };
    SessionOptions { liveness, ..SessionOptions::new(dial, Arc::new(|| SystemTime::UNIX_EPOCH), [9; 32]) }
}

pub(crate) fn trusting(roots: RootCertStore) -> ClientConfig {
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    builder.with_root_certificates(roots).with_no_client_auth()
}

/// The next event, or a failure after a while.
pub(crate) async fn next(session: &mut Session) -> SessionEvent {
    let next = tokio::time::timeout(Duration::from_secs(20), session.events.next()).await;
    next.expect("nothing happens").expect("the last event is over")
}

/// Waits for so many bytes of output; what else comes is given too.
pub(crate) async fn read(session: &mut Session, length: usize) -> (Vec<u8>, Vec<SessionEvent>) {
    let (mut output, mut others) = (Vec::new(), Vec::new());
    while output.len() < length {
        match next(session).await {
            SessionEvent::Output(bytes) => output.extend_from_slice(&bytes),
            SessionEvent::Closed(end) => panic!("{end} after {} bytes, {others:?}", output.len()),
            other => others.push(other),
        }
    }
    (output, others)
}

/// Waits for the end.
pub(crate) async fn end(session: &mut Session) -> SessionEnd {
    loop {
        if let SessionEvent::Closed(end) = next(session).await {
            assert_eq!(session.events.next().await, None);
            return end;
        }
    }
}

/// Waits until something is so.
pub(crate) async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..2000 {
        if is_so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{what} has not happened");
}

/// Bytes that repeat only after long.
pub(crate) fn pattern(length: usize) -> Vec<u8> {
    let mut state = 1_u32;
    (0..length)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        })
        .collect()
}
