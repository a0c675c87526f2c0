//! How many bytes a second sessions carry between the client and the simulator's agents, on loopback: both are this process, and
//! processor time is theirs together. `cargo run --release -p herder-sim --example session_speed -- [MEGABYTES]`

#![expect(clippy::disallowed_methods, reason = "a benchmark measures time")]

use bytes::Bytes;
use herder_session::client::{
    Control, ControlError, DialOptions, HeaderPair, Opened, Resumption, Session, SessionEvent, SessionEvents,
    SessionHandle, SessionOptions, StreamPolicy, UpgradeRequest,
};
use herder_session::handshake::GeneratedKey;
use herder_session::mux::{MuxOptions, Role, connect};
use herder_sim::{ServeOptions, Server, Spec, serve};
use serde_json::{Value, json};
use std::error::Error;
use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::ring};

type Anything<T> = Result<T, Box<dyn Error>>;

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

/// A simulation, and how sessions with it are started.
struct Bench {
    server: Server,
    node: String,
    chunk: usize,
    total: usize,
    tls: Arc<ClientConfig>,
}

#[tokio::main]
async fn main() -> Anything<()> {
    let megabytes: usize = std::env::args().nth(1).map_or(Ok(256), |count| count.parse())?;
    let mut out = std::io::stdout();
    writeln!(out, "frame bytes  what                      MB/s")?;
    for chunk in [1024, 32 << 10] {
        let bench = Bench::start(chunk, megabytes << 20).await?;
        for (what, direction) in [
            ("command, to the client", 0),
            ("terminal, to the client", 1),
            ("terminal, to the node", 2),
            ("file, to the node", 3),
            ("port, to the client", 4),
            ("port, to the node", 5),
            ("one of many, to the client", 6),
            ("one of many, to the node", 7),
        ] {
            let begun = Instant::now();
            match direction {
                0 => bench.command().await?,
                1 => bench.terminal_output().await?,
                2 => bench.terminal_input("cat > /dev/null").await?,
                3 => bench.terminal_input("cat > /tmp/f").await?,
                4 => bench.port_output().await?,
                5 => bench.port_input().await?,
                6 => bench.stream_output().await?,
                _ => bench.stream_input().await?,
            }
            let rate = bench.total as f64 / begun.elapsed().as_secs_f64() / 1e6;
            writeln!(out, "{chunk:>11}  {what:<26}  {rate:>4.0}")?;
        }
        bench.server.shutdown().await;
    }
    Ok(())
}

impl Bench {
    async fn start(chunk: usize, total: usize) -> Anything<Bench> {
        let spec: Spec =
            format!("nodes=5,windows=0,disk=4GB,session_chunk={chunk},ports=7000:send={total}").parse()?;
        let server = serve(spec, ServeOptions::default()).await?;
        let provider = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let tls = provider.with_safe_default_protocol_versions()?;
        let tls = Arc::new(tls.with_root_certificates(RootCertStore::empty()).with_no_client_auth());
        let mut bench = Bench { server, node: String::new(), chunk, total, tls };
        let nodes = bench.call("DescribeInstanceInformation", json!({})).await?;
        let id = nodes.pointer("/InstanceInformationList/0/InstanceId").and_then(Value::as_str);
        bench.node = id.ok_or("no node")?.to_owned();
        Ok(bench)
    }

    async fn call(&self, api: &str, body: Value) -> Anything<Value> {
        let address = self.server.endpoint().trim_start_matches("http://").to_owned();
        let body = body.to_string();
        let head = format!(
            "POST / HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nX-Amz-Target: AmazonSSM.{api}\r\nAuthorization: AWS4-HMAC-SHA256 Credential={}/20260501/us-east-1/ssm/aws4_request, SignedHeaders=host, Signature=00\r\nContent-Length: {}\r\n\r\n{body}",
            self.server.access_key(),
            body.len()
        );
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(head.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        let (_, body) = answer.split_once("\r\n\r\n").ok_or("no answer")?;
        Ok(serde_json::from_str(body)?)
    }

    async fn session(&self, document: &str, parameters: Value) -> Anything<Session> {
        let body = json!({"Target": self.node, "DocumentName": document, "Parameters": parameters});
        let answer = self.call("StartSession", body).await?;
        let text = |name: &str| answer.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let opened = Opened {
            session_id: text("SessionId"),
            target: self.node.clone(),
            stream_url: text("StreamUrl"),
            token: text("TokenValue"),
        };
        let (policy, within) = (StreamPolicy::Any, Duration::from_secs(5));
        let dial = DialOptions { policy, tls: self.tls.clone(), proxy_for: Arc::new(|_| None), within };
        let options = SessionOptions::new(dial, Arc::new(SystemTime::now), [1; 32]);
        Ok(Session::open(opened, NoAws, SessionOptions { chunk_bytes: self.chunk, ..options }))
    }

    async fn receive(&self, mut events: SessionEvents) -> Anything<()> {
        let mut received = 0;
        while received < self.total {
            match events.next().await.ok_or("the session is over")? {
                SessionEvent::Output(bytes) => received += bytes.len(),
                SessionEvent::Closed(end) => return Err(format!("{end}").into()),
                _ => {}
            }
        }
        Ok(())
    }

    async fn send(&self, handle: &SessionHandle) -> Anything<()> {
        let block = Bytes::from(vec![7; 64 << 10]);
        for _ in 0..self.total / block.len() {
            handle.send_input(block.clone()).await?;
        }
        Ok(handle.drained().await?)
    }

    async fn command(&self) -> Anything<()> {
        let command = format!("head -c {} /dev/zero", self.total);
        let parameters = json!({"command": [command], "separateOutputStream": ["true"]});
        let Session { handle: _handle, events } =
            self.session("AWS-StartNonInteractiveCommand", parameters).await?;
        self.receive(events).await
    }

    async fn terminal_output(&self) -> Anything<()> {
        let command = format!("stty raw -echo; head -c {} /dev/zero", self.total);
        let parameters = json!({"command": [command]});
        let Session { handle: _handle, events } =
            self.session("AWS-StartInteractiveCommand", parameters).await?;
        self.receive(events).await
    }

    async fn terminal_input(&self, command: &str) -> Anything<()> {
        let parameters = json!({"command": [format!("stty raw -echo; echo ready; {command}")]});
        let Session { handle, mut events } = self.session("AWS-StartInteractiveCommand", parameters).await?;
        while !matches!(events.next().await, Some(SessionEvent::Output(_))) {}
        let draining = tokio::spawn(async move { while events.next().await.is_some() {} });
        self.send(&handle).await?;
        draining.abort();
        Ok(())
    }

    async fn port_output(&self) -> Anything<()> {
        let Session { handle: _handle, events } =
            self.session("AWS-StartSSHSession", json!({"portNumber": ["7000"]})).await?;
        self.receive(events).await
    }

    async fn port_input(&self) -> Anything<()> {
        let Session { handle, events } =
            self.session("AWS-StartSSHSession", json!({"portNumber": ["9"]})).await?;
        self.send(&handle).await?;
        drop(events);
        Ok(())
    }

    async fn stream_output(&self) -> Anything<()> {
        let parameters = json!({"portNumber": ["7000"], "localPortNumber": ["1"]});
        let Session { handle, events } = self.session("AWS-StartPortForwardingSession", parameters).await?;
        let (mux, driver) =
            connect(Role::Client, MuxOptions::new(Role::Client), events.into_link(|_| {}), handle);
        let driving = tokio::spawn(driver.run());
        let stream = mux.open()?;
        let mut received = 0;
        while let Some(bytes) = stream.recv().await? {
            received += bytes.len();
        }
        driving.abort();
        if received == self.total { Ok(()) } else { Err(format!("{received} bytes").into()) }
    }

    async fn stream_input(&self) -> Anything<()> {
        let parameters = json!({"portNumber": ["9"], "localPortNumber": ["1"]});
        let Session { handle, events } = self.session("AWS-StartPortForwardingSession", parameters).await?;
        let flow = handle.clone();
        let (mux, driver) =
            connect(Role::Client, MuxOptions::new(Role::Client), events.into_link(|_| {}), handle);
        let driving = tokio::spawn(driver.run());
        let stream = mux.open()?;
        let block = Bytes::from(vec![7; 64 << 10]);
        for _ in 0..self.total / block.len() {
            stream.send(block.clone()).await?;
        }
        flow.drained().await?;
        driving.abort();
        Ok(())
    }
}
