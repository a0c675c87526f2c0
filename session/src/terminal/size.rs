//! How large a terminal is.

use std::os::fd::AsFd;

use rustix::termios::tcgetwinsize;

use crate::payload::TerminalSize;

/// What the remote side is told where there is no terminal: so large that nothing is wrapped. The official plugin says
/// the same.
pub const SIZE_OF_NO_TERMINAL: TerminalSize = TerminalSize { cols: 300, rows: 100 };

/// What the remote side is told where the terminal doesn't know its size: that of the terminals that never did.
pub const SIZE_OF_SILENT_TERMINAL: TerminalSize = TerminalSize { cols: 80, rows: 24 };

/// The size of a terminal; none if it is no terminal, or doesn't know: serial lines and some containers say 0×0.
pub fn size(terminal: impl AsFd) -> Option<TerminalSize> {
    let size = tcgetwinsize(terminal).ok()?;
    let is_known = size.ws_col > 0 && size.ws_row > 0;
    is_known.then(|| TerminalSize { cols: size.ws_col.into(), rows: size.ws_row.into() })
}
