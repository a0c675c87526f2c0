//! Makes commands of words: lists, pipelines, redirections, `if`, `for`, `while`, `case`, functions, groups.

use super::words::{Failure, Part, Token, Word, tokens};
use std::sync::Arc;

/// Deepest nesting that is read.
const DEPTH: u32 = 40;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Command {
    Simple {
        assignments: Vec<(String, Word)>,
        words: Vec<Word>,
        redirections: Vec<Redirection>,
    },
    /// A compound command with redirections of its own.
    Redirected {
        body: Box<Command>,
        redirections: Vec<Redirection>,
    },
    Group(List),
    Subshell(List),
    If {
        branches: Vec<(List, List)>,
        otherwise: Option<List>,
    },
    For {
        name: String,
        words: Option<Vec<Word>>,
        body: List,
    },
    While {
        condition: List,
        until: bool,
        body: List,
    },
    Case {
        word: Word,
        arms: Vec<(Vec<Word>, List)>,
    },
    Function {
        name: String,
        body: Arc<Command>,
    },
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Redirection {
    Out {
        from: u8,
        append: bool,
        /// `>|`: a file that is there is cut even under `set -C`.
        forces: bool,
        target: Word,
    },
    /// Output and errors.
    Both {
        target: Word,
    },
    In {
        from: u8,
        target: Word,
    },
    /// `2>&1`, `<&3`; `-` closes.
    Duplicate {
        from: u8,
        of: Word,
    },
    Here {
        from: u8,
        text: String,
        expand: bool,
    },
}

#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Pipeline {
    pub(super) negated: bool,
    pub(super) background: bool,
    pub(super) commands: Vec<Arc<Command>>,
    /// As it was typed, about.
    pub(super) text: String,
}

/// How a pipeline follows the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    Always,
    Success,
    Failure,
}

pub(super) type List = Arc<Vec<(After, Pipeline)>>;

/// Reads a script; at a terminal (`typed`) a here-document without its end is to go on.
pub(super) fn parse(script: &str, typed: bool) -> Result<List, Failure> {
    let mut tokens = tokens(script)?;
    let has_open_document = tokens.contains(&Token::Operator("<<"));
    if typed && has_open_document {
        return Err(Failure::unfinished("end of file unexpected"));
    }
    tokens.retain(|token| *token != Token::Operator("<<"));
    let mut parser = Parser { tokens, at: 0, depth: 0 };
    let list = parser.list(&[])?;
    match parser.peek() {
        None => Ok(list),
        Some(token) => Err(unexpected(Some(token))),
    }
}

fn unexpected(token: Option<&Token>) -> Failure {
    Failure::new(match token {
        None => return Failure::unfinished("end of file unexpected"),
        Some(Token::Operator("\n")) => "newline unexpected".to_owned(),
        Some(Token::Operator(text)) => format!("\"{text}\" unexpected"),
        Some(Token::Word(word)) => format!("word unexpected ({})", word.bare().unwrap_or("…")),
        Some(Token::Redirect { .. } | Token::Here { .. }) => "redirection unexpected".to_owned(),
    })
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

    fn expect_word(&mut self, text: &str) -> Result<(), Failure> {
        if self.keyword() == Some(text) {
            self.at += 1;
            return Ok(());
        }
        let failure = unexpected(self.peek());
        Err(Failure { message: format!("{} (expecting \"{text}\")", failure.message), ..failure })
    }

    fn newlines(&mut self) {
        while self.takes(&["\n"]).is_some() {}
    }

    fn list(&mut self, ends: &[&str]) -> Result<List, Failure> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(Failure::new("too deeply nested"));
        }
        let mut list: Vec<(After, Pipeline)> = Vec::new();
        let mut after = After::Always;
        loop {
            while self.takes(&["\n", ";"]).is_some() {}
            let ended = self.peek().is_none()
                || matches!(self.peek(), Some(Token::Operator(")" | ";;")))
                || self.keyword().is_some_and(|word| ends.contains(&word));
            if ended {
                break;
            }
            let start = self.at;
            let mut pipeline = self.pipeline()?;
            pipeline.text = self.text(start);
            let follows = self.takes(&["&&", "||", ";", "&", "\n"]);
            pipeline.background = follows == Some("&");
            list.push((after, pipeline));
            after = match follows {
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
        if after == After::Always { Ok(Arc::new(list)) } else { Err(unexpected(self.peek())) }
    }

    /// The text of the tokens from one on, about as it was typed.
    fn text(&self, from: usize) -> String {
        let word = |token: &Token| match token {
            Token::Word(word) => word
                .0
                .iter()
                .map(|part| match part {
                    Part::Text { text, .. } => text.clone(),
                    Part::Variable { name, .. } => format!("${name}"),
                    Part::Output { script, .. } => format!("$({script})"),
                    Part::Arithmetic { .. } => "$((…))".to_owned(),
                })
                .collect(),
            Token::Operator(text) => (*text).to_owned(),
            Token::Redirect { operator, .. } => (*operator).to_owned(),
            Token::Here { .. } => "<<".to_owned(),
        };
        self.tokens.get(from..self.at).unwrap_or_default().iter().map(word).collect::<Vec<String>>().join(" ")
    }

    fn pipeline(&mut self) -> Result<Pipeline, Failure> {
        let mut pipeline = Pipeline::default();
        if self.keyword() == Some("!") {
            self.at += 1;
            pipeline.negated = true;
        }
        loop {
            let command = self.command()?;
            pipeline.commands.push(Arc::new(command));
            if self.takes(&["|"]).is_none() {
                return Ok(pipeline);
            }
            self.newlines();
        }
    }

    fn command(&mut self) -> Result<Command, Failure> {
        let Some(body) = self.compound()? else { return self.simple() };
        let redirections = self.redirections()?;
        Ok(if redirections.is_empty() {
            body
        } else {
            Command::Redirected { body: Box::new(body), redirections }
        })
    }

    fn compound(&mut self) -> Result<Option<Command>, Failure> {
        if self.takes(&["("]).is_some() {
            let body = self.list(&[])?;
            if self.takes(&[")"]).is_none() {
                return Err(unexpected(self.peek()));
            }
            return Ok(Some(Command::Subshell(body)));
        }
        let is_function = matches!(
            (self.tokens.get(self.at + 1), self.tokens.get(self.at + 2)),
            (Some(Token::Operator("(")), Some(Token::Operator(")")))
        );
        let command = match self.keyword() {
            Some(name) if is_function => {
                let name = name.to_owned();
                self.at += 3;
                self.newlines();
                Command::Function { name, body: Arc::new(self.command()?) }
            }
            Some("{") => {
                self.at += 1;
                let body = self.list(&["}"])?;
                self.expect_word("}")?;
                Command::Group(body)
            }
            Some("if") => self.conditional()?,
            Some("for") => self.repetition()?,
            Some(word @ ("while" | "until")) => {
                let until = word == "until";
                self.at += 1;
                let condition = self.list(&["do"])?;
                Command::While { condition, until, body: self.body()? }
            }
            Some("case") => self.case()?,
            Some("then" | "fi" | "do" | "done" | "else" | "elif" | "esac" | "}") => {
                return Err(unexpected(self.peek()));
            }
            Some(_) | None => return Ok(None),
        };
        Ok(Some(command))
    }

    fn body(&mut self) -> Result<List, Failure> {
        self.expect_word("do")?;
        let body = self.list(&["done"])?;
        self.expect_word("done")?;
        Ok(body)
    }

    fn conditional(&mut self) -> Result<Command, Failure> {
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

    fn repetition(&mut self) -> Result<Command, Failure> {
        self.at += 1;
        let Some(name) = self.keyword().map(str::to_owned) else { return Err(unexpected(self.peek())) };
        self.at += 1;
        self.newlines();
        let mut words = None;
        if self.keyword() == Some("in") {
            self.at += 1;
            words = Some(self.words());
        }
        while self.takes(&[";", "\n"]).is_some() {}
        Ok(Command::For { name, words, body: self.body()? })
    }

    fn words(&mut self) -> Vec<Word> {
        let mut words = Vec::new();
        while let Some(Token::Word(word)) = self.peek() {
            words.push(word.clone());
            self.at += 1;
        }
        words
    }

    fn case(&mut self) -> Result<Command, Failure> {
        self.at += 1;
        let Some(Token::Word(word)) = self.peek().cloned() else { return Err(unexpected(self.peek())) };
        self.at += 1;
        self.newlines();
        self.expect_word("in")?;
        let mut arms = Vec::new();
        loop {
            self.newlines();
            if self.keyword() == Some("esac") {
                self.at += 1;
                return Ok(Command::Case { word, arms });
            }
            self.takes(&["("]);
            let mut patterns = Vec::new();
            loop {
                let Some(Token::Word(pattern)) = self.peek().cloned() else {
                    return Err(unexpected(self.peek()));
                };
                self.at += 1;
                patterns.push(pattern);
                if self.takes(&["|"]).is_none() {
                    break;
                }
            }
            if self.takes(&[")"]).is_none() {
                return Err(unexpected(self.peek()));
            }
            let body = self.list(&["esac"])?;
            self.takes(&[";;"]);
            arms.push((patterns, body));
        }
    }

    fn simple(&mut self) -> Result<Command, Failure> {
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

    fn redirections(&mut self) -> Result<Vec<Redirection>, Failure> {
        let mut found = Vec::new();
        while matches!(self.peek(), Some(Token::Redirect { .. } | Token::Here { .. })) {
            found.push(self.redirection()?);
        }
        Ok(found)
    }

    fn redirection(&mut self) -> Result<Redirection, Failure> {
        let token = self.peek().cloned();
        self.at += 1;
        let (from, operator) = match token {
            Some(Token::Here { from, text, expand }) => return Ok(Redirection::Here { from, text, expand }),
            Some(Token::Redirect { from, operator }) => (from, operator),
            Some(Token::Word(_) | Token::Operator(_)) | None => {
                return Err(Failure::new("redirection unexpected"));
            }
        };
        let Some(Token::Word(target)) = self.peek().cloned() else { return Err(unexpected(self.peek())) };
        self.at += 1;
        let is_descriptor = target.bare() == Some("-")
            || target.bare().is_some_and(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        Ok(match operator {
            "<" | "<>" => Redirection::In { from, target },
            "<&" => Redirection::Duplicate { from, of: target },
            ">&" if is_descriptor || target.bare().is_none() => Redirection::Duplicate { from, of: target },
            ">&" | "&>" => Redirection::Both { target },
            _ => Redirection::Out { from, append: operator == ">>", forces: operator == ">|", target },
        })
    }
}

/// True where a text can be a variable's name.
pub(super) fn is_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|letter: char| letter.is_ascii_digit())
        && name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
}

/// `NAME=value` at the start of a command.
fn assignment(word: &Word) -> Option<(String, Word)> {
    let (first, rest) = word.0.split_first()?;
    let Part::Text { text, quoted: false } = first else { return None };
    let (name, value) = text.split_once('=')?;
    if !is_name(name) {
        return None;
    }
    let mut parts = vec![Part::Text { text: value.to_owned(), quoted: false }];
    parts.extend(rest.iter().cloned());
    Some((name.to_owned(), Word(parts)))
}
