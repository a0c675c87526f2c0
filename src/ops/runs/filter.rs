//! Which runs are listed.

use herder_core::journal::{RunDirectory, RunRecord};
use herder_core::target::{Pattern, Which};
use jiff::Timestamp;

use super::{RunState, RunSummary};
use crate::failure::Failure;

/// Conditions on runs, all of which must hold. The default admits every run.
#[derive(Clone, Debug, Default)]
pub(crate) struct RunFilter {
    /// Any of these.
    pub(crate) states: Vec<RunState>,
    /// Any of these workflows.
    pub(crate) commands: Vec<String>,
    /// Made at that time or later.
    pub(crate) since: Option<Timestamp>,
    /// Made before.
    pub(crate) until: Option<Timestamp>,
    /// Title or reason contain this, whatever the case.
    pub(crate) text: Option<String>,
    /// Has a target with any of these verdicts.
    pub(crate) verdicts: Vec<Which>,
    /// Any of these exit codes.
    pub(crate) exits: Vec<i32>,
    /// Has a target with this id or name.
    pub(crate) node: Option<Pattern>,
    /// Worked in this account or region.
    pub(crate) scope: Option<String>,
    /// So many, the newest.
    pub(crate) limit: Option<usize>,
}

impl RunFilter {
    /// What the run's own record says already, so that most journals need not be read.
    pub(super) fn admits_record(&self, record: &RunRecord) -> bool {
        let is_in_scope = |scope: &String| {
            record.identities().iter().any(|identity| identity.account == *scope || identity.region == *scope)
        };
        (self.commands.is_empty() || self.commands.contains(&record.command))
            && self.since.is_none_or(|since| record.created >= since)
            && self.until.is_none_or(|until| record.created < until)
            && self.scope.as_ref().is_none_or(is_in_scope)
    }

    /// Whether the node is among its targets.
    ///
    /// # Errors
    /// The list of targets can't be read.
    pub(super) fn admits_targets(&self, directory: &RunDirectory) -> Result<bool, Failure> {
        let Some(node) = &self.node else { return Ok(true) };
        let is_it = |name: &str| node.matches(name);
        let targets = directory.targets()?;
        Ok(targets.iter().any(|target| is_it(&target.id) || target.name.as_deref().is_some_and(is_it)))
    }

    /// What only the whole journal says.
    pub(super) fn admits_summary(&self, run: &RunSummary) -> bool {
        let has =
            |which: &Which| run.tally.iter().any(|(verdict, count)| count > 0 && which.includes(verdict));
        (self.states.is_empty() || self.states.contains(&run.state))
            && (self.exits.is_empty() || run.exit.is_some_and(|exit| self.exits.contains(&exit)))
            && (self.verdicts.is_empty() || self.verdicts.iter().any(has))
            && self.text.as_ref().is_none_or(|text| {
                let text = text.to_lowercase();
                let contains = |of: &str| of.to_lowercase().contains(&text);
                contains(&run.title) || run.reason.as_deref().is_some_and(contains)
            })
    }
}
