//! What the plans of all workflows say in the same words.

use std::time::Duration;

use herder_core::event::{LeftOut, RunGuards};
use herder_core::fanout::{Forecast, Sends, WaveLoad};
use herder_core::time::for_people;
use herder_core::via::Via;
use serde::Serialize;

use super::exec::Rollout;
use crate::render::counted;
use crate::scopes::{Scopes, Unreached};

/// What a run would come to, beside its targets: `plan` of `--dry-run --json`.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Comes {
    /// What is run or copied, on one line.
    title: String,
    sim: bool,
    accounts: Vec<String>,
    regions: Vec<String>,
    /// Accounts and regions that can't be worked in.
    left_out: Vec<LeftOut>,
    /// What a person should know, one fragment each.
    pub(crate) warnings: Vec<String>,
    targets: usize,
    /// Targets of each wave.
    waves: Vec<usize>,
    soak_ms: u64,
    #[serde(flatten)]
    guards: RunGuards,
    via: Via,
    pub(crate) concurrency: u64,
    pub(crate) max_errors: u64,
    /// `--rate`, targets a second; null where the quotas alone decide.
    rate: Option<f64>,
    /// Targets that may still end badly after the budget has run out: what had been sent and nothing was known of.
    pub(crate) overshoot: u64,
    /// Targets that are bad before anything is sent.
    bad_before: u64,
    /// The wave that stops because of them, from 1; null if none does.
    stops_in_wave: Option<usize>,
    /// Calls to send, or sessions, at the least.
    sends: u64,
    /// Until everything is sent, soaks included; null where the service sends.
    takes_ms: Option<u64>,
}

impl Comes {
    /// Without calls and time.
    pub(crate) fn new(scopes: &Scopes, title: String, rollout: &Rollout, waves: &[WaveLoad]) -> Comes {
        let sizes = sizes(waves);
        Comes {
            title,
            sim: scopes.is_simulated(),
            accounts: scopes.accounts(),
            regions: scopes.regions(),
            left_out: scopes.unreached.iter().map(Unreached::told).collect(),
            warnings: Vec::new(),
            targets: sizes.iter().sum(),
            waves: sizes,
            soak_ms: millis(rollout.soak()),
            guards: rollout.guards.clone(),
            via: rollout.via,
            concurrency: rollout.concurrency,
            max_errors: rollout.max_errors,
            rate: rollout.rate.filter(|_| rollout.via == Via::Client),
            overshoot: overshoot(rollout, waves),
            bad_before: waves.iter().map(|wave| wave.bad_before).sum(),
            stops_in_wave: stopped_by(waves, rollout.max_errors).map(|wave| wave + 1),
            sends: 0,
            takes_ms: None,
        }
    }

    /// With what a person should know.
    #[must_use]
    pub(crate) fn warning(self, warnings: &[String]) -> Comes {
        Comes { warnings: warnings.to_vec(), ..self }
    }

    /// With so many calls or sessions, over that time.
    #[must_use]
    pub(crate) fn sending(self, sends: u64, takes: Option<Duration>) -> Comes {
        Comes { sends, takes_ms: takes.map(millis), ..self }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Targets of each wave.
pub(crate) fn sizes(waves: &[WaveLoad]) -> Vec<usize> {
    let size = |wave: &WaveLoad| wave.bad_before.saturating_add(wave.lanes.values().sum());
    waves.iter().map(|wave| usize::try_from(size(wave)).unwrap_or(usize::MAX)).collect()
}

/// What a run of sends to so many targets comes to.
pub(crate) fn sends(rollout: &Rollout, batch: usize, waves: &[WaveLoad]) -> Sends {
    forecast(rollout, batch).sends(waves)
}

fn forecast(rollout: &Rollout, batch: usize) -> Forecast {
    let (concurrency, max_errors) = (rollout.concurrency, rollout.max_errors);
    Forecast { concurrency, max_errors, batch: batch as u64, rate: rollout.rate }
}

/// What is out when the budget runs out. The service brakes by counts of its own, and by portions: as many as it may have at once.
fn overshoot(rollout: &Rollout, waves: &[WaveLoad]) -> u64 {
    let exact = forecast(rollout, 1).overshoot(waves);
    let widest = sizes(waves).into_iter().max().unwrap_or(0) as u64;
    match rollout.via {
        Via::Client => exact,
        Via::Service if exact == 0 && rollout.max_errors >= widest => 0,
        Via::Service => rollout.concurrency.min(widest),
    }
}

/// The wave that what is bad beforehand stops.
fn stopped_by(waves: &[WaveLoad], max_errors: u64) -> Option<usize> {
    let mut so_far = 0;
    waves.iter().position(|wave| {
        so_far += wave.bad_before;
        so_far > max_errors
    })
}

/// The waves, where there is more than one.
pub(crate) fn waves_line(rollout: &Rollout, sizes: &[usize]) -> Option<String> {
    if sizes.len() < 2 {
        return None;
    }
    let waves: Vec<String> = sizes.iter().map(ToString::to_string).collect();
    let soak = match rollout.soak() {
        Duration::ZERO => String::new(),
        soak => format!(", {} between them", for_people(soak)),
    };
    let gates = match rollout.guards.gates.len() {
        0 => String::new(),
        1 => ", one gate after each but the last".to_owned(),
        n => format!(", {n} gates after each but the last"),
    };
    Some(format!("  waves: {} targets{soak}{gates}", waves.join(", then ")))
}

/// Targets of each wave, by where each ends.
pub(crate) fn sizes_between(ends: &[usize]) -> Vec<usize> {
    let begins = std::iter::once(&0).chain(ends);
    ends.iter().zip(begins).map(|(end, begin)| end.saturating_sub(*begin)).collect()
}

/// What the waves don't do although it looks as if they did. `sizes` are targets of each.
pub(crate) fn wave_notes(rollout: &Rollout, sizes: &[usize]) -> impl Iterator<Item = String> {
    [idle_guards(rollout, sizes.len()), weak_canary(rollout, sizes)].into_iter().flatten()
}

/// That nothing stands between waves, though something was to: there is only one.
fn idle_guards(rollout: &Rollout, waves: usize) -> Option<String> {
    let idle = match (rollout.guards.gates.len(), rollout.soak().is_zero()) {
        _ if waves > 1 => return None,
        (0, true) => return None,
        (0, false) => "nothing soaks",
        (1, true) => "the gate is never asked",
        (1, false) => "the gate is never asked, and nothing soaks",
        (_, true) => "the gates are never asked",
        (_, false) => "the gates are never asked, and nothing soaks",
    };
    Some(format!("all targets are in one wave: {idle}"))
}

/// That a first wave may fail whole and the run goes on. `sizes` are targets of each wave.
fn weak_canary(rollout: &Rollout, sizes: &[usize]) -> Option<String> {
    let [first, _, ..] = sizes else { return None };
    let (targets, allowed) = (counted(*first as u64, "target"), rollout.max_errors);
    (*first as u64 <= allowed).then(|| {
        let bad = counted(allowed, "bad one");
        format!("wave 1 alone can't stop the run: it has {targets}, and --max-errors allows {bad}")
    })
}

/// What is bad before anything is sent, and which wave that stops.
pub(crate) fn bad_line(waves: &[WaveLoad], max_errors: u64) -> Option<String> {
    let total: u64 = waves.iter().map(|wave| wave.bad_before).sum();
    let stopped = stopped_by(waves, max_errors);
    let what = match total {
        0 => return None,
        1 => "1 target is bad before anything is sent (see the list)".to_owned(),
        n => format!("{n} targets are bad before anything is sent (see the list)"),
    };
    Some(match stopped {
        None => format!("  {what}"),
        Some(0) => format!("  {what}: the run would stop at once"),
        Some(wave) => format!("  {what}: the run would stop as wave {} begins", wave + 1),
    })
}

/// How long it takes to send everything, as far as that is known beforehand: `calls` seconds of quota, what `--rate` holds up, and
/// the soaks between so many waves.
pub(crate) fn until_sent(calls: f64, paced: Duration, rollout: &Rollout, waves: usize) -> Duration {
    let pauses = u32::try_from(waves.saturating_sub(1)).unwrap_or(u32::MAX);
    seconds(calls).max(paced) + rollout.soak().saturating_mul(pauses)
}

/// A year at the most: what is longer is no different to a person, and may be more than a duration holds.
fn seconds(count: f64) -> Duration {
    const YEAR: f64 = 365.0 * 86_400.0;
    Duration::try_from_secs_f64(count.min(YEAR)).unwrap_or(Duration::ZERO)
}
