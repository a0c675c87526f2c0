//! `herder session exec`, `list`, `history` and `stop`: streams, exit codes, faults of the connection, bad input.

use herder_sim::{FrameFaults, LaneFaults, SessionAct};
use serde_json::json;

use crate::harness::{Sim, together};

/// Real time: idle sessions time out by simulated time.
fn sim(spec: &str) -> Sim {
    Sim::start(&format!("speed=1,windows=0,hybrid=0,{spec}"))
}

/// The id of the session, when it has begun.
fn session(sim: &Sim) -> String {
    sim.wait_until("a session begins", || sim.control.sessions().iter().any(|s| s.connects > 0));
    sim.control.sessions().last().unwrap().id.clone()
}

fn numbers(to: u32) -> Vec<u8> {
    (1..=to).map(|n| format!("{n}\n")).collect::<String>().into_bytes()
}

#[test]
fn a_commands_streams_and_code_are_the_process_own() {
    let sim = sim("nodes=5");
    let output = sim.run(&["session", "exec", "web-1", "--", "echo out; echo err >&2; exit 7"]).exits(7);
    assert_eq!((output.text().as_str(), output.stderr.as_str()), ("out\n", "err\n"));
    let argv = ["session", "exec", "web-1", "--", "printf", "%s|", "a b", "it's", "$HOME", "", "é*"];
    assert_eq!(sim.run(&argv).exits(0).text(), "a b|it's|$HOME||é*|");
    let record = sim.control.sessions().into_iter().next().unwrap();
    assert_eq!((record.document.as_str(), record.exit_code), ("AWS-StartNonInteractiveCommand", Some(7)));
    let _ = sim.run(&["session", "exec", "web-1", "--", "exit 137"]).exits(137);
}

#[test]
fn windows_nodes_run_powershell() {
    let sim = Sim::start("speed=1,nodes=4,windows=2");
    let node = sim.ids(Some("Windows")).remove(0);
    let exec = |words: &[&str]| sim.run(&[&["session", "exec", &node, "--"], words].concat());
    assert_eq!(exec(&["Write-Output 'a b'; exit 3"]).exits(3).text().trim_end(), "a b");
    assert_eq!(exec(&["Write-Output \"it's\""]).exits(0).text().trim_end(), "it's");
    assert_eq!(exec(&["Write-Output", "a b", "c"]).exits(0).text().split_whitespace().count(), 3);
    assert!(exec(&["hostname; exit 7"]).exits(7).text().starts_with("EC2AMAZ-"));
}

#[test]
fn a_command_needs_neither_terminal_nor_input() {
    let sim = sim("nodes=5");
    let words = ["session", "exec", "web-1", "--", "cat; echo done"];
    assert_eq!(sim.herder(words).endless_stdin().run().exits(0).text(), "done\n");
    assert_eq!(sim.herder(words).by_shell("exec \"$@\" <&-").run().exits(0).text(), "done\n");
}

/// As with any program in a pipe, whether it writes anything or not.
#[test]
fn a_reader_that_goes_away_ends_the_command() {
    let sim = sim("nodes=5");
    for line in ["yes", "while :; do echo tick; sleep 1; done", "sleep 600"] {
        let gone = sim.herder(["session", "exec", "web-1", "--", line]).closed_stdout().run().exits(141);
        assert_eq!(gone.stderr, "", "{line}");
        assert_eq!(sim.control.sessions().last().unwrap().status, "Terminated", "{line}");
    }
    // The reader of stderr may.
    let herder = sim.herder(["session", "exec", "web-1", "--", "echo err >&2; sleep 1; echo still; exit 3"]);
    let output = herder.by_shell("{ { \"$@\" 2>&1 >&3 3>&-; echo $? >code; } | true; } 3>&1").run();
    assert_eq!(output.text(), "still\n");
    assert_eq!(std::fs::read_to_string(sim.path("code")).unwrap(), "3\n");
}

#[test]
fn output_survives_every_close_of_the_connection() {
    let sim = sim("nodes=5");
    let line = "until [ -e /tmp/stop ]; do seq 1 500; sleep 0.01; done; echo end";
    let running = sim.herder(["session", "exec", "web-1", "--", line]).spawn();
    let id = session(&sim);
    for act in [
        SessionAct::Bye,
        SessionAct::Drop,
        SessionAct::Close { code: 1006, reason: String::new() },
        SessionAct::Cut { ms: 1500 },
        SessionAct::Bye,
    ] {
        let before = sim.control.sessions()[0].clone();
        assert!(sim.control.act(&id, act), "the session goes on");
        sim.wait_until("it connects again, and output comes", || {
            let now = sim.control.sessions()[0].clone();
            now.connects > before.connects && now.output_bytes > before.output_bytes
        });
    }
    let _ = sim.run(&["session", "exec", "web-1", "--", "touch /tmp/stop"]).exits(0);
    let output = running.wait().exits(0).says("connection lost").says("connected again");
    let body = output.stdout.strip_suffix(b"end\n").unwrap();
    let once = numbers(500);
    assert!(
        body.len().is_multiple_of(once.len()) && body.chunks(once.len()).all(|part| part == once),
        "{output:?}"
    );
    assert!(
        sim.control.sessions()[0].resumes >= 5,
        "a resume for each close, and more while nobody is let in"
    );
}

#[test]
fn whatever_happens_to_frames_the_output_is_exact() {
    let share = |share: f64| {
        let lane = LaneFaults {
            drop: share,
            duplicate: share,
            reorder: share,
            delay: share,
            delay_ms: 30,
            ..LaneFaults::default()
        };
        FrameFaults { up: lane.clone(), down: lane, seed: 7 }
    };
    together([0.01, 0.05, 0.20], |faulty| {
        let sim = sim("nodes=5");
        sim.control.frame_faults(share(faulty));
        let output = sim.run(&["session", "exec", "web-1", "--", "seq 1 20000; echo err >&2; exit 5"]);
        // Agents wait two seconds for what is not acknowledged at a command's end, and give up then.
        let is_cut = output.code == Some(255) && output.stderr.contains("its last bytes did not arrive");
        if is_cut && faulty > 0.02 {
            assert!(output.stderr.contains("may have run"), "{output:?}");
            assert!(numbers(20_000).starts_with(&output.stdout), "{faulty}: damaged");
        } else {
            let output = output.exits(5);
            assert!(output.stdout == numbers(20_000), "{faulty}: {} bytes", output.stdout.len());
            assert!(output.stderr.contains("err\n"), "{output:?}");
        }
    });
}

#[test]
fn upgrades_are_signed_and_certificates_checked() {
    let sim = sim("nodes=5,session_signed=true");
    assert_eq!(sim.run(&["session", "exec", "web-1", "--", "echo signed"]).exits(0).text(), "signed\n");
    let sim = Sim::tls("speed=1,nodes=5,session_signed=true");
    let words = ["session", "exec", "web-1", "--", "echo secure"];
    let output = sim.herder(words).env("AWS_CA_BUNDLE", sim.ca_file()).run().exits(0);
    assert_eq!(output.text(), "secure\n");
}

#[test]
fn ctrl_c_interrupts_the_command_and_then_ends_the_session() {
    let sim = sim("nodes=5");
    let mut running = sim.herder(["session", "exec", "web-1", "--", "sleep 600; echo never"]).spawn();
    let id = session(&sim);
    sim.wait_until("it runs", || !sim.control.sessions()[0].ran.is_empty());
    running.signal("INT");
    running.wait_for_stderr("the command gets an interrupt");
    let _ = running.wait().exits(130).silent();
    sim.wait_until("the session ends", || sim.control.sessions()[0].status != "Connected");

    let running = sim.herder(["session", "exec", "web-1", "--", "sleep 600"]).spawn();
    sim.wait_until("another session", || {
        sim.control.sessions().iter().any(|s| s.id != id && !s.ran.is_empty())
    });
    running.signal("TERM");
    let _ = running.wait().exits(130);
    assert_eq!(sim.control.sessions()[1].status, "Terminated");
}

#[test]
fn own_failures_are_255_and_say_why() {
    let sim = sim("nodes=5");
    let exec = |words: &[&str]| sim.run(&[&["session", "exec"], words].concat()).exits(255).silent();
    let _ = exec(&["nope", "--", "true"]).says("no node matches `nope`");
    let _ = exec(&["web-*", "--", "true"]).says("gives 2 nodes").says("web-2");
    let _ = exec(&["web-1", "--", " "]).says("the command is empty");
    sim.deny(&["StartSession"]);
    let _ = exec(&["web-1", "--", "true"]).says("ssm:StartSession");
    let _ = sim.run(&["session", "web-1"]).exits(4).silent();
    sim.deny(&[]);
    let nope = sim.run(&["session", "web-1", "--document", "Nope"]).exits(3).says("Nope");
    assert_eq!(nope.stderr.matches("hint:").count(), 1, "{nope:?}");
    let _ = sim.run(&["session", "web-1", "list"]).exits(2).says("stands before another command");
    let _ = sim.run(&["session", "name:list"]).exits(3).says("no node matches `list`");
    let _ = sim.run(&["session"]).exits(2);
    let _ = sim.run(&["session", "web-*"]).exits(8).silent().says("there is no terminal to ask on");

    let running = sim.herder(["session", "exec", "web-1", "--", "sleep 600"]).spawn();
    let id = session(&sim);
    assert!(sim.control.act(&id, SessionAct::Terminate { output: "ended by an administrator".into() }));
    let _ = running.wait().exits(255).says("the session ended early").says("ended by an administrator");
}

#[test]
fn a_node_that_is_not_connected_is_looked_at() {
    let sim = sim("nodes=30,offline=40%");
    let lost = sim.run(&["nodes", "list", "-t", "ping:lost", "-o", "quiet"]).exits(0).text();
    let id = lost.lines().next().unwrap();
    let nodes = sim.run(&["nodes", "list", "-t", id, "--json"]).exits(0).json();
    let name = nodes[0]["name"].as_str().unwrap().to_owned();
    let output = sim.run(&["session", &format!("name:{name} and {id}")]).exits(1).silent();
    let output = output.says(&format!("on {name} ({id})"));
    assert!(output.stderr.contains("its agent has not reported"), "{output:?}");
    assert!(output.stderr.contains("hint: Check the agent's service"), "{output:?}");
    sim.file("f", "x");
    for words in [
        &["session", "cp", "f", &format!("{id}:/tmp/")][..],
        &["session", "forward", id, "-L", "0:80"],
        &["session", "proxy", id],
    ] {
        let _ = sim.run(words).exits(1).says(&format!("on {name} ({id})"));
    }
}

#[test]
fn a_command_whose_session_somebody_ends_may_still_run() {
    let sim = sim("nodes=5");
    let mut running = sim.herder(["session", "exec", "web-1", "--", "echo begun; sleep 600"]).spawn();
    running.wait_for_stdout("begun");
    let _ = sim.run(&["session", "stop", &session(&sim)]).exits(0);
    let output = running.wait().exits(255).never_says("too old");
    let _ = output.says("the session was ended before the command told its exit code").says("may still run");
}

/// The one silence that takes its time: a minute.
#[test]
fn a_silent_command_whose_agent_dies_is_told_of() {
    let sim = sim("nodes=5");
    let mut running = sim.herder(["session", "exec", "web-1", "--", "echo begun; sleep 600"]).spawn();
    running.wait_for_stdout("begun");
    sim.control.act(&session(&sim), SessionAct::KillAgent);
    running.wait_for_stderr("the node's agent is not connected to Session Manager");
    assert_eq!(sim.calls("GetConnectionStatus").len(), 1);
    running.signal("TERM");
    let _ = running.wait().exits(130);
}

#[test]
fn a_shell_whose_output_has_no_room_fails() {
    let sim = sim("nodes=5");
    let shell = sim.herder(["session", "web-1"]).by_shell("exec \"$@\" </dev/null >/dev/full").run();
    let _ = shell.exits(1).says("could not write all of standard output").says("No space left");
    sim.wait_until("the session ends", || sim.control.sessions()[0].status == "Terminated");
    let words = ["session", "exec", "web-1", "--", "echo out"];
    let exec = sim.herder(words).by_shell("exec \"$@\" >/dev/full").run().exits(255);
    let _ = exec.says("could not write all of standard output");
}

#[test]
fn an_agent_that_dies_is_told_of() {
    let sim = sim("nodes=5");
    let mut running = sim.herder(["session", "exec", "web-1", "--", "sleep 600"]).spawn();
    let id = session(&sim);
    sim.control.act(&id, SessionAct::KillAgent);
    running.signal("INT");
    running.wait_for_stderr("the node has not answered for 10 s");
    running.signal("INT");
    let _ = running.wait().exits(130);
}

#[test]
fn encrypted_sessions_work_and_say_what_is_denied() {
    let sim = sim("nodes=5,session_kms=alias/sessions,session_challenge=true");
    let output = sim.herder(["session", "web-1"]).stdin("echo $((40+2))\nexit\n").run().exits(0);
    assert!(output.text().contains("\n42"), "{output:?}");
    assert!(sim.control.sessions()[0].encrypted);
    let _ = output.never_says("This session is encrypted");
    let exec = sim.run(&["session", "exec", "web-1", "--", "echo err >&2"]).exits(0);
    assert_eq!(exec.stderr, "err\n", "the agent's greeting is no part of it");
    sim.deny(&["GenerateDataKey"]);
    let _ = sim.herder(["session", "web-1"]).run().exits(4).says("kms:GenerateDataKey");
}

#[test]
fn sessions_are_listed_and_ended() {
    let sim = sim("nodes=5");
    let running = sim.herder(["session", "exec", "web-1", "--reason", "ticket 7", "--", "sleep 600"]).spawn();
    let id = session(&sim);
    let listed = sim.run(&["session", "list", "--json"]).exits(0).json();
    assert_eq!(listed[0]["id"], json!(id));
    assert_eq!(listed[0]["target"], json!(sim.id("web-1")));
    assert_eq!((&listed[0]["status"], &listed[0]["reason"]), (&json!("connected"), &json!("ticket 7")));
    let own = sim.run(&["session", "list", "--owner", "me", "-t", "web-1", "-o", "quiet"]).exits(0);
    assert_eq!(own.text(), format!("{id}\n"));
    assert_eq!(sim.run(&["session", "list", "-t", "web-2", "--json"]).exits(0).json(), json!([]));
    let other = sim.herder(["session", "exec", "web-2", "--", "sleep 600"]).spawn();
    sim.wait_until("another session", || sim.control.sessions().len() == 2);
    let of = |nodes: &str| sim.run(&["session", "list", "-t", nodes, "-o", "quiet"]).exits(0).text();
    assert_eq!((of("all").lines().count(), of("web-1")), (2, format!("{id}\n")), "a set of nodes");
    let _ = sim.run(&["session", "list", "-t", "nope"]).exits(3).says("no node matches");
    other.signal("TERM");
    let _ = other.wait().exits(130);
    let _ = sim.run(&["session", "stop", "nobody-0"]).exits(3).says("there is no session `nobody-0`");
    let _ = sim.run(&["session", "stop", "x-0", "y-0"]).exits(3).says("there are no sessions `x-0`, `y-0`");
    let _ = sim.run(&["session", "stop", &id]).exits(0).says(&format!("{id} ended"));
    let _ = running.wait().exits(255);
    let _ = sim.run(&["session", "stop", &id]).exits(0).says("had ended already");
    let history = sim.run(&["session", "history", "-t", "web-1", "--jsonl"]).exits(0).events();
    assert_eq!((&history[0]["id"], history[0]["ended"].is_string()), (&json!(id), true));
    for time in ["started", "ended"] {
        let text = history[0][time].as_str().unwrap();
        assert!(text.len() <= "2026-11-22T10:42:52.660Z".len(), "{text} has more than milliseconds");
    }
    let _ = sim.run(&["session", "list", "-o", "table"]).exits(0).says("No sessions go on.");
    assert_eq!(sim.run(&["session", "list", "-o", "quiet"]).exits(0).stderr, "");
    let _ = sim.run(&["session", "list", "--columns", "nope"]).exits(2);
}

/// CLI.md: 3 and 4 mean that nothing was done.
#[test]
fn what_can_not_be_ended_keeps_no_other_session() {
    let sim = sim("nodes=5");
    let start = |n: usize| {
        let running = sim.herder(["session", "exec", "web-1", "--", "sleep 600"]).spawn();
        sim.wait_until("it begins", || sim.control.sessions().iter().filter(|s| s.connects > 0).count() > n);
        (running, sim.control.sessions().last().unwrap().id.clone())
    };
    let (first, a) = start(0);
    let (_second, b) = start(1);
    let (_third, c) = start(2);
    let stopped = sim.run(&["session", "stop", "nobody-0", &a, "nobody-1"]).exits(1);
    let _ = stopped.says(&format!("{a} ended")).says("there are no sessions `nobody-0`, `nobody-1`");
    let _ = first.wait().exits(255);
    sim.deny(&["TerminateSession"]);
    let denied = sim.run(&["session", "stop", &b, "nobody-0", &c]).exits(4);
    let denied = denied.says(&format!("{b} was not ended")).says(&format!("{c} was not ended"));
    let _ = denied.says("3 sessions were not ended").says("there is no session `nobody-0`");
    let _ = sim.run(&["session", "stop", &b]).exits(4).never_says("was not ended");
    sim.deny(&[]);
    let _ = sim.run(&["session", "stop", &c, &b]).exits(0);
}

#[test]
fn a_document_has_to_start_a_shell() {
    let sim = sim("nodes=5");
    let shell = |words: &[&str]| sim.run(&[&["session", "web-1", "--document"], words].concat()).silent();
    let command = shell(&["AWS-RunShellScript"]).exits(2);
    let command = command.says("`AWS-RunShellScript` is none that starts a session").says("type: 'Command'");
    let _ = command.never_says("Check the name, the region");
    let _ = shell(&["AWS-StartPortForwardingSession", "-p", "portNumber=22"]).exits(2).says("type Port");
    let words = ["AWS-StartNonInteractiveCommand", "-p", "command=id"];
    let _ = shell(&words).exits(2).says("type NonInteractiveCommands").says("herder session exec");
    let missing = shell(&["AWS-StartInteractiveCommand"]).exits(2);
    let _ = missing.says("Required parameters are missing").says("-p NAME=VALUE");
    sim.wait_until("nothing is left", || {
        sim.control.sessions().iter().all(|session| session.status == "Terminated")
    });
}

#[test]
fn a_machine_that_slept_is_told_how_its_session_ended() {
    // Of itself, by somebody, or because a client was away for longer than the idle time.
    let ended = |spec: &str, end: &dyn Fn(&Sim, &str)| {
        let sim = sim(spec);
        let running = sim.herder(["session", "exec", "web-1", "--", "sleep 600"]).spawn();
        let id = session(&sim);
        running.signal("STOP");
        end(&sim, &id);
        sim.wait_until("it is over", || sim.control.sessions()[0].status == "Terminated");
        running.signal("CONT");
        running.wait().exits(255).silent()
    };
    let act = |sim: &Sim, id: &str, act| assert!(sim.control.act(id, act));
    let idle = ended("nodes=5", &|sim, id| act(sim, id, SessionAct::TimeOut));
    let _ = idle.says("timed out due to inactivity").says("hint: The idle time is set");
    let stopped = ended("nodes=5", &|sim, id| {
        act(sim, id, SessionAct::Drop);
        act(sim, id, SessionAct::Terminate { output: String::new() });
    });
    let _ = stopped.says("the session was ended from elsewhere").says("TerminateSession");
    let away = ended("nodes=5,session_idle=4s", &|sim, id| act(sim, id, SessionAct::Drop));
    let _ = away.says("the session has timed out").says("hint: Start another one");
}

#[test]
fn a_node_that_may_not_decrypt_is_told_of() {
    let sim = sim("nodes=5,session_kms=alias/sessions,session_agent_kms_denied=true");
    let output = sim.herder(["session", "web-1"]).run().exits(1);
    let _ = output.says("kms:Decrypt").says("hint: Sessions of this account are encrypted");
}
