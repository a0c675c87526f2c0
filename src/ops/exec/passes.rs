//! Commands whose nodes the service chooses: they are asked for one by one, and their results read some pages at a time.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use herder_aws::CallError;
use herder_aws::ssm::{CommandsQuery, Invocation};
use herder_core::fanout::{Batch, Collected, Finding, Outcome, Pass, Sweep};
use herder_core::target::Target;
use herder_core::verdict::{Reason, Verdict};

use super::realm::{Realm, counters};
use crate::scopes::OpenScope;

/// Pages of one look, 400 results: what is held at once does not grow with the fleet.
const PAGES_AT_ONCE: usize = 8;

/// How far one command's results have been read.
#[derive(Clone, Debug, Default)]
struct Place {
    token: Option<String>,
    /// Nodes on the pages so far, and whether they run. The order of the pages is not documented (facts §8e): it may shift, and one
    /// node stand on two of them.
    listed: HashMap<String, bool>,
}

/// How far the results of commands have been read in one account and region.
#[derive(Debug)]
pub(super) struct Passes {
    account: String,
    region: String,
    /// The run's targets here, of every platform.
    known: HashSet<String>,
    places: Mutex<HashMap<String, Place>>,
}

impl Passes {
    pub(super) fn new(open: &OpenScope, targets: &[Target]) -> Passes {
        let is_here = |t: &&Target| t.account == open.identity.account && t.region == open.identity.region;
        Passes {
            known: targets.iter().filter(is_here).map(|t| t.id.clone()).collect(),
            account: open.identity.account.clone(),
            region: open.identity.region.clone(),
            places: Mutex::default(),
        }
    }

    /// What is known of a node that the service chose.
    fn stranger(&self, id: &str) -> Target {
        Target {
            id: id.to_owned(),
            name: None,
            account: self.account.clone(),
            region: self.region.clone(),
            az: None,
            platform: None,
        }
    }

    fn take(&self, command_id: &str) -> Place {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        places.remove(command_id).unwrap_or_default()
    }

    fn keep(&self, command_id: &str, place: Place) {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        places.insert(command_id.to_owned(), place);
    }
}

impl Realm {
    /// What each of a few commands has come to.
    pub(super) async fn ask_for_each(&self, command_ids: Vec<String>) -> Result<Sweep, CallError> {
        let mut sweep = Sweep { is_complete: true, ..Sweep::default() };
        for command_id in command_ids {
            let query = CommandsQuery { command_id: Some(command_id.clone()), ..CommandsQuery::default() };
            let listed = self.ssm.list_commands(&query, None).await?;
            if let Some(command) = listed.items.iter().find(|c| c.command_id == command_id) {
                sweep.seen.insert(command_id, counters(command));
            }
        }
        Ok(sweep)
    }

    /// Reads on in the results of a command, from where the look before ended. What fails begins anew: a token may be too old.
    pub(super) async fn next_pages(&self, batch: &Batch, command_id: &str) -> Result<Collected, CallError> {
        let mut place = self.passes.take(command_id);
        let index = self.index(&batch.targets);
        let mut collected = Collected::default();
        let mut pass = Pass::default();
        for _ in 0..PAGES_AT_ONCE {
            let page = self.ssm.list_invocations(command_id, place.token.as_deref()).await?;
            for invocation in &page.items {
                let finding = self.finding(invocation);
                let runs = matches!(finding, None | Some(Finding::Cancelling));
                // What ended does not begin again: the later of two answers may be the older.
                place.listed.entry(invocation.instance_id.clone()).and_modify(|r| *r &= runs).or_insert(runs);
                match (index.get(&invocation.instance_id), finding) {
                    (Some(target), Some(finding)) => collected.findings.push((*target, finding)),
                    (None, Some(finding)) if self.is_stranger(invocation, &finding) => {
                        pass.strangers.push((self.passes.stranger(&invocation.instance_id), finding));
                    }
                    _ => {}
                }
            }
            place.token = page.next;
            if place.token.is_none() {
                pass.is_complete = true;
                break;
            }
        }
        pass.listed = place.listed.len() as u64;
        pass.running = place.listed.values().filter(|runs| **runs).count() as u64;
        if !pass.is_complete {
            self.passes.keep(command_id, place);
        } else if pass.listed == 0
            && let Some(reason) = self.went_to_nobody(command_id).await
        {
            let outcome = || Box::new(Outcome::bare(Verdict::NotRun, Some(reason.clone())));
            collected.findings = batch.targets.iter().map(|t| (*t, Finding::Finished(outcome()))).collect();
        }
        self.complete_output(&mut collected, command_id).await;
        let found: Vec<usize> = collected.findings.iter().map(|(target, _)| *target).collect();
        let parts = self.parts(&found, command_id);
        self.channels.look_through(&mut collected.findings, &parts).await;
        collected.pass = Some(pass);
        Ok(collected)
    }

    /// Whether a node that is none of the batch has run it. One of another platform has a command of its own, and a place in this one
    /// too: the service is not told of platforms.
    fn is_stranger(&self, invocation: &Invocation, finding: &Finding) -> bool {
        let is_end = match finding {
            Finding::Finished(outcome) | Finding::NeedsDetail(outcome) => {
                outcome.reason != Some(Reason::INVALID_PLATFORM)
            }
            Finding::Cancelling | Finding::Unlisted => false,
        };
        is_end && !self.passes.known.contains(&invocation.instance_id)
    }
}
