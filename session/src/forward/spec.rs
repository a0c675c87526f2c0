//! What is to be forwarded: `[BIND:]LPORT:[HOST:]RPORT` or `unix:PATH:[HOST:]RPORT`.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::path::PathBuf;
use std::str::FromStr;

const GRAMMAR: &str =
    "a forward is [BIND:]LPORT:[HOST:]RPORT or unix:PATH:[HOST:]RPORT, with IPv6 addresses in brackets";

/// The addresses that a TCP listener is reached at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bind {
    /// From this machine only, by IPv4 and IPv6: what holds without a BIND.
    Localhost,
    /// From anywhere: `*`, or nothing before the colon.
    All,
    /// One address of this machine.
    Address(IpAddr),
    /// The addresses of a name.
    Name(String),
}

/// Where connections are accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    /// A TCP port; 0 picks a free one.
    Tcp {
        /// From where it can be reached.
        bind: Bind,
        /// The port.
        port: u16,
    },
    /// A Unix socket, for this user only.
    Unix(PathBuf),
}

/// One forward.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForwardSpec {
    /// Where connections are accepted.
    pub listen: Listen,
    /// The host that the node connects to; itself, if absent.
    pub host: Option<String>,
    /// The port that the node connects to.
    pub port: u16,
}

/// A text that is no forward.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} can't be forwarded: {reason}; {GRAMMAR}")]
pub struct SpecError {
    text: String,
    reason: String,
}

/// What stands between colons.
struct Field {
    text: String,
    is_bracketed: bool,
}

impl Field {
    fn is_number(&self) -> bool {
        !self.is_bracketed && !self.text.is_empty() && self.text.bytes().all(|c| c.is_ascii_digit())
    }
}

/// Cuts at the colons that don't stand in brackets.
fn fields(text: &str) -> Result<Vec<Field>, String> {
    let mut fields = Vec::new();
    let mut rest = text;
    loop {
        let after = if let Some(inner) = rest.strip_prefix('[') {
            let (address, after) = inner.split_once(']').ok_or("a bracket is not closed")?;
            fields.push(Field { text: address.to_owned(), is_bracketed: true });
            if !after.is_empty() && !after.starts_with(':') {
                return Err("something follows a bracket".into());
            }
            after
        } else {
            let end = rest.find(':').unwrap_or(rest.len());
            let (field, after) = rest.split_at(end);
            fields.push(Field { text: field.to_owned(), is_bracketed: false });
            after
        };
        match after.strip_prefix(':') {
            Some(after) => rest = after,
            None => return Ok(fields),
        }
    }
}

fn port(field: &Field, what: &str, lowest: u16) -> Result<u16, String> {
    let number = field.text.parse::<u16>().ok().filter(|n| field.is_number() && *n >= lowest);
    let picks = if lowest == 0 { " (0 picks a free one)" } else { "" };
    number.ok_or_else(|| {
        format!("the {what} port {:?} has to be a number from {lowest} to 65535{picks}", field.text)
    })
}

fn bind(field: &Field) -> Result<Bind, String> {
    let text = field.text.as_str();
    match text {
        _ if field.is_bracketed => Ok(Bind::Address(IpAddr::V6(bracketed(text)?))),
        "" | "*" => Ok(Bind::All),
        "localhost" => Ok(Bind::Localhost),
        _ => match text.parse() {
            Ok(address) => Ok(Bind::Address(address)),
            Err(_) => Ok(Bind::Name(name(text, "bind address")?)),
        },
    }
}

fn bracketed(text: &str) -> Result<Ipv6Addr, String> {
    text.parse().map_err(|_| format!("{text:?} in brackets is no IPv6 address"))
}

fn name(text: &str, what: &str) -> Result<String, String> {
    let is_sound = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    match (text.is_empty(), text.chars().all(is_sound)) {
        (true, _) => Err(format!("the {what} is empty")),
        (false, false) => Err(format!("the {what} {text:?} is neither a name nor an address")),
        (false, true) if text.len() > 253 => Err(format!("the {what} is longer than 253 characters")),
        (false, true) => Ok(text.to_owned()),
    }
}

fn host(field: &Field) -> Result<Option<String>, String> {
    match field {
        Field { text, is_bracketed: true } => Ok(Some(bracketed(text)?.to_string())),
        field if field.is_number() => {
            Err(format!("the host {:?} is a number, as if there were three ports", field.text))
        }
        field => name(&field.text, "host").map(Some),
    }
}

fn parse_tcp(text: &str) -> Result<ForwardSpec, String> {
    let fields = fields(text)?;
    let spec = |bind, local, host, remote| {
        let listen = Listen::Tcp { bind, port: port(local, "local", 0)? };
        Ok(ForwardSpec { listen, host, port: port(remote, "remote", 1)? })
    };
    match fields.as_slice() {
        [_] => Err("it names one port where two are needed".into()),
        [local, remote] => spec(Bind::Localhost, local, None, remote),
        [local, destination, remote] if local.is_number() => {
            spec(Bind::Localhost, local, host(destination)?, remote)
        }
        [address, local, remote] => spec(bind(address)?, local, None, remote),
        [address, local, destination, remote] => spec(bind(address)?, local, host(destination)?, remote),
        _ => Err("it has more than four parts".into()),
    }
}

fn parse_unix(text: &str) -> Result<ForwardSpec, String> {
    let fields = fields(text)?;
    let (path, host, remote) = match fields.as_slice() {
        [path, remote] => (path, None, remote),
        [path, destination, remote] => (path, host(destination)?, remote),
        [_] => return Err("it names no remote port".into()),
        _ => return Err("the socket's path can have no colon in it".into()),
    };
    if path.text.is_empty() {
        return Err("the socket's path is empty".into());
    }
    let listen = Listen::Unix(PathBuf::from(&path.text));
    Ok(ForwardSpec { listen, host, port: port(remote, "remote", 1)? })
}

impl FromStr for ForwardSpec {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<ForwardSpec, SpecError> {
        let parsed = match text.strip_prefix("unix:") {
            Some(rest) => parse_unix(rest),
            None => parse_tcp(text),
        };
        parsed.map_err(|reason| SpecError { text: text.to_owned(), reason })
    }
}

impl fmt::Display for Bind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Bind::Localhost => f.write_str("localhost"),
            Bind::All => f.write_str("*"),
            Bind::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
            Bind::Address(address) => address.fmt(f),
            Bind::Name(name) => f.write_str(name),
        }
    }
}

/// As it is written, with a BIND always.
impl fmt::Display for ForwardSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.listen {
            Listen::Tcp { bind, port } => write!(f, "{bind}:{port}")?,
            Listen::Unix(path) => write!(f, "unix:{}", path.display())?,
        }
        match &self.host {
            Some(host) if host.contains(':') => write!(f, ":[{host}]:{}", self.port),
            Some(host) => write!(f, ":{host}:{}", self.port),
            None => write!(f, ":{}", self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tcp(bind: Bind, local: u16, host: Option<&str>, port: u16) -> ForwardSpec {
        ForwardSpec { listen: Listen::Tcp { bind, port: local }, host: host.map(str::to_owned), port }
    }

    fn unix(path: &str, host: Option<&str>, port: u16) -> ForwardSpec {
        ForwardSpec { listen: Listen::Unix(path.into()), host: host.map(str::to_owned), port }
    }

    #[test]
    fn every_form_is_understood() {
        let address = |text: &str| Bind::Address(text.parse().unwrap());
        for (text, spec) in [
            ("8080:80", tcp(Bind::Localhost, 8080, None, 80)),
            ("0:80", tcp(Bind::Localhost, 0, None, 80)),
            ("5432:db.internal:5433", tcp(Bind::Localhost, 5432, Some("db.internal"), 5433)),
            ("5432:10.0.0.7:5433", tcp(Bind::Localhost, 5432, Some("10.0.0.7"), 5433)),
            ("127.0.0.2:8080:80", tcp(address("127.0.0.2"), 8080, None, 80)),
            ("0.0.0.0:8080:db:80", tcp(address("0.0.0.0"), 8080, Some("db"), 80)),
            ("*:8080:80", tcp(Bind::All, 8080, None, 80)),
            (":8080:db:80", tcp(Bind::All, 8080, Some("db"), 80)),
            ("localhost:8080:80", tcp(Bind::Localhost, 8080, None, 80)),
            ("my-host:8080:80", tcp(Bind::Name("my-host".into()), 8080, None, 80)),
            ("[::1]:8080:80", tcp(address("::1"), 8080, None, 80)),
            ("[::]:8080:[fd00::1]:80", tcp(address("::"), 8080, Some("fd00::1"), 80)),
            ("8080:[FD00::1]:80", tcp(Bind::Localhost, 8080, Some("fd00::1"), 80)),
            ("unix:/run/db.sock:5432", unix("/run/db.sock", None, 5432)),
            ("unix:db.sock:db.internal:5432", unix("db.sock", Some("db.internal"), 5432)),
            ("unix:/s:[::1]:5432", unix("/s", Some("::1"), 5432)),
        ] {
            assert_eq!(text.parse::<ForwardSpec>().as_ref(), Ok(&spec), "{text}");
            assert_eq!(spec.to_string().parse::<ForwardSpec>(), Ok(spec), "{text}, shown and read");
        }
    }

    #[test]
    fn an_error_says_what_is_wrong_and_what_is_right() {
        for (text, reason) in [
            ("", "names one port where two are needed"),
            ("80", "names one port where two are needed"),
            ("localhost:80", "the local port \"localhost\" has to be a number from 0 to 65535 (0 picks"),
            ("8080:", "the remote port \"\" has to be a number from 1 to 65535;"),
            ("8080:0", "the remote port \"0\" has to be a number from 1 to 65535"),
            ("65536:80", "the local port \"65536\""),
            ("-1:80", "the local port \"-1\""),
            ("+1:80", "the local port \"+1\""),
            ("8080:80:90", "the host \"80\" is a number, as if there were three ports"),
            ("8080::90", "the host is empty"),
            ("8080:a b:90", "the host \"a b\" is neither a name nor an address"),
            ("8080:{{ssm:x}}:90", "the host \"x}}\" is neither"),
            ("a/b:8080:90", "the bind address \"a/b\" is neither"),
            ("::1:8080:80", "has more than four parts"),
            ("[::1:8080:80", "a bracket is not closed"),
            ("[::1]8080:80", "something follows a bracket"),
            ("[localhost]:8080:80", "\"localhost\" in brackets is no IPv6 address"),
            ("[80]:80", "the local port \"80\" has to be a number"),
            ("unix:/s", "names no remote port"),
            ("unix::80", "the socket's path is empty"),
            ("unix:/a:b:c:80", "can have no colon"),
            ("unix:/a:80:0", "the host \"80\" is a number"),
        ] {
            let error = text.parse::<ForwardSpec>().unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
            assert!(error.contains("[BIND:]LPORT:[HOST:]RPORT or unix:PATH:[HOST:]RPORT"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_forward_or_an_error(text in "(unix:)?[\\[\\]:.*a-z0-9/ é-]{0,24}") {
            if let Ok(spec) = text.parse::<ForwardSpec>() {
                prop_assert_eq!(spec.to_string().parse::<ForwardSpec>(), Ok(spec));
            }
        }
    }
}
