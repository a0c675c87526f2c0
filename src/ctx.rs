//! [`Ctx`]: what a command works with. Settings, environment, clock, interrupts, and AWS when it is first needed. No streams.

use std::io::{Read as _, Write as _};
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::{BoxFuture, join_all};
use herder_aws::ThrottleNotice;
use herder_core::fanout::Interrupt;
use herder_core::journal::RunsDirectory;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use tokio::sync::watch;

use crate::failure::Failure;
use crate::settings::{Environment, Settings};

/// The wall clock. Only stamps are taken from it; durations are measured with tokio's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(fn() -> Timestamp);

impl Clock {
    /// The system's clock.
    #[must_use]
    pub(crate) fn system() -> Clock {
        #[expect(clippy::disallowed_methods, reason = "the one place where the wall clock comes from")]
        Clock(Timestamp::now)
    }

    /// Now.
    #[must_use]
    pub(crate) fn now(self) -> Timestamp {
        (self.0)()
    }
}

/// Told of throttles, from any thread.
pub(crate) type OnThrottle = Arc<dyn Fn(ThrottleNotice) + Send + Sync>;

/// How long the end of the process is held up for what is owed: an answer of a busy service, and the call that it makes necessary.
const SETTLE_WITHIN: Duration = Duration::from_secs(10);
/// When whoever waits for that is told what for.
const TOLD_AFTER: Duration = Duration::from_secs(1);

/// What a command works with.
#[derive(Clone)]
pub(crate) struct Ctx {
    /// What holds for the whole process.
    pub settings: Settings,
    /// The process' environment.
    pub environment: Environment,
    /// The wall clock.
    pub clock: Clock,
    /// Ctrl-C and SIGTERM.
    pub interrupts: watch::Receiver<Interrupt>,
    /// What is to be done before the process ends.
    owed: Arc<Mutex<Vec<BoxFuture<'static, ()>>>>,
    /// Random bytes of the kernel, drawn once: for jitter, samples, run ids and the key of hashes.
    random: [u8; 32],
    /// The first of them, as a number.
    pub seed: u64,
    /// Where MFA codes are asked for, and what is told that all of it is simulated.
    pub(crate) terminal: Option<crate::io::Io>,
    /// Instances that EC2 has described so far, for progress.
    pub(crate) found: Arc<AtomicUsize>,
    /// What is seen of nodes, for completions.
    pub(crate) gathered: Arc<crate::complete::Gathered>,
    /// The simulator in this process, if there is one.
    pub(crate) sim: Option<Arc<crate::sim::InProcess>>,
}

impl Ctx {
    /// A context without a simulator.
    ///
    /// # Errors
    /// The kernel gives no random bytes.
    pub(crate) fn new(
        settings: Settings,
        environment: Environment,
        clock: Clock,
        interrupts: watch::Receiver<Interrupt>,
    ) -> Result<Ctx, Failure> {
        let random = draw()?;
        let seed = random.iter().take(8).fold(0, |seed, byte| seed << 8 | u64::from(*byte));
        Ok(Ctx {
            settings,
            environment,
            clock,
            interrupts,
            owed: Arc::default(),
            random,
            seed,
            terminal: None,
            found: Arc::default(),
            gathered: Arc::default(),
            sim: None,
        })
    }

    /// The same, interrupted by something else.
    pub(crate) fn with_interrupts(&self, interrupts: watch::Receiver<Interrupt>) -> Ctx {
        Ctx { interrupts, ..self.clone() }
    }

    /// Random bytes, for the key of a state directory.
    #[must_use]
    pub(crate) fn random(&self) -> [u8; 32] {
        self.random
    }

    /// Random bytes that nobody has seen: for the keys and ids of a session.
    ///
    /// # Errors
    /// The kernel gives none.
    pub(crate) fn fresh_random(&self) -> Result<[u8; 32], Failure> {
        draw()
    }

    /// The zone of times for people.
    #[must_use]
    pub(crate) fn zone(&self) -> TimeZone {
        if self.settings.utc.value { TimeZone::UTC } else { TimeZone::system() }
    }

    /// The directory of runs.
    #[must_use]
    pub(crate) fn runs(&self) -> RunsDirectory {
        RunsDirectory::below(&self.settings.state_dir.value)
    }

    /// Has something done before the process ends, whatever becomes of the command.
    pub(crate) fn owe(&self, work: BoxFuture<'static, ()>) {
        self.owed.lock().unwrap_or_else(PoisonError::into_inner).push(work);
    }

    /// Does what is owed; not for long, and not past another Ctrl-C.
    pub(crate) async fn settle(&self) {
        let owed = std::mem::take(&mut *self.owed.lock().unwrap_or_else(PoisonError::into_inner));
        let mut interrupts = self.interrupts.clone();
        interrupts.mark_unchanged();
        let tell = async {
            tokio::time::sleep(TOLD_AFTER).await;
            if let Some(io) = &self.terminal {
                let text = "waiting for sessions that were being started, to end them; Ctrl-C leaves them to their idle time";
                let _ = writeln!(io.stderr(), "{text}");
            }
            tokio::time::sleep(SETTLE_WITHIN.saturating_sub(TOLD_AFTER)).await;
        };
        tokio::select! {
            biased;
            _ = join_all(owed) => {}
            Ok(()) = interrupts.changed() => {}
            () = tell => {}
        }
    }

    /// Does what comes before a run, or looks only: a first Ctrl-C ends it, since nothing has been changed.
    ///
    /// # Errors
    /// Its own, or that it was interrupted.
    pub(crate) async fn until_interrupted<T>(
        &self,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let mut interrupts = self.interrupts.clone();
        tokio::select! {
            result = Box::pin(work) => result,
            Ok(()) = interrupts.changed() => {
                Err(Failure::new(crate::failure::Kind::Interrupted, "interrupted; nothing was sent"))
            }
        }
    }
}

fn draw() -> Result<[u8; 32], Failure> {
    let mut random = [0_u8; 32];
    let read = std::fs::File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut random));
    read.map_err(|error| {
        Failure::new(crate::failure::Kind::Local, "could not read `/dev/urandom`").caused_by(&error)
    })?;
    Ok(random)
}

/// Asks at the terminal for the code of an MFA device.
pub(crate) fn mfa_prompt(io: crate::io::Io) -> herder_aws::MfaPrompt {
    Arc::new(move |question: &herder_aws::MfaQuestion| {
        let text = format!("MFA code of {} (profile {}): ", question.serial, question.profile);
        io.ask_hidden(&text).map_err(|error| error.to_string())
    })
}
