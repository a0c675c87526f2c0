//! STS: who one is, and who one becomes.

use crate::accounts;
use crate::clock::At;
use crate::credentials::{Credentials, Principal};
use crate::spec::Spec;
use crate::wire::form::Form;
use crate::wire::xml::Xml;
use crate::wire::{ApiError, Reply, Service, aws_query};

/// The operations that are simulated: no other gets to [`answer`].
pub(crate) const OPERATIONS: &[&str] = &["GetCallerIdentity", "AssumeRole", "GetSessionToken"];

/// Answers an action; `None` for one that is not simulated.
pub(crate) fn answer(
    (spec, api): (&Spec, &str),
    form: &Form,
    (credentials, principal): (&mut Credentials, &Principal),
    (now, request_id): (At, &str),
) -> Option<Result<Reply, ApiError>> {
    match api {
        "GetCallerIdentity" => Some(Ok(aws_query::ok(Service::Sts, (api, request_id), |xml| {
            xml.text("Arn", &principal.arn);
            xml.text("UserId", &principal.user_id);
            xml.text("Account", &principal.account);
        }))),
        "AssumeRole" => Some(assume((spec, form), (credentials, principal), (now, request_id))),
        "GetSessionToken" => Some(session(form, (credentials, principal), (now, request_id))),
        _ => None,
    }
}

fn invalid(message: String) -> ApiError {
    ApiError::new("ValidationError", message)
}

fn seconds(form: &Form, default: i64) -> Result<f64, ApiError> {
    let asked = form.number("DurationSeconds")?.unwrap_or(default);
    if (900..=43_200).contains(&asked) {
        return Ok(asked as f64);
    }
    Err(invalid(format!(
        "1 validation error detected: Value '{asked}' at 'durationSeconds' failed to satisfy constraint: Member must have value between 900 and 43200"
    )))
}

/// Lengths that the model gives to members, where they are named as in complaints.
const LENGTHS: [(&str, &str, usize, usize); 5] = [
    ("Policy", "policy", 1, 100_000),
    ("ExternalId", "externalId", 2, 1224),
    ("SerialNumber", "serialNumber", 9, 256),
    ("SourceIdentity", "sourceIdentity", 2, 64),
    ("TokenCode", "tokenCode", 6, 6),
];
/// Most keys of transitive tags.
const TRANSITIVE: usize = 50;

/// Checks what is not simulated as the service's front does.
fn check_lengths(form: &Form) -> Result<(), ApiError> {
    let complain = |name: &str, value: &str, word: &str, bound: usize| {
        Err(invalid(format!(
            "1 validation error detected: Value '{value}' at '{name}' failed to satisfy constraint: Member must have {word} than or equal to {bound}"
        )))
    };
    for (key, name, least, most) in LENGTHS {
        let Some(value) = form.get(key) else { continue };
        let length = value.chars().count();
        if length < least {
            return complain(name, value, "length greater", least);
        }
        if length > most {
            return complain(name, value, "length less", most);
        }
    }
    let keys = form.list("TransitiveTagKeys.member");
    if keys.len() > TRANSITIVE {
        return complain("transitiveTagKeys", &format!("[{}]", keys.join(", ")), "length less", TRANSITIVE);
    }
    match form.number("MinimumSessionTokenSize").map_err(|error| error.named("ValidationError"))? {
        Some(size) if size < 0 => complain("minimumSessionTokenSize", &size.to_string(), "value greater", 0),
        Some(size) if size > 4096 => {
            complain("minimumSessionTokenSize", &size.to_string(), "value less", 4096)
        }
        _ => Ok(()),
    }
}

/// A code of six digits is taken for right, except for 000000.
fn check_code(form: &Form) -> Result<(), ApiError> {
    let Some(code) = form.get("TokenCode") else { return Ok(()) };
    if code.len() != 6 || !code.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(invalid(format!(
            "1 validation error detected: Value '{code}' at 'tokenCode' failed to satisfy constraint: Member must satisfy regular expression pattern: [\\d]*"
        )));
    }
    if code == "000000" || form.get("SerialNumber").is_none() {
        let message = "MultiFactorAuthentication failed with invalid MFA one time pass code.";
        return Err(ApiError::new("AccessDenied", message).status(403));
    }
    Ok(())
}

fn shown(xml: &mut Xml, issued: &crate::credentials::Issued) {
    xml.element("Credentials", |xml| {
        xml.text("AccessKeyId", &issued.access_key);
        xml.text("SecretAccessKey", &issued.secret_key);
        xml.text("SessionToken", &issued.token);
        xml.text("Expiration", &issued.expires_at.rfc3339_seconds());
    });
}

fn assume(
    (spec, form): (&Spec, &Form),
    (credentials, principal): (&mut Credentials, &Principal),
    (now, request_id): (At, &str),
) -> Result<Reply, ApiError> {
    check_lengths(form)?;
    let arn = form.get("RoleArn").unwrap_or_default();
    let name = form.get("RoleSessionName").unwrap_or_default();
    let session_fits = (2..=64).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte));
    if !session_fits {
        return Err(invalid(format!(
            "1 validation error detected: Value '{name}' at 'roleSessionName' failed to satisfy constraint: Member must satisfy regular expression pattern: [\\w+=,.@-]*"
        )));
    }
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let (account, role) = match parts.as_slice() {
        ["arn", _, "iam", _, account, resource] if account.len() == 12 && resource.starts_with("role/") => {
            (*account, resource.rsplit('/').next().unwrap_or_default())
        }
        _ => return Err(invalid(format!("{arn} is invalid"))),
    };
    check_code(form)?;
    if !accounts::may_assume(spec, account, role) {
        return Err(ApiError::denied(Service::Sts, "AssumeRole", &principal.arn, arn));
    }
    let expires_at = now.plus_seconds(seconds(form, 3600)?);
    let issued = credentials.issue(account, (role, name), expires_at);
    Ok(aws_query::ok(Service::Sts, ("AssumeRole", request_id), |xml| {
        shown(xml, &issued);
        xml.element("AssumedRoleUser", |xml| {
            xml.text("AssumedRoleId", &issued.principal.user_id);
            xml.text("Arn", &issued.principal.arn);
        });
        xml.text("PackedPolicySize", "0");
    }))
}

fn session(
    form: &Form,
    (credentials, principal): (&mut Credentials, &Principal),
    (now, request_id): (At, &str),
) -> Result<Reply, ApiError> {
    check_lengths(form)?;
    check_code(form)?;
    let expires_at = now.plus_seconds(seconds(form, 43_200)?);
    let issued = credentials.issue_for(principal.clone(), expires_at);
    Ok(aws_query::ok(Service::Sts, ("GetSessionToken", request_id), |xml| shown(xml, &issued)))
}
