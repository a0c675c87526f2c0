//! Programs about bytes: `base64 dd sha256sum cksum cmp od`.

use super::super::disk::Errno;
use super::super::process::{Done, Options, Process};
use super::super::stream::{PIECE, Stream};
use ::bytes::{Bytes, BytesMut};
use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use md5::{Digest as _, Md5};
use ring::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY, SHA256, SHA512};

const CODE: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::RequireCanonical),
);

/// A number with `K`, `M`, `G` (powers of 1024), `kB`, `MB`, `GB` (powers of 1000), `b`, `c`, `w`.
pub(super) fn size(text: &str) -> Option<u64> {
    let digits = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let scale: u64 = match unit {
        "" | "c" => 1,
        "w" => 2,
        "b" => 512,
        "kB" | "KB" => 1000,
        "k" | "K" | "KiB" => 1 << 10,
        "MB" => 1_000_000,
        "m" | "M" | "MiB" => 1 << 20,
        "GB" => 1_000_000_000,
        "G" | "GiB" => 1 << 30,
        "T" => 1 << 40,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(scale)
}

pub(super) async fn base64(process: Process) -> Done {
    let words = process.words();
    let long = [("decode", 'd'), ("wrap", 'w'), ("ignore-garbage", 'i')];
    let options = match Options::read(&words, "dDiw:", &long) {
        Ok(options) => options,
        Err(message) => return process.fail(&message).await,
    };
    let wrap = options.value('w').map_or(Some(76), |text| text.parse().ok());
    let Some(wrap) = wrap else { return process.fail("invalid wrap size").await };
    let path = options.rest.first().copied().unwrap_or("-");
    let input = match process.open(path) {
        Ok(input) => input,
        Err(error) => return process.fail(&format!("{path}: {}", error.text())).await,
    };
    if options.has('d') || options.has('D') {
        return decode(&process, &input, options.has('i')).await;
    }
    encode(&process, &input, wrap).await?;
    Ok(0)
}

async fn decode(process: &Process, input: &Stream, ignores: bool) -> Done {
    let mut held: Vec<u8> = Vec::new();
    loop {
        process.machine.step().await;
        let bytes = input.read(PIECE).await?;
        let is_end = bytes.is_empty();
        let is_code = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
        if ignores {
            held.extend(bytes.iter().copied().filter(is_code));
        } else if bytes.contains(&b'\n') {
            held.extend(bytes.iter().copied().filter(|byte| *byte != b'\n'));
        } else {
            held.extend_from_slice(&bytes);
        }
        let whole = if is_end { held.len() } else { held.len() / 4 * 4 };
        let taken = held.split_off(whole);
        let code = std::mem::replace(&mut held, taken);
        match CODE.decode(&code) {
            Ok(plain) => process.streams.out.write(Bytes::from(plain)).await?,
            Err(_) => {
                // What was right before the fault comes out all the same.
                let right =
                    code.chunks(4).map_while(|part| CODE.decode(part).ok()).flatten().collect::<Vec<u8>>();
                process.streams.out.write(Bytes::from(right)).await?;
                process.complain("base64: invalid input").await;
                return Ok(1);
            }
        }
        if is_end {
            return Ok(0);
        }
    }
}

async fn encode(process: &Process, input: &Stream, wrap: usize) -> Result<(), Errno> {
    let (mut held, mut column) = (BytesMut::new(), 0);
    loop {
        process.machine.step().await;
        let bytes = input.read(PIECE).await?;
        let is_end = bytes.is_empty();
        held.extend_from_slice(&bytes);
        let whole = if is_end { held.len() } else { held.len() / 3 * 3 };
        let text = CODE.encode(held.split_to(whole)).into_bytes();
        let mut wrapped = match text.len().checked_div(wrap) {
            None => BytesMut::from(&text[..]),
            Some(lines) => BytesMut::with_capacity(text.len() + lines + 2),
        };
        if wrap > 0 {
            let mut rest = &text[..];
            while !rest.is_empty() {
                let count = (wrap - column).min(rest.len());
                wrapped.extend_from_slice(&rest[..count]);
                column += count;
                rest = &rest[count..];
                if column == wrap {
                    wrapped.extend_from_slice(b"\n");
                    column = 0;
                }
            }
            if is_end && column > 0 {
                wrapped.extend_from_slice(b"\n");
            }
        }
        process.streams.out.write(wrapped.freeze()).await?;
        if is_end {
            return Ok(());
        }
    }
}

/// A digest in the making.
enum Hasher {
    Ring(Context),
    Md5(Md5),
}

impl Hasher {
    fn new(program: &str) -> Hasher {
        match program {
            "md5sum" => Hasher::Md5(Md5::new()),
            "sha1sum" => Hasher::Ring(Context::new(&SHA1_FOR_LEGACY_USE_ONLY)),
            "sha512sum" => Hasher::Ring(Context::new(&SHA512)),
            _ => Hasher::Ring(Context::new(&SHA256)),
        }
    }

    fn add(&mut self, bytes: &[u8]) {
        match self {
            Hasher::Ring(context) => context.update(bytes),
            Hasher::Md5(md5) => md5.update(bytes),
        }
    }

    fn finish(self) -> String {
        let bytes = match self {
            Hasher::Ring(context) => context.finish().as_ref().to_vec(),
            Hasher::Md5(md5) => md5.finalize().to_vec(),
        };
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

async fn digest_of(process: &Process, input: &Stream) -> Result<String, Errno> {
    let mut hasher = Hasher::new(process.short());
    loop {
        process.machine.step().await;
        let bytes = input.read(PIECE).await?;
        if bytes.is_empty() {
            return Ok(hasher.finish());
        }
        hasher.add(&bytes);
    }
}

pub(super) async fn digest(process: Process) -> Done {
    let words = process.words();
    let long = [("check", 'c'), ("binary", 'b'), ("text", 't'), ("quiet", 'q'), ("status", 's')];
    let options = match Options::read(&words, "cbtqsz", &long) {
        Ok(options) => options,
        Err(message) => return process.fail(&message).await,
    };
    let paths = if options.rest.is_empty() { vec!["-"] } else { options.rest.clone() };
    let mut code = 0;
    for path in paths {
        let input = match process.open(path) {
            Ok(input) => input,
            Err(error) => {
                process.complain(&format!("{}: {path}: {}", process.short(), error.text())).await;
                code = 1;
                continue;
            }
        };
        if options.has('c') {
            let list = input.whole(16 << 20).await?;
            code |= check(&process, &String::from_utf8_lossy(&list), (options.has('q'), options.has('s')))
                .await?;
            continue;
        }
        let digest = digest_of(&process, &input).await?;
        process.print(format!("{digest}  {path}\n")).await?;
    }
    Ok(code)
}

async fn check(process: &Process, list: &str, (quiet, silent): (bool, bool)) -> Done {
    let mut failed = 0;
    for (wanted, path) in
        list.lines().filter_map(|line| line.split_once("  ").or_else(|| line.split_once(" *")))
    {
        let found = match process.open(path) {
            Ok(input) => digest_of(process, &input).await?,
            Err(error) => error.text().to_owned(),
        };
        let fits = found == wanted;
        failed += i32::from(!fits);
        let is_shown = !silent && (!quiet || !fits);
        if is_shown {
            process.print(format!("{path}: {}\n", if fits { "OK" } else { "FAILED" })).await?;
        }
    }
    if failed > 0 && !silent {
        process
            .complain(&format!("{}: WARNING: {failed} computed checksum did NOT match", process.short()))
            .await;
    }
    Ok(i32::from(failed > 0))
}

pub(super) async fn cksum(process: Process) -> Done {
    let words = process.words();
    let paths = if words.is_empty() { vec!["-"] } else { words.clone() };
    let mut code = 0;
    for path in paths {
        let input = match process.open(path) {
            Ok(input) => input,
            Err(error) => {
                process.complain(&format!("cksum: {path}: {}", error.text())).await;
                code = 1;
                continue;
            }
        };
        let (mut sum, mut length) = (0_u32, 0_u64);
        let mut add = |byte: u8| {
            sum ^= u32::from(byte) << 24;
            for _ in 0..8 {
                sum = if sum & 0x8000_0000 != 0 { (sum << 1) ^ 0x04C1_1DB7 } else { sum << 1 };
            }
        };
        loop {
            process.machine.step().await;
            let bytes = input.read(PIECE).await?;
            if bytes.is_empty() {
                break;
            }
            length += bytes.len() as u64;
            bytes.iter().for_each(|byte| add(*byte));
        }
        let mut rest = length;
        while rest > 0 {
            add((rest & 0xFF) as u8);
            rest >>= 8;
        }
        let name = if words.is_empty() { String::new() } else { format!(" {path}") };
        process.print(format!("{} {length}{name}\n", !sum)).await?;
    }
    Ok(code)
}

pub(super) async fn cmp(process: Process) -> Done {
    let words = process.words();
    let options = match Options::read(&words, "sl", &[("silent", 's'), ("quiet", 's')]) {
        Ok(options) => options,
        Err(message) => return process.fail(&message).await,
    };
    let [one, two, ..] = options.rest.as_slice() else { return process.fail("missing operand").await };
    let mut streams = Vec::new();
    for path in [one, two] {
        match process.open(path) {
            Ok(stream) => streams.push(stream),
            Err(error) => {
                process.complain(&format!("cmp: {path}: {}", error.text())).await;
                return Ok(2);
            }
        }
    }
    let (mut left, mut right, mut at, mut line) = (Bytes::new(), Bytes::new(), 0_u64, 1_u64);
    loop {
        process.machine.step().await;
        for (held, stream) in [&mut left, &mut right].into_iter().zip(&streams) {
            if held.is_empty() {
                *held = stream.read(PIECE).await?;
            }
        }
        let common = left.len().min(right.len());
        let (first, second) = (left.split_to(common), right.split_to(common));
        if let Some(offset) = first.iter().zip(&second).position(|(one, two)| one != two) {
            line += first[..offset].iter().filter(|byte| **byte == b'\n').count() as u64;
            if !options.has('s') {
                process
                    .print(format!("{one} {two} differ: byte {}, line {line}\n", at + offset as u64 + 1))
                    .await?;
            }
            return Ok(1);
        }
        line += first.iter().filter(|byte| **byte == b'\n').count() as u64;
        at += common as u64;
        if common == 0 {
            if left.is_empty() && right.is_empty() {
                return Ok(0);
            }
            let short = if left.is_empty() { one } else { two };
            if !options.has('s') {
                process.complain(&format!("cmp: EOF on {short} after byte {at}")).await;
            }
            return Ok(1);
        }
    }
}

/// What `dd` was told.
struct Copy<'a> {
    input: Option<&'a str>,
    output: Option<&'a str>,
    input_block: u64,
    count: Option<u64>,
    /// In bytes.
    skip: u64,
    seek: u64,
    conversions: Vec<&'a str>,
    flags: Vec<&'a str>,
    status: &'a str,
}

impl<'a> Copy<'a> {
    fn read(words: &[&'a str]) -> Result<Copy<'a>, String> {
        let mut copy = Copy {
            input: None,
            output: None,
            input_block: 512,
            count: None,
            skip: 0,
            seek: 0,
            conversions: Vec::new(),
            flags: Vec::new(),
            status: "",
        };
        let (mut output_block, mut skip, mut seek) = (512, 0, 0);
        for word in words {
            let (name, value) =
                word.split_once('=').ok_or_else(|| format!("unrecognized operand '{word}'"))?;
            let number = || size(value).ok_or_else(|| format!("invalid number: '{value}'"));
            match name {
                "if" => copy.input = Some(value),
                "of" => copy.output = Some(value),
                "bs" => (copy.input_block, output_block) = (number()?, number()?),
                "ibs" => copy.input_block = number()?,
                "obs" => output_block = number()?,
                "count" => copy.count = Some(number()?),
                "skip" | "iseek" => skip = number()?,
                "seek" | "oseek" => seek = number()?,
                "conv" => copy.conversions = value.split(',').collect(),
                "iflag" | "oflag" => copy.flags.extend(value.split(',')),
                "status" => copy.status = value,
                _ => return Err(format!("unrecognized operand '{word}'")),
            }
        }
        if copy.input_block == 0 || output_block == 0 {
            return Err("invalid number: '0'".to_owned());
        }
        copy.skip =
            if copy.flags.contains(&"skip_bytes") { skip } else { skip.saturating_mul(copy.input_block) };
        copy.seek = if copy.flags.contains(&"seek_bytes") { seek } else { seek.saturating_mul(output_block) };
        Ok(copy)
    }

    fn counts_bytes(&self) -> bool {
        self.flags.contains(&"count_bytes")
    }

    fn streams(&self, process: &Process) -> Result<(Stream, Stream), (String, Errno)> {
        let opened =
            |path: &str, result: Result<Stream, Errno>| result.map_err(|error| (path.to_owned(), error));
        let input = match self.input {
            Some(path) => opened(path, process.open(path))?,
            None => process.streams.input.clone(),
        };
        let appends = self.flags.contains(&"append");
        let keeps = self.conversions.contains(&"notrunc") || appends || self.seek > 0;
        let output = match self.output {
            Some(path) => {
                let output = opened(path, process.open_to_write(path, !keeps, appends))?;
                output.seek(self.seek);
                if self.seek > 0 && !self.conversions.contains(&"notrunc") {
                    output.cut(self.seek);
                }
                output
            }
            None => process.streams.out.clone(),
        };
        Ok((input, output))
    }
}

pub(super) async fn dd(process: Process) -> Done {
    let words = process.words();
    let copy = match Copy::read(&words) {
        Ok(copy) => copy,
        Err(message) => return process.fail(&message).await,
    };
    let (input, output) = match copy.streams(&process) {
        Ok(streams) => streams,
        Err((path, error)) => {
            return process.fail(&format!("failed to open '{path}': {}", error.text())).await;
        }
    };
    let started = process.machine.now();
    if copy.skip > 0 && !input.seek(copy.skip) {
        let mut left = copy.skip;
        while left > 0 {
            let bytes = input.read(left.min(PIECE as u64) as usize).await?;
            if bytes.is_empty() {
                break;
            }
            left -= bytes.len() as u64;
        }
    }
    let totals = copied(&process, &copy, (&input, &output)).await;
    let (totals, code) = match totals {
        Ok(totals) => (totals, 0),
        Err((totals, Errno::NoSpace)) => {
            let place = copy.output.unwrap_or("standard output");
            process.complain(&format!("dd: error writing '{place}': {}", Errno::NoSpace.text())).await;
            (totals, 1)
        }
        Err((_, error)) => return Err(error),
    };
    if copy.status != "none" {
        let (full, partial, bytes) = totals;
        process.complain(&format!("{full}+{partial} records in\n{full}+{partial} records out")).await;
        if copy.status != "noxfer" {
            let seconds = process.machine.now().seconds_since(started).max(1e-6);
            let rate = bytes as f64 / seconds / 1e6;
            process.complain(&format!("{bytes} bytes copied, {seconds:.6} s, {rate:.1} MB/s")).await;
        }
    }
    Ok(code)
}

/// Full blocks, partial blocks, bytes.
type Totals = (u64, u64, u64);

async fn copied(
    process: &Process,
    copy: &Copy<'_>,
    (input, output): (&Stream, &Stream),
) -> Result<Totals, (Totals, Errno)> {
    let (mut full, mut partial, mut total) = (0, 0, 0_u64);
    // Files and devices give whole blocks, as they do everywhere; pipes and terminals what there is.
    let fills = copy.flags.contains(&"fullblock")
        || matches!(input, Stream::File(_) | Stream::Zero | Stream::Random(_));
    loop {
        let left = match copy.count {
            Some(count) if copy.counts_bytes() => count.saturating_sub(total),
            Some(count) if full + partial >= count => 0,
            Some(_) | None => u64::MAX,
        };
        let wanted = left.min(copy.input_block);
        let mut got = 0;
        while got < wanted {
            process.machine.step().await;
            let most = (wanted - got).min(PIECE as u64) as usize;
            let bytes = input.read(most).await.map_err(|error| ((full, partial, total), error))?;
            if bytes.is_empty() {
                break;
            }
            got += bytes.len() as u64;
            let written = bytes.len() as u64;
            output.write(bytes).await.map_err(|error| ((full, partial, total), error))?;
            total += written;
            if !fills {
                break;
            }
        }
        if got == 0 {
            return Ok((full, partial, total));
        }
        if got == copy.input_block { full += 1 } else { partial += 1 }
    }
}

pub(super) async fn od(process: Process) -> Done {
    let words = process.words();
    let options = match Options::read(&words, "A:t:N:j:vcbxw:", &[]) {
        Ok(options) => options,
        Err(message) => return process.fail(&message).await,
    };
    let radix = options.value('A').unwrap_or("o");
    let kind = if options.has('c') {
        "c"
    } else if options.has('b') {
        "o1"
    } else {
        options.value('t').unwrap_or("o2")
    };
    let limit = options.value('N').and_then(size).unwrap_or(u64::MAX);
    let (text, code) = process.contents(&options.rest, 64 << 20).await?;
    let skip = options.value('j').and_then(size).unwrap_or(0) as usize;
    let text = text.get(skip.min(text.len())..).unwrap_or_default();
    let text = text.get(..text.len().min(usize::try_from(limit).unwrap_or(usize::MAX))).unwrap_or_default();
    let place = |at: usize| match radix {
        "n" => String::new(),
        "x" => format!("{at:06x}"),
        "d" => format!("{at:07}"),
        _ => format!("{at:07o}"),
    };
    for (number, line) in text.chunks(16).enumerate() {
        let shown: String = match kind {
            "x1" => line.iter().map(|byte| format!(" {byte:02x}")).collect(),
            "u1" | "d1" => line.iter().map(|byte| format!(" {byte:3}")).collect(),
            "o1" => line.iter().map(|byte| format!(" {byte:03o}")).collect(),
            "c" => line.iter().map(|byte| letter(*byte)).collect(),
            "x2" => pairs(line).map(|pair| format!(" {pair:04x}")).collect(),
            _ => pairs(line).map(|pair| format!(" {pair:06o}")).collect(),
        };
        process.print(format!("{}{shown}\n", place(skip + number * 16))).await?;
    }
    if radix != "n" {
        process.print(format!("{}\n", place(skip + text.len()))).await?;
    }
    Ok(code)
}

fn pairs(line: &[u8]) -> impl Iterator<Item = u16> + '_ {
    line.chunks(2).map(|pair| u16::from(pair[0]) | u16::from(pair.get(1).copied().unwrap_or(0)) << 8)
}

fn letter(byte: u8) -> String {
    match byte {
        0 => "  \\0".to_owned(),
        7 => "  \\a".to_owned(),
        8 => "  \\b".to_owned(),
        9 => "  \\t".to_owned(),
        10 => "  \\n".to_owned(),
        11 => "  \\v".to_owned(),
        12 => "  \\f".to_owned(),
        13 => "  \\r".to_owned(),
        0x20..0x7F => format!("   {}", char::from(byte)),
        _ => format!(" {byte:03o}"),
    }
}
