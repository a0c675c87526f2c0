//! A shell that somebody types into: prompts, keys that are signals, and jobs that are stopped or in the background.

use super::eval::{Shell, Unwind};
use super::machine::Running;
use super::parse::parse;
use super::process::Process;
use super::stream::lock;
use super::terminal::{Signal, Terminal};
use std::future::poll_fn;
use std::sync::{Arc, Mutex};
use std::task::Poll;

/// Something that was stopped, or that runs in the background.
struct Job {
    number: u32,
    text: String,
    state: Arc<Mutex<JobState>>,
}

pub(super) enum JobState {
    Stopped(Option<Running>),
    Running,
    Done(i32),
}

/// The jobs of a shell, and the terminal that it reads from.
pub(super) struct Jobs {
    terminal: Arc<Terminal>,
    depth: u32,
    jobs: Vec<Job>,
    /// What is told about each line that was typed.
    note: Option<Note>,
}

/// Is told about lines that are typed.
pub(crate) type Note = Arc<dyn Fn(&str) + Send + Sync>;

impl Drop for Jobs {
    fn drop(&mut self) {
        self.terminal.leave();
    }
}

impl Jobs {
    fn number(&self) -> u32 {
        self.jobs.iter().map(|job| job.number).max().unwrap_or(0) + 1
    }
}

/// A line that was typed, or why there is none.
enum Typed {
    Line(String),
    End,
    Interrupted,
    Gone,
}

/// Runs a shell on a terminal until it ends; gives its exit code.
pub(crate) async fn interact(process: Process, terminal: Arc<Terminal>, note: Option<Note>) -> i32 {
    let depth = terminal.enter();
    let mut shell = Shell::new(process);
    let depth_of_shell = shell.depth;
    shell.jobs = Some(Jobs { terminal: terminal.clone(), depth, jobs: Vec::new(), note });
    let mut typed = String::new();
    loop {
        shell.announce().await;
        let prompt = if typed.is_empty() { shell.prompt() } else { "> ".to_owned() };
        let _nobody_looks = shell.process.streams.err.write(prompt.into()).await;
        match shell.typed(&terminal).await {
            Typed::Line(line) => typed.push_str(&line),
            Typed::End => break,
            Typed::Gone => return 129,
            Typed::Interrupted => {
                typed.clear();
                shell.last = 130;
                let _nobody_looks = shell.process.streams.err.write("\n".into()).await;
                continue;
            }
        }
        match parse(&typed, true) {
            Err(failure) if failure.is_unfinished => continue,
            Err(failure) => {
                shell.complain(&format!("Syntax error: {}", failure.message)).await;
                shell.last = 2;
            }
            Ok(list) => {
                shell.noted(&typed);
                shell.last = shell.list(&list, false).await;
            }
        }
        typed.clear();
        match shell.unwind.take() {
            Some(Unwind::Exit(code)) => {
                shell.unwind = Some(Unwind::Exit(code));
                break;
            }
            Some(Unwind::Interrupted(code)) => shell.last = code,
            Some(_) | None => {}
        }
        shell.depth = depth_of_shell;
    }
    let last = shell.last;
    shell.exit_code(last).await
}

impl Shell {
    fn noted(&self, line: &str) {
        if let Some(note) = self.jobs.as_ref().and_then(|jobs| jobs.note.as_ref()) {
            note(line.trim_end_matches('\n'));
        }
    }

    fn prompt(&self) -> String {
        let node = &self.process.machine.identity.node;
        let mark = if self.process.user == "root" { '#' } else { '$' };
        match self.variables.get("PS1") {
            Some(prompt) => prompt.clone(),
            None if node.platform == crate::fleet::names::Platform::AmazonLinux => format!("sh-5.2{mark} "),
            None => format!("{mark} "),
        }
    }

    async fn typed(&mut self, terminal: &Arc<Terminal>) -> Typed {
        let depth = self.jobs.as_ref().map_or(1, |jobs| jobs.depth);
        let input = self.process.streams.input.clone();
        let mut line = Vec::new();
        loop {
            let mut reading = Box::pin(input.read(4096));
            let read = poll_fn(|context| match terminal.poll_signal(depth, context) {
                Poll::Ready(signal) => Poll::Ready(Err(signal)),
                Poll::Pending => reading.as_mut().poll(context).map(Ok),
            })
            .await;
            match read {
                Err(Signal::Hangup) => return Typed::Gone,
                Err(Signal::Interrupt) => return Typed::Interrupted,
                // Neither ends a shell.
                Err(Signal::Quit | Signal::Stop) => {}
                Ok(Err(_)) => return Typed::End,
                Ok(Ok(bytes)) if bytes.is_empty() && line.is_empty() => return Typed::End,
                Ok(Ok(bytes)) if bytes.is_empty() => {
                    return Typed::Line(format!("{}\n", String::from_utf8_lossy(&line)));
                }
                Ok(Ok(bytes)) => {
                    line.extend_from_slice(&bytes);
                    if line.ends_with(b"\n") || line.ends_with(b"\r") {
                        return Typed::Line(String::from_utf8_lossy(&line).replace('\r', "\n"));
                    }
                }
            }
        }
    }

    /// Waits for something in the foreground: it ends by itself, by a key, or is stopped by one.
    pub(super) async fn attend_job(&mut self, mut running: Running, text: &str) -> i32 {
        let Some(jobs) = &mut self.jobs else { return running.await };
        jobs.terminal.forget_signals();
        let (terminal, depth) = (jobs.terminal.clone(), jobs.depth);
        let ended = poll_fn(|context| match running.as_mut().poll(context) {
            Poll::Ready(code) => Poll::Ready(Ok(code)),
            Poll::Pending => terminal.poll_signal(depth, context).map(Err),
        })
        .await;
        let signal = match ended {
            Ok(code) => return code,
            Err(signal) => signal,
        };
        let mut words = "\n".to_owned();
        let code = match signal {
            Signal::Interrupt | Signal::Hangup => {
                self.unwind = Some(Unwind::Interrupted(130));
                130
            }
            Signal::Quit => {
                words.push_str("Quit (core dumped)\n");
                self.unwind = Some(Unwind::Interrupted(131));
                131
            }
            Signal::Stop => {
                let number = jobs.number();
                words.push_str(&format!("[{number}] + Stopped                    {text}\n"));
                let state = Arc::new(Mutex::new(JobState::Stopped(Some(running))));
                jobs.jobs.push(Job { number, text: text.to_owned(), state });
                148
            }
        };
        let _nobody_looks = self.process.streams.err.write(words.into()).await;
        code
    }

    /// Takes a key in that is a signal, while nothing is in the foreground but the shell itself.
    pub(super) fn look_at_keys(&mut self) {
        let Some(jobs) = &self.jobs else { return };
        match jobs.terminal.take_signal(jobs.depth) {
            Some(Signal::Interrupt | Signal::Hangup) => self.unwind = Some(Unwind::Interrupted(130)),
            Some(Signal::Quit) => self.unwind = Some(Unwind::Interrupted(131)),
            Some(Signal::Stop) | None => {}
        }
    }

    /// Leaves something running in the background.
    pub(super) async fn leave(&mut self, running: Running, text: String) -> i32 {
        let state = Arc::new(Mutex::new(JobState::Running));
        let ending = state.clone();
        self.left.push(state.clone());
        self.process.machine.leave_running(Box::pin(async move {
            let code = running.await;
            *lock(&ending) = JobState::Done(code);
            code
        }));
        if let Some(jobs) = &mut self.jobs {
            let number = jobs.number();
            jobs.jobs.push(Job { number, text, state });
            let line = format!("[{number}] {}\n", 4300 + number);
            let _nobody_looks = self.process.streams.err.write(line.into()).await;
        }
        0
    }

    /// Says which jobs have ended.
    async fn announce(&mut self) {
        let Some(jobs) = &mut self.jobs else { return };
        let mut lines = String::new();
        jobs.jobs.retain(|job| match &*lock(&job.state) {
            JobState::Done(0) => {
                lines.push_str(&format!("[{}] + Done                       {}\n", job.number, job.text));
                false
            }
            JobState::Done(code) => {
                lines.push_str(&format!("[{}] + Done({code})                    {}\n", job.number, job.text));
                false
            }
            JobState::Stopped(_) | JobState::Running => true,
        });
        if !lines.is_empty() {
            let _nobody_looks = self.process.streams.err.write(lines.into()).await;
        }
    }

    /// `jobs`
    pub(super) async fn list_jobs(&mut self) -> i32 {
        let lines: String = self
            .jobs
            .iter()
            .flat_map(|jobs| &jobs.jobs)
            .map(|job| {
                let state = match &*lock(&job.state) {
                    JobState::Stopped(_) => "Stopped",
                    JobState::Running => "Running",
                    JobState::Done(_) => "Done",
                };
                format!("[{}] + {state:<26} {}\n", job.number, job.text)
            })
            .collect();
        self.print(lines).await
    }

    fn stopped(&mut self, argument: Option<&str>) -> Option<(Running, String)> {
        let jobs = self.jobs.as_mut()?;
        let number = argument.and_then(|text| text.trim_start_matches('%').parse::<u32>().ok());
        let is_stopped = |job: &Job| matches!(&*lock(&job.state), JobState::Stopped(Some(_)));
        let at = jobs
            .jobs
            .iter()
            .rposition(|job| is_stopped(job) && number.is_none_or(|number| number == job.number))?;
        let job = jobs.jobs.remove(at);
        let running = match &mut *lock(&job.state) {
            JobState::Stopped(running) => running.take(),
            JobState::Running | JobState::Done(_) => None,
        };
        Some((running?, job.text))
    }

    /// `fg`
    pub(super) async fn foreground(&mut self, argument: Option<&str>) -> i32 {
        match self.stopped(argument) {
            Some((running, text)) => {
                self.print(format!("{text}\n")).await;
                self.attend_job(running, &text).await
            }
            None => {
                self.complain("fg: no such job").await;
                2
            }
        }
    }

    /// `bg`
    pub(super) async fn background(&mut self, argument: Option<&str>) -> i32 {
        match self.stopped(argument) {
            Some((running, text)) => self.leave(running, text).await,
            None => {
                self.complain("bg: no such job").await;
                2
            }
        }
    }

    /// `kill %1`: true where a job was ended.
    pub(super) fn kill_job(&mut self, argument: &str) -> bool {
        let Some(number) = argument.strip_prefix('%').and_then(|text| text.parse::<u32>().ok()) else {
            return false;
        };
        let Some(jobs) = &mut self.jobs else { return false };
        let before = jobs.jobs.len();
        jobs.jobs.retain(|job| job.number != number);
        before != jobs.jobs.len()
    }

    /// `wait`
    pub(super) async fn wait_for_jobs(&mut self) -> i32 {
        let states = std::mem::take(&mut self.left);
        let machine = self.process.machine.clone();
        let waiting = Box::pin(async move {
            while states.iter().any(|state| matches!(&*lock(state), JobState::Running)) {
                machine.sleep(0.02).await;
            }
            0
        });
        self.attend(waiting, "wait").await
    }
}
