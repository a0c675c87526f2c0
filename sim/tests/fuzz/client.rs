//! A client that sends any bytes, and judges what comes back.

use std::cell::RefCell;
use std::sync::Once;
use std::time::Duration;

use herder_sim::Server;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A machine that is busy with others takes its time.
const PATIENCE: Duration = Duration::from_secs(10);

thread_local! {
    static PANICS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// What panicked on this thread since the last look, also in tasks of the server, which would only close a connection.
pub(crate) fn panics() -> Vec<String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            PANICS.with_borrow_mut(|panics| panics.push(info.to_string()));
            before(info);
        }));
    });
    PANICS.take()
}

/// Sends bytes and gives what comes back until the connection closes. What is not whole needs an end, which says that no more comes:
/// with it a server may close without an answer.
pub(crate) async fn talk(server: &Server, request: &[u8], has_end: bool) -> Vec<u8> {
    let address = server.endpoint().split("://").nth(1).unwrap();
    let mut stream = TcpStream::connect(address).await.expect("nobody listens any more");
    let mut answer = Vec::new();
    let talking = async {
        let (mut reading, mut writing) = stream.split();
        // Answered before all of it was read: the rest is refused.
        let sent = async {
            let _refused = writing.write_all(request).await;
            if has_end {
                let _closed = writing.shutdown().await;
            }
        };
        let (_reset_counts_as_end, ()) = tokio::join!(reading.read_to_end(&mut answer), sent);
    };
    timeout(PATIENCE, talking).await.expect("the server hangs");
    answer
}

/// An answer that is well formed.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

/// Reads the first answer; `None` where there is none.
pub(crate) fn read(answer: &[u8], is_head: bool) -> Result<Option<Answer>, String> {
    if answer.is_empty() {
        return Ok(None);
    }
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").ok_or("the head has no end")?;
    let head = std::str::from_utf8(&answer[..end]).map_err(|error| error.to_string())?;
    let body = &answer[end + 4..];
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.")).ok_or("no status line")?;
    let status: u16 = status.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or("no status")?;
    if !(100..600).contains(&status) {
        return Err(format!("status {status}"));
    }
    let mut headers = Vec::new();
    for line in lines {
        let (name, value) =
            line.split_once(": ").or(line.split_once(':')).ok_or(format!("header {line:?}"))?;
        headers.push((name.to_lowercase(), value));
    }
    let header = |name: &str| headers.iter().find(|(one, _)| one == name).map(|(_, value)| *value);
    let has_none = is_head || matches!(status, 101 | 204 | 304);
    let length = header("content-length").and_then(|length| length.parse().ok()).unwrap_or(body.len());
    let length = if has_none { 0 } else { length };
    let body = body.get(..length).ok_or(format!("{length} bytes are said to come, {} do", body.len()))?;
    if body.is_empty() {
        return Ok(Some(Answer { status, body: Vec::new() }));
    }
    let kind = header("content-type").unwrap_or_default();
    if kind.contains("json") {
        serde_json::from_slice::<serde_json::Value>(body).map_err(|error| error.to_string())?;
    } else if kind.contains("xml") {
        xml(std::str::from_utf8(body).map_err(|error| error.to_string())?)?;
    }
    Ok(Some(Answer { status, body: body.to_vec() }))
}

/// Whether each element that is opened is closed.
fn xml(text: &str) -> Result<(), String> {
    let text = text.split_once("?>\n").map_or(text, |(_, rest)| rest);
    let mut open = Vec::new();
    for part in text.split('<').skip(1) {
        let (tag, content) = part.split_once('>').ok_or(format!("<{part}"))?;
        if content.contains(|c: char| c < ' ' && !"\t\n".contains(c)) {
            return Err(format!("a control character in {content:?}"));
        }
        match tag.strip_prefix('/') {
            Some(name) if open.pop() == Some(name) => {}
            Some(name) => return Err(format!("</{name}> closes nothing")),
            None => open.push(tag.split(' ').next().unwrap_or_default()),
        }
    }
    if open.is_empty() { Ok(()) } else { Err(format!("{open:?} are not closed")) }
}
