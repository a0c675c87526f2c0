//! What a spec says about sessions: preferences of the account, the gateway's manners, and how agents behave.

use super::faults::FrameFaults;
use crate::agent::network::{PortRule, rules};
use crate::spec::duration;
use std::time::Duration;

/// Which flags of acknowledgements an agent accepts; others it takes for data and ignores, so that it sends again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AckFlags {
    /// All of them.
    #[default]
    Any,
    /// Only acknowledgements without SYN.
    Unflagged,
    /// As `Unflagged` on Windows nodes, `Any` elsewhere.
    WindowsUnflagged,
    /// Only acknowledgements with SYN and FIN.
    Flagged,
}

/// What becomes of the output of a command with separate streams while its client is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Paused {
    /// The agent waits for the client.
    #[default]
    Waits,
    /// The agent stops reading the command, as its source suggests; the exit code is sent all the same.
    Stops,
}

/// What a spec says about sessions.
#[derive(Debug, Clone, PartialEq)]
pub struct SessionOptions {
    /// Key that the account's preferences encrypt shells with; `None` is no encryption.
    pub kms: Option<String>,
    /// Text that the account's preferences type into every new shell of a Linux node.
    pub profile: String,
    /// Who shells run as.
    pub user: String,
    /// How long nothing may happen.
    pub idle: Duration,
    /// How long a session may last.
    pub longest: Option<Duration>,
    /// How long a token may be unused; `None` is for ever.
    pub token: Option<Duration>,
    /// How often the gateway closes a client's connection with `1000 Bye`.
    pub bye: Option<Duration>,
    /// Clients have to sign their upgrade.
    pub signed: bool,
    /// Largest frame that the gateway takes; a larger one closes the connection with 1009.
    pub frame_limit: Option<u32>,
    /// Agents read 1,024 bytes and sleep for a millisecond, and shells wait for a second before they print.
    pub paced: bool,
    /// Agents insist on the random challenge.
    pub challenge: bool,
    /// Agents are refused when they decrypt the data key.
    pub agent_kms_denied: bool,
    /// Which acknowledgements agents accept.
    pub acks: AckFlags,
    /// Agents acknowledge nothing.
    pub never_acks: bool,
    /// Agents die so long after a session's start.
    pub agent_dies: Option<Duration>,
    /// What becomes of output while the client is away.
    pub paused: Paused,
    /// Ids of nodes whose agent is a real one that registers with the gateway.
    pub agents: Vec<String>,
    /// Most bytes on a node's disk.
    pub disk: u64,
    /// Services on ports beside the usual ones.
    pub ports: Vec<PortRule>,
    /// Bytes of output in a message at most.
    pub chunk: u32,
    /// What happens to frames.
    pub faults: FrameFaults,
}

impl Default for SessionOptions {
    fn default() -> Self {
        SessionOptions {
            kms: None,
            profile: String::new(),
            user: "ssm-user".to_owned(),
            // The service's own default.
            idle: Duration::from_secs(20 * 60),
            longest: None,
            token: None,
            bye: None,
            signed: false,
            frame_limit: None,
            paced: false,
            challenge: false,
            agent_kms_denied: false,
            acks: AckFlags::Any,
            never_acks: false,
            agent_dies: None,
            paused: Paused::Waits,
            agents: Vec::new(),
            disk: 4 << 30,
            ports: Vec::new(),
            // The official agent's.
            chunk: 1024,
            faults: FrameFaults::default(),
        }
    }
}

/// The keys that a spec takes for sessions.
pub(crate) const KEYS: [&str; 27] = [
    "agents",
    "disk",
    "ports",
    "session_chunk",
    "session_kms",
    "session_profile",
    "session_user",
    "session_idle",
    "session_longest",
    "session_token",
    "session_bye",
    "session_signed",
    "session_frame_limit",
    "session_paced",
    "session_challenge",
    "session_agent_kms_denied",
    "session_acks",
    "session_never_acks",
    "session_agent_dies",
    "session_paused",
    "frame_drop",
    "frame_duplicate",
    "frame_reorder",
    "frame_delay",
    "frame_truncate",
    "frame_corrupt",
    "frame_seed",
];

impl SessionOptions {
    /// Sets one key from the text of a spec; the error says what is allowed.
    pub(crate) fn set(&mut self, key: &str, value: &str) -> Result<(), &'static str> {
        match key {
            "agents" => self.agents = agents(value)?,
            "disk" => self.disk = bytes(value)?,
            "ports" => self.ports = rules(value)?,
            "session_chunk" => {
                let chunk = u32::try_from(bytes(value)?).ok().filter(|chunk| (1..=1 << 20).contains(chunk));
                self.chunk = chunk.ok_or("a number of bytes up to 1MB")?;
            }
            "session_kms" => self.kms = Some(value.to_owned()).filter(|key| key != "off"),
            "session_profile" => value.clone_into(&mut self.profile),
            "session_user" => value.clone_into(&mut self.user),
            "session_idle" => self.idle = duration(value)?,
            "session_longest" => self.longest = optional(value)?,
            "session_token" => self.token = optional(value)?,
            "session_bye" => self.bye = optional(value)?,
            "session_agent_dies" => self.agent_dies = optional(value)?,
            "session_frame_limit" => {
                self.frame_limit = Some(u32::try_from(bytes(value)?).map_err(|_| "a number of bytes")?);
            }
            "session_acks" => {
                self.acks = match value {
                    "any" => AckFlags::Any,
                    "unflagged" => AckFlags::Unflagged,
                    "windows-unflagged" => AckFlags::WindowsUnflagged,
                    "flagged" => AckFlags::Flagged,
                    _ => return Err("any, unflagged, windows-unflagged or flagged"),
                };
            }
            "session_paused" => {
                self.paused = match value {
                    "waits" => Paused::Waits,
                    "stops" => Paused::Stops,
                    _ => return Err("waits or stops"),
                };
            }
            _ => return self.flag_or_fault(key, value),
        }
        Ok(())
    }

    fn flag_or_fault(&mut self, key: &str, value: &str) -> Result<(), &'static str> {
        let flag = match key {
            "session_signed" => &mut self.signed,
            "session_paced" => &mut self.paced,
            "session_challenge" => &mut self.challenge,
            "session_agent_kms_denied" => &mut self.agent_kms_denied,
            "session_never_acks" => &mut self.never_acks,
            _ => return self.faults.set(key, value),
        };
        *flag = match value {
            "true" | "on" | "yes" | "1" | "" => true,
            "false" | "off" | "no" | "0" => false,
            _ => return Err("true or false"),
        };
        Ok(())
    }
}

fn optional(text: &str) -> Result<Option<Duration>, &'static str> {
    if text == "off" { Ok(None) } else { duration(text).map(Some) }
}

/// Reads `1000`, `64KB`, `4GB` (powers of 1024).
pub(crate) fn bytes(text: &str) -> Result<u64, &'static str> {
    const ALLOWED: &str = "a number of bytes like 65536, 64KB or 4GB";
    let digits = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let scale = match unit {
        "" | "B" => 1_u64,
        "K" | "KB" => 1 << 10,
        "M" | "MB" => 1 << 20,
        "G" | "GB" => 1 << 30,
        _ => return Err(ALLOWED),
    };
    number.parse::<u64>().ok().and_then(|number| number.checked_mul(scale)).ok_or(ALLOWED)
}

fn agents(text: &str) -> Result<Vec<String>, &'static str> {
    let ids: Vec<String> =
        text.split('+').map(str::trim).filter(|id| !id.is_empty()).map(str::to_owned).collect();
    let is_id = |id: &String| crate::service::ssm::is_instance_id(id);
    if ids.is_empty() || !ids.iter().all(is_id) {
        Err("ids like i-0123456789abcdef0 joined by +")
    } else {
        Ok(ids)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_can_be_set() {
        let values = ["1", "10s", "any", "waits", "i-0123456789abcdef0", "5%", "80:echo"];
        for key in KEYS {
            let mut options = SessionOptions::default();
            assert!(values.iter().any(|value| options.set(key, value).is_ok()), "{key}");
        }
        let mut options = SessionOptions::default();
        assert!(options.set("session_acks", "some").is_err());
        assert!(options.set("session_idle", "long").is_err());
        assert!(options.set("agents", "web-1").is_err());
        assert!(options.set("disk", "4TB").is_err());
        options.set("disk", "2MB").unwrap();
        options.set("session_longest", "off").unwrap();
        assert_eq!((options.disk, options.longest), (2 << 20, None));
    }
}
