//! `--dry-run`: what a run of copies would do.

use std::collections::BTreeMap;
use std::time::Duration;

use herder_core::fanout::WaveLoad;
use herder_core::limit::DEFAULT_RATE;
use herder_core::target::Platform;
use herder_core::time::for_people;
use serde::Serialize;

use super::{CopiesOptions, Direction, directory_of, shown};
use crate::ops::preview::{Comes, bad_line, sends, sizes, until_sent, wave_notes, waves_line};
use crate::render::counted;
use crate::scopes::Scopes;

/// One target of a plan, as `--dry-run` lists it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct PlannedCopy {
    pub(crate) target: String,
    pub(crate) name: Option<String>,
    /// From 1.
    pub(crate) wave: u32,
    pub(crate) account: String,
    pub(crate) region: String,
    pub(crate) az: Option<String>,
    pub(crate) platform: Option<Platform>,
    /// The path that would be written: on the node, or here. Null where it would be judged without a copy.
    pub(crate) to: Option<String>,
    /// Its verdict and reason where nothing would be copied: `undelivered (offline)`.
    pub(crate) judged: Option<String>,
}

/// What a run of copies would do.
pub(crate) struct CopiesPreview {
    pub(crate) targets: Vec<PlannedCopy>,
    /// All of it, for programs.
    pub(crate) comes: Comes,
    /// In a few lines for people.
    pub(crate) lines: Vec<String>,
}

/// Works out what a run would do. Copies nothing, writes nothing.
pub(crate) fn preview(scopes: &Scopes, options: &CopiesOptions) -> CopiesPreview {
    let mut targets = Vec::with_capacity(options.resolved.targets.len());
    let mut waves = Vec::new();
    let mut sessions_in: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    let mut begin = 0;
    for (wave, end) in (1_u32..).zip(&options.waves) {
        let mut load = WaveLoad::default();
        for (index, target) in options.resolved.targets.iter().enumerate().take(*end).skip(begin) {
            let judged = options.resolved.judged.get(&index);
            match judged {
                None => {
                    *sessions_in.entry((&target.account, &target.region)).or_insert(0) += 1;
                    *load.lanes.entry(0).or_insert(0) += 1;
                }
                Some(outcome) => load.bad_before += u64::from(outcome.verdict.is_bad()),
            }
            let to = match options.recipe.direction {
                Direction::Upload => options.recipe.remote.clone(),
                Direction::Download => {
                    directory_of(&options.recipe.local, target, scopes.count() > 1).display().to_string()
                }
            };
            targets.push(PlannedCopy {
                target: target.id.clone(),
                name: target.name.clone(),
                wave,
                account: target.account.clone(),
                region: target.region.clone(),
                az: target.az.clone(),
                platform: target.platform,
                to: Some(to).filter(|_| judged.is_none()),
                judged: judged.map(|o| match &o.reason {
                    Some(reason) => format!("{} ({reason})", o.verdict),
                    None => o.verdict.to_string(),
                }),
            });
        }
        waves.push(load);
        begin = *end;
    }
    // Each account and region has its own quota: the fullest decides.
    let most = sessions_in.into_values().max().unwrap_or(0);
    let rollout = &options.recipe.rollout;
    // Each is a send of its own.
    let paced = sends(rollout, 1, &waves).paced;
    let takes = until_sent(most as f64 / DEFAULT_RATE, paced, rollout, waves.len());
    let sessions = targets.iter().filter(|target| target.judged.is_none()).count() as u64;
    let comes = Comes::new(scopes, options.recipe.title(), rollout, &waves);
    let comes = comes.warning(&options.resolved.warnings).sending(sessions, Some(takes));
    let lines = lines(scopes, options, &comes, (&waves, takes));
    CopiesPreview { targets, comes, lines }
}

fn lines(
    scopes: &Scopes,
    options: &CopiesOptions,
    comes: &Comes,
    (waves, takes): (&[WaveLoad], Duration),
) -> Vec<String> {
    let recipe = &options.recipe;
    let (rollout, sizes) = (&recipe.rollout, sizes(waves));
    let targets = counted(options.resolved.targets.len() as u64, "target");
    let sim = if scopes.is_simulated() { " (SIMULATED)" } else { "" };
    let mut lines = vec![format!("would {} {targets}; nothing is copied{sim}", recipe.deed())];
    if scopes.count() > 1 {
        lines.push(format!("  in {}", scopes.place()));
    }
    lines.extend(scopes.unreached.iter().map(|unreached| format!("  {unreached}")));
    lines.extend(comes.warnings.iter().map(|warning| format!("  warning: {warning}")));
    if recipe.direction == Direction::Upload {
        lines.push(format!("  {} to each", shown(options.source.amount)));
    }
    lines.extend(waves_line(rollout, &sizes));
    lines.extend(wave_notes(rollout, &sizes).map(|note| format!("  {note}")));
    lines.push(format!(
        "  {} at once; stops when more than {} are bad; at worst {} more were begun by then and are not judged yet",
        comes.concurrency, comes.max_errors, comes.overshoot
    ));
    lines.push(format!(
        "  begins within about {} at {DEFAULT_RATE:.1} sessions a second in each account and region (assumed), and takes the copies' own time",
        for_people(takes)
    ));
    lines.extend(bad_line(waves, rollout.max_errors));
    lines
}
