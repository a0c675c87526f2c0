//! The watch: alarms that stop a run at any time, in the middle of a wave as well.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use herder_aws::cloudwatch::{Alarm, AlarmState};
use herder_core::fanout::News;
use jiff::Timestamp;
use tokio::time::Instant;

use super::alarms::{Alarms, described, look};
use crate::ops::place::{Place, in_each};

/// A round of looks begins so often. An alarm that fires right after its look is told of by the end of the next round, another place
/// that does not answer included: within EVERY + LOOK_PATIENCE, well below the ten seconds within which nothing new is sent.
const EVERY: Duration = Duration::from_secs(4);
/// A look that has no answer by then has none.
const LOOK_PATIENCE: Duration = Duration::from_secs(3);
/// So long nobody may know how an alarm is: a run that goes on blind is not watched.
const BLIND_PATIENCE: Duration = Duration::from_secs(60);

/// Alarms that are watched, in every place where they are.
#[derive(Debug, Default)]
pub(super) struct Watch {
    posts: Vec<Post>,
    next_round: Option<Instant>,
    /// What was heard and not told yet.
    news: VecDeque<News>,
}

/// The watched alarms of one place.
#[derive(Debug)]
pub(super) struct Post {
    place: Place,
    sight: Sight,
}

/// What is known of the alarms of one place.
#[derive(Debug)]
struct Sight {
    /// Where it is, where that has to be told: ` in 111122223333/eu-west-1`.
    at: String,
    /// Name to what was given for it.
    names: BTreeMap<String, String>,
    seen: BTreeMap<String, Seen>,
    /// When the last answer came.
    answered_at: Instant,
    /// Whether it was told that none comes.
    is_blind: bool,
    /// Whether the run goes on elsewhere while credentials are missing here.
    has_others: bool,
}

/// What was last seen of an alarm.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    state: AlarmState,
    transitioned: Option<Timestamp>,
}

impl From<&Alarm> for Seen {
    fn from(alarm: &Alarm) -> Seen {
        Seen { state: alarm.state.clone(), transitioned: alarm.transitioned }
    }
}

/// Why a look had no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Silence {
    reason: String,
    /// Credentials are gone: the run pauses there until there are new ones.
    is_pause: bool,
}

impl Post {
    /// Watches these alarms (name to what was given for it) of a place, in the states in which they were found just now. `at` is how
    /// the place is told; empty where there is only one.
    pub(super) fn new(place: &Place, at: String, names: BTreeMap<String, String>, found: &Alarms) -> Post {
        let seen = found.iter().map(|(name, alarm)| (name.clone(), Seen::from(alarm))).collect();
        let has_others = !at.is_empty();
        let sight = Sight { at, names, seen, answered_at: Instant::now(), is_blind: false, has_others };
        Post { place: place.clone(), sight }
    }

    async fn look(&self) -> Result<Alarms, Silence> {
        let names: Vec<String> = self.sight.names.keys().cloned().collect();
        match tokio::time::timeout(LOOK_PATIENCE, look(&self.place, &names)).await {
            Ok(Ok(alarms)) => Ok(alarms),
            Ok(Err(error)) => {
                Err(Silence { reason: error.described(), is_pause: error.kind.is_credentials() })
            }
            Err(_) => {
                let reason =
                    format!("cloudwatch:DescribeAlarms gave no answer in {} s", LOOK_PATIENCE.as_secs());
                Err(Silence { reason, is_pause: false })
            }
        }
    }
}

impl Watch {
    /// Watches from now on; `news` is what is known already.
    pub(super) fn new(posts: Vec<Post>, news: Vec<News>) -> Watch {
        Watch { posts, next_round: None, news: news.into() }
    }

    /// Waits for news. What is known already comes at once; without anything to watch nothing ever comes.
    pub(super) async fn next(&mut self) -> News {
        loop {
            if let Some(news) = self.news.pop_front() {
                return news;
            }
            if self.posts.is_empty() {
                return std::future::pending().await;
            }
            let round = *self.next_round.get_or_insert_with(|| Instant::now() + EVERY);
            tokio::time::sleep_until(round).await;
            self.next_round = Some(Instant::now() + EVERY);
            let looks = in_each(&self.posts, Post::look).await;
            for (post, look) in self.posts.iter_mut().zip(looks) {
                self.news.extend(post.sight.take_in(look, Instant::now()));
            }
        }
    }
}

impl Sight {
    fn take_in(&mut self, look: Result<Alarms, Silence>, now: Instant) -> Vec<News> {
        match look {
            Ok(alarms) => {
                self.answered_at = now;
                self.is_blind = false;
                let names = std::mem::take(&mut self.names);
                let news =
                    names.iter().filter_map(|(name, given)| self.compare(name, given, &alarms)).collect();
                self.names = names;
                news
            }
            // The run pauses for the same reason, and what sends nothing needs no watch.
            Err(silence) if silence.is_pause && !self.has_others => {
                self.answered_at = now;
                Vec::new()
            }
            Err(silence) => self.take_in_silence(&silence.reason, now).into_iter().collect(),
        }
    }

    fn compare(&mut self, name: &str, given: &str, alarms: &Alarms) -> Option<News> {
        let gate = format!("alarm:{given}");
        let Some(alarm) = alarms.get(name) else {
            return Some(News::Stop { gate, reason: format!("it is not there any more{}", self.at) });
        };
        if alarm.state == AlarmState::Alarm {
            return Some(News::Stop { gate, reason: described(alarm, &self.at) });
        }
        let before = self.seen.insert(name.to_owned(), Seen::from(alarm))?;
        let has_moved = before.transitioned.zip(alarm.transitioned).is_some_and(|(then, now)| then < now);
        if before.state == alarm.state && has_moved {
            let reason = format!(
                "it left {state}{} and came back while nobody looked; whether it was in ALARM is not known",
                self.at,
                state = alarm.state
            );
            return Some(News::Stop { gate, reason });
        }
        (alarm.state != AlarmState::Ok && alarm.state != before.state)
            .then(|| News::Warning(unsure(given, alarm, &self.at)))
    }

    fn take_in_silence(&mut self, reason: &str, now: Instant) -> Option<News> {
        let (limit, at) = (BLIND_PATIENCE.as_secs(), &self.at);
        if now >= self.answered_at + BLIND_PATIENCE {
            let given: Vec<&str> = self.names.values().map(String::as_str).collect();
            let gate = format!("alarm:{}", given.join(","));
            return Some(News::Stop {
                gate,
                reason: format!("nobody could look at it{at} for {limit} s: {reason}"),
            });
        }
        if std::mem::replace(&mut self.is_blind, true) {
            return None;
        }
        let warning =
            format!("alarms can't be looked at{at}, and the run stops if that lasts for {limit} s: {reason}");
        Some(News::Warning(warning))
    }
}

/// What is said of an alarm that neither is in ALARM nor OK.
pub(super) fn unsure(given: &str, alarm: &Alarm, at: &str) -> String {
    format!("the alarm `{given}` stops nothing as it is: {}", described(alarm, at))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alarm(state: AlarmState, transitioned: i64) -> Alarm {
        let transitioned = Timestamp::from_second(transitioned).ok();
        Alarm { name: "web-5xx".into(), state, reason: "because".into(), transitioned }
    }

    fn found(state: AlarmState, transitioned: i64) -> Result<Alarms, Silence> {
        Ok([("web-5xx".to_owned(), alarm(state, transitioned))].into())
    }

    fn sight(has_others: bool) -> Sight {
        Sight {
            at: if has_others { " in 1/r".to_owned() } else { String::new() },
            names: [("web-5xx".to_owned(), "arn:web-5xx".to_owned())].into(),
            seen: [("web-5xx".to_owned(), Seen::from(&alarm(AlarmState::Ok, 10)))].into(),
            answered_at: Instant::now(),
            is_blind: false,
            has_others,
        }
    }

    fn stop(reason: &str) -> Vec<News> {
        vec![News::Stop { gate: "alarm:arn:web-5xx".into(), reason: reason.into() }]
    }

    #[test]
    fn an_alarm_stops_and_what_is_not_there_does_too() {
        let now = Instant::now();
        assert_eq!(sight(false).take_in(found(AlarmState::Ok, 10), now), []);
        let fired = sight(true).take_in(found(AlarmState::Alarm, 11), now);
        assert_eq!(fired, stop("it is in ALARM in 1/r: because"));
        assert_eq!(sight(false).take_in(Ok(Alarms::new()), now), stop("it is not there any more"));
    }

    #[test]
    fn what_came_and_went_between_two_looks_stops() {
        let now = Instant::now();
        let reason = "it left OK and came back while nobody looked; whether it was in ALARM is not known";
        assert_eq!(sight(false).take_in(found(AlarmState::Ok, 12), now), stop(reason));
        // It may say nothing of when.
        let mut silent = sight(false);
        silent.seen.insert("web-5xx".into(), Seen { state: AlarmState::Ok, transitioned: None });
        let untimed = Alarm { transitioned: None, ..alarm(AlarmState::Ok, 0) };
        assert_eq!(silent.take_in(Ok([("web-5xx".to_owned(), untimed)].into()), now), []);
    }

    #[test]
    fn too_little_data_is_told_once_and_stops_nothing() {
        let (now, mut sight) = (Instant::now(), sight(false));
        let told = sight.take_in(found(AlarmState::InsufficientData, 12), now);
        let warning =
            "the alarm `arn:web-5xx` stops nothing as it is: it is in INSUFFICIENT_DATA: because".to_owned();
        assert_eq!(told, [News::Warning(warning)]);
        assert_eq!(sight.take_in(found(AlarmState::InsufficientData, 12), now), []);
        assert_eq!(sight.take_in(found(AlarmState::Ok, 13), now), []);
    }

    #[test]
    fn a_watch_that_sees_nothing_for_a_minute_stops_the_run() {
        let (begun, mut sight) = (Instant::now(), sight(false));
        let silence = || Err(Silence { reason: "AWS can't be reached".into(), is_pause: false });
        let after = |seconds| begun + Duration::from_secs(seconds);
        let told = sight.take_in(silence(), after(5));
        assert!(
            matches!(&told[..], [News::Warning(text)] if text.ends_with("for 60 s: AWS can't be reached")),
            "{told:?}"
        );
        assert_eq!(sight.take_in(silence(), after(30)), [], "it is told once");
        // An answer begins it anew.
        assert_eq!(sight.take_in(found(AlarmState::Ok, 10), after(40)), []);
        assert_eq!(sight.take_in(silence(), after(70)).len(), 1, "and is told again");
        assert_eq!(sight.take_in(silence(), after(99)), []);
        assert_eq!(
            sight.take_in(silence(), after(101)),
            stop("nobody could look at it for 60 s: AWS can't be reached")
        );
    }

    #[test]
    fn missing_credentials_pause_the_run_and_its_watch_where_there_is_one_place_only() {
        let begun = Instant::now();
        let silence = || Err(Silence { reason: "expired".into(), is_pause: true });
        let (mut alone, mut one_of_many) = (sight(false), sight(true));
        for seconds in [30, 59, 61, 600] {
            assert_eq!(alone.take_in(silence(), begun + Duration::from_secs(seconds)), []);
        }
        assert_eq!(one_of_many.take_in(silence(), begun + Duration::from_secs(30)).len(), 1);
        let told = one_of_many.take_in(silence(), begun + Duration::from_secs(61));
        assert!(matches!(told[..], [News::Stop { .. }]), "the others would go on: {told:?}");
    }

    #[tokio::test]
    async fn what_is_known_comes_at_once_and_nothing_from_nothing() {
        let mut watch = Watch::new(Vec::new(), vec![News::Warning("a".into()), News::Warning("b".into())]);
        assert_eq!(watch.next().await, News::Warning("a".into()));
        assert_eq!(watch.next().await, News::Warning("b".into()));
        assert!(tokio::time::timeout(Duration::from_millis(20), watch.next()).await.is_err());
    }
}
