//! Programs that print what they are told: `echo printf seq basename dirname expr`.

use super::super::pattern;
use super::super::process::{Done, Process};
use ::bytes::Bytes;

pub(super) async fn echo(process: Process) -> Done {
    let words = process.words();
    let (mut newline, mut escapes, mut skip) = (true, false, 0);
    for word in &words {
        match *word {
            "-n" => newline = false,
            "-e" => escapes = true,
            "-E" => escapes = false,
            "-ne" | "-en" => (newline, escapes) = (false, true),
            _ => break,
        }
        skip += 1;
    }
    let mut text = words.get(skip..).unwrap_or_default().join(" ").into_bytes();
    if escapes {
        text = unescaped(&String::from_utf8_lossy(&text));
    }
    if newline {
        text.push(b'\n');
    }
    process.write(Bytes::from(text)).await?;
    Ok(0)
}

fn unescaped(text: &str) -> Vec<u8> {
    let (mut out, mut letters) = (Vec::new(), text.chars().peekable());
    while let Some(letter) = letters.next() {
        if letter == '\\' { escape(&mut letters, &mut out) } else { push(&mut out, letter) }
    }
    out
}

pub(super) async fn printf(process: Process) -> Done {
    let words = process.words();
    let words = words.strip_prefix(&["--"]).unwrap_or(&words);
    if words.is_empty() {
        process.complain("printf: usage: printf format [arguments]").await;
        return Ok(2);
    }
    let (text, code) = formatted(words);
    process.write(Bytes::from(text)).await?;
    Ok(code)
}

/// How one value is to look.
#[derive(Default)]
struct Form {
    left: bool,
    zeros: bool,
    plus: bool,
    width: usize,
    precision: Option<usize>,
}

impl Form {
    fn read(
        letters: &mut std::iter::Peekable<std::str::Chars<'_>>,
        rest: &mut std::slice::Iter<'_, &str>,
    ) -> Form {
        let mut form = Form::default();
        while let Some(flag) = letters.next_if(|letter| matches!(letter, '-' | '0' | '+' | ' ' | '#')) {
            match flag {
                '-' => form.left = true,
                '0' => form.zeros = true,
                '+' => form.plus = true,
                _ => {}
            }
        }
        form.width = digits_or_star(letters, rest).unwrap_or(0).min(1 << 16);
        if letters.next_if_eq(&'.').is_some() {
            form.precision = Some(digits_or_star(letters, rest).unwrap_or(0).min(1 << 16));
        }
        form
    }

    fn put(&self, text: &[u8], out: &mut Vec<u8>) {
        let padding = self.width.saturating_sub(text.len());
        let fill = if self.zeros && !self.left { b'0' } else { b' ' };
        if self.left {
            out.extend_from_slice(text);
            out.extend(std::iter::repeat_n(b' ', padding));
        } else if fill == b'0' && text.starts_with(b"-") {
            out.push(b'-');
            out.extend(std::iter::repeat_n(b'0', padding));
            out.extend_from_slice(&text[1..]);
        } else {
            out.extend(std::iter::repeat_n(fill, padding));
            out.extend_from_slice(text);
        }
    }
}

fn digits_or_star(
    letters: &mut std::iter::Peekable<std::str::Chars<'_>>,
    rest: &mut std::slice::Iter<'_, &str>,
) -> Option<usize> {
    if letters.next_if_eq(&'*').is_some() {
        return rest.next().and_then(|text| text.parse().ok());
    }
    let mut digits = String::new();
    while let Some(digit) = letters.next_if(char::is_ascii_digit) {
        digits.push(digit);
    }
    digits.parse().ok()
}

/// A number of an argument, which may be a letter after a quote; false where it is none.
fn number(text: &str) -> (i64, bool) {
    if let Some(letter) = text.strip_prefix(['"', '\'']).and_then(|rest| rest.chars().next()) {
        return (i64::from(u32::from(letter)), true);
    }
    match super::super::arithmetic::number(text.trim()) {
        Some(value) => (value, true),
        None => (0, text.is_empty()),
    }
}

/// The text of a format and its arguments; the format is used again while arguments are left.
fn formatted(words: &[&str]) -> (Vec<u8>, i32) {
    let Some((format, arguments)) = words.split_first() else { return (Vec::new(), 0) };
    let (mut out, mut code) = (Vec::new(), 0);
    let mut rest = arguments.iter();
    loop {
        let before = rest.len();
        let mut letters = format.chars().peekable();
        while let Some(letter) = letters.next() {
            match letter {
                '\\' => escape(&mut letters, &mut out),
                '%' if letters.next_if_eq(&'%').is_some() => out.push(b'%'),
                '%' => {
                    let form = Form::read(&mut letters, &mut rest);
                    let Some(kind) = letters.next() else {
                        out.push(b'%');
                        continue;
                    };
                    let argument = rest.next().copied();
                    let (text, fits) = converted(kind, argument.unwrap_or_default(), &form);
                    code |= i32::from(!fits);
                    form.put(&text, &mut out);
                }
                other => push(&mut out, other),
            }
        }
        if rest.len() == 0 || rest.len() == before {
            return (out, code);
        }
    }
}

fn converted(kind: char, argument: &str, form: &Form) -> (Vec<u8>, bool) {
    let cut = |text: Vec<u8>| match form.precision {
        Some(most) => text.into_iter().take(most).collect(),
        None => text,
    };
    match kind {
        'b' => (cut(unescaped(argument)), true),
        'c' => (argument.chars().take(1).collect::<String>().into_bytes(), true),
        'q' => {
            let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "_./:@%+,=-".contains(letter);
            let is_word = !argument.is_empty() && argument.chars().all(is_plain);
            let quoted =
                if is_word { argument.to_owned() } else { format!("'{}'", argument.replace('\'', "'\\''")) };
            (quoted.into_bytes(), true)
        }
        'd' | 'i' | 'u' | 'o' | 'x' | 'X' => {
            let (value, fits) = number(argument);
            let digits = match kind {
                'o' => format!("{value:o}"),
                'x' => format!("{value:x}"),
                'X' => format!("{value:X}"),
                'd' | 'i' if form.plus && value >= 0 => format!("+{value}"),
                'u' => (value as u64).to_string(),
                _ => value.to_string(),
            };
            let least = form.precision.unwrap_or(0);
            (format!("{digits:0>least$}").into_bytes(), fits)
        }
        'f' | 'F' | 'e' | 'g' => {
            let value: f64 = argument.trim().parse().unwrap_or(0.0);
            let places = form.precision.unwrap_or(6);
            let text = if kind == 'e' { format!("{value:.places$e}") } else { format!("{value:.places$}") };
            (text.into_bytes(), argument.is_empty() || argument.trim().parse::<f64>().is_ok())
        }
        _ => (cut(argument.as_bytes().to_vec()), true),
    }
}

pub(super) fn push(out: &mut Vec<u8>, letter: char) {
    out.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
}

/// What follows a backslash.
pub(super) fn escape(letters: &mut std::iter::Peekable<std::str::Chars<'_>>, out: &mut Vec<u8>) {
    let simple = match letters.peek() {
        Some('n') => b'\n',
        Some('t') => b'\t',
        Some('r') => b'\r',
        Some('a') => 7,
        Some('b') => 8,
        Some('e') => 27,
        Some('f') => 12,
        Some('v') => 11,
        Some('\\') => b'\\',
        Some('x') => {
            letters.next();
            return out.push(digits(letters, 16, 2));
        }
        Some('0') => {
            letters.next();
            return out.push(digits(letters, 8, 3));
        }
        Some('1'..='7') => return out.push(digits(letters, 8, 3)),
        Some(_) | None => return out.push(b'\\'),
    };
    letters.next();
    out.push(simple);
}

fn digits(letters: &mut std::iter::Peekable<std::str::Chars<'_>>, radix: u32, most: usize) -> u8 {
    let mut value = 0_u32;
    for _ in 0..most {
        let Some(digit) = letters.peek().and_then(|letter| letter.to_digit(radix)) else { break };
        value = value * radix + digit;
        letters.next();
    }
    (value & 0xFF) as u8
}

pub(super) async fn seq(process: Process) -> Done {
    let words = process.words();
    let (mut separator, mut wide, mut numbers) = ("\n", false, Vec::new());
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        match *word {
            "-s" => separator = rest.next().copied().unwrap_or("\n"),
            "-w" => wide = true,
            text => match text.parse::<f64>() {
                Ok(number) => numbers.push((number, text)),
                Err(_) => return process.fail(&format!("invalid floating point argument: '{text}'")).await,
            },
        }
    }
    let (first, step, last) = match numbers.as_slice() {
        [last] => (1.0, 1.0, last.0),
        [first, last] => (first.0, 1.0, last.0),
        [first, step, last] => (first.0, step.0, last.0),
        _ => return process.fail("missing operand").await,
    };
    if step == 0.0 {
        return process.fail("invalid Zero increment value: '0'").await;
    }
    let places = numbers
        .iter()
        .filter_map(|(_, text)| text.split_once('.').map(|(_, places)| places.len()))
        .max()
        .unwrap_or(0);
    let width =
        if wide { format!("{first:.places$}").len().max(format!("{last:.places$}").len()) } else { 0 };
    let (mut position, mut text) = (0_u64, String::new());
    loop {
        let value = first + step * position as f64;
        if if step > 0.0 { value > last + step * 1e-9 } else { value < last + step * 1e-9 } {
            break;
        }
        if position > 0 {
            text.push_str(separator);
        }
        text.push_str(&format!("{value:0>width$.places$}"));
        position += 1;
        if text.len() > 32 << 10 {
            process.print(std::mem::take(&mut text)).await?;
        }
    }
    if position > 0 {
        text.push('\n');
    }
    process.print(text).await?;
    Ok(0)
}

pub(super) async fn basename(process: Process) -> Done {
    let words = process.words();
    let Some(path) = words.first() else { return process.fail("missing operand").await };
    let trimmed = path.trim_end_matches('/');
    let name = if trimmed.is_empty() && !path.is_empty() {
        "/"
    } else {
        trimmed.rsplit('/').next().unwrap_or(trimmed)
    };
    let name = words
        .get(1)
        .and_then(|suffix| name.strip_suffix(suffix))
        .filter(|rest| !rest.is_empty())
        .unwrap_or(name);
    process.print(format!("{name}\n")).await?;
    Ok(0)
}

pub(super) async fn dirname(process: Process) -> Done {
    let words = process.words();
    if words.is_empty() {
        return process.fail("missing operand").await;
    }
    for path in words {
        let trimmed = path.trim_end_matches('/');
        let name = match trimmed.rfind('/') {
            Some(0) => "/",
            Some(end) => trimmed[..end].trim_end_matches('/'),
            None if trimmed.is_empty() && !path.is_empty() => "/",
            None => ".",
        };
        process.print(format!("{name}\n")).await?;
    }
    Ok(0)
}

pub(super) async fn expr(process: Process) -> Done {
    let words = process.words();
    let value = match words.as_slice() {
        ["length", text] => text.chars().count().to_string(),
        ["substr", text, from, count] => {
            let (from, count) = (from.parse().unwrap_or(1_usize).max(1), count.parse().unwrap_or(0));
            text.chars().skip(from - 1).take(count).collect()
        }
        [text, ":", wanted] => {
            let fits = pattern::matches(&wanted.replace(".*", "*"), text);
            (if fits { text.chars().count() } else { 0 }).to_string()
        }
        [left, operator @ ("=" | "!="), right]
            if left.parse::<i64>().is_err() || right.parse::<i64>().is_err() =>
        {
            i64::from((left == right) == (*operator == "=")).to_string()
        }
        _ => {
            let text: Vec<&str> = words.iter().map(|word| if *word == "=" { "==" } else { word }).collect();
            match super::super::arithmetic::evaluate(&text.join(" "), &mut std::collections::BTreeMap::new())
            {
                Ok(value) => value.to_string(),
                Err(_) => {
                    process.complain("expr: syntax error").await;
                    return Ok(2);
                }
            }
        }
    };
    let code = i32::from(value.is_empty() || value == "0");
    process.print(format!("{value}\n")).await?;
    Ok(code)
}
