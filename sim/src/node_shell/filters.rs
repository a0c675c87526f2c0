//! Programs that print, and the filters that scripts put behind a pipe.

use super::eval::Shell;
use base64::Engine as _;

impl Shell<'_> {
    pub(super) fn filter(&mut self, name: &str, arguments: &[String], stdin: &[u8]) -> Option<i32> {
        let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
        match name {
            "echo" => {
                let newline = words.first() != Some(&"-n");
                let text = words.get(usize::from(!newline)..).unwrap_or_default().join(" ");
                self.print(&text);
                if newline {
                    self.print("\n");
                }
                Some(0)
            }
            "printf" => {
                let text = printf(&words);
                self.print_bytes(&text);
                Some(0)
            }
            "printenv" => match words.first() {
                None => Some(self.print_environment()),
                Some(name) => {
                    match self.variables.get(*name).filter(|_| self.exported.contains(*name)).cloned() {
                        Some(value) => {
                            self.print(&format!("{value}\n"));
                            Some(0)
                        }
                        None => Some(1),
                    }
                }
            },
            "seq" => Some(self.sequence(&words)),
            "base64" => Some(self.base64(&words, stdin)),
            "cat" | "tee" => Some(self.concatenate(name, &words, stdin)),
            "grep" | "egrep" | "fgrep" | "head" | "tail" | "sort" | "uniq" | "wc" | "tr" => {
                let skip = usize::from(name.ends_with("grep"));
                let paths: Vec<&str> = words
                    .iter()
                    .enumerate()
                    .filter(|(at, word)| {
                        !word.starts_with('-')
                            && at.checked_sub(1).and_then(|before| words.get(before)) != Some(&"-n")
                    })
                    .map(|(_, word)| *word)
                    .skip(skip)
                    .collect();
                let input = if name == "tr" { stdin.to_vec() } else { self.input(&paths, stdin) };
                Some(self.text_filter(name, &words, &input))
            }
            _ => None,
        }
    }

    fn sequence(&mut self, words: &[&str]) -> i32 {
        let numbers: Vec<i64> = words.iter().filter_map(|word| word.parse().ok()).collect();
        let (first, last) = match numbers.as_slice() {
            [last] => (1, *last),
            [first, .., last] => (*first, *last),
            [] => (1, 0),
        };
        let lines: String = (first..=last).take(500_000).map(|number| format!("{number}\n")).collect();
        self.print(&lines);
        0
    }

    fn base64(&mut self, words: &[&str], stdin: &[u8]) -> i32 {
        let input = self.input(words, stdin);
        if words.iter().any(|word| matches!(*word, "-d" | "--decode" | "-D")) {
            let compact: Vec<u8> = input.into_iter().filter(|byte| !byte.is_ascii_whitespace()).collect();
            let Ok(bytes) = base64::engine::general_purpose::STANDARD.decode(compact) else {
                self.complain("base64: invalid input");
                return 1;
            };
            self.print_bytes(&bytes);
        } else {
            let text = base64::engine::general_purpose::STANDARD.encode(input);
            self.print(&format!("{text}\n"));
        }
        0
    }

    fn concatenate(&mut self, name: &str, words: &[&str], stdin: &[u8]) -> i32 {
        let paths: Vec<&str> = words.iter().copied().filter(|word| !word.starts_with('-')).collect();
        if name == "tee" || paths.is_empty() {
            self.print_bytes(stdin);
            for path in paths {
                self.files.insert(path.to_owned(), stdin.to_vec());
            }
            return 0;
        }
        let mut code = 0;
        for path in paths {
            match self.file(path) {
                Some(content) => self.print_bytes(&content),
                None => {
                    self.complain(&format!("cat: {path}: No such file or directory"));
                    code = 1;
                }
            }
        }
        code
    }

    fn input(&mut self, words: &[&str], stdin: &[u8]) -> Vec<u8> {
        match words.iter().find(|word| !word.starts_with('-')) {
            Some(path) => self.file(path).unwrap_or_default(),
            None => stdin.to_vec(),
        }
    }

    fn grep(&mut self, words: &[&str], lines: &[&str]) -> i32 {
        let has = |flag: char| has_flag(words, flag);
        let mut lines = lines.to_vec();
        let pattern = words.iter().find(|word| !word.starts_with('-')).copied().unwrap_or_default();
        let pattern = pattern.trim_start_matches('^').trim_end_matches('$');
        let fold = |text: &str| if has('i') { text.to_lowercase() } else { text.to_owned() };
        lines.retain(|line| fold(line).contains(&fold(pattern)) != has('v'));
        let code = i32::from(lines.is_empty());
        if has('c') {
            self.print(&format!("{}\n", lines.len()));
            return code;
        }
        if has('q') {
            return code;
        }
        let joined: String = lines.iter().map(|line| format!("{line}\n")).collect();
        self.print(&joined);
        code
    }

    fn text_filter(&mut self, name: &str, words: &[&str], input: &[u8]) -> i32 {
        let text = String::from_utf8_lossy(input).into_owned();
        let has = |flag: char| has_flag(words, flag);
        let mut lines: Vec<&str> = text.lines().collect();
        match name {
            "head" | "tail" => {
                let count = words
                    .iter()
                    .find_map(|word| word.trim_start_matches(['-', 'n']).parse().ok())
                    .unwrap_or(10_usize);
                let skip = if name == "head" { 0 } else { lines.len().saturating_sub(count) };
                lines = lines.into_iter().skip(skip).take(count).collect();
            }
            "sort" => {
                lines.sort_unstable();
                if has('u') {
                    lines.dedup();
                }
                if has('r') {
                    lines.reverse();
                }
            }
            "uniq" => lines.dedup(),
            "wc" => {
                let counts = (lines.len(), text.split_whitespace().count(), input.len());
                let shown = match (has('l'), has('w'), has('c')) {
                    (true, _, _) => counts.0.to_string(),
                    (_, true, _) => counts.1.to_string(),
                    (_, _, true) => counts.2.to_string(),
                    _ => format!("{:7} {:7} {:7}", counts.0, counts.1, counts.2),
                };
                self.print(&format!("{shown}\n"));
                return 0;
            }
            "tr" => {
                self.print(&text);
                return 0;
            }
            _ => return self.grep(words, &lines),
        }
        let joined: String = lines.iter().map(|line| format!("{line}\n")).collect();
        self.print(&joined);
        0
    }
}

/// True where one of the options is or contains a letter.
fn has_flag(words: &[&str], flag: char) -> bool {
    words.iter().any(|word| word.starts_with('-') && !word.starts_with("--") && word.contains(flag))
}

/// printf with `%s %d %q %b %%` and the usual escapes; the format is used again while arguments are left.
fn printf(words: &[&str]) -> Vec<u8> {
    let Some((format, arguments)) = words.split_first() else { return Vec::new() };
    let mut out = Vec::new();
    let mut rest = arguments.iter();
    loop {
        let before = rest.len();
        let mut letters = format.chars().peekable();
        while let Some(letter) = letters.next() {
            match letter {
                '\\' => escape(&mut letters, &mut out),
                '%' => {
                    while letters
                        .next_if(|next| next.is_ascii_digit() || matches!(next, '-' | '.' | '0'))
                        .is_some()
                    {}
                    match letters.next() {
                        Some('%') | None => out.push(b'%'),
                        Some('b') => {
                            let mut inner = rest.next().copied().unwrap_or_default().chars().peekable();
                            while let Some(letter) = inner.next() {
                                if letter == '\\' {
                                    escape(&mut inner, &mut out)
                                } else {
                                    push(&mut out, letter)
                                }
                            }
                        }
                        Some('d' | 'i' | 'u') => {
                            let number: i64 =
                                rest.next().and_then(|text| text.parse().ok()).unwrap_or_default();
                            out.extend_from_slice(number.to_string().as_bytes());
                        }
                        Some(_) => out.extend_from_slice(rest.next().copied().unwrap_or_default().as_bytes()),
                    }
                }
                other => push(&mut out, other),
            }
        }
        if rest.len() == 0 || rest.len() == before {
            return out;
        }
    }
}

fn push(out: &mut Vec<u8>, letter: char) {
    out.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
}

fn escape(letters: &mut std::iter::Peekable<std::str::Chars<'_>>, out: &mut Vec<u8>) {
    let simple = match letters.peek() {
        Some('n') => b'\n',
        Some('t') => b'\t',
        Some('r') => b'\r',
        Some('a') => 7,
        Some('e') => 27,
        Some('\\') => b'\\',
        Some('x') => {
            letters.next();
            return out.push(digits(letters, 16, 2));
        }
        Some('0'..='7') => return out.push(digits(letters, 8, 3)),
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
