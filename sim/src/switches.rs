//! Switches: facts about AWS that nobody could verify, each of which can be made false.

use serde::{Deserialize, Serialize};

/// How far behind `ListCommands` counters are.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StaleCounters {
    /// They show the state of this many seconds ago.
    Seconds(f64),
    /// They are never updated: a command stays pending in the list for ever.
    Never,
}

/// What a `Status` filter of `ListCommands` does when it is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StatusFilter {
    /// Finds nothing.
    Nothing,
    /// Filters nothing out.
    Everything,
}

/// Facts that can be made false. The default of each is what the documentation suggests.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Switches {
    /// `ListCommands` counters and states lag.
    pub stale_counters: Option<StaleCounters>,
    /// A new command is missing from `ListCommands` for this many seconds.
    pub hidden_commands: f64,
    /// The filter `InvokedAfter` is ignored.
    pub ignore_invoked_after: bool,
    /// The filter `DocumentName` is ignored.
    pub ignore_document_filter: bool,
    /// The filter `Status` of `ListCommands` is broken.
    pub status_filter_broken: Option<StatusFilter>,
    /// `InvalidInstanceId` does not say which ids it means.
    pub opaque_errors: bool,
    /// `DescribeInstanceProperties` is denied.
    pub properties_denied: bool,
    /// Largest page of `DescribeInstanceProperties`; a larger request is cut to it.
    pub properties_page: u32,
    /// Most values of one target or tag filter in `SendCommand`.
    pub tag_values: u32,
    /// This many commands of other people are in the list.
    pub foreign_commands: u32,
    /// `Targets` with the key `InstanceIds` refuse the whole call for one bad id.
    pub targets_instance_ids_strict: bool,
    /// `Targets` of all `InstanceIds` (`*`) are refused as invalid.
    pub targets_all_refused: bool,
    /// Nodes that a command was not sent to, or not yet, have no invocation; `TargetCount` counts them.
    pub unsent_hidden: bool,
    /// Most bytes of a command's parameters as JSON.
    pub parameters_limit: u64,
    /// Parameters with `{{ … }}` are refused.
    pub reject_braces: bool,
    /// Most pending invocations of an account; 0 is no limit.
    pub pending_limit: u32,
    /// `RequestedDateTime` is cut to seconds.
    pub coarse_times: bool,
    /// The text between standard output and standard error in `Output` is another one.
    pub marker_variant: bool,
    /// `Output` of `ListCommandInvocations` is always empty.
    pub details_never: bool,
    /// The agent adds `failed to run commands: exit status N` to standard error of what failed.
    pub exit_note: bool,
    /// Nodes' outputs are in S3 this many seconds after their results.
    pub late_objects: f64,
    /// Events can be read from CloudWatch Logs this many seconds after they were written.
    pub late_events: f64,
    /// `TargetCount` of a command with `Targets` is zero until they are resolved.
    pub late_targets: bool,
    /// Requests signed five minutes (S3: fifteen) before or after the clock that callers see are refused. Signatures themselves are not
    /// checked either way.
    pub strict_clock: bool,
}

impl Default for Switches {
    fn default() -> Self {
        Switches {
            stale_counters: None,
            hidden_commands: 0.0,
            ignore_invoked_after: false,
            ignore_document_filter: false,
            status_filter_broken: None,
            opaque_errors: false,
            properties_denied: false,
            properties_page: 1000,
            tag_values: 50,
            foreign_commands: 0,
            targets_instance_ids_strict: false,
            targets_all_refused: false,
            unsent_hidden: false,
            // Unpublished; bodies over about 64 KB are known to be unsafe.
            parameters_limit: 100_000,
            reject_braces: false,
            pending_limit: 0,
            coarse_times: false,
            marker_variant: false,
            details_never: false,
            exit_note: true,
            late_objects: 0.0,
            late_events: 0.5,
            late_targets: true,
            strict_clock: false,
        }
    }
}

/// The keys that a spec takes for switches.
pub(crate) const KEYS: [&str; 24] = [
    "stale_counters",
    "hidden_commands",
    "ignore_invoked_after",
    "ignore_document_filter",
    "status_filter_broken",
    "opaque_errors",
    "properties_denied",
    "properties_page",
    "tag_values",
    "foreign_commands",
    "targets_instance_ids_strict",
    "targets_all_refused",
    "unsent_hidden",
    "parameters_limit",
    "reject_braces",
    "pending_limit",
    "coarse_times",
    "marker_variant",
    "details_never",
    "exit_note",
    "late_objects",
    "late_events",
    "late_targets",
    "strict_clock",
];

/// Commands of other people, which all are there from the start.
const FOREIGN_MOST: u32 = 100_000;

/// A value that a switch does not take.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) key: &'static str,
    pub(crate) value: String,
    pub(crate) allowed: &'static str,
}

impl Switches {
    /// Sets one switch from the text of a spec; the error says what is allowed.
    pub(crate) fn set(&mut self, key: &str, value: &str) -> Result<(), &'static str> {
        match key {
            "stale_counters" => {
                self.stale_counters = match value {
                    "never" => Some(StaleCounters::Never),
                    "off" => None,
                    seconds => Some(StaleCounters::Seconds(number(seconds)?)),
                }
            }
            "status_filter_broken" => {
                self.status_filter_broken = match value {
                    "nothing" => Some(StatusFilter::Nothing),
                    "everything" => Some(StatusFilter::Everything),
                    "off" => None,
                    _ => return Err("nothing, everything or off"),
                }
            }
            "late_objects" => self.late_objects = number(value)?,
            "late_events" => self.late_events = number(value)?,
            "hidden_commands" => self.hidden_commands = number(value)?,
            "properties_page" => self.properties_page = whole(value)?.max(1),
            "tag_values" => self.tag_values = whole(value)?,
            "foreign_commands" => {
                self.foreign_commands = whole(value)?;
                return self.check().map_err(|refused| refused.allowed);
            }
            "pending_limit" => self.pending_limit = whole(value)?,
            "parameters_limit" => self.parameters_limit = u64::from(whole(value)?),
            _ => *self.flag(key).ok_or("a known switch")? = flag(value)?,
        }
        Ok(())
    }

    /// Looks at values that a scenario has set without [`Switches::set`].
    pub(crate) fn check(&self) -> Result<(), Refused> {
        let stale = match self.stale_counters {
            Some(StaleCounters::Seconds(seconds)) => seconds,
            Some(StaleCounters::Never) | None => 0.0,
        };
        let seconds = [
            ("stale_counters", stale),
            ("hidden_commands", self.hidden_commands),
            ("late_objects", self.late_objects),
            ("late_events", self.late_events),
        ];
        let refuse = |key, value: String, allowed| Err(Refused { key, value, allowed });
        if let Some((key, value)) = seconds.into_iter().find(|(_, value)| !value.is_finite() || *value < 0.0)
        {
            return refuse(key, value.to_string(), "a number of seconds");
        }
        if self.foreign_commands > FOREIGN_MOST {
            let value = self.foreign_commands.to_string();
            return refuse("foreign_commands", value, "a whole number up to 100000");
        }
        // A list with nothing on its pages never ends.
        if self.properties_page == 0 {
            return refuse("properties_page", "0".to_owned(), "a whole number from 1");
        }
        Ok(())
    }

    fn flag(&mut self, key: &str) -> Option<&mut bool> {
        Some(match key {
            "ignore_invoked_after" => &mut self.ignore_invoked_after,
            "ignore_document_filter" => &mut self.ignore_document_filter,
            "opaque_errors" => &mut self.opaque_errors,
            "properties_denied" => &mut self.properties_denied,
            "targets_instance_ids_strict" => &mut self.targets_instance_ids_strict,
            "targets_all_refused" => &mut self.targets_all_refused,
            "unsent_hidden" => &mut self.unsent_hidden,
            "reject_braces" => &mut self.reject_braces,
            "coarse_times" => &mut self.coarse_times,
            "marker_variant" => &mut self.marker_variant,
            "details_never" => &mut self.details_never,
            "exit_note" => &mut self.exit_note,
            "late_targets" => &mut self.late_targets,
            "strict_clock" => &mut self.strict_clock,
            _ => return None,
        })
    }
}

fn number(text: &str) -> Result<f64, &'static str> {
    text.trim_end_matches('s')
        .parse()
        .ok()
        .filter(|value: &f64| value.is_finite() && *value >= 0.0)
        .ok_or("a number of seconds")
}

fn whole(text: &str) -> Result<u32, &'static str> {
    text.parse().map_err(|_| "a whole number")
}

pub(crate) fn flag(text: &str) -> Result<bool, &'static str> {
    match text {
        "true" | "on" | "yes" | "1" | "" => Ok(true),
        "false" | "off" | "no" | "0" => Ok(false),
        _ => Err("true or false"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_can_be_set() {
        for key in KEYS {
            let mut switches = Switches::default();
            let accepted = ["1", "nothing", "true"].iter().any(|value| switches.set(key, value).is_ok());
            assert!(accepted, "{key}");
        }
        assert!(Switches::default().set("nonsense", "1").is_err());
        assert_eq!(Switches::default().set("opaque_errors", "maybe"), Err("true or false"));
        let allowed = Err("a whole number up to 100000");
        assert_eq!(Switches::default().set("foreign_commands", "4294967295"), allowed);
    }
}
