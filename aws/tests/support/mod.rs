//! A loopback HTTP server with canned answers, and a permit to change things there.

#![expect(clippy::disallowed_methods, reason = "a server of its own, on threads")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use herder_core::journal::{Journal, Permit, RunsDirectory};

/// One request as the server saw it.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// The operation: of JSON services from `X-Amz-Target`, of query services from `Action`, else the last part of the path.
    pub(crate) api: String,
    /// All headers, as text.
    pub(crate) head: String,
    /// The body.
    pub(crate) body: String,
}

/// What the server does with a request.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// Answers in JSON.
    Json(u16, &'static str),
    /// Answers in XML.
    Xml(u16, String),
    /// Answers in CBOR, as rpc-v2-cbor has it.
    Cbor(u16, Vec<u8>),
    /// Answers in JSON with one more header.
    Header(u16, &'static str, &'static str),
    /// Answers with these bytes, and hangs up.
    Raw(String),
    /// Hangs up.
    HangUp,
}

/// The server. Its threads end with the test's process.
pub(crate) struct Server {
    /// `http://127.0.0.1:…`
    pub(crate) url: String,
    seen: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// Starts a server that asks `answer` what to do with the n-th request, from 0.
    pub(crate) fn start(answer: impl Fn(usize, &Request) -> Answer + Send + Sync + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (log, answer) = (Arc::clone(&seen), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (log, answer) = (Arc::clone(&log), Arc::clone(&answer));
                std::thread::spawn(move || serve(&stream, &log, answer.as_ref()));
            }
        });
        Server { url, seen }
    }

    /// The requests so far.
    pub(crate) fn seen(&self) -> Vec<Request> {
        self.seen.lock().unwrap().clone()
    }

    /// How many requests of this operation came.
    pub(crate) fn count(&self, api: &str) -> usize {
        self.seen().iter().filter(|request| request.api == api).count()
    }
}

fn serve(stream: &TcpStream, log: &Mutex<Vec<Request>>, answer: &dyn Fn(usize, &Request) -> Answer) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    while let Some(request) = read(&mut reader) {
        let number = {
            let mut log = log.lock().unwrap();
            log.push(request.clone());
            log.len() - 1
        };
        let (status, kind, more, body) = match answer(number, &request) {
            Answer::HangUp => return,
            Answer::Raw(bytes) => {
                let mut stream = stream;
                let _ = stream.write_all(bytes.as_bytes());
                return;
            }
            Answer::Json(status, body) => {
                (status, "application/x-amz-json-1.1", "", body.as_bytes().to_vec())
            }
            Answer::Xml(status, body) => (status, "text/xml", "", body.into_bytes()),
            Answer::Cbor(status, body) => (status, "application/cbor", "smithy-protocol: rpc-v2-cbor", body),
            Answer::Header(status, header, body) => {
                (status, "application/x-amz-json-1.1", header, body.as_bytes().to_vec())
            }
        };
        let more = if more.is_empty() { String::new() } else { format!("{more}\r\n") };
        let head = format!(
            "HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nDate: Sat, 21 Nov 2026 09:30:00 GMT\r\n\
             x-amzn-RequestId: request-{number}\r\n{more}Content-Length: {}\r\n\r\n",
            body.len()
        );
        let mut stream = stream;
        if stream.write_all(&[head.as_bytes(), &body].concat()).is_err() {
            return;
        }
    }
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut head = String::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line == "\r\n" {
            break;
        }
        head.push_str(&line);
    }
    let header = |name: &str| {
        head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        })
    };
    let mut body = vec![0; header("content-length").and_then(|n| n.parse().ok()).unwrap_or(0)];
    reader.read_exact(&mut body).ok()?;
    let body = String::from_utf8_lossy(&body).into_owned();
    let api = match header("x-amz-target") {
        Some(target) => target.rsplit('.').next().unwrap_or_default().to_owned(),
        None => {
            let action = body.split('&').find_map(|pair| pair.strip_prefix("Action="));
            let path = head.split(' ').nth(1).unwrap_or_default();
            action.unwrap_or_else(|| path.rsplit('/').next().unwrap_or_default()).to_owned()
        }
    };
    Some(Request { api, head, body })
}

/// A permit, from a journal in this directory.
pub(crate) async fn permit(directory: &std::path::Path) -> Permit {
    let record = serde_json::json!({
        "format": 1,
        "run": "20261121-093000-1f2e3d",
        "created": "2026-11-21T09:30:00Z",
        "herder": "0.1.0",
        "command": "exec",
        "title": "uptime",
        "identity": {"account": "111122223333", "region": "eu-central-1", "principal": "me", "endpoint": null, "sim": true},
        "waves": [1],
        "recipe": {},
    });
    let run = RunsDirectory::below(directory).create(&serde_json::from_value(record).unwrap(), &[]).unwrap();
    Journal::open(&run, 1).unwrap().intend_cancel("c".to_owned()).await.unwrap()
}
