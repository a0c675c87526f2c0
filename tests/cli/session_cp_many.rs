//! `herder session cp -t`: files to and from many nodes, as a run with verdicts, a budget and a journal.

use std::collections::BTreeMap;

use herder_sim::When;
use serde_json::Value;

use crate::harness::{Output, Sim, together};

const TO: &str = ":/tmp/app.conf";
const AT: &str = "/tmp/app.conf";

/// Real time: idle sessions time out by simulated time. Quotas are off, so that only herder's own pace is left.
fn sim(spec: &str) -> Sim {
    Sim::start(&format!("speed=1,rate=off,hybrid=0,{spec}"))
}

fn content(bytes: u32) -> Vec<u8> {
    (0..bytes).map(|n| (n.wrapping_mul(2_654_435_761) >> 11) as u8).collect()
}

fn cp(sim: &Sim, words: &[&str]) -> Output {
    sim.run(&[&["session", "cp"], words].concat())
}

/// Sessions by node.
fn sessions(sim: &Sim) -> BTreeMap<String, usize> {
    let mut sessions = BTreeMap::new();
    for session in sim.control.sessions() {
        *sessions.entry(session.target).or_insert(0) += 1;
    }
    sessions
}

fn has(sim: &Sim, id: &str, bytes: &[u8]) -> bool {
    sim.control.file(id, AT).as_deref() == Some(bytes)
}

#[test]
fn twenty_nodes_get_the_file_and_give_it_back() {
    let sim = sim("nodes=20,windows=0");
    let config = content(200_000);
    sim.file("app.conf", &config);
    let output =
        cp(&sim, &["app.conf", TO, "-t", "all", "--yes", "--reason", "ticket 7", "--jsonl"]).exits(0);
    let ids = sim.ids(None);
    assert_eq!(output.tally(), BTreeMap::from([("ok".to_owned(), 20)]));
    assert!(ids.iter().all(|id| has(&sim, id, &config)), "what the nodes have is what was copied");
    assert!(sim.control.sessions().iter().all(|session| session.status == "Terminated"), "none is left");
    assert!(sessions(&sim).values().all(|count| *count == 1), "{:?}", sessions(&sim));
    let run = sim.the_run().file_name().unwrap().to_str().unwrap().to_owned();
    let reason = format!("herder {run}: ticket 7");
    assert!(sim.control.sessions().iter().all(|session| session.reason.as_ref() == Some(&reason)));
    let events = output.events();
    assert_eq!((&events[0]["type"], &events[0]["command"]), (&"run_started".into(), &"session cp".into()));
    let sent: Vec<&Value> = events.iter().filter(|event| event["type"] == "target_sent").collect();
    assert_eq!(sent.len(), 20);
    let known: Vec<String> = sim.control.sessions().into_iter().map(|session| session.id).collect();
    for (id, target) in output.targets() {
        assert_eq!(target["stdout"], "copied and checked 1 file, 200.0 KB\n");
        assert!(known.contains(&target["command_id"].as_str().unwrap().to_owned()), "{target}");
        assert!(target["duration_ms"].is_u64() && target["exit_code"].is_null(), "{id}: {target}");
    }
    let back = cp(&sim, &[TO, "got", "-t", "all", "--yes", "--json"]).exits(0);
    assert_eq!(back.verdicts().len(), 20);
    for id in &ids {
        assert!(std::fs::read(sim.path(&format!("got/{id}/app.conf"))).unwrap() == config, "{id}");
    }
    let shown = sim.run(&["runs", "list", "--json"]).exits(0).json();
    assert_eq!((&shown[0]["command"], &shown[0]["exit"]), (&"session cp".into(), &0.into()));
}

#[test]
fn trees_go_to_and_from_many_nodes() {
    let sim = sim("nodes=4,windows=0");
    for (name, text) in [("tree/a", "one"), ("tree/b c/d", "two\n")] {
        std::fs::create_dir_all(sim.path(name).parent().unwrap()).unwrap();
        sim.file(name, text);
    }
    let _ = cp(&sim, &["tree", ":/tmp/tree", "-t", "all", "--yes"]).exits(2).says("Copy directories with -r");
    let output = cp(&sim, &["-r", "tree", ":/tmp/tree", "-t", "all", "--yes", "--json"]).exits(0);
    for (id, target) in output.targets() {
        assert_eq!(sim.control.file(&id, "/tmp/tree/b c/d").unwrap(), b"two\n");
        assert_eq!(target["stdout"], "copied and checked 2 files, 7 B\n");
    }
    let _ = cp(&sim, &["-r", ":/tmp/tree", "got", "-t", "all", "--yes"]).exits(0);
    for id in sim.ids(None) {
        assert_eq!(std::fs::read(sim.path(&format!("got/{id}/tree/a"))).unwrap(), b"one");
    }
}

/// What became the destination because there was nothing stays it, although it is there now.
#[test]
fn a_tree_that_was_cut_off_is_completed_where_it_is() {
    let sim = sim("nodes=2,windows=0,session_paced=true");
    std::fs::create_dir(sim.path("tree")).unwrap();
    let large = content(3_000_000);
    sim.file("tree/a", &large);
    sim.file("tree/b", "small");
    let words = ["session", "cp", "-r", "tree", ":/tmp/tree", "-t", "all", "--yes", "-c", "1"];
    let running = sim.herder(words).spawn();
    sim.wait_until("bytes are there", || {
        sim.control.sessions().last().is_some_and(|session| session.input_bytes > 1_000_000)
    });
    running.kill();
    let _ = sim.run(&["runs", "resume", "last"]).exits(0);
    for id in sim.ids(None) {
        assert!(sim.control.file(&id, "/tmp/tree/a").unwrap() == large, "{id}");
        assert!(sim.control.file(&id, "/tmp/tree/tree/a").is_none(), "{id}");
        let listed = sim.run(&["session", "exec", &id, "--", "ls -A /tmp/tree"]).exits(0);
        assert_eq!(listed.text(), "a\nb\n");
    }
}

#[test]
fn every_node_has_its_own_verdict() {
    let sim = sim("nodes=12,windows=2,offline=20%");
    sim.file("app.conf", "x = 1\n");
    let nodes = sim.control.nodes();
    let offline =
        nodes.iter().find(|node| node.ping != "Online" && node.platform == "Linux").unwrap().id.clone();
    let windows =
        nodes.iter().find(|node| node.ping == "Online" && node.platform == "Windows").unwrap().id.clone();
    let mut linux = nodes.iter().filter(|node| node.ping == "Online" && node.platform == "Linux");
    let locked = linux.next().unwrap().id.clone();
    let lock = "ln -s /etc/hosts /tmp/app.conf";
    let _ = sim.run(&["session", "exec", &locked, "--", lock]).exits(0);
    let words = ["app.conf", TO, "-t", "all", "--yes", "--max-errors", "100%", "--json"];
    let output = cp(&sim, &words).exits(1);
    let targets = output.targets();
    let said = |id: &str| {
        (targets[id]["verdict"].as_str().unwrap(), targets[id]["reason"].as_str().unwrap_or_default())
    };
    assert_eq!(said(&offline), ("undelivered", "offline"));
    assert_eq!(said(&windows), ("denied", "invalid_platform"));
    assert_eq!(said(&locked), ("failed", "permission_denied"));
    let complaint = targets[&locked]["stderr"].as_str().unwrap();
    assert!(complaint.contains("could not write /tmp/app.conf: permission denied"), "{complaint}");
    assert!(complaint.contains("hint: The session's user has to be allowed to"), "{complaint}");
    for node in linux {
        assert_eq!(said(&node.id), ("ok", ""));
        assert!(has(&sim, &node.id, b"x = 1\n"));
    }
    // The same again on those that failed, once the reason is gone.
    let _ = sim.run(&["session", "exec", &locked, "--", "rm /tmp/app.conf"]).exits(0);
    let _ = sim.run(&["runs", "retry", "last", "--where", "failed", "--json"]).exits(0);
    assert!(has(&sim, &locked, b"x = 1\n"));
}

#[test]
fn the_budget_stops_what_has_not_begun() {
    let sim = sim("nodes=8,windows=0");
    sim.file("app.conf", "x");
    let words = ["app.conf", ":/nowhere/app.conf", "-t", "all", "--yes", "-c", "2", "--json"];
    let output = cp(&sim, &words).exits(6);
    let tally = output.tally();
    assert!(tally["failed"] <= 2 && tally["not_run"] >= 6, "{tally:?}");
    assert!(sim.control.sessions().len() <= 2);
    let failed = output.targets().into_values().find(|target| target["verdict"] == "failed").unwrap();
    assert_eq!(failed["reason"], "not_found");
    // Waves: a canary that fails touches one node.
    let before = sim.control.sessions().len();
    let waves = ["app.conf", ":/nowhere/app.conf", "-t", "all", "--yes", "--waves", "1,100%", "--json"];
    let tally = cp(&sim, &waves).exits(6).tally();
    assert_eq!((tally["failed"], tally["not_run"]), (1, 7));
    assert_eq!(sim.control.sessions().len(), before + 1);
}

#[test]
fn a_killed_run_goes_on_and_repeats_nothing() {
    let cases = [(1, When::Before), (2, When::After), (4, When::Before), (6, When::After)];
    together(cases, |(nth, when)| {
        let sim = sim("nodes=6,windows=0");
        let config = content(50_000);
        sim.file("app.conf", &config);
        let hold = sim.hold("StartSession", nth, when);
        let words = ["session", "cp", "app.conf", TO, "-t", "all", "--yes", "-c", "2"];
        let mut running = sim.herder(words).spawn();
        assert!(running.comes_to(hold), "{nth}");
        running.kill();
        sim.drop_held(hold);
        let events = sim.run_lines("events.jsonl");
        let finished: Vec<String> = events
            .iter()
            .filter(|event| event["type"] == "target_finished")
            .map(|event| event["target"].as_str().unwrap().to_owned())
            .collect();
        assert!(finished.len() < usize::try_from(nth).unwrap(), "{nth}: {finished:?}");
        let before = sessions(&sim);
        let output = sim.run(&["runs", "resume", "last", "--json"]).exits(0);
        assert_eq!(output.tally(), BTreeMap::from([("ok".to_owned(), 6)]), "{nth}");
        assert!(sim.ids(None).iter().all(|id| has(&sim, id, &config)), "{nth}");
        let after = sessions(&sim);
        for id in &finished {
            assert_eq!(before[id], after[id], "{nth}: {id} was copied to again");
        }
        let _ = sim.run(&["runs", "resume", "last"]).exits(0).says("nothing left to do");
    });
}

#[test]
fn a_copy_that_was_cut_off_goes_on_where_it_was() {
    let sim = sim("nodes=2,windows=0,session_paced=true");
    let large = content(4_000_000);
    sim.file("app.conf", &large);
    let running = sim.herder(["session", "cp", "app.conf", TO, "-t", "all", "--yes", "-c", "1"]).spawn();
    sim.wait_until("bytes are there", || {
        sim.control.sessions().last().is_some_and(|session| session.input_bytes > 1_000_000)
    });
    running.kill();
    let before = sim.control.sessions().len();
    let _ = sim.run(&["runs", "resume", "last"]).exits(0);
    assert!(sim.ids(None).iter().all(|id| has(&sim, id, &large)));
    let second = &sim.control.sessions()[before];
    assert!(second.input_bytes < 3_500_000, "it went on where it was: {} bytes", second.input_bytes);
}

#[test]
fn a_source_that_changed_goes_to_nobody_else() {
    let sim = sim("nodes=4,windows=0");
    sim.file("app.conf", "one");
    let hold = sim.hold("StartSession", 2, When::Before);
    let mut running = sim.herder(["session", "cp", "app.conf", TO, "-t", "all", "--yes", "-c", "1"]).spawn();
    assert!(running.comes_to(hold));
    running.kill();
    sim.drop_held(hold);
    sim.file("app.conf", "other");
    let refused = sim.run(&["runs", "resume", "last"]).exits(2);
    let _ = refused.says("is not what run").says("different files");
    assert!(!sim.ids(None).iter().any(|id| has(&sim, id, b"other")));
    // It can be called off all the same, and made anew.
    let _ = sim.run(&["runs", "cancel", "last"]).exits(0);
    let _ = cp(&sim, &["app.conf", TO, "-t", "all", "--yes"]).exits(0);
    assert!(sim.ids(None).iter().all(|id| has(&sim, id, b"other")));

    // Also in the middle of a run.
    let hold = sim.hold("StartSession", 1, When::Before);
    let words = ["session", "cp", "app.conf", ":/tmp/more", "-t", "all", "--yes", "-c", "1", "--json"];
    let mut running = sim.herder(words).spawn();
    assert!(running.comes_to(hold));
    sim.file("app.conf", "yet another");
    sim.continue_held(hold);
    let output = running.wait().exits(6);
    let tally = output.tally();
    assert_eq!((tally["failed"], tally["not_run"]), (1, 3), "{tally:?}");
    let failed = output.targets().into_values().find(|target| target["verdict"] == "failed").unwrap();
    assert_eq!(failed["reason"], "source_changed");
}

#[test]
fn an_interrupt_ends_what_is_under_way() {
    let sim = sim("nodes=3,windows=0,session_paced=true");
    sim.file("app.conf", content(30_000_000));
    let words = ["session", "cp", "app.conf", TO, "-t", "all", "--yes", "-c", "2", "--json"];
    let running = sim.herder(words).spawn();
    sim.wait_until("both copy", || {
        sim.control.sessions().iter().filter(|session| session.input_bytes > 10_000).count() == 2
    });
    running.signal("TERM");
    let output = running.wait().exits(130);
    let tally = output.tally();
    assert_eq!((tally["cancelled"], tally["not_run"]), (2, 1), "{tally:?}");
    sim.wait_until("no session is left", || {
        sim.control.sessions().iter().all(|session| session.status == "Terminated")
    });
    assert!(!sim.ids(None).iter().any(|id| sim.control.file(id, AT).is_some()), "whole or not at all");
}

#[test]
fn a_dry_run_copies_nothing() {
    let sim = sim("nodes=6,windows=1");
    sim.file("app.conf", "12345");
    let words = ["app.conf", TO, "-t", "all", "--waves", "1,100%", "--dry-run", "--json"];
    let output = cp(&sim, &words).exits(0);
    let output = output.says("on 6 targets; nothing is copied").says("1 file, 5 B to each");
    let output = output.says("waves: 1, then 5 targets").says("1 target is bad before anything is sent");
    let document = output.json();
    assert_eq!((&document["plan"]["sends"], &document["plan"]["bad_before"]), (&5.into(), &1.into()));
    let plan = &document["targets"];
    assert_eq!(plan.as_array().unwrap().len(), 6);
    let windows = plan.as_array().unwrap().iter().find(|target| target["platform"] == "windows").unwrap();
    assert_eq!((&windows["judged"], &windows["to"]), (&"denied (invalid_platform)".into(), &Value::Null));
    let linux = plan.as_array().unwrap().iter().find(|target| target["platform"] == "linux").unwrap();
    assert_eq!(linux["to"], AT);
    let back = cp(&sim, &[TO, "got", "-t", "web-1", "--dry-run", "--json"]).exits(0).json();
    assert!(
        back["targets"][0]["to"].as_str().unwrap().ends_with(&format!("got/{}", sim.id("web-1"))),
        "{back}"
    );
    sim.assert_nothing_sent();
    assert!(sim.runs().is_empty() && !sim.path("got").exists());
}

#[test]
fn what_is_denied_or_throttled() {
    let sim = sim("nodes=4,windows=0");
    sim.file("app.conf", "x");
    sim.deny(&["StartSession"]);
    let words = ["app.conf", TO, "-t", "all", "--yes", "--json"];
    let output = cp(&sim, &words).exits(4).says("ssm:StartSession");
    assert!(output.tally().keys().all(|verdict| verdict == "not_run" || verdict == "denied"));
    sim.deny(&[]);
    let throttled = Sim::start("speed=1,hybrid=0,nodes=4,windows=0,throttle=30%");
    throttled.file("app.conf", "x");
    let output = cp(&throttled, &words).exits(0);
    assert_eq!(output.tally(), BTreeMap::from([("ok".to_owned(), 4)]));
}

#[test]
fn what_can_not_be_meant_is_a_usage_error() {
    let sim = sim("nodes=5,windows=0");
    sim.file("f", "x");
    let usage = |words: &[&str]| cp(&sim, words).exits(2).silent();
    let _ = usage(&["f", "web-1:/tmp/f", "-t", "all"]).says("named with -t and in the path as well");
    let several = cp(&sim, &["f", "web-*:/tmp/f"]).exits(8).silent();
    let _ = several.says("gives 2 nodes").says("-t 'web-*' and :PATH");
    let _ = usage(&["f", TO]).says("choose nodes with -t SELECTOR");
    let _ = usage(&["f", "g", "-t", "all"]).says("neither side of the copy is on the nodes");
    let _ = usage(&[":/a", ":/b", "-t", "all"]).says("not between nodes");
    let _ = usage(&["-", TO, "-t", "all"]).says("a stream can't be copied");
    let piped = sim.herder(["session", "cp", "pipe", TO, "-t", "all", "--yes"]);
    let piped = piped.by_shell("mkfifo pipe && \"$@\"").run().exits(2).silent();
    let _ = piped.says("`pipe` is no file").says("Write what is in it to a file first");
    let _ = usage(&["/proc/version", TO, "-t", "all", "--yes"]).says("`/proc/version` has no size");
    let _ = usage(&[":/etc/hosts", "-", "-t", "all"]).says("a stream can't be copied");
    let _ = usage(&[":/etc/hosts", "f", "-t", "all"]).says("is no directory");
    let _ = usage(&["f", "web-1:/tmp/f", "--max-errors", "1"]).says("--target");
    let _ = usage(&["f", TO, "-t", "all", "--via", "service"]).says("carries no files");
    let _ = usage(&["f", TO, "-t", "all", "-c", "0"]).says("--concurrency 0");
    let _ = cp(&sim, &["f", TO, "-t", "all"]).exits(8).says("has to be confirmed");
    let _ = cp(&sim, &["nope", TO, "-t", "all", "--yes"]).exits(3).says("could not read `nope`");
    let _ = cp(&sim, &["f", TO, "-t", "nobody"]).exits(3).says("no node matches `nobody`");
    sim.assert_nothing_sent();
}
