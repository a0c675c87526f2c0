//! Session Manager's data channel, to come: nothing of it is here yet, and nothing depends on this package.
//!
//! What will live here: the frames of the channel; the channel itself (acknowledgements, resends, handshake, encryption
//! with KMS keys) and the streams that are multiplexed over it, as a core that does no I/O and is driven by whoever holds
//! the socket; a client for shells, port forwarding and file copies; a stand-in for the node's side, for the simulator's
//! broker and for tests; recordings.
//!
//! What will not: the call that opens the channel, and its credentials (`aws/`); terminals (`src/`). This package knows
//! neither the AWS SDK nor herder's other packages.

#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing))]
