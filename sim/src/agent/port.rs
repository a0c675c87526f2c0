//! A port session at the agent: many connections over one multiplexer, or one at a time.

use super::app::{Over, Step};
use super::network::{Network, Wire};
use crate::sessions::record::Meter;
use bytes::Bytes;
use herder_session::mux::{Event, Mux, MuxOptions, Role, StreamId, Taken};
use herder_session::payload::SessionFlag;
use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Sleep;

/// Bytes that go between a connection and the multiplexer at once.
const PIECE: usize = 32 << 10;
/// Whoever reads less than this at once reads slowly.
const SMALL_READ: usize = 4 << 10;
/// How long the multiplexer hears nothing before it gives up, where clients are to be heard.
const SILENCE: Duration = Duration::from_secs(30);

/// Where a session goes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Destination {
    pub(super) host: String,
    pub(super) port: u16,
    /// `LocalPortForwarding`; otherwise input and output are the connection.
    pub(super) is_forwarding: bool,
}

impl Destination {
    /// Reads a document's properties; the error is what the agent says.
    pub(super) fn read(properties: &Value) -> Result<Destination, String> {
        let text = |name: &str| match properties.get(name) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            _ => String::new(),
        };
        let port = text("portNumber");
        if port.is_empty() {
            return Err(format!("Port number is empty in session properties. {properties}"));
        }
        let number = port.parse().map_err(|_| {
            format!("Unable to connect to specified port: dial tcp: address {port}: invalid port")
        })?;
        Ok(Destination {
            host: text("host"),
            port: number,
            is_forwarding: text("type") == "LocalPortForwarding",
        })
    }
}

/// Connections of a session.
pub(super) enum PortApp {
    Many(Box<Many>),
    One(Box<One>),
}

/// Many connections, multiplexed.
pub(super) struct Many {
    network: Network,
    destination: Destination,
    meter: Arc<Meter>,
    mux: Mux,
    wires: BTreeMap<StreamId, Wire>,
    flags: VecDeque<SessionFlag>,
    over: Option<Over>,
    keepalive: Option<Keepalive>,
    /// What the agent read of a block and has not sent.
    block: Bytes,
}

/// For clients that want to hear something, and are to be heard.
struct Keepalive {
    next: Pin<Box<Sleep>>,
    silence: Pin<Box<Sleep>>,
}

/// One connection at a time.
pub(super) struct One {
    network: Network,
    destination: Destination,
    meter: Arc<Meter>,
    wire: Option<Wire>,
    over: Option<Over>,
}

impl PortApp {
    /// Connections as agent and client agreed on: `multiplexes`, and whether either wants keep-alives.
    pub(super) fn new(
        network: Network,
        destination: Destination,
        (multiplexes, keepalive): (bool, bool),
        meter: &Arc<Meter>,
    ) -> PortApp {
        if let Err(error @ super::network::Unreachable::Forbidden) =
            network.find(&destination.host, destination.port)
        {
            let over = Some(Over::Failed(error.text(&destination.host, destination.port)));
            return PortApp::One(Box::new(One {
                network,
                destination,
                meter: meter.clone(),
                wire: None,
                over,
            }));
        }
        if destination.is_forwarding && multiplexes {
            let mux = Mux::new(Role::Agent, MuxOptions::new(Role::Agent));
            let keepalive = keepalive.then(|| Keepalive {
                next: Box::pin(tokio::time::sleep(MuxOptions::KEEPALIVE)),
                silence: Box::pin(tokio::time::sleep(SILENCE)),
            });
            return PortApp::Many(Box::new(Many {
                network,
                destination,
                meter: meter.clone(),
                mux,
                wires: BTreeMap::new(),
                flags: VecDeque::new(),
                over: None,
                keepalive,
                block: Bytes::new(),
            }));
        }
        let mut one = One { network, destination, meter: meter.clone(), wire: None, over: None };
        one.connect();
        PortApp::One(Box::new(one))
    }

    pub(super) fn poll(&mut self, context: &mut Context<'_>) {
        if let PortApp::Many(many) = self {
            many.poll(context);
        }
    }

    pub(super) fn can_take(&mut self, context: &mut Context<'_>) -> bool {
        match self {
            PortApp::Many(many) => many.mux.can_receive(),
            PortApp::One(one) => one.wire.as_mut().is_none_or(|wire| wire.can_take(context)),
        }
    }

    pub(super) fn take(&mut self, bytes: Bytes) {
        match self {
            PortApp::Many(many) => many.take(bytes),
            PortApp::One(one) => one.take(bytes),
        }
    }

    pub(super) fn flag(&mut self, flag: SessionFlag) {
        match (self, flag) {
            (PortApp::Many(many), SessionFlag::TerminateSession) => many.over = Some(Over::Finished),
            (PortApp::One(one), SessionFlag::TerminateSession) => one.over = Some(Over::Finished),
            (PortApp::One(one), SessionFlag::DisconnectToPort) => one.wire = None,
            _ => {}
        }
    }

    pub(super) fn poll_step(&mut self, most: usize, context: &mut Context<'_>) -> Poll<Step> {
        match self {
            PortApp::Many(many) => many.poll_step(most, context),
            PortApp::One(one) => one.poll_step(most, context),
        }
    }
}

impl Many {
    fn take(&mut self, bytes: Bytes) {
        if let Some(keepalive) = &mut self.keepalive {
            keepalive.silence.as_mut().reset(tokio::time::Instant::now() + SILENCE);
        }
        if self.mux.receive(bytes).is_err() {
            // The official multiplexer closes its session, and the agent's goes with it.
            self.over = Some(Over::Finished);
        }
    }

    fn poll(&mut self, context: &mut Context<'_>) {
        if let Some(keepalive) = &mut self.keepalive {
            if keepalive.next.as_mut().poll(context).is_ready() {
                self.mux.keep_alive();
                keepalive.next.as_mut().reset(tokio::time::Instant::now() + MuxOptions::KEEPALIVE);
            }
            if keepalive.silence.as_mut().poll(context).is_ready() {
                self.over = Some(Over::Finished);
            }
        }
        while let Some(event) = self.mux.next_event() {
            if let Event::Opened(id) = event {
                let Destination { host, port, .. } = &self.destination;
                match self.network.connect((host, *port), &self.meter) {
                    Ok(wire) => {
                        self.wires.insert(id, wire);
                    }
                    Err(_) => {
                        self.flags.push_back(SessionFlag::ConnectToPortError);
                        self.mux.close(id);
                    }
                }
            }
        }
        let mux = &mut self.mux;
        self.wires.retain(|id, wire| goes_on(mux, *id, wire, context));
    }

    fn poll_step(&mut self, most: usize, context: &mut Context<'_>) -> Poll<Step> {
        if let Some(flag) = self.flags.pop_front() {
            return Poll::Ready(Step::Flag(flag));
        }
        if let Some(over) = self.over.take() {
            return Poll::Ready(Step::Over(over));
        }
        if self.block.is_empty() {
            match self.mux.transmit() {
                Some(block) => self.block = block,
                None => {
                    // Room was made: whoever waited for it may go on.
                    self.poll(context);
                    self.block = self.mux.transmit().unwrap_or_default();
                }
            }
        }
        if self.block.is_empty() {
            return if self.flags.is_empty() { Poll::Pending } else { self.poll_step(most, context) };
        }
        let count = most.min(self.block.len());
        let mut bytes = self.block.split_to(count);
        // The official agent reads from a socket, which knows nothing of blocks: what it reads before it sleeps is full.
        while bytes.len() < most && most < SMALL_READ {
            let Some(mut block) = self.mux.transmit() else { break };
            let more = block.split_to(block.len().min(most - bytes.len()));
            bytes = [&bytes[..], &more].concat().into();
            self.block = block;
        }
        Poll::Ready(Step::Output(bytes))
    }
}

/// Moves what can be moved between a stream and its connection; false where the connection is over.
fn goes_on(mux: &mut Mux, id: StreamId, wire: &mut Wire, context: &mut Context<'_>) -> bool {
    while wire.can_take(context) {
        match mux.take(id, PIECE) {
            Taken::Bytes(bytes) => wire.take(bytes),
            // The official agent closes the connection as a whole.
            Taken::End | Taken::Failed(_) => {
                mux.close(id);
                return false;
            }
            Taken::Nothing => break,
        }
    }
    loop {
        let room = match mux.room(id) {
            Ok(0) => return true,
            Ok(room) => room,
            // The client is gone; what it had sent is still to go to the connection.
            Err(_) => return true,
        };
        match wire.poll_give(room, context) {
            Poll::Pending => return true,
            Poll::Ready(Some(mut bytes)) => {
                let _fits_the_room = mux.write_bytes(id, &mut bytes);
            }
            Poll::Ready(None) => {
                mux.close(id);
                return false;
            }
        }
    }
}

impl One {
    fn connect(&mut self) {
        let Destination { host, port, .. } = &self.destination;
        match self.network.connect((host, *port), &self.meter) {
            Ok(wire) => self.wire = Some(wire),
            Err(error) => self.over = Some(Over::Failed(error.text(host, *port))),
        }
    }

    fn take(&mut self, bytes: Bytes) {
        if self.wire.is_none() && self.destination.is_forwarding {
            self.connect();
        }
        if let Some(wire) = &mut self.wire {
            wire.take(bytes);
        }
    }

    fn poll_step(&mut self, most: usize, context: &mut Context<'_>) -> Poll<Step> {
        if let Some(over) = self.over.take() {
            return Poll::Ready(Step::Over(over));
        }
        let Some(wire) = &mut self.wire else { return Poll::Pending };
        match wire.poll_give(most, context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Some(bytes)) => Poll::Ready(Step::Output(bytes)),
            Poll::Ready(None) => {
                self.wire = None;
                if self.destination.is_forwarding {
                    Poll::Pending
                } else {
                    Poll::Ready(Step::Over(Over::Finished))
                }
            }
        }
    }
}
