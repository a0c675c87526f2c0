//! Makes commands of words: lists, pipelines, redirections, `if`, `for`, groups.

use super::words::{Token, Word, tokens};

/// Deepest nesting that is read.
const DEPTH: u32 = 40;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Command {
    Simple { assignments: Vec<(String, Word)>, words: Vec<Word>, redirections: Vec<Redirection> },
    Group { body: List, subshell: bool, redirections: Vec<Redirection> },
    If { branches: Vec<(List, List)>, otherwise: Option<List> },
    For { name: String, words: Vec<Word>, body: List },
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Redirection {
    File {
        from: u8,
        append: bool,
        target: Word,
    },
    /// `2>&1`
    Duplicate {
        from: u8,
        to: u8,
    },
    Input(Word),
    Here {
        text: String,
        expand: bool,
    },
}

#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Pipeline {
    pub(super) negated: bool,
    pub(super) commands: Vec<Command>,
}

/// How a pipeline follows the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    Always,
    Success,
    Failure,
}

pub(super) type List = Vec<(After, Pipeline)>;

/// Reads a script; the error is what a shell would say after `Syntax error:`.
pub(super) fn parse(script: &str) -> Result<List, String> {
    let mut parser = Parser { tokens: tokens(script)?, at: 0, depth: 0 };
    let list = parser.list(&[])?;
    match parser.peek() {
        None => Ok(list),
        Some(token) => Err(unexpected(Some(token))),
    }
}

fn unexpected(token: Option<&Token>) -> String {
    match token {
        None => "end of file unexpected".to_owned(),
        Some(Token::Operator("\n")) => "newline unexpected".to_owned(),
        Some(Token::Operator(text)) => format!("\"{text}\" unexpected"),
        Some(Token::Word(word)) => format!("word unexpected ({})", word.bare().unwrap_or("…")),
        Some(Token::Redirect { .. } | Token::Here { .. }) => "redirection unexpected".to_owned(),
    }
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    depth: u32,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn keyword(&self) -> Option<&str> {
        match self.peek() {
            Some(Token::Word(word)) => word.bare(),
            Some(_) | None => None,
        }
    }

    fn takes(&mut self, operators: &[&str]) -> Option<&'static str> {
        match self.peek() {
            Some(Token::Operator(operator)) if operators.contains(operator) => {
                let operator = *operator;
                self.at += 1;
                Some(operator)
            }
            Some(_) | None => None,
        }
    }

    fn expect_word(&mut self, text: &str) -> Result<(), String> {
        if self.keyword() == Some(text) {
            self.at += 1;
            return Ok(());
        }
        Err(format!("{} (expecting \"{text}\")", unexpected(self.peek())))
    }

    fn newlines(&mut self) {
        while self.takes(&["\n"]).is_some() {}
    }

    fn list(&mut self, ends: &[&str]) -> Result<List, String> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err("too deeply nested".to_owned());
        }
        let mut list = List::new();
        let mut after = After::Always;
        loop {
            while self.takes(&["\n", ";"]).is_some() {}
            let ended = self.peek().is_none()
                || matches!(self.peek(), Some(Token::Operator(")" | ";;")))
                || self.keyword().is_some_and(|word| ends.contains(&word));
            if ended {
                break;
            }
            let pipeline = self.pipeline()?;
            list.push((after, pipeline));
            after = match self.takes(&["&&", "||", ";", "&", "\n"]) {
                Some("&&") => After::Success,
                Some("||") => After::Failure,
                Some(_) => After::Always,
                None => {
                    after = After::Always;
                    break;
                }
            };
            if after != After::Always {
                self.newlines();
            }
        }
        self.depth -= 1;
        if after == After::Always { Ok(list) } else { Err(unexpected(self.peek())) }
    }

    fn pipeline(&mut self) -> Result<Pipeline, String> {
        let mut pipeline = Pipeline::default();
        if self.keyword() == Some("!") {
            self.at += 1;
            pipeline.negated = true;
        }
        loop {
            let command = self.command()?;
            pipeline.commands.push(command);
            if self.takes(&["|"]).is_none() {
                return Ok(pipeline);
            }
            self.newlines();
        }
    }

    fn command(&mut self) -> Result<Command, String> {
        if self.takes(&["("]).is_some() {
            let body = self.list(&[])?;
            if self.takes(&[")"]).is_none() {
                return Err(unexpected(self.peek()));
            }
            return Ok(Command::Group { body, subshell: true, redirections: self.redirections()? });
        }
        match self.keyword() {
            Some("{") => {
                self.at += 1;
                let body = self.list(&["}"])?;
                self.expect_word("}")?;
                Ok(Command::Group { body, subshell: false, redirections: self.redirections()? })
            }
            Some("if") => self.conditional(),
            Some("for") => self.repetition(),
            Some("then" | "fi" | "do" | "done" | "else" | "elif" | "}") => Err(unexpected(self.peek())),
            Some(_) | None => self.simple(),
        }
    }

    fn conditional(&mut self) -> Result<Command, String> {
        let mut branches = Vec::new();
        let mut otherwise = None;
        self.at += 1;
        loop {
            let condition = self.list(&["then"])?;
            self.expect_word("then")?;
            let body = self.list(&["elif", "else", "fi"])?;
            branches.push((condition, body));
            if self.keyword() != Some("elif") {
                break;
            }
            self.at += 1;
        }
        if self.keyword() == Some("else") {
            self.at += 1;
            otherwise = Some(self.list(&["fi"])?);
        }
        self.expect_word("fi")?;
        Ok(Command::If { branches, otherwise })
    }

    fn repetition(&mut self) -> Result<Command, String> {
        self.at += 1;
        let Some(name) = self.keyword().map(str::to_owned) else { return Err(unexpected(self.peek())) };
        self.at += 1;
        let mut words = Vec::new();
        if self.keyword() == Some("in") {
            self.at += 1;
            while let Some(Token::Word(word)) = self.peek() {
                words.push(word.clone());
                self.at += 1;
            }
        }
        while self.takes(&[";", "\n"]).is_some() {}
        self.expect_word("do")?;
        let body = self.list(&["done"])?;
        self.expect_word("done")?;
        Ok(Command::For { name, words, body })
    }

    fn simple(&mut self) -> Result<Command, String> {
        let (mut assignments, mut words, mut redirections) = (Vec::new(), Vec::new(), Vec::new());
        loop {
            match self.peek() {
                Some(Token::Word(word)) => {
                    let word = word.clone();
                    self.at += 1;
                    match assignment(&word).filter(|_| words.is_empty()) {
                        Some(assigned) => assignments.push(assigned),
                        None => words.push(word),
                    }
                }
                Some(Token::Redirect { .. } | Token::Here { .. }) => redirections.push(self.redirection()?),
                Some(Token::Operator(_)) | None => break,
            }
        }
        if assignments.is_empty() && words.is_empty() && redirections.is_empty() {
            return Err(unexpected(self.peek()));
        }
        Ok(Command::Simple { assignments, words, redirections })
    }

    fn redirections(&mut self) -> Result<Vec<Redirection>, String> {
        let mut found = Vec::new();
        while matches!(self.peek(), Some(Token::Redirect { .. } | Token::Here { .. })) {
            found.push(self.redirection()?);
        }
        Ok(found)
    }

    fn redirection(&mut self) -> Result<Redirection, String> {
        let token = self.peek().cloned();
        self.at += 1;
        let (from, operator) = match token {
            Some(Token::Here { text, expand }) => return Ok(Redirection::Here { text, expand }),
            Some(Token::Redirect { from, operator }) => (from, operator),
            Some(Token::Word(_) | Token::Operator(_)) | None => {
                return Err("redirection unexpected".to_owned());
            }
        };
        let Some(Token::Word(target)) = self.peek().cloned() else { return Err(unexpected(self.peek())) };
        self.at += 1;
        Ok(match operator {
            "<" | "<&" => Redirection::Input(target),
            ">&" => match target.bare().and_then(|text| text.parse().ok()) {
                Some(to) => Redirection::Duplicate { from, to },
                None => Redirection::File { from, append: false, target },
            },
            "&>" => Redirection::File { from: 3, append: false, target },
            _ => Redirection::File { from, append: operator == ">>", target },
        })
    }
}

/// `NAME=value` at the start of a command.
fn assignment(word: &Word) -> Option<(String, Word)> {
    use super::words::Part;
    let (first, rest) = word.0.split_first()?;
    let Part::Text { text, quoted: false } = first else { return None };
    let (name, value) = text.split_once('=')?;
    let is_name = !name.is_empty()
        && !name.starts_with(|letter: char| letter.is_ascii_digit())
        && name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
    if !is_name {
        return None;
    }
    let mut parts = vec![Part::Text { text: value.to_owned(), quoted: true }];
    parts.extend(rest.iter().cloned());
    Some((name.to_owned(), Word(parts)))
}
