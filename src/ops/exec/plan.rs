//! `--dry-run`: what a run would do, from the same plan that a run carries out.

use std::collections::BTreeMap;
use std::time::Duration;

use herder_core::limit::{DEFAULT_RATE, MIN_RATE};
use herder_core::target::Platform;
use herder_core::time::for_people;
use herder_core::via::Via;
use serde::Serialize;

use super::{ExecOptions, payloads};
use crate::ctx::Ctx;
use crate::failure::Failure;
use crate::ops::exec::Sources;
use crate::ops::preview::{Comes, bad_line, idle_guards, until_sent, waves_line, weak_canary};
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
    /// Targets of each wave.
    pub(crate) waves: Vec<usize>,
    /// Calls of `SendCommand` at the least, and reads of results.
    pub(crate) sends: u64,
    /// The sends of the account and region that takes longest for its own.
    slowest: Option<Pace>,
    /// Bad targets of each wave that are known before anything is sent; they count when their wave begins.
    bad_before: Vec<u64>,
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
    let mut sends = 0;
    let mut sends_in: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    let mut sizes = Vec::new();
    let mut bad_before = Vec::new();
    let mut begin = 0;
    for (number, end) in (1_u32..).zip(&options.waves) {
        let mut lanes: BTreeMap<(&str, &str, Platform), u64> = BTreeMap::new();
        for (index, target) in resolved.targets.iter().enumerate().take(*end).skip(begin) {
            let platform = target.platform.unwrap_or(Platform::Linux);
            let judged = resolved.judged.get(&index);
            if judged.is_none() {
                *lanes.entry((&target.account, &target.region, platform)).or_insert(0) += 1;
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
        let batch = options.recipe.rollout.concurrency.clamp(1, herder_aws::ssm::MAX_IDS as u64);
        for ((account, region, _), targets) in lanes {
            sends += targets.div_ceil(batch);
            *sends_in.entry((account, region)).or_insert(0) += targets.div_ceil(batch);
        }
        let known = resolved.judged.range(begin..*end);
        bad_before.push(known.filter(|(_, o)| o.verdict.is_bad()).count() as u64);
        sizes.push(end - begin);
        begin = *end;
    }
    // Each account and region has its own quota: the slowest decides.
    let slowest = sends_in.into_iter().map(|((account, region), sends)| {
        let learned = scopes.get(account, region).and_then(|open| open.send_rate);
        let rate = learned.unwrap_or(DEFAULT_RATE).max(MIN_RATE);
        Pace { seconds: sends as f64 / rate, rate, is_learned: learned.is_some() }
    });
    let slowest = slowest.max_by(|a, b| a.seconds.total_cmp(&b.seconds));
    let via = options.recipe.rollout.via;
    if via == Via::Service {
        sends = super::via::commands(resolved);
    }
    let rollout = &options.recipe.rollout;
    let comes = Comes::new(scopes, options.recipe.title(), rollout, (&sizes, &bad_before));
    let takes = until_sent(slowest.map_or(0.0, |pace| pace.seconds), rollout, &sizes);
    let comes = comes.warning(&resolved.warnings).sending(sends, Some(takes).filter(|_| via == Via::Client));
    Ok(Preview {
        via,
        lifetime: options.recipe.lifetime(),
        targets,
        waves: sizes,
        sends,
        slowest,
        bad_before,
        comes,
    })
}

impl Preview {
    fn time(&self, options: &ExecOptions) -> String {
        let unknown = Pace { seconds: 0.0, rate: DEFAULT_RATE, is_learned: false };
        let Pace { seconds: calls, rate, is_learned } = self.slowest.unwrap_or(unknown);
        let total = until_sent(calls, &options.recipe.rollout, &self.waves);
        let origin = if is_learned { "learned" } else { "assumed, none is learned yet" };
        format!(
            "  takes about {} at {rate:.1} sends a second ({origin}), and the command's own time in each wave",
            for_people(total)
        )
    }

    fn through_service(&self) -> [String; 2] {
        let calls = if self.sends == 1 {
            "1 call to send".to_owned()
        } else {
            format!("{} calls to send", self.sends)
        };
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
        lines.push(format!("would run `{title}` on {} targets; nothing is sent{sim}", self.targets.len()));
        if scopes.count() > 1 {
            lines.push(format!("  in {}", scopes.place()));
        }
        lines.extend(scopes.unreached.iter().map(|unreached| format!("  {unreached}")));
        lines.extend(self.comes.warnings.iter().map(|warning| format!("  warning: {warning}")));
        lines.extend(waves_line(&options.recipe.rollout, &self.waves));
        let notes = [
            idle_guards(&options.recipe.rollout, self.waves.len()),
            weak_canary(&options.recipe.rollout, &self.waves),
        ];
        lines.extend(notes.into_iter().flatten().map(|note| format!("  {note}")));
        lines.push(format!(
            "  {} at once; stops when more than {} are bad; at worst {} more were sent by then and are not judged yet",
            self.comes.concurrency, self.comes.max_errors, self.comes.overshoot
        ));
        match self.via {
            Via::Client => {
                let sends = self.sends;
                lines.push(format!("  {sends} calls to send, as many to read results, and a few to watch"));
                lines.push(self.time(options));
            }
            Via::Service => lines.extend(self.through_service()),
        }
        lines.extend(bad_line(&self.bad_before, self.comes.max_errors));
        lines
    }
}
