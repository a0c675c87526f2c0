//! The control channel of a real agent: it hears of sessions to begin and to end, and says when one is over.

use super::broker::plain;
use super::line::Event;
use super::socket::{Received, Socket};
use crate::clock::At;
use crate::core::Core;
use crate::sessions::Order;
use bytes::Bytes;
use herder_session::frame::{DigestCheck, Frame, MessageType, PayloadType};
use serde_json::{Value, json};
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Where messages for an agent go.
#[derive(Debug, Clone)]
pub(crate) struct ControlLine(UnboundedSender<Bytes>);

impl ControlLine {
    /// Tells the agent to begin a session.
    pub(crate) fn start(&self, id: &str, order: &Order) {
        // An agent that is gone hears nothing.
        let _gone = self.0.send(start_message(id, order));
    }
}

/// The message that begins a session at an agent.
fn start_message(id: &str, order: &Order) -> Bytes {
    let content = json!({
        "DocumentName": order.document,
        "DocumentContent": {
            "schemaVersion": "1.0", "description": "", "sessionType": order.kind.name(),
            "inputs": order.inputs, "parameters": {}, "properties": order.properties,
        },
        "SessionId": id,
        "Parameters": order.parameters,
        "RunAsUser": order.inputs.get("runAsDefaultUser").cloned().unwrap_or_else(|| json!("")),
        "SessionOwner": order.owner,
    });
    let payload = json!({"Content": content.to_string(), "TaskId": id, "Topic": "aws.ssm.startSession", "SchemaVersion": 1});
    plain(MessageType::InteractiveShell, payload.to_string().into(), PayloadType::None)
}

/// Serves an agent until its connection ends.
pub(crate) async fn serve(
    core: Arc<Core>,
    (account, node): (String, String),
    version: String,
    mut socket: Socket,
) {
    let (sender, mut messages) = unbounded_channel();
    register(&core, (&account, &node), Some((&version, ControlLine(sender.clone()))));
    poll_fn(|context| turn(&core, &mut socket, &mut messages, context)).await;
    let is_replaced = {
        let state = core.state();
        state.agents.channels.get(&node).is_some_and(|line| !line.0.same_channel(&sender))
    };
    if !is_replaced {
        register(&core, (&account, &node), None);
    }
}

/// Notes that an agent is there, or gone.
fn register(core: &Core, (account, id): (&str, &str), agent: Option<(&str, ControlLine)>) {
    let mut guard = core.state();
    let state = &mut *guard;
    let name = core.spec.regions.first().cloned().unwrap_or_default();
    let (_, region) = state.world.region(&core.spec, account, &name);
    if let Some(node) = region.fleet.get_mut(id) {
        node.health.offline = agent.is_none();
        if let Some((version, _)) = &agent {
            (*version).clone_into(&mut node.agent);
        }
    }
    match agent {
        Some((_, line)) => {
            // Sessions that wait for this agent begin now.
            let waiting = state.sessions.all().iter().filter(|session| {
                session.is_active() && session.order.target == id && session.agent_token.is_none()
            });
            waiting.for_each(|session| line.start(&session.id, &session.order));
            state.agents.channels.insert(id.to_owned(), line);
        }
        None => {
            state.agents.channels.remove(id);
        }
    }
}

fn turn(
    core: &Core,
    socket: &mut Socket,
    messages: &mut UnboundedReceiver<Bytes>,
    context: &mut Context<'_>,
) -> Poll<()> {
    loop {
        while let Poll::Ready(Some(message)) = messages.poll_recv(context) {
            socket.send(message);
        }
        socket.flush(context);
        match socket.poll_receive(context) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Received::Frame(frame)) => {
                if let Some(reply) = hear(core, frame) {
                    socket.send(reply);
                }
            }
            Poll::Ready(Received::Text(_)) => {}
            Poll::Ready(Received::Closed(_) | Received::Gone | Received::TooLarge) => return Poll::Ready(()),
        }
    }
}

/// Takes a message of the agent; gives what is answered.
fn hear(core: &Core, frame: Bytes) -> Option<Bytes> {
    let frame = Frame::decode(frame, DigestCheck::Skipped).ok()?;
    if frame.header.message_type != MessageType::AgentTaskComplete {
        return None;
    }
    let said: Value = serde_json::from_slice(&frame.payload).ok()?;
    let text = |name: &str| said.get(name).and_then(Value::as_str).unwrap_or_default();
    let session = text("TaskId").to_owned();
    let line = {
        let mut state = core.state();
        let session = state.sessions.get_mut(&session);
        session.and_then(|session| {
            session.meter.notes().agent_states.push(format!(
                "{} at {}",
                text("FinalTaskStatus"),
                At::now().rfc3339_millis()
            ));
            session.line.clone()
        })
    };
    if let Some(line) = line {
        line.say(Event::Finished(text("Output").to_owned()));
    }
    let reply = json!({
        "SchemaVersion": 1, "MessageId": frame.header.id.to_string(), "TaskId": session, "Topic": text("Topic"),
    });
    Some(plain(MessageType::AgentTaskAcknowledge, reply.to_string().into(), PayloadType::None))
}
