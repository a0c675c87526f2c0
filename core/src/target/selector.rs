//! [`Selector`]: the syntax tree of one `-t`. Several selectors are a union; within one, `and` intersects.
//!
//! Text to tree is in `parse.rs`, what a tree asks of AWS in `query.rs`.

use std::collections::BTreeSet;
use std::fmt;

use super::Platform;
use super::pattern::Pattern;
use crate::run_id::RunId;
use crate::verdict::Verdict;

/// One `-t` or `--exclude`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selector {
    /// Nodes that all of them choose; two or more, none of them an `And` itself.
    And(Vec<Selector>),
    /// Every node but these.
    Not(Box<Selector>),
    /// A single condition.
    Term(Term),
}

/// A single condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Term {
    /// These ids and names: `i-0123456789abcdef0`, `web-1`, `name:web-*`.
    Nodes(NodeSet),
    /// `tag:KEY=VALUE[,VALUE]`; without values, any node that has the key.
    Tag {
        /// The tag's key, literally.
        key: String,
        /// Any of these; none means that the key is enough.
        values: Vec<Pattern>,
    },
    /// `asg:NAME`, `az:…`, `vpc:…` and so on.
    Attribute(Attribute, Vec<Pattern>),
    /// `platform:linux`.
    Platform(Vec<Platform>),
    /// `ping:online`.
    Ping(Ping),
    /// `agent:lt:3.2`.
    Agent(Comparison, Version),
    /// Who is in a group that was asked apart: `tg:`, `rg:`.
    Members(Members),
    /// `all`.
    All,
    /// A list kept elsewhere: `@FILE`, `-`, `@last:failed`.
    Source(Source),
}

/// Who is in a group, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Members {
    /// What was asked for: `tg:web`.
    pub asked: String,
    /// Ids of those that are in it.
    pub ids: BTreeSet<String>,
    /// Ids of those that may be in it.
    pub doubtful: BTreeSet<String>,
    /// Whether any hybrid node may be in it: it holds addresses that no instance has.
    pub may_have_hybrid: bool,
}

impl Members {
    /// Whether a node is in it; `None` where that is not known.
    #[must_use]
    pub fn holds(&self, id: &str) -> Option<bool> {
        let may_be = self.doubtful.contains(id) || (self.may_have_hybrid && id.starts_with("mi-"));
        let is_in = self.ids.contains(id);
        (is_in || !may_be).then_some(is_in)
    }
}

/// Nodes by id or by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeSet {
    /// `i-…` and `mi-…`.
    pub ids: BTreeSet<String>,
    /// Exact names.
    pub names: BTreeSet<String>,
    /// Names with wildcards.
    pub globs: BTreeSet<Pattern>,
    /// Ids, each in one account and region.
    pub scoped: BTreeSet<ScopedId>,
}

/// A node as runs over several accounts and regions call it: `111122223333/eu-west-1/i-0123456789abcdef0`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ScopedId {
    /// AWS account id.
    pub account: String,
    /// AWS region.
    pub region: String,
    /// `i-…` or `mi-…`.
    pub id: String,
}

impl ScopedId {
    /// Reads `account/region/id`.
    #[must_use]
    pub fn parse(text: &str) -> Option<ScopedId> {
        let [account, region, id] = text.split('/').collect::<Vec<_>>()[..] else { return None };
        let is_account = account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit());
        let is_region = !region.is_empty()
            && region.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        (is_account && is_region && is_id(id)).then(|| ScopedId {
            account: account.to_owned(),
            region: region.to_owned(),
            id: id.to_owned(),
        })
    }

    /// Whether it is a node of that account and region.
    #[must_use]
    pub fn is_in(&self, account: &str, region: &str) -> bool {
        self.account == account && self.region == region
    }
}

impl fmt::Display for ScopedId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.account, self.region, self.id)
    }
}

impl NodeSet {
    /// Adds what may be an id or an exact name.
    pub fn add(&mut self, node: &str) {
        let set = if is_id(node) { &mut self.ids } else { &mut self.names };
        set.insert(node.to_owned());
    }

    /// The same as it is in one account and region: ids of others are none of it.
    #[must_use]
    pub fn within(&self, account: &str, region: &str) -> NodeSet {
        let here = self.scoped.iter().filter(|node| node.is_in(account, region)).map(|node| node.id.clone());
        let ids = self.ids.iter().cloned().chain(here).collect();
        NodeSet { ids, names: self.names.clone(), globs: self.globs.clone(), scoped: BTreeSet::new() }
    }

    /// Adds a name that may have wildcards in it.
    pub fn add_name(&mut self, name: Pattern) {
        match name.as_literal() {
            Some(name) => self.names.insert(name),
            None => self.globs.insert(name),
        };
    }
}

impl<S: AsRef<str>> FromIterator<S> for NodeSet {
    fn from_iter<I: IntoIterator<Item = S>>(nodes: I) -> NodeSet {
        let mut set = NodeSet::default();
        nodes.into_iter().for_each(|node| set.add(node.as_ref()));
        set
    }
}

/// Whether it is an instance's id (`i-` and 8 or 17 hexadecimal digits) or a hybrid node's (`mi-` and 17).
#[must_use]
pub fn is_id(text: &str) -> bool {
    let (digits, lengths) = match (text.strip_prefix("mi-"), text.strip_prefix("i-")) {
        (Some(digits), _) => (digits, &[17][..]),
        (None, Some(digits)) => (digits, &[8, 17][..]),
        (None, None) => return false,
    };
    lengths.contains(&digits.len()) && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// What a node belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attribute {
    /// Auto Scaling group.
    Asg,
    /// Load balancer's target group; which nodes are in it is asked apart.
    TargetGroup,
    /// Availability zone.
    Az,
    /// VPC id.
    Vpc,
    /// Subnet id.
    Subnet,
    /// Image id.
    Ami,
    /// Resource group; which nodes are in it is asked apart.
    ResourceGroup,
}

impl Attribute {
    /// Every attribute.
    pub const ALL: [Attribute; 7] = [
        Attribute::Asg,
        Attribute::TargetGroup,
        Attribute::Az,
        Attribute::Vpc,
        Attribute::Subnet,
        Attribute::Ami,
        Attribute::ResourceGroup,
    ];

    /// The word before the colon.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Attribute::Asg => "asg",
            Attribute::TargetGroup => "tg",
            Attribute::Az => "az",
            Attribute::Vpc => "vpc",
            Attribute::Subnet => "subnet",
            Attribute::Ami => "ami",
            Attribute::ResourceGroup => "rg",
        }
    }
}

/// Whether a node's agent answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ping {
    /// It does.
    Online,
    /// It did once (`ConnectionLost`, `Inactive`).
    Lost,
}

/// How versions are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// Older than.
    Lt,
    /// Older than, or it.
    Le,
    /// It.
    Eq,
    /// It, or newer.
    Ge,
    /// Newer than.
    Gt,
}

impl Comparison {
    /// Every comparison.
    pub const ALL: [Comparison; 5] =
        [Comparison::Lt, Comparison::Le, Comparison::Eq, Comparison::Ge, Comparison::Gt];

    /// The word of the grammar.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Comparison::Lt => "lt",
            Comparison::Le => "le",
            Comparison::Eq => "eq",
            Comparison::Ge => "ge",
            Comparison::Gt => "gt",
        }
    }
}

/// A dotted version, compared number by number: `3.10` is newer than `3.9`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version(Vec<u64>);

impl Version {
    /// Reads `3.2` or `3.2.985.0`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Version> {
        text.split('.')
            .map(|part| part.bytes().all(|b| b.is_ascii_digit()).then(|| part.parse().ok()).flatten())
            .collect::<Option<Vec<u64>>>()
            .map(Version)
    }

    /// Whether `other` compares so with this one. Only as many numbers as this one has are looked at, so that
    /// `3.2.985.0` is `eq:3.2` and not `gt:3.2`.
    #[must_use]
    pub fn admits(&self, comparison: Comparison, other: &Version) -> bool {
        let padded = other.0.iter().copied().chain(std::iter::repeat(0)).take(self.0.len());
        let order = padded.cmp(self.0.iter().copied());
        match comparison {
            Comparison::Lt => order.is_lt(),
            Comparison::Le => order.is_le(),
            Comparison::Eq => order.is_eq(),
            Comparison::Ge => order.is_ge(),
            Comparison::Gt => order.is_gt(),
        }
    }
}

/// A list of nodes that is kept elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// `@FILE`.
    File(String),
    /// `-`.
    Stdin,
    /// `@last:failed`, `@20261121-093000-1f2e3d:bad`.
    Run(RunRef, Which),
}

/// A run that is referred to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunRef {
    /// The latest one.
    Last,
    /// This one.
    Id(RunId),
}

/// Which of a run's targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// All of them.
    All,
    /// Those that count against the error budget.
    Bad,
    /// Those that ended so.
    Verdict(Verdict),
}

impl Which {
    /// Whether a target with this verdict is meant.
    #[must_use]
    pub fn includes(self, verdict: Verdict) -> bool {
        match self {
            Which::All => true,
            Which::Bad => verdict.is_bad(),
            Which::Verdict(wanted) => verdict == wanted,
        }
    }
}

impl Selector {
    /// Every term in it, from left to right.
    #[must_use]
    pub fn terms(&self) -> Vec<&Term> {
        match self {
            Selector::And(parts) => parts.iter().flat_map(Selector::terms).collect(),
            Selector::Not(inner) => inner.terms(),
            Selector::Term(term) => vec![term],
        }
    }

    /// The same selector with some terms replaced: how lists kept elsewhere and groups asked apart become
    /// [`Term::Nodes`] and [`Term::Members`].
    ///
    /// # Errors
    /// The first one that `replace` gives.
    pub fn replace_terms<E>(
        self,
        replace: &mut impl FnMut(&Term) -> Result<Option<Term>, E>,
    ) -> Result<Selector, E> {
        Ok(match self {
            Selector::And(parts) => {
                let parts: Result<Vec<_>, E> = parts.into_iter().map(|p| p.replace_terms(replace)).collect();
                Selector::And(parts?)
            }
            Selector::Not(inner) => Selector::Not(Box::new(inner.replace_terms(replace)?)),
            Selector::Term(term) => {
                let replaced = replace(&term)?;
                Selector::Term(replaced.unwrap_or(term))
            }
        })
    }

    /// Whether it is `all` itself, which always asks for confirmation.
    #[must_use]
    pub fn is_all(&self) -> bool {
        match self {
            Selector::And(parts) => parts.iter().all(Selector::is_all),
            Selector::Not(_) => false,
            Selector::Term(term) => *term == Term::All,
        }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Selector::And(parts) => {
                for (i, part) in parts.iter().enumerate() {
                    f.write_str(if i == 0 { "" } else { " and " })?;
                    write!(f, "{part}")?;
                }
                Ok(())
            }
            Selector::Not(inner) => match **inner {
                Selector::And(_) => write!(f, "not ({inner})"),
                _ => write!(f, "not {inner}"),
            },
            Selector::Term(term) => write!(f, "{term}"),
        }
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values = |values: &[Pattern]| {
            values.iter().map(|v| quoted(&v.escaped(), is_plain)).collect::<Vec<_>>().join(",")
        };
        match self {
            Term::Nodes(set) => write!(f, "{set}"),
            Term::Tag { key, values: wanted } => {
                write!(f, "tag:{}", quoted(&key.replace('\\', "\\\\"), is_plain))?;
                if wanted.is_empty() { Ok(()) } else { write!(f, "={}", values(wanted)) }
            }
            Term::Attribute(attribute, wanted) => write!(f, "{}:{}", attribute.word(), values(wanted)),
            Term::Platform(platforms) => {
                let words: Vec<&str> = platforms.iter().map(|p| p.as_str()).collect();
                write!(f, "platform:{}", words.join(","))
            }
            Term::Ping(Ping::Online) => f.write_str("ping:online"),
            Term::Ping(Ping::Lost) => f.write_str("ping:lost"),
            Term::Agent(comparison, version) => write!(f, "agent:{}:{version}", comparison.word()),
            Term::Members(members) => f.write_str(&members.asked),
            Term::All => f.write_str("all"),
            Term::Source(source) => write!(f, "{source}"),
        }
    }
}

impl fmt::Display for NodeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.names.iter().map(|name| Pattern::literal(name).escaped());
        let names = names.chain(self.globs.iter().map(Pattern::escaped)).map(|n| quoted(&n, is_plain_name));
        let scoped = self.scoped.iter().map(ToString::to_string);
        let all: Vec<String> = self.ids.iter().cloned().chain(scoped).chain(names).collect();
        f.write_str(if all.is_empty() { "not all" } else { "" })?;
        f.write_str(&all.join(","))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<String> = self.0.iter().map(u64::to_string).collect();
        f.write_str(&parts.join("."))
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Stdin => f.write_str("-"),
            Source::File(path) => {
                let plain =
                    |p: &str| is_plain(p) && !p.contains(':') && p != "last" && p.parse::<RunId>().is_err();
                write!(f, "@{}", quoted(&path.replace('\\', "\\\\"), plain))
            }
            Source::Run(run, which) => {
                match run {
                    RunRef::Last => f.write_str("@last")?,
                    RunRef::Id(id) => write!(f, "@{id}")?,
                }
                match which {
                    Which::All => Ok(()),
                    Which::Bad => f.write_str(":bad"),
                    Which::Verdict(verdict) => write!(f, ":{verdict}"),
                }
            }
        }
    }
}

/// The text as it stands where the grammar reads it back as one word, else in quotes. `\` is escaped already.
fn quoted(escaped: &str, plain: impl Fn(&str) -> bool) -> String {
    if plain(escaped) { escaped.to_owned() } else { format!("\"{}\"", escaped.replace('"', "\\\"")) }
}

fn is_plain(text: &str) -> bool {
    let safe =
        |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '/' | '+' | '*' | '?' | ':' | '\\');
    !text.is_empty() && text.chars().all(safe)
}

fn is_plain_name(text: &str) -> bool {
    let keyword = ["and", "not", "or", "all", "-"].iter().any(|k| text.eq_ignore_ascii_case(k));
    let is_like_id = text.starts_with("i-") || text.starts_with("mi-") || ScopedId::parse(text).is_some();
    is_plain(text) && !text.contains(':') && !keyword && !is_like_id
}
