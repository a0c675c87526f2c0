//! What commands leave in S3 and in CloudWatch Logs.

use crate::client::{Caller, scenario, settled, start};
use serde_json::json;

#[tokio::test]
async fn outputs_are_objects_and_empty_ones_are_not() {
    let server = start("nodes=10,windows=0,speed=200,rate=off").await;
    let caller = Caller::new(&server);
    let ids: Vec<String> = server.control().nodes().into_iter().map(|node| node.id).collect();
    let to = json!({"InstanceIds": ids[..2], "OutputS3BucketName": "herder-output", "OutputS3KeyPrefix": "/runs/1/", "MaxErrors": "10"});
    let quiet = caller.run("true", to.clone()).await;
    let loud = caller.run("echo out; echo err >&2; exit 3", to).await;
    settled(&server).await;
    let list = caller.s3("GET", "/herder-output?list-type=2&prefix=runs%2F1%2F").await;
    assert!(list.all("Key").iter().all(|key| !key.contains(&quiet)));
    assert_eq!((list.all("Key").len(), list.first("KeyCount").as_str()), (4, "4"));
    let path = format!("/herder-output/runs/1/{loud}/{}/awsrunShellScript/0.awsrunShellScript", ids[0]);
    assert_eq!(caller.s3("GET", &format!("{path}/stdout")).await.text(), "out\n");
    assert_eq!(
        caller.s3("GET", &format!("{path}/stderr")).await.text(),
        "err\nfailed to run commands: exit status 3"
    );
    let got = caller.ssm("GetCommandInvocation", &json!({"CommandId": loud, "InstanceId": ids[0]})).await;
    assert!(got["StandardOutputUrl"].as_str().unwrap().ends_with(&format!("{path}/stdout")));
    let head = caller.s3("HEAD", &format!("{path}/stdout")).await;
    assert_eq!((head.status, head.header("content-length").as_str(), head.body.len()), (200, "4", 0));
    let missing = caller.s3("GET", &format!("/herder-output/runs/1/{quiet}/{}/stdout", ids[0])).await;
    assert_eq!((missing.status, missing.first("Code").as_str()), (404, "NoSuchKey"));
    assert_eq!(caller.s3("GET", "/nowhere/x").await.first("Code"), "NoSuchBucket");
    assert_eq!(
        caller.with_key("AKIANOBODY").s3("GET", "/herder-output/x").await.first("Code"),
        "InvalidAccessKeyId"
    );
    let by_host = caller
        .send(
            "s3",
            ("GET", path.strip_prefix("/herder-output").unwrap()),
            "Host: herder-output.localhost:80\r\n",
            b"",
        )
        .await
        .unwrap();
    assert_eq!(by_host.first("Code"), "NoSuchKey");
    let path = format!("{}/stdout", path.strip_prefix("/herder-output").unwrap());
    let by_host =
        caller.send("s3", ("GET", &path), "Host: herder-output.localhost:80\r\n", b"").await.unwrap();
    assert_eq!(by_host.text(), "out\n");
}

#[tokio::test]
async fn long_outputs_are_made_while_they_are_read() {
    let server = start("nodes=2,windows=0,speed=200,rate=off,bytes=100000000").await;
    let caller = Caller::new(&server);
    let id = server.control().nodes()[0].id.clone();
    let command =
        caller.run("dump", json!({"InstanceIds": [id], "OutputS3BucketName": "herder-output"})).await;
    settled(&server).await;
    let path = format!("/herder-output/{command}/{id}/awsrunShellScript/0.awsrunShellScript/stdout");
    assert_eq!(caller.s3("HEAD", &path).await.header("content-length"), "100000000");
    let part = async |range: &str| {
        caller.send("s3", ("GET", &path), &format!("Range: bytes={range}\r\n"), b"").await.unwrap()
    };
    let (first, second) = (part("1000000-2999999").await, part("2000000-2000099").await);
    assert_eq!(
        (first.status, first.header("content-range").as_str()),
        (206, "bytes 1000000-2999999/100000000")
    );
    assert_eq!((first.body.len(), &first.body[1_000_000..1_000_100]), (2_000_000, &second.body[..]));
    assert_eq!(part("-17").await.body.len(), 17);
    assert_eq!(part("100000000-").await.status, 416);
    let got = caller.ssm("GetCommandInvocation", &json!({"CommandId": command, "InstanceId": id})).await;
    let shown = got["StandardOutputContent"].as_str().unwrap();
    assert!(part("0-1000").await.text().starts_with(&shown[..1000]) && shown.len() == 24_000);
}

#[tokio::test]
async fn lists_are_paged_and_folded() {
    let server = start("nodes=700,windows=0,speed=1000,rate=off").await;
    let caller = Caller::new(&server);
    let to = json!({"Targets": [{"Key": "tag-key", "Values": ["env"]}], "MaxConcurrency": "100%", "MaxErrors": "100%",
                    "OutputS3BucketName": "herder-output", "OutputS3KeyPrefix": "big"});
    let command = caller.run("echo out; echo err >&2", to).await;
    settled(&server).await;
    let (mut seen, mut token, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let next = if token.is_empty() { String::new() } else { format!("&continuation-token={token}") };
        let page = caller.s3("GET", &format!("/herder-output?list-type=2&prefix=big{next}")).await;
        seen.extend(page.all("Key"));
        pages += 1;
        token = page.first("NextContinuationToken").replace('=', "%3D").replace('+', "%2B");
        if token.is_empty() {
            break;
        }
    }
    assert_eq!((seen.len(), pages), (1400, 2));
    assert!(seen.is_sorted());
    let folded = caller
        .s3("GET", &format!("/herder-output?list-type=2&prefix=big/{command}/&delimiter=/&max-keys=400"))
        .await;
    assert_eq!((folded.all("CommonPrefixes").len(), folded.all("Key").len()), (400, 0));
    let token = folded.first("NextContinuationToken").replace('=', "%3D");
    let rest = caller
        .s3(
            "GET",
            &format!(
                "/herder-output?list-type=2&prefix=big/{command}/&delimiter=/&continuation-token={token}"
            ),
        )
        .await;
    assert_eq!(rest.all("CommonPrefixes").len(), 300);
    assert_eq!(
        caller.s3("GET", "/herder-output?list-type=2&continuation-token=zz").await.first("Code"),
        "InvalidArgument"
    );
}

#[tokio::test]
async fn callers_put_small_objects() {
    let server = scenario(
        r#"
        spec = { nodes = 5, windows = 0, speed = 100, rate = "off", buckets = "mine" }
        [[bucket]]
        name = "closed"
        deny = ["GetObject"]
        [[bucket]]
        name = "write-only"
        refuses_nodes = true
        "#,
    )
    .await;
    let caller = Caller::new(&server);
    let put = async |path: &str, headers: &str, body: &str| {
        caller.send("s3", ("PUT", path), headers, body.as_bytes()).await.unwrap().status
    };
    assert_eq!(put("/mine/a/b%20c", "", "hello").await, 200);
    assert_eq!(caller.s3("GET", "/mine/a/b%20c").await.text(), "hello");
    let framed = "5;chunk-signature=0\r\nhello\r\n0;chunk-signature=0\r\n\r\n";
    assert_eq!(put("/mine/framed", "x-amz-decoded-content-length: 5\r\n", framed).await, 200);
    assert_eq!(caller.s3("GET", "/mine/framed").await.text(), "hello");
    assert_eq!(caller.s3("GET", "/mine?list-type=2").await.all("Key"), ["a/b c", "framed"]);
    assert_eq!(caller.s3("DELETE", "/mine/framed").await.status, 204);
    assert_eq!(caller.s3("GET", "/mine/framed").await.first("Code"), "NoSuchKey");
    assert_eq!(caller.s3("GET", "/").await.all("Name"), ["closed", "mine", "write-only"]);
    assert_eq!(put("/new-one", "", "").await, 200);
    assert_eq!(put("/new-one", "", "").await, 409);
    let denied = caller.s3("GET", "/closed/x").await;
    assert_eq!((denied.status, denied.first("Code").as_str()), (403, "AccessDenied"));
    let id = server.control().nodes()[0].id.clone();
    caller.run("echo x", json!({"InstanceIds": [id], "OutputS3BucketName": "write-only"})).await;
    settled(&server).await;
    assert_eq!(caller.s3("GET", "/write-only?list-type=2").await.all("Key").len(), 0);
}

#[tokio::test]
async fn windows_nodes_have_a_plugin_of_their_own() {
    let server = start("nodes=5,windows=100%,speed=200,rate=off").await;
    let caller = Caller::new(&server);
    let windows = server.control().nodes().into_iter().find(|node| node.platform == "Windows").unwrap();
    let body = json!({"DocumentName": "AWS-RunPowerShellScript", "Parameters": {"commands": ["echo hi"]},
                      "InstanceIds": [windows.id], "OutputS3BucketName": "herder-output"});
    caller.ssm("SendCommand", &body).await;
    settled(&server).await;
    let keys = caller.s3("GET", "/herder-output?list-type=2").await.all("Key");
    assert!(keys[0].ends_with("/awsrunPowerShellScript/0.awsrunPowerShellScript/stdout"), "{keys:?}");
}

#[tokio::test]
async fn outputs_are_events_of_log_streams() {
    let server = start("nodes=3,windows=0,speed=200,rate=off,bytes=3000000").await;
    let caller = Caller::new(&server);
    let ids: Vec<String> = server.control().nodes().into_iter().map(|node| node.id).collect();
    let to = json!({"InstanceIds": ids, "CloudWatchOutputConfig": {"CloudWatchOutputEnabled": true, "CloudWatchLogGroupName": "ops"}});
    let command = caller.run("dump", to).await;
    settled(&server).await;
    let logs = async |api: &str, body: serde_json::Value| {
        caller.json("logs", &format!("Logs_20140328.{api}"), &body).await.json()
    };
    assert_eq!(logs("DescribeLogGroups", json!({})).await["logGroups"][0]["logGroupName"], "ops");
    let streams = logs("DescribeLogStreams", json!({"logGroupName": "ops"})).await;
    assert_eq!(streams["logStreams"].as_array().unwrap().len(), 3);
    let name = format!("{command}/{}/aws-runShellScript/stdout", ids[0]);
    let (mut text, mut token) = (String::new(), json!(null));
    loop {
        let page = logs(
            "GetLogEvents",
            json!({"logGroupName": "ops", "logStreamName": name, "startFromHead": true, "nextToken": token}),
        )
        .await;
        for event in page["events"].as_array().unwrap() {
            text.push_str(event["message"].as_str().unwrap());
            text.push('\n');
        }
        if page["nextForwardToken"] == token {
            break;
        }
        token = page["nextForwardToken"].clone();
    }
    // The last line was cut off where the output ended.
    assert_eq!(text.len(), 3_000_001);
    let (mut events, mut token) = (0, json!(null));
    loop {
        let page = logs(
            "FilterLogEvents",
            json!({"logGroupName": "ops", "logStreamNamePrefix": command, "nextToken": token}),
        )
        .await;
        events += page["events"].as_array().unwrap().len();
        token = page["nextToken"].clone();
        if token.is_null() {
            break;
        }
    }
    assert_eq!(events, 3 * 16);
    let missing = logs("FilterLogEvents", json!({"logGroupName": "nothing"})).await;
    assert_eq!(missing["__type"], "ResourceNotFoundException");
}

#[tokio::test]
async fn buckets_are_in_regions_and_objects_stay_the_same() {
    let server = scenario(
        r#"
        spec = { nodes = 5, windows = 0, speed = 200, rate = "off", buckets = "near" }
        [[bucket]]
        name = "far"
        region = "eu-west-1"
        deny = ["GetObject"]
        "#,
    )
    .await;
    let caller = Caller::new(&server);
    for (method, path) in [("HEAD", "/far"), ("GET", "/far/key"), ("GET", "/far?list-type=2")] {
        let moved = caller.s3(method, path).await;
        assert_eq!(
            (moved.status, moved.header("x-amz-bucket-region").as_str()),
            (301, "eu-west-1"),
            "{path}"
        );
    }
    assert_eq!(caller.s3("GET", "/far?location").await.status, 200);
    assert_eq!(caller.s3("HEAD", "/near").await.header("x-amz-bucket-region"), "us-east-1");
    caller.send("s3", ("PUT", "/near/key"), "", b"hello").await.unwrap();
    let etag = caller.s3("HEAD", "/near/key").await.header("etag");
    let part = async |etag: &str| {
        let headers = format!("Range: bytes=2-\r\nIf-Match: {etag}\r\n");
        caller.send("s3", ("GET", "/near/key"), &headers, b"").await.unwrap()
    };
    assert_eq!(part(&etag).await.text(), "llo");
    let changed = part("\"0\"").await;
    assert_eq!((changed.status, changed.first("Code").as_str()), (412, "PreconditionFailed"));
}

#[tokio::test]
async fn outputs_may_be_late_or_never_come() {
    let server = scenario(
        r#"
        spec = { nodes = 2, windows = 0, speed = 200, rate = "off", duration = "quick" }
        switches = { late_objects = 400 }
        [[node]]
        nodes = "web-2"
        no_uploads = true
        "#,
    )
    .await;
    let caller = Caller::new(&server);
    let ids: Vec<String> = server.control().nodes().into_iter().map(|node| node.id).collect();
    let to = json!({"InstanceIds": ids, "OutputS3BucketName": "herder-output",
                    "CloudWatchOutputConfig": {"CloudWatchOutputEnabled": true, "CloudWatchLogGroupName": "ops"}});
    caller.run("echo out", to).await;
    settled(&server).await;
    let keys = async || caller.s3("GET", "/herder-output?list-type=2").await.all("Key");
    assert_eq!(keys().await.len(), 0, "400 s are two");
    let wait = async {
        while keys().await.is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), wait).await.unwrap();
    let web_1 = server.control().nodes().into_iter().find(|node| node.name == "web-1").unwrap().id;
    assert!(keys().await.iter().all(|key| key.contains(&web_1)));
    let body = json!({"logGroupName": "ops"});
    let events = caller.json("logs", "Logs_20140328.FilterLogEvents", &body).await.json();
    assert_eq!(events["events"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn answers_are_cut_where_that_is_asked_for() {
    let server = start("nodes=2,windows=0,speed=200,rate=off,duration=quick,bytes=300000").await;
    let caller = Caller::new(&server);
    let id = server.control().nodes()[0].id.clone();
    let command =
        caller.run("dump", json!({"InstanceIds": [id], "OutputS3BucketName": "herder-output"})).await;
    settled(&server).await;
    let cut = herder_sim::ApiFault { cut_after: Some(200_000), times: Some(1), ..Default::default() };
    let apis = [("GetObject".to_owned(), cut)].into();
    server.control().faults(herder_sim::FaultSpec { apis, ..Default::default() });
    let path = format!("/herder-output/{command}/{id}/awsrunShellScript/0.awsrunShellScript/stdout");
    let lengths = [caller.s3("GET", &path).await.body.len(), caller.s3("GET", &path).await.body.len()];
    assert_eq!(lengths, [200_000, 300_000]);
}

#[tokio::test]
async fn events_are_there_before_the_command_has_ended() {
    let server = start("nodes=2,windows=0,speed=10,rate=off,duration=30s,bytes=6800").await;
    let caller = Caller::new(&server);
    let id = server.control().nodes()[0].id.clone();
    let to = json!({"InstanceIds": [id],
                    "CloudWatchOutputConfig": {"CloudWatchOutputEnabled": true, "CloudWatchLogGroupName": "ops"}});
    let command = caller.run("dump", to).await;
    let body = json!({"logGroupName": "ops", "logStreamNamePrefix": command});
    let seen = async || {
        let answer = caller.json("logs", "Logs_20140328.FilterLogEvents", &body).await.json();
        answer["events"].as_array().cloned().unwrap_or_default()
    };
    let wait = async {
        while seen().await.len() < 2 {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), wait).await.unwrap();
    let listed = caller.ssm("ListCommandInvocations", &json!({"CommandId": command})).await;
    assert_eq!(listed["CommandInvocations"][0]["Status"], "InProgress");
    settled(&server).await;
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    let events = seen().await;
    let text: String =
        events.iter().map(|event| format!("{}\n", event["message"].as_str().unwrap())).collect();
    assert_eq!((text.len(), events.len()), (6800, 30));
    assert!(events.is_sorted_by_key(|event| event["timestamp"].as_i64()));
    // From a time on there are only those of that time and later.
    let since = events[20]["timestamp"].clone();
    let body = json!({"logGroupName": "ops", "startTime": since});
    let later = caller.json("logs", "Logs_20140328.FilterLogEvents", &body).await.json();
    assert_eq!(later["events"].as_array().unwrap().len(), 10);
}

#[tokio::test]
async fn buckets_are_listed_in_pages() {
    let server = scenario(
        r#"
        spec = { nodes = 1, buckets = "b-one+b-two+c" }
        [[bucket]]
        name = "b-far"
        region = "eu-west-1"
        "#,
    )
    .await;
    let caller = Caller::new(&server);
    let whole = caller.s3("GET", "/").await;
    assert_eq!(whole.all("Name"), ["b-far", "b-one", "b-two", "c"]);
    assert!(whole.all("BucketRegion").is_empty() && whole.all("ContinuationToken").is_empty());
    let (mut names, mut token) = (Vec::new(), String::new());
    for _ in 0..2 {
        let page = caller.s3("GET", &format!("/?prefix=b-&max-buckets=2{token}")).await;
        assert_eq!(
            (page.all("Name").len(), page.first("Prefix").as_str()),
            (if token.is_empty() { 2 } else { 1 }, "b-")
        );
        assert_eq!(page.all("BucketRegion").len(), page.all("Name").len());
        names.extend(page.all("Name"));
        token = format!("&continuation-token={}", page.first("ContinuationToken").replace('=', "%3D"));
    }
    assert_eq!(
        (names, token.as_str()),
        (vec!["b-far".into(), "b-one".into(), "b-two".into()], "&continuation-token=")
    );
    assert_eq!(caller.s3("GET", "/?bucket-region=eu-west-1").await.all("Name"), ["b-far"]);
    for query in ["max-buckets=0", "max-buckets=10001", "max-buckets=x", "continuation-token=x"] {
        assert_eq!(caller.s3("GET", &format!("/?{query}")).await.first("Code"), "InvalidArgument", "{query}");
    }
    let list = caller.s3("GET", "/c?list-type=2&encoding-type=base64").await;
    assert_eq!(list.first("Code"), "InvalidArgument");
}
