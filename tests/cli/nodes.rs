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
            "vpc",
            "subnet",
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

#[test]
fn a_summary_counts_every_node_once() {
    let sim = Sim::start("40,windows=5,hybrid=2,offline=3,stopped=2,unmanaged=1");
    let rows = |more: &[&str]| {
        let rows = sim.run(&[&["nodes", "summary", "--json"], more].concat()).exits(0).json();
        let mut counts: BTreeMap<String, BTreeMap<String, u64>> = BTreeMap::new();
        for row in rows.as_array().unwrap() {
            let value = row["value"].as_str().unwrap_or("null").to_owned();
            let of_it = counts.entry(row["by"].as_str().unwrap().to_owned()).or_default();
            assert_eq!(of_it.insert(value, row["nodes"].as_u64().unwrap()), None, "{row}");
        }
        counts
    };
    let counts = rows(&[]);
    assert_eq!(
        counts.keys().collect::<Vec<_>>(),
        ["agent-version", "asg", "az", "ping", "platform", "state"]
    );
    for (by, values) in &counts {
        assert_eq!(values.values().sum::<u64>(), 43, "{by}: {values:?}");
    }
    let nodes = sim.control.nodes();
    let count = |is: &dyn Fn(&herder_sim::NodeRecord) -> bool| nodes.iter().filter(|n| is(n)).count() as u64;
    assert_eq!(counts["platform"]["windows"], count(&|n| n.platform == "Windows"));
    assert_eq!((counts["state"]["stopped"], counts["state"]["null"]), (2, 2));
    assert_eq!(counts["ping"]["online"], count(&|n| n.managed && n.ping == "Online"));
    assert_eq!(counts["ping"]["null"], count(&|n| !n.managed));
    let by_role = rows(&["--by", "tag:role", "-t", "tag:env=prod"]);
    let has =
        |n: &herder_sim::NodeRecord, key: &str, value: &str| n.tags.get(key).is_some_and(|v| v == value);
    assert_eq!(by_role["tag:role"].values().sum::<u64>(), count(&|n| has(n, "env", "prod")));
    // Hybrid nodes are chosen by their tags, which are not shown: their roles are not known.
    for (role, nodes) in by_role["tag:role"].iter().filter(|(role, _)| *role != "null") {
        let is_it = |n: &herder_sim::NodeRecord| has(n, "role", role) && has(n, "env", "prod");
        assert_eq!(*nodes, count(&|n| n.id.starts_with("i-") && is_it(n)), "{role}");
    }
    assert_eq!(by_role.len(), 1);
    let tsv = sim.run(&["nodes", "summary", "--by", "platform"]).exits(0).text();
    assert!(tsv.lines().all(|line| line.split('\t').count() == 3), "{tsv}");
    let _ = sim.run(&["nodes", "summary", "--by", "colour"]).exits(2).silent();
}

#[test]
fn a_check_finds_what_commands_can_not_reach() {
    let sim = Sim::start("20,windows=2,hybrid=1");
    let _ = sim.run(&["nodes", "check"]).exits(0).silent();
    let all = sim.run(&["nodes", "check", "--all", "--json"]).exits(0).json();
    assert_eq!(all.as_array().unwrap().len(), 20);
    assert!(all.as_array().unwrap().iter().all(|f| f["ok"] == true && f["problem"].is_null()));
    for (spec, word, count) in
        [("offline=2", "not reported", 2), ("stopped=2", "stopped", 2), ("unmanaged=3", "not managed", 3)]
    {
        let sim = Sim::start(&format!("10,windows=0,hybrid=0,{spec}"));
        let found = sim.run(&["nodes", "check", "--json"]).exits(1).json();
        let found = found.as_array().unwrap();
        assert_eq!(found.len(), count, "{found:?}");
        for finding in found {
            let problem = finding["problem"].as_str().unwrap();
            assert!(
                problem.contains(word) && finding["ok"] == false && finding["hint"].is_string(),
                "{finding}"
            );
        }
        let all = sim.run(&["nodes", "check", "--all"]).exits(1).text();
        assert_eq!(all.lines().count(), sim.control.nodes().len());
        // Those that are fine, by themselves.
        let ids: Vec<&str> = found.iter().map(|f| f["id"].as_str().unwrap()).collect();
        let without = ids.iter().flat_map(|id| ["--exclude", *id]);
        let arguments: Vec<&str> = ["nodes", "check"].into_iter().chain(without).collect();
        let _ = sim.run(&arguments).exits(0).silent();
    }
    let _ = sim.run(&["nodes", "check", "-t", "nobody"]).exits(3).silent();
}

#[test]
fn a_node_is_shown_with_all_that_is_known() {
    let sim = Sim::start("10,windows=0,hybrid=0");
    let id = sim.id("web-1");
    let listed = by_id(&sim.run(&["nodes", "list", "--json", "-t", &id]).exits(0).json());
    let shown = sim.run(&["nodes", "show", "web-1", "--json"]).exits(0);
    assert_eq!(by_id(&shown.json()), listed);
    let card = sim.run(&["nodes", "show", &id]).exits(0).text();
    for (word, value) in [("id", id.as_str()), ("name", "web-1"), ("tag role", "web"), ("ping", "online")] {
        let line = card.lines().find(|line| line.starts_with(&format!("{word} ")));
        assert!(line.is_some_and(|line| line.ends_with(value)), "{word}: {card}");
    }
    let both = sim.run(&["nodes", "show", "web-1", "db-1", "--jsonl"]).exits(0).events();
    assert_eq!(both.len(), 2);
    assert_eq!(sim.run(&["nodes", "show", "web-1", "-o", "quiet"]).exits(0).text(), format!("{id}\n"));
    let _ = sim.run(&["nodes", "show", "nobody"]).exits(3).silent();
    let _ = sim.run(&["nodes", "show"]).exits(2).silent();
}
