//! Faults: which calls are throttled, err, get lost or are refused, before their effect or after it.

use crate::draw::Draw;
use crate::spec::Spec;
use crate::wire::Service;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Settings of the faults; replaces all of them at once.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FaultSpec {
    /// Share (0 to 1) of calls throttled whatever the quota. STS is left alone.
    pub throttle: f64,
    /// Share of calls that end in a 5xx; half before, half after the effect. STS is left alone.
    pub errors: f64,
    /// Share of calls whose connection closes after the effect. STS is left alone.
    pub dropped: f64,
    /// Milliseconds added to each call.
    pub latency_ms: u64,
    /// APIs (`SendCommand`) that are refused.
    pub deny: Vec<String>,
    /// Settings of single APIs, which replace the shares above.
    pub apis: BTreeMap<String, ApiFault>,
}

/// Settings of one API.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ApiFault {
    /// Share of calls that are throttled.
    pub throttle: f64,
    /// Share of calls that end in a 5xx without effect.
    pub errors_before: f64,
    /// Share of calls that end in a 5xx although they took effect.
    pub errors_after: f64,
    /// Share of calls whose connection closes without effect.
    pub dropped_before: f64,
    /// Share of calls whose connection closes although they took effect.
    pub dropped_after: f64,
    /// Milliseconds added to each call, instead of the general ones.
    pub latency_ms: Option<u64>,
    /// Connections are closed after so many bytes of an answer that is longer (objects of S3).
    pub cut_after: Option<u64>,
    /// Faults happen so many times, and then no more.
    pub times: Option<u32>,
}

/// What is to become of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Pass,
    Throttle,
    ErrorBefore,
    ErrorAfter,
    DropBefore,
    DropAfter,
}

/// The settings, and the draw that decides.
#[derive(Debug)]
pub(crate) struct Faults {
    pub(crate) settings: FaultSpec,
    draw: Draw,
}

impl Faults {
    pub(crate) fn new(spec: &Spec) -> Faults {
        let settings = FaultSpec {
            throttle: spec.throttle,
            errors: spec.errors,
            dropped: spec.dropped,
            latency_ms: u64::try_from(spec.latency.as_millis()).unwrap_or(u64::MAX),
            deny: spec.denied_apis.clone(),
            apis: BTreeMap::new(),
        };
        Faults { settings, draw: Draw::new(spec.seed).text("faults") }
    }

    pub(crate) fn is_denied(&self, api: &str) -> bool {
        self.settings.deny.iter().any(|denied| denied == api)
    }

    pub(crate) fn latency_ms(&self, api: &str) -> u64 {
        let own = self.settings.apis.get(api).and_then(|fault| fault.latency_ms);
        own.unwrap_or(self.settings.latency_ms)
    }

    /// After how many bytes an answer of this length is cut, if it is.
    pub(crate) fn cut(&mut self, api: &str, length: u64) -> Option<u64> {
        let own = self.settings.apis.get_mut(api)?;
        let cut = own.cut_after.filter(|cut| *cut < length)?;
        match &mut own.times {
            Some(0) => return None,
            Some(times) => *times -= 1,
            None => {}
        }
        Some(cut)
    }

    /// Decides about one call.
    pub(crate) fn decide(&mut self, service: Service, api: &str) -> Fate {
        let mut at = self.draw.unit();
        let general = &self.settings;
        let shares = match self.settings.apis.get(api) {
            Some(own) if own.times == Some(0) => return Fate::Pass,
            Some(own) => {
                [own.throttle, own.errors_before, own.errors_after, own.dropped_before, own.dropped_after]
            }
            None if service == Service::Sts => return Fate::Pass,
            None => [general.throttle, general.errors / 2.0, general.errors / 2.0, 0.0, general.dropped],
        };
        let fates = [Fate::Throttle, Fate::ErrorBefore, Fate::ErrorAfter, Fate::DropBefore, Fate::DropAfter];
        for (share, fate) in shares.into_iter().zip(fates) {
            if at < share {
                if let Some(times) = self.settings.apis.get_mut(api).and_then(|own| own.times.as_mut()) {
                    *times -= 1;
                }
                return fate;
            }
            at -= share;
        }
        Fate::Pass
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_met() {
        let mut faults = Faults::new(&"throttle=5%,errors=2%".parse().unwrap());
        let fates: Vec<Fate> = (0..10_000).map(|_| faults.decide(Service::Ssm, "SendCommand")).collect();
        let count = |fate| fates.iter().filter(|one| **one == fate).count();
        assert!((420..580).contains(&count(Fate::Throttle)));
        assert!(
            (70..130).contains(&count(Fate::ErrorBefore)) && (70..130).contains(&count(Fate::ErrorAfter))
        );
        assert_eq!(faults.decide(Service::Sts, "GetCallerIdentity"), Fate::Pass);
    }

    #[test]
    fn long_answers_are_cut_so_many_times() {
        let mut faults = Faults::new(&"5".parse().unwrap());
        let cut = ApiFault { cut_after: Some(10), times: Some(1), ..ApiFault::default() };
        faults.settings.apis.insert("GetObject".into(), cut);
        let cuts = [("PutObject", 99), ("GetObject", 10), ("GetObject", 11), ("GetObject", 11)];
        let cuts = cuts.map(|(api, length)| faults.cut(api, length));
        assert_eq!(cuts, [None, None, Some(10), None]);
    }

    #[test]
    fn an_api_has_settings_of_its_own() {
        let mut faults = Faults::new(&"errors=100%".parse().unwrap());
        faults
            .settings
            .apis
            .insert("A".into(), ApiFault { errors_after: 1.0, times: Some(2), ..ApiFault::default() });
        let fates: Vec<Fate> = (0..3).map(|_| faults.decide(Service::Ssm, "A")).collect();
        assert_eq!(fates, [Fate::ErrorAfter, Fate::ErrorAfter, Fate::Pass]);
        assert_ne!(faults.decide(Service::Ssm, "B"), Fate::Pass);
    }
}
