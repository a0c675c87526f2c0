//! A realm against a service of canned answers.

use std::sync::Arc;

use herder_aws::{Environment, FixedEndpoint, Meter, MeterOptions, Scope, ScopeOptions};
use herder_core::journal::Identity;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;

type Seen = Arc<Mutex<Vec<String>>>;

/// Answers every request with this status and body; gives its address and the bodies that it got.
#[expect(clippy::disallowed_methods, reason = "a server of its own")]
async fn service(status: u16, body: &'static str) -> (String, Seen) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let seen = Seen::default();
    let log = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (mut got, mut buffer) = (Vec::new(), [0; 4096]);
            while let Ok(size) = stream.read(&mut buffer).await {
                got.extend_from_slice(&buffer[..size]);
                let text = String::from_utf8_lossy(&got).into_owned();
                let Some((head, rest)) = text.split_once("\r\n\r\n") else { continue };
                let length = head.lines().find_map(|l| l.strip_prefix("content-length: ")?.parse().ok());
                if size == 0 || rest.len() >= length.unwrap_or(0) {
                    log.lock().unwrap().push(rest.to_owned());
                    break;
                }
            }
            let head = "date: Sat, 21 Nov 2026 09:30:00 GMT\r\nconnection: close\r\ncontent-type: application/x-amz-json-1.1";
            let size = body.len();
            let answer = format!("HTTP/1.1 {status} X\r\n{head}\r\ncontent-length: {size}\r\n\r\n{body}");
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (url, seen)
}

async fn realm(url: &str) -> Realm {
    let mut options = ScopeOptions::new(Environment::empty());
    options.endpoint = Some(FixedEndpoint {
        url: url.to_owned(),
        region: "eu-central-1".into(),
        access_key: "AKIDSIMULATOR".into(),
        secret_key: "secret".into(),
        account: "111122223333".into(),
        ca_pem: None,
    });
    let meter = Arc::new(Meter::new(MeterOptions::default()));
    let scope = Scope::open(options, Arc::clone(&meter)).await.unwrap();
    let identity = Identity {
        account: "111122223333".into(),
        region: "eu-central-1".into(),
        endpoint: Some(url.to_owned()),
        principal: "arn:aws:iam::111122223333:user/ada".into(),
        sim: true,
    };
    let work = Work {
        run: "20261121-093000-1f2e3d".parse().unwrap(),
        targets: Vec::new(),
        payloads: std::collections::BTreeMap::new(),
        delivery_timeout: Duration::from_secs(60),
        execution_timeout: None,
        lifetime: Duration::from_secs(3660),
        via: herder_core::via::Via::Client,
        handed: Vec::new(),
        adopted: std::sync::RwLock::default(),
    };
    let open = OpenScope {
        scope,
        identity,
        found: Arc::default(),
        gathered: Arc::default(),
        send_rate: None,
        read_rate: None,
    };
    let traces = Traces { since: "2026-11-21T09:00:00Z".parse().ok(), has_sent: false };
    Realm::new(&open, Arc::new(work), traces, Channels::default())
}

fn batch() -> Batch {
    let server_at = "2026-11-21T09:30:00Z".parse().ok();
    Batch { intent: 7, lane: 0, attempt: 1, targets: Vec::new(), server_at }
}

#[tokio::test]
async fn a_lost_send_is_looked_for_in_its_time_and_a_clean_miss_is_one() {
    let (url, seen) = service(200, r#"{"Commands":[{"CommandId":"c","Comment":"another's"}]}"#).await;
    let realm = realm(&url).await;
    assert!(matches!(realm.locate(&batch()).await, Ok(None)));
    let asked: serde_json::Value = serde_json::from_str(&seen.lock().unwrap()[0]).unwrap();
    assert_eq!(asked["Filters"][0]["value"], "2026-11-21T09:29:00Z", "{asked}");
    assert_eq!(asked["Filters"][1]["value"], "2026-11-21T09:40:00Z", "{asked}");
    let search = realm.search(&Batch { server_at: None, ..batch() });
    assert_eq!((search.invoked_after, search.invoked_before), ("2026-11-21T08:59:00Z".parse().ok(), None));
}

#[tokio::test]
async fn an_adopted_command_lives_as_long_as_the_service_says() {
    // 10:30:00 by the service's clock, which says 09:30:00.
    let body = r#"{"Commands":[{"CommandId":"c","Comment":"herder 20261121-093000-1f2e3d #7","ExpiresAfter":1795257000.0}]}"#;
    let (url, _) = service(200, body).await;
    let found = realm(&url).await.locate(&batch()).await.unwrap().unwrap();
    assert_eq!(found.command_id, "c");
    assert!((3500..=3600).contains(&found.expires_in.as_secs()), "{found:?}");
    let at = |text: &str| text.parse().ok();
    let day = remaining(at("2026-11-22T09:30:00Z"), at("2026-11-21T09:30:00Z"));
    assert_eq!(day, Some(Duration::from_secs(86_400)), "longer than the usual hour");
    assert_eq!(remaining(at("2026-11-21T09:00:00Z"), at("2026-11-21T09:30:00Z")), Some(Duration::ZERO));
    assert_eq!(remaining(None, at("2026-11-21T09:30:00Z")), None);
}

/// What a call fails with that gets this answer.
async fn error(code: &'static str) -> CallError {
    let (url, _) = service(400, code).await;
    realm(&url).await.ssm.list_commands(&CommandsQuery::default(), None).await.unwrap_err()
}

#[tokio::test]
async fn credentials_and_clocks_never_judge_targets() {
    let expired = error(r#"{"__type":"ExpiredTokenException","message":"it has expired"}"#).await;
    let invalid = error(r#"{"__type":"UnrecognizedClientException","message":"who?"}"#).await;
    let skewed = error(r#"{"__type":"RequestTimeTooSkewed"}"#).await;
    for has_sent in [true, false] {
        let outcome = failed(expired.clone(), has_sent);
        assert!(matches!(outcome, SendOutcome::NotSent(Trouble::Paused { .. })), "{outcome:?}");
        let outcome = failed(skewed.clone(), has_sent);
        assert!(matches!(outcome, SendOutcome::NotSent(Trouble::Transient(_))), "{outcome:?}");
    }
    assert!(matches!(failed(invalid.clone(), false), SendOutcome::Refused { .. }));
    assert!(matches!(failed(invalid.clone(), true), SendOutcome::NotSent(Trouble::Paused { .. })));
    let Trouble::Paused { reason, .. } = trouble(invalid) else { panic!("not paused") };
    assert!(reason.ends_with("(UnrecognizedClientException): who?"), "what AWS said is there: {reason}");
}

#[tokio::test]
async fn a_node_that_stands_on_two_pages_is_counted_once() {
    let body = r#"{"CommandInvocations":[
        {"InstanceId":"i-1","Status":"InProgress","StatusDetails":"InProgress"},
        {"InstanceId":"i-2","Status":"Success","StatusDetails":"Success"},
        {"InstanceId":"i-1","Status":"Success","StatusDetails":"Success"},
        {"InstanceId":"i-1","Status":"InProgress","StatusDetails":"InProgress"}]}"#;
    let (url, _) = service(200, body).await;
    let pass = realm(&url).await.next_pages(&batch(), "c").await.unwrap().pass.unwrap();
    assert_eq!((pass.is_complete, pass.listed, pass.running), (true, 2, 0));
}
