//! A simulation, and how sessions with one in another process are started.

use crate::{Anything, say};
use herder_session::client::{
    Control, ControlError, DialOptions, HeaderPair, Opened, Resumption, Session, SessionEnd, SessionEvent,
    SessionOptions, StreamPolicy, UpgradeRequest, tls_config,
};
use herder_session::handshake::GeneratedKey;
use herder_sim::{ServeOptions, SessionAct};
use serde_json::{Value, json};
use std::io::BufRead as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;

/// Serves a simulation until its input ends.
pub(crate) fn serve(runtime: &Runtime, spec: &str, tls: bool) -> Anything<()> {
    let spec = herder_sim::Spec::read(spec, Path::new("."))?;
    let server = runtime.block_on(herder_sim::serve(spec, ServeOptions { port: 0, tls }))?;
    let control = server.control();
    let node = control.nodes().into_iter().next().ok_or("there is no node")?.id;
    say(&json!({
        "endpoint": server.endpoint(),
        "access_key": server.access_key(),
        "node": node,
        "ca_pem": server.ca_pem(),
    }))?;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        if line == "sessions" {
            say(&json!(control.sessions()))?;
            continue;
        }
        let act: SessionAct = serde_json::from_str(&line)?;
        let sessions = control.sessions();
        let acted = sessions.iter().filter(|session| control.act(&session.id, act.clone())).count();
        say(&json!(acted))?;
    }
    runtime.block_on(server.shutdown());
    Ok(())
}

/// A simulation in another process.
#[derive(Clone)]
pub(crate) struct Remote {
    api: Api,
    node: String,
    chunk: usize,
}

impl Remote {
    /// Reads the line that [`serve`] has said; sessions send `chunk` bytes in a frame at most.
    pub(crate) fn read(line: &str, chunk: usize) -> Anything<Remote> {
        let said: Value = serde_json::from_str(line)?;
        let text = |name: &str| said[name].as_str().unwrap_or_default().to_owned();
        let tls = tls_config(false, text("ca_pem").as_bytes())?;
        let api = Api { endpoint: text("endpoint"), access_key: text("access_key"), tls };
        Ok(Remote { api, node: text("node"), chunk })
    }

    /// Starts a session.
    pub(crate) async fn session(&self, document: Option<&str>, parameters: Value) -> Anything<Session> {
        let mut body = json!({"Target": self.node});
        if let Some(document) = document {
            body["DocumentName"] = json!(document);
            body["Parameters"] = parameters;
        }
        let answer = self.api.call("StartSession", body).await?;
        let text = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
        let opened = Opened {
            session_id: text("SessionId"),
            target: self.node.clone(),
            stream_url: text("StreamUrl"),
            token: text("TokenValue"),
        };
        let dial = DialOptions {
            policy: StreamPolicy::Any,
            tls: self.api.tls.clone(),
            proxy_for: Arc::new(|_| None),
            within: Duration::from_secs(5),
        };
        let options = SessionOptions::new(dial, Arc::new(SystemTime::now), [1; 32]);
        let options = SessionOptions { chunk_bytes: self.chunk, ..options };
        Ok(Session::open(opened, self.api.clone(), options))
    }
}

/// Waits for the beginning.
pub(crate) async fn started(session: &mut Session) -> Anything<()> {
    loop {
        match session.events.next().await {
            Some(SessionEvent::Started(_)) => return Ok(()),
            Some(SessionEvent::Closed(end)) => return Err(over(&end)),
            Some(_) => {}
            None => return Err("the session is over".into()),
        }
    }
}

/// An end as an error.
pub(crate) fn over(end: &SessionEnd) -> Box<dyn std::error::Error + Send + Sync> {
    end.to_string().into()
}

/// Systems Manager, one call a connection.
#[derive(Clone)]
struct Api {
    endpoint: String,
    access_key: String,
    tls: Arc<ClientConfig>,
}

impl Api {
    async fn call(&self, api: &str, body: Value) -> Anything<Value> {
        let (scheme, host) = self.endpoint.split_once("://").ok_or("no endpoint")?;
        let stream = TcpStream::connect(host).await?;
        let body = body.to_string();
        let request = format!(
            "POST / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nX-Amz-Target: AmazonSSM.{api}\r\nAuthorization: AWS4-HMAC-SHA256 Credential={}/20260501/us-east-1/ssm/aws4_request, SignedHeaders=host, Signature=00\r\nContent-Length: {}\r\n\r\n{body}",
            self.access_key,
            body.len()
        );
        let answer = if scheme == "https" {
            let name = host.split(':').next().unwrap_or_default().to_owned().try_into()?;
            exchange(TlsConnector::from(self.tls.clone()).connect(name, stream).await?, &request).await?
        } else {
            exchange(stream, &request).await?
        };
        let (head, body) = answer.split_once("\r\n\r\n").ok_or("no answer")?;
        if !head.contains(" 200 ") {
            return Err(format!("{api}: {answer}").into());
        }
        Ok(serde_json::from_str(body)?)
    }
}

async fn exchange(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &str) -> Anything<String> {
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

impl Control for Api {
    async fn resume(&self, session_id: &str) -> Result<Resumption, ControlError> {
        let answer = self.call("ResumeSession", json!({"SessionId": session_id})).await;
        let answer = answer.map_err(|error| ControlError {
            what: "ResumeSession".into(),
            is_transient: false,
            source: Some(error),
        })?;
        let text = |name: &str| answer[name].as_str().map(str::to_owned);
        Ok(match text("TokenValue") {
            Some(token) => Resumption::Open { stream_url: text("StreamUrl"), token },
            None => Resumption::TimedOut,
        })
    }

    async fn sign(&self, _: &UpgradeRequest) -> Result<Vec<HeaderPair>, ControlError> {
        Ok(Vec::new())
    }

    async fn generate_data_key(&self, _: &str, _: &[(String, String)]) -> Result<GeneratedKey, ControlError> {
        Err(ControlError { what: "no session is encrypted".into(), is_transient: false, source: None })
    }
}
