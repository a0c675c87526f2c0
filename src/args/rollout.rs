//! How a change goes over many targets.

use std::time::Duration;

use clap::{Args, ValueEnum};
use herder_core::event::RunGuards;
use herder_core::target::{Share, wave_ends};
use herder_core::time::{Bounds, parse_duration};

use crate::failure::Failure;
use crate::ops::exec::{Recipe, Rollout};
use crate::ops::guards::Gate;
use crate::render::counted;

/// How a change goes over many targets.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Rollout options")]
pub(crate) struct RolloutArgs {
    /// Targets at once, as a count or a percentage
    #[arg(short, long, value_name = "N|N%", default_value = "50")]
    pub concurrency: Share,

    /// Stop when more targets than this are bad (failed, timed out, undelivered, denied or unknown)
    #[arg(long, value_name = "N|N%", default_value = "0")]
    pub max_errors: Share,

    /// Go in waves: how many targets are reached by the end of each, such as 1,10%,100%
    ///
    /// A percentage is at least one target. What the last one leaves over is a wave of its own.
    #[arg(long, value_name = "N|N%,…", value_delimiter = ',', value_parser = wave)]
    pub waves: Vec<Share>,

    /// Let every wave have its part of each zone or Auto Scaling group
    #[arg(long, value_name = "BY", value_enum)]
    pub spread: Option<Spread>,

    /// Wait so long between two waves
    #[arg(long, value_name = "DURATION", value_parser = duration, requires = "waves")]
    pub soak: Option<Duration>,

    /// Ask between waves: a command, alarm:NAME or tg:ARN; a no, or no answer within 60 s, stops the run (can be repeated)
    ///
    /// A command is a local `sh -c`, with HERDER_RUN and HERDER_WAVE set; not zero is a no. An alarm must not be in ALARM. Of a target
    /// group, by name or ARN, every registered target must be healthy; those that are not yet are waited for.
    #[arg(long, value_name = "CMD|alarm:NAME|tg:ARN", requires = "waves", value_parser = gate)]
    pub gate: Vec<String>,

    /// Stop when this alarm goes into ALARM, at any time: nothing new is sent, what runs finishes (can be repeated)
    ///
    /// A CloudWatch alarm, metric, composite or log, by name or ARN. In ALARM already, the run is refused; so that nobody can look at
    /// it for 60 s stops the run too. Too little data stops nothing.
    #[arg(long, value_name = "NAME", value_parser = named)]
    pub stop_on_alarm: Vec<String>,

    /// Run only while this calendar of Change Calendar is OPEN, at the start and before each wave
    #[arg(long, value_name = "NAME", value_parser = named)]
    pub calendar: Option<String>,

    /// Send to so many targets a second at the most
    #[arg(long, value_name = "N/s", value_parser = rate)]
    pub rate: Option<f64>,

    /// Who goes over the targets: herder, the service, or whoever is faster
    ///
    /// `service` hands a tag, asg:, rg: or `all` selector to Run Command whole: one send for each account and region; the
    /// service keeps to -c and --max-errors by itself. What it has not come to within --delivery-timeout plus --timeout it gives
    /// up on.
    #[arg(long, value_name = "WHO", value_enum, default_value_t = ViaChoice::Client)]
    pub via: ViaChoice,

    /// Show what would be done, to which targets and in which waves, and do nothing
    #[arg(long)]
    pub dry_run: bool,

    /// Why it is done; kept with the run
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
}

impl RolloutArgs {
    /// The first flag that only herder can keep to, and what to do about it.
    pub(crate) fn only_by_client(&self) -> Option<(&'static str, &'static str)> {
        let waves = "The service knows one wave: leave the waves to herder with --via client.";
        if !self.waves.is_empty() {
            Some(("--waves", waves))
        } else if self.spread.is_some() {
            Some(("--spread", waves))
        } else if self.rate.is_some() {
            Some(("--rate", "The service is slowed down with -c; or let herder do it with --via client."))
        } else {
            None
        }
    }

    /// Where commands among the gates run.
    fn gate_directory(&self) -> Option<String> {
        let is_any = self.gate.iter().any(|gate| matches!(Gate::of(gate), Gate::Command(_)));
        let here = is_any.then(|| std::path::absolute("."))?;
        here.ok()?.to_str().map(str::to_owned)
    }

    /// What `--waves` comes to that is not plain from what was typed, with so many targets.
    pub(crate) fn wave_warnings(&self, targets: u64) -> Vec<String> {
        let ends: Vec<u64> =
            self.waves.iter().map(|share| share.at_least_one_of(targets).min(targets)).collect();
        let mut warnings = Vec::new();
        for (pair, shares) in ends.windows(2).zip(self.waves.windows(2)) {
            let ([before, end], [earlier, share]) = (pair, shares) else { continue };
            // A percentage of few targets may be less than a canary that is a count: that is how it is meant.
            if end < before && matches!(share, Share::Count(_)) {
                warnings.push(format!(
                    "--waves {share} is no wave: {earlier} of {} is {before}",
                    counted(targets, "target")
                ));
            }
        }
        let reached = ends.iter().max().copied().unwrap_or(targets);
        if reached < targets {
            let left = targets - reached;
            warnings.push(format!(
                "--waves reaches {reached} of {}: a last wave has the other {left}",
                counted(targets, "target")
            ));
        }
        warnings
    }

    /// The same recipe with counts for these targets; gives where each wave ends too.
    ///
    /// # Errors
    /// The waves go back.
    pub(crate) fn apply(&self, recipe: Recipe, targets: u64) -> Result<(Recipe, Vec<usize>), Failure> {
        let (rollout, waves) = self.resolve(targets)?;
        Ok((Recipe { rollout, ..recipe }, waves))
    }

    /// Resolves counts and percentages against so many targets; gives where each wave ends.
    ///
    /// # Errors
    /// The waves go back.
    pub(crate) fn resolve(&self, targets: u64) -> Result<(Rollout, Vec<usize>), Failure> {
        if self.concurrency.is_zero() {
            return Err(Failure::usage("--concurrency 0 would never end")
                .hint("Give a count or a percentage of the targets, as in -c 10%."));
        }
        if self.spread.is_some() && self.waves.is_empty() {
            return Err(Failure::usage("--spread has nothing to spread over without --waves")
                .hint("Give the waves too, as in --waves 1,10%,100%."));
        }
        let waves = wave_ends(&self.waves, targets).map_err(|error| {
            Failure::usage(error.to_string())
                .hint("Give each wave as what is reached by its end, as in --waves 1,10%,100%.")
        })?;
        let rollout = Rollout {
            concurrency: self.concurrency.at_least_one_of(targets),
            max_errors: self.max_errors.of(targets),
            soak_ms: u64::try_from(self.soak.unwrap_or_default().as_millis()).unwrap_or(u64::MAX),
            guards: RunGuards {
                gates: self.gate.clone(),
                gate_directory: self.gate_directory(),
                stop_on_alarms: self.stop_on_alarm.clone(),
                calendar: self.calendar.clone(),
            },
            rate: self.rate,
            ..Rollout::default()
        };
        Ok((rollout, waves))
    }
}

/// Who goes over the targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ViaChoice {
    /// herder, in batches of fifty
    Client,
    /// Run Command, by the selector
    Service,
    /// Whichever has every result sooner, where the selector allows it
    Auto,
}

/// By what waves are spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Spread {
    /// Availability zone
    Az,
    /// Auto Scaling group
    Asg,
}

fn wave(text: &str) -> Result<Share, String> {
    let share: Share = text.parse().map_err(|error: herder_core::target::ShareError| error.to_string())?;
    if share.is_zero() { Err("a wave of no targets tells nothing".to_owned()) } else { Ok(share) }
}

fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text, Bounds::ANY).map_err(|error| error.to_string())
}

fn gate(text: &str) -> Result<String, String> {
    match Gate::of(text) {
        Gate::Alarm("") => Err("names no alarm; write alarm:NAME".to_owned()),
        Gate::TargetGroup("") => Err("names no target group; write tg:ARN or tg:NAME".to_owned()),
        Gate::Calendar(name) => Err(format!("is not a gate; give --calendar {name}")),
        Gate::Command(line) if line.trim().is_empty() => Err("is empty".to_owned()),
        Gate::Command(_) | Gate::Alarm(_) | Gate::TargetGroup(_) => Ok(text.to_owned()),
    }
}

/// A name or an ARN.
fn named(text: &str) -> Result<String, String> {
    if text.trim().is_empty() { Err("is empty".to_owned()) } else { Ok(text.to_owned()) }
}

/// `20/s`, `30/m`, or a bare number a second.
fn rate(text: &str) -> Result<f64, String> {
    let (number, per) = match text.split_once('/') {
        Some((number, "s")) => (number, 1.0),
        Some((number, "m")) => (number, 60.0),
        Some((number, "h")) => (number, 3600.0),
        None => (text, 1.0),
        Some(_) => return Err("is given as N/s, N/m or N/h".to_owned()),
    };
    let number: f64 = number.parse().map_err(|_| "is given as N/s, such as 20/s".to_owned())?;
    let rate = number / per;
    if rate.is_finite() && rate > 0.0 { Ok(rate) } else { Err("must be more than 0".to_owned()) }
}
