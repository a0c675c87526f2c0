//! [`Interrupt`]: how urgently the person at the terminal wants it to stop.

/// Grows with each Ctrl-C; SIGTERM starts at [`Interrupt::Cancel`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Interrupt {
    /// Go on.
    #[default]
    None,
    /// Start nothing new; let what runs finish.
    Drain,
    /// Cancel remotely what runs, and wait up to 10 s.
    Cancel,
    /// Leave now.
    Leave,
}

impl Interrupt {
    /// The next step.
    #[must_use]
    pub fn next(self) -> Interrupt {
        match self {
            Interrupt::None => Interrupt::Drain,
            Interrupt::Drain => Interrupt::Cancel,
            Interrupt::Cancel | Interrupt::Leave => Interrupt::Leave,
        }
    }
}
