//! [`CopyJob`]: what the executor asks, answered by copies that this process makes itself. A send is a whole copy.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use herder_aws::ssm::SessionSlot;
use herder_core::fanout::{
    Accepted, Batch, Collected, Detail, Job, Limits, News, SendOutcome, Sweep, SweepScope, Trouble,
};
use herder_core::journal::{HashKey, Permit};
use herder_core::run_id::RunId;
use herder_core::target::Target;
use jiff::Timestamp;

use super::one;
use super::recipe::{CopyRecipe, Direction, SourceState};
use crate::ctx::Ctx;
use crate::failure::{Failure, Kind};
use crate::ops::guards::Guard;
use crate::ops::run::ThrottleEvents;
use crate::ops::session::Launcher;
use crate::scopes::{OpenScope, Scopes};

/// Why a copy could not be made for a reason that is not its node's.
#[derive(Debug)]
pub(crate) struct CopyFault(pub(crate) Failure);

/// With its causes: warnings show none.
impl std::fmt::Display for CopyFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.message)?;
        self.0.causes.iter().try_for_each(|cause| write!(f, ": {cause}"))
    }
}

impl From<CopyFault> for Failure {
    fn from(fault: CopyFault) -> Failure {
        fault.0
    }
}

/// What a run of copies works with.
pub(super) struct Around {
    /// The run.
    pub(super) run: RunId,
    /// The umask of this process.
    pub(super) umask: u32,
    /// Where what happens in between goes.
    pub(super) events: ThrottleEvents,
    /// What is asked and listened to while the run goes on.
    pub(super) guard: Guard,
}

/// Sessions in one account and region.
pub(super) struct Realm {
    pub(super) open: OpenScope,
    pub(super) launcher: Launcher,
    slots: Mutex<Vec<SessionSlot>>,
    has_begun: AtomicBool,
}

impl Realm {
    /// A place in the quota that was waited for.
    pub(super) fn slot(&self) -> Option<SessionSlot> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    /// Whether any session was begun here: whoever may begin one may not be wholly without permission.
    pub(super) fn has_begun(&self) -> bool {
        self.has_begun.load(Ordering::Relaxed)
    }

    pub(super) fn note_begun(&self) {
        self.has_begun.store(true, Ordering::Relaxed);
    }
}

/// One run of copies.
pub(crate) struct CopyJob {
    pub(super) ctx: Ctx,
    pub(super) recipe: CopyRecipe,
    pub(super) around: Around,
    key: HashKey,
    targets: Vec<Target>,
    /// Where each wave ends.
    waves: Vec<usize>,
    realms: Vec<Realm>,
    /// The realm of each target.
    lanes: Vec<u32>,
}

impl CopyJob {
    /// The job in these accounts and regions.
    ///
    /// # Errors
    /// Connections can't be secured, or the state directory can't be read.
    pub(super) fn new(
        ctx: &Ctx,
        scopes: &Scopes,
        recipe: CopyRecipe,
        (targets, waves): (Vec<Target>, Vec<usize>),
        around: Around,
    ) -> Result<CopyJob, Failure> {
        let realm = |open: &OpenScope| -> Result<Realm, Failure> {
            Ok(Realm {
                launcher: Launcher::new(ctx, open.scope.clone())?.with_quiet_start(),
                open: open.clone(),
                slots: Mutex::default(),
                has_begun: AtomicBool::new(false),
            })
        };
        let realms = scopes.iter().map(realm).collect::<Result<Vec<_>, _>>()?;
        let numbers: BTreeMap<(&str, &str), u32> = scopes
            .iter()
            .zip(0..)
            .map(|(open, number)| ((open.identity.account.as_str(), open.identity.region.as_str()), number))
            .collect();
        // A node that nobody has found is judged without a copy, wherever it is.
        let lane = |target: &Target| {
            numbers.get(&(target.account.as_str(), target.region.as_str())).copied().unwrap_or(0)
        };
        let lanes = targets.iter().map(lane).collect();
        let key = HashKey::open(&ctx.settings.state_dir.value, ctx.random())?;
        Ok(CopyJob { ctx: ctx.clone(), recipe, around, key, targets, waves, realms, lanes })
    }

    pub(super) fn target(&self, target: usize) -> Option<&Target> {
        self.targets.get(target)
    }

    /// The wave of a target, from 1.
    pub(super) fn wave_of(&self, target: usize) -> u32 {
        let wave = self.waves.iter().position(|end| target < *end).unwrap_or(0);
        u32::try_from(wave + 1).unwrap_or(u32::MAX)
    }

    /// The realm of a lane. Lanes come from [`CopyJob::new`].
    pub(super) fn at(&self, lane: u32) -> &Realm {
        let number = usize::try_from(lane).unwrap_or(usize::MAX);
        self.realms.get(number).unwrap_or(&self.realms[0])
    }

    /// The directory that a node's files are copied into.
    pub(super) fn directory_of(&self, target: &Target) -> PathBuf {
        super::directory_of(&self.recipe.local, target, self.realms.len() > 1)
    }

    /// Every node gets the same, or none gets any more: the source is looked at before each copy and after it.
    ///
    /// # Errors
    /// It can't be read, or is not what it was when the run began.
    pub(super) async fn check_source(&self) -> Result<(), Failure> {
        if self.recipe.direction == Direction::Download {
            return Ok(());
        }
        let path = self.recipe.local.clone();
        let looked = tokio::task::spawn_blocking(move || SourceState::look(&path)).await;
        let now =
            looked.map_err(|error| Failure::new(Kind::Bug, "a look ended early").caused_by(&error))??;
        if now.hash(&self.key) == self.recipe.source {
            return Ok(());
        }
        let what = format!("`{}` has changed since the run began", self.recipe.local.display());
        Err(Failure::new(Kind::Local, what)
            .hint("Nodes would end up with different files. Copy anew, from a source that nobody writes to."))
    }
}

impl Job for CopyJob {
    type Error = CopyFault;

    fn lane(&self, target: usize) -> u32 {
        self.lanes.get(target).copied().unwrap_or(0)
    }

    fn realm(&self, lane: u32) -> u32 {
        lane
    }

    fn realm_name(&self, realm: u32) -> String {
        self.at(realm).open.name()
    }

    fn server_now(&self, lane: u32) -> Option<Timestamp> {
        self.at(lane).open.scope.server_clock().now()
    }

    fn sends_at_once(&self) -> usize {
        usize::MAX
    }

    fn goes_on_by_itself(&self) -> bool {
        false
    }

    async fn ready(&self, lane: u32) {
        let realm = self.at(lane);
        let slot = realm.open.scope.ssm().session_slot().await;
        realm.slots.lock().unwrap_or_else(PoisonError::into_inner).push(slot);
    }

    async fn send(&self, batch: &Batch, _: Limits, permit: Permit) -> SendOutcome<CopyFault> {
        // A copy is a batch of one: that is what the policy of these runs says.
        let Some(target) = batch.targets.first() else {
            return SendOutcome::Finished { command_id: None, outcomes: Vec::new() };
        };
        Box::pin(one::copy(self, (*target, batch), permit)).await
    }

    async fn locate(&self, _: &Batch) -> Result<Option<Accepted>, Trouble<CopyFault>> {
        Ok(None)
    }

    async fn sweep(&self, _: u32, _: SweepScope, _: Vec<String>) -> Result<Sweep, Trouble<CopyFault>> {
        Ok(Sweep::default())
    }

    async fn collect(&self, _: &Batch, _: &str) -> Result<Collected, Trouble<CopyFault>> {
        Ok(Collected::default())
    }

    async fn detail(&self, _: usize, _: &str) -> Result<Detail, Trouble<CopyFault>> {
        Ok(Detail::Absent)
    }

    async fn cancel(&self, _: u32, _: &str, _: Permit) -> Result<(), Trouble<CopyFault>> {
        Ok(())
    }

    async fn gate(&self, gate: &str, wave: u32) -> Result<Option<String>, String> {
        self.around.guard.ask(gate, &self.around.run, wave).await
    }

    async fn watch(&self) -> News {
        self.around.guard.news().await
    }
}
