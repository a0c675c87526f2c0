//! Who asks: the credential scope of a SigV4 header. Signatures are not checked.

use super::{ApiError, Service};
use crate::clock::At;
use std::time::Duration;

/// What a signature's credential says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scope {
    pub(crate) access_key: String,
    pub(crate) region: String,
    pub(crate) service: String,
}

/// Reads `AWS4-HMAC-SHA256 Credential=KEY/DATE/REGION/SERVICE/aws4_request, SignedHeaders=…, Signature=…`.
pub(crate) fn scope(header: Option<&str>) -> Option<Scope> {
    let fields = header?.strip_prefix("AWS4-HMAC-SHA256")?;
    let mut credential = None;
    let mut signed = false;
    for field in fields.split(',') {
        match field.trim().split_once('=') {
            Some(("Credential", value)) => credential = Some(value.to_owned()),
            Some(("Signature", value)) => signed = !value.is_empty(),
            Some(_) | None => {}
        }
    }
    let credential = credential.filter(|_| signed)?;
    let mut parts = credential.rsplit('/');
    let (_end, service, region, _date) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let access_key = parts.next()?;
    Some(Scope { access_key: access_key.to_owned(), region: region.to_owned(), service: service.to_owned() })
}

/// What a service says to a request without a signature.
pub(crate) fn missing(service: Service) -> ApiError {
    match service {
        Service::Ssm | Service::Logs | Service::Organizations | Service::Kms | Service::Messages => {
            ApiError::new("MissingAuthenticationTokenException", "Missing Authentication Token")
        }
        Service::ResourceGroups | Service::Gateway => {
            ApiError::new("MissingAuthenticationTokenException", "Missing Authentication Token").status(403)
        }
        Service::Ec2 => ApiError::new(
            "MissingParameter",
            "The request must contain the parameter AWSAccessKeyId or a signed header",
        ),
        Service::Sts | Service::AutoScaling | Service::LoadBalancing | Service::CloudWatch => {
            ApiError::new("MissingAuthenticationToken", "Request is missing Authentication Token").status(403)
        }
        Service::S3 => ApiError::new("AccessDenied", "Access Denied").status(403),
    }
}

/// What a service says to an access key it does not know.
pub(crate) fn unknown(service: Service) -> ApiError {
    let message = "The security token included in the request is invalid.";
    match service {
        Service::Ssm | Service::Logs | Service::Organizations | Service::Kms | Service::Messages => {
            ApiError::new("UnrecognizedClientException", message)
        }
        Service::ResourceGroups | Service::Gateway => {
            ApiError::new("UnrecognizedClientException", message).status(403)
        }
        Service::Ec2 => {
            ApiError::new("AuthFailure", "AWS was not able to validate the provided access credentials")
                .status(401)
        }
        Service::Sts | Service::AutoScaling | Service::LoadBalancing | Service::CloudWatch => {
            ApiError::new("InvalidClientTokenId", message).status(403)
        }
        Service::S3 => ApiError::new(
            "InvalidAccessKeyId",
            "The AWS Access Key Id you provided does not exist in our records.",
        )
        .status(403),
    }
}

/// What a service says to credentials that have expired.
pub(crate) fn expired(service: Service) -> ApiError {
    let message = "The security token included in the request is expired";
    match service {
        Service::Ssm | Service::Logs | Service::Organizations | Service::Kms | Service::Messages => {
            ApiError::new("ExpiredTokenException", message)
        }
        Service::ResourceGroups | Service::Gateway => {
            ApiError::new("ExpiredTokenException", message).status(403)
        }
        Service::Ec2 => ApiError::new("RequestExpired", "Request has expired."),
        Service::Sts | Service::AutoScaling | Service::LoadBalancing | Service::CloudWatch => {
            ApiError::new("ExpiredToken", message).status(403)
        }
        Service::S3 => ApiError::new("ExpiredToken", "The provided token has expired."),
    }
}

/// What a service says to a signature that is too old or of a time to come; `signed` is `X-Amz-Date`.
pub(crate) fn skewed(service: Service, signed: Option<&str>, now: At) -> Option<ApiError> {
    let signed = signed?;
    let (minutes, window) = match service {
        Service::S3 => (15, Duration::from_secs(900)),
        _ => (5, Duration::from_secs(300)),
    };
    let at = moment(signed)?;
    let text = |at: At| at.format("%Y%m%dT%H%M%SZ");
    let message = if at < now - window {
        format!(
            "Signature expired: {signed} is now earlier than {} ({} - {minutes} min.)",
            text(now - window),
            text(now)
        )
    } else if at > now + window {
        format!(
            "Signature not yet current: {signed} is still later than {} ({} + {minutes} min.)",
            text(now + window),
            text(now)
        )
    } else {
        return None;
    };
    Some(match service {
        Service::Ssm | Service::Logs | Service::Organizations | Service::Kms | Service::Messages => {
            ApiError::new("InvalidSignatureException", message)
        }
        Service::ResourceGroups | Service::Gateway => {
            ApiError::new("InvalidSignatureException", message).status(403)
        }
        // EC2 doesn't say that it is the time.
        Service::Ec2 => unknown(service),
        Service::Sts | Service::AutoScaling | Service::LoadBalancing | Service::CloudWatch => {
            ApiError::new("SignatureDoesNotMatch", message).status(403)
        }
        Service::S3 => ApiError::new(
            "RequestTimeTooSkewed",
            "The difference between the request time and the current time is too large.",
        )
        .status(403),
    })
}

/// Reads `20260501T120000Z`.
fn moment(text: &str) -> Option<At> {
    let part = |from: usize, to: usize| text.get(from..to);
    let (date, time) = (
        format!("{}-{}-{}", part(0, 4)?, part(4, 6)?, part(6, 8)?),
        format!("{}:{}:{}", part(9, 11)?, part(11, 13)?, part(13, 15)?),
    );
    At::parse(&format!("{date}T{time}Z"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_read() {
        let header = "AWS4-HMAC-SHA256 Credential=AKIAX/20260501/eu-west-1/ssm/aws4_request, SignedHeaders=host, Signature=ab";
        let scope = scope(Some(header)).unwrap();
        assert_eq!(
            (scope.access_key.as_str(), scope.region.as_str(), scope.service.as_str()),
            ("AKIAX", "eu-west-1", "ssm")
        );
    }

    #[test]
    fn signatures_of_another_time_are_refused() {
        let now = At::parse("2026-05-01T12:00:00Z").unwrap();
        let error = |service, signed| skewed(service, Some(signed), now);
        for fine in ["20260501T115501Z", "20260501T120459Z"] {
            assert_eq!(error(Service::Ssm, fine), None, "{fine}");
        }
        let old = error(Service::Ssm, "20260501T115459Z").unwrap();
        assert_eq!(old.code, "InvalidSignatureException");
        let wanted = "Signature expired: 20260501T115459Z is now earlier than 20260501T115500Z (20260501T120000Z - 5 min.)";
        assert_eq!(old.message.as_deref(), Some(wanted));
        let early = error(Service::Sts, "20260501T120501Z").unwrap();
        assert!(
            early
                .message
                .unwrap()
                .starts_with("Signature not yet current: 20260501T120501Z is still later than")
        );
        assert_eq!(error(Service::S3, "20260501T114600Z"), None);
        assert_eq!(error(Service::S3, "20260501T114400Z").unwrap().code, "RequestTimeTooSkewed");
        assert_eq!(skewed(Service::Ssm, None, now), None);
        assert_eq!(error(Service::Ssm, "nonsense"), None);
    }

    #[test]
    fn unsigned_requests_have_none() {
        for header in
            [None, Some(""), Some("Bearer x"), Some("AWS4-HMAC-SHA256 Credential=a/b/c, Signature=x")]
        {
            assert_eq!(scope(header), None);
        }
    }
}
