//! Session Manager's data channel.
//!
//! The core does no I/O and reads no clock: bytes and the time go in, frames and events come out. Both ends of a channel
//! are made of it: the client, and the stand-in for the agent in herder's simulator.
//!
//! | module | what it is |
//! |---|---|
//! | [`frame`] | the binary message that everything travels in |
//! | [`payload`] | what the messages say: acknowledgements, handshake, end of a channel |
//! | [`channel`] | two reliable streams of messages over connections that come and go |
//! | [`crypto`] | encryption with a key of KMS |
//! | [`handshake`] | what a session is for, agreed on by both ends |
//! | [`end`] | both ends of a session: channel, handshake and encryption in one |
//! | [`client`] | the client's end with a socket: connects, reconnects, keeps alive |
//! | [`version`] | what the other end can do |
//! | [`link`] | the byte stream of a port session, whatever carries it |
//! | [`mux`] | many streams over one link |
//! | [`terminal`] | the local terminal: raw mode, sizes, signals, keys and escapes |
//! | [`copy`] | files to and from nodes, through sessions |
//! | [`record`] | recordings of sessions |
//! | [`forward`] | local listeners whose connections go over a link |
//!
//! What does not live here: the calls that start, resume and end sessions, and their credentials (`aws/`); what is drawn
//! (`src/`). This package knows neither an SDK client nor herder's other packages.

#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing))]

pub mod channel;
pub mod client;
pub mod copy;
pub mod crypto;
pub mod end;
pub mod forward;
pub mod frame;
pub mod handshake;
mod ids;
pub mod link;
pub mod mux;
pub mod payload;
pub mod record;
pub mod terminal;
pub mod version;

#[cfg(test)]
mod testing;

/// What herder says its version is. Agents decide by it: from 1.1.70 on ports are multiplexed, after 1.2.295 a command's
/// streams may be separate, after 1.2.331 the multiplexer sends no keep-alives. 1.2.764 is the oldest that AWS supports.
pub const CLIENT_VERSION: &str = "1.2.764.0";
