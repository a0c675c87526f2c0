//! Programs that tell of files: `stat find readlink realpath du`.

use super::super::disk::{Body, Disk, Entry};
use super::super::pattern::matches;
use super::super::process::{Done, Options, Process};
use super::super::stream::lock;
use super::files::{human, permissions};
use super::system::number_of;

fn kind(entry: &Entry) -> &'static str {
    match &entry.body {
        Body::Directory => "directory",
        Body::Link(_) => "symbolic link",
        Body::Device(_) => "character special file",
        Body::File(_) if entry.size() == 0 => "regular empty file",
        Body::File(_) => "regular file",
    }
}

/// What one letter of a format stands for.
fn field(letter: char, path: &str, entry: &Entry) -> String {
    match letter {
        'n' => path.to_owned(),
        'N' => match &entry.body {
            Body::Link(target) => format!("'{path}' -> '{target}'"),
            _ => format!("'{path}'"),
        },
        's' => entry.size().to_string(),
        'b' => (entry.size().div_ceil(4096) * 8).to_string(),
        'B' => "512".to_owned(),
        'o' => "4096".to_owned(),
        'a' => format!("{:o}", entry.mode & 0o7777),
        'A' => permissions(entry),
        'f' => {
            let bits = match entry.body {
                Body::Directory => 0o040_000,
                Body::Link(_) => 0o120_000,
                Body::Device(_) => 0o020_000,
                Body::File(_) => 0o100_000,
            };
            format!("{:x}", bits | entry.mode)
        }
        'F' => kind(entry).to_owned(),
        'u' | 'g' => number_of(&entry.owner).to_string(),
        'U' | 'G' => entry.owner.clone(),
        'h' => "1".to_owned(),
        'i' => (crate::draw::Draw::new(23).text(path).bits() % 10_000_000).to_string(),
        'd' => "66305".to_owned(),
        'X' | 'Y' | 'Z' => entry.modified.0.div_euclid(1_000_000).to_string(),
        'x' | 'y' | 'z' => entry.modified.format("%Y-%m-%d %H:%M:%S.%6f000 +0000"),
        'W' => "0".to_owned(),
        'w' => "-".to_owned(),
        '%' => "%".to_owned(),
        _ => "?".to_owned(),
    }
}

fn formatted(format: &str, path: &str, entry: &Entry, escapes: bool) -> String {
    let (mut text, mut letters) = (String::new(), format.chars().peekable());
    while let Some(letter) = letters.next() {
        match letter {
            '%' => {
                while letters
                    .next_if(|letter| letter.is_ascii_digit() || matches!(letter, '-' | '.' | '#'))
                    .is_some()
                {}
                text.push_str(&letters.next().map_or("%".to_owned(), |letter| field(letter, path, entry)));
            }
            '\\' if escapes => text.push(match letters.next() {
                Some('n') => '\n',
                Some('t') => '\t',
                Some('0') => '\0',
                Some(other) => other,
                None => '\\',
            }),
            other => text.push(other),
        }
    }
    text
}

const FORM: &str = "  File: %N\n  Size: %s\tBlocks: %b\tIO Block: %o   %F\nDevice: %dd\tInode: %i\tLinks: %h\nAccess: (0%a/%A)  Uid: (%u/%U)   Gid: (%g/%G)\nAccess: %x\nModify: %y\nChange: %z\n Birth: %w";

pub(super) async fn stat(process: Process) -> Done {
    let words = process.words();
    let long = [("format", 'c'), ("printf", 'p'), ("dereference", 'L'), ("file-system", 'f')];
    let options = match Options::read(&words, "c:p:Lft", &long) {
        Ok(options) => options,
        Err(message) => return process.fail(&message).await,
    };
    if options.rest.is_empty() {
        return process.fail("missing operand").await;
    }
    let mut code = 0;
    for path in &options.rest {
        if options.has('f') {
            let (used, limit) = {
                let disk = lock(&process.machine.disk);
                (disk.used(), disk.limit())
            };
            let free = limit.saturating_sub(used) / 4096;
            let format = options.value('c').unwrap_or("free %f of %b blocks of %S bytes");
            let text = format
                .replace("%a", &free.to_string())
                .replace("%f", &free.to_string())
                .replace("%b", &(limit / 4096).to_string());
            process
                .print(text.replace("%S", "4096").replace("%s", "4096").replace("%T", "xfs") + "\n")
                .await?;
            continue;
        }
        let found = if options.has('L') { process.find(path).ok() } else { process.find_itself(path) };
        let Some(entry) = found else {
            process.complain(&format!("stat: cannot statx '{path}': No such file or directory")).await;
            code = 1;
            continue;
        };
        let text = match (options.value('p'), options.value('c')) {
            (Some(format), _) => formatted(format, path, &entry, true),
            (None, Some(format)) => formatted(format, path, &entry, false) + "\n",
            (None, None) => formatted(FORM, path, &entry, false) + "\n",
        };
        process.print(text).await?;
    }
    Ok(code)
}

pub(super) async fn readlink(process: Process) -> Done {
    let words = process.words();
    let options = match Options::read(&words, "femnqsvz", &[("canonicalize", 'f')]) {
        Ok(options) => options,
        Err(message) => return process.fail(&message).await,
    };
    let canonical = process.short() == "realpath" || options.has('f') || options.has('e') || options.has('m');
    let mut code = 0;
    for path in &options.rest {
        let found = {
            let disk = lock(&process.machine.disk);
            let full = process.path(path);
            if canonical {
                disk.resolve(&full, true)
                    .ok()
                    .filter(|found| !options.has('e') || disk.entry(found).is_some())
            } else {
                let place = disk.resolve(&full, false).ok();
                place.and_then(|place| match disk.entry(&place)?.body {
                    Body::Link(target) => Some(target),
                    _ => None,
                })
            }
        };
        match found {
            Some(found) => {
                process.print(format!("{found}{}", if options.has('n') { "" } else { "\n" })).await?
            }
            None => code = 1,
        }
    }
    Ok(code)
}

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

/// Conditions of `find`, all of which have to hold.
#[derive(Default)]
struct Search<'a> {
    names: Vec<(&'a str, bool)>,
    paths: Vec<&'a str>,
    kind: Option<&'a str>,
    deepest: Option<usize>,
    shallowest: usize,
    size: Option<&'a str>,
    empty: bool,
    newer: Option<&'a str>,
    format: Option<&'a str>,
    deletes: bool,
    zero: bool,
}

impl<'a> Search<'a> {
    fn read(words: &[&'a str]) -> Result<Search<'a>, String> {
        let mut search = Search::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().copied().ok_or_else(|| format!("missing argument to `{word}'"));
            match *word {
                "-name" => search.names.push((value()?, false)),
                "-iname" => search.names.push((value()?, true)),
                "-path" | "-wholename" => search.paths.push(value()?),
                "-type" => search.kind = Some(value()?),
                "-maxdepth" => search.deepest = value()?.parse().ok(),
                "-mindepth" => search.shallowest = value()?.parse().unwrap_or(0),
                "-size" => search.size = Some(value()?),
                "-newer" => search.newer = Some(value()?),
                "-printf" => search.format = Some(value()?),
                "-empty" => search.empty = true,
                "-delete" => search.deletes = true,
                "-print0" => search.zero = true,
                "-print" | "-a" | "-and" | "-xdev" | "-mount" | "-depth" => {}
                other => return Err(format!("unknown predicate `{other}'")),
            }
        }
        Ok(search)
    }

    fn fits(&self, path: &str, entry: &Entry, disk: &Disk) -> bool {
        let name = path.rsplit('/').next().unwrap_or(path);
        let fits_name = self.names.iter().all(|(pattern, folds)| {
            if *folds {
                matches(&pattern.to_lowercase(), &name.to_lowercase())
            } else {
                matches(pattern, name)
            }
        });
        let letter = letter(entry);
        let is_empty = match entry.body {
            Body::Directory => disk.list(path).is_empty(),
            _ => entry.size() == 0,
        };
        fits_name
            && self.paths.iter().all(|pattern| matches(pattern, path))
            && self.kind.is_none_or(|kinds| kinds.split(',').any(|kind| kind == letter))
            && (!self.empty || is_empty)
            && self.size.is_none_or(|wanted| fits_size(wanted, entry.size()))
            && self
                .newer
                .is_none_or(|other| disk.find(other).is_ok_and(|(_, other)| entry.modified > other.modified))
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

pub(super) async fn find(process: Process) -> Done {
    let words = process.words();
    let split = words
        .iter()
        .position(|word| word.starts_with('-') || *word == "!" || *word == "(")
        .unwrap_or(words.len());
    let (paths, conditions) = words.split_at(split);
    let search = match Search::read(conditions) {
        Ok(search) => search,
        Err(message) => return process.fail(&message).await,
    };
    let paths = if paths.is_empty() { &["."] } else { paths };
    let mut code = 0;
    for path in paths {
        let found = walk(&process, path, &search);
        if found.is_none() {
            process.complain(&format!("find: '{path}': No such file or directory")).await;
            code = 1;
        }
        for (shown, entry) in found.into_iter().flatten() {
            if search.deletes {
                let removed = lock(&process.machine.disk).remove(&process.path(&shown), &process.user);
                if let Err(error) = removed {
                    code = process.fail(&format!("cannot delete '{shown}': {}", error.text())).await?;
                }
                continue;
            }
            let text = match search.format {
                Some(format) => printed(format, path, &shown, &entry),
                None => format!("{shown}{}", if search.zero { '\0' } else { '\n' }),
            };
            process.print(text).await?;
        }
    }
    Ok(code)
}

fn walk(process: &Process, path: &str, search: &Search<'_>) -> Option<Vec<(String, Entry)>> {
    let disk = lock(&process.machine.disk);
    let mut found = Vec::new();
    disk.find(&process.path(path)).ok()?;
    let mut waiting = vec![(path.to_owned(), 0)];
    while let Some((shown, depth)) = waiting.pop() {
        let Ok(place) = disk.resolve(&process.path(&shown), depth == 0) else { continue };
        let Some(entry) = disk.entry(&place) else { continue };
        if entry.is_directory() && search.deepest.is_none_or(|deepest| depth < deepest) {
            let base = shown.trim_end_matches('/');
            waiting.extend(
                disk.list(&place).into_iter().rev().map(|name| (format!("{base}/{name}"), depth + 1)),
            );
        }
        if depth >= search.shallowest && search.fits(&shown, &entry, &disk) {
            found.push((shown, entry));
        }
    }
    if search.deletes {
        found.reverse();
    }
    Some(found)
}

pub(super) async fn du(process: Process) -> Done {
    let words = process.words();
    let options = match Options::read(
        &words,
        "abchksmd:x",
        &[("summarize", 's'), ("human-readable", 'h'), ("bytes", 'b')],
    ) {
        Ok(options) => options,
        Err(message) => return process.fail(&message).await,
    };
    let paths = if options.rest.is_empty() { vec!["."] } else { options.rest.clone() };
    let mut code = 0;
    for path in paths {
        let Some(found) = walk(&process, path, &Search::default()) else {
            code = process.fail(&format!("cannot access '{path}': No such file or directory")).await?;
            continue;
        };
        let bytes: u64 = found
            .iter()
            .map(
                |(_, entry)| if options.has('b') { entry.size() } else { entry.size().div_ceil(4096) * 4096 },
            )
            .sum();
        let shown = if options.has('b') {
            bytes.to_string()
        } else if options.has('h') {
            human(bytes)
        } else if options.has('m') {
            bytes.div_ceil(1 << 20).to_string()
        } else {
            bytes.div_ceil(1 << 10).to_string()
        };
        process.print(format!("{shown}\t{path}\n")).await?;
    }
    Ok(code)
}
