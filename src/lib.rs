//! `herder`: an ops CLI for fleets on AWS. The executable calls [`run`]; man pages and completions are made from [`command`].

mod args;
mod cli;
mod commands;
mod complete;
mod ctx;
mod dispatch;
mod exit;
mod failure;
mod interrupts;
mod io;
mod ops;
mod panics;
mod render;
mod scopes;
mod settings;
mod sim;
mod version;

use std::ffi::OsString;
use std::io::Write as _;
use std::sync::Arc;

use clap::{ArgMatches, CommandFactory as _, FromArgMatches as _};
use tokio::sync::watch;

pub use self::exit::Exit;
use self::io::Io;

use self::cli::{Cli, Command};
use self::ctx::{Clock, Ctx};
use self::failure::{Changed, Failure, Kind};
use self::render::{ErrorReport, Format};
use self::settings::{ConfigFile, Environment, Settings};

/// The command line, for man pages, completions and the reference: without what is particular to this build.
#[must_use]
pub fn command() -> clap::Command {
    Cli::command().long_version(None)
}

/// Runs one command line to its end. A panic, on whatever thread, ends the process by `quit`.
// Not generic: a generic one is compiled with the executable, and everything that it awaits a second time with it.
#[must_use]
pub fn run(args: Vec<OsString>, variables: Vec<(OsString, OsString)>, quit: fn(Exit) -> !) -> Exit {
    let environment = Environment::new(variables);
    let io = Io::system(&|name| environment.get(name).map(str::to_owned));
    let manner = panics::watch(&io, quit);
    if args.get(1).is_some_and(|verb| verb == complete::VERB) {
        complete::answer(&io, &environment, &command(), args.get(2..).unwrap_or_default());
        return Exit::Success;
    }
    let args = commands::session::plugin::as_plugin(args);
    let format = error_format(&args);
    manner.set(format, false);
    let Parsed { cli, settings, format } = match parse(&args, &environment) {
        Ok(parsed) => parsed,
        Err(Unparsed::Line(error)) => return usage(&io, &error, &args, format),
        Err(Unparsed::Settings(failure)) => return report(&io, &failure, format),
    };
    let is_remote = match &cli.command {
        Command::Exec(args) => args.exit == commands::exec::ExitOf::Remote,
        Command::Session(args) => args.is_remote(),
        _ => false,
    };
    manner.set(format, is_remote);
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            return report(
                &io,
                &Failure::new(Kind::Local, "no threads can be started").caused_by(&error),
                format,
            );
        }
    };
    let result = runtime.block_on(async {
        let (interrupts, watched) = watch::channel(herder_core::fanout::Interrupt::None);
        tokio::select! {
            result = execute(&io, cli, (settings, environment), watched) => result,
            never = interrupts::forward(interrupts) => match never {},
        }
    });
    // Threads that still wait for a reader that never comes must not keep the process.
    runtime.shutdown_timeout(std::time::Duration::from_millis(200));
    io::restore_terminal();
    match result {
        Ok(exit) => exit,
        Err(failure) => {
            let exit = report(&io, &failure, format);
            if is_remote { commands::exec::own_failure(exit) } else { exit }
        }
    }
}

/// A command line, with what the environment and the configuration file add to it.
struct Parsed {
    cli: Cli,
    settings: Settings,
    format: Option<Format>,
}

/// Why there is none.
enum Unparsed {
    Line(clap::Error),
    Settings(Failure),
}

impl From<Failure> for Unparsed {
    fn from(failure: Failure) -> Unparsed {
        Unparsed::Settings(failure)
    }
}

fn parse(args: &[OsString], environment: &Environment) -> Result<Parsed, Unparsed> {
    let parsed = |mut root: clap::Command| -> Result<(Cli, ArgMatches), clap::Error> {
        let matches = root.try_get_matches_from_mut(args)?;
        let cli = Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut root))?;
        Ok((cli, matches))
    };
    let (mut cli, mut matches) = parsed(Cli::command()).map_err(Unparsed::Line)?;
    // A file that is wrong is what the doctor is called for.
    let is_examined = matches!(cli.command, Command::Doctor(_));
    let file = match cli.command.reads_configuration() {
        true => ConfigFile::read(environment),
        false => Ok(ConfigFile::absent(environment)),
    };
    let file = match file {
        Err(failure) if is_examined => ConfigFile::broken(environment, failure),
        file => file?,
    };
    let mut settings = Settings::new(&cli.global, environment, file)?;
    let file = &settings.file;
    if let (false, Some(path)) = (file.defaults.is_empty(), &file.path) {
        match settings::check(&file.defaults, &Cli::command(), path) {
            Err(failure) if is_examined => {
                settings.file = ConfigFile::broken(environment, failure);
                let format = chosen_format(&matches);
                return Ok(Parsed { cli, settings, format });
            }
            checked => checked?,
        }
        if !settings.no_defaults.value
            && let Some((root, in_use)) = settings::apply(Cli::command(), &matches, &file.defaults, path)
        {
            (cli, matches) = parsed(root).map_err(Unparsed::Line)?;
            settings.defaults_in_use = in_use;
        }
    }
    let format = chosen_format(&matches);
    Ok(Parsed { cli, settings, format })
}

/// The format of a failure of the command that was chosen, where it is not for people.
fn chosen_format(matches: &ArgMatches) -> Option<Format> {
    let (_, given) = settings::chosen(matches);
    let is_on = |id: &str| given.try_get_one::<bool>(id).ok().flatten() == Some(&true);
    let output = given.try_get_raw("output").ok().flatten().and_then(|mut values| values.next()?.to_str());
    match output {
        _ if is_on("json") => Some(Format::Json),
        _ if is_on("jsonl") => Some(Format::Jsonl),
        Some("json") => Some(Format::Json),
        Some("jsonl") => Some(Format::Jsonl),
        _ => None,
    }
}

async fn execute(
    io: &Io,
    cli: Cli,
    (settings, environment): (Settings, Environment),
    interrupts: watch::Receiver<herder_core::fanout::Interrupt>,
) -> Result<Exit, Failure> {
    let mut ctx = Ctx::new(settings, environment, Clock::system(), interrupts)?;
    ctx.terminal = Some(io.clone());
    if ctx.settings.sim.is_some() {
        io.note_simulated();
    }
    if cli.command.uses_aws()
        && let Some(spec) = &ctx.settings.sim
    {
        ctx.sim = Some(Arc::new(sim::InProcess::start(&spec.value).await?));
    }
    let result = dispatch(&ctx, io, cli.command).await;
    ctx.settle().await;
    ctx.gathered.keep(&ctx.settings, &ctx.environment);
    result
}

async fn dispatch(ctx: &Ctx, io: &Io, command: Command) -> Result<Exit, Failure> {
    // Boxed: the SDK's futures are nested deeply.
    match command {
        Command::Exec(args) => Box::pin(commands::exec::run(ctx, io, *args)).await,
        Command::Session(args) => Box::pin(commands::session::run(ctx, io, *args)).await,
        Command::Nodes(args) => Box::pin(commands::nodes::run(ctx, io, args)).await,
        Command::Runs(args) => Box::pin(commands::runs::run(ctx, io, args)).await,
        #[cfg(feature = "sim")]
        Command::Sim(args) => commands::sim::run(ctx, io, args).await,
        Command::Whoami(args) => commands::whoami::run(ctx, io, &args).await,
        Command::Doctor(args) => Box::pin(commands::doctor::run(ctx, io, &args)).await,
        Command::Config(args) => commands::config::run(ctx, io, &args),
        Command::Completions(args) => {
            let io = io.clone();
            commands::interruptible(ctx, move || commands::completions::run(&io, &args)).await
        }
        Command::Man(args) => {
            let io = io.clone();
            commands::interruptible(ctx, move || commands::man::run(&io, &args)).await
        }
        Command::Help(args) => {
            let io = io.clone();
            commands::interruptible(ctx, move || commands::help::run(&io, &args)).await
        }
    }
}

/// Shows a failure and says how to exit.
pub(crate) fn report(io: &Io, failure: &Failure, format: Option<Format>) -> Exit {
    let shown = error_report(io, failure);
    // Nobody reads any more: the exit code still tells.
    let _ = shown.write(io, format.unwrap_or_default());
    failure.exit()
}

fn error_report<'a>(io: &Io, failure: &'a Failure) -> ErrorReport<'a> {
    ErrorReport {
        kind: failure.kind.as_str(),
        message: &failure.message,
        causes: &failure.causes,
        hints: &failure.hints,
        request_id: failure.request_id.as_deref(),
        changed: failure.changed == Changed::Possibly,
        is_simulated: io.is_simulated(),
    }
}

/// What clap has to say: help and version on stdout, mistakes on stderr and, where JSON was asked for, as JSON too.
fn usage(io: &Io, error: &clap::Error, args: &[OsString], format: Option<Format>) -> Exit {
    if !error.use_stderr() {
        let text = error.render();
        let shown = if io.stdout_style().colour { text.ansi().to_string() } else { text.to_string() };
        let _ = io.stdout().write_all(shown.as_bytes());
        return Exit::Success;
    }
    let text = error.render();
    let shown = if io.stderr_style().colour { text.ansi().to_string() } else { text.to_string() };
    let meant = meant(error, args);
    let hint = meant.as_ref().map_or_else(String::new, |meant| format!("hint: {meant}\n"));
    let _ = io.stderr().write_all((shown + &hint).as_bytes());
    if format.is_some() {
        let plain = text.to_string();
        let message = plain.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
        let failure = Failure::usage(message).hint(meant.unwrap_or_else(|| "See --help.".to_owned()));
        let document = error_report(io, &failure);
        let _ = writeln!(io.stdout(), "{}", document.json());
    }
    Exit::Usage
}

/// What was most likely meant by a word that clap has no place for.
fn meant(error: &clap::Error, args: &[OsString]) -> Option<String> {
    use clap::error::{ContextKind, ContextValue, ErrorKind};
    let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidArg) else { return None };
    if error.kind() != ErrorKind::UnknownArgument || word.starts_with('-') {
        return None;
    }
    let before = args.iter().position(|arg| *arg == **word).and_then(|at| args.get(at.checked_sub(1)?));
    match before {
        Some(flag) if flag == "--sim" => Some(format!("Write --sim={word}: the value is optional.")),
        _ if args.iter().any(|arg| arg == "exec") => {
            Some(format!("What is to run on the nodes stands behind `--`: -- {word}"))
        }
        _ => None,
    }
}

/// Whether errors are to be JSON as well. Known before the arguments parse, since they may not.
fn error_format(args: &[OsString]) -> Option<Format> {
    let mut words = args.iter().skip(1).filter_map(|arg| arg.to_str()).take_while(|word| *word != "--");
    while let Some(word) = words.next() {
        let value = match word {
            "--json" => return Some(Format::Json),
            "--jsonl" => return Some(Format::Jsonl),
            "-o" | "--output" => words.next(),
            _ => word.strip_prefix("--output=").or_else(|| word.strip_prefix("-o")),
        };
        match value {
            Some("json") => return Some(Format::Json),
            Some("jsonl") => return Some(Format::Jsonl),
            _ => {}
        }
    }
    None
}
