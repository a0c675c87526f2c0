//! API quotas: one token bucket per (account, region, API), refilled continuously.

use crate::clock::At;
use std::collections::HashMap;

/// A quota: `rate` calls a second on average, `burst` at once.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Quota {
    pub(crate) rate: f64,
    pub(crate) burst: f64,
}

/// Quotas of Run Command, Auto Scaling and others are not published; 10/s is the assumption that everything here is measured against.
pub(crate) const UNPUBLISHED: Quota = Quota { rate: 10.0, burst: 10.0 };

fn even(rate: f64) -> Quota {
    Quota { rate, burst: rate }
}

/// The calls that share a bucket have one name.
fn shared<'a>(service: &str, api: &'a str) -> &'a str {
    match service {
        "elasticloadbalancing" | "autoscaling" if api.starts_with("Describe") => "Describe",
        _ => api,
    }
}

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    at: At,
}

/// The buckets, and what the spec says about their size.
#[derive(Debug)]
pub(crate) struct Quotas {
    rate: Option<f64>,
    burst: Option<f64>,
    sends: Option<f64>,
    buckets: HashMap<(String, String, String), Bucket>,
}

impl Quotas {
    /// `rate` and `burst` replace those of Systems Manager's calls; a rate of zero lifts every quota.
    pub(crate) fn new(rate: Option<f64>, burst: Option<f64>) -> Quotas {
        Quotas { rate, burst, sends: None, buckets: HashMap::new() }
    }

    /// The same, with another rate of `SendCommand` where there is one.
    pub(crate) fn with_sends(self, sends: Option<f64>) -> Quotas {
        Quotas { sends, ..self }
    }

    /// The quota of an API, `None` where it is lifted.
    pub(crate) fn quota(&self, service: &str, api: &str) -> Option<Quota> {
        if self.rate == Some(0.0) {
            return None;
        }
        let quota = match service {
            "ec2" if api.starts_with("Describe") => Quota { rate: 20.0, burst: 100.0 },
            "ec2" => Quota { rate: 5.0, burst: 50.0 },
            "sts" => Quota { rate: 600.0, burst: 600.0 },
            "s3" if api.starts_with("Put") || api.starts_with("Delete") => even(3500.0),
            "s3" => even(5500.0),
            "elasticloadbalancing" => Quota { rate: 10.0, burst: 40.0 },
            "cloudwatch" => even(if api == "SetAlarmState" { 3.0 } else { 9.0 }),
            "logs" => even(match api {
                "FilterLogEvents" => 5.0,
                "DescribeLogStreams" => 25.0,
                _ => 10.0,
            }),
            "autoscaling" | "resource-groups" | "organizations" => UNPUBLISHED,
            "ssm" if api == "SendCommand" && self.sends.is_some() => {
                let rate = self.sends.unwrap_or(UNPUBLISHED.rate);
                Quota { rate, burst: rate.max(1.0) }
            }
            _ => {
                let rate = self.rate.unwrap_or(UNPUBLISHED.rate);
                let burst = self.burst.unwrap_or(if self.rate.is_some() { rate } else { UNPUBLISHED.burst });
                Quota { rate, burst: burst.max(1.0) }
            }
        };
        Some(quota)
    }

    /// Takes a token; false means that the call is to be throttled.
    pub(crate) fn take(
        &mut self,
        account: &str,
        region: &str,
        (service, api): (&str, &str),
        now: At,
    ) -> bool {
        let Some(quota) = self.quota(service, api) else { return true };
        let key = (account.to_owned(), region.to_owned(), format!("{service}:{}", shared(service, api)));
        let bucket = self.buckets.entry(key).or_insert(Bucket { tokens: quota.burst, at: now });
        let gained = now.seconds_since(bucket.at).max(0.0) * quota.rate;
        bucket.tokens = (bucket.tokens + gained).min(quota.burst);
        bucket.at = bucket.at.max(now);
        let granted = bucket.tokens >= 1.0;
        if granted {
            bucket.tokens -= 1.0;
        }
        granted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn burst_then_rate() {
        let mut quotas = Quotas::new(None, None);
        let start = At(0);
        let mut take = |at: At| quotas.take("1", "r", ("ssm", "SendCommand"), at);
        assert_eq!((0..20).filter(|_| take(start)).count(), 10);
        assert!(!take(start.plus_seconds(0.05)));
        assert!(take(start.plus_seconds(0.11)));
        assert!(!take(start.plus_seconds(0.12)));
    }

    #[test]
    fn services_have_their_published_quotas() {
        let quotas = Quotas::new(Some(2.0), None);
        let rate = |service, api| quotas.quota(service, api).map(|quota| (quota.rate, quota.burst));
        assert_eq!(rate("cloudwatch", "DescribeAlarms"), Some((9.0, 9.0)));
        assert_eq!(rate("cloudwatch", "SetAlarmState"), Some((3.0, 3.0)));
        assert_eq!(rate("elasticloadbalancing", "DescribeTargetHealth"), Some((10.0, 40.0)));
        assert_eq!(rate("logs", "FilterLogEvents"), Some((5.0, 5.0)));
        assert_eq!(rate("s3", "PutObject"), Some((3500.0, 3500.0)));
        assert_eq!(rate("ssm", "SendCommand"), Some((2.0, 2.0)));
        let slow = Quotas::new(None, None).with_sends(Some(0.5));
        let rate = |api| slow.quota("ssm", api).map(|quota| (quota.rate, quota.burst));
        assert_eq!(rate("SendCommand"), Some((0.5, 1.0)));
        assert_eq!(rate("ListCommands"), Some((10.0, 10.0)));
        let mut quotas = Quotas::new(None, None);
        let mut take = |api| quotas.take("1", "r", ("autoscaling", api), At(0));
        let granted = (0..20).filter(|number| {
            take(if number % 2 == 0 { "DescribeAutoScalingGroups" } else { "DescribeAutoScalingInstances" })
        });
        assert_eq!(granted.count(), 10);
    }

    #[test]
    fn buckets_are_apart_and_can_be_lifted() {
        let mut quotas = Quotas::new(Some(1.0), Some(1.0));
        assert!(quotas.take("1", "a", ("ssm", "X"), At(0)));
        assert!(!quotas.take("1", "a", ("ssm", "X"), At(0)));
        assert!(quotas.take("1", "b", ("ssm", "X"), At(0)));
        assert!(quotas.take("2", "a", ("ssm", "X"), At(0)));
        assert!(quotas.take("1", "a", ("ssm", "Y"), At(0)));
        let mut lifted = Quotas::new(Some(0.0), None);
        assert!((0..10_000).all(|_| lifted.take("1", "a", ("ec2", "DescribeInstances"), At(0))));
    }
}
