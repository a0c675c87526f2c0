//! [`CallError`]: what a call to AWS failed with. The SDK's errors are converted here and nowhere else.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_types::request_id::RequestId;

use crate::call::Call;
use crate::scope::ScopeError;

/// A call that didn't do what was asked.
#[derive(Clone, Debug)]
pub struct CallError {
    /// IAM's prefix of the service: `ssm`.
    pub service: &'static str,
    /// AWS's operation name: `SendCommand`.
    pub api: &'static str,
    /// What kind of failure.
    pub kind: CallErrorKind,
    /// AWS's error code, where an answer came.
    pub code: Option<String>,
    /// What AWS (or the network) said; may be empty.
    pub message: String,
    /// AWS's id of the request, for support cases.
    pub request_id: Option<String>,
    /// Whether it may have changed anything.
    pub effect: Effect,
    /// How long AWS asked to wait before the next attempt.
    pub retry_after: Option<Duration>,
    object: String,
    /// Where the request went.
    address: Option<Box<str>>,
    more_hints: Vec<String>,
    cause: Option<Box<Cause>>,
}

/// Whether a failed call may have changed anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It changed nothing.
    None,
    /// Nobody knows: it was sent, and the answer was lost.
    Possible,
}

/// The kinds of failure that call for different reactions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallErrorKind {
    /// The quota was used up, for so long that herder gave up.
    Throttled,
    /// The credentials have expired; new ones are needed.
    CredentialsExpired,
    /// There are no credentials, or they can't be had.
    CredentialsMissing,
    /// AWS doesn't know these credentials, or their signature is wrong.
    CredentialsInvalid,
    /// The local clock is too far from AWS's.
    ClockSkew,
    /// A permission is missing.
    AccessDenied {
        /// The missing action: `ssm:SendCommand`.
        action: String,
        /// The resource that it is missing on, where AWS names it.
        resource: Option<String>,
    },
    /// The named thing doesn't exist.
    NotFound,
    /// AWS doesn't accept what was asked.
    InvalidRequest,
    /// AWS can't be reached, and the request provably never left: name resolution, TCP or TLS failed.
    Unreachable,
    /// The request left, and no usable answer came: timeout, reset, server error.
    Lost,
    /// AWS refused for a reason that has no kind of its own; see the code.
    Refused,
}

impl CallErrorKind {
    /// Whether new credentials are the remedy.
    #[must_use]
    pub fn is_credentials(&self) -> bool {
        matches!(
            self,
            CallErrorKind::CredentialsExpired
                | CallErrorKind::CredentialsMissing
                | CallErrorKind::CredentialsInvalid
        )
    }

    /// Whether a call that ended so may have changed something, had it been one that changes things.
    fn may_have_effect(&self) -> bool {
        match self {
            CallErrorKind::Lost => true,
            CallErrorKind::Throttled
            | CallErrorKind::CredentialsExpired
            | CallErrorKind::CredentialsMissing
            | CallErrorKind::CredentialsInvalid
            | CallErrorKind::ClockSkew
            | CallErrorKind::AccessDenied { .. }
            | CallErrorKind::NotFound
            | CallErrorKind::InvalidRequest
            | CallErrorKind::Unreachable
            | CallErrorKind::Refused => false,
        }
    }
}

/// One link of the chain of causes, as text.
#[derive(Clone, Debug)]
struct Cause {
    text: String,
    source: Option<Box<Cause>>,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Error for Cause {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|cause| cause as _)
    }
}

impl CallError {
    pub(crate) fn new(call: &Call, kind: CallErrorKind, message: impl Into<String>) -> CallError {
        let message = message.into();
        let effect = if call.mutates && kind.may_have_effect() { Effect::Possible } else { Effect::None };
        let cause = (!message.is_empty()).then(|| Box::new(Cause { text: message.clone(), source: None }));
        CallError {
            service: call.service,
            api: call.api,
            kind,
            code: None,
            message,
            request_id: None,
            effect,
            retry_after: None,
            object: call.object.clone(),
            address: None,
            more_hints: Vec::new(),
            cause,
        }
    }

    /// The call couldn't be made for want of credentials.
    pub(crate) fn from_scope(call: &Call, error: &ScopeError) -> CallError {
        let kind = if error.is_expired() {
            CallErrorKind::CredentialsExpired
        } else {
            CallErrorKind::CredentialsMissing
        };
        let mut made = CallError::new(call, kind, error.to_string());
        made.more_hints = error.hints();
        made.cause = chain(causes(error));
        made
    }

    /// The error with what AWS said, on one line, for places that show no causes.
    #[must_use]
    pub fn described(&self) -> String {
        if self.message.is_empty() { self.to_string() } else { format!("{self}: {}", self.message) }
    }

    /// Takes values out of what AWS said that nobody is to read: it may quote what it was sent.
    #[must_use]
    pub fn without(mut self, values: &[String]) -> CallError {
        let hide = |text: &mut String| {
            for value in values.iter().filter(|value| text.contains(*value)).collect::<Vec<_>>() {
                *text = text.replace(value, "***");
            }
        };
        hide(&mut self.message);
        self.more_hints.iter_mut().for_each(hide);
        let mut cause = self.cause.as_deref_mut();
        while let Some(link) = cause {
            hide(&mut link.text);
            cause = link.source.as_deref_mut();
        }
        self
    }

    /// The same, known to come from a wrong clock if it may.
    pub(crate) fn of_skewed_clock(mut self) -> CallError {
        let signature = ["AuthFailure", "InvalidSignatureException", "SignatureDoesNotMatch"];
        if self.kind == CallErrorKind::CredentialsInvalid
            && self.code.as_deref().is_some_and(|code| signature.contains(&code))
        {
            self.kind = CallErrorKind::ClockSkew;
        }
        self
    }

    /// Adds where the request went.
    pub(crate) fn at(mut self, address: String) -> CallError {
        self.address = Some(address.into());
        self
    }

    pub(crate) fn with_hints(mut self, hints: Vec<String>) -> CallError {
        if self.more_hints.is_empty() {
            self.more_hints = hints;
        }
        self
    }

    /// Whether anything may have changed: what a failure must say about itself.
    #[must_use]
    pub fn mutated(&self) -> bool {
        match self.effect {
            Effect::None => false,
            Effect::Possible => true,
        }
    }

    /// What to do next, in full sentences. May be empty.
    #[must_use]
    pub fn hints(&self) -> Vec<String> {
        let mut hints = self.more_hints.clone();
        hints.extend(self.own_hint());
        hints
    }

    /// What the HTTP client says of a proxy that answers 407.
    fn is_for_the_proxys_login(&self) -> bool {
        causes(self).any(|cause| cause.to_string().contains("proxy authorization required"))
    }

    fn own_hint(&self) -> Option<String> {
        let hint = match &self.kind {
            CallErrorKind::Throttled => {
                "Try again later, or ask AWS to raise the quota of this API.".to_owned()
            }
            CallErrorKind::CredentialsExpired | CallErrorKind::CredentialsMissing => {
                // Where the credentials come from knows better.
                if !self.more_hints.is_empty() {
                    return None;
                }
                "Renew the credentials and run the command again.".to_owned()
            }
            CallErrorKind::CredentialsInvalid => {
                "Check the access key and the profile (--profile): AWS doesn't accept them.".to_owned()
            }
            CallErrorKind::ClockSkew => "Set the local clock: it is too far from AWS's.".to_owned(),
            CallErrorKind::AccessDenied { action, resource } => match resource {
                Some(resource) => format!("Ask for a policy that allows `{action}` on `{resource}`."),
                None => format!("Ask for a policy that allows `{action}`."),
            },
            CallErrorKind::NotFound => "Check the name, the region and the account.".to_owned(),
            CallErrorKind::Unreachable if self.is_for_the_proxys_login() => {
                "Give the proxy its user and password, the right ones: HTTPS_PROXY=http://USER:PASSWORD@HOST:PORT."
                    .to_owned()
            }
            CallErrorKind::Unreachable => {
                "Check the network, the proxy (HTTPS_PROXY, NO_PROXY), AWS_CA_BUNDLE and the region's name."
                    .to_owned()
            }
            CallErrorKind::Lost if self.mutated() => {
                "Check whether it took effect before you do it again.".to_owned()
            }
            CallErrorKind::InvalidRequest if self.code.as_deref() == Some("MaxDocumentSizeExceeded") => {
                "Put what is so long into S3 and send a line that fetches and runs it.".to_owned()
            }
            CallErrorKind::Lost | CallErrorKind::InvalidRequest | CallErrorKind::Refused => return None,
        };
        Some(hint)
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.service, self.api)?;
        if !self.object.is_empty() {
            write!(f, " {}", self.object)?;
        }
        match &self.kind {
            CallErrorKind::Throttled => f.write_str(" was throttled for too long"),
            CallErrorKind::CredentialsExpired => f.write_str(" failed: the credentials have expired"),
            CallErrorKind::CredentialsMissing => f.write_str(" failed: there are no credentials"),
            CallErrorKind::CredentialsInvalid => f.write_str(" failed: AWS doesn't accept the credentials"),
            CallErrorKind::ClockSkew => f.write_str(" failed: the local clock is wrong"),
            CallErrorKind::AccessDenied { action, .. } => write!(f, " was denied: `{action}` is not allowed"),
            CallErrorKind::NotFound => f.write_str(" failed: not found"),
            CallErrorKind::InvalidRequest => f.write_str(" was rejected"),
            CallErrorKind::Unreachable => match &self.address {
                Some(address) => write!(f, " failed: {address} can't be reached"),
                None => f.write_str(" failed: AWS can't be reached"),
            },
            CallErrorKind::Lost => match &self.address {
                Some(address) => write!(f, " got no usable answer from {address}"),
                None => f.write_str(" got no usable answer"),
            },
            CallErrorKind::Refused => f.write_str(" was refused"),
        }?;
        match &self.code {
            Some(code) => write!(f, " ({code})"),
            None => Ok(()),
        }
    }
}

impl Error for CallError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.as_deref().map(|cause| cause as _)
    }
}

/// AWS's codes for "slower, please", all services.
const THROTTLES: [&str; 15] = [
    "BandwidthLimitExceeded",
    "EC2ThrottledException",
    "LimitExceededException",
    "PriorRequestNotComplete",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "SlowDown",
    "ThrottledException",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
    "RateExceeded",
    "TransactionInProgressException",
];

/// Converts an error of the SDK.
pub(crate) fn convert<E>(call: &Call, error: &SdkError<E, HttpResponse>) -> CallError
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    match error {
        SdkError::ServiceError(answer) => from_answer(call, answer.err(), answer.raw(), error.request_id()),
        SdkError::ConstructionFailure(_) => from_chain(call, CallErrorKind::InvalidRequest, error),
        SdkError::DispatchFailure(_) | SdkError::TimeoutError(_) => {
            let kind = if never_left(error) { CallErrorKind::Unreachable } else { CallErrorKind::Lost };
            from_chain(call, kind, error)
        }
        SdkError::ResponseError(answer) => {
            let mut made = from_chain(call, CallErrorKind::Lost, error);
            made.retry_after = retry_after(answer.raw());
            made.request_id = error.request_id().map(str::to_owned);
            made
        }
        // The enum may grow; what isn't known may have been sent.
        _ => from_chain(call, CallErrorKind::Lost, error),
    }
}

fn from_answer<E>(call: &Call, error: &E, raw: &HttpResponse, request_id: Option<&str>) -> CallError
where
    E: ProvideErrorMetadata + Error,
{
    // Some answers carry a namespace before the code, or an address after it.
    let code = error.code().map(bare_code);
    let message = error.message().unwrap_or_default();
    let kind = classify(call, code, raw.status().as_u16(), message);
    let mut made = CallError::new(call, kind, message);
    made.code = code.map(str::to_owned);
    made.request_id = request_id.or_else(|| error.meta().extra("aws_request_id")).map(str::to_owned);
    made.retry_after = retry_after(raw);
    made
}

/// `com.amazonaws.ssm#InvalidInstanceId:http://…` → `InvalidInstanceId`.
fn bare_code(code: &str) -> &str {
    let code = code.rsplit('#').next().unwrap_or(code);
    code.split(':').next().unwrap_or(code)
}

fn from_chain(call: &Call, kind: CallErrorKind, error: &(dyn Error + 'static)) -> CallError {
    // The outermost says only which phase failed.
    let cause = chain(causes(error).skip(1));
    let message = cause.as_deref().map_or_else(|| error.to_string(), innermost);
    let mut made = CallError::new(call, kind, message);
    made.cause = cause.or(made.cause);
    made
}

fn innermost(cause: &Cause) -> String {
    match &cause.source {
        Some(source) => innermost(source),
        None => cause.text.clone(),
    }
}

/// An error and what it came from.
pub(crate) fn causes<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&e| e.source())
}

/// The texts of a chain of errors, without repetitions and without the connector's `other`, which says nothing.
fn chain<'a>(errors: impl Iterator<Item = &'a (dyn Error + 'static)>) -> Option<Box<Cause>> {
    let mut texts: Vec<String> = Vec::new();
    for error in errors {
        let text = error.to_string();
        if !text.is_empty() && text != "other" && texts.last() != Some(&text) {
            texts.push(text);
        }
    }
    texts.into_iter().rev().fold(None, |source, text| Some(Box::new(Cause { text, source })))
}

/// Whether the request provably never left: the HTTP client failed while connecting.
fn never_left(error: &(dyn Error + 'static)) -> bool {
    causes(error)
        .any(|e| e.downcast_ref::<hyper_util::client::legacy::Error>().is_some_and(|e| e.is_connect()))
}

/// What an answer with this code and status means.
fn classify(call: &Call, code: Option<&str>, status: u16, message: &str) -> CallErrorKind {
    let code = code.unwrap_or_default();
    if THROTTLES.contains(&code) || (code.is_empty() && status == 429) {
        return CallErrorKind::Throttled;
    }
    match code {
        "ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired" => {
            CallErrorKind::CredentialsExpired
        }
        "RequestExpired" if message.contains("oken") => CallErrorKind::CredentialsExpired,
        "RequestExpired" | "RequestTimeTooSkewed" | "RequestInTheFuture" => CallErrorKind::ClockSkew,
        // The signature of a wrong clock has the code of a wrong key, and says so only in its text.
        "InvalidSignatureException" | "SignatureDoesNotMatch" if message.contains("Signature expired") => {
            CallErrorKind::ClockSkew
        }
        "InvalidSignatureException" | "SignatureDoesNotMatch" if message.contains("not yet current") => {
            CallErrorKind::ClockSkew
        }
        "InvalidSignatureException"
        | "SignatureDoesNotMatch"
        | "UnrecognizedClientException"
        | "InvalidClientTokenId"
        | "AuthFailure"
        | "IncompleteSignature"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "InvalidAccessKeyId"
        | "InvalidToken" => CallErrorKind::CredentialsInvalid,
        "AccessDenied"
        | "AccessDeniedException"
        | "UnauthorizedOperation"
        | "UnauthorizedAccess"
        | "NotAuthorized"
        | "UnauthorizedException"
        | "Forbidden"
        | "ForbiddenException" => denied(call, message),
        "InvalidInstanceId"
        | "InvalidDocument"
        | "InvalidDocumentVersion"
        | "InvalidCommandId"
        | "InvocationDoesNotExist" => CallErrorKind::NotFound,
        "RequestTimeout" | "RequestTimeoutException" => CallErrorKind::Lost,
        _ if code.contains("NotFound") || code.contains("DoesNotExist") || code.starts_with("NoSuch") => {
            CallErrorKind::NotFound
        }
        "ValidationException" | "ValidationError" | "MaxDocumentSizeExceeded" => {
            CallErrorKind::InvalidRequest
        }
        _ if code.starts_with("Invalid") => CallErrorKind::InvalidRequest,
        _ => match status {
            500.. | 408 => CallErrorKind::Lost,
            403 if code.is_empty() => denied(call, message),
            _ => CallErrorKind::Refused,
        },
    }
}

/// `User: … is not authorized to perform: ssm:SendCommand on resource: arn:… because …`
fn denied(call: &Call, message: &str) -> CallErrorKind {
    let after = |marker: &str| {
        let (_, rest) = message.split_once(marker)?;
        let word = rest.split_whitespace().next()?.trim_end_matches(['.', ',', ';']);
        (!word.is_empty()).then(|| word.to_owned())
    };
    let action = after("perform: ").filter(|word| word.contains(':'));
    CallErrorKind::AccessDenied {
        action: action.unwrap_or_else(|| action_of(call)),
        resource: after("on resource: "),
    }
}

/// What IAM calls it. S3's lists and buckets are one action.
fn action_of(call: &Call) -> String {
    match (call.service, call.api) {
        ("s3", "HeadBucket" | "ListObjectsV2") => "s3:ListBucket".to_owned(),
        (service, api) => format!("{service}:{api}"),
    }
}

fn retry_after(raw: &HttpResponse) -> Option<Duration> {
    let number = |name: &str| raw.headers().get(name)?.trim().parse::<u32>().ok();
    number("x-amz-retry-after")
        .map(|ms| Duration::from_millis(ms.into()))
        .or_else(|| number("retry-after").map(|s| Duration::from_secs(s.into())))
}

#[cfg(test)]
mod tests;
