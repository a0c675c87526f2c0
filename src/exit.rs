//! [`Exit`]: herder's exit codes, chosen here and nowhere else.

use herder_core::fanout::{Interrupt, StopReason};
use herder_core::verdict::{Tally, Verdict};

/// What the caller's shell sees. The meanings are a contract (`herder help exit-codes`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Everything asked for happened.
    Success,
    /// It ran, and something failed.
    Failed,
    /// Usage or configuration; nothing was attempted.
    Usage,
    /// Nothing matched, or the named thing does not exist.
    NoMatch,
    /// Credentials or permission, and nothing was done.
    Denied,
    /// Outcome unknown, or gave up waiting.
    Unknown,
    /// Stopped early; left as it is, needs a person.
    Stopped,
    /// Failed, and rolled back cleanly.
    RolledBack,
    /// Refused before changing anything.
    Refused,
    /// A bug in herder.
    Bug,
    /// Interrupted.
    Interrupted,
    /// The remote command's own code, where that was asked for.
    Remote(u8),
}

impl Exit {
    /// The number.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Exit::Success => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::NoMatch => 3,
            Exit::Denied => 4,
            Exit::Unknown => 5,
            Exit::Stopped => 6,
            Exit::RolledBack => 7,
            Exit::Refused => 8,
            Exit::Bug => 70,
            Exit::Interrupted => 130,
            Exit::Remote(code) => code,
        }
    }

    /// The exit of a run over targets: the first that applies of interrupted, stopped early, unknown, failed, success.
    #[must_use]
    pub fn of_run(end: &RunEnd<'_>) -> Exit {
        let not_run = end.tally.count(Verdict::NotRun);
        // A budget that ran out when nothing was left to hold back stopped nothing.
        let is_stopped = match end.stopped {
            None | Some(StopReason::Interrupted) => false,
            Some(StopReason::Budget | StopReason::Gate) => not_run > 0,
            // An alarm needs a person, whether or not anything was left to hold back.
            Some(StopReason::Alarm | StopReason::Journal | StopReason::Fatal) => true,
        };
        if end.interrupt > Interrupt::None {
            Exit::Interrupted
        } else if is_stopped {
            Exit::Stopped
        } else if end.tally.count(Verdict::Unknown) > 0 {
            Exit::Unknown
        } else if end.tally.total() > end.tally.count(Verdict::Ok) {
            Exit::Failed
        } else {
            Exit::Success
        }
    }
}

/// What decides the exit of a run.
#[derive(Clone, Copy, Debug)]
pub struct RunEnd<'a> {
    /// Verdict → count.
    pub tally: &'a Tally,
    /// Why it stopped early, if it did.
    pub stopped: Option<StopReason>,
    /// How far it was interrupted.
    pub interrupt: Interrupt,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(verdicts: &[Verdict]) -> Tally {
        let mut tally = Tally::default();
        verdicts.iter().for_each(|v| tally.add(*v));
        tally
    }

    /// One table over every set of verdicts, every stop and every interrupt: the order of CLI.md, written down a second time.
    #[test]
    fn precedence_over_all_sets_of_verdicts() {
        let stops = [
            None,
            Some(StopReason::Budget),
            Some(StopReason::Gate),
            Some(StopReason::Alarm),
            Some(StopReason::Interrupted),
            Some(StopReason::Journal),
            Some(StopReason::Fatal),
        ];
        let interrupts = [Interrupt::None, Interrupt::Drain, Interrupt::Cancel, Interrupt::Leave];
        let mut rows = 0;
        for set in 1..1_u32 << Verdict::ALL.len() {
            let verdicts: Vec<Verdict> = Verdict::ALL
                .into_iter()
                .enumerate()
                .filter(|(n, _)| set >> n & 1 == 1)
                .map(|(_, v)| v)
                .collect();
            let has = |v| verdicts.contains(&v);
            for stopped in stops {
                for interrupt in interrupts {
                    let tally = tally(&verdicts);
                    let code = Exit::of_run(&RunEnd { tally: &tally, stopped, interrupt }).code();
                    let expected = [
                        (interrupt != Interrupt::None, 130),
                        (
                            matches!(
                                stopped,
                                Some(StopReason::Alarm | StopReason::Journal | StopReason::Fatal)
                            ),
                            6,
                        ),
                        (
                            matches!(stopped, Some(StopReason::Budget | StopReason::Gate))
                                && has(Verdict::NotRun),
                            6,
                        ),
                        (has(Verdict::Unknown), 5),
                        (verdicts != [Verdict::Ok], 1),
                        (true, 0),
                    ];
                    let expected = expected.into_iter().find(|(applies, _)| *applies).unwrap().1;
                    assert_eq!(code, expected, "{verdicts:?} {stopped:?} {interrupt:?}");
                    rows += 1;
                }
            }
        }
        assert_eq!(rows, 255 * 7 * 4);
    }
}
