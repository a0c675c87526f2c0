//! Alarms: what each is, and what its state is at a time, by the scenario and by what callers set.

use super::Setting;
use crate::clock::At;
use crate::scenario::{AlarmRule, StateChange};
use crate::service::{Here, change};
use crate::wire::tree::Tree;

/// An alarm, as it is now.
#[derive(Debug, Clone)]
pub(super) struct Alarm<'a> {
    pub(super) name: String,
    rule: Option<&'a AlarmRule>,
    pub(super) setting: Setting,
    /// When the setting was made, and when the state last became another one.
    updated: At,
    transitioned: At,
}

/// Alarms that every region with a fleet has.
const SHIPPED: [(&str, &str, &str); 2] = [
    ("api-latency", "AWS/ApplicationELB", "TargetResponseTime"),
    ("web-5xx", "AWS/ApplicationELB", "HTTPCode_Target_5XX_Count"),
];

/// Every alarm of the region, by name.
pub(super) fn all<'a>(here: &'a Here<'_>) -> Vec<Alarm<'a>> {
    let rules = here.spec.scenario.as_ref().map_or(&[][..], |scenario| &scenario.alarms);
    let is_here = |rule: &&AlarmRule| {
        rule.region.as_ref().is_none_or(|region| *region == here.region.name)
            && rule.account.as_ref().is_none_or(|account| *account == here.region.account)
    };
    let mut alarms: Vec<Alarm<'_>> = SHIPPED
        .iter()
        .filter(|_| !here.region.fleet.nodes.is_empty())
        .filter(|(name, _, _)| !rules.iter().any(|rule| rule.name == *name))
        .map(|(name, _, _)| alarm(here, (*name).to_owned(), None))
        .collect();
    alarms.extend(rules.iter().filter(is_here).map(|rule| alarm(here, rule.name.clone(), Some(rule))));
    alarms.sort_by(|one, other| one.name.cmp(&other.name));
    alarms
}

fn alarm<'a>(here: &Here<'_>, name: String, rule: Option<&'a AlarmRule>) -> Alarm<'a> {
    let first = Setting {
        state: rule.and_then(|rule| rule.state.clone()).unwrap_or_else(|| "OK".to_owned()),
        reason: rule.and_then(|rule| rule.reason.clone()),
        data: None,
    };
    let mut course = vec![(here.region.born, first)];
    let changes = rule.iter().flat_map(|rule| &rule.changes);
    course.extend(changes.filter_map(|change| changed(here, change)));
    let set = here.region.alarms_set.iter().filter(|(_, alarm, _)| *alarm == name);
    course.extend(set.map(|(at, _, setting)| (*at, setting.clone())));
    course.retain(|(at, _)| *at <= here.now);
    course.sort_by_key(|(at, _)| *at);
    let mut transitioned = here.region.born;
    let mut now = (here.region.born, Setting::default());
    for (at, setting) in course {
        if setting.state != now.1.state {
            transitioned = at;
        }
        now = (at, setting);
    }
    Alarm { name, rule, setting: now.1, updated: now.0, transitioned }
}

/// When a change happens, if it is known by now, and to what.
fn changed(here: &Here<'_>, planned: &StateChange) -> Option<(At, Setting)> {
    let setting = Setting {
        state: planned.state.clone().unwrap_or_else(|| "ALARM".to_owned()),
        reason: planned.reason.clone(),
        data: None,
    };
    Some((change::happens(here.spec, here.region, here.now, planned)?, setting))
}

impl Alarm<'_> {
    pub(super) fn is_composite(&self) -> bool {
        self.rule.is_some_and(|rule| rule.composite)
    }

    /// The rule of a composite alarm.
    pub(super) fn expression(&self) -> &str {
        self.rule.and_then(|rule| rule.rule.as_deref()).unwrap_or_default()
    }

    /// As the service shows it.
    pub(super) fn shown(&self, here: &Here<'_>) -> Tree {
        let reason = self.setting.reason.clone().unwrap_or_else(|| match self.setting.state.as_str() {
            "ALARM" => "Threshold Crossed: 1 out of the last 1 datapoints was greater than the threshold (5.0) (minimum 1 datapoint for OK -> ALARM transition).".to_owned(),
            "OK" => "Threshold Crossed: 1 datapoint was not greater than the threshold (5.0).".to_owned(),
            _ => "Unchecked: Initial alarm creation".to_owned(),
        });
        let none = || Tree::List(Vec::new());
        let mut members = vec![
            ("AlarmName", Tree::text(&self.name)),
            ("AlarmArn", Tree::text(here.arn("cloudwatch", &format!("alarm:{}", self.name)))),
            ("AlarmConfigurationUpdatedTimestamp", Tree::Time(here.shown(here.region.born))),
            ("ActionsEnabled", Tree::Flag(true)),
            ("OKActions", none()),
            ("AlarmActions", none()),
            ("InsufficientDataActions", none()),
            ("StateValue", Tree::text(&self.setting.state)),
            ("StateReason", Tree::Text(reason)),
            ("StateUpdatedTimestamp", Tree::Time(here.shown(self.updated))),
            ("StateTransitionedTimestamp", Tree::Time(here.shown(self.transitioned))),
        ];
        if let Some(description) = self.rule.map(|rule| &rule.description).filter(|text| !text.is_empty()) {
            members.push(("AlarmDescription", Tree::text(description)));
        }
        if let Some(data) = &self.setting.data {
            members.push(("StateReasonData", Tree::text(data)));
        }
        if self.is_composite() {
            members.push(("AlarmRule", Tree::text(self.expression())));
        } else {
            members.extend(self.metric());
        }
        Tree::Members(members)
    }

    fn metric(&self) -> Vec<(&'static str, Tree)> {
        let shipped = SHIPPED.iter().find(|(name, _, _)| *name == self.name);
        let (namespace, metric) =
            shipped.map_or(("Herder/Rehearsal", "Errors"), |(_, namespace, metric)| (*namespace, *metric));
        vec![
            ("MetricName", Tree::text(metric)),
            ("Namespace", Tree::text(namespace)),
            ("Statistic", Tree::text("Sum")),
            ("Dimensions", Tree::List(Vec::new())),
            ("Period", Tree::Whole(60)),
            ("EvaluationPeriods", Tree::Whole(1)),
            ("Threshold", Tree::Number(5.0)),
            ("ComparisonOperator", Tree::text("GreaterThanThreshold")),
            ("TreatMissingData", Tree::text("missing")),
        ]
    }
}
