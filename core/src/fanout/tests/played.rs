//! One type for every service that the tests play: the executor is compiled once more for each type that it drives.

use std::sync::Arc;

use jiff::Timestamp;

use super::at_once::Worker;
use super::fake::Fake;
use super::service::Service;
use crate::fanout::{
    Accepted, Batch, Collected, Detail, Job, Limits, News, SendOutcome, Sweep, SweepScope, Trouble,
};
use crate::journal::Permit;
use crate::target::Target;

/// A service that a test plays.
pub(super) enum Played {
    /// Run Command, given batches.
    Fake(Arc<Fake>),
    /// Run Command, given its own selector.
    Service(Arc<Service>),
    /// Nobody: the sends are the work.
    Worker(Arc<Worker>),
}

/// Whoever it is does it.
macro_rules! play {
    ($played:expr, $player:ident => $does:expr) => {
        match $played {
            Played::Fake($player) => $does,
            Played::Service($player) => $does,
            Played::Worker($player) => $does,
        }
    };
}

type Looked<T> = Result<T, Trouble<String>>;

impl Job for Played {
    type Error = String;

    fn lane(&self, target: usize) -> u32 {
        play!(self, it => it.lane(target))
    }

    fn realm(&self, lane: u32) -> u32 {
        play!(self, it => it.realm(lane))
    }

    fn realm_name(&self, realm: u32) -> String {
        play!(self, it => it.realm_name(realm))
    }

    fn server_now(&self, lane: u32) -> Option<Timestamp> {
        play!(self, it => it.server_now(lane))
    }

    async fn ready(&self, lane: u32) {
        play!(self, it => it.ready(lane).await)
    }

    fn sends_at_once(&self) -> usize {
        play!(self, it => it.sends_at_once())
    }

    fn goes_on_by_itself(&self) -> bool {
        play!(self, it => it.goes_on_by_itself())
    }

    async fn send(&self, batch: &Batch, limits: Limits, permit: Permit) -> SendOutcome<String> {
        play!(self, it => it.send(batch, limits, permit).await)
    }

    async fn locate(&self, batch: &Batch) -> Looked<Option<Accepted>> {
        play!(self, it => it.locate(batch).await)
    }

    async fn sweep(&self, realm: u32, scope: SweepScope, command_ids: Vec<String>) -> Looked<Sweep> {
        play!(self, it => it.sweep(realm, scope, command_ids).await)
    }

    async fn collect(&self, batch: &Batch, command_id: &str) -> Looked<Collected> {
        play!(self, it => it.collect(batch, command_id).await)
    }

    async fn detail(&self, target: usize, command_id: &str) -> Looked<Detail> {
        play!(self, it => it.detail(target, command_id).await)
    }

    async fn cancel(&self, lane: u32, command_id: &str, permit: Permit) -> Looked<()> {
        play!(self, it => it.cancel(lane, command_id, permit).await)
    }

    fn adopt(&self, target: usize, facts: &Target, lane: u32) {
        play!(self, it => it.adopt(target, facts, lane))
    }

    async fn gate(&self, gate: &str, wave: u32) -> Result<Option<String>, String> {
        play!(self, it => it.gate(gate, wave).await)
    }

    async fn watch(&self) -> News {
        play!(self, it => it.watch().await)
    }
}
