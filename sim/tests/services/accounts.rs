//! Accounts, roles, regions that are closed or down.

use crate::client::{Caller, scenario, start, until};
use herder_sim::{Down, Outcome};
use serde_json::json;

async fn assume(caller: &Caller<'_>, account: &str, role: &str) -> Result<String, String> {
    let form = format!(
        "Action=AssumeRole&Version=2011-06-15&RoleArn=arn:aws:iam::{account}:role/{role}&RoleSessionName=test"
    );
    let reply = caller.query("sts", &form).await;
    if reply.status == 200 { Ok(reply.first("AccessKeyId")) } else { Err(reply.first("Code")) }
}

async fn online(caller: &Caller<'_>) -> Vec<String> {
    let body = json!({"MaxResults": 1000});
    let answer = caller.ssm("DescribeInstanceProperties", &body).await;
    let nodes = answer["InstanceProperties"].as_array().unwrap();
    nodes.iter().map(|node| node["InstanceId"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn each_account_has_its_fleet_in_each_region() {
    let server = scenario(
        r#"
        spec = { nodes = 12, accounts = 3, rate = "off", regions = ["us-east-1", "eu-west-1"], roles = "HerderExec+ops" }
        [[account]]
        id = "200000000003"
        denied = true
        [[account]]
        id = "222222222222"
        unit = "ou-sim1-sandboxes"
        nodes = 4
        roles = ["Sandbox"]
        deny = ["SendCommand"]
        "#,
    )
    .await;
    let own = Caller::new(&server);
    let control = server.control();
    assert_eq!(control.accounts(), ["123456789012", "200000000002", "200000000003", "222222222222"]);
    assert_eq!(control.all_nodes().len(), (12 * 3 + 4) * 2);
    let second = own.with_key(&assume(&own, "200000000002", "HerderExec").await.unwrap());
    let mut seen = online(&own).await;
    for caller in [second.clone(), own.at("eu-west-1"), second.at("eu-west-1")] {
        seen.extend(online(&caller).await);
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 48);
    for (account, role) in [
        ("200000000003", "HerderExec"),
        ("200000000002", "Admin"),
        ("999999999999", "HerderExec"),
        ("222222222222", "ops"),
    ] {
        assert_eq!(assume(&own, account, role).await, Err("AccessDenied".to_owned()), "{account} {role}");
    }
    let sandbox = own.with_key(&assume(&own, "222222222222", "Sandbox").await.unwrap());
    let ids = online(&sandbox).await;
    assert_eq!(ids.len(), 4);
    let send = json!({"DocumentName": "AWS-RunShellScript", "InstanceIds": [ids[0]], "Parameters": {"commands": ["true"]}});
    let refused = sandbox.json("ssm", "AmazonSSM.SendCommand", &send).await.json();
    assert_eq!(refused["__type"], "AccessDeniedException");
}

#[tokio::test]
async fn quotas_are_those_of_an_account_in_a_region() {
    let server = start("nodes=5,accounts=2,regions=us-east-1+eu-west-1,rate=0.001,burst=1").await;
    let own = Caller::new(&server);
    let other = own.with_key(&assume(&own, "200000000002", "HerderExec").await.unwrap());
    for caller in [&own, &other, &own.at("eu-west-1"), &other.at("eu-west-1")] {
        let first = caller.json("ssm", "AmazonSSM.ListCommands", &json!({})).await;
        let second = caller.json("ssm", "AmazonSSM.ListCommands", &json!({})).await;
        assert_eq!((first.status, second.json()["__type"].as_str()), (200, Some("ThrottlingException")));
    }
}

#[tokio::test]
async fn the_organization_lists_its_accounts() {
    let server = start("nodes=5,accounts=45,rate=off").await;
    let own = Caller::new(&server);
    let ask = async |caller: &Caller<'_>, api: &str, body: serde_json::Value| {
        caller.json("organizations", &format!("AWSOrganizationsV20161128.{api}"), &body).await.json()
    };
    let (mut seen, mut token, mut pages) = (Vec::new(), json!(null), 0);
    loop {
        let page = ask(&own, "ListAccounts", json!({"NextToken": token})).await;
        seen.extend(
            page["Accounts"].as_array().unwrap().iter().map(|one| one["Id"].as_str().unwrap().to_owned()),
        );
        pages += 1;
        token = page["NextToken"].clone();
        if token.is_null() {
            break;
        }
    }
    assert_eq!((seen, pages), (server.control().accounts(), 3));
    let root = ask(&own, "ListAccountsForParent", json!({"ParentId": "r-sim1"})).await;
    assert_eq!(root["Accounts"].as_array().unwrap().len(), 1);
    let missing = ask(&own, "ListAccountsForParent", json!({"ParentId": "ou-sim1-nothing1"})).await;
    assert_eq!(missing["__type"], "ParentNotFoundException");
    let member = own.with_key(&assume(&own, "200000000002", "HerderExec").await.unwrap());
    assert_eq!(ask(&member, "ListAccounts", json!({})).await["__type"], "AccessDeniedException");
}

#[tokio::test]
async fn regions_go_down_and_come_back() {
    let server = start(
        "nodes=5,regions=us-east-1+eu-west-1+us-west-2,down=eu-west-1@0s-200s+us-west-2,speed=40,rate=off",
    )
    .await;
    let own = Caller::new(&server);
    let west = own.at("eu-west-1");
    let ask = async |caller: &Caller<'_>| {
        caller
            .send("ssm", ("POST", "/"), "X-Amz-Target: AmazonSSM.ListCommands\r\n", b"{}")
            .await
            .map(|reply| reply.status)
    };
    assert_eq!((ask(&own).await, ask(&west).await), (Some(200), None));
    until("the region comes back", || async { ask(&west).await == Some(200) }).await;
    let control = server.control();
    control.set_region("eu-west-1", Some(Down::Unavailable));
    assert_eq!(ask(&west).await, Some(503));
    control.set_region("us-west-2", None);
    assert_eq!(ask(&own.at("us-west-2")).await, Some(200));
    let down = r#"{"region": "us-east-1", "down": "dropped"}"#;
    assert_eq!(own.send("x", ("POST", "/_sim/region"), "", down.as_bytes()).await.unwrap().status, 200);
    assert_eq!(ask(&own).await, None);
    let records = control.requests();
    assert_eq!(records[1].outcome, Outcome::DroppedBefore);
    assert!(records.iter().any(|one| one.outcome == Outcome::Error("ServiceUnavailableException".into())));
}

#[tokio::test]
async fn regions_are_open_opened_or_closed() {
    let server = start("nodes=5,regions=us-east-1+ap-east-1").await;
    let own = Caller::new(&server);
    let form = "Action=DescribeRegions&Version=2016-11-15";
    assert_eq!(own.query("ec2", form).await.all("regionName"), ["us-east-1", "ap-east-1"]);
    let all = own.query("ec2", &format!("{form}&AllRegions=true")).await;
    assert_eq!(all.all("optInStatus"), ["opt-in-not-required", "opted-in", "not-opted-in", "not-opted-in"]);
    let open = own
        .query("ec2", &format!("{form}&AllRegions=true&Filter.1.Name=opt-in-status&Filter.1.Value.1=opt-in-not-required&Filter.1.Value.2=opted-in"))
        .await;
    assert_eq!(open.all("regionName"), ["us-east-1", "ap-east-1"]);
    let closed = own.at("me-south-1");
    assert_eq!(closed.query("ec2", form).await.first("Code"), "AuthFailure");
    let ssm = closed.json("ssm", "AmazonSSM.ListCommands", &json!({})).await;
    assert_eq!(ssm.json()["__type"], "UnrecognizedClientException");
}

#[tokio::test]
async fn requests_to_sts_and_ec2_are_checked_as_their_models_say() {
    let server = start("nodes=1").await;
    let caller = Caller::new(&server);
    let role = "RoleArn=arn:aws:iam::222222222222:role/HerderExec&RoleSessionName=test";
    for (more, is_fine) in [
        ("ExternalId=ab".to_owned(), true),
        ("ExternalId=a".to_owned(), false),
        ("Policy=".to_owned(), false),
        (format!("SerialNumber={}", "a".repeat(257)), false),
        ("SourceIdentity=a".to_owned(), false),
        ("MinimumSessionTokenSize=4097".to_owned(), false),
        ("MinimumSessionTokenSize=-1".to_owned(), false),
    ] {
        let reply = caller.query("sts", &format!("Action=AssumeRole&Version=2011-06-15&{role}&{more}")).await;
        let code = reply.first("Code");
        assert_eq!(code, if is_fine { "" } else { "ValidationError" }, "{more}: {}", reply.text());
    }
    let id = server.control().nodes()[0].id.clone();
    for action in [
        "CreateTags&Tag.1.Key=a".to_owned(),
        "DeleteTags".to_owned(),
        format!("CreateTags&ResourceId.1={id}"),
    ] {
        let reply = caller.query("ec2", &format!("Action={action}&Version=2016-11-15")).await;
        assert_eq!(reply.first("Code"), "MissingParameter", "{action}");
    }
}

#[tokio::test]
async fn what_is_simulated_is_told() {
    let server = start("nodes=1").await;
    let operations = server.control().operations();
    assert!(operations["ssm"].contains(&"SendCommand") && operations["s3"].contains(&"GetObject"));
    assert!(!operations.contains_key("ssmmessages"), "{operations:?}");
}
