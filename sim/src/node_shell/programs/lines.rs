//! Filters: `cat wc sort uniq cut tr tee`.

use super::super::disk::Errno;
use super::super::pattern;
use super::super::process::{Done, Options, Process};
use super::super::stream::{PIECE, Stream};
use ::bytes::{Bytes, BytesMut};

/// Most bytes that are held to be sorted, or to find the end of a pipe.
pub(super) const HELD: usize = 256 << 20;

pub(super) async fn cat(process: Process) -> Done {
    let words = process.words();
    let options = match Options::read(&words, "AbeEnstTuv", &[("number", 'n')]) {
        Ok(options) => options,
        Err(message) => return process.fail(&message).await,
    };
    let paths = if options.rest.is_empty() { vec!["-"] } else { options.rest.clone() };
    let mut code = 0;
    let mut number = 0;
    for path in paths {
        match process.open(path) {
            Ok(stream) if options.has('n') => {
                let text = stream.whole(HELD).await?;
                for line in text.split_inclusive(|byte| *byte == b'\n') {
                    number += 1;
                    process.write(Bytes::from([format!("{number:6}\t").as_bytes(), line].concat())).await?;
                }
            }
            Ok(stream) => process.pass(&stream).await?,
            Err(error) => {
                process.complain(&format!("cat: {path}: {}", error.text())).await;
                code = 1;
            }
        }
    }
    Ok(code)
}

pub(super) async fn wc(process: Process) -> Done {
    let words = process.words();
    let long = [("bytes", 'c'), ("chars", 'm'), ("lines", 'l'), ("words", 'w'), ("max-line-length", 'L')];
    let options = match Options::read(&words, "clmwL", &long) {
        Ok(options) => options,
        Err(message) => return process.fail(&message).await,
    };
    let every = !['c', 'l', 'm', 'w', 'L'].iter().any(|letter| options.has(*letter));
    let paths = if options.rest.is_empty() { vec!["-"] } else { options.rest.clone() };
    let (mut total, mut code) = (Counts::default(), 0);
    let shown = |counts: &Counts, name: Option<&str>| {
        let columns: Vec<u64> = [
            (every || options.has('l'), counts.lines),
            (every || options.has('w'), counts.words),
            (options.has('m'), counts.letters),
            (every || options.has('c'), counts.bytes),
            (options.has('L'), counts.longest),
        ]
        .into_iter()
        .filter_map(|(is_shown, count)| is_shown.then_some(count))
        .collect();
        let wide = columns.len() > 1 || (paths.len() > 1 && name.is_some());
        let text: Vec<String> =
            columns.iter().map(|count| if wide { format!("{count:7}") } else { count.to_string() }).collect();
        let name = name.map_or(String::new(), |name| format!(" {name}"));
        format!("{}{name}\n", text.join(" "))
    };
    for path in &paths {
        match process.open(path) {
            Ok(stream) => {
                let counts = count(&process, &stream).await?;
                let name = (*path != "-" || !options.rest.is_empty()).then_some(*path);
                process.print(shown(&counts, name)).await?;
                total.add(&counts);
            }
            Err(error) => {
                process.complain(&format!("wc: {path}: {}", error.text())).await;
                code = 1;
            }
        }
    }
    if paths.len() > 1 {
        process.print(shown(&total, Some("total"))).await?;
    }
    Ok(code)
}

#[derive(Default)]
struct Counts {
    lines: u64,
    words: u64,
    letters: u64,
    bytes: u64,
    longest: u64,
}

impl Counts {
    fn add(&mut self, other: &Counts) {
        self.lines += other.lines;
        self.words += other.words;
        self.letters += other.letters;
        self.bytes += other.bytes;
        self.longest = self.longest.max(other.longest);
    }
}

async fn count(process: &Process, stream: &Stream) -> Result<Counts, Errno> {
    let (mut counts, mut is_inside, mut line) = (Counts::default(), false, 0);
    loop {
        process.machine.step().await;
        let bytes = stream.read(PIECE).await?;
        if bytes.is_empty() {
            counts.longest = counts.longest.max(line);
            return Ok(counts);
        }
        counts.bytes += bytes.len() as u64;
        for byte in &bytes {
            counts.letters += u64::from(byte & 0xC0 != 0x80);
            let is_space = byte.is_ascii_whitespace() || *byte == 0x0B;
            counts.words += u64::from(!is_space && !is_inside);
            is_inside = !is_space;
            if *byte == b'\n' {
                counts.lines += 1;
                counts.longest = counts.longest.max(line);
                line = 0;
            } else {
                line += u64::from(byte & 0xC0 != 0x80);
            }
        }
    }
}

fn lines(text: &[u8]) -> Vec<&[u8]> {
    let body = text.strip_suffix(b"\n").unwrap_or(text);
    if text.is_empty() { Vec::new() } else { body.split(|byte| *byte == b'\n').collect() }
}

fn joined<'a>(lines: impl IntoIterator<Item = &'a [u8]>) -> Bytes {
    let mut text = BytesMut::new();
    for line in lines {
        text.extend_from_slice(line);
        text.extend_from_slice(b"\n");
    }
    text.freeze()
}

pub(super) async fn sort(process: Process) -> Done {
    let words = process.words();
    let options = match Options::read(
        &words,
        "bcdfghik:nrst:uVzo:",
        &[("reverse", 'r'), ("unique", 'u'), ("numeric-sort", 'n'), ("key", 'k')],
    ) {
        Ok(options) => options,
        Err(message) => return process.fail(&message).await,
    };
    let (text, code) = process.contents(&options.rest, HELD).await?;
    let mut lines = lines(&text);
    let column = options.value('k').and_then(|key| {
        key.split([',', '.']).next()?.trim_end_matches(char::is_alphabetic).parse::<usize>().ok()
    });
    let is_numeric = options.has('n')
        || options.has('g')
        || options.has('h')
        || options.value('k').is_some_and(|key| key.contains('n'));
    let separator = options.value('t').and_then(|text| text.bytes().next());
    let key = |line: &&[u8]| -> Vec<u8> {
        let Some(column) = column else { return line.to_vec() };
        let fields: Vec<&[u8]> = match separator {
            Some(separator) => line.split(|byte| *byte == separator).collect(),
            None => line.split(u8::is_ascii_whitespace).filter(|field| !field.is_empty()).collect(),
        };
        fields.get(column.saturating_sub(1)..).unwrap_or_default().join(&b' ')
    };
    let number = |text: &[u8]| -> f64 {
        let text = String::from_utf8_lossy(text);
        let text = text.trim_start();
        let end = text
            .find(|letter: char| !letter.is_ascii_digit() && !matches!(letter, '.' | '-'))
            .unwrap_or(text.len());
        text[..end].parse().unwrap_or(0.0)
    };
    if is_numeric {
        lines.sort_by(|one, two| number(&key(one)).total_cmp(&number(&key(two))).then_with(|| one.cmp(two)));
    } else if options.has('f') {
        lines.sort_by_cached_key(|line| (key(line).to_ascii_lowercase(), line.to_vec()));
    } else {
        lines.sort_by_cached_key(|line| (key(line), line.to_vec()));
    }
    if options.has('r') {
        lines.reverse();
    }
    if options.has('u') {
        lines.dedup_by(|one, two| {
            if is_numeric { number(&key(&*one)) == number(&key(&*two)) } else { key(&*one) == key(&*two) }
        });
    }
    process.write(joined(lines)).await?;
    Ok(code)
}

pub(super) async fn uniq(process: Process) -> Done {
    let words = process.words();
    let options = match Options::read(&words, "cdui", &[("count", 'c'), ("repeated", 'd'), ("unique", 'u')]) {
        Ok(options) => options,
        Err(message) => return process.fail(&message).await,
    };
    let (text, code) = process.contents(options.rest.get(..1).unwrap_or_default(), HELD).await?;
    let mut groups: Vec<(&[u8], usize)> = Vec::new();
    for line in lines(&text) {
        match groups.last_mut() {
            Some((last, count)) if *last == line || options.has('i') && last.eq_ignore_ascii_case(line) => {
                *count += 1
            }
            _ => groups.push((line, 1)),
        }
    }
    groups.retain(|(_, count)| !(options.has('d') && *count < 2 || options.has('u') && *count > 1));
    for (line, count) in groups {
        let line =
            if options.has('c') { [format!("{count:7} ").as_bytes(), line].concat() } else { line.to_vec() };
        process.write(joined([line.as_slice()])).await?;
    }
    Ok(code)
}

/// Numbers and ranges: `1,3-5,7-`.
fn ranges(text: &str) -> Option<Vec<(usize, usize)>> {
    text.split(',')
        .map(|part| match part.split_once('-') {
            None => part.parse().ok().map(|number| (number, number)),
            Some(("", end)) => end.parse().ok().map(|end| (1, end)),
            Some((start, "")) => start.parse().ok().map(|start| (start, usize::MAX)),
            Some((start, end)) => Some((start.parse().ok()?, end.parse().ok()?)),
        })
        .collect()
}

pub(super) async fn cut(process: Process) -> Done {
    let words = process.words();
    let options = match Options::read(
        &words,
        "b:c:d:f:s",
        &[("delimiter", 'd'), ("fields", 'f'), ("bytes", 'b'), ("characters", 'c')],
    ) {
        Ok(options) => options,
        Err(message) => return process.fail(&message).await,
    };
    let list = ['f', 'c', 'b'].iter().find_map(|letter| options.value(*letter));
    let Some(ranges) = list.and_then(ranges) else {
        return process.fail("you must specify a list of bytes, characters, or fields").await;
    };
    let is_in = |number: usize| ranges.iter().any(|(start, end)| (*start..=*end).contains(&number));
    let separator = options.value('d').and_then(|text| text.bytes().next()).unwrap_or(b'\t');
    let (text, code) = process.contents(&options.rest, HELD).await?;
    for line in lines(&text) {
        let kept: Vec<u8> = if options.value('f').is_none() {
            line.iter().enumerate().filter(|(at, _)| is_in(at + 1)).map(|(_, byte)| *byte).collect()
        } else if !line.contains(&separator) {
            if options.has('s') {
                continue;
            }
            line.to_vec()
        } else {
            let fields = line.split(|byte| *byte == separator).enumerate();
            let kept: Vec<&[u8]> = fields.filter(|(at, _)| is_in(at + 1)).map(|(_, field)| field).collect();
            kept.join(&separator)
        };
        process.write(joined([kept.as_slice()])).await?;
    }
    Ok(code)
}

/// The bytes that a set of `tr` has.
fn set(text: &str) -> Vec<u8> {
    let mut letters = text.chars().peekable();
    let mut plain: Vec<u8> = Vec::new();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => super::print::escape(&mut letters, &mut plain),
            '[' if letters.peek() == Some(&':') => {
                let class: String = letters.by_ref().skip(1).take_while(|letter| *letter != ':').collect();
                letters.next();
                plain.extend((0..=127_u8).filter(|byte| pattern::is_of(&class, char::from(*byte))));
            }
            '-' if !plain.is_empty() && letters.peek().is_some() => {
                let mut end = Vec::new();
                match letters.next() {
                    Some('\\') => super::print::escape(&mut letters, &mut end),
                    Some(letter) => super::print::push(&mut end, letter),
                    None => {}
                }
                if let (Some(start), Some(end)) = (plain.pop(), end.first()) {
                    plain.extend(start..=*end);
                }
            }
            letter => super::print::push(&mut plain, letter),
        }
    }
    plain
}

pub(super) async fn tr(process: Process) -> Done {
    let words = process.words();
    let options = match Options::read(
        &words,
        "cCdst",
        &[("delete", 'd'), ("complement", 'c'), ("squeeze-repeats", 's')],
    ) {
        Ok(options) => options,
        Err(message) => return process.fail(&message).await,
    };
    let Some(first) = options.rest.first() else { return process.fail("missing operand").await };
    let mut from = set(first);
    if options.has('c') || options.has('C') {
        from = (0..=255).filter(|byte| !from.contains(byte)).collect();
    }
    let to = options.rest.get(1).map(|text| set(text)).unwrap_or_default();
    let mut table: Vec<Option<u8>> = (0..=255_u8).map(Some).collect();
    for (position, byte) in from.iter().enumerate() {
        if let Some(slot) = table.get_mut(usize::from(*byte)) {
            *slot =
                if options.has('d') { None } else { to.get(position).or(to.last()).copied().or(Some(*byte)) };
        }
    }
    let squeezed =
        if options.has('s') { if to.is_empty() || options.has('d') { from } else { to } } else { Vec::new() };
    let mut last = None;
    loop {
        let bytes = process.read(PIECE).await?;
        if bytes.is_empty() {
            return Ok(0);
        }
        let mut changed = Vec::with_capacity(bytes.len());
        for byte in &bytes {
            let Some(Some(byte)) = table.get(usize::from(*byte)) else { continue };
            if squeezed.contains(byte) && last == Some(*byte) {
                continue;
            }
            last = Some(*byte);
            changed.push(*byte);
        }
        process.write(Bytes::from(changed)).await?;
    }
}

pub(super) async fn tee(process: Process) -> Done {
    let words = process.words();
    let options = match Options::read(&words, "aip", &[("append", 'a')]) {
        Ok(options) => options,
        Err(message) => return process.fail(&message).await,
    };
    let (mut code, mut streams) = (0, Vec::new());
    for path in &options.rest {
        match process.create(path, options.has('a')) {
            Ok(stream) => streams.push(stream),
            Err(error) => {
                process.complain(&format!("tee: {path}: {}", error.text())).await;
                code = 1;
            }
        }
    }
    loop {
        let bytes = process.read(PIECE).await?;
        if bytes.is_empty() {
            return Ok(code);
        }
        for stream in &streams {
            stream.write(bytes.clone()).await?;
        }
        process.write(bytes).await?;
    }
}
