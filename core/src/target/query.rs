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

/// What is known of a node when targets are resolved. `None` is unknown, and chosen by no positive condition.
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
    /// There is still a [`Term::Source`], `tg:` or `rg:` in them: those become [`Term::Nodes`] first
    /// ([`Selector::replace_terms`]).
    pub fn new(chosen: Vec<Selector>, excluded: Vec<Selector>) -> Result<Query, Unresolved> {
        let open = |term: &&Term| {
            matches!(
                term,
                Term::Source(_) | Term::Attribute(Attribute::TargetGroup | Attribute::ResourceGroup, _)
            )
        };
        match chosen.iter().chain(&excluded).flat_map(Selector::terms).find(open) {
            Some(term) => Err(Unresolved(term.to_string())),
            None => Ok(Query { chosen, excluded }),
        }
    }

    /// Whether the node is one of those meant.
    #[must_use]
    pub fn matches(&self, node: &NodeFacts) -> bool {
        self.chosen.iter().any(|s| matches(s, node)) && !self.excluded.iter().any(|s| matches(s, node))
    }

    /// The ids that were given one by one and not excluded by id: each must exist, or the user is told.
    #[must_use]
    pub fn named_ids(&self) -> BTreeSet<&str> {
        fn ids(selector: &Selector) -> BTreeSet<&str> {
            match selector {
                Selector::Term(Term::Nodes(set)) => set.ids.iter().map(String::as_str).collect(),
                _ => BTreeSet::new(),
            }
        }
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

fn matches(selector: &Selector, node: &NodeFacts) -> bool {
    match selector {
        Selector::And(parts) => parts.iter().all(|part| matches(part, node)),
        Selector::Not(inner) => !matches(inner, node),
        Selector::Term(term) => term_matches(term, node),
    }
}

fn term_matches(term: &Term, node: &NodeFacts) -> bool {
    match term {
        Term::All => true,
        Term::Nodes(set) => in_set(set, node),
        Term::Tag { key, values } => {
            node.tags.get(key).is_some_and(|value| values.is_empty() || any_matches(values, value))
        }
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
