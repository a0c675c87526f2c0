//! [`Follower`]: outputs from CloudWatch Logs, while they are written and, where the service's own text is cut, at the end.
//!
//! An agent writes `COMMAND/NODE/PLUGIN/stdout` (and `stderr`), about once a second, many lines to an event. One call tells of all
//! nodes of a command. What is shown live is what was found in time, in order for each stream; the result is what counts.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use herder_aws::logs::{EventsQuery, LogEvent, Logs};
use herder_aws::{CallError, CallErrorKind};
use herder_core::body::BodyWriter;
use herder_core::event::{Body, Channel, Event, OutputPiece, Stream, Streams};
use herder_core::fanout::Outcome;
use herder_core::target::Target;
use jiff::Timestamp;
use tokio::time::Instant;

use super::{Part, ReadError};
use crate::ops::run::ThrottleEvents;

/// Between two looks at the commands: `FilterLogEvents` takes five calls a second in an account (facts §4.5), and this leaves
/// half of them to others.
const PAUSE: Duration = Duration::from_secs(1);
const PAUSE_PER_COMMAND: Duration = Duration::from_millis(400);
/// Events are looked for so far back before the newest that was seen: nodes' clocks differ, and some events come later.
const OVERLAP: Duration = Duration::from_secs(30);
/// And before the command, as the service's clock has it.
const MARGIN: Duration = Duration::from_secs(60);
/// Pages of one look.
const MAX_PAGES: usize = 20;
/// Of each stream so many bytes are shown live; the result has the rest.
const MAX_LIVE: u64 = 1 << 20;
/// What was read is complete when a look this much later finds nothing more.
const SETTLES: Duration = Duration::from_secs(2);
/// Events that don't come are waited for so long.
const PATIENCE: Duration = Duration::from_secs(20);

/// Bytes a second that an agent writes of a stream: four events of 200,000 (facts §4.3), less what events are not filled.
const AGENT_RATE: u64 = 700_000;
/// And how long it goes on after the program's end.
const AGENT_PATIENCE_SECONDS: u64 = 60;

/// Outputs of a run in a log group.
#[derive(Debug)]
pub(super) struct Follower {
    logs: Logs,
    group: String,
    scratch: PathBuf,
    events: ThrottleEvents,
    open: Mutex<HashMap<String, Followed>>,
}

/// A command that is followed.
#[derive(Debug)]
struct Followed {
    nodes: HashMap<String, Node>,
    since: Option<Timestamp>,
    seen: Seen,
}

#[derive(Debug)]
struct Node {
    target: Target,
    /// Bytes shown of each stream.
    shown: [u64; 2],
}

/// The events that were taken, as far as another look may find them again.
#[derive(Debug, Default)]
struct Seen {
    ids: HashMap<String, Timestamp>,
    newest: Option<Timestamp>,
}

impl Seen {
    fn has(&self, event: &LogEvent) -> bool {
        self.ids.contains_key(&event.id)
    }

    fn note(&mut self, event: &LogEvent) {
        self.ids.insert(event.id.clone(), event.at);
        self.newest = self.newest.max(Some(event.at));
    }

    /// Where the next look begins.
    fn since(&self) -> Option<Timestamp> {
        self.newest.and_then(|newest| newest.checked_sub(OVERLAP).ok())
    }

    fn forget_old(&mut self) {
        if let Some(since) = self.since() {
            self.ids.retain(|_, at| *at >= since);
        }
    }
}

impl Follower {
    pub(super) fn new(logs: Logs, group: String, scratch: &Path, events: ThrottleEvents) -> Follower {
        Follower { logs, group, scratch: scratch.to_owned(), events, open: Mutex::default() }
    }

    pub(super) fn group(&self) -> &str {
        &self.group
    }

    fn open(&self) -> MutexGuard<'_, HashMap<String, Followed>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Follows a command from now on. `now` is the service's clock.
    pub(super) fn begin(
        &self,
        command_id: &str,
        nodes: impl Iterator<Item = Target>,
        now: Option<Timestamp>,
    ) {
        let since = now.and_then(|now| now.checked_sub(MARGIN).ok());
        let node = |target: Target| (target.id.clone(), Node { target, shown: [0; 2] });
        self.open().entry(command_id.to_owned()).or_insert_with(|| Followed {
            nodes: nodes.map(node).collect(),
            since,
            seen: Seen::default(),
        });
    }

    /// A node has its result: nothing of it is shown live from here on. What is shown before this returns comes before the result.
    pub(super) fn end(&self, part: Part<'_>) {
        let mut open = self.open();
        if let Some(followed) = open.get_mut(part.command_id) {
            followed.nodes.remove(&part.node.id);
            // An empty one stays: the command is not begun again.
            if followed.nodes.is_empty() {
                followed.seen = Seen::default();
            }
        }
    }

    /// Shows what nodes write, for ever; returns when it may not read.
    pub(super) async fn run(&self) {
        loop {
            let commands: Vec<String> = {
                let open = self.open();
                open.iter().filter(|(_, f)| !f.nodes.is_empty()).map(|(id, _)| id.clone()).collect()
            };
            for command_id in &commands {
                match self.look(command_id).await {
                    Err(error) if matches!(error.kind, CallErrorKind::AccessDenied { .. }) => {
                        let message = format!("outputs are not shown live: {}", error.described());
                        self.events.emit(Event::Warning { message, hints: error.hints() }).await;
                        return;
                    }
                    // Anything else may be better at the next look.
                    _ => {}
                }
            }
            let count = u32::try_from(commands.len()).unwrap_or(u32::MAX);
            tokio::time::sleep(PAUSE.max(PAUSE_PER_COMMAND.saturating_mul(count))).await;
        }
    }

    async fn look(&self, command_id: &str) -> Result<(), CallError> {
        let since = {
            let open = self.open();
            let Some(followed) = open.get(command_id) else { return Ok(()) };
            followed.seen.since().or(followed.since)
        };
        let mut pages = self.pages(format!("{command_id}/"), since);
        for _ in 0..MAX_PAGES {
            let Some(events) = pages.next().await? else { break };
            self.show(command_id, &events);
        }
        if let Some(followed) = self.open().get_mut(command_id) {
            followed.seen.forget_old();
        }
        Ok(())
    }

    fn pages(&self, stream_prefix: String, since: Option<Timestamp>) -> Pages<'_> {
        let query = EventsQuery { group: self.group.clone(), stream_prefix, since, most: None };
        Pages { logs: &self.logs, query, token: None, is_over: false }
    }

    /// Shows what was not shown yet. Where there is no room for it the rest is left to the next look.
    fn show(&self, command_id: &str, events: &[LogEvent]) {
        let mut open = self.open();
        let Some(followed) = open.get_mut(command_id) else { return };
        for event in events {
            let Some((node, stream)) = place(command_id, &event.stream) else { continue };
            let Some(node) = followed.nodes.get_mut(node) else { continue };
            if followed.seen.has(event) {
                continue;
            }
            let shown = &mut node.shown[usize::from(stream == Stream::Stderr)];
            let text = whole_lines(&event.message);
            if *shown < MAX_LIVE {
                let length = text.len() as u64;
                let piece = OutputPiece { target: node.target.clone(), stream, text };
                if !self.events.try_emit(Event::Output(piece)) {
                    return;
                }
                *shown += length;
            }
            followed.seen.note(event);
        }
    }

    /// A result whose text the service cut, with what the streams have.
    pub(super) async fn read(&self, part: Part<'_>, known: Outcome) -> Result<Outcome, ReadError> {
        let begun = Instant::now();
        let mut gathered = Gathered::new(&self.scratch);
        loop {
            let before = gathered.count;
            let mut pages =
                self.pages(format!("{}/{}/", part.command_id, part.node.id), gathered.seen.since());
            while let Some(events) = pages.next().await? {
                gathered.add(part.command_id, &events).await?;
            }
            let is_short = gathered.stdout.len() < known.stdout.len().saturating_sub(SLACK)
                || gathered.stderr.len() < known.stderr.len().saturating_sub(SLACK);
            // Nothing at all is no answer either, however little was expected.
            if (is_short || gathered.count == 0) && begun.elapsed() >= PATIENCE {
                let message = format!(
                    "the output of {} did not come to the log group {}; what the service kept of it is shown",
                    part.node.id, self.group
                );
                let hint = "Allow `logs:CreateLogGroup`, `logs:CreateLogStream`, `logs:DescribeLogStreams` and `logs:PutLogEvents` in the role of the nodes' instance profile.";
                self.events.emit(Event::Warning { message, hints: vec![hint.to_owned()] }).await;
                return Ok(known);
            }
            if !is_short && before > 0 && before == gathered.count {
                break;
            }
            tokio::time::sleep(SETTLES).await;
        }
        let truncated = may_be_cut(&known, gathered.stdout.len().max(gathered.stderr.len()));
        let (stdout, stderr) = gathered.finish().await?;
        let (streams, channel) = (Streams::Exact, Channel::Logs);
        Ok(Outcome { stdout, stderr, streams, channel, truncated, ..known })
    }
}

/// Whether a stream is as long as an agent can carry in the time that it had, so that more may have been written.
fn may_be_cut(known: &Outcome, length: u64) -> bool {
    let ran = known.started.zip(known.finished).map_or(0, |(from, to)| to.duration_since(from).as_secs());
    let seconds = u64::try_from(ran).unwrap_or(0) + AGENT_PATIENCE_SECONDS;
    length >= AGENT_RATE.saturating_mul(seconds)
}

/// A listing of events that is read to its end. A token that comes back is the end too, whatever the service means by it.
struct Pages<'a> {
    logs: &'a Logs,
    query: EventsQuery,
    token: Option<String>,
    is_over: bool,
}

impl Pages<'_> {
    async fn next(&mut self) -> Result<Option<Vec<LogEvent>>, CallError> {
        if self.is_over {
            return Ok(None);
        }
        let Some(page) = self.logs.events(&self.query, self.token.as_deref()).await? else {
            self.is_over = true;
            return Ok(None);
        };
        self.is_over = page.next.is_none() || page.next == self.token;
        self.token = page.next;
        Ok(Some(page.items))
    }
}

/// The mark of a cut is not part of what was written.
const SLACK: u64 = 64;

/// What was read of a node's streams.
struct Gathered {
    stdout: BodyWriter,
    stderr: BodyWriter,
    seen: Seen,
    count: u64,
}

impl Gathered {
    fn new(scratch: &Path) -> Gathered {
        let writer = || BodyWriter::new(scratch);
        Gathered { stdout: writer(), stderr: writer(), seen: Seen::default(), count: 0 }
    }

    async fn add(&mut self, command_id: &str, events: &[LogEvent]) -> Result<(), ReadError> {
        for event in events {
            let Some((_, stream)) = place(command_id, &event.stream) else { continue };
            if self.seen.has(event) {
                continue;
            }
            let writer = if stream == Stream::Stdout { &mut self.stdout } else { &mut self.stderr };
            writer.write(whole_lines(&event.message).as_bytes()).await?;
            self.seen.note(event);
            self.count += 1;
        }
        self.seen.forget_old();
        Ok(())
    }

    async fn finish(self) -> Result<(Body, Body), ReadError> {
        Ok((self.stdout.finish().await?, self.stderr.finish().await?))
    }
}

/// `COMMAND/NODE/PLUGIN/stdout`: the node and the stream.
fn place<'a>(command_id: &str, stream: &'a str) -> Option<(&'a str, Stream)> {
    let rest = stream.strip_prefix(command_id)?.strip_prefix('/')?;
    let (node, path) = rest.split_once('/')?;
    match path.rsplit('/').next()? {
        "stdout" => Some((node, Stream::Stdout)),
        "stderr" => Some((node, Stream::Stderr)),
        _ => None,
    }
}

/// Agents leave the last line end of an event out.
fn whole_lines(message: &str) -> String {
    if message.ends_with('\n') { message.to_owned() } else { format!("{message}\n") }
}

#[cfg(test)]
mod tests {
    use herder_core::verdict::Verdict;

    use super::*;

    #[test]
    fn streams_are_told_by_their_names() {
        assert_eq!(place("c", "c/i-1/aws-runShellScript/stdout"), Some(("i-1", Stream::Stdout)));
        assert_eq!(place("c", "c/i-1/step/x/stderr"), Some(("i-1", Stream::Stderr)));
        for other in ["d/i-1/p/stdout", "c/i-1", "c/i-1/p/other", "cc/i-1/p/stdout"] {
            assert_eq!(place("c", other), None, "{other}");
        }
        assert_eq!((whole_lines("a\nb"), whole_lines("a\n")), ("a\nb\n".into(), "a\n".into()));
    }

    #[test]
    fn what_an_agent_could_not_have_carried_is_not_whole() {
        let at = |second: i64| Timestamp::from_second(second).ok();
        let ran =
            |seconds| Outcome { started: at(0), finished: at(seconds), ..Outcome::bare(Verdict::Ok, None) };
        assert!(!may_be_cut(&ran(0), 41_000_000) && may_be_cut(&ran(0), 42_000_000));
        assert!(!may_be_cut(&ran(600), 100_000_000));
        assert!(!may_be_cut(&Outcome::bare(Verdict::Ok, None), 1));
    }

    #[test]
    fn an_event_is_taken_once_however_often_it_is_found() {
        let event = |id: &str, second: i64| LogEvent {
            stream: "c/i/p/stdout".into(),
            id: id.into(),
            at: Timestamp::from_second(second).unwrap(),
            message: String::new(),
        };
        let mut seen = Seen::default();
        seen.note(&event("a", 100));
        seen.note(&event("b", 131));
        assert_eq!(seen.since(), Timestamp::from_second(101).ok());
        seen.forget_old();
        // What is too old to be found again needs no memory.
        assert!(!seen.has(&event("a", 100)) && seen.has(&event("b", 131)));
    }
}
