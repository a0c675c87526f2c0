//! Sessions through their operations, with a clock that tests move.

use super::tests::{Bench, code};
use super::*;
use crate::sessions::End;
use serde_json::json;

fn message(answer: Result<Value, ApiError>) -> String {
    answer.unwrap_err().message.unwrap()
}

impl Bench {
    fn open(&mut self, target: &str) -> Value {
        self.call("StartSession", json!({"Target": target, "Reason": "a look"})).unwrap()
    }
}

fn text(answer: &Value, member: &str) -> String {
    answer[member].as_str().unwrap().to_owned()
}

#[test]
fn a_session_starts_with_an_address_and_a_token() {
    let mut bench = Bench::new("5,windows=0");
    let ids = bench.ids();
    let opened = bench.open(&ids[0]);
    let id = text(&opened, "SessionId");
    assert!(id.starts_with("rehearsal-"), "{id}");
    let url = text(&opened, "StreamUrl");
    assert!(url.starts_with(&format!(
        "ws://127.0.0.1:4566/v1/data-channel/{id}?role=publish_subscribe&cell-number="
    )));
    assert!((100..=300).contains(&text(&opened, "TokenValue").len()));
    let order = &bench.sessions.get(&id).unwrap().order;
    assert_eq!(
        (order.kind.name(), order.properties.clone(), order.reason.as_deref()),
        ("Standard_Stream", Value::Null, Some("a look"))
    );
}

#[test]
fn documents_say_what_the_agent_gets() {
    let mut bench = Bench::new("5,windows=0");
    let ids = bench.ids();
    let mut properties = |document: &str, parameters: Value| {
        let body = json!({"Target": ids[0], "DocumentName": document, "Parameters": parameters});
        let id = text(&bench.call("StartSession", body).unwrap(), "SessionId");
        bench.sessions.get(&id).unwrap().order.properties.clone()
    };
    assert_eq!(properties("AWS-StartSSHSession", json!({})), json!({"portNumber": "22"}));
    assert_eq!(
        properties(
            "AWS-StartPortForwardingSession",
            json!({"portNumber": ["5432"], "localPortNumber": ["0"]})
        ),
        json!({"portNumber": "5432", "localPortNumber": "0", "type": "LocalPortForwarding"})
    );
    assert_eq!(
        properties(
            "AWS-StartPortForwardingSessionToRemoteHost",
            json!({"portNumber": ["1"], "host": ["db.internal"]})
        ),
        json!({"portNumber": "1", "localPortNumber": "0", "type": "LocalPortForwarding", "host": "db.internal"})
    );
    let interactive = properties("AWS-StartInteractiveCommand", json!({"command": ["top {{ command }}"]}));
    assert_eq!(interactive["linux"], json!({"commands": "top {{ command }}", "runAsElevated": false}));
    let apart = json!({"command": ["ls"], "separateOutputStream": ["true"], "stdErrSeparatorPrefix": ["E:"]});
    let apart = properties("AWS-StartNonInteractiveCommand", apart);
    assert_eq!(
        apart["windows"],
        json!({"commands": "ls", "runAsElevated": false, "separateOutputStream": "true", "stdOutSeparatorPrefix": "", "stdErrSeparatorPrefix": "E:"})
    );
}

#[test]
fn bad_requests_are_told_apart() {
    let mut bench = Bench::new("nodes=5,windows=0,offline=1,unmanaged=1,agents=i-0123456789abcdef0");
    let (ids, nodes) = (
        bench.ids(),
        bench.world.region(&"5".parse().unwrap(), "123456789012", "us-east-1").1.fleet.nodes.clone(),
    );
    let lost = nodes.iter().find(|node| node.health.offline && !node.is_real).unwrap().id.clone();
    for target in ["i-00000000000000000", &lost, &ids[5], "i-0123456789abcdef0", "ecs:cluster_task_0"] {
        let body = json!({"Target": target});
        assert_eq!(message(bench.call("StartSession", body)), format!("{target} is not connected."));
    }
    let mut refused = |document: &str, parameters: Value| {
        let body = json!({"Target": ids[0], "DocumentName": document, "Parameters": parameters});
        bench.call("StartSession", body).unwrap_err()
    };
    assert_eq!(
        refused("No-Such-Document", json!({})).message.unwrap(),
        "Document with name No-Such-Document does not exist."
    );
    let wrong = refused("AWS-RunShellScript", json!({}));
    assert_eq!(
        (wrong.code.as_ref(), wrong.message.unwrap().contains("Only type: 'Session'")),
        ("InvalidDocument", true)
    );
    for (document, parameters) in [
        ("AWS-StartSSHSession", json!({"portNumber": ["0"]})),
        ("AWS-StartSSHSession", json!({"port": ["22"]})),
        ("AWS-StartSSHSession", json!({"portNumber": ["22", "23"]})),
        ("AWS-StartInteractiveCommand", json!({})),
        ("AWS-StartNonInteractiveCommand", json!({"command": ["ls"], "separateOutputStream": ["yes"]})),
        ("AWS-StartNonInteractiveCommand", json!({"command": ["ls"], "stdOutSeparatorPrefix": ["a b"]})),
        ("AWS-StartPortForwardingSessionToRemoteHost", json!({"host": ["$(reboot)"]})),
    ] {
        assert_eq!(
            refused(document, parameters.clone()).code,
            "InvalidParameters",
            "{document} {parameters}"
        );
    }
    assert_eq!(refused("AWS-StartSSHSession", json!({"portNumber": [""]})).code, "ValidationException");
    assert_eq!(refused("AWS-StartSSHSession", json!({"portNumber": "22"})).code, "SerializationException");
    for body in [
        json!({}),
        json!({"Target": ""}),
        json!({"Target": "x".repeat(401)}),
        json!({"Target": "i-1", "Reason": ""}),
    ] {
        assert_eq!(code(bench.call("StartSession", body.clone())), "ValidationException", "{body}");
    }
    let command = json!({"DocumentName": "AWS-StartSSHSession", "InstanceIds": [ids[0]]});
    assert_eq!(code(bench.call("SendCommand", command)), "InvalidDocument");
}

#[test]
fn sessions_are_resumed_while_they_go_on() {
    let mut bench = Bench::new("5,windows=0");
    let ids = bench.ids();
    let opened = bench.open(&ids[0]);
    let id = json!({"SessionId": opened["SessionId"]});
    let again = bench.call("ResumeSession", id.clone()).unwrap();
    assert_ne!(again["TokenValue"], opened["TokenValue"]);
    assert_ne!(again["StreamUrl"], opened["StreamUrl"]);
    let name = text(&opened, "SessionId");
    let now = bench.now;
    bench.sessions.get_mut(&name).unwrap().end(End::TimedOut, now);
    assert_eq!(bench.call("ResumeSession", id).unwrap(), json!({"SessionId": name}));
    let other = bench.open(&ids[1]);
    let id = json!({"SessionId": other["SessionId"]});
    assert_eq!(bench.call("TerminateSession", id.clone()).unwrap(), id);
    assert_eq!(code(bench.call("ResumeSession", id)), "DoesNotExistException");
    let unknown = json!({"SessionId": "nobody-0123456789"});
    assert_eq!(code(bench.call("ResumeSession", unknown.clone())), "DoesNotExistException");
    assert_eq!(bench.call("TerminateSession", unknown.clone()).unwrap(), unknown);
}

#[test]
fn sessions_are_listed_while_they_go_on_and_for_thirty_days() {
    let mut bench = Bench::new("5,windows=0,session_longest=1h");
    let ids = bench.ids();
    let mut opened = Vec::new();
    for number in 0..5 {
        opened.push(text(&bench.open(&ids[number % 2]), "SessionId"));
        bench.wait(10.0);
    }
    bench.call("TerminateSession", json!({"SessionId": opened[0]})).unwrap();
    bench.call("TerminateSession", json!({"SessionId": opened[1]})).unwrap();
    let listed = |bench: &mut Bench, body: Value| -> Vec<String> {
        let answer = bench.call("DescribeSessions", body).unwrap();
        answer["Sessions"].as_array().unwrap().iter().map(|session| text(session, "SessionId")).collect()
    };
    assert_eq!(
        listed(&mut bench, json!({"State": "Active"})),
        [&opened[4], &opened[3], &opened[2]].map(String::clone)
    );
    assert_eq!(listed(&mut bench, json!({"State": "History"})), [&opened[1], &opened[0]].map(String::clone));
    let mut filtered = |key: &str, value: &str| {
        listed(&mut bench, json!({"State": "Active", "Filters": [{"key": key, "value": value}]})).len()
    };
    assert_eq!((filtered("Target", &ids[0]), filtered("Target", "i-1")), (2, 0));
    assert_eq!(
        (filtered("Owner", "arn:aws:iam::123456789012:user/rehearsal"), filtered("Owner", "x")),
        (3, 0)
    );
    assert_eq!(
        (filtered("SessionId", &opened[2]), filtered("Status", "Connecting"), filtered("Status", "Failed")),
        (1, 3, 0)
    );
    assert_eq!(
        (filtered("InvokedAfter", "2026-05-01T12:00:25Z"), filtered("InvokedBefore", "2026-05-01T12:00:25Z")),
        (2, 1)
    );
    let page = bench.call("DescribeSessions", json!({"State": "Active", "MaxResults": 2})).unwrap();
    assert_eq!(page["Sessions"].as_array().unwrap().len(), 2);
    let rest = bench
        .call("DescribeSessions", json!({"State": "Active", "MaxResults": 2, "NextToken": page["NextToken"]}))
        .unwrap();
    assert_eq!((text(&rest["Sessions"][0], "SessionId"), rest.get("NextToken")), (opened[2].clone(), None));
    let ended = bench.call("DescribeSessions", json!({"State": "History"})).unwrap()["Sessions"][0].clone();
    assert_eq!(
        (text(&ended, "Status"), text(&ended, "MaxSessionDuration"), text(&ended, "Reason")),
        ("Terminated".into(), "60".into(), "a look".into())
    );
    assert!(ended["EndDate"].as_f64() > ended["StartDate"].as_f64());
    bench.wait(31.0 * 86_400.0);
    assert!(listed(&mut bench, json!({"State": "History"})).is_empty());
    for body in [
        json!({}),
        json!({"State": "Old"}),
        json!({"State": "Active", "MaxResults": 201}),
        json!({"State": "Active", "Filters": []}),
        json!({"State": "Active", "Filters": [{"key": "Colour", "value": "red"}]}),
        json!({"State": "Active", "Filters": [{"key": "InvokedAfter", "value": "yesterday"}]}),
    ] {
        assert_eq!(code(bench.call("DescribeSessions", body.clone())), "ValidationException", "{body}");
    }
    assert_eq!(
        code(bench.call("DescribeSessions", json!({"State": "Active", "NextToken": "%"}))),
        "InvalidNextToken"
    );
}

#[test]
fn session_documents_can_be_read() {
    let mut bench =
        Bench::new("5,session_kms=alias/sessions,session_profile=cd /tmp,session_idle=30m,session_user=ops");
    let filter = json!([{"Key": "DocumentType", "Values": ["Session"]}]);
    let listed = bench.call("ListDocuments", json!({"Filters": filter})).unwrap();
    let names: Vec<String> =
        listed["DocumentIdentifiers"].as_array().unwrap().iter().map(|one| text(one, "Name")).collect();
    assert_eq!(names.len(), 6);
    assert!(names.contains(&"AWS-StartNonInteractiveCommand".to_owned()));
    let described =
        bench.call("DescribeDocument", json!({"Name": "AWS-StartPortForwardingSession"})).unwrap();
    assert_eq!(described["Document"]["DocumentType"], "Session");
    let got = bench.call("GetDocument", json!({"Name": "AWS-StartPortForwardingSession"})).unwrap();
    let content: Value = serde_json::from_str(&text(&got, "Content")).unwrap();
    assert_eq!(
        (content["sessionType"].as_str(), content["schemaVersion"].as_str()),
        (Some("Port"), Some("1.0"))
    );
    assert!(content["parameters"]["portNumber"]["allowedPattern"].as_str().unwrap().starts_with("^([1-9]|"));
    let got = bench.call("GetDocument", json!({"Name": "SSM-SessionManagerRunShell"})).unwrap();
    let inputs = serde_json::from_str::<Value>(&text(&got, "Content")).unwrap()["inputs"].clone();
    assert_eq!(
        (
            inputs["kmsKeyId"].as_str(),
            inputs["idleSessionTimeout"].as_str(),
            inputs["shellProfile"]["linux"].as_str(),
            inputs["runAsDefaultUser"].as_str()
        ),
        (Some("alias/sessions"), Some("30"), Some("cd /tmp"), Some("ops"))
    );
}

#[test]
fn connections_and_agents_are_known() {
    let mut bench = Bench::new("nodes=5,windows=0,offline=1,unreachable=1,agents=i-0123456789abcdef0");
    let ids = bench.ids();
    let mut connected: Vec<String> = Vec::new();
    for id in ids.iter().chain(&["i-1".to_owned()]) {
        let status = bench.call("GetConnectionStatus", json!({"Target": id})).unwrap();
        connected.push(text(&status, "Status"));
    }
    assert_eq!(connected.iter().filter(|status| *status == "connected").count(), 3);
    let update = json!({"InstanceId": "i-0123456789abcdef0", "AgentVersion": "3.3.9.0"});
    assert_eq!(bench.call("UpdateInstanceInformation", update).unwrap(), json!({}));
    let filter = json!([{"Key": "InstanceIds", "Values": ["i-0123456789abcdef0"]}]);
    let shown = bench.call("DescribeInstanceInformation", json!({"Filters": filter})).unwrap();
    let shown = &shown["InstanceInformationList"][0];
    assert_eq!(
        (shown["AgentVersion"].as_str(), shown["PingStatus"].as_str()),
        (Some("3.3.9.0"), Some("ConnectionLost"))
    );
    assert_eq!(
        code(bench.call("UpdateInstanceInformation", json!({"InstanceId": "i-1"}))),
        "InvalidInstanceId"
    );
}
