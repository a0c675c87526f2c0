//! What reaches a session's broker from outside of it.

use super::socket::Socket;
use crate::sessions::faults::FrameFaults;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

/// What is done to a session by hand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum SessionAct {
    /// The gateway closes the client's connection with `1000 Bye`, as it does every hour.
    Bye,
    /// The gateway closes the client's connection with another code.
    Close {
        /// The code.
        code: u16,
        /// What goes with it.
        #[serde(default)]
        reason: String,
    },
    /// The client's connection breaks without a word.
    Drop,
    /// The client's connection breaks, and none is let in for so many milliseconds.
    Cut {
        /// Milliseconds.
        ms: u64,
    },
    /// Nothing moves for so many milliseconds, while connections stay.
    Freeze {
        /// Milliseconds.
        ms: u64,
    },
    /// The agent dies: nothing is heard of it again.
    KillAgent,
    /// An administrator ends the session; the text is for the client.
    Terminate {
        /// What the client is told; nothing where empty.
        #[serde(default)]
        output: String,
    },
    /// The session times out: it cannot be resumed, and its client is told.
    TimeOut,
    /// The session's token is over.
    ExpireToken,
    /// The client is told that the agent is away.
    Pause,
    /// The client is told that the agent is there.
    Start,
}

/// What reaches a broker.
#[derive(Debug)]
pub(crate) enum Event {
    /// The client, with the version that it says.
    Client(Box<Socket>),
    /// The agent of a node that has a real one.
    Agent(Box<Socket>),
    Act(SessionAct),
    /// A real agent says that the session is over; the text is for the client.
    Finished(String),
    Faults(FrameFaults),
}

/// Where events for a broker go.
#[derive(Debug, Clone)]
pub(crate) struct Line(pub(crate) mpsc::UnboundedSender<Event>);

impl Line {
    /// Says something; a broker that is gone hears nothing.
    pub(crate) fn say(&self, event: Event) {
        let _gone = self.0.send(event);
    }
}
