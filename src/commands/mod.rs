//! One file per command: arguments to options, one call into `ops`, and the answer to the renderer. Thin.

pub(crate) mod completions;
pub(crate) mod exec;
pub(crate) mod help;
pub(crate) mod man;
pub(crate) mod nodes;
pub(crate) mod runs;
#[cfg(feature = "sim")]
pub(crate) mod sim;

use std::io::Write as _;

use serde::Serialize;

use crate::ctx::Ctx;
use crate::exit::Exit;
use crate::failure::{Failure, Kind};
use crate::io::Io;
use crate::render::{Column, Format, ListOptions, ListWriter};

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
            Err(Failure::new(Kind::Local, "could not write to standard output").caused_by(&error))
        }
        _ => Ok(Exit::Success),
    }
}
