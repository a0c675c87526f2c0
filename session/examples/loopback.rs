//! How many bytes a second a session carries over a WebSocket on loopback, without TLS: the client as it is, and as little as
//! possible at the other end.
//!
//! Both ends are this process: processor time is theirs together. `cargo run --release -p herder-session --example loopback`

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark measures time and prints figures"
)]

use std::future::{pending, poll_fn};
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use herder_session::channel::ChannelOptions;
use herder_session::client::{
    Control, ControlError, DialOptions, HeaderPair, Opened, Resumption, Session, SessionEvent,
    SessionOptions, StreamPolicy, UpgradeRequest,
};
use herder_session::end::{AgentEnd, AgentEvent, AgentOptions};
use herder_session::handshake::{AgentPlan, GeneratedKey};
use herder_session::payload::SessionType;
use rustix::time::{ClockId, clock_gettime};
use tokio::net::TcpListener;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::ring};
use tokio_tungstenite::tungstenite::Message;

/// What is carried in a run.
const TOTAL: usize = 256 << 20;

/// Round trips of a keystroke.
const ECHOES: usize = 2000;

/// What the agent does with the session.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Job {
    Discard,
    Generate,
    Echo,
}

#[tokio::main]
async fn main() {
    println!("frame bytes  direction  MB/s   MB per processor second");
    for chunk_bytes in [1024, 32 << 10] {
        for job in [Job::Discard, Job::Generate] {
            let (begun, used) = (Instant::now(), processor_time());
            carry(job, chunk_bytes).await;
            let rate = |took: Duration| TOTAL as f64 / took.as_secs_f64() / 1e6;
            let (wall, processor) = (rate(begun.elapsed()), rate(processor_time() - used));
            let direction = if job == Job::Discard { "up" } else { "down" };
            println!("{chunk_bytes:>11}  {direction:<9}  {wall:>4.0}   {processor:>4.0}");
        }
    }
    let mut trips = echoes().await;
    trips.sort();
    let at = |share: usize| trips[ECHOES * share / 100].as_micros();
    println!("echo of 64 bytes: p50 {} us, p90 {} us, p99 {} us", at(50), at(90), at(99));
}

/// What this process has used so far.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

async fn carry(job: Job, chunk_bytes: usize) {
    let Session { handle, mut events } = session(job, chunk_bytes).await;
    if job == Job::Generate {
        let mut received = 0;
        while received < TOTAL {
            match events.next().await.expect("the session goes on") {
                SessionEvent::Output(bytes) => received += bytes.len(),
                SessionEvent::Closed(end) => panic!("{end}"),
                _ => {}
            }
        }
    } else {
        let block = Bytes::from(vec![7; 32 << 10]);
        for _ in 0..TOTAL / block.len() {
            handle.send_input(block.clone()).await.expect("the session goes on");
        }
        handle.drained().await.expect("the session goes on");
    }
}

async fn echoes() -> Vec<Duration> {
    let Session { handle, mut events } = session(Job::Echo, 1024).await;
    let mut trips = Vec::new();
    for _ in 0..ECHOES {
        let begun = Instant::now();
        handle.send_input(Bytes::from_static(&[7; 64])).await.expect("the session goes on");
        while !matches!(events.next().await, Some(SessionEvent::Output(_))) {}
        trips.push(begun.elapsed());
    }
    trips
}

async fn session(job: Job, chunk_bytes: usize) -> Session {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let stream_url = format!("ws://{}/", listener.local_addr().expect("an address"));
    tokio::spawn(agent(listener, job, chunk_bytes));
    let provider = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let tls = provider.with_safe_default_protocol_versions().expect("versions");
    let tls = tls.with_root_certificates(RootCertStore::empty()).with_no_client_auth();
    let (policy, within) = (StreamPolicy::Any, Duration::from_secs(5));
    let dial = DialOptions { policy, tls: Arc::new(tls), proxy_for: Arc::new(|_| None), within };
    let options =
        SessionOptions { chunk_bytes, ..SessionOptions::new(dial, Arc::new(SystemTime::now), [1; 32]) };
    let (session_id, target, token) = ("s".into(), "i".into(), "t".into());
    Session::open(Opened { session_id, target, stream_url, token }, NoAws, options)
}

/// An agent at the end of a WebSocket: takes, gives or returns bytes.
async fn agent(listener: TcpListener, job: Job, chunk_bytes: usize) {
    let (stream, _) = listener.accept().await.expect("the client");
    stream.set_nodelay(true).expect("a socket");
    let (mut sink, mut source) = tokio_tungstenite::accept_async(stream).await.expect("an upgrade").split();
    let plan = AgentPlan {
        agent_version: "3.3.0.0".into(),
        session_type: SessionType::Port,
        properties: serde_json::Value::Null,
        encryption: None,
        customer_message: String::new(),
    };
    let channel = ChannelOptions { chunk_bytes, ..ChannelOptions::agent(1, 1) };
    let epoch = tokio::time::Instant::now();
    let mut end = AgentEnd::new(Duration::ZERO, AgentOptions::new(channel, plan, [1; 32]));
    let block = Bytes::from(vec![7; 64 << 10]);
    let mut left = if job == Job::Generate { TOTAL } else { 0 };
    loop {
        while left > 0 && end.pending_bytes() < 256 << 10 {
            end.output(block.clone());
            left -= block.len();
        }
        let deadline = end.deadline().map(|deadline| epoch + deadline);
        let timer = async {
            match deadline {
                Some(deadline) => tokio::time::sleep_until(deadline).await,
                None => pending().await,
            }
        };
        let writing = poll_fn(|cx| {
            let mut has_written = false;
            while sink.poll_ready_unpin(cx).is_ready() {
                let Some(wire) = end.transmit(epoch.elapsed()) else { break };
                has_written = true;
                if sink.start_send_unpin(Message::Binary(wire)).is_err() {
                    return Poll::Ready(());
                }
            }
            let _flushed = ready!(sink.poll_flush_unpin(cx));
            if has_written { Poll::Ready(()) } else { Poll::Pending }
        });
        let read = tokio::select! {
            () = writing => continue,
            message = source.next() => Some(message),
            () = timer => None,
        };
        match read {
            Some(Some(Ok(Message::Binary(wire)))) => {
                end.receive(epoch.elapsed(), wire).expect("the client writes what can be read");
            }
            Some(Some(Ok(_))) => {}
            Some(_) => return,
            None => end.expire(epoch.elapsed()).expect("the client answers"),
        }
        while let Ok(Some(event)) = end.next_event(epoch.elapsed()) {
            if let (AgentEvent::Input(bytes), Job::Echo) = (event, job) {
                end.output(bytes);
            }
        }
    }
}

/// Nothing of AWS is needed as long as the connection stands.
struct NoAws;

impl Control for NoAws {
    async fn resume(&self, _: &str) -> Result<Resumption, ControlError> {
        Ok(Resumption::Gone)
    }

    async fn sign(&self, _: &UpgradeRequest) -> Result<Vec<HeaderPair>, ControlError> {
        Ok(Vec::new())
    }

    async fn generate_data_key(&self, _: &str, _: &[(String, String)]) -> Result<GeneratedKey, ControlError> {
        Err(ControlError { what: "no key".into(), is_transient: false, source: None })
    }
}
