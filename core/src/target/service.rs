//! [`ServiceTarget`]: a selector in the words of Run Command's `Targets`, where it has words for it.

use serde::{Deserialize, Serialize};

use super::pattern::Pattern;
use super::query::ASG_TAG;
use super::selector::{Attribute, Selector, Term};

/// Targets of one command, all of which have to fit, and values of one of them (facts §4.1).
const MAX_TARGETS: usize = 5;
const MAX_VALUES: usize = 50;

/// One condition that the service looks up by itself: any of the values fits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceTarget {
    /// `tag:env`, `tag-key`, `resource-groups:Name`, `InstanceIds`.
    pub key: String,
    /// Literally; 1 to 50.
    pub values: Vec<String>,
}

/// The service has no words for a selector.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Inexpressible {
    /// This part of it.
    #[error("the service can't be handed `{0}`")]
    Selector(String),
    /// More than a union of values of one tag.
    #[error("the service can't be handed a union of selectors")]
    Union,
    /// More than five conditions.
    #[error("the service takes up to {MAX_TARGETS} conditions at once")]
    Conditions,
    /// More than fifty values of one condition.
    #[error("the service takes up to {MAX_VALUES} values of `{0}`")]
    Values(String),
}

impl ServiceTarget {
    /// The conditions that choose what these selectors choose together, of what the service knows.
    ///
    /// # Errors
    /// The service has no words for it.
    pub fn of(chosen: &[Selector]) -> Result<Vec<ServiceTarget>, Inexpressible> {
        let mut all = chosen.iter().map(conditions);
        let mut targets = all.next().unwrap_or(Ok(Vec::new()))?;
        for others in all {
            match (targets.as_mut_slice(), others?.as_mut_slice()) {
                ([one], [other]) if one.key == other.key && is_listable(&one.key) => {
                    let new: Vec<String> =
                        other.values.iter().filter(|v| !one.values.contains(v)).cloned().collect();
                    one.values.extend(new);
                }
                _ => return Err(Inexpressible::Union),
            }
        }
        if targets.len() > MAX_TARGETS {
            return Err(Inexpressible::Conditions);
        }
        match targets.iter().find(|target| target.values.len() > MAX_VALUES) {
            Some(target) => Err(Inexpressible::Values(target.key.clone())),
            None => Ok(targets),
        }
    }
}

/// One group a command is all that it takes, and `*` is everything already.
fn is_listable(key: &str) -> bool {
    key.starts_with("tag")
}

fn conditions(selector: &Selector) -> Result<Vec<ServiceTarget>, Inexpressible> {
    let no = || Inexpressible::Selector(selector.to_string());
    match selector {
        Selector::Not(_) => Err(no()),
        Selector::Term(term) => Ok(vec![condition(term).ok_or_else(no)?]),
        Selector::And(parts) => {
            let parts: Vec<&Selector> = parts.iter().filter(|part| !part.is_all()).collect();
            let mut targets = Vec::new();
            for part in parts {
                let found = conditions(part)?;
                // Groups and ids stand alone: whether they can be joined with anything is not documented.
                if found.iter().any(|target| !is_listable(&target.key)) {
                    return Err(no());
                }
                targets.extend(found);
            }
            Ok(targets)
        }
    }
}

fn condition(term: &Term) -> Option<ServiceTarget> {
    let target = |key: &str, values: Vec<String>| ServiceTarget { key: key.to_owned(), values };
    match term {
        Term::All => Some(target("InstanceIds", vec!["*".to_owned()])),
        Term::Tag { key, values } if values.is_empty() => Some(target("tag-key", vec![key.clone()])),
        Term::Tag { key, values } => Some(target(&format!("tag:{key}"), literals(values)?)),
        Term::Attribute(Attribute::Asg, values) => Some(target(&format!("tag:{ASG_TAG}"), literals(values)?)),
        Term::Attribute(Attribute::ResourceGroup, values) => {
            let names = literals(values)?;
            (names.len() == 1).then(|| target("resource-groups:Name", names))
        }
        Term::Nodes(_)
        | Term::Members(_)
        | Term::Attribute(..)
        | Term::Platform(_)
        | Term::Ping(_)
        | Term::Agent(..)
        | Term::Source(_) => None,
    }
}

/// The service knows no wildcards.
fn literals(values: &[Pattern]) -> Option<Vec<String>> {
    values.iter().map(Pattern::as_literal).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(selectors: &[&str]) -> Result<Vec<ServiceTarget>, String> {
        let parsed: Vec<Selector> = selectors.iter().map(|s| s.parse().unwrap()).collect();
        ServiceTarget::of(&parsed).map_err(|error| error.to_string())
    }

    fn target(key: &str, values: &[&str]) -> ServiceTarget {
        ServiceTarget { key: key.into(), values: values.iter().map(|v| (*v).to_owned()).collect() }
    }

    #[test]
    fn what_the_service_has_words_for() {
        for (selectors, expected) in [
            (&["all"][..], vec![target("InstanceIds", &["*"])]),
            (&["tag:env=prod,dev"], vec![target("tag:env", &["prod", "dev"])]),
            (&["tag:env"], vec![target("tag-key", &["env"])]),
            (
                &["tag:env=prod and tag:role=web"],
                vec![target("tag:env", &["prod"]), target("tag:role", &["web"])],
            ),
            (&["all and tag:env=prod"], vec![target("tag:env", &["prod"])]),
            (&["tag:env=prod", "tag:env=dev", "tag:env=prod"], vec![target("tag:env", &["prod", "dev"])]),
            (&["asg:web"], vec![target("tag:aws:autoscaling:groupName", &["web"])]),
            (&["rg:web-fleet"], vec![target("resource-groups:Name", &["web-fleet"])]),
        ] {
            assert_eq!(of(selectors), Ok(expected), "{selectors:?}");
        }
    }

    #[test]
    fn what_it_has_none_for() {
        for (selectors, expected) in [
            (&["not tag:env=prod"][..], "the service can't be handed `not tag:env=prod`"),
            (&["tag:env=prod and not tag:role=db"], "the service can't be handed `not tag:role=db`"),
            (&["tag:env=pr*"], "the service can't be handed `tag:env=pr*`"),
            (&["web-1"], "the service can't be handed `web-1`"),
            (&["platform:linux"], "the service can't be handed `platform:linux`"),
            (&["ping:online and tag:env=prod"], "the service can't be handed `ping:online`"),
            (&["rg:a,b"], "the service can't be handed `rg:a,b`"),
            (&["rg:a and tag:env=prod"], "the service can't be handed `rg:a and tag:env=prod`"),
            (&["@last:failed"], "the service can't be handed `@last:failed`"),
            (&["tag:env=prod", "tag:role=web"], "the service can't be handed a union of selectors"),
            (&["rg:a", "rg:b"], "the service can't be handed a union of selectors"),
            (&["all", "all"], "the service can't be handed a union of selectors"),
            (
                &["tag:a=1 and tag:b=1 and tag:c=1 and tag:d=1 and tag:e=1 and tag:f=1"],
                "the service takes up to 5 conditions at once",
            ),
        ] {
            assert_eq!(of(selectors).unwrap_err(), expected, "{selectors:?}");
        }
        let many = (0..51).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
        assert_eq!(
            of(&[&format!("tag:n={many}")]).unwrap_err(),
            "the service takes up to 50 values of `tag:n`"
        );
    }
}
