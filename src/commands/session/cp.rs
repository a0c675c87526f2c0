//! `herder session cp`: files to and from a node.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use clap::{Arg, Args};
use herder_aws::ssm::StartSession;
use herder_core::target::Platform;
use herder_session::copy::{Copied, Copier, CopyError, CopyOptions, Encoding, Place, Progress, RemotePath};
use tokio::sync::mpsc;
use tokio::time::{Duration, Instant, interval_at};

use super::node::{Chosen, WITH_ONE, choose};
use super::{cp_many, say, simulated};
use crate::args::{OutputArgs, RolloutArgs, TargetArgs};
use crate::ctx::Ctx;
use crate::exit::Exit;
use crate::failure::{Failure, Kind};
use crate::io::Io;
use crate::ops::copies::size;
use crate::ops::session::{CopyNode, Launcher, copy_failure};
use crate::render::{Board, Tint, counted};

/// Words before a colon that belong to a selector and are no node's name.
pub(super) const KEYWORDS: [&str; 14] = [
    "name", "tag", "asg", "tg", "az", "vpc", "subnet", "ami", "rg", "platform", "ping", "agent", "ecs", "id",
];
/// How often progress is drawn.
const REDRAW: Duration = Duration::from_millis(200);
/// How long a copy takes before progress is shown.
const PATIENCE: Duration = Duration::from_secs(1);

/// Copy files to or from a node, or many, without ssh
///
/// One side is NODE:PATH, the other a path here or - for standard input or output. The node needs nothing but what any Linux has. Every
/// file is written beside its destination, checked with SHA-256 and renamed over it. A local path with a colon in it is ./PATH.
///
/// A copy that broke off is started again with the same line: the file that it was at goes on where it was, if what is there of it is the
/// same. Files of a directory that were complete are copied again, and those up to 256 KiB on their way to a node begin anew. What comes
/// from - or from a pipe is read to its end, and begins anew.
///
/// With -r links to files are followed; links to directories, pipes and devices are left out, which is said and exits 1.
///
/// With -t the side on the nodes is :PATH, and the copy goes to or from every node that is chosen: a run like that of `herder exec`, with
/// its budget, waves and journal, which `herder runs resume` goes on with. What comes from many nodes goes into a directory for each,
/// DST/ID.
#[derive(Args, Clone, Debug)]
#[command(
    mut_args(only_with_target),
    after_help = "\
Examples:
  herder session cp app.tar.gz web-1:/tmp/
  herder session cp -r web-1:/var/log/nginx ./logs
  herder session cp web-1:/etc/hosts - | grep db
  pg_dump shop | herder session cp - 'tag:role=backup:/srv/shop.sql'
  herder session cp app.conf :/etc/app.conf -t tag:role=web --waves 1,10%,100%
  herder session cp -r :/var/log/nginx ./logs -t asg:web-prod"
)]
pub(super) struct SessionCpArgs {
    /// What is copied: PATH, NODE:PATH or -; with -t PATH or :PATH
    #[arg(value_name = "SRC")]
    pub(super) source: String,

    /// Where to: PATH, NODE:PATH or -; with -t PATH or :PATH
    #[arg(value_name = "DST")]
    pub(super) destination: String,

    /// Copy directories with all that is in them
    #[arg(short, long)]
    pub(super) recursive: bool,

    /// Keep permissions, and the times of files to the nanosecond where the node's touch can; setuid, setgid and sticky bits are not kept,
    /// which is said
    #[arg(short, long)]
    pub(super) preserve: bool,

    /// Begin anew, whatever an earlier copy has left
    #[arg(long)]
    pub(super) no_resume: bool,

    /// Upload as base64, for what might change bytes on the way
    #[arg(long)]
    pub(super) base64: bool,

    #[command(flatten)]
    pub(super) targets: TargetArgs,

    #[command(flatten)]
    pub(super) rollout: RolloutArgs,

    #[command(flatten)]
    pub(super) output: OutputArgs,
}

/// Flags that a copy with one node takes too; all others are those of a run.
const OF_ONE: [&str; 8] =
    ["source", "destination", "recursive", "preserve", "no_resume", "base64", "target", "reason"];

fn only_with_target(arg: Arg) -> Arg {
    let id = arg.get_id().as_str();
    // The service carries no files.
    let is_hidden = id == "via";
    if OF_ONE.contains(&id) { arg } else { arg.requires("target").hide(is_hidden) }
}

/// What is to be done.
enum Task {
    Upload { from: Place, node: String, to: RemotePath },
    Download { node: String, from: RemotePath, to: Place },
}

impl Task {
    fn new(args: &SessionCpArgs) -> Result<Task, Failure> {
        let place =
            |text: &str| Place::parse(text, &KEYWORDS).map_err(|error| Failure::usage(error.to_string()));
        let task = match (place(&args.source)?, place(&args.destination)?) {
            (Place::Elsewhere(_), _) | (_, Place::Elsewhere(_)) => {
                return Err(Failure::usage("a side of the copy names no node before the colon")
                    .hint("Write NODE:PATH, or choose nodes with -t SELECTOR for :PATH."));
            }
            (Place::Remote { .. }, Place::Remote { .. }) => {
                return Err(Failure::usage(
                    "a copy is between this machine and a node, not between two nodes",
                )
                .hint("Copy through this machine: herder session cp A:PATH - | herder session cp - B:PATH"));
            }
            (Place::Remote { node, path }, to) => Task::Download { node, from: path, to },
            (from, Place::Remote { node, path }) => Task::Upload { from, node, to: path },
            _ => {
                return Err(Failure::usage("neither side of the copy is on a node")
                    .hint("Write a node's side as NODE:PATH, such as web-1:/tmp/."));
            }
        };
        let has_stream = matches!(
            &task,
            Task::Upload { from: Place::Stream, .. } | Task::Download { to: Place::Stream, .. }
        );
        if args.recursive && has_stream {
            return Err(Failure::usage("a directory can't be copied from or to a stream"));
        }
        if let Task::Upload { from: Place::Local(path), .. } = &task {
            check_source(path, args.recursive)?;
        }
        Ok(task)
    }

    /// Whether what has arrived is gone on with by the next copy.
    fn goes_on(&self) -> bool {
        match self {
            Task::Upload { from: Place::Local(path), .. } => path.is_file() || path.is_dir(),
            Task::Download { to: Place::Local(_), .. } => true,
            _ => false,
        }
    }

    fn node(&self) -> &str {
        match self {
            Task::Upload { node, .. } | Task::Download { node, .. } => node,
        }
    }
}

/// What is uploaded is there, and a directory only where that is meant.
pub(super) fn check_source(path: &Path, is_recursive: bool) -> Result<(), Failure> {
    let metadata = std::fs::metadata(path).map_err(|error| {
        Failure::new(Kind::NotFound, format!("could not read `{}`", path.display())).caused_by(&error)
    })?;
    if metadata.is_dir() && !is_recursive {
        return Err(
            Failure::usage(format!("`{}` is a directory", path.display())).hint("Copy directories with -r.")
        );
    }
    Ok(())
}

pub(super) async fn run(ctx: &Ctx, io: &Io, args: &SessionCpArgs) -> Result<Exit, Failure> {
    if !args.targets.target.is_empty() {
        return cp_many::run(ctx, io, args).await;
    }
    let task = Task::new(args)?;
    let node =
        choose(ctx, io, task.node()).await.map_err(|failure| match failure.message.ends_with(WITH_ONE) {
            true => failure.hint(format!("Copy with all of them: -t '{}' and :PATH.", task.node())),
            false => failure,
        })?;
    if node.platform == Some(Platform::Windows) {
        return Err(for_no_windows(&format!("{} is a Windows node", node.title())));
    }
    let launcher = Launcher::new(ctx, node.open.scope.clone())?.with_quiet_start();
    let target = StartSession {
        target: node.id.clone(),
        reason: args.rollout.reason.clone(),
        ..StartSession::default()
    };
    let (notices, said) = mpsc::unbounded_channel();
    let sessions = CopyNode::new(&launcher, &node.open, target, notices);
    let mut interrupts = ctx.interrupts.clone();
    let result = tokio::select! {
        result = watched(ctx, io, args, (&task, &sessions), said) => result,
        Ok(()) = interrupts.changed() => {
            let kept = match task.goes_on() && !args.no_resume {
                true => "interrupted; the same copy goes on with what has arrived",
                false => "interrupted; the file is not in its place",
            };
            Err(Failure::new(Kind::Interrupted, kept))
        }
    };
    // Ends a script that waits for more.
    sessions.finish().await;
    let copied = result.map_err(|failure| node.named(failure))?;
    if io.stderr_style().is_tty {
        say(io, &summary(&copied, &node, simulated(io)), false);
    }
    Ok(if copied.skipped > 0 { Exit::Failed } else { Exit::Success })
}

/// What a copy needs is on no Windows node.
pub(super) fn for_no_windows(what: &str) -> Failure {
    Failure::usage(format!("{what}, and cp is not for those yet")).hint("Copy through S3 with `herder exec`.")
}

fn summary(copied: &Copied, node: &Chosen, simulated: &str) -> String {
    let files = counted(copied.files, "file");
    let resumed = match copied.resumed {
        0 => String::new(),
        bytes => format!(", {} were there already", size(bytes)),
    };
    let skipped = match copied.skipped {
        0 => String::new(),
        count => format!(", {count} left out"),
    };
    format!(
        "Copied and checked {files}, {}{resumed}{skipped}, with {}{simulated}",
        size(copied.bytes),
        node.title()
    )
}

/// How far it is.
#[derive(Debug, Default)]
struct Meter {
    name: String,
    size: Option<u64>,
    here: u64,
    /// Of all files, since the beginning.
    bytes: u64,
    warnings: Vec<String>,
}

impl Meter {
    fn take(&mut self, progress: Progress) {
        match progress {
            Progress::File { name, size, offset } => {
                (self.name, self.size, self.here) = (name, size, offset);
            }
            Progress::Bytes(count) => {
                self.here += count;
                self.bytes += count;
            }
            Progress::Skipped { name, reason } => {
                self.warnings.push(format!("warning: {name} is left out: {reason}"))
            }
            Progress::Noted { name, what } => self.warnings.push(format!("warning: {name}: {what}")),
            _ => {}
        }
    }

    fn line(&self, elapsed: Duration) -> String {
        let rate = self.bytes as f64 / elapsed.as_secs_f64().max(0.001);
        let rate = size(rate as u64);
        match self.size.filter(|total| *total > 0) {
            Some(total) => {
                let share = self.here.min(total) * 100 / total;
                format!("{share:>3}%  {} of {}  {rate}/s  {}", size(self.here), size(total), self.name)
            }
            None => format!("{}  {rate}/s  {}", size(self.here), self.name),
        }
    }
}

/// Copies, and shows how far it is.
async fn watched(
    ctx: &Ctx,
    io: &Io,
    args: &SessionCpArgs,
    (task, node): (&Task, &CopyNode<'_>),
    mut said: mpsc::UnboundedReceiver<String>,
) -> Result<Copied, Failure> {
    let meter = Mutex::new(Meter::default());
    let locked = || meter.lock().unwrap_or_else(PoisonError::into_inner);
    let progress = |progress| locked().take(progress);
    let mut marker = [0; 16];
    marker.copy_from_slice(&ctx.fresh_random()?[..16]);
    let options = CopyOptions {
        preserve: args.preserve,
        umask: crate::io::umask(),
        resume: !args.no_resume,
        encoding: if args.base64 { Encoding::Base64 } else { Encoding::Raw },
    };
    let copier = Copier::new(node, marker, options, &progress);
    let began = Instant::now();
    let mut copying = std::pin::pin!(carry(io, args.recursive, task, &copier));
    let mut redraw = interval_at(began + PATIENCE, REDRAW);
    let board = Board::new(io);
    let result = loop {
        tokio::select! {
            result = &mut copying => break result,
            Some(text) = said.recv() => {
                board.clear();
                say(io, &text, false);
            }
            _ = redraw.tick() => {
                let line = locked().line(began.elapsed());
                board.draw(&[(line, Tint::Plain)]);
            }
        }
    };
    board.clear();
    for warning in std::mem::take(&mut locked().warnings) {
        say(io, &warning, false);
    }
    result.map_err(|error| copy_failure(&error, node).1)
}

async fn carry(
    io: &Io,
    is_tree: bool,
    task: &Task,
    copier: &Copier<'_, CopyNode<'_>>,
) -> Result<Copied, CopyError> {
    let stream = |action: &'static str| {
        move |source| CopyError::Local { action, path: Path::new("-").to_owned(), source }
    };
    match task {
        Task::Upload { from: Place::Local(from), to, .. } if is_tree && from.is_dir() => {
            copier.upload_tree(from, to).await
        }
        Task::Upload { from: Place::Local(from), to, .. } => copier.upload(from, to).await,
        Task::Upload { to, .. } => {
            let stdin = io.descriptors().map_err(stream("read"))?.stdin;
            copier.upload_stream(tokio::fs::File::from_std(stdin.into()), to).await
        }
        Task::Download { from, to: Place::Local(to), .. } if is_tree => copier.download_tree(from, to).await,
        Task::Download { from, to: Place::Local(to), .. } => copier.download(from, to).await,
        Task::Download { from, .. } => {
            let stdout = io.descriptors().map_err(stream("write"))?.stdout;
            copier.download_stream(from, tokio::fs::File::from_std(stdout.into())).await
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_tells_how_far_and_how_fast() {
        let mut meter = Meter::default();
        meter.take(Progress::File { name: "app.tar".into(), size: Some(4_000_000), offset: 1_000_000 });
        meter.take(Progress::Bytes(1_000_000));
        assert_eq!(meter.line(Duration::from_secs(2)), " 50%  2.0 MB of 4.0 MB  500.0 KB/s  app.tar");
        meter.take(Progress::File { name: "-".into(), size: None, offset: 0 });
        assert_eq!(meter.line(Duration::from_secs(1)), "0 B  1.0 MB/s  -");
        meter.take(Progress::File { name: "empty".into(), size: Some(0), offset: 0 });
        assert!(meter.line(Duration::ZERO).ends_with("empty"));
    }
}
