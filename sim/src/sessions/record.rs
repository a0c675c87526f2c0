//! What really happened in a session, for tests and rehearsals.

use super::Session;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Counters of a running session.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    /// Frames and their bytes, from the client.
    pub(crate) up: Flow,
    /// Frames and their bytes, to the client.
    pub(crate) down: Flow,
    /// Bytes of keyboard or port data that the agent has taken.
    pub(crate) input: AtomicU64,
    /// Bytes of output that the agent has made.
    pub(crate) output: AtomicU64,
    notes: Mutex<Notes>,
}

/// Frames in one direction.
#[derive(Debug, Default)]
pub(crate) struct Flow {
    frames: AtomicU64,
    bytes: AtomicU64,
}

impl Flow {
    pub(crate) fn add(&self, bytes: usize) {
        self.frames.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

/// What happens rarely.
#[derive(Debug, Default, Clone)]
pub(crate) struct Notes {
    pub(crate) client_version: String,
    pub(crate) agent_version: String,
    pub(crate) is_encrypted: bool,
    pub(crate) exit_code: Option<i32>,
    pub(crate) connects: u32,
    pub(crate) resumes: u32,
    pub(crate) closes: Vec<String>,
    pub(crate) faults: BTreeMap<String, u64>,
    pub(crate) ran: Vec<String>,
    pub(crate) connections: Vec<Connection>,
    pub(crate) agent_states: Vec<String>,
}

/// Most lines and connections that are remembered of one session.
const REMEMBERED: usize = 10_000;

impl Meter {
    pub(crate) fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a line or a command that ran.
    pub(crate) fn ran(&self, line: &str) {
        let mut notes = self.notes();
        if notes.ran.len() < REMEMBERED {
            notes.ran.push(line.to_owned());
        }
    }

    /// Notes a connection; gives its number.
    pub(crate) fn connected(&self, connection: Connection) -> usize {
        let mut notes = self.notes();
        if notes.connections.len() < REMEMBERED {
            notes.connections.push(connection);
        }
        notes.connections.len() - 1
    }

    /// Counts a fault.
    pub(crate) fn fault(&self, name: &str) {
        *self.notes().faults.entry(name.to_owned()).or_insert(0) += 1;
    }
}

/// A connection that the agent made to a port.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Connection {
    /// The host; empty for the node itself.
    pub host: String,
    /// The port.
    pub port: u16,
    /// False where the port refused it.
    pub accepted: bool,
    /// Bytes that went to the port.
    pub bytes_in: u64,
    /// Bytes that came from it.
    pub bytes_out: u64,
    /// It is over.
    pub closed: bool,
    /// SHA-256 of what went to the port, where the port's service is `hash` and it is over.
    pub sha256_in: Option<String>,
}

/// What really happened in a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionRecord {
    /// Its id.
    pub id: String,
    /// Its account.
    pub account: String,
    /// Its region.
    pub region: String,
    /// The node.
    pub target: String,
    /// Who started it.
    pub owner: String,
    /// Its document.
    pub document: String,
    /// As `sessionType`.
    pub kind: String,
    /// The reason that was given.
    pub reason: Option<String>,
    /// As `Status`.
    pub status: String,
    /// When it started, in microseconds since 1970.
    pub started_at_us: i64,
    /// When it ended.
    pub ended_at_us: Option<i64>,
    /// What the service said of the end; empty for a normal one.
    pub details: String,
    /// The client's version, from the handshake.
    pub client_version: String,
    /// The agent's.
    pub agent_version: String,
    /// Payloads are encrypted.
    pub encrypted: bool,
    /// Exit code of what ran.
    pub exit_code: Option<i32>,
    /// Connections of the client that were accepted.
    pub connects: u32,
    /// Successful calls of `ResumeSession`.
    pub resumes: u32,
    /// How the client's connections ended, in order: `1000 Bye`, `client: 1000`, `client: gone`, `cut`.
    pub closes: Vec<String>,
    /// Frames from the client.
    pub frames_up: u64,
    /// Their bytes.
    pub bytes_up: u64,
    /// Frames to the client.
    pub frames_down: u64,
    /// Their bytes.
    pub bytes_down: u64,
    /// Bytes of keyboard or port data that a simulated agent has taken.
    pub input_bytes: u64,
    /// Bytes of output that it has made.
    pub output_bytes: u64,
    /// Frames that something happened to, by what: `up drop`, `down reorder`.
    pub faults: BTreeMap<String, u64>,
    /// Lines that were typed into the shell, or the command that ran.
    pub ran: Vec<String>,
    /// Connections to ports.
    pub connections: Vec<Connection>,
    /// What a real agent said of the session.
    pub agent_states: Vec<String>,
}

/// Makes the record of a session.
pub(crate) fn record(session: &Session) -> SessionRecord {
    let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let (meter, order) = (&session.meter, &session.order);
    let notes = meter.notes().clone();
    SessionRecord {
        id: session.id.clone(),
        account: order.account.clone(),
        region: order.region.clone(),
        target: order.target.clone(),
        owner: order.owner.clone(),
        document: order.document.clone(),
        kind: order.kind.name().to_owned(),
        reason: order.reason.clone(),
        status: session.status.name().to_owned(),
        started_at_us: session.started_at.0,
        ended_at_us: session.ended.map(|(at, _)| at.0),
        details: session.details.clone(),
        client_version: notes.client_version,
        agent_version: notes.agent_version,
        encrypted: notes.is_encrypted,
        exit_code: notes.exit_code,
        connects: notes.connects,
        resumes: notes.resumes,
        closes: notes.closes,
        frames_up: read(&meter.up.frames),
        bytes_up: read(&meter.up.bytes),
        frames_down: read(&meter.down.frames),
        bytes_down: read(&meter.down.bytes),
        input_bytes: read(&meter.input),
        output_bytes: read(&meter.output),
        faults: notes.faults,
        ran: notes.ran,
        connections: notes.connections,
        agent_states: notes.agent_states,
    }
}
