//! What `AWS-StartNonInteractiveCommand` is given. Its agent splits the text into words as a shell would and starts the first, without
//! a shell.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use herder_core::target::Platform;

use crate::ops::exec::{POWERSHELL_TAIL, join_powershell, join_sh, quote_sh};

/// One word is a line for the node's shell; several are an exact argv.
pub(crate) fn line_for(platform: Platform, words: &[String]) -> String {
    match (platform, words) {
        (Platform::Windows, [line]) => powershell(line),
        (Platform::Windows, words) => powershell(&format!("{}\n{POWERSHELL_TAIL}", join_powershell(words))),
        (_, [line]) => format!("sh -c {}", quote_sh(line)),
        (_, words) => join_sh(words),
    }
}

/// A script as PowerShell's argument. Whether a Windows agent splits the text into words or hands it to PowerShell as it is could not be
/// verified; what holds no quote means the same either way. What does is encoded: legible in the audit is good, run as typed is better.
fn powershell(script: &str) -> String {
    let program = "powershell.exe -NoLogo -NoProfile -NonInteractive";
    if script.contains(['\'', '"', '\u{2018}', '\u{2019}', '\u{201a}', '\u{201b}', '\n']) {
        let utf16: Vec<u8> = script.encode_utf16().flat_map(u16::to_le_bytes).collect();
        format!("{program} -EncodedCommand {}", STANDARD.encode(utf16))
    } else {
        format!("{program} -Command '{script}'")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn a_line_gets_a_shell_and_an_argv_gets_none() {
        let linux = |given: &[&str]| line_for(Platform::Linux, &words(given));
        assert_eq!(linux(&["echo out; exit 7"]), "sh -c 'echo out; exit 7'");
        assert_eq!(linux(&["echo it's"]), r"sh -c 'echo it'\''s'");
        assert_eq!(linux(&["printf", "%s\n", "a b"]), "printf '%s\n' 'a b'");
        assert_eq!(linux(&["uptime"]), "sh -c uptime");
    }

    #[test]
    fn what_windows_could_take_in_two_ways_is_encoded() {
        let windows = |given: &[&str]| line_for(Platform::Windows, &words(given));
        let plain = windows(&["Get-Service | Select -First 1; exit 3"]);
        assert!(plain.ends_with(" -Command 'Get-Service | Select -First 1; exit 3'"), "{plain}");
        for quoted in [&["Write-Output \"a b\""][..], &["echo 'x'"], &["cmd", "/c", "exit 4"]] {
            let line = windows(quoted);
            let (_, encoded) = line.split_once(" -EncodedCommand ").unwrap();
            let utf16 = STANDARD.decode(encoded).unwrap();
            let units: Vec<u16> =
                utf16.chunks(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]])).collect();
            assert!(String::from_utf16(&units).unwrap().contains(quoted[0]), "{line}");
        }
    }
}
