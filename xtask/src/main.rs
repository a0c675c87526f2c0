//! Tasks of the herder repository: `cargo xtask TASK`.

mod aws_cli;
mod bench;
mod deny;
mod generate;
mod http;
mod process;
mod rules;
mod serve;
mod test;

use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

/// What a task ends with; the error is a sentence for people.
type Outcome<T = ()> = Result<T, String>;

/// Tasks of the herder repository
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Make man/, completions/ and docs/reference.md from the code
    Gen {
        /// Write nothing; fail where a file differs
        #[arg(long)]
        check: bool,
    },
    /// Run everything that must pass: format, lints, tests, generated files, rules, dependencies,
    /// and the aws CLI against the simulator
    Test(TestArgs),
    /// Show that clippy rejects each rule's violation
    Rules,
    /// Measure
    #[command(subcommand)]
    Bench(Bench),
}

/// What `cargo xtask test` leaves out.
#[derive(Args)]
struct TestArgs {
    /// Leave out the aws CLI
    #[arg(long)]
    quick: bool,
}

#[derive(Subcommand)]
enum Bench {
    /// `herder exec` on ten thousand simulated nodes: calls, throttles, time against the floor, verdicts, memory
    Exec(bench::ExecArgs),
    /// `herder exec` over accounts and regions: time, one error budget, and scripts on the aws CLI beside it
    Rollout(bench::RolloutArgs),
}

fn main() -> ExitCode {
    let result = match Cli::parse().task {
        Task::Gen { check } => generate::run(check),
        Task::Test(args) => return test::run(args.quick),
        Task::Rules => rules::run().map(|checked| println!("{checked} rules hold")),
        Task::Bench(Bench::Exec(args)) => bench::run(&args),
        Task::Bench(Bench::Rollout(args)) => bench::run_rollout(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
