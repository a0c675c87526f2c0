//! [`Permit`]: proof that an intent is on disk.

/// Proof that the intent of one mutating call is on disk (fdatasync). Only the journal makes one, and every
/// mutating function of `aws/` takes one by value, so that a change without a record does not compile.
#[derive(Debug)]
#[must_use = "a permit is made for one mutating call"]
pub struct Permit {
    intent: u64,
}

impl Permit {
    pub(crate) fn new(intent: u64) -> Permit {
        Permit { intent }
    }

    /// The number of the intent within its run.
    #[must_use]
    pub fn intent(&self) -> u64 {
        self.intent
    }
}
