//! The agent of a machine outside of EC2: it registers, and proves with its key who it is.

use crate::client::{address, ask, now, start};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use herder_sim::Server;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PSS_SHA256, RsaKeyPair};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

const NODE: &str = "mi-0123456789abcdef0";
const ACTIVATION: (&str, &str) = ("5a5a5a5a-0000-4000-8000-000000000001", "simulated-activation-code");
/// SubjectPublicKeyInfo of 2,048-bit RSA, up to the key.
const HEAD: [u8; 24] = [
    0x30, 0x82, 0x01, 0x22, 0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01,
    0x05, 0x00, 0x03, 0x82, 0x01, 0x0f, 0x00,
];

/// A key of this test alone.
fn key() -> RsaKeyPair {
    let text: String = include_str!("hybrid_key.txt").split_whitespace().collect();
    RsaKeyPair::from_pkcs8(&STANDARD.decode(text).unwrap()).unwrap()
}

fn public(key: &RsaKeyPair) -> String {
    STANDARD.encode([&HEAD, key.public().as_ref()].concat())
}

async fn post(server: &Server, target: &str, (body, headers): (&str, &str)) -> (u16, Value) {
    let head = format!(
        "POST / HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nX-Amz-Target: {target}\r\nContent-Type: application/x-amz-json-1.1\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        address(server),
        body.len()
    );
    let (status, answer) = ask(server, &head).await;
    (status, serde_json::from_str(&answer).unwrap())
}

async fn register(server: &Server, (id, code): (&str, &str), public: &str) -> (u16, Value) {
    let body = json!({"ActivationId": id, "ActivationCode": code, "PublicKey": public, "PublicKeyType": "Rsa", "Fingerprint": "print-1"});
    post(server, "AmazonSSM.RegisterManagedInstance", (&body.to_string(), "")).await
}

/// A request as agents sign it: SigV4's text, RSA-PSS instead of HMAC; `signed` is the body that the signature is of.
async fn proved(server: &Server, api: &str, (body, signed): (&Value, &Value)) -> (u16, Value) {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let (time, target) = (now(), format!("AmazonSSM.{api}"));
    let canonical = format!(
        "POST\n/\n\nhost:{}\nx-amz-date:{time}\nx-amz-target:{target}\n\nhost;x-amz-date;x-amz-target\n{}",
        address(server),
        hex(&Sha256::digest(signed.to_string()))
    );
    let place = format!("{}/us-east-1/ssm/aws4_request", &time[..8]);
    let text = format!("AWS4-HMAC-SHA256\n{time}\n{place}\n{}", hex(&Sha256::digest(canonical)));
    let key = key();
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(&RSA_PSS_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature).unwrap();
    let headers = format!(
        "X-Amz-Date: {time}\r\nAuthorization: AWS4-HMAC-SHA256 Credential={NODE}/{place}, SignedHeaders=host;x-amz-date;x-amz-target, Signature={}\r\n",
        STANDARD.encode(signature)
    );
    post(server, &target, (&body.to_string(), &headers)).await
}

#[tokio::test]
async fn a_machine_registers_once_and_gets_its_roles_credentials() {
    let server = start(&format!("3,hybrid=0,agents={NODE}")).await;
    let public = public(&key());
    let early = proved(&server, "RequestManagedInstanceRoleToken", (&json!({}), &json!({}))).await;
    assert_eq!((early.0, &early.1["__type"]), (400, &json!("UnrecognizedClientException")));
    for (id, code) in
        [(ACTIVATION.0, "another-activation-code"), ("5a5a5a5a-0000-4000-8000-000000000002", ACTIVATION.1)]
    {
        let (status, answer) = register(&server, (id, code), &public).await;
        assert_eq!((status, &answer["__type"]), (400, &json!("InvalidActivation")), "{answer}");
    }
    let other = STANDARD.encode([7; 300]);
    assert_eq!(register(&server, ACTIVATION, &other).await.1["__type"], "ValidationException");
    assert_eq!(register(&server, ACTIVATION, &public).await, (200, json!({"InstanceId": NODE})));
    // There is one such node, and it has registered.
    assert_eq!(register(&server, ACTIVATION, &public).await.1["__type"], "InvalidActivation");

    let print = json!({"Fingerprint": "print-1"});
    let api = "RequestManagedInstanceRoleToken";
    let (status, issued) = proved(&server, api, (&print, &print)).await;
    assert_eq!(status, 200, "{issued}");
    assert_eq!(issued["UpdateKeyPair"], false);
    assert!(issued["TokenExpirationDate"].as_f64().unwrap() > 1_700_000_000.0);
    let stranger = json!({"Fingerprint": "print-2"});
    assert_eq!(proved(&server, api, (&print, &stranger)).await.1["__type"], "InvalidSignatureException");
    assert_eq!(
        proved(&server, api, (&stranger, &stranger)).await.1["__type"],
        "MachineFingerprintDoesNotMatch"
    );
    let unsigned = post(&server, &format!("AmazonSSM.{api}"), (&print.to_string(), "")).await;
    assert_eq!(unsigned.1["__type"], "MissingAuthenticationTokenException");
    let rotated = json!({"NewPublicKey": public, "NewPublicKeyType": "Rsa"});
    assert_eq!(
        proved(&server, "UpdateManagedInstancePublicKey", (&rotated, &rotated)).await,
        (200, json!({}))
    );

    // With them it is a caller like others.
    let access = issued["AccessKeyId"].as_str().unwrap();
    let headers = format!(
        "Authorization: AWS4-HMAC-SHA256 Credential={access}/20260501/us-east-1/ssm/aws4_request, SignedHeaders=host, Signature=00\r\n"
    );
    let update = json!({"InstanceId": NODE, "AgentVersion": "3.3.0.0"}).to_string();
    let updated = post(&server, "AmazonSSM.UpdateInstanceInformation", (&update, &headers)).await;
    assert_eq!(updated, (200, json!({})));
}

#[tokio::test]
async fn there_are_no_messages_and_that_takes_a_while() {
    let server = start("3,speed=100").await;
    let headers = format!(
        "Authorization: AWS4-HMAC-SHA256 Credential={}/20260501/us-east-1/ec2messages/aws4_request, SignedHeaders=host, Signature=00\r\n",
        server.access_key()
    );
    let target = "EC2WindowsMessageDeliveryService.GetMessages";
    let body = json!({"Destination": NODE, "MessagesRequestId": "11111111-2222-4333-8444-555555555555"});
    let asked = Instant::now();
    let (status, answer) = post(&server, target, (&body.to_string(), &headers)).await;
    assert_eq!((status, &answer["Messages"], &answer["Destination"]), (200, &json!([]), &json!(NODE)));
    assert!(asked.elapsed().as_millis() >= 200);
    let (status, answer) = post(&server, target, ("{}", &headers)).await;
    assert_eq!((status, &answer["__type"]), (400, &json!("ValidationException")));
}
