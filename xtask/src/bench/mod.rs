//! `cargo xtask bench`: what herder promises, measured on a release build against a simulator in another process.

mod core;
mod memory;
mod report;
mod rollout;
mod session;
mod speed;
mod start;
mod tab;
mod via;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use self::report::Report;
pub(crate) use self::session::SessionArgs;
use crate::Outcome;
use crate::process::{build, isolate, output, target};
use crate::serve::Simulator;

/// What `bench exec` takes.
#[derive(clap::Args)]
pub(crate) struct ExecArgs {
    /// A tenth of the nodes: a look, not a measurement
    #[arg(long)]
    quick: bool,

    /// Seed of the fleet and of its run times
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// Leave out what matters to memory
    #[arg(long)]
    no_memory: bool,

    /// Leave out everything else
    #[arg(long, conflicts_with = "no_memory")]
    only_memory: bool,

    /// Measure this executable, and build none
    #[arg(long)]
    herder: Option<PathBuf>,
}

impl Default for ExecArgs {
    fn default() -> ExecArgs {
        ExecArgs { quick: false, seed: 1, no_memory: false, only_memory: false, herder: None }
    }
}

/// What `bench tab` takes.
#[derive(clap::Args)]
pub(crate) struct TabArgs {
    /// Measure the build for development: it is there in a minute
    #[arg(long)]
    dev: bool,

    /// Measure this executable, and build none
    #[arg(long, conflicts_with = "dev")]
    herder: Option<PathBuf>,
}

/// What `bench all` takes.
#[derive(clap::Args)]
pub(crate) struct AllArgs {
    /// A tenth of the nodes and of the bytes, and no scripts: a look, not a measurement
    #[arg(long)]
    quick: bool,

    /// Measure this executable, and build none
    #[arg(long)]
    herder: Option<PathBuf>,
}

/// Every benchmark, one after the other, and what is promised in one table: `bench/all.md` and `.json` beside the others' own.
pub(crate) fn run_all(args: &AllArgs) -> Outcome {
    let AllArgs { quick, herder } = args;
    let (quick, herder) = (*quick, || herder.clone());
    let directory = target().join("bench");
    let mut all = Report::of(&serde_json::json!({}));
    // Each is written as it ends: the next may fail.
    let mut keep = |name: &str, report: Report| -> Outcome {
        all.take_promises(name, &report);
        report.write(&directory, name)
    };
    keep("start", start(&StartArgs { herder: herder() })?)?;
    keep("tab", tab(&TabArgs { dev: false, herder: herder() })?)?;
    keep("core", core()?)?;
    keep("exec", exec(&ExecArgs { quick, herder: herder(), ..ExecArgs::default() })?)?;
    keep("rollout", rollout(&RolloutArgs { quick, herder: herder(), ..RolloutArgs::default() })?)?;
    keep("session", session::measure(&SessionArgs::new(quick))?)?;
    all.end(&directory, "all")
}

/// What `bench start` takes.
#[derive(clap::Args)]
pub(crate) struct StartArgs {
    /// Measure this executable, and build none
    #[arg(long)]
    herder: Option<PathBuf>,
}

/// Measures, prints a table, writes `bench/start.md` and `.json` in cargo's target directory.
pub(crate) fn run_start(args: &StartArgs) -> Outcome {
    start(args)?.end(&target().join("bench"), "start")
}

fn start(args: &StartArgs) -> Outcome<Report> {
    let herder = executable("release", args.herder.as_ref())?;
    let mut report = Report::of(&serde_json::json!({}));
    start::run(&herder, &mut report)?;
    Ok(report)
}

/// The one that is given, or a new build.
fn executable(profile: &str, given: Option<&PathBuf>) -> Outcome<PathBuf> {
    let directory = target().join("bench");
    fs::create_dir_all(&directory)
        .map_err(|error| format!("could not make {}: {error}", directory.display()))?;
    if let Some(herder) = given {
        return Ok(herder.clone());
    }
    if profile == "release" {
        println!("building a release (some twenty minutes on two cores if nothing of it is there)");
    }
    build(profile)
}

/// What measures needs python3 for more than one thing.
fn need_python() -> Outcome {
    match Command::new("python3").arg("--version").output() {
        Ok(_) => Ok(()),
        Err(_) => {
            Err("python3 measures the processes, holds the terminal and runs the aws CLI, and there is none"
                .to_owned())
        }
    }
}

/// Measures, prints a table, writes `bench/tab.md` and `.json` in cargo's target directory.
pub(crate) fn run_tab(args: &TabArgs) -> Outcome {
    tab(args)?.end(&target().join("bench"), "tab")
}

fn tab(args: &TabArgs) -> Outcome<Report> {
    let profile = if args.dev { "dev" } else { "release" };
    let herder = executable(profile, args.herder.as_ref())?;
    let bench = Bench { herder, directory: target().join("bench"), nodes: 10_000, seed: 1 };
    let mut report = Report::new(&bench);
    tab::run(&bench, profile, &mut report)?;
    let _ = fs::remove_dir_all(bench.directory.join("scratch"));
    Ok(report)
}

/// Measures, prints a table, writes `bench/core.md` and `.json` in cargo's target directory.
pub(crate) fn run_core() -> Outcome {
    core()?.end(&target().join("bench"), "core")
}

fn core() -> Outcome<Report> {
    let mut report = Report::of(&serde_json::json!({}));
    core::run(&mut report)?;
    Ok(report)
}

/// Measures, prints a table, writes `bench/session.md` and `.json` in cargo's target directory.
pub(crate) fn run_session(args: &SessionArgs) -> Outcome {
    session::measure(args)?.end(&target().join("bench"), "session")
}

/// Measures, prints a table, writes `bench/exec.md` and `.json` in cargo's target directory.
pub(crate) fn run(args: &ExecArgs) -> Outcome {
    exec(args)?.end(&target().join("bench"), "exec")
}

fn exec(args: &ExecArgs) -> Outcome<Report> {
    need_python()?;
    let herder = executable("release", args.herder.as_ref())?;
    let directory = target().join("bench");
    let bench = Bench { herder, directory, nodes: if args.quick { 1_000 } else { 10_000 }, seed: args.seed };
    let mut report = Report::new(&bench);
    if !args.only_memory {
        speed::plain(&bench, &mut report)?;
        speed::faults(&bench, &mut report)?;
    }
    if !args.no_memory {
        memory::run(&bench, &mut report)?;
    }
    // Outputs of ten thousand nodes are nothing to keep.
    let _ = fs::remove_dir_all(bench.directory.join("scratch"));
    Ok(report)
}

/// A part of `bench rollout`.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum RolloutPart {
    /// Accounts and regions, together and each alone
    Scopes,
    /// One error budget over random runs
    Budget,
    /// Scripts on the aws CLI
    Scripts,
    /// herder's own fan-out beside the service's
    Via,
}

/// What `bench rollout` takes.
#[derive(clap::Args)]
pub(crate) struct RolloutArgs {
    /// A tenth of the nodes, and no scripts: a look, not a measurement
    #[arg(long)]
    quick: bool,

    /// Seed of the fleets and of the random runs
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// One part
    #[arg(long, value_enum)]
    only: Option<RolloutPart>,

    /// Measure this executable, and build none
    #[arg(long)]
    herder: Option<PathBuf>,
}

impl Default for RolloutArgs {
    fn default() -> RolloutArgs {
        RolloutArgs { quick: false, seed: 1, only: None, herder: None }
    }
}

/// Measures, prints a table, writes `bench/rollout.md` and `.json` in cargo's target directory.
pub(crate) fn run_rollout(args: &RolloutArgs) -> Outcome {
    rollout(args)?.end(&target().join("bench"), "rollout")
}

fn rollout(args: &RolloutArgs) -> Outcome<Report> {
    need_python()?;
    let herder = executable("release", args.herder.as_ref())?;
    let nodes = if args.quick { 100 } else { 1_000 };
    let bench = Bench { herder, directory: target().join("bench"), nodes, seed: args.seed };
    let mut report = Report::new(&bench);
    let is_wanted = |part| args.only.is_none_or(|only| only == part);
    if is_wanted(RolloutPart::Scopes) {
        rollout::scopes(&bench, nodes, &mut report)?;
    }
    if is_wanted(RolloutPart::Budget) {
        rollout::budget(&bench, &mut report)?;
    }
    if is_wanted(RolloutPart::Scripts) && !args.quick {
        rollout::scripts(&bench, nodes, &mut report)?;
    }
    if is_wanted(RolloutPart::Via) {
        via::compare(&bench, &mut report, args.quick)?;
    }
    let _ = fs::remove_dir_all(bench.directory.join("scratch"));
    Ok(report)
}

/// How a script's `aws` comes about.
#[derive(Clone, Copy)]
enum Aws {
    /// As everywhere: each call starts it.
    Ordinary,
    /// One process has loaded it and forks for each call, so that a call costs little more than itself, as on a machine with cores
    /// to spare.
    Started,
}

impl Aws {
    /// The function that the script calls.
    fn function(self, python: &Path) -> String {
        let python = python.display();
        match self {
            Aws::Ordinary => format!("aws() {{ '{python}' -m awscli \"$@\"; }}"),
            Aws::Started => {
                let served = include_str!("started_aws.py").replace('\'', "'\\''");
                let called = include_str!("started_aws.sh");
                format!("coproc AWS {{ exec '{python}' -c '{served}'; }}\n{called}")
            }
        }
    }
}

/// How long a script takes that a person writes in herder's place.
fn seconds_of(script: &str, aws: Aws, python: &Path, simulator: &Simulator) -> Outcome<f64> {
    let begun = std::time::Instant::now();
    let mut program = Command::new("bash");
    isolate(&mut program).arg("-c").arg(format!("{}\n{script}", aws.function(python)));
    program.envs(simulator.variables.iter().cloned());
    program.env("AWS_CONFIG_FILE", "/dev/null").env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
    program
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_RETRY_MODE", "standard")
        .env("AWS_MAX_ATTEMPTS", "10");
    output(program, "the script")?;
    Ok(begun.elapsed().as_secs_f64())
}

/// What is measured.
pub(crate) struct Bench {
    herder: PathBuf,
    directory: PathBuf,
    nodes: u64,
    seed: u64,
}

/// How a measured command ended.
pub(crate) struct Measured {
    /// From start to end.
    seconds: f64,
    /// Seconds since 1970.
    ended: f64,
    peak_mib: f64,
    cpu_seconds: f64,
    exit: i64,
    stdout_bytes: u64,
    /// Where what it printed is, if it was kept.
    stdout: PathBuf,
    stderr: PathBuf,
    /// Its home: state and cache.
    home: PathBuf,
}

/// What becomes of a command's output.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reader {
    /// Kept in a file.
    File,
    /// Counted.
    Pipe,
    /// Drawn.
    Terminal,
}

impl Bench {
    fn simulator(&self, rest: &str) -> Outcome<Simulator> {
        Simulator::start(&self.herder, &format!("nodes={},seed={},{rest}", self.nodes, self.seed))
    }

    /// Forgets what herder learned and kept in that home.
    fn clear(&self, name: &str) {
        let _ = fs::remove_dir_all(self.directory.join("scratch").join(name));
    }

    /// Runs herder in a home of its own: nothing learned, nothing kept.
    fn herder(
        &self,
        name: &str,
        simulator: &Simulator,
        reader: Reader,
        arguments: &[&str],
    ) -> Outcome<Measured> {
        self.clear(name);
        self.herder_at_home(name, simulator, reader, arguments)
    }

    /// Runs herder in a home that others may have run in.
    fn herder_at_home(
        &self,
        name: &str,
        simulator: &Simulator,
        reader: Reader,
        arguments: &[&str],
    ) -> Outcome<Measured> {
        let home = self.directory.join("scratch").join(name);
        fs::create_dir_all(&home).map_err(|error| format!("could not make {}: {error}", home.display()))?;
        let (stdout, stderr) = (home.join("stdout"), home.join("stderr"));
        let mut command = Command::new("python3");
        isolate(&mut command).arg("-c").arg(include_str!("measure.py"));
        command.arg(if reader == Reader::Terminal { "pty" } else { "pipe" });
        command.arg(if reader == Reader::File { stdout.as_path() } else { Path::new("-") }).arg(&stderr);
        command.arg(&self.herder).args(arguments);
        command.envs(simulator.variables.iter().cloned()).env("HOME", &home);
        let answer = output(command, "python3 measure.py")?;
        let value: Value = serde_json::from_slice(&answer).map_err(|error| error.to_string())?;
        let number = |name: &str| value[name].as_f64().unwrap_or(f64::NAN);
        Ok(Measured {
            seconds: number("seconds"),
            ended: number("ended"),
            peak_mib: number("peak_kib") / 1024.0,
            cpu_seconds: number("cpu_seconds"),
            exit: value["exit"].as_i64().unwrap_or(-1),
            stdout_bytes: value["stdout_bytes"].as_u64().unwrap_or(0),
            stdout,
            stderr,
            home,
        })
    }
}

impl Measured {
    /// What it said on stderr.
    fn said(&self) -> String {
        fs::read_to_string(&self.stderr).unwrap_or_default()
    }

    /// What it said last, for an error of ours.
    fn complaint(&self) -> String {
        let text = self.said();
        let last: Vec<&str> = text.lines().rev().take(5).collect();
        last.into_iter().rev().collect::<Vec<_>>().join("\n")
    }

    /// The document of `--json`.
    fn document(&self) -> Outcome<Value> {
        let text =
            fs::read(&self.stdout).map_err(|error| format!("herder's answer can't be read: {error}"))?;
        serde_json::from_slice(&text)
            .map_err(|error| format!("herder's answer is no JSON ({error}); it said: {}", self.complaint()))
    }
}
