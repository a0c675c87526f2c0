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
//!
//! What does not live here: the calls that start, resume and end sessions, and their credentials (`aws/`); what is drawn
//! (`src/`). This package knows neither an SDK client nor herder's other packages.

#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing))]

pub mod channel;
pub mod crypto;
pub mod frame;
pub mod payload;
