//! JSON over HTTP/1.1 to the simulator's control interface: one request a connection, loopback only.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

use crate::Outcome;

/// Asks `http://HOST:PORT` for `path`; with a body it is a POST.
pub(crate) fn ask(endpoint: &str, path: &str, body: Option<&Value>) -> Outcome<Value> {
    exchange(endpoint, path, body).map_err(|error| format!("the simulator did not answer {path}: {error}"))
}

fn exchange(endpoint: &str, path: &str, body: Option<&Value>) -> Outcome<Value> {
    let text = |error: std::io::Error| error.to_string();
    let host = endpoint.strip_prefix("http://").unwrap_or(endpoint).trim_end_matches('/');
    let mut stream = TcpStream::connect(host).map_err(text)?;
    stream.set_read_timeout(Some(Duration::from_secs(60))).map_err(text)?;
    let (method, body) = match body {
        Some(body) => ("POST", body.to_string()),
        None => ("GET", String::new()),
    };
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
    );
    stream.write_all(format!("{head}{body}").as_bytes()).map_err(text)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).map_err(text)?;
    parse(&answer)
}

fn parse(answer: &[u8]) -> Outcome<Value> {
    let end = answer.windows(4).position(|w| w == b"\r\n\r\n").ok_or("no end of the headers")?;
    let (head, body) = (String::from_utf8_lossy(&answer[..end]), &answer[end + 4..]);
    let is_chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    let body = if is_chunked { unchunk(body)? } else { body.to_vec() };
    let status = head.split_whitespace().nth(1).unwrap_or_default();
    if status != "200" {
        return Err(format!("status {status}: {}", String::from_utf8_lossy(&body)));
    }
    serde_json::from_slice(&body).map_err(|error| error.to_string())
}

fn unchunk(mut rest: &[u8]) -> Outcome<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|w| w == b"\r\n").ok_or("a chunk without a length")?;
        let digits = String::from_utf8_lossy(&rest[..end]);
        let length = usize::from_str_radix(digits.trim(), 16).map_err(|error| error.to_string())?;
        rest = &rest[end + 2..];
        if length == 0 {
            return Ok(body);
        }
        body.extend_from_slice(rest.get(..length).ok_or("a chunk was cut")?);
        rest = rest.get(length + 2..).ok_or("a chunk was cut")?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_both_shapes_are_read() {
        let plain = b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n{\"a\":1}";
        assert_eq!(parse(plain).unwrap()["a"], 1);
        let chunked =
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{\"a\r\n4\r\n\":1}\r\n0\r\n\r\n";
        assert_eq!(parse(chunked).unwrap()["a"], 1);
        assert!(parse(b"HTTP/1.1 404 Not Found\r\n\r\n{}").is_err());
    }
}
