//! `nodes list`: EC2 and Systems Manager merged.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::harness::Sim;

fn by_id(list: &Value) -> BTreeMap<String, Value> {
    let nodes = list.as_array().unwrap().iter();
    let mut by_id: BTreeMap<String, Value> =
        nodes.map(|node| (node["id"].as_str().unwrap().to_owned(), node.clone())).collect();
    for node in by_id.values_mut() {
        // It moves on with the clock.
        assert_eq!(node["last_ping"].take().is_null(), node["ping"].is_null(), "{node}");
    }
    by_id
}

#[test]
fn both_views_are_merged() {
    let sim = Sim::start("20,windows=3,hybrid=2,stopped=2,unmanaged=3,offline=2");
    let list = by_id(&sim.run(&["nodes", "list", "--json"]).exits(0).json());
    assert_eq!(list.len(), 25);
    for record in sim.control.nodes() {
        let node = &list[&record.id];
        let platform = record.platform.to_lowercase();
        assert_eq!(node["managed"], record.managed, "{node}");
        assert_eq!(node["platform"], platform.as_str(), "{node}");
        assert_eq!(
            (&node["account"], &node["region"]),
            (&Value::from("123456789012"), &Value::from("us-east-1"))
        );
        if record.id.starts_with("mi-") {
            assert!(
                node["state"].is_null() && node["instance_type"].is_null() && node["ping"] == "online",
                "{node}"
            );
            continue;
        }
        assert_eq!(
            (&node["name"], &node["state"]),
            (&Value::from(record.name), &Value::from(record.state.clone()))
        );
        assert_eq!(node["tags"], serde_json::to_value(&record.tags).unwrap());
        let ping = match (record.managed, record.ping.as_str()) {
            (false, _) => Value::Null,
            (true, "Online") => "online".into(),
            (true, _) => "lost".into(),
        };
        assert_eq!(node["ping"], ping, "{node}");
        assert_eq!(node["agent_version"].is_null(), !record.managed);
    }
    for node in list.values() {
        for field in [
            "id",
            "name",
            "account",
            "region",
            "az",
            "state",
            "managed",
            "ping",
            "last_ping",
            "agent_version",
            "platform",
            "platform_version",
            "instance_type",
            "private_ip",
            "asg",
            "image",
            "tags",
        ] {
            assert!(node.get(field).is_some(), "{field} is missing: {node}");
        }
    }
}

#[test]
fn every_format() {
    let sim = Sim::start("6,windows=1");
    let json = sim.run(&["nodes", "list", "--json"]).exits(0).json();
    let jsonl = sim.run(&["nodes", "list", "--jsonl"]).exits(0).events();
    assert_eq!(by_id(&json), by_id(&Value::Array(jsonl)));
    let tsv = sim.run(&["nodes", "list"]).exits(0).text();
    assert_eq!(tsv.lines().count(), 6);
    assert!(tsv.lines().all(|line| line.split('\t').count() == 8), "{tsv}");
    let csv =
        sim.run(&["nodes", "list", "-o", "csv", "--columns", "id,name", "--sort", "name"]).exits(0).text();
    let names: Vec<&str> = csv.lines().skip(1).map(|line| line.split(',').nth(1).unwrap()).collect();
    assert_eq!(names, ["api-1", "db-1", "web-1", "web-2", "web-3", "worker-1"]);
    let table = sim.run(&["nodes", "list", "-o", "table"]).exits(0).text();
    assert!(table.contains("web-1") && table.lines().count() >= 7, "{table}");
    let quiet = sim.run(&["nodes", "list", "-o", "quiet", "-t", "web-1"]).exits(0).text();
    assert_eq!(quiet.trim(), sim.id("web-1"));
    let tag = sim.run(&["nodes", "list", "--columns", "name,tag:role", "-t", "db-1"]).exits(0).text();
    assert_eq!(tag, "db-1\tdb\n");
}

#[test]
fn ten_thousand_nodes_take_tens_of_calls() {
    let sim = Sim::start("10000,hybrid=200");
    let output = sim.run(&["nodes", "list", "--columns", "id"]).exits(0);
    assert_eq!(output.text().lines().count(), 10_000);
    let calls = sim.control.requests().len();
    assert!(calls <= 30, "{:#?}", sim.control.stats());
}

#[test]
fn one_half_of_the_view_may_be_denied() {
    let sim = Sim::start("10,windows=0,hybrid=1");
    sim.deny(&["DescribeInstances"]);
    let list = by_id(&sim.run(&["nodes", "list", "--json"]).exits(0).says("ec2:DescribeInstances").json());
    assert_eq!(list.len(), 10);
    sim.deny(&["DescribeInstanceProperties", "DescribeInstanceInformation"]);
    let list = by_id(&sim.run(&["nodes", "list", "--json"]).exits(0).says("ssm:DescribeInstance").json());
    assert_eq!(list.len(), 9);
    assert!(list.values().all(|node| node["managed"].is_null() && node["ping"].is_null()));
}

#[test]
fn selectors_choose() {
    let sim = Sim::start("40,windows=5,hybrid=2,offline=3,stopped=1");
    let count = |selector: &str| {
        let output = sim.run(&["nodes", "list", "--json", "-t", selector]);
        output.json().as_array().unwrap().len()
    };
    let nodes = sim.control.nodes();
    let is =
        |key: &str, value: &str| nodes.iter().filter(|n| n.tags.get(key).is_some_and(|v| v == value)).count();
    assert_eq!(count("platform:windows"), nodes.iter().filter(|n| n.platform == "Windows").count());
    assert_eq!(count("tag:role=web"), is("role", "web"));
    assert_eq!(count("tag:role=web,db"), is("role", "web") + is("role", "db"));
    assert_eq!(count("ping:lost"), 4);
    assert_eq!(
        count("tag:role=web and not tag:env=prod") + count("tag:role=web and tag:env=prod"),
        is("role", "web")
    );
    assert_eq!(count("all and not tag:env=prod"), 41 - is("env", "prod"));
    assert_eq!(count("web-1"), 1);
    assert_eq!(count("name:web-*"), nodes.iter().filter(|n| n.name.starts_with("web-")).count());
    assert_eq!(count("all"), 41);
}
