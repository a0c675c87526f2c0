//! A simulated computer: its files, its clock, and what runs on it.

use super::disk::{Disk, Native};
use super::stream::lock;
use super::table;
use crate::clock::At;
use crate::draw::Draw;
use crate::fleet::node::Node;
use crate::scenario::FileRule;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

/// Something that runs until it has an exit code.
pub(crate) type Running = Pin<Box<dyn Future<Output = i32> + Send>>;

/// Steps before others get their turn.
const TURN: u32 = 64;

/// How time passes.
#[derive(Debug)]
enum Pace {
    /// Nobody waits: what programs ask for is added up, in microseconds.
    Asked(AtomicU64),
    /// As the host's clock goes, so many times faster.
    Real(f64),
}

/// What a machine is.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    pub(crate) node: Node,
    pub(crate) region: String,
    pub(crate) command_id: String,
    pub(crate) draw: Draw,
    /// When it was looked at first.
    pub(crate) at: At,
    /// Files that it has beside those of every node.
    pub(crate) files: Vec<FileRule>,
}

/// A simulated computer, as one session or one command sees it.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) identity: Identity,
    pub(crate) disk: Arc<Mutex<Disk>>,
    pace: Pace,
    steps: AtomicU32,
    /// Something ran that takes a while on a real node.
    is_slow: AtomicBool,
    behind: Mutex<Behind>,
}

/// What runs in the background.
#[derive(Default)]
struct Behind(Vec<Running>);

impl std::fmt::Debug for Behind {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} running", self.0.len())
    }
}

impl Machine {
    /// A machine for one command, on which no time passes.
    pub(crate) fn for_command(identity: Identity) -> Machine {
        // As much as any command may write: nobody reads it back.
        let disk = Arc::new(Mutex::new(new_disk(&identity, 64 << 20)));
        Machine::new(identity, disk, Pace::Asked(AtomicU64::new(0)))
    }

    /// A machine for a session: files are those of the node, and time passes.
    pub(crate) fn for_session(identity: Identity, disk: Arc<Mutex<Disk>>, speed: f64) -> Machine {
        Machine::new(identity, disk, Pace::Real(speed))
    }

    fn new(identity: Identity, disk: Arc<Mutex<Disk>>, pace: Pace) -> Machine {
        Machine {
            identity,
            disk,
            pace,
            steps: AtomicU32::new(0),
            is_slow: AtomicBool::new(false),
            behind: Mutex::default(),
        }
    }

    /// What the machine's clock says.
    pub(crate) fn now(&self) -> At {
        match &self.pace {
            Pace::Asked(asked) => At(self.identity.at.0 + asked.load(Ordering::Relaxed) as i64),
            Pace::Real(_) => At::now(),
        }
    }

    /// Seconds that programs asked for, where nobody waits.
    pub(crate) fn asked_seconds(&self) -> f64 {
        match &self.pace {
            Pace::Asked(asked) => asked.load(Ordering::Relaxed) as f64 / 1e6,
            Pace::Real(_) => 0.0,
        }
    }

    pub(crate) async fn sleep(&self, seconds: f64) {
        let seconds = seconds.clamp(0.0, 1e6);
        match &self.pace {
            Pace::Asked(asked) => {
                asked.fetch_add((seconds * 1e6) as u64, Ordering::Relaxed);
            }
            Pace::Real(speed) => tokio::time::sleep(Duration::from_secs_f64(seconds / speed)).await,
        }
    }

    /// True where time passes by itself, so that something can run in the background.
    pub(crate) fn has_background(&self) -> bool {
        matches!(self.pace, Pace::Real(_))
    }

    /// Counts a step, and lets others run now and then.
    pub(crate) async fn step(&self) {
        if self.steps.fetch_add(1, Ordering::Relaxed) % TURN != TURN - 1 {
            return;
        }
        let mut has_yielded = false;
        poll_fn(|context| {
            if std::mem::replace(&mut has_yielded, true) {
                return Poll::Ready(());
            }
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }

    pub(crate) fn note_slow(&self) {
        self.is_slow.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_slow(&self) -> bool {
        self.is_slow.load(Ordering::Relaxed)
    }

    /// Runs something in the background.
    pub(crate) fn leave_running(&self, running: Running) {
        lock(&self.behind).0.push(running);
    }

    /// Gives everything in the background its turn.
    pub(crate) fn poll_background(&self, context: &mut Context<'_>) {
        let mut running = std::mem::take(&mut *lock(&self.behind)).0;
        running.retain_mut(|one| one.as_mut().poll(context).is_pending());
        // What was started meanwhile comes after.
        let mut behind = lock(&self.behind);
        running.append(&mut behind.0);
        behind.0 = running;
    }
}

/// A node's files before anybody wrote any.
pub(crate) fn new_disk(identity: &Identity, limit: u64) -> Disk {
    let born = identity.node.launched();
    let source = identity.clone();
    let native: Native = Arc::new(move |path| table::file(path, &source));
    let mut disk = Disk::new(native, born, limit);
    for file in &identity.files {
        file.install(&mut disk);
    }
    disk
}
