//! The shell's own commands.

use super::disk::Errno;
use super::eval::{Shell, Unwind};
use super::parse::is_name;
use super::programs;
use super::stream::{Stream, lock};
use super::test::holds;
use std::sync::{Arc, Mutex};

/// What the shell does itself.
const NAMES: [&str; 37] = [
    ":", ".", "[", "alias", "bg", "break", "builtin", "cd", "command", "continue", "eval", "exec", "exit",
    "export", "false", "fg", "hash", "jobs", "kill", "local", "pwd", "read", "readonly", "return", "set",
    "shift", "source", "test", "times", "trap", "true", "type", "ulimit", "umask", "unset", "wait", "which",
];

/// True for what the shell does itself.
pub(super) fn is_known(name: &str) -> bool {
    NAMES.contains(&name) && name != "which"
}

/// Runs a command of the shell; `None` for what is none.
pub(super) async fn run(shell: &mut Shell, name: &str, arguments: &[String]) -> Option<i32> {
    if !NAMES.contains(&name) {
        return None;
    }
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    Some(match name {
        ":" | "true" | "alias" | "hash" | "times" | "ulimit" | "umask" => 0,
        "false" => 1,
        "exit" | "return" | "break" | "continue" => unwind(shell, name, &words).await,
        "cd" => change_directory(shell, &words).await,
        "pwd" => shell.print(format!("{}\n", shell.process.directory)).await,
        "export" | "readonly" | "local" => export(shell, name, &words).await,
        "unset" => {
            for word in words.iter().filter(|word| !word.starts_with('-')) {
                shell.variables.remove(*word);
                shell.exported.remove(*word);
                shell.functions.remove(*word);
            }
            0
        }
        "set" => set(shell, arguments).await,
        "shift" => {
            let count = words.first().and_then(|word| word.parse().ok()).unwrap_or(1_usize);
            let fits = count <= shell.positional.len();
            shell.positional.drain(..count.min(shell.positional.len()));
            i32::from(!fits)
        }
        "test" | "[" => test(shell, name, &words).await,
        "eval" => {
            let script = words.join(" ");
            let list = super::parse::parse(&script, false);
            match list {
                Ok(list) => shell.list(&list, false).await,
                Err(failure) => {
                    shell.complain(&format!("eval: Syntax error: {}", failure.message)).await;
                    2
                }
            }
        }
        "." | "source" => source(shell, &words).await,
        "exec" => exec(shell, arguments).await,
        "command" | "builtin" | "type" | "which" => described(shell, name, arguments).await,
        "read" => read(shell, &words).await,
        "trap" => {
            if let [script, rest @ ..] = words.as_slice()
                && rest.iter().any(|signal| matches!(*signal, "EXIT" | "0"))
            {
                shell.at_exit =
                    Some((*script).to_owned()).filter(|script| script != "-" && !script.is_empty());
            }
            0
        }
        "wait" => shell.wait_for_jobs().await,
        "jobs" => shell.list_jobs().await,
        "fg" => shell.foreground(words.first().copied()).await,
        "bg" => shell.background(words.first().copied()).await,
        _ if words.contains(&OWN_NUMBER) => {
            let signal = signal(&words);
            // 0 only asks. Shells that somebody types into hang up and are killed, and take nothing else.
            let is_ignored = signal == 0 || (shell.jobs.is_some() && !matches!(signal, 1 | 9));
            if !is_ignored {
                // What a parent sees of a process that a signal ended.
                shell.at_exit = None;
                shell.unwind = Some(Unwind::Exit(128 + signal));
            }
            0
        }
        _ => {
            let ended = words.iter().filter(|word| word.starts_with('%')).any(|word| shell.kill_job(word));
            i32::from(words.iter().any(|word| word.starts_with('%')) && !ended)
        }
    })
}

/// `$$`
pub(super) const OWN_NUMBER: &str = "4242";

/// The signal that `kill` sends.
fn signal(words: &[&str]) -> i32 {
    let named =
        words.iter().find_map(|word| word.strip_prefix('-').filter(|name| !matches!(*name, "s" | "n" | "-")));
    let after =
        words.iter().position(|word| matches!(*word, "-s" | "-n")).and_then(|at| words.get(at + 1).copied());
    let name = named.or(after).unwrap_or("TERM");
    match name.trim_start_matches("SIG") {
        "HUP" => 1,
        "INT" => 2,
        "QUIT" => 3,
        "KILL" => 9,
        "TERM" => 15,
        number => number.parse().ok().filter(|number| (0..=64).contains(number)).unwrap_or(15),
    }
}

async fn unwind(shell: &mut Shell, name: &str, words: &[&str]) -> i32 {
    let given = words.first().map(|word| word.parse::<i32>());
    if let Some(Err(_)) = given {
        shell
            .complain(&format!("{name}: Illegal number: {}", words.first().copied().unwrap_or_default()))
            .await;
        shell.unwind = Some(Unwind::Exit(2));
        return 2;
    }
    let given = given.and_then(Result::ok);
    let levels = given.unwrap_or(1).max(1).unsigned_abs();
    let code = given.unwrap_or(shell.last);
    shell.unwind = Some(match name {
        "exit" => Unwind::Exit(code),
        "return" => Unwind::Return(code),
        "break" => Unwind::Break(levels),
        _ => Unwind::Continue(levels),
    });
    if matches!(name, "break" | "continue") { 0 } else { code }
}

async fn change_directory(shell: &mut Shell, words: &[&str]) -> i32 {
    let path = words.iter().find(|word| !word.starts_with('-') || **word == "-").copied();
    let target = match path {
        None => shell.variables.get("HOME").cloned().unwrap_or_else(|| "/".to_owned()),
        Some("-") => shell.variables.get("OLDPWD").cloned().unwrap_or_default(),
        Some(path) => path.to_owned(),
    };
    let found = lock(&shell.process.machine.disk).find(&shell.process.path(&target));
    let place = match found {
        Ok((place, entry)) if entry.is_directory() => Ok(place),
        Ok(_) => Err(Errno::NotDirectory),
        Err(error) => Err(error),
    };
    match place {
        Ok(place) => {
            shell.variables.insert("OLDPWD".to_owned(), shell.process.directory.clone());
            shell.variables.insert("PWD".to_owned(), place.clone());
            shell.process.directory = place;
            if path == Some("-") {
                return shell.print(format!("{}\n", shell.process.directory)).await;
            }
            0
        }
        Err(_) => {
            shell.complain(&format!("cd: can't cd to {target}")).await;
            2
        }
    }
}

async fn export(shell: &mut Shell, name: &str, words: &[&str]) -> i32 {
    for word in words.iter().filter(|word| !word.starts_with('-')) {
        let (variable, value) =
            word.split_once('=').map_or((*word, None), |(name, value)| (name, Some(value)));
        if !is_name(variable) {
            shell.complain(&format!("{name}: {variable}: bad variable name")).await;
            return 2;
        }
        if name == "local" {
            let before = shell.variables.get(variable).cloned();
            if let Some(frame) = shell.locals.last_mut() {
                frame.push((variable.to_owned(), before));
            }
        }
        if let Some(value) = value {
            shell.variables.insert(variable.to_owned(), value.to_owned());
        }
        if name == "export" {
            shell.exported.insert(variable.to_owned());
        }
    }
    0
}

async fn set(shell: &mut Shell, arguments: &[String]) -> i32 {
    if arguments.is_empty() {
        let lines: String =
            shell.variables.iter().map(|(name, value)| format!("{name}='{value}'\n")).collect();
        return shell.print(lines).await;
    }
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        if argument == "--" {
            shell.positional = rest.cloned().collect();
            return 0;
        }
        let Some(letters) = argument.strip_prefix(['-', '+']) else {
            shell.positional = std::iter::once(argument).chain(rest).cloned().collect();
            return 0;
        };
        let on = argument.starts_with('-');
        for letter in letters.chars() {
            let name = if letter == 'o' { rest.next().map(String::as_str).unwrap_or_default() } else { "" };
            match (letter, name) {
                ('e', _) | ('o', "errexit") => shell.options.errexit = on,
                ('u', _) | ('o', "nounset") => shell.options.nounset = on,
                ('f', _) | ('o', "noglob") => shell.options.noglob = on,
                ('x', _) | ('o', "xtrace") => shell.options.xtrace = on,
                ('C', _) | ('o', "noclobber") => shell.options.noclobber = on,
                ('o', "pipefail") => shell.options.pipefail = on,
                _ => {}
            }
        }
    }
    0
}

async fn test(shell: &mut Shell, name: &str, words: &[&str]) -> i32 {
    let inner = match (name, words.split_last()) {
        ("[", Some((&"]", inner))) => inner,
        ("[", _) => {
            shell.complain("[: missing ]").await;
            return 2;
        }
        _ => words,
    };
    match holds(&shell.process, inner) {
        Ok(truth) => i32::from(!truth),
        Err(message) => {
            shell.complain(&format!("{name}: {message}")).await;
            2
        }
    }
}

async fn source(shell: &mut Shell, words: &[&str]) -> i32 {
    let Some(path) = words.first() else { return 2 };
    let script = match shell.process.open(path) {
        Ok(stream) => stream.whole(1 << 20).await,
        Err(error) => Err(error),
    };
    match script {
        Ok(script) => shell.run_script(&String::from_utf8_lossy(&script)).await,
        Err(_) => {
            shell.complain(&format!("{}: cannot open {path}: No such file", ".")).await;
            2
        }
    }
}

async fn exec(shell: &mut Shell, arguments: &[String]) -> i32 {
    if arguments.is_empty() {
        shell.keeps_streams = true;
        return 0;
    }
    let code = shell.program(arguments).await;
    shell.unwind = Some(Unwind::Exit(code));
    code
}

/// `command`, `builtin`, `type`, `which`
async fn described(shell: &mut Shell, name: &str, arguments: &[String]) -> i32 {
    let asks = matches!(name, "type" | "which")
        || arguments.first().is_some_and(|word| matches!(word.as_str(), "-v" | "-V"));
    let rest: Vec<String> = arguments.iter().skip_while(|word| word.starts_with('-')).cloned().collect();
    if !asks {
        return match rest.split_first() {
            None => 0,
            Some((first, others)) => match Box::pin(run(shell, first, others)).await {
                Some(code) => code,
                None => shell.program(&rest).await,
            },
        };
    }
    let mut code = 0;
    for wanted in &rest {
        let line = if shell.functions.contains_key(wanted) && name != "which" {
            if name == "type" { format!("{wanted} is a shell function\n") } else { format!("{wanted}\n") }
        } else if is_known(wanted) && name != "which" {
            if name == "type" { format!("{wanted} is a shell builtin\n") } else { format!("{wanted}\n") }
        } else if programs::is_known(wanted) {
            if name == "type" {
                format!("{wanted} is /usr/bin/{wanted}\n")
            } else {
                format!("/usr/bin/{wanted}\n")
            }
        } else {
            code = if name == "command" { 127 } else { 1 };
            if name == "type" { format!("{wanted}: not found\n") } else { String::new() }
        };
        shell.print(line).await;
    }
    code
}

async fn read(shell: &mut Shell, words: &[&str]) -> i32 {
    let is_raw = words.contains(&"-r");
    let names: Vec<&str> = words.iter().filter(|word| !word.starts_with('-')).copied().collect();
    let names = if names.is_empty() { vec!["REPLY"] } else { names };
    let input = shell.process.streams.input.clone();
    let kept: Arc<Mutex<String>> = Arc::default();
    let line = kept.clone();
    let code = shell.attend(Box::pin(async move { line_of(&input, is_raw, &line).await }), "read").await;
    if code > 1 {
        return code;
    }
    let line = std::mem::take(&mut *lock(&kept));
    let separators = shell.variables.get("IFS").map_or(" \t\n", String::as_str).to_owned();
    let mut rest = line.trim_matches(|letter: char| separators.contains(letter) && letter.is_whitespace());
    for (position, name) in names.iter().enumerate() {
        let value = if position + 1 == names.len() {
            std::mem::take(&mut rest)
        } else {
            let (value, after) =
                rest.split_once(|letter: char| separators.contains(letter)).unwrap_or((rest, ""));
            rest = after
                .trim_start_matches(|letter: char| separators.contains(letter) && letter.is_whitespace());
            value
        };
        shell.variables.insert((*name).to_owned(), value.to_owned());
    }
    code
}

/// One line of the input, read so that nothing of the next is lost: 1 where the input ended first.
async fn line_of(input: &Stream, is_raw: bool, kept: &Mutex<String>) -> i32 {
    let mut line = Vec::new();
    let code = loop {
        match input.read(1).await {
            Ok(byte) if byte.is_empty() => break 1,
            Ok(byte) if byte == "\n" => break 0,
            Ok(byte) if byte == "\\" && !is_raw => match input.read(1).await {
                Ok(next) if next == "\n" => {}
                Ok(next) => line.extend_from_slice(&next),
                Err(_) => break 1,
            },
            Ok(byte) => line.extend_from_slice(&byte),
            Err(_) => break 1,
        }
    };
    *lock(kept) = String::from_utf8_lossy(&line).into_owned();
    code
}
