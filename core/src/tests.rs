//! How many of their cases tests try. Who works on this package waits for some of them, spread over all; `cargo xtask test` and
//! `HERDER_TESTS=all` try every one.

use proptest::test_runner::Config;

/// Every case, or one in so many: what to step by.
pub(crate) fn one_in(some: usize) -> usize {
    #[expect(clippy::disallowed_methods, reason = "a switch of the tests, which have no settings")]
    let is_thorough = std::env::var_os("HERDER_TESTS").is_some_and(|wanted| wanted == "all");
    if is_thorough { 1 } else { some }
}

/// So many random cases, or an eighth of them.
pub(crate) fn cases(all: u32) -> Config {
    let cases = all / u32::try_from(one_in(8)).unwrap();
    Config { failure_persistence: None, ..Config::with_cases(cases) }
}
