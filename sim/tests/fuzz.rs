//! Nonsense by the million: what people write into specs and scenarios, and what clients send, stop no simulation.
//!
//! Runs for `HERDER_FUZZ_SECONDS` (default 2) per target. A failure prints the seed of its round; `HERDER_FUZZ_SEED` begins
//! with that one.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "how long to run is said in seconds, and what came of it to whoever asks"
)]

#[path = "fuzz/client.rs"]
mod client;
#[path = "../../tests/fuzz/mutate.rs"]
mod mutate;
#[path = "fuzz/requests.rs"]
mod requests;
#[path = "../../tests/fuzz/rounds.rs"]
mod rounds;
#[path = "fuzz/specs.rs"]
mod specs;
#[path = "fuzz/values.rs"]
mod values;
#[path = "fuzz/wire.rs"]
mod wire;
