//! KMS: data keys, under keys that are made of the simulation's seed and open nothing outside of it.

use crate::credentials::Principal;
use crate::draw::Draw;
use crate::spec::Spec;
use crate::wire::ApiError;
use crate::wire::validate::Checked;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// Aliases that every account has, beside the key of its session preferences.
const ALIASES: [&str; 2] = ["alias/aws/ssm", "alias/sessions"];

/// The keys of one account in one region.
#[derive(Debug)]
pub(crate) struct Kms<'a> {
    spec: &'a Spec,
    account: &'a str,
    region: &'a str,
}

/// What a data key was bound to.
pub(crate) type Context = BTreeMap<String, String>;

/// The operations that are simulated: no other gets to [`answer`].
pub(crate) const OPERATIONS: &[&str] = &["GenerateDataKey", "Decrypt", "DescribeKey"];

/// Answers an operation; `None` for one that is not simulated.
pub(crate) fn answer(kms: &Kms<'_>, api: &str, body: &Map<String, Value>) -> Option<Result<Value, ApiError>> {
    Some(match api {
        "GenerateDataKey" => generate(kms, body),
        "Decrypt" => decrypt(kms, body),
        "DescribeKey" => describe(kms, body),
        _ => return None,
    })
}

/// Grants are not simulated; too many are refused all the same.
fn grants(checked: &mut Checked<'_>) {
    checked.strings("GrantTokens", (0, 10));
}

fn context(checked: &mut Checked<'_>, body: &Map<String, Value>) -> Context {
    grants(checked);
    let given = match body.get("EncryptionContext") {
        None | Some(Value::Null) => return Context::new(),
        Some(given) => given.as_object(),
    };
    let pairs: Option<Context> = given.and_then(|given| {
        given.iter().map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect()
    });
    pairs.unwrap_or_else(|| {
        checked.misfit();
        Context::new()
    })
}

fn generate(kms: &Kms<'_>, body: &Map<String, Value>) -> Result<Value, ApiError> {
    let mut checked = Checked::new(body);
    let key = checked.required("KeyId", (1, 2048));
    let bytes = checked.integer("NumberOfBytes", (1, 1024));
    let spec = checked.string("KeySpec", (0, 64));
    if let Some(spec) = &spec {
        checked.one_of("keySpec", spec, &["AES_256", "AES_128"]);
    }
    let context = context(&mut checked, body);
    checked.finish()?;
    let length = match (bytes, spec.as_deref()) {
        (Some(bytes), None) => bytes as usize,
        (None, Some("AES_128")) => 16,
        (None, Some(_)) => 32,
        (None, None) | (Some(_), Some(_)) => {
            let message = "Please specify either number of bytes or key spec.";
            return Err(ApiError::new("ValidationException", message));
        }
    };
    let arn = kms.find(&key)?;
    let mut plaintext = vec![0; length];
    SystemRandom::new().fill(&mut plaintext).map_err(|_| internal())?;
    let blob = kms.seal(&arn, &plaintext, &context)?;
    Ok(
        json!({"KeyId": arn, "Plaintext": STANDARD.encode(plaintext), "CiphertextBlob": STANDARD.encode(blob)}),
    )
}

fn decrypt(kms: &Kms<'_>, body: &Map<String, Value>) -> Result<Value, ApiError> {
    let mut checked = Checked::new(body);
    let blob = checked.required("CiphertextBlob", (1, 8192));
    let key = checked.string("KeyId", (1, 2048));
    if let Some(algorithm) = checked.string("EncryptionAlgorithm", (0, 64)) {
        let known = ["SYMMETRIC_DEFAULT", "RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256", "SM2PKE"];
        checked.one_of("encryptionAlgorithm", &algorithm, &known);
    }
    let context = context(&mut checked, body);
    checked.finish()?;
    let blob = STANDARD.decode(blob).map_err(|_| ApiError::bare("SerializationException"))?;
    let (arn, plaintext) = kms.open(&blob, key.as_deref(), &context)?;
    Ok(
        json!({"KeyId": arn, "Plaintext": STANDARD.encode(plaintext), "EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}),
    )
}

fn describe(kms: &Kms<'_>, body: &Map<String, Value>) -> Result<Value, ApiError> {
    let mut checked = Checked::new(body);
    let key = checked.required("KeyId", (1, 2048));
    grants(&mut checked);
    checked.finish()?;
    let arn = kms.find(&key)?;
    let id = arn.rsplit('/').next().unwrap_or_default();
    Ok(json!({"KeyMetadata": {
        "AWSAccountId": kms.account, "KeyId": id, "Arn": arn, "CreationDate": 1_700_000_000, "Enabled": true,
        "Description": "", "KeyUsage": "ENCRYPT_DECRYPT", "KeyState": "Enabled", "Origin": "AWS_KMS", "KeyManager": "CUSTOMER",
        "CustomerMasterKeySpec": "SYMMETRIC_DEFAULT", "KeySpec": "SYMMETRIC_DEFAULT", "EncryptionAlgorithms": ["SYMMETRIC_DEFAULT"],
        "MultiRegion": false,
    }}))
}

fn internal() -> ApiError {
    ApiError::new("KMSInternalException", "An internal error has occurred").status(500)
}

impl<'a> Kms<'a> {
    pub(crate) fn new(spec: &'a Spec, principal: &'a Principal, region: &'a str) -> Kms<'a> {
        Kms { spec, account: &principal.account, region }
    }

    /// The keys that an agent of a node uses.
    pub(crate) fn of(spec: &'a Spec, account: &'a str, region: &'a str) -> Kms<'a> {
        Kms { spec, account, region }
    }

    fn arn(&self, id: &str) -> String {
        format!("arn:aws:kms:{}:{}:key/{id}", self.region, self.account)
    }

    /// The id behind an alias.
    fn behind(&self, alias: &str) -> String {
        Draw::new(self.spec.seed).text("kms").text(self.account).text(self.region).text(alias).uuid()
    }

    /// The resource of a name: `alias/…` or a key's id.
    fn resource<'k>(&self, key: &'k str) -> Option<&'k str> {
        let Some(rest) = key.strip_prefix("arn:aws:kms:") else { return Some(key) };
        let rest = rest
            .strip_prefix(self.region)?
            .strip_prefix(':')?
            .strip_prefix(self.account)?
            .strip_prefix(':')?;
        Some(rest.strip_prefix("key/").unwrap_or(rest))
    }

    /// The ARN of a key by id, ARN, alias or an alias' ARN.
    pub(crate) fn find(&self, key: &str) -> Result<String, ApiError> {
        let missing = || {
            let what = if key.contains("alias/") { "Alias" } else { "Key" };
            let kind = if key.contains("alias/") { "" } else { "key/" };
            let shown =
                if key.starts_with("arn:") { key.to_owned() } else { self.arn(key).replace("key/", kind) };
            let end = if what == "Alias" { "is not found." } else { "does not exist" };
            ApiError::new("NotFoundException", format!("{what} {shown} {end}"))
        };
        let wanted = self.resource(key).ok_or_else(missing)?;
        let own = self.spec.session.kms.as_deref().and_then(|own| self.resource(own));
        for known in ALIASES.into_iter().chain(own) {
            let id = if known.starts_with("alias/") { self.behind(known) } else { known.to_owned() };
            if wanted == known || wanted == id {
                return Ok(self.arn(&id));
            }
        }
        Err(missing())
    }

    fn key(&self, arn: &str) -> Result<LessSafeKey, ApiError> {
        let secret = Sha256::digest(format!("herder-sim kms {} {arn}", self.spec.seed));
        UnboundKey::new(&AES_256_GCM, &secret).map(LessSafeKey::new).map_err(|_| internal())
    }

    fn seal(&self, arn: &str, plaintext: &[u8], context: &Context) -> Result<Vec<u8>, ApiError> {
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).map_err(|_| internal())?;
        let mut sealed = plaintext.to_vec();
        let bound = Aad::from(bound(arn, context));
        self.key(arn)?
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), bound, &mut sealed)
            .map_err(|_| internal())?;
        let length = u16::try_from(arn.len()).map_err(|_| internal())?.to_be_bytes();
        Ok([&[1_u8], &length[..], arn.as_bytes(), &nonce, &sealed].concat())
    }

    /// Opens a data key: the key's ARN and the plaintext.
    pub(crate) fn open(
        &self,
        blob: &[u8],
        key: Option<&str>,
        context: &Context,
    ) -> Result<(String, Vec<u8>), ApiError> {
        let invalid = || ApiError::bare("InvalidCiphertextException");
        let (arn, nonce, sealed) = parts(blob).ok_or_else(invalid)?;
        if let Some(key) = key
            && self.find(key)? != arn
        {
            let message =
                "The key ID in the request does not identify a CMK that can perform this operation.";
            return Err(ApiError::new("IncorrectKeyException", message));
        }
        let mut opened = sealed.to_vec();
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| invalid())?;
        let length = self
            .key(arn)?
            .open_in_place(nonce, Aad::from(bound(arn, context)), &mut opened)
            .map_err(|_| invalid())?
            .len();
        opened.truncate(length);
        Ok((arn.to_owned(), opened))
    }
}

fn bound(arn: &str, context: &Context) -> Vec<u8> {
    serde_json::to_vec(&(arn, context)).unwrap_or_default()
}

/// The parts of a sealed key: ARN, nonce, the rest.
fn parts(blob: &[u8]) -> Option<(&str, &[u8], &[u8])> {
    let (length, rest) = blob.strip_prefix(&[1])?.split_first_chunk::<2>()?;
    let (arn, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    let (nonce, sealed) = rest.split_at_checked(NONCE_LEN)?;
    Some((std::str::from_utf8(arn).ok()?, nonce, sealed))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(spec: &str, api: &str, body: Value) -> Result<Value, ApiError> {
        let spec: Spec = spec.parse().unwrap();
        let body = body.as_object().cloned().unwrap();
        answer(&Kms::of(&spec, "123456789012", "us-east-1"), api, &body).unwrap()
    }

    #[test]
    fn data_keys_are_bound_to_their_context() {
        let context = json!({"aws:ssm:SessionId": "s", "aws:ssm:TargetId": "i-1"});
        let made = call(
            "",
            "GenerateDataKey",
            json!({"KeyId": "alias/sessions", "NumberOfBytes": 64, "EncryptionContext": context}),
        )
        .unwrap();
        let blob = made["CiphertextBlob"].clone();
        assert_eq!(STANDARD.decode(made["Plaintext"].as_str().unwrap()).unwrap().len(), 64);
        let opened = call(
            "",
            "Decrypt",
            json!({"CiphertextBlob": blob, "KeyId": made["KeyId"], "EncryptionContext": context}),
        )
        .unwrap();
        assert_eq!((&opened["Plaintext"], &opened["KeyId"]), (&made["Plaintext"], &made["KeyId"]));
        for (body, code) in [
            (json!({"CiphertextBlob": blob}), "InvalidCiphertextException"),
            (
                json!({"CiphertextBlob": blob, "EncryptionContext": {"aws:ssm:SessionId": "t", "aws:ssm:TargetId": "i-1"}}),
                "InvalidCiphertextException",
            ),
            (json!({"CiphertextBlob": "AAAA", "EncryptionContext": context}), "InvalidCiphertextException"),
            (
                json!({"CiphertextBlob": blob, "KeyId": "alias/aws/ssm", "EncryptionContext": context}),
                "IncorrectKeyException",
            ),
            (json!({"CiphertextBlob": blob, "EncryptionContext": ["x"]}), "SerializationException"),
        ] {
            assert_eq!(call("", "Decrypt", body.clone()).unwrap_err().code, code, "{body}");
        }
    }

    #[test]
    fn keys_have_several_names() {
        let arn = |spec: &str, key: &str| {
            call(spec, "DescribeKey", json!({"KeyId": key}))
                .map(|answer| answer["KeyMetadata"]["Arn"].as_str().unwrap().to_owned())
        };
        let sessions = arn("", "alias/sessions").unwrap();
        assert_eq!(arn("", &sessions).unwrap(), sessions);
        assert_eq!(arn("", sessions.rsplit('/').next().unwrap()).unwrap(), sessions);
        assert_eq!(arn("", "arn:aws:kms:us-east-1:123456789012:alias/sessions").unwrap(), sessions);
        let own = "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555";
        assert_eq!(arn(&format!("session_kms={own}"), own).unwrap(), own);
        let message = |key: &str| arn("", key).unwrap_err().message.unwrap();
        assert_eq!(
            message("alias/none"),
            "Alias arn:aws:kms:us-east-1:123456789012:alias/none is not found."
        );
        assert_eq!(message(own), format!("Key {own} does not exist"));
        assert!(message("arn:aws:kms:eu-west-1:123456789012:key/x").contains("does not exist"));
    }

    #[test]
    fn requests_are_checked() {
        for (body, code) in [
            (json!({}), "ValidationException"),
            (json!({"KeyId": "alias/sessions"}), "ValidationException"),
            (
                json!({"KeyId": "alias/sessions", "NumberOfBytes": 64, "KeySpec": "AES_256"}),
                "ValidationException",
            ),
            (json!({"KeyId": "alias/sessions", "NumberOfBytes": 2000}), "ValidationException"),
            (
                json!({"KeyId": "alias/sessions", "NumberOfBytes": 64, "GrantTokens": vec!["t"; 11]}),
                "ValidationException",
            ),
        ] {
            assert_eq!(call("", "GenerateDataKey", body.clone()).unwrap_err().code, code, "{body}");
        }
        let made =
            call("", "GenerateDataKey", json!({"KeyId": "alias/sessions", "KeySpec": "AES_128"})).unwrap();
        assert_eq!(STANDARD.decode(made["Plaintext"].as_str().unwrap()).unwrap().len(), 16);
    }
}
