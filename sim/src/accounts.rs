//! Accounts: which there are, which roles they have, and who may become what.

use crate::credentials::ACCOUNT;
use crate::scenario::AccountRule;
use crate::spec::Spec;

/// Largest number of accounts.
const MOST: usize = 1000;

/// An account of the simulation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) id: String,
    pub(crate) name: String,
    /// The organizational unit; `None` is the root.
    pub(crate) unit: Option<String>,
    pub(crate) status: String,
}

/// Where accounts are that a scenario says nothing about.
pub(crate) const WORKLOADS: &str = "ou-sim1-workloads";

/// Reads `4` (so many) or `ID+ID` (these, beside the simulation's own).
pub(crate) fn parse(text: &str) -> Result<Vec<String>, &'static str> {
    const ALLOWED: &str = "a number from 1 to 1000, or ids of twelve digits joined by +";
    let mut ids = vec![ACCOUNT.to_owned()];
    if text.len() < 12 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        let count = text.parse().ok().filter(|count| (1..=MOST).contains(count)).ok_or(ALLOWED)?;
        ids.extend((2..=count).map(|number| (200_000_000_000 + number as u64).to_string()));
        return Ok(ids);
    }
    for id in text.split('+').map(str::trim).filter(|id| !id.is_empty()) {
        if id.len() != 12 || !id.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(ALLOWED);
        }
        if !ids.iter().any(|known| known == id) {
            ids.push(id.to_owned());
        }
    }
    if ids.len() > MOST { Err(ALLOWED) } else { Ok(ids) }
}

/// Reads names joined by `+`.
pub(crate) fn names(text: &str) -> Result<Vec<String>, &'static str> {
    let names: Vec<String> =
        text.split('+').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect();
    if names.is_empty() { Err("names joined by +") } else { Ok(names) }
}

fn rules(spec: &Spec) -> &[AccountRule] {
    spec.scenario.as_ref().map_or(&[], |scenario| &scenario.accounts)
}

fn rule<'a>(spec: &'a Spec, id: &str) -> Option<&'a AccountRule> {
    rules(spec).iter().find(|rule| rule.id == id)
}

/// True where the spec says which accounts there are; otherwise any can be reached through any role.
fn are_named(spec: &Spec) -> bool {
    spec.accounts.is_some() || !rules(spec).is_empty()
}

/// Every account, the simulation's own first.
pub(crate) fn all(spec: &Spec) -> Vec<Account> {
    let mut ids = spec.accounts.clone().unwrap_or_else(|| vec![ACCOUNT.to_owned()]);
    for rule in rules(spec) {
        if !ids.contains(&rule.id) {
            ids.push(rule.id.clone());
        }
    }
    ids.into_iter().map(|id| account(spec, id)).collect()
}

fn account(spec: &Spec, id: String) -> Account {
    let rule = rule(spec, &id);
    let own = id == ACCOUNT;
    let unit = rule.and_then(|rule| rule.unit.clone());
    Account {
        name: rule
            .and_then(|rule| rule.name.clone())
            .unwrap_or_else(|| if own { "rehearsal".to_owned() } else { format!("account-{id}") }),
        unit: if own { unit } else { Some(unit.unwrap_or_else(|| WORKLOADS.to_owned())) },
        status: rule.and_then(|rule| rule.status.clone()).unwrap_or_else(|| "ACTIVE".to_owned()),
        id,
    }
}

/// True where a role exists and lets callers become it.
pub(crate) fn may_assume(spec: &Spec, account: &str, role: &str) -> bool {
    if !are_named(spec) {
        return !is_denied(spec, account, role);
    }
    let rule = rule(spec, account);
    let exists = rule.is_some() || all(spec).iter().any(|known| known.id == account);
    let roles = rule.and_then(|rule| rule.roles.as_ref()).unwrap_or(&spec.roles);
    exists
        && rule.is_none_or(|rule| !rule.denied)
        && roles.iter().any(|name| name == role)
        && !is_denied(spec, account, role)
}

fn is_denied(spec: &Spec, account: &str, role: &str) -> bool {
    spec.denied_roles.iter().any(|denied| {
        denied == account
            || denied == role
            || denied.split_once('/').is_some_and(|(id, name)| id == account && name == role)
    })
}

/// True where nobody may call this in the account.
pub(crate) fn refuses(spec: &Spec, account: &str, api: &str) -> bool {
    rule(spec, account).is_some_and(|rule| rule.deny.iter().any(|denied| denied == api))
}

/// Managed, running nodes in each region of an account.
pub(crate) fn nodes(spec: &Spec, account: &str) -> u32 {
    rule(spec, account).and_then(|rule| rule.nodes).unwrap_or(spec.nodes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_counted_or_named() {
        assert_eq!(parse("3").unwrap(), [ACCOUNT, "200000000002", "200000000003"]);
        assert_eq!(parse("222222222222+111111111111").unwrap(), [ACCOUNT, "222222222222", "111111111111"]);
        for text in ["0", "5000", "12345", "22222222222x", "1+2"] {
            assert!(parse(text).is_err() || text == "12345" && parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn roles_are_assumed_where_they_are() {
        let open = Spec::default();
        assert!(may_assume(&open, "999999999999", "anything"));
        let named: Spec =
            "accounts=3,roles=HerderExec+ops,denied_roles=200000000003+200000000002/ops".parse().unwrap();
        assert!(may_assume(&named, "200000000002", "HerderExec"));
        assert!(may_assume(&named, ACCOUNT, "ops"));
        assert!(!may_assume(&named, "200000000002", "ops"));
        assert!(!may_assume(&named, "200000000003", "HerderExec"));
        assert!(!may_assume(&named, "200000000002", "root"));
        assert!(!may_assume(&named, "999999999999", "HerderExec"));
    }
}
