//! A process that is measured: what it says, and what the kernel says of it.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::Value;

use crate::Outcome;
use crate::process::isolate;

/// Ticks of `/proc/PID/stat` in a second, on every Linux that there is.
const TICKS: f64 = 100.0;

/// A process in one of the benchmark's roles; stopped when dropped.
pub(super) struct Side {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    said: Value,
}

/// Processor time so far, in seconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spent {
    /// In the program.
    pub(super) user: f64,
    /// In the kernel, for it.
    pub(super) system: f64,
}

impl Spent {
    /// What was spent since, in milliseconds for each of so many megabytes.
    pub(super) fn per_megabyte(self, before: Spent, megabytes: f64) -> Spent {
        let of = |now: f64, before: f64| (now - before) * 1e3 / megabytes;
        Spent { user: of(self.user, before.user), system: of(self.system, before.system) }
    }
}

impl Side {
    /// Starts it, and waits for its first line.
    pub(super) fn start(program: &Path, words: &[&str]) -> Outcome<Side> {
        let role = words.first().copied().unwrap_or_default();
        let mut command = Command::new(program);
        isolate(&mut command).args(words).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(|error| format!("{role} can't be started: {error}"))?;
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().ok_or("a process without output")?);
        let mut side = Side { child, input, output, said: Value::Null };
        side.said = side.line().map_err(|error| format!("{role} ended at once: {error}"))?;
        Ok(side)
    }

    /// What it said first.
    pub(super) fn said(&self) -> &Value {
        &self.said
    }

    /// Tells it a line and takes its answer.
    pub(super) fn ask(&mut self, line: &str) -> Outcome<Value> {
        let input = self.input.as_mut().ok_or("it takes no input")?;
        writeln!(input, "{line}").map_err(|error| error.to_string())?;
        self.line()
    }

    fn line(&mut self) -> Outcome<Value> {
        let mut line = String::new();
        self.output.read_line(&mut line).map_err(|error| error.to_string())?;
        serde_json::from_str(&line).map_err(|error| format!("{line:?} is no answer: {error}"))
    }

    fn proc(&self, name: &str) -> Outcome<String> {
        let path = format!("/proc/{}/{name}", self.child.id());
        fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))
    }

    /// Its processor time.
    pub(super) fn spent(&self) -> Outcome<Spent> {
        let stat = self.proc("stat")?;
        // The name before, in brackets, may have anything in it.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let seconds =
            |at: usize| fields.get(at).and_then(|ticks| ticks.parse::<f64>().ok()).map(|t| t / TICKS);
        match (seconds(11), seconds(12)) {
            (Some(user), Some(system)) => Ok(Spent { user, system }),
            _ => Err(format!("/proc/PID/stat is another: {stat}")),
        }
    }

    /// Processor time of its threads, exactly, in seconds.
    pub(super) fn spent_exactly(&self) -> Outcome<f64> {
        let path = format!("/proc/{}/task", self.child.id());
        let threads = fs::read_dir(&path).map_err(|error| format!("{path}: {error}"))?;
        let mut nanoseconds = 0.0;
        for thread in threads.flatten() {
            let text = fs::read_to_string(thread.path().join("schedstat")).unwrap_or_default();
            nanoseconds +=
                text.split_whitespace().next().and_then(|n| n.parse::<f64>().ok()).unwrap_or(f64::NAN);
        }
        Ok(nanoseconds / 1e9)
    }

    /// Its memory in MiB: `VmRSS` now, or `VmHWM`, the most since [`Side::forget_peak`].
    pub(super) fn memory(&self, name: &str) -> Outcome<f64> {
        let status = self.proc("status")?;
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
        kib.map(|kib| kib / 1024.0).ok_or_else(|| format!("no {name} in {status}"))
    }

    /// Begins to watch its peak memory anew.
    pub(super) fn forget_peak(&self) -> Outcome {
        let path = format!("/proc/{}/clear_refs", self.child.id());
        fs::write(&path, "5").map_err(|error| format!("{path}: {error}"))
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        // Both fail only if it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
