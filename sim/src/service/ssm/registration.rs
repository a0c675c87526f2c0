//! How a machine outside of EC2 becomes a node: its agent registers with an activation and a public key, and asks for its
//! role's credentials with requests that it signs with the private key.
//!
//! There is one activation, for the `mi-` nodes that `agents` names; each registration is one of them.

use crate::clock::At;
use crate::credentials::{ACCOUNT, Credentials, Principal};
use crate::gateway::signature;
use crate::wire::auth::{self, Scope};
use crate::wire::route::Incoming;
use crate::wire::validate::Checked;
use crate::wire::{ApiError, Service};
use crate::world::Region;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{RSA_PSS_2048_8192_SHA256, UnparsedPublicKey};
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::time::Duration;

/// The operations that agents alone call, before they have credentials.
pub(crate) const OPERATIONS: &[&str] =
    &["RegisterManagedInstance", "RequestManagedInstanceRoleToken", "UpdateManagedInstancePublicKey"];
/// The activation's id and code.
pub(crate) const ACTIVATION: (&str, &str) =
    ("5a5a5a5a-0000-4000-8000-000000000001", "simulated-activation-code");
/// How long a role's credentials last, as AWS gives them.
const LIFETIME: Duration = Duration::from_secs(3600);
/// What comes before the key in a SubjectPublicKeyInfo of 2,048-bit RSA (RFC 5280, 4.1), the only keys that agents make.
const RSA_2048: [u8; 24] = [
    0x30, 0x82, 0x01, 0x22, 0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01,
    0x05, 0x00, 0x03, 0x82, 0x01, 0x0f, 0x00,
];

/// A machine that has registered.
#[derive(Debug)]
struct Registration {
    /// RSAPublicKey of PKCS #1, in DER.
    key: Vec<u8>,
    fingerprint: String,
}

/// The machines that have registered, by node.
#[derive(Debug, Default)]
pub(crate) struct Registrations(HashMap<String, Registration>);

/// Whether an operation is one that agents call with no credentials of the usual kind.
pub(crate) fn is_agents(service: Service, api: &str) -> bool {
    service == Service::Ssm && OPERATIONS.contains(&api)
}

/// Who calls: a machine without a name that registers, or a registered one that proves with its signature that it has its key.
pub(crate) fn caller(
    registrations: &Registrations,
    api: &str,
    (incoming, scope): (&Incoming, Option<&Scope>),
) -> Result<Principal, ApiError> {
    let principal =
        |id: &str, arn: String| Principal { account: ACCOUNT.to_owned(), arn, user_id: id.to_owned() };
    if api == "RegisterManagedInstance" {
        return Ok(principal("anonymous", "anonymous".to_owned()));
    }
    let scope = scope.ok_or_else(|| auth::missing(Service::Ssm))?;
    let id = scope.access_key.as_str();
    let registration = registrations.0.get(id).ok_or_else(|| auth::unknown(Service::Ssm))?;
    let is_signed = signature::signed_text(incoming, scope)
        .and_then(|(text, signature)| Some((text, STANDARD.decode(signature).ok()?)))
        .is_some_and(|(text, signature)| {
            let key = UnparsedPublicKey::new(&RSA_PSS_2048_8192_SHA256, &registration.key);
            key.verify(text.as_bytes(), &signature).is_ok()
        });
    if !is_signed {
        let message = "The request signature we calculated does not match the signature you provided.";
        return Err(ApiError::new("InvalidSignatureException", message));
    }
    Ok(principal(id, format!("arn:aws:ssm:{}:{ACCOUNT}:managed-instance/{id}", scope.region)))
}

/// What a call is answered from.
#[derive(Debug)]
pub(crate) struct Desk<'a> {
    pub(crate) region: &'a Region,
    pub(crate) registrations: &'a mut Registrations,
    pub(crate) credentials: &'a mut Credentials,
    pub(crate) principal: &'a Principal,
    pub(crate) now: At,
    /// How far the clock that callers see is off, in microseconds.
    pub(crate) skew: i64,
}

/// Answers an operation; `None` for one that is none of these.
pub(crate) fn answer(
    desk: &mut Desk<'_>,
    api: &str,
    body: &Map<String, Value>,
) -> Option<Result<Value, ApiError>> {
    Some(match api {
        "RegisterManagedInstance" => register(desk, body),
        "RequestManagedInstanceRoleToken" => token(desk, body),
        "UpdateManagedInstancePublicKey" => update_key(desk, body),
        _ => return None,
    })
}

/// Reads a public key.
fn key(text: &str) -> Result<Vec<u8>, ApiError> {
    let key = STANDARD.decode(text).ok().and_then(|der| der.strip_prefix(&RSA_2048).map(<[u8]>::to_vec));
    key.ok_or_else(|| ApiError::new("ValidationException", "The public key is not one of 2048-bit RSA."))
}

fn register(desk: &mut Desk<'_>, body: &Map<String, Value>) -> Result<Value, ApiError> {
    let mut checked = Checked::new(body);
    let id = checked.string("ActivationId", (36, 36));
    let code = checked.string("ActivationCode", (20, 250));
    let public_key = checked.required("PublicKey", (392, 4096));
    let kind = checked.string("PublicKeyType", (0, 64));
    if let Some(kind) = &kind {
        checked.one_of("publicKeyType", kind, &["Rsa"]);
    }
    let fingerprint = checked.required("Fingerprint", (1, 4096));
    checked.finish()?;
    let invalid = || {
        ApiError::new("InvalidActivation", "The activation is not valid, or all its nodes have registered.")
    };
    if (id.as_deref(), code.as_deref()) != (Some(ACTIVATION.0), Some(ACTIVATION.1)) {
        return Err(invalid());
    }
    let key = key(&public_key)?;
    let free = desk
        .region
        .fleet
        .nodes
        .iter()
        .find(|node| node.is_real && node.is_hybrid() && !desk.registrations.0.contains_key(&node.id));
    let node = free.ok_or_else(invalid)?.id.clone();
    desk.registrations.0.insert(node.clone(), Registration { key, fingerprint });
    Ok(json!({"InstanceId": node}))
}

fn token(desk: &mut Desk<'_>, body: &Map<String, Value>) -> Result<Value, ApiError> {
    let mut checked = Checked::new(body);
    let fingerprint = checked.required("Fingerprint", (1, 4096));
    checked.finish()?;
    let node = desk.principal.user_id.as_str();
    if desk.registrations.0.get(node).is_none_or(|registration| registration.fingerprint != fingerprint) {
        let message = "The machine's fingerprint is not the one that it has registered with.";
        return Err(ApiError::new("MachineFingerprintDoesNotMatch", message));
    }
    let expires_at = desk.now + LIFETIME;
    let issued = desk.credentials.issue(ACCOUNT, ("HybridNode", node), expires_at);
    let shown = At(expires_at.0.saturating_add(desk.skew));
    Ok(json!({
        "AccessKeyId": issued.access_key, "SecretAccessKey": issued.secret_key, "SessionToken": issued.token,
        "TokenExpirationDate": shown.epoch_seconds(), "UpdateKeyPair": false,
    }))
}

fn update_key(desk: &mut Desk<'_>, body: &Map<String, Value>) -> Result<Value, ApiError> {
    let mut checked = Checked::new(body);
    let public_key = checked.required("NewPublicKey", (392, 4096));
    let kind = checked.required("NewPublicKeyType", (1, 64));
    checked.one_of("newPublicKeyType", &kind, &["Rsa"]);
    checked.finish()?;
    let key = key(&public_key)?;
    if let Some(registration) = desk.registrations.0.get_mut(&desk.principal.user_id) {
        registration.key = key;
    }
    Ok(json!({}))
}
