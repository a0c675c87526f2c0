//! The test bench: a simulated AWS in this process, the real executable beside it, and what is asked of both.
//!
//! Every wait is for something that can be observed, and has a bound.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use herder_sim::{
    Control, FaultSpec, HoldId, HoldSpec, Release, RequestRecord, ServeOptions, Server, Spec, Verdict, When,
    serve,
};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Longer than anything takes, on any machine.
pub(crate) const BOUND: Duration = Duration::from_secs(100);

/// A simulated AWS, and directories for the herders that use it.
pub(crate) struct Sim {
    runtime: Runtime,
    server: Option<Server>,
    pub(crate) control: Control,
    endpoint: String,
    directory: TempDir,
}

impl Sim {
    /// One with this spec; simulated time is a thousand times as fast unless the spec says otherwise.
    pub(crate) fn start(spec: &str) -> Sim {
        let speed = if spec.contains("speed=") { "" } else { "speed=1000," };
        Sim::serve(format!("{speed}{spec}").parse().unwrap(), ServeOptions::default())
    }

    /// One that plays a scenario.
    pub(crate) fn scenario(text: &str) -> Sim {
        Sim::serve(Spec::scenario(text, Path::new("test.toml")).unwrap(), ServeOptions::default())
    }

    /// One that speaks https.
    pub(crate) fn tls(spec: &str) -> Sim {
        Sim::serve(spec.parse().unwrap(), ServeOptions { port: 0, tls: true })
    }

    fn serve(spec: Spec, options: ServeOptions) -> Sim {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let server = runtime.block_on(serve(spec, options)).unwrap();
        let (control, endpoint) = (server.control(), server.endpoint().to_owned());
        Sim { runtime, server: Some(server), control, endpoint, directory: TempDir::new().unwrap() }
    }

    /// Where it listens.
    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The certificate authority of one that speaks https, as a file.
    pub(crate) fn ca_file(&self) -> PathBuf {
        let path = self.path("ca.pem");
        std::fs::write(&path, self.server.as_ref().unwrap().ca_pem().unwrap()).unwrap();
        path
    }

    /// A path in the test's own directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes a file into the test's own directory.
    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// For what the simulation's own runtime has to do.
    pub(crate) fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// A herder that uses it.
    pub(crate) fn herder<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Herder<'_> {
        let mut herder = Herder {
            sim: self,
            program: env!("CARGO_BIN_EXE_herder").into(),
            arguments: arguments.into_iter().map(|a| a.as_ref().to_owned()).collect(),
            variables: BTreeMap::new(),
            stdin: Vec::new(),
            has_endless_stdin: false,
            reader: Reader::Reads,
        };
        let base = self.directory.path();
        for (name, value) in [
            ("PATH", "/usr/local/bin:/usr/bin:/bin".into()),
            ("HOME", base.join("home").into_os_string()),
            ("XDG_STATE_HOME", base.join("state").into_os_string()),
            ("XDG_CACHE_HOME", base.join("cache").into_os_string()),
            ("XDG_CONFIG_HOME", base.join("config").into_os_string()),
            ("AWS_ENDPOINT_URL", self.endpoint.clone().into()),
            ("AWS_ACCESS_KEY_ID", "AKIASIMULATEDKEY0001".into()),
            ("AWS_SECRET_ACCESS_KEY", "simulated/secret/key/that/opens/nothing0".into()),
            ("AWS_REGION", "us-east-1".into()),
            ("AWS_EC2_METADATA_DISABLED", "true".into()),
            ("TZ", "UTC".into()),
        ] {
            herder.variables.insert(name.into(), value);
        }
        herder
    }

    /// The variables by which AWS is this one, for other programs.
    pub(crate) fn variables(&self) -> impl Iterator<Item = (OsString, OsString)> {
        let herder = self.herder::<&str>([]);
        let is_place = |name: &OsString| {
            !["PATH", "HOME"].iter().any(|n| name == n) && !name.to_string_lossy().starts_with("XDG_")
        };
        herder.variables.into_iter().filter(move |(name, _)| is_place(name))
    }

    /// Runs it to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.herder(arguments).run()
    }

    /// The id of a node, by its name.
    pub(crate) fn id(&self, name: &str) -> String {
        self.control.nodes().into_iter().find(|node| node.name == name).unwrap().id
    }

    /// Ids of all nodes, or of those of a platform.
    pub(crate) fn ids(&self, platform: Option<&str>) -> Vec<String> {
        let nodes = self.control.nodes().into_iter();
        nodes.filter(|n| platform.is_none_or(|p| n.platform == p)).map(|n| n.id).collect()
    }

    /// Requests of one API so far.
    pub(crate) fn calls(&self, api: &str) -> Vec<RequestRecord> {
        self.control.requests().into_iter().filter(|r| r.api == api).collect()
    }

    /// Requests so far that change something.
    pub(crate) fn mutating(&self) -> Vec<RequestRecord> {
        self.control.requests().into_iter().filter(|r| r.mutating).collect()
    }

    /// Nothing was asked that changes anything.
    pub(crate) fn assert_nothing_sent(&self) {
        let sent = self.mutating();
        assert!(sent.is_empty(), "sent: {sent:#?}");
    }

    /// No node ran any command of herder more than once.
    pub(crate) fn assert_at_most_once(&self) {
        let runs = self.control.truth().runs_by_node("herder ");
        let twice: Vec<_> = runs.iter().filter(|(_, count)| **count > 1).collect();
        assert!(twice.is_empty(), "ran more than once: {twice:?}");
    }

    /// The verdicts are the simulation's truth. What was never sent has no truth; `unknown` claims none.
    pub(crate) fn assert_true(&self, verdicts: &BTreeMap<String, String>) {
        let truth = self.control.truth();
        let mut last: BTreeMap<&str, Option<Verdict>> = BTreeMap::new();
        for execution in &truth.executions {
            last.insert(&execution.instance_id, execution.verdict);
        }
        for (id, said) in verdicts {
            match last.get(id.as_str()) {
                _ if said == "unknown" => {}
                None => assert!(
                    ["undelivered", "denied", "not_run"].contains(&said.as_str()),
                    "{id} is called {said}, and nothing was sent to it"
                ),
                Some(really) => {
                    let really = really.map(|v| serde_json::to_value(v).unwrap());
                    assert_eq!(Some(Value::from(said.as_str())), really, "{id}");
                }
            }
        }
        for id in last.keys() {
            assert!(verdicts.contains_key(*id), "{id} was sent a command and has no verdict");
        }
    }

    /// Holds the nth request that changes something.
    pub(crate) fn hold_mutating(&self, nth: u32, when: When) -> HoldId {
        self.control.hold(HoldSpec { api: None, mutating_only: true, nth, when })
    }

    /// Holds the nth request of an API.
    pub(crate) fn hold(&self, api: &str, nth: u32, when: When) -> HoldId {
        self.control.hold(HoldSpec { api: Some(api.to_owned()), mutating_only: false, nth, when })
    }

    /// Waits until the request is held.
    pub(crate) fn wait_held(&self, hold: HoldId) {
        let is_held = self.runtime.block_on(self.control.wait_held(hold, BOUND));
        assert!(is_held, "the request that was to be held never came");
    }

    /// Closes the connection of a held request.
    pub(crate) fn drop_held(&self, hold: HoldId) {
        self.control.release(hold, Release::Drop);
    }

    /// Lets a held request go on.
    pub(crate) fn continue_held(&self, hold: HoldId) {
        self.control.release(hold, Release::Continue);
    }

    /// Refuses some APIs.
    pub(crate) fn deny(&self, apis: &[&str]) {
        let deny = apis.iter().map(|api| (*api).to_owned()).collect();
        self.control.faults(FaultSpec { deny, ..self.control.fault_settings() });
    }

    /// Asks Systems Manager directly, past herder.
    pub(crate) fn ask(&self, api: &str, body: &Value) -> Value {
        use std::io::{Read as _, Write as _};
        let address = self.endpoint.strip_prefix("http://").unwrap();
        let body = body.to_string();
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        let credential = "Credential=AKIASIMULATEDKEY0001/20260501/us-east-1/ssm/aws4_request";
        write!(
            stream,
            "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Amz-Target: AmazonSSM.{api}\r\nAuthorization: AWS4-HMAC-SHA256 {credential}, SignedHeaders=host, Signature=00\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
    }

    /// Waits for something that somebody else does.
    pub(crate) fn wait_until(&self, what: &str, mut is_so: impl FnMut() -> bool) {
        self.runtime.block_on(async {
            let wait = async {
                while !is_so() {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            };
            assert!(tokio::time::timeout(BOUND, wait).await.is_ok(), "never: {what}");
        });
    }

    /// Directories of all runs, oldest first.
    pub(crate) fn runs(&self) -> Vec<PathBuf> {
        let Ok(entries) = std::fs::read_dir(self.path("state/herder/runs")) else { return Vec::new() };
        let mut runs: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        runs.sort();
        runs
    }

    /// The directory of the only run.
    pub(crate) fn the_run(&self) -> PathBuf {
        let [run] = <[PathBuf; 1]>::try_from(self.runs()).unwrap();
        run
    }

    /// A file of JSON lines of the only run.
    pub(crate) fn run_lines(&self, name: &str) -> Vec<Value> {
        json_lines(&std::fs::read(self.the_run().join(name)).unwrap())
    }
}

/// Whole lines of JSON.
pub(crate) fn json_lines(bytes: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(bytes).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
}

/// What becomes of stdout.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reader {
    Reads,
    NeverReads,
    Closed,
}

/// A herder that is to be started.
pub(crate) struct Herder<'a> {
    sim: &'a Sim,
    program: OsString,
    arguments: Vec<OsString>,
    variables: BTreeMap<OsString, OsString>,
    stdin: Vec<u8>,
    has_endless_stdin: bool,
    reader: Reader,
}

impl<'a> Herder<'a> {
    /// Sets a variable.
    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.variables.insert(name.into(), value.as_ref().to_owned());
        self
    }

    /// Leaves a variable out.
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.variables.remove(OsStr::new(name));
        self
    }

    /// What it can read from stdin.
    pub(crate) fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    /// stdin is a pipe that nobody writes to or closes.
    pub(crate) fn endless_stdin(mut self) -> Self {
        self.has_endless_stdin = true;
        self
    }

    /// stdout is a pipe that nobody reads.
    pub(crate) fn never_read(mut self) -> Self {
        self.reader = Reader::NeverReads;
        self
    }

    /// stdout is a pipe whose reader is gone.
    pub(crate) fn closed_stdout(mut self) -> Self {
        self.reader = Reader::Closed;
        self
    }

    /// Runs it by a line of `sh` in which `"$@"` is it and its arguments.
    pub(crate) fn by_shell(mut self, line: &str) -> Self {
        let program = std::mem::replace(&mut self.program, "/bin/sh".into());
        let mut arguments: Vec<OsString> = ["-c", line, "sh"].map(OsString::from).into();
        arguments.push(program);
        arguments.append(&mut self.arguments);
        self.arguments = arguments;
        self
    }

    /// Calls it by another name: a link to it.
    pub(crate) fn called(mut self, name: &str) -> Self {
        let link = self.sim.path(name);
        std::os::unix::fs::symlink(&self.program, &link).unwrap();
        self.program = link.into();
        self
    }

    /// Runs another program in its place, in the same environment.
    pub(crate) fn program(mut self, program: &str) -> Self {
        self.program = program.into();
        self
    }

    /// The command, for who connects its streams by himself; it runs in a session with a terminal of its own if its stdin is one.
    pub(crate) fn on_terminal(self) -> std::process::Command {
        let mut command = std::process::Command::new("setsid");
        command.arg("--ctty").arg(&self.program).args(&self.arguments);
        command.env_clear().envs(&self.variables).env("TERM", "xterm").current_dir(self.sim.directory.path());
        command
    }

    /// Starts it.
    pub(crate) fn spawn(self) -> Running<'a> {
        let mut command = tokio::process::Command::new(&self.program);
        command.args(&self.arguments).env_clear().envs(&self.variables).kill_on_drop(true);
        command.current_dir(self.sim.directory.path());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let _context = self.sim.runtime.enter();
        let mut child = command.spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        let (stdin, is_endless) = (self.stdin, self.has_endless_stdin);
        let feed = self.sim.runtime.spawn(async move {
            if is_endless {
                std::future::pending::<()>().await;
            }
            // Whoever does not read its input does not want it.
            let _ = input.write_all(&stdin).await;
        });
        let mut unread = None;
        let stdout = match self.reader {
            Reader::Reads => Stream::read(self.sim, child.stdout.take().unwrap()),
            Reader::NeverReads => {
                unread = child.stdout.take();
                Stream::empty()
            }
            Reader::Closed => {
                drop(child.stdout.take());
                Stream::empty()
            }
        };
        let stderr = Stream::read(self.sim, child.stderr.take().unwrap());
        let line = self.arguments.iter().map(|a| a.to_string_lossy()).collect::<Vec<_>>().join(" ");
        Running { sim: self.sim, line, child, feed, stdout, stderr, unread }
    }

    /// Runs it to its end.
    pub(crate) fn run(self) -> Output {
        self.spawn().wait()
    }
}

/// What a process has written so far.
struct Stream {
    bytes: Arc<Mutex<Vec<u8>>>,
    grown: watch::Receiver<usize>,
    reading: Option<JoinHandle<()>>,
}

impl Stream {
    fn empty() -> Stream {
        Stream { bytes: Arc::default(), grown: watch::channel(0).1, reading: None }
    }

    fn read(sim: &Sim, mut from: impl AsyncRead + Unpin + Send + 'static) -> Stream {
        let bytes: Arc<Mutex<Vec<u8>>> = Arc::default();
        let (grow, grown) = watch::channel(0);
        let sink = Arc::clone(&bytes);
        let reading = sim.runtime.spawn(async move {
            let mut block = vec![0; 1 << 16];
            while let Ok(count @ 1..) = from.read(&mut block).await {
                let mut sink = sink.lock().unwrap_or_else(PoisonError::into_inner);
                sink.extend_from_slice(&block[..count]);
                grow.send_replace(sink.len());
            }
        });
        Stream { bytes, grown, reading: Some(reading) }
    }

    fn bytes(&self) -> Vec<u8> {
        self.bytes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes()).into_owned()
    }

    async fn wait_for(&mut self, text: &str) -> bool {
        loop {
            self.grown.borrow_and_update();
            if self.text().contains(text) {
                return true;
            }
            if self.grown.changed().await.is_err() {
                return self.text().contains(text);
            }
        }
    }
}

/// A herder that runs.
pub(crate) struct Running<'a> {
    sim: &'a Sim,
    line: String,
    child: tokio::process::Child,
    feed: JoinHandle<()>,
    stdout: Stream,
    stderr: Stream,
    unread: Option<tokio::process::ChildStdout>,
}

impl Running<'_> {
    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id().unwrap()
    }

    /// Waits until it has said something on stderr.
    pub(crate) fn wait_for_stderr(&mut self, text: &str) {
        let waiting = self.stderr.wait_for(text);
        let has_come = self.sim.runtime.block_on(async { tokio::time::timeout(BOUND, waiting).await });
        assert!(has_come == Ok(true), "`{}` never said {text:?}:\n{}", self.line, self.stderr.text());
    }

    /// Waits until something is on stdout.
    pub(crate) fn wait_for_stdout(&mut self, text: &str) {
        let waiting = self.stdout.wait_for(text);
        let has_come = self.sim.runtime.block_on(async { tokio::time::timeout(BOUND, waiting).await });
        assert!(has_come == Ok(true), "`{}` never wrote {text:?}:\n{}", self.line, self.stderr.text());
    }

    /// What is on stdout so far.
    pub(crate) fn stdout_so_far(&self) -> String {
        self.stdout.text()
    }

    /// Waits until Ctrl-C no longer kills it outright: the kernel shows which signals a process catches.
    pub(crate) fn wait_until_it_listens(&self) {
        const INTERRUPT: u64 = 1 << 1;
        let status = format!("/proc/{}/status", self.pid());
        self.sim.wait_until("it catches signals", || {
            let text = std::fs::read_to_string(&status).unwrap();
            let caught = text.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap().trim();
            u64::from_str_radix(caught, 16).unwrap() & INTERRUPT != 0
        });
    }

    /// Sends it a signal: `INT`, `TERM`, `HUP`.
    pub(crate) fn signal(&self, name: &str) {
        let mut kill = std::process::Command::new("/bin/sh");
        let status = kill.args(["-c", &format!("kill -{name} {}", self.pid())]).status().unwrap();
        assert!(status.success());
    }

    /// Kills it, as with `kill -9`, and waits until it is gone.
    pub(crate) fn kill(mut self) {
        self.child.start_kill().unwrap();
        let status = self.sim.runtime.block_on(self.child.wait()).unwrap();
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9), "it had ended by itself");
    }

    /// Whether it comes to make the request that is to be held; false when it ends without it.
    pub(crate) fn comes_to(&mut self, hold: HoldId) -> bool {
        self.sim.runtime.block_on(async {
            tokio::select! {
                is_held = self.sim.control.wait_held(hold, BOUND) => is_held,
                _ = self.child.wait() => false,
            }
        })
    }

    /// Whether it still runs.
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Begins to read a stdout that nobody read.
    pub(crate) fn start_reading(&mut self) {
        self.stdout = Stream::read(self.sim, self.unread.take().unwrap());
    }

    /// Waits for its end.
    pub(crate) fn wait(mut self) -> Output {
        let Ok(status) =
            self.sim.runtime.block_on(async { tokio::time::timeout(BOUND, self.child.wait()).await })
        else {
            panic!("`{}` does not end; it said:\n{}", self.line, self.stderr.text());
        };
        self.feed.abort();
        for reading in [self.stdout.reading.take(), self.stderr.reading.take()].into_iter().flatten() {
            self.sim.runtime.block_on(async { tokio::time::timeout(BOUND, reading).await.unwrap().unwrap() });
        }
        Output {
            line: self.line,
            code: status.unwrap().code(),
            stdout: self.stdout.bytes(),
            stderr: self.stderr.text(),
        }
    }
}

/// What a herder left behind.
#[must_use]
pub(crate) struct Output {
    line: String,
    /// The exit code; none if a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stdout = String::from_utf8_lossy(&self.stdout);
        let cut: String = stdout.chars().take(4000).collect();
        write!(f, "`{}` exit {:?}\n--- stdout\n{cut}\n--- stderr\n{}", self.line, self.code, self.stderr)
    }
}

impl Output {
    /// It exited with this code.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Output {
        assert_eq!(self.code, Some(code), "{self:?}");
        self
    }

    /// stderr contains this.
    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Output {
        assert!(self.stderr.contains(text), "not said: {text:?}\n{self:?}");
        self
    }

    /// stdout and stderr do not contain this.
    #[track_caller]
    pub(crate) fn never_says(self, text: &str) -> Output {
        let shown = format!("{self:?}");
        assert!(!self.stderr.contains(text) && !self.text().contains(text), "said: {text:?}\n{shown}");
        self
    }

    /// stdout has nothing in it.
    #[track_caller]
    pub(crate) fn silent(self) -> Output {
        assert!(self.stdout.is_empty(), "{self:?}");
        self
    }

    /// stdout as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.stdout.clone()).unwrap()
    }

    /// stdout as one document.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.stdout).unwrap_or_else(|error| panic!("{error}\n{self:?}"))
    }

    /// stdout as lines of JSON.
    pub(crate) fn events(&self) -> Vec<Value> {
        json_lines(&self.stdout)
    }

    /// Verdicts by id, from `--json` or from `--jsonl`.
    #[track_caller]
    pub(crate) fn verdicts(&self) -> BTreeMap<String, String> {
        self.targets().into_iter().map(|(id, t)| (id, t["verdict"].as_str().unwrap().to_owned())).collect()
    }

    /// Targets by id, from `--json` or from `--jsonl`; each is there once.
    #[track_caller]
    pub(crate) fn targets(&self) -> BTreeMap<String, Value> {
        let targets: Vec<Value> = match serde_json::from_slice::<Value>(&self.stdout) {
            Ok(document) if document["targets"].is_array() => document["targets"].as_array().unwrap().clone(),
            _ => self.events().into_iter().filter(|e| e["type"] == "target_finished").collect(),
        };
        let count = targets.len();
        let by_id: BTreeMap<String, Value> =
            targets.into_iter().map(|t| (t["target"].as_str().unwrap().to_owned(), t)).collect();
        assert_eq!(by_id.len(), count, "a target is there twice: {self:?}");
        by_id
    }

    /// Counts of verdicts, as the tally says; it agrees with the targets.
    #[track_caller]
    pub(crate) fn tally(&self) -> BTreeMap<String, u64> {
        let tally = match serde_json::from_slice::<Value>(&self.stdout) {
            Ok(document) => document["tally"].clone(),
            Err(_) => self.events().last().unwrap()["tally"].clone(),
        };
        let tally: BTreeMap<String, u64> =
            serde_json::from_value(tally).unwrap_or_else(|e| panic!("{e}\n{self:?}"));
        tally.into_iter().filter(|(_, count)| *count > 0).collect()
    }

    /// Everything together, with what differs from run to run replaced.
    pub(crate) fn whole(&self) -> String {
        let text = format!(
            "exit {}\n--- stdout\n{}--- stderr\n{}",
            self.code.map_or("by a signal".to_owned(), |code| code.to_string()),
            String::from_utf8_lossy(&self.stdout),
            self.stderr
        );
        constant(&text)
    }
}

/// Replaces run ids, command ids, ports, durations, clock times and temporary directories.
pub(crate) fn constant(text: &str) -> String {
    let shapes = ["dddddddd-dddddd-xxxxxx", "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx", "127.0.0.1:ddddd"];
    let names = ["RUN", "UUID", "HOST"];
    let fits = |window: &[char], shape: &str| {
        window.len() == shape.len()
            && window.iter().zip(shape.chars()).all(|(c, s)| match s {
                'd' => c.is_ascii_digit(),
                'x' => c.is_ascii_hexdigit(),
                _ => *c == s,
            })
    };
    let chars: Vec<char> = text.chars().collect();
    let mut constant = String::new();
    let mut at = 0;
    'next: while at < chars.len() {
        for (shape, name) in shapes.iter().zip(names) {
            if fits(&chars[at..(at + shape.len()).min(chars.len())], shape) {
                constant.push_str(name);
                at += shape.len();
                continue 'next;
            }
        }
        constant.push(chars[at]);
        at += 1;
    }
    without_temporary(&without_durations(&constant))
}

/// `1.7s`, `426ms` become `TIME`.
fn without_durations(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        let (before, number) = rest.split_at(start);
        out.push_str(before);
        let end = number.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(number.len());
        let (digits, after) = number.split_at(end);
        let is_whole = !before.ends_with(|c: char| c.is_ascii_alphanumeric() || c == '-');
        let unit = ["ms", "s"].into_iter().find(|unit| {
            after
                .strip_prefix(unit)
                .is_some_and(|next| !next.starts_with(|c: char| c.is_ascii_alphanumeric()))
        });
        rest = match unit.filter(|_| is_whole) {
            Some(unit) => {
                out.push_str("TIME");
                &after[unit.len()..]
            }
            None => {
                out.push_str(digits);
                after
            }
        };
    }
    out + rest
}

fn without_temporary(text: &str) -> String {
    let base = std::env::temp_dir().join(".tmp").to_str().unwrap().to_owned();
    let mut parts = text.split(base.as_str());
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(part.len());
        out.push_str("DIR");
        out.push_str(&part[end..]);
    }
    out
}

/// Does several things at once, each with a simulation of its own: most of a test's time is spent waiting.
pub(crate) fn together<T: Send>(items: impl IntoIterator<Item = T>, work: impl Fn(T) + Sync) {
    let work = &work;
    std::thread::scope(|scope| {
        for item in items {
            scope.spawn(move || work(item));
        }
    });
}
