//! [`spread`]: an order in which every beginning is a fair sample, and [`wave_ends`].

use std::collections::BTreeMap;

use super::Share;

/// Orders items so that each beginning of the list holds about the same share of every group: of a canary and of each wave, every
/// zone gets its part. The order within a group stays.
#[must_use]
pub fn spread<T>(items: Vec<T>, group: impl Fn(&T) -> String) -> Vec<T> {
    let mut sizes: BTreeMap<String, u64> = BTreeMap::new();
    let groups: Vec<String> = items.iter().map(&group).collect();
    for name in &groups {
        *sizes.entry(name.clone()).or_insert(0) += 1;
    }
    let mut seen: BTreeMap<String, u64> = BTreeMap::new();
    let mut placed: Vec<((u64, u64), String, T)> = items
        .into_iter()
        .zip(groups)
        .map(|(item, name)| {
            let size = sizes.get(&name).copied().unwrap_or(1);
            let place = seen.entry(name.clone()).or_insert(0);
            *place += 1;
            // The middle of its stretch: item k of n stands at (2k - 1) / 2n.
            ((2 * *place - 1, 2 * size), name, item)
        })
        .collect();
    placed.sort_by(|(a, a_name, _), (b, b_name, _)| {
        let (left, right) = (u128::from(a.0) * u128::from(b.1), u128::from(b.0) * u128::from(a.1));
        left.cmp(&right).then_with(|| a_name.cmp(b_name))
    });
    placed.into_iter().map(|(_, _, item)| item).collect()
}

/// Waves that can't be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("waves are cumulative: `{later}` after `{earlier}` would go back")]
pub struct WavesError {
    /// The wave in front.
    pub earlier: Share,
    /// The wave that is less.
    pub later: Share,
}

/// Where each wave ends, of so many targets: counts and percentages are cumulative, percentages rounded down, but to
/// one at the least: a canary is never lost in a small fleet. The last wave takes what is left. A wave that adds nothing is left out: on a small fleet 10% may be less than the canary before it.
///
/// # Errors
/// A count follows a greater count, or a percentage a greater percentage.
pub fn wave_ends(waves: &[Share], total: u64) -> Result<Vec<usize>, WavesError> {
    let descends = |earlier: &Share, later: &Share| match (earlier, later) {
        (Share::Count(a), Share::Count(b)) => a > b,
        (Share::Percent(a), Share::Percent(b)) => a > b,
        _ => false,
    };
    for (n, later) in waves.iter().enumerate() {
        if let Some(earlier) = waves.iter().take(n).find(|earlier| descends(earlier, later)) {
            return Err(WavesError { earlier: *earlier, later: *later });
        }
    }
    let mut highest = 0;
    let mut ends = Vec::new();
    for end in waves.iter().map(|share| share.at_least_one_of(total).min(total)).chain([total]) {
        if end > highest {
            highest = end;
            ends.push(usize::try_from(end).unwrap_or(usize::MAX));
        }
    }
    Ok(ends)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ends(text: &str, total: u64) -> Result<Vec<usize>, WavesError> {
        let shares: Vec<Share> = text.split(',').map(|s| s.parse().unwrap()).collect();
        wave_ends(&shares, total)
    }

    #[test]
    fn waves_are_cumulative_and_the_last_takes_the_rest() {
        assert_eq!(ends("1,10%,100%", 1000).unwrap(), [1, 100, 1000]);
        assert_eq!(ends("1,10%", 95).unwrap(), [1, 9, 95]);
        assert_eq!(ends("0.1%,10%,100%", 46).unwrap(), [1, 4, 46]);
        assert_eq!(ends("1,10%,100%", 5).unwrap(), [1, 5]);
        let error = ends("50%,10%", 5).unwrap_err();
        assert_eq!(error.to_string(), "waves are cumulative: `10%` after `50%` would go back");
        assert!(ends("10,2%,5", 1000).is_err());
        assert_eq!(ends("5%,50%,100%", 3).unwrap(), [1, 3]);
        assert_eq!(ends("500", 3).unwrap(), [3]);
        assert_eq!(wave_ends(&[], 7).unwrap(), [7]);
    }

    proptest! {
        #[test]
        fn every_beginning_is_a_fair_sample(sizes in proptest::collection::vec(1_usize..40, 1..5)) {
            let items: Vec<(usize, usize)> =
                sizes.iter().enumerate().flat_map(|(g, n)| (0..*n).map(move |k| (g, k))).collect();
            let total = items.len() as f64;
            let order = spread(items.clone(), |(g, _)| g.to_string());
            prop_assert_eq!(order.len(), items.len());
            for taken in 1..=order.len() {
                for (g, n) in sizes.iter().enumerate() {
                    let got = order[..taken].iter().filter(|(group, _)| *group == g).count() as f64;
                    let fair = *n as f64 * taken as f64 / total;
                    // Off by at most one for each other group, and by one for itself.
                    prop_assert!((got - fair).abs() <= sizes.len() as f64, "{} {} {}", taken, got, fair);
                }
            }
            for g in 0..sizes.len() {
                let own: Vec<usize> = order.iter().filter(|(group, _)| *group == g).map(|(_, k)| *k).collect();
                prop_assert!(own.is_sorted());
            }
        }
    }
}
