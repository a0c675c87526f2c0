//! [`ExecJob`]: what the executor asks, answered by Run Command in each of the run's accounts and regions.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use herder_core::fanout::{
    Accepted, Batch, Collected, Detail, Job, Limits, News, SendOutcome, Sweep, SweepScope, Trouble,
};
use herder_core::journal::Permit;
use herder_core::run_id::RunId;
use herder_core::target::{Platform, ServiceTarget, Target};
use herder_core::via::Via;
use jiff::Timestamp;

use super::channel::Channels;
use super::error::ExecError;
use super::payload::Payload;
use super::realm::Realm;
use crate::ops::guards::Guard;
use crate::scopes::Scopes;

/// Platforms in a lane's number: lanes are counted by account and region first, then by platform. They stand in journals.
const PLATFORMS: u32 = 3;

/// What one run does, wherever it does it.
pub(crate) struct Work {
    /// The run.
    pub(crate) run: RunId,
    /// Its targets.
    pub(crate) targets: Vec<Target>,
    /// What each platform is sent.
    pub(crate) payloads: BTreeMap<Platform, Payload>,
    /// `--delivery-timeout`.
    pub(crate) delivery_timeout: Duration,
    /// `--timeout`; `None` where a document keeps its own.
    pub(crate) execution_timeout: Option<Duration>,
    /// Both together.
    pub(crate) lifetime: Duration,
    /// Who goes over the targets.
    pub(crate) via: Via,
    /// What the service is handed.
    pub(crate) handed: Vec<ServiceTarget>,
    /// Targets that the service chose by itself, after the others, with their lanes.
    pub(crate) adopted: RwLock<Vec<(String, u32)>>,
}

impl Work {
    /// The id of a target.
    pub(crate) fn id(&self, target: usize) -> Option<String> {
        match self.targets.get(target) {
            Some(known) => Some(known.id.clone()),
            None => self.adopted(target).map(|(id, _)| id),
        }
    }

    fn adopted(&self, target: usize) -> Option<(String, u32)> {
        let adopted = self.adopted.read().unwrap_or_else(PoisonError::into_inner);
        adopted.get(target.checked_sub(self.targets.len())?).cloned()
    }
}

/// What an earlier process of the run left of an account and region.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Traces {
    /// AWS's clock at its first intent there.
    pub(crate) since: Option<Timestamp>,
    /// Whether it may have sent something there.
    pub(crate) has_sent: bool,
}

/// What an [`ExecJob`] has to do with besides Run Command.
pub(crate) struct Around {
    /// By realm; what is missing has none.
    pub(crate) traces: BTreeMap<u32, Traces>,
    /// Where outputs go besides the service's own answers, by realm.
    pub(super) channels: Vec<Channels>,
    /// What is asked and listened to while the run goes on.
    pub(crate) guard: Guard,
}

/// One run's work on Run Command.
pub(crate) struct ExecJob {
    work: Arc<Work>,
    /// By number.
    realms: Vec<Realm>,
    /// The lane of each target.
    lanes: Vec<u32>,
    guard: Guard,
}

impl ExecJob {
    /// The job in these accounts and regions.
    pub(crate) fn new(scopes: &Scopes, work: Work, around: Around) -> ExecJob {
        let Around { traces, channels, guard } = around;
        let work = Arc::new(work);
        let mut channels = channels.into_iter();
        let realms = scopes.iter().zip(0..).map(|(open, number)| {
            let traces = traces.get(&number).copied().unwrap_or_default();
            Realm::new(open, Arc::clone(&work), traces, channels.next().unwrap_or_default())
        });
        let realms = realms.collect();
        let numbers: BTreeMap<(&str, &str), u32> = scopes
            .iter()
            .zip(0..)
            .map(|(open, number)| ((open.identity.account.as_str(), open.identity.region.as_str()), number))
            .collect();
        let first = work.targets.first().and_then(|target| target.platform);
        let lane = |target: &Target| {
            // A node that nobody has found is judged without a send, wherever it is.
            let realm = numbers.get(&(target.account.as_str(), target.region.as_str())).copied().unwrap_or(0);
            // The service is sent one command in each: by the first platform that there is, they all get the same.
            let platform = if work.via == Via::Service { first } else { target.platform };
            realm * PLATFORMS + in_lane(platform)
        };
        let lanes = work.targets.iter().map(lane).collect();
        ExecJob { work, realms, lanes, guard }
    }

    /// The realm of a lane. Lanes come from [`ExecJob::new`], or from the journal of a run with the same scopes.
    fn at(&self, lane: u32) -> &Realm {
        let number = usize::try_from(lane / PLATFORMS).unwrap_or(usize::MAX);
        self.realms.get(number).unwrap_or(&self.realms[0])
    }
}

/// The realm of a lane's number.
pub(crate) fn realm_of(lane: u32) -> u32 {
    lane / PLATFORMS
}

fn in_lane(platform: Option<Platform>) -> u32 {
    match platform {
        Some(Platform::Windows) => 1,
        Some(Platform::Macos) => 2,
        // What SSM doesn't know is most likely Linux; if not, the service says so.
        Some(Platform::Linux) | None => 0,
    }
}

fn platform(lane: u32) -> Platform {
    match lane % PLATFORMS {
        1 => Platform::Windows,
        2 => Platform::Macos,
        _ => Platform::Linux,
    }
}

impl Job for ExecJob {
    type Error = ExecError;

    fn lane(&self, target: usize) -> u32 {
        let known = self.lanes.get(target).copied();
        known.or_else(|| self.work.adopted(target).map(|(_, lane)| lane)).unwrap_or(0)
    }

    fn realm(&self, lane: u32) -> u32 {
        realm_of(lane)
    }

    fn realm_name(&self, realm: u32) -> String {
        self.at(realm * PLATFORMS).name().to_owned()
    }

    fn server_now(&self, lane: u32) -> Option<Timestamp> {
        self.at(lane).server_now()
    }

    async fn ready(&self, lane: u32) {
        self.at(lane).ready().await;
    }

    async fn send(&self, batch: &Batch, limits: Limits, permit: Permit) -> SendOutcome<ExecError> {
        let payload = self.work.payloads.get(&platform(batch.lane));
        self.at(batch.lane).send(payload, batch, limits, permit).await
    }

    async fn locate(&self, batch: &Batch) -> Result<Option<Accepted>, Trouble<ExecError>> {
        self.at(batch.lane).locate(batch).await
    }

    async fn sweep(
        &self,
        realm: u32,
        scope: SweepScope,
        command_ids: Vec<String>,
    ) -> Result<Sweep, Trouble<ExecError>> {
        self.at(realm * PLATFORMS).sweep(scope, command_ids).await
    }

    async fn collect(&self, batch: &Batch, command_id: &str) -> Result<Collected, Trouble<ExecError>> {
        self.at(batch.lane).collect(batch, command_id).await
    }

    async fn detail(&self, target: usize, command_id: &str) -> Result<Detail, Trouble<ExecError>> {
        self.at(self.lane(target)).detail(target, command_id).await
    }

    async fn cancel(&self, lane: u32, command_id: &str, permit: Permit) -> Result<(), Trouble<ExecError>> {
        self.at(lane).cancel(command_id, permit).await
    }

    fn adopt(&self, _target: usize, facts: &Target, lane: u32) {
        // They come in the order of their numbers.
        let mut adopted = self.work.adopted.write().unwrap_or_else(PoisonError::into_inner);
        adopted.push((facts.id.clone(), lane));
    }

    async fn gate(&self, gate: &str, wave: u32) -> Result<Option<String>, String> {
        self.guard.ask(gate, &self.work.run, wave).await
    }

    async fn watch(&self) -> News {
        self.guard.news().await
    }
}
