//! Calls against canned answers: what is repeated, what isn't, and what becomes of failures.

#[path = "calls/guards.rs"]
mod guards;
#[path = "calls/storage.rs"]
mod storage;
mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use herder_aws::ec2::{DescribeError, InstancesQuery};
use herder_aws::ssm::{CommandsQuery, Recipients, S3Output, SendCommand, SendError, Sent};
use herder_aws::{
    AssumeRole, CallErrorKind, Effect, Environment, FixedEndpoint, Meter, MeterOptions, Scope, ScopeOptions,
    Totals,
};
use support::{Answer, Server, permit};

const ID: &str = "i-0123456789abcdef0";
const BAD: &str = "i-0bad0bad0bad0bad0";
const SENT: &str =
    r#"{"Command":{"CommandId":"11111111-2222-3333-4444-555555555555","RequestedDateTime":1795253400.25}}"#;

fn options(url: &str) -> ScopeOptions {
    let mut options = ScopeOptions::new(Environment::empty());
    options.endpoint = Some(FixedEndpoint {
        url: url.to_owned(),
        region: "eu-central-1".into(),
        access_key: "AKIDSIMULATOR".into(),
        secret_key: "secret".into(),
        account: "111122223333".into(),
        ca_pem: None,
    });
    options
}

async fn scope(url: &str) -> Scope {
    Scope::open(options(url), Arc::new(Meter::new(MeterOptions::default()))).await.unwrap()
}

async fn send(scope: &Scope) -> Result<Sent, SendError> {
    let dir = tempfile::tempdir().unwrap();
    let command = SendCommand {
        document: "AWS-RunShellScript".into(),
        document_version: None,
        parameters: BTreeMap::from([("commands".into(), vec!["uptime".into()])]),
        to: Recipients::Ids(vec![ID.into(), BAD.into()]),
        delivery_timeout: Duration::from_secs(60),
        comment: "herder ".repeat(30),
        max_concurrency: 0,
        max_errors: 0,
        s3: Some(S3Output { bucket: "logs".into(), prefix: "runs".into() }),
        log_group: Some("ops".into()),
    };
    let slot = scope.ssm().send_slot().await;
    scope.ssm().send_command(slot, permit(dir.path()).await, &command).await
}

fn totals(scope: &Scope) -> (u64, u64, u64) {
    let Totals { accepted, throttled, failed } = scope.meter().totals();
    (accepted, throttled, failed)
}

#[tokio::test]
async fn a_throttled_send_comes_back_and_slows_the_next() {
    let server = Server::start(|n, _| match n {
        0 => Answer::Json(400, r#"{"__type":"ThrottlingException","message":"Rate exceeded"}"#),
        _ => Answer::Json(200, SENT),
    });
    let scope = scope(&server.url).await;
    let error = send(&scope).await.unwrap_err();
    assert_eq!((&error.call().kind, error.call().effect), (&CallErrorKind::Throttled, Effect::None));
    let sent = send(&scope).await.unwrap();
    assert_eq!(sent.command_id, "11111111-2222-3333-4444-555555555555");
    assert_eq!(sent.requested_at.unwrap().to_string(), "2026-11-21T09:30:00.25Z");
    assert_eq!(sent.expires_after, None);
    assert_eq!(totals(&scope), (1, 1, 0));
    assert!(scope.meter().counts()[0].rate < 3.0);
    // The service's time, from its Date.
    let now = scope.server_clock().now().unwrap();
    assert_eq!(now.strftime("%Y-%m-%d %H:%M").to_string(), "2026-11-21 09:30");
    assert!(!scope.is_simulated());

    let request: serde_json::Value = serde_json::from_str(&server.seen()[1].body).unwrap();
    assert_eq!(request["Comment"].as_str().unwrap().len(), 100);
    assert_eq!((&request["MaxConcurrency"], &request["MaxErrors"]), (&"1".into(), &"0".into()));
    assert_eq!(
        (&request["OutputS3BucketName"], &request["OutputS3KeyPrefix"]),
        (&"logs".into(), &"runs".into())
    );
    let to_logs = serde_json::json!({"CloudWatchLogGroupName": "ops", "CloudWatchOutputEnabled": true});
    assert_eq!(request["CloudWatchOutputConfig"], to_logs);
    assert_eq!(request["TimeoutSeconds"], 60);
    assert!(server.seen()[1].head.contains("app/herder-"), "{}", server.seen()[1].head);
}

#[tokio::test]
async fn a_send_without_a_usable_answer_is_sent_once_and_its_fate_is_open() {
    for answer in [
        Answer::Json(500, r#"{"__type":"InternalServerError","message":"oh"}"#),
        Answer::Json(503, ""),
        Answer::HangUp,
        Answer::Json(200, "<html>a proxy's login page</html>"),
        Answer::Json(200, "{}"),
    ] {
        let reply = answer.clone();
        let server = Server::start(move |_, _| reply.clone());
        let scope = scope(&server.url).await;
        let error = send(&scope).await.unwrap_err();
        let call = error.call();
        assert_eq!((&call.kind, call.effect), (&CallErrorKind::Lost, Effect::Possible), "{answer:?}");
        assert!(call.mutated() && !call.hints().is_empty());
        assert_eq!(server.count("SendCommand"), 1, "{answer:?}");
    }
}

#[tokio::test]
async fn what_never_left_changed_nothing() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let scope = scope(&format!("http://127.0.0.1:{port}")).await;
    let error = send(&scope).await.unwrap_err();
    assert_eq!((&error.call().kind, error.call().effect), (&CallErrorKind::Unreachable, Effect::None));
    assert_eq!(totals(&scope), (0, 0, 1));
    let read = scope.ssm().list_commands(&CommandsQuery::default(), None).await.unwrap_err();
    assert_eq!(read.kind, CallErrorKind::Unreachable);
    assert_eq!(totals(&scope), (0, 0, 4), "reads are tried three times");
    let text = error.call().to_string();
    let wanted = format!("of AWS-RunShellScript to 2 nodes failed: http://127.0.0.1:{port} can't be reached");
    assert_eq!(text, format!("ssm:SendCommand {wanted}"));
    assert!(std::error::Error::source(error.call()).is_some());
}

#[tokio::test]
async fn a_read_is_repeated_and_then_fails() {
    let server = Server::start(|n, _| match n {
        0 => Answer::HangUp,
        1 => Answer::Json(500, ""),
        _ => Answer::Json(
            200,
            r#"{"Commands":[{"CommandId":"c","TargetCount":50,"CompletedCount":50}],"NextToken":"t"}"#,
        ),
    });
    let one = scope(&server.url).await;
    let page = one.ssm().list_commands(&CommandsQuery::default(), None).await.unwrap();
    assert_eq!((page.items.len(), page.next.as_deref()), (1, Some("t")));
    assert_eq!(totals(&one), (1, 0, 2));

    let server = Server::start(|_, _| Answer::Json(502, "<html>bad gateway</html>"));
    let two = scope(&server.url).await;
    let error = two.ssm().list_commands(&CommandsQuery::default(), None).await.unwrap_err();
    assert_eq!((&error.kind, error.effect, server.seen().len()), (&CallErrorKind::Lost, Effect::None, 3));
}

#[tokio::test]
async fn what_the_service_refuses_is_said_as_it_is() {
    let cases: [(u16, &str, &str); 6] = [
        (
            400,
            r#"{"__type":"InvalidInstanceId","message":"Instances [[i-0bad0bad0bad0bad0]] not in a valid state"}"#,
            "bad",
        ),
        (400, r#"{"__type":"InvalidInstanceId"}"#, "opaque"),
        (400, r#"{"__type":"UnsupportedPlatformType","message":"nope"}"#, "platform"),
        (400, r#"{"__type":"InvalidDocument","message":"Document Foo does not exist."}"#, "document"),
        (400, r#"{"__type":"InvalidParameters","message":"commands is required"}"#, "parameters"),
        (400, r#"{"__type":"MaxDocumentSizeExceeded"}"#, "large"),
    ];
    for (status, body, expected) in cases {
        let server = Server::start(move |_, _| Answer::Json(status, body));
        let error = send(&scope(&server.url).await).await.unwrap_err();
        let found = match &error {
            SendError::BadInstances { ids, .. } if *ids == [BAD] => "bad",
            SendError::BadInstances { ids, .. } if ids.is_empty() => "opaque",
            SendError::UnsupportedPlatform { .. } => "platform",
            SendError::InvalidDocument(_) => "document",
            SendError::InvalidParameters(_) => "parameters",
            SendError::TooLarge(_) => "large",
            other => panic!("{other:?}"),
        };
        assert_eq!(found, expected);
        assert_eq!(error.call().effect, Effect::None);
        assert_eq!(error.call().request_id.as_deref(), Some("request-0"));
        assert_eq!(server.seen().len(), 1);
    }
}

#[tokio::test]
async fn a_missing_permission_is_named() {
    let server = Server::start(|_, _| {
        Answer::Json(
            400,
            r#"{"__type":"AccessDeniedException","message":"User: arn:aws:iam::111122223333:user/ada is not authorized to perform: ssm:SendCommand on resource: arn:aws:ec2:eu-central-1:111122223333:instance/i-0 because no identity-based policy allows it"}"#,
        )
    });
    let error = send(&scope(&server.url).await).await.unwrap_err();
    let call = error.call();
    let resource = Some("arn:aws:ec2:eu-central-1:111122223333:instance/i-0".to_owned());
    assert_eq!(call.kind, CallErrorKind::AccessDenied { action: "ssm:SendCommand".into(), resource });
    assert!(call.to_string().contains("`ssm:SendCommand` is not allowed"), "{call}");
    assert!(call.hints()[0].starts_with("Ask for a policy that allows `ssm:SendCommand`"));
}

#[tokio::test]
async fn expired_credentials_are_made_anew_once() {
    let expired = r#"{"__type":"ExpiredTokenException","message":"The security token included in the request is expired"}"#;
    let server = Server::start(move |n, _| {
        Answer::Json(if n == 0 { 400 } else { 200 }, if n == 0 { expired } else { "{}" })
    });
    scope(&server.url).await.ssm().list_commands(&CommandsQuery::default(), None).await.unwrap();
    assert_eq!(server.count("ListCommands"), 2);

    let server = Server::start(move |_, _| Answer::Json(400, expired));
    let scope = scope(&server.url).await;
    let error = scope.ssm().list_commands(&CommandsQuery::default(), None).await.unwrap_err();
    assert_eq!((&error.kind, server.count("ListCommands")), (&CallErrorKind::CredentialsExpired, 2));
    assert!(!error.hints().is_empty());
    let error = send(&scope).await.unwrap_err();
    assert_eq!((&error.call().kind, error.call().effect), (&CallErrorKind::CredentialsExpired, Effect::None));
    assert_eq!(server.count("SendCommand"), 1);
}

#[tokio::test]
async fn a_wrong_clock_is_corrected_with_the_services_time() {
    let server = Server::start(|n, _| match n {
        0 => Answer::Json(
            400,
            r#"{"__type":"InvalidSignatureException","message":"Signature expired: 20200101T000000Z is now earlier than 20261121T092500Z"}"#,
        ),
        _ => Answer::Json(200, "{}"),
    });
    scope(&server.url).await.ssm().list_commands(&CommandsQuery::default(), None).await.unwrap();
    let dates: Vec<_> = server
        .seen()
        .iter()
        .filter_map(|r| Some(r.head.lines().find(|l| l.to_lowercase().starts_with("x-amz-date"))?.to_owned()))
        .collect();
    assert!(dates[1].contains("20261121T093"), "{dates:?}");
}

#[tokio::test]
async fn an_invocation_that_is_not_there_yet_is_none() {
    let server = Server::start(|n, _| match n {
        0 => Answer::Json(400, r#"{"__type":"InvocationDoesNotExist"}"#),
        _ => Answer::Json(
            200,
            r#"{"InstanceId":"i-0123456789abcdef0","ResponseCode":0,"Status":"Success","StatusDetails":"Success",
                "StandardOutputContent":"up","ExecutionStartDateTime":"2026-11-21T09:30:00.1Z","ExecutionEndDateTime":""}"#,
        ),
    });
    let ssm = scope(&server.url).await.ssm();
    assert_eq!(ssm.get_invocation("c", ID).await.unwrap(), None);
    let made = ssm.get_invocation("c", ID).await.unwrap().unwrap();
    assert_eq!((made.stdout.as_str(), made.response_code, made.finished), ("up", Some(0), None));
    assert!(made.started.is_some());
}

#[tokio::test]
async fn instances_that_do_not_exist_are_named() {
    let server = Server::start(|_, _| {
        Answer::Xml(
            400,
            format!(
                "<Response><Errors><Error><Code>InvalidInstanceID.NotFound</Code><Message>The instance ID '{BAD}' does not exist</Message></Error></Errors><RequestID>req-1</RequestID></Response>"
            ),
        )
    });
    let query = InstancesQuery::Ids(vec![ID.into(), BAD.into()]);
    let error = scope(&server.url).await.ec2().describe_instances(&query, None).await.unwrap_err();
    let DescribeError::NoSuchInstances { ids, error } = error else { panic!("{error:?}") };
    assert_eq!((ids, error.kind), (vec![BAD.to_owned()], CallErrorKind::NotFound));
    assert!(!server.seen()[0].body.contains("MaxResults"), "EC2 refuses it together with ids");
}

/// A role whose credentials expire at once: the n-th have the key `ASIA` and n. They belong to one role at first, and to
/// `next` from the second on.
fn roles(next: &'static str) -> Server {
    let (assumed, asked) = (AtomicUsize::new(0), AtomicUsize::new(0));
    Server::start(move |_, request| match request.api.as_str() {
        "AssumeRole" => Answer::Xml(
            200,
            format!(
                "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult><Credentials>\
                 <AccessKeyId>ASIA{}</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>\
                 <Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>",
                assumed.fetch_add(1, Ordering::SeqCst)
            ),
        ),
        "GetCallerIdentity" => Answer::Xml(
            200,
            format!(
                "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
                 <Arn>arn:aws:sts::444455556666:assumed-role/{}/herder</Arn><UserId>AROA:herder</UserId>\
                 <Account>444455556666</Account></GetCallerIdentityResult></GetCallerIdentityResponse>",
                if asked.fetch_add(1, Ordering::SeqCst) == 0 { "ops" } else { next }
            ),
        ),
        _ if request.head.contains("ASIA0") => {
            Answer::Json(400, r#"{"__type":"ExpiredTokenException","message":"it has expired"}"#)
        }
        _ => Answer::Json(200, r#"{"Commands":[]}"#),
    })
}

async fn scope_of_role(url: &str) -> Scope {
    let mut options = options(url);
    let role = AssumeRole { role: "ops".into(), account: Some("444455556666".into()), external_id: None };
    options.assume_role = Some(role);
    Scope::open(options, Arc::new(Meter::new(MeterOptions::default()))).await.unwrap()
}

#[tokio::test]
async fn many_calls_renew_expired_credentials_once() {
    let server = roles("ops");
    let scope = scope_of_role(&server.url).await;
    scope.identity().await.unwrap();
    let look = async || scope.ssm().list_commands(&CommandsQuery::default(), None).await.unwrap();
    tokio::join!(look(), look(), look(), look(), look(), look());
    assert_eq!((server.count("AssumeRole"), server.count("GetCallerIdentity")), (2, 2));
}

#[tokio::test]
async fn new_credentials_of_somebody_else_are_not_used() {
    let server = roles("dev");
    let scope = scope_of_role(&server.url).await;
    scope.identity().await.unwrap();
    for _ in 0..2 {
        let error = scope.ssm().list_commands(&CommandsQuery::default(), None).await.unwrap_err();
        assert_eq!(error.kind, CallErrorKind::CredentialsMissing);
        let said = error.described();
        assert!(
            said.contains("the new credentials are of arn:aws:sts::444455556666:assumed-role/dev/"),
            "{said}"
        );
        assert!(error.hints()[0].contains("the principal that started the run"), "{:?}", error.hints());
    }
    assert_eq!(server.count("ListCommands"), 1, "nothing is asked as somebody else");
}

#[tokio::test]
async fn what_was_sent_can_be_taken_out_of_what_the_service_says() {
    let body = r#"{"__type":"InvalidParameters","message":"Value hunter22 of Password is too short"}"#;
    let server = Server::start(move |_, _| Answer::Json(400, body));
    let error = send(&scope(&server.url).await).await.unwrap_err();
    let clean = error.without(&["hunter22".to_owned()]);
    assert!(clean.call().described().ends_with(": Value *** of Password is too short"), "{clean:?}");
    assert!(!format!("{clean:?}").contains("hunter22"), "{clean:?}");
}

#[tokio::test]
async fn a_role_is_assumed_with_the_fixed_keys() {
    let server = Server::start(|_, request| {
        match request.api.as_str() {
        "AssumeRole" => Answer::Xml(
            200,
            "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult><Credentials>\
             <AccessKeyId>ASIAROLE</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>\
             <Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"
                .to_owned(),
        ),
        "GetCallerIdentity" => Answer::Xml(
            200,
            "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
             <Arn>arn:aws:sts::444455556666:assumed-role/ops/herder</Arn><UserId>AROA:herder</UserId>\
             <Account>444455556666</Account></GetCallerIdentityResult></GetCallerIdentityResponse>"
                .to_owned(),
        ),
        _ => Answer::Json(200, r#"{"Commands":[]}"#),
    }
    });
    let mut options = options(&server.url);
    options.assume_role =
        Some(AssumeRole { role: "ops".into(), account: Some("444455556666".into()), external_id: None });
    let scope = Scope::open(options, Arc::new(Meter::new(MeterOptions::default()))).await.unwrap();
    let assumed = &server.seen()[0];
    assert!(
        assumed.body.contains("RoleArn=arn%3Aaws%3Aiam%3A%3A444455556666%3Arole%2Fops"),
        "{}",
        assumed.body
    );
    assert!(assumed.head.contains("AKIDSIMULATOR"), "{}", assumed.head);

    let identity = scope.identity().await.unwrap();
    assert_eq!(identity.account, "444455556666");
    assert_eq!(identity.source.as_deref(), Some("role arn:aws:iam::444455556666:role/ops"));
    scope.ssm().list_commands(&CommandsQuery::default(), None).await.unwrap();
    assert!(server.seen().last().unwrap().head.contains("ASIAROLE"));
    assert_eq!(server.count("AssumeRole"), 1, "credentials that last are kept");
}

#[tokio::test]
async fn retry_after_is_passed_on() {
    let server = Server::start(|n, _| match n {
        0 => Answer::Header(
            429,
            "x-amz-retry-after: 700",
            r#"{"__type":"ThrottlingException","message":"Rate exceeded"}"#,
        ),
        _ => Answer::Json(200, r#"{"Commands":[]}"#),
    });
    let scope = scope(&server.url).await;
    let begun = tokio::time::Instant::now();
    scope.ssm().list_commands(&CommandsQuery::default(), None).await.unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(700));
}
