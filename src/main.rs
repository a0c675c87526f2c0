//! `herder`: the executable. Everything is in the library.

use std::process::ExitCode;

use herder::Exit;

#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    #[expect(clippy::disallowed_methods, reason = "the one place where the environment comes from")]
    let variables = std::env::vars_os().collect();
    ExitCode::from(herder::run(std::env::args_os().collect(), variables, quit).code())
}

/// For the end that no return leads to: a panic.
#[expect(clippy::disallowed_methods, clippy::exit, reason = "a release build can't unwind to `main`")]
fn quit(exit: Exit) -> ! {
    std::process::exit(exit.code().into())
}
