//! PowerShell, as far as a rehearsal needs it: statements, quoting, a few cmdlets.

use super::jobs::Note;
use super::process::Process;
use super::terminal::{Signal, Terminal};
use super::{Answer, Surroundings};
use base64::Engine as _;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

/// Answers a script.
pub(super) fn run(script: &str, around: &Surroundings<'_>) -> Answer {
    continued(script, around, &mut BTreeMap::new()).0
}

/// Answers a script in a shell that has variables already; true where the shell ends with it.
fn continued(
    script: &str,
    around: &Surroundings<'_>,
    variables: &mut BTreeMap<String, String>,
) -> (Answer, bool) {
    let mut host = Host { around, variables: std::mem::take(variables), answer: Answer::default() };
    let mut has_ended = false;
    for statement in statements(script) {
        if let Some(code) = host.statement(&statement) {
            host.answer.code = code;
            has_ended = true;
            break;
        }
    }
    *variables = host.variables;
    (host.answer, has_ended)
}

/// Runs a script for a session, with its time.
async fn one(process: &Process, script: &str, variables: &mut BTreeMap<String, String>) -> (i32, bool) {
    let identity = &process.machine.identity;
    let around = Surroundings {
        node: &identity.node,
        region: &identity.region,
        command_id: "",
        at: process.machine.now(),
        draw: identity.draw,
        directory: "",
        files: Vec::new(),
    };
    let (answer, has_ended) = continued(script, &around, variables);
    process.machine.sleep(answer.asked_seconds).await;
    // A terminal makes its line ends itself.
    let shown = |text: Vec<u8>| match process.terminal {
        Some(_) => Bytes::from(String::from_utf8_lossy(&text).replace("\r\n", "\n")),
        None => Bytes::from(text),
    };
    let _nobody_looks = process.streams.out.write(shown(answer.stdout)).await;
    let _nobody_looks = process.streams.err.write(shown(answer.stderr)).await;
    (answer.code, has_ended)
}

/// Runs a command line without a terminal.
pub(crate) async fn execute(process: Process, line: String) -> i32 {
    one(&process, &unwrapped(&line), &mut BTreeMap::new()).await.0
}

/// The script of `powershell -Command …` and of `powershell -EncodedCommand …`; anything else is one.
fn unwrapped(line: &str) -> String {
    let words = statements(line).into_iter().flatten().map(|(text, _)| text).collect::<Vec<String>>();
    let is_powershell = words
        .first()
        .is_some_and(|word| matches!(word.to_lowercase().trim_end_matches(".exe"), "powershell" | "pwsh"));
    let at = words.iter().position(|word| {
        let word = word.to_lowercase();
        matches!(word.as_str(), "-command" | "-c" | "-encodedcommand" | "-enc" | "-e")
    });
    let Some(at) = at.filter(|_| is_powershell) else { return line.to_owned() };
    let rest = words.get(at + 1..).unwrap_or_default();
    let is_encoded = words.get(at).is_some_and(|word| word.to_lowercase().starts_with("-e"));
    if !is_encoded {
        return rest.join(" ");
    }
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(rest.first().map_or("", String::as_str))
        .unwrap_or_default();
    let units: Vec<u16> = bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
    String::from_utf16_lossy(&units)
}

/// Runs a shell on a terminal, or one command line on it.
pub(crate) async fn interact(
    process: Process,
    terminal: Arc<Terminal>,
    line: Option<String>,
    note: Note,
) -> i32 {
    let depth = terminal.enter();
    let mut variables = BTreeMap::new();
    if let Some(line) = line {
        note(&line);
        let code = one(&process, &unwrapped(&line), &mut variables).await.0;
        terminal.leave();
        return code;
    }
    let banner = "Windows PowerShell\nCopyright (C) Microsoft Corporation. All rights reserved.\n\n";
    let _nobody_looks = process.streams.out.write(Bytes::from(banner)).await;
    let mut last = 0;
    loop {
        let _nobody_looks = process.streams.out.write(Bytes::from("PS C:\\Windows\\system32> ")).await;
        let input = process.streams.input.clone();
        let mut reading = Box::pin(input.read(4096));
        let typed = poll_fn(|context| match terminal.poll_signal(depth, context) {
            Poll::Ready(signal) => Poll::Ready(Err(signal)),
            Poll::Pending => reading.as_mut().poll(context).map(Ok),
        })
        .await;
        let line = match typed {
            Err(Signal::Hangup) | Ok(Err(_)) => break,
            Err(Signal::Interrupt | Signal::Quit | Signal::Stop) => {
                let _nobody_looks = process.streams.out.write(Bytes::from("\n")).await;
                continue;
            }
            Ok(Ok(bytes)) if bytes.is_empty() => break,
            Ok(Ok(bytes)) => String::from_utf8_lossy(&bytes).trim_end().to_owned(),
        };
        if line.is_empty() {
            continue;
        }
        note(&line);
        let mut running = Box::pin(one(&process, &line, &mut variables));
        let ended = poll_fn(|context| match running.as_mut().poll(context) {
            Poll::Ready(ended) => Poll::Ready(Some(ended)),
            Poll::Pending => terminal.poll_signal(depth, context).map(|_| None),
        })
        .await;
        drop(running);
        if let Some((code, true)) = ended {
            last = code;
            break;
        }
    }
    terminal.leave();
    last
}

struct Host<'a> {
    around: &'a Surroundings<'a>,
    variables: BTreeMap<String, String>,
    answer: Answer,
}

/// A word, and whether it was quoted.
type Word = (String, bool);

/// Splits a script at line ends and semicolons outside quotes, and the statements into words.
fn statements(script: &str) -> Vec<Vec<Word>> {
    let (mut found, mut words, mut open): (Vec<Vec<Word>>, Vec<Word>, Option<Word>) =
        (Vec::new(), Vec::new(), None);
    let mut letters = script.chars().peekable();
    let mut quote: Option<char> = None;
    while let Some(letter) = letters.next() {
        match quote {
            Some(mark) if letter == mark => {
                if letters.next_if_eq(&mark).is_some() {
                    open.get_or_insert_default().0.push(mark);
                } else {
                    quote = None;
                }
            }
            Some('"') if letter == '`' => open.get_or_insert_default().0.extend(letters.next()),
            Some(_) => open.get_or_insert_default().0.push(letter),
            None => match letter {
                '\'' | '"' => {
                    quote = Some(letter);
                    open.get_or_insert_default().1 = true;
                }
                '#' if open.is_none() => while letters.next_if(|next| *next != '\n').is_some() {},
                '\n' | ';' | '\r' => {
                    words.extend(open.take());
                    found.push(std::mem::take(&mut words));
                }
                _ if letter.is_whitespace() => words.extend(open.take()),
                _ => open.get_or_insert_default().0.push(letter),
            },
        }
    }
    words.extend(open);
    found.push(words);
    found.retain(|words| !words.is_empty());
    found
}

impl Host<'_> {
    /// Runs a statement; a code ends the script.
    fn statement(&mut self, words: &[Word]) -> Option<i32> {
        let words: Vec<Word> = match words {
            [(call, false), rest @ ..] if call == "&" => rest.to_vec(),
            _ => words.to_vec(),
        };
        if let Some(((name, false), [(equals, false), value @ ..])) = words.split_first()
            && name.starts_with('$')
            && equals == "="
        {
            let value: Vec<String> = value.iter().map(|word| self.value(word)).collect();
            self.variables.insert(name.to_lowercase(), value.join(" "));
            return None;
        }
        if let Some(((text, quoted), [])) = words.split_first()
            && (*quoted || text.starts_with('$'))
            && let Some((name, value)) = text.split_once('=').filter(|_| !quoted)
        {
            self.variables.insert(name.to_lowercase(), value.to_owned());
            return None;
        }
        let arguments: Vec<String> = words.iter().skip(1).map(|word| self.value(word)).collect();
        let (program, quoted) = words.first()?;
        if program.starts_with('$') && !quoted {
            let value = self.value(&(program.clone(), false));
            self.print(&value);
            return None;
        }
        self.cmdlet(&program.to_lowercase(), program, &arguments)
    }

    fn value(&self, (text, _): &Word) -> String {
        let lower = text.to_lowercase();
        let node = self.around.node;
        if let Some(value) = self.variables.get(&lower) {
            return value.clone();
        }
        match lower.as_str() {
            "$env:computername" => node.computer_name(),
            "$env:aws_ssm_instance_id" => node.id.clone(),
            "$psversiontable.psversion" => "5.1.20348.3807".to_owned(),
            "$psversiontable" => {
                "\nName                           Value\n----                           -----\nPSVersion                      5.1.20348.3807\nPSEdition                      Desktop".to_owned()
            }
            _ => text.clone(),
        }
    }

    fn print(&mut self, text: &str) {
        self.answer.stdout.extend_from_slice(text.as_bytes());
        self.answer.stdout.extend_from_slice(b"\r\n");
    }

    /// `cmd /c …`: its own few commands, and programs. A code ends the script.
    fn command_prompt(&mut self, arguments: &[String]) -> Option<i32> {
        let is_run =
            arguments.first().is_some_and(|word| matches!(word.to_lowercase().as_str(), "/c" | "/r"));
        let line = arguments.get(1..).filter(|_| is_run).unwrap_or_default().join(" ");
        let words: Vec<Word> = statements(&line).into_iter().next().unwrap_or_default();
        let (first, _) = words.first()?;
        match first.to_lowercase().as_str() {
            "exit" => {
                let code = words.iter().find_map(|(word, _)| word.parse().ok()).unwrap_or(0);
                Some(code).filter(|code| *code != 0)
            }
            // One inside another could go on for as long as the line.
            "cmd" | "cmd.exe" => None,
            _ => self.statement(&words),
        }
    }

    /// `[Console]::Error.WriteLine('…')` and its like; false for anything else.
    fn console(&mut self, lower: &str, program: &str) -> bool {
        let calls = ["[console]::error.writeline(", "[console]::out.writeline(", "[console]::writeline("];
        let Some(call) = calls.into_iter().find(|call| lower.starts_with(call)) else { return false };
        let text = program.get(call.len()..).unwrap_or_default().trim_end_matches(')');
        let to = if call.contains("error") { &mut self.answer.stderr } else { &mut self.answer.stdout };
        to.extend_from_slice(format!("{text}\r\n").as_bytes());
        true
    }

    fn cmdlet(&mut self, lower: &str, program: &str, arguments: &[String]) -> Option<i32> {
        if self.console(lower, program) {
            return None;
        }
        let node = self.around.node;
        let plain: Vec<&str> =
            arguments.iter().map(String::as_str).filter(|text| !text.starts_with('-')).collect();
        match lower.trim_end_matches(".exe") {
            "exit" => return Some(plain.first().and_then(|text| text.parse().ok()).unwrap_or(0)),
            "write-output" | "echo" | "write-host" => self.print(&arguments.join(" ")),
            "write-error" => {
                self.answer.stderr.extend_from_slice(format!("{}\r\n", arguments.join(" ")).as_bytes());
            }
            "throw" => {
                self.answer.stderr.extend_from_slice(format!("{}\r\n", arguments.join(" ")).as_bytes());
                return Some(1);
            }
            "cmd" => return self.command_prompt(arguments),
            "hostname" => self.print(&node.computer_name()),
            "whoami" => self.print("nt authority\\system"),
            "get-date" => {
                let text = self.around.at.format("%A, %B %e, %Y %I:%M:%S %p");
                self.print(&text);
            }
            "start-sleep" | "sleep" | "timeout" => {
                let seconds: f64 = plain.iter().filter_map(|text| text.parse::<f64>().ok()).sum();
                self.answer.asked_seconds += seconds.clamp(0.0, 1e6);
            }
            "get-service" => {
                let name = plain.first().copied().unwrap_or("AmazonSSMAgent");
                self.print(&format!("\r\nStatus   Name               DisplayName\r\n------   ----               -----------\r\nRunning  {name:<18} {name}"));
            }
            "restart-service" | "stop-service" | "start-service" | "install-windowsupdate" => self.answer.is_slow = true,
            "get-process" => self.print("Handles  NPM(K)    PM(K)      WS(K)     CPU(s)     Id ProcessName\r\n    312      24    38912      41200       4.20   1412 amazon-ssm-agent"),
            "get-hotfix" => self.print("Source        Description      HotFixID\r\n------        -----------      --------\r\n              Security Update  KB5060526"),
            "uptime" => self.print("up 12 days"),
            "set-location" | "cd" | "set-strictmode" | "import-module" | "out-null" | "$erroractionpreference" => {}
            "get-content" | "type" => self.print(""),
            "ver" => self.print(&format!("Microsoft Windows [Version {}]", node.kernel)),
            "systeminfo" => self.print(&format!("Host Name:                 {}\r\nOS Name:                   {}", node.computer_name(), node.platform.name())),
            "true" => {}
            // What herder puts after an argv. Here a command that fails has ended the script already.
            "if" if arguments.first().is_some_and(|text| text.eq_ignore_ascii_case("($null")) => {}
            _ => {
                self.answer.stderr.extend_from_slice(
                    format!("{program} : The term '{program}' is not recognized as the name of a cmdlet, function, script file, or operable program.\r\n").as_bytes(),
                );
                return Some(1);
            }
        }
        None
    }
}
