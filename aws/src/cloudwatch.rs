//! CloudWatch: alarms and their states.

use std::fmt;

use aws_sdk_cloudwatch::types::{AlarmType, CompositeAlarm, LogAlarm, MetricAlarm, StateValue};
use jiff::Timestamp;

use crate::call::{Call, count};
use crate::error::CallError;
use crate::scope::Scope;
use crate::times;

/// The most names in one `DescribeAlarms`, and the most alarms on its pages.
const MAX_NAMES: usize = 100;

/// CloudWatch in one scope.
#[derive(Clone, Debug)]
pub struct CloudWatch {
    scope: Scope,
    client: aws_sdk_cloudwatch::Client,
}

/// What an alarm says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AlarmState {
    /// What it watches is within bounds.
    Ok,
    /// What it watches is out of bounds.
    Alarm,
    /// It has too little data to say: it is new, or nothing arrives.
    InsufficientData,
    /// A state that this version doesn't know.
    Other(String),
}

/// AWS's word.
impl fmt::Display for AlarmState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            AlarmState::Ok => "OK",
            AlarmState::Alarm => "ALARM",
            AlarmState::InsufficientData => "INSUFFICIENT_DATA",
            AlarmState::Other(word) => word,
        })
    }
}

/// An alarm, of whatever kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alarm {
    /// Its name, unique in account and region over all kinds.
    pub name: String,
    /// What it says.
    pub state: AlarmState,
    /// Why, in CloudWatch's words; may be empty.
    pub reason: String,
    /// When the state last became another one, by the service's clock.
    pub transitioned: Option<Timestamp>,
}

impl CloudWatch {
    pub(crate) fn new(scope: Scope, client: aws_sdk_cloudwatch::Client) -> CloudWatch {
        CloudWatch { scope, client }
    }

    /// `DescribeAlarms` by exact names, one call for each hundred: metric, composite and log alarms. What doesn't exist is not among
    /// them.
    ///
    /// # Errors
    /// A call failed.
    pub async fn describe_alarms(&self, names: &[String]) -> Result<Vec<Alarm>, CallError> {
        let mut alarms = Vec::new();
        for names in names.chunks(MAX_NAMES) {
            // Without types only metric alarms are given, and a composite one looks as if it were missing (facts on DescribeAlarms).
            let request = self
                .client
                .describe_alarms()
                .set_alarm_names(Some(names.to_vec()))
                .alarm_types(AlarmType::MetricAlarm)
                .alarm_types(AlarmType::CompositeAlarm)
                .alarm_types(AlarmType::LogAlarm)
                .max_records(100);
            let object = match names {
                [name] => format!("of {name}"),
                names => format!("of {}", count(names.len(), "alarm")),
            };
            let mut token: Option<String> = None;
            loop {
                let page = request.clone().set_next_token(token);
                let call = Call::read("cloudwatch", "DescribeAlarms", object.clone());
                let answer = self.scope.call(call, || page.clone().send()).await?;
                alarms.extend(answer.metric_alarms().iter().filter_map(metric));
                alarms.extend(answer.composite_alarms().iter().filter_map(composite));
                alarms.extend(answer.log_alarms().iter().filter_map(log));
                token = answer.next_token().filter(|token| !token.is_empty()).map(str::to_owned);
                if token.is_none() {
                    break;
                }
            }
        }
        Ok(alarms)
    }
}

fn metric(alarm: &MetricAlarm) -> Option<Alarm> {
    Some(Alarm {
        name: alarm.alarm_name()?.to_owned(),
        state: state(alarm.state_value()),
        reason: alarm.state_reason().unwrap_or_default().to_owned(),
        transitioned: times::optional(alarm.state_transitioned_timestamp()),
    })
}

fn composite(alarm: &CompositeAlarm) -> Option<Alarm> {
    Some(Alarm {
        name: alarm.alarm_name()?.to_owned(),
        state: state(alarm.state_value()),
        reason: alarm.state_reason().unwrap_or_default().to_owned(),
        transitioned: times::optional(alarm.state_transitioned_timestamp()),
    })
}

fn log(alarm: &LogAlarm) -> Option<Alarm> {
    Some(Alarm {
        name: alarm.alarm_name()?.to_owned(),
        state: state(alarm.state_value()),
        reason: alarm.state_reason().unwrap_or_default().to_owned(),
        transitioned: times::optional(alarm.state_transitioned_timestamp()),
    })
}

fn state(value: Option<&StateValue>) -> AlarmState {
    match value.map(StateValue::as_str) {
        Some("OK") => AlarmState::Ok,
        Some("ALARM") => AlarmState::Alarm,
        // Without a word nothing is known of it either.
        Some("INSUFFICIENT_DATA") | None => AlarmState::InsufficientData,
        Some(other) => AlarmState::Other(other.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_told_apart() {
        let alarm = |word: &str| {
            let alarm = MetricAlarm::builder().alarm_name("a").state_value(StateValue::from(word)).build();
            metric(&alarm).unwrap().state
        };
        for word in ["OK", "ALARM", "INSUFFICIENT_DATA", "MUTED"] {
            assert_eq!(alarm(word).to_string(), word);
        }
        assert_eq!(alarm("MUTED"), AlarmState::Other("MUTED".to_owned()));
        assert_eq!(metric(&MetricAlarm::builder().build()), None);
        let silent = CompositeAlarm::builder().alarm_name("a").build();
        assert_eq!(composite(&silent).unwrap().state, AlarmState::InsufficientData);
    }
}
