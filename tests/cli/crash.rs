//! Killed at every mutating request, before and after its effect: `runs resume` goes on, and nothing runs twice.

use std::collections::{BTreeMap, BTreeSet};

use herder_sim::When;

use crate::harness::{Output, Sim, together};

const NODES: u32 = 120;
const RUN: [&str; 11] =
    ["exec", "-t", "all", "--yes", "-c", "30", "--max-errors", "100%", "--json", "--", "hostname"];
const RESUME: [&str; 4] = ["runs", "resume", "last", "--json"];

fn fleet() -> Sim {
    Sim::start(&format!("nodes={NODES},windows=12,rate=off,duration=200s"))
}

/// Kills a run at its nth mutating request. None: it ended before there was such a request.
fn killed_at(nth: u32, when: When) -> Option<Sim> {
    let sim = fleet();
    let hold = sim.hold_mutating(nth, when);
    let mut running = sim.herder(RUN).spawn();
    if !running.comes_to(hold) {
        running.wait().exits(0).tally();
        return None;
    }
    running.kill();
    sim.drop_held(hold);
    Some(sim)
}

/// Nodes of sends that have no answer on record and never took effect.
pub(crate) fn lost(sim: &Sim) -> usize {
    let records = sim.run_lines("journal.jsonl");
    let run = sim.the_run().file_name().unwrap().to_str().unwrap().to_owned();
    let mut open: BTreeMap<u64, usize> = BTreeMap::new();
    for record in records {
        let intent = record["intent"].as_u64().unwrap();
        match record["type"].as_str().unwrap() {
            "send" => drop(open.insert(intent, record["targets"].as_array().unwrap().len())),
            "sent" | "not_sent" => drop(open.remove(&intent)),
            _ => {}
        }
    }
    let took_effect: BTreeSet<String> =
        sim.mutating().into_iter().filter(|r| r.took_effect).filter_map(|r| r.comment).collect();
    open.retain(|intent, _| !took_effect.contains(&format!("herder {run} #{intent}")));
    open.values().sum()
}

/// Commands whose effect the journal did not see.
fn assert_all_adopted(sim: &Sim) {
    let records = sim.run_lines("journal.jsonl");
    let known: BTreeSet<&str> = records.iter().filter_map(|r| r["command_id"].as_str()).collect();
    for execution in sim.control.truth().executions {
        assert!(known.contains(execution.command_id.as_str()), "not adopted: {execution:?}");
    }
}

fn check(sim: &Sim, output: &Output) -> usize {
    let verdicts = output.verdicts();
    // The document of a resume shows what this process judged; the journal has all of it.
    let shown = sim.run(&["runs", "show", "last", "--json"]).exits(0);
    let all = shown.verdicts();
    assert_eq!(all.len(), NODES as usize);
    assert!(verdicts.iter().all(|(id, verdict)| all[id] == *verdict));
    sim.assert_true(&all);
    sim.assert_at_most_once();
    assert_all_adopted(sim);
    let unknown = all.values().filter(|v| *v == "unknown").count();
    assert_eq!(all.values().filter(|v| *v == "ok").count() + unknown, NODES as usize, "{:?}", shown.tally());
    unknown
}

fn matrix(when: When, check: impl Fn(u32, Sim) + Sync) {
    let held = std::sync::atomic::AtomicU32::new(0);
    together(1..=9, |nth| {
        if let Some(sim) = killed_at(nth, when) {
            held.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            check(nth, sim);
        }
    });
    let held = held.into_inner();
    assert!(held >= 4, "only {held} sends could be held");
}

#[test]
fn killed_before_the_effect() {
    matrix(When::Before, |nth, sim| {
        let lost = lost(&sim);
        assert!((1..=60).contains(&lost), "{lost} at {nth}");
        let output = sim.run(&RESUME).exits(5);
        assert_eq!(check(&sim, &output), lost, "at {nth}");
        // Asked again, with the risk taken: everything ends well, and each node ran it once.
        let output = sim.run(&["runs", "resume", "last", "--json", "--resend-ambiguous"]).exits(0);
        assert_eq!(check(&sim, &output), 0);
        assert_eq!(sim.control.truth().runs_by_node("herder ").len(), NODES as usize);
    });
}

#[test]
fn killed_before_the_effect_and_resent_at_once() {
    matrix(When::Before, |_, sim| {
        let output = sim.run(&["runs", "resume", "last", "--json", "--resend-ambiguous"]).exits(0);
        assert_eq!(check(&sim, &output), 0);
        assert_eq!(sim.control.truth().runs_by_node("herder ").len(), NODES as usize);
    });
}

#[test]
fn killed_after_the_effect() {
    matrix(When::After, |nth, sim| {
        // A second send may have been intended at the same moment and never have left.
        let lost = lost(&sim);
        let output = sim.run(&RESUME).exits(if lost == 0 { 0 } else { 5 });
        assert_eq!(check(&sim, &output), lost, "at {nth}");
        if lost == 0 {
            let _ = sim.run(&RESUME).exits(0).says("nothing left to do");
        }
    });
}

#[test]
fn killed_at_a_cancel() {
    together([When::Before, When::After], |when| {
        let sim = Sim::start("nodes=10,windows=0,speed=1");
        let hold = sim.hold("CancelCommand", 1, when);
        let running = sim.herder(["exec", "-t", "all", "--yes", "--json", "--", "sleep 4"]).spawn();
        sim.wait_until("sent", || sim.mutating().iter().any(|r| r.took_effect));
        running.signal("TERM");
        sim.wait_held(hold);
        running.kill();
        sim.drop_held(hold);
        let output = sim.run(&RESUME);
        let expected = if when == When::Before { "ok" } else { "cancelled" };
        assert!(output.verdicts().values().all(|v| v == expected), "{output:?}");
        sim.assert_true(&output.verdicts());
        sim.assert_at_most_once();
    });
}

/// Cuts the last line of a file in the middle, as a kill in the middle of a write does.
fn cut_last_line(sim: &Sim, name: &str) -> String {
    let path = sim.the_run().join(name);
    let text = std::fs::read_to_string(&path).unwrap();
    let last = text[..text.len() - 1].rfind('\n').map_or(0, |at| at + 1);
    std::fs::write(&path, &text[..(last + text.len()) / 2]).unwrap();
    text[last..].to_owned()
}

#[test]
fn killed_while_it_wrote_that_a_send_was_taken() {
    let sim = Sim::start("nodes=6,windows=0,speed=1");
    let hold = sim.hold("ListCommandInvocations", 1, When::Before);
    let running = sim.herder(["exec", "-t", "all", "--yes", "--json", "--", "uptime"]).spawn();
    sim.wait_held(hold);
    running.kill();
    sim.drop_held(hold);
    assert!(cut_last_line(&sim, "journal.jsonl").contains("\"sent\""));
    cut_last_line(&sim, "events.jsonl");
    let output = sim.run(&RESUME).exits(0);
    assert_eq!(output.tally(), BTreeMap::from([("ok".to_owned(), 6)]));
    assert_eq!(sim.calls("SendCommand").len(), 1);
    sim.assert_true(&output.verdicts());
    // Nothing was glued to the torn lines.
    assert_eq!(sim.run_lines("journal.jsonl").len(), 2);
    let _ = sim.run_lines("events.jsonl");
}

#[test]
fn killed_while_it_wrote_that_it_will_send() {
    let sim = Sim::start("nodes=6,windows=0,speed=1");
    let hold = sim.hold("SendCommand", 1, When::Before);
    let running = sim.herder(["exec", "-t", "all", "--yes", "--json", "--", "uptime"]).spawn();
    sim.wait_held(hold);
    running.kill();
    sim.drop_held(hold);
    assert!(cut_last_line(&sim, "journal.jsonl").contains("\"send\""));
    let output = sim.run(&RESUME).exits(0);
    assert_eq!(output.tally(), BTreeMap::from([("ok".to_owned(), 6)]));
    sim.assert_at_most_once();
    sim.assert_true(&output.verdicts());
}

#[test]
fn a_run_has_one_driver() {
    let sim = Sim::start("nodes=5,windows=0,speed=1");
    let hold = sim.hold("SendCommand", 1, When::Before);
    let running = sim.herder(["exec", "-t", "all", "--yes", "--json", "--", "uptime"]).spawn();
    sim.wait_held(hold);
    let calls = sim.mutating().len();
    let second = sim.run(&["runs", "resume", "last", "--json"]).exits(8);
    assert_eq!(second.json()["error"]["kind"], "refused");
    assert!(second.stderr.contains(&format!("pid {}", running.pid())), "{second:?}");
    let listed = sim.run(&["runs", "list", "--json"]).exits(0).json();
    assert_eq!(listed[0]["state"], "running");
    assert_eq!(sim.mutating().len(), calls);
    sim.continue_held(hold);
    running.wait().exits(0).json();
    sim.assert_at_most_once();
}

#[test]
fn two_resumes_at_once_are_one() {
    let sim = killed_at(2, When::After).unwrap();
    let lost = lost(&sim);
    let first = sim.herder(RESUME).spawn();
    let second = sim.herder(RESUME).spawn();
    let codes = [first.wait().code, second.wait().code];
    // Whoever comes second is refused, or finds nothing left where it comes late.
    assert!(codes.iter().all(|c| matches!(c, Some(0 | 5 | 8))) && codes != [Some(8), Some(8)], "{codes:?}");
    let all = sim.run(&["runs", "show", "last", "--json"]).exits(0).verdicts();
    assert_eq!(all.values().filter(|v| *v == "ok").count(), NODES as usize - lost);
    sim.assert_at_most_once();
}

#[test]
fn killed_between_the_calls_nothing_is_in_doubt() {
    let sim = Sim::start("nodes=6,windows=0,speed=1");
    let hold = sim.hold("ListCommandInvocations", 1, When::Before);
    let running = sim.herder(["exec", "-t", "all", "--yes", "--json", "--", "uptime"]).spawn();
    sim.wait_held(hold);
    running.kill();
    sim.drop_held(hold);
    let listed = sim.run(&["runs", "list", "--json"]).exits(0).json();
    assert_eq!((listed[0]["state"].as_str(), listed[0]["open"].as_u64()), (Some("left_behind"), Some(6)));
    let output = sim.run(&RESUME).exits(0);
    assert_eq!(output.tally(), BTreeMap::from([("ok".to_owned(), 6)]));
    assert_eq!(sim.calls("SendCommand").len(), 1);
    sim.assert_true(&output.verdicts());
}
