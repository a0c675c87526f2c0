//! The control handle: what tests and rehearsals may look at and change. [`crate::control_http`] offers the same over HTTP.

use crate::accounts;
use crate::clock::At;
use crate::core::Core;
use crate::fault::FaultSpec;
use crate::gateway::line::{Event, SessionAct};
use crate::hold::{HoldId, HoldSpec, Release};
use crate::node_shell::disk::{Body, locked};
use crate::outage::Down;
use crate::request_log::{ApiStats, RequestRecord};
use crate::service::ssm::calendar;
use crate::service::{Here, cloudwatch, operations};
use crate::sessions::faults::FrameFaults;
use crate::sessions::record::{SessionRecord, record};
use crate::truth::{self, Floor, FloorQuery, Truth};
use crate::wire::Service;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

/// A handle on a running simulation.
#[derive(Debug, Clone)]
pub struct Control {
    pub(crate) core: Arc<Core>,
}

/// A node, as the simulation knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeRecord {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its account.
    pub account: String,
    /// Its region.
    pub region: String,
    /// `Linux` or `Windows`.
    pub platform: String,
    /// As `PingStatus`.
    pub ping: String,
    /// EC2's state.
    pub state: String,
    /// Has an agent.
    pub managed: bool,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
}

impl Control {
    /// The operations that are simulated, by the name that IAM has for their service.
    pub fn operations(&self) -> BTreeMap<&'static str, &'static [&'static str]> {
        let all = Service::ALL.into_iter().map(|service| (service.name(), operations(service)));
        all.filter(|(_, operations)| !operations.is_empty()).collect()
    }

    /// Every request since the start or the last reset, in the order of arrival.
    pub fn requests(&self) -> Vec<RequestRecord> {
        self.core.state().log.records().to_vec()
    }

    /// Forgets the requests so far; their numbers go on.
    pub fn reset_log(&self) {
        self.core.state().log.reset();
    }

    /// Counts of each API since the start or the last reset.
    pub fn stats(&self) -> BTreeMap<String, ApiStats> {
        self.core.state().log.stats()
    }

    /// What ran where, and what each verdict ought to be.
    pub fn truth(&self) -> Truth {
        truth::truth(&self.core.state().world, At::now())
    }

    /// How fast it could have gone at best.
    pub fn floor(&self, query: &FloorQuery) -> Floor {
        let state = self.core.state();
        truth::floor(&state.world, &state.quotas, query, At::now())
    }

    /// The nodes of the simulation's own account.
    pub fn nodes(&self) -> Vec<NodeRecord> {
        self.nodes_of(crate::credentials::ACCOUNT)
    }

    /// A file of a node of the simulation's own account as it is now; none where there is no such file, or the node never had a
    /// session.
    pub fn file(&self, id: &str, path: &str) -> Option<Vec<u8>> {
        let mut state = self.core.state();
        for name in &self.core.spec.regions {
            let account = crate::credentials::ACCOUNT;
            let (_, region) = state.world.region(&self.core.spec, account, name);
            let Some(node) = region.fleet.nodes.iter().find(|node| node.id == id) else { continue };
            let disk = region.disks.get(&node.index)?.lock().unwrap_or_else(PoisonError::into_inner);
            let (_, entry) = disk.find(path).ok()?;
            let Body::File(data) = &entry.body else { return None };
            let mut data = locked(data);
            let length = usize::try_from(data.len()).ok()?;
            return Some(data.head(length));
        }
        None
    }

    /// The nodes of one account, in every region.
    pub fn nodes_of(&self, account: &str) -> Vec<NodeRecord> {
        let now = At::now();
        let mut state = self.core.state();
        let mut records = Vec::new();
        for name in &self.core.spec.regions {
            let (_, region) = state.world.region(&self.core.spec, account, name);
            records.extend(region.fleet.nodes.iter().map(|node| NodeRecord {
                id: node.id.clone(),
                name: node.name.clone(),
                account: account.to_owned(),
                region: name.clone(),
                platform: node.platform.kind().to_owned(),
                ping: node.ping(now).to_owned(),
                state: node.state(now).name().to_owned(),
                managed: node.managed,
                tags: node.tags.clone(),
            }));
        }
        records
    }

    /// The accounts, the simulation's own first.
    pub fn accounts(&self) -> Vec<String> {
        accounts::all(&self.core.spec).into_iter().map(|account| account.id).collect()
    }

    /// The nodes of all accounts.
    pub fn all_nodes(&self) -> Vec<NodeRecord> {
        self.accounts().iter().flat_map(|account| self.nodes_of(account)).collect()
    }

    /// Takes a region down, or brings it up again; either outlasts what the spec plans for it.
    pub fn set_region(&self, region: &str, down: Option<Down>) {
        self.core.state().outages.switch(region, down);
    }

    /// Sets the state of an alarm as `SetAlarmState` does, in every account; false where no account has it.
    pub fn set_alarm(&self, region: &str, name: &str, state: &str) -> bool {
        let accounts = self.accounts();
        let mut core = self.core.state();
        let mut is_set = false;
        for account in accounts {
            let (_, region) = core.world.region(&self.core.spec, &account, region);
            let (spec, now) = (&self.core.spec, At::now());
            let mut here = Here { spec, region, now, skew: 0, request_id: "" };
            is_set |= cloudwatch::set(&mut here, name, state);
        }
        is_set
    }

    /// Opens or closes a calendar from now on, in every account; false where no account has it.
    pub fn set_calendar(&self, region: &str, name: &str, is_open: bool) -> bool {
        let accounts = self.accounts();
        let mut core = self.core.state();
        let mut is_set = false;
        for account in accounts {
            let (_, region) = core.world.region(&self.core.spec, &account, region);
            is_set |= calendar::set(&self.core.spec, region, (name, is_open), At::now());
        }
        is_set
    }

    /// Holds a request that is still to come.
    pub fn hold(&self, spec: HoldSpec) -> HoldId {
        self.core.state().holds.add(spec)
    }

    /// Waits until the request is held; false when the time is over first.
    pub async fn wait_held(&self, id: HoldId, timeout: Duration) -> bool {
        let watcher = self.core.state().holds.watcher(id);
        match watcher {
            Some(watcher) => watcher.held(timeout).await,
            None => false,
        }
    }

    /// Lets a held request go on or vanish; a hold that holds nothing yet is taken back.
    pub fn release(&self, id: HoldId, release: Release) {
        self.core.state().holds.release(id, release);
    }

    /// Replaces all fault settings.
    pub fn faults(&self, faults: FaultSpec) {
        self.core.state().faults.settings = faults;
    }

    /// The fault settings that hold now.
    pub fn fault_settings(&self) -> FaultSpec {
        self.core.state().faults.settings.clone()
    }

    /// Every session, oldest first: what really happened in it.
    pub fn sessions(&self) -> Vec<SessionRecord> {
        self.core.state().sessions.all().iter().map(record).collect()
    }

    /// Does something to a session; false where it does not go on.
    pub fn act(&self, session: &str, act: SessionAct) -> bool {
        let state = self.core.state();
        let session = state.sessions.get(session).filter(|session| session.is_active());
        let line = session.and_then(|session| session.line.as_ref());
        line.map(|line| line.say(Event::Act(act))).is_some()
    }

    /// What happens to frames from now on, in every session.
    pub fn frame_faults(&self, faults: FrameFaults) {
        let mut state = self.core.state();
        for line in state.sessions.all().iter().filter_map(|session| session.line.as_ref()) {
            line.say(Event::Faults(faults.clone()));
        }
        state.frame_faults = faults;
    }

    /// What happens to frames now.
    pub fn frame_fault_settings(&self) -> FrameFaults {
        self.core.state().frame_faults.clone()
    }

    /// Every key is refused as expired from now on.
    pub fn expire_credentials(&self) {
        self.core.state().credentials.are_expired = true;
    }

    /// Keys are accepted again.
    pub fn renew_credentials(&self) {
        self.core.state().credentials.are_expired = false;
    }

    /// Shifts the `Date` header and every timestamp by this many milliseconds.
    pub fn set_clock_skew(&self, skew_ms: i64) {
        self.core.state().skew = skew_ms.saturating_mul(1000);
    }
}
