//! The first scope alone, with its typed error: for `herder doctor`, which says what is wrong instead of giving up.

use std::sync::Arc;

use herder_aws::{Scope, ScopeError};

use super::{Accounts, FIRST_REGIONS, Opening, Regions};
use crate::ctx::Ctx;
use crate::failure::Failure;

impl Ctx {
    /// The caller's own credentials in the first region that was asked for. Asks no service, except what credentials need.
    ///
    /// # Errors
    /// `--region` or `--account` makes no sense; the inner error says what is missing.
    pub(crate) async fn open_first(&self) -> Result<Result<Scope, ScopeError>, Failure> {
        let regions = Regions::parse(self.asked(&self.settings.region))?;
        let accounts = Accounts::parse(self.asked(&self.settings.account))?;
        let first = match &regions {
            Regions::Named(names) => names.first().cloned(),
            Regions::Usual | Regions::All => None,
        };
        let is_all = regions == Regions::All;
        let opening = Opening { ctx: self, regions, accounts, role: None, meter: self.new_meter(None) };
        let open = |region: Option<String>| {
            let options = opening.options(region, None);
            // Boxed: the SDK's futures are nested deeply.
            Box::pin(Scope::open(options, Arc::clone(&opening.meter)))
        };
        Ok(match open(first).await {
            Err(ScopeError::NoRegion { .. }) if is_all => open(Some(FIRST_REGIONS[0].to_owned())).await,
            opened => opened,
        })
    }
}
