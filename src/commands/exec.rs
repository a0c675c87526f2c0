//! `herder exec`: arguments to options.

use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use herder_core::fanout::{Eagerness, Interrupt, Job};
use herder_core::journal::Replay;
use herder_core::run_id::RunId;
use herder_core::time::{Bounds, parse_duration};
use serde::Serialize;

use crate::args::{OutputArgs, RolloutArgs, TargetArgs};
use crate::commands::write_out;
use crate::ctx::Ctx;
use crate::exit::Exit;
use crate::failure::{Failure, Kind};
use crate::io::Io;
use crate::ops::exec::{
    ExecOptions, GivenValues, OpenChannels, Places, Recipe, Rollout, WorkSource, choose, hand_over, prepare,
    preview, split_env, split_parameters,
};
use crate::ops::guards::{Checked, check, check_resumed};
use crate::ops::place::Place;
use crate::ops::preview::Comes;
use crate::ops::run::{End, Prepared, Start, ThrottleEvents, drive};
use crate::ops::targets::{Resolved, TargetSpec, resolve};
use crate::render::{Column, Format, ListOptions, Renderer, renderer, shown};
use crate::scopes::Scopes;

/// Run a command on many nodes
///
/// COMMAND as one argument is a line for the node's shell, as with ssh. Several arguments are an exact argv, quoted so that the
/// command receives them byte for byte. What is sent stands in Run Command's history as typed, values of --env included: keep
/// secrets in Parameter Store and let the node fetch them.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  herder exec -t web-1 -- uptime
  herder exec -t 'tag:env=prod and tag:role=web' -- systemctl restart nginx
  herder exec -t tag:env=prod -c 10% --max-errors 2% -- 'df -h / | tail -1'
  herder exec -t tag:env=prod --waves 1,10%,100% --dry-run -- ./update.sh
  herder exec -t asg:web-prod --waves 1,10%,100% --soak 5m --gate ./healthy.sh -- ./update.sh
  herder exec -t asg:web-prod --waves 1,10%,100% --gate tg:web --stop-on-alarm web-5xx --calendar release -- ./update.sh
  herder exec -t 'tg:web and not az:us-east-1a' -- systemctl reload nginx
  herder exec -t tag:env=prod --via service -c 500 --max-errors 20 -- uptime
  herder exec -t @nodes.txt --script ./fix.sh -- --force
  herder exec -t all --yes --jsonl -- uptime | jq -r 'select(.type==\"target_finished\") | .verdict'
  herder exec -t @last:failed -- journalctl -u nginx -n 20
  herder exec -t tag:role=web --s3 herder-output/logs --out-dir logs -- journalctl -u nginx
  herder exec -t web-1 --log-group /ops/herder -- ./deploy.sh
  herder exec -t tag:role=db --document AWS-RunPatchBaseline -p Operation=Scan")]
pub(crate) struct ExecArgs {
    #[command(flatten)]
    pub(crate) targets: TargetArgs,

    #[command(flatten)]
    pub(crate) rollout: RolloutArgs,

    #[command(flatten)]
    pub(crate) output: OutputArgs,

    /// Send this script; what stands after `--` are its arguments
    #[arg(long, value_name = "FILE", help_heading = "Command options")]
    pub(crate) script: Option<PathBuf>,

    /// Give herder's standard input to the command, on each node
    #[arg(long, help_heading = "Command options")]
    pub(crate) stdin: bool,

    /// Run it as this user, in a login environment
    #[arg(long, value_name = "USER", help_heading = "Command options")]
    pub(crate) user: Option<String>,

    /// Run it in this directory
    #[arg(long, value_name = "DIR", help_heading = "Command options")]
    pub(crate) cwd: Option<String>,

    /// Run it with this shell in place of the agent's `sh`
    #[arg(long, value_name = "SHELL", conflicts_with = "script", help_heading = "Command options")]
    pub(crate) shell: Option<String>,

    /// Set a variable from herder's environment, or NAME=VALUE (can be repeated)
    #[arg(long, value_name = "NAME[=VALUE]", help_heading = "Command options")]
    pub(crate) env: Vec<String>,

    /// Set the variables of a file of NAME=VALUE lines (can be repeated)
    #[arg(long, value_name = "FILE", help_heading = "Command options")]
    pub(crate) env_file: Vec<PathBuf>,

    /// Run another document than the shell's
    #[arg(long, value_name = "NAME", conflicts_with_all = ["script", "stdin", "user", "cwd", "shell", "env", "env_file"], help_heading = "Command options")]
    pub(crate) document: Option<String>,

    /// The document's version
    #[arg(long, value_name = "VERSION", requires = "document", help_heading = "Command options")]
    pub(crate) document_version: Option<String>,

    /// A parameter of the document (can be repeated; the same name again adds a value)
    #[arg(
        short,
        long = "parameter",
        value_name = "NAME=VALUE",
        requires = "document",
        help_heading = "Command options"
    )]
    pub(crate) parameters: Vec<String>,

    /// How long it may run on a node, 5 s to 48 h; 1h unless given, and a document keeps its own
    #[arg(long, value_name = "DURATION", value_parser = timeout, conflicts_with = "document", help_heading = "Command options")]
    pub(crate) timeout: Option<Duration>,

    /// How long a node may take to begin, 30 s to 30 d
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = delivery_timeout, help_heading = "Command options")]
    pub(crate) delivery_timeout: Duration,

    /// Send again where the answer to a send was lost and no trace of it is found; a node may run it twice
    #[arg(long, help_heading = "Rollout options")]
    pub(crate) resend_ambiguous: bool,

    /// Let nodes put their outputs into S3, and take them from there: whole, byte for byte, of any length
    ///
    /// Below `PREFIX/COMMAND/NODE/`. The nodes' role needs s3:PutObject there, you need s3:GetObject and s3:ListBucket. What nodes
    /// put there stays there.
    #[arg(long, value_name = "BUCKET[/PREFIX]", help_heading = "Output options")]
    pub(crate) s3: Option<String>,

    /// Let nodes write their outputs to this CloudWatch log group too, and show them as they are written
    ///
    /// Streams are COMMAND/NODE/PLUGIN/stdout and stderr. The nodes' role needs logs:CreateLogGroup, logs:CreateLogStream,
    /// logs:DescribeLogStreams and logs:PutLogEvents, you need logs:FilterLogEvents. It adds a second or more to each node's time.
    #[arg(long, value_name = "GROUP", help_heading = "Output options")]
    pub(crate) log_group: Option<String>,

    /// What the exit code tells: of the run, or of the command on its one target; herder's own failures are 255 then
    #[arg(long, value_name = "WHOSE", value_enum, default_value_t = ExitOf::Run, help_heading = "Output options")]
    pub(crate) exit: ExitOf,

    /// The command
    #[arg(last = true, value_name = "COMMAND", required_unless_present_any = ["script", "document"], conflicts_with = "document")]
    pub(crate) command: Vec<String>,
}

/// Whose exit code herder's is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum ExitOf {
    /// herder's own, by verdicts
    Run,
    /// The remote command's, where there is one target
    Remote,
}

/// Unless `--timeout` says otherwise.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(3600);

/// How a failure of herder's own exits with `--exit remote`; an interrupt stays one.
pub(crate) fn own_failure(exit: Exit) -> Exit {
    if exit == Exit::Interrupted { exit } else { Exit::Remote(255) }
}

/// The code of the command on the one target, where it has one.
fn remote_exit(end: &End) -> Exit {
    match (end.exit, end.exit_code) {
        (Exit::Interrupted, _) => Exit::Interrupted,
        (Exit::Success, None) => Exit::Success,
        (Exit::Success | Exit::Failed, Some(code)) if end.failure.is_none() => {
            Exit::Remote(u8::try_from(code).unwrap_or(255))
        }
        (exit, _) => own_failure(exit),
    }
}

/// The agent takes 5 to 172,800 s and silently makes 3,600 of anything else (facts §4.1).
fn timeout(text: &str) -> Result<Duration, String> {
    let bounds = Bounds { min: Duration::from_secs(5), max: Duration::from_secs(172_800) };
    parse_duration(text, bounds).map_err(|error| error.to_string())
}

/// `SendCommand`'s TimeoutSeconds: 30 to 2,592,000.
fn delivery_timeout(text: &str) -> Result<Duration, String> {
    let bounds = Bounds { min: Duration::from_secs(30), max: Duration::from_secs(2_592_000) };
    parse_duration(text, bounds).map_err(|error| error.to_string())
}

pub(crate) async fn run(ctx: &Ctx, io: &Io, args: ExecArgs) -> Result<Exit, Failure> {
    if args.document.is_none() && !args.parameters.is_empty() {
        return Err(Failure::usage("-p gives a document's parameter, and no document was named")
            .hint("Name it with --document, or leave -p out."));
    }
    let spec = TargetSpec::new(&args.targets, args.rollout.spread, ctx)?;
    if args.stdin && spec.reads_stdin() {
        return Err(Failure::usage(
            "standard input can't be both the targets (-t -) and the command's (--stdin)",
        )
        .hint("Put one of the two into a file: -t @FILE."));
    }
    let choice = hand_over(&args.rollout, &args.targets, &spec)?;
    let input = match (args.stdin, spec.reads_stdin()) {
        (true, _) => Some(read_stdin(ctx, io, Piped::Input).await?),
        (_, true) => Some(read_stdin(ctx, io, Piped::Targets).await?),
        (false, false) => None,
    };
    let (recipe, mut given) = recipe(&args)?;
    warn_of_values(io, &args.env);
    if !args.rollout.dry_run {
        ctx.runs().check_writable()?;
    }
    let throttles = ThrottleEvents::default();
    let listed = input.as_deref().filter(|_| !args.stdin);
    let looking = ctx.until_interrupted(async {
        let mut scopes = Box::pin(ctx.open_scopes(Some(throttles.observer()))).await?;
        let resolved = Box::pin(resolve(ctx, &mut scopes, spec, listed)).await?;
        // Those that can't be worked in are known now.
        let channels = Box::pin(OpenChannels::open(&scopes, &recipe.places, &throttles)).await?;
        Ok((scopes, channels, resolved))
    });
    let (scopes, channels, mut resolved) = super::while_looking(ctx, io, looking).await?;
    given.stdin = input.filter(|_| args.stdin);
    let count = resolved.targets.len() as u64;
    if args.exit == ExitOf::Remote && count > 1 {
        let failure = Failure::usage(format!("--exit remote is for one target, and {count} were chosen"))
            .hint("Choose one with -t or --limit 1, or leave --exit away.");
        return Ok(crate::report(io, &failure, Some(args.output.format())));
    }
    let (recipe, waves) = args.rollout.apply(recipe, count)?;
    resolved.warnings.extend(args.rollout.wave_warnings(count));
    let mut options = ExecOptions {
        recipe,
        given,
        resolved,
        waves,
        eagerness: eagerness(&args.output),
        resend_ambiguous: args.resend_ambiguous,
        note: args.rollout.reason.clone(),
        channels,
    };
    if let Some(why) = choose(choice, &mut options, &scopes)? {
        let _ = writeln!(io.stderr(), "{why}");
    }
    let launch = Launch { ctx, io, scopes: &scopes, throttles: &throttles, output: &args.output };
    if args.rollout.dry_run {
        return launch.show_plan(&options).await;
    }
    let deed = format!("run `{}` on", options.recipe.title());
    launch.confirm(&options.resolved, &deed).await?;
    let end = launch.run(options).await?;
    if let (Some(document), None) = (&args.document, &end.failure) {
        scopes.iter().for_each(|open| ctx.gathered.document(&open.identity, document));
    }
    Ok(if args.exit == ExitOf::Remote { remote_exit(&end) } else { end.exit })
}

/// What a run is launched with.
pub(crate) struct Launch<'a> {
    pub(crate) ctx: &'a Ctx,
    pub(crate) io: &'a Io,
    pub(crate) scopes: &'a Scopes,
    pub(crate) throttles: &'a ThrottleEvents,
    pub(crate) output: &'a OutputArgs,
}

impl Launch<'_> {
    /// Makes the run and drives it to its end.
    pub(crate) async fn run(&self, options: ExecOptions) -> Result<End, Failure> {
        let checked = self.check(&options.recipe.rollout).await?;
        checked.allow()?;
        self.output.make_out_dir()?;
        let prepared = prepare(self.ctx, self.scopes, options, checked)?;
        self.drive(prepared, |_, _| Ok(())).await
    }

    /// Drives a run to its end; `earlier` shows first what was done before.
    pub(crate) async fn drive<J: Job>(
        &self,
        prepared: Prepared<J>,
        earlier: impl FnOnce(&Start<J>, &mut dyn Renderer) -> Result<(), Failure>,
    ) -> Result<End, Failure>
    where
        Failure: From<J::Error>,
    {
        let Prepared { start, lock } = prepared;
        let mut renderer = renderer(self.io, &self.output.render_options(self.ctx));
        earlier(&start, renderer.as_mut())?;
        let run = start.run.clone();
        let goes_on = start.job.goes_on_by_itself();
        let end = drive(self.ctx, self.scopes, self.throttles, start, renderer).await?;
        drop(lock);
        conclude(self.ctx, self.io, (&run, goes_on), &end);
        Ok(end)
    }

    /// Looks up what guards the run.
    pub(crate) async fn check(&self, rollout: &Rollout) -> Result<Checked, Failure> {
        let places = self.scopes.iter().map(Place::from).collect();
        self.ctx.until_interrupted(check(places, &rollout.guards)).await
    }

    /// The same for a run that goes on: what can't be looked at keeps it from sending anything more, not from reading what was sent.
    pub(crate) async fn check_again(&self, rollout: &Rollout) -> Result<Checked, Failure> {
        let places = self.scopes.iter().map(Place::from).collect();
        let check = check_resumed(places, &rollout.guards);
        self.ctx.until_interrupted(async { Ok(check.await) }).await
    }

    /// `all` always asks, unless --yes. `deed` is what is done, up to the nodes: `run … on`.
    pub(crate) async fn confirm(&self, resolved: &Resolved, deed: &str) -> Result<(), Failure> {
        if !resolved.is_all || self.ctx.settings.yes.value {
            return Ok(());
        }
        let (first, rest) = deed.split_at_checked(1).unwrap_or((deed, ""));
        let (count, place) = (resolved.targets.len(), self.scopes.place());
        let question = format!("{}{rest} all {count} nodes of {place}?", first.to_uppercase());
        let declined = |message: &str| {
            Failure::new(Kind::Refused, message)
                .hint("Give --yes to go ahead without being asked, or choose fewer nodes.")
        };
        let io = self.io.clone();
        match self.ctx.until_interrupted(blocking(move || io.confirm(&question))).await? {
            Ok(true) => Ok(()),
            Ok(false) => Err(declined("not confirmed; nothing was sent")),
            Err(error) => {
                Err(declined("`all` has to be confirmed, and there is no terminal to ask at")
                    .caused_by(&error))
            }
        }
    }

    /// `--dry-run`. The list of targets is data, what it comes to is talk.
    pub(crate) async fn show_plan(&self, options: &ExecOptions) -> Result<Exit, Failure> {
        let checked = self.check(&options.recipe.rollout).await?;
        checked.require_all()?;
        let preview = preview(self.ctx, self.scopes, options)?;
        let lines = preview.lines(self.scopes, options).into_iter().chain(checked.lines());
        self.write_plan(lines, &preview.comes, (&PLAN_COLUMNS, &preview.targets))
    }

    /// One JSON document has both; every other format has the targets.
    pub(crate) fn write_plan<T: Serialize>(
        &self,
        lines: impl IntoIterator<Item = String>,
        comes: &Comes,
        (columns, targets): (&[Column], &[T]),
    ) -> Result<Exit, Failure> {
        let mut stderr = self.io.stderr();
        for line in lines.into_iter().chain(self.ctx.settings.default_lines()) {
            let _ = writeln!(stderr, "{}", shown(self.io, &line));
        }
        if self.output.format() == Format::Json {
            let document = serde_json::json!({ "plan": comes, "targets": targets });
            return write_out(self.io, format!("{document}\n").as_bytes());
        }
        let list = ListOptions {
            format: self.output.format(),
            columns: Vec::new(),
            sort: None,
            zone: self.ctx.zone(),
            is_qualified: self.scopes.count() > 1,
        };
        crate::commands::write_list(self.io, columns, &list, targets)
    }
}

/// What a person should read after the results: the error that ended it, and how to go on after leaving. With the run, whether what
/// was sent goes on without this process.
fn conclude(ctx: &Ctx, io: &Io, (run, goes_on): (&RunId, bool), end: &End) {
    if let Some(failure) = &end.failure {
        crate::report(io, failure, None);
    }
    // A simulator in the process is gone with it: there is nothing to go on with.
    if ctx.sim.is_some()
        || (end.interrupt == Interrupt::None && !end.has_unknown && end.exit != Exit::Stopped)
    {
        return;
    }
    // A journal that can't be read says nothing of what is left; resuming says why.
    let open = ctx.runs().open(run).and_then(|directory| Ok(Replay::read(&directory)?.open().count()));
    if open.unwrap_or(1) == 0 {
        return;
    }
    let mut stderr = io.stderr();
    if end.interrupt == Interrupt::Leave && goes_on {
        let _ = writeln!(stderr, "what was sent goes on by itself");
        let _ = writeln!(stderr, "Attach again with: herder runs resume {run}");
    } else {
        let limit = end.needs_errors.map(|limit| format!(" --max-errors {limit}")).unwrap_or_default();
        let _ = writeln!(stderr, "Go on with: herder runs resume {run}{limit}");
    }
}

/// Whether somebody reads results while the run goes on.
pub(crate) fn eagerness(output: &OutputArgs) -> Eagerness {
    match output.format() {
        Format::Auto | Format::Jsonl => Eagerness::AsCompleted,
        Format::Json | Format::Csv | Format::Table | Format::Quiet => Eagerness::AtEnd,
    }
}

/// What standard input is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Piped {
    /// A list of targets.
    Targets,
    /// The command's own input.
    Input,
}

impl Piped {
    /// Bytes that are taken: of a list far more than any fleet has, of the input what Run Command may carry.
    fn limit(self) -> u64 {
        match self {
            Piped::Targets => 256 << 20,
            Piped::Input => 64 << 10,
        }
    }

    fn too_much(self) -> Failure {
        match self {
            Piped::Targets => Failure::usage("the list of targets on standard input is over 256 MiB"),
            Piped::Input => {
                Failure::usage("standard input is over 64 KiB, and Run Command carries no more to a node")
                    .hint("Put it into S3 and send a command that fetches it.")
            }
        }
    }
}

pub(crate) async fn read_stdin(ctx: &Ctx, io: &Io, what: Piped) -> Result<Vec<u8>, Failure> {
    let io = io.clone();
    let read = move || {
        let mut input = Vec::new();
        // One byte more, so that what is too much is seen as such.
        io.stdin().take(what.limit() + 1).read_to_end(&mut input).map(|_| input)
    };
    let input = ctx
        .until_interrupted(blocking(read))
        .await?
        .map_err(|error| Failure::usage("could not read standard input").caused_by(&error))?;
    if input.len() as u64 > what.limit() { Err(what.too_much()) } else { Ok(input) }
}

/// Waits for a person or a pipe without holding up what listens for interrupts.
pub(crate) async fn blocking<T: Send + 'static>(
    wait: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Failure> {
    tokio::task::spawn_blocking(wait)
        .await
        .map_err(|error| Failure::new(Kind::Bug, "a wait for input ended early").caused_by(&error))
}

pub(crate) fn warn_of_values(io: &Io, env: &[String]) {
    if env.iter().any(|env| env.contains('=')) {
        let _ = writeln!(
            io.stderr(),
            "warning: values given with --env NAME=VALUE stand in the process list; use --env NAME or --env-file"
        );
    }
}

fn recipe(args: &ExecArgs) -> Result<(Recipe, GivenValues), Failure> {
    let absolute_path = |path: &PathBuf| {
        std::path::absolute(path)
            .map_err(|error| Failure::usage(format!("`{}` is not a path", path.display())).caused_by(&error))
    };
    let (env, values) = split_env(&args.env)?;
    let parameters = split_parameters(&args.parameters)?;
    let source = match (&args.document, &args.script, args.command.as_slice()) {
        (Some(name), ..) => WorkSource::Document {
            name: name.clone(),
            version: args.document_version.clone(),
            parameters: parameters.keys().cloned().collect(),
        },
        (None, Some(path), arguments) => {
            WorkSource::Script { path: absolute_path(path)?, arguments: arguments.to_vec() }
        }
        (None, None, [line]) => WorkSource::Line { line: line.clone() },
        (None, None, words) => WorkSource::Argv { words: words.to_vec() },
    };
    if let WorkSource::Line { line } = &source
        && line.trim().is_empty()
    {
        return Err(Failure::usage("the command is empty"));
    }
    let recipe = Recipe {
        source,
        stdin: args.stdin,
        user: args.user.clone(),
        cwd: args.cwd.clone(),
        shell: args.shell.clone(),
        env,
        env_files: args.env_file.iter().map(absolute_path).collect::<Result<_, _>>()?,
        timeout_s: args.timeout.unwrap_or(DEFAULT_TIMEOUT).as_secs(),
        delivery_timeout_s: args.delivery_timeout.as_secs(),
        places: Places::new(args.s3.as_deref(), args.log_group.as_deref())?,
        rollout: Rollout::default(),
        sends: String::new(),
    };
    Ok((recipe, GivenValues { env: values, parameters, stdin: None }))
}

const PLAN_COLUMNS: [Column; 9] = [
    Column::usual("target"),
    Column::usual("name"),
    Column::usual("wave"),
    Column::usual("az"),
    Column::usual("platform"),
    Column::usual("judged"),
    Column::extra("document"),
    Column::extra("account"),
    Column::extra("region"),
];
