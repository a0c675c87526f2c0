//! Buckets, and the objects that callers put there.

use crate::clock::At;
use crate::spec::Spec;
use std::collections::BTreeMap;

/// A bucket.
#[derive(Debug, Clone, Default)]
pub(crate) struct Bucket {
    pub(crate) region: String,
    /// Operations that are refused on it.
    pub(crate) deny: Vec<String>,
    /// Nodes may not write to it.
    pub(crate) refuses_nodes: bool,
    pub(super) objects: BTreeMap<String, Object>,
}

/// An object that a caller put there.
#[derive(Debug, Clone)]
pub(super) struct Object {
    pub(super) body: Vec<u8>,
    pub(super) modified: At,
}

/// All buckets.
#[derive(Debug)]
pub(crate) struct Store {
    buckets: BTreeMap<String, Bucket>,
    pub(super) born: At,
}

impl Store {
    pub(crate) fn new(spec: &Spec, born: At) -> Store {
        let first = spec.regions.first().cloned().unwrap_or_default();
        let plain = |name: &String| (name.clone(), Bucket { region: first.clone(), ..Bucket::default() });
        let mut buckets: BTreeMap<String, Bucket> = spec.buckets.iter().map(plain).collect();
        for rule in spec.scenario.iter().flat_map(|scenario| &scenario.buckets) {
            let bucket = Bucket {
                region: rule.region.clone().unwrap_or_else(|| first.clone()),
                deny: rule.deny.clone(),
                refuses_nodes: rule.refuses_nodes,
                objects: BTreeMap::new(),
            };
            buckets.insert(rule.name.clone(), bucket);
        }
        Store { buckets, born }
    }

    pub(crate) fn bucket(&self, name: &str) -> Option<&Bucket> {
        self.buckets.get(name)
    }

    pub(super) fn bucket_mut(&mut self, name: &str) -> Option<&mut Bucket> {
        self.buckets.get_mut(name)
    }

    /// Every bucket, by name.
    pub(super) fn all(&self) -> impl Iterator<Item = (&str, &Bucket)> {
        self.buckets.iter().map(|(name, bucket)| (name.as_str(), bucket))
    }

    /// Makes a bucket; false where there is one already.
    pub(super) fn create(&mut self, name: &str, region: &str) -> bool {
        let is_new = !self.buckets.contains_key(name);
        if is_new {
            let bucket = Bucket { region: region.to_owned(), ..Bucket::default() };
            self.buckets.insert(name.to_owned(), bucket);
        }
        is_new
    }
}
