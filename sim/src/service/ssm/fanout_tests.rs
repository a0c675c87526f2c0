//! The service's own fan-out: limits, ramp and pages of one big command.

use super::tests::Bench;
use crate::clock::At;
use crate::quota::Quotas;
use crate::service::ssm::command::Command;
use crate::service::ssm::engine::Ended;
use crate::truth::{FloorQuery, Verdict, floor, truth};
use serde_json::{Value, json};

impl Bench {
    /// Sends a command to every node by a tag that all have.
    fn send_all(&mut self, limits: &Value) -> String {
        let mut body = json!({"DocumentName": "AWS-RunShellScript", "Parameters": {"commands": ["true"]},
                              "Targets": [{"Key": "tag-key", "Values": ["env"]}], "TimeoutSeconds": 60});
        for (key, value) in limits.as_object().unwrap() {
            body[key] = value.clone();
        }
        self.call("SendCommand", body).unwrap()["Command"]["CommandId"].as_str().unwrap().to_owned()
    }

    fn command(&self, id: &str) -> &Command {
        let region = self.world.regions.values().next().unwrap();
        region.command(id, self.now).unwrap()
    }
}

/// The largest number of invocations that were open at once.
fn most_at_once(command: &Command) -> usize {
    let mut events: Vec<(At, i64)> = Vec::new();
    for one in command.invocations.iter().filter(|one| one.sent_at != At::NEVER) {
        events.push((one.sent_at, 1));
        events.push((one.finished_at, -1));
    }
    events.sort_unstable();
    let (mut open, mut most) = (0, 0);
    for (_, change) in events {
        open += change;
        most = most.max(open);
    }
    most as usize
}

#[test]
fn concurrency_is_a_number_or_a_part() {
    for (limit, expected) in [("7", 7), ("10%", 40), ("1%", 4), ("100%", 400), ("1", 1)] {
        let mut bench = Bench::new("nodes=400,windows=0,duration=20s");
        let id = bench.send_all(&json!({"MaxConcurrency": limit, "MaxErrors": "100%"}));
        assert_eq!(most_at_once(bench.command(&id)), expected, "{limit}");
    }
    let mut bench = Bench::new("nodes=30,windows=0,duration=20s");
    let id = bench.send_all(&json!({"MaxConcurrency": "1%", "MaxErrors": "0"}));
    assert_eq!(most_at_once(bench.command(&id)), 1);
}

#[test]
fn the_first_error_too_many_stops_the_sending() {
    for (limit, allowed) in [("0", 0), ("5", 5), ("10%", 20), ("1%", 2)] {
        let mut bench = Bench::new("nodes=200,windows=0,broken=30%,duration=2s");
        let id = bench.send_all(&json!({"MaxConcurrency": "1", "MaxErrors": limit}));
        bench.wait(100_000.0);
        let command = bench.command(&id);
        let count = |ended| command.invocations.iter().filter(|one| one.ended == ended).count();
        assert_eq!(count(Ended::Failed), allowed + 1, "{limit}");
        assert!(count(Ended::Terminated) > 0);
        let summary = command.summary(bench.now);
        assert_eq!((summary.details, summary.completed), ("Failed", 200));
    }
}

#[test]
fn overshoot_is_what_was_in_flight() {
    let mut bench = Bench::new("nodes=1000,windows=0,broken=5%,duration=5s");
    let id = bench.send_all(&json!({"MaxConcurrency": "100", "MaxErrors": "10"}));
    bench.wait(10_000.0);
    let command = bench.command(&id);
    let failed = command.invocations.iter().filter(|one| one.ended == Ended::Failed).count();
    assert!((11..=110).contains(&failed), "{failed}");
}

#[test]
fn sending_doubles_until_the_limit() {
    let mut bench = Bench::new("nodes=200,windows=0,duration=600s");
    let id = bench.send_all(&json!({"MaxConcurrency": "20", "MaxErrors": "100%"}));
    let command = bench.command(&id);
    let sent = |seconds| {
        let at = command.requested_at.plus_seconds(seconds);
        command.invocations.iter().filter(|one| one.sent_at <= at).count()
    };
    // Every step takes as long as the slowest node of it: 0.8 to 1.2 s.
    assert_eq!((sent(0.0), sent(0.7)), (1, 1));
    assert_eq!((sent(1.3), sent(10.0)), (3, 20));
}

#[test]
fn targets_are_counted_once_they_are_resolved() {
    for (switch, first) in [("", 0), (",late_targets=false", 50)] {
        let mut bench = Bench::new(&format!("nodes=50,windows=0{switch}"));
        let id = bench.send_all(&json!({}));
        let count = |bench: &mut Bench| {
            bench.call("ListCommands", json!({"CommandId": id})).unwrap()["Commands"][0]["TargetCount"]
                .clone()
        };
        assert_eq!(count(&mut bench), first);
        bench.wait(0.5);
        assert_eq!(count(&mut bench), 50);
    }
}

#[test]
fn nodes_that_were_not_come_to_may_have_no_invocation() {
    for (switch, hides) in [("", false), (",unsent_hidden=true", true)] {
        let mut bench = Bench::new(&format!("nodes=50,windows=0,broken=100%,duration=2s{switch}"));
        let id = bench.send_all(&json!({"MaxConcurrency": "1", "MaxErrors": "0"}));
        bench.wait(1000.0);
        let page = bench.call("ListCommandInvocations", json!({"CommandId": id})).unwrap();
        let listed = page["CommandInvocations"].as_array().unwrap().len();
        let command = bench.call("ListCommands", json!({"CommandId": id})).unwrap()["Commands"][0].clone();
        assert_eq!((&command["TargetCount"], &command["Status"]), (&json!(50), &json!("Failed")));
        let sent = bench.command(&id).invocations.iter().filter(|one| one.sent_at != At::NEVER).count();
        assert!(
            sent < 5 && listed == if hides { sent } else { 50 },
            "{switch}: {sent} sent, {listed} listed"
        );
        let unsent = bench.command(&id).invocations.iter().find(|one| one.sent_at == At::NEVER).unwrap();
        let node =
            bench.world.regions.values().next().unwrap().fleet.at(unsent.draft.node).unwrap().id.clone();
        let read = bench.call("GetCommandInvocation", json!({"CommandId": id, "InstanceId": node}));
        assert_eq!(read.is_ok(), !hides, "{switch}");
    }
}

#[test]
fn all_by_their_ids_may_be_refused() {
    let mut bench = Bench::new("nodes=5,windows=0,targets_all_refused=true");
    let all = json!({"DocumentName": "AWS-RunShellScript", "Parameters": {"commands": ["true"]},
                     "Targets": [{"Key": "InstanceIds", "Values": ["*"]}]});
    assert_eq!(bench.call("SendCommand", all).unwrap_err().code, "ValidationException");
}

#[test]
fn truth_and_floor_of_one_big_command() {
    let mut bench = Bench::new("nodes=10000,windows=0,broken=1%,duration=fleet");
    let id = bench.send_all(&json!({"MaxConcurrency": "100%", "MaxErrors": "100%", "Comment": "big"}));
    bench.wait(100_000.0);
    let truth = truth(&bench.world, bench.now);
    assert!(truth.settled && truth.executions.iter().all(|one| one.command_id == id && one.runs == 1));
    let failed = truth.executions.iter().filter(|one| one.verdict == Some(Verdict::Failed)).count();
    assert_eq!((truth.executions.len(), failed), (10_000, 100));
    let query = FloorQuery { comment: "big".into(), ..FloorQuery::default() };
    let floor = floor(&bench.world, &Quotas::new(None, None), &query, bench.now);
    assert_eq!((floor.commands, floor.nodes, floor.last_send_ms), (1, 10_000, 0.0));
    assert!((floor.floor_ms - floor.actual_ms).abs() < 0.01);
    // Fourteen doublings of about a second, and then the slowest node.
    assert!((20_000.0..90_000.0).contains(&floor.floor_ms), "{}", floor.floor_ms);
}
