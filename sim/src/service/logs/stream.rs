//! Log streams of commands, and the events in them.
//!
//! A program writes evenly from its start to its end. The agent looks once a second, writes whole lines, and waits until the
//! rest is written before it says that the program has ended. Nothing is kept: events are worked out when somebody reads them.

use crate::clock::At;
use crate::content::Content;
use crate::draw::Draw;
use crate::service::Here;
use crate::service::s3::upload;
use crate::service::ssm::command::Command;
use crate::service::ssm::engine::Invocation;
use serde_json::Value;

/// Most bytes of an event that an agent writes.
const EVENT: u64 = 200_000;
/// Seconds between two looks of an agent.
const TICK: f64 = 1.0;
/// A look that would have more steps than this to it has fewer, longer ones.
const MOST_TICKS: u64 = 10_000;

/// What a node's agent writes of one of its streams.
pub(super) struct Stream {
    pub(super) group: String,
    pub(super) name: String,
    pub(super) content: Content,
    from: At,
    until: At,
    ticks: u64,
}

/// An event.
pub(super) struct Event {
    /// When the agent wrote it.
    pub(super) at: At,
    /// Where it begins in the stream.
    pub(super) byte: u64,
    /// Where the next one does.
    pub(super) next: u64,
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

/// True where an agent has begun to write, or would have, to a group by now.
pub(super) fn is_group(here: &Here<'_>, name: &str) -> bool {
    here.region.commands_until(here.now).any(|command| {
        group(command).is_some_and(|group| group == name)
            && command.invocations.iter().any(|one| writes(here, one))
    })
}

/// Whether a node has begun, will have a result, and may write.
fn writes(here: &Here<'_>, invocation: &Invocation) -> bool {
    let may = here.region.fleet.at(invocation.draft.node).is_some_and(|node| !node.health.no_uploads);
    may && invocation.started_at <= here.now && invocation.code.is_some()
}

/// Every stream that was begun by now and is not empty, of those whose group and name are wanted; by name.
pub(super) fn all(here: &Here<'_>, wanted: impl Fn(&str, &str) -> bool) -> Vec<Stream> {
    let mut streams = Vec::new();
    for command in here.region.commands_until(here.now) {
        let Some(group) = group(command) else { continue };
        let plugin = command.plugin.replace([':', '*'], "-");
        for invocation in command.invocations.iter().filter(|one| writes(here, one)) {
            let Some(node) = here.region.fleet.at(invocation.draft.node) else { continue };
            for (name, is_error) in [("stderr", true), ("stdout", false)] {
                let name = format!("{}/{}/{plugin}/{name}", command.id, node.id);
                // What is not wanted need not be made.
                if !wanted(&group, &name) {
                    continue;
                }
                let content = upload::stream((here.spec, here.region), command, invocation, is_error);
                let Some(content) = content.filter(|content| content.length() > 0) else { continue };
                let stream = Stream::new((group.clone(), name), content, invocation, here.spec.speed);
                // A stream is made with its first event.
                if stream.events(0).next().is_some_and(|event| event.at <= here.seen_until()) {
                    streams.push(stream);
                }
            }
        }
    }
    streams.sort_by(|one, other| one.name.cmp(&other.name));
    streams
}

impl Here<'_> {
    /// What was written by then can be read.
    pub(super) fn seen_until(&self) -> At {
        self.now.plus_seconds(-self.spec.switches.late_events / self.spec.speed)
    }
}

impl Stream {
    fn new((group, name): (String, String), content: Content, invocation: &Invocation, speed: f64) -> Stream {
        let (from, until) = (invocation.started_at, invocation.finished_at);
        let ticks = (until.seconds_since(from) * speed / TICK).ceil().max(1.0) as u64;
        Stream { group, name, content, from, until, ticks: ticks.min(MOST_TICKS) }
    }

    /// When the first event was written.
    pub(super) fn begun(&self) -> At {
        self.events(0).next().map_or(self.until, |event| event.at)
    }

    /// The moment of a look, from 1 on; the last is before the node says that it is done.
    fn time(&self, tick: u64) -> At {
        let share = tick as f64 / (self.ticks + 1) as f64;
        self.from.plus_seconds(self.until.seconds_since(self.from) * share)
    }

    /// Bytes that are written at a look.
    fn written(&self, tick: u64) -> u64 {
        let length = self.content.length();
        if tick >= self.ticks {
            return length;
        }
        let there = (u128::from(length) * u128::from(tick) / u128::from(self.ticks)) as u64;
        // Whole lines only, unless a line is longer than an event.
        let from = there.saturating_sub(EVENT);
        let window = self.content.part(from, (there - from) as usize);
        window.iter().rposition(|byte| *byte == b'\n').map_or(from, |end| from + end as u64 + 1)
    }

    /// The events from one that begins at this byte on.
    pub(super) fn events(&self, byte: u64) -> impl Iterator<Item = Event> {
        let length = self.content.length();
        // The look before the one that saw it, or an earlier one.
        let seen = (u128::from(byte) * u128::from(self.ticks) / u128::from(length.max(1))) as u64;
        let (mut byte, mut tick) = (byte, seen.max(1));
        std::iter::from_fn(move || {
            while byte < length && self.written(tick) <= byte {
                tick += 1;
            }
            if byte >= length {
                return None;
            }
            let event = self.event(byte, self.written(tick), self.time(tick));
            byte = event.next;
            Some(event)
        })
    }

    /// An event ends behind a line where it can; the line's end is not part of its message.
    fn event(&self, byte: u64, end: u64, at: At) -> Event {
        let mut bytes = self.content.part(byte, (end - byte).min(EVENT) as usize);
        if byte + (bytes.len() as u64) < end
            && let Some(end) = bytes.iter().rposition(|byte| *byte == b'\n')
        {
            bytes.truncate(end + 1);
        }
        let next = byte + bytes.len() as u64;
        let text = String::from_utf8_lossy(&bytes);
        let message = text.strip_suffix('\n').unwrap_or(&text).to_owned();
        let id = format!("3{}", Draw::new(16).text(&self.name).with(byte).bits());
        Event { at, byte, next, message, id }
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

    fn stream(text: &[u8], seconds: f64) -> Stream {
        let ticks = seconds.ceil().max(1.0) as u64;
        Stream {
            group: "ops".into(),
            name: "c/i/p/stdout".into(),
            content: Content::Bytes(text.to_vec()),
            from: At(0),
            until: At(0).plus_seconds(seconds),
            ticks,
        }
    }

    #[test]
    fn events_are_whole_lines_over_time_and_nothing_is_lost() {
        let text: String = (0..1000).map(|n| format!("line {n}\n")).collect();
        for (text, seconds) in
            [(text.as_bytes(), 10.0), (b"no end", 3.0), (b"\n\n", 0.1), (text.as_bytes(), 0.0)]
        {
            let stream = stream(text, seconds);
            let events: Vec<Event> = stream.events(0).collect();
            let mut whole: Vec<u8> =
                events.iter().flat_map(|e| [e.message.as_bytes(), b"\n"].concat()).collect();
            whole.truncate(text.len());
            assert_eq!(whole, text);
            assert!(events.is_sorted_by_key(|event| event.at) && events.last().unwrap().at <= stream.until);
            // From any event on it is the same.
            for event in &events {
                let rest: Vec<u64> = stream.events(event.byte).map(|e| e.byte).collect();
                let expected: Vec<u64> = events.iter().map(|e| e.byte).filter(|b| *b >= event.byte).collect();
                assert_eq!(rest, expected);
            }
        }
        let lines = stream("a\n".repeat(100).as_bytes(), 10.0);
        assert_eq!(lines.events(0).count(), 10);
    }

    #[test]
    fn long_lines_are_cut_into_events() {
        let stream = stream(&vec![b'x'; 450_000], 1.0);
        let sizes: Vec<usize> = stream.events(0).map(|event| event.message.len()).collect();
        assert_eq!(sizes, [200_000, 200_000, 50_000]);
    }

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
