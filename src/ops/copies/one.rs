//! One copy of a run, and what its end means to the executor.

use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use herder_aws::ssm::StartSession;
use herder_core::event::{Body, Event};
use herder_core::fanout::{Batch, Interrupt, Outcome, SendOutcome, Trouble};
use herder_core::journal::Permit;
use herder_core::target::Target;
use herder_core::verdict::{Reason, Verdict};
use herder_session::copy::{self, Copied, Copier, CopyError, Progress};
use tokio::sync::{mpsc, watch};

use super::job::{CopyFault, CopyJob, Realm};
use super::recipe::{Amount, Direction};
use super::shown;
use crate::failure::{Failure, Kind};
use crate::ops::session::{CopyNode, Refusal, copy_failure};

/// How long a first session that was denied waits for another one to begin: where one does, the denial is that node's own.
const OTHERS_BEGIN_WITHIN: Duration = Duration::from_secs(2);
/// Names of what was left out that a result tells.
const SKIPPED_SHOWN: usize = 20;

/// Copies to or from one target. `permit` says that the journal knows of it.
pub(super) async fn copy(
    job: &CopyJob,
    (number, batch): (usize, &Batch),
    permit: Permit,
) -> SendOutcome<CopyFault> {
    let Some(target) = job.target(number) else {
        return SendOutcome::Finished { command_id: None, outcomes: Vec::new() };
    };
    if let Err(failure) = job.check_source().await {
        return SendOutcome::Fatal(CopyFault(failure));
    }
    let mut marker = [0; 16];
    match job.ctx.fresh_random() {
        Ok(random) => marker.copy_from_slice(&random[..16]),
        Err(failure) => return SendOutcome::Fatal(CopyFault(failure)),
    }
    let realm = job.at(batch.lane);
    let session: OnceLock<String> = OnceLock::new();
    let begun = |id: &str| {
        realm.note_begun();
        if session.set(id.to_owned()).is_ok() {
            job.around.events.try_emit(Event::TargetSent {
                target: target.id.clone(),
                wave: job.wave_of(number),
                attempt: batch.attempt,
                command_id: id.to_owned(),
            });
        }
    };
    // What happens to a connection ends in the result: with hundreds of copies nobody could read it.
    let (notices, _) = mpsc::unbounded_channel();
    let node = CopyNode::new(&realm.launcher, &realm.open, start(job, target), notices)
        .in_slot(realm.slot())
        .telling(&begun);
    let skipped = Mutex::new(Vec::new());
    let progress = |progress| {
        let line = match progress {
            Progress::Skipped { name, reason } => format!("{name} is left out: {reason}"),
            Progress::Noted { name, what } => format!("{name}: {what}"),
            _ => return,
        };
        skipped.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    };
    let copier = Copier::new(&node, marker, job.recipe.options(job.around.umask), &progress);
    let started = job.ctx.clock.now();
    let result = tokio::select! {
        result = carry(job, target, &copier) => Some(result),
        () = called_off(job.ctx.interrupts.clone()) => None,
    };
    // Of one that is done too: it was left before its script had ended.
    node.finish().await;
    drop(permit);
    let outcome = match result {
        None => Ok(Outcome::bare(Verdict::Cancelled, Some(Reason::INTERRUPTED))),
        Some(Ok(copied)) => Ok(match job.check_source().await {
            Ok(()) => copied_all(copied, &skipped.into_inner().unwrap_or_else(PoisonError::into_inner)),
            // Nobody knows which of the two the node has got.
            Err(failure) => Outcome {
                stderr: told(&failure),
                ..Outcome::bare(Verdict::Failed, Some(Reason::word("source_changed")))
            },
        }),
        Some(Err(error)) => failed(job, realm, &error, &node).await,
    };
    match outcome {
        Ok(outcome) => {
            let has_begun = session.get().is_some();
            let outcome = Outcome {
                started: has_begun.then_some(started),
                finished: has_begun.then(|| job.ctx.clock.now()),
                ..outcome
            };
            SendOutcome::Finished { command_id: session.into_inner(), outcomes: vec![(number, outcome)] }
        }
        Err(other) => *other,
    }
}

/// What the session is started with. The audit shows which run it belongs to.
fn start(job: &CopyJob, target: &Target) -> StartSession {
    let run = format!("herder {}", job.around.run);
    let reason = job.recipe.reason.as_ref().map_or(run.clone(), |reason| format!("{run}: {reason}"));
    StartSession { target: target.id.clone(), reason: Some(reason), ..StartSession::default() }
}

/// Waits until what runs is to be ended.
async fn called_off(mut interrupts: watch::Receiver<Interrupt>) {
    if interrupts.wait_for(|level| *level >= Interrupt::Cancel).await.is_err() {
        // Without a sender nobody can interrupt.
        std::future::pending().await
    }
}

async fn carry(
    job: &CopyJob,
    target: &Target,
    copier: &Copier<'_, CopyNode<'_>>,
) -> Result<Copied, CopyError> {
    let recipe = &job.recipe;
    let remote = recipe.remote_path().map_err(|failure| CopyError::Garbled(failure.message))?;
    match recipe.direction {
        Direction::Upload if recipe.recursive && recipe.local.is_dir() => {
            copier.upload_tree(&recipe.local, &remote).await
        }
        Direction::Upload => copier.upload(&recipe.local, &remote).await,
        Direction::Download => {
            let directory = job.directory_of(target);
            tokio::fs::create_dir_all(&directory).await.map_err(|source| CopyError::Local {
                action: "create",
                path: directory.clone(),
                source,
            })?;
            match recipe.recursive {
                true => copier.download_tree(&remote, &directory).await,
                false => copier.download(&remote, &directory).await,
            }
        }
    }
}

fn copied_all(copied: Copied, skipped: &[String]) -> Outcome {
    let amount = Amount { files: copied.files, bytes: copied.bytes + copied.resumed };
    let (verdict, reason) = match copied.skipped {
        0 => (Verdict::Ok, None),
        _ => (Verdict::Failed, Some(Reason::word("left_out"))),
    };
    let mut complaints: Vec<String> = skipped.iter().take(SKIPPED_SHOWN).cloned().collect();
    if skipped.len() > SKIPPED_SHOWN {
        complaints.push(format!("and {} more", skipped.len() - SKIPPED_SHOWN));
    }
    Outcome {
        stdout: Body::from(format!("copied and checked {}\n", shown(amount))),
        stderr: lines(&complaints),
        ..Outcome::bare(verdict, reason)
    }
}

fn lines(lines: &[String]) -> Body {
    Body::from(lines.iter().map(|line| format!("{line}\n")).collect::<String>())
}

/// What people read of a failure.
fn told(failure: &Failure) -> Body {
    let causes = failure.causes.iter().map(|cause| format!("  caused by: {cause}"));
    let hints = failure.hints.iter().map(|hint| format!("hint: {hint}"));
    let all: Vec<String> = std::iter::once(failure.message.clone()).chain(causes).chain(hints).collect();
    lines(&all)
}

/// What a copy that failed means: the end of its target, or something that concerns more than that.
async fn failed(
    job: &CopyJob,
    realm: &Realm,
    error: &CopyError,
    node: &CopyNode<'_>,
) -> Result<Outcome, Box<SendOutcome<CopyFault>>> {
    let (refusal, failure) = copy_failure(error, node);
    let ended = |verdict, reason: Reason| {
        Ok(Outcome { stderr: told(&failure), ..Outcome::bare(verdict, Some(reason)) })
    };
    let more = |outcome: SendOutcome<CopyFault>| Err(Box::new(outcome));
    let is_upload = job.recipe.direction == Direction::Upload;
    match error {
        CopyError::Start(_) => match refusal {
            Some(Refusal::NotConnected) => ended(Verdict::Undelivered, Reason::UNDELIVERABLE),
            Some(Refusal::Throttled) => more(SendOutcome::Throttled),
            Some(Refusal::Unreachable) => more(SendOutcome::NotSent(Trouble::Transient(CopyFault(failure)))),
            Some(Refusal::Credentials) => {
                let fault = CopyFault(failure);
                let (reason, hint) = (fault.to_string(), fault.0.hints.first().cloned().unwrap_or_default());
                more(SendOutcome::NotSent(Trouble::Paused { reason, hint }))
            }
            Some(Refusal::Denied) if !others_begin(realm).await => more(SendOutcome::Refused {
                verdict: Verdict::Denied,
                reason: Reason::ACCESS_DENIED,
                error: CopyFault(failure),
            }),
            Some(Refusal::Denied) => ended(Verdict::Denied, Reason::ACCESS_DENIED),
            Some(Refusal::Document) => more(SendOutcome::Fatal(CopyFault(failure))),
            Some(Refusal::Other) | None => ended(Verdict::Failed, Reason::word("not_started")),
        },
        // The file may be in its place already, and the word of it lost.
        CopyError::Session(_) => ended(Verdict::Unknown, Reason::word("session_lost")),
        // The same for every node.
        CopyError::Local { .. } | CopyError::Changed(_) if is_upload => {
            let failure = Failure { kind: Kind::Local, ..failure };
            more(SendOutcome::Fatal(CopyFault(failure)))
        }
        CopyError::Local { .. } => ended(Verdict::Failed, Reason::word("local")),
        CopyError::Changed(_) => ended(Verdict::Failed, Reason::word("changed")),
        CopyError::Node { reason, .. } => ended(Verdict::Failed, word(reason)),
        CopyError::Tool(_) => ended(Verdict::Failed, Reason::word("no_tool")),
        CopyError::Differs { .. } => ended(Verdict::Failed, Reason::word("damaged")),
        _ => ended(Verdict::Failed, Reason::word("garbled")),
    }
}

/// Whether any session begins in this account and region within a moment.
async fn others_begin(realm: &Realm) -> bool {
    let begin = async {
        while !realm.has_begun() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(OTHERS_BEGIN_WITHIN, begin).await.is_ok()
}

fn word(reason: &copy::Reason) -> Reason {
    Reason::word(match reason {
        copy::Reason::NotFound => "not_found",
        copy::Reason::Denied => "permission_denied",
        copy::Reason::NoSpace => "no_space",
        copy::Reason::Quota => "quota",
        copy::Reason::ReadOnly => "read_only",
        copy::Reason::IsDirectory => "is_directory",
        copy::Reason::NotADirectory => "not_a_directory",
        copy::Reason::Special => "no_file",
        copy::Reason::NameTooLong => "name_too_long",
        copy::Reason::TooLarge => "too_large",
        _ => "node_failed",
    })
}
