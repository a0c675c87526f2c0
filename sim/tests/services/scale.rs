//! One command for ten thousand nodes, resolved and limited by the service.

use crate::client::{Caller, settled, start};
use herder_sim::{FloorQuery, Verdict};
use serde_json::json;
use std::collections::BTreeMap;

#[tokio::test]
async fn ten_thousand_invocations_are_read_page_by_page() {
    let server = start("nodes=10000,windows=0,broken=1%,offline=1%,speed=300,rate=off,duration=2s").await;
    let caller = Caller::new(&server);
    let to = json!({"Targets": [{"Key": "tag-key", "Values": ["env"]}], "MaxConcurrency": "50%", "MaxErrors": "10%",
                    "TimeoutSeconds": 60, "Comment": "big"});
    let command = caller.run("true", to).await;
    settled(&server).await;
    let listed = caller.ssm("ListCommands", &json!({"CommandId": command})).await;
    let one = &listed["Commands"][0];
    let counts = ["TargetCount", "CompletedCount", "ErrorCount", "DeliveryTimedOutCount"]
        .map(|key| one[key].as_u64().unwrap());
    assert_eq!((counts, one["StatusDetails"].as_str()), ([10_000, 10_000, 100, 100], Some("Incomplete")));
    let (mut states, mut token, mut pages): (BTreeMap<String, u32>, _, _) = (BTreeMap::new(), json!(null), 0);
    loop {
        let body = json!({"CommandId": command, "MaxResults": 50, "NextToken": token});
        let page = caller.ssm("ListCommandInvocations", &body).await;
        for invocation in page["CommandInvocations"].as_array().unwrap() {
            *states.entry(invocation["StatusDetails"].as_str().unwrap().to_owned()).or_default() += 1;
        }
        pages += 1;
        token = page["NextToken"].clone();
        if token.is_null() {
            break;
        }
    }
    let expected = [("DeliveryTimedOut", 100), ("Failed", 100), ("Success", 9800)];
    assert_eq!((pages, states), (200, expected.map(|(state, count)| (state.to_owned(), count)).into()));
    let truth = server.control().truth();
    let ok = truth.executions.iter().filter(|one| one.verdict == Some(Verdict::Ok)).count();
    assert_eq!((truth.executions.len(), ok), (10_000, 9800));
    let floor = server.control().floor(&FloorQuery { comment: "big".into(), ..FloorQuery::default() });
    assert_eq!((floor.commands, floor.nodes), (1, 10_000));
    assert!((floor.floor_ms - floor.actual_ms).abs() < 1.0 && floor.floor_ms > 200.0, "{floor:?}");
}
