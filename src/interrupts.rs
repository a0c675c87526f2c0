//! Signals become [`Interrupt`]s: Ctrl-C once drains, twice cancels, three times leaves; SIGTERM cancels at once. A terminal that
//! goes away (SIGHUP) stops no change.

use std::convert::Infallible;
use std::io::Write as _;

use herder_core::fanout::Interrupt;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::io::Io;

/// Listens for as long as the process lives.
pub(crate) async fn forward(io: &Io, interrupts: watch::Sender<Interrupt>) -> Infallible {
    let (Ok(mut ctrl_c), Ok(mut terminate), Ok(mut hangup)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()), signal(SignalKind::hangup()))
    else {
        // Without handlers the kernel's defaults hold.
        return std::future::pending().await;
    };
    loop {
        let level = *interrupts.borrow();
        let next = tokio::select! {
            _ = ctrl_c.recv() => level.next(),
            _ = terminate.recv() => level.next().max(Interrupt::Cancel),
            _ = hangup.recv() => continue,
        };
        // Nothing listens yet that could stop in an orderly way, and nothing was sent.
        if interrupts.receiver_count() <= 1 && next == Interrupt::Leave {
            return std::future::pending().await;
        }
        let text = match next {
            Interrupt::None => continue,
            Interrupt::Drain => "interrupted: nothing new is sent, what runs may finish; again to cancel it",
            Interrupt::Cancel => "cancelling what runs, for up to 10 s; again to leave at once",
            Interrupt::Leave => "leaving",
        };
        let _ = writeln!(io.stderr(), "{text}");
        interrupts.send_replace(next);
    }
}
