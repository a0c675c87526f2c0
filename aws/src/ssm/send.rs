//! Sending and cancelling commands. `SendCommand` has no idempotency token: sent twice is run twice.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::time::Duration;

use aws_sdk_ssm::types::{CloudWatchOutputConfig, Target};
use herder_core::journal::Permit;
use herder_core::target::ServiceTarget;
use jiff::Timestamp;

use super::{Ssm, ids_in};
use crate::call::{Call, count};
use crate::error::{CallError, CallErrorKind};
use crate::scope::{CHANGE_TIMEOUT, timeouts};
use crate::times;

/// The most ids in one `SendCommand`. Of more the service has been seen to say that it throttles (botocore#993).
pub const MAX_IDS: usize = 50;
/// The most conditions in one `SendCommand` that names no ids.
pub const MAX_TARGETS: usize = 5;
/// The longest comment, in characters.
const MAX_COMMENT: usize = 100;
/// Bounds of the delivery timeout, seconds.
const DELIVERY: std::ops::RangeInclusive<u64> = 30..=2_592_000;

/// Who gets a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recipients {
    /// These nodes, 1 to [`MAX_IDS`].
    Ids(Vec<String>),
    /// Those that fit all of these, as far as the service knows them when it goes over them; 1 to 5.
    Selected(Vec<ServiceTarget>),
}

impl Recipients {
    /// For messages: `3 nodes`.
    fn described(&self) -> String {
        match self {
            Recipients::Ids(ids) => count(ids.len(), "node"),
            Recipients::Selected(targets) => {
                let described = targets.iter().map(|t| format!("{}={}", t.key, t.values.join(",")));
                described.collect::<Vec<_>>().join(" and ")
            }
        }
    }

    fn ids(&self) -> &[String] {
        match self {
            Recipients::Ids(ids) => ids,
            Recipients::Selected(_) => &[],
        }
    }
}

/// A command for up to 50 nodes, or for those that the service finds.
#[derive(Clone, PartialEq, Eq)]
pub struct SendCommand {
    /// Name or ARN of the document.
    pub document: String,
    /// `$DEFAULT`, `$LATEST` or a number; without it the service's default.
    pub document_version: Option<String>,
    /// The document's parameters.
    pub parameters: BTreeMap<String, Vec<String>>,
    /// The nodes.
    pub to: Recipients,
    /// A node that hasn't begun after this long won't; 30 s to 30 days, and brought into these bounds.
    pub delivery_timeout: Duration,
    /// At most 100 characters; cut to that.
    pub comment: String,
    /// Nodes that run it at the same time, at least 1.
    pub max_concurrency: u32,
    /// The service stops sending when *more* than this many nodes have failed.
    pub max_errors: u32,
    /// Where nodes put their output whole.
    pub s3: Option<S3Output>,
    /// The log group that nodes write their output to while they run; agents make it.
    pub log_group: Option<String>,
}

impl fmt::Debug for SendCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Values of parameters may be secrets.
        f.debug_struct("SendCommand")
            .field("document", &self.document)
            .field("parameters", &self.parameters.keys())
            .field("to", &self.to)
            .field("comment", &self.comment)
            .finish_non_exhaustive()
    }
}

/// A place in S3. Nodes put their output below `PREFIX/COMMAND/NODE/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3Output {
    /// The bucket's name.
    pub bucket: String,
    /// How keys begin, without a slash at either end; may be empty.
    pub prefix: String,
}

/// The service took it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// AWS's command id.
    pub command_id: String,
    /// When the service took it, by its own clock.
    pub requested_at: Option<Timestamp>,
    /// When the service gives up on nodes that haven't answered.
    pub expires_after: Option<Timestamp>,
}

/// Why nothing was sent, or why nobody knows.
#[derive(Clone, Debug)]
pub enum SendError {
    /// Some ids are unmanaged, terminated, or not of this scope; none of the nodes got the command.
    BadInstances {
        /// Those that the message names, of those that were sent; empty where it names none.
        ids: Vec<String>,
        /// The error itself.
        error: CallError,
    },
    /// The document doesn't run on some nodes' platform; none of the nodes got the command.
    UnsupportedPlatform {
        /// Those that the message names, of those that were sent; empty where it names none.
        ids: Vec<String>,
        /// The error itself.
        error: CallError,
    },
    /// The document or its version doesn't exist, or isn't a command document.
    InvalidDocument(CallError),
    /// The document doesn't take these parameters.
    InvalidParameters(CallError),
    /// The document with its parameters is too large.
    TooLarge(CallError),
    /// Anything else: look at its kind and its effect.
    Call(CallError),
}

/// A place in the quota of `SendCommand`. Dropped unused, it is as if it had never been taken.
#[derive(Debug)]
pub struct SendSlot(crate::meter::Ticket);

/// As the call's error says it: the variants add nothing for people.
impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.call().fmt(f)
    }
}

impl Error for SendError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.call().source()
    }
}

impl SendError {
    /// See [`CallError::without`].
    #[must_use]
    pub fn without(self, values: &[String]) -> SendError {
        match self {
            SendError::BadInstances { ids, error } => {
                SendError::BadInstances { ids, error: error.without(values) }
            }
            SendError::UnsupportedPlatform { ids, error } => {
                SendError::UnsupportedPlatform { ids, error: error.without(values) }
            }
            SendError::InvalidDocument(error) => SendError::InvalidDocument(error.without(values)),
            SendError::InvalidParameters(error) => SendError::InvalidParameters(error.without(values)),
            SendError::TooLarge(error) => SendError::TooLarge(error.without(values)),
            SendError::Call(error) => SendError::Call(error.without(values)),
        }
    }

    /// The error of the call.
    #[must_use]
    pub fn call(&self) -> &CallError {
        match self {
            SendError::BadInstances { error, .. } | SendError::UnsupportedPlatform { error, .. } => error,
            SendError::InvalidDocument(error)
            | SendError::InvalidParameters(error)
            | SendError::TooLarge(error)
            | SendError::Call(error) => error,
        }
    }

    fn of(error: CallError, asked: &[String]) -> SendError {
        match error.code.as_deref() {
            Some("InvalidInstanceId" | "DuplicateInstanceId") => {
                SendError::BadInstances { ids: ids_in(&error.message, asked), error }
            }
            Some("UnsupportedPlatformType") => {
                SendError::UnsupportedPlatform { ids: ids_in(&error.message, asked), error }
            }
            Some("InvalidDocument" | "InvalidDocumentVersion") => SendError::InvalidDocument(error),
            Some("InvalidParameters") => SendError::InvalidParameters(error),
            Some("MaxDocumentSizeExceeded") => SendError::TooLarge(error),
            _ => SendError::Call(error),
        }
    }
}

impl Ssm {
    /// Waits for a place in the quota of `SendCommand`. The intent is journalled after that, so that waiting leaves no
    /// doubt behind.
    pub async fn send_slot(&self) -> SendSlot {
        SendSlot(self.scope.reserve(&Call::change("ssm", "SendCommand", "")).await)
    }

    /// `SendCommand`: one attempt. A throttle comes back as an error too: it changed nothing.
    ///
    /// # Errors
    /// See [`SendError`]; whether anything may have been sent says [`CallError::mutated`].
    pub async fn send_command(
        &self,
        slot: SendSlot,
        permit: Permit,
        command: &SendCommand,
    ) -> Result<Sent, SendError> {
        let call = Call::change(
            "ssm",
            "SendCommand",
            format!("of {} to {}", command.document, command.to.described()),
        );
        let (ids, targets) = match &command.to {
            Recipients::Ids(ids) => (Some(ids.clone()), None),
            Recipients::Selected(targets) => (None, Some(targets.iter().map(target).collect::<Vec<_>>())),
        };
        let fits = ids.as_ref().is_none_or(|ids| (1..=MAX_IDS).contains(&ids.len()))
            && targets.as_ref().is_none_or(|targets| (1..=MAX_TARGETS).contains(&targets.len()));
        debug_assert!(fits, "1 to {MAX_IDS} ids, or 1 to {MAX_TARGETS} targets");
        if !fits {
            let message = format!("a command goes to 1 to {MAX_IDS} nodes, or 1 to {MAX_TARGETS} targets");
            return Err(SendError::Call(CallError::new(&call, CallErrorKind::InvalidRequest, message)));
        }
        let delivery = command.delivery_timeout.as_secs().clamp(*DELIVERY.start(), *DELIVERY.end());
        let comment: String = command.comment.chars().take(MAX_COMMENT).collect();
        let request = self
            .client
            .send_command()
            .document_name(&command.document)
            .set_document_version(command.document_version.clone())
            .set_parameters(Some(command.parameters.clone().into_iter().collect()))
            .set_instance_ids(ids)
            .set_targets(targets)
            .set_timeout_seconds(i32::try_from(delivery).ok())
            .set_comment(Some(comment).filter(|c| !c.is_empty()))
            .max_concurrency(command.max_concurrency.max(1).to_string())
            .max_errors(command.max_errors.to_string())
            .set_output_s3_bucket_name(command.s3.as_ref().map(|s3| s3.bucket.clone()))
            .set_output_s3_key_prefix(
                command.s3.as_ref().map(|s3| s3.prefix.clone()).filter(|p| !p.is_empty()),
            )
            .set_cloud_watch_output_config(command.log_group.as_ref().map(|group| {
                CloudWatchOutputConfig::builder()
                    .cloud_watch_log_group_name(group)
                    .cloud_watch_output_enabled(true)
                    .build()
            }));
        let attempt = request.customize().config_override(patient()).send();
        let answer = self.scope.call_once(slot.0, &call, attempt).await;
        let answer = answer.map_err(|error| SendError::of(error, command.to.ids()))?;
        drop(permit);
        let sent = answer.command();
        let Some(command_id) = sent.and_then(|c| c.command_id()) else {
            // It was accepted, and can be found by its comment.
            return Err(SendError::Call(CallError::new(
                &call,
                CallErrorKind::Lost,
                "the answer names no command",
            )));
        };
        Ok(Sent {
            command_id: command_id.to_owned(),
            requested_at: times::optional(sent.and_then(|c| c.requested_date_time())),
            expires_after: times::optional(sent.and_then(|c| c.expires_after())),
        })
    }

    /// `CancelCommand`: asks the service to cancel what it can. Success promises nothing: the invocations say what came of it.
    ///
    /// # Errors
    /// The call failed.
    pub async fn cancel_command(&self, permit: Permit, command_id: &str) -> Result<(), CallError> {
        let call = Call::change("ssm", "CancelCommand", format!("of {command_id}"));
        let request = self.client.cancel_command().command_id(command_id);
        let attempt = || request.clone().customize().config_override(patient()).send();
        self.scope.call(call, attempt).await?;
        drop(permit);
        Ok(())
    }
}

fn target(target: &ServiceTarget) -> Target {
    Target::builder().key(&target.key).set_values(Some(target.values.clone())).build()
}

/// More time for an attempt than a read gets.
fn patient() -> aws_sdk_ssm::config::Builder {
    aws_sdk_ssm::config::Builder::new().timeout_config(timeouts(CHANGE_TIMEOUT))
}
