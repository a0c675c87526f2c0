//! Signals become [`Interrupt`]s: Ctrl-C once drains, twice cancels, three times leaves; SIGTERM cancels at once. What is said
//! about it are the run's own events.
//! A terminal that goes away (SIGHUP) stops no change.

use std::convert::Infallible;

use herder_core::fanout::Interrupt;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// File size limit exceeded; 25 on Linux (but MIPS) and macOS.
const SIGXFSZ: i32 = 25;

/// Listens for as long as the process lives.
pub(crate) async fn forward(interrupts: watch::Sender<Interrupt>) -> Infallible {
    let (Ok(mut ctrl_c), Ok(mut terminate), Ok(mut hangup)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()), signal(SignalKind::hangup()))
    else {
        // Without handlers the kernel's defaults hold.
        return std::future::pending().await;
    };
    // A file that may not grow (`ulimit -f`) is a full disk, an error to be told, not a reason to die: with a handler the write
    // fails instead.
    let _full = signal(SignalKind::from_raw(SIGXFSZ));
    loop {
        let level = *interrupts.borrow();
        let next = tokio::select! {
            _ = ctrl_c.recv() => level.next(),
            _ = terminate.recv() => level.next().max(Interrupt::Cancel),
            _ = hangup.recv() => continue,
        };
        interrupts.send_replace(next);
    }
}
