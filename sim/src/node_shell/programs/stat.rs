//! Programs that tell of files: `stat readlink realpath du`.

use super::super::disk::{Body, Entry};
use super::super::process::{Done, Options, Process};
use super::super::stream::lock;
use super::files::{human, permissions};
use super::find::{Reach, walk};
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
pub(super) fn field(letter: char, path: &str, entry: &Entry) -> String {
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
        let Some(walked) = walk(&process, path, &Reach::ALL) else {
            code = process.fail(&format!("cannot access '{path}': No such file or directory")).await?;
            continue;
        };
        for closed in walked.closed {
            code = process.fail(&format!("cannot read directory '{closed}': Permission denied")).await?;
        }
        let bytes: u64 = walked
            .found
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
