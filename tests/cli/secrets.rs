//! Planted secrets: values of variables and parameters, standard input, keys, tokens and a proxy's password are found in no file,
//! in nothing that is printed, and in no command line of another process, however a command ends.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use herder_sim::When;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::harness::{Herder, Output, Sim};

const VARIABLE: &str = "pl4nted-variable-value";
const IN_FILE: &str = "pl4nted-env-file-value";
const ON_LINE: &str = "pl4nted-command-line-value";
const PARAMETER: &str = "pl4nted-parameter-value";
const STDIN: &str = "pl4nted-standard-input";
const KEY: &str = "pl4nted/aws/secret/access/key/0000000000";
const TOKEN: &str = "pl4ntedAwsSessionTokenIQoJb3JpZ2luX2VjEPT";
const PASSWORD: &str = "pl4nted-proxy-password";
const ENDPOINT: &str = "pl4nted-endpoint-password";
const SESSION: &str = "pl4nted-session-manager-token";
/// The simulation's own key: sessions are really signed.
const SIMULATED: &str = "simulated/secret/key/that/opens/nothing0";
const ALL: [&str; 11] =
    [VARIABLE, IN_FILE, ON_LINE, PARAMETER, STDIN, KEY, TOKEN, PASSWORD, ENDPOINT, SESSION, SIMULATED];

/// Forms that a value might be written in.
fn forms(secret: &str) -> Vec<Vec<u8>> {
    let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    let list = secret.bytes().map(|byte| byte.to_string()).collect::<Vec<_>>().join(", ");
    // Of what stands inside of something else the middle is the same, wherever it begins.
    let shifted = (0..3).map(|shift| {
        let encoded = STANDARD.encode(format!("{}{secret}", "x".repeat(shift)));
        encoded[4 * shift.min(1)..encoded.len() - 4].to_owned()
    });
    let escaped = secret.replace('/', "%2F");
    [secret.to_owned(), hex, list, escaped].into_iter().chain(shifted).map(String::into_bytes).collect()
}

fn holds(bytes: &[u8], secret: &str) -> bool {
    forms(secret).iter().any(|form| bytes.windows(form.len()).any(|window| window == &form[..]))
}

#[track_caller]
fn is_clean(what: &str, bytes: &[u8]) {
    for secret in ALL {
        assert!(!holds(bytes, secret), "{secret} is in {what}:\n{}", String::from_utf8_lossy(bytes));
    }
}

fn files(directory: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(directory) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push(path);
        }
    }
}

/// Nothing that was printed and no file that herder wrote has any of them; gives how many files there are.
#[track_caller]
fn nothing_leaked(sim: &Sim, output: &Output) -> usize {
    is_clean("what was printed", format!("{output:?}").lines().skip(1).collect::<String>().as_bytes());
    is_clean("standard output", &output.stdout);
    is_clean("standard error", output.stderr.as_bytes());
    files_are_clean(sim)
}

#[track_caller]
fn files_are_clean(sim: &Sim) -> usize {
    let mut found = Vec::new();
    for directory in ["state", "cache", "config", "home", "out", "seen"] {
        files(&sim.path(directory), &mut found);
    }
    for path in &found {
        is_clean(path.to_str().unwrap(), &std::fs::read(path).unwrap());
    }
    found.len()
}

/// One who has all of it in his environment, and everything on that might make a library talk.
fn planted<'a>(sim: &'a Sim, arguments: &[&str]) -> Herder<'a> {
    let mut herder = sim
        .herder(arguments)
        .env("AWS_SECRET_ACCESS_KEY", KEY)
        .env("AWS_SESSION_TOKEN", TOKEN)
        .env("PLANTED", VARIABLE)
        .stdin(STDIN);
    for (name, value) in [
        ("RUST_LOG", "trace"),
        ("RUST_BACKTRACE", "full"),
        ("HERDER_LOG", "trace"),
        ("HERDER_DEBUG", "1"),
        ("AWS_LOG_LEVEL", "trace"),
        ("SMITHY_LOG", "trace"),
    ] {
        herder = herder.env(name, value);
    }
    herder
}

/// The directory where what others see is written.
fn seen(sim: &Sim) -> PathBuf {
    let directory = sim.path("seen");
    std::fs::create_dir_all(&directory).unwrap();
    directory
}

/// Everything at once on one line of `exec`; `more` goes before the command.
fn line(sim: &Sim, more: &[&str]) -> Vec<String> {
    let file = sim.file("planted.env", format!("# mine\nFROM_FILE={IN_FILE}\n"));
    let base = ["exec", "-t", "all", "--yes", "--env", "PLANTED", "--env-file", &file, "--stdin"];
    let words = base.iter().chain(more).chain(&["--", "uptime"]);
    words.map(|word| (*word).to_owned()).collect()
}

fn run_line(sim: &Sim, more: &[&str]) -> Output {
    let words = line(sim, more);
    planted(sim, &words.iter().map(String::as_str).collect::<Vec<_>>()).run()
}

#[test]
fn a_scan_finds_what_is_there() {
    for secret in ALL {
        for form in forms(secret) {
            assert!(holds(&[b"before", &form[..], b"after"].concat(), secret), "{secret}");
        }
        let within = STANDARD.encode(format!("{{\"value\":\"{secret}\",\"more\":1}}"));
        assert!(holds(within.as_bytes(), secret), "{secret} in base64: {within}");
    }
    assert!(!holds(b"pl4nted", VARIABLE));
}

#[test]
fn runs_that_end_well_badly_or_not_at_all() {
    // It did reach the nodes: otherwise nothing would be shown by its absence.
    let sim = Sim::start("nodes=4,windows=0");
    let output = run_line(&sim, &["--out-dir", sim.path("out").to_str().unwrap(), "--jsonl"]).exits(0);
    assert!(nothing_leaked(&sim, &output) > 5);
    let sent = sim.ask("ListCommands", &serde_json::json!({})).to_string();
    assert!([VARIABLE, IN_FILE, STDIN].iter().all(|secret| holds(sent.as_bytes(), secret)), "{sent}");
    for verb in [
        &["runs", "show", "last"][..],
        &["runs", "list", "--json"],
        &["runs", "show", "last", "--json"],
        &["config", "show", "--all", "--json"],
        &["doctor", "--json"],
        &["whoami", "--json"],
    ] {
        let output = planted(&sim, verb).run().exits(0);
        assert!(nothing_leaked(&sim, &output) > 5, "{verb:?}");
    }
    // Nodes that fail, denied sends, answers that are lost, and what the service finds wrong and quotes.
    for spec in [
        "broken=4",
        "denied_apis=SendCommand",
        "expired",
        "errors=100%",
        "parameters_limit=20",
        "dropped=100%",
    ] {
        let sim = Sim::start(&format!("nodes=4,windows=0,{spec}"));
        let output = run_line(&sim, &["--json"]);
        assert_ne!(output.code, Some(0), "{spec}");
        nothing_leaked(&sim, &output);
    }
    // Killed with a send on its way, and gone on with.
    let sim = Sim::start("nodes=4,windows=0");
    let hold = sim.hold("SendCommand", 1, When::After);
    let words = line(&sim, &[]);
    let running = planted(&sim, &words.iter().map(String::as_str).collect::<Vec<_>>()).spawn();
    sim.wait_held(hold);
    running.kill();
    assert!(files_are_clean(&sim) > 3);
    sim.continue_held(hold);
    let output = planted(&sim, &["runs", "resume", "last", "--stdin"]).run().exits(0);
    nothing_leaked(&sim, &output);
    // Other values are refused, and neither is named.
    let other = sim.herder(["runs", "retry", "last", "--where", "ok"]).env("PLANTED", ON_LINE).run();
    nothing_leaked(&sim, &other);
}

#[test]
fn values_on_the_command_line() {
    let sim = Sim::start("nodes=4,windows=0");
    let value = format!("PLANTED={ON_LINE}");
    let output = sim.run(&["exec", "-t", "web-1", "--env", &value, "--json", "--", "true"]).exits(0);
    nothing_leaked(&sim, &output);
    let parameter = format!("commands=test x = {PARAMETER}");
    let document = ["exec", "-t", "web-1", "--document", "AWS-RunShellScript", "-p", &parameter, "--json"];
    let output = sim.run(&document).exits(1);
    nothing_leaked(&sim, &output);
    // What the service doesn't accept, it quotes.
    for (name, document) in [("nonsense", "AWS-RunShellScript"), ("Operation", "AWS-RunPatchBaseline")] {
        let parameter = format!("{name}={PARAMETER}");
        let arguments = ["exec", "-t", "web-1", "--document", document, "-p", &parameter, "--json"];
        let output = sim.run(&arguments);
        assert_ne!(output.code, Some(0), "{name}");
        nothing_leaked(&sim, &output);
    }
    // Mistakes in giving them don't repeat them.
    let bad = sim.file("bad.env", format!("{IN_FILE}\n"));
    for arguments in [
        &["exec", "-t", "web-1", "--env-file", &bad, "--", "true"][..],
        &["exec", "-t", "web-1", "--env", &format!("1BAD={ON_LINE}"), "--", "true"],
        &["exec", "-t", "web-1", "--document", "AWS-RunShellScript", "-p", PARAMETER],
        &["exec", "-t", "web-1", "-p", &format!("a={PARAMETER}"), "--", "true"],
    ] {
        let output = sim.run(arguments).exits(2);
        nothing_leaked(&sim, &output);
    }
}

#[test]
fn what_other_processes_see() {
    let sim = Sim::start("nodes=4,windows=0");
    let seen = seen(&sim);
    // A gate sees every command line, and an environment without what is only for the nodes.
    let gate = format!(
        "tr '\\0' ' ' < /proc/$PPID/cmdline > {0}/herder; tr '\\0' ' ' < /proc/self/cmdline > {0}/self; env | grep -v -e ^AWS_ -e ^PLANTED= > {0}/environment; true",
        seen.display()
    );
    let output = run_line(&sim, &["--waves", "1,100%", "--gate", &gate]).exits(0);
    assert_eq!(nothing_leaked(&sim, &output).min(8), 8);
    assert!(std::fs::read_to_string(seen.join("environment")).unwrap().contains("HERDER_RUN="));
    assert!(std::fs::read_to_string(seen.join("herder")).unwrap().contains("--env PLANTED"));

    // ssh gets herder as its proxy, and neither a token nor a key with it.
    let bin = sim.path("bin");
    std::fs::create_dir_all(&bin).unwrap();
    sim.file("bin/ssh", format!("#!/bin/sh\nprintf '%s\\n' \"$@\" > {}/ssh\n", seen.display()));
    std::fs::set_permissions(bin.join("ssh"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/local/bin:/usr/bin:/bin", bin.display());
    let output =
        planted(&sim, &["session", "ssh", "ubuntu@web-1", "uptime"]).env("PATH", path).run().exits(0);
    nothing_leaked(&sim, &output);
    assert!(std::fs::read_to_string(seen.join("ssh")).unwrap().contains("ProxyCommand"));
}

#[test]
fn sessions_and_their_tokens() {
    let sim = Sim::start("nodes=4,windows=0,hybrid=0,speed=1");
    let signed = planted(&sim, &["session", "exec", "web-1", "--", "uptime"]);
    let output = signed.env("AWS_SECRET_ACCESS_KEY", SIMULATED).without("AWS_SESSION_TOKEN").run().exits(0);
    nothing_leaked(&sim, &output);
    for fault in [
        &["session", "exec", "nobody", "--", "uptime"][..],
        &["session", "list", "--json"],
        &["session", "history", "--json"],
    ] {
        let output = planted(&sim, fault).run();
        nothing_leaked(&sim, &output);
    }
    // As the aws CLI's plugin it is handed a token: whole, broken, and for a place where nobody is.
    let whole = format!(
        "{{\"SessionId\":\"me-0123456789abcdef0\",\"TokenValue\":\"{SESSION}\",\"StreamUrl\":\"wss://ssmmessages.us-east-1.amazonaws.com/v1/data-channel/me-0?token={SESSION}\"}}"
    );
    let elsewhere = whole.replace("ssmmessages.us-east-1.amazonaws.com", "127.0.0.1:9");
    for response in [whole.replace("\"}", ""), elsewhere, format!("\"{SESSION}\"")] {
        let variable = "AWS_SSM_START_SESSION_RESPONSE";
        let words = [variable, "us-east-1", "StartSession", "", "{\"Target\":\"i-0\"}", sim.endpoint()];
        let herder = planted(&sim, &words).env(variable, &response);
        let name = format!("plugin-{}", response.len());
        std::fs::create_dir_all(sim.path(&name)).unwrap();
        let output = herder.called(&format!("{name}/session-manager-plugin")).run();
        assert_ne!(output.code, Some(0), "{output:?}");
        nothing_leaked(&sim, &output);
    }
}

/// A proxy that refuses, and quotes what it was sent.
fn refusing(sim: &Sim) -> String {
    let listener = sim.runtime().block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    sim.runtime().spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(refuse(client));
        }
    });
    address.to_string()
}

async fn refuse(mut client: TcpStream) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = client.read_u8().await else { return };
        head.push(byte);
    }
    let length = head.len();
    let answer = format!("HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: {length}\r\n\r\n");
    let _ = client.write_all(&[answer.as_bytes(), &head].concat()).await;
}

#[test]
fn passwords_in_urls() {
    let sim = Sim::tls("3,windows=0,speed=1000");
    let proxies = [
        format!("http://me:{PASSWORD}@127.0.0.1:9"),
        format!("http://me:{PASSWORD}@{}", refusing(&sim)),
        format!("socks5://me:{PASSWORD}@127.0.0.1:9"),
        format!("::: {PASSWORD}"),
    ];
    let commands: [&[&str]; 4] = [
        &["exec", "-t", "web-1", "--json", "--", "true"],
        &["nodes", "list"],
        &["doctor", "--json"],
        &["session", "exec", "web-1", "--", "true"],
    ];
    for proxy in &proxies {
        for command in commands {
            let herder = planted(&sim, command).env("AWS_CA_BUNDLE", sim.ca_file());
            let output = herder.env("HTTPS_PROXY", proxy).run();
            assert_ne!(output.code, Some(0), "{proxy}");
            nothing_leaked(&sim, &output);
        }
    }
    // An endpoint's URL may hold one too; it goes into a run's record, and into messages.
    let sim = Sim::start("3,windows=0");
    let host = sim.endpoint().strip_prefix("http://").unwrap().to_owned();
    let variables = BTreeMap::from([
        ("nobody", format!("http://me:{ENDPOINT}@127.0.0.1:9")),
        ("the simulator", format!("http://me:{ENDPOINT}@{host}")),
    ]);
    for (what, url) in variables {
        for command in
            commands.iter().chain([&["whoami", "--json"][..], &["runs", "show", "last", "--json"]].iter())
        {
            let output = planted(&sim, command).env("AWS_ENDPOINT_URL", &url).run();
            assert!(!format!("{output:?}").is_empty(), "{what}");
            nothing_leaked(&sim, &output);
        }
    }
}

#[test]
fn files_are_for_the_user_alone() {
    let sim = Sim::start("4,windows=0");
    let _ = run_line(&sim, &[]).exits(0);
    let mut found = Vec::new();
    files(&sim.path("state"), &mut found);
    assert!(found.len() > 4, "{found:?}");
    for path in found {
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        let up = path.ancestors().take_while(|up| *up != sim.path("state"));
        let is_closed = up.skip(1).any(|up| std::fs::metadata(up).unwrap().permissions().mode() & 0o077 == 0);
        assert!(mode & 0o077 == 0 || is_closed, "{} has mode {mode:o}", path.display());
    }
}
