//! On a terminal, at the end: identical outputs once, with the nodes that gave them; bad ones last, nearest to the
//! prompt. With `--diff` what differs from the majority.

use std::collections::HashMap;
use std::io::{self, Write};

use herder_core::event::{Envelope, TargetFinished};
use herder_core::fold::{DiffLimits, Folder, Group, Marker, OutputKey, compact, diff, mask};
use herder_core::journal::{Bodies, StoredOutput};
use herder_core::verdict::Verdict;

use super::Renderer;
use super::paint::Paint;
use super::records::{Heads, Record, Records};
use super::text::{ascii, counted, lines, visible};
use crate::io::{Io, Out, Style, Width};

/// With more different outputs than this, those that are the same but for numbers are shown as one.
const MANY: usize = 10;
/// Outputs longer than this are not compared that way.
const MAX_MASKED: u64 = 16 * 1024;
/// Of each stream of a group so much is shown.
const MAX_BYTES: u64 = 256 * 1024;

/// Folded outputs.
pub(super) struct Grouped {
    out: Out,
    style: Style,
    width: Width,
    is_diff: bool,
    records: Records,
}

type OutputGroup = Group<OutputKey, usize>;

/// Groups that are shown as one.
struct Similar {
    /// The first of them, with everybody's members.
    group: OutputGroup,
    /// Different outputs among them.
    distinct: usize,
}

/// What other groups are compared with.
struct Majority {
    key: OutputKey,
    heads: Heads,
}

impl Grouped {
    pub(super) fn new(io: &Io, is_diff: bool) -> Grouped {
        Grouped {
            out: io.stdout(),
            style: io.stdout_style(),
            width: io.width(),
            is_diff,
            records: Records::default(),
        }
    }

    fn paint(&self) -> Paint {
        Paint { is_on: self.style.colour }
    }

    fn line(&self, line: &str) -> io::Result<()> {
        let mut out = self.out.clone();
        if self.style.unicode { writeln!(out, "{line}") } else { writeln!(out, "{}", ascii(line)) }
    }

    fn majority(
        &self,
        groups: &[OutputGroup],
        records: &[&Record],
        bodies: &Bodies,
    ) -> io::Result<Option<Majority>> {
        let most = groups.iter().find(|g| g.key.verdict == Verdict::Ok).or(groups.first());
        let record = most.and_then(|group| group.members.first().and_then(|m| records.get(*m)));
        let (Some(group), Some(record), true) = (most, record, self.is_diff) else { return Ok(None) };
        Ok(Some(Majority { key: group.key.clone(), heads: record.heads(bodies, MAX_BYTES)? }))
    }

    fn header(&self, key: &OutputKey, names: &[String]) -> String {
        let mark = match key.verdict {
            Verdict::Ok => "==",
            verdict if verdict.is_bad() => "!!",
            _ => "--",
        };
        let nodes = counted(names.len(), "node");
        let reason = key.reason.as_ref().map(|r| format!(" ({r})")).unwrap_or_default();
        let head = format!("{mark} {nodes} {}{reason}", key.verdict);
        let room = self.width.columns().saturating_sub(head.chars().count() + 3).max(30);
        let names = visible(&compact(names, room)).into_owned();
        format!("{}: {}", self.paint().verdict(key.verdict, &head), self.paint().bold(&names))
    }

    fn body(&self, record: &Record, majority: Option<&Majority>, bodies: &Bodies) -> io::Result<()> {
        let Heads { stdout, stderr, left_out } = record.heads(bodies, MAX_BYTES)?;
        match majority {
            Some(majority) => {
                self.differences("", &majority.heads.stdout, &stdout)?;
                self.differences("! ", &majority.heads.stderr, &stderr)?;
            }
            None => {
                self.lines("  ", &stdout)?;
                self.lines("! ", &stderr)?;
            }
        }
        if left_out > 0 {
            let run = self.records.run.as_ref().map_or("last", |run| run.as_str());
            let how = format!("herder runs show {run} --out-dir DIR");
            let note = format!("\\ {left_out} more bytes are not shown; `{how}` writes all of it to files");
            self.line(&self.paint().dim(&note))?;
        }
        if record.finished.truncated {
            self.line(&self.paint().dim("\\ the service cut this output"))?;
        }
        Ok(())
    }

    fn lines(&self, mark: &str, body: &[u8]) -> io::Result<()> {
        lines(body).try_for_each(|line| {
            let line = String::from_utf8_lossy(line);
            self.line(&format!("{mark}{}", visible(&line)))
        })
    }

    fn differences(&self, mark: &str, majority: &[u8], other: &[u8]) -> io::Result<()> {
        let text = String::from_utf8_lossy;
        let found = diff(&text(majority), &text(other), DiffLimits::default());
        found.iter().try_for_each(|line| {
            let text = line.to_string();
            let text = visible(&text);
            let text = match line.marker {
                Marker::Same => text.into_owned(),
                Marker::Removed => self.paint().red(&text),
                Marker::Added => self.paint().green(&text),
                Marker::Gap | Marker::Note => self.paint().dim(&text),
            };
            self.line(&format!("{mark}{text}"))
        })
    }

    /// Puts groups together that are the same but for numbers; where only few differ, each is shown as it is.
    fn similar(
        &self,
        groups: Vec<OutputGroup>,
        records: &[&Record],
        bodies: &Bodies,
    ) -> io::Result<Vec<Similar>> {
        let alone = |group| Similar { group, distinct: 1 };
        if self.is_diff || groups.len() <= MANY {
            return Ok(groups.into_iter().map(alone).collect());
        }
        let mut places: HashMap<(OutputKey, String), usize> = HashMap::new();
        let mut all: Vec<Similar> = Vec::new();
        for group in groups {
            let record = group.members.first().and_then(|m| records.get(*m));
            let output = group.key.output;
            let is_short = output.stdout.len + output.stderr.len <= MAX_MASKED;
            let Some(record) = record.filter(|_| is_short) else {
                all.push(alone(group));
                continue;
            };
            let heads = record.heads(bodies, MAX_MASKED)?;
            let masked = |bytes: &[u8]| mask(&String::from_utf8_lossy(bytes));
            let text = format!("{}\0{}", masked(&heads.stdout), masked(&heads.stderr));
            let key = OutputKey { output: StoredOutput::default(), ..group.key.clone() };
            let next = all.len();
            let place = *places.entry((key, text)).or_insert(next);
            match all.get_mut(place) {
                Some(similar) => {
                    similar.group.members.extend(group.members);
                    similar.distinct += 1;
                }
                None => all.push(alone(group)),
            }
        }
        all.sort_by_key(|s| (s.group.key.verdict.is_bad(), std::cmp::Reverse(s.group.members.len())));
        for similar in &mut all {
            similar.group.members.sort_unstable();
        }
        Ok(all)
    }

    fn group(&self, similar: &Similar, shown: &Shown<'_>) -> io::Result<()> {
        let group = &similar.group;
        let members = || group.members.iter().filter_map(|m| shown.records.get(*m));
        // Few bad nodes are named in full: someone is going to look at them.
        let is_long = group.key.verdict.is_bad() && group.members.len() <= 3;
        let name = |record: &&Record| match is_long {
            true => self.records.labels.long(&record.finished.target),
            false => shown.name(&record.finished),
        };
        let names: Vec<String> = members().map(name).collect();
        self.line(&self.header(&group.key, &names))?;
        let majority = shown.majority.filter(|m| m.key != group.key && group.key.exit_code.is_some());
        if let Some(record) = members().next() {
            self.body(record, majority, shown.bodies)?;
        }
        if similar.distinct > 1 {
            let note = format!(
                "\\ {} outputs that are the same but for numbers, of which this is one; --diff shows each",
                similar.distinct
            );
            self.line(&self.paint().dim(&note))?;
        }
        Ok(())
    }
}

/// What every group needs to be shown.
struct Shown<'a> {
    records: &'a [&'a Record],
    names: HashMap<&'a str, usize>,
    grouped: &'a Grouped,
    majority: Option<&'a Majority>,
    bodies: &'a Bodies,
}

impl Shown<'_> {
    /// The name where one node alone has it, else the id.
    fn name(&self, finished: &TargetFinished) -> String {
        let labels = self.grouped.records.labels;
        match &finished.target.name {
            Some(name) if !labels.has_scopes() && self.names.get(name.as_str()) == Some(&1) => name.clone(),
            _ => labels.id(&finished.target),
        }
    }
}

impl Renderer for Grouped {
    fn event(&mut self, envelope: &Envelope, stored: Option<&StoredOutput>) -> io::Result<()> {
        self.records.event(envelope, stored);
        Ok(())
    }

    fn finish(&mut self, bodies: &Bodies) -> io::Result<()> {
        let records = self.records.sorted();
        let mut folder = Folder::default();
        let mut names: HashMap<&str, usize> = HashMap::new();
        for (place, record) in records.iter().enumerate() {
            let finished = &record.finished;
            let key = OutputKey {
                verdict: finished.verdict,
                reason: finished.reason.clone(),
                exit_code: finished.exit_code,
                output: record.stored(place),
            };
            folder.push(key, place);
            *names.entry(finished.target.name.as_deref().unwrap_or_default()).or_default() += 1;
        }
        let mut groups = folder.into_groups();
        groups.sort_by_key(|group| group.key.verdict.is_bad());
        let majority = self.majority(&groups, &records, bodies)?;
        let majority = majority.as_ref();
        let shown = Shown { records: &records, names, grouped: self, majority, bodies };
        let similar = self.similar(groups, &records, bodies)?;
        similar.iter().try_for_each(|similar| self.group(similar, &shown))?;
        self.out.clone().flush()
    }
}
