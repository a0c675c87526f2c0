//! The shell's own commands, and shells within the shell.

use super::eval::Shell;
use super::table;

impl Shell<'_> {
    /// Runs one program, and says 127 for those that a node does not have.
    pub(super) fn program(&mut self, program: &str, argv: &[String], stdin: &[u8]) -> i32 {
        let arguments = argv.get(1..).unwrap_or_default();
        let name = program.rsplit('/').next().unwrap_or(program);
        if let Some(code) = self.control(name, arguments, stdin) {
            return code;
        }
        if let Some(code) = self.variable_command(name, arguments) {
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

    fn variable_command(&mut self, name: &str, arguments: &[String]) -> Option<i32> {
        match name {
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
            "runuser" | "su" | "sudo" => Some(self.as_user(arguments, stdin)),
            "env" if !words.is_empty() => Some(self.with_environment(arguments, stdin)),
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

    /// `runuser -l USER -c SCRIPT`, `sudo -u USER PROGRAM …`
    fn as_user(&mut self, arguments: &[String], stdin: &[u8]) -> i32 {
        let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
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
                    || words.iter().take_while(|word| word.starts_with('-') || Some(*word) == user).count(),
                    |at| at + 1,
                );
                let rest = arguments.get(skip..).unwrap_or_default().to_vec();
                let program = rest.first().cloned();
                program.map_or(0, |program| self.program(&program, &rest, stdin))
            }
        };
        self.user = before;
        code
    }

    /// `env NAME=VALUE … PROGRAM …`
    fn with_environment(&mut self, arguments: &[String], stdin: &[u8]) -> i32 {
        let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let assignments = words.iter().take_while(|word| word.contains('=') || word.starts_with('-')).count();
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
        code
    }

    pub(super) fn print_environment(&mut self) -> i32 {
        let lines: String = self
            .exported
            .iter()
            .filter_map(|name| self.variables.get(name).map(|value| format!("{name}={value}\n")))
            .collect();
        self.print(&lines);
        0
    }
}
