//! Sessions: what the service knows of each, from its start to long after its end. What moves frames is in
//! [`crate::gateway`], what stands in for agents in [`crate::agent`].

pub(crate) mod faults;
pub(crate) mod options;
pub(crate) mod record;

use crate::clock::At;
use crate::draw::Draw;
use crate::gateway::line::Line;
use record::Meter;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::sync::Arc;

/// What a session is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// A shell.
    #[serde(rename = "Standard_Stream")]
    StandardStream,
    /// A command on a terminal.
    InteractiveCommands,
    /// A command without a terminal.
    NonInteractiveCommands,
    /// A port of the node, or of a host that the node reaches.
    Port,
}

impl Kind {
    /// As `sessionType`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::StandardStream => "Standard_Stream",
            Kind::InteractiveCommands => "InteractiveCommands",
            Kind::NonInteractiveCommands => "NonInteractiveCommands",
            Kind::Port => "Port",
        }
    }
}

/// As `Status` of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Connecting,
    Connected,
    Disconnected,
    Terminated,
}

impl Status {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Status::Connecting => "Connecting",
            Status::Connected => "Connected",
            Status::Disconnected => "Disconnected",
            Status::Terminated => "Terminated",
        }
    }
}

/// How a session came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The agent said so.
    Finished,
    /// Somebody called `TerminateSession`.
    Terminated,
    /// Nothing happened for too long, or it lasted too long.
    TimedOut,
}

/// What opens a data channel, once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) value: String,
    pub(crate) issued_at: At,
    pub(crate) is_used: bool,
}

/// What a session is started with.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    pub(crate) account: String,
    pub(crate) region: String,
    pub(crate) target: String,
    pub(crate) owner: String,
    pub(crate) reason: Option<String>,
    pub(crate) document: String,
    pub(crate) kind: Kind,
    /// What the agent gets.
    pub(crate) properties: Value,
    pub(crate) inputs: Value,
    pub(crate) parameters: Map<String, Value>,
}

/// A session.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) id: String,
    pub(crate) order: Order,
    pub(crate) started_at: At,
    pub(crate) ended: Option<(At, End)>,
    pub(crate) status: Status,
    /// What the service said of the end.
    pub(crate) details: String,
    pub(crate) token: Token,
    /// Grows with every token: the client is to come to another place.
    pub(crate) cell: u32,
    pub(crate) meter: Arc<Meter>,
    /// What opens the agent's data channel, where the agent is a real one.
    pub(crate) agent_token: Option<Token>,
    /// Its agent has died.
    pub(crate) is_agent_dead: bool,
    /// Its client is cut off until then.
    pub(crate) cut_until: At,
    /// Where events for its broker go.
    pub(crate) line: Option<Line>,
}

impl Session {
    pub(crate) fn is_active(&self) -> bool {
        self.ended.is_none()
    }

    /// Where its data channel is.
    pub(crate) fn stream_url(&self, endpoint: &str) -> String {
        let base = match endpoint.split_once("://") {
            Some(("https", host)) => format!("wss://{host}"),
            Some((_, host)) => format!("ws://{host}"),
            None => endpoint.to_owned(),
        };
        let cell = Draw::new(u64::from(self.cell)).text(&self.id).hex(32);
        format!("{base}/v1/data-channel/{}?role=publish_subscribe&cell-number={cell}", self.id)
    }

    /// Ends it, where it has not ended yet.
    pub(crate) fn end(&mut self, how: End, now: At) {
        if self.ended.is_none() {
            self.ended = Some((now, how));
            self.status = Status::Terminated;
        }
    }
}

/// All sessions.
#[derive(Debug)]
pub(crate) struct Sessions {
    all: Vec<Session>,
    by_id: HashMap<String, usize>,
    draw: Draw,
}

/// Letters of ids: lower case and digits, as the service uses them.
const LETTERS: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";

impl Sessions {
    pub(crate) fn new(seed: u64) -> Sessions {
        Sessions { all: Vec::new(), by_id: HashMap::new(), draw: Draw::new(seed).text("sessions") }
    }

    /// Adds a session, with its first token.
    pub(crate) fn start(&mut self, order: Order, now: At) -> &mut Session {
        let name = order.owner.rsplit('/').next().unwrap_or_default().to_owned();
        let id = format!("{name}-{}", self.word(26));
        let token = self.token(now);
        self.by_id.insert(id.clone(), self.all.len());
        let number = self.all.len();
        self.all.push(Session {
            id,
            order,
            started_at: now,
            ended: None,
            status: Status::Connecting,
            details: String::new(),
            token,
            cell: 0,
            meter: Arc::default(),
            agent_token: None,
            is_agent_dead: false,
            cut_until: At::default(),
            line: None,
        });
        &mut self.all[number]
    }

    /// Gives a session a new token, and its client another place to come to.
    pub(crate) fn renew(&mut self, id: &str, now: At) -> Option<&mut Session> {
        let token = self.token(now);
        let session = self.get_mut(id)?;
        session.token = token;
        session.cell += 1;
        Some(session)
    }

    pub(crate) fn get(&self, id: &str) -> Option<&Session> {
        self.by_id.get(id).and_then(|index| self.all.get(*index))
    }

    pub(crate) fn get_mut(&mut self, id: &str) -> Option<&mut Session> {
        self.by_id.get(id).and_then(|index| self.all.get_mut(*index))
    }

    /// Every session, oldest first.
    pub(crate) fn all(&self) -> &[Session] {
        &self.all
    }

    /// A token that nobody had yet.
    pub(crate) fn token(&mut self, now: At) -> Token {
        // As long and as opaque as the service's own, within the model's 300 letters.
        Token { value: format!("AAEAA{}", self.draw.hex(192)), issued_at: now, is_used: false }
    }

    fn word(&mut self, letters: usize) -> String {
        (0..letters).map(|_| char::from(LETTERS[self.draw.below(36) as usize])).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order() -> Order {
        Order {
            account: "123456789012".into(),
            region: "us-east-1".into(),
            target: "i-0123456789abcdef0".into(),
            owner: "arn:aws:sts::123456789012:assumed-role/ops/jane".into(),
            reason: None,
            document: "SSM-SessionManagerRunShell".into(),
            kind: Kind::StandardStream,
            properties: Value::Null,
            inputs: Value::Null,
            parameters: Map::new(),
        }
    }

    #[test]
    fn a_session_gets_new_tokens_and_places() {
        let mut sessions = Sessions::new(1);
        let first = sessions.start(order(), At(0));
        let (id, token, url) =
            (first.id.clone(), first.token.value.clone(), first.stream_url("http://127.0.0.1:80"));
        assert!(id.starts_with("jane-") && id.len() == 31, "{id}");
        assert!(url.starts_with(&format!(
            "ws://127.0.0.1:80/v1/data-channel/{id}?role=publish_subscribe&cell-number="
        )));
        let again = sessions.renew(&id, At(5)).unwrap();
        assert_ne!(again.token.value, token);
        assert_ne!(again.stream_url("http://127.0.0.1:80"), url);
        assert!(again.stream_url("https://x").starts_with("wss://x/v1/"));
        assert!(sessions.renew("nobody-0", At(5)).is_none());
    }

    #[test]
    fn a_session_ends_once() {
        let mut sessions = Sessions::new(1);
        let session = sessions.start(order(), At(0));
        session.end(End::Finished, At(3));
        session.end(End::TimedOut, At(9));
        assert_eq!((session.ended, session.is_active()), (Some((At(3), End::Finished)), false));
    }
}
