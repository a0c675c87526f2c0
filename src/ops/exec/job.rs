//! [`ExecJob`]: what the executor asks, answered by Run Command.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use herder_aws::ssm::{
    CommandStatus, CommandSummary, CommandsQuery, Invocation, InvocationDetail, Judged, SendCommand,
    SendError, SendSlot, SplitOutput, Ssm, is_cancelling, judge,
};
use herder_aws::{CallError, CallErrorKind};
use herder_core::event::{Body, Streams};
use herder_core::fanout::{
    Accepted, Batch, Collected, Counters, Finding, Job, Limits, Outcome, SendOutcome, Sweep, SweepScope,
    Trouble,
};
use herder_core::journal::Permit;
use herder_core::run_id::RunId;
use herder_core::target::{Platform, Target};
use herder_core::verdict::{Reason, Verdict};
use jiff::Timestamp;

use super::payload::Payload;
use crate::ctx::OpenScope;

/// Pages that a sweep reads at the most: 2,000 commands. An account with more in progress is read batch by batch.
const MAX_PAGES: usize = 40;
/// A search for a lost send begins so long before its intent, for clocks and coarse times (facts §6.5).
const SEARCH_MARGIN: Duration = Duration::from_secs(60);

/// Reads of single results that find out whether listings leave outputs out.
const PROBES: u32 = 3;

/// Whether the outputs of nodes are in listings, as documented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ListedOutput {
    /// None was seen yet, and so many single reads had none either.
    Unproven(u32),
    /// Some were seen.
    Given,
    /// A single read had one that the listing had not: each has to be read by itself.
    LeftOut,
}

/// One run's work on Run Command.
pub(crate) struct ExecJob {
    ssm: Ssm,
    scope: herder_aws::Scope,
    run: RunId,
    targets: Vec<Target>,
    payloads: BTreeMap<Platform, Payload>,
    delivery_timeout: Duration,
    execution_timeout: Option<Duration>,
    lifetime: Duration,
    /// AWS's clock when the run began; sweeps look no further back.
    since: Option<Timestamp>,
    slots: Mutex<Vec<SendSlot>>,
    /// `ListCommandInvocations` is denied: each target is read by itself.
    reads_one_by_one: AtomicBool,
    listed_output: Mutex<ListedOutput>,
}

/// What an [`ExecJob`] is made of.
pub(crate) struct ExecJobParts {
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
    /// AWS's clock at the first intent, if an earlier process made it.
    pub(crate) since: Option<Timestamp>,
}

impl ExecJob {
    pub(crate) fn new(open: &OpenScope, parts: ExecJobParts) -> ExecJob {
        let now = open.scope.server_clock().now();
        ExecJob {
            ssm: open.scope.ssm(),
            scope: open.scope.clone(),
            run: parts.run,
            targets: parts.targets,
            payloads: parts.payloads,
            delivery_timeout: parts.delivery_timeout,
            execution_timeout: parts.execution_timeout,
            lifetime: parts.lifetime,
            since: parts.since.or(now),
            slots: Mutex::new(Vec::new()),
            reads_one_by_one: AtomicBool::new(false),
            listed_output: Mutex::new(ListedOutput::Unproven(0)),
        }
    }

    /// The marker by which a command is found again. Comments hold 100 characters; this takes 40 at the most.
    fn marker(&self, intent: u64) -> String {
        format!("herder {} #{intent}", self.run)
    }

    fn platform(lane: u32) -> Platform {
        match lane {
            1 => Platform::Windows,
            2 => Platform::Macos,
            _ => Platform::Linux,
        }
    }

    fn ids(&self, targets: &[usize]) -> Vec<String> {
        targets.iter().filter_map(|t| self.targets.get(*t)).map(|t| t.id.clone()).collect()
    }

    fn refused(&self, batch: &Batch, error: SendError) -> SendOutcome<CallError> {
        let index = |ids: &[String]| -> Vec<usize> {
            let is_bad = |t: &&usize| self.targets.get(**t).is_some_and(|t| ids.contains(&t.id));
            batch.targets.iter().filter(is_bad).copied().collect()
        };
        match error {
            SendError::BadInstances { ids, .. } => SendOutcome::BadTargets {
                bad: index(&ids),
                verdict: Verdict::Undelivered,
                reason: Reason::INVALID_INSTANCE,
            },
            SendError::UnsupportedPlatform { ids, .. } => SendOutcome::BadTargets {
                bad: index(&ids),
                verdict: Verdict::Denied,
                reason: Reason::INVALID_PLATFORM,
            },
            SendError::InvalidDocument(error)
            | SendError::InvalidParameters(error)
            | SendError::TooLarge(error) => SendOutcome::Fatal(error),
            SendError::Call(error) => self.failed(error),
        }
    }

    fn failed(&self, error: CallError) -> SendOutcome<CallError> {
        match &error.kind {
            CallErrorKind::Throttled => SendOutcome::Throttled,
            CallErrorKind::Lost => SendOutcome::Lost(error),
            CallErrorKind::Unreachable => SendOutcome::NotSent(Trouble::Transient(error)),
            CallErrorKind::CredentialsExpired => SendOutcome::NotSent(paused(&error)),
            CallErrorKind::AccessDenied { .. } => {
                SendOutcome::Refused { verdict: Verdict::Denied, reason: Reason::ACCESS_DENIED, error }
            }
            CallErrorKind::CredentialsMissing
            | CallErrorKind::CredentialsInvalid
            | CallErrorKind::ClockSkew
            | CallErrorKind::NotFound
            | CallErrorKind::InvalidRequest
            | CallErrorKind::Refused => {
                let reason = Reason::word(error.code.as_deref().unwrap_or("refused"));
                SendOutcome::Refused { verdict: Verdict::Denied, reason, error }
            }
        }
    }

    /// Renews credentials before the next attempt; what fails here fails again there, with its own message.
    async fn trouble(&self, error: CallError) -> Trouble<CallError> {
        match &error.kind {
            CallErrorKind::CredentialsExpired => {
                let _ = self.scope.renew().await;
                paused(&error)
            }
            CallErrorKind::AccessDenied { .. } => Trouble::Denied(error),
            _ => Trouble::Transient(error),
        }
    }

    /// Commands of this run and after, page by page, until `is_enough`. Says whether the listing was read to its end.
    async fn list(
        &self,
        query: &CommandsQuery,
        mut is_enough: impl FnMut(&[CommandSummary]) -> bool,
    ) -> Result<bool, CallError> {
        let mut token = None;
        for _ in 0..MAX_PAGES {
            let page = self.ssm.list_commands(query, token.as_deref()).await?;
            let is_over = is_enough(&page.items) || self.is_before_run(&page.items);
            token = page.next;
            if is_over || token.is_none() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether a page reaches back before the run: newest come first, so that nothing of the run comes after it.
    /// (Where the service takes no notice of InvokedAfter, this is what ends the search.)
    fn is_before_run(&self, page: &[CommandSummary]) -> bool {
        let Some(since) = self.since else { return false };
        let edge = since - SEARCH_MARGIN;
        !page.is_empty() && page.iter().all(|c| c.requested_at.is_some_and(|at| at < edge))
    }

    fn query(&self, since: Option<Timestamp>) -> CommandsQuery {
        CommandsQuery { invoked_after: since.map(|at| at - SEARCH_MARGIN), ..CommandsQuery::default() }
    }

    async fn invocations(&self, batch: &Batch, command_id: &str) -> Result<Collected, CallError> {
        let index: HashMap<&str, usize> =
            batch.targets.iter().filter_map(|t| Some((self.targets.get(*t)?.id.as_str(), *t))).collect();
        let mut collected = Collected::default();
        let mut token = None;
        let mut is_anybody_listed = false;
        loop {
            let page = self.ssm.list_invocations(command_id, None, true, token.as_deref()).await?;
            is_anybody_listed |= !page.items.is_empty();
            let found = page.items.iter().filter_map(|i| {
                let target = *index.get(i.instance_id.as_str())?;
                Some((target, self.finding(i)?))
            });
            collected.findings.extend(found);
            token = page.next;
            if token.is_none() {
                break;
            }
        }
        if !is_anybody_listed && let Some(reason) = self.went_to_nobody(command_id).await {
            let outcome = || Box::new(Outcome::bare(Verdict::NotRun, Some(reason.clone())));
            let findings = batch.targets.iter().map(|t| (*t, Finding::Finished(outcome()))).collect();
            return Ok(Collected { findings });
        }
        self.complete_output(&mut collected, command_id).await;
        Ok(collected)
    }

    /// Why the service took a command and gave it to no node, if it did so (facts §4.2).
    async fn went_to_nobody(&self, command_id: &str) -> Option<Reason> {
        let query = CommandsQuery { command_id: Some(command_id.to_owned()), ..CommandsQuery::default() };
        // Without an answer nothing is known; the next look asks again.
        let listed = self.ssm.list_commands(&query, None).await.ok()?;
        let command = listed.items.into_iter().find(|c| c.command_id == command_id)?;
        let details = command.status_details.replace(' ', "");
        matches!(details.as_str(), "LimitExceeded" | "RateExceeded" | "NoInstancesInTag")
            .then(|| Reason::word(&details))
    }

    /// Sees to it that outputs which a listing leaves out are read one by one.
    async fn complete_output(&self, collected: &mut Collected, command_id: &str) {
        let state = || *self.listed_output.lock().unwrap_or_else(PoisonError::into_inner);
        let set_state = |next| *self.listed_output.lock().unwrap_or_else(PoisonError::into_inner) = next;
        if let ListedOutput::Unproven(probes) = state() {
            let mut ran = collected.findings.iter().filter_map(|(t, f)| Some((*t, ran_to_an_end(f)?)));
            if ran.any(|(_, outcome)| has_output(&outcome.stdout, &outcome.stderr)) {
                set_state(ListedOutput::Given);
            } else if probes < PROBES
                && let Some((target, _)) =
                    collected.findings.iter().find(|(_, finding)| ran_to_an_end(finding).is_some())
                && let Some(id) = self.targets.get(*target).map(|t| t.id.as_str())
            {
                let detail = self.ssm.get_invocation(command_id, id).await.ok().flatten();
                let is_left_out = detail.is_some_and(|d| !d.stdout.is_empty() || !d.stderr.is_empty());
                set_state(if is_left_out {
                    ListedOutput::LeftOut
                } else {
                    ListedOutput::Unproven(probes + 1)
                });
            }
        }
        if state() == ListedOutput::LeftOut {
            for (_, finding) in &mut collected.findings {
                if let Some(outcome) = ran_to_an_end(finding) {
                    *finding = Finding::NeedsDetail(Box::new(outcome.clone()));
                }
            }
        }
    }

    fn finding(&self, invocation: &Invocation) -> Option<Finding> {
        let facts = invocation.facts(self.execution_timeout);
        let (verdict, reason) = match judge(&facts) {
            Judged::Running if is_cancelling(&facts) => return Some(Finding::Cancelling),
            Judged::Running => return None,
            Judged::Finished { verdict, reason } => (verdict, reason),
        };
        let SplitOutput { stdout, stderr, streams, truncated } = invocation.output();
        let is_unclear = streams == Streams::Merged && stdout.contains("----------ERROR-------");
        let needs_more = invocation.plugins.len() <= 1 && (truncated || is_unclear);
        let outcome = Box::new(Outcome {
            verdict,
            reason,
            exit_code: facts.response_code,
            stdout: Body::from(stdout),
            stderr: Body::from(stderr),
            streams,
            truncated,
            started: facts.started,
            finished: facts.finished,
        });
        Some(if needs_more { Finding::NeedsDetail(outcome) } else { Finding::Finished(outcome) })
    }

    fn outcome(&self, detail: InvocationDetail) -> Option<Outcome> {
        let facts = detail.facts(self.execution_timeout);
        let Judged::Finished { verdict, reason } = judge(&facts) else { return None };
        Some(Outcome {
            verdict,
            reason,
            exit_code: detail.response_code,
            stdout: Body::from(detail.stdout),
            stderr: Body::from(detail.stderr),
            streams: Streams::Exact,
            truncated: detail.truncated,
            started: detail.started,
            finished: detail.finished,
        })
    }
}

/// The outcome of a target whose process ended by itself: there may be output.
fn ran_to_an_end(finding: &Finding) -> Option<&Outcome> {
    match finding {
        Finding::Finished(outcome) | Finding::NeedsDetail(outcome) => {
            outcome.exit_code.is_some().then_some(outcome)
        }
        Finding::Cancelling | Finding::Unlisted => None,
    }
}

fn has_output(stdout: &Body, stderr: &Body) -> bool {
    !stdout.is_empty() || !stderr.is_empty()
}

fn paused(error: &CallError) -> Trouble<CallError> {
    let hint = error.hints().into_iter().next().unwrap_or_default();
    Trouble::Paused { reason: error.to_string(), hint }
}

impl Job for ExecJob {
    type Error = CallError;

    fn lane(&self, target: usize) -> u32 {
        match self.targets.get(target).and_then(|t| t.platform) {
            Some(Platform::Windows) => 1,
            Some(Platform::Macos) => 2,
            // What SSM doesn't know is most likely Linux; if not, the service says so.
            Some(Platform::Linux) | None => 0,
        }
    }

    fn server_now(&self) -> Option<Timestamp> {
        self.scope.server_clock().now()
    }

    async fn ready(&self, _lane: u32) {
        let slot = self.ssm.send_slot().await;
        self.slots.lock().unwrap_or_else(PoisonError::into_inner).push(slot);
    }

    async fn send(&self, batch: &Batch, limits: Limits, permit: Permit) -> SendOutcome<CallError> {
        let Some(payload) = self.payloads.get(&ExecJob::platform(batch.lane)) else {
            // Every platform among the targets has one; a target that has none is no reason to stop.
            let (verdict, reason) = (Verdict::Denied, Reason::INVALID_PLATFORM);
            return SendOutcome::BadTargets { bad: batch.targets.clone(), verdict, reason };
        };
        let slot = self.slots.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let slot = match slot {
            Some(slot) => slot,
            None => self.ssm.send_slot().await,
        };
        let command = SendCommand {
            document: payload.document.clone(),
            document_version: payload.version.clone(),
            parameters: payload.parameters.clone(),
            instance_ids: self.ids(&batch.targets),
            delivery_timeout: self.delivery_timeout,
            comment: self.marker(batch.intent),
            max_concurrency: limits.max_concurrency,
            max_errors: limits.max_errors,
        };
        match self.ssm.send_command(slot, permit, &command).await {
            Ok(sent) => {
                SendOutcome::Accepted(Accepted { command_id: sent.command_id, expires_in: self.lifetime })
            }
            Err(error) => {
                if error.call().kind == CallErrorKind::CredentialsExpired {
                    let _ = self.scope.renew().await;
                }
                self.refused(batch, error)
            }
        }
    }

    async fn locate(&self, batch: &Batch) -> Result<Option<Accepted>, Trouble<CallError>> {
        let marker = self.marker(batch.intent);
        let mut found = None;
        let query = self.query(batch.server_at.or(self.since));
        let listed = self
            .list(&query, |page| {
                found = page.iter().find(|c| c.comment == marker).map(|c| c.command_id.clone());
                found.is_some()
            })
            .await;
        match listed {
            Ok(_) => Ok(found.map(|command_id| Accepted { command_id, expires_in: self.lifetime })),
            Err(error) => Err(self.trouble(error).await),
        }
    }

    async fn sweep(&self, scope: SweepScope, command_ids: Vec<String>) -> Result<Sweep, Trouble<CallError>> {
        let mut missing: std::collections::HashSet<String> = command_ids.into_iter().collect();
        let mut sweep = Sweep::default();
        let query = CommandsQuery {
            status: (scope == SweepScope::InProgress).then_some(CommandStatus::InProgress),
            ..self.query(self.since)
        };
        let listed = self
            .list(&query, |page| {
                for command in page {
                    if missing.remove(&command.command_id) {
                        sweep.seen.insert(command.command_id.clone(), counters(command));
                    }
                }
                missing.is_empty()
            })
            .await;
        match listed {
            Ok(is_complete) => {
                sweep.is_complete = is_complete;
                Ok(sweep)
            }
            Err(error) => Err(self.trouble(error).await),
        }
    }

    async fn collect(&self, batch: &Batch, command_id: &str) -> Result<Collected, Trouble<CallError>> {
        if !self.reads_one_by_one.load(Ordering::Relaxed) {
            match self.invocations(batch, command_id).await {
                Ok(collected) => return Ok(collected),
                Err(error) if matches!(error.kind, CallErrorKind::AccessDenied { .. }) => {
                    self.reads_one_by_one.store(true, Ordering::Relaxed);
                }
                Err(error) => return Err(self.trouble(error).await),
            }
        }
        Ok(Collected { findings: batch.targets.iter().map(|t| (*t, Finding::Unlisted)).collect() })
    }

    async fn detail(&self, target: usize, command_id: &str) -> Result<Option<Outcome>, Trouble<CallError>> {
        let Some(id) = self.targets.get(target).map(|t| t.id.as_str()) else { return Ok(None) };
        match self.ssm.get_invocation(command_id, id).await {
            Ok(detail) => Ok(detail.and_then(|d| self.outcome(d))),
            Err(error) => Err(self.trouble(error).await),
        }
    }

    async fn cancel(&self, _lane: u32, command_id: &str, permit: Permit) -> Result<(), Trouble<CallError>> {
        match self.ssm.cancel_command(permit, command_id, &[]).await {
            Ok(()) => Ok(()),
            Err(error) => Err(self.trouble(error).await),
        }
    }

    async fn gate(&self, gate: &str, wave: u32) -> Result<(), String> {
        super::gate::ask(gate, &self.run, wave).await
    }
}

fn counters(command: &CommandSummary) -> Counters {
    Counters {
        completed: command.completed.into(),
        errors: command.errors.into(),
        delivery_timed_out: command.delivery_timed_out.into(),
        is_done: matches!(command.status.as_str(), "Success" | "Failed" | "Cancelled" | "TimedOut"),
    }
}
