//! Tasks of the herder repository: `cargo xtask TASK`.

mod aws_cli;
mod bench;
mod conformance;
mod deny;
mod dist;
mod generate;
mod http;
mod judges;
mod manual;
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
    /// Run everything that must pass: format, lints, tests, generated files, rules, dependencies, and the judges of the simulator
    Test(TestArgs),
    /// Show that clippy rejects each rule's violation
    Rules,
    /// Have the simulator and herder judged by boto3, the aws CLI, pyssm-client and moto; writes docs/conformance.md
    Conformance(conformance::ConformanceArgs),
    /// Measure
    #[command(subcommand)]
    Bench(Bench),
    /// Make a release: the archive, the Debian package, their checksums; unpack each and run it
    Dist(dist::DistArgs),
}

/// What `cargo xtask test` leaves out.
#[derive(Args)]
struct TestArgs {
    /// Leave out the aws CLI and the other judges
    #[arg(long)]
    quick: bool,
}

#[derive(Subcommand)]
enum Bench {
    /// Everything that is promised, in one table; two hours at most
    All(bench::AllArgs),
    /// Start-up beside the aws CLI's, and the size of the executable
    Start(bench::StartArgs),
    /// `herder exec` on ten thousand simulated nodes: calls, throttles, time against the floor, verdicts, memory
    Exec(bench::ExecArgs),
    /// `herder exec` over accounts and regions: time, one error budget, and scripts on the aws CLI beside it
    Rollout(bench::RolloutArgs),
    /// Sessions on loopback: rates, processor time, fairness, round trips, copies, memory
    Session(bench::SessionArgs),
    /// A Tab with ten thousand nodes in the cache
    Tab(bench::TabArgs),
    /// What it costs to compile and to run the tests of core
    Core,
}

fn main() -> ExitCode {
    let result = match Cli::parse().task {
        Task::Gen { check } => generate::run(check),
        Task::Test(args) => return test::run(args.quick),
        Task::Rules => rules::run().map(|checked| println!("{checked} rules hold")),
        Task::Dist(args) => dist::run(&args),
        Task::Conformance(args) => conformance::run(args).map(|checked| println!("{checked} checks passed")),
        Task::Bench(Bench::All(args)) => bench::run_all(&args),
        Task::Bench(Bench::Start(args)) => bench::run_start(&args),
        Task::Bench(Bench::Exec(args)) => bench::run(&args),
        Task::Bench(Bench::Rollout(args)) => bench::run_rollout(&args),
        Task::Bench(Bench::Session(args)) => bench::run_session(&args),
        Task::Bench(Bench::Tab(args)) => bench::run_tab(&args),
        Task::Bench(Bench::Core) => bench::run_core(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
