//! What a person should know of a session's connection.

use herder_session::client::SessionEvent;

/// Tells, event by event, what to say; says little of what passes quickly.
#[derive(Debug, Default)]
pub(crate) struct Notices {
    is_lost: bool,
}

/// Tries to connect again that are told of.
const TOLD: [u32; 4] = [1, 5, 25, 125];

impl Notices {
    /// A line, if there is something to say.
    pub(crate) fn of(&mut self, event: &SessionEvent) -> Option<String> {
        Some(match event {
            SessionEvent::Reconnecting { attempt, why } if TOLD.contains(attempt) || !self.is_lost => {
                // What was connected before is lost for another reason at first.
                let is_first = why.starts_with(herder_session::client::NOT_CONNECTED);
                let again = match (self.is_lost, is_first) {
                    (true, _) => "still no connection",
                    (false, true) => "no connection yet",
                    (false, false) => "connection lost",
                };
                self.is_lost = true;
                format!("{again} ({why}); connecting again, nothing is lost")
            }
            SessionEvent::Reconnected => {
                self.is_lost = false;
                "connected again".to_owned()
            }
            SessionEvent::Paused => "the node's agent is away; what is sent is kept for it".to_owned(),
            SessionEvent::Resumed => "the node's agent is there again".to_owned(),
            SessionEvent::Unanswered => "the node has not answered for 10 s".to_owned(),
            SessionEvent::Answered => "the node answers again".to_owned(),
            // The agent's greeting among it: stderr is a command's own, and that of a shell shows it itself.
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_tries_make_few_lines() {
        let mut notices = Notices::default();
        let lost = |attempt| SessionEvent::Reconnecting { attempt, why: "closed: 1000 Bye".into() };
        let said: Vec<String> = (1..=30).filter_map(|attempt| notices.of(&lost(attempt))).collect();
        assert_eq!(said.len(), 3, "{said:?}");
        assert_eq!(said[0], "connection lost (closed: 1000 Bye); connecting again, nothing is lost");
        assert!(said[1].starts_with("still no connection"), "{said:?}");
        assert_eq!(notices.of(&SessionEvent::Reconnected).unwrap(), "connected again");
        assert!(notices.of(&lost(2)).unwrap().starts_with("connection lost"));
        let refused = SessionEvent::Reconnecting { attempt: 1, why: "could not connect: no".into() };
        assert!(Notices::default().of(&refused).unwrap().starts_with("no connection yet (could not connect"));
        assert_eq!(notices.of(&SessionEvent::ExitCode(0)), None);
    }
}
