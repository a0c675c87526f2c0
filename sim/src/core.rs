//! One request's way: authentication, denial, faults, quota, hold, effect, hold, answer.

use crate::accounts;
use crate::clock::At;
use crate::credentials::{Credentials, Principal, Refused};
use crate::draw::Draw;
use crate::fault::{Fate, Faults};
use crate::gateway::{self, Agents};
use crate::hold::{Held, Holds, Release, When};
use crate::outage::{Down, Outages};
use crate::quota::Quotas;
use crate::request_log::{Outcome, RequestLog, RequestRecord};
use crate::service::ssm::registration;
use crate::service::{self, ec2, messages};
use crate::sessions::Sessions;
use crate::sessions::faults::FrameFaults;
use crate::spec::Spec;
use crate::wire::auth::{self, Scope};
use crate::wire::form::Form;
use crate::wire::route::{Incoming, Route, route};
use crate::wire::{ApiError, Protocol, Reply, Service, error_reply};
use crate::world::World;
use serde_json::{Map, Value};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Everything that changes.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) world: World,
    pub(crate) quotas: Quotas,
    pub(crate) faults: Faults,
    pub(crate) log: RequestLog,
    pub(crate) credentials: Credentials,
    pub(crate) holds: Holds,
    pub(crate) outages: Outages,
    pub(crate) sessions: Sessions,
    pub(crate) agents: Agents,
    pub(crate) frame_faults: FrameFaults,
    /// How far the clock that callers see is off, in microseconds.
    pub(crate) skew: i64,
}

/// A simulation.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) spec: Arc<Spec>,
    state: Mutex<State>,
    tasks: UnboundedSender<Task>,
}

/// Something that goes on beside requests.
pub(crate) type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What goes back: an answer, or a closed connection.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) reply: Option<Reply>,
    pub(crate) request_id: String,
    pub(crate) date: String,
}

/// A request whose protocol is understood.
#[derive(Debug)]
pub(crate) struct Call {
    seq: u64,
    pub(crate) service: Service,
    pub(crate) protocol: Protocol,
    pub(crate) api: String,
    mutating: bool,
    pub(crate) region: String,
    scope: Option<Scope>,
    pub(crate) form: Form,
    pub(crate) incoming: Incoming,
    pub(crate) request_id: String,
}

/// What is decided before a call takes effect.
enum Gate {
    Refused(ApiError, Outcome),
    Dropped,
    Open(Principal, Fate),
}

const MUTATING: [&str; 18] = [
    "SendCommand",
    "CancelCommand",
    "AddTagsToResource",
    "RemoveTagsFromResource",
    "CreateTags",
    "DeleteTags",
    "StartInstances",
    "StopInstances",
    "RebootInstances",
    "TerminateInstances",
    "RunInstances",
    "SetAlarmState",
    "CreateBucket",
    "PutObject",
    "DeleteObject",
    "StartSession",
    "ResumeSession",
    "TerminateSession",
];

impl Core {
    /// A simulation, and what it wants to have run beside requests.
    pub(crate) fn new(spec: Spec) -> std::io::Result<(Arc<Core>, UnboundedReceiver<Task>)> {
        let born = At::now();
        let mut credentials = Credentials::new(spec.seed);
        credentials.are_expired = spec.expired;
        let state = State {
            world: World::new(&spec, born),
            quotas: Quotas::new(spec.rate, spec.burst).with_sends(spec.send_rate),
            faults: Faults::new(&spec),
            log: RequestLog::open(spec.log.as_deref())?,
            credentials,
            holds: Holds::default(),
            outages: Outages::new(&spec, born),
            sessions: Sessions::new(spec.seed),
            agents: Agents::default(),
            frame_faults: spec.session.faults.clone(),
            skew: spec.skew_ms.saturating_mul(1000),
        };
        let (tasks, wanted) = unbounded_channel();
        Ok((Arc::new(Core { spec: Arc::new(spec), state: Mutex::new(state), tasks }), wanted))
    }

    /// Has something run.
    pub(crate) fn run(&self, task: Task) {
        // A simulation that ends runs nothing more.
        let _ended = self.tasks.send(task);
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers a request.
    pub(crate) async fn process(self: &Arc<Self>, incoming: Incoming) -> Outgoing {
        let call = self.receive(incoming);
        let latency = Duration::from_millis(self.state().faults.latency_ms(&call.api));
        if !latency.is_zero() {
            tokio::time::sleep(latency / 2).await;
        }
        let (reply, outcome, took_effect) = self.carry_out(&call).await;
        if !latency.is_zero() {
            tokio::time::sleep(latency / 2).await;
        }
        let mut state = self.state();
        let now = At::now();
        let date = At(now.0.saturating_add(state.skew)).http_date();
        let command_id =
            reply.as_ref().filter(|_| call.api == "SendCommand").and_then(|reply| command_id(&reply.body));
        state.log.finish(call.seq, |record| {
            record.outcome = outcome;
            record.took_effect = took_effect;
            record.reply_bytes = reply.as_ref().map_or(0, Reply::length);
            record.command_id = command_id.or(record.command_id.take());
        });
        Outgoing { reply, request_id: call.request_id, date }
    }

    /// Reads what a request asks for, and logs it.
    fn receive(&self, incoming: Incoming) -> Call {
        let scope = auth::scope(incoming.header("authorization"));
        let Route { service, protocol, api, form } = route(&incoming, scope.as_ref());
        let region = scope.as_ref().map_or_else(
            || self.spec.regions.first().cloned().unwrap_or_default(),
            |scope| scope.region.clone(),
        );
        let mutating = MUTATING.contains(&api.as_str());
        let now = At::now();
        let (comment, targets) = if service == Service::Ssm {
            outline(&incoming.body)
        } else {
            (None, form.list("InstanceId").len())
        };
        let mut state = self.state();
        let mut record = RequestRecord {
            seq: 0,
            at: now.format("%Y-%m-%dT%H:%M:%S%.6fZ"),
            at_us: now.0,
            account: String::new(),
            region: region.clone(),
            service: service.name().to_owned(),
            api: api.clone(),
            mutating,
            outcome: Outcome::Open,
            took_effect: false,
            request_id: String::new(),
            comment,
            command_id: None,
            targets: targets as u32,
            bytes: incoming.body.len() as u64,
            reply_bytes: 0,
        };
        let number = state.log.records().len() as u64;
        record.request_id = Draw::new(self.spec.seed).text("request").with(number).with(now.0 as u64).uuid();
        let request_id = record.request_id.clone();
        let seq = state.log.begin(record);
        Call { seq, service, protocol, api, mutating, region, scope, form, incoming, request_id }
    }

    async fn carry_out(self: &Arc<Self>, call: &Call) -> (Option<Reply>, Outcome, bool) {
        let fail =
            |error: &ApiError| Some(error_reply((call.service, call.protocol), error, &call.request_id));
        let (principal, fate) = match self.gate(call) {
            Gate::Refused(error, outcome) => return (fail(&error), outcome, false),
            Gate::Dropped => return (None, Outcome::DroppedBefore, false),
            Gate::Open(principal, fate) => (principal, fate),
        };
        if self.hold(call, When::Before).await == Release::Drop {
            return (None, Outcome::DroppedBefore, false);
        }
        if call.service == Service::Messages {
            tokio::time::sleep(messages::WAIT.div_f64(self.spec.speed)).await;
        }
        let (reply, outcome) = match self.effect(call, &principal) {
            Ok(reply) => (reply, Outcome::Accepted),
            Err(error) => {
                let reply = error_reply((call.service, call.protocol), &error, &call.request_id);
                (reply, Outcome::Error(error.code.to_string()))
            }
        };
        let took_effect = outcome == Outcome::Accepted;
        if took_effect
            && call.api == "StartSession"
            && let Some(id) = session_id(&reply.body)
        {
            gateway::begin(self, &id);
        }
        if took_effect && let Some(id) = command_id(&reply.body).filter(|_| call.api == "SendCommand") {
            self.state().log.update(call.seq, |record| {
                record.command_id = Some(id);
                record.took_effect = true;
            });
        }
        if self.hold(call, When::After).await == Release::Drop {
            return (None, Outcome::DroppedAfter, took_effect);
        }
        let cut = reply.stream.as_ref().and_then(|_| self.state().faults.cut(&call.api, reply.length()));
        let reply = Reply { cut, ..reply };
        match fate {
            Fate::ErrorAfter => {
                let error = ApiError::internal(call.service);
                (fail(&error), Outcome::Error(error.code.to_string()), took_effect)
            }
            Fate::DropAfter => (None, Outcome::DroppedAfter, took_effect),
            Fate::Pass | Fate::Throttle | Fate::ErrorBefore | Fate::DropBefore => {
                (Some(reply), outcome, took_effect)
            }
        }
    }

    /// Decides whether a call gets to its effect.
    fn gate(&self, call: &Call) -> Gate {
        let refuse = |error: ApiError| {
            let outcome = Outcome::Error(error.code.to_string());
            Gate::Refused(error, outcome)
        };
        let throttle = || Gate::Refused(ApiError::throttled(call.service), Outcome::Throttled);
        let now = At::now();
        let mut state = self.state();
        match state.outages.of(&call.region, now) {
            Some(Down::Dropped) => return Gate::Dropped,
            Some(Down::Unavailable) => return refuse(ApiError::unavailable(call.service)),
            None => {}
        }
        let is_agents = registration::is_agents(call.service, &call.api);
        if call.scope.is_none() && !is_agents {
            return refuse(auth::missing(call.service));
        }
        if ec2::is_closed(&self.spec, &call.region) {
            return refuse(auth::unknown(call.service));
        }
        if self.spec.switches.strict_clock
            && let Some(error) = auth::skewed(
                call.service,
                call.incoming.header("x-amz-date"),
                At(now.0.saturating_add(state.skew)),
            )
        {
            return refuse(error);
        }
        let caller = match &call.scope {
            scope if is_agents => {
                registration::caller(&state.agents.registrations, &call.api, (&call.incoming, scope.as_ref()))
            }
            Some(scope) => {
                state.credentials.principal(&scope.access_key, now).map_err(|refused| match refused {
                    Refused::Unknown => auth::unknown(call.service),
                    Refused::Expired => auth::expired(call.service),
                })
            }
            None => Err(auth::missing(call.service)),
        };
        let principal = match caller {
            Ok(principal) => principal,
            Err(error) => return refuse(error),
        };
        state.log.update(call.seq, |record| record.account.clone_from(&principal.account));
        let denied_by_switch =
            self.spec.switches.properties_denied && call.api == "DescribeInstanceProperties";
        let fate = state.faults.decide(call.service, &call.api);
        if fate == Fate::Throttle
            || !state.quotas.take(&principal.account, &call.region, (call.service.name(), &call.api), now)
        {
            return throttle();
        }
        let denied_here = accounts::refuses(&self.spec, &principal.account, &call.api);
        if denied_by_switch || denied_here || state.faults.is_denied(&call.api) {
            let resource = format!("arn:aws:{}:{}:{}:*", call.service.name(), call.region, principal.account);
            return refuse(ApiError::denied(call.service, &call.api, &principal.arn, &resource));
        }
        match fate {
            Fate::ErrorBefore => refuse(ApiError::internal(call.service)),
            Fate::DropBefore => Gate::Dropped,
            Fate::Pass | Fate::Throttle | Fate::ErrorAfter | Fate::DropAfter => Gate::Open(principal, fate),
        }
    }

    /// Logs a request to the gateway, which is answered already.
    pub(crate) fn log_visit(
        &self,
        incoming: &Incoming,
        (service, api): (Service, &str),
        account: &str,
        outcome: Outcome,
    ) {
        let now = At::now();
        let scope = auth::scope(incoming.header("authorization"));
        let took_effect = outcome == Outcome::Accepted;
        self.state().log.begin(RequestRecord {
            seq: 0,
            at: now.format("%Y-%m-%dT%H:%M:%S%.6fZ"),
            at_us: now.0,
            account: account.to_owned(),
            region: scope.map(|scope| scope.region).unwrap_or_default(),
            service: service.name().to_owned(),
            api: api.to_owned(),
            mutating: true,
            outcome,
            took_effect,
            request_id: String::new(),
            comment: None,
            command_id: None,
            targets: 0,
            bytes: incoming.body.len() as u64,
            reply_bytes: 0,
        });
    }

    async fn hold(&self, call: &Call, when: When) -> Release {
        let held: Option<Held> = {
            let mut state = self.state();
            let held = state.holds.pass(&call.api, call.mutating, when);
            if held.is_some() {
                state.log.update(call.seq, |record| record.outcome = Outcome::Held);
            }
            held
        };
        match held {
            Some(held) => held.released().await,
            None => Release::Continue,
        }
    }

    fn effect(&self, call: &Call, principal: &Principal) -> Result<Reply, ApiError> {
        service::answer(&mut self.state(), &self.spec, call, principal)
    }
}

/// Comment and number of targets of a request, for the log.
fn outline(body: &[u8]) -> (Option<String>, usize) {
    let parsed: Map<String, Value> = serde_json::from_slice(body).unwrap_or_default();
    let comment = parsed.get("Comment").and_then(Value::as_str).map(str::to_owned);
    (comment, parsed.get("InstanceIds").and_then(Value::as_array).map_or(0, Vec::len))
}

fn session_id(body: &[u8]) -> Option<String> {
    let parsed: Value = serde_json::from_slice(body).ok()?;
    parsed.get("SessionId")?.as_str().map(str::to_owned)
}

fn command_id(body: &[u8]) -> Option<String> {
    let parsed: Value = serde_json::from_slice(body).ok()?;
    parsed.get("Command")?.get("CommandId")?.as_str().map(str::to_owned)
}
