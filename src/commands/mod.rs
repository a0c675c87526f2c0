//! One file per command: arguments to options, one call into `ops`, and the answer to the renderer. Thin.

pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod doctor;
pub(crate) mod exec;
pub(crate) mod help;
pub(crate) mod man;
pub(crate) mod nodes;
pub(crate) mod runs;
pub(crate) mod session;
#[cfg(feature = "sim")]
pub(crate) mod sim;
pub(crate) mod whoami;

use std::io::Write as _;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use crate::ctx::Ctx;
use crate::exit::Exit;
use crate::failure::{Failure, Kind};
use crate::io::Io;
use crate::render::{Board, Column, Format, ListOptions, ListWriter, Tint};

/// How often progress is drawn anew.
const REDRAW: Duration = Duration::from_millis(200);

/// Does what only reads and writes here, beside what listens for interrupts: the first Ctrl-C ends it.
pub(crate) async fn interruptible(
    ctx: &Ctx,
    work: impl FnOnce() -> Result<Exit, Failure> + Send + 'static,
) -> Result<Exit, Failure> {
    let mut interrupts = ctx.interrupts.clone();
    tokio::select! {
        done = tokio::task::spawn_blocking(work) => done.map_err(|error| {
            Failure::new(Kind::Bug, "the command ended early").caused_by(&error)
        })?,
        Ok(()) = interrupts.changed() => Ok(Exit::Interrupted),
    }
}

/// Shows on a terminal how many nodes were found, once looking for them takes over a second. Rows that go to the same terminal
/// meanwhile are progress enough.
pub(crate) async fn while_looking<T>(
    ctx: &Ctx,
    io: &Io,
    looking: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let text = || {
        let found = ctx.found.load(Ordering::Relaxed).to_string();
        format!("looking for nodes… {} so far", thousands(&found))
    };
    while_drawn(io, text, looking).await
}

/// Shows a line on a terminal, drawn anew, once something takes over a second.
pub(crate) async fn while_drawn<T>(
    io: &Io,
    text: impl Fn() -> String,
    looking: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let board = Board::new(io);
    let mut looking = std::pin::pin!(looking);
    let mut redraw = tokio::time::interval_at(Instant::now() + Duration::from_secs(1), REDRAW);
    loop {
        tokio::select! {
            result = &mut looking => {
                board.clear();
                return result;
            }
            // A question at the terminal is not drawn over.
            _ = redraw.tick() => if !crate::io::is_asking() {
                board.draw(&[(text(), Tint::Plain)]);
            }
        }
    }
}

fn thousands(digits: &str) -> String {
    let mut text = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The last line under a list for people, where it comes from a simulator.
pub(crate) fn say_simulated(io: &Io, format: Format) {
    let is_for_people = format == Format::Table || (format == Format::Auto && io.stdout_style().is_tty);
    if is_for_people && io.is_simulated() {
        let _ = writeln!(io.stderr(), "(SIMULATED)");
    }
}

/// Writes a command's answer. A reader that has gone has read enough; any other error is one.
pub(crate) fn write_out(io: &Io, bytes: &[u8]) -> Result<Exit, Failure> {
    let mut stdout = io.stdout();
    written(stdout.write_all(bytes).and_then(|()| stdout.flush()))
}

/// Writes a list that is at hand.
pub(crate) fn write_list<T: Serialize>(
    io: &Io,
    columns: &[Column],
    options: &ListOptions,
    rows: &[T],
) -> Result<Exit, Failure> {
    let mut writer =
        ListWriter::new(io, columns, options).map_err(|error| Failure::usage(error.to_string()))?;
    let mut write = || -> std::io::Result<()> { rows.iter().try_for_each(|row| writer.push(row)) };
    let exit = written(write().and_then(|()| writer.finish()))?;
    say_simulated(io, options.format);
    Ok(exit)
}

/// How a list ends. A reader that has gone has read enough.
pub(crate) fn written(result: std::io::Result<()>) -> Result<Exit, Failure> {
    match result {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::new(Kind::Output, "could not write to standard output").caused_by(&error))
        }
        _ => Ok(Exit::Success),
    }
}
