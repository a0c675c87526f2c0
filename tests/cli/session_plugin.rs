//! herder as the aws CLI's `session-manager-plugin`: the CLI's arguments, every kind of session.

use std::io::{Read as _, Write as _};

use serde_json::{Value, json};

use crate::harness::{BOUND, Herder, Sim};

fn sim() -> Sim {
    Sim::start("speed=1,windows=0,hybrid=0,nodes=5")
}

/// What the aws CLI calls after it has started a session; the response comes in a variable.
fn plugin<'a>(sim: &'a Sim, request: &Value) -> Herder<'a> {
    let response = sim.ask("StartSession", request).to_string();
    let request = request.to_string();
    let variable = "AWS_SSM_START_SESSION_RESPONSE";
    let words = [variable, "us-east-1", "StartSession", "", request.as_str(), sim.endpoint()];
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
    let output = plugin(&sim, &request).stdin("").run();
    assert!(output.text().starts_with("SSH-2.0-"), "nothing but the port's own bytes: {output:?}");
}

#[test]
fn it_forwards_a_port_and_says_when() {
    let sim = sim();
    let parameters = json!({"portNumber": ["7"], "localPortNumber": ["0"]});
    let mut running = plugin(&sim, &document(&sim, "AWS-StartPortForwardingSession", &parameters)).spawn();
    running.wait_for_stdout("Waiting for connections...");
    let said = running.stdout_so_far();
    let port: u16 = said.split_whitespace().nth(1).unwrap().parse().unwrap();
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(BOUND)).unwrap();
    stream.write_all(&[b'\n'; 5000]).unwrap();
    let mut back = [0; 5000];
    stream.read_exact(&mut back).unwrap();
    assert_eq!(back, [b'\n'; 5000]);
    running.wait_for_stdout("Connection accepted for session");
    running.signal("INT");
    let _ = running.wait().exits(0);
    assert_eq!(sim.control.sessions()[0].status, "Terminated");
}
