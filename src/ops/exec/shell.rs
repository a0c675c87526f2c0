//! Writing what a node's shell shall run: quoting, environment, users, standard input. Pure text.
//!
//! Nothing is wrapped that was not asked for: what the service keeps for audit is what was typed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Quotes one word for a POSIX shell so that it arrives byte for byte.
pub(crate) fn quote_sh(word: &str) -> String {
    let is_plain = |c: char| {
        c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | ':' | '=' | '@' | '%' | '+' | ',')
    };
    // A leading `=` is special to zsh, a word with `=` in front of a command is an assignment.
    if !word.is_empty() && word.chars().all(is_plain) && !word.contains('=') {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Quotes an argument vector for a POSIX shell.
pub(crate) fn join_sh(words: &[String]) -> String {
    words.iter().map(|w| quote_sh(w)).collect::<Vec<_>>().join(" ")
}

/// Quotes one word for PowerShell. Single quotes take everything literally but themselves, straight or typographic.
pub(super) fn quote_powershell(word: &str) -> String {
    let mut quoted = String::with_capacity(word.len() + 2);
    quoted.push('\'');
    for c in word.chars() {
        if matches!(c, '\'' | '\u{2018}' | '\u{2019}' | '\u{201a}' | '\u{201b}') {
            quoted.push(c);
        }
        quoted.push(c);
    }
    quoted.push('\'');
    quoted
}

/// What stands after an argv, so that the script ends as its command did: a program by its exit code, a cmdlet that fails
/// and a command that doesn't exist with 1. Only programs set `$LASTEXITCODE`, and `$?` is of the last statement alone.
pub(crate) const POWERSHELL_TAIL: &str =
    "$ok = $?; if ($null -ne $LASTEXITCODE) { exit $LASTEXITCODE } elseif (-not $ok) { exit 1 }";

/// Quotes an argument vector for Windows PowerShell 5.1, which hands arguments on to programs without escaping the double
/// quotes in them: those, and the backslashes before them, are escaped as the C runtime reads them.
pub(crate) fn join_powershell(words: &[String]) -> String {
    let mut parts = vec!["&".to_owned()];
    for (n, word) in words.iter().enumerate() {
        parts.push(quote_powershell(&if n == 0 { word.clone() } else { escape_for_c_runtime(word) }));
    }
    parts.join(" ")
}

fn escape_for_c_runtime(word: &str) -> String {
    if word.is_empty() {
        // Left alone it would be dropped.
        return "\"\"".to_owned();
    }
    let mut escaped = String::with_capacity(word.len());
    let mut backslashes = 0;
    for c in word.chars() {
        match c {
            '\\' => backslashes += 1,
            '"' => {
                escaped.extend(std::iter::repeat_n('\\', backslashes + 1));
                backslashes = 0;
            }
            _ => backslashes = 0,
        }
        escaped.push(c);
    }
    // PowerShell puts double quotes around what has a blank: a backslash before the closing one must not escape it.
    if word.contains([' ', '\t']) {
        escaped.extend(std::iter::repeat_n('\\', backslashes));
    }
    escaped
}

/// Feeds text to a command for a POSIX shell as its standard input, byte for byte.
pub(super) fn with_stdin_sh(command: &str, input: &[u8]) -> String {
    match std::str::from_utf8(input) {
        Ok("") => format!("{{ {command}\n}} </dev/null"),
        Ok(text) if text.ends_with('\n') && !text.contains(['\0', '\r']) => {
            let end = delimiter(text);
            format!("{{ {command}\n}} <<'{end}'\n{text}{end}")
        }
        _ => {
            // A here-document can carry neither other bytes nor an unfinished last line.
            let encoded = encode_lines(input);
            format!("{{ base64 -d | {{ {command}\n}}; }} <<'HERDER'\n{encoded}\nHERDER")
        }
    }
}

/// The same for PowerShell, as text. A single statement is fed; of several, whoever wants it reads `$input`.
pub(super) fn with_stdin_powershell(command: &str, input: &[u8]) -> String {
    if is_pipeline(command) {
        in_block_powershell(&format!("$input | {command}"), &[], Some(input))
    } else {
        in_block_powershell(command, &[], Some(input))
    }
}

/// Work as a script block with arguments, its standard input in `$input`.
pub(super) fn in_block_powershell(work: &str, arguments: &[String], input: Option<&[u8]>) -> String {
    let arguments: String = arguments.iter().map(|a| format!(" {}", quote_powershell(a))).collect();
    let block = format!("& {{\n{work}\n}}{arguments}");
    match input {
        Some(input) => {
            let encoded = encode_lines(input);
            format!(
                "[Text.Encoding]::UTF8.GetString([Convert]::FromBase64String(@'\n{encoded}\n'@)) | {block}"
            )
        }
        None => block,
    }
}

/// Whether something can be piped into a line of PowerShell: one statement that begins with a command's name.
fn is_pipeline(line: &str) -> bool {
    let mut quote = None;
    for c in line.trim_end().chars() {
        match quote {
            Some(mark) if c == mark => quote = None,
            None if matches!(c, '\'' | '"') => quote = Some(c),
            None if matches!(c, ';' | '\n') => return false,
            _ => {}
        }
    }
    let first = line.split_whitespace().next().unwrap_or_default().to_ascii_lowercase();
    let is_keyword = ["if", "for", "foreach", "while", "do", "switch", "try", "param", "function", "return"]
        .iter()
        .any(|word| {
            first.strip_prefix(word).is_some_and(|rest| rest.is_empty() || rest.starts_with(['(', '{']))
        });
    !is_keyword && !first.starts_with(['$', '[', '(', '@', '\'', '"'])
}

/// A line that ends a here-document and isn't in it.
fn delimiter(text: &str) -> String {
    let mut end = "HERDER".to_owned();
    while text.lines().any(|line| line == end) {
        end.push('_');
    }
    end
}

/// Base64 in lines of 76, as `base64 -d` of every system takes it.
fn encode_lines(bytes: &[u8]) -> String {
    bytes.chunks(57).map(|line| STANDARD.encode(line)).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(list: &[&str]) -> Vec<String> {
        list.iter().map(|w| (*w).to_owned()).collect()
    }

    #[test]
    fn posix_words_come_out_of_a_real_shell_as_they_went_in() {
        let nasty = words(&[
            "plain",
            "",
            "two words",
            "it's",
            "\"",
            "$HOME",
            "`id`",
            "a\nb",
            "*",
            "~",
            "#x",
            "A=B",
            "!",
            "\\",
            "é\u{1F600}",
            "-n",
            "a;b",
            "{a,b}",
            "\t",
        ]);
        let script = format!("printf '%s\\0' {}", join_sh(&nasty));
        let output = std::process::Command::new("sh").arg("-c").arg(&script).output().unwrap();
        let got: Vec<&[u8]> = output.stdout.strip_suffix(b"\0").unwrap().split(|b| *b == 0).collect();
        assert_eq!(got, nasty.iter().map(|w| w.as_bytes()).collect::<Vec<_>>());
    }

    #[test]
    fn plain_words_stay_readable() {
        assert_eq!(
            join_sh(&words(&["systemctl", "restart", "nginx.service"])),
            "systemctl restart nginx.service"
        );
    }

    #[test]
    fn stdin_arrives_byte_for_byte_in_a_real_shell() {
        let inputs: [&[u8]; 7] = [
            b"",
            b"one\n",
            b"no end",
            b"HERDER\nHERDER_\n",
            b"\x00\xff\x1b[0m",
            b"$HOME `id` \\\n",
            b"cr\r\n",
        ];
        for input in inputs {
            let script = with_stdin_sh("cat; printf END", input);
            let output = std::process::Command::new("sh").arg("-c").arg(&script).output().unwrap();
            assert_eq!(output.stdout, [input, b"END"].concat(), "{script}");
        }
        let long = vec![b'x'; 10_000];
        let output =
            std::process::Command::new("sh").arg("-c").arg(with_stdin_sh("wc -c", &long)).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "10000");
    }

    #[test]
    fn the_exit_code_is_the_commands_own() {
        for input in [&b"x\n"[..], b"x"] {
            let script = with_stdin_sh("cat >/dev/null; exit 7", input);
            let status = std::process::Command::new("sh").arg("-c").arg(&script).status().unwrap();
            assert_eq!(status.code(), Some(7), "{script}");
        }
    }

    #[test]
    fn powershell_words() {
        assert_eq!(
            join_powershell(&words(&["C:\\Program Files\\x.exe", "it's", "say \"hi\"", "a\\\"b", "dir \\"])),
            r#"& 'C:\Program Files\x.exe' 'it''s' 'say \"hi\"' 'a\\\"b' 'dir \\'"#
        );
        assert_eq!(join_powershell(&words(&["x", "", "y"])), r#"& 'x' '""' 'y'"#);
        assert_eq!(quote_powershell("\u{2019}"), "'\u{2019}\u{2019}'");
    }

    #[test]
    fn powershell_takes_standard_input_as_one_pipeline_or_by_itself() {
        for (line, is_fed) in [
            ("findstr 'a;b'", true),
            ("Sort-Object | Select-Object -First 1", true),
            ("& 'x.exe'", true),
            ("$a = @($input); $a.Count", false),
            ("foreach ($x in $input) { $x }", false),
            ("findstr x\nhostname", false),
        ] {
            let script = with_stdin_powershell(line, b"in\n");
            let work = if is_fed { format!("$input | {line}") } else { line.to_owned() };
            assert!(script.ends_with(&format!("\n'@)) | & {{\n{work}\n}}")), "{script}");
        }
    }
}
