//! Versions of agents and plugins, and what depends on them.
//!
//! Both sides of a session decide by the other's version what they may use. The numbers are those of the official
//! plugin and agent.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// A version as agents and plugins write it: numbers with dots between them, as `3.3.0.0`.
///
/// Versions are compared number by number; one that ends early goes on with zeros.
#[derive(Debug, Clone)]
pub struct Version(Vec<u64>);

/// A text that is no version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a version: it has to be numbers with dots between them, as 3.3.0.0")]
pub struct NotAVersion(String);

impl FromStr for Version {
    type Err = NotAVersion;

    fn from_str(text: &str) -> Result<Version, NotAVersion> {
        let parts: Result<Vec<u64>, _> = text.trim().split('.').map(str::parse).collect();
        parts.map(Version).map_err(|_| NotAVersion(text.to_owned()))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<String> = self.0.iter().map(u64::to_string).collect();
        f.write_str(&parts.join("."))
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Version) -> Ordering {
        let part = |version: &Version, n: usize| version.0.get(n).copied().unwrap_or(0);
        let parts = self.0.len().max(other.0.len());
        (0..parts).map(|n| part(self, n).cmp(&part(other, n))).find(|o| o.is_ne()).unwrap_or(Ordering::Equal)
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Version) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Version) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Version {}

impl Version {
    fn is_after(&self, numbers: [u64; 4]) -> bool {
        *self > Version(numbers.to_vec())
    }

    /// Whether this agent multiplexes connections over one port session: newer than 3.0.196.0.
    pub fn multiplexes(&self) -> bool {
        self.is_after([3, 0, 196, 0])
    }

    /// Whether this agent wants to hear something every 10 s on a multiplexed session: up to 3.1.1511.0. Newer ones
    /// would only be kept from ending an idle session.
    pub fn wants_keepalive(&self) -> bool {
        !self.is_after([3, 1, 1511, 0])
    }

    /// Whether this agent forwards to other hosts than its own: since 3.1.1374.0.
    pub fn forwards_to_remote_hosts(&self) -> bool {
        self.is_after([3, 1, 1373, u64::MAX])
    }

    /// Whether this agent keeps a command's streams apart where it is asked to, and tells its exit code then: since 3.1.1511.0.
    pub fn tells_exit_codes(&self) -> bool {
        self.is_after([3, 1, 1510, u64::MAX])
    }

    /// Whether this agent knows the flag that ends a session: newer than 2.3.722.0.
    pub fn knows_terminate_flag(&self) -> bool {
        self.is_after([2, 3, 722, 0])
    }
}

/// The version of a client, and what an agent makes of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClientVersion(pub Version);

/// Newer than any that there is.
const NEWEST: u64 = u64::MAX;

impl fmt::Display for ClientVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.0.first() == Some(&NEWEST) { f.write_str("of another kind") } else { self.0.fmt(f) }
    }
}

impl ClientVersion {
    /// What an agent makes of a text: where it is not numbers, the official one compares it as text with the digits of its
    /// own list, so that `other-client/0.1` is newer than everything in it. What comes before digits is none.
    pub fn read(text: &str) -> Option<ClientVersion> {
        let is_after_digits = text.chars().next().is_some_and(|first| first > '9');
        match text.parse() {
            Ok(version) => Some(ClientVersion(version)),
            Err(_) => is_after_digits.then(|| ClientVersion(Version(vec![NEWEST]))),
        }
    }

    /// Whether this client multiplexes connections over one port session: since 1.1.70.
    pub fn multiplexes(&self) -> bool {
        self.0 >= Version(vec![1, 1, 70])
    }

    /// Whether this client sends and wants keep-alives on a multiplexed session: up to 1.2.331.0.
    pub fn wants_keepalive(&self) -> bool {
        !self.0.is_after([1, 2, 331, 0])
    }

    /// Whether this client is asked to upgrade when a command's streams are separate: up to 1.2.295.
    pub fn lacks_separate_streams(&self) -> bool {
        !self.0.is_after([1, 2, 295, 0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> Version {
        text.parse().unwrap()
    }

    #[test]
    fn versions_are_compared_number_by_number() {
        assert!(version("3.10.0.0") > version("3.9.9.9"));
        assert!(version("3.1") == version("3.1.0.0"));
        assert!(version("3.1") < version("3.1.0.1"));
        assert_eq!(version("1.2.896.0").to_string(), "1.2.896.0");
    }

    #[test]
    fn what_is_no_version_is_told() {
        for text in ["", "latest", "3..1", "3.1-beta", "-1.0"] {
            assert!(text.parse::<Version>().is_err(), "{text}");
        }
        let error = "new".parse::<Version>().unwrap_err().to_string();
        assert!(error.contains("\"new\"") && error.contains("3.3.0.0"), "{error}");
    }

    #[test]
    fn gates_open_right_after_their_version() {
        type Gate = fn(&Version) -> bool;
        let gates: [(Gate, &str, &str); 5] = [
            (Version::multiplexes, "3.0.196.0", "3.0.196.1"),
            (|v| !v.wants_keepalive(), "3.1.1511.0", "3.1.1512.0"),
            (Version::forwards_to_remote_hosts, "3.1.1373.9", "3.1.1374.0"),
            (Version::tells_exit_codes, "3.1.1476.0", "3.1.1511.0"),
            (Version::knows_terminate_flag, "2.3.722.0", "2.3.723.0"),
        ];
        for (gate, last_without, first_with) in gates {
            assert!(!gate(&version(last_without)), "{last_without}");
            assert!(gate(&version(first_with)), "{first_with}");
            assert!(gate(&version("3.3.0.0")) && !gate(&version("2.3.600.0")));
        }
    }

    #[test]
    fn clients_are_treated_as_their_version_asks() {
        let treated = |text| {
            let client = ClientVersion(version(text));
            (client.multiplexes(), client.wants_keepalive(), client.lacks_separate_streams())
        };
        assert_eq!(treated("1.1.69.9"), (false, true, true));
        assert_eq!(treated("1.1.70"), (true, true, true));
        assert_eq!(treated("1.2.331.0"), (true, true, false));
        assert_eq!(treated(crate::CLIENT_VERSION), (true, false, false));
        let other = ClientVersion::read("pyssm-client/0.1.0").unwrap();
        assert!(other.multiplexes() && !other.wants_keepalive() && !other.lacks_separate_streams());
        assert_eq!(ClientVersion::read("1.1.69.9").unwrap(), ClientVersion(version("1.1.69.9")));
        assert_eq!(other.to_string(), "of another kind");
        assert_eq!(ClientVersion::read("1.2.3").unwrap().to_string(), "1.2.3");
        assert_eq!((ClientVersion::read(""), ClientVersion::read("-1")), (None, None));
    }
}
