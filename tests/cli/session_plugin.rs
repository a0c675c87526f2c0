//! herder as the aws CLI's `session-manager-plugin`: the CLI's arguments, every kind of session.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use herder_sim::SessionAct;
use serde_json::{Value, json};

use crate::harness::{BOUND, Herder, Running, Sim};

fn sim() -> Sim {
    Sim::start("speed=1,windows=0,hybrid=0,nodes=5")
}

/// What the aws CLI calls after it has started a session; the response comes in a variable.
fn plugin<'a>(sim: &'a Sim, request: &Value) -> Herder<'a> {
    let response = sim.ask("StartSession", request).to_string();
    let request = request.to_string();
    let variable = "AWS_SSM_START_SESSION_RESPONSE";
    let words = [variable, "us-east-1", "StartSession", "", request.as_str(), sim.endpoint()];
    // Of a call before this one.
    let _ = std::fs::remove_file(sim.path("session-manager-plugin"));
    // The endpoint is the argument's.
    sim.herder(words).called("session-manager-plugin").env(variable, response).without("AWS_ENDPOINT_URL")
}

fn document(sim: &Sim, name: &str, parameters: &Value) -> Value {
    json!({"Target": sim.id("web-1"), "DocumentName": name, "Parameters": parameters})
}

#[test]
fn it_says_that_it_is_there() {
    let sim = sim();
    let version = sim.herder(["--version"]).called("session-manager-plugin").run().exits(0);
    let parts: Vec<u32> = version.text().trim().split('.').map(|part| part.parse().unwrap()).collect();
    assert!(parts > vec![1, 2, 497, 0], "the aws CLI passes a variable from 1.2.497 on: {version:?}");
    let installed = sim.run(&["session", "plugin"]).exits(0);
    assert!(installed.text().contains("was installed successfully"), "{installed:?}");
    let _ = sim.run(&["session", "plugin", "nonsense", "us-east-1"]).exits(2).says("can't be read");
}

#[test]
fn it_gives_a_shell() {
    let sim = sim();
    let request = json!({"Target": sim.id("web-1")});
    let output = plugin(&sim, &request).stdin("echo $((40+2))\nexit\n").run().exits(0);
    assert!(output.text().contains("42"), "{output:?}");
}

#[test]
fn it_runs_commands() {
    let sim = sim();
    let command =
        json!({"command": ["sh -c 'echo out; echo err >&2; exit 3'"], "separateOutputStream": ["true"]});
    let request = document(&sim, "AWS-StartNonInteractiveCommand", &command);
    // Whatever the command's code is: the aws CLI would call another one than 0 a crash.
    let output = plugin(&sim, &request).run().exits(0);
    assert_eq!((output.text().as_str(), output.stderr.as_str()), ("out\n", "err\n"));
}

#[test]
fn it_is_a_pipe_for_ssh() {
    let sim = sim();
    let request = document(&sim, "AWS-StartSSHSession", &json!({"portNumber": ["22"]}));
    // Until its reader has enough.
    let output = plugin(&sim, &request).by_shell("\"$@\" | head -c 8").endless_stdin().run().exits(0);
    assert_eq!(output.text(), "SSH-2.0-", "nothing but the port's own bytes");
}

/// The port that it listens on, when it does.
fn listening(running: &mut Running<'_>) -> TcpStream {
    running.wait_for_stdout("Waiting for connections...");
    let said = running.stdout_so_far();
    let port: u16 = said.split_whitespace().nth(1).unwrap().parse().unwrap();
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(BOUND)).unwrap();
    stream
}

fn forward_to(sim: &Sim, port: &str) -> Value {
    let parameters = json!({"portNumber": [port], "localPortNumber": ["0"]});
    document(sim, "AWS-StartPortForwardingSession", &parameters)
}

#[test]
fn it_forwards_a_port_and_says_when() {
    let sim = sim();
    for (n, (signal, code)) in [("INT", 0), ("TERM", 130)].into_iter().enumerate() {
        let mut running = plugin(&sim, &forward_to(&sim, "7")).spawn();
        let mut stream = listening(&mut running);
        stream.write_all(&[b'\n'; 5000]).unwrap();
        let mut back = [0; 5000];
        stream.read_exact(&mut back).unwrap();
        assert_eq!(back, [b'\n'; 5000]);
        running.wait_for_stdout("Connection accepted for session");
        running.signal(signal);
        let _ = running.wait().exits(code);
        assert_eq!(sim.control.sessions()[n].status, "Terminated");
    }
}

#[test]
fn what_its_session_breaks_off_is_reset() {
    let sim = sim();
    let mut running = plugin(&sim, &forward_to(&sim, "19")).spawn();
    let mut endless = listening(&mut running);
    endless.read_exact(&mut [0; 100_000]).unwrap();
    let id = sim.control.sessions()[0].id.clone();
    assert!(sim.control.act(&id, SessionAct::Terminate { output: String::new() }));
    assert_eq!(endless.read_to_end(&mut Vec::new()).unwrap_err().kind(), ErrorKind::ConnectionReset);
    let output = running.wait();
    assert!(output.text().contains("Exiting session"), "{output:?}");
}

/// More than the system keeps for a client that does not read, and less than herder keeps beyond it.
#[test]
fn what_came_before_the_end_of_its_session_arrives() {
    const SENT: u64 = 7_000_000;
    let sim = Sim::start(&format!("speed=1,windows=0,hybrid=0,nodes=5,ports=9100:send={SENT}"));
    let mut running = plugin(&sim, &forward_to(&sim, "9100")).spawn();
    let mut slow = listening(&mut running);
    let mut last = (0, Instant::now());
    sim.wait_until("all of it is here", || {
        let session = &sim.control.sessions()[0];
        if session.frames_down != last.0 {
            last = (session.frames_down, Instant::now());
        }
        session.output_bytes >= SENT && last.1.elapsed() > Duration::from_millis(300)
    });
    let id = sim.control.sessions()[0].id.clone();
    assert!(sim.control.act(&id, SessionAct::Terminate { output: String::new() }));
    let before_reading = Instant::now();
    sim.wait_until("it would be over", || {
        !running.is_running() || before_reading.elapsed() > Duration::from_secs(1)
    });
    let mut all = Vec::new();
    slow.read_to_end(&mut all).unwrap();
    assert_eq!(all.len() as u64, SENT);
    let _ = running.wait().exits(0);
}

#[test]
fn a_session_that_it_can_not_serve_is_ended() {
    let sim = sim();
    let output = plugin(&sim, &forward_to(&sim, "7")).by_shell("\"$@\" > /dev/full").run().exits(1);
    let _ = output.says("could not write to standard output");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let parameters = json!({"portNumber": ["7"], "localPortNumber": [port]});
    let request = document(&sim, "AWS-StartPortForwardingSession", &parameters);
    let _ = plugin(&sim, &request).run().exits(2).says("the port can't be forwarded");
    let sessions = sim.control.sessions();
    assert_eq!(sessions.len(), 2);
    assert!(sessions.iter().all(|session| session.status == "Terminated"), "{sessions:?}");
}
