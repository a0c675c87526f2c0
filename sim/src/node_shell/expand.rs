//! Expansion: what words become before a command gets them.

use super::arithmetic;
use super::disk::Body;
use super::eval::{Later, Shell, Unwind};
use super::pattern::{literal, matches, without_prefix, without_suffix};
use super::stream::{Stream, lock};
use super::words::{Change, Part, Word};

/// Most bytes that a command may print into a word.
const PRINTED: usize = 16 << 20;

/// A field in the making: its text, and the pattern that it is where something in it is special.
#[derive(Debug, Default)]
struct Field {
    text: String,
    pattern: String,
    is_pattern: bool,
}

impl Field {
    fn push(&mut self, text: &str, quoted: bool) {
        self.text.push_str(text);
        if quoted {
            self.pattern.push_str(&literal(text));
        } else {
            self.is_pattern |= text.contains(['*', '?', '[']);
            self.pattern.push_str(text);
        }
    }
}

/// What a part stands for.
enum Value {
    One(String),
    /// `$@` and `$*`: separate fields.
    Many(Vec<String>),
}

impl Shell {
    /// Fields of a word: unquoted expansions are split, patterns become the names that fit.
    pub(super) async fn expand(&mut self, word: &Word) -> Vec<String> {
        let (mut done, mut open): (Vec<Field>, Option<Field>) = (Vec::new(), None);
        for (number, part) in word.0.iter().enumerate() {
            let quoted = is_quoted(part);
            if let Part::Text { text, quoted } = part {
                let home = (number == 0 && !quoted).then(|| self.home(text)).flatten();
                match home {
                    Some((home, rest)) => {
                        let field = open.get_or_insert_default();
                        field.push(&home, true);
                        field.push(rest, false);
                    }
                    None => open.get_or_insert_default().push(text, *quoted),
                }
                continue;
            }
            match self.part(part).await {
                Value::One(text) if quoted => open.get_or_insert_default().push(&text, true),
                Value::One(text) => self.split(&text, &mut done, &mut open),
                Value::Many(texts) => {
                    let last = texts.len().saturating_sub(1);
                    for (position, text) in texts.iter().enumerate() {
                        if quoted {
                            open.get_or_insert_default().push(text, true);
                        } else {
                            self.split(text, &mut done, &mut open);
                        }
                        if position < last {
                            done.extend(open.take());
                        }
                    }
                }
            }
        }
        done.extend(open);
        done.into_iter().flat_map(|field| self.names(field)).collect()
    }

    fn split(&self, text: &str, done: &mut Vec<Field>, open: &mut Option<Field>) {
        let separators = self.variables.get("IFS").map_or(" \t\n", String::as_str);
        let is_separator = |letter: char| separators.contains(letter);
        if text.starts_with(|letter: char| is_separator(letter) && letter.is_whitespace()) {
            done.extend(open.take());
        }
        let mut pieces = text.split(is_separator).peekable();
        while let Some(piece) = pieces.next() {
            let is_last = pieces.peek().is_none();
            if !piece.is_empty() {
                open.get_or_insert_default().push(piece, false);
            }
            if !is_last && open.is_some() {
                done.extend(open.take());
            }
        }
    }

    /// `~` and `~user` at the beginning of a word: the directory, and the rest.
    fn home<'t>(&self, text: &'t str) -> Option<(String, &'t str)> {
        let rest = text.strip_prefix('~')?;
        let end = rest.find('/').unwrap_or(rest.len());
        let (name, rest) = rest.split_at(end);
        let home = match name {
            "" => self.variables.get("HOME").cloned()?,
            "root" => "/root".to_owned(),
            "ssm-user" | "ec2-user" => format!("/home/{name}"),
            _ => return None,
        };
        Some((home, rest))
    }

    /// Text of a word as a whole.
    pub(super) async fn expand_text(&mut self, word: &Word) -> String {
        let mut text = String::new();
        for (number, part) in word.0.iter().enumerate() {
            match part {
                Part::Text { text: piece, quoted } => {
                    let home = (number == 0 && !quoted).then(|| self.home(piece)).flatten();
                    match home {
                        Some((home, rest)) => text.extend([home.as_str(), rest]),
                        None => text.push_str(piece),
                    }
                }
                part => match self.part(part).await {
                    Value::One(piece) => text.push_str(&piece),
                    Value::Many(pieces) => text.push_str(&pieces.join(" ")),
                },
            }
        }
        text
    }

    /// The pattern that a word is.
    pub(super) async fn expand_pattern(&mut self, word: &Word) -> String {
        let mut pattern = String::new();
        for part in &word.0 {
            let text = match part {
                Part::Text { text, .. } => text.clone(),
                part => match self.part(part).await {
                    Value::One(text) => text,
                    Value::Many(texts) => texts.join(" "),
                },
            };
            if is_quoted(part) { pattern.push_str(&literal(&text)) } else { pattern.push_str(&text) }
        }
        pattern
    }

    fn part<'a>(&'a mut self, part: &'a Part) -> Later<'a, Value> {
        Box::pin(async move {
            match part {
                Part::Text { text, .. } => Value::One(text.clone()),
                Part::Variable { name, change: None, quoted } if name == "@" || (name == "*" && !quoted) => {
                    Value::Many(self.positional.clone())
                }
                Part::Variable { name, change, .. } => Value::One(self.variable(name, change.as_ref()).await),
                Part::Output { script, .. } => Value::One(self.printed(script).await),
                Part::Arithmetic { expression, .. } => {
                    let text = self.expand_text(expression).await;
                    match arithmetic::evaluate(&text, &mut self.variables) {
                        Ok(value) => Value::One(value.to_string()),
                        Err(message) => {
                            self.complain(&message).await;
                            self.unwind = Some(Unwind::Exit(2));
                            Value::One(String::new())
                        }
                    }
                }
            }
        })
    }

    /// What a script prints, without the line ends at its end.
    async fn printed(&mut self, script: &str) -> String {
        let (stream, gather) = Stream::gather(PRINTED);
        let mut apart = self.apart();
        apart.process.streams.out = stream;
        self.last = apart.run_script(script).await;
        self.last = apart.exit_code(self.last).await;
        self.has_substituted = true;
        let bytes = gather.take();
        let text = String::from_utf8(bytes)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
        text.trim_end_matches('\n').replace('\0', "")
    }

    /// The value of a variable or a special parameter.
    pub(super) fn value(&self, name: &str) -> Option<String> {
        match name {
            "?" => Some(self.last.to_string()),
            "$" => Some(super::builtins::OWN_NUMBER.to_owned()),
            "!" => Some(String::new()),
            "#" => Some(self.positional.len().to_string()),
            "0" => Some(self.name.clone()),
            "-" => Some(String::new()),
            "@" | "*" => Some(self.positional.join(" ")),
            "COLUMNS" | "LINES" if !self.variables.contains_key(name) => self.measure(name),
            _ => match name.parse::<usize>() {
                Ok(number) => number.checked_sub(1).and_then(|index| self.positional.get(index)).cloned(),
                Err(_) => self.variables.get(name).cloned(),
            },
        }
    }

    /// The size of the terminal, where there is one.
    fn measure(&self, name: &str) -> Option<String> {
        let (columns, rows) = self.process.terminal.as_ref()?.size();
        let value = if name == "COLUMNS" { columns } else { rows };
        (value > 0).then(|| value.to_string())
    }

    async fn variable(&mut self, name: &str, change: Option<&(Change, Word)>) -> String {
        let value = self.value(name);
        let is_set = |empty_too: bool| value.as_ref().is_some_and(|value| !empty_too || !value.is_empty());
        let Some((change, word)) = change else {
            return match value {
                Some(value) => value,
                None => {
                    if self.options.nounset && !matches!(name, "@" | "*") {
                        self.complain(&format!("{name}: parameter not set")).await;
                        self.unwind = Some(Unwind::Exit(2));
                    }
                    String::new()
                }
            };
        };
        match *change {
            Change::Length => value.unwrap_or_default().chars().count().to_string(),
            Change::Default { empty_too } if is_set(empty_too) => value.unwrap_or_default(),
            Change::Default { .. } => self.expand_text(word).await,
            Change::Alternative { empty_too } if is_set(empty_too) => self.expand_text(word).await,
            Change::Alternative { .. } => String::new(),
            Change::Assign { empty_too } if is_set(empty_too) => value.unwrap_or_default(),
            Change::Assign { .. } => {
                let text = self.expand_text(word).await;
                self.variables.insert(name.to_owned(), text.clone());
                text
            }
            Change::Demand { empty_too } if is_set(empty_too) => value.unwrap_or_default(),
            Change::Demand { .. } => {
                let text = self.expand_text(word).await;
                let why = if text.is_empty() { "parameter not set or null" } else { &text };
                self.complain(&format!("{name}: {why}")).await;
                self.unwind = Some(Unwind::Exit(2));
                String::new()
            }
            Change::Prefix { longest } => {
                let pattern = self.expand_pattern(word).await;
                without_prefix(&value.unwrap_or_default(), &pattern, longest).to_owned()
            }
            Change::Suffix { longest } => {
                let pattern = self.expand_pattern(word).await;
                without_suffix(&value.unwrap_or_default(), &pattern, longest).to_owned()
            }
        }
    }

    /// The names that a field stands for: those that fit a pattern, or itself.
    fn names(&self, field: Field) -> Vec<String> {
        if !field.is_pattern || self.options.noglob {
            return vec![field.text];
        }
        let is_absolute = field.pattern.starts_with('/');
        let mut found = vec![if is_absolute { "/".to_owned() } else { String::new() }];
        let disk = lock(&self.process.machine.disk);
        for part in field.pattern.split('/').filter(|part| !part.is_empty()) {
            let mut next = Vec::new();
            for base in &found {
                let place = if base.is_empty() { ".".to_owned() } else { base.clone() };
                let Ok((directory, entry)) = disk.find(&self.process.path(&place)) else { continue };
                if !matches!(entry.body, Body::Directory) {
                    continue;
                }
                let joined = |name: &str| {
                    if base.is_empty() || base.ends_with('/') {
                        format!("{base}{name}")
                    } else {
                        format!("{base}/{name}")
                    }
                };
                let is_shown = |name: &String| !name.starts_with('.') || part.starts_with('.');
                let names = disk.list(&directory);
                next.extend(
                    names
                        .into_iter()
                        .filter(is_shown)
                        .filter(|name| matches(part, name))
                        .map(|name| joined(&name)),
                );
            }
            found = next;
        }
        if found.is_empty() { vec![field.text] } else { found }
    }
}

fn is_quoted(part: &Part) -> bool {
    match part {
        Part::Text { quoted, .. }
        | Part::Variable { quoted, .. }
        | Part::Output { quoted, .. }
        | Part::Arithmetic { quoted, .. } => *quoted,
    }
}
