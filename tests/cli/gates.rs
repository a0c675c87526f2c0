//! Alarms, target health and calendars: what lets a run begin, what lets it go on, and what stops it in the middle.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::harness::{Output, Running, Sim, together};

/// The arguments of a run on all nodes.
fn on_all<'a>(rollout: &[&'a str]) -> Vec<&'a str> {
    [&["exec", "-t", "all", "--yes"], rollout, &["--", "uptime"]].concat()
}

fn rolled_out(sim: &Sim, rollout: &[&str]) -> Output {
    sim.run(&on_all(rollout))
}

/// Starts it, and waits until something was sent.
fn begun<'a>(sim: &'a Sim, rollout: &[&str]) -> Running<'a> {
    let running = sim.herder(on_all(rollout)).spawn();
    sim.wait_until("something is sent", || !sim.calls("SendCommand").is_empty());
    running
}

fn of_type<'a>(events: &'a [Value], kind: &str) -> Vec<&'a Value> {
    events.iter().filter(|e| e["type"] == kind).collect()
}

/// The one gate that failed.
fn failed(output: &Output) -> Value {
    let events = output.events();
    let failed = of_type(&events, "gate_failed");
    assert_eq!(failed.len(), 1, "{output:?}");
    failed[0].clone()
}

fn sent(sim: &Sim) -> BTreeSet<String> {
    sim.control.truth().executions.into_iter().map(|e| e.instance_id).collect()
}

/// Whoever was not sent to has `not_run`, and it was a gate; the others are what they really are.
fn assert_stopped_by_gate(sim: &Sim, output: &Output) {
    let sent = sent(sim);
    for (id, target) in output.targets() {
        if !sent.contains(&id) {
            assert_eq!((&target["verdict"], &target["reason"]), (&json!("not_run"), &json!("gate")), "{id}");
        }
    }
    sim.assert_true(&output.verdicts());
    sim.assert_at_most_once();
}

const SLOW: &str = r#"
    [spec]
    nodes = 200
    windows = 0
    hybrid = 0
    duration = "2s"
    rate = "off"
    [[alarm]]
    name = "anything"
    composite = true
    rule = "ALARM(web-5xx)"
"#;

/// 200 nodes, four at a time, two seconds each: it would take a hundred.
#[test]
fn an_alarm_that_fires_in_the_middle_of_a_wave_stops_new_sends_within_ten_seconds() {
    together(["web-5xx", "anything"], |alarm| {
        let sim = Sim::scenario(SLOW);
        let others = ["--stop-on-alarm", "api-latency"];
        let rollout = [&["-c", "4", "--stop-on-alarm", alarm, "--jsonl"], &others[..]].concat();
        let running = begun(&sim, &rollout);
        sim.wait_until("some are sent", || sent(&sim).len() >= 8);
        assert!(sim.control.set_alarm("us-east-1", alarm, "ALARM"));
        let fired = Timestamp::now().as_microsecond();
        let output = running.wait().exits(6);

        let last = sim.calls("SendCommand").iter().map(|r| r.at_us).max().unwrap();
        assert!(last - fired <= 10_000_000, "sent {} us after it had fired", last - fired);
        assert_stopped_by_gate(&sim, &output);
        let count = sent(&sim).len();
        assert!(count < 100, "{count}");
        let gate = failed(&output);
        assert_eq!((&gate["gate"], &gate["mid_wave"]), (&json!(format!("alarm:{alarm}")), &json!(true)));
        assert!(gate["reason"].as_str().unwrap().contains("it is in ALARM: Set by hand"), "{gate}");
        let events = output.events();
        assert_eq!(of_type(&events, "run_stopping")[0]["reason"], "gate");
        assert_eq!(events[0]["stop_on_alarms"], json!([alarm, "api-latency"]));
        // One call tells of both, every few seconds.
        let looks = sim.calls("DescribeAlarms");
        let took = looks.last().unwrap().at_us - looks[0].at_us;
        assert!(looks.len() > 1 && looks.len() as i64 <= 2 + took / 3_500_000, "{looks:#?}");

        // A resume looks first.
        let again = sim.run(&["runs", "resume", "last", "-c", "200", "--jsonl"]).exits(6);
        assert_eq!(sent(&sim).len(), count, "{again:?}");
        assert_eq!(failed(&again)["gate"], format!("alarm:{alarm}"));
        sim.control.set_alarm("us-east-1", alarm, "OK");
        let done = sim.run(&["runs", "resume", "last", "-c", "200", "--json"]).exits(0);
        assert_eq!(done.tally()["ok"], 200);
        sim.assert_at_most_once();
    });
}

#[test]
fn an_alarm_that_fires_when_all_is_sent_is_no_success() {
    let sim = Sim::start("5,windows=0,hybrid=0,speed=1,duration=12s");
    let running = begun(&sim, &["--stop-on-alarm", "web-5xx", "--jsonl"]);
    sim.control.set_alarm("us-east-1", "web-5xx", "ALARM");
    let output = running.wait().exits(6);
    assert_eq!(output.tally()["ok"], 5);
    assert_eq!(failed(&output)["wave"], 1);
}

#[test]
fn what_says_no_before_the_first_change_is_a_refusal() {
    let scenario = r#"
        [spec]
        nodes = 5
        windows = 0
        speed = 1000
        [[alarm]]
        name = "fired"
        state = "ALARM"
        reason = "too many errors"
        [[alarm]]
        name = "new"
        state = "INSUFFICIENT_DATA"
        [[calendar]]
        name = "freeze"
        state = "CLOSED"
        changes = [{ state = "OPEN", after = "10000h" }]
        [[calendar]]
        name = "for-ever"
        state = "CLOSED"
    "#;
    let sim = Sim::scenario(scenario);
    let waves = ["--waves", "1,100%"];
    let gate = |gate: &'static str| [&waves[..], &["--gate", gate]].concat();
    let away = "tg:arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/tg-web/0123456789abcdef";
    for (rollout, exit, said) in [
        (
            vec!["--stop-on-alarm", "fired"],
            8,
            "the alarm `fired` keeps the run back: it is in ALARM: too many errors",
        ),
        (vec!["--stop-on-alarm", "nothing"], 3, "there is no alarm `nothing` in 123456789012/us-east-1"),
        (vec!["--stop-on-alarm", "fired", "--calendar", "nothing"], 3, "there is no calendar `nothing`"),
        (gate("alarm:nothing"), 3, "there is no alarm `nothing`"),
        (gate("tg:nothing"), 3, "there is no target group `nothing`"),
        (gate(away), 2, "is in another account or region than the targets"),
        (
            vec!["--stop-on-alarm", "arn:aws:cloudwatch:us-east-1:999999999999:alarm:fired"],
            2,
            "in another account or region",
        ),
        (
            vec!["--calendar", "freeze"],
            8,
            "the calendar `freeze` keeps the run back: it is CLOSED, and opens at 20",
        ),
        (vec!["--calendar", "for-ever"], 8, "does not say when it opens"),
        (
            vec!["--calendar", "AWS-RunShellScript"],
            2,
            "ssm:GetCalendarState of AWS-RunShellScript was rejected",
        ),
        (gate("calendar:freeze"), 2, "give --calendar freeze"),
        (gate("alarm:"), 2, "names no alarm"),
        (vec!["--stop-on-alarm", ""], 2, "is empty"),
    ] {
        let output = rolled_out(&sim, &rollout).exits(exit).says(said);
        assert!(output.stdout.is_empty(), "{output:?}");
    }
    for api in ["DescribeAlarms", "DescribeTargetGroups", "DescribeTargetHealth", "GetCalendarState"] {
        sim.deny(&[api]);
        let rollout =
            [&gate("tg:tg-web")[..], &["--stop-on-alarm", "web-5xx", "--calendar", "release", "--json"]]
                .concat();
        let output = rolled_out(&sim, &rollout).exits(4);
        assert!(
            output.json()["error"]["hints"][0].as_str().unwrap().contains(&format!(":{api}`")),
            "{output:?}"
        );
    }
    sim.deny(&[]);
    sim.assert_nothing_sent();
    assert!(sim.runs().is_empty());

    // Too little data is told, and keeps nothing back.
    let output = rolled_out(&sim, &["--stop-on-alarm", "new", "--json"]).exits(0);
    let _ = output.says("the alarm `new` stops nothing as it is: it is in INSUFFICIENT_DATA");
}

#[test]
fn gates_that_say_yes_let_every_wave_go_on() {
    let scenario = r#"
        [spec]
        nodes = 12
        windows = 0
        hybrid = 0
        speed = 1000
        [[alarm]]
        name = "new"
        state = "INSUFFICIENT_DATA"
        [[alarm]]
        name = "anything"
        composite = true
    "#;
    let sim = Sim::scenario(scenario);
    let arn = "alarm:arn:aws:cloudwatch:us-east-1:123456789012:alarm:web-5xx";
    let gates = ["alarm:anything", "alarm:new", arn, "tg:tg-web", "true"];
    let mut rollout =
        vec!["--waves", "1,4,100%", "--calendar", "release", "--stop-on-alarm", "web-5xx", "--jsonl"];
    rollout.extend(gates.iter().flat_map(|gate| ["--gate", gate]));
    let output = rolled_out(&sim, &rollout).exits(0);
    let events = output.events();
    let passed: Vec<(&str, u64)> = of_type(&events, "gate_passed")
        .iter()
        .map(|e| (e["gate"].as_str().unwrap(), e["wave"].as_u64().unwrap()))
        .collect();
    let between = |wave| ["calendar:release"].into_iter().chain(gates).map(move |gate| (gate, wave));
    assert_eq!(passed, between(1).chain(between(2)).collect::<Vec<_>>());
    let noted: BTreeSet<&str> = of_type(&events, "gate_passed")
        .iter()
        .filter(|e| e["note"].is_string())
        .map(|e| e["gate"].as_str().unwrap())
        .collect();
    assert_eq!(noted, BTreeSet::from(["alarm:new"]));
    assert_eq!((&events[0]["gates"], &events[0]["calendar"]), (&json!(gates), &json!("release")));
    assert_eq!(output.tally()["ok"], 12);
}

#[test]
fn gates_that_say_no_stop_the_run_after_the_wave() {
    let scenario = |more: &str| {
        format!("[spec]\nnodes = 12\nwindows = 0\nhybrid = 0\nspeed = 1000\nduration = \"1s\"\n{more}")
    };
    let alarm = "[[alarm]]\nname = \"errors\"\nchanges = [{ command = \"*uptime*\" }]";
    let detached = "[[target_group]]\nname = \"tg-green\"\ndetached = true";
    let empty = "[[target_group]]\nname = \"tg-empty\"\nnodes = \"nobody\"";
    let freeze = "[[calendar]]\nname = \"freeze\"\nchanges = [{ command = \"*uptime*\" }]";
    together(
        [
            (alarm, ["--gate", "alarm:errors"], "it is in ALARM: Threshold Crossed"),
            (
                detached,
                ["--gate", "tg:tg-green"],
                "12 of 12 targets are not healthy: 12 unused (Target.NotInUse): ",
            ),
            (empty, ["--gate", "tg:tg-empty"], "no target is registered"),
            (freeze, ["--calendar", "freeze"], "it is CLOSED"),
        ],
        |(more, guard, said)| {
            let sim = Sim::scenario(&scenario(more));
            let rollout = [&["--waves", "1,100%", "--jsonl"], &guard[..]].concat();
            let output = rolled_out(&sim, &rollout).exits(6);
            assert_eq!(sent(&sim).len(), 1, "{output:?}");
            assert_stopped_by_gate(&sim, &output);
            let gate = failed(&output);
            assert_eq!((&gate["wave"], &gate["mid_wave"]), (&json!(1), &Value::Null));
            assert!(gate["reason"].as_str().unwrap().starts_with(said), "{gate}");
            // A person who has looked may find that nothing has changed.
            let again = sim.run(&["runs", "resume", "last", "--jsonl"]).exits(6);
            assert_eq!(sent(&sim).len(), 1, "{again:?}");
            assert_eq!(failed(&again)["reason"], gate["reason"]);
        },
    );
}

#[test]
fn a_calendar_that_closes_is_waited_for_by_nobody_and_opens_for_a_resume() {
    let sim = Sim::start("6,windows=0,hybrid=0,speed=1,duration=2s");
    let running = begun(&sim, &["--calendar", "release", "--waves", "2,4,100%", "--jsonl"]);
    assert!(sim.control.set_calendar("us-east-1", "release", false));
    let output = running.wait().exits(6);
    assert_eq!((sent(&sim).len(), failed(&output)["gate"].as_str()), (2, Some("calendar:release")));
    assert_stopped_by_gate(&sim, &output);
    // Closed at a resume, in which waves are not crossed, it is asked all the same.
    let closed = sim.run(&["runs", "resume", "last", "--jsonl"]).exits(6);
    assert_eq!(
        (sent(&sim).len(), failed(&closed)["reason"].as_str().unwrap().starts_with("it is CLOSED")),
        (2, true)
    );
    sim.control.set_calendar("us-east-1", "release", true);
    assert_eq!(sim.run(&["runs", "resume", "last", "--json"]).exits(0).tally()["ok"], 6);
    sim.assert_at_most_once();
}

#[test]
fn targets_that_are_not_healthy_yet_are_waited_for() {
    // Speed 1000: four thousand seconds are four.
    let sim = Sim::scenario(
        r#"
        [spec]
        nodes = 6
        windows = 0
        hybrid = 0
        speed = 1000
        duration = "1s"
        [[target_group]]
        name = "tg-all"
        [[target_health]]
        group = "tg-all"
        command = "*uptime*"
        state = "initial"
        for = "4000s"
        "#,
    );
    let begun = Instant::now();
    let output = rolled_out(&sim, &["--waves", "1,100%", "--gate", "tg:tg-all", "--jsonl"]).exits(0);
    assert!(begun.elapsed() >= Duration::from_secs(4), "{:?}", begun.elapsed());
    assert_eq!((of_type(&output.events(), "gate_passed").len(), output.tally()["ok"]), (1, 6));
    // Before the first wave, at least twice between the two.
    assert!(sim.calls("DescribeTargetHealth").len() >= 3);
}

/// Three that take a minute: what does not answer, what does not get better, and what nobody may look at any more.
#[test]
fn nobody_waits_for_a_yes_for_longer_than_a_minute() {
    enum Trouble {
        Hangs,
        Unhealthy,
        Blind,
    }
    together([Trouble::Hangs, Trouble::Unhealthy, Trouble::Blind], |trouble| {
        let sim = Sim::scenario(
            r#"
            [spec]
            nodes = 60
            windows = 0
            hybrid = 0
            duration = "3s"
            rate = "off"
            [[target_group]]
            name = "tg-all"
            [[target_health]]
            command = "*uptime*"
            "#,
        );
        let waves = ["--waves", "1,100%", "--jsonl"];
        let (output, said) = match trouble {
            Trouble::Hangs => {
                // The first look is the one before the run.
                let holds: Vec<_> =
                    (2..40).map(|n| sim.hold("DescribeAlarms", n, herder_sim::When::Before)).collect();
                let output = rolled_out(&sim, &[&waves[..], &["--gate", "alarm:web-5xx"]].concat());
                holds.into_iter().for_each(|hold| sim.drop_held(hold));
                (output, "cloudwatch:DescribeAlarms of web-5xx got no usable answer")
            }
            Trouble::Unhealthy => {
                let output = rolled_out(&sim, &[&waves[..], &["--gate", "tg:tg-all"]].concat());
                (output, "1 of 60 targets are not healthy: 1 unhealthy (Target.FailedHealthChecks): i-")
            }
            Trouble::Blind => {
                let running = begun(&sim, &["-c", "1", "--stop-on-alarm", "web-5xx", "--jsonl"]);
                sim.deny(&["DescribeAlarms"]);
                let denied = Timestamp::now().as_microsecond();
                let output = running.wait();
                let last = sim.calls("SendCommand").iter().map(|r| r.at_us).max().unwrap() - denied;
                assert!((50_000_000..80_000_000).contains(&last), "{last} us");
                let output = output.says("the run stops if that lasts for 60 s");
                (output, "nobody could look at it for 60 s: cloudwatch:DescribeAlarms of web-5xx was denied")
            }
        };
        let output = output.exits(6);
        let gate = failed(&output);
        assert!(gate["reason"].as_str().unwrap().starts_with(said), "{gate}");
        assert_stopped_by_gate(&sim, &output);
        assert!(sent(&sim).len() < 60, "{}", sent(&sim).len());
    });
}

#[test]
fn a_gate_that_is_denied_stops_the_run_at_once() {
    let sim = Sim::start("6,windows=0,hybrid=0,speed=1,duration=2s");
    let running = begun(&sim, &["--waves", "1,100%", "--gate", "alarm:web-5xx", "--jsonl"]);
    sim.deny(&["DescribeAlarms"]);
    let denied = Instant::now();
    let output = running.wait().exits(6);
    assert!(denied.elapsed() < Duration::from_secs(30), "{:?}", denied.elapsed());
    let reason = failed(&output)["reason"].as_str().unwrap().to_owned();
    assert!(reason.contains("`cloudwatch:DescribeAlarms` is not allowed"), "{reason}");
    assert_eq!(sent(&sim).len(), 1);
}

#[test]
fn a_plan_shows_what_guards_the_run() {
    let sim = Sim::scenario(
        r#"
        [spec]
        nodes = 6
        windows = 0
        hybrid = 0
        unhealthy = 1
        [[alarm]]
        name = "fired"
        state = "ALARM"
        [[target_group]]
        name = "tg-all"
        "#,
    );
    let guards =
        ["--gate", "sh ./check", "--gate", "alarm:fired", "--gate", "tg:tg-all", "--calendar", "release"];
    let rollout = [&["--waves", "1,100%", "--dry-run", "--stop-on-alarm", "web-5xx"], &guards[..]].concat();
    let plan = rolled_out(&sim, &rollout).exits(0);
    for line in [
        "  needs the calendar `release`: it is OPEN\n",
        "  stops on the alarm `web-5xx`: it is in OK: Threshold Crossed",
        "  gate `sh ./check`\n",
        "  gate `alarm:fired`: it is in ALARM: ",
        "  gate `tg:tg-all`: 1 of 6 targets are not healthy: 1 unhealthy (Target.FailedHealthChecks): i-",
    ] {
        assert!(plan.stderr.contains(line), "{line:?} is not in {plan:?}");
    }
    let plan = plan.never_says("would be refused");
    assert_eq!(plan.text().lines().count(), 6);
    sim.control.set_calendar("us-east-1", "release", false);
    let refused = rolled_out(&sim, &rollout).exits(0);
    let _ =
        refused.says("  it would be refused now: the calendar `release` keeps the run back: it is CLOSED");
    let _ = rolled_out(&sim, &["--dry-run", "--stop-on-alarm", "nothing"]).exits(3);
    sim.assert_nothing_sent();
    assert!(sim.runs().is_empty());
}

/// Ids that `nodes list` gives.
fn listed(sim: &Sim, selectors: &[&str]) -> BTreeSet<String> {
    let targets = selectors.iter().flat_map(|selector| ["-t", selector]);
    let output = sim.herder(["nodes", "list", "--json"].into_iter().chain(targets)).run().exits(0);
    output.json().as_array().unwrap().iter().map(|node| node["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn groups_choose_their_members() {
    let sim = Sim::scenario(
        r#"
        [spec]
        nodes = 40
        windows = 0
        hybrid = 2
        stopped = 2
        speed = 1000
        [[target_group]]
        name = "tg-pods"
        kind = "ip"
        nodes = "db-*"
        [[target_group]]
        name = "tg-foreign"
        kind = "ip"
        nodes = "web-*"
        addresses = ["10.99.0.1"]
        [[target_group]]
        name = "tg-empty"
        nodes = "nobody"
        [[target_group]]
        name = "tg-function"
        kind = "lambda"
        [[resource_group]]
        name = "instances"
        types = ["AWS::EC2::Instance"]
        [[resource_group]]
        name = "nobody"
        tags = { env = ["moon"] }
        "#,
    );
    let nodes = sim.control.nodes();
    let those = |fits: &dyn Fn(&herder_sim::NodeRecord) -> bool| -> BTreeSet<String> {
        nodes.iter().filter(|node| fits(node)).map(|node| node.id.clone()).collect()
    };
    let has = |node: &herder_sim::NodeRecord, key: &str, value: &str| {
        node.tags.get(key).is_some_and(|have| have == value)
    };
    let is_instance = |node: &herder_sim::NodeRecord| node.id.starts_with("i-");
    let web = those(&|node| is_instance(node) && has(node, "role", "web"));
    let api = those(&|node| is_instance(node) && has(node, "role", "api"));
    let named = |prefix: &str| those(&|node| is_instance(node) && node.name.starts_with(prefix));
    let prod = those(&|node| has(node, "env", "prod"));
    assert!(!web.is_empty() && !api.is_empty() && !named("db-").is_empty() && !prod.is_empty());

    assert_eq!(listed(&sim, &["tg:tg-web"]), web);
    assert_eq!(listed(&sim, &["tg:tg-web,tg-api"]), &web | &api);
    assert_eq!(listed(&sim, &["tg:tg-w*", "tg:tg-api"]), &web | &api);
    assert_eq!(listed(&sim, &["tg:tg-web and tag:env=prod"]), &web & &prod);
    assert_eq!(listed(&sim, &["tg:tg-pods"]), named("db-"));
    assert_eq!(listed(&sim, &["rg:env-prod"]), prod);
    assert_eq!(listed(&sim, &["rg:env-p*"]), prod);
    assert_eq!(listed(&sim, &["rg:instances"]), those(&is_instance));
    assert_eq!(listed(&sim, &["not tg:tg-web"]), &those(&|_| true) - &web);
    assert_eq!(listed(&sim, &["all and not rg:env-prod"]), &those(&|_| true) - &prod);
    // An address that no instance has may be a hybrid node's: neither the group nor everything else has these.
    let foreign = sim.run(&["nodes", "list", "--json", "-t", "tg:tg-foreign"]).exits(0);
    let said = "of the target group `tg-foreign` belong";
    assert_eq!(foreign.says(said).says("10.99.0.1").json().as_array().unwrap().len(), named("web-").len());
    let hybrid = those(&|node| !is_instance(node));
    assert_eq!(listed(&sim, &["not tg:tg-foreign"]), &(&those(&|_| true) - &named("web-")) - &hybrid);

    // As with any condition, who is stopped is left out.
    let running: BTreeSet<String> = &web & &those(&|node| node.state == "running");
    assert!(running.len() < web.len());
    let exec = |selector: &str| sim.run(&["exec", "-t", selector, "--json", "--", "uptime"]);
    let arn = {
        let record = exec("tg:tg-web").exits(0);
        let record = record.says("left out: not running");
        assert_eq!(record.targets().into_keys().collect::<BTreeSet<_>>(), running);
        "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/tg-nothing/0123456789abcdef"
    };
    for (selector, exit, said) in [
        ("tg:nothing", 3, "there is no target group `nothing`"),
        ("tg:tg-wbe", 3, "Did you mean `tg:tg-web`?"),
        (&format!("tg:{arn}"), 3, "there is no target group `arn:"),
        ("tg:tg-nothing*", 3, "there is no target group `tg-nothing*`"),
        ("tg:tg-web,nothing", 3, "there is no target group `nothing`"),
        ("rg:nothing", 3, "there is no resource group `nothing`"),
        ("tg:tg-empty", 3, "no node matches `tg:tg-empty`"),
        ("rg:nobody", 3, "no node matches `rg:nobody`"),
        ("tg:tg-function", 2, "the target group `tg-function` holds a Lambda function, and no nodes"),
    ] {
        let _ = exec(selector).exits(exit).says(said);
    }
    for (api, selector, action) in [
        ("DescribeTargetGroups", "tg:tg-web", "elasticloadbalancing:DescribeTargetGroups"),
        ("DescribeTargetHealth", "not tg:tg-web", "elasticloadbalancing:DescribeTargetHealth"),
        ("ListGroupResources", "not rg:env-prod", "resource-groups:ListGroupResources"),
        ("ListGroups", "rg:env-*", "resource-groups:ListGroups"),
    ] {
        sim.deny(&[api]);
        let _ = exec(selector).exits(4).says(action);
    }
    sim.deny(&[]);
    assert_eq!(sent(&sim), running, "of all these only the first was sent anything");
}

#[test]
fn a_resume_that_can_not_look_at_its_alarm_reads_what_runs_and_sends_nothing() {
    let sim = Sim::start("nodes=6,windows=0,hybrid=0,rate=off,duration=3s");
    let running = sim
        .herder(["exec", "-t", "all", "--yes", "--stop-on-alarm", "web-5xx", "-c", "3", "--", "uptime"])
        .spawn();
    sim.wait_until("the first are sent", || sim.control.truth().executions.len() == 3);
    running.kill();
    sim.deny(&["DescribeAlarms"]);
    let output = sim
        .run(&["runs", "resume", "last", "--json"])
        .exits(6)
        .says("alarm:web-5xx")
        .says("it can't be looked at");
    assert_eq!(output.tally()["ok"], 3);
    assert_eq!(output.tally()["not_run"], 3);
    sim.assert_at_most_once();
}

/// Plain beforehand, and known before a canary has been changed.
#[test]
fn a_gate_that_is_not_there_is_told_before_anything_is_sent() {
    let sim = Sim::start("4,windows=0,hybrid=0");
    let waves = ["--waves", "1,100%", "--gate"];
    let missing = rolled_out(&sim, &[&waves[..], &["./nope.sh --strict"]].concat()).exits(2);
    let _ = missing.says("the gate `./nope.sh` can't be run").says("No such file").says("hint: Gates run on");
    sim.file("check.sh", "exit 0\n");
    let _ = rolled_out(&sim, &[&waves[..], &["./check.sh"]].concat()).exits(2).says("is not executable");
    sim.assert_nothing_sent();
    // What a shell makes of anything else is its own affair.
    let _ = rolled_out(&sim, &[&waves[..], &["sh ./check.sh"]].concat()).exits(0);
}
