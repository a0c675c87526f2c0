//! `find`: its expression, and the walk through directories that `du` takes too.

use super::super::disk::{Body, Disk, Entry};
use super::super::pattern::matches;
use super::super::process::{Done, Process};
use super::super::stream::lock;
use super::files::permissions;
use super::stat::field;
use super::system::number_of;

/// Deepest nesting of an expression.
const DEPTH: u32 = 40;

fn letter(entry: &Entry) -> &'static str {
    match entry.body {
        Body::Directory => "d",
        Body::Link(_) => "l",
        Body::Device(_) => "c",
        Body::File(_) => "f",
    }
}

/// What `find -printf` prints; its letters are not those of `stat`.
fn printed(format: &str, start: &str, path: &str, entry: &Entry) -> String {
    let below = path.strip_prefix(start).unwrap_or(path).trim_start_matches('/');
    let (parent, name) = path.rsplit_once('/').unwrap_or((".", path));
    let (mut text, mut letters) = (String::new(), format.chars().peekable());
    while let Some(first) = letters.next() {
        match first {
            '%' => {
                let flags = |letter: &char| letter.is_ascii_digit() || matches!(letter, '-' | '.' | '#');
                while letters.next_if(flags).is_some() {}
                let shown = match letters.next() {
                    Some('p') => path.to_owned(),
                    Some('P') => below.to_owned(),
                    Some('H') => start.to_owned(),
                    Some('f') => name.to_owned(),
                    Some('h') => parent.to_owned(),
                    Some('y' | 'Y') => letter(entry).to_owned(),
                    Some('m') => field('a', path, entry),
                    Some('M') => permissions(entry),
                    Some('u' | 'g') => entry.owner.clone(),
                    Some('U' | 'G') => number_of(&entry.owner).to_string(),
                    Some('d') => below.split('/').filter(|part| !part.is_empty()).count().to_string(),
                    Some('k') => (entry.size().div_ceil(4096) * 4).to_string(),
                    Some('n') => "1".to_owned(),
                    Some('l') => match &entry.body {
                        Body::Link(target) => target.clone(),
                        _ => String::new(),
                    },
                    Some('t') => entry.modified.format("%a %b %e %H:%M:%S.%6f0000 %Y"),
                    Some('T') => match letters.next() {
                        Some('@') => {
                            let (seconds, micros) = (
                                entry.modified.0.div_euclid(1_000_000),
                                entry.modified.0.rem_euclid(1_000_000),
                            );
                            format!("{seconds}.{micros:06}0000")
                        }
                        Some('+') => entry.modified.format("%Y-%m-%d+%H:%M:%S.%6f0000"),
                        Some(part) => entry.modified.format(&format!("%{part}")),
                        None => "%T".to_owned(),
                    },
                    Some(same @ ('s' | 'b' | 'i' | '%')) => field(same, path, entry),
                    Some(other) => format!("%{other}"),
                    None => "%".to_owned(),
                };
                text.push_str(&shown);
            }
            '\\' => match letters.next() {
                Some('n') => text.push('\n'),
                Some('t') => text.push('\t'),
                Some('0') => text.push('\0'),
                Some(other) => text.push(other),
                None => text.push('\\'),
            },
            other => text.push(other),
        }
    }
    text
}

/// What holds of a file, or is done with it.
enum Expression<'a> {
    Any(Vec<Expression<'a>>),
    Every(Vec<Expression<'a>>),
    Not(Box<Expression<'a>>),
    /// A pattern, and whether letters' case counts for nothing.
    Name(&'a str, bool),
    Path(&'a str),
    /// One of these letters.
    Kind(&'a str),
    Size(&'a str),
    Empty,
    Newer(&'a str),
    /// That the user may read (4), write (2) or search it (1).
    Allows(u32),
    True,
    Print(&'static str),
    PrintAs(&'a str),
    Delete,
}

impl Expression<'_> {
    fn acts(&self) -> bool {
        match self {
            Expression::Any(parts) | Expression::Every(parts) => parts.iter().any(Expression::acts),
            Expression::Not(part) => part.acts(),
            Expression::Print(_) | Expression::PrintAs(_) | Expression::Delete => true,
            _ => false,
        }
    }

    fn deletes(&self) -> bool {
        match self {
            Expression::Any(parts) | Expression::Every(parts) => parts.iter().any(Expression::deletes),
            Expression::Not(part) => part.deletes(),
            other => matches!(other, Expression::Delete),
        }
    }
}

/// How far a walk goes.
pub(super) struct Reach {
    deepest: Option<usize>,
    shallowest: usize,
}

impl Reach {
    pub(super) const ALL: Reach = Reach { deepest: None, shallowest: 0 };
}

/// Reads an expression as `find` does: `!` before `-a` before `-o`, and parentheses.
struct Reader<'a, 'b> {
    words: &'b [&'a str],
    reach: Reach,
    depth: u32,
}

impl<'a> Reader<'a, '_> {
    fn takes(&mut self, words: &[&str]) -> bool {
        match self.words {
            [first, rest @ ..] if words.contains(first) => {
                self.words = rest;
                true
            }
            _ => false,
        }
    }

    fn any(&mut self) -> Result<Expression<'a>, String> {
        let mut parts = vec![self.every()?];
        while self.takes(&["-o", "-or"]) {
            parts.push(self.every()?);
        }
        Ok(Expression::Any(parts))
    }

    fn every(&mut self) -> Result<Expression<'a>, String> {
        let mut parts = Vec::new();
        while !matches!(self.words, [] | [")" | "-o" | "-or", ..]) {
            parts.push(self.one()?);
            self.takes(&["-a", "-and"]);
        }
        Ok(Expression::Every(parts))
    }

    fn one(&mut self) -> Result<Expression<'a>, String> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err("too deeply nested".to_owned());
        }
        let one = if self.takes(&["!", "-not"]) {
            Expression::Not(Box::new(self.one()?))
        } else if self.takes(&["("]) {
            let inner = self.any()?;
            if !self.takes(&[")"]) {
                return Err("invalid expression; I was expecting to find a ')'".to_owned());
            }
            inner
        } else {
            self.primary()?
        };
        self.depth -= 1;
        Ok(one)
    }

    fn primary(&mut self) -> Result<Expression<'a>, String> {
        let [word, rest @ ..] = self.words else { return Err("an expression is missing".to_owned()) };
        self.words = rest;
        Ok(match *word {
            "-name" => Expression::Name(self.value(word)?, false),
            "-iname" => Expression::Name(self.value(word)?, true),
            "-path" | "-wholename" => Expression::Path(self.value(word)?),
            "-type" => Expression::Kind(self.value(word)?),
            "-size" => Expression::Size(self.value(word)?),
            "-newer" => Expression::Newer(self.value(word)?),
            "-maxdepth" => {
                self.reach.deepest = self.value(word)?.parse().ok();
                Expression::True
            }
            "-mindepth" => {
                self.reach.shallowest = self.value(word)?.parse().unwrap_or(0);
                Expression::True
            }
            "-empty" => Expression::Empty,
            "-readable" => Expression::Allows(0o4),
            "-writable" => Expression::Allows(0o2),
            "-executable" => Expression::Allows(0o1),
            "-print" => Expression::Print("\n"),
            "-print0" => Expression::Print("\0"),
            "-printf" => Expression::PrintAs(self.value(word)?),
            "-delete" => Expression::Delete,
            "-true" | "-xdev" | "-mount" | "-depth" => Expression::True,
            other => return Err(format!("unknown predicate `{other}'")),
        })
    }

    fn value(&mut self, word: &str) -> Result<&'a str, String> {
        let [value, rest @ ..] = self.words else { return Err(format!("missing argument to `{word}'")) };
        self.words = rest;
        Ok(value)
    }
}

fn fits_size(wanted: &str, size: u64) -> bool {
    let (sign, text) = match wanted.as_bytes().first() {
        Some(b'+') => ('+', &wanted[1..]),
        Some(b'-') => ('-', &wanted[1..]),
        _ => ('=', wanted),
    };
    let digits = text.trim_end_matches(char::is_alphabetic);
    let unit = match &text[digits.len()..] {
        "c" => 1,
        "k" => 1 << 10,
        "M" => 1 << 20,
        "G" => 1 << 30,
        _ => 512,
    };
    let (units, count) = (size.div_ceil(unit), digits.parse::<u64>().unwrap_or(0));
    match sign {
        '+' => units > count,
        '-' => units < count,
        _ => units == count,
    }
}

/// What one start of a search finds, and who looks.
struct Finder<'a> {
    process: &'a Process,
    start: &'a str,
    code: i32,
}

impl Finder<'_> {
    /// Whether it holds; does what it says on the way.
    async fn holds(
        &mut self,
        expression: &Expression<'_>,
        (shown, entry): (&str, &Entry),
    ) -> Result<bool, super::super::disk::Errno> {
        let (process, found) = (self.process, (shown, entry));
        let is_so = |test: &dyn Fn(&Disk) -> bool| test(&lock(&process.machine.disk));
        Ok(match expression {
            Expression::Any(parts) => {
                for part in parts {
                    if Box::pin(self.holds(part, found)).await? {
                        return Ok(true);
                    }
                }
                false
            }
            Expression::Every(parts) => {
                for part in parts {
                    if !Box::pin(self.holds(part, found)).await? {
                        return Ok(false);
                    }
                }
                true
            }
            Expression::Not(part) => !Box::pin(self.holds(part, found)).await?,
            Expression::Name(pattern, folds) => {
                let name = shown.rsplit('/').next().unwrap_or(shown);
                match folds {
                    true => matches(&pattern.to_lowercase(), &name.to_lowercase()),
                    false => matches(pattern, name),
                }
            }
            Expression::Path(pattern) => matches(pattern, shown),
            Expression::Kind(kinds) => kinds.split(',').any(|kind| kind == letter(entry)),
            Expression::Size(wanted) => fits_size(wanted, entry.size()),
            Expression::Empty if entry.is_directory() => {
                is_so(&|disk| disk.list(&process.path(shown)).is_empty())
            }
            Expression::Empty => entry.size() == 0,
            Expression::Newer(other) => is_so(&|disk| {
                disk.find(&process.path(other)).is_ok_and(|(_, other)| entry.modified > other.modified)
            }),
            Expression::Allows(bit) => {
                let behind = process.find(shown);
                behind.is_ok_and(|behind| behind.allows(&process.user, *bit))
            }
            Expression::True => true,
            Expression::Print(end) => {
                process.print(format!("{shown}{end}")).await?;
                true
            }
            Expression::PrintAs(format) => {
                process.print(printed(format, self.start, shown, entry)).await?;
                true
            }
            Expression::Delete => {
                let removed = lock(&process.machine.disk).remove(&process.path(shown), &process.user);
                if let Err(error) = removed {
                    self.code = process.fail(&format!("cannot delete '{shown}': {}", error.text())).await?;
                }
                removed.is_ok()
            }
        })
    }
}

pub(super) async fn find(process: Process) -> Done {
    let words = process.words();
    let split = words
        .iter()
        .position(|word| word.starts_with('-') || *word == "!" || *word == "(")
        .unwrap_or(words.len());
    let (paths, conditions) = words.split_at(split);
    let mut reader = Reader { words: conditions, reach: Reach::ALL, depth: 0 };
    let expression = match reader.any() {
        Ok(_) if !reader.words.is_empty() => Err("you have too many ')'".to_owned()),
        Ok(expression) if expression.acts() => Ok(expression),
        Ok(expression) => Ok(Expression::Every(vec![expression, Expression::Print("\n")])),
        Err(message) => Err(message),
    };
    let expression = match expression {
        Ok(expression) => expression,
        Err(message) => return process.fail(&message).await,
    };
    let paths = if paths.is_empty() { &["."] } else { paths };
    let mut code = 0;
    for path in paths {
        let Some(walked) = walk(&process, path, &reader.reach) else {
            code = process.fail(&format!("'{path}': No such file or directory")).await?;
            continue;
        };
        for closed in walked.closed {
            code = process.fail(&format!("'{closed}': Permission denied")).await?;
        }
        let mut found = walked.found;
        if expression.deletes() {
            found.reverse();
        }
        let mut finder = Finder { process: &process, start: path, code };
        for (shown, entry) in &found {
            finder.holds(&expression, (shown, entry)).await?;
        }
        code = finder.code;
    }
    Ok(code)
}

/// What a walk comes by.
pub(super) struct Walked {
    /// Everything, directories before what is in them.
    pub(super) found: Vec<(String, Entry)>,
    /// Directories that the user can't look into.
    pub(super) closed: Vec<String>,
}

/// Walks through a directory; `None` where there is nothing of that name.
pub(super) fn walk(process: &Process, path: &str, reach: &Reach) -> Option<Walked> {
    let disk = lock(&process.machine.disk);
    let mut walked = Walked { found: Vec::new(), closed: Vec::new() };
    disk.find(&process.path(path)).ok()?;
    let mut waiting = vec![(path.to_owned(), 0)];
    while let Some((shown, depth)) = waiting.pop() {
        let Ok(place) = disk.resolve(&process.path(&shown), depth == 0) else { continue };
        let Some(entry) = disk.entry(&place) else { continue };
        if entry.is_directory() && reach.deepest.is_none_or(|deepest| depth < deepest) {
            if entry.allows(&process.user, 0o4) && entry.allows(&process.user, 0o1) {
                let base = shown.trim_end_matches('/');
                let inside = disk.list(&place).into_iter().rev();
                waiting.extend(inside.map(|name| (format!("{base}/{name}"), depth + 1)));
            } else {
                walked.closed.push(shown.clone());
            }
        }
        if depth >= reach.shallowest {
            walked.found.push((shown, entry));
        }
    }
    Some(walked)
}
