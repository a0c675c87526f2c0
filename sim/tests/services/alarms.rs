//! Alarms, over each of CloudWatch's protocols.

use crate::client::{Caller, Reply, scenario, start, until};
use herder_sim::{FaultSpec, HoldSpec, Release, When};
use serde_json::json;

const PATH: &str = "/service/GraniteServiceVersion20100801/operation/";

/// A map of texts, as CBOR with an indefinite length.
fn cbor(members: &[(&str, &str)]) -> Vec<u8> {
    let text = |text: &str| [&[0x78, text.len() as u8], text.as_bytes()].concat();
    let members: Vec<u8> =
        members.iter().flat_map(|(key, value)| [text(key), text(value)].concat()).collect();
    [&[0xBF], members.as_slice(), &[0xFF]].concat()
}

async fn rpc(caller: &Caller<'_>, operation: &str, body: &[u8]) -> Reply {
    let headers =
        "smithy-protocol: rpc-v2-cbor\r\nContent-Type: application/cbor\r\nAccept: application/cbor\r\n";
    caller.send("monitoring", ("POST", &format!("{PATH}{operation}")), headers, body).await.unwrap()
}

async fn state(caller: &Caller<'_>, name: &str) -> String {
    let target = "GraniteServiceVersion20100801.DescribeAlarms";
    let body = json!({"AlarmNames": [name], "AlarmTypes": ["MetricAlarm", "CompositeAlarm"]});
    let answer = caller.json("monitoring", target, &body).await.json();
    let alarms = [&answer["MetricAlarms"], &answer["CompositeAlarms"]];
    let found = alarms.iter().find_map(|alarms| alarms[0]["StateValue"].as_str());
    found.unwrap_or_default().to_owned()
}

#[tokio::test]
async fn the_same_alarm_over_three_protocols() {
    let server = start("5,rate=off").await;
    let caller = Caller::new(&server);
    let set = [("AlarmName", "web-5xx"), ("StateValue", "ALARM"), ("StateReason", "a test")];
    let reply = rpc(&caller, "SetAlarmState", &cbor(&set)).await;
    assert_eq!(
        (reply.status, reply.body.len(), reply.header("smithy-protocol").as_str()),
        (200, 0, "rpc-v2-cbor")
    );
    let reply = rpc(&caller, "DescribeAlarms", &cbor(&[("StateValue", "ALARM")])).await;
    assert_eq!((reply.status, reply.header("content-type").as_str()), (200, "application/cbor"));
    assert!(reply.has("web-5xx") && reply.has("a test") && !reply.has("api-latency"));
    assert_eq!(state(&caller, "web-5xx").await, "ALARM");
    let form = "Action=DescribeAlarms&Version=2010-08-01&AlarmNames.member.1=web-5xx&MaxRecords=1";
    let query = caller.query("monitoring", form).await;
    assert_eq!((query.first("StateValue"), query.first("StateReason")), ("ALARM".into(), "a test".into()));
    let records = server.control().requests();
    assert!(records.iter().all(|record| record.service == "cloudwatch"));
    assert!(records[0].mutating && !records[1].mutating);
}

#[tokio::test]
async fn errors_have_the_names_of_each_protocol() {
    let server = start("5,rate=off").await;
    let caller = Caller::new(&server);
    let set = [("AlarmName", "nothing"), ("StateValue", "OK"), ("StateReason", "")];
    let reply = rpc(&caller, "SetAlarmState", &cbor(&set)).await;
    assert_eq!((reply.status, reply.header("x-amzn-query-error").as_str()), (404, "ResourceNotFound;Sender"));
    assert!(reply.has("com.amazonaws.cloudwatch#ResourceNotFound"));
    let reply = rpc(&caller, "DescribeAlarms", &cbor(&[("NextToken", "zz")])).await;
    assert_eq!((reply.status, reply.header("x-amzn-query-error").as_str()), (400, "InvalidNextToken;Sender"));
    let reply = rpc(&caller, "DescribeAlarms", &[0x9F, 0x01]).await;
    assert_eq!((reply.status, reply.has("SerializationException")), (400, true));
    let reply = rpc(&caller.with_key("AKIANOBODY"), "DescribeAlarms", &cbor(&[])).await;
    assert_eq!((reply.status, reply.has("UnrecognizedClientException")), (403, true));
    let json = caller
        .json("monitoring", "GraniteServiceVersion20100801.DescribeAlarms", &json!({"MaxRecords": 101}))
        .await;
    assert_eq!((json.status, json.json()["__type"].as_str()), (400, Some("ValidationException")));
    assert_eq!(json.header("x-amzn-query-error"), "ValidationError;Sender");
}

#[tokio::test]
async fn faults_are_written_in_each_protocol() {
    let server = start("5,rate=off").await;
    let caller = Caller::new(&server);
    server.control().faults(FaultSpec { throttle: 1.0, ..FaultSpec::default() });
    let reply = rpc(&caller, "DescribeAlarms", &cbor(&[])).await;
    assert_eq!((reply.status, reply.header("x-amzn-query-error").as_str()), (400, "Throttling;Sender"));
    assert!(reply.has("ThrottlingException"));
    let groups = caller.send("resource-groups", ("POST", "/groups-list"), "", b"{}").await.unwrap();
    assert_eq!(
        (groups.status, groups.header("x-amzn-errortype").as_str()),
        (429, "TooManyRequestsException")
    );
    let object = caller.s3("GET", "/herder-output/x").await;
    assert_eq!((object.status, object.first("Code").as_str()), (503, "SlowDown"));
    for (service, version) in [("autoscaling", "2011-01-01"), ("elasticloadbalancing", "2015-12-01")] {
        let reply = caller.query(service, &format!("Action=Describe&Version={version}")).await;
        assert_eq!((reply.status, reply.first("Code").as_str()), (400, "Throttling"));
    }
    server.control().faults(FaultSpec { deny: vec!["DescribeAlarms".into()], ..FaultSpec::default() });
    let reply = rpc(&caller, "DescribeAlarms", &cbor(&[])).await;
    assert_eq!((reply.status, reply.has("cloudwatch:DescribeAlarms")), (403, true));
}

#[tokio::test]
async fn a_held_change_of_an_alarm_has_no_effect_yet() {
    let server = start("5,rate=off").await;
    let caller = Caller::new(&server);
    let control = server.control();
    let spec =
        HoldSpec { api: Some("SetAlarmState".into()), mutating_only: true, nth: 1, when: When::Before };
    let id = control.hold(spec);
    let set = cbor(&[("AlarmName", "web-5xx"), ("StateValue", "ALARM"), ("StateReason", "held")]);
    let look = async {
        assert!(control.wait_held(id, std::time::Duration::from_secs(10)).await);
        let before = state(&caller, "web-5xx").await;
        control.release(id, Release::Continue);
        before
    };
    let (reply, before) = tokio::join!(rpc(&caller, "SetAlarmState", &set), look);
    assert_eq!((reply.status, before.as_str()), (200, "OK"));
    assert_eq!(state(&caller, "web-5xx").await, "ALARM");
}

#[tokio::test]
async fn alarms_change_with_time_and_with_what_ran() {
    let server = scenario(
        r#"
        spec = { nodes = 20, windows = 0, hybrid = 0, speed = 5, rate = "off" }
        [[alarm]]
        name = "timed"
        state = "INSUFFICIENT_DATA"
        changes = [{ state = "OK", after = "10s" }, { after = "25s", reason = "it was time" }]
        [[alarm]]
        name = "errors"
        changes = [{ command = "*deploy*", share = "25%", after = "2s" }]
        [[alarm]]
        name = "all"
        composite = true
        rule = "ALARM(timed) OR ALARM(errors)"
        region = "us-east-1"
        "#,
    )
    .await;
    let caller = Caller::new(&server);
    assert_eq!(state(&caller, "timed").await, "INSUFFICIENT_DATA");
    until("the alarm is well", || async { state(&caller, "timed").await == "OK" }).await;
    until("the alarm fires", || async { state(&caller, "timed").await == "ALARM" }).await;
    let ids: Vec<String> = server.control().nodes().into_iter().map(|node| node.id).collect();
    caller.run("deploy now", json!({"InstanceIds": ids[..4]})).await;
    crate::client::settled(&server).await;
    assert_eq!(state(&caller, "errors").await, "OK");
    caller.run("deploy now", json!({"InstanceIds": ids[3..6]})).await;
    until("a quarter has run it", || async { state(&caller, "errors").await == "ALARM" }).await;
    let body = json!({"ParentsOfAlarmName": "errors"});
    let parents =
        caller.json("monitoring", "GraniteServiceVersion20100801.DescribeAlarms", &body).await.json();
    assert_eq!(parents["CompositeAlarms"][0]["AlarmName"], "all");
    assert!(server.control().set_alarm("us-east-1", "all", "ALARM"));
    assert!(!server.control().set_alarm("us-east-1", "nothing", "ALARM"));
    assert_eq!(state(&caller, "all").await, "ALARM");
    let plain =
        caller.json("monitoring", "GraniteServiceVersion20100801.DescribeAlarms", &json!({})).await.json();
    assert_eq!(plain["CompositeAlarms"], json!([]));
}
