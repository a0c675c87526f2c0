//! [`Place`]: an account and region of a run, in which names are looked up; [`Named`]: a name to be looked up.

use std::fmt;

use futures_util::future::join_all;
use herder_aws::Scope;

use crate::scopes::OpenScope;

/// One account and region of a run.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) scope: Scope,
    account: String,
    region: String,
}

impl From<&OpenScope> for Place {
    fn from(open: &OpenScope) -> Place {
        Place {
            scope: open.scope.clone(),
            account: open.identity.account.clone(),
            region: open.identity.region.clone(),
        }
    }
}

/// `111122223333/eu-west-1`
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.account, self.region)
    }
}

/// Does the same in several accounts and regions side by side, and gives what came of it in their order. One that is slow holds up the
/// answer, and none of the others.
pub(crate) async fn in_each<P, F: Future>(
    places: impl IntoIterator<Item = P>,
    ask: impl Fn(P) -> F,
) -> Vec<F::Output> {
    join_all(places.into_iter().map(ask)).await
}

/// Of many places, which: ` in 111122223333/eu-west-1`; of one, nothing.
pub(crate) fn told(places: &[Place], place: &Place) -> String {
    if places.len() > 1 { format!(" in {place}") } else { String::new() }
}

/// A name, which may be that of something in any place, or an ARN, which says where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named<'a> {
    /// What it is called in calls.
    pub(crate) name: &'a str,
    region: Option<&'a str>,
    account: Option<&'a str>,
}

impl<'a> Named<'a> {
    /// An alarm: calls name it without its ARN.
    pub(crate) fn alarm(text: &'a str) -> Named<'a> {
        let named = Named::arn(text);
        let resource = if named.region.is_some() { text.splitn(7, ':').nth(6) } else { None };
        Named { name: resource.unwrap_or(text), ..named }
    }

    /// A target group: calls name it as given.
    pub(crate) fn target_group(text: &'a str) -> Named<'a> {
        Named::arn(text)
    }

    /// A calendar: calls name it as given. One of another account may be shared.
    pub(crate) fn calendar(text: &'a str) -> Named<'a> {
        Named { account: None, ..Named::arn(text) }
    }

    /// `arn:aws:SERVICE:REGION:ACCOUNT:RESOURCE`
    fn arn(text: &'a str) -> Named<'a> {
        let mut parts = text.splitn(6, ':');
        let (prefix, region, account) = (parts.next(), parts.nth(2), parts.next());
        match (prefix, region, account, parts.next()) {
            (Some("arn"), Some(region), Some(account), Some(_)) => {
                Named { name: text, region: Some(region), account: Some(account) }
            }
            _ => Named { name: text, region: None, account: None },
        }
    }

    /// Whether it may be there.
    pub(crate) fn may_be_in(&self, place: &Place) -> bool {
        self.region.is_none_or(|region| region == place.region)
            && self.account.is_none_or(|account| account == place.account)
    }

    /// The places where it may be.
    pub(crate) fn homes<'p>(&self, places: &'p [Place]) -> Vec<&'p Place> {
        places.iter().filter(|place| self.may_be_in(place)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_says_where_it_is() {
        let alarm = Named::alarm("arn:aws:cloudwatch:eu-west-1:111122223333:alarm:web: 5xx");
        let there = (Some("eu-west-1"), Some("111122223333"));
        assert_eq!((alarm.name, (alarm.region, alarm.account)), ("web: 5xx", there));
        let plain = Named::alarm("web: 5xx");
        assert_eq!((plain.name, plain.region), ("web: 5xx", None));
        let arn = "arn:aws:elasticloadbalancing:eu-west-1:111122223333:targetgroup/web/1";
        let group = Named::target_group(arn);
        assert_eq!((group.name, (group.region, group.account)), (arn, there));
        let arn = "arn:aws:ssm:eu-west-1:111122223333:document/freeze";
        let calendar = Named::calendar(arn);
        assert_eq!((calendar.name, calendar.region, calendar.account), (arn, Some("eu-west-1"), None));
        assert_eq!(Named::alarm("arn:aws").region, None);
    }
}
