//! A session's broker: one task that moves frames between the client, whichever connection it has, and the agent. It keeps
//! the session's times, and does to it what is asked for.

use super::lane::Lane;
use super::line::{Event, SessionAct};
use super::overheard;
use super::socket::{Received, Socket};
use crate::agent::{Outlook, StandIn};
use crate::clock::At;
use crate::core::Core;
use crate::draw::Draw;
use crate::sessions::options::SessionOptions;
use crate::sessions::record::Meter;
use crate::sessions::{End, Status};
use bytes::Bytes;
use herder_session::frame::{Flags, Frame, Header, MessageId, MessageType, PayloadType};
use herder_session::payload::{AgentSessionState, ChannelClosed, JsonPayload};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Instant, Sleep};

/// Rounds before others get their turn.
const ROUNDS: u32 = 64;
/// Frames that are moved in a round.
const FRAMES: u32 = 128;
/// How long the gateway waits for a client to close what it closed.
const FAREWELL: Duration = Duration::from_secs(2);
/// How long a real agent may be gone before its client is told. The official agent closes its connection some milliseconds
/// before it says on its control channel that the session is over; after a break it is back within a second. What AWS's
/// gateway waits is not known.
const ABSENCE: Duration = Duration::from_secs(1);

/// What a session's agent is.
pub(crate) enum AgentSide {
    /// One that stands in.
    StandIn(Box<StandIn>),
    /// A real one, while it is connected.
    Real(Option<Box<Socket>>),
    /// It died.
    Dead,
}

/// A session's times, since the broker began.
struct Times {
    origin: Instant,
    speed: f64,
    idle: Duration,
    longest: Option<Duration>,
    bye: Option<Duration>,
    agent_dies: Option<Duration>,
    /// When a real agent's connection was lost, until its client is told.
    agent_left: Option<Duration>,
    last_activity: Duration,
    connected_at: Duration,
    frozen_until: Duration,
    cut_until: Duration,
}

/// A connection that is on its way out.
struct Leaving {
    socket: Box<Socket>,
    until: Duration,
}

/// A session's broker.
pub(crate) struct Broker {
    core: Arc<Core>,
    id: String,
    meter: Arc<Meter>,
    events: UnboundedReceiver<Event>,
    client: Option<Box<Socket>>,
    agent: AgentSide,
    leaving: Vec<Leaving>,
    up: Lane,
    down: Lane,
    times: Times,
    alarm: Pin<Box<Sleep>>,
    is_over: bool,
}

impl Broker {
    pub(crate) fn new(
        core: Arc<Core>,
        id: String,
        agent: AgentSide,
        events: UnboundedReceiver<Event>,
    ) -> Option<Broker> {
        let (meter, faults) = {
            let state = core.state();
            (state.sessions.get(&id)?.meter.clone(), state.frame_faults.clone())
        };
        let options: &SessionOptions = &core.spec.session;
        let speed = core.spec.speed;
        let scaled = |time: Duration| time.div_f64(speed);
        let dies = match &agent {
            AgentSide::StandIn(stand_in) => stand_in.dies_after().or(options.agent_dies),
            AgentSide::Real(_) | AgentSide::Dead => options.agent_dies,
        };
        let times = Times {
            origin: Instant::now(),
            speed,
            idle: scaled(options.idle),
            longest: options.longest.map(scaled),
            bye: options.bye.map(scaled),
            agent_dies: dies.map(scaled),
            agent_left: None,
            last_activity: Duration::ZERO,
            connected_at: Duration::ZERO,
            frozen_until: Duration::ZERO,
            cut_until: Duration::ZERO,
        };
        let draw = Draw::new(faults.seed).text(&id);
        Some(Broker {
            up: Lane::new("up", faults.up, draw),
            down: Lane::new("down", faults.down, draw),
            core,
            id,
            meter,
            events,
            client: None,
            agent,
            leaving: Vec::new(),
            times,
            alarm: Box::pin(tokio::time::sleep(Duration::ZERO)),
            is_over: false,
        })
    }

    fn now(&self) -> Duration {
        self.times.origin.elapsed()
    }

    /// One turn: everything that can be done now.
    fn turn(&mut self, context: &mut Context<'_>) -> Poll<()> {
        for _ in 0..ROUNDS {
            let now = self.now();
            let mut has_moved = self.hear(context, now);
            self.keep_times(now);
            if now >= self.times.frozen_until {
                has_moved |= self.move_frames(context, now);
            }
            self.see_off(context, now);
            if self.is_over && self.leaving.is_empty() && self.client.is_none() {
                return Poll::Ready(());
            }
            if !has_moved {
                return self.wait(context);
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }

    fn move_frames(&mut self, context: &mut Context<'_>, now: Duration) -> bool {
        let mut has_moved = self.read_client(context, now);
        if !self.is_over {
            has_moved |= self.feed_agent(context, now);
            has_moved |= self.read_agent(context, now);
            has_moved |= self.feed_client(context, now);
        }
        if let Some(client) = &mut self.client {
            client.flush(context);
        }
        if let AgentSide::Real(Some(socket)) = &mut self.agent {
            socket.flush(context);
        }
        has_moved
    }

    /// Sleeps until something is due.
    fn wait(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let now = self.now();
        let Some(deadline) = self.deadline(now) else { return Poll::Pending };
        if deadline <= now {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let at = self.times.origin + deadline;
        if self.alarm.deadline() != at {
            self.alarm.as_mut().reset(at);
        }
        if self.alarm.as_mut().poll(context).is_ready() {
            context.waker().wake_by_ref();
        }
        Poll::Pending
    }

    fn deadline(&self, now: Duration) -> Option<Duration> {
        let times = &self.times;
        let leaving = self.leaving.iter().map(|leaving| leaving.until).min();
        if self.is_over {
            return leaving;
        }
        let bye = times.bye.filter(|_| self.client.is_some()).map(|bye| times.connected_at + bye);
        let ends = [Some(times.last_activity + times.idle), times.longest, times.agent_dies, bye, leaving];
        let absent = times.agent_left.map(|left| left + ABSENCE);
        let mut soonest = ends.into_iter().chain([absent]).flatten().min();
        if now < times.frozen_until {
            return soonest.into_iter().chain([times.frozen_until]).min();
        }
        let agent = if let AgentSide::StandIn(stand_in) = &self.agent { stand_in.deadline() } else { None };
        let down = self.down.deadline().filter(|due| self.client.is_some() || *due > now);
        soonest = soonest
            .into_iter()
            .chain(agent)
            .chain(self.up.deadline().filter(|due| *due > now))
            .chain(down)
            .min();
        soonest
    }

    fn keep_times(&mut self, now: Duration) {
        if self.is_over {
            return;
        }
        let times = &mut self.times;
        if times.agent_dies.is_some_and(|at| at <= now) {
            times.agent_dies = None;
            self.act(SessionAct::KillAgent, now);
        }
        if self.times.agent_left.is_some_and(|left| left + ABSENCE <= now) {
            self.times.agent_left = None;
            self.tell_client(MessageType::PausePublication);
        }
        let times = &self.times;
        if times.longest.is_some_and(|longest| longest <= now) {
            // The service's own words are not known.
            self.finish("Your session timed out: it has reached its maximum duration.", End::TimedOut, now);
        } else if times.last_activity + times.idle <= now {
            self.act(SessionAct::TimeOut, now);
        } else if self.client.is_some() && times.bye.is_some_and(|bye| times.connected_at + bye <= now) {
            self.act(SessionAct::Bye, now);
        }
    }

    /// Takes in what comes from outside of the session.
    fn hear(&mut self, context: &mut Context<'_>, now: Duration) -> bool {
        let mut has_heard = false;
        while let Poll::Ready(Some(event)) = self.events.poll_recv(context) {
            has_heard = true;
            match event {
                Event::Client(socket) => self.arrive(socket, now),
                Event::Agent(socket) => {
                    if let AgentSide::Real(agent) = &mut self.agent {
                        let before = agent.replace(socket);
                        self.times.agent_left = None;
                        if let Some(before) = before {
                            self.dismiss(before, (1000, ""), now);
                        }
                        self.tell_agent(MessageType::StartPublication, self.client.is_some(), now);
                        // Both are there now: a client that was first, or was told of a pause, hears of it too.
                        self.tell_client(MessageType::StartPublication);
                    }
                }
                Event::Act(act) => self.act(act, now),
                Event::Finished(output) => self.finish(&output, End::Finished, now),
                Event::Faults(faults) => {
                    self.up.set_faults(faults.up);
                    self.down.set_faults(faults.down);
                }
            }
        }
        has_heard
    }

    fn arrive(&mut self, socket: Box<Socket>, now: Duration) {
        if self.is_over || now < self.times.cut_until {
            return;
        }
        if let Some(before) = self.client.replace(socket) {
            self.note_close("1000 replaced");
            self.dismiss(before, (1000, "Another connection has taken over."), now);
        }
        self.meter.notes().connects += 1;
        self.times.connected_at = now;
        self.times.last_activity = now;
        self.set_status(Status::Connected);
        let is_agent_there = !matches!(self.agent, AgentSide::Real(None));
        if is_agent_there {
            self.tell_client(MessageType::StartPublication);
        }
        self.tell_agent(MessageType::StartPublication, true, now);
    }

    /// The client's connection is gone.
    fn depart(&mut self, how: &str, now: Duration) {
        if self.client.take().is_none() {
            return;
        }
        self.note_close(how);
        self.up.clear();
        if !self.is_over {
            self.set_status(Status::Disconnected);
            self.tell_agent(MessageType::PausePublication, true, now);
        }
    }

    fn note_close(&self, how: &str) {
        self.meter.notes().closes.push(how.to_owned());
    }

    fn set_status(&self, status: Status) {
        if let Some(session) = self.core.state().sessions.get_mut(&self.id)
            && session.is_active()
        {
            session.status = status;
        }
    }

    /// Closes a connection, and waits a little for the other side.
    fn dismiss(&mut self, mut socket: Box<Socket>, (code, reason): (u16, &str), now: Duration) {
        socket.close(code, reason);
        self.leaving.push(Leaving { socket, until: now + FAREWELL });
    }

    fn see_off(&mut self, context: &mut Context<'_>, now: Duration) {
        self.leaving.retain_mut(|leaving| {
            leaving.socket.flush(context);
            loop {
                match leaving.socket.poll_receive(context) {
                    Poll::Ready(Received::Gone) => return false,
                    Poll::Ready(_) => {}
                    Poll::Pending => return now < leaving.until,
                }
            }
        });
    }

    fn tell_client(&mut self, message_type: MessageType) {
        let frame = plain(message_type, Bytes::new(), PayloadType::None);
        if let Some(client) = &mut self.client {
            client.send(frame);
        }
    }

    fn tell_agent(&mut self, message_type: MessageType, is_wanted: bool, now: Duration) {
        if !is_wanted {
            return;
        }
        let frame = plain(message_type, Bytes::new(), PayloadType::None);
        match &mut self.agent {
            AgentSide::StandIn(stand_in) => stand_in.receive(frame, now),
            AgentSide::Real(Some(socket)) => socket.send(frame),
            AgentSide::Real(None) | AgentSide::Dead => {}
        }
    }

    /// Does what is asked for.
    fn act(&mut self, act: SessionAct, now: Duration) {
        let milliseconds = |ms: u64| now + Duration::from_millis(ms).div_f64(self.times.speed);
        match act {
            SessionAct::Bye => self.hang_up((1000, "Bye"), now),
            SessionAct::Close { code, reason } => self.hang_up((code, &reason), now),
            SessionAct::Drop => self.depart("dropped", now),
            SessionAct::Cut { ms } => {
                self.times.cut_until = milliseconds(ms);
                let until = At::now() + self.times.cut_until.saturating_sub(now);
                if let Some(session) = self.core.state().sessions.get_mut(&self.id) {
                    session.cut_until = until;
                }
                self.depart("cut", now);
            }
            SessionAct::Freeze { ms } => self.times.frozen_until = milliseconds(ms),
            SessionAct::KillAgent => {
                if let AgentSide::Real(Some(socket)) = std::mem::replace(&mut self.agent, AgentSide::Dead) {
                    self.dismiss(socket, (1000, ""), now);
                }
                if let Some(session) = self.core.state().sessions.get_mut(&self.id) {
                    session.is_agent_dead = true;
                }
            }
            SessionAct::Terminate { output } => self.finish(&output, End::Terminated, now),
            SessionAct::TimeOut => {
                self.finish("Your session timed out due to inactivity.", End::TimedOut, now)
            }
            SessionAct::ExpireToken => {
                if let Some(session) = self.core.state().sessions.get_mut(&self.id) {
                    session.token.is_used = true;
                }
            }
            SessionAct::Pause => self.tell_client(MessageType::PausePublication),
            SessionAct::Start => self.tell_client(MessageType::StartPublication),
        }
    }

    fn hang_up(&mut self, (code, reason): (u16, &str), now: Duration) {
        if let Some(client) = self.client.take() {
            self.dismiss(client, (code, reason), now);
            self.note_close(format!("{code} {reason}").trim_end());
            self.up.clear();
            self.set_status(Status::Disconnected);
            self.tell_agent(MessageType::PausePublication, true, now);
        }
    }

    /// The session is over: both ends are told.
    fn finish(&mut self, output: &str, how: End, now: Duration) {
        if self.is_over {
            return;
        }
        self.is_over = true;
        let closed = closed(&self.id, output);
        if let Some(mut client) = self.client.take() {
            while let Some(frame) = self.down.pop(now) {
                client.send(frame);
            }
            client.send(closed.clone());
            self.note_close("1000 over");
            self.dismiss(client, (1000, ""), now);
        }
        if let AgentSide::Real(Some(mut socket)) = std::mem::replace(&mut self.agent, AgentSide::Dead) {
            socket.send(closed);
            self.dismiss(socket, (1000, ""), now);
        }
        let mut state = self.core.state();
        if let Some(session) = state.sessions.get_mut(&self.id) {
            session.end(how, At::now());
            output.trim().clone_into(&mut session.details);
        }
    }

    fn read_client(&mut self, context: &mut Context<'_>, now: Duration) -> bool {
        let mut has_moved = false;
        for _ in 0..FRAMES {
            let Some(client) = self.client.as_mut().filter(|_| self.up.has_room()) else { break };
            let Poll::Ready(received) = client.poll_receive(context) else { break };
            has_moved = true;
            match received {
                Received::Frame(frame) => {
                    self.meter.up.add(frame.len());
                    if frame.get(4..21) == Some(b"input_stream_data") {
                        self.times.last_activity = now;
                    }
                    if matches!(self.agent, AgentSide::Real(_)) {
                        overheard::from_client(&frame, &self.meter);
                    }
                    self.up.push(frame, now, &self.meter);
                }
                Received::Text(_) => {}
                Received::Closed(code) => self.depart(&format!("client: {code}"), now),
                Received::Gone => self.depart("client: gone", now),
                Received::TooLarge => self.hang_up((1009, "Message too big"), now),
            }
        }
        has_moved
    }

    fn feed_agent(&mut self, context: &mut Context<'_>, now: Duration) -> bool {
        let mut has_moved = false;
        for _ in 0..FRAMES {
            if let AgentSide::Real(socket) = &mut self.agent {
                let is_ready = socket.as_mut().is_some_and(|socket| socket.poll_ready(context).is_ready());
                if !is_ready {
                    break;
                }
            }
            let Some(frame) = self.up.pop(now) else { break };
            has_moved = true;
            match &mut self.agent {
                AgentSide::StandIn(stand_in) => stand_in.receive(frame, now),
                AgentSide::Real(Some(socket)) => socket.send(frame),
                AgentSide::Real(None) | AgentSide::Dead => {}
            }
        }
        if let AgentSide::StandIn(stand_in) = &mut self.agent
            && let Outlook::Over(output) = stand_in.poll(context, now)
        {
            self.feed_client(context, now);
            self.finish(&output, End::Finished, now);
        }
        has_moved
    }

    /// What a real agent sends; a stand-in is asked when there is room.
    fn read_agent(&mut self, context: &mut Context<'_>, now: Duration) -> bool {
        let mut has_moved = false;
        for _ in 0..FRAMES {
            let AgentSide::Real(Some(socket)) = &mut self.agent else { break };
            if !self.down.has_room() {
                break;
            }
            let Poll::Ready(received) = socket.poll_receive(context) else { break };
            has_moved = true;
            match received {
                Received::Frame(frame) if frame.get(4..23) == Some(b"agent_session_state") => {
                    self.agent_says(frame)
                }
                Received::Frame(frame) => {
                    overheard::from_agent(&frame, &self.meter);
                    self.down.push(frame, now, &self.meter);
                }
                Received::Text(_) => {}
                Received::Closed(_) | Received::Gone | Received::TooLarge => {
                    self.agent = AgentSide::Real(None);
                    self.times.agent_left = Some(now);
                }
            }
        }
        has_moved
    }

    fn agent_says(&self, frame: Bytes) {
        let state = Frame::decode(frame, herder_session::frame::DigestCheck::Skipped)
            .ok()
            .and_then(|frame| AgentSessionState::from_json(&frame.payload).ok());
        if let Some(state) = state {
            self.meter.notes().agent_states.push(state.session_state);
        }
    }

    fn feed_client(&mut self, context: &mut Context<'_>, now: Duration) -> bool {
        let mut has_moved = false;
        for _ in 0..FRAMES {
            let Some(client) = &mut self.client else { break };
            if client.poll_ready(context).is_pending() {
                break;
            }
            let mut has_more = false;
            if let AgentSide::StandIn(stand_in) = &mut self.agent
                && self.down.has_room()
                && let Some(frame) = stand_in.transmit(now)
            {
                has_more = true;
                self.down.push(frame, now, &self.meter);
            }
            if let Some(frame) = self.down.pop(now) {
                has_more = true;
                self.meter.down.add(frame.len());
                if frame.get(4..22) == Some(b"output_stream_data") {
                    self.times.last_activity = now;
                }
                client.send(frame);
            }
            if !has_more {
                break;
            }
            has_moved = true;
        }
        has_moved
    }
}

impl Future for Broker {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.get_mut().turn(context)
    }
}

/// A message of the service's own.
pub(crate) fn plain(message_type: MessageType, payload: Bytes, payload_type: PayloadType) -> Bytes {
    let now = At::now();
    let header = Header {
        message_type,
        schema_version: 1,
        created_ms: u64::try_from(now.0 / 1000).unwrap_or(1).max(1),
        sequence: 0,
        flags: Flags::NONE,
        id: fresh_id(),
        payload_type,
    };
    Frame { header, payload }.encode()
}

/// A message id that nobody had yet.
pub(crate) fn fresh_id() -> MessageId {
    use ring::rand::{SecureRandom, SystemRandom};
    let mut bytes = [0; 16];
    match SystemRandom::new().fill(&mut bytes) {
        Ok(()) => uuid::Builder::from_random_bytes(bytes).into_uuid(),
        Err(_) => MessageId::nil(),
    }
}

fn closed(session: &str, output: &str) -> Bytes {
    let id = fresh_id();
    let closed = ChannelClosed {
        message_type: "channel_closed".to_owned(),
        message_id: id.to_string(),
        destination_id: session.to_owned(),
        session_id: session.to_owned(),
        schema_version: 1,
        created_date: (At::now().0 / 1000).to_string(),
        output: output.to_owned(),
    };
    plain(MessageType::ChannelClosed, closed.to_json(), PayloadType::None)
}
