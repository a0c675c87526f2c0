//! A client that knows nothing but HTTP.

use herder_sim::{ServeOptions, Server, Spec, serve};
use serde_json::Value;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

/// An answer.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Every text of an element, in order.
    pub(crate) fn all(&self, element: &str) -> Vec<String> {
        let text = self.text();
        let (start, end) = (format!("<{element}>"), format!("</{element}>"));
        text.split(&start).skip(1).map(|rest| rest.split(&end).next().unwrap().to_owned()).collect()
    }

    /// The text of an element; empty where there is none.
    pub(crate) fn first(&self, element: &str) -> String {
        self.all(element).into_iter().next().unwrap_or_default()
    }

    pub(crate) fn header(&self, name: &str) -> String {
        let line = self.head.lines().find(|line| line.to_lowercase().starts_with(&format!("{name}: ")));
        line.and_then(|line| line.split_once(": ")).map_or(String::new(), |(_, value)| value.to_owned())
    }

    /// True where the body has these bytes somewhere.
    pub(crate) fn has(&self, needle: &str) -> bool {
        self.body.windows(needle.len()).any(|window| window == needle.as_bytes())
    }
}

/// Who asks, where, and of whom.
#[derive(Clone)]
pub(crate) struct Caller<'a> {
    server: &'a Server,
    key: String,
    region: String,
}

pub(crate) async fn start(spec: &str) -> Server {
    serve(spec.parse().unwrap(), ServeOptions::default()).await.unwrap()
}

pub(crate) async fn scenario(text: &str) -> Server {
    serve(Spec::scenario(text, Path::new("test")).unwrap(), ServeOptions::default()).await.unwrap()
}

impl<'a> Caller<'a> {
    pub(crate) fn new(server: &'a Server) -> Caller<'a> {
        Caller { server, key: server.access_key().to_owned(), region: "us-east-1".to_owned() }
    }

    pub(crate) fn with_key(&self, key: &str) -> Caller<'a> {
        Caller { key: key.to_owned(), ..self.clone() }
    }

    pub(crate) fn at(&self, region: &str) -> Caller<'a> {
        Caller { region: region.to_owned(), ..self.clone() }
    }

    /// Sends a request signed for a service; nothing where the connection closes.
    pub(crate) async fn send(
        &self,
        service: &str,
        (method, path): (&str, &str),
        headers: &str,
        body: &[u8],
    ) -> Option<Reply> {
        let address = self.server.endpoint().split("://").nth(1).unwrap();
        let mut stream = TcpStream::connect(address).await.unwrap();
        let host = if headers.contains("Host: ") { "" } else { "Host: 127.0.0.1:1\r\n" };
        let credential = format!("{}/20260501/{}/{service}/aws4_request", self.key, self.region);
        let head = format!(
            "{method} {path} HTTP/1.1\r\n{host}Connection: close\r\nAuthorization: AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host, Signature=00\r\n{headers}Content-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(&[head.as_bytes(), body].concat()).await.unwrap();
        let mut answer = Vec::new();
        let _reset_counts_as_no_answer = stream.read_to_end(&mut answer).await;
        let end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
        let head = String::from_utf8(answer[..end].to_vec()).unwrap();
        let status = head.split(' ').nth(1)?.parse().ok()?;
        Some(Reply { status, head, body: answer[end + 4..].to_vec() })
    }

    /// An awsQuery or ec2Query call.
    pub(crate) async fn query(&self, service: &str, form: &str) -> Reply {
        self.send(service, ("POST", "/"), "", form.as_bytes()).await.unwrap()
    }

    /// An awsJson call.
    pub(crate) async fn json(&self, service: &str, target: &str, body: &Value) -> Reply {
        let target = format!("X-Amz-Target: {target}\r\n");
        self.send(service, ("POST", "/"), &target, body.to_string().as_bytes()).await.unwrap()
    }

    pub(crate) async fn ssm(&self, api: &str, body: &Value) -> Value {
        let reply = self.json("ssm", &format!("AmazonSSM.{api}"), body).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        reply.json()
    }

    /// An S3 call by path.
    pub(crate) async fn s3(&self, method: &str, path: &str) -> Reply {
        self.send("s3", (method, path), "", b"").await.unwrap()
    }

    /// Sends a command line to targets and gives its id.
    pub(crate) async fn run(&self, line: &str, mut body: Value) -> String {
        body["DocumentName"] = "AWS-RunShellScript".into();
        body["Parameters"] = serde_json::json!({"commands": [line]});
        self.ssm("SendCommand", &body).await["Command"]["CommandId"].as_str().unwrap().to_owned()
    }
}

/// Waits until something holds, with a bound.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let end = Instant::now() + Duration::from_secs(30);
    while !holds().await {
        assert!(Instant::now() < end, "{what}");
        sleep(Duration::from_millis(20)).await;
    }
}

/// Waits until no command goes on.
pub(crate) async fn settled(server: &Server) {
    let control = server.control();
    until("the commands end", || async { control.truth().settled }).await;
}
