//! `test` and `[`.

use super::disk::Body;
use super::process::Process;

/// Deepest nesting of an expression.
const DEPTH: u32 = 40;

/// True where an expression holds.
pub(super) fn holds(process: &Process, words: &[&str]) -> Result<bool, String> {
    // What POSIX says for up to four words keeps texts like `!` and `(` apart from operators.
    match words {
        [] => Ok(false),
        [text] => Ok(!text.is_empty()),
        ["!", rest @ ..] if rest.len() <= 3 => holds(process, rest).map(|truth| !truth),
        [operator, word] => unary(process, operator, word),
        [left, operator, right] if is_binary(operator) => binary(process, left, operator, right),
        ["(", word, ")"] => Ok(!word.is_empty()),
        _ => {
            let mut reader = Reader { process, words, at: 0, depth: 0 };
            let truth = reader.any()?;
            match words.get(reader.at) {
                None => Ok(truth),
                Some(word) => Err(format!("{word}: unexpected operator")),
            }
        }
    }
}

struct Reader<'a> {
    process: &'a Process,
    words: &'a [&'a str],
    at: usize,
    depth: u32,
}

impl<'a> Reader<'a> {
    fn takes(&mut self, word: &str) -> bool {
        let found = self.words.get(self.at) == Some(&word);
        self.at += usize::from(found);
        found
    }

    fn any(&mut self) -> Result<bool, String> {
        let mut truth = self.every()?;
        while self.takes("-o") {
            truth |= self.every()?;
        }
        Ok(truth)
    }

    fn every(&mut self) -> Result<bool, String> {
        let mut truth = self.one()?;
        while self.takes("-a") {
            truth &= self.one()?;
        }
        Ok(truth)
    }

    fn one(&mut self) -> Result<bool, String> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err("too deeply nested".to_owned());
        }
        if self.takes("!") {
            return self.one().map(|truth| !truth);
        }
        if self.takes("(") {
            let truth = self.any()?;
            return if self.takes(")") { Ok(truth) } else { Err("closing paren expected".to_owned()) };
        }
        let next = |offset: usize| self.words.get(self.at + offset).copied();
        match (next(0), next(1), next(2)) {
            (Some(left), Some(operator), Some(right)) if is_binary(operator) => {
                self.at += 3;
                binary(self.process, left, operator, right)
            }
            (Some(operator), Some(word), _) if operator.len() == 2 && operator.starts_with('-') => {
                self.at += 2;
                unary(self.process, operator, word)
            }
            (Some(word), _, _) => {
                self.at += 1;
                Ok(!word.is_empty())
            }
            (None, _, _) => Err("argument expected".to_owned()),
        }
    }
}

fn is_binary(operator: &str) -> bool {
    matches!(
        operator,
        "=" | "==" | "!=" | "<" | ">" | "-eq" | "-ne" | "-gt" | "-ge" | "-lt" | "-le" | "-nt" | "-ot" | "-ef"
    )
}

fn unary(process: &Process, operator: &str, word: &str) -> Result<bool, String> {
    let entry = || process.find(word).ok();
    let mode = |bits: u32| {
        entry().is_some_and(|entry| {
            process.user == "root" && bits != 0o1
                || entry.mode & if entry.owner == process.user { bits << 6 } else { bits } != 0
                || process.user == "root" && entry.mode & 0o111 != 0
        })
    };
    Ok(match operator {
        "-n" => !word.is_empty(),
        "-z" => word.is_empty(),
        "-e" => entry().is_some(),
        "-f" => entry().is_some_and(|entry| matches!(entry.body, Body::File(_))),
        "-d" => entry().is_some_and(|entry| entry.is_directory()),
        "-c" => entry().is_some_and(|entry| matches!(entry.body, Body::Device(_))),
        "-b" | "-p" | "-S" | "-u" | "-g" => false,
        "-L" | "-h" => process.find_itself(word).is_some_and(|entry| matches!(entry.body, Body::Link(_))),
        "-s" => entry().is_some_and(|entry| entry.size() > 0),
        "-r" => mode(0o4),
        "-w" => mode(0o2),
        "-x" => mode(0o1),
        "-O" => entry().is_some_and(|entry| entry.owner == process.user),
        "-t" => word
            .parse()
            .ok()
            .and_then(|number| process.streams.get(number))
            .is_some_and(|stream| stream.terminal().is_some()),
        "!" => word.is_empty(),
        _ => return Err(format!("{operator}: unexpected operator")),
    })
}

fn binary(process: &Process, left: &str, operator: &str, right: &str) -> Result<bool, String> {
    let number = |text: &str| text.trim().parse::<i64>().map_err(|_| format!("Illegal number: {text}"));
    let modified = |path: &str| process.find(path).ok().map(|entry| entry.modified);
    Ok(match operator {
        "=" | "==" => left == right,
        "!=" => left != right,
        "<" => left < right,
        ">" => left > right,
        "-eq" => number(left)? == number(right)?,
        "-ne" => number(left)? != number(right)?,
        "-gt" => number(left)? > number(right)?,
        "-ge" => number(left)? >= number(right)?,
        "-lt" => number(left)? < number(right)?,
        "-le" => number(left)? <= number(right)?,
        "-nt" => modified(left) > modified(right),
        "-ot" => modified(left) < modified(right),
        _ => process.path(left) == process.path(right),
    })
}
