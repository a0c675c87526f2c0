//! `herder session TARGET` on a terminal: keys, sizes, escapes, signals, and a terminal that is as it was.

use std::time::{Duration, Instant};

use herder_sim::SessionAct;

use crate::harness::{BOUND, Sim};
use crate::terminal::Terminal;

fn sim(spec: &str) -> Sim {
    Sim::start(&format!("speed=1,windows=0,hybrid=0,{spec}"))
}

#[test]
fn a_shell_is_typed_at() {
    let sim = sim("nodes=5");
    let mut terminal = Terminal::start(&sim, &["session", "web-1"]);
    terminal.shows("$ ");
    assert!(terminal.is_raw());
    terminal.types("echo $((6*7)); stty size\r");
    terminal.shows("42\r\n30 100\r\n");
    terminal.resize(120, 40);
    let resized = || {
        // The size travels beside the keys: asked until it is there.
        sim.control.sessions()[0].bytes_up > 0
    };
    terminal.wait_until("something was sent", resized);
    for _ in 0..100 {
        terminal.types("stty size\r");
        std::thread::sleep(Duration::from_millis(50));
        if terminal.text().contains("40 120") {
            break;
        }
    }
    terminal.shows("40 120");
    terminal.types("sleep 600\r");
    terminal.shows("sleep 600");
    sim.wait_until("it sleeps", || {
        sim.control.sessions()[0].ran.iter().any(|line| line.contains("sleep 600"))
    });
    terminal.types("\u{3}");
    terminal.types("echo still $((1+1))\r");
    terminal.shows("still 2");
    terminal.types("exit\r");
    assert_eq!(terminal.ends(), Some(0));
    terminal.shows("has ended");
}

#[test]
fn of_several_nodes_one_is_chosen() {
    let sim = sim("nodes=5,session_kms=alias/sessions");
    let mut terminal = Terminal::start(&sim, &["session", "web-*"]);
    terminal.shows("Enter lists all): ");
    terminal.types("9\r");
    terminal.shows("There is no 9.\r\n  1  web-1");
    terminal.types("2\r");
    terminal.shows("This session is encrypted using AWS KMS.");
    terminal.shows("$ ");
    assert_eq!(sim.control.sessions()[0].target, sim.id("web-2"));
    terminal.types("exit\r");
    assert_eq!(terminal.ends(), Some(0));
    let mut terminal = Terminal::start(&sim, &["session", "web-*"]);
    terminal.shows("Enter lists all): ");
    terminal.types("\u{4}");
    assert_eq!(terminal.ends(), Some(8));
    terminal.shows("Enter lists all): \r\n");
    terminal.shows("`web-*` gives 2 nodes");
}

#[test]
fn a_terminal_without_a_size_keeps_the_one_it_had() {
    let sim = sim("nodes=5");
    let mut terminal = Terminal::start(&sim, &["session", "web-1"]);
    terminal.shows("$ ");
    terminal.types("stty size\r");
    terminal.shows("30 100\r\n");
    terminal.resize(0, 0);
    // Sizes travel beside the keys, and this one not at all: what is typed goes on being answered.
    for _ in 0..5 {
        std::thread::sleep(Duration::from_millis(100));
        terminal.types("stty size\r");
    }
    terminal.wait_until("answers", || terminal.text().matches("30 100\r\n").count() == 6);
    for (size, told) in [((1, 1), "1 1\r\n"), ((132, 50), "50 132\r\n")] {
        terminal.resize(size.0, size.1);
        let until = Instant::now() + BOUND;
        while !terminal.text().contains(told) {
            assert!(Instant::now() < until, "never {told}:\n{}", terminal.text());
            terminal.types("stty size\r");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
    assert!(!terminal.text().contains("\n0 0"), "{}", terminal.text());
    terminal.types("exit\r");
    assert_eq!(terminal.ends(), Some(0));
}

#[test]
fn escapes_are_for_herder() {
    let sim = sim("nodes=5");
    let mut terminal = Terminal::start(&sim, &["session", "web-1"]);
    terminal.shows("$ ");
    terminal.types("\r~?");
    terminal.shows("end the session");
    terminal.types("echo a~.b\r");
    terminal.shows("a~.b\r\n");
    terminal.types("~.");
    assert_eq!(terminal.ends(), Some(0));
    assert_eq!(sim.control.sessions()[0].status, "Terminated");

    let mut plain = Terminal::start(&sim, &["session", "web-1", "--escape-char", "none"]);
    plain.shows("$ ");
    plain.types("echo ~.x\r");
    plain.shows("~.x\r\n");
    plain.types("exit\r");
    assert_eq!(plain.ends(), Some(0));
}

#[test]
fn a_shell_goes_on_after_its_connection_was_closed() {
    let sim = sim("nodes=5");
    let mut terminal = Terminal::start(&sim, &["session", "web-1"]);
    terminal.shows("$ ");
    terminal.types("kept=yes\r");
    let id = sim.control.sessions()[0].id.clone();
    assert!(sim.control.act(&id, SessionAct::Bye));
    sim.wait_until("it connects again", || sim.control.sessions()[0].connects > 1);
    terminal.types("echo kept: $kept\r");
    terminal.shows("kept: yes");
    assert!(!terminal.text().contains("connection lost"), "what passes in a moment is not told");
    assert!(sim.control.act(&id, SessionAct::Cut { ms: 3000 }));
    terminal.shows("connection lost");
    terminal.shows("connected again");
    terminal.types("exit\r");
    assert_eq!(terminal.ends(), Some(0));
}

#[test]
fn every_end_leaves_the_terminal_as_it_was() {
    let sim = sim("nodes=5");
    for signal in ["TERM", "HUP", "INT"] {
        let mut terminal = Terminal::start(&sim, &["session", "web-1"]);
        terminal.shows("$ ");
        terminal.wait_until("it is raw", || terminal.is_raw());
        let kill = format!("kill -{signal} {}", terminal.child.id());
        assert!(std::process::Command::new("sh").args(["-c", &kill]).status().unwrap().success());
        assert_eq!(terminal.ends(), Some(130), "{signal}");
    }
    let mut terminal = Terminal::start(&sim, &["session", "web-1"]);
    terminal.shows("$ ");
    let id = sim.control.sessions().last().unwrap().id.clone();
    assert!(sim.control.act(&id, SessionAct::TimeOut));
    assert_eq!(terminal.ends(), Some(1));
}

#[test]
fn a_recording_has_what_was_shown() {
    let sim = sim("nodes=5");
    let mut terminal = Terminal::start(&sim, &["session", "web-1", "--record", "s.cast"]);
    terminal.shows("$ ");
    terminal.types("echo re$((1))corded\r");
    terminal.shows("re1corded");
    terminal.types("exit\r");
    assert_eq!(terminal.ends(), Some(0));
    let recording = std::fs::read_to_string(sim.path("s.cast")).unwrap();
    let header: serde_json::Value = serde_json::from_str(recording.lines().next().unwrap()).unwrap();
    assert_eq!(
        (&header["version"], &header["width"], &header["height"]),
        (&2.into(), &100.into(), &30.into())
    );
    assert!(recording.contains("re1corded"), "{recording}");
    let _ = sim
        .run(&["session", "web-1", "--record", "s.cast"])
        .exits(2)
        .says("there is a file `s.cast` already");
}

#[test]
fn one_of_several_nodes_is_picked() {
    let sim = sim("nodes=5");
    let mut terminal = Terminal::start(&sim, &["session", "web-*"]);
    terminal.shows("  2  web-2");
    terminal.types("2\r");
    terminal.shows("$ ");
    terminal.types("exit\r");
    assert_eq!(terminal.ends(), Some(0));
    assert_eq!(sim.control.sessions()[0].target, sim.id("web-2"));
}

#[test]
fn a_pipe_is_typed_for() {
    let sim = sim("nodes=5");
    let output = sim.herder(["session", "web-1"]).stdin("echo $((40+2))\n").run().exits(0);
    assert!(output.text().contains("42"), "{output:?}");
}
