//! The message gateway of Session Manager: data channels of clients, and the control and data channels of real agents.
//!
//! A client dials `/v1/data-channel/SESSION`; an agent asks for a channel with a POST to the same path, and dials it then.
//! Both say with their first message, which is text, what they were given to prove themselves with.

pub(crate) mod broker;
pub(crate) mod control;
mod lane;
pub(crate) mod line;
mod overheard;
pub(crate) mod signature;
mod socket;

use crate::accounts;
use crate::agent::{Post, StandIn, disk_of};
use crate::clock::At;
use crate::core::{Core, State};
use crate::draw::Draw;
use crate::node_shell::machine::Identity;
use crate::outage::Down;
use crate::request_log::Outcome;
use crate::scenario::files_of;
use crate::service::ssm::registration::Registrations;
use crate::sessions::{Kind, Token};
use crate::wire::auth;
use crate::wire::route::Incoming;
use crate::wire::xml::Xml;
use crate::wire::{ApiError, Reply, Service};
use broker::{AgentSide, Broker};
use herder_session::payload::{JsonPayload, OpenDataChannel};
use hyper::upgrade::Upgraded;
use line::{Event, Line};
use serde_json::Value;
use socket::{Received, Socket};
use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

pub(crate) use socket::accept_key;

/// How long a connection may be silent after its upgrade.
const FIRST_WORD: Duration = Duration::from_secs(10);

/// What the gateway knows of agents.
#[derive(Debug, Default)]
pub(crate) struct Agents {
    /// Control channels of real agents, by node.
    pub(crate) channels: HashMap<String, control::ControlLine>,
    /// Tokens that open one, by node.
    tokens: HashMap<String, String>,
    /// The machines outside of EC2 that have registered.
    pub(crate) registrations: Registrations,
}

/// What a path means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Door {
    /// The data channel of a session.
    Data(String),
    /// The control channel of a node.
    Control(String),
}

impl Door {
    /// Reads a path; `None` where it is none of the gateway's.
    pub(crate) fn of(path: &str) -> Option<Door> {
        let rest = path.strip_prefix("/v1/")?;
        let (kind, id) = rest.split_once('/')?;
        let id = id.trim_end_matches('/');
        let is_id = !id.is_empty() && !id.contains('/');
        match kind {
            "data-channel" if is_id => Some(Door::Data(id.to_owned())),
            "control-channel" if is_id => Some(Door::Control(id.to_owned())),
            _ => None,
        }
    }

    fn api(&self, opens: bool) -> &'static str {
        match (self, opens) {
            (Door::Data(_), true) => "OpenDataChannel",
            (Door::Data(_), false) => "CreateDataChannel",
            (Door::Control(_), true) => "OpenControlChannel",
            (Door::Control(_), false) => "CreateControlChannel",
        }
    }
}

/// What becomes of a request.
#[derive(Debug)]
pub(crate) enum Verdict {
    Reply(Reply),
    /// The connection may become a WebSocket.
    Open,
    /// The connection is closed without an answer.
    Dropped,
}

fn refused(error: &ApiError) -> Reply {
    let body = Xml::document(&error.code, "", |xml| {
        xml.text("Message", error.message.as_deref().unwrap_or_default());
    });
    Reply::new(error.status, "application/xml", body)
}

/// Decides about a request to the gateway; `opens` where it wants to become a WebSocket.
pub(crate) fn decide(core: &Core, door: &Door, incoming: &Incoming, opens: bool) -> Verdict {
    let api = door.api(opens);
    let (verdict, outcome, account) = judge(core, door, incoming, opens);
    core.log_visit(incoming, (Service::Gateway, api), &account, outcome);
    verdict
}

fn judge(core: &Core, door: &Door, incoming: &Incoming, opens: bool) -> (Verdict, Outcome, String) {
    let now = At::now();
    let mut state = core.state();
    let (account, region) = place(&state, core, door);
    let refuse = |error: ApiError, account: String| {
        let outcome = Outcome::Error(error.code.to_string());
        (Verdict::Reply(refused(&error)), outcome, account)
    };
    match state.outages.of(&region, now) {
        Some(Down::Dropped) => return (Verdict::Dropped, Outcome::DroppedBefore, account),
        Some(Down::Unavailable) => return refuse(ApiError::unavailable(Service::Gateway), account),
        None => {}
    }
    let api = door.api(opens);
    let signer = match signature::signer(incoming, &state.credentials, now) {
        Ok(signer) => signer,
        Err(error) => return refuse(error, account),
    };
    let is_agents = matches!(door, Door::Control(_)) || !opens;
    if signer.is_none() && (core.spec.session.signed || is_agents) {
        return refuse(auth::missing(Service::Gateway), account);
    }
    let who = signer.as_ref().map_or("anonymous", |signer| signer.arn.as_str());
    let is_stranger = signer.as_ref().is_some_and(|signer| signer.account != account);
    let denied = state.faults.is_denied(api) || accounts::refuses(&core.spec, &account, api);
    if denied || is_stranger {
        let resource = format!("arn:aws:ssmmessages:{region}:{account}:*");
        return refuse(ApiError::denied(Service::Gateway, api, who, &resource), account);
    }
    match admit(core, &mut state, (door, opens), now) {
        Ok(Some(reply)) => (Verdict::Reply(reply), Outcome::Accepted, account),
        Ok(None) => (Verdict::Open, Outcome::Accepted, account),
        Err(None) => (Verdict::Dropped, Outcome::DroppedBefore, account),
        Err(Some(error)) => refuse(error, account),
    }
}

/// Account and region of what a request is about.
fn place(state: &State, core: &Core, door: &Door) -> (String, String) {
    let session = if let Door::Data(id) = door { state.sessions.get(id) } else { None };
    let own =
        || (crate::credentials::ACCOUNT.to_owned(), core.spec.regions.first().cloned().unwrap_or_default());
    session.map_or_else(own, |session| (session.order.account.clone(), session.order.region.clone()))
}

/// Lets somebody in: an answer, or nothing where the connection is to become a WebSocket. An error that is `None` is none.
fn admit(
    core: &Core,
    state: &mut State,
    (door, opens): (&Door, bool),
    now: At,
) -> Result<Option<Reply>, Option<ApiError>> {
    match door {
        Door::Data(id) => {
            let missing = || {
                ApiError::new("ChannelNotFoundException", format!("Session {id} does not exist.")).status(404)
            };
            let session = state.sessions.get(id).ok_or_else(|| Some(missing()))?;
            if now < session.cut_until {
                return Err(None);
            }
            if !session.is_active() {
                let error = ApiError::new("ChannelClosedException", "Session is already terminated");
                return Err(Some(error));
            }
            if opens {
                return Ok(None);
            }
            let token = state.sessions.token(now);
            let reply = created("CreateDataChannelResponse", &token.value);
            if let Some(session) = state.sessions.get_mut(id) {
                session.agent_token = Some(token);
            }
            Ok(Some(reply))
        }
        Door::Control(node) => {
            if !core.spec.session.agents.contains(node) {
                let error = ApiError::new(
                    "AccessDeniedException",
                    format!("{node} is not a node with an agent of its own."),
                );
                return Err(Some(error.status(403)));
            }
            if opens {
                return Ok(None);
            }
            let token = state.sessions.token(now);
            let reply = created("CreateControlChannelResponse", &token.value);
            state.agents.tokens.insert(node.clone(), token.value);
            Ok(Some(reply))
        }
    }
}

fn created(name: &str, token: &str) -> Reply {
    let body = Xml::document(name, "", |xml| {
        xml.text("MessageSchemaVersion", "1.0");
        xml.text("TokenValue", token);
    });
    Reply::new(201, "application/xml", body)
}

/// Serves a connection that has become a WebSocket.
pub(crate) async fn welcome(core: Arc<Core>, door: Door, io: Upgraded) {
    let mut socket = Socket::new(io, core.spec.session.frame_limit).await;
    let first = poll_fn(|context| socket.poll_receive(context));
    let Ok(Received::Text(text)) = tokio::time::timeout(FIRST_WORD, first).await else {
        return farewell(socket, (1008, "The first message has to open the channel.")).await;
    };
    match door {
        Door::Data(id) => match data_channel(&core, &id, &text) {
            Ok((line, true)) => line.say(Event::Agent(Box::new(socket))),
            Ok((line, false)) => line.say(Event::Client(Box::new(socket))),
            Err(reason) => farewell(socket, (1008, reason)).await,
        },
        Door::Control(node) => match control_channel(&core, &node, &text) {
            Ok((account, version)) => control::serve(core, (account, node), version, socket).await,
            Err(reason) => farewell(socket, (1008, reason)).await,
        },
    }
}

/// Closes a connection, and waits a little for the other side.
async fn farewell(mut socket: Socket, (code, reason): (u16, &str)) {
    socket.close(code, reason);
    let gone = poll_fn(|context| {
        socket.flush(context);
        loop {
            match socket.poll_receive(context) {
                std::task::Poll::Ready(Received::Gone) => return std::task::Poll::Ready(()),
                std::task::Poll::Ready(_) => {}
                std::task::Poll::Pending => return std::task::Poll::Pending,
            }
        }
    });
    let _in_time_or_not = tokio::time::timeout(Duration::from_secs(2), gone).await;
}

/// Checks what opens a data channel: the session's line, and whether it is the agent.
fn data_channel(core: &Core, id: &str, text: &str) -> Result<(Line, bool), &'static str> {
    let open = OpenDataChannel::from_json(text.as_bytes())
        .map_err(|_| "The first message has to open the channel.")?;
    let (now, lifetime) = (At::now(), core.spec.session.token);
    let mut state = core.state();
    let session = state.sessions.get_mut(id).ok_or("No such session.")?;
    let line = session.line.clone().filter(|_| session.is_active()).ok_or("Session is already terminated")?;
    let is_agent = open.client_instance_id.is_some();
    let token = if is_agent { session.agent_token.as_mut() } else { Some(&mut session.token) };
    let is_late = |token: &Token| lifetime.is_some_and(|lifetime| token.issued_at + lifetime < now);
    let token = token.filter(|token| token.value == open.token_value && !token.is_used && !is_late(token));
    token.ok_or("The token is invalid or expired.")?.is_used = true;
    Ok((line, is_agent))
}

/// Checks what opens a control channel: the account, and the agent's version.
fn control_channel(core: &Core, node: &str, text: &str) -> Result<(String, String), &'static str> {
    let open: Value = serde_json::from_str(text).map_err(|_| "The first message has to open the channel.")?;
    let field = |name: &str| open.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut state = core.state();
    let token = state.agents.tokens.remove(node).filter(|token| *token == field("TokenValue"));
    token.ok_or("The token is invalid or expired.")?;
    Ok((crate::credentials::ACCOUNT.to_owned(), field("AgentVersion")))
}

/// Begins to serve a session that was just started.
pub(crate) fn begin(core: &Arc<Core>, id: &str) {
    let (sender, events) = tokio::sync::mpsc::unbounded_channel();
    let agent = {
        let mut guard = core.state();
        let state = &mut *guard;
        let Some(session) = state.sessions.get_mut(id) else { return };
        session.line = Some(Line(sender));
        let order = session.order.clone();
        let meter = session.meter.clone();
        let (_, region) = state.world.region(&core.spec, &order.account, &order.region);
        let Some(node) = region.fleet.get(&order.target).cloned() else { return };
        if node.is_real {
            if let Some(channel) = state.agents.channels.get(&order.target) {
                channel.start(id, &order);
            }
            AgentSide::Real(None)
        } else {
            let wants_neighbours = order.kind == Kind::Port && order.properties.get("host").is_some();
            let others = region.fleet.nodes.iter().filter(|_| wants_neighbours);
            let neighbours = others
                .flat_map(|node| [node.name.clone(), node.private_ip.clone(), node.computer_name()])
                .collect();
            let identity = Identity {
                region: order.region.clone(),
                command_id: String::new(),
                draw: Draw::new(core.spec.seed).text(&node.id),
                at: At::now(),
                files: files_of(&core.spec, &node),
                node,
            };
            let disk = disk_of(&mut region.disks, &identity, core.spec.session.disk);
            let post = Post {
                spec: core.spec.clone(),
                session_id: id.to_owned(),
                order,
                identity,
                disk,
                neighbours,
                meter,
            };
            AgentSide::StandIn(Box::new(StandIn::new(post, Duration::ZERO)))
        }
    };
    if let Some(broker) = Broker::new(core.clone(), id.to_owned(), agent, events) {
        core.run(Box::pin(broker));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_told_apart() {
        for (path, door) in [
            ("/v1/data-channel/me-01", Some(Door::Data("me-01".into()))),
            ("/v1/control-channel/i-01", Some(Door::Control("i-01".into()))),
            ("/v1/data-channel/", None),
            ("/v1/data-channel/a/b", None),
            ("/v1/other/a", None),
            ("/v2/data-channel/a", None),
            ("/", None),
        ] {
            assert_eq!(Door::of(path), door, "{path}");
        }
    }
}
