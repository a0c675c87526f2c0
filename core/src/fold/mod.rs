//! Showing much output as little: identical outputs once ([`Folder`]), node names in short ([`compact`]), and what
//! differs from the majority ([`diff`]).

mod diff;
mod mask;
mod names;

use std::collections::HashMap;
use std::hash::Hash;

pub use self::diff::{DiffLimits, DiffLine, Marker, diff};
pub use self::mask::mask;
pub use self::names::compact;

use crate::journal::StoredOutput;
use crate::verdict::{Reason, Verdict};

/// What must agree for two targets to be shown as one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OutputKey {
    /// Their end.
    pub verdict: Verdict,
    /// Why.
    pub reason: Option<Reason>,
    /// The exit code: equal outputs of unequal codes stay apart.
    pub exit_code: Option<i64>,
    /// Both streams, by where they are stored; equal contents are stored once.
    pub output: StoredOutput,
}

/// Members that share a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group<K, M> {
    /// What they share.
    pub key: K,
    /// In the order in which they came.
    pub members: Vec<M>,
}

/// Gathers members by key. Memory grows with the members and the distinct keys, never with outputs.
#[derive(Clone, Debug)]
pub struct Folder<K, M> {
    places: HashMap<K, usize>,
    groups: Vec<Group<K, M>>,
}

impl<K, M> Default for Folder<K, M> {
    fn default() -> Folder<K, M> {
        Folder { places: HashMap::new(), groups: Vec::new() }
    }
}

impl<K: Clone + Eq + Hash, M> Folder<K, M> {
    /// Adds a member.
    pub fn push(&mut self, key: K, member: M) {
        let next = self.groups.len();
        let place = *self.places.entry(key.clone()).or_insert(next);
        match self.groups.get_mut(place) {
            Some(group) => group.members.push(member),
            None => self.groups.push(Group { key, members: vec![member] }),
        }
    }

    /// The groups, biggest first; of equal ones the first seen first.
    #[must_use]
    pub fn into_groups(mut self) -> Vec<Group<K, M>> {
        self.groups.sort_by_key(|group| std::cmp::Reverse(group.members.len()));
        self.groups
    }

    /// Whether nothing was added.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::BodyRef;

    fn key(exit_code: i64, offset: u64) -> OutputKey {
        let stdout = BodyRef { offset, len: 1 };
        OutputKey {
            verdict: if exit_code == 0 { Verdict::Ok } else { Verdict::Failed },
            reason: None,
            exit_code: Some(exit_code),
            output: StoredOutput { stdout, ..StoredOutput::default() },
        }
    }

    #[test]
    fn biggest_first_then_first_seen() {
        let mut folder = Folder::default();
        for (key, member) in
            [(key(0, 9), "a"), (key(0, 1), "b"), (key(1, 9), "c"), (key(1, 9), "d"), (key(0, 2), "e")]
        {
            folder.push(key, member);
        }
        let groups: Vec<_> = folder.into_groups().into_iter().map(|g| g.members).collect();
        assert_eq!(groups, [vec!["c", "d"], vec!["a"], vec!["b"], vec!["e"]]);
    }
}
