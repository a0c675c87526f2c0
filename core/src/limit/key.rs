//! [`LimitKey`]: whose quota a call uses.

use std::fmt;

use serde::{Deserialize, Serialize};

/// AWS counts calls for each account, region and API apart, so herder limits them apart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LimitKey {
    /// AWS account id, twelve digits.
    pub account: String,
    /// AWS region.
    pub region: String,
    /// AWS's operation name: `SendCommand`.
    pub api: String,
}

impl LimitKey {
    /// Names a quota.
    #[must_use]
    pub fn new(account: &str, region: &str, api: &str) -> LimitKey {
        LimitKey { account: account.to_owned(), region: region.to_owned(), api: api.to_owned() }
    }
}

impl fmt::Display for LimitKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.account, self.region, self.api)
    }
}
