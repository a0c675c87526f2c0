//! `tar` and `gzip`.

use super::super::disk::{Body, Entry, Errno};
use super::super::process::{Done, Options, Process};
use super::super::stream::{PIECE, Stream, lock};
use super::changes::make_parents;
use super::system::number_of;
use crate::clock::At;
use ::bytes::{Bytes, BytesMut};
use flate2::Compression;
use flate2::write::{GzDecoder, GzEncoder};
use std::io::Write as _;

/// Size of a block of an archive.
const BLOCK: usize = 512;

/// What goes through a compressor, or through nothing.
enum Squeeze {
    Plain(BytesMut),
    In(GzEncoder<Vec<u8>>),
    Out(GzDecoder<Vec<u8>>),
}

impl Squeeze {
    fn add(&mut self, bytes: &[u8]) -> std::io::Result<Bytes> {
        Ok(match self {
            Squeeze::Plain(held) => {
                held.extend_from_slice(bytes);
                held.split().freeze()
            }
            Squeeze::In(encoder) => {
                encoder.write_all(bytes)?;
                Bytes::from(std::mem::take(encoder.get_mut()))
            }
            Squeeze::Out(decoder) => {
                decoder.write_all(bytes)?;
                Bytes::from(std::mem::take(decoder.get_mut()))
            }
        })
    }

    fn finish(self) -> std::io::Result<Bytes> {
        Ok(match self {
            Squeeze::Plain(held) => held.freeze(),
            Squeeze::In(encoder) => Bytes::from(encoder.finish()?),
            Squeeze::Out(decoder) => Bytes::from(decoder.finish()?),
        })
    }
}

fn packing() -> Squeeze {
    Squeeze::In(GzEncoder::new(Vec::new(), Compression::fast()))
}

fn unpacking() -> Squeeze {
    Squeeze::Out(GzDecoder::new(Vec::new()))
}

/// `gzip`, `gunzip`, `zcat`
pub(super) async fn gzip(process: Process) -> Done {
    let words = process.words();
    let options = match Options::read(
        &words,
        "cdfknqrtv123456789",
        &[("stdout", 'c'), ("decompress", 'd'), ("keep", 'k'), ("force", 'f'), ("test", 't')],
    ) {
        Ok(options) => options,
        Err(message) => return process.fail(&message).await,
    };
    let unpacks = options.has('d') || options.has('t') || process.short() != "gzip";
    let to_output = options.has('c') || process.short() == "zcat";
    if options.rest.is_empty() || options.rest == ["-"] {
        let (input, output) = (process.streams.input.clone(), process.streams.out.clone());
        let output = if options.has('t') { Stream::Null } else { output };
        return squeezed(&process, (&input, &output), unpacks).await;
    }
    let mut code = 0;
    for path in &options.rest {
        let input = match process.open(path) {
            Ok(input) => input,
            Err(error) => {
                code = process.fail(&format!("{path}: {}", error.text())).await?;
                continue;
            }
        };
        if to_output || options.has('t') {
            let output = if options.has('t') { Stream::Null } else { process.streams.out.clone() };
            code |= squeezed(&process, (&input, &output), unpacks).await?;
            continue;
        }
        let target =
            if unpacks { path.strip_suffix(".gz").map(str::to_owned) } else { Some(format!("{path}.gz")) };
        let Some(target) = target else {
            code = process.fail(&format!("{path}: unknown suffix -- ignored")).await?;
            continue;
        };
        let output = match process.create(&target, false) {
            Ok(output) => output,
            Err(error) => {
                code = process.fail(&format!("{target}: {}", error.text())).await?;
                continue;
            }
        };
        let failed = squeezed(&process, (&input, &output), unpacks).await?;
        code |= failed;
        if failed == 0 && !options.has('k') {
            // It was just read; that it can be gone meanwhile does not matter.
            let _gone = lock(&process.machine.disk).remove(&process.path(path), &process.user);
        }
    }
    Ok(code)
}

async fn squeezed(process: &Process, (input, output): (&Stream, &Stream), unpacks: bool) -> Done {
    let mut squeeze = if unpacks { unpacking() } else { packing() };
    let broken = async |process: &Process| process.fail("stdin: not in gzip format").await;
    loop {
        process.machine.step().await;
        let bytes = input.read(PIECE).await?;
        if bytes.is_empty() {
            break;
        }
        match squeeze.add(&bytes) {
            Ok(done) => output.write(done).await?,
            Err(_) => return broken(process).await,
        }
    }
    match squeeze.finish() {
        Ok(done) => output.write(done).await.map(|()| 0),
        Err(_) => process.fail("stdin: unexpected end of file").await,
    }
}

/// What `tar` was told.
struct Job<'a> {
    verb: char,
    is_squeezed: bool,
    is_loud: bool,
    archive: &'a str,
    directory: Option<&'a str>,
    strip: usize,
    paths: Vec<&'a str>,
}

fn job<'a>(words: &[&'a str]) -> Result<Job<'a>, String> {
    let bundled: Option<String> =
        words.first().filter(|word| !word.starts_with('-')).map(|word| format!("-{word}"));
    let long = [
        ("create", 'c'),
        ("extract", 'x'),
        ("get", 'x'),
        ("list", 't'),
        ("gzip", 'z'),
        ("file", 'f'),
        ("directory", 'C'),
        ("verbose", 'v'),
        ("strip-components", 'S'),
        ("preserve-permissions", 'p'),
        ("no-same-owner", 'o'),
    ];
    let (mut verb, mut is_squeezed, mut is_loud, mut strip) = (None, false, false, 0);
    let (mut archive, mut directory, mut paths) = ("-", None, Vec::new());
    let mut rest = words.iter().skip(usize::from(bundled.is_some())).copied();
    let mut read = |letters: &str, rest: &mut dyn Iterator<Item = &'a str>| -> Result<(), String> {
        for letter in letters.chars() {
            match letter {
                'c' | 'x' | 't' => verb = Some(letter),
                'z' => is_squeezed = true,
                'v' => is_loud = true,
                'f' => archive = rest.next().ok_or("option requires an argument -- 'f'")?,
                'C' => directory = Some(rest.next().ok_or("option requires an argument -- 'C'")?),
                'S' => {
                    strip =
                        rest.next().and_then(|text| text.parse().ok()).ok_or("invalid number of elements")?
                }
                'p' | 'o' | 'h' | 'm' | 'k' | 'a' => {}
                other => return Err(format!("invalid option -- '{other}'")),
            }
        }
        Ok(())
    };
    if let Some(bundled) = &bundled {
        read(&bundled[1..], &mut rest)?;
    }
    while let Some(word) = rest.next() {
        if let Some(name) = word.strip_prefix("--") {
            let (name, value) =
                name.split_once('=').map_or((name, None), |(name, value)| (name, Some(value)));
            let Some((_, letter)) = long.iter().find(|(known, _)| *known == name) else {
                if matches!(name, "numeric-owner" | "no-same-permissions" | "overwrite" | "same-owner" | "") {
                    continue;
                }
                return Err(format!("unrecognized option '--{name}'"));
            };
            let mut values = value.into_iter().chain(rest.by_ref());
            read(&letter.to_string(), &mut values)?;
        } else if let Some(letters) = word.strip_prefix('-').filter(|letters| !letters.is_empty()) {
            read(letters, &mut rest)?;
        } else {
            paths.push(word);
        }
    }
    let verb = verb.ok_or("You must specify one of the '-Acdtrux' options")?;
    Ok(Job { verb, is_squeezed, is_loud, archive, directory, strip, paths })
}

pub(super) async fn tar(mut process: Process) -> Done {
    let arguments = process.arguments.clone();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let job = match job(&words) {
        Ok(job) => job,
        Err(message) => {
            process.complain(&format!("tar: {message}")).await;
            return Ok(2);
        }
    };
    let opened = match job.verb {
        'c' if job.archive == "-" => Ok(process.streams.out.clone()),
        'c' => process.create(job.archive, false),
        _ => process.open(job.archive),
    };
    let archive = match opened {
        Ok(archive) => archive,
        Err(error) => {
            process.complain(&format!("tar: {}: Cannot open: {}", job.archive, error.text())).await;
            return Ok(2);
        }
    };
    if let Some(directory) = job.directory {
        process.directory = process.path(directory);
        if !process.is_directory(".") {
            process.complain(&format!("tar: {directory}: Cannot open: No such file or directory")).await;
            return Ok(2);
        }
    }
    match job.verb {
        'c' => create(&process, &job, &archive).await,
        _ => extract(&process, &job, &archive).await,
    }
}

/// A header: name, entry, size, kind, link.
fn header(name: &str, entry: &Entry, (size, kind, link): (u64, u8, &str)) -> Vec<u8> {
    let mut block = vec![0; BLOCK];
    let mut put = |at: usize, most: usize, bytes: &[u8]| {
        let count = bytes.len().min(most);
        block[at..at + count].copy_from_slice(&bytes[..count]);
    };
    put(0, 100, name.as_bytes());
    put(100, 8, format!("{:07o}\0", entry.mode & 0o7777).as_bytes());
    let owner = number_of(&entry.owner);
    put(108, 8, format!("{owner:07o}\0").as_bytes());
    put(116, 8, format!("{owner:07o}\0").as_bytes());
    put(124, 12, format!("{size:011o}\0").as_bytes());
    put(136, 12, format!("{:011o}\0", entry.modified.0.div_euclid(1_000_000).max(0)).as_bytes());
    put(148, 8, b"        ");
    put(156, 1, &[kind]);
    put(157, 100, link.as_bytes());
    put(257, 8, b"ustar  \0");
    put(265, 32, entry.owner.as_bytes());
    put(297, 32, entry.owner.as_bytes());
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

/// An archive in the making.
struct Sink<'a> {
    process: &'a Process,
    squeeze: Squeeze,
    archive: &'a Stream,
}

impl Sink<'_> {
    async fn add(&mut self, bytes: &[u8]) -> Result<(), Errno> {
        self.process.machine.step().await;
        let done = self.squeeze.add(bytes).map_err(|_| Errno::Invalid)?;
        self.archive.write(done).await
    }

    /// A name or a link that a header has no room for.
    async fn long(&mut self, kind: u8, text: &str, entry: &Entry) -> Result<(), Errno> {
        let size = text.len() as u64 + 1;
        self.add(&header("././@LongLink", entry, (size, kind, ""))).await?;
        let mut padded = text.as_bytes().to_vec();
        padded.resize((text.len() + 1).div_ceil(BLOCK) * BLOCK, 0);
        self.add(&padded).await
    }
}

async fn create(process: &Process, job: &Job<'_>, archive: &Stream) -> Done {
    if job.paths.is_empty() {
        process.complain("tar: Cowardly refusing to create an empty archive").await;
        return Ok(2);
    }
    let squeeze = if job.is_squeezed { packing() } else { Squeeze::Plain(BytesMut::new()) };
    let mut sink = Sink { process, squeeze, archive };
    let mut code = 0;
    let mut waiting: Vec<String> = job.paths.iter().rev().map(|path| (*path).to_owned()).collect();
    while let Some(path) = waiting.pop() {
        let Some(entry) = process.find_itself(&path) else {
            process.complain(&format!("tar: {path}: Cannot stat: No such file or directory")).await;
            code = 2;
            continue;
        };
        let name = path.trim_start_matches('/');
        let name =
            if entry.is_directory() { format!("{}/", name.trim_end_matches('/')) } else { name.to_owned() };
        if job.is_loud {
            process.complain(&name).await;
        }
        let (size, kind, link) = match &entry.body {
            Body::Directory => (0, b'5', String::new()),
            Body::Link(target) => (0, b'2', target.clone()),
            Body::File(_) => (entry.size(), b'0', String::new()),
            Body::Device(_) => continue,
        };
        if name.len() > 100 {
            sink.long(b'L', &name, &entry).await?;
        }
        if link.len() > 100 {
            sink.long(b'K', &link, &entry).await?;
        }
        sink.add(&header(&name, &entry, (size, kind, &link))).await?;
        if entry.is_directory() {
            let base = path.trim_end_matches('/').to_owned();
            let names = {
                let disk = lock(&process.machine.disk);
                disk.resolve(&process.path(&path), true).map(|place| disk.list(&place)).unwrap_or_default()
            };
            waiting.extend(names.into_iter().rev().map(|name| format!("{base}/{name}")));
            continue;
        }
        if kind == b'0' {
            let stream = process.open(&path)?;
            let mut left = size;
            while left > 0 {
                let bytes = stream.read(left.min(PIECE as u64) as usize).await?;
                if bytes.is_empty() {
                    break;
                }
                left -= bytes.len() as u64;
                sink.add(&bytes).await?;
            }
            let padding = (BLOCK - (size % BLOCK as u64) as usize) % BLOCK;
            sink.add(&vec![0; padding]).await?;
        }
    }
    sink.add(&[0; BLOCK * 2]).await?;
    let rest = sink.squeeze.finish().map_err(|_| Errno::Invalid)?;
    archive.write(rest).await?;
    Ok(code)
}

/// An archive that is read.
struct Source<'a> {
    process: &'a Process,
    squeeze: Option<Squeeze>,
    archive: &'a Stream,
    held: BytesMut,
    is_first: bool,
    is_over: bool,
}

impl Source<'_> {
    /// At most `most` bytes; none at the end.
    async fn read(&mut self, most: usize) -> Result<Bytes, Errno> {
        while self.held.is_empty() && !self.is_over {
            self.process.machine.step().await;
            let bytes = self.archive.read(PIECE).await?;
            if std::mem::take(&mut self.is_first) && bytes.starts_with(&[0x1F, 0x8B]) {
                self.squeeze = Some(unpacking());
            }
            let done = match (&mut self.squeeze, bytes.is_empty()) {
                (None, is_end) => {
                    self.is_over = is_end;
                    bytes
                }
                (Some(squeeze), false) => squeeze.add(&bytes).map_err(|_| Errno::Invalid)?,
                (Some(_), true) => {
                    self.is_over = true;
                    self.squeeze
                        .take()
                        .map_or(Ok(Bytes::new()), Squeeze::finish)
                        .map_err(|_| Errno::Invalid)?
                }
            };
            self.held.extend_from_slice(&done);
        }
        let count = most.min(self.held.len());
        Ok(self.held.split_to(count).freeze())
    }

    /// A whole block, or `None` at the end.
    async fn block(&mut self) -> Result<Option<[u8; BLOCK]>, Errno> {
        let (mut block, mut filled) = ([0; BLOCK], 0);
        while filled < BLOCK {
            let bytes = self.read(BLOCK - filled).await?;
            if bytes.is_empty() {
                return if filled == 0 { Ok(None) } else { Err(Errno::Invalid) };
            }
            block[filled..filled + bytes.len()].copy_from_slice(&bytes);
            filled += bytes.len();
        }
        Ok(Some(block))
    }

    /// What follows a header, passed on or passed over.
    async fn body(&mut self, size: u64, to: Option<&Stream>) -> Result<Vec<u8>, Errno> {
        let (mut left, mut kept) = (size, Vec::new());
        while left > 0 {
            let bytes = self.read(left.min(PIECE as u64) as usize).await?;
            if bytes.is_empty() {
                return Err(Errno::Invalid);
            }
            left -= bytes.len() as u64;
            match to {
                Some(stream) => stream.write(bytes).await?,
                None if size <= 1 << 16 => kept.extend_from_slice(&bytes),
                None => {}
            }
        }
        let mut padding = (BLOCK - (size % BLOCK as u64) as usize) % BLOCK;
        while padding > 0 {
            let bytes = self.read(padding).await?;
            if bytes.is_empty() {
                return Err(Errno::Invalid);
            }
            padding -= bytes.len();
        }
        Ok(kept)
    }
}

fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

fn octal(bytes: &[u8]) -> u64 {
    if bytes.first().is_some_and(|byte| byte & 0x80 != 0) {
        return bytes.iter().skip(1).fold(0, |value, byte| value << 8 | u64::from(*byte));
    }
    u64::from_str_radix(text(bytes).trim(), 8).unwrap_or(0)
}

async fn extract(process: &Process, job: &Job<'_>, archive: &Stream) -> Done {
    let squeeze = job.is_squeezed.then(unpacking);
    let mut source = Source {
        process,
        is_first: squeeze.is_none(),
        squeeze,
        archive,
        held: BytesMut::new(),
        is_over: false,
    };
    let (mut long_name, mut long_link, mut code) = (None, None, 0);
    loop {
        let block = match source.block().await {
            Ok(Some(block)) if block.iter().any(|byte| *byte != 0) => block,
            Ok(_) => return Ok(code),
            Err(Errno::Invalid) => {
                process.complain("tar: This does not look like a tar archive").await;
                return Ok(2);
            }
            Err(error) => return Err(error),
        };
        let is_archive = &block[257..262] == b"ustar";
        if !is_archive {
            process.complain("tar: This does not look like a tar archive").await;
            return Ok(2);
        }
        let (size, kind) = (octal(&block[124..136]), block[156]);
        match kind {
            b'L' => {
                long_name = Some(text(&source.body(size, None).await?));
                continue;
            }
            b'K' => {
                long_link = Some(text(&source.body(size, None).await?));
                continue;
            }
            b'x' | b'g' => {
                source.body(size, None).await?;
                continue;
            }
            _ => {}
        }
        let prefix = if &block[257..263] == b"ustar\0" { text(&block[345..500]) } else { String::new() };
        let short = text(&block[..100]);
        let full = if prefix.is_empty() { short } else { format!("{prefix}/{short}") };
        let name = long_name.take().unwrap_or(full);
        let link = long_link.take().unwrap_or_else(|| text(&block[157..257]));
        let member = Member {
            name,
            link,
            kind,
            size,
            mode: octal(&block[100..108]) as u32,
            modified: At(octal(&block[136..148]) as i64 * 1_000_000),
        };
        code |= take_out(process, job, &mut source, member).await?;
    }
}

struct Member {
    name: String,
    link: String,
    kind: u8,
    size: u64,
    mode: u32,
    modified: At,
}

async fn take_out(process: &Process, job: &Job<'_>, source: &mut Source<'_>, member: Member) -> Done {
    let is_wanted = job.paths.is_empty()
        || job.paths.iter().any(|path| {
            let path = path.trim_end_matches('/');
            member.name.trim_end_matches('/') == path || member.name.starts_with(&format!("{path}/"))
        });
    let stripped: Vec<&str> =
        member.name.split('/').filter(|part| !part.is_empty()).skip(job.strip).collect();
    let is_safe = !stripped.contains(&"..");
    if !is_wanted || stripped.is_empty() || !is_safe {
        source.body(member.size, None).await?;
        return Ok(0);
    }
    if job.verb == 't' {
        process.print(format!("{}\n", member.name)).await?;
        source.body(member.size, None).await?;
        return Ok(0);
    }
    if job.is_loud {
        process.print(format!("{}\n", member.name)).await?;
    }
    let path = process.path(&stripped.join("/"));
    let (user, now) = (process.user.as_str(), process.machine.now());
    let parent = super::super::disk::parent_of(&path).to_owned();
    let made = {
        let mut disk = lock(&process.machine.disk);
        make_parents(&mut disk, &parent, (user, 0o755), now).and_then(|()| match member.kind {
            b'5' => make_parents(&mut disk, &path, (user, member.mode), now),
            b'2' => disk.link(&member.link, &path, user, now),
            _ => Ok(()),
        })
    };
    let failed = async |error: Errno| {
        process.complain(&format!("tar: {}: Cannot open: {}", member.name, error.text())).await;
        Ok(2)
    };
    if let Err(error) = made {
        source.body(member.size, None).await?;
        return failed(error).await;
    }
    if !matches!(member.kind, b'0' | 0) {
        source.body(member.size, None).await?;
        return Ok(0);
    }
    let stream = match process.create(&path, false) {
        Ok(stream) => stream,
        Err(error) => {
            source.body(member.size, None).await?;
            return failed(error).await;
        }
    };
    source.body(member.size, Some(&stream)).await?;
    let changed = lock(&process.machine.disk).change(&path, "root", |entry| {
        entry.mode = member.mode & 0o7777;
        entry.modified = member.modified;
    });
    match changed {
        Ok(()) => Ok(0),
        Err(error) => failed(error).await,
    }
}
