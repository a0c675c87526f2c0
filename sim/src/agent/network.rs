//! What a node's agent can connect to: services on ports of the node and of hosts that the node reaches. All of them are
//! here; nothing is ever sent to the host's network.

use crate::clock::At;
use crate::node_shell::machine::Identity;
use crate::sessions::record::{Connection, Meter};
use bytes::{Bytes, BytesMut};
use ring::digest::{Context as Hash, SHA256};
use std::collections::VecDeque;
use std::pin::Pin;
use std::str::FromStr;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::time::Sleep;

/// Bytes that a service holds before whoever sends to it has to wait.
const ROOM: usize = 256 << 10;
/// Largest piece that a service gives.
const PIECE: usize = 32 << 10;

/// What answers on a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// Gives back what it gets.
    Echo,
    /// Takes everything and says nothing.
    Discard,
    /// As `Discard`; the record of the connection has the SHA-256 of what came.
    Hash,
    /// Lines of printable letters, without end, as RFC 864 has them.
    Chargen,
    /// So many bytes, and then the end: 64-bit numbers from 0 on, little-endian.
    Send(u64),
    /// An SSH server's first line, and then an echo.
    Ssh,
    /// Answers each request with a page of a few words, and closes.
    Http,
    /// Takes so many bytes a second and says nothing.
    Slow(u64),
    /// Accepts connections and never reads.
    Stuck,
    /// Accepts connections and closes them.
    Close,
    /// Says the time and closes, as RFC 867 has it.
    Daytime,
}

impl FromStr for Service {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Service, &'static str> {
        const ALLOWED: &str =
            "echo, discard, hash, chargen, send=BYTES, ssh, http, slow=BYTES, stuck, close or daytime";
        let (name, value) = text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value)));
        let bytes = || value.map(crate::sessions::options::bytes).transpose().map_err(|_| ALLOWED);
        Ok(match name {
            "echo" => Service::Echo,
            "discard" => Service::Discard,
            "hash" => Service::Hash,
            "chargen" => Service::Chargen,
            "send" => Service::Send(bytes()?.ok_or(ALLOWED)?),
            "ssh" => Service::Ssh,
            "http" => Service::Http,
            "slow" => Service::Slow(bytes()?.unwrap_or(64 << 10).max(1)),
            "stuck" => Service::Stuck,
            "close" => Service::Close,
            "daytime" => Service::Daytime,
            _ => return Err(ALLOWED),
        })
    }
}

/// A service on a port, of every node or of a host that every node reaches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortRule {
    /// The host by its name; `None` is the node itself.
    pub host: Option<String>,
    /// The port.
    pub port: u16,
    /// What answers there.
    pub service: Service,
}

/// Reads `8080:http`, `db.internal:5432:echo`, joined by `+`.
pub(crate) fn rules(text: &str) -> Result<Vec<PortRule>, &'static str> {
    const ALLOWED: &str = "PORT:SERVICE or HOST:PORT:SERVICE joined by +";
    text.split('+')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(|part| {
            let (place, service) = part.rsplit_once(':').ok_or(ALLOWED)?;
            let (host, port) = match place.rsplit_once(':') {
                Some((host, port)) => (Some(host.to_owned()), port),
                None => (None, place),
            };
            let port = port.parse().ok().filter(|port| *port > 0).ok_or(ALLOWED)?;
            Ok(PortRule { host, port, service: service.parse()? })
        })
        .collect()
}

/// What every node has, beside what the spec says.
const USUAL: [(u16, Service); 12] = [
    (7, Service::Echo),
    (9, Service::Discard),
    (13, Service::Daytime),
    (19, Service::Chargen),
    (22, Service::Ssh),
    (80, Service::Http),
    (8080, Service::Http),
    (10_007, Service::Echo),
    (10_009, Service::Discard),
    (10_010, Service::Hash),
    (10_019, Service::Chargen),
    (10_023, Service::Slow(64 << 10)),
];

/// Addresses that agents refuse to forward to.
const FORBIDDEN: [&str; 5] =
    ["169.254.169.254", "169.254.169.253", "169.254.170.2", "fd00:ec2::254", "fd00:ec2::253"];

/// Why an agent could not connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unreachable {
    Refused,
    NoSuchHost,
    Forbidden,
}

impl Unreachable {
    /// As the agent words it.
    pub(crate) fn text(&self, host: &str, port: u16) -> String {
        match self {
            Unreachable::Refused => {
                let host = if host.is_empty() { "127.0.0.1" } else { host };
                format!(
                    "Unable to connect to specified port: dial tcp {host}:{port}: connect: connection refused"
                )
            }
            Unreachable::NoSuchHost => "Unable to connect to specified port: missing address".to_owned(),
            Unreachable::Forbidden => format!("Forwarding to IP address {host} is forbidden."),
        }
    }
}

/// The network of a node.
#[derive(Debug, Clone)]
pub(crate) struct Network {
    identity: Identity,
    rules: Arc<Vec<PortRule>>,
    /// Names and addresses of the region's other nodes.
    neighbours: Arc<Vec<String>>,
}

impl Network {
    pub(crate) fn new(identity: Identity, rules: Vec<PortRule>, neighbours: Vec<String>) -> Network {
        Network { identity, rules: Arc::new(rules), neighbours: Arc::new(neighbours) }
    }

    /// What answers on a port of a host; an empty host is the node itself.
    pub(crate) fn find(&self, host: &str, port: u16) -> Result<Service, Unreachable> {
        if FORBIDDEN.contains(&host) {
            return Err(Unreachable::Forbidden);
        }
        let node = &self.identity.node;
        let is_own = matches!(host, "" | "localhost" | "127.0.0.1" | "::1")
            || host == node.private_ip
            || host == node.name
            || host == node.computer_name();
        let rule = self
            .rules
            .iter()
            .find(|rule| rule.port == port && rule.host.as_deref().map_or(is_own, |named| named == host));
        if let Some(rule) = rule {
            return Ok(rule.service);
        }
        let is_node = is_own || self.neighbours.iter().any(|known| known == host);
        if is_node {
            return USUAL
                .iter()
                .find(|(known, _)| *known == port)
                .map(|(_, service)| *service)
                .ok_or(Unreachable::Refused);
        }
        let is_known = self.rules.iter().any(|rule| rule.host.as_deref() == Some(host));
        Err(if is_known { Unreachable::Refused } else { Unreachable::NoSuchHost })
    }

    /// Connects; what becomes of it is noted.
    pub(crate) fn connect(&self, (host, port): (&str, u16), meter: &Arc<Meter>) -> Result<Wire, Unreachable> {
        let found = self.find(host, port);
        let connection =
            Connection { host: host.to_owned(), port, accepted: found.is_ok(), ..Connection::default() };
        let number = meter.connected(connection);
        found.map(|service| Wire::new(service, &self.identity.node.name, (meter.clone(), number)))
    }
}

/// Lines of RFC 864, as long as it takes until they come again.
fn pattern() -> Bytes {
    let letters: Vec<u8> = (b' '..=b'~').collect();
    let mut lines = BytesMut::new();
    for start in 0..letters.len() {
        lines.extend((0..72).map(|offset| letters[(start + offset) % letters.len()]));
        lines.extend_from_slice(b"\r\n");
    }
    let once = lines.freeze();
    Bytes::from(once.repeat(PIECE / once.len() + 2))
}

/// Bytes of `Send` from a place on.
fn numbers(at: u64, count: usize) -> Bytes {
    let skip = (at % 8) as usize;
    let mut bytes = BytesMut::with_capacity(count + 16);
    let mut number = at / 8;
    while bytes.len() < count + skip {
        bytes.extend_from_slice(&number.to_le_bytes());
        number += 1;
    }
    bytes.freeze().slice(skip..skip + count)
}

/// A connection to a service.
pub(crate) struct Wire {
    service: Service,
    name: String,
    /// What it is to say next.
    out: VecDeque<Bytes>,
    held: usize,
    /// Bytes that were given so far, of those that have no end or a fixed one.
    at: u64,
    pattern: Option<Bytes>,
    hash: Option<Hash>,
    request: Vec<u8>,
    is_over: bool,
    pause: Option<Pin<Box<Sleep>>>,
    noted: (Arc<Meter>, usize),
    taken: u64,
    given: u64,
    waker: Option<Waker>,
}

impl std::fmt::Debug for Wire {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Wire")
            .field("service", &self.service)
            .field("taken", &self.taken)
            .finish_non_exhaustive()
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        let digest = self
            .hash
            .take()
            .map(|hash| hash.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<String>());
        let (meter, number) = &self.noted;
        if let Some(connection) = meter.notes().connections.get_mut(*number) {
            connection.bytes_in = self.taken;
            connection.bytes_out = self.given;
            connection.closed = true;
            connection.sha256_in = digest;
        }
    }
}

impl Wire {
    fn new(service: Service, name: &str, noted: (Arc<Meter>, usize)) -> Wire {
        let mut wire = Wire {
            service,
            name: name.to_owned(),
            out: VecDeque::new(),
            held: 0,
            at: 0,
            pattern: (service == Service::Chargen).then(pattern),
            hash: (service == Service::Hash).then(|| Hash::new(&SHA256)),
            request: Vec::new(),
            is_over: service == Service::Close,
            pause: None,
            noted,
            taken: 0,
            given: 0,
            waker: None,
        };
        match service {
            Service::Ssh => wire.say(Bytes::from_static(b"SSH-2.0-OpenSSH_8.7\r\n")),
            Service::Daytime => {
                wire.say(Bytes::from(At::now().format("%A, %B %d, %Y %H:%M:%S-UTC\r\n")));
                wire.is_over = true;
            }
            _ => {}
        }
        wire
    }

    fn say(&mut self, bytes: Bytes) {
        self.held += bytes.len();
        self.out.push_back(bytes);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// True where it takes more.
    pub(crate) fn can_take(&mut self, context: &mut Context<'_>) -> bool {
        if let Some(pause) = &mut self.pause {
            if pause.as_mut().poll(context).is_pending() {
                return false;
            }
            self.pause = None;
        }
        self.service != Service::Stuck && self.held < ROOM
    }

    /// Takes bytes.
    pub(crate) fn take(&mut self, bytes: Bytes) {
        self.taken += bytes.len() as u64;
        match self.service {
            Service::Echo | Service::Ssh => self.say(bytes),
            Service::Hash => {
                if let Some(hash) = &mut self.hash {
                    hash.update(&bytes);
                }
            }
            Service::Slow(rate) => {
                let seconds = bytes.len() as f64 / rate as f64;
                self.pause = Some(Box::pin(tokio::time::sleep(Duration::from_secs_f64(seconds))));
            }
            Service::Http => self.answer(&bytes),
            _ => {}
        }
        let (meter, number) = &self.noted;
        if self.taken.is_multiple_of(64 << 10)
            && let Some(connection) = meter.notes().connections.get_mut(*number)
        {
            connection.bytes_in = self.taken;
        }
    }

    fn answer(&mut self, bytes: &[u8]) {
        if self.is_over {
            return;
        }
        self.request.extend_from_slice(bytes.get(..bytes.len().min(16 << 10)).unwrap_or_default());
        let has_head = self.request.windows(4).any(|window| window == b"\r\n\r\n");
        if has_head || self.request.len() > 16 << 10 {
            let page = format!("{} is well\n", self.name);
            self.say(Bytes::from(format!(
                "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{page}",
                page.len()
            )));
            self.is_over = true;
        }
    }

    /// What it says, at most `most` bytes; none at its end.
    pub(crate) fn poll_give(&mut self, most: usize, context: &Context<'_>) -> Poll<Option<Bytes>> {
        let most = most.min(PIECE);
        let given = if let Some(first) = self.out.front_mut() {
            let bytes = if first.len() <= most { std::mem::take(first) } else { first.split_to(most) };
            if first.is_empty() {
                self.out.pop_front();
            }
            self.held -= bytes.len();
            bytes
        } else {
            match self.service {
                _ if self.is_over => return Poll::Ready(None),
                Service::Chargen => {
                    let Some(pattern) = &self.pattern else { return Poll::Ready(None) };
                    let from = (self.at % (95 * 74)) as usize;
                    pattern.slice(from..from + most)
                }
                Service::Send(length) if self.at >= length => return Poll::Ready(None),
                Service::Send(length) => {
                    numbers(self.at, most.min(usize::try_from(length - self.at).unwrap_or(most)))
                }
                _ => {
                    self.waker = Some(context.waker().clone());
                    return Poll::Pending;
                }
            }
        };
        self.at += given.len() as u64;
        self.given += given.len() as u64;
        Poll::Ready(Some(given))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw::Draw;
    use crate::fleet::Fleet;

    fn network(ports: &str) -> Network {
        let at = At(1_700_000_000_000_000);
        let fleet = Fleet::generate(&"5".parse().unwrap(), "1", "us-east-1", at);
        let node = fleet.nodes[0].clone();
        let identity = Identity {
            node,
            region: "us-east-1".into(),
            command_id: String::new(),
            draw: Draw::new(1),
            at,
            files: Vec::new(),
        };
        Network::new(identity, rules(ports).unwrap(), vec!["web-2".into()])
    }

    fn said(wire: &mut Wire, most: usize) -> Option<Option<Bytes>> {
        match wire.poll_give(most, &Context::from_waker(Waker::noop())) {
            Poll::Ready(bytes) => Some(bytes),
            Poll::Pending => None,
        }
    }

    #[test]
    fn ports_are_found() {
        let network = network("8081:echo+db.internal:5432:close");
        assert_eq!(network.find("", 8081), Ok(Service::Echo));
        assert_eq!(network.find("localhost", 22), Ok(Service::Ssh));
        assert_eq!(network.find("web-2", 80), Ok(Service::Http));
        assert_eq!(network.find("db.internal", 5432), Ok(Service::Close));
        assert_eq!(network.find("db.internal", 1), Err(Unreachable::Refused));
        assert_eq!(network.find("web-2", 8081), Err(Unreachable::Refused));
        assert_eq!(network.find("", 1), Err(Unreachable::Refused));
        assert_eq!(network.find("nowhere.internal", 80), Err(Unreachable::NoSuchHost));
        assert_eq!(network.find("169.254.169.254", 80), Err(Unreachable::Forbidden));
        for text in ["x:echo", "80", "0:echo", "80:nothing", "80:send"] {
            assert!(rules(text).is_err(), "{text}");
        }
    }

    #[test]
    fn services_answer() {
        let (network, meter) = (network("1:send=20+2:close"), Arc::new(Meter::default()));
        let mut echo = network.connect(("", 7), &meter).unwrap();
        assert!(said(&mut echo, 10).is_none());
        echo.take(Bytes::from("hello"));
        assert_eq!(said(&mut echo, 3).unwrap().unwrap(), "hel");
        assert_eq!(said(&mut echo, 30).unwrap().unwrap(), "lo");
        let mut sends = network.connect(("", 1), &meter).unwrap();
        let mut all = Vec::new();
        while let Some(Some(bytes)) = said(&mut sends, 7) {
            all.extend_from_slice(&bytes);
        }
        assert_eq!(all, [[0_u8, 0, 0, 0, 0, 0, 0, 0, 1, 0], [0, 0, 0, 0, 0, 0, 2, 0, 0, 0]].concat());
        let mut chargen = network.connect(("", 19), &meter).unwrap();
        let mut text = Vec::new();
        while text.len() < 20_000 {
            text.extend_from_slice(&said(&mut chargen, 3000).unwrap().unwrap());
        }
        let lines: Vec<&[u8]> = text.split(|byte| *byte == b'\n').collect();
        assert_eq!((lines[0].len(), lines[0][0], lines[1][0], lines[96][0]), (73, b' ', b'!', b'!'));
        let mut web = network.connect(("", 80), &meter).unwrap();
        web.take(Bytes::from("GET / HTTP/1.1\r\n\r\n"));
        assert!(said(&mut web, 9000).unwrap().unwrap().ends_with(b"\r\n\r\nweb-1 is well\n"));
        assert_eq!(said(&mut web, 9000).unwrap(), None);
        assert_eq!(said(&mut network.connect(("", 2), &meter).unwrap(), 9).unwrap(), None);
        let mut hash = network.connect(("", 10_010), &meter).unwrap();
        hash.take(Bytes::from("abc"));
        drop(hash);
        let notes = meter.notes();
        let last = notes.connections.last().unwrap();
        assert_eq!((last.bytes_in, last.port, last.accepted, last.closed), (3, 10_010, true, true));
        assert!(last.sha256_in.as_ref().unwrap().starts_with("ba7816bf8f01cfea"));
    }
}
