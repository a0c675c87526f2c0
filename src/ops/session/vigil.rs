//! Whether a node that says nothing still is there.
//!
//! A command may be silent for hours, and nothing goes to it that its agent would have to answer. A connection that stands tells of the
//! service only. So the service is asked now and then whether the node's agent is connected to it.

use std::future::pending;

use tokio::time::{Duration, Instant, sleep_until};

/// After so long a silence the service is asked.
const QUIET: Duration = Duration::from_secs(60);
/// Then this often.
const AGAIN: Duration = Duration::from_secs(300);
/// And this often while the agent is away.
const AGAIN_AWAY: Duration = Duration::from_secs(30);
/// How long it may stay away. An agent that updates itself is back after a minute or two.
const PATIENCE: Duration = Duration::from_secs(300);

/// What the service says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    /// The agent is connected.
    Connected,
    /// It is not.
    Away,
    /// There was no answer, this time.
    Unknown,
    /// There never is one: the caller may not ask, or what is asked about is no node.
    Untold,
}

/// What is worth a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    /// The agent is away.
    Away,
    /// It is back.
    Back,
    /// It has been away for so long that nobody should wait.
    Lost(Duration),
}

/// A watch over a silence. `A` asks.
#[derive(Debug)]
pub(super) struct Vigil<A> {
    ask: A,
    /// When to ask; never where there is no answer.
    due: Option<Instant>,
    away_since: Option<Instant>,
}

impl<A, F> Vigil<A>
where
    A: FnMut() -> F,
    F: Future<Output = Presence>,
{
    /// A watch that begins now.
    pub(super) fn new(ask: A) -> Vigil<A> {
        Vigil { ask, due: Some(Instant::now() + QUIET), away_since: None }
    }

    /// Something was heard of the node. True if it was said to be away.
    pub(super) fn heard(&mut self) -> bool {
        self.due = self.due.map(|_| Instant::now() + QUIET);
        self.away_since.take().is_some()
    }

    /// Waits for something to be found. Nothing is lost if the future is dropped.
    pub(super) async fn next(&mut self) -> Finding {
        loop {
            let Some(due) = self.due else { return pending().await };
            sleep_until(due).await;
            let presence = (self.ask)().await;
            let now = Instant::now();
            let wait = if self.away_since.is_some() { AGAIN_AWAY } else { AGAIN };
            self.due = Some(now + wait);
            match (presence, self.away_since) {
                (Presence::Untold, _) => self.due = None,
                (Presence::Connected, Some(_)) => {
                    self.away_since = None;
                    self.due = Some(now + AGAIN);
                    return Finding::Back;
                }
                (Presence::Away, None) => {
                    self.away_since = Some(now);
                    self.due = Some(now + AGAIN_AWAY);
                    return Finding::Away;
                }
                (Presence::Away, Some(since)) if now - since >= PATIENCE => {
                    return Finding::Lost(now - since);
                }
                (Presence::Connected, None) | (Presence::Away, Some(_)) | (Presence::Unknown, _) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::VecDeque;

    use super::*;

    /// Answers in order, the last one for ever; and when each was asked for, in seconds.
    struct Service {
        answers: RefCell<VecDeque<Presence>>,
        asked: RefCell<Vec<u64>>,
        began: Instant,
    }

    impl Service {
        fn new(answers: impl IntoIterator<Item = Presence>) -> Service {
            let answers = RefCell::new(answers.into_iter().collect());
            Service { answers, asked: RefCell::default(), began: Instant::now() }
        }

        async fn answer(&self) -> Presence {
            self.asked.borrow_mut().push(self.began.elapsed().as_secs());
            let mut answers = self.answers.borrow_mut();
            if answers.len() > 1 { answers.pop_front().unwrap() } else { answers[0] }
        }
    }

    /// Whether nothing is found for so many seconds.
    async fn is_quiet<A: FnMut() -> F, F: Future<Output = Presence>>(
        vigil: &mut Vigil<A>,
        seconds: u64,
    ) -> bool {
        tokio::time::timeout(Duration::from_secs(seconds), vigil.next()).await.is_err()
    }

    #[tokio::test(start_paused = true)]
    async fn a_silence_is_asked_about_now_and_then() {
        let service = Service::new([Presence::Connected, Presence::Unknown, Presence::Connected]);
        let mut vigil = Vigil::new(|| service.answer());
        assert!(is_quiet(&mut vigil, 1000).await);
        assert_eq!(*service.asked.borrow(), [60, 360, 660, 960]);
        assert!(!vigil.heard());
        assert!(is_quiet(&mut vigil, 59).await);
        assert_eq!(service.asked.borrow().len(), 4, "what was heard begins the silence anew");
        assert!(is_quiet(&mut vigil, 2).await);
        assert_eq!(service.asked.borrow().len(), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn an_agent_that_stays_away_is_lost() {
        let service = Service::new([Presence::Away, Presence::Unknown, Presence::Away]);
        let mut vigil = Vigil::new(|| service.answer());
        assert_eq!(vigil.next().await, Finding::Away);
        assert_eq!(vigil.next().await, Finding::Lost(Duration::from_secs(300)));
        assert_eq!(service.began.elapsed(), Duration::from_secs(360));
        assert_eq!(service.asked.borrow().len(), 11);
    }

    #[tokio::test(start_paused = true)]
    async fn an_agent_that_comes_back_is_told_of() {
        let service = Service::new([Presence::Away, Presence::Away, Presence::Connected]);
        let mut vigil = Vigil::new(|| service.answer());
        assert_eq!(vigil.next().await, Finding::Away);
        assert_eq!(vigil.next().await, Finding::Back);
        assert!(is_quiet(&mut vigil, 299).await);
        assert_eq!(*service.asked.borrow(), [60, 90, 120], "then as before");
        let service = Service::new([Presence::Away]);
        let mut vigil = Vigil::new(|| service.answer());
        assert_eq!(vigil.next().await, Finding::Away);
        assert!(vigil.heard(), "output tells as well");
        assert!(!vigil.heard());
        assert_eq!(vigil.next().await, Finding::Away);
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_not_told_asks_once() {
        let service = Service::new([Presence::Untold]);
        let mut vigil = Vigil::new(|| service.answer());
        assert!(is_quiet(&mut vigil, 10_000).await);
        vigil.heard();
        assert!(is_quiet(&mut vigil, 10_000).await);
        assert_eq!(service.asked.borrow().len(), 1);
    }
}
