//! [`Realm`]: Run Command in one account and region, as one run uses it.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use herder_aws::ssm::{
    CommandStatus, CommandSummary, CommandsQuery, Invocation, InvocationDetail, Judged, Recipients,
    SendCommand, SendError, SendSlot, SplitOutput, Ssm, is_cancelling, judge,
};
use herder_aws::{CallError, CallErrorKind};
use herder_core::event::{Body, Channel, Streams};
use herder_core::fanout::{
    Accepted, Batch, Collected, Counters, Detail, Finding, Limits, Outcome, SendOutcome, Sweep, SweepScope,
    Trouble,
};
use herder_core::journal::Permit;
use herder_core::verdict::{Reason, Verdict};
use herder_core::via::Via;
use jiff::Timestamp;

use super::channel::{Channels, Part, ReadError};
use super::error::ExecError;
use super::job::{Traces, Work};
use super::pages::{self, Left};
use super::passes::Passes;
use super::payload::Payload;
use crate::scopes::OpenScope;

/// Pages that a sweep reads at the most: 2,000 commands. An account with more in progress is read batch by batch.
const MAX_PAGES: usize = 40;
/// The same of a search for a lost send: half of a miss is none, so that it goes on for longer.
const MAX_SEARCH_PAGES: usize = 400;
/// So many commands are asked for one by one: exact, and not in the way of what else is in progress in the account.
const MAX_ASKED_ONE_BY_ONE: usize = 4;
/// A search for a lost send ends so long after its intent. It left within seconds or not at all.
const SEARCH_SPAN: Duration = Duration::from_secs(600);
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

/// Run Command in one account and region.
pub(super) struct Realm {
    pub(super) work: Arc<Work>,
    name: String,
    pub(super) ssm: Ssm,
    scope: herder_aws::Scope,
    /// AWS's clock when the run began; sweeps look no further back.
    since: Option<Timestamp>,
    slots: Mutex<Vec<SendSlot>>,
    /// `ListCommandInvocations` is denied: each target is read by itself.
    reads_one_by_one: AtomicBool,
    listed_output: Mutex<ListedOutput>,
    /// Whether the run may have sent something here.
    has_sent: AtomicBool,
    pub(super) channels: Channels,
    /// How far the results of commands have been read that the service chose the nodes of.
    pub(super) passes: Passes,
}

impl Realm {
    /// `traces` are what an earlier process left here.
    pub(super) fn new(open: &OpenScope, work: Arc<Work>, traces: Traces, channels: Channels) -> Realm {
        Realm {
            name: open.name(),
            ssm: open.scope.ssm(),
            scope: open.scope.clone(),
            since: traces.since.or(open.scope.server_clock().now()),
            slots: Mutex::new(Vec::new()),
            reads_one_by_one: AtomicBool::new(false),
            listed_output: Mutex::new(ListedOutput::Unproven(0)),
            has_sent: AtomicBool::new(traces.has_sent),
            channels,
            passes: Passes::new(open, &work.targets),
            work,
        }
    }

    /// `account/region`.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn server_now(&self) -> Option<Timestamp> {
        self.scope.server_clock().now()
    }

    pub(super) async fn ready(&self) {
        let slot = self.ssm.send_slot().await;
        self.slots.lock().unwrap_or_else(PoisonError::into_inner).push(slot);
    }

    pub(super) async fn send(
        &self,
        payload: Option<&Payload>,
        batch: &Batch,
        limits: Limits,
        permit: Permit,
    ) -> SendOutcome<ExecError> {
        let Some(payload) = payload else {
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
            to: if self.is_whole(batch) {
                Recipients::Selected(self.work.handed.clone())
            } else {
                Recipients::Ids(self.ids(&batch.targets))
            },
            delivery_timeout: self.work.delivery_timeout,
            comment: self.marker(batch.intent),
            max_concurrency: limits.max_concurrency,
            max_errors: limits.max_errors,
            s3: self.channels.s3_output(),
            log_group: self.channels.log_group(),
        };
        match self.ssm.send_command(slot, permit, &command).await {
            Ok(sent) => {
                self.has_sent.store(true, Ordering::Relaxed);
                self.follow(batch, &sent.command_id);
                SendOutcome::Accepted(self.accepted(sent.command_id, sent.expires_after))
            }
            Err(error) => {
                if error.call().mutated() {
                    self.has_sent.store(true, Ordering::Relaxed);
                }
                self.refused(batch, error.without(&payload.secrets))
            }
        }
    }

    pub(super) async fn locate(&self, batch: &Batch) -> Result<Option<Accepted>, Trouble<ExecError>> {
        let narrow = self.search(batch);
        let (found, left) = self.find(&narrow, batch, MAX_SEARCH_PAGES).await.map_err(trouble)?;
        if let Some(accepted) = found {
            self.follow(batch, &accepted.command_id);
            return Ok(Some(accepted));
        }
        if left == Left::InTheMiddle {
            // Sent again it would be run twice: what may still be there is not missing.
            return Err(Trouble::Transient(ExecError::Endless { pages: MAX_SEARCH_PAGES }));
        }
        // The window rests on a clock: a look at the newest commands finds what a clock that jumped put outside of it.
        let wide = CommandsQuery { invoked_before: None, ..narrow };
        let (found, _) = self.find(&wide, batch, MAX_PAGES).await.map_err(trouble)?;
        if let Some(accepted) = &found {
            self.follow(batch, &accepted.command_id);
        }
        Ok(found)
    }

    pub(super) async fn sweep(
        &self,
        scope: SweepScope,
        command_ids: Vec<String>,
    ) -> Result<Sweep, Trouble<ExecError>> {
        if self.work.via == Via::Service && command_ids.len() <= MAX_ASKED_ONE_BY_ONE {
            return self.ask_for_each(command_ids).await.map_err(trouble);
        }
        let mut missing: HashSet<String> = command_ids.into_iter().collect();
        let mut sweep = Sweep::default();
        let query = CommandsQuery {
            status: (scope == SweepScope::InProgress).then_some(CommandStatus::InProgress),
            ..self.query(self.since)
        };
        let listed = self
            .list(&query, MAX_PAGES, |page| {
                for command in page {
                    if missing.remove(&command.command_id) {
                        sweep.seen.insert(command.command_id.clone(), counters(command));
                    }
                }
                missing.is_empty() || self.is_before_run(page)
            })
            .await;
        match listed {
            Ok(left) => {
                sweep.is_complete = left != Left::InTheMiddle;
                Ok(sweep)
            }
            Err(error) => Err(trouble(error)),
        }
    }

    pub(super) async fn collect(
        &self,
        batch: &Batch,
        command_id: &str,
    ) -> Result<Collected, Trouble<ExecError>> {
        // A command that an earlier process sent is followed from here on.
        self.follow(batch, command_id);
        if !self.reads_one_by_one.load(Ordering::Relaxed) {
            let read = match self.is_whole(batch) {
                true => self.next_pages(batch, command_id).await,
                false => self.invocations(batch, command_id).await,
            };
            match read {
                Ok(collected) => return Ok(collected),
                Err(error) if matches!(error.kind, CallErrorKind::AccessDenied { .. }) => {
                    self.reads_one_by_one.store(true, Ordering::Relaxed);
                }
                Err(error) => return Err(trouble(error)),
            }
        }
        let findings = batch.targets.iter().map(|t| (*t, Finding::Unlisted)).collect();
        Ok(Collected { findings, pass: None })
    }

    pub(super) async fn detail(&self, target: usize, command_id: &str) -> Result<Detail, Trouble<ExecError>> {
        let Some(id) = self.work.id(target) else { return Ok(Detail::Running) };
        let is_absent = AtomicBool::new(false);
        let ask = || async {
            let detail = self.ssm.get_invocation(command_id, &id).await?;
            is_absent.store(detail.is_none(), Ordering::Relaxed);
            Ok(detail.and_then(|d| self.outcome(d)))
        };
        let read = match self.parts(&[target], command_id).pop() {
            Some(part) => self.channels.read(part, ask).await,
            // One that the service chose and that the run had not resolved.
            None => ask().await.map_err(ReadError::from),
        };
        match read {
            Ok(Some(outcome)) => Ok(Detail::Ended(Box::new(outcome))),
            Ok(None) if is_absent.load(Ordering::Relaxed) => Ok(Detail::Absent),
            Ok(None) => Ok(Detail::Running),
            Err(ReadError::Call(error)) => Err(trouble(*error)),
            Err(error) => Err(Trouble::Transient(error.into())),
        }
    }

    pub(super) async fn cancel(&self, command_id: &str, permit: Permit) -> Result<(), Trouble<ExecError>> {
        match self.ssm.cancel_command(permit, command_id).await {
            Ok(()) => Ok(()),
            Err(error) => Err(trouble(error)),
        }
    }

    /// The marker by which a command is found again. Comments hold 100 characters; this takes 40 at the most.
    fn marker(&self, intent: u64) -> String {
        format!("herder {} #{intent}", self.work.run)
    }

    fn is_whole(&self, batch: &Batch) -> bool {
        self.work.via.is_whole(batch.attempt)
    }

    /// Targets by their ids.
    pub(super) fn index(&self, targets: &[usize]) -> HashMap<String, usize> {
        targets.iter().filter_map(|t| Some((self.work.id(*t)?, *t))).collect()
    }

    fn ids(&self, targets: &[usize]) -> Vec<String> {
        targets.iter().filter_map(|t| self.work.id(*t)).collect()
    }

    fn refused(&self, batch: &Batch, error: SendError) -> SendOutcome<ExecError> {
        let index = |ids: &[String]| -> Vec<usize> {
            let is_bad = |t: &&usize| self.work.id(**t).is_some_and(|id| ids.contains(&id));
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
            | SendError::TooLarge(error) => SendOutcome::Fatal(error.into()),
            SendError::Call(error) if self.is_whole(batch) && is_about_request(&error) => {
                SendOutcome::BadTargets { bad: Vec::new(), verdict: Verdict::Denied, reason: said(&error) }
            }
            SendError::Call(error) => failed(error, self.has_sent.load(Ordering::Relaxed)),
        }
    }

    /// Reads commands, newest first as far as is documented, until `is_enough`.
    async fn list(
        &self,
        query: &CommandsQuery,
        most: usize,
        is_enough: impl FnMut(&[CommandSummary]) -> bool,
    ) -> Result<Left, CallError> {
        let page =
            |token: Option<String>| async move { self.ssm.list_commands(query, token.as_deref()).await };
        pages::read(most, page, is_enough).await
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

    /// The commands among which a lost send of the batch is, if it was taken.
    pub(super) fn search(&self, batch: &Batch) -> CommandsQuery {
        CommandsQuery {
            invoked_before: batch.server_at.map(|at| at + SEARCH_SPAN),
            ..self.query(batch.server_at.or(self.since))
        }
    }

    /// A command that the service took. How long it goes on the service knows better: a document keeps its own time.
    fn accepted(&self, command_id: String, expires_after: Option<Timestamp>) -> Accepted {
        let left = remaining(expires_after, self.scope.server_clock().now());
        Accepted { command_id, expires_in: left.unwrap_or(self.work.lifetime) }
    }

    /// Looks for the batch's marker among these commands.
    async fn find(
        &self,
        query: &CommandsQuery,
        batch: &Batch,
        most: usize,
    ) -> Result<(Option<Accepted>, Left), CallError> {
        let marker = self.marker(batch.intent);
        let mut found = None;
        let left = self
            .list(query, most, |page| {
                found = page.iter().find(|c| c.comment == marker).cloned();
                found.is_some()
            })
            .await?;
        Ok((found.map(|command| self.accepted(command.command_id, command.expires_after)), left))
    }

    async fn invocations(&self, batch: &Batch, command_id: &str) -> Result<Collected, CallError> {
        let index = self.index(&batch.targets);
        let mut collected = Collected::default();
        let mut token = None;
        let mut is_anybody_listed = false;
        loop {
            let page = self.ssm.list_invocations(command_id, token.as_deref()).await?;
            is_anybody_listed |= !page.items.is_empty();
            let found = page.items.iter().filter_map(|i| {
                let target = *index.get(&i.instance_id)?;
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
            return Ok(Collected { findings, pass: None });
        }
        self.complete_output(&mut collected, command_id).await;
        let parts: Vec<Part<'_>> = self.parts(&batch.targets, command_id);
        self.channels.look_through(&mut collected.findings, &parts).await;
        Ok(collected)
    }

    pub(super) fn parts<'a>(&'a self, targets: &[usize], command_id: &'a str) -> Vec<Part<'a>> {
        let part = |target: &usize| {
            Some(Part { command_id, target: *target, node: self.work.targets.get(*target)? })
        };
        targets.iter().filter_map(part).collect()
    }

    /// Shows what the command's nodes write from now on, if that was asked for.
    fn follow(&self, batch: &Batch, command_id: &str) {
        let nodes = batch.targets.iter().filter_map(|target| self.work.targets.get(*target)).cloned();
        self.channels.sent(command_id, nodes, self.scope.server_clock().now());
    }

    /// Why the service took a command and gave it to no node, if it did so (facts §4.2).
    pub(super) async fn went_to_nobody(&self, command_id: &str) -> Option<Reason> {
        let query = CommandsQuery { command_id: Some(command_id.to_owned()), ..CommandsQuery::default() };
        // Without an answer nothing is known; the next look asks again.
        let listed = self.ssm.list_commands(&query, None).await.ok()?;
        let command = listed.items.into_iter().find(|c| c.command_id == command_id)?;
        let details = command.status_details.replace(' ', "");
        matches!(details.as_str(), "LimitExceeded" | "RateExceeded" | "NoInstancesInTag")
            .then(|| Reason::word(&details))
    }

    /// Sees to it that outputs which a listing leaves out are read one by one.
    pub(super) async fn complete_output(&self, collected: &mut Collected, command_id: &str) {
        let state = || *self.listed_output.lock().unwrap_or_else(PoisonError::into_inner);
        let set_state = |next| *self.listed_output.lock().unwrap_or_else(PoisonError::into_inner) = next;
        if let ListedOutput::Unproven(probes) = state() {
            let mut ran = collected.findings.iter().filter_map(|(t, f)| Some((*t, ran_to_an_end(f)?)));
            if ran.any(|(_, outcome)| has_output(&outcome.stdout, &outcome.stderr)) {
                set_state(ListedOutput::Given);
            } else if probes < PROBES
                && let Some((target, _)) =
                    collected.findings.iter().find(|(_, finding)| ran_to_an_end(finding).is_some())
                && let Some(id) = self.work.id(*target)
            {
                let detail = self.ssm.get_invocation(command_id, &id).await.ok().flatten();
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

    pub(super) fn finding(&self, invocation: &Invocation) -> Option<Finding> {
        let facts = invocation.facts(self.work.execution_timeout);
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
            channel: Channel::Inline,
            started: facts.started,
            finished: facts.finished,
        });
        Some(if needs_more { Finding::NeedsDetail(outcome) } else { Finding::Finished(outcome) })
    }

    fn outcome(&self, detail: InvocationDetail) -> Option<Outcome> {
        let facts = detail.facts(self.work.execution_timeout);
        let Judged::Finished { verdict, reason } = judge(&facts) else { return None };
        Some(Outcome {
            verdict,
            reason,
            exit_code: detail.response_code,
            stdout: Body::from(detail.stdout),
            stderr: Body::from(detail.stderr),
            streams: Streams::Exact,
            truncated: detail.truncated,
            channel: Channel::Inline,
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

/// How long it is from `now` until then, both by the service's clock.
fn remaining(then: Option<Timestamp>, now: Option<Timestamp>) -> Option<Duration> {
    let left = then?.duration_since(now?);
    Some(Duration::try_from(left).unwrap_or(Duration::ZERO))
}

/// What comes of a send that failed. Credentials pause a run and never judge its targets; only where nothing was sent yet
/// does the run end, as there is nothing to wait for.
fn failed(error: CallError, has_sent: bool) -> SendOutcome<ExecError> {
    match &error.kind {
        CallErrorKind::Throttled => SendOutcome::Throttled,
        CallErrorKind::Lost => SendOutcome::Lost(error.into()),
        // The SDK has the service's time from this answer, and signs the next attempt with it.
        CallErrorKind::Unreachable | CallErrorKind::ClockSkew => {
            SendOutcome::NotSent(Trouble::Transient(error.into()))
        }
        CallErrorKind::CredentialsExpired => SendOutcome::NotSent(paused(&error)),
        kind if kind.is_credentials() && has_sent => SendOutcome::NotSent(paused(&error)),
        CallErrorKind::AccessDenied { .. } => SendOutcome::Refused {
            verdict: Verdict::Denied,
            reason: Reason::ACCESS_DENIED,
            error: error.into(),
        },
        CallErrorKind::CredentialsMissing
        | CallErrorKind::CredentialsInvalid
        | CallErrorKind::NotFound
        | CallErrorKind::InvalidRequest
        | CallErrorKind::Refused => {
            SendOutcome::Refused { verdict: Verdict::Denied, reason: said(&error), error: error.into() }
        }
    }
}

/// Whether a refusal may be about how the targets were named. What is not documented for a selector (facts §8b) is refused in one
/// way or another; ids always work, and say it once more if it was something else.
fn is_about_request(error: &CallError) -> bool {
    matches!(error.kind, CallErrorKind::InvalidRequest | CallErrorKind::Refused)
}

fn said(error: &CallError) -> Reason {
    Reason::word(error.code.as_deref().unwrap_or("refused"))
}

/// What comes of a look that failed. New credentials are not fetched here: the next call does it.
fn trouble(error: CallError) -> Trouble<ExecError> {
    match &error.kind {
        kind if kind.is_credentials() => paused(&error),
        CallErrorKind::AccessDenied { .. } => Trouble::Denied(error.into()),
        _ => Trouble::Transient(error.into()),
    }
}

fn paused(error: &CallError) -> Trouble<ExecError> {
    let hint = error.hints().into_iter().next().unwrap_or_default();
    Trouble::Paused { reason: error.described(), hint }
}

pub(super) fn counters(command: &CommandSummary) -> Counters {
    Counters {
        completed: command.completed.into(),
        errors: command.errors.into(),
        delivery_timed_out: command.delivery_timed_out.into(),
        is_done: matches!(command.status.as_str(), "Success" | "Failed" | "Cancelled" | "TimedOut"),
        targets: command.target_count.into(),
    }
}

#[cfg(test)]
#[path = "realm_tests.rs"]
mod tests;
