//! `head` and `tail`.

use super::super::disk::Errno;
use super::super::process::{Done, Options, Process};
use super::super::stream::{PIECE, Stream};
use super::lines::HELD;
use ::bytes::Bytes;
use std::collections::VecDeque;

/// How much: of bytes or lines, from the start (`+`), from the end, or all but so many (`-`).
#[derive(Clone, Copy)]
enum Amount {
    Of(u64),
    From(u64),
    AllBut(u64),
}

fn amount(text: &str) -> Option<Amount> {
    let (make, digits): (fn(u64) -> Amount, &str) = match text.split_at_checked(1) {
        Some(("+", digits)) => (Amount::From, digits),
        Some(("-", digits)) => (Amount::AllBut, digits),
        _ => (Amount::Of, text),
    };
    super::bytes::size(digits).map(make)
}

/// `-5` is `-n 5`.
fn old_form<'a>(words: &[&'a str]) -> Vec<&'a str> {
    let mut changed = Vec::with_capacity(words.len() + 1);
    for (position, word) in words.iter().enumerate() {
        match word.strip_prefix('-') {
            Some(digits)
                if position == 0
                    && digits.bytes().all(|byte| byte.is_ascii_digit())
                    && !digits.is_empty() =>
            {
                changed.extend(["-n", digits]);
            }
            _ => changed.push(*word),
        }
    }
    changed
}

struct Cut<'a> {
    counts_bytes: bool,
    amount: Amount,
    paths: Vec<&'a str>,
    with_names: bool,
    follows: bool,
}

fn cut_of<'a>(words: &[&'a str]) -> Result<Cut<'a>, String> {
    let long = [
        ("bytes", 'c'),
        ("lines", 'n'),
        ("quiet", 'q'),
        ("silent", 'q'),
        ("verbose", 'v'),
        ("follow", 'f'),
        ("retry", 'F'),
    ];
    let options = Options::read(words, "c:n:qvfF", &long)?;
    let (counts_bytes, text) = match (options.value('c'), options.value('n')) {
        (Some(text), _) => (true, text),
        (None, text) => (false, text.unwrap_or("10")),
    };
    let kind = if counts_bytes { "bytes" } else { "lines" };
    let amount = amount(text).ok_or_else(|| format!("invalid number of {kind}: '{text}'"))?;
    let many = options.rest.len() > 1;
    let with_names = (many || options.has('v')) && !options.has('q');
    let follows = options.has('f') || options.has('F');
    let paths = if options.rest.is_empty() { vec!["-"] } else { options.rest };
    Ok(Cut { counts_bytes, amount, paths, with_names, follows })
}

pub(super) async fn head(process: Process) -> Done {
    let words = process.words();
    let cut = match cut_of(&old_form(&words)) {
        Ok(cut) => cut,
        Err(message) => return process.fail(&message).await,
    };
    let mut code = 0;
    for (position, path) in cut.paths.iter().enumerate() {
        let stream = match process.open(path) {
            Ok(stream) => stream,
            Err(error) => {
                process.complain(&format!("head: cannot open '{path}' for reading: {}", error.text())).await;
                code = 1;
                continue;
            }
        };
        heading(&process, &cut, position, path).await?;
        match (cut.amount, cut.counts_bytes) {
            (Amount::Of(count) | Amount::From(count), true) => bytes_of(&process, &stream, count).await?,
            (Amount::Of(count) | Amount::From(count), false) => lines_of(&process, &stream, count).await?,
            (Amount::AllBut(count), is_bytes) => {
                let text = stream.whole(HELD).await?;
                let end = if is_bytes {
                    text.len().saturating_sub(count as usize)
                } else {
                    start_of_last(&text, count)
                };
                process.write(Bytes::from(text).slice(..end)).await?;
            }
        }
    }
    Ok(code)
}

async fn heading(process: &Process, cut: &Cut<'_>, position: usize, path: &str) -> Result<(), Errno> {
    if !cut.with_names {
        return Ok(());
    }
    let gap = if position > 0 { "\n" } else { "" };
    let name = if path == "-" { "standard input" } else { path };
    process.print(format!("{gap}==> {name} <==\n")).await
}

/// The first bytes, and not one more is read.
async fn bytes_of(process: &Process, stream: &Stream, mut count: u64) -> Result<(), Errno> {
    while count > 0 {
        process.machine.step().await;
        let bytes = stream.read(usize::try_from(count).unwrap_or(PIECE).min(PIECE)).await?;
        if bytes.is_empty() {
            break;
        }
        count -= bytes.len() as u64;
        process.streams.out.write(bytes).await?;
    }
    Ok(())
}

async fn lines_of(process: &Process, stream: &Stream, mut count: u64) -> Result<(), Errno> {
    while count > 0 {
        process.machine.step().await;
        let bytes = stream.read(PIECE).await?;
        if bytes.is_empty() {
            break;
        }
        let mut end = bytes.len();
        for (at, _) in bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n') {
            count -= 1;
            if count == 0 {
                end = at + 1;
                break;
            }
        }
        process.streams.out.write(bytes.slice(..end)).await?;
    }
    Ok(())
}

/// Where the last so many lines begin.
fn start_of_last(text: &[u8], count: u64) -> usize {
    let body = text.strip_suffix(b"\n").unwrap_or(text);
    let mut starts = body.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1);
    match usize::try_from(count) {
        Ok(0) => text.len(),
        Ok(count) => starts.nth(count - 1).unwrap_or(0),
        Err(_) => 0,
    }
}

pub(super) async fn tail(process: Process) -> Done {
    let words = process.words();
    let cut = match cut_of(&old_form(&words)) {
        Ok(cut) => cut,
        Err(message) => return process.fail(&message).await,
    };
    let mut code = 0;
    for (position, path) in cut.paths.iter().enumerate() {
        let stream = match process.open(path) {
            Ok(stream) => stream,
            Err(error) => {
                process.complain(&format!("tail: cannot open '{path}' for reading: {}", error.text())).await;
                code = 1;
                continue;
            }
        };
        heading(&process, &cut, position, path).await?;
        match (cut.amount, cut.counts_bytes) {
            (Amount::From(first), is_bytes) => {
                skip(&process, &stream, (first.saturating_sub(1), is_bytes)).await?
            }
            (Amount::Of(count) | Amount::AllBut(count), true) => match stream.length() {
                Some(length) => {
                    stream.seek(length.saturating_sub(count));
                    process.pass(&stream).await?;
                }
                None => {
                    let kept = last_bytes(&process, &stream, usize::try_from(count).unwrap_or(HELD)).await?;
                    for bytes in kept {
                        process.write(bytes).await?;
                    }
                }
            },
            (Amount::Of(count) | Amount::AllBut(count), false) => {
                let text = Bytes::from(stream.whole(HELD).await?);
                let start = start_of_last(&text, count);
                process.write(text.slice(start..)).await?;
            }
        }
        if cut.follows && process.machine.has_background() {
            follow(&process, &stream).await?;
        }
    }
    Ok(code)
}

/// What comes to a file from now on, until somebody ends it.
async fn follow(process: &Process, stream: &Stream) -> Result<(), Errno> {
    loop {
        process.pass(stream).await?;
        process.machine.sleep(0.2).await;
    }
}

async fn skip(process: &Process, stream: &Stream, (mut count, is_bytes): (u64, bool)) -> Result<(), Errno> {
    while count > 0 {
        process.machine.step().await;
        let bytes = stream.read(if is_bytes { count.min(PIECE as u64) as usize } else { PIECE }).await?;
        if bytes.is_empty() {
            return Ok(());
        }
        if is_bytes {
            count -= bytes.len() as u64;
            continue;
        }
        for (at, _) in bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n') {
            count -= 1;
            if count == 0 {
                process.streams.out.write(bytes.slice(at + 1..)).await?;
                break;
            }
        }
    }
    process.pass(stream).await
}

async fn last_bytes(process: &Process, stream: &Stream, count: usize) -> Result<VecDeque<Bytes>, Errno> {
    let (mut kept, mut held) = (VecDeque::new(), 0);
    loop {
        process.machine.step().await;
        let bytes = stream.read(PIECE).await?;
        if bytes.is_empty() {
            return Ok(kept);
        }
        held += bytes.len();
        kept.push_back(bytes);
        while let Some(first) = kept.front_mut().filter(|_| held > count) {
            let excess = (held - count).min(first.len());
            let _forgotten = first.split_to(excess);
            held -= excess;
            if first.is_empty() {
                kept.pop_front();
            }
        }
    }
}
