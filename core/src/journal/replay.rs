//! [`Replay`]: the state of a run, folded from its journal.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::lines::for_each_line;
use super::{JournalError, Record, RunDirectory};
use crate::event::{Event, TargetFinished};
use crate::verdict::Verdict;

/// What is known of one send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SendState {
    /// Intended, and no answer on record: it may have taken effect.
    InDoubt,
    /// The service took it.
    Sent {
        /// AWS's command id.
        command_id: String,
    },
    /// Nothing was changed.
    NotSent,
    /// Its fate could not be found out.
    Lost,
}

/// One send on record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchState {
    /// Targets by line number.
    pub targets: Vec<u32>,
    /// The job's lane.
    pub lane: u32,
    /// Counts from 1.
    pub attempt: u32,
    /// AWS's clock at the intent.
    pub server_at: Option<Timestamp>,
    /// What became of it.
    pub state: SendState,
}

/// The state of a run.
#[derive(Clone, Debug, Default)]
pub struct Replay {
    /// Sends by their intent.
    pub sends: BTreeMap<u64, BatchState>,
    /// The last verdict of each target, by line number; `None` has none yet.
    pub verdicts: Vec<Option<Verdict>>,
    /// The number of the next intent.
    pub next_intent: u64,
    /// The sequence number of the next event.
    pub next_seq: u64,
    /// Whether `run_finished` is on record after the last start or resume.
    pub is_finished: bool,
}

impl Replay {
    /// Reads a run's journal and events.
    ///
    /// # Errors
    /// A file is damaged or can't be read.
    pub fn read(directory: &RunDirectory) -> Result<Replay, JournalError> {
        let targets = directory.targets()?;
        let mut replay = Replay { next_intent: 1, verdicts: vec![None; targets.len()], ..Replay::default() };
        let index: BTreeMap<(String, String, String), usize> =
            targets.into_iter().enumerate().map(|(n, t)| ((t.account, t.region, t.id), n)).collect();
        for_each_line(&directory.journal(), |record| replay.fold(record))?;
        directory.for_each_event(|stored| {
            replay.next_seq = replay.next_seq.max(stored.envelope.seq + 1);
            match stored.envelope.event {
                Event::TargetFinished(finished) => {
                    let TargetFinished { target, verdict, .. } = *finished;
                    let at = index.get(&(target.account, target.region, target.id));
                    if let Some(slot) = at.and_then(|at| replay.verdicts.get_mut(*at)) {
                        *slot = Some(verdict);
                    }
                }
                Event::RunFinished(_) => replay.is_finished = true,
                Event::RunStarted(_) | Event::RunResumed { .. } => replay.is_finished = false,
                _ => {}
            }
        })?;
        Ok(replay)
    }

    fn fold(&mut self, record: Record) {
        let known = self.verdicts.len();
        let is_known = |line: &u32| usize::try_from(*line).is_ok_and(|line| line < known);
        let mut settle = |intent: u64, state: SendState| {
            if let Some(send) = self.sends.get_mut(&intent) {
                send.state = state;
            }
        };
        match record {
            Record::Send { intent, mut targets, lane, attempt, server_at } => {
                // Of a node whose adoption could not be written nothing is known: it is found again.
                targets.retain(is_known);
                self.next_intent = self.next_intent.max(intent + 1);
                let state = SendState::InDoubt;
                self.sends.insert(intent, BatchState { targets, lane, attempt, server_at, state });
            }
            Record::Adopted { intent, line, .. } => {
                if let Some(send) = self.sends.get_mut(&intent).filter(|_| is_known(&line)) {
                    send.targets.push(line);
                }
            }
            Record::Sent { intent, command_id } => settle(intent, SendState::Sent { command_id }),
            Record::NotSent { intent, .. } => settle(intent, SendState::NotSent),
            Record::Lost { intent } => settle(intent, SendState::Lost),
            Record::Cancel { intent, .. } => self.next_intent = self.next_intent.max(intent + 1),
            Record::Unknown => {}
        }
    }

    /// Targets that a resume still has something to find out or to do about: without a verdict, never run, or unknown.
    pub fn open(&self) -> impl Iterator<Item = usize> + '_ {
        self.verdicts.iter().enumerate().filter_map(|(n, verdict)| match verdict {
            None | Some(Verdict::NotRun | Verdict::Unknown) => Some(n),
            Some(_) => None,
        })
    }
}
