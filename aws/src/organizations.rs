//! AWS Organizations: which accounts there are.

use crate::call::Call;
use crate::ec2::Page;
use crate::error::CallError;
use crate::scope::Scope;

/// Organizations. Only the management account and delegated administrators may ask.
#[derive(Clone, Debug)]
pub struct Organizations {
    scope: Scope,
    client: aws_sdk_organizations::Client,
}

impl Organizations {
    pub(crate) fn new(scope: Scope, client: aws_sdk_organizations::Client) -> Organizations {
        Organizations { scope, client }
    }

    /// The active accounts of the organization, by id.
    ///
    /// # Errors
    /// A call failed.
    pub async fn accounts(&self) -> Result<Vec<String>, CallError> {
        let list = |token: Option<String>| async move {
            let call = Call::read("organizations", "ListAccounts", "");
            let request = self.client.list_accounts().set_next_token(token);
            let answer = self.scope.call(call, || request.clone().send()).await?;
            Ok(Page { items: active(answer.accounts()), next: answer.next_token().map(str::to_owned) })
        };
        let mut ids = all(list).await?;
        ids.sort();
        Ok(ids)
    }

    /// The active accounts in an organizational unit (`ou-…`) or root (`r-…`) and in all units below it, by id.
    ///
    /// # Errors
    /// A call failed; the unit doesn't exist.
    pub async fn accounts_below(&self, unit: &str) -> Result<Vec<String>, CallError> {
        let mut ids = Vec::new();
        let mut units = vec![unit.to_owned()];
        while let Some(unit) = units.pop() {
            let unit = unit.as_str();
            ids.extend(all(|token| self.page_of_accounts(unit, token)).await?);
            units.extend(all(|token| self.page_of_units(unit, token)).await?);
        }
        ids.sort();
        ids.dedup();
        Ok(ids)
    }

    async fn page_of_accounts(&self, unit: &str, token: Option<String>) -> Result<Page<String>, CallError> {
        let call = Call::read("organizations", "ListAccountsForParent", format!("of {unit}"));
        let request = self.client.list_accounts_for_parent().parent_id(unit).set_next_token(token);
        let answer = self.scope.call(call, || request.clone().send()).await?;
        Ok(Page { items: active(answer.accounts()), next: answer.next_token().map(str::to_owned) })
    }

    async fn page_of_units(&self, unit: &str, token: Option<String>) -> Result<Page<String>, CallError> {
        let call = Call::read("organizations", "ListOrganizationalUnitsForParent", format!("of {unit}"));
        let request =
            self.client.list_organizational_units_for_parent().parent_id(unit).set_next_token(token);
        let answer = self.scope.call(call, || request.clone().send()).await?;
        let units = answer.organizational_units().iter().filter_map(|u| u.id().map(str::to_owned));
        Ok(Page { items: units.collect(), next: answer.next_token().map(str::to_owned) })
    }
}

/// Suspended and closing accounts can't be worked in.
fn active(accounts: &[aws_sdk_organizations::types::Account]) -> Vec<String> {
    use aws_sdk_organizations::types::AccountState;
    let is_active = |state: Option<&AccountState>| state.is_none_or(|s| *s == AccountState::Active);
    let active = accounts.iter().filter(|a| is_active(a.state()));
    active.filter_map(|a| a.id().map(str::to_owned)).collect()
}

/// Every page's items.
async fn all<F: Future<Output = Result<Page<String>, CallError>>>(
    page: impl Fn(Option<String>) -> F,
) -> Result<Vec<String>, CallError> {
    let mut items = Vec::new();
    let mut token = None;
    loop {
        let mut answer = page(token).await?;
        items.append(&mut answer.items);
        token = answer.next;
        if token.is_none() {
            return Ok(items);
        }
    }
}
