//! Access keys: the simulation's own, and those of sessions. None of them is real.

use crate::clock::At;
use crate::draw::Draw;
use std::collections::HashMap;

/// The account that the simulation's own key belongs to.
pub(crate) const ACCOUNT: &str = "123456789012";
/// The simulation's own key; it has the shape of a real one and opens nothing.
pub(crate) const ACCESS_KEY: &str = "AKIASIMULATEDKEY0001";
pub(crate) const SECRET_KEY: &str = "simulated/secret/key/that/opens/nothing0";

/// Who a key stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Principal {
    pub(crate) account: String,
    pub(crate) arn: String,
    pub(crate) user_id: String,
}

/// Temporary credentials.
#[derive(Debug, Clone)]
pub(crate) struct Issued {
    pub(crate) access_key: String,
    pub(crate) secret_key: String,
    pub(crate) token: String,
    pub(crate) expires_at: At,
    pub(crate) principal: Principal,
}

/// Why a key is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    Unknown,
    Expired,
}

/// All keys.
#[derive(Debug)]
pub(crate) struct Credentials {
    sessions: HashMap<String, Issued>,
    draw: Draw,
    /// Set by the control handle: every key is refused as expired.
    pub(crate) are_expired: bool,
}

impl Credentials {
    pub(crate) fn new(seed: u64) -> Credentials {
        Credentials {
            sessions: HashMap::new(),
            draw: Draw::new(seed).text("credentials"),
            are_expired: false,
        }
    }

    /// Who a key stands for.
    pub(crate) fn principal(&self, access_key: &str, now: At) -> Result<Principal, Refused> {
        let session = self.sessions.get(access_key);
        let principal = match session {
            _ if access_key == ACCESS_KEY => Principal {
                account: ACCOUNT.to_owned(),
                arn: format!("arn:aws:iam::{ACCOUNT}:user/rehearsal"),
                user_id: "AIDASIMULATEDUSER001".to_owned(),
            },
            Some(session) => session.principal.clone(),
            None => return Err(Refused::Unknown),
        };
        let over = session.is_some_and(|session| session.expires_at <= now);
        if over || self.are_expired { Err(Refused::Expired) } else { Ok(principal) }
    }

    /// The secret that belongs to a key, and the token that has to come with it.
    pub(crate) fn secret(&self, access_key: &str) -> Option<(&str, Option<&str>)> {
        if access_key == ACCESS_KEY {
            return Some((SECRET_KEY, None));
        }
        self.sessions.get(access_key).map(|issued| (issued.secret_key.as_str(), Some(issued.token.as_str())))
    }

    /// Starts a session of a role.
    pub(crate) fn issue(&mut self, account: &str, (role, session): (&str, &str), expires_at: At) -> Issued {
        let role_id = Draw::new(3).text(account).text(role).hex(17).to_uppercase();
        self.issue_for(
            Principal {
                account: account.to_owned(),
                arn: format!("arn:aws:sts::{account}:assumed-role/{role}/{session}"),
                user_id: format!("AROA{role_id}:{session}"),
            },
            expires_at,
        )
    }

    /// Starts a session of somebody.
    pub(crate) fn issue_for(&mut self, principal: Principal, expires_at: At) -> Issued {
        let issued = Issued {
            access_key: format!("ASIA{}", self.draw.hex(16).to_uppercase()),
            secret_key: self.draw.hex(40),
            token: format!("simulated-session-{}", self.draw.hex(64)),
            expires_at,
            principal,
        };
        self.sessions.insert(issued.access_key.clone(), issued.clone());
        issued
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_known_expired_or_neither() {
        let mut credentials = Credentials::new(1);
        assert_eq!(credentials.principal("AKIA", At(0)), Err(Refused::Unknown));
        assert_eq!(credentials.principal(ACCESS_KEY, At(0)).unwrap().account, ACCOUNT);
        let issued = credentials.issue("999999999999", ("ops", "me"), At(10));
        assert_eq!(
            credentials.principal(&issued.access_key, At(9)).unwrap().arn,
            "arn:aws:sts::999999999999:assumed-role/ops/me"
        );
        assert_eq!(credentials.principal(&issued.access_key, At(10)), Err(Refused::Expired));
        credentials.are_expired = true;
        assert_eq!(credentials.principal(ACCESS_KEY, At(0)), Err(Refused::Expired));
    }
}
