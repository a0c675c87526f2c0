//! From text to [`Selector`].
//!
//! `and` (`&`) binds less than `not ` (`!`); parentheses group. Blanks separate words. A quote at the start of
//! a word, or after `:` `=` `,` `@`, holds everything up to its end together; `\` takes the next character literally.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::str::FromStr;

use super::Platform;
use super::pattern::{Pattern, Piece};
use super::selector::{
    Attribute, Comparison, NodeSet, Ping, RunRef, ScopedId, Selector, Source, Term, Version, Which, is_id,
};
use super::suggest::suggest;
use crate::run_id::RunId;
use crate::verdict::Verdict;

/// How deeply `not`, parentheses and aliases may nest.
const MAX_DEPTH: usize = 64;
/// How many conditions a selector may have when its aliases are filled in: a few aliases that stand in each other twice make millions.
const MAX_CONDITIONS: usize = 1000;

/// A selector that can't be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("selector `{selector}`, column {column}: {problem}")]
pub struct SelectorError {
    /// The whole text.
    pub selector: String,
    /// Counts characters from 1.
    pub column: usize,
    /// One fragment.
    pub problem: String,
    /// What is allowed there, a full sentence.
    pub hint: String,
}

/// What is wrong, before the whole text is at hand.
struct Problem {
    column: usize,
    problem: String,
    hint: String,
}

type Parsed<T> = Result<T, Problem>;

fn problem<T>(column: usize, problem: impl Into<String>, hint: impl Into<String>) -> Parsed<T> {
    Err(Problem { column, problem: problem.into(), hint: hint.into() })
}

impl FromStr for Selector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Selector, SelectorError> {
        Selector::with_aliases(text, &BTreeMap::new())
    }
}

impl Selector {
    /// Parses a text in which names may stand for selectors: wherever such a name is a condition by itself, without quotes, its
    /// selector is meant. Aliases may stand in aliases.
    ///
    /// # Errors
    /// The text or the selector of an alias in it doesn't parse, an alias means itself, or one stands in a list of names.
    pub fn with_aliases(text: &str, aliases: &BTreeMap<String, String>) -> Result<Selector, SelectorError> {
        let conditions = Cell::new(0);
        let aliases = Aliases { all: aliases, within: &[], depth: 0, conditions: &conditions };
        parse(text, aliases).map_err(|p| SelectorError {
            selector: text.to_owned(),
            column: p.column,
            problem: p.problem,
            hint: p.hint,
        })
    }
}

fn parse(text: &str, aliases: Aliases<'_>) -> Parsed<Selector> {
    let tokens = lex(text)?;
    let end = text.chars().count() + 1;
    Parser { tokens: tokens.into_iter().peekable(), end, aliases }.whole()
}

/// Names that stand for selectors.
#[derive(Clone, Copy)]
struct Aliases<'a> {
    all: &'a BTreeMap<String, String>,
    /// Those whose selectors are being read, outermost first.
    within: &'a [&'a str],
    /// How deeply the text stands in others.
    depth: usize,
    /// Those so far, of all texts.
    conditions: &'a Cell<usize>,
}

impl Aliases<'_> {
    /// What a word stands for, if it is an alias.
    fn expand(self, word: &[Ch], (column, depth): (usize, usize)) -> Parsed<Option<Selector>> {
        // A kind, or something in quotes, is never one.
        if word.iter().any(|ch| !matches!(ch, Ch::Plain(c) if *c != ':')) {
            return Ok(None);
        }
        let name = text(word);
        let Some((name, selector)) = self.all.get_key_value(&name) else {
            let mut listed = name.split(',').filter(|_| name.contains(','));
            return match listed.find(|piece| self.all.contains_key(*piece)) {
                None => Ok(None),
                Some(alias) => problem(
                    column,
                    format!("the alias `{alias}` stands in a list of names"),
                    format!("Repeat -t for a union; write name:{alias} for a node of that name."),
                ),
            };
        };
        if self.within.contains(&name.as_str()) {
            return problem(
                column,
                format!("the alias `{name}` means itself"),
                "Correct [aliases] in the configuration file (`herder config show`).",
            );
        }
        let within = [self.within, &[name.as_str()]].concat();
        // As if it stood in parentheses.
        let inner = Aliases { within: &within, depth: depth + 1, ..self };
        parse(selector, inner).map(Some).map_err(|inner| Problem {
            column,
            problem: format!(
                "the alias `{name}` stands for `{selector}`; there, column {}: {}",
                inner.column, inner.problem
            ),
            hint: inner.hint,
        })
    }
}

/// A character of a word, with what quoting made of it.
#[derive(Clone, Copy, PartialEq)]
enum Ch {
    /// May separate.
    Plain(char),
    /// Stood in quotes: separates nothing, may be a wildcard.
    Quoted(char),
    /// Stood behind `\`: itself.
    Escaped(char),
    /// A quote or the `\\` of an escape: no text, but a column.
    Mark,
}

#[derive(Clone)]
enum Kind {
    And,
    Not,
    Open,
    Close,
    Word(Vec<Ch>),
}

#[derive(Clone)]
struct Token {
    kind: Kind,
    column: usize,
}

fn lex(text: &str) -> Parsed<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut chars = text.chars().zip(1..).peekable();
    while let Some(&(c, column)) = chars.peek() {
        let kind = match c {
            _ if c.is_whitespace() => None,
            '&' => Some(Kind::And),
            '!' => Some(Kind::Not),
            '(' => Some(Kind::Open),
            ')' => Some(Kind::Close),
            _ => {
                let word = lex_word(&mut chars)?;
                tokens.push(Token { kind: keyword(word, column)?, column });
                continue;
            }
        };
        chars.next();
        tokens.extend(kind.map(|kind| Token { kind, column }));
    }
    Ok(tokens)
}

fn keyword(word: Vec<Ch>, column: usize) -> Parsed<Kind> {
    let plain: Option<String> = word
        .iter()
        .map(|ch| if let Ch::Plain(c) = ch { Some(c.to_ascii_lowercase()) } else { None })
        .collect();
    match plain.as_deref() {
        Some("and") => Ok(Kind::And),
        Some("not") => Ok(Kind::Not),
        Some("or" | "|" | "||") => problem(
            column,
            "there is no `or` within a selector",
            "Repeat -t for a union, or list values: `tag:env=a,b`.",
        ),
        _ => Ok(Kind::Word(word)),
    }
}

fn lex_word(chars: &mut std::iter::Peekable<impl Iterator<Item = (char, usize)>>) -> Parsed<Vec<Ch>> {
    let mut word = Vec::new();
    let mut quote: Option<(char, usize)> = None;
    while let Some(&(c, column)) = chars.peek() {
        let starts_piece = matches!(word.last(), None | Some(Ch::Plain(':' | '=' | ',' | '@')));
        if quote.is_none() && (c.is_whitespace() || matches!(c, '&' | '(' | ')')) {
            break;
        }
        chars.next();
        match (c, quote) {
            ('\\', _) => match chars.next() {
                Some((next, _)) => word.extend([Ch::Mark, Ch::Escaped(next)]),
                None => {
                    return problem(
                        column,
                        "nothing stands behind `\\`",
                        "Write `\\\\` for a backslash itself.",
                    );
                }
            },
            (c, Some((open, _))) if c == open => {
                quote = None;
                word.push(Ch::Mark);
            }
            (c, Some(_)) => word.push(Ch::Quoted(c)),
            ('"' | '\'', None) if starts_piece => {
                quote = Some((c, column));
                word.push(Ch::Mark);
            }
            (c, None) => word.push(Ch::Plain(c)),
        }
    }
    match quote {
        Some((open, column)) => problem(
            column,
            format!("the quote {open} has no end"),
            format!("Close it with {open}, or write \\{open} for the character."),
        ),
        None => Ok(word),
    }
}

struct Parser<'a, I: Iterator<Item = Token>> {
    tokens: std::iter::Peekable<I>,
    end: usize,
    aliases: Aliases<'a>,
}

impl<I: Iterator<Item = Token>> Parser<'_, I> {
    fn whole(&mut self) -> Parsed<Selector> {
        if self.tokens.peek().is_none() {
            return problem(1, "it is empty", ALLOWED);
        }
        let selector = self.conjunction(self.aliases.depth)?;
        match self.tokens.next() {
            None => Ok(selector),
            Some(Token { kind: Kind::Close, column }) => {
                problem(column, "this `)` closes nothing", "Put names with parentheses into quotes.")
            }
            Some(Token { column, .. }) => problem(
                column,
                "expected `and`",
                "Join conditions with `and`, repeat -t for a union, and put names with blanks into quotes.",
            ),
        }
    }

    fn conjunction(&mut self, depth: usize) -> Parsed<Selector> {
        let mut parts = Vec::new();
        loop {
            match self.unary(depth)? {
                Selector::And(inner) => parts.extend(inner),
                other => parts.push(other),
            }
            match self.tokens.peek().map(|t| &t.kind) {
                Some(Kind::And) => {
                    self.tokens.next();
                }
                _ => break,
            }
        }
        match <[Selector; 1]>::try_from(parts) {
            Ok([only]) => Ok(only),
            Err(parts) => Ok(Selector::And(parts)),
        }
    }

    fn unary(&mut self, depth: usize) -> Parsed<Selector> {
        let Some(token) = self.tokens.next() else {
            return problem(self.end, "it ends where a condition is expected", ALLOWED);
        };
        if depth > MAX_DEPTH {
            return problem(
                token.column,
                "it is nested too deeply",
                "Take some parentheses or negations away.",
            );
        }
        match token.kind {
            Kind::Not => Ok(Selector::Not(Box::new(self.unary(depth + 1)?))),
            Kind::Open => {
                let inner = self.conjunction(depth + 1)?;
                match self.tokens.next().map(|t| t.kind) {
                    Some(Kind::Close) => Ok(inner),
                    _ => problem(
                        token.column,
                        "this `(` is not closed",
                        "Put names with parentheses into quotes.",
                    ),
                }
            }
            Kind::Word(word) => match self.aliases.expand(&word, (token.column, depth))? {
                Some(selector) => Ok(selector),
                None => self.condition(&word, token.column),
            },
            Kind::And | Kind::Close => problem(token.column, "a condition is expected here", ALLOWED),
        }
    }

    fn condition(&self, word: &[Ch], column: usize) -> Parsed<Selector> {
        let count = self.aliases.conditions.get() + 1;
        self.aliases.conditions.set(count);
        if count > MAX_CONDITIONS {
            return problem(
                column,
                format!("it has more than {MAX_CONDITIONS} conditions"),
                "List values in one condition: `tag:env=a,b`, or nodes in a file: @FILE.",
            );
        }
        term(word, column).map(Selector::Term)
    }
}

const KINDS: [&str; 12] =
    ["name", "tag", "asg", "tg", "az", "vpc", "subnet", "ami", "rg", "platform", "ping", "agent"];

const ALLOWED: &str = "Give an id, a name (wildcards `*` and `?`), tag:KEY=VALUE, asg: tg: az: vpc: subnet: ami: rg: \
     platform: ping: agent:, all, @FILE, - or @last:failed.";

fn term(word: &[Ch], column: usize) -> Parsed<Term> {
    match word {
        [Ch::Plain('-')] => return Ok(Term::Source(Source::Stdin)),
        [Ch::Plain('@'), rest @ ..] => return source(rest, column),
        _ => {}
    }
    if word == "all".chars().map(Ch::Plain).collect::<Vec<_>>() {
        return Ok(Term::All);
    }
    let Some((kind, value)) = split_once(word, ':') else { return nodes(word, column, false) };
    let (kind, at) = (text(kind), column + kind.len() + 1);
    if let Some(attribute) = Attribute::ALL.into_iter().find(|a| a.word() == kind) {
        return Ok(Term::Attribute(attribute, values(value, at)?));
    }
    match kind.as_str() {
        "name" => nodes(value, at, true),
        "tag" => tag(value, at),
        "platform" => platform(value, at),
        "ping" => ping(value, at),
        "agent" => agent(value, at),
        _ => {
            let meant = suggest(&kind, KINDS).map(|k| format!("; did you mean `{k}:`?")).unwrap_or_default();
            let hint = format!("{ALLOWED} Put a name with a colon into quotes.");
            problem(column, format!("`{kind}:` is not a kind of selector{meant}"), hint)
        }
    }
}

fn nodes(value: &[Ch], column: usize, only_names: bool) -> Parsed<Term> {
    let mut set = NodeSet::default();
    for (piece, at) in pieces(value, column)? {
        let word = text(piece);
        let pattern = pattern(piece);
        if only_names || piece.first() == Some(&Ch::Mark) || pattern.as_literal().is_none() {
            set.add_name(pattern);
        } else if looks_like_id(&word) && !is_id(&word) {
            let hint = "Ids are i- with 8 or 17 hexadecimal digits (0-9, a-f), or mi- with 17. Write name: before a name.";
            return problem(at, format!("`{word}` is not an instance's id"), hint);
        } else if let Some(node) = ScopedId::parse(&word) {
            set.scoped.insert(node);
        } else {
            set.add(&word);
        }
    }
    Ok(Term::Nodes(set))
}

/// Close enough to an id to be a slip rather than a name.
fn looks_like_id(word: &str) -> bool {
    let digits = word.strip_prefix("mi-").or_else(|| word.strip_prefix("i-"));
    digits.is_some_and(|d| d.len() >= 8 && d.bytes().all(|b| b.is_ascii_hexdigit()))
}

fn tag(value: &[Ch], column: usize) -> Parsed<Term> {
    let (key, wanted) = match split_once(value, '=') {
        Some((key, [])) => {
            let key = text(key);
            let hint = format!("Write tag:{key} for any value, or tag:{key}=\"\" for the empty one.");
            return problem(column, format!("no value stands behind `{key}=`"), hint);
        }
        Some((key, wanted)) => (key, values(wanted, column + key.len() + 1)?),
        None => (value, Vec::new()),
    };
    if text(key).is_empty() {
        return problem(column, "the tag's key is missing", "Write tag:KEY=VALUE, or tag:KEY for any value.");
    }
    Ok(Term::Tag { key: text(key), values: wanted })
}

fn values(value: &[Ch], column: usize) -> Parsed<Vec<Pattern>> {
    Ok(pieces(value, column)?.into_iter().map(|(piece, _)| pattern(piece)).collect())
}

/// The parts between commas with their columns; an empty one is a mistake (`""` is an empty value).
fn pieces(value: &[Ch], column: usize) -> Parsed<Vec<(&[Ch], usize)>> {
    let mut found = Vec::new();
    let mut at = column;
    for piece in value.split(|ch| *ch == Ch::Plain(',')) {
        if piece.is_empty() {
            return problem(
                at,
                "a value is missing",
                "Give values as A or A,B; put a value with a comma into quotes.",
            );
        }
        found.push((piece, at));
        at += piece.len() + 1;
    }
    Ok(found)
}

fn platform(value: &[Ch], column: usize) -> Parsed<Term> {
    let mut platforms = Vec::new();
    for (piece, at) in pieces(value, column)? {
        let word = text(piece);
        let Some(platform) = Platform::ALL.into_iter().find(|p| p.as_str() == word) else {
            return unknown_word(at, &word, "a platform", &Platform::ALL.map(Platform::as_str));
        };
        platforms.push(platform);
    }
    Ok(Term::Platform(platforms))
}

fn ping(value: &[Ch], column: usize) -> Parsed<Term> {
    match text(value).as_str() {
        "online" => Ok(Term::Ping(Ping::Online)),
        "lost" => Ok(Term::Ping(Ping::Lost)),
        word => unknown_word(column, word, "a state of the agent", &["online", "lost"]),
    }
}

fn agent(value: &[Ch], column: usize) -> Parsed<Term> {
    let word = text(value);
    let Some((comparison, version)) = word.split_once(':') else {
        return problem(
            column,
            format!("`{word}` is not a comparison of versions"),
            "Write agent:lt:3.2, with lt, le, eq, ge or gt.",
        );
    };
    let Some(compare) = Comparison::ALL.into_iter().find(|c| c.word() == comparison) else {
        return unknown_word(column, comparison, "a comparison", &Comparison::ALL.map(Comparison::word));
    };
    match Version::parse(version) {
        Some(version) => Ok(Term::Agent(compare, version)),
        None => {
            let at = column + comparison.chars().count() + 1;
            problem(
                at,
                format!("`{version}` is not a version"),
                "Give numbers and dots, like 3.2 or 3.2.985.0.",
            )
        }
    }
}

fn source(rest: &[Ch], column: usize) -> Parsed<Term> {
    let name = text(rest);
    if name.is_empty() {
        return problem(
            column,
            "nothing stands behind `@`",
            "Write @FILE, @last, @last:failed or @RUN:failed.",
        );
    }
    if rest.first() == Some(&Ch::Mark) {
        return Ok(Term::Source(Source::File(name)));
    }
    let (run, word) = name.split_once(':').map_or((name.as_str(), None), |(run, word)| (run, Some(word)));
    let reference =
        if run == "last" { Some(RunRef::Last) } else { run.parse::<RunId>().ok().map(RunRef::Id) };
    let at = column + run.chars().count() + 2;
    match (reference, word) {
        (Some(reference), None) => Ok(Term::Source(Source::Run(reference, Which::All))),
        (Some(reference), Some(word)) => Ok(Term::Source(Source::Run(reference, which(word, at)?))),
        (None, Some(word)) if which(word, at).is_ok() => {
            let hint = "Write @last:failed or the run's whole id (`herder runs list`); put a file's name into quotes.";
            problem(column + 1, format!("`{run}` is not a run's id"), hint)
        }
        (None, _) => Ok(Term::Source(Source::File(name))),
    }
}

fn which(word: &str, column: usize) -> Parsed<Which> {
    match (word, Verdict::from_word(word)) {
        (_, Some(verdict)) => Ok(Which::Verdict(verdict)),
        ("bad", None) => Ok(Which::Bad),
        _ => {
            let mut words = vec!["bad"];
            words.extend(Verdict::ALL.map(Verdict::as_str));
            unknown_word(column, word, "a verdict", &words)
        }
    }
}

fn unknown_word<T>(column: usize, word: &str, what: &str, allowed: &[&str]) -> Parsed<T> {
    let meant = suggest(word, allowed.iter().copied());
    let meant = meant.map(|m| format!("; did you mean `{m}`?")).unwrap_or_default();
    problem(column, format!("`{word}` is not {what}{meant}"), format!("Use one of {}.", allowed.join(", ")))
}

fn split_once(word: &[Ch], separator: char) -> Option<(&[Ch], &[Ch])> {
    let at = word.iter().position(|ch| *ch == Ch::Plain(separator))?;
    let (before, rest) = word.split_at_checked(at)?;
    rest.split_first().map(|(_, after)| (before, after))
}

fn text(word: &[Ch]) -> String {
    let chars = word.iter().filter_map(|ch| match ch {
        Ch::Plain(c) | Ch::Quoted(c) | Ch::Escaped(c) => Some(*c),
        Ch::Mark => None,
    });
    chars.collect()
}

fn pattern(word: &[Ch]) -> Pattern {
    Pattern::from_pieces(word.iter().filter_map(|ch| match ch {
        Ch::Plain('*') | Ch::Quoted('*') => Some(Piece::Any),
        Ch::Plain('?') | Ch::Quoted('?') => Some(Piece::One),
        Ch::Plain(c) | Ch::Quoted(c) | Ch::Escaped(c) => Some(Piece::Char(*c)),
        Ch::Mark => None,
    }))
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
