//! [`judge`]: how an invocation's status becomes a verdict. Pure; the table is the one of the contract.

use std::time::Duration;

use herder_core::verdict::{Reason, Verdict};
use jiff::Timestamp;

/// What a verdict is judged by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct InvocationFacts<'a> {
    /// The coarse status.
    pub status: &'a str,
    /// The fine status; may be empty.
    pub status_details: &'a str,
    /// The exit code, if the process has one.
    pub response_code: Option<i64>,
    /// When it began.
    pub started: Option<Timestamp>,
    /// When it ended.
    pub finished: Option<Timestamp>,
    /// How long it was allowed to take, if that is known.
    pub execution_timeout: Option<Duration>,
}

/// What is known of a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judged {
    /// It goes on.
    Running,
    /// It has ended.
    Finished {
        /// How.
        verdict: Verdict,
        /// Why, where there is something to add.
        reason: Option<Reason>,
    },
}

/// The agent reboots the node and goes on: everywhere, and on Windows also with the installers' own code. (Elsewhere there
/// are no codes over 255.)
const REBOOTS: i64 = 194;
const REBOOTS_WINDOWS: i64 = 3010;
/// The agent reports success and skips the document's other steps.
const SKIPS_REST: i64 = 168;
/// Died of SIGKILL.
const KILLED: i64 = 137;
/// The service's times are coarse: this near to the timeout it was the timeout.
const SLACK: Duration = Duration::from_secs(1);

/// Judges an invocation.
///
/// A status that AWS adds later is judged by the coarse one; if that is unknown as well the target goes on, until
/// whoever waits for it gives up and says `unknown`.
#[must_use]
pub fn judge(facts: &InvocationFacts<'_>) -> Judged {
    let details = plain(facts.status_details);
    let known = judge_by(&details, facts);
    known.or_else(|| judge_by(&plain(facts.status), facts)).unwrap_or(Judged::Running)
}

/// Whether a cancellation is under way: a target that is still so at the end of a run is `cancelled`.
#[must_use]
pub fn is_cancelling(facts: &InvocationFacts<'_>) -> bool {
    plain(facts.status_details) == "cancelling"
        || (facts.status_details.is_empty() && plain(facts.status) == "cancelling")
}

/// Statuses are written with and without spaces.
fn plain(status: &str) -> String {
    status.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_ascii_lowercase()).collect()
}

fn judge_by(status: &str, facts: &InvocationFacts<'_>) -> Option<Judged> {
    let finished = |verdict, reason| Some(Judged::Finished { verdict, reason });
    match status {
        "pending" | "inprogress" | "delayed" | "cancelling" => Some(Judged::Running),
        "success" => {
            finished(Verdict::Ok, (facts.response_code == Some(SKIPS_REST)).then_some(Reason::SKIPS_REST))
        }
        "failed" => match facts.response_code {
            Some(REBOOTS | REBOOTS_WINDOWS) => Some(Judged::Running),
            Some(KILLED) if !ran_its_time(facts) => finished(Verdict::Failed, Some(Reason::KILLED)),
            // A step can fail without a process of its own.
            None | Some(0) => finished(Verdict::Failed, None),
            Some(code) => finished(Verdict::Failed, Some(Reason::exit(code))),
        },
        // The agent calls every 137 a timeout, that of the kernel's OOM killer too.
        "executiontimedout" if facts.response_code == Some(KILLED) && ended_early(facts) => {
            finished(Verdict::Failed, Some(Reason::KILLED))
        }
        "executiontimedout" => finished(Verdict::TimedOut, None),
        "deliverytimedout" => finished(Verdict::Undelivered, Some(Reason::EXPIRED)),
        // The coarse status says both; one that began was delivered.
        "timedout" if facts.started.is_some() => judge_by("executiontimedout", facts),
        "timedout" => finished(Verdict::Undelivered, Some(Reason::EXPIRED)),
        "undeliverable" => finished(Verdict::Undelivered, Some(Reason::UNDELIVERABLE)),
        "accessdenied" => finished(Verdict::Denied, Some(Reason::ACCESS_DENIED)),
        "invalidplatform" => finished(Verdict::Denied, Some(Reason::INVALID_PLATFORM)),
        "cancelled" => finished(Verdict::Cancelled, None),
        "terminated" => finished(Verdict::NotRun, Some(Reason::BUDGET)),
        // The account's limit of pending invocations: the service dropped the command before any node got it.
        "rateexceeded" | "limitexceeded" => finished(Verdict::NotRun, Some(Reason::word("limit_exceeded"))),
        _ => None,
    }
}

/// How long it ran, if both ends are known.
fn elapsed(facts: &InvocationFacts<'_>) -> Option<Duration> {
    Duration::try_from(facts.finished?.duration_since(facts.started?)).ok()
}

/// Whether it is known to have run until its timeout.
fn ran_its_time(facts: &InvocationFacts<'_>) -> bool {
    elapsed(facts).zip(facts.execution_timeout).is_some_and(|(ran, allowed)| ran + SLACK >= allowed)
}

/// Whether it is known to have ended before its timeout.
fn ended_early(facts: &InvocationFacts<'_>) -> bool {
    elapsed(facts).zip(facts.execution_timeout).is_some_and(|(ran, allowed)| ran + SLACK < allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BARE: InvocationFacts<'_> = InvocationFacts {
        status: "",
        status_details: "",
        response_code: None,
        started: None,
        finished: None,
        execution_timeout: None,
    };

    fn word(facts: &InvocationFacts<'_>) -> String {
        match judge(facts) {
            Judged::Running => "running".into(),
            Judged::Finished { verdict, reason: None } => verdict.to_string(),
            Judged::Finished { verdict, reason: Some(reason) } => format!("{verdict}/{reason}"),
        }
    }

    fn ran(seconds: i64) -> InvocationFacts<'static> {
        let started: Timestamp = "2026-11-21T09:30:00Z".parse().unwrap();
        InvocationFacts {
            started: Some(started),
            finished: Some(started + jiff::SignedDuration::from_secs(seconds)),
            execution_timeout: Some(Duration::from_secs(60)),
            ..BARE
        }
    }

    #[test]
    fn the_table_of_the_contract() {
        for (details, code, verdict) in [
            ("Pending", None, "running"),
            ("InProgress", None, "running"),
            ("In Progress", Some(194), "running"),
            ("Delayed", None, "running"),
            ("Cancelling", None, "running"),
            ("Success", Some(0), "ok"),
            ("Success", None, "ok"),
            ("Success", Some(168), "ok/exit_168_skips_rest"),
            ("Failed", Some(7), "failed/exit_7"),
            ("Failed", Some(169), "failed/exit_169"),
            ("Failed", Some(-1073741819), "failed/exit_-1073741819"),
            ("Failed", Some(137), "failed/killed"),
            ("Failed", Some(194), "running"),
            ("Failed", Some(3010), "running"),
            ("Failed", Some(0), "failed"),
            ("Failed", None, "failed"),
            ("ExecutionTimedOut", Some(-1), "timed_out"),
            ("Execution Timed Out", Some(137), "timed_out"),
            ("DeliveryTimedOut", None, "undelivered/expired"),
            ("Delivery Timed Out", None, "undelivered/expired"),
            ("Undeliverable", None, "undelivered/undeliverable"),
            ("AccessDenied", None, "denied/access_denied"),
            ("Access Denied", None, "denied/access_denied"),
            ("InvalidPlatform", None, "denied/invalid_platform"),
            ("Cancelled", Some(137), "cancelled"),
            ("Terminated", None, "not_run/budget"),
            ("RateExceeded", None, "not_run/limit_exceeded"),
        ] {
            let facts = InvocationFacts { status_details: details, response_code: code, ..BARE };
            assert_eq!(word(&facts), verdict, "{details} {code:?}");
            // Details decide, whatever the coarse status says.
            assert_eq!(
                word(&InvocationFacts { status: "InProgress", ..facts }),
                verdict,
                "{details} {code:?}"
            );
        }
    }

    #[test]
    fn without_known_details_the_coarse_status_decides() {
        for (status, details, verdict) in [
            ("Success", "", "ok"),
            ("Failed", "SomethingNew", "failed/exit_1"),
            ("InProgress", "", "running"),
            ("TimedOut", "", "undelivered/expired"),
            ("Cancelled", " ", "cancelled"),
            ("SomethingNew", "SomethingNew", "running"),
            ("", "", "running"),
        ] {
            let facts = InvocationFacts { status, status_details: details, response_code: Some(1), ..BARE };
            assert_eq!(word(&facts), verdict, "{status} {details}");
        }
        assert_eq!(word(&InvocationFacts { status: "TimedOut", ..ran(60) }), "timed_out");
    }

    #[test]
    fn a_kill_before_the_timeout_is_no_timeout() {
        for (details, seconds, verdict) in [
            ("Failed", 10, "failed/killed"),
            ("Failed", 60, "failed/exit_137"),
            ("ExecutionTimedOut", 10, "failed/killed"),
            ("ExecutionTimedOut", 59, "timed_out"),
            ("ExecutionTimedOut", 61, "timed_out"),
            // A clock that went back says nothing.
            ("ExecutionTimedOut", -5, "timed_out"),
        ] {
            let facts = InvocationFacts { status_details: details, response_code: Some(137), ..ran(seconds) };
            assert_eq!(word(&facts), verdict, "{details} after {seconds} s");
        }
    }

    #[test]
    fn cancelling_is_known_for_the_end_of_a_run() {
        let cancelling =
            |status, status_details| is_cancelling(&InvocationFacts { status, status_details, ..BARE });
        assert!(cancelling("Cancelling", "Cancelling") && cancelling("Cancelling", ""));
        assert!(!cancelling("Cancelled", "Cancelled") && !cancelling("InProgress", ""));
    }
}
