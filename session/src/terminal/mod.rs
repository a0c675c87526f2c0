//! The local terminal of an interactive session.
//!
//! [`RawMode`] hands every key to the remote side, Ctrl-C, Ctrl-Z and Ctrl-\ included, and gives the terminal back on
//! every way out: when it is dropped, when something panics, when a signal ends the process. [`Signals`] tells of those
//! signals and of new sizes. [`Input`] reads without a thread that could outlive the session, [`Output`] writes without one that
//! could be held up. [`Escapes`] finds what is
//! meant for herder in what is typed (`~.`).
//!
//! ```no_run
//! # use herder_session::terminal::{EscapePiece, Escapes, Input, RawMode, Signals, TerminalSignal};
//! # async fn example(stdin: std::os::fd::OwnedFd) -> Result<(), Box<dyn std::error::Error>> {
//! let (mut signals, mut input) = (Signals::listen(Some(&stdin))?, Input::new(&stdin)?);
//! let mut escapes = Escapes::new(Some(b'~'));
//! let raw = RawMode::enter(&stdin)?;
//! loop {
//!     tokio::select! {
//!         signal = signals.next() => match signal {
//!             TerminalSignal::Resized(size) => { /* tell the agent */ }
//!             TerminalSignal::Stop(_) => break,
//!         },
//!         typed = input.read() => match typed? {
//!             Some(bytes) => for piece in escapes.feed(&bytes) { /* send it, or act */ },
//!             None => break,
//!         },
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Which file is the terminal comes in from outside; nothing is printed here.

mod escapes;
mod input;
mod output;
mod raw;
mod signals;
mod size;
#[cfg(test)]
mod tests;

pub use escapes::{ESCAPE_HELP, EscapePiece, Escapes, NOT_SUSPENDED};
pub use input::Input;
pub use output::Output;
pub use raw::{NotATerminal, RawMode, restore, suspend};
pub use signals::{Signals, StopSignal, TerminalSignal};
pub use size::{SIZE_OF_NO_TERMINAL, SIZE_OF_SILENT_TERMINAL, size};
