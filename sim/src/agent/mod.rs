//! What stands in for the agent of a simulated node, in one session: its end of the channel, and what the session is about.

mod app;
mod command;
pub(crate) mod network;
mod port;
mod reply;
mod terminal;
mod utf8;

use crate::clock::At;
use crate::draw::Draw;
use crate::fleet::names::Platform;
use crate::node_shell::machine::{Identity, Machine};
use crate::node_shell::programs::login_environment;
use crate::node_shell::stream::lock;
use crate::service::kms::{Context as KeyContext, Kms};
use crate::service::ssm::answers::{self, Prepared};
use crate::sessions::options::{AckFlags, Paused, SessionOptions};
use crate::sessions::record::Meter;
use crate::sessions::{Kind, Order};
use crate::spec::Spec;
use app::{App, Over, Step};
use bytes::Bytes;
use command::{CommandApp, CommandProperties};
use herder_session::channel::ChannelOptions;
use herder_session::crypto::DataKey;
use herder_session::end::{AgentEnd, AgentError, AgentEvent, AgentOptions};
use herder_session::frame::Flags;
use herder_session::handshake::{AgentPlan, DataKeyRequest, Encryption};
use herder_session::payload::SessionType;
use herder_session::version::{ClientVersion, Version};
use network::{Network, PortRule};
use port::{Destination, PortApp};
use ring::rand::{SecureRandom, SystemRandom};
use serde_json::Value;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;
use terminal::{Program, Seat, TerminalApp};
use tokio::time::{Instant, Sleep};

/// Bytes that wait to be sent before nothing more is read of what runs.
const PENDING: usize = 128 << 10;
/// Largest piece that is read where nobody sleeps in between.
const PIECE: usize = 64 << 10;
/// What the official agent reads at once, and how long it sleeps then.
const SLOW_PIECE: usize = 1024;
const SLOW_SLEEP: Duration = Duration::from_millis(1);
/// How long it waits before it reads a terminal for the first time.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// How much slower nodes are that are slow.
const SLOWNESS: u32 = 10;
/// When agents die that do.
const DEATH: Duration = Duration::from_secs(5);
/// How long an agent waits at the end for what was not acknowledged.
const LAST_WAIT: Duration = Duration::from_secs(2);

/// What an agent is made of.
#[derive(Debug, Clone)]
pub(crate) struct Post {
    pub(crate) spec: Arc<Spec>,
    pub(crate) session_id: String,
    pub(crate) order: Order,
    pub(crate) identity: Identity,
    pub(crate) disk: Arc<Mutex<crate::node_shell::disk::Disk>>,
    pub(crate) neighbours: Vec<String>,
    pub(crate) meter: Arc<Meter>,
}

/// An agent in one session.
pub(crate) struct StandIn {
    post: Post,
    end: AgentEnd,
    app: Option<App>,
    plan: Plan,
    /// What the scenario says of its command.
    prepared: Option<Prepared>,
    is_paused: bool,
    /// What runs is not read before then.
    not_before: Option<Pin<Box<Sleep>>>,
    step_time: Option<Duration>,
    over: Option<Over>,
    waits_until: Option<Duration>,
}

/// What a session is to be about.
enum Plan {
    Terminal(Program),
    Command(CommandProperties),
    Port(Destination),
    /// Nothing: the document makes no sense.
    Broken(String),
}

/// What becomes of a session, as far as its agent is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outlook {
    GoesOn,
    /// It is over; the text is for the client.
    Over(String),
}

fn options(post: &Post) -> &SessionOptions {
    &post.spec.session
}

fn plan(post: &Post) -> Plan {
    let (order, is_windows) = (&post.order, post.identity.node.platform == Platform::Windows);
    let platform = if is_windows { "windows" } else { "linux" };
    let profile = |name: &str| {
        order
            .inputs
            .pointer(&format!("/shellProfile/{name}"))
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let command = || CommandProperties::read(&order.properties, platform);
    match order.kind {
        Kind::StandardStream => match command() {
            // A document of one's own may say what the shell is to run.
            Ok(own) if !own.line.trim().is_empty() => Plan::Terminal(Program::Command(own.line)),
            _ => Plan::Terminal(Program::Shell { profile: profile(platform) }),
        },
        Kind::InteractiveCommands => match command() {
            Ok(own) if own.line.trim().is_empty() => {
                Plan::Broken("Commands cannot be empty for session type InteractiveCommands".to_owned())
            }
            Ok(own) => Plan::Terminal(Program::Command(own.line)),
            Err(message) => Plan::Broken(message),
        },
        Kind::NonInteractiveCommands => command().map_or_else(Plan::Broken, Plan::Command),
        Kind::Port => Destination::read(&order.properties).map_or_else(Plan::Broken, Plan::Port),
    }
}

impl StandIn {
    /// An agent that begins now; times are since an origin that the caller chose.
    pub(crate) fn new(post: Post, now: Duration) -> StandIn {
        let options = options(&post);
        let node = &post.identity.node;
        let mut random = [0; 32];
        if SystemRandom::new().fill(&mut random).is_err() {
            let mut draw = Draw::new(post.spec.seed).text(&post.session_id);
            random
                .chunks_mut(8)
                .for_each(|part| part.copy_from_slice(&draw.bits().to_le_bytes()[..part.len()]));
        }
        let seed = Draw::new(post.spec.seed).text(&post.session_id).bits();
        let unix_ms = u64::try_from(At::now().0 / 1000).unwrap_or(0);
        let zero = unix_ms.saturating_sub(u64::try_from(now.as_millis()).unwrap_or(0));
        let is_windows = node.platform == Platform::Windows;
        let channel = ChannelOptions {
            chunk_bytes: options.chunk as usize,
            accepted_ack_flags: match options.acks {
                AckFlags::Any => None,
                AckFlags::Unflagged => Some(Flags::NONE),
                AckFlags::WindowsUnflagged => is_windows.then_some(Flags::NONE),
                AckFlags::Flagged => Some(Flags::SYN_FIN),
            },
            // The official agent does not look at digests.
            ..ChannelOptions::agent(seed, zero)
        };
        let kms = post.order.inputs.get("kmsKeyId").and_then(Value::as_str).filter(|key| !key.is_empty());
        let encryption = kms.filter(|_| post.order.kind != Kind::Port).map(|key| Encryption {
            key_id: key.to_owned(),
            challenge: challenge(&post),
            is_acknowledgement_required: options.challenge,
        });
        let customer_message =
            if encryption.is_some() { "This session is encrypted using AWS KMS." } else { "" }.to_owned();
        let agent_plan = AgentPlan {
            agent_version: node.agent.clone(),
            session_type: SessionType::from(post.order.kind.name().to_owned()),
            properties: post.order.properties.clone(),
            encryption,
            customer_message,
        };
        let end = AgentEnd::new(now, AgentOptions::new(channel, agent_plan, random));
        post.meter.notes().agent_version.clone_from(&node.agent);
        let plan = plan(&post);
        let line = match &plan {
            Plan::Terminal(Program::Command(line)) => Some(line),
            Plan::Command(properties) => Some(&properties.line),
            Plan::Terminal(Program::Shell { .. }) | Plan::Port(_) | Plan::Broken(_) => None,
        };
        let prepared = line.and_then(|line| {
            answers::prepared(&post.spec, (&post.order.document, line), &post.identity.node)
        });
        StandIn {
            post,
            end,
            app: None,
            plan,
            prepared,
            is_paused: false,
            not_before: None,
            step_time: None,
            over: None,
            waits_until: None,
        }
    }

    /// How long after the session's start the agent dies, on a node whose agents die or as the scenario says of the command.
    pub(crate) fn dies_after(&self) -> Option<Duration> {
        let dies = self.post.identity.node.health.dying
            || self.prepared.as_ref().is_some_and(|prepared| prepared.dies);
        dies.then_some(DEATH)
    }

    /// A frame comes in.
    pub(crate) fn receive(&mut self, frame: Bytes, now: Duration) {
        // What can't be read is as if it had not come.
        let _sent_again = self.end.receive(now, frame);
    }

    /// Lets everything go on that can.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>, now: Duration) -> Outlook {
        if self.end.deadline().is_some_and(|deadline| deadline <= now)
            && let Err(error) = self.end.expire(now)
        {
            return failed(&error);
        }
        loop {
            let was_over = self.over.is_some();
            if let Some(app) = &mut self.app {
                app.poll(context);
            }
            match self.listen(context, now) {
                Ok(None) => {}
                Ok(Some(outlook)) => return outlook,
                Err(error) => return failed(&error),
            }
            let has_read = self.read(context, now);
            if !has_read || (!was_over && self.over.is_some()) {
                break;
            }
        }
        self.outlook(now)
    }

    /// Takes in what the client says, as far as it can be taken.
    fn listen(&mut self, context: &mut Context<'_>, now: Duration) -> Result<Option<Outlook>, AgentError> {
        loop {
            let can_take = self.app.as_mut().is_none_or(|app| app.can_take(context));
            self.end.set_ready(can_take);
            let Some(event) = self.end.next_event(now)? else { return Ok(None) };
            match event {
                AgentEvent::DecryptionNeeded { request, ciphertext } => {
                    let key = self.decrypt(&request, &ciphertext);
                    self.end.data_key(now, key)?;
                }
                AgentEvent::Started { client_version, is_encrypted } => {
                    if let Some(outlook) = self.start(client_version.as_ref(), is_encrypted) {
                        return Ok(Some(outlook));
                    }
                }
                AgentEvent::Input(bytes) => {
                    self.post.meter.input.fetch_add(bytes.len() as u64, Ordering::Relaxed);
                    if let Some(app) = &mut self.app {
                        app.take(bytes);
                        app.poll(context);
                    }
                }
                AgentEvent::Size(size) => {
                    if let Some(app) = &mut self.app {
                        app.resize(size);
                    }
                }
                AgentEvent::Flag(flag) => {
                    if let Some(app) = &mut self.app {
                        app.flag(flag);
                    }
                }
                AgentEvent::PeerAway => {
                    self.is_paused = true;
                    if options(&self.post).paused == Paused::Stops
                        && let Some(App::Command(app)) = &mut self.app
                    {
                        app.stop_reading();
                    }
                }
                AgentEvent::PeerPresent => self.is_paused = false,
                AgentEvent::Closed(_) => return Ok(Some(Outlook::Over(String::new()))),
                _ => {}
            }
        }
    }

    fn decrypt(&self, request: &DataKeyRequest, ciphertext: &[u8]) -> Result<DataKey, String> {
        let why = |error: String| {
            format!(
                "Fetching data key failed: Unable to retrieve data key, Error when decrypting data key {error}"
            )
        };
        let order = &self.post.order;
        if options(&self.post).agent_kms_denied {
            let message = format!(
                "AccessDeniedException: User: arn:aws:sts::{}:assumed-role/fleet-node/{} is not authorized to perform: kms:Decrypt on resource: {} because no identity-based policy allows the kms:Decrypt action",
                order.account, order.target, request.key_id
            );
            return Err(why(message));
        }
        let context: KeyContext =
            request.encryption_context(&self.post.session_id, &order.target).into_iter().collect();
        let kms = Kms::of(&self.post.spec, &order.account, &order.region);
        let opened = kms.open(ciphertext, Some(&request.key_id), &context);
        let (_, plaintext) = opened.map_err(|error| why(error.code.into_owned()))?;
        DataKey::new(&plaintext).ok_or_else(|| why("the key has another length".to_owned()))
    }

    /// The session begins.
    fn start(&mut self, client: Option<&ClientVersion>, is_encrypted: bool) -> Option<Outlook> {
        let post = &self.post;
        {
            let mut notes = post.meter.notes();
            notes.is_encrypted = is_encrypted;
            if let Some(client) = client {
                notes.client_version = client.to_string();
            }
        }
        let plan = std::mem::replace(&mut self.plan, Plan::Broken(String::new()));
        let agent = post.identity.node.agent.parse::<Version>().ok();
        let app = match plan {
            Plan::Broken(message) => {
                return Some(Outlook::Over(format!("\n----------ERROR-------\n{message}")));
            }
            Plan::Terminal(program) => {
                App::Terminal(Box::new(TerminalApp::new(&self.seat(), program, &post.meter)))
            }
            Plan::Command(properties) => {
                App::Command(Box::new(CommandApp::new(&self.seat(), &properties, &post.meter)))
            }
            Plan::Port(mut destination) => {
                if !agent.as_ref().is_some_and(Version::forwards_to_remote_hosts) {
                    // Older agents know nothing of hosts.
                    destination.host.clear();
                }
                let multiplexes = agent.as_ref().is_some_and(Version::multiplexes)
                    && client.is_some_and(ClientVersion::multiplexes);
                let keepalive = client.is_some_and(ClientVersion::wants_keepalive);
                let rules: Vec<PortRule> = options(post).ports.clone();
                let network = Network::new(post.identity.clone(), rules, post.neighbours.clone());
                App::Port(Box::new(PortApp::new(network, destination, (multiplexes, keepalive), &post.meter)))
            }
        };
        let is_slow = post.identity.node.health.slow;
        let paced = options(post).paced || is_slow;
        self.step_time =
            (paced && app.is_read_slowly()).then(|| SLOW_SLEEP * if is_slow { SLOWNESS } else { 1 });
        if paced && matches!(app, App::Terminal(_)) {
            self.not_before = Some(Box::pin(tokio::time::sleep(FIRST_WAIT)));
        }
        self.app = Some(app);
        None
    }

    fn seat(&self) -> Seat {
        let post = &self.post;
        let machine = Machine::for_session(post.identity.clone(), post.disk.clone(), post.spec.speed);
        let user = options(post).user.clone();
        let mut environment = login_environment(&user);
        environment.insert("TERM".to_owned(), "xterm-256color".to_owned());
        Seat {
            machine: Arc::new(machine),
            user,
            environment,
            is_windows: post.identity.node.platform == Platform::Windows,
            prepared: self.prepared.clone(),
        }
    }

    /// Reads what runs, as far as there is room for it; true where there was anything.
    fn read(&mut self, context: &mut Context<'_>, _now: Duration) -> bool {
        let mut has_read = false;
        while self.over.is_none() && !self.is_paused && self.end.pending_bytes() < PENDING {
            if let Some(pause) = &mut self.not_before {
                if pause.as_mut().poll(context).is_pending() {
                    break;
                }
                self.not_before = None;
            }
            let Some(app) = &mut self.app else { break };
            let most = if self.step_time.is_some() { SLOW_PIECE } else { PIECE };
            let Poll::Ready(step) = app.poll_step(most, context) else { break };
            has_read = true;
            match step {
                Step::Output(bytes) => {
                    self.count(&bytes);
                    self.end.output(bytes);
                }
                Step::StdErr(bytes) => {
                    self.count(&bytes);
                    self.end.std_err(bytes);
                }
                Step::Flag(flag) => self.end.flag(flag),
                Step::Over(over) => self.over = Some(over),
            }
            if let Some(time) = self.step_time {
                self.not_before = Some(Box::pin(tokio::time::sleep_until(Instant::now() + time)));
            }
        }
        has_read
    }

    fn count(&self, bytes: &Bytes) {
        self.post.meter.output.fetch_add(bytes.len() as u64, Ordering::Relaxed);
    }

    /// At the end: what is left is sent, and acknowledged, or time is over.
    fn outlook(&mut self, now: Duration) -> Outlook {
        let Some(over) = &self.over else { return Outlook::GoesOn };
        if self.waits_until.is_none() {
            if let Over::WithCode(code) = over {
                self.end.exit_code(*code);
            }
            self.waits_until = Some(now + LAST_WAIT);
            self.app = None;
        }
        let is_done = self.end.is_drained() || self.waits_until.is_some_and(|until| until <= now);
        match over {
            _ if !is_done => Outlook::GoesOn,
            Over::Finished | Over::WithCode(_) => Outlook::Over(String::new()),
            Over::Failed(text) => Outlook::Over(text.clone()),
        }
    }

    /// The next frame that goes out.
    pub(crate) fn transmit(&mut self, now: Duration) -> Option<Bytes> {
        let is_mute = options(&self.post).never_acks;
        loop {
            let frame = self.end.transmit(now)?;
            if !(is_mute && frame.get(4..15) == Some(b"acknowledge")) {
                return Some(frame);
            }
        }
    }

    /// When something is to be done although nothing comes.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        self.end.deadline().into_iter().chain(self.waits_until).min()
    }
}

/// What a newer agent sends to be bound into the encryption context.
fn challenge(post: &Post) -> Option<String> {
    use base64::Engine as _;
    let is_new = post.identity.node.agent.starts_with("3.3.");
    let mut bytes = [0; 16];
    SystemRandom::new().fill(&mut bytes).ok()?;
    is_new.then(|| base64::engine::general_purpose::STANDARD.encode(bytes))
}

fn failed(error: &AgentError) -> Outlook {
    Outlook::Over(format!("\n----------ERROR-------\nEncountered error while initiating handshake. {error}"))
}

/// Files of a node, made when they are first asked for.
pub(crate) type Disks = std::collections::HashMap<u32, Arc<Mutex<crate::node_shell::disk::Disk>>>;

/// The files of a node.
pub(crate) fn disk_of(
    disks: &mut Disks,
    identity: &Identity,
    limit: u64,
) -> Arc<Mutex<crate::node_shell::disk::Disk>> {
    let limit = if identity.node.health.broken { 0 } else { limit };
    let made = || Arc::new(Mutex::new(crate::node_shell::machine::new_disk(identity, limit)));
    let disk = disks.entry(identity.node.index).or_insert_with(made).clone();
    drop(lock(&disk));
    disk
}
