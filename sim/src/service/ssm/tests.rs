//! Run Command through its operations, with a clock that tests move.

use super::*;
use crate::credentials::{ACCESS_KEY, Credentials};
use crate::switches::StatusFilter;
use crate::world::World;
use serde_json::json;

pub(super) struct Bench {
    spec: Spec,
    pub(super) world: World,
    pub(super) sessions: Sessions,
    pub(super) now: At,
}

impl Bench {
    pub(super) fn new(spec: &str) -> Bench {
        let spec: Spec = spec.parse().unwrap();
        let now = At(1_777_636_800_000_000);
        Bench { world: World::new(&spec, now), sessions: Sessions::new(spec.seed), spec, now }
    }

    pub(super) fn call(&mut self, api: &str, body: Value) -> Result<Value, ApiError> {
        let (documents, region) = self.world.region(&self.spec, "123456789012", "us-east-1");
        let principal = Credentials::new(1).principal(ACCESS_KEY, self.now).unwrap();
        let mut ssm = Ssm {
            spec: &self.spec,
            documents,
            region,
            sessions: &mut self.sessions,
            principal: &principal,
            endpoint: "http://127.0.0.1:4566",
            now: self.now,
            skew: 0,
        };
        let body = body.as_object().cloned().unwrap();
        answer(&mut ssm, api, &body).unwrap()
    }

    pub(super) fn wait(&mut self, seconds: f64) {
        self.now = self.now.plus_seconds(seconds);
    }

    pub(super) fn ids(&mut self) -> Vec<String> {
        let (_, region) = self.world.region(&self.spec, "123456789012", "us-east-1");
        region.fleet.nodes.iter().map(|node| node.id.clone()).collect()
    }

    fn send(&mut self, ids: &[String], command: &str) -> String {
        let answer = self.call(
            "SendCommand",
            json!({"DocumentName": "AWS-RunShellScript", "InstanceIds": ids,
            "Parameters": {"commands": [command]}, "MaxErrors": "100%", "TimeoutSeconds": 60}),
        );
        answer.unwrap()["Command"]["CommandId"].as_str().unwrap().to_owned()
    }
}

pub(super) fn code(answer: Result<Value, ApiError>) -> String {
    answer.unwrap_err().code.into_owned()
}

#[test]
fn a_command_from_sending_to_its_output() {
    let mut bench = Bench::new("nodes=5,windows=0");
    let ids = bench.ids();
    let id = bench.send(&ids, "echo hello; echo oops >&2; exit 3");
    let get = json!({"CommandId": id, "InstanceId": ids[0]});
    assert_eq!(code(bench.call("GetCommandInvocation", get.clone())), "InvocationDoesNotExist");
    let listed = bench.call("ListCommandInvocations", json!({"CommandId": id})).unwrap();
    assert_eq!(listed["CommandInvocations"], json!([]));
    bench.wait(0.6);
    let early = bench.call("GetCommandInvocation", get.clone()).unwrap();
    assert_eq!(
        (early["Status"].as_str(), early["ResponseCode"].as_i64(), early["StandardOutputContent"].as_str()),
        (Some("Pending"), Some(-1), Some(""))
    );
    bench.wait(60.0);
    let late = bench.call("GetCommandInvocation", get).unwrap();
    assert_eq!(
        (late["Status"].as_str(), late["ResponseCode"].as_i64(), late["StandardOutputContent"].as_str()),
        (Some("Failed"), Some(3), Some("hello\n"))
    );
    assert_eq!(late["StandardErrorContent"], "oops\nfailed to run commands: exit status 3");
    let listed = bench.call("ListCommandInvocations", json!({"CommandId": id, "Details": true})).unwrap();
    assert_eq!(listed["CommandInvocations"].as_array().unwrap().len(), 5);
    assert_eq!(
        listed["CommandInvocations"][0]["CommandPlugins"][0]["Output"],
        "hello\n\n----------ERROR-------\noops\nfailed to run commands: exit status 3"
    );
    let commands = bench.call("ListCommands", json!({"CommandId": id})).unwrap();
    let command = &commands["Commands"][0];
    assert_eq!(
        (&command["TargetCount"], &command["CompletedCount"], &command["ErrorCount"]),
        (&json!(5), &json!(5), &json!(5))
    );
}

#[test]
fn sending_is_checked() {
    let mut bench = Bench::new("nodes=60,windows=3");
    let ids = bench.ids();
    let body = |extra: Value| {
        let mut body = json!({"DocumentName": "AWS-RunShellScript", "Parameters": {"commands": ["true"]}});
        body.as_object_mut().unwrap().extend(extra.as_object().cloned().unwrap());
        body
    };
    let windows = bench
        .call(
            "DescribeInstanceInformation",
            json!({"Filters": [{"Key": "PlatformType", "Values": ["Windows"]}]}),
        )
        .unwrap();
    let windows = windows["InstanceInformationList"][0]["InstanceId"].clone();
    for (extra, expected) in [
        (json!({}), "ValidationException"),
        (json!({"InstanceIds": ids}), "ValidationException"),
        (json!({"InstanceIds": ["i-12345678901234567"]}), "InvalidInstanceId"),
        (json!({"InstanceIds": ["nonsense"]}), "ValidationException"),
        (json!({"InstanceIds": [ids[0], ids[0]]}), "DuplicateInstanceId"),
        (json!({"InstanceIds": [windows]}), "UnsupportedPlatformType"),
        (json!({"InstanceIds": [ids[0]], "DocumentName": "Nothing"}), "InvalidDocument"),
        (json!({"InstanceIds": [ids[0]], "DocumentVersion": "7"}), "InvalidDocumentVersion"),
        (json!({"InstanceIds": [ids[0]], "Parameters": {"command": ["x"]}}), "InvalidParameters"),
        (json!({"InstanceIds": [ids[0]], "Parameters": {}}), "InvalidParameters"),
        (json!({"InstanceIds": [ids[0]], "Parameters": {"commands": "x"}}), "SerializationException"),
        (
            json!({"InstanceIds": [ids[0]], "Parameters": {"commands": ["x"], "executionTimeout": ["soon"]}}),
            "InvalidParameters",
        ),
        (
            json!({"InstanceIds": [ids[0]], "Parameters": {"commands": ["x".repeat(200_000)]}}),
            "MaxDocumentSizeExceeded",
        ),
        (json!({"InstanceIds": [ids[0]], "TimeoutSeconds": 29}), "ValidationException"),
        (json!({"InstanceIds": [ids[0]], "Comment": "x".repeat(101)}), "ValidationException"),
        (json!({"InstanceIds": [ids[0]], "MaxConcurrency": "0"}), "ValidationException"),
    ] {
        assert_eq!(code(bench.call("SendCommand", body(extra.clone()))), expected, "{extra}");
    }
    let error =
        bench.call("SendCommand", body(json!({"InstanceIds": ["i-12345678901234567", ids[0]]}))).unwrap_err();
    assert_eq!(
        error.message.unwrap(),
        "Instances [[i-12345678901234567]] not in a valid state for account 123456789012"
    );
    assert!(bench.call("SendCommand", body(json!({"InstanceIds": [ids[0]], "Parameters": {"commands": ["docker ps --format '{{.Names}}'"]}}))).is_ok());
}

#[test]
fn targets_are_resolved_by_the_service() {
    let mut bench = Bench::new("nodes=40,windows=2");
    let send = |bench: &mut Bench, targets: Value| {
        bench
            .call(
                "SendCommand",
                json!({"DocumentName": "AWS-RunShellScript", "Parameters": {"commands": ["true"]},
            "Targets": targets, "MaxErrors": "100%"}),
            )
            .unwrap()["Command"]
            .clone()
    };
    let all = send(&mut bench, json!([{"Key": "tag-key", "Values": ["env"]}]));
    assert_eq!((all["TargetCount"].as_i64(), all["Status"].as_str()), (Some(0), Some("Pending")));
    bench.wait(0.4);
    let listed = bench.call("ListCommands", json!({"CommandId": all["CommandId"]})).unwrap();
    assert_eq!(listed["Commands"][0]["TargetCount"], 40);
    let none = send(&mut bench, json!([{"Key": "tag:env", "Values": ["mars"]}]));
    assert_eq!(none["StatusDetails"], "NoInstancesInTag");
    let bad = send(&mut bench, json!([{"Key": "InstanceIds", "Values": ["i-12345678901234567"]}]));
    assert_eq!(bad["TargetCount"], 0);
    bench.wait(600.0);
    let listed = bench
        .call(
            "ListCommandInvocations",
            json!({"CommandId": all["CommandId"],
        "Filters": [{"key": "Status", "value": "InvalidPlatform"}]}),
        )
        .unwrap();
    assert_eq!(listed["CommandInvocations"].as_array().unwrap().len(), 2);
}

#[test]
fn lists_are_paged_newest_first() {
    let mut bench = Bench::new("nodes=3,windows=0,foreign_commands=10");
    let ids = bench.ids();
    let mut sent = Vec::new();
    for _ in 0..7 {
        sent.push(bench.send(&ids, "true"));
        bench.wait(0.1);
    }
    let (mut seen, mut token) = (Vec::new(), Value::Null);
    loop {
        let page = bench.call("ListCommands", json!({"MaxResults": 4, "NextToken": token})).unwrap();
        seen.extend(
            page["Commands"]
                .as_array()
                .unwrap()
                .iter()
                .map(|one| one["CommandId"].as_str().unwrap().to_owned()),
        );
        bench.send(&ids, "true");
        token = page["NextToken"].clone();
        if token.is_null() {
            break;
        }
    }
    let ours: Vec<&String> = seen.iter().filter(|id| sent.contains(id)).collect();
    assert_eq!(ours, sent.iter().rev().collect::<Vec<_>>());
    bench.wait(30.0);
    let page = bench.call("ListCommandInvocations", json!({"CommandId": sent[0], "MaxResults": 2})).unwrap();
    let rest = bench
        .call("ListCommandInvocations", json!({"CommandId": sent[0], "NextToken": page["NextToken"]}))
        .unwrap();
    assert_eq!(
        (
            page["CommandInvocations"].as_array().unwrap().len(),
            rest["CommandInvocations"].as_array().unwrap().len()
        ),
        (2, 1)
    );
    assert!(rest.get("NextToken").is_none());
    assert_eq!(code(bench.call("ListCommands", json!({"NextToken": "bogus"}))), "InvalidNextToken");
}

#[test]
fn filters_and_their_switches() {
    let mut bench = Bench::new("nodes=3,windows=0");
    let ids = bench.ids();
    bench.send(&ids, "true");
    bench.wait(100.0);
    let cut = bench.now.rfc3339_seconds();
    bench.send(&ids, "sleep 50");
    bench.wait(5.0);
    let count = |bench: &mut Bench, key: &str, value: &str| {
        let answer = bench.call("ListCommands", json!({"Filters": [{"key": key, "value": value}]})).unwrap();
        answer["Commands"].as_array().unwrap().len()
    };
    for (key, value, expected) in [
        ("InvokedAfter", cut.as_str(), 1),
        ("InvokedBefore", &cut, 1),
        ("Status", "InProgress", 1),
        ("Status", "Success", 1),
        ("ExecutionStage", "Executing", 1),
        ("DocumentName", "AWS-RunShellScript", 2),
        ("DocumentName", "Other", 0),
    ] {
        assert_eq!(count(&mut bench, key, value), expected, "{key} {value}");
    }
    bench.spec.switches.ignore_invoked_after = true;
    assert_eq!(count(&mut bench, "InvokedAfter", &cut), 2);
    bench.spec.switches.status_filter_broken = Some(StatusFilter::Nothing);
    assert_eq!(count(&mut bench, "Status", "InProgress"), 0);
    bench.spec.switches.hidden_commands = 50.0;
    assert_eq!(count(&mut bench, "DocumentName", "AWS-RunShellScript"), 1);
    assert_eq!(
        code(bench.call("ListCommands", json!({"Filters": [{"key": "Colour", "value": "red"}]}))),
        "ValidationException"
    );
}

#[test]
fn cancelling_some_and_all() {
    let mut bench = Bench::new("nodes=3,windows=0");
    let ids = bench.ids();
    let id = bench.send(&ids, "sleep 100");
    bench.wait(10.0);
    assert_eq!(code(bench.call("CancelCommand", json!({"CommandId": "0".repeat(36)}))), "InvalidCommandId");
    assert_eq!(
        code(bench.call("CancelCommand", json!({"CommandId": id, "InstanceIds": ["i-12345678901234567"]}))),
        "InvalidInstanceId"
    );
    bench.call("CancelCommand", json!({"CommandId": id, "InstanceIds": [ids[0]]})).unwrap();
    bench.wait(2.0);
    let status = |bench: &mut Bench, node: &str| {
        bench.call("GetCommandInvocation", json!({"CommandId": id, "InstanceId": node})).unwrap()["Status"]
            .clone()
    };
    assert_eq!(
        (status(&mut bench, &ids[0]), status(&mut bench, &ids[1])),
        (json!("Cancelled"), json!("InProgress"))
    );
    bench.call("CancelCommand", json!({"CommandId": id})).unwrap();
    assert_eq!(
        bench.call("ListCommands", json!({"CommandId": id})).unwrap()["Commands"][0]["Status"],
        "Cancelling"
    );
    bench.wait(2.0);
    assert_eq!(
        bench.call("ListCommands", json!({"CommandId": id})).unwrap()["Commands"][0]["Status"],
        "Cancelled"
    );
}

#[test]
fn nodes_are_listed_in_pages() {
    let mut bench = Bench::new("nodes=123,stopped=2,unmanaged=5,offline=7");
    let first = bench.call("DescribeInstanceInformation", json!({})).unwrap();
    assert_eq!(first["InstanceInformationList"].as_array().unwrap().len(), 10);
    let (mut count, mut calls, mut token) = (0, 0, Value::Null);
    loop {
        let page =
            bench.call("DescribeInstanceInformation", json!({"MaxResults": 50, "NextToken": token})).unwrap();
        count += page["InstanceInformationList"].as_array().unwrap().len();
        calls += 1;
        token = page["NextToken"].clone();
        if token.is_null() {
            break;
        }
    }
    assert_eq!((count, calls), (125, 3));
    let all = bench.call("DescribeInstanceProperties", json!({"MaxResults": 1000})).unwrap();
    assert_eq!(all["InstanceProperties"].as_array().unwrap().len(), 125);
    let lost = bench
        .call(
            "DescribeInstanceProperties",
            json!({"MaxResults": 1000,
        "FiltersWithOperator": [{"Key": "PingStatus", "Values": ["Online"], "Operator": "NotEqual"}]}),
        )
        .unwrap();
    assert_eq!(lost["InstanceProperties"].as_array().unwrap().len(), 9);
    bench.spec.switches.properties_page = 50;
    let page = bench.call("DescribeInstanceProperties", json!({"MaxResults": 1000})).unwrap();
    assert_eq!(page["InstanceProperties"].as_array().unwrap().len(), 50);
    let mixed = json!({"Filters": [{"Key": "tag:env", "Values": ["prod"]}, {"Key": "PingStatus", "Values": ["Online"]}]});
    assert_eq!(code(bench.call("DescribeInstanceInformation", mixed)), "ValidationException");
    assert_eq!(
        code(bench.call("DescribeInstanceInformation", json!({"MaxResults": 51}))),
        "ValidationException"
    );
}

#[test]
fn too_many_pending_invocations_cancel_the_command() {
    let mut bench = Bench::new("nodes=5,windows=0,pending_limit=7");
    let ids = bench.ids();
    bench.send(&ids, "sleep 10");
    let id = bench.send(&ids, "sleep 10");
    let command = bench.call("ListCommands", json!({"CommandId": id})).unwrap()["Commands"][0].clone();
    assert_eq!(
        (&command["Status"], &command["StatusDetails"], &command["TargetCount"]),
        (&json!("Cancelled"), &json!("LimitExceeded"), &json!(0))
    );
}

#[test]
fn speed_divides_what_is_simulated() {
    let mut bench = Bench::new("nodes=2,windows=0,speed=10");
    let ids = bench.ids();
    let id = bench.send(&ids, "sleep 20");
    bench.wait(2.6);
    assert_eq!(
        bench.call("ListCommands", json!({"CommandId": id})).unwrap()["Commands"][0]["Status"],
        "Success"
    );
}

#[test]
fn documents_are_described() {
    let mut bench = Bench::new("");
    let document = bench.call("DescribeDocument", json!({"Name": "AWS-RunShellScript"})).unwrap();
    let names: Vec<&str> = document["Document"]["Parameters"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["Name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["commands", "workingDirectory", "executionTimeout"]);
    assert_eq!(code(bench.call("DescribeDocument", json!({"Name": "Nothing"}))), "InvalidDocument");
    assert_eq!(
        bench.call("ListDocuments", json!({"MaxResults": 2})).unwrap()["DocumentIdentifiers"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
}

fn scenario(text: &str) -> Bench {
    let mut bench = Bench::new("5");
    bench.spec = Spec::scenario(text, std::path::Path::new("test.toml")).unwrap();
    bench.world = World::new(&bench.spec, bench.now);
    bench
}

#[test]
fn scenarios_decide_what_nodes_answer() {
    let mut bench = scenario(
        r#"
        [spec]
        nodes = 5
        windows = 0
        [[node]]
        nodes = "db-1"
        kernel = "1.2.3"
        [[answer]]
        command = "check"
        nodes = "web-*"
        stdout = "{name} {n}\n"
        exit = 4
        duration = "2s"
        [[answer]]
        command = "big"
        bytes = 24000
        [[document]]
        name = "Own-Script"
        platforms = ["Linux"]
        parameters = { commands = { type = "StringList", required = true } }
        "#,
    );
    let ids = bench.ids();
    let (check, kernel, big) =
        (bench.send(&ids, "check it"), bench.send(&ids, "uname -r"), bench.send(&ids, "big"));
    let own = json!({"DocumentName": "Own-Script", "InstanceIds": [ids[0]], "Parameters": {"commands": ["echo own"]}});
    let own = bench.call("SendCommand", own).unwrap()["Command"]["CommandId"].as_str().unwrap().to_owned();
    bench.wait(100.0);
    let mut get = |id: &str, node: usize| {
        bench.call("GetCommandInvocation", json!({"CommandId": id, "InstanceId": ids[node]})).unwrap()
    };
    let answer = get(&check, 1);
    assert_eq!(
        (&answer["StandardOutputContent"], &answer["ResponseCode"], &answer["ExecutionElapsedTime"]),
        (&json!("web-2 1\n"), &json!(4), &json!("PT2S"))
    );
    assert_eq!(get(&check, 2)["ResponseCode"], 127);
    assert_eq!(get(&kernel, 3)["StandardOutputContent"], "1.2.3\n");
    let bodies =
        (get(&big, 0)["StandardOutputContent"].clone(), get(&big, 1)["StandardOutputContent"].clone());
    assert!(bodies.0 != bodies.1 && bodies.0.as_str().unwrap().len() == 24_000);
    assert_eq!(get(&big, 0)["StandardOutputContent"], bodies.0);
    assert_eq!(get(&own, 0)["StandardOutputContent"], "own\n");
}

#[test]
fn ailing_nodes_end_as_they_should() {
    let mut bench =
        Bench::new("nodes=12,windows=0,offline=1,unreachable=1,broken=1,dying=1,undeliverable=1,denied=1");
    let ids = bench.ids();
    let id = bench.send(&ids, "exit 194");
    bench.wait(5000.0);
    let list = bench.call("ListCommandInvocations", json!({"CommandId": id})).unwrap();
    let mut details: Vec<&str> = list["CommandInvocations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["StatusDetails"].as_str().unwrap())
        .collect();
    details.sort_unstable();
    assert_eq!(
        details[..6],
        ["AccessDenied", "DeliveryTimedOut", "DeliveryTimedOut", "DeliveryTimedOut", "Failed", "Success"]
    );
    assert_eq!(details[11], "Undeliverable");
    let truth = crate::truth::truth(&bench.world, bench.now);
    assert!(truth.settled);
    assert_eq!(truth.executions.iter().filter(|one| one.runs == 2).count(), 6);
    assert_eq!(truth.runs_of(&ids[0], ""), 1);
}
