//! Holds: a test stops a request before or after its effect, and lets it go on or vanish.

use serde::{Deserialize, Serialize};
use std::time::Duration;
use tokio::sync::watch;

/// On which side of its effect a request is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// It was let through by authentication, quota and faults, and has had no effect.
    Before,
    /// It has had its effect, and the answer is not sent.
    After,
}

/// Which request to hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HoldSpec {
    /// Only of this API.
    #[serde(default)]
    pub api: Option<String>,
    /// Only of operations that change something.
    #[serde(default)]
    pub mutating_only: bool,
    /// The first (1), second (2), … that gets so far, counted from now on.
    pub nth: u32,
    /// On which side of its effect.
    pub when: When,
}

/// A hold's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct HoldId(pub u64);

/// How a held request goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Release {
    /// As if it had not been held.
    Continue,
    /// The connection is closed without an answer; held before its effect, it has none.
    Drop,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Waiting,
    Held,
    Released(Release),
}

#[derive(Debug)]
struct Hold {
    spec: HoldSpec,
    seen: u32,
    stage: watch::Sender<Stage>,
}

/// All holds.
#[derive(Debug, Default)]
pub(crate) struct Holds(Vec<Hold>);

/// A request that is held, until somebody releases it.
#[derive(Debug)]
pub(crate) struct Held(watch::Receiver<Stage>);

impl Held {
    /// Waits for the release; a simulation that ends drops what it holds.
    pub(crate) async fn released(mut self) -> Release {
        let stage = self.0.wait_for(|stage| matches!(stage, Stage::Released(_))).await;
        match stage.map(|stage| *stage) {
            Ok(Stage::Released(release)) => release,
            Ok(Stage::Waiting | Stage::Held) | Err(_) => Release::Drop,
        }
    }
}

/// Somebody who waits for a request to be held.
#[derive(Debug)]
pub(crate) struct Watcher(watch::Receiver<Stage>);

impl Watcher {
    pub(crate) async fn held(mut self, timeout: Duration) -> bool {
        let held = self.0.wait_for(|stage| *stage != Stage::Waiting);
        matches!(tokio::time::timeout(timeout, held).await, Ok(Ok(_)))
    }
}

impl Holds {
    pub(crate) fn add(&mut self, spec: HoldSpec) -> HoldId {
        let (stage, _) = watch::channel(Stage::Waiting);
        self.0.push(Hold { spec, seen: 0, stage });
        HoldId(self.0.len() as u64 - 1)
    }

    fn get(&self, id: HoldId) -> Option<&Hold> {
        usize::try_from(id.0).ok().and_then(|index| self.0.get(index))
    }

    pub(crate) fn watcher(&self, id: HoldId) -> Option<Watcher> {
        self.get(id).map(|hold| Watcher(hold.stage.subscribe()))
    }

    /// Releases what is held, or lets nothing be held by it any more.
    pub(crate) fn release(&mut self, id: HoldId, release: Release) {
        if let Some(hold) = self.get(id) {
            hold.stage.send_replace(Stage::Released(release));
        }
    }

    /// Drops everything that is held.
    pub(crate) fn release_all(&mut self) {
        for hold in &self.0 {
            hold.stage.send_replace(Stage::Released(Release::Drop));
        }
    }

    /// Counts a request that gets so far, and holds it where it is the one.
    pub(crate) fn pass(&mut self, api: &str, mutating: bool, when: When) -> Option<Held> {
        let mut held = None;
        for hold in &mut self.0 {
            let spec = &hold.spec;
            let fits = spec.when == when
                && *hold.stage.borrow() == Stage::Waiting
                && (mutating || !spec.mutating_only)
                && spec.api.as_deref().is_none_or(|wanted| wanted == api);
            if !fits {
                continue;
            }
            hold.seen += 1;
            if hold.seen >= hold.spec.nth && held.is_none() {
                hold.stage.send_replace(Stage::Held);
                held = Some(Held(hold.stage.subscribe()));
            }
        }
        held
    }
}
