//! Groups whose members are asked apart: `tg:` and `rg:`. What they name becomes ids, in one account and region at a time.

use std::collections::{BTreeMap, BTreeSet};

use herder_aws::ec2::{DescribeError, InstancesQuery};
use herder_aws::elbv2::{TargetGroup, TargetKind};
use herder_core::target::{Attribute, Members, Pattern, Term};

use super::place::{Named, Place};
use crate::complete::nearest_of;
use crate::failure::{Failure, Kind};
use crate::scopes::OpenScope;

/// So many addresses go into one filter of `DescribeInstances`, which takes 200 values in all.
const ADDRESSES: usize = 150;
/// So many addresses are named.
const NAMED: usize = 3;

/// A group as a selector names it.
type Key = (&'static str, String);

/// The groups that selectors name, as they are in one account and region.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    /// The account and region.
    place: (String, String),
    /// `None` where there is no group of that name.
    found: BTreeMap<Key, Option<Members>>,
    /// Names of what there is, where a name was not found.
    known: BTreeSet<String>,
    /// What a person should know.
    pub(crate) warnings: Vec<String>,
}

/// Looks up the groups that are among these terms.
///
/// # Errors
/// AWS can't be asked; or a group holds what no command can be sent to.
pub(crate) async fn look_up(open: &OpenScope, terms: &[&Term]) -> Result<Groups, Failure> {
    let place = (open.identity.account.clone(), open.identity.region.clone());
    let mut groups = Groups { place, ..Groups::default() };
    for term in terms {
        let Term::Attribute(attribute, patterns) = term else { continue };
        for pattern in patterns {
            let key = (attribute.word(), pattern.escaped());
            if groups.found.contains_key(&key) {
                continue;
            }
            let members = match attribute {
                Attribute::TargetGroup => groups.target_groups(open, pattern).await?,
                Attribute::ResourceGroup => groups.resource_groups(open, pattern).await?,
                Attribute::Asg | Attribute::Az | Attribute::Vpc | Attribute::Subnet | Attribute::Ami => {
                    continue;
                }
            };
            groups.found.insert(key, members);
        }
    }
    Ok(groups)
}

/// Every group is there in some account and region of the run.
///
/// # Errors
/// One is nowhere (exit 3).
pub(crate) fn require_all(everywhere: &[&Groups]) -> Result<(), Failure> {
    let keys: BTreeSet<&Key> = everywhere.iter().flat_map(|groups| groups.found.keys()).collect();
    let is_found = |key: &Key| everywhere.iter().any(|groups| matches!(groups.found.get(key), Some(Some(_))));
    let Some((word, name)) = keys.into_iter().find(|key| !is_found(key)) else { return Ok(()) };
    let what = if *word == Attribute::TargetGroup.word() { "target group" } else { "resource group" };
    let failure = Failure::new(Kind::NotFound, format!("there is no {what} `{name}`"));
    let known = everywhere.iter().flat_map(|groups| groups.known.iter().map(String::as_str));
    let failure = match nearest_of(name, &known.collect::<Vec<_>>()) {
        Some(meant) if *word == Attribute::TargetGroup.word() => {
            failure.hint(format!("Did you mean `{word}:{meant}`?"))
        }
        _ => failure,
    };
    Err(failure.hint("Check the name, --region and --profile."))
}

impl Groups {
    /// What a term comes to here; `None` where it is the same everywhere.
    pub(crate) fn term(&self, term: &Term) -> Option<Term> {
        if let Term::Nodes(set) = term {
            let (account, region) = &self.place;
            return (!set.scoped.is_empty()).then(|| Term::Nodes(set.within(account, region)));
        }
        let Term::Attribute(attribute @ (Attribute::TargetGroup | Attribute::ResourceGroup), patterns) = term
        else {
            return None;
        };
        let mut all = Members { asked: term.to_string(), ..Members::default() };
        for pattern in patterns {
            let found = self.found.get(&(attribute.word(), pattern.escaped()));
            // One that is not here has no members here.
            let Some(Some(members)) = found else { continue };
            all.ids.extend(members.ids.iter().cloned());
            all.doubtful.extend(members.doubtful.iter().cloned());
            all.may_have_hybrid |= members.may_have_hybrid;
        }
        Some(Term::Members(all))
    }

    async fn target_groups(
        &mut self,
        open: &OpenScope,
        pattern: &Pattern,
    ) -> Result<Option<Members>, Failure> {
        let elbv2 = open.scope.elbv2();
        let groups: Vec<TargetGroup> = match pattern.as_literal() {
            Some(name) if !Named::target_group(&name).may_be_in(&Place::from(open)) => Vec::new(),
            Some(name) => match elbv2.target_group(&name).await? {
                Some(group) => vec![group],
                None => {
                    // For a slip of the pen. That it can't be told what there is is no reason to say anything else.
                    if let Ok(page) = elbv2.target_groups(None).await {
                        self.known.extend(page.items.into_iter().map(|group| group.name));
                    }
                    Vec::new()
                }
            },
            None => {
                let (mut matching, mut token) = (Vec::new(), None);
                loop {
                    let page = elbv2.target_groups(token.as_deref()).await?;
                    matching.extend(page.items.into_iter().filter(|group| pattern.matches(&group.name)));
                    token = page.next;
                    if token.is_none() {
                        break matching;
                    }
                }
            }
        };
        let mut all: Option<Members> = None;
        for group in groups {
            let registered = elbv2.target_health(&group.arn).await?;
            let registered: BTreeSet<String> = registered.into_iter().map(|target| target.id).collect();
            let members = all.get_or_insert_default();
            match &group.kind {
                TargetKind::Instance => members.ids.extend(registered),
                TargetKind::Ip => self.by_address(open, &group, registered, members).await?,
                TargetKind::Lambda | TargetKind::Other(_) => return Err(no_nodes(&group)),
            }
        }
        Ok(all)
    }

    /// Addresses are those of instances in the group's VPC. One that none has there may be that of an instance in another VPC, of a
    /// hybrid node, or of something else.
    async fn by_address(
        &mut self,
        open: &OpenScope,
        group: &TargetGroup,
        mut addresses: BTreeSet<String>,
        members: &mut Members,
    ) -> Result<(), Failure> {
        for id in instances_with(open, &mut addresses, group.vpc.as_deref()).await? {
            members.ids.insert(id);
        }
        if addresses.is_empty() {
            return Ok(());
        }
        members.may_have_hybrid = true;
        let more = if addresses.len() > NAMED { ", …" } else { "" };
        let named: Vec<&str> = addresses.iter().take(NAMED).map(String::as_str).collect();
        self.warnings.push(format!(
            "{} {} of the target group `{}` {} to no instance in its VPC: {}{more}",
            addresses.len(),
            if addresses.len() == 1 { "address" } else { "addresses" },
            group.name,
            if addresses.len() == 1 { "belongs" } else { "belong" },
            named.join(", ")
        ));
        members.doubtful.extend(instances_with(open, &mut addresses, None).await?);
        Ok(())
    }

    async fn resource_groups(
        &mut self,
        open: &OpenScope,
        pattern: &Pattern,
    ) -> Result<Option<Members>, Failure> {
        let resource_groups = open.scope.resource_groups();
        let names: Vec<String> = match pattern.as_literal() {
            Some(name) => vec![name],
            None => {
                let (mut matching, mut token) = (Vec::new(), None);
                loop {
                    let page = resource_groups.groups(token.as_deref()).await?;
                    matching.extend(page.items.into_iter().filter(|name| pattern.matches(name)));
                    token = page.next;
                    if token.is_none() {
                        break matching;
                    }
                }
            }
        };
        let mut all: Option<Members> = None;
        for name in names {
            let mut token = None;
            while let Some(members) = resource_groups.nodes(&name, token.as_deref()).await? {
                if !members.errors.is_empty() {
                    let mut failure = Failure::new(
                        Kind::Service,
                        format!("the resource group `{name}` can't tell all of its members"),
                    );
                    failure.causes = members.errors;
                    return Err(failure.hint("Mend the group, or choose nodes by tag: its query may be one."));
                }
                all.get_or_insert_default().ids.extend(members.page.items);
                token = members.page.next;
                if token.is_none() {
                    break;
                }
            }
        }
        Ok(all)
    }
}

/// Ids of the instances that have any of these addresses, which are then taken out.
async fn instances_with(
    open: &OpenScope,
    addresses: &mut BTreeSet<String>,
    vpc: Option<&str>,
) -> Result<BTreeSet<String>, Failure> {
    let (six, four): (Vec<String>, Vec<String>) = addresses.iter().cloned().partition(|a| a.contains(':'));
    let filters = [
        ("network-interface.addresses.private-ip-address", four),
        ("network-interface.ipv6-addresses.ipv6-address", six),
    ];
    let (ec2, mut ids) = (open.scope.ec2(), BTreeSet::new());
    for (name, values) in filters {
        for chunk in values.chunks(ADDRESSES) {
            let mut filters = vec![(name.to_owned(), chunk.to_vec())];
            filters.extend(vpc.map(|vpc| ("vpc-id".to_owned(), vec![vpc.to_owned()])));
            let (query, mut token) = (InstancesQuery::Filters(filters), None);
            loop {
                let page =
                    ec2.describe_instances(&query, token.as_deref()).await.map_err(|error| match error {
                        DescribeError::NoSuchInstances { error, .. } | DescribeError::Call(error) => error,
                    })?;
                for instance in page.items {
                    addresses.retain(|address| !instance.addresses.contains(address));
                    ids.insert(instance.id);
                }
                token = page.next;
                if token.is_none() {
                    break;
                }
            }
        }
    }
    Ok(ids)
}

fn no_nodes(group: &TargetGroup) -> Failure {
    let kind = &group.kind;
    let held = if *kind == TargetKind::Lambda {
        "a Lambda function".to_owned()
    } else {
        format!("targets of type {kind}")
    };
    Failure::usage(format!("the target group `{}` holds {held}, and no nodes", group.name))
        .hint("Choose a target group of instances or addresses.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn groups(found: &[(&str, Option<&[&str]>)]) -> Groups {
        let members = |ids: &&[&str]| Members {
            ids: ids.iter().map(|id| (*id).to_owned()).collect(),
            may_have_hybrid: ids.is_empty(),
            ..Members::default()
        };
        let found = found.iter().map(|(name, ids)| (("tg", (*name).to_owned()), ids.as_ref().map(members)));
        let place = ("111122223333".to_owned(), "eu-west-1".to_owned());
        Groups { place, found: found.collect(), ..Groups::default() }
    }

    #[test]
    fn a_group_has_to_be_somewhere_and_has_members_only_where_it_is() {
        let here = groups(&[("web", Some(&["i-1"])), ("api", None), ("gone", None)]);
        let there = groups(&[("web", None), ("api", Some(&[])), ("gone", None)]);
        let failure = require_all(&[&here, &there]).unwrap_err();
        assert_eq!(
            (failure.kind, failure.message.as_str()),
            (Kind::NotFound, "there is no target group `gone`")
        );
        assert!(require_all(&[&groups(&[("a", None)]), &groups(&[("a", Some(&[]))])]).is_ok());

        let term = "tg:web,api".parse::<herder_core::target::Selector>().unwrap().terms()[0].clone();
        let members = |groups: &Groups| match groups.term(&term) {
            Some(Term::Members(members)) => members,
            other => panic!("{other:?}"),
        };
        assert_eq!(members(&here).ids, ["i-1".to_owned()].into());
        assert_eq!((members(&there).ids.len(), members(&there).may_have_hybrid), (0, true));
        assert_eq!(members(&here).asked, "tg:web,api");
        assert_eq!(here.term(&Term::All), None);

        let near = Groups { known: ["wbe", "api"].map(str::to_owned).into(), ..groups(&[("web", None)]) };
        assert_eq!(require_all(&[&near]).unwrap_err().hints[0], "Did you mean `tg:wbe`?");
    }
}
