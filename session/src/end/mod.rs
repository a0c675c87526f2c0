//! Both ends of a session: channel, handshake and encryption in one, still without I/O and without a clock.
//!
//! Either end is driven like the [channel](crate::channel) inside it: WebSocket messages go to `receive`, events come from
//! `next_event`, what `transmit` gives is written, and `expire` is called at `deadline`. Events are taken from the channel
//! when they are asked for: what nobody asks for is not acknowledged.

mod agent;
mod client;

pub use agent::{AgentEnd, AgentError, AgentEvent, AgentOptions};
pub use client::{ClientEnd, ClientError, ClientEvent, ClientOptions};

#[cfg(test)]
mod tests;
