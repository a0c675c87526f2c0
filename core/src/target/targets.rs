//! [`Targets`]: what a run acts on. Never empty, each node once, always in the same order.

use std::num::NonZeroUsize;

use sha2::{Digest, Sha256};

use super::natural::natural;
use super::{Share, Target};

/// One target or more, each once by (account, region, id), in natural order of name, then id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Targets(Vec<Target>);

/// Nothing is left to act on: exit 3, never a silent success.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no node matched")]
pub struct Empty;

impl Targets {
    /// Orders them and takes doubles out.
    ///
    /// # Errors
    /// There are none.
    pub fn new(mut targets: Vec<Target>) -> Result<Targets, Empty> {
        targets.sort_by(|a, b| key(a).cmp(&key(b)).then_with(|| order(a, b)));
        targets.dedup_by(|a, b| key(a) == key(b));
        targets.sort_by(order);
        if targets.is_empty() { Err(Empty) } else { Ok(Targets(targets)) }
    }

    /// Those that `keep` keeps.
    ///
    /// # Errors
    /// None is.
    pub fn filter(self, keep: impl FnMut(&Target) -> bool) -> Result<Targets, Empty> {
        let kept: Vec<Target> = self.0.into_iter().filter(keep).collect();
        if kept.is_empty() { Err(Empty) } else { Ok(Targets(kept)) }
    }

    /// A random sample, the same for the same seed and nodes. A percentage gives at least one.
    ///
    /// # Errors
    /// The sample is of size 0.
    pub fn sample(self, share: Share, seed: u64) -> Result<Targets, Empty> {
        if share.is_zero() {
            return Err(Empty);
        }
        let size = usize::try_from(share.at_least_one_of(self.0.len() as u64)).unwrap_or(usize::MAX);
        let mut ranked: Vec<([u8; 32], Target)> = self.0.into_iter().map(|t| (rank(&t, seed), t)).collect();
        ranked.sort_by_key(|(rank, _)| *rank);
        Targets::new(ranked.into_iter().take(size).map(|(_, target)| target).collect())
    }

    /// The first so many.
    #[must_use]
    pub fn limit(mut self, limit: NonZeroUsize) -> Targets {
        self.0.truncate(limit.get());
        self
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> NonZeroUsize {
        NonZeroUsize::new(self.0.len()).unwrap_or(NonZeroUsize::MIN)
    }

    /// In order.
    pub fn iter(&self) -> std::slice::Iter<'_, Target> {
        self.0.iter()
    }

    /// In order.
    #[must_use]
    pub fn as_slice(&self) -> &[Target] {
        &self.0
    }

    /// Whether they lie in more than one account or region: then they are called account/region/id.
    #[must_use]
    pub fn spans_scopes(&self) -> bool {
        let scope = |t: &Target| (t.account.clone(), t.region.clone());
        self.0.first().is_some_and(|first| self.0.iter().any(|t| scope(t) != scope(first)))
    }
}

impl IntoIterator for Targets {
    type Item = Target;
    type IntoIter = std::vec::IntoIter<Target>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a Targets {
    type Item = &'a Target;
    type IntoIter = std::slice::Iter<'a, Target>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

fn key(target: &Target) -> (&str, &str, &str) {
    (&target.id, &target.account, &target.region)
}

/// Named ones first, in natural order; the key settles the rest.
pub(super) fn order(a: &Target, b: &Target) -> std::cmp::Ordering {
    let names = match (&a.name, &b.name) {
        (Some(a), Some(b)) => natural(a, b),
        (a, b) => a.is_none().cmp(&b.is_none()),
    };
    names.then_with(|| key(a).cmp(&key(b)))
}

fn rank(target: &Target, seed: u64) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(seed.to_be_bytes());
    for part in [&target.account, &target.region, &target.id] {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn target(name: Option<&str>, region: &str, id: &str) -> Target {
        Target {
            id: id.to_owned(),
            name: name.map(str::to_owned),
            account: "111122223333".to_owned(),
            region: region.to_owned(),
            az: None,
            platform: None,
        }
    }

    fn fleet(n: usize) -> Vec<Target> {
        (0..n).map(|i| target(Some(&format!("web-{i}")), "eu-west-1", &format!("i-{i:017x}"))).collect()
    }

    #[test]
    fn unique_ordered_never_empty() {
        let targets = Targets::new(vec![
            target(None, "r", "mi-1"),
            target(Some("web-10"), "r", "i-3"),
            target(Some("web-2"), "r", "i-9"),
            target(Some("web-2"), "q", "i-1"),
            target(Some("web-2"), "r", "i-9"),
            target(Some("web-2"), "q", "i-9"),
        ])
        .unwrap();
        let seen: Vec<_> = targets.iter().map(|t| format!("{}/{}", t.region, t.id)).collect();
        assert_eq!(seen, ["q/i-1", "q/i-9", "r/i-9", "r/i-3", "r/mi-1"]);
        assert!(targets.spans_scopes());
        assert_eq!(Targets::new(vec![]), Err(Empty));
        assert_eq!(Targets::new(fleet(2)).unwrap().filter(|_| false), Err(Empty));
        assert_eq!(Targets::new(fleet(3)).unwrap().limit(NonZeroUsize::MIN).count().get(), 1);
    }

    #[test]
    fn a_name_learnt_twice_is_one_target() {
        let twice = vec![target(None, "r", "i-1"), target(Some("web"), "r", "i-1")];
        assert_eq!(Targets::new(twice).unwrap().count().get(), 1);
    }

    #[test]
    fn sample_sizes() {
        let sample = |share: &str| Targets::new(fleet(50)).unwrap().sample(share.parse().unwrap(), 1);
        assert_eq!(sample("10%").unwrap().count().get(), 5);
        assert_eq!(sample("1%").unwrap().count().get(), 1);
        assert_eq!(sample("80").unwrap().count().get(), 50);
        assert_eq!(sample("0"), Err(Empty));
        let other = Targets::new(fleet(50)).unwrap().sample(Share::Count(5), 2);
        assert_ne!(sample("5"), other);
    }

    proptest! {
        #![proptest_config(crate::tests::cases(256))]

        #[test]
        fn sample_does_not_depend_on_input_order(seed in any::<u64>(), n in 1_usize..60, k in 1_u64..60) {
            let one = Targets::new(fleet(n)).unwrap().sample(Share::Count(k), seed).unwrap();
            let mut turned = fleet(n);
            turned.reverse();
            let two = Targets::new(turned).unwrap().sample(Share::Count(k), seed).unwrap();
            prop_assert_eq!(&one, &two);
            // A bigger sample of the same seed holds the smaller one: a canary grows, it doesn't move.
            let more = Targets::new(fleet(n)).unwrap().sample(Share::Count(k + 1), seed).unwrap();
            prop_assert!(one.iter().all(|t| more.as_slice().contains(t)));
        }
    }
}
