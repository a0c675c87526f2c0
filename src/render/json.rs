//! `-o json`: one document at the end, its outputs streamed from disk.

use std::io::{self, Write};

use herder_core::event::{Body, Envelope, LeftOut, RunError, RunGuards, Stopped};
use herder_core::journal::{Bodies, StoredOutput};
use herder_core::verdict::Tally;
use herder_core::via::Via;
use jiff::Timestamp;
use serde::Serialize;

use super::Renderer;
use super::records::{self, Record, Records};
use super::text::{json, write_json};
use crate::io::Out;

/// `{"run":…, "targets":[…], "tally":…}`.
pub(super) struct Json {
    out: Out,
    records: Records,
}

/// The document's `run`: facts of the first and the last event. Null where the run has not got so far.
#[derive(Serialize)]
struct Run<'a> {
    id: Option<&'a str>,
    command: Option<&'a str>,
    title: Option<&'a str>,
    sim: Option<bool>,
    targets: Option<u64>,
    waves: Option<u32>,
    via: Option<Via>,
    accounts: &'a [String],
    regions: &'a [String],
    herder: Option<&'a str>,
    reason: Option<&'a str>,
    #[serde(flatten)]
    guards: Option<&'a RunGuards>,
    left_out: &'a [LeftOut],
    started: Option<Timestamp>,
    finished: Option<Timestamp>,
    exit: Option<i32>,
    calls: Option<u64>,
    throttles: Option<u64>,
    p50_ms: Option<u64>,
    p95_ms: Option<u64>,
    took_ms: Option<u64>,
    stopped: Option<&'a Stopped>,
    error: Option<&'a RunError>,
}

impl Json {
    pub(super) fn new(out: Out) -> Json {
        Json { out, records: Records::default() }
    }

    fn run(&self) -> Run<'_> {
        let started = self.records.started.as_ref().map(|(_, started)| started);
        let finished = self.records.finished.as_ref().map(|(_, finished)| finished);
        Run {
            id: self.records.run.as_ref().map(|run| run.as_str()),
            command: started.map(|s| s.command.as_str()),
            title: started.map(|s| s.title.as_str()),
            sim: started.map(|s| s.sim),
            targets: started.map(|s| s.targets),
            waves: started.map(|s| s.waves),
            via: started.map(|s| s.via),
            accounts: started.map_or(&[], |s| &s.accounts),
            regions: started.map_or(&[], |s| &s.regions),
            herder: started.map(|s| s.herder.as_str()),
            reason: started.and_then(|s| s.reason.as_deref()),
            guards: started.map(|s| &s.guards),
            left_out: started.map_or(&[], |s| &s.left_out),
            started: self.records.started.as_ref().map(|(at, _)| *at),
            finished: self.records.finished.as_ref().map(|(at, _)| *at),
            exit: finished.map(|f| f.exit),
            calls: finished.map(|f| f.calls),
            throttles: finished.map(|f| f.throttles),
            p50_ms: finished.and_then(|f| f.p50_ms),
            p95_ms: finished.and_then(|f| f.p95_ms),
            took_ms: finished.map(|f| f.took_ms),
            stopped: finished.and_then(|f| f.stopped.as_ref()),
            error: finished.and_then(|f| f.error.as_deref()),
        }
    }

    fn tally(&self) -> Tally {
        match &self.records.finished {
            Some((_, finished)) => finished.tally.clone(),
            None => {
                let mut tally = Tally::default();
                self.records.iter().for_each(|record| tally.add(record.finished.verdict));
                tally
            }
        }
    }
}

impl Renderer for Json {
    fn event(&mut self, envelope: &Envelope, stored: Option<&StoredOutput>) -> io::Result<()> {
        self.records.event(envelope, stored);
        Ok(())
    }

    fn finish(&mut self, bodies: &Bodies) -> io::Result<()> {
        let mut out = self.out.clone();
        out.write_all(b"{\"run\":")?;
        out.write_all(&json(&self.run())?)?;
        out.write_all(b",\"targets\":[")?;
        let mut unread = None;
        for (i, record) in self.records.sorted().into_iter().enumerate() {
            out.write_all(if i == 0 { b"\n" } else { b",\n" })?;
            unread = write_target(&mut out, record, bodies)?.or(unread);
        }
        out.write_all(b"\n],\"tally\":")?;
        out.write_all(&json(&self.tally())?)?;
        out.write_all(b"}\n")?;
        out.flush()?;
        unread.map_or(Ok(()), Err)
    }
}

/// Gives back why the bodies could not be read; the document is whole all the same.
fn write_target(out: &mut Out, record: &Record, bodies: &Bodies) -> io::Result<Option<io::Error>> {
    let mut target = record.finished.clone();
    let (read, unread) = match record.bodies(bodies) {
        Ok(both) => (both, None),
        Err(error) => ((Body::default(), Body::default()), Some(error)),
    };
    (target.stdout, target.stderr) = read;
    write_json(out, &target)?;
    Ok(unread.or(records::unread(&target)))
}
