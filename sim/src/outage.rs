//! Outages: regions that answer nobody, as planned from the start, or switched by the control handle.

use crate::clock::At;
use crate::spec::{Spec, duration};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// How a region that is down meets a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Down {
    /// The connection is closed without an answer.
    #[default]
    Dropped,
    /// The answer is a 503.
    Unavailable,
}

impl std::str::FromStr for Down {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Down, &'static str> {
        match text {
            "dropped" | "drop" => Ok(Down::Dropped),
            "unavailable" | "503" => Ok(Down::Unavailable),
            _ => Err("dropped or unavailable"),
        }
    }
}

/// A region that goes down.
#[derive(Debug, Clone, PartialEq)]
pub struct Outage {
    /// The region.
    pub region: String,
    /// How long after the simulation's start it begins.
    pub after: Duration,
    /// How long after the start it ends; `None` is never.
    pub until: Option<Duration>,
    /// How requests are met; `None` is as the spec's `down_as` says.
    pub down: Option<Down>,
}

/// Reads `eu-west-1`, `eu-west-1@10s`, `eu-west-1@10s-30s`, joined by `+`.
pub(crate) fn parse(text: &str) -> Result<Vec<Outage>, &'static str> {
    const ALLOWED: &str = "regions like eu-west-1, eu-west-1@10s or eu-west-1@10s-30s, joined by +";
    let one = |part: &str| {
        let (region, times) = part.split_once('@').unwrap_or((part, "0s"));
        let (after, until) = times.split_once('-').map_or((times, None), |(from, to)| (from, Some(to)));
        let until = until.map(duration).transpose();
        if region.split('-').count() < 3 {
            return Err(ALLOWED);
        }
        Ok(Outage {
            region: region.to_owned(),
            after: duration(after).map_err(|_| ALLOWED)?,
            until: until.map_err(|_| ALLOWED)?,
            down: None,
        })
    };
    text.split('+').map(str::trim).filter(|part| !part.is_empty()).map(one).collect()
}

/// What is down and when.
#[derive(Debug)]
pub(crate) struct Outages {
    born: At,
    speed: f64,
    default: Down,
    planned: Vec<Outage>,
    /// Switched by hand, which counts more than the plan.
    switched: BTreeMap<String, Option<Down>>,
}

impl Outages {
    pub(crate) fn new(spec: &Spec, born: At) -> Outages {
        let mut planned = spec.down.clone();
        planned.extend(spec.scenario.iter().flat_map(|scenario| &scenario.outages).map(|rule| Outage {
            region: rule.region.clone(),
            after: rule.after.unwrap_or_default(),
            until: rule.lasts.map(|lasts| rule.after.unwrap_or_default() + lasts),
            down: rule.answer,
        }));
        Outages { born, speed: spec.speed, default: spec.down_as, planned, switched: BTreeMap::new() }
    }

    /// Takes a region down, or brings it up again.
    pub(crate) fn switch(&mut self, region: &str, down: Option<Down>) {
        self.switched.insert(region.to_owned(), down);
    }

    /// How a region meets requests now; `None` where it is up.
    pub(crate) fn of(&self, region: &str, now: At) -> Option<Down> {
        if let Some(down) = self.switched.get(region) {
            return *down;
        }
        let at = |time: Duration| self.born.plus_seconds(time.as_secs_f64() / self.speed);
        let is_on = |outage: &&Outage| {
            outage.region == region
                && at(outage.after) <= now
                && outage.until.is_none_or(|until| now < at(until))
        };
        self.planned.iter().find(is_on).map(|outage| outage.down.unwrap_or(self.default))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_go_down_and_come_back() {
        let spec: Spec = "down=eu-west-1@10s-30s+us-west-2,down_as=503,speed=2".parse().unwrap();
        let mut outages = Outages::new(&spec, At(0));
        let of = |outages: &Outages, region, seconds| outages.of(region, At(0).plus_seconds(seconds));
        assert_eq!(of(&outages, "us-west-2", 0.0), Some(Down::Unavailable));
        assert_eq!(of(&outages, "eu-west-1", 4.9), None);
        assert_eq!(of(&outages, "eu-west-1", 5.0), Some(Down::Unavailable));
        assert_eq!(of(&outages, "eu-west-1", 15.0), None);
        assert_eq!(of(&outages, "us-east-1", 5.0), None);
        outages.switch("us-west-2", None);
        outages.switch("us-east-1", Some(Down::Dropped));
        assert_eq!(of(&outages, "us-west-2", 5.0), None);
        assert_eq!(of(&outages, "us-east-1", 5.0), Some(Down::Dropped));
    }

    #[test]
    fn plans_are_checked() {
        for text in ["mars", "eu-west-1@soon", "eu-west-1@1s-x"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
