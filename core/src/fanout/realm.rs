//! [`Realm`]: one account and region of a run, with listings, quotas and troubles of its own. One that fails costs its
//! own targets and nobody else's.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use super::batch::OpenBatch;
use super::executor::Executor;
use super::job::{Job, Outcome};
use super::judge::Sending;
use super::policy::Eagerness;
use super::schedule::{Schedule, Situation};
use crate::event::Event;
use crate::time::for_people;
use crate::verdict::{Reason, Verdict};

/// What was sent to a realm that has not answered for so long is not waited for, if there are others: the service goes on, and a
/// resume looks again.
const SIGHT_PATIENCE: Duration = Duration::from_secs(300);

/// Nothing new is sent to a realm that has not answered for so long, if there are others.
const BLIND_PATIENCE: Duration = Duration::from_secs(20);

/// A detail read that waits.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) realm: u32,
    pub(super) intent: u64,
    pub(super) target: usize,
    /// What the listing said, if it did.
    pub(super) known: Option<Box<Outcome>>,
    pub(super) failures: u32,
}

/// A pause for credentials.
#[derive(Debug)]
pub(super) struct Pause {
    pub(super) until: Instant,
    pub(super) length: Duration,
}

/// Sends did not leave: none is tried before `until`.
#[derive(Debug)]
pub(super) struct Hold {
    pub(super) until: Instant,
    /// In a row; those that fail together count once.
    pub(super) failures: u32,
}

/// What the executor knows of one account and region.
#[derive(Debug)]
pub(super) struct Realm {
    pub(super) schedule: Schedule,
    pub(super) details: VecDeque<Wanted>,
    pub(super) details_held_until: Option<Instant>,
    /// Detail reads under way.
    pub(super) detailing: usize,
    /// Looks at batches under way.
    pub(super) looking: usize,
    pub(super) pause: Option<Pause>,
    pub(super) hold: Option<Hold>,
    /// Whether it took a send, or may have.
    pub(super) has_sent: bool,
    /// Why nothing more is sent there.
    pub(super) given_up: Option<Reason>,
    /// Since when looks have failed, with no answer in between.
    dark_since: Option<Instant>,
    /// Whether it was said that it is waited for.
    is_said_blind: bool,
}

impl Realm {
    pub(super) fn new(eagerness: Eagerness, now: Instant) -> Realm {
        Realm {
            schedule: Schedule::new(eagerness, now),
            details: VecDeque::new(),
            details_held_until: None,
            detailing: 0,
            looking: 0,
            pause: None,
            hold: None,
            has_sent: false,
            given_up: None,
            dark_since: None,
            is_said_blind: false,
        }
    }

    /// Whether nothing is asked of it now, for want of credentials.
    pub(super) fn is_paused(&self, now: Instant) -> bool {
        self.pause.as_ref().is_some_and(|p| p.until > now)
    }

    /// Whether it has not answered for so long that others must not wait for it.
    pub(super) fn is_blind(&self, now: Instant) -> bool {
        self.pause.is_none() && self.dark_since.is_some_and(|at| now >= at + BLIND_PATIENCE)
    }

    /// Whether nothing is sent to it now.
    pub(super) fn is_held(&self, now: Instant) -> bool {
        self.given_up.is_some() || self.is_paused(now) || self.hold.as_ref().is_some_and(|h| h.until > now)
    }

    /// When something that waits in it may go on; what is past is not told.
    pub(super) fn next_wake(&self, situation: Situation) -> Option<Instant> {
        let now = situation.now;
        if let Some(pause) = self.pause.as_ref().filter(|p| p.until > now) {
            return Some(pause.until);
        }
        let details = self.details_held_until.filter(|_| !self.details.is_empty());
        let hold = self.hold.as_ref().map(|h| h.until).filter(|at| *at > now);
        let after = |patience| self.dark_since.map(|at| at + patience).filter(|at| *at > now);
        let (blind, dark) = (after(BLIND_PATIENCE), after(SIGHT_PATIENCE));
        [self.schedule.sweep_at(situation), details, hold, blind, dark].into_iter().flatten().min()
    }
}

impl<J: Job> Executor<J> {
    pub(super) fn realm_of(&self, lane: u32) -> u32 {
        self.job.realm(lane)
    }

    /// Whether nothing is sent to a realm until it answers: there are others, and something of it is open, so that it is asked.
    /// Without that nobody would ever hear of it again, and a send is the best question there is.
    pub(super) fn waits_for_sight(&self, realm: u32, now: Instant) -> bool {
        let is_there = |lane: u32| self.realm_of(lane) == realm;
        self.realms.get(&realm).is_some_and(|realm| realm.is_blind(now))
            && self.has_others(realm)
            && (self.open.values().any(|open| is_there(open.batch.lane))
                || self.doubts.values().any(|doubt| is_there(doubt.batch.lane)))
    }

    /// The realm of that number. Those of all targets are there from the start.
    pub(super) fn realm(&mut self, realm: u32) -> &mut Realm {
        let eagerness = self.policy.eagerness;
        self.realms.entry(realm).or_insert_with(|| Realm::new(eagerness, Instant::now()))
    }

    /// What each realm's schedule needs to know.
    pub(super) fn situations(&self) -> BTreeMap<u32, Situation> {
        let now = Instant::now();
        let is_starved = self.queue.len() > 0 && self.free() < self.floor();
        let mut situations: BTreeMap<u32, Situation> = self
            .realms
            .keys()
            .map(|realm| (*realm, Situation { is_starved, ..Situation::at(now) }))
            .collect();
        for batch in self.open.values() {
            if let Some(situation) = situations.get_mut(&self.realm_of(batch.batch.lane)) {
                situation.open += 1;
                situation.has_handed |= batch.handed.is_some();
            }
        }
        situations
    }

    pub(super) fn situation(&self, realm: u32) -> Situation {
        let blank = Situation::at(Instant::now());
        self.situations().remove(&realm).unwrap_or(blank)
    }

    /// A realm answered a look or a send.
    pub(super) async fn note_answer(&mut self, realm: u32) {
        self.realm(realm).dark_since = None;
        self.realm(realm).is_said_blind = false;
        self.continue_if_paused(realm).await;
    }

    /// A look failed in a way that may pass.
    pub(super) fn note_darkness(&mut self, realm: u32) {
        self.realm(realm).dark_since.get_or_insert_with(Instant::now);
    }

    /// Whether the run can come to anything without this realm.
    pub(super) fn has_others(&self, realm: u32) -> bool {
        self.realms.iter().any(|(other, state)| *other != realm && state.given_up.is_none())
    }

    /// A message about a realm; where there is only one, nobody needs its name.
    pub(super) fn said_of(&self, realm: u32, message: String) -> String {
        if self.realms.len() < 2 { message } else { format!("{}: {message}", self.job.realm_name(realm)) }
    }

    /// Nothing more is sent to a realm: those of its targets that nothing was sent to end as `not_run`. If it was the last, the
    /// run stops with the error.
    pub(super) async fn give_up_realm(&mut self, realm: u32, reason: Reason, error: J::Error) {
        if !self.has_others(realm) {
            return self.stop_fatally(error).await;
        }
        if self.realm(realm).given_up.is_some() {
            return;
        }
        self.realm(realm).given_up = Some(reason);
        let message = self.said_of(realm, format!("nothing more is sent there: {error}"));
        let hints = vec!["The other accounts and regions go on. Send to these again with `herder runs retry` once it works.".to_owned()];
        self.emit(Event::Warning { message, hints }).await;
        self.judge_given_up().await;
    }

    /// Targets that wait for a realm that is given up.
    pub(super) async fn judge_given_up(&mut self) {
        let given_up: BTreeMap<u32, Reason> =
            self.realms.iter().filter_map(|(n, realm)| Some((*n, realm.given_up.clone()?))).collect();
        if given_up.is_empty() {
            return;
        }
        let job = std::sync::Arc::clone(&self.job);
        for target in self.queue.take_lanes(|lane| given_up.contains_key(&job.realm(lane))) {
            if let Some(reason) = given_up.get(&job.realm(job.lane(target))) {
                self.judge(target, Outcome::bare(Verdict::NotRun, Some(reason.clone())), Sending::default())
                    .await;
            }
        }
    }

    /// Places in the window that are given to others: those of nodes in realms that have not answered for a while, as long as the run
    /// would go on if all of these turned out bad. Where it would not, their fate is waited for.
    pub(super) fn released(&self) -> usize {
        if self.realms.len() < 2 {
            return 0;
        }
        let now = Instant::now();
        if !self.realms.values().any(|realm| realm.is_blind(now)) {
            return 0;
        }
        let is_blind =
            |lane: u32| self.realms.get(&self.realm_of(lane)).is_some_and(|realm| realm.is_blind(now));
        let open = self.open.values().filter(|b| is_blind(b.batch.lane)).map(OpenBatch::in_flight);
        let open: usize = open.sum();
        let doubts = self.doubts.values().map(|d| &d.batch).filter(|batch| is_blind(batch.lane));
        let doubtful: usize = doubts.clone().map(|batch| batch.targets.len()).sum();
        let places = doubts.map(|batch| self.places_of(batch.lane, batch.attempt, &batch.targets));
        // What may be bad elsewhere and is not read yet comes on top.
        let bad = self.known_bad() + self.suspects() + (open + doubtful) as u64;
        if self.budget.is_exceeded_by(bad) { 0 } else { open + places.sum::<usize>() }
    }

    /// Says once of a realm that has not answered for a while what is waited for, and how long.
    pub(super) async fn tell_of_blind(&mut self, now: Instant) {
        if self.realms.len() < 2 {
            return;
        }
        let is_news = |realm: &Realm| realm.is_blind(now) && !realm.is_said_blind && realm.given_up.is_none();
        let blind: Vec<u32> = self.realms.iter().filter(|(_, r)| is_news(r)).map(|(n, _)| *n).collect();
        for realm in blind {
            self.realm(realm).is_said_blind = true;
            let of_it = |lane: u32| self.realm_of(lane) == realm;
            let open = self.open.values().filter(|open| of_it(open.batch.lane)).map(|open| open.open.len());
            let doubts = self.doubts.values().filter(|doubt| of_it(doubt.batch.lane));
            let waiting: usize = open.chain(doubts.map(|doubt| doubt.batch.targets.len())).sum();
            if waiting == 0 {
                continue;
            }
            let nodes =
                if waiting == 1 { "1 target is".to_owned() } else { format!("{waiting} targets are") };
            let left = for_people(SIGHT_PATIENCE - BLIND_PATIENCE);
            let others = if self.queue.len() > 0 && self.released() == 0 {
                "; --max-errors can't bear it if they are bad, so that the others may have to wait for them"
            } else {
                ""
            };
            let message = format!(
                "no answer for {} s: {nodes} waited for, for {left} more, and nothing is sent there until it answers{others}",
                BLIND_PATIENCE.as_secs()
            );
            let message = self.said_of(realm, message);
            self.emit(Event::Warning { message, hints: Vec::new() }).await;
        }
    }

    /// What was sent to realms that have been dark for too long is given up, as long as there are others.
    pub(super) async fn expire_sight(&mut self, now: Instant) {
        if self.realms.len() < 2 {
            return;
        }
        let is_dark = |realm: &Realm| {
            realm.pause.is_none() && realm.dark_since.is_some_and(|at| now >= at + SIGHT_PATIENCE)
        };
        let dark: Vec<u32> = self.realms.iter().filter(|(_, r)| is_dark(r)).map(|(n, _)| *n).collect();
        for realm in dark {
            self.realm(realm).dark_since = Some(now);
            let is_lost = |lane: u32| self.job.realm(lane) == realm;
            let open: Vec<u64> = self.open.values().filter(|b| is_lost(b.batch.lane)).map(intent).collect();
            let doubts = self.doubts.values().filter(|d| is_lost(d.batch.lane) && !d.is_busy);
            let doubts: Vec<u64> = doubts.map(|d| d.batch.intent).collect();
            if open.is_empty() && doubts.is_empty() {
                // Nothing is looked for there, so that nothing would ever be heard: what waits for it may try.
                self.realm(realm).dark_since = None;
                continue;
            }
            let message =
                "no answer for five minutes; what runs there is unknown, and nothing more is sent there";
            let message = self.said_of(realm, message.to_owned());
            let hints = vec!["`herder runs resume` looks again once it works.".to_owned()];
            self.emit(Event::Warning { message, hints }).await;
            if self.has_others(realm) {
                self.realm(realm).given_up.get_or_insert(Reason::UNREACHABLE);
            }
            for intent in open {
                if let Some(mut open) = self.open.remove(&intent) {
                    self.abandon(&mut open, &Reason::UNREACHABLE).await;
                }
            }
            for intent in doubts {
                if let Some(doubt) = self.doubts.remove(&intent) {
                    self.give_up_on(doubt.batch, false).await;
                }
            }
        }
    }
}

fn intent(open: &OpenBatch) -> u64 {
    open.batch.intent
}
