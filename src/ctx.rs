//! [`Ctx`]: what a command works with. Settings, environment, clock, interrupts, and AWS when it is first needed. No streams.

use std::io::Read as _;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use herder_aws::{AssumeRole, FixedEndpoint, Meter, MeterOptions, Scope, ScopeOptions, ThrottleNotice};
use herder_core::fanout::Interrupt;
use herder_core::journal::{Identity, RunsDirectory};
use herder_core::limit::{LearnedRates, LimitKey};
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
    /// Random bytes of the kernel, drawn once: for jitter, samples, run ids and the key of hashes.
    random: [u8; 32],
    /// The first of them, as a number.
    pub seed: u64,
    /// Where MFA codes are asked for, and what is told that all of it is simulated.
    pub(crate) terminal: Option<crate::io::Io>,
    /// Instances that EC2 has described so far, for progress.
    pub(crate) found: Arc<AtomicUsize>,
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
            random,
            seed,
            terminal: None,
            found: Arc::default(),
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
        if self.settings.utc { TimeZone::UTC } else { TimeZone::system() }
    }

    /// The directory of runs.
    #[must_use]
    pub(crate) fn runs(&self) -> RunsDirectory {
        RunsDirectory::below(&self.settings.state_dir.value)
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

    /// Opens the account and region that the settings name.
    ///
    /// # Errors
    /// There is no region, no such profile, no credentials; or the simulator can't start.
    pub(crate) async fn open_scope(&self, on_throttle: Option<OnThrottle>) -> Result<OpenScope, Failure> {
        let endpoint = self.sim.as_ref().map(|sim| sim.endpoint());
        // A simulator's quotas teach nothing about an account's.
        let learned = match &endpoint {
            Some(_) => None,
            None => self.settings.cache_dir.as_ref().map(|dir| dir.join("limits.json")),
        };
        let meter = Arc::new(Meter::new(MeterOptions {
            learned,
            now: Some(self.clock.now()),
            seed: self.seed,
            on_throttle,
        }));
        let is_fixed = endpoint.is_some();
        let scope = Scope::open(self.scope_options(endpoint)?, Arc::clone(&meter)).await?;
        let caller = scope.identity().await?;
        let identity = Identity {
            principal: caller.principal().to_owned(),
            account: caller.account,
            region: scope.region().to_owned(),
            // An in-process simulator has another port each time: it is named by what it is.
            endpoint: match &self.sim {
                Some(sim) => Some(sim.name().to_owned()),
                None => scope.endpoint().map(str::to_owned),
            },
            sim: is_fixed || scope.is_simulated(),
        };
        if identity.sim
            && let Some(terminal) = &self.terminal
        {
            terminal.note_simulated();
        }
        let send_rate = self.send_rate(&identity);
        Ok(OpenScope { scope, meter, identity, found: Arc::clone(&self.found), send_rate })
    }

    /// Sends a second that the account was found to take, if an earlier run found out.
    fn send_rate(&self, identity: &Identity) -> Option<f64> {
        if self.sim.is_some() {
            return None;
        }
        let (rates, _) = LearnedRates::load(&self.settings.cache_dir.as_ref()?.join("limits.json"));
        rates.rate(&LimitKey::new(&identity.account, &identity.region, "SendCommand"), self.clock.now())
    }

    fn scope_options(&self, endpoint: Option<FixedEndpoint>) -> Result<ScopeOptions, Failure> {
        let value =
            |setting: &Option<crate::settings::Setting<String>>| setting.as_ref().map(|s| s.value.clone());
        let region = value(&self.settings.region);
        if region.as_ref().is_some_and(|r| r.contains(',') || r == "all") {
            return Err(Failure::usage("this version works on one region at a time")
                .hint("Run it once for each region."));
        }
        let variables = self.environment.all().clone();
        let environment = herder_aws::Environment::new(move |name| variables.get(name).cloned());
        Ok(ScopeOptions {
            profile: value(&self.settings.profile),
            region,
            assume_role: value(&self.settings.assume_role).map(|role| AssumeRole {
                role,
                account: None,
                external_id: None,
            }),
            endpoint,
            mfa: self.terminal.clone().map(mfa_prompt),
            ..ScopeOptions::new(environment)
        })
    }
}

/// An account and region, its quotas, and who is calling.
#[derive(Clone, Debug)]
pub(crate) struct OpenScope {
    /// The services.
    pub(crate) scope: Scope,
    /// Their quotas.
    pub(crate) meter: Arc<Meter>,
    /// Who, where.
    pub(crate) identity: Identity,
    /// Instances that EC2 has described so far.
    pub(crate) found: Arc<AtomicUsize>,
    /// Sends a second that earlier runs learned.
    pub(crate) send_rate: Option<f64>,
}

impl OpenScope {
    /// Keeps what was learned of the quotas. A cache that can't be written costs nothing but speed.
    pub(crate) fn keep_learned(&self, now: Timestamp) {
        let _ = self.meter.save(now);
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
fn mfa_prompt(io: crate::io::Io) -> herder_aws::MfaPrompt {
    Arc::new(move |question: &herder_aws::MfaQuestion| {
        let text = format!("MFA code of {} (profile {}): ", question.serial, question.profile);
        io.ask_hidden(&text).map_err(|error| error.to_string())
    })
}
