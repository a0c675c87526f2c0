//! Evaluates commands: lists, pipelines, compound commands, redirections. What programs do is in `programs`.

use super::builtins;
use super::disk::{Body, Errno};
use super::jobs::{JobState, Jobs};
use super::machine::Running;
use super::parse::{After, Command, List, Pipeline, Redirection, parse};
use super::pattern::matches;
use super::process::{Process, Streams};
use super::programs;
use super::stream::{Stream, pipe};
use super::words::{Word, expansions};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;

/// Deepest nesting of commands in commands: each level takes of the host's stack.
pub(super) const DEPTH: u32 = 48;

/// Something that is done later.
pub(super) type Later<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Why the commands that follow are not evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unwind {
    Exit(i32),
    Return(i32),
    Break(u32),
    Continue(u32),
    /// A key or the end of the terminal; what `$?` is then.
    Interrupted(i32),
}

/// `set -e`, `-u`, `-o pipefail`, `-f`, `-x`, `-C`.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Options {
    pub(super) errexit: bool,
    pub(super) nounset: bool,
    pub(super) pipefail: bool,
    pub(super) noglob: bool,
    pub(super) xtrace: bool,
    pub(super) noclobber: bool,
}

/// A shell's state.
pub(super) struct Shell {
    pub(super) process: Process,
    /// `$0`
    pub(super) name: String,
    pub(super) positional: Vec<String>,
    pub(super) variables: BTreeMap<String, String>,
    pub(super) exported: BTreeSet<String>,
    pub(super) functions: BTreeMap<String, Arc<Command>>,
    /// What `local` put aside, for each function that runs.
    pub(super) locals: Vec<Vec<(String, Option<String>)>>,
    pub(super) options: Options,
    pub(super) last: i32,
    pub(super) unwind: Option<Unwind>,
    pub(super) depth: u32,
    /// What it left in the background.
    pub(super) left: Vec<Arc<Mutex<JobState>>>,
    /// Of a shell that somebody types into.
    pub(super) jobs: Option<Jobs>,
    /// `trap … EXIT`
    pub(super) at_exit: Option<String>,
    /// The streams stay as they are after this command: `exec >file`.
    pub(super) keeps_streams: bool,
    /// A command's output was put into a word.
    pub(super) has_substituted: bool,
}

impl Shell {
    /// A shell that is a process.
    pub(super) fn new(process: Process) -> Shell {
        let mut variables = process.environment.clone();
        variables.insert("PWD".to_owned(), process.directory.clone());
        Shell {
            name: "sh".to_owned(),
            positional: Vec::new(),
            exported: variables.keys().cloned().collect(),
            variables,
            functions: BTreeMap::new(),
            locals: Vec::new(),
            options: Options::default(),
            last: 0,
            unwind: None,
            depth: process.depth,
            left: Vec::new(),
            jobs: None,
            at_exit: None,
            keeps_streams: false,
            has_substituted: false,
            process,
        }
    }

    /// A copy whose changes do not come back.
    pub(super) fn apart(&self) -> Shell {
        Shell {
            process: self.process.clone(),
            name: self.name.clone(),
            positional: self.positional.clone(),
            variables: self.variables.clone(),
            exported: self.exported.clone(),
            functions: self.functions.clone(),
            locals: self.locals.clone(),
            options: self.options,
            last: self.last,
            unwind: None,
            depth: self.depth + 1,
            left: Vec::new(),
            jobs: None,
            at_exit: None,
            keeps_streams: false,
            has_substituted: false,
        }
    }

    /// Runs a script.
    pub(super) async fn run_script(&mut self, script: &str) -> i32 {
        match parse(script, false) {
            Ok(list) => self.list(&list, false).await,
            Err(failure) => {
                self.complain(&format!("Syntax error: {}", failure.message)).await;
                self.unwind = Some(Unwind::Exit(2));
                2
            }
        }
    }

    /// The exit code of a shell whose script ended with a code.
    pub(super) async fn exit_code(&mut self, code: i32) -> i32 {
        let code = match self.unwind.take() {
            Some(Unwind::Exit(code) | Unwind::Return(code)) => code,
            Some(Unwind::Interrupted(code)) => code,
            Some(Unwind::Break(_) | Unwind::Continue(_)) | None => code,
        };
        let Some(script) = self.at_exit.take() else { return code & 0xFF };
        self.last = code;
        let _what_the_trap_returns = self.run_script(&script).await;
        match self.unwind.take() {
            Some(Unwind::Exit(code)) => code & 0xFF,
            _ => code & 0xFF,
        }
    }

    pub(super) async fn print(&self, text: impl Into<String>) -> i32 {
        match self.process.print(text).await {
            Ok(()) => 0,
            Err(_) => 1,
        }
    }

    /// A complaint of the shell itself.
    pub(super) async fn complain(&self, what: &str) {
        self.process.complain(&format!("sh: 1: {what}")).await;
    }

    pub(super) fn list<'a>(&'a mut self, list: &'a List, tested: bool) -> Later<'a, i32> {
        Box::pin(async move {
            self.depth += 1;
            if self.depth > DEPTH {
                self.complain("maximum nesting exceeded").await;
                self.unwind = Some(Unwind::Exit(2));
            }
            for (position, (after, pipeline)) in list.iter().enumerate() {
                self.look_at_keys();
                if self.unwind.is_some() {
                    break;
                }
                let is_skipped = match after {
                    After::Always => false,
                    After::Success => self.last != 0,
                    After::Failure => self.last == 0,
                };
                if is_skipped {
                    continue;
                }
                let is_followed = list.get(position + 1).is_some_and(|(after, _)| *after != After::Always);
                self.last = self.pipeline(pipeline, tested || is_followed).await;
                let ends =
                    self.last != 0 && self.options.errexit && !tested && !is_followed && !pipeline.negated;
                if ends && self.unwind.is_none() {
                    self.unwind = Some(Unwind::Exit(self.last));
                }
            }
            self.depth -= 1;
            self.last
        })
    }

    async fn pipeline(&mut self, pipeline: &Pipeline, tested: bool) -> i32 {
        if pipeline.background && self.process.machine.has_background() {
            let mut apart = self.apart();
            apart.process.streams.input = Stream::Null;
            let running = apart.into_running(pipeline.commands.clone());
            return self.leave(running, pipeline.text.clone()).await;
        }
        let code = match pipeline.commands.as_slice() {
            [single] => self.command(single, tested || pipeline.negated).await,
            several => {
                let running = self.apart().into_running(several.to_vec());
                self.attend(running, &pipeline.text).await
            }
        };
        if pipeline.negated { i32::from(code == 0) } else { code }
    }

    /// Commands of a pipeline, each in a shell of its own.
    fn into_running(self, commands: Vec<Arc<Command>>) -> Running {
        let pipefail = self.options.pipefail;
        let count = commands.len();
        let mut stages: Vec<Option<Running>> = Vec::with_capacity(count);
        let mut input = self.process.streams.input.clone();
        for (position, command) in commands.into_iter().enumerate() {
            let mut stage = self.apart();
            stage.process.streams.input = input;
            input = Stream::Null;
            if position + 1 < count {
                let (reader, writer) = pipe();
                stage.process.streams.out = Stream::Writer(writer);
                input = Stream::Reader(reader);
            }
            stages.push(Some(Box::pin(async move {
                let code = stage.command(&command, true).await;
                stage.exit_code(code).await
            })));
        }
        // What only the stages may hold open.
        drop((self, input));
        let mut codes = vec![0; count];
        Box::pin(poll_fn(move |context| {
            for (stage, code) in stages.iter_mut().zip(&mut codes) {
                if let Some(running) = stage
                    && let Poll::Ready(ended) = running.as_mut().poll(context)
                {
                    *code = ended;
                    *stage = None;
                }
            }
            if stages.iter().any(Option::is_some) {
                return Poll::Pending;
            }
            let last = codes.last().copied().unwrap_or_default();
            let worst = codes.iter().rev().copied().find(|code| *code != 0).unwrap_or(0);
            Poll::Ready(if pipefail { worst } else { last })
        }))
    }

    pub(super) fn command<'a>(&'a mut self, command: &'a Command, tested: bool) -> Later<'a, i32> {
        Box::pin(async move {
            self.process.machine.step().await;
            match command {
                Command::Simple { assignments, words, redirections } => {
                    self.simple(assignments, words, redirections).await
                }
                Command::Redirected { body, redirections } => {
                    let before = self.process.streams.clone();
                    if let Err(code) = self.redirect(redirections).await {
                        return code;
                    }
                    let code = self.command(body, tested).await;
                    self.process.streams = before;
                    code
                }
                Command::Group(body) => self.list(body, tested).await,
                Command::Subshell(body) => {
                    let mut apart = self.apart();
                    let body = body.clone();
                    let running = Box::pin(async move {
                        let code = apart.list(&body, tested).await;
                        apart.exit_code(code).await
                    });
                    self.attend(running, "( … )").await
                }
                Command::If { branches, otherwise } => {
                    self.conditional((branches, otherwise.as_ref()), tested).await
                }
                Command::For { name, words, body } => {
                    self.repeated(name, words.as_deref(), (body, tested)).await
                }
                Command::While { condition, until, body } => {
                    self.loops((condition, *until), (body, tested)).await
                }
                Command::Case { word, arms } => self.case(word, arms, tested).await,
                Command::Function { name, body } => {
                    self.functions.insert(name.clone(), body.clone());
                    0
                }
            }
        })
    }

    async fn conditional(
        &mut self,
        (branches, otherwise): (&[(List, List)], Option<&List>),
        tested: bool,
    ) -> i32 {
        for (condition, body) in branches {
            self.last = 0;
            let holds = self.list(condition, true).await == 0;
            if self.unwind.is_some() {
                return self.last;
            }
            if holds {
                self.last = 0;
                return self.list(body, tested).await;
            }
        }
        self.last = 0;
        match otherwise {
            Some(body) => self.list(body, tested).await,
            None => 0,
        }
    }

    async fn repeated(&mut self, name: &str, words: Option<&[Word]>, (body, tested): (&List, bool)) -> i32 {
        let mut values = Vec::new();
        match words {
            None => values.clone_from(&self.positional),
            Some(words) => {
                for word in words {
                    values.extend(self.expand(word).await);
                }
            }
        }
        let mut code = 0;
        for value in values {
            self.variables.insert(name.to_owned(), value);
            code = self.list(body, tested).await;
            if self.leaves_loop() {
                break;
            }
        }
        code
    }

    async fn loops(&mut self, (condition, until): (&List, bool), (body, tested): (&List, bool)) -> i32 {
        let mut code = 0;
        loop {
            self.last = 0;
            let holds = self.list(condition, true).await == 0;
            if self.unwind.is_some() {
                if self.leaves_loop() {
                    return code;
                }
                continue;
            }
            if holds == until {
                return code;
            }
            self.last = 0;
            code = self.list(body, tested).await;
            if self.leaves_loop() {
                return code;
            }
        }
    }

    /// Takes `break` and `continue` in; true where the loop is over.
    fn leaves_loop(&mut self) -> bool {
        match self.unwind {
            None => false,
            Some(Unwind::Break(levels)) => {
                self.unwind = (levels > 1).then_some(Unwind::Break(levels.saturating_sub(1)));
                true
            }
            Some(Unwind::Continue(levels)) if levels > 1 => {
                self.unwind = Some(Unwind::Continue(levels - 1));
                true
            }
            Some(Unwind::Continue(_)) => {
                self.unwind = None;
                false
            }
            Some(Unwind::Exit(_) | Unwind::Return(_) | Unwind::Interrupted(_)) => true,
        }
    }

    async fn case(&mut self, word: &Word, arms: &[(Vec<Word>, List)], tested: bool) -> i32 {
        let text = self.expand_text(word).await;
        for (patterns, body) in arms {
            for pattern in patterns {
                let pattern = self.expand_pattern(pattern).await;
                if matches(&pattern, &text) {
                    self.last = 0;
                    return self.list(body, tested).await;
                }
            }
        }
        0
    }

    async fn simple(
        &mut self,
        assigned: &[(String, Word)],
        words: &[Word],
        redirections: &[Redirection],
    ) -> i32 {
        // Without a command it ends as its last substitution does, and its words still see how the command before ended.
        self.has_substituted = false;
        let mut argv = Vec::new();
        for word in words {
            argv.extend(self.expand(word).await);
        }
        let mut values = Vec::new();
        for (name, word) in assigned {
            values.push((name.clone(), self.expand_text(word).await));
        }
        if let Some(unwind) = self.unwind {
            return if let Unwind::Exit(code) = unwind { code } else { 1 };
        }
        let before = self.process.streams.clone();
        if let Err(code) = self.redirect(redirections).await {
            return code;
        }
        if self.options.xtrace && !argv.is_empty() {
            self.process.complain(&format!("+ {}", argv.join(" "))).await;
        }
        let code = if argv.is_empty() {
            self.variables.extend(values);
            if self.has_substituted { self.last } else { 0 }
        } else {
            self.with_values(values, argv).await
        };
        if !std::mem::take(&mut self.keeps_streams) {
            self.process.streams = before;
        }
        code
    }

    /// Runs a command with values for variables that are its own.
    async fn with_values(&mut self, values: Vec<(String, String)>, argv: Vec<String>) -> i32 {
        let mut before = Vec::new();
        for (name, value) in values {
            let old = self.variables.insert(name.clone(), value);
            before.push((name.clone(), old, self.exported.insert(name)));
        }
        let code = self.run(argv).await;
        for (name, value, is_newly_exported) in before.into_iter().rev() {
            if is_newly_exported {
                self.exported.remove(&name);
            }
            match value {
                Some(value) => self.variables.insert(name, value),
                None => self.variables.remove(&name),
            };
        }
        code
    }

    /// Runs a function, a command of the shell, or a program.
    pub(super) fn run(&mut self, argv: Vec<String>) -> Later<'_, i32> {
        Box::pin(async move {
            let Some((name, arguments)) = argv.split_first() else { return 0 };
            if let Some(body) = self.functions.get(name).cloned() {
                let before = std::mem::replace(&mut self.positional, arguments.to_vec());
                self.locals.push(Vec::new());
                let code = self.command(&body, false).await;
                self.positional = before;
                for (name, value) in self.locals.pop().unwrap_or_default().into_iter().rev() {
                    match value {
                        Some(value) => self.variables.insert(name, value),
                        None => self.variables.remove(&name),
                    };
                }
                return match self.unwind {
                    Some(Unwind::Return(code)) => {
                        self.unwind = None;
                        code
                    }
                    _ => code,
                };
            }
            if let Some(code) = builtins::run(self, name, arguments).await {
                return code;
            }
            self.program(&argv).await
        })
    }

    /// Runs a program, and says 127 for those that a node does not have.
    pub(super) async fn program(&mut self, argv: &[String]) -> i32 {
        let Some((name, arguments)) = argv.split_first() else { return 0 };
        let process = self.process_of(name, arguments);
        match programs::start(process) {
            Ok(running) => self.attend(running, &argv.join(" ")).await,
            Err(Errno::NotFound) => {
                self.complain(&format!("{name}: not found")).await;
                127
            }
            Err(error) => {
                self.complain(&format!("{name}: {}", error.text())).await;
                126
            }
        }
    }

    /// A program's process, as this shell would start it.
    pub(super) fn process_of(&self, name: &str, arguments: &[String]) -> Process {
        let exported = |name: &String| Some((name.clone(), self.variables.get(name)?.clone()));
        Process {
            name: name.to_owned(),
            arguments: arguments.to_vec(),
            environment: self.exported.iter().filter_map(exported).collect(),
            depth: self.depth,
            ..self.process.clone()
        }
    }

    /// Puts the streams where redirections say; the error is an exit code.
    async fn redirect(&mut self, redirections: &[Redirection]) -> Result<(), i32> {
        if redirections.is_empty() {
            return Ok(());
        }
        let mut streams = self.process.streams.clone();
        for redirection in redirections {
            self.redirect_one(redirection, &mut streams).await?;
        }
        self.process.streams = streams;
        Ok(())
    }

    async fn redirect_one(&mut self, redirection: &Redirection, streams: &mut Streams) -> Result<(), i32> {
        let (descriptors, target, opened): (&[u8], String, Result<Stream, Errno>) = match redirection {
            Redirection::Here { from, text, expand } => {
                let text = match expansions(text) {
                    Ok(word) if *expand => self.expand_text(&word).await,
                    Ok(_) | Err(_) => text.clone(),
                };
                (&[*from], String::new(), Ok(Stream::memory(Bytes::from(text))))
            }
            Redirection::In { from, target } => {
                let path = self.expand_text(target).await;
                let opened = self.process.open(if path == "-" { "./-" } else { &path });
                (&[*from], path, opened)
            }
            Redirection::Out { from, append, forces, target } => {
                let path = self.expand_text(target).await;
                let is_guarded = self.options.noclobber && !append && !forces;
                let is_there =
                    |path| self.process.find(path).is_ok_and(|entry| matches!(entry.body, Body::File(_)));
                let opened = match is_guarded && is_there(&path) {
                    true => Err(Errno::Exists),
                    false => self.process.create(&path, *append),
                };
                (&[*from], path, opened)
            }
            Redirection::Both { target } => {
                let path = self.expand_text(target).await;
                let opened = self.process.create(&path, false);
                (&[1, 2], path, opened)
            }
            Redirection::Duplicate { from, of } => {
                let name = self.expand_text(of).await;
                let of = if name == "-" {
                    Ok(Stream::Null)
                } else {
                    let number = name.parse::<u8>().ok();
                    number.and_then(|number| streams.get(number)).cloned().ok_or(Errno::BadDescriptor)
                };
                (&[*from], name, of)
            }
        };
        match opened {
            Ok(stream) => {
                for descriptor in descriptors {
                    streams.set(*descriptor, stream.clone());
                }
                Ok(())
            }
            Err(error) => {
                let verb = if matches!(redirection, Redirection::In { .. }) { "open" } else { "create" };
                let text = match error {
                    Errno::BadDescriptor => format!("{target}: Bad file descriptor"),
                    Errno::NotFound => format!("cannot {verb} {target}: No such file"),
                    error => format!("cannot {verb} {target}: {}", error.text()),
                };
                self.complain(&text).await;
                Err(2)
            }
        }
    }

    /// Waits for something that runs in the foreground.
    pub(super) async fn attend(&mut self, running: Running, text: &str) -> i32 {
        if self.jobs.is_none() {
            return running.await;
        }
        self.attend_job(running, text).await
    }
}
