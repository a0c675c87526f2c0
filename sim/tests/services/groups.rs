//! Auto Scaling, target groups and resource groups.

use crate::client::{Caller, Reply, scenario, settled, start, until};
use serde_json::json;
use std::collections::BTreeSet;

const VERSION: &str = "&Version=2011-01-01";

async fn groups(caller: &Caller<'_>, extra: &str) -> Reply {
    caller.query("autoscaling", &format!("Action=DescribeAutoScalingGroups{VERSION}{extra}")).await
}

#[tokio::test]
async fn auto_scaling_groups_are_those_of_the_tags() {
    let server = start("nodes=60,windows=0,stopped=3,rate=off").await;
    let caller = Caller::new(&server);
    let all = groups(&caller, "").await;
    let expected: BTreeSet<String> = server
        .control()
        .nodes()
        .into_iter()
        .filter_map(|node| node.tags.get("aws:autoscaling:groupName").cloned())
        .collect();
    let names = all.all("AutoScalingGroupName");
    assert_eq!(names.iter().cloned().collect::<BTreeSet<_>>(), expected);
    let web = groups(&caller, "&AutoScalingGroupNames.member.1=web-prod").await;
    let members = server
        .control()
        .nodes()
        .iter()
        .filter(|node| {
            node.tags.get("aws:autoscaling:groupName").map(String::as_str) == Some("web-prod")
                && node.id.starts_with("i-")
        })
        .count();
    assert_eq!(web.all("InstanceId").len(), members);
    assert_eq!(web.first("DesiredCapacity"), members.to_string());
    assert!(web.first("TargetGroupARNs").contains("targetgroup/tg-web/"));
    assert!(
        web.has("<LifecycleState>InService</LifecycleState>")
            && web.has("<HealthStatus>Healthy</HealthStatus>")
    );
    let filtered = groups(
        &caller,
        "&Filters.member.1.Name=tag:role&Filters.member.1.Values.member.1=web&Filters.member.2.Name=tag:env&Filters.member.2.Values.member.1=prod&IncludeInstances=false",
    )
    .await;
    assert_eq!(
        (filtered.all("AutoScalingGroupName"), filtered.all("InstanceId").len()),
        (vec!["web-prod".into()], 0)
    );
    assert_eq!(
        groups(&caller, "&AutoScalingGroupNames.member.1=nothing").await.all("AutoScalingGroupName").len(),
        0
    );
}

#[tokio::test]
async fn auto_scaling_pages_and_limits() {
    let server = start("nodes=200,rate=off").await;
    let caller = Caller::new(&server);
    let (mut seen, mut token) = (Vec::new(), String::new());
    loop {
        let next = if token.is_empty() { String::new() } else { format!("&NextToken={token}") };
        let page = groups(&caller, &format!("&MaxRecords=2{next}")).await;
        seen.extend(page.all("AutoScalingGroupName"));
        token = page.first("NextToken").replace('=', "%3D");
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(seen, groups(&caller, "").await.all("AutoScalingGroupName"));
    assert!(seen.len() > 4);
    for (extra, code) in [
        ("&MaxRecords=101", "ValidationError"),
        ("&NextToken=zzz", "InvalidNextToken"),
        // `at:18446744073709551615`
        ("&NextToken=YXQ6MTg0NDY3NDQwNzM3MDk1NTE2MTU%3D", "InvalidNextToken"),
        ("&Filters.member.1.Name=colour&Filters.member.1.Values.member.1=red", "ValidationError"),
    ] {
        let reply = groups(&caller, extra).await;
        assert_eq!((reply.status, reply.first("Code").as_str()), (400, code), "{extra}");
    }
    let instances = |extra: &'static str| {
        let caller = caller.clone();
        async move {
            let form = format!("Action=DescribeAutoScalingInstances{VERSION}{extra}");
            caller.query("autoscaling", &form).await
        }
    };
    assert_eq!(instances("").await.all("InstanceId").len(), 50);
    assert_eq!(instances("&MaxRecords=51").await.first("Code"), "ValidationError");
    assert_eq!(instances("&InstanceIds.member.1=i-12345678901234567").await.all("InstanceId").len(), 0);
}

async fn health(caller: &Caller<'_>, group: &str) -> Vec<String> {
    let form = format!("Action=DescribeTargetGroups&Version=2015-12-01&Names.member.1={group}");
    let arn = caller.query("elasticloadbalancing", &form).await.first("TargetGroupArn");
    let form = format!("Action=DescribeTargetHealth&Version=2015-12-01&TargetGroupArn={arn}");
    let reply = caller.query("elasticloadbalancing", &form).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.all("State")
}

#[tokio::test]
async fn targets_are_healthy_but_for_a_share() {
    let server = start("nodes=100,windows=0,hybrid=0,unhealthy=10%,rate=off").await;
    let caller = Caller::new(&server);
    let states = health(&caller, "tg-web").await;
    let web = server.control().nodes().iter().filter(|node| node.name.starts_with("web-")).count();
    let unhealthy = states.iter().filter(|state| *state == "unhealthy").count();
    assert_eq!((states.len(), unhealthy), (web, (web as f64 / 10.0).round() as usize));
    let unknown = "Action=DescribeTargetGroups&Version=2015-12-01&Names.member.1=tg-nothing";
    assert_eq!(caller.query("elasticloadbalancing", unknown).await.first("Code"), "TargetGroupNotFound");
    let balancers = "Action=DescribeLoadBalancers&Version=2015-12-01";
    let balancer = caller.query("elasticloadbalancing", balancers).await.first("LoadBalancerArn");
    let of = format!("Action=DescribeTargetGroups&Version=2015-12-01&LoadBalancerArn={balancer}");
    assert_eq!(caller.query("elasticloadbalancing", &of).await.all("TargetGroupName"), ["tg-api", "tg-web"]);
}

#[tokio::test]
async fn health_follows_what_happens_to_a_node() {
    let server = scenario(
        r#"
        spec = { nodes = 20, windows = 0, speed = 20, rate = "off" }
        [[target_group]]
        name = "tg-green"
        nodes = "db-*"
        detached = true
        [[target_health]]
        group = "tg-w*"
        command = "*restart nginx*"
        after = "1s"
        for = "30s"
        "#,
    )
    .await;
    let caller = Caller::new(&server);
    let bad =
        async |state: &str| health(&caller, "tg-web").await.iter().filter(|have| *have == state).count();
    assert!(health(&caller, "tg-green").await.iter().all(|state| state == "unused"));
    assert_eq!(bad("unhealthy").await, 0);
    let id = server.control().nodes()[0].id.clone();
    caller.run("systemctl restart nginx", json!({"InstanceIds": [id]})).await;
    until("the target is unhealthy", || async { bad("unhealthy").await == 1 }).await;
    until("the target is healthy again", || async { bad("unhealthy").await == 0 }).await;
    caller.query("ec2", &format!("Action=TerminateInstances&Version=2016-11-15&InstanceId.1={id}")).await;
    let count = health(&caller, "tg-web").await.len();
    until("the target is gone", || async { health(&caller, "tg-web").await.len() == count - 1 }).await;
}

#[tokio::test]
async fn target_groups_of_addresses_and_functions() {
    let server = scenario(
        r#"
        spec = { nodes = 20, windows = 0, hybrid = 1, speed = 20, rate = "off" }
        [[target_group]]
        name = "tg-pods"
        kind = "ip"
        addresses = ["10.99.0.1"]
        [[target_group]]
        name = "tg-function"
        kind = "lambda"
        "#,
    )
    .await;
    let caller = Caller::new(&server);
    let of = async |group: &str, what: &str| {
        let form = format!("Action=DescribeTargetGroups&Version=2015-12-01&Names.member.1={group}");
        let found = caller.query("elasticloadbalancing", &form).await;
        let arn = found.first("TargetGroupArn");
        let form = format!("Action=DescribeTargetHealth&Version=2015-12-01&TargetGroupArn={arn}");
        (found.first("TargetType"), caller.query("elasticloadbalancing", &form).await.all(what))
    };
    let (kind, addresses) = of("tg-pods", "Id").await;
    assert_eq!((kind.as_str(), addresses.len()), ("ip", 21));
    assert!(addresses.contains(&"10.99.0.1".to_owned()), "{addresses:?}");
    let form = format!(
        "Action=DescribeInstances&Version=2016-11-15&Filter.1.Name=network-interface.addresses.private-ip-address&Filter.1.Value.1={}",
        addresses[0]
    );
    let found = caller.query("ec2", &form).await;
    assert_eq!(found.all("privateIpAddress"), [addresses[0].clone()]);
    assert_eq!(of("tg-function", "State").await, ("lambda".to_owned(), vec!["unavailable".to_owned()]));
}

#[tokio::test]
async fn resource_groups_are_listed_and_targeted() {
    let server = scenario(
        r#"
        spec = { nodes = 120, windows = 0, speed = 100, rate = "off" }
        [[resource_group]]
        name = "web-prod"
        tags = { role = ["web"], env = ["prod"] }
        types = ["AWS::EC2::Instance"]
        "#,
    )
    .await;
    let caller = Caller::new(&server);
    let ask = async |path: &str, body: serde_json::Value| {
        caller.send("resource-groups", ("POST", path), "", body.to_string().as_bytes()).await.unwrap()
    };
    let list = ask("/groups-list?maxResults=3", json!({})).await.json();
    let names: Vec<&str> = list["GroupIdentifiers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["GroupName"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["env-dev", "env-prod", "env-staging"]);
    let next = list["NextToken"].as_str().unwrap().replace('=', "%3D");
    let rest = ask(&format!("/groups-list?nextToken={next}"), json!({})).await.json();
    assert_eq!(rest["Groups"][0]["Name"], "web-prod");
    let arn = rest["Groups"][0]["GroupArn"].clone();
    assert_eq!(ask("/get-group", json!({"Group": arn})).await.json()["Group"]["Name"], "web-prod");
    let missing = ask("/get-group", json!({"GroupName": "nothing"})).await;
    assert_eq!((missing.status, missing.header("x-amzn-errortype").as_str()), (404, "NotFoundException"));
    assert_eq!(
        ask("/list-group-resources", json!({"Group": "env-prod", "MaxResults": 51})).await.status,
        400
    );
    let (mut seen, mut token) = (Vec::new(), json!(null));
    loop {
        let body = json!({"Group": "web-prod", "MaxResults": 10, "NextToken": token});
        let page = ask("/list-group-resources", body).await.json();
        seen.extend(
            page["ResourceIdentifiers"].as_array().unwrap().iter().map(|one| one["ResourceArn"].to_string()),
        );
        token = page["NextToken"].clone();
        if token.is_null() {
            break;
        }
    }
    let expected = server
        .control()
        .nodes()
        .iter()
        .filter(|node| node.tags["role"] == "web" && node.tags["env"] == "prod" && node.id.starts_with("i-"))
        .count();
    assert_eq!(seen.len(), expected);
    let target = json!({"Targets": [{"Key": "resource-groups:Name", "Values": ["web-prod"]}], "MaxConcurrency": "100%"});
    caller.run("true", target).await;
    settled(&server).await;
    assert_eq!(server.control().truth().executions.len(), expected);
}
