//! The shell's own commands and the filters that scripts put behind a pipe.

use super::eval::Shell;
use super::table;
use base64::Engine as _;

impl Shell<'_> {
    /// Runs one program, and says 127 for those that a node does not have.
    pub(super) fn program(&mut self, program: &str, argv: &[String], stdin: &[u8]) -> i32 {
        let arguments = argv.get(1..).unwrap_or_default();
        let name = program.rsplit('/').next().unwrap_or(program);
        if let Some(code) = self.control(name, arguments, stdin) {
            return code;
        }
        if let Some(code) = self.shells(name, arguments, stdin) {
            return code;
        }
        if let Some(code) = self.filter(name, arguments, stdin) {
            return code;
        }
        match table::answer(name, arguments, self) {
            Some(code) => code,
            None => {
                self.complain(&format!("sh: 1: {program}: not found"));
                127
            }
        }
    }

    fn control(&mut self, name: &str, arguments: &[String], stdin: &[u8]) -> Option<i32> {
        match name {
            "true" | ":" | "shift" | "umask" | "ulimit" | "trap" | "wait" | "hash" => Some(0),
            "false" => Some(1),
            "exit" | "return" => {
                let code = arguments.first().map_or(Some(self.last), |text| text.parse().ok()).unwrap_or(2);
                self.exit = Some(code);
                Some(code)
            }
            "set" => Some(self.set(arguments)),
            "export" | "readonly" | "local" => {
                for argument in arguments {
                    let (name, value) =
                        argument.split_once('=').map_or((argument.as_str(), None), |(n, v)| (n, Some(v)));
                    if let Some(value) = value {
                        self.variables.insert(name.to_owned(), value.to_owned());
                    }
                    self.exported.insert(name.to_owned());
                }
                Some(0)
            }
            "unset" => {
                for argument in arguments {
                    self.variables.remove(argument);
                    self.exported.remove(argument);
                }
                Some(0)
            }
            "cd" => {
                let home = "/root".to_owned();
                let path = arguments.first().unwrap_or(&home).clone();
                if path.contains("nonexistent") || path.contains("no/such") {
                    self.complain(&format!("sh: 1: cd: can't cd to {path}"));
                    return Some(2);
                }
                self.variables.insert("PWD".to_owned(), path);
                Some(0)
            }
            "pwd" => {
                let path = self.variables.get("PWD").cloned().unwrap_or_default();
                self.print(&format!("{path}\n"));
                Some(0)
            }
            "sleep" => {
                let seconds: f64 =
                    arguments.iter().filter_map(|text| text.trim_end_matches('s').parse::<f64>().ok()).sum();
                self.seconds += seconds.clamp(0.0, 1e6);
                Some(0)
            }
            "test" => Some(self.test(arguments)),
            "[" => {
                let inner = arguments.split_last().filter(|(last, _)| *last == "]").map(|(_, rest)| rest);
                Some(inner.map_or(2, |inner| self.test(inner)))
            }
            "eval" => Some(self.run_script(&arguments.join(" "), stdin, 0)),
            "exec" | "nice" | "nohup" | "time" | "command" | "builtin" => {
                let rest: Vec<String> =
                    arguments.iter().skip_while(|text| text.starts_with('-')).cloned().collect();
                let program = rest.first().cloned()?;
                Some(self.program(&program, &rest, stdin))
            }
            _ => None,
        }
    }

    fn set(&mut self, arguments: &[String]) -> i32 {
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            let on = argument.starts_with('-');
            for letter in argument.chars().skip(1) {
                match letter {
                    'e' => self.options.errexit = on,
                    'u' => self.options.nounset = on,
                    'o' => match rest.next().map(String::as_str) {
                        Some("pipefail") => self.options.pipefail = on,
                        Some("errexit") => self.options.errexit = on,
                        Some("nounset") => self.options.nounset = on,
                        Some(_) | None => {}
                    },
                    _ => {}
                }
            }
        }
        0
    }

    fn test(&mut self, arguments: &[String]) -> i32 {
        let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let number = |text: &str| text.parse::<i64>().unwrap_or_default();
        let truth = match words.as_slice() {
            [] => false,
            ["!", rest @ ..] => {
                let rest: Vec<String> = rest.iter().map(|text| (*text).to_owned()).collect();
                self.test(&rest) != 0
            }
            ["-n", text] => !text.is_empty(),
            ["-z", text] => text.is_empty(),
            ["-f" | "-e" | "-r" | "-s", path] => self.file(path).is_some(),
            ["-d", path] => ["/", "/etc", "/tmp", "/var", "/root", "/usr", "/opt", "/home"].contains(path),
            ["-x", path] => path.starts_with("/usr/bin/") || path.starts_with("/bin/"),
            [text] => !text.is_empty(),
            [left, "=" | "==", right] => left == right,
            [left, "!=", right] => left != right,
            [left, "-eq", right] => number(left) == number(right),
            [left, "-ne", right] => number(left) != number(right),
            [left, "-gt", right] => number(left) > number(right),
            [left, "-ge", right] => number(left) >= number(right),
            [left, "-lt", right] => number(left) < number(right),
            [left, "-le", right] => number(left) <= number(right),
            _ => false,
        };
        i32::from(!truth)
    }

    fn shells(&mut self, name: &str, arguments: &[String], stdin: &[u8]) -> Option<i32> {
        let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
        match name {
            "sh" | "bash" | "dash" | "ash" | "zsh" => {
                let script = words.iter().position(|word| word.starts_with('-') && word.contains('c'));
                if let Some(script) = script.and_then(|at| words.get(at + 1)) {
                    return Some(self.run_apart(script, stdin));
                }
                let file = words.iter().find(|word| !word.starts_with('-'));
                match file {
                    Some(path) if !words.contains(&"-s") => match self.file(path) {
                        Some(content) => Some(self.run_apart(&String::from_utf8_lossy(&content), stdin)),
                        None => {
                            self.complain(&format!("{name}: 0: cannot open {path}: No such file"));
                            Some(2)
                        }
                    },
                    Some(_) | None => Some(self.run_apart(&String::from_utf8_lossy(stdin), b"")),
                }
            }
            "runuser" | "su" | "sudo" => {
                let user = words
                    .iter()
                    .position(|word| matches!(*word, "-l" | "-u" | "-" | "--user"))
                    .and_then(|at| words.get(at + 1))
                    .filter(|word| !word.starts_with('-'));
                let before = std::mem::replace(
                    &mut self.user,
                    user.map_or_else(|| "root".to_owned(), |user| (*user).to_owned()),
                );
                let code = match words.iter().position(|word| *word == "-c") {
                    Some(at) => self.run_apart(words.get(at + 1).copied().unwrap_or_default(), stdin),
                    None => {
                        let skip = words.iter().position(|word| *word == "--").map_or_else(
                            || {
                                words
                                    .iter()
                                    .take_while(|word| word.starts_with('-') || Some(*word) == user)
                                    .count()
                            },
                            |at| at + 1,
                        );
                        let rest = arguments.get(skip..).unwrap_or_default().to_vec();
                        let program = rest.first().cloned();
                        program.map_or(0, |program| self.program(&program, &rest, stdin))
                    }
                };
                self.user = before;
                Some(code)
            }
            "env" if !words.is_empty() => {
                let assignments =
                    words.iter().take_while(|word| word.contains('=') || word.starts_with('-')).count();
                let kept = self.variables.clone();
                for (name, value) in words.iter().take(assignments).filter_map(|word| word.split_once('=')) {
                    self.variables.insert(name.to_owned(), value.to_owned());
                    self.exported.insert(name.to_owned());
                }
                let rest = arguments.get(assignments..).unwrap_or_default().to_vec();
                let code = match rest.first().cloned() {
                    Some(program) => self.program(&program, &rest, stdin),
                    None => self.print_environment(),
                };
                self.variables = kept;
                Some(code)
            }
            "env" => Some(self.print_environment()),
            "timeout" => {
                let rest: Vec<String> =
                    arguments.iter().skip_while(|text| text.starts_with('-')).skip(1).cloned().collect();
                let program = rest.first().cloned()?;
                Some(self.program(&program, &rest, stdin))
            }
            _ => None,
        }
    }

    fn print_environment(&mut self) -> i32 {
        let lines: String = self
            .exported
            .iter()
            .filter_map(|name| self.variables.get(name).map(|value| format!("{name}={value}\n")))
            .collect();
        self.print(&lines);
        0
    }

    fn filter(&mut self, name: &str, arguments: &[String], stdin: &[u8]) -> Option<i32> {
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
            "seq" => {
                let numbers: Vec<i64> = words.iter().filter_map(|word| word.parse().ok()).collect();
                let (first, last) = match numbers.as_slice() {
                    [last] => (1, *last),
                    [first, .., last] => (*first, *last),
                    [] => (1, 0),
                };
                let lines: String =
                    (first..=last).take(500_000).map(|number| format!("{number}\n")).collect();
                self.print(&lines);
                Some(0)
            }
            "base64" => {
                let input = self.input(&words, stdin)?;
                if words.iter().any(|word| matches!(*word, "-d" | "--decode" | "-D")) {
                    let compact: Vec<u8> =
                        input.into_iter().filter(|byte| !byte.is_ascii_whitespace()).collect();
                    let Ok(bytes) = base64::engine::general_purpose::STANDARD.decode(compact) else {
                        self.complain("base64: invalid input");
                        return Some(1);
                    };
                    self.print_bytes(&bytes);
                } else {
                    let text = base64::engine::general_purpose::STANDARD.encode(input);
                    self.print(&format!("{text}\n"));
                }
                Some(0)
            }
            "cat" | "tee" => {
                let paths: Vec<&str> = words.iter().copied().filter(|word| !word.starts_with('-')).collect();
                if name == "tee" || paths.is_empty() {
                    self.print_bytes(stdin);
                    for path in paths {
                        self.files.insert(path.to_owned(), stdin.to_vec());
                    }
                    return Some(0);
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
                Some(code)
            }
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
                let input = if name == "tr" { stdin.to_vec() } else { self.input(&paths, stdin)? };
                Some(self.text_filter(name, &words, &input))
            }
            _ => None,
        }
    }

    fn input(&mut self, words: &[&str], stdin: &[u8]) -> Option<Vec<u8>> {
        match words.iter().find(|word| !word.starts_with('-')) {
            Some(path) => Some(self.file(path).unwrap_or_default()),
            None => Some(stdin.to_vec()),
        }
    }

    fn text_filter(&mut self, name: &str, words: &[&str], input: &[u8]) -> i32 {
        let text = String::from_utf8_lossy(input).into_owned();
        let has = |flag: char| {
            words.iter().any(|word| word.starts_with('-') && !word.starts_with("--") && word.contains(flag))
        };
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
            _ => {
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
                return code;
            }
        }
        let joined: String = lines.iter().map(|line| format!("{line}\n")).collect();
        self.print(&joined);
        0
    }
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
