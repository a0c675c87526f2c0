//! [`portions`]: one number over several sends that each need their own.

/// Deals out `total` by weight, in whole numbers that add up to it: what is left over from rounding down goes to those that lost
/// most by it. Without any weight nothing is dealt out.
pub(super) fn portions(total: u64, weights: &[u64]) -> Vec<u64> {
    let all: u128 = weights.iter().map(|w| u128::from(*w)).sum();
    if all == 0 {
        return vec![0; weights.len()];
    }
    let exact = |weight: &u64| u128::from(total) * u128::from(*weight);
    let mut dealt: Vec<u64> =
        weights.iter().map(|w| u64::try_from(exact(w) / all).unwrap_or(u64::MAX)).collect();
    let mut order: Vec<usize> = (0..weights.len()).collect();
    order.sort_by_key(|n| std::cmp::Reverse(weights.get(*n).map_or(0, |w| exact(w) % all)));
    let left = total - dealt.iter().sum::<u64>();
    for n in order.into_iter().take(usize::try_from(left).unwrap_or(usize::MAX)) {
        if let Some(portion) = dealt.get_mut(n) {
            *portion += 1;
        }
    }
    dealt
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn by_weight_and_the_rest_to_the_largest_remainders() {
        assert_eq!(portions(10, &[1, 1]), [5, 5]);
        assert_eq!(portions(10, &[6, 3, 1]), [6, 3, 1]);
        assert_eq!(portions(1, &[1, 2, 3]), [0, 0, 1]);
        assert_eq!(portions(2, &[500, 499, 1]), [1, 1, 0]);
        assert_eq!(portions(0, &[1, 2]), [0, 0]);
        assert_eq!(portions(5, &[0, 0]), [0, 0]);
        assert_eq!(portions(5, &[]), Vec::<u64>::new());
        assert_eq!(portions(u64::MAX, &[u64::MAX, 0]), [u64::MAX, 0]);
    }

    proptest! {
        #[test]
        fn they_add_up_and_nobody_gets_more_than_one_too_many(
            total in 0_u64..100_000,
            weights in proptest::collection::vec(0_u64..20_000, 1..12),
        ) {
            let dealt = portions(total, &weights);
            let all: u64 = weights.iter().sum();
            prop_assert_eq!(dealt.iter().sum::<u64>(), if all == 0 { 0 } else { total });
            for (weight, portion) in weights.iter().zip(&dealt) {
                let exact = (total * weight).checked_div(all).unwrap_or(0);
                prop_assert!((exact..=exact + 1).contains(portion));
            }
        }
    }
}
