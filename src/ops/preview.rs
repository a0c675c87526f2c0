//! What the plans of all workflows say in the same words.

use std::time::Duration;

use herder_core::time::for_people;

use super::exec::Rollout;

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
        1 => ", one gate".to_owned(),
        n => format!(", {n} gates"),
    };
    Some(format!("  waves: {} targets{soak}{gates}", waves.join(", then ")))
}

/// What is bad before anything is sent, and which wave that stops. `bad_before` is by wave.
pub(crate) fn bad_line(bad_before: &[u64], max_errors: u64) -> Option<String> {
    let total: u64 = bad_before.iter().sum();
    let mut so_far = 0;
    let stopped = bad_before.iter().position(|bad| {
        so_far += bad;
        so_far > max_errors
    });
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

/// A year at the most: what is longer is no different to a person, and may be more than a duration holds.
pub(crate) fn seconds(count: f64) -> Duration {
    const YEAR: f64 = 365.0 * 86_400.0;
    Duration::try_from_secs_f64(count.min(YEAR)).unwrap_or(Duration::ZERO)
}
