//! What stands guard over a run: gates between waves, alarms that are watched all the while, a calendar that has to be open. Whatever is
//! rolled out uses the same.
//!
//! - [`check`]: everything is there and says yes, before the first change
//! - [`Guard`]: asked and listened to while the run goes on
//!
//! Does not belong here: when a run asks (the executor), what a stop means for its targets.

mod alarms;
mod calendar;
mod check;
mod command;
mod health;
mod watch;

use std::path::PathBuf;
use std::time::Duration;

use herder_aws::{CallError, CallErrorKind};
use herder_core::event::RunGuards;
use herder_core::fanout::News;
use herder_core::run_id::RunId;
use herder_core::time::written;
use tokio::sync::Mutex;
use tokio::time::Instant;

pub(crate) use self::check::{Checked, check, check_resumed};
use self::watch::Watch;
use crate::ops::place::Place;

/// How a gate is waited for.
const PACE: Pace = Pace { patience: Duration::from_secs(58), again: Duration::from_secs(5) };

/// How a question is asked until it is answered.
#[derive(Clone, Copy, Debug)]
struct Pace {
    /// What has said nothing by then is over: a little less than the executor waits, so that there is more to tell than that.
    patience: Duration,
    /// What could not be answered, or not yet, is asked again after so long.
    again: Duration,
}

/// A gate, from its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gate<'a> {
    /// A local command.
    Command(&'a str),
    /// `alarm:NAME`: the alarm must not be in ALARM.
    Alarm(&'a str),
    /// `tg:ARN`: every registered target must be healthy.
    TargetGroup(&'a str),
    /// `calendar:NAME`: the calendar must be open. What `--calendar` comes to between waves.
    Calendar(&'a str),
}

impl<'a> Gate<'a> {
    /// What a text names. Anything that is no name is a command.
    pub(crate) fn of(text: &'a str) -> Gate<'a> {
        match text.split_once(':') {
            Some(("alarm", name)) => Gate::Alarm(name),
            Some(("tg", name)) => Gate::TargetGroup(name),
            Some(("calendar", name)) => Gate::Calendar(name),
            _ => Gate::Command(text),
        }
    }
}

/// What is asked between two waves, in order: the calendar first, since there is no use in the rest while it is closed.
pub(crate) fn gates(guards: &RunGuards) -> Vec<String> {
    let calendar = guards.calendar.iter().map(|name| format!("calendar:{name}"));
    calendar.chain(guards.gates.iter().cloned()).collect()
}

/// What is asked and listened to while a run goes on.
#[derive(Debug)]
pub(crate) struct Guard {
    places: Vec<Place>,
    /// Where commands run; the process' own directory if not known.
    directory: Option<PathBuf>,
    watch: Mutex<Watch>,
}

impl Guard {
    /// Nothing is watched, and only commands can be asked.
    pub(crate) fn none() -> Guard {
        Guard { places: Vec::new(), directory: None, watch: Mutex::new(Watch::default()) }
    }

    /// Asks a gate; `Ok` may hold what a person should know all the same.
    pub(crate) async fn ask(&self, gate: &str, run: &RunId, wave: u32) -> Result<Option<String>, String> {
        match Gate::of(gate) {
            Gate::Command(line) => {
                command::ask(line, self.directory.as_deref(), (run, wave)).await.map(|()| None)
            }
            Gate::Alarm(name) => until_answered(PACE, || alarms::ask(&self.places, name)).await,
            Gate::TargetGroup(name) => until_answered(PACE, || health::ask(&self.places, name)).await,
            Gate::Calendar(name) => until_answered(PACE, || calendar::ask(&self.places, name)).await,
        }
    }

    /// Waits for news of the watched alarms; never comes back where there are none.
    pub(crate) async fn news(&self) -> News {
        self.watch.lock().await.next().await
    }
}

/// What came of asking once.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Answer {
    /// Go on; with what a person should know all the same.
    Yes(Option<String>),
    /// Stop, and why.
    No(String),
    /// Not known yet, or not fit yet, and why: it may change.
    NotYet(String),
}

impl Answer {
    /// Of a call that failed: what is denied stays denied.
    fn of(error: &CallError) -> Answer {
        match error.kind {
            CallErrorKind::Throttled | CallErrorKind::Unreachable | CallErrorKind::Lost => {
                Answer::NotYet(error.described())
            }
            _ => Answer::No(error.described()),
        }
    }
}

/// Asks until there is an answer, as long as the executor waits for one.
async fn until_answered<F: Future<Output = Answer>>(
    pace: Pace,
    ask: impl Fn() -> F,
) -> Result<Option<String>, String> {
    let deadline = Instant::now() + pace.patience;
    let mut last = format!("no answer in {}", written(pace.patience));
    loop {
        match tokio::time::timeout_at(deadline, ask()).await {
            Ok(Answer::Yes(note)) => return Ok(note),
            Ok(Answer::No(reason)) => return Err(reason),
            Ok(Answer::NotYet(reason)) => last = reason,
            Err(_) => return Err(last),
        }
        let next = Instant::now() + pace.again;
        if next >= deadline {
            return Err(last);
        }
        tokio::time::sleep_until(next).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn gates_are_told_apart_by_their_first_word() {
        assert_eq!(Gate::of("alarm:web: 5xx"), Gate::Alarm("web: 5xx"));
        let arn = "arn:aws:elasticloadbalancing:r:1:targetgroup/a/1";
        assert_eq!(Gate::of(&format!("tg:{arn}")), Gate::TargetGroup(arn));
        assert_eq!(Gate::of("calendar:freeze"), Gate::Calendar("freeze"));
        for command in ["./check.sh", "curl http://alarm:80", "test x:y = x:y", "alarms"] {
            assert_eq!(Gate::of(command), Gate::Command(command));
        }
        let guards = RunGuards {
            gates: vec!["./a".into(), "alarm:b".into()],
            calendar: Some("c".into()),
            ..RunGuards::default()
        };
        assert_eq!(gates(&guards), ["calendar:c", "./a", "alarm:b"]);
    }

    const QUICK: Pace = Pace { patience: Duration::from_millis(200), again: Duration::from_millis(20) };

    /// Gives these answers, one after the other, the last one for ever; says how often it was asked.
    async fn answered(answers: &[Answer]) -> (Result<Option<String>, String>, usize) {
        let asked = AtomicUsize::new(0);
        let ask = || {
            let n = asked.fetch_add(1, Ordering::Relaxed);
            std::future::ready(answers[n.min(answers.len() - 1)].clone())
        };
        (until_answered(QUICK, ask).await, asked.load(Ordering::Relaxed))
    }

    #[tokio::test]
    async fn what_is_not_known_yet_is_asked_again_within_bounds() {
        let not_yet = || Answer::NotYet("starting".into());
        let answer = answered(&[not_yet(), not_yet(), Answer::Yes(Some("x".into()))]).await;
        assert_eq!(answer, (Ok(Some("x".into())), 3));
        assert_eq!(answered(&[not_yet(), Answer::No("no".into())]).await, (Err("no".into()), 2));
        let begun = Instant::now();
        let (answer, asked) = answered(&[not_yet()]).await;
        assert_eq!(answer, Err("starting".into()));
        assert!((2..=10).contains(&asked) && begun.elapsed() < Duration::from_secs(20), "{asked}");
        let silent = until_answered(QUICK, std::future::pending).await;
        assert_eq!(silent, Err("no answer in 200ms".into()));
        assert!(PACE.patience < Duration::from_secs(60), "the executor would say that there was no answer");
    }
}
