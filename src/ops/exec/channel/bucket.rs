//! [`BucketOutputs`]: outputs from S3, byte for byte.
//!
//! A node uploads each stream that is not empty when it is done, below `PREFIX/COMMAND/NODE/`. One list of a command's objects
//! tells for all of its nodes which outputs the service's own text has whole, by their sizes; only the others are downloaded.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use herder_aws::s3::{Bucket, Object};
use herder_aws::{CallError, CallErrorKind};
use herder_core::body::BodyWriter;
use herder_core::event::{Body, Channel, Event, Streams};
use herder_core::fanout::{Finding, Outcome};
use tokio::time::Instant;

use super::place::S3Place;
use super::settle::{Sizes, Step, step};
use super::{Part, ReadError};
use crate::ops::run::ThrottleEvents;

/// An object that is not there yet is waited for so long, counted from the moment at which the service had the result.
const PATIENCE: Duration = Duration::from_secs(20);
/// Once outputs of so many nodes have not come at all, others are waited for as long as what did come took, and not longer.
const MISSES: u32 = 5;
/// And so long at the least.
const LEAST_PATIENCE: Duration = Duration::from_secs(2);
/// Between two looks at a command's objects.
const PAUSE: Duration = Duration::from_secs(1);
/// Downloads of a target that fail in a row before it is left at what the service kept.
const ATTEMPTS: u32 = 3;
/// Once S3 has failed for so many targets in a row, each of the next is tried once only.
const FAILING: u32 = 3;
/// And after so many, none is for a while: outputs must not hold up verdicts for ever.
const DOWN: u32 = 6;
const DOWN_FOR: Duration = Duration::from_secs(60);
/// A list that is to tell which results are complete may take so long; then they are read one by one, beside all else.
const LIST_PATIENCE: Duration = Duration::from_secs(5);
/// After so many warnings about single nodes one more is given for all others.
const WARNINGS: u32 = 3;

/// Outputs of a run in a bucket.
#[derive(Debug)]
pub(super) struct BucketOutputs {
    bucket: Bucket,
    place: S3Place,
    scratch: PathBuf,
    events: ThrottleEvents,
    commands: Mutex<HashMap<String, Arc<CommandOutputs>>>,
    lateness: Mutex<Lateness>,
    health: Mutex<Health>,
    warnings: Mutex<Warnings>,
}

/// The outputs of one command.
#[derive(Debug, Default)]
struct CommandOutputs {
    /// The latest list, or why there is none. Whoever makes one holds up the others, who then use it too.
    listed: tokio::sync::Mutex<Option<Listed>>,
    targets: Mutex<Targets>,
}

#[derive(Debug)]
struct Listed {
    /// When it was asked for.
    at: Instant,
    listing: Result<Arc<Listing>, CallError>,
}

#[derive(Debug, Default)]
struct Targets {
    /// Of whose outputs something is missing.
    open: HashMap<usize, Open>,
    done: HashSet<usize>,
}

/// A target whose output is not complete yet.
#[derive(Clone, Debug)]
struct Open {
    known: Outcome,
    since: Instant,
    failures: u32,
}

/// What lies in the bucket, by node.
type Listing = BTreeMap<String, NodeObjects>;

/// A node's objects, those of several steps in the order in which they were uploaded.
#[derive(Clone, Debug, Default)]
struct NodeObjects {
    stdout: Vec<Object>,
    stderr: Vec<Object>,
}

impl NodeObjects {
    fn sizes(&self) -> Sizes {
        let sum = |objects: &[Object]| {
            (!objects.is_empty()).then(|| objects.iter().map(|o| o.size).fold(0, u64::saturating_add))
        };
        Sizes { stdout: sum(&self.stdout), stderr: sum(&self.stderr) }
    }
}

/// How late objects come, as far as this run has seen.
#[derive(Debug, Default)]
struct Lateness {
    /// Of those that came late, the latest.
    latest: Duration,
    /// Nodes whose objects never came.
    misses: u32,
}

impl Lateness {
    fn patience(&self) -> Duration {
        if self.misses < MISSES { PATIENCE } else { (self.latest * 2).clamp(LEAST_PATIENCE, PATIENCE) }
    }
}

/// Whether S3 answers.
#[derive(Debug, Default)]
struct Health {
    /// Targets in a row whose outputs could not be read.
    failures: u32,
    down_until: Option<Instant>,
}

impl Health {
    fn is_down(&self, now: Instant) -> bool {
        self.down_until.is_some_and(|until| now < until)
    }

    fn attempts(&self) -> u32 {
        if self.failures < FAILING { ATTEMPTS } else { 1 }
    }

    fn note(&mut self, is_good: bool, now: Instant) {
        self.failures = if is_good { 0 } else { self.failures.saturating_add(1) };
        self.down_until = (self.failures >= DOWN).then(|| now + DOWN_FOR);
    }
}

/// What was warned of.
#[derive(Debug, Default)]
struct Warnings {
    missing: u32,
    unread: u32,
}

impl BucketOutputs {
    pub(super) fn new(
        bucket: Bucket,
        place: S3Place,
        scratch: &Path,
        events: ThrottleEvents,
    ) -> BucketOutputs {
        BucketOutputs {
            bucket,
            place,
            scratch: scratch.to_owned(),
            events,
            commands: Mutex::default(),
            lateness: Mutex::default(),
            health: Mutex::default(),
            warnings: Mutex::default(),
        }
    }

    pub(super) fn place(&self) -> &S3Place {
        &self.place
    }

    fn command(&self, command_id: &str) -> Arc<CommandOutputs> {
        Arc::clone(locked(&self.commands).entry(command_id.to_owned()).or_default())
    }

    /// See [`super::Channels::look_through`].
    pub(super) async fn look_through(&self, findings: &mut [(usize, Finding)], parts: &[Part<'_>]) {
        let Some(command_id) = parts.first().map(|part| part.command_id) else { return };
        let (command, now) = (self.command(command_id), Instant::now());
        let is_new = |target: usize, finding: &Finding| {
            let targets = locked(&command.targets);
            let may_have_output = match finding {
                Finding::Finished(outcome) => !outcome.stdout.is_empty() || !outcome.stderr.is_empty(),
                Finding::NeedsDetail(_) => true,
                Finding::Cancelling | Finding::Unlisted => false,
            };
            may_have_output && !targets.open.contains_key(&target) && !targets.done.contains(&target)
        };
        let is_any_new = findings.iter().any(|(target, finding)| is_new(*target, finding));
        if !is_any_new || locked(&self.health).is_down(now) {
            return;
        }
        // Without a list each is read by itself, and says then what is wrong.
        let listing = tokio::time::timeout(LIST_PATIENCE, self.listing(command_id, now)).await;
        let listing = listing.ok().and_then(Result::ok);
        for part in parts {
            let found = findings.iter_mut().find(|(t, f)| *t == part.target && is_new(*t, f));
            if let Some((target, finding)) = found {
                let objects = listing.as_ref().map(|l| l.get(&part.node.id).cloned().unwrap_or_default());
                let (next, is_done) = look(finding, objects.as_ref());
                if let Some(next) = next {
                    *finding = next;
                }
                let mut targets = locked(&command.targets);
                if let (false, Finding::NeedsDetail(known)) = (is_done, &*finding) {
                    let open = Open { known: (**known).clone(), since: now, failures: 0 };
                    targets.open.insert(*target, open);
                } else {
                    targets.done.insert(*target);
                }
            }
        }
    }

    /// See [`super::Channels::read`].
    pub(super) async fn read<F>(
        &self,
        part: Part<'_>,
        ask: impl Fn() -> F,
    ) -> Result<Option<Outcome>, ReadError>
    where
        F: Future<Output = Result<Option<Outcome>, CallError>>,
    {
        let command = self.command(part.command_id);
        let known = locked(&command.targets).open.get(&part.target).cloned();
        // A listing may leave outputs out; then the service is asked first.
        let is_told = |open: &Open| !open.known.stdout.is_empty() || !open.known.stderr.is_empty();
        let (mut open, was_asked) = match known {
            Some(open) if is_told(&open) => (open, false),
            earlier => {
                let Some(known) = ask().await? else { return Ok(None) };
                let (since, failures) =
                    earlier.map_or_else(|| (Instant::now(), 0), |open| (open.since, open.failures));
                (Open { known, since, failures }, true)
            }
        };
        let outcome = self.complete(part, &mut open, was_asked, ask).await;
        let mut targets = locked(&command.targets);
        match outcome {
            Ok(outcome) => {
                targets.open.remove(&part.target);
                targets.done.insert(part.target);
                if targets.open.is_empty()
                    && let Ok(mut listed) = command.listed.try_lock()
                {
                    // Nobody waits for it; the next result asks for a newer one.
                    *listed = None;
                }
                Ok(Some(outcome))
            }
            Err(error) => {
                open.failures += u32::from(!is_pause(&error));
                targets.open.insert(part.target, open);
                Err(error)
            }
        }
    }

    async fn complete<F>(
        &self,
        part: Part<'_>,
        open: &mut Open,
        mut was_asked: bool,
        ask: impl Fn() -> F,
    ) -> Result<Outcome, ReadError>
    where
        F: Future<Output = Result<Option<Outcome>, CallError>>,
    {
        // Those who try again after a failure try together.
        let mut not_before = if open.failures == 0 { open.since } else { Instant::now() - PAUSE };
        let mut has_waited = false;
        loop {
            if locked(&self.health).is_down(Instant::now()) {
                return kept(&open.known, was_asked, ask).await;
            }
            let listing = match self.listing(part.command_id, not_before).await {
                Ok(listing) => listing,
                Err(error) => {
                    self.give_up(part, open, error.into()).await?;
                    return kept(&open.known, was_asked, ask).await;
                }
            };
            let objects = listing.get(&part.node.id).cloned().unwrap_or_default();
            let next = step(&open.known, objects.sizes());
            if has_waited && next != Step::Wait {
                self.note_lateness(open);
            }
            match next {
                Step::Stands => return Ok(exact(open.known.clone())),
                Step::Ask if !was_asked => {
                    was_asked = true;
                    if let Some(known) = ask().await? {
                        open.known = known;
                    }
                }
                // What could not be told from more than that is told by the objects.
                Step::Fetch | Step::Ask => match self.fetch(part, &objects).await {
                    Ok((stdout, stderr)) => {
                        locked(&self.health).note(true, Instant::now());
                        return Ok(exact(Outcome { stdout, stderr, ..open.known.clone() }));
                    }
                    Err(error) => {
                        self.give_up(part, open, error).await?;
                        return kept(&open.known, was_asked, ask).await;
                    }
                },
                Step::Wait if open.since.elapsed() < self.patience() => {
                    has_waited = true;
                    tokio::time::sleep(PAUSE).await;
                    not_before = Instant::now() - PAUSE / 2;
                }
                Step::Wait => {
                    locked(&self.lateness).misses += 1;
                    self.warn_missing(part).await;
                    return kept(&open.known, was_asked, ask).await;
                }
            }
        }
    }

    fn patience(&self) -> Duration {
        locked(&self.lateness).patience()
    }

    fn note_lateness(&self, open: &Open) {
        let mut lateness = locked(&self.lateness);
        lateness.latest = lateness.latest.max(open.since.elapsed().min(PATIENCE));
    }

    /// The objects of a command, by a list that was made at this time or later.
    async fn listing(&self, command_id: &str, not_before: Instant) -> Result<Arc<Listing>, CallError> {
        let command = self.command(command_id);
        let mut listed = command.listed.lock().await;
        if let Some(listed) = &*listed
            && listed.at >= not_before
        {
            return listed.listing.clone();
        }
        let at = Instant::now();
        let listing = self.list(command_id).await.map(Arc::new);
        *listed = Some(Listed { at, listing: listing.clone() });
        listing
    }

    async fn list(&self, command_id: &str) -> Result<Listing, CallError> {
        let base = self.place.base(command_id);
        let mut objects = Listing::new();
        let mut token: Option<String> = None;
        // To the end: of a command that the service took to ten thousand nodes there are twenty thousand objects and more.
        loop {
            let page = self.bucket.list(&base, token.as_deref()).await?;
            for object in page.items {
                place_object(&mut objects, &base, object);
            }
            // A token that comes back would go on for ever.
            if page.next.is_none() || page.next == token {
                break;
            }
            token = page.next;
        }
        let in_order = |objects: &mut Vec<Object>| {
            objects.sort_by(|a, b| (a.modified, &a.key).cmp(&(b.modified, &b.key)));
        };
        for node in objects.values_mut() {
            in_order(&mut node.stdout);
            in_order(&mut node.stderr);
        }
        Ok(objects)
    }

    async fn fetch(&self, part: Part<'_>, objects: &NodeObjects) -> Result<(Body, Body), ReadError> {
        Ok((self.download(part, &objects.stdout).await?, self.download(part, &objects.stderr).await?))
    }

    async fn download(&self, part: Part<'_>, objects: &[Object]) -> Result<Body, ReadError> {
        let mut writer = BodyWriter::new(&self.scratch);
        for object in objects {
            let Some(mut download) = self.bucket.download(&object.key).await? else {
                let message = format!("{} was there and is gone", self.bucket.uri(&object.key));
                return Err(ReadError::Gone(format!("{message}; the output of {} is lost", part.node.id)));
            };
            while let Some(piece) = download.next().await? {
                writer.write(piece).await?;
            }
        }
        Ok(writer.finish().await?)
    }

    /// What can't be read is tried again a few times; then what the service kept has to do, and somebody is told.
    async fn give_up(&self, part: Part<'_>, open: &Open, error: ReadError) -> Result<(), ReadError> {
        let is_final = match &error {
            ReadError::Call(error) => matches!(error.kind, CallErrorKind::AccessDenied { .. }),
            ReadError::Gone(_) => true,
            ReadError::Disk(_) => false,
        };
        let attempts = locked(&self.health).attempts();
        if is_pause(&error) || (!is_final && open.failures + 1 < attempts) {
            return Err(error);
        }
        // A refusal is an answer.
        locked(&self.health).note(is_final, Instant::now());
        let count = {
            let mut warnings = locked(&self.warnings);
            warnings.unread += 1;
            warnings.unread
        };
        if count == WARNINGS + 1 {
            let message = "the outputs of further nodes can't be read either".to_owned();
            self.events.emit(Event::Warning { message, hints: Vec::new() }).await;
        }
        if count <= WARNINGS {
            let hints = match &error {
                ReadError::Call(error) => error.hints(),
                ReadError::Disk(_) | ReadError::Gone(_) => Vec::new(),
            };
            let message = format!(
                "the output of {} in {} can't be read, and what the service kept of it is shown: {error}",
                part.node.id,
                self.bucket.uri(&self.folder(part))
            );
            self.events.emit(Event::Warning { message, hints }).await;
        }
        Ok(())
    }

    fn folder(&self, part: Part<'_>) -> String {
        format!("{}{}/", self.place.base(part.command_id), part.node.id)
    }

    async fn warn_missing(&self, part: Part<'_>) {
        let count = {
            let mut warnings = locked(&self.warnings);
            warnings.missing += 1;
            warnings.missing
        };
        let node = &part.node.id;
        let message = match count {
            _ if count <= WARNINGS => format!(
                "the output of {node} did not come to {}; what the service kept of it is shown",
                self.bucket.uri(&self.folder(part))
            ),
            _ if count == WARNINGS + 1 => "the outputs of further nodes did not come either".to_owned(),
            _ => return,
        };
        let (bucket, prefix) = (&self.place.bucket, &self.place.prefix);
        let slash = if prefix.is_empty() { "" } else { "/" };
        let hints = vec![format!(
            "Allow `s3:PutObject` on `arn:aws:s3:::{bucket}/{prefix}{slash}*` in the role of the nodes' instance profile; the service does not say whether it is missing."
        )];
        let hints = if count == 1 { hints } else { Vec::new() };
        self.events.emit(Event::Warning { message, hints }).await;
    }
}

/// As much as the service kept: what is known, or what it says when it is asked.
async fn kept<F>(known: &Outcome, was_asked: bool, ask: impl Fn() -> F) -> Result<Outcome, ReadError>
where
    F: Future<Output = Result<Option<Outcome>, CallError>>,
{
    let more = if was_asked || !known.truncated { None } else { ask().await? };
    Ok(more.unwrap_or_else(|| known.clone()))
}

/// What a finding becomes by what lies in the bucket, and whether it is complete.
fn look(finding: &Finding, objects: Option<&NodeObjects>) -> (Option<Finding>, bool) {
    let (Finding::Finished(known) | Finding::NeedsDetail(known)) = finding else { return (None, false) };
    let stands = objects.is_some_and(|objects| {
        // What a listing may have left out is not shown to be complete by an empty folder.
        let is_told = !known.stdout.is_empty() || !known.stderr.is_empty();
        is_told && step(known, objects.sizes()) == Step::Stands
    });
    match stands {
        true => (Some(Finding::Finished(Box::new(exact((**known).clone())))), true),
        false => (Some(Finding::NeedsDetail(known.clone())), false),
    }
}

fn exact(outcome: Outcome) -> Outcome {
    Outcome { streams: Streams::Exact, truncated: false, channel: Channel::S3, ..outcome }
}

/// `BASE NODE/…/stdout`: where an object belongs.
fn place_object(objects: &mut Listing, base: &str, object: Object) {
    let Some((node, path)) = object.key.strip_prefix(base).and_then(|rest| rest.split_once('/')) else {
        return;
    };
    let stream = path.rsplit('/').next().unwrap_or_default();
    if !matches!(stream, "stdout" | "stderr") {
        return;
    }
    let is_stdout = stream == "stdout";
    let node = objects.entry(node.to_owned()).or_default();
    if is_stdout { node.stdout.push(object) } else { node.stderr.push(object) }
}

/// New credentials are waited for; that is no failure.
fn is_pause(error: &ReadError) -> bool {
    matches!(error, ReadError::Call(error) if error.kind.is_credentials())
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use herder_core::verdict::Verdict;

    use super::*;

    fn object(key: &str, size: u64, second: i64) -> Object {
        Object { key: key.into(), size, modified: jiff::Timestamp::from_second(second).ok() }
    }

    #[test]
    fn objects_are_told_by_their_keys() {
        let mut objects = Listing::new();
        for (key, size) in [
            ("p/c/i-1/awsrunShellScript/0.awsrunShellScript/stdout", 5),
            ("p/c/i-1/awsrunShellScript/0.awsrunShellScript/stderr", 7),
            ("p/c/i-2/first/0.first/stdout", 1),
            ("p/c/i-2/second/0.second/stdout", 2),
            ("p/c/i-2/notes", 99),
            ("p/c/stdout", 99),
            ("p/other/i-1/x/stdout", 99),
        ] {
            place_object(&mut objects, "p/c/", object(key, size, 0));
        }
        let sizes: Vec<(&str, Sizes)> = objects.iter().map(|(node, o)| (node.as_str(), o.sizes())).collect();
        let of = |stdout, stderr| Sizes { stdout, stderr };
        assert_eq!(sizes, [("i-1", of(Some(5), Some(7))), ("i-2", of(Some(3), None))]);
    }

    #[test]
    fn a_finding_is_complete_only_if_its_text_is() {
        let known =
            |text: &str| Box::new(Outcome { stdout: text.into(), ..Outcome::bare(Verdict::Ok, None) });
        let objects = NodeObjects { stdout: vec![object("k", 3, 0)], stderr: Vec::new() };
        let of = |finding: Finding, objects| look(&finding, objects);
        let (next, is_done) = of(Finding::NeedsDetail(known("up\n")), Some(&objects));
        let Some(Finding::Finished(outcome)) = next else { panic!("{next:?}") };
        assert_eq!((outcome.channel, outcome.streams, is_done), (Channel::S3, Streams::Exact, true));
        let nothing = NodeObjects::default();
        for (text, objects) in [("up", Some(&objects)), ("up\n", None), ("", Some(&nothing))] {
            let (next, is_done) = of(Finding::Finished(known(text)), objects);
            assert!(matches!(next, Some(Finding::NeedsDetail(_))) && !is_done, "{text:?}");
        }
        assert!(of(Finding::Cancelling, None).0.is_none());
    }

    #[test]
    fn what_does_not_answer_is_left_alone_for_a_while() {
        let (mut health, now) = (Health::default(), Instant::now());
        let seen: Vec<(u32, bool)> = (0..6)
            .map(|_| {
                health.note(false, now);
                (health.attempts(), health.is_down(now))
            })
            .collect();
        assert_eq!(seen, [(3, false), (3, false), (1, false), (1, false), (1, false), (1, true)]);
        let later = now + DOWN_FOR;
        assert!(!health.is_down(later));
        health.note(false, later);
        assert!(health.is_down(later), "one more failure is enough");
        health.note(true, later);
        assert_eq!((health.attempts(), health.is_down(later)), (ATTEMPTS, false));
    }

    #[test]
    fn what_never_comes_is_not_waited_for_again_and_again() {
        let late = |misses, latest| Lateness { misses, latest: Duration::from_secs(latest) }.patience();
        assert_eq!((late(4, 0), late(5, 0)), (PATIENCE, LEAST_PATIENCE));
        assert_eq!((late(5, 4), late(5, 60)), (Duration::from_secs(8), PATIENCE));
    }
}
