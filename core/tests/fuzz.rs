//! Nonsense by the million: what people write and what is left of a run's files panic nothing, hang nothing and are read soundly.
//!
//! Runs for `HERDER_FUZZ_SECONDS` (default 2) per target. A failure prints the seed of its round; `HERDER_FUZZ_SEED` begins
//! with that one.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "how long to run is said in seconds, and what came of it to whoever asks"
)]

#[path = "fuzz/journal.rs"]
mod journal;
#[path = "../../tests/fuzz/mutate.rs"]
mod mutate;
#[path = "../../tests/fuzz/rounds.rs"]
mod rounds;
#[path = "fuzz/selectors.rs"]
mod selectors;
#[path = "fuzz/texts.rs"]
mod texts;
