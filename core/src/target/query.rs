//! [`Query`]: what selectors ask of AWS (a superset, as few calls as can be), and which nodes they choose of it
//! (exactly, on this side).
//!
//! Does not belong here: calling AWS.

use std::collections::{BTreeMap, BTreeSet};

use super::Platform;
use super::pattern::Pattern;
use super::selector::{Attribute, NodeSet, Ping, Selector, Term, Version};

/// `DescribeInstances` takes this many values in a filter.
const MAX_FILTER_VALUES: usize = 200;

/// The tag in which EC2 keeps an instance's Auto Scaling group.
pub const ASG_TAG: &str = "aws:autoscaling:groupName";

/// What is known of a node when targets are resolved. A fact that is `None` does not hold, unless the node is partial.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeFacts {
    /// `i-…` or `mi-…`.
    pub id: String,
    /// Name tag, or a hybrid node's computer name.
    pub name: Option<String>,
    /// Tags.
    pub tags: BTreeMap<String, String>,
    /// Availability zone.
    pub az: Option<String>,
    /// VPC id.
    pub vpc: Option<String>,
    /// Subnet id.
    pub subnet: Option<String>,
    /// Image id.
    pub image: Option<String>,
    /// Auto Scaling group; where `None`, the tag decides.
    pub asg: Option<String>,
    /// Platform family.
    pub platform: Option<Platform>,
    /// Whether the agent answers; `None` for a node that SSM doesn't know.
    pub ping: Option<Ping>,
    /// The agent's version.
    pub agent_version: Option<String>,
    /// EC2's state: `running`.
    pub state: Option<String>,
    /// Whether EC2 did not describe it (a hybrid node, or EC2 is denied): a tag that is not here is unknown, and so is what only
    /// EC2 can say of an instance.
    pub is_partial: bool,
    /// Tags, each with a value, that a partial node is known not to have.
    pub lacks: BTreeSet<(String, String)>,
}

impl NodeFacts {
    /// Whether a fact that only EC2 has may hold although it is `None`. Hybrid nodes have no such facts.
    fn may_be_more(&self) -> bool {
        self.is_partial && !self.id.starts_with("mi-")
    }
}

/// One filter of `DescribeInstances`: any of the values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// `tag:env`, `tag-key`, `availability-zone`.
    pub name: String,
    /// With EC2's wildcards; at most 200.
    pub values: Vec<String>,
}

/// What must be asked so that no chosen node is missed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Every node.
    Everything,
    /// The union of these.
    Some {
        /// Nodes by id.
        ids: BTreeSet<String>,
        /// Each one `DescribeInstances` (paged) whose filters all hold.
        filters: Vec<Vec<Filter>>,
        /// Whether a hybrid node (`mi-…`, not in EC2) may be chosen by name or tag as well.
        hybrid: bool,
    },
}

/// A term can't be looked up: a list that was not read, or a group that was not asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` can't be resolved")]
pub struct Unresolved(pub String);

/// Selectors and exclusions in which every term can be decided from [`NodeFacts`].
#[derive(Clone, Debug)]
pub struct Query {
    chosen: Vec<Selector>,
    excluded: Vec<Selector>,
}

impl Query {
    /// Takes the union of `chosen` without the union of `excluded`.
    ///
    /// # Errors
    /// There is still a [`Term::Source`], `tg:`, `rg:` or [`ScopedId`](super::ScopedId) in them: those become [`Term::Nodes`] and [`Term::Members`] first
    /// ([`Selector::replace_terms`]).
    pub fn new(chosen: Vec<Selector>, excluded: Vec<Selector>) -> Result<Query, Unresolved> {
        let open = |term: &&Term| {
            matches!(
                term,
                Term::Source(_) | Term::Attribute(Attribute::TargetGroup | Attribute::ResourceGroup, _)
            ) || matches!(term, Term::Nodes(set) if !set.scoped.is_empty())
        };
        match chosen.iter().chain(&excluded).flat_map(Selector::terms).find(open) {
            Some(term) => Err(Unresolved(term.to_string())),
            None => Ok(Query { chosen, excluded }),
        }
    }

    /// Whether the node is one of those meant. Where that is not known, it is not: a command must not reach a node that a
    /// condition keeps it from.
    #[must_use]
    pub fn matches(&self, node: &NodeFacts) -> bool {
        self.decide(node) == Some(true)
    }

    /// The same, with `None` where too little is known of the node to say.
    #[must_use]
    pub fn decide(&self, node: &NodeFacts) -> Option<bool> {
        let is_chosen = any(self.chosen.iter().map(|s| holds(s, node)));
        let is_excluded = any(self.excluded.iter().map(|s| holds(s, node)));
        all([is_chosen, is_excluded.map(|it_is| !it_is)].into_iter())
    }

    /// The exclusions, by their position, that keep out a node which is chosen otherwise, or may do so.
    pub fn exclusions_of<'a>(&'a self, node: &'a NodeFacts) -> impl Iterator<Item = usize> + 'a {
        let is_chosen = || any(self.chosen.iter().map(|s| holds(s, node))) != Some(false);
        let those = self.excluded.iter().enumerate().filter(|(_, s)| holds(s, node) != Some(false));
        those.filter(move |_| is_chosen()).map(|(position, _)| position)
    }

    /// The exclusions, by their position, of ids that were given one by one: whether such a node exists or not, it is spared.
    pub fn exclusions_of_named(&self) -> impl Iterator<Item = usize> + '_ {
        let named: BTreeSet<&str> = self.chosen.iter().flat_map(ids).collect();
        let those = self.excluded.iter().enumerate().filter(move |(_, s)| !ids(s).is_disjoint(&named));
        those.map(|(position, _)| position)
    }

    /// Tags that conditions ask for, each with a value: of nodes that EC2 does not describe they are asked one by one.
    #[must_use]
    pub fn tag_values(&self) -> BTreeSet<(String, String)> {
        let terms = self.chosen.iter().chain(&self.excluded).flat_map(Selector::terms);
        let pairs = terms.filter_map(|term| match term {
            Term::Tag { key, values } => Some(values.iter().map(move |v| (key.clone(), v.as_literal()))),
            _ => None,
        });
        pairs.flatten().filter_map(|(key, value)| Some((key, value?))).collect()
    }

    /// The ids that were given one by one and not excluded by id: each must exist, or the user is told.
    #[must_use]
    pub fn named_ids(&self) -> BTreeSet<&str> {
        let excluded: BTreeSet<&str> = self.excluded.iter().flat_map(ids).collect();
        self.chosen.iter().flat_map(ids).filter(|id| !excluded.contains(id)).collect()
    }

    /// Whether `all` was asked for.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.chosen.iter().any(Selector::is_all)
    }

    /// What must be asked.
    #[must_use]
    pub fn reach(&self) -> Reach {
        let nothing = Reach::Some { ids: BTreeSet::new(), filters: Vec::new(), hybrid: false };
        self.chosen.iter().map(reach).fold(nothing, |a, b| match (a, b) {
            (
                Reach::Some { mut ids, mut filters, hybrid },
                Reach::Some { ids: more, filters: others, hybrid: also },
            ) => {
                ids.extend(more);
                filters.extend(others.into_iter().filter(|f| !filters.contains(f)).collect::<Vec<_>>());
                Reach::Some { ids, filters, hybrid: hybrid || also }
            }
            _ => Reach::Everything,
        })
    }
}

/// The ids that a selector consists of.
fn ids(selector: &Selector) -> BTreeSet<&str> {
    match selector {
        Selector::Term(Term::Nodes(set)) => set.ids.iter().map(String::as_str).collect(),
        _ => BTreeSet::new(),
    }
}

/// True if any is, else unknown if any is.
fn any(mut parts: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    parts
        .try_fold(Some(false), |so_far, part| match part {
            Some(true) => Err(Some(true)),
            Some(false) => Ok(so_far),
            None => Ok(None),
        })
        .unwrap_or_else(|found| found)
}

/// False if any is, else unknown if any is.
fn all(parts: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    any(parts.map(|part| part.map(|it_is| !it_is))).map(|is_any_not| !is_any_not)
}

/// Whether a selector holds for a node; `None` where too little is known of it.
fn holds(selector: &Selector, node: &NodeFacts) -> Option<bool> {
    match selector {
        Selector::And(parts) => all(parts.iter().map(|part| holds(part, node))),
        Selector::Not(inner) => holds(inner, node).map(|it_does| !it_does),
        Selector::Term(term) => term_holds(term, node),
    }
}

fn term_holds(term: &Term, node: &NodeFacts) -> Option<bool> {
    let known = match term {
        Term::Tag { key, values } => return tag_holds(key, values, node),
        Term::Nodes(set) => {
            let is_in = in_set(set, node);
            let may_have_name = node.may_be_more() && !(set.names.is_empty() && set.globs.is_empty());
            return (is_in || !may_have_name).then_some(is_in);
        }
        Term::Members(members) => return members.holds(&node.id),
        Term::Attribute(..) => term_matches(term, node) || !node.may_be_more(),
        _ => true,
    };
    known.then(|| term_matches(term, node))
}

fn tag_holds(key: &str, values: &[Pattern], node: &NodeFacts) -> Option<bool> {
    if let Some(value) = node.tags.get(key) {
        return Some(values.is_empty() || any_matches(values, value));
    }
    let lacks = |value: &Pattern| {
        value.as_literal().is_some_and(|value| node.lacks.contains(&(key.to_owned(), value)))
    };
    let is_known = !node.is_partial || (!values.is_empty() && values.iter().all(lacks));
    is_known.then_some(false)
}

fn term_matches(term: &Term, node: &NodeFacts) -> bool {
    match term {
        Term::All => true,
        Term::Nodes(set) => in_set(set, node),
        // `term_holds` decides these.
        Term::Tag { .. } | Term::Members(_) => false,
        Term::Attribute(attribute, values) => {
            let fact = match attribute {
                Attribute::Asg => node.asg.as_ref().or_else(|| node.tags.get(ASG_TAG)),
                Attribute::Az => node.az.as_ref(),
                Attribute::Vpc => node.vpc.as_ref(),
                Attribute::Subnet => node.subnet.as_ref(),
                Attribute::Ami => node.image.as_ref(),
                // `Query::new` lets none of these in.
                Attribute::TargetGroup | Attribute::ResourceGroup => None,
            };
            fact.is_some_and(|fact| any_matches(values, fact))
        }
        Term::Platform(platforms) => node.platform.is_some_and(|p| platforms.contains(&p)),
        Term::Ping(ping) => node.ping == Some(*ping),
        Term::Agent(comparison, version) => {
            let known = node.agent_version.as_deref().and_then(Version::parse);
            known.is_some_and(|known| version.admits(*comparison, &known))
        }
        Term::Source(_) => false,
    }
}

fn in_set(set: &NodeSet, node: &NodeFacts) -> bool {
    let named = |name: &String| set.names.contains(name) || set.globs.iter().any(|glob| glob.matches(name));
    set.ids.contains(&node.id) || node.name.as_ref().is_some_and(named)
}

fn any_matches(patterns: &[Pattern], text: &str) -> bool {
    patterns.iter().any(|pattern| pattern.matches(text))
}

fn reach(selector: &Selector) -> Reach {
    match selector {
        Selector::Not(_) => Reach::Everything,
        Selector::And(parts) => intersection(parts.iter().map(reach)),
        Selector::Term(term) => term_reach(term),
    }
}

/// A superset of what all of them reach: ids where any is ids alone, else filters joined, else the first.
fn intersection(parts: impl Iterator<Item = Reach>) -> Reach {
    let mut best = Reach::Everything;
    for part in parts {
        best = match (best, part) {
            (Reach::Everything, other) | (other, Reach::Everything) => other,
            (Reach::Some { ids, filters, hybrid }, Reach::Some { ids: i, filters: f, hybrid: h }) => {
                let single =
                    |ids: &BTreeSet<String>, filters: &[Vec<Filter>]| ids.is_empty() && filters.len() == 1;
                if filters.is_empty() {
                    Reach::Some { ids, filters, hybrid }
                } else if f.is_empty() {
                    Reach::Some { ids: i, filters: f, hybrid: h }
                } else if single(&ids, &filters) && single(&i, &f) {
                    let joined = filters.into_iter().chain(f).flatten().collect();
                    Reach::Some { ids, filters: vec![joined], hybrid: hybrid && h }
                } else {
                    Reach::Some { ids, filters, hybrid }
                }
            }
        };
    }
    best
}

fn term_reach(term: &Term) -> Reach {
    let filter = |name: &str, values: Vec<String>, hybrid| Reach::Some {
        ids: BTreeSet::new(),
        filters: chunked(name, values),
        hybrid,
    };
    let written = |patterns: &[Pattern]| patterns.iter().map(Pattern::escaped).collect();
    match term {
        Term::Nodes(set) => {
            let names = set.names.iter().map(|name| Pattern::literal(name).escaped());
            let names: Vec<String> = names.chain(set.globs.iter().map(Pattern::escaped)).collect();
            let hybrid = !names.is_empty();
            Reach::Some { ids: set.ids.clone(), filters: chunked("tag:Name", names), hybrid }
        }
        // Of those that may be in it people are told, though they are not chosen.
        Term::Members(members) => Reach::Some {
            ids: members.ids.union(&members.doubtful).cloned().collect(),
            filters: Vec::new(),
            hybrid: false,
        },
        Term::Tag { key, values } if values.is_empty() => {
            filter("tag-key", vec![Pattern::literal(key).escaped()], true)
        }
        Term::Tag { key, values } => filter(&format!("tag:{key}"), written(values), true),
        Term::Attribute(attribute, values) => match attribute {
            Attribute::Asg => filter(&format!("tag:{ASG_TAG}"), written(values), false),
            Attribute::Az => filter("availability-zone", written(values), false),
            Attribute::Vpc => filter("vpc-id", written(values), false),
            Attribute::Subnet => filter("subnet-id", written(values), false),
            Attribute::Ami => filter("image-id", written(values), false),
            Attribute::TargetGroup | Attribute::ResourceGroup => Reach::Everything,
        },
        Term::All | Term::Platform(_) | Term::Ping(_) | Term::Agent(..) | Term::Source(_) => {
            Reach::Everything
        }
    }
}

fn chunked(name: &str, values: Vec<String>) -> Vec<Vec<Filter>> {
    let filter = |values: &[String]| vec![Filter { name: name.to_owned(), values: values.to_vec() }];
    values.chunks(MAX_FILTER_VALUES).map(filter).collect()
}

#[cfg(test)]
#[path = "query_tests.rs"]
mod tests;
