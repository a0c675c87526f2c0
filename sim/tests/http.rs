//! Through HTTP: authentication, protocols, quotas, faults, holds, the control interface, TLS.

use herder_sim::{
    ApiFault, FaultSpec, FloorQuery, HoldSpec, Outcome, Release, ServeOptions, Server, Verdict, When, serve,
};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

struct Reply {
    status: u16,
    head: String,
    body: String,
}

async fn start(spec: &str) -> Server {
    serve(spec.parse().unwrap(), ServeOptions::default()).await.unwrap()
}

async fn talk(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: String) -> Option<Reply> {
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _reset_counts_as_no_answer = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some(Reply { status, head: head.to_owned(), body: body.to_owned() })
}

fn request(method: &str, path: &str, headers: &str, body: &str) -> String {
    format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn signed(key: &str, region: &str, service: &str) -> String {
    format!(
        "Authorization: AWS4-HMAC-SHA256 Credential={key}/20260501/{region}/{service}/aws4_request, SignedHeaders=host, Signature=00\r\n"
    )
}

async fn raw(server: &Server, text: String) -> Option<Reply> {
    let address = server.endpoint().split("://").nth(1).unwrap().to_owned();
    talk(TcpStream::connect(address).await.unwrap(), text).await
}

async fn ssm(server: &Server, api: &str, body: Value) -> Option<Reply> {
    let headers =
        format!("{}X-Amz-Target: AmazonSSM.{api}\r\n", signed(server.access_key(), "us-east-1", "ssm"));
    raw(server, request("POST", "/", &headers, &body.to_string())).await
}

async fn query(server: &Server, service: &str, body: &str) -> Reply {
    raw(server, request("POST", "/", &signed(server.access_key(), "us-east-1", service), body)).await.unwrap()
}

fn error_type(reply: &Reply) -> String {
    serde_json::from_str::<Value>(&reply.body).unwrap()["__type"].as_str().unwrap().to_owned()
}

fn send(server: &Server, comment: &str) -> Value {
    let ids: Vec<String> = server
        .control()
        .nodes()
        .into_iter()
        .filter(|node| node.platform == "Linux")
        .map(|node| node.id)
        .take(2)
        .collect();
    json!({"DocumentName": "AWS-RunShellScript", "InstanceIds": ids, "Comment": comment, "Parameters": {"commands": ["true"]}})
}

#[tokio::test]
async fn callers_are_known_unknown_or_expired() {
    let server = start("5").await;
    let ask = |key: String, service: &'static str, body: &'static str| {
        let headers = if key.is_empty() { String::new() } else { signed(&key, "us-east-1", service) };
        let target = if service == "ssm" { "X-Amz-Target: AmazonSSM.ListCommands\r\n" } else { "" };
        raw(&server, request("POST", "/", &format!("{headers}{target}"), body))
    };
    let sts = "Action=GetCallerIdentity&Version=2011-06-15";
    let ec2 = "Action=DescribeInstances&Version=2016-11-15";
    assert_eq!(
        error_type(&ask(String::new(), "ssm", "{}").await.unwrap()),
        "MissingAuthenticationTokenException"
    );
    assert_eq!(
        error_type(&ask("AKIANOBODY".into(), "ssm", "{}").await.unwrap()),
        "UnrecognizedClientException"
    );
    assert!(
        ask("AKIANOBODY".into(), "sts", sts)
            .await
            .unwrap()
            .body
            .contains("<Code>InvalidClientTokenId</Code>")
    );
    assert!(ask("AKIANOBODY".into(), "ec2", ec2).await.unwrap().body.contains("<Code>AuthFailure</Code>"));
    let identity = ask(server.access_key().into(), "sts", sts).await.unwrap();
    assert!(
        identity.body.contains("<Account>123456789012</Account>")
            && identity.head.to_lowercase().contains("\r\ndate: ")
    );
    server.control().expire_credentials();
    assert_eq!(
        error_type(&ask(server.access_key().into(), "ssm", "{}").await.unwrap()),
        "ExpiredTokenException"
    );
    assert!(
        ask(server.access_key().into(), "ec2", ec2)
            .await
            .unwrap()
            .body
            .contains("<Code>RequestExpired</Code>")
    );
    server.control().renew_credentials();
    assert_eq!(ask(server.access_key().into(), "ssm", "{}").await.unwrap().status, 200);
    server.shutdown().await;
}

#[tokio::test]
async fn a_role_is_assumed_in_another_account() {
    let server = start("5").await;
    let role = "Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A222222222222%3Arole%2Fops&RoleSessionName=me";
    let reply = query(&server, "sts", role).await;
    let key = reply.body.split("<AccessKeyId>").nth(1).unwrap().split('<').next().unwrap().to_owned();
    let headers = format!(
        "{}X-Amz-Target: AmazonSSM.DescribeInstanceInformation\r\n",
        signed(&key, "us-east-1", "ssm")
    );
    let nodes = raw(&server, request("POST", "/", &headers, "{}")).await.unwrap();
    let theirs =
        serde_json::from_str::<Value>(&nodes.body).unwrap()["InstanceInformationList"][0]["InstanceId"]
            .clone();
    assert!(server.control().nodes().iter().all(|node| node.id != theirs.as_str().unwrap()));
    let code =
        query(&server, "sts", &format!("{role}&SerialNumber=arn:aws:iam::1:mfa/x&TokenCode=12345")).await;
    assert!(code.status == 400 && code.body.contains("ValidationError"));
    assert_eq!(
        query(&server, "sts", &format!("{role}&SerialNumber=arn:aws:iam::1:mfa/x&TokenCode=123456"))
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn instances_filters_and_lifecycle() {
    let server = start("nodes=30,windows=0").await;
    let describe = |extra: &'static str| {
        let body = format!("Action=DescribeInstances&Version=2016-11-15{extra}");
        let server = &server;
        async move { query(server, "ec2", &body).await }
    };
    let count = |reply: &Reply| reply.body.matches("<instanceId>").count();
    assert_eq!(count(&describe("").await), 30);
    assert_eq!(count(&describe("&Filter.1.Name=tag:Name&Filter.1.Value.1=web-%3F&Filter.2.Name=instance-state-name&Filter.2.Value.1=run*").await), 9);
    let page = describe("&MaxResults=20").await;
    assert!(count(&page) == 20 && page.body.contains("<nextToken>"));
    assert!(
        describe("&Filter.1.Name=colour&Filter.1.Value.1=red")
            .await
            .body
            .contains("The filter 'colour' is invalid")
    );
    assert!(describe("&InstanceId.1=i-12345678901234567").await.body.contains("InvalidInstanceID.NotFound"));
    assert!(describe("&InstanceId.1=web-1").await.body.contains("InvalidInstanceID.Malformed"));
    assert!(describe("&DryRun=true").await.body.contains("DryRunOperation"));
    let id = server.control().nodes()[0].id.clone();
    let stopped =
        query(&server, "ec2", &format!("Action=StopInstances&Version=2016-11-15&InstanceId.1={id}")).await;
    assert!(stopped.body.contains("<name>stopping</name>") && stopped.body.contains("<name>running</name>"));
    assert_eq!(server.control().nodes()[0].ping, "ConnectionLost");
    assert!(query(&server, "ec2", "Action=Nonsense&Version=2016-11-15").await.body.contains("InvalidAction"));
}

#[tokio::test]
async fn quotas_throttle_before_any_effect() {
    let server = start("nodes=5,rate=1,burst=3").await;
    let mut throttled = 0;
    for _ in 0..5 {
        let reply = ssm(&server, "SendCommand", send(&server, "q")).await.unwrap();
        if reply.status == 400 {
            assert_eq!(error_type(&reply), "ThrottlingException");
            throttled += 1;
        }
    }
    let stats = server.control().stats()["SendCommand"];
    assert!(throttled >= 1 && stats.throttled == throttled && stats.accepted == 5 - throttled);
    assert_eq!(server.control().truth().executions.len() as u64, stats.accepted * 2);
}

#[tokio::test]
async fn faults_before_and_after_the_effect() {
    let server = start("nodes=5").await;
    let control = server.control();
    let fault = |fault: ApiFault| FaultSpec {
        apis: [("SendCommand".to_owned(), fault)].into(),
        ..FaultSpec::default()
    };
    control.faults(fault(ApiFault { errors_before: 1.0, ..ApiFault::default() }));
    assert_eq!(ssm(&server, "SendCommand", send(&server, "before")).await.unwrap().status, 500);
    control.faults(fault(ApiFault { errors_after: 1.0, ..ApiFault::default() }));
    assert_eq!(ssm(&server, "SendCommand", send(&server, "after")).await.unwrap().status, 500);
    control.faults(fault(ApiFault { dropped_after: 1.0, times: Some(1), ..ApiFault::default() }));
    assert!(ssm(&server, "SendCommand", send(&server, "lost")).await.is_none());
    control.faults(FaultSpec { deny: vec!["SendCommand".into()], ..FaultSpec::default() });
    assert_eq!(
        error_type(&ssm(&server, "SendCommand", send(&server, "no")).await.unwrap()),
        "AccessDeniedException"
    );
    let comments: Vec<String> = control.truth().executions.iter().map(|one| one.comment.clone()).collect();
    assert_eq!(comments, ["after", "after", "lost", "lost"]);
    let effects: Vec<(bool, Outcome)> =
        control.requests().into_iter().map(|one| (one.took_effect, one.outcome)).collect();
    assert_eq!(effects[1], (true, Outcome::Error("InternalServerError".into())));
    assert_eq!(effects[2], (true, Outcome::DroppedAfter));
}

#[tokio::test]
async fn held_requests_go_on_or_vanish() {
    let server = start("nodes=5").await;
    let control = server.control();
    let hold = |when, nth| HoldSpec { api: Some("SendCommand".into()), mutating_only: true, nth, when };
    for (when, release, answered, effect) in [
        (When::Before, Release::Drop, false, false),
        (When::Before, Release::Continue, true, true),
        (When::After, Release::Drop, false, true),
        (When::After, Release::Continue, true, true),
    ] {
        let comment = format!("{when:?} {release:?}");
        let id = control.hold(hold(when, 1));
        let held = async {
            assert!(control.wait_held(id, Duration::from_secs(10)).await);
            let now = control.truth().executions.iter().any(|one| one.comment == comment);
            assert_eq!(now, when == When::After);
            control.release(id, release);
        };
        let (reply, ()) = tokio::join!(ssm(&server, "SendCommand", send(&server, &comment)), held);
        assert_eq!(reply.is_some(), answered, "{comment}");
        assert_eq!(control.truth().executions.iter().any(|one| one.comment == comment), effect, "{comment}");
    }
    assert!(!control.wait_held(control.hold(hold(When::Before, 2)), Duration::from_millis(1)).await);
}

#[tokio::test]
async fn a_held_request_takes_effect_though_its_client_is_gone() {
    let server = start("nodes=5").await;
    let control = server.control();
    let id = control.hold(HoldSpec { api: None, mutating_only: true, nth: 1, when: When::Before });
    let body = send(&server, "gone");
    tokio::select! {
        _ = ssm(&server, "SendCommand", body) => panic!("answered"),
        held = control.wait_held(id, Duration::from_secs(10)) => assert!(held),
    }
    control.release(id, Release::Continue);
    let until = tokio::time::Instant::now() + Duration::from_secs(10);
    while control.truth().executions.is_empty() && tokio::time::Instant::now() < until {
        tokio::task::yield_now().await;
    }
    assert_eq!(control.truth().executions.len(), 2);
}

#[tokio::test]
async fn other_processes_have_the_same_control() {
    let server = start("nodes=5,speed=1000,windows=0").await;
    let get = |name: &'static str| {
        let server = &server;
        async move {
            serde_json::from_str::<Value>(
                &raw(server, request("GET", &format!("/_sim/{name}"), "", "")).await.unwrap().body,
            )
            .unwrap()
        }
    };
    let post = |name: &'static str, body: Value| {
        let server = &server;
        async move { raw(server, request("POST", &format!("/_sim/{name}"), "", &body.to_string())).await.unwrap() }
    };
    ssm(&server, "SendCommand", send(&server, "herder:1")).await.unwrap();
    let control = server.control();
    let until = tokio::time::Instant::now() + Duration::from_secs(10);
    while !control.truth().settled && tokio::time::Instant::now() < until {
        tokio::task::yield_now().await;
    }
    let truth = get("truth").await;
    assert_eq!((&truth["settled"], &truth["executions"][0]["verdict"]), (&json!(true), &json!("ok")));
    assert_eq!(control.truth().executions[0].verdict, Some(Verdict::Ok));
    assert_eq!(control.truth().runs_by_node("herder:").values().sum::<u32>(), 2);
    assert_eq!(get("stats").await["SendCommand"]["accepted"], 1);
    let floor: Value =
        serde_json::from_str(&post("floor", json!({"comment": "herder:"})).await.body).unwrap();
    assert_eq!((&floor["commands"], &floor["nodes"]), (&json!(1), &json!(2)));
    assert_eq!(control.floor(&FloorQuery::default()).nodes, 2);
    assert_eq!(post("hold", json!({"nth": 1, "when": "sometimes"})).await.status, 400);
    assert_eq!(post("hold", json!({"nth": 1, "when": "before"})).await.body, "0");
    assert_eq!(post("wait-held", json!({"id": 0, "timeout_ms": 1})).await.body, "false");
    post("release", json!({"id": 0, "release": "continue"})).await;
    post("clock", json!({"skew_ms": -86_400_000})).await;
    let dated = query(&server, "sts", "Action=GetCallerIdentity&Version=2011-06-15").await;
    let today = raw(&server, request("GET", "/_sim/", "", "")).await.unwrap();
    let date = |reply: &Reply| {
        reply
            .head
            .lines()
            .find(|line| line.to_lowercase().starts_with("date:"))
            .map(|line| line[6..22].to_owned())
    };
    assert_ne!(date(&dated), date(&today));
    post("reset-log", json!({})).await;
    assert!(control.requests().is_empty());
    assert_eq!(post("nonsense", json!({})).await.status, 404);
}

#[tokio::test]
async fn tls_is_served_with_its_own_authority() {
    use tokio_rustls::rustls::crypto::ring::default_provider;
    use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
    use tokio_rustls::rustls::{ClientConfig, RootCertStore};
    let server = serve("5".parse().unwrap(), ServeOptions { port: 0, tls: true }).await.unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(server.ca_pem().unwrap().as_bytes()).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(default_provider().into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let address = server.endpoint().strip_prefix("https://").unwrap().to_owned();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config));
    let stream = connector.connect(name, TcpStream::connect(address).await.unwrap()).await.unwrap();
    assert_eq!(talk(stream, request("GET", "/_sim/", "", "")).await.unwrap().status, 200);
}

#[tokio::test]
async fn a_stopped_server_answers_nobody() {
    let server = start("5").await;
    let address = server.endpoint().split("://").nth(1).unwrap().to_owned();
    server.shutdown().await;
    assert!(TcpStream::connect(address).await.is_err());
}
