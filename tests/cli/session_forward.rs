//! `herder session forward` and `proxy`: bytes through ports, exact whatever happens to the connection.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use herder_sim::{ApiFault, FaultSpec, SessionAct, When};
use serde_json::Value;

use crate::harness::{BOUND, Running, Sim, json_lines};

fn sim(spec: &str) -> Sim {
    Sim::start(&format!("speed=1,windows=0,hybrid=0,{spec}"))
}

/// The lines that it has written about its forwards, when there are so many.
fn forwards(running: &mut Running<'_>, count: usize) -> Vec<Value> {
    loop {
        let text = running.stdout_so_far();
        if text.lines().count() >= count {
            return json_lines(text.as_bytes());
        }
        running.wait_for_stdout(&format!("{text}{{"));
    }
}

fn connect(forward: &Value) -> TcpStream {
    let port = u16::try_from(forward["port"].as_u64().unwrap()).unwrap();
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(BOUND)).unwrap();
    stream
}

/// Sends bytes, and reads as many.
fn echoed(mut stream: TcpStream, bytes: &[u8]) -> Vec<u8> {
    let mut reader = stream.try_clone().unwrap();
    let count = bytes.len();
    let reading = std::thread::spawn(move || {
        let mut back = vec![0; count];
        reader.read_exact(&mut back).map(|()| back)
    });
    stream.write_all(bytes).unwrap();
    reading.join().unwrap().unwrap()
}

#[test]
fn a_port_is_forwarded_until_ctrl_c() {
    let sim = sim("nodes=5");
    let socket = sim.path("db.sock");
    let unix = format!("unix:{}:7", socket.display());
    let words = ["session", "forward", "web-1", "-L", "0:7", "-L", &unix, "--json"];
    let mut running = sim.herder(words).spawn();
    let ready = forwards(&mut running, 2);
    let tcp = ready.iter().find(|forward| forward["port"].is_number()).unwrap();
    assert_eq!((&tcp["remote"], &tcp["target"]), (&"web-1:7".into(), &sim.id("web-1").into()));
    // Bytes of every value, and a stream of nothing but line ends.
    let all: Vec<u8> = (0..600_000_u32).map(|n| (n * 7 % 256) as u8).collect();
    assert!(echoed(connect(tcp), &all) == all);
    assert!(echoed(connect(tcp), &[b'\n'; 50_000]) == [b'\n'; 50_000]);
    let mut stream = UnixStream::connect(&socket).unwrap();
    stream.write_all(b"\n").unwrap();
    let mut back = [0];
    stream.read_exact(&mut back).unwrap();
    assert_eq!(back, *b"\n");
    running.signal("INT");
    let _ = running.wait().exits(0);
    assert!(!socket.exists());
    assert!(sim.control.sessions().iter().all(|session| session.status == "Terminated"));
}

#[test]
fn lines_are_in_the_order_of_the_forwards() {
    let sim = sim("nodes=5");
    let words = ["session", "forward", "web-1", "-L", "0:7", "-L", "0:9", "-L", "0:10010", "--json"];
    let mut running = sim.herder(words).spawn();
    let remotes: Vec<String> = forwards(&mut running, 3).iter().map(|f| f["remote"].to_string()).collect();
    assert_eq!(remotes, ["\"web-1:7\"", "\"web-1:9\"", "\"web-1:10010\""]);
    running.signal("INT");
    let _ = running.wait().exits(0);
}

#[test]
fn a_listener_that_cannot_be_had_has_a_fitting_hint() {
    let sim = sim("nodes=5");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = format!("{}:80", taken.local_addr().unwrap().port());
    let nowhere = format!("unix:{}/no/such/x:80", sim.path("").display());
    for (spec, hint) in [
        (port.as_str(), "Choose another port, or 0"),
        (&nowhere, "Choose a path in a directory that exists"),
        ("8.8.8.8:0:80", "Bind to an address of this machine"),
    ] {
        let output = sim.run(&["session", "forward", "web-1", "-L", spec]).exits(2).says(hint);
        assert_eq!(output.stderr.matches("hint:").count(), 1, "{output:?}");
    }
    assert!(sim.control.sessions().is_empty());
}

#[test]
fn a_forward_survives_every_close() {
    let sim = sim("nodes=5");
    let mut running = sim.herder(["session", "forward", "web-1", "-L", "0:7", "--json"]).spawn();
    let ready = forwards(&mut running, 1);
    let id = sim.control.sessions()[0].id.clone();
    let bytes: Vec<u8> = (0..8_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let (stream, sent) = (connect(&ready[0]), bytes.clone());
    let carrying = std::thread::spawn(move || echoed(stream, &sent));
    for act in [SessionAct::Bye, SessionAct::Drop, SessionAct::Cut { ms: 2000 }] {
        let before = sim.control.sessions()[0].clone();
        sim.wait_until("bytes move, or all have", || {
            sim.control.sessions()[0].input_bytes > before.input_bytes || carrying.is_finished()
        });
        assert!(sim.control.act(&id, act));
        sim.wait_until("it connects again", || sim.control.sessions()[0].connects > before.connects);
    }
    assert!(carrying.join().unwrap() == bytes, "every byte, in order");
    running.signal("INT");
    let _ = running.wait().exits(0).says("0:7: connection lost").says("0:7: connected again");
}

#[test]
fn a_forward_that_can_not_be_told_ends_its_sessions() {
    let sim = sim("nodes=5");
    let words = ["session", "forward", "web-1", "-L", "0:7", "-L", "0:9"];
    let output = sim.herder(words).by_shell("exec \"$@\" >/dev/full").run().exits(1);
    let _ = output.says("could not write to standard output").never_says("something was changed");
    assert!(sim.control.sessions().iter().all(|session| session.status == "Terminated"));
}

/// Who leaves before the service has said the session's id leaves no session behind.
#[test]
fn a_session_that_is_still_being_started_is_ended_too() {
    for words in [
        &["forward", "web-1", "-L", "0:7", "-L", "0:9"][..],
        &["proxy", "web-1", "7"],
        &["exec", "web-1", "--", "sleep", "100"],
        &["web-1"],
        &["cp", "web-1:/etc/hosts", "-"],
    ] {
        let sim = sim("nodes=5");
        let is_forward = words[0] == "forward";
        let hold = sim.hold("StartSession", if is_forward { 2 } else { 1 }, When::After);
        let mut running = sim.herder(["session"].iter().chain(words)).spawn();
        assert!(running.comes_to(hold), "{words:?}");
        if is_forward {
            sim.wait_until("the first is connected", || {
                sim.control.sessions().iter().any(|s| s.connects > 0)
            });
        }
        running.signal("TERM");
        // Nothing tells that it waits: one that doesn't would be gone by then.
        std::thread::sleep(Duration::from_millis(300));
        assert!(running.is_running(), "{words:?}");
        sim.continue_held(hold);
        let _ = running.wait().exits(130);
        let sessions = sim.control.sessions();
        assert_eq!(sessions.len(), if is_forward { 2 } else { 1 }, "{words:?}");
        assert!(sessions.iter().all(|session| session.status == "Terminated"), "{words:?}: {sessions:?}");
    }
}

/// What the service has refused is not asked for again for nobody.
#[test]
fn a_start_that_is_to_be_repeated_is_left_alone() {
    let sim = sim("nodes=5");
    let refused = ApiFault { throttle: 1.0, ..ApiFault::default() };
    sim.control
        .faults(FaultSpec { apis: [("StartSession".to_owned(), refused)].into(), ..FaultSpec::default() });
    let running = sim.herder(["session", "exec", "web-1", "--", "id"]).spawn();
    sim.wait_until("it is refused", || !sim.calls("StartSession").is_empty());
    running.signal("INT");
    let asked = sim.calls("StartSession").len();
    let began = Instant::now();
    let _ = running.wait().exits(130).says("interrupted before the session began");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert!(sim.calls("StartSession").len() <= asked + 1, "one may have been on its way");
    assert!(sim.control.sessions().is_empty());
}

#[test]
fn the_listener_outlives_its_session() {
    let sim = sim("nodes=5");
    let mut running = sim.herder(["session", "forward", "web-1", "-L", "0:7", "--json"]).spawn();
    let ready = forwards(&mut running, 1);
    let id = sim.control.sessions()[0].id.clone();
    assert!(sim.control.act(&id, SessionAct::Terminate { output: String::new() }));
    running.wait_for_stderr("the next connection starts another session");
    assert_eq!(echoed(connect(&ready[0]), b"again"), b"again");
    assert_eq!(sim.control.sessions().len(), 2);
    running.signal("INT");
    let _ = running.wait().exits(0);
}

#[test]
fn what_can_not_be_forwarded_is_told() {
    let sim = sim("nodes=5");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let spec = format!("{}:7", taken.local_addr().unwrap().port());
    let _ = sim.run(&["session", "forward", "web-1", "-L", &spec]).exits(2).says("could not listen").silent();
    let _ = sim
        .run(&["session", "forward", "web-1", "-L", "80"])
        .exits(2)
        .says("names one port where two are needed");
    let _ = sim.run(&["session", "forward", "web-1"]).exits(2);
    let _ = sim.run(&["session", "forward", "nope", "-L", "0:7"]).exits(3).silent();
    let mut running = sim.herder(["session", "forward", "web-1", "-L", "0:4242", "--json"]).spawn();
    let ready = forwards(&mut running, 1);
    let mut refused = connect(&ready[0]);
    let mut nothing = Vec::new();
    // Closed or reset, but never answered.
    let _ = refused.read_to_end(&mut nothing);
    assert_eq!(nothing, b"");
    running.wait_for_stderr("the node could not connect to the port");
    running.signal("TERM");
    let _ = running.wait().exits(130);
}

/// What is not complete must not look as if it were.
#[test]
fn what_is_under_way_at_ctrl_c_is_reset() {
    let sim = sim("nodes=5");
    let mut running = sim.herder(["session", "forward", "web-1", "-L", "0:19", "--json"]).spawn();
    let ready = forwards(&mut running, 1);
    let mut endless = connect(&ready[0]);
    endless.read_exact(&mut [0; 100_000]).unwrap();
    running.signal("INT");
    assert_eq!(endless.read_to_end(&mut Vec::new()).unwrap_err().kind(), ErrorKind::ConnectionReset);
    let _ = running.wait().exits(0);
}

#[test]
fn a_client_that_waits_for_nothing_is_reset_and_told_of() {
    let sim = sim("nodes=5");
    let words = ["session", "forward", "web-1", "-L", "0:9", "-L", "0:80", "--json", "--answer-within", "2s"];
    let mut running = sim.herder(words).spawn();
    let ready = forwards(&mut running, 2);
    let to = |port: &str| ready.iter().find(|forward| forward["remote"] == format!("web-1:{port}")).unwrap();
    let mut discards = connect(to("9"));
    discards.write_all(b"x").unwrap();
    discards.shutdown(Shutdown::Write).unwrap();
    let mut answers = connect(to("80"));
    answers.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    answers.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    answers.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("web-1 is well\n"), "{answer}");
    assert_eq!(discards.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    running
        .wait_for_stderr("connection 1 was reset: its client had closed its half, and nothing came for 2s");
    running.signal("INT");
    let _ = running.wait().exits(0);
    let _ = sim.run(&["session", "forward", "web-1", "-L", "0:9", "--answer-within", "0s"]).exits(2);
}

/// A session that broke off on this side goes on at the service until it is ended.
#[test]
fn no_session_is_left_behind() {
    let sim = sim("nodes=5");
    let mut running = sim.herder(["session", "forward", "web-1", "-L", "0:7", "--json"]).spawn();
    let ready = forwards(&mut running, 1);
    let id = sim.control.sessions()[0].id.clone();
    sim.deny(&["ResumeSession"]);
    assert!(sim.control.act(&id, SessionAct::Drop));
    running.wait_for_stderr("the next connection starts another session");
    assert_ne!(sim.control.sessions()[0].status, "Terminated", "nobody has ended it");
    assert_eq!(echoed(connect(&ready[0]), b"again"), b"again");
    let sessions = sim.control.sessions();
    assert_eq!((sessions.len(), sessions[0].status.as_str()), (2, "Terminated"));
    running.signal("INT");
    let _ = running.wait().exits(0);
    assert_eq!(sim.control.sessions()[1].status, "Terminated");
    let ended = sim.calls("TerminateSession").len();
    assert_eq!(ended, 2, "each is ended once");
}

#[test]
fn a_proxy_ends_with_its_port() {
    let sim = sim("nodes=5");
    let request = "GET / HTTP/1.0\r\n\r\n";
    let answer = sim.herder(["session", "proxy", "web-1", "80"]).stdin(request).run().exits(0);
    assert!(answer.text().ends_with("web-1 is well\n"), "{answer:?}");
    assert_eq!(answer.stderr, "");
}

#[test]
fn a_proxy_that_gives_up_says_so() {
    let sim = sim("nodes=5");
    let words = ["session", "proxy", "web-1", "--answer-within", "1s"];
    let banner = sim.herder(words).stdin("").run().exits(5);
    assert!(banner.text().starts_with("SSH-2.0-"), "{banner:?}");
    let _ = banner.says("nothing came for 1s after the end of what was sent").says("--answer-within");
    sim.wait_until("it is ended", || sim.control.sessions()[0].status == "Terminated");
    // An answer may take longer than anybody can wait without a word.
    let mut running = sim.herder(["session", "proxy", "web-1", "9"]).stdin("x").spawn();
    running.wait_for_stderr("waiting for the port to close, or for 10m without an answer");
    running.signal("TERM");
    let _ = running.wait().exits(130).silent();
}

#[test]
fn a_signal_is_no_success_but_that_of_ssh() {
    let sim = sim("nodes=5");
    for (n, (signal, code)) in [("INT", 130), ("TERM", 130), ("HUP", 0)].into_iter().enumerate() {
        let mut running = sim.herder(["session", "proxy", "web-1"]).endless_stdin().spawn();
        running.wait_for_stdout("SSH-2.0-");
        running.signal(signal);
        let _ = running.wait().exits(code);
        assert_eq!(sim.control.sessions()[n].status, "Terminated");
    }
}

#[test]
fn a_proxy_is_byte_exact() {
    let sim = sim("nodes=5");
    let bytes: Vec<u8> = (0..300_000_u32).map(|n| (n % 256) as u8).collect();
    for bytes in [b"\n".to_vec(), bytes, vec![b'\n'; 10_000]] {
        let count = bytes.len();
        let mut running = sim
            .herder(["session", "proxy", "web-1", "7"])
            // Its input stays open until it has answered, as ssh's does.
            .by_shell(&format!("(cat; sleep 600) | \"$@\" | head -c {count}; kill $! 2>/dev/null; exit 0"))
            .stdin(bytes.clone())
            .spawn();
        running.wait_for_stdout(&String::from_utf8_lossy(&bytes[count - 1..]));
        sim.wait_until("all is back", || {
            sim.control.sessions().last().is_some_and(|session| session.output_bytes >= count as u64)
        });
        running.signal("TERM");
        drop(running);
    }
}

#[test]
fn the_stanza_for_ssh_names_the_scope() {
    let sim = sim("nodes=1");
    let output = sim.run(&["session", "ssh-config", "--region", "eu-west-1"]).exits(0);
    assert_eq!(
        output.text(),
        "Host i-* mi-*\n  ProxyCommand herder session proxy %h %p --region eu-west-1\n"
    );
    let _ = sim.run(&["session", "ssh-config", "a b"]).exits(2);
}

#[test]
fn ssh_gets_herder_as_its_proxy() {
    let sim = sim("nodes=5");
    let bin = sim.path("bin");
    std::fs::create_dir(&bin).unwrap();
    sim.file("bin/ssh", "#!/bin/sh\nprintf '%s\\n' \"$@\"\nexit 9\n");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(bin.join("ssh"), mode).unwrap();
    let words = ["session", "ssh", "ubuntu@web-1", "-A", "uptime"];
    let output = sim.herder(words).env("PATH", format!("{}:/usr/bin:/bin", bin.display())).run().exits(9);
    let lines: Vec<String> = output.text().lines().map(str::to_owned).collect();
    assert!(lines[1].starts_with("ProxyCommand=") && lines[1].ends_with(" session proxy %h %p"), "{lines:?}");
    assert_eq!(lines[2..], [format!("ubuntu@{}", sim.id("web-1")), "-A".into(), "uptime".into()]);
    let _ = sim.herder(["session", "ssh", "nope"]).run().exits(255);
}
