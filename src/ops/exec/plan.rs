//! `--dry-run`: what a run would do, from the same plan that a run carries out.

use std::collections::BTreeMap;
use std::time::Duration;

use herder_core::fanout::WaveLoad;
use herder_core::limit::{DEFAULT_RATE, MIN_RATE};
use herder_core::target::Platform;
use herder_core::time::for_people;
use herder_core::via::Via;
use serde::Serialize;

use super::{ExecOptions, payloads};
use crate::ctx::Ctx;
use crate::failure::Failure;
use crate::ops::exec::Sources;
use crate::ops::preview::{Comes, bad_line, sends, sizes, until_sent, wave_notes, waves_line};
use crate::render::counted;
use crate::scopes::Scopes;

/// One target of a plan, as `--dry-run` lists it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct PlannedTarget {
    pub(crate) target: String,
    pub(crate) name: Option<String>,
    /// From 1.
    pub(crate) wave: u32,
    pub(crate) account: String,
    pub(crate) region: String,
    pub(crate) az: Option<String>,
    pub(crate) platform: Option<Platform>,
    /// What it would be sent; null where it would be judged without a send.
    pub(crate) document: Option<String>,
    /// Its verdict and reason where nothing would be sent: `undelivered (offline)`.
    pub(crate) judged: Option<String>,
}

/// How fast sends can go.
#[derive(Clone, Copy, Debug)]
struct Pace {
    seconds: f64,
    /// Sends a second.
    rate: f64,
    is_learned: bool,
}

/// What a run would come to.
#[derive(Clone, Debug)]
pub(crate) struct Preview {
    pub(crate) targets: Vec<PlannedTarget>,
    /// Who goes over them.
    pub(crate) via: Via,
    /// How long the service takes to give up on what it has not come to.
    lifetime: Duration,
    /// Targets of each wave, by account, region and platform.
    waves: Vec<WaveLoad>,
    /// Calls of `SendCommand` at the least, and reads of results.
    pub(crate) sends: u64,
    /// The sends of the account and region that takes longest for its own.
    slowest: Option<Pace>,
    /// Until everything is sent.
    takes: Duration,
    /// Whether `--rate` holds it up, and not the quota.
    is_paced: bool,
    /// All of it, for programs.
    pub(crate) comes: Comes,
}

/// Works out what a run would do. Sends nothing, writes nothing.
///
/// # Errors
/// It can't be sent as asked.
pub(crate) fn preview(ctx: &Ctx, scopes: &Scopes, options: &ExecOptions) -> Result<Preview, Failure> {
    let wish = options.recipe.wish(Sources { environment: &ctx.environment, given: &options.given })?;
    let resolved = &options.resolved;
    let payloads = payloads(&wish, &resolved.targets)?;
    let mut targets = Vec::with_capacity(resolved.targets.len());
    let mut lanes: BTreeMap<(&str, &str, Platform), u32> = BTreeMap::new();
    let mut waves = Vec::new();
    let mut begin = 0;
    for (number, end) in (1_u32..).zip(&options.waves) {
        let mut wave = WaveLoad::default();
        for (index, target) in resolved.targets.iter().enumerate().take(*end).skip(begin) {
            let platform = target.platform.unwrap_or(Platform::Linux);
            let judged = resolved.judged.get(&index);
            match judged {
                None => {
                    let next = u32::try_from(lanes.len()).unwrap_or(u32::MAX);
                    let lane = *lanes.entry((&target.account, &target.region, platform)).or_insert(next);
                    *wave.lanes.entry(lane).or_insert(0) += 1;
                }
                Some(outcome) => wave.bad_before += u64::from(outcome.verdict.is_bad()),
            }
            targets.push(PlannedTarget {
                target: target.id.clone(),
                name: target.name.clone(),
                wave: number,
                account: target.account.clone(),
                region: target.region.clone(),
                az: target.az.clone(),
                platform: target.platform,
                document: payloads.get(&platform).filter(|_| judged.is_none()).map(|p| p.document.clone()),
                judged: judged.map(|o| match &o.reason {
                    Some(reason) => format!("{} ({reason})", o.verdict),
                    None => o.verdict.to_string(),
                }),
            });
        }
        waves.push(wave);
        begin = *end;
    }
    let rollout = &options.recipe.rollout;
    let forecast = sends(rollout, herder_aws::ssm::MAX_IDS, &waves);
    let mut sends_in: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for ((account, region, _), lane) in lanes {
        let sends = forecast.by_lane.get(&lane).copied().unwrap_or(0);
        *sends_in.entry((account, region)).or_insert(0) += sends;
    }
    // Each account and region has its own quota: the slowest decides.
    let slowest = sends_in.into_iter().map(|((account, region), sends)| {
        let learned = scopes.get(account, region).and_then(|open| open.send_rate);
        let rate = learned.unwrap_or(DEFAULT_RATE).max(MIN_RATE);
        Pace { seconds: sends as f64 / rate, rate, is_learned: learned.is_some() }
    });
    let slowest = slowest.max_by(|a, b| a.seconds.total_cmp(&b.seconds));
    let via = rollout.via;
    let sends = match via {
        Via::Client => forecast.count(),
        Via::Service => super::via::commands(resolved),
    };
    let comes = Comes::new(scopes, options.recipe.title(), rollout, &waves);
    let calls = slowest.map_or(0.0, |pace| pace.seconds);
    let takes = until_sent(calls, forecast.paced, rollout, waves.len());
    let comes = comes.warning(&resolved.warnings).sending(sends, Some(takes).filter(|_| via == Via::Client));
    let is_paced = forecast.paced.as_secs_f64() > calls;
    Ok(Preview {
        via,
        lifetime: options.recipe.lifetime(),
        targets,
        waves,
        sends,
        slowest,
        takes,
        is_paced,
        comes,
    })
}

impl Preview {
    fn time(&self, options: &ExecOptions) -> String {
        let unknown = Pace { seconds: 0.0, rate: DEFAULT_RATE, is_learned: false };
        let Pace { seconds: _, rate, is_learned } = self.slowest.unwrap_or(unknown);
        let origin = if is_learned { "learned" } else { "assumed, none is learned yet" };
        let at = match options.recipe.rollout.rate.map(per_time) {
            Some(targets) if self.is_paced => format!("with --rate {targets}"),
            Some(targets) => format!("with --rate {targets}, at {rate:.1} sends a second ({origin})"),
            None => format!("at {rate:.1} sends a second ({origin})"),
        };
        let takes = for_people(self.takes);
        format!("  takes about {takes} {at}, and the command's own time in each wave")
    }

    fn through_service(&self) -> [String; 2] {
        let calls = format!("{} to send", counted(self.sends, "call"));
        let pages = (self.targets.len() as u64).div_ceil(herder_aws::ssm::MAX_IDS as u64);
        [
            format!("  through the service: {calls}, about {pages} to read results, and a few to watch"),
            format!(
                "  it goes over its own choice of nodes, and gives up on those it has not come to within {}",
                for_people(self.lifetime)
            ),
        ]
    }

    /// In a few lines for people.
    pub(crate) fn lines(&self, scopes: &Scopes, options: &ExecOptions) -> Vec<String> {
        let title = options.recipe.title();
        let sim = if scopes.is_simulated() { " (SIMULATED)" } else { "" };
        let mut lines = Vec::new();
        let targets = counted(self.targets.len() as u64, "target");
        lines.push(format!("would run `{title}` on {targets}; nothing is sent{sim}"));
        if scopes.count() > 1 {
            lines.push(format!("  in {}", scopes.place()));
        }
        lines.extend(scopes.unreached.iter().map(|unreached| format!("  {unreached}")));
        lines.extend(self.comes.warnings.iter().map(|warning| format!("  warning: {warning}")));
        let sizes = sizes(&self.waves);
        lines.extend(waves_line(&options.recipe.rollout, &sizes));
        lines.extend(wave_notes(&options.recipe.rollout, &sizes).map(|note| format!("  {note}")));
        lines.push(format!(
            "  {} at once; stops when more than {} are bad; at worst {} more were sent by then and are not judged yet",
            self.comes.concurrency, self.comes.max_errors, self.comes.overshoot
        ));
        match self.via {
            Via::Client => {
                let sends = counted(self.sends, "call");
                lines.push(format!("  {sends} to send, as many to read results, and a few to watch"));
                lines.push(self.time(options));
            }
            Via::Service => lines.extend(self.through_service()),
        }
        lines.extend(bad_line(&self.waves, self.comes.max_errors));
        lines
    }
}

/// A rate as `--rate` takes it: in the unit of time that gives a number over one.
fn per_time(per_second: f64) -> String {
    let (number, unit) = [(per_second, 's'), (per_second * 60.0, 'm')]
        .into_iter()
        .find(|(number, _)| *number >= 1.0)
        .unwrap_or((per_second * 3600.0, 'h'));
    let number = format!("{number:.2}");
    format!("{}/{unit}", number.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_told_as_they_are_given() {
        assert_eq!([5.0, 2.5, 0.5, 0.0001].map(per_time), ["5/s", "2.5/s", "30/m", "0.36/h"]);
    }
}
