//! Nodes that were named by their ids: each must exist, or people are told.

use std::collections::BTreeMap;

use herder_core::target::{Query, Target};

use crate::scopes::{OpenScope, Scopes};

/// Ids that were given one by one, and where each is looked for first.
pub(super) struct Named(pub(super) BTreeMap<String, NamedIn>);

/// Where an id is looked for.
pub(super) struct NamedIn {
    /// The position of the query that names it.
    pub(super) query: usize,
    account: String,
    region: String,
}

impl Named {
    pub(super) fn of(scopes: &Scopes, queries: &[Query]) -> Named {
        let mut named = BTreeMap::new();
        for (query, (open, asked)) in scopes.iter().zip(queries).enumerate() {
            let (account, region) = (&open.identity.account, &open.identity.region);
            for id in asked.named_ids() {
                let here = || NamedIn { query, account: account.clone(), region: region.clone() };
                named.entry(id.to_owned()).or_insert_with(here);
            }
        }
        Named(named)
    }

    /// A node that nobody has seen, where it was looked for.
    pub(super) fn unknown_target(&self, id: String, otherwise: &OpenScope) -> Target {
        let (account, region) = match self.0.get(&id) {
            Some(named) => (named.account.clone(), named.region.clone()),
            None => (otherwise.identity.account.clone(), otherwise.identity.region.clone()),
        };
        Target { id, name: None, account, region, az: None, platform: None }
    }
}
