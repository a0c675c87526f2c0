//! Calendars: open, closed, and when that changes.

use crate::client::{Caller, scenario, start, until};
use herder_sim::FaultSpec;
use serde_json::{Value, json};

async fn asked(caller: &Caller<'_>, body: Value) -> (u16, Value) {
    let reply = caller.json("ssm", "AmazonSSM.GetCalendarState", &body).await;
    (reply.status, reply.json())
}

async fn state(caller: &Caller<'_>, name: &str) -> String {
    let (status, answer) = asked(caller, json!({"CalendarNames": [name]})).await;
    assert_eq!(status, 200, "{answer}");
    answer["State"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_calendar_opens_and_closes_by_time_by_command_and_by_hand() {
    let server = scenario(
        r#"
        spec = { nodes = 10, windows = 0, speed = 10, rate = "off" }
        [[calendar]]
        name = "freeze"
        state = "CLOSED"
        changes = [{ state = "OPEN", after = "1h" }]
        [[calendar]]
        name = "deploys"
        changes = [{ command = "*deploy*", share = "20%" }]
        "#,
    )
    .await;
    let caller = Caller::new(&server);
    let (_, freeze) = asked(&caller, json!({"CalendarNames": ["freeze"]})).await;
    assert_eq!(freeze["State"], "CLOSED");
    let opens: jiff::Timestamp = freeze["NextTransitionTime"].as_str().unwrap().parse().unwrap();
    let now: jiff::Timestamp = freeze["AtTime"].as_str().unwrap().parse().unwrap();
    let left = opens.duration_since(now).as_secs();
    assert!((300..=361).contains(&left), "an hour at ten times the speed: {left}");
    let later = json!({"CalendarNames": ["freeze"], "AtTime": opens.to_string()});
    assert_eq!(asked(&caller, later).await.1["State"], "OPEN");

    let (_, deploys) = asked(&caller, json!({"CalendarNames": ["deploys"]})).await;
    assert_eq!((&deploys["State"], &deploys["NextTransitionTime"]), (&json!("OPEN"), &json!(null)));
    let ids: Vec<String> = server.control().nodes().into_iter().take(2).map(|node| node.id).collect();
    caller.run("./deploy", json!({"InstanceIds": [ids[0]]})).await;
    assert_eq!(state(&caller, "deploys").await, "OPEN", "one of ten is less than a fifth");
    caller.run("./deploy", json!({"InstanceIds": [ids[1]]})).await;
    until("it is closed", || async { state(&caller, "deploys").await == "CLOSED" }).await;

    assert!(server.control().set_calendar("us-east-1", "deploys", true));
    assert_eq!(state(&caller, "deploys").await, "OPEN");
    assert!(!server.control().set_calendar("us-east-1", "nothing", true));
    let both = json!({"CalendarNames": ["deploys", "freeze"]});
    assert_eq!(asked(&caller, both).await.1["State"], "CLOSED", "one that is closed is enough");
}

#[tokio::test]
async fn calendars_that_are_none() {
    let server = start("5,rate=off").await;
    let caller = Caller::new(&server);
    assert_eq!(state(&caller, "release").await, "OPEN");
    let arn = "arn:aws:ssm:us-east-1:123456789012:document/release";
    assert_eq!(state(&caller, arn).await, "OPEN");
    for (body, code) in [
        (json!({"CalendarNames": ["nothing"]}), "InvalidDocument"),
        (json!({"CalendarNames": ["AWS-RunShellScript"]}), "InvalidDocumentType"),
        (json!({}), "ValidationException"),
        (json!({"CalendarNames": ["release"], "AtTime": "soon"}), "ValidationException"),
    ] {
        let (status, answer) = asked(&caller, body).await;
        assert!(status == 400 && answer["__type"].as_str().unwrap().ends_with(code), "{answer}");
    }
    server.control().faults(FaultSpec { deny: vec!["GetCalendarState".to_owned()], ..FaultSpec::default() });
    let (status, answer) = asked(&caller, json!({"CalendarNames": ["release"]})).await;
    assert!(status == 400 && answer["__type"].as_str().unwrap().contains("AccessDenied"), "{answer}");
}
