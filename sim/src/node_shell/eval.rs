//! Evaluates commands: expansion, redirections, exit codes. What programs print is in `builtins` and `table`.

use super::parse::{After, Command, List, Pipeline, Redirection, parse};
use super::words::{Part, Word, expansions};
use super::{Answer, OUTPUT_LIMIT, Surroundings};
use std::collections::{BTreeMap, BTreeSet};

/// Most simple commands that one answer evaluates.
const STEPS: u32 = 20_000;
/// Deepest nesting of scripts in scripts.
const DEPTH: u32 = 16;

/// A shell's state.
pub(super) struct Shell<'a> {
    pub(super) around: &'a Surroundings<'a>,
    pub(super) variables: BTreeMap<String, String>,
    pub(super) exported: BTreeSet<String>,
    pub(super) files: BTreeMap<String, Vec<u8>>,
    pub(super) user: String,
    pub(super) out: Vec<u8>,
    pub(super) err: Vec<u8>,
    pub(super) seconds: f64,
    pub(super) is_slow: bool,
    pub(super) exit: Option<i32>,
    pub(super) options: Options,
    pub(super) last: i32,
    pub(super) depth: u32,
    steps: u32,
}

/// `set -e`, `set -u`, `set -o pipefail`.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Options {
    pub(super) errexit: bool,
    pub(super) nounset: bool,
    pub(super) pipefail: bool,
}

#[derive(Clone, PartialEq)]
enum Sink {
    Out,
    Err,
    File(String),
}

impl<'a> Shell<'a> {
    pub(super) fn new(around: &'a Surroundings<'a>, environment: BTreeMap<String, String>) -> Shell<'a> {
        Shell {
            around,
            exported: environment.keys().cloned().collect(),
            variables: environment,
            files: BTreeMap::new(),
            user: "root".to_owned(),
            out: Vec::new(),
            err: Vec::new(),
            seconds: 0.0,
            is_slow: false,
            exit: None,
            options: Options::default(),
            last: 0,
            depth: 0,
            steps: 0,
        }
    }

    pub(super) fn finish(self) -> Answer {
        let code = self.exit.unwrap_or(self.last) & 0xFF;
        Answer {
            stdout: self.out,
            stderr: self.err,
            code,
            asked_seconds: self.seconds,
            is_slow: self.is_slow,
        }
    }

    /// Runs a script in this shell; `line` offsets nothing but messages.
    pub(super) fn run_script(&mut self, script: &str, stdin: &[u8], line: u32) -> i32 {
        if self.depth >= DEPTH {
            self.complain("sh: maximum nesting exceeded");
            return 2;
        }
        self.depth += 1;
        self.last = match parse(script) {
            Ok(list) => self.list(&list, stdin, false),
            Err(message) => {
                self.complain(&format!("sh: {}: Syntax error: {message}", line + 1));
                self.exit = Some(2);
                2
            }
        };
        self.depth -= 1;
        self.last
    }

    /// Runs a script in a shell of its own, whose variables and exit do not come back.
    pub(super) fn run_apart(&mut self, script: &str, stdin: &[u8]) -> i32 {
        let kept = (self.variables.clone(), self.exported.clone(), self.options, self.user.clone());
        self.options = Options::default();
        self.run_script(script, stdin, 0);
        let code = self.exit.take().unwrap_or(self.last);
        (self.variables, self.exported, self.options, self.user) = kept;
        self.last = code;
        code
    }

    pub(super) fn print(&mut self, text: &str) {
        self.print_bytes(text.as_bytes());
    }

    pub(super) fn print_bytes(&mut self, bytes: &[u8]) {
        let room = OUTPUT_LIMIT.saturating_sub(self.out.len());
        self.out.extend_from_slice(bytes.get(..bytes.len().min(room)).unwrap_or_default());
    }

    pub(super) fn complain(&mut self, line: &str) {
        let room = OUTPUT_LIMIT.saturating_sub(self.err.len());
        self.err.extend(line.bytes().chain(std::iter::once(b'\n')).take(room));
    }

    fn list(&mut self, list: &List, stdin: &[u8], tested: bool) -> i32 {
        let mut code = 0;
        for (position, (after, pipeline)) in list.iter().enumerate() {
            if self.exit.is_some() {
                break;
            }
            let skipped = match after {
                After::Always => false,
                After::Success => self.last != 0,
                After::Failure => self.last == 0,
            };
            if skipped {
                continue;
            }
            let followed = list.get(position + 1).is_some_and(|(after, _)| *after != After::Always);
            code = self.pipeline(pipeline, stdin, tested || followed);
            self.last = code;
            if code != 0
                && self.options.errexit
                && !tested
                && !followed
                && !pipeline.negated
                && self.exit.is_none()
            {
                self.exit = Some(code);
            }
        }
        if list.is_empty() {
            self.last
        } else if self.exit.is_some() {
            code
        } else {
            self.last
        }
    }

    fn pipeline(&mut self, pipeline: &Pipeline, stdin: &[u8], tested: bool) -> i32 {
        let (mut input, mut code, mut worst) = (stdin.to_vec(), 0, 0);
        let count = pipeline.commands.len();
        for (position, command) in pipeline.commands.iter().enumerate() {
            if position + 1 == count {
                code = self.command(command, &input, tested);
            } else {
                let before = std::mem::take(&mut self.out);
                let exit = self.exit;
                code = self.command(command, &input, true);
                self.exit = exit;
                input = std::mem::replace(&mut self.out, before);
            }
            if code != 0 {
                worst = code;
            }
        }
        let code = if self.options.pipefail { worst } else { code };
        if pipeline.negated { i32::from(code == 0) } else { code }
    }

    fn command(&mut self, command: &Command, stdin: &[u8], tested: bool) -> i32 {
        self.steps += 1;
        if self.steps > STEPS {
            self.complain("sh: Killed");
            self.exit = Some(137);
            return 137;
        }
        match command {
            Command::Simple { assignments, words, redirections } => {
                self.simple(assignments, words, redirections, stdin)
            }
            Command::Group { body, subshell, redirections } => {
                let kept = subshell.then(|| (self.variables.clone(), self.exported.clone(), self.options));
                let code =
                    self.redirected(redirections, stdin, |shell, input| shell.list(body, input, tested));
                match kept {
                    Some(kept) => {
                        (self.variables, self.exported, self.options) = kept;
                        self.exit.take().unwrap_or(code)
                    }
                    None => code,
                }
            }
            Command::If { branches, otherwise } => {
                for (condition, body) in branches {
                    self.last = 0;
                    if self.list(condition, stdin, true) == 0 && self.exit.is_none() {
                        self.last = 0;
                        return self.list(body, stdin, tested);
                    }
                }
                self.last = 0;
                otherwise.as_ref().map_or(0, |body| self.list(body, stdin, tested))
            }
            Command::For { name, words, body } => {
                let values = words.iter().flat_map(|word| self.expand(word)).collect::<Vec<_>>();
                let mut code = 0;
                for value in values {
                    self.variables.insert(name.clone(), value);
                    code = self.list(body, stdin, tested);
                    if self.exit.is_some() {
                        break;
                    }
                }
                code
            }
        }
    }

    fn simple(
        &mut self,
        assigned: &[(String, Word)],
        words: &[Word],
        redirections: &[Redirection],
        stdin: &[u8],
    ) -> i32 {
        let values: Vec<(String, String)> =
            assigned.iter().map(|(name, word)| (name.clone(), self.expand_joined(word))).collect();
        let argv: Vec<String> = words.iter().flat_map(|word| self.expand(word)).collect();
        if self.exit.is_some() {
            return self.exit.unwrap_or(1);
        }
        let Some(program) = argv.first().cloned() else {
            self.variables.extend(values);
            return self.redirected(redirections, stdin, |_, _| 0);
        };
        let mut before = Vec::new();
        for (name, value) in values {
            before.push((
                name.clone(),
                self.variables.insert(name.clone(), value),
                self.exported.insert(name),
            ));
        }
        let code = self.redirected(redirections, stdin, |shell, input| shell.program(&program, &argv, input));
        for (name, value, newly_exported) in before {
            if newly_exported {
                self.exported.remove(&name);
            }
            match value {
                Some(value) => self.variables.insert(name, value),
                None => self.variables.remove(&name),
            };
        }
        code
    }

    /// Runs something with its streams put where the redirections say.
    fn redirected(
        &mut self,
        redirections: &[Redirection],
        stdin: &[u8],
        run: impl FnOnce(&mut Self, &[u8]) -> i32,
    ) -> i32 {
        if redirections.is_empty() {
            return run(self, stdin);
        }
        let (mut one, mut two, mut input) = (Sink::Out, Sink::Err, stdin.to_vec());
        for redirection in redirections {
            match redirection {
                Redirection::Here { text, expand } => {
                    input = if *expand {
                        expansions(text)
                            .map(|word| self.expand_joined(&word))
                            .unwrap_or_default()
                            .into_bytes()
                    } else {
                        text.clone().into_bytes()
                    };
                }
                Redirection::Input(word) => {
                    let path = self.expand_joined(word);
                    match self.file(&path) {
                        Some(content) => input = content,
                        None => {
                            self.complain(&format!("sh: 1: cannot open {path}: No such file"));
                            return 2;
                        }
                    }
                }
                Redirection::Duplicate { from: 1, to: 2 } => one = two.clone(),
                Redirection::Duplicate { from: 2, to: 1 } => two = one.clone(),
                Redirection::Duplicate { .. } => {}
                Redirection::File { from, append, target } => {
                    let path = self.expand_joined(target);
                    if !append {
                        self.files.remove(&path);
                    }
                    let sink = Sink::File(path);
                    if *from == 3 {
                        (one, two) = (sink.clone(), sink);
                    } else if *from == 2 {
                        two = sink;
                    } else {
                        one = sink;
                    }
                }
            }
        }
        let (out, err) = (std::mem::take(&mut self.out), std::mem::take(&mut self.err));
        let code = run(self, &input);
        let printed = std::mem::replace(&mut self.out, out);
        let complained = std::mem::replace(&mut self.err, err);
        self.put(&one, printed);
        self.put(&two, complained);
        code
    }

    fn put(&mut self, sink: &Sink, mut bytes: Vec<u8>) {
        match sink {
            Sink::Out => self.print_bytes(&bytes),
            Sink::Err => self.err.append(&mut bytes),
            Sink::File(path) if path == "/dev/null" => {}
            Sink::File(path) => self.files.entry(path.clone()).or_default().append(&mut bytes),
        }
        self.err.truncate(OUTPUT_LIMIT);
    }

    /// Expands a word into arguments: unquoted expansions are split at white space.
    fn expand(&mut self, word: &Word) -> Vec<String> {
        let (mut fields, mut open): (Vec<String>, Option<String>) = (Vec::new(), None);
        for part in &word.0 {
            let (text, quoted) = self.part(part);
            if quoted || matches!(part, Part::Text { .. }) {
                open.get_or_insert_default().push_str(&text);
                continue;
            }
            if text.starts_with(char::is_whitespace) {
                fields.extend(open.take());
            }
            let mut pieces = text.split_whitespace().peekable();
            while let Some(piece) = pieces.next() {
                open.get_or_insert_default().push_str(piece);
                if pieces.peek().is_some() || text.ends_with(char::is_whitespace) {
                    fields.extend(open.take());
                }
            }
        }
        fields.extend(open);
        fields
    }

    fn expand_joined(&mut self, word: &Word) -> String {
        word.0.iter().map(|part| self.part(part).0).collect()
    }

    fn part(&mut self, part: &Part) -> (String, bool) {
        match part {
            Part::Text { text, quoted } => (text.clone(), *quoted),
            Part::Variable { name, default, quoted } => (self.variable(name, default.as_deref()), *quoted),
            Part::Output { script, quoted } => {
                let before = std::mem::take(&mut self.out);
                self.last = self.run_apart(script, b"");
                let printed = std::mem::replace(&mut self.out, before);
                let text = String::from_utf8_lossy(&printed);
                (text.trim_end_matches('\n').to_owned(), *quoted)
            }
        }
    }

    fn variable(&mut self, name: &str, default: Option<&str>) -> String {
        let value = match name {
            "?" => Some(self.last.to_string()),
            "$" => Some("4242".to_owned()),
            "#" => Some("0".to_owned()),
            "0" => Some("sh".to_owned()),
            "@" | "*" | "!" => Some(String::new()),
            _ => self.variables.get(name).cloned(),
        };
        match (value, default) {
            (Some(value), Some(default)) if value.is_empty() => default.to_owned(),
            (Some(value), _) => value,
            (None, Some(default)) => default.to_owned(),
            (None, None) => {
                if self.options.nounset {
                    self.complain(&format!("sh: 1: {name}: parameter not set"));
                    self.exit = Some(2);
                }
                String::new()
            }
        }
    }
}
