//! Log streams of commands, and the events in them.

use crate::clock::At;
use crate::content::Content;
use crate::draw::Draw;
use crate::service::Here;
use crate::service::s3::upload;
use crate::service::ssm::command::Command;
use crate::service::ssm::engine::Invocation;
use serde_json::Value;

/// Most bytes of an event that an agent writes.
const EVENT: usize = 200_000;

/// What a node's agent wrote of one of its streams.
pub(super) struct Stream<'a> {
    pub(super) group: String,
    pub(super) name: String,
    /// When it was written.
    pub(super) at: At,
    command: &'a Command,
    invocation: &'a Invocation,
    is_error: bool,
}

/// An event.
pub(super) struct Event {
    pub(super) at_ms: i64,
    pub(super) message: String,
    pub(super) id: String,
}

/// The log group of a command's output, if it goes to one.
fn group(command: &Command) -> Option<String> {
    let config = command.echoed.get("CloudWatchOutputConfig")?;
    let is_on = config.get("CloudWatchOutputEnabled").and_then(Value::as_bool).unwrap_or(false);
    let name = config.get("CloudWatchLogGroupName").and_then(Value::as_str).unwrap_or_default();
    let name = if name.is_empty() { format!("/aws/ssm/{}", command.document) } else { name.to_owned() };
    is_on.then_some(name)
}

/// True where an agent wrote, or would have written, to a group by now.
pub(super) fn is_group(here: &Here<'_>, name: &str) -> bool {
    here.region.commands_until(here.now).any(|command| {
        group(command).is_some_and(|group| group == name)
            && command.invocations.iter().any(|one| one.has_result(here.now))
    })
}

/// Every stream that was written by now and is not empty, of those whose group and name are wanted.
pub(super) fn all<'a>(here: &'a Here<'_>, wanted: impl Fn(&str, &str) -> bool) -> Vec<Stream<'a>> {
    let mut streams = Vec::new();
    for command in here.region.commands_until(here.now) {
        let Some(group) = group(command) else { continue };
        let plugin = command.plugin.replace([':', '*'], "-");
        for invocation in command.invocations.iter().filter(|one| one.has_result(here.now)) {
            let Some(node) = here.region.fleet.at(invocation.draft.node) else { continue };
            for (name, is_error) in [("stderr", true), ("stdout", false)] {
                let stream = Stream {
                    group: group.clone(),
                    name: format!("{}/{}/{plugin}/{name}", command.id, node.id),
                    at: invocation.finished_at,
                    command,
                    invocation,
                    is_error,
                };
                // What is not wanted need not be made.
                if wanted(&stream.group, &stream.name)
                    && stream.content(here).is_some_and(|content| content.length() > 0)
                {
                    streams.push(stream);
                }
            }
        }
    }
    streams
}

impl Stream<'_> {
    pub(super) fn content(&self, here: &Here<'_>) -> Option<Content> {
        upload::stream((here.spec, here.region), self.command, self.invocation, self.is_error)
    }

    /// The event that begins at a byte, and where the next one does.
    ///
    /// An event ends behind a line where it can; the line's end is not part of its message.
    pub(super) fn event(&self, here: &Here<'_>, content: &Content, from: u64) -> Option<(Event, u64)> {
        let mut bytes = content.part(from, EVENT);
        if bytes.is_empty() {
            return None;
        }
        if from + (bytes.len() as u64) < content.length()
            && let Some(end) = bytes.iter().rposition(|byte| *byte == b'\n')
        {
            bytes.truncate(end + 1);
        }
        let next = from + bytes.len() as u64;
        let text = String::from_utf8_lossy(&bytes);
        let event = Event {
            at_ms: here.shown(self.at).0 / 1000,
            message: text.strip_suffix('\n').unwrap_or(&text).to_owned(),
            id: format!("3{}", Draw::new(16).text(&self.name).with(from).bits()),
        };
        Some((event, next))
    }
}

/// True where a message fits a pattern of terms: all of them, `-` without, `?` any of those; quotes keep a phrase together.
pub(super) fn matches(pattern: &str, message: &str) -> bool {
    let mut terms: Vec<String> = Vec::new();
    let (mut term, mut quoted) = (String::new(), false);
    for letter in pattern.chars() {
        match letter {
            '"' => quoted = !quoted,
            letter if letter.is_whitespace() && !quoted => terms.push(std::mem::take(&mut term)),
            letter => term.push(letter),
        }
    }
    terms.push(term);
    terms.retain(|term| !term.is_empty());
    let (any, all): (Vec<&String>, Vec<&String>) = terms.iter().partition(|term| term.starts_with('?'));
    let all_fit = all.iter().all(|term| match term.strip_prefix('-') {
        Some(term) => !message.contains(term),
        None => message.contains(term.as_str()),
    });
    all_fit && (any.is_empty() || any.iter().any(|term| message.contains(&term[1..])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_terms() {
        for (pattern, fits) in [
            ("", true),
            ("disk full", true),
            ("\"disk is\"", true),
            ("\"disk full\"", false),
            ("disk -full", false),
            ("?nothing ?full", true),
            ("?nothing", false),
        ] {
            assert_eq!(matches(pattern, "the disk is full"), fits, "{pattern}");
        }
    }
}
