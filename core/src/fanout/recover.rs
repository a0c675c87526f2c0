//! Going on with a run that was killed: what its journal says, as the executor wants it.

use std::time::Duration;

use super::executor::Recovered;
use super::job::{Accepted, Batch};
use crate::journal::{BatchState, Replay, SendState};

impl Recovered {
    /// What is known of a run, from its journal.
    ///
    /// Verdicts stand, except `not_run` and `unknown`: those targets are open again. Sends whose targets are open are read
    /// again (`sent`) or looked for (`in_doubt`, those given up as lost included: a second look is cheap). A target that was
    /// sent to more than once belongs to its latest send. `expires_in` is how long the commands on record may still run.
    #[must_use]
    pub fn from_replay(replay: &Replay, expires_in: Duration) -> Recovered {
        let verdicts = replay.verdicts.iter().enumerate();
        let verdicts = verdicts.filter_map(|(n, v)| v.filter(|v| v.is_final()).map(|v| (n, v))).collect();
        let mut recovered = Recovered { verdicts, ..Recovered::default() };
        let mut owned = vec![false; replay.verdicts.len()];
        for (intent, send) in replay.sends.iter().rev() {
            if send.state == SendState::NotSent {
                continue;
            }
            recovered.handed.insert(send.lane);
            let batch = batch(*intent, send);
            let mut is_open = false;
            for target in &batch.targets {
                let Some(owned) = owned.get_mut(*target) else { continue };
                is_open |= !std::mem::replace(owned, true) && !recovered.verdicts.contains_key(target);
            }
            match &send.state {
                _ if !is_open => {}
                SendState::Sent { command_id } => {
                    let accepted = Accepted { command_id: command_id.clone(), expires_in };
                    recovered.sent.push((batch, accepted));
                }
                SendState::InDoubt | SendState::Lost => recovered.in_doubt.push(batch),
                SendState::NotSent => {}
            }
        }
        recovered.sent.reverse();
        recovered.in_doubt.reverse();
        recovered
    }
}

fn batch(intent: u64, send: &BatchState) -> Batch {
    Batch {
        intent,
        lane: send.lane,
        attempt: send.attempt,
        targets: send.targets.iter().filter_map(|t| usize::try_from(*t).ok()).collect(),
        server_at: send.server_at,
    }
}
