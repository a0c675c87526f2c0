//! A selector that is being typed: its last condition, and in that the last value.

use herder_core::target::{Comparison, Platform};
use herder_core::verdict::Verdict;

use super::cache::Section;
use super::lines::Found;
use super::values::Values;

/// Kinds of conditions, with what stands behind them.
const KINDS: [(&str, &str); 12] = [
    ("tag:", "KEY or KEY=VALUE"),
    ("asg:", "Auto Scaling group"),
    ("az:", "availability zone"),
    ("platform:", "linux, windows, macos"),
    ("ping:", "online or lost"),
    ("agent:", "version of the agent"),
    ("name:", "name with wildcards"),
    ("tg:", "target group"),
    ("vpc:", "VPC"),
    ("subnet:", "subnet"),
    ("ami:", "image"),
    ("rg:", "resource group"),
];

/// A text up to where its last value begins, and that value.
#[derive(Debug, PartialEq, Eq)]
struct Piece<'a> {
    before: &'a str,
    /// Without quotes and escapes.
    text: String,
    /// The quote that it begins with.
    quote: Option<char>,
}

/// What may complete a selector.
pub(super) fn complete(values: &Values<'_>, text: &str) -> Vec<Found> {
    let at = last_word(text);
    let (before, word) = text.split_at_checked(at).unwrap_or(("", text));
    let mut found = condition(values, word);
    if !before.is_empty() {
        found.iter_mut().for_each(|found| found.value.insert_str(0, before));
    }
    found
}

/// Where the last condition begins: behind blanks, `&`, `(` and `!` outside of quotes.
fn last_word(text: &str) -> usize {
    let (mut start, mut quote, mut previous) = (0, None, ' ');
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match (quote, c) {
            (_, '\\') => drop(chars.next()),
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') if at == start || matches!(previous, ':' | '=' | ',' | '@') => quote = Some(c),
            (None, c) if c.is_whitespace() || matches!(c, '&' | '(' | ')') || (c == '!' && at == start) => {
                start = at + c.len_utf8();
            }
            _ => {}
        }
        previous = c;
    }
    start
}

fn condition(values: &Values<'_>, word: &str) -> Vec<Found> {
    if let Some(rest) = word.strip_prefix('@') {
        return prefixed("@", list(values, rest));
    }
    let Some((kind, value)) = word.split_once(':').filter(|(kind, _)| !kind.starts_with(['"', '\''])) else {
        return name(values, word);
    };
    let found = match kind {
        "name" => from(values, &[Section::Name], value),
        "tag" => tag(values, value),
        "asg" => from(values, &[Section::Asg], value),
        "az" => from(values, &[Section::Az], value),
        "vpc" => from(values, &[Section::Vpc], value),
        "subnet" => from(values, &[Section::Subnet], value),
        "ami" => from(values, &[Section::Ami], value),
        "platform" => words(value, Platform::ALL.map(Platform::as_str)),
        "ping" => words(value, ["online", "lost"]),
        "agent" => agent(values, value),
        _ => Vec::new(),
    };
    prefixed(&format!("{kind}:"), found)
}

fn prefixed(prefix: &str, mut found: Vec<Found>) -> Vec<Found> {
    found.iter_mut().for_each(|found| found.value.insert_str(0, prefix));
    found
}

/// A name or an id, or what a condition begins with.
fn name(values: &Values<'_>, word: &str) -> Vec<Found> {
    let mut found = Vec::new();
    if !word.contains(',') {
        let begins = |text: &str| text.starts_with(word);
        found.extend(KINDS.iter().filter(|(kind, _)| begins(kind)).map(|(kind, about)| Found {
            value: (*kind).to_owned(),
            about: (*about).to_owned(),
            is_partial: true,
        }));
        found.extend(begins("all").then(|| whole("all", "every running, managed node")));
        found.extend(values.aliases().filter(|(name, _)| begins(name)).map(|(n, a)| whole(n, a)));
        if word.is_empty() {
            found.push(Found {
                value: "@".into(),
                about: "a file, or the nodes of a run".into(),
                is_partial: true,
            });
        }
    }
    // Ids have sixteen beginnings: whoever wants them begins one.
    let is_id = ["i-", "mi-"].iter().any(|id| word.rsplit(',').next().unwrap_or_default().starts_with(id));
    let sections: &[Section] = if is_id { &[Section::Name, Section::Id] } else { &[Section::Name] };
    found.extend(from(values, sections, word));
    found
}

fn whole(value: &str, about: &str) -> Found {
    Found { value: value.to_owned(), about: about.to_owned(), is_partial: false }
}

/// Values of the cache for the last of a comma list.
fn from(values: &Values<'_>, sections: &[Section], text: &str) -> Vec<Found> {
    let piece = last_piece(text);
    let found = sections.iter().flat_map(|section| values.known(*section, &piece.text));
    found.map(|found| piece.quoted(found)).collect()
}

fn tag(values: &Values<'_>, text: &str) -> Vec<Found> {
    let Some((key, value)) = plain_position(text, '=').and_then(|at| text.split_at_checked(at)) else {
        let piece = last_piece(text);
        let keys = values.known(Section::TagKey, &piece.text).into_iter().map(|found| piece.quoted(found));
        let key = |found: Found| match found.is_partial {
            true => found,
            false => Found { value: found.value + "=", about: found.about, is_partial: true },
        };
        return keys.map(key).collect();
    };
    let (bare, piece) = (last_piece(key).text + "=", last_piece(value.strip_prefix('=').unwrap_or_default()));
    let found = values.known(Section::Tag, &format!("{bare}{}", piece.text)).into_iter();
    let found = found.filter_map(|f| Some(Found { value: f.value.strip_prefix(&bare)?.to_owned(), ..f }));
    prefixed(&format!("{key}="), found.map(|found| piece.quoted(found)).collect())
}

/// Where a character stands first outside of quotes.
fn plain_position(text: &str, wanted: char) -> Option<usize> {
    let (mut quote, mut previous) = (None, ':');
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match (quote, c) {
            (_, '\\') => drop(chars.next()),
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, c) if c == wanted => return Some(at),
            (None, '"' | '\'') if matches!(previous, ':' | '=' | ',') => quote = Some(c),
            _ => {}
        }
        previous = c;
    }
    None
}

fn agent(values: &Values<'_>, text: &str) -> Vec<Found> {
    match text.split_once(':') {
        None => {
            let words = Comparison::ALL.map(Comparison::word).into_iter().filter(|w| w.starts_with(text));
            words.map(|w| Found { value: format!("{w}:"), about: String::new(), is_partial: true }).collect()
        }
        Some((compare, version)) => prefixed(&format!("{compare}:"), values.known(Section::Agent, version)),
    }
}

fn words<'a>(text: &str, allowed: impl IntoIterator<Item = &'a str>) -> Vec<Found> {
    let piece = last_piece(text);
    let begins = allowed.into_iter().filter(|word| word.starts_with(&piece.text));
    begins.map(|word| whole(&format!("{}{word}", piece.before), "")).collect()
}

/// Behind `@`: runs with their verdicts, and files.
fn list(values: &Values<'_>, text: &str) -> Vec<Found> {
    if let Some((run, word)) = text.split_once(':') {
        let verdicts = Verdict::ALL.map(Verdict::as_str).into_iter().chain(["bad"]);
        let begins = verdicts.filter(|verdict| verdict.starts_with(word));
        return begins.map(|verdict| whole(&format!("{run}:{verdict}"), "")).collect();
    }
    let mut found: Vec<Found> = values.runs(text);
    found.extend("last:failed".starts_with(text).then(|| whole("last:failed", "those that failed")));
    let piece = last_piece(text);
    let paths = super::paths::complete(values.home(), &piece.text, super::paths::Kind::File);
    found.extend(paths.into_iter().map(|path| piece.quoted(path)));
    found
}

/// The part behind the last comma outside of quotes.
fn last_piece(text: &str) -> Piece<'_> {
    let mut piece = Piece { before: "", text: String::new(), quote: None };
    let (mut open, mut is_start) = (None, true);
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match (open, c) {
            (None, ',') => {
                let before = text.get(..=at).unwrap_or_default();
                piece = Piece { before, text: String::new(), quote: None };
                is_start = true;
                continue;
            }
            (_, '\\') => piece.text.extend(chars.next().map(|(_, next)| next)),
            (Some(quote), c) if quote == c => open = None,
            (None, '"' | '\'') if is_start => {
                open = Some(c);
                piece.quote = open;
            }
            (_, c) => piece.text.push(c),
        }
        is_start = false;
    }
    piece
}

impl Piece<'_> {
    /// A value as it has to be written in place of the piece.
    fn quoted(&self, found: Found) -> Found {
        let special: &[char] = match self.quote {
            Some('"') => &['"', '\\'],
            Some(_) => &['\'', '\\'],
            None => &[' ', '\t', ',', '&', '(', ')', '"', '\'', '\\', '*', '?'],
        };
        let is_plain =
            |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':' | b'/' | b'=');
        if self.before.is_empty() && self.quote.is_none() && found.value.bytes().all(is_plain) {
            return found;
        }
        let mut value = self.before.to_owned();
        value.extend(self.quote);
        for c in found.value.chars() {
            if special.contains(&c) {
                value.push('\\');
            }
            value.push(c);
        }
        if !found.is_partial {
            value.extend(self.quote);
        }
        Found { value, ..found }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_condition_is_completed() {
        let start = |text: &str| text[last_word(text)..].to_owned();
        assert_eq!(start("tag:a=b and az:eu"), "az:eu");
        assert_eq!(start("tag:a=b and not (web"), "web");
        assert_eq!(start("!ping:l"), "ping:l");
        assert_eq!(start("a&!b"), "b");
        assert_eq!(start("tag:a=\"x y"), "tag:a=\"x y");
        assert_eq!(start("tag:a=x\\ y"), "tag:a=x\\ y");
        assert_eq!(start("not "), "");
        assert_eq!(start("we!b"), "we!b");
    }

    #[test]
    fn the_last_value_is_completed() {
        let piece = |text| {
            let piece = last_piece(text);
            (piece.before.to_owned(), piece.text, piece.quote)
        };
        assert_eq!(piece("a,b"), ("a,".to_owned(), "b".to_owned(), None));
        assert_eq!(piece("\"a,b\",'c d"), ("\"a,b\",".to_owned(), "c d".to_owned(), Some('\'')));
        assert_eq!(piece("a\\,b"), (String::new(), "a,b".to_owned(), None));
        let value = |text, value: &str| last_piece(text).quoted(whole(value, "")).value;
        assert_eq!(value("a,", "x y"), "a,x\\ y");
        assert_eq!(value("a,\"x", "x \"y"), "a,\"x \\\"y\"");
    }
}
