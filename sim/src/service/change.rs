//! Changes of state that a scenario plans: when each happens, as far as that is known.

use crate::clock::At;
use crate::scenario::StateChange;
use crate::spec::Spec;
use crate::world::Region;
use std::collections::HashMap;

/// When a change happens: known from the start where only time decides, and once enough nodes had started the command where they do.
pub(crate) fn happens(spec: &Spec, region: &Region, now: At, change: &StateChange) -> Option<At> {
    let after = change.after.unwrap_or_default().as_secs_f64() / spec.speed;
    let is_by_time = change.command.is_none() && change.nodes.is_none() && change.share.is_none();
    let from = if is_by_time { region.born } else { reached(region, now, change)? };
    Some(from.plus_seconds(after))
}

/// When enough nodes had started the command.
fn reached(region: &Region, now: At, change: &StateChange) -> Option<At> {
    let fleet = &region.fleet;
    let is_meant = |index: u32| {
        fleet.at(index).is_some_and(|node| {
            node.managed && change.nodes.as_deref().is_none_or(|pattern| node.is_meant(pattern))
        })
    };
    let total = fleet.nodes.iter().filter(|node| is_meant(node.index)).count() as u32;
    let needed = change.share.map_or(1, |share| share.of(total)).max(1);
    let mut first: HashMap<u32, At> = HashMap::new();
    for (node, at) in region.starts((change.command.as_deref(), None), now) {
        if is_meant(node) {
            first.entry(node).and_modify(|known| *known = at.min(*known)).or_insert(at);
        }
    }
    let mut times: Vec<At> = first.into_values().collect();
    times.sort_unstable();
    times.get(needed as usize - 1).copied()
}
