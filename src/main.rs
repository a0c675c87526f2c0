//! `herder`: the executable. Everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    #[expect(clippy::disallowed_methods, reason = "the one place where the environment comes from")]
    let variables = std::env::vars_os().collect();
    ExitCode::from(herder::run(std::env::args_os().collect(), variables).code())
}
