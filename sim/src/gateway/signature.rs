//! Signatures of requests to the gateway (SigV4), checked in earnest: what is signed with a key that nobody has, with
//! another secret, or for another service or region does not get in.

use crate::clock::At;
use crate::credentials::{Credentials, Principal, Refused};
use crate::wire::ApiError;
use crate::wire::Service;
use crate::wire::auth::{self, Scope};
use crate::wire::route::Incoming;
use ring::hmac::{HMAC_SHA256, Key, sign};
use sha2::{Digest, Sha256};

/// Furthest that a signature's time may be off, in seconds.
const SKEW_SECONDS: f64 = 900.0;

/// Who signed a request; `None` where nobody did. A bearer token, as some clients send, signs nothing and does no harm.
pub(super) fn signer(
    incoming: &Incoming,
    credentials: &Credentials,
    now: At,
) -> Result<Option<Principal>, ApiError> {
    let signed = incoming.header("authorization").filter(|header| !header.starts_with("Bearer "));
    let Some(header) = signed else { return Ok(None) };
    let incomplete =
        || ApiError::new("IncompleteSignatureException", "The signature is incomplete.").status(403);
    let scope = auth::scope(Some(header)).ok_or_else(incomplete)?;
    if scope.service != Service::Gateway.name() {
        let message =
            format!("Credential should be scoped to correct service: '{}'.", Service::Gateway.name());
        return Err(ApiError::new("InvalidSignatureException", message).status(403));
    }
    let principal = credentials.principal(&scope.access_key, now).map_err(|refused| match refused {
        Refused::Unknown => auth::unknown(Service::Gateway),
        Refused::Expired => auth::expired(Service::Gateway),
    })?;
    let (secret, token) =
        credentials.secret(&scope.access_key).ok_or_else(|| auth::unknown(Service::Gateway))?;
    if token.is_some_and(|token| incoming.header("x-amz-security-token") != Some(token)) {
        return Err(auth::unknown(Service::Gateway));
    }
    let stamp = incoming.header("x-amz-date").ok_or_else(incomplete)?;
    let at = moment(stamp).ok_or_else(incomplete)?;
    if now.seconds_since(at).abs() > SKEW_SECONDS {
        let message = format!("Signature expired: {stamp} is too far from the server's time.");
        return Err(ApiError::new("InvalidSignatureException", message).status(403));
    }
    let (text, given) = signed_text(incoming, &scope).ok_or_else(incomplete)?;
    if signature(&text, (&scope, stamp), secret) != given {
        let message = "The request signature we calculated does not match the signature you provided.";
        return Err(ApiError::new("InvalidSignatureException", message).status(403));
    }
    Ok(Some(principal))
}

fn field<'a>(header: &'a str, name: &str) -> Option<&'a str> {
    let fields = header.strip_prefix("AWS4-HMAC-SHA256")?;
    fields.split(',').find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='))
}

/// Reads `20261101T120000Z`.
fn moment(stamp: &str) -> Option<At> {
    let part = |range: std::ops::Range<usize>| stamp.get(range);
    let text = format!(
        "{}-{}-{}T{}:{}:{}Z",
        part(0..4)?,
        part(4..6)?,
        part(6..8)?,
        part(9..11)?,
        part(11..13)?,
        part(13..15)?
    );
    At::parse(&text).filter(|_| stamp.len() == 16 && stamp.ends_with('Z'))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The text that a request's signature is of, and the signature; `None` where it is incomplete or leaves the host open.
pub(crate) fn signed_text<'a>(incoming: &'a Incoming, scope: &Scope) -> Option<(String, &'a str)> {
    let header = incoming.header("authorization")?;
    let stamp = incoming.header("x-amz-date")?;
    let signature = field(header, "Signature")?;
    let names: Vec<&str> = field(header, "SignedHeaders")?.split(';').collect();
    let is_whole = names.contains(&"host");
    is_whole.then(|| (text_of(incoming, (scope, stamp), &names), signature))
}

/// The string to sign.
fn text_of(incoming: &Incoming, (scope, stamp): (&Scope, &str), names: &[&str]) -> String {
    let mut query: Vec<&str> = incoming.query.split('&').filter(|part| !part.is_empty()).collect();
    query.sort_unstable();
    let headers: String = names
        .iter()
        .map(|name| {
            format!(
                "{name}:{}\n",
                incoming.header(name).unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
            )
        })
        .collect();
    let canonical = format!(
        "{}\n{}\n{}\n{headers}\n{}\n{}",
        incoming.method,
        incoming.path,
        query.join("&"),
        names.join(";"),
        hex(&Sha256::digest(&incoming.body))
    );
    let day = stamp.get(..8).unwrap_or_default();
    let place = format!("{day}/{}/{}/aws4_request", scope.region, scope.service);
    format!("AWS4-HMAC-SHA256\n{stamp}\n{place}\n{}", hex(&Sha256::digest(canonical)))
}

fn signature(text: &str, (scope, stamp): (&Scope, &str), secret: &str) -> String {
    let day = stamp.get(..8).unwrap_or_default();
    let mut key = format!("AWS4{secret}").into_bytes();
    for part in [day, &scope.region, &scope.service, "aws4_request", text] {
        key = sign(&Key::new(HMAC_SHA256, &key), part.as_bytes()).as_ref().to_vec();
    }
    hex(&key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credentials::{ACCESS_KEY, SECRET_KEY};
    use std::collections::BTreeMap;

    fn request(service: &str, stamp: &str) -> Incoming {
        let mut incoming = Incoming {
            method: "GET".into(),
            path: "/v1/data-channel/me-0123".into(),
            query: "role=publish_subscribe&cell-number=ab".into(),
            headers: BTreeMap::from([
                ("host".to_owned(), "127.0.0.1:4566".to_owned()),
                ("x-amz-date".to_owned(), stamp.to_owned()),
            ]),
            ..Incoming::default()
        };
        let scope =
            Scope { access_key: ACCESS_KEY.into(), region: "us-east-1".into(), service: service.into() };
        let names = ["host", "x-amz-date"];
        let signature = signature(&text_of(&incoming, (&scope, stamp), &names), (&scope, stamp), SECRET_KEY);
        let day = stamp.get(..8).unwrap();
        let header = format!(
            "AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/{day}/us-east-1/{service}/aws4_request, SignedHeaders=host;x-amz-date, Signature={signature}"
        );
        incoming.headers.insert("authorization".to_owned(), header);
        incoming
    }

    #[test]
    fn signatures_are_checked() {
        let (credentials, now) = (Credentials::new(1), At::parse("2026-11-01T12:00:30Z").unwrap());
        let code = |incoming: &Incoming| {
            signer(incoming, &credentials, now).map_err(|error| error.code.into_owned())
        };
        let good = request("ssmmessages", "20261101T120000Z");
        assert_eq!(code(&good).unwrap().unwrap().account, "123456789012");
        let mut changed = request("ssmmessages", "20261101T120000Z");
        changed.query.push('c');
        assert_eq!(code(&changed).unwrap_err(), "InvalidSignatureException");
        assert_eq!(code(&request("ssm", "20261101T120000Z")).unwrap_err(), "InvalidSignatureException");
        assert_eq!(
            code(&request("ssmmessages", "20261101T110000Z")).unwrap_err(),
            "InvalidSignatureException"
        );
        assert_eq!(
            code(&request("ssmmessages", "2026-11-01T12:00:00Z")).unwrap_err(),
            "IncompleteSignatureException"
        );
        let mut unsigned = good;
        unsigned.headers.remove("authorization");
        assert_eq!(code(&unsigned), Ok(None));
        unsigned.headers.insert("authorization".to_owned(), "Bearer AAEAAd".to_owned());
        assert_eq!(code(&unsigned), Ok(None));
        unsigned.headers.insert("authorization".to_owned(), "AWS4-HMAC-SHA256 Credential=x".to_owned());
        assert_eq!(code(&unsigned).unwrap_err(), "IncompleteSignatureException");
        let mut expired = Credentials::new(1);
        expired.are_expired = true;
        let late = signer(&request("ssmmessages", "20261101T120000Z"), &expired, now).unwrap_err();
        assert_eq!((late.code.as_ref(), late.status), ("ExpiredTokenException", 403));
    }

    #[test]
    fn a_signature_is_what_others_compute() {
        // The example of AWS's test suite "get-vanilla", with its own key and service.
        let incoming = Incoming {
            method: "GET".into(),
            path: "/".into(),
            headers: BTreeMap::from([
                ("host".to_owned(), "example.amazonaws.com".to_owned()),
                ("x-amz-date".to_owned(), "20150830T123600Z".to_owned()),
            ]),
            ..Incoming::default()
        };
        let scope =
            Scope { access_key: "AKIDEXAMPLE".into(), region: "us-east-1".into(), service: "service".into() };
        let secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
        assert_eq!(
            signature(
                &text_of(&incoming, (&scope, "20150830T123600Z"), &["host", "x-amz-date"]),
                (&scope, "20150830T123600Z"),
                secret
            ),
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
        );
    }
}
