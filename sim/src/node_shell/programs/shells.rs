//! Programs that run others: `sh env sudo su runuser timeout xargs nice nohup flock`.

use super::super::disk::Errno;
use super::super::eval::Shell;
use super::super::jobs::interact;
use super::super::process::{Done, Options, Process};
use super::start;
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::task::Poll;

/// Longest script that is read.
const SCRIPT: usize = 16 << 20;

/// Runs another program as this process.
async fn run(process: Process) -> Done {
    let name = process.name.clone();
    match start(process.clone()) {
        Ok(running) => Ok(running.await),
        Err(Errno::NotFound) => {
            process.complain(&format!("sh: 1: {name}: not found")).await;
            Ok(127)
        }
        Err(error) => {
            process.complain(&format!("sh: 1: {name}: {}", error.text())).await;
            Ok(126)
        }
    }
}

pub(super) async fn shell(process: Process) -> Done {
    let words = process.words();
    let (mut script, mut reads_input, mut is_interactive, mut options) = (None, false, false, Vec::new());
    let mut rest = words.iter();
    let mut operands: Vec<String> = Vec::new();
    while let Some(word) = rest.next() {
        match word.strip_prefix(['-', '+']) {
            Some("-" | "") => {
                operands.extend(rest.by_ref().map(|word| (*word).to_owned()));
            }
            Some("-login" | "-noprofile" | "-norc" | "-posix") => {}
            Some(letters) if operands.is_empty() && script.is_none() => {
                reads_input |= letters.contains('s');
                is_interactive |= letters.contains('i');
                options.extend(letters.chars().filter(|letter| "eufx".contains(*letter)));
                if letters.contains('o') {
                    let name = rest.next().copied().unwrap_or_default();
                    options.push(if name == "pipefail" { 'P' } else { ' ' });
                }
                if letters.contains('c') {
                    script = Some(rest.next().map(|word| (*word).to_owned()).unwrap_or_default());
                }
            }
            Some(_) | None => operands.push((*word).to_owned()),
        }
    }
    let terminal = process.streams.input.terminal().cloned();
    let takes_file = script.is_none() && !reads_input;
    if takes_file
        && operands.is_empty()
        && let Some(terminal) = terminal
    {
        return Ok(interact(process, terminal, None).await);
    }
    let mut shell = Shell::new(process.clone());
    let text = match (script, operands.first()) {
        (Some(script), name) => {
            shell.name = name.cloned().unwrap_or_else(|| process.short().to_owned());
            shell.positional = operands.get(1..).unwrap_or_default().to_vec();
            script
        }
        (None, Some(path)) if takes_file => {
            let opened = process.open(if path == "-" { "./-" } else { path });
            let Ok(stream) = opened else {
                process.complain(&format!("{}: 0: cannot open {path}: No such file", process.short())).await;
                return Ok(2);
            };
            shell.name.clone_from(path);
            shell.positional = operands.get(1..).unwrap_or_default().to_vec();
            String::from_utf8_lossy(&stream.whole(SCRIPT).await?).into_owned()
        }
        (None, _) => {
            shell.positional = operands;
            String::from_utf8_lossy(&process.streams.input.whole(SCRIPT).await?).into_owned()
        }
    };
    let _same_as_without = is_interactive;
    for option in options {
        match option {
            'e' => shell.options.errexit = true,
            'u' => shell.options.nounset = true,
            'f' => shell.options.noglob = true,
            'x' => shell.options.xtrace = true,
            'P' => shell.options.pipefail = true,
            _ => {}
        }
    }
    let code = shell.run_script(&text).await;
    Ok(shell.exit_code(code).await)
}

pub(super) async fn printenv(process: Process) -> Done {
    let words = process.words();
    if words.is_empty() {
        return print_environment(&process).await;
    }
    let mut code = 0;
    for word in words {
        match process.environment.get(word) {
            Some(value) => process.print(format!("{value}\n")).await?,
            None => code = 1,
        }
    }
    Ok(code)
}

async fn print_environment(process: &Process) -> Done {
    let lines: String = process.environment.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
    process.print(lines).await?;
    Ok(0)
}

pub(super) async fn env(mut process: Process) -> Done {
    let arguments = std::mem::take(&mut process.arguments);
    let mut rest = arguments.iter();
    let mut program: Vec<String> = Vec::new();
    while let Some(word) = rest.next() {
        match word.as_str() {
            "-i" | "-" | "--ignore-environment" => process.environment.clear(),
            "-u" | "--unset" => {
                process.environment.remove(rest.next().map(String::as_str).unwrap_or_default());
            }
            "-C" | "--chdir" => {
                process.directory = process.path(rest.next().map(String::as_str).unwrap_or("/"))
            }
            "--" => {}
            word if word.starts_with('-') => {}
            word => match word.split_once('=') {
                Some((name, value)) => {
                    process.environment.insert(name.to_owned(), value.to_owned());
                }
                None => {
                    program = std::iter::once(word.to_owned()).chain(rest.by_ref().cloned()).collect();
                }
            },
        }
    }
    let Some((name, arguments)) = program.split_first() else { return print_environment(&process).await };
    process.name.clone_from(name);
    process.arguments = arguments.to_vec();
    run(process).await
}

/// `nice -n 5 PROGRAM`, `nohup PROGRAM`, `time PROGRAM`
pub(super) async fn passed(mut process: Process) -> Done {
    let arguments = std::mem::take(&mut process.arguments);
    let mut rest = arguments.iter();
    while let Some(word) = rest.next() {
        if word == "-n" {
            rest.next();
        } else if !word.starts_with('-') {
            process.name.clone_from(word);
            process.arguments = rest.cloned().collect();
            return run(process).await;
        }
    }
    Ok(0)
}

/// What a user's login sets.
pub(crate) fn login_environment(user: &str) -> BTreeMap<String, String> {
    let home = if user == "root" { "/root".to_owned() } else { format!("/home/{user}") };
    let pairs = [
        ("HOME", home.as_str()),
        ("LANG", "C.UTF-8"),
        ("LOGNAME", user),
        ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
        ("SHELL", "/bin/sh"),
        ("USER", user),
    ];
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// `sudo`, `su`, `runuser`
pub(super) async fn as_user(mut process: Process) -> Done {
    let program = process.short().to_owned();
    let arguments = std::mem::take(&mut process.arguments);
    let (mut user, mut command, mut login, mut rest) = (None, None, false, Vec::new());
    let mut words = arguments.iter().peekable();
    while let Some(word) = words.next() {
        match word.as_str() {
            "-u" | "--user" | "-g" | "--group" => user = words.next().cloned().or(user),
            "-c" | "--command" => command = words.next().cloned(),
            "-l" | "--login" | "-" | "-i" => login = true,
            "-s" if program == "sudo" => {}
            "-s" | "--shell" => {
                words.next();
            }
            "--" => {
                rest = words.by_ref().cloned().collect();
            }
            word if word.starts_with('-') || (program == "sudo" && word.contains('=') && rest.is_empty()) => {
            }
            word if program != "sudo" && user.is_none() => user = Some(word.to_owned()),
            word => {
                rest = std::iter::once(word.to_owned()).chain(words.by_ref().cloned()).collect();
            }
        }
    }
    let user = user.unwrap_or_else(|| "root".to_owned());
    let is_allowed = process.user == "root" || process.user == "ssm-user" || program == "sudo";
    if !is_allowed {
        process.complain(&format!("{program}: may not be used by non-root users")).await;
        return Ok(1);
    }
    let home = login_environment(&user);
    if login {
        process.directory = home.get("HOME").cloned().unwrap_or_else(|| "/".to_owned());
        let kept = process.environment.get("TERM").map(|term| ("TERM".to_owned(), term.clone()));
        process.environment = home.clone();
        process.environment.extend(kept);
    }
    for name in ["HOME", "USER", "LOGNAME"] {
        if let Some(value) = home.get(name) {
            process.environment.insert(name.to_owned(), value.clone());
        }
    }
    process.user = user;
    let argv = match command {
        Some(script) => vec!["sh".to_owned(), "-c".to_owned(), script],
        None if rest.is_empty() => vec!["sh".to_owned()],
        None => rest,
    };
    let Some((name, arguments)) = argv.split_first() else { return Ok(0) };
    process.name.clone_from(name);
    process.arguments = arguments.to_vec();
    run(process).await
}

pub(super) async fn timeout(mut process: Process) -> Done {
    let arguments = std::mem::take(&mut process.arguments);
    let mut rest = arguments.iter().peekable();
    while let Some(word) = rest.next_if(|word| word.starts_with('-')) {
        if matches!(word.as_str(), "-s" | "-k" | "--signal" | "--kill-after") {
            rest.next();
        }
    }
    let Some(time) = rest.next() else { return process.fail("missing operand").await };
    let unit = time.chars().next_back().filter(|letter| letter.is_alphabetic());
    let scale = match unit {
        None | Some('s') => 1.0,
        Some('m') => 60.0,
        Some('h') => 3600.0,
        Some(_) => return process.fail(&format!("invalid time interval '{time}'")).await,
    };
    let Ok(seconds) = time.trim_end_matches(char::is_alphabetic).parse::<f64>() else {
        return process.fail(&format!("invalid time interval '{time}'")).await;
    };
    let Some(name) = rest.next() else { return process.fail("missing operand").await };
    process.name.clone_from(name);
    process.arguments = rest.cloned().collect();
    let machine = process.machine.clone();
    let before = machine.asked_seconds();
    let mut running = Box::pin(run(process));
    if !machine.has_background() {
        // Nobody waits here: what it asked for tells whether it would have been over.
        let code = running.await?;
        return Ok(if machine.asked_seconds() - before > seconds * scale { 124 } else { code });
    }
    let mut over = Box::pin(machine.sleep(seconds * scale));
    poll_fn(|context| match running.as_mut().poll(context) {
        Poll::Ready(done) => Poll::Ready(done),
        Poll::Pending => over.as_mut().poll(context).map(|()| Ok(124)),
    })
    .await
}

pub(super) async fn xargs(mut process: Process) -> Done {
    let arguments = std::mem::take(&mut process.arguments);
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let end = words
        .iter()
        .scan(false, |takes, word| {
            let is_option = std::mem::replace(takes, matches!(*word, "-n" | "-I" | "-P" | "-L" | "-d"))
                || word.starts_with('-');
            is_option.then_some(())
        })
        .count();
    let (flags, command) = words.split_at(end);
    let options = match Options::read(
        flags,
        "0rtn:I:P:L:d:",
        &[("null", '0'), ("no-run-if-empty", 'r'), ("max-args", 'n')],
    ) {
        Ok(options) => options,
        Err(message) => return process.fail(&message).await,
    };
    let text = process.streams.input.whole(SCRIPT).await?;
    let text = String::from_utf8_lossy(&text).into_owned();
    let items: Vec<&str> = if options.has('0') {
        text.split('\0').filter(|item| !item.is_empty()).collect()
    } else if options.value('I').is_some() || options.value('d').is_some() {
        text.lines().filter(|item| !item.is_empty()).collect()
    } else {
        text.split_whitespace().collect()
    };
    let command = if command.is_empty() { &["echo"] } else { command };
    let size = options
        .value('n')
        .or(options.value('L'))
        .and_then(|text| text.parse().ok())
        .unwrap_or(1000_usize)
        .max(1);
    let mut calls: Vec<Vec<String>> = Vec::new();
    match options.value('I') {
        Some(mark) => calls
            .extend(items.iter().map(|item| command.iter().map(|word| word.replace(mark, item)).collect())),
        None => calls.extend(
            items
                .chunks(size)
                .map(|chunk| command.iter().chain(chunk).map(|word| (*word).to_owned()).collect()),
        ),
    }
    if calls.is_empty() && !options.has('r') && options.value('I').is_none() {
        calls.push(command.iter().map(|word| (*word).to_owned()).collect());
    }
    let mut worst = 0;
    for argv in calls {
        let Some((name, arguments)) = argv.split_first() else { continue };
        let one = Process { name: name.clone(), arguments: arguments.to_vec(), ..process.clone() };
        let code = run(one).await?;
        worst = match code {
            0 => worst,
            126 | 127 => return Ok(code),
            _ => 123,
        };
    }
    Ok(worst)
}

/// `flock FILE PROGRAM …`: nobody else is there to hold it.
pub(super) async fn flock(mut process: Process) -> Done {
    let arguments = std::mem::take(&mut process.arguments);
    let mut rest = arguments.iter().skip_while(|word| word.starts_with('-'));
    let _file = rest.next();
    let argv: Vec<String> = rest.cloned().collect();
    let argv = match argv.split_first() {
        Some((flag, script)) if flag == "-c" => vec!["sh".to_owned(), "-c".to_owned(), script.join(" ")],
        Some(_) => argv,
        None => return Ok(0),
    };
    process.name.clone_from(&argv[0]);
    process.arguments = argv[1..].to_vec();
    run(process).await
}

/// Splits a command line as shlex does: quotes and backslashes, nothing else is special.
pub(crate) fn split(line: &str) -> Result<Vec<String>, &'static str> {
    let (mut words, mut open): (Vec<String>, Option<String>) = (Vec::new(), None);
    let mut letters = line.chars();
    let mut quote = None;
    while let Some(letter) = letters.next() {
        match (quote, letter) {
            (Some(mark), _) if letter == mark => quote = None,
            (Some('"'), '\\') => match letters.next() {
                Some(next @ ('"' | '\\')) => open.get_or_insert_default().push(next),
                Some(next) => open.get_or_insert_default().extend(['\\', next]),
                None => return Err("EOF found after escape character"),
            },
            (Some(_), _) => open.get_or_insert_default().push(letter),
            (None, '\'' | '"') => {
                quote = Some(letter);
                open.get_or_insert_default();
            }
            (None, '\\') => match letters.next() {
                Some(next) => open.get_or_insert_default().push(next),
                None => return Err("EOF found after escape character"),
            },
            (None, '#') if open.is_none() => while letters.next().is_some_and(|letter| letter != '\n') {},
            (None, _) if letter.is_whitespace() => words.extend(open.take()),
            (None, _) => open.get_or_insert_default().push(letter),
        }
    }
    if quote.is_some() {
        return Err("EOF found when expecting closing quote");
    }
    words.extend(open);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_lines_are_split() {
        for (line, words) in [
            ("sh -c 'exit 7'", vec!["sh", "-c", "exit 7"]),
            (r#"a "b \"c\" \n" d\ e"#, vec!["a", r#"b "c" \n"#, "d e"]),
            ("a ''  b # c", vec!["a", "", "b"]),
            ("", vec![]),
            ("a#b", vec!["a#b"]),
        ] {
            assert_eq!(split(line).unwrap(), words, "{line}");
        }
        assert!(split("'a").is_err() && split("a\\").is_err());
    }
}
