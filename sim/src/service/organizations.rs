//! Organizations: the accounts, one root, and the units that accounts are in.

use crate::accounts::{self, Account, WORKLOADS};
use crate::clock::At;
use crate::credentials::{ACCOUNT, Principal};
use crate::service::ssm::{offset, token};
use crate::spec::Spec;
use crate::wire::validate::Checked;
use crate::wire::{ApiError, Service};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

const ORGANIZATION: &str = "o-simulated01";
const ROOT: &str = "r-sim1";
/// Largest page, and the page of a call that names none.
const PAGE: i64 = 20;

/// The operations that are simulated: no other gets to [`answer`].
pub(crate) const OPERATIONS: &[&str] = &[
    "ListAccounts",
    "ListAccountsForParent",
    "ListRoots",
    "ListOrganizationalUnitsForParent",
    "DescribeOrganization",
];

/// Answers an operation; `None` for one that is not simulated.
pub(crate) fn answer(
    spec: &Spec,
    principal: &Principal,
    api: &str,
    body: &Map<String, Value>,
) -> Option<Result<Value, ApiError>> {
    let operation: fn(&Spec, &Map<String, Value>) -> Result<Value, ApiError> = match api {
        "ListAccounts" => list,
        "ListAccountsForParent" => list_for_parent,
        "ListRoots" => roots,
        "ListOrganizationalUnitsForParent" => units,
        "DescribeOrganization" => organization,
        _ => return None,
    };
    // Only the management account may ask.
    if principal.account != ACCOUNT {
        return Some(Err(ApiError::denied(Service::Organizations, api, &principal.arn, "*")));
    }
    Some(operation(spec, body))
}

fn invalid(error: ApiError) -> ApiError {
    if error.code == "ValidationException" { error.named("InvalidInputException") } else { error }
}

/// Cuts a page out of a list.
fn page(body: &Map<String, Value>, member: &str, items: Vec<Value>) -> Result<Value, ApiError> {
    let mut checked = Checked::new(body);
    let most = checked.integer("MaxResults", (1, PAGE)).unwrap_or(PAGE) as usize;
    let page_token = checked.string("NextToken", (0, 100_000));
    checked.finish().map_err(invalid)?;
    let from = offset(page_token.as_deref())
        .map_err(|_| ApiError::new("InvalidInputException", "You specified an invalid value."))?;
    let next = (from + most < items.len()).then(|| token(from + most));
    let mut answer = Map::new();
    answer.insert(member.to_owned(), items.into_iter().skip(from).take(most).collect());
    if let Some(next) = next {
        answer.insert("NextToken".to_owned(), json!(next));
    }
    Ok(Value::Object(answer))
}

fn shown(account: &Account) -> Value {
    // In 2020, a day apart.
    let digits: i64 = account.id.get(9..).and_then(|digits| digits.parse().ok()).unwrap_or_default();
    let joined = At((1_577_836_800 + digits * 86_400) * 1_000_000);
    let path = account.unit.as_ref().map_or(String::new(), |unit| format!("{unit}/"));
    json!({
        "Id": account.id, "Name": account.name, "Email": format!("aws+{}@example.com", account.id),
        "Arn": format!("arn:aws:organizations::{ACCOUNT}:account/{ORGANIZATION}/{}", account.id),
        "Status": account.status, "State": account.status,
        "Paths": [format!("{ORGANIZATION}/{ROOT}/{path}{}/", account.id)],
        "JoinedMethod": if account.id == ACCOUNT { "INVITED" } else { "CREATED" },
        "JoinedTimestamp": joined.epoch_seconds(),
    })
}

fn list(spec: &Spec, body: &Map<String, Value>) -> Result<Value, ApiError> {
    page(body, "Accounts", accounts::all(spec).iter().map(shown).collect())
}

/// The parent that a call names: the root, or one of the units.
fn parent(spec: &Spec, body: &Map<String, Value>) -> Result<Option<String>, ApiError> {
    let mut checked = Checked::new(body);
    let id = checked.required("ParentId", (1, 100));
    checked.finish().map_err(invalid)?;
    if !id.starts_with("r-") && !id.starts_with("ou-") {
        return Err(ApiError::new(
            "InvalidInputException",
            "You provided a value that does not match the required pattern.",
        ));
    }
    if id == ROOT {
        return Ok(None);
    }
    if all_units(spec).contains(&id) {
        return Ok(Some(id));
    }
    Err(ApiError::new(
        "ParentNotFoundException",
        "You specified an organizational unit (OU) or root that doesn't exist.",
    ))
}

fn list_for_parent(spec: &Spec, body: &Map<String, Value>) -> Result<Value, ApiError> {
    let parent = parent(spec, body)?;
    let accounts = accounts::all(spec);
    page(body, "Accounts", accounts.iter().filter(|account| account.unit == parent).map(shown).collect())
}

fn roots(_spec: &Spec, body: &Map<String, Value>) -> Result<Value, ApiError> {
    let root = json!({
        "Id": ROOT, "Name": "Root", "PolicyTypes": [],
        "Arn": format!("arn:aws:organizations::{ACCOUNT}:root/{ORGANIZATION}/{ROOT}"),
    });
    page(body, "Roots", vec![root])
}

fn all_units(spec: &Spec) -> BTreeSet<String> {
    accounts::all(spec).into_iter().filter_map(|account| account.unit).collect()
}

fn units(spec: &Spec, body: &Map<String, Value>) -> Result<Value, ApiError> {
    let units = match parent(spec, body)? {
        None => all_units(spec),
        Some(_) => BTreeSet::new(),
    };
    let shown = |id: String| {
        let name = if id == WORKLOADS { "Workloads" } else { id.rsplit('-').next().unwrap_or_default() };
        json!({
            "Id": id, "Name": name, "Path": format!("{ORGANIZATION}/{ROOT}/{id}/"),
            "Arn": format!("arn:aws:organizations::{ACCOUNT}:ou/{ORGANIZATION}/{id}"),
        })
    };
    page(body, "OrganizationalUnits", units.into_iter().map(shown).collect())
}

fn organization(_spec: &Spec, _body: &Map<String, Value>) -> Result<Value, ApiError> {
    Ok(json!({"Organization": {
        "Id": ORGANIZATION, "FeatureSet": "ALL", "MasterAccountId": ACCOUNT,
        "Arn": format!("arn:aws:organizations::{ACCOUNT}:organization/{ORGANIZATION}"),
        "MasterAccountArn": format!("arn:aws:organizations::{ACCOUNT}:account/{ORGANIZATION}/{ACCOUNT}"),
        "MasterAccountEmail": format!("aws+{ACCOUNT}@example.com"), "AvailablePolicyTypes": [],
    }}))
}
