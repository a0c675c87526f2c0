//! What is sent: [`Wish`] as typed, [`Payload`] as Run Command takes it.

use std::collections::BTreeMap;
use std::fmt;

use herder_core::target::Platform;

use super::shell::{
    POWERSHELL_TAIL, in_block_powershell, join_powershell, join_sh, quote_powershell, quote_sh,
    with_stdin_powershell, with_stdin_sh,
};
use crate::failure::Failure;

/// AWS limits a document to 64 KB and says nothing of parameters; bodies over that are not safe (facts §4.1, unverified), so that
/// herder stops there with a word of its own rather than AWS's.
const MAX_BODY_BYTES: usize = 64 * 1024;

/// What a node shall run, as it was asked for.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Work {
    /// One argument: a line for the node's shell, as with ssh.
    Line(String),
    /// Several arguments: an exact argv.
    Argv(Vec<String>),
    /// A script's text and its arguments.
    Script {
        /// The text.
        text: String,
        /// Its arguments.
        arguments: Vec<String>,
    },
    /// A document and its parameters.
    Document {
        /// Name or ARN.
        name: String,
        /// Its version.
        version: Option<String>,
        /// Values by parameter.
        parameters: BTreeMap<String, Vec<String>>,
    },
}

/// The work and what stands around it.
#[derive(Clone)]
pub(crate) struct Wish {
    /// What to run.
    pub work: Work,
    /// Standard input.
    pub stdin: Option<Vec<u8>>,
    /// User to run it as.
    pub user: Option<String>,
    /// Working directory.
    pub cwd: Option<String>,
    /// Interpreter for a line or argv in place of the agent's `sh`.
    pub shell: Option<String>,
    /// Variables, in order.
    pub env: Vec<(String, String)>,
    /// Execution timeout, seconds.
    pub timeout_s: u64,
}

/// One kind of send: a document with its parameters.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Payload {
    /// Name or ARN.
    pub document: String,
    /// Its version.
    pub version: Option<String>,
    /// Values by parameter.
    pub parameters: BTreeMap<String, Vec<String>>,
    /// Values that no message may show, the longest first: one may be part of another.
    pub secrets: Vec<String>,
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Values may be secrets, and so may what stands around them.
        f.debug_struct("Payload").field("document", &self.document).finish_non_exhaustive()
    }
}

/// Shorter values are everywhere: taking them out of a message would only spoil it.
const SHORTEST_SECRET: usize = 4;

impl Wish {
    /// See [`Payload::secrets`].
    fn secrets(&self) -> Vec<String> {
        let parameters = match &self.work {
            Work::Document { parameters, .. } => parameters.values().flatten().cloned().collect(),
            Work::Line(_) | Work::Argv(_) | Work::Script { .. } => Vec::new(),
        };
        let variables = self.env.iter().map(|(_, value)| value.clone());
        let mut secrets: Vec<String> = variables
            .chain(parameters)
            .filter(|value: &String| value.chars().count() >= SHORTEST_SECRET)
            .collect();
        secrets.sort_by_key(|value| std::cmp::Reverse(value.len()));
        secrets
    }

    /// What a platform's nodes are sent.
    ///
    /// # Errors
    /// The platform can't do what was asked, or it is too large.
    pub(crate) fn payload(&self, platform: Platform) -> Result<Payload, Failure> {
        let payload = match &self.work {
            Work::Document { name, version, parameters } => {
                return Ok(Payload {
                    document: name.clone(),
                    version: version.clone(),
                    parameters: parameters.clone(),
                    secrets: self.secrets(),
                });
            }
            Work::Line(_) | Work::Argv(_) | Work::Script { .. } => match platform {
                Platform::Windows => self.powershell()?,
                Platform::Linux | Platform::Macos => self.posix(platform)?,
            },
        };
        let size: usize = payload.parameters.values().flatten().map(String::len).sum();
        if size > MAX_BODY_BYTES {
            return Err(Failure::usage(format!(
                "the command is {} KB and Run Command takes about {} KB",
                size.div_ceil(1024),
                MAX_BODY_BYTES / 1024
            ))
            .hint("Put it into S3 and send a line that fetches and runs it, or make it an SSM document and use --document."));
        }
        Ok(payload)
    }

    fn posix(&self, platform: Platform) -> Result<Payload, Failure> {
        let is_bare = self.user.is_none() && self.env.is_empty() && self.stdin.is_none();
        let (shebang, mut body) = match &self.work {
            Work::Line(line) => (self.shebang(), line.clone()),
            Work::Argv(words) => (self.shebang(), join_sh(words)),
            Work::Script { text, arguments } => {
                if is_bare && arguments.is_empty() {
                    return Ok(self.document("AWS-RunShellScript", text.clone()));
                }
                let (shebang, rest) = split_shebang(text);
                require_shell(shebang)?;
                let set = if arguments.is_empty() {
                    String::new()
                } else {
                    format!("set -- {}\n", join_sh(arguments))
                };
                (shebang.map(str::to_owned), format!("{set}{rest}"))
            }
            Work::Document { .. } => (None, String::new()),
        };
        if let Some(input) = &self.stdin {
            body = with_stdin_sh(&body, input);
        }
        let text = match (&self.user, shebang) {
            (Some(user), shebang) => self.as_user(user, shebang.as_deref(), &body, platform),
            (None, Some(shebang)) => format!("{shebang}\n{}{body}", self.exports()),
            (None, None) => format!("{}{body}", self.exports()),
        };
        Ok(self.document("AWS-RunShellScript", text))
    }

    fn exports(&self) -> String {
        self.env.iter().map(|(name, value)| format!("export {name}={}\n", quote_sh(value))).collect()
    }

    /// The body for another user's login shell, which hands it to the interpreter that was asked for.
    fn as_user(&self, user: &str, shebang: Option<&str>, body: &str, platform: Platform) -> String {
        // A login shell starts in the user's home.
        let change = self.cwd.as_ref().map(|cwd| format!("cd {} || exit\n", quote_sh(cwd)));
        let interpreter = shebang.map(|line| line.trim_start_matches("#!").trim()).filter(|i| !i.is_empty());
        let work = match interpreter {
            Some(interpreter) => format!("exec {interpreter} -c {}", quote_sh(body)),
            None => body.to_owned(),
        };
        let program = if platform == Platform::Macos { "su" } else { "runuser" };
        let inside = format!("{}{}{work}", change.unwrap_or_default(), self.exports());
        format!("{program} -l {} -c {}", quote_sh(user), quote_sh(&inside))
    }

    fn powershell(&self) -> Result<Payload, Failure> {
        if let Some(user) = &self.user {
            return Err(Failure::usage(format!("--user {user} can't be done on Windows nodes"))
                .hint("Leave Windows nodes out with --exclude platform:windows."));
        }
        if let Some(shell) = &self.shell {
            return Err(Failure::usage(format!("--shell {shell} can't be done on Windows nodes"))
                .hint("Leave Windows nodes out with --exclude platform:windows."));
        }
        let input = self.stdin.as_deref();
        let body = match &self.work {
            Work::Line(line) => match input {
                Some(input) => with_stdin_powershell(line, input),
                None => line.clone(),
            },
            // A program's exit code is PowerShell's only if the script says so (docs/decisions/0006).
            Work::Argv(words) => match input {
                Some(input) => {
                    let work = format!("$input | {}\n{POWERSHELL_TAIL}", join_powershell(words));
                    in_block_powershell(&work, &[], Some(input))
                }
                None => format!("{}\n{POWERSHELL_TAIL}", join_powershell(words)),
            },
            Work::Script { text, arguments } if arguments.is_empty() && input.is_none() => text.clone(),
            Work::Script { text, arguments } => in_block_powershell(text, arguments, input),
            Work::Document { .. } => String::new(),
        };
        let sets: String = self
            .env
            .iter()
            .map(|(name, value)| format!("$env:{name} = {}\n", quote_powershell(value)))
            .collect();
        Ok(self.document("AWS-RunPowerShellScript", format!("{sets}{body}")))
    }

    fn shebang(&self) -> Option<String> {
        let shell = self.shell.as_ref()?;
        // The agent runs the text as a file with `sh -c FILE`, so that the kernel honours its first line (facts §3, 12).
        Some(if shell.starts_with('/') { format!("#!{shell}") } else { format!("#!/usr/bin/env {shell}") })
    }

    fn document(&self, name: &str, text: String) -> Payload {
        let mut parameters = BTreeMap::from([
            ("commands".to_owned(), vec![text]),
            ("executionTimeout".to_owned(), vec![self.timeout_s.to_string()]),
        ]);
        if let Some(cwd) = &self.cwd {
            parameters.insert("workingDirectory".to_owned(), vec![cwd.clone()]);
        }
        Payload { document: name.to_owned(), version: None, parameters, secrets: self.secrets() }
    }
}

fn split_shebang(text: &str) -> (Option<&str>, &str) {
    if !text.starts_with("#!") {
        return (None, text);
    }
    match text.split_once('\n') {
        Some((first, rest)) => (Some(first), rest),
        None => (Some(text), ""),
    }
}

/// Arguments, variables and standard input are given in shell syntax: a script for something else can't take them.
fn require_shell(shebang: Option<&str>) -> Result<(), Failure> {
    let Some(shebang) = shebang else { return Ok(()) };
    let mut words = shebang.trim_start_matches("#!").split_whitespace();
    let mut program = words.next().unwrap_or_default();
    if program.ends_with("/env") {
        program = words.next().unwrap_or_default();
    }
    let name = program.rsplit('/').next().unwrap_or_default();
    if matches!(name, "sh" | "bash" | "dash" | "ash" | "zsh" | "ksh" | "busybox") {
        return Ok(());
    }
    Err(Failure::usage(format!(
        "a script for `{name}` can't be given arguments, variables, a user or standard input"
    ))
    .hint("Only shell scripts can; send a line that starts the program instead."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(work: Work) -> Wish {
        Wish { work, stdin: None, user: None, cwd: None, shell: None, env: Vec::new(), timeout_s: 3600 }
    }

    fn text(wish: &Wish, platform: Platform) -> String {
        wish.payload(platform).unwrap().parameters["commands"][0].clone()
    }

    #[test]
    fn a_line_is_sent_as_it_was_typed() {
        let wish = wish(Work::Line("uptime | sed 's/,.*//'; echo \"$HOME\"".into()));
        for platform in [Platform::Linux, Platform::Windows] {
            assert_eq!(text(&wish, platform), "uptime | sed 's/,.*//'; echo \"$HOME\"");
        }
        assert_eq!(wish.payload(Platform::Linux).unwrap().document, "AWS-RunShellScript");
        assert_eq!(wish.payload(Platform::Windows).unwrap().document, "AWS-RunPowerShellScript");
    }

    #[test]
    fn everything_around_a_command_works_in_a_real_shell() {
        let mut wish = wish(Work::Argv(vec![
            "sh".into(),
            "-c".into(),
            "cat; echo \"$A|$0|$1\"".into(),
            "x y".into(),
            "it's".into(),
        ]));
        wish.env = vec![("A".into(), "b c'd".into())];
        wish.stdin = Some(b"in\n".to_vec());
        let output =
            std::process::Command::new("sh").arg("-c").arg(text(&wish, Platform::Linux)).output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), "in\nb c'd|x y|it's\n");
    }

    #[test]
    fn a_script_keeps_its_first_line_first() {
        let script = "#!/bin/bash\necho \"$1\"\n";
        let bare = wish(Work::Script { text: script.into(), arguments: vec![] });
        assert_eq!(text(&bare, Platform::Linux), script);
        let given = wish(Work::Script { text: script.into(), arguments: vec!["a b".into()] });
        assert_eq!(text(&given, Platform::Linux), "#!/bin/bash\nset -- 'a b'\necho \"$1\"\n");
        let python =
            wish(Work::Script { text: "#!/usr/bin/env python3\n".into(), arguments: vec!["a".into()] });
        assert!(python.payload(Platform::Linux).unwrap_err().message.contains("python3"));
    }

    #[test]
    fn values_are_secrets_unless_they_are_too_short_to_be() {
        let parameters = BTreeMap::from([("Password".to_owned(), vec!["hunter".into(), "no".into()])]);
        let document = Work::Document { name: "Doc".into(), version: None, parameters };
        assert_eq!(wish(document).payload(Platform::Linux).unwrap().secrets, ["hunter"]);
        let mut line = wish(Work::Line("x".into()));
        line.env = vec![("A".into(), "abcd".into()), ("B".into(), "abcdef".into())];
        assert_eq!(line.payload(Platform::Linux).unwrap().secrets, ["abcdef", "abcd"]);
    }

    #[test]
    fn users_and_directories() {
        let mut wish = wish(Work::Line("id".into()));
        wish.user = Some("deploy".into());
        wish.cwd = Some("/srv/my app".into());
        assert_eq!(
            text(&wish, Platform::Linux),
            "runuser -l deploy -c 'cd '\\''/srv/my app'\\'' || exit\nid'"
        );
        assert_eq!(wish.payload(Platform::Linux).unwrap().parameters["workingDirectory"], ["/srv/my app"]);
        assert!(wish.payload(Platform::Windows).is_err());
    }

    /// Runs it with a `runuser` that says whom it is asked for and starts a shell that is not the login shell's.
    fn run_as_user(wish: &Wish) -> String {
        let stub = "runuser() { echo \"$1 $2 $3\"; sh -c \"$4\"; }\n";
        let script = format!("{stub}{}", text(wish, Platform::Linux));
        let output = std::process::Command::new("sh").arg("-c").arg(&script).output().unwrap();
        assert!(output.status.success(), "{script}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn another_user_keeps_the_interpreter() {
        let body = "a=(x \"it's\" '$HOME')\necho \"${a[1]} ${a[2]} $A $1\"; cat";
        let mut script = wish(Work::Script {
            text: format!("#!/usr/bin/env bash\n{body}\n"),
            arguments: vec!["o'ne two".into()],
        });
        script.user = Some("deploy".into());
        script.cwd = Some("/".into());
        script.env = vec![("A".into(), "b 'c".into())];
        script.stdin = Some(b"in\n".to_vec());
        assert_eq!(run_as_user(&script), "-l deploy -c\nit's $HOME b 'c o'ne two\nin\n");
        let mut line = wish(Work::Line("a=(1 '2 3'); printf '%s\\n' \"${a[1]}\"".into()));
        line.user = Some("deploy".into());
        line.shell = Some("bash".into());
        assert_eq!(run_as_user(&line), "-l deploy -c\n2 3\n");
        assert!(text(&line, Platform::Linux).starts_with("runuser -l deploy -c 'exec /usr/bin/env bash -c "));
    }

    #[test]
    fn a_windows_argv_ends_as_its_command_did() {
        let mut argv = wish(Work::Argv(vec!["nope".into(), String::new()]));
        let tail =
            "$ok = $?; if ($null -ne $LASTEXITCODE) { exit $LASTEXITCODE } elseif (-not $ok) { exit 1 }";
        assert_eq!(text(&argv, Platform::Windows), format!("& 'nope' '\"\"'\n{tail}"));
        argv.stdin = Some(b"x\n".to_vec());
        let fed = text(&argv, Platform::Windows);
        assert!(fed.ends_with(&format!(" | & {{\n$input | & 'nope' '\"\"'\n{tail}\n}}")), "{fed}");
    }

    #[test]
    fn a_command_of_200_kb_is_refused_with_a_way_out() {
        let failure = wish(Work::Line("x".repeat(200 * 1024))).payload(Platform::Linux).unwrap_err();
        assert!(failure.message.contains("201 KB"), "{failure:?}");
        assert!(failure.hints[0].contains("S3"));
    }
}
