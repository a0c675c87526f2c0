//! Invocations: what became of a command on each node.

use aws_sdk_ssm::operation::get_command_invocation::GetCommandInvocationOutput;
use aws_sdk_ssm::types::{CommandInvocation, CommandPlugin};
use herder_core::event::Streams;
use jiff::Timestamp;

use super::verdict::InvocationFacts;
use super::{Page, SplitOutput, Ssm, next, split_output};
use crate::call::Call;
use crate::error::CallError;
use crate::times;

const PAGE: i32 = 50;

/// A command on one node, as lists show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invocation {
    /// The node.
    pub instance_id: String,
    /// The coarse status.
    pub status: String,
    /// The fine status; verdicts come from it. May be empty.
    pub status_details: String,
    /// When the service took it.
    pub requested_at: Option<Timestamp>,
    /// The document's steps that ran, in order. Empty before the node answers.
    pub plugins: Vec<Plugin>,
}

/// One step of a document on one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plugin {
    /// Its name: `aws:runShellScript`.
    pub name: String,
    /// Its status.
    pub status: String,
    /// The exit code; `None` where the process has none (the service says -1).
    pub response_code: Option<i64>,
    /// When it began.
    pub started: Option<Timestamp>,
    /// When it ended.
    pub finished: Option<Timestamp>,
    /// Both streams, merged by the agent, at most 2,500 characters.
    pub output: String,
}

impl Invocation {
    /// The step that decided: the first that failed, otherwise the last that ran.
    #[must_use]
    pub fn deciding(&self) -> Option<&Plugin> {
        let bad = |p: &&Plugin| matches!(p.status.as_str(), "Failed" | "TimedOut" | "Cancelled");
        let ran = |p: &&Plugin| p.started.is_some();
        let plugins = &self.plugins;
        plugins.iter().find(bad).or_else(|| plugins.iter().rfind(ran)).or_else(|| plugins.last())
    }

    /// When the first step began.
    #[must_use]
    pub fn started(&self) -> Option<Timestamp> {
        self.plugins.iter().filter_map(|p| p.started).min()
    }

    /// When the last step ended.
    #[must_use]
    pub fn finished(&self) -> Option<Timestamp> {
        self.plugins.iter().filter_map(|p| p.finished).max()
    }

    /// What the verdict is judged by. `execution_timeout` is the document's, if it is known.
    #[must_use]
    pub fn facts(&self, execution_timeout: Option<std::time::Duration>) -> InvocationFacts<'_> {
        let deciding = self.deciding();
        InvocationFacts {
            status: &self.status,
            status_details: &self.status_details,
            response_code: deciding.and_then(|p| p.response_code),
            started: deciding.and_then(|p| p.started).or_else(|| self.started()),
            finished: deciding.and_then(|p| p.finished).or_else(|| self.finished()),
            execution_timeout,
        }
    }

    /// The output of all steps, its streams apart where that is possible.
    #[must_use]
    pub fn output(&self) -> SplitOutput {
        let mut wrote = self.plugins.iter().filter(|p| !p.output.is_empty());
        match (wrote.next(), wrote.next()) {
            (None, _) => SplitOutput::default(),
            (Some(only), None) => split_output(&only.output),
            // The steps' streams can't be put together without losing their order.
            (Some(_), Some(_)) => {
                let outputs: Vec<&str> = self.plugins.iter().map(|p| p.output.as_str()).collect();
                let truncated = outputs.iter().any(|text| split_output(text).truncated);
                SplitOutput {
                    stdout: outputs.concat(),
                    stderr: String::new(),
                    streams: Streams::Merged,
                    truncated,
                }
            }
        }
    }
}

/// A command on one node, with more of its output: 24,000 characters of stdout and 8,000 of stderr.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvocationDetail {
    /// The node.
    pub instance_id: String,
    /// The coarse status.
    pub status: String,
    /// The fine status; may be empty.
    pub status_details: String,
    /// The exit code; `None` where the process has none (the service says -1).
    pub response_code: Option<i64>,
    /// When it began.
    pub started: Option<Timestamp>,
    /// When it ended.
    pub finished: Option<Timestamp>,
    /// Standard output; empty until it has ended.
    pub stdout: String,
    /// Standard error; empty until it has ended.
    pub stderr: String,
    /// Whether either was cut.
    pub truncated: bool,
}

impl InvocationDetail {
    /// What the verdict is judged by. `execution_timeout` is the document's, if it is known.
    #[must_use]
    pub fn facts(&self, execution_timeout: Option<std::time::Duration>) -> InvocationFacts<'_> {
        InvocationFacts {
            status: &self.status,
            status_details: &self.status_details,
            response_code: self.response_code,
            started: self.started,
            finished: self.finished,
            execution_timeout,
        }
    }
}

impl Ssm {
    /// One page of `ListCommandInvocations`: up to 50, the steps with their output included.
    ///
    /// # Errors
    /// The call failed.
    pub async fn list_invocations(
        &self,
        command_id: &str,
        token: Option<&str>,
    ) -> Result<Page<Invocation>, CallError> {
        let request = self
            .client
            .list_command_invocations()
            .command_id(command_id)
            .details(true)
            .set_next_token(token.map(str::to_owned))
            .max_results(PAGE);
        let call = Call::read("ssm", "ListCommandInvocations", format!("of {command_id}"));
        let answer = self.scope.call(call, || request.clone().send()).await?;
        let items = answer.command_invocations().iter().filter_map(invocation).collect();
        Ok(Page { items, next: next(answer.next_token()) })
    }

    /// `GetCommandInvocation`. `None` where the service doesn't know the invocation, as it doesn't for a moment after
    /// the command was sent.
    ///
    /// # Errors
    /// The call failed.
    pub async fn get_invocation(
        &self,
        command_id: &str,
        instance_id: &str,
    ) -> Result<Option<InvocationDetail>, CallError> {
        let request = self.client.get_command_invocation().command_id(command_id).instance_id(instance_id);
        let call = Call::read("ssm", "GetCommandInvocation", format!("of {command_id} on {instance_id}"));
        match self.scope.call(call, || request.clone().send()).await {
            Ok(answer) => Ok(Some(detail(instance_id, &answer))),
            Err(error) if error.code.as_deref() == Some("InvocationDoesNotExist") => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// The service says -1 where there is no code (yet).
fn code(code: i32) -> Option<i64> {
    (code != -1).then_some(i64::from(code))
}

fn invocation(i: &CommandInvocation) -> Option<Invocation> {
    Some(Invocation {
        instance_id: i.instance_id()?.to_owned(),
        status: i.status().map(|s| s.as_str().to_owned()).unwrap_or_default(),
        status_details: i.status_details().unwrap_or_default().to_owned(),
        requested_at: times::optional(i.requested_date_time()),
        plugins: i.command_plugins().iter().map(plugin).collect(),
    })
}

fn plugin(p: &CommandPlugin) -> Plugin {
    Plugin {
        name: p.name().unwrap_or_default().to_owned(),
        status: p.status().map(|s| s.as_str().to_owned()).unwrap_or_default(),
        response_code: code(p.response_code()),
        started: times::optional(p.response_start_date_time()),
        finished: times::optional(p.response_finish_date_time()),
        output: p.output().unwrap_or_default().to_owned(),
    }
}

fn detail(instance_id: &str, answer: &GetCommandInvocationOutput) -> InvocationDetail {
    let stdout = answer.standard_output_content().unwrap_or_default().to_owned();
    let stderr = answer.standard_error_content().unwrap_or_default().to_owned();
    InvocationDetail {
        instance_id: answer.instance_id().unwrap_or(instance_id).to_owned(),
        status: answer.status().map(|s| s.as_str().to_owned()).unwrap_or_default(),
        status_details: answer.status_details().unwrap_or_default().to_owned(),
        response_code: code(answer.response_code()),
        started: times::text(answer.execution_start_date_time()),
        finished: times::text(answer.execution_end_date_time()),
        truncated: super::was_cut(&stdout, 24_000) || super::was_cut(&stderr, 8_000),
        stdout,
        stderr,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(name: &str, status: &str, started: Option<&str>, output: &str) -> Plugin {
        let started = started.map(|t| t.parse().unwrap());
        Plugin {
            name: name.into(),
            status: status.into(),
            response_code: Some(i64::from(status == "Failed")),
            started,
            finished: started,
            output: output.into(),
        }
    }

    fn of(plugins: Vec<Plugin>) -> Invocation {
        Invocation {
            instance_id: "i-0123456789abcdef0".into(),
            status: "Failed".into(),
            status_details: "Failed".into(),
            requested_at: None,
            plugins,
        }
    }

    #[test]
    fn the_first_failed_step_decides_then_the_last_that_ran() {
        let at = Some("2026-11-21T09:30:00Z");
        let one = step("one", "Success", at, "1");
        let two = step("two", "Failed", at, "2");
        let three = step("three", "Success", None, "");
        assert_eq!(of(vec![one.clone(), two, three.clone()]).deciding().unwrap().name, "two");
        assert_eq!(of(vec![one, three]).deciding().unwrap().name, "one");
        assert_eq!(of(vec![]).deciding(), None);
    }

    #[test]
    fn the_output_of_several_steps_stays_merged() {
        let both =
            of(vec![step("one", "Success", None, "a\n"), step("two", "Success", None, "b\n")]).output();
        assert_eq!((both.stdout.as_str(), both.streams), ("a\nb\n", Streams::Merged));
        let one = of(vec![step("one", "Success", None, ""), step("two", "Success", None, "b\n")]).output();
        assert_eq!(one.stdout, "b\n");
        assert_eq!(of(vec![]).output(), SplitOutput::default());
    }

    #[test]
    fn answers_with_holes_are_taken() {
        let bare = CommandInvocation::builder().instance_id("i-0123456789abcdef0").build();
        let made = invocation(&bare).unwrap();
        assert_eq!((made.status.as_str(), made.plugins.len()), ("", 0));
        assert_eq!(invocation(&CommandInvocation::builder().build()), None);

        let answer = GetCommandInvocationOutput::builder()
            .response_code(-1)
            .execution_start_date_time("")
            .status("Rebooting".into())
            .build();
        let made = detail("i-0123456789abcdef0", &answer);
        assert_eq!((made.instance_id.as_str(), made.response_code), ("i-0123456789abcdef0", None));
        assert_eq!((made.started, made.status.as_str()), (None, "Rebooting"));
    }
}
