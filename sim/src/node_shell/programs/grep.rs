//! `grep` and `sed`, as far as scripts use them every day.

use super::super::disk::Errno;
use super::super::process::{Done, Options, Process};
use ::bytes::Bytes;
use regex_lite::{Regex, RegexBuilder};

/// Most bytes that are searched.
const HELD: usize = 256 << 20;

/// An expression as the extended syntax has it: in the basic one, `\(`, `\|`, `\+` are what `(`, `|`, `+` are here.
fn extended(pattern: &str) -> String {
    let (mut done, mut letters) = (String::new(), pattern.chars());
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => match letters.next() {
                Some(special @ ('(' | ')' | '{' | '}' | '|' | '+' | '?')) => done.push(special),
                Some(other) => done.extend(['\\', other]),
                None => done.push_str("\\\\"),
            },
            '(' | ')' | '{' | '}' | '|' | '+' | '?' => done.extend(['\\', letter]),
            other => done.push(other),
        }
    }
    done
}

fn compile(pattern: &str, is_extended: bool, folds: bool) -> Result<Regex, String> {
    let text = if is_extended { pattern.to_owned() } else { extended(pattern) };
    RegexBuilder::new(&text)
        .case_insensitive(folds)
        .build()
        .map_err(|error| format!("Invalid regular expression: {error}"))
}

pub(super) async fn grep(process: Process) -> Done {
    let words = process.words();
    let long = [
        ("ignore-case", 'i'),
        ("invert-match", 'v'),
        ("quiet", 'q'),
        ("count", 'c'),
        ("extended-regexp", 'E'),
        ("fixed-strings", 'F'),
        ("only-matching", 'o'),
        ("line-number", 'n'),
        ("files-with-matches", 'l'),
        ("regexp", 'e'),
        ("word-regexp", 'w'),
        ("line-regexp", 'x'),
        ("max-count", 'm'),
        ("no-messages", 's'),
        ("recursive", 'r'),
    ];
    let plain: Vec<&str> = words.into_iter().filter(|word| !word.starts_with("--color")).collect();
    let options = match Options::read(&plain, "ivqcEFGPonlLe:wxm:shHrRaA:B:C:z", &long) {
        Ok(options) => options,
        Err(message) => return process.fail(&message).await.map(|_| 2),
    };
    let (pattern, paths) = match (options.value('e'), options.rest.split_first()) {
        (Some(pattern), _) => (pattern, options.rest.as_slice()),
        (None, Some((pattern, paths))) => (*pattern, paths),
        (None, None) => return process.fail("missing pattern").await.map(|_| 2),
    };
    let program = process.short();
    let mut text = match program == "fgrep" || options.has('F') {
        true => pattern.lines().map(escaped).collect::<Vec<_>>().join("|"),
        false if program == "egrep" || options.has('E') || options.has('P') => pattern.to_owned(),
        false => pattern.lines().map(extended).collect::<Vec<_>>().join("|"),
    };
    if options.has('w') {
        text = format!(r"\b(?:{text})\b");
    }
    if options.has('x') {
        text = format!("^(?:{text})$");
    }
    let regex = match compile(&text, true, options.has('i')) {
        Ok(regex) => regex,
        Err(message) => return process.fail(&message).await.map(|_| 2),
    };
    let mut files: Vec<&str> = paths.to_vec();
    if files.is_empty() {
        files.push("-");
    }
    let (mut found, mut failed) = (false, false);
    for path in &files {
        let stream = match process.open(path) {
            Ok(stream) => stream,
            Err(error) => {
                failed = true;
                if !options.has('s') {
                    process.complain(&format!("grep: {path}: {}", error.text())).await;
                }
                continue;
            }
        };
        let text = String::from_utf8_lossy(&stream.whole(HELD).await?).into_owned();
        let name = (files.len() > 1 && !options.has('h') || options.has('H')).then_some(*path);
        found |= search(&process, &options, (&regex, name), &text).await?;
    }
    Ok(if found {
        0
    } else if failed {
        2
    } else {
        1
    })
}

async fn search(
    process: &Process,
    options: &Options<'_>,
    (regex, name): (&Regex, Option<&str>),
    text: &str,
) -> Result<bool, Errno> {
    let most: usize = options.value('m').and_then(|text| text.parse().ok()).unwrap_or(usize::MAX);
    let prefix = name.map_or(String::new(), |name| format!("{name}:"));
    let (mut count, mut shown) = (0, String::new());
    let quiet = options.has('q') || options.has('c') || options.has('l');
    for (number, line) in text.lines().enumerate() {
        if regex.is_match(line) == options.has('v') {
            continue;
        }
        count += 1;
        if !quiet {
            let place = if options.has('n') { format!("{prefix}{}:", number + 1) } else { prefix.clone() };
            if options.has('o') && !options.has('v') {
                regex.find_iter(line).for_each(|part| shown.push_str(&format!("{place}{}\n", part.as_str())));
            } else {
                shown.push_str(&format!("{place}{line}\n"));
            }
        }
        if count >= most || options.has('q') {
            break;
        }
    }
    if options.has('c') {
        shown = format!("{prefix}{count}\n");
    } else if options.has('l') && count > 0 {
        shown = format!("{}\n", name.unwrap_or("(standard input)"));
    }
    if !options.has('q') {
        process.print(shown).await?;
    }
    Ok(count > 0)
}

fn escaped(text: &str) -> String {
    regex_lite::escape(text)
}

/// Where a command of `sed` applies.
enum Place {
    Line(usize),
    Last,
    Match(Regex),
}

impl Place {
    fn holds(&self, number: usize, is_last: bool, line: &str) -> bool {
        match self {
            Place::Line(wanted) => number == *wanted,
            Place::Last => is_last,
            Place::Match(regex) => regex.is_match(line),
        }
    }
}

enum Act {
    Delete,
    Print,
    Quit,
    Replace { regex: Regex, by: String, every: bool, prints: bool },
}

struct Edit {
    from: Option<Place>,
    to: Option<Place>,
    negated: bool,
    act: Act,
    is_inside: bool,
}

fn place(text: &str, is_extended: bool) -> Result<(Option<Place>, &str), String> {
    if let Some(rest) = text.strip_prefix('$') {
        return Ok((Some(Place::Last), rest));
    }
    if let Some(rest) = text.strip_prefix('/') {
        let (pattern, rest) = rest.split_once('/').ok_or("unterminated address regex")?;
        return Ok((Some(Place::Match(compile(pattern, is_extended, false)?)), rest));
    }
    let digits = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (number, rest) = text.split_at(digits);
    Ok((number.parse().ok().map(Place::Line), rest))
}

/// Text up to a mark that no backslash precedes.
fn until(text: &str, mark: char) -> Option<(String, &str)> {
    let (mut part, mut letters) = (String::new(), text.char_indices());
    while let Some((at, letter)) = letters.next() {
        if letter == mark {
            return Some((part, &text[at + letter.len_utf8()..]));
        }
        part.push(letter);
        if letter == '\\'
            && let Some((_, next)) = letters.next()
        {
            if next == mark {
                part.pop();
            }
            part.push(next);
        }
    }
    None
}

fn edit(text: &str, is_extended: bool) -> Result<Edit, String> {
    let (from, rest) = place(text.trim(), is_extended)?;
    let (to, rest) = match rest.strip_prefix(',') {
        Some(rest) => place(rest, is_extended)?,
        None => (None, rest),
    };
    let (negated, rest) = rest
        .trim_start()
        .strip_prefix('!')
        .map_or((false, rest.trim_start()), |rest| (true, rest.trim_start()));
    let act = match rest.split_at_checked(1) {
        Some(("d", _)) => Act::Delete,
        Some(("p", _)) => Act::Print,
        Some(("q", _)) => Act::Quit,
        Some(("s", rest)) => {
            let mark = rest.chars().next().ok_or("unterminated `s' command")?;
            let (pattern, rest) = until(&rest[mark.len_utf8()..], mark).ok_or("unterminated `s' command")?;
            let (by, flags) = until(rest, mark).ok_or("unterminated `s' command")?;
            let regex = compile(&pattern, is_extended, flags.contains(['i', 'I']))?;
            Act::Replace { regex, by, every: flags.contains('g'), prints: flags.contains('p') }
        }
        _ => return Err(format!("unknown command: `{rest}'")),
    };
    Ok(Edit { from, to, negated, act, is_inside: false })
}

impl Edit {
    fn applies(&mut self, number: usize, is_last: bool, line: &str) -> bool {
        let applies = match (&self.from, &self.to) {
            (None, _) => true,
            (Some(from), None) => from.holds(number, is_last, line),
            (Some(from), Some(to)) => {
                if self.is_inside {
                    self.is_inside = !to.holds(number, is_last, line);
                    true
                } else {
                    let starts = from.holds(number, is_last, line);
                    self.is_inside = starts && !matches!(to, Place::Line(end) if *end <= number);
                    starts
                }
            }
        };
        applies != self.negated
    }
}

/// A text with `&` and `\1` … `\9` filled in.
fn filled(by: &str, found: &regex_lite::Captures<'_>) -> String {
    let (mut text, mut letters) = (String::new(), by.chars());
    let group = |number: usize| found.get(number).map_or("", |part| part.as_str());
    while let Some(letter) = letters.next() {
        match letter {
            '&' => text.push_str(group(0)),
            '\\' => match letters.next() {
                Some('n') => text.push('\n'),
                Some('t') => text.push('\t'),
                Some(digit @ '0'..='9') => text.push_str(group(digit as usize - '0' as usize)),
                Some(other) => text.push(other),
                None => text.push('\\'),
            },
            other => text.push(other),
        }
    }
    text
}

pub(super) async fn sed(process: Process) -> Done {
    let words = process.words();
    // `-i.bak` has its suffix attached.
    let words: Vec<&str> =
        words.into_iter().map(|word| if word.starts_with("-i") { "-i" } else { word }).collect();
    let options = match Options::read(
        &words,
        "nErie:s",
        &[("quiet", 'n'), ("expression", 'e'), ("in-place", 'i'), ("regexp-extended", 'E')],
    ) {
        Ok(options) => options,
        Err(message) => return process.fail(&message).await,
    };
    let is_extended = options.has('E') || options.has('r');
    let (script, paths) = match (options.value('e'), options.rest.split_first()) {
        (Some(script), _) => (script, options.rest.as_slice()),
        (None, Some((script, paths))) => (*script, paths),
        (None, None) => return process.fail("no script").await,
    };
    let mut edits = Vec::new();
    for part in script.split([';', '\n']).filter(|part| !part.trim().is_empty()) {
        match edit(part, is_extended) {
            Ok(edit) => edits.push(edit),
            Err(message) => return process.fail(&format!("-e expression #1: {message}")).await,
        }
    }
    if !options.has('i') {
        let (text, code) = process.contents(paths, HELD).await?;
        let changed = edited(&String::from_utf8_lossy(&text), &mut edits, options.has('n'));
        process.write(Bytes::from(changed)).await?;
        return Ok(code);
    }
    let mut code = 0;
    for path in paths {
        let opened = process.open(path);
        match opened {
            Ok(stream) => {
                let text = String::from_utf8_lossy(&stream.whole(HELD).await?).into_owned();
                let changed = edited(&text, &mut edits, options.has('n'));
                process.create(path, false)?.write(Bytes::from(changed)).await?;
            }
            Err(error) => {
                process.complain(&format!("sed: can't read {path}: {}", error.text())).await;
                code = 2;
            }
        }
    }
    Ok(code)
}

fn edited(text: &str, edits: &mut [Edit], is_quiet: bool) -> String {
    let mut done = String::with_capacity(text.len());
    let count = text.lines().count();
    'lines: for (index, line) in text.lines().enumerate() {
        let (mut line, mut ends) = (line.to_owned(), false);
        for edit in edits.iter_mut() {
            if !edit.applies(index + 1, index + 1 == count, &line) {
                continue;
            }
            match &edit.act {
                Act::Delete => continue 'lines,
                Act::Print => done.push_str(&format!("{line}\n")),
                Act::Quit => ends = true,
                Act::Replace { regex, by, every, prints } => {
                    let limit = if *every { 0 } else { 1 };
                    let has_match = regex.is_match(&line);
                    line = regex
                        .replacen(&line, limit, |found: &regex_lite::Captures<'_>| filled(by, found))
                        .into_owned();
                    if *prints && has_match {
                        done.push_str(&format!("{line}\n"));
                    }
                }
            }
        }
        if !is_quiet {
            done.push_str(&line);
            done.push('\n');
        }
        if ends {
            break;
        }
    }
    if !text.ends_with('\n') && done.ends_with('\n') {
        done.pop();
    }
    done
}
