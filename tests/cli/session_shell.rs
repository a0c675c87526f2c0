//! `herder session TARGET` on a terminal: keys, sizes, escapes, signals, and a terminal that is as it was.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::process::Child;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use herder_sim::SessionAct;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

use crate::harness::{BOUND, Sim};

/// A terminal with a herder on it.
struct Terminal {
    master: File,
    /// Keeps the settings readable when nobody else has it open.
    slave: OwnedFd,
    screen: Arc<Mutex<Vec<u8>>>,
    child: Child,
}

impl Terminal {
    fn start(sim: &Sim, words: &[&str]) -> Terminal {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let path = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
        let slave: OwnedFd = File::options().read(true).write(true).open(path).unwrap().into();
        let size = Winsize { ws_row: 30, ws_col: 100, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&slave, size).unwrap();
        let mut command = sim.herder(words).on_terminal();
        for stream in 0..3 {
            let file = slave.try_clone().unwrap();
            match stream {
                0 => command.stdin(file),
                1 => command.stdout(file),
                _ => command.stderr(file),
            };
        }
        let child = command.spawn().unwrap();
        let master = File::from(master);
        let screen: Arc<Mutex<Vec<u8>>> = Arc::default();
        let (mut reader, shown) = (master.try_clone().unwrap(), Arc::clone(&screen));
        std::thread::spawn(move || {
            let mut block = [0; 4096];
            while let Ok(count @ 1..) = reader.read(&mut block) {
                shown.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&block[..count]);
            }
        });
        Terminal { master, slave, screen, child }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.screen.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }

    fn types(&mut self, keys: &str) {
        self.master.write_all(keys.as_bytes()).unwrap();
    }

    #[track_caller]
    fn wait_until(&self, what: &str, is_so: impl Fn() -> bool) {
        let until = Instant::now() + BOUND;
        while !is_so() {
            assert!(Instant::now() < until, "never: {what}; on the screen:\n{}", self.text());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    #[track_caller]
    fn shows(&self, text: &str) {
        self.wait_until(text, || self.text().contains(text));
    }

    fn is_raw(&self) -> bool {
        !tcgetattr(&self.slave).unwrap().local_modes.contains(LocalModes::ICANON)
    }

    fn resize(&self, columns: u16, rows: u16) {
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&self.master, size).unwrap();
    }

    /// Waits for its end; gives the exit code. The terminal is as it was.
    #[track_caller]
    fn ends(&mut self) -> Option<i32> {
        let until = Instant::now() + BOUND;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                assert!(!self.is_raw(), "the terminal is left raw");
                let modes = tcgetattr(&self.slave).unwrap().local_modes;
                assert!(modes.contains(LocalModes::ECHO | LocalModes::ISIG), "{modes:?}");
                return status.code();
            }
            assert!(Instant::now() < until, "it does not end; on the screen:\n{}", self.text());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

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
    assert!(terminal.text().contains("has ended"), "{}", terminal.text());
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
